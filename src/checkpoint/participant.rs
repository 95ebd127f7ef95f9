//! Participant: one core's part in every epoch.
//!
//! In:  what the coordinator says; operators that a barrier has passed; where the sources stand.
//! Out: entries in the core's state journal; what the coordinator is to know.
//!
//! In a turn the worker calls `begin_turn`, hands over messages, lets every operator that the barrier has
//! passed be captured, seals the epoch when there is none left, and polls. Between two epochs it lets
//! bases be written. Everything is bounded in bytes per turn; where the journal has no room, what was
//! made waits for the next turn, and nothing more is made.
//!
//! Deliberately absent: stages, sources and sinks (see `worker/epochs`).

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use super::log::{Appended, CoreRanges, EntryTag, StateLog};
use super::manifest::{Definition, Manifest, NamedPosition, RangeBases};
use super::ports::{FromCore, ToCore};
use super::retention::{KeptLimits, Retention, Urgency};
use crate::journal::JournalRange;
use crate::limits::{CAPTURE_BYTES_MAX, CAPTURE_PART_BYTES, CAPTURE_SLICE_BYTES};
use crate::reactor::Io;
use crate::record::{Epoch, KeyGroup};
use crate::state::{SliceWriter, StateKey, Stateful};
use crate::stdx::{CoreId, Failpoint, Failure};

/// How much more of a base is written in a turn when the journal keeps more than it should.
const PRESSING_TIMES: usize = 4;

/// What a participant must know.
#[derive(Clone, Debug)]
pub struct ParticipantOptions {
    /// This core.
    pub core: CoreId,
    /// Cores of the job.
    pub core_count: u16,
    /// Operators that keep something, on every core the same.
    pub definition: Definition,
    /// How the journal stands.
    pub start: ParticipantStart,
    /// How much is done at once, and kept.
    pub limits: CaptureLimits,
}

/// How much a core captures at once, and how much its journal keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CaptureLimits {
    /// Bytes in one turn.
    pub turn_bytes: usize,
    /// Bytes of one slice, but for its last value.
    pub slice_bytes: usize,
    /// Bytes of one entry: a longer slice is appended in parts, one a turn.
    pub part_bytes: usize,
    /// What the journal keeps.
    pub kept: KeptLimits,
}

impl Default for CaptureLimits {
    fn default() -> CaptureLimits {
        CaptureLimits {
            turn_bytes: CAPTURE_BYTES_MAX,
            slice_bytes: CAPTURE_SLICE_BYTES,
            part_bytes: CAPTURE_PART_BYTES,
            kept: KeptLimits::default(),
        }
    }
}

/// How the journal stands when a run begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ParticipantStart {
    /// There is nothing; the first epoch is this one.
    Fresh(Epoch),
    /// It holds what was restored on this core, with these bases; this epoch follows.
    Resumed {
        /// The first epoch of the run.
        next: Epoch,
        /// As the last manifest has them.
        bases: Vec<RangeBases>,
    },
    /// It does not hold what was restored as it is now: a base must be written before the first epoch,
    /// this one, may end.
    Rebased(Epoch),
}

/// What a core has done for epochs.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct CaptureStatus {
    /// Bytes of increments appended.
    pub increment_bytes: u64,
    /// Bytes of bases appended.
    pub base_bytes: u64,
    /// Bytes of the journal that are kept.
    pub kept_bytes: u64,
    /// Bytes that operators keep in memory, when the last epoch ended.
    pub live_bytes: u64,
    /// Turns in which the journal had no room.
    pub turns_without_room: u64,
}

