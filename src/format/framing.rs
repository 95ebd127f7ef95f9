//! Framing: cuts a byte stream into records, whatever pieces it arrives in.
//!
//! In:  the bytes of one split, cut anywhere.
//! Out: each record without its line end (LF or CRLF), with its offset. A record that lies whole in
//!      the piece is handed out where it lies; only an unfinished tail is copied.
//!
//! Invariants
//! - What comes out depends on the bytes and never on where they were cut.
//! - At most `bytes_max + 1` bytes are kept: a longer record is handed out once, as too long, and
//!   the stream goes on behind the next LF.

use std::ops::Range;

use memchr::memchr;

/// One record, or the beginning of one that is too long.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Framed<'a> {
    /// Position of its first byte in the split.
    pub offset: u64,
    /// Position behind its line end; of a record that is too long, that of its first byte.
    pub end: u64,
    /// Its bytes without the line end; the first `bytes_max` of them when it is too long.
    pub bytes: &'a [u8],
    /// Longer than allowed.
    pub too_long: bool,
}

/// Finds where records end. Remembers between calls what it must know of the bytes before.
pub trait Boundary {
    /// Index of the LF that ends the current record, if it lies in `bytes`, which continue the
    /// bytes of the calls before. Having found one, the next record begins behind it.
    fn find(&mut self, bytes: &[u8]) -> Option<usize>;

    /// The next byte begins a record.
    fn reset(&mut self);
}

/// Every LF ends a record.
#[derive(Clone, Copy, Default, Debug)]
pub struct EveryLine;

impl Boundary for EveryLine {
    #[inline]
    fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        memchr(b'\n', bytes)
    }

    fn reset(&mut self) {}
}

/// Cuts one split.
#[derive(Debug)]
pub struct Framer<B> {
    boundary: B,
    bytes_max: usize,
    /// Beginning of the current record, from earlier pieces.
    pending: Vec<u8>,
    /// The current record was too long and has been handed out; waiting for the next LF.
    skipping: bool,
    /// Position of the first byte of the current record.
    record_offset: u64,
    /// Position of the next byte to come.
    next_offset: u64,
}

impl<B: Boundary> Framer<B> {
    /// For a split whose first byte has position `start_offset`.
    pub fn new(boundary: B, bytes_max: usize, start_offset: u64) -> Framer<B> {
        assert!(bytes_max > 0);
        let pending = Vec::new();
        let (record_offset, next_offset) = (start_offset, start_offset);
        Framer { boundary, bytes_max, pending, skipping: false, record_offset, next_offset }
    }

    /// Position behind the last complete record.
    pub fn offset(&self) -> u64 {
        self.record_offset
    }

    /// Hands every record that `bytes` complete to `emit`.
    #[inline]
    pub fn feed(&mut self, bytes: &[u8], emit: &mut impl FnMut(Framed<'_>)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let used = if self.skipping { self.skip(rest) } else { self.step(rest, emit) };
            self.next_offset += used as u64;
            if !self.skipping && self.pending.is_empty() {
                self.record_offset = self.next_offset;
            }
            rest = &rest[used..];
        }
    }

