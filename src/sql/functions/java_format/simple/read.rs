//! Reading: spaces before a field are skipped, numbers run over (month 13 is in the next year), what
//! is behind the pattern does not matter.

use super::super::super::calendar::{MILLIS_PER_DAY, Ymd};
use super::super::names::{DAYS, MONTHS, read_any_name};
use super::super::{Problem, not_supported};
use super::{Piece, days_of, pieces};

/// A compiled pattern for reading.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::sql::functions) struct SimpleReader {
    pieces: Vec<Piece>,
}

/// A year of two digits is from here on. Java's window follows the calendar; this one stands still.
const CENTURY_START: i64 = 1946;

/// What a text names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::sql::functions) enum Reading {
    /// A reading of a wall clock, in milliseconds.
    Local(i64),
    /// The text names its offset from UTC: an instant.
    Instant(i64),
}

impl SimpleReader {
    /// Compiles a pattern.
    pub(in crate::sql::functions) fn compile(text: &str) -> Result<SimpleReader, Problem> {
        let pieces = pieces(text)?;
        let mut names_day = false;
        let mut names_weekday = false;
        for piece in &pieces {
            match piece {
                Piece::Field(letter @ ('z' | 'Y' | 'w' | 'W' | 'F' | 'u'), _) => {
                    let message = format!("`{letter}` in the pattern '{text}' cannot be read");
                    return Err(Problem::Unsupported(message));
                }
                Piece::Field('d' | 'D', _) => names_day = true,
                Piece::Field('E', _) => names_weekday = true,
                _ => {}
            }
        }
        // Beside a day its name says nothing; without one it is a week that counts.
        match names_weekday && !names_day {
            true => Err(not_supported('E', text)),
            false => Ok(SimpleReader { pieces }),
        }
    }

    /// The time `text` begins with; what is missing is taken from 1970-01-01 00:00:00.
    pub(in crate::sql::functions) fn read(&self, text: &str) -> Option<Reading> {
        let mut fields = Fields::default();
        let mut rest = text;
        for (index, piece) in self.pieces.iter().enumerate() {
            match piece {
                Piece::Text(expected) => rest = rest.strip_prefix(expected.as_str())?,
                Piece::Field(letter, count) => {
                    let abutting = matches!(self.pieces.get(index + 1), Some(Piece::Field(..)));
                    let digits = abutting.then_some(*count);
                    rest = fields.read(*letter, *count, digits, rest)?;
                }
            }
        }
        fields.resolve()
    }
}

/// What has been read; numbers may be out of their ranges.
#[derive(Default)]
struct Fields {
    year: Option<i64>,
    before_christ: bool,
    month: Option<i64>,
    /// The last one of both counts.
    day: Option<Day>,
    hour: Option<i64>,
    hour_of_half: i64,
    afternoon: bool,
    minute: i64,
    second: i64,
    millis: i64,
    offset: Option<i64>,
}

#[derive(Clone, Copy)]
enum Day {
    OfMonth(i64),
    OfYear(i64),
}

impl Fields {
    /// Reads a field from the start of `text`, and gives what is behind it.
    fn read<'a>(
        &mut self,
        letter: char,
        count: usize,
        digits: Option<usize>,
        text: &'a str,
    ) -> Option<&'a str> {
        let text = text.trim_start_matches([' ', '\t']);
        match letter {
            'M' | 'L' if count >= 3 => {
                let (index, rest) = read_any_name(&MONTHS, text)?;
                self.month = i64::try_from(index + 1).ok();
                return Some(rest);
            }
            'E' => return read_any_name(&DAYS, text).map(|(_, rest)| rest),
            'a' | 'G' => {
                let (word, rest) = text.split_at_checked(2)?;
                let known = if letter == 'a' { ["AM", "PM"] } else { ["AD", "BC"] };
                let index = known.iter().position(|name| name.eq_ignore_ascii_case(word))?;
                let flag =
                    if letter == 'a' { &mut self.afternoon } else { &mut self.before_christ };
                *flag = index == 1;
                return Some(rest);
            }
            'Z' | 'X' => {
                let (offset, rest) = read_offset(letter, count, text)?;
                self.offset = Some(offset);
                return Some(rest);
            }
            _ => {}
        }
        let (number, length) = read_number(text, digits)?;
        let two_digits = length == 2 && number >= 0;
        match letter {
            'y' if count <= 2 && two_digits => {
                let century = CENTURY_START - CENTURY_START % 100;
                let earlier = number < CENTURY_START % 100;
                self.year = Some(century + number + if earlier { 100 } else { 0 });
            }
            'y' => self.year = Some(number),
            'M' | 'L' => self.month = Some(number),
            'd' => self.day = Some(Day::OfMonth(number)),
            'D' => self.day = Some(Day::OfYear(number)),
            'H' => self.hour = Some(number),
            'k' => self.hour = Some(if number == 24 { 0 } else { number }),
            'K' => self.hour_of_half = number,
            'h' => self.hour_of_half = if number == 12 { 0 } else { number },
            'm' => self.minute = number,
            's' => self.second = number,
            _ => self.millis = number,
        }
        Some(&text[length..])
    }

    fn resolve(self) -> Option<Reading> {
        let year = match self.year {
            None => 1970,
            Some(year) if self.before_christ => 1 - year,
            Some(year) => year,
        };
        let date = match self.day {
            Some(Day::OfYear(day)) => Ymd { year, month: 1, day },
            Some(Day::OfMonth(day)) => Ymd { year, month: self.month.unwrap_or(1), day },
            None => Ymd { year, month: self.month.unwrap_or(1), day: 1 },
        };
        // Months run over into years first, so that the calendar is that of the resulting year.
        let months = date.month - 1;
        let normal = Ymd {
            year: date.year + months.div_euclid(12),
            month: months.rem_euclid(12) + 1,
            day: date.day,
        };
        let hour = self.hour.unwrap_or(self.hour_of_half + if self.afternoon { 12 } else { 0 });
        let seconds = (hour * 60 + self.minute) * 60 + self.second;
        let local = days_of(normal)
            .checked_mul(MILLIS_PER_DAY)?
            .checked_add(seconds.checked_mul(1_000)?)?
            .checked_add(self.millis)?;
        Some(match self.offset {
            None => Reading::Local(local),
            Some(offset) => Reading::Instant(local.checked_sub(offset)?),
        })
    }
}

