//! What a job keeps on disk between runs: append-only journals, one set per core.
//!
//! Read: `directory` (lock, identity, run number, atomic replacement) · `entry` (the bytes) ·
//! `segment` (the files) · `commit` (what makes an epoch exist) · `reader` · `writer` · `supply` (the
//! helper thread) · `side` (a journal that a core's sources or sinks share) · `follow` (reading it back meanwhile) · `recovery` (what a start
//! finds) · `storage` (the seam to the file system) · `mapped_file` ⚠ · `error`.
//!
//! A journal is a sequence of preallocated files, segments, of one core. Entries are appended and
//! never changed; those of an epoch end at a block of 4 KiB, and become durable by a sync of exactly
//! these blocks. The epoch exists once its commit record is durable, which is written twice and
//! names the range of every journal. What lies behind the last committed range may be torn and is
//! cut; a check that fails inside of it is damage, and an error.
//!
//! To run: [`Directory::open`], [`Directory::begin_run`], [`recover`], read what is needed with [`Recovered::entries`];
//! [`Supply::add`] for every journal with [`Recovered::start`], [`start_supply`]. On a core, each turn:
//! [`Writer::append`] and [`Writer::poll`]; at a barrier [`Writer::end_epoch`] and [`Writer::sync`].
//! Epochs begin with [`Recovered::next_epoch`], at most [`EPOCHS_IN_FLIGHT_MAX`] ahead of the last one
//! committed. Once [`Writer::durable`] has reached the end of the epoch in every journal,
//! [`Writer::append_commit`] and [`Writer::sync`] on the state journals of the first two cores; on that
//! of the only one two copies, and one sync. Once both copies are durable the epoch exists: [`Writer::note_committed`] and
//! [`Writer::recycle_before`] where the record says that it begins. What [`Writer::poll`] fails with is
//! the end of the process.

mod commit;
mod directory;
mod entry;
mod error;
mod follow;
mod mapped_file;
mod reader;
mod recovery;
mod segment;
mod side;
mod storage;
mod supply;
mod writer;

pub use commit::{CommitRecord, JournalRange};
pub use directory::{Directory, DirectoryError, DirectoryFacts, Finished, replace_file};
pub use entry::{BLOCK_BYTES, EntryHeader, EntryKind, FORMAT_VERSION, Invalid};
pub use error::JournalError;
pub use follow::{Followed, FollowedEntry, Follower};
pub use mapped_file::{MappedFile, MappedPages};
pub use reader::{CheckedEntry, ReadAt, SegmentReader, StoredFile, scan_segment};
pub use recovery::{
    Entries, Examined, JournalEntry, Met, Recovered, RecoveryRequest, Verified, entries_between,
    examine, recover, verify,
};
pub use segment::{
    LEFTOVER_SUFFIX, SEGMENT_BEGIN, SegmentHeader, file_id, parse_segment_name, segment_name,
};
pub use side::{SideJournal, SideStart, SideWriter};
pub use storage::{Files, SegmentMemory, SegmentPages, Storage};
pub use supply::{JournalOptions, JournalStart, Supply, SupplyTurn, start_supply};
pub use writer::{EpochRange, NoRoom, Writer, WriterStart};

use std::fmt;

pub use crate::limits::EPOCHS_IN_FLIGHT_MAX;
use crate::stdx::CoreId;
use entry::ENTRY_HEADER_BYTES;

/// Kinds of journals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// What an epoch changed, read at recovery. Mapped: plain stores.
    State,
    /// Bytes as a source received them that cannot send them again. Written past the page cache.
    Ingest,
    /// Results that a sink has not confirmed. Written past the page cache.
    Output,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 3] = [Kind::State, Kind::Ingest, Kind::Output];

    /// As in names of files.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::State => "state",
            Kind::Ingest => "ingest",
            Kind::Output => "output",
        }
    }

    const fn number(self) -> u16 {
        match self {
            Kind::State => 1,
            Kind::Ingest => 2,
            Kind::Output => 3,
        }
    }

    fn of_number(number: u16) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// One journal of a job.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct JournalId {
    /// What it is for.
    pub kind: Kind,
    /// Whose it is.
    pub core: CoreId,
}

impl fmt::Display for JournalId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} journal of core {}", self.kind.name(), self.core)
    }
}

/// A place in a journal.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    /// Number of the segment; 0 before the first.
    pub segment: u64,
    /// Bytes from the file's beginning; 0 before the first segment.
    pub offset: u64,
}

impl Position {
    /// Before the first segment.
    pub const BEGINNING: Position = Position { segment: 0, offset: 0 };

    fn is_well_formed(self) -> bool {
        if self.segment == 0 {
            return self.offset == 0;
        }
        self.offset >= SEGMENT_BEGIN && self.offset.is_multiple_of(ENTRY_HEADER_BYTES as u64)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.segment, self.offset)
    }
}

#[cfg(test)]
mod tests;
