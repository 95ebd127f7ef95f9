//! Functions of numbers.

use arrow::array::{Array as _, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Float32Type, Float64Type};
use datafusion_common::ScalarValue;
use datafusion_expr::{ColumnarValue, Operator};
use std::sync::Arc;

use super::super::cast::cast;
use super::super::eval::{Kernel, Typed};
use super::super::operators::arithmetic;
use super::super::types::{SqlType, is_integer, is_number};
use super::kernel::{Numbers, build_numbers, call, double_argument};
use super::{BindOptions, Scalar, wrong_argument};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "ABS", arguments: (1, 1), bind: abs },
    Scalar { name: "MOD", arguments: (2, 2), bind: modulo },
    Scalar { name: "FLOOR", arguments: (1, 2), bind: floor },
    Scalar { name: "CEIL", arguments: (1, 2), bind: ceil },
    Scalar { name: "CEILING", arguments: (1, 1), bind: ceil },
    Scalar { name: "SIGN", arguments: (1, 1), bind: sign },
    Scalar { name: "POWER", arguments: (2, 2), bind: power },
    Scalar { name: "SQRT", arguments: (1, 1), bind: |a, o| real("SQRT", a, o, half_power) },
    Scalar { name: "EXP", arguments: (1, 1), bind: |a, o| real("EXP", a, o, f64::exp) },
    Scalar { name: "LN", arguments: (1, 1), bind: |a, o| real("LN", a, o, f64::ln) },
    Scalar { name: "LOG", arguments: (1, 2), bind: log },
    Scalar { name: "LOG10", arguments: (1, 1), bind: |a, o| real("LOG10", a, o, f64::log10) },
    Scalar { name: "LOG2", arguments: (1, 1), bind: |a, o| real("LOG2", a, o, log2) },
    Scalar { name: "SIN", arguments: (1, 1), bind: |a, o| real("SIN", a, o, f64::sin) },
    Scalar { name: "COS", arguments: (1, 1), bind: |a, o| real("COS", a, o, f64::cos) },
    Scalar { name: "TAN", arguments: (1, 1), bind: |a, o| real("TAN", a, o, f64::tan) },
    Scalar { name: "COT", arguments: (1, 1), bind: |a, o| real("COT", a, o, |x| 1.0 / x.tan()) },
    Scalar { name: "ASIN", arguments: (1, 1), bind: |a, o| real("ASIN", a, o, f64::asin) },
    Scalar { name: "ACOS", arguments: (1, 1), bind: |a, o| real("ACOS", a, o, f64::acos) },
    Scalar { name: "ATAN", arguments: (1, 1), bind: |a, o| real("ATAN", a, o, f64::atan) },
    Scalar { name: "ATAN2", arguments: (2, 2), bind: |a, o| reals("ATAN2", &a, o, atan2) },
    Scalar { name: "SINH", arguments: (1, 1), bind: |a, o| real("SINH", a, o, f64::sinh) },
    Scalar { name: "COSH", arguments: (1, 1), bind: |a, o| real("COSH", a, o, f64::cosh) },
    Scalar { name: "TANH", arguments: (1, 1), bind: |a, o| real("TANH", a, o, f64::tanh) },
    Scalar { name: "DEGREES", arguments: (1, 1), bind: |a, o| real("DEGREES", a, o, degrees) },
    Scalar { name: "RADIANS", arguments: (1, 1), bind: |a, o| real("RADIANS", a, o, radians) },
    Scalar { name: "PI", arguments: (0, 0), bind: |_, _| constant(std::f64::consts::PI) },
    Scalar { name: "E", arguments: (0, 0), bind: |_, _| constant(std::f64::consts::E) },
];

/// The square root is a power in Flink, which differs at −∞ and −0.
fn half_power(value: f64) -> f64 {
    if value == f64::NEG_INFINITY { f64::INFINITY } else { (value + 0.0).sqrt() }
}

fn log2(value: f64) -> f64 {
    value.ln() / std::f64::consts::LN_2
}

fn degrees(value: f64) -> f64 {
    value * 57.295_779_513_082_32
}

fn radians(value: f64) -> f64 {
    value * 0.017_453_292_519_943_295
}

/// The angle of (`x`, `y`), from the arc tangent of their quotient as Java's library has it.
fn atan2(y: f64, x: f64) -> f64 {
    // What π as a DOUBLE is short of.
    const PI_REST: f64 = 1.224_646_799_147_353_2e-16;
    let quotient = (y / x).abs();
    if !(1e-15..1e15).contains(&quotient) || !x.is_finite() || !y.is_finite() {
        return y.atan2(x);
    }
    let angle = quotient.atan();
    match (x > 0.0, y > 0.0) {
        (true, true) => angle,
        (true, false) => -angle,
        (false, true) => std::f64::consts::PI - (angle - PI_REST),
        (false, false) => (angle - PI_REST) - std::f64::consts::PI,
    }
}

fn constant(value: f64) -> Bound {
    Ok(Typed::constant(ScalarValue::Float64(Some(value))))
}

fn number(arguments: &[Typed], position: usize) -> Result<&Typed, String> {
    let given = &arguments[position];
    if is_number(&given.data_type) {
        return Ok(given);
    }
    Err(wrong_argument(position + 1, "a number", &given.data_type))
}

/// A DOUBLE of one DOUBLE.
fn real(
    name: &'static str,
    arguments: Vec<Typed>,
    options: &BindOptions,
    function: fn(f64) -> f64,
) -> Bound {
    let argument = double_argument(&arguments, 0, options)?;
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
    reals("POWER", &arguments, options, f64::powf)
}

/// Natural; with two arguments the first is the base.
fn log(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    if arguments.len() == 1 {
        return real("LOG", arguments, options, f64::ln);
    }
    reals("LOG", &arguments, options, |base, value| value.ln() / base.ln())
}

fn reals(
    name: &str,
    arguments: &[Typed],
    options: &BindOptions,
    function: fn(f64, f64) -> f64,
) -> Bound {
    let expressions =
        vec![double_argument(arguments, 0, options)?, double_argument(arguments, 1, options)?];
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
    let wide = double_argument(&arguments, 0, options)?;
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
