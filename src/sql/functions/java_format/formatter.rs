//! `java.time.DateTimeFormatter` with an English locale, for times without a zone.

mod read;

use chrono::{Datelike, NaiveDateTime, Timelike};

use super::names::{DAYS, MONTHS, QUARTERS, Style};
use super::{Problem, Token, not_supported, push_number, sunday_week, tokens, too_many};

/// A compiled pattern.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::sql::functions) struct Formatter {
    pieces: Vec<Piece>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    /// A letter and how often it stands there.
    Field(char, usize),
    /// `[`; what is up to its `]` need not be there when reading.
    Open,
    Close,
}

/// What a pattern is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Write,
    Read,
}

impl Formatter {
    /// Compiles a pattern for writing.
    pub(in crate::sql::functions) fn for_writing(text: &str) -> Result<Formatter, Problem> {
        Formatter::compile(text, Purpose::Write)
    }

    /// Compiles a pattern for reading.
    pub(in crate::sql::functions) fn for_reading(text: &str) -> Result<Formatter, Problem> {
        Formatter::compile(text, Purpose::Read)
    }

    fn compile(text: &str, purpose: Purpose) -> Result<Formatter, Problem> {
        let mut pieces = Vec::new();
        let mut open = 0_usize;
        for token in tokens(text)? {
            pieces.push(match token {
                Token::Letters(letter, count) => {
                    check_letters(letter, count, purpose, text)?;
                    Piece::Field(letter, count)
                }
                Token::Quoted(quoted) => Piece::Text(quoted),
                Token::Other('[') => {
                    open += 1;
                    Piece::Open
                }
                Token::Other(']') => {
                    open = open.checked_sub(1).ok_or_else(|| {
                        Problem::Invalid(format!("a ] in the pattern '{text}' closes nothing"))
                    })?;
                    Piece::Close
                }
                Token::Other(reserved @ ('{' | '}' | '#')) => {
                    let message = format!("`{reserved}` in the pattern '{text}' is reserved");
                    return Err(Problem::Invalid(message));
                }
                Token::Other(other) => Piece::Text(other.to_string()),
            });
        }
        // What is open at the end is closed there.
        pieces.extend(std::iter::repeat_n(Piece::Close, open));
        Ok(Formatter { pieces })
    }

    /// Appends `time`.
    pub(in crate::sql::functions) fn write(&self, time: &NaiveDateTime, out: &mut String) {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(letter, count) => write_field(*letter, *count, time, out),
                Piece::Open | Piece::Close => {}
            }
        }
    }
}

/// Refuses letters Java does not know, or not so many of them, and those that are not supported.
fn check_letters(letter: char, count: usize, purpose: Purpose, text: &str) -> Result<(), Problem> {
    let most = match letter {
        'y' | 'u' | 'Y' | 'n' | 'N' | 'A' | 'g' => 19,
        'S' => 9,
        'M' | 'L' | 'E' | 'e' | 'c' | 'G' | 'Q' | 'q' => 5,
        'D' => 3,
        'd' | 'h' | 'H' | 'k' | 'K' | 'm' | 's' | 'w' => 2,
        'a' | 'F' | 'W' => 1,
        'x' | 'X' if purpose == Purpose::Read => 3,
        'Z' if purpose == Purpose::Read => 3,
        'B' | 'V' | 'z' | 'v' | 'O' | 'X' | 'x' | 'Z' | 'p' => {
            return Err(not_supported(letter, text));
        }
        _ => {
            let message = format!("`{letter}` in the pattern '{text}' is not a letter of Java's");
            return Err(Problem::Invalid(message));
        }
    };
    if count > most || (letter == 'c' && count == 2) {
        return Err(too_many(letter, text));
    }
    let written_only = matches!(letter, 'Y' | 'w' | 'W' | 'e' | 'c' | 'F' | 'g')
        || (matches!(letter, 'M' | 'L' | 'E' | 'Q' | 'q' | 'G') && count == 5);
    if purpose == Purpose::Read && written_only {
        let message = format!("`{letter}` in the pattern '{text}' cannot be read");
        return Err(Problem::Unsupported(message));
    }
    Ok(())
}

/// A year: two letters are its last two digits, four or more are filled up and have a `+` when they
/// do not suffice.
fn push_year(year: i64, count: usize, out: &mut String) {
    if count == 2 {
        return push_number(year.rem_euclid(100), 2, out);
    }
    let width = if year < 0 { year.unsigned_abs() } else { year.cast_unsigned() }.to_string().len();
    if count >= 4 && year >= 0 && width > count {
        out.push('+');
    }
    push_number(year, count, out);
}

