//! Windows against a model that tries every window for every row.
//!
//! Several senders, each with several splits, feed several receivers over queues that are emptied in
//! random order; batches are cut, turns end and outlets fill up at random. The results must be the
//! model's, whatever the cut: rows, late rows and ledger.

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::util::display::array_value_to_string;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use super::*;
use crate::metrics::OperatorCounters;
use crate::operator::testing::{Collector, resume_to_end, run_to_end};
use crate::operator::{
    AggregateCall, AggregateFunction, DivertedKind, Operator, Progress, TimeDomain,
    WindowAggregateSpec, WindowKind, WindowSpec,
};
use crate::record::{Batch, Cause, KeyGroup, KeyHasher, Timestamp, Watermark};
use crate::state::Tracking;

const HASHER: KeyHasher = KeyHasher::new(99);

/// Columns of the input: two keys, a value, a text, a flag, the time, and a unique number.
const NUMBER: usize = 0;
const NAME: usize = 1;
const VALUE: usize = 2;
const FLAG: usize = 3;
const TIME: usize = 4;
const ID: usize = 5;

/// NULL, in texts.
const NULL: &str = "-";

#[derive(Clone, Debug)]
struct Row {
    number: Option<f64>,
    name: Option<&'static str>,
    value: Option<i32>,
    flag: Option<bool>,
    time: i64,
    id: i64,
    /// The split's watermark just before it.
    watermark: i64,
}

fn input_schema() -> SchemaRef {
    let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
    Arc::new(Schema::new(vec![
        Field::new("number", DataType::Float64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("value", DataType::Int32, true),
        Field::new("flag", DataType::Boolean, true),
        Field::new("time", millis, false),
        Field::new("id", DataType::Int64, false),
    ]))
}

fn batch_of(rows: &[Row]) -> Batch {
    let columns: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.number).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| row.name).collect::<StringArray>()),
        Arc::new(rows.iter().map(|row| row.value).collect::<Int32Array>()),
        Arc::new(rows.iter().map(|row| row.flag).collect::<BooleanArray>()),
        Arc::new(TimestampMillisecondArray::from_iter_values(rows.iter().map(|row| row.time))),
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|row| row.id))),
    ];
    let mut batch = Batch::new(RecordBatch::try_new(input_schema(), columns).unwrap(), 1);
    batch.tags.watermarks = Some(rows.iter().map(|row| row.watermark).collect());
    // The order of all splits together, so that it is one for the model, too.
    batch.tags.positions =
        Some(rows.iter().map(|row| row.id % 10_000 * 10 + row.id / 10_000).collect());
    batch
}

fn spec(kind: WindowKind, offset_ms: i64, keys: &[usize], distinct: bool) -> WindowAggregateSpec {
    use AggregateFunction::{
        ArrayAgg, Avg, Collect, Count, FirstValue, LastValue, ListPresent, Max, Min, Sum,
    };
    let call = |function, argument, is_distinct, filter, result_type| {
        let name = format!("{function:?}");
        AggregateCall { function, argument, distinct: is_distinct, filter, name, result_type }
    };
    let mut aggregates = vec![
        call(Count, None, false, None, DataType::Int64),
        call(Sum, Some(VALUE), false, Some(FLAG), DataType::Int32),
        call(Avg, Some(VALUE), false, None, DataType::Int32),
        call(Min, Some(NAME), false, None, DataType::Utf8),
        call(Max, Some(ID), false, None, DataType::Int64),
        call(FirstValue, Some(NAME), false, Some(FLAG), DataType::Utf8),
        call(LastValue, Some(VALUE), false, None, DataType::Int32),
        call(ArrayAgg, Some(VALUE), false, None, list_type()),
        call(Collect, Some(VALUE), false, None, counts_type()),
    ];
    if distinct {
        aggregates.push(call(Count, Some(VALUE), true, None, DataType::Int64));
        aggregates.push(call(LastValue, Some(VALUE), true, None, DataType::Int32));
        aggregates.push(call(ListPresent, Some(VALUE), true, None, list_type()));
    }
    let time = TimeDomain::Event { column: TIME };
    WindowAggregateSpec {
        window: WindowSpec { kind, offset_ms, time, clock: None },
        keys: keys.to_vec(),
        aggregates,
    }
}

