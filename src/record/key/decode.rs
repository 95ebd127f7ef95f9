//! Decoding: keys back to columns. The bytes may come from a journal, so nothing is believed: a key
//! that is not exactly what the encoder writes is an error, and no length allocates by itself.

use super::{NULL_BIT, tag_of};
use arrow::array::{ArrayData, ArrayRef, BooleanBufferBuilder, make_array};
use arrow::buffer::{Buffer, MutableBuffer, NullBuffer};
use arrow::datatypes::DataType;
use std::fmt;

/// A key that is not what the encoder writes for its types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CorruptKey {
    /// Which of the keys, from 0.
    pub row: usize,
    /// What is wrong with it.
    pub reason: &'static str,
}

// Values are copied as they lie in the key.
const _: () = assert!(cfg!(target_endian = "little"));

/// The columns of `keys`.
pub(super) fn decode<'a>(
    types: &[DataType],
    keys: impl Iterator<Item = &'a [u8]>,
) -> Result<Vec<ArrayRef>, CorruptKey> {
    let rows = keys.size_hint().0;
    let mut columns: Vec<Column> =
        types.iter().map(|data_type| Column::new(data_type, rows)).collect();
    for (row, mut key) in keys.enumerate() {
        let corrupt = |reason| CorruptKey { row, reason };
        for column in &mut columns {
            column.append(&mut key).map_err(corrupt)?;
        }
        if !key.is_empty() {
            return Err(corrupt("bytes after the last column"));
        }
    }
    columns.into_iter().map(Column::finish).collect()
}

/// One column being built.
struct Column {
    data_type: DataType,
    tag: u8,
    valid: BooleanBufferBuilder,
    values: Values,
}

/// Values read so far.
enum Values {
    Boolean(BooleanBufferBuilder),
    Fixed { width: usize, bytes: MutableBuffer },
    Bytes { offsets: Vec<i32>, bytes: Vec<u8>, utf8: bool },
    Row(Vec<Column>),
    List { offsets: Vec<i32>, items: Box<Column> },
}

impl Column {
    fn new(data_type: &DataType, rows: usize) -> Column {
        let values = match data_type {
            DataType::Boolean => Values::Boolean(BooleanBufferBuilder::new(rows)),
            DataType::Utf8 | DataType::Binary => {
                let utf8 = *data_type == DataType::Utf8;
                Values::Bytes { offsets: vec![0], bytes: Vec::new(), utf8 }
            }
            DataType::Struct(fields) => Values::Row(
                fields.iter().map(|field| Column::new(field.data_type(), rows)).collect(),
            ),
            DataType::List(item) => {
                let items = Box::new(Column::new(item.data_type(), rows));
                Values::List { offsets: vec![0], items }
            }
            fixed => {
                let width = fixed.primitive_width().expect("the other key types are primitive");
                Values::Fixed { width, bytes: MutableBuffer::new(rows * width) }
            }
        };
        let tag = tag_of(data_type).expect("`KeyEncoder::new` checked the types");
        let valid = BooleanBufferBuilder::new(rows);
        Column { data_type: data_type.clone(), tag, valid, values }
    }

    /// Takes this column's part from the front of `key`.
    fn append(&mut self, key: &mut &[u8]) -> Result<(), &'static str> {
        let [lead] = take(key)?;
        if lead & !NULL_BIT != self.tag {
            return Err("a column of another type");
        }
        let valid = lead & NULL_BIT == 0;
        self.valid.append(valid);
        if valid {
            return self.values.append(key);
        }
        self.values.append_null();
        Ok(())
    }

    /// Appends NULL, where the row around it is.
    fn append_null(&mut self) {
        self.valid.append(false);
        self.values.append_null();
    }

    fn finish(mut self) -> Result<ArrayRef, CorruptKey> {
        let nulls = NullBuffer::new(self.valid.finish());
        let rows = nulls.len();
        let builder = ArrayData::builder(self.data_type).len(rows).nulls(Some(nulls));
        let builder = match self.values {
            Values::Boolean(mut bits) => builder.add_buffer(bits.finish().into_inner()),
            Values::Fixed { bytes, .. } => builder.add_buffer(bytes.into()),
            Values::Bytes { offsets, bytes, .. } => {
                builder.add_buffer(Buffer::from_vec(offsets)).add_buffer(Buffer::from_vec(bytes))
            }
            Values::Row(fields) => {
                let fields = fields.into_iter().map(Column::finish);
                let fields = fields.map(|field| field.map(|field| field.to_data()));
                builder.child_data(fields.collect::<Result<_, _>>()?)
            }
            Values::List { offsets, items } => builder
                .add_buffer(Buffer::from_vec(offsets))
                .add_child_data(items.finish()?.to_data()),
        };
        // Arrow checks what is checked above and, for decimals and times, nothing more.
        let data =
            builder.build().map_err(|_| CorruptKey { row: 0, reason: "values Arrow refuses" })?;
        Ok(make_array(data))
    }
}

impl Values {
    fn append(&mut self, key: &mut &[u8]) -> Result<(), &'static str> {
        match self {
            Values::Boolean(bits) => match take(key)? {
                [byte @ (0 | 1)] => bits.append(byte == 1),
                _ => return Err("a BOOLEAN that is neither 0 nor 1"),
            },
            Values::Fixed { width, bytes } => {
                bytes.extend_from_slice(take_slice(key, *width)?);
            }
            Values::Bytes { offsets, bytes, utf8 } => {
                let length = u32::from_le_bytes(take(key)?);
                let value = take_slice(key, length as usize)?;
                if *utf8 && std::str::from_utf8(value).is_err() {
                    return Err("a STRING that is not UTF-8");
                }
                bytes.extend_from_slice(value);
                offsets.push(i32::try_from(bytes.len()).map_err(|_| "more than 2 GiB of text")?);
            }
            Values::Row(fields) => {
                for field in fields {
                    field.append(key)?;
                }
            }
            Values::List { offsets, items } => {
                // Each element takes a byte at least: the key's length bounds the loop.
                for _ in 0..u32::from_le_bytes(take(key)?) {
                    items.append(key)?;
                }
                let end = i32::try_from(items.valid.len());
                offsets.push(end.map_err(|_| "more than 2 G elements")?);
            }
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match self {
            Values::Boolean(bits) => bits.append(false),
            Values::Fixed { width, bytes } => bytes.extend_zeros(*width),
            Values::Bytes { offsets, .. } | Values::List { offsets, .. } => {
                offsets.push(*offsets.last().expect("offsets begin with 0"));
            }
            Values::Row(fields) => fields.iter_mut().for_each(Column::append_null),
        }
    }
}

fn take<const N: usize>(key: &mut &[u8]) -> Result<[u8; N], &'static str> {
    let (first, rest) = key.split_first_chunk::<N>().ok_or("the key ends early")?;
    *key = rest;
    Ok(*first)
}

fn take_slice<'a>(key: &mut &'a [u8], length: usize) -> Result<&'a [u8], &'static str> {
    let (first, rest) = key.split_at_checked(length).ok_or("the key ends early")?;
    *key = rest;
    Ok(first)
}

impl fmt::Display for CorruptKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "key {}: {}", self.row, self.reason)
    }
}

impl std::error::Error for CorruptKey {}
