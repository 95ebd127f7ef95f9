//! Batches of every type, from a seed.

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Decimal128Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, ListArray, MapArray, RecordBatch, StringArray, StructArray,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use fastrand::Rng;
use std::sync::Arc;

/// A column of every type, `t` NOT NULL.
pub(crate) fn every_type() -> SchemaRef {
    let scalar = [
        DataType::Boolean,
        DataType::Int8,
        DataType::Int16,
        DataType::Int32,
        DataType::Int64,
        DataType::Float32,
        DataType::Float64,
        DataType::Decimal128(20, 4),
        DataType::Utf8,
        DataType::Binary,
        DataType::Date32,
        DataType::Time32(TimeUnit::Second),
        DataType::Time32(TimeUnit::Millisecond),
        DataType::Time64(TimeUnit::Microsecond),
        DataType::Time64(TimeUnit::Nanosecond),
        DataType::Timestamp(TimeUnit::Second, None),
        DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        DataType::Timestamp(TimeUnit::Microsecond, None),
        DataType::Timestamp(TimeUnit::Nanosecond, None),
    ];
    let mut fields: Vec<Field> = scalar
        .into_iter()
        .enumerate()
        .map(|(index, data_type)| Field::new(format!("c{index}"), data_type, true))
        .collect();
    fields.push(Field::new("t", DataType::Int64, false));
    let row = Fields::from(vec![
        Field::new("x", DataType::Int64, false),
        Field::new("y", list(DataType::Utf8), true),
    ]);
    fields.push(Field::new("row", DataType::Struct(row.clone()), true));
    fields.push(Field::new("rows", list(DataType::Struct(row)), true));
    let entry = Fields::from(vec![
        Field::new("key", DataType::Utf8, false),
        Field::new("value", list(DataType::Int16), true),
    ]);
    let entries = Field::new("entries", DataType::Struct(entry), false);
    fields.push(Field::new("map", DataType::Map(Arc::new(entries), false), true));
    Arc::new(Schema::new(fields))
}

pub(crate) fn list(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

/// Rows of `schema`, the same for the same seed.
pub(crate) fn arbitrary(schema: &SchemaRef, rows: usize, seed: u64) -> RecordBatch {
    let mut rng = Rng::with_seed(seed);
    let columns = schema.fields().iter().map(|field| column(field, rows, &mut rng)).collect();
    RecordBatch::try_new(Arc::clone(schema), columns).unwrap()
}

fn column(field: &Field, rows: usize, rng: &mut Rng) -> ArrayRef {
    let nulls = field.is_nullable() && rng.u8(..4) > 0;
    let nulls = nulls.then(|| (0..rows).map(|_| rng.u8(..5) > 0).collect::<NullBuffer>());
    let integers = |random: &mut Rng, bound: i64| {
        let values = (0..rows).map(|_| random.i64(..bound)).collect();
        Int64Array::new(values, nulls.clone())
    };
    let time = |random: &mut Rng, per_second: i64| {
        let values = (0..rows).map(|_| random.i64(0..86_400 * per_second)).collect();
        Int64Array::new(values, nulls.clone())
    };
    let data_type = field.data_type();
    match data_type {
        DataType::Boolean => {
            Arc::new(BooleanArray::new((0..rows).map(|_| rng.bool()).collect(), nulls))
        }
        DataType::Int8 => Arc::new(Int8Array::new((0..rows).map(|_| rng.i8(..)).collect(), nulls)),
        DataType::Int16 => {
            Arc::new(Int16Array::new((0..rows).map(|_| rng.i16(..)).collect(), nulls))
        }
        DataType::Int32 => {
            Arc::new(Int32Array::new((0..rows).map(|_| rng.i32(..)).collect(), nulls))
        }
        DataType::Float32 => {
            Arc::new(Float32Array::new((0..rows).map(|_| rng.f32()).collect(), nulls))
        }
        DataType::Float64 => {
            Arc::new(Float64Array::new((0..rows).map(|_| rng.f64()).collect(), nulls))
        }
        DataType::Decimal128(..) => {
            let values = (0..rows).map(|_| i128::from(rng.i64(..))).collect();
            Arc::new(Decimal128Array::new(values, nulls).with_data_type(data_type.clone()))
        }
        DataType::Date32 => {
            let days = Int32Array::new((0..rows).map(|_| rng.i32(..)).collect(), nulls);
            cast(&days, data_type).unwrap()
        }
        DataType::Time32(unit) => {
            let per_second = if *unit == TimeUnit::Second { 1 } else { 1_000 };
            let times = cast(&time(rng, per_second), &DataType::Int32).unwrap();
            cast(&times, data_type).unwrap()
        }
        DataType::Time64(unit) => {
            let per_second = if *unit == TimeUnit::Microsecond { 1_000_000 } else { 1_000_000_000 };
            cast(&time(rng, per_second), data_type).unwrap()
        }
        DataType::Int64 | DataType::Timestamp(..) => {
            cast(&integers(rng, i64::MAX), data_type).unwrap()
        }
        DataType::Utf8 => {
            let texts: Vec<String> = (0..rows).map(|_| text(rng)).collect();
            let texts = StringArray::from(texts);
            Arc::new(StringArray::new(texts.offsets().clone(), texts.values().clone(), nulls))
        }
        DataType::Binary => {
            let bytes: Vec<String> = (0..rows).map(|_| text(rng)).collect();
            let bytes = BinaryArray::from(bytes.iter().map(String::as_bytes).collect::<Vec<_>>());
            Arc::new(BinaryArray::new(bytes.offsets().clone(), bytes.values().clone(), nulls))
        }
        nested => nested_column(nested, rows, nulls, rng),
    }
}

fn text(rng: &mut Rng) -> String {
    (0..rng.usize(..9)).map(|_| if rng.u8(..5) == 0 { 'é' } else { rng.alphanumeric() }).collect()
}

fn nested_column(
    data_type: &DataType,
    rows: usize,
    nulls: Option<NullBuffer>,
    rng: &mut Rng,
) -> ArrayRef {
    let offsets = OffsetBuffer::from_lengths((0..rows).map(|_| rng.usize(..4)));
    let items = usize::try_from(*offsets.last().unwrap()).unwrap();
    match data_type {
        DataType::List(item) => {
            let values = column(item, items, rng);
            Arc::new(ListArray::new(Arc::clone(item), offsets, values, nulls))
        }
        DataType::Struct(fields) => {
            let parts = fields.iter().map(|field| column(field, rows, rng)).collect();
            Arc::new(StructArray::new(fields.clone(), parts, nulls))
        }
        DataType::Map(entries, sorted) => {
            let DataType::Struct(fields) = entries.data_type() else { unreachable!() };
            let parts = fields.iter().map(|field| column(field, items, rng)).collect();
            let pairs = StructArray::new(fields.clone(), parts, None);
            Arc::new(MapArray::new(Arc::clone(entries), offsets, pairs, nulls, *sorted))
        }
        other => unreachable!("{other} has no parts"),
    }
}
