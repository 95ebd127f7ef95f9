//! Buffers: aligned memory that frames are received into and then read where they lie.
//!
//! In:  how many bytes must fit, and whether somebody waits in the middle of something.
//! Out: memory that begins at a multiple of [`FRAME_ALIGNMENT`], filled by one, then frozen and read by
//!      many; it comes back by itself when the last of them is done, on whatever core.
//!
//! Invariants
//! - What is out is bounded, small and large buffers apart. Who holds a large one waits for no other,
//!   and who holds a small one and goes on gets a second one whenever a first one may be had: so that
//!   nobody waits for good.
//! - Memory is not shared before it is frozen, nor written after.

use bytes::Bytes;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::FRAME_ALIGNMENT;

/// How much a pool may have out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PoolLimits {
    /// Bytes of a small buffer; the bytes of a large one are a multiple of it.
    pub buffer_bytes: usize,
    /// Small buffers for those who begin; for those who go on, twice as many.
    pub small_buffers_max: usize,
    /// Bytes of large buffers, together.
    pub large_bytes_max: usize,
}

/// What somebody who asks for a buffer holds already.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// No other buffer.
    Begin,
    /// One whose end is to be copied.
    GoOn,
}

/// Buffers of one core.
#[derive(Debug)]
pub struct BufferPool {
    limits: PoolLimits,
    free_small: Vec<Vec<u8>>,
    small_out: usize,
    /// With their bytes.
    free_large: Vec<(usize, Vec<u8>)>,
    large_bytes_out: usize,
    /// Requests that found nothing.
    refused: u64,
    returned: Receiver<Returned>,
    way_back: Sender<Returned>,
}

/// Memory that has come back.
#[derive(Debug)]
struct Returned {
    /// Empty when it was lost.
    memory: Vec<u8>,
    class_bytes: usize,
}

/// One buffer.
#[derive(Debug)]
pub struct PoolBuffer {
    memory: Vec<u8>,
    /// Where the aligned part begins.
    start: usize,
    capacity: usize,
    /// `None` for memory that is not the pool's.
    way_back: Option<Sender<Returned>>,
}

impl BufferPool {
    /// A pool without memory as yet.
    pub fn new(limits: PoolLimits) -> BufferPool {
        assert!(limits.buffer_bytes > 0 && limits.buffer_bytes.is_multiple_of(FRAME_ALIGNMENT));
        assert!(limits.small_buffers_max > 0);
        let (way_back, returned) = channel();
        BufferPool {
            limits,
            free_small: Vec::new(),
            small_out: 0,
            free_large: Vec::new(),
            large_bytes_out: 0,
            refused: 0,
            returned,
            way_back,
        }
    }

    /// An empty buffer for at least `bytes` bytes; `None` when all are out, or none is so large.
    pub fn take(&mut self, bytes: usize, need: Need) -> Option<PoolBuffer> {
        self.collect();
        let class_bytes = bytes.max(1).next_multiple_of(self.limits.buffer_bytes);
        let taken = if class_bytes == self.limits.buffer_bytes {
            self.take_small(need)
        } else {
            self.take_large(class_bytes)
        };
        self.refused += u64::from(taken.is_none());
        taken
    }

    /// Memory for exactly `bytes` bytes that is not the pool's: for who has little, and may wait long
    /// for the rest.
    pub fn own(bytes: usize) -> PoolBuffer {
        PoolBuffer::new(Vec::with_capacity(bytes + FRAME_ALIGNMENT), bytes, None)
    }

    /// Bytes of all buffers that are out.
    pub fn bytes_out(&mut self) -> usize {
        self.collect();
        self.small_out * self.limits.buffer_bytes + self.large_bytes_out
    }

    /// Requests so far that found no buffer.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Bytes of a small buffer.
    pub fn buffer_bytes(&self) -> usize {
        self.limits.buffer_bytes
    }

