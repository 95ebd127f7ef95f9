//! Columns as lane values: integers of every width, times and Booleans as 64-bit integers, floats as
//! doubles or, to be compared, as integers in the same order.

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use std::borrow::Cow;

/// The column's values as integers with the column's order; what stands at NULLs is meaningless.
pub(super) fn ints_of(column: &ArrayRef) -> Cow<'_, [i64]> {
    use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
    macro_rules! wide {
        ($type:ty) => {
            Cow::Borrowed(column.as_primitive::<$type>().values().as_ref())
        };
    }
    macro_rules! mapped {
        ($type:ty, $map:expr) => {
            Cow::Owned(column.as_primitive::<$type>().values().iter().map($map).collect())
        };
    }
    match column.data_type() {
        DataType::Int8 => mapped!(Int8Type, |&value| i64::from(value)),
        DataType::Int16 => mapped!(Int16Type, |&value| i64::from(value)),
        DataType::Int32 => mapped!(Int32Type, |&value| i64::from(value)),
        DataType::Date32 => mapped!(Date32Type, |&value| i64::from(value)),
        DataType::Time32(Second) => mapped!(Time32SecondType, |&value| i64::from(value)),
        DataType::Time32(_) => mapped!(Time32MillisecondType, |&value| i64::from(value)),
        DataType::Float32 => mapped!(Float32Type, |&value| ordered_image(f64::from(value))),
        DataType::Float64 => mapped!(Float64Type, |&value| ordered_image(value)),
        DataType::Boolean => {
            Cow::Owned(column.as_boolean().values().iter().map(i64::from).collect())
        }
        DataType::Int64 => wide!(Int64Type),
        DataType::Time64(Microsecond) => wide!(Time64MicrosecondType),
        DataType::Time64(_) => wide!(Time64NanosecondType),
        DataType::Timestamp(Second, _) => wide!(TimestampSecondType),
        DataType::Timestamp(Millisecond, _) => wide!(TimestampMillisecondType),
        DataType::Timestamp(Microsecond, _) => wide!(TimestampMicrosecondType),
        DataType::Timestamp(Nanosecond, _) => wide!(TimestampNanosecondType),
        other => unreachable!("the plan lets no {other} through"),
    }
}

/// The values of a column of floats as doubles.
pub(super) fn floats_of(column: &ArrayRef) -> Cow<'_, [f64]> {
    match column.data_type() {
        DataType::Float32 => {
            let values = column.as_primitive::<Float32Type>().values();
            Cow::Owned(values.iter().map(|&value| f64::from(value)).collect())
        }
        _ => Cow::Borrowed(column.as_primitive::<Float64Type>().values().as_ref()),
    }
}

/// The unscaled values of a column of decimals.
pub(super) fn decimals_of(column: &ArrayRef) -> &[i128] {
    column.as_primitive::<Decimal128Type>().values()
}

/// A column of strings or bytes as bytes, without copying.
pub(super) fn bytes_of(column: &ArrayRef) -> BinaryArray {
    match column.data_type() {
        DataType::Utf8 => BinaryArray::from(column.as_string::<i32>().clone()),
        _ => column.as_binary::<i32>().clone(),
    }
}

/// The integer that compares with others as `value` does with other doubles: −0.0 before 0.0, and
/// all NaNs as one, behind everything.
pub(super) fn ordered_image(value: f64) -> i64 {
    let value = if value.is_nan() { f64::NAN } else { value };
    reorder(value.to_bits().cast_signed())
}

/// The double whose image is `image`.
pub(super) fn from_ordered_image(image: i64) -> f64 {
    f64::from_bits(reorder(image).cast_unsigned())
}

/// Turns the order of negative numbers round. Its own inverse.
fn reorder(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// Rows that count: the argument is not NULL and the filter is true; `None` for all.
pub(super) fn selection(
    columns: &[ArrayRef],
    argument: Option<usize>,
    filter: Option<usize>,
) -> Option<BooleanBuffer> {
    let present = argument
        .and_then(|column| columns[column].logical_nulls())
        .filter(|nulls| nulls.null_count() > 0)
        .map(|nulls| nulls.inner().clone());
    let passing = filter.map(|column| {
        let mask = columns[column].as_boolean();
        match mask.nulls() {
            Some(nulls) => mask.values() & nulls.inner(),
            None => mask.values().clone(),
        }
    });
    match (present, passing) {
        (Some(present), Some(passing)) => Some(&present & &passing),
        (present, passing) => present.or(passing),
    }
}
