//! A format string, compiled: `%[index$][flags][width][.precision]conversion` and the text between.

use super::write::{Value, write_integer, write_padded, write_real};
use crate::sql::types::TEXT_CHARACTERS_MAX;

/// Why a format is not compiled.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Problem {
    /// Java refuses it, too.
    Invalid,
    /// Java would write something; the message is for the user.
    Unsupported(String),
}

/// A compiled format.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Format {
    pieces: Vec<Piece>,
}

#[derive(PartialEq, Eq, Debug)]
enum Piece {
    Text(String),
    Spec(Spec),
}

/// What stands behind a `%`.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Spec {
    /// Index of the argument, from 0; `None` for `%%` and `%n`.
    pub(super) argument: Option<usize>,
    pub(super) left: bool,
    pub(super) plus: bool,
    pub(super) space: bool,
    pub(super) zero: bool,
    pub(super) comma: bool,
    pub(super) parentheses: bool,
    pub(super) alternate: bool,
    pub(super) width: Option<usize>,
    pub(super) precision: Option<usize>,
    /// In lower case.
    pub(super) conversion: char,
    pub(super) upper: bool,
}

impl Format {
    /// Compiles `text`.
    pub(super) fn compile(text: &str) -> Result<Format, Problem> {
        let mut pieces = Vec::new();
        let mut rest = text;
        let mut ordinary = 0;
        let mut last = None;
        while let Some(at) = rest.find('%') {
            if at > 0 {
                pieces.push(Piece::Text(rest[..at].into()));
            }
            let (spec, behind) = parse_spec(&rest[at + 1..], &mut ordinary, &mut last)?;
            pieces.push(Piece::Spec(spec));
            rest = behind;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.into()));
        }
        Ok(Format { pieces })
    }

    /// Appends the values; `None` when one does not fit its conversion.
    pub(super) fn write(&self, values: &[Value<'_>], out: &mut String) -> Option<()> {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Spec(spec) => {
                    let value = match spec.argument {
                        None => Value::Null,
                        Some(index) => *values.get(index)?,
                    };
                    spec.write(value, out)?;
                }
            }
        }
        Some(())
    }
}

impl Spec {
    fn write(&self, value: Value<'_>, out: &mut String) -> Option<()> {
        match (self.conversion, value) {
            ('n', _) => out.push('\n'),
            ('%', _) => write_padded(self, "%", out),
            ('b', Value::Null) => self.text("false", out),
            ('b', Value::Boolean(value)) => self.text(if value { "true" } else { "false" }, out),
            ('b', _) => self.text("true", out),
            (_, Value::Null) => self.text("null", out),
            ('s', Value::Integer(number, _)) => self.text(&number.to_string(), out),
            ('s', Value::Real(_, text) | Value::Text(text) | Value::Opaque(text)) => {
                self.text(text, out);
            }
            ('s', Value::Boolean(value)) => self.text(if value { "true" } else { "false" }, out),
            ('c', Value::Integer(code, 8..=32)) => {
                let character = u32::try_from(code).ok().and_then(char::from_u32)?;
                self.text(character.encode_utf8(&mut [0; 4]), out);
            }
            ('d' | 'x' | 'o', Value::Integer(number, bits)) => {
                write_integer(self, number, bits, out);
            }
            ('f' | 'e' | 'g', Value::Real(real, _)) => write_real(self, real, out),
            _ => return None,
        }
        Some(())
    }

    /// A text, cut to the precision and padded to the width.
    fn text(&self, text: &str, out: &mut String) {
        let cut = match self.precision {
            Some(count) => text.char_indices().nth(count).map_or(text, |(end, _)| &text[..end]),
            None => text,
        };
        match self.upper {
            true => write_padded(self, &cut.to_uppercase(), out),
            false => write_padded(self, cut, out),
        }
    }

    /// Flags Java does not take together, or not with the conversion.
    fn is_valid(&self) -> bool {
        let Spec { left, plus, space, zero, comma, parentheses, alternate, .. } = *self;
        let signs = plus || space || parentheses;
        if ((left || zero) && self.width.is_none()) || (left && zero) || (plus && space) {
            return false;
        }
        match self.conversion {
            'n' => self.width.is_none() && self.precision.is_none() && !left,
            '%' => self.precision.is_none() && !signs && !zero && !comma && !alternate,
            'b' | 's' => !signs && !zero && !comma && !alternate,
            'c' => self.precision.is_none() && !signs && !zero && !comma && !alternate,
            'd' => self.precision.is_none() && !alternate,
            'x' | 'o' => self.precision.is_none() && !signs && !comma,
            'e' => !comma,
            'g' => !alternate,
            _ => true,
        }
    }
}