    /// The split has ended: what is left is a record, unless it is nothing.
    pub fn finish(&mut self, emit: &mut impl FnMut(Framed<'_>)) {
        if !self.pending.is_empty() {
            emit(framed(self.record_offset..self.next_offset, &self.pending, self.bytes_max));
        }
        self.begin_record();
        self.record_offset = self.next_offset;
    }

    /// Uses bytes up to and including the end of the current record, or all that may still belong
    /// to it. Returns how many.
    #[inline]
    fn step(&mut self, rest: &[u8], emit: &mut impl FnMut(Framed<'_>)) -> usize {
        // The longest record that may pass, its CR and its LF.
        let window_bytes = (self.bytes_max + 2 - self.pending.len()).min(rest.len());
        let window = &rest[..window_bytes];
        let Some(end) = self.boundary.find(window) else {
            self.pending.extend_from_slice(window);
            if self.pending.len() == self.bytes_max + 2 {
                self.give_up(emit);
            }
            return window_bytes;
        };
        let place = self.record_offset..self.next_offset + end as u64 + 1;
        if self.pending.is_empty() {
            emit(framed(place, without_cr(&window[..end]), self.bytes_max));
        } else {
            self.pending.extend_from_slice(&window[..end]);
            emit(framed(place, without_cr(&self.pending), self.bytes_max));
            self.pending.clear();
        }
        end + 1
    }

    /// Hands out the record as too long and begins to look for the next LF.
    #[cold]
    fn give_up(&mut self, emit: &mut impl FnMut(Framed<'_>)) {
        let first = self.record_offset;
        emit(framed(first..first, &self.pending, self.bytes_max));
        self.begin_record();
        self.skipping = true;
    }

    fn skip(&mut self, rest: &[u8]) -> usize {
        let Some(end) = memchr(b'\n', rest) else { return rest.len() };
        self.begin_record();
        end + 1
    }

    fn begin_record(&mut self) {
        self.pending.clear();
        self.boundary.reset();
        self.skipping = false;
    }
}

#[inline]
fn framed(place: Range<u64>, bytes: &[u8], bytes_max: usize) -> Framed<'_> {
    let Range { start: offset, end } = place;
    match bytes.get(..bytes_max) {
        Some(first) if bytes.len() > bytes_max => {
            Framed { offset, end, bytes: first, too_long: true }
        }
        _ => Framed { offset, end, bytes, too_long: false },
    }
}

#[inline]
fn without_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `pieces` and renders what came out: `offset:bytes`, `!` in front when too long.
    fn run(bytes_max: usize, pieces: &[&[u8]]) -> (Vec<String>, u64) {
        let mut framer = Framer::new(EveryLine, bytes_max, 100);
        let mut seen = Vec::new();
        let mut emit = |framed: Framed<'_>| {
            let mark = if framed.too_long { "!" } else { "" };
            seen.push(format!("{mark}{}:{}", framed.offset - 100, framed.bytes.escape_ascii()));
        };
        for piece in pieces {
            framer.feed(piece, &mut emit);
        }
        framer.finish(&mut emit);
        (seen, framer.offset() - 100)
    }

    /// Every way of cutting `input` in three must give `expected`.
    #[track_caller]
    fn check(bytes_max: usize, input: &str, expected: &[&str]) {
        let input = input.as_bytes();
        for first in 0..=input.len() {
            for second in first..=input.len() {
                let pieces = [&input[..first], &input[first..second], &input[second..]];
                let (seen, offset) = run(bytes_max, &pieces);
                assert_eq!(seen, expected, "cut at {first} and {second}");
                assert_eq!(offset, input.len() as u64, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn lines_end_at_lf_or_crlf() {
        check(10, "", &[]);
        check(10, "a\nbc\n", &["0:a", "2:bc"]);
        check(10, "a\r\nbc\r\n", &["0:a", "3:bc"]);
        check(10, "\n\na", &["0:", "1:", "2:a"]);
        check(10, "a\rb\r\r\n", &["0:a\\rb\\r"]);
    }

    #[test]
    fn the_last_line_needs_no_end() {
        check(10, "a\nb", &["0:a", "2:b"]);
        check(10, "a\nb\r", &["0:a", "2:b\\r"]);
    }

    #[test]
    fn a_long_line_is_handed_out_once_and_skipped() {
        check(3, "abc\nabcd\nabcde\nx\n", &["0:abc", "!4:abc", "!9:abc", "15:x"]);
        check(3, "abc\r\nabcd\r\nx", &["0:abc", "!5:abc", "11:x"]);
        check(3, "abcdefghijk", &["!0:abc"]);
        check(3, "abc\r", &["!0:abc"]);
        check(3, "abcdefghijk\nabcd", &["!0:abc", "!12:abc"]);
    }

    #[test]
    fn the_offset_stands_behind_the_last_complete_record() {
        let mut framer = Framer::new(EveryLine, 3, 7);
        for (piece, offset) in
            [("a\nb", 9), ("c", 9), ("\n", 12), ("abcdefgh", 12), ("i\n", 22), ("", 22)]
        {
            framer.feed(piece.as_bytes(), &mut |_| {});
            assert_eq!(framer.offset(), offset, "after {piece:?}");
        }
    }
}
