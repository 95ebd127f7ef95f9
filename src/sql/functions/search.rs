//! Where a text is in another. Positions count characters, from 1.

use arrow::datatypes::{DataType, Int32Type};
use datafusion_common::{Result as PlanResult, exec_datafusion_err};
use std::sync::Arc;

use super::super::eval::{Kernel, Typed};
use super::kernel::{
    Bytes, Integers, Strings, build_booleans, build_numbers, bytes_argument, call, fallible_call,
    integer_argument, string_argument, try_build_numbers,
};
use super::{BindOptions, Scalar, wrong_argument};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "LOCATE", arguments: (2, 3), bind: locate },
    Scalar { name: "INSTR", arguments: (2, 4), bind: instr },
    Scalar { name: "STARTSWITH", arguments: (2, 2), bind: |a, _| edge("STARTSWITH", &a, starts) },
    Scalar { name: "ENDSWITH", arguments: (2, 2), bind: |a, _| edge("ENDSWITH", &a, ends) },
];

fn starts(text: &[u8], part: &[u8]) -> bool {
    text.starts_with(part)
}

fn ends(text: &[u8], part: &[u8]) -> bool {
    text.ends_with(part)
}

/// Of two texts or of two BYTES.
fn edge(name: &str, arguments: &[Typed], test: fn(&[u8], &[u8]) -> bool) -> Bound {
    let expressions = vec![bytes_argument(arguments, 0)?, bytes_argument(arguments, 1)?];
    let [first, second] = [&arguments[0].data_type, &arguments[1].data_type];
    if first != second && *first != DataType::Null && *second != DataType::Null {
        return Err(wrong_argument(2, &super::super::types::type_name(first), second));
    }
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (texts, parts) = (Bytes::of(&values[0]), Bytes::of(&values[1]));
        build_booleans(rows, |row| Some(test(texts.get(row)?, parts.get(row)?)))
    });
    Ok(call(name, expressions, DataType::Boolean, kernel))
}

/// Byte offset of the character after `skipped` ones; `None` when there are fewer.
fn offset_of(text: &str, skipped: usize) -> Option<usize> {
    if text.is_ascii() {
        return (skipped <= text.len()).then_some(skipped);
    }
    let ends = text.char_indices().map(|(offset, _)| offset).chain([text.len()]);
    ends.into_iter().nth(skipped)
}

fn narrow(position: usize) -> i32 {
    i32::try_from(position).unwrap_or(i32::MAX)
}

/// Position of `part` at or behind the character `from`, from 1; 0 when it is not there. Nothing is
/// everywhere, and found first.
fn position_from(text: &str, part: &str, from: i64) -> usize {
    if part.is_empty() {
        return 1;
    }
    let skipped = usize::try_from(from.saturating_sub(1)).unwrap_or(0);
    let Some(start) = offset_of(text, skipped) else { return 0 };
    match text[start..].find(part) {
        None => 0,
        Some(offset) => text[..start + offset].chars().count() + 1,
    }
}

fn locate(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let mut expressions = vec![string_argument(&arguments, 0)?, string_argument(&arguments, 1)?];
    if arguments.len() == 3 {
        expressions.push(integer_argument(&arguments, 2, options)?);
    }
    let kernel: Kernel = Arc::new(|values, rows| {
        let (parts, texts) = (Strings::of(&values[0]), Strings::of(&values[1]));
        let starts = values.get(2).map(Integers::of).transpose()?;
        build_numbers::<Int32Type>(rows, |row| {
            let from = match &starts {
                Some(starts) => starts.get(row)?,
                None => 1,
            };
            Some(narrow(position_from(texts.get(row)?, parts.get(row)?, from)))
        })
    });
    Ok(call("LOCATE", expressions, DataType::Int32, kernel))
}

/// `INSTR(text, part, start, appearance)`; a negative start searches backwards from the end.
fn instr(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let mut expressions = vec![string_argument(&arguments, 0)?, string_argument(&arguments, 1)?];
    for position in 2..arguments.len() {
        expressions.push(integer_argument(&arguments, position, options)?);
    }
    let kernel: Kernel = Arc::new(|values, rows| {
        let (texts, parts) = (Strings::of(&values[0]), Strings::of(&values[1]));
        let starts = values.get(2).map(Integers::of).transpose()?;
        let counts = values.get(3).map(Integers::of).transpose()?;
        let number = |numbers: &Option<Integers<'_>>, row| match numbers {
            Some(numbers) => numbers.get(row),
            None => Some(1),
        };
        try_build_numbers::<Int32Type>(rows, |row| {
            let both = texts.get(row).zip(parts.get(row));
            let where_to = number(&starts, row).zip(number(&counts, row));
            match both.zip(where_to) {
                None => Ok(None),
                Some(((text, part), (start, count))) => {
                    appearance(text, part, start, count).map(|found| Some(narrow(found)))
                }
            }
        })
    });
    Ok(fallible_call("INSTR", expressions, DataType::Int32, kernel))
}

fn appearance(text: &str, part: &str, start: i64, count: i64) -> PlanResult<usize> {
    if count <= 0 {
        return Err(exec_datafusion_err!("the appearance is counted from 1, not {count}"));
    }
    if start < 0 {
        let reversed = |forward: &str| forward.chars().rev().collect::<String>();
        let found = appearance(&reversed(text), &reversed(part), start.saturating_neg(), count)?;
        let characters = |counted: &str| counted.chars().count();
        let behind = found + characters(part);
        return Ok(if found == 0 { 0 } else { (characters(text) + 2).saturating_sub(behind) });
    }
    if start == 0 {
        return Ok(0);
    }
    if part.is_empty() {
        return Ok(1);
    }
    let mut found = 0;
    let mut from = start;
    for _ in 0..count {
        found = position_from(text, part, from);
        if found == 0 {
            break;
        }
        from = i64::try_from(found + 1).unwrap_or(i64::MAX);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appearances_are_counted_from_either_end() {
        let check = |text: &str, part: &str, start, count, expected: usize| {
            let found = appearance(text, part, start, count).unwrap();
            assert_eq!(found, expected, "{text} {part} {start} {count}");
        };
        check("abcb", "b", 1, 1, 2);
        check("abcb", "b", 1, 2, 4);
        check("abcb", "b", 1, 3, 0);
        check("abcb", "b", 0, 1, 0);
        check("abcb", "b", -1, 1, 4);
        check("abcb", "b", -2, 1, 2);
        check("äbcäbc", "äbc", -1, 2, 1);
        check("aaa", "aa", 1, 2, 2);
        check("abc", "", 3, 5, 1);
        check("abc", "c", i64::MAX, i64::MAX, 0);
        check("abc", "c", i64::MIN, 1, 0);
        assert!(appearance("a", "a", 1, 0).is_err());
    }

    #[test]
    fn positions_count_characters() {
        assert_eq!(position_from("😀b😀b", "b", 3), 4);
        assert_eq!(position_from("abc", "b", -5), 2);
        assert_eq!(position_from("abc", "c", 4), 0);
        assert_eq!(position_from("abc", "", 99), 1);
    }
}
