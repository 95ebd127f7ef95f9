//! Files as a sink writes them, read by one and by several cores; and damaged ones.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{AsArray, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use tempfile::TempDir;

use super::*;
use crate::format::{FormatOptions, encoder};
use crate::reactor::testing::{TestFiles, TestIo};
use crate::record::Batch;
use crate::source::watermark::testing::delayed;

/// A time, and a number.
fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    Arc::new(Schema::new(vec![
        Field::new("ts", time, true),
        Field::new("n", DataType::Int64, false),
    ]))
}

/// Rows with these numbers, whose times jump about.
fn rows(numbers: std::ops::Range<i64>) -> RecordBatch {
    let times = numbers.clone().map(|n| (n % 7 > 0).then_some(n * 10 + (n * 37) % 100));
    let times = times.collect::<TimestampMillisecondArray>();
    let numbers = Int64Array::from_iter_values(numbers);
    RecordBatch::try_new(schema(), vec![Arc::new(times), Arc::new(numbers)]).unwrap()
}

/// A file of frames of these sizes, from number `first` on; its bytes.
fn file(first: i64, sizes: &[i64]) -> Vec<u8> {
    let mut encoder = encoder(&FormatOptions::Frames, &schema()).unwrap();
    let (mut out, mut at) = (Vec::new(), first);
    encoder.begin(&mut out);
    for size in sizes {
        encoder.encode(&rows(at..at + size), &mut out);
        at += size;
    }
    encoder.end(&mut out);
    out
}

struct Directory(TempDir);

