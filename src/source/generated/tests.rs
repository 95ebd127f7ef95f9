//! Several cores make one stream: rows, watermarks and rejections are those of one core.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};

use super::{GeneratedOptions, GeneratedSource, Generator, Pacing};
use crate::limits::TURN_ROWS_MAX;
use crate::reactor::testing::{TestFiles, TestIo};
use crate::record::{Batch, EvaluationContext, Expression, ExpressionError, Timestamp, Watermark};
use crate::source::{
    EventTimeOptions, EventTimeRules, Rejection, Rowtime, Source, SourceMessage, SourceOutput,
    SourceProgress, WatermarkSpec,
};
use crate::stdx::CoreId;

/// Row *n* is *n*, at a time that goes up and down; every 97th has none.
struct Waves;

fn schema() -> SchemaRef {
    let time = DataType::Timestamp(TimeUnit::Millisecond, None);
    Arc::new(Schema::new(vec![
        Field::new("number", DataType::Int64, false),
        Field::new("ts", time, true),
    ]))
}

fn time_of(row: i64) -> Option<i64> {
    (row % 97 != 96).then_some(row * 10 + row * 7_919 % 40_000)
}

impl Generator for Waves {
    fn make(&self, first: u64, rows: usize, _now: Timestamp) -> RecordBatch {
        let numbers = (first..).take(rows).map(|row| i64::try_from(row).unwrap());
        let times = TimestampMillisecondArray::from_iter(numbers.clone().map(time_of));
        let columns: Vec<ArrayRef> =
            vec![Arc::new(Int64Array::from_iter_values(numbers)), Arc::new(times)];
        RecordBatch::try_new(schema(), columns).unwrap()
    }

    fn batch_rows_max(&self) -> usize {
        1_000
    }
}

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

/// A row with the watermark before it.
type Row = (i64, Option<i64>);

#[derive(Default)]
struct Outlet {
    rows: Vec<Row>,
    rejections: Vec<Rejection>,
    sent: VecDeque<(CoreId, SourceMessage)>,
    room: usize,
}

impl SourceOutput for Outlet {
    fn push(&mut self, batch: Batch) {
        self.room -= 1;
        let numbers = batch.rows.column(0).as_primitive::<Int64Type>();
        let provenance = batch.tags.provenance.as_ref().unwrap();
        for (index, number) in numbers.values().iter().enumerate() {
            let watermark = batch.tags.watermarks.as_ref().map(|values| values[index]);
            assert_eq!(i64::try_from(provenance.offsets.value(index)), Ok(*number));
            self.rows.push((*number, watermark));
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
        self.sent.push_back((core, message));
    }
}

struct Core {
    source: GeneratedSource,
    io: TestIo,
    outlet: Outlet,
    finished: bool,
}

struct Cores(Vec<Core>);

impl Cores {
    fn new(core_count: u16, pacing: Pacing, event_time: bool) -> Cores {
        let spec = WatermarkSpec {
            rowtime: Rowtime::Column(1),
            expression: Arc::new(RowTime),
            delay_ms: Some(0),
        };
        let rules = EventTimeRules { spec, max_future_ms: None };
        let core = |core| Core {
            source: GeneratedSource::new(GeneratedOptions {
                name: "g".into(),
                core,
                core_count,
                generator: Arc::new(Waves),
                pacing,
                event_time: event_time
                    .then(|| EventTimeOptions { rules: rules.clone(), idle_timeout_ns: None }),
                keep_provenance: true,
            }),
            io: TestIo::new(&TestFiles::default(), 1, 1),
            outlet: Outlet::default(),
            finished: false,
        };
        Cores(CoreId::all(core_count).map(core).collect())
    }

