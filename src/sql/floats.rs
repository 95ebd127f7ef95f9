//! Comparison of FLOAT and DOUBLE as Java does it: 0.0 equals -0.0, and NaN nothing.
//!
//! Arrow orders floating point numbers by their bits. Where both sides are the same expression that
//! is what Flink does as well, since it then takes `x = x` for `x IS NOT NULL`; and so does IN.

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, BooleanArray, PrimitiveArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use datafusion_common::Result as PlanResult;
use datafusion_expr::{ColumnarValue, Operator};
use std::sync::Arc;

use super::eval::{Call, Kernel, Physical, Typed};

/// True for the types this file is for.
pub(super) fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64)
}

/// `left operator right` of two expressions of the type `operands`.
pub(super) fn compare_floats(
    operator: Operator,
    left: Physical,
    right: Physical,
    operands: &DataType,
) -> Typed {
    let kernel = match operands {
        DataType::Float32 => comparison::<Float32Type>(operator),
        _ => comparison::<Float64Type>(operator),
    };
    let call = Call::new(operator.to_string(), vec![left, right], DataType::Boolean, kernel);
    Typed::new(Arc::new(call), DataType::Boolean)
}

fn comparison<T: ArrowPrimitiveType>(operator: Operator) -> Kernel
where
    T::Native: PartialOrd,
{
    let distinct = match operator {
        Operator::IsDistinctFrom => Some(true),
        Operator::IsNotDistinctFrom => Some(false),
        _ => None,
    };
    if let Some(distinct) = distinct {
        return Arc::new(move |values, rows| {
            let (left, right) = (operand::<T>(&values[0], rows)?, operand::<T>(&values[1], rows)?);
            let result: BooleanArray = left
                .iter()
                .zip(&right)
                .map(|(one, other)| Some((one == other) != distinct))
                .collect();
            Ok(Arc::new(result) as ArrayRef)
        });
    }
    let holds: fn(T::Native, T::Native) -> bool = match operator {
        Operator::Eq => |left, right| left == right,
        Operator::NotEq => |left, right| left != right,
        Operator::Lt => |left, right| left < right,
        Operator::LtEq => |left, right| left <= right,
        Operator::Gt => |left, right| left > right,
        Operator::GtEq => |left, right| left >= right,
        other => unreachable!("{other} is not a comparison"),
    };
    Arc::new(move |values, rows| {
        Ok(Arc::new(match values {
            [ColumnarValue::Array(left), ColumnarValue::Scalar(right)] if !right.is_null() => {
                let right = right.to_array()?.as_primitive::<T>().value(0);
                BooleanArray::from_unary(left.as_primitive::<T>(), |left| holds(left, right))
            }
            _ => {
                let left = operand::<T>(&values[0], rows)?;
                let right = operand::<T>(&values[1], rows)?;
                BooleanArray::from_binary(&left, &right, holds)
            }
        }))
    })
}

fn operand<T: ArrowPrimitiveType>(
    value: &ColumnarValue,
    rows: usize,
) -> PlanResult<PrimitiveArray<T>> {
    Ok(value.clone().into_array(rows)?.as_primitive::<T>().clone())
}
