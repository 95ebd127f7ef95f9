//! What a start found, in a file of its own: `recovered`.
//!
//! It is replaced as a whole before the run opens its first segment, and never changed. It says which
//! epoch the run goes on from, with the ranges of all journals, and where the journals of earlier runs
//! end: whatever lies behind that is no part of them. So only segments of the run itself may hold a
//! newer epoch.
//!
//! The file is one entry of kind [`EntryKind::Recovery`], filled up to a block and there twice, one
//! behind the other. Payload, little-endian:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 8 | the first epoch number the run may use |
//! | 8 | 4 | number of ends |
//! | 12 | 4 | zero |
//! | 16 + 32 n | 2 | kind of journal |
//! | 18 + 32 n | 2 | core |
//! | 20 + 32 n | 4 | zero |
//! | 24 + 32 n | 8 | segment |
//! | 32 + 32 n | 8 | where in it the journal ends |
//! | 40 + 32 n | 8 | sequence of the entry that would be next |
//! | then | | a commit record |

use std::io;

use super::super::commit::CommitRecord;
use super::super::entry::{BLOCK_BYTES, EntryHeader, EntryKind, Invalid, ZEROS, index};
use super::super::error::JournalError;
use super::super::segment::LEFTOVER_SUFFIX;
use super::super::storage::Storage;
use super::super::{JournalId, Kind};
use crate::limits::{CORES_MAX, JOURNAL_ENTRY_BYTES_MAX};
use crate::stdx::CoreId;

/// Name of the file.
pub(super) const RECORD_NAME: &str = "recovered";

const HEAD_BYTES: usize = 16;
const SEAL_BYTES: usize = 32;

/// Where an earlier run's last segment of a journal ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seal {
    pub(super) journal: JournalId,
    pub(super) segment: u64,
    pub(super) end: u64,
    /// Of the entry that would be next.
    pub(super) sequence: u64,
}

/// The file as it can be read, and where copies of it are damaged.
pub(super) type Copies = (Option<Record>, Vec<(u64, Invalid)>);

/// What a start found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Record {
    pub(super) directory_id: u64,
    /// The run that started.
    pub(super) run: u32,
    /// The first epoch number it may use.
    pub(super) next_epoch: u64,
    pub(super) seals: Vec<Seal>,
    /// The epoch it goes on from; 0 for none.
    pub(super) commit: CommitRecord,
}

impl Record {
    /// Replaces the file.
    pub(super) fn write<S: Storage>(&self, storage: &S) -> Result<(), JournalError> {
        let beside = format!("{RECORD_NAME}{LEFTOVER_SUFFIX}");
        let path = || storage.path(RECORD_NAME).display().to_string();
        let failed = |operation| JournalError::io(operation, path());
        let bytes = self.to_bytes();
        storage.create(&beside, bytes.len() as u64).map_err(failed("create"))?;
        storage.write(&beside, 0, &bytes).map_err(failed("write"))?;
        storage.sync(&beside).map_err(failed("make durable"))?;
        storage.rename(&beside, RECORD_NAME).map_err(failed("rename"))?;
        storage.sync_directory().map_err(failed("make the names durable beside"))
    }

    /// Reads the file.
    pub(super) fn read<S: Storage>(storage: &S) -> Result<Record, JournalError> {
        let path = || storage.path(RECORD_NAME).display().to_string();
        let bytes = bytes_of(storage)?;
        let second = bytes.len() / 2;
        parse(&bytes, 0)
            .or_else(|first| parse(&bytes[second..], second as u64).map_err(|_| first))
            .map_err(|reason| JournalError::Rot { file: path(), offset: 0, reason })
    }