/// See the module.
pub struct Participant {
    options: ParticipantOptions,
    definition: Vec<u8>,
    definition_checksum: u32,
    /// The epoch in which it was appended last, in this run.
    definition_epoch: Option<Epoch>,
    retention: Retention,
    phase: Phase,
    /// The epoch that entries are appended to: the one that is open, or the next one.
    epoch: Epoch,
    slice: SliceWriter,
    /// The slice is complete, and the journal has not taken all of it.
    slice_waits: Option<Captured>,
    /// Bytes of it that the journal has taken.
    slice_at: usize,
    /// Bytes that may still be captured in this turn.
    bytes_left: usize,
    /// Bytes that operators keep in memory, of those captured.
    live_bytes: u64,
    urgency: Urgency,
    /// Operators of which nothing is left to capture.
    captured: Vec<StateKey>,
    /// Something belongs to the epoch already.
    has_entries: bool,
    /// Entries that end the epoch, not yet appended.
    sealing: VecDeque<(EntryTag, Vec<u8>)>,
    /// The last epoch that was written here and is durable.
    last: Option<Sealed>,
    base: Option<Base>,
    commit: Option<Commit>,
    /// A change was said since the last barrier.
    change_said: bool,
    ended_said: bool,
    is_finished: bool,
    /// Something was captured in this turn.
    worked: bool,
    outgoing: VecDeque<FromCore>,
    status: CaptureStatus,
}

/// What a slice in the writer is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Captured {
    key: StateKey,
    /// It is the last one of its operator.
    is_last: bool,
    is_base: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Phase {
    /// No epoch is under way here.
    Idle,
    /// The barrier is on its way through the stages.
    Open,
    /// The end of the epoch is being appended; what it needs of side journals.
    Sealing(Box<Manifest>, Vec<JournalRange>),
    /// The epoch before is appended, and being made durable.
    Syncing(Sealed),
    /// It is reported; not yet committed.
    Reported,
}

/// What is known of an epoch that was written here.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Sealed {
    ranges: CoreRanges,
    /// The first epoch that it keeps.
    kept_from: Epoch,
    sources: Vec<NamedPosition>,
    sinks: Vec<NamedPosition>,
}

/// A base being written.
#[derive(Debug)]
struct Base {
    /// Which range; `None` for all of them, before the first epoch.
    range: Option<usize>,
    groups: Range<u16>,
    /// Entries of this epoch and later ones are needed with it.
    begun: Epoch,
    started: Vec<StateKey>,
    done: Vec<StateKey>,
}

/// A copy of a commit record.
#[derive(Debug)]
struct Commit {
    epoch: Epoch,
    cores: Arc<[CoreRanges]>,
    is_appended: bool,
}

impl Participant {
    /// A participant before the first epoch of a run.
    pub fn new(options: ParticipantOptions) -> Participant {
        let groups = KeyGroup::owned_by(options.core, options.core_count);
        let (epoch, retention) = match &options.start {
            ParticipantStart::Fresh(next) => (*next, Retention::new(groups, *next)),
            ParticipantStart::Rebased(next) => (*next, Retention::with_base(groups, *next)),
            ParticipantStart::Resumed { next, bases } => (*next, Retention::resumed(groups, bases)),
        };
        let is_rebased = matches!(options.start, ParticipantStart::Rebased(_));
        let base = is_rebased.then(|| Base::new(None, 0..KeyGroup::COUNT, epoch));
        let (definition, definition_checksum) = options.definition.encode();
        let mut participant = Participant {
            definition,
            definition_checksum,
            definition_epoch: None,
            retention,
            phase: Phase::Idle,
            epoch,
            slice: SliceWriter::default(),
            slice_waits: None,
            slice_at: 0,
            bytes_left: 0,
            live_bytes: 0,
            urgency: Urgency::None,
            captured: Vec::new(),
            has_entries: false,
            sealing: VecDeque::new(),
            last: None,
            base,
            commit: None,
            change_said: false,
            ended_said: false,
            is_finished: false,
            worked: false,
            outgoing: VecDeque::new(),
            status: CaptureStatus::default(),
            options,
        };
        if participant.base.is_none() {
            participant.outgoing.push_back(FromCore::Ready);
        }
        participant
    }

    /// What the coordinator is to be told.
    pub fn take_message(&mut self) -> Option<FromCore> {
        self.outgoing.pop_front()
    }

