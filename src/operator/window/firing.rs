//! Firing: one window on its way out, a bounded number of groups at a time.
//!
//! A window of one pane is emitted straight from its table. The slices of a HOP window are merged
//! into a table of the window's own first, which is dropped with it.

use arrow::array::{ArrayRef, RecordBatch, TimestampMillisecondArray};
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

use super::plan::WindowPlan;
use super::receiver::PaneState;
use super::slices::Pane;
use crate::operator::aggregate::{GroupRows, Groups, GroupsCursor};
use crate::record::KeyHasher;
use crate::state::{Cursor, Store, Tracking};

/// Groups merged or emitted in one call: at 200 ns a group, as in a table that no cache holds, some
/// 400 us.
pub(super) const STEP_ROWS: usize = 2048;

/// What a window costs besides its groups, so that a thousand empty ones end a turn too.
const WINDOW_ROWS: usize = 16;

/// A window that is being fired.
#[derive(Debug)]
pub(super) struct Firing {
    end: i64,
    /// Panes that count in it.
    panes: Vec<Pane>,
    /// When the oldest row in them came.
    oldest_ns: u64,
    /// Their groups merged, when there are several.
    merged: Option<Groups>,
    stage: Stage,
}

#[derive(Debug)]
enum Stage {
    /// Groups of this pane.
    MergeGroups(usize, GroupsCursor),
    /// Arguments seen by this pane, of this set.
    MergeSeen(usize, usize, Cursor),
    Emit(GroupsCursor),
}

/// What one step brought.
pub(super) enum Fired {
    /// Groups to be emitted.
    Rows(GroupRows),
    /// Nothing to emit yet.
    Merging,
    /// The window is finished.
    All,
}

impl Firing {
    /// The window that ends at `end`, whose oldest row came at `oldest_ns`.
    pub(super) fn new(
        end: i64,
        panes: Vec<Pane>,
        oldest_ns: u64,
        plan: &WindowPlan,
        hasher: KeyHasher,
    ) -> Firing {
        assert!(!panes.is_empty());
        let (merged, stage) = if panes.len() == 1 {
            (None, Stage::Emit(GroupsCursor::default()))
        } else {
            let merged = Groups::new(&plan.aggregates, hasher, Tracking::Off);
            (Some(merged), Stage::MergeGroups(0, GroupsCursor::default()))
        };
        Firing { end, panes, oldest_ns, merged, stage }
    }

    /// End of the window.
    pub(super) fn end(&self) -> i64 {
        self.end
    }

    /// When its oldest row came.
    pub(super) fn oldest_ns(&self) -> u64 {
        self.oldest_ns
    }

    /// Merges or reads `rows_max` groups at most; also says how much of that was used.
    pub(super) fn step(
        &mut self,
        plan: &WindowPlan,
        panes: &Store<Pane, PaneState>,
        rows_max: usize,
    ) -> (Fired, usize) {
        let groups = |pane: &Pane| &panes.get(*pane).expect("a pane outlives its windows").groups;
        match &mut self.stage {
            Stage::Emit(cursor) => {
                let from = self.merged.as_ref().unwrap_or_else(|| groups(&self.panes[0]));
                let rows = from.read(&plan.aggregates, cursor, rows_max);
                match rows.len() {
                    0 => (Fired::All, WINDOW_ROWS),
                    used => (Fired::Rows(rows), used),
                }
            }
            Stage::MergeGroups(pane, cursor) => {
                let merged = self.merged.as_mut().expect("merging has a table");
                let from = groups(&self.panes[*pane]);
                let rows = from.read(&plan.aggregates, cursor, rows_max);
                merged.merge_groups(&plan.aggregates, &rows);
                let used = rows.len();
                if used == 0 {
                    self.stage = Stage::MergeSeen(*pane, 0, Cursor::default());
                }
                (Fired::Merging, used)
            }
            Stage::MergeSeen(pane, set, cursor) => {
                if *set == plan.aggregates.distinct.len() {
                    self.stage = match *pane + 1 {
                        next if next < self.panes.len() => {
                            Stage::MergeGroups(next, GroupsCursor::default())
                        }
                        _ => Stage::Emit(GroupsCursor::default()),
                    };
                    return (Fired::Merging, 0);
                }
                let merged = self.merged.as_mut().expect("merging has a table");
                let from = groups(&self.panes[*pane]);
                let used = merged.merge_seen(&plan.aggregates, *set, from, cursor, rows_max);
                if used == 0 {
                    self.stage = Stage::MergeSeen(*pane, *set + 1, Cursor::default());
                }
                (Fired::Merging, used)
            }
        }
    }

    /// Result rows of `rows`.
    pub(super) fn output(
        &self,
        plan: &WindowPlan,
        schema: &SchemaRef,
        rows: &GroupRows,
    ) -> RecordBatch {
        let keys = (0..rows.len()).map(|row| rows.key(row));
        let mut columns = plan.encoder.decode(keys).expect("the sender's encoder wrote the keys");
        columns.extend(plan.aggregates.finish(&rows.lanes));
        for time in [self.end - plan.slices.size, self.end, self.end - 1] {
            let times = TimestampMillisecondArray::from_value(time, rows.len());
            columns.push(Arc::new(times) as ArrayRef);
        }
        RecordBatch::try_new(Arc::clone(schema), columns)
            .expect("the planner types keys and aggregates as the operator's output")
    }

    /// End, panes and the merged groups, once everything has been emitted.
    pub(super) fn into_parts(self) -> (i64, Vec<Pane>, Option<Groups>) {
        (self.end, self.panes, self.merged)
    }
}
