//! Live: what the housekeeping thread knows of a running job.
//!
//! In:  the cores' reports.
//! Out: a [`Status`], the answers to HTTP's questions.
//!
//! Read: `states` (the parts of a status) · `reading` (reports) · `latencies`.
//!
//! Rates are differences to a report one to two seconds old.

mod latencies;
mod reading;
mod states;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::http::{Answer, Page};
use super::names::Names;
use super::prometheus;
use super::status::{STATUS_SCHEMA, Status};
use super::totals::Totals;
use crate::dataflow::OperatorSpec;
use crate::limits::CORE_SILENT_NS_MAX;
use crate::metrics::LatencyParts;
use crate::reactor::{Clock, SystemClock, process_descriptors, process_usage};
use crate::stdx::CoreId;
use crate::worker::CoreReport;
use latencies::{OperatorTurns, SinkLatencies};

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
            checkpoint: self.checkpoint(now_ns),
            blocked: self.blocked(),
            examples: totals.examples,
            notices: self.notices.iter().cloned().collect(),
        }
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
