//! Windowed aggregates alone: rows per second of the half before the exchange and of the half behind
//! it, for TUMBLE and HOP, with few keys and with keys that hardly repeat.
//!
//! `cargo bench --bench window`; one core, no exchange, no I/O. Rates are in input rows for both
//! halves, so that they can be added: 1 / (1 / send + 1 / receive). With keys that hardly repeat HOP
//! makes ten result rows of each.

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::DataType;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use pelton::limits::BATCH_ROWS_MAX;
use pelton::operator::{
    AggregateCall, AggregateFunction, Diverted, Operator, Output, Progress, TimeDomain,
    WindowAggregateSpec, WindowKind, WindowPlan, WindowReceiver, WindowSender, WindowSpec,
};
use pelton::record::{Batch, Cause, Element, KeyHasher, Timestamp, Watermark};
use pelton::state::Tracking;

const HASHER: KeyHasher = KeyHasher::new(0x9e37_79b9_7f4a_7c15);

/// Batches of one input: 262,144 rows.
const BATCHES: usize = 32;

/// Rows of one millisecond, so that the input has 16 windows of a second.
const ROWS_PER_MS: usize = 16;

const SECOND_MS: i64 = 1_000;

/// Columns of the input.
const KEY: usize = 0;
const PRICE: usize = 1;
const TIME: usize = 2;

/// What a half pushed, in order.
#[derive(Default)]
struct Elements(Vec<Element>);

impl Output for Elements {
    fn push(&mut self, batch: Batch) {
        self.0.push(Element::Batch(batch));
    }

    fn watermark(&mut self, watermark: Watermark) {
        self.0.push(Element::Watermark(watermark, Cause::default()));
    }

    fn is_full(&self) -> bool {
        false
    }

    fn divert(&mut self, diverted: Diverted) {
        unreachable!("no row of the input is late: {}", diverted.reason)
    }
}

/// Bids in the order of time, one batch after the other, and the watermark behind each batch.
fn input(keys: i64) -> Vec<Element> {
    let mut random = fastrand::Rng::with_seed(1);
    let mut elements = Vec::new();
    for number in 0..BATCHES {
        let numbers_of_rows = number * BATCH_ROWS_MAX..(number + 1) * BATCH_ROWS_MAX;
        let times: Vec<i64> = numbers_of_rows
            .map(|row| i64::try_from(row / ROWS_PER_MS).expect("the input is short"))
            .collect();
        let last = times[BATCH_ROWS_MAX - 1];
        let mut numbers = |max: i64| -> ArrayRef {
            Arc::new((0..BATCH_ROWS_MAX).map(|_| Some(random.i64(0..max))).collect::<Int64Array>())
        };
        let columns = [
            ("key", numbers(keys)),
            ("price", numbers(1_000_000)),
            ("ts", Arc::new(TimestampMillisecondArray::from(times.clone()))),
        ];
        let rows = RecordBatch::try_from_iter(columns).expect("columns are equally long");
        let mut batch = Batch::new(rows, 0);
        batch.tags.watermarks = Some(times.iter().map(|time| time - 1).collect());
        elements.push(Element::Batch(batch));
        let watermark = Watermark::At(Timestamp::from_millis(last - 1));
        elements.push(Element::Watermark(watermark, Cause::default()));
    }
    elements.push(Element::Watermark(Watermark::At(Timestamp::MAX), Cause::default()));
    elements
}

fn spec(kind: WindowKind) -> WindowAggregateSpec {
    let call = |function, argument| AggregateCall {
        function,
        argument,
        distinct: false,
        filter: None,
        name: format!("{function:?}"),
        result_type: DataType::Int64,
    };
    let aggregates =
        vec![call(AggregateFunction::Count, None), call(AggregateFunction::Max, Some(PRICE))];
    let time = TimeDomain::Event { column: TIME };
    let window = WindowSpec { kind, offset_ms: 0, time, clock: None };
    WindowAggregateSpec { window, keys: vec![KEY], aggregates }
}

/// Gives `operator` everything, with the end of a turn behind each element.
fn run(operator: &mut dyn Operator, elements: Vec<Element>) -> Elements {
    let mut out = Elements::default();
    for element in elements {
        let mut progress = match element {
            Element::Batch(batch) => operator.process(batch, &mut out),
            Element::Watermark(watermark, _) => operator.on_watermark(watermark, &mut out),
            other => unreachable!("the input has no {other:?}"),
        };
        while progress == Progress::More {
            progress = operator.resume(&mut out);
        }
        operator.flush(&mut out);
        operator.housekeep();
    }
    out
}

fn windows(criterion: &mut Criterion) {
    let kinds = [
        ("tumble 1 s", WindowKind::Tumble { size_ms: SECOND_MS }),
        ("hop 1 s of 10 s", WindowKind::Hop { slide_ms: SECOND_MS, size_ms: 10 * SECOND_MS }),
    ];
    let mut group = criterion.benchmark_group("window");
    group.throughput(Throughput::Elements((BATCHES * BATCH_ROWS_MAX) as u64));
    group.sample_size(10);
    for (kind_name, kind) in kinds {
        for (keys_name, keys) in [("100 keys", 100), ("1 M keys", 1_000_000)] {
            let bids = input(keys);
            let Some(Element::Batch(first)) = bids.first() else { unreachable!("it has rows") };
            let (spec, schema) = (spec(kind), first.rows.schema());
            let plan = WindowPlan::new(&spec, &schema).expect("the aggregates are possible");
            let results = WindowPlan::output_schema(&spec, &schema);
            let sender = || WindowSender::new(Arc::clone(&plan), HASHER);
            let receiver = || {
                WindowReceiver::new(Arc::clone(&plan), Arc::clone(&results), HASHER, Tracking::Off)
            };
            let partials = run(&mut sender(), bids.clone()).0;

            group.bench_function(format!("send, {kind_name}, {keys_name}"), |bencher| {
                bencher.iter_batched(
                    || (sender(), bids.clone()),
                    |(mut sender, bids)| black_box(run(&mut sender, bids).0.len()),
                    BatchSize::LargeInput,
                );
            });
            group.bench_function(format!("receive, {kind_name}, {keys_name}"), |bencher| {
                bencher.iter_batched(
                    || (receiver(), partials.clone()),
                    |(mut receiver, partials)| black_box(run(&mut receiver, partials).0.len()),
                    BatchSize::LargeInput,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, windows);
criterion_main!(benches);
