//! Aggregates against results written down, and merged in every order.

use arrow::array::*;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use arrow::util::display::array_value_to_string;
use std::sync::Arc;

use super::*;
use crate::operator::{AggregateCall, AggregateFunction};
use crate::record::KeyHasher;

use AggregateFunction::{
    ArrayAgg, Avg, Collect, Count, FirstValue, LastValue, ListPresent, Max, Min, Sum,
};

const HASHER: KeyHasher = KeyHasher::new(1);

fn call(function: AggregateFunction, result_type: DataType) -> AggregateCall {
    let name = "a".to_string();
    AggregateCall { function, argument: Some(0), distinct: false, filter: None, name, result_type }
}

/// One group's result over `rows`, sent in pieces of `piece` rows, combined or not.
fn aggregate(call: &AggregateCall, rows: &RecordBatch, piece: usize, combine: bool) -> String {
    let plan = AggregatePlan::new(std::slice::from_ref(call), &rows.schema()).unwrap();
    let mut groups = Groups::new(&plan, HASHER, crate::state::Tracking::Off);
    // Two tables merged into a third, as the slices of a window are.
    let mut other = Groups::new(&plan, HASHER, crate::state::Tracking::Off);
    let mut start = 0;
    while start < rows.num_rows() {
        let part = rows.slice(start, piece.min(rows.num_rows() - start));
        let target = if (start / piece).is_multiple_of(2) { &mut groups } else { &mut other };
        merge(&plan, target, &part, combine);
        start += piece;
    }
    let mut merged = Groups::new(&plan, HASHER, crate::state::Tracking::Off);
    for from in [&groups, &other] {
        let part = from.read(&plan, &mut GroupsCursor::default(), 10);
        merged.merge_groups(&plan, &part);
        for set in 0..plan.distinct.len() {
            let mut cursor = crate::state::Cursor::default();
            while merged.merge_seen(&plan, set, from, &mut cursor, 2) > 0 {}
        }
    }
    let all = merged.read(&plan, &mut GroupsCursor::default(), 10);
    assert_eq!(all.len(), 1, "one group");
    let result = plan.finish(&all.lanes);
    assert_eq!(result[0].data_type(), &call.result_type);
    if result[0].is_null(0) { "NULL".into() } else { array_value_to_string(&result[0], 0).unwrap() }
}

fn merge(plan: &AggregatePlan, target: &mut Groups, rows: &RecordBatch, combine: bool) {
    let combine = combine && !plan.has_distinct();
    let group_count = if combine { 1 } else { rows.num_rows() };
    let numbers = 0..u32::try_from(rows.num_rows()).unwrap();
    let groups: Vec<u32> = numbers.map(|row| if combine { 0 } else { row }).collect();
    let lanes: Vec<ArrayRef> = plan
        .sent_lanes()
        .map(|lane| {
            let mut column = LaneColumn::new(lane.operation);
            column.update(lane, rows.columns(), &groups, group_count);
            column.take(lane.operation)
        })
        .collect();
    let arguments: Vec<ArrayRef> =
        plan.distinct.iter().map(|set| distinct_argument(set, rows.columns())).collect();
    target.merge(plan, &vec![7; group_count], |_| b"key", &lanes, &arguments);
}

/// Checks `call` over argument `column` and the filter `mask`.
#[track_caller]
fn check_call(call: &AggregateCall, column: ArrayRef, mask: &[Option<bool>], expected: &str) {
    let mask: ArrayRef = Arc::new(BooleanArray::from(mask.to_vec()));
    let schema = Schema::new(vec![
        Field::new("x", column.data_type().clone(), true),
        Field::new("f", DataType::Boolean, true),
        Field::new("at", DataType::Int64, false),
    ]);
    let positions: ArrayRef = Arc::new((0..column.len() as i64).collect::<Int64Array>());
    let rows = RecordBatch::try_new(Arc::new(schema), vec![column, mask, positions]).unwrap();
    let reversed: UInt32Array = (0..u32::try_from(rows.num_rows()).unwrap()).rev().collect();
    let backwards = arrow::compute::take_record_batch(&rows, &reversed).unwrap();
    for piece in 1..=rows.num_rows() {
        for combine in [true, false] {
            assert_eq!(aggregate(call, &rows, piece, combine), expected, "pieces of {piece}");
            assert_eq!(aggregate(call, &backwards, piece, combine), expected, "backwards");
        }
    }
}

