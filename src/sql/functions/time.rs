//! Functions of time: the clock per record, parts of a time, and times as text.
//!
//! Read: `unit` (units and their names) · `part` (EXTRACT and its short forms) · `round` (FLOOR and
//! CEIL) · `between` (TIMESTAMPADD, TIMESTAMPDIFF, OVERLAPS) · `text` (to and from STRING).
//!
//! Flink divides times before 1970 towards 1970 in some places; so do these.

mod between;
mod part;
mod round;
mod text;
mod unit;
mod zone;

use arrow::array::{ArrayRef, AsArray, Int64Array};
use arrow::datatypes::{DataType, Int32Type, TimeUnit};
use datafusion_common::Result as PlanResult;
use datafusion_expr::ColumnarValue;
use std::sync::Arc;

use super::super::cast::cast;
use super::super::eval::{Clock, Typed, clock_type};
use super::super::types::{Bound as TypeBound, SqlType};
use super::{BindOptions, Scalar};

pub(in crate::sql) use between::moved_by;
pub(super) use round::round_time;

type Bound = Result<Typed, String>;

pub(super) fn scalars() -> impl Iterator<Item = &'static Scalar> {
    [CLOCKS, part::SCALARS, between::SCALARS, text::SCALARS].into_iter().flatten()
}

const CLOCKS: &[Scalar] = &[
    Scalar { name: "CURRENT_TIMESTAMP", arguments: (0, 0), bind: now },
    Scalar { name: "NOW", arguments: (0, 0), bind: now },
    Scalar { name: "CURRENT_ROW_TIMESTAMP", arguments: (0, 0), bind: now },
    Scalar { name: "PROCTIME", arguments: (0, 0), bind: now },
    Scalar { name: "LOCALTIMESTAMP", arguments: (0, 0), bind: local_now },
    Scalar { name: "LOCALTIME", arguments: (0, 0), bind: time_of_day },
    Scalar { name: "CURRENT_TIME", arguments: (0, 0), bind: time_of_day },
    Scalar { name: "CURRENT_DATE", arguments: (0, 0), bind: today },
];

fn now(_: Vec<Typed>, _: &BindOptions) -> Bound {
    Ok(Typed::new(Arc::new(Clock), clock_type()))
}

fn local_now(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let local = DataType::Timestamp(TimeUnit::Millisecond, None);
    cast(now(arguments, options)?, &SqlType::plain(local), false, options)
}

fn today(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    cast(now(arguments, options)?, &SqlType::plain(DataType::Date32), false, options)
}

/// TIME(0) in the session's zone.
fn time_of_day(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let data_type = DataType::Time32(TimeUnit::Millisecond);
    let seconds = SqlType { data_type, bound: Some(TypeBound::Digits(0)) };
    cast(now(arguments, options)?, &seconds, false, options)
}

/// A time as the number it is kept as.
fn numbers(value: &ColumnarValue, rows: usize) -> PlanResult<Int64Array> {
    let array = value.clone().into_array(rows)?;
    let array = match array.data_type() {
        // Not through the calendar of Arrow: a DATE is days, a TIME milliseconds.
        DataType::Date32 | DataType::Time32(_) => arrow::compute::cast(&array, &DataType::Int32)?,
        _ => array,
    };
    match array.data_type() {
        DataType::Int32 => Ok(array.as_primitive::<Int32Type>().unary(i64::from)),
        _ => Ok(arrow::compute::cast(&array, &DataType::Int64)?
            .as_primitive::<arrow::datatypes::Int64Type>()
            .clone()),
    }
}

/// Numbers as times of `data_type`.
fn times(numbers: Int64Array, data_type: &DataType) -> PlanResult<ArrayRef> {
    let numbers: ArrayRef = match data_type {
        DataType::Date32 | DataType::Time32(_) => {
            let narrow = numbers.unary_opt::<_, Int32Type>(|number| i32::try_from(number).ok());
            Arc::new(narrow)
        }
        _ => Arc::new(numbers),
    };
    Ok(arrow::compute::cast(&numbers, data_type)?)
}

/// Units of a second's thousandth that a timestamp counts.
fn per_milli(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second | TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1_000_000,
    }
}
