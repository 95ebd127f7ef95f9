//! Parts appear when the epochs of their rows exist.

use std::sync::Arc;

use super::super::position::Position;
use super::super::{FileSink, PartOwner, PartRelease};
use super::{batch, settle, sink_with};
use crate::limits::SINK_PARTS_WAITING_MAX;
use crate::reactor::Io;
use crate::reactor::testing::{Kind, TestFiles, TestIo};
use crate::record::Epoch;
use crate::sink::Sink;

fn sink(part_bytes_max: u64) -> FileSink {
    sink_with(part_bytes_max, PartRelease::Commit(Arc::new(PartOwner::alone(0xab))))
}

/// Names and texts of all files: `~` before the number of one that is hidden.
fn shown(files: &TestFiles) -> String {
    let show = |name: &String| {
        let text = String::from_utf8(files.bytes(name)).unwrap();
        let rows = text.strip_prefix("number\n").unwrap_or(&text).replace('\n', ",");
        let number = name.split(['-', '.']).find(|piece| piece.len() == 5).unwrap();
        let number: u32 = number.parse().unwrap();
        let hidden = if name.ends_with(".00000000000000ab.open") { "~" } else { "" };
        format!("{hidden}{number}:{rows}")
    };
    files.names().iter().map(show).collect::<Vec<_>>().join(" ")
}

/// The parts a position names, with their lengths.
fn noted(sink: &FileSink) -> String {
    let Some(position) = sink.position() else { return String::new() };
    let position = Position::decode(&position).unwrap();
    assert_eq!((position.extension.as_str(), position.run), ("csv", 3));
    assert!(position.directory.is_absolute() && position.directory.ends_with("out"));
    let shown = position.parts.iter().map(|part| format!("{}:{}", part.number, part.bytes));
    shown.collect::<Vec<_>>().join(" ")
}

/// `w3` writes three numbers, `e1` and `c1` end and commit an epoch, `+5` lets milliseconds pass, `.`
/// lets everything happen that can, `f` asks for the end; `d1` notes whether the epoch is durable, `p` what
/// the position names, `?` the files.
#[track_caller]
fn check(part_bytes_max: u64, script: &str, expected: &str) {
    let files = TestFiles::default();
    let (mut sink, mut io) = (sink(part_bytes_max), TestIo::new(&files, 1, 2));
    let (mut next, mut said) = (0, Vec::new());
    for step in script.split_whitespace() {
        let (what, number) = step.split_at(1);
        let number = number.parse().unwrap_or(0);
        let epoch = Epoch::new(number);
        match what {
            "w" => {
                let rows = i64::try_from(number).unwrap();
                sink.write(&batch(next..next + rows), &mut io);
                next += rows;
            }
            "e" => sink.end_epoch(epoch, &mut io),
            "c" => sink.commit(epoch, &mut io),
            "+" => io.clock.advance_ms(number),
            "." => settle(&mut sink, &mut io),
            "f" => said.push(format!("f{}", u8::from(sink.finish(&mut io)))),
            "d" => said.push(format!("d{}", u8::from(sink.is_durable(epoch)))),
            "p" => said.push(format!("[{}]", noted(&sink))),
            "?" => said.push(shown(&files)),
            _ => panic!("no such step: {step}"),
        }
    }
    assert_eq!(said.join(" "), expected);
    assert!(sink.take_failure().is_none());
}

#[test]
fn a_part_appears_when_its_last_epoch_exists() {
    check(1000, "w2 e1 d1 . d1 ? +30000 . ? c1 . ?", "d0 d1 ~0:0,1, ~0:0,1, 0:0,1,");
    check(1000, "w1 e1 . w1 +30000 . c1 . ? e2 . ? c2 . ?", "~0:0,1, ~0:0,1, 0:0,1,");
    // Rows that came later are in the next part.
    check(1000, "w1 . +30000 . w1 +10 . e1 . c1 . ?", "~1:1, 0:0,");
}

#[test]
fn a_part_without_rows_of_the_open_epoch_does_not_wait_for_it() {
    check(1000, "w1 e1 . c1 . ? +30000 . ?", "~0:0, 0:0,");
    check(1000, "w1 e1 . c1 w1 e2 . +30000 . ? c2 . ?", "~0:0,1, 0:0,1,");
}

#[test]
fn an_end_needs_all_of_its_rows_to_be_durable() {
    // Nothing has to be.
    check(1000, "e1 d1", "d1");
    check(1000, "w1 e1 . c1 e2 d2", "d1");
    // They are written at once, not when the buffer is old.
    check(1000, "w1 e1 . d1 ? w1 . ?", "d1 ~0:0, ~0:0,");
    // A later epoch says it of an earlier one.
    check(1000, "w1 e1 w1 e2 . d1 d2", "d1 d1");
    // In parts that are complete, too, and in one that is not begun when the epoch ends.
    check(1, "w1 . +10 . w1 e1 d1 . d1 ?", "d0 d1 ~0:0, ~1:1,");
}

