//! Grouping: rows of one turn that share pane and key, numbered.
//!
//! In:  keys with their hashes, and the pane of each row.
//! Out: a group number per row; then the groups' panes, keys and hashes, once.
//!
//! Small and short-lived: it is emptied every turn and never holds more than a batch of groups, so
//! it stays in the processor's cache.

use arrow::array::{BinaryArray, Int64Array};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use std::collections::HashMap;

use super::assign::RowPanes;
use super::slices::Pane;
use crate::limits::BATCH_ROWS_MAX;
use crate::record::EncodedKeys;
use crate::state::keys_equal;
use crate::stdx::take_with_room;

/// Half of them stay free.
const SLOTS: usize = 2 * BATCH_ROWS_MAX;

const _: () = assert!(SLOTS.is_power_of_two());

/// Groups of the current turn.
#[derive(Debug)]
pub(super) struct Grouping {
    /// Upper half of the mixed hash, then group + 1; 0 is an empty slot.
    slots: Vec<u64>,
    /// The slot of each group, so that few groups are cleared quickly.
    slot_of: Vec<u32>,
    hashes: Vec<u64>,
    key_bytes: Vec<u8>,
    /// Start of each group's key, and the end of the last.
    key_offsets: Vec<i32>,
    pane_of: Vec<u32>,
    panes: Vec<Pane>,
    pane_numbers: HashMap<Pane, u32>,
}

/// Groups by columns.
pub(super) struct GroupColumns {
    pub(super) ends: Int64Array,
    pub(super) firsts: Int64Array,
    pub(super) keys: BinaryArray,
    pub(super) hashes: ScalarBuffer<u64>,
}

impl Grouping {
    pub(super) fn new() -> Grouping {
        Grouping {
            slots: vec![0; SLOTS],
            slot_of: vec![],
            hashes: vec![],
            key_bytes: vec![],
            key_offsets: vec![0],
            pane_of: vec![],
            panes: vec![],
            pane_numbers: HashMap::new(),
        }
    }

    /// Number of groups.
    pub(super) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Writes the group of each row to `groups`, which is cleared first.
    pub(super) fn group(&mut self, keys: &EncodedKeys, panes: &RowPanes, groups: &mut Vec<u32>) {
        assert!(self.len() + keys.len() <= BATCH_ROWS_MAX);
        groups.clear();
        match panes {
            RowPanes::Same(pane) => {
                let pane = self.pane_number(*pane);
                groups.extend((0..keys.len()).map(|row| self.group_of(keys, row, pane)));
            }
            RowPanes::Each(panes) => {
                assert_eq!(panes.len(), keys.len());
                let Some(mut last) = panes.first().copied() else { return };
                let mut number = self.pane_number(last);
                for (row, &pane) in panes.iter().enumerate() {
                    if pane != last {
                        last = pane;
                        number = self.pane_number(pane);
                    }
                    groups.push(self.group_of(keys, row, number));
                }
            }
        }
    }

    fn pane_number(&mut self, pane: Pane) -> u32 {
        let next = u32::try_from(self.panes.len()).expect("no more panes than rows");
        *self.pane_numbers.entry(pane).or_insert_with(|| {
            self.panes.push(pane);
            next
        })
    }

    /// Hot: once per row.
    #[inline]
    fn group_of(&mut self, keys: &EncodedKeys, row: usize, pane: u32) -> u32 {
        let mixed = keys.hashes[row] ^ u64::from(pane).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let tag = mixed >> 32 << 32;
        let mut at = low_half(mixed) as usize % SLOTS;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return self.add(keys, row, pane, at, tag);
            }
            if slot >> 32 << 32 == tag {
                let group = low_half(slot) - 1;
                if self.is(group as usize, keys.key(row), pane) {
                    return group;
                }
            }
            at = (at + 1) % SLOTS;
        }
    }

    #[inline]
    fn is(&self, group: usize, key: &[u8], pane: u32) -> bool {
        let start = offset_index(self.key_offsets[group]);
        let end = offset_index(self.key_offsets[group + 1]);
        self.pane_of[group] == pane && keys_equal(&self.key_bytes[start..end], key)
    }

    fn add(&mut self, keys: &EncodedKeys, row: usize, pane: u32, at: usize, tag: u64) -> u32 {
        let group = u32::try_from(self.len()).expect("no more groups than slots");
        self.slots[at] = tag | (u64::from(group) + 1);
        self.slot_of.push(u32::try_from(at).expect("slots are few"));
        self.hashes.push(keys.hashes[row]);
        self.key_bytes.extend_from_slice(keys.key(row));
        self.key_offsets.push(to_offset(self.key_bytes.len()));
        self.pane_of.push(pane);
        group
    }

    /// The groups as columns, in the order of their numbers. There are none afterwards.
    pub(super) fn take(&mut self) -> GroupColumns {
        for slot in self.slot_of.drain(..) {
            self.slots[slot as usize] = 0;
        }
        let pane_of = |pane: &u32| self.panes[*pane as usize];
        let ends = self.pane_of.iter().map(|pane| pane_of(pane).end);
        let firsts = self.pane_of.iter().map(|pane| pane_of(pane).first);
        let columns = GroupColumns {
            ends: Int64Array::from_iter_values(ends),
            firsts: Int64Array::from_iter_values(firsts),
            keys: binary_array(
                take_with_room(&mut self.key_bytes),
                take_with_room(&mut self.key_offsets),
            ),
            hashes: take_with_room(&mut self.hashes).into(),
        };
        self.key_offsets.push(0);
        self.pane_of.clear();
        self.panes.clear();
        self.pane_numbers.clear();
        columns
    }
}

/// Every row a group of its own. Takes the keys out of `keys`.
pub(super) fn ungrouped(keys: &mut EncodedKeys, panes: &RowPanes) -> GroupColumns {
    let rows = keys.len();
    let (ends, firsts) = match panes {
        RowPanes::Same(pane) => (vec![pane.end; rows], vec![pane.first; rows]),
        RowPanes::Each(panes) => {
            (panes.iter().map(|p| p.end).collect(), panes.iter().map(|p| p.first).collect())
        }
    };
    let offsets = keys.offsets.iter().map(|&offset| to_offset(offset as usize)).collect();
    GroupColumns {
        ends: ends.into(),
        firsts: firsts.into(),
        keys: binary_array(take_with_room(&mut keys.bytes), offsets),
        hashes: take_with_room(&mut keys.hashes).into(),
    }
}

fn binary_array(bytes: Vec<u8>, offsets: Vec<i32>) -> BinaryArray {
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    BinaryArray::new(offsets, Buffer::from_vec(bytes), None)
}

#[inline]
fn low_half(slot: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
    let low = slot as u32;
    low
}

#[inline]
fn offset_index(offset: i32) -> usize {
    usize::try_from(offset).expect("offsets are not negative")
}

fn to_offset(bytes: usize) -> i32 {
    i32::try_from(bytes).expect("the keys of one batch fit in 2 GiB")
}
