//! Gathering: the rows of a column at given indices.
//!
//! Arrow's kernel, and one of our own for the column that every exchange of keyed rows moves: byte
//! strings without NULLs, nearly all of them as short as the encoding of one number.

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, UInt32Array};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use std::sync::Arc;

/// Strings up to this length are copied as if they had it: one load and one store.
const SHORT: usize = 16;

/// The rows of `array` at `indices`, in that order.
///
/// # Errors
/// Arrow's, when the type cannot be gathered or an index is out of range.
pub(super) fn gather(array: &dyn Array, indices: &UInt32Array) -> Result<ArrayRef, ArrowError> {
    if *array.data_type() == DataType::Binary && array.null_count() + indices.null_count() == 0 {
        return Ok(Arc::new(gather_strings(array.as_binary(), indices.values())?));
    }
    take(array, indices, None)
}

fn gather_strings(strings: &BinaryArray, indices: &[u32]) -> Result<BinaryArray, ArrowError> {
    let mut offsets = Vec::with_capacity(indices.len() + 1);
    let mut end = 0_usize;
    offsets.push(0);
    let ends = strings.value_offsets();
    for &index in indices {
        let Some(&[from, to]) = ends.get(index as usize..).and_then(|rest| rest.first_chunk())
        else {
            let rows = strings.len();
            let text = format!("row {index} of {rows} cannot be gathered");
            return Err(ArrowError::InvalidArgumentError(text));
        };
        end += usize::try_from(to - from).expect("offsets ascend");
        let offset = i32::try_from(end).map_err(|_| ArrowError::OffsetOverflowError(end))?;
        offsets.push(offset);
    }
    let bytes = copy_strings(strings, indices, end);
    Ok(BinaryArray::new(
        OffsetBuffer::new(ScalarBuffer::from(offsets)),
        Buffer::from_vec(bytes),
        None,
    ))
}

/// Hot: the bytes of the strings at `indices`, `length` in all.
fn copy_strings(strings: &BinaryArray, indices: &[u32], length: usize) -> Vec<u8> {
    let (ends, source) = (strings.value_offsets(), strings.value_data());
    let mut bytes = vec![0; length + SHORT];
    let mut at = 0;
    for &index in indices {
        let index = index as usize;
        #[expect(clippy::cast_sign_loss, reason = "offsets are not negative")]
        let (from, to) = (ends[index] as usize, ends[index + 1] as usize);
        if to - from <= SHORT && from + SHORT <= source.len() {
            // What is copied beyond the string is written over by the next one.
            bytes[at..at + SHORT].copy_from_slice(&source[from..from + SHORT]);
        } else {
            bytes[at..at + to - from].copy_from_slice(&source[from..to]);
        }
        at += to - from;
    }
    bytes.truncate(length);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::Int64Array;

    #[test]
    fn strings_are_gathered_as_arrow_does() {
        for seed in 1..=200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let longest = rng.usize(1..40);
            let strings: Vec<Vec<u8>> = (0..rng.usize(1..60))
                .map(|_| (0..rng.usize(0..longest)).map(|_| rng.u8(..)).collect())
                .collect();
            let all = BinaryArray::from_iter_values(&strings);
            let start = rng.usize(0..strings.len());
            let array = all.slice(start, strings.len() - start);
            let indices: UInt32Array = (0..rng.usize(0..100))
                .map(|_| u32::try_from(rng.usize(0..array.len())).ok())
                .collect();
            let gathered = gather(&array, &indices).unwrap();
            assert_eq!(&gathered, &take(&array, &indices, None).unwrap(), "seed {seed}");
            gathered.to_data().validate_full().unwrap();
        }
    }

    #[test]
    fn other_columns_are_arrows() {
        let indices = UInt32Array::from(vec![1, 0]);
        let gathered = gather(&Int64Array::from(vec![7, 8]), &indices).unwrap();
        assert_eq!(gathered.as_primitive::<arrow::datatypes::Int64Type>().values(), &[8, 7]);
        let with_null = BinaryArray::from_opt_vec(vec![None, Some(b"x")]);
        let strings = gather(&with_null, &indices).unwrap();
        assert_eq!(strings.as_binary::<i32>(), &BinaryArray::from_opt_vec(vec![Some(b"x"), None]));
    }

    #[test]
    fn a_row_that_is_not_there_is_an_error() {
        let strings = BinaryArray::from_vec(vec![b"a", b"b"]);
        let error = gather(&strings, &UInt32Array::from(vec![0, 2])).unwrap_err();
        assert!(error.to_string().contains("row 2 of 2"), "{error}");
    }
}
