//! The half of a windowed aggregate before the exchange.
//!
//! In:  rows of one split each, tagged with the split's watermark before them (without the tag, the
//!      last watermark received counts: rows of an earlier window have none).
//! Out: partial rows with their key hashes; late and impossible rows are diverted.
//!
//! Rows of the same pane and key are combined within a turn, and while that saves less than a fifth
//! of the rows they are sent as they are: a hot key cannot drown the core that owns it, and keys
//! that do not repeat cost one pass less. DISTINCT needs every row, so nothing is combined then.

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch, UInt32Array};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{Int64Type, Schema};
use std::borrow::Cow;
use std::sync::Arc;

use super::assign::{LeftOut, RowPanes, RowWatermarks, assign};
use super::grouping::{GroupColumns, Grouping, ungrouped};
use super::plan::{COLUMN_END, COLUMN_FIRST, WindowPlan};
use super::slices::Pane;
use crate::limits::{BATCH_BYTES_MAX, BATCH_ROWS_MAX};
use crate::metrics::OperatorCounters;
use crate::operator::aggregate::{LaneColumn, distinct_argument};
use crate::operator::{Diverted, DivertedKind, Operator, Output, Progress, TimeDomain};
use crate::record::{Batch, EncodedKeys, Epoch, KeyHasher, RowTags, Spent, Timestamp, Watermark};
use crate::stdx::take_with_room;

/// Rows after which it is decided whether combining pays.
const SAMPLE_ROWS: usize = 4096;

/// Rows sent as they are before combining is tried again: a trial costs one pass over a sample.
const REST_ROWS: usize = 64 * BATCH_ROWS_MAX;

/// Combining goes on while groups are at most this part of rows, in percent.
const GROUPS_PERCENT_MAX: usize = 80;

/// Assigns, decides lateness, combines, and hands partial rows to the exchange.
#[derive(Debug)]
pub struct WindowSender {
    plan: Arc<WindowPlan>,
    hasher: KeyHasher,
    counters: OperatorCounters,
    /// The last watermark forwarded.
    watermark: i64,
    combining: Combining,
    grouping: Grouping,
    /// Input rows per group, and the lanes that are sent.
    rows: Vec<i64>,
    lanes: Vec<LaneColumn>,
    /// Rows that have been numbered, or could have been.
    numbered: i64,
    /// Of the rows in `grouping`.
    since: Since,
    /// What is left of a batch longer than [`BATCH_ROWS_MAX`].
    rest: Option<Batch>,
    /// Kept for their room.
    keys: EncodedKeys,
    groups: Vec<u32>,
}

impl WindowSender {
    /// The sending half of `plan` on one core.
    pub fn new(plan: Arc<WindowPlan>, hasher: KeyHasher) -> WindowSender {
        let lanes = plan.aggregates.sent_lanes().map(|lane| LaneColumn::new(lane.operation));
        WindowSender {
            lanes: lanes.collect(),
            combining: Combining::new(!plan.aggregates.has_distinct()),
            plan,
            hasher,
            counters: OperatorCounters::default(),
            watermark: i64::MIN,
            grouping: Grouping::new(),
            rows: vec![],
            numbered: 0,
            since: Since::NONE,
            rest: None,
            keys: EncodedKeys::default(),
            groups: vec![],
        }
    }

    /// Takes [`BATCH_ROWS_MAX`] rows at most; pushes one batch at most.
    fn take(&mut self, batch: Batch, out: &mut dyn Output) {
        let Some((batch, panes)) = self.admit(batch, out) else { return };
        let rows = batch.len() as u64;
        self.counters.absorbed += rows;
        self.counters.held += rows;
        let keys: Vec<ArrayRef> =
            self.plan.keys.iter().map(|&key| Arc::clone(batch.rows.column(key))).collect();
        self.plan.encoder.encode(&keys, batch.len(), self.hasher, &mut self.keys);
        // What is already combined is not left behind: without a flush between two batches (a window
        // that fires into this one) a decision against combining waits for the flush.
        if self.grouping.len() > 0 || self.combining.is_on(batch.len()) {
            let list_bytes: usize = self.lanes.iter().map(LaneColumn::list_bytes).sum();
            if self.grouping.len() + batch.len() > BATCH_ROWS_MAX || list_bytes > BATCH_BYTES_MAX {
                self.hand_over(out);
            }
            self.grouping.group(&self.keys, &panes, &mut self.groups);
            self.since.add(&batch);
            self.update(&batch, self.grouping.len());
        } else {
            let number_of_rows = u32::try_from(batch.len()).expect("a batch is short");
            self.groups.clear();
            self.groups.extend(0..number_of_rows);
            self.update(&batch, batch.len());
            let columns = ungrouped(&mut self.keys, &panes);
            let mut since = Since::NONE;
            since.add(&batch);
            self.push(columns, &batch.rows, since, out);
        }
    }

