//! CAST and TRY_CAST with Flink's rules: numbers wrap or saturate as Java's do, text forms are
//! Flink's, what cannot be read fails the row or gives NULL.
//!
//! Read: `text` (values to and from STRING) · `number` (between numbers).

mod number;
mod text;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, TimeUnit};
use chrono_tz::Tz;
use datafusion_common::{Result as PlanResult, ScalarValue};
use datafusion_expr::ColumnarValue;
use std::sync::Arc;

pub(super) use text::parse_timestamp_nanos;

use super::eval::{Call, Kernel, Typed, fold};
use super::functions::BindOptions;
use super::types::{LOCAL_ZONE, Length, SqlType, is_integer, is_number, type_name};

/// `CAST(typed AS to)`; when `lenient`, TRY_CAST.
pub(super) fn cast(
    typed: Typed,
    to: &SqlType,
    lenient: bool,
    options: &BindOptions,
) -> Result<Typed, String> {
    let bounded = to.length;
    let converted = convert(typed, &to.data_type, lenient, options)?;
    Ok(match bounded {
        None | Some(Length::AtMost(usize::MAX)) => converted,
        Some(length) => fold(bound(converted, length)),
    })
}

fn convert(
    typed: Typed,
    to: &DataType,
    lenient: bool,
    options: &BindOptions,
) -> Result<Typed, String> {
    let from = typed.data_type.clone();
    if from == *to {
        return Ok(typed);
    }
    if from == DataType::Null {
        let null = ScalarValue::try_from(to).map_err(|error| error.to_string())?;
        return Ok(Typed::new(Typed::constant(null).expr, to.clone()));
    }
    let (convert_array, fallible) =
        converter(&from, to, lenient, options.time_zone).ok_or_else(|| {
            format!("CAST from {} to {} is not supported", type_name(&from), type_name(to))
        })?;
    let kernel: Kernel = Arc::new(move |arguments: &[ColumnarValue], rows: usize| {
        convert_array(&arguments[0].clone().into_array(rows)?)
    });
    let name = if lenient { "TRY_CAST" } else { "CAST" };
    let call = Call::new(
        format!("{name}({{}} AS {})", type_name(to)),
        vec![typed.expr],
        to.clone(),
        kernel,
    );
    let call = if fallible { call.fallible() } else { call };
    Ok(fold(Typed::new(Arc::new(call), to.clone())))
}

/// An array to an array.
type Converter = Box<dyn Fn(&ArrayRef) -> PlanResult<ArrayRef> + Send + Sync>;

/// What converts `from` to `to`, and whether it may fail.
fn converter(from: &DataType, to: &DataType, lenient: bool, zone: Tz) -> Option<(Converter, bool)> {
    use DataType::{Binary, Boolean, Date32, Time32, Timestamp, Utf8};
    let plain: Converter = match (from, to) {
        (_, Utf8) => text::to_text(from, zone)?,
        (Utf8, Binary) => through_arrow(to.clone()),
        (Utf8, _) => return Some((text::of_text(to, lenient, zone)?, !lenient)),
        (Boolean, _) if is_number(to) => through_arrow(to.clone()),
        (_, Boolean) if is_integer(from) => through_arrow(to.clone()),
        _ if is_number(from) && is_number(to) => number::between(from, to),
        (Timestamp(_, None), Timestamp(unit, Some(_))) => to_utc(zone, *unit),
        (Timestamp(_, Some(_)), Timestamp(unit, None)) => to_local(zone, Timestamp(*unit, None)),
        (Timestamp(_, Some(_)), Date32 | Time32(_)) => to_local(zone, to.clone()),
        (Date32, Timestamp(unit, Some(_))) => to_utc(zone, *unit),
        (Timestamp(..), Timestamp(..) | Date32 | Time32(_)) | (Date32, Timestamp(_, None)) => {
            through_arrow(to.clone())
        }
        (DataType::List(from), DataType::List(element)) => {
            let (convert, fallible) =
                converter(from.data_type(), element.data_type(), lenient, zone)?;
            let field = Arc::clone(element);
            let lists: Converter = Box::new(move |array: &ArrayRef| {
                let list = array.as_list::<i32>();
                let values = convert(list.values())?;
                let (_, offsets, _, nulls) = list.clone().into_parts();
                Ok(Arc::new(arrow::array::ListArray::try_new(
                    Arc::clone(&field),
                    offsets,
                    values,
                    nulls,
                )?))
            });
            return Some((lists, fallible));
        }
        _ => return None,
    };
    Some((plain, false))
}

/// Arrow's own conversion, where it is Flink's.
fn through_arrow(to: DataType) -> Converter {
    Box::new(move |array| {
        let options = CastOptions { safe: true, ..CastOptions::default() };
        Ok(arrow::compute::cast_with_options(array, &to, &options)?)
    })
}

/// A local time to the instant it names in the session's zone.
fn to_utc(zone: Tz, unit: TimeUnit) -> Converter {
    let session = DataType::Timestamp(unit, Some(zone.name().into()));
    let utc = DataType::Timestamp(unit, Some(LOCAL_ZONE.into()));
    let (into_session, into_utc) = (through_arrow(session), through_arrow(utc));
    Box::new(move |array| into_utc(&into_session(array)?))
}

/// An instant to the local time in the session's zone.
fn to_local(zone: Tz, to: DataType) -> Converter {
    let step = through_arrow(to);
    Box::new(move |array| {
        let DataType::Timestamp(unit, _) = array.data_type() else { return step(array) };
        let session = DataType::Timestamp(*unit, Some(zone.name().into()));
        let local = DataType::Timestamp(*unit, None);
        // Relabelling keeps the instant; dropping the zone then gives its local reading.
        let labelled = arrow::compute::cast(array, &session)?;
        step(&arrow::compute::cast(&labelled, &local)?)
    })
}

/// Cuts, and pads for CHAR.
fn bound(typed: Typed, length: Length) -> Typed {
    let (count, pad, name) = match length {
        Length::AtMost(count) => (count, false, format!("VARCHAR({count})")),
        Length::Exactly(count) => (count, true, format!("CHAR({count})")),
    };
    let kernel = move |arguments: &[ColumnarValue], rows: usize| {
        let array = arguments[0].clone().into_array(rows)?;
        let bounded: StringArray = array
            .as_string::<i32>()
            .iter()
            .map(|value| value.map(|value| bounded_text(value, count, pad)))
            .collect();
        Ok(Arc::new(bounded) as ArrayRef)
    };
    let call = Call::new(
        format!("CAST({{}} AS {name})"),
        vec![typed.expr],
        DataType::Utf8,
        Arc::new(kernel),
    );
    Typed::new(Arc::new(call), DataType::Utf8)
}

fn bounded_text(value: &str, count: usize, pad: bool) -> String {
    let mut text: String = value.chars().take(count).collect();
    if pad {
        let missing = count - text.chars().count();
        text.extend(std::iter::repeat_n(' ', missing));
    }
    text
}
