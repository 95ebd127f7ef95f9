//! JSON lines: nothing panics, every record is accounted for however the bytes are cut, and a line
//! that becomes a row is an object for another parser too.

#![no_main]

mod decoding;

use libfuzzer_sys::fuzz_target;
use pelton::format::{FormatOptions, JsonOptions};

fuzz_target!(|data: &[u8]| {
    let format = FormatOptions::Json(JsonOptions { iso_timestamps: false });
    let Some(((rows, _), bytes)) = decoding::check(format, decoding::schema(true), data) else {
        return;
    };
    for (offset, _) in rows {
        let rest = &bytes[usize::try_from(offset).expect("it is inside")..];
        let line = rest.split(|&byte| byte == b'\n').next().expect("there is always one");
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        if let Err(error) = serde_json::from_slice::<serde_json::Map<_, _>>(line) {
            // A number beyond DOUBLE is a number; 128 levels are the limit of both, counted otherwise.
            let text = error.to_string();
            assert!(text.contains("out of range") || text.contains("recursion"), "{text}");
        }
    }
});
