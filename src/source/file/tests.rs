//! Tests of the file source: the same rows and watermarks on any number of cores, in chunks of any
//! size, and what happens when a file is not what it was.

use super::testing::{Case, Cores, Row};
use crate::format::{CsvOptions, FormatOptions};
use crate::reactor::testing::{Kind, TestFiles};
use crate::source::Source;

/// Rows that one pass over the files must give, without any of the machinery.
fn model(files: &TestFiles, event_time: bool, header: bool) -> Vec<Row> {
    let (mut rows, mut watermark) = (Vec::new(), i64::MIN);
    for name in files.names() {
        let mut offset = 0;
        for (index, line) in files.bytes(&name).split_inclusive(|&byte| byte == b'\n').enumerate() {
            let text = std::str::from_utf8(line).unwrap().trim_end();
            if let Ok(number) = text.parse::<i64>()
                && !(header && index == 0)
            {
                let origin = format!("s:{name}");
                rows.push(Row {
                    origin,
                    offset,
                    number,
                    watermark: event_time.then_some(watermark),
                });
                watermark = watermark.max(number);
            }
            offset += line.len() as u64;
        }
    }
    rows
}

fn csv(header: bool, multiline: bool) -> FormatOptions {
    FormatOptions::Csv(CsvOptions { delimiter: b',', header, multiline })
}

fn put(texts: &[&str]) -> TestFiles {
    let files = TestFiles::default();
    for (index, text) in texts.iter().enumerate() {
        files.put(&format!("f{index}"), text.as_bytes());
    }
    files
}

#[track_caller]
fn check(files: &TestFiles, case: &Case) {
    let mut cores = Cores::new(files, case);
    cores.run();
    let header = matches!(&case.format, FormatOptions::Csv(csv) if csv.header);
    assert_eq!(cores.rows(), model(files, case.event_time, header), "{case:?}");
    let total = |count: fn(&crate::metrics::SourceCounters) -> u64| -> u64 {
        cores.cores.iter().map(|core| count(core.source.counters())).sum()
    };
    let bytes: usize = files.names().iter().map(|name| files.bytes(name).len()).sum();
    assert_eq!(total(|counters| counters.bytes_in), bytes as u64, "{case:?}");
    assert_eq!(
        total(|counters| counters.records_in),
        total(|counters| counters.rows_out + counters.rejected),
        "{case:?}"
    );
}

fn case(core_count: u16, chunk_bytes: u64, seed: u64) -> Case {
    let (format, event_time, resumable) = (FormatOptions::Raw, true, false);
    Case { core_count, chunk_bytes, format, event_time, seed, resumable }
}

#[test]
fn every_chunk_size_and_core_count_gives_what_one_pass_gives() {
    let texts: [&[&str]; 7] = [
        &["1\n5\n3\n4\n"],
        &["1\n5\n3\n4"],
        &["1\r\n5\r\n\r\n7\r\n2"],
        &["", "9\n", "", "1"],
        &["1000000000\n2\n", "3\n4000\n5\n", "6"],
        &["\n\n\n1\n\n\nx\n2\n"],
        &["12\n11\n10\n9\n8\n7\n6\n5\n4\n3\n2\n1\n", "99\n98\n97\n", "1\n2\n3"],
    ];
    for text in texts {
        let files = put(text);
        for core_count in 1..=4 {
            for chunk_bytes in 1..=20 {
                for format in [FormatOptions::Raw, csv(true, false), csv(true, true)] {
                    for event_time in [true, false] {
                        let mut case = case(core_count, chunk_bytes, chunk_bytes);
                        (case.format, case.event_time) = (format.clone(), event_time);
                        check(&files, &case);
                    }
                }
            }
        }
    }
}

