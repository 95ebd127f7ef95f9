//! Between cores: rows go to the core that owns their key; watermarks, barriers and the end go to all.
//!
//! Read: `partitioner` (hash to key group to core) · `lane` (one bounded queue, to one core) ·
//! `outbox` (sending half of an edge) · `coalesce` (small batches into one) · `inbox` (receiving half)
//! · `align` (barriers) · `merge` (watermarks).
//!
//! One edge has one lane per pair of cores, never shared with another edge: with one queue per pair
//! of cores, two exchanges in a row could each wait for the other's room.
//!
//! Contract with the worker
//! - A turn serves the edges from the sinks backwards. A stage whose outbox is full is skipped; the
//!   outbox is flushed all the same.
//! - What an outbox takes is staged; nothing moves before [`Outbox::flush`].
//! - Order is kept per (sender, receiver). Between senders there is none.
//! - Nothing here waits, allocates per row, or knows of threads.

mod align;
mod coalesce;
mod inbox;
mod lane;
mod merge;
mod outbox;
mod partitioner;

pub use align::BarrierAlignment;
pub use inbox::Inbox;
pub use lane::{EdgePorts, LaneReceiver, LaneSender, local_lane};
pub use merge::WatermarkMerge;
pub use outbox::Outbox;
pub use partitioner::{KeyPartitioning, Partitioner};

#[cfg(test)]
mod model;
#[cfg(test)]
mod rings;
