//! Characters and numbers of JSON, as Java's Jackson writes them.

use std::borrow::Cow;
use std::cmp::Ordering;

use super::super::utf16;

/// Appends a string with its quotes; only what must be is escaped.
pub(super) fn push_quoted(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|character| character < ' ' || matches!(character, '"' | '\\')) {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            0x08 => out.push_str("\\b"),
            0x0c => out.push_str("\\f"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            control => out.push_str(&format!("\\u{control:04X}")),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// The same in ASCII, with `/` escaped. Of a character beyond U+FFFF Flink writes the code and the
/// second half of the pair.
pub(super) fn push_ascii_quoted(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '/' => out.push_str("\\/"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            ascii if ascii.is_ascii() => out.push(ascii),
            other => {
                out.push_str(&format!("\\u{:04x}", u32::from(other)));
                let mut units = [0; 2];
                if let [_, low] = other.encode_utf16(&mut units) {
                    out.push_str(&format!("\\u{low:04x}"));
                }
            }
        }
    }
    out.push('"');
}

/// Appends what a string of JSON means; `None` for an escape there is not.
pub(super) fn push_unescaped(written: &str, out: &mut String) -> Option<()> {
    if !written.contains('\\') {
        out.push_str(written);
        return Some(());
    }
    // Halves of pairs may come in two escapes.
    let mut units = Vec::with_capacity(written.len());
    let mut rest = written.chars();
    while let Some(character) = rest.next() {
        if character != '\\' {
            units.extend_from_slice(character.encode_utf16(&mut [0; 2]));
            continue;
        }
        units.push(match rest.next()? {
            '"' => u16::from(b'"'),
            '\\' => u16::from(b'\\'),
            '/' => u16::from(b'/'),
            'b' => 0x08,
            'f' => 0x0c,
            'n' => u16::from(b'\n'),
            'r' => u16::from(b'\r'),
            't' => u16::from(b'\t'),
            'u' => {
                let digits = rest.as_str().get(..4)?;
                rest = rest.as_str()[4..].chars();
                u16::from_str_radix(digits, 16).ok()?
            }
            _ => return None,
        });
    }
    utf16::push(units, out);
    Some(())
}

/// What a string of JSON that has been parsed means.
pub(super) fn unescaped(written: &str) -> Cow<'_, str> {
    if !written.contains('\\') {
        return Cow::Borrowed(written);
    }
    let mut text = String::new();
    push_unescaped(written, &mut text).expect("the escapes were parsed");
    Cow::Owned(text)
}

/// The order in which Java sorts strings.
pub(super) fn compare(left: &str, right: &str) -> Ordering {
    left.encode_utf16().cmp(right.encode_utf16())
}

/// Appends a decimal number as `BigDecimal.toString` does; `digits` has no sign.
pub(super) fn push_big_decimal(negative: bool, digits: &str, scale: i64, out: &mut String) {
    let digits = match digits.trim_start_matches('0') {
        "" => "0",
        trimmed => trimmed,
    };
    if negative && digits != "0" {
        out.push('-');
    }
    let behind = i64::try_from(digits.len()).unwrap_or(i64::MAX) - 1;
    let exponent = behind - scale;
    if scale == 0 {
        return out.push_str(digits);
    }
    if scale > 0 && exponent >= -6 {
        let scale = usize::try_from(scale).expect("it is positive");
        let zeros = (scale + 1).saturating_sub(digits.len());
        let padded = "0".repeat(zeros) + digits;
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        out.extend([whole, ".", fraction]);
        return;
    }
    out.push_str(&digits[..1]);
    if digits.len() > 1 {
        out.extend([".", &digits[1..]]);
    }
    if exponent != 0 {
        out.push_str(&format!("E{exponent:+}"));
    }
}

/// Appends a number of JSON in Java's form: `1e2` is `1E+2`, `-0` is `0`.
pub(super) fn push_number(written: &str, out: &mut String) {
    let (negative, unsigned) = match written.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, written),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent: i64 = exponent.parse().expect("the tape parsed the exponent");
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let scale = i64::try_from(fraction.len()).unwrap_or(i64::MAX) - exponent;
    match fraction.is_empty() {
        true => push_big_decimal(negative, whole, scale, out),
        false => push_big_decimal(negative, &[whole, fraction].concat(), scale, out),
    }
}

