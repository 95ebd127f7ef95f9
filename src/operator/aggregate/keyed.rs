//! Lanes in the words of table entries: the groups of one pane, behind the exchange.
//!
//! In:  keys with their hashes, and one column per lane.
//! Out: the same, of many rows merged into one per key.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, Decimal128Array, Float64Array, Int64Array,
};
use arrow::datatypes::{Decimal128Type, Float64Type, Int64Type};
use std::sync::Arc;

use super::moments::Moments;
use super::ordered::end_wins;
use super::partial::{bytes_win, decimal_step, neutral_decimal};
use super::pieces::{Kept, compacted};
use super::plan::{AggregatePlan, Lane, LaneOperation};
use crate::limits::LIST_BYTES_MAX;
use crate::record::{EncodedKeys, KeyHasher};
use crate::state::{Cursor, EntryRef, HeapSlot, Table, Tables, Tracking};

/// Bytes of lists that are read at once: a result's columns have offsets of 32 bits.
const LIST_BYTES_READ_MAX: u64 = 64 << 20;

/// The groups of one pane.
#[derive(Debug)]
pub(in crate::operator) struct Groups {
    /// Of distinct arguments.
    pub(super) hasher: KeyHasher,
    /// The groups, and one set per set of the plan.
    pub(super) tables: Tables,
    /// Words a new group begins with.
    initial: Vec<u64>,
    /// Entries of the rows being merged, and their distinct arguments; kept for their room.
    found: Vec<EntryRef>,
    pub(super) arguments: EncodedKeys,
}

/// Where a walk over groups stands.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(in crate::operator) struct GroupsCursor(Cursor);

/// Some groups, by columns.
#[derive(Debug, Default)]
pub(in crate::operator) struct GroupRows {
    pub(in crate::operator) hashes: Vec<u64>,
    pub(in crate::operator) key_bytes: Vec<u8>,
    pub(in crate::operator) key_ends: Vec<usize>,
    /// One per lane of the plan.
    pub(in crate::operator) lanes: Vec<ArrayRef>,
}

impl GroupRows {
    pub(in crate::operator) fn len(&self) -> usize {
        self.hashes.len()
    }

    #[inline]
    pub(in crate::operator) fn key(&self, row: usize) -> &[u8] {
        let start = if row == 0 { 0 } else { self.key_ends[row - 1] };
        &self.key_bytes[start..self.key_ends[row]]
    }
}

impl Groups {
    /// No group.
    pub(in crate::operator) fn new(
        plan: &AggregatePlan,
        hasher: KeyHasher,
        tracking: Tracking,
    ) -> Groups {
        Groups {
            hasher,
            tables: Tables::new(&plan.schema, tracking),
            initial: plan.lanes.iter().flat_map(|lane| initial_words(lane.operation)).collect(),
            found: vec![],
            arguments: EncodedKeys::default(),
        }
    }

    /// Their tables.
    pub(in crate::operator) fn tables(&self) -> &Tables {
        &self.tables
    }

    /// Their tables.
    pub(in crate::operator) fn tables_mut(&mut self) -> &mut Tables {
        &mut self.tables
    }

