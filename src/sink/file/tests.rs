//! Tests of the file sink: nothing lost, nothing twice, nothing overwritten, whatever the disk does.
//!
//! Read: this file · `commit` (epochs decide when parts appear).

mod commit;

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};

use super::{FileSink, FileSinkOptions, PartRelease};
use crate::format::Encoder;
use crate::limits::{SINK_DELAY_NS_MAX, SINK_PART_AGE_NS_MAX, SINK_UNWRITTEN_BYTES_MAX};
use crate::reactor::Io;
use crate::reactor::testing::{Kind, TestFiles, TestIo};
use crate::record::Batch;
use crate::sink::Sink;
use crate::stdx::CoreId;

/// A header, then every number on a line of its own.
struct NumberLines;

impl Encoder for NumberLines {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"number\n");
    }
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
        for number in rows.column(0).as_primitive::<Int64Type>().values() {
            out.extend_from_slice(format!("{number}\n").as_bytes());
        }
    }
}

fn batch(numbers: std::ops::Range<i64>) -> Batch {
    let schema = Arc::new(Schema::new(vec![Field::new("number", DataType::Int64, false)]));
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
    Batch::new(RecordBatch::try_new(schema, vec![column]).unwrap(), 0)
}

fn sink(part_bytes_max: u64) -> FileSink {
    sink_with(part_bytes_max, PartRelease::Immediate)
}

fn sink_with(part_bytes_max: u64, release: PartRelease) -> FileSink {
    FileSink::new(FileSinkOptions {
        directory: "out".into(),
        run: 3,
        core: CoreId::new(1),
        extension: "csv".into(),
        encoder: Box::new(NumberLines),
        part_bytes_max,
        part_age_ns_max: SINK_PART_AGE_NS_MAX,
        release,
    })
}

/// Polls until nothing happens for longer than an operation takes.
fn settle(sink: &mut FileSink, io: &mut TestIo) {
    let mut quiet = 0;
    while quiet < 10 {
        quiet = if sink.poll(io) { 0 } else { quiet + 1 };
    }
}

fn finish(sink: &mut FileSink, io: &mut TestIo) {
    for _ in 0..10_000 {
        if sink.finish(io) {
            return;
        }
    }
    panic!("the sink never finishes");
}

