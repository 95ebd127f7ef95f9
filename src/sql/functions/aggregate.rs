//! Aggregates: names, and the result types Flink gives them.

use arrow::datatypes::DataType;

use super::super::eval::Typed;
use super::super::types::{DECIMAL_PRECISION_MAX, is_number, list_of, multiset_of, type_name};
use super::super::variance::Variance;
use super::percentile::percentile_of;
use super::{ARGUMENT_FUNCTION, BindOptions, PERCENTILE_FUNCTION, Scalar};
use crate::operator::AggregateFunction;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: ARGUMENT_FUNCTION, arguments: (2, 2), bind: argument },
    Scalar { name: PERCENTILE_FUNCTION, arguments: (2, 2), bind: percentile_of },
];

/// An aggregate's argument, without the text that tells it from others.
fn argument(mut arguments: Vec<Typed>, _: &BindOptions) -> Result<Typed, String> {
    Ok(arguments.swap_remove(0))
}

/// What a name means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::sql) enum NamedAggregate {
    /// One that operators know.
    Plain(AggregateFunction),
    /// One computed from sums.
    Variance(Variance),
    /// A list whose texts are joined.
    ListAgg,
    /// Of a list, sorted.
    Percentile,
}

const fn variance(sample: bool, root: bool) -> NamedAggregate {
    NamedAggregate::Variance(Variance { sample, root })
}

/// Names and what they mean.
pub(super) const NAMES: [(&str, NamedAggregate); 17] = [
    ("COUNT", NamedAggregate::Plain(AggregateFunction::Count)),
    ("SUM", NamedAggregate::Plain(AggregateFunction::Sum)),
    ("MIN", NamedAggregate::Plain(AggregateFunction::Min)),
    ("MAX", NamedAggregate::Plain(AggregateFunction::Max)),
    ("AVG", NamedAggregate::Plain(AggregateFunction::Avg)),
    ("FIRST_VALUE", NamedAggregate::Plain(AggregateFunction::FirstValue)),
    ("LAST_VALUE", NamedAggregate::Plain(AggregateFunction::LastValue)),
    ("COLLECT", NamedAggregate::Plain(AggregateFunction::Collect)),
    ("ARRAY_AGG", NamedAggregate::Plain(AggregateFunction::ArrayAgg)),
    ("LISTAGG", NamedAggregate::ListAgg),
    ("PERCENTILE", NamedAggregate::Percentile),
    ("VAR_POP", variance(false, false)),
    ("VAR_SAMP", variance(true, false)),
    ("VARIANCE", variance(true, false)),
    ("STDDEV_POP", variance(false, true)),
    ("STDDEV_SAMP", variance(true, true)),
    ("STDDEV", variance(true, true)),
];

/// The aggregate of a name, if it is one.
pub(in crate::sql) fn aggregate_of(name: &str) -> Option<NamedAggregate> {
    NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, meaning)| *meaning)
}

/// Flink's result type of a name over an argument of `argument`; `None` for COUNT(*).
///
/// # Errors
/// In words for the user.
pub(in crate::sql) fn named_type(
    named: NamedAggregate,
    argument: Option<&DataType>,
) -> Result<DataType, String> {
    match named {
        NamedAggregate::Plain(function) => aggregate_type(function, argument),
        NamedAggregate::ListAgg => match argument {
            Some(DataType::Utf8) | None => Ok(DataType::Utf8),
            Some(other) => {
                Err(format!("LISTAGG takes a STRING, not {}; CAST it", type_name(other)))
            }
        },
        NamedAggregate::Percentile => match argument {
            Some(argument) if !is_number(argument) => {
                Err(format!("PERCENTILE is of numbers, not of {}; CAST it", type_name(argument)))
            }
            _ => Ok(DataType::Float64),
        },
        NamedAggregate::Variance(_) => match argument {
            Some(argument) if !is_number(argument) => {
                Err(format!("a variance is of numbers, not of {}; CAST it", type_name(argument)))
            }
            _ => aggregate_type(AggregateFunction::Avg, argument),
        },
    }
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
        AggregateFunction::Count => Ok(DataType::Int64),
        AggregateFunction::SquaredDeviations => Ok(DataType::Float64),
        AggregateFunction::Min | AggregateFunction::Max => {
            if nested || matches!(argument, DataType::Binary | DataType::Null) {
                return Err(format!("MIN and MAX do not take {}", type_name(argument)));
            }
            Ok(argument.clone())
        }
        AggregateFunction::FirstValue
        | AggregateFunction::LastValue
        | AggregateFunction::Collect
        | AggregateFunction::ArrayAgg
        | AggregateFunction::ListPresent
            if *argument == DataType::Null =>
        {
            Err("the argument is NULL without a type; write CAST(NULL AS …)".into())
        }
        AggregateFunction::FirstValue | AggregateFunction::LastValue => Ok(argument.clone()),
        AggregateFunction::Collect => Ok(multiset_of(argument.clone())),
        AggregateFunction::ArrayAgg | AggregateFunction::ListPresent => {
            Ok(list_of(argument.clone()))
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
