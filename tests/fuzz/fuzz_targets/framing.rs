//! Framing: against the obvious way to split a text into lines.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pelton::format::{EveryLine, Framed, Framer};

/// Offset, bytes and whether too long, of every line.
type Lines = Vec<(u64, Vec<u8>, bool)>;

fn cut(bytes: &[u8], bytes_max: usize, piece_bytes: usize) -> Lines {
    let mut framer = Framer::new(EveryLine, bytes_max, 0);
    let mut lines = Lines::new();
    let mut emit = |framed: Framed<'_>| {
        lines.push((framed.offset, framed.bytes.to_vec(), framed.too_long));
    };
    bytes.chunks(piece_bytes).for_each(|piece| framer.feed(piece, &mut emit));
    framer.finish(&mut emit);
    lines
}

fn model(bytes: &[u8], bytes_max: usize) -> Lines {
    let mut lines = Lines::new();
    let mut offset = 0;
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let text =
            line.strip_suffix(b"\n").map_or(line, |text| text.strip_suffix(b"\r").unwrap_or(text));
        let kept = &text[..text.len().min(bytes_max)];
        lines.push((offset, kept.to_vec(), text.len() > bytes_max));
        offset += line.len() as u64;
    }
    lines
}

fuzz_target!(|data: &[u8]| {
    let [bytes_max, piece_bytes, bytes @ ..] = data else { return };
    let bytes_max = usize::from(*bytes_max).max(1);
    let expected = model(bytes, bytes_max);
    assert_eq!(cut(bytes, bytes_max, usize::MAX), expected);
    assert_eq!(cut(bytes, bytes_max, usize::from(*piece_bytes).max(1)), expected);
});
