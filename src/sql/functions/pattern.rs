//! Java's date patterns: `yyyy-MM-dd HH:mm:ss.SSS` compiled once, for writing and reading.

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};
use std::fmt::Write;

/// A compiled pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct DatePattern {
    pieces: Vec<Piece>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    /// A letter and how often it stands there.
    Field(char, usize),
}

/// The pattern of a timestamp when none is given.
pub(super) const DEFAULT_PATTERN: &str = "yyyy-MM-dd HH:mm:ss";

impl DatePattern {
    /// Compiles `text`.
    ///
    /// # Errors
    /// Names the letter that is not supported.
    pub(super) fn parse(text: &str) -> Result<DatePattern, String> {
        let mut pieces = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(first) = rest.next() {
            match first {
                '\'' => pieces.push(Piece::Text(quoted(&mut rest)?)),
                letter if letter.is_ascii_alphabetic() => {
                    let mut count = 1;
                    while rest.next_if_eq(&letter).is_some() {
                        count += 1;
                    }
                    if !"yuMdHhmsSaEDkK".contains(letter) || count > 9 {
                        return Err(format!("`{letter}` in the pattern '{text}' is not supported"));
                    }
                    pieces.push(Piece::Field(letter, count));
                }
                other => pieces.push(Piece::Text(other.to_string())),
            }
        }
        Ok(DatePattern { pieces })
    }

    /// The same, of a pattern that is read: days of the week and of the year are only written.
    ///
    /// # Errors
    /// Names the letter that is not supported.
    pub(super) fn parse_for_reading(text: &str) -> Result<DatePattern, String> {
        let pattern = DatePattern::parse(text)?;
        let written_only = pattern.pieces.iter().find_map(|piece| match piece {
            Piece::Field(letter @ ('E' | 'D'), _) => Some(letter),
            _ => None,
        });
        match written_only {
            Some(letter) => Err(format!("`{letter}` in the pattern '{text}' cannot be read")),
            None => Ok(pattern),
        }
    }

    /// Appends `time`.
    pub(super) fn write(&self, time: &NaiveDateTime, out: &mut String) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(letter, count) => write_field(*letter, *count, time, out),
            }
        }
    }

    /// Reads a time as Java's `DateTimeFormatter` does: a letter that stands alone takes any number
    /// of digits, others as many as they are; `None` when the text is not of this pattern.
    pub(super) fn read(&self, text: &str) -> Option<NaiveDateTime> {
        let (parts, rest) = self.read_parts(text, true)?;
        if rest.is_empty() { parts.finish() } else { None }
    }

    /// Reads a time as Java's `SimpleDateFormat` does: any number of digits, anything behind.
    pub(super) fn read_lenient(&self, text: &str) -> Option<NaiveDateTime> {
        self.read_parts(text, false)?.0.finish()
    }

    fn read_parts<'a>(&self, text: &'a str, strict: bool) -> Option<(Parts, &'a str)> {
        let mut rest = text;
        let mut parts = Parts::default();
        for (index, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Text(expected) => rest = rest.strip_prefix(expected.as_str())?,
                Piece::Field(letter, count) => {
                    let next_is_digits =
                        matches!(self.pieces.get(index + 1), Some(Piece::Field(..)));
                    let exact = next_is_digits || (strict && *count > 1);
                    rest = parts.read(*letter, *count, exact, rest)?;
                }
            }
        }
        Some((parts, rest))
    }
}

/// The text up to the closing quote; two quotes are one.
fn quoted(rest: &mut std::iter::Peekable<std::str::Chars>) -> Result<String, String> {
    let mut text = String::new();
    loop {
        match rest.next() {
            None => return Err("a quote in the date pattern is not closed".into()),
            Some('\'') if rest.next_if_eq(&'\'').is_some() => text.push('\''),
            Some('\'') => break,
            Some(other) => text.push(other),
        }
    }
    Ok(if text.is_empty() { "'".into() } else { text })
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] =
    ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

fn write_field(letter: char, count: usize, time: &NaiveDateTime, out: &mut String) {
    let name = |full: &'static str| if count >= 4 { full } else { &full[..3] };
    let number = match letter {
        'M' if count >= 3 => return out.push_str(name(MONTHS[time.month0() as usize])),
        'E' => return out.push_str(name(DAYS[time.weekday().num_days_from_monday() as usize])),
        'a' => return out.push_str(if time.hour() < 12 { "AM" } else { "PM" }),
        'S' => {
            let nanos = format!("{:09}", time.nanosecond() % 1_000_000_000);
            return out.push_str(&nanos[..count]);
        }
        'y' | 'u' if count == 2 => i64::from(time.year().rem_euclid(100)),
        'y' | 'u' => i64::from(time.year()),
        'M' => i64::from(time.month()),
        'd' => i64::from(time.day()),
        'D' => i64::from(time.ordinal()),
        'H' => i64::from(time.hour()),
        'k' => i64::from(if time.hour() == 0 { 24 } else { time.hour() }),
        'h' => i64::from(time.hour12().1),
        'K' => i64::from(time.hour() % 12),
        'm' => i64::from(time.minute()),
        _ => i64::from(time.second()),
    };
    write!(out, "{number:0count$}").expect("a string grows");
}

