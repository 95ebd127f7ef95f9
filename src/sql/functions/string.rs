//! Functions of text. Positions and lengths count characters, as Flink's do.

use arrow::array::{ArrayBuilder, ArrayRef, ListArray, StringBuilder};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field, Int32Type};
use datafusion_common::{Result as PlanResult, ScalarValue, exec_datafusion_err};
use std::sync::Arc;

use super::super::eval::{Call, Kernel, Physical, Typed};
use super::super::types::{TEXT_CHARACTERS_MAX, is_integer, list_of};
use super::kernel::{
    Integers, Strings, all_strings, build_numbers, build_text, call, integer_argument, map_text,
    string_argument, text_call,
};
use super::{ANY, BindOptions, Scalar, utf16};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "UPPER", arguments: (1, 1), bind: upper },
    Scalar { name: "LOWER", arguments: (1, 1), bind: lower },
    Scalar { name: "BTRIM", arguments: (1, 2), bind: btrim },
    Scalar { name: "TRIM", arguments: (1, 1), bind: btrim },
    Scalar { name: "LTRIM", arguments: (1, 2), bind: ltrim },
    Scalar { name: "RTRIM", arguments: (1, 2), bind: rtrim },
    Scalar { name: "CONCAT", arguments: (1, ANY), bind: concat },
    Scalar { name: "CONCAT_WS", arguments: (1, ANY), bind: concat_ws },
    Scalar { name: "SUBSTRING", arguments: (2, 3), bind: substring },
    Scalar { name: "SUBSTR", arguments: (2, 3), bind: substring },
    Scalar { name: "LEFT", arguments: (2, 2), bind: left },
    Scalar { name: "RIGHT", arguments: (2, 2), bind: right },
    Scalar { name: "CHAR_LENGTH", arguments: (1, 1), bind: char_length },
    Scalar { name: "CHARACTER_LENGTH", arguments: (1, 1), bind: char_length },
    Scalar { name: "REPLACE", arguments: (3, 3), bind: replace },
    Scalar { name: "REVERSE", arguments: (1, 1), bind: reverse },
    Scalar { name: "REPEAT", arguments: (2, 2), bind: repeat },
    Scalar { name: "LPAD", arguments: (3, 3), bind: lpad },
    Scalar { name: "RPAD", arguments: (3, 3), bind: rpad },
    Scalar { name: "POSITION", arguments: (2, 2), bind: position },
    Scalar { name: "SPLIT", arguments: (2, 2), bind: split },
    Scalar { name: "SPLIT_INDEX", arguments: (3, 3), bind: split_index },
];

fn upper(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let argument = string_argument(&arguments, 0)?;
    let kernel = map_text(|text, out| {
        let start = out.len();
        if text.is_ascii() {
            out.push_str(text);
            out[start..].make_ascii_uppercase();
        } else {
            out.extend(text.chars().flat_map(char::to_uppercase));
        }
        Some(())
    });
    Ok(text_call("UPPER", vec![argument], kernel))
}

fn lower(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let argument = string_argument(&arguments, 0)?;
    let kernel = map_text(|text, out| {
        let start = out.len();
        if text.is_ascii() {
            out.push_str(text);
            out[start..].make_ascii_lowercase();
        } else {
            out.push_str(&text.to_lowercase());
        }
        Some(())
    });
    Ok(text_call("LOWER", vec![argument], kernel))
}

fn btrim(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    trimmed("BTRIM", arguments, (true, true))
}

fn ltrim(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    trimmed("LTRIM", arguments, (true, false))
}

fn rtrim(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    trimmed("RTRIM", arguments, (false, true))
}

/// Without characters to trim, spaces.
fn trimmed(name: &str, mut arguments: Vec<Typed>, (start, end): (bool, bool)) -> Bound {
    if arguments.len() == 1 {
        arguments.push(Typed::constant(ScalarValue::from(" ")));
    }
    let expressions = vec![string_argument(&arguments, 0)?, string_argument(&arguments, 1)?];
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, sets) = (Strings::of(&values[0]), Strings::of(&values[1]));
        build_text(rows, 0, |row, out| {
            let (mut text, set) = (texts.get(row)?, sets.get(row)?);
            if start {
                text = text.trim_start_matches(|c| set.contains(c));
            }
            if end {
                text = text.trim_end_matches(|c| set.contains(c));
            }
            out.push_str(text);
            Some(())
        })
    });
    Ok(text_call(name, expressions, kernel))
}

