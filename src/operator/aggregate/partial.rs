//! Lanes by columns: partial results of the sending half, one value per group.
//!
//! In:  rows, with the group of each.
//! Out: one column per lane. A row sent as it is, is a group of its own.

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int64Array,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::nullif;
use std::sync::Arc;

use super::input::{bytes_of, decimals_of, floats_of, ints_of, selection};
use super::moments::Moments;
use super::ordered::Folded;
use super::pieces::{Kept, compacted};
use super::plan::{DistinctSet, Lane, LaneOperation};
use crate::stdx::take_with_room;

/// The values of one lane, by group.
#[derive(Debug)]
pub(in crate::operator) enum LaneColumn {
    Int(Vec<i64>),
    Float(Vec<f64>),
    Decimal(Vec<i128>),
    Bytes(Vec<Option<Box<[u8]>>>),
    Lists(Vec<Vec<u8>>),
    Moments(Vec<Moments>),
}

impl LaneColumn {
    /// No group yet.
    pub(in crate::operator) fn new(operation: LaneOperation) -> LaneColumn {
        use LaneOperation as Op;
        match operation {
            Op::AddInt | Op::MinInt | Op::MaxInt => LaneColumn::Int(vec![]),
            Op::AddFloat => LaneColumn::Float(vec![]),
            Op::AddDecimal(_) | Op::MinDecimal(_) | Op::MaxDecimal(_) => {
                LaneColumn::Decimal(vec![])
            }
            Op::MinBytes | Op::MaxBytes | Op::First | Op::Last => LaneColumn::Bytes(vec![]),
            Op::List(_) => LaneColumn::Lists(vec![]),
            Op::Moments => LaneColumn::Moments(vec![]),
        }
    }

    /// Folds each row of `columns` into the group `groups` names for it; there are `group_count`. Where
    /// the plan needs positions, they are the last of the columns.
    pub(in crate::operator) fn update(
        &mut self,
        lane: &Lane,
        columns: &[ArrayRef],
        groups: &[u32],
        group_count: usize,
    ) {
        let argument = lane.argument.filter(|_| !lane.with_nulls);
        let selected = selection(columns, argument, lane.filter);
        self.update_selected(lane, columns, groups, group_count, selected.as_ref());
    }

    /// As `update`, for the rows of `selected` only.
    pub(super) fn update_selected(
        &mut self,
        lane: &Lane,
        columns: &[ArrayRef],
        groups: &[u32],
        group_count: usize,
        selected: Option<&BooleanBuffer>,
    ) {
        use LaneOperation as Op;
        let argument = lane.argument.map(|column| &columns[column]);
        let value_column = || argument.expect("only counting lanes have no argument");
        let folded = || Folded {
            column: value_column(),
            positions: columns.last().expect("positions stand behind the input's columns"),
            groups,
            selected,
        };
        let groups = Rows { groups, selected };
        match (self, lane.operation) {
            (LaneColumn::Int(sums), Op::AddInt) if lane.counts || argument.is_none() => {
                sums.resize(group_count, 0);
                groups.count(sums);
            }
            (LaneColumn::Int(sums), Op::AddInt) => {
                sums.resize(group_count, 0);
                groups.fold(sums, &ints_of(value_column()), i64::wrapping_add);
            }
            (LaneColumn::Int(least), Op::MinInt) => {
                least.resize(group_count, i64::MAX);
                groups.fold(least, &ints_of(value_column()), Ord::min);
            }
            (LaneColumn::Int(most), Op::MaxInt) => {
                most.resize(group_count, i64::MIN);
                groups.fold(most, &ints_of(value_column()), Ord::max);
            }
            (LaneColumn::Float(sums), _) => {
                sums.resize(group_count, 0.0);
                groups.fold(sums, &floats_of(value_column()), |sum, value| sum + value);
            }
            (LaneColumn::Decimal(values), operation) => {
                values.resize(group_count, neutral_decimal(operation));
                let step = decimal_step(operation);
                groups.fold(values, decimals_of(value_column()), step);
            }
            (LaneColumn::Bytes(values), operation @ (Op::First | Op::Last)) => {
                values.resize(group_count, None);
                folded().fold_end(values, operation);
            }
            (LaneColumn::Lists(lists), Op::List(kept)) => {
                lists.resize(group_count, Vec::new());
                folded().fold_lists(lists, kept);
            }
            (LaneColumn::Moments(moments), _) => {
                moments.resize(group_count, Moments::default());
                groups.fold(moments, &floats_of(value_column()), Moments::with);
            }
            (LaneColumn::Lists(_), other) => unreachable!("{other:?} is no lane of lists"),
            (LaneColumn::Bytes(values), operation) => {
                values.resize(group_count, None);
                groups.fold_bytes(values, &bytes_of(value_column()), operation);
            }
            (LaneColumn::Int(_), other) => unreachable!("{other:?} is no lane of integers"),
        }
    }