/// What has been read of a time.
#[derive(Default)]
struct Parts {
    year: Option<i32>,
    month: Option<u32>,
    day: Option<u32>,
    hour: u32,
    minute: u32,
    second: u32,
    nanos: u32,
    afternoon: Option<bool>,
}

impl Parts {
    /// Reads one field from the start of `text`, and gives what is behind it.
    fn read<'a>(
        &mut self,
        letter: char,
        count: usize,
        exact: bool,
        text: &'a str,
    ) -> Option<&'a str> {
        if letter == 'a' {
            let (half, rest) = (text.get(..2)?, text.get(2..)?);
            self.afternoon = Some(match half.to_ascii_uppercase().as_str() {
                "AM" => false,
                "PM" => true,
                _ => return None,
            });
            return Some(rest);
        }
        if letter == 'M' && count >= 3 {
            let found = MONTHS.iter().position(|month| {
                let name = if count >= 4 { month } else { &month[..3] };
                text.starts_with(name)
            })?;
            let length = if count >= 4 { MONTHS[found].len() } else { 3 };
            self.month = u32::try_from(found + 1).ok();
            return Some(&text[length..]);
        }
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let length = if exact || letter == 'S' { count.min(digits) } else { digits };
        if length == 0 || (exact && length < count) || length > 9 {
            return None;
        }
        let (number, rest) = text.split_at(length);
        self.set(letter, count, number)?;
        Some(rest)
    }

    fn set(&mut self, letter: char, count: usize, digits: &str) -> Option<()> {
        let number: u32 = digits.parse().ok()?;
        let within = |first: u32, last: u32| (first..=last).contains(&number).then_some(number);
        match letter {
            'y' | 'u' => {
                let year = i32::try_from(number).ok()?;
                self.year = Some(if count == 2 && digits.len() == 2 { 2000 + year } else { year });
            }
            'M' => self.month = Some(within(1, 12)?),
            'd' => self.day = Some(within(1, 31)?),
            'H' => self.hour = within(0, 23)?,
            'k' => self.hour = within(1, 24)? % 24,
            'h' => self.hour = within(1, 12)? % 12,
            'K' => self.hour = within(0, 11)?,
            'm' => self.minute = number,
            's' => self.second = number,
            'S' => self.nanos = format!("{digits:0<9}").parse().ok()?,
            _ => return None,
        }
        Some(())
    }

    /// A day that the month does not have is its last, as in Java.
    fn finish(self) -> Option<NaiveDateTime> {
        let (year, month) = (self.year.unwrap_or(1970), self.month.unwrap_or(1));
        let first = NaiveDate::from_ymd_opt(year, month, 1)?;
        let days = u32::from(first.num_days_in_month());
        let date = first.with_day(self.day.unwrap_or(1).min(days))?;
        let hour = if self.afternoon == Some(true) { self.hour % 12 + 12 } else { self.hour };
        date.and_hms_nano_opt(hour, self.minute, self.second, self.nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str) {
        let time = NaiveDate::from_ymd_opt(2020, 3, 5).unwrap().and_hms_milli_opt(14, 7, 9, 120);
        let mut written = String::new();
        DatePattern::parse(pattern).unwrap().write(&time.unwrap(), &mut written);
        assert_eq!(written, text, "{pattern}");
    }

    #[test]
    fn patterns_are_javas() {
        check("yyyy-MM-dd HH:mm", "2020-03-05 14:07");
        check("yyyyMMddHHmmssSSS", "20200305140709120");
        check("EEE, d MMM yy h:mm a", "Thu, 5 Mar 20 2:07 PM");
        check("yyyy'T'''", "2020T'");
        assert!(DatePattern::parse("yyyy-QQ").is_err());
        assert!(DatePattern::parse("yyyy 'open").is_err());
    }

    #[test]
    fn what_is_written_is_read() {
        for pattern in [
            "yyyy-MM-dd HH:mm:ss.SSS",
            "yyyyMMddHHmmssSSS",
            "d/M/yyyy h:m:s.SSS a",
            "MMM d yyyy k:m:s.SSS",
        ] {
            let pattern = DatePattern::parse(pattern).unwrap();
            for millis in [0, 1_583_417_229_120, 1_600_000_000_999] {
                let time = chrono::DateTime::from_timestamp_millis(millis).unwrap().naive_utc();
                let mut text = String::new();
                pattern.write(&time, &mut text);
                assert_eq!(pattern.read(&text), Some(time), "{pattern:?} {text}");
            }
        }
        let pattern = DatePattern::parse("yyyy-MM-dd").unwrap();
        for wrong in ["", "2020", "2020-13-01", "2020-01-01x", "x", "2020-1-01", "20200-01-01"] {
            assert_eq!(pattern.read(wrong), None, "{wrong}");
        }
        let read = |text: &str| pattern.read_lenient(text).map(|time| time.date().to_string());
        assert_eq!(read("2020-1-1 and more").as_deref(), Some("2020-01-01"));
        assert_eq!(read("2020-02-31").as_deref(), Some("2020-02-29"));
        assert!(DatePattern::parse_for_reading("D yyyy").is_err());
    }
}
