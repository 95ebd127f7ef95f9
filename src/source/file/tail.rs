//! Tail: the bytes of a file that grows, is rotated away or is cut back.
//!
//! In:  a path; completions of the disk; the clock.
//! Out: slices in order; a mark where the file ended for good and where it was cut back.
//!
//! At the end of the file it looks, once an interval, for more bytes, then whether the path names
//! another file by now. If so the old one is read until it stays quiet for an interval, because its
//! writer may not have noticed yet; then the new one is read from its start.
//!
//! A later run begins with files that an earlier one had begun to read, or not come to: they are known by
//! their inodes, and read to their ends.
//!
//! Not noticed, because nothing shows it: two rotations within an interval (the file between them),
//! and a file that was cut back and has grown beyond its old length within an interval.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

use super::chunk::error_of;
use crate::limits::{FILE_PIECE_BYTES, FILE_SLICE_BYTES};
use crate::reactor::{Disk, DiskResult, FileId, FileStatus, OpenMode, OperationId};
use crate::stdx::Failure;

/// See the module.
pub(super) struct Tail {
    path: PathBuf,
    /// Files to be read before the path is looked at.
    first: VecDeque<TailStart>,
    interval_ns: u64,
    stage: Stage,
    file: Option<OpenFile>,
    /// Device and inode of the file that has not ended, also when it is closed.
    current: Option<(u64, u64)>,
    /// Offset of the next read.
    offset: u64,
    piece: Vec<u8>,
    piece_offset: u64,
    /// What of the piece was not handed out.
    left: Range<usize>,
    closing: Vec<OperationId>,
}

/// A file to begin with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct TailStart {
    pub(super) path: PathBuf,
    pub(super) inode: u64,
    /// Read from here on.
    pub(super) offset: u64,
    /// It has lost the path's name.
    pub(super) is_rotated: bool,
}

struct OpenFile {
    id: FileId,
    device: u64,
    inode: u64,
    /// The path names another file by now.
    is_rotated: bool,
    /// An interval has passed since the last byte.
    is_quiet: bool,
}

#[derive(Clone, Copy)]
enum Stage {
    /// No file of that name: it is being rotated.
    Missing {
        look_at_ns: u64,
    },
    Opening(OperationId),
    Identifying(FileId, OperationId),
    /// More bytes may be there.
    Ready,
    Reading(OperationId),
    /// At the end.
    Quiet {
        look_at_ns: u64,
    },
    Measuring(OperationId),
    LookingUp(OperationId),
    Closed,
}

/// What a step found.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum TailStep<'a> {
    /// Nothing before the disk answers or, if given, this time.
    Wait { wakes_at_ns: Option<u64> },
    /// The next bytes.
    Bytes {
        /// Device and inode of the file.
        file: (u64, u64),
        /// Where they lie in it.
        offset: u64,
        /// Cut anywhere.
        bytes: &'a [u8],
    },
    /// The file has ended for good; the next bytes are of its successor.
    Rotated,
    /// The file was cut back; the next bytes are from its start.
    Truncated,
    /// The file cannot be read.
    Failed(Failure),
}

/// What a stage led to, before bytes are borrowed.
enum Outcome {
    Again,
    Wait(Option<u64>),
    Bytes,
    Rotated,
    Truncated,
}

impl Tail {
    pub(super) fn new(path: PathBuf, interval_ns: u64) -> Tail {
        assert!(interval_ns > 0);
        Tail {
            path,
            first: VecDeque::new(),
            interval_ns,
            stage: Stage::Missing { look_at_ns: 0 },
            file: None,
            current: None,
            offset: 0,
            piece: Vec::new(),
            piece_offset: 0,
            left: 0..0,
            closing: Vec::new(),
        }
    }

    /// Begins with these files, in this order.
    pub(super) fn begin_with(&mut self, files: Vec<TailStart>) {
        assert!(self.file.is_none() && matches!(self.stage, Stage::Missing { .. }));
        self.first = files.into();
    }

