//! Values as they are typed: `50k`, `10s`, `1KiB`, `2,3`.

use std::time::Duration;

use crate::stdx::{parse_byte_size, parse_duration};

/// Longest run: a record's planned time stays far from the end of its range.
const DURATION_MAX: Duration = Duration::from_secs(7 * 86_400);

/// A whole number; k, M and G stand for thousands, millions and thousands of millions.
pub(super) fn count(text: &str) -> Result<u64, String> {
    let (digits, factor) = match text.strip_suffix(['k', 'M', 'G']) {
        Some(digits) if text.ends_with('k') => (digits, 1_000),
        Some(digits) if text.ends_with('M') => (digits, 1_000_000),
        Some(digits) => (digits, 1_000_000_000),
        None => (text, 1),
    };
    let number: Option<u64> = digits.parse().ok();
    let number = number.filter(|_| digits.bytes().all(|byte| byte.is_ascii_digit()));
    number
        .and_then(|number| number.checked_mul(factor))
        .ok_or_else(|| "is no whole number; write 50000, 50k or 2M".to_owned())
}

/// As [`count`], and not zero.
pub(super) fn positive_count(text: &str) -> Result<u64, String> {
    match count(text)? {
        0 => Err("must be positive".to_owned()),
        number => Ok(number),
    }
}

/// A duration of a week at most.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let time =
        parse_duration(text).map_err(|error| format!("{error}; write 500ms, 10s or 2min"))?;
    if time > DURATION_MAX {
        return Err("is longer than 7d".to_owned());
    }
    Ok(time)
}

/// As [`duration`], and not zero.
pub(super) fn positive_duration(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("must be positive".to_owned()),
        time => Ok(time),
    }
}

/// Bytes; a number alone counts them, too.
pub(super) fn bytes(text: &str) -> Result<usize, String> {
    let size = text.parse().or_else(|_| parse_byte_size(text));
    let size = size.map_err(|error| format!("{error}; write 128, 128B or 1KiB"))?;
    usize::try_from(size).map_err(|_| "is too large".to_owned())
}

/// The exponent of a Zipfian distribution.
pub(super) fn exponent(text: &str) -> Result<f64, String> {
    let exponent: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    if (0.01..=10.0).contains(&exponent) {
        return Ok(exponent);
    }
    Err("is out of range; write a number from 0.01 to 10".to_owned())
}

/// A part of something, in percent.
pub(super) fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| "is no number".to_owned())?;
    if (0.0..=1_000.0).contains(&percent) {
        return Ok(percent);
    }
    Err("is out of range; write a number from 0 to 1000".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_may_be_short() {
        let check = |text: &str, expected: Option<u64>| {
            assert_eq!(count(text).ok(), expected, "{text}");
        };
        check("50000", Some(50_000));
        check("50k", Some(50_000));
        check("2M", Some(2_000_000));
        check("1G", Some(1_000_000_000));
        check("0", Some(0));
        for wrong in ["", "k", "-1", "+1", "1.5k", "1K", "10 k", "99999999999G"] {
            check(wrong, None);
        }
        assert!(positive_count("0k").is_err());
    }

    #[test]
    fn times_sizes_and_exponents_have_bounds() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert!(duration("8d").is_err() && duration("10").is_err());
        assert!(positive_duration("0s").is_err());
        assert_eq!([bytes("128"), bytes("128B"), bytes("1KiB")], [Ok(128), Ok(128), Ok(1_024)]);
        assert!(bytes("x").is_err());
        assert_eq!(exponent("0.99"), Ok(0.99));
        assert!(["0", "11", "NaN", "x"].iter().all(|text| exponent(text).is_err()));
        assert_eq!([percent("0"), percent("2.5")], [Ok(0.0), Ok(2.5)]);
        assert!(["-1", "1001", "NaN", "x"].iter().all(|text| percent(text).is_err()));
    }
}
