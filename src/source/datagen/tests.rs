//! Values of every type and option, and what is refused.

use std::sync::Arc;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{
    DataType, Field, Float64Type, Int8Type, Int64Type, Schema, SchemaRef, TimeUnit,
    TimestampMillisecondType,
};
use arrow::util::display::array_value_to_string;

use super::{Datagen, FieldFault, FieldOption};
use crate::record::Timestamp;
use crate::source::Generator;

/// 2020-01-01 10:00:00.
const NOW: Timestamp = Timestamp::from_millis(1_577_872_800_000);

fn table(columns: &[(&str, DataType)]) -> SchemaRef {
    let field = |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
    Arc::new(Schema::new(columns.iter().map(field).collect::<Vec<_>>()))
}

/// `column.option=value`, separated by spaces; `_` stands for a space.
fn options(text: &str) -> Vec<FieldOption> {
    let option = |part: &str| {
        let (name, value) = part.split_once('=').unwrap();
        let (column, option) = name.rsplit_once('.').unwrap();
        FieldOption {
            column: column.to_owned(),
            option: option.to_owned(),
            value: value.replace('_', " "),
        }
    };
    text.split(' ').filter(|part| !part.is_empty()).map(option).collect()
}

fn make(data_type: DataType, fields: &str, rows: usize) -> RecordBatch {
    let schema = table(&[("x", data_type)]);
    let datagen = Datagen::new(&schema, &[0], &options(fields), 1).unwrap();
    datagen.make(0, rows, NOW)
}

/// The first rows of a column of `data_type`.
#[track_caller]
fn check(data_type: DataType, fields: &str, expected: &str) {
    let batch = make(data_type, fields, 3);
    let shown: Vec<String> =
        (0..3).map(|row| array_value_to_string(batch.column(0), row).unwrap()).collect();
    assert_eq!(shown.join(" "), expected, "{fields}");
}

#[test]
fn sequences_count_in_every_type() {
    let from_seven = "x.kind=sequence x.start=7 x.end=20";
    for (data_type, expected) in [
        (DataType::Int8, "7 8 9"),
        (DataType::Int64, "7 8 9"),
        (DataType::Utf8, "7 8 9"),
        (DataType::Float64, "7.0 8.0 9.0"),
        (DataType::Decimal128(5, 2), "7.00 8.00 9.00"),
    ] {
        check(data_type, from_seven, expected);
    }
    check(DataType::Int32, "x.kind=sequence x.start=-1 x.end=5", "-1 0 1");
}

#[test]
fn the_shortest_sequence_ends_the_stream() {
    let schema = table(&[("a", DataType::Int64), ("b", DataType::Int64), ("c", DataType::Utf8)]);
    let rows = |fields: &str| Datagen::new(&schema, &[2], &options(fields), 1).unwrap().rows();
    assert_eq!(rows(""), None);
    assert_eq!(rows("a.kind=sequence a.start=1 a.end=10"), Some(10));
    let both = "a.kind=sequence a.start=1 a.end=10 b.kind=sequence b.start=-2 b.end=2";
    assert_eq!(rows(both), Some(5));
    assert_eq!(rows("a.kind=sequence a.start=1 a.end=0"), Some(0));
    let all = format!("a.kind=sequence a.start={} a.end={}", i64::MIN, i64::MAX);
    assert_eq!(rows(&all), Some(u64::MAX));
}

