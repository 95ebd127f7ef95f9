//! What is read of journals that a job wrote and was killed over; and damage, planted everywhere.

use std::collections::BTreeMap;

use super::core_check::CoreCheck;
use super::listing::{Listing, ListingRequest};
use super::summary::{self, Operator};
use super::verify::Verdict;
use super::{document, text};
use crate::checkpoint::{Definition, EntryTag, Manifest, RecoveredJournals, Restore, RestoreError};
use crate::journal::{
    Examined, JournalEntry, JournalId, Kind, Position, SEGMENT_BEGIN, examine, parse_segment_name,
    scan_segment, segment_name,
};
use crate::record::KeyHasher;
use crate::sim::{KilledJob, SimDisk, SimFiles, killed_job};
use crate::stdx::{CoreId, Failure};

const PREFIX: &str = "/j/";

fn files(disk: &SimDisk) -> SimFiles {
    SimFiles::new(disk, "/j")
}

fn examined(disk: &SimDisk) -> Examined<SimFiles> {
    examine(&files(disk)).unwrap().unwrap()
}

/// Calls `read` with the newest epoch.
fn with_epoch<T>(
    disk: &SimDisk,
    read: impl FnOnce(&Restore<'_>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let examined = examined(disk);
    let journals = RecoveredJournals::new(examined.recovered()).expect("there is an epoch");
    read(&Restore::open(&journals)?)
}

fn verdict(disk: &SimDisk, job: &KilledJob) -> Verdict {
    Verdict::of_files(&files(disk), job.hasher).expect("the files can be read")
}

/// Entries of all tables, by what their lines in the digest contain.
fn counted(operators: &[Operator]) -> u64 {
    operators.iter().flat_map(|operator| &operator.tables).map(|table| table.entries).sum()
}

#[test]
fn what_is_counted_is_what_a_restore_finds() {
    for (core_counts, seed) in [(&[1][..], 1), (&[2], 2), (&[1, 3], 3), (&[3, 2, 2], 4)] {
        let job = killed_job(core_counts, seed);
        let operators = with_epoch(&job.disk, summary::operators).unwrap();
        let entries = job.digest.iter().filter(|line| line.contains(" table ")).count();
        assert!(entries > 0);
        assert_eq!(counted(&operators), entries as u64, "{core_counts:?}");
        let verdict = verdict(&job.disk, &job);
        assert_eq!(verdict.damages(), [], "{core_counts:?}");
        let line = verdict.to_text();
        assert!(line.starts_with(&format!("/j: whole; epoch {}, ", job.epoch)), "{line}");
        assert!(verdict.damage_lines().is_empty());
    }
}

#[test]
fn entries_are_listed_with_keys_and_values() {
    let job = killed_job(&[2], 2);
    let list = |operator: &str, key: Option<&str>, limit| {
        let key = key.map(str::to_owned);
        let request = ListingRequest { operator: operator.to_owned(), key, limit };
        with_epoch(&job.disk, |restore| Listing::of_epoch(restore, &request))
    };
    let all = list("TUMBLE(ts", None, 100_000).unwrap();
    let entries = job.digest.iter().filter(|line| line.contains(" table ")).count();
    assert_eq!((all.found, all.entries.len()), (entries as u64, entries));
    assert_eq!(all.notes.len(), 2);
    let mut keys: Vec<&str> = all.entries.iter().map(|entry| &entry.key[..]).collect();
    keys.sort_unstable();
    keys.dedup();
    // Keys are numbers below 20, or NULL.
    assert!(keys.len() > 5, "{keys:?}");
    assert!(keys.iter().all(|key| *key == "NULL" || key.parse::<u8>().is_ok_and(|k| k < 20)));
    let group = all.entries.iter().find(|entry| entry.member.is_none()).unwrap();
    let names: Vec<&str> = group.values.iter().map(|value| &value.name[..]).collect();
    assert!(names.contains(&"Count(*)") && names.contains(&"AddInt(v)"), "{names:?}");
    let one = list(&all.operator, Some(&group.key), 1).unwrap();
    assert!(one.found >= 1 && one.entries.len() == 1);
    assert!(text::listing(&one).contains(&format!("({}): ", group.key)));
    assert!(document(&one).contains("\"member\""));
    assert_eq!(list("TUMBLE", Some("no such key"), 9).unwrap().found, 0);
    for wanted in ["HOP", "", "0000"] {
        let listed = list(wanted, None, 1).map(|_| ());
        match wanted {
            "" => listed.unwrap(),
            _ => {
                let error = listed.unwrap_err().message;
                assert!(error.contains("no operator is") && error.contains("TUMBLE"), "{error}");
            }
        }
    }
}

/// Where a byte of a file counts: `Some(true)` inside of what is committed, `Some(false)` where nothing
/// is kept; `None` where the file alone does not say.
struct Kept {
    /// By name of a segment: from where on it is needed, and up to where that is certain.
    inside: BTreeMap<String, (u64, u64)>,
    /// Segments that are kept.
    segments: Vec<String>,
}

impl Kept {
    fn of(disk: &SimDisk) -> Kept {
        let examined = examined(disk);
        let (mut inside, mut segments) = (BTreeMap::new(), Vec::new());
        for range in &examined.commit().ranges {
            for header in examined.segments(range.journal) {
                let name = segment_name(header.journal, header.number);
                let is_first = header.number == range.from.segment;
                let from = if is_first { range.from.offset } else { SEGMENT_BEGIN };
                // What was received behind the last epoch is kept, too, as far as it goes.
                if header.number == range.to.segment && range.journal.kind != Kind::Ingest {
                    inside.insert(name.clone(), (from, range.to.offset));
                }
                segments.push(name);
            }
        }
        Kept { inside, segments }
    }

    /// `bytes` are the file's.
    fn counts(&self, name: &str, at: u64, bytes: &[u8]) -> Option<bool> {
        if name == "recovered" {
            return Some(true);
        }
        if !self.segments.iter().any(|kept| kept == name) {
            return Some(false);
        }
        if at < SEGMENT_BEGIN {
            return Some(true);
        }
        if let Some((from, to)) = self.inside.get(name) {
            return Some((*from..*to).contains(&at));
        }
        let (_, end) = scan_segment(bytes, |_| {}).unwrap();
        (at >= end).then_some(false)
    }
}

/// Flips a bit of every `stride`th byte of every file, alone: found where it counts, with its place.
fn flip(core_counts: &[u16], seed: u64, stride: usize) {
    let job = killed_job(core_counts, seed);
    let kept = Kept::of(&job.disk);
    assert!(!kept.inside.is_empty());
    let (mut found, mut without_effect) = (0, 0);
    for path in job.disk.paths() {
        let name = path.strip_prefix(PREFIX).unwrap();
        let bytes = job.disk.bytes(&path);
        for at in (0..bytes.len()).step_by(stride) {
            let counts = kept.counts(name, at as u64, &bytes);
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            job.disk.put(&path, &damaged);
            let verdict = verdict(&job.disk, &job);
            let named = verdict.damages().iter().find(|damage| damage.file == path);
            let place = || format!("{path}, byte {at}: {:?}", verdict.damages());
            match counts {
                Some(true) => {
                    let damage = named.unwrap_or_else(|| panic!("{}", place()));
                    // Of the damaged entry the beginning is said.
                    assert!(damage.offset.is_none_or(|offset| offset <= at as u64), "{}", place());
                    found += 1;
                }
                Some(false) => {
                    assert_eq!(verdict.damages(), [], "{}", place());
                    assert_eq!(verdict.to_text(), self::verdict(&job.disk, &job).to_text());
                    without_effect += 1;
                }
                None => {}
            }
        }
        job.disk.put(&path, &bytes);
    }
    assert!(found > 50 && without_effect > 20, "{found} found, {without_effect} without effect");
}

#[test]
fn a_flipped_bit_is_found_where_it_counts() {
    // Odd, so that every byte of a header is met.
    flip(&[1], 5, 263);
    flip(&[2, 1], 6, 257);
}

#[test]
#[ignore = "an hour"]
fn every_flipped_byte_is_found_where_it_counts() {
    flip(&[1], 5, 1);
    flip(&[2, 1], 6, 3);
}

#[test]
fn files_that_are_cut_missing_or_swapped_are_named() {
    let job = killed_job(&[2], 7);
    let kept = Kept::of(&job.disk);
    let paths: Vec<String> = job.disk.paths();
    for path in &paths {
        let name = path.strip_prefix(PREFIX).unwrap();
        let is_kept = name == "recovered" || kept.segments.iter().any(|known| known == name);
        let bytes = job.disk.bytes(path);
        for length in (0..bytes.len()).step_by(bytes.len() / 13) {
            job.disk.put(path, &bytes[..length]);
            let verdict = verdict(&job.disk, &job);
            let is_named = verdict.damages().iter().any(|damage| damage.file == *path);
            assert!(is_named || !is_kept, "{path} cut to {length}: {:?}", verdict.damages());
        }
        job.disk.take(path);
        let verdict = verdict(&job.disk, &job);
        let is_named = verdict.damages().iter().any(|damage| damage.file == *path);
        assert!(is_named || !is_kept, "{path}: {:?}", verdict.damages());
        job.disk.put(path, &bytes);
    }
    let segments = paths
        .iter()
        .filter(|path| kept.segments.iter().any(|known| path.strip_prefix(PREFIX) == Some(known)));
    let segments: Vec<&String> = segments.collect();
    assert!(segments.len() >= 2);
    for pair in segments.windows(2) {
        let [first, second] = [pair[0], pair[1]].map(|path| job.disk.bytes(path));
        job.disk.put(pair[0], &second);
        job.disk.put(pair[1], &first);
        let verdict = verdict(&job.disk, &job);
        for path in pair {
            assert!(verdict.damages().iter().any(|damage| damage.file == **path), "{path}");
        }
        job.disk.put(pair[0], &first);
        job.disk.put(pair[1], &second);
    }
    assert_eq!(verdict(&job.disk, &job).damages(), []);
}

#[test]
fn all_damage_is_listed_not_only_the_first() {
    let job = killed_job(&[2], 8);
    let kept = Kept::of(&job.disk);
    let mut expected = Vec::new();
    for (name, (from, to)) in &kept.inside {
        let path = format!("{PREFIX}{name}");
        let mut bytes = job.disk.bytes(&path);
        let mut entries: Vec<u64> = Vec::new();
        scan_segment(&bytes, |entry| entries.push(entry.header.offset)).unwrap();
        entries.retain(|offset| (*from..*to).contains(offset));
        for &offset in entries.iter().step_by(3) {
            let at = usize::try_from(offset).unwrap() + 20;
            bytes[at] ^= 1;
            expected.push((path.clone(), Some(offset)));
        }
        job.disk.put(&path, &bytes);
    }
    assert!(expected.len() > 4, "{expected:?}");
    let verdict = verdict(&job.disk, &job);
    let mut found: Vec<(String, Option<u64>)> =
        verdict.damages().iter().map(|damage| (damage.file.clone(), damage.offset)).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);
    let lines = verdict.damage_lines();
    assert_eq!(lines.len(), expected.len() + 1);
    assert!(
        lines[0].contains("state-000-") && lines[0].contains("damaged at offset "),
        "{lines:?}"
    );
    assert!(verdict.to_json().contains("\"is_whole\": false"));
}

