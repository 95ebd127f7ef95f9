//! Numbers: integers and decimals digit by digit and exactly, floats as the standard library rounds.

use super::Fault;

/// A decimal number taken apart: `digits` with the point removed, and where the point was.
struct Parts<'a> {
    negative: bool,
    before_point: &'a [u8],
    behind_point: &'a [u8],
    /// From `e…`; cut to a range in which all arithmetic is safe and every result the same.
    exponent: i64,
}

/// An integer of at most 64 bits. `1.0` and `1e3` are integers; `1.5` is not.
pub(in crate::format) fn integer(text: &[u8]) -> Result<i64, Fault> {
    let text = text.trim_ascii();
    let (negative, unsigned) = sign(text);
    if unsigned.len() <= 18 && !unsigned.is_empty() && unsigned.iter().all(u8::is_ascii_digit) {
        let value =
            unsigned.iter().fold(0_i64, |value, digit| value * 10 + i64::from(digit - b'0'));
        return Ok(if negative { -value } else { value });
    }
    let parts = take_apart(text)?;
    let (value, exact) = scaled(&parts, 0)?;
    if !exact {
        return Err(Fault::Because("has a fraction"));
    }
    i64::try_from(value).map_err(|_| Fault::Range)
}

/// A decimal number times 10^`scale`, rounded half up, of at most `precision` digits.
pub(in crate::format) fn decimal(text: &[u8], precision: u8, scale: i8) -> Result<i128, Fault> {
    let parts = take_apart(text.trim_ascii())?;
    let (value, _) = scaled(&parts, i64::from(scale))?;
    if value.unsigned_abs() < 10_u128.pow(u32::from(precision)) {
        Ok(value)
    } else {
        Err(Fault::Range)
    }
}

/// The nearest double. `NaN` and `Infinity` are read as Java writes them; a number too large for
/// the type is out of range, not infinite.
pub(in crate::format) fn double(text: &[u8]) -> Result<f64, Fault> {
    let text = text.trim_ascii();
    if let Some(special) = special_float(text) {
        return Ok(special);
    }
    let value: f64 = float_text(text)?.parse().map_err(|_| Fault::Form)?;
    if value.is_finite() { Ok(value) } else { Err(Fault::Range) }
}

/// The nearest float, rounded once.
pub(in crate::format) fn float(text: &[u8]) -> Result<f32, Fault> {
    let text = text.trim_ascii();
    if let Some(special) = special_float(text) {
        #[expect(clippy::cast_possible_truncation, reason = "NaN and infinity exist in both")]
        return Ok(special as f32);
    }
    let value: f32 = float_text(text)?.parse().map_err(|_| Fault::Form)?;
    if value.is_finite() { Ok(value) } else { Err(Fault::Range) }
}

fn special_float(text: &[u8]) -> Option<f64> {
    match text {
        b"NaN" => Some(f64::NAN),
        b"Infinity" | b"+Infinity" => Some(f64::INFINITY),
        b"-Infinity" => Some(f64::NEG_INFINITY),
        _ => None,
    }
}

/// Only what looks like a number: the standard library also reads `inf` and `nan`.
fn float_text(text: &[u8]) -> Result<&str, Fault> {
    let numeric = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    if !text.iter().all(numeric) {
        return Err(Fault::Form);
    }
    std::str::from_utf8(text).map_err(|_| Fault::Form)
}

fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

/// Any exponent beyond this is beyond every type, whatever the digits (a line has fewer).
const EXPONENT_MAX: i64 = 1 << 40;

fn take_apart(text: &[u8]) -> Result<Parts<'_>, Fault> {
    let (negative, unsigned) = sign(text);
    let (mantissa, exponent) = match memchr::memchr2(b'e', b'E', unsigned) {
        Some(at) => (&unsigned[..at], exponent(&unsigned[at + 1..])?),
        None => (unsigned, 0),
    };
    let (before_point, behind_point) = match memchr::memchr(b'.', mantissa) {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &mantissa[..0]),
    };
    let mut digits = before_point.iter().chain(behind_point);
    if before_point.len() + behind_point.len() == 0 || !digits.all(u8::is_ascii_digit) {
        return Err(Fault::Form);
    }
    Ok(Parts { negative, before_point, behind_point, exponent })
}

fn exponent(text: &[u8]) -> Result<i64, Fault> {
    let (negative, digits) = sign(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Fault::Form);
    }
    let value = digits
        .iter()
        .fold(0_i64, |value, digit| (value * 10 + i64::from(digit - b'0')).min(EXPONENT_MAX));
    Ok(if negative { -value } else { value })
}

