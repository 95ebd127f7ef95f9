//! Bytes as text and back: base 64, hexadecimal, character sets, `application/x-www-form-urlencoded`.

mod charset;

use arrow::datatypes::DataType;
use base64::Engine;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use datafusion_common::exec_datafusion_err;
use std::sync::Arc;

use super::super::eval::{Kernel, Typed};
use super::super::types::is_integer;
use super::kernel::{
    Bytes, Integers, Strings, build_text, bytes_argument, fallible_call, integer_argument,
    map_text, string_argument, text_call, try_build_bytes, try_build_text,
};
use super::{BindOptions, Scalar, wrong_argument};
use charset::Charset;

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "TO_BASE64", arguments: (1, 1), bind: to_base64 },
    Scalar { name: "FROM_BASE64", arguments: (1, 1), bind: from_base64 },
    Scalar { name: "HEX", arguments: (1, 1), bind: hex },
    Scalar { name: "UNHEX", arguments: (1, 1), bind: unhex },
    Scalar { name: "BIN", arguments: (1, 1), bind: bin },
    Scalar { name: "ENCODE", arguments: (2, 2), bind: encode },
    Scalar { name: "DECODE", arguments: (2, 2), bind: decode },
    Scalar { name: "URL_ENCODE", arguments: (1, 1), bind: url_encode },
    Scalar { name: "URL_DECODE", arguments: (1, 1), bind: url_decode },
];

const UPPER_HEX: &[u8; 16] = b"0123456789ABCDEF";

/// As Java's decoder: padding is there or not, bits behind the last byte do not matter.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Appends two digits a byte.
pub(super) fn push_hex(bytes: &[u8], digits: &[u8; 16], out: &mut String) {
    out.reserve(bytes.len() * 2);
    for byte in bytes {
        out.push(char::from(digits[usize::from(byte >> 4)]));
        out.push(char::from(digits[usize::from(byte & 15)]));
    }
}

fn to_base64(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kernel: Kernel = Arc::new(|values, rows| {
        let inputs = Bytes::of(&values[0]);
        build_text(rows, 0, |row, out| {
            STANDARD.encode_string(inputs.get(row)?, out);
            Some(())
        })
    });
    Ok(text_call("TO_BASE64", vec![bytes_argument(&arguments, 0)?], kernel))
}

/// The bytes as text; what is not UTF-8 becomes U+FFFD.
fn from_base64(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kernel: Kernel = Arc::new(|values, rows| {
        let inputs = Bytes::of(&values[0]);
        let mut decoded = Vec::new();
        try_build_text(rows, 0, |row, out| {
            let Some(encoded) = inputs.get(row) else { return Ok(None) };
            decoded.clear();
            LENIENT
                .decode_vec(encoded, &mut decoded)
                .map_err(|error| exec_datafusion_err!("this is not base 64: {error}"))?;
            out.push_str(&String::from_utf8_lossy(&decoded));
            Ok(Some(()))
        })
    });
    Ok(fallible_call("FROM_BASE64", vec![bytes_argument(&arguments, 0)?], DataType::Utf8, kernel))
}

/// Of an integer the digits of its 64 bits, of a text those of its bytes.
fn hex(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    match &arguments[0].data_type {
        integer if is_integer(integer) => radix("HEX", &arguments, options, |number, out| {
            out.push_str(&format!("{number:X}"));
        }),
        DataType::Utf8 => {
            let kernel = map_text(|text, out| {
                push_hex(text.as_bytes(), UPPER_HEX, out);
                Some(())
            });
            Ok(text_call("HEX", vec![string_argument(&arguments, 0)?], kernel))
        }
        other => Err(wrong_argument(1, "an integer or STRING", other)),
    }
}

fn bin(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    radix("BIN", &arguments, options, |number, out| out.push_str(&format!("{number:b}")))
}

fn radix(
    name: &str,
    arguments: &[Typed],
    options: &BindOptions,
    write: fn(i64, &mut String),
) -> Bound {
    let kernel: Kernel = Arc::new(move |values, rows| {
        let numbers = Integers::of(&values[0])?;
        build_text(rows, rows * 8, |row, out| {
            write(numbers.get(row)?, out);
            Some(())
        })
    });
    Ok(text_call(name, vec![integer_argument(arguments, 0, options)?], kernel))
}

/// NULL when a character is no digit; of an odd number of digits the first
/// is 0.
fn unhex(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kernel: Kernel = Arc::new(|values, rows| {
        let texts = Strings::of(&values[0]);
        try_build_bytes(rows, |row, out| Ok(texts.get(row).and_then(|text| push_unhex(text, out))))
    });
    let text = string_argument(&arguments, 0)?;
    Ok(super::kernel::call("UNHEX", vec![text], DataType::Binary, kernel))
}

