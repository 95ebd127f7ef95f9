//! CAST and TRY_CAST with Flink's rules: numbers wrap or saturate as Java's do, text forms are
//! Flink's, what cannot be read fails the row or gives NULL.
//!
//! Read: `text` (values to and from STRING) · `number` (between numbers) · `time` (units of time) ·
//! `nested` (values with parts).

mod nested;
mod number;
mod text;
mod time;

use arrow::array::{ArrayRef, AsArray, BinaryArray, StringArray};
use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, TimeUnit};
use chrono_tz::Tz;
use datafusion_common::{Result as PlanResult, ScalarValue};
use datafusion_expr::ColumnarValue;
use std::sync::Arc;

pub(super) use text::{
    is_literal_date, is_literal_time, is_literal_timestamp, parse_float, parse_timestamp,
};
pub(super) use time::{instant_of, number_at, time_at};

use super::eval::{Call, Kernel, Typed, fold};
use super::functions::BindOptions;
use super::types::{Bound, SqlType, is_integer, is_nested, is_number, type_name, without_bounds};

/// `CAST(typed AS to)`; when `lenient`, TRY_CAST.
pub(super) fn cast(
    typed: Typed,
    to: &SqlType,
    lenient: bool,
    options: &BindOptions,
) -> Result<Typed, String> {
    if is_nested(&to.data_type) {
        return cast_nested(typed, &to.data_type, lenient, options);
    }
    let converted = convert(typed, &to.data_type, lenient, options)?;
    Ok(match to.bound {
        None => Typed { bound: None, ..converted },
        Some(bound) => Typed { bound: Some(bound), ..fold(bounded(converted, bound)) },
    })
}

/// The same, to a type with parts, whose bounds are applied behind.
fn cast_nested(
    typed: Typed,
    to: &DataType,
    lenient: bool,
    options: &BindOptions,
) -> Result<Typed, String> {
    let plain = without_bounds(to);
    let converted = convert(typed, &plain, lenient, options)?;
    let Some(cut) = nested::bounds(to) else { return Ok(converted) };
    let kernel: Kernel = Arc::new(move |arguments: &[ColumnarValue], rows: usize| {
        cut(&arguments[0].clone().into_array(rows)?)
    });
    // The bounds are part of the name, since what a kernel has captured must be.
    let name = format!("CAST({{}} AS {to})");
    let call = Call::new(name, vec![converted.expr], plain.clone(), kernel);
    Ok(fold(Typed::new(Arc::new(call), plain)))
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
    let shortened = match (&from, to, typed.bound) {
        (DataType::Timestamp(unit, zoned), DataType::Utf8, Some(Bound::Digits(digits))) => {
            let zone = zoned.is_some().then_some(options.time_zone);
            Some((text::timestamps_to_text(*unit, zone, digits), false))
        }
        _ => None,
    };
    let (convert_array, fallible) =
        shortened.or_else(|| converter(&from, to, lenient, options.time_zone)).ok_or_else(
            || format!("CAST from {} to {} is not supported", type_name(&from), type_name(to)),
        )?;
    let kernel: Kernel = Arc::new(move |arguments: &[ColumnarValue], rows: usize| {
        convert_array(&arguments[0].clone().into_array(rows)?)
    });
    let name = if lenient { "TRY_CAST" } else { "CAST" };
    // What a kernel has captured is part of its name.
    let zone = options.time_zone;
    let in_zone = match zone != Tz::UTC && (is_instant(&from) || is_instant(to)) {
        true => format!(" IN {zone}"),
        false => String::new(),
    };
    let digits = match typed.bound {
        Some(Bound::Digits(digits)) if *to == DataType::Utf8 => format!(" WITH {digits} DIGITS"),
        _ => String::new(),
    };
    let name = format!("{name}({{}} AS {}{in_zone}{digits})", type_name(to));
    let call = Call::new(name, vec![typed.expr], to.clone(), kernel);
    let call = if fallible { call.fallible() } else { call };
    Ok(fold(Typed::new(Arc::new(call), to.clone())))
}

fn is_instant(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Timestamp(_, Some(_)))
}

/// An array to an array.
type Converter = Box<dyn Fn(&ArrayRef) -> PlanResult<ArrayRef> + Send + Sync>;

