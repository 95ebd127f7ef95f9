//! Keys against golden vectors made by an independent program, against themselves (there and back,
//! alone and beside other columns), and against damaged bytes.

use super::*;
use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int16Array, Int32Array, Int64Array, ListBuilder, StringArray, StringBuilder,
    StructArray, new_null_array,
};
use arrow::buffer::NullBuffer;
use arrow::compute::{cast, concat, take};
use arrow::datatypes::Field;
use arrow::datatypes::TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
use std::sync::Arc;

const GOLDEN: &str = include_str!("../../../tests/fixtures/key_hash.txt");
const SEEDS: [u64; 2] = [0, 0x9e37_79b9_7f4a_7c15];

fn data_type(name: &str) -> DataType {
    match name {
        "BOOLEAN" => DataType::Boolean,
        "TINYINT" => DataType::Int8,
        "SMALLINT" => DataType::Int16,
        "INT" => DataType::Int32,
        "BIGINT" => DataType::Int64,
        "FLOAT" => DataType::Float32,
        "DOUBLE" => DataType::Float64,
        "DECIMAL" => DataType::Decimal128(38, 4),
        "STRING" => DataType::Utf8,
        "BYTES" => DataType::Binary,
        "DATE" => DataType::Date32,
        "TIME_S" => DataType::Time32(Second),
        "TIME_MS" => DataType::Time32(Millisecond),
        "TIME_US" => DataType::Time64(Microsecond),
        "TIME_NS" => DataType::Time64(Nanosecond),
        "TIMESTAMP_S" => DataType::Timestamp(Second, None),
        "TIMESTAMP_MS" => DataType::Timestamp(Millisecond, Some("Asia/Tokyo".into())),
        "TIMESTAMP_US" => DataType::Timestamp(Microsecond, None),
        "TIMESTAMP_NS" => DataType::Timestamp(Nanosecond, None),
        other => panic!("no type {other}"),
    }
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digits).collect()
}

/// A column of one row.
fn column(type_name: &str, text: &str) -> ArrayRef {
    let data_type = data_type(type_name);
    if text == "NULL" {
        return new_null_array(&data_type, 1);
    }
    match data_type {
        DataType::Boolean => Arc::new(BooleanArray::from(vec![text == "true"])),
        DataType::Int8 => Arc::new(Int8Array::from(vec![text.parse::<i8>().unwrap()])),
        DataType::Int16 => Arc::new(Int16Array::from(vec![text.parse::<i16>().unwrap()])),
        // Other bits of the same NaN must give the same key.
        DataType::Float32 if text == "-NaN" => {
            Arc::new(Float32Array::from(vec![f32::from_bits(0xffc0_1234)]))
        }
        DataType::Float64 if text == "-NaN" => {
            Arc::new(Float64Array::from(vec![f64::from_bits(0xfff8_0000_0000_1234)]))
        }
        DataType::Float32 => Arc::new(Float32Array::from(vec![text.parse::<f32>().unwrap()])),
        DataType::Float64 => Arc::new(Float64Array::from(vec![text.parse::<f64>().unwrap()])),
        DataType::Decimal128(precision, scale) => {
            let values = Decimal128Array::from(vec![text.parse::<i128>().unwrap()]);
            Arc::new(values.with_precision_and_scale(precision, scale).unwrap())
        }
        DataType::Utf8 => Arc::new(StringArray::from(vec![text])),
        DataType::Binary => Arc::new(BinaryArray::from(vec![from_hex(text).as_slice()])),
        DataType::Int32 | DataType::Date32 | DataType::Time32(_) => {
            let values: ArrayRef = Arc::new(Int32Array::from(vec![text.parse::<i32>().unwrap()]));
            cast(&values, &data_type).unwrap()
        }
        _ => {
            let values: ArrayRef = Arc::new(Int64Array::from(vec![text.parse::<i64>().unwrap()]));
            cast(&values, &data_type).unwrap()
        }
    }
}

/// One line of the golden vectors, parsed.
struct Golden {
    line: &'static str,
    columns: Vec<ArrayRef>,
    key: Vec<u8>,
    hashes: [u64; 2],
}

fn golden() -> Vec<Golden> {
    let lines = GOLDEN.lines().filter(|line| !line.starts_with('#'));
    lines.map(parse_golden).collect()
}

