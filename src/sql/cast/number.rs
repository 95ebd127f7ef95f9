//! Numbers to numbers, as Java casts them: integers wrap, floating point saturates, a DECIMAL that
//! does not fit is NULL.

use arrow::array::{ArrayRef, AsArray, BooleanArray, Decimal128Array};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type,
};
use datafusion_common::{Result as PlanResult, exec_datafusion_err};
use std::sync::Arc;

use super::Converter;
use crate::sql::types::type_name;

/// The conversion of one number type to another.
pub(super) fn between(from: &DataType, to: &DataType, lenient: bool) -> Converter {
    let from = from.clone();
    let to = to.clone();
    Box::new(move |array| match &from {
        DataType::Int8 => of_integer::<Int8Type>(array, &to),
        DataType::Int16 => of_integer::<Int16Type>(array, &to),
        DataType::Int32 => of_integer::<Int32Type>(array, &to),
        DataType::Int64 => of_integer::<Int64Type>(array, &to),
        DataType::Float32 => {
            let wide: ArrayRef =
                Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float64Type>(f64::from));
            of_double(&wide, &to, lenient)
        }
        DataType::Float64 => of_double(array, &to, lenient),
        _ => of_decimal(array, &to),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "Java's narrowing casts wrap")]
#[expect(clippy::cast_precision_loss, reason = "an integer becomes the nearest float")]
fn of_integer<T: ArrowPrimitiveType>(array: &ArrayRef, to: &DataType) -> PlanResult<ArrayRef>
where
    T::Native: Into<i64>,
{
    let values = array.as_primitive::<T>();
    Ok(match to {
        DataType::Int8 => Arc::new(values.unary::<_, Int8Type>(|value| value.into() as i8)),
        DataType::Int16 => Arc::new(values.unary::<_, Int16Type>(|value| value.into() as i16)),
        DataType::Int32 => Arc::new(values.unary::<_, Int32Type>(|value| value.into() as i32)),
        DataType::Int64 => Arc::new(values.unary::<_, Int64Type>(Into::into)),
        DataType::Float32 => Arc::new(values.unary::<_, Float32Type>(|value| value.into() as f32)),
        DataType::Float64 => Arc::new(values.unary::<_, Float64Type>(|value| value.into() as f64)),
        _ => decimals(values.iter().map(|value| value.map(|value| (value.into().into(), 0))), to)?,
    })
}

#[expect(clippy::cast_possible_truncation, reason = "Java's casts saturate at int, then wrap")]
fn of_double(array: &ArrayRef, to: &DataType, lenient: bool) -> PlanResult<ArrayRef> {
    let values = array.as_primitive::<Float64Type>();
    Ok(match to {
        DataType::Int8 => Arc::new(values.unary::<_, Int8Type>(|value| value as i32 as i8)),
        DataType::Int16 => Arc::new(values.unary::<_, Int16Type>(|value| value as i32 as i16)),
        DataType::Int32 => Arc::new(values.unary::<_, Int32Type>(|value| value as i32)),
        DataType::Int64 => Arc::new(values.unary::<_, Int64Type>(|value| value as i64)),
        DataType::Float32 => Arc::new(values.unary::<_, Float32Type>(|value| value as f32)),
        DataType::Float64 => Arc::clone(array),
        _ => {
            let mut unscaled = Decimal128Array::builder(values.len());
            for value in values {
                if let Some(value) = value.filter(|value| !value.is_finite())
                    && !lenient
                {
                    return Err(exec_datafusion_err!("{value} is not a {}", type_name(to)));
                }
                unscaled.append_option(value.and_then(|value| decimal_of(value, to)));
            }
            finish(unscaled.finish(), to)?
        }
    })
}

/// The shortest decimal text of `value`, rounded half up, as Java's `BigDecimal.valueOf` reads it.
fn decimal_of(value: f64, to: &DataType) -> Option<i128> {
    let (precision, scale) = parts(to);
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let from = i32::try_from(fraction.len()).ok()? - exponent.parse::<i32>().ok()?;
    // A double has at most 17 digits: so far behind the last one kept there is nothing to round.
    if from - i32::from(scale) > 20 {
        return Some(0);
    }
    // And so far before the first one there is no room.
    if from < -60 {
        return (digits == 0).then_some(0);
    }
    fit_decimal(digits, i8::try_from(from).ok()?, precision, scale)
}