fn list_type() -> DataType {
    DataType::new_list(DataType::Int32, true)
}

fn counts_type() -> DataType {
    let key = Field::new("key", DataType::Int32, false);
    let count = Field::new("value", DataType::Int32, true);
    let entries = DataType::Struct(vec![key, count].into());
    DataType::Map(Arc::new(Field::new("entries", entries, false)), false)
}

/// A row's key, as results show it.
fn key_text(row: &Row, keys: &[usize]) -> String {
    let number = match row.number {
        Some(0.0) => "0.0".into(),
        Some(value) => format!("{value:?}"),
        None => NULL.into(),
    };
    let parts = keys.iter().map(|&key| match key {
        NUMBER => number.clone(),
        _ => row.name.unwrap_or(NULL).to_string(),
    });
    parts.map(|part| part + ",").collect()
}

/// One group's results, computed the long way.
fn result_text(rows: &[&Row], distinct: bool) -> String {
    let values = || rows.iter().filter_map(|row| row.value);
    let flagged: Vec<i32> =
        rows.iter().filter(|row| row.flag == Some(true)).filter_map(|row| row.value).collect();
    let sum = (!flagged.is_empty()).then(|| flagged.iter().fold(0, |a: i32, b| a.wrapping_add(*b)));
    let average = (values().count() > 0)
        .then(|| values().map(i64::from).sum::<i64>() / values().count() as i64);
    let least = rows.iter().filter_map(|row| row.name).min();
    let most = rows.iter().map(|row| row.id).max().unwrap();
    let text = |value: Option<String>| value.unwrap_or(NULL.into());
    let mut result = format!(
        "{},{},{},{},{most},",
        rows.len(),
        text(sum.map(|sum| sum.to_string())),
        text(average.map(|average| average.to_string())),
        least.unwrap_or(NULL)
    );
    let mut in_order = rows.to_vec();
    in_order.sort_by_key(|row| (row.id % 10_000, row.id / 10_000));
    let first = in_order.iter().filter(|row| row.flag == Some(true)).find_map(|row| row.name);
    let listed: Vec<String> = in_order
        .iter()
        .map(|row| row.value.map_or(String::new(), |value| value.to_string()))
        .collect();
    let present: Vec<i32> = in_order.iter().filter_map(|row| row.value).collect();
    let last = present.last().map(ToString::to_string);
    let counts: Vec<String> = present
        .iter()
        .collect::<BTreeSet<_>>()
        .iter()
        .map(|value| {
            format!("{value}: {}", present.iter().filter(|other| *other == *value).count())
        })
        .collect();
    result += &format!(
        "{},{},[{}],{{{}}},",
        first.unwrap_or(NULL),
        text(last),
        listed.join(", "),
        counts.join(", ")
    );
    if distinct {
        let mut firsts: Vec<i32> = Vec::new();
        present.iter().for_each(|value| {
            if !firsts.contains(value) {
                firsts.push(*value);
            }
        });
        let newest = text(firsts.last().map(ToString::to_string));
        let list: Vec<String> = firsts.iter().map(ToString::to_string).collect();
        let list = (!list.is_empty()).then(|| format!("[{}]", list.join(", ")));
        result += &format!("{},{newest},{},", firsts.len(), text(list));
    }
    result
}

struct Expected {
    results: Vec<String>,
    late: Vec<i64>,
}

/// Every window for every row.
fn model(rows: &[Row], spec: &WindowAggregateSpec, distinct: bool) -> Expected {
    let (slide, size) = match spec.window.kind {
        WindowKind::Tumble { size_ms } => (size_ms, size_ms),
        WindowKind::Hop { slide_ms, size_ms } => (slide_ms, size_ms),
    };
    let mut windows: BTreeMap<(i64, String), Vec<&Row>> = BTreeMap::new();
    let mut late = Vec::new();
    for row in rows {
        let ends = (row.time + 1..=row.time + size)
            .filter(|end| (end - spec.window.offset_ms).rem_euclid(slide) == 0);
        let open: Vec<i64> = ends.filter(|end| end - 1 > row.watermark).collect();
        if open.is_empty() {
            late.push(row.id);
        }
        for end in open {
            windows.entry((end, key_text(row, &spec.keys))).or_default().push(row);
        }
    }
    let results = windows.iter().map(|((end, key), group)| {
        format!("{key}{}{},{end},{}", result_text(group, distinct), end - size, end - 1)
    });
    let mut results: Vec<String> = results.collect();
    results.sort();
    late.sort_unstable();
    Expected { results, late }
}