#[track_caller]
fn check(function: AggregateFunction, column: ArrayRef, result_type: DataType, expected: &str) {
    let mask = vec![None; column.len()];
    check_call(&call(function, result_type), column, &mask, expected);
}

#[test]
fn integers_wrap_in_their_type_and_averages_are_cut() {
    let bytes: ArrayRef = Arc::new(Int8Array::from(vec![Some(100), Some(100), None, Some(-1)]));
    check(Sum, bytes.clone(), DataType::Int8, "-57");
    check(Avg, bytes.clone(), DataType::Int8, "66");
    check(Count, bytes.clone(), DataType::Int64, "3");
    check(Min, bytes.clone(), DataType::Int8, "-1");
    check(Max, bytes, DataType::Int8, "100");
    let negative: ArrayRef = Arc::new(Int32Array::from(vec![-1, -2, -2]));
    check(Avg, negative, DataType::Int32, "-1");
    let large: ArrayRef = Arc::new(Int64Array::from(vec![i64::MAX, 2]));
    check(Sum, large.clone(), DataType::Int64, "-9223372036854775807");
    check(Max, large, DataType::Int64, "9223372036854775807");
    let short: ArrayRef = Arc::new(Int16Array::from(vec![i16::MAX, 1]));
    check(Sum, short.clone(), DataType::Int16, "-32768");
    check(Min, short, DataType::Int16, "1");
}

#[test]
fn nothing_gives_null_and_count_zero() {
    let none: ArrayRef = Arc::new(Int32Array::from(vec![None, None]));
    for function in [Sum, Min, Max, Avg] {
        check(function, none.clone(), DataType::Int32, "NULL");
    }
    check(Count, none, DataType::Int64, "0");
    let no_text: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>, None]));
    check(Min, no_text, DataType::Utf8, "NULL");
    let no_decimal: ArrayRef =
        Arc::new(Decimal128Array::from(vec![None, None]).with_precision_and_scale(10, 2).unwrap());
    check(Sum, no_decimal.clone(), DataType::Decimal128(38, 2), "NULL");
    check(Avg, no_decimal, DataType::Decimal128(38, 6), "NULL");
}

#[test]
fn doubles_have_one_nan_behind_everything() {
    let doubles = |values: &[f64]| -> ArrayRef { Arc::new(Float64Array::from(values.to_vec())) };
    check(Sum, doubles(&[1.5, 2.0, -0.5]), DataType::Float64, "3.0");
    check(Avg, doubles(&[1.0, 2.0]), DataType::Float64, "1.5");
    check(Min, doubles(&[0.0, -0.0]), DataType::Float64, "-0.0");
    check(Max, doubles(&[0.0, -0.0]), DataType::Float64, "0.0");
    check(Min, doubles(&[f64::NAN, 1.0, -f64::NAN]), DataType::Float64, "1.0");
    check(Max, doubles(&[f64::NAN, f64::INFINITY, -f64::NAN]), DataType::Float64, "NaN");
    check(Sum, doubles(&[f64::NAN, 1.0]), DataType::Float64, "NaN");
    check(Min, doubles(&[f64::NEG_INFINITY, -1.0]), DataType::Float64, "-inf");
    let floats: ArrayRef = Arc::new(Float32Array::from(vec![1.5, -2.25]));
    check(Sum, floats.clone(), DataType::Float32, "-0.75");
    check(Min, floats.clone(), DataType::Float32, "-2.25");
    check(Avg, floats, DataType::Float32, "-0.375");
}

