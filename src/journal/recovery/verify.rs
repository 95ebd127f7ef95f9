//! Verifying: every byte of what is kept, and every damage there is, not only the first.
//!
//! Behind a damaged entry the next one is looked for, at every place where an entry may begin. What lies
//! outside of the committed ranges is not looked at: it may be torn, and no start reads it. Of an ingest
//! journal, what was received behind the last epoch is, as far as it goes.

use super::super::commit::JournalRange;
use super::super::entry::{ENTRY_HEADER_BYTES, EntryHeader, EntryKind, Invalid};
use super::super::error::JournalError;
use super::super::reader::{SegmentReader, StoredFile};
use super::super::segment::{SEGMENT_BEGIN, SegmentHeader, file_id, segment_name};
use super::super::storage::Storage;
use super::super::{JournalId, Position};
use super::chain::{JournalEntry, Segments};
use super::found::{Found, look};
use super::record::{RECORD_NAME, Record, Seal};
use super::{keep, newest};

/// What was looked at.
#[derive(Default, Debug)]
pub struct Verified {
    /// The newest epoch; 0 for none.
    pub epoch: u64,
    /// Segments read, in whole or in part.
    pub segments: u64,
    /// Entries that are as they were written.
    pub entries: u64,
    /// Bytes that were checked.
    pub bytes: u64,
    /// What is not as it was written.
    pub damages: Vec<JournalError>,
}

/// What is met in a journal, in its order.
#[derive(Clone, Copy, Debug)]
pub enum Met<'a> {
    /// An entry somebody appended.
    Entry(JournalEntry<'a>),
    /// Something is damaged here: what is missing is not known.
    Gap,
}

