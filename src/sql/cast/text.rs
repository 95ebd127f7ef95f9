//! Values to and from STRING, in the forms Flink writes and reads.

use arrow::array::{ArrayRef, AsArray, StringArray, StringBuilder};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type,
    Int16Type, Int32Type, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
    Time32MillisecondType, TimeUnit,
};
use chrono::{Datelike, NaiveDate, NaiveDateTime, NaiveTime, TimeZone, Timelike};
use chrono_tz::Tz;
use datafusion_common::{Result as PlanResult, exec_datafusion_err};
use std::fmt::{LowerExp, Write};
use std::str::FromStr;
use std::sync::Arc;

use super::Converter;
use super::number::{finish, fit_decimal, parts};
use super::time::{instant_of, number_at, time_at};
use crate::sql::types::{precision_of, type_name};

/// What writes `from` as STRING; `None` for types without a text form.
pub(super) fn to_text(from: &DataType, zone: Tz) -> Option<Converter> {
    Some(match from {
        DataType::Timestamp(unit, zoned) => {
            let digits = usize::from(precision_of(*unit));
            timestamps_to_text(*unit, zoned.is_some().then_some(zone), digits)
        }
        DataType::Boolean => Box::new(|array| {
            let texts: StringArray = array
                .as_boolean()
                .iter()
                .map(|value| value.map(|value| if value { "TRUE" } else { "FALSE" }))
                .collect();
            Ok(Arc::new(texts) as ArrayRef)
        }),
        DataType::Int8 => writing::<Int8Type>(|out, value| write(out, &value)),
        DataType::Int16 => writing::<Int16Type>(|out, value| write(out, &value)),
        DataType::Int32 => writing::<Int32Type>(|out, value| write(out, &value)),
        DataType::Int64 => writing::<Int64Type>(|out, value| write(out, &value)),
        DataType::Interval(IntervalUnit::MonthDayNano) => {
            writing::<IntervalMonthDayNanoType>(write_interval)
        }
        DataType::Float32 => {
            writing::<Float32Type>(|out, value| write_float(out, value, f64::from(value)))
        }
        DataType::Float64 => writing::<Float64Type>(|out, value| write_float(out, value, value)),
        DataType::Decimal128(_, scale) => {
            let scale = usize::from(scale.unsigned_abs());
            writing::<Decimal128Type>(move |out, value| write_decimal(out, value, scale))
        }
        DataType::Date32 => writing::<Date32Type>(|out, days| {
            if let Some(date) = Date32Type::to_naive_date_opt(days) {
                write(out, &date);
            }
        }),
        DataType::Time32(TimeUnit::Millisecond) => {
            writing::<Time32MillisecondType>(|out, millis| {
                let seconds = millis / 1000;
                let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
                write(out, &format_args!("{hours:02}:{minutes:02}:{:02}", seconds % 60));
                if millis % 1000 != 0 {
                    let fraction = format!("{:03}", millis % 1000);
                    write(out, &format_args!(".{}", fraction.trim_end_matches('0')));
                }
            })
        }
        DataType::Binary => Box::new(|array| {
            let texts: StringArray = array
                .as_binary::<i32>()
                .iter()
                .map(|value| value.map(String::from_utf8_lossy))
                .collect();
            Ok(Arc::new(texts) as ArrayRef)
        }),
        _ => return None,
    })
}

/// Writing to a `String` cannot fail.
fn write(out: &mut StringBuilder, value: &dyn std::fmt::Display) {
    write!(out, "{value}").expect("a string grows");
}

fn writing<T: ArrowPrimitiveType>(
    one: impl Fn(&mut StringBuilder, T::Native) + Send + Sync + 'static,
) -> Converter {
    Box::new(move |array| {
        let values = array.as_primitive::<T>();
        let mut texts = StringBuilder::with_capacity(values.len(), values.len() * 8);
        for value in values {
            match value {
                None => texts.append_null(),
                Some(value) => {
                    one(&mut texts, value);
                    texts.append_value("");
                }
            }
        }
        Ok(Arc::new(texts.finish()))
    })
}