    /// Device and inode of the file that is read, or will be next; `None` when it was not looked at.
    pub(super) fn current(&self) -> Option<(u64, u64)> {
        self.current
    }

    /// The next slice or event.
    pub(super) fn step(&mut self, disk: &mut dyn Disk, now_ns: u64) -> TailStep<'_> {
        self.closing.retain(|operation| disk.take_result(*operation).is_none());
        loop {
            match self.advance(disk, now_ns) {
                Ok(Outcome::Again) => {}
                Ok(Outcome::Wait(wakes_at_ns)) => return TailStep::Wait { wakes_at_ns },
                Ok(Outcome::Bytes) => return self.slice(),
                Ok(Outcome::Rotated) => return TailStep::Rotated,
                Ok(Outcome::Truncated) => return TailStep::Truncated,
                Err(failure) => return TailStep::Failed(failure),
            }
        }
    }

    /// Closes the file; true when the disk owes nothing more.
    pub(super) fn close(&mut self, disk: &mut dyn Disk) -> bool {
        self.closing.retain(|operation| disk.take_result(*operation).is_none());
        match self.stage {
            Stage::Opening(operation) => {
                let Some(result) = disk.take_result(operation) else { return false };
                if let DiskResult::Opened(id) = result {
                    self.closing.push(disk.close(id));
                }
            }
            Stage::Identifying(id, operation) => {
                if disk.take_result(operation).is_none() {
                    return false;
                }
                self.closing.push(disk.close(id));
            }
            Stage::Reading(operation)
            | Stage::Measuring(operation)
            | Stage::LookingUp(operation) => {
                if disk.take_result(operation).is_none() {
                    return false;
                }
            }
            Stage::Missing { .. } | Stage::Ready | Stage::Quiet { .. } | Stage::Closed => {}
        }
        self.stage = Stage::Closed;
        if let Some(file) = self.file.take() {
            self.closing.push(disk.close(file.id));
        }
        self.closing.is_empty()
    }

    fn slice(&mut self) -> TailStep<'_> {
        let end = self.left.end.min(self.left.start + FILE_SLICE_BYTES);
        let slice = self.left.start..end;
        self.left.start = end;
        let offset = self.piece_offset + slice.start as u64;
        let file = self.file.as_ref().expect("bytes are handed out while their file is open");
        TailStep::Bytes { file: (file.device, file.inode), offset, bytes: &self.piece[slice] }
    }

    fn advance(&mut self, disk: &mut dyn Disk, now_ns: u64) -> Result<Outcome, Failure> {
        if !self.left.is_empty() {
            return Ok(Outcome::Bytes);
        }
        match self.stage {
            Stage::Missing { look_at_ns } | Stage::Quiet { look_at_ns } if now_ns < look_at_ns => {
                Ok(Outcome::Wait(Some(look_at_ns)))
            }
            Stage::Missing { .. } => {
                let path = self.first.front().map_or(&self.path, |first| &first.path);
                self.stage = Stage::Opening(disk.open(path, OpenMode::Read));
                Ok(Outcome::Again)
            }
            Stage::Quiet { .. } => {
                let file = self.file.as_mut().expect("a quiet file is open");
                file.is_quiet = true;
                self.stage = if file.is_rotated {
                    Stage::Ready
                } else {
                    Stage::Measuring(disk.stat_file(file.id))
                };
                Ok(Outcome::Again)
            }
            Stage::Ready => {
                let id = self.file.as_ref().expect("a file that is read is open").id;
                let buffer = std::mem::take(&mut self.piece);
                let operation = disk.read(id, self.offset, FILE_PIECE_BYTES, buffer);
                self.stage = Stage::Reading(operation);
                Ok(Outcome::Again)
            }
            Stage::Closed => unreachable!("a closed tail is not read"),
            Stage::Opening(operation)
            | Stage::Identifying(_, operation)
            | Stage::Reading(operation)
            | Stage::Measuring(operation)
            | Stage::LookingUp(operation) => match disk.take_result(operation) {
                None => Ok(Outcome::Wait(None)),
                Some(result) => self.answered(result, disk, now_ns),
            },
        }
    }

    /// Takes the answer to the operation under way.
    fn answered(
        &mut self,
        result: DiskResult,
        disk: &mut dyn Disk,
        now_ns: u64,
    ) -> Result<Outcome, Failure> {
        let look_at_ns = now_ns + self.interval_ns;
        match (self.stage, result) {
            (Stage::Opening(_), DiskResult::Opened(id)) => {
                self.stage = Stage::Identifying(id, disk.stat_file(id));
            }
            (Stage::Opening(_), DiskResult::Failed(error)) if is_missing(&error) => {
                if let Some(first) = self.first.front() {
                    return Err(first.was_renamed());
                }
                self.stage = Stage::Missing { look_at_ns };
            }
            (Stage::Identifying(id, _), DiskResult::Status(found)) => {
                return self.identified(id, found);
            }
            (Stage::Reading(_), DiskResult::Read(bytes)) => {
                return Ok(self.read(bytes, disk, look_at_ns));
            }
            (Stage::Measuring(_), DiskResult::Status(found)) => {
                return Ok(self.measured(found, disk));
            }
            (Stage::LookingUp(_), DiskResult::Status(found)) => {
                let file = self.file.as_mut().expect("compared with an open file");
                file.is_rotated = (found.device, found.inode) != (file.device, file.inode);
                self.stage = Stage::Quiet { look_at_ns };
            }
            (Stage::LookingUp(_), DiskResult::Failed(error)) if is_missing(&error) => {
                self.stage = Stage::Quiet { look_at_ns };
            }
            (_, other) => {
                let message = format!("cannot read {}: {}", self.path.display(), error_of(other));
                return Err(Failure::io(message));
            }
        }
        Ok(Outcome::Again)
    }

    fn identified(&mut self, id: FileId, found: FileStatus) -> Result<Outcome, Failure> {
        let first = self.first.pop_front();
        let (device, inode) = (found.device, found.inode);
        let is_rotated = first.as_ref().is_some_and(|first| first.is_rotated);
        // Also when it is not the one to begin with: it is open, and closed at the end.
        self.file = Some(OpenFile { id, device, inode, is_rotated, is_quiet: false });
        self.offset = 0;
        self.stage = Stage::Ready;
        if let Some(first) = first.as_ref().filter(|first| first.inode != inode) {
            return Err(first.was_renamed());
        }
        self.current = Some((device, inode));
        let Some(first) = first else { return Ok(Outcome::Again) };
        if found.bytes < first.offset {
            return Ok(Outcome::Truncated);
        }
        self.offset = first.offset;
        Ok(Outcome::Again)
    }

    fn read(&mut self, bytes: Vec<u8>, disk: &mut dyn Disk, look_at_ns: u64) -> Outcome {
        self.piece = bytes;
        self.piece_offset = self.offset;
        self.left = 0..self.piece.len();
        self.offset += self.piece.len() as u64;
        if !self.piece.is_empty() {
            self.file.as_mut().expect("a file that is read is open").is_quiet = false;
            self.stage = Stage::Ready;
            return Outcome::Again;
        }
        if let Some(file) = self.file.take_if(|file| file.is_rotated && file.is_quiet) {
            self.closing.push(disk.close(file.id));
            self.current = None;
            self.stage = Stage::Missing { look_at_ns: 0 };
            return Outcome::Rotated;
        }
        self.stage = Stage::Quiet { look_at_ns };
        Outcome::Again
    }

    fn measured(&mut self, found: FileStatus, disk: &mut dyn Disk) -> Outcome {
        if found.bytes < self.offset {
            self.offset = 0;
            self.stage = Stage::Ready;
            return Outcome::Truncated;
        }
        self.stage = if found.bytes > self.offset {
            Stage::Ready
        } else {
            Stage::LookingUp(disk.stat_path(&self.path))
        };
        Outcome::Again
    }
}

impl TailStart {
    fn was_renamed(&self) -> Failure {
        let path = self.path.display();
        Failure::io(format!("{path} was renamed before it was read; start the job again"))
    }
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}
