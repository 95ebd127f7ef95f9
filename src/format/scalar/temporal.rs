//! Dates and times: SQL and ISO-8601 forms, by position, without a calendar library.

use arrow::datatypes::TimeUnit;

use super::Fault;

const DAY_SECONDS: i64 = 86_400;

/// `2020-01-31` as days since 1970-01-01.
pub(in crate::format) fn date(text: &[u8]) -> Result<i32, Fault> {
    let Some((head, [])) = text.trim_ascii().split_first_chunk::<10>() else {
        return Err(Fault::Form);
    };
    let days = days_of(head).ok_or(Fault::Form)?;
    Ok(i32::try_from(days).expect("years of four digits are few days"))
}

/// `12:34:56`, with up to nine digits of fraction, in `unit`s since midnight.
pub(in crate::format) fn time_of_day(text: &[u8], unit: TimeUnit) -> Result<i64, Fault> {
    let (seconds, fraction, rest) = clock(text.trim_ascii(), Seconds::Required)?;
    if !rest.is_empty() {
        return Err(Fault::Form);
    }
    in_units(seconds, fraction, unit)
}

/// `2020-01-31 12:34:56.7` or with `T`, in `unit`s since 1970. `zoned` texts must end in `Z` or an
/// offset such as `+02:00`; the others must not.
#[inline]
pub(in crate::format) fn timestamp(text: &[u8], unit: TimeUnit, zoned: bool) -> Result<i64, Fault> {
    let text = text.trim_ascii();
    let (date_text, rest) = text.split_first_chunk::<10>().ok_or(Fault::Form)?;
    let days = days_of(date_text).ok_or(Fault::Form)?;
    let (seconds, fraction, zone) = match rest {
        [b' ', time @ ..] => clock(time, Seconds::Required)?,
        [b'T', time @ ..] => clock(time, Seconds::Optional)?,
        _ => return Err(Fault::Form),
    };
    let offset = match (zoned, zone) {
        (false, []) | (true, b"Z") => 0,
        (true, []) => return Err(Fault::Because("has no time zone (end it with Z)")),
        (true, _) => zone_offset(zone).ok_or(Fault::Form)?,
        (false, b"Z") => {
            return Err(Fault::Because("has a time zone, which TIMESTAMP_LTZ can have only"));
        }
        (false, _) => return Err(Fault::Form),
    };
    in_units(days * DAY_SECONDS + seconds - offset, fraction, unit)
}

/// Seconds and nanoseconds in `unit`s; digits beyond the unit are cut.
#[inline]
fn in_units(seconds: i64, nanos: i64, unit: TimeUnit) -> Result<i64, Fault> {
    let (per_second, nanos_each) = match unit {
        TimeUnit::Second => (1, 1_000_000_000),
        TimeUnit::Millisecond => (1_000, 1_000_000),
        TimeUnit::Microsecond => (1_000_000, 1_000),
        TimeUnit::Nanosecond => (1_000_000_000, 1),
    };
    let rest = nanos / nanos_each;
    let exact = seconds.checked_mul(per_second).and_then(|whole| whole.checked_add(rest));
    exact.or_else(|| from_above(seconds, rest, per_second)).ok_or(Fault::Range)
}

/// The same, from the next second downwards: the first second that an i64 of nanoseconds can hold
/// begins before it.
#[cold]
fn from_above(seconds: i64, rest: i64, per_second: i64) -> Option<i64> {
    seconds.checked_add(1)?.checked_mul(per_second)?.checked_add(rest - per_second)
}