fn concat(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let expressions = all_strings(&arguments)?;
    let kernel: Kernel = Arc::new(|values, rows| {
        let texts: Vec<Strings> = values.iter().map(Strings::of).collect();
        build_text(rows, 0, |row, out| {
            for text in &texts {
                out.push_str(text.get(row)?);
            }
            Some(())
        })
    });
    Ok(text_call("CONCAT", expressions, kernel))
}

/// NULL texts are skipped; a NULL separator gives NULL.
fn concat_ws(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let expressions = all_strings(&arguments)?;
    let kernel: Kernel = Arc::new(|values, rows| {
        let texts: Vec<Strings> = values.iter().map(Strings::of).collect();
        build_text(rows, 0, |row, out| {
            let separator = texts[0].get(row)?;
            let mut first = true;
            for text in texts[1..].iter().filter_map(|text| text.get(row)) {
                if !std::mem::take(&mut first) {
                    out.push_str(separator);
                }
                out.push_str(text);
            }
            Some(())
        })
    });
    Ok(text_call("CONCAT_WS", expressions, kernel))
}

/// Positions from 1; 0 is 1; negative ones count from the end; a negative length gives NULL.
fn substring(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let mut expressions =
        vec![string_argument(&arguments, 0)?, integer_argument(&arguments, 1, options)?];
    if arguments.len() == 3 {
        expressions.push(integer_argument(&arguments, 2, options)?);
    }
    let kernel: Kernel = Arc::new(|values, rows| {
        let texts = Strings::of(&values[0]);
        let starts = Integers::of(&values[1])?;
        let lengths = values.get(2).map(Integers::of).transpose()?;
        build_text(rows, 0, |row, out| {
            let length = match &lengths {
                Some(lengths) => Some(lengths.get(row)?),
                None => None,
            };
            out.push_str(part(texts.get(row)?, starts.get(row)?, length)?);
            Some(())
        })
    });
    Ok(text_call("SUBSTRING", expressions, kernel))
}

fn part(text: &str, start: i64, length: Option<i64>) -> Option<&str> {
    let length = match length {
        Some(length) => Some(usize::try_from(length).ok()?),
        None => None,
    };
    let count = if start < 0 { count_of(text) } else { 0 };
    let skipped = match start {
        0 => 0,
        start if start > 0 => usize::try_from(start - 1).unwrap_or(usize::MAX),
        // Before the first character there is nothing, as Flink decides.
        start => match usize::try_from(count.saturating_add(start)) {
            Ok(skipped) => skipped,
            Err(_) => return Some(""),
        },
    };
    let rest = &text[byte_of(text, skipped)..];
    Some(match length {
        Some(length) => &rest[..byte_of(rest, length)],
        None => rest,
    })
}

fn count_of(text: &str) -> i64 {
    let count = if text.is_ascii() { text.len() } else { text.chars().count() };
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// Byte offset of a character, or of the end.
fn byte_of(text: &str, character: usize) -> usize {
    if text.is_ascii() {
        return character.min(text.len());
    }
    text.char_indices().nth(character).map_or(text.len(), |(offset, _)| offset)
}

fn left(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    ended("LEFT", &arguments, options, |text, count| &text[..byte_of(text, count)])
}

fn right(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    ended("RIGHT", &arguments, options, |text, count| {
        let total = usize::try_from(count_of(text)).unwrap_or(usize::MAX);
        &text[byte_of(text, total.saturating_sub(count))..]
    })
}

/// A negative count gives ''.
fn ended(
    name: &str,
    arguments: &[Typed],
    options: &BindOptions,
    cut: fn(&str, usize) -> &str,
) -> Bound {
    let expressions =
        vec![string_argument(arguments, 0)?, integer_argument(arguments, 1, options)?];
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, counts) = (Strings::of(&values[0]), Integers::of(&values[1])?);
        build_text(rows, 0, |row, out| {
            let count = usize::try_from(counts.get(row)?.max(0)).unwrap_or(usize::MAX);
            out.push_str(cut(texts.get(row)?, count));
            Some(())
        })
    });
    Ok(text_call(name, expressions, kernel))
}

fn char_length(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let text = string_argument(&arguments, 0)?;
    let kernel: Kernel = Arc::new(|values, rows| {
        let texts = Strings::of(&values[0]);
        build_numbers::<Int32Type>(rows, |row| i32::try_from(count_of(texts.get(row)?)).ok())
    });
    Ok(call("CHAR_LENGTH", vec![text], DataType::Int32, kernel))
}