/// Reads everything that the newest epoch keeps, and hands it to `see`. `None` where no run has ever
/// started.
///
/// # Errors
/// When a file cannot be read. Damage is no error, but listed.
pub fn verify<S: Storage>(
    storage: &S,
    see: &mut dyn FnMut(JournalId, Met<'_>),
) -> Result<Option<Verified>, JournalError> {
    let mut verified = Verified::default();
    let found = look(storage, true)?;
    if !found.has_record && found.numbers.is_empty() {
        return Ok(None);
    }
    let Some(record) = verified.record(storage, &found)? else { return Ok(Some(verified)) };
    let commit = match newest(storage, &record, &found) {
        Ok(commit) => commit,
        Err(error) => {
            verified.note(error)?;
            record.commit.clone()
        }
    };
    verified.epoch = commit.epoch;
    verified.foreign(storage, &record, &found);
    for (journal, number, reason) in &found.damaged {
        let range = commit.range(*journal);
        if range.is_some_and(|range| range.from.segment <= *number) {
            let file = path(storage, *journal, *number);
            verified.damages.push(JournalError::Rot { file, offset: 0, reason: *reason });
        }
    }
    let none = Segments::new();
    for range in &commit.ranges {
        let known = found.segments.get(&range.journal).unwrap_or(&none);
        let walk = match keep(storage, &record, &found, (range, commit.epoch)) {
            Ok(kept) => Walk {
                segments: kept.chain.segments,
                seals: kept.chain.seals,
                end: (kept.end, kept.sequence),
                has_gaps: false,
            },
            Err(error) => {
                verified.note(error)?;
                see(range.journal, Met::Gap);
                let between = known.range(range.from.segment..=range.to.segment);
                Walk {
                    segments: between.map(|(_, header)| *header).collect(),
                    seals: record.seals.clone(),
                    end: (range.to, range.sequence),
                    has_gaps: true,
                }
            }
        };
        verified.walk(storage, range, &walk, commit.epoch, see)?;
    }
    Ok(Some(verified))
}

/// The segments of one journal.
struct Walk {
    segments: Vec<SegmentHeader>,
    seals: Vec<Seal>,
    /// Where it ends, and the sequence of the entry that would be next.
    end: (Position, u64),
    /// Some segment is missing or not as long as it was.
    has_gaps: bool,
}

impl Verified {
    /// Damage is listed, anything else is an error.
    fn note(&mut self, error: JournalError) -> Result<(), JournalError> {
        if matches!(error, JournalError::Io { .. }) {
            return Err(error);
        }
        self.damages.push(error);
        Ok(())
    }

    /// What the start before found, as far as it can be read.
    fn record<S: Storage>(
        &mut self,
        storage: &S,
        found: &Found,
    ) -> Result<Option<Record>, JournalError> {
        let file = storage.path(RECORD_NAME).display().to_string();
        if !found.has_record {
            let reason = "is missing, and there are journals".to_owned();
            self.damages.push(JournalError::Inconsistent { file, reason });
            return Ok(None);
        }
        let (record, damaged) = Record::read_copies(storage)?;
        for (offset, reason) in damaged {
            self.damages.push(JournalError::Rot { file: file.clone(), offset, reason });
        }
        // A file that was cut may still begin with a whole copy.
        Ok(record.or_else(|| Record::read(storage).ok()))
    }

    /// Segments that this directory never had.
    fn foreign<S: Storage>(&mut self, storage: &S, record: &Record, found: &Found) {
        for header in found.segments.values().flat_map(Segments::values) {
            let id = file_id(record.directory_id, header.run, header.journal, header.number);
            if header.file_id != id || header.run > record.run {
                let reason = "belongs to another directory".to_owned();
                let file = path(storage, header.journal, header.number);
                self.damages.push(JournalError::Inconsistent { file, reason });
            }
        }
    }

    /// All of one journal.
    fn walk<S: Storage>(
        &mut self,
        storage: &S,
        range: &JournalRange,
        walk: &Walk,
        epoch_max: u64,
        see: &mut dyn FnMut(JournalId, Met<'_>),
    ) -> Result<(), JournalError> {
        let (end, next_sequence) = walk.end;
        let mut expected = Expected { sequence: None, epoch: 0, epoch_max, committed: range.to };
        let mut has_gap = walk.has_gaps;
        for header in &walk.segments {
            let is_first = header.number == range.from.segment;
            let from = if is_first { range.from.offset } else { SEGMENT_BEGIN };
            let seal = walk
                .seals
                .iter()
                .find(|seal| (seal.journal, seal.segment) == (header.journal, header.number));
            let known = if header.number == end.segment {
                Some(end.offset)
            } else {
                seal.map(|seal| seal.end)
            };
            let part = SegmentPart { storage, header: *header, from, to: known };
            has_gap |= self.segment(&part, &mut expected, see)?;
        }
        match expected.sequence {
            Some(found) if found != next_sequence && !has_gap => {
                let reason = Invalid::Sequence { expected: next_sequence, found };
                let file = path(storage, range.journal, end.segment);
                self.damages.push(JournalError::Rot { file, offset: end.offset, reason });
            }
            _ => {}
        }
        Ok(())
    }

    /// The entries of one segment; true when something is damaged.
    fn segment<S: Storage>(
        &mut self,
        part: &SegmentPart<'_, S>,
        expected: &mut Expected,
        see: &mut dyn FnMut(JournalId, Met<'_>),
    ) -> Result<bool, JournalError> {
        let SegmentPart { storage, header, from, to: known_end } = *part;
        let to = known_end.unwrap_or(header.bytes);
        let file = path(storage, header.journal, header.number);
        let failed = || JournalError::io("read", file.clone());
        let stored = StoredFile {
            storage: storage.clone(),
            name: segment_name(header.journal, header.number),
        };
        // It was opened just before.
        let opened = SegmentReader::open(stored).map_err(failed())?;
        let Ok(mut reader) = opened else { return Ok(true) };
        self.segments += 1;
        let (mut offset, mut is_lost, mut has_gap) = (from, false, false);
        // A segment that is followed by another one ends with an entry that says so.
        let mut has_end = known_end.is_some();
        while offset < to {
            let checked = reader.entry_at(offset).map_err(failed())?;
            let entry = checked.and_then(|entry| {
                if offset + entry.header.stored_bytes() > to {
                    return Err(Invalid::Length(entry.header.payload_bytes));
                }
                Ok(entry)
            });
            let entry = match entry {
                Ok(entry) => entry,
                Err(reason) => {
                    if !is_lost {
                        self.damages.push(JournalError::Rot { file: file.clone(), offset, reason });
                        see(header.journal, Met::Gap);
                    }
                    (is_lost, has_gap, expected.sequence) = (true, true, None);
                    offset += ENTRY_HEADER_BYTES as u64;
                    continue;
                }
            };
            is_lost = false;
            let position = Position { segment: header.number, offset };
            if let Err(reason) = expected.take(&entry.header, position) {
                self.damages.push(JournalError::Rot { file: file.clone(), offset, reason });
                see(header.journal, Met::Gap);
                has_gap = true;
            }
            self.entries += 1;
            self.bytes += entry.header.stored_bytes();
            if entry.header.kind == EntryKind::Data {
                let (tag, epoch) = (entry.header.tag, entry.header.epoch);
                let entry = JournalEntry { tag, epoch, position, payload: entry.payload };
                see(header.journal, Met::Entry(entry));
            }
            offset += entry.header.stored_bytes();
            if entry.header.kind == EntryKind::End {
                // Where it is known where the journal goes on, or ends.
                has_end = known_end.is_none_or(|end| end == offset);
                break;
            }
        }
        if !has_end && !is_lost {
            let reason = if offset < to { Invalid::Content } else { Invalid::Truncated };
            self.damages.push(JournalError::Rot { file, offset, reason });
            has_gap = true;
        }
        Ok(has_gap)
    }
}

/// Part of a segment.
struct SegmentPart<'a, S> {
    storage: &'a S,
    header: SegmentHeader,
    from: u64,
    /// `None` where an entry says that the journal goes on in the next one.
    to: Option<u64>,
}

/// What the next entry must be.
struct Expected {
    /// `None` where it is not known.
    sequence: Option<u64>,
    /// Of the last entry.
    epoch: u64,
    /// What was committed belongs to this epoch or an earlier one, and ends there.
    epoch_max: u64,
    committed: Position,
}

impl Expected {
    /// Notes an entry, also one that should not be here.
    fn take(&mut self, entry: &EntryHeader, at: Position) -> Result<(), Invalid> {
        let expected = self.sequence.replace(entry.sequence.wrapping_add(1));
        if let Some(expected) = expected.filter(|expected| *expected != entry.sequence) {
            return Err(Invalid::Sequence { expected, found: entry.sequence });
        }
        if entry.kind != EntryKind::Data {
            return Ok(());
        }
        let is_too_new = at < self.committed && entry.epoch > self.epoch_max;
        if entry.epoch < self.epoch || is_too_new {
            return Err(Invalid::Epoch(entry.epoch));
        }
        self.epoch = entry.epoch;
        Ok(())
    }
}

fn path<S: Storage>(storage: &S, journal: JournalId, segment: u64) -> String {
    storage.path(&segment_name(journal, segment)).display().to_string()
}