    /// A poll of one core with room for so many batches; then its messages are delivered.
    fn turn(&mut self, index: usize, room: usize) -> SourceProgress {
        let core = &mut self.0[index];
        core.outlet.room = room;
        let promised = core.source.watermark();
        let first = core.outlet.rows.len();
        let progress = core.source.poll(&mut core.io, &mut core.outlet);
        core.finished |= progress == SourceProgress::Finished;
        if let Some(Watermark::At(time)) = promised
            && time > Timestamp::MIN
        {
            let new = &core.outlet.rows[first..];
            assert!(new.iter().all(|(_, watermark)| watermark.unwrap() >= time.millis()));
        }
        while let Some((to, message)) = self.0[index].outlet.sent.pop_front() {
            let receiver = &mut self.0[to.index()];
            receiver.source.receive(message, &mut receiver.io);
        }
        progress
    }

    fn run(&mut self, seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut turns = 0;
        while !self.0.iter().all(|core| core.finished) {
            let index = random.usize(0..self.0.len());
            if !self.0[index].finished {
                let _ = self.turn(index, random.usize(0..3));
            }
            turns += 1;
            assert!(turns < 1_000_000, "the cores never finish");
        }
    }

    fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = Vec::new();
        for core in &self.0 {
            assert!(core.outlet.rows.is_sorted());
            rows.extend(&core.outlet.rows);
        }
        rows.sort_unstable();
        rows
    }

    fn rejections(&self) -> usize {
        self.0.iter().map(|core| core.outlet.rejections.len()).sum()
    }
}

/// What one core has to push, computed from the first row to the last.
fn expected(rows: i64, event_time: bool) -> Vec<Row> {
    let mut watermark = i64::MIN;
    let mut expected = Vec::new();
    for row in 0..rows {
        match (event_time, time_of(row)) {
            (false, _) => expected.push((row, None)),
            (true, Some(time)) => {
                expected.push((row, Some(watermark)));
                watermark = watermark.max(time);
            }
            (true, None) => {}
        }
    }
    expected
}

#[test]
fn any_number_of_cores_makes_the_same_stream() {
    for rows in [0, 1, 999, 32_768, 100_000, 131_073] {
        let expected = expected(i64::try_from(rows).unwrap(), true);
        for core_count in [1, 2, 3, 4] {
            let pacing = Pacing { rows: Some(rows), rows_per_second: None };
            let mut cores = Cores::new(core_count, pacing, true);
            cores.run(rows + u64::from(core_count));
            assert!(cores.rows() == expected, "{rows} rows on {core_count} cores");
            assert_eq!(cores.rejections() as u64, rows / 97, "{rows} rows");
            let counted: u64 = cores.0.iter().map(|core| core.source.counters().records_in).sum();
            assert_eq!(counted, rows);
        }
    }
}

#[test]
fn a_later_run_on_any_number_of_cores_goes_on_where_an_earlier_one_stood() {
    for seed in 0..60 {
        let mut random = fastrand::Rng::with_seed(seed);
        let count = [5, 40_000, 200_000][random.usize(0..3)];
        let event_time = random.u8(0..4) > 0;
        let (mut rows, mut rejections) = (Vec::new(), 0);
        let mut positions: Vec<Vec<u8>> = Vec::new();
        for run in 0..6 {
            let pacing = Pacing { rows: Some(count), rows_per_second: None };
            let mut cores = Cores::new(random.u16(1..5), pacing, event_time);
            if run > 0 {
                let positions: Vec<&[u8]> = positions.iter().map(Vec::as_slice).collect();
                cores.0.iter_mut().for_each(|core| core.source.resume(&positions).unwrap());
            }
            if run < 5 {
                for _ in 0..random.usize(0..100) {
                    let index = random.usize(0..cores.0.len());
                    let _ = cores.turn(index, random.usize(0..3));
                }
            } else {
                cores.run(seed);
            }
            rows.extend(cores.rows());
            rejections += cores.rejections();
            positions = cores.0.iter().map(|core| core.source.position().unwrap()).collect();
        }
        rows.sort_unstable();
        assert!(rows == expected(i64::try_from(count).unwrap(), event_time), "seed {seed}");
        assert_eq!(rejections as u64, if event_time { count / 97 } else { 0 }, "seed {seed}");
    }
}