/// Java's `Double.toString`: plain between 10⁻³ and 10⁷, else `1.0E10`.
fn write_float<T>(out: &mut StringBuilder, value: T, wide: f64)
where
    T: LowerExp + FromStr + PartialEq,
{
    if wide.is_nan() {
        return write(out, &"NaN");
    }
    if wide.is_infinite() {
        return write(out, &if wide > 0.0 { "Infinity" } else { "-Infinity" });
    }
    // Shortest digits that read back: `-1.25e-7`.
    let shortest = format!("{value:e}");
    let (mantissa, exponent) = shortest.split_once('e').expect("LowerExp writes an exponent");
    let exponent: i32 = exponent.parse().expect("LowerExp writes a number");
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => ("-", rest),
        None => ("", mantissa),
    };
    let (first, rest) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if wide != 0.0 && !(-3..7).contains(&exponent) {
        if rest.is_empty() {
            return write(
                out,
                &format_args!("{}E{exponent}", with_second_digit(&value, &shortest)),
            );
        }
        return write(out, &format_args!("{sign}{first}.{rest}E{exponent}"));
    }
    let digits = format!("{first}{rest}");
    if exponent < 0 {
        let zeros = "0".repeat(usize::try_from(-exponent - 1).unwrap_or_default());
        return write(out, &format_args!("{sign}0.{zeros}{digits}"));
    }
    let whole = usize::try_from(exponent).unwrap_or_default() + 1;
    let padded = format!("{digits:0<width$}", width = whole + 1);
    write(out, &format_args!("{sign}{}.{}", &padded[..whole], &padded[whole..]));
}

/// The mantissa of a number whose shortest has one digit. Java writes two, and of those that read
/// back the nearest: `4.9` of the smallest double.
fn with_second_digit<T: LowerExp + FromStr + PartialEq>(value: &T, shortest: &str) -> String {
    let nearest = format!("{value:.1e}");
    let (mantissa, exponent) = nearest.split_once('e').expect("LowerExp writes an exponent");
    let (digit, same) = shortest.split_once('e').expect("LowerExp writes an exponent");
    match exponent == same && nearest.parse::<T>().is_ok_and(|read| read == *value) {
        true => mantissa.to_string(),
        false => format!("{digit}.0"),
    }
}

fn write_decimal(out: &mut StringBuilder, unscaled: i128, scale: usize) {
    let sign = if unscaled < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", unscaled.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    write(out, &format_args!("{sign}{whole}"));
    if scale > 0 {
        write(out, &format_args!(".{fraction}"));
    }
}

/// `2020-01-01 00:00:00.100`: with so many digits of a second, in `zone` if it is an instant.
pub(super) fn timestamps_to_text(unit: TimeUnit, zone: Option<Tz>, digits: usize) -> Converter {
    Box::new(move |array| {
        let numbers = arrow::compute::cast(array, &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        let mut texts = StringBuilder::with_capacity(numbers.len(), numbers.len() * 24);
        for number in numbers {
            texts.append_option(
                number.and_then(|number| timestamp_text(number, unit, zone, digits)),
            );
        }
        Ok(Arc::new(texts.finish()))
    })
}

fn timestamp_text(number: i64, unit: TimeUnit, zone: Option<Tz>, digits: usize) -> Option<String> {
    let utc = time_at(number, unit)?;
    let time = zone.map_or(utc, |zone| zone.from_utc_datetime(&utc).naive_local());
    let mut text = time.format("%Y-%m-%d %H:%M:%S").to_string();
    if digits > 0 {
        let nanos = format!("{:09}", time.nanosecond() % 1_000_000_000);
        text.push('.');
        text.push_str(&nanos[..digits]);
    }
    Some(text)
}

/// `+1-02` of months, `+1 02:03:04.500` of everything else.
fn write_interval(out: &mut StringBuilder, length: IntervalMonthDayNano) {
    let millis = i64::from(length.days) * 86_400_000 + length.nanoseconds / 1_000_000;
    let negative = length.months < 0 || millis < 0;
    let sign = if negative { '-' } else { '+' };
    if length.months != 0 {
        let months = length.months.unsigned_abs();
        return write(out, &format_args!("{sign}{}-{:02}", months / 12, months % 12));
    }
    let millis = millis.unsigned_abs();
    let (seconds, rest) = (millis / 1000, millis % 1000);
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, second) = (seconds / 60 % 60, seconds % 60);
    write(out, &format_args!("{sign}{days} {hours:02}:{minutes:02}:{second:02}.{rest:03}"));
}

