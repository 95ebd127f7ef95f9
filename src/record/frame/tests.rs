//! Archives against batches, against rkyv's own serializer, and against damage of every kind.

use super::archive::ArchivedFrameRows;
use super::testing::{arbitrary, every_type};
use super::*;
use crate::limits::FRAME_ROWS_MAX;
use arrow::array::{Array, ArrayRef, Int64Array, MutableArrayData, RecordBatch, make_array};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::{DataType, Field, Fields, Schema};
use rkyv::api::low;
use rkyv::rancor;
use std::sync::Arc;

fn write(rows: &RecordBatch) -> Vec<u8> {
    let mut out = b"what comes before does not matter".to_vec();
    let before = out.len();
    FrameWriter::new().write(rows, &mut out);
    assert!(out.len() - before <= FrameWriter::bytes_max(rows));
    out.split_off(before)
}

fn aligned(bytes: &[u8]) -> Buffer {
    let mut buffer = MutableBuffer::with_capacity(bytes.len());
    buffer.extend_from_slice(bytes);
    buffer.into()
}

fn read(schema: &Schema, bytes: &[u8]) -> Result<Vec<ArrayRef>, FrameFault> {
    FrameReader::new(schema, schema.fields()).read(&aligned(bytes)).map(|(columns, _)| columns)
}

#[test]
fn every_type_comes_back_as_it_was() {
    let schema = every_type();
    for seed in 0..60 {
        let rows = usize::try_from(seed).unwrap() * 3;
        let batch = arbitrary(&schema, rows, seed);
        let bytes = write(&batch);
        assert_eq!(bytes.len() % FRAME_ALIGNMENT, 0);
        let columns = read(&schema, &bytes).unwrap_or_else(|fault| panic!("seed {seed}: {fault}"));
        assert_eq!(columns, batch.columns(), "seed {seed}");
    }
}

#[test]
fn a_part_of_a_batch_is_written_as_if_it_were_the_whole() {
    let schema = every_type();
    for seed in 0..40 {
        let batch = arbitrary(&schema, 50, seed);
        let start = usize::try_from(seed).unwrap();
        let slice = batch.slice(start, 9);
        let bytes = write(&slice);
        assert_eq!(read(&schema, &bytes).unwrap(), slice.columns(), "seed {seed}");
        let copied: Vec<ArrayRef> = slice.columns().iter().map(copy).collect();
        let copied = RecordBatch::try_new(Arc::clone(&schema), copied).unwrap();
        assert_eq!(write(&copied), bytes, "seed {seed}");
    }
}

fn copy(array: &ArrayRef) -> ArrayRef {
    let data = array.to_data();
    let mut copy = MutableArrayData::new(vec![&data], true, array.len());
    copy.try_extend(0, 0, array.len()).unwrap();
    make_array(copy.freeze())
}

#[test]
fn nothing_is_copied() {
    let schema = every_type();
    let archive = aligned(&write(&arbitrary(&schema, 100, 7)));
    let (columns, rows) = FrameReader::new(&schema, schema.fields()).read(&archive).unwrap();
    assert_eq!(rows, 100);
    let inside = archive.as_ptr_range();
    for column in columns {
        let mut all = vec![column.to_data()];
        while let Some(data) = all.pop() {
            for buffer in data.buffers().iter().filter(|buffer| !buffer.is_empty()) {
                assert!(inside.contains(&buffer.as_ptr()));
            }
            all.extend(data.child_data().iter().cloned());
        }
    }
}

#[test]
fn columns_are_found_by_name() {
    let written = Schema::new(vec![
        Field::new("a", DataType::Int64, true),
        Field::new("more", DataType::Utf8, true),
        Field::new("b", DataType::Int64, false),
    ]);
    let batch = arbitrary(&Arc::new(written.clone()), 10, 1);
    let wanted = Fields::from(vec![
        Field::new("b", DataType::Int64, true),
        Field::new("absent", DataType::Utf8, true),
        Field::new("a", DataType::Int64, true),
    ]);
    let reader = FrameReader::new(&written, &wanted);
    let (columns, _) = reader.read(&aligned(&write(&batch))).unwrap();
    assert_eq!(&columns[0], batch.column(2));
    assert_eq!((columns[1].len(), columns[1].null_count()), (10, 10));
    assert_eq!(&columns[2], batch.column(0));
}

