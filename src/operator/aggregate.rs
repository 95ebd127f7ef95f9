//! Aggregates: COUNT, SUM, MIN, MAX, AVG, first and last values, lists and counts of values, with
//! FILTER and DISTINCT, in two halves.
//!
//! Every aggregate is made of *lanes*: a lane folds one value per row with one commutative
//! operation (add, smallest, largest) and has a neutral value, so partial results merge in any order
//! and need no NULLs. SUM, MIN, MAX and AVG share a lane that counts the rows they have seen; lanes
//! of several aggregates that would hold the same are one. Where the order of rows decides, a value
//! goes with its row's position, so that these merge in any order, too.
//!
//! Read: `plan` (calls to lanes) · `input` (columns as lane values) · `partial` (lanes by columns,
//! before the exchange) · `pieces`, `ordered` (values with positions) · `moments` (of
//! variances) · `keyed` (lanes in the words of table entries, behind it) · `distinct` ·
//! `finish` (lanes to results, as Flink gives them) · `describe` (what is kept, for who reads it back).

mod describe;
mod distinct;
mod finish;
mod input;
mod keyed;
mod moments;
mod ordered;
mod partial;
mod pieces;
mod plan;
#[cfg(test)]
mod tests;

pub(super) use keyed::{GroupRows, Groups, GroupsCursor};
pub(super) use partial::{LaneColumn, distinct_argument};
pub(super) use plan::{AggregatePlan, Lane};
