//! ROUND and TRUNCATE: to digits behind the point, or before it when their number is negative.
//!
//! A DOUBLE is rounded on the digits of its text, as `BigDecimal.valueOf` reads them. An integer
//! that does not fit wraps.

use arrow::array::{ArrayRef, PrimitiveArray};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Decimal128Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type,
};
use datafusion_common::{Result as PlanResult, ScalarValue, exec_datafusion_err};
use datafusion_expr::ColumnarValue;
use std::sync::Arc;

use super::super::cast::cast;
use super::super::eval::{Kernel, Physical, Typed};
use super::super::types::{SqlType, bounded_decimal, is_integer, is_number};
use super::kernel::{
    Integers, Numbers, double_argument, fallible_call, integer_argument, integer_constant,
    try_build_numbers,
};
use super::{BindOptions, Scalar, wrong_argument};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "ROUND", arguments: (1, 2), bind: |a, o| rounded(Mode::HalfUp, &a, o) },
    Scalar { name: "TRUNCATE", arguments: (1, 2), bind: |a, o| rounded(Mode::Down, &a, o) },
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Away from zero when there is a half.
    HalfUp,
    /// Towards zero.
    Down,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Mode::HalfUp => "ROUND",
            Mode::Down => "TRUNCATE",
        }
    }

    /// `value`, which counts units of 10^−scale, as a multiple of 10^−digits.
    fn apply(self, value: i128, scale: i64, digits: i64) -> i128 {
        if digits >= scale {
            return value;
        }
        let drop = u32::try_from(scale.saturating_sub(digits)).ok();
        let Some(unit) = drop.and_then(|drop| 10_i128.checked_pow(drop)) else { return 0 };
        let kept = value - value % unit;
        let up = self == Mode::HalfUp && (value % unit).unsigned_abs() >= unit.unsigned_abs() / 2;
        if up { kept + unit * value.signum() } else { kept }
    }
}

fn rounded(mode: Mode, arguments: &[Typed], options: &BindOptions) -> Bound {
    let given = &arguments[0];
    if !is_number(&given.data_type) {
        return Err(wrong_argument(1, "a number", &given.data_type));
    }
    let digits = match arguments.get(1) {
        None => Some(0),
        Some(typed) => integer_constant(typed),
    };
    if arguments.get(1).and_then(Typed::literal).is_some_and(ScalarValue::is_null) {
        let null = ScalarValue::try_from(&given.data_type).map_err(|error| error.to_string())?;
        return Ok(Typed::constant(null));
    }
    match given.data_type {
        DataType::Decimal128(precision, scale) => {
            let result = match digits {
                Some(digits) => decimal_type((precision, scale), digits),
                None => given.data_type.clone(),
            };
            decimal(mode, arguments, scale, result, options)
        }
        ref integer if is_integer(integer) => integers(mode, arguments, options),
        _ => doubles(mode, arguments, options),
    }
}

/// One digit more before the point than the number has, because of what is carried.
fn decimal_type((precision, scale): (u8, i8), digits: i64) -> DataType {
    if digits >= i64::from(scale) {
        return DataType::Decimal128(precision, scale);
    }
    let kept = digits.max(0);
    let whole = i64::from(precision) - i64::from(scale) + 1;
    let narrow = |wide: i64| i16::try_from(wide).unwrap_or(38);
    bounded_decimal(narrow(whole + kept).min(38), narrow(kept))
}

/// The number of digits of each row.
fn digits_of(values: &[ColumnarValue]) -> PlanResult<Integers<'_>> {
    match values.get(1) {
        Some(value) => Integers::of(value),
        None => Ok(Integers::Constant(Some(0))),
    }
}

/// The first argument as it is or changed, and the digits.
fn expressions(
    first: Physical,
    arguments: &[Typed],
    options: &BindOptions,
) -> Result<Vec<Physical>, String> {
    let mut expressions = vec![first];
    if arguments.len() == 2 {
        expressions.push(integer_argument(arguments, 1, options)?);
    }
    Ok(expressions)
}

