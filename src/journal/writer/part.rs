//! A segment in use: being opened, written, or waiting until it is durable.

use std::io;
use std::path::PathBuf;

use super::super::error::JournalError;
use super::super::segment::SegmentHeader;
use super::super::supply::Supplied;
use crate::reactor::{Disk, DiskResult, FileId, OpenMode, OperationId};
use crate::stdx::Failure;

pub(super) struct Part<M> {
    pub(super) header: SegmentHeader,
    pub(super) path: PathBuf,
    /// Where the journal is mapped.
    pub(super) memory: Option<M>,
    /// Pages are present up to here, …
    pub(super) populated: u64,
    /// … and were asked for up to here.
    pub(super) asked: u64,
    /// On the core's ring, once it is open.
    pub(super) file: Option<FileId>,
    opening: Option<(OperationId, OpenMode)>,
}

impl<M> Part<M> {
    pub(super) fn new(supplied: Supplied<M>) -> Part<M> {
        let Supplied { header, path, memory, populated } = supplied;
        Part { header, path, memory, populated, asked: populated, file: None, opening: None }
    }

    pub(super) fn is_open(&self) -> bool {
        self.file.is_some()
    }

    /// Opens the file; past the page cache where `is_direct` and the file system knows how.
    pub(super) fn advance(&mut self, is_direct: bool, disk: &mut dyn Disk) -> Result<(), Failure> {
        if self.file.is_some() {
            return Ok(());
        }
        let Some((operation, mode)) = self.opening else {
            let mode = if is_direct { OpenMode::Direct } else { OpenMode::Write };
            self.opening = Some((disk.open(&self.path, mode), mode));
            return Ok(());
        };
        match disk.take_result(operation) {
            None => {}
            Some(DiskResult::Opened(file)) => self.file = Some(file),
            Some(DiskResult::Failed(error))
                if mode == OpenMode::Direct && error.kind() == io::ErrorKind::InvalidInput =>
            {
                let opening = disk.open(&self.path, OpenMode::Write);
                self.opening = Some((opening, OpenMode::Write));
            }
            Some(DiskResult::Failed(error)) => {
                let path = self.path.display().to_string();
                return Err(JournalError::io("open", path)(error).failure());
            }
            Some(_) => unreachable!("opening opens or fails"),
        }
        Ok(())
    }
}
