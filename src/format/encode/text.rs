//! One value as text, appended to a buffer; the same in JSON and CSV.
//!
//! Numbers as Java writes them, timestamps as Flink does: fractions of a second without trailing
//! zeros, TIMESTAMP_LTZ with `Z`.

use arrow::datatypes::TimeUnit;

use super::view::{Values, View};

/// Between date and time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TimestampForm {
    /// `2020-01-01 00:00:00.1`
    Sql,
    /// `2020-01-01T00:00:00.1`
    Iso,
}

/// How a value is set off from what surrounds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// A number, true or false.
    Bare,
    /// Plain text that never contains what must be escaped.
    Quoted,
}

/// What a scalar that is not text is written as.
#[inline]
pub(super) fn shape(view: &View<'_>, row: usize) -> Shape {
    match &view.values {
        Values::F32(values) if !values[row].is_finite() => Shape::Quoted,
        Values::F64(values) if !values[row].is_finite() => Shape::Quoted,
        Values::Boolean(_)
        | Values::I8(_)
        | Values::I16(_)
        | Values::I32(_)
        | Values::I64(_)
        | Values::F32(_)
        | Values::F64(_)
        | Values::Decimal(..) => Shape::Bare,
        _ => Shape::Quoted,
    }
}

/// Appends a scalar that is not NULL and not text.
#[inline]
pub(super) fn scalar(view: &View<'_>, row: usize, form: TimestampForm, out: &mut Vec<u8>) {
    match &view.values {
        Values::I64(values) => integer(values[row], out),
        Values::Timestamp(values, unit, zoned) => {
            timestamp(values[row], *unit, form, out);
            if *zoned {
                out.push(b'Z');
            }
        }
        Values::Boolean(values) => {
            out.extend_from_slice(if values.value(row) { b"true" } else { b"false" });
        }
        Values::I8(values) => integer(values[row], out),
        Values::I16(values) => integer(values[row], out),
        Values::I32(values) => integer(values[row], out),
        Values::F32(values) => float(values[row], values[row].into(), out),
        Values::F64(values) => float(values[row], values[row], out),
        Values::Decimal(values, scale) => decimal(values[row], *scale, out),
        Values::Bytes(values) => base64(values.value(row), out),
        Values::Date(values) => date(i64::from(values[row]), out),
        Values::Time32(values, unit) => time_of_day(i64::from(values[row]), *unit, out),
        Values::Time64(values, unit) => time_of_day(values[row], *unit, out),
        Values::Text(values) => out.extend_from_slice(values.value(row).as_bytes()),
        Values::List(..) | Values::Map(..) | Values::Struct(..) => {
            unreachable!("values with parts are written by the JSON encoder")
        }
    }
}

