//! Follower: entries of a journal, read back by the core that writes it while it goes on.
//!
//! In:  the journal's segments, a piece at a time through the core's disk.
//! Out: entries, one after the other, each checked.
//!
//! Invariants
//! - Nothing waits. Memory is bounded by a piece, or by the entry that is read where that is longer.
//! - What is read must be durable, and needed: nothing of it is recycled meanwhile.
//! - A check that fails is damage.

use std::ops::Range;
use std::path::PathBuf;

use super::entry::{ENTRY_HEADER_BYTES, EntryHeader, EntryKind, Invalid, index};
use super::error::JournalError;
use super::reader::belongs;
use super::segment::{SEGMENT_BEGIN, SegmentHeader, segment_name};
use super::{BLOCK_BYTES, JournalId, Position, SideJournal};
use crate::limits::JOURNAL_PIECE_BYTES;
use crate::reactor::{Disk, DiskResult, FileId, OpenMode, OperationId};
use crate::stdx::Failure;

/// What comes next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Followed {
    /// An entry.
    Entry(FollowedEntry),
    /// More is being read: ask again in a later turn.
    Waits,
    /// Everything up to where was asked for has come.
    End,
}

/// An entry that was checked. Its payload is asked for with [`Follower::payload`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FollowedEntry {
    /// What it is, to who appended it.
    pub tag: u32,
    /// The epoch it belongs to.
    pub epoch: u64,
    /// Where it begins.
    pub begin: Position,
    /// Where the next one begins, if there is one in the segment.
    pub end: Position,
    payload: Range<usize>,
}

/// See the module.
pub struct Follower {
    directory: PathBuf,
    journal: JournalId,
    /// Behind the entry that came last, or where it was told to go on.
    from: Position,
    /// Where the next one begins, as far as is known.
    at: Position,
    /// Its sequence, once the one before has been read.
    sequence: Option<u64>,
    open: Option<(FileId, SegmentHeader)>,
    doing: Doing,
    /// Bytes of the open segment from `piece_begin` on.
    piece: Vec<u8>,
    piece_begin: u64,
    closing: Vec<OperationId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Doing {
    Nothing,
    /// Which segment.
    Opening(OperationId, u64),
    /// Its first block.
    Heading(OperationId, FileId, u64),
    Reading(OperationId),
}

impl Follower {
    /// A reader of a journal whose segments lie in `directory`.
    pub fn new(directory: PathBuf, journal: JournalId) -> Follower {
        Follower {
            directory,
            journal,
            from: Position::BEGINNING,
            at: Position::BEGINNING,
            sequence: None,
            open: None,
            doing: Doing::Nothing,
            piece: Vec::new(),
            piece_begin: 0,
            closing: Vec::new(),
        }
    }

    /// Goes on at `position`, where an entry ends or the journal begins.
    pub fn seek(&mut self, position: Position) {
        if self.from != position {
            (self.from, self.at, self.sequence) = (position, position, None);
        }
    }

    /// The next entry that begins before `until`.
    ///
    /// # Errors
    /// When the journal is damaged, or cannot be read.
    pub fn next_entry(
        &mut self,
        until: Position,
        side: &dyn SideJournal,
        disk: &mut dyn Disk,
    ) -> Result<Followed, Failure> {
        self.closing.retain(|operation| disk.take_result(*operation).is_none());
        loop {
            if !self.advance(disk)? {
                return Ok(Followed::Waits);
            }
            if self.at >= until {
                return Ok(Followed::End);
            }
            if self.leave_segment(side) {
                continue;
            }
            let Some((file, segment)) = self.open_segment(disk) else {
                return Ok(Followed::Waits);
            };
            let begin = self.at;
            match self.locate(&segment).map_err(|reason| self.rot(begin, reason))? {
                Located::Entry(header, payload) => {
                    self.at.offset += header.stored_bytes();
                    self.sequence = Some(header.sequence.wrapping_add(1));
                    if header.kind == EntryKind::Data {
                        let EntryHeader { tag, epoch, .. } = header;
                        let end = self.at;
                        self.from = end;
                        return Ok(Followed::Entry(FollowedEntry {
                            tag,
                            epoch,
                            begin,
                            end,
                            payload,
                        }));
                    }
                    if header.kind == EntryKind::End {
                        self.at.offset = END_OF_SEGMENT;
                    }
                }
                Located::Needs(bytes) => {
                    // What is behind `until` may still change.
                    let is_last = until.segment == self.at.segment;
                    let end = if is_last { until.offset } else { segment.bytes };
                    self.read(file, end, bytes, disk);
                }
            }
        }
    }

    /// The payload of the entry that came last.
    pub fn payload(&self, entry: &FollowedEntry) -> &[u8] {
        &self.piece[entry.payload.clone()]
    }

    /// Nothing more is to be read for now: lets go of the file and the memory.
    pub fn rest(&mut self, disk: &mut dyn Disk) {
        if self.doing == Doing::Nothing {
            self.close(disk);
            self.piece = Vec::new();
        }
    }

