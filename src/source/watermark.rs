//! Watermarks at the source: the running maximum of a split's WATERMARK expression, row by row.
//!
//! In:  decoded rows of one split, in order.
//! Out: the same rows, each with the split's watermark just before it; and the rows that cannot take
//!      part in event time, with the reason.
//!
//! Invariants
//! - A row's watermark depends on the split's rows before it and on nothing else: not on where the
//!   input was cut into batches. (Where the split began or was raised is `split`'s matter.)
//! - The watermark never goes back, and never reaches MAX, which only the end of input says.
//!
//! Read: `marks` (columns to milliseconds).

mod marks;

use super::Rejection;
use crate::format::Decoded;
use crate::limits::REJECTED_RAW_BYTES_MAX;
use crate::record::{Batch, ExpressionRef, Provenance, Timestamp};
use arrow::array::{Array, BooleanArray};
use arrow::buffer::BooleanBuffer;
use marks::{Marks, Refusal};
use std::sync::Arc;

/// How a source's watermark is computed.
#[derive(Clone, Debug)]
pub struct WatermarkSpec {
    /// A timestamp, NOT NULL (NULL is rejected).
    pub rowtime: Rowtime,
    /// The WATERMARK expression over the source's schema, giving a timestamp; evaluated per row.
    pub expression: ExpressionRef,
    /// The delay in ms, when the expression is `rowtime - INTERVAL constant` or `rowtime`, so that
    /// no expression has to be evaluated.
    pub delay_ms: Option<i64>,
}

/// The time of a row.
#[derive(Clone, Debug)]
pub enum Rowtime {
    /// A column of the source's schema.
    Column(usize),
    /// An expression over the source's schema, giving a timestamp.
    Computed {
        /// Of the column that it computes.
        name: String,
        /// Evaluated per row; a row for which it fails is rejected.
        expression: ExpressionRef,
    },
}

/// What rows must meet, and how their watermark is computed.
#[derive(Clone, Debug)]
pub struct EventTimeRules {
    /// Rowtime and watermark.
    pub spec: WatermarkSpec,
    /// How far behind the wall clock at arrival a rowtime must not lie; `None` for no limit. A row
    /// beyond it would otherwise carry the watermark away and make all others late.
    pub max_future_ms: Option<i64>,
}

/// When rows reached this machine, by both clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// For measuring and idle time-outs.
    pub monotonic_ns: u64,
    /// For `max_future` and for expressions.
    pub wall: Timestamp,
}

/// What became of decoded rows.
#[derive(Debug)]
pub struct Admitted {
    /// The rows that take part, tagged; may be empty.
    pub batch: Batch,
    /// The others. Offset and raw bytes are those of the provenance: 0 and nothing when the decoder
    /// was not told to keep it.
    pub rejected: Vec<Rejection>,
}

/// The watermark of one split.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RunningWatermark(Timestamp);

/// Highest watermark that rows can bring about.
const ROW_WATERMARK_MAX: Timestamp = Timestamp::from_millis(i64::MAX - 1);

impl RunningWatermark {
    /// A split before its first row, that must not fall below `floor`.
    pub fn new(floor: Timestamp) -> RunningWatermark {
        RunningWatermark(floor)
    }

    /// The watermark after all rows so far.
    pub fn get(self) -> Timestamp {
        self.0
    }

    /// Not below `floor` from here on.
    pub fn raise(&mut self, floor: Timestamp) {
        self.0 = self.0.max(floor.min(ROW_WATERMARK_MAX));
    }

    /// Checks rowtimes, tags the rows and moves on. `origin` is that of the split.
    pub fn admit(
        &mut self,
        rules: &EventTimeRules,
        decoded: Decoded,
        origin: &Arc<str>,
        arrival: Arrival,
    ) -> Admitted {
        let Marks { mut marks, refused } = Marks::of(rules, &decoded.rows, arrival);
        let mut batch = batch_of(decoded, arrival);
        let mut rejected = Vec::new();
        if !refused.is_empty() {
            rejected = rejections(&refused, batch.tags.provenance.as_ref(), origin);
            let mut is_kept = vec![true; batch.len()];
            refused.iter().for_each(|(row, _)| is_kept[*row] = false);
            let mut kept = is_kept.iter();
            marks.retain(|_| *kept.next().expect("one mark per row"));
            let mask = BooleanArray::new(BooleanBuffer::from(is_kept), None);
            batch = batch.filter(&mask).expect("every column type of a source can be filtered");
        }
        self.run(&mut marks);
        batch.tags.watermarks = Some(marks.into());
        Admitted { batch, rejected }
    }

    /// Hot: replaces each row's mark by the watermark just before the row.
    fn run(&mut self, marks: &mut [i64]) {
        let mut watermark = self.0.millis();
        for mark in marks {
            let after = watermark.max((*mark).min(ROW_WATERMARK_MAX.millis()));
            *mark = watermark;
            watermark = after;
        }
        self.0 = Timestamp::from_millis(watermark);
    }
}

/// Decoded rows as a batch, without watermarks.
pub(super) fn batch_of(decoded: Decoded, arrival: Arrival) -> Batch {
    let mut batch = Batch::new(decoded.rows, arrival.monotonic_ns);
    batch.tags.provenance = decoded.provenance;
    batch
}

fn rejections(
    refused: &[(usize, Refusal)],
    provenance: Option<&Provenance>,
    origin: &Arc<str>,
) -> Vec<Rejection> {
    let rejection = |(row, Refusal { kind, reason }): &(usize, Refusal)| {
        let (offset, raw) = match provenance {
            Some(provenance) if provenance.raw.is_valid(*row) => {
                (provenance.offsets.value(*row), provenance.raw.value(*row))
            }
            Some(provenance) => (provenance.offsets.value(*row), &[][..]),
            None => (0, &[][..]),
        };
        let raw = raw[..raw.len().min(REJECTED_RAW_BYTES_MAX)].to_vec();
        Rejection { kind: *kind, origin: Arc::clone(origin), offset, reason: reason.clone(), raw }
    };
    refused.iter().map(rejection).collect()
}

#[cfg(test)]
pub(super) mod testing;
#[cfg(test)]
mod tests;