/// Rows of one split: mostly ascending times with jumps back, keys few and odd.
fn random_split(random: &mut fastrand::Rng, first_id: i64, rows: usize) -> Vec<Row> {
    let delay = random.i64(0..12);
    let (mut time, mut watermark) = (random.i64(-30..30), i64::MIN);
    let numbers = [None, Some(f64::NAN), Some(-f64::NAN), Some(0.0), Some(-0.0), Some(1.5)];
    let names = [None, Some(""), Some("a"), Some("b")];
    (0..rows)
        .map(|index| {
            time += random.i64(-1..4);
            let back = if random.u8(0..5) == 0 { random.i64(0..40) } else { random.i64(0..6) };
            let row = Row {
                number: numbers[random.usize(0..numbers.len())],
                name: names[random.usize(0..names.len())],
                value: (random.u8(0..6) > 0).then(|| random.i32(-3..3)),
                flag: [None, Some(false), Some(true)][random.usize(0..3)],
                time: time - back,
                id: first_id + index as i64,
                watermark,
            };
            watermark = watermark.max(row.time - delay);
            row
        })
        .collect()
}

#[expect(clippy::large_enum_variant, reason = "few exist at a time")]
enum Sent {
    Batch(Batch),
    Watermark(i64),
}

struct Core {
    sender: WindowSender,
    /// Rows not yet read, by split, and the watermark after the last row read.
    splits: Vec<(VecDeque<Row>, i64)>,
    announced: i64,
    late: Vec<i64>,
}

struct Owner {
    receiver: WindowReceiver,
    /// From each core.
    queues: Vec<VecDeque<Sent>>,
    watermarks: Vec<i64>,
    merged: i64,
    out: Collector,
}

struct Machine {
    random: fastrand::Rng,
    cores: Vec<Core>,
    owners: Vec<Owner>,
}

impl Machine {
    fn new(seed: u64, plan: &Arc<WindowPlan>, output: &SchemaRef, splits: &[Vec<Row>]) -> Machine {
        let mut random = fastrand::Rng::with_seed(seed);
        let core_count = random.usize(1..=3).min(splits.len());
        let owner_count = random.usize(1..=2);
        let mut cores: Vec<Core> = (0..core_count)
            .map(|_| Core {
                sender: WindowSender::new(Arc::clone(plan), HASHER),
                splits: vec![],
                announced: i64::MIN,
                late: vec![],
            })
            .collect();
        for (index, split) in splits.iter().enumerate() {
            let rows = split.iter().cloned().collect();
            cores[index % core_count].splits.push((rows, i64::MIN));
        }
        let owners = (0..owner_count)
            .map(|_| Owner {
                receiver: WindowReceiver::new(
                    Arc::clone(plan),
                    Arc::clone(output),
                    HASHER,
                    Tracking::Off,
                ),
                queues: (0..core_count).map(|_| VecDeque::new()).collect(),
                watermarks: vec![i64::MIN; core_count],
                merged: i64::MIN,
                out: Collector::with_room(random.usize(1..4)),
            })
            .collect();
        Machine { random, cores, owners }
    }

    fn run(&mut self) {
        while self.cores.iter().any(|core| core.announced != i64::MAX) {
            let core = self.random.usize(0..self.cores.len());
            self.turn(core);
            for _ in 0..self.random.usize(0..6) {
                self.deliver();
            }
        }
        while self.owners.iter().any(|owner| owner.queues.iter().any(|queue| !queue.is_empty())) {
            self.deliver();
        }
    }

