//! Encoding: columns to keys. One column without NULLs has a loop of its own; everything else goes
//! row by row over prepared readers. Nothing is allocated per row.

use super::word::{WORD_KEY_BYTES, WordHasher};
use super::{EncodedKeys, KeyHasher, NULL_BIT, tag_of};
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};

/// Appends the keys of `rows` rows and their hashes. `out` has been cleared.
pub(super) fn encode(columns: &[ArrayRef], rows: usize, hasher: KeyHasher, out: &mut EncodedKeys) {
    let readers: Vec<Reader> = columns.iter().map(Reader::new).collect();
    match readers.as_slice() {
        [Reader { tag, nulls: None, values: Values::I64(values) }] => {
            encode_words_64(*tag, values, hasher, out);
        }
        [Reader { tag, nulls: None, values: Values::I32(values) }] => {
            encode_words_32(*tag, values, hasher, out);
        }
        [Reader { tag, nulls: None, values: Values::Bytes(offsets, data) }] => {
            encode_strings(*tag, offsets, data, hasher, out);
        }
        _ => encode_rows(&readers, rows, hasher, out),
    }
}

/// Hot: one column of 8 bytes without NULLs.
fn encode_words_64(tag: u8, values: &[i64], hasher: KeyHasher, out: &mut EncodedKeys) {
    let word_hasher = WordHasher::new(tag, hasher);
    out.bytes.resize(values.len() * WORD_KEY_BYTES, 0);
    for (key, &value) in out.bytes.chunks_exact_mut(WORD_KEY_BYTES).zip(values) {
        key[0] = tag;
        key[1..].copy_from_slice(&value.to_le_bytes());
    }
    out.hashes.extend(values.iter().map(|&value| word_hasher.hash(value)));
    out.offsets.extend((1..=values.len()).map(|row| offset(row * WORD_KEY_BYTES)));
}

/// Hot: one column of 4 bytes without NULLs.
fn encode_words_32(tag: u8, values: &[i32], hasher: KeyHasher, out: &mut EncodedKeys) {
    const KEY_BYTES: usize = 5;
    out.bytes.resize(values.len() * KEY_BYTES, 0);
    for (key, &value) in out.bytes.chunks_exact_mut(KEY_BYTES).zip(values) {
        key[0] = tag;
        key[1..].copy_from_slice(&value.to_le_bytes());
        out.hashes.push(hasher.hash(key));
    }
    out.offsets.extend((1..=values.len()).map(|row| offset(row * KEY_BYTES)));
}

/// Hot: one column of strings without NULLs.
fn encode_strings(tag: u8, offsets: &[i32], data: &[u8], hasher: KeyHasher, out: &mut EncodedKeys) {
    for bounds in offsets.windows(2) {
        let start = out.bytes.len();
        out.bytes.push(tag);
        push_string(&data[index(bounds[0])..index(bounds[1])], &mut out.bytes);
        close_row(start, hasher, out);
    }
}

/// Hot: any columns, row by row.
fn encode_rows(readers: &[Reader], rows: usize, hasher: KeyHasher, out: &mut EncodedKeys) {
    for row in 0..rows {
        let start = out.bytes.len();
        for reader in readers {
            reader.append(row, &mut out.bytes);
        }
        close_row(start, hasher, out);
    }
}

fn close_row(start: usize, hasher: KeyHasher, out: &mut EncodedKeys) {
    out.hashes.push(hasher.hash(&out.bytes[start..]));
    out.offsets.push(offset(out.bytes.len()));
}

fn push_string(value: &[u8], bytes: &mut Vec<u8>) {
    let length = u32::try_from(value.len()).expect("Arrow's string offsets are 32 bits wide");
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(value);
}

fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("the keys of one batch fit in 4 GiB")
}

fn index(offset: i32) -> usize {
    usize::try_from(offset).expect("Arrow's offsets are not negative")
}

/// One key column, ready to be read at any row.
struct Reader<'a> {
    tag: u8,
    nulls: Option<&'a NullBuffer>,
    values: Values<'a>,
}

