//! Frames: whatever the bytes, they are refused or every value of them can be looked at.
//!
//! The first byte says what the others are: an archive, a stream of messages, or damage to a valid
//! archive, in steps of four bytes (position, how, with what).

#![no_main]

mod decoding;

use arrow::array::RecordBatch;
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::SchemaRef;
use arrow::util::display::{ArrayFormatter, FormatOptions as Shown};
use libfuzzer_sys::fuzz_target;
use pelton::format::{
    DecoderOptions, FormatOptions, FrameColumns, FrameHello, FrameKind, FrameReceiver, FrameStream,
    JsonOptions, decoder,
};
use pelton::record::{BufferPool, FrameWriter, PoolLimits};
use std::collections::VecDeque;
use std::sync::OnceLock;

const LINES: &[u8] = br#"{"a":1,"b":"x","c":0.5,"d":"2020-01-01 00:00:00","e":1.5,"f":"AA==","g":true,"h":7,"i":[{"x":1},{"x":2}]}
{"a":null,"b":"\u00e9","i":[]}
{"a":3,"b":"zzz","g":false,"i":[{"x":3},null]}
"#;

fn valid() -> &'static (SchemaRef, Vec<u8>) {
    static VALID: OnceLock<(SchemaRef, Vec<u8>)> = OnceLock::new();
    VALID.get_or_init(|| {
        let schema = decoding::schema(true);
        let mut decoder = decoder(&DecoderOptions {
            format: FormatOptions::Json(JsonOptions { iso_timestamps: false }),
            schema: schema.clone(),
            projection: (0..schema.fields().len()).collect(),
            line_bytes_max: 1 << 20,
            keep_provenance: None,
            start_offset: 0,
        })
        .expect("the options are valid");
        decoder.feed(LINES);
        let rows = decoder.take().expect("the lines are valid").rows;
        assert_eq!(rows.num_rows(), 3);
        let mut archive = Vec::new();
        FrameWriter::new().write(&rows, &mut archive);
        (schema, archive)
    })
}

fn traverse(rows: &RecordBatch) {
    let shown = Shown::default().with_display_error(true);
    for column in rows.columns() {
        let formatter = ArrayFormatter::try_new(column, &shown).expect("every type can be shown");
        for row in 0..column.len() {
            std::hint::black_box(formatter.value(row).to_string());
        }
    }
}

fn read(schema: &SchemaRef, archive: &[u8]) {
    let mut buffer = MutableBuffer::with_capacity(archive.len());
    buffer.extend_from_slice(archive);
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    let columns = FrameColumns::new(schema, schema, &all).expect("the columns are the same");
    if let Ok(read) = columns.read(&Buffer::from(buffer)) {
        traverse(&read.rows);
    }
}

fn messages(bytes: &[u8]) {
    let mut stream = FrameStream::new(1 << 20);
    for piece in bytes.chunks(61) {
        stream.feed(piece);
        while let Ok(Some(message)) = stream.take() {
            if message.header.kind == FrameKind::Hello
                && let Ok(hello) = FrameHello::parse(&message.payload)
            {
                read(&hello.schema, &message.payload);
            }
        }
    }
}

/// The same by the receiver, whose messages lie where they were received.
fn received(bytes: &[u8]) {
    let (schema, _) = valid();
    let mut pool = BufferPool::new(PoolLimits {
        buffer_bytes: 1 << 17,
        small_buffers_max: 4,
        large_bytes_max: 1 << 22,
    });
    let (mut receiver, mut messages) = (FrameReceiver::new(1 << 20), VecDeque::new());
    let mut rest = bytes;
    while !rest.is_empty() {
        let Some((mut memory, bytes_max)) = receiver.prepare_to_wait(&mut pool) else { return };
        let (now, later) = rest.split_at(rest.len().min(bytes_max).min(777));
        memory.extend_from_slice(now);
        rest = later;
        let is_over = receiver.filled(memory, now.len() < bytes_max, &mut messages).is_err();
        for message in messages.drain(..) {
            read(schema, &message.payload);
        }
        if is_over {
            return;
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let (schema, archive) = valid();
    let [choice, data @ ..] = data else { return };
    match choice % 5 {
        4 => received(data),
        0 => read(schema, data),
        1 => messages(data),
        2 => {
            let _ = FrameHello::parse(data);
        }
        _ => {
            let mut damaged = archive.clone();
            for step in data.chunks_exact(4) {
                let at = usize::from(u16::from_le_bytes([step[0], step[1]])) % damaged.len();
                match step[2] % 4 {
                    0 => damaged[at] = step[3],
                    1 => damaged[at] ^= 1 << (step[3] % 8),
                    2 => damaged[at] = damaged[at].wrapping_add(step[3]),
                    _ => damaged.truncate(at.max(1)),
                }
            }
            read(schema, &damaged);
        }
    }
});
