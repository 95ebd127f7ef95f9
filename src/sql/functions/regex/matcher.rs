//! Searching as `java.util.regex.Matcher` does.

use regex::{Captures, Regex};
use std::ops::Range;

use super::java::{Problem, translate};
use crate::limits::SQL_PATTERN_BYTES_MAX;

/// A compiled pattern.
#[derive(Debug)]
pub(in crate::sql::functions) struct Matcher {
    regex: Regex,
    /// `$` is also before the last line terminator.
    ends_before_terminator: bool,
    is_empty: bool,
}

/// Size of a compiled pattern, in bytes; the crate's own default.
const COMPILED_BYTES_MAX: usize = 10 << 20;

impl Matcher {
    /// Compiles a pattern in Java's syntax.
    pub(in crate::sql::functions) fn compile(pattern: &str) -> Result<Matcher, Problem> {
        if pattern.len() > SQL_PATTERN_BYTES_MAX {
            let reason = format!("it has more than {SQL_PATTERN_BYTES_MAX} bytes");
            return Err(Problem::Unsupported(reason));
        }
        let translated = translate(pattern)?;
        let regex = regex::RegexBuilder::new(&translated.pattern)
            .size_limit(COMPILED_BYTES_MAX)
            .build()
            .map_err(|error| {
                let reason = error.to_string();
                let last = reason.lines().last().unwrap_or_default();
                Problem::Unsupported(last.trim_start_matches("error: ").to_string())
            })?;
        Ok(Matcher {
            regex,
            ends_before_terminator: translated.ends_before_terminator,
            is_empty: pattern.is_empty(),
        })
    }

    /// True of the pattern without a character.
    pub(in crate::sql::functions) fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Number of groups beside the whole.
    pub(in crate::sql::functions) fn groups(&self) -> usize {
        self.regex.captures_len() - 1
    }

    /// Where the text also ends: before its last line terminator.
    fn inner_end(&self, text: &str, start: usize) -> Option<usize> {
        if !self.ends_before_terminator {
            return None;
        }
        let terminators = ["\r\n", "\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"];
        let cut = terminators.iter().find_map(|end| text.strip_suffix(end))?.len();
        (cut >= start).then_some(cut)
    }

    /// The first match at or behind byte `start`.
    pub(in crate::sql::functions) fn find_at(
        &self,
        text: &str,
        start: usize,
    ) -> Option<Range<usize>> {
        let whole = self.regex.find_at(text, start).map(|found| found.range());
        let Some(cut) = self.inner_end(text, start) else { return whole };
        let inner = self.regex.find_at(&text[..cut], start).map(|found| found.range());
        match (whole, inner) {
            (Some(whole), Some(inner)) if inner.start < whole.start => Some(inner),
            (None, inner) => inner,
            (whole, _) => whole,
        }
    }

    /// The groups of the first match at or behind byte `start`.
    pub(in crate::sql::functions) fn captures_at<'t>(
        &self,
        text: &'t str,
        start: usize,
    ) -> Option<Captures<'t>> {
        let whole = self.regex.captures_at(text, start);
        let Some(cut) = self.inner_end(text, start) else { return whole };
        let inner = self.regex.captures_at(&text[..cut], start);
        let begin = |captures: &Captures<'_>| captures.get_match().start();
        match (whole, inner) {
            (Some(whole), Some(inner)) if begin(&inner) < begin(&whole) => Some(inner),
            (None, inner) => inner,
            (whole, _) => whole,
        }
    }

    /// All matches. Behind an empty one the search goes on a character later; an empty one may stand
    /// right behind another, which the crate's own iterator leaves out.
    pub(in crate::sql::functions) fn matches<'m>(
        &'m self,
        text: &'m str,
    ) -> impl Iterator<Item = Range<usize>> + 'm {
        let mut next = Some(0);
        std::iter::from_fn(move || {
            let found = self.find_at(text, next?)?;
            next = behind(text, &found);
            Some(found)
        })
    }

    /// The groups of all matches.
    pub(in crate::sql::functions) fn all_captures<'m>(
        &'m self,
        text: &'m str,
    ) -> impl Iterator<Item = Captures<'m>> + 'm {
        let mut next = Some(0);
        std::iter::from_fn(move || {
            let captures = self.captures_at(text, next?)?;
            next = behind(text, &captures.get_match().range());
            Some(captures)
        })
    }

    /// The parts of a text between matches, as `String.split` gives them: without an empty part
    /// before an empty match at the start. There are at most `limit` parts; without one (0) empty
    /// parts at the end go away.
    pub(in crate::sql::functions) fn split<'t>(&self, text: &'t str, limit: usize) -> Vec<&'t str> {
        let mut parts = Vec::new();
        let mut end = 0;
        for found in self.matches(text).filter(|found| found.end > 0) {
            if limit > 0 && parts.len() + 1 == limit {
                break;
            }
            parts.push(&text[end..found.start]);
            end = found.end;
        }
        if parts.is_empty() {
            return vec![text];
        }
        parts.push(&text[end..]);
        if limit == 0 {
            let kept = parts.iter().rposition(|part| !part.is_empty()).map_or(0, |last| last + 1);
            parts.truncate(kept);
        }
        parts
    }
}

/// Where the search for the next match begins.
fn behind(text: &str, found: &Range<usize>) -> Option<usize> {
    if !found.is_empty() {
        return Some(found.end);
    }
    text[found.end..].chars().next().map(|skipped| found.end + skipped.len_utf8())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: &[&str]) {
        let matcher = Matcher::compile(pattern).unwrap();
        let found: Vec<&str> = matcher.matches(text).map(|range| &text[range]).collect();
        assert_eq!(found, expected, "{pattern} in {text:?}");
    }

    #[test]
    fn every_match_is_found_as_java_finds_it() {
        check("a*", "aab", &["aa", "", ""]);
        check("", "é", &["", ""]);
        check("x", "abc", &[]);
        check("b$", "ab\n", &["b"]);
        check("b$", "b\nb", &["b"]);
        check("$", "b\r\n", &["", ""]);
        check(r"b\Z", "b\u{2028}", &["b"]);
        check(r"b\z", "b\n", &[]);
        check(r"\s+$", "a \n", &[" \n"]);
        check(r"\bn\w*", "éno no", &["no"]);
    }

    #[test]
    fn texts_are_split_as_java_splits_them() {
        let check = |pattern: &str, text: &str, limit, expected: &[&str]| {
            let matcher = Matcher::compile(pattern).unwrap();
            assert_eq!(matcher.split(text, limit), expected, "{pattern} {text}");
        };
        check(",", "a,b,,c,,", 0, &["a", "b", "", "c"]);
        check(",", ",a", 0, &["", "a"]);
        check(",", ",", 0, &[]);
        check("", "abc", 0, &["a", "b", "c"]);
        check("=", "k=v=w", 2, &["k", "v=w"]);
        check("=", "k=", 2, &["k", ""]);
        check("=", "k", 2, &["k"]);
        check(r"\$", "a$b", 0, &["a", "b"]);
    }
}
