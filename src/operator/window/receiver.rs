//! The half of a windowed aggregate behind the exchange.
//!
//! In:  partial rows of all cores, for the keys this core owns; watermarks or the clock.
//! Out: one row per window and key: keys, aggregates, window_start, window_end, window_time.
//!
//! Invariants
//! - A partial row comes before any window it counts in has fired.
//! - Every pane has one timer: the next window it counts in.
//! - Processing time: rows belong to the pane of the clock's last reading, and a window fires when
//!   the clock reaches its end. A window still open at the end of input stays held.

use arrow::array::{Array, AsArray, RecordBatch, UInt32Array};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;

use super::firing::{Fired, Firing, STEP_ROWS};
use super::kept::Loading;
use super::plan::{COLUMN_END, COLUMN_FIRST, COLUMN_KEY, COLUMN_ROWS, COLUMNS_FIXED, WindowPlan};
use super::sender::int64;
use super::slices::Pane;
use crate::metrics::{OperatorCounters, StateSize};
use crate::operator::aggregate::Groups;
use crate::operator::{Diverted, DivertedKind, Operator, Output, Progress, TimeDomain};
use crate::record::{Batch, Cause, Epoch, KeyHasher, Spent, Timestamp, Watermark};
use crate::state::{BaseCursor, Stateful, Store, Timers, Tracking};

/// Merges partial rows into one table per pane, and fires windows.
pub struct WindowReceiver {
    pub(super) plan: Arc<WindowPlan>,
    schema: SchemaRef,
    pub(super) hasher: KeyHasher,
    pub(super) counters: OperatorCounters,
    pub(super) store: Store<Pane, PaneState>,
    pub(super) timers: Timers<Pane>,
    /// Windows that end at or before this + 1 ms are complete, by the clock of the windows.
    pub(super) complete: i64,
    /// The clock's last reading, for processing time.
    now: i64,
    firing: Option<Firing>,
    /// To be forwarded when all it completes has been pushed.
    pub(super) watermark: Option<Watermark>,
    /// A walk over everything.
    pub(super) base: BaseCursor<Pane>,
    /// State being read back, before the first row.
    pub(super) loading: Option<Loading>,
    /// Latest arrival of anything received.
    arrival_ns: u64,
    /// Rows are numbered by their window's end: of two windows the later one's come later.
    positioned: bool,
}

/// The rows of one pane, by key.
#[derive(Debug)]
pub(super) struct PaneState {
    pub(super) groups: Groups,
    /// Input rows represented.
    pub(super) rows: u64,
    /// When the oldest of them came: monotonic ns. MAX where that was in an earlier run.
    pub(super) oldest_ns: u64,
}

impl PaneState {
    pub(super) fn new(groups: Groups) -> PaneState {
        PaneState { groups, rows: 0, oldest_ns: u64::MAX }
    }
}

impl WindowReceiver {
    /// The receiving half of `plan` on one core; `schema` is that of its output.
    pub fn new(
        plan: Arc<WindowPlan>,
        schema: SchemaRef,
        hasher: KeyHasher,
        tracking: Tracking,
    ) -> WindowReceiver {
        WindowReceiver {
            plan,
            schema,
            hasher,
            counters: OperatorCounters::default(),
            store: Store::new(tracking),
            timers: Timers::default(),
            complete: i64::MIN,
            now: i64::MIN,
            firing: None,
            watermark: None,
            base: BaseCursor::default(),
            loading: None,
            arrival_ns: 0,
            positioned: false,
        }
    }

    /// Its rows say where in their order they stand.
    #[must_use]
    pub fn with_positions(self) -> WindowReceiver {
        WindowReceiver { positioned: true, ..self }
    }

    /// The pane with those of its windows that have not fired; `None` when all have. A core whose
    /// splits were all idle or gone did not hold the watermark back; what a split that joins it then
    /// brings may be behind what the other cores have said meanwhile.
    fn open_pane(&self, pane: Pane) -> Option<Pane> {
        self.plan.slices.open(pane, self.complete)
    }

    /// Rows that came too late even for the last of their windows, as many as the run stands for.
    fn divert_late(
        &mut self,
        batch: &Batch,
        run: &Range<usize>,
        pane: Pane,
        rows: u64,
        out: &mut dyn Output,
    ) {
        self.counters.late += rows;
        let end = Timestamp::from_millis(self.plan.slices.last_window(pane.end));
        let complete = Timestamp::from_millis(self.complete);
        let reason = format!(
            "the window ending at {end} was complete at watermark {complete}, which other cores had \
             reached while this row's core was idle"
        );
        let represented = int64(batch, COLUMN_ROWS);
        for row in run.clone() {
            let index = u32::try_from(row).expect("limits::BATCH_ROWS_MAX rows at most");
            let count = usize::try_from(represented[row]).expect("numbers of rows are positive");
            let indices = UInt32Array::from(vec![index; count]);
            let copies = batch.take(&indices).expect("every column can be gathered");
            let reason = reason.clone();
            out.divert(Diverted { kind: DivertedKind::Late, reason, rows: copies });
        }
    }

