//! An ARRAY from an ARRAY: elements added, removed, turned round, cut, sorted.

use arrow::array::{Array, BooleanArray, make_comparator};
use arrow::compute::SortOptions;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion_common::Result as PlanResult;
use datafusion_expr::ColumnarValue;
use std::cmp::Ordering;
use std::sync::Arc;

use super::super::eval::{Kernel, Physical, Typed, equal};
use super::super::types::{is_nested, type_name};
use super::conditional::unified;
use super::kernel::{Integers, call, integer_argument};
use super::lists::{Lists, Picks, Rows, element_type, implicit_argument};
use super::{ANY, BindOptions, Scalar, wrong_argument};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "ARRAY_APPEND", arguments: (2, 2), bind: array_append },
    Scalar { name: "ARRAY_PREPEND", arguments: (2, 2), bind: array_prepend },
    Scalar { name: "ARRAY_CONCAT", arguments: (1, ANY), bind: array_concat },
    Scalar { name: "ARRAY_REMOVE", arguments: (2, 2), bind: array_remove },
    Scalar { name: "ARRAY_REVERSE", arguments: (1, 1), bind: array_reverse },
    Scalar { name: "ARRAY_SLICE", arguments: (2, 3), bind: array_slice },
    Scalar { name: "ARRAY_SORT", arguments: (1, 3), bind: array_sort },
];

/// The field of the elements of an ARRAY.
pub(super) fn item_field(element: &DataType) -> FieldRef {
    Arc::new(Field::new_list_field(element.clone(), true))
}

/// An ARRAY and a value of its elements' type.
fn with_element(arguments: &[Typed], options: &BindOptions) -> Result<Vec<Physical>, String> {
    let element = element_type(arguments, 0)?;
    let value = implicit_argument(arguments, 1, &element, options)?;
    Ok(vec![Arc::clone(&arguments[0].expr), value])
}

fn array_append(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    extended("ARRAY_APPEND", &arguments, options, |picks, elements, added| {
        picks.extend(0, elements);
        picks.push(1, added);
    })
}

fn array_prepend(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    extended("ARRAY_PREPEND", &arguments, options, |picks, elements, added| {
        picks.push(1, added);
        picks.extend(0, elements);
    })
}

fn extended(
    name: &str,
    arguments: &[Typed],
    options: &BindOptions,
    extend: fn(&mut Picks, std::ops::Range<usize>, usize),
) -> Bound {
    let field = item_field(&element_type(arguments, 0)?);
    let expressions = with_element(arguments, options)?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (lists, added) = (Lists::of(&values[0])?, Rows::of(&values[1])?);
        let mut picks = Picks::with_capacity(rows);
        for row in 0..rows {
            let elements = lists.get(row);
            let valid = elements.is_some();
            if let Some(elements) = elements {
                extend(&mut picks, elements, added.at(row));
            }
            picks.close(valid);
        }
        picks.into_list(&[lists.elements(), &added.array], &field)
    });
    Ok(call(name, expressions, arguments[0].data_type.clone(), kernel))
}

/// All elements of all ARRAYs; NULL when one is.
fn array_concat(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let (expressions, data_type) = unified_arrays(arguments, options)?;
    let DataType::List(item) = &data_type else { unreachable!("arrays have been unified") };
    let field = Arc::clone(item);
    let kernel: Kernel = Arc::new(move |values, rows| {
        let lists = values.iter().map(Lists::of).collect::<PlanResult<Vec<_>>>()?;
        let mut picks = Picks::with_capacity(rows);
        for row in 0..rows {
            let mut valid = true;
            for (source, list) in lists.iter().enumerate() {
                match list.get(row) {
                    Some(elements) => picks.extend(source, elements),
                    None => valid = false,
                }
            }
            picks.close(valid);
        }
        let sources: Vec<_> = lists.iter().map(Lists::elements).collect();
        picks.into_list(&sources, &field)
    });
    Ok(call("ARRAY_CONCAT", expressions, data_type, kernel))
}

/// ARRAYs of one type.
pub(super) fn unified_arrays(
    arguments: Vec<Typed>,
    options: &BindOptions,
) -> Result<(Vec<Physical>, DataType), String> {
    for position in 0..arguments.len() {
        element_type(&arguments, position)?;
    }
    unified(arguments, options)
}

/// Without the elements that equal a value; NULL equals NULL.
fn array_remove(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let field = item_field(&element_type(&arguments, 0)?);
    let expressions = with_element(&arguments, options)?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let (lists, removed) = (Lists::of(&values[0])?, Rows::of(&values[1])?);
        let same = equal(lists.elements(), &removed.array);
        let mut picks = Picks::with_capacity(rows);
        for row in 0..rows {
            let elements = lists.get(row);
            let (valid, value) = (elements.is_some(), removed.at(row));
            picks
                .extend(0, elements.into_iter().flatten().filter(|&element| !same(element, value)));
            picks.close(valid);
        }
        picks.into_list(&[lists.elements()], &field)
    });
    Ok(call("ARRAY_REMOVE", expressions, arguments[0].data_type.clone(), kernel))
}

fn array_reverse(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let field = item_field(&element_type(&arguments, 0)?);
    let kernel: Kernel = Arc::new(move |values, rows| {
        let lists = Lists::of(&values[0])?;
        let mut picks = Picks::with_capacity(rows);
        for row in 0..rows {
            let elements = lists.get(row);
            let valid = elements.is_some();
            picks.extend(0, elements.into_iter().flatten().rev());
            picks.close(valid);
        }
        picks.into_list(&[lists.elements()], &field)
    });
    let [given] = &arguments[..] else { unreachable!("the registry counted one") };
    Ok(call("ARRAY_REVERSE", vec![Arc::clone(&given.expr)], given.data_type.clone(), kernel))
}