    /// Leaves out late and impossible rows; `None` when no other row is left.
    fn admit(&mut self, batch: Batch, out: &mut dyn Output) -> Option<(Batch, RowPanes)> {
        let TimeDomain::Event { column } = self.plan.time else {
            // The receiver assigns.
            return Some((batch, RowPanes::Same(Pane { end: 0, first: 0 })));
        };
        let passed;
        let watermarks = match (&batch.tags.watermarks, self.plan.clock) {
            (Some(watermarks), None) => RowWatermarks::Each(watermarks),
            (Some(watermarks), Some(clock)) => {
                passed = clock.all_passed(watermarks);
                RowWatermarks::Each(&passed)
            }
            (None, _) => RowWatermarks::Same(self.plan.passed(self.watermark)),
        };
        let times = batch.rows.column(column);
        let assignment = assign(self.plan.slices, self.plan.clock, times, watermarks);
        if assignment.left_out.is_empty() {
            return Some((batch, assignment.panes));
        }
        self.divert(&batch, &assignment.left_out, out);
        let mut mask = vec![true; batch.len()];
        for &(row, _) in &assignment.left_out {
            mask[row] = false;
        }
        let kept = batch.filter(&BooleanArray::from(mask)).expect("every column can be filtered");
        (!kept.is_empty()).then_some((kept, assignment.panes))
    }

    /// Diverts rows, neighbours with the same reason together.
    fn divert(&mut self, batch: &Batch, left_out: &[(usize, LeftOut)], out: &mut dyn Output) {
        let runs =
            left_out.chunk_by(|(row, why), (next, next_why)| row + 1 == *next && why == next_why);
        for run in runs {
            let (start, why) = run[0];
            let kind = match why {
                LeftOut::Late { .. } => DivertedKind::Late,
                LeftOut::NoTime | LeftOut::ImpossibleTime => DivertedKind::Rejected,
            };
            let counter = match kind {
                DivertedKind::Late => &mut self.counters.late,
                DivertedKind::Rejected => &mut self.counters.rejected,
            };
            *counter += run.len() as u64;
            let reason = self.reason(why);
            out.divert(Diverted { kind, reason, rows: batch.slice(start, run.len()) });
        }
    }

    fn reason(&self, why: LeftOut) -> String {
        match why {
            LeftOut::NoTime => "the row's event time is NULL".into(),
            LeftOut::ImpossibleTime => "the row's event time is in no calendar".into(),
            LeftOut::Late { window_end, watermark } => {
                let start = Timestamp::from_millis(window_end - self.plan.slices.size);
                let end = Timestamp::from_millis(window_end);
                let watermark = Timestamp::from_millis(watermark);
                format!("window [{start}, {end}) was complete at watermark {watermark}")
            }
        }
    }

    /// Folds the rows of `batch` into `self.groups`.
    fn update(&mut self, batch: &Batch, group_count: usize) {
        self.rows.resize(group_count, 0);
        for &group in &self.groups {
            self.rows[group as usize] += 1;
        }
        let mut columns = Cow::Borrowed(batch.rows.columns());
        if self.plan.aggregates.needs_positions() {
            columns.to_mut().push(self.positions(batch));
        }
        for (column, lane) in self.lanes.iter_mut().zip(self.plan.aggregates.sent_lanes()) {
            column.update(lane, &columns, &self.groups, group_count);
        }
    }

    /// Where in the order of rows each row of `batch` stands: as its split says, else as they come.
    fn positions(&mut self, batch: &Batch) -> ArrayRef {
        let positions = match &batch.tags.positions {
            Some(positions) => positions.clone(),
            None => (self.numbered..).take(batch.len()).collect(),
        };
        self.numbered += i64::try_from(batch.len()).expect("a batch is short");
        Arc::new(Int64Array::new(positions, None))
    }

    /// Hands the combined rows over.
    fn hand_over(&mut self, out: &mut dyn Output) {
        if self.grouping.len() == 0 {
            return;
        }
        self.combining.observe(self.counters.held, self.grouping.len());
        let since = std::mem::replace(&mut self.since, Since::NONE);
        let columns = self.grouping.take();
        let no_rows = RecordBatch::new_empty(Arc::new(Schema::empty()));
        self.push(columns, &no_rows, since, out);
    }

    /// Pushes groups, with what `self.rows` and `self.lanes` hold of them. `input` is where the
    /// arguments of DISTINCT aggregates are taken from.
    fn push(
        &mut self,
        groups: GroupColumns,
        input: &RecordBatch,
        since: Since,
        out: &mut dyn Output,
    ) {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(groups.ends),
            Arc::new(groups.firsts),
            Arc::new(groups.keys),
            Arc::new(Int64Array::from(take_with_room(&mut self.rows))),
        ];
        for (column, lane) in self.lanes.iter_mut().zip(self.plan.aggregates.sent_lanes()) {
            columns.push(column.take(lane.operation));
        }
        for set in &self.plan.aggregates.distinct {
            columns.push(distinct_argument(set, input.columns()));
        }
        let rows = RecordBatch::try_new(self.plan.partial_schema(), columns)
            .expect("the schema was made for these columns");
        let tags = RowTags { hashes: Some(groups.hashes), ..RowTags::default() };
        self.counters.fired += self.counters.held;
        self.counters.rows_out += self.counters.held;
        self.counters.held = 0;
        let (arrival_ns, spent) = (since.arrival_ns, since.spent());
        out.push(sorted_by_pane(Batch { rows, tags, arrival_ns, spent }));
    }
}