fn write_field(letter: char, count: usize, time: &NaiveDateTime, out: &mut String) {
    let year = i64::from(time.year());
    let sunday_based = i64::from(time.weekday().num_days_from_sunday());
    let number = match letter {
        'u' => return push_year(year, count, out),
        'y' => return push_year(if year > 0 { year } else { 1 - year }, count, out),
        'Y' => return push_year(week_of_year(time).0, count, out),
        'G' => return out.push_str(era(year > 0, count)),
        'M' | 'L' if count >= 3 => {
            return out.push_str(Style::of(count).name(MONTHS[time.month0() as usize]));
        }
        'E' => return push_day(time, count, out),
        'e' | 'c' if count >= 3 => return push_day(time, count, out),
        'Q' | 'q' if count >= 3 => {
            let quarter = QUARTERS[(time.month0() / 3) as usize];
            return match count {
                3 => out.extend(['Q', char::from(quarter.as_bytes()[0])]),
                4 => out.push_str(quarter),
                _ => out.push_str(&quarter[..1]),
            };
        }
        'a' => return out.push_str(if time.hour() < 12 { "AM" } else { "PM" }),
        'S' => {
            let nanos = format!("{:09}", time.nanosecond() % 1_000_000_000);
            return out.push_str(&nanos[..count]);
        }
        'M' | 'L' => i64::from(time.month()),
        'Q' | 'q' => i64::from(time.month0() / 3 + 1),
        'd' => i64::from(time.day()),
        'D' => i64::from(time.ordinal()),
        'e' | 'c' => sunday_based + 1,
        'w' => week_of_year(time).1,
        'W' => sunday_week(i64::from(time.day0()), sunday_based),
        'F' => i64::from(time.day0() % 7 + 1),
        'H' => i64::from(time.hour()),
        'k' => i64::from(if time.hour() == 0 { 24 } else { time.hour() }),
        'h' => i64::from(time.hour12().1),
        'K' => i64::from(time.hour() % 12),
        'm' => i64::from(time.minute()),
        's' => i64::from(time.second()),
        'n' => i64::from(time.nanosecond() % 1_000_000_000),
        'N' => nano_of_day(time),
        'A' => nano_of_day(time) / 1_000_000,
        'g' => i64::from(time.num_days_from_ce()) - 678_576,
        other => unreachable!("`{other}` is refused when the pattern is compiled"),
    };
    push_number(number, count, out);
}

fn nano_of_day(time: &NaiveDateTime) -> i64 {
    let seconds = i64::from(time.num_seconds_from_midnight());
    seconds * 1_000_000_000 + i64::from(time.nanosecond() % 1_000_000_000)
}

fn push_day(time: &NaiveDateTime, count: usize, out: &mut String) {
    let day = DAYS[time.weekday().num_days_from_monday() as usize];
    out.push_str(Style::of(count).name(day));
}

fn era(current: bool, count: usize) -> &'static str {
    match (Style::of(count), current) {
        (Style::Short, true) => "AD",
        (Style::Short, false) => "BC",
        (Style::Full, true) => "Anno Domini",
        (Style::Full, false) => "Before Christ",
        (Style::Narrow, true) => "A",
        (Style::Narrow, false) => "B",
    }
}

/// Year and number of the week that begins on Sunday; the first one has January 1st.
fn week_of_year(time: &NaiveDateTime) -> (i64, i64) {
    let sunday_based = i64::from(time.weekday().num_days_from_sunday());
    let year = i64::from(time.year());
    let days = if time.date().leap_year() { 366 } else { 365 };
    let left = days - i64::from(time.ordinal());
    // The week goes on into the next year.
    if left < 6 - sunday_based {
        return (year + 1, 1);
    }
    (year, sunday_week(i64::from(time.ordinal0()), sunday_based))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::NaiveDate;

    #[track_caller]
    fn check(date: (i32, u32, u32), pattern: &str, text: &str) {
        let date = NaiveDate::from_ymd_opt(date.0, date.1, date.2).unwrap();
        let mut written = String::new();
        let formatter = Formatter::for_writing(pattern).unwrap();
        formatter.write(&date.and_hms_milli_opt(14, 7, 9, 120).unwrap(), &mut written);
        assert_eq!(written, text, "{pattern}");
    }

    #[test]
    fn patterns_are_written_as_java_writes_them() {
        let day = (2020, 3, 5);
        check(day, "yyyyMMddHHmmssSSS", "20200305140709120");
        check(day, "EEE, d MMM yy h:mm a", "Thu, 5 Mar 20 2:07 PM");
        check(day, "yyyy'T'''", "2020T'");
        check(day, "y yyy yyyyy u YY G GGGG", "2020 2020 02020 2020 20 AD Anno Domini");
        check(day, "M MM LLL MMMM MMMMM Q QQ QQQ QQQQ", "3 03 Mar March M 1 01 Q1 1st quarter");
        check(day, "D DDD EEEE EEEEE e ee eee c", "65 065 Thursday T 5 05 Thu 5");
        check(day, "w ww W F g", "10 10 1 5 58913");
        check(day, "k KK n N A", "14 02 120000000 50829120000000 50829120");
        check((2020, 12, 31), "YYYY-'W'ww", "2021-W01");
        check((10_000, 1, 1), "yyyy y", "+10000 10000");
        check((0, 1, 1), "y u G", "1 0 BC");
        check(day, "[yyyy]-%", "2020-%");
        check(day, "", "");
    }

    #[test]
    fn patterns_java_does_not_know_are_told_from_others() {
        for invalid in ["HHH", "aa", "cc", "DDDD", "b", "yyyy#", "'open", "]", "MMMMMM", "'"] {
            let problem = Formatter::for_writing(invalid).unwrap_err();
            assert!(matches!(problem, Problem::Invalid(_)), "{invalid}");
        }
        for unsupported in ["XX\u{58}", "z", "ppH", "B", "VV"] {
            let problem = Formatter::for_writing(unsupported).unwrap_err();
            assert!(matches!(problem, Problem::Unsupported(_)), "{unsupported}");
        }
    }
}
