//! Live: what the housekeeping thread knows of a running job.
//!
//! In:  the cores' reports.
//! Out: a [`Status`], the answers to HTTP's questions.
//!
//! Read: `reading` (reports) · `latencies`.
//!
//! Rates are differences to a report one to two seconds old.

mod latencies;
mod reading;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::http::{Answer, Page};
use super::names::{self, Names};
use super::prometheus;
use super::status::{
    BlockedState, CoreState, ExchangeState, OperatorState, STATUS_SCHEMA, SinkState, SourceState,
    Status,
};
use super::totals::Totals;
use crate::dataflow::OperatorSpec;
use crate::limits::CORE_SILENT_NS_MAX;
use crate::metrics::{
    LatencyPart, LatencyParts, OperatorActivity, OperatorCounters, RejectionKind,
};
use crate::reactor::{Clock, SystemClock, process_descriptors, process_usage};
use crate::stdx::CoreId;
use crate::worker::CoreReport;
use latencies::{OperatorTurns, SinkLatencies, latency_state, parts_state};
use reading::{OnCore, behind_the_clock, hottest, lowest, newest, on_core};

/// Reports are kept for rates at least this far apart, ns.
const RATES_NS_MIN: u64 = 1_000_000_000;

/// Notices kept for the status.
const NOTICES_MAX: usize = 32;

/// What stays the same during a run.
#[derive(Clone, Debug)]
pub(super) struct RunIdentity {
    pub(super) job: String,
    /// Absolute.
    pub(super) directory: String,
    pub(super) run: u32,
    pub(super) began_ns: u64,
    /// The CPU of each core.
    pub(super) cpus: Vec<usize>,
}

/// See the module.
pub(super) struct Live {
    identity: RunIdentity,
    names: Names,
    newest: Vec<Option<Rc<CoreReport>>>,
    /// One to two seconds older, and those that will be.
    before: Vec<Option<Rc<CoreReport>>>,
    next_before: Vec<Option<Rc<CoreReport>>>,
    kept_ns: u64,
    /// By source: when its records were last seen to be more.
    last_record_ns: Vec<u64>,
    notices: VecDeque<String>,
    /// By sink.
    latencies: Vec<SinkLatencies>,
    operator_turns: BTreeMap<OperatorSpec, OperatorTurns>,
}

impl Live {
    pub(super) fn new(identity: RunIdentity, names: Names) -> Live {
        let none = vec![None; identity.cpus.len()];
        let kept_ns = identity.began_ns;
        let latencies = names.sinks.iter().map(|_| SinkLatencies::default()).collect();
        let last_record_ns = vec![identity.began_ns; names.sources.len()];
        Live {
            identity,
            names,
            newest: none.clone(),
            before: none.clone(),
            next_before: none,
            kept_ns,
            last_record_ns,
            notices: VecDeque::new(),
            latencies,
            operator_turns: BTreeMap::new(),
        }
    }

    pub(super) fn take(&mut self, mut report: CoreReport) {
        let deltas = std::mem::take(&mut report.sink_latencies);
        for (latencies, delta) in self.latencies.iter_mut().zip(deltas) {
            latencies.add(report.at_ns, delta);
        }
        for status in &mut report.operators {
            let turns = self.operator_turns.entry(status.spec).or_default();
            turns.add(report.at_ns, std::mem::take(&mut status.turns));
        }
        if report.at_ns.saturating_sub(self.kept_ns) >= RATES_NS_MIN {
            self.kept_ns = report.at_ns;
            self.before = std::mem::replace(&mut self.next_before, self.newest.clone());
        }
        let index = report.core.index();
        for (source, counters) in report.sources.iter().enumerate() {
            let before = self.newest[index].as_ref().and_then(|it| it.sources.get(source));
            if counters.records_in > before.map_or(0, |before| before.records_in) {
                self.last_record_ns[source] = self.last_record_ns[source].max(report.at_ns);
            }
        }
        self.newest[index] = Some(Rc::new(report));
    }