/// What reads STRING as `to`; bad text is NULL when `lenient`, else an error.
pub(super) fn of_text(to: &DataType, lenient: bool, zone: Tz) -> Option<Converter> {
    Some(match to {
        DataType::Boolean => Box::new(move |array| {
            let values: arrow::array::BooleanArray =
                read_untrimmed(array, lenient, "BOOLEAN", parse_boolean)?.into_iter().collect();
            Ok(Arc::new(values) as ArrayRef)
        }),
        DataType::Int8 => integers::<Int8Type>(to, lenient),
        DataType::Int16 => integers::<Int16Type>(to, lenient),
        DataType::Int32 => integers::<Int32Type>(to, lenient),
        DataType::Int64 => integers::<Int64Type>(to, lenient),
        DataType::Float32 => reading::<Float32Type>(to, lenient, parse_float),
        DataType::Float64 => reading::<Float64Type>(to, lenient, parse_float),
        DataType::Decimal128(..) => {
            let to = to.clone();
            let (precision, scale) = parts(&to);
            Box::new(move |array| {
                let name = type_name(&to);
                let values = read(array, lenient, &name, |text| {
                    let (unscaled, from) = parse_decimal(text)?;
                    fit_decimal(unscaled, from, precision, scale)
                })?;
                finish(values.into_iter().collect(), &to)
            })
        }
        DataType::Date32 => reading::<Date32Type>(to, lenient, |text| {
            parse_date(text).map(Date32Type::from_naive_date)
        }),
        DataType::Time32(_) => reading::<Time32MillisecondType>(to, lenient, |text| {
            let time = parse_time(text)?;
            let millis = time.num_seconds_from_midnight() * 1000 + time.nanosecond() / 1_000_000;
            i32::try_from(millis).ok()
        }),
        DataType::Timestamp(unit, zoned) => {
            let (unit, zone) = (*unit, zoned.is_some().then_some(zone));
            let to = to.clone();
            Box::new(move |array| {
                let name = type_name(&to);
                let values = read(array, lenient, &name, |text| {
                    let local = parse_timestamp(text)?;
                    let utc = match zone {
                        None => local,
                        Some(zone) => instant_of(local, zone)?.naive_utc(),
                    };
                    number_at(utc, unit)
                })?;
                let numbers: arrow::array::Int64Array = values.into_iter().collect();
                Ok(arrow::compute::cast(&numbers, &to)?)
            })
        }
        _ => return None,
    })
}

/// Each text parsed without the spaces around it.
fn read<T>(
    array: &ArrayRef,
    lenient: bool,
    name: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> PlanResult<Vec<Option<T>>> {
    read_untrimmed(array, lenient, name, |text| parse(text.trim()))
}

/// Each text parsed; one that cannot be is an error naming it, or NULL when `lenient`.
fn read_untrimmed<T>(
    array: &ArrayRef,
    lenient: bool,
    name: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> PlanResult<Vec<Option<T>>> {
    array
        .as_string::<i32>()
        .iter()
        .map(|text| match text {
            None => Ok(None),
            Some(text) => match parse(text) {
                None if !lenient => Err(exec_datafusion_err!("'{text}' is not a {name}")),
                parsed => Ok(parsed),
            },
        })
        .collect()
}

fn reading<T: ArrowPrimitiveType>(
    to: &DataType,
    lenient: bool,
    parse: impl Fn(&str) -> Option<T::Native> + Send + Sync + 'static,
) -> Converter {
    let name = type_name(to);
    Box::new(move |array| {
        let values = read(array, lenient, &name, &parse)?;
        Ok(Arc::new(values.into_iter().collect::<arrow::array::PrimitiveArray<T>>()))
    })
}

fn integers<T: ArrowPrimitiveType>(to: &DataType, lenient: bool) -> Converter
where
    T::Native: TryFrom<i64>,
{
    reading::<T>(to, lenient, |text| T::Native::try_from(parse_integer(text)?).ok())
}

/// Digits with a sign; a fraction must be digits and is dropped, as Flink does.
fn parse_integer(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let fraction_valid = fraction.bytes().all(|byte| byte.is_ascii_digit());
    let digits = whole.strip_prefix(['+', '-']).unwrap_or(whole);
    if !fraction_valid || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    match (digits, fraction) {
        ("", "") => None,
        ("", _) => text.contains('.').then_some(0),
        _ => whole.parse().ok(),
    }
}

/// What Java reads as a `float` or `double`, but for hexadecimal digits: `1.5e3`, `1d`, `Infinity`.
pub(in crate::sql) fn parse_float<T: FromStr>(text: &str) -> Option<T> {
    // Rust reads more spellings of these than Java does.
    match text.trim_start_matches(['+', '-']) {
        "NaN" | "Infinity" => text.parse().ok(),
        digits if digits.starts_with(|first: char| first.is_ascii_digit() || first == '.') => {
            text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text).parse().ok()
        }
        _ => None,
    }
}

fn parse_boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" => Some(true),
        "false" | "f" | "no" | "n" | "0" => Some(false),
        _ => None,
    }
}

