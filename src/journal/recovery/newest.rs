//! The newest commit record of a run.
//!
//! Records are looked for in the newest segments first, at every place where an entry may begin: one
//! behind another for as long as they are valid, otherwise at every block. So a damaged entry hides no
//! record behind it.

use super::super::commit::CommitRecord;
use super::super::entry::{BLOCK_BYTES, EntryKind};
use super::super::error::JournalError;
use super::super::reader::{SegmentReader, StoredFile};
use super::super::segment::{SEGMENT_BEGIN, SegmentHeader, segment_name};
use super::super::storage::Storage;
use super::chain::{Segments, has_length};

/// What a journal that holds commit records says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Newest {
    /// The newest record.
    pub(super) commit: Option<CommitRecord>,
    /// The newest epoch of any entry that was met.
    pub(super) epoch_seen: u64,
}

/// Looks for the newest record in the segments that `run` opened.
pub(super) fn newest_commit<S: Storage>(
    storage: &S,
    segments: &Segments,
    run: u32,
) -> Result<Newest, JournalError> {
    let mut newest = Newest::default();
    for header in segments.values().rev().filter(|header| header.run == run) {
        has_length(storage, header)?;
        look_into(storage, header, &mut newest)?;
        if newest.commit.is_some() {
            break;
        }
    }
    Ok(newest)
}

fn look_into<S: Storage>(
    storage: &S,
    header: &SegmentHeader,
    newest: &mut Newest,
) -> Result<(), JournalError> {
    let name = segment_name(header.journal, header.number);
    let file = storage.path(&name).display().to_string();
    let failed = || JournalError::io("read", file.clone());
    let opened = SegmentReader::open(StoredFile { storage: storage.clone(), name });
    let mut reader = opened.map_err(failed())?.map_err(|reason| JournalError::Rot {
        file: file.clone(),
        offset: 0,
        reason,
    })?;
    let mut offset = SEGMENT_BEGIN;
    while offset < header.bytes {
        let Ok(entry) = reader.entry_at(offset).map_err(failed())? else {
            offset = (offset + 1).next_multiple_of(BLOCK_BYTES);
            continue;
        };
        offset += entry.header.stored_bytes();
        match entry.header.kind {
            EntryKind::Commit => {
                let found = CommitRecord::parse(entry.header.epoch, entry.payload).ok();
                let known = newest.commit.as_ref().map_or(0, |commit| commit.epoch);
                if found.as_ref().is_some_and(|commit| commit.epoch > known) {
                    newest.commit = found;
                }
            }
            EntryKind::Data => newest.epoch_seen = newest.epoch_seen.max(entry.header.epoch),
            _ => {}
        }
    }
    Ok(())
}