/// An entry of a state journal: tag, epoch, payload.
type Owned = (u32, u64, Vec<u8>);

/// What is kept of core 0's state journal.
fn entries_of_core_0(disk: &SimDisk) -> Vec<Owned> {
    let examined = examined(disk);
    let journal = JournalId { kind: Kind::State, core: CoreId::ZERO };
    let mut entries = examined.entries(journal).unwrap();
    let mut owned = Vec::new();
    while let Some(entry) = entries.next_entry().unwrap() {
        owned.push((entry.tag, entry.epoch, entry.payload.to_vec()));
    }
    owned
}

/// What is wrong with entries.
fn wrong_with(entries: &[Owned], hasher: KeyHasher, cores: usize) -> Vec<String> {
    let mut check = CoreCheck::new(CoreId::ZERO, hasher);
    for (number, (tag, epoch, payload)) in (1..).zip(entries) {
        let position = Position { segment: 1, offset: 64 * number };
        check.entry(&JournalEntry { tag: *tag, epoch: *epoch, position, payload });
    }
    let to = Position { segment: 2, offset: 0 };
    check.end(entries.last().map_or(0, |entry| entry.1), cores, to, None);
    check.wrong.into_iter().map(|(_, what)| what).collect()
}

/// Changes what a job wrote, and says what is wrong with it then.
#[track_caller]
fn check_wrong(change: impl FnOnce(&mut Vec<Owned>), expected: &str) {
    let job = killed_job(&[1], 9);
    let mut entries = entries_of_core_0(&job.disk);
    assert_eq!(wrong_with(&entries, job.hasher, 1), Vec::<String>::new());
    change(&mut entries);
    let wrong = wrong_with(&entries, job.hasher, 1);
    assert!(wrong.iter().any(|what| what.contains(expected)), "{expected}: {wrong:?}");
}