fn push_unhex(text: &str, out: &mut Vec<u8>) -> Option<()> {
    let digit =
        |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (first, pairs) = text.as_bytes().split_at(text.len() % 2);
    // Flink checks the digit, and forgets it.
    if let Some(alone) = first.first() {
        digit(alone)?;
        out.push(0);
    }
    for pair in pairs.chunks_exact(2) {
        out.push(digit(&pair[0])? << 4 | digit(&pair[1])?);
    }
    Some(())
}

/// The character set of a row: known when planning, or looked up by name.
fn charset_of(constant: Option<Charset>, name: &str) -> datafusion_common::Result<Charset> {
    match constant {
        Some(charset) => Ok(charset),
        None => Charset::of(name).map_err(|message| exec_datafusion_err!("{message}")),
    }
}

fn constant_charset(typed: &Typed) -> Result<Option<Charset>, String> {
    typed.literal_text().map(Charset::of).transpose()
}

fn encode(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let constant = constant_charset(&arguments[1])?;
    let expressions = vec![string_argument(&arguments, 0)?, string_argument(&arguments, 1)?];
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, names) = (Strings::of(&values[0]), Strings::of(&values[1]));
        try_build_bytes(rows, |row, out| {
            let (Some(text), Some(name)) = (texts.get(row), names.get(row)) else {
                return Ok(None);
            };
            charset_of(constant, name)?.encode(text, out);
            Ok(Some(()))
        })
    });
    Ok(fallible_call("ENCODE", expressions, DataType::Binary, kernel))
}

fn decode(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    if arguments[0].data_type != DataType::Binary {
        return Err(wrong_argument(1, "BYTES", &arguments[0].data_type));
    }
    let constant = constant_charset(&arguments[1])?;
    let expressions = vec![bytes_argument(&arguments, 0)?, string_argument(&arguments, 1)?];
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (inputs, names) = (Bytes::of(&values[0]), Strings::of(&values[1]));
        try_build_text(rows, 0, |row, out| {
            let (Some(bytes), Some(name)) = (inputs.get(row), names.get(row)) else {
                return Ok(None);
            };
            charset_of(constant, name)?.decode(bytes, out);
            Ok(Some(()))
        })
    });
    Ok(fallible_call("DECODE", expressions, DataType::Utf8, kernel))
}

fn url_encode(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kernel = map_text(|text, out| {
        for &byte in text.as_bytes() {
            match byte {
                b' ' => out.push('+'),
                b'.' | b'-' | b'*' | b'_' => out.push(char::from(byte)),
                _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
                _ => {
                    out.push('%');
                    push_hex(&[byte], UPPER_HEX, out);
                }
            }
        }
        Some(())
    });
    Ok(text_call("URL_ENCODE", vec![string_argument(&arguments, 0)?], kernel))
}

/// NULL when a `%` is not followed by two digits.
fn url_decode(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kernel = map_text(push_url_decoded);
    Ok(text_call("URL_DECODE", vec![string_argument(&arguments, 0)?], kernel))
}

fn push_url_decoded(text: &str, out: &mut String) -> Option<()> {
    if !text.contains('%') {
        out.extend(text.chars().map(|character| if character == '+' { ' ' } else { character }));
        return Some(());
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, behind @ ..] = rest {
        rest = behind;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                let digits = std::str::from_utf8(behind.get(..2)?).ok()?;
                // Java reads a sign here, too, and refuses the negative.
                let digits = digits.strip_prefix('+').unwrap_or(digits);
                bytes.push(u8::from_str_radix(digits, 16).ok()?);
                rest = &behind[2..];
            }
            _ => bytes.push(*first),
        }
    }
    out.push_str(&String::from_utf8_lossy(&bytes));
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_become_bytes() {
        let check = |text: &str, expected: Option<&[u8]>| {
            let mut bytes = Vec::new();
            let read = push_unhex(text, &mut bytes).map(|()| &bytes[..]);
            assert_eq!(read, expected, "{text}");
        };
        check("", Some(b""));
        check("4aF", Some(&[0x00, 0xaf]));
        check("0g", None);
        check("é", None);
    }

    #[test]
    fn percent_signs_are_read_as_java_does() {
        let check = |text: &str, expected: Option<&str>| {
            let mut out = String::new();
            let read = push_url_decoded(text, &mut out).map(|()| out.as_str());
            assert_eq!(read, expected, "{text}");
        };
        check("a+b", Some("a b"));
        check("%C3%A9%2b", Some("é+"));
        check("%c3x", Some("\u{fffd}x"));
        check("%", None);
        check("%4", None);
        check("%zz", None);
        check("100%é", None);
    }
}