/// Days since 1970-01-01 of `YYYY-MM-DD`, if there is such a day.
#[inline(always)]
fn days_of(text: &[u8; 10]) -> Option<i64> {
    let [y1, y2, y3, y4, dash1, m1, m2, dash2, d1, d2] = *text;
    let year = i64::from(two_digits(y1, y2)?) * 100 + i64::from(two_digits(y3, y4)?);
    let (month, day) = (i64::from(two_digits(m1, m2)?), i64::from(two_digits(d1, d2)?));
    let in_calendar = dash1 == b'-'
        && dash2 == b'-'
        && (1..=12).contains(&month)
        && 1 <= day
        && day <= days_in_month(year, month);
    in_calendar.then(|| days_since_epoch(year, month, day))
}

#[inline]
fn two_digits(tens: u8, ones: u8) -> Option<u8> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| tens * 10 + ones)
}

#[inline]
fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Proleptic Gregorian calendar. Counts years from March, so that the leap day comes last.
#[inline]
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days_before_month = (153 * month + 2) / 5;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    365 * year + leap_days + days_before_month + day - 1 - 719_468
}

/// Whether `12:34` is a time.
enum Seconds {
    Required,
    Optional,
}

/// Seconds and nanoseconds since midnight, and what follows.
#[inline]
fn clock(text: &[u8], seconds: Seconds) -> Result<(i64, i64, &[u8]), Fault> {
    let (&[h1, h2, colon, m1, m2], rest) = text.split_first_chunk().ok_or(Fault::Form)?;
    let hour = two_digits(h1, h2).filter(|&hour| hour < 24).ok_or(Fault::Form)?;
    let minute = two_digits(m1, m2).filter(|&minute| minute < 60).ok_or(Fault::Form)?;
    if colon != b':' {
        return Err(Fault::Form);
    }
    let at_minute = i64::from(hour) * 3600 + i64::from(minute) * 60;
    let Some((&[b':', s1, s2], rest)) = rest.split_first_chunk() else {
        return match seconds {
            Seconds::Optional => Ok((at_minute, 0, rest)),
            Seconds::Required => Err(Fault::Form),
        };
    };
    let second = two_digits(s1, s2).filter(|&second| second < 60).ok_or(Fault::Form)?;
    let (nanos, rest) = match rest {
        [b'.', digits @ ..] => fraction(digits)?,
        _ => (0, rest),
    };
    Ok((at_minute + i64::from(second), nanos, rest))
}

/// One to nine digits behind a point, in nanoseconds, and what follows.
#[inline]
fn fraction(text: &[u8]) -> Result<(i64, &[u8]), Fault> {
    let count = text.iter().take(10).take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=9).contains(&count) {
        return Err(Fault::Form);
    }
    let (digits, rest) = text.split_at(count);
    let value = digits.iter().fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'));
    const NANOS_PER_UNIT: [i64; 10] =
        [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1_000, 100, 10, 1];
    Ok((value * NANOS_PER_UNIT[count], rest))
}

/// Seconds east of UTC of `+02:00`.
fn zone_offset(text: &[u8]) -> Option<i64> {
    let [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] = *text else { return None };
    let hours = two_digits(h1, h2).filter(|&hours| hours <= 18)?;
    let minutes = two_digits(m1, m2).filter(|&minutes| minutes < 60)?;
    let seconds = i64::from(hours) * 3600 + i64::from(minutes) * 60;
    Some(if sign == b'-' { -seconds } else { seconds })
}

#[cfg(test)]
mod tests {
    use super::*;
    use TimeUnit::{Microsecond, Millisecond, Nanosecond};

    #[test]
    fn every_day_of_four_digit_years_agrees_with_chrono() {
        let mut day = chrono::NaiveDate::from_ymd_opt(0, 1, 1).unwrap();
        let epoch = chrono::NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        while day < chrono::NaiveDate::from_ymd_opt(9999, 12, 31).unwrap() {
            let days = i32::try_from((day - epoch).num_days()).unwrap();
            assert_eq!(date(day.format("%Y-%m-%d").to_string().as_bytes()), Ok(days));
            day = day.succ_opt().unwrap();
        }
    }

