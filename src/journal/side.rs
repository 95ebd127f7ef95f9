//! Side journals: what the sources, or the sinks, of one core keep beside its state, as a part of its epochs.
//!
//! In:  entries of users (the core's sources or sinks, by their index), and from where on each needs
//!      them; ends and commits of epochs.
//! Out: the ranges that an epoch needs, for its commit record; how far all is durable.
//!
//! Cores of earlier runs that are no more have left journals; core *c*'s are taken over by core *c* modulo
//! the number of cores. They are only read, and named by every epoch until no user needs anything of
//! them: a journal that an epoch does not name is gone at the next start.
//!
//! Invariants
//! - An entry belongs to the epoch that was open when it was appended; one of an epoch that is not open
//!   yet finds no room.
//! - An epoch's range begins at the first entry that some user needs, as it was said before the epoch
//!   ended here; what lies before is recycled when that epoch exists.
//! - Until a user says otherwise it needs everything there is of earlier runs.

use std::collections::VecDeque;

use super::mapped_file::MappedFile;
use super::storage::SegmentMemory;
use super::writer::{NoRoom, Writer};
use super::{JournalId, JournalRange, Kind, Position};
use crate::reactor::Disk;
use crate::record::Epoch;
use crate::stdx::Failure;

/// An ingest or output journal of one core in one run, shared by its users.
pub trait SideJournal {
    /// The one that is written; journals taken over go by other names.
    fn journal(&self) -> JournalId;

    /// The epoch that is open: the one after the last that ended here.
    fn open_epoch(&self) -> Epoch;

    /// Bytes of the longest payload.
    fn payload_bytes_max(&self) -> usize;

    /// Appends an entry to `epoch`; `payload` is one part behind the other, at most four, and not longer
    /// than [`SideJournal::payload_bytes_max`]. Says where the entry begins.
    ///
    /// # Errors
    /// [`NoRoom`]: also when `epoch` is the one after the open one, because the core has not ended that.
    fn append(&mut self, epoch: Epoch, tag: u32, payload: &[&[u8]]) -> Result<Position, NoRoom>;

    /// As of the next epoch that ends, `user` needs of a journal what begins at `position` or behind it;
    /// with `None` nothing of what is there now. Needs never go back.
    fn need_from(&mut self, user: usize, journal: JournalId, position: Option<Position>);

    /// While `user` holds it, the open epoch does not end: something of it has found no room yet.
    fn hold(&mut self, user: usize, is_held: bool);

    /// The end of what was appended.
    fn position(&self) -> Position;

    /// Everything before this is durable.
    fn durable(&self) -> Position;

    /// Begins to make durable what was appended so far, whatever becomes of its epoch: recovery finds it in
    /// an ingest journal, not in an output journal.
    fn sync(&mut self, disk: &mut dyn Disk);

    /// The segment behind `segment` in the journal that is written, if there is one: for a
    /// [`Follower`](super::Follower).
    fn segment_after(&self, segment: u64) -> Option<u64>;

    /// Where an earlier run ended in `segment`.
    fn sealed_at(&self, segment: u64) -> Option<u64>;

    /// Why appends find no room, when the disk has no space.
    fn no_space(&self) -> Option<&str>;

    /// True when the open epoch has something of its own, or will.
    fn has_changed(&self) -> bool;

    /// True when no user holds the open epoch.
    fn can_end(&self) -> bool;

    /// Ends the open epoch, and begins to make it durable. Says what it needs: of this journal, and of those
    /// taken over, in no order.
    fn end_epoch(&mut self, epoch: Epoch, disk: &mut dyn Disk) -> Vec<JournalRange>;

    /// True when `epoch`, which has ended, is durable here.
    fn is_durable(&self, epoch: Epoch) -> bool;

    /// `epoch` exists.
    fn committed(&mut self, epoch: Epoch);

    /// Advances what is under way: called every turn. True when something has become durable.
    ///
    /// # Errors
    /// When the disk failed, now or before: the process must end.
    fn poll(&mut self, disk: &mut dyn Disk) -> Result<bool, Failure>;
}

/// What a side journal begins with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SideStart {
    /// What is kept of the journal itself, if there was one.
    pub own: Option<JournalRange>,
    /// What is kept of journals that it takes over.
    pub adopted: Vec<JournalRange>,
}

/// A side journal that is written to a disk.
pub struct SideWriter<M: SegmentMemory = MappedFile> {
    writer: Writer<M>,
    /// The epoch that is open.
    open: Epoch,
    /// The open epoch has entries.
    has_entries: bool,
    /// By user: it holds the open epoch.
    held: Vec<bool>,
    /// By user: the first entry it needs.
    needs: Vec<Position>,
    adopted: Vec<Adopted>,
    /// Epochs that have ended and are not known to be durable.
    syncing: VecDeque<(Epoch, Position)>,
    durable: Option<Epoch>,
    /// Epochs that have ended and are not known to exist, and the first entry that each needs.
    uncommitted: VecDeque<(Epoch, Position)>,
}

/// A journal taken over.
struct Adopted {
    range: JournalRange,
    /// By user: the first entry it needs.
    needs: Vec<Position>,
}

