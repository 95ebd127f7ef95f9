//! A column downcast once per batch.

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, StringArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Fields, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};

/// One column of a batch.
pub(super) struct View<'a> {
    nulls: Option<&'a NullBuffer>,
    pub(super) values: Values<'a>,
}

/// Its values by type; where a row is NULL, anything.
pub(super) enum Values<'a> {
    Boolean(&'a BooleanBuffer),
    I8(&'a [i8]),
    I16(&'a [i16]),
    I32(&'a [i32]),
    I64(&'a [i64]),
    F32(&'a [f32]),
    F64(&'a [f64]),
    Decimal(&'a [i128], i8),
    Text(&'a StringArray),
    Bytes(&'a BinaryArray),
    Date(&'a [i32]),
    Time32(&'a [i32], TimeUnit),
    Time64(&'a [i64], TimeUnit),
    /// True when the type is TIMESTAMP_LTZ.
    Timestamp(&'a [i64], TimeUnit, bool),
    /// Row `i` is items `offsets[i]..offsets[i + 1]`.
    List(&'a [i32], Box<View<'a>>),
    /// As `List`, of keys and values.
    Map(&'a [i32], Box<[View<'a>; 2]>),
    Struct(&'a Fields, Vec<View<'a>>),
}

impl<'a> View<'a> {
    /// A column of a type that `types::is_scalar_or_nested` accepts.
    pub(super) fn new(column: &'a ArrayRef) -> View<'a> {
        View { nulls: column.nulls(), values: Values::new(column) }
    }

    #[inline]
    pub(super) fn is_valid(&self, row: usize) -> bool {
        self.nulls.is_none_or(|nulls| nulls.is_valid(row))
    }
}

impl<'a> Values<'a> {
    fn new(column: &'a ArrayRef) -> Values<'a> {
        match column.data_type() {
            DataType::Boolean => Values::Boolean(column.as_boolean().values()),
            DataType::Int8 => Values::I8(slice::<Int8Type>(column)),
            DataType::Int16 => Values::I16(slice::<Int16Type>(column)),
            DataType::Int32 => Values::I32(slice::<Int32Type>(column)),
            DataType::Int64 => Values::I64(slice::<Int64Type>(column)),
            DataType::Float32 => Values::F32(slice::<Float32Type>(column)),
            DataType::Float64 => Values::F64(slice::<Float64Type>(column)),
            DataType::Decimal128(_, scale) => {
                Values::Decimal(slice::<Decimal128Type>(column), *scale)
            }
            DataType::Utf8 => Values::Text(column.as_string()),
            DataType::Binary => Values::Bytes(column.as_binary()),
            DataType::Date32 => Values::Date(slice::<Date32Type>(column)),
            DataType::Time32(unit) => Values::Time32(time32(column, *unit), *unit),
            DataType::Time64(unit) => Values::Time64(time64(column, *unit), *unit),
            DataType::Timestamp(unit, zone) => {
                Values::Timestamp(timestamp(column, *unit), *unit, zone.is_some())
            }
            DataType::List(_) => {
                let list = column.as_list::<i32>();
                Values::List(list.value_offsets(), Box::new(View::new(list.values())))
            }
            DataType::Map(..) => {
                let map = column.as_map();
                let parts = [View::new(map.keys()), View::new(map.values())];
                Values::Map(map.value_offsets(), Box::new(parts))
            }
            DataType::Struct(fields) => {
                let parts = column.as_struct().columns();
                Values::Struct(fields, parts.iter().map(View::new).collect())
            }
            other => unreachable!("{other} was refused when the encoder was built"),
        }
    }
}

fn slice<T: ArrowPrimitiveType>(column: &ArrayRef) -> &[T::Native] {
    column.as_primitive::<T>().values()
}

fn time32(column: &ArrayRef, unit: TimeUnit) -> &[i32] {
    match unit {
        TimeUnit::Second => slice::<Time32SecondType>(column),
        _ => slice::<Time32MillisecondType>(column),
    }
}

fn time64(column: &ArrayRef, unit: TimeUnit) -> &[i64] {
    match unit {
        TimeUnit::Microsecond => slice::<Time64MicrosecondType>(column),
        _ => slice::<Time64NanosecondType>(column),
    }
}

fn timestamp(column: &ArrayRef, unit: TimeUnit) -> &[i64] {
    match unit {
        TimeUnit::Second => slice::<TimestampSecondType>(column),
        TimeUnit::Millisecond => slice::<TimestampMillisecondType>(column),
        TimeUnit::Microsecond => slice::<TimestampMicrosecondType>(column),
        TimeUnit::Nanosecond => slice::<TimestampNanosecondType>(column),
    }
}

/// The empty list that keeps its memory from batch to batch, though each borrows another batch.
pub(super) fn reuse<'to>(mut views: Vec<View<'_>>) -> Vec<View<'to>> {
    views.clear();
    // Collecting in place: the standard library keeps the allocation.
    views.into_iter().map(|_| unreachable!("the list was cleared")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn reuse_keeps_the_memory() {
        let column: ArrayRef = Arc::new(StringArray::from(vec!["a"]));
        let mut views = Vec::with_capacity(16);
        views.push(View::new(&column));
        let (place, capacity) = (views.as_ptr().addr(), views.capacity());
        let reused = reuse(views);
        assert_eq!((reused.as_ptr().addr(), reused.capacity()), (place, capacity));
        assert!(reused.is_empty());
    }
}