    /// Merges rows into their groups: the hash and key of each, a column per lane that is not fed
    /// by a set, and an argument column per set.
    pub(in crate::operator) fn merge<'k>(
        &mut self,
        plan: &AggregatePlan,
        hashes: &[u64],
        key: impl Fn(usize) -> &'k [u8],
        lanes: &[ArrayRef],
        arguments: &[ArrayRef],
    ) {
        let mut found = std::mem::take(&mut self.found);
        self.tables.groups_mut().to_change(hashes, key, &self.initial, &mut found);
        for (lane, column) in plan.sent_lanes().zip(lanes) {
            self.merge_lane(lane, &found, column);
        }
        for (set, argument) in arguments.iter().enumerate() {
            self.merge_distinct(plan, set, &found, argument);
        }
        self.found = found;
    }

    /// Merges groups read from another table, but for what their sets have seen.
    pub(in crate::operator) fn merge_groups(&mut self, plan: &AggregatePlan, rows: &GroupRows) {
        let with_lanes = plan.lanes.iter().zip(&rows.lanes);
        let sent = with_lanes.filter(|(lane, _)| lane.distinct.is_none());
        let lanes: Vec<ArrayRef> = sent.map(|(_, column)| Arc::clone(column)).collect();
        self.merge(plan, &rows.hashes, |row| rows.key(row), &lanes, &[]);
    }

    /// Merges one column into the lane of each row's entry.
    pub(super) fn merge_lane(&mut self, lane: &Lane, entries: &[EntryRef], column: &ArrayRef) {
        use LaneOperation as Op;
        assert_eq!(entries.len(), column.len());
        let word = lane.word;
        let table = self.tables.groups_mut().rows_mut();
        match lane.operation {
            Op::AddInt => fold_ints(table, entries, word, column, i64::wrapping_add),
            Op::MinInt => fold_ints(table, entries, word, column, Ord::min),
            Op::MaxInt => fold_ints(table, entries, word, column, Ord::max),
            Op::AddFloat => {
                for (&entry, &value) in
                    entries.iter().zip(column.as_primitive::<Float64Type>().values())
                {
                    let add = |[sum]: [u64; 1]| [(f64::from_bits(sum) + value).to_bits()];
                    table.update(entry, word, add);
                }
            }
            Op::AddDecimal(_) | Op::MinDecimal(_) | Op::MaxDecimal(_) => {
                let step = decimal_step(lane.operation);
                for (&entry, &value) in
                    entries.iter().zip(column.as_primitive::<Decimal128Type>().values())
                {
                    let fold = |old| words_of_decimal(step(decimal_of_words(old), value));
                    table.update(entry, word, fold);
                }
            }
            Op::MinBytes | Op::MaxBytes => {
                let wins = |new: &[u8], old: Option<&[u8]>| bytes_win(lane.operation, new, old);
                self.merge_bytes(lane, entries, column.as_binary(), wins);
            }
            Op::First | Op::Last => {
                let wins = |new: &[u8], old: Option<&[u8]>| end_wins(lane.operation, new, old);
                self.merge_bytes(lane, entries, column.as_binary(), wins);
            }
            Op::Moments => self.merge_moments(lane, entries, column.as_binary()),
            Op::List(kept) => self.merge_lists(lane, kept, entries, column.as_binary()),
        }
    }

    fn merge_bytes(
        &mut self,
        lane: &Lane,
        entries: &[EntryRef],
        column: &BinaryArray,
        wins: impl Fn(&[u8], Option<&[u8]>) -> bool,
    ) {
        for (&entry, value) in entries.iter().zip(column) {
            let Some(value) = value else { continue };
            let old = self.slot(lane, entry);
            let groups = self.tables.groups_mut();
            if wins(value, groups.value(old)) {
                groups.set_value(entry, lane.word, value);
            }
        }
    }

    fn merge_moments(&mut self, lane: &Lane, entries: &[EntryRef], column: &BinaryArray) {
        for (&entry, more) in entries.iter().zip(column) {
            let more = Moments::from_bytes(more.expect("a partial row has moments"));
            let old = self.slot(lane, entry);
            let groups = self.tables.groups_mut();
            let old = groups.value(old).map_or(Moments::default(), Moments::from_bytes);
            groups.set_value(entry, lane.word, &old.merged(more).to_bytes());
        }
    }

    fn merge_lists(&mut self, lane: &Lane, kept: Kept, entries: &[EntryRef], column: &BinaryArray) {
        for (&entry, more) in entries.iter().zip(column) {
            let more = more.expect("a partial row has a list");
            let slot = self.slot(lane, entry);
            let groups = self.tables.groups_mut();
            // What is not kept goes before the list would move: at most every doubling.
            if kept != Kept::All
                && !slot.has_room(more.len())
                && let Some(list) = groups.value(slot)
            {
                let list = compacted(list, kept);
                groups.set_value(entry, lane.word, &list);
            }
            let length = groups.append_value(entry, lane.word, more);
            assert!(length <= LIST_BYTES_MAX, "one group's list of values is longer than 1 GiB");
        }
    }

    /// Where the bytes of a lane lie.
    fn slot(&self, lane: &Lane, entry: EntryRef) -> HeapSlot {
        let rows = self.tables.groups().rows();
        HeapSlot::from_words([lane.word, lane.word + 1].map(|word| rows.word(entry, word)))
    }

    /// The next groups at `cursor`, `rows_max` at most, or as many as have lists of
    /// [`LIST_BYTES_READ_MAX`]; none only at the end.
    pub(in crate::operator) fn read(
        &self,
        plan: &AggregatePlan,
        cursor: &mut GroupsCursor,
        rows_max: usize,
    ) -> GroupRows {
        let mut rows = GroupRows::default();
        let mut entries = Vec::new();
        let is_list = |lane: &&Lane| matches!(lane.operation, LaneOperation::List(_));
        let lists: Vec<&Lane> = plan.lanes.iter().filter(is_list).collect();
        let mut list_bytes = 0;
        while entries.len() < rows_max && list_bytes < LIST_BYTES_READ_MAX {
            let Some(entry) = self.tables.groups().rows().next(&mut cursor.0) else { break };
            let lengths = lists.iter().map(|lane| self.slot(lane, entry.reference).length());
            list_bytes += lengths.sum::<u64>();
            entries.push(entry.reference);
            rows.hashes.push(entry.hash);
            rows.key_bytes.extend_from_slice(entry.key);
            rows.key_ends.push(rows.key_bytes.len());
        }
        rows.lanes = plan.lanes.iter().map(|lane| self.read_lane(lane, &entries)).collect();
        rows
    }

    fn read_lane(&self, lane: &Lane, entries: &[EntryRef]) -> ArrayRef {
        use LaneOperation as Op;
        let groups = self.tables.groups();
        let word = |entry: &EntryRef| groups.rows().word(*entry, lane.word);
        let pair = |entry: &EntryRef| [word(entry), groups.rows().word(*entry, lane.word + 1)];
        match lane.operation {
            Op::AddInt | Op::MinInt | Op::MaxInt => Arc::new(Int64Array::from_iter_values(
                entries.iter().map(|e| word(e).cast_signed()),
            )),
            Op::AddFloat => Arc::new(Float64Array::from_iter_values(
                entries.iter().map(|entry| f64::from_bits(word(entry))),
            )),
            Op::AddDecimal(_) | Op::MinDecimal(_) | Op::MaxDecimal(_) => {
                let values = entries.iter().map(|entry| decimal_of_words(pair(entry)));
                let array = Decimal128Array::from_iter_values(values);
                Arc::new(array.with_data_type(lane.operation.data_type()))
            }
            Op::MinBytes | Op::MaxBytes | Op::First | Op::Last | Op::List(_) | Op::Moments => {
                Arc::new(BinaryArray::from_iter(
                    entries.iter().map(|entry| groups.value(HeapSlot::from_words(pair(entry)))),
                ))
            }
        }
    }
}

