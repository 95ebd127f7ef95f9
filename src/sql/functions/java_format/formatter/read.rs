//! Reading: strict about digits and case, smart about days a month does not have.

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime};

use super::super::names::{DAYS, MONTHS, QUARTERS, Style, read_name};
use super::{Formatter, Piece};

impl Formatter {
    /// The time `text` names; `None` when it is not of this pattern. What is missing is taken from
    /// 1970-01-01 00:00:00.
    pub(in crate::sql::functions) fn read(&self, text: &str) -> Option<NaiveDateTime> {
        let (parts, rest) = read_pieces(&self.pieces, Parts::default(), text)?;
        if rest.is_empty() { parts.resolve() } else { None }
    }
}

fn read_pieces<'a>(pieces: &[Piece], mut parts: Parts, text: &'a str) -> Option<(Parts, &'a str)> {
    let mut rest = text;
    let mut index = 0;
    // Digits that belong to the fields of fixed width behind a number.
    let mut fixed_by_neighbour = false;
    while let Some(piece) = pieces.get(index) {
        index += 1;
        match piece {
            Piece::Text(expected) => {
                fixed_by_neighbour = false;
                rest = rest.strip_prefix(expected.as_str())?;
            }
            Piece::Close => fixed_by_neighbour = false,
            Piece::Open => {
                fixed_by_neighbour = false;
                let end = closing(pieces, index);
                if let Some((read, behind)) = read_pieces(&pieces[index..end], parts.clone(), rest)
                {
                    (parts, rest) = (read, behind);
                }
                index = end;
            }
            Piece::Field(letter, count) => match width_of(*letter, *count) {
                None => {
                    fixed_by_neighbour = false;
                    rest = parts.read_word(*letter, *count, rest)?;
                }
                Some(width) => {
                    let settled = fixed_by_neighbour && width.least == width.most;
                    let reserved = if settled { 0 } else { reserved(&pieces[index..]) };
                    let (number, behind) = read_number(width, reserved, rest)?;
                    parts.set(*letter, *count, number)?;
                    rest = behind;
                    fixed_by_neighbour = true;
                }
            },
        }
    }
    Some((parts, rest))
}

/// Index of the `]` that closes the `[` before `from`.
fn closing(pieces: &[Piece], from: usize) -> usize {
    let mut open = 1;
    for (offset, piece) in pieces[from..].iter().enumerate() {
        match piece {
            Piece::Open => open += 1,
            Piece::Close => open -= 1,
            _ => {}
        }
        if open == 0 {
            return from + offset;
        }
    }
    pieces.len()
}

/// Fewest and most digits of a numeric field.
#[derive(Clone, Copy)]
struct Width {
    least: usize,
    most: usize,
    /// More than the fewest need a `+`.
    signed: bool,
}

/// The width of a field of digits; `None` for one of letters.
fn width_of(letter: char, count: usize) -> Option<Width> {
    let (least, most) = match letter {
        'M' | 'L' | 'Q' | 'q' if count >= 3 => return None,
        'E' | 'a' | 'G' | 'x' | 'X' | 'Z' => return None,
        'D' => (count, 3),
        _ if count == 2 => (2, 2),
        'S' => (count, count),
        _ => (count, 19),
    };
    let signed = matches!(letter, 'y' | 'u') && count >= 4;
    Some(Width { least, most, signed })
}

/// Digits of the fields of fixed width that follow at once.
fn reserved(pieces: &[Piece]) -> usize {
    let widths = pieces.iter().map_while(|piece| match piece {
        Piece::Field(letter, count) => {
            width_of(*letter, *count).filter(|width| width.least == width.most)
        }
        _ => None,
    });
    widths.map(|width| width.most).sum()
}

/// Digits as a number, with how many there are.
#[derive(Clone, Copy)]
struct Number<'a> {
    negative: bool,
    digits: &'a str,
}

impl Number<'_> {
    fn value(self) -> Option<i64> {
        let value: i64 = self.digits.parse().ok()?;
        Some(if self.negative { -value } else { value })
    }
}

fn read_number(width: Width, reserved: usize, text: &str) -> Option<(Number<'_>, &str)> {
    let plus = text.starts_with('+');
    let negative = text.starts_with('-') && width.least != width.most;
    if plus && !width.signed {
        return None;
    }
    let unsigned = if plus || negative { &text[1..] } else { text };
    let found = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let mut count = found.min(width.most + reserved);
    if reserved > 0 {
        count = count.saturating_sub(reserved).max(width.least);
    }
    if count < width.least || count > found || count > width.most {
        return None;
    }
    if width.signed && !negative && plus != (count > width.least) {
        return None;
    }
    let (digits, rest) = unsigned.split_at(count);
    Some((Number { negative, digits }, rest))
}

