//! What the targets share: run a decoder over pieces, and what must hold whatever the bytes.

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use pelton::format::{DecoderOptions, FormatOptions, RejectedRecord, decoder};
use std::sync::Arc;

/// Some columns of every kind.
pub fn schema(nested: bool) -> SchemaRef {
    let mut fields = vec![
        Field::new("a", DataType::Int64, true),
        Field::new("b", DataType::Utf8, true),
        Field::new("c", DataType::Float64, true),
        Field::new("d", DataType::Timestamp(TimeUnit::Nanosecond, None), true),
        Field::new("e", DataType::Decimal128(20, 4), true),
        Field::new("f", DataType::Binary, true),
        Field::new("g", DataType::Boolean, true),
        Field::new("h", DataType::Int8, true),
    ];
    if nested {
        let row = Fields::from(vec![Field::new("x", DataType::Int64, false)]);
        let row = Arc::new(Field::new("item", DataType::Struct(row), true));
        fields.push(Field::new("i", DataType::List(row), true));
    }
    Arc::new(Schema::new(fields))
}

/// Rows with their offsets, as text, and rejections.
type Seen = (Vec<(u64, String)>, Vec<RejectedRecord>);

fn run(options: &DecoderOptions, bytes: &[u8], piece_bytes: usize) -> Seen {
    let mut decoder = decoder(options).expect("the options are valid");
    let (mut rows, mut rejected) = (Vec::new(), Vec::new());
    let mut pieces = bytes.chunks(piece_bytes);
    loop {
        let piece = pieces.next();
        match piece {
            Some(piece) => decoder.feed(piece),
            None => decoder.finish(),
        }
        while let Some(decoded) = decoder.take() {
            let provenance = decoded.provenance.expect("asked for");
            for row in 0..decoded.rows.num_rows() {
                let cells = format!("{:?}", decoded.rows.slice(row, 1).columns());
                rows.push((provenance.offsets.value(row), cells));
            }
        }
        rejected.extend(std::iter::from_fn(|| decoder.take_rejected()));
        if piece.is_none() {
            break;
        }
    }
    assert_eq!(decoder.records(), (rows.len() + rejected.len()) as u64);
    assert_eq!(decoder.offset(), bytes.len() as u64);
    (rows, rejected)
}

/// The first two bytes say how long lines may be and how the others are cut.
pub fn check(format: FormatOptions, schema: SchemaRef, data: &[u8]) -> Option<(Seen, &[u8])> {
    let [line_max, piece_bytes, bytes @ ..] = data else { return None };
    let options = DecoderOptions {
        format,
        projection: (0..schema.fields().len()).collect(),
        schema,
        line_bytes_max: usize::from(*line_max) * 16 + 1,
        keep_provenance: Some("fuzz".into()),
        start_offset: 0,
    };
    let whole = run(&options, bytes, usize::MAX);
    let cut = run(&options, bytes, usize::from(*piece_bytes).max(1));
    assert_eq!(whole, cut);
    Some((whole, bytes))
}
