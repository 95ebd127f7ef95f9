//! Functions of numbers.

use arrow::array::{Array as _, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type};
use datafusion_expr::{ColumnarValue, Operator};
use std::sync::Arc;

use super::super::cast::cast;
use super::super::eval::{Kernel, Typed};
use super::super::operators::arithmetic;
use super::super::types::{SqlType, is_integer, is_number};
use super::kernel::{Numbers, build_numbers, call, integer_argument, integer_constant};
use super::{BindOptions, Scalar, wrong_argument};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "ABS", arguments: (1, 1), bind: abs },
    Scalar { name: "MOD", arguments: (2, 2), bind: modulo },
    Scalar { name: "FLOOR", arguments: (1, 2), bind: floor },
    Scalar { name: "CEIL", arguments: (1, 2), bind: ceil },
    Scalar { name: "CEILING", arguments: (1, 1), bind: ceil },
    Scalar { name: "ROUND", arguments: (1, 2), bind: round },
    Scalar { name: "SIGN", arguments: (1, 1), bind: sign },
    Scalar { name: "POWER", arguments: (2, 2), bind: power },
    Scalar { name: "SQRT", arguments: (1, 1), bind: |a, o| real("SQRT", a, o, f64::sqrt) },
    Scalar { name: "EXP", arguments: (1, 1), bind: |a, o| real("EXP", a, o, f64::exp) },
    Scalar { name: "LN", arguments: (1, 1), bind: |a, o| real("LN", a, o, f64::ln) },
    Scalar { name: "LOG", arguments: (1, 2), bind: log },
    Scalar { name: "LOG10", arguments: (1, 1), bind: |a, o| real("LOG10", a, o, f64::log10) },
    Scalar { name: "LOG2", arguments: (1, 1), bind: |a, o| real("LOG2", a, o, f64::log2) },
    Scalar { name: "SIN", arguments: (1, 1), bind: |a, o| real("SIN", a, o, f64::sin) },
    Scalar { name: "COS", arguments: (1, 1), bind: |a, o| real("COS", a, o, f64::cos) },
    Scalar { name: "TAN", arguments: (1, 1), bind: |a, o| real("TAN", a, o, f64::tan) },
];

fn number(arguments: &[Typed], position: usize) -> Result<&Typed, String> {
    let given = &arguments[position];
    if is_number(&given.data_type) {
        return Ok(given);
    }
    Err(wrong_argument(position + 1, "a number", &given.data_type))
}

fn as_double(arguments: &[Typed], position: usize, options: &BindOptions) -> Bound {
    let given = number(arguments, position)?.clone();
    cast(given, &SqlType::plain(DataType::Float64), false, options)
}

/// A DOUBLE of one DOUBLE.
fn real(
    name: &'static str,
    arguments: Vec<Typed>,
    options: &BindOptions,
    function: fn(f64) -> f64,
) -> Bound {
    let argument = as_double(&arguments, 0, options)?.expr;
    Ok(call(name, vec![argument], DataType::Float64, doubles(function)))
}

fn doubles(function: fn(f64) -> f64) -> Kernel {
    Arc::new(move |values, rows| {
        let array = values[0].clone().into_array(rows)?;
        let result = array.as_primitive::<Float64Type>().unary::<_, Float64Type>(function);
        Ok(Arc::new(result) as ArrayRef)
    })
}

fn power(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    two_reals("POWER", &arguments, options, f64::powf)
}

/// Natural; with two arguments the first is the base.
fn log(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    if arguments.len() == 1 {
        return real("LOG", arguments, options, f64::ln);
    }
    two_reals("LOG", &arguments, options, |base, value| value.ln() / base.ln())
}

fn two_reals(
    name: &str,
    arguments: &[Typed],
    options: &BindOptions,
    function: fn(f64, f64) -> f64,
) -> Bound {
    let expressions =
        vec![as_double(arguments, 0, options)?.expr, as_double(arguments, 1, options)?.expr];
    let kernel: Kernel = Arc::new(move |values, rows| {
        let left = Numbers::<Float64Type>::of(&values[0])?;
        let right = Numbers::<Float64Type>::of(&values[1])?;
        build_numbers::<Float64Type>(rows, |row| Some(function(left.get(row)?, right.get(row)?)))
    });
    Ok(call(name, expressions, DataType::Float64, kernel))
}

