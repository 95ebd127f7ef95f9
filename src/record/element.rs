//! Elements: everything that travels on an edge of the dataflow, in order.

use super::{Batch, Cause, Timestamp};

/// Number of a checkpoint interval; carried by the barrier that ends it. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Epoch(u64);

impl Epoch {
    /// Epoch `number`; the first is 1.
    pub const fn new(number: u64) -> Epoch {
        Epoch(number)
    }

    /// The number.
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The one behind it.
    #[must_use]
    pub const fn next(self) -> Epoch {
        Epoch(self.0 + 1)
    }
}

/// What one sender says of event time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Watermark {
    /// No further record with a timestamp at or before this one is expected.
    At(Timestamp),
    /// The sender has no active split and is left out of the minimum until it speaks again.
    Idle,
}

/// One thing on an edge. Order is kept per (sender, edge).
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly every element is a batch")]
pub enum Element {
    /// Rows.
    Batch(Batch),
    /// Progress of event time, and what brought it about.
    Watermark(Watermark, Cause),
    /// End of an epoch.
    Barrier(Epoch),
    /// The sender will send nothing more on this edge.
    End,
}
