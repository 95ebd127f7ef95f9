//! Division of integers as Java does it: the smallest divided by -1 is itself.

use arrow::array::{ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{ArrowNativeTypeOp, DataType, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow::error::ArrowError;
use datafusion_common::ScalarValue;
use datafusion_expr::{ColumnarValue, Operator};
use datafusion_physical_expr::expressions::Literal;
use std::sync::Arc;

use super::eval::{Call, Kernel, Physical, Typed};

/// `left / right` or `left % right` of two expressions of the integer type `operands`.
pub(super) fn divide(
    operator: Operator,
    left: Physical,
    right: Physical,
    operands: &DataType,
) -> Typed {
    let remainder = operator == Operator::Modulo;
    let kernel = match operands {
        DataType::Int8 => division::<Int8Type>(remainder),
        DataType::Int16 => division::<Int16Type>(remainder),
        DataType::Int32 => division::<Int32Type>(remainder),
        _ => division::<Int64Type>(remainder),
    };
    let cannot_fail = right.downcast_ref::<Literal>().is_some_and(|divisor| !is_zero(divisor));
    let call = Call::new(operator.to_string(), vec![left, right], operands.clone(), kernel);
    let call = if cannot_fail { call } else { call.fallible() };
    Typed::new(Arc::new(call), operands.clone())
}

fn is_zero(literal: &Literal) -> bool {
    ScalarValue::new_zero(&literal.value().data_type()).is_ok_and(|zero| zero == *literal.value())
}

fn division<T: ArrowPrimitiveType>(remainder: bool) -> Kernel
where
    T::Native: ArrowNativeTypeOp,
{
    let step: fn(T::Native, T::Native) -> T::Native = match remainder {
        true => |left, right| left.mod_wrapping(right),
        false => |left, right| left.div_wrapping(right),
    };
    let divided = move |left: T::Native, right: T::Native| {
        if right.is_zero() { Err(ArrowError::DivideByZero) } else { Ok(step(left, right)) }
    };
    Arc::new(move |values, rows| {
        let quotients: PrimitiveArray<T> = match values {
            [ColumnarValue::Array(left), ColumnarValue::Scalar(right)] if !right.is_null() => {
                let right = right.to_array()?.as_primitive::<T>().value(0);
                left.as_primitive::<T>().try_unary(|left| divided(left, right))?
            }
            _ => {
                let left = values[0].clone().into_array(rows)?;
                let right = values[1].clone().into_array(rows)?;
                arrow::compute::try_binary(
                    left.as_primitive::<T>(),
                    right.as_primitive::<T>(),
                    divided,
                )?
            }
        };
        Ok(Arc::new(quotients) as ArrayRef)
    })
}
