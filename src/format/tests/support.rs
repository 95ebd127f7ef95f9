//! What the tests share: a schema from text, a decoder run over pieces, rows as text.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use arrow::util::display::{ArrayFormatter, FormatOptions as DisplayOptions};
use std::sync::Arc;

use crate::format::{
    CsvOptions, DecoderOptions, FormatOptions, JsonOptions, RejectedRecord, decoder,
};

pub(super) const JSON: FormatOptions = FormatOptions::Json(JsonOptions { iso_timestamps: false });
pub(super) const CSV: FormatOptions =
    FormatOptions::Csv(CsvOptions { delimiter: b',', header: false, multiline: false });

/// `a BIGINT, b STRING NOT NULL`: the types the formats carry, without parts.
pub(super) fn schema(columns: &str) -> SchemaRef {
    let field = |column: &str| {
        let (column, nullable) = match column.trim().strip_suffix(" NOT NULL") {
            Some(column) => (column, false),
            None => (column.trim(), true),
        };
        let (name, data_type) = column.split_once(' ').expect("a name and a type");
        Field::new(name, data_type_of(data_type), nullable)
    };
    Arc::new(Schema::new(columns.split(", ").map(field).collect::<Vec<_>>()))
}

fn data_type_of(name: &str) -> DataType {
    let item = |inner| Arc::new(Field::new("item", data_type_of(inner), true));
    match name {
        "BOOLEAN" => DataType::Boolean,
        "TINYINT" => DataType::Int8,
        "SMALLINT" => DataType::Int16,
        "INT" => DataType::Int32,
        "BIGINT" => DataType::Int64,
        "FLOAT" => DataType::Float32,
        "DOUBLE" => DataType::Float64,
        "DECIMAL(10,2)" => DataType::Decimal128(10, 2),
        "DECIMAL(38,10)" => DataType::Decimal128(38, 10),
        "STRING" => DataType::Utf8,
        "BYTES" => DataType::Binary,
        "DATE" => DataType::Date32,
        "TIME(0)" => DataType::Time32(TimeUnit::Second),
        "TIME(3)" => DataType::Time32(TimeUnit::Millisecond),
        "TIME(6)" => DataType::Time64(TimeUnit::Microsecond),
        "TIME(9)" => DataType::Time64(TimeUnit::Nanosecond),
        "TIMESTAMP(3)" => DataType::Timestamp(TimeUnit::Millisecond, None),
        "TIMESTAMP(6)" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "TIMESTAMP(9)" => DataType::Timestamp(TimeUnit::Nanosecond, None),
        "TIMESTAMP_LTZ(3)" => DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into())),
        "ARRAY<BIGINT>" => DataType::List(item("BIGINT")),
        "ARRAY<STRING>" => DataType::List(item("STRING")),
        "ARRAY<ARRAY<BIGINT>>" => DataType::List(item("ARRAY<BIGINT>")),
        "ROW<x,y>" => DataType::Struct(Fields::from(vec![
            Field::new("x", DataType::Int64, true),
            Field::new("y", DataType::Utf8, false),
        ])),
        "MAP<BIGINT>" => {
            let entries = Fields::from(vec![
                Field::new("key", DataType::Utf8, false),
                Field::new("value", DataType::Int64, true),
            ]);
            let entries = Field::new("entries", DataType::Struct(entries), false);
            DataType::Map(Arc::new(entries), false)
        }
        other => panic!("no such type in the tests: {other}"),
    }
}

pub(super) fn options(format: &FormatOptions, schema: &SchemaRef) -> DecoderOptions {
    DecoderOptions {
        format: format.clone(),
        schema: Arc::clone(schema),
        projection: (0..schema.fields().len()).collect(),
        line_bytes_max: 4096,
        keep_provenance: Some("test".into()),
        start_offset: 0,
    }
}

/// Everything a decoder said about some input.
#[derive(PartialEq, Eq, Debug, Default)]
pub(super) struct Outcome {
    /// `offset raw → a|b|c`, in order.
    pub(super) rows: Vec<String>,
    pub(super) rejected: Vec<RejectedRecord>,
    pub(super) records: u64,
    pub(super) offset: u64,
}

/// Feeds `pieces`, taking after each; checks what must hold after every piece.
#[track_caller]
pub(super) fn run<'a>(
    options: &DecoderOptions,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Outcome, Vec<RecordBatch>) {
    let mut decoder = decoder(options).unwrap();
    let mut outcome = Outcome::default();
    let mut batches = Vec::new();
    let mut pieces = pieces.into_iter();
    loop {
        let piece = pieces.next();
        match piece {
            Some(piece) => decoder.feed(piece),
            None => decoder.finish(),
        }
        while let Some(rejected) = decoder.take_rejected() {
            outcome.rejected.push(rejected);
        }
        let waiting = decoder.rows();
        let before = outcome.rows.len();
        while let Some(decoded) = decoder.take() {
            assert!((1..=crate::limits::BATCH_ROWS_MAX).contains(&decoded.rows.num_rows()));
            let provenance = decoded.provenance.expect("asked for");
            for (row, text) in rows_of(&decoded.rows).into_iter().enumerate() {
                let raw = provenance.raw.value(row).escape_ascii();
                outcome.rows.push(format!("{} {raw} → {text}", provenance.offsets.value(row)));
            }
            batches.push(decoded.rows);
        }
        assert_eq!(outcome.rows.len() - before, waiting);
        assert_eq!(decoder.rows(), 0);
        let accounted = outcome.rows.len() + outcome.rejected.len();
        assert_eq!(decoder.records(), accounted as u64);
        if piece.is_none() {
            break;
        }
    }
    (outcome.records, outcome.offset) = (decoder.records(), decoder.offset());
    (outcome, batches)
}

/// Rows as text, `∅` for NULL, written by Arrow's own formatter.
pub(super) fn rows_of(batch: &RecordBatch) -> Vec<String> {
    let display = DisplayOptions::new().with_null("∅");
    let columns: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column.as_ref(), &display).unwrap())
        .collect();
    (0..batch.num_rows())
        .map(|row| {
            let cells: Vec<String> =
                columns.iter().map(|column| column.value(row).to_string()).collect();
            cells.join("|")
        })
        .collect()
}

/// One record must become the row `Ok(text)` or be rejected with the reason `Err(text)`.
#[track_caller]
pub(super) fn check_record(
    format: &FormatOptions,
    columns: &str,
    record: impl AsRef<[u8]>,
    expected: Result<&str, &str>,
) {
    let record = record.as_ref();
    let (outcome, batches) = run(&options(format, &schema(columns)), [record]);
    let rows: Vec<String> = batches.iter().flat_map(rows_of).collect();
    let reasons: Vec<&str> = outcome.rejected.iter().map(|one| one.reason.as_str()).collect();
    let seen = match (rows.as_slice(), reasons.as_slice()) {
        ([row], []) => Ok(row.as_str()),
        ([], [reason]) => Err(*reason),
        other => panic!("{}: not one record: {other:?}", record.escape_ascii()),
    };
    assert_eq!(seen, expected, "{columns}: {}", record.escape_ascii());
}