#[test]
fn numbers_stay_within_their_bounds() {
    let small = make(DataType::Int8, "x.min=-3 x.max=3", 1_000);
    let mut seen: Vec<i8> = small.column(0).as_primitive::<Int8Type>().values().to_vec();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [-3, -2, -1, 0, 1, 2, 3]);
    let large = make(DataType::Int64, "", 1_000);
    let values = large.column(0).as_primitive::<Int64Type>().values();
    let negative = values.iter().filter(|value| **value < 0).count();
    assert!((400..600).contains(&negative), "{negative}");
    let floats = make(DataType::Float64, "x.min=-1.5 x.max=2.5", 1_000);
    let floats = floats.column(0).as_primitive::<Float64Type>().values();
    assert!(floats.iter().all(|value| (-1.5..2.5).contains(value)));
    assert!(floats.iter().any(|value| *value < -1.0) && floats.iter().any(|value| *value > 2.0));
    for data_type in [DataType::Float32, DataType::Float64, DataType::Decimal128(38, 10)] {
        assert_eq!(make(data_type, "", 100).num_rows(), 100);
    }
    check(DataType::Decimal128(4, 1), "x.min=9.95 x.max=9.95", "10.0 10.0 10.0");
}

#[test]
fn texts_have_their_length() {
    let lengths = |data_type: DataType, fields: &str| {
        let batch = make(data_type, fields, 500);
        let column = batch.column(0);
        let mut lengths: Vec<usize> = match column.as_string_opt::<i32>() {
            Some(texts) => texts.iter().map(|text| text.unwrap().len()).collect(),
            None => column.as_binary::<i32>().iter().map(|value| value.unwrap().len()).collect(),
        };
        lengths.sort_unstable();
        lengths.dedup();
        lengths
    };
    assert_eq!(lengths(DataType::Utf8, ""), [100]);
    assert_eq!(lengths(DataType::Utf8, "x.length=3"), [3]);
    assert_eq!(lengths(DataType::Utf8, "x.length=0"), [0]);
    assert_eq!(lengths(DataType::Utf8, "x.length=4 x.var-len=true"), [1, 2, 3, 4]);
    assert_eq!(lengths(DataType::Binary, "x.length=9"), [9]);
    assert_eq!(lengths(DataType::Binary, "x.length=2 x.var_len=true"), [1, 2]);
    let batch = make(DataType::Utf8, "", 10);
    let texts = batch.column(0).as_string::<i32>();
    assert!(texts.iter().flatten().all(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit())));
}

#[test]
fn times_are_now_or_a_while_ago() {
    let millis = DataType::Timestamp(TimeUnit::Millisecond, None);
    check(millis.clone(), "", &["2020-01-01T10:00:00"; 3].join(" "));
    let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    check(micros, "", &["2020-01-01T10:00:00Z"; 3].join(" "));
    check(DataType::Date32, "", &["2020-01-01"; 3].join(" "));
    check(DataType::Time32(TimeUnit::Millisecond), "", &["10:00:00"; 3].join(" "));
    let past = make(millis, "x.max-past=2_s", 5_000);
    let times = past.column(0).as_primitive::<TimestampMillisecondType>().values();
    let ago: Vec<i64> = times.iter().map(|time| NOW.millis() - time).collect();
    assert_eq!((ago.iter().min(), ago.iter().max()), (Some(&0), Some(&2_000)));
}

#[test]
fn some_values_are_null() {
    for data_type in [DataType::Boolean, DataType::Int32, DataType::Utf8, DataType::Float32] {
        let nulls = |fields: &str| make(data_type.clone(), fields, 2_000).column(0).null_count();
        assert_eq!(nulls(""), 0);
        assert_eq!(nulls("x.null-rate=1"), 2_000);
        assert!((400..600).contains(&nulls("x.null-rate=0.25")), "{data_type}");
    }
}

#[test]
fn any_part_and_any_columns_can_be_made_alone() {
    let schema = table(&[("a", DataType::Int64), ("b", DataType::Utf8), ("c", DataType::Float64)]);
    let fields = options("a.kind=sequence a.start=5 a.end=5000 b.var-len=true c.null-rate=0.5");
    let all = Datagen::new(&schema, &[0, 1, 2], &fields, 3).unwrap();
    let whole = all.make(0, 1_000, NOW);
    assert_eq!(all.make(300, 200, NOW), whole.slice(300, 200));
    let some = Datagen::new(&schema, &[0, 2], &fields, 3).unwrap();
    assert_eq!(some.make(0, 1_000, NOW), whole.project(&[0, 2]).unwrap());
    let none = Datagen::new(&schema, &[], &fields, 3).unwrap();
    assert_eq!((none.make(0, 7, NOW).num_rows(), none.rows()), (7, Some(4_996)));
    let other = Datagen::new(&schema, &[1], &fields, 4).unwrap();
    assert_ne!(other.make(0, 10, NOW).column(0), whole.slice(0, 10).column(1));
}

