//! Flink's functions: a closed registry. A name that is not here does not resolve, whatever
//! DataFusion has under it.
//!
//! Read: `registry` (how the planner sees a name) · `kernel`, `lists` (access to arguments) · texts:
//! `string`, `search`, `characters`, `like`, `regex`, `printf`, `encoding`, `hash`, `network` · numbers:
//! `math`, `rounding`, `random` · times: `time`, with `calendar` and `java_format` · `json` · values with
//! parts: `array`, `array_change`, `array_search`, `map`, `text_map`, `row` · `conditional`, `classes` ·
//! `symmetric` · `aggregate`, with `percentile`.

mod aggregate;
mod array;
mod array_change;
mod array_search;
mod calendar;
mod characters;
mod classes;
mod conditional;
mod encoding;
mod hash;
mod java_format;
mod json;
mod kernel;
mod like;
mod lists;
mod map;
mod math;
mod network;
mod percentile;
mod printf;
mod random;
mod regex;
mod registry;
mod rounding;
mod row;
mod search;
mod string;
mod symmetric;
mod text_map;
mod time;
mod utf16;

use arrow::datatypes::DataType;
use chrono_tz::Tz;

pub(super) use aggregate::{NamedAggregate, aggregate_of, aggregate_type, named_type};
pub(super) use like::bind_like;
pub(super) use percentile::percentages;
pub(super) use registry::{aggregate_udf, scalar_udf};
pub(super) use time::moved_by;

use super::eval::{Typed, fold};
use super::types::type_name;

/// Session settings that functions depend on.
#[derive(Clone, Debug)]
pub(super) struct BindOptions {
    /// `table.local-time-zone`.
    pub(super) time_zone: Tz,
}

/// A function of one row.
pub(super) struct Scalar {
    /// Flink's name, in upper case.
    name: &'static str,
    /// Fewest and most arguments.
    arguments: (usize, usize),
    /// Arguments to an expression with Flink's type; errors are in words for the user.
    bind: fn(Vec<Typed>, &BindOptions) -> Result<Typed, String>,
}

/// Name under which a ROW's field is read; no user can write it.
pub(super) const FIELD_FUNCTION: &str = "$FIELD";

/// Name under which an aggregate's argument stands together with its text; no user can write it.
pub(super) const ARGUMENT_FUNCTION: &str = "$ARGUMENT";

/// Name of `x IS JSON`, with the kind of JSON as its second argument.
pub(super) const IS_JSON_FUNCTION: &str = "$IS_JSON";

/// Name of `JSON(x)`, which stands inside of other JSON only.
pub(super) const JSON_FUNCTION: &str = "$JSON";

/// Name of a multiple of an interval.
pub(super) const TIMES_FUNCTION: &str = "$TIMES";

/// Name of what is inside of a JSON array of one member.
pub(super) const JSON_MEMBER_FUNCTION: &str = "$JSON_MEMBER";

/// Name of the JSON object of a list of keys and members.
pub(super) const JSON_OBJECT_OF_FUNCTION: &str = "$JSON_OBJECT_OF";

/// Name of percentiles of a list of doubles, or of rows of a double and how often it counts.
pub(super) const PERCENTILE_FUNCTION: &str = "$PERCENTILE";

/// Name of `(a, b) OVERLAPS (c, d)`.
pub(super) const OVERLAPS_FUNCTION: &str = "$OVERLAPS";

/// Name of `x BETWEEN SYMMETRIC a AND b`.
pub(super) const BETWEEN_SYMMETRIC_FUNCTION: &str = "$BETWEEN_SYMMETRIC";

/// Name under which an element of an ARRAY or MAP is read; no user can write it.
pub(super) const ITEM_FUNCTION: &str = "$ITEM";

/// No bound on the number of arguments.
const ANY: usize = usize::MAX;

fn scalars() -> impl Iterator<Item = &'static Scalar> {
    [
        string::SCALARS,
        search::SCALARS,
        characters::SCALARS,
        regex::SCALARS,
        printf::SCALARS,
        encoding::SCALARS,
        hash::SCALARS,
        network::SCALARS,
        math::SCALARS,
        rounding::SCALARS,
        random::SCALARS,
        text_map::SCALARS,
        conditional::SCALARS,
        classes::SCALARS,
        array::SCALARS,
        array_change::SCALARS,
        array_search::SCALARS,
        map::SCALARS,
        row::SCALARS,
        symmetric::SCALARS,
        aggregate::SCALARS,
    ]
    .into_iter()
    .flatten()
    .chain(time::scalars())
    .chain(json::scalars())
}

fn find(name: &str) -> Option<&'static Scalar> {
    scalars().find(|scalar| scalar.name.eq_ignore_ascii_case(name))
}

/// True for a function of one row that a user can write.
pub(super) fn is_scalar(name: &str) -> bool {
    !name.starts_with('$') && find(name).is_some()
}

/// True for COUNT, SUM and their like.
pub(super) fn is_aggregate(name: &str) -> bool {
    aggregate_of(name).is_some()
}

/// Functions that take a NULL without a type.
const UNTYPED_NULLS: [&str; 8] = [
    "COALESCE",
    "IFNULL",
    "ARRAY",
    "ARRAY_APPEND",
    "ARRAY_CONTAINS",
    "STARTSWITH",
    "ENDSWITH",
    "JSON_STRING",
];

/// Refuses a NULL without a type where Flink does.
fn check_nulls(name: &str, arguments: &[Typed]) -> Result<(), String> {
    let checked = match name {
        "NULLIF" => &arguments[..1],
        // Behind the path there are defaults nobody wrote.
        "JSON_VALUE" => &arguments[..2],
        _ if name.starts_with('$') || UNTYPED_NULLS.contains(&name) => &[],
        _ => arguments,
    };
    match checked.iter().position(|argument| argument.data_type == DataType::Null) {
        None => Ok(()),
        Some(index) => {
            Err(format!("argument {} is NULL without a type; write CAST(NULL AS …)", index + 1))
        }
    }
}

/// Every name a user can write.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    scalars()
        .map(|scalar| scalar.name)
        .filter(|name| !name.starts_with('$'))
        .chain(aggregate::NAMES.iter().map(|(name, _)| *name))
}

/// The call of `name` with bound arguments.
///
/// # Errors
/// In words for the user: wrong number or type of arguments.
pub(super) fn bind(
    name: &str,
    arguments: Vec<Typed>,
    options: &BindOptions,
) -> Result<Typed, String> {
    let scalar = find(name).ok_or_else(|| format!("the function {name} is not supported"))?;
    let (fewest, most) = scalar.arguments;
    if !(fewest..=most).contains(&arguments.len()) {
        let expected = match (fewest, most) {
            (fewest, most) if fewest == most => fewest.to_string(),
            (fewest, ANY) => format!("{fewest} or more"),
            (fewest, most) => format!("{fewest} to {most}"),
        };
        return Err(format!("{} takes {expected} arguments, not {}", scalar.name, arguments.len()));
    }
    let bound =
        check_nulls(scalar.name, &arguments).and_then(|()| (scalar.bind)(arguments, options));
    bound.map(fold).map_err(|message| match scalar.name.starts_with('$') {
        true => message,
        false => format!("{}: {message}", scalar.name),
    })
}

/// The message for an argument of the wrong type.
fn wrong_argument(position: usize, expected: &str, given: &DataType) -> String {
    format!("argument {position} is {}, not {expected}; CAST it", type_name(given))
}
