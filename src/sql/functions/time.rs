//! Functions of time: the clock per record, parts of a time, and times as text.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use chrono::{DateTime, Datelike, Days, NaiveDateTime, NaiveTime, Timelike};
use std::sync::Arc;

use super::super::cast::{cast, instant_of, number_at, parse_timestamp, time_at};
use super::super::eval::{Clock, Kernel, Physical, Typed, clock_type};
use super::super::types::{SqlType, is_number};
use super::kernel::{
    Integers, Strings, build_numbers, build_text, call, integer_argument, integer_constant,
    string_argument, text_call,
};
use super::pattern::{DEFAULT_PATTERN, DatePattern};
use super::{BindOptions, Scalar, wrong_argument};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "CURRENT_TIMESTAMP", arguments: (0, 0), bind: now },
    Scalar { name: "NOW", arguments: (0, 0), bind: now },
    Scalar { name: "CURRENT_ROW_TIMESTAMP", arguments: (0, 0), bind: now },
    Scalar { name: "PROCTIME", arguments: (0, 0), bind: now },
    Scalar { name: "LOCALTIMESTAMP", arguments: (0, 0), bind: local_now },
    Scalar { name: "CURRENT_DATE", arguments: (0, 0), bind: today },
    Scalar { name: "UNIX_TIMESTAMP", arguments: (0, 2), bind: unix_timestamp },
    Scalar { name: "FROM_UNIXTIME", arguments: (1, 2), bind: from_unixtime },
    Scalar { name: "TO_TIMESTAMP", arguments: (1, 2), bind: to_timestamp },
    Scalar { name: "TO_TIMESTAMP_LTZ", arguments: (2, 2), bind: to_timestamp_ltz },
    Scalar { name: "TO_DATE", arguments: (1, 2), bind: to_date },
    Scalar { name: "DATE_FORMAT", arguments: (2, 2), bind: date_format },
    Scalar { name: "EXTRACT", arguments: (2, 2), bind: extract },
    Scalar { name: "YEAR", arguments: (1, 1), bind: |a, o| part_of("YEAR", a, o) },
    Scalar { name: "QUARTER", arguments: (1, 1), bind: |a, o| part_of("QUARTER", a, o) },
    Scalar { name: "MONTH", arguments: (1, 1), bind: |a, o| part_of("MONTH", a, o) },
    Scalar { name: "WEEK", arguments: (1, 1), bind: |a, o| part_of("WEEK", a, o) },
    Scalar { name: "DAYOFYEAR", arguments: (1, 1), bind: |a, o| part_of("DOY", a, o) },
    Scalar { name: "DAYOFMONTH", arguments: (1, 1), bind: |a, o| part_of("DAY", a, o) },
    Scalar { name: "DAYOFWEEK", arguments: (1, 1), bind: |a, o| part_of("DOW", a, o) },
    Scalar { name: "HOUR", arguments: (1, 1), bind: |a, o| part_of("HOUR", a, o) },
    Scalar { name: "MINUTE", arguments: (1, 1), bind: |a, o| part_of("MINUTE", a, o) },
    Scalar { name: "SECOND", arguments: (1, 1), bind: |a, o| part_of("SECOND", a, o) },
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

/// A time argument as milliseconds on the wall clock.
fn local_millis(
    arguments: &[Typed],
    position: usize,
    options: &BindOptions,
) -> Result<Physical, String> {
    local_reading(arguments, position, TimeUnit::Millisecond, options)
}

/// A time argument as a reading of the wall clock; text is read in Flink's default form.
fn local_reading(
    arguments: &[Typed],
    position: usize,
    unit: TimeUnit,
    options: &BindOptions,
) -> Result<Physical, String> {
    let given = arguments[position].clone();
    match given.data_type {
        DataType::Timestamp(..) | DataType::Date32 | DataType::Utf8 | DataType::Null => {}
        ref other => return Err(wrong_argument(position + 1, "a time", other)),
    }
    let lenient = given.data_type == DataType::Utf8;
    let local = DataType::Timestamp(unit, None);
    Ok(cast(given, &SqlType::plain(local), lenient, options)?.expr)
}

/// The wall clock readings of an argument bound by [`local_millis`].
fn readings(
    value: &datafusion_expr::ColumnarValue,
    rows: usize,
) -> datafusion_common::Result<ArrayRef> {
    Ok(arrow::compute::cast(&value.clone().into_array(rows)?, &DataType::Int64)?)
}

fn time_of(millis: i64) -> Option<NaiveDateTime> {
    DateTime::from_timestamp_millis(millis).map(|time| time.naive_utc())
}

/// `EXTRACT(unit FROM time)`.
fn extract(mut arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let unit = arguments.remove(0);
    let unit =
        unit.literal_text().ok_or("EXTRACT takes a unit: EXTRACT(HOUR FROM ts)")?.to_string();
    part_of(&unit, arguments, options)
}

