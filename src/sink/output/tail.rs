//! Tail: the newest pieces of an output, in memory.
//!
//! Their bytes lie one behind the other in chunks of memory that are used again: a piece more is a copy,
//! and no allocation.

use std::collections::VecDeque;
use std::ops::Range;

use super::piece::Head;
use crate::journal::Position;

/// Bytes of a chunk; a longer piece has one of its own.
const CHUNK_BYTES: usize = 256 * 1024;

/// Empty chunks kept for their memory.
const SPARE_MAX: usize = 4;

/// See the module.
#[derive(Default, Debug)]
pub(super) struct Tail {
    pieces: VecDeque<TailPiece>,
    chunks: VecDeque<Vec<u8>>,
    /// Number of the first chunk.
    first_chunk: u64,
    spare: Vec<Vec<u8>>,
    bytes: usize,
}

/// A piece in memory.
#[derive(Debug)]
pub(super) struct TailPiece {
    pub(super) epoch: u64,
    pub(super) head: Head,
    /// Where it begins and ends in the journal, once it is there.
    pub(super) entry: Option<(Position, Position)>,
    chunk: u64,
    range: Range<usize>,
}

impl Tail {
    /// Appends a piece.
    pub(super) fn push(&mut self, epoch: u64, head: Head, bytes: &[u8]) {
        let fits = |chunk: &Vec<u8>| chunk.len() + bytes.len() <= CHUNK_BYTES;
        if !self.chunks.back().is_some_and(fits) {
            let chunk = match self.spare.pop() {
                Some(chunk) if bytes.len() <= CHUNK_BYTES => chunk,
                _ => Vec::with_capacity(bytes.len().max(CHUNK_BYTES)),
            };
            self.chunks.push_back(chunk);
        }
        let number = self.first_chunk + self.chunks.len() as u64 - 1;
        let chunk = self.chunks.back_mut().expect("there is one now");
        let begin = chunk.len();
        chunk.extend_from_slice(bytes);
        let range = begin..chunk.len();
        self.pieces.push_back(TailPiece { epoch, head, entry: None, chunk: number, range });
        self.bytes += bytes.len();
    }

    /// Lets go of the oldest piece.
    pub(super) fn pop(&mut self) -> Option<TailPiece> {
        let piece = self.pieces.pop_front()?;
        self.bytes -= piece.range.len();
        let first = self.pieces.front().map(|next| next.chunk);
        // The last chunk goes on being filled.
        while self.chunks.len() > 1 && first.is_none_or(|first| self.first_chunk < first) {
            let mut chunk = self.chunks.pop_front().expect("there are two");
            self.first_chunk += 1;
            if self.spare.len() < SPARE_MAX && chunk.capacity() <= CHUNK_BYTES {
                chunk.clear();
                self.spare.push(chunk);
            }
        }
        if first.is_none()
            && let Some(chunk) = self.chunks.back_mut()
        {
            chunk.clear();
        }
        Some(piece)
    }

    pub(super) fn get(&self, index: usize) -> Option<&TailPiece> {
        self.pieces.get(index)
    }

    pub(super) fn bytes_of(&self, piece: &TailPiece) -> &[u8] {
        let chunk = usize::try_from(piece.chunk - self.first_chunk).expect("chunks are few");
        &self.chunks[chunk][piece.range.clone()]
    }

    /// Piece `index` is in the journal.
    pub(super) fn set_entry(&mut self, index: usize, begin: Position, end: Position) {
        self.pieces[index].entry = Some((begin, end));
    }

    /// The first of the pieces in the journal that begins at `at` or behind it.
    pub(super) fn find(&self, at: Position) -> usize {
        let is_before = |piece: &TailPiece| piece.entry.is_some_and(|(begin, _)| begin < at);
        self.pieces.partition_point(is_before)
    }

    /// Bytes of all pieces.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many pieces there are.
    pub(super) fn len(&self) -> usize {
        self.pieces.len()
    }

    /// Bytes of memory.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        self.chunks.iter().chain(&self.spare).map(Vec::capacity).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_keep_their_bytes_and_memory_is_used_again() {
        let (mut tail, mut known) = (Tail::default(), VecDeque::new());
        let mut rng = fastrand::Rng::with_seed(5);
        let mut most = 0;
        for number in 0..20_000_u64 {
            let length = if number % 5_000 == 0 { 2 * CHUNK_BYTES } else { rng.usize(..1_000) };
            let bytes: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(length).collect();
            let head =
                Head { rows: 1, is_whole: true, sequence: number, rows_before: 0, bytes_before: 0 };
            tail.push(1, head, &bytes);
            known.push_back((number, bytes));
            while known.len() > rng.usize(..400) {
                let piece = tail.pop().unwrap();
                assert_eq!(piece.head.sequence, known.pop_front().unwrap().0);
            }
            if let Some((some, expected)) = known.get(rng.usize(..known.len().max(1))) {
                let index = usize::try_from(some - known[0].0).unwrap();
                let piece = tail.get(index).unwrap();
                assert!(piece.head.sequence == *some && tail.bytes_of(piece) == expected);
            }
            let sum: usize = known.iter().map(|(_, piece)| piece.len()).sum();
            assert_eq!((tail.bytes(), tail.len()), (sum, known.len()));
            most = most.max(tail.memory());
        }
        assert!(most <= 8 * CHUNK_BYTES, "{most}");
    }

    #[test]
    fn pieces_are_found_by_their_place() {
        let mut tail = Tail::default();
        let at = |offset| Position { segment: 1, offset };
        for number in 0..5 {
            let head =
                Head { rows: 1, is_whole: true, sequence: number, rows_before: 0, bytes_before: 0 };
            tail.push(1, head, b"x");
        }
        assert_eq!(tail.find(at(0)), 0);
        for index in 0..4 {
            let begin = 100 * index as u64 + 100;
            tail.set_entry(index, at(begin), at(begin + 64));
        }
        let found = [50, 100, 101, 300, 401].map(|offset| tail.find(at(offset)));
        assert_eq!(found, [0, 0, 1, 2, 4]);
    }
}