/// A column's values by their bytes, whatever their meaning.
enum Values<'a> {
    Boolean(&'a BooleanBuffer),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    I128(&'a [i128]),
    F32(&'a [f32]),
    F64(&'a [f64]),
    Bytes(&'a [i32], &'a [u8]),
    Row(Vec<Reader<'a>>),
    List(&'a [i32], Box<Reader<'a>>),
}

impl<'a> Reader<'a> {
    fn new(column: &'a ArrayRef) -> Reader<'a> {
        let tag = tag_of(column.data_type()).expect("`KeyEncoder::new` checked the types");
        let nulls = column.nulls().filter(|nulls| nulls.null_count() > 0);
        Reader { tag, nulls, values: Values::new(column) }
    }

    #[inline]
    fn append(&self, row: usize, bytes: &mut Vec<u8>) {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            bytes.push(self.tag | NULL_BIT);
        } else {
            bytes.push(self.tag);
            self.values.append(row, bytes);
        }
    }
}

impl<'a> Values<'a> {
    fn new(column: &'a ArrayRef) -> Values<'a> {
        use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        match column.data_type() {
            DataType::Boolean => Values::Boolean(column.as_boolean().values()),
            DataType::Int8 => Values::I8(column.as_primitive::<Int8Type>().values()),
            DataType::Int16 => Values::I16(column.as_primitive::<Int16Type>().values()),
            DataType::Int32 => Values::I32(column.as_primitive::<Int32Type>().values()),
            DataType::Int64 => Values::I64(column.as_primitive::<Int64Type>().values()),
            DataType::Float32 => Values::F32(column.as_primitive::<Float32Type>().values()),
            DataType::Float64 => Values::F64(column.as_primitive::<Float64Type>().values()),
            DataType::Decimal128(..) => {
                Values::I128(column.as_primitive::<Decimal128Type>().values())
            }
            DataType::Utf8 => {
                let strings = column.as_string::<i32>();
                Values::Bytes(strings.value_offsets(), strings.value_data())
            }
            DataType::Binary => {
                let strings = column.as_binary::<i32>();
                Values::Bytes(strings.value_offsets(), strings.value_data())
            }
            DataType::Date32 => Values::I32(column.as_primitive::<Date32Type>().values()),
            DataType::Time32(Second) => {
                Values::I32(column.as_primitive::<Time32SecondType>().values())
            }
            DataType::Time32(_) => {
                Values::I32(column.as_primitive::<Time32MillisecondType>().values())
            }
            DataType::Time64(Microsecond) => {
                Values::I64(column.as_primitive::<Time64MicrosecondType>().values())
            }
            DataType::Time64(_) => {
                Values::I64(column.as_primitive::<Time64NanosecondType>().values())
            }
            DataType::Timestamp(unit, _) => Values::I64(match unit {
                Second => column.as_primitive::<TimestampSecondType>().values(),
                Millisecond => column.as_primitive::<TimestampMillisecondType>().values(),
                Microsecond => column.as_primitive::<TimestampMicrosecondType>().values(),
                Nanosecond => column.as_primitive::<TimestampNanosecondType>().values(),
            }),
            DataType::Struct(_) => {
                Values::Row(column.as_struct().columns().iter().map(Reader::new).collect())
            }
            DataType::List(_) => {
                let list = column.as_list::<i32>();
                Values::List(list.value_offsets(), Box::new(Reader::new(list.values())))
            }
            other => unreachable!("`KeyEncoder::new` refuses {other}"),
        }
    }

    #[inline]
    fn append(&self, row: usize, bytes: &mut Vec<u8>) {
        match self {
            Values::Boolean(values) => bytes.push(u8::from(values.value(row))),
            Values::I8(values) => bytes.extend_from_slice(&values[row].to_le_bytes()),
            Values::I16(values) => bytes.extend_from_slice(&values[row].to_le_bytes()),
            Values::I32(values) => bytes.extend_from_slice(&values[row].to_le_bytes()),
            Values::I64(values) => bytes.extend_from_slice(&values[row].to_le_bytes()),
            Values::I128(values) => bytes.extend_from_slice(&values[row].to_le_bytes()),
            Values::F32(values) => {
                bytes.extend_from_slice(&canonical_f32(values[row]).to_le_bytes());
            }
            Values::F64(values) => {
                bytes.extend_from_slice(&canonical_f64(values[row]).to_le_bytes());
            }
            Values::Bytes(offsets, data) => {
                push_string(&data[index(offsets[row])..index(offsets[row + 1])], bytes);
            }
            Values::Row(fields) => fields.iter().for_each(|field| field.append(row, bytes)),
            Values::List(offsets, items) => {
                let (first, last) = (index(offsets[row]), index(offsets[row + 1]));
                bytes.extend_from_slice(&offset(last - first).to_le_bytes());
                (first..last).for_each(|item| items.append(item, bytes));
            }
        }
    }
}

/// The bits of `value`, with one zero and one NaN.
fn canonical_f32(value: f32) -> u32 {
    if value == 0.0 {
        0
    } else if value.is_nan() {
        0x7fc0_0000
    } else {
        value.to_bits()
    }
}

/// The bits of `value`, with one zero and one NaN.
fn canonical_f64(value: f64) -> u64 {
    if value == 0.0 {
        0
    } else if value.is_nan() {
        0x7ff8_0000_0000_0000
    } else {
        value.to_bits()
    }
}