/// BIGINT; Sunday is day 1 of a week, weeks are ISO's.
fn part_of(unit: &str, arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let part: fn(&NaiveDateTime) -> i64 = match unit.to_ascii_uppercase().as_str() {
        "YEAR" => |time| i64::from(time.year()),
        "QUARTER" => |time| i64::from(time.month0() / 3 + 1),
        "MONTH" => |time| i64::from(time.month()),
        "WEEK" => |time| i64::from(time.iso_week().week()),
        "DAY" => |time| i64::from(time.day()),
        "DOY" => |time| i64::from(time.ordinal()),
        "DOW" => |time| i64::from(time.weekday().number_from_sunday()),
        "HOUR" => |time| i64::from(time.hour()),
        "MINUTE" => |time| i64::from(time.minute()),
        "SECOND" => |time| i64::from(time.second()),
        "MILLISECOND" => |time| i64::from(time.nanosecond() / 1_000_000),
        "EPOCH" => |time| time.and_utc().timestamp(),
        other => return Err(format!("the unit {other} is not supported")),
    };
    let time = local_millis(&arguments, 0, options)?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let array = readings(&values[0], rows)?;
        let millis = array.as_primitive::<Int64Type>();
        Ok(Arc::new(millis.unary_opt::<_, Int64Type>(|millis| time_of(millis).as_ref().map(part))))
    });
    Ok(call(&unit.to_ascii_uppercase(), vec![time], DataType::Int64, kernel))
}

/// A pattern argument: compiled now when it is a constant, else row by row.
struct Pattern {
    compile: fn(&str) -> Result<DatePattern, String>,
    constant: Option<DatePattern>,
}

impl Pattern {
    /// For writing.
    fn of(typed: Option<&Typed>) -> Result<Pattern, String> {
        Pattern::compiled(typed, DatePattern::parse)
    }

    /// For reading.
    fn of_reader(typed: Option<&Typed>) -> Result<Pattern, String> {
        Pattern::compiled(typed, DatePattern::parse_for_reading)
    }

    fn compiled(
        typed: Option<&Typed>,
        compile: fn(&str) -> Result<DatePattern, String>,
    ) -> Result<Pattern, String> {
        let text = typed.map_or(Some(DEFAULT_PATTERN), Typed::literal_text);
        Ok(Pattern { compile, constant: text.map(compile).transpose()? })
    }

    fn with<T>(
        &self,
        text: Option<&str>,
        apply: impl FnOnce(&DatePattern) -> Option<T>,
    ) -> Option<T> {
        match &self.constant {
            Some(pattern) => apply(pattern),
            None => apply(&(self.compile)(text?).ok()?),
        }
    }
}

/// The pattern's text per row, where it is an argument of the call.
fn pattern_text<'a>(
    values: &'a [datafusion_expr::ColumnarValue],
    position: usize,
) -> Option<Strings<'a>> {
    values.get(position).map(Strings::of)
}

fn date_format(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let pattern = Pattern::of(arguments.get(1))?;
    let unit = match arguments[0].data_type {
        DataType::Timestamp(unit, _) => unit,
        _ => TimeUnit::Millisecond,
    };
    let expressions =
        vec![local_reading(&arguments, 0, unit, options)?, string_argument(&arguments, 1)?];
    let kernel: Kernel = Arc::new(move |values, rows| {
        let array = readings(&values[0], rows)?;
        let times = array.as_primitive::<Int64Type>();
        let texts = Strings::of(&values[1]);
        build_text(rows, rows * 20, |row, out| {
            let number = arrow::array::Array::is_valid(times, row).then(|| times.value(row))?;
            let time = time_at(number, unit)?;
            pattern.with(texts.get(row), |pattern| {
                pattern.write(&time, out);
                Some(())
            })
        })
    });
    Ok(text_call("DATE_FORMAT", expressions, kernel))
}

/// Reads a text as a time on the wall clock.
type Reader = fn(&DatePattern, &str) -> Option<NaiveDateTime>;

/// BIGINT made of what `read` finds in a text, by a pattern argument if there is one; `None` of
/// `convert` is NULL.
fn read_text(
    arguments: &[Typed],
    name: &str,
    read: Reader,
    convert: impl Fn(Option<NaiveDateTime>) -> Option<i64> + Send + Sync + 'static,
) -> Bound {
    let pattern = Pattern::of_reader(arguments.get(1))?;
    let expressions = (0..arguments.len())
        .map(|position| string_argument(arguments, position))
        .collect::<Result<Vec<_>, _>>()?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, patterns) = (Strings::of(&values[0]), pattern_text(values, 1));
        build_numbers::<Int64Type>(rows, |row| {
            let text = texts.get(row)?;
            let written = match &patterns {
                Some(patterns) => Some(patterns.get(row)?),
                None => None,
            };
            convert(pattern.with(written, |pattern| read(pattern, text)))
        })
    });
    Ok(call(name, expressions, DataType::Int64, kernel))
}