/// Digits with an optional sign, and the bytes they take; at most `digits` bytes when another field
/// follows at once. Java keeps 32 bits of the number.
fn read_number(text: &str, digits: Option<usize>) -> Option<(i64, usize)> {
    let text = match digits {
        Some(count) => text.get(..count)?,
        None => text,
    };
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let count = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let sign = text.len() - unsigned.len();
    // More digits than an INT has are no time anybody means.
    if count == 0 || count > 9 {
        return None;
    }
    let number: i64 = unsigned[..count].parse().ok()?;
    Some((if sign == 1 { -number } else { number }, sign + count))
}

/// `+hhmm` for Z, `+hh`, `+hhmm` or `+hh:mm` for X; `GMT` and `Z` are 0.
fn read_offset(letter: char, count: usize, text: &str) -> Option<(i64, &str)> {
    if letter == 'X'
        && let Some(rest) = text.strip_prefix('Z')
    {
        return Some((0, rest));
    }
    let named = text.strip_prefix("GMT").filter(|_| letter == 'Z');
    if let Some(rest) = named
        && !rest.starts_with(['+', '-'])
    {
        return Some((0, rest));
    }
    let colon = (letter == 'X' && count == 3) || named.is_some();
    let text = named.unwrap_or(text);
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let two = |pair: &str, limit: i64| {
        let digits = pair.get(..2).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
        digits.parse::<i64>().ok().filter(|number| *number < limit)
    };
    let hours = two(&text[1..], 24)?;
    let rest = &text[3..];
    if letter == 'X' && count == 1 {
        return Some((sign * hours * 3_600_000, rest));
    }
    let rest = if colon { rest.strip_prefix(':')? } else { rest };
    let minutes = two(rest, 60)?;
    Some((sign * (hours * 60 + minutes) * 60_000, &rest[2..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: Option<i64>) {
        let seconds = |reading| match reading {
            Reading::Local(millis) | Reading::Instant(millis) => millis / 1_000,
        };
        let read = SimpleReader::compile(pattern).unwrap().read(text).map(seconds);
        assert_eq!(read, expected, "{pattern} {text}");
    }

    #[test]
    fn times_are_read_leniently() {
        let default = "yyyy-MM-dd HH:mm:ss";
        check(default, "2020-2-9 1:2:3", Some(1_581_210_123));
        check(default, "20-02-09 01:02:03", Some(-61_532_866_677));
        check(default, " 2020-02-09 01:02:03 tail", Some(1_581_210_123));
        check(default, "2020-13-45 25:61:61", Some(1_613_354_521));
        check(default, "2020-00-00 00:00:00", Some(1_575_072_000));
        check(default, "-2020-01-01 00:00:00", Some(-125_913_744_000));
        check(default, "2020--1-01 00:00:00", Some(1_572_566_400));
        check(default, "0001-01-01 00:00:00", Some(-62_135_769_600));
        check(default, "2020-02-09", None);
        check("yy-MM-dd", "99-01-01", Some(915_148_800));
        check("yy-MM-dd", "44-01-01", Some(2_335_219_200));
        check("yy-MM-dd", "46-01-01", Some(-757_382_400));
        check("yy-MM-dd", "1-01-01", Some(-62_135_769_600));
        check("d MMM yyyy", "1 february 2020", Some(1_580_515_200));
        check("d MMMM yyyy", "1 Feb 2020", Some(1_580_515_200));
        check("EEE d MMM yyyy", "Mon 1 Feb 2020", Some(1_580_515_200));
        check("yyyy D", "2020 60", Some(1_582_934_400));
        check("hh a", "12 PM", Some(43_200));
        check("hh a", "12 am", Some(0));
        check("kk", "24", Some(0));
        check("yyyyMMdd", "2020229", Some(1_633_737_600));
        check("yyyyMMdd", "20200229", Some(1_582_934_400));
        check("yyyy-MM-dd", "1582-10-10", Some(-12_218_860_800));
        check("yyyy-MM-dd", "1500-02-30", Some(-14_825_808_000));
        check("yyyy", "2020x", Some(1_577_836_800));
        check("yyyy", "x2020", None);
        check("yyyy", "99999999999", None);
    }

    #[test]
    fn offsets_make_instants() {
        let base = 1_582_979_696;
        check("yyyy-MM-dd HH:mm:ss Z", "2020-02-29 12:34:56 +0100", Some(base - 3_600));
        check("yyyy-MM-dd HH:mm:ss X", "2020-02-29 12:34:56 -01", Some(base + 3_600));
        check("yyyy-MM-dd HH:mm:ssXX\u{58}", "2020-02-29 12:34:56+01:30", Some(base - 5_400));
        check("yyyy-MM-dd HH:mm:ssX", "2020-02-29 12:34:56Z", Some(base));
        check("HHX", "12", None);
        check("HHX", "12+é", None);
    }

    #[test]
    fn weeks_are_not_read() {
        for pattern in ["YYYY", "w", "u", "z", "E yyyy"] {
            assert!(matches!(SimpleReader::compile(pattern), Err(Problem::Unsupported(_))));
        }
    }
}