    /// What the coordinator says.
    pub fn receive(&mut self, message: ToCore, log: &mut dyn StateLog) {
        match message {
            ToCore::Begin(epoch) => {
                assert_eq!((&self.phase, epoch), (&Phase::Idle, self.epoch), "epochs are in order");
                self.phase = Phase::Open;
                self.change_said = false;
                self.captured.clear();
                self.live_bytes = 0;
            }
            ToCore::WriteCommit { epoch, cores } => {
                assert!(self.commit.is_none());
                self.commit = Some(Commit { epoch, cores, is_appended: false });
            }
            ToCore::Committed { epoch, is_written } => {
                assert_eq!((&self.phase, next(epoch)), (&Phase::Reported, self.epoch));
                self.phase = Phase::Idle;
                if let Some(last) = self.last.as_ref().filter(|_| is_written) {
                    log.committed(epoch, last.kept_from);
                }
                self.plan_base(log);
            }
            ToCore::Finish => self.is_finished = true,
        }
    }

    /// The epoch whose barrier is on its way.
    pub fn open_epoch(&self) -> Option<Epoch> {
        (self.phase == Phase::Open).then_some(self.epoch)
    }

    /// Rows went through, or a stage ended.
    pub fn note_change(&mut self) {
        if !std::mem::replace(&mut self.change_said, true) {
            self.outgoing.push_back(FromCore::Changed);
        }
    }

    /// Every stage has ended, and everything has been handed over.
    pub fn note_ended(&mut self) {
        if !std::mem::replace(&mut self.ended_said, true) {
            self.outgoing.push_back(FromCore::Ended);
        }
    }

    /// True when everything this core ever changed is in an epoch that exists.
    pub fn is_finished(&self) -> bool {
        self.is_finished
    }

    /// Before anything else of a turn.
    pub fn begin_turn(&mut self, log: &mut dyn StateLog) {
        let times = if self.urgency == Urgency::Pressing { PRESSING_TIMES } else { 1 };
        self.bytes_left = times * self.options.limits.turn_bytes;
        if self.slice_waits.is_some() {
            self.append_slice(log);
        }
        if self.slice_waits.is_some() {
            self.bytes_left = 0;
        }
    }

    /// Appends what an operator changed in the open epoch, whose barrier has passed it, as far as this
    /// turn allows. To be called in every turn until [`Participant::is_captured`].
    pub fn capture(&mut self, key: StateKey, of: &mut dyn Stateful, log: &mut dyn StateLog) {
        assert_eq!(self.phase, Phase::Open);
        while self.bytes_left > 0 && self.slice_waits.is_none() && !self.captured.contains(&key) {
            self.slice.begin(key, self.options.core.number(), self.slice_bytes());
            let is_last = of.write_changes(&mut self.slice);
            if is_last {
                self.live_bytes += of.bytes() as u64;
            }
            self.take_slice(Captured { key, is_last, is_base: false }, log);
        }
    }

    /// True when every operator has been captured.
    pub fn is_captured(&self) -> bool {
        self.slice_waits.is_none() && self.captured.len() == self.options.definition.operators.len()
    }

    /// Ends the open epoch: everything of it has been captured, the sources and sinks stood there, and it
    /// needs so much of side journals.
    pub fn seal(
        &mut self,
        sources: Vec<NamedPosition>,
        sinks: Vec<NamedPosition>,
        sides: Vec<JournalRange>,
    ) {
        assert!(self.phase == Phase::Open && self.is_captured());
        self.status.live_bytes = self.live_bytes;
        if !self.has_entries
            && let Some(last) = &self.last
            && (&last.sources, &last.sinks) == (&sources, &sinks)
            && last.ranges.sides == sides
        {
            let (epoch, ranges) = (self.epoch, last.ranges.clone());
            self.phase = Phase::Reported;
            self.epoch = next(epoch);
            self.outgoing.push_back(FromCore::Sealed { epoch, ranges, is_written: false });
            return;
        }
        let manifest = Manifest {
            core: self.options.core,
            core_count: self.options.core_count,
            epoch: self.epoch,
            definition_checksum: self.definition_checksum,
            bases: self.retention.bases().to_vec(),
            sources,
            sinks,
        };
        if self.definition_epoch.is_none_or(|epoch| epoch < manifest.replayed_from()) {
            self.definition_epoch = Some(self.epoch);
            self.sealing.push_back((EntryTag::Definition, self.definition.clone()));
        }
        self.sealing.push_back((EntryTag::Manifest, manifest.encode()));
        self.phase = Phase::Sealing(Box::new(manifest), sides);
    }