fn millis_of(time: Option<NaiveDateTime>) -> Option<i64> {
    time.map(|time| time.and_utc().timestamp_millis())
}

/// BIGINT of milliseconds as another type of the same numbers.
fn relabelled(name: &str, millis: Typed, result: DataType) -> Typed {
    let data_type = result.clone();
    let kernel: Kernel = Arc::new(move |values, rows| {
        let array = values[0].clone().into_array(rows)?;
        Ok(arrow::compute::cast(&array, &data_type)?)
    });
    call(name, vec![millis.expr], result, kernel)
}

/// TIMESTAMP(3) without a zone; NULL when the text is not a time. Without a pattern a fraction of a
/// second and a date alone are read, too.
fn to_timestamp(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let read: Reader = match arguments.len() {
        1 => |_, text| parse_timestamp(text),
        _ => DatePattern::read,
    };
    let millis = read_text(&arguments, "TO_TIMESTAMP", read, millis_of)?;
    let result = DataType::Timestamp(TimeUnit::Millisecond, None);
    Ok(relabelled("AS_TIMESTAMP", millis, result))
}

/// Without a pattern as TRY_CAST reads it.
fn to_date(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let date = SqlType::plain(DataType::Date32);
    if arguments.len() == 1 {
        let text = Typed::new(string_argument(&arguments, 0)?, DataType::Utf8);
        return cast(text, &date, true, options);
    }
    let millis = read_text(&arguments, "TO_DATE", DatePattern::read_lenient, millis_of)?;
    let result = DataType::Timestamp(TimeUnit::Millisecond, None);
    cast(relabelled("AS_TIMESTAMP", millis, result), &date, false, options)
}

/// Seconds (precision 0) or milliseconds (3) since the epoch.
fn to_timestamp_ltz(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    if !is_number(&arguments[0].data_type) {
        return Err(wrong_argument(1, "a number", &arguments[0].data_type));
    }
    let (precision, factor) = match integer_constant(&arguments[1]) {
        Some(0) => (0, 1_000),
        Some(3) => (3, 1),
        _ => return Err("the precision is 0 (seconds) or 3 (milliseconds)".into()),
    };
    let number = cast(arguments[0].clone(), &SqlType::plain(DataType::Int64), false, options)?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let numbers = Integers::of(&values[0])?;
        build_numbers::<Int64Type>(rows, |row| {
            let millis = numbers.get(row)?.checked_mul(factor)?;
            // Flink's years are 0 to 9999.
            (-62_167_219_200_000..253_402_300_800_000).contains(&millis).then_some(millis)
        })
    });
    let name = format!("TO_TIMESTAMP_LTZ({{}}, {precision})");
    let millis = call(&name, vec![number.expr], DataType::Int64, kernel);
    Ok(relabelled("AS_TIMESTAMP_LTZ", millis, clock_type()))
}

/// Seconds since the epoch: now, or of a text in the session's zone; of a bad text the smallest
/// BIGINT, as in Flink.
fn unix_timestamp(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    if arguments.is_empty() {
        let kernel: Kernel = Arc::new(|values, rows| {
            let array = readings(&values[0], rows)?;
            let millis = array.as_primitive::<Int64Type>();
            Ok(Arc::new(millis.unary::<_, Int64Type>(|value| value.div_euclid(1_000))))
        });
        let clock = now(arguments, options)?.expr;
        return Ok(call("UNIX_TIMESTAMP", vec![clock], DataType::Int64, kernel));
    }
    let zone = options.time_zone;
    let name = format!("UNIX_TIMESTAMP({{}} IN {zone})");
    read_text(&arguments, &name, DatePattern::read_lenient, move |time| {
        let instant = time.and_then(|time| instant_of(time, zone));
        Some(instant.map_or(i64::MIN, |instant| instant.timestamp()))
    })
}

/// Text of seconds since the epoch, in the session's zone.
fn from_unixtime(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let pattern = Pattern::of(arguments.get(1))?;
    let mut expressions = vec![integer_argument(&arguments, 0, options)?];
    if arguments.len() == 2 {
        expressions.push(string_argument(&arguments, 1)?);
    }
    let zone = options.time_zone;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (seconds, patterns) = (Integers::of(&values[0])?, pattern_text(values, 1));
        build_text(rows, rows * 20, |row, out| {
            let instant = DateTime::from_timestamp(seconds.get(row)?, 0)?;
            let local = instant.with_timezone(&zone).naive_local();
            let written = patterns.as_ref().and_then(|patterns| patterns.get(row));
            pattern.with(written, |pattern| {
                pattern.write(&local, out);
                Some(())
            })
        })
    });
    Ok(text_call(&format!("FROM_UNIXTIME({{}} IN {zone})"), expressions, kernel))
}