#[test]
fn random_files_give_what_one_pass_gives() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut texts = vec![String::new(); rng.usize(1..5)];
        for text in &mut texts {
            for _ in 0..rng.usize(0..200) {
                let end = if rng.u8(0..5) == 0 { "\r\n" } else { "\n" };
                *text += &format!("{}{end}", rng.i64(-50..2000) >> rng.u8(0..8));
            }
        }
        let files = put(&texts.iter().map(String::as_str).collect::<Vec<_>>());
        check(&files, &case(rng.u16(1..6), rng.u64(1..300), seed));
    }
}

#[test]
fn files_of_several_pieces_are_read_through() {
    let mut text = String::new();
    for number in 0..200_000_i64 {
        text += &format!("{}\n", (number * 7919) % 100_003);
    }
    let files = put(&[&text, &text]);
    for core_count in [1, 2] {
        check(&files, &case(core_count, 300_000, 1));
        check(&files, &case(core_count, 700_001, 2));
    }
}

#[test]
fn what_is_not_a_record_is_rejected_with_its_place() {
    let files = put(&["1\n2\n", "7\nabc\r\n8\n"]);
    for core_count in 1..=3 {
        let mut cores = Cores::new(&files, &case(core_count, 3, 5));
        cores.run();
        let rejections: Vec<_> =
            cores.cores.iter().flat_map(|core| &core.outlet.rejections).collect();
        assert_eq!(rejections.len(), 1);
        assert_eq!((&*rejections[0].origin, rejections[0].offset), ("s:f1", 2));
        assert_eq!(rejections[0].raw, b"abc");
    }
}

#[test]
fn stopping_leaves_out_what_was_not_pushed() {
    let numbers: String = (0..500).map(|number| format!("{number}\n")).collect();
    let files = put(&[&numbers, &numbers]);
    for seed in 0..200 {
        let mut cores = Cores::new(&files, &case(1 + u16::try_from(seed % 4).unwrap(), 40, seed));
        let mut rng = fastrand::Rng::with_seed(seed);
        for _ in 0..rng.usize(0..400) {
            cores.turn();
        }
        for index in 0..cores.cores.len() {
            let core = &mut cores.cores[index];
            core.source.stop(&mut core.io);
            for _ in 0..rng.usize(0..20) {
                cores.turn();
            }
        }
        cores.run();
        for core in &cores.cores {
            let counters = core.source.counters();
            assert_eq!(counters.rows_out, core.outlet.rows.len() as u64, "seed {seed}");
            assert_eq!(counters.records_in, counters.rows_out, "seed {seed}");
        }
        // Each row is one of the file's, with the watermark that reading everything gives it.
        let whole = model(&files, true, false);
        assert!(cores.rows().iter().all(|row| whole.contains(row)), "seed {seed}");
    }
}

/// Rows and rejections of a sequence that is abandoned again and again, and taken up by another
/// number of cores, are those of one pass.
#[track_caller]
fn check_resumed(texts: &[&str], format: &FormatOptions, event_time: bool, seed: u64) {
    let files = put(texts);
    let mut rng = fastrand::Rng::with_seed(seed);
    let chunk_bytes = rng.u64(1..300);
    let mut positions: Vec<Vec<u8>> = Vec::new();
    let (mut rows, mut rejected) = (Vec::new(), Vec::new());
    for run in 0.. {
        let mut case = case(rng.u16(1..6), chunk_bytes, rng.u64(..1 << 32));
        (case.format, case.event_time, case.resumable) = (format.clone(), event_time, true);
        let mut cores = Cores::new(&files, &case);
        if run > 0 {
            cores.resume(&positions);
        }
        let turns = if run == 20 { usize::MAX } else { rng.usize(0..300) };
        for _ in 0..turns {
            if cores.cores.iter().all(|core| core.finished) {
                break;
            }
            cores.turn();
        }
        rows.extend(cores.rows());
        rejected.extend(cores.cores.iter().flat_map(|core| core.outlet.rejections.clone()));
        positions = cores.positions();
        if cores.cores.iter().all(|core| core.finished) {
            break;
        }
    }
    rows.sort();
    let header = matches!(format, FormatOptions::Csv(csv) if csv.header);
    assert_eq!(rows, model(&files, event_time, header), "seed {seed}");
    let places = |rejections: Vec<crate::source::Rejection>| {
        let mut places: Vec<(String, u64)> =
            rejections.into_iter().map(|it| (it.origin.to_string(), it.offset)).collect();
        places.sort();
        places
    };
    let mut one = case(1, chunk_bytes, seed);
    (one.format, one.event_time) = (format.clone(), event_time);
    let mut whole = Cores::new(&files, &one);
    whole.run();
    assert_eq!(places(rejected), places(whole.cores.remove(0).outlet.rejections), "seed {seed}");
}