    /// Something the user was told.
    pub(super) fn note(&mut self, notice: String) {
        if self.notices.len() == NOTICES_MAX {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }

    /// The newest reports, of the cores that have sent one.
    pub(super) fn reports(&self) -> impl Iterator<Item = &CoreReport> {
        self.newest.iter().flatten().map(|report| &**report)
    }

    pub(super) fn all_final(&self) -> bool {
        self.newest.iter().all(|report| report.as_ref().is_some_and(|report| report.is_final))
    }

    pub(super) fn totals(&self) -> Totals {
        Totals::of(self.reports())
    }

    /// What one who asks for a page gets.
    pub(super) fn answer(&self, page: Page, stopping: bool) -> Answer {
        match page {
            Page::Health => self.health(),
            Page::Ready if stopping => Answer::text(503, "stopping\n"),
            Page::Ready if !self.is_ready() => Answer::text(503, "starting\n"),
            Page::Ready => Answer::text(200, "ready\n"),
            Page::Status => {
                let body =
                    serde_json::to_string(&self.status(stopping)).expect("plain data") + "\n";
                Answer { code: 200, content_type: "application/json", body }
            }
            Page::Metrics => {
                Answer { code: 200, content_type: prometheus::CONTENT_TYPE, body: self.metrics() }
            }
        }
    }

    fn metrics(&self) -> String {
        let latencies: Vec<&LatencyParts> = self.latencies().collect();
        prometheus::text(&self.identity, &self.names, &self.newest, &latencies)
    }

    /// Per sink, of the whole run.
    pub(super) fn latencies(&self) -> impl Iterator<Item = &LatencyParts> {
        self.latencies.iter().map(|it| &it.overall)
    }

    pub(super) fn is_ready(&self) -> bool {
        self.newest.iter().all(Option::is_some)
    }

    fn health(&self) -> Answer {
        match self.silent_core() {
            Some((core, seconds)) => {
                Answer::text(503, format!("core {core} has not reported for {seconds} s\n"))
            }
            None => Answer::text(200, "ok\n"),
        }
    }

    /// A core that does not report is stuck: which, and for how many seconds.
    pub(super) fn silent_core(&self) -> Option<(CoreId, u64)> {
        let now_ns = SystemClock.monotonic_ns();
        let silent = |report: &&CoreReport| {
            !report.is_final && now_ns.saturating_sub(report.at_ns) > CORE_SILENT_NS_MAX
        };
        let report = self.reports().find(silent)?;
        Some((report.core, now_ns.saturating_sub(report.at_ns) / 1_000_000_000))
    }

    pub(super) fn status(&self, stopping: bool) -> Status {
        let totals = self.totals();
        let (usage, descriptors) = (process_usage(), process_descriptors());
        let now_ns = SystemClock.monotonic_ns();
        Status {
            schema: STATUS_SCHEMA,
            job: self.identity.job.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            directory: self.identity.directory.clone(),
            run: self.identity.run,
            pid: std::process::id(),
            ready: self.is_ready(),
            stopping,
            uptime_seconds: seconds(now_ns.saturating_sub(self.identity.began_ns)),
            cpu_seconds: usage.cpu.as_secs_f64(),
            memory_bytes: usage.memory_bytes,
            memory_peak_bytes: usage.memory_peak_bytes,
            descriptors_open: descriptors.open,
            descriptors_max: descriptors.max,
            late_rows: totals.late(),
            rejected_records: totals.rejected(),
            held_rows: totals.held(),
            sources: self.sources(&totals, now_ns),
            operators: self.operators(&totals),
            exchanges: self.exchanges(),
            sinks: self.sinks(&totals),
            cores: self.cores(now_ns),
            blocked: self.blocked(),
            examples: totals.examples,
            notices: self.notices.iter().cloned().collect(),
        }
    }

    fn sources(&self, totals: &Totals, now_ns: u64) -> Vec<SourceState> {
        let state = |(index, name): (usize, &String)| {
            let counters = totals.sources.get(index).copied().unwrap_or_default();
            let diverted = totals.diverted.get(&crate::dataflow::SourceIndex(index));
            let statuses = || {
                self.reports().filter_map(move |report| {
                    report.source_statuses.get(index).map(|status| (report.core, status))
                })
            };
            let rejected = RejectionKind::ALL.map(|kind| {
                let of = |report: &CoreReport| {
                    report.rejections.get(index).map_or(0, |rejections| rejections.of(kind))
                };
                (kind.name().to_owned(), self.reports().map(of).sum())
            });
            let newest = newest(statuses(), self.names.delays_ms[index]);
            SourceState {
                newest_time: newest.map(|time| time.to_string()),
                lag_seconds: newest.map(behind_the_clock),
                name: name.clone(),
                connector: self.names.connectors[index].clone(),
                silent_seconds: seconds(now_ns.saturating_sub(self.last_record_ns[index])),
                records_in: counters.records_in,
                bytes_in: counters.bytes_in,
                rows_out: counters.rows_out,
                records_per_second: self.rate(|it| it.sources.get(index).map(|it| it.records_in)),
                bytes_per_second: self.rate(|it| it.sources.get(index).map(|it| it.bytes_in)),
                late_rows: diverted.map_or(0, |diverted| diverted.late),
                rejected: rejected.into(),
                splits_open: statuses().map(|(_, status)| status.open_splits).sum(),
                splits_opened: counters.splits_opened,
                connections_refused: counters.connections_refused,
                connections_failed: counters.connections_failed,
                frames_in: counters.frames_in,
                bytes_copied: counters.bytes_copied,
                buffer_waits: counters.buffer_waits,
                columns_unknown: counters.columns_unknown,
                busy_share: self.share(|it| it.source_statuses.get(index).map(|it| it.busy_ns)),
                ended: statuses().all(|(_, status)| status.has_ended),
                watermark: lowest(name, statuses(), now_ns),
            }
        };
        self.names.sources.iter().enumerate().map(state).collect()
    }

    fn operators(&self, totals: &Totals) -> Vec<OperatorState> {
        let state = |(spec, counters): (&OperatorSpec, &OperatorCounters)| {
            let on_core = |report: &CoreReport| on_core(report, *spec);
            let all: Vec<OnCore> = self.reports().map(on_core).collect();
            let activity = all.iter().fold(OperatorActivity::default(), |mut sum, one| {
                sum += one.activity;
                sum
            });
            let lowest = all.iter().filter_map(|one| one.watermark).min();
            let by_core = |ns: fn(&OnCore) -> u64| {
                let at = |index| self.share_on(index, |report| Some(ns(&on_core(report))));
                (0..self.newest.len()).map(at).collect()
            };
            OperatorState {
                id: names::operator_id(*spec),
                operator: self.names.operator(*spec),
                rows_in: counters.rows_in,
                rows_out: counters.rows_out,
                rows_per_second: self.rate(|it| Some(on_core(it).rows_in)),
                batches_in: activity.batches_in,
                batches_out: activity.batches_out,
                filtered: counters.filtered,
                late: counters.late,
                rejected: counters.rejected,
                absorbed: counters.absorbed,
                held: counters.held,
                busy_seconds: seconds(activity.busy_ns),
                busy_share: self.share(|it| Some(on_core(it).activity.busy_ns)),
                turn_us: self
                    .operator_turns
                    .get(spec)
                    .map(OperatorTurns::state)
                    .unwrap_or_default(),
                state_entries: activity.state.entries,
                state_bytes: activity.state.bytes,
                watermark: lowest.map(|time| time.to_string()),
                rows_in_by_core: all.iter().map(|one| one.rows_in).collect(),
                busy_share_by_core: by_core(|one| one.activity.busy_ns),
            }
        };
        totals.operators.iter().map(state).collect()
    }

    fn exchanges(&self) -> Vec<ExchangeState> {
        let state = |edge: usize| {
            let outboxes = || {
                let all = self.reports().flat_map(|report| &report.outboxes);
                all.filter(move |outbox| outbox.edge.0 == edge)
            };
            let busy_ns = |report: &CoreReport| {
                let own = report.outboxes.iter().filter(|outbox| outbox.edge.0 == edge);
                Some(own.map(|outbox| outbox.busy_ns).sum())
            };
            let hottest = hottest(outboxes());
            let core_count = u16::try_from(self.newest.len()).expect("limits::CORES_MAX at most");
            ExchangeState {
                hottest_key_group: hottest.map(|(group, _)| group.number()),
                hottest_key_group_core: hottest.map(|(group, _)| group.owner(core_count).number()),
                hottest_key_group_share: hottest.map_or(0.0, |(_, share)| share),
                exchange: edge + 1,
                rows: outboxes().map(|outbox| outbox.rows).sum(),
                queued_elements: outboxes().map(|outbox| outbox.queued).sum(),
                queued_elements_max: outboxes().map(|outbox| outbox.queued_max).sum(),
                busy_share: self.share(busy_ns),
            }
        };
        (0..self.names.exchanges).map(state).collect()
    }

    fn sinks(&self, totals: &Totals) -> Vec<SinkState> {
        let state = |(index, name): (usize, &String)| {
            let counters = totals.sinks.get(index).copied().unwrap_or_default();
            let blocked_by = |report: &CoreReport| {
                let status = report.sink_statuses.get(index)?;
                let unnamed = || status.is_full.then(|| "what is unwritten".to_owned());
                status.blocked_by.clone().or_else(unnamed)
            };
            let latencies = &self.latencies[index];
            SinkState {
                name: name.clone(),
                rows_in: counters.rows_in,
                rows_out: counters.rows_out,
                rows_discarded: counters.rows_discarded,
                bytes_out: counters.bytes_out,
                rows_per_second: self.rate(|it| it.sinks.get(index).map(|it| it.rows_out)),
                bytes_per_second: self.rate(|it| it.sinks.get(index).map(|it| it.bytes_out)),
                busy_share: self.share(|it| it.sink_statuses.get(index).map(|it| it.busy_ns)),
                blocked_by: self.reports().find_map(blocked_by),
                latency_us: latency_state(latencies.recent.of(LatencyPart::Total)),
                latency_us_overall: latency_state(latencies.overall.of(LatencyPart::Total)),
                latency_parts_us: parts_state(&latencies.recent),
                latency_parts_us_overall: parts_state(&latencies.overall),
            }
        };
        self.names.sinks.iter().enumerate().map(state).collect()
    }

    fn cores(&self, now_ns: u64) -> Vec<CoreState> {
        let state = |report: &CoreReport| {
            let index = report.core.index();
            let queued: u64 = report.outboxes.iter().map(|outbox| outbox.queued).sum();
            let queued_max: u64 = report.outboxes.iter().map(|outbox| outbox.queued_max).sum();
            CoreState {
                core: report.core.number(),
                cpu: self.identity.cpus[index],
                busy_share: self.share_on(index, |it| Some(it.activity.busy_ns)),
                parked_share: self.share_on(index, |it| Some(it.activity.parked_ns)),
                turns: report.activity.turns,
                queue_fill: ratio(queued, queued_max),
                reported_seconds_ago: seconds(now_ns.saturating_sub(report.at_ns)),
            }
        };
        self.reports().map(state).collect()
    }

    fn blocked(&self) -> Vec<BlockedState> {
        let mut states = Vec::new();
        for report in self.reports() {
            for blocked in &report.blocked {
                let same = |it: &CoreReport| {
                    let mut all = it.blocked.iter();
                    let found =
                        all.find(|other| (other.stage, other.by) == (blocked.stage, blocked.by));
                    Some(found.map_or(0, |found| found.blocked_ns))
                };
                states.push(BlockedState {
                    core: report.core.number(),
                    stage: self.names.stages[blocked.stage].clone(),
                    by: self.names.blocked_by(blocked.by),
                    seconds: seconds(blocked.blocked_ns),
                    share: self.share_on(report.core.index(), same),
                });
            }
        }
        states
    }

    /// Per second, over all cores.
    fn rate(&self, count: impl Fn(&CoreReport) -> Option<u64>) -> f64 {
        (0..self.newest.len()).map(|index| self.rate_on(index, &count)).sum()
    }

    /// Of one core's time, over all cores.
    fn share(&self, ns: impl Fn(&CoreReport) -> Option<u64>) -> f64 {
        self.rate(ns) / 1e9
    }

    fn share_on(&self, core: usize, ns: impl Fn(&CoreReport) -> Option<u64>) -> f64 {
        self.rate_on(core, &ns) / 1e9
    }

    fn rate_on(&self, core: usize, count: &impl Fn(&CoreReport) -> Option<u64>) -> f64 {
        let Some(newest) = &self.newest[core] else { return 0.0 };
        let before = self.before[core].as_ref();
        let (count_before, before_ns) = before.map_or((0, self.identity.began_ns), |before| {
            (count(before).unwrap_or(0), before.at_ns)
        });
        let counted = count(newest).unwrap_or(0).saturating_sub(count_before);
        ratio(counted, newest.at_ns.saturating_sub(before_ns)) * 1e9
    }
}

pub(super) fn seconds(ns: u64) -> f64 {
    std::time::Duration::from_nanos(ns).as_secs_f64()
}

#[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests;
