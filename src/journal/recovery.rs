//! Recovery: what a start finds in a directory, and what it goes on with.
//!
//! Read: `record` (what the start before found) · `newest` (the newest epoch) · `chain` (the segments
//! of a journal, its entries).
//!
//! In order, and each step can be repeated after a crash within any:
//! 1. All files are synced, and forgotten by the page cache: what a run that was killed left there becomes
//!    durable, and what a failed sync left there, as if it were durable, is not read.
//! 2. `recovered` says from which epoch the run before went on; segments of that run may hold a newer
//!    one. The newest commit record wins: an epoch exists from the moment its record is durable.
//! 3. Every segment from where the epoch needs it must be there. What was received and never committed
//!    (ingest) goes on as far as it is valid; all else behind the committed ranges is cut.
//! 4. `recovered` is replaced. From now on nothing behind these ends counts.
//! 5. Files nobody needs are removed: what was cut, and leftovers of every interrupted step.
//!
//! A check that fails inside of what is kept is damage, and an error: never an older epoch instead.

mod chain;
mod newest;
mod record;

use std::collections::BTreeMap;

use super::commit::CommitRecord;
use super::entry::Invalid;
use super::error::JournalError;
use super::reader::{SegmentReader, StoredFile};
use super::segment::{LEFTOVER_SUFFIX, file_id, parse_segment_name, segment_name};
use super::storage::Storage;
use super::supply::JournalStart;
use super::writer::WriterStart;
use super::{JournalId, JournalRange, Kind, Position};
use crate::limits::EPOCHS_IN_FLIGHT_MAX;
use crate::stdx::CoreId;
use chain::{Chain, Segments};
pub use chain::{Entries, JournalEntry};
use newest::newest_commit;
use record::{RECORD_NAME, Record, Seal};

/// Cores whose state journals hold commit records.
const COMMIT_CORES: u16 = 2;

/// What a start is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RecoveryRequest {
    /// Its number, durable and never used before.
    pub run: u32,
    /// Forget all that there is.
    pub fresh: bool,
    /// Tells this directory from others, where it is new: any number.
    pub new_id: u64,
}

/// What a start found.
pub struct Recovered<S: Storage> {
    record: Record,
    kept: BTreeMap<JournalId, Kept<S>>,
    /// The highest number of a segment there ever was.
    numbers: BTreeMap<JournalId, u64>,
}

/// What a start keeps of a journal.
struct Kept<S> {
    range: JournalRange,
    chain: Chain<S>,
    end: Position,
    /// Of the entry that would be next.
    sequence: u64,
}

/// What the directory holds.
struct Found {
    segments: BTreeMap<JournalId, Segments>,
    /// Segments whose first block is none.
    damaged: Vec<(JournalId, u64, Invalid)>,
    numbers: BTreeMap<JournalId, u64>,
    /// Names that mean nothing any more.
    leftovers: Vec<String>,
    has_record: bool,
}

/// Reads a directory that no other process uses, and prepares it for this run.
///
/// # Errors
/// See [`JournalError`]; nothing was changed but that leftovers may be gone.
pub fn recover<S: Storage>(
    storage: &S,
    request: RecoveryRequest,
) -> Result<Recovered<S>, JournalError> {
    let found = look(storage)?;
    let before = if request.fresh { None } else { record_before(storage, request, &found)? };
    let recovered = match before {
        None => {
            let recovered = begin(storage, request, &found);
            // Should this be interrupted, what is left is refused until the next fresh start.
            recovered.remove_others(storage, &found)?;
            recovered
        }
        Some(before) => go_on(storage, request.run, &before, &found)?,
    };
    recovered.write_record(storage)?;
    recovered.remove_others(storage, &found)?;
    Ok(recovered)
}

/// From nothing. Numbers of epochs and segments go on where they can be known.
fn begin<S: Storage>(storage: &S, request: RecoveryRequest, found: &Found) -> Recovered<S> {
    let old = if found.has_record { Record::read(storage).ok() } else { None };
    let record = Record {
        directory_id: request.new_id,
        run: request.run,
        next_epoch: old.map_or(1, |old| old.next_epoch + EPOCHS_IN_FLIGHT_MAX),
        seals: Vec::new(),
        commit: CommitRecord::default(),
    };
    Recovered { record, kept: BTreeMap::new(), numbers: found.numbers.clone() }
}