fn parse_golden(line: &'static str) -> Golden {
    let fields: Vec<&str> = line.split('\t').collect();
    let &[types, values, key, first, second] = fields.as_slice() else { panic!("{line}") };
    let columns = if types.is_empty() {
        Vec::new()
    } else {
        types.split('|').zip(values.split('|')).map(|(name, value)| column(name, value)).collect()
    };
    let hash = |text| u64::from_str_radix(text, 16).unwrap();
    Golden { line, columns, key: from_hex(key), hashes: [hash(first), hash(second)] }
}

fn encoder_of(columns: &[ArrayRef]) -> KeyEncoder {
    let types: Vec<DataType> = columns.iter().map(|column| column.data_type().clone()).collect();
    KeyEncoder::new(&types).unwrap()
}

fn encode(columns: &[ArrayRef], rows: usize) -> EncodedKeys {
    let mut keys = EncodedKeys::default();
    encoder_of(columns).encode(columns, rows, KeyHasher::new(SEEDS[0]), &mut keys);
    keys
}

#[test]
fn keys_and_hashes_are_the_golden_ones() {
    let all = golden();
    assert_eq!(all.len(), 97, "lines are added, never removed");
    let mut keys = EncodedKeys::default();
    for Golden { line, columns, key, hashes } in all {
        for (seed, hash) in SEEDS.into_iter().zip(hashes) {
            encoder_of(&columns).encode(&columns, 1, KeyHasher::new(seed), &mut keys);
            assert_eq!(keys.bytes, key, "{line}");
            assert_eq!(keys.offsets, [0, u32::try_from(key.len()).unwrap()], "{line}");
            assert_eq!(keys.hashes, [hash], "{line}");
        }
    }
}

#[test]
fn keys_decode_to_what_was_encoded() {
    for Golden { line, columns, key, .. } in golden() {
        let encoder = encoder_of(&columns);
        let decoded = encoder.decode([key.as_slice()].into_iter()).unwrap();
        let types: Vec<&DataType> = decoded.iter().map(|column| column.data_type()).collect();
        assert_eq!(types, encoder.types().iter().collect::<Vec<_>>(), "{line}");
        // −0.0 and NaN come back as their canonical selves: compare keys, and values where equal.
        assert_eq!(encode(&decoded, 1).bytes, key, "{line}");
        let canonical = !line.contains("NaN") && !line.contains("\t-0\t");
        if canonical {
            assert_eq!(decoded, columns, "{line}");
        }
    }
}

/// All golden rows of one type as one column, in random order and number, sliced at random.
fn random_column(rng: &mut fastrand::Rng, rows: usize, with_nulls: bool) -> ArrayRef {
    let mut singles: Vec<ArrayRef> = golden()
        .into_iter()
        .filter(|golden| golden.columns.len() == 1)
        .map(|golden| golden.columns[0].clone())
        .filter(|column| with_nulls || column.null_count() == 0)
        .collect();
    let chosen = rng.choice(&singles).unwrap().data_type().clone();
    singles.retain(|column| *column.data_type() == chosen);
    let parts: Vec<&dyn Array> = singles.iter().map(AsRef::as_ref).collect();
    let values = concat(&parts).unwrap();
    let skipped = rng.usize(0..3);
    let indices: arrow::array::UInt32Array = (0..rows + skipped)
        .map(|_| Some(rng.u32(0..u32::try_from(values.len()).unwrap())))
        .collect();
    take(&values, &indices, None).unwrap().slice(skipped, rows)
}

#[test]
fn a_row_has_the_same_key_in_any_batch() {
    for seed in 1..=60 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (width, rows) = (rng.usize(0..4), rng.usize(0..20));
        let with_nulls = rng.bool();
        let columns: Vec<ArrayRef> =
            (0..width).map(|_| random_column(&mut rng, rows, with_nulls)).collect();
        let keys = encode(&columns, rows);
        assert_eq!(keys.len(), rows, "seed {seed}");
        for row in 0..rows {
            let single: Vec<ArrayRef> = columns.iter().map(|column| column.slice(row, 1)).collect();
            let alone = encode(&single, 1);
            assert_eq!(keys.key(row), alone.bytes, "seed {seed} row {row}");
            assert_eq!(keys.hashes[row], alone.hashes[0], "seed {seed} row {row}");
        }
        let decoded = encoder_of(&columns).decode(keys.iter()).unwrap();
        assert_eq!(encode(&decoded, rows).bytes, keys.bytes, "seed {seed}");
    }
}

