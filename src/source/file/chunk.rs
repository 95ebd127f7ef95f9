//! Chunk reader: the bytes of one chunk's records, read ahead in pieces.
//!
//! In:  chunks of the plan, one after the other; completions of the disk.
//! Out: slices of bytes in order, the end of the chunk, or why there will be none.
//!
//! Invariants
//! - At most `READ_AHEAD` pieces are being read, and one is being handed out.
//! - A file is read only while it is the file that was planned: same inode, not shorter.
//! - Every operation's result is taken, also of reads nobody wants any more.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use super::plan::{Chunk, FilePlan};
use super::range::LineRange;
use crate::limits::{FILE_PIECE_BYTES, FILE_READ_AHEAD, FILE_SLICE_BYTES};
use crate::reactor::{Disk, DiskResult, FileId, OperationId};
use crate::stdx::Failure;

/// Bytes read behind a chunk's end together with its last piece: the rest of the last line, mostly.
const OVERRUN_BYTES: u64 = 4096;

/// Reads begin on a multiple of this: the kernel is slow to copy bytes that do not lie alike in their
/// page and in the buffer. Of 774 MB on two cores, read from one byte before each chunk, the copy took
/// 18 % of 1.5 CPU seconds by the profile; read from here, 4 %.
const READ_ALIGNED_BYTES: u64 = 4096;

/// See the module.
pub(super) struct ChunkReader {
    plan: Arc<FilePlan>,
    handle: Handle,
    active: Option<Active>,
    reads: VecDeque<PendingRead>,
    spare: Vec<Vec<u8>>,
    /// Operations whose result nobody needs.
    abandoned: Vec<OperationId>,
}

/// The one file this core has open for this source.
enum Handle {
    Closed,
    Opening { file: usize, operation: OperationId },
    Checking { file: usize, id: FileId, operation: OperationId },
    Open { file: usize, id: FileId },
}

struct Active {
    chunk: Chunk,
    range: LineRange,
    /// Offset of the next read to begin.
    next_read: u64,
    /// Reads begin only before this offset; moves on when the last line is longer.
    read_until: u64,
    /// The piece being handed out.
    piece: Vec<u8>,
    piece_offset: u64,
    /// What of it belongs to the chunk and has not been handed out.
    left: Range<usize>,
    /// The file has no more bytes.
    file_ended: bool,
}

struct PendingRead {
    operation: OperationId,
    offset: u64,
    length: usize,
}

/// What a step found.
#[derive(Debug)]
pub(super) enum Step<'a> {
    /// The disk has not answered yet.
    Wait,
    /// The next bytes of the chunk's records.
    Bytes {
        /// Where they lie in the file.
        offset: u64,
        /// Cut anywhere.
        bytes: &'a [u8],
    },
    /// All of the chunk's records have been handed out, the last one perhaps without its line end.
    End,
    /// The file cannot be read.
    Failed(Failure),
}

impl ChunkReader {
    pub(super) fn new(plan: Arc<FilePlan>) -> ChunkReader {
        ChunkReader {
            plan,
            handle: Handle::Closed,
            active: None,
            reads: VecDeque::new(),
            spare: Vec::new(),
            abandoned: Vec::new(),
        }
    }

    /// Starts on a chunk. The one before has ended or was given up.
    pub(super) fn begin(&mut self, chunk: Chunk) {
        assert!(self.active.is_none());
        assert!(self.reads.is_empty());
        let range = LineRange::new(&chunk);
        let read_until = chunk.end.saturating_add(OVERRUN_BYTES).min(chunk.file_bytes);
        self.active = Some(Active {
            chunk,
            range,
            next_read: range.read_from() / READ_ALIGNED_BYTES * READ_ALIGNED_BYTES,
            read_until,
            piece: Vec::new(),
            piece_offset: 0,
            left: 0..0,
            file_ended: false,
        });
    }

    /// The chunk that is being read.
    pub(super) fn chunk(&self) -> Option<&Chunk> {
        self.active.as_ref().map(|active| &active.chunk)
    }

