//! Part: one file of a sink, from its first row to its appearance under its name.
//!
//! An [`OpenPart`] takes bytes; sealing it makes a [`ClosingPart`], which is synced, closed, renamed
//! and made durable in its directory, in this order, and takes no more bytes.

use std::io;
use std::path::{Path, PathBuf};

use super::FileSinkOptions;
use crate::limits::SINK_NO_ROOM_RETRY_NS;
use crate::reactor::{Disk, DiskResult, FileId, OpenMode, OperationId};
use crate::stdx::Failure;

/// What a part is called.
pub(super) struct PartNames {
    directory: PathBuf,
    /// While it is written.
    hidden: PathBuf,
    /// When it is complete.
    visible: PathBuf,
}

/// A part that takes bytes.
pub(super) struct OpenPart {
    names: PartNames,
    opened_ns: u64,
    stage: Stage,
    /// Given to `write` so far.
    bytes: u64,
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

/// A part that is complete and on its way to its name.
pub(super) struct ClosingPart {
    names: PartNames,
    stage: ClosingStage,
}

#[derive(Clone, Copy)]
enum ClosingStage {
    Full(FileId),
    Syncing(FileId, OperationId),
    Closing(OperationId),
    Renaming(OperationId),
    SyncingDirectory(OperationId),
    Done,
}

impl PartNames {
    /// Numbers are padded so that name order is the order of writing, core by core.
    pub(super) fn new(options: &FileSinkOptions, number: u32) -> PartNames {
        let (run, core, extension) = (options.run, options.core.index(), &options.extension);
        let name = format!("part-{run:04}-{core:02}-{number:05}.{extension}");
        PartNames {
            hidden: options.directory.join(format!(".{name}.open")),
            visible: options.directory.join(name),
            directory: options.directory.clone(),
        }
    }
}

impl OpenPart {
    /// Creates the hidden file.
    pub(super) fn begin(names: PartNames, now_ns: u64, disk: &mut dyn Disk) -> OpenPart {
        let stage = Stage::Opening(disk.open(&names.hidden, OpenMode::CreateNew));
        OpenPart { names, opened_ns: now_ns, stage, bytes: 0 }
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

    /// True when it can take a buffer, or be sealed.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.stage, Stage::Ready(_))
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

    /// The part is complete.
    pub(super) fn seal(self) -> ClosingPart {
        let Stage::Ready(file) = self.stage else { unreachable!("sealed when all is written") };
        ClosingPart { names: self.names, stage: ClosingStage::Full(file) }
    }
}

impl ClosingPart {
    /// Goes on to the next stage when the disk has answered; true when it did.
    pub(super) fn advance(&mut self, disk: &mut dyn Disk) -> Result<bool, Failure> {
        let names = &self.names;
        let (hidden, visible) = (&names.hidden, &names.visible);
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
                ClosingStage::Renaming(disk.rename(hidden, visible))
            }
            ClosingStage::Renaming(operation) => {
                if !is_done(disk, operation, "complete", visible)? {
                    return Ok(false);
                }
                ClosingStage::SyncingDirectory(disk.sync_directory(&names.directory))
            }
            ClosingStage::SyncingDirectory(operation) => {
                if !is_done(disk, operation, "sync", &names.directory)? {
                    return Ok(false);
                }
                ClosingStage::Done
            }
            ClosingStage::Done => return Ok(false),
        };
        self.stage = next;
        Ok(true)
    }

    /// True when the part is there under its name, for good.
    pub(super) fn is_done(&self) -> bool {
        matches!(self.stage, ClosingStage::Done)
    }
}

/// Whether an operation on `path` has been done.
fn is_done(
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
