//! Numbers as Java's `Formatter` writes them.

use super::format::Spec;

/// The value of an argument.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    Null,
    /// With the number of bits of its type.
    Integer(i64, u32),
    /// With its text in Java.
    Real(f64, &'a str),
    Text(&'a str),
    Boolean(bool),
    /// A value of which only the text is known.
    Opaque(&'a str),
}

/// Appends `text`, with spaces up to the width.
pub(super) fn write_padded(spec: &Spec, text: &str, out: &mut String) {
    let fill = spec.width.unwrap_or(0).saturating_sub(text.chars().count());
    if !spec.left {
        out.extend(std::iter::repeat_n(' ', fill));
    }
    out.push_str(text);
    if spec.left {
        out.extend(std::iter::repeat_n(' ', fill));
    }
}

/// `%d`, `%x` and `%o`; negative numbers are written by the latter with the bits of their type.
pub(super) fn write_integer(spec: &Spec, number: i64, bits: u32, out: &mut String) {
    if spec.conversion == 'd' {
        let digits = number.unsigned_abs().to_string();
        return write_signed(spec, number < 0, &digits, "", out);
    }
    let unsigned = number.cast_unsigned() & (u64::MAX >> (64 - bits));
    let (prefix, digits) = match spec.conversion {
        'x' => ("0x", format!("{unsigned:x}")),
        _ => ("0", format!("{unsigned:o}")),
    };
    let mut text = if spec.alternate { prefix.to_string() } else { String::new() };
    if spec.zero {
        let fill = spec.width.unwrap_or(0).saturating_sub(text.len() + digits.len());
        text.extend(std::iter::repeat_n('0', fill));
    }
    text.push_str(&digits);
    if spec.upper {
        text.make_ascii_uppercase();
    }
    write_padded(spec, &text, out);
}

/// Sign, digits with grouping and zeros, and what is behind them.
fn write_signed(spec: &Spec, negative: bool, whole: &str, behind: &str, out: &mut String) {
    let (before, end) = match negative {
        true if spec.parentheses => ("(", ")"),
        true => ("-", ""),
        false if spec.plus => ("+", ""),
        false if spec.space => (" ", ""),
        false => ("", ""),
    };
    let mut text = before.to_string();
    let mut digits = String::new();
    for (index, digit) in whole.chars().enumerate() {
        if spec.comma && index > 0 && (whole.len() - index).is_multiple_of(3) {
            digits.push(',');
        }
        digits.push(digit);
    }
    if spec.zero {
        let taken = text.len() + digits.len() + behind.len() + end.len();
        let fill = spec.width.unwrap_or(0).saturating_sub(taken);
        text.extend(std::iter::repeat_n('0', fill));
    }
    text += &digits;
    text += behind;
    text += end;
    write_padded(spec, &text, out);
}

/// The shortest digits of a positive number, `0.d₁d₂… × 10^exponent`.
struct Digits {
    digits: Vec<u8>,
    exponent: i32,
}

impl Digits {
    fn of(value: f64) -> Digits {
        let text = format!("{value:e}");
        let (mantissa, exponent) = text.split_once('e').expect("LowerExp writes an exponent");
        let digits = mantissa.bytes().filter(u8::is_ascii_digit).collect();
        let exponent: i32 = exponent.parse().expect("LowerExp writes a number");
        Digits { digits, exponent: exponent + 1 }
    }

    /// Keeps `count` digits, half up; none when `count` is negative.
    fn round(&mut self, count: i64) {
        let Ok(count) = usize::try_from(count) else {
            self.digits.clear();
            return;
        };
        if count >= self.digits.len() {
            return;
        }
        let up = self.digits[count] >= b'5';
        self.digits.truncate(count);
        if !up {
            return;
        }
        for digit in self.digits.iter_mut().rev() {
            if *digit < b'9' {
                *digit += 1;
                return;
            }
            *digit = b'0';
        }
        self.digits.insert(0, b'1');
        self.exponent += 1;
    }

    /// `count` digits from position `first` (0 is the first one), zeros where there are none.
    fn text(&self, first: i64, count: usize) -> String {
        (0..count)
            .map(|offset| {
                let index = i64::try_from(offset).map_or(i64::MAX, |offset| first + offset);
                let digit = usize::try_from(index).ok().and_then(|index| self.digits.get(index));
                char::from(digit.copied().unwrap_or(b'0'))
            })
            .collect()
    }
}

/// `%f`, `%e` and `%g`.
pub(super) fn write_real(spec: &Spec, value: f64, out: &mut String) {
    if !value.is_finite() {
        let (name, negative) = (if value.is_nan() { "NaN" } else { "Infinity" }, value < 0.0);
        let name = if spec.upper { name.to_uppercase() } else { name.to_string() };
        let plain = Spec { zero: false, comma: false, ..spec.clone() };
        if value.is_nan() {
            return write_padded(&plain, &name, out);
        }
        return write_signed(&plain, negative, &name, "", out);
    }
    let negative = value.is_sign_negative();
    let value = value.abs();
    let precision = spec.precision.unwrap_or(6);
    let (whole, behind) = match spec.conversion {
        'f' => fixed(value, precision, spec.alternate),
        'e' => scientific(value, precision, spec.alternate),
        _ => {
            // As many digits in all as the precision says.
            let precision = precision.max(1);
            let mut digits = Digits::of(value);
            digits.round(i64::try_from(precision).unwrap_or(i64::MAX));
            let exponent = i64::from(digits.exponent);
            let digits_max = i64::try_from(precision).unwrap_or(i64::MAX);
            if value == 0.0 || (-3..=digits_max).contains(&exponent) {
                let before = if value == 0.0 { 1 } else { exponent };
                let count = usize::try_from(digits_max - before).unwrap_or(0);
                fixed(value, count, false)
            } else {
                scientific(value, precision - 1, false)
            }
        }
    };
    let behind = if spec.upper { behind.to_uppercase() } else { behind };
    let spec = Spec { comma: spec.comma && spec.conversion != 'e', ..spec.clone() };
    write_signed(&spec, negative, &whole, &behind, out);
}

fn with_point(fraction: &str, always: bool) -> String {
    if fraction.is_empty() && !always { String::new() } else { format!(".{fraction}") }
}

fn fixed(value: f64, precision: usize, point: bool) -> (String, String) {
    let mut digits = Digits::of(value);
    let kept = i64::from(digits.exponent) + i64::try_from(precision).unwrap_or(i64::MAX / 2);
    digits.round(kept);
    let exponent = i64::from(digits.exponent);
    let whole = match usize::try_from(exponent) {
        Ok(count) if count > 0 => digits.text(0, count),
        _ => "0".into(),
    };
    (whole, with_point(&digits.text(exponent, precision), point))
}

fn scientific(value: f64, precision: usize, point: bool) -> (String, String) {
    let mut digits = Digits::of(value);
    digits.round(i64::try_from(precision).map_or(i64::MAX, |precision| precision + 1));
    let exponent = if value == 0.0 { 0 } else { digits.exponent - 1 };
    let sign = if exponent < 0 { '-' } else { '+' };
    let fraction = with_point(&digits.text(1, precision), point);
    (digits.text(0, 1), format!("{fraction}e{sign}{:02}", exponent.abs()))
}
