//! Runs that go on where an earlier one stood: what was written and renamed in between.

use super::super::FollowSource;
use super::{Following, source};
use crate::format::{CsvOptions, FormatOptions};
use crate::reactor::testing::{TestFiles, TestIo};
use crate::source::{Source, SourceProgress};

/// A job that is cut off and begins again.
struct Life {
    following: Following,
    format: FormatOptions,
    /// What the last epoch has: the source's position, and how many rows.
    epoch: Option<(Vec<u8>, usize)>,
    rng: fastrand::Rng,
}

impl Life {
    fn new(seed: u64, format: FormatOptions) -> Life {
        let mut following = Following::new(seed, false, None);
        following.source = source(&following.files, format.clone(), None);
        Life { following, format, epoch: None, rng: fastrand::Rng::with_seed(seed) }
    }

    fn end_epoch(&mut self) {
        let rows = self.following.outlet.rows.len();
        self.epoch = self.following.source.position().map(|position| (position, rows));
    }

    /// The job is cut off, and goes on from the last epoch.
    fn restart(&mut self) {
        let files = self.following.files.clone();
        let mut next = source(&files, self.format.clone(), None);
        let rows = self.epoch.as_ref().map_or(0, |(_, rows)| *rows);
        if let Some((position, _)) = &self.epoch {
            next.resume(&[position, &elsewhere()]).unwrap();
        }
        self.following.outlet.rows.truncate(rows);
        self.following.source = next;
        let clock = self.following.io.clock.clone();
        self.following.io = TestIo::new(&files, self.rng.u64(..), 3);
        self.following.io.clock = clock;
    }

    /// `log.1` becomes `log.2` and so on, `log` becomes `log.1`, and there is a new one.
    fn rotate(&self) {
        let files = &self.following.files;
        let count = files.names().iter().filter(|name| name.starts_with("log.")).count();
        for number in (1..=count).rev() {
            files.rename(&format!("log.{number}"), &format!("log.{}", number + 1));
        }
        files.rename("log", "log.1");
        files.put("log", b"");
    }
}

/// The position of a core that does not follow.
fn elsewhere() -> Vec<u8> {
    super::super::FollowPosition::encode(None)
}

fn csv(header: bool, multiline: bool) -> FormatOptions {
    FormatOptions::Csv(CsvOptions { delimiter: b',', header, multiline })
}

/// Steps as those of `super::check`, and: `p` ends an epoch, `!` cuts the job off and begins again, `r`
/// rotates, `x` removes `old`.
#[track_caller]
fn check(script: &str, expected: &[i64], notices: &str) {
    for seed in 0..10 {
        let mut life = Life::new(seed, FormatOptions::Raw);
        let files = life.following.files.clone();
        for step in script.split(' ') {
            let text = step[1..].replace('/', "\n");
            match step.as_bytes()[0] {
                b'+' => files.append("log", text.as_bytes()),
                b'=' => files.change("log", |bytes| *bytes = text.into_bytes()),
                b'>' => files.rename("log", &text),
                b'*' => files.put("log", text.as_bytes()),
                b'-' => files.remove("log"),
                b'x' => files.remove("old"),
                b'.' => life.following.wait(),
                b'p' => life.end_epoch(),
                b'!' => life.restart(),
                b'r' => life.rotate(),
                other => panic!("no step {other}"),
            }
        }
        // A file that was rotated away has to stay quiet for a while before the next one is read.
        (0..4).for_each(|_| life.following.wait());
        assert_eq!(life.following.numbers(), expected, "seed {seed}: {script}");
        assert_eq!(life.following.notices.join(" "), notices, "seed {seed}: {script}");
        assert_eq!(life.following.source.take_failure(), None);
    }
}

#[test]
fn what_was_appended_meanwhile_is_read() {
    check("+1/2/ . p +3/ !", &[1, 2, 3], "");
    check(". p +1/ !", &[1], "");
    check(". p +1/ >old *2/ !", &[1, 2], "");
    check("+1/ . >old * . . . p +2/ >older *3/ x !", &[1, 2, 3], "");
    // What came after the epoch is read again, and its rows are new ones.
    check("+1/ . p +2/ . ! +3/", &[1, 2, 3], "");
    check("+1/ . +2/ . !", &[1, 2], "");
    check("+1/23 . p +4/ !", &[1, 234], "");
    check("+1// . p +/2/ ! . p !", &[1, 2], "");
}

#[test]
fn what_was_rotated_meanwhile_is_read_under_its_new_name() {
    check("+1/2/ . p >old *3/ !", &[1, 2, 3], "");
    check("+1/ . p +2/ >log.1 *3/ ! . +4/", &[1, 2, 3, 4], "");
    check("+1/2 . p >old *3/ !", &[1, 2, 3], "");
    check("+1/ . p +2/ >log.1 ! . *3/", &[1, 2, 3], "");
    // Several times, and also while the job ran, after the epoch.
    check("+1/ . p +2/ r +3/ r +4/ !", &[1, 2, 3, 4], "");
    check("+1/ . p +2/ . r +3/ . . r +4/ . . r +5/ !", &[1, 2, 3, 4, 5], "");
    // What was rotated away before is not read again.
    check("+1/ . r +2/ . . p r +3/ !", &[1, 2, 3], "");
}

