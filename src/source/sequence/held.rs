//! Held rows: decoded batches of a chunk, waiting for their turn or for the watermark before them.
//!
//! A chunk is decoded as if the sequence began with it: its rows carry the running maximum inside
//! the chunk. When the maximum of all earlier chunks is known, every row's watermark is raised to
//! it, which gives what one core would have computed reading everything in order.

use std::collections::VecDeque;

use crate::record::{Batch, Timestamp};

/// One chunk's rows that were decoded and not yet pushed.
#[derive(Debug)]
pub(in crate::source) struct HeldChunk {
    /// Position in the whole sequence.
    pub(in crate::source) number: u64,
    /// In order.
    pub(in crate::source) batches: VecDeque<HeldBatch>,
    /// Bytes decoded into it.
    pub(in crate::source) bytes: u64,
    /// Nothing will be added.
    pub(in crate::source) is_complete: bool,
}

/// Rows with the watermark of their chunk behind them.
#[derive(Debug)]
pub(in crate::source) struct HeldBatch {
    /// Tagged with the watermarks inside the chunk.
    pub(in crate::source) batch: Batch,
    /// The chunk's watermark after the last row.
    pub(in crate::source) watermark_after: Timestamp,
}

impl HeldChunk {
    pub(in crate::source) fn new(number: u64) -> HeldChunk {
        HeldChunk { number, batches: VecDeque::new(), bytes: 0, is_complete: false }
    }
}

impl HeldBatch {
    /// The batch with no row's watermark below `prefix`, the maximum of everything before the
    /// chunk; and the watermark after it.
    pub(in crate::source) fn raised_to(self, prefix: Timestamp) -> (Batch, Timestamp) {
        let mut batch = self.batch;
        // Watermarks rise within a chunk: if the first is high enough, all are.
        if let Some(watermarks) = &mut batch.tags.watermarks
            && watermarks.first().is_some_and(|first| *first < prefix.millis())
        {
            *watermarks = watermarks.iter().map(|value| (*value).max(prefix.millis())).collect();
        }
        (batch, self.watermark_after.max(prefix))
    }
}
