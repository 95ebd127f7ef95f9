//! Layout: which chunks of a sequence are left to read, and how they are dealt.
//!
//! At first all of them are left. A later run goes on where an earlier one had come, on as many cores
//! as it has itself: then some chunks are left here and there, the first ones perhaps in part, and from
//! some chunk on (the tail) all of them.

use crate::record::Timestamp;

/// How far a chunk has been read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::source) struct Progress {
    /// Behind the last record: a byte of the file, or the number of a row. `None` before the first.
    pub(in crate::source) at: Option<u64>,
    /// Rows of the chunk before it.
    pub(in crate::source) rows: u64,
    /// The watermark inside the chunk there.
    pub(in crate::source) watermark: Timestamp,
}

/// A chunk, and where in it reading begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::source) struct ChunkStart {
    /// Position in the whole sequence.
    pub(in crate::source) number: u64,
    /// What has been read of it.
    pub(in crate::source) progress: Progress,
}

/// See the module. The chunks that are left have places, from 0, in their order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Layout {
    /// Before the tail, ascending.
    pub(super) left: Vec<ChunkStart>,
    /// This chunk and all later ones are left.
    pub(super) tail: u64,
    /// Chunks of the whole sequence.
    pub(super) chunk_count: u64,
}

impl Progress {
    /// Nothing has been read.
    pub(in crate::source) const NONE: Progress =
        Progress { at: None, rows: 0, watermark: Timestamp::MIN };
}

impl ChunkStart {
    /// All of a chunk.
    pub(super) fn whole(number: u64) -> ChunkStart {
        ChunkStart { number, progress: Progress::NONE }
    }
}

impl Layout {
    /// Everything is left.
    pub(super) fn whole(chunk_count: u64) -> Layout {
        Layout { left: Vec::new(), tail: 0, chunk_count }
    }

    /// The chunk in a place; `None` behind the last.
    pub(super) fn chunk(&self, place: u64) -> Option<ChunkStart> {
        let index = usize::try_from(place).unwrap_or(usize::MAX);
        if let Some(chunk) = self.left.get(index) {
            return Some(*chunk);
        }
        let number = self.tail.saturating_add(place - self.left.len() as u64);
        (number < self.chunk_count).then(|| ChunkStart::whole(number))
    }

    /// The first chunk that is left; the tail's, also behind the last chunk, when none is.
    pub(super) fn first(&self) -> u64 {
        self.left.first().map_or(self.tail, |chunk| chunk.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_dense_and_in_order() {
        let left = [3, 5].map(ChunkStart::whole).to_vec();
        let layout = Layout { left, tail: 7, chunk_count: 9 };
        let numbers: Vec<Option<u64>> =
            (0..6).map(|place| layout.chunk(place).map(|chunk| chunk.number)).collect();
        assert_eq!(numbers, [Some(3), Some(5), Some(7), Some(8), None, None]);
        assert_eq!((layout.first(), Layout::whole(2).first()), (3, 0));
        let endless = Layout::whole(u64::MAX);
        assert_eq!(endless.chunk(1 << 40), Some(ChunkStart::whole(1 << 40)));
        assert_eq!(endless.chunk(u64::MAX), None);
    }
}
