//! What a core tells the housekeeping thread, and what that thread asks of the cores.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::hot::HotGroups;
use super::{
    BlockedStatus, CheckpointStatus, Epochs, OperatorStatus, OutboxSlot, OutboxStatus, SinkSlot,
    SinkStatus, SourceSlot, SourceStatus, Worker,
};
use crate::dataflow::SourceIndex;
use crate::limits::{DIVERTED_EXAMPLES_MAX, REPORT_INTERVAL_IDLE_NS, REPORT_INTERVAL_NS};
use crate::metrics::{
    CoreActivity, LatencyHistogram, LatencyPartsDelta, RejectionKind, Rejections, SinkCounters,
    SourceCounters,
};
use crate::operator::{Diverted, DivertedKind};
use crate::reactor::Io;
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
    /// When it was made: monotonic ns.
    pub at_ns: u64,
    /// The core's time.
    pub activity: CoreActivity,
    /// Every operator of every stage, in the order of the stages' specification.
    pub operators: Vec<OperatorStatus>,
    /// Per source.
    pub sources: Vec<SourceCounters>,
    /// Per sink.
    pub sinks: Vec<SinkCounters>,
    /// Per source, besides its counters.
    pub source_statuses: Vec<SourceStatus>,
    /// Per sink, besides its counters.
    pub sink_statuses: Vec<SinkStatus>,
    /// Per sink, of what was released since the last report.
    pub sink_latencies: Vec<LatencyPartsDelta>,
    /// Sending ends of exchanges.
    pub outboxes: Vec<OutboxStatus>,
    /// Whom stages have waited for.
    pub blocked: Vec<BlockedStatus>,
    /// How epochs go; `None` without durability.
    pub checkpoint: Option<CheckpointStatus>,
    /// Per source, and last those of operators that several sources feed.
    pub rejections: Vec<Rejections>,
    /// Per sink, from arrival to release; empty unless final.
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

impl CoreReport {
    /// A core that has done nothing.
    pub fn of(core: CoreId) -> CoreReport {
        CoreReport {
            core,
            is_final: false,
            ended_by: JobCommand::Run,
            at_ns: 0,
            activity: CoreActivity::default(),
            operators: Vec::new(),
            sources: Vec::new(),
            sinks: Vec::new(),
            source_statuses: Vec::new(),
            sink_statuses: Vec::new(),
            sink_latencies: Vec::new(),
            outboxes: Vec::new(),
            blocked: Vec::new(),
            checkpoint: None,
            rejections: Vec::new(),
            latencies: Vec::new(),
            turns: None,
            examples: Vec::new(),
            notices: Vec::new(),
            failure: None,
        }
    }
}

/// A core's line to the housekeeping thread.
pub struct Reporter {
    core: CoreId,
    hand_over: Box<dyn Fn(CoreReport)>,
    due_ns: u64,
    /// Something was done since the last report.
    has_news: bool,
    activity: CoreActivity,
    rejections: Vec<Rejections>,
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
            let failure = Failure::environment(format!("{what}: its io_uring failed"));
            self.send(CoreReport {
                is_final: true,
                failure: Some(failure),
                ..CoreReport::of(self.core)
            });
        }
    }
}

impl Reporter {
    /// Reports of `core` are given to `hand_over`.
    pub fn new(core: CoreId, hand_over: impl Fn(CoreReport) + 'static) -> Reporter {
        Reporter {
            core,
            hand_over: Box::new(hand_over),
            due_ns: 0,
            has_news: false,
            activity: CoreActivity::default(),
            rejections: Vec::new(),
            turns: LatencyHistogram::new(),
            examples: Vec::new(),
            notices: Vec::new(),
            said_last: false,
        }
    }

    /// Asked every turn. A core that does nothing says so less often.
    pub(super) fn is_due(&mut self, now_ns: u64, busy: bool) -> bool {
        if busy && !self.has_news {
            self.has_news = true;
            self.due_ns = self.due_ns.min(now_ns + REPORT_INTERVAL_NS);
        }
        if now_ns < self.due_ns {
            return false;
        }
        self.has_news = busy;
        let interval_ns = if busy { REPORT_INTERVAL_NS } else { REPORT_INTERVAL_IDLE_NS };
        self.due_ns = now_ns + interval_ns;
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
        self.activity.turns += 1;
        self.activity.busy_ns += turn_ns;
    }

