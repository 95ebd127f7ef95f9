//! One core's turn: the shortest true account of the machine.
//!
//! In:  what the core's sources read and what other cores sent.
//! Out: rows in sinks, elements in outboxes, and reports for the housekeeping thread.
//!
//! Read: this file · `budget` (rows of a turn) · `tree` (a stage's operators) · `port` (what trees write to) · `sources` ·
//! `sinks` with `latency` · `epochs` (barriers, and what they capture) · `build` (a core's worker from the job) · `diversion` (late and rejected rows) · `hot` (key groups), `status` and `report` (what a core tells the housekeeping thread).
//!
//! Invariants
//! - Stages are served from the sinks backwards, so a stage waits for later stages only.
//! - A stage that cannot pass anything on is skipped; the others go on.
//! - A turn handles a bounded number of rows per stage.

mod budget;
mod build;
mod diversion;
mod epochs;
mod hot;
mod latency;
mod port;
mod report;
mod sinks;
mod sources;
mod status;
mod tree;

pub use build::{DiversionSpec, JobGraph, Wiring};
pub use diversion::DIVERSION_SCHEMA;
pub(crate) use diversion::Diversion;
pub(crate) use epochs::Epochs;
pub use epochs::{CheckpointSetup, CheckpointStatus};
pub use hot::HotGroup;
pub(crate) use hot::HotGroups;
pub use report::{CoreReport, JobCommand, JobSignal, Reporter};
pub(crate) use sinks::SinkSlot;
pub(crate) use sources::SourceSlot;
pub(crate) use status::Blocked;
pub use status::{
    BlockedBy, BlockedStatus, OperatorStatus, OutboxStatus, SinkStatus, SourceStatus,
};
pub(crate) use tree::{Blocker, Outlet, SinkWriter, Tree};

use crate::dataflow::{EdgeIndex, OperatorSpec, SinkIndex, SourceIndex};
use crate::exchange::{Inbox, Outbox};
use crate::limits::BLOCKED_LOOK_AGAIN_NS;
use crate::metrics::{Account, Meter};
use crate::operator::Diverted;
use crate::reactor::{Io, Task, Turn};
use crate::record::{Cause, Element, Epoch, Timestamp, Watermark};
use crate::source::SourceProgress;
use crate::stdx::{Failpoint, Failure};
use budget::TurnBudget;
use port::Port;

/// The dataflow of one core.
pub struct Worker {
    pub(crate) stages: Vec<Stage>,
    pub(crate) sources: Vec<SourceSlot>,
    pub(crate) outboxes: Vec<OutboxSlot>,
    pub(crate) sinks: Vec<SinkSlot>,
    pub(crate) diversions: Vec<Diversion>,
    /// `None` without durability.
    pub(crate) epochs: Option<Epochs>,
    pub(crate) signal: JobSignal,
    pub(crate) reporter: Reporter,
    /// Rows each stage handles in one turn.
    budget: TurnBudget,
    pub(crate) diverted: Vec<Diverted>,
    pub(crate) command_seen: JobCommand,
    /// A rejected record that ends the job, or a journal that cannot be written.
    pub(crate) failure: Option<Failure>,
    pub(crate) turn_began_ns: u64,
    /// Rows all stages have handled in this turn.
    turn_rows: usize,
    pub(crate) was_busy: bool,
    pub(crate) meter: Meter,
}

/// A sending end of an exchange on this core.
pub(crate) struct OutboxSlot {
    pub(crate) outbox: Outbox,
    pub(crate) edge: EdgeIndex,
    pub(crate) account: Account,
    /// Of an exchange by key.
    pub(crate) hot: Option<HotGroups>,
}

/// A stage on this core.
pub(crate) struct Stage {
    pub(crate) input: Input,
    pub(crate) tree: Tree,
    /// The operators of all its chains, as `Tree::each_chain` meets them.
    pub(crate) operators: Vec<OperatorSpec>,
    /// Whose late and rejected sinks its diverted rows go to.
    pub(crate) source: Option<SourceIndex>,
    /// Nothing more will come in.
    pub(crate) input_ended: bool,
    /// What a source's end was owed to.
    pub(crate) ended_by: JobCommand,
    /// Everything has come, gone through and been flushed.
    pub(crate) ended: bool,
    /// When the input alone makes work: monotonic ns.
    pub(crate) wakes_at_ns: Option<u64>,
    pub(crate) blocked: Blocked,
    /// A barrier that its source is to let out.
    pub(crate) barrier_due: Option<Epoch>,
    /// The last epoch whose end has passed all of its operators.
    pub(crate) passed: Option<Epoch>,
}

/// Where a stage's elements come from on this core.
pub(crate) enum Input {
    /// A source, by its index.
    Source(usize),
    /// An exchange.
    Edge(Inbox),
}