/// The number times 10^`scale`, rounded half up (away from zero), and whether that is exact.
fn scaled(parts: &Parts<'_>, scale: i64) -> Result<(i128, bool), Fault> {
    let count = |digits: &[u8]| i64::try_from(digits.len()).expect("a line is below 2^63 bytes");
    // Digits that stay in front of the point once it has moved.
    let kept = count(parts.before_point) + parts.exponent + scale;
    let (mut value, mut exact, mut round_up) = (0_i128, true, false);
    let mut index = 0_i64;
    for digit in parts.before_point.iter().chain(parts.behind_point) {
        let digit = i128::from(digit - b'0');
        if index < kept {
            value = push_digit(value, digit)?;
        } else {
            exact &= digit == 0;
            round_up |= index == kept && digit >= 5;
        }
        index += 1;
    }
    // Zeros the text left out; of 0 there may be any number.
    while index < kept && value != 0 {
        value = push_digit(value, 0)?;
        index += 1;
    }
    if round_up {
        value += 1;
    }
    Ok((if parts.negative { -value } else { value }, exact))
}

/// No type has more digits than this.
const VALUE_MAX: i128 = 10_i128.pow(38);

fn push_digit(value: i128, digit: i128) -> Result<i128, Fault> {
    if value >= VALUE_MAX / 10 { Err(Fault::Range) } else { Ok(value * 10 + digit) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers() {
        let cases: &[(&str, Result<i64, Fault>)] = &[
            ("0", Ok(0)),
            ("-0", Ok(0)),
            (" +42 ", Ok(42)),
            ("9223372036854775807", Ok(i64::MAX)),
            ("-9223372036854775808", Ok(i64::MIN)),
            ("9223372036854775808", Err(Fault::Range)),
            ("-9223372036854775809", Err(Fault::Range)),
            ("00000000000000000000000000000000000000000000000001", Ok(1)),
            ("1.0", Ok(1)),
            ("1.50e1", Ok(15)),
            ("1.5", Err(Fault::Because("has a fraction"))),
            ("1e18", Ok(1_000_000_000_000_000_000)),
            ("1e19", Err(Fault::Range)),
            ("1e99999999999999999999", Err(Fault::Range)),
            ("0e99999999999999999999", Ok(0)),
            ("1e-99999999999999999999", Err(Fault::Because("has a fraction"))),
            ("", Err(Fault::Form)),
            ("-", Err(Fault::Form)),
            ("+-1", Err(Fault::Form)),
            (".", Err(Fault::Form)),
            ("1.2.3", Err(Fault::Form)),
            ("1e", Err(Fault::Form)),
            ("0x10", Err(Fault::Form)),
            ("1_000", Err(Fault::Form)),
        ];
        for (text, expected) in cases {
            assert_eq!(integer(text.as_bytes()), *expected, "{text}");
        }
    }

    #[test]
    fn decimals() {
        let cases: &[(&str, u8, i8, Result<i128, Fault>)] = &[
            ("1.23", 10, 2, Ok(123)),
            ("1.235", 10, 2, Ok(124)),
            ("-1.235", 10, 2, Ok(-124)),
            ("1.2349999", 10, 2, Ok(123)),
            ("0.005", 10, 2, Ok(1)),
            ("0.0049", 10, 2, Ok(0)),
            ("5e-3", 10, 2, Ok(1)),
            ("12345678.99", 10, 2, Ok(1_234_567_899)),
            ("123456789", 10, 2, Err(Fault::Range)),
            ("99999999.995", 10, 2, Err(Fault::Range)),
            ("1.5e3", 10, 2, Ok(150_000)),
            ("99999999999999999999999999999999999999", 38, 0, Ok(10_i128.pow(38) - 1)),
            ("100000000000000000000000000000000000000", 38, 0, Err(Fault::Range)),
            ("abc", 10, 2, Err(Fault::Form)),
        ];
        for (text, precision, scale, expected) in cases {
            assert_eq!(decimal(text.as_bytes(), *precision, *scale), *expected, "{text}");
        }
    }

    #[test]
    fn floats() {
        let cases: &[(&str, Result<f64, Fault>)] = &[
            ("1.5", Ok(1.5)),
            (" 1e10 ", Ok(1e10)),
            ("-0", Ok(-0.0)),
            ("Infinity", Ok(f64::INFINITY)),
            ("1e999", Err(Fault::Range)),
            ("inf", Err(Fault::Form)),
            ("nan", Err(Fault::Form)),
            ("", Err(Fault::Form)),
            ("1..2", Err(Fault::Form)),
        ];
        for (text, expected) in cases {
            assert_eq!(double(text.as_bytes()), *expected, "{text}");
        }
        assert_eq!(float(b"16777217.0000001"), Ok(16_777_218.0));
        assert_eq!(float(b"1e39"), Err(Fault::Range));
        assert!(double(b"NaN").unwrap().is_nan());
    }
}
