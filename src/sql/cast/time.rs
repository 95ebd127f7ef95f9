//! Times between units and between zones: what is finer is cut off.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{DataType, Date32Type, Int32Type, Int64Type, TimeUnit};
use chrono::{DateTime, NaiveDateTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use std::sync::Arc;

use super::Converter;
use crate::sql::eval::Kernel;

const MILLIS_PER_DAY: i64 = 86_400_000;

fn per_second(unit: TimeUnit) -> i64 {
    match unit {
        TimeUnit::Second => 1,
        TimeUnit::Millisecond => 1_000,
        TimeUnit::Microsecond => 1_000_000,
        TimeUnit::Nanosecond => 1_000_000_000,
    }
}

/// `from` to the unit of `to`; towards the past, and NULL when it does not fit.
pub(super) fn rescaled(from: TimeUnit, to: DataType) -> Converter {
    let DataType::Timestamp(unit, _) = to else { unreachable!("{to} is not a timestamp") };
    let (before, behind) = (per_second(from), per_second(unit));
    Box::new(move |array| {
        let numbers = arrow::compute::cast(array, &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        let scaled = if behind >= before {
            numbers.unary_opt::<_, Int64Type>(|value| value.checked_mul(behind / before))
        } else {
            numbers.unary::<_, Int64Type>(|value| value.div_euclid(before / behind))
        };
        Ok(arrow::compute::cast(&scaled, &to)?)
    })
}

/// A reading of the wall clock in `zone` to the instant it names.
pub(super) fn to_instant(zone: Tz, unit: TimeUnit, to: DataType) -> Converter {
    moved(unit, to, move |local| instant_of(local, zone).map(|instant| instant.naive_utc()))
}

/// An instant to the reading of the wall clock in `zone`.
pub(super) fn to_reading(zone: Tz, unit: TimeUnit, to: DataType) -> Converter {
    moved(unit, to, move |instant| Some(zone.from_utc_datetime(&instant).naive_local()))
}

/// The instant of a reading. Of one that comes twice the first; one that is left out when clocks go
/// forward is as much later as they go.
pub(in crate::sql) fn instant_of(local: NaiveDateTime, zone: Tz) -> Option<DateTime<Utc>> {
    if let Some(instant) = zone.from_local_datetime(&local).earliest() {
        return Some(instant.to_utc());
    }
    let before = local.checked_sub_signed(TimeDelta::hours(3))?;
    let before = zone.from_local_datetime(&before).earliest()?;
    Some(before.to_utc() + TimeDelta::hours(3))
}

/// Timestamps of one unit, each replaced by what `step` makes of it.
fn moved(
    unit: TimeUnit,
    to: DataType,
    step: impl Fn(NaiveDateTime) -> Option<NaiveDateTime> + Send + Sync + 'static,
) -> Converter {
    Box::new(move |array| {
        let numbers = arrow::compute::cast(array, &DataType::Int64)?;
        let moved = numbers
            .as_primitive::<Int64Type>()
            .unary_opt::<_, Int64Type>(|number| number_at(step(time_at(number, unit)?)?, unit));
        Ok(arrow::compute::cast(&moved, &to)?)
    })
}

/// The time a number of units since the epoch stands for.
pub(in crate::sql) fn time_at(number: i64, unit: TimeUnit) -> Option<NaiveDateTime> {
    let instant = match unit {
        TimeUnit::Second => DateTime::from_timestamp(number, 0)?,
        TimeUnit::Millisecond => DateTime::from_timestamp_millis(number)?,
        TimeUnit::Microsecond => DateTime::from_timestamp_micros(number)?,
        TimeUnit::Nanosecond => DateTime::from_timestamp_nanos(number),
    };
    Some(instant.naive_utc())
}

/// The inverse of [`time_at`]; `None` when it does not fit.
pub(in crate::sql) fn number_at(time: NaiveDateTime, unit: TimeUnit) -> Option<i64> {
    let instant = time.and_utc();
    match unit {
        TimeUnit::Second => Some(instant.timestamp()),
        TimeUnit::Millisecond => Some(instant.timestamp_millis()),
        TimeUnit::Microsecond => Some(instant.timestamp_micros()),
        TimeUnit::Nanosecond => instant.timestamp_nanos_opt(),
    }
}

/// A time of day, on the first day there was.
pub(super) fn on_first_day(to: DataType) -> Converter {
    let DataType::Timestamp(unit, _) = to else { unreachable!("{to} is not a timestamp") };
    let per_milli = per_second(unit) / 1_000;
    Box::new(move |array| {
        let millis = arrow::compute::cast(array, &DataType::Int32)?;
        let millis = millis.as_primitive::<Int32Type>();
        let numbers = millis.unary::<_, Int64Type>(|value| i64::from(value) * per_milli);
        Ok(arrow::compute::cast(&numbers, &to)?)
    })
}

/// The day of a TIMESTAMP. Flink divides towards 1970, so that a time before it is on the next day.
pub(super) fn to_date(unit: TimeUnit) -> Converter {
    Box::new(move |array| {
        let numbers = arrow::compute::cast(array, &DataType::Int64)?;
        let days = numbers.as_primitive::<Int64Type>().unary_opt::<_, Date32Type>(|value| {
            let millis = i128::from(value) * 1_000;
            let millis = millis.div_euclid(i128::from(per_second(unit)));
            i32::try_from(millis / i128::from(MILLIS_PER_DAY)).ok()
        });
        Ok(Arc::new(days) as ArrayRef)
    })
}

/// Keeps `digits` of a second. Up to milliseconds Flink cuts towards 1970, behind them towards the
/// past.
pub(super) fn cut_to(digits: usize, data_type: DataType) -> Kernel {
    let power = |exponent: usize| 10_i64.pow(u32::try_from(exponent).expect("at most 9"));
    Arc::new(move |arguments, rows| {
        let array = arguments[0].clone().into_array(rows)?;
        if let DataType::Time32(_) = data_type {
            let step = i32::try_from(power(3 - digits)).expect("at most 1000");
            let millis = arrow::compute::cast(&array, &DataType::Int32)?;
            let cut = millis
                .as_primitive::<Int32Type>()
                .unary::<_, Int32Type>(|value| value - value % step);
            return Ok(arrow::compute::cast(&cut, &data_type)?);
        }
        let numbers = arrow::compute::cast(&array, &DataType::Int64)?;
        let numbers = numbers.as_primitive::<Int64Type>();
        let cut = match digits {
            0..=3 => {
                let step = power(3 - digits);
                numbers.unary::<_, Int64Type>(|value| value - value % step)
            }
            _ => {
                let step = power(if digits <= 6 { 6 - digits } else { 9 - digits });
                numbers.unary::<_, Int64Type>(|value| value - value.rem_euclid(step))
            }
        };
        Ok(arrow::compute::cast(&cut, &data_type)?)
    })
}
