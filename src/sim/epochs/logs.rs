//! Journals: the state journals of all cores in memory, which a crash cuts.
//!
//! In:  what participants append; a seed, which decides when there is no room, when a sync is done, and
//!      what of the unsynced entries a crash keeps.
//! Out: what recovery finds: the last epoch whose commit record is there, with everything it needs. That
//!      this *is* there is checked.
//!
//! Deliberately absent: bytes, segments and sectors, which are the journal's own matter.

use std::cell::RefCell;
use std::rc::Rc;

use super::journaled::OutputStart;
use crate::checkpoint::{
    Appended, CoreRanges, EntryRead, EntryTag, LogPosition, LogRange, RecoveredLogs, RestoreError,
    StateLog,
};
use crate::journal::SideJournal;
use crate::reactor::Io;
use crate::record::Epoch;
use crate::stdx::{CoreId, Failure};

/// The side journals of one core.
pub(super) struct Sides {
    /// All of them.
    pub(super) journals: Vec<Rc<RefCell<dyn SideJournal>>>,
    /// That of its sinks, and what was found of it.
    pub(super) output: OutputStart,
}

/// What is left of state journals when a run is cut off, and what the next one makes of it.
pub(super) trait KeptLogs {
    /// The first number that no epoch has had.
    fn next_epoch(&self) -> Epoch;

    /// Another run begins: journals are opened anew.
    fn begin(&self) {}

    /// The journal of `core` in a run on `core_count` cores.
    fn open(&self, core: CoreId, core_count: u16, seed: u64) -> Box<dyn StateLog>;

    /// The core's side journals, where there are any.
    fn open_sides(&self, _core: CoreId, _core_count: u16, _seed: u64) -> Option<Sides> {
        None
    }

    /// A turn of whoever helps the writers.
    fn step(&self) {}

    /// The run is cut off, and recovery looks at what is left.
    fn crash(&mut self, rng: &mut fastrand::Rng);

    /// What it found.
    fn found(&self) -> Option<Box<dyn RecoveredLogs + '_>>;
}

/// Journals in memory.
#[derive(Default)]
pub(super) struct MemoryLogs {
    journals: Journals,
    found: Option<Found>,
}

impl KeptLogs for MemoryLogs {
    fn next_epoch(&self) -> Epoch {
        Epoch::new(self.journals.0.borrow().next_epoch.max(1))
    }

    fn open(&self, core: CoreId, core_count: u16, seed: u64) -> Box<dyn StateLog> {
        Box::new(self.journals.open(core, core_count, seed))
    }

    fn crash(&mut self, rng: &mut fastrand::Rng) {
        self.found = self.journals.crash(rng);
    }

    fn found(&self) -> Option<Box<dyn RecoveredLogs + '_>> {
        let found = self.found.as_ref()?;
        Some(Box::new(Found { journals: found.journals.clone(), commit: found.commit.clone() }))
    }
}

/// The journals of one job. Clones share them.
#[derive(Clone, Default)]
struct Journals(Rc<RefCell<Disk>>);

#[derive(Default)]
struct Disk {
    cores: Vec<CoreJournal>,
    /// What recovery has found last; it is durable itself.
    recovered: Option<Commit>,
    /// Numbers of epochs below have been used.
    next_epoch: u64,
}

#[derive(Default)]
struct CoreJournal {
    entries: Vec<Entry>,
    /// So many of them are durable.
    durable: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    epoch: Epoch,
    content: Content,
}

#[derive(Clone, Debug)]
enum Content {
    Data { tag: u32, payload: Vec<u8> },
    Commit(Commit),
    Recycled,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Commit {
    epoch: Epoch,
    ranges: Vec<LogRange>,
}

/// One core's journal in one run.
struct SimLog {
    journals: Journals,
    core: usize,
    core_count: u16,
    rng: fastrand::Rng,
    /// Entries being synced, and questions until they are.
    syncs: Vec<(usize, u32)>,
    /// The last epochs that ended, with the number of entries then.
    ended: Vec<(Epoch, usize)>,
}

/// What recovery found.
struct Found {
    journals: Journals,
    commit: Commit,
}

impl Journals {
    /// The journal of `core` in a run on `core_count` cores.
    fn open(&self, core: CoreId, core_count: u16, seed: u64) -> SimLog {
        let mut disk = self.0.borrow_mut();
        let cores = usize::from(core_count).max(disk.cores.len());
        disk.cores.resize_with(cores, CoreJournal::default);
        let rng = fastrand::Rng::with_seed(seed);
        let (syncs, ended) = (Vec::new(), Vec::new());
        SimLog { journals: self.clone(), core: core.index(), core_count, rng, syncs, ended }
    }

    /// Power goes: of every journal, what is durable stays, and of the rest as much from its beginning
    /// as the seed says. What recovery finds then; what lies behind it is cut.
    fn crash(&self, rng: &mut fastrand::Rng) -> Option<Found> {
        let mut disk = self.0.borrow_mut();
        for journal in &mut disk.cores {
            let kept = rng.usize(journal.durable..=journal.entries.len());
            journal.entries.truncate(kept);
        }
        let commits = disk.cores.iter().flat_map(|journal| &journal.entries);
        let commits = commits.filter_map(|entry| match &entry.content {
            Content::Commit(commit) => Some(commit.clone()),
            Content::Data { .. } | Content::Recycled => None,
        });
        let last = commits.chain(disk.recovered.clone()).max_by_key(|commit| commit.epoch);
        let commit = last?;
        assert!(
            Some(commit.epoch) >= disk.recovered.as_ref().map(|it| it.epoch),
            "an older epoch was recovered"
        );
        let cores = commit.ranges.len();
        disk.cores.resize_with(cores, CoreJournal::default);
        for (core, range) in commit.ranges.iter().enumerate() {
            let journal = &mut disk.cores[core];
            let end = index(range.to);
            assert!(
                end <= journal.entries.len(),
                "core {core}: epoch {} is committed, and {end} entries of it are not durable: {}",
                commit.epoch.number(),
                journal.entries.len()
            );
            journal.entries.truncate(end);
            journal.durable = end;
        }
        disk.recovered = Some(commit.clone());
        Some(Found { journals: self.clone(), commit })
    }
}

fn index(position: LogPosition) -> usize {
    usize::try_from(position.offset).expect("an index of entries")
}

fn position(index: usize) -> LogPosition {
    LogPosition { segment: 0, offset: index as u64 }
}

impl SimLog {
    fn has_room(&mut self) -> bool {
        self.rng.u8(..8) > 0
    }