impl Task for Worker {
    fn turn(&mut self, io: &mut dyn Io) -> Turn {
        let now_ns = io.round_ns();
        let now = Timestamp::from_millis(io.round_ms());
        self.measure_turn(now_ns);
        let mut busy = self.obey(io);
        busy |= self.begin_epochs(io);
        for sink in &mut self.sinks {
            let outer = self.meter.enter(sink.account());
            busy |= sink.poll(io);
            self.meter.enter(outer);
        }
        for index in (0..self.stages.len()).rev() {
            busy |= self.serve(index, now, io);
        }
        // Results need not wait for the rest of the turn.
        io.submit();
        for source in &mut self.sources {
            source.drain_messages(io);
        }
        busy |= self.advance_epoch(io);
        self.end_diversions(io);
        let mut waits_for_core = false;
        for OutboxSlot { outbox, .. } in &mut self.outboxes {
            busy |= outbox.flush();
            waits_for_core |= outbox.is_full() || !outbox.is_drained();
        }
        busy |= self.housekeep();
        busy |= self.finish_epochs(io);
        self.was_busy = busy;
        self.answer(busy, waits_for_core, io)
    }
}

impl Worker {
    /// One stage: unfinished work first, then new elements while there is room and budget. True when
    /// something was done or can be done at once.
    fn serve(&mut self, index: usize, now: Timestamp, io: &mut dyn Io) -> bool {
        if self.stages[index].ended {
            return false;
        }
        let (turn_rows, now_ns) = (self.budget.rows(), self.turn_began_ns);
        let Worker { stages, sources, outboxes, sinks, diverted, diversions, meter, .. } = self;
        let stage = &mut stages[index];
        let budget_rows = turn_rows;
        let entered_ns = now_ns;
        let mut port =
            Port { outboxes, sinks, io, meter, budget_rows, diverted, now_ns, entered_ns };
        // What an earlier turn left comes before this turn's time.
        stage.tree.advance(&mut port);
        stage.tree.on_clock(now, &mut port);
        let settled = stage.tree.advance(&mut port);
        let diverting =
            stage.source.is_some_and(|source| diversions[source.0].is_full(index, &port));
        let served = if !settled {
            stage.tree.has_work(&port)
        } else if diverting {
            false
        } else if stage.input_ended {
            stage.ended = true;
            self.epochs.iter_mut().for_each(Epochs::note_change);
            true
        } else {
            stage.feed(sources, &mut port, self.command_seen)
        };
        // What was held back to be combined was worked on since the stage's turn began.
        port.entered_ns = entered_ns;
        stage.tree.flush(&mut port);
        let handled = turn_rows - port.budget_rows;
        stage.note_blocked(handled, diverting, &port);
        let diverted_any = self.pass_on_diverted(index, now_ns, io);
        let passed = self.note_passed(index, now_ns, io);
        self.turn_rows += handled;
        if self.take_change(index) || handled > 0 || diverted_any {
            self.epochs.iter_mut().for_each(Epochs::note_change);
        }
        served | (handled > 0) | diverted_any | passed
    }

    /// True when a stage's source has something new to remember.
    fn take_change(&mut self, index: usize) -> bool {
        match self.stages[index].input {
            Input::Source(slot) => self.sources[slot].take_change(),
            Input::Edge(_) => false,
        }
    }

    /// Late and rejected rows of a stage go to their source's sinks, or are only counted.
    fn pass_on_diverted(&mut self, index: usize, now_ns: u64, io: &mut dyn Io) -> bool {
        let diverted = std::mem::take(&mut self.diverted);
        let Stage { source, input, .. } = &self.stages[index];
        let rejections = match input {
            Input::Source(slot) => self.sources[*slot].take_rejections(),
            Input::Edge(_) => Vec::new(),
        };
        if diverted.is_empty() && rejections.is_empty() {
            return false;
        }
        let (source, sources) = (*source, self.sources.len());
        self.reporter.note_rejections(&rejections, source, sources);
        self.reporter.note_diverted(&diverted, source, sources);
        if let Some(source) = source {
            self.failure =
                self.diversions[source.0].failure(&rejections, &diverted).or(self.failure.take());
            let Worker { outboxes, sinks, diversions, meter, diverted: none, .. } = self;
            let (budget_rows, entered_ns) = (usize::MAX, now_ns);
            let mut port = Port {
                outboxes,
                sinks,
                io,
                meter,
                budget_rows,
                diverted: none,
                now_ns,
                entered_ns,
            };
            diversions[source.0].divert(index, rejections, diverted, &mut port);
        }
        true
    }

