//! TIMESTAMPADD, TIMESTAMPDIFF and OVERLAPS.

use arrow::array::{Array, AsArray, Int64Array};
use arrow::datatypes::{
    DataType, Int32Type, Int64Type, IntervalMonthDayNanoType, IntervalUnit, TimeUnit,
};
use datafusion_common::{Result as PlanResult, ScalarValue, exec_datafusion_err};
use datafusion_expr::{ColumnarValue, Operator};
use std::sync::Arc;

use super::super::super::bind::case_of;
use super::super::super::eval::{Kernel, Logic, Typed, fold};
use super::super::super::operators::{arithmetic, compare};
use super::super::super::types::type_name;
use super::super::calendar::{MILLIS_PER_DAY, add_months, months_between};
use super::super::kernel::{Integers, call, fallible_call, integer_argument};
use super::super::{BindOptions, OVERLAPS_FUNCTION, Scalar, TIMES_FUNCTION, wrong_argument};
use super::unit::{Length, Unit};
use super::{numbers, per_milli, times};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "TIMESTAMPADD", arguments: (3, 3), bind: timestampadd },
    Scalar { name: "TIMESTAMPDIFF", arguments: (3, 3), bind: timestampdiff },
    Scalar { name: OVERLAPS_FUNCTION, arguments: (4, 4), bind: overlaps },
    Scalar { name: TIMES_FUNCTION, arguments: (2, 2), bind: multiple },
];

fn written_unit(typed: &Typed) -> Result<(&str, Length), String> {
    let name = typed.literal_text().ok_or("the unit must be written: DAY")?;
    Ok((name, Unit::of(name)?.length()))
}

/// `TIMESTAMPADD(unit, count, time)`; a DATE plus parts of a day is a TIMESTAMP(6).
fn timestampadd(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let (name, length) = written_unit(&arguments[0])?;
    let given = arguments[2].data_type.clone();
    let number_of_units = integer_argument(&arguments, 1, options)?;
    let (result, step): (DataType, Step) = match (&given, length) {
        (DataType::Date32, Length::Millis(millis)) if millis % MILLIS_PER_DAY != 0 => (
            DataType::Timestamp(TimeUnit::Microsecond, None),
            Box::new(move |days, count| {
                let moved = (days * MILLIS_PER_DAY).wrapping_add(count.wrapping_mul(millis));
                moved.checked_mul(1_000)
            }),
        ),
        (DataType::Date32, Length::Millis(millis)) => (
            given.clone(),
            Box::new(move |days, count| {
                within_date(days.checked_add(count.wrapping_mul(millis) / MILLIS_PER_DAY)?)
            }),
        ),
        (DataType::Date32, Length::Months(months)) => (
            given.clone(),
            Box::new(move |days, count| within_date(add_months(days, whole_months(count, months)))),
        ),
        (DataType::Timestamp(unit, _), _) => (given.clone(), on_timestamp(*unit, length)),
        (DataType::Time32(_), Length::Millis(millis)) => (
            given.clone(),
            Box::new(move |time, count| {
                Some(time.wrapping_add(count.wrapping_mul(millis)).rem_euclid(MILLIS_PER_DAY))
            }),
        ),
        (DataType::Time32(_), _) => return Err(format!("TIME has no {name}")),
        (other, _) => return Err(wrong_argument(3, "a time", other)),
    };
    let to = result.clone();
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (counts, from) = (Integers::of(&values[0])?, numbers(&values[1], rows)?);
        let moved = from
            .iter()
            .enumerate()
            .map(|(row, number)| match number.zip(counts.get(row)) {
                None => Ok(None),
                Some((number, count)) => match step(number, count) {
                    Some(moved) => Ok(Some(moved)),
                    None => Err(exec_datafusion_err!("the time is out of range")),
                },
            })
            .collect::<PlanResult<Int64Array>>()?;
        times(moved, &to)
    });
    let label = format!("TIMESTAMPADD({}, {{}})", name.to_ascii_uppercase());
    let expressions = vec![number_of_units, Arc::clone(&arguments[2].expr)];
    Ok(fallible_call(&label, expressions, result, kernel))
}

/// A number and a count to a number; `None` is out of range.
type Step = Box<dyn Fn(i64, i64) -> Option<i64> + Send + Sync>;

fn within_date(days: i64) -> Option<i64> {
    i32::try_from(days).ok().map(i64::from)
}

/// An interval of months is an INT, and wraps.
#[expect(clippy::cast_possible_truncation, reason = "Java's narrowing casts wrap")]
fn whole_months(count: i64, months: i64) -> i64 {
    i64::from(count.wrapping_mul(months) as i32)
}

