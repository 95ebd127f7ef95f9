//! Keys: one canonical byte encoding of key columns, and its hash. Both are frozen.
//!
//! In:  key columns of a batch.
//! Out: one byte string and one 64-bit hash per row; and back to columns.
//!
//! A key is the concatenation of its columns' encodings: one lead byte, whose low seven bits are
//! the type tag and whose top bit is the NULL marker, then the value, unless it is NULL.
//!
//! | type | tag | value |
//! |---|---|---|
//! | BOOLEAN | 1 | 1 byte, 0 or 1 |
//! | TINYINT, SMALLINT, INT, BIGINT | 2, 3, 4, 5 | 1, 2, 4, 8 bytes, little-endian |
//! | FLOAT, DOUBLE | 6, 7 | 4, 8 bytes, IEEE 754 little-endian; −0.0 as 0.0, every NaN as 7fc00000, 7ff8000000000000 |
//! | DECIMAL(p, s) | 8 | 16 bytes, the unscaled value, little-endian |
//! | STRING | 9 | u32 length, little-endian, and UTF-8 bytes |
//! | BYTES | 10 | u32 length, little-endian, and bytes |
//! | DATE | 11 | 4 bytes, days since 1970-01-01 |
//! | TIME kept in s, ms, µs, ns | 12, 13, 14, 15 | 4, 4, 8, 8 bytes |
//! | TIMESTAMP kept in s, ms, µs, ns, with or without time zone | 16, 17, 18, 19 | 8 bytes |
//! | ROW | 20 | its fields as columns, one behind the other |
//! | ARRAY | 21 | u32 count, little-endian, and its elements as columns |
//!
//! A key without columns is the empty string. The hash is XXH3-64 with the job's seed over the
//! key's bytes. Neither depends on Arrow's form of a column, on the CPU or on crate versions:
//! `tests/fixtures/key_hash.txt` holds golden vectors, which may be added to and never changed.
//!
//! Read: `columns` (encoding, row by row) · `word` (the hash of the commonest key) · `decode` (and
//! back) · `type_name` (what the types are called beside kept state).

mod columns;
mod decode;
mod type_name;
mod word;

pub use decode::CorruptKey;
pub use type_name::{key_type_name, key_type_of};

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, TimeUnit};
use std::fmt;

/// Top bit of a lead byte: the column is NULL and no value follows.
const NULL_BIT: u8 = 0x80;

/// Keys of one batch, row after row. Owned by the caller and reused.
#[derive(Clone, Default, Debug)]
pub struct EncodedKeys {
    /// The keys' bytes, without gaps.
    pub bytes: Vec<u8>,
    /// Row `i` is `bytes[offsets[i]..offsets[i + 1]]`; one more than there are rows.
    pub offsets: Vec<u32>,
    /// Hash of each row's bytes.
    pub hashes: Vec<u64>,
}

impl EncodedKeys {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.hashes.len()
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.hashes.is_empty()
    }

    /// Bytes of the key of row `row`.
    pub fn key(&self, row: usize) -> &[u8] {
        &self.bytes[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }

    /// All keys, in row order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.len()).map(|row| self.key(row))
    }

    fn clear(&mut self, rows: usize) {
        self.bytes.clear();
        self.offsets.clear();
        self.hashes.clear();
        self.offsets.reserve(rows + 1);
        self.hashes.reserve(rows);
        self.offsets.push(0);
    }
}

/// XXH3-64 with the job's secret seed.
#[derive(Clone, Copy, Debug)]
pub struct KeyHasher {
    seed: u64,
}

impl KeyHasher {
    /// The hasher of the job whose secret is `seed`.
    pub const fn new(seed: u64) -> KeyHasher {
        KeyHasher { seed }
    }

    /// Hash of one encoded key.
    #[inline]
    pub fn hash(self, bytes: &[u8]) -> u64 {
        xxhash_rust::xxh3::xxh3_64_with_seed(bytes, self.seed)
    }
}

/// Turns key columns into bytes and back.
#[derive(Clone, Debug)]
pub struct KeyEncoder {
    types: Vec<DataType>,
}

/// A column of this type cannot be part of a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnsupportedKeyType(pub DataType);

impl KeyEncoder {
    /// The encoder of keys with columns of `types`, in this order; none at all is one group.
    ///
    /// # Errors
    /// Names the first type that cannot be a key.
    pub fn new(types: &[DataType]) -> Result<KeyEncoder, UnsupportedKeyType> {
        match types.iter().find(|data_type| tag_of(data_type).is_none()) {
            Some(unsupported) => Err(UnsupportedKeyType(unsupported.clone())),
            None => Ok(KeyEncoder { types: types.to_vec() }),
        }
    }

    /// Types of the key columns.
    pub fn types(&self) -> &[DataType] {
        &self.types
    }

    /// Writes the keys of `rows` rows and their hashes to `out`, which is cleared first.
    ///
    /// # Panics
    /// When `columns` are not of the encoder's types and `rows` long, or the keys of one batch do
    /// not fit in 4 GiB.
    pub fn encode(
        &self,
        columns: &[ArrayRef],
        rows: usize,
        hasher: KeyHasher,
        out: &mut EncodedKeys,
    ) {
        assert_eq!(columns.len(), self.types.len());
        for (column, data_type) in columns.iter().zip(&self.types) {
            assert_eq!(column.data_type(), data_type);
            assert_eq!(column.len(), rows);
        }
        out.clear(rows);
        columns::encode(columns, rows, hasher, out);
        assert_eq!(out.offsets.len(), rows + 1);
        assert_eq!(out.hashes.len(), rows);
    }

    /// The key columns of `keys`, one row each. None for keys without columns.
    ///
    /// # Errors
    /// When a key is not what `encode` writes for these types. Nothing is read beyond its bytes.
    pub fn decode<'a>(
        &self,
        keys: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Vec<ArrayRef>, CorruptKey> {
        decode::decode(&self.types, keys)
    }
}

/// The type's tag; `None` for what cannot be a key. Frozen: see the table above.
fn tag_of(data_type: &DataType) -> Option<u8> {
    Some(match data_type {
        DataType::Boolean => 1,
        DataType::Int8 => 2,
        DataType::Int16 => 3,
        DataType::Int32 => 4,
        DataType::Int64 => 5,
        DataType::Float32 => 6,
        DataType::Float64 => 7,
        DataType::Decimal128(..) => 8,
        DataType::Utf8 => 9,
        DataType::Binary => 10,
        DataType::Date32 => 11,
        DataType::Time32(TimeUnit::Second) => 12,
        DataType::Time32(TimeUnit::Millisecond) => 13,
        DataType::Time64(TimeUnit::Microsecond) => 14,
        DataType::Time64(TimeUnit::Nanosecond) => 15,
        DataType::Timestamp(TimeUnit::Second, _) => 16,
        DataType::Timestamp(TimeUnit::Millisecond, _) => 17,
        DataType::Timestamp(TimeUnit::Microsecond, _) => 18,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => 19,
        DataType::Struct(fields)
            if fields.iter().all(|field| tag_of(field.data_type()).is_some()) =>
        {
            20
        }
        DataType::List(item) if tag_of(item.data_type()).is_some() => 21,
        _ => return None,
    })
}

impl fmt::Display for UnsupportedKeyType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "a column of type {} cannot be a key", self.0)
    }
}

impl std::error::Error for UnsupportedKeyType {}

#[cfg(test)]
mod tests;
