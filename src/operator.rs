//! Computation: synchronous, resumable state machines over batches.
//!
//! Read: `spec` (what the planner asks for) · `chain` (operators with no exchange between
//! them) · `row_wise` (evaluation, and rows that fail) · `project`, `filter`, `unnest` ·
//! `aggregate` (accumulators) · `window` (assignment, pre-aggregation before the exchange, panes
//! and firing behind it).
//!
//! Contract
//! - No I/O, no clock, no waiting. Time is what watermarks and [`Operator::on_clock`] say.
//! - `process` and `on_watermark` return [`Progress::Done`], or [`Progress::More`] when the output
//!   is full or the turn's budget is used; then `resume` is called, in a later turn, until `Done`,
//!   before the operator is given anything else.
//! - A watermark is forwarded to `out` by the operator itself, and only after everything it caused
//!   has been pushed. A barrier arrives only when the operator is `Done`, so a cursor never has to
//!   be saved.

mod aggregate;
mod chain;
mod filter;
mod project;
mod row_wise;
mod spec;
#[cfg(test)]
mod testing;
mod unnest;
mod window;

pub use chain::Chain;
pub use filter::filter;
pub use project::project;
pub use unnest::unnest;
pub use window::{WindowPlan, WindowReceiver, WindowSender};

pub use spec::{
    AggregateCall, AggregateFunction, TimeDomain, UnnestSpec, WindowAggregateSpec, WindowKind,
    WindowSpec,
};

use crate::metrics::{Account, OperatorCounters, StateSize};
use crate::record::{Batch, Cause, Epoch, Timestamp, Watermark};
use crate::state::Stateful;

/// Whether an operator has finished what it was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Progress {
    /// Ready for the next element.
    Done,
    /// Call `resume` before anything else.
    More,
}

/// Where an operator puts its results.
pub trait Output {
    /// Takes a batch. May be called when full, once: fullness is looked at between batches.
    fn push(&mut self, batch: Batch);

    /// Takes a watermark.
    fn watermark(&mut self, watermark: Watermark);

    /// True when the operator should return [`Progress::More`] instead of pushing again: the
    /// outlet has no room, or the turn's budget of rows is used.
    fn is_full(&self) -> bool;

    /// Takes rows that leave the main path. They have been counted by the operator.
    fn divert(&mut self, diverted: Diverted);

    /// What moved the watermark or the clock that the operator is working on.
    fn cause(&self) -> Cause {
        Cause::default()
    }

    /// Time from here on is that of `account`; returns whose it was. Called by chains alone.
    fn enter(&mut self, _account: Account) -> Account {
        Account::default()
    }
}

/// Rows that left the main path, with the reason.
#[derive(Debug)]
pub struct Diverted {
    /// Which sink they belong to, if one is named.
    pub kind: DivertedKind,
    /// Why, in words for the user: `window [12:00, 12:10) was complete at watermark 12:10:03`.
    pub reason: String,
    /// The rows, with their tags.
    pub rows: Batch,
}

/// Why rows left the main path.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DivertedKind {
    /// Behind the watermark.
    Late,
    /// Could not be evaluated.
    Rejected,
}

/// One step of computation on one core.
pub trait Operator {
    /// Consumes `batch`.
    fn process(&mut self, batch: Batch, out: &mut dyn Output) -> Progress;

    /// Goes on with what `process`, `on_watermark` or `on_clock` left unfinished.
    fn resume(&mut self, _out: &mut dyn Output) -> Progress {
        Progress::Done
    }

    /// Event time has moved. The default forwards.
    fn on_watermark(&mut self, watermark: Watermark, out: &mut dyn Output) -> Progress {
        out.watermark(watermark);
        Progress::Done
    }

    /// The wall clock, once per turn and before any batch of that turn, for operators that answer
    /// [`Operator::wakes_at`]. Milliseconds since the epoch.
    fn on_clock(&mut self, _now: Timestamp, _out: &mut dyn Output) -> Progress {
        Progress::Done
    }

    /// When `on_clock` next has something to do.
    fn wakes_at(&self) -> Option<Timestamp> {
        None
    }

    /// End of a turn: hand over what was held back to be combined. Never `More`.
    fn flush(&mut self, _out: &mut dyn Output) {}

    /// An epoch ends here.
    fn on_barrier(&mut self, _epoch: Epoch) {}

    /// What is kept beyond the process; `None` when that is nothing.
    fn stateful(&mut self) -> Option<&mut dyn Stateful> {
        None
    }

    /// A bounded number of steps of work that may be put off (freeing dropped panes). Called when
    /// the turn has time left; true when there is more.
    fn housekeep(&mut self) -> bool {
        false
    }

    /// What went in and what became of it.
    fn counters(&self) -> &OperatorCounters;

    /// What it keeps.
    fn state(&self) -> StateSize {
        StateSize::default()
    }
}