    fn push(&self, epoch: Epoch, content: Content) {
        let mut disk = self.journals.0.borrow_mut();
        disk.next_epoch = disk.next_epoch.max(epoch.number() + 1);
        let entries = &mut disk.cores[self.core].entries;
        let is_data = matches!(content, Content::Data { .. });
        let before =
            entries.iter().rev().find(|entry| matches!(entry.content, Content::Data { .. }));
        assert!(!is_data || before.is_none_or(|entry| entry.epoch <= epoch), "epochs are in order");
        entries.push(Entry { epoch, content });
    }

    fn durable(&self) -> usize {
        self.journals.0.borrow().cores[self.core].durable
    }
}

impl StateLog for SimLog {
    fn append(&mut self, tag: EntryTag, epoch: Epoch, payload: &[u8]) -> Appended {
        if !self.has_room() {
            return Appended::NoRoom;
        }
        assert!(self.ended.last().is_none_or(|(ended, _)| *ended < epoch), "the epoch has ended");
        self.push(epoch, Content::Data { tag: tag.number(), payload: payload.to_vec() });
        Appended::Yes
    }

    fn end_epoch(&mut self, epoch: Epoch, needed: Epoch) -> LogRange {
        let disk = self.journals.0.borrow();
        let entries = &disk.cores[self.core].entries;
        let from = entries.iter().position(|entry| {
            entry.epoch >= needed && matches!(entry.content, Content::Data { .. })
        });
        let to = entries.len();
        self.ended.push((epoch, to));
        let from = position(from.expect("an epoch has its manifest"));
        LogRange { from, to: position(to), sequence: to as u64 }
    }

    fn sync(&mut self, _: &mut dyn Io) {
        let appended = self.journals.0.borrow().cores[self.core].entries.len();
        self.syncs.push((appended, self.rng.u32(..6)));
    }

    fn poll(&mut self, _: &mut dyn Io) -> Option<Failure> {
        let mut disk = self.journals.0.borrow_mut();
        let durable = &mut disk.cores[self.core].durable;
        self.syncs.retain_mut(|(appended, questions)| {
            if *questions > 0 {
                *questions -= 1;
                return true;
            }
            *durable = (*durable).max(*appended);
            false
        });
        None
    }

    fn is_durable(&self, epoch: Epoch) -> bool {
        let ended = self.ended.iter().find(|(ended, _)| *ended == epoch);
        ended.is_some_and(|(_, entries)| *entries <= self.durable())
    }

    fn append_commit(&mut self, epoch: Epoch, cores: &[CoreRanges]) -> Appended {
        if !self.has_room() {
            return Appended::NoRoom;
        }
        for _ in 0..if self.core_count == 1 { 2 } else { 1 } {
            let ranges = cores.iter().map(|ranges| ranges.state).collect();
            let commit = Commit { epoch, ranges };
            self.push(epoch, Content::Commit(commit));
        }
        Appended::Yes
    }

    fn is_commit_durable(&self, epoch: Epoch) -> bool {
        let disk = self.journals.0.borrow();
        let journal = &disk.cores[self.core];
        journal.entries[..journal.durable].iter().any(|entry| match &entry.content {
            Content::Commit(commit) => commit.epoch == epoch,
            Content::Data { .. } | Content::Recycled => false,
        })
    }

    fn committed(&mut self, _: Epoch, needed: Epoch) {
        let mut disk = self.journals.0.borrow_mut();
        for entry in &mut disk.cores[self.core].entries {
            if entry.epoch < needed && matches!(entry.content, Content::Data { .. }) {
                entry.content = Content::Recycled;
            }
        }
    }

    fn bytes_since(&self, epoch: Epoch) -> u64 {
        let disk = self.journals.0.borrow();
        let since = disk.cores[self.core].entries.iter().filter(|entry| entry.epoch >= epoch);
        let bytes = since.map(|entry| match &entry.content {
            Content::Data { payload, .. } => payload.len() as u64,
            Content::Commit(_) | Content::Recycled => 0,
        });
        bytes.sum()
    }
}

impl RecoveredLogs for Found {
    fn epoch(&self) -> Epoch {
        self.commit.epoch
    }

    fn core_count(&self) -> u16 {
        u16::try_from(self.commit.ranges.len()).expect("few cores")
    }

    fn each(
        &self,
        core: CoreId,
        from: Epoch,
        visit: &mut dyn FnMut(EntryRead<'_>) -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError> {
        let range = self.commit.ranges[core.index()];
        let disk = self.journals.0.borrow();
        for entry in &disk.cores[core.index()].entries[index(range.from)..index(range.to)] {
            match &entry.content {
                Content::Data { tag, payload } if entry.epoch >= from => {
                    visit(EntryRead { epoch: entry.epoch, tag: *tag, payload })?;
                }
                Content::Recycled => panic!("core {core}: an entry that is needed was recycled"),
                Content::Data { .. } | Content::Commit(_) => {}
            }
        }
        Ok(())
    }
}