fn on_timestamp(unit: TimeUnit, length: Length) -> Step {
    let per = per_milli(unit);
    match length {
        Length::Millis(millis) if per == 1 => {
            Box::new(move |time, count| Some(time.wrapping_add(count.wrapping_mul(millis))))
        }
        Length::Millis(millis) => Box::new(move |time, count| {
            time.checked_add(count.wrapping_mul(millis).checked_mul(per)?)
        }),
        Length::Months(months) => Box::new(move |time, count| {
            let day = MILLIS_PER_DAY * per;
            let days = add_months(time.div_euclid(day), whole_months(count, months));
            days.checked_mul(day)?.checked_add(time.rem_euclid(day))
        }),
    }
}

/// `interval * count`, in any order.
fn multiple(mut arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let right = arguments.remove(1);
    arithmetic(Operator::Multiply, arguments.remove(0), right, options)
}

/// `time` moved by an interval of each row, `sign` times; a time of day goes round, a date is moved by
/// whole days.
///
/// # Errors
/// In words for the user.
pub(in crate::sql) fn moved_by(time: Typed, interval: Typed, sign: i64) -> Bound {
    let months_of_time = interval.literal().is_some_and(
        |value| matches!(value, ScalarValue::IntervalMonthDayNano(Some(length)) if length.months != 0),
    );
    let result = time.data_type.clone();
    let (months, millis): (Step, Step) = match &result {
        DataType::Date32 => (
            Box::new(|days, count| within_date(add_months(days, count))),
            Box::new(|days, millis| within_date(days.checked_add(millis / MILLIS_PER_DAY)?)),
        ),
        DataType::Time32(_) if !months_of_time => (
            Box::new(|clock, count| (count == 0).then_some(clock)),
            Box::new(|clock, millis| Some(clock.wrapping_add(millis).rem_euclid(MILLIS_PER_DAY))),
        ),
        DataType::Timestamp(unit, _) => {
            (on_timestamp(*unit, Length::Months(1)), on_timestamp(*unit, Length::Millis(1)))
        }
        other => return Err(format!("{} has no months", type_name(other))),
    };
    let to = result.clone();
    let kernel: Kernel = Arc::new(move |values: &[ColumnarValue], rows: usize| {
        let from = numbers(&values[0], rows)?;
        let lengths = values[1].clone().into_array(rows)?;
        let lengths = lengths.as_primitive::<IntervalMonthDayNanoType>();
        let moved = (0..rows)
            .map(|row| {
                if from.is_null(row) || lengths.is_null(row) {
                    return Ok(None);
                }
                let length = lengths.value(row);
                let by_millis =
                    i64::from(length.days) * MILLIS_PER_DAY + length.nanoseconds / 1_000_000;
                let moved = months(from.value(row), sign * i64::from(length.months));
                let moved = moved.and_then(|value| match by_millis {
                    0 => Some(value),
                    by_millis => millis(value, sign * by_millis),
                });
                moved.map(Some).ok_or_else(|| exec_datafusion_err!("the time is out of range"))
            })
            .collect::<PlanResult<Int64Array>>()?;
        times(moved, &to)
    });
    let label = if sign < 0 { "{} - {}" } else { "{} + {}" };
    Ok(fold(fallible_call(label, vec![time.expr, interval.expr], result, kernel)))
}

/// What the difference of two times counts.
#[derive(Clone, Copy)]
enum Scale {
    Days,
    /// Milliseconds, of so many units each.
    Millis(i64),
}

impl Scale {
    fn of(data_type: &DataType) -> Option<Scale> {
        match data_type {
            DataType::Date32 => Some(Scale::Days),
            DataType::Time32(_) => Some(Scale::Millis(1)),
            DataType::Timestamp(unit, _) => Some(Scale::Millis(per_milli(*unit))),
            _ => None,
        }
    }

    fn millis(self, number: i64) -> i64 {
        match self {
            Scale::Days => number * MILLIS_PER_DAY,
            Scale::Millis(per) => number.div_euclid(per),
        }
    }
}

