//! SIMILAR TO: SQL's regular expressions as those of the `regex` crate.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::DataType;
use regex::Regex;
use std::fmt::Write;
use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

use super::eval::{Call, Kernel, Typed};
use super::types::type_name;
use crate::limits::SQL_PATTERN_BYTES_MAX;

/// Characters that mean something, and do not behind the escape character.
const SPECIAL: &str = "[]()|^-+*_%?{}";

/// Java's `.`: everything but the end of a line.
pub(super) const ANY_CHARACTER: &str = r"[^\n\r\x{85}\x{2028}\x{2029}]";

/// `text [NOT] SIMILAR TO 'pattern' [ESCAPE c]`.
pub(super) fn bind_similar(
    text: Typed,
    pattern: &Typed,
    negated: bool,
    escape: Option<char>,
) -> Result<Typed, String> {
    let Some(written) = pattern.literal_text() else {
        return Err("SIMILAR TO takes a pattern that is a string literal".into());
    };
    if text.data_type != DataType::Utf8 {
        return Err(format!("SIMILAR TO takes a STRING, not {}", type_name(&text.data_type)));
    }
    if written.len() > SQL_PATTERN_BYTES_MAX {
        return Err(format!("SIMILAR TO: the pattern has more than {SQL_PATTERN_BYTES_MAX} bytes"));
    }
    let regex = translated(written, escape)
        .and_then(|translated| Regex::new(&format!(r"\A(?:{translated})\z")).ok())
        .ok_or_else(|| format!("SIMILAR TO: '{written}' is not a pattern"))?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let array = values[0].clone().into_array(rows)?;
        let texts = array.as_string::<i32>();
        let one = |row| texts.is_valid(row).then(|| regex.is_match(texts.value(row)) != negated);
        Ok(Arc::new((0..rows).map(one).collect::<BooleanArray>()) as ArrayRef)
    });
    let not = if negated { "NOT " } else { "" };
    let escape = escape.map(|escape| format!(" ESCAPE '{escape}'")).unwrap_or_default();
    let name = format!("{{}} {not}SIMILAR TO '{written}'{escape}");
    Ok(Typed::new(
        Arc::new(Call::new(name, vec![text.expr], DataType::Boolean, kernel)),
        DataType::Boolean,
    ))
}

/// The pattern as a regular expression; `None` when it is none.
fn translated(pattern: &str, escape: Option<char>) -> Option<String> {
    let mut regex = String::with_capacity(pattern.len() * 2);
    let mut characters = pattern.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            _ if Some(character) == escape => {
                push_literal(&mut regex, escaped(&mut characters, escape)?);
            }
            '_' | '.' => regex.push_str(ANY_CHARACTER),
            '%' => regex.push_str("(?s:.*)"),
            '[' => translate_set(&mut characters, escape, &mut regex)?,
            ']' => return None,
            '\\' | '$' => push_literal(&mut regex, character),
            other => regex.push(other),
        }
    }
    Some(regex)
}

/// What stands behind the escape character.
fn escaped(characters: &mut Peekable<Chars<'_>>, escape: Option<char>) -> Option<char> {
    characters.next().filter(|&next| SPECIAL.contains(next) || Some(next) == escape)
}

/// A character that means itself.
pub(super) fn push_literal(regex: &mut String, character: char) {
    write!(regex, "\\x{{{:x}}}", u32::from(character)).expect("a string grows");
}

/// `[a-c]`, `[^x]`, `[[:DIGIT:]_]`, up to the closing bracket.
fn translate_set(
    characters: &mut Peekable<Chars<'_>>,
    escape: Option<char>,
    regex: &mut String,
) -> Option<()> {
    regex.push('[');
    loop {
        match characters.next()? {
            ']' => break,
            character if Some(character) == escape => {
                push_literal(regex, escaped(characters, escape)?);
            }
            character @ ('-' | '^') => regex.push(character),
            '[' => regex.push_str(class(characters)?),
            character if SPECIAL.contains(character) => return None,
            character => push_literal(regex, character),
        }
    }
    regex.push(']');
    Some(())
}

/// The inside of `[:ALPHA:]`, behind its first bracket.
fn class(characters: &mut Peekable<Chars<'_>>) -> Option<&'static str> {
    const CLASSES: [(&str, &str); 7] = [
        ("ALPHA", "a-zA-Z"),
        ("UPPER", "A-Z"),
        ("LOWER", "a-z"),
        ("DIGIT", "0-9"),
        ("SPACE", " "),
        ("WHITESPACE", r" \t\n\x0b\x0c\r"),
        ("ALNUM", "a-zA-Z0-9"),
    ];
    characters.next_if_eq(&':')?;
    let name: String =
        std::iter::from_fn(|| characters.next_if(char::is_ascii_alphabetic)).collect();
    characters.next_if_eq(&':')?;
    characters.next_if_eq(&']')?;
    let known = |class: &str| name == class || name == class.to_lowercase();
    CLASSES.iter().find(|(class, _)| known(class)).map(|(_, set)| *set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, escape: Option<char>, text: &str, expected: Option<bool>) {
        let regex = translated(pattern, escape).map(|regex| format!(r"\A(?:{regex})\z"));
        let regex = regex.and_then(|regex| Regex::new(&regex).ok());
        assert_eq!(regex.map(|regex| regex.is_match(text)), expected, "{pattern} {text}");
    }

    #[test]
    fn patterns_match_whole_texts() {
        check("a(b|x)c", None, "abc", Some(true));
        check("a|c", None, "a|c", Some(false));
        check("a%", None, "a\nb", Some(true));
        check("a_", None, "a\n", Some(false));
        check("[a-c]+", None, "abcabc", Some(true));
        check("[^a-c]+", None, "xyz", Some(true));
        check("_{3}", None, "äöü", Some(true));
        check("a$", None, "a$", Some(true));
        check(r"a\d", None, r"a\d", Some(true));
        check("[[:DIGIT:][:alpha:]_]+", None, "1a", None);
        check("[[:DIGIT:][:alpha:]!_]+", Some('!'), "1a_", Some(true));
        check("[.]", None, "x", Some(false));
        check("a!%c", Some('!'), "a%c", Some(true));
        check("a!c", Some('!'), "ac", None);
        check("a!", Some('!'), "a", None);
        check("a]", None, "a]", None);
        check("[a", None, "a", None);
        check("(a", None, "a", None);
        check("[[:NONE:]]", None, "a", None);
    }
}