fn replace(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kernel: Kernel = Arc::new(|values, rows| {
        let (texts, from, to) =
            (Strings::of(&values[0]), Strings::of(&values[1]), Strings::of(&values[2]));
        build_text(rows, 0, |row, out| {
            let (text, from, to) = (texts.get(row)?, from.get(row)?, to.get(row)?);
            // An empty text is before, between and behind all characters, as in Java.
            let mut end = 0;
            for (start, found) in text.match_indices(from) {
                out.push_str(&text[end..start]);
                out.push_str(to);
                end = start + found.len();
            }
            out.push_str(&text[end..]);
            Some(())
        })
    });
    Ok(text_call("REPLACE", all_strings(&arguments)?, kernel))
}

fn reverse(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kernel = map_text(|text, out| {
        out.extend(text.chars().rev());
        Some(())
    });
    Ok(text_call("REVERSE", all_strings(&arguments)?, kernel))
}

fn repeat(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let expressions =
        vec![string_argument(&arguments, 0)?, integer_argument(&arguments, 1, options)?];
    let kernel: Kernel = Arc::new(|values, rows| {
        let (texts, counts) = (Strings::of(&values[0]), Integers::of(&values[1])?);
        build_bounded_text("REPEAT", rows, |row, out| {
            let (Some(text), Some(count)) = (texts.get(row), counts.get(row)) else {
                return Some(None);
            };
            let count = usize::try_from(count.max(0)).ok()?;
            if text.len().checked_mul(count)? > TEXT_CHARACTERS_MAX {
                return None;
            }
            out.extend(std::iter::repeat_n(text, count));
            Some(Some(()))
        })
    });
    Ok(fallible_text_call("REPEAT", expressions, kernel))
}

/// [`build_text`] where `one` says `None` for a text that would be too long: the rows fail.
fn build_bounded_text(
    name: &str,
    rows: usize,
    mut one: impl FnMut(usize, &mut String) -> Option<Option<()>>,
) -> PlanResult<ArrayRef> {
    let mut too_long = false;
    let built = build_text(rows, 0, |row, out| {
        let made = one(row, out);
        too_long |= made.is_none();
        made.flatten()
    })?;
    if too_long {
        return Err(exec_datafusion_err!(
            "{name} would make more than {TEXT_CHARACTERS_MAX} bytes"
        ));
    }
    Ok(built)
}

fn fallible_text_call(name: &str, arguments: Vec<Physical>, kernel: Kernel) -> Typed {
    let call = Call::new(name, arguments, DataType::Utf8, kernel).fallible();
    Typed::new(Arc::new(call), DataType::Utf8)
}

fn lpad(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    padded("LPAD", &arguments, options, true)
}

fn rpad(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    padded("RPAD", &arguments, options, false)
}

/// Appends `count` UTF-16 units of a text that is said again and again.
fn push_repeated(text: &str, count: usize, out: &mut String) {
    match utf16::has_pairs(text) {
        false => out.extend(text.chars().cycle().take(count)),
        true => utf16::push(text.encode_utf16().cycle().take(count), out),
    }
}

/// A negative length, or nothing to pad with, gives NULL. Lengths are in UTF-16 units.
fn padded(name: &'static str, arguments: &[Typed], options: &BindOptions, before: bool) -> Bound {
    let expressions = vec![
        string_argument(arguments, 0)?,
        integer_argument(arguments, 1, options)?,
        string_argument(arguments, 2)?,
    ];
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, pads) = (Strings::of(&values[0]), Strings::of(&values[2]));
        let lengths = Integers::of(&values[1])?;
        build_bounded_text(name, rows, |row, out| {
            let length = lengths.get(row).and_then(|length| usize::try_from(length).ok());
            let pad = pads.get(row).filter(|pad| !pad.is_empty());
            let (Some(text), Some(pad), Some(length)) = (texts.get(row), pad, length) else {
                return Some(None);
            };
            if length > TEXT_CHARACTERS_MAX {
                return None;
            }
            let missing = length.saturating_sub(utf16::length(text));
            if before {
                push_repeated(pad, missing, out);
            }
            utf16::push_range(text, 0, length, out);
            if !before {
                push_repeated(pad, missing, out);
            }
            Some(Some(()))
        })
    });
    Ok(fallible_text_call(name, expressions, kernel))
}

