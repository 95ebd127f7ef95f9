//! Comparison of timestamps of different precision: exact, also where one does not fit the other's.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::{DataType, Int64Type, TimeUnit};
use datafusion_expr::{ColumnarValue, Operator};
use std::cmp::Ordering;
use std::sync::Arc;

use super::eval::{Call, Kernel, Typed};

/// `left operator right` of two timestamps, both with a zone or both without, of different units;
/// `None` for everything else.
pub(super) fn compare_moments(operator: Operator, left: &Typed, right: &Typed) -> Option<Typed> {
    let (DataType::Timestamp(unit, zone), DataType::Timestamp(other_unit, other_zone)) =
        (&left.data_type, &right.data_type)
    else {
        return None;
    };
    if unit == other_unit || zone.is_some() != other_zone.is_some() {
        return None;
    }
    let (holds, nulls_decide): (fn(Ordering) -> bool, bool) = match operator {
        Operator::Eq => (Ordering::is_eq, false),
        Operator::NotEq => (Ordering::is_ne, false),
        Operator::Lt => (Ordering::is_lt, false),
        Operator::LtEq => (Ordering::is_le, false),
        Operator::Gt => (Ordering::is_gt, false),
        Operator::GtEq => (Ordering::is_ge, false),
        Operator::IsNotDistinctFrom => (Ordering::is_eq, true),
        Operator::IsDistinctFrom => (Ordering::is_ne, true),
        _ => return None,
    };
    let (scale, other_scale) = (nanos_per(*unit), nanos_per(*other_unit));
    let kernel: Kernel = Arc::new(move |values: &[ColumnarValue], rows: usize| {
        let (ours, others) = (numbers(&values[0], rows)?, numbers(&values[1], rows)?);
        let (ours, others) = (ours.as_primitive::<Int64Type>(), others.as_primitive::<Int64Type>());
        let order = |row: usize| {
            let nanos = i128::from(ours.value(row)) * scale;
            nanos.cmp(&(i128::from(others.value(row)) * other_scale))
        };
        let one = |row: usize| match (ours.is_valid(row), others.is_valid(row)) {
            (true, true) => Some(holds(order(row))),
            (valid, other) if nulls_decide => {
                Some(holds(if valid == other { Ordering::Equal } else { Ordering::Less }))
            }
            _ => None,
        };
        Ok(Arc::new((0..rows).map(one).collect::<BooleanArray>()) as ArrayRef)
    });
    let arguments = vec![Arc::clone(&left.expr), Arc::clone(&right.expr)];
    let call = Call::new(operator.to_string(), arguments, DataType::Boolean, kernel);
    Some(Typed::new(Arc::new(call), DataType::Boolean))
}

fn numbers(value: &ColumnarValue, rows: usize) -> datafusion_common::Result<ArrayRef> {
    Ok(arrow::compute::cast(&value.clone().into_array(rows)?, &DataType::Int64)?)
}

fn nanos_per(unit: TimeUnit) -> i128 {
    match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    }
}