    /// Reads the file, and says which copies are damaged.
    pub(super) fn read_copies<S: Storage>(storage: &S) -> Result<Copies, JournalError> {
        let bytes = bytes_of(storage)?;
        let second = bytes.len() / 2;
        let (first, rest) = bytes.split_at(second);
        let (mut record, mut damaged) = (None, Vec::new());
        for (copy, offset) in [(first, 0), (rest, second as u64)] {
            match parse_whole(copy, offset) {
                Ok(copy) if record.as_ref().is_none_or(|known| *known == copy) => {
                    record.get_or_insert(copy);
                }
                Ok(_) => damaged.push((offset, Invalid::Content)),
                Err(reason) => damaged.push((offset, reason)),
            }
        }
        Ok((record, damaged))
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut payload = Vec::new();
        payload.extend_from_slice(&self.next_epoch.to_le_bytes());
        let count = u32::try_from(self.seals.len()).expect("one of each run and journal");
        payload.extend_from_slice(&count.to_le_bytes());
        payload.resize(HEAD_BYTES, 0);
        for seal in &self.seals {
            payload.extend_from_slice(&seal.journal.kind.number().to_le_bytes());
            payload.extend_from_slice(&seal.journal.core.number().to_le_bytes());
            payload.extend_from_slice(&[0; 4]);
            payload.extend_from_slice(&seal.segment.to_le_bytes());
            payload.extend_from_slice(&seal.end.to_le_bytes());
            payload.extend_from_slice(&seal.sequence.to_le_bytes());
        }
        payload.extend_from_slice(&self.commit.to_bytes());
        let mut bytes = Vec::new();
        for _ in 0..2 {
            let entry = EntryHeader {
                kind: EntryKind::Recovery,
                payload_bytes: u32::try_from(payload.len()).expect("some KiB"),
                file_id: self.directory_id,
                sequence: 0,
                epoch: self.commit.epoch,
                run: self.run,
                tag: 0,
                offset: bytes.len() as u64,
            };
            bytes.extend_from_slice(&entry.to_bytes(&[&payload]));
            bytes.extend_from_slice(&payload);
            bytes.resize(bytes.len().next_multiple_of(index(BLOCK_BYTES)), 0);
        }
        bytes
    }
}

fn bytes_of<S: Storage>(storage: &S) -> Result<Vec<u8>, JournalError> {
    let path = || storage.path(RECORD_NAME).display().to_string();
    let length = storage.length(RECORD_NAME).map_err(JournalError::io("look at", path()))?;
    let length_max = 2 * JOURNAL_ENTRY_BYTES_MAX as u64;
    let mut bytes = vec![0; index(length.min(length_max))];
    let read: io::Result<usize> = storage.read(RECORD_NAME, 0, &mut bytes);
    bytes.truncate(read.map_err(JournalError::io("read", path()))?);
    Ok(bytes)
}

/// The copy that begins at `offset` and is all of `bytes`, with the zeros behind it.
fn parse_whole(bytes: &[u8], offset: u64) -> Result<Record, Invalid> {
    let record = parse(bytes, offset)?;
    let head = bytes.first_chunk().ok_or(Invalid::Truncated)?;
    let stored = index(EntryHeader::parse(head)?.stored_bytes());
    let is_filled = bytes.len() == stored.next_multiple_of(index(BLOCK_BYTES))
        && bytes[stored..].iter().all(|byte| *byte == 0);
    if is_filled { Ok(record) } else { Err(Invalid::Content) }
}

/// The copy that begins at `offset`.
fn parse(bytes: &[u8], offset: u64) -> Result<Record, Invalid> {
    let head = bytes.first_chunk().ok_or(Invalid::Truncated)?;
    let entry = EntryHeader::parse(head)?;
    let payload = entry.check(bytes)?;
    if entry.offset != offset {
        return Err(Invalid::Offset(entry.offset));
    }
    let (counts, rest) = payload.split_at_checked(HEAD_BYTES).ok_or(Invalid::Content)?;
    let next_epoch = u64::from_le_bytes(counts[..8].try_into().expect("a range of 8 bytes"));
    let count = u32::from_le_bytes(counts[8..12].try_into().expect("a range of 4 bytes"));
    let seals_bytes = usize::try_from(count).ok().and_then(|count| count.checked_mul(SEAL_BYTES));
    let parts = seals_bytes.and_then(|seals_bytes| rest.split_at_checked(seals_bytes));
    let (seals, commit) = parts.ok_or(Invalid::Content)?;
    let seals = seals.as_chunks::<SEAL_BYTES>().0.iter().map(parse_seal);
    let is_other = entry.kind != EntryKind::Recovery || counts[12..] != ZEROS[..4];
    if is_other || (entry.sequence, entry.tag) != (0, 0) {
        return Err(Invalid::Content);
    }
    Ok(Record {
        directory_id: entry.file_id,
        run: entry.run,
        next_epoch,
        seals: seals.collect::<Result<_, _>>()?,
        commit: CommitRecord::parse(entry.epoch, commit)?,
    })
}

fn parse_seal(bytes: &[u8; SEAL_BYTES]) -> Result<Seal, Invalid> {
    let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let long =
        |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a range of 8 bytes"));
    let kind = Kind::of_number(short(0)).ok_or(Invalid::Content)?;
    if short(2) >= CORES_MAX || bytes[4..8] != ZEROS[..4] {
        return Err(Invalid::Content);
    }
    let journal = JournalId { kind, core: CoreId::new(short(2)) };
    Ok(Seal { journal, segment: long(8), end: long(16), sequence: long(24) })
}
