//! Index: key hash to position, by extendible hashing.
//!
//! A directory over the hash's top bits names segments of open addressing. A full segment is split
//! in two by the next bit; no insertion ever touches more than one segment (some 10 us), however
//! many entries there are. Only doubling the directory is longer: 4 bytes per 3,000 entries.
//!
//! The top 32 bits of the hash are kept beside each position, so that neither probing nor splitting
//! reads the entries. (The low bits are no use: they are the key group, and a core owns few.)

/// Slots of a segment once it is large enough to be split.
const SEGMENT_SLOTS_MAX: usize = 4096;
const SEGMENT_SLOTS_MIN: usize = 16;

/// Bits of the directory at most; a segment that cannot be split any more grows instead.
const DEPTH_MAX: u32 = 20;

/// Segments freed in one step: 1 MiB.
const FREED_SEGMENTS_MAX: usize = 32;

const _: () = assert!(SEGMENT_SLOTS_MIN.is_power_of_two() && SEGMENT_SLOTS_MAX.is_power_of_two());

/// Positions by hash. Knows no keys: the caller compares.
#[derive(Debug)]
pub(super) struct Index {
    /// Top bits of a tag that select the directory's entry.
    depth: u32,
    directory: Vec<u32>,
    segments: Vec<Segment>,
}

#[derive(Debug)]
struct Segment {
    /// Tag in the upper half, position + 1 in the lower; 0 is an empty slot.
    slots: Vec<u64>,
    used: usize,
    /// Top bits that all tags of this segment share.
    depth: u32,
}

#[inline]
fn tag_of(hash: u64) -> u64 {
    hash >> 32
}

impl Index {
    pub(super) fn new() -> Index {
        Index { depth: 0, directory: vec![0], segments: vec![Segment::new(SEGMENT_SLOTS_MIN, 0)] }
    }

    #[inline]
    fn segment_of(&self, tag: u64) -> usize {
        self.directory[narrow(tag >> (32 - self.depth))] as usize
    }

    /// The first position under this hash for which `matches` is true.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut matches: impl FnMut(u32) -> bool) -> Option<u32> {
        let tag = tag_of(hash);
        let slots = self.segments[self.segment_of(tag)].slots.as_slice();
        let mask = slots.len() - 1;
        let mut at = narrow(tag) & mask;
        loop {
            let slot = slots[at & mask];
            if slot == 0 {
                return None;
            }
            if slot >> 32 == tag {
                let position = low_half(slot) - 1;
                if matches(position) {
                    return Some(position);
                }
            }
            at += 1;
        }
    }

    /// Adds a position that is not there yet.
    pub(super) fn insert(&mut self, hash: u64, position: u32) {
        let slot = tag_of(hash) << 32 | (u64::from(position) + 1);
        loop {
            let segment_index = self.segment_of(tag_of(hash));
            let segment = &mut self.segments[segment_index];
            if segment.has_room() {
                segment.put(slot);
                return;
            }
            if segment.slots.len() < SEGMENT_SLOTS_MAX || segment.depth == DEPTH_MAX {
                segment.grow();
            } else {
                self.split(segment_index);
            }
        }
    }

    fn split(&mut self, segment_index: usize) {
        if self.segments[segment_index].depth == self.depth {
            self.directory = self.directory.iter().flat_map(|&segment| [segment; 2]).collect();
            self.depth += 1;
        }
        let new_index = u32::try_from(self.segments.len()).expect("the directory has 20 bits");
        let right = self.segments[segment_index].split_off();
        // The directory's entries of one segment are neighbours; the right half is the new one's.
        let first_tag = right.slots.iter().find(|slot| **slot != 0).map(|slot| slot >> 32);
        let depth = right.depth;
        self.segments.push(right);
        if let Some(tag) = first_tag {
            let span = 1_usize << (self.depth - depth);
            let first = narrow(tag >> (32 - depth)) * span;
            self.directory[first..first + span].fill(new_index);
        } else {
            self.point_right_half(segment_index, new_index);
        }
    }

    /// As `split` does, when the new segment is empty and no tag tells where it belongs.
    fn point_right_half(&mut self, segment_index: usize, new_index: u32) {
        let entries: Vec<usize> = (0..self.directory.len())
            .filter(|&entry| self.directory[entry] as usize == segment_index)
            .collect();
        for &entry in &entries[entries.len() / 2..] {
            self.directory[entry] = new_index;
        }
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        let slots: usize = self.segments.iter().map(|segment| segment.slots.capacity() * 8).sum();
        slots
            + self.segments.capacity() * size_of::<Segment>()
            + self.directory.capacity() * size_of::<u32>()
    }

    /// Frees some segments; true when there are more. Nothing can be found or added afterwards.
    pub(super) fn free_some(&mut self) -> bool {
        let kept = self.segments.len().saturating_sub(FREED_SEGMENTS_MAX);
        self.segments.truncate(kept);
        !self.segments.is_empty()
    }
}

