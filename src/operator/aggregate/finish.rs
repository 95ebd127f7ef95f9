//! From lanes to results, as Flink gives them.
//!
//! SUM, MIN, MAX and AVG of nothing are NULL. Integer sums wrap in the result's type, integer
//! averages are cut towards zero. A decimal beyond 38 digits is NULL; a decimal average is rounded
//! half away from zero.

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, StringArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type, Int64Type};
use std::sync::Arc;

use super::input::from_ordered_image;
use super::moments::Moments;
use super::ordered::{arrays, deviations_of_lists, ends, last_of_lists, multisets};
use super::plan::{AggregatePlan, LaneOperation, ResultColumn};
use crate::operator::AggregateFunction;

/// Decimals lie strictly between this and its negative.
const DECIMAL_BOUND: i128 = 10_i128.pow(38);

impl AggregatePlan {
    /// One result column per call, of groups whose lanes are `lanes`.
    pub(in crate::operator) fn finish(&self, lanes: &[ArrayRef]) -> Vec<ArrayRef> {
        assert_eq!(lanes.len(), self.lanes.len());
        self.results.iter().map(|result| self.finish_one(result, lanes)).collect()
    }

    fn finish_one(&self, result: &ResultColumn, lanes: &[ArrayRef]) -> ArrayRef {
        let value = &lanes[result.value];
        let counts = result.count.map(|lane| lanes[lane].as_primitive::<Int64Type>().values());
        let nulls = counts
            .map(|counts| BooleanBuffer::collect_bool(counts.len(), |row| counts[row] != 0))
            .map(NullBuffer::new)
            .filter(|nulls| nulls.null_count() > 0);
        let is_average = result.function == AggregateFunction::Avg;
        match (self.lanes[result.value].operation, is_average) {
            (LaneOperation::AddInt, false) => ints(value, nulls, &result.result_type),
            (LaneOperation::AddInt, true) => {
                let counts = counts.expect("AVG has a counting lane");
                let means = value.as_primitive::<Int64Type>().values().iter().zip(counts);
                let means = means.map(|(sum, count)| sum.checked_div(*count).unwrap_or(0));
                let means: ArrayRef = Arc::new(Int64Array::from_iter_values(means));
                ints(&means, nulls, &result.result_type)
            }
            (LaneOperation::AddFloat, is_average) => {
                let counts = counts.filter(|_| is_average);
                floats(value, counts.map(AsRef::as_ref), nulls, &result.result_type)
            }
            (LaneOperation::MinInt | LaneOperation::MaxInt, _) => {
                images(value, nulls, &result.result_type)
            }
            (LaneOperation::Moments, _) => {
                let moments = value.as_binary::<i32>().iter().flatten().map(Moments::from_bytes);
                Arc::new(moments.map(Moments::squares).collect::<Float64Array>())
            }
            (LaneOperation::First | LaneOperation::Last, _) => {
                ends(value.as_binary(), &result.result_type)
            }
            (LaneOperation::List(kept), _) => {
                let (lists, result_type) = (value.as_binary(), &result.result_type);
                match result.function {
                    AggregateFunction::LastValue => last_of_lists(lists, kept, result_type),
                    AggregateFunction::SquaredDeviations => deviations_of_lists(lists, kept),
                    AggregateFunction::Collect => multisets(lists, result.distinct, result_type),
                    _ => arrays(lists, kept, result_type),
                }
            }
            (LaneOperation::MinBytes | LaneOperation::MaxBytes, _) => {
                byte_strings(value, &result.result_type)
            }
            (
                LaneOperation::AddDecimal(scale)
                | LaneOperation::MinDecimal(scale)
                | LaneOperation::MaxDecimal(scale),
                is_average,
            ) => {
                let counts = counts.filter(|_| is_average);
                decimals(value, scale, counts.map(AsRef::as_ref), nulls, &result.result_type)
            }
        }
    }
}

/// Integers, wrapped to the width of `result_type`.
#[expect(clippy::cast_possible_truncation, reason = "Flink's integer sums wrap in their type")]
fn ints(values: &ArrayRef, nulls: Option<NullBuffer>, result_type: &DataType) -> ArrayRef {
    let values = values.as_primitive::<Int64Type>().values();
    match result_type {
        DataType::Int8 => {
            Arc::new(Int8Array::new(values.iter().map(|value| *value as i8).collect(), nulls))
        }
        DataType::Int16 => {
            Arc::new(Int16Array::new(values.iter().map(|value| *value as i16).collect(), nulls))
        }
        DataType::Int32 => {
            Arc::new(Int32Array::new(values.iter().map(|value| *value as i32).collect(), nulls))
        }
        _ => Arc::new(Int64Array::new(values.clone(), nulls)),
    }
}