#[test]
fn a_position_names_what_is_not_released() {
    check(1000, "p e1 p", "[] []");
    check(1000, "w1 e1 p w1 p . e2 p", "[0:9] [0:9] [0:11]");
    check(1000, "w1 e1 . c1 +30000 . e2 p", "[]");
    check(1000, "w1 e1 . +30000 . w2 e2 p . c1 . e3 p", "[0:9 1:11] [1:11]");
    // One that is complete and still being written, and the rows behind it.
    check(1, "w1 . +10 w1 e1 p", "[0:9 1:9]");
}

#[test]
fn an_end_comes_when_the_last_epoch_exists() {
    check(1000, "w1 f f . f ? e1 . d1 f c1 . f ?", "f0 f0 f0 ~0:0, d1 f0 f1 0:0,");
    check(1000, "f", "f1");
    check(1000, "w1 e1 . c1 f . f ?", "f0 f1 0:0,");
}

#[test]
fn parts_grow_when_too_many_wait() {
    let files = TestFiles::default();
    let (mut sink, mut io) = (sink(1), TestIo::new(&files, 1, 2));
    let rows = i64::try_from(SINK_PARTS_WAITING_MAX).unwrap() + 10;
    for number in 0..rows {
        sink.write(&batch(number..number + 1), &mut io);
        settle(&mut sink, &mut io);
        io.clock.advance_ms(20);
        settle(&mut sink, &mut io);
        assert!(sink.wakes_at_ns().is_none_or(|at_ns| at_ns > io.clock().monotonic_ns()));
    }
    assert_eq!(files.names().len(), SINK_PARTS_WAITING_MAX + 1);
    sink.end_epoch(Epoch::new(1), &mut io);
    settle(&mut sink, &mut io);
    assert!(sink.is_durable(Epoch::new(1)));
    sink.commit(Epoch::new(1), &mut io);
    while !sink.finish(&mut io) {}
    assert_eq!(sink.counters().rows_out, rows.unsigned_abs());
    assert!(files.names().iter().all(|name| name.starts_with("out/part-")));
}

#[test]
fn rows_are_out_when_their_epoch_exists() {
    let files = TestFiles::default();
    let (mut sink, mut io) = (sink(1000), TestIo::new(&files, 1, 2));
    let out = |of: &FileSink| (of.counters().rows_in, of.counters().rows_out);
    sink.write(&batch(0..3), &mut io);
    sink.end_epoch(Epoch::new(5), &mut io);
    sink.write(&batch(3..5), &mut io);
    settle(&mut sink, &mut io);
    assert_eq!(out(&sink), (5, 0));
    sink.commit(Epoch::new(5), &mut io);
    assert_eq!(out(&sink), (5, 3));
    sink.commit(Epoch::new(6), &mut io);
    assert_eq!(out(&sink), (5, 3));
}

#[test]
fn a_failed_sync_is_final() {
    for kind in [Kind::Sync, Kind::SyncDirectory] {
        let files = TestFiles::default();
        let (mut sink, mut io) = (sink(1000), TestIo::new(&files, 1, 2));
        files.plant(kind, std::io::ErrorKind::StorageFull);
        sink.write(&batch(0..3), &mut io);
        sink.end_epoch(Epoch::new(1), &mut io);
        settle(&mut sink, &mut io);
        let message = sink.take_failure().expect("planted").message;
        assert!(message.starts_with("cannot sync out"), "{message}");
        assert!(!sink.is_durable(Epoch::new(1)) && sink.is_full());
        sink.end_epoch(Epoch::new(2), &mut io);
        sink.commit(Epoch::new(1), &mut io);
        settle(&mut sink, &mut io);
        assert!(!sink.is_durable(Epoch::new(2)));
        assert!(files.names().iter().all(|name| name.starts_with("out/.part-")));
    }
}

#[test]
fn an_epoch_waits_for_room() {
    let files = TestFiles::default();
    let (mut sink, mut io) = (sink(1000), TestIo::new(&files, 1, 2));
    files.plant(Kind::Write, std::io::ErrorKind::StorageFull);
    sink.write(&batch(0..3), &mut io);
    sink.end_epoch(Epoch::new(1), &mut io);
    settle(&mut sink, &mut io);
    assert!(sink.is_full() && !sink.is_durable(Epoch::new(1)));
    io.clock.advance_ms(600);
    settle(&mut sink, &mut io);
    assert!(!sink.is_full() && sink.is_durable(Epoch::new(1)));
}

#[test]
fn a_name_that_is_taken_is_left_alone() {
    let files = TestFiles::default();
    files.put("out/part-0003-01-00000.csv", b"precious");
    let (mut sink, mut io) = (sink(1000), TestIo::new(&files, 1, 1));
    sink.write(&batch(0..3), &mut io);
    sink.end_epoch(Epoch::new(1), &mut io);
    settle(&mut sink, &mut io);
    sink.commit(Epoch::new(1), &mut io);
    while !sink.finish(&mut io) {}
    let message = sink.take_failure().expect("the name is taken").message;
    assert!(message.contains("nothing is overwritten"), "{message}");
    assert_eq!(files.bytes("out/part-0003-01-00000.csv"), b"precious");
}
