//! Operators: the types Flink gives to arithmetic and comparison, and decimal arithmetic.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Decimal128Array};
use arrow::datatypes::{DataType, Decimal128Type, TimeUnit, i256};
use datafusion_common::{Result as PlanResult, ScalarValue, exec_datafusion_err};
use datafusion_expr::{ColumnarValue, Operator};
use datafusion_physical_expr::expressions::BinaryExpr;
use std::sync::Arc;

use super::bind::comparable_literal;
use super::cast::cast;
use super::eval::{Call, Physical, Typed, equal};
use super::floats::{compare_floats, is_float};
use super::functions::BindOptions;
use super::integers::divide;
use super::intervals::{interval_arithmetic, is_interval};
use super::moments::compare_moments;
use super::texts::compare_texts;
use super::types::{
    SqlType, as_decimal, bounded_decimal, common_type, is_integer, is_nested, is_number, type_name,
};

/// `left operator right` for `+ - * / %`.
pub(super) fn arithmetic(
    operator: Operator,
    left: Typed,
    right: Typed,
    options: &BindOptions,
) -> Result<Typed, String> {
    if is_interval(&right) || is_interval(&left) {
        return temporal(operator, left, right, options);
    }
    if left.data_type == DataType::Null || right.data_type == DataType::Null {
        return Err(format!("NULL has no type beside {operator}; write CAST(NULL AS INT)"));
    }
    if !is_number(&left.data_type) || !is_number(&right.data_type) {
        return Err(format!(
            "{} {operator} {} is not defined; CAST to numbers{}",
            type_name(&left.data_type),
            type_name(&right.data_type),
            if operator == Operator::Minus { ", or subtract an INTERVAL from a time" } else { "" },
        ));
    }
    let exact = as_decimal(&left.data_type).zip(as_decimal(&right.data_type));
    match exact {
        Some(_) if is_integer(&left.data_type) && is_integer(&right.data_type) => {
            integer_arithmetic(operator, left, right, options)
        }
        Some((left_type, right_type)) => {
            decimal_arithmetic(operator, (left, left_type), (right, right_type), options)
        }
        None if operator == Operator::Modulo => Err(format!(
            "{} % {} is not defined; CAST to DECIMAL",
            type_name(&left.data_type),
            type_name(&right.data_type)
        )),
        None => {
            let common = common_number(&left, &right).expect("numbers have a common type");
            binary(operator, left, right, &common, common.clone(), options)
        }
    }
}

/// The type in which an operator computes. Of FLOAT and DOUBLE it is the left one.
fn common_number(left: &Typed, right: &Typed) -> Option<DataType> {
    match is_float(&left.data_type) && is_float(&right.data_type) {
        true => Some(left.data_type.clone()),
        false => common_type(&left.data_type, &right.data_type),
    }
}

/// Both sides as `operands`, then the operator, which gives `result`.
fn binary(
    operator: Operator,
    left: Typed,
    right: Typed,
    operands: &DataType,
    result: DataType,
    options: &BindOptions,
) -> Result<Typed, String> {
    let to = SqlType::plain(operands.clone());
    let left = cast(left, &to, false, options)?.expr;
    let right = cast(right, &to, false, options)?.expr;
    let divides = matches!(operator, Operator::Divide | Operator::Modulo);
    if divides && is_integer(operands) {
        return Ok(divide(operator, left, right, operands));
    }
    if result == DataType::Boolean && is_float(operands) && *left != *right {
        return Ok(compare_floats(operator, left, right, operands));
    }
    if *operands == DataType::Utf8
        && let Some(compared) = compare_texts(operator, &left, &right)
    {
        return Ok(compared);
    }
    Ok(Typed::new(Arc::new(BinaryExpr::new(left, operator, right)), result))
}

fn integer_arithmetic(
    operator: Operator,
    left: Typed,
    right: Typed,
    options: &BindOptions,
) -> Result<Typed, String> {
    let common =
        common_type(&left.data_type, &right.data_type).expect("integers have a common type");
    let divisor = right.data_type.clone();
    let result = binary(operator, left, right, &common, common.clone(), options)?;
    // A remainder has the divisor's type, which always holds it.
    if operator == Operator::Modulo {
        return cast(result, &SqlType::plain(divisor), false, options);
    }
    Ok(result)
}

/// Both decimals, as i256 of their unscaled values.
type DecimalStep = fn(i256, i256, DecimalScales) -> PlanResult<Option<i256>>;

/// Scales of the operands and of the result.
#[derive(Clone, Copy)]
struct DecimalScales {
    left: i8,
    right: i8,
    result: i8,
}

