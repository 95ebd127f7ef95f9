//! A directory as the first version of the format wrote it, which must be readable for ever.
//!
//! `tests/fixtures/v1/journal` holds the files of two runs, the first on two cores and the second on
//! one, killed while it received what it never committed. `entries.txt` says what is in them. Neither is
//! ever written anew: a newer version gets a folder of its own.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::disk::{SimDisk, SimFiles};
use super::Model;
use super::life::{Ended, Shape, begin};
use crate::journal::{RecoveryRequest, recover};
use crate::stdx::crc32c;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v1")
}

/// What is found on a disk, a line per entry.
fn listing(disk: &SimDisk, run: u32) -> String {
    let files = SimFiles::new(disk, "/j");
    let recovered = recover(&files, RecoveryRequest { run, fresh: false, new_id: 0 }).unwrap();
    let mut text = format!("epoch {}, next {}\n", recovered.epoch(), recovered.next_epoch());
    for range in &recovered.commit().ranges {
        writeln!(text, "{}: {} to {}", range.journal, range.from, range.to).unwrap();
        let mut entries = recovered.entries(range.journal).unwrap();
        while let Some(entry) = entries.next_entry().unwrap() {
            let (length, checksum) = (entry.payload.len(), crc32c(&[entry.payload]));
            let (position, epoch, tag) = (entry.position, entry.epoch, entry.tag);
            writeln!(text, "  {position} epoch {epoch} tag {tag}: {length} bytes, {checksum:08x}")
                .unwrap();
        }
    }
    text
}

#[test]
fn the_first_version_is_read() {
    let disk = SimDisk::new(0);
    for file in fs::read_dir(fixtures().join("journal")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        disk.put(&format!("/j/{name}"), &fs::read(file.path()).unwrap());
    }
    let expected = fs::read_to_string(fixtures().join("entries.txt")).unwrap();
    assert_eq!(listing(&disk, 3), expected);
    // A second start finds the same, and other numbers of epochs.
    let (_, found) = expected.split_once('\n').unwrap();
    assert_eq!(listing(&disk, 4).split_once('\n').unwrap().1, found);
}

#[test]
#[ignore = "writes a new fixture, for a new version of the format"]
fn write_the_fixture() {
    let disk = SimDisk::new(20);
    let mut model = Model::default();
    for (cores, epochs) in [(2, 2), (1, 3)] {
        let shape = Shape { cores, segment_bytes: 28 * 1024, payload_max: 700 };
        let mut life = begin(&mut model, &disk, shape, 20 + u64::from(cores)).unwrap();
        assert!(matches!(life.run(&mut model, epochs), Ended::Done));
        life.go_on(&mut model, 120);
        drop(life);
        disk.kill();
    }
    let folder = fixtures().join("journal");
    assert!(!folder.exists(), "a fixture is never written anew");
    fs::create_dir_all(&folder).unwrap();
    for path in disk.paths() {
        fs::write(folder.join(path.strip_prefix("/j/").unwrap()), disk.bytes(&path)).unwrap();
    }
    fs::write(fixtures().join("entries.txt"), listing(&disk, 3)).unwrap();
}