/// True for every number but zero.
pub(super) fn to_boolean(from: &DataType) -> Option<Converter> {
    fn nonzero<T: ArrowPrimitiveType>(array: &ArrayRef) -> ArrayRef
    where
        T::Native: PartialEq + Default,
    {
        let zero = T::Native::default();
        Arc::new(BooleanArray::from_unary(array.as_primitive::<T>(), |value| value != zero))
    }
    Some(match from {
        DataType::Float32 => Box::new(|array| Ok(nonzero::<Float32Type>(array))),
        DataType::Float64 => Box::new(|array| Ok(nonzero::<Float64Type>(array))),
        DataType::Decimal128(..) => Box::new(|array| Ok(nonzero::<Decimal128Type>(array))),
        _ => return None,
    })
}

/// The nearest DOUBLE. Quotients of what a DOUBLE holds exactly are the nearest; others go through
/// their text.
#[expect(clippy::cast_precision_loss, reason = "below 2^53 nothing is lost")]
fn nearest_double(unscaled: i128, scale: u32) -> f64 {
    if unscaled.unsigned_abs() < 1 << 53 && scale <= 22 {
        return unscaled as f64 / 10_f64.powi(scale.cast_signed());
    }
    format!("{unscaled}e-{scale}").parse().expect("digits and an exponent are a number")
}

/// The nearest FLOAT, which is not always the nearest to the nearest DOUBLE.
#[expect(clippy::cast_precision_loss, reason = "below 2^24 nothing is lost")]
fn nearest_float(unscaled: i128, scale: u32) -> f32 {
    if unscaled.unsigned_abs() < 1 << 24 && scale <= 10 {
        return unscaled as f32 / 10_f32.powi(scale.cast_signed());
    }
    format!("{unscaled}e-{scale}").parse().expect("digits and an exponent are a number")
}

#[expect(clippy::cast_possible_truncation, reason = "Java's narrowing casts wrap")]
fn of_decimal(array: &ArrayRef, to: &DataType) -> PlanResult<ArrayRef> {
    let values = array.as_primitive::<Decimal128Type>();
    let scale = values.scale();
    let divisor = 10_i128.pow(u32::from(scale.unsigned_abs()));
    let whole = move |value: i128| value / divisor;
    let digits = u32::from(scale.unsigned_abs());
    Ok(match to {
        DataType::Int8 => Arc::new(values.unary::<_, Int8Type>(|value| whole(value) as i8)),
        DataType::Int16 => Arc::new(values.unary::<_, Int16Type>(|value| whole(value) as i16)),
        DataType::Int32 => Arc::new(values.unary::<_, Int32Type>(|value| whole(value) as i32)),
        DataType::Int64 => Arc::new(values.unary::<_, Int64Type>(|value| whole(value) as i64)),
        DataType::Float32 => {
            Arc::new(values.unary::<_, Float32Type>(|value| nearest_float(value, digits)))
        }
        DataType::Float64 => {
            Arc::new(values.unary::<_, Float64Type>(|value| nearest_double(value, digits)))
        }
        _ => decimals(values.iter().map(|value| value.map(|value| (value, scale))), to)?,
    })
}

/// Unscaled values with their scales, as one DECIMAL type.
fn decimals(
    values: impl Iterator<Item = Option<(i128, i8)>>,
    to: &DataType,
) -> PlanResult<ArrayRef> {
    let (precision, scale) = parts(to);
    let fitted = values.map(|value| {
        let (unscaled, from) = value?;
        fit_decimal(unscaled, from, precision, scale)
    });
    finish(fitted.collect(), to)
}

/// `unscaled` of scale `from`, rounded half up to `scale`; `None` when it has too many digits.
pub(super) fn fit_decimal(unscaled: i128, from: i8, precision: u8, scale: i8) -> Option<i128> {
    let distance = i16::from(scale) - i16::from(from);
    let power = 10_i128.checked_pow(u32::from(distance.unsigned_abs()))?;
    let value = if distance >= 0 {
        unscaled.checked_mul(power)?
    } else {
        let (quotient, remainder) = (unscaled / power, unscaled % power);
        let away = if remainder.unsigned_abs() * 2 >= power.unsigned_abs() {
            unscaled.signum()
        } else {
            0
        };
        quotient + away
    };
    (value.unsigned_abs() < 10_u128.pow(u32::from(precision))).then_some(value)
}

pub(super) fn parts(decimal: &DataType) -> (u8, i8) {
    match decimal {
        DataType::Decimal128(precision, scale) => (*precision, *scale),
        other => unreachable!("{other} is not a decimal"),
    }
}

pub(super) fn finish(values: Decimal128Array, to: &DataType) -> PlanResult<ArrayRef> {
    let (precision, scale) = parts(to);
    Ok(Arc::new(values.with_precision_and_scale(precision, scale)?))
}
