//! Values of one column by physical type, in the vectors that become Arrow's buffers.

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, BooleanBufferBuilder, Decimal128Array,
    ListArray, MapArray, PrimitiveArray, StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use std::sync::Arc;

use super::Column;

/// Values, one per row; where a row is NULL, any.
pub(in crate::format) enum Values {
    Boolean(BooleanBufferBuilder),
    I8(Vec<i8>),
    I16(Vec<i16>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    I128(Vec<i128>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    /// STRING and BYTES. One more offset than rows.
    Bytes {
        offsets: Vec<i32>,
        bytes: Vec<u8>,
    },
    /// ARRAY, MAP and ROW.
    Nested(Box<Nested>),
}

/// Columns inside a column.
#[derive(Debug)]
pub(in crate::format) enum Nested {
    /// ARRAY: row `i` is items `offsets[i]..offsets[i + 1]`.
    List { offsets: Vec<i32>, items: Column },
    /// MAP: as ARRAY, of two columns.
    Map { offsets: Vec<i32>, keys: Column, values: Column },
    /// ROW: one value of each column.
    Struct { columns: Vec<Column>, rows: usize },
}

/// `length` as an offset. Batches are cut long before it overflows (`limits::BATCH_BYTES_MAX`).
#[inline]
pub(in crate::format) fn offset(length: usize) -> i32 {
    i32::try_from(length).expect("a batch has fewer bytes than an offset can count")
}

/// Stands in for values that have been moved out.
pub(super) fn no_bits() -> BooleanBufferBuilder {
    BooleanBufferBuilder::new(0)
}

impl Values {
    pub(super) fn new(data_type: &DataType) -> Values {
        match data_type {
            DataType::Boolean => Values::Boolean(no_bits()),
            DataType::Int8 => Values::I8(Vec::new()),
            DataType::Int16 => Values::I16(Vec::new()),
            DataType::Int32 | DataType::Date32 | DataType::Time32(_) => Values::I32(Vec::new()),
            DataType::Int64 | DataType::Time64(_) | DataType::Timestamp(..) => {
                Values::I64(Vec::new())
            }
            DataType::Decimal128(..) => Values::I128(Vec::new()),
            DataType::Float32 => Values::F32(Vec::new()),
            DataType::Float64 => Values::F64(Vec::new()),
            DataType::Utf8 | DataType::Binary => {
                Values::Bytes { offsets: vec![0], bytes: Vec::new() }
            }
            DataType::List(item) => Values::Nested(Box::new(Nested::List {
                offsets: vec![0],
                items: Column::new(Arc::clone(item)),
            })),
            DataType::Struct(fields) => Values::Nested(Box::new(Nested::Struct {
                columns: fields.iter().cloned().map(Column::new).collect(),
                rows: 0,
            })),
            DataType::Map(entries, _) => Values::Nested(Box::new(Nested::map(entries))),
            other => unreachable!("{other} was refused when the decoder was built"),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Values::Boolean(values) => values.len(),
            Values::I8(values) => values.len(),
            Values::I16(values) => values.len(),
            Values::I32(values) => values.len(),
            Values::I64(values) => values.len(),
            Values::I128(values) => values.len(),
            Values::F32(values) => values.len(),
            Values::F64(values) => values.len(),
            Values::Bytes { offsets, .. } => offsets.len() - 1,
            Values::Nested(nested) => match &**nested {
                Nested::List { offsets, .. } | Nested::Map { offsets, .. } => offsets.len() - 1,
                Nested::Struct { rows, .. } => *rows,
            },
        }
    }

    /// Appends the value that stands where a row is NULL.
    pub(super) fn push_default(&mut self) {
        match self {
            Values::Boolean(values) => values.append(false),
            Values::I8(values) => values.push(0),
            Values::I16(values) => values.push(0),
            Values::I32(values) => values.push(0),
            Values::I64(values) => values.push(0),
            Values::I128(values) => values.push(0),
            Values::F32(values) => values.push(0.0),
            Values::F64(values) => values.push(0.0),
            Values::Bytes { offsets, bytes } => offsets.push(offset(bytes.len())),
            Values::Nested(nested) => nested.push_default(),
        }
    }

    pub(super) fn truncate(&mut self, rows: usize) {
        match self {
            Values::Boolean(values) => values.truncate(rows.min(values.len())),
            Values::I8(values) => values.truncate(rows),
            Values::I16(values) => values.truncate(rows),
            Values::I32(values) => values.truncate(rows),
            Values::I64(values) => values.truncate(rows),
            Values::I128(values) => values.truncate(rows),
            Values::F32(values) => values.truncate(rows),
            Values::F64(values) => values.truncate(rows),
            Values::Bytes { offsets, bytes } => {
                offsets.truncate(rows + 1);
                bytes.truncate(last(offsets));
            }
            Values::Nested(nested) => nested.truncate(rows),
        }
    }

    /// The values as an array of the field's type, and empty values with room for as many.
    pub(super) fn into_array(self, field: &Field, nulls: Option<NullBuffer>) -> (ArrayRef, Values) {
        let data_type = field.data_type();
        match self {
            Values::Boolean(mut values) => {
                let empty = BooleanBufferBuilder::new(values.len());
                (Arc::new(BooleanArray::new(values.finish(), nulls)), Values::Boolean(empty))
            }
            Values::I8(values) => primitive::<Int8Type>(values, nulls, data_type, Values::I8),
            Values::I16(values) => primitive::<Int16Type>(values, nulls, data_type, Values::I16),
            Values::I32(values) => thirty_two_bits(values, nulls, data_type),
            Values::I64(values) => sixty_four_bits(values, nulls, data_type),
            Values::I128(values) => {
                let empty = Vec::with_capacity(values.len());
                let array = Decimal128Array::new(values.into(), nulls);
                (Arc::new(array.with_data_type(data_type.clone())), Values::I128(empty))
            }
            Values::F32(values) => primitive::<Float32Type>(values, nulls, data_type, Values::F32),
            Values::F64(values) => primitive::<Float64Type>(values, nulls, data_type, Values::F64),
            Values::Bytes { offsets, bytes } => bytes_array(offsets, bytes, nulls, data_type),
            Values::Nested(mut nested) => {
                let array = nested.take(data_type, nulls);
                (array, Values::Nested(nested))
            }
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: Vec<T::Native>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
    wrap: fn(Vec<T::Native>) -> Values,
) -> (ArrayRef, Values) {
    let empty = Vec::with_capacity(values.len());
    let mut array = PrimitiveArray::<T>::new(values.into(), nulls);
    // The type may carry a time zone, which `T` does not.
    if *data_type != T::DATA_TYPE {
        array = array.with_data_type(data_type.clone());
    }
    (Arc::new(array), wrap(empty))
}

fn thirty_two_bits(
    values: Vec<i32>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> (ArrayRef, Values) {
    let build = match data_type {
        DataType::Date32 => primitive::<Date32Type>,
        DataType::Time32(TimeUnit::Second) => primitive::<Time32SecondType>,
        DataType::Time32(_) => primitive::<Time32MillisecondType>,
        _ => primitive::<Int32Type>,
    };
    build(values, nulls, data_type, Values::I32)
}

fn sixty_four_bits(
    values: Vec<i64>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> (ArrayRef, Values) {
    let build = match data_type {
        DataType::Time64(TimeUnit::Microsecond) => primitive::<Time64MicrosecondType>,
        DataType::Time64(_) => primitive::<Time64NanosecondType>,
        DataType::Timestamp(TimeUnit::Second, _) => primitive::<TimestampSecondType>,
        DataType::Timestamp(TimeUnit::Millisecond, _) => primitive::<TimestampMillisecondType>,
        DataType::Timestamp(TimeUnit::Microsecond, _) => primitive::<TimestampMicrosecondType>,
        DataType::Timestamp(TimeUnit::Nanosecond, _) => primitive::<TimestampNanosecondType>,
        _ => primitive::<Int64Type>,
    };
    build(values, nulls, data_type, Values::I64)
}

fn bytes_array(
    offsets: Vec<i32>,
    bytes: Vec<u8>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> (ArrayRef, Values) {
    let empty = Values::Bytes {
        offsets: first_offset(offsets.len()),
        bytes: Vec::with_capacity(bytes.len()),
    };
    let (offsets, bytes) = (OffsetBuffer::new(offsets.into()), bytes.into());
    let array: ArrayRef = match data_type {
        DataType::Utf8 => Arc::new(StringArray::new(offsets, bytes, nulls)),
        _ => Arc::new(BinaryArray::new(offsets, bytes, nulls)),
    };
    (array, empty)
}

/// Offsets of no rows, with room for `capacity`.
fn first_offset(capacity: usize) -> Vec<i32> {
    let mut offsets = Vec::with_capacity(capacity);
    offsets.push(0);
    offsets
}

fn last(offsets: &[i32]) -> usize {
    let last = *offsets.last().expect("the first offset is never cut");
    usize::try_from(last).expect("offsets are lengths")
}

impl Nested {
    fn map(entries: &Field) -> Nested {
        let DataType::Struct(fields) = entries.data_type() else {
            unreachable!("a MAP has entries of two fields")
        };
        Nested::Map {
            offsets: vec![0],
            keys: Column::new(Arc::clone(&fields[0])),
            values: Column::new(Arc::clone(&fields[1])),
        }
    }

    fn push_default(&mut self) {
        match self {
            Nested::List { offsets, .. } | Nested::Map { offsets, .. } => {
                offsets.push(*offsets.last().expect("the first offset is never cut"));
            }
            Nested::Struct { columns, rows } => {
                for column in columns {
                    column.push_hidden();
                }
                *rows += 1;
            }
        }
    }

    fn truncate(&mut self, rows: usize) {
        match self {
            Nested::List { offsets, items } => {
                offsets.truncate(rows + 1);
                items.truncate(last(offsets));
            }
            Nested::Map { offsets, keys, values } => {
                offsets.truncate(rows + 1);
                keys.truncate(last(offsets));
                values.truncate(last(offsets));
            }
            Nested::Struct { columns, rows: count } => {
                columns.iter_mut().for_each(|column| column.truncate(rows));
                *count = rows.min(*count);
            }
        }
    }

    fn take(&mut self, data_type: &DataType, nulls: Option<NullBuffer>) -> ArrayRef {
        match (self, data_type) {
            (Nested::List { offsets, items }, DataType::List(item)) => {
                let offsets = std::mem::replace(offsets, first_offset(offsets.len()));
                let offsets = OffsetBuffer::new(offsets.into());
                Arc::new(ListArray::new(Arc::clone(item), offsets, items.take(), nulls))
            }
            (Nested::Map { offsets, keys, values }, DataType::Map(entries, ordered)) => {
                let DataType::Struct(fields) = entries.data_type() else {
                    unreachable!("a MAP has entries of two fields")
                };
                let offsets = std::mem::replace(offsets, first_offset(offsets.len()));
                let parts =
                    StructArray::new(fields.clone(), vec![keys.take(), values.take()], None);
                let offsets = OffsetBuffer::new(offsets.into());
                Arc::new(MapArray::new(Arc::clone(entries), offsets, parts, nulls, *ordered))
            }
            (Nested::Struct { columns, rows }, DataType::Struct(fields)) => {
                let length = std::mem::take(rows);
                if columns.is_empty() {
                    return Arc::new(StructArray::new_empty_fields(length, nulls));
                }
                let parts = columns.iter_mut().map(Column::take).collect();
                Arc::new(StructArray::new(fields.clone(), parts, nulls))
            }
            (_, other) => unreachable!("{other} has other values"),
        }
    }
}

impl Column {
    /// Appends the value of a row whose parent is NULL: NULL itself, where that is allowed.
    fn push_hidden(&mut self) {
        if self.field().is_nullable() {
            let rows = self.len();
            self.values.push_default();
            self.validity.push_null(rows);
        } else {
            self.values.push_default();
            self.mark_valid();
        }
    }
}

impl std::fmt::Debug for Values {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Values({} rows)", self.len())
    }
}
