//! What a directory holds: segments by journal, leftovers, and what the start before found.

use std::collections::BTreeMap;

use super::super::JournalId;
use super::super::entry::Invalid;
use super::super::error::JournalError;
use super::super::reader::{SegmentReader, StoredFile};
use super::super::segment::{LEFTOVER_SUFFIX, file_id, parse_segment_name, segment_name};
use super::super::storage::Storage;
use super::chain::Segments;
use super::record::{RECORD_NAME, Record};

/// What the directory holds.
pub(super) struct Found {
    pub(super) segments: BTreeMap<JournalId, Segments>,
    /// Segments whose first block is none.
    pub(super) damaged: Vec<(JournalId, u64, Invalid)>,
    pub(super) numbers: BTreeMap<JournalId, u64>,
    /// Names that mean nothing any more.
    pub(super) leftovers: Vec<String>,
    pub(super) has_record: bool,
}

/// All that has a name of ours. `is_settled` is false where nobody else uses the directory and the files
/// are to be settled first.
pub(super) fn look<S: Storage>(storage: &S, is_settled: bool) -> Result<Found, JournalError> {
    let path = |name: &str| storage.path(name).display().to_string();
    let mut found = Found {
        segments: BTreeMap::new(),
        damaged: Vec::new(),
        numbers: BTreeMap::new(),
        leftovers: Vec::new(),
        has_record: false,
    };
    for name in storage.names().map_err(JournalError::io("list", path("")))? {
        if !is_settled && (name == RECORD_NAME || parse_segment_name(&name).is_some()) {
            storage.settle(&name).map_err(JournalError::io("make durable", path(&name)))?;
        }
        let Some((journal, number)) = parse_segment_name(&name) else {
            found.has_record |= name == RECORD_NAME;
            if is_leftover(&name) {
                found.leftovers.push(name);
            }
            continue;
        };
        let highest = found.numbers.entry(journal).or_default();
        *highest = number.max(*highest);
        let file = StoredFile { storage: storage.clone(), name: name.clone() };
        let opened = SegmentReader::open(file).map_err(JournalError::io("read", path(&name)))?;
        match opened.map(|reader| *reader.header()) {
            Ok(header) if (header.journal, header.number) == (journal, number) => {
                found.segments.entry(journal).or_default().insert(number, header);
            }
            Ok(header) => found.damaged.push((journal, number, Invalid::File(header.file_id))),
            Err(reason) => found.damaged.push((journal, number, reason)),
        }
    }
    Ok(found)
}

/// Segments of one journal, as far as they are there and valid.
pub(super) fn segments_of<S: Storage>(
    storage: &S,
    journal: JournalId,
) -> Result<Segments, JournalError> {
    let path = |name: &str| storage.path(name).display().to_string();
    let mut segments = Segments::new();
    for name in storage.names().map_err(JournalError::io("list", path("")))? {
        let Some((_, number)) = parse_segment_name(&name).filter(|(of, _)| *of == journal) else {
            continue;
        };
        let file = StoredFile { storage: storage.clone(), name: name.clone() };
        match SegmentReader::open(file) {
            Ok(Ok(reader)) => {
                segments.insert(number, *reader.header());
            }
            Ok(Err(_)) => {}
            // Recycled in the meantime.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(JournalError::io("read", path(&name))(error)),
        }
    }
    Ok(segments)
}

/// What an interrupted step of a journal left; other files with that suffix are not ours.
fn is_leftover(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(LEFTOVER_SUFFIX) else { return false };
    let stem = stem.strip_prefix("spare-").unwrap_or(stem);
    stem == RECORD_NAME || parse_segment_name(stem).is_some()
}

/// What the start before found; none where there was none. `run` is the run that starts now, if one does.
pub(super) fn record_before<S: Storage>(
    storage: &S,
    run: Option<u32>,
    found: &Found,
) -> Result<Option<Record>, JournalError> {
    let inconsistent = |name: &str, reason: String| {
        let file = storage.path(name).display().to_string();
        Err(JournalError::Inconsistent { file, reason })
    };
    if !found.has_record {
        if found.numbers.is_empty() {
            return Ok(None);
        }
        return inconsistent(RECORD_NAME, "is missing, and there are journals".to_owned());
    }
    let record = Record::read(storage)?;
    if let Some(run) = run.filter(|run| record.run >= *run) {
        let reason = format!("is of run {}, and this is run {run}", record.run);
        return inconsistent(RECORD_NAME, reason);
    }
    for (journal, number, reason) in &found.damaged {
        let from = record.commit.range(*journal).map_or(0, |range| range.from.segment);
        if *number >= from {
            let file = storage.path(&segment_name(*journal, *number)).display().to_string();
            return Err(JournalError::Rot { file, offset: 0, reason: *reason });
        }
    }
    for header in found.segments.values().flat_map(Segments::values) {
        let id = file_id(record.directory_id, header.run, header.journal, header.number);
        if header.file_id != id || header.run > record.run {
            let reason = "belongs to another directory".to_owned();
            return inconsistent(&segment_name(header.journal, header.number), reason);
        }
    }
    Ok(Some(record))
}