/// Sums, or with `counts` means.
fn floats(
    sums: &ArrayRef,
    counts: Option<&[i64]>,
    nulls: Option<NullBuffer>,
    result_type: &DataType,
) -> ArrayRef {
    let sums = sums.as_primitive::<Float64Type>().values();
    let values: Vec<f64> = match counts {
        Some(counts) => sums.iter().zip(counts).map(|(sum, count)| sum / *count as f64).collect(),
        None => sums.to_vec(),
    };
    narrow_floats(values, nulls, result_type)
}

#[expect(clippy::cast_possible_truncation, reason = "a FLOAT result has fewer digits")]
fn narrow_floats(values: Vec<f64>, nulls: Option<NullBuffer>, result_type: &DataType) -> ArrayRef {
    match result_type {
        DataType::Float32 => {
            Arc::new(Float32Array::new(values.iter().map(|value| *value as f32).collect(), nulls))
        }
        _ => Arc::new(Float64Array::new(values.into(), nulls)),
    }
}

/// What `input::ints_of` made integers of.
fn images(column: &ArrayRef, nulls: Option<NullBuffer>, result_type: &DataType) -> ArrayRef {
    let images = column.as_primitive::<Int64Type>().values();
    match result_type {
        DataType::Float32 | DataType::Float64 => {
            let values = images.iter().map(|image| from_ordered_image(*image)).collect();
            narrow_floats(values, nulls, result_type)
        }
        DataType::Boolean => {
            let values = BooleanBuffer::collect_bool(images.len(), |row| images[row] > 0);
            Arc::new(BooleanArray::new(values, nulls))
        }
        DataType::Date32 | DataType::Time32(_) => {
            let narrow = ints(column, nulls, &DataType::Int32);
            cast(&narrow, result_type).expect("INT and DATE or TIME have one form")
        }
        DataType::Time64(_) | DataType::Timestamp(..) => {
            let wide = ints(column, nulls, &DataType::Int64);
            cast(&wide, result_type).expect("BIGINT and TIMESTAMP have one form")
        }
        _ => ints(column, nulls, result_type),
    }
}

fn byte_strings(values: &ArrayRef, result_type: &DataType) -> ArrayRef {
    match result_type {
        DataType::Utf8 => {
            let strings = StringArray::try_from_binary(values.as_binary::<i32>().clone());
            Arc::new(strings.expect("they came out of a string column"))
        }
        _ => Arc::clone(values),
    }
}

/// Sums or extremes, or with `counts` means, at the scale of `result_type`.
fn decimals(
    values: &ArrayRef,
    scale: i8,
    counts: Option<&[i64]>,
    nulls: Option<NullBuffer>,
    result_type: &DataType,
) -> ArrayRef {
    let DataType::Decimal128(_, result_scale) = result_type else {
        unreachable!("the plan gives decimals for decimals")
    };
    let raise = 10_i128.pow(u32::try_from(result_scale - scale).expect("the plan compared scales"));
    let values = values.as_primitive::<Decimal128Type>().values();
    let results = values.iter().enumerate().map(|(row, &value)| {
        let is_null = nulls.as_ref().is_some_and(|nulls| nulls.is_null(row));
        let in_range = -DECIMAL_BOUND < value && value < DECIMAL_BOUND;
        let value = (!is_null && in_range).then_some(value)?;
        let result = match counts {
            Some(counts) => mean(value, i128::from(counts[row]), raise)?,
            None => value,
        };
        (-DECIMAL_BOUND < result && result < DECIMAL_BOUND).then_some(result)
    });
    let array: Decimal128Array = results.collect();
    Arc::new(array.with_data_type(result_type.clone()))
}

/// `sum × raise ÷ count`, rounded half away from zero; `None` when it leaves 128 bits.
fn mean(sum: i128, count: i128, raise: i128) -> Option<i128> {
    let whole = (sum / count).checked_mul(raise)?;
    // Below count × raise, which is below 2^63 × 10^38 only in theory: scales differ by 6 or less.
    let rest = (sum % count).checked_mul(raise)?;
    let (quotient, remainder) = (rest / count, rest % count);
    let rounding = if remainder.abs() * 2 >= count { remainder.signum() } else { 0 };
    whole.checked_add(quotient + rounding)
}
