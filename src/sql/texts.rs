//! Comparison of text as Java does it: by UTF-16 code units.
//!
//! Bytes of UTF-8 have the order of code points, which differs in one thing: what lies beyond the
//! basic plane, four bytes that begin with 0xF0 or more, comes before U+E000 … U+FFFF, which begin
//! with 0xEE and 0xEF. Where one side has none of these bytes the orders are the same.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::datatypes::DataType;
use datafusion_common::Result as PlanResult;
use datafusion_expr::{ColumnarValue, Operator};
use datafusion_physical_expr::expressions::Literal;
use std::cmp::Ordering;
use std::sync::Arc;

use super::eval::{Call, Kernel, Physical, Typed};

/// First byte of the first character whose place differs.
const SENSITIVE: u8 = 0xEE;

/// `left operator right` of two STRING expressions, of `<`, `<=`, `>` and `>=`; `None` where the
/// order of bytes is right for every row.
pub(super) fn compare_texts(
    operator: Operator,
    left: &Physical,
    right: &Physical,
) -> Option<Typed> {
    if !matches!(operator, Operator::Lt | Operator::LtEq | Operator::Gt | Operator::GtEq) {
        return None;
    }
    if [left, right].into_iter().any(is_insensitive_constant) {
        return None;
    }
    let kernel: Kernel = Arc::new(move |values, rows| compared_texts(values, rows, operator));
    let arguments = vec![Arc::clone(left), Arc::clone(right)];
    let call = Call::new(operator.to_string(), arguments, DataType::Boolean, kernel);
    Some(Typed::new(Arc::new(call), DataType::Boolean))
}

fn is_insensitive_constant(expr: &Physical) -> bool {
    let text = expr.downcast_ref::<Literal>().map(|literal| literal.value().try_as_str());
    match text {
        Some(Some(Some(text))) => !is_sensitive(text.as_bytes()),
        Some(_) => true,
        None => false,
    }
}

fn is_sensitive(bytes: &[u8]) -> bool {
    // Without a branch per byte, so that it is done many bytes at a time.
    bytes
        .chunks(1024)
        .any(|chunk| chunk.iter().fold(false, |found, &byte| found | (byte >= SENSITIVE)))
}

/// The comparison of `rows` rows.
pub(super) fn compared_texts(
    values: &[ColumnarValue],
    rows: usize,
    operator: Operator,
) -> PlanResult<ArrayRef> {
    let (left, right) = (values[0].clone().into_array(rows)?, values[1].clone().into_array(rows)?);
    let (left, right) = (left.as_string::<i32>(), right.as_string::<i32>());
    if !is_sensitive(used_bytes(left)) || !is_sensitive(used_bytes(right)) {
        use arrow::compute::kernels::cmp;
        let compared = match operator {
            Operator::Lt => cmp::lt(left, right),
            Operator::LtEq => cmp::lt_eq(left, right),
            Operator::Gt => cmp::gt(left, right),
            _ => cmp::gt_eq(left, right),
        };
        return Ok(Arc::new(compared?));
    }
    let holds: fn(Ordering) -> bool = match operator {
        Operator::Lt => Ordering::is_lt,
        Operator::LtEq => Ordering::is_le,
        Operator::Gt => Ordering::is_gt,
        _ => Ordering::is_ge,
    };
    let one = |row| {
        let valid = left.is_valid(row) && right.is_valid(row);
        valid.then(|| holds(utf16_order(left.value(row), right.value(row))))
    };
    Ok(Arc::new((0..rows).map(one).collect::<BooleanArray>()))
}

/// The bytes of all rows of an array that may be a slice of another.
fn used_bytes(array: &StringArray) -> &[u8] {
    let offsets = array.value_offsets();
    match (offsets.first(), offsets.last()) {
        (Some(&first), Some(&last)) => {
            let place = |offset: i32| usize::try_from(offset).expect("offsets are not negative");
            &array.value_data()[place(first)..place(last)]
        }
        _ => &[],
    }
}

/// The order of Java's `String.compareTo`.
fn utf16_order(left: &str, right: &str) -> Ordering {
    let mut pairs = left.bytes().zip(right.bytes());
    match pairs.find(|(one, other)| one != other) {
        // Both first bytes of a character: those inside one are smaller.
        Some((one, other)) if one >= SENSITIVE && other >= SENSITIVE => {
            let beyond_plane = |byte: u8| byte >= 0xF0;
            match (beyond_plane(one), beyond_plane(other)) {
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                _ => one.cmp(&other),
            }
        }
        Some((one, other)) => one.cmp(&other),
        None => left.len().cmp(&right.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_utf16() {
        let texts = [
            "",
            "a",
            "ab",
            "b",
            "é",
            "\u{d7ff}",
            "\u{e000}",
            "\u{ff5e}",
            "\u{ffff}",
            "😀",
            "😂",
            "a😀",
            "a\u{ff5e}",
            "\u{10ffff}",
        ];
        for one in texts {
            for other in texts {
                let expected = one.encode_utf16().cmp(other.encode_utf16());
                assert_eq!(utf16_order(one, other), expected, "{one} {other}");
            }
        }
    }

    #[test]
    fn sensitive_bytes_are_found_anywhere() {
        let mut bytes = vec![b'a'; 3000];
        assert!(!is_sensitive(&bytes));
        for place in [0, 1023, 1024, 2999] {
            bytes[place] = 0xEE;
            assert!(is_sensitive(&bytes), "{place}");
            bytes[place] = 0xED;
        }
    }

    #[test]
    fn a_slice_is_compared_by_its_own_rows() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["😀", "\u{ff5e}", "a", "b"]));
        let check = |start: usize, expected: Vec<Option<bool>>| {
            let slice = ColumnarValue::Array(texts.slice(start, 2));
            let first = ColumnarValue::Array(texts.slice(1, 2));
            let result = compared_texts(&[slice, first], 2, Operator::Lt).unwrap();
            assert_eq!(result.as_boolean(), &BooleanArray::from(expected), "{start}");
        };
        check(0, vec![Some(true), Some(false)]);
        check(2, vec![Some(true), Some(false)]);
    }
}
