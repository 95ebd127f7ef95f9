//! Expressions alone: ten that are typical, over a batch of bids, and what one bad row costs.
//!
//! `cargo bench --bench expressions`; one core, data in cache, no I/O.
//!
//! Instructions per row, exactly: the same program under callgrind, twice, with `once NAME ROUNDS`, which
//! evaluates one expression over 8,192 rows so many times. The difference of two counts, divided by the
//! difference of rounds and by 8,192, leaves out the start:
//!
//! ```sh
//! valgrind --tool=callgrind target/release/deps/expressions-… once decimal 10
//! valgrind --tool=callgrind target/release/deps/expressions-… once decimal 30
//! ```
//!
//! `bad-none`, `bad-first`, `bad-middle` and `bad-last` are a projection of three expressions with no bad
//! row, or with one there.

#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to tell")]

use std::hint::black_box;
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use criterion::{Criterion, Throughput};
use pelton::dataflow::NodeKind;
use pelton::operator::{Diverted, Operator, Output, Progress, project};
use pelton::record::{Batch, EvaluationContext, ExpressionRef, Timestamp, Watermark};
use pelton::sql::{DeclaredTable, Plan, PlanOptions, SqlText, TableRole, plan};

const ROWS: usize = 8192;

/// Names and expressions.
const EXPRESSIONS: [(&str, &str); 10] = [
    ("decimal", "0.908 * price"),
    ("condition", "MOD(auction, 123) = 0 OR price > 1000000"),
    (
        "case",
        "CASE WHEN price > 1000000 THEN 'high' WHEN price > 10000 THEN 'middle' ELSE 'low' END",
    ),
    ("cast", "CAST(price AS STRING)"),
    ("upper", "UPPER(channel)"),
    ("like", "channel LIKE '%-12%'"),
    ("split", "SPLIT_INDEX(url, '/', 3)"),
    ("regex", "REGEXP_EXTRACT(url, 'com/([0-9]+)/', 1)"),
    ("date_format", "DATE_FORMAT(ts, 'yyyy-MM-dd HH:mm')"),
    ("json", "JSON_VALUE(extra, '$.a.b')"),
];

/// What one bad row is measured with: the number is none in it.
const FALLIBLE: &str = "CAST(digits AS BIGINT) + price AS a, UPPER(channel) AS b, price / 7 AS c";

fn text(text: &str) -> SqlText {
    SqlText { text: text.into(), file: "bench".into(), line: 1, column: 1 }
}

/// The expressions of a SELECT over bids, and the columns they read.
fn planned(select: &str) -> Plan {
    let schema = "auction BIGINT, price BIGINT, channel STRING, url STRING, ts TIMESTAMP(3), extra STRING, \
                  digits STRING";
    let tables = [
        DeclaredTable { name: "bid".into(), role: TableRole::Source, schema: Some(text(schema)) },
        DeclaredTable { name: "out".into(), role: TableRole::Sink, schema: None },
    ];
    let options = PlanOptions { time_zone: "UTC".into() };
    plan(&[text(&format!("INSERT INTO out SELECT {select} FROM bid"))], &tables, &options).unwrap()
}

fn projected(plan: &Plan) -> Vec<ExpressionRef> {
    let mut nodes = plan.graph.nodes.iter();
    let kind = nodes.find_map(|node| match &node.kind {
        NodeKind::Project(expressions) => Some(expressions.clone()),
        _ => None,
    });
    kind.unwrap()
}

/// Bids, the same in every run; `bad`: the row whose digits are none.
fn bids(bad: Option<usize>) -> Vec<ArrayRef> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut numbers = |range: std::ops::Range<i64>| -> Vec<i64> {
        (0..ROWS).map(|_| random.i64(range.clone())).collect()
    };
    let (auctions, prices) = (numbers(1_000..3_000), numbers(100..10_000_000));
    let (channels, items) = (numbers(0..10_000), numbers(0..1_000_000_000_000));
    let texts = |text: &dyn Fn(usize) -> String| -> ArrayRef {
        Arc::new((0..ROWS).map(|row| Some(text(row))).collect::<StringArray>())
    };
    let times = (0..ROWS as i64).map(|row| 1_577_836_800_000 + row * 100);
    vec![
        Arc::new(Int64Array::from(auctions)),
        Arc::new(Int64Array::from(prices.clone())),
        texts(&|row| format!("channel-{}", channels[row])),
        texts(&|row| format!("https://www.nexmark.com/{:012}/item.htm?query=1", items[row])),
        Arc::new(TimestampMillisecondArray::from_iter_values(times)),
        texts(&|row| format!("{{\"a\":{{\"b\":\"{}\",\"c\":[1,2]}},\"d\":null}}", channels[row])),
        texts(&|row| if bad == Some(row) { "none".into() } else { prices[row].to_string() }),
    ]
}