/// From one place to another, both included; negative ones count from the end.
fn array_slice(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let field = item_field(&element_type(&arguments, 0)?);
    let mut expressions = vec![Arc::clone(&arguments[0].expr)];
    for position in 1..arguments.len() {
        expressions.push(integer_argument(&arguments, position, options)?);
    }
    let kernel: Kernel = Arc::new(move |values, rows| {
        let lists = Lists::of(&values[0])?;
        let starts = Integers::of(&values[1])?;
        let ends = values.get(2).map(Integers::of).transpose()?;
        let mut picks = Picks::with_capacity(rows);
        for row in 0..rows {
            let sliced = || {
                let (elements, start) = (lists.get(row)?, starts.get(row)?);
                let end = match &ends {
                    Some(ends) => ends.get(row)?,
                    None => i64::MAX,
                };
                let (from, to) = bounds(elements.len(), start, end);
                Some(elements.start + from..elements.start + to)
            };
            let elements = sliced();
            let valid = elements.is_some();
            picks.extend(0, elements.into_iter().flatten());
            picks.close(valid);
        }
        picks.into_list(&[lists.elements()], &field)
    });
    Ok(call("ARRAY_SLICE", expressions, arguments[0].data_type.clone(), kernel))
}

/// Places from 1 to a half-open range from 0 of `length` elements.
fn bounds(length: usize, start: i64, end: i64) -> (usize, usize) {
    let size = i64::try_from(length).expect("arrays are shorter than 2 G");
    let from_front = |place: i64| if place < 0 { place.saturating_add(size + 1) } else { place };
    let start = from_front(start).max(1);
    let end = match from_front(end) {
        0 => 1,
        end => end.min(size),
    };
    if end < start || size == 0 {
        return (0, 0);
    }
    let place = |place: i64| usize::try_from(place).expect("places are between 0 and the length");
    (place(start - 1), place(end))
}

/// Sorted; descending when the second argument is FALSE; NULLs first when the third is TRUE, and
/// without it when ascending.
fn array_sort(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let element = element_type(&arguments, 0)?;
    check_ordered(&element)?;
    for (position, flag) in arguments.iter().enumerate().skip(1) {
        if flag.data_type != DataType::Boolean {
            return Err(wrong_argument(position + 1, "BOOLEAN", &flag.data_type));
        }
    }
    let field = item_field(&element);
    let kernel: Kernel = Arc::new(move |values, rows| {
        let lists = Lists::of(&values[0])?;
        let flags = values[1..].iter().map(|flag| Flags::of(flag, rows));
        let flags = flags.collect::<PlanResult<Vec<_>>>()?;
        let elements = lists.elements();
        let options = SortOptions { descending: false, nulls_first: true };
        let compare = make_comparator(elements.as_ref(), elements.as_ref(), options)?;
        let mut picks = Picks::with_capacity(rows);
        for row in 0..rows {
            let ascending = flags.first().map_or(Some(true), |flags| flags.get(row));
            let nulls_first = flags.get(1).map_or(ascending, |flags| flags.get(row));
            let (Some(list), Some(ascending), Some(nulls_first)) =
                (lists.get(row), ascending, nulls_first)
            else {
                picks.close(false);
                continue;
            };
            picks.extend(0, list);
            picks.row().sort_by(|&(_, a), &(_, b)| {
                match (elements.is_null(a), elements.is_null(b)) {
                    (false, false) if ascending => compare(a, b),
                    (false, false) => compare(b, a),
                    (true, true) => Ordering::Equal,
                    (true, false) if nulls_first => Ordering::Less,
                    (false, true) if !nulls_first => Ordering::Less,
                    _ => Ordering::Greater,
                }
            });
            picks.close(true);
        }
        picks.into_list(&[elements], &field)
    });
    let expressions = arguments.iter().map(|argument| Arc::clone(&argument.expr)).collect();
    Ok(call("ARRAY_SORT", expressions, arguments[0].data_type.clone(), kernel))
}

/// True for types whose values have an order.
pub(super) fn check_ordered(element: &DataType) -> Result<(), String> {
    match is_nested(element) {
        true => Err(format!("elements of type {} have no order", type_name(element))),
        false => Ok(()),
    }
}

/// A BOOLEAN argument.
struct Flags {
    values: BooleanArray,
}

impl Flags {
    fn of(value: &ColumnarValue, rows: usize) -> PlanResult<Flags> {
        let array = value.clone().into_array(rows)?;
        Ok(Flags { values: arrow::array::AsArray::as_boolean(&array).clone() })
    }

    fn get(&self, row: usize) -> Option<bool> {
        self.values.is_valid(row).then(|| self.values.value(row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_flinks() {
        let cases = [
            ((4, 2, 3), (1, 3)),
            ((4, -3, -1), (1, 4)),
            ((4, 0, 2), (0, 2)),
            ((3, 3, 1), (0, 0)),
            ((3, 1, 0), (0, 1)),
            ((3, 5, 9), (0, 0)),
            ((3, -9, -9), (0, 0)),
            ((0, 1, 1), (0, 0)),
            ((3, i64::MIN, i64::MAX), (0, 3)),
            ((3, i64::MAX, i64::MIN), (0, 0)),
        ];
        for ((length, start, end), expected) in cases {
            assert_eq!(bounds(length, start, end), expected, "{length} {start} {end}");
        }
    }
}