    /// Merges the rows of one run, all of one pane.
    fn merge(&mut self, batch: &Batch, run: &Range<usize>, pane: Pane, rows: u64) {
        assert!(pane.first - 1 > self.complete, "{pane:?} came after its window had fired");
        let tracking = self.store.tracking();
        let state = self.store.to_change(pane, || {
            self.timers.arm(Timestamp::from_millis(pane.first), pane);
            PaneState::new(Groups::new(&self.plan.aggregates, self.hasher, tracking))
        });
        state.rows += rows;
        state.oldest_ns = state.oldest_ns.min(batch.oldest_ns());
        let keys = batch.rows.column(COLUMN_KEY).as_binary::<i32>();
        let hashes = batch.tags.hashes.as_ref().expect("the sender tags key hashes");
        let part = |column: &ArrayRef| column.slice(run.start, run.len());
        let columns: Vec<ArrayRef> =
            batch.rows.columns()[COLUMNS_FIXED..].iter().map(part).collect();
        let (lanes, arguments) = columns.split_at(self.plan.aggregates.sent_lanes().count());
        state.groups.merge(
            &self.plan.aggregates,
            &hashes[run.clone()],
            |row| keys.value(run.start + row),
            lanes,
            arguments,
        );
    }

    /// The pane of the run that begins at `row`.
    fn pane_at(&self, batch: &Batch, row: usize) -> Pane {
        match self.plan.time {
            TimeDomain::Event { .. } => {
                Pane { end: int64(batch, COLUMN_END)[row], first: int64(batch, COLUMN_FIRST)[row] }
            }
            TimeDomain::Processing => {
                assert!(self.now > i64::MIN, "the clock is read before the first batch of a turn");
                let end = self.plan.slices.end_of(self.now);
                Pane { end, first: end }
            }
        }
    }

    /// Fires what is complete, as far as `out` and the budget of one call allow.
    fn fire(&mut self, out: &mut dyn Output) -> Progress {
        let mut budget = STEP_ROWS;
        while let Some(mut firing) = self.firing.take().or_else(|| self.next_firing()) {
            let (fired, used) = firing.step(&self.plan, &self.store, budget);
            budget = budget.saturating_sub(used);
            match fired {
                Fired::Rows(rows) => {
                    let mut batch =
                        self.fired(firing.output(&self.plan, &self.schema, &rows), &firing, out);
                    if self.positioned {
                        batch.tags.positions = Some(vec![firing.end(); batch.len()].into());
                    }
                    self.counters.rows_out += batch.len() as u64;
                    out.push(batch);
                    self.firing = Some(firing);
                }
                Fired::Merging => self.firing = Some(firing),
                Fired::All => self.retire(firing),
            }
            if budget == 0 || out.is_full() {
                return self.progress();
            }
        }
        self.finish(out)
    }

    /// Rows of a window: they came with what made it fire, and are as old as their oldest batch.
    fn fired(&self, rows: RecordBatch, firing: &Firing, out: &dyn Output) -> Batch {
        let Cause { arrival_ns, compute_ns } = match out.cause() {
            unknown if unknown.arrival_ns == 0 => Cause::clock(self.arrival_ns),
            known => known,
        };
        let watermark_wait_ns = arrival_ns.saturating_sub(firing.oldest_ns());
        let spent = Spent { compute_ns, watermark_wait_ns };
        Batch { spent, ..Batch::new(rows, arrival_ns) }
    }

    /// `More` when there is something to fire or to forward.
    fn progress(&self) -> Progress {
        let is_idle = self.firing.is_none() && self.watermark.is_none() && !self.is_due();
        if is_idle { Progress::Done } else { Progress::More }
    }

    fn finish(&mut self, out: &mut dyn Output) -> Progress {
        if let Some(watermark) = self.watermark.take() {
            out.watermark(watermark);
        }
        Progress::Done
    }

    fn is_due(&self) -> bool {
        self.timers.first().is_some_and(|end| end.millis() - 1 <= self.complete)
    }

    fn next_firing(&mut self) -> Option<Firing> {
        if !self.is_due() {
            return None;
        }
        let end = self.timers.first()?.millis();
        let panes = self.timers.take_first();
        let oldest = |pane: &Pane| self.store.get(*pane).map(|state| state.oldest_ns);
        let oldest_ns = panes.iter().filter_map(oldest).min().unwrap_or(u64::MAX);
        Some(Firing::new(end, panes, oldest_ns, &self.plan, self.hasher))
    }

