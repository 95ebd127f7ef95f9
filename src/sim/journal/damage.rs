//! Damage of what is durable: it is found, or has no effect. Never an older epoch, never other entries.

use super::super::disk::{Fault, SimDisk, SimFiles};
use super::Model;
use super::life::{Ended, Shape, begin};
use super::model::entries_of;
use crate::journal::{JournalError, RecoveryRequest, entries_between, examine, recover};

/// A directory after a few epochs of a second run, cut off in the middle of the next one.
fn directory(cores: u16) -> (SimDisk, Model) {
    let disk = SimDisk::new(11);
    let mut model = Model::default();
    let shape = Shape { cores, segment_bytes: 32 * 1024, payload_max: 900 };
    for seed in [1, 2] {
        let mut life = begin(&mut model, &disk, shape, seed).unwrap();
        assert!(matches!(life.run(&mut model, 2), Ended::Done));
        drop(life);
        disk.kill();
    }
    (disk, model)
}

/// Starts on a copy; says whether damage was found. Anything but the newest epoch, whole, is a failed
/// assertion.
#[track_caller]
fn start(disk: &SimDisk, model: &Model) -> Option<JournalError> {
    let files = SimFiles::new(disk, "/j");
    let request = RecoveryRequest { run: model.run + 1, fresh: false, new_id: 78 };
    match recover(&files, request) {
        Ok(recovered) => model.check(&recovered).err(),
        Err(error) => Some(error),
    }
}

/// Flips a bit of every `stride`th byte of every file, alone.
fn flip(cores: u16, stride: usize) {
    let (disk, model) = directory(cores);
    assert!(start(&disk.copy(0), &model).is_none());
    let (mut found, mut without_effect) = (0, 0);
    for path in disk.paths() {
        let bytes = disk.bytes(&path);
        for at in (0..bytes.len()).step_by(stride) {
            let copy = disk.copy(0);
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << (at % 8);
            copy.put(&path, &damaged);
            match start(&copy, &model) {
                Some(JournalError::Io { .. }) => panic!("{path}, byte {at}: not the disk's fault"),
                Some(error) => {
                    found += 1;
                    assert!(error.to_string().contains("/j/"), "{error}");
                }
                None => without_effect += 1,
            }
        }
    }
    // Most of what is written is needed; blocks that were never written are not.
    assert!(found > 100, "{found} found, {without_effect} without effect");
    assert!(without_effect > 100, "{found} found, {without_effect} without effect");
}

#[test]
fn a_flipped_bit_is_found_or_has_no_effect() {
    flip(1, 131);
    flip(2, 509);
}

#[test]
#[ignore = "minutes"]
fn every_flipped_byte_is_found_or_has_no_effect() {
    flip(1, 1);
    flip(2, 3);
}

#[test]
fn a_file_that_was_cut_is_found_or_not_needed() {
    let (disk, model) = directory(1);
    for path in disk.paths() {
        let bytes = disk.bytes(&path);
        for length in (0..bytes.len()).step_by(251) {
            let copy = disk.copy(0);
            copy.put(&path, &bytes[..length]);
            // Where nothing is said, nothing was lost: checked by `start`.
            let _ = start(&copy, &model);
        }
    }
}

#[test]
fn a_file_that_is_missing_is_named_or_not_needed() {
    let (disk, model) = directory(2);
    let mut named = 0;
    for path in disk.paths() {
        let copy = disk.copy(0);
        copy.take(&path);
        if let Some(error) = start(&copy, &model) {
            named += 1;
            assert!(error.to_string().contains("missing"), "{path}: {error}");
        }
    }
    assert!(named >= 3, "{named} files are needed");
}

#[test]
fn files_in_each_others_places_are_found() {
    let (disk, model) = directory(2);
    let paths: Vec<String> =
        disk.paths().into_iter().filter(|path| path.ends_with(".seg")).collect();
    for (at, first) in paths.iter().enumerate() {
        for second in &paths[at + 1..] {
            let copy = disk.copy(0);
            copy.put(first, &disk.bytes(second));
            copy.put(second, &disk.bytes(first));
            let error = start(&copy, &model);
            assert!(matches!(error, Some(JournalError::Rot { .. })), "{first} {second}: {error:?}");
        }
    }
}