/// Names and texts of all files, with newlines as `/`.
fn shown(files: &TestFiles) -> String {
    let show = |name: &String| {
        let text = String::from_utf8(files.bytes(name)).unwrap().replace('\n', "/");
        format!("{name}={text}")
    };
    files.names().iter().map(show).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_part_appears_when_it_is_complete() {
    let files = TestFiles::default();
    let (mut sink, mut io) = (sink(1000), TestIo::new(&files, 1, 2));
    settle(&mut sink, &mut io);
    assert_eq!((shown(&files).as_str(), sink.wakes_at_ns()), ("", None));
    sink.write(&batch(1..3), &mut io);
    settle(&mut sink, &mut io);
    assert_eq!(shown(&files), "out/.part-0003-01-00000.csv.open=");
    assert_eq!(sink.wakes_at_ns(), Some(SINK_DELAY_NS_MAX));
    io.clock.advance_ms(10);
    settle(&mut sink, &mut io);
    assert_eq!(shown(&files), "out/.part-0003-01-00000.csv.open=number/1/2/");
    assert_eq!(sink.wakes_at_ns(), Some(SINK_PART_AGE_NS_MAX));
    io.clock.advance_ms(29_990);
    settle(&mut sink, &mut io);
    assert_eq!(shown(&files), "out/part-0003-01-00000.csv=number/1/2/");
    assert!(files.is_synced("out/part-0003-01-00000.csv"));
    sink.write(&batch(3..4), &mut io);
    finish(&mut sink, &mut io);
    let first = "out/part-0003-01-00000.csv=number/1/2/";
    assert_eq!(shown(&files), format!("{first} out/part-0003-01-00001.csv=number/3/"));
    assert_eq!(sink.counters().rows_out, 3);
    assert_eq!(sink.counters().bytes_out, 20);
}

#[test]
fn a_sink_without_rows_leaves_no_file() {
    let files = TestFiles::default();
    let (mut sink, mut io) = (sink(1000), TestIo::new(&files, 1, 2));
    sink.write(&batch(0..0), &mut io);
    finish(&mut sink, &mut io);
    assert_eq!(shown(&files), "");
}

/// Random batches, pauses, part sizes and completions.
fn check_random(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let files = TestFiles::default();
    let part_bytes_max = rng.u64(1..5000);
    let (mut sink, mut io) = (sink(part_bytes_max), TestIo::new(&files, seed, rng.u32(0..6)));
    let mut next = 0;
    for _ in 0..rng.usize(0..400) {
        let rows = rng.i64(0..200);
        sink.write(&batch(next..next + rows), &mut io);
        next += rows;
        for _ in 0..rng.usize(0..4) {
            sink.poll(&mut io);
        }
        io.clock.advance_ms(rng.u64(0..8));
        if rng.u8(0..10) == 0 {
            settle(&mut sink, &mut io);
            let wakes_at_ns = sink.wakes_at_ns().unwrap_or(u64::MAX);
            assert!(wakes_at_ns > io.clock().monotonic_ns(), "seed {seed}: settled, yet due");
        }
    }
    finish(&mut sink, &mut io);
    let mut text = String::new();
    for name in files.names() {
        assert!(name.starts_with("out/part-0003-01-"), "seed {seed}: {name}");
        assert!(files.is_synced(&name), "seed {seed}: {name}");
        let part = String::from_utf8(files.bytes(&name)).unwrap();
        let rows = part.strip_prefix("number\n").expect("every part has its header");
        assert!(!rows.is_empty(), "seed {seed}: {name}");
        text += rows;
    }
    let expected: String = (0..next).map(|number| format!("{number}\n")).collect();
    assert_eq!(text, expected, "seed {seed}");
    let counters = sink.counters();
    assert_eq!(
        (counters.rows_in, counters.rows_out),
        (next.unsigned_abs(), next.unsigned_abs()),
        "seed {seed}"
    );
    assert_eq!((io.disk.open_files(), io.disk.pending_operations()), (0, 0), "seed {seed}");
}

#[test]
fn parts_in_name_order_hold_all_rows_in_order() {
    (0..200).for_each(check_random);
}

#[test]
fn a_part_is_closed_in_time_although_rows_never_stop() {
    let files = TestFiles::default();
    let (mut sink, mut io) = (sink(1000), TestIo::new(&files, 1, 0));
    for number in 0..2000 {
        // Rows come between any two polls, so the buffer is never empty when a write ends.
        sink.write(&batch(number * 10..number * 10 + 10), &mut io);
        sink.poll(&mut io);
        io.clock.advance_ms(1);
    }
    let parts: Vec<String> =
        files.names().into_iter().filter(|name| name.starts_with("out/part-")).collect();
    assert!(parts.len() > 20, "{} parts", parts.len());
    for name in parts {
        // What came during one write may go beyond the bound, but no more.
        assert!(files.bytes(&name).len() < 3000, "{name}: {} bytes", files.bytes(&name).len());
    }
}

#[test]
fn a_slow_disk_fills_the_sink_and_nothing_more() {
    let files = TestFiles::default();
    let (mut sink, mut io) = (sink(1 << 30), TestIo::new(&files, 1, 0));
    let mut next = 0;
    while !sink.is_full() {
        sink.write(&batch(next..next + 1000), &mut io);
        next += 1000;
    }
    // The last batch may go beyond: a thousand numbers of six digits at most.
    let bytes: usize = (0..next).map(|number: i64| number.to_string().len() + 1).sum();
    assert!((SINK_UNWRITTEN_BYTES_MAX..SINK_UNWRITTEN_BYTES_MAX + 8000).contains(&bytes));
    settle(&mut sink, &mut io);
    assert!(!sink.is_full());
}

#[track_caller]
fn check_failure(kind: Kind, error: std::io::ErrorKind, expected: &str) {
    let files = TestFiles::default();
    let (mut sink, mut io) = (sink(1000), TestIo::new(&files, 1, 1));
    files.plant(kind, error);
    sink.write(&batch(0..3), &mut io);
    finish(&mut sink, &mut io);
    let failure = sink.take_failure().expect("planted");
    assert!(failure.message.starts_with(expected), "{}", failure.message);
    assert!(sink.is_full() && !sink.poll(&mut io) && sink.take_failure().is_none());
    assert!(
        files.names().iter().all(|name| name.starts_with("out/.")) || kind == Kind::SyncDirectory
    );
}

#[test]
fn what_the_disk_refuses_is_a_failure_with_path_and_remedy() {
    use std::io::ErrorKind::{NotFound, Other, PermissionDenied, StorageFull};
    let open = "out/.part-0003-01-00000.csv.open";
    check_failure(
        Kind::Open,
        PermissionDenied,
        &format!("cannot create {open}: permission denied; make the directory writable"),
    );
    check_failure(
        Kind::Open,
        NotFound,
        &format!("cannot create {open}: entity not found; was the"),
    );
    check_failure(
        Kind::Sync,
        StorageFull,
        &format!("cannot sync {open}: no storage space; free space or"),
    );
    check_failure(Kind::Sync, Other, &format!("cannot sync {open}: other error; rows after"));
    check_failure(Kind::SyncDirectory, Other, "cannot sync out: other error; rows after");
}

#[test]
fn a_disk_without_room_is_waited_for() {
    let files = TestFiles::default();
    let (mut sink, mut io) = (sink(1000), TestIo::new(&files, 1, 0));
    // Twice there is no room.
    for _ in 0..2 {
        files.plant(Kind::Write, std::io::ErrorKind::StorageFull);
    }
    sink.write(&batch(0..3), &mut io);
    io.clock.advance_ms(20);
    for _ in 0..10 {
        sink.poll(&mut io);
    }
    assert!(sink.is_full() && sink.counters().rows_out == 0);
    assert!(sink.blocked_by().is_some_and(|by| by.starts_with("no space left for out")));
    assert!(sink.take_notice().is_some_and(|notice| notice.contains("rows wait; free some")));
    for _ in 0..2 {
        let wakes_ns = sink.wakes_at_ns().expect("it tries again");
        assert!(wakes_ns > io.clock().monotonic_ns());
        io.clock.advance_ms(600);
        for _ in 0..10 {
            sink.poll(&mut io);
        }
    }
    assert_eq!((sink.is_full(), sink.counters().rows_out), (false, 3));
    assert_eq!(sink.take_notice().as_deref(), Some("there is space again for out"));
    assert!(sink.blocked_by().is_none() && sink.take_notice().is_none());
    finish(&mut sink, &mut io);
    assert!(sink.take_failure().is_none());
    assert_eq!(files.bytes("out/part-0003-01-00000.csv"), b"number\n0\n1\n2\n");
}

#[test]
fn nothing_is_overwritten() {
    for taken in ["out/part-0003-01-00000.csv", "out/.part-0003-01-00000.csv.open"] {
        let files = TestFiles::default();
        files.put(taken, b"precious");
        let (mut sink, mut io) = (sink(1000), TestIo::new(&files, 1, 1));
        sink.write(&batch(0..3), &mut io);
        finish(&mut sink, &mut io);
        let message = sink.take_failure().expect("the name is taken").message;
        assert!(message.contains("already exists; nothing is overwritten"), "{message}");
        assert_eq!(files.bytes(taken), b"precious");
    }
}