/// All that has a name of ours.
fn look<S: Storage>(storage: &S) -> Result<Found, JournalError> {
    let path = |name: &str| storage.path(name).display().to_string();
    let mut found = Found {
        segments: BTreeMap::new(),
        damaged: Vec::new(),
        numbers: BTreeMap::new(),
        leftovers: Vec::new(),
        has_record: false,
    };
    for name in storage.names().map_err(JournalError::io("list", path("")))? {
        if name == RECORD_NAME || parse_segment_name(&name).is_some() {
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

/// What an interrupted step of a journal left; other files with that suffix are not ours.
fn is_leftover(name: &str) -> bool {
    let Some(stem) = name.strip_suffix(LEFTOVER_SUFFIX) else { return false };
    let stem = stem.strip_prefix("spare-").unwrap_or(stem);
    stem == RECORD_NAME || parse_segment_name(stem).is_some()
}

/// What the start before found; none where this is the first.
fn record_before<S: Storage>(
    storage: &S,
    request: RecoveryRequest,
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
    if record.run >= request.run {
        let reason = format!("is of run {}, and this is run {}", record.run, request.run);
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

/// From the newest epoch.
fn go_on<S: Storage>(
    storage: &S,
    run: u32,
    before: &Record,
    found: &Found,
) -> Result<Recovered<S>, JournalError> {
    let mut commit = newest(storage, before, found)?;
    // An epoch names every journal it needs. What the run received before its first one is in none.
    let is_unnamed =
        |journal: &&JournalId| journal.kind == Kind::Ingest && commit.epoch == before.commit.epoch;
    let unnamed: Vec<JournalId> = found.segments.keys().filter(is_unnamed).copied().collect();
    for journal in &unnamed {
        if let Err(at) = commit.ranges.binary_search_by_key(journal, |range| range.journal) {
            let (from, to) = (Position::BEGINNING, Position::BEGINNING);
            commit.ranges.insert(at, JournalRange { journal: *journal, from, to, sequence: 1 });
        }
    }
    let mut kept = BTreeMap::new();
    let mut seals = Vec::new();
    let mut numbers = found.numbers.clone();
    for range in &commit.ranges {
        let keep = keep(storage, before, found, (range, commit.epoch))?;
        let highest = numbers.entry(range.journal).or_default();
        *highest = keep.end.segment.max(*highest);
        seals.extend_from_slice(&keep.chain.seals);
        kept.insert(range.journal, keep);
    }
    let next_epoch = before.next_epoch.max(commit.epoch + 1) + EPOCHS_IN_FLIGHT_MAX;
    let directory_id = before.directory_id;
    Ok(Recovered { record: Record { directory_id, run, next_epoch, seals, commit }, kept, numbers })
}

/// The newest epoch that exists.
fn newest<S: Storage>(
    storage: &S,
    before: &Record,
    found: &Found,
) -> Result<CommitRecord, JournalError> {
    let mut commit = before.commit.clone();
    let mut seen = (0, String::new());
    for core in CoreId::all(COMMIT_CORES) {
        let journal = JournalId { kind: Kind::State, core };
        let Some(segments) = found.segments.get(&journal) else { continue };
        let newest = newest_commit(storage, segments, before.run)?;
        if newest.epoch_seen > seen.0 {
            let last = segments.last_key_value().map_or(0, |(number, _)| *number);
            seen = (newest.epoch_seen, segment_name(journal, last));
        }
        commit = match newest.commit {
            Some(newer) if newer.epoch > commit.epoch => newer,
            _ => commit,
        };
    }
    let known = commit.epoch.max(before.next_epoch - 1);
    if seen.0 > known + EPOCHS_IN_FLIGHT_MAX {
        let file = storage.path(&seen.1).display().to_string();
        let reason = format!(
            "holds entries of epoch {}, and no record of an epoch after {} is left",
            seen.0, commit.epoch
        );
        return Err(JournalError::Inconsistent { file, reason });
    }
    Ok(commit)
}

/// What is kept of one journal.
fn keep<S: Storage>(
    storage: &S,
    before: &Record,
    found: &Found,
    (range, epoch): (&JournalRange, u64),
) -> Result<Kept<S>, JournalError> {
    let none = Segments::new();
    let segments = found.segments.get(&range.journal).unwrap_or(&none);
    let seals = before.seals.iter().filter(|seal| seal.journal == range.journal);
    // What was received and not committed may end in a later segment than what was.
    let is_ingest = range.journal.kind == Kind::Ingest;
    let last = seals.clone().filter(|_| is_ingest).map(|seal| seal.segment);
    let last = last.chain([range.to.segment]).max().unwrap_or(0);
    let mut chain = Chain::back_from(storage, range.journal, segments, (range.from, last))?;
    chain.seals = seals
        .filter(|seal| chain.segments.iter().any(|header| header.number == seal.segment))
        .copied()
        .collect();
    let (mut end, mut sequence) = (range.to, range.sequence);
    if is_ingest {
        let tail = Entries::new(chain, range.to, (range.to, 0), (range.to, epoch));
        (end, sequence, chain) = tail.valid_end(sequence, segments, before.run)?;
        chain.segments.retain(|header| header.number <= end.segment);
        let sealed = chain.seals.last();
        if let Some(sealed) =
            sealed.filter(|seal| (seal.segment, seal.end) > (end.segment, end.offset))
        {
            let file = chain.path(end.segment);
            let reason = Invalid::Sequence { expected: sealed.sequence, found: sequence };
            return Err(JournalError::Rot { file, offset: end.offset, reason });
        }
    }
    if end.segment > 0 && chain.seals.last().is_none_or(|seal| seal.segment < end.segment) {
        let (segment, end) = (end.segment, end.offset);
        chain.seals.push(Seal { journal: range.journal, segment, end, sequence });
    }
    Ok(Kept { range: *range, chain, end, sequence })
}

impl<S: Storage> Recovered<S> {
    /// Step 4.
    fn write_record(&self, storage: &S) -> Result<(), JournalError> {
        // It may be there from a start that was interrupted.
        let beside = format!("{RECORD_NAME}{LEFTOVER_SUFFIX}");
        remove_if_there(storage, &beside)?;
        self.record.write(storage)
    }

    /// Step 5.
    fn remove_others(&self, storage: &S, found: &Found) -> Result<(), JournalError> {
        let is_kept = |journal: JournalId, number: u64| {
            let kept = self.kept.get(&journal);
            kept.is_some_and(|kept| kept.chain.segments.iter().any(|known| known.number == number))
        };
        let segments = found.segments.iter();
        let segments = segments.flat_map(|(journal, known)| known.keys().map(|n| (*journal, *n)));
        let damaged = found.damaged.iter().map(|(journal, number, _)| (*journal, *number));
        for (journal, number) in segments.chain(damaged) {
            if !is_kept(journal, number) {
                remove_if_there(storage, &segment_name(journal, number))?;
            }
        }
        found.leftovers.iter().try_for_each(|name| remove_if_there(storage, name))?;
        let path = storage.path("").display().to_string();
        storage.sync_directory().map_err(JournalError::io("make the names durable in", path))
    }

    /// The epoch to go on from; 0 for none.
    pub fn epoch(&self) -> u64 {
        self.record.commit.epoch
    }

    /// The first number of an epoch that may be used.
    pub fn next_epoch(&self) -> u64 {
        self.record.next_epoch
    }

    /// The record of the epoch to go on from: where what it needs of every journal begins and ends. A
    /// source's journal is there even where no epoch exists.
    pub fn commit(&self) -> &CommitRecord {
        &self.record.commit
    }

    /// All that is needed of a journal, from the beginning: what was committed, and from an ingest
    /// journal what was received behind it (entries of later epochs than [`Recovered::epoch`]). None
    /// where there is no such journal.
    pub fn entries(&self, journal: JournalId) -> Option<Entries<S>> {
        let kept = self.kept.get(&journal)?;
        let to = (kept.end, kept.sequence);
        let committed = (kept.range.to, self.epoch());
        Some(Entries::new(kept.chain.clone(), kept.range.from, to, committed))
    }

    /// What this run goes on with in a journal, of a job that has `journals` journals.
    pub fn start(&self, journal: JournalId, journals: usize) -> JournalStart {
        let kept = self.kept.get(&journal);
        let (position, sequence) =
            kept.map_or((Position::BEGINNING, 1), |kept| (kept.end, kept.sequence));
        let segments = kept.map(|kept| &kept.chain.segments[..]).unwrap_or_default();
        JournalStart {
            journal,
            run: self.record.run,
            directory_id: self.record.directory_id,
            next_number: self.numbers.get(&journal).copied().unwrap_or(0) + 1,
            writer: WriterStart {
                position,
                sequence,
                epoch: self.record.next_epoch - 1,
                journals: journals.max(self.record.commit.ranges.len()),
                segments: segments.iter().map(|header| header.number).collect(),
            },
        }
    }
}

fn remove_if_there<S: Storage>(storage: &S, name: &str) -> Result<(), JournalError> {
    match storage.remove(name) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let path = storage.path(name).display().to_string();
            Err(JournalError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}
