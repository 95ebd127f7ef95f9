//! `explain --live`: the tree with the figures of a running job, and its bottleneck.

use super::model::Explained;
use super::text;
use crate::control::status::{LatencyState, Status};

/// A core that works for so much of its time has none left.
const SATURATED_SHARE: f64 = 0.9;

/// A stage that waits for so much of its time is held up.
const BLOCKED_SHARE: f64 = 0.1;

/// The tree of `explained`, which `status` is of.
pub(in crate::control) fn live(explained: &Explained, status: &Status) -> String {
    let mut tree = text::tree_with(explained, &|part| figures(status, part));
    tree += &format!("bottleneck: {}\n", bottleneck(status));
    tree
}

fn figures(status: &Status, part: &str) -> Option<String> {
    if let Some(operator) = status.operators.iter().find(|operator| operator.id == part) {
        let state = match operator.state_bytes {
            0 => String::new(),
            bytes => format!(", state {} keys {}", operator.state_entries, size(bytes)),
        };
        let turn = match operator.turn_us.rows {
            0 => String::new(),
            _ => format!(", p99 {:.0} us of a turn", operator.turn_us.p99),
        };
        return Some(format!(
            "{:.0} rows/s, busy {}{state}{turn}",
            operator.rows_per_second,
            percent(operator.busy_share),
        ));
    }
    if let Some(name) = part.strip_prefix("source ") {
        let source = status.sources.iter().find(|source| source.name == name)?;
        return Some(format!(
            "{:.0} records/s, {}/s, busy {}",
            source.records_per_second,
            size(whole(source.bytes_per_second)),
            percent(source.busy_share)
        ));
    }
    if let Some(name) = part.strip_prefix("sink ") {
        let sink = status.sinks.iter().find(|sink| sink.name == name)?;
        return Some(format!(
            "{:.0} rows/s, busy {}{}",
            sink.rows_per_second,
            percent(sink.busy_share),
            latency(&sink.latency_us)
        ));
    }
    let number: usize = part.strip_prefix("exchange ")?.parse().ok()?;
    let exchange = status.exchanges.iter().find(|exchange| exchange.exchange == number)?;
    let (queued, most) = (exchange.queued_elements, exchange.queued_elements_max);
    Some(format!(
        "queue {queued} of {most}, {} rows so far, busy {}",
        exchange.rows,
        percent(exchange.busy_share)
    ))
}

/// The one thing that keeps the job from doing more, in words.
pub(in crate::control) fn bottleneck(status: &Status) -> String {
    if let Some(sink) = status.sinks.iter().find(|sink| sink.blocked_by.is_some()) {
        let by = sink.blocked_by.as_deref().unwrap_or_default();
        return format!("sink {}: {by}", sink.name);
    }
    let busiest =
        status.cores.iter().max_by(|one, other| one.busy_share.total_cmp(&other.busy_share));
    if let Some(core) = busiest.filter(|core| core.busy_share >= SATURATED_SHARE) {
        let others = status.cores.iter().filter(|other| other.core != core.core);
        let lone =
            status.cores.len() > 1 && others.clone().all(|it| it.busy_share < SATURATED_SHARE);
        let alone = if lone { ", the others have time left" } else { "" };
        return format!(
            "core {} works {} of its time, most of it in {}{alone}",
            core.core,
            percent(core.busy_share),
            busiest_part(status)
        );
    }
    let held = status.blocked.iter().max_by(|one, other| one.share.total_cmp(&other.share));
    if let Some(held) = held.filter(|held| held.share >= BLOCKED_SHARE) {
        return format!(
            "{} on core {} waits {} of its time for {}",
            held.stage,
            held.core,
            percent(held.share),
            held.by
        );
    }
    "none: the job waits for input".to_owned()
}

/// What takes most of the time, over all cores.
fn busiest_part(status: &Status) -> String {
    let operators = status.operators.iter().map(|it| (it.busy_share, it.operator.clone()));
    let sources =
        status.sources.iter().map(|it| (it.busy_share, format!("reading source {}", it.name)));
    let sinks = status.sinks.iter().map(|it| (it.busy_share, format!("writing sink {}", it.name)));
    let exchanges =
        status.exchanges.iter().map(|it| (it.busy_share, format!("exchange {}", it.exchange)));
    let parts = operators.chain(sources).chain(sinks).chain(exchanges);
    let most = parts.max_by(|one, other| one.0.total_cmp(&other.0));
    most.map_or_else(|| "nothing that is measured".to_owned(), |(_, part)| part)
}

fn latency(latency: &LatencyState) -> String {
    match latency.rows {
        0 => String::new(),
        _ => format!(", p99 {:.0} us", latency.p99),
    }
}

pub(in crate::control) fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is no negative number, and is shown rounded"
)]
fn whole(rate: f64) -> u64 {
    rate as u64
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn size(bytes: u64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1024.0 && unit + 1 < units.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{size:.1} {}", units[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::status::{BlockedState, CoreState, OperatorState, SinkState, SourceState};

    fn core(core: u16, busy_share: f64) -> CoreState {
        CoreState { core, busy_share, ..CoreState::default() }
    }

    fn loaded(shares: &[f64]) -> Status {
        let operator = OperatorState {
            operator: "window".into(),
            busy_share: 0.8,
            ..OperatorState::default()
        };
        let source = SourceState { name: "bid".into(), busy_share: 0.3, ..SourceState::default() };
        Status {
            cores: (0..).zip(shares).map(|(number, share)| core(number, *share)).collect(),
            operators: vec![operator],
            sources: vec![source],
            ..Status::default()
        }
    }

    #[test]
    fn the_bottleneck_is_who_others_wait_for() {
        assert_eq!(bottleneck(&loaded(&[0.2, 0.3])), "none: the job waits for input");
        let lone = "core 1 works 97 % of its time, most of it in window, the others have time left";
        assert_eq!(bottleneck(&loaded(&[0.5, 0.97])), lone);
        let all = "core 0 works 95 % of its time, most of it in window";
        assert_eq!(bottleneck(&loaded(&[0.95])), all);
        let mut held = loaded(&[0.2]);
        held.blocked = vec![BlockedState {
            stage: "source bid".into(),
            by: "core 1 (exchange 1)".into(),
            share: 0.5,
            ..BlockedState::default()
        }];
        let words = "source bid on core 0 waits 50 % of its time for core 1 (exchange 1)";
        assert_eq!(bottleneck(&held), words);
        held.sinks = vec![SinkState {
            name: "out".into(),
            blocked_by: Some("subscriber 1.2.3.4:5 has 9 bytes to take".into()),
            ..SinkState::default()
        }];
        assert_eq!(bottleneck(&held), "sink out: subscriber 1.2.3.4:5 has 9 bytes to take");
    }

    #[test]
    fn sizes_are_short() {
        assert_eq!(
            [0, 1023, 1024, 1_536, 3 << 30].map(size).join(" "),
            "0 B 1023 B 1.0 KiB 1.5 KiB 3.0 GiB"
        );
    }
}
