//! Reasons: what is wrong with a value, in words, with the column and the value itself.

use arrow::datatypes::Field;

use super::scalar::Fault;
use super::types::sql_name;

/// Characters of a value that a reason shows.
const SHOWN_CHARS_MAX: usize = 40;

/// `value` is the text as the record has it, with its quotes if it has any.
#[cold]
pub(super) fn describe(field: &Field, value: &[u8], fault: Fault) -> String {
    let name = field.name();
    let shown = || shown(value);
    let type_name = || sql_name(field.data_type());
    match fault {
        Fault::Form => {
            let type_name = type_name();
            let article = if type_name.starts_with(['A', 'I']) { "an" } else { "a" };
            format!("column \"{name}\": {} is not {article} {type_name}", shown())
        }
        Fault::Range => {
            format!("column \"{name}\": {} is out of range for {}", shown(), type_name())
        }
        Fault::Null => format!("column \"{name}\" is NULL, but declared NOT NULL"),
        Fault::Missing => format!("column \"{name}\" is missing, but declared NOT NULL"),
        Fault::Because(words) => format!("column \"{name}\": {} {words}", shown()),
    }
}

/// A short piece of what was received, safe to print.
pub(super) fn shown(value: &[u8]) -> String {
    // Four bytes at most make one character, so the cut is behind the last one shown.
    let start = &value[..value.len().min(4 * SHOWN_CHARS_MAX + 4)];
    let text = String::from_utf8_lossy(start);
    let mut out = String::new();
    for (count, character) in text.chars().enumerate() {
        if count == SHOWN_CHARS_MAX {
            out.push('…');
            break;
        }
        match character {
            '"' | '\'' | '\\' => out.push(character),
            _ => out.extend(character.escape_debug()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::DataType;

    #[test]
    fn reasons_name_column_value_and_type() {
        let field = Field::new("price", DataType::Int64, false);
        let cases = [
            (Fault::Form, "column \"price\": \"abc\" is not a BIGINT"),
            (Fault::Range, "column \"price\": \"abc\" is out of range for BIGINT"),
            (Fault::Null, "column \"price\" is NULL, but declared NOT NULL"),
            (Fault::Missing, "column \"price\" is missing, but declared NOT NULL"),
            (Fault::Because("has a fraction"), "column \"price\": \"abc\" has a fraction"),
        ];
        for (fault, expected) in cases {
            assert_eq!(describe(&field, b"\"abc\"", fault), expected);
        }
    }

    #[test]
    fn what_is_shown_is_short_and_printable() {
        assert_eq!(shown(b"a\x00\n\x1b[31m\xff\"\\"), "a\\0\\n\\u{1b}[31m\u{fffd}\"\\");
        assert_eq!(shown("ä".repeat(40).as_bytes()), "ä".repeat(40));
        assert_eq!(shown("ä".repeat(41).as_bytes()), "ä".repeat(40) + "…");
        assert_eq!(shown("\u{1f600}".repeat(1000).as_bytes()), "\u{1f600}".repeat(40) + "…");
    }
}
