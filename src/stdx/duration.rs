//! Durations as text: `100ms`, `50us`, `24h`. Words such as "always" or "off" are their user's.

use std::time::Duration;

use super::quantity::{self, QuantityError};

const UNITS: [(&str, u64); 9] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("m", 60 * 1_000_000_000),
    ("min", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
];

/// For printing: each unit once, largest last.
const UNITS_PRINTED: [(&str, u128); 7] = [
    ("ns", 1),
    ("us", 1_000),
    ("ms", 1_000_000),
    ("s", 1_000_000_000),
    ("min", 60 * 1_000_000_000),
    ("h", 3_600 * 1_000_000_000),
    ("d", 86_400 * 1_000_000_000),
];

/// The duration named by `text`.
///
/// # Errors
/// When it is no whole number with one of the units ns, us, ms, s, m, min, h, d.
pub fn parse_duration(text: &str) -> Result<Duration, QuantityError> {
    quantity::parse(text, &UNITS).map(Duration::from_nanos)
}

/// The shortest exact text; `parse_duration` reads it back.
pub fn format_duration(duration: Duration) -> String {
    let nanos = duration.as_nanos();
    let divides = |&&(_, factor): &&(&str, u128)| nanos >= factor && nanos.is_multiple_of(factor);
    let (unit, factor) = UNITS_PRINTED.iter().rev().find(divides).unwrap_or(&UNITS_PRINTED[0]);
    format!("{}{unit}", nanos / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<Duration, QuantityError>) {
        assert_eq!(parse_duration(text), expected, "{text}");
    }

    #[test]
    fn durations_are_numbers_with_a_unit() {
        check("100ms", Ok(Duration::from_millis(100)));
        check("50us", Ok(Duration::from_micros(50)));
        check("50µs", Ok(Duration::from_micros(50)));
        check("0ns", Ok(Duration::ZERO));
        check("24h", Ok(Duration::from_secs(24 * 3_600)));
        check("2 min", Ok(Duration::from_secs(120)));
        check("2m", Ok(Duration::from_secs(120)));
        check("7d", Ok(Duration::from_secs(7 * 86_400)));
        check("100", Err(QuantityError::NoUnit));
        check("always", Err(QuantityError::NoNumber));
        check("0.5s", Err(QuantityError::Fraction));
        check("5 seconds", Err(QuantityError::UnknownUnit));
        check("999999d", Err(QuantityError::TooLarge));
    }

    #[test]
    fn what_is_printed_can_be_read_back() {
        for nanos in [0, 1, 999, 50_000, 100_000_000, 90_000_000_000, 86_400_000_000_000] {
            let duration = Duration::from_nanos(nanos);
            assert_eq!(parse_duration(&format_duration(duration)), Ok(duration));
        }
        assert_eq!(format_duration(Duration::from_millis(1_500)), "1500ms");
        assert_eq!(format_duration(Duration::from_secs(86_400)), "1d");
    }
}
