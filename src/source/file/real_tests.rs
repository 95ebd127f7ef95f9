//! Tests of the file source with the real decoders: what a decoder must be told about a chunk.

use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};

use super::{CutOptions, FilePlan, FileSource, FileSourceOptions};
use crate::format::{CsvOptions, DecoderOptions, FormatOptions, decoder};
use crate::limits::TURN_ROWS_MAX;
use crate::reactor::testing::{TestFiles, TestIo};
use crate::record::Batch;
use crate::source::{Rejection, Source, SourceMessage, SourceOutput, SourceProgress};
use crate::stdx::CoreId;

#[derive(Default)]
struct Rows {
    batches: Vec<RecordBatch>,
    rejections: Vec<Rejection>,
}

impl SourceOutput for Rows {
    fn push(&mut self, batch: Batch) {
        self.batches.push(batch.rows);
    }
    fn is_full(&self) -> bool {
        false
    }
    fn rows_max(&self) -> usize {
        TURN_ROWS_MAX
    }
    fn reject(&mut self, rejection: Rejection) {
        self.rejections.push(rejection);
    }
    fn send(&mut self, _core: CoreId, message: SourceMessage) {
        unreachable!("without event time nothing is told: {message:?}")
    }
}

/// A source of the columns `a` and `b` on one core.
fn source(
    plan: &Arc<FilePlan>,
    core: CoreId,
    core_count: u16,
    line_bytes_max: usize,
) -> FileSource {
    let field = |name| Field::new(name, DataType::Int64, true);
    let csv = CsvOptions { delimiter: b',', header: true, multiline: false };
    FileSource::new(
        Arc::clone(plan),
        FileSourceOptions {
            name: "s".into(),
            core,
            core_count,
            decoder: DecoderOptions {
                format: FormatOptions::Csv(csv),
                schema: Arc::new(Schema::new(vec![field("a"), field("b")])),
                projection: vec![0, 1],
                line_bytes_max,
                keep_provenance: None,
                start_offset: 0,
            },
            make_decoder: Arc::new(|options| decoder(&options).unwrap()),
            metadata: None,
            event_time: None,
            keep_provenance: false,
        },
    )
}

fn plan(files: &TestFiles, core_count: u16, chunk_bytes: u64) -> Arc<FilePlan> {
    let names = files.names();
    let planned = names.iter().map(|name| (PathBuf::from(name), files.status(name))).collect();
    Arc::new(FilePlan::of(
        planned,
        CutOptions { core_count, resumable: false, chunk_bytes, lines: true },
    ))
}

/// The columns `a` and `b` of CSV files with headers, read by several cores, ordered.
fn read(texts: &[&str], core_count: u16, chunk_bytes: u64) -> Vec<(i64, i64)> {
    let files = TestFiles::default();
    for (index, text) in texts.iter().enumerate() {
        files.put(&format!("f{index}"), text.as_bytes());
    }
    let plan = plan(&files, core_count, chunk_bytes);
    let mut rows = Vec::new();
    for core in CoreId::all(core_count) {
        let mut source = source(&plan, core, core_count, 1024);
        let (mut io, mut out) = (TestIo::new(&files, 1, 2), Rows::default());
        while source.poll(&mut io, &mut out) != SourceProgress::Finished {
            assert_eq!(source.take_failure(), None);
        }
        assert_eq!(out.rejections, [], "{core_count} cores, chunks of {chunk_bytes}");
        assert_eq!((io.disk.open_files(), io.disk.pending_operations()), (0, 0));
        for batch in &out.batches {
            let column = |index| batch.column(index).as_primitive::<Int64Type>().values().to_vec();
            rows.extend(column(0).into_iter().zip(column(1)));
        }
    }
    rows.sort_unstable();
    rows
}

#[test]
fn a_header_that_orders_the_columns_holds_for_every_chunk_of_its_file() {
    let expected: Vec<(i64, i64)> = (1..=12).map(|number| (number, number * 100)).collect();
    for end in ["\n", "\r\n"] {
        // Each file has an order of its own.
        let swapped = expected[..6].iter().map(|(a, b)| format!("{b},{a}{end}"));
        let straight = expected[6..].iter().map(|(a, b)| format!("{a},{b}{end}"));
        let first = format!("b,a{end}{}", swapped.collect::<String>());
        let second = format!("a,b{end}{}", straight.collect::<String>());
        for core_count in 1..=4 {
            for chunk_bytes in 1..=30 {
                let case = format!("{core_count} cores, chunks of {chunk_bytes}");
                let actual = read(&[&first, &second], core_count, chunk_bytes);
                assert_eq!(actual, expected, "{case}");
            }
        }
    }
}

#[test]
fn a_header_longer_than_a_line_may_be_is_the_same_failure_on_any_number_of_cores() {
    let files = TestFiles::default();
    files.put("f0", format!("a,b{}\n1,2\n", " ".repeat(70_000)).as_bytes());
    for core_count in 1..=3 {
        let plan = plan(&files, core_count, 50_000);
        let mut source = source(&plan, CoreId::ZERO, core_count, 100);
        let (mut io, mut out) = (TestIo::new(&files, 1, 2), Rows::default());
        let failure = loop {
            let progress = source.poll(&mut io, &mut out);
            assert!(progress != SourceProgress::Finished);
            if let Some(failure) = source.take_failure() {
                break failure;
            }
        };
        let expected = "cannot read f0: its header is longer than line_max, 100 bytes";
        assert_eq!(failure.message, expected, "{core_count} cores");
    }
}

#[test]
fn stopping_while_a_header_is_read_ends() {
    let files = TestFiles::default();
    files.put("f0", b"b,a\n1,2\n3,4\n");
    for polls in 0..30 {
        let plan = plan(&files, 2, 4);
        let mut source = source(&plan, CoreId::new(1), 2, 100);
        let (mut io, mut out) = (TestIo::new(&files, polls, 3), Rows::default());
        for _ in 0..polls {
            let _ = source.poll(&mut io, &mut out);
        }
        source.stop(&mut io);
        let ends = (0..100).any(|_| source.poll(&mut io, &mut out) == SourceProgress::Finished);
        assert!(ends, "after {polls} polls");
    }
}
