//! Functions of JSON, which is a STRING: tests, reading by path, writing.
//!
//! Read: `tape` (a text parsed, reused from row to row) · `path` (JsonPath) · `query` (JSON_EXISTS,
//! JSON_QUERY), `value` (JSON_VALUE) · `construct` (JSON_STRING, JSON_OBJECT, JSON_ARRAY) · `aggregate` (parts of
//! JSON_ARRAYAGG, JSON_OBJECTAGG) · `text` (quotes, escapes, numbers).
//!
//! Objects are written with their keys sorted, and of equal keys the last one counts, as in Flink.

mod aggregate;
mod construct;
mod path;
mod query;
mod tape;
mod text;
mod value;

use arrow::datatypes::DataType;
use datafusion_common::exec_datafusion_err;
use std::sync::Arc;

use super::super::eval::{Kernel, Typed};
use super::kernel::{
    Strings, build_booleans, call, fallible_call, map_text, string_argument, text_call,
    try_build_text,
};
use super::{BindOptions, IS_JSON_FUNCTION, JSON_FUNCTION, Scalar};
use tape::{Kind, Tape};

type Bound = Result<Typed, String>;

pub(super) fn scalars() -> impl Iterator<Item = &'static Scalar> {
    [SCALARS, query::SCALARS, value::SCALARS, construct::SCALARS, aggregate::SCALARS]
        .into_iter()
        .flatten()
}

const SCALARS: &[Scalar] = &[
    Scalar { name: IS_JSON_FUNCTION, arguments: (2, 2), bind: is_json },
    Scalar { name: JSON_FUNCTION, arguments: (1, 1), bind: json },
    Scalar { name: "JSON_QUOTE", arguments: (1, 1), bind: json_quote },
    Scalar { name: "JSON_UNQUOTE", arguments: (1, 1), bind: json_unquote },
];

/// `x IS JSON kind`; FALSE of NULL.
fn is_json(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kind = arguments[1].literal_text().unwrap_or_default().to_string();
    let argument =
        string_argument(&arguments, 0).map_err(|message| format!("IS JSON: {message}"))?;
    let name = format!("{{}} IS JSON {kind}");
    let kernel: Kernel = Arc::new(move |values, rows| {
        let texts = Strings::of(&values[0]);
        let mut tape = Tape::default();
        build_booleans(rows, |row| {
            let parsed = texts.get(row).is_some_and(|text| tape.parse(text).is_ok());
            Some(
                parsed
                    && match kind.as_str() {
                        "OBJECT" => tape.kind(Tape::ROOT) == Kind::Object,
                        "ARRAY" => tape.kind(Tape::ROOT) == Kind::Array,
                        "SCALAR" => tape.is_scalar(Tape::ROOT),
                        _ => true,
                    },
            )
        })
    });
    Ok(call(&name, vec![argument], DataType::Boolean, kernel))
}

/// `JSON(x)`: the same JSON as Flink writes it; NULL of nothing.
fn json(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let argument = string_argument(&arguments, 0).map_err(|message| format!("JSON: {message}"))?;
    let kernel: Kernel = Arc::new(|values, rows| {
        let texts = Strings::of(&values[0]);
        let mut tape = Tape::default();
        try_build_text(rows, 0, |row, out| {
            let Some(text) = texts.get(row).map(|text| text.trim_matches(|c| c <= ' ')) else {
                return Ok(None);
            };
            if text.is_empty() {
                return Ok(None);
            }
            tape.parse(text).map_err(|problem| exec_datafusion_err!("{problem}"))?;
            tape.write(text, Tape::ROOT, out);
            Ok(Some(()))
        })
    });
    Ok(fallible_call("JSON", vec![argument], DataType::Utf8, kernel))
}

fn json_quote(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kernel = map_text(|text, out| {
        text::push_ascii_quoted(text, out);
        Some(())
    });
    Ok(text_call("JSON_QUOTE", vec![string_argument(&arguments, 0)?], kernel))
}

/// What is no JSON between quotes stays as it is.
fn json_unquote(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kernel: Kernel = Arc::new(|values, rows| {
        let texts = Strings::of(&values[0]);
        let mut tape = Tape::default();
        try_build_text(rows, 0, |row, out| {
            let Some(written) = texts.get(row) else { return Ok(None) };
            let quoted = written.len() >= 2 && written.starts_with('"') && written.ends_with('"');
            if !quoted || tape.parse(written).is_err() {
                out.push_str(written);
                return Ok(Some(()));
            }
            let inner = &written[1..written.len() - 1];
            match text::push_unescaped(inner, out) {
                Some(()) => Ok(Some(())),
                None => Err(exec_datafusion_err!("'{written}' has an escape that is none")),
            }
        })
    });
    let argument = string_argument(&arguments, 0)?;
    Ok(fallible_call("JSON_UNQUOTE", vec![argument], DataType::Utf8, kernel))
}