/// What is wrong with `fields` of a table with a column of each kind.
#[track_caller]
fn check_refused(fields: &str, expected: &[(Option<usize>, &str)]) {
    let schema = table(&[
        ("i", DataType::Int8),
        ("f", DataType::Float64),
        ("s", DataType::Utf8),
        ("t", DataType::Timestamp(TimeUnit::Millisecond, None)),
        ("b", DataType::Boolean),
    ]);
    let faults = Datagen::new(&schema, &[0], &options(fields), 1).unwrap_err();
    let expected: Vec<FieldFault> = expected
        .iter()
        .map(|(option, message)| FieldFault { option: *option, message: (*message).to_owned() })
        .collect();
    assert_eq!(faults, expected, "{fields}");
}

#[test]
fn wrong_options_are_named() {
    let cases = [
        ("j.min=1", "there is no column \"j\"; did you mean \"i\"?"),
        ("i.kind=sequenc", "\"sequenc\" is unknown; did you mean \"sequence\"?"),
        ("i.min=1000", "1000 is out of range; allowed: -128 to 127"),
        ("i.min=a", "\"a\" is not a whole number"),
        (
            "i.length=3",
            "a number has no option length; known: \"kind\", \"null-rate\", \"min\" or \"max\"",
        ),
        ("i.kind=sequence", "a sequence needs fields.i.start and fields.i.end"),
        ("b.kind=sequence", "a sequence has no values of column \"b\": Boolean"),
        ("f.max=NaN", "NaN is out of range; allowed: numbers"),
        ("s.null-rate=2", "2 is out of range; allowed: 0 to 1"),
        ("s.var-len=yes", "\"yes\" is not true or false"),
        ("s.length=-1", "-1 is out of range; allowed: 0 to 1048576"),
    ];
    for (fields, message) in cases {
        check_refused(fields, &[(Some(0), message)]);
    }
    check_refused("i.min=5 i.max=4", &[(Some(1), "the smallest value is larger than the largest")]);
    let backwards = "i.kind=sequence i.start=5 i.end=3";
    check_refused(backwards, &[(Some(2), "the sequence ends before it starts")]);
}

#[test]
fn columns_that_cannot_be_made_are_refused() {
    let lengths = table(&[("a", DataType::Duration(TimeUnit::Second))]);
    let faults = Datagen::new(&lengths, &[], &[], 1).unwrap_err();
    assert!(faults[0].message.contains("datagen has no values of column \"a\""), "{faults:?}");
    let field = Field::new("n", DataType::Int8, false);
    let schema = Arc::new(Schema::new(vec![field]));
    let nulls = Datagen::new(&schema, &[], &options("n.null-rate=0.5"), 1).unwrap_err();
    assert_eq!(nulls[0].message, "0.5 is out of range; allowed: 0, because the column is NOT NULL");
}

/// `ROW<n TINYINT, s STRING>`.
fn row_type() -> DataType {
    let fields = [Field::new("n", DataType::Int8, true), Field::new("s", DataType::Utf8, true)];
    DataType::Struct(fields.to_vec().into())
}

/// `MAP<key, TINYINT>`.
fn map_type(key: DataType) -> DataType {
    let pair = [Field::new("key", key, false), Field::new("value", DataType::Int8, true)];
    let entries = Field::new("entries", DataType::Struct(pair.to_vec().into()), false);
    DataType::Map(Arc::new(entries), false)
}

