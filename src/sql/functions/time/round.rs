//! `FLOOR(time TO unit)` and `CEIL(time TO unit)`: the type stays.

use arrow::array::Int64Array;
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use arrow::error::ArrowError;
use chrono_tz::Tz;
use std::sync::Arc;

use super::super::super::eval::{Kernel, Typed};
use super::super::calendar::{MILLIS_PER_DAY, Span, java_offset_millis, rounded_day};
use super::super::kernel::fallible_call;
use super::super::{BindOptions, wrong_argument};
use super::unit::Unit;
use super::{numbers, per_milli, times};

type Bound = Result<Typed, String>;

/// What rounds a number; `None` is out of range.
type Rounding = Box<dyn Fn(i64) -> Option<i64> + Send + Sync>;

pub(in crate::sql::functions) fn round_time(
    name: &str,
    arguments: &[Typed],
    up: bool,
    options: &BindOptions,
) -> Bound {
    let written =
        arguments[1].literal_text().ok_or("the unit must be written: FLOOR(ts TO HOUR)")?;
    let unit = Unit::of(written)?;
    let data_type = arguments[0].data_type.clone();
    let rounding: Rounding = match (&data_type, unit) {
        (DataType::Timestamp(kept, zone), _) => {
            of_timestamp(unit, *kept, zone.as_ref().map(|_| options.time_zone), up)
        }
        (DataType::Date32, Unit::Days(span)) => {
            Box::new(move |days| Some(rounded_day(span, days, up)))
        }
        (DataType::Date32, Unit::Millis(_)) => return Ok(arguments[0].clone()),
        (DataType::Time32(TimeUnit::Millisecond), Unit::Millis(length)) => {
            Box::new(move |millis| {
                Some(rounded(millis, length, up)).filter(|millis| *millis < MILLIS_PER_DAY)
            })
        }
        (DataType::Time32(_), _) => return Err(format!("TIME has no {written}")),
        (other, _) => return Err(wrong_argument(1, "a time", other)),
    };
    let to = data_type.clone();
    let kernel: Kernel = Arc::new(move |values, rows| {
        let rounded: Result<Int64Array, ArrowError> = numbers(&values[0], rows)?
            .try_unary::<_, Int64Type, _>(|number| {
                rounding(number)
                    .ok_or_else(|| ArrowError::ComputeError("the time is out of range".into()))
            });
        times(rounded?, &to)
    });
    let zone = options.time_zone;
    let unit_name = written.to_ascii_uppercase();
    let label = match &data_type {
        DataType::Timestamp(_, Some(_)) if zone != Tz::UTC => {
            format!("{name}({{}} TO {unit_name} IN {zone})")
        }
        _ => format!("{name}({{}} TO {unit_name})"),
    };
    Ok(fallible_call(&label, vec![Arc::clone(&arguments[0].expr)], data_type, kernel))
}

fn rounded(value: i64, length: i64, up: bool) -> i64 {
    let floor = value.saturating_sub(value.rem_euclid(length));
    if up && floor < value { floor.saturating_add(length) } else { floor }
}

/// On milliseconds; what is finer is gone.
fn of_timestamp(unit: Unit, kept: TimeUnit, zone: Option<Tz>, up: bool) -> Rounding {
    let per = per_milli(kept);
    let in_zone = move |millis: i64, step: &dyn Fn(i64) -> i64| {
        let offset = zone.map_or(0, |zone| java_offset_millis(zone, millis));
        step(millis.saturating_add(offset)).saturating_sub(offset)
    };
    Box::new(move |number| {
        let millis = number.div_euclid(per);
        // CEIL to milliseconds counts what is finer where there is a reading of a clock.
        let whole = millis + i64::from(up && zone.is_none() && number.rem_euclid(per) > 0);
        let result = match unit {
            Unit::Millis(1) => whole,
            Unit::Millis(length @ 3_600_000) => {
                in_zone(millis, &|local| rounded(local, length, up))
            }
            Unit::Millis(length) => rounded(millis, length, up),
            Unit::Days(Span::Day) => in_zone(millis, &|local| rounded(local, MILLIS_PER_DAY, up)),
            Unit::Days(span) => in_zone(millis, &|local| {
                rounded_day(span, local / MILLIS_PER_DAY, up).saturating_mul(MILLIS_PER_DAY)
            }),
        };
        result.checked_mul(per)
    })
}