    /// True when operators may be asked for a base now.
    pub fn writes_base(&self) -> bool {
        let is_between = matches!(self.phase, Phase::Idle | Phase::Syncing(..) | Phase::Reported);
        self.base.is_some() && is_between && self.bytes_left > 0
    }

    /// Appends entries of an operator to the base that is being written, as far as this turn allows.
    pub fn write_base(&mut self, key: StateKey, of: &mut dyn Stateful, log: &mut dyn StateLog) {
        while self.writes_base() && self.slice_waits.is_none() {
            let slice_bytes = self.slice_bytes();
            let base = self.base.as_mut().expect("just asked");
            if base.done.contains(&key) {
                return;
            }
            if !base.started.contains(&key) {
                of.begin_base();
                base.started.push(key);
            }
            self.slice.begin(key, self.options.core.number(), slice_bytes);
            let is_last = of.write_base(&base.groups, &mut self.slice);
            self.take_slice(Captured { key, is_last, is_base: true }, log);
        }
    }

    /// Advances what is under way: at the end of every turn. `others_are_durable` says so of what sinks and
    /// side journals must have made durable before an epoch that has ended here may exist. True when
    /// something happened.
    ///
    /// # Errors
    /// Why the journal cannot be written.
    pub fn poll(
        &mut self,
        io: &mut dyn Io,
        log: &mut dyn StateLog,
        others_are_durable: &dyn Fn(Epoch) -> bool,
    ) -> Result<bool, Failure> {
        let mut busy = std::mem::take(&mut self.worked) | self.end_base();
        busy |= self.advance_seal(io, log);
        busy |= self.advance_commit(io, log);
        if let Some(failure) = log.poll(io) {
            return Err(failure);
        }
        let epoch = before(self.epoch);
        if let Phase::Syncing(sealed) = &self.phase
            && log.is_durable(epoch)
            && others_are_durable(epoch)
        {
            Failpoint::Sealed.pass();
            let ranges = sealed.ranges.clone();
            self.last = Some(sealed.clone());
            self.phase = Phase::Reported;
            self.outgoing.push_back(FromCore::Sealed { epoch, ranges, is_written: true });
            busy = true;
        }
        let is_written =
            |commit: &mut Commit| commit.is_appended && log.is_commit_durable(commit.epoch);
        if let Some(commit) = self.commit.take_if(is_written) {
            self.outgoing.push_back(FromCore::CommitWritten(commit.epoch));
            busy = true;
        }
        Ok(busy)
    }

    /// True when something waits for room in the journal.
    pub fn waits_for_room(&self) -> bool {
        self.slice_waits.is_some()
            || !self.sealing.is_empty()
            || self.commit.as_ref().is_some_and(|commit| !commit.is_appended)
    }

    /// What it has done, and what the journal keeps.
    pub fn status(&self, log: &dyn StateLog) -> CaptureStatus {
        let kept_bytes = log.bytes_since(self.retention.kept_from());
        CaptureStatus { kept_bytes, ..self.status }
    }

    fn slice_bytes(&self) -> usize {
        self.bytes_left.min(self.options.limits.slice_bytes)
    }

    /// The writer's slice is complete.
    fn take_slice(&mut self, captured: Captured, log: &mut dyn StateLog) {
        let Some(bytes) = self.slice.finish() else {
            // Looking for changes took its time, too.
            let looked = self.options.limits.slice_bytes / 4;
            self.bytes_left = self.bytes_left.saturating_sub(looked.max(1));
            self.settle(captured);
            return;
        };
        self.bytes_left = self.bytes_left.saturating_sub(bytes.len());
        (self.slice_waits, self.slice_at) = (Some(captured), 0);
        self.append_slice(log);
    }