#[test]
fn files_of_another_directory_are_found() {
    let (disk, model) = directory(1);
    let (other, mut other_model) = (SimDisk::new(1), Model::default());
    let files = SimFiles::new(&other, "/j");
    recover(&files, RecoveryRequest { run: 1, fresh: false, new_id: 1234 }).unwrap();
    other_model.run = 1;
    let shape = Shape { cores: 1, segment_bytes: 32 * 1024, payload_max: 900 };
    let mut life = begin(&mut other_model, &other, shape, 1).unwrap();
    assert!(matches!(life.run(&mut other_model, 2), Ended::Done));
    for path in other.paths().iter().filter(|path| path.ends_with(".seg")) {
        let copy = disk.copy(0);
        copy.put(path, &other.bytes(path));
        assert!(start(&copy, &model).is_some(), "{path}");
    }
}

#[test]
fn a_sync_that_lies_is_found_or_has_no_effect() {
    let (mut found, mut runs) = (0, 0);
    for seed in 0..200 {
        for fault in [Fault::Lost, Fault::Misdirected] {
            let disk = SimDisk::new(seed);
            let mut model = Model::default();
            let shape = Shape { cores: 1, segment_bytes: 32 * 1024, payload_max: 900 };
            let mut life = begin(&mut model, &disk, shape, seed).unwrap();
            assert!(matches!(life.run(&mut model, 1), Ended::Done));
            disk.plan(seed, fault);
            assert!(matches!(life.run(&mut model, 3), Ended::Done));
            drop(life);
            disk.cut_power();
            runs += 1;
            found += u32::from(start(&disk, &model).is_some());
        }
    }
    assert!(found > runs / 10, "{found} of {runs}");
}

#[test]
fn a_fresh_start_forgets_and_may_be_interrupted() {
    for at in 1..100 {
        let (disk, mut model) = directory(1);
        let files = SimFiles::new(&disk, "/j");
        model.run += 1;
        disk.plan(at, Fault::Cut);
        let fresh = RecoveryRequest { run: model.run, fresh: true, new_id: 5 };
        if recover(&files, fresh).is_ok() && !disk.is_off() {
            assert!(at > 10, "it has more steps than {at}");
            return;
        }
        disk.cut_power();
        let again = RecoveryRequest { run: model.run + 1, ..fresh };
        let recovered = recover(&files, again).unwrap();
        assert_eq!(recovered.epoch(), 0);
        assert!(recovered.commit().ranges.is_empty());
        assert_eq!(disk.paths(), ["/j/recovered"]);
    }
    panic!("it never ends");
}

#[test]
fn a_run_number_is_used_once() {
    let (disk, model) = directory(1);
    let files = SimFiles::new(&disk, "/j");
    let request = RecoveryRequest { run: model.run, fresh: false, new_id: 78 };
    let error = recover(&files, request).err().unwrap();
    assert!(error.to_string().contains("is of run 2, and this is run 2"), "{error}");
}

#[test]
fn a_look_changes_nothing_and_sees_what_a_start_finds() {
    let (disk, model) = directory(2);
    let (before, steps) = (disk.copy(0), disk.steps());
    let files = SimFiles::new(&disk, "/j");
    let examined = examine(&files).unwrap().unwrap();
    assert_eq!(examined.run(), model.run);
    assert_eq!(examined.commit().epoch, model.reported);
    for range in &examined.commit().ranges {
        let mut entries = examined.entries(range.journal).unwrap();
        let mut between = entries_between(&files, range).unwrap();
        while let Some(entry) = between.next_entry().unwrap() {
            assert_eq!(entries.next_entry().unwrap(), Some(entry));
        }
        let rest = entries.next_entry().unwrap();
        assert!(rest.is_none_or(|entry| entry.position >= range.to));
    }
    assert_eq!(disk.steps(), steps);
    assert_eq!(disk.paths(), before.paths());
    assert!(disk.paths().iter().all(|path| disk.bytes(path) == before.bytes(path)));
    assert!(examine(&SimFiles::new(&SimDisk::new(0), "/j")).unwrap().is_none());
}

#[test]
fn what_was_found_can_be_read_twice() {
    let (disk, model) = directory(2);
    let files = SimFiles::new(&disk, "/j");
    let request = RecoveryRequest { run: model.run + 1, fresh: false, new_id: 78 };
    let recovered = recover(&files, request).unwrap();
    for range in &recovered.commit().ranges {
        let first = entries_of(&recovered, range.journal).unwrap();
        assert_eq!(first, entries_of(&recovered, range.journal).unwrap());
    }
}
