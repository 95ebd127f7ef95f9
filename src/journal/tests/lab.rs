//! A process that appends until it is cut off, and one that looks at what is left: for
//! `scripts/power.sh`, which takes the disk away from under the first.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use super::*;

/// The directory of the journals, on a disk that is cut off.
const DIRECTORY: &str = "PELTON_LAB_DIRECTORY";

/// A file on another disk: a line for every epoch that was reported.
const REPORT: &str = "PELTON_LAB_REPORT";

fn variable(name: &str) -> PathBuf {
    std::env::var_os(name).unwrap_or_else(|| panic!("{name} is not set")).into()
}

/// Entries that an epoch appends to every journal.
fn entries_of(epoch: u64) -> u32 {
    5 + u32::try_from(epoch % 23).unwrap()
}

#[test]
#[ignore = "runs until it is cut off; see scripts/power.sh"]
fn appends_until_it_is_cut_off() {
    crate::stdx::name_lost_pages().unwrap();
    let mut report = OpenOptions::new().create(true).append(true).open(variable(REPORT)).unwrap();
    let Run { recovered, mut io, mut writers, supply: _ } = begin(&variable(DIRECTORY));
    for epoch in recovered.next_epoch().. {
        append(&mut io, &mut writers, epoch, entries_of(epoch), &mut Vec::new());
        commit(&mut io, &mut writers, epoch);
        writeln!(report, "{epoch}").unwrap();
    }
}

#[test]
#[ignore = "looks at what a cut left; see scripts/power.sh"]
fn finds_what_was_cut_off() {
    let report = fs::read_to_string(variable(REPORT)).unwrap_or_default();
    let reported: u64 = report.lines().last().map_or(0, |line| line.parse().unwrap());
    // Not opened by its lock: a look is no run, and the next run starts from the same.
    let path = variable(DIRECTORY);
    let Some(found) = examine(&Files::new(&path)).unwrap() else {
        assert_eq!(reported, 0, "all is gone");
        return;
    };
    let epoch = found.commit().epoch;
    assert!(epoch >= reported, "epoch {epoch} is found, {reported} was reported");
    let mut count = 0;
    for range in &found.commit().ranges {
        let journal = range.journal;
        let mut entries = found.entries(journal).unwrap();
        let (mut at, mut number) = (epoch, 0);
        while let Some(entry) = entries.next_entry().unwrap() {
            if number == entries_of(at) {
                // What was received behind the epoch.
                (at, number) = (entry.epoch, 0);
            }
            assert_eq!((entry.epoch, entry.tag), (at, number), "{journal}");
            assert!(entry.payload == payload(at, number, journal.kind), "{journal}");
            number += 1;
            count += 1;
        }
        assert!(at > epoch || epoch == 0 || number == entries_of(epoch), "{journal}: {number}");
    }
    println!("epoch {epoch} of {reported} reported, {count} entries");
}
