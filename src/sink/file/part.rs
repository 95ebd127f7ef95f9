//! Part: one file of a sink, from its first row until it waits for its name.
//!
//! An [`OpenPart`] takes bytes; sealing it makes a [`ClosingPart`], which takes no more, is synced and
//! closed; a [`CompletePart`] is a file that never changes again.

use std::io;
use std::path::Path;

use super::names::PartNames;
use super::syncs::PartSyncs;
use crate::limits::SINK_NO_ROOM_RETRY_NS;
use crate::reactor::{Disk, DiskResult, FileId, OpenMode, OperationId};
use crate::stdx::Failure;

/// A part that takes bytes.
pub(super) struct OpenPart {
    number: u32,
    names: PartNames,
    opened_ns: u64,
    stage: Stage,
    /// Given to `write` so far.
    bytes: u64,
    /// What of it is durable; `None` when nobody asks before it is complete.
    syncs: Option<PartSyncs>,
}

enum Stage {
    Opening(OperationId),
    Ready(FileId),
    Writing {
        file: FileId,
        operation: OperationId,
        rows: u64,
        bytes: usize,
    },
    /// There is no room for the buffer, which is the last of the part so far; tried again then.
    Waiting {
        file: FileId,
        buffer: Vec<u8>,
        rows: u64,
        until_ns: u64,
    },
}

/// A buffer that the operating system has taken.
pub(super) struct Written {
    pub(super) bytes: Vec<u8>,
    pub(super) rows: u64,
}

/// A part that takes no more bytes.
pub(super) struct ClosingPart {
    part: CompletePart,
    stage: ClosingStage,
}

#[derive(Clone, Copy)]
enum ClosingStage {
    Full(FileId),
    Syncing(FileId, OperationId),
    Closing(OperationId),
    Closed,
}

/// A part that never changes again.
pub(super) struct CompletePart {
    pub(super) number: u32,
    pub(super) names: PartNames,
    /// Its length.
    pub(super) bytes: u64,
    /// Its rows belong to the first so many epochs that end here.
    pub(super) ends: u64,
}

impl OpenPart {
    /// Creates the hidden file. With `syncs`, it becomes durable as they say.
    pub(super) fn begin(
        (number, names): (u32, PartNames),
        syncs: Option<PartSyncs>,
        now_ns: u64,
        disk: &mut dyn Disk,
    ) -> OpenPart {
        let stage = Stage::Opening(disk.open(&names.hidden, OpenMode::CreateNew));
        OpenPart { number, names, opened_ns: now_ns, stage, bytes: 0, syncs }
    }

    /// Takes what the disk has answered; tries again what there was no room for.
    pub(super) fn advance(
        &mut self,
        now_ns: u64,
        disk: &mut dyn Disk,
    ) -> Result<Option<Written>, Failure> {
        match &mut self.stage {
            Stage::Ready(_) => Ok(None),
            Stage::Waiting { until_ns, .. } if now_ns < *until_ns => Ok(None),
            Stage::Waiting { file, buffer, rows, .. } => {
                let (file, buffer, rows) = (*file, std::mem::take(buffer), *rows);
                self.bytes -= buffer.len() as u64;
                self.stage = Stage::Ready(file);
                self.write(buffer, rows, disk);
                Ok(None)
            }
            &mut Stage::Opening(operation) => match disk.take_result(operation) {
                None => Ok(None),
                Some(DiskResult::Opened(file)) => {
                    self.stage = Stage::Ready(file);
                    Ok(None)
                }
                Some(result) => Err(failure("create", &self.names.hidden, result)),
            },
            &mut Stage::Writing { file, operation, rows, .. } => {
                match disk.take_result(operation) {
                    None => Ok(None),
                    Some(DiskResult::NoRoom(_, buffer)) => {
                        let until_ns = now_ns.saturating_add(SINK_NO_ROOM_RETRY_NS);
                        self.stage = Stage::Waiting { file, buffer, rows, until_ns };
                        Ok(None)
                    }
                    Some(DiskResult::Written(bytes)) => {
                        self.stage = Stage::Ready(file);
                        Ok(Some(Written { bytes, rows }))
                    }
                    Some(result) => Err(failure("write", &self.names.hidden, result)),
                }
            }
        }
    }

    /// Makes durable what has to be and has been written; true when something happened.
    pub(super) fn advance_syncs(&mut self, disk: &mut dyn Disk) -> Result<bool, Failure> {
        let written = self.bytes - self.bytes_being_written() as u64;
        match (&mut self.syncs, &self.stage) {
            (None, _) | (_, Stage::Opening(_)) => Ok(false),
            (
                Some(syncs),
                &(Stage::Ready(file) | Stage::Writing { file, .. } | Stage::Waiting { file, .. }),
            ) => syncs.advance((file, written), &self.names, disk),
        }
    }

