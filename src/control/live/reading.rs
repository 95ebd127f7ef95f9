//! Reading reports: one operator over its stages, one source over its cores.

use std::collections::BTreeMap;

use super::seconds;
use crate::control::status::WatermarkState;
use crate::dataflow::OperatorSpec;
use crate::metrics::OperatorActivity;
use crate::reactor::{Clock, SystemClock};
use crate::record::{KeyGroup, Timestamp, Watermark};
use crate::stdx::CoreId;
use crate::worker::{CoreReport, OperatorStatus, OutboxStatus, SourceStatus};

/// An operator on one core, over the stages it stands in.
#[derive(Default)]
pub(super) struct OnCore {
    pub(super) rows_in: u64,
    pub(super) activity: OperatorActivity,
    pub(super) watermark: Option<Timestamp>,
}

pub(super) fn on_core(report: &CoreReport, spec: OperatorSpec) -> OnCore {
    let mut found = OnCore::default();
    for status in report.operators.iter().filter(|status| status.spec == spec) {
        let OperatorStatus { counters, activity, watermark, .. } = status;
        found.rows_in += counters.rows_in;
        found.activity += *activity;
        if let Some(Watermark::At(time)) = watermark {
            found.watermark = Some(found.watermark.map_or(*time, |lowest| lowest.min(*time)));
        }
    }
    found
}

/// The lowest watermark of a source's cores; that of a core that is idle or has ended holds nobody.
pub(super) fn lowest<'a>(
    name: &str,
    statuses: impl Iterator<Item = (CoreId, &'a SourceStatus)>,
    now_ns: u64,
) -> Option<WatermarkState> {
    let at = |(core, status): (_, &'a SourceStatus)| match status.watermark {
        Some(Watermark::At(time)) if !status.has_ended && time < Timestamp::MAX => {
            Some((time, core, status))
        }
        _ => None,
    };
    let (time, core, status) =
        statuses.filter_map(at).min_by_key(|(time, core, _)| (*time, *core))?;
    let (split, since_ns) = match &status.holding_back {
        Some(holding) => (holding.origin.to_string(), holding.since_ns),
        None => (name.to_owned(), status.watermark_since_ns),
    };
    Some(WatermarkState {
        time: time.to_string(),
        time_ms: time.millis(),
        lag_seconds: behind_the_clock(time),
        core: core.number(),
        split,
        since_seconds: seconds(now_ns.saturating_sub(since_ns)),
    })
}

/// The time of a source's newest record, of which watermarks are `delay_ms` behind.
pub(super) fn newest<'a>(
    statuses: impl Iterator<Item = (CoreId, &'a SourceStatus)>,
    delay_ms: i64,
) -> Option<Timestamp> {
    let newest = statuses.filter_map(|(_, status)| status.newest).max()?;
    Some(Timestamp::from_millis(newest.millis().saturating_add(delay_ms)))
}

/// Negative for times ahead of it.
#[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
pub(super) fn behind_the_clock(time: Timestamp) -> f64 {
    SystemClock.wall_ms().saturating_sub(time.millis()) as f64 / 1e3
}

/// The key group that most rows of an exchange are of, and its share of the rows looked at.
#[expect(clippy::cast_precision_loss, reason = "shown as a percentage")]
pub(super) fn hottest<'a>(
    outboxes: impl Iterator<Item = &'a OutboxStatus>,
) -> Option<(KeyGroup, f64)> {
    let mut hits: BTreeMap<u16, u64> = BTreeMap::new();
    let mut looks = 0;
    for hot in outboxes.filter_map(|outbox| outbox.hottest) {
        looks += hot.looks;
        *hits.entry(hot.group).or_default() += hot.hits;
    }
    let (group, most) = hits.into_iter().max_by_key(|(_, hits)| *hits)?;
    Some((KeyGroup::of_hash(u64::from(group)), most as f64 / looks.max(1) as f64))
}
