//! Regular expressions: Java's syntax as far as it is also Rust's; look-around and back references
//! are refused when the pattern is a constant, and give NULL otherwise.

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use regex::Regex;
use std::sync::Arc;

use super::super::eval::{Kernel, Physical, Typed};
use super::kernel::{
    Integers, Strings, build_text, call, integer_argument, integer_constant, string_argument,
    text_call,
};
use super::{BindOptions, Scalar};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "REGEXP_EXTRACT", arguments: (2, 3), bind: regexp_extract },
    Scalar { name: "REGEXP_REPLACE", arguments: (3, 3), bind: regexp_replace },
    Scalar { name: "REGEXP", arguments: (2, 2), bind: regexp },
];

/// A pattern known when planning is compiled once; others for each row that differs from the last.
enum Pattern {
    Constant(Regex),
    PerRow,
}

impl Pattern {
    fn of(typed: &Typed) -> Result<Pattern, String> {
        match typed.literal_text() {
            None => Ok(Pattern::PerRow),
            Some(text) => compile(text).map(Pattern::Constant),
        }
    }

    /// The compiled pattern of one row.
    fn get<'a>(
        &'a self,
        text: &str,
        last: &'a mut Option<(String, Option<Regex>)>,
    ) -> Option<&'a Regex> {
        match self {
            Pattern::Constant(regex) => Some(regex),
            Pattern::PerRow => {
                if last.as_ref().is_none_or(|(known, _)| known != text) {
                    *last = Some((text.to_string(), compile(text).ok()));
                }
                last.as_ref().and_then(|(_, regex)| regex.as_ref())
            }
        }
    }
}

fn compile(text: &str) -> Result<Regex, String> {
    Regex::new(&with_ascii_classes(text)).map_err(|error| {
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ");
        format!("the pattern '{text}' is not supported: {reason}")
    })
}

/// `\d`, `\w`, `\s` and `\b` mean ASCII in Java. Classes nest in Rust's syntax, so that the same text stands
/// for them inside and outside of brackets.
fn with_ascii_classes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            out.push(character);
            continue;
        }
        match characters.next() {
            Some('d') => out.push_str("[0-9]"),
            Some('D') => out.push_str("[^0-9]"),
            Some('w') => out.push_str("[a-zA-Z0-9_]"),
            Some('W') => out.push_str("[^a-zA-Z0-9_]"),
            Some('s') => out.push_str(r"[\x20\t\n\x0B\f\r]"),
            Some('S') => out.push_str(r"[^\x20\t\n\x0B\f\r]"),
            Some('b') => out.push_str(r"(?-u:\b)"),
            other => {
                out.push('\\');
                out.extend(other);
            }
        }
    }
    out
}

fn texts(arguments: &[Typed], count: usize) -> Result<Vec<Physical>, String> {
    (0..count).map(|position| string_argument(arguments, position)).collect()
}

fn regexp(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let pattern = Pattern::of(&arguments[1])?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, patterns) = (Strings::of(&values[0]), Strings::of(&values[1]));
        let mut last = None;
        let matched: BooleanArray = (0..rows)
            .map(|row| {
                let (text, written) = (texts.get(row)?, patterns.get(row)?);
                // An empty pattern matches nothing, as Flink decides.
                let regex = pattern.get(written, &mut last).filter(|_| !written.is_empty());
                Some(regex.is_some_and(|regex| regex.is_match(text)))
            })
            .collect();
        Ok(Arc::new(matched) as ArrayRef)
    });
    Ok(call("REGEXP", texts(&arguments, 2)?, DataType::Boolean, kernel))
}

/// Group 0 unless told; NULL when nothing matches.
fn regexp_extract(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let pattern = Pattern::of(&arguments[1])?;
    let mut expressions = texts(&arguments, 2)?;
    if let Some(group) = arguments.get(2) {
        if let (Pattern::Constant(regex), Some(group)) = (&pattern, integer_constant(group)) {
            let groups = regex.captures_len() - 1;
            if usize::try_from(group).is_ok_and(|group| group > groups) {
                return Err(format!("the pattern has {groups} groups, not {group}"));
            }
        }
        expressions.push(integer_argument(&arguments, 2, options)?);
    }
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, patterns) = (Strings::of(&values[0]), Strings::of(&values[1]));
        let groups = values.get(2).map(Integers::of).transpose()?;
        let mut last = None;
        build_text(rows, 0, |row, out| {
            let (text, written) = (texts.get(row)?, patterns.get(row)?);
            let group = match &groups {
                Some(groups) => usize::try_from(groups.get(row)?).ok()?,
                None => 0,
            };
            let regex = pattern.get(written, &mut last)?;
            let found = match group {
                0 => regex.find(text),
                group => regex.captures(text)?.get(group),
            };
            out.push_str(found?.as_str());
            Some(())
        })
    });
    Ok(text_call("REGEXP_EXTRACT", expressions, kernel))
}

/// Every match; the replacement is taken as it is, without groups.
fn regexp_replace(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let pattern = Pattern::of(&arguments[1])?;
    let expressions = texts(&arguments, 3)?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, patterns) = (Strings::of(&values[0]), Strings::of(&values[1]));
        let replacements = Strings::of(&values[2]);
        let mut last = None;
        build_text(rows, 0, |row, out| {
            let (text, written) = (texts.get(row)?, patterns.get(row)?);
            let replacement = replacements.get(row)?;
            let regex = pattern.get(written, &mut last)?;
            let mut end = 0;
            for found in regex.find_iter(text) {
                out.push_str(&text[end..found.start()]);
                out.push_str(replacement);
                end = found.end();
            }
            out.push_str(&text[end..]);
            Some(())
        })
    });
    Ok(text_call("REGEXP_REPLACE", expressions, kernel))
}
