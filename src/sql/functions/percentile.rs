//! PERCENTILE of the values of a group: the value at a part of their order, between two neighbours a
//! straight line.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, ListArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use std::sync::Arc;

use super::super::eval::{Kernel, Typed};
use super::super::types::list_of;
use super::BindOptions;
use super::kernel::call;

/// A value, and how often it counts.
type Weighed = (f64, i64);

/// The percentages of PERCENTILE's second argument, a constant; whether they are an ARRAY.
///
/// # Errors
/// In words for the user.
pub(in crate::sql) fn percentages(argument: &Typed) -> Result<(Vec<f64>, bool), String> {
    const FORM: &str =
        "the second argument of PERCENTILE is a constant from 0 to 1, or an ARRAY of such";
    let constant = argument.literal().ok_or(FORM)?;
    let array = constant.to_array().map_err(|_| FORM)?;
    let (values, is_list) = match array.as_list_opt::<i32>() {
        Some(list) if list.is_valid(0) => (list.value(0), true),
        Some(_) => return Err(FORM.into()),
        None => (array, false),
    };
    let values = values.as_primitive_opt::<Float64Type>().ok_or(FORM)?;
    let in_range = |value: &f64| (0.0..=1.0).contains(value);
    if values.null_count() > 0 || !values.values().iter().all(in_range) {
        return Err(FORM.into());
    }
    Ok((values.values().to_vec(), is_list))
}

/// Percentiles of a list of doubles, or of rows of a double and a BIGINT.
pub(super) fn percentile_of(arguments: Vec<Typed>, _: &BindOptions) -> Result<Typed, String> {
    let (percentages, is_list) = percentages(&arguments[1])?;
    let data_type = if is_list { list_of(DataType::Float64) } else { DataType::Float64 };
    let result = data_type.clone();
    let kernel: Kernel = Arc::new(move |given, rows| {
        let lists = given[0].clone().into_array(rows)?;
        let lists = lists.as_list::<i32>();
        let found: Vec<Option<Vec<f64>>> = (0..rows)
            .map(|row| lists.is_valid(row).then(|| weighed(&lists.value(row))))
            .map(|list| list.and_then(|list| percentiles(list, &percentages)))
            .collect();
        Ok(match &result {
            DataType::List(element) => {
                let nulls = NullBuffer::from_iter(found.iter().map(Option::is_some));
                let lengths = found.iter().map(|found| found.as_ref().map_or(0, Vec::len));
                let offsets = OffsetBuffer::from_lengths(lengths);
                let values =
                    Float64Array::from_iter_values(found.iter().flatten().flatten().copied());
                let element = Arc::clone(element);
                Arc::new(ListArray::try_new(element, offsets, Arc::new(values), Some(nulls))?)
            }
            _ => {
                let first = |one: &Option<Vec<f64>>| one.as_ref()?.first().copied();
                Arc::new(found.iter().map(first).collect::<Float64Array>()) as ArrayRef
            }
        })
    });
    let shown: Vec<String> =
        arguments.iter().map(|argument| format!("{:?}", argument.expr)).collect();
    let name = format!("PERCENTILE({{}}; {})", shown[1]);
    Ok(call(&name, vec![Arc::clone(&arguments[0].expr)], data_type, kernel))
}

/// The values of a list with their weights; NULLs, and what counts less than once, are left out.
fn weighed(list: &ArrayRef) -> Vec<Weighed> {
    match list.as_struct_opt() {
        None => {
            let values = list.as_primitive::<Float64Type>();
            values.iter().flatten().map(|value| (value, 1)).collect()
        }
        Some(rows) => {
            let values = rows.column(0).as_primitive::<Float64Type>().iter();
            let weights = rows.column(1).as_primitive::<Int64Type>().iter();
            let pairs = values.zip(weights).filter_map(|(value, weight)| value.zip(weight));
            pairs.filter(|(_, weight)| *weight > 0).collect()
        }
    }
}

/// The percentiles, in the order of `percentages`; `None` of no values.
fn percentiles(mut values: Vec<Weighed>, percentages: &[f64]) -> Option<Vec<f64>> {
    // One NaN, behind all numbers; −0.0 before 0.0.
    let canonical = |value: f64| if value.is_nan() { f64::NAN.abs() } else { value };
    values.iter_mut().for_each(|(value, _)| *value = canonical(*value));
    values.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    values.dedup_by(|(next, weight), (last, total)| {
        let same = next.to_bits() == last.to_bits();
        *total = if same { total.saturating_add(*weight) } else { *total };
        same
    });
    let mut last_place = 0_i64;
    let ends: Vec<i64> = values
        .iter()
        .map(|(_, weight)| {
            last_place = last_place.saturating_add(*weight);
            last_place
        })
        .collect();
    let total = *ends.last()?;
    (!percentages.is_empty()).then(|| {
        percentages.iter().map(|percentage| at(&values, &ends, place(total, *percentage))).collect()
    })
}

/// Between 1 and `total`.
fn place(total: i64, percentage: f64) -> f64 {
    percentage * (total - 1) as f64 + 1.0
}

/// The value at a place, of sorted values each of which reaches up to its end.
#[expect(clippy::cast_possible_truncation, reason = "places are between 1 and a 64-bit total")]
fn at(values: &[Weighed], ends: &[i64], place: f64) -> f64 {
    let (lower, higher) = (place.floor() as i64, place.ceil() as i64);
    let index = ends.partition_point(|end| *end < lower).min(values.len() - 1);
    let value = values[index].0;
    match values.get(index + 1) {
        Some((next, _)) if ends[index] < higher => {
            (higher as f64 - place) * value + (place - lower as f64) * next
        }
        _ => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[Weighed], percentages: &[f64], expected: Option<&[f64]>) {
        let found = percentiles(values.to_vec(), percentages);
        assert_eq!(found.as_deref(), expected, "{values:?} {percentages:?}");
    }

    #[test]
    fn a_percentile_is_a_value_or_between_two() {
        check(&[], &[0.5], None);
        check(&[(1.0, 1)], &[], None);
        check(&[(1.0, 1)], &[0.0, 0.5, 1.0], Some(&[1.0, 1.0, 1.0]));
        check(&[(3.0, 1), (1.0, 1)], &[1.0, 0.5, 0.25, 0.0], Some(&[3.0, 2.0, 1.5, 1.0]));
        check(&[(1.0, 1), (5.0, 3)], &[0.5, 0.1], Some(&[5.0, 1.0 * 0.7 + 0.3 * 5.0]));
        // Between two equal values there is no line.
        let infinity = f64::INFINITY;
        check(&[(infinity, 1), (infinity, 1), (0.0, 1)], &[0.75], Some(&[infinity]));
        check(&[(1.0, i64::MAX), (2.0, i64::MAX)], &[0.0], Some(&[1.0]));
    }

    #[test]
    fn nan_is_behind_all_numbers() {
        let found = percentiles(vec![(-f64::NAN, 1), (1.0, 1), (-0.0, 1), (0.0, 1)], &[0.0, 1.0]);
        let bits: Vec<u64> = found.unwrap().into_iter().map(f64::to_bits).collect();
        assert_eq!(bits, [(-0.0_f64).to_bits(), f64::NAN.to_bits()]);
    }
}
