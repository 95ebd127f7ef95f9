//! There and back again: random batches of every type are written, read and compared.

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float32Array, Float64Array,
    Int64Array, ListArray, MapArray, RecordBatch, StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, SchemaRef};
use std::sync::Arc;

use super::support::{CSV, JSON, options, rows_of, run, schema};
use crate::format::{CsvOptions, FormatOptions, JsonOptions, encoder};

const SCALARS: &str = "a BOOLEAN, b TINYINT, c SMALLINT, d INT, e BIGINT, f FLOAT, g DOUBLE, \
     h DECIMAL(10,2), i DECIMAL(38,10), j STRING, k BYTES, l DATE, m TIME(0), n TIME(3), \
     o TIME(6), p TIME(9), q TIMESTAMP(3), r TIMESTAMP(6), s TIMESTAMP(9), t TIMESTAMP_LTZ(3), \
     u BIGINT NOT NULL, v STRING NOT NULL";
const NESTED: &str = "a ARRAY<BIGINT>, b ARRAY<STRING>, c ARRAY<ARRAY<BIGINT>>, d ROW<x,y>, \
     e MAP<BIGINT>";

fn random_nulls(random: &mut fastrand::Rng, nullable: bool, rows: usize) -> Option<NullBuffer> {
    (nullable && random.bool())
        .then(|| (0..rows).map(|_| random.u8(0..4) > 0).collect::<Vec<_>>().into())
}

/// Integers of the range, its ends and zero among them.
fn sized(
    random: &mut fastrand::Rng,
    rows: usize,
    range: std::ops::RangeInclusive<i64>,
) -> ArrayRef {
    let (start, end) = (*range.start(), *range.end());
    let one = |_| match random.u8(0..10) {
        0 => start,
        1 => end,
        2 => 0,
        _ => (random.i64(range.clone()) >> random.u32(0..8)).clamp(start, end),
    };
    Arc::new((0..rows).map(one).map(Some).collect::<Int64Array>())
}

fn random_text(random: &mut fastrand::Rng) -> String {
    const PARTS: &[&str] =
        &["a", "x,y", "\"", "\\", "ä€\u{1f600}", " ", "\t", "\u{1}", "NULL", "\u{7f}"];
    (0..random.usize(0..4)).map(|_| PARTS[random.usize(0..PARTS.len())]).collect()
}

fn offsets(random: &mut fastrand::Rng, rows: usize) -> OffsetBuffer<i32> {
    OffsetBuffer::from_lengths((0..rows).map(|_| random.usize(0..4)))
}

/// A random column without NULLs.
fn random_values(random: &mut fastrand::Rng, data_type: &DataType, rows: usize) -> ArrayRef {
    match data_type {
        DataType::Boolean => {
            Arc::new((0..rows).map(|_| Some(random.bool())).collect::<BooleanArray>())
        }
        DataType::Int8 => cast(&sized(random, rows, -128..=127), data_type).unwrap(),
        DataType::Int16 => cast(&sized(random, rows, -32_768..=32_767), data_type).unwrap(),
        DataType::Int32 => {
            cast(&sized(random, rows, i32::MIN.into()..=i32::MAX.into()), data_type).unwrap()
        }
        DataType::Int64 => sized(random, rows, i64::MIN..=i64::MAX),
        DataType::Float32 => Arc::new(
            (0..rows).map(|_| Some(f32::from_bits(random.u32(..)))).collect::<Float32Array>(),
        ),
        DataType::Float64 => Arc::new(
            (0..rows).map(|_| Some(f64::from_bits(random.u64(..)))).collect::<Float64Array>(),
        ),
        DataType::Decimal128(precision, scale) => {
            let limit = 10_i128.pow((*precision).into());
            let one = |_| Some((random.i128(..) >> random.u32(0..120)) % limit);
            let array: Decimal128Array = (0..rows).map(one).collect();
            Arc::new(array.with_precision_and_scale(*precision, *scale).unwrap())
        }
        DataType::Utf8 => {
            Arc::new((0..rows).map(|_| Some(random_text(random))).collect::<StringArray>())
        }
        DataType::Binary => {
            let one = |_| Some((0..random.usize(0..6)).map(|_| random.u8(..)).collect::<Vec<u8>>());
            Arc::new((0..rows).map(one).collect::<BinaryArray>())
        }
        DataType::List(item) => {
            let offsets = offsets(random, rows);
            let count = usize::try_from(*offsets.last().unwrap()).unwrap();
            let items = random_column(random, item.data_type(), item.is_nullable(), count);
            Arc::new(ListArray::new(Arc::clone(item), offsets, items, None))
        }
        DataType::Struct(fields) => {
            let parts = fields
                .iter()
                .map(|field| random_column(random, field.data_type(), field.is_nullable(), rows))
                .collect();
            Arc::new(StructArray::new(fields.clone(), parts, None))
        }
        DataType::Map(entries, _) => {
            let offsets = offsets(random, rows);
            let count = usize::try_from(*offsets.last().unwrap()).unwrap();
            let parts = random_values(random, entries.data_type(), count);
            let parts = parts.as_any().downcast_ref::<StructArray>().unwrap().clone();
            Arc::new(MapArray::new(Arc::clone(entries), offsets, parts, None, false))
        }
        _ => random_times(random, data_type, rows),
    }
}