/// What has been read of a time.
#[derive(Clone, Default)]
struct Parts {
    year: Option<i64>,
    year_of_era: Option<i64>,
    before_christ: bool,
    month: Option<u32>,
    day: Option<u32>,
    day_of_year: Option<u32>,
    quarter: Option<u32>,
    /// From Monday, 0.
    weekday: Option<u32>,
    hour: Option<u32>,
    hour_of_half: Option<u32>,
    afternoon: Option<bool>,
    minute: u32,
    second: u32,
    nanos: u32,
    /// A time of the day as one number, in nanoseconds.
    nano_of_day: Option<i64>,
}

impl Parts {
    fn set(&mut self, letter: char, count: usize, number: Number<'_>) -> Option<()> {
        let value = number.value()?;
        let within = |first: i64, last: i64| {
            u32::try_from(value).ok().filter(|_| (first..=last).contains(&value))
        };
        match letter {
            'u' if count == 2 => self.year = Some(2000 + value),
            'u' => self.year = Some(value),
            'y' if count == 2 => self.year_of_era = Some(2000 + value),
            'y' => self.year_of_era = Some(value).filter(|year| *year >= 1).map(Some)?,
            'M' | 'L' => self.month = Some(within(1, 12)?),
            'Q' | 'q' => self.quarter = Some(within(1, 4)?),
            'd' => self.day = Some(within(1, 31)?),
            'D' => self.day_of_year = Some(within(1, 366)?),
            'H' => self.hour = Some(within(0, 24)?),
            'k' => self.hour = Some(within(1, 24)? % 24),
            'h' => self.hour_of_half = Some(within(1, 12)? % 12),
            'K' => self.hour_of_half = Some(within(0, 11)?),
            'm' => self.minute = within(0, 59)?,
            's' => self.second = within(0, 59)?,
            'S' => self.nanos = format!("{:0<9}", number.digits).parse().ok()?,
            'n' => self.nanos = within(0, 999_999_999)?,
            'N' => self.nano_of_day = Some(value),
            'A' => self.nano_of_day = Some(value.checked_mul(1_000_000)?),
            _ => return None,
        }
        Some(())
    }

    fn read_word<'a>(&mut self, letter: char, count: usize, text: &'a str) -> Option<&'a str> {
        let narrow = |index: usize| u32::try_from(index).ok();
        let style = Style::of(count);
        match letter {
            'M' | 'L' => {
                let (index, rest) = read_name(&MONTHS, style, text)?;
                self.month = narrow(index + 1);
                Some(rest)
            }
            'E' => {
                let (index, rest) = read_name(&DAYS, style, text)?;
                self.weekday = narrow(index);
                Some(rest)
            }
            'Q' | 'q' => {
                let names = ["Q1", "Q2", "Q3", "Q4"];
                let names = if style == Style::Full { QUARTERS } else { names };
                let (index, rest) = read_name(&names, Style::Full, text)?;
                self.quarter = narrow(index + 1);
                Some(rest)
            }
            'a' => {
                let (half, rest) = text.split_at_checked(2)?;
                self.afternoon = Some(match half {
                    "AM" => false,
                    "PM" => true,
                    _ => return None,
                });
                Some(rest)
            }
            'G' => {
                let names = match style {
                    Style::Full => ["Before Christ", "Anno Domini"],
                    _ => ["BC", "AD"],
                };
                let (index, rest) = read_name(&names, Style::Full, text)?;
                self.before_christ = index == 0;
                Some(rest)
            }
            _ => read_offset(letter, count, text),
        }
    }

    fn resolve(self) -> Option<NaiveDateTime> {
        let (hour, next_day) = self.resolve_hour()?;
        let date = self.resolve_date()?;
        let date = if next_day { date.checked_add_days(Days::new(1))? } else { date };
        match self.nano_of_day {
            None => date.and_hms_nano_opt(hour, self.minute, self.second, self.nanos),
            Some(nanos) => {
                let seconds = u32::try_from(nanos.div_euclid(1_000_000_000)).ok()?;
                let nanos = u32::try_from(nanos.rem_euclid(1_000_000_000)).ok()?;
                let time = NaiveTime::from_num_seconds_from_midnight_opt(seconds, nanos)?;
                Some(date.and_time(time))
            }
        }
    }

    /// The hour, and whether it is the one behind the day's last.
    fn resolve_hour(&self) -> Option<(u32, bool)> {
        let hour = match (self.hour, self.hour_of_half, self.afternoon) {
            (Some(24), ..) if self.minute == 0 && self.second == 0 && self.nanos == 0 => {
                return Some((0, true));
            }
            (Some(24), ..) => return None,
            (Some(hour), _, None) => hour,
            (Some(hour), _, Some(afternoon)) if afternoon == (hour >= 12) => hour,
            (Some(_), _, Some(_)) => return None,
            (None, Some(hour), Some(afternoon)) => hour + if afternoon { 12 } else { 0 },
            // Without its half a clock's hour says nothing.
            (None, ..) => 0,
        };
        Some((hour, false))
    }

    /// A day that the month does not have is its last.
    fn resolve_date(&self) -> Option<NaiveDate> {
        let of_era = |year: i64| if self.before_christ { 1 - year } else { year };
        let year = self.year.or(self.year_of_era.map(of_era));
        let number = i32::try_from(year.unwrap_or(1970)).ok()?;
        let date = match (year, self.month, self.day_of_year) {
            (Some(_), None, Some(day)) => NaiveDate::from_yo_opt(number, day)?,
            _ => {
                let first = NaiveDate::from_ymd_opt(number, self.month.unwrap_or(1), 1)?;
                let length = u32::from(first.num_days_in_month());
                first.with_day(self.day.unwrap_or(1).min(length))?
            }
        };
        // Only a whole date is compared with what else is known of it.
        let whole = year.is_some() && (self.day_of_year.is_some() || self.day.is_some());
        let agrees = self.weekday.is_none_or(|day| day == date.weekday().num_days_from_monday())
            && self.quarter.is_none_or(|quarter| quarter == date.month0() / 3 + 1)
            && self.day_of_year.is_none_or(|day| day == date.ordinal());
        (!whole || agrees).then_some(date)
    }
}

