//! Epochs on one core: barriers let out and passed, operators captured, the end of each reported.
//!
//! In:  what the coordinator says; stages that a barrier has passed.
//! Out: barriers behind the core's sources; entries in its state journal (see `checkpoint`); ends and
//!      commits of epochs for its side journals and its sinks.
//!
//! Invariants
//! - A barrier goes out behind everything a source has pushed; where the source stands then is what the
//!   epoch says of it.
//! - A stage that has ended is passed by every later barrier at once.
//! - A core ends its part of an epoch when the barrier has passed every stage of it.

use std::cell::RefCell;
use std::rc::Rc;

use super::port::Port;
use super::{Input, OutboxSlot, SinkSlot, SourceSlot, Stage, Worker};
use crate::checkpoint::{
    CaptureLimits, CaptureStatus, CheckpointPorts, Coordinator, CoordinatorOptions, Definition,
    EpochStatus, NamedPosition, OperatorDefinition, Participant, ParticipantOptions,
    ParticipantStart, Restore, RestoreError, RestoreOptions, StateLog, ToCore,
};
use crate::journal::SideJournal;
use crate::limits::BLOCKED_LOOK_AGAIN_NS;
use crate::reactor::{Io, Task, Turn};
use crate::record::{Epoch, KeyHasher};
use crate::source::PositionError;
use crate::state::{Loaded, StateKey, Stateful};
use crate::stdx::{CoreId, Failpoint, Failure};

/// What epochs on one core need.
pub struct CheckpointSetup {
    /// The core's ends of the lines to the coordinator.
    pub ports: CheckpointPorts,
    /// The core's state journal.
    pub log: Box<dyn StateLog>,
    /// The journals that its sources and its sinks share, where they do; they have them already.
    pub sides: Vec<Rc<RefCell<dyn SideJournal>>>,
    /// From one epoch to the next.
    pub interval_ns: u64,
    /// Names of the job's sources, in their order.
    pub sources: Vec<String>,
    /// Names of its sinks.
    pub sinks: Vec<String>,
    /// The run's first epoch.
    pub first: Epoch,
    /// The job's key hash.
    pub hasher: KeyHasher,
    /// How much is captured at once, and kept.
    pub limits: CaptureLimits,
}

/// How epochs go, as one core sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckpointStatus {
    /// On core 0: those of the whole job.
    pub epochs: Option<EpochStatus>,
    /// What this core has captured.
    pub capture: CaptureStatus,
}

/// See the module.
pub(crate) struct Epochs {
    participant: Participant,
    /// On core 0.
    coordinator: Option<Coordinator>,
    ports: CheckpointPorts,
    log: Box<dyn StateLog>,
    sides: Vec<Rc<RefCell<dyn SideJournal>>>,
    sources: Vec<String>,
    sinks: Vec<String>,
}

impl Epochs {
    /// Rows went through, or a stage ended.
    pub(super) fn note_change(&mut self) {
        self.participant.note_change();
    }

    /// Everything this core ever changed is in an epoch that exists, and all was said.
    pub(super) fn is_finished(&self) -> bool {
        self.participant.is_finished() && self.ports.is_flushed()
    }

    pub(super) fn take_notice(&mut self) -> Option<String> {
        self.coordinator.as_mut()?.take_notice()
    }

    /// When the clock alone makes work: monotonic ns.
    pub(super) fn wakes_at_ns(&self, now_ns: u64) -> Option<u64> {
        let begin = self.coordinator.as_ref().and_then(Coordinator::wakes_at_ns);
        // Nobody says that the journal has room again.
        let is_held = self.sides.iter().any(|side| !side.borrow().can_end());
        let look_again = self.participant.waits_for_room() || is_held || !self.ports.is_flushed();
        let look_again = look_again.then_some(now_ns + BLOCKED_LOOK_AGAIN_NS);
        begin.into_iter().chain(look_again).min()
    }

    pub(super) fn status(&self) -> CheckpointStatus {
        CheckpointStatus {
            epochs: self.coordinator.as_ref().map(Coordinator::status),
            capture: self.participant.status(&*self.log),
        }
    }

    /// Advances the side journals; true when something happened.
    fn poll_sides(&mut self, io: &mut dyn Io) -> Result<bool, Failure> {
        let (mut busy, mut has_changed) = (false, false);
        for side in &self.sides {
            let mut side = side.borrow_mut();
            busy |= side.poll(io.disk())?;
            has_changed |= side.has_changed();
        }
        // What was received is to be made durable even if no row came of it. While an epoch is open here
        // it becomes a part of that.
        if has_changed && self.participant.open_epoch().is_none() {
            self.participant.note_change();
        }
        Ok(busy)
    }

    /// Advances what the core does for the epoch; true when something happened.
    fn poll(&mut self, sinks: &[SinkSlot], io: &mut dyn Io) -> Result<bool, Failure> {
        let busy = self.poll_sides(io)?;
        let sides = &self.sides;
        let others_are_durable = |epoch| {
            let sides_are = sides.iter().all(|side| side.borrow().is_durable(epoch));
            sides_are && sinks.iter().all(|sink| sink.is_durable(epoch))
        };
        Ok(self.participant.poll(io, &mut *self.log, &others_are_durable)? | busy)
    }