impl Directory {
    fn with(files: &[(&str, Vec<u8>)]) -> Directory {
        let directory = tempfile::tempdir().unwrap();
        for (name, bytes) in files {
            std::fs::write(directory.path().join(name), bytes).unwrap();
        }
        Directory(directory)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

/// What one core's source pushed; full after every few batches.
#[derive(Default)]
struct Outlet {
    rows: Vec<(i64, i64)>,
    rejected: Vec<Rejection>,
    sent: Vec<(CoreId, SourceMessage)>,
    room: usize,
}

impl SourceOutput for Outlet {
    fn push(&mut self, batch: Batch) {
        self.room -= 1;
        let numbers = batch.rows.column(1).as_primitive::<Int64Type>().values();
        let watermarks = batch.tags.watermarks.as_ref().unwrap();
        self.rows.extend(numbers.iter().copied().zip(watermarks.iter().copied()));
    }
    fn is_full(&self) -> bool {
        self.room == 0
    }
    fn rows_max(&self) -> usize {
        100
    }
    fn reject(&mut self, rejection: Rejection) {
        self.rejected.push(rejection);
    }
    fn send(&mut self, core: CoreId, message: SourceMessage) {
        self.sent.push((core, message));
    }
}

/// Rows with the watermarks before them, by number; counters; the failure that ended it.
type Found = (BTreeMap<i64, i64>, SourceCounters, Option<Failure>);

fn read(path: &Path, core_count: u16, chunk_bytes: u64) -> Result<Found, String> {
    let plan = FrameFilePlan::new(path, &schema(), &[0, 1], chunk_bytes);
    let plan = Arc::new(plan.map_err(|error| error.message)?);
    let event_time = Some(EventTimeOptions { rules: delayed(5), idle_timeout_ns: None });
    let options = FrameFileSourceOptions {
        name: "s".into(),
        core: CoreId::ZERO,
        core_count,
        event_time,
        keep_provenance: true,
    };
    let mut cores: Vec<_> = CoreId::all(core_count)
        .map(|core| {
            let options = FrameFileSourceOptions { core, ..options.clone() };
            let io = TestIo::new(&TestFiles::default(), 1, 1);
            (FrameFileSource::new(Arc::clone(&plan), options), io, Outlet::default())
        })
        .collect();
    let mut failure = None;
    loop {
        let mut messages = Vec::new();
        let mut is_finished = true;
        for (source, io, outlet) in &mut cores {
            outlet.room = 3;
            is_finished &= source.poll(io, outlet) == SourceProgress::Finished;
            failure = failure.or(source.take_failure());
            messages.append(&mut outlet.sent);
        }
        for (to, message) in messages {
            let (source, io, _) = &mut cores[to.index()];
            source.receive(message, io);
        }
        if is_finished || failure.is_some() {
            break;
        }
    }
    let mut counters = SourceCounters::default();
    cores.iter().for_each(|(source, _, _)| counters += *source.counters());
    let rows = cores.iter().flat_map(|(_, _, outlet)| outlet.rows.iter().copied());
    Ok((rows.collect(), counters, failure))
}

#[test]
fn any_number_of_cores_reads_the_same_rows_with_the_same_watermarks() {
    let directory = Directory::with(&[
        ("a.frames", file(0, &[1, 250, 3, 999])),
        ("b.frames", file(1_253, &[])),
        ("c.frames", file(1_253, &[1; 100])),
    ]);
    let path = directory.path("*.frames");
    let (expected, of_one, _) = read(&path, 1, u64::MAX).unwrap();
    assert!(expected.keys().copied().eq((0..1_353).filter(|n| n % 7 > 0)));
    assert_eq!((of_one.frames_in, of_one.records_in, of_one.bytes_copied), (104, 1_353, 0));
    assert_eq!(of_one.rows_out + of_one.rejected, 1_353, "a NULL time is rejected");
    for core_count in 1..=4 {
        for chunk_bytes in [1, 2_000, 30_000] {
            let (found, counters, failure) = read(&path, core_count, chunk_bytes).unwrap();
            assert!(found == expected, "{core_count} cores, chunks of {chunk_bytes}");
            assert_eq!((counters.frames_in, counters.records_in), (104, 1_353));
            assert!(failure.is_none());
        }
    }
}

#[test]
fn a_file_that_is_none_is_refused_before_the_start() {
    let whole = file(0, &[10, 20]);
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        bytes
    };
    let hello_bytes = file(0, &[]).len() - 64;
    let last = whole.len() - 64;
    let cases = [
        (Vec::new(), "at byte 0: cut: at least 64 bytes are missing"),
        (b"n,word\n1,one\n".repeat(10), "at byte 0: no frame: it begins with \"n,wo\""),
        (with(&|bytes| bytes[70] ^= 1), "at byte 0: checksum"),
        (
            whole[hello_bytes..].to_vec(),
            "at byte 0: Data does not belong at the beginning of a file",
        ),
        (with(&|bytes| bytes[hello_bytes + 4] = 9), "version 9 of the protocol"),
        (whole[..last].to_vec(), "cut: at least 64 bytes are missing"),
        (whole[..last - 100].to_vec(), "cut: at least 100 bytes are missing"),
        (with(&|bytes| bytes.extend_from_slice(&[0; 64])), "End does not belong behind the end"),
        (with(&|bytes| bytes[hello_bytes + 16] = 2), "sequence 2 where 1 is the next"),
        (with(&|bytes| bytes[last + 16] = 1), "sequence 1 where 2 is the next"),
    ];
    for (bytes, expected) in cases {
        let directory = Directory::with(&[("a.frames", bytes)]);
        let error = read(&directory.path("a.frames"), 1, 1_000).unwrap_err();
        assert!(error.contains(expected), "{error}; expected {expected}");
    }
    let directory = Directory::with(&[("a.frames", whole)]);
    let other = Schema::new(vec![Field::new("n", DataType::Utf8, true)]);
    let error = FrameFilePlan::new(&directory.path("a.frames"), &other, &[0], 1_000).unwrap_err();
    let expected = "at byte 0: column \"n\" is BIGINT in hello and STRING in the table";
    assert!(error.message.ends_with(expected), "{}", error.message);
}

/// Every bit of a payload: never rows that were not written.
#[test]
fn a_damaged_frame_ends_the_job_and_none_of_it_is_pushed() {
    let whole = file(0, &[5, 6]);
    let hello_bytes = file(0, &[]).len() - 64;
    let (expected, ..) = {
        let directory = Directory::with(&[("a.frames", whole.clone())]);
        read(&directory.path("a.frames"), 1, 1).unwrap()
    };
    for at in (hello_bytes..whole.len() - 64).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << (at % 8);
        let directory = Directory::with(&[("a.frames", bytes)]);
        let path = directory.path("a.frames");
        match read(&path, 1, 1) {
            // Found by the plan.
            Err(error) => assert!(error.contains("at byte "), "{error}"),
            Ok((found, _, failure)) => {
                let message = failure.unwrap_or_else(|| panic!("byte {at}")).message;
                let place = format!("source s: cannot read {}: at byte ", path.display());
                assert!(message.starts_with(&place), "{message}");
                assert!(found.iter().all(|row| expected.get(row.0) == Some(row.1)), "byte {at}");
            }
        }
    }
}
