//! JSON_VALUE: a scalar as STRING, BOOLEAN, INTEGER or DOUBLE.

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::{DataType, Float64Type, Int32Type};
use datafusion_common::{DataFusionError, Result as PlanResult, ScalarValue, exec_datafusion_err};
use datafusion_expr::ColumnarValue;
use std::sync::Arc;

use super::super::super::cast::cast;
use super::super::super::eval::{Kernel, Physical, Typed};
use super::super::super::types::{SqlType, type_name};
use super::super::kernel::{Numbers, Strings, fallible_call, try_build_numbers, try_build_text};
use super::super::{BindOptions, Scalar};
use super::path::Found;
use super::query::{Behavior, Outcome, Query, failure, input, label};
use super::tape::{Kind, Tape};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] =
    &[Scalar { name: "JSON_VALUE", arguments: (7, 7), bind: json_value }];

/// What JSON_VALUE does with a row.
enum Chosen {
    Node(u32),
    Null,
    DefaultOnEmpty,
    DefaultOnError,
}

/// The behaviors of JSON_VALUE.
#[derive(Clone, Copy)]
struct Behaviors {
    empty: Behavior,
    error: Behavior,
}

impl Behaviors {
    fn empty(self) -> PlanResult<Chosen> {
        match self.empty {
            Behavior::Error => Err(failure("JSON_VALUE", "the result is empty")),
            Behavior::Default => Ok(Chosen::DefaultOnEmpty),
            _ => Ok(Chosen::Null),
        }
    }

    fn error(self, problem: &str) -> PlanResult<Chosen> {
        match self.error {
            Behavior::Error => Err(failure("JSON_VALUE", problem)),
            Behavior::Default => Ok(Chosen::DefaultOnError),
            _ => Ok(Chosen::Null),
        }
    }

    fn of_row(self, query: &Query, tape: &mut Tape, text: &str) -> PlanResult<Chosen> {
        match query.run(tape, text) {
            Outcome::Found(Found::Value(node)) if tape.kind(node) == Kind::Null => self.empty(),
            Outcome::Found(Found::Value(node)) if tape.is_scalar(node) => Ok(Chosen::Node(node)),
            Outcome::Found(_) if query.path.lax => self.empty(),
            Outcome::Found(_) => self.error("the value is no scalar"),
            Outcome::Nothing => self.empty(),
            Outcome::Error(problem) => self.error(problem),
        }
    }
}

/// A default as text: Java's, in which TRUE is `true`.
fn default_text(given: &Typed, options: &BindOptions) -> Bound {
    if let Some(ScalarValue::Boolean(Some(value))) = given.literal() {
        return Ok(Typed::constant(ScalarValue::from(value.to_string().as_str())));
    }
    cast(given.clone(), &SqlType::plain(DataType::Utf8), false, options)
}

/// The two defaults as constants of the result's type.
fn defaults(
    arguments: &[Typed],
    result: &DataType,
    options: &BindOptions,
) -> Result<Vec<Physical>, String> {
    [4, 6]
        .into_iter()
        .map(|position| {
            let given = &arguments[position];
            if given.literal().is_none() {
                return Err("a default must be a literal".into());
            }
            let typed = match result {
                DataType::Utf8 => default_text(given, options)?,
                _ if given.data_type == *result || given.data_type == DataType::Null => {
                    cast(given.clone(), &SqlType::plain(result.clone()), false, options)?
                }
                _ => {
                    let (given, result) = (type_name(&given.data_type), type_name(result));
                    return Err(format!("the default is {given}, not {result}; CAST it"));
                }
            };
            Ok(typed.expr)
        })
        .collect()
}

fn json_value(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let query = Query::of(&arguments)?;
    let result = arguments[2].data_type.clone();
    let behaviors =
        Behaviors { empty: Behavior::of(&arguments[3]), error: Behavior::of(&arguments[5]) };
    let mut expressions = input(&arguments)?;
    expressions.extend(defaults(&arguments, &result, options)?);
    let kernel: Kernel = match result {
        DataType::Utf8 => {
            Arc::new(move |values, rows| text_values(&query, behaviors, values, rows))
        }
        DataType::Boolean => {
            Arc::new(move |values, rows| boolean_values(&query, behaviors, values, rows))
        }
        DataType::Int32 => {
            Arc::new(move |values, rows| integer_values(&query, behaviors, values, rows))
        }
        DataType::Float64 => {
            if [3, 5].iter().any(|at| Behavior::of(&arguments[*at]) == Behavior::Default) {
                return Err("DOUBLE takes no default; it fails in Flink".into());
            }
            Arc::new(move |values, rows| double_values(&query, behaviors, values, rows))
        }
        other => {
            return Err(format!(
                "RETURNING {} is not supported; it is STRING, BOOLEAN, INTEGER or DOUBLE",
                type_name(&other)
            ));
        }
    };
    Ok(fallible_call(&label("JSON_VALUE", &arguments), expressions, result, kernel))
}