/// A random column of dates or times.
fn random_times(random: &mut fastrand::Rng, data_type: &DataType, rows: usize) -> ArrayRef {
    const DAY: i64 = 86_400;
    const YEARS: i64 = 8_000 * 365 * DAY;
    let per_second = |unit: &arrow::datatypes::TimeUnit| 10_i64.pow(3 * (*unit as u32));
    match data_type {
        DataType::Date32 => {
            let days = cast(&sized(random, rows, -700_000..=2_900_000), &DataType::Int32).unwrap();
            cast(&days, data_type).unwrap()
        }
        DataType::Time32(unit) => {
            let units = sized(random, rows, 0..=DAY * per_second(unit) - 1);
            cast(&cast(&units, &DataType::Int32).unwrap(), data_type).unwrap()
        }
        DataType::Time64(unit) => {
            cast(&sized(random, rows, 0..=DAY * per_second(unit) - 1), data_type).unwrap()
        }
        DataType::Timestamp(unit, _) => {
            let years = if per_second(unit) == 1_000_000_000 { 200 * 365 * DAY } else { YEARS };
            let range = -60 * 365 * DAY * per_second(unit)..=years * per_second(unit);
            cast(&sized(random, rows, range), data_type).unwrap()
        }
        other => panic!("no random values of {other}"),
    }
}

fn random_column(
    random: &mut fastrand::Rng,
    data_type: &DataType,
    nullable: bool,
    rows: usize,
) -> ArrayRef {
    let values = random_values(random, data_type, rows);
    let nulls = random_nulls(random, nullable, rows);
    let data = values.to_data().into_builder().nulls(nulls);
    arrow::array::make_array(data.build().unwrap())
}

#[track_caller]
fn check(format: &FormatOptions, schema: &SchemaRef, seed: u64) {
    let mut random = fastrand::Rng::with_seed(seed);
    let rows = random.usize(1..40);
    let columns = schema
        .fields()
        .iter()
        .map(|field| random_column(&mut random, field.data_type(), field.is_nullable(), rows))
        .collect();
    let batch = RecordBatch::try_new(Arc::clone(schema), columns).unwrap();
    let mut encoder = encoder(format, schema).unwrap();
    let mut out = Vec::new();
    encoder.begin(&mut out);
    // In two parts, the second one sliced: views must respect offsets into buffers.
    let cut = random.usize(0..=rows);
    encoder.encode(&batch.slice(0, cut), &mut out);
    encoder.encode(&batch.slice(cut, rows - cut), &mut out);
    let (outcome, batches) = run(&options(format, schema), [out.as_slice()]);
    assert_eq!(outcome.rejected, [], "seed {seed}");
    let seen: Vec<String> = batches.iter().flat_map(rows_of).collect();
    assert_eq!(seen, rows_of(&batch), "seed {seed}: {}", out.escape_ascii());
}

#[test]
fn json_scalars() {
    for seed in 0..200 {
        check(&JSON, &schema(SCALARS), seed);
        check(&FormatOptions::Json(JsonOptions { iso_timestamps: true }), &schema(SCALARS), seed);
    }
}

#[test]
fn json_arrays_rows_and_maps() {
    for seed in 0..300 {
        check(&JSON, &schema(NESTED), seed);
    }
}

#[test]
fn csv_scalars() {
    for seed in 0..200 {
        for delimiter in [b',', b';', b'\t', b'|', b':', b'-', b'0', b' '] {
            for (header, multiline) in [(false, false), (true, true)] {
                let csv = CsvOptions { delimiter, header, multiline };
                check(&FormatOptions::Csv(csv), &schema(SCALARS), seed);
            }
        }
        check(&CSV, &schema("a STRING"), seed);
        check(&CSV, &schema("a BYTES"), seed);
    }
}

#[test]
fn raw_lines() {
    for seed in 0..100 {
        check(&FormatOptions::Raw, &schema("a STRING NOT NULL"), seed);
    }
}

#[test]
fn json_is_what_flink_writes() {
    let columns = "a BIGINT, b STRING, c DOUBLE, d DECIMAL(10,2), e TIMESTAMP(3), \
                   f TIMESTAMP_LTZ(3), g BYTES, h BOOLEAN, i ROW<x,y>";
    let line = concat!(
        r#"{"a":1,"b":"a\"\\\n\u0001/ä","c":1.0E10,"d":10.10,"e":"2020-01-01 00:00:00.1","#,
        r#""f":"2020-01-01 00:00:00Z","g":"AAEC","h":true,"i":{"x":null,"y":"z"}}"#,
        "\n",
        r#"{"a":null,"b":"","c":"NaN","d":null,"e":null,"f":null,"g":null,"h":null,"i":null}"#,
        "\n",
    );
    let (_, batches) = run(&options(&JSON, &schema(columns)), [line.as_bytes()]);
    let mut out = Vec::new();
    encoder(&JSON, &schema(columns)).unwrap().encode(&batches[0], &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), line);
}

#[test]
fn csv_quotes_only_where_needed() {
    let columns = "a BIGINT, b STRING, c STRING, d STRING, e TIMESTAMP(3), f BOOLEAN";
    let line = "a,b,c,d,e,f\n1,a b,\"x,\"\"y\"\"\",\"\",2020-01-01 00:00:00.1,false\n,,,,,\n";
    let csv = CsvOptions { delimiter: b',', header: true, multiline: false };
    let format = FormatOptions::Csv(csv);
    let (_, batches) = run(&options(&format, &schema(columns)), [line.as_bytes()]);
    let mut csv_encoder = encoder(&format, &schema(columns)).unwrap();
    let mut out = Vec::new();
    csv_encoder.begin(&mut out);
    csv_encoder.encode(&batches[0], &mut out);
    assert_eq!(String::from_utf8(out).unwrap(), line);
}
