//! Line range: which of a chunk's bytes belong to the records that start in it.
//!
//! In:  the bytes of a file from [`LineRange::read_from`] on, in pieces cut anywhere.
//! Out: the part of each piece that belongs, and whether more will.
//!
//! A record belongs to the chunk in which it starts; one that starts exactly at the border belongs
//! to the later chunk. So a chunk looks at the byte before its start (is it a line end?), skips the
//! rest of a line begun earlier, and reads past its end to finish its last line.
//!
//! Deliberately absent: what a record is made of, and where bytes come from.

use std::ops::Range;

use super::plan::Chunk;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub(super) struct LineRange {
    start: u64,
    /// No record starts here or later; `u64::MAX` when only the end of the file ends the range.
    end: u64,
    skipping: bool,
    done: bool,
}

impl LineRange {
    /// The records of a chunk.
    pub(super) fn new(chunk: &Chunk) -> LineRange {
        assert!(chunk.start < chunk.end);
        let end = if chunk.lines { chunk.end } else { u64::MAX };
        LineRange { start: chunk.start, end, skipping: chunk.start > 0, done: false }
    }

    /// Where reading begins.
    pub(super) fn read_from(&self) -> u64 {
        self.start.saturating_sub(1)
    }

    /// True when no later byte belongs.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    /// The part of `bytes`, which lie at `offset`, that belongs. Pieces come without gaps.
    pub(super) fn cut(&mut self, offset: u64, bytes: &[u8]) -> Range<usize> {
        if self.done {
            return 0..0;
        }
        let from = if self.skipping { self.skip(offset, bytes) } else { 0 };
        if self.skipping || self.done {
            return 0..0;
        }
        // The line end at or behind the range's last byte ends the last record.
        let last = index_of(self.end - 1, offset, bytes.len()).max(from);
        match memchr::memchr(b'\n', &bytes[last..]) {
            Some(at) => {
                self.done = true;
                from..last + at + 1
            }
            None => from..bytes.len(),
        }
    }

    /// Looks for the end of the line begun in an earlier chunk; returns where the first own record
    /// begins. Sets `done` when none does.
    fn skip(&mut self, offset: u64, bytes: &[u8]) -> usize {
        // A line end at the range's last byte starts a record behind the range.
        let searched = index_of(self.end - 1, offset, bytes.len());
        match memchr::memchr(b'\n', &bytes[..searched]) {
            Some(at) => {
                self.skipping = false;
                at + 1
            }
            None => {
                self.done = searched < bytes.len() || offset + bytes.len() as u64 >= self.end - 1;
                0
            }
        }
    }
}

/// `position` as an index into `length` bytes that lie at `offset`, held inside them.
fn index_of(position: u64, offset: u64, length: usize) -> usize {
    usize::try_from(position.saturating_sub(offset)).unwrap_or(usize::MAX).min(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes of every chunk of `text`, read in pieces of `piece` bytes.
    fn chunks(text: &[u8], chunk_bytes: usize, piece: usize) -> Vec<Vec<u8>> {
        let starts = (0..text.len()).step_by(chunk_bytes);
        let take = |start: usize| {
            let end = (start + chunk_bytes).min(text.len()) as u64;
            let (start, file_bytes) = (start as u64, text.len() as u64);
            let chunk = Chunk { number: 0, file: 0, start, end, file_bytes, lines: true };
            let mut range = LineRange::new(&chunk);
            let mut offset = usize::try_from(range.read_from()).unwrap();
            let mut taken = Vec::new();
            while offset < text.len() && !range.is_done() {
                let bytes = &text[offset..text.len().min(offset + piece)];
                taken.extend_from_slice(&bytes[range.cut(offset as u64, bytes)]);
                offset += bytes.len();
            }
            taken
        };
        starts.map(take).collect()
    }

    /// What each chunk must hold: the lines that start in it.
    fn model(text: &[u8], chunk_bytes: usize) -> Vec<Vec<u8>> {
        let mut model = vec![Vec::new(); text.len().div_ceil(chunk_bytes)];
        let mut start = 0;
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            model[start / chunk_bytes].extend_from_slice(line);
            start += line.len();
        }
        model
    }

    #[test]
    fn every_line_belongs_to_the_chunk_in_which_it_starts() {
        let texts: [&[u8]; 8] = [
            b"",
            b"\n",
            b"a",
            b"a\n",
            b"\n\n\na",
            b"ab\ncd\r\n\nefghijklmnop\nq",
            b"abcdefghi\nj\n",
            b"a\nb\nc\nd\ne\nf\ng\nhh\n",
        ];
        for text in texts {
            for chunk_bytes in 1..=text.len() + 1 {
                for piece in 1..=text.len() + 1 {
                    let expected = model(text, chunk_bytes);
                    let shown = text.escape_ascii();
                    let case = format!("{shown}, chunks of {chunk_bytes}, pieces of {piece}");
                    assert_eq!(chunks(text, chunk_bytes, piece), expected, "{case}");
                }
            }
        }
    }

    #[test]
    fn random_texts_agree_with_the_model() {
        for seed in 0..200 {
            let mut rng = fastrand::Rng::with_seed(seed);
            let length = rng.usize(0..60);
            let text: Vec<u8> =
                (0..length).map(|_| if rng.u8(0..4) == 0 { b'\n' } else { b'x' }).collect();
            let (chunk_bytes, piece) = (rng.usize(1..20), rng.usize(1..20));
            let actual = chunks(&text, chunk_bytes, piece);
            assert_eq!(actual, model(&text, chunk_bytes), "seed {seed}");
        }
    }
}