/// Two columns by hand, as `FrameRows`.
fn two_columns() -> (Schema, FrameRows) {
    let schema = Schema::new(vec![
        Field::new("n", DataType::Int64, true),
        Field::new("s", DataType::Utf8, true),
    ]);
    let numbers = FrameVector {
        validity: vec![0b101],
        values: vec![1 | (2 << 64), 3],
        length: 3,
        ..FrameVector::default()
    };
    let texts = FrameVector {
        offsets: vec![0, 1, 1, 3],
        bytes: "aé".into(),
        length: 3,
        ..FrameVector::default()
    };
    (schema, FrameRows { vectors: vec![numbers, texts], rows: 3 })
}

/// By rkyv's own serializer.
fn by_rkyv(rows: &FrameRows) -> Vec<u8> {
    rkyv::to_bytes::<rancor::BoxedError>(rows).unwrap().to_vec()
}

#[test]
fn rkyv_reads_what_is_written_and_writes_what_is_read() {
    let (schema, rows) = two_columns();
    let columns = read(&schema, &by_rkyv(&rows)).unwrap();
    assert_eq!(columns[0].as_ref(), &Int64Array::from(vec![Some(1), None, Some(3)]));
    let batch = RecordBatch::try_new(Arc::new(schema), columns).unwrap();
    let bytes = aligned(&write(&batch));
    let archived = low::access::<ArchivedFrameRows, rancor::BoxedError>(&bytes).unwrap();
    assert_eq!(archived.rows.to_native(), 3);
    for (written, vector) in archived.vectors.iter().zip(&rows.vectors) {
        assert_eq!(written.validity.as_slice(), vector.validity.as_slice());
        assert_eq!(written.offsets.as_slice(), vector.offsets.as_slice());
        assert_eq!(written.values.as_slice(), vector.values.as_slice());
        assert_eq!(written.bytes.as_slice(), vector.bytes.as_slice());
        assert_eq!(written.length.to_native(), vector.length);
    }
}

#[track_caller]
fn refused(schema: &Schema, damage: impl FnOnce(&mut FrameRows), expected: &str) {
    let (_, mut rows) = two_columns();
    damage(&mut rows);
    let fault = read(schema, &by_rkyv(&rows)).expect_err("it is damaged");
    assert_eq!(fault.to_string(), expected);
}

#[test]
fn what_does_not_fit_is_refused_by_name() {
    let (schema, _) = two_columns();
    let check = |damage: fn(&mut FrameRows), expected: &str| refused(&schema, damage, expected);
    let of = |column: &str, part: &str, found: usize, expected: usize| {
        format!("column \"{column}\": {part} has {found} elements, and must have {expected}")
    };
    check(|rows| rows.vectors.truncate(1), "has 1 vectors; the schema of hello has 2");
    check(|rows| rows.rows = u32::MAX, "has 4294967295 rows; a frame has 1048576 at most");
    check(|rows| rows.rows = 0, &of("n", "length", 3, 0));
    check(|rows| rows.rows = FRAME_ROWS_MAX, &of("n", "length", 3, FRAME_ROWS_MAX as usize));
    check(|rows| rows.vectors[1].length = 4, &of("s", "length", 4, 3));
    check(|rows| rows.vectors[0].validity.push(0), &of("n", "validity", 2, 1));
    check(|rows| rows.vectors[0].values.truncate(1), &of("n", "values", 1, 2));
    check(|rows| rows.vectors[0].values.push(0), &of("n", "values", 3, 2));
    check(|rows| rows.vectors[0].offsets.push(0), &of("n", "offsets", 1, 0));
    check(|rows| rows.vectors[0].bytes.push(0), &of("n", "bytes", 1, 0));
    check(|rows| rows.vectors[1].offsets.truncate(3), &of("s", "offsets", 3, 4));
    check(|rows| rows.vectors[1].offsets.clear(), &of("s", "offsets", 0, 4));
    check(|rows| rows.vectors[1].offsets[3] = 4, &of("s", "bytes", 3, 4));
    check(|rows| rows.vectors[1].offsets[3] = i32::MAX, &of("s", "bytes", 3, 0x7fff_ffff));
    let ascending = |index: u32| {
        format!("column \"s\": offset {index} is not the next one of an ascending list from 0")
    };
    check(|rows| rows.vectors[1].offsets[3] = -1, &ascending(3));
    check(|rows| rows.vectors[1].offsets[0] = 1, &ascending(0));
    check(|rows| rows.vectors[1].offsets[2] = 0, &ascending(2));
    check(|rows| rows.vectors[1].offsets[1] = 9, &ascending(2));
    let text = "column \"s\" has text that is not UTF-8";
    check(|rows| rows.vectors[1].bytes[0] = 0xff, text);
    check(|rows| rows.vectors[1].offsets[2] = 2, text);
}