fn decimal_arithmetic(
    operator: Operator,
    (left, (p1, s1)): (Typed, (u8, i8)),
    (right, (p2, s2)): (Typed, (u8, i8)),
    options: &BindOptions,
) -> Result<Typed, String> {
    let (p1, s1, p2, s2) = (i16::from(p1), i16::from(s1), i16::from(p2), i16::from(s2));
    let result = match operator {
        Operator::Plus | Operator::Minus => {
            let scale = s1.max(s2);
            bounded_decimal((p1 - s1).max(p2 - s2) + scale + 1, scale)
        }
        Operator::Multiply => bounded_decimal(p1 + p2 + 1, s1 + s2),
        Operator::Divide => {
            let scale = (s1 + p2 + 1).max(6);
            bounded_decimal(p1 - s1 + s2 + scale, scale)
        }
        _ => {
            let scale = s1.max(s2);
            bounded_decimal((p1 - s1).min(p2 - s2) + scale, scale)
        }
    };
    let DataType::Decimal128(precision, scale) = result else {
        unreachable!("bounded_decimal gives a decimal")
    };
    let step: DecimalStep = match operator {
        Operator::Plus => |a, b, scales| Ok(added(a, b, scales)),
        Operator::Minus => |a, b, scales| Ok(added(a, b.wrapping_neg(), scales)),
        Operator::Multiply => |a, b, scales| Ok(multiplied(a, b, scales)),
        Operator::Divide => divided,
        _ => remainder,
    };
    let narrow = |wide: i16| i8::try_from(wide).expect("a scale is at most 38");
    let scales = DecimalScales { left: narrow(s1), right: narrow(s2), result: scale };
    let left = cast(left, &SqlType::plain(exact(p1, s1)), false, options)?.expr;
    let right = cast(right, &SqlType::plain(exact(p2, s2)), false, options)?.expr;
    let kernel = move |arguments: &[ColumnarValue], rows: usize| {
        decimal_kernel(arguments, rows, step, scales, precision)
    };
    let call = Call::new(operator.to_string(), vec![left, right], result.clone(), Arc::new(kernel));
    let divides = matches!(operator, Operator::Divide | Operator::Modulo);
    let call = if divides { call.fallible() } else { call };
    Ok(Typed::new(Arc::new(call), result))
}

fn exact(precision: i16, scale: i16) -> DataType {
    bounded_decimal(precision, scale)
}

/// A value too large for the result's precision is NULL, as in Flink.
fn decimal_kernel(
    arguments: &[ColumnarValue],
    rows: usize,
    step: DecimalStep,
    scales: DecimalScales,
    precision: u8,
) -> PlanResult<ArrayRef> {
    let (left, right) = (decimals(&arguments[0], rows)?, decimals(&arguments[1], rows)?);
    let limit = power_of_ten(i16::from(precision));
    let mut values = Decimal128Array::builder(rows);
    for row in 0..rows {
        let (a, b) = (left.value_at(row), right.value_at(row));
        let value = match a.zip(b) {
            None => None,
            Some((a, b)) => step(i256::from_i128(a), i256::from_i128(b), scales)?
                .filter(|value| value.wrapping_abs() < limit)
                .and_then(i256::to_i128),
        };
        values.append_option(value);
    }
    let array = values.finish().with_precision_and_scale(precision, scales.result)?;
    Ok(Arc::new(array))
}

/// A decimal column or constant.
enum Decimals {
    Constant(Option<i128>),
    Column(Decimal128Array),
}

impl Decimals {
    fn value_at(&self, row: usize) -> Option<i128> {
        match self {
            Decimals::Constant(value) => *value,
            Decimals::Column(array) => array.is_valid(row).then(|| array.value(row)),
        }
    }
}

fn decimals(value: &ColumnarValue, rows: usize) -> PlanResult<Decimals> {
    match value {
        ColumnarValue::Scalar(ScalarValue::Decimal128(value, ..)) => Ok(Decimals::Constant(*value)),
        other => {
            let array = other.clone().into_array(rows)?;
            Ok(Decimals::Column(array.as_primitive::<Decimal128Type>().clone()))
        }
    }
}

fn power_of_ten(exponent: i16) -> i256 {
    let mut power = i256::ONE;
    for _ in 0..exponent.max(0) {
        power = power.wrapping_mul(i256::from_i128(10));
    }
    power
}

