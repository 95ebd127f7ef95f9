//! Java's two languages of date patterns. They share most letters, and little of their meaning.
//!
//! Read: `formatter` (`java.time.DateTimeFormatter`: TO_TIMESTAMP, DATE_FORMAT of a TIMESTAMP) ·
//! `simple` (`java.text.SimpleDateFormat`: TO_DATE, UNIX_TIMESTAMP, FROM_UNIXTIME, CONVERT_TZ,
//! DATE_FORMAT of a text) · `names` (of months and days, in English).

mod formatter;
mod names;
mod simple;

pub(super) use formatter::Formatter;
pub(super) use simple::{Reading, SimpleFormat, SimpleReader};

/// The pattern of a time when none is given.
pub(super) const DEFAULT_PATTERN: &str = "yyyy-MM-dd HH:mm:ss";

/// Why a pattern is not compiled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Problem {
    /// Java refuses it, too.
    Invalid(String),
    /// The message is for the user.
    Unsupported(String),
}

impl Problem {
    /// In words for the user.
    pub(super) fn message(self) -> String {
        match self {
            Problem::Invalid(message) | Problem::Unsupported(message) => message,
        }
    }
}

/// A part of a pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Token {
    /// A letter and how often it stands there.
    Letters(char, usize),
    /// Between quotes.
    Quoted(String),
    Other(char),
}

/// Cuts a pattern; two quotes are one, inside and outside of quotes.
fn tokens(text: &str) -> Result<Vec<Token>, Problem> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        match first {
            '\'' => {
                let mut quoted = String::new();
                loop {
                    match rest.next() {
                        None => {
                            let message = format!("a quote in the pattern '{text}' is not closed");
                            return Err(Problem::Invalid(message));
                        }
                        Some('\'') if rest.next_if_eq(&'\'').is_some() => quoted.push('\''),
                        Some('\'') => break,
                        Some(other) => quoted.push(other),
                    }
                }
                tokens.push(Token::Quoted(if quoted.is_empty() { "'".into() } else { quoted }));
            }
            letter if letter.is_ascii_alphabetic() => {
                let mut count = 1;
                while rest.next_if_eq(&letter).is_some() {
                    count += 1;
                }
                tokens.push(Token::Letters(letter, count));
            }
            other => tokens.push(Token::Other(other)),
        }
    }
    Ok(tokens)
}

fn not_supported(letter: char, text: &str) -> Problem {
    Problem::Unsupported(format!("`{letter}` in the pattern '{text}' is not supported"))
}

fn too_many(letter: char, text: &str) -> Problem {
    Problem::Invalid(format!("there are too many `{letter}` in the pattern '{text}'"))
}

/// Appends the digits of a number, at least `width`.
fn push_number(number: i64, width: usize, out: &mut String) {
    if (0..100).contains(&number) && width <= 2 {
        let digits = [number / 10, number % 10];
        if digits[0] > 0 || width == 2 {
            push_digit(digits[0], out);
        }
        return push_digit(digits[1], out);
    }
    let text = number.unsigned_abs().to_string();
    if number < 0 {
        out.push('-');
    }
    out.extend(std::iter::repeat_n('0', width.saturating_sub(text.len())));
    out.push_str(&text);
}

fn push_digit(digit: i64, out: &mut String) {
    out.push(char::from(b'0' + u8::try_from(digit).expect("a digit")));
}

/// Week of the year or month whose first day is so many days before `day` (both from 0), when weeks
/// begin on Sunday and the first one is that of the first day.
fn sunday_week(day_of_span: i64, sunday_based_weekday: i64) -> i64 {
    let first = (sunday_based_weekday - day_of_span).rem_euclid(7);
    (day_of_span + first) / 7 + 1
}