    /// Hands messages over; true when there was one.
    fn exchange(&mut self, now_ns: u64) -> bool {
        let mut moved = false;
        while let Some(message) = self.participant.take_message() {
            self.ports.tell(message);
            moved = true;
        }
        if let Some(coordinator) = &mut self.coordinator {
            for core in CoreId::all(self.ports.core_count()) {
                while let Some(message) = self.ports.receive_from_core(core) {
                    coordinator.receive(core, message);
                    moved = true;
                }
            }
            let ports = &mut self.ports;
            moved |= coordinator.step(now_ns, &mut |core, message| ports.tell_core(core, message));
        }
        self.ports.flush();
        moved
    }
}

struct Refused {
    /// What it says at its end nobody hears.
    _worker: Worker,
}

impl Task for Refused {
    fn turn(&mut self, _: &mut dyn Io) -> Turn {
        Turn::Finished
    }
}

impl Worker {
    /// Gives a core that has not had a turn epochs: it begins with what `restore` has of it, or with
    /// nothing.
    ///
    /// # Errors
    /// When what was kept is not of this job, or cannot be read; the core can only be refused then.
    pub fn set_epochs(
        &mut self,
        setup: CheckpointSetup,
        restore: Option<&Restore<'_>>,
    ) -> Result<(), RestoreError> {
        let CheckpointSetup {
            ports,
            log,
            sides,
            interval_ns,
            sources,
            sinks,
            first,
            hasher,
            limits,
        } = setup;
        let (core, core_count) = (ports.core(), ports.core_count());
        assert_eq!((sources.len(), sinks.len()), (self.sources.len(), self.sinks.len()));
        let definition = self.definition();
        let mut start = ParticipantStart::Fresh(first);
        if let Some(restore) = restore {
            restore.check(&definition)?;
            for (slot, name) in self.sources.iter_mut().zip(&sources) {
                if let Some(positions) = restore.positions(name) {
                    let error = |PositionError(what)| RestoreError { failure: Failure::data(what) };
                    slot.resume(&positions).map_err(error)?;
                }
            }
            let options = RestoreOptions { core, core_count, hasher };
            let mut operators: Vec<(StateKey, &mut dyn Stateful)> = Vec::new();
            self.stages.iter_mut().for_each(|stage| stage.tree.stateful(&mut operators));
            restore.load(options, &mut operators)?;
            let loaded = self.stages.iter_mut().map(|stage| stage.tree.loaded());
            let loaded = loaded.fold(Loaded::AsWritten, Loaded::and);
            start = restore.start(options, loaded, first);
        }
        let participant =
            Participant::new(ParticipantOptions { core, core_count, definition, start, limits });
        let coordinator = (core == CoreId::ZERO)
            .then(|| Coordinator::new(CoordinatorOptions { core_count, interval_ns, first }));
        self.epochs = Some(Epochs { participant, coordinator, ports, log, sides, sources, sinks });
        Ok(())
    }

    /// A core that does not begin, because not all can: it has nothing to do.
    pub fn refuse(self) -> impl Task {
        Refused { _worker: self }
    }

    /// The operators that keep something.
    fn definition(&mut self) -> Definition {
        let mut operators = Vec::new();
        for stage in &mut self.stages {
            stage.tree.each_stateful(&mut |key, stateful| {
                operators.push(OperatorDefinition { key, schema: stateful.schema().clone() });
            });
        }
        operators.sort_by_key(|operator| operator.key);
        Definition { operators }
    }

    /// What the coordinator says: at the beginning of a turn.
    pub(super) fn begin_epochs(&mut self, io: &mut dyn Io) -> bool {
        let Worker { epochs, stages, sources, sinks, .. } = self;
        let Some(Epochs { participant, ports, log, sides, .. }) = epochs else { return false };
        participant.begin_turn(&mut **log);
        let mut moved = false;
        while let Some(message) = ports.receive() {
            moved = true;
            match &message {
                ToCore::Begin(epoch) => {
                    let reads = |stage: &&mut Stage| matches!(stage.input, Input::Source(_));
                    stages.iter_mut().filter(reads).for_each(|stage| {
                        stage.barrier_due = Some(*epoch);
                    });
                }
                ToCore::Committed { epoch, is_written } => {
                    Failpoint::Confirm.pass();
                    sources.iter_mut().for_each(|source| source.commit(*epoch, io));
                    Failpoint::Release.pass();
                    for sink in sinks.iter_mut() {
                        sink.commit(*epoch, io);
                        Failpoint::Released.pass();
                    }
                    Failpoint::Note.pass();
                    let written = sides.iter().filter(|_| *is_written);
                    written.for_each(|side| side.borrow_mut().committed(*epoch));
                }
                ToCore::WriteCommit { .. } | ToCore::Finish => {}
            }
            participant.receive(message, &mut **log);
        }
        moved
    }

