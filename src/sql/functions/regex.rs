//! Regular expressions of Java's syntax, searched in linear time.
//!
//! A constant pattern is compiled when planning, and refused when it cannot be; another one when a
//! row has it. Then what Java refuses gives NULL, as in Flink, and what the engine lacks fails.
//!
//! Read: `java` (the syntax) · `matcher` (search, with Java's idea of the end of a text).

mod java;
mod matcher;

use arrow::array::{ArrayBuilder, ArrayRef, ListArray, StringBuilder};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Int32Type};
use datafusion_common::{Result as PlanResult, exec_datafusion_err};
use datafusion_expr::ColumnarValue;
use std::sync::Arc;

use super::super::eval::{Kernel, Typed};
use super::super::types::list_of;
use super::kernel::{
    Integers, Strings, all_strings, fallible_call, integer_argument, integer_constant,
    string_argument, try_build_numbers, try_build_text,
};
use super::{BindOptions, Scalar, utf16};
use java::Problem;
pub(super) use matcher::Matcher;

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "REGEXP", arguments: (2, 2), bind: regexp },
    Scalar { name: "REGEXP_COUNT", arguments: (2, 2), bind: regexp_count },
    Scalar { name: "REGEXP_EXTRACT", arguments: (2, 3), bind: regexp_extract },
    Scalar { name: "REGEXP_EXTRACT_ALL", arguments: (2, 3), bind: regexp_extract_all },
    Scalar { name: "REGEXP_INSTR", arguments: (2, 2), bind: regexp_instr },
    Scalar { name: "REGEXP_REPLACE", arguments: (3, 3), bind: regexp_replace },
    Scalar { name: "REGEXP_SUBSTR", arguments: (2, 2), bind: regexp_substr },
];

/// Compiles a pattern known when planning.
///
/// # Errors
/// In words for the user.
pub(super) fn constant_matcher(text: &str) -> Result<Matcher, String> {
    Matcher::compile(text).map_err(|problem| match problem {
        Problem::Invalid(reason) => format!("the pattern '{text}' is not supported: {reason}"),
        Problem::Unsupported(reason) => format!("the pattern '{text}' is not supported: {reason}"),
    })
}

/// The pattern argument: compiled once when it is constant.
struct Pattern {
    constant: Option<Arc<Matcher>>,
}

impl Pattern {
    fn of(typed: &Typed) -> Result<Pattern, String> {
        let constant = typed.literal_text().map(constant_matcher).transpose()?;
        Ok(Pattern { constant: constant.map(Arc::new) })
    }

    /// The matchers of a batch.
    fn rows<'a>(&'a self, values: &'a ColumnarValue) -> Patterns<'a> {
        Patterns { constant: self.constant.as_deref(), texts: Strings::of(values), last: None }
    }
}

/// The matchers of one batch's rows; a row with the pattern of the row before shares it.
struct Patterns<'a> {
    constant: Option<&'a Matcher>,
    texts: Strings<'a>,
    last: Option<(&'a str, Option<Matcher>)>,
}

/// What a row's pattern is.
enum Found<'a> {
    Null,
    /// Java refuses it.
    Invalid,
    Matcher(&'a Matcher),
}

impl Patterns<'_> {
    fn get(&mut self, row: usize) -> PlanResult<Found<'_>> {
        let Some(text) = self.texts.get(row) else { return Ok(Found::Null) };
        if let Some(matcher) = self.constant {
            return Ok(Found::Matcher(matcher));
        }
        if self.last.as_ref().is_none_or(|(known, _)| *known != text) {
            let compiled = match Matcher::compile(text) {
                Ok(matcher) => Some(matcher),
                Err(Problem::Invalid(_)) => None,
                Err(Problem::Unsupported(reason)) => {
                    return Err(exec_datafusion_err!(
                        "the pattern '{text}' is not supported: {reason}"
                    ));
                }
            };
            self.last = Some((text, compiled));
        }
        let matcher = self.last.as_ref().and_then(|(_, matcher)| matcher.as_ref());
        Ok(matcher.map_or(Found::Invalid, Found::Matcher))
    }

    /// The matcher, or `None` where NULL comes out.
    fn matcher(&mut self, row: usize) -> PlanResult<Option<&Matcher>> {
        Ok(match self.get(row)? {
            Found::Matcher(matcher) => Some(matcher),
            Found::Null | Found::Invalid => None,
        })
    }
}

/// An empty or invalid pattern is found nowhere, as Flink decides.
fn regexp(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let pattern = Pattern::of(&arguments[1])?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, mut patterns) = (Strings::of(&values[0]), pattern.rows(&values[1]));
        let matched = (0..rows)
            .map(|row| {
                let Some(text) = texts.get(row) else { return Ok(None) };
                Ok(match patterns.get(row)? {
                    Found::Null => None,
                    Found::Invalid => Some(false),
                    Found::Matcher(matcher) => {
                        Some(!matcher.is_empty() && matcher.find_at(text, 0).is_some())
                    }
                })
            })
            .collect::<PlanResult<arrow::array::BooleanArray>>()?;
        Ok(Arc::new(matched) as ArrayRef)
    });
    Ok(fallible_call("REGEXP", all_strings(&arguments)?, DataType::Boolean, kernel))
}

/// An INT of a text and the matcher of its row.
fn counted(name: &str, arguments: &[Typed], count: fn(&str, &Matcher) -> usize) -> Bound {
    let pattern = Pattern::of(&arguments[1])?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, mut patterns) = (Strings::of(&values[0]), pattern.rows(&values[1]));
        try_build_numbers::<Int32Type>(rows, |row| {
            let both = texts.get(row).zip(patterns.matcher(row)?);
            Ok(both.map(|(text, matcher)| i32::try_from(count(text, matcher)).unwrap_or(i32::MAX)))
        })
    });
    Ok(fallible_call(name, all_strings(arguments)?, DataType::Int32, kernel))
}