fn modulo(mut arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let right = arguments.pop().expect("the registry counted two");
    let left = arguments.pop().expect("the registry counted two");
    arithmetic(Operator::Modulo, left, right, options)
}

fn abs(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let given = number(&arguments, 0)?;
    let data_type = given.data_type.clone();
    let kernel: Kernel = Arc::new(|values, rows| {
        let array = values[0].clone().into_array(rows)?;
        Ok(match array.data_type() {
            DataType::Float64 => {
                Arc::new(array.as_primitive::<Float64Type>().unary::<_, Float64Type>(f64::abs))
            }
            DataType::Float32 => {
                Arc::new(array.as_primitive::<Float32Type>().unary::<_, Float32Type>(f32::abs))
            }
            // Negating the smallest integer wraps, as Java's Math.abs does.
            _ => {
                let negated = arrow::compute::kernels::numeric::neg_wrapping(&array)?;
                let negative = is_negative(&array);
                arrow::compute::kernels::zip::zip(&negative, &negated, &array)?
            }
        })
    });
    Ok(call("ABS", vec![Arc::clone(&given.expr)], data_type, kernel))
}

fn is_negative(array: &ArrayRef) -> arrow::array::BooleanArray {
    use arrow::datatypes::{Int8Type, Int16Type, Int32Type, Int64Type};
    macro_rules! below_zero {
        ($kind:ty) => {
            array.as_primitive::<$kind>().iter().map(|value| Some(value? < 0)).collect()
        };
    }
    match array.data_type() {
        DataType::Int8 => below_zero!(Int8Type),
        DataType::Int16 => below_zero!(Int16Type),
        DataType::Int32 => below_zero!(Int32Type),
        DataType::Int64 => below_zero!(Int64Type),
        _ => below_zero!(Decimal128Type),
    }
}

fn sign(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let data_type = number(&arguments, 0)?.data_type.clone();
    let wide = as_double(&arguments, 0, options)?.expr;
    let signs = call(
        "SIGN",
        vec![wide],
        DataType::Float64,
        doubles(|value| if value == 0.0 { value } else { value.signum() }),
    );
    cast(signs, &SqlType::plain(data_type), false, options)
}

fn floor(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    if arguments.len() == 2 {
        return super::time::round_time("FLOOR", &arguments, false, options);
    }
    whole("FLOOR", &arguments, f64::floor, i128::div_euclid)
}

fn ceil(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    if arguments.len() == 2 {
        return super::time::round_time("CEIL", &arguments, true, options);
    }
    whole("CEIL", &arguments, f64::ceil, |value, unit| -(-value).div_euclid(unit))
}

/// An integer is itself; a DECIMAL loses its scale.
fn whole(
    name: &str,
    arguments: &[Typed],
    real: fn(f64) -> f64,
    exact: fn(i128, i128) -> i128,
) -> Bound {
    let given = number(arguments, 0)?;
    let argument = Arc::clone(&given.expr);
    match given.data_type {
        ref integer if is_integer(integer) => Ok(given.clone()),
        DataType::Decimal128(precision, scale) => {
            let unit = 10_i128.pow(u32::from(scale.unsigned_abs()));
            let kernel: Kernel = Arc::new(move |values, rows| {
                let array = values[0].clone().into_array(rows)?;
                let result = array
                    .as_primitive::<Decimal128Type>()
                    .unary::<_, Decimal128Type>(|value| exact(value, unit));
                Ok(Arc::new(result.with_precision_and_scale(precision, 0)?) as ArrayRef)
            });
            Ok(call(name, vec![argument], DataType::Decimal128(precision, 0), kernel))
        }
        DataType::Float32 => {
            let kernel: Kernel = Arc::new(move |values: &[ColumnarValue], rows: usize| {
                let array = values[0].clone().into_array(rows)?;
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "a FLOAT's whole part is a FLOAT"
                )]
                let result = array
                    .as_primitive::<Float32Type>()
                    .unary::<_, Float32Type>(|value| real(f64::from(value)) as f32);
                Ok(Arc::new(result) as ArrayRef)
            });
            Ok(call(name, vec![argument], DataType::Float32, kernel))
        }
        _ => Ok(call(name, vec![argument], DataType::Float64, doubles(real))),
    }
}