#[test]
fn a_later_run_on_any_number_of_cores_goes_on_where_an_earlier_one_stood() {
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut texts = vec![String::new(); rng.usize(1..5)];
        for text in &mut texts {
            for _ in 0..rng.usize(0..200) {
                let end = if rng.u8(0..5) == 0 { "\r\n" } else { "\n" };
                let number = rng.i64(-50..2000) >> rng.u8(0..8);
                *text +=
                    &if rng.u8(0..9) == 0 { format!("x{end}") } else { format!("{number}{end}") };
            }
            *text += ["", "7"][rng.usize(0..2)];
        }
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let formats = [FormatOptions::Raw, csv(true, false), csv(true, true)];
        let format = formats[rng.usize(0..3)].clone();
        check_resumed(&texts, &format, rng.u8(0..5) > 0, seed);
    }
}

#[test]
fn positions_of_other_files_are_refused() {
    let files = put(&["1\n2\n"]);
    let mut cores = Cores::new(&files, &case(1, 3, 1));
    cores.run();
    let position = cores.positions().remove(0);
    let mut other = Cores::new(&put(&["1\n2\n3\n"]), &case(1, 3, 1));
    let error = other.cores[0].source.resume(&[&position]).unwrap_err().to_string();
    assert!(error.contains("source s: ") && error.contains("the files are not those"), "{error}");
    let mut same = Cores::new(&files, &case(1, 3, 1));
    for cut in 0..position.len() {
        assert!(same.cores[0].source.resume(&[&position[..cut]]).is_err());
    }
    same.cores[0].source.resume(&[&position]).unwrap();
    same.run();
    assert!(same.rows().is_empty());
}

/// Runs one core until it fails, with `spoil` called after it was planned.
#[track_caller]
fn check_failure(spoil: impl FnOnce(&TestFiles), expected: &str) {
    let files = put(&["1\n2\n", "3\n4\n"]);
    let mut cores = Cores::new(&files, &case(1, 4, 1));
    spoil(&files);
    for _ in 0..100 {
        cores.turn();
        if let Some(failure) = cores.cores[0].source.take_failure() {
            assert_eq!(failure.message, expected);
            return;
        }
        assert!(!cores.cores[0].finished);
    }
    panic!("nothing failed");
}

#[test]
fn a_file_that_changed_is_a_failure_that_names_it() {
    check_failure(|files| files.remove("f1"), "cannot open f1: entity not found");
    check_failure(|files| files.put("f1", b"3\n4\n"), "f1 was replaced since the start; run again");
    check_failure(
        |files| files.change("f0", |bytes| bytes.truncate(3)),
        "f0 shrank from 4 to 3 bytes while it was read; run again",
    );
    let denied = std::io::ErrorKind::PermissionDenied;
    check_failure(|files| files.plant(Kind::Open, denied), "cannot open f0: permission denied");
    let broken = std::io::ErrorKind::InvalidData;
    check_failure(|files| files.plant(Kind::Read, broken), "cannot read f0: invalid data");
}

#[test]
fn a_file_that_grows_is_read_to_the_line_that_was_being_written() {
    let files = put(&["1\n2\n3"]);
    let mut cores = Cores::new(&files, &case(2, 2, 1));
    files.append("f0", b"4\n5\n");
    cores.run();
    let numbers: Vec<i64> = cores.rows().iter().map(|row| row.number).collect();
    assert_eq!(numbers, [1, 2, 34]);
}