#[inline]
fn integer(value: impl itoa::Integer, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// All digits of the scale, no exponent.
fn decimal(value: i128, scale: i8, out: &mut Vec<u8>) {
    if value < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let digits = buffer.format(value.unsigned_abs()).as_bytes();
    let scale = usize::try_from(scale).expect("negative scales were refused");
    if scale == 0 {
        return out.extend_from_slice(digits);
    }
    let whole = digits.len().saturating_sub(scale);
    out.extend_from_slice(if whole == 0 { b"0" } else { &digits[..whole] });
    out.push(b'.');
    out.resize(out.len() + scale.saturating_sub(digits.len()), b'0');
    out.extend_from_slice(&digits[whole..]);
}

/// Digits of a float, decimal point removed: the value is 0.`digits` × 10^`exponent`.
struct FloatDigits {
    digits: [u8; 32],
    count: usize,
    exponent: i32,
}

/// As Java's `Double.toString`: plain from 10⁻³ to 10⁷, else with an exponent, always with a point.
fn float(value: impl zmij::Float, wide: f64, out: &mut Vec<u8>) {
    if wide.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if wide.is_sign_negative() {
        out.push(b'-');
    }
    if wide.is_infinite() {
        return out.extend_from_slice(b"Infinity");
    }
    if wide == 0.0 {
        return out.extend_from_slice(b"0.0");
    }
    let parts = float_digits(zmij::Buffer::new().format_finite(value));
    let digits = &parts.digits[..parts.count];
    match parts.exponent {
        -2..=0 => {
            out.extend_from_slice(b"0.");
            out.resize(out.len() + parts.exponent.unsigned_abs() as usize, b'0');
            out.extend_from_slice(digits);
        }
        1..=7 => with_point(digits, parts.exponent.unsigned_abs() as usize, out),
        exponent => {
            with_point(digits, 1, out);
            out.push(b'E');
            integer(exponent - 1, out);
        }
    }
}

/// `digits` with a point behind the first `whole` of them, zeros where there are none.
fn with_point(digits: &[u8], whole: usize, out: &mut Vec<u8>) {
    let (before, behind) = digits.split_at(whole.min(digits.len()));
    out.extend_from_slice(before);
    out.resize(out.len() + whole - before.len(), b'0');
    out.push(b'.');
    out.extend_from_slice(if behind.is_empty() { b"0" } else { behind });
}

/// Takes `-12.5e-7` apart.
fn float_digits(text: &str) -> FloatDigits {
    let (mantissa, power) = text.split_once('e').unwrap_or((text, "0"));
    let mut parts = FloatDigits { digits: [0; 32], count: 0, exponent: 0 };
    let mut behind_point = false;
    for byte in mantissa.bytes() {
        match byte {
            b'-' => {}
            b'.' => behind_point = true,
            b'0' if parts.count == 0 => parts.exponent -= i32::from(behind_point),
            digit => {
                parts.digits[parts.count] = digit;
                parts.count += 1;
                parts.exponent += i32::from(!behind_point);
            }
        }
    }
    while parts.count > 1 && parts.digits[parts.count - 1] == b'0' {
        parts.count -= 1;
    }
    parts.exponent += power.parse::<i32>().expect("an exponent is a small integer");
    parts
}

fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    use base64::Engine as _;
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    let written = base64::engine::general_purpose::STANDARD.encode_slice(bytes, &mut out[start..]);
    assert_eq!(written, Ok(out.len() - start));
}

/// Units per second, and nanoseconds per unit.
fn scale_of(unit: TimeUnit) -> (i64, u32) {
    match unit {
        TimeUnit::Second => (1, 1_000_000_000),
        TimeUnit::Millisecond => (1_000, 1_000_000),
        TimeUnit::Microsecond => (1_000_000, 1_000),
        TimeUnit::Nanosecond => (1_000_000_000, 1),
    }
}

#[inline]
fn timestamp(value: i64, unit: TimeUnit, form: TimestampForm, out: &mut Vec<u8>) {
    let (per_second, nanos_each) = scale_of(unit);
    let seconds = value.div_euclid(per_second);
    date(seconds.div_euclid(86_400), out);
    out.push(if form == TimestampForm::Iso { b'T' } else { b' ' });
    clock(seconds.rem_euclid(86_400), value.rem_euclid(per_second), nanos_each, out);
}

fn time_of_day(value: i64, unit: TimeUnit, out: &mut Vec<u8>) {
    let (per_second, nanos_each) = scale_of(unit);
    let seconds = value.div_euclid(per_second).rem_euclid(86_400);
    clock(seconds, value.rem_euclid(per_second), nanos_each, out);
}

/// `seconds` of a day, and a fraction in units of `nanos_each`.
#[inline]
fn clock(seconds: i64, fraction: i64, nanos_each: u32, out: &mut Vec<u8>) {
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let ([h1, h2], [m1, m2], [s1, s2]) = (two_digits(hour), two_digits(minute), two_digits(second));
    out.extend_from_slice(&[h1, h2, b':', m1, m2, b':', s1, s2]);
    if fraction != 0 {
        let mut digits = *b".000000000";
        let mut nanos = fraction * i64::from(nanos_each);
        for place in digits[1..].iter_mut().rev() {
            *place = digit(nanos % 10);
            nanos /= 10;
        }
        let end = digits.iter().rposition(|&byte| byte != b'0').expect("there is a point");
        out.extend_from_slice(&digits[..=end]);
    }
}