#[test]
fn decimals_keep_their_digits() {
    let decimals = |values: &[i128]| -> ArrayRef {
        let array = Decimal128Array::from(values.to_vec());
        Arc::new(array.with_precision_and_scale(38, 2).unwrap())
    };
    let wide = DataType::Decimal128(38, 2);
    check(Sum, decimals(&[1010, -5, 100]), wide.clone(), "11.05");
    check(Min, decimals(&[1010, -5, 100]), wide.clone(), "-0.05");
    check(Max, decimals(&[1010, -5, 100]), wide.clone(), "10.10");
    check(Avg, decimals(&[100, 100, 0]), DataType::Decimal128(38, 6), "0.666667");
    check(Avg, decimals(&[-100, -100, 0]), DataType::Decimal128(38, 6), "-0.666667");
    check(Avg, decimals(&[1, 0]), wide.clone(), "0.01");
    let most = 10_i128.pow(38) - 1;
    check(Sum, decimals(&[most, 0]), wide.clone(), "999999999999999999999999999999999999.99");
    check(Sum, decimals(&[most, 1]), wide.clone(), "NULL");
    check(Sum, decimals(&[most, most, most]), wide, "NULL");
}

#[test]
fn everything_with_an_order_has_extremes() {
    let strings: ArrayRef = Arc::new(StringArray::from(vec![Some("b"), None, Some(""), Some("é")]));
    check(Min, strings.clone(), DataType::Utf8, "");
    check(Max, strings.clone(), DataType::Utf8, "é");
    check(Count, strings, DataType::Int64, "3");
    let days: ArrayRef = Arc::new(Date32Array::from(vec![Some(1), None, Some(-1)]));
    check(Min, days.clone(), DataType::Date32, "1969-12-31");
    check(Max, days, DataType::Date32, "1970-01-02");
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)]));
    check(Min, flags.clone(), DataType::Boolean, "false");
    check(Max, flags, DataType::Boolean, "true");
    let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let times: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from(vec![5, 1_000_000]).with_timezone("UTC"));
    check(Max, times, micros, "1970-01-01T00:00:01Z");
    let clocks: ArrayRef = Arc::new(Time32MillisecondArray::from(vec![3_600_000, 1]));
    check(Min, clocks, DataType::Time32(TimeUnit::Millisecond), "00:00:00.001");
}

#[test]
fn filters_and_distinct_choose_rows() {
    let column: ArrayRef =
        Arc::new(Int32Array::from(vec![Some(5), Some(5), Some(7), None, Some(9), Some(7)]));
    let mask = [Some(true), Some(true), Some(true), Some(true), None, Some(false)];
    let cases = [
        (Count, false, true, DataType::Int64, "3"),
        (Sum, false, true, DataType::Int32, "17"),
        (Max, false, true, DataType::Int32, "7"),
        (Count, true, false, DataType::Int64, "3"),
        (Sum, true, false, DataType::Int32, "21"),
        (Avg, true, false, DataType::Int32, "7"),
        (Max, true, false, DataType::Int32, "9"),
        (Count, true, true, DataType::Int64, "2"),
        (Sum, true, true, DataType::Int32, "12"),
    ];
    for (function, distinct, filtered, result_type, expected) in cases {
        let filter = filtered.then_some(1);
        let call = AggregateCall { distinct, filter, ..call(function, result_type) };
        check_call(&call, column.clone(), &mask, expected);
    }
    let rows = AggregateCall { argument: None, filter: Some(1), ..call(Count, DataType::Int64) };
    check_call(&rows, column.clone(), &mask, "4");
    let none = [Some(false); 6];
    let sum = AggregateCall { filter: Some(1), ..call(Sum, DataType::Int32) };
    check_call(&sum, column, &none, "NULL");
    let doubles: ArrayRef = Arc::new(Float64Array::from(vec![0.0, -0.0, f64::NAN, -f64::NAN, 1.0]));
    let count = AggregateCall { distinct: true, ..call(Count, DataType::Int64) };
    check_call(&count, doubles.clone(), &[None; 5], "4");
    let distinct_sum = AggregateCall { distinct: true, ..call(Sum, DataType::Float64) };
    check_call(&distinct_sum, doubles.slice(0, 2), &[None; 2], "0.0");
    let strings: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "a"]));
    check_call(&count, strings, &[None; 3], "2");
}