    #[test]
    fn dates_that_are_none() {
        for text in
            ["2021-02-29", "1900-02-29", "2020-13-01", "2020-00-01", "2020-01-00", "2020-04-31"]
        {
            assert_eq!(date(text.as_bytes()), Err(Fault::Form), "{text}");
        }
        for text in ["", "2020-1-1", "2020/01/01", "2020-01-011", "20200101", "-020-01-01"] {
            assert_eq!(date(text.as_bytes()), Err(Fault::Form), "{text}");
        }
    }

    #[test]
    fn timestamps() {
        let zone = Fault::Because("has a time zone, which TIMESTAMP_LTZ can have only");
        let no_zone = Fault::Because("has no time zone (end it with Z)");
        let cases: &[(&str, TimeUnit, bool, Result<i64, Fault>)] = &[
            ("1970-01-01 00:00:00", Millisecond, false, Ok(0)),
            ("1970-01-01T00:00", Millisecond, false, Ok(0)),
            ("1970-01-01 00:00", Millisecond, false, Err(Fault::Form)),
            ("1970-01-02 03:04:05.678", Millisecond, false, Ok(97_445_678)),
            ("1970-01-01 00:00:00.1", Microsecond, false, Ok(100_000)),
            ("1970-01-01 00:00:00.123456789", Nanosecond, false, Ok(123_456_789)),
            ("1970-01-01 00:00:00.123999999", Millisecond, false, Ok(123)),
            ("1969-12-31 23:59:59.999", Millisecond, false, Ok(-1)),
            ("1970-01-01 00:00:00.1234567891", Nanosecond, false, Err(Fault::Form)),
            ("1970-01-01 00:00:00.", Millisecond, false, Err(Fault::Form)),
            ("1970-01-01 24:00:00", Millisecond, false, Err(Fault::Form)),
            ("1970-01-01 00:60:00", Millisecond, false, Err(Fault::Form)),
            ("1970-01-01 00:00:60", Millisecond, false, Err(Fault::Form)),
            ("1970-01-01", Millisecond, false, Err(Fault::Form)),
            ("1970-01-01 00:00:00Z", Millisecond, false, Err(zone)),
            ("1970-01-01 00:00:00Z", Millisecond, true, Ok(0)),
            ("1970-01-01T02:00:00+02:00", Millisecond, true, Ok(0)),
            ("1969-12-31 19:30:00.5-04:30", Millisecond, true, Ok(500)),
            ("1970-01-01T00:00Z", Millisecond, true, Ok(0)),
            ("1970-01-01 00:00:00", Millisecond, true, Err(no_zone)),
            ("1970-01-01 00:00:00X", Millisecond, true, Err(Fault::Form)),
            ("9999-12-31 00:00:00", Nanosecond, false, Err(Fault::Range)),
            ("1677-09-21 00:12:43.145224192", Nanosecond, false, Ok(i64::MIN)),
            ("1677-09-21 00:12:43.145224191", Nanosecond, false, Err(Fault::Range)),
            ("2262-04-11 23:47:16.854775807", Nanosecond, false, Ok(i64::MAX)),
            ("2262-04-11 23:47:16.854775808", Nanosecond, false, Err(Fault::Range)),
            ("0000-01-01 00:00:00", Millisecond, false, Ok(-62_167_219_200_000)),
        ];
        for (text, unit, zoned, expected) in cases {
            assert_eq!(timestamp(text.as_bytes(), *unit, *zoned), *expected, "{text}");
        }
    }

    #[test]
    fn times_of_day() {
        assert_eq!(time_of_day(b"00:00:01.5", Millisecond), Ok(1500));
        assert_eq!(time_of_day(b"23:59:59", TimeUnit::Second), Ok(86_399));
        assert_eq!(time_of_day(b"23:59", Millisecond), Err(Fault::Form));
        assert_eq!(time_of_day(b"23:59:59Z", Millisecond), Err(Fault::Form));
    }
}