/// `days` since 1970-01-01 in the proleptic Gregorian calendar; years of other than four digits
/// with a sign, as Java does.
#[inline]
fn date(days: i64, out: &mut Vec<u8>) {
    // Eras of 400 years, counted from a 1 March, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    let ([m1, m2], [d1, d2]) = (two_digits(month), two_digits(day));
    if (0..=9999).contains(&year) {
        let ([y1, y2], [y3, y4]) = (two_digits(year / 100), two_digits(year % 100));
        out.extend_from_slice(&[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2]);
    } else {
        out.push(if year < 0 { b'-' } else { b'+' });
        let mut buffer = itoa::Buffer::new();
        let digits = buffer.format(year.unsigned_abs()).as_bytes();
        out.resize(out.len() + 4_usize.saturating_sub(digits.len()), b'0');
        out.extend_from_slice(digits);
        out.extend_from_slice(&[b'-', m1, m2, b'-', d1, d2]);
    }
}

#[inline]
fn two_digits(value: i64) -> [u8; 2] {
    [digit(value / 10), digit(value % 10)]
}

#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "callers pass remainders of ten"
)]
fn digit(value: i64) -> u8 {
    debug_assert!((0..10).contains(&value));
    b'0' + value as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn doubles_as_java_writes_them() {
        let cases: &[(f64, &str)] = &[
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (-1.5, "-1.5"),
            (100.0, "100.0"),
            (0.1, "0.1"),
            (0.001, "0.001"),
            (0.00123, "0.00123"),
            (0.000_999, "9.99E-4"),
            (1_234_567.0, "1234567.0"),
            (9_999_999.0, "9999999.0"),
            (10_000_000.0, "1.0E7"),
            (1e10, "1.0E10"),
            (12_345_678.9, "1.23456789E7"),
            (1.234e-7, "1.234E-7"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ];
        for (value, expected) in cases {
            assert_eq!(written(|out| float(*value, *value, out)), *expected);
        }
        assert_eq!(written(|out| float(0.1_f32, 0.1_f32.into(), out)), "0.1");
        assert_eq!(written(|out| float(3.4e38_f32, 3.4e38_f32.into(), out)), "3.4E38");
    }

    #[test]
    fn every_double_is_read_back() {
        let mut random = fastrand::Rng::with_seed(3);
        for case in 0..100_000 {
            let value = f64::from_bits(random.u64(..));
            if value.is_finite() {
                let text = written(|out| float(value, value, out));
                assert_eq!(
                    text.parse::<f64>().unwrap().to_bits(),
                    value.to_bits(),
                    "{case}: {text}"
                );
            }
        }
    }

    #[test]
    fn decimals_are_plain_and_exact() {
        let cases: &[(i128, i8, &str)] = &[
            (0, 0, "0"),
            (0, 2, "0.00"),
            (5, 2, "0.05"),
            (-5, 3, "-0.005"),
            (1010, 2, "10.10"),
            (-12, 0, "-12"),
            (10_i128.pow(38) - 1, 38, "0.99999999999999999999999999999999999999"),
        ];
        for (value, scale, expected) in cases {
            assert_eq!(written(|out| decimal(*value, *scale, out)), *expected);
        }
    }

    #[test]
    fn timestamps_as_flink_writes_them() {
        use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        let cases: &[(i64, TimeUnit, &str)] = &[
            (0, Second, "1970-01-01 00:00:00"),
            (1_577_836_800_100, Millisecond, "2020-01-01 00:00:00.1"),
            (1_577_836_800_010, Millisecond, "2020-01-01 00:00:00.01"),
            (-1, Millisecond, "1969-12-31 23:59:59.999"),
            (-1, Microsecond, "1969-12-31 23:59:59.999999"),
            (123_456_789, Nanosecond, "1970-01-01 00:00:00.123456789"),
            (951_782_400, Second, "2000-02-29 00:00:00"),
            (253_402_300_800, Second, "+10000-01-01 00:00:00"),
            (-62_167_219_201, Second, "-0001-12-31 23:59:59"),
        ];
        for (value, unit, expected) in cases {
            let text = written(|out| timestamp(*value, *unit, TimestampForm::Sql, out));
            assert_eq!(text, *expected);
        }
        let iso = written(|out| timestamp(0, Second, TimestampForm::Iso, out));
        assert_eq!(iso, "1970-01-01T00:00:00");
        // Extremes of the type must not overflow.
        for unit in [Second, Millisecond, Microsecond, Nanosecond] {
            for value in [i64::MIN, i64::MAX] {
                assert!(!written(|out| timestamp(value, unit, TimestampForm::Sql, out)).is_empty());
            }
        }
    }
}
