//! The seam to the state journal of one core: what epochs ask of it.
//!
//! Nothing here waits. Between two calls of [`StateLog::end_epoch`] entries of one epoch are appended; a
//! sync makes durable everything up to the last end.

use crate::journal::JournalRange;
use crate::reactor::Io;
use crate::record::Epoch;
use crate::stdx::Failure;

/// What an entry's payload is. Numbers never change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryTag {
    /// What one operator wrote in one turn: see `state::Slice`. All of it, or its end.
    Slice,
    /// Bytes of a slice that is too long for one entry; the rest follows.
    SlicePart,
    /// The operators and what their state consists of: [`super::Definition`].
    Definition,
    /// What the epoch is on this core: [`super::Manifest`].
    Manifest,
}

impl EntryTag {
    /// As it is stored.
    pub const fn number(self) -> u32 {
        match self {
            EntryTag::Slice => 1,
            EntryTag::Definition => 2,
            EntryTag::Manifest => 3,
            EntryTag::SlicePart => 4,
        }
    }

    /// The tag stored as `number`, if there is one.
    pub const fn from_number(number: u32) -> Option<EntryTag> {
        match number {
            1 => Some(EntryTag::Slice),
            2 => Some(EntryTag::Definition),
            3 => Some(EntryTag::Manifest),
            4 => Some(EntryTag::SlicePart),
            _ => None,
        }
    }
}

/// Where an entry begins.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct LogPosition {
    /// Number of the segment.
    pub segment: u64,
    /// Byte in it.
    pub offset: u64,
}

/// What an epoch needs of one core's journal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LogRange {
    /// The first entry that is still needed.
    pub from: LogPosition,
    /// Where the epoch ends.
    pub to: LogPosition,
    /// Sequence of the first entry behind it.
    pub sequence: u64,
}

/// What an epoch needs of all journals of one core.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CoreRanges {
    /// Of the state journal.
    pub state: LogRange,
    /// Of its side journals, and of those of earlier runs' cores that it has taken over.
    pub sides: Vec<JournalRange>,
}

/// Whether there was room.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Appended {
    /// It is in the journal.
    Yes,
    /// Nothing was done: the next segment is not ready. Try again in a later turn.
    NoRoom,
}

/// An entry, read back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogEntry {
    /// The epoch in which it was appended.
    pub epoch: Epoch,
    /// What its payload is: [`EntryTag::number`].
    pub tag: u32,
    /// Its bytes, checked.
    pub payload: Vec<u8>,
}

/// The state journal of one core, in one run.
pub trait StateLog {
    /// Appends an entry to `epoch`, the one after the last that was ended, or a later one.
    fn append(&mut self, tag: EntryTag, epoch: Epoch, payload: &[u8]) -> Appended;

    /// Nothing more belongs to `epoch`. Entries of epochs before `needed` are not needed by it, nor by
    /// any later one.
    fn end_epoch(&mut self, epoch: Epoch, needed: Epoch) -> LogRange;

    /// Begins to make durable what has been appended.
    fn sync(&mut self, io: &mut dyn Io);

    /// Advances what is under way: asked every turn.
    fn poll(&mut self, io: &mut dyn Io) -> Option<Failure>;

    /// True when all of `epoch`, which has ended, is durable.
    fn is_durable(&self, epoch: Epoch) -> bool;

    /// Appends the commit record of an epoch: the ranges of every core, in their order. The only core of
    /// a job appends it twice. To be synced.
    fn append_commit(&mut self, epoch: Epoch, cores: &[CoreRanges]) -> Appended;

    /// True when the commit record of `epoch` is durable here.
    fn is_commit_durable(&self, epoch: Epoch) -> bool;

    /// `epoch` exists, and entries of epochs before `needed` will never be read again.
    fn committed(&mut self, epoch: Epoch, needed: Epoch);

    /// Bytes of the entries of `epoch` and later ones.
    fn bytes_since(&self, epoch: Epoch) -> u64;
}
