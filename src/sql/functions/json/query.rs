//! JSON_EXISTS and JSON_QUERY. The parser has put what stands before ON EMPTY and ON ERROR, and the
//! type behind RETURNING, among the arguments.

use arrow::array::{ArrayBuilder, ArrayRef, ListArray, StringBuilder};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};
use datafusion_common::{DataFusionError, Result as PlanResult, exec_datafusion_err};
use datafusion_expr::ColumnarValue;
use std::sync::Arc;

use super::super::super::eval::{Kernel, Physical, Typed};
use super::super::super::types::{list_of, type_name};
use super::super::kernel::{Strings, fallible_call, string_argument, try_build_text};
use super::super::{BindOptions, Scalar};
use super::path::{Found, Missing, Path};
use super::tape::{Kind, Tape};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "JSON_EXISTS", arguments: (3, 3), bind: json_exists },
    Scalar { name: "JSON_QUERY", arguments: (6, 6), bind: json_query },
];

/// What is done where there is nothing, or an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Behavior {
    Null,
    Error,
    Default,
    EmptyArray,
    EmptyObject,
}

impl Behavior {
    pub(super) fn of(typed: &Typed) -> Behavior {
        match typed.literal_text() {
            Some("ERROR") => Behavior::Error,
            Some("DEFAULT") => Behavior::Default,
            Some("EMPTY ARRAY") => Behavior::EmptyArray,
            Some("EMPTY OBJECT") => Behavior::EmptyObject,
            _ => Behavior::Null,
        }
    }
}

/// What a path found in a text.
pub(super) enum Outcome {
    Found(Found),
    /// A lax path found nothing.
    Nothing,
    Error(&'static str),
}

/// Reads one path in text after text.
pub(super) struct Query {
    pub(super) path: Path,
}

impl Query {
    pub(super) fn of(arguments: &[Typed]) -> Result<Query, String> {
        let path = arguments[1].literal_text().ok_or("the path must be a literal: '$.a'")?;
        Ok(Query { path: Path::compile(path)? })
    }

    /// The outcome; the tape then holds the text.
    pub(super) fn run(&self, tape: &mut Tape, text: &str) -> Outcome {
        if let Err(problem) = tape.parse(text) {
            return match self.path.lax {
                true => Outcome::Nothing,
                false => Outcome::Error(problem),
            };
        }
        if tape.kind(Tape::ROOT) == Kind::Null {
            return Outcome::Error("the JSON is null");
        }
        match self.path.read(tape, text) {
            Ok(Some(found)) => Outcome::Found(found),
            Ok(None) => Outcome::Nothing,
            Err(Missing) => Outcome::Error("there is nothing at the path"),
        }
    }
}

/// The JSON argument, as the only one of the call.
pub(super) fn input(arguments: &[Typed]) -> Result<Vec<Physical>, String> {
    Ok(vec![string_argument(arguments, 0)?])
}

/// What makes calls of different paths and behaviors different.
pub(super) fn label(name: &str, arguments: &[Typed]) -> String {
    let mut label = format!("{name}({{}}");
    for argument in arguments[1..].iter().filter_map(Typed::literal_text) {
        label.push_str(&format!(", '{argument}'"));
    }
    label.push(')');
    label
}

fn json_exists(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let query = Query::of(&arguments)?;
    let on_error = arguments[2].literal_text().unwrap_or_default().to_string();
    let kernel: Kernel = Arc::new(move |values, rows| {
        let texts = Strings::of(&values[0]);
        let mut tape = Tape::default();
        let exists = (0..rows)
            .map(|row| {
                let Some(text) = texts.get(row) else { return Ok(None) };
                Ok(match query.run(&mut tape, text) {
                    Outcome::Found(Found::Value(node)) => Some(tape.kind(node) != Kind::Null),
                    Outcome::Found(Found::Values(_)) => Some(true),
                    Outcome::Nothing => Some(false),
                    Outcome::Error(problem) => match on_error.as_str() {
                        "TRUE" => Some(true),
                        "UNKNOWN" => None,
                        "ERROR" => return Err(failure("JSON_EXISTS", problem)),
                        _ => Some(false),
                    },
                })
            })
            .collect::<PlanResult<arrow::array::BooleanArray>>()?;
        Ok(Arc::new(exists) as ArrayRef)
    });
    let name = label("JSON_EXISTS", &arguments);
    Ok(fallible_call(&name, input(&arguments)?, DataType::Boolean, kernel))
}

pub(super) fn failure(name: &str, problem: &str) -> DataFusionError {
    exec_datafusion_err!("{name}: {problem}")
}

/// What JSON_QUERY puts around a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Wrapper {
    None,
    /// Around everything.
    Unconditional,
    /// Around what is no array.
    Conditional,
}

/// What JSON_QUERY gives for a row.
enum Queried {
    Found { found: Found, wrapped: bool },
    Null,
    EmptyArray,
    EmptyObject,
}

#[derive(Clone, Copy)]
struct QueryOptions {
    wrapper: Wrapper,
    empty: Behavior,
    error: Behavior,
    /// The result is an ARRAY.
    array: bool,
}

impl QueryOptions {
    fn behave(behavior: Behavior, problem: &str) -> PlanResult<Queried> {
        match behavior {
            Behavior::Error => Err(failure("JSON_QUERY", problem)),
            Behavior::EmptyArray => Ok(Queried::EmptyArray),
            Behavior::EmptyObject => Ok(Queried::EmptyObject),
            Behavior::Null | Behavior::Default => Ok(Queried::Null),
        }
    }

