//! Decoding and encoding alone: bytes per second of each format, on bids of about 160 bytes as JSON.
//!
//! `cargo bench --bench decode`; one core, data in cache, no I/O.

#![expect(clippy::unwrap_used, reason = "a benchmark has nobody to tell")]

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pelton::format::{CsvOptions, DecoderOptions, FormatOptions, JsonOptions, decoder, encoder};

const ROWS: usize = 4096;

/// What the engine reads at once: a slice of a file that is still in the cache.
const PIECE_BYTES: usize = 64 * 1024;

const JSON: FormatOptions = FormatOptions::Json(JsonOptions { iso_timestamps: false });
const CSV: FormatOptions =
    FormatOptions::Csv(CsvOptions { delimiter: b',', header: false, multiline: false });

fn bid_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("auction", DataType::Int64, true),
        Field::new("bidder", DataType::Int64, true),
        Field::new("price", DataType::Int64, true),
        Field::new("channel", DataType::Utf8, true),
        Field::new("url", DataType::Utf8, true),
        Field::new("dateTime", DataType::Timestamp(TimeUnit::Millisecond, None), true),
    ]))
}

fn line_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new("line", DataType::Utf8, true)]))
}

/// Bids as JSON lines, the same in every run.
fn bids_json() -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let mut text = String::new();
    for row in 0..ROWS {
        writeln!(
            text,
            "{{\"auction\":{},\"bidder\":{},\"price\":{},\"channel\":\"channel-{}\",\
             \"url\":\"https://www.nexmark.com/{:012}/item.htm\",\
             \"dateTime\":\"2020-01-01 00:{:02}:{:02}.{:03}\"}}",
            1000 + random.u32(0..2000),
            1000 + random.u32(0..10_000),
            random.u32(100..10_000_000),
            random.u32(0..10_000),
            random.u64(0..1_000_000_000_000),
            row / 600 % 60,
            row / 10 % 60,
            row % 10 * 100 + 1,
        )
        .unwrap();
    }
    text.into_bytes()
}

fn decoder_options(format: &FormatOptions, schema: &SchemaRef) -> DecoderOptions {
    DecoderOptions {
        format: format.clone(),
        schema: Arc::clone(schema),
        projection: (0..schema.fields().len()).collect(),
        line_bytes_max: 1 << 20,
        keep_provenance: None,
        start_offset: 0,
    }
}

fn decode(options: &DecoderOptions, input: &[u8]) -> Vec<RecordBatch> {
    let mut decoder = decoder(options).unwrap();
    let mut batches = Vec::new();
    for piece in input.chunks(PIECE_BYTES) {
        decoder.feed(piece);
        while let Some(decoded) = decoder.take() {
            batches.push(decoded.rows);
        }
    }
    assert!(decoder.take_rejected().is_none());
    batches
}

fn encode(format: &FormatOptions, batches: &[RecordBatch], out: &mut Vec<u8>) {
    out.clear();
    let mut encoder = encoder(format, &batches[0].schema()).unwrap();
    batches.iter().for_each(|batch| encoder.encode(batch, out));
}

fn bench_decode(criterion: &mut Criterion, name: &str, options: &DecoderOptions, input: &[u8]) {
    let mut group = criterion.benchmark_group("decode");
    group.throughput(Throughput::Bytes(input.len() as u64));
    group.bench_function(name, |bencher| bencher.iter(|| decode(options, black_box(input))));
    group.finish();
}

fn bench_encode(
    criterion: &mut Criterion,
    name: &str,
    format: &FormatOptions,
    batches: &[RecordBatch],
) {
    let mut out = Vec::new();
    encode(format, batches, &mut out);
    let mut group = criterion.benchmark_group("encode");
    group.throughput(Throughput::Bytes(out.len() as u64));
    group.bench_function(name, |bencher| {
        bencher.iter(|| encode(format, black_box(batches), &mut out));
    });
    group.finish();
}

fn all(criterion: &mut Criterion) {
    let json = bids_json();
    let options = decoder_options(&JSON, &bid_schema());
    bench_decode(criterion, "json_6_of_6", &options, &json);
    let two = DecoderOptions { projection: vec![0, 5], ..options.clone() };
    bench_decode(criterion, "json_2_of_6", &two, &json);
    let raw = decoder_options(&FormatOptions::Raw, &line_schema());
    bench_decode(criterion, "raw", &raw, &json);

    let batches = decode(&options, &json);
    let mut csv = Vec::new();
    encode(&CSV, &batches, &mut csv);
    bench_decode(criterion, "csv_6_of_6", &decoder_options(&CSV, &bid_schema()), &csv);

    bench_encode(criterion, "json", &JSON, &batches);
    bench_encode(criterion, "csv", &CSV, &batches);
    bench_encode(criterion, "raw", &FormatOptions::Raw, &decode(&raw, &json));
    let rows: Vec<RecordBatch> = batches
        .iter()
        .flat_map(|batch| (0..batch.num_rows().min(100)).map(|row| batch.slice(row, 1)))
        .collect();
    bench_encode(criterion, "json_batches_of_one", &JSON, &rows);
}

criterion_group!(benches, all);
criterion_main!(benches);
