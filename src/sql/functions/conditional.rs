//! Functions that choose.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::compute::kernels::cmp::{gt, lt};
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::DataType;
use datafusion_expr::{ColumnarValue, Operator};
use std::sync::Arc;

use super::super::bind::case_of;
use super::super::cast::cast;
use super::super::eval::{Coalesce, Kernel, Physical, Typed};
use super::super::operators::compare;
use super::super::texts::compared_texts;
use super::super::types::{SqlType, common_type, is_nested, type_name};
use super::kernel::{Integers, call, integer_argument, integer_constant};
use super::{ANY, BindOptions, Scalar, wrong_argument};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "COALESCE", arguments: (1, ANY), bind: coalesce },
    Scalar { name: "IFNULL", arguments: (2, 2), bind: coalesce },
    Scalar { name: "NULLIF", arguments: (2, 2), bind: null_if },
    Scalar { name: "IF", arguments: (3, 3), bind: if_else },
    Scalar { name: "ELT", arguments: (2, ANY), bind: elt },
    Scalar { name: "CURRENT_DATABASE", arguments: (0, 0), bind: current_database },
    Scalar { name: "GREATEST", arguments: (1, ANY), bind: greatest },
    Scalar { name: "LEAST", arguments: (1, ANY), bind: least },
];

/// All arguments as their common type.
pub(super) fn unified(
    arguments: Vec<Typed>,
    options: &BindOptions,
) -> Result<(Vec<Physical>, DataType), String> {
    let mut common = DataType::Null;
    for argument in &arguments {
        common = common_type(&common, &argument.data_type).ok_or_else(|| {
            format!(
                "{} and {} have no common type; CAST one of them",
                type_name(&common),
                type_name(&argument.data_type)
            )
        })?;
    }
    let to = SqlType::plain(common.clone());
    let expressions = arguments
        .into_iter()
        .map(|argument| cast(argument, &to, false, options).map(|typed| typed.expr))
        .collect::<Result<Vec<_>, _>>()?;
    Ok((expressions, common))
}

fn coalesce(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let (operands, data_type) = unified(arguments, options)?;
    if data_type == DataType::Null {
        return Err("every argument is NULL; CAST one of them".into());
    }
    Ok(Typed::new(Arc::new(Coalesce::new(operands, data_type.clone())), data_type))
}

/// The first argument, or NULL when it equals the second.
fn null_if(mut arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let other = arguments.pop().expect("the registry counted two");
    let value = arguments.pop().expect("the registry counted two");
    let equal = compare(Operator::Eq, value.clone(), other, options)?;
    let null = Typed::constant(datafusion_common::ScalarValue::Null);
    case_of(vec![equal.expr], vec![null, value], true, options)
}

fn if_else(mut arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let condition = arguments.remove(0);
    if condition.data_type != DataType::Boolean {
        return Err(wrong_argument(1, "BOOLEAN", &condition.data_type));
    }
    case_of(vec![condition.expr], arguments, true, options)
}

/// The text or BYTES with the number of the first argument, from 1; NULL when there is none.
fn elt(mut arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let number = integer_argument(&arguments, 0, options)?;
    if integer_constant(&arguments[0]).is_some_and(|constant| constant < 0) {
        return Err("the number is counted from 1".into());
    }
    arguments.remove(0);
    let (choices, data_type) = unified(arguments, options)?;
    if !matches!(data_type, DataType::Utf8 | DataType::Binary) {
        return Err(format!("it chooses between STRING or BYTES, not {}", type_name(&data_type)));
    }
    let absent = arrow::array::new_null_array(&data_type, 1);
    let kernel: Kernel = Arc::new(move |values, rows| {
        let indices = Integers::of(&values[0])?;
        let columns = values[1..]
            .iter()
            .map(|value| value.clone().into_array(rows))
            .collect::<datafusion_common::Result<Vec<ArrayRef>>>()?;
        let sources: Vec<&dyn Array> = columns.iter().chain([&absent]).map(AsRef::as_ref).collect();
        let chosen: Vec<(usize, usize)> = (0..rows)
            .map(|row| {
                let index = indices
                    .get(row)
                    .and_then(|place| usize::try_from(place.saturating_sub(1)).ok());
                index
                    .filter(|&index| index < columns.len())
                    .map_or((columns.len(), 0), |column| (column, row))
            })
            .collect();
        Ok(arrow::compute::interleave(&sources, &chosen)?)
    });
    let mut expressions = vec![number];
    expressions.extend(choices);
    Ok(call("ELT", expressions, data_type, kernel))
}

fn current_database(_: Vec<Typed>, _: &BindOptions) -> Bound {
    Ok(Typed::constant(datafusion_common::ScalarValue::from("default_database")))
}

fn greatest(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    extreme("GREATEST", arguments, options, true)
}

fn least(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    extreme("LEAST", arguments, options, false)
}

/// NULL when any argument is.
fn extreme(name: &str, arguments: Vec<Typed>, options: &BindOptions, greatest: bool) -> Bound {
    let (expressions, data_type) = unified(arguments, options)?;
    if is_nested(&data_type) || data_type == DataType::Null {
        return Err(format!("{} cannot be ordered", type_name(&data_type)));
    }
    let kernel: Kernel = Arc::new(move |values, rows| {
        let mut best = values[0].clone().into_array(rows)?;
        for value in &values[1..] {
            let next = value.clone().into_array(rows)?;
            let keep = match best.data_type() {
                DataType::Utf8 => better_texts(&best, &next, greatest)?,
                _ if greatest => gt(&best, &next)?,
                _ => lt(&best, &next)?,
            };
            let chosen = zip(&keep, &best, &next)?;
            // A NULL comparison chose `next`; NULL on either side must win.
            let missing = arrow::compute::is_null(&best)?;
            best = zip(&missing, &best, &chosen)?;
        }
        Ok(best)
    });
    Ok(call(name, expressions, data_type, kernel))
}

/// Whether the first text is above (or below) the second, in the order of texts.
fn better_texts(
    left: &ArrayRef,
    right: &ArrayRef,
    greatest: bool,
) -> datafusion_common::Result<BooleanArray> {
    let operator = if greatest { Operator::Gt } else { Operator::Lt };
    let both = [left, right].map(|side| ColumnarValue::Array(Arc::clone(side)));
    Ok(compared_texts(&both, left.len(), operator)?.as_boolean().clone())
}
