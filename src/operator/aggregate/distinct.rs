//! DISTINCT: the arguments each group has seen, in a table of their own.
//!
//! A key there is the group's entry number and the argument's canonical bytes: see `Tables`. Only an
//! argument that is new to its group is folded into the lanes of its set. Doubles are told apart by
//! their bits, as Flink does: 0.0 and −0.0 are two, all NaNs are one. NULLs do not count.

use arrow::array::{Array, ArrayRef, AsArray, Float32Array, Float64Array, Int32Array, Int64Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Float32Type, Float64Type, Int32Type, Int64Type};
use std::sync::Arc;

use super::keyed::Groups;
use super::partial::LaneColumn;
use super::plan::{AggregatePlan, DistinctSet};
use crate::state::{Cursor, EntryRef};

impl Groups {
    /// Which rows bring an argument their group has not seen. It has seen them from now on.
    fn add_arguments(
        &mut self,
        set: &DistinctSet,
        set_index: usize,
        groups: &[EntryRef],
        argument: &ArrayRef,
    ) -> BooleanBuffer {
        let rows = argument.len();
        assert_eq!(groups.len(), rows);
        set.encoder.encode(&[as_bits(argument)], rows, self.hasher, &mut self.arguments);
        let seen = self.tables.set_mut(set_index);
        let mut key = Vec::new();
        BooleanBuffer::collect_bool(rows, |row| {
            if argument.is_null(row) {
                return false;
            }
            let number = groups[row].number();
            key.clear();
            key.extend_from_slice(&number.to_le_bytes());
            key.extend_from_slice(self.arguments.key(row));
            seen.add_member(self.arguments.hashes[row], number, &key)
        })
    }

    /// Folds into their groups those arguments that are new there.
    pub(super) fn merge_distinct(
        &mut self,
        plan: &AggregatePlan,
        set_index: usize,
        groups: &[EntryRef],
        argument: &ArrayRef,
    ) {
        let set = &plan.distinct[set_index];
        let new = self.add_arguments(set, set_index, groups, argument);
        if new.count_set_bits() == 0 {
            return;
        }
        let rows = u32::try_from(argument.len()).expect("a batch is shorter than 4 G rows");
        let each_its_own: Vec<u32> = (0..rows).collect();
        for lane in plan.lanes.iter().filter(|lane| lane.distinct == Some(set_index)) {
            let on_argument = super::Lane { argument: Some(0), ..lane.clone() };
            let mut column = LaneColumn::new(lane.operation);
            let columns = std::slice::from_ref(argument);
            column.update_selected(
                &on_argument,
                columns,
                &each_its_own,
                argument.len(),
                Some(&new),
            );
            self.merge_lane(lane, groups, &column.take(lane.operation));
        }
    }

    /// Merges some of the arguments `from` has seen, after all of `from`'s groups have been merged.
    /// Moves `cursor` by `rows_max` at most and says by how much; 0 at the end.
    pub(in crate::operator) fn merge_seen(
        &mut self,
        plan: &AggregatePlan,
        set_index: usize,
        from: &Groups,
        cursor: &mut Cursor,
        rows_max: usize,
    ) -> usize {
        let mut groups = Vec::new();
        let mut arguments: Vec<&[u8]> = Vec::new();
        while groups.len() < rows_max {
            let Some((group, argument)) = from.tables.set(set_index).next_member(cursor) else {
                break;
            };
            let group = from.tables.groups().rows().read(group);
            let merged = self.tables.groups().rows().find(group.hash, group.key);
            groups.push(merged.expect("groups are merged before their arguments"));
            arguments.push(argument);
        }
        let set = &plan.distinct[set_index];
        let decoded = set.encoder.decode(arguments.into_iter()).expect("encoded here before");
        self.merge_distinct(plan, set_index, &groups, &from_bits(&decoded[0], &set.data_type));
        groups.len()
    }
}

/// Type whose values tell those of `data_type` apart.
pub(super) fn bits_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Float32 => DataType::Int32,
        DataType::Float64 => DataType::Int64,
        other => other.clone(),
    }
}

/// A column of floats as their bits, with one NaN.
fn as_bits(column: &ArrayRef) -> ArrayRef {
    match column.data_type() {
        DataType::Float32 => {
            let values = column.as_primitive::<Float32Type>();
            let one = |value: f32| if value.is_nan() { f32::NAN } else { value };
            Arc::new(values.unary::<_, Int32Type>(|value| one(value).to_bits().cast_signed()))
        }
        DataType::Float64 => {
            let values = column.as_primitive::<Float64Type>();
            let one = |value: f64| if value.is_nan() { f64::NAN } else { value };
            Arc::new(values.unary::<_, Int64Type>(|value| one(value).to_bits().cast_signed()))
        }
        _ => Arc::clone(column),
    }
}

/// What [`as_bits`] made of a column of `data_type`, back.
fn from_bits(bits: &ArrayRef, data_type: &DataType) -> ArrayRef {
    match data_type {
        DataType::Float32 => {
            let values: &Int32Array = bits.as_primitive();
            let floats: Float32Array = values.unary(|one| f32::from_bits(one.cast_unsigned()));
            Arc::new(floats)
        }
        DataType::Float64 => {
            let values: &Int64Array = bits.as_primitive();
            let floats: Float64Array = values.unary(|one| f64::from_bits(one.cast_unsigned()));
            Arc::new(floats)
        }
        _ => Arc::clone(bits),
    }
}