/// Position of the first text in the second, from 1; 0 when it is not there.
fn position(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kernel: Kernel = Arc::new(|values, rows| {
        let (needles, texts) = (Strings::of(&values[0]), Strings::of(&values[1]));
        build_numbers::<Int32Type>(rows, |row| {
            let (needle, text) = (needles.get(row)?, texts.get(row)?);
            match text.find(needle) {
                None => Some(0),
                Some(offset) => i32::try_from(count_of(&text[..offset]) + 1).ok(),
            }
        })
    });
    Ok(call("POSITION", all_strings(&arguments)?, DataType::Int32, kernel))
}

/// The parts between delimiters; an empty delimiter splits into characters.
fn split(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let kernel: Kernel = Arc::new(|values, rows| {
        let (texts, delimiters) = (Strings::of(&values[0]), Strings::of(&values[1]));
        let mut parts = StringBuilder::new();
        let mut lengths = Vec::with_capacity(rows);
        let mut valid = Vec::with_capacity(rows);
        for row in 0..rows {
            let before = parts.len();
            let both = texts.get(row).zip(delimiters.get(row));
            if let Some((text, delimiter)) = both {
                for_each_part(text, delimiter, |part| parts.append_value(part));
            }
            valid.push(both.is_some());
            lengths.push(parts.len() - before);
        }
        let element = Arc::new(Field::new_list_field(DataType::Utf8, true));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let nulls = Some(NullBuffer::from(valid));
        let list = ListArray::try_new(element, offsets, Arc::new(parts.finish()), nulls)?;
        Ok(Arc::new(list) as ArrayRef)
    });
    Ok(call("SPLIT", all_strings(&arguments)?, list_of(DataType::Utf8), kernel))
}

fn for_each_part(text: &str, delimiter: &str, mut take: impl FnMut(&str)) {
    if text.is_empty() {
        // No parts, as Flink decides.
    } else if delimiter.is_empty() {
        let mut buffer = [0; 4];
        for character in text.chars() {
            // Both halves of a pair are cut apart.
            match character.len_utf16() {
                1 => take(character.encode_utf8(&mut buffer)),
                halves => (0..halves).for_each(|_| take("?")),
            }
        }
    } else {
        text.split(delimiter).for_each(take);
    }
}

/// Counts from 0; NULL when there is no such part.
fn split_index(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    if is_integer(&arguments[1].data_type) {
        return split_index_at_code(&arguments, options);
    }
    let expressions = vec![
        string_argument(&arguments, 0)?,
        string_argument(&arguments, 1)?,
        integer_argument(&arguments, 2, options)?,
    ];
    let kernel: Kernel = Arc::new(|values, rows| {
        let (texts, delimiters) = (Strings::of(&values[0]), Strings::of(&values[1]));
        let indices = Integers::of(&values[2])?;
        build_text(rows, 0, |row, out| {
            let (text, delimiter) = (texts.get(row)?, delimiters.get(row)?);
            let index = usize::try_from(indices.get(row)?).ok()?;
            if text.is_empty() {
                return None;
            }
            out.push_str(match delimiter {
                // Apache's StringUtils then splits at white space.
                "" => text.split(char::is_whitespace).nth(index)?,
                _ => text.split(delimiter).nth(index)?,
            });
            Some(())
        })
    });
    Ok(text_call("SPLIT_INDEX", expressions, kernel))
}

/// The same with the code of a character, from 1 to 255, for a delimiter.
fn split_index_at_code(arguments: &[Typed], options: &BindOptions) -> Bound {
    let expressions = vec![
        string_argument(arguments, 0)?,
        integer_argument(arguments, 1, options)?,
        integer_argument(arguments, 2, options)?,
    ];
    let kernel: Kernel = Arc::new(|values, rows| {
        let texts = Strings::of(&values[0]);
        let (codes, indices) = (Integers::of(&values[1])?, Integers::of(&values[2])?);
        build_text(rows, 0, |row, out| {
            let (text, code) = (texts.get(row)?, codes.get(row)?);
            let delimiter = u8::try_from(code).ok().filter(|code| *code > 0).map(char::from)?;
            let index = usize::try_from(indices.get(row)?).ok()?;
            if text.is_empty() {
                return None;
            }
            out.push_str(text.split(delimiter).nth(index)?);
            Some(())
        })
    });
    Ok(text_call("SPLIT_INDEX", expressions, kernel))
}