    fn take_small(&mut self, need: Need) -> Option<PoolBuffer> {
        let factor = match need {
            Need::Begin => 1,
            Need::GoOn => 2,
        };
        if self.small_out >= factor * self.limits.small_buffers_max {
            return None;
        }
        self.small_out += 1;
        let memory = self.free_small.pop();
        Some(self.buffer(memory, self.limits.buffer_bytes))
    }

    fn take_large(&mut self, class_bytes: usize) -> Option<PoolBuffer> {
        if self.large_bytes_out + class_bytes > self.limits.large_bytes_max {
            return None;
        }
        self.large_bytes_out += class_bytes;
        let fits = |(bytes, _): &(usize, Vec<u8>)| *bytes == class_bytes;
        let memory = self.free_large.iter().position(fits).map(|at| self.free_large.remove(at).1);
        // What is free and of another size makes room.
        while self.large_bytes_out + self.free_large_bytes() > self.limits.large_bytes_max {
            self.free_large.remove(0);
        }
        Some(self.buffer(memory, class_bytes))
    }

    fn free_large_bytes(&self) -> usize {
        self.free_large.iter().map(|(bytes, _)| bytes).sum()
    }

    fn buffer(&self, memory: Option<Vec<u8>>, class_bytes: usize) -> PoolBuffer {
        let memory = memory.unwrap_or_else(|| Vec::with_capacity(class_bytes + FRAME_ALIGNMENT));
        PoolBuffer::new(memory, class_bytes, Some(self.way_back.clone()))
    }

    /// Takes back what its last user has let go.
    fn collect(&mut self) {
        while let Ok(Returned { memory, class_bytes }) = self.returned.try_recv() {
            let is_small = class_bytes == self.limits.buffer_bytes;
            if is_small {
                self.small_out -= 1;
            } else {
                self.large_bytes_out -= class_bytes;
            }
            match (memory.capacity() > 0, is_small) {
                (true, true) => self.free_small.push(memory),
                (true, false) => self.free_large.push((class_bytes, memory)),
                (false, _) => {}
            }
        }
    }
}

impl PoolBuffer {
    fn new(mut memory: Vec<u8>, capacity: usize, way_back: Option<Sender<Returned>>) -> PoolBuffer {
        let start =
            memory.as_ptr().addr().next_multiple_of(FRAME_ALIGNMENT) - memory.as_ptr().addr();
        assert!(start + capacity <= memory.capacity());
        memory.clear();
        memory.resize(start, 0);
        PoolBuffer { memory, start, capacity, way_back }
    }

    /// What it holds, which begins at a multiple of [`FRAME_ALIGNMENT`]; nothing while it is lent.
    pub fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..).unwrap_or_default()
    }

    /// Bytes there is still room for.
    pub fn room(&self) -> usize {
        self.capacity - self.bytes().len()
    }

    /// False for memory that is not the pool's.
    pub fn is_pooled(&self) -> bool {
        self.way_back.is_some()
    }

    /// Bytes it can hold in all.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Copies `bytes` behind what it holds. There must be room.
    pub fn append(&mut self, bytes: &[u8]) {
        assert!(bytes.len() <= self.room());
        self.memory.extend_from_slice(bytes);
    }

    /// Gives the memory away, so that somebody appends to it, at most `room` bytes; it is empty until
    /// `put_back`.
    pub fn lend(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.memory)
    }

    /// Takes back the memory that was lent.
    pub fn put_back(&mut self, memory: Vec<u8>) {
        assert!(self.memory.capacity() == 0, "it was lent");
        let first = memory.as_ptr().addr() + self.start;
        assert!(first.is_multiple_of(FRAME_ALIGNMENT), "it is the same memory");
        assert!((self.start..=self.start + self.capacity).contains(&memory.len()));
        self.memory = memory;
    }

    /// What it holds, to be read by many and changed by nobody. The memory goes back to its pool when
    /// the last of them is gone.
    pub fn freeze(self) -> Bytes {
        Bytes::from_owner(self)
    }
}

