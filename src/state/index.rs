//! Index: key hash to position, by extendible hashing.
//!
//! A directory over the hash's top bits names segments of open addressing. A full segment is split
//! in two by the next bit; no insertion ever touches more than one segment, however many entries
//! there are, and segments fill at different times. Only doubling the directory is longer: 4 bytes
//! per 2,000 entries.
//!
//! The top 32 bits of the hash are kept beside each position, so that neither probing nor splitting
//! reads the entries. (The low bits are no use: they are the key group, and a core owns few.)

/// Slots of a segment once it is large enough to be split.
const SEGMENT_SLOTS_MAX: usize = 4096;
const SEGMENT_SLOTS_MIN: usize = 16;

/// Fewest entries at which a segment is split; the most are twice as many.
const SEGMENT_SPLIT_MIN: u32 = 1536;

/// Top bits of a segment's tags that say when it is split.
const SPREAD_BITS: u32 = 6;

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
    /// Entries at which a segment of `SEGMENT_SLOTS_MAX` is split.
    split_at: u32,
}

#[inline]
fn tag_of(hash: u64) -> u64 {
    hash >> 32
}

impl Index {
    pub(super) fn new() -> Index {
        Index {
            depth: 0,
            directory: vec![0],
            segments: vec![Segment::new(SEGMENT_SLOTS_MIN, 0, 0)],
        }
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
                self.split(segment_index, tag_of(hash));
            }
        }
    }

    /// Splits the segment that `tag` belongs to.
    fn split(&mut self, segment_index: usize, tag: u64) {
        if self.segments[segment_index].depth == self.depth {
            self.directory = self.directory.iter().flat_map(|&segment| [segment; 2]).collect();
            self.depth += 1;
        }
        let new_index = u32::try_from(self.segments.len()).expect("the directory has 20 bits");
        let right = self.segments[segment_index].split_off(tag);
        // The directory's entries of one segment are neighbours; the right half is the new one's.
        let span = 1_usize << (self.depth - right.depth);
        let first = (narrow(tag >> (32 - right.depth)) | 1) * span;
        self.directory[first..first + span].fill(new_index);
        self.segments.push(right);
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

/// Between 3/8 and 3/4 of the slots, by the top bits. With one threshold for all, evenly spread hashes
/// would have all segments split within a few percent of growth, 60 us each.
fn split_at(depth: u32, tag: u64) -> u32 {
    let shared = tag >> (32 - depth) << (32 - depth);
    let step = low_half(shared >> (32 - SPREAD_BITS));
    SEGMENT_SPLIT_MIN + step * (SEGMENT_SPLIT_MIN >> SPREAD_BITS)
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
    /// For tags that share the top `depth` bits of `tag`.
    fn new(slots: usize, depth: u32, tag: u64) -> Segment {
        Segment { slots: vec![0; slots], used: 0, depth, split_at: split_at(depth, tag) }
    }

    fn has_room(&self) -> bool {
        let used_max = if self.slots.len() == SEGMENT_SLOTS_MAX {
            self.split_at as usize
        } else {
            self.slots.len() / 4 * 3
        };
        self.used < used_max
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
        let slots = vec![0; self.slots.len() * 2];
        let mut larger = Segment { slots, used: 0, ..*self };
        for &slot in self.slots.iter().filter(|slot| **slot != 0) {
            larger.put(slot);
        }
        *self = larger;
    }

    /// Moves the entries whose next bit is 1 to a new segment; `tag` is one of this segment's.
    fn split_off(&mut self, tag: u64) -> Segment {
        assert!(self.depth < DEPTH_MAX);
        let bit = 1_u64 << (31 - self.depth);
        let mut left = Segment::new(self.slots.len(), self.depth + 1, tag & !bit);
        let mut right = Segment::new(self.slots.len(), self.depth + 1, tag | bit);
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
    #[test]
    fn segments_split_at_different_times() {
        let mut index = Index::new();
        let mut before = 0;
        for position in 0..2_000_000 {
            if position % 20_000 == 0 && position >= 400_000 {
                let split = index.segments.len() - before;
                // In step, a third of them would split within some of these 1 to 5 percent of growth.
                assert!(before == 0 || split * 8 <= before, "{split} of {before} at {position}");
                before = index.segments.len();
            }
            index.insert(mix(position), position);
        }
    }
}
