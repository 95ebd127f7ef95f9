//! Keys: one canonical byte encoding of key columns, and its hash. Both are frozen.
//!
//! In:  key columns of a batch.
//! Out: one byte string and one 64-bit hash per row; and back to columns.
//!
//! A key is the concatenation of its columns' encodings, each a type tag, a NULL marker and, unless
//! NULL, the value: fixed width little-endian, or a length and bytes. −0.0 is written as 0.0 and
//! every NaN as one NaN. Independent of Arrow's form of a column, of the CPU and of crate versions.

use arrow::datatypes::DataType;

/// Keys of one batch, row after row. Owned by the caller and reused.
#[derive(Default, Debug)]
pub struct EncodedKeys {
    /// The keys' bytes, without gaps.
    pub bytes: Vec<u8>,
    /// Row `i` is `bytes[offsets[i]..offsets[i + 1]]`; one more than there are rows.
    pub offsets: Vec<u32>,
    /// Hash of each row's bytes.
    pub hashes: Vec<u64>,
}

/// Turns key columns into bytes and back.
#[derive(Clone, Debug)]
pub struct KeyEncoder {
    types: Vec<DataType>,
}

/// XXH3-64 with the job's secret seed.
#[derive(Clone, Copy, Debug)]
pub struct KeyHasher {
    seed: u64,
}
