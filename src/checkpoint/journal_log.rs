//! The seam to the journal, over `journal`: a core's state journal in one run, and those of the run before
//! as they were found.
//!
//! Positions of epochs that earlier runs wrote are not known one by one: all of them are kept until none
//! is needed.

use std::collections::VecDeque;

use super::log::{Appended, CoreRanges, EntryTag, LogPosition, LogRange, StateLog};
use super::restore::{EntryRead, RecoveredLogs, RestoreError};
use crate::journal::{
    CommitRecord, JournalError, JournalId, JournalRange, Kind, MappedFile, Position, Recovered,
    SegmentMemory, Storage, Writer,
};
use crate::reactor::{Disk, Io};
use crate::record::Epoch;
use crate::stdx::{CoreId, Failure};

/// A state journal that is written.
pub struct JournalLog<M: SegmentMemory = MappedFile> {
    writer: Writer<M>,
    /// The journal is that of a job with one core, which writes both copies of commit records.
    is_alone: bool,
    /// Where what is kept of earlier runs begins, and about how many bytes that is.
    earlier: (Position, u64),
    /// Epochs of this run that are kept: where they begin, and bytes appended to them.
    epochs: VecDeque<Kept>,
    /// Where ends that are not known to be durable lie, and of which epochs.
    ends: VecDeque<(Epoch, Position)>,
    /// The last epoch that ended here and is durable.
    durable: Option<Epoch>,
    /// The commit record written last: copies that were appended, and where the last one ends.
    commit: Option<(Epoch, u8, Position)>,
}

/// An epoch in the journal.
#[derive(Clone, Copy, Debug)]
struct Kept {
    epoch: Epoch,
    from: Position,
    bytes: u64,
}

impl<M: SegmentMemory> JournalLog<M> {
    /// Over the writer of a state journal, of a run on `core_count` cores. `range` is what the epoch that
    /// was found keeps of it, in segments of `segment_bytes`.
    pub fn new(
        writer: Writer<M>,
        core_count: u16,
        range: Option<&JournalRange>,
        segment_bytes: u64,
    ) -> JournalLog<M> {
        assert_eq!(writer.journal().kind, Kind::State);
        let linear =
            |at: Position| at.segment.saturating_mul(segment_bytes).saturating_add(at.offset);
        let earlier = match range {
            Some(range) => (range.from, linear(range.to).saturating_sub(linear(range.from))),
            None => (writer.position(), 0),
        };
        JournalLog {
            writer,
            is_alone: core_count == 1,
            earlier,
            epochs: VecDeque::new(),
            ends: VecDeque::new(),
            durable: None,
            commit: None,
        }
    }

    /// Begins to make durable what has been appended.
    pub fn sync_on(&mut self, disk: &mut dyn Disk) {
        self.writer.sync(disk);
    }

    /// Advances what is under way.
    pub fn poll_on(&mut self, disk: &mut dyn Disk) -> Option<Failure> {
        let failure = self.writer.poll(disk).err();
        let durable = self.writer.durable();
        while let Some((epoch, end)) = self.ends.front()
            && *end <= durable
        {
            self.durable = Some(*epoch);
            self.ends.pop_front();
        }
        failure
    }

    /// Why appends find no room, when the disk has no space.
    pub fn no_space(&self) -> Option<&str> {
        self.writer.no_space()
    }

    /// Where entries of `epoch` and later ones begin.
    fn begin_of(&self, epoch: Epoch) -> Position {
        let later = self.epochs.iter().find(|kept| kept.epoch >= epoch);
        let first = self.epochs.front().map(|kept| kept.epoch);
        match later {
            // It is of an earlier run unless something of this one comes before it.
            Some(kept) if Some(kept.epoch) == first && kept.epoch > epoch => self.earlier.0,
            Some(kept) => kept.from,
            None => self.writer.position(),
        }
    }

    /// Notes that so many bytes are appended to `epoch`, from `from` on.
    fn note(&mut self, epoch: Epoch, from: Position, bytes: u64) {
        match self.epochs.back_mut() {
            Some(last) if last.epoch == epoch => last.bytes += bytes,
            _ => self.epochs.push_back(Kept { epoch, from, bytes }),
        }
    }
}

impl<M: SegmentMemory> StateLog for JournalLog<M> {
    fn append(&mut self, tag: EntryTag, epoch: Epoch, payload: &[u8]) -> Appended {
        match self.writer.append(tag.number(), epoch.number(), &[payload]) {
            Ok(from) => {
                self.note(epoch, from, payload.len() as u64);
                Appended::Yes
            }
            Err(_) => Appended::NoRoom,
        }
    }

    fn end_epoch(&mut self, epoch: Epoch, needed: Epoch) -> LogRange {
        let ended = self.writer.end_epoch(epoch.number());
        self.ends.push_back((epoch, ended.to));
        let from = self.begin_of(needed);
        LogRange { from: from.into(), to: ended.to.into(), sequence: ended.sequence }
    }