    /// Some batches of some splits through one sender, then flush, then perhaps a watermark.
    fn turn(&mut self, index: usize) {
        let core = &mut self.cores[index];
        let mut out = Collector::with_room(self.random.usize(1..4));
        for _ in 0..self.random.usize(1..4) {
            let split = self.random.usize(0..core.splits.len());
            let (rows, watermark) = &mut core.splits[split];
            let count = self.random.usize(1..30).min(rows.len());
            if count == 0 {
                *watermark = i64::MAX;
                continue;
            }
            let taken: Vec<Row> = rows.drain(..count).collect();
            // What the split knows after these rows; any promise up to it is a true one.
            *watermark = rows.front().map_or(i64::MAX, |next| next.watermark);
            run_to_end(&mut core.sender, batch_of(&taken), &mut out);
        }
        core.sender.flush(&mut out);
        let promise = core.splits.iter().map(|(_, watermark)| *watermark).min().unwrap();
        let mut sent: Vec<Sent> =
            std::mem::take(&mut out.batches).into_iter().map(Sent::Batch).collect();
        if promise > core.announced && self.random.bool() {
            core.announced = promise;
            let watermark = Watermark::At(Timestamp::from_millis(promise));
            let progress = core.sender.on_watermark(watermark, &mut out);
            assert_eq!((progress, out.batches.len()), (Progress::Done, 0));
            sent.push(Sent::Watermark(promise));
        }
        for diverted in out.diverted {
            assert_eq!(diverted.kind, DivertedKind::Late);
            core.late.extend(
                diverted
                    .rows
                    .rows
                    .column(ID)
                    .as_primitive::<arrow::datatypes::Int64Type>()
                    .values(),
            );
        }
        for element in sent {
            self.send(index, element);
        }
    }

    /// As the exchange does: rows to the owner of their key, watermarks to all.
    fn send(&mut self, from: usize, element: Sent) {
        let owner_count = u16::try_from(self.owners.len()).unwrap();
        for (index, owner) in self.owners.iter_mut().enumerate() {
            let part = match &element {
                Sent::Watermark(time) => Sent::Watermark(*time),
                Sent::Batch(batch) => {
                    let mask: BooleanArray = batch
                        .tags
                        .hashes
                        .as_ref()
                        .unwrap()
                        .iter()
                        .map(|&hash| {
                            let core = KeyGroup::of_hash(hash).owner(owner_count);
                            Some(core.index() == index)
                        })
                        .collect();
                    Sent::Batch(batch.filter(&mask).unwrap())
                }
            };
            owner.queues[from].push_back(part);
        }
    }

    fn deliver(&mut self) {
        let owner_index = self.random.usize(0..self.owners.len());
        let owner = &mut self.owners[owner_index];
        let from = self.random.usize(0..owner.queues.len());
        match owner.queues[from].pop_front() {
            None => {}
            Some(Sent::Batch(batch)) => run_to_end(&mut owner.receiver, batch, &mut owner.out),
            Some(Sent::Watermark(time)) => {
                owner.watermarks[from] = time;
                let merged = owner.watermarks.iter().copied().min().unwrap();
                if merged > owner.merged {
                    owner.merged = merged;
                    let watermark = Watermark::At(Timestamp::from_millis(merged));
                    let progress = owner.receiver.on_watermark(watermark, &mut owner.out);
                    resume_to_end(&mut owner.receiver, progress, &mut owner.out);
                    assert_eq!(owner.out.watermarks.last(), Some(&watermark));
                }
            }
        }
        owner.receiver.housekeep();
    }
}

fn texts(batches: &[Batch]) -> Vec<String> {
    let mut texts = Vec::new();
    for batch in batches {
        let columns = batch.rows.columns();
        for row in 0..batch.len() {
            let cells = columns.iter().map(|column| match column.data_type() {
                _ if column.is_null(row) => NULL.into(),
                DataType::Timestamp(..) => column
                    .as_primitive::<arrow::datatypes::TimestampMillisecondType>()
                    .value(row)
                    .to_string(),
                _ => array_value_to_string(column, row).unwrap(),
            });
            texts.push(cells.collect::<Vec<_>>().join(","));
        }
    }
    texts.sort();
    texts
}