    /// Appends the slice, or the next part of it, if there is room.
    fn append_slice(&mut self, log: &mut dyn StateLog) {
        let captured = self.slice_waits.expect("asked when one waits");
        let bytes = self.slice.finish().expect("it has records");
        let rest = &bytes[self.slice_at..];
        let (tag, part) = match rest.split_at_checked(self.options.limits.part_bytes) {
            Some((part, more)) if !more.is_empty() => (EntryTag::SlicePart, part),
            _ => (EntryTag::Slice, rest),
        };
        if log.append(tag, self.epoch, part) == Appended::NoRoom {
            self.status.turns_without_room += 1;
            return;
        }
        Failpoint::Capture.pass();
        let length = part.len() as u64;
        match captured.is_base {
            true => self.status.base_bytes += length,
            false => self.status.increment_bytes += length,
        }
        self.slice_at += part.len();
        (self.has_entries, self.worked) = (true, true);
        if tag == EntryTag::Slice {
            self.slice_waits = None;
            self.settle(captured);
        }
    }

    fn settle(&mut self, Captured { key, is_last, is_base }: Captured) {
        self.worked = true;
        if !is_last {
            return;
        }
        match (is_base, &mut self.base) {
            (false, _) => self.captured.push(key),
            (true, Some(base)) => base.done.push(key),
            (true, None) => unreachable!("a base is there until all of it is appended"),
        }
    }

    fn advance_seal(&mut self, io: &mut dyn Io, log: &mut dyn StateLog) -> bool {
        let Phase::Sealing(manifest, sides) = &mut self.phase else { return false };
        while let Some((tag, payload)) = self.sealing.front() {
            if log.append(*tag, self.epoch, payload) == Appended::NoRoom {
                self.status.turns_without_room += 1;
                return false;
            }
            self.sealing.pop_front();
        }
        let kept_from = manifest.kept_from();
        let state = log.end_epoch(self.epoch, kept_from);
        let ranges = CoreRanges { state, sides: std::mem::take(sides) };
        let sources = std::mem::take(&mut manifest.sources);
        let sinks = std::mem::take(&mut manifest.sinks);
        self.phase = Phase::Syncing(Sealed { ranges, kept_from, sources, sinks });
        (self.epoch, self.has_entries) = (next(self.epoch), false);
        Failpoint::Unsynced.pass();
        log.sync(io);
        true
    }

    fn advance_commit(&mut self, io: &mut dyn Io, log: &mut dyn StateLog) -> bool {
        let Some(commit) = &mut self.commit else { return false };
        if commit.is_appended {
            return false;
        }
        if log.append_commit(commit.epoch, &commit.cores) == Appended::NoRoom {
            self.status.turns_without_room += 1;
            return false;
        }
        commit.is_appended = true;
        Failpoint::CommitUnsynced.pass();
        log.sync(io);
        true
    }

    /// Decides whether a base must be begun.
    fn plan_base(&mut self, log: &dyn StateLog) {
        let kept = log.bytes_since(self.retention.kept_from());
        self.urgency =
            self.retention.urgency(self.options.limits.kept, kept, self.status.live_bytes);
        if self.base.is_none() && self.urgency > Urgency::None {
            let (range, groups) = self.retention.next();
            self.base = Some(Base::new(Some(range), groups, self.epoch));
        }
    }

    /// A base of which all has been appended is one.
    fn end_base(&mut self) -> bool {
        let operators = self.options.definition.operators.len();
        let is_complete = |base: &mut Base| base.done.len() == operators;
        let Some(base) = self.base.take_if(is_complete) else { return false };
        match base.range {
            Some(range) => self.retention.complete(range, base.begun),
            None => {
                self.outgoing.push_back(FromCore::Ready);
                self.note_change();
            }
        }
        true
    }
}

#[cfg(test)]
impl Participant {
    pub(super) fn set_part_bytes(&mut self, bytes: usize) {
        self.options.limits.part_bytes = bytes;
    }
}

impl Base {
    fn new(range: Option<usize>, groups: Range<u16>, begun: Epoch) -> Base {
        Base { range, groups, begun, started: Vec::new(), done: Vec::new() }
    }
}

fn next(epoch: Epoch) -> Epoch {
    Epoch::new(epoch.number() + 1)
}

fn before(epoch: Epoch) -> Epoch {
    Epoch::new(epoch.number().saturating_sub(1))
}
