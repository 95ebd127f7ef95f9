//! Functions of a text's characters: codes, case, replacement by position or by character.

use arrow::datatypes::{DataType, Int32Type};
use std::collections::HashMap;
use std::sync::Arc;

use super::super::eval::{Kernel, Typed};
use super::kernel::{
    Integers, Strings, all_strings, build_numbers, build_text, call, integer_argument, map_text,
    string_argument, text_call,
};
use super::{BindOptions, Scalar, utf16};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "ASCII", arguments: (1, 1), bind: ascii },
    Scalar { name: "CHR", arguments: (1, 1), bind: chr },
    Scalar { name: "INITCAP", arguments: (1, 1), bind: initcap },
    Scalar { name: "TRANSLATE", arguments: (3, 3), bind: translate },
    Scalar { name: "TRANSLATE3", arguments: (3, 3), bind: translate },
    Scalar { name: "OVERLAY", arguments: (3, 4), bind: overlay },
    Scalar { name: "HASH_CODE", arguments: (1, 1), bind: hash_code },
];

/// The first byte, which is negative in a character beyond ASCII; 0 of nothing.
fn ascii(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kernel: Kernel = Arc::new(|values, rows| {
        let texts = Strings::of(&values[0]);
        build_numbers::<Int32Type>(rows, |row| {
            let first = texts.get(row)?.as_bytes().first().copied().unwrap_or(0);
            Some(i32::from(first.cast_signed()))
        })
    });
    Ok(call("ASCII", all_strings(&arguments)?, DataType::Int32, kernel))
}

/// The character of a code modulo 256; nothing for a negative one.
fn chr(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let kernel: Kernel = Arc::new(|values, rows| {
        let codes = Integers::of(&values[0])?;
        build_text(rows, rows, |row, out| {
            let code = codes.get(row)?;
            if code >= 0 {
                out.push(char::from(code.to_le_bytes()[0]));
            }
            Some(())
        })
    });
    Ok(text_call("CHR", vec![integer_argument(&arguments, 0, options)?], kernel))
}

/// Words are of ASCII letters and digits; everything else is between words.
fn initcap(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kernel = map_text(|text, out| {
        let mut first = true;
        for character in text.chars() {
            out.push(match first {
                true => character.to_ascii_uppercase(),
                false => character.to_ascii_lowercase(),
            });
            first = !character.is_ascii_alphanumeric();
        }
        Some(())
    });
    Ok(text_call("INITCAP", all_strings(&arguments)?, kernel))
}

/// What each character becomes; without a partner it goes away. Of two equal ones the first counts.
fn dictionary(from: &str, to: &str) -> HashMap<char, Option<char>> {
    let mut partners = to.chars();
    let mut dictionary = HashMap::new();
    for character in from.chars() {
        let partner = partners.next();
        dictionary.entry(character).or_insert(partner);
    }
    dictionary
}

fn translate(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    if arguments[1..].iter().any(|argument| argument.data_type == DataType::Null) {
        return Err("an argument is NULL; CAST it to STRING".into());
    }
    let kernel: Kernel = Arc::new(|values, rows| {
        let (texts, from, to) =
            (Strings::of(&values[0]), Strings::of(&values[1]), Strings::of(&values[2]));
        // The same characters are translated in most or all of the rows.
        let mut last = None;
        let mut known = HashMap::new();
        build_text(rows, 0, |row, out| {
            let text = texts.get(row)?;
            let Some(from) = from.get(row).filter(|from| !from.is_empty()) else {
                out.push_str(text);
                return Some(());
            };
            let to = to.get(row).unwrap_or_default();
            if last != Some((from, to)) {
                known = dictionary(from, to);
                last = Some((from, to));
            }
            out.extend(text.chars().filter_map(|character| match known.get(&character) {
                Some(partner) => *partner,
                None => Some(character),
            }));
            Some(())
        })
    });
    Ok(text_call("TRANSLATE", all_strings(&arguments)?, kernel))
}

/// `OVERLAY(text PLACING part FROM start FOR length)`, counted in UTF-16 units.
fn overlay(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let mut expressions = vec![string_argument(&arguments, 0)?, string_argument(&arguments, 1)?];
    for position in 2..arguments.len() {
        expressions.push(integer_argument(&arguments, position, options)?);
    }
    let kernel: Kernel = Arc::new(|values, rows| {
        let (texts, parts) = (Strings::of(&values[0]), Strings::of(&values[1]));
        let starts = Integers::of(&values[2])?;
        let lengths = values.get(3).map(Integers::of).transpose()?;
        build_text(rows, 0, |row, out| {
            let (text, part, start) = (texts.get(row)?, parts.get(row)?, starts.get(row)?);
            let length = match &lengths {
                Some(lengths) => usize::try_from(lengths.get(row)?).unwrap_or(0),
                None => utf16::length(part),
            };
            push_overlaid(text, part, start, length, out);
            Some(())
        })
    });
    Ok(text_call("OVERLAY", expressions, kernel))
}

/// A start outside of the text leaves it as it is; a length of 0 takes the rest away.
fn push_overlaid(text: &str, part: &str, start: i64, length: usize, out: &mut String) {
    let units = utf16::length(text);
    let before = usize::try_from(start.saturating_sub(1)).ok().filter(|&before| before < units);
    let Some(before) = before else { return out.push_str(text) };
    utf16::push_range(text, 0, before, out);
    out.push_str(part);
    if length > 0 && length < units - before {
        utf16::push_range(text, before + length, units, out);
    }
}

/// Java's hash of a string, without its sign.
fn hash_code(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kernel: Kernel = Arc::new(|values, rows| {
        let texts = Strings::of(&values[0]);
        build_numbers::<Int32Type>(rows, |row| {
            let hash = texts
                .get(row)?
                .encode_utf16()
                .fold(0_i32, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)));
            Some(hash.wrapping_abs())
        })
    });
    Ok(call("HASH_CODE", all_strings(&arguments)?, DataType::Int32, kernel))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_laid_over_texts() {
        let check = |text: &str, part: &str, start, length, expected: &str| {
            let mut out = String::new();
            push_overlaid(text, part, start, length, &mut out);
            assert_eq!(out, expected, "{text} {start} {length}");
        };
        check("abcdef", "XY", 3, 2, "abXYef");
        check("abcdef", "XY", 3, 0, "abXY");
        check("abcdef", "XY", 3, 3, "abXYf");
        check("abcdef", "XY", 3, 4, "abXY");
        check("abcdef", "XY", 6, 1, "abcdeXY");
        check("abcdef", "XY", 7, 2, "abcdef");
        check("abcdef", "XY", i64::MIN, 2, "abcdef");
        check("a😀bc", "XY", 2, 2, "aXYbc");
        check("a😀bc", "XY", 2, 1, "aXY?bc");
        check("", "XY", 1, 2, "");
    }
}