/// `FLOOR(time TO unit)` and `CEIL(time TO unit)`: the type stays.
pub(super) fn round_time(
    name: &str,
    arguments: &[Typed],
    up: bool,
    options: &BindOptions,
) -> Bound {
    let unit = arguments[1].literal_text().ok_or("the unit must be written: FLOOR(ts TO HOUR)")?;
    let data_type = arguments[0].data_type.clone();
    if !matches!(data_type, DataType::Timestamp(..) | DataType::Date32) {
        return Err(wrong_argument(1, "a time", &data_type));
    }
    let unit = Unit::of(unit)?;
    let unit_of_time = match data_type {
        DataType::Timestamp(kept, _) => kept,
        _ => TimeUnit::Millisecond,
    };
    let local = DataType::Timestamp(unit_of_time, None);
    let times = cast(arguments[0].clone(), &SqlType::plain(local.clone()), false, options)?;
    let to = local.clone();
    let kernel: Kernel = Arc::new(move |values, rows| {
        let array = readings(&values[0], rows)?;
        let rounded = array.as_primitive::<Int64Type>().unary_opt::<_, Int64Type>(|value| {
            let time = time_at(value, unit_of_time)?;
            let floor = unit.floor(time)?;
            let result = if up && floor < time { unit.next(floor)? } else { floor };
            number_at(result, unit_of_time)
        });
        Ok(arrow::compute::cast(&rounded, &to)?)
    });
    let rounded =
        call(&format!("{name}({{}} TO {})", unit.name()), vec![times.expr], local, kernel);
    cast(rounded, &SqlType::plain(data_type), false, options)
}

/// Units of rounding.
#[derive(Clone, Copy, Debug)]
enum Unit {
    Year,
    Quarter,
    Month,
    Week,
    Day,
    Hour,
    Minute,
    Second,
    Millisecond,
}

impl Unit {
    fn of(name: &str) -> Result<Unit, String> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "YEAR" => Unit::Year,
            "QUARTER" => Unit::Quarter,
            "MONTH" => Unit::Month,
            "WEEK" => Unit::Week,
            "DAY" => Unit::Day,
            "HOUR" => Unit::Hour,
            "MINUTE" => Unit::Minute,
            "SECOND" => Unit::Second,
            "MILLISECOND" => Unit::Millisecond,
            other => return Err(format!("the unit {other} is not supported")),
        })
    }

    fn name(self) -> String {
        format!("{self:?}").to_uppercase()
    }

    /// The start of the unit `time` lies in; weeks start on Sunday, as Flink's do.
    fn floor(self, time: NaiveDateTime) -> Option<NaiveDateTime> {
        let date = time.date();
        let midnight = |day: chrono::NaiveDate| day.and_time(NaiveTime::MIN);
        Some(match self {
            Unit::Year => midnight(date.with_ordinal(1)?),
            Unit::Quarter => midnight(date.with_day(1)?.with_month0(date.month0() / 3 * 3)?),
            Unit::Month => midnight(date.with_day(1)?),
            Unit::Week => {
                let days = date.weekday().num_days_from_sunday();
                midnight(date.checked_sub_days(Days::new(u64::from(days)))?)
            }
            Unit::Day => midnight(date),
            Unit::Hour => date.and_hms_opt(time.hour(), 0, 0)?,
            Unit::Minute => date.and_hms_opt(time.hour(), time.minute(), 0)?,
            Unit::Second => time.with_nanosecond(0)?,
            Unit::Millisecond => time.with_nanosecond(time.nanosecond() / 1_000_000 * 1_000_000)?,
        })
    }

    /// The start of the unit after the one that starts at `start`.
    fn next(self, start: NaiveDateTime) -> Option<NaiveDateTime> {
        use chrono::{Months, TimeDelta};
        match self {
            Unit::Year => start.checked_add_months(Months::new(12)),
            Unit::Quarter => start.checked_add_months(Months::new(3)),
            Unit::Month => start.checked_add_months(Months::new(1)),
            Unit::Week => start.checked_add_days(Days::new(7)),
            Unit::Day => start.checked_add_days(Days::new(1)),
            Unit::Hour => start.checked_add_signed(TimeDelta::hours(1)),
            Unit::Minute => start.checked_add_signed(TimeDelta::minutes(1)),
            Unit::Second => start.checked_add_signed(TimeDelta::seconds(1)),
            Unit::Millisecond => start.checked_add_signed(TimeDelta::milliseconds(1)),
        }
    }
}