#[test]
fn arrays_maps_and_rows_are_made_of_their_parts() {
    let list = |element: DataType| DataType::new_list(element, true);
    let three = |shown: &str| [shown; 3].join(" ");
    let sevens = "x.element.min=7 x.element.max=7";
    check(list(DataType::Int8), sevens, &three("[7, 7, 7]"));
    check(list(DataType::Int8), &format!("{sevens} x.length=1"), &three("[7]"));
    check(list(DataType::Int8), "x.length=0", &three("[]"));
    check(list(DataType::Int8), "x.length=2 x.element.null-rate=1", &three("[, ]"));
    check(list(DataType::Int8), "x.null-rate=1", &three(""));
    let row = "x.n.min=1 x.n.max=1 x.s.length=0";
    check(row_type(), row, &three("{n: 1, s: }"));
    check(row_type(), &format!("{row} x.null-rate=1"), &three(""));
    let rows = "x.length=1 x.element.n.min=1 x.element.n.max=1 x.element.s.length=0";
    check(list(row_type()), rows, &three("[{n: 1, s: }]"));
    let map = "x.length=1 x.key.min=5 x.key.max=5 x.value.min=1 x.value.max=1";
    check(map_type(DataType::Int32), map, &three("{5: 1}"));
    check(map_type(DataType::Int32), "x.length=0", &three("{}"));
}

#[test]
fn keys_of_a_map_are_unlike_one_another() {
    let batch = make(map_type(DataType::Utf8), "x.length=9 x.key.length=1", 500);
    let maps = batch.column(0).as_map();
    let mut lengths = Vec::new();
    for row in 0..maps.len() {
        let entries = maps.value(row);
        let keys: Vec<&str> = entries.column(0).as_string::<i32>().iter().flatten().collect();
        let mut unlike = keys.clone();
        unlike.sort_unstable();
        unlike.dedup();
        assert_eq!(unlike.len(), keys.len());
        lengths.push(keys.len());
    }
    assert!(lengths.iter().any(|length| *length < 9) && lengths.iter().all(|length| *length > 1));
}

#[test]
fn nested_values_are_a_function_of_their_row() {
    let schema =
        table(&[("x", DataType::new_list(row_type(), true)), ("m", map_type(DataType::Utf8))]);
    let fields = options("x.null-rate=0.2 x.element.n.null-rate=0.5 m.key.length=1");
    let datagen = Datagen::new(&schema, &[0, 1], &fields, 3).unwrap();
    let whole = datagen.make(0, 300, NOW);
    assert_eq!(datagen.make(100, 50, NOW), whole.slice(100, 50));
    let nulls = whole.column(0).null_count();
    assert!((30..90).contains(&nulls), "{nulls}");
    let texts = whole.column(1).as_map();
    assert_ne!(texts.value(0), texts.value(1));
}

#[test]
fn wrong_options_of_parts_are_named() {
    let schema = table(&[("r", row_type()), ("a", DataType::new_list(DataType::Utf8, true))]);
    let check = |fields: &str, message: &str| {
        let faults = Datagen::new(&schema, &[], &options(fields), 1).unwrap_err();
        let expected = FieldFault { option: Some(0), message: message.to_owned() };
        assert_eq!(faults, [expected], "{fields}");
    };
    check("r.m.min=1", "there is no column \"r.m\"; did you mean \"r.n\"?");
    check("r.n.min=1000", "1000 is out of range; allowed: -128 to 127");
    check("r.n.kind=sequence", "a part of a column is no sequence");
    check("r.kind=sequence", &format!("a sequence has no values of column \"r\": {}", row_type()));
    check(
        "a.var-len=true",
        "an ARRAY has no option var-len; known: \"kind\", \"null-rate\" or \"length\"",
    );
    check("a.length=100000", "values of column \"a\" may have 10400000 bytes; allowed: 1048576");
}
