//! The archive: vectors of primitives, and nothing else.
//!
//! Archived, both types are `repr(C)`, little-endian, with pointers of 32 bits relative to their own
//! place: a vector is 36 bytes, the root 12.

use rkyv::{Archive, Serialize};

/// Rows in columns.
#[derive(Archive, Serialize, Clone, PartialEq, Eq, Default, Debug)]
pub struct FrameRows {
    /// One per column and one per part of a nested column.
    pub vectors: Vec<FrameVector>,
    /// Values of each column.
    pub rows: u32,
}

/// One column, or one part of a nested column.
#[derive(Archive, Serialize, Clone, PartialEq, Eq, Default, Debug)]
pub struct FrameVector {
    /// A bit per value, the lowest first: 1 for a value, 0 for NULL. Empty when no value is NULL.
    pub validity: Vec<u64>,
    /// Texts, bytes, arrays and maps: where each begins, and where the last one ends.
    pub offsets: Vec<i32>,
    /// Values of fixed size, packed: BOOLEAN as bits, the others in 1, 2, 4, 8 or 16 bytes.
    pub values: Vec<u128>,
    /// Texts and bytes, one behind the other.
    pub bytes: Vec<u8>,
    /// Number of values.
    pub length: u32,
}

/// Says what an archive's bytes mean; in every header. It is the XXH3-64 of the layout in words, which
/// a test holds against the types.
pub const FRAME_LAYOUT_HASH: u64 = 0x6ff8_8e59_db1e_2526;

/// The layout in words: another word, another hash.
#[cfg(test)]
const LAYOUT: &str = "pelton frame 1; rkyv 0.8; little endian; aligned; 32-bit relative pointers; \
    root: vectors [vector], rows u32; \
    vector: validity [u64], offsets [i32], values [u128], bytes [u8], length u32";

#[cfg(test)]
mod tests {
    use super::*;
    use std::mem::{align_of, offset_of, size_of};

    #[test]
    fn the_layout_is_what_the_page_says() {
        assert_eq!((size_of::<ArchivedFrameRows>(), align_of::<ArchivedFrameRows>()), (12, 4));
        assert_eq!(offset_of!(ArchivedFrameRows, vectors), 0);
        assert_eq!(offset_of!(ArchivedFrameRows, rows), 8);
        assert_eq!((size_of::<ArchivedFrameVector>(), align_of::<ArchivedFrameVector>()), (36, 4));
        assert_eq!(offset_of!(ArchivedFrameVector, validity), 0);
        assert_eq!(offset_of!(ArchivedFrameVector, offsets), 8);
        assert_eq!(offset_of!(ArchivedFrameVector, values), 16);
        assert_eq!(offset_of!(ArchivedFrameVector, bytes), 24);
        assert_eq!(offset_of!(ArchivedFrameVector, length), 32);
    }

    #[test]
    fn the_hash_is_that_of_the_words() {
        assert_eq!(xxhash_rust::xxh3::xxh3_64(LAYOUT.as_bytes()), FRAME_LAYOUT_HASH);
    }
}