/// `value` of scale `from` at scale `to`, rounded half up.
fn rescaled(value: i256, from: i8, to: i8) -> Option<i256> {
    let distance = i16::from(to) - i16::from(from);
    if distance >= 0 {
        return value.checked_mul(power_of_ten(distance));
    }
    let divisor = power_of_ten(-distance);
    rounded_quotient(value, divisor)
}

fn rounded_quotient(value: i256, divisor: i256) -> Option<i256> {
    let quotient = value.checked_div(divisor)?;
    let remainder = value.checked_rem(divisor)?.wrapping_abs();
    let twice = remainder.checked_add(remainder)?;
    if twice < divisor.wrapping_abs() {
        return Some(quotient);
    }
    let away =
        if value.is_negative() == divisor.is_negative() { i256::ONE } else { i256::MINUS_ONE };
    quotient.checked_add(away)
}

fn added(a: i256, b: i256, scales: DecimalScales) -> Option<i256> {
    let fine = scales.left.max(scales.right);
    let a = rescaled(a, scales.left, fine)?;
    let b = rescaled(b, scales.right, fine)?;
    rescaled(a.checked_add(b)?, fine, scales.result)
}

fn multiplied(a: i256, b: i256, scales: DecimalScales) -> Option<i256> {
    rescaled(a.checked_mul(b)?, scales.left + scales.right, scales.result)
}

fn divided(a: i256, b: i256, scales: DecimalScales) -> PlanResult<Option<i256>> {
    if b == i256::ZERO {
        return Err(exec_datafusion_err!("division by zero"));
    }
    let numerator = rescaled(a, scales.left, scales.right.saturating_add(scales.result));
    Ok(numerator.and_then(|numerator| rounded_quotient(numerator, b)))
}

fn remainder(a: i256, b: i256, scales: DecimalScales) -> PlanResult<Option<i256>> {
    if b == i256::ZERO {
        return Err(exec_datafusion_err!("division by zero"));
    }
    let fine = scales.left.max(scales.right);
    let sides = rescaled(a, scales.left, fine).zip(rescaled(b, scales.right, fine));
    Ok(sides
        .and_then(|(left, right)| left.checked_rem(right))
        .and_then(|value| rescaled(value, fine, scales.result)))
}

/// A time plus or minus an interval, and other arithmetic of intervals. A timestamp moved by a constant
/// is what most queries have.
fn temporal(
    operator: Operator,
    left: Typed,
    right: Typed,
    options: &BindOptions,
) -> Result<Typed, String> {
    let (time, interval) = match (operator, is_interval(&left), is_interval(&right)) {
        (Operator::Plus | Operator::Minus, false, true) => (&left, &right),
        (Operator::Plus, true, false) => (&right, &left),
        _ => return interval_arithmetic(operator, left, right, options),
    };
    let constant = match interval.literal() {
        Some(ScalarValue::IntervalMonthDayNano(Some(length))) => Some(*length),
        _ => None,
    };
    match (&time.data_type, constant) {
        (DataType::Timestamp(unit, _), Some(length)) if length.months == 0 => {
            let nanos = length.nanoseconds + i64::from(length.days) * 86_400_000_000_000;
            let signed = if operator == Operator::Minus { -nanos } else { nanos };
            let (label, result) = (format!("{operator}"), time.data_type.clone());
            let (moved, by) = (Arc::clone(&time.expr), Arc::clone(&interval.expr));
            let moved = shifted(moved, by, label, signed, *unit, &result);
            let to = SqlType { data_type: result.clone(), bound: time.bound };
            cast(Typed::new(moved, result), &to, false, options)
        }
        (DataType::Timestamp(..), Some(_)) => {
            let (moved, by) = (Arc::clone(&time.expr), Arc::clone(&interval.expr));
            let result = time.data_type.clone();
            Ok(Typed::new(Arc::new(BinaryExpr::new(moved, operator, by)), result))
        }
        _ => interval_arithmetic(operator, left, right, options),
    }
}

/// A timestamp moved by a constant: one checked addition per row.
fn shifted(
    time: Physical,
    interval: Physical,
    label: String,
    nanos: i64,
    unit: TimeUnit,
    result: &DataType,
) -> Physical {
    let per_unit = match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    let distance = nanos / per_unit;
    let data_type = result.clone();
    let kernel = move |arguments: &[ColumnarValue], rows: usize| {
        let array = arguments[0].clone().into_array(rows)?;
        let numbers = arrow::compute::cast(&array, &DataType::Int64)?;
        let moved =
            numbers.as_primitive::<arrow::datatypes::Int64Type>().try_unary(|value: i64| {
                value.checked_add(distance).ok_or_else(|| {
                    arrow::error::ArrowError::ComputeError("the timestamp is out of range".into())
                })
            });
        let moved: arrow::array::Int64Array = moved?;
        Ok(arrow::compute::cast(&moved, &data_type)?)
    };
    let call = Call::new(label, vec![time, interval], result.clone(), Arc::new(kernel));
    Arc::new(call.fallible())
}