/// An offset from UTC, which is read and forgotten, as Flink does.
fn read_offset(letter: char, count: usize, text: &str) -> Option<&str> {
    if letter == 'X'
        && let Some(rest) = text.strip_prefix('Z')
    {
        return Some(rest);
    }
    let rest = text.strip_prefix(['+', '-'])?;
    let two = |pair: &str, most: &str| {
        let digits = pair.get(..2)?;
        let valid = digits.bytes().all(|byte| byte.is_ascii_digit()) && digits <= most;
        valid.then_some(2)
    };
    let rest = &rest[two(rest, "18")?..];
    match (letter, count) {
        ('Z', _) | (_, 2) => Some(&rest[two(rest, "59")?..]),
        (_, 1) => Some(&rest[two(rest, "59").unwrap_or(0)..]),
        _ => {
            let rest = rest.strip_prefix(':')?;
            Some(&rest[two(rest, "59")?..])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: Option<&str>) {
        let formatter = Formatter::for_reading(pattern).unwrap();
        let read = formatter.read(text).map(|time| time.to_string());
        assert_eq!(read.as_deref(), expected, "{pattern} {text}");
    }

    #[test]
    fn times_are_read_as_java_reads_them() {
        check("yyyyMMddHHmmssSSS", "20200229123456789", Some("2020-02-29 12:34:56.789"));
        check("dd.MM.yyyy HH:mm", "29.02.2020 12:34", Some("2020-02-29 12:34:00"));
        check("MMM d, yyyy h:mm a", "Feb 29, 2020 1:02 PM", Some("2020-02-29 13:02:00"));
        check("MMM d yyyy", "feb 29 2020", None);
        check("MMM d yyyy EEE", "Feb 29 2020 Sat", Some("2020-02-29 00:00:00"));
        check("MMM d yyyy EEE", "Feb 29 2020 Mon", None);
        check("yyyy-MM-dd", "2020-02-31", Some("2020-02-29 00:00:00"));
        check("yyyy-MM-dd", "2020-2-9", None);
        check("yyyy-M-d", "2020-2-9", Some("2020-02-09 00:00:00"));
        check("yyyy-DDD", "2020-060", Some("2020-02-29 00:00:00"));
        check("dd/MM/yy", "29/02/99", Some("2099-02-28 00:00:00"));
        check("yyyy-MM-dd HH:mm:ss", "2020-02-29 24:00:00", Some("2020-03-01 00:00:00"));
        check("yyyy-MM-dd HH:mm:ss", "2020-02-29 24:00:01", None);
        check("yyyy-MM-dd hh", "2020-02-29 11", Some("2020-02-29 00:00:00"));
        check("yyyy-MM-dd kk", "2020-02-29 24", Some("2020-02-29 00:00:00"));
        check("HH:mm:ss[.SSS]", "12:34:56", Some("1970-01-01 12:34:56"));
        check("HH:mm:ss[.SSS]", "12:34:56.5", None);
        check("HH:mmXX\u{58}", "12:34+01:00", Some("1970-01-01 12:34:00"));
        check("HH:mmX", "12:34Z", Some("1970-01-01 12:34:00"));
        check("uuuu-MM QQQ", "2020-02 Q1", Some("2020-02-01 00:00:00"));
        check("yyyy-MM-dd", "0000-01-01", None);
        check("yyyy", "+12020", Some("+12020-01-01 00:00:00"));
        check("yyyy", "12020", None);
        check("yyyy", "2020x", None);
        check("yyyy G", "0001 BC", Some("0000-01-01 00:00:00"));
        check("", "", Some("1970-01-01 00:00:00"));
        check("HH", "99999999999999999999", None);
        check("S", "é", None);
    }
}