    /// A source's late and rejected sinks have had everything once its stages have ended.
    fn end_diversions(&mut self, io: &mut dyn Io) {
        let Worker { stages, outboxes, sinks, diversions, diverted, turn_began_ns, meter, .. } =
            self;
        for (source, diversion) in diversions.iter_mut().enumerate() {
            let of_source = |stage: &&Stage| stage.source == Some(SourceIndex(source));
            if stages.iter().filter(of_source).all(|stage| stage.ended) {
                let now_ns = *turn_began_ns;
                let budget_rows = 0;
                diversion.end(&mut Port {
                    outboxes,
                    sinks,
                    io,
                    meter,
                    budget_rows,
                    diverted,
                    now_ns,
                    entered_ns: now_ns,
                });
            }
        }
    }

    /// Looks at what the housekeeping thread asked for.
    fn obey(&mut self, io: &mut dyn Io) -> bool {
        let command = self.signal.command();
        if command == self.command_seen {
            return false;
        }
        self.command_seen = command;
        if command != JobCommand::Run {
            for source in &mut self.sources {
                source.stop(io);
            }
            for sink in &mut self.sinks {
                sink.stop(io);
            }
        }
        true
    }

    /// A bounded piece of work that could wait, in every turn; true when there is more.
    fn housekeep(&mut self) -> bool {
        self.stages.iter_mut().fold(false, |more, stage| stage.tree.housekeep() | more)
    }

    fn measure_turn(&mut self, now_ns: u64) {
        if self.was_busy {
            let turn_ns = now_ns.saturating_sub(self.turn_began_ns);
            self.reporter.note_turn(turn_ns);
            self.budget.observe(self.turn_rows, turn_ns);
        }
        self.meter.begin_turn(now_ns, self.turn_rows, self.was_busy);
        (self.turn_began_ns, self.turn_rows) = (now_ns, 0);
    }

    /// What the executor is told; reports are sent on the way.
    fn answer(&mut self, busy: bool, waits_for_core: bool, io: &mut dyn Io) -> Turn {
        if let Some(failure) = self.take_failure() {
            self.fail(failure, io);
            return Turn::Finished;
        }
        let stages_ended = self.stages.iter().all(|stage| stage.ended);
        let drained = self.outboxes.iter().all(|slot| slot.outbox.is_drained());
        let epochs_ended = self.epochs.as_ref().is_none_or(Epochs::is_finished);
        let sinks_finished = self.sinks.iter().all(SinkSlot::is_finished);
        if stages_ended && drained && epochs_ended && sinks_finished {
            let report = self.report(true, io);
            self.reporter.send(report);
            return Turn::Finished;
        }
        let now_ns = self.turn_began_ns;
        let of_sources = self.sources.iter_mut().filter_map(SourceSlot::take_notice);
        let of_sinks = self.sinks.iter_mut().filter_map(SinkSlot::take_notice);
        let of_epochs = self.epochs.as_mut().and_then(Epochs::take_notice);
        self.reporter.note(of_sources.chain(of_sinks).chain(of_epochs));
        if self.reporter.is_due(now_ns, busy) {
            let report = self.report(false, io);
            self.reporter.send(report);
        }
        match (busy, waits_for_core) {
            (true, _) => Turn::Busy,
            // No one wakes a sender when its queue has room again: look soon. (Room in a sink comes
            // with a completion or at a time it names.)
            (false, true) => Turn::Idle { wakes_at_ns: Some(now_ns + BLOCKED_LOOK_AGAIN_NS) },
            (false, false) => Turn::Idle { wakes_at_ns: Some(self.wakes_at_ns(io)) },
        }
    }

    fn take_failure(&mut self) -> Option<Failure> {
        let own = self.failure.take();
        let sink = || self.sinks.iter_mut().find_map(SinkSlot::take_failure);
        own.or_else(sink).or_else(|| self.sources.iter_mut().find_map(SourceSlot::take_failure))
    }

    fn wakes_at_ns(&self, io: &dyn Io) -> u64 {
        let now_ns = self.turn_began_ns;
        let stages = self.stages.iter().filter(|stage| !stage.ended);
        let clocks = stages.filter_map(|stage| stage.tree.wakes_at()).map(|at| {
            let wait_ms = at.millis().saturating_sub(io.clock().wall_ms());
            let wait_ms = u64::try_from(wait_ms).unwrap_or(0);
            now_ns.saturating_add(wait_ms.saturating_mul(1_000_000))
        });
        let inputs = self.stages.iter().filter_map(|stage| stage.wakes_at_ns);
        let sinks = self.sinks.iter().filter_map(SinkSlot::wakes_at_ns);
        let epochs = self.epochs.iter().filter_map(|epochs| epochs.wakes_at_ns(now_ns));
        let report_ns = self.reporter.due_ns();
        clocks.chain(inputs).chain(sinks).chain(epochs).fold(report_ns, u64::min)
    }
}

