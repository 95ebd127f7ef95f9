//! Arithmetic of intervals: times moved by them, sums and multiples of them.
//!
//! An interval is a number of months, or of milliseconds, which are kept as nanoseconds. Which of the
//! two is a matter of its value, not of its type.

use arrow::array::{Array, ArrayRef, AsArray, IntervalMonthDayNanoArray};
use arrow::datatypes::{
    DataType, Int64Type, IntervalMonthDayNano, IntervalMonthDayNanoType, IntervalUnit,
};
use datafusion_common::{Result as PlanResult, ScalarValue, exec_datafusion_err};
use datafusion_expr::{ColumnarValue, Operator};
use std::sync::Arc;

use super::cast::cast;
use super::eval::{Call, Typed, fold};
use super::functions::{BindOptions, moved_by};
use super::types::{SqlType, is_integer, type_name};

const NANOS_PER_DAY: i64 = 86_400_000_000_000;

const INTERVAL: DataType = DataType::Interval(IntervalUnit::MonthDayNano);

/// True for an interval.
pub(super) fn is_interval(typed: &Typed) -> bool {
    matches!(typed.data_type, DataType::Interval(_))
}

/// `left operator right`, of which one is an interval and no constant time is moved.
///
/// # Errors
/// In words for the user.
pub(super) fn interval_arithmetic(
    operator: Operator,
    left: Typed,
    right: Typed,
    options: &BindOptions,
) -> Result<Typed, String> {
    match (operator, is_interval(&left), is_interval(&right)) {
        (Operator::Plus | Operator::Minus, true, true) if of_one_kind(&left, &right) => {
            let signed = if operator == Operator::Plus { 1 } else { -1 };
            let sum: Step = Arc::new(move |a, b| added(a, multiplied(b, signed)?));
            Ok(combined(operator, left, right, sum))
        }
        (Operator::Multiply, true, false) if is_integer(&right.data_type) => {
            multiple(left, right, options)
        }
        (Operator::Multiply, false, true) if is_integer(&left.data_type) => {
            multiple(right, left, options)
        }
        (Operator::Plus, true, false) if is_time(&right.data_type) => moved_by(right, left, 1),
        (Operator::Plus, false, true) if is_time(&left.data_type) => moved_by(left, right, 1),
        (Operator::Minus, false, true) if is_time(&left.data_type) => moved_by(left, right, -1),
        _ => Err(format!(
            "{} {operator} {} is not defined; an INTERVAL is added to or subtracted from a time or \
             an INTERVAL, or multiplied by an integer",
            type_name(&left.data_type),
            type_name(&right.data_type)
        )),
    }
}

/// False when one is a number of months and the other one of milliseconds, as far as they are constants.
fn of_one_kind(left: &Typed, right: &Typed) -> bool {
    let months = |typed: &Typed| match typed.literal() {
        Some(ScalarValue::IntervalMonthDayNano(Some(length))) => {
            Some((length.months != 0, nanos(*length) != Some(0)))
        }
        _ => None,
    };
    match (months(left), months(right)) {
        (Some((months, nanos)), Some((other_months, other_nanos))) => {
            !(months && other_nanos || nanos && other_months)
        }
        _ => true,
    }
}

fn is_time(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Date32 | DataType::Time32(_) | DataType::Timestamp(..))
}

/// Two intervals to one; `None` is out of range.
type Step = Arc<
    dyn Fn(IntervalMonthDayNano, IntervalMonthDayNano) -> Option<IntervalMonthDayNano>
        + Send
        + Sync,
>;

fn combined(operator: Operator, left: Typed, right: Typed, step: Step) -> Typed {
    let kernel = move |values: &[ColumnarValue], rows: usize| {
        let (a, b) = (intervals(&values[0], rows)?, intervals(&values[1], rows)?);
        collected((0..rows).map(|row| match (a.is_valid(row) && b.is_valid(row)).then_some(row) {
            None => Ok(None),
            Some(row) => step(a.value(row), b.value(row)).map(Some).ok_or(()),
        }))
    };
    let name = format!("{{}} {operator} {{}}");
    let call = Call::new(name, vec![left.expr, right.expr], INTERVAL, Arc::new(kernel));
    fold(Typed::new(Arc::new(call.fallible()), INTERVAL))
}