#[test]
fn values_that_a_type_does_not_have_are_refused() {
    let cases = [
        (DataType::Decimal128(4, 2), 10_000_i128),
        (DataType::Decimal128(4, 2), -10_000),
        (DataType::Time32(arrow::datatypes::TimeUnit::Millisecond), 86_400_000),
        (DataType::Time32(arrow::datatypes::TimeUnit::Second), 0xffff_ffff),
        (DataType::Time64(arrow::datatypes::TimeUnit::Microsecond), 86_400_000_000),
        (DataType::Time64(arrow::datatypes::TimeUnit::Nanosecond), 86_400_000_000_000),
    ];
    for (data_type, value) in cases {
        let schema = Schema::new(vec![Field::new("v", data_type.clone(), true)]);
        let rows = |unscaled: i128, validity: Vec<u64>| FrameRows {
            vectors: vec![FrameVector {
                validity,
                values: vec![unscaled.cast_unsigned()],
                length: 1,
                ..FrameVector::default()
            }],
            rows: 1,
        };
        let fault = read(&schema, &by_rkyv(&rows(value, vec![]))).unwrap_err();
        assert_eq!(fault, FrameFault::Range { column: "v".into(), index: 0 }, "{data_type}");
        assert!(read(&schema, &by_rkyv(&rows(value, vec![0]))).is_ok(), "NULL may be anything");
        assert!(read(&schema, &by_rkyv(&rows(1, vec![]))).is_ok());
    }
}

#[test]
fn a_null_inside_where_none_may_be_is_refused() {
    let part = |nullable| Fields::from(vec![Field::new("x", DataType::Int64, nullable)]);
    let schema = |nullable| {
        let row = DataType::Struct(part(nullable));
        Schema::new(vec![Field::new("r", row, true)])
    };
    let rows = |validity: Vec<u64>| FrameRows {
        vectors: vec![
            FrameVector { validity, length: 1, ..FrameVector::default() },
            FrameVector { validity: vec![0], values: vec![0], length: 1, ..FrameVector::default() },
        ],
        rows: 1,
    };
    assert!(read(&schema(true), &by_rkyv(&rows(vec![]))).is_ok());
    let fault = read(&schema(false), &by_rkyv(&rows(vec![]))).unwrap_err();
    assert_eq!(fault, FrameFault::Null { column: "r.x".into() });
    assert!(read(&schema(false), &by_rkyv(&rows(vec![0]))).is_ok(), "the row itself is NULL");
}

/// Walks every value: what the checker lets through must be safe to look at.
fn traverse(columns: &[ArrayRef]) -> usize {
    let options = arrow::util::display::FormatOptions::default().with_display_error(true);
    let texts = columns.iter().map(|column| {
        let shown = arrow::util::display::ArrayFormatter::try_new(column, &options).unwrap();
        (0..column.len()).map(|row| shown.value(row).to_string().len()).sum::<usize>()
    });
    texts.sum()
}

#[test]
fn no_mutation_reads_beyond_the_archive() {
    let schema = every_type();
    let bytes = write(&arbitrary(&schema, 5, 3));
    let reader = FrameReader::new(&schema, schema.fields());
    let (mut accepted, mut refused) = (0, 0);
    let mut attempt = |damaged: &[u8]| match reader.read(&aligned(damaged)) {
        Ok((columns, _)) => {
            traverse(&columns);
            accepted += 1;
        }
        Err(_) => refused += 1,
    };
    for cut in 0..bytes.len() {
        attempt(&bytes[..cut]);
    }
    for at in 0..bytes.len() {
        for value in [0, 0x7f, 0x80, 0xff, bytes[at] ^ 1, bytes[at].wrapping_add(1)] {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            attempt(&damaged);
        }
    }
    for at in (0..bytes.len() - 4).step_by(4) {
        for value in [0, 1, u32::MAX, 0x7fff_ffff, 0x8000_0000] {
            let mut damaged = bytes.clone();
            damaged[at..at + 4].copy_from_slice(&value.to_le_bytes());
            attempt(&damaged);
        }
    }
    // Values may be any values, but most of what tells where they are must be as it is.
    assert!(refused > 2_000, "{refused} refused, {accepted} accepted");
}