/// The specifier at the start of `text`, and what is behind it. Arguments without an index are
/// counted by `ordinary`; `%<s` takes the `last` one again.
fn parse_spec<'a>(
    text: &'a str,
    ordinary: &mut usize,
    last: &mut Option<usize>,
) -> Result<(Spec, &'a str), Problem> {
    let mut spec = Spec::default();
    let mut rest = text;
    let mut index = None;
    let mut again = false;
    let (number, behind) = digits(rest);
    if let Some(behind) = behind.strip_prefix('$')
        && let Some(number) = number.filter(|number| *number > 0)
    {
        index = Some(number - 1);
        rest = behind;
    } else if let Some(following) = rest.strip_prefix('<') {
        again = true;
        rest = following;
    }
    while let Some(first) = rest.chars().next() {
        let flag = match first {
            '-' => &mut spec.left,
            '+' => &mut spec.plus,
            ' ' => &mut spec.space,
            '0' => &mut spec.zero,
            ',' => &mut spec.comma,
            '(' => &mut spec.parentheses,
            '#' => &mut spec.alternate,
            _ => break,
        };
        if std::mem::replace(flag, true) {
            return Err(Problem::Invalid);
        }
        rest = &rest[1..];
    }
    (spec.width, rest) = digits(rest);
    if let Some(fraction) = rest.strip_prefix('.') {
        (spec.precision, rest) = digits(fraction);
        if spec.precision.is_none() {
            return Err(Problem::Invalid);
        }
    }
    let written = rest.chars().next().ok_or(Problem::Invalid)?;
    rest = &rest[written.len_utf8()..];
    spec.conversion = written.to_ascii_lowercase();
    spec.upper = written.is_ascii_uppercase();
    match written {
        'a' | 'A' | 'h' | 'H' | 't' | 'T' => {
            let message = format!("the conversion %{written} is not supported");
            return Err(Problem::Unsupported(message));
        }
        'b' | 'B' | 's' | 'S' | 'c' | 'C' | 'x' | 'X' | 'e' | 'E' | 'g' | 'G' => {}
        'd' | 'o' | 'f' | 'n' | '%' => {}
        _ => return Err(Problem::Invalid),
    }
    if !spec.is_valid() {
        return Err(Problem::Invalid);
    }
    if spec.width.max(spec.precision).is_some_and(|count| count > TEXT_CHARACTERS_MAX) {
        return Err(Problem::Unsupported("a width or precision is too large".into()));
    }
    if !matches!(spec.conversion, 'n' | '%') {
        spec.argument = match (index, again) {
            (Some(index), _) => Some(index),
            (None, true) => Some(last.ok_or(Problem::Invalid)?),
            (None, false) => {
                *ordinary += 1;
                Some(*ordinary - 1)
            }
        };
        *last = spec.argument;
    }
    Ok((spec, rest))
}

/// The number at the start of `text` that does not begin with 0, and what is behind it.
fn digits(text: &str) -> (Option<usize>, &str) {
    let count = text.bytes().take_while(u8::is_ascii_digit).count();
    match text[..count].parse() {
        // Too large a number is refused as such.
        Err(_) if count > 0 => (Some(usize::MAX), &text[count..]),
        Ok(number) if !text.starts_with('0') => (Some(number), &text[count..]),
        // `.0` is a precision; before a width 0 is a flag.
        Ok(0) if count == 1 => (Some(0), &text[1..]),
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(format: &str, values: &[Value<'_>], expected: Option<&str>) {
        let mut out = String::new();
        let written = match Format::compile(format) {
            Ok(format) => format.write(values, &mut out),
            Err(_) => None,
        };
        assert_eq!(written.map(|()| out.as_str()), expected, "{format}");
    }

    const fn int(number: i64) -> Value<'static> {
        Value::Integer(number, 32)
    }

    #[test]
    fn integers_have_flags() {
        let numbers = [1, 2, 3, 4, 5, -6, 1_234_567].map(int);
        let expected = "    1|2    |00003|+4| 5|(6)|1,234,567";
        check("%5d|%-5d|%05d|%+d|% d|%(d|%,d", &numbers, Some(expected));
        check("%x %X %o %#x", &[255, 255, 8, 255].map(int), Some("ff FF 10 0xff"));
        check("%x", &[Value::Integer(-1, 8)], Some("ff"));
        check("%x", &[int(-1)], Some("ffffffff"));
        check("%08d|%,010d|%+05d", &[-42, 1234, 7].map(int), Some("-0000042|000001,234|+0007"));
        check("%d", &[Value::Text("x")], None);
        check("%d", &[], None);
        check("%5c|%c", &[int(65), Value::Text("x")], None);
        check("%5c", &[int(65)], Some("    A"));
    }

    #[test]
    fn reals_are_rounded_half_up_on_their_digits() {
        let real = |value: f64| Value::Real(value, "");
        let format = "%f %.0f %10.3f %e %E %.2e";
        let values = [3.25159, 2.5, 2.0005, 12345.678, 0.00012, 5e-10].map(real);
        let expected = "3.251590 3      2.001 1.234568e+04 1.200000E-04 5.00e-10";
        check(format, &values, Some(expected));
        check("%10.2e", &[real(f64::INFINITY)], Some("  Infinity"));
        check("%010.1f|%,.2f", &[real(-1.25), real(1e6)], Some("-0000001.3|1,000,000.00"));
        check("%.2f", &[real(0.005)], Some("0.01"));
        check("%.1f", &[real(9.96)], Some("10.0"));
        check("%g", &[real(0.1)], Some("0.100000"));
        check("%g %g", &[real(1e-5), real(123_456_789.0)], Some("1.00000e-05 1.23457e+08"));
        check("%+.1f", &[real(-0.0)], Some("-0.0"));
    }

    #[test]
    fn texts_are_cut_and_padded() {
        let text = [Value::Text("abc"); 5];
        check("%s %10s|%-10s|%.2s|%S", &text, Some("abc        abc|abc       |ab|ABC"));
        check("%2$s %1$s %s %<s", &[Value::Text("a"), Value::Text("b")], Some("b a a a"));
        check("%b %B %b", &[Value::Boolean(true), Value::Null, int(0)], Some("true FALSE true"));
        check("%10.2e|%s", &[Value::Null; 2], Some("        nu|null"));
        check("100%%%n|%5%", &[], Some("100%\n|    %"));
        for wrong in
            ["%", "%y", "%-d", "%0d", "%-05d", "%+ d", "%,x", "%.2d", "%5n", "%--5d", "%<s"]
        {
            check(wrong, &[int(1)], None);
        }
        assert!(matches!(Format::compile("%h"), Err(Problem::Unsupported(_))));
        assert!(matches!(Format::compile("%99999999999999999999d"), Err(Problem::Unsupported(_))));
    }
}
