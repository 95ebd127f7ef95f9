//! Syncs: how much of an open part is durable, its name included.
//!
//! In:  how many bytes have to be, of those that were written.
//! Out: one sync of the directory, and range syncs of what was written since the last one.
//!
//! Invariants
//! - A range is synced once all of it has been written.
//! - One sync of the part is under way at a time. A sync that fails is never begun again.

use super::names::PartNames;
use super::part::is_done;
use crate::limits::SINK_SYNC_BYTES_MAX;
use crate::reactor::{Disk, FileId, OperationId};
use crate::stdx::Failure;

/// See the module.
pub(super) struct PartSyncs {
    name: NameSync,
    /// So many bytes have to be durable, …
    wanted: u64,
    /// … and so many are.
    synced: u64,
    /// What makes that more.
    under_way: Option<(OperationId, u64)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum NameSync {
    /// The file is new.
    Due,
    UnderWay(OperationId),
    Durable,
}

impl PartSyncs {
    /// Of a part that is created now.
    pub(super) fn new() -> PartSyncs {
        PartSyncs { name: NameSync::Due, wanted: 0, synced: 0, under_way: None }
    }

    /// The first `bytes` bytes have to be durable.
    pub(super) fn want(&mut self, bytes: u64) {
        self.wanted = self.wanted.max(bytes);
    }

    /// True when the first `bytes` bytes are there after a loss of power.
    pub(super) fn is_durable(&self, bytes: u64) -> bool {
        self.name == NameSync::Durable && self.synced >= bytes
    }

    /// True when nothing is under way, and the name is durable.
    pub(super) fn is_quiet(&self) -> bool {
        self.name == NameSync::Durable && self.under_way.is_none()
    }

    /// Ends syncs and begins them, of a file of which `written` bytes have been written. True when
    /// something happened.
    pub(super) fn advance(
        &mut self,
        (file, written): (FileId, u64),
        names: &PartNames,
        disk: &mut dyn Disk,
    ) -> Result<bool, Failure> {
        let mut busy = self.advance_name(names, disk)?;
        if let Some((operation, to)) = self.under_way {
            if !is_done(disk, operation, "sync", &names.hidden)? {
                return Ok(busy);
            }
            (self.synced, self.under_way) = (to, None);
            busy = true;
        }
        if self.synced < self.wanted && self.wanted <= written {
            let bytes = (self.wanted - self.synced).min(SINK_SYNC_BYTES_MAX);
            let operation = disk.sync_range(file, self.synced, bytes);
            self.under_way = Some((operation, self.synced + bytes));
            busy = true;
        }
        Ok(busy)
    }

    fn advance_name(&mut self, names: &PartNames, disk: &mut dyn Disk) -> Result<bool, Failure> {
        match self.name {
            NameSync::Due => {
                self.name = NameSync::UnderWay(disk.sync_directory(&names.directory));
            }
            NameSync::UnderWay(operation) => {
                if !is_done(disk, operation, "sync", &names.directory)? {
                    return Ok(false);
                }
                self.name = NameSync::Durable;
            }
            NameSync::Durable => return Ok(false),
        }
        Ok(true)
    }
}
