//! `java.text.SimpleDateFormat` with an English locale: Julian before 1582-10-15, lenient when
//! reading, and about instants in a zone.

mod read;

use super::super::calendar::{GREGORIAN_CUTOVER, MILLIS_PER_DAY, Ymd, weekday};
use super::names::{DAYS, MONTHS, Style};
use super::{Problem, Token, not_supported, push_number, sunday_week, tokens, too_many};

pub(in crate::sql::functions) use read::{Reading, SimpleReader};

/// A compiled pattern for writing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::sql::functions) struct SimpleFormat {
    pieces: Vec<Piece>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    /// A letter and how often it stands there.
    Field(char, usize),
}

/// Pieces of a pattern, with letters Java does not know refused.
fn pieces(text: &str) -> Result<Vec<Piece>, Problem> {
    let piece = |token| match token {
        Token::Letters(letter, _) if !"GyYMLwWDdFEuaHkKhmsSzZX".contains(letter) => {
            let message = format!("`{letter}` in the pattern '{text}' is not a letter of Java's");
            Err(Problem::Invalid(message))
        }
        Token::Letters('X', 4..) => Err(too_many('X', text)),
        Token::Letters(letter, count) => Ok(Piece::Field(letter, count)),
        Token::Quoted(quoted) => Ok(Piece::Text(quoted)),
        Token::Other(other) => Ok(Piece::Text(other.to_string())),
    };
    tokens(text)?.into_iter().map(piece).collect()
}

impl SimpleFormat {
    /// Compiles a pattern.
    pub(in crate::sql::functions) fn compile(text: &str) -> Result<SimpleFormat, Problem> {
        let pieces = pieces(text)?;
        // Names of zones are thousands, in every version of Java other ones.
        match pieces.iter().any(|piece| matches!(piece, Piece::Field('z', _))) {
            true => Err(not_supported('z', text)),
            false => Ok(SimpleFormat { pieces }),
        }
    }

    /// Appends the instant `millis` for a wall clock that is `offset` milliseconds ahead.
    pub(in crate::sql::functions) fn write(&self, millis: i64, offset: i64, out: &mut String) {
        let clock = Clock::of(millis, offset);
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Field(letter, count) => clock.write(*letter, *count, out),
            }
        }
    }
}

/// A reading of the wall clock.
struct Clock {
    days: i64,
    date: Ymd,
    /// Milliseconds of the day.
    millis: i64,
    offset: i64,
}

fn date_of(days: i64) -> Ymd {
    match days >= GREGORIAN_CUTOVER {
        true => Ymd::of_days(days),
        false => Ymd::of_julian_days(days),
    }
}

/// Day number of a date, whose month and day may be out of their ranges.
fn days_of(date: Ymd) -> i64 {
    let gregorian = date.to_days();
    match date.year > 1582 || (date.year == 1582 && gregorian >= GREGORIAN_CUTOVER) {
        true => gregorian,
        false => date.to_julian_days(),
    }
}

impl Clock {
    fn of(millis: i64, offset: i64) -> Clock {
        let local = millis.saturating_add(offset);
        let days = local.div_euclid(MILLIS_PER_DAY);
        Clock { days, date: date_of(days), millis: local.rem_euclid(MILLIS_PER_DAY), offset }
    }

    /// From Sunday, 0.
    fn sunday_based(&self) -> i64 {
        (weekday(self.days) + 1) % 7
    }

    /// From 0.
    fn day_of_year(&self) -> i64 {
        self.days - days_of(Ymd { month: 1, day: 1, ..self.date })
    }

    fn week_of_year(&self) -> (i64, i64) {
        let next = days_of(Ymd { year: self.date.year + 1, month: 1, day: 1 });
        if self.days + 6 - self.sunday_based() >= next {
            return (self.date.year + 1, 1);
        }
        (self.date.year, sunday_week(self.day_of_year(), self.sunday_based()))
    }

