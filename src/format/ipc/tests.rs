//! Streams as Arrow's own writer writes them, cut anywhere; and damaged ones.

use arrow::array::{Array, ArrayRef, DictionaryArray, RecordBatch, StringArray};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef};
use arrow::ipc::writer::{FileWriter, StreamWriter};
use std::sync::Arc;

use super::*;
use crate::format::{Decoder, DecoderOptions, Encoder, FormatOptions};
use crate::record::testing::{arbitrary, every_type};

fn options(schema: &SchemaRef) -> DecoderOptions {
    DecoderOptions {
        format: FormatOptions::Arrow,
        schema: Arc::clone(schema),
        projection: (0..schema.fields().len()).collect(),
        line_bytes_max: 1,
        keep_provenance: Some("origin".into()),
        start_offset: 0,
    }
}

/// The rows of a stream that comes in pieces of so many bytes, and what is wrong with it.
fn decode(
    options: &DecoderOptions,
    bytes: &[u8],
    piece_bytes: usize,
) -> (RecordBatch, Option<String>) {
    let mut decoder = IpcDecoder::new(options);
    bytes.chunks(piece_bytes).for_each(|piece| decoder.feed(piece));
    decoder.finish();
    let mut batches = Vec::new();
    while let Some(decoded) = decoder.take() {
        let provenance = decoded.provenance.unwrap();
        assert_eq!(provenance.offsets.len(), decoded.rows.num_rows());
        batches.push(decoded.rows);
    }
    assert_eq!(decoder.rows(), 0);
    let schema = options.schema.project(&options.projection).unwrap();
    (concat_batches(&Arc::new(schema), &batches).unwrap(), decoder.fault())
}

fn stream(schema: &SchemaRef, batches: &[RecordBatch]) -> Vec<u8> {
    let mut writer = StreamWriter::try_new(Vec::new(), schema).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

#[test]
fn every_type_comes_as_it_was_written() {
    let schema = every_type();
    let batches: Vec<_> = (0..4).map(|seed| arbitrary(&schema, 300, seed)).collect();
    let expected = concat_batches(&schema, &batches).unwrap();
    let written = stream(&schema, &batches);
    for piece_bytes in [1, 1_000, usize::MAX] {
        let (found, fault) = decode(&options(&schema), &written, piece_bytes);
        assert_eq!(fault, None);
        assert!(found == expected);
    }
    // As our own encoder writes it, and as a file of Arrow's file format.
    let mut encoder = IpcEncoder::new(&schema);
    let mut ours = Vec::new();
    encoder.begin(&mut ours);
    batches.iter().for_each(|batch| encoder.encode(batch, &mut ours));
    encoder.end(&mut ours);
    assert_eq!(ours, written);
    let mut writer = FileWriter::try_new(Vec::new(), &schema).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    let file = writer.into_inner().unwrap();
    let (found, fault) = decode(&options(&schema), &file, 777);
    assert_eq!(fault, None);
    assert!(found == expected);
}

#[test]
fn columns_are_found_by_name() {
    let schema = every_type();
    let batch = arbitrary(&schema, 100, 9);
    let written = stream(&schema, std::slice::from_ref(&batch));
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    for column in all {
        let missing = Field::new("missing", DataType::Utf8, true);
        let table = Schema::new(vec![missing.into(), Arc::clone(&schema.fields()[column])]);
        let (found, fault) = decode(&options(&Arc::new(table)), &written, 1_000);
        assert_eq!(fault, None);
        assert_eq!(found.column(0).null_count(), 100);
        assert_eq!(found.column(1), batch.column(column));
    }
}

/// What a stream is refused for.
#[track_caller]
fn refused(table: &SchemaRef, bytes: &[u8], expected: &str) {
    let (_, fault) = decode(&options(table), bytes, 100);
    let fault = fault.unwrap_or_else(|| panic!("taken; expected {expected}"));
    assert!(fault.contains(expected), "{fault}; expected {expected}");
}

#[test]
fn what_cannot_be_read_is_named() {
    let one = |data_type: DataType| Arc::new(Schema::new(vec![Field::new("c", data_type, true)]));
    let table = one(DataType::Utf8);
    let of = |schema: &SchemaRef| stream(schema, &[]);
    refused(&table, b"GET / HTTP/1.1\r\n", "no message of Arrow: it begins with \"GET \"");
    refused(
        &table,
        &of(&one(DataType::Int64)),
        "column \"c\" is BIGINT in the stream and STRING in",
    );
    refused(&table, &of(&one(DataType::UInt8)), "column \"c\" has a type that SQL has not: Int");
    refused(&table, &of(&one(DataType::LargeUtf8)), "column \"c\" has a type that SQL has not");
    let strict = Arc::new(Schema::new(vec![Field::new("d", DataType::Utf8, false)]));
    refused(
        &strict,
        &of(&table),
        "column \"d\" is NOT NULL in the table, and is not among the columns",
    );
    let words: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
    let words: ArrayRef = Arc::new(words);
    let coded = RecordBatch::try_from_iter([("c", words)]).unwrap();
    let coded = stream(&coded.schema(), &[coded]);
    refused(&table, &coded, "column \"c\" is dictionary-encoded; write it as plain values");
    let rows: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
    let rows = RecordBatch::try_from_iter([("c", rows)]).unwrap();
    let whole = stream(&rows.schema(), &[rows]);
    refused(&table, &whole[..whole.len() - 20], "the stream is cut inside a message");
    refused(&table, &[&whole[..], &[0]].concat(), "the stream goes on behind its end");
    let mut long = whole;
    long[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    refused(&table, &long, "metadata of 4294967295 bytes; 1048576 at most");
}

/// Whatever is damaged, there are rows or a reason; never a panic.
#[test]
fn damaged_streams_are_refused_or_read() {
    let schema = every_type();
    let written = stream(&schema, &[arbitrary(&schema, 20, 1), arbitrary(&schema, 3, 2)]);
    let options = options(&schema);
    let mut rng = fastrand::Rng::with_seed(5);
    let mut refused = 0;
    for _ in 0..3_000 {
        let mut damaged = written.clone();
        for _ in 0..rng.usize(1..4) {
            let at = rng.usize(0..damaged.len());
            match rng.u8(0..4) {
                0 => damaged[at] = 0xff,
                1 => damaged[at] ^= 1 << rng.u8(0..8),
                2 => damaged[at] = rng.u8(..),
                _ => damaged.truncate(at.max(1)),
            }
        }
        let (rows, fault) = decode(&options, &damaged, 500);
        refused += usize::from(fault.is_some());
        for column in rows.columns() {
            column.to_data().validate_full().unwrap();
        }
    }
    assert!(refused > 1_000, "{refused}");
}