impl<M: SegmentMemory> SideWriter<M> {
    /// Over the writer of an ingest or output journal, which `users` share, in a run whose first epoch is
    /// `first`.
    pub fn new(
        writer: Writer<M>,
        users: usize,
        first: Epoch,
        SideStart { own, adopted }: SideStart,
    ) -> SideWriter<M> {
        assert_ne!(writer.journal().kind, Kind::State);
        let from = own.map_or(writer.position(), |range| range.from);
        let adopt = |range: JournalRange| {
            assert_ne!(range.journal, writer.journal());
            Adopted { range, needs: vec![range.from; users] }
        };
        SideWriter {
            open: first,
            has_entries: false,
            held: vec![false; users],
            needs: vec![from; users],
            adopted: adopted.into_iter().map(adopt).collect(),
            syncing: VecDeque::new(),
            durable: None,
            uncommitted: VecDeque::new(),
            writer,
        }
    }
}

impl<M: SegmentMemory> SideJournal for SideWriter<M> {
    fn journal(&self) -> JournalId {
        self.writer.journal()
    }

    fn open_epoch(&self) -> Epoch {
        self.open
    }

    fn payload_bytes_max(&self) -> usize {
        self.writer.payload_bytes_max()
    }

    fn append(&mut self, epoch: Epoch, tag: u32, payload: &[&[u8]]) -> Result<Position, NoRoom> {
        if epoch > self.open {
            assert_eq!(epoch, after(self.open), "nobody is two epochs ahead");
            return Err(NoRoom);
        }
        assert_eq!(epoch, self.open, "the epoch has ended");
        let begin = self.writer.append(tag, epoch.number(), payload)?;
        self.has_entries = true;
        Ok(begin)
    }

    fn need_from(&mut self, user: usize, journal: JournalId, position: Option<Position>) {
        let (need, end) = if journal == self.writer.journal() {
            (&mut self.needs[user], self.writer.position())
        } else {
            let adopted = self.adopted.iter_mut().find(|known| known.range.journal == journal);
            let Some(adopted) = adopted else { panic!("{journal} was not taken over here") };
            (&mut adopted.needs[user], adopted.range.to)
        };
        let position = position.unwrap_or(end);
        assert!(*need <= position && position <= end, "{journal}: {need}, {position}, {end}");
        *need = position;
    }

    fn hold(&mut self, user: usize, is_held: bool) {
        self.held[user] = is_held;
    }

    fn position(&self) -> Position {
        self.writer.position()
    }

    fn durable(&self) -> Position {
        self.writer.durable()
    }

    fn sync(&mut self, disk: &mut dyn Disk) {
        self.writer.sync(disk);
    }

    fn segment_after(&self, segment: u64) -> Option<u64> {
        self.writer.segment_after(segment)
    }

    fn sealed_at(&self, segment: u64) -> Option<u64> {
        self.writer.sealed_at(segment)
    }

    fn no_space(&self) -> Option<&str> {
        self.writer.no_space()
    }

    fn has_changed(&self) -> bool {
        self.has_entries || !self.can_end()
    }

    fn can_end(&self) -> bool {
        !self.held.contains(&true)
    }

    fn end_epoch(&mut self, epoch: Epoch, disk: &mut dyn Disk) -> Vec<JournalRange> {
        assert_eq!(epoch, self.open, "epochs are in order");
        assert!(self.can_end());
        let ended = self.writer.end_epoch(epoch.number());
        let from = self.needs.iter().min().copied().unwrap_or(ended.to);
        let mut ranges = vec![ended.needed_from(from)];
        ranges.extend(self.adopted.iter().filter_map(Adopted::needed));
        self.syncing.push_back((epoch, ended.to));
        self.uncommitted.push_back((epoch, from));
        (self.open, self.has_entries) = (after(epoch), false);
        self.writer.sync(disk);
        ranges
    }

    fn is_durable(&self, epoch: Epoch) -> bool {
        self.durable >= Some(epoch)
    }

    fn committed(&mut self, epoch: Epoch) {
        self.writer.note_committed(epoch.number());
        let mut needed = None;
        while let Some((_, from)) = self.uncommitted.pop_front_if(|(ended, _)| *ended <= epoch) {
            needed = Some(from);
        }
        if let Some(from) = needed {
            self.writer.recycle_before(from);
        }
    }

    fn poll(&mut self, disk: &mut dyn Disk) -> Result<bool, Failure> {
        let before = self.writer.durable();
        self.writer.poll(disk)?;
        let durable = self.writer.durable();
        let mut moved = durable != before;
        while let Some((epoch, _)) = self.syncing.pop_front_if(|(_, end)| *end <= durable) {
            self.durable = Some(epoch);
            moved = true;
        }
        Ok(moved)
    }
}

impl Adopted {
    /// From the first entry that somebody needs, if there is one.
    fn needed(&self) -> Option<JournalRange> {
        let from = *self.needs.iter().min()?;
        (from < self.range.to).then_some(JournalRange { from, ..self.range })
    }
}

fn after(epoch: Epoch) -> Epoch {
    Epoch::new(epoch.number() + 1)
}