    fn write(&self, letter: char, count: usize, out: &mut String) {
        let hour = self.millis / 3_600_000;
        let of_era = |year: i64| if year > 0 { year } else { 1 - year };
        let number = match letter {
            'G' => return out.push_str(if self.date.year > 0 { "AD" } else { "BC" }),
            'y' if count == 2 => of_era(self.date.year) % 100,
            'y' => of_era(self.date.year),
            'Y' if count == 2 => of_era(self.week_of_year().0) % 100,
            'Y' => of_era(self.week_of_year().0),
            'M' | 'L' if count >= 3 => {
                let style = if count == 3 { Style::Short } else { Style::Full };
                let index = usize::try_from(self.date.month - 1).expect("a month of the year");
                return out.push_str(style.name(MONTHS[index]));
            }
            'E' => {
                let style = if count < 4 { Style::Short } else { Style::Full };
                let index = usize::try_from(weekday(self.days)).expect("a day of the week");
                return out.push_str(style.name(DAYS[index]));
            }
            'a' => return out.push_str(if hour < 12 { "AM" } else { "PM" }),
            'Z' => return push_offset(self.offset, 2, out),
            'X' if self.offset == 0 => return out.push('Z'),
            'X' => return push_offset(self.offset, count, out),
            'M' | 'L' => self.date.month,
            'w' => self.week_of_year().1,
            'W' => sunday_week(self.date.day - 1, self.sunday_based()),
            'D' => self.day_of_year() + 1,
            'd' => self.date.day,
            'F' => (self.date.day - 1) / 7 + 1,
            'u' => weekday(self.days) + 1,
            'H' => hour,
            'k' => {
                if hour == 0 {
                    24
                } else {
                    hour
                }
            }
            'K' => hour % 12,
            'h' => {
                if hour % 12 == 0 {
                    12
                } else {
                    hour % 12
                }
            }
            'm' => self.millis / 60_000 % 60,
            's' => self.millis / 1_000 % 60,
            'S' => self.millis % 1_000,
            other => unreachable!("`{other}` is refused when the pattern is compiled"),
        };
        push_number(number, count, out);
    }
}

/// `+hh`, `+hhmm` or `+hh:mm`, by the number of letters.
fn push_offset(millis: i64, count: usize, out: &mut String) {
    let minutes = millis.abs() / 60_000;
    out.push(if millis < 0 { '-' } else { '+' });
    push_number(minutes / 60, 2, out);
    if count >= 3 {
        out.push(':');
    }
    if count >= 2 {
        push_number(minutes % 60, 2, out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(millis: i64, offset: i64, pattern: &str, expected: &str) {
        let mut out = String::new();
        SimpleFormat::compile(pattern).unwrap().write(millis, offset, &mut out);
        assert_eq!(out, expected, "{millis} {pattern}");
    }

    #[test]
    fn instants_are_written_as_java_writes_them() {
        let millis = 1_585_445_400_120;
        check(millis, 0, "yyyy-MM-dd HH:mm:ss.SSS", "2020-03-29 01:30:00.120");
        check(millis, 0, "yyyy E u G D F w W a k K h", "2020 Sun 7 AD 89 5 14 5 AM 1 1 1");
        check(
            millis,
            0,
            "Z X XX\u{58} S ddd yyyyy EEEE LLLL",
            "+0000 Z Z 120 029 02020 Sunday March",
        );
        check(millis, 7_200_000, "HH Z X XX XX\u{58}", "03 +0200 +02 +0200 +02:00");
        check(millis, -9_000_000, "HH XX\u{58}", "23 -02:30");
        check(-1, 0, "yyyy YYYY", "1969 1970");
        check(-62_135_596_800_000, 0, "yyyy-MM-dd", "0001-01-03");
        check(i64::MIN, 0, "yyyy G", "292269055 BC");
        check(i64::MAX, 3_600_000, "yyyy", "292278994");
        check(0, 0, "", "");
    }

    #[test]
    fn patterns_java_refuses_are_invalid() {
        for invalid in ["b", "'", "XX\u{58}X", "e", "n"] {
            assert!(matches!(SimpleFormat::compile(invalid), Err(Problem::Invalid(_))));
        }
        assert!(matches!(SimpleFormat::compile("z"), Err(Problem::Unsupported(_))));
    }
}
