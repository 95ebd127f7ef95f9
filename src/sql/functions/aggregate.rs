//! Aggregates: names, and the result types Flink gives them.

use arrow::datatypes::DataType;

use super::super::types::{DECIMAL_PRECISION_MAX, is_number, type_name};
use crate::operator::AggregateFunction;

/// Names and what they mean.
pub(super) const NAMES: [(&str, AggregateFunction); 5] = [
    ("COUNT", AggregateFunction::Count),
    ("SUM", AggregateFunction::Sum),
    ("MIN", AggregateFunction::Min),
    ("MAX", AggregateFunction::Max),
    ("AVG", AggregateFunction::Avg),
];

/// The aggregate of a name, if it is one.
pub(in crate::sql) fn aggregate_of(name: &str) -> Option<AggregateFunction> {
    NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, function)| *function)
}

/// Flink's result type over an argument of `argument`; `None` for COUNT(*).
///
/// # Errors
/// In words for the user.
pub(in crate::sql) fn aggregate_type(
    function: AggregateFunction,
    argument: Option<&DataType>,
) -> Result<DataType, String> {
    let Some(argument) = argument else { return Ok(DataType::Int64) };
    let nested = matches!(argument, DataType::List(_) | DataType::Struct(_) | DataType::Map(..));
    match function {
        AggregateFunction::Count if nested => {
            Err(format!("COUNT does not take {}", type_name(argument)))
        }
        AggregateFunction::Count => Ok(DataType::Int64),
        AggregateFunction::Min | AggregateFunction::Max => {
            if nested || matches!(argument, DataType::Binary | DataType::Null) {
                return Err(format!("MIN and MAX do not take {}", type_name(argument)));
            }
            Ok(argument.clone())
        }
        AggregateFunction::Sum | AggregateFunction::Avg if !is_number(argument) => {
            Err(format!("SUM and AVG take a number, not {}; CAST it", type_name(argument)))
        }
        AggregateFunction::Sum => Ok(match argument {
            DataType::Decimal128(_, scale) => DataType::Decimal128(DECIMAL_PRECISION_MAX, *scale),
            other => other.clone(),
        }),
        AggregateFunction::Avg => Ok(match argument {
            DataType::Decimal128(_, scale) => {
                DataType::Decimal128(DECIMAL_PRECISION_MAX, (*scale).max(6))
            }
            other => other.clone(),
        }),
    }
}