/// `left operator right` for comparisons.
pub(super) fn compare(
    operator: Operator,
    left: Typed,
    right: Typed,
    options: &BindOptions,
) -> Result<Typed, String> {
    if let Some(compared) = compare_moments(operator, &left, &right) {
        return Ok(compared);
    }
    let common = common_number(&left, &right)
        .or_else(|| common_reading(&left.data_type, &right.data_type))
        .or_else(|| ordered_number(operator, &left.data_type, &right.data_type))
        .or_else(|| comparable_literal(&left.data_type, &right))
        .or_else(|| comparable_literal(&right.data_type, &left))
        .ok_or_else(|| {
            format!(
                "{} {operator} {} compares different kinds of things; CAST one of them",
                type_name(&left.data_type),
                type_name(&right.data_type)
            )
        })?;
    let common = if common == DataType::Null { DataType::Boolean } else { common };
    if is_nested(&common) {
        return compare_nested(operator, left, right, &common, options);
    }
    binary(operator, left, right, &common, DataType::Boolean, options)
}

/// An instant is compared with a reading of the wall clock as what that clock shows in the session's
/// zone.
fn common_reading(left: &DataType, right: &DataType) -> Option<DataType> {
    match (left, right) {
        (DataType::Timestamp(unit, one), DataType::Timestamp(other_unit, other))
            if one.is_some() != other.is_some() =>
        {
            Some(DataType::Timestamp(*unit.max(other_unit), None))
        }
        _ => None,
    }
}

/// Text has an order among integers, as BIGINT; for equality Flink asks for a CAST.
fn ordered_number(operator: Operator, left: &DataType, right: &DataType) -> Option<DataType> {
    let ordered = matches!(operator, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq);
    let one_text = match (left, right) {
        (DataType::Utf8, other) | (other, DataType::Utf8) => is_integer(other),
        _ => false,
    };
    (ordered && one_text).then_some(DataType::Int64)
}

/// Values with parts are equal or not; they have no order.
fn compare_nested(
    operator: Operator,
    left: Typed,
    right: Typed,
    common: &DataType,
    options: &BindOptions,
) -> Result<Typed, String> {
    let (is_equality, nulls_decide) = match operator {
        Operator::Eq => (true, false),
        Operator::NotEq => (false, false),
        Operator::IsNotDistinctFrom => (true, true),
        Operator::IsDistinctFrom => (false, true),
        _ => return Err(format!("{} {operator}: it has no order", type_name(common))),
    };
    let to = SqlType::plain(common.clone());
    let left = cast(left, &to, false, options)?.expr;
    let right = cast(right, &to, false, options)?.expr;
    let kernel = move |arguments: &[ColumnarValue], rows: usize| {
        let a = arguments[0].clone().into_array(rows)?;
        let b = arguments[1].clone().into_array(rows)?;
        let same = equal(&a, &b);
        let one = |row: usize| {
            let known = nulls_decide || (a.is_valid(row) && b.is_valid(row));
            known.then(|| same(row, row) == is_equality)
        };
        Ok(Arc::new((0..rows).map(one).collect::<BooleanArray>()) as ArrayRef)
    };
    let written = match operator {
        Operator::NotEq => "<>".to_string(),
        other => other.to_string(),
    };
    let name = format!("{{}} {written} {{}}");
    let call = Call::new(name, vec![left, right], DataType::Boolean, Arc::new(kernel));
    Ok(Typed::new(Arc::new(call), DataType::Boolean))
}

/// `-operand`; the smallest integer is its own, as in Java.
pub(super) fn negate(operand: Typed) -> Result<Typed, String> {
    if !is_number(&operand.data_type) {
        return Err(format!("- takes a number, not {}", type_name(&operand.data_type)));
    }
    let kernel = |arguments: &[ColumnarValue], rows: usize| {
        let array = arguments[0].clone().into_array(rows)?;
        Ok(arrow::compute::kernels::numeric::neg_wrapping(&array)?)
    };
    let data_type = operand.data_type;
    let call = Call::new("(- {})", vec![operand.expr], data_type.clone(), Arc::new(kernel));
    Ok(Typed::new(Arc::new(call), data_type))
}