    /// Notes that the barrier on its way has passed a stage; true when that is news.
    pub(super) fn note_passed(&mut self, index: usize, now_ns: u64, io: &mut dyn Io) -> bool {
        let Some(epoch) = self.open_epoch() else { return false };
        let stage = &self.stages[index];
        if stage.passed >= Some(epoch) || !stage.tree.has_passed(epoch) {
            return false;
        }
        self.end_stage_epoch(index, epoch, now_ns, io);
        true
    }

    /// The part of a turn that is about the epoch under way, behind all stages.
    pub(super) fn advance_epoch(&mut self, io: &mut dyn Io) -> bool {
        if self.epochs.is_none() {
            return false;
        }
        if let Some(epoch) = self.open_epoch() {
            self.pass_ended_stages(epoch, io);
            self.capture(epoch, io);
        } else {
            self.write_base();
        }
        let Worker { epochs, sinks, .. } = self;
        let Some(epochs) = epochs else { return false };
        let polled = epochs.poll(sinks, io);
        self.note_end();
        polled.unwrap_or_else(|why| {
            self.failure = self.failure.take().or(Some(why));
            false
        })
    }

    /// Messages to and from the coordinator: at the end of a turn.
    pub(super) fn finish_epochs(&mut self, io: &mut dyn Io) -> bool {
        let now_ns = io.clock().monotonic_ns();
        self.epochs.as_mut().is_some_and(|epochs| epochs.exchange(now_ns))
    }

    fn open_epoch(&self) -> Option<Epoch> {
        self.epochs.as_ref()?.participant.open_epoch()
    }

    /// No barrier comes to a stage that has ended.
    fn pass_ended_stages(&mut self, epoch: Epoch, io: &mut dyn Io) {
        let now_ns = self.turn_began_ns;
        for index in 0..self.stages.len() {
            let stage = &mut self.stages[index];
            if !stage.ended || stage.passed >= Some(epoch) {
                continue;
            }
            stage.tree.end_epoch(epoch);
            stage.barrier_due = None;
            if let Input::Source(slot) = stage.input {
                self.sources[slot].end_epoch(epoch);
            }
            self.end_stage_epoch(index, epoch, now_ns, io);
        }
    }

    /// The epoch has ended in all operators of a stage.
    fn end_stage_epoch(&mut self, index: usize, epoch: Epoch, now_ns: u64, io: &mut dyn Io) {
        self.stages[index].passed = Some(epoch);
        let Some(source) = self.stages[index].source else { return };
        let mut of_source = self.stages.iter().filter(|stage| stage.source == Some(source));
        let all = of_source.all(|stage| stage.passed >= Some(epoch));
        let Worker { outboxes, sinks, diversions, meter, diverted, .. } = self;
        let (budget_rows, entered_ns) = (usize::MAX, now_ns);
        let mut port =
            Port { outboxes, sinks, io, meter, budget_rows, diverted, now_ns, entered_ns };
        diversions[source.0].barrier(index, epoch, all, &mut port);
    }

    /// Captures what the barrier has passed, and ends the epoch here when that was all.
    fn capture(&mut self, epoch: Epoch, io: &mut dyn Io) {
        let Worker { epochs, stages, sources, sinks, .. } = self;
        let Some(Epochs {
            participant, log, sides, sources: source_names, sinks: sink_names, ..
        }) = epochs
        else {
            return;
        };
        let mut all_passed = true;
        for stage in stages.iter_mut() {
            if stage.passed < Some(epoch) {
                all_passed = false;
                continue;
            }
            stage.tree.each_stateful(&mut |key, stateful| {
                participant.capture(key, stateful, &mut **log);
            });
        }
        if !all_passed || !participant.is_captured() {
            return;
        }
        sinks.iter_mut().for_each(|sink| sink.end_epoch(epoch, io));
        if sides.iter().any(|side| !side.borrow().can_end()) {
            return;
        }
        let end =
            |side: &Rc<RefCell<dyn SideJournal>>| side.borrow_mut().end_epoch(epoch, io.disk());
        let ranges = sides.iter().flat_map(end).collect();
        let named = |(position, name): (Option<Vec<u8>>, &String)| NamedPosition {
            name: name.clone(),
            position,
        };
        let sources = sources.iter().map(SourceSlot::marked_position).zip(&*source_names);
        let sinks = sinks.iter().map(SinkSlot::position).zip(&*sink_names);
        participant.seal(sources.map(named).collect(), sinks.map(named).collect(), ranges);
    }

    /// Between epochs: a part of the base that is due.
    fn write_base(&mut self) {
        let Worker { epochs, stages, .. } = self;
        let Some(Epochs { participant, log, .. }) = epochs else { return };
        if !participant.writes_base() {
            return;
        }
        for stage in stages {
            stage.tree.each_stateful(&mut |key, stateful| {
                participant.write_base(key, stateful, &mut **log);
            });
        }
    }

    /// Tells the coordinator when nothing can change any more.
    fn note_end(&mut self) {
        let stages_ended = self.stages.iter().all(|stage| stage.ended);
        let is_drained = |slot: &OutboxSlot| slot.outbox.is_drained();
        if stages_ended
            && self.outboxes.iter().all(is_drained)
            && let Some(epochs) = &mut self.epochs
        {
            epochs.participant.note_ended();
        }
    }
}
