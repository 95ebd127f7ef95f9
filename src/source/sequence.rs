//! Sequence: what is read as one stream by all cores, in chunks dealt round robin.
//!
//! In:  batches of this core's chunks, in order; other cores' chunk maxima.
//! Out: the same batches, each row with the watermark it would have had on one core.
//!
//! Read: `held` (batches that wait) · `maxima` (the watermark before a chunk).
//!
//! Invariants
//! - Rows are pushed only when the maxima of all earlier chunks are known.
//! - At most one chunk is made ahead of the one being pushed; so no core is more than twice as many
//!   chunks as there are cores ahead of the oldest one that is not complete.
//! - A chunk's maximum is told to the other cores exactly once.

mod held;
mod maxima;

pub(super) use held::{HeldBatch, HeldChunk};

use std::collections::VecDeque;

use crate::record::{Timestamp, Watermark};
use crate::source::{SourceMessage, SourceOutput};
use crate::stdx::CoreId;

use maxima::Maxima;

/// Chunks a core holds: the one being pushed, and one made ahead of it.
const HELD_CHUNKS_MAX: usize = 2;

/// Who takes which chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dealing {
    /// This core.
    pub(super) core: CoreId,
    /// Cores that share the work.
    pub(super) core_count: u16,
    /// Chunks of the whole sequence.
    pub(super) chunk_count: u64,
    /// More rows than a chunk has: by it, rows are numbered through all chunks.
    pub(super) chunk_rows_max: u64,
}

/// One core's part.
#[derive(Debug)]
pub(super) struct Sequence {
    dealing: Dealing,
    has_event_time: bool,
    /// Own chunk to begin next.
    next_chunk: u64,
    held: VecDeque<HeldChunk>,
    /// Own chunk to be pushed next, or being pushed.
    position: u64,
    /// Rows of that chunk that have been pushed.
    chunk_rows: u64,
    maxima: Maxima,
    /// The watermark after the last row pushed.
    pushed_watermark: Timestamp,
    stopped: bool,
}

impl Sequence {
    pub(super) fn new(dealing: Dealing, has_event_time: bool) -> Sequence {
        assert!(dealing.core.index() < usize::from(dealing.core_count));
        let first = dealing.core.index() as u64;
        Sequence {
            next_chunk: first,
            position: first,
            chunk_rows: 0,
            held: VecDeque::new(),
            maxima: Maxima::new(dealing.core_count),
            pushed_watermark: Timestamp::MIN,
            stopped: false,
            dealing,
            has_event_time,
        }
    }

    /// The chunk to begin next, if there is one and it may be begun.
    pub(super) fn next_chunk(&self) -> Option<u64> {
        let may_begin = self.has_more_chunks() && self.held.len() < HELD_CHUNKS_MAX;
        may_begin.then_some(self.next_chunk)
    }

    /// Begins that chunk.
    pub(super) fn begin(&mut self) {
        assert!(self.next_chunk().is_some());
        self.held.push_back(HeldChunk::new(self.next_chunk));
        self.next_chunk = self.next_chunk.saturating_add(u64::from(self.dealing.core_count));
    }

    /// The chunk begun last, which is not complete.
    pub(super) fn current(&mut self) -> &mut HeldChunk {
        let current = self.held.back_mut().expect("the chunk being made is held");
        assert!(!current.is_complete);
        current
    }

    /// Bytes behind the rows held.
    pub(super) fn held_bytes(&self) -> u64 {
        self.held.iter().map(|chunk| chunk.bytes).sum()
    }

    /// The maximum of everything before the chunk to be pushed, once it is known.
    pub(super) fn prefix(&mut self) -> Option<Timestamp> {
        match self.has_event_time {
            true => self.maxima.advance_to(self.position),
            false => Some(Timestamp::MIN),
        }
    }

    /// Pushes what may be pushed; how many rows that was.
    pub(super) fn push(&mut self, out: &mut dyn SourceOutput) -> u64 {
        let mut rows = 0;
        while let Some(prefix) = self.prefix()
            && let Some(front) = self.held.front_mut()
        {
            assert_eq!(front.number, self.position);
            while !out.is_full()
                && let Some(held) = front.batches.pop_front()
            {
                let (mut batch, watermark) = held.raised_to(prefix);
                self.pushed_watermark = watermark;
                if out.wants_positions() {
                    let first = self.position.saturating_mul(self.dealing.chunk_rows_max);
                    batch.number(first.saturating_add(self.chunk_rows));
                }
                self.chunk_rows += batch.len() as u64;
                rows += batch.len() as u64;
                out.push(batch);
            }
            if !front.batches.is_empty() || !front.is_complete {
                break;
            }
            self.held.pop_front();
            self.chunk_rows = 0;
            self.position = self.position.saturating_add(u64::from(self.dealing.core_count));
        }
        rows
    }

    /// True when rows wait for nothing but room.
    pub(super) fn is_pushable(&mut self) -> bool {
        let has_rows = self.held.front().is_some_and(|front| !front.batches.is_empty());
        has_rows && self.prefix().is_some()
    }

    /// The current chunk has no more rows; tells every core the maximum inside it.
    pub(super) fn complete(&mut self, watermark: Timestamp, out: &mut dyn SourceOutput) {
        let held = self.current();
        held.is_complete = true;
        let chunk = held.number;
        if self.has_event_time {
            let watermark = Some(watermark).filter(|time| *time > Timestamp::MIN);
            self.maxima.record(chunk, watermark);
            self.tell(out, || SourceMessage::ChunkWatermark { chunk, watermark });
        }
    }

    /// Cuts the sequence here: this core begins no further chunk. The current one is complete.
    pub(super) fn stop(&mut self, out: &mut dyn SourceOutput) {
        assert!(self.held.back().is_none_or(|chunk| chunk.is_complete));
        let first = self.next_chunk;
        if self.has_event_time && self.has_more_chunks() {
            self.tell(out, || SourceMessage::ChunksEnd { first });
        }
        self.stopped = true;
    }

    pub(super) fn receive(&mut self, message: SourceMessage) {
        match message {
            SourceMessage::ChunkWatermark { chunk, watermark } => {
                self.maxima.record(chunk, watermark);
            }
            SourceMessage::ChunksEnd { first } => self.maxima.end(first),
            other => unreachable!("no instance of a sequence sends {other:?}"),
        }
    }

    /// True when no row will ever be added to what has been pushed.
    pub(super) fn is_exhausted(&self) -> bool {
        !self.has_more_chunks() && self.held.is_empty()
    }

    pub(super) fn watermark(&self) -> Option<Watermark> {
        if !self.has_event_time {
            return None;
        }
        if !self.stopped && self.is_exhausted() {
            return Some(Watermark::Idle);
        }
        Some(Watermark::At(self.pushed_watermark.max(self.maxima.prefix())))
    }

    fn has_more_chunks(&self) -> bool {
        !self.stopped && self.next_chunk < self.dealing.chunk_count
    }

    fn tell(&self, out: &mut dyn SourceOutput, message: impl Fn() -> SourceMessage) {
        let Dealing { core: own, core_count, .. } = self.dealing;
        for core in CoreId::all(core_count).filter(|core| *core != own) {
            out.send(core, message());
        }
    }
}