fn regexp_count(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    counted("REGEXP_COUNT", &arguments, |text, matcher| matcher.matches(text).count())
}

/// From 1, in UTF-16 units; 0 when nothing matches.
fn regexp_instr(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    counted("REGEXP_INSTR", &arguments, |text, matcher| match matcher.find_at(text, 0) {
        None => 0,
        Some(found) => utf16::length(&text[..found.start]) + 1,
    })
}

fn regexp_substr(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let pattern = Pattern::of(&arguments[1])?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, mut patterns) = (Strings::of(&values[0]), pattern.rows(&values[1]));
        try_build_text(rows, 0, |row, out| {
            let both = texts.get(row).zip(patterns.matcher(row)?);
            Ok(both.and_then(|(text, matcher)| {
                out.push_str(&text[matcher.find_at(text, 0)?]);
                Some(())
            }))
        })
    });
    Ok(fallible_call("REGEXP_SUBSTR", all_strings(&arguments)?, DataType::Utf8, kernel))
}

/// Refuses a constant group the constant pattern does not have.
fn check_group(pattern: &Pattern, group: Option<&Typed>) -> Result<(), String> {
    let (Some(matcher), Some(group)) = (&pattern.constant, group.and_then(integer_constant)) else {
        return Ok(());
    };
    let groups = matcher.groups();
    match usize::try_from(group).is_ok_and(|group| group > groups) {
        true => Err(format!("the pattern has {groups} groups, not {group}")),
        false => Ok(()),
    }
}

/// The group of each row; NULL is `None`.
fn groups_of(
    values: &[ColumnarValue],
    default: i64,
) -> PlanResult<impl Fn(usize) -> Option<i64> + '_> {
    let groups = values.get(2).map(Integers::of).transpose()?;
    Ok(move |row| match &groups {
        Some(groups) => groups.get(row),
        None => Some(default),
    })
}

/// Group 0 unless told; NULL when nothing matches.
fn regexp_extract(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let pattern = Pattern::of(&arguments[1])?;
    check_group(&pattern, arguments.get(2))?;
    let mut expressions = vec![string_argument(&arguments, 0)?, string_argument(&arguments, 1)?];
    if arguments.len() == 3 {
        expressions.push(integer_argument(&arguments, 2, options)?);
    }
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, mut patterns) = (Strings::of(&values[0]), pattern.rows(&values[1]));
        let group_of = groups_of(values, 0)?;
        try_build_text(rows, 0, |row, out| {
            let group = group_of(row).and_then(|group| usize::try_from(group).ok());
            let both = texts.get(row).zip(group).zip(patterns.matcher(row)?);
            Ok(both.and_then(|((text, number), matcher)| {
                let found = match number {
                    0 => matcher.find_at(text, 0)?,
                    _ => matcher.captures_at(text, 0)?.get(number)?.range(),
                };
                out.push_str(&text[found]);
                Some(())
            }))
        })
    });
    Ok(fallible_call("REGEXP_EXTRACT", expressions, DataType::Utf8, kernel))
}

/// Group 1 unless told, of every match; NULL when nothing matches or there is no such group.
fn regexp_extract_all(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let pattern = Pattern::of(&arguments[1])?;
    let mut expressions = vec![string_argument(&arguments, 0)?, string_argument(&arguments, 1)?];
    if arguments.len() == 3 {
        check_group(&pattern, arguments.get(2))?;
        expressions.push(integer_argument(&arguments, 2, options)?);
    }
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, mut patterns) = (Strings::of(&values[0]), pattern.rows(&values[1]));
        let group_of = groups_of(values, 1)?;
        let mut parts = StringBuilder::new();
        let (mut lengths, mut valid) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        for row in 0..rows {
            let before = parts.len();
            let group = group_of(row).and_then(|group| usize::try_from(group).ok());
            if let Some(((text, group), matcher)) =
                texts.get(row).zip(group).zip(patterns.matcher(row)?)
                && group <= matcher.groups()
            {
                for captures in matcher.all_captures(text) {
                    parts.append_option(captures.get(group).map(|found| found.as_str()));
                }
            }
            lengths.push(parts.len() - before);
            valid.push(parts.len() > before);
        }
        let field = Arc::new(Field::new_list_field(DataType::Utf8, true));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let nulls = Some(NullBuffer::from(valid));
        let list = ListArray::try_new(field, offsets, Arc::new(parts.finish()), nulls)?;
        Ok(Arc::new(list) as ArrayRef)
    });
    Ok(fallible_call("REGEXP_EXTRACT_ALL", expressions, list_of(DataType::Utf8), kernel))
}

/// Every match; the replacement is taken as it is, without groups.
fn regexp_replace(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let pattern = Pattern::of(&arguments[1])?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, mut patterns) = (Strings::of(&values[0]), pattern.rows(&values[1]));
        let replacements = Strings::of(&values[2]);
        try_build_text(rows, 0, |row, out| {
            let both = texts.get(row).zip(replacements.get(row)).zip(patterns.matcher(row)?);
            let Some(((text, replacement), matcher)) = both else { return Ok(None) };
            let mut end = 0;
            for found in matcher.matches(text) {
                out.push_str(&text[end..found.start]);
                out.push_str(replacement);
                end = found.end;
            }
            out.push_str(&text[end..]);
            Ok(Some(()))
        })
    });
    Ok(fallible_call("REGEXP_REPLACE", all_strings(&arguments)?, DataType::Utf8, kernel))
}
