//! Recovery: what a start finds in a directory, and what it goes on with.
//!
//! Read: `found` (what a directory holds) · `record` (what the start before found) · `newest` (the newest epoch) · `chain` (the segments
//! of a journal, its entries) · `verify` (all damage there is).
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
mod found;
mod newest;
mod record;
mod verify;

use std::collections::BTreeMap;

use super::commit::CommitRecord;
use super::entry::Invalid;
use super::error::JournalError;
use super::segment::{LEFTOVER_SUFFIX, SegmentHeader, segment_name};
use super::side::SideStart;
use super::storage::Storage;
use super::supply::JournalStart;
use super::writer::WriterStart;
use super::{JournalId, JournalRange, Kind, Position};
use crate::limits::EPOCHS_IN_FLIGHT_MAX;
use crate::stdx::{CoreId, Failpoint};
use chain::{Chain, Segments};
pub use chain::{Entries, JournalEntry};
use found::{Found, look, record_before, segments_of};
use newest::newest_commit;
use record::{RECORD_NAME, Record, Seal};
pub use verify::{Met, Verified, verify};

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

/// What a start would find.
pub struct Examined<S: Storage> {
    run: u32,
    recovered: Recovered<S>,
}

/// What a start keeps of a journal.
struct Kept<S> {
    range: JournalRange,
    chain: Chain<S>,
    end: Position,
    /// Of the entry that would be next.
    sequence: u64,
}

/// Reads a directory that no other process uses, and prepares it for this run.
///
/// # Errors
/// See [`JournalError`]; nothing was changed but that leftovers may be gone.
pub fn recover<S: Storage>(
    storage: &S,
    request: RecoveryRequest,
) -> Result<Recovered<S>, JournalError> {
    let found = look(storage, false)?;
    let before =
        if request.fresh { None } else { record_before(storage, Some(request.run), &found)? };
    let recovered = match before {
        None => {
            let recovered = begin(storage, request, &found);
            // Should this be interrupted, what is left is refused until the next fresh start.
            recovered.remove_others(storage, &found)?;
            recovered
        }
        Some(before) => go_on(storage, request.run, &before, &found)?,
    };
    Failpoint::Recover.pass();
    recovered.write_record(storage)?;
    Failpoint::Recovered.pass();
    recovered.remove_others(storage, &found)?;
    Ok(recovered)
}

/// What a start would find, for reading alone: nothing is changed, synced or removed. None where no run
/// has ever started.
///
/// # Errors
/// See [`JournalError`]. While a run goes on, what it changes meanwhile may look like damage.
pub fn examine<S: Storage>(storage: &S) -> Result<Option<Examined<S>>, JournalError> {
    let found = look(storage, true)?;
    let Some(before) = record_before(storage, None, &found)? else { return Ok(None) };
    let run = before.run;
    Ok(Some(Examined { run, recovered: go_on(storage, run, &before, &found)? }))
}

/// Entries of a journal from `range.from` to `range.to`, which were committed and not recycled; also of
/// the run that goes on.
///
/// # Errors
/// See [`JournalError`].
pub fn entries_between<S: Storage>(
    storage: &S,
    range: &JournalRange,
) -> Result<Entries<S>, JournalError> {
    let record = Record::read(storage)?;
    let known = segments_of(storage, range.journal)?;
    let mut chain =
        Chain::back_from(storage, range.journal, &known, (range.from, range.to.segment))?;
    chain.seals.extend(record.seals.iter().filter(|seal| seal.journal == range.journal));
    let to = (range.to, range.sequence);
    Ok(Entries::new(chain, range.from, to, (range.to, u64::MAX)))
}

/// From nothing. Numbers of epochs and segments go on where they can be known.
fn begin<S: Storage>(storage: &S, request: RecoveryRequest, found: &Found) -> Recovered<S> {
    let old = if found.has_record { Record::read(storage).ok() } else { None };
    let record = Record {
        directory_id: request.new_id,
        run: request.run,
        next_epoch: old.map_or(1, |old| old.next_epoch.saturating_add(EPOCHS_IN_FLIGHT_MAX)),
        seals: Vec::new(),
        commit: CommitRecord::default(),
    };
    Recovered { record, kept: BTreeMap::new(), numbers: found.numbers.clone() }
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
    let next_epoch = before.next_epoch.max(commit.epoch.saturating_add(1));
    let next_epoch = next_epoch.saturating_add(EPOCHS_IN_FLIGHT_MAX);
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
    let known = commit.epoch.max(before.next_epoch.saturating_sub(1));
    if seen.0 > known.saturating_add(EPOCHS_IN_FLIGHT_MAX) {
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

    /// Tells the directory from others, and from what it was before it was begun anew.
    pub fn directory_id(&self) -> u64 {
        self.record.directory_id
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

    /// What is kept of a journal, from what is needed first to the end of what [`Recovered::entries`] finds.
    pub fn kept(&self, journal: JournalId) -> Option<JournalRange> {
        let kept = self.kept.get(&journal)?;
        Some(JournalRange { to: kept.end, sequence: kept.sequence, ..kept.range })
    }

    /// What a side journal begins with in a run on `core_count` cores: its own entries, and those of cores
    /// that are no more which its core takes over.
    pub fn side_start(&self, journal: JournalId, core_count: u16) -> SideStart {
        let JournalId { kind, core } = journal;
        let is_adopted = |other: &&JournalId| {
            let theirs = other.core.number();
            let is_gone = other.kind == kind && theirs >= core_count;
            is_gone && theirs % core_count == core.number()
        };
        let adopted = self.kept.keys().filter(is_adopted).filter_map(|other| self.kept(*other));
        let adopted = adopted.filter(|range| range.from < range.to).collect();
        SideStart { own: self.kept(journal), adopted }
    }

    /// What this run goes on with in a journal, of a job that has `journals` journals.
    pub fn start(&self, journal: JournalId, journals: usize) -> JournalStart {
        let kept = self.kept.get(&journal);
        let (position, sequence) =
            kept.map_or((Position::BEGINNING, 1), |kept| (kept.end, kept.sequence));
        let segments = kept.map(|kept| &kept.chain.segments[..]).unwrap_or_default();
        let seals = kept.map(|kept| &kept.chain.seals[..]).unwrap_or_default();
        JournalStart {
            journal,
            run: self.record.run,
            directory_id: self.record.directory_id,
            next_number: self.numbers.get(&journal).copied().unwrap_or(0).saturating_add(1),
            writer: WriterStart {
                position,
                sequence,
                epoch: self.record.next_epoch.saturating_sub(1),
                // Journals of cores that are no more are in the record for a while, too.
                journals: journals + self.record.commit.ranges.len(),
                segments: segments.iter().map(|header| header.number).collect(),
                seals: seals.iter().map(|seal| (seal.segment, seal.end)).collect(),
            },
        }
    }
}

impl<S: Storage> Examined<S> {
    /// The last run.
    pub fn run(&self) -> u32 {
        self.run
    }

    /// See [`Recovered::commit`].
    pub fn commit(&self) -> &CommitRecord {
        self.recovered.commit()
    }

    /// See [`Recovered::entries`].
    pub fn entries(&self, journal: JournalId) -> Option<Entries<S>> {
        self.recovered.entries(journal)
    }

    /// What a start would go on with.
    pub fn recovered(&self) -> &Recovered<S> {
        &self.recovered
    }

    /// The segments that are kept of a journal, in their order.
    pub fn segments(&self, journal: JournalId) -> &[SegmentHeader] {
        let kept = self.recovered.kept.get(&journal);
        kept.map(|kept| &kept.chain.segments[..]).unwrap_or_default()
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