/// Unscaled value and scale; digits beyond 38 behind the point are dropped.
fn parse_decimal(text: &str) -> Option<(i128, i8)> {
    let (number, exponent) = match text.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i16>().ok()?),
        None => (text, 0),
    };
    let negative = number.starts_with('-');
    let digits = number.strip_prefix(['+', '-']).unwrap_or(number);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = &fraction[..fraction.len().min(38)];
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let mut unscaled = 0_i128;
    for byte in whole.bytes().chain(fraction.bytes()) {
        let digit = byte.is_ascii_digit().then(|| i128::from(byte - b'0'))?;
        unscaled = unscaled.checked_mul(10)?.checked_add(digit)?;
    }
    let mut scale = i16::try_from(fraction.len()).ok()? - exponent;
    while scale < 0 {
        unscaled = unscaled.checked_mul(10)?;
        scale += 1;
    }
    Some((if negative { -unscaled } else { unscaled }, i8::try_from(scale).ok()?))
}

/// `2020-01-01`, with a time behind a space, which has seconds and up to nine digits of fraction.
/// A day that a month does not have is its last, as Flink decides.
pub(in crate::sql) fn parse_timestamp(text: &str) -> Option<NaiveDateTime> {
    let text = text.trim();
    let (written, time) = match text.split_once(' ') {
        Some((written, time)) if time.split(':').count() == 3 => (written, parse_time(time)?),
        Some(_) => return None,
        None => (text, NaiveTime::MIN),
    };
    let mut parts = written.split('-');
    let year = number(parts.next().filter(|year| year.len() == 4)?)?;
    let mut part = || parts.next().filter(|part| part.len() <= 2).and_then(number);
    let (month, day) = (part()?, part()?);
    if parts.next().is_some() || !(1..=31).contains(&day) {
        return None;
    }
    let first = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, 1)?;
    let days = u32::from(first.num_days_in_month());
    Some(first.with_day(day.min(days))?.and_time(time))
}

/// `2020`, `2020-01` or `2020-01-01`; what follows a space is not read.
fn parse_date(text: &str) -> Option<NaiveDate> {
    let written = text.split(' ').next().unwrap_or_default();
    let mut parts = written.split('-');
    let year = i32::try_from(number(parts.next()?)?).ok()?;
    let month = parts.next().map_or(Some(1), number)?;
    let day = parts.next().map_or(Some(1), number)?;
    let date = NaiveDate::from_ymd_opt(year, month, day)?;
    (year <= 9999 && parts.next().is_none()).then_some(date)
}

/// True for a day there is.
pub(in crate::sql) fn is_literal_date(text: &str) -> bool {
    text.split('-').count() == 3 && !text.contains(' ') && parse_date(text).is_some()
}

/// True for a time on a day there is.
pub(in crate::sql) fn is_literal_timestamp(text: &str) -> bool {
    let text = text.trim();
    let date = text.split(' ').next().unwrap_or_default();
    is_literal_date(date) && parse_timestamp(text).is_some()
}

/// True for a time of day with seconds.
pub(in crate::sql) fn is_literal_time(text: &str) -> bool {
    text.split(':').count() == 3 && parse_time(text).is_some()
}

/// Digits and nothing else.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits { text.parse().ok() } else { None }
}

fn parse_time(text: &str) -> Option<NaiveTime> {
    let (clock, fraction) = text.split_once('.').unwrap_or((text, ""));
    let valid = fraction.len() <= 9 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !valid {
        return None;
    }
    let nanos = if fraction.is_empty() { 0 } else { format!("{fraction:0<9}").parse().ok()? };
    let mut parts = clock.split(':');
    let mut part = |required: bool| match parts.next() {
        None if !required => Some(0),
        Some(part) if (1..=2).contains(&part.len()) => part.parse::<u32>().ok(),
        _ => None,
    };
    let (hour, minute, second) = (part(true)?, part(false)?, part(false)?);
    NaiveTime::from_hms_nano_opt(hour, minute, second, nanos)
}
