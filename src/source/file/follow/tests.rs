//! Tests of the follow source: what another program does to the file, and what comes out.
//!
//! Read: this file · `resumed` (one run after the other).

mod resumed;

use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::super::testing::{Outlet, number_options};
use super::{FollowFiles, FollowOptions, FollowSource, FoundFile};
use crate::format::{CsvOptions, FormatOptions};
use crate::reactor::testing::{Kind, TestFiles, TestIo};
use crate::record::{Timestamp, Watermark};
use crate::source::{Source, SourceProgress};
use crate::stdx::CoreId;

/// Files in memory as a start sees them; their inodes are in the order of their creation.
struct Listed(TestFiles);

impl FollowFiles for Listed {
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        assert_eq!(directory, Path::new(""));
        Ok(self.0.names().into_iter().map(PathBuf::from).collect())
    }
    fn look_at(&self, path: &Path) -> io::Result<Option<FoundFile>> {
        let name = path.display().to_string();
        if !self.0.names().contains(&name) {
            return Ok(None);
        }
        let status = self.0.status(&name);
        Ok(Some(FoundFile { status, created_ns: i128::from(status.inode) }))
    }
    fn start(&self, path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
        let mut start = self.0.bytes(&path.display().to_string());
        start.truncate(bytes);
        Ok(start)
    }
}

/// A follow source of `log`.
fn source(files: &TestFiles, format: FormatOptions, idle_timeout_ns: Option<u64>) -> FollowSource {
    let mut source = number_options(CoreId::ZERO, 2, format, true);
    source.event_time.as_mut().unwrap().idle_timeout_ns = idle_timeout_ns;
    let (path, interval_ns) = ("log".into(), 100_000_000);
    let files = Rc::new(Listed(files.clone()));
    FollowSource::new(FollowOptions { path, interval_ns, source, files })
}

struct Following {
    files: TestFiles,
    source: FollowSource,
    io: TestIo,
    outlet: Outlet,
    notices: Vec<String>,
}

impl Following {
    fn new(seed: u64, header: bool, idle_timeout_ns: Option<u64>) -> Following {
        let files = TestFiles::default();
        files.put("log", b"");
        let format = FormatOptions::Csv(CsvOptions { delimiter: b',', header, multiline: false });
        Following {
            source: source(&files, format, idle_timeout_ns),
            io: TestIo::new(&files, seed, 3),
            files,
            outlet: Outlet::default(),
            notices: Vec::new(),
        }
    }

    /// Polls until the source waits for the clock; true when it has finished.
    fn settle(&mut self) -> bool {
        let mut waits = 0;
        loop {
            self.outlet.room = 1;
            let progress = self.source.poll(&mut self.io, &mut self.outlet);
            self.notices.extend(self.source.take_notice());
            match progress {
                SourceProgress::Idle { wakes_at_ns: None } => waits += 1,
                SourceProgress::Busy => waits = 0,
                _ => return progress == SourceProgress::Finished,
            }
            if waits > 20 {
                return false;
            }
        }
    }

    /// Lets the time pass that everything takes to be noticed.
    fn wait(&mut self) {
        for _ in 0..5 {
            self.settle();
            self.io.clock.advance_ms(100);
        }
    }

    fn numbers(&self) -> Vec<i64> {
        self.outlet.rows.iter().map(|row| row.number).collect()
    }
}

/// Steps by another program: `+text` appends, `=text` truncates and writes, `>name` renames the
/// file away, `*text` creates it anew, `<text` appends to what was renamed to `old`, `-` removes,
/// `.` lets time pass. Newlines are `/`.
#[track_caller]
fn check(script: &str, expected: &[i64], notices: &str) {
    for seed in 0..10 {
        let mut following = Following::new(seed, false, None);
        let files = following.files.clone();
        for step in script.split(' ') {
            let text = step[1..].replace('/', "\n");
            match step.as_bytes()[0] {
                b'+' => files.append("log", text.as_bytes()),
                b'<' => files.append("old", text.as_bytes()),
                b'=' => files.change("log", |bytes| *bytes = text.into_bytes()),
                b'>' => files.rename("log", &text),
                b'*' => files.put("log", text.as_bytes()),
                b'-' => files.remove("log"),
                b'.' => following.wait(),
                other => panic!("no step {other}"),
            }
        }
        following.wait();
        assert_eq!(following.numbers(), expected, "seed {seed}: {script}");
        assert_eq!(following.notices.join(" "), notices, "seed {seed}: {script}");
        assert_eq!(following.source.take_failure(), None);
        following.source.stop(&mut following.io);
        while !following.settle() {}
        assert_eq!(following.io.disk.open_files(), 0);
        assert_eq!(following.io.disk.pending_operations(), 0);
    }
}

