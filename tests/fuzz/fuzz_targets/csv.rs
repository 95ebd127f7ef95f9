//! CSV: nothing panics, and every record is accounted for however the bytes are cut.

#![no_main]

mod decoding;

use libfuzzer_sys::fuzz_target;
use pelton::format::{CsvOptions, FormatOptions};

fuzz_target!(|data: &[u8]| {
    let [choice, data @ ..] = data else { return };
    let csv = CsvOptions {
        delimiter: if choice & 4 == 0 { b',' } else { b';' },
        header: choice & 1 != 0,
        multiline: choice & 2 != 0,
    };
    decoding::check(FormatOptions::Csv(csv), decoding::schema(false), data);
});