fn decimal(
    mode: Mode,
    arguments: &[Typed],
    scale: i8,
    result: DataType,
    options: &BindOptions,
) -> Bound {
    let DataType::Decimal128(precision, to_scale) = result else {
        unreachable!("a DECIMAL is rounded to a DECIMAL")
    };
    let limit = 10_i128.pow(u32::from(precision));
    let shift = 10_i128.pow(u32::from(scale.abs_diff(to_scale)));
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (numbers, digits) = (Numbers::<Decimal128Type>::of(&values[0])?, digits_of(values)?);
        let mut rounded = PrimitiveArray::<Decimal128Type>::builder(rows);
        for row in 0..rows {
            let both = numbers.get(row).zip(digits.get(row));
            let value =
                both.map(|(number, kept)| mode.apply(number, i64::from(scale), kept) / shift);
            // What is carried may not fit where the digits are not known when planning.
            rounded.append_option(value.filter(|value| value.abs() < limit));
        }
        let rounded = rounded.finish().with_precision_and_scale(precision, to_scale)?;
        Ok(Arc::new(rounded) as ArrayRef)
    });
    let expressions = expressions(Arc::clone(&arguments[0].expr), arguments, options)?;
    Ok(super::kernel::call(mode.name(), expressions, result, kernel))
}

fn integers(mode: Mode, arguments: &[Typed], options: &BindOptions) -> Bound {
    let data_type = arguments[0].data_type.clone();
    let kernel: Kernel = match data_type {
        DataType::Int8 => {
            Arc::new(move |values, rows| integer_kernel::<Int8Type>(mode, values, rows))
        }
        DataType::Int16 => {
            Arc::new(move |values, rows| integer_kernel::<Int16Type>(mode, values, rows))
        }
        DataType::Int32 => {
            Arc::new(move |values, rows| integer_kernel::<Int32Type>(mode, values, rows))
        }
        _ => Arc::new(move |values, rows| integer_kernel::<Int64Type>(mode, values, rows)),
    };
    let expressions = expressions(Arc::clone(&arguments[0].expr), arguments, options)?;
    Ok(super::kernel::call(mode.name(), expressions, data_type, kernel))
}

fn integer_kernel<T: ArrowPrimitiveType>(
    mode: Mode,
    values: &[ColumnarValue],
    rows: usize,
) -> PlanResult<ArrayRef>
where
    T::Native: Into<i64> + Wrapping,
{
    let (numbers, digits) = (Numbers::<T>::of(&values[0])?, digits_of(values)?);
    try_build_numbers::<T>(rows, |row| {
        let both = numbers.get(row).zip(digits.get(row));
        Ok(both.map(|(number, kept)| {
            T::Native::wrapped(mode.apply(i128::from(number.into()), 0, kept))
        }))
    })
}

/// An integer made of another's low bits.
trait Wrapping {
    fn wrapped(value: i128) -> Self;
}

macro_rules! wrapping {
    ($($kind:ty),*) => {$(
        impl Wrapping for $kind {
            #[expect(clippy::cast_possible_truncation, reason = "Java's narrowing casts wrap")]
            fn wrapped(value: i128) -> $kind {
                value as $kind
            }
        }
    )*};
}

wrapping!(i8, i16, i32, i64);

fn doubles(mode: Mode, arguments: &[Typed], options: &BindOptions) -> Bound {
    let data_type = arguments[0].data_type.clone();
    let expressions = expressions(double_argument(arguments, 0, options)?, arguments, options)?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (numbers, digits) = (Numbers::<Float64Type>::of(&values[0])?, digits_of(values)?);
        try_build_numbers::<Float64Type>(rows, |row| {
            let Some((number, digits)) = numbers.get(row).zip(digits.get(row)) else {
                return Ok(None);
            };
            let rounded = match mode {
                Mode::HalfUp => round_double(number, digits),
                Mode::Down => truncate_double(number, digits),
            };
            match rounded {
                Some(rounded) => Ok(Some(rounded)),
                None => Err(exec_datafusion_err!("{} of {number} is not defined", mode.name())),
            }
        })
    });
    let wide = fallible_call(mode.name(), expressions, DataType::Float64, kernel);
    cast(wide, &SqlType::plain(data_type), false, options)
}

