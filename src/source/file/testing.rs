//! Test support: a decoder of lines that are numbers, and several cores that share a plan.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BinaryArray, Int64Array, RecordBatch, UInt64Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};

use super::{CutOptions, FilePlan, FileSource, FileSourceOptions};
use crate::format::{Decoded, Decoder, DecoderOptions, FormatOptions, RejectedRecord};
use crate::limits::TURN_ROWS_MAX;
use crate::reactor::testing::{TestFiles, TestIo};
use crate::record::{
    Batch, EvaluationContext, Expression, ExpressionError, Provenance, Timestamp, Watermark,
};
use crate::source::{
    EventTimeOptions, EventTimeRules, Rejection, Rowtime, Source, SourceMessage, SourceOutput,
    SourceProgress, WatermarkSpec,
};
use crate::stdx::CoreId;

/// Every line is the number of a millisecond. CSV with a header: the first line is skipped.
struct NumberLines {
    options: DecoderOptions,
    header: bool,
    pending: Vec<u8>,
    offset: u64,
    records: u64,
    rows: Vec<(i64, u64, Vec<u8>)>,
    /// Behind the last of them.
    rows_end: u64,
    rejected: VecDeque<RejectedRecord>,
}

impl NumberLines {
    fn line(&mut self) {
        let bytes = std::mem::take(&mut self.pending);
        let at = self.offset;
        self.offset += bytes.len() as u64;
        if std::mem::take(&mut self.header) {
            return;
        }
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        self.records += 1;
        match std::str::from_utf8(&line).ok().and_then(|text| text.parse().ok()) {
            Some(number) => {
                self.rows.push((number, at, line));
                self.rows_end = self.offset;
            }
            None => {
                let reason = "not a number".to_string();
                self.rejected.push_back(RejectedRecord { offset: at, reason, raw: line });
            }
        }
    }
}

impl Decoder for NumberLines {
    fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.pending.push(byte);
            if byte == b'\n' {
                self.line();
            }
        }
    }
    fn finish(&mut self) {
        if !self.pending.is_empty() {
            self.line();
        }
    }
    fn rows(&self) -> usize {
        self.rows.len()
    }
    fn take(&mut self) -> Option<Decoded> {
        if self.rows.is_empty() {
            return None;
        }
        let rows = std::mem::take(&mut self.rows);
        let numbers = Int64Array::from_iter_values(rows.iter().map(|row| row.0));
        let times = numbers.reinterpret_cast::<arrow::datatypes::TimestampMillisecondType>();
        let columns: Vec<ArrayRef> = vec![Arc::new(numbers), Arc::new(times)];
        let provenance = self.options.keep_provenance.clone().map(|origin| Provenance {
            origin,
            offsets: UInt64Array::from_iter_values(rows.iter().map(|row| row.1)),
            raw: BinaryArray::from_iter_values(rows.iter().map(|row| &row.2)),
        });
        let batch = RecordBatch::try_new(schema(), columns).unwrap();
        Some(Decoded { rows: batch, provenance, end: self.rows_end })
    }
    fn take_rejected(&mut self) -> Option<RejectedRecord> {
        self.rejected.pop_front()
    }
    fn records(&self) -> u64 {
        self.records
    }
    fn offset(&self) -> u64 {
        self.offset
    }
    fn set_header(&mut self, _line: &[u8]) {
        self.header = false;
    }
}

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    Arc::new(Schema::new(vec![
        Field::new("number", DataType::Int64, false),
        Field::new("ts", time, false),
    ]))
}

/// Watermark: `ts`, without delay.
#[derive(Debug)]
struct RowTime;

impl Expression for RowTime {
    fn evaluate(
        &self,
        rows: &RecordBatch,
        _context: EvaluationContext,
    ) -> Result<ArrayRef, ExpressionError> {
        Ok(Arc::clone(rows.column(1)))
    }
}

/// Options of one core's source of number lines.
pub(super) fn number_options(
    core: CoreId,
    core_count: u16,
    format: FormatOptions,
    event_time: bool,
) -> FileSourceOptions {
    FileSourceOptions {
        name: "s".into(),
        core,
        core_count,
        decoder: DecoderOptions {
            format,
            schema: schema(),
            projection: vec![0, 1],
            line_bytes_max: 1024,
            keep_provenance: None,
            start_offset: 0,
        },
        make_decoder: Arc::new(|options: DecoderOptions| {
            let FormatOptions::Csv(csv) = &options.format else {
                return Box::new(number_lines(options, false));
            };
            let header = csv.header;
            Box::new(number_lines(options, header))
        }),
        metadata: None,
        event_time: event_time.then(|| EventTimeOptions {
            rules: EventTimeRules {
                spec: WatermarkSpec {
                    rowtime: Rowtime::Column(1),
                    expression: Arc::new(RowTime),
                    delay_ms: Some(0),
                },
                max_future_ms: None,
            },
            idle_timeout_ns: None,
        }),
        keep_provenance: true,
    }
}

fn number_lines(options: DecoderOptions, header: bool) -> NumberLines {
    NumberLines {
        header,
        pending: Vec::new(),
        offset: options.start_offset,
        records: 0,
        rows: Vec::new(),
        rows_end: 0,
        rejected: VecDeque::new(),
        options,
    }
}

/// A row as it left a source.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Row {
    pub(super) origin: String,
    pub(super) offset: u64,
    pub(super) number: i64,
    /// The watermark just before it.
    pub(super) watermark: Option<i64>,
}