    fn sync(&mut self, io: &mut dyn Io) {
        self.sync_on(io.disk());
    }

    fn poll(&mut self, io: &mut dyn Io) -> Option<Failure> {
        self.poll_on(io.disk())
    }

    fn is_durable(&self, epoch: Epoch) -> bool {
        self.durable >= Some(epoch)
    }

    fn append_commit(&mut self, epoch: Epoch, cores: &[CoreRanges]) -> Appended {
        let record = commit_record(epoch, cores);
        let copies = if self.is_alone { 2 } else { 1 };
        let appended = self.commit.filter(|(of, ..)| *of == epoch).map_or(0, |(_, count, _)| count);
        for count in appended..copies {
            if self.writer.append_commit(&record).is_err() {
                return Appended::NoRoom;
            }
            self.commit = Some((epoch, count + 1, self.writer.position()));
        }
        Appended::Yes
    }

    fn is_commit_durable(&self, epoch: Epoch) -> bool {
        self.commit.is_some_and(|(of, _, end)| of == epoch && end <= self.writer.durable())
    }

    fn committed(&mut self, epoch: Epoch, needed: Epoch) {
        self.writer.note_committed(epoch.number());
        let from = self.begin_of(needed);
        if self.epochs.front().is_some_and(|first| first.epoch <= needed) {
            self.earlier.1 = 0;
        }
        while self.epochs.len() > 1 && self.epochs[1].epoch <= needed {
            self.epochs.pop_front();
        }
        self.writer.recycle_before(from);
    }

    fn bytes_since(&self, epoch: Epoch) -> u64 {
        let is_of_this_run = self.epochs.front().is_some_and(|first| first.epoch <= epoch);
        let earlier = if is_of_this_run { 0 } else { self.earlier.1 };
        let own = self.epochs.iter().filter(|kept| kept.epoch >= epoch);
        earlier + own.map(|kept| kept.bytes).sum::<u64>()
    }
}

/// What makes an epoch exist, which needs so much of every core's journals.
fn commit_record(epoch: Epoch, cores: &[CoreRanges]) -> CommitRecord {
    let ids = CoreId::all(u16::try_from(cores.len()).expect("limits::CORES_MAX cores"));
    let state = |(core, ranges): (CoreId, &CoreRanges)| JournalRange {
        journal: JournalId { kind: Kind::State, core },
        from: ranges.state.from.into(),
        to: ranges.state.to.into(),
        sequence: ranges.state.sequence,
    };
    let sides = cores.iter().flat_map(|ranges| ranges.sides.iter().copied());
    let mut ranges: Vec<JournalRange> = ids.zip(cores).map(state).chain(sides).collect();
    ranges.sort_by_key(|range| range.journal);
    let is_unique = ranges.is_sorted_by(|a, b| a.journal < b.journal);
    assert!(is_unique, "every journal is one core's");
    CommitRecord { epoch: epoch.number(), ranges }
}

impl From<Position> for LogPosition {
    fn from(position: Position) -> LogPosition {
        LogPosition { segment: position.segment, offset: position.offset }
    }
}

impl From<LogPosition> for Position {
    fn from(position: LogPosition) -> Position {
        Position { segment: position.segment, offset: position.offset }
    }
}

/// The state journals of the run before.
pub struct RecoveredJournals<'a, S: Storage> {
    recovered: &'a Recovered<S>,
}

impl<'a, S: Storage> RecoveredJournals<'a, S> {
    /// What was found; `None` when there is no epoch.
    pub fn new(recovered: &'a Recovered<S>) -> Option<RecoveredJournals<'a, S>> {
        (recovered.epoch() > 0).then_some(RecoveredJournals { recovered })
    }
}

impl<S: Storage> RecoveredLogs for RecoveredJournals<'_, S> {
    fn epoch(&self) -> Epoch {
        Epoch::new(self.recovered.epoch())
    }

    fn core_count(&self) -> u16 {
        let ranges = self.recovered.commit().ranges.iter();
        let states = ranges.filter(|range| range.journal.kind == Kind::State).count();
        u16::try_from(states).expect("limits::CORES_MAX cores at most")
    }

    fn each(
        &self,
        core: CoreId,
        from: Epoch,
        visit: &mut dyn FnMut(EntryRead<'_>) -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError> {
        let journal = JournalId { kind: Kind::State, core };
        let Some(mut entries) = self.recovered.entries(journal) else {
            return Err(RestoreError::of(core, self.epoch(), "there is no such journal"));
        };
        while let Some(entry) = entries.next_entry()? {
            let epoch = Epoch::new(entry.epoch);
            if epoch >= from {
                visit(EntryRead { epoch, tag: entry.tag, payload: entry.payload })?;
            }
        }
        Ok(())
    }
}

impl From<JournalError> for RestoreError {
    fn from(error: JournalError) -> RestoreError {
        RestoreError { failure: error.failure() }
    }
}
