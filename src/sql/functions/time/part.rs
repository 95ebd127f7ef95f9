//! EXTRACT(unit FROM time), and functions named after a unit. BIGINT.

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit};
use chrono_tz::Tz;
use std::sync::Arc;

use super::super::super::eval::{Kernel, Typed};
use super::super::calendar::{
    MILLIS_PER_DAY, Ymd, first_of_year, iso_week, java_offset_millis, weekday,
};
use super::super::kernel::call;
use super::super::{BindOptions, Scalar, wrong_argument};
use super::{numbers, per_milli};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "EXTRACT", arguments: (2, 2), bind: extract },
    Scalar { name: "YEAR", arguments: (1, 1), bind: |a, o| part_of("YEAR", &a, o) },
    Scalar { name: "QUARTER", arguments: (1, 1), bind: |a, o| part_of("QUARTER", &a, o) },
    Scalar { name: "MONTH", arguments: (1, 1), bind: |a, o| part_of("MONTH", &a, o) },
    Scalar { name: "WEEK", arguments: (1, 1), bind: |a, o| part_of("WEEK", &a, o) },
    Scalar { name: "DAYOFYEAR", arguments: (1, 1), bind: |a, o| part_of("DOY", &a, o) },
    Scalar { name: "DAYOFMONTH", arguments: (1, 1), bind: |a, o| part_of("DAY", &a, o) },
    Scalar { name: "DAYOFWEEK", arguments: (1, 1), bind: |a, o| part_of("DOW", &a, o) },
    Scalar { name: "HOUR", arguments: (1, 1), bind: |a, o| part_of("HOUR", &a, o) },
    Scalar { name: "MINUTE", arguments: (1, 1), bind: |a, o| part_of("MINUTE", &a, o) },
    Scalar { name: "SECOND", arguments: (1, 1), bind: |a, o| part_of("SECOND", &a, o) },
];

fn extract(mut arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let unit = arguments.remove(0);
    let unit = unit.literal_text().ok_or("EXTRACT takes a unit: EXTRACT(HOUR FROM ts)")?;
    part_of(unit, &arguments, options)
}

/// A part of a day's date, of days since 1970.
type OfDay = fn(i64) -> i64;

/// A part of a time, of milliseconds since 1970 and nanoseconds behind them.
type OfTime = fn(i64, i64) -> i64;

enum Part {
    Day(OfDay),
    Time(OfTime),
    /// Of a DATE nothing is in it.
    Fraction(OfTime),
    Epoch,
}

fn part_named(name: &str) -> Option<Part> {
    // Towards 1970, as Flink divides.
    Some(match name {
        "YEAR" => Part::Day(|days| Ymd::of_days(days).year),
        "QUARTER" => Part::Day(|days| (Ymd::of_days(days).month + 2) / 3),
        "MONTH" => Part::Day(|days| Ymd::of_days(days).month),
        "WEEK" => Part::Day(|days| iso_week(days).1),
        "ISOYEAR" => Part::Day(|days| iso_week(days).0),
        "DAY" => Part::Day(|days| Ymd::of_days(days).day),
        "DOY" => Part::Day(|days| days - first_of_year(Ymd::of_days(days).year) + 1),
        "DOW" => Part::Day(|days| (weekday(days) + 1) % 7 + 1),
        "ISODOW" => Part::Day(|days| weekday(days) + 1),
        "DECADE" => Part::Day(|days| Ymd::of_days(days).year / 10),
        "CENTURY" => Part::Day(|days| years_of(days, 100)),
        "MILLENNIUM" => Part::Day(|days| years_of(days, 1_000)),
        "HOUR" => Part::Time(|millis, _| millis % MILLIS_PER_DAY / 3_600_000),
        "MINUTE" => Part::Time(|millis, _| millis % 3_600_000 / 60_000),
        "SECOND" => Part::Time(|millis, _| millis % 60_000 / 1_000),
        "MILLISECOND" => Part::Fraction(|millis, _| millis % 1_000),
        "MICROSECOND" => Part::Fraction(|millis, nanos| millis % 1_000 * 1_000 + nanos / 1_000),
        "NANOSECOND" => Part::Fraction(|millis, nanos| millis % 1_000 * 1_000_000 + nanos),
        "EPOCH" => Part::Epoch,
        _ => return None,
    })
}

