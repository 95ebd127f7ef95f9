//! What is wrong with a job's SQL, and where.
//!
//! Inside this module a `Fault` carries a place in one SQL text; [`SqlText::error`] turns it into a
//! [`SqlError`], whose place is that of the file the user wrote.

use sqlparser::tokenizer::{Location, Span};
use std::fmt;
use std::path::PathBuf;

use super::SqlText;
use super::hints::unmarked;
use crate::limits::SQL_MESSAGE_CHARACTERS_MAX;

/// What is wrong and what to do, with the place in the file the user wrote.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SqlError {
    /// File the text stands in.
    pub file: PathBuf,
    /// Line in that file, from 1.
    pub line: u32,
    /// Column in that line, from 1.
    pub column: u32,
    /// One line for the user.
    pub message: String,
}

impl fmt::Display for SqlError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SqlError { file, line, column, message } = self;
        write!(formatter, "{}:{line}:{column}: {message}", file.display())
    }
}

impl std::error::Error for SqlError {}

/// A mistake at a place in one SQL text. Without a place it belongs to the whole statement.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fault {
    /// Where in the text, if known.
    pub(super) location: Option<Location>,
    /// One line for the user.
    pub(super) message: String,
}

/// The usual result of this module.
pub(super) type Checked<T> = Result<T, Fault>;

impl Fault {
    /// A mistake at `location`; sqlparser's line 0 means that it does not know.
    pub(super) fn at(location: Location, message: impl Into<String>) -> Fault {
        let known = location.line > 0;
        Fault { location: known.then_some(location), message: message.into() }
    }

    /// A mistake at the start of `span`.
    pub(super) fn span(span: Span, message: impl Into<String>) -> Fault {
        Fault::at(span.start, message)
    }

    /// A mistake somewhere in the statement.
    pub(super) fn anywhere(message: impl Into<String>) -> Fault {
        Fault { location: None, message: message.into() }
    }

    /// The same, at `location` unless it already has a place.
    #[must_use]
    pub(super) fn or_at(self, location: Location) -> Fault {
        let location = self.location.or((location.line > 0).then_some(location));
        Fault { location, ..self }
    }
}

impl SqlText {
    /// `fault`, with the place in the user's file.
    pub(super) fn error(&self, fault: Fault) -> SqlError {
        let start = Location { line: 1, column: 1 };
        let (line, column) = self.place(fault.location.unwrap_or(start));
        SqlError { file: self.file.clone(), line, column, message: one_line(&fault.message) }
    }

    /// Line and column in the file of a place in the text.
    pub(super) fn place(&self, location: Location) -> (u32, u32) {
        let narrow = |wide: u64| u32::try_from(wide).unwrap_or(u32::MAX);
        let column = narrow(location.column.max(1));
        match narrow(location.line.max(1)) {
            1 => (self.line, self.column.saturating_add(column - 1)),
            line => (self.line.saturating_add(line - 1), column),
        }
    }
}

/// Errors are one line each, of characters that can be seen; text of users and other crates may not be.
fn one_line(message: &str) -> String {
    let plain = unmarked(message);
    let words = plain.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut line = String::new();
    for (count, character) in words.chars().enumerate() {
        if count == SQL_MESSAGE_CHARACTERS_MAX {
            line.push('…');
            break;
        }
        match is_invisible(character) {
            true => line.extend(character.escape_unicode()),
            false => line.push(character),
        }
    }
    line
}

/// Control characters, and those that join, hide or turn around what stands beside them.
fn is_invisible(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// `; did you mean `x`?` for the nearest candidate, or nothing when none is near.
pub(super) fn did_you_mean<'a>(
    given: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> String {
    let lower = given.to_lowercase();
    let nearest = candidates
        .into_iter()
        .map(|candidate| {
            (strsim::damerau_levenshtein(&candidate.to_lowercase(), &lower), candidate)
        })
        .min_by_key(|(distance, _)| *distance);
    match nearest {
        Some((distance, candidate)) if distance <= (given.chars().count() / 3).max(1) => {
            format!("; did you mean `{candidate}`?")
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_file() {
        let text = SqlText { text: String::new(), file: "job.toml".into(), line: 7, column: 10 };
        let error =
            |line, column| text.error(Fault::at(Location { line, column }, "a\n  b")).to_string();
        assert_eq!(error(1, 3), "job.toml:7:12: a b");
        assert_eq!(error(3, 3), "job.toml:9:3: a b");
        assert_eq!(error(0, 0), "job.toml:7:10: a b");
    }

    #[test]
    fn suggests_only_what_is_near() {
        assert_eq!(did_you_mean("pirce", ["auction", "price"]), "; did you mean `price`?");
        assert_eq!(did_you_mean("PRICE", ["price"]), "; did you mean `price`?");
        assert_eq!(did_you_mean("x", ["auction", "price"]), "");
        assert_eq!(did_you_mean("x", []), "");
    }
}
