//! Aggregates of values as they came: first, last, lists, counts of each. Before the exchange by
//! columns, and as results.
//!
//! Their lanes are byte strings: a number and a value for the first and the last, pieces for lists.

use arrow::array::{
    ArrayRef, AsArray, BinaryArray, Float64Array, Int32Array, ListArray, MapArray, StructArray,
    UInt32Array,
};
use arrow::buffer::{BooleanBuffer, NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use std::sync::Arc;

use super::moments::Moments;
use super::pieces::{
    Kept, NUMBER_BYTES, Piece, column_of, number_bytes, ordered, push_row, values_of,
};
use super::plan::LaneOperation;

/// No row.
const NONE: u32 = u32::MAX;

/// A lane's column over rows that are to be folded, the group of each, and which of them count.
pub(super) struct Folded<'a> {
    pub(super) column: &'a ArrayRef,
    /// Positions, which are the last of the columns.
    pub(super) positions: &'a ArrayRef,
    pub(super) groups: &'a [u32],
    pub(super) selected: Option<&'a BooleanBuffer>,
}

impl Folded<'_> {
    fn positions(&self) -> &[i64] {
        let positions = self.positions.as_primitive::<Int64Type>().values();
        assert_eq!(positions.len(), self.groups.len());
        positions
    }

    /// Rows that count.
    fn rows(&self) -> impl Iterator<Item = usize> {
        let all = 0..self.groups.len();
        all.filter(|&row| self.selected.is_none_or(|selected| selected.value(row)))
    }

    /// Folds into `values` the first or last row of each group.
    pub(super) fn fold_end(&self, values: &mut [Option<Box<[u8]>>], operation: LaneOperation) {
        let positions = self.positions();
        let mut winners = vec![NONE; values.len()];
        for row in self.rows() {
            let winner = &mut winners[self.groups[row] as usize];
            let replaces = match (*winner, operation) {
                (NONE, _) => true,
                (old, LaneOperation::First) => positions[row] < positions[old as usize],
                (old, _) => positions[row] >= positions[old as usize],
            };
            if replaces {
                *winner = u32::try_from(row).expect("a batch is short");
            }
        }
        let won = |group: &usize| {
            let (row, old) = (winners[*group], values[*group].as_deref());
            row != NONE && end_wins(operation, &number_bytes(positions[row as usize]), old)
        };
        let groups: Vec<usize> = (0..winners.len()).filter(won).collect();
        let rows: UInt32Array = groups.iter().map(|&group| winners[group]).collect();
        let column = take(self.column, &rows, None).expect("the rows are the column's");
        let bytes = values_of(&column);
        for (index, group) in groups.into_iter().enumerate() {
            let position = positions[winners[group] as usize];
            let parts = [&number_bytes(position)[..], bytes.value(index)];
            values[group] = Some(parts.concat().into_boxed_slice());
        }
    }

    /// Appends every row to the list of its group.
    pub(super) fn fold_lists(&self, lists: &mut [Vec<u8>], kept: Kept) {
        let values = values_of(self.column);
        let positions = (kept != Kept::Counted).then(|| self.positions());
        for row in self.rows() {
            let number = positions.map_or(1, |positions| positions[row]);
            push_row(&mut lists[self.groups[row] as usize], number, &values, row);
        }
    }
}

/// True when `value` replaces `old` in a lane of first or last values. Rows of one position come in
/// order, so that of them the last is the last.
pub(super) fn end_wins(operation: LaneOperation, value: &[u8], old: Option<&[u8]>) -> bool {
    let Some(old) = old else { return true };
    let (new, old) = (&value[..NUMBER_BYTES], &old[..NUMBER_BYTES]);
    if operation == LaneOperation::First { new < old } else { new >= old }
}

/// The values of a lane of first or last ones.
pub(super) fn ends(lane: &BinaryArray, result_type: &DataType) -> ArrayRef {
    let values = column_of(lane.iter().flatten().map(|value| &value[NUMBER_BYTES..]), result_type);
    let mut next = 0..;
    let places: UInt32Array = lane.iter().map(|value| value.and_then(|_| next.next())).collect();
    take(&values, &places, None).expect("there is a value for each that is not NULL")
}

/// The last value of each list.
pub(super) fn last_of_lists(lane: &BinaryArray, kept: Kept, result_type: &DataType) -> ArrayRef {
    let lists: Vec<Vec<Piece<'_>>> = lists_of(lane, kept);
    let values = column_of(lists.iter().filter_map(|list| Some(list.last()?.value)), result_type);
    let mut next = 0..;
    let places: UInt32Array =
        lists.iter().map(|list| list.last().and_then(|_| next.next())).collect();
    take(&values, &places, None).expect("there is a value for each that is not empty")
}

/// Squared deviations of the doubles in each list.
pub(super) fn deviations_of_lists(lane: &BinaryArray, kept: Kept) -> ArrayRef {
    let lists = lists_of(lane, kept);
    let values = column_of(all_values(&lists), &DataType::Float64);
    let mut rest = values.as_primitive::<Float64Type>().values().iter();
    let moments = lists.iter().map(|list| {
        rest.by_ref().take(list.len()).fold(Moments::default(), |all, value| all.with(*value))
    });
    Arc::new(moments.map(Moments::squares).collect::<Float64Array>())
}

fn lists_of(lane: &BinaryArray, kept: Kept) -> Vec<Vec<Piece<'_>>> {
    lane.iter().map(|list| ordered(list.unwrap_or_default(), kept)).collect()
}

/// Lists as an ARRAY each; NULL where nothing is in it.
pub(super) fn arrays(lane: &BinaryArray, kept: Kept, result_type: &DataType) -> ArrayRef {
    let DataType::List(element) = result_type else { unreachable!("the plan asked for a list") };
    let lists = lists_of(lane, kept);
    let values = column_of(all_values(&lists), element.data_type());
    let offsets = OffsetBuffer::from_lengths(lists.iter().map(Vec::len));
    let nulls = NullBuffer::from_iter(lists.iter().map(|list| !list.is_empty()));
    Arc::new(ListArray::new(Arc::clone(element), offsets, values, Some(nulls)))
}

/// Counted lists as a map each; `once`: every count is 1.
pub(super) fn multisets(lane: &BinaryArray, once: bool, result_type: &DataType) -> ArrayRef {
    let DataType::Map(entries, is_sorted) = result_type else {
        unreachable!("the plan asked for a map")
    };
    let DataType::Struct(parts) = entries.data_type() else {
        unreachable!("entries are rows of key and value")
    };
    let lists = lists_of(lane, Kept::Counted);
    let keys = column_of(all_values(&lists), parts[0].data_type());
    let count = |piece: &Piece<'_>| match once {
        true => 1,
        false => i32::try_from(piece.number).unwrap_or(i32::MAX),
    };
    let counts: Int32Array = lists.iter().flatten().map(|piece| Some(count(piece))).collect();
    let rows = StructArray::new(parts.clone(), vec![keys, Arc::new(counts)], None);
    let offsets = OffsetBuffer::from_lengths(lists.iter().map(Vec::len));
    Arc::new(MapArray::new(Arc::clone(entries), offsets, rows, None, *is_sorted))
}

fn all_values<'a>(lists: &'a [Vec<Piece<'a>>]) -> impl Iterator<Item = &'a [u8]> {
    lists.iter().flatten().map(|piece| piece.value)
}