    /// The next slice of the chunk.
    pub(super) fn step(&mut self, disk: &mut dyn Disk) -> Step<'_> {
        self.reap(disk);
        match self.advance(disk) {
            Ok(Some(slice)) => {
                let active = self.active.as_ref().expect("slices are of the chunk being read");
                let offset = active.piece_offset + slice.start as u64;
                Step::Bytes { offset, bytes: &active.piece[slice] }
            }
            Ok(None) if self.active.is_none() => Step::End,
            Ok(None) => Step::Wait,
            Err(failure) => {
                self.give_up();
                Step::Failed(failure)
            }
        }
    }

    /// Reads no further in this chunk.
    pub(super) fn give_up(&mut self) {
        self.abandoned.extend(self.reads.drain(..).map(|read| read.operation));
        if let Some(active) = self.active.take() {
            keep(&mut self.spare, active.piece);
        }
    }

    /// Closes what is open; true when the disk owes nothing more.
    pub(super) fn close(&mut self, disk: &mut dyn Disk) -> bool {
        assert!(self.active.is_none());
        self.reap(disk);
        match self.handle {
            Handle::Closed => self.abandoned.is_empty(),
            Handle::Opening { operation, file } => {
                if let Some(DiskResult::Opened(id)) = self.opening_result(disk, operation) {
                    self.handle = Handle::Open { file, id };
                }
                false
            }
            Handle::Checking { operation, id, .. } => {
                self.abandoned.push(operation);
                self.handle = Handle::Open { file: 0, id };
                false
            }
            // Reads of the file come to their end first.
            Handle::Open { .. } if !self.abandoned.is_empty() => false,
            Handle::Open { id, .. } => {
                self.abandoned.push(disk.close(id));
                self.handle = Handle::Closed;
                false
            }
        }
    }

    /// A slice of the piece at hand, or of the next; `None` when the disk must answer first or the
    /// chunk has ended (then there is no active one).
    fn advance(&mut self, disk: &mut dyn Disk) -> Result<Option<Range<usize>>, Failure> {
        loop {
            let active = self.active.as_mut().expect("a chunk was begun");
            if !active.left.is_empty() {
                let end = active.left.end.min(active.left.start + FILE_SLICE_BYTES);
                let slice = active.left.start..end;
                active.left.start = end;
                return Ok(Some(slice));
            }
            if active.range.is_done() || active.file_ended {
                self.give_up();
                return Ok(None);
            }
            let file = active.chunk.file;
            let Some(id) = self.opened(file, disk)? else { return Ok(None) };
            self.begin_reads(id, disk);
            if !self.take_piece(disk)? {
                return Ok(None);
            }
        }
    }

    /// The file, once it is open and known to be the planned one.
    fn opened(&mut self, file: usize, disk: &mut dyn Disk) -> Result<Option<FileId>, Failure> {
        match self.handle {
            Handle::Open { file: open, id } if open == file => return Ok(Some(id)),
            Handle::Open { id, .. } => {
                // Reads given up in the old file come to their end before it is closed.
                if !self.abandoned.is_empty() {
                    return Ok(None);
                }
                self.abandoned.push(disk.close(id));
                self.handle = Handle::Closed;
            }
            _ => {}
        }
        if let Handle::Closed = self.handle {
            let operation = disk.open(&self.plan.file(file).path, crate::reactor::OpenMode::Read);
            self.handle = Handle::Opening { file, operation };
        }
        if let Handle::Opening { operation, .. } = self.handle {
            match self.opening_result(disk, operation) {
                None => return Ok(None),
                Some(DiskResult::Opened(id)) => {
                    self.handle = Handle::Checking { file, id, operation: disk.stat_file(id) };
                }
                Some(other) => return Err(self.unexpected("open", file, other)),
            }
        }
        self.checked(disk)
    }

    fn opening_result(
        &mut self,
        disk: &mut dyn Disk,
        operation: OperationId,
    ) -> Option<DiskResult> {
        let result = disk.take_result(operation)?;
        self.handle = Handle::Closed;
        Some(result)
    }

    /// Compares what was opened with what was planned.
    fn checked(&mut self, disk: &mut dyn Disk) -> Result<Option<FileId>, Failure> {
        let Handle::Checking { file, id, operation } = self.handle else {
            unreachable!("a file is checked right after it was opened");
        };
        let Some(result) = disk.take_result(operation) else { return Ok(None) };
        self.handle = Handle::Open { file, id };
        let DiskResult::Status(found) = result else {
            return Err(self.unexpected("look at", file, result));
        };
        let planned = &self.plan.file(file).status;
        if (found.device, found.inode) != (planned.device, planned.inode) {
            return Err(self.failure(file, "was replaced since the start; run again"));
        }
        if found.bytes < planned.bytes {
            return Err(self.shrank(file, found.bytes));
        }
        Ok(Some(id))
    }

    fn begin_reads(&mut self, id: FileId, disk: &mut dyn Disk) {
        let active = self.active.as_mut().expect("reads are for the active chunk");
        if self.reads.is_empty() && active.next_read >= active.read_until {
            // Only now, with nothing under way: behind the planned end a short read is the end.
            active.read_until = active.next_read + OVERRUN_BYTES;
        }
        while self.reads.len() < FILE_READ_AHEAD && active.next_read < active.read_until {
            let left = active.read_until - active.next_read;
            let length = usize::try_from(left).unwrap_or(usize::MAX).min(FILE_PIECE_BYTES);
            let buffer = self.spare.pop().unwrap_or_default();
            let operation = disk.read(id, active.next_read, length, buffer);
            self.reads.push_back(PendingRead { operation, offset: active.next_read, length });
            active.next_read += length as u64;
        }
    }

    /// Takes the next piece in order; false when the disk has not answered.
    fn take_piece(&mut self, disk: &mut dyn Disk) -> Result<bool, Failure> {
        let active = self.active.as_mut().expect("pieces are of the active chunk");
        let Some(first) = self.reads.front() else { return Ok(false) };
        let Some(result) = disk.take_result(first.operation) else { return Ok(false) };
        let read = self.reads.pop_front().expect("looked at just now");
        let DiskResult::Read(bytes) = result else {
            let file = active.chunk.file;
            return Err(self.unexpected("read", file, result));
        };
        if bytes.len() < read.length {
            let file_bytes = read.offset + bytes.len() as u64;
            if file_bytes < active.chunk.file_bytes {
                let file = active.chunk.file;
                return Err(self.shrank(file, file_bytes));
            }
            active.file_ended = true;
        }
        let before = active.range.read_from().saturating_sub(read.offset);
        let before = usize::try_from(before).unwrap_or(usize::MAX).min(bytes.len());
        let own = active.range.cut(read.offset + before as u64, &bytes[before..]);
        active.left = before + own.start..before + own.end;
        active.piece_offset = read.offset;
        keep(&mut self.spare, std::mem::replace(&mut active.piece, bytes));
        Ok(true)
    }

    fn reap(&mut self, disk: &mut dyn Disk) {
        let spare = &mut self.spare;
        self.abandoned.retain(|operation| match disk.take_result(*operation) {
            None => true,
            Some(DiskResult::Read(buffer)) => {
                keep(spare, buffer);
                false
            }
            Some(_) => false,
        });
    }

    fn unexpected(&self, verb: &str, file: usize, result: DiskResult) -> Failure {
        let path = self.plan.file(file).path.display();
        Failure::io(format!("cannot {verb} {path}: {}", error_of(result)))
    }

    fn shrank(&self, file: usize, bytes: u64) -> Failure {
        let planned = self.plan.file(file).status.bytes;
        let what = format!("shrank from {planned} to {bytes} bytes while it was read; run again");
        self.failure(file, &what)
    }

    fn failure(&self, file: usize, what: &str) -> Failure {
        Failure::io(format!("{} {what}", self.plan.file(file).path.display()))
    }
}

/// Keeps `buffer` for a later read: as many as are ever in use at once.
fn keep(spare: &mut Vec<Vec<u8>>, buffer: Vec<u8>) {
    if buffer.capacity() > 0 && spare.len() <= FILE_READ_AHEAD {
        spare.push(buffer);
    }
}

/// The error in a result that is not of the kind the operation promises.
pub(super) fn error_of(result: DiskResult) -> io::Error {
    match result {
        DiskResult::Failed(error) => error,
        _ => io::Error::other("the disk gave another answer than was asked for"),
    }
}