#[inline]
fn narrow(bits: u64) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "tags have 32 bits")]
    let index = bits as usize;
    index
}

#[inline]
fn low_half(slot: u64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is asked for")]
    let low = slot as u32;
    low
}

impl Segment {
    fn new(slots: usize, depth: u32) -> Segment {
        Segment { slots: vec![0; slots], used: 0, depth }
    }

    fn has_room(&self) -> bool {
        self.used < self.slots.len() / 4 * 3
    }

    #[inline]
    fn put(&mut self, slot: u64) {
        let mask = self.slots.len() - 1;
        let mut at = narrow(slot >> 32) & mask;
        while self.slots[at] != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = slot;
        self.used += 1;
    }

    fn grow(&mut self) {
        let mut larger = Segment::new(self.slots.len() * 2, self.depth);
        for &slot in self.slots.iter().filter(|slot| **slot != 0) {
            larger.put(slot);
        }
        *self = larger;
    }

    /// Moves the entries whose next bit is 1 to a new segment.
    fn split_off(&mut self) -> Segment {
        assert!(self.depth < DEPTH_MAX);
        let bit = 1_u64 << (31 - self.depth);
        let mut left = Segment::new(self.slots.len(), self.depth + 1);
        let mut right = Segment::new(self.slots.len(), self.depth + 1);
        for &slot in self.slots.iter().filter(|slot| **slot != 0) {
            if slot >> 32 & bit == 0 { left.put(slot) } else { right.put(slot) }
        }
        *self = left;
        right
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Inserts positions `0..count` under `hash_of` and finds every one again.
    #[track_caller]
    fn check(count: u32, hash_of: impl Fn(u32) -> u64) {
        let mut index = Index::new();
        for position in 0..count {
            assert_eq!(index.find(hash_of(position), |found| found == position), None);
            index.insert(hash_of(position), position);
        }
        for position in 0..count {
            let found = index.find(hash_of(position), |found| found == position);
            assert_eq!(found, Some(position));
        }
        let used: usize = index.segments.iter().map(|segment| segment.used).sum();
        assert_eq!(used, count as usize);
    }

    fn mix(position: u32) -> u64 {
        (u64::from(position) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29)
    }

    #[test]
    fn every_position_is_found_again() {
        check(0, mix);
        check(13, mix);
        check(200_000, mix);
    }

    #[test]
    fn hashes_that_share_their_top_bits_are_found_too() {
        // All in the leftmost, all in the rightmost segment, and all under one tag.
        check(20_000, |position| u64::from(position) << 32);
        check(20_000, |position| (0xffff_ffff - u64::from(position)) << 32);
        check(5_000, |_| 42);
    }

    #[test]
    fn only_small_pieces_are_ever_touched() {
        let mut index = Index::new();
        for position in 0..300_000 {
            index.insert(mix(position), position);
        }
        assert!(index.segments.iter().all(|segment| segment.slots.len() <= SEGMENT_SLOTS_MAX));
        assert!(index.bytes() < 300_000 * 24, "{} bytes", index.bytes());
        let mut steps = 1;
        while index.free_some() {
            steps += 1;
        }
        assert!(steps > 1);
    }
}