/// Hot: one iteration per row.
fn fold_ints(
    table: &mut Table,
    entries: &[EntryRef],
    word: usize,
    column: &ArrayRef,
    step: impl Fn(i64, i64) -> i64,
) {
    for (&entry, &value) in entries.iter().zip(column.as_primitive::<Int64Type>().values()) {
        table.update(entry, word, |[old]: [u64; 1]| {
            [step(old.cast_signed(), value).cast_unsigned()]
        });
    }
}

fn initial_words(operation: LaneOperation) -> Vec<u64> {
    use LaneOperation as Op;
    match operation {
        Op::AddInt => vec![0],
        Op::AddFloat => vec![0.0_f64.to_bits()],
        Op::MinInt => vec![i64::MAX.cast_unsigned()],
        Op::MaxInt => vec![i64::MIN.cast_unsigned()],
        Op::AddDecimal(_) | Op::MinDecimal(_) | Op::MaxDecimal(_) => {
            words_of_decimal(neutral_decimal(operation)).to_vec()
        }
        Op::MinBytes | Op::MaxBytes | Op::First | Op::Last | Op::List(_) | Op::Moments => {
            HeapSlot::EMPTY.to_words().to_vec()
        }
    }
}

/// Upper half, lower half.
fn words_of_decimal(value: i128) -> [u64; 2] {
    let bits = value.cast_unsigned();
    #[expect(clippy::cast_possible_truncation, reason = "the lower half")]
    let low = bits as u64;
    let high = (bits >> 64) as u64;
    [high, low]
}

fn decimal_of_words([high, low]: [u64; 2]) -> i128 {
    (u128::from(high) << 64 | u128::from(low)).cast_signed()
}
