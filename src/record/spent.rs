//! Spent: where the time of a batch has gone since it reached this machine.
//!
//! What is neither work nor waiting for a watermark was spent in queues.

/// What is known of a batch's time beside its arrival.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Spent {
    /// On decoding and in operators so far, ns.
    pub compute_ns: u64,
    /// How much earlier than its arrival the oldest batch came that its rows are made of, ns: rows of a
    /// window arrive with the batch that makes it fire.
    pub watermark_wait_ns: u64,
}

/// What moved a watermark.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Cause {
    /// When the batch came that did, or the clock: monotonic ns. 0 where nobody knows.
    pub arrival_ns: u64,
    /// Time spent on it so far, ns.
    pub compute_ns: u64,
}

impl Cause {
    /// The clock did, at `now_ns`.
    pub fn clock(now_ns: u64) -> Cause {
        Cause { arrival_ns: now_ns, compute_ns: 0 }
    }
}
