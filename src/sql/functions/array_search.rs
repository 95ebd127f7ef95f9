//! What an ARRAY contains: one element, its extremes, and ARRAYs as sets.

use arrow::array::{Array, BooleanArray, Int32Array, UInt32Array, make_comparator};
use arrow::compute::{SortOptions, take};
use arrow::datatypes::DataType;
use datafusion_common::Result as PlanResult;
use std::cmp::Ordering;
use std::sync::Arc;

use super::super::eval::{Kernel, Typed, equal};
use super::array::place_of;
use super::array_change::{check_ordered, item_field, unified_arrays};
use super::kernel::call;
use super::lists::{
    ElementKeys, ElementSet, Lists, Picks, Rows, check_distinguishable, element_type,
    implicit_argument,
};
use super::{BindOptions, Scalar};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "ARRAY_CONTAINS", arguments: (2, 2), bind: array_contains },
    Scalar { name: "ARRAY_POSITION", arguments: (2, 2), bind: array_position },
    Scalar { name: "ARRAY_MAX", arguments: (1, 1), bind: array_max },
    Scalar { name: "ARRAY_MIN", arguments: (1, 1), bind: array_min },
    Scalar { name: "ARRAY_DISTINCT", arguments: (1, 1), bind: array_distinct },
    Scalar { name: "ARRAY_UNION", arguments: (2, 2), bind: array_union },
    Scalar { name: "ARRAY_EXCEPT", arguments: (2, 2), bind: array_except },
    Scalar { name: "ARRAY_INTERSECT", arguments: (2, 2), bind: array_intersect },
];

/// True when an element equals the value; NULL equals NULL.
fn array_contains(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let element = element_type(&arguments, 0)?;
    let wanted = implicit_argument(&arguments, 1, &element, options)?;
    let kernel: Kernel = Arc::new(|values, rows| {
        let (lists, needles) = (Lists::of(&values[0])?, Rows::of(&values[1])?);
        let same = equal(lists.elements(), &needles.array);
        let found = |row: usize| {
            let needle = needles.at(row);
            Some(lists.get(row)?.any(|place| same(place, needle)))
        };
        Ok(Arc::new((0..rows).map(found).collect::<BooleanArray>()))
    });
    let expressions = vec![Arc::clone(&arguments[0].expr), wanted];
    Ok(call("ARRAY_CONTAINS", expressions, DataType::Boolean, kernel))
}

/// Place of the first element that equals the value, from 1; 0 when there is none.
fn array_position(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let element = element_type(&arguments, 0)?;
    let wanted = implicit_argument(&arguments, 1, &element, options)?;
    let kernel: Kernel = Arc::new(|values, rows| {
        let (lists, needles) = (Lists::of(&values[0])?, Rows::of(&values[1])?);
        let same = equal(lists.elements(), &needles.array);
        let position = |row: usize| {
            let needle = needles.at(row);
            let mut elements = lists.get(row).filter(|_| !needles.is_null(row))?;
            let place = elements.position(|at| same(at, needle)).map_or(0, |before| before + 1);
            Some(i32::try_from(place).expect("arrays are shorter than 2 G"))
        };
        Ok(Arc::new((0..rows).map(position).collect::<Int32Array>()))
    });
    let expressions = vec![Arc::clone(&arguments[0].expr), wanted];
    Ok(call("ARRAY_POSITION", expressions, DataType::Int32, kernel))
}

fn array_max(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    extreme("ARRAY_MAX", &arguments, Ordering::Greater)
}

fn array_min(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    extreme("ARRAY_MIN", &arguments, Ordering::Less)
}

/// NULLs do not count.
fn extreme(name: &str, arguments: &[Typed], better: Ordering) -> Bound {
    let element = element_type(arguments, 0)?;
    check_ordered(&element)?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let lists = Lists::of(&values[0])?;
        let elements = lists.elements();
        let compare =
            make_comparator(elements.as_ref(), elements.as_ref(), SortOptions::default())?;
        let best = |row: usize| {
            let valid = lists.get(row)?.filter(|&place| elements.is_valid(place));
            let best = |best, next| if compare(next, best) == better { next } else { best };
            valid.reduce(best).map(place_of)
        };
        let places: UInt32Array = (0..rows).map(best).collect();
        Ok(take(elements.as_ref(), &places, None)?)
    });
    Ok(call(name, vec![Arc::clone(&arguments[0].expr)], element, kernel))
}

/// Each element once, where it is first.
fn array_distinct(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    set_function("ARRAY_DISTINCT", arguments, options, |_, _| true)
}

/// The elements of both, each once.
fn array_union(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    set_function("ARRAY_UNION", arguments, options, |_, _| true)
}

/// The elements of the first that the second has not, each once.
fn array_except(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    set_function("ARRAY_EXCEPT", arguments, options, |source, in_second| source == 0 && !in_second)
}

/// The elements of the first that the second has, each once.
fn array_intersect(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    set_function("ARRAY_INTERSECT", arguments, options, |source, in_second| {
        source == 0 && in_second
    })
}

/// `keep` is asked with the source of an element and whether the second ARRAY has it.
fn set_function(
    name: &str,
    arguments: Vec<Typed>,
    options: &BindOptions,
    keep: fn(usize, bool) -> bool,
) -> Bound {
    let element = element_type(&arguments, 0)?;
    check_distinguishable(&element)?;
    let (expressions, data_type) = unified_arrays(arguments, options)?;
    let DataType::List(item) = &data_type else { unreachable!("arrays have been unified") };
    let field = item_field(item.data_type());
    let kernel: Kernel = Arc::new(move |values, rows| {
        let lists = values.iter().map(Lists::of).collect::<PlanResult<Vec<_>>>()?;
        let keys = lists.iter().map(|list| ElementKeys::of(list.elements()));
        let keys = keys.collect::<PlanResult<Vec<_>>>()?;
        let keys: Vec<&ElementKeys> = keys.iter().collect();
        let (mut taken, mut second) = (ElementSet::default(), ElementSet::default());
        let mut picks = Picks::with_capacity(rows);
        for row in 0..rows {
            taken.clear();
            second.clear();
            let valid = lists.iter().all(|list| list.get(row).is_some());
            if valid && let Some(other) = lists.get(1) {
                for place in other.get(row).into_iter().flatten() {
                    second.insert(&keys, (1, place), 0);
                }
            }
            for (source, list) in lists.iter().enumerate().filter(|_| valid) {
                for at in list.get(row).into_iter().flatten() {
                    let place = (source, at);
                    if keep(source, second.find(&keys, place).is_some())
                        && taken.insert(&keys, place, 0).is_none()
                    {
                        picks.push(source, at);
                    }
                }
            }
            picks.close(valid);
        }
        let sources: Vec<_> = lists.iter().map(Lists::elements).collect();
        picks.into_list(&sources, &field)
    });
    Ok(call(name, expressions, data_type, kernel))
}