#[test]
fn a_file_that_is_gone_is_told_unless_all_of_it_was_read() {
    let gone = "the file that log was is gone: 4 bytes of it had been read, what came behind them is \
                lost, and the job goes on with the start of the file of that name";
    check("+1/2/ . p +3/ - *4/ !", &[1, 2, 4], gone);
    check("+1/2/ . p +3/ - ! . *4/", &[1, 2, 4], gone);
    // The rest of it was of no use to anybody before it went.
    check("+1/ . >old * . . p x +2/ !", &[1, 2], "");
    // Said once, and nothing is forgotten.
    check("+1/2/ . p +3/ - *4/ ! . p !", &[1, 2, 4], gone);
}

#[test]
fn a_file_that_was_cut_back_is_read_from_its_start() {
    let cut = "log was truncated or replaced while the job did not run: 4 bytes of it had been read, what \
               came behind them is lost, and it is read from its start";
    check("+1/2/ . p =3/ !", &[1, 2, 3], cut);
    check("+1/2/ . p =8/9/7/ !", &[1, 2, 8, 9, 7], cut);
    check("+1/2/ . p = ! +3/", &[1, 2, 3], cut);
}

#[test]
fn a_file_that_is_renamed_before_it_is_read_is_not_left_out() {
    let mut life = Life::new(1, FormatOptions::Raw);
    let files = life.following.files.clone();
    files.append("log", b"1\n");
    life.following.wait();
    life.end_epoch();
    life.rotate();
    files.append("log", b"2\n");
    life.restart();
    life.rotate();
    (0..3).for_each(|_| life.following.wait());
    let failure = life.following.source.take_failure().expect("it would read another file");
    let expected = "log.1 was renamed before it was read; start the job again";
    assert_eq!(failure.message, expected);
    life.restart();
    (0..4).for_each(|_| life.following.wait());
    assert_eq!(life.following.numbers(), [1, 2]);
}

/// Numbers from 0 on are written to a file that is rotated now and then; a job that is cut off at any
/// moment has them all, in order.
fn check_random(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let format = [FormatOptions::Raw, csv(true, false), csv(true, true)][rng.usize(..3)].clone();
    let has_header = format != FormatOptions::Raw;
    let mut life = Life::new(seed, format);
    let files = life.following.files.clone();
    life.following.wait();
    life.end_epoch();
    let (mut written, mut is_new) = (0, true);
    let mut write = |lines: usize, of: &Life, rotates: bool| {
        if rotates {
            of.rotate();
            is_new = true;
        }
        for _ in 0..lines {
            let first = if std::mem::take(&mut is_new) && has_header { "number\n" } else { "" };
            files.append("log", format!("{first}{written}\n").as_bytes());
            written += 1;
        }
        written
    };
    for _ in 0..rng.usize(1..8) {
        for _ in 0..rng.usize(..6) {
            // One that runs notices a rotation only when it has come as far.
            (0..3).for_each(|_| life.following.wait());
            let rotates = rng.u8(..3) == 0;
            write(rng.usize(1..30), &life, rotates);
        }
        for _ in 0..rng.usize(..60) {
            poll(&mut life, &mut rng);
        }
        if rng.u8(..4) > 0 {
            life.end_epoch();
        }
        for _ in 0..rng.usize(..3) {
            let rotates = rng.bool();
            write(rng.usize(1..30), &life, rotates);
        }
        life.restart();
    }
    let all = write(1, &life, false);
    (0..60).for_each(|_| life.following.wait());
    let rows = &life.following.outlet.rows;
    let expected: Vec<i64> = (0..all).collect();
    assert_eq!(life.following.numbers(), expected, "seed {seed}");
    for row in rows {
        let before = if row.number == 0 { i64::MIN } else { row.number - 1 };
        assert_eq!(row.watermark, Some(before), "seed {seed}");
    }
    assert!(life.following.notices.is_empty(), "seed {seed}: {:?}", life.following.notices);
    assert_eq!(life.following.source.take_failure(), None, "seed {seed}");
}

/// One poll, with little room; time passes now and then.
fn poll(life: &mut Life, rng: &mut fastrand::Rng) {
    let Following { source, io, outlet, .. } = &mut life.following;
    outlet.room = rng.usize(..2);
    let _: SourceProgress = FollowSource::poll(source, io, outlet);
    io.clock.advance_ms(rng.u64(..40));
}

#[test]
fn every_line_is_read_once_whatever_happens_to_the_job() {
    (0..300).for_each(check_random);
}

#[test]
fn what_is_no_position_is_refused() {
    let files = TestFiles::default();
    let error = source(&files, FormatOptions::Raw, None).resume(&[b"\x09"]).unwrap_err();
    assert!(error.0.starts_with("source s: "), "{error}");
}