/// `None` of NaN and the infinities. There is no −0.
fn round_double(value: f64, digits: i64) -> Option<f64> {
    if !value.is_finite() {
        return None;
    }
    if digits > 400 {
        return Some(value + 0.0);
    }
    let places = i32::try_from(digits.max(-400)).expect("it is from -400 to 400");
    let scaled = shifted(value, places);
    Some(if scaled.is_finite() { shifted(scaled.round(), -places) } else { value } + 0.0)
}

/// Through DECIMAL(38, 18), as Flink does: `None` of what does not fit there.
fn truncate_double(value: f64, digits: i64) -> Option<f64> {
    if value.is_nan() || value.abs() >= 1e20 {
        return None;
    }
    let text = format!("{value:e}");
    let (mantissa, exponent) = text.split_once('e')?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let unscaled: i128 = format!("{whole}{fraction}").parse().ok()?;
    let scale = i64::try_from(fraction.len()).ok()? - exponent.parse::<i64>().ok()?;
    let fine = if scale > 18 {
        let unit = 10_i128.checked_pow(u32::try_from(scale - 18).ok()?);
        unit.map_or(0, |unit| Mode::HalfUp.apply(unscaled, scale, 18) / unit)
    } else {
        unscaled.checked_mul(10_i128.checked_pow(u32::try_from(18 - scale).ok()?)?)?
    };
    let kept = Mode::Down.apply(fine, 18, digits);
    format!("{kept}e-18").parse::<f64>().ok().map(|kept| kept + 0.0)
}

/// `value × 10^places`, by its decimal text.
fn shifted(value: f64, places: i32) -> f64 {
    let text = format!("{value:e}");
    // Beyond the largest DOUBLE there is no exponent.
    let Some((mantissa, exponent)) = text.split_once('e') else { return value };
    let exponent: i32 = exponent.parse().expect("LowerExp writes a number");
    format!("{mantissa}e{}", exponent + places).parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_are_rounded_on_their_text() {
        let check = |value: f64, digits, round: Option<f64>, truncate: Option<f64>| {
            assert_eq!(round_double(value, digits), round, "{value} {digits}");
            assert_eq!(truncate_double(value, digits), truncate, "{value} {digits}");
        };
        check(1.005, 2, Some(1.01), Some(1.0));
        check(-2.5, 0, Some(-3.0), Some(-2.0));
        check(1234.5, -2, Some(1200.0), Some(1200.0));
        check(1e300, 2, Some(1e300), None);
        check(f64::NAN, 0, None, None);
        check(f64::INFINITY, 0, None, None);
        check(-0.3, 0, Some(0.0), Some(0.0));
        check(1.5, i64::MIN, Some(0.0), Some(0.0));
        check(1.5, i64::MAX, Some(1.5), Some(1.5));
        check(f64::from_bits(1), 1, Some(0.0), Some(0.0));
        assert!(round_double(-0.3, 0).is_some_and(f64::is_sign_positive));
    }

    #[test]
    fn whole_numbers_are_rounded_to_powers_of_ten() {
        assert_eq!(Mode::HalfUp.apply(1250, 0, -2), 1300);
        assert_eq!(Mode::HalfUp.apply(-1250, 0, -2), -1300);
        assert_eq!(Mode::Down.apply(-1299, 0, -2), -1200);
        assert_eq!(Mode::HalfUp.apply(1250, 0, -40), 0);
        assert_eq!(Mode::HalfUp.apply(i128::from(i64::MAX), 0, i64::MIN), 0);
        assert_eq!(i32::wrapped(2_147_483_650), -2_147_483_646);
    }
}