/// Appends a DOUBLE: the digits of its text in Java, as `BigDecimal` reads them. What is no number
/// is a string.
pub(super) fn push_double(value: f64, out: &mut String) {
    if value.is_nan() {
        return out.push_str("\"NaN\"");
    }
    if value.is_infinite() {
        return out.push_str(if value > 0.0 { "\"Infinity\"" } else { "\"-Infinity\"" });
    }
    let mut text = format!("{value:e}");
    if !text.contains('.') {
        // Where one digit would do Java takes the nearest number of two.
        let two = format!("{value:.1e}");
        text = if two.parse() == Ok(value) { two } else { text.replace('e', ".0e") };
    }
    let (mantissa, exponent) = text.split_once('e').expect("LowerExp writes an exponent");
    let exponent: i64 = exponent.parse().expect("LowerExp writes a number");
    let (negative, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, mantissa),
    };
    let digits = mantissa.replace('.', "");
    let behind = i64::try_from(digits.len()).unwrap_or(i64::MAX) - 1;
    if value == 0.0 || !(-3..7).contains(&exponent) {
        let exponent = if value == 0.0 { 0 } else { exponent };
        return push_big_decimal(negative, &digits, behind - exponent, out);
    }
    // Plain, with at least one digit behind the point.
    let significant = digits.trim_end_matches('0');
    let fraction = i64::try_from(significant.len()).unwrap_or(i64::MAX) - 1;
    let scale = (fraction - exponent).max(1);
    let zeros = usize::try_from(scale - (fraction - exponent)).unwrap_or(0);
    push_big_decimal(negative, &(significant.to_string() + &"0".repeat(zeros)), scale, out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_javas() {
        let check = |written: &str, expected: &str| {
            let mut out = String::new();
            push_number(written, &mut out);
            assert_eq!(out, expected, "{written}");
        };
        check("1e2", "1E+2");
        check("-0", "0");
        check("-0.0", "0.0");
        check("1E400", "1E+400");
        check("0.0000001", "1E-7");
        check("0.00001", "0.00001");
        check("1.0e-10", "1.0E-10");
        check("12345.6e2", "1.23456E+6");
        check("100e-2", "1.00");
        check("0e5", "0E+5");
        check("1.50", "1.50");
        check("12345678901234567890", "12345678901234567890");
    }

    #[test]
    fn doubles_are_written_with_javas_digits() {
        let check = |value: f64, expected: &str| {
            let mut out = String::new();
            push_double(value, &mut out);
            assert_eq!(out, expected, "{value}");
        };
        check(2.25, "2.25");
        check(0.0, "0.0");
        check(-0.0, "0.0");
        check(1e10, "1.0E+10");
        check(123_456_789.0, "123456789");
        check(1.5e7, "1.5E+7");
        check(1e-5, "0.000010");
        check(0.001, "0.001");
        check(1e22, "1.0E+22");
        check(100.0, "100.0");
        check(-2.0, "-2.0");
        check(1_234_567.0, "1234567.0");
        check(f64::from_bits(1), "4.9E-324");
        check(f64::MAX, "1.7976931348623157E+308");
        check(f64::NAN, "\"NaN\"");
    }

    #[test]
    fn strings_are_quoted_and_read() {
        let mut out = String::new();
        push_quoted("\u{1}\u{1f}\u{7f}/\"\\\u{8}\u{c}é\n", &mut out);
        assert_eq!(out, "\"\\u0001\\u001F\u{7f}/\\\"\\\\\\b\\fé\\n\"");
        let mut read = String::new();
        push_unescaped(&out[1..out.len() - 1], &mut read).unwrap();
        assert_eq!(read, "\u{1}\u{1f}\u{7f}/\"\\\u{8}\u{c}é\n");
        assert_eq!(unescaped("\\ud83d\\ude00\\ud83d"), "😀?");
        let mut ascii = String::new();
        push_ascii_quoted("é/😀", &mut ascii);
        assert_eq!(ascii, "\"\\u00e9\\/\\u1f600\\ude00\"");
    }
}
