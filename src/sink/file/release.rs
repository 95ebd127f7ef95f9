//! Release: complete parts get their names, in the order in which they were filled.
//!
//! In:  parts that are complete, synced and closed; how many epochs that have ended exist.
//! Out: files under their names, by renames that replace nothing; their directory, synced.
//!
//! Invariants
//! - A part appears when all of its rows belong to epochs that exist.
//! - A part counts as released once its name is durable.

use std::collections::VecDeque;

use super::names::PartNames;
use super::part::{CompletePart, is_done};
use crate::reactor::{Disk, OperationId};
use crate::stdx::Failure;

/// See the module.
#[derive(Default)]
pub(super) struct Release {
    /// Not renamed.
    waiting: VecDeque<CompletePart>,
    /// Renamed, and not durably.
    renamed: VecDeque<CompletePart>,
    step: Step,
}

/// What is under way.
#[derive(Clone, Copy, Default)]
enum Step {
    #[default]
    Nothing,
    /// The first that waits.
    Renaming(OperationId),
    /// Of the directory, and so many renamed parts are durable then.
    Syncing(OperationId, usize),
}

impl Release {
    /// Another part is complete.
    pub(super) fn push(&mut self, part: CompletePart) {
        self.waiting.push_back(part);
    }

    /// Parts that are not released, in the order in which they were filled.
    pub(super) fn parts(&self) -> impl Iterator<Item = &CompletePart> {
        self.renamed.iter().chain(&self.waiting)
    }

    pub(super) fn len(&self) -> usize {
        self.renamed.len() + self.waiting.len()
    }

    /// Goes on when the disk has answered, with parts whose rows belong to the first `committed` ends of
    /// epochs; true when something happened.
    pub(super) fn advance(&mut self, committed: u64, disk: &mut dyn Disk) -> Result<bool, Failure> {
        match self.step {
            Step::Nothing => {}
            Step::Renaming(operation) => {
                let PartNames { visible, .. } = &self.waiting[0].names;
                if !is_done(disk, operation, "complete", visible)? {
                    return Ok(false);
                }
                self.renamed.extend(self.waiting.pop_front());
            }
            Step::Syncing(operation, count) => {
                let PartNames { directory, .. } = &self.renamed[0].names;
                if !is_done(disk, operation, "sync", directory)? {
                    return Ok(false);
                }
                self.renamed.drain(..count);
            }
        }
        let was_idle = matches!(self.step, Step::Nothing);
        self.step = self.next(committed, disk);
        Ok(!was_idle || !matches!(self.step, Step::Nothing))
    }

    /// Several renames share a sync.
    fn next(&self, committed: u64, disk: &mut dyn Disk) -> Step {
        if let Some(part) = self.waiting.front().filter(|part| part.ends <= committed) {
            let PartNames { hidden, visible, .. } = &part.names;
            return Step::Renaming(disk.rename(hidden, visible));
        }
        match self.renamed.front() {
            Some(part) => {
                Step::Syncing(disk.sync_directory(&part.names.directory), self.renamed.len())
            }
            None => Step::Nothing,
        }
    }
}