/// What one core's source pushed; full now and then.
#[derive(Default)]
pub(super) struct Outlet {
    pub(super) rows: Vec<Row>,
    pub(super) rejections: Vec<Rejection>,
    pub(super) sent: Vec<(CoreId, SourceMessage)>,
    /// Batches taken before it is full.
    pub(super) room: usize,
}

impl SourceOutput for Outlet {
    fn push(&mut self, batch: Batch) {
        assert!(self.room > 0, "pushed into a full outlet");
        self.room -= 1;
        let provenance = batch.tags.provenance.as_ref().unwrap();
        let numbers = batch.rows.column(0).as_primitive::<Int64Type>();
        for index in 0..batch.len() {
            self.rows.push(Row {
                origin: provenance.origin.to_string(),
                offset: provenance.offsets.value(index),
                number: numbers.value(index),
                watermark: batch.tags.watermarks.as_ref().map(|values| values[index]),
            });
        }
    }
    fn is_full(&self) -> bool {
        self.room == 0
    }
    fn rows_max(&self) -> usize {
        TURN_ROWS_MAX
    }
    fn reject(&mut self, rejection: Rejection) {
        self.rejections.push(rejection);
    }
    fn send(&mut self, core: CoreId, message: SourceMessage) {
        self.sent.push((core, message));
    }
}

/// One simulated core.
pub(super) struct Core {
    pub(super) source: FileSource,
    pub(super) io: TestIo,
    pub(super) outlet: Outlet,
    pub(super) finished: bool,
}

/// Several cores over the same files; messages wait until a core is next scheduled.
pub(super) struct Cores {
    pub(super) cores: Vec<Core>,
    rng: fastrand::Rng,
}

/// A case: cores, chunk size, format.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) core_count: u16,
    pub(super) chunk_bytes: u64,
    pub(super) format: FormatOptions,
    pub(super) event_time: bool,
    pub(super) seed: u64,
    pub(super) resumable: bool,
}

impl Cores {
    pub(super) fn new(files: &TestFiles, case: &Case) -> Cores {
        let names = files.names();
        let planned = names.iter().map(|name| (PathBuf::from(name), files.status(name))).collect();
        let lines = !matches!(&case.format, FormatOptions::Csv(csv) if csv.multiline);
        let (core_count, chunk_bytes) = (case.core_count, case.chunk_bytes);
        let plan = FilePlan::of(
            planned,
            CutOptions { core_count, resumable: case.resumable, chunk_bytes, lines },
        );
        let plan = Arc::new(plan);
        let cores = CoreId::all(core_count).map(|core| {
            let options = number_options(core, core_count, case.format.clone(), case.event_time);
            Core {
                source: FileSource::new(Arc::clone(&plan), options),
                io: TestIo::new(files, case.seed + core.index() as u64, 3),
                outlet: Outlet::default(),
                finished: false,
            }
        });
        Cores { cores: cores.collect(), rng: fastrand::Rng::with_seed(case.seed) }
    }

    /// One turn of a core chosen at random, then its messages are delivered.
    pub(super) fn turn(&mut self) {
        let index = self.rng.usize(0..self.cores.len());
        let core = &mut self.cores[index];
        core.turn(self.rng.usize(0..3));
        for (to, message) in std::mem::take(&mut core.outlet.sent) {
            let receiver = &mut self.cores[to.index()];
            receiver.source.receive(message, &mut receiver.io);
        }
    }

    /// Turns until every core has finished.
    pub(super) fn run(&mut self) {
        let mut turns = 0;
        while !self.cores.iter().all(|core| core.finished) {
            self.turn();
            turns += 1;
            assert!(turns < 1_000_000, "the cores never finish");
        }
        for core in &self.cores {
            assert_eq!(core.io.disk.open_files(), 0);
            assert_eq!(core.io.disk.pending_operations(), 0);
        }
    }

    /// Goes on where other cores stood.
    pub(super) fn resume(&mut self, positions: &[Vec<u8>]) {
        let positions: Vec<&[u8]> = positions.iter().map(Vec::as_slice).collect();
        for core in &mut self.cores {
            core.source.resume(&positions).unwrap();
        }
    }

    /// Where the cores stand.
    pub(super) fn positions(&self) -> Vec<Vec<u8>> {
        self.cores.iter().map(|core| core.source.position().unwrap()).collect()
    }

    /// All rows, in the order of the sequence. Each core's own must be so already.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for core in &self.cores {
            assert!(core.outlet.rows.is_sorted_by_key(|row| (&row.origin, row.offset)));
            rows.extend_from_slice(&core.outlet.rows);
        }
        rows.sort();
        rows
    }
}

impl Core {
    /// A poll with room for so many batches; checks what the source promised before.
    pub(super) fn turn(&mut self, room: usize) {
        if self.finished {
            return;
        }
        let promised = self.source.watermark();
        let first = self.outlet.rows.len();
        self.outlet.room = room;
        let progress = self.source.poll(&mut self.io, &mut self.outlet);
        self.finished = progress == SourceProgress::Finished;
        let new = &self.outlet.rows[first..];
        match promised {
            Some(Watermark::At(Timestamp::MIN)) | None => {}
            Some(Watermark::At(time)) => {
                assert!(new.iter().all(|row| row.watermark >= Some(time.millis())));
            }
            Some(Watermark::Idle) => assert!(new.is_empty()),
        }
    }
}
