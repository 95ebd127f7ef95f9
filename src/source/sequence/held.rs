//! Held rows: decoded batches of a chunk, waiting for their turn or for the watermark before them;
//! with them the records that could not be decoded or admitted, so that both are given out once.
//!
//! A chunk is decoded as if the sequence began with it: its rows carry the running maximum inside
//! the chunk. When the maximum of all earlier chunks is known, every row's watermark is raised to
//! it, which gives what one core would have computed reading everything in order.

use std::collections::VecDeque;
use std::ops::AddAssign;

use crate::metrics::SourceCounters;
use crate::record::{Batch, Timestamp};
use crate::source::{Rejection, SourceOutput};

/// One chunk's rows that were decoded and not yet pushed.
#[derive(Debug)]
pub(in crate::source) struct HeldChunk {
    /// Position in the whole sequence.
    pub(in crate::source) number: u64,
    /// In order.
    pub(in crate::source) batches: VecDeque<HeldBatch>,
    /// Bytes decoded into it.
    pub(in crate::source) bytes: u64,
    /// The highest watermark inside of it, once nothing will be added.
    pub(in crate::source) maximum: Option<Timestamp>,
}

/// Rows and rejected records with the watermark of their chunk behind them.
#[derive(Debug)]
pub(in crate::source) struct HeldBatch {
    /// Tagged with the watermarks inside the chunk; perhaps without a row.
    pub(in crate::source) batch: Batch,
    /// Records before the end of the batch that are no rows.
    pub(in crate::source) rejections: Vec<Rejection>,
    /// The chunk's watermark after the last row.
    pub(in crate::source) watermark_after: Timestamp,
    /// Position behind its last record.
    pub(in crate::source) end: u64,
}

/// What was pushed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(in crate::source) struct Released {
    pub(in crate::source) rows: u64,
    pub(in crate::source) rejected: u64,
}

impl HeldChunk {
    pub(in crate::source) fn new(number: u64) -> HeldChunk {
        HeldChunk { number, batches: VecDeque::new(), bytes: 0, maximum: None }
    }
}

impl HeldBatch {
    /// Pushes the rows with no row's watermark below `prefix`, the maximum of everything before the
    /// chunk, and with their places, if the first one's is given; what was rejected before.
    pub(in crate::source) fn release(
        self,
        prefix: Timestamp,
        first_position: Option<u64>,
        out: &mut dyn SourceOutput,
    ) -> Released {
        let HeldBatch { mut batch, rejections, .. } = self;
        let released = Released { rows: batch.len() as u64, rejected: rejections.len() as u64 };
        rejections.into_iter().for_each(|rejection| out.reject(rejection));
        if batch.is_empty() {
            return released;
        }
        // Watermarks rise within a chunk: if the first is high enough, all are.
        if let Some(watermarks) = &mut batch.tags.watermarks
            && watermarks.first().is_some_and(|first| *first < prefix.millis())
        {
            *watermarks = watermarks.iter().map(|value| (*value).max(prefix.millis())).collect();
        }
        if let Some(first) = first_position {
            batch.number(first);
        }
        out.push(batch);
        released
    }
}

impl Released {
    /// True when that was something.
    pub(in crate::source) fn is_something(self) -> bool {
        self != Released::default()
    }

    /// Every record that was read became a row or was rejected.
    pub(in crate::source) fn count(self, counters: &mut SourceCounters) {
        counters.records_in += self.rows + self.rejected;
        counters.rows_out += self.rows;
        counters.rejected += self.rejected;
    }
}

impl AddAssign for Released {
    fn add_assign(&mut self, other: Released) {
        self.rows += other.rows;
        self.rejected += other.rejected;
    }
}