/// Which one of so many years it is, from 1.
fn years_of(days: i64, count: i64) -> i64 {
    let year = Ymd::of_days(days).year;
    (if year > 0 { year + count - 1 } else { year - count + 1 }) / count
}

fn part_of(unit: &str, arguments: &[Typed], options: &BindOptions) -> Bound {
    let unit = unit.to_ascii_uppercase();
    let part = part_named(&unit).ok_or_else(|| format!("the unit {unit} is not supported"))?;
    let given = &arguments[0].data_type;
    let undefined = || format!("{} has no {unit}", super::super::super::types::type_name(given));
    let kernel = match (given, part) {
        (DataType::Timestamp(kept, zone), part) => {
            of_timestamp(part, *kept, zone.as_ref().map(|_| options.time_zone))
        }
        (DataType::Date32, Part::Day(of_day)) => each(of_day),
        (DataType::Date32, Part::Time(_)) => each(|_| 0),
        (DataType::Date32, Part::Epoch) => each(|days| days * 86_400),
        (DataType::Time32(_), Part::Time(of_time)) => each(move |millis| of_time(millis, 0)),
        (DataType::Time32(TimeUnit::Millisecond), Part::Fraction(of_time))
            if unit == "MILLISECOND" =>
        {
            each(move |millis| of_time(millis, 0))
        }
        (DataType::Date32 | DataType::Time32(_), _) => return Err(undefined()),
        (DataType::Interval(IntervalUnit::MonthDayNano), _) => {
            of_interval(&unit).ok_or_else(undefined)?
        }
        (other, _) => return Err(wrong_argument(1, "a time", other)),
    };
    let zone = options.time_zone;
    let name = match given {
        DataType::Timestamp(_, Some(_)) if zone != Tz::UTC => format!("{unit}({{}} IN {zone})"),
        _ => unit,
    };
    Ok(call(&name, vec![Arc::clone(&arguments[0].expr)], DataType::Int64, kernel))
}

/// A number of a DATE's or TIME's number.
fn each(one: impl Fn(i64) -> i64 + Send + Sync + 'static) -> Kernel {
    Arc::new(move |values, rows| {
        Ok(Arc::new(numbers(&values[0], rows)?.unary::<_, Int64Type>(&one)))
    })
}

fn of_timestamp(part: Part, unit: TimeUnit, zone: Option<Tz>) -> Kernel {
    let per = per_milli(unit);
    let nanos_per = 1_000_000 / per;
    let local = move |number: i64| {
        let millis = number.div_euclid(per);
        millis.saturating_add(zone.map_or(0, |zone| java_offset_millis(zone, millis)))
    };
    match part {
        Part::Day(of_day) => each(move |number| of_day(local(number) / MILLIS_PER_DAY)),
        Part::Epoch => each(move |number| local(number) / 1_000),
        Part::Time(of_time) | Part::Fraction(of_time) => {
            each(move |number| of_time(local(number), number.rem_euclid(per) * nanos_per))
        }
    }
}

fn of_interval(unit: &str) -> Option<Kernel> {
    let one: fn(i64, i64) -> i64 = match unit {
        "YEAR" => |months, _| months / 12,
        "MONTH" => |months, _| months % 12,
        "DAY" => |_, millis| millis / MILLIS_PER_DAY,
        "HOUR" => |_, millis| millis % MILLIS_PER_DAY / 3_600_000,
        "MINUTE" => |_, millis| millis % 3_600_000 / 60_000,
        "SECOND" => |_, millis| millis % 60_000 / 1_000,
        "MILLISECOND" => |_, millis| millis % 1_000,
        _ => return None,
    };
    Some(Arc::new(move |values, rows| {
        let array = values[0].clone().into_array(rows)?;
        let parts =
            array.as_primitive::<IntervalMonthDayNanoType>().unary::<_, Int64Type>(|value| {
                let millis = value.nanoseconds / 1_000_000 + i64::from(value.days) * MILLIS_PER_DAY;
                one(i64::from(value.months), millis)
            });
        Ok(Arc::new(parts))
    }))
}