#[test]
fn a_later_run_keeps_the_rate_from_where_it_begins() {
    let pacing = Pacing { rows: None, rows_per_second: Some(10) };
    let mut first = Cores::new(1, pacing, true);
    for _ in 0..20 {
        let _ = first.turn(0, 5);
        first.0[0].io.clock.advance_ms(100);
    }
    let position = first.0[0].source.position().unwrap();
    let mut second = Cores::new(2, pacing, true);
    second.0.iter_mut().for_each(|core| core.source.resume(&[&position]).unwrap());
    second.0.iter().for_each(|core| core.io.clock.advance_ms(5_000));
    for _ in 0..5 {
        for index in [0, 1, 0, 1] {
            let _ = second.turn(index, 5);
        }
        second.0.iter().for_each(|core| core.io.clock.advance_ms(100));
    }
    let numbers: Vec<i64> = second.rows().iter().map(|row| row.0).collect();
    assert_eq!(numbers, [20, 21, 22, 23, 24]);
    let other = Pacing { rows: None, rows_per_second: Some(1_000) };
    let error = Cores::new(1, other, true).0[0].source.resume(&[&position]).unwrap_err();
    assert!(error.to_string().contains("another rate"), "{error}");
}

#[test]
fn without_event_time_nobody_waits() {
    let pacing = Pacing { rows: Some(70_000), rows_per_second: None };
    let mut cores = Cores::new(2, pacing, false);
    // The second core alone makes its chunk.
    assert_eq!(cores.turn(1, 1), SourceProgress::Busy);
    cores.run(1);
    assert_eq!(cores.rows(), expected(70_000, false));
}

#[test]
fn rows_come_when_they_are_due() {
    let pacing = Pacing { rows: Some(30), rows_per_second: Some(10) };
    let mut cores = Cores::new(2, pacing, true);
    let mut seen = Vec::new();
    for _ in 0..35 {
        for index in [0, 1, 0, 1] {
            let _ = cores.turn(index, 5);
        }
        seen.push(cores.rows().len());
        cores.0.iter().for_each(|core| core.io.clock.advance_ms(100));
    }
    let due: Vec<usize> = (1..=35).map(|rows: usize| rows.min(30)).collect();
    assert_eq!(seen, due);
}

#[test]
fn a_core_sleeps_until_its_row_is_due() {
    let pacing = Pacing { rows: None, rows_per_second: Some(3) };
    let mut cores = Cores::new(1, pacing, true);
    assert_eq!(cores.turn(0, 1), SourceProgress::Busy);
    let third_ns = 333_333_334;
    let idle = SourceProgress::Idle { wakes_at_ns: Some(third_ns) };
    assert_eq!(cores.turn(0, 1), idle);
    cores.0[0].io.clock.advance_ms(334);
    assert_eq!(cores.turn(0, 1), SourceProgress::Busy);
    assert_eq!(cores.rows().len(), 2);
}

#[test]
fn a_stream_without_end_ends_when_it_is_stopped() {
    for core_count in [1, 2, 4] {
        let pacing = Pacing { rows: None, rows_per_second: None };
        let mut cores = Cores::new(core_count, pacing, true);
        for turn in 0..400 {
            let _ = cores.turn(turn % cores.0.len(), 1);
        }
        for core in &mut cores.0 {
            core.source.stop(&mut core.io);
        }
        cores.run(3);
        let rows = cores.rows();
        assert!(rows.len() > 10_000, "{}", rows.len());
        // Each row carries what all rows before it have brought about, pushed or not.
        let all = expected(rows.last().unwrap().0 + 1, true);
        assert!(rows.iter().all(|row| all.binary_search(row).is_ok()));
    }
}