/// One random input in several random cuts.
fn check(seed: u64, kind: WindowKind, offset_ms: i64, keys: &[usize], distinct: bool) {
    let mut random = fastrand::Rng::with_seed(seed);
    let split_count = random.usize(1..4);
    let splits: Vec<Vec<Row>> = (0..split_count)
        .map(|split| random_split(&mut random, split as i64 * 10_000, 150))
        .collect();
    let all: Vec<Row> = splits.iter().flatten().cloned().collect();
    let spec = spec(kind, offset_ms, keys, distinct);
    let expected = model(&all, &spec, distinct);
    let plan = WindowPlan::new(&spec, &input_schema()).unwrap();
    let output = WindowPlan::output_schema(&spec, &input_schema());
    for cut in 0..4 {
        let mut machine = Machine::new(seed * 100 + cut, &plan, &output, &splits);
        machine.run();
        let what = format!("seed {seed} cut {cut} {kind:?} offset {offset_ms} keys {keys:?}");
        let emitted: Vec<Batch> =
            machine.owners.iter().flat_map(|owner| owner.out.batches.clone()).collect();
        let got = texts(&emitted);
        let wrong = got.iter().zip(&expected.results).find(|(got, expected)| got != expected);
        assert_eq!((wrong, got.len()), (None, expected.results.len()), "{what}");
        let mut late: Vec<i64> = machine.cores.iter().flat_map(|core| core.late.clone()).collect();
        late.sort_unstable();
        assert_eq!(late, expected.late, "{what}");
        check_ledger(&machine, all.len(), expected.results.len(), late.len());
    }
}

fn check_ledger(machine: &Machine, rows: usize, results: usize, late: usize) {
    let mut sent = OperatorCounters::default();
    for core in &machine.cores {
        assert_eq!(core.sender.counters().imbalance(), None);
        sent += *core.sender.counters();
    }
    let mut received = OperatorCounters::default();
    for owner in &machine.owners {
        assert_eq!(owner.receiver.counters().imbalance(), None);
        received += *owner.receiver.counters();
        assert_eq!(owner.receiver.entries(), 0);
    }
    assert_eq!((sent.rows_in, sent.late), (rows as u64, late as u64));
    assert_eq!(sent.rows_out, received.rows_in);
    assert_eq!((received.held, received.rows_out), (0, results as u64));
}

#[test]
fn any_cut_gives_the_models_windows_and_late_rows() {
    for seed in 1..=40 {
        check(seed, WindowKind::Tumble { size_ms: 10 }, 0, &[NUMBER, NAME], false);
        check(seed, WindowKind::Tumble { size_ms: 7 }, 3, &[NAME], false);
        check(seed, WindowKind::Hop { slide_ms: 5, size_ms: 20 }, 0, &[NUMBER], false);
        check(seed, WindowKind::Hop { slide_ms: 4, size_ms: 12 }, -1, &[], false);
    }
}

#[test]
fn any_cut_gives_the_models_distinct_counts() {
    for seed in 1..=20 {
        check(seed, WindowKind::Tumble { size_ms: 10 }, 0, &[NAME], true);
        check(seed, WindowKind::Hop { slide_ms: 5, size_ms: 15 }, 2, &[NUMBER], true);
    }
}

/// `(clock, rows)`: what arrives after the clock has been read; `expected`: counts per window.
fn processing(kind: WindowKind, steps: &[(i64, usize)], expected: &[&str], held: u64) {
    let mut spec = spec(kind, 0, &[], false);
    spec.window.time = TimeDomain::Processing;
    spec.aggregates.truncate(1);
    let plan = WindowPlan::new(&spec, &input_schema()).unwrap();
    let output = WindowPlan::output_schema(&spec, &input_schema());
    let mut sender = WindowSender::new(Arc::clone(&plan), HASHER);
    let mut receiver = WindowReceiver::new(plan, output, HASHER, Tracking::Off);
    let mut out = Collector::default();
    let mut random = fastrand::Rng::with_seed(7);
    for &(clock, rows) in steps {
        let progress = receiver.on_clock(Timestamp::from_millis(clock), &mut out);
        resume_to_end(&mut receiver, progress, &mut out);
        let rows = random_split(&mut random, 0, rows);
        let mut sent = Collector::default();
        run_to_end(&mut sender, batch_of(&rows), &mut sent);
        sender.flush(&mut sent);
        for batch in sent.batches {
            run_to_end(&mut receiver, batch, &mut out);
        }
    }
    let end = Watermark::At(Timestamp::MAX);
    assert_eq!(receiver.on_watermark(end, &mut out), Progress::Done);
    assert_eq!(out.watermarks, [end]);
    assert_eq!(texts(&out.batches), expected);
    assert_eq!(receiver.counters().held, held);
    assert_eq!(receiver.counters().imbalance(), None);
    assert_eq!(receiver.wakes_at().is_some(), held > 0);
}

