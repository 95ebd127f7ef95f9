//! `x BETWEEN SYMMETRIC a AND b`: the bounds come in any order.

use arrow::datatypes::DataType;
use datafusion_expr::Operator;
use std::sync::Arc;

use super::super::eval::{Logic, Typed};
use super::super::operators::compare;
use super::{BETWEEN_SYMMETRIC_FUNCTION, BindOptions, Scalar};

pub(super) const SCALARS: &[Scalar] =
    &[Scalar { name: BETWEEN_SYMMETRIC_FUNCTION, arguments: (3, 3), bind: between_symmetric }];

/// As Flink says it: between one and the other, or between the other and the one.
fn between_symmetric(arguments: Vec<Typed>, options: &BindOptions) -> Result<Typed, String> {
    let [value, one, other] = &arguments[..] else { unreachable!("the registry counted three") };
    let within = |low: &Typed, high: &Typed| {
        let above = compare(Operator::GtEq, value.clone(), low.clone(), options)?;
        let below = compare(Operator::LtEq, value.clone(), high.clone(), options)?;
        Ok::<_, String>(Arc::new(Logic::new(true, above.expr, below.expr)))
    };
    let either = Logic::new(false, within(one, other)?, within(other, one)?);
    Ok(Typed::new(Arc::new(either), DataType::Boolean))
}