fn multiple(interval: Typed, count: Typed, options: &BindOptions) -> Result<Typed, String> {
    let count = cast(count, &SqlType::plain(DataType::Int64), false, options)?;
    let kernel = |values: &[ColumnarValue], rows: usize| {
        let lengths = intervals(&values[0], rows)?;
        let counts = values[1].clone().into_array(rows)?;
        let counts = counts.as_primitive::<Int64Type>();
        collected((0..rows).map(|row| {
            match (lengths.is_valid(row) && counts.is_valid(row)).then_some(row) {
                None => Ok(None),
                Some(row) => multiplied(lengths.value(row), counts.value(row)).map(Some).ok_or(()),
            }
        }))
    };
    let call = Call::new("{} * {}", vec![interval.expr, count.expr], INTERVAL, Arc::new(kernel))
        .fallible();
    Ok(fold(Typed::new(Arc::new(call), INTERVAL)))
}

fn intervals(value: &ColumnarValue, rows: usize) -> PlanResult<IntervalMonthDayNanoArray> {
    Ok(value.clone().into_array(rows)?.as_primitive::<IntervalMonthDayNanoType>().clone())
}

fn collected(
    rows: impl Iterator<Item = Result<Option<IntervalMonthDayNano>, ()>>,
) -> PlanResult<ArrayRef> {
    let array = rows
        .map(|row| row.map_err(|()| exec_datafusion_err!("the interval is out of range")))
        .collect::<PlanResult<IntervalMonthDayNanoArray>>()?;
    Ok(Arc::new(array))
}

fn added(a: IntervalMonthDayNano, b: IntervalMonthDayNano) -> Option<IntervalMonthDayNano> {
    let months = a.months.checked_add(b.months)?;
    Some(IntervalMonthDayNano::new(months, 0, nanos(a)?.checked_add(nanos(b)?)?))
}

fn multiplied(a: IntervalMonthDayNano, count: i64) -> Option<IntervalMonthDayNano> {
    let months = i64::from(a.months).checked_mul(count)?;
    let nanos = nanos(a)?.checked_mul(count)?;
    Some(IntervalMonthDayNano::new(i32::try_from(months).ok()?, 0, nanos))
}

fn nanos(interval: IntervalMonthDayNano) -> Option<i64> {
    interval.nanoseconds.checked_add(i64::from(interval.days).checked_mul(NANOS_PER_DAY)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Int32Array, RecordBatch};

    const OPTIONS: BindOptions = BindOptions { time_zone: chrono_tz::UTC };

    fn constant(months: i32, nanos: i64) -> Typed {
        let interval = IntervalMonthDayNano::new(months, 0, nanos);
        Typed::constant(ScalarValue::IntervalMonthDayNano(Some(interval)))
    }

    #[track_caller]
    fn check(operator: Operator, left: Typed, right: Typed, expected: Option<(i32, i64)>) {
        let typed = interval_arithmetic(operator, left, right, &OPTIONS).unwrap();
        let counts: ArrayRef = Arc::new(Int32Array::from(vec![-2]));
        let rows = RecordBatch::try_from_iter([("n", counts)]).unwrap();
        let value = typed.expr.evaluate(&rows).ok().map(|value| value.into_array(1).unwrap());
        let got = value.map(|array| {
            let interval = array.as_primitive::<IntervalMonthDayNanoType>().value(0);
            (interval.months, interval.nanoseconds)
        });
        assert_eq!(got, expected);
    }

    #[test]
    fn intervals_are_added_and_multiplied() {
        let count = || Typed::column("n", 0, DataType::Int32);
        let plus = Operator::Plus;
        check(plus, constant(0, 5), constant(0, 7), Some((0, 12)));
        check(Operator::Minus, constant(14, 0), constant(2, 0), Some((12, 0)));
        check(Operator::Multiply, constant(0, 5), count(), Some((0, -10)));
        check(Operator::Multiply, count(), constant(3, 0), Some((-6, 0)));
        check(plus, constant(0, i64::MAX), constant(0, 1), None);
        check(Operator::Multiply, constant(i32::MAX, 0), count(), None);
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        let text = || Typed::column("s", 0, DataType::Utf8);
        for (operator, left, right) in [
            (Operator::Multiply, constant(0, 1), constant(0, 1)),
            (Operator::Plus, constant(1, 0), constant(0, 1)),
            (Operator::Divide, constant(0, 1), text()),
            (Operator::Plus, constant(0, 1), text()),
            (Operator::Minus, constant(0, 1), Typed::column("d", 0, DataType::Date32)),
        ] {
            let error = interval_arithmetic(operator, left, right, &OPTIONS).unwrap_err();
            assert!(error.contains("is not defined"), "{error}");
        }
    }
}