#[test]
fn processing_time_windows_fire_by_the_clock_and_not_at_the_end() {
    let tumble = WindowKind::Tumble { size_ms: 10 };
    processing(tumble, &[(0, 5), (9, 2), (10, 4)], &["7,0,10,9"], 4);
    processing(tumble, &[(3, 1), (25, 1), (24, 1), (30, 0)], &["1,0,10,9", "2,20,30,29"], 0);
    let hop = WindowKind::Hop { slide_ms: 5, size_ms: 10 };
    processing(hop, &[(7, 2), (12, 1), (15, 0)], &["2,0,10,9", "3,5,15,14"], 1);
}

/// As a window that fires into this one pushes them: batch after batch, no flush between.
#[test]
fn distinct_keys_without_a_flush_between_all_arrive() {
    let mut spec = spec(WindowKind::Tumble { size_ms: 1000 }, 0, &[ID], false);
    spec.aggregates.truncate(1);
    let plan = WindowPlan::new(&spec, &input_schema()).unwrap();
    let mut sender = WindowSender::new(plan, HASHER);
    let template = random_split(&mut fastrand::Rng::with_seed(1), 0, 1).remove(0);
    let mut out = Collector::default();
    for start in (0..40_000).step_by(8000) {
        let rows: Vec<Row> =
            (start..start + 8000).map(|id| Row { id, time: 5, ..template.clone() }).collect();
        run_to_end(&mut sender, batch_of(&rows), &mut out);
    }
    sender.flush(&mut out);
    assert_eq!(out.batches.iter().map(Batch::len).sum::<usize>(), 40_000);
    assert_eq!(sender.counters().held, 0);
}

#[test]
fn rows_without_a_tag_are_late_by_the_last_watermark() {
    let spec = spec(WindowKind::Tumble { size_ms: 10 }, 0, &[NAME], false);
    let plan = WindowPlan::new(&spec, &input_schema()).unwrap();
    let mut sender = WindowSender::new(plan, HASHER);
    let mut rows = random_split(&mut fastrand::Rng::with_seed(1), 0, 3);
    for (row, time) in rows.iter_mut().zip([5, 15, 25]) {
        row.time = time;
    }
    let mut batch = batch_of(&rows);
    batch.tags.watermarks = None;
    let mut out = Collector::default();
    let watermark = Watermark::At(Timestamp::from_millis(19));
    assert_eq!(sender.on_watermark(watermark, &mut out), Progress::Done);
    run_to_end(&mut sender, batch, &mut out);
    sender.flush(&mut out);
    assert_eq!(sender.counters().late, 2);
    assert_eq!(out.diverted.len(), 2);
    assert_eq!(
        out.diverted[0].reason,
        "window [1970-01-01 00:00:00.000, 1970-01-01 00:00:00.010) was complete at watermark \
         1970-01-01 00:00:00.019"
    );
}