#[test]
fn lines_come_as_they_are_written() {
    check("+1/2/ . +3/ . +4/", &[1, 2, 3, 4], "");
    check(".", &[], "");
}

#[test]
fn a_line_without_its_end_waits() {
    check("+1/2", &[1], "");
    check("+1/2 . +3 . +4/5", &[1, 234], "");
}

#[test]
fn a_rotated_file_is_read_to_its_end_before_the_next() {
    check("+1/ . >old *2/ . +3/", &[1, 2, 3], "");
    check("+1/2/ >old *3/", &[3], "");
    check("+1/ . +2/ >old <3/ *4/", &[1, 2, 3, 4], "");
    check("+1/ . >old <2/ . <3/ *4/ .", &[1, 2, 3, 4], "");
    check("+1/2 . >old *3/ .", &[1, 2, 3], "");
    check("+1/ . - . *2/ . - . *3/", &[1, 2, 3], "");
}

#[test]
fn who_still_writes_to_the_old_file_is_heard() {
    let mut following = Following::new(1, false, None);
    let files = following.files.clone();
    files.append("log", b"1\n");
    following.wait();
    files.rename("log", "old");
    files.put("log", b"9\n");
    for number in 2..8 {
        following.settle();
        files.append("old", format!("{number}\n").as_bytes());
        following.io.clock.advance_ms(100);
    }
    following.wait();
    assert_eq!(following.numbers(), [1, 2, 3, 4, 5, 6, 7, 9]);
}

#[test]
fn a_truncated_file_is_read_from_its_start_which_is_said() {
    let said = "log was truncated and is read from its start";
    check("+1/2/ . =3/ . +4/", &[1, 2, 3, 4], said);
    check("+1/2/ . = . +4/", &[1, 2, 4], said);
    let lost = "; 2 bytes of its last line, which had no end, are lost";
    check("+1/23 . =4/", &[1, 4], &format!("{said}{lost}"));
}

#[test]
fn every_file_has_its_own_header() {
    let mut following = Following::new(1, true, None);
    following.files.append("log", b"7\n1\n");
    following.wait();
    following.files.rename("log", "old");
    following.files.put("log", b"8\n2\n");
    following.wait();
    assert_eq!(following.numbers(), [1, 2]);
    let offsets: Vec<u64> = following.outlet.rows.iter().map(|row| row.offset).collect();
    assert_eq!(offsets, [2, 2]);
    assert_eq!(following.source.counters().splits_opened, 2);
}

#[test]
fn the_watermark_follows_what_was_pushed_and_goes_idle() {
    let mut following = Following::new(1, false, Some(1_000_000_000));
    following.files.append("log", b"5\n3\n");
    following.wait();
    let at = |ms| Some(Watermark::At(Timestamp::from_millis(ms)));
    assert_eq!(following.source.watermark(), at(5));
    following.io.clock.advance_ms(1000);
    following.settle();
    assert_eq!(following.source.watermark(), Some(Watermark::Idle));
    following.files.append("log", b"9\n");
    // The row has been read but there is no room for it.
    for _ in 0..50 {
        following.outlet.room = 0;
        let _ = following.source.poll(&mut following.io, &mut following.outlet);
        following.io.clock.advance_ms(1);
    }
    following.io.clock.advance_ms(100);
    for _ in 0..50 {
        following.outlet.room = 0;
        let _ = following.source.poll(&mut following.io, &mut following.outlet);
    }
    assert_eq!(following.source.watermark(), at(5));
    following.settle();
    assert_eq!(following.source.watermark(), at(9));
    let watermarks: Vec<_> = following.outlet.rows.iter().map(|row| row.watermark).collect();
    assert_eq!(watermarks, [Some(i64::MIN), Some(5), Some(5)]);
}

#[test]
fn a_disk_error_is_a_failure() {
    let mut following = Following::new(1, false, None);
    following.settle();
    following.files.plant(Kind::Read, std::io::ErrorKind::InvalidData);
    following.wait();
    following.files.append("log", b"1\n");
    following.wait();
    let failure = following.source.take_failure().expect("planted");
    assert_eq!(failure.message, "cannot read log: invalid data");
}

#[test]
fn only_the_first_core_follows() {
    let files = TestFiles::default();
    let shared = number_options(CoreId::new(1), 2, FormatOptions::Raw, true);
    let listed = Rc::new(Listed(files.clone()));
    let options =
        FollowOptions { path: "log".into(), interval_ns: 1, source: shared, files: listed };
    let mut source = FollowSource::new(options);
    let mut io = TestIo::new(&files, 1, 0);
    assert_eq!(source.poll(&mut io, &mut Outlet::default()), SourceProgress::Finished);
    assert_eq!(source.watermark(), Some(Watermark::Idle));
}