#[test]
fn values_keep_the_order_of_rows() {
    let texts: ArrayRef =
        Arc::new(StringArray::from(vec![None, Some("b"), Some("a"), Some(""), Some("b"), None]));
    let list = DataType::new_list(DataType::Utf8, true);
    let key = Field::new("key", DataType::Utf8, false);
    let count = Field::new("value", DataType::Int32, true);
    let entries = DataType::Struct(vec![key, count].into());
    let counts = DataType::Map(Arc::new(Field::new("entries", entries, false)), false);
    let mask = [Some(true), Some(false), Some(true), None, Some(true), Some(true)];
    let cases = [
        (FirstValue, false, false, DataType::Utf8, "b"),
        (FirstValue, true, true, DataType::Utf8, "a"),
        (LastValue, false, false, DataType::Utf8, "b"),
        (LastValue, true, false, DataType::Utf8, ""),
        (ArrayAgg, false, false, list.clone(), "[, b, a, , b, ]"),
        (ArrayAgg, true, false, list.clone(), "[, b, a, ]"),
        (ArrayAgg, false, true, list.clone(), "[, a, b, ]"),
        (ListPresent, false, false, list.clone(), "[b, a, , b]"),
        (ListPresent, true, false, list.clone(), "[b, a, ]"),
        (Collect, false, false, counts.clone(), "{: 1, a: 1, b: 2}"),
        (Collect, true, false, counts.clone(), "{: 1, a: 1, b: 1}"),
        (Collect, false, true, counts.clone(), "{a: 1, b: 1}"),
    ];
    for (function, distinct, filtered, result_type, expected) in cases {
        let filter = filtered.then_some(1);
        let call = AggregateCall { distinct, filter, ..call(function, result_type) };
        check_call(&call, texts.clone(), &mask, expected);
    }
    let none = [Some(false); 6];
    for (function, result_type, expected) in [
        (FirstValue, DataType::Utf8, "NULL"),
        (ArrayAgg, list.clone(), "NULL"),
        (ListPresent, list, "NULL"),
        (Collect, counts, "{}"),
    ] {
        let call = AggregateCall { filter: Some(1), ..call(function, result_type) };
        check_call(&call, texts.clone(), &none, expected);
    }
    let zeros: ArrayRef = Arc::new(Float64Array::from(vec![-0.0, 0.0]));
    check(FirstValue, zeros.clone(), DataType::Float64, "-0.0");
    check(LastValue, zeros, DataType::Float64, "0.0");
}

#[test]
fn a_column_without_nulls_needs_no_counting_lane() {
    let schema = Schema::new(vec![Field::new("x", DataType::Int64, false)]);
    let calls = [call(Sum, DataType::Int64), call(Max, DataType::Int64)];
    assert_eq!(AggregatePlan::new(&calls, &schema).unwrap().lanes.len(), 2);
    let nullable = Schema::new(vec![Field::new("x", DataType::Int64, true)]);
    // SUM, MAX, AVG and COUNT share their counting lane, SUM and AVG also their sum.
    let shared = [Sum, Max, Avg, Count].map(|function| call(function, DataType::Int64));
    assert_eq!(AggregatePlan::new(&shared, &nullable).unwrap().lanes.len(), 3);
}

#[test]
fn impossible_calls_are_refused() {
    let schema = Schema::new(vec![Field::new("x", DataType::Utf8, true)]);
    for (function, result_type, expected) in [
        (Sum, DataType::Utf8, "a: Sum of Utf8 does not give Utf8"),
        (Avg, DataType::Float64, "a: Avg of Utf8 does not give Float64"),
        (Min, DataType::Int64, "a: Min of Utf8 does not give Int64"),
        (FirstValue, DataType::Int64, "a: FirstValue of Utf8 does not give Int64"),
        (ArrayAgg, DataType::Utf8, "a: ArrayAgg of Utf8 does not give Utf8"),
        (Collect, DataType::Utf8, "a: Collect of Utf8 does not give Utf8"),
    ] {
        let error = AggregatePlan::new(&[call(function, result_type)], &schema).unwrap_err();
        assert_eq!(error, expected);
    }
}