impl AsRef<[u8]> for PoolBuffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl Drop for PoolBuffer {
    fn drop(&mut self) {
        if let Some(way_back) = &self.way_back {
            let memory = std::mem::take(&mut self.memory);
            // Without its pool it is nobody's.
            let _ = way_back.send(Returned { memory, class_bytes: self.capacity });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pool() -> BufferPool {
        BufferPool::new(PoolLimits {
            buffer_bytes: 1024,
            small_buffers_max: 2,
            large_bytes_max: 8192,
        })
    }

    #[test]
    fn buffers_are_aligned_and_come_back_from_anywhere() {
        let mut pool = pool();
        let mut buffer = pool.take(10, Need::Begin).unwrap();
        assert_eq!((buffer.capacity(), buffer.room()), (1024, 1024));
        buffer.append(b"one");
        let mut memory = buffer.lend();
        memory.extend_from_slice(b" two");
        buffer.put_back(memory);
        assert!(buffer.bytes().as_ptr().addr().is_multiple_of(FRAME_ALIGNMENT));
        assert_eq!((buffer.bytes(), buffer.room()), (&b"one two"[..], 1017));
        let place = buffer.bytes().as_ptr();
        let frozen = buffer.freeze();
        assert_eq!(frozen.as_ptr(), place);
        let part = frozen.slice(4..);
        drop(frozen);
        assert_eq!(pool.bytes_out(), 1024);
        std::thread::scope(|scope| {
            scope.spawn(move || assert_eq!(part, b"two"[..]));
        });
        assert_eq!(pool.bytes_out(), 0);
        let again = pool.take(1024, Need::Begin).unwrap();
        assert_eq!((again.bytes(), again.bytes().as_ptr()), (&b""[..], place));
    }

    #[test]
    fn who_goes_on_gets_more_than_who_begins() {
        let mut pool = pool();
        let held: Vec<_> = (0..2).map(|_| pool.take(1, Need::Begin).unwrap()).collect();
        assert!(pool.take(1, Need::Begin).is_none());
        let more: Vec<_> = (0..2).map(|_| pool.take(1, Need::GoOn).unwrap()).collect();
        assert!(pool.take(1, Need::GoOn).is_none());
        assert_eq!((pool.bytes_out(), pool.refused()), (4 * 1024, 2));
        drop(more);
        assert!(pool.take(1, Need::Begin).is_none());
        drop(held);
        assert!(pool.take(1, Need::Begin).is_some());
    }

    #[test]
    fn large_buffers_are_bounded_by_their_bytes() {
        let mut pool = pool();
        assert!(pool.take(8193, Need::GoOn).is_none(), "none is so large");
        let held = pool.take(5000, Need::GoOn).unwrap();
        assert_eq!(held.capacity(), 5120);
        assert!(pool.take(4096, Need::GoOn).is_none());
        let small = pool.take(1024, Need::Begin).unwrap();
        drop(held);
        // The free one makes room for one of another size.
        let other = pool.take(4096, Need::GoOn).unwrap();
        assert_eq!(pool.free_large_bytes(), 0);
        assert_eq!(pool.bytes_out(), 4096 + 1024);
        drop((other, small));
        assert_eq!(pool.take(4000, Need::GoOn).unwrap().capacity(), 4096);
        assert_eq!(pool.free_large_bytes(), 4096 - 4096);
    }

    #[test]
    fn memory_that_is_lost_counts_as_returned() {
        let mut pool = pool();
        let mut lost = pool.take(1, Need::Begin).unwrap();
        drop(lost.lend());
        drop(lost);
        assert_eq!(pool.bytes_out(), 0);
        let own = BufferPool::own(100);
        assert_eq!((own.capacity(), pool.bytes_out()), (100, 0));
        let held = pool.take(1, Need::Begin).unwrap();
        drop(pool);
        assert_eq!(held.freeze().len(), 0);
    }
}