impl Stage {
    pub(crate) fn new(
        input: Input,
        tree: Tree,
        operators: Vec<OperatorSpec>,
        source: Option<SourceIndex>,
    ) -> Stage {
        Stage {
            input,
            tree,
            operators,
            source,
            input_ended: false,
            ended_by: JobCommand::Run,
            ended: false,
            wakes_at_ns: None,
            blocked: Blocked::default(),
            barrier_due: None,
            passed: None,
        }
    }

    /// A turn that could hand nothing on, for want of room, was spent waiting.
    fn note_blocked(&mut self, handled: usize, diverting: bool, port: &Port<'_>) {
        let waits = handled == 0 && !self.ended;
        let by = match (waits, self.source) {
            (false, _) => None,
            (true, Some(source)) if diverting => Some(BlockedBy::Diversion(source)),
            (true, _) => self.tree.blocker(port).map(|blocker| match blocker {
                Blocker::Outbox(outbox, core) => BlockedBy::Core(port.outboxes[outbox].edge, core),
                Blocker::Sink(sink) => BlockedBy::Sink(SinkIndex(sink)),
            }),
        };
        self.blocked.set(by, port.now_ns);
    }

    /// New elements, while there is room and budget.
    fn feed(
        &mut self,
        sources: &mut [SourceSlot],
        port: &mut Port<'_>,
        command: JobCommand,
    ) -> bool {
        match self.input {
            Input::Source(source) => self.feed_from_source(&mut sources[source], port, command),
            Input::Edge(_) => self.feed_from_edge(port),
        }
    }

    fn feed_from_source(
        &mut self,
        slot: &mut SourceSlot,
        port: &mut Port<'_>,
        command: JobCommand,
    ) -> bool {
        if let Some(epoch) = self.barrier_due
            && slot.reach_barrier()
        {
            self.barrier_due = None;
            slot.end_epoch(epoch);
            Failpoint::Barrier.pass();
            self.tree.accept(Element::Barrier(epoch), port);
            return true;
        }
        let mut progress = SourceProgress::Busy;
        if !slot.has_staged() && !self.tree.is_full(port) {
            let outer = port.meter.enter(slot.account());
            progress = slot.poll(port.budget_rows.max(1), port.io);
            port.meter.enter(outer);
        }
        let mut passed = false;
        while !self.tree.is_full(port)
            && let Some(batch) = slot.next_batch()
        {
            pass(&mut self.tree, Element::Batch(batch), port);
            passed = true;
        }
        if slot.has_staged() || self.tree.is_full(port) {
            return passed;
        }
        if let Some((watermark, cause)) = slot.new_watermark(port.now_ns) {
            port.begin();
            self.tree.accept(Element::Watermark(watermark, cause), port);
            passed = true;
        }
        self.wakes_at_ns = None;
        match progress {
            SourceProgress::Idle { wakes_at_ns } if !passed => {
                self.wakes_at_ns = wakes_at_ns;
                false
            }
            SourceProgress::Idle { .. } | SourceProgress::Busy => true,
            SourceProgress::Finished => {
                self.end_of_input(command, port);
                true
            }
        }
    }

    /// A source has nothing more. Stopped on request, open windows stay open; at the end of
    /// bounded input, or told to drain, the last watermark closes them.
    fn end_of_input(&mut self, command: JobCommand, port: &mut Port<'_>) {
        if command != JobCommand::Stop {
            let last = Watermark::At(Timestamp::MAX);
            self.tree.accept(Element::Watermark(last, Cause::clock(port.now_ns)), port);
        }
        self.tree.accept(Element::End, port);
        (self.input_ended, self.ended_by) = (true, command);
    }

    fn feed_from_edge(&mut self, port: &mut Port<'_>) -> bool {
        let Input::Edge(inbox) = &mut self.input else { unreachable!("asked of edges only") };
        let mut passed = false;
        while !self.tree.is_full(port) && !port.budget_is_used() {
            let Some(element) = inbox.next() else { break };
            self.input_ended |= matches!(element, Element::End);
            let is_barrier = matches!(element, Element::Barrier(_));
            pass(&mut self.tree, element, port);
            passed = true;
            if is_barrier {
                // What is diverted from here on belongs to the next epoch.
                break;
            }
        }
        passed
    }
}

/// Rows count once: as they come in, or as more than that go out.
fn pass(tree: &mut Tree, element: Element, port: &mut Port<'_>) {
    let rows = match &element {
        Element::Batch(batch) => batch.len(),
        Element::Watermark(..) | Element::Barrier(_) | Element::End => 0,
    };
    let before = port.budget_rows;
    port.begin();
    tree.accept(element, port);
    port.use_budget(rows.saturating_sub(before - port.budget_rows));
}