/// Place of the last entry with a tag.
fn last(entries: &[Owned], tag: EntryTag) -> usize {
    entries.iter().rposition(|entry| entry.0 == tag.number()).expect("there is one")
}

fn change_manifest(entries: &mut [Owned], change: impl FnOnce(&mut Manifest)) {
    let at = last(entries, EntryTag::Manifest);
    let mut manifest = Manifest::decode(&entries[at].2).unwrap();
    change(&mut manifest);
    entries[at].2 = manifest.encode();
}

#[test]
fn entries_that_contradict_each_other_are_found() {
    check_wrong(|all| change_manifest(all, |it| it.core_count = 2), "another number of cores");
    check_wrong(|all| change_manifest(all, |it| it.definition_checksum ^= 1), "of another job");
    check_wrong(
        |all| {
            change_manifest(all, |it| (it.core, it.core_count) = (CoreId::new(1), 2));
        },
        "another core or epoch",
    );
    check_wrong(
        |all| {
            let at = last(all, EntryTag::Manifest);
            all.remove(at);
        },
        "behind the last manifest",
    );
    check_wrong(Vec::clear, "no manifest");
    check_wrong(|all| all[0].0 = 99, "unknown tag 99");
    check_wrong(
        |all| {
            all.retain(|entry| entry.0 != EntryTag::Definition.number());
        },
        "operators are not said",
    );
    check_wrong(
        |all| {
            let (bytes, checksum) = Definition::default().encode();
            let at = last(all, EntryTag::Definition);
            all[at].2 = bytes;
            // All manifests behind it mean it.
            for entry in &mut all[at..] {
                if entry.0 == EntryTag::Manifest.number() {
                    let mut manifest = Manifest::decode(&entry.2).unwrap();
                    manifest.definition_checksum = checksum;
                    entry.2 = manifest.encode();
                }
            }
        },
        "which there is not",
    );
    check_wrong(
        |all| {
            // The core, in the header of a slice or its first part.
            let is_part = |entry: &Owned| entry.0 == EntryTag::SlicePart.number();
            let begins = |at: &usize| !is_part(&all[at - 1]) && all[*at].0 != 2 && all[*at].0 != 3;
            let first = (1..all.len()).find(begins).unwrap();
            all[first].2[2] = 7;
        },
        "state of another core",
    );
}

#[test]
fn keys_must_have_their_hashes_and_lie_in_their_cores_groups() {
    let job = killed_job(&[1], 9);
    let entries = entries_of_core_0(&job.disk);
    let wrong = wrong_with(&entries, KeyHasher::new(1234), 1);
    assert!(wrong.iter().any(|what| what.contains("hash of another")), "{wrong:?}");
    let mut moved = entries;
    for entry in &mut moved {
        if entry.0 == EntryTag::Manifest.number() {
            let mut manifest = Manifest::decode(&entry.2).unwrap();
            manifest.core_count = 2;
            entry.2 = manifest.encode();
        }
    }
    let outside = wrong_with(&moved, job.hasher, 2);
    assert!(outside.iter().any(|what| what.contains("other cores' key groups")), "{outside:?}");
}

#[test]
fn names_of_segments_are_those_of_the_journal() {
    // What the tests above go by.
    let job = killed_job(&[1], 5);
    let kept = Kept::of(&job.disk);
    assert!(kept.segments.iter().all(|name| parse_segment_name(name).is_some()));
    let error = RestoreError::of(CoreId::ZERO, crate::record::Epoch::new(1), "x");
    assert!(Failure::from(error).message.contains("core 0"));
}