#[test]
fn damaged_keys_are_errors_or_other_keys_but_never_more() {
    for Golden { line, columns, key, .. } in golden() {
        let encoder = encoder_of(&columns);
        for cut in 0..key.len() {
            let decoded = encoder.decode([&key[..cut]].into_iter());
            assert!(decoded.is_err(), "{line} cut at {cut}");
        }
        let mut longer = key.clone();
        longer.push(0);
        assert!(encoder.decode([longer.as_slice()].into_iter()).is_err(), "{line} with more");
        for at in 0..key.len().min(12) {
            for bit in 0..8 {
                let mut damaged = key.clone();
                damaged[at] ^= 1 << bit;
                // A value may have become another value; the lead byte may not.
                let decoded = encoder.decode([damaged.as_slice()].into_iter());
                if at == 0 {
                    assert!(decoded.is_err(), "{line} bit {bit} of the lead byte");
                }
            }
        }
    }
}

#[test]
fn an_error_names_the_key() {
    let encoder = KeyEncoder::new(&[DataType::Utf8]).unwrap();
    let keys: [&[u8]; 2] = [&[9, 1, 0, 0, 0, b'a'], &[9, 1, 0, 0, 0, 0xff]];
    let error = encoder.decode(keys.into_iter()).unwrap_err();
    assert_eq!(error.to_string(), "key 1: a STRING that is not UTF-8");
}

/// Rows `{a: 1, b: ["x", NULL]}`, `{a: NULL, b: NULL}`, NULL, `{a: 2, b: []}`.
fn nested_column() -> ArrayRef {
    let mut lists = ListBuilder::new(StringBuilder::new());
    lists.values().append_value("x");
    lists.values().append_null();
    lists.append(true);
    lists.append(false);
    lists.append(false);
    lists.append(true);
    let lists: ArrayRef = Arc::new(lists.finish());
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, None, Some(2)]));
    let fields = vec![
        Field::new("a", DataType::Int32, true),
        Field::new("b", lists.data_type().clone(), true),
    ];
    let valid = NullBuffer::from(vec![true, true, false, true]);
    Arc::new(StructArray::new(fields.into(), vec![numbers, lists], Some(valid)))
}

#[test]
fn rows_and_arrays_are_their_parts_in_order() {
    let column = nested_column();
    let keys = encode(&[Arc::clone(&column)], 4);
    let expected: [&[u8]; 4] = [
        &[20, 4, 1, 0, 0, 0, 21, 2, 0, 0, 0, 9, 1, 0, 0, 0, b'x', 0x89],
        &[20, 0x84, 0x95],
        &[0x94],
        &[20, 4, 2, 0, 0, 0, 21, 0, 0, 0, 0],
    ];
    assert_eq!(keys.iter().collect::<Vec<_>>(), expected);
    let encoder = encoder_of(&[Arc::clone(&column)]);
    let decoded = encoder.decode(keys.iter()).unwrap();
    assert_eq!(decoded, [Arc::clone(&column)]);
    for (row, key) in expected.into_iter().enumerate() {
        let alone = encode(&[column.slice(row, 1)], 1);
        assert_eq!(alone.bytes, key, "row {row}");
        for cut in 0..key.len() {
            assert!(encoder.decode([&key[..cut]].into_iter()).is_err(), "{row} {cut}");
        }
        for at in 0..key.len() {
            for bit in 0..8 {
                let mut damaged = key.to_vec();
                damaged[at] ^= 1 << bit;
                // Another key or an error, whatever count or length it claims.
                let _ = encoder.decode([damaged.as_slice()].into_iter());
            }
        }
    }
}

#[test]
fn other_types_are_refused_by_name() {
    let map = DataType::Map(
        Arc::new(Field::new_struct(
            "entries",
            vec![
                Field::new("key", DataType::Utf8, false),
                Field::new("value", DataType::Int64, true),
            ],
            false,
        )),
        false,
    );
    let error = KeyEncoder::new(&[DataType::Int64, map.clone()]).unwrap_err();
    assert_eq!(error, UnsupportedKeyType(map.clone()));
    assert!(KeyEncoder::new(&[DataType::new_list(map, true)]).is_err());
    assert!(KeyEncoder::new(&[DataType::Time32(Nanosecond)]).is_err());
    assert!(error.to_string().starts_with("a column of type Map"), "{error}");
}
