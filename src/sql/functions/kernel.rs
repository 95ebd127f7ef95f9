//! Access to arguments, and results built without an allocation per row.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, PrimitiveArray, StringArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowPrimitiveType, DataType, Int64Type};
use datafusion_common::{Result as PlanResult, ScalarValue, exec_datafusion_err};
use datafusion_expr::ColumnarValue;

use super::super::cast::cast;
use super::super::eval::{Call, Kernel, Physical, Typed};
use super::super::types::{SqlType, is_integer, is_number};
use super::{BindOptions, wrong_argument};
use std::sync::Arc;

/// A STRING argument.
pub(super) enum Strings<'a> {
    Constant(Option<&'a str>),
    Column(&'a StringArray),
}

impl<'a> Strings<'a> {
    /// Of an argument bound as STRING.
    pub(super) fn of(value: &'a ColumnarValue) -> Strings<'a> {
        match value {
            ColumnarValue::Array(array) => Strings::Column(array.as_string::<i32>()),
            ColumnarValue::Scalar(value) => Strings::Constant(value.try_as_str().flatten()),
        }
    }

    /// The text of a row; `None` for NULL.
    pub(super) fn get(&self, row: usize) -> Option<&'a str> {
        match self {
            Strings::Constant(value) => *value,
            Strings::Column(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }

    /// Bytes of all rows, to size the result.
    fn bytes(&self) -> usize {
        match self {
            Strings::Constant(value) => value.map_or(0, str::len),
            Strings::Column(array) => array.value_data().len(),
        }
    }
}

/// A numeric or time argument.
pub(super) enum Numbers<'a, T: ArrowPrimitiveType> {
    Constant(Option<T::Native>),
    Column(&'a PrimitiveArray<T>),
}

impl<'a, T: ArrowPrimitiveType> Numbers<'a, T> {
    /// Of an argument bound as the type `T` stands for.
    pub(super) fn of(value: &'a ColumnarValue) -> PlanResult<Numbers<'a, T>> {
        Ok(match value {
            ColumnarValue::Array(array) => Numbers::Column(array.as_primitive::<T>()),
            ColumnarValue::Scalar(value) => {
                let array = value.to_array()?;
                let only = array.as_primitive::<T>();
                Numbers::Constant(only.is_valid(0).then(|| only.value(0)))
            }
        })
    }

    /// The value of a row; `None` for NULL.
    pub(super) fn get(&self, row: usize) -> Option<T::Native> {
        match self {
            Numbers::Constant(value) => *value,
            Numbers::Column(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}

/// A STRING or BYTES argument.
pub(super) enum Bytes<'a> {
    Constant(Option<&'a [u8]>),
    Text(&'a StringArray),
    Column(&'a BinaryArray),
}

impl<'a> Bytes<'a> {
    /// Of an argument bound by [`bytes_argument`].
    pub(super) fn of(value: &'a ColumnarValue) -> Bytes<'a> {
        match value {
            ColumnarValue::Array(array) => match array.as_string_opt::<i32>() {
                Some(texts) => Bytes::Text(texts),
                None => Bytes::Column(array.as_binary::<i32>()),
            },
            ColumnarValue::Scalar(ScalarValue::Binary(value)) => Bytes::Constant(value.as_deref()),
            ColumnarValue::Scalar(value) => {
                Bytes::Constant(value.try_as_str().flatten().map(str::as_bytes))
            }
        }
    }

    /// The bytes of a row; `None` for NULL.
    pub(super) fn get(&self, row: usize) -> Option<&'a [u8]> {
        match self {
            Bytes::Constant(value) => *value,
            Bytes::Text(array) => array.is_valid(row).then(|| array.value(row).as_bytes()),
            Bytes::Column(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}

/// A STRING per row: `one` appends a row's text, or says `None` for NULL.
pub(super) fn build_text(
    rows: usize,
    bytes: usize,
    mut one: impl FnMut(usize, &mut String) -> Option<()>,
) -> PlanResult<ArrayRef> {
    try_build_text(rows, bytes, |row, out| Ok(one(row, out)))
}

/// [`build_text`] where `one` may fail.
pub(super) fn try_build_text(
    rows: usize,
    bytes: usize,
    mut one: impl FnMut(usize, &mut String) -> PlanResult<Option<()>>,
) -> PlanResult<ArrayRef> {
    let mut values = String::with_capacity(bytes);
    let mut offsets = Vec::with_capacity(rows + 1);
    let mut valid = Vec::new();
    offsets.push(0_i32);
    for row in 0..rows {
        let start = values.len();
        if one(row, &mut values)?.is_none() {
            values.truncate(start);
            valid.resize(row, true);
            valid.push(false);
        }
        let end = i32::try_from(values.len())
            .map_err(|_| exec_datafusion_err!("the texts of one batch exceed 2 GiB"))?;
        offsets.push(end);
    }
    let nulls = (!valid.is_empty()).then(|| {
        valid.resize(rows, true);
        NullBuffer::from(valid)
    });
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    Ok(Arc::new(StringArray::try_new(offsets, values.into_bytes().into(), nulls)?))
}

/// A kernel of one STRING: NULL stays NULL.
pub(super) fn map_text(
    one: impl Fn(&str, &mut String) -> Option<()> + Send + Sync + 'static,
) -> Kernel {
    Arc::new(move |arguments, rows| {
        let texts = Strings::of(&arguments[0]);
        build_text(rows, texts.bytes(), |row, out| one(texts.get(row)?, out))
    })
}

/// A number per row.
pub(super) fn build_numbers<T: ArrowPrimitiveType>(
    rows: usize,
    one: impl FnMut(usize) -> Option<T::Native>,
) -> PlanResult<ArrayRef> {
    Ok(Arc::new((0..rows).map(one).collect::<PrimitiveArray<T>>()))
}

/// A number per row, where `one` may fail.
pub(super) fn try_build_numbers<T: ArrowPrimitiveType>(
    rows: usize,
    one: impl FnMut(usize) -> PlanResult<Option<T::Native>>,
) -> PlanResult<ArrayRef> {
    Ok(Arc::new((0..rows).map(one).collect::<PlanResult<PrimitiveArray<T>>>()?))
}

/// A BOOLEAN per row.
pub(super) fn build_booleans(
    rows: usize,
    one: impl FnMut(usize) -> Option<bool>,
) -> PlanResult<ArrayRef> {
    Ok(Arc::new((0..rows).map(one).collect::<BooleanArray>()))
}

/// A BYTES per row: `one` appends a row's bytes, or says `None` for NULL.
pub(super) fn try_build_bytes(
    rows: usize,
    mut one: impl FnMut(usize, &mut Vec<u8>) -> PlanResult<Option<()>>,
) -> PlanResult<ArrayRef> {
    let mut values = Vec::new();
    let mut offsets = Vec::with_capacity(rows + 1);
    let mut valid = Vec::with_capacity(rows);
    offsets.push(0_i32);
    for row in 0..rows {
        let start = values.len();
        let made = one(row, &mut values)?.is_some();
        if !made {
            values.truncate(start);
        }
        valid.push(made);
        let end = i32::try_from(values.len())
            .map_err(|_| exec_datafusion_err!("the values of one batch exceed 2 GiB"))?;
        offsets.push(end);
    }
    let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
    let nulls = NullBuffer::from(valid);
    let nulls = (nulls.null_count() > 0).then_some(nulls);
    Ok(Arc::new(BinaryArray::try_new(offsets, values.into(), nulls)?))
}

/// A call that gives STRING.
pub(super) fn text_call(name: &str, arguments: Vec<Physical>, kernel: Kernel) -> Typed {
    call(name, arguments, DataType::Utf8, kernel)
}

/// A call that gives `data_type`.
pub(super) fn call(
    name: &str,
    arguments: Vec<Physical>,
    data_type: DataType,
    kernel: Kernel,
) -> Typed {
    Typed::new(Arc::new(Call::new(name, arguments, data_type.clone(), kernel)), data_type)
}

/// A call that gives `data_type` and may fail on some row.
pub(super) fn fallible_call(
    name: &str,
    arguments: Vec<Physical>,
    data_type: DataType,
    kernel: Kernel,
) -> Typed {
    let call = Call::new(name, arguments, data_type.clone(), kernel).fallible();
    Typed::new(Arc::new(call), data_type)
}

/// All arguments as STRING.
pub(super) fn all_strings(arguments: &[Typed]) -> Result<Vec<Physical>, String> {
    (0..arguments.len()).map(|position| string_argument(arguments, position)).collect()
}

/// Argument `position` (from 0), STRING or BYTES.
pub(super) fn bytes_argument(arguments: &[Typed], position: usize) -> Result<Physical, String> {
    match arguments[position].data_type {
        DataType::Binary => Ok(Arc::clone(&arguments[position].expr)),
        _ => string_argument(arguments, position),
    }
}

/// Argument `position` (from 0), a number, as DOUBLE.
pub(super) fn double_argument(
    arguments: &[Typed],
    position: usize,
    options: &BindOptions,
) -> Result<Physical, String> {
    let given = arguments[position].clone();
    if !is_number(&given.data_type) {
        return Err(wrong_argument(position + 1, "a number", &given.data_type));
    }
    Ok(cast(given, &SqlType::plain(DataType::Float64), false, options)?.expr)
}

/// Argument `position` (from 0) as STRING.
pub(super) fn string_argument(arguments: &[Typed], position: usize) -> Result<Physical, String> {
    let given = &arguments[position];
    match given.data_type {
        DataType::Utf8 => Ok(Arc::clone(&given.expr)),
        DataType::Null => Ok(Typed::constant(ScalarValue::Utf8(None)).expr),
        _ => Err(wrong_argument(position + 1, "STRING", &given.data_type)),
    }
}

/// Argument `position` (from 0), an integer, as BIGINT.
pub(super) fn integer_argument(
    arguments: &[Typed],
    position: usize,
    options: &BindOptions,
) -> Result<Physical, String> {
    let given = arguments[position].clone();
    if !is_integer(&given.data_type) && given.data_type != DataType::Null {
        return Err(wrong_argument(position + 1, "an integer", &given.data_type));
    }
    Ok(cast(given, &SqlType::plain(DataType::Int64), false, options)?.expr)
}

/// The constant integer of argument `position`, if it is one.
pub(super) fn integer_constant(typed: &Typed) -> Option<i64> {
    match typed.literal()? {
        ScalarValue::Int8(value) => value.map(i64::from),
        ScalarValue::Int16(value) => value.map(i64::from),
        ScalarValue::Int32(value) => value.map(i64::from),
        ScalarValue::Int64(value) => *value,
        _ => None,
    }
}

/// BIGINT arguments.
pub(super) type Integers<'a> = Numbers<'a, Int64Type>;
