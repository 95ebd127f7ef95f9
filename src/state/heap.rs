//! Heap: values of any length that belong to entries of a table (the smallest string of a group).
//!
//! A value that is replaced by one that fits is overwritten in place; else it moves, and its room
//! at least doubles. So what is wasted stays below three times what the longest values need.

use super::arena::{Arena, Position};

/// Room a value is given at least.
const ROOM_BYTES_MIN: usize = 16;

/// Bytes of many values; each is known by its [`HeapSlot`].
#[derive(Debug, Default)]
pub struct Heap {
    arena: Arena,
}

/// Where a value lies: two words of the entry it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeapSlot {
    position: u32,
    room: u32,
    /// Length + 1; 0 when there is no value.
    length: u64,
}

impl HeapSlot {
    /// No value.
    pub const EMPTY: HeapSlot = HeapSlot { position: 0, room: 0, length: 0 };

    /// Length of its value; 0 when there is none.
    pub const fn length(self) -> u64 {
        self.length.saturating_sub(1)
    }

    /// True when `more` bytes fit behind its value where it lies.
    pub const fn has_room(self, more: usize) -> bool {
        self.length() + more as u64 <= self.room as u64
    }

    /// As words of an entry.
    pub const fn to_words(self) -> [u64; 2] {
        [(self.position as u64) << 32 | self.room as u64, self.length]
    }

    /// From words of an entry.
    pub const fn from_words(words: [u64; 2]) -> HeapSlot {
        #[expect(clippy::cast_possible_truncation, reason = "the lower half is the room")]
        let room = words[0] as u32;
        HeapSlot { position: (words[0] >> 32) as u32, room, length: words[1] }
    }
}

impl Heap {
    /// The value of `slot`, if it has one.
    pub fn get(&self, slot: HeapSlot) -> Option<&[u8]> {
        let length = usize::try_from(slot.length.checked_sub(1)?).expect("lengths fit in memory");
        if length == 0 {
            return Some(&[]);
        }
        Some(&self.arena.bytes_from(Position(slot.position))[..length])
    }

    /// The slot that holds `value` from now on; `old` is no longer used.
    #[must_use]
    pub fn replace(&mut self, old: HeapSlot, value: &[u8]) -> HeapSlot {
        let length = value.len() as u64 + 1;
        if value.len() <= old.room as usize {
            if !value.is_empty() {
                self.arena.bytes_mut_from(Position(old.position))[..value.len()]
                    .copy_from_slice(value);
            }
            return HeapSlot { length, ..old };
        }
        let room = value.len().next_power_of_two().max(ROOM_BYTES_MIN);
        let position = self.arena.append(room, |chunk| {
            chunk.extend_from_slice(value);
            chunk.resize(chunk.len() + room - value.len(), 0);
        });
        let room = u32::try_from(room).expect("a string of a batch is shorter than 2 GiB");
        HeapSlot { position: position.0, room, length }
    }

    /// The slot that holds the value of `old`, then `more`; `old` is no longer used. It moves only
    /// when its room is used up, which then doubles at least.
    #[must_use]
    pub fn append(&mut self, old: HeapSlot, more: &[u8]) -> HeapSlot {
        let length = self.get(old).map_or(0, <[u8]>::len);
        if !old.has_room(more.len()) {
            let mut whole = Vec::with_capacity(length + more.len());
            whole.extend_from_slice(self.get(old).unwrap_or_default());
            whole.extend_from_slice(more);
            return self.replace(old, &whole);
        }
        if !more.is_empty() {
            self.arena.bytes_mut_from(Position(old.position))[length..length + more.len()]
                .copy_from_slice(more);
        }
        HeapSlot { length: (length + more.len()) as u64 + 1, ..old }
    }

    /// Bytes allocated.
    pub fn bytes(&self) -> usize {
        self.arena.bytes()
    }

    /// Frees a bounded part of the memory; true when there is more. All values are lost.
    pub fn free_some(&mut self) -> bool {
        self.arena.free_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_replaced_without_touching_others_and_without_growing_for_ever() {
        let mut random = fastrand::Rng::with_seed(3);
        let mut heap = Heap::default();
        let mut slots = vec![HeapSlot::EMPTY; 50];
        let mut model: Vec<Option<Vec<u8>>> = vec![None; 50];
        for step in 0..50_000 {
            let which = random.usize(0..50);
            let length = if step % 1_000 == 0 { 100_000 } else { random.usize(0..40) };
            let value: Vec<u8> = (0..length).map(|_| random.u8(..)).collect();
            let slot = HeapSlot::from_words(slots[which].to_words());
            assert_eq!(heap.get(slot), model[which].as_deref());
            if step % 3 == 0
                && length < 40
                && model[which].as_ref().is_some_and(|old| old.len() < 99)
            {
                slots[which] = heap.append(slot, &value);
                model[which].as_mut().unwrap().extend(value);
            } else {
                slots[which] = heap.replace(slot, &value);
                model[which] = Some(value);
            }
        }
        for (slot, value) in slots.iter().zip(&model) {
            assert_eq!(heap.get(*slot), value.as_deref());
        }
        assert!(heap.bytes() < 50 * (131_072 + 128) + 131_072, "{} bytes", heap.bytes());
        while heap.free_some() {}
    }
}
