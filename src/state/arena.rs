//! Arena: bytes appended once and never moved, in chunks, addressed by 32 bits.
//!
//! A position counts units of 8 bytes, so one arena reaches over 32 GiB. What is longer than a
//! chunk gets a chunk of its own.

/// Bytes of a chunk. Small enough that allocating one is no event, large enough that its header
/// costs nothing.
const CHUNK_BYTES: usize = 64 * 1024;

/// Bytes a position counts.
const UNIT_BYTES: usize = 8;

const CHUNK_UNITS: usize = CHUNK_BYTES / UNIT_BYTES;

/// Chunks freed in one step: 1 MiB.
const FREED_CHUNKS_MAX: usize = 16;

/// Bytes in chunks.
#[derive(Debug, Default)]
pub(super) struct Arena {
    chunks: Vec<Vec<u8>>,
}

/// Where something begins in an arena.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Position(pub(super) u32);

impl Position {
    fn new(chunk: usize, offset: usize) -> Position {
        let units = chunk * CHUNK_UNITS + offset / UNIT_BYTES;
        // The last value is kept free: `index` stores positions plus one.
        assert!(units < u32::MAX as usize, "a table is smaller than 32 GiB");
        Position(u32::try_from(units).expect("just compared"))
    }

    #[inline]
    fn split(self) -> (usize, usize) {
        let units = self.0 as usize;
        (units / CHUNK_UNITS, units % CHUNK_UNITS * UNIT_BYTES)
    }
}

impl Arena {
    /// Makes room for `length` bytes and lets `write` append exactly as many.
    pub(super) fn append(&mut self, length: usize, write: impl FnOnce(&mut Vec<u8>)) -> Position {
        let padded = length.next_multiple_of(UNIT_BYTES);
        if self.chunks.last().is_none_or(|chunk| chunk.len() + padded > CHUNK_BYTES) {
            // The first chunk grows by doubling, so that a small table stays small.
            let capacity = if self.chunks.is_empty() { 0 } else { CHUNK_BYTES.max(padded) };
            self.chunks.push(Vec::with_capacity(capacity));
        }
        let index = self.chunks.len() - 1;
        let chunk = &mut self.chunks[index];
        let offset = chunk.len();
        write(chunk);
        assert_eq!(chunk.len(), offset + length);
        chunk.resize(offset + padded, 0);
        Position::new(index, offset)
    }

    /// Everything from `at` to the end of its chunk.
    #[inline]
    pub(super) fn bytes_from(&self, at: Position) -> &[u8] {
        let (chunk, offset) = at.split();
        &self.chunks[chunk][offset..]
    }

    /// Everything from `at` to the end of its chunk.
    #[inline]
    pub(super) fn bytes_mut_from(&mut self, at: Position) -> &mut [u8] {
        let (chunk, offset) = at.split();
        &mut self.chunks[chunk][offset..]
    }

    /// The position `length` bytes behind `at`, or the next chunk's first; `None` at the end.
    pub(super) fn after(&self, at: Position, length: usize) -> Option<Position> {
        let (chunk, offset) = at.split();
        let next = offset + length.next_multiple_of(UNIT_BYTES);
        if next < self.chunks[chunk].len() {
            return Some(Position::new(chunk, next));
        }
        (chunk + 1 < self.chunks.len()).then(|| Position::new(chunk + 1, 0))
    }

    /// Where the first thing begins.
    pub(super) fn first(&self) -> Option<Position> {
        self.chunks.first().map(|_| Position(0))
    }

    /// Bytes allocated.
    pub(super) fn bytes(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(Vec::capacity).sum();
        chunks + self.chunks.capacity() * size_of::<Vec<u8>>()
    }

    /// Frees some chunks; true when there are more. What was in the arena is lost.
    pub(super) fn free_some(&mut self) -> bool {
        let kept = self.chunks.len().saturating_sub(FREED_CHUNKS_MAX);
        self.chunks.truncate(kept);
        !self.chunks.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_appended_is_found_again_in_order() {
        let mut arena = Arena::default();
        assert_eq!(arena.first(), None);
        let mut random = fastrand::Rng::with_seed(1);
        let mut written = Vec::new();
        for number in 0..20_000_u32 {
            let length = if number % 500 == 7 { CHUNK_BYTES + 9 } else { random.usize(1..300) };
            let value = vec![number.to_le_bytes()[0]; length];
            let at = arena.append(length, |chunk| chunk.extend_from_slice(&value));
            written.push((at, value));
        }
        let mut at = arena.first();
        for (position, value) in &written {
            assert_eq!(at, Some(*position));
            assert_eq!(&arena.bytes_from(*position)[..value.len()], value);
            at = arena.after(*position, value.len());
        }
        assert_eq!(at, None);
        let mut steps = 1;
        while arena.free_some() {
            steps += 1;
        }
        assert!(steps > 1 && arena.first().is_none());
    }
}