    /// Of a source, or of an operator that several sources feed.
    fn count_rejections(
        &mut self,
        source: Option<SourceIndex>,
        sources: usize,
        kind: RejectionKind,
        count: u64,
    ) {
        self.rejections.resize(sources + 1, Rejections::default());
        self.rejections[source.map_or(sources, |source| source.0)].add(kind, count);
    }

    pub(super) fn note_rejections(
        &mut self,
        rejections: &[Rejection],
        source: Option<SourceIndex>,
        sources: usize,
    ) {
        for rejection in rejections {
            self.count_rejections(source, sources, rejection.kind, 1);
            if self.examples.len() == DIVERTED_EXAMPLES_MAX {
                continue;
            }
            let Rejection { origin, offset, reason, .. } = rejection;
            self.examples.push(format!("rejected: {origin} at byte {offset}: {reason}"));
        }
    }

    pub(super) fn note_diverted(
        &mut self,
        diverted: &[Diverted],
        source: Option<SourceIndex>,
        sources: usize,
    ) {
        for rows in diverted {
            let count = rows.rows.len();
            let kind = match rows.kind {
                DivertedKind::Late => "late",
                DivertedKind::Rejected => {
                    let kind = RejectionKind::Evaluate;
                    self.count_rejections(source, sources, kind, count as u64);
                    "rejected"
                }
            };
            if self.examples.len() == DIVERTED_EXAMPLES_MAX {
                continue;
            }
            self.examples.push(format!("{kind}: {count} row(s): {}", rows.reason));
        }
    }

    /// Hands over.
    pub(super) fn send(&mut self, report: CoreReport) {
        self.said_last |= report.is_final;
        (self.hand_over)(report);
    }
}

impl Worker {
    pub(super) fn report(&mut self, is_final: bool, io: &dyn Io) -> CoreReport {
        let mut operators = Vec::new();
        let (stages, meter) = (&self.stages, &mut self.meter);
        for stage in stages {
            let mut specs = stage.operators.iter();
            stage.tree.each_chain(&mut |chain, batches_out| {
                let activities = chain.activities(meter, batches_out);
                for (counters, (activity, watermark, turns)) in chain.counters().zip(activities) {
                    let spec = specs.next().expect("chains are built from these specifications");
                    operators.push(OperatorStatus {
                        spec: *spec,
                        source: stage.source,
                        counters: *counters,
                        activity,
                        watermark,
                        turns,
                    });
                }
            });
        }
        let blocked = self.stages.iter().enumerate();
        let blocked = blocked.flat_map(|(index, stage)| stage.blocked.statuses(index)).collect();
        let hottest = |slot: &mut OutboxSlot| slot.hot.as_mut().and_then(HotGroups::take);
        let mut hottest = self.outboxes.iter_mut().map(hottest).collect::<Vec<_>>().into_iter();
        let mut outbox = |slot: &OutboxSlot| OutboxStatus {
            hottest: hottest.next().flatten(),
            edge: slot.edge,
            rows: slot.outbox.rows(),
            busy_ns: self.meter.spent_ns(slot.account),
            queued: slot.outbox.queued() as u64,
            queued_max: slot.outbox.elements_max() as u64,
        };
        let source = |slot: &SourceSlot| slot.status(self.meter.spent_ns(slot.account()));
        let sink = |slot: &SinkSlot| slot.status(self.meter.spent_ns(slot.account()));
        let sink_latencies = self.sinks.iter_mut().map(SinkSlot::take_latencies).collect();
        let activity = CoreActivity { parked_ns: io.parked_ns(), ..self.reporter.activity };
        let latencies = self.sinks.iter().filter(|_| is_final).map(SinkSlot::latency).cloned();
        CoreReport {
            core: self.reporter.core,
            is_final,
            ended_by: self.stages.iter().map(|it| it.ended_by).max().unwrap_or(JobCommand::Run),
            at_ns: self.turn_began_ns,
            activity,
            operators,
            source_statuses: self.sources.iter().map(source).collect(),
            sink_statuses: self.sinks.iter().map(sink).collect(),
            sink_latencies,
            outboxes: self.outboxes.iter().map(&mut outbox).collect(),
            blocked,
            checkpoint: self.epochs.as_ref().map(Epochs::status),
            rejections: self.reporter.rejections.clone(),
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
    pub(super) fn fail(&mut self, failure: Failure, io: &dyn Io) {
        let report = CoreReport { failure: Some(failure), ..self.report(true, io) };
        self.reporter.send(report);
    }
}