/// What converts `from` to `to`, and whether it may fail.
fn converter(from: &DataType, to: &DataType, lenient: bool, zone: Tz) -> Option<(Converter, bool)> {
    use DataType::{
        Binary, Boolean, Date32, Decimal128, Float32, Float64, Time32, Timestamp, Utf8,
    };
    let plain: Converter = match (from, to) {
        (_, Utf8) if is_nested(from) => nested::to_text(from, zone)?,
        (_, Utf8) => text::to_text(from, zone)?,
        (Utf8, Binary) => through_arrow(to.clone()),
        (Utf8, _) => return Some((text::of_text(to, lenient, zone)?, !lenient)),
        (Float32 | Float64, Decimal128(..)) => {
            return Some((number::between(from, to, lenient), !lenient));
        }
        (Boolean, Decimal128(..)) => {
            both(through_arrow(DataType::Int8), number::between(&DataType::Int8, to, lenient))
        }
        (Boolean, _) if is_number(to) => through_arrow(to.clone()),
        (_, Boolean) if is_integer(from) => through_arrow(to.clone()),
        (_, Boolean) => number::to_boolean(from)?,
        (Time32(TimeUnit::Millisecond), Timestamp(_, None)) => time::on_first_day(to.clone()),
        _ if is_number(from) && is_number(to) => number::between(from, to, lenient),
        (Timestamp(from_unit, of_zone), Timestamp(unit, _)) if from_unit != unit => {
            let same_zone = Timestamp(*unit, of_zone.clone());
            let rescaled = time::rescaled(*from_unit, same_zone.clone());
            if same_zone == *to {
                rescaled
            } else {
                both(rescaled, converter(&same_zone, to, lenient, zone)?.0)
            }
        }
        (Timestamp(unit, None), Timestamp(_, Some(_))) => time::to_instant(zone, *unit, to.clone()),
        (Timestamp(unit, Some(_)), Timestamp(_, None)) => time::to_reading(zone, *unit, to.clone()),
        (Timestamp(unit, Some(_)), Date32 | Time32(_)) => {
            let reading = Timestamp(*unit, None);
            both(time::to_reading(zone, *unit, reading), through_arrow(to.clone()))
        }
        (Date32, Timestamp(unit, Some(_))) => {
            let midnight = Timestamp(*unit, None);
            both(through_arrow(midnight), time::to_instant(zone, *unit, to.clone()))
        }
        (Timestamp(unit, None), Date32) => time::to_date(*unit),
        (Timestamp(..), Timestamp(..) | Time32(_)) | (Date32, Timestamp(_, None)) => {
            through_arrow(to.clone())
        }
        _ if is_nested(from) && is_nested(to) => return nested::between(from, to, lenient, zone),
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

/// One conversion behind another.
fn both(first: Converter, second: Converter) -> Converter {
    Box::new(move |array| second(&first(array)?))
}

/// Cuts, and pads for CHAR and BINARY.
fn bounded(typed: Typed, bound: Bound) -> Typed {
    let data_type = typed.data_type.clone();
    let (name, kernel) = bound_kernel(&data_type, bound);
    let name = format!("CAST({{}} AS {name})");
    let call = Call::new(name, vec![typed.expr], data_type.clone(), kernel);
    Typed::new(Arc::new(call), data_type)
}

/// The type's name with its bound, and what cuts and pads values of `data_type`.
fn bound_kernel(data_type: &DataType, bound: Bound) -> (String, Kernel) {
    match bound {
        Bound::CharactersAtMost(count) => {
            (format!("VARCHAR({count})"), texts(move |text| cut(text, count).to_string()))
        }
        Bound::Characters(count) => {
            (format!("CHAR({count})"), texts(move |text| padded(text, count)))
        }
        Bound::BytesAtMost(count) => (
            format!("VARBINARY({count})"),
            binaries(move |bytes| bytes[..bytes.len().min(count)].to_vec()),
        ),
        Bound::Bytes(count) => (
            format!("BINARY({count})"),
            binaries(move |bytes| {
                let mut padded = bytes[..bytes.len().min(count)].to_vec();
                padded.resize(count, 0);
                padded
            }),
        ),
        Bound::Digits(digits) => {
            let name = if matches!(data_type, DataType::Time32(_)) { "TIME" } else { "TIMESTAMP" };
            (format!("{name}({digits})"), time::cut_to(digits, data_type.clone()))
        }
    }
}

fn texts(one: impl Fn(&str) -> String + Send + Sync + 'static) -> Kernel {
    Arc::new(move |arguments, rows| {
        let array = arguments[0].clone().into_array(rows)?;
        let bounded: StringArray =
            array.as_string::<i32>().iter().map(|value| value.map(&one)).collect();
        Ok(Arc::new(bounded) as ArrayRef)
    })
}

fn binaries(one: impl Fn(&[u8]) -> Vec<u8> + Send + Sync + 'static) -> Kernel {
    Arc::new(move |arguments, rows| {
        let array = arguments[0].clone().into_array(rows)?;
        let bounded: BinaryArray =
            array.as_binary::<i32>().iter().map(|value| value.map(&one)).collect();
        Ok(Arc::new(bounded) as ArrayRef)
    })
}

fn cut(text: &str, count: usize) -> &str {
    match text.char_indices().nth(count) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

fn padded(text: &str, count: usize) -> String {
    let mut padded = cut(text, count).to_string();
    let missing = count - padded.chars().count();
    padded.extend(std::iter::repeat_n(' ', missing));
    padded
}
