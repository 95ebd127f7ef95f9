//! Pieces: values one behind the other, each with a number, as the bytes of a lane.
//!
//! A value is its bytes in Arrow's row form, which any type has, NULL too, and whose order is that of
//! the values. The number says where in the order of rows the value stood, or how often it came.

use arrow::array::{Array, ArrayRef, BinaryArray};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};

/// Bytes of a number.
pub(super) const NUMBER_BYTES: usize = 8;

/// Bytes in front of a value: its number, its length.
const HEAD_BYTES: usize = NUMBER_BYTES + 4;

/// What a list of pieces keeps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::operator) enum Kept {
    /// Every value; numbers are positions.
    All,
    /// Of equal values the first; numbers are positions.
    First,
    /// Of equal values one; numbers say how many there were.
    Counted,
}

/// A value and its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Piece<'a> {
    pub(super) number: i64,
    pub(super) value: &'a [u8],
}

/// The converter of values of `data_type`.
pub(super) fn converter(data_type: &DataType) -> RowConverter {
    RowConverter::new(vec![SortField::new(data_type.clone())]).expect("the plan asked is_possible")
}

/// True when values of `data_type` can be pieces.
pub(super) fn is_possible(data_type: &DataType) -> bool {
    RowConverter::supports_fields(&[SortField::new(data_type.clone())])
}

/// The values of `column` as bytes, one per row.
pub(super) fn values_of(column: &ArrayRef) -> BinaryArray {
    let rows = converter(column.data_type()).convert_columns(std::slice::from_ref(column));
    let rows = rows.expect("the converter was made for the column");
    rows.try_into_binary().expect("a batch of rows is shorter than 2 GiB")
}

/// Values as a column of `data_type`.
pub(super) fn column_of<'a>(
    values: impl Iterator<Item = &'a [u8]>,
    data_type: &DataType,
) -> ArrayRef {
    let converter = converter(data_type);
    let parser = converter.parser();
    let columns = converter.convert_rows(values.map(|value| parser.parse(value)));
    columns.expect("the values were made here").remove(0)
}

/// A number whose bytes compare as it does with others.
pub(super) fn number_bytes(number: i64) -> [u8; NUMBER_BYTES] {
    (number.cast_unsigned() ^ (1 << 63)).to_be_bytes()
}

fn number_of(bytes: [u8; NUMBER_BYTES]) -> i64 {
    (u64::from_be_bytes(bytes) ^ (1 << 63)).cast_signed()
}

/// Appends a piece to `list`.
pub(super) fn push(list: &mut Vec<u8>, piece: Piece<'_>) {
    let length = u32::try_from(piece.value.len()).expect("a value of a batch is short");
    list.reserve(HEAD_BYTES + piece.value.len());
    list.extend_from_slice(&number_bytes(piece.number));
    list.extend_from_slice(&length.to_le_bytes());
    list.extend_from_slice(piece.value);
}

/// The pieces of a list, in the order in which they were appended.
pub(super) fn pieces(mut list: &[u8]) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    while let Some((number, rest)) = list.split_first_chunk() {
        let (length, rest) = rest.split_first_chunk().expect("lists are of whole pieces");
        let (value, rest) = rest.split_at(u32::from_le_bytes(*length) as usize);
        pieces.push(Piece { number: number_of(*number), value });
        list = rest;
    }
    pieces
}

/// The pieces that `kept` keeps of a list: in the order of their positions, or of their values.
pub(super) fn ordered(list: &[u8], kept: Kept) -> Vec<Piece<'_>> {
    let mut pieces = pieces(list);
    match kept {
        // Stable: rows of one position (elements of an array) stay in order.
        Kept::All => pieces.sort_by_key(|piece| piece.number),
        Kept::First => {
            pieces.sort_by_key(|piece| (piece.value, piece.number));
            pieces.dedup_by_key(|piece| piece.value);
            pieces.sort_by_key(|piece| piece.number);
        }
        Kept::Counted => {
            pieces.sort_by_key(|piece| piece.value);
            pieces.dedup_by(|next, last| {
                let same = next.value == last.value;
                last.number += if same { next.number } else { 0 };
                same
            });
        }
    }
    pieces
}

/// The list without what `kept` does not keep.
pub(super) fn compacted(list: &[u8], kept: Kept) -> Vec<u8> {
    let mut compacted = Vec::new();
    ordered(list, kept).into_iter().for_each(|piece| push(&mut compacted, piece));
    compacted
}

/// Appends row `row` of `values` to `list`.
pub(super) fn push_row(list: &mut Vec<u8>, number: i64, values: &BinaryArray, row: usize) {
    debug_assert!(values.is_valid(row));
    push(list, Piece { number, value: values.value(row) });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kept: Kept, pushed: &[(i64, &str)], expected: &[(i64, &str)]) {
        let mut list = Vec::new();
        for (number, value) in pushed {
            push(&mut list, Piece { number: *number, value: value.as_bytes() });
        }
        let text = |pieces: Vec<Piece<'_>>| -> Vec<(i64, String)> {
            let one = |piece: Piece<'_>| String::from_utf8(piece.value.to_vec()).unwrap();
            pieces.into_iter().map(|piece| (piece.number, one(piece))).collect()
        };
        let expected: Vec<(i64, String)> =
            expected.iter().map(|(number, value)| (*number, (*value).to_string())).collect();
        assert_eq!(text(ordered(&list, kept)), expected);
        let compacted = compacted(&list, kept);
        assert_eq!(text(ordered(&compacted, kept)), expected, "compacted");
        assert_eq!(text(pieces(&compacted)), expected, "in its order");
    }

    #[test]
    fn lists_keep_what_they_should_in_order() {
        let pushed = [(5, "b"), (-2, "a"), (7, ""), (0, "b"), (5, "c"), (i64::MAX, "a")];
        let all = [(-2, "a"), (0, "b"), (5, "b"), (5, "c"), (7, ""), (i64::MAX, "a")];
        check(Kept::All, &pushed, &all);
        check(Kept::First, &pushed, &[(-2, "a"), (0, "b"), (5, "c"), (7, "")]);
        check(Kept::Counted, &[(1, "b"), (2, "a"), (3, "b")], &[(2, "a"), (4, "b")]);
        check(Kept::All, &[], &[]);
    }

    #[test]
    fn numbers_compare_by_their_bytes() {
        let numbers = [i64::MIN, -1, 0, 1, i64::MAX];
        for pair in numbers.windows(2) {
            assert!(number_bytes(pair[0]) < number_bytes(pair[1]));
        }
        assert_eq!(numbers.map(|number| number_of(number_bytes(number))), numbers);
    }
}
