//! Equality of values of any type, row against row.
//!
//! NULL equals NULL here; who has `=` to answer looks for NULL before. Numbers compare by value, so
//! NaN equals nothing. Of two MAPs the order of entries does not matter.

use arrow::array::{Array, ArrayRef, AsArray, MapArray, downcast_primitive_array};
use arrow::datatypes::DataType;

/// Row of the left array, row of the right one.
pub(in crate::sql) type Equal<'a> = Box<dyn Fn(usize, usize) -> bool + 'a>;

/// Compares rows of two arrays of one type.
pub(in crate::sql) fn equal<'a>(left: &'a ArrayRef, right: &'a ArrayRef) -> Equal<'a> {
    let values = equal_values(left, right);
    if left.null_count() == 0 && right.null_count() == 0 {
        return values;
    }
    Box::new(move |i, j| match (left.is_null(i), right.is_null(j)) {
        (false, false) => values(i, j),
        (one, other) => one && other,
    })
}

fn equal_values<'a>(left: &'a ArrayRef, right: &'a ArrayRef) -> Equal<'a> {
    downcast_primitive_array!(
        (left, right) => Box::new(move |i, j| left.value(i) == right.value(j)),
        (DataType::Boolean, DataType::Boolean) => {
            let (left, right) = (left.as_boolean(), right.as_boolean());
            Box::new(move |i, j| left.value(i) == right.value(j))
        },
        (DataType::Utf8, DataType::Utf8) => {
            let (left, right) = (left.as_string::<i32>(), right.as_string::<i32>());
            Box::new(move |i, j| left.value(i) == right.value(j))
        },
        (DataType::Binary, DataType::Binary) => {
            let (left, right) = (left.as_binary::<i32>(), right.as_binary::<i32>());
            Box::new(move |i, j| left.value(i) == right.value(j))
        },
        (DataType::List(_), DataType::List(_)) => {
            let (left, right) = (left.as_list::<i32>(), right.as_list::<i32>());
            let items = equal(left.values(), right.values());
            Box::new(move |i, j| {
                let own = range(left.value_offsets(), i);
                let others = range(right.value_offsets(), j);
                own.len() == others.len() && own.zip(others).all(|(one, other)| items(one, other))
            })
        },
        (DataType::Struct(_), DataType::Struct(_)) => {
            let pairs = left.as_struct().columns().iter().zip(right.as_struct().columns());
            let fields: Vec<Equal> = pairs.map(|(one, other)| equal(one, other)).collect();
            Box::new(move |i, j| fields.iter().all(|field| field(i, j)))
        },
        (DataType::Map(..), DataType::Map(..)) => equal_maps(left.as_map(), right.as_map()),
        // Of the type NULL every value is NULL.
        (_, _) => Box::new(|_, _| true)
    )
}

fn equal_maps<'a>(left: &'a MapArray, right: &'a MapArray) -> Equal<'a> {
    let keys = equal(left.keys(), right.keys());
    let values = equal(left.values(), right.values());
    Box::new(move |i, j| {
        let mut own = range(left.value_offsets(), i);
        let others = range(right.value_offsets(), j);
        let has = |at: usize| {
            let found = others.clone().find(|&other| keys(at, other));
            found.is_some_and(|other| values(at, other))
        };
        own.len() == others.len() && own.all(has)
    })
}

/// Elements of a row.
pub(in crate::sql) fn range(offsets: &[i32], row: usize) -> std::ops::Range<usize> {
    let at = |index: usize| usize::try_from(offsets[index]).expect("offsets are not negative");
    at(row)..at(row + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int32Array, ListArray, StringArray, StructArray};
    use arrow::datatypes::{Field, Int32Type};
    use std::sync::Arc;

    fn check(array: &ArrayRef, expected: &[(usize, usize, bool)]) {
        let equal = equal(array, array);
        for &(i, j, same) in expected {
            assert_eq!(equal(i, j), same, "{i} {j} of {array:?}");
            assert_eq!(equal(j, i), same, "{j} {i} of {array:?}");
        }
    }

    #[test]
    fn parts_decide() {
        let numbers: ArrayRef =
            Arc::new(Float64Array::from(vec![Some(0.0), Some(-0.0), None, Some(f64::NAN)]));
        check(&numbers, &[(0, 1, true), (0, 2, false), (2, 2, true), (3, 3, false)]);
        let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>([
            Some(vec![Some(1), None]),
            Some(vec![Some(1)]),
            Some(vec![]),
            None,
            Some(vec![Some(1), None]),
        ]));
        check(&lists, &[(0, 4, true), (0, 1, false), (1, 2, false), (2, 3, false), (3, 3, true)]);
        let text: ArrayRef =
            Arc::new(StringArray::from(vec![Some("a"), Some("a"), Some("b"), None, None]));
        let rows: ArrayRef = Arc::new(StructArray::from(vec![
            (Arc::new(Field::new("l", lists.data_type().clone(), true)), lists),
            (Arc::new(Field::new("t", DataType::Utf8, true)), text),
        ]));
        check(&rows, &[(0, 0, true), (0, 1, false), (0, 4, false), (3, 3, true)]);
    }

    #[test]
    fn maps_have_no_order() {
        let keys = ["a", "b", "b", "a", "a", "c"];
        let values = Int32Array::from(vec![1, 2, 2, 1, 1, 2]);
        let map = MapArray::new_from_strings(keys.into_iter(), &values, &[0, 2, 4, 6]);
        let maps: ArrayRef = Arc::new(map.unwrap());
        check(&maps, &[(0, 1, true), (0, 2, false), (2, 2, true)]);
    }
}