fn text_values(
    query: &Query,
    behaviors: Behaviors,
    values: &[ColumnarValue],
    rows: usize,
) -> PlanResult<ArrayRef> {
    let texts = Strings::of(&values[0]);
    let (on_empty, on_error) = (Strings::of(&values[1]), Strings::of(&values[2]));
    let mut tape = Tape::default();
    try_build_text(rows, 0, |row, out| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        let default = match behaviors.of_row(query, &mut tape, text)? {
            Chosen::Node(node) => {
                tape.push_text(text, node, out);
                return Ok(Some(()));
            }
            Chosen::Null => None,
            Chosen::DefaultOnEmpty => on_empty.get(row),
            Chosen::DefaultOnError => on_error.get(row),
        };
        Ok(default.map(|default| out.push_str(default)))
    })
}

fn wrong_kind(expected: &str, written: &str) -> DataFusionError {
    exec_datafusion_err!("JSON_VALUE: {written} is no {expected}")
}

fn boolean_values(
    query: &Query,
    behaviors: Behaviors,
    values: &[ColumnarValue],
    rows: usize,
) -> PlanResult<ArrayRef> {
    let texts = Strings::of(&values[0]);
    let defaults = [values[1].clone().into_array(rows)?, values[2].clone().into_array(rows)?];
    let default = |index: usize, row: usize| {
        let array = arrow::array::AsArray::as_boolean(&defaults[index]);
        array.is_valid(row).then(|| array.value(row))
    };
    let mut tape = Tape::default();
    let read = (0..rows)
        .map(|row| {
            let Some(text) = texts.get(row) else { return Ok(None) };
            Ok(match behaviors.of_row(query, &mut tape, text)? {
                Chosen::Node(node) => match tape.kind(node) {
                    Kind::True => Some(true),
                    Kind::False => Some(false),
                    _ => return Err(wrong_kind("BOOLEAN", tape.written(text, node))),
                },
                Chosen::Null => None,
                Chosen::DefaultOnEmpty => default(0, row),
                Chosen::DefaultOnError => default(1, row),
            })
        })
        .collect::<PlanResult<arrow::array::BooleanArray>>()?;
    Ok(Arc::new(read))
}

fn integer_values(
    query: &Query,
    behaviors: Behaviors,
    values: &[ColumnarValue],
    rows: usize,
) -> PlanResult<ArrayRef> {
    let texts = Strings::of(&values[0]);
    let on_empty = Numbers::<Int32Type>::of(&values[1])?;
    let on_error = Numbers::<Int32Type>::of(&values[2])?;
    let mut tape = Tape::default();
    try_build_numbers::<Int32Type>(rows, |row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        Ok(match behaviors.of_row(query, &mut tape, text)? {
            Chosen::Node(node) => {
                let written = tape.written(text, node);
                let number = Some(written).filter(|_| tape.kind(node) == Kind::Integer);
                match number.and_then(|digits| digits.parse().ok()) {
                    Some(number) => Some(number),
                    None => return Err(wrong_kind("INTEGER", written)),
                }
            }
            Chosen::Null => None,
            Chosen::DefaultOnEmpty => on_empty.get(row),
            Chosen::DefaultOnError => on_error.get(row),
        })
    })
}

/// A number with a fraction or an exponent; an integer is no DOUBLE to Flink.
fn double_values(
    query: &Query,
    behaviors: Behaviors,
    values: &[ColumnarValue],
    rows: usize,
) -> PlanResult<ArrayRef> {
    let texts = Strings::of(&values[0]);
    let mut tape = Tape::default();
    try_build_numbers::<Float64Type>(rows, |row| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        let Chosen::Node(node) = behaviors.of_row(query, &mut tape, text)? else {
            return Ok(None);
        };
        let written = tape.written(text, node);
        let number = Some(written).filter(|_| tape.kind(node) == Kind::Decimal);
        match number.and_then(|digits| digits.parse::<f64>().ok()) {
            // A decimal has no −0.
            Some(number) => Ok(Some(number + 0.0)),
            None => Err(wrong_kind("DOUBLE", written)),
        }
    })
}