    /// After a window has fired: its panes wait for their next one, or are given up.
    fn retire(&mut self, firing: Firing) {
        let (end, panes, merged) = firing.into_parts();
        if let Some(groups) = merged {
            self.store.free_later(PaneState::new(groups));
        }
        for pane in panes {
            if self.plan.slices.last_window(pane.end) > end {
                self.timers.arm(Timestamp::from_millis(end + self.plan.slices.slide), pane);
                continue;
            }
            let rows = self.store.get(pane).expect("a pane lives until its last window").rows;
            self.counters.held -= rows;
            self.counters.fired += rows;
            self.store.drop_pane(pane);
        }
    }

    /// Keys held, over all panes.
    pub fn entries(&self) -> usize {
        self.store.iter().map(|(_, state)| state.groups.tables().len()).sum()
    }

    /// Bytes allocated for state, with what has been dropped and is not yet freed.
    pub fn state_bytes(&self) -> usize {
        self.store.bytes()
    }
}

impl Operator for WindowReceiver {
    fn process(&mut self, batch: Batch, out: &mut dyn Output) -> Progress {
        assert!(self.firing.is_none());
        self.arrival_ns = self.arrival_ns.max(batch.arrival_ns);
        let represented = int64(&batch, COLUMN_ROWS);
        let mut start = 0;
        while start < batch.len() {
            let pane = self.pane_at(&batch, start);
            let mut end = start + 1;
            while end < batch.len()
                && (self.plan.time == TimeDomain::Processing || self.pane_at(&batch, end) == pane)
            {
                end += 1;
            }
            let rows: i64 = represented[start..end].iter().sum();
            let rows = u64::try_from(rows).expect("numbers of rows are positive");
            self.counters.rows_in += rows;
            match self.open_pane(pane) {
                Some(pane) => {
                    self.counters.absorbed += rows;
                    self.counters.held += rows;
                    self.merge(&batch, &(start..end), pane, rows);
                }
                None => self.divert_late(&batch, &(start..end), pane, rows, out),
            }
            start = end;
        }
        // Under full load no turn has time left; memory must come back all the same.
        self.housekeep();
        Progress::Done
    }

    fn resume(&mut self, out: &mut dyn Output) -> Progress {
        self.fire(out)
    }

    fn on_watermark(&mut self, watermark: Watermark, out: &mut dyn Output) -> Progress {
        assert!(self.firing.is_none() && self.watermark.is_none());
        match (self.plan.time, watermark) {
            (TimeDomain::Event { .. }, Watermark::At(time)) => {
                self.complete = self.complete.max(self.plan.passed(time.millis()));
                self.watermark = Some(watermark);
                self.fire(out)
            }
            // What is held will be emitted one day: a downstream operator must wait for it.
            (TimeDomain::Event { .. }, Watermark::Idle) if !self.store.is_empty() => Progress::Done,
            (TimeDomain::Processing, _) | (_, Watermark::Idle) => {
                out.watermark(watermark);
                Progress::Done
            }
        }
    }

    fn on_clock(&mut self, now: Timestamp, out: &mut dyn Output) -> Progress {
        if self.plan.time != TimeDomain::Processing {
            return Progress::Done;
        }
        // A clock that is set back stands still here.
        let (now, before) = (now.millis(), now.millis().saturating_sub(1));
        let reading = self.plan.clock.map_or(now, |clock| clock.reading(now));
        self.complete = self.complete.max(self.plan.passed(before));
        // Readings that come twice belong to windows that are still open.
        self.now = reading.max(self.complete + 1);
        self.fire(out)
    }

    fn wakes_at(&self) -> Option<Timestamp> {
        match self.plan.time {
            TimeDomain::Event { .. } => None,
            TimeDomain::Processing => {
                let end = self.timers.first()?;
                Some(Timestamp::from_millis(self.plan.over_at(end.millis() - 1) + 1))
            }
        }
    }

    fn on_barrier(&mut self, _epoch: Epoch) {
        assert!(self.firing.is_none() && self.watermark.is_none());
        self.store.on_barrier(&[self.complete]);
    }

    fn stateful(&mut self) -> Option<&mut dyn Stateful> {
        Some(self)
    }

    fn housekeep(&mut self) -> bool {
        self.store.free_some()
    }

    fn counters(&self) -> &OperatorCounters {
        &self.counters
    }

    fn state(&self) -> StateSize {
        StateSize { entries: self.entries() as u64, bytes: self.state_bytes() as u64 }
    }
}

impl fmt::Debug for WindowReceiver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "WindowReceiver({} panes, {:?})", self.store.len(), self.counters)
    }
}