    /// True when it can take a buffer.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready(_))
    }

    /// True when it can be sealed: nothing is under way.
    pub(super) fn is_quiet(&self) -> bool {
        self.is_ready() && self.syncs.as_ref().is_none_or(PartSyncs::is_quiet)
    }

    /// The first `bytes` bytes, which may not have been written yet, have to become durable.
    pub(super) fn want(&mut self, bytes: u64) {
        self.syncs.iter_mut().for_each(|syncs| syncs.want(bytes));
    }

    /// True when they are.
    pub(super) fn is_durable(&self, bytes: u64) -> bool {
        self.syncs.as_ref().is_some_and(|syncs| syncs.is_durable(bytes))
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Begins to write a buffer behind what was written before.
    pub(super) fn write(&mut self, buffer: Vec<u8>, rows: u64, disk: &mut dyn Disk) {
        let Stage::Ready(file) = self.stage else {
            unreachable!("one buffer is written at a time")
        };
        let bytes = buffer.len();
        let operation = disk.write(file, self.bytes, buffer);
        self.bytes += bytes as u64;
        self.stage = Stage::Writing { file, operation, rows, bytes };
    }

    /// Bytes given to `write` so far.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Bytes the operating system has not taken yet.
    pub(super) fn bytes_being_written(&self) -> usize {
        match &self.stage {
            Stage::Writing { bytes, .. } => *bytes,
            Stage::Waiting { buffer, .. } => buffer.len(),
            Stage::Opening(_) | Stage::Ready(_) => 0,
        }
    }

    /// When a buffer is tried again for which there was no room: monotonic ns.
    pub(super) fn waits_until_ns(&self) -> Option<u64> {
        match self.stage {
            Stage::Waiting { until_ns, .. } => Some(until_ns),
            _ => None,
        }
    }

    /// When the part was begun.
    pub(super) fn opened_ns(&self) -> u64 {
        self.opened_ns
    }

    /// The part is complete, with rows of the first `ends` epochs that end here.
    pub(super) fn seal(self, ends: u64) -> ClosingPart {
        let OpenPart { number, names, stage, bytes, .. } = self;
        let Stage::Ready(file) = stage else { unreachable!("sealed when all is written") };
        let part = CompletePart { number, names, bytes, ends };
        ClosingPart { part, stage: ClosingStage::Full(file) }
    }
}

impl ClosingPart {
    /// Goes on to the next stage when the disk has answered; true when it did.
    pub(super) fn advance(&mut self, disk: &mut dyn Disk) -> Result<bool, Failure> {
        let PartNames { hidden, .. } = &self.part.names;
        let next = match self.stage {
            ClosingStage::Full(file) => ClosingStage::Syncing(file, disk.sync(file)),
            ClosingStage::Syncing(file, operation) => {
                if !is_done(disk, operation, "sync", hidden)? {
                    return Ok(false);
                }
                ClosingStage::Closing(disk.close(file))
            }
            ClosingStage::Closing(operation) => {
                if !is_done(disk, operation, "close", hidden)? {
                    return Ok(false);
                }
                ClosingStage::Closed
            }
            ClosingStage::Closed => return Ok(false),
        };
        self.stage = next;
        Ok(true)
    }

    /// True when all of it is durable.
    pub(super) fn is_synced(&self) -> bool {
        matches!(self.stage, ClosingStage::Closing(_) | ClosingStage::Closed)
    }

    /// True when it is closed, too.
    pub(super) fn is_closed(&self) -> bool {
        matches!(self.stage, ClosingStage::Closed)
    }

    pub(super) fn part(&self) -> &CompletePart {
        &self.part
    }

    /// Of one that is closed.
    pub(super) fn into_complete(self) -> CompletePart {
        assert!(self.is_closed());
        self.part
    }
}

/// Whether an operation on `path` has been done.
pub(super) fn is_done(
    disk: &mut dyn Disk,
    operation: OperationId,
    verb: &str,
    path: &Path,
) -> Result<bool, Failure> {
    match disk.take_result(operation) {
        None => Ok(false),
        Some(DiskResult::Done) => Ok(true),
        Some(result) => Err(failure(verb, path, result)),
    }
}

fn failure(verb: &str, path: &Path, result: DiskResult) -> Failure {
    let error = match result {
        DiskResult::Failed(error) | DiskResult::NoRoom(error, _) => error,
        _ => io::Error::other("the disk gave another answer than was asked for"),
    };
    let remedy = match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "; free space or write to another disk, then run again"
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            "; make the directory writable for this user"
        }
        io::ErrorKind::AlreadyExists => {
            "; nothing is overwritten: another run writes to this directory, give this one its own"
        }
        io::ErrorKind::NotFound => "; was the directory removed while the job ran?",
        _ => "; rows after the last complete part are not in the directory",
    };
    Failure::io(format!("cannot {verb} {}: {error}{remedy}", path.display()))
}
