//! Staging: what is written directly, collected in aligned buffers of many blocks.
//!
//! Bytes are copied once on their way: 16 KiB take about 1 us, and an entry's header would otherwise
//! need a write of its own.

use std::collections::VecDeque;

use super::super::error::JournalError;
use super::part::Part;
use crate::reactor::{DIRECT_ALIGNMENT, Disk, DiskResult, OperationId};
use crate::stdx::Failure;

/// Blocks of one segment, in aligned memory.
struct Buffer {
    segment: u64,
    offset: u64,
    bytes: Vec<u8>,
    /// `bytes[begin..]` is aligned.
    begin: usize,
}

pub(super) struct Staging {
    buffer_bytes: usize,
    buffers_max: usize,
    filling: Option<Buffer>,
    /// To be written, …
    full: VecDeque<Buffer>,
    /// … being written, in the order begun.
    writing: VecDeque<(OperationId, u64)>,
    /// Memory to be used again, and where in it the aligned bytes begin.
    free: Vec<(Vec<u8>, usize)>,
    /// Buffers that were full so far, and those of them that were written.
    filled: u64,
    completed: u64,
}

impl Staging {
    pub(super) fn new(buffer_bytes: usize, buffers_max: usize) -> Staging {
        assert!(buffer_bytes > 0);
        assert!(buffers_max > 0);
        Staging {
            buffer_bytes,
            buffers_max,
            filling: None,
            full: VecDeque::new(),
            writing: VecDeque::new(),
            free: Vec::new(),
            filled: 0,
            completed: 0,
        }
    }

    /// True when another entry may be stored, whatever its length: what is on its way to the disk is
    /// bounded by the buffers and one entry.
    pub(super) fn has_room(&self) -> bool {
        self.full.len() + self.writing.len() < self.buffers_max
    }

    /// Buffers written so far; see [`Staging::flush`].
    pub(super) fn completed(&self) -> u64 {
        self.completed
    }

    /// Takes `bytes`, which follow what was stored before or begin a block.
    pub(super) fn store(&mut self, segment: u64, mut offset: u64, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let mut buffer = self.filling.take().unwrap_or_else(|| self.begin(segment, offset));
            let stored = buffer.bytes.len() - buffer.begin;
            assert!(buffer.segment == segment);
            assert!(buffer.offset + stored as u64 == offset);
            let (now, later) = bytes.split_at(bytes.len().min(self.buffer_bytes - stored));
            buffer.bytes.extend_from_slice(now);
            offset += now.len() as u64;
            bytes = later;
            if stored + now.len() == self.buffer_bytes {
                self.add_full(buffer);
            } else {
                self.filling = Some(buffer);
            }
        }
    }

    /// What was stored so far, which ends at a block, goes to the disk. It has arrived there when so
    /// many buffers are completed.
    pub(super) fn flush(&mut self) -> u64 {
        if let Some(buffer) = self.filling.take() {
            self.add_full(buffer);
        }
        self.filled
    }

    fn add_full(&mut self, buffer: Buffer) {
        assert!((buffer.bytes.len() - buffer.begin).is_multiple_of(DIRECT_ALIGNMENT));
        self.filled += 1;
        self.full.push_back(buffer);
    }

    /// An empty buffer for what begins at `offset`.
    fn begin(&mut self, segment: u64, offset: u64) -> Buffer {
        assert!(offset.is_multiple_of(DIRECT_ALIGNMENT as u64));
        let (bytes, begin) = self.free.pop().unwrap_or_else(|| {
            let mut bytes: Vec<u8> = Vec::with_capacity(self.buffer_bytes + DIRECT_ALIGNMENT);
            let begin = bytes.as_ptr().align_offset(DIRECT_ALIGNMENT);
            bytes.resize(begin, 0);
            (bytes, begin)
        });
        Buffer { segment, offset, bytes, begin }
    }

    /// Begins and ends writes. `parts` are the segments that may be written.
    pub(super) fn advance<'a, M: 'a, P: Iterator<Item = &'a Part<M>>>(
        &mut self,
        disk: &mut dyn Disk,
        parts: impl Fn() -> P,
    ) -> Result<(), Failure> {
        while let Some(Buffer { segment, offset, bytes, begin }) = self.full.pop_front() {
            let part = parts().find(|part| part.header.number == segment);
            let file =
                part.and_then(|part| part.file).expect("a segment is open until it is durable");
            self.writing.push_back((disk.write_from(file, offset, bytes, begin), segment));
        }
        while let Some((operation, segment)) = self.writing.front().copied() {
            match disk.take_result(operation) {
                None => break,
                Some(DiskResult::Written(mut bytes)) => {
                    let begin = bytes.as_ptr().align_offset(DIRECT_ALIGNMENT);
                    bytes.truncate(begin);
                    if self.free.len() < self.buffers_max {
                        self.free.push((bytes, begin));
                    }
                }
                Some(DiskResult::Failed(error)) => {
                    let part = parts().find(|part| part.header.number == segment);
                    let path =
                        part.map_or_else(String::new, |part| part.path.display().to_string());
                    return Err(JournalError::io("write", path)(error).failure());
                }
                Some(_) => unreachable!("a write writes or fails"),
            }
            self.writing.pop_front();
            self.completed += 1;
        }
        Ok(())
    }
}