/// Of a HOP window of two slices: when its rows came, and how much older their oldest batch is.
#[test]
fn a_window_came_with_what_made_it_fire_and_is_as_old_as_its_oldest_batch() {
    let hop = WindowKind::Hop { slide_ms: 10, size_ms: 20 };
    let spec = spec(hop, 0, &[NAME], false);
    let plan = WindowPlan::new(&spec, &input_schema()).unwrap();
    let output = WindowPlan::output_schema(&spec, &input_schema());
    let mut sender = WindowSender::new(Arc::clone(&plan), HASHER);
    let mut receiver = WindowReceiver::new(plan, output, HASHER, Tracking::Off);
    let mut template = random_split(&mut fastrand::Rng::with_seed(1), 0, 1).remove(0);
    template.watermark = i64::MIN;
    let mut out = Collector::default();
    for (time, arrival_ns) in [(5, 700), (6, 500), (15, 900), (25, 1_000)] {
        let mut batch = batch_of(&[Row { time, ..template.clone() }]);
        batch.arrival_ns = arrival_ns;
        let mut sent = Collector::default();
        run_to_end(&mut sender, batch, &mut sent);
        sender.flush(&mut sent);
        for part in sent.batches {
            run_to_end(&mut receiver, part, &mut out);
        }
    }
    let mut fire = |until: i64, cause: Cause| {
        out.cause = cause;
        let watermark = Watermark::At(Timestamp::from_millis(until));
        let progress = receiver.on_watermark(watermark, &mut out);
        resume_to_end(&mut receiver, progress, &mut out);
        let spent = |batch: Batch| (batch.arrival_ns, batch.oldest_ns(), batch.spent.compute_ns);
        out.batches.drain(..).map(spent).collect::<Vec<_>>()
    };
    // The slices before 10 and before 20; then the latter and that before 30.
    assert_eq!(fire(9, Cause { arrival_ns: 2_000, compute_ns: 3 }), [(2_000, 500, 3)]);
    assert_eq!(fire(19, Cause { arrival_ns: 3_000, compute_ns: 4 }), [(3_000, 500, 4)]);
    assert_eq!(fire(29, Cause { arrival_ns: 4_000, compute_ns: 5 }), [(4_000, 900, 5)]);
    // What moved the watermark is not known: what came last did.
    assert_eq!(fire(39, Cause::default()), [(1_000, 1_000, 0)]);
}

/// One BIGINT key per row, each once; `count` keys in one window.
#[test]
fn a_window_of_a_million_keys_fires_in_small_steps_and_is_freed_in_small_steps() {
    const KEYS: usize = 1_000_000;
    let mut spec = spec(WindowKind::Tumble { size_ms: 1000 }, 0, &[ID], false);
    spec.aggregates.truncate(1);
    let plan = WindowPlan::new(&spec, &input_schema()).unwrap();
    let output = WindowPlan::output_schema(&spec, &input_schema());
    let mut sender = WindowSender::new(Arc::clone(&plan), HASHER);
    let mut receiver = WindowReceiver::new(plan, output, HASHER, Tracking::Off);
    let mut out = Collector::default();
    let template = random_split(&mut fastrand::Rng::with_seed(1), 0, 1).remove(0);
    for start in (0..KEYS as i64).step_by(8000) {
        let rows: Vec<Row> =
            (start..start + 8000).map(|id| Row { id, time: 5, ..template.clone() }).collect();
        let mut sent = Collector::default();
        run_to_end(&mut sender, batch_of(&rows), &mut sent);
        sender.flush(&mut sent);
        for batch in sent.batches {
            run_to_end(&mut receiver, batch, &mut out);
        }
    }
    assert_eq!(receiver.entries(), KEYS);
    let overhead = receiver.state_bytes() / KEYS - 9 - 8;
    assert!(overhead <= 64, "{overhead} bytes beside key and value");
    let mut turns = 1;
    let mut progress = receiver.on_watermark(Watermark::At(Timestamp::MAX), &mut out);
    let (mut rows, mut keys) = (0, BTreeSet::new());
    loop {
        let emitted: usize = out.batches.iter().map(Batch::len).sum();
        assert!(emitted <= crate::limits::BATCH_ROWS_MAX, "{emitted} rows in one call");
        rows += emitted;
        for batch in out.batches.drain(..) {
            keys.extend(crate::operator::testing::column_i64(&batch, 0));
        }
        if progress == Progress::Done {
            break;
        }
        assert!(out.watermarks.is_empty(), "the watermark comes last");
        turns += 1;
        progress = receiver.resume(&mut out);
    }
    assert_eq!((rows, keys.len()), (KEYS, KEYS));
    assert!(turns > 100, "{turns} turns");
    assert_eq!(out.watermarks.len(), 1);
    let mut steps = 0;
    while receiver.housekeep() {
        steps += 1;
    }
    assert!(steps > 40, "freed in {steps} steps");
    assert_eq!(receiver.state_bytes(), 0);
}