/// The rows of a pane one behind the other: the receiver works in runs of one pane.
fn sorted_by_pane(batch: Batch) -> Batch {
    let ends: &ScalarBuffer<i64> = int64(&batch, COLUMN_END);
    let firsts: &ScalarBuffer<i64> = int64(&batch, COLUMN_FIRST);
    let pane = |row: usize| (ends[row], firsts[row]);
    if (1..batch.len()).all(|row| pane(row - 1) <= pane(row)) {
        return batch;
    }
    let rows = u32::try_from(batch.len()).expect("a batch is short");
    let mut order: Vec<u32> = (0..rows).collect();
    order.sort_by_key(|&row| pane(row as usize));
    batch.take(&UInt32Array::from(order)).expect("indices are of the batch's rows")
}

pub(super) fn int64(batch: &Batch, column: usize) -> &ScalarBuffer<i64> {
    batch.rows.column(column).as_primitive::<Int64Type>().values()
}

impl Operator for WindowSender {
    fn process(&mut self, batch: Batch, out: &mut dyn Output) -> Progress {
        assert!(self.rest.is_none());
        self.counters.rows_in += batch.len() as u64;
        self.rest = Some(batch);
        self.resume(out)
    }

    fn resume(&mut self, out: &mut dyn Output) -> Progress {
        while let Some(batch) = self.rest.take() {
            let rows = batch.len();
            if rows <= BATCH_ROWS_MAX {
                if rows > 0 {
                    self.take(batch, out);
                }
                return Progress::Done;
            }
            self.rest = Some(batch.slice(BATCH_ROWS_MAX, rows - BATCH_ROWS_MAX));
            self.take(batch.slice(0, BATCH_ROWS_MAX), out);
            if out.is_full() {
                return Progress::More;
            }
        }
        Progress::Done
    }

    fn on_watermark(&mut self, watermark: Watermark, out: &mut dyn Output) -> Progress {
        self.hand_over(out);
        if let Watermark::At(time) = watermark {
            self.watermark = self.watermark.max(time.millis());
        }
        out.watermark(watermark);
        Progress::Done
    }

    fn flush(&mut self, out: &mut dyn Output) {
        self.hand_over(out);
    }

    fn on_barrier(&mut self, _epoch: Epoch) {
        assert_eq!(self.counters.held, 0, "a turn is flushed before a barrier passes");
    }

    fn counters(&self) -> &OperatorCounters {
        &self.counters
    }
}

/// Batches that become one: when they came, and what was spent on them.
#[derive(Clone, Copy, Debug)]
struct Since {
    arrival_ns: u64,
    oldest_ns: u64,
    compute_ns: u64,
}

impl Since {
    const NONE: Since = Since { arrival_ns: u64::MAX, oldest_ns: u64::MAX, compute_ns: 0 };

    /// The latency of the whole is that of its oldest row.
    fn add(&mut self, batch: &Batch) {
        self.arrival_ns = self.arrival_ns.min(batch.arrival_ns);
        self.oldest_ns = self.oldest_ns.min(batch.oldest_ns());
        self.compute_ns = self.compute_ns.max(batch.spent.compute_ns);
    }

    fn spent(&self) -> Spent {
        let watermark_wait_ns = self.arrival_ns - self.oldest_ns;
        Spent { compute_ns: self.compute_ns, watermark_wait_ns }
    }
}

/// Whether combining pays.
#[derive(Debug)]
struct Combining {
    possible: bool,
    /// Rows and groups of the sample so far.
    rows: usize,
    groups: usize,
    /// Rows still to be sent as they are.
    rest: usize,
}

impl Combining {
    fn new(possible: bool) -> Combining {
        Combining { possible, rows: 0, groups: 0, rest: 0 }
    }

    /// Whether the next `rows` rows are combined.
    fn is_on(&mut self, rows: usize) -> bool {
        if !self.possible {
            return false;
        }
        let is_on = self.rest == 0;
        self.rest = self.rest.saturating_sub(rows);
        is_on
    }

    /// `rows` rows have become `groups` groups.
    fn observe(&mut self, rows: u64, groups: usize) {
        self.rows += usize::try_from(rows).expect("what is held fits in memory");
        self.groups += groups;
        if self.rows >= SAMPLE_ROWS {
            if self.groups * 100 > self.rows * GROUPS_PERCENT_MAX {
                self.rest = REST_ROWS;
            }
            (self.rows, self.groups) = (0, 0);
        }
    }
}