    fn of_row(self, query: &Query, tape: &mut Tape, text: &str) -> PlanResult<Queried> {
        let found = match query.run(tape, text) {
            Outcome::Error(problem) => return Self::behave(self.error, problem),
            Outcome::Nothing => return Self::behave(self.empty, "the result is empty"),
            Outcome::Found(found) => found,
        };
        let (array, scalar) = match &found {
            Found::Values(_) => (true, false),
            Found::Value(node) if tape.kind(*node) == Kind::Null => {
                return Self::behave(self.empty, "the result is empty");
            }
            Found::Value(node) => (tape.kind(*node) == Kind::Array, tape.is_scalar(*node)),
        };
        let wrapped = match self.wrapper {
            Wrapper::None => false,
            Wrapper::Unconditional => true,
            Wrapper::Conditional => !array,
        };
        if scalar && !wrapped {
            return match query.path.lax {
                true => Self::behave(self.empty, "the result is empty"),
                false => Self::behave(self.error, "the value is neither array nor object"),
            };
        }
        if self.array && !array && !wrapped {
            return Self::behave(self.error, "the value is no array");
        }
        Ok(Queried::Found { found, wrapped })
    }
}

fn json_query(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let query = Query::of(&arguments)?;
    let result = arguments[2].data_type.clone();
    let array = result == list_of(DataType::Utf8);
    if !array && result != DataType::Utf8 {
        let given = type_name(&result);
        return Err(format!("RETURNING {given} is not supported; it is STRING or ARRAY<STRING>"));
    }
    let options = QueryOptions {
        wrapper: match arguments[3].literal_text() {
            Some("UNCONDITIONAL") => Wrapper::Unconditional,
            Some("CONDITIONAL") => Wrapper::Conditional,
            _ => Wrapper::None,
        },
        empty: Behavior::of(&arguments[4]),
        error: Behavior::of(&arguments[5]),
        array,
    };
    if array && [options.empty, options.error].contains(&Behavior::EmptyObject) {
        return Err("EMPTY OBJECT is no ARRAY".into());
    }
    let kernel: Kernel = match array {
        true => Arc::new(move |values, rows| query_arrays(&query, options, values, rows)),
        false => Arc::new(move |values, rows| query_texts(&query, options, values, rows)),
    };
    let name = label(if array { "JSON_QUERY_ARRAY" } else { "JSON_QUERY" }, &arguments);
    Ok(fallible_call(&name, input(&arguments)?, result, kernel))
}

/// Appends what was found as JSON.
fn push_found(tape: &Tape, text: &str, found: &Found, out: &mut String) {
    match found {
        Found::Value(node) => tape.write(text, *node, out),
        Found::Values(nodes) => {
            out.push('[');
            for (index, node) in nodes.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                tape.write(text, *node, out);
            }
            out.push(']');
        }
    }
}

fn query_texts(
    query: &Query,
    options: QueryOptions,
    values: &[ColumnarValue],
    rows: usize,
) -> PlanResult<ArrayRef> {
    let texts = Strings::of(&values[0]);
    let mut tape = Tape::default();
    try_build_text(rows, 0, |row, out| {
        let Some(text) = texts.get(row) else { return Ok(None) };
        match options.of_row(query, &mut tape, text)? {
            Queried::Null => return Ok(None),
            Queried::EmptyArray => out.push_str("[]"),
            Queried::EmptyObject => out.push_str("{}"),
            Queried::Found { found, wrapped } => {
                out.push_str(if wrapped { "[" } else { "" });
                push_found(&tape, text, &found, out);
                out.push_str(if wrapped { "]" } else { "" });
            }
        }
        Ok(Some(()))
    })
}

fn query_arrays(
    query: &Query,
    options: QueryOptions,
    values: &[ColumnarValue],
    rows: usize,
) -> PlanResult<ArrayRef> {
    let texts = Strings::of(&values[0]);
    let mut tape = Tape::default();
    let mut elements = StringBuilder::new();
    let (mut lengths, mut valid) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
    let mut element = String::new();
    for row in 0..rows {
        let before = elements.len();
        let queried = match texts.get(row) {
            None => Queried::Null,
            Some(text) => options.of_row(query, &mut tape, text)?,
        };
        valid.push(!matches!(queried, Queried::Null));
        if let (Queried::Found { found, wrapped }, Some(text)) = (queried, texts.get(row)) {
            let nodes = match &found {
                _ if wrapped => Vec::new(),
                Found::Values(nodes) => nodes.clone(),
                Found::Value(node) => tape.children(*node).collect(),
            };
            for node in nodes {
                if tape.kind(node) == Kind::Null {
                    elements.append_null();
                    continue;
                }
                element.clear();
                tape.push_text(text, node, &mut element);
                elements.append_value(&element);
            }
            if wrapped {
                element.clear();
                match &found {
                    Found::Value(node) => tape.push_text(text, *node, &mut element),
                    several => push_found(&tape, text, several, &mut element),
                }
                elements.append_value(&element);
            }
        }
        lengths.push(elements.len() - before);
    }
    let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
    let offsets = OffsetBuffer::from_lengths(lengths);
    let nulls = Some(NullBuffer::from(valid));
    Ok(Arc::new(ListArray::try_new(field, offsets, Arc::new(elements.finish()), nulls)?))
}
