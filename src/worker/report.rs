//! What a core tells the housekeeping thread, and what that thread asks of the cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;

use super::{SinkSlot, SourceSlot, Worker};
use crate::dataflow::{OperatorSpec, SourceIndex};
use crate::limits::{DIVERTED_EXAMPLES_MAX, REPORT_INTERVAL_NS};
use crate::metrics::{LatencyHistogram, OperatorCounters, SinkCounters, SourceCounters};
use crate::operator::{Diverted, DivertedKind};
use crate::source::Rejection;
use crate::stdx::{CoreId, Failure};

/// What the cores should do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum JobCommand {
    /// Read and compute.
    Run,
    /// Stop reading, finish what is in flight, leave windows open.
    Stop,
    /// Stop reading, then close every window as at the end of bounded input.
    Drain,
}

/// The one flag shared by all cores; written by the housekeeping thread, which then wakes them.
#[derive(Clone, Default, Debug)]
pub struct JobSignal(Arc<AtomicU8>);

impl JobSignal {
    /// Asks every core.
    pub fn set(&self, command: JobCommand) {
        let value = match command {
            JobCommand::Run => 0,
            JobCommand::Stop => 1,
            JobCommand::Drain => 2,
        };
        self.0.store(value, Ordering::Release);
    }

    pub(super) fn command(&self) -> JobCommand {
        match self.0.load(Ordering::Acquire) {
            0 => JobCommand::Run,
            1 => JobCommand::Stop,
            _ => JobCommand::Drain,
        }
    }
}

/// Counters of one core, at some moment or at its end.
#[derive(Debug)]
pub struct CoreReport {
    /// Whose.
    pub core: CoreId,
    /// The last report of the core.
    pub is_final: bool,
    /// Why its sources have ended, as far as they have: `Run` when their input did.
    pub ended_by: JobCommand,
    /// Every operator of every stage, with the stage's source, in the order of the stages'
    /// specification.
    pub operators: Vec<(OperatorSpec, Option<SourceIndex>, OperatorCounters)>,
    /// Per source.
    pub sources: Vec<SourceCounters>,
    /// Per sink.
    pub sinks: Vec<SinkCounters>,
    /// Per sink, from arrival to being written; empty unless final.
    pub latencies: Vec<LatencyHistogram>,
    /// From one turn to the next while there was work; only in the last report.
    pub turns: Option<LatencyHistogram>,
    /// The first late and rejected records: reason, with place.
    pub examples: Vec<String>,
    /// What the user should read, each once.
    pub notices: Vec<String>,
    /// Why the core gave up.
    pub failure: Option<Failure>,
}

/// A core's line to the housekeeping thread.
pub struct Reporter {
    core: CoreId,
    reports: mpsc::Sender<CoreReport>,
    due_ns: u64,
    turns: LatencyHistogram,
    examples: Vec<String>,
    notices: Vec<String>,
    said_last: bool,
}

impl Drop for Reporter {
    /// A core whose ring failed has no turn left in which to say so; the others would be waited for.
    fn drop(&mut self) {
        if !self.said_last {
            let what = format!("core {} ended before its work was done", self.core);
            self.send(CoreReport {
                core: self.core,
                is_final: true,
                ended_by: JobCommand::Run,
                operators: Vec::new(),
                sources: Vec::new(),
                sinks: Vec::new(),
                latencies: Vec::new(),
                turns: None,
                examples: Vec::new(),
                notices: Vec::new(),
                failure: Some(Failure::environment(format!("{what}: its io_uring failed"))),
            });
        }
    }
}

impl Reporter {
    /// Reports of `core` go to `reports`.
    pub fn new(core: CoreId, reports: mpsc::Sender<CoreReport>) -> Reporter {
        let (examples, notices) = (Vec::new(), Vec::new());
        let turns = LatencyHistogram::new();
        Reporter { core, reports, due_ns: 0, turns, examples, notices, said_last: false }
    }

    pub(super) fn is_due(&mut self, now_ns: u64) -> bool {
        if now_ns < self.due_ns {
            return false;
        }
        self.due_ns = now_ns + REPORT_INTERVAL_NS;
        true
    }

    pub(super) fn due_ns(&self) -> u64 {
        self.due_ns
    }

    /// Goes out with the next report, which is due at once.
    pub(super) fn note(&mut self, notices: impl Iterator<Item = String>) {
        let known = self.notices.len();
        self.notices.extend(notices);
        if self.notices.len() > known {
            self.due_ns = 0;
        }
    }

    pub(super) fn note_turn(&mut self, turn_ns: u64) {
        self.turns.record(turn_ns, 1);
    }

    pub(super) fn note_rejections(&mut self, rejections: &[Rejection]) {
        for rejection in rejections {
            if self.examples.len() == DIVERTED_EXAMPLES_MAX {
                return;
            }
            let Rejection { origin, offset, reason, .. } = rejection;
            self.examples.push(format!("rejected: {origin} at byte {offset}: {reason}"));
        }
    }

    pub(super) fn note_diverted(&mut self, diverted: &[Diverted]) {
        for rows in diverted {
            if self.examples.len() == DIVERTED_EXAMPLES_MAX {
                return;
            }
            let kind = match rows.kind {
                DivertedKind::Late => "late",
                DivertedKind::Rejected => "rejected",
            };
            let count = rows.rows.len();
            self.examples.push(format!("{kind}: {count} row(s): {}", rows.reason));
        }
    }

    /// Sends; nobody listening any more is no error.
    pub(super) fn send(&mut self, report: CoreReport) {
        self.said_last |= report.is_final;
        let _ = self.reports.send(report);
    }
}

impl Worker {
    pub(super) fn report(&mut self, is_final: bool) -> CoreReport {
        let mut operators = Vec::new();
        for stage in &self.stages {
            let mut specs = stage.operators.iter();
            stage.tree.each_chain(&mut |chain| {
                for counters in chain.counters() {
                    let spec = specs.next().expect("chains are built from these specifications");
                    operators.push((*spec, stage.source, *counters));
                }
            });
        }
        let latencies = self.sinks.iter().filter(|_| is_final).map(SinkSlot::latency).cloned();
        CoreReport {
            core: self.reporter.core,
            is_final,
            ended_by: self.stages.iter().map(|it| it.ended_by).max().unwrap_or(JobCommand::Run),
            operators,
            sources: self.sources.iter().map(SourceSlot::counters).collect(),
            sinks: self.sinks.iter().map(SinkSlot::counters).collect(),
            latencies: latencies.collect(),
            turns: is_final.then(|| self.reporter.turns.clone()),
            examples: self.reporter.examples.clone(),
            notices: std::mem::take(&mut self.reporter.notices),
            failure: None,
        }
    }

    /// Tells why this core gives up.
    pub(super) fn fail(&mut self, failure: Failure) {
        let report = CoreReport { failure: Some(failure), ..self.report(true) };
        self.reporter.send(report);
    }
}
