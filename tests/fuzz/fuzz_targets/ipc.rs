//! Arrow IPC: whatever the bytes, they are refused or every value of them can be looked at.
//!
//! The first byte says what the others are: a stream, or damage to a valid one, in steps of four bytes
//! (position, how, with what).

#![no_main]

mod decoding;

use libfuzzer_sys::fuzz_target;
use pelton::format::{DecoderOptions, FormatOptions, JsonOptions, decoder, encoder};
use std::sync::OnceLock;

const LINES: &[u8] = br#"{"a":1,"b":"x","c":0.5,"d":"2020-01-01 00:00:00","e":1.5,"f":"AA==","g":true,"h":7,"i":[{"x":1},{"x":2}]}
{"a":null,"b":"\u00e9","i":[]}
{"a":3,"b":"zzz","g":false,"i":[{"x":3},null]}
"#;

fn options(format: FormatOptions) -> DecoderOptions {
    let schema = decoding::schema(true);
    let projection = (0..schema.fields().len()).collect();
    DecoderOptions {
        format,
        schema,
        projection,
        line_bytes_max: 1 << 20,
        keep_provenance: None,
        start_offset: 0,
    }
}

fn valid() -> &'static Vec<u8> {
    static VALID: OnceLock<Vec<u8>> = OnceLock::new();
    VALID.get_or_init(|| {
        let json = options(FormatOptions::Json(JsonOptions { iso_timestamps: false }));
        let mut lines = decoder(&json).expect("the options are valid");
        lines.feed(LINES);
        let rows = lines.take().expect("the lines are valid").rows;
        let mut stream = encoder(&FormatOptions::Arrow, &rows.schema()).expect("it is carried");
        let mut out = Vec::new();
        stream.begin(&mut out);
        stream.encode(&rows, &mut out);
        stream.end(&mut out);
        out
    })
}

fn read(bytes: &[u8]) {
    let mut stream = decoder(&options(FormatOptions::Arrow)).expect("the options are valid");
    for piece in bytes.chunks(61) {
        stream.feed(piece);
    }
    stream.finish();
    while let Some(decoded) = stream.take() {
        for column in decoded.rows.columns() {
            column.to_data().validate_full().expect("what is taken is valid");
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let [choice, data @ ..] = data else { return };
    if choice % 2 == 0 {
        return read(data);
    }
    let mut damaged = valid().clone();
    for step in data.chunks_exact(4) {
        let at = usize::from(u16::from_le_bytes([step[0], step[1]])) % damaged.len();
        match step[2] % 4 {
            0 => damaged[at] = step[3],
            1 => damaged[at] ^= 1 << (step[3] % 8),
            2 => damaged[at] = damaged[at].wrapping_add(step[3]),
            _ => damaged.truncate(at.max(1)),
        }
    }
    read(&damaged);
});