    /// Takes what the disk has done; false while it does something.
    fn advance(&mut self, disk: &mut dyn Disk) -> Result<bool, Failure> {
        let operation = match self.doing {
            Doing::Nothing => return Ok(true),
            Doing::Opening(operation, _)
            | Doing::Heading(operation, ..)
            | Doing::Reading(operation) => operation,
        };
        let Some(result) = disk.take_result(operation) else { return Ok(false) };
        match (self.doing, result) {
            (Doing::Opening(_, segment), DiskResult::Opened(file)) => {
                let bytes = index(BLOCK_BYTES);
                let reading = disk.read(file, 0, bytes, std::mem::take(&mut self.piece));
                self.doing = Doing::Heading(reading, file, segment);
                return Ok(false);
            }
            (Doing::Heading(_, file, segment), DiskResult::Read(block)) => {
                let header = SegmentHeader::parse(&block);
                (self.piece, self.piece_begin) = (block, 0);
                let rot = |reason| self.rot(Position { segment, offset: 0 }, reason);
                let header = header.map_err(rot)?;
                if (header.journal, header.number) != (self.journal, segment) {
                    return Err(rot(Invalid::File(header.file_id)));
                }
                self.open = Some((file, header));
            }
            (Doing::Reading(_), DiskResult::Read(piece)) => self.piece = piece,
            (doing, DiskResult::Failed(error)) => {
                let segment = match doing {
                    Doing::Opening(_, segment) | Doing::Heading(_, _, segment) => segment,
                    _ => self.open.map_or(0, |(_, header)| header.number),
                };
                let path = self.path(segment).display().to_string();
                return Err(JournalError::io("read", path)(error).failure());
            }
            (doing, _) => unreachable!("{doing:?} has another result"),
        }
        self.doing = Doing::Nothing;
        Ok(true)
    }

    /// Goes on in the next segment where there is nothing more in this one; true when it did.
    fn leave_segment(&mut self, side: &dyn SideJournal) -> bool {
        let Position { segment, offset } = self.at;
        let is_at_end = segment == 0
            || offset == END_OF_SEGMENT
            || side.sealed_at(segment).is_some_and(|end| offset >= end);
        if !is_at_end {
            return false;
        }
        let next = side.segment_after(segment).expect("there are entries behind it");
        self.at = Position { segment: next, offset: SEGMENT_BEGIN };
        true
    }

    /// The segment that is read, once it is open.
    fn open_segment(&mut self, disk: &mut dyn Disk) -> Option<(FileId, SegmentHeader)> {
        if let Some((file, header)) = self.open
            && header.number == self.at.segment
        {
            return Some((file, header));
        }
        self.close(disk);
        let segment = self.at.segment;
        self.doing = Doing::Opening(disk.open(&self.path(segment), OpenMode::Read), segment);
        None
    }

    fn close(&mut self, disk: &mut dyn Disk) {
        if let Some((file, _)) = self.open.take() {
            self.closing.push(disk.close(file));
        }
        self.piece.clear();
    }

    /// The entry at hand, as far as it has been read.
    fn locate(&self, segment: &SegmentHeader) -> Result<Located, Invalid> {
        let offset = self.at.offset;
        let from = offset.checked_sub(self.piece_begin).map(index);
        let bytes = from.and_then(|from| self.piece.get(from..)).unwrap_or_default();
        let Some(head) = bytes.first_chunk() else {
            if !segment.holds(offset, ENTRY_HEADER_BYTES as u64) {
                return Err(Invalid::Truncated);
            }
            return Ok(Located::Needs(ENTRY_HEADER_BYTES));
        };
        let header = EntryHeader::parse(head)?;
        if !segment.holds(offset, header.stored_bytes()) {
            return Err(Invalid::Length(header.payload_bytes));
        }
        let stored = index(header.stored_bytes());
        if bytes.len() < stored {
            return Ok(Located::Needs(stored));
        }
        let payload = header.check(bytes)?.len();
        belongs(&header, segment, offset)?;
        if let Some(expected) = self.sequence.filter(|expected| *expected != header.sequence) {
            return Err(Invalid::Sequence { expected, found: header.sequence });
        }
        let begin = from.expect("there are bytes") + ENTRY_HEADER_BYTES;
        Ok(Located::Entry(header, begin..begin + payload))
    }

    /// Begins to read from the entry at hand on, so many bytes at least, and else not beyond `end`.
    fn read(&mut self, file: FileId, end: u64, bytes: usize, disk: &mut dyn Disk) {
        let length = bytes.max(JOURNAL_PIECE_BYTES.min(index(end - self.at.offset)));
        let mut memory = std::mem::take(&mut self.piece);
        if memory.capacity() > 2 * JOURNAL_PIECE_BYTES && length <= JOURNAL_PIECE_BYTES {
            memory = Vec::new();
        }
        self.piece_begin = self.at.offset;
        self.doing = Doing::Reading(disk.read(file, self.at.offset, length, memory));
    }

    fn path(&self, segment: u64) -> PathBuf {
        self.directory.join(segment_name(self.journal, segment))
    }

    fn rot(&self, at: Position, reason: Invalid) -> Failure {
        let (file, offset) = (self.path(at.segment).display().to_string(), at.offset);
        JournalError::Rot { file, offset, reason }.failure()
    }
}

enum Located {
    Entry(EntryHeader, Range<usize>),
    /// So many bytes of it must be read.
    Needs(usize),
}

/// Behind the entry that ends a segment, wherever that is.
const END_OF_SEGMENT: u64 = u64::MAX;