/// The columns of `bids` that the plan reads.
fn rows_for(plan: &Plan, bad: Option<usize>) -> RecordBatch {
    let source = &plan.sources[0];
    let all = RecordBatch::try_new(source.schema.clone(), bids(bad)).unwrap();
    all.project(&source.projection).unwrap()
}

const CONTEXT: EvaluationContext = EvaluationContext { now: Timestamp::from_millis(0) };

fn evaluate(expression: &ExpressionRef, rows: &RecordBatch) {
    black_box(expression.evaluate(black_box(rows), CONTEXT).unwrap());
}

/// Takes everything and keeps nothing.
#[derive(Default)]
struct Nowhere {
    rows: usize,
    rejected: usize,
}

impl Output for Nowhere {
    fn push(&mut self, batch: Batch) {
        self.rows += black_box(&batch).len();
    }

    fn watermark(&mut self, _: Watermark) {}

    fn is_full(&self) -> bool {
        false
    }

    fn divert(&mut self, diverted: Diverted) {
        self.rejected += black_box(&diverted).rows.len();
    }
}

/// A batch through a projection; `bad`: one row of it is rejected.
fn run(operator: &mut dyn Operator, batch: &Batch, bad: Option<usize>) {
    let mut out = Nowhere::default();
    let mut progress = operator.process(batch.clone(), &mut out);
    while progress == Progress::More {
        progress = operator.resume(&mut out);
    }
    let rejected = usize::from(bad.is_some());
    assert_eq!((out.rows, out.rejected), (ROWS - rejected, rejected));
}

/// Names of the batches with a bad row, and where it is.
const BAD_ROWS: [(&str, Option<usize>); 4] = [
    ("bad-none", None),
    ("bad-first", Some(0)),
    ("bad-middle", Some(ROWS / 2)),
    ("bad-last", Some(ROWS - 1)),
];

fn fallible(bad: Option<usize>) -> (Box<dyn Operator>, Batch) {
    let plan = planned(FALLIBLE);
    let operator = project(projected(&plan), plan.sinks[0].schema.clone());
    (operator, Batch::new(rows_for(&plan, bad), 0))
}

fn all(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("expressions");
    group.throughput(Throughput::Elements(ROWS as u64));
    for (name, expression) in EXPRESSIONS {
        let plan = planned(&format!("{expression} AS x"));
        let (compiled, rows) = (projected(&plan).remove(0), rows_for(&plan, None));
        group.bench_function(name, |bencher| bencher.iter(|| evaluate(&compiled, &rows)));
    }
    for (name, bad) in BAD_ROWS {
        let (mut operator, batch) = fallible(bad);
        group.bench_function(name, |bencher| {
            bencher.iter(|| run(operator.as_mut(), &batch, bad));
        });
    }
    group.finish();
}

/// One expression, so many times.
fn once(name: &str, rounds: usize) {
    if let Some((_, bad)) = BAD_ROWS.into_iter().find(|(known, _)| *known == name) {
        let (mut operator, batch) = fallible(bad);
        (0..rounds).for_each(|_| run(operator.as_mut(), &batch, bad));
        return;
    }
    let found = EXPRESSIONS.into_iter().find(|(known, _)| *known == name);
    let (_, expression) = found.expect("the name is one of those in this file");
    let plan = planned(&format!("{expression} AS x"));
    let (compiled, rows) = (projected(&plan).remove(0), rows_for(&plan, None));
    (0..rounds).for_each(|_| evaluate(&compiled, &rows));
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    match &arguments[1..] {
        [mode, name, rounds] if mode == "once" => once(name, rounds.parse().unwrap()),
        _ => {
            let mut criterion = Criterion::default().configure_from_args();
            all(&mut criterion);
            criterion.final_summary();
        }
    }
}