    /// Bytes of lists held.
    pub(in crate::operator) fn list_bytes(&self) -> usize {
        match self {
            LaneColumn::Lists(lists) => lists.iter().map(Vec::len).sum(),
            _ => 0,
        }
    }

    /// The values as an array; the column is empty afterwards.
    pub(in crate::operator) fn take(&mut self, operation: LaneOperation) -> ArrayRef {
        match self {
            LaneColumn::Int(values) => Arc::new(Int64Array::from(take_with_room(values))),
            LaneColumn::Float(values) => Arc::new(Float64Array::from(take_with_room(values))),
            LaneColumn::Decimal(values) => {
                let array = Decimal128Array::from(take_with_room(values));
                Arc::new(array.with_data_type(operation.data_type()))
            }
            LaneColumn::Bytes(values) => Arc::new(BinaryArray::from_iter(std::mem::take(values))),
            LaneColumn::Moments(moments) => {
                let moments = std::mem::take(moments).into_iter().map(Moments::to_bytes);
                Arc::new(BinaryArray::from_iter_values(moments))
            }
            LaneColumn::Lists(lists) => {
                let LaneOperation::List(kept) = operation else {
                    unreachable!("{operation:?} is no lane of lists")
                };
                let lists = std::mem::take(lists).into_iter().map(|list| match kept {
                    Kept::All => list,
                    Kept::First | Kept::Counted => compacted(&list, kept),
                });
                Arc::new(BinaryArray::from_iter_values(lists))
            }
        }
    }
}

/// What a decimal lane begins with.
pub(super) fn neutral_decimal(operation: LaneOperation) -> i128 {
    match operation {
        LaneOperation::MinDecimal(_) => i128::MAX,
        LaneOperation::MaxDecimal(_) => i128::MIN,
        _ => 0,
    }
}

/// The operation of a decimal lane.
pub(super) fn decimal_step(operation: LaneOperation) -> fn(i128, i128) -> i128 {
    match operation {
        LaneOperation::MinDecimal(_) => Ord::min,
        LaneOperation::MaxDecimal(_) => Ord::max,
        _ => add_decimals,
    }
}

/// The sum, or [`i128::MAX`], which is no decimal and stays, once a sum has left 128 bits.
fn add_decimals(left: i128, right: i128) -> i128 {
    if left == i128::MAX || right == i128::MAX {
        return i128::MAX;
    }
    left.checked_add(right).unwrap_or(i128::MAX)
}

/// True when `value` replaces `old` in a lane of byte strings.
pub(super) fn bytes_win(operation: LaneOperation, value: &[u8], old: Option<&[u8]>) -> bool {
    match old {
        None => true,
        Some(old) if operation == LaneOperation::MinBytes => value < old,
        Some(old) => value > old,
    }
}

/// The argument of a DISTINCT aggregate, NULL where the filter is not true.
pub(in crate::operator) fn distinct_argument(set: &DistinctSet, columns: &[ArrayRef]) -> ArrayRef {
    let column = &columns[set.argument];
    match selection(columns, None, set.filter) {
        None => Arc::clone(column),
        Some(selected) => {
            let left_out = BooleanArray::new(!&selected, None);
            nullif(column, &left_out).expect("every column can be masked")
        }
    }
}

/// The groups of the rows that count.
struct Rows<'a> {
    groups: &'a [u32],
    selected: Option<&'a BooleanBuffer>,
}

impl Rows<'_> {
    /// Hot: one iteration per row.
    fn fold<S: Copy, T: Copy>(&self, states: &mut [S], values: &[T], step: impl Fn(S, T) -> S) {
        assert_eq!(self.groups.len(), values.len());
        match self.selected {
            None => {
                for (&group, &value) in self.groups.iter().zip(values) {
                    let state = &mut states[group as usize];
                    *state = step(*state, value);
                }
            }
            Some(selected) => {
                for row in selected.set_indices() {
                    let state = &mut states[self.groups[row] as usize];
                    *state = step(*state, values[row]);
                }
            }
        }
    }

    /// Hot: one iteration per row.
    fn count(&self, states: &mut [i64]) {
        match self.selected {
            None => {
                for &group in self.groups {
                    states[group as usize] += 1;
                }
            }
            Some(selected) => {
                for row in selected.set_indices() {
                    states[self.groups[row] as usize] += 1;
                }
            }
        }
    }

    fn fold_bytes(
        &self,
        states: &mut [Option<Box<[u8]>>],
        values: &BinaryArray,
        operation: LaneOperation,
    ) {
        for (row, &group) in self.groups.iter().enumerate() {
            if self.selected.is_some_and(|selected| !selected.value(row)) {
                continue;
            }
            let state = &mut states[group as usize];
            let value = values.value(row);
            if bytes_win(operation, value, state.as_deref()) {
                *state = Some(value.into());
            }
        }
    }
}