/// `TIMESTAMPDIFF(unit, from, to)`: whole units, as an INT that wraps.
fn timestampdiff(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let (name, length) = written_unit(&arguments[0])?;
    let scale = |position: usize| {
        let given = &arguments[position].data_type;
        Scale::of(given).ok_or_else(|| wrong_argument(position + 1, "a time", given))
    };
    let (from_scale, to_scale) = (scale(1)?, scale(2)?);
    let (from_type, to_type) = (&arguments[1].data_type, &arguments[2].data_type);
    let instants = |data_type: &DataType| matches!(data_type, DataType::Timestamp(_, Some(_)));
    let clocks = |data_type: &DataType| matches!(data_type, DataType::Time32(_));
    if instants(from_type) != instants(to_type) || clocks(from_type) != clocks(to_type) {
        let (from, to) = (type_name(from_type), type_name(to_type));
        return Err(format!("{from} and {to} have no difference; CAST one of them"));
    }
    if clocks(from_type) && matches!(length, Length::Months(_)) {
        return Err(format!("TIME has no {name}"));
    }
    let kernel: Kernel = Arc::new(move |values: &[ColumnarValue], rows: usize| {
        let (from, to) = (numbers(&values[0], rows)?, numbers(&values[1], rows)?);
        let differences = arrow::compute::binary::<Int64Type, Int64Type, _, Int32Type>(
            &from,
            &to,
            |from, to| difference(from_scale.millis(from), to_scale.millis(to), length),
        )?;
        Ok(Arc::new(differences))
    });
    let label = format!("TIMESTAMPDIFF({}, {{}})", name.to_ascii_uppercase());
    let expressions = arguments[1..].iter().map(|typed| Arc::clone(&typed.expr)).collect();
    Ok(call(&label, expressions, DataType::Int32, kernel))
}

#[expect(clippy::cast_possible_truncation, reason = "Java's narrowing casts wrap")]
fn difference(from: i64, to: i64, length: Length) -> i32 {
    match length {
        Length::Millis(millis) => (to.wrapping_sub(from) / millis) as i32,
        Length::Months(months) => {
            let (from_day, to_day) =
                (from.div_euclid(MILLIS_PER_DAY), to.div_euclid(MILLIS_PER_DAY));
            let mut whole = months_between(to_day, from_day);
            let time = |millis: i64| millis.rem_euclid(MILLIS_PER_DAY);
            if add_months(from_day, whole) == to_day && time(to) < time(from) {
                whole -= 1;
            }
            (whole / months) as i32
        }
    }
}

/// `(start, end) OVERLAPS (start, end)`; an end may be an interval, and the order does not matter.
fn overlaps(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let (first, second) = (period(&arguments[..2], options)?, period(&arguments[2..], options)?);
    let left = compare(Operator::GtEq, first.1, second.0, options)?;
    let right = compare(Operator::GtEq, second.1, first.0, options)?;
    let both = Logic::new(true, left.expr, right.expr);
    Ok(Typed::new(Arc::new(both), DataType::Boolean))
}

/// Start and end in order.
fn period(pair: &[Typed], options: &BindOptions) -> Result<(Typed, Typed), String> {
    let (start, end) = (pair[0].clone(), pair[1].clone());
    let end = match end.data_type {
        DataType::Interval(IntervalUnit::MonthDayNano) | DataType::Duration(_) => {
            arithmetic(Operator::Plus, start.clone(), end, options)?
        }
        _ if end.data_type == start.data_type => end,
        ref other => {
            let start = type_name(&start.data_type);
            return Err(format!("a period from {start} to {} has no meaning", type_name(other)));
        }
    };
    let ordered = compare(Operator::LtEq, start.clone(), end.clone(), options)?.expr;
    let pick = |first: &Typed, second: &Typed| {
        case_of(vec![Arc::clone(&ordered)], vec![first.clone(), second.clone()], true, options)
    };
    Ok((pick(&start, &end)?, pick(&end, &start)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_whole_units() {
        let check = |from, to, length, expected| {
            assert_eq!(difference(from, to, length), expected, "{from} {to} {length:?}");
        };
        check(900, 2_100, Length::Millis(1_000), 1);
        check(2_100, 900, Length::Millis(1_000), -1);
        check(1, 0, Length::Months(1), -1);
        check(0, 31 * MILLIS_PER_DAY - 1, Length::Months(1), 0);
        check(0, 31 * MILLIS_PER_DAY, Length::Months(1), 1);
        check(0, i64::from(u32::MAX) * 1_000, Length::Millis(1_000), -1);
    }

    #[test]
    fn months_and_milliseconds_are_added() {
        let step = on_timestamp(TimeUnit::Microsecond, Length::Months(1));
        assert_eq!(step(-1, 1), Some(31 * MILLIS_PER_DAY * 1_000 - 1));
        let fine = on_timestamp(TimeUnit::Nanosecond, Length::Millis(1_000));
        assert_eq!(fine(5, -1), Some(5 - 1_000_000_000));
        assert_eq!(fine(0, i64::MAX / 2_000), None);
    }
}