/// Half up, away from zero. The digits of a DECIMAL must be constant: they are its type.
fn round(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let given = number(&arguments, 0)?.clone();
    let digits = match arguments.get(1) {
        None => Some(0),
        Some(typed) => integer_constant(typed),
    };
    if let DataType::Decimal128(precision, scale) = given.data_type {
        let digits = digits.ok_or("the digits of a DECIMAL must be a literal")?;
        return round_decimal(given, (precision, scale), digits, options);
    }
    if is_integer(&given.data_type) && digits.is_some_and(|digits| digits >= 0) {
        return Ok(given);
    }
    let data_type = given.data_type;
    let mut expressions = vec![as_double(&arguments, 0, options)?.expr];
    if arguments.len() == 2 {
        expressions.push(integer_argument(&arguments, 1, options)?);
    }
    let kernel: Kernel = Arc::new(|values, rows| {
        let numbers = Numbers::<Float64Type>::of(&values[0])?;
        let places = values.get(1).map(super::kernel::Integers::of).transpose()?;
        build_numbers::<Float64Type>(rows, |row| {
            let places = match &places {
                Some(places) => places.get(row)?,
                None => 0,
            };
            Some(round_double(numbers.get(row)?, places))
        })
    });
    let rounded = call("ROUND", expressions, DataType::Float64, kernel);
    cast(rounded, &SqlType::plain(data_type), false, options)
}

/// Rounds the shortest decimal text of a DOUBLE, as Java's BigDecimal.valueOf does.
fn round_double(value: f64, digits: i64) -> f64 {
    if !value.is_finite() || digits > 300 {
        return value;
    }
    let places = i32::try_from(digits.max(-400)).expect("clamped above");
    match shifted(value, places) {
        scaled if scaled.is_finite() => shifted(scaled.round(), -places),
        _ => value,
    }
}

/// `value × 10^places`, by its decimal text.
fn shifted(value: f64, places: i32) -> f64 {
    let text = format!("{value:e}");
    // Beyond the largest DOUBLE there is no exponent.
    let Some((mantissa, exponent)) = text.split_once('e') else { return value };
    let exponent: i32 = exponent.parse().expect("LowerExp writes a number");
    format!("{mantissa}e{}", exponent + places).parse().unwrap_or(value)
}

fn round_decimal(
    given: Typed,
    (precision, scale): (u8, i8),
    digits: i64,
    options: &BindOptions,
) -> Bound {
    if digits >= i64::from(scale) {
        return Ok(given);
    }
    let whole = i64::from(precision) - i64::from(scale) + 1;
    let kept = digits.max(0);
    let narrow = |wide: i64| i16::try_from(wide).unwrap_or(38);
    let result = super::super::types::bounded_decimal(narrow(whole + kept).min(38), narrow(kept));
    if digits >= 0 {
        return cast(given, &SqlType::plain(result), false, options);
    }
    let drop = u32::try_from(i64::from(scale) - digits).unwrap_or(u32::MAX);
    let power = 10_i128.checked_pow(drop.min(38)).expect("10^38 fits");
    let unit = 10_i128.pow(u32::from(scale.unsigned_abs()));
    let data_type = result.clone();
    let kernel: Kernel = Arc::new(move |values, rows| {
        let array = values[0].clone().into_array(rows)?;
        let rounded = array.as_primitive::<Decimal128Type>().unary::<_, Decimal128Type>(|value| {
            let half = power / 2 * value.signum();
            (value + half) / power * (power / unit)
        });
        Ok(Arc::new(rounded.with_data_type(data_type.clone())) as ArrayRef)
    });
    Ok(call(&format!("ROUND({{}}, {digits})"), vec![given.expr], result, kernel))
}
