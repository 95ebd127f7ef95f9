//! Event generators: streams that are a function of a seed and a position, so that any core can make
//! any part of them.
//!
//! Read: `random` (numbers of one event) · `nexmark` (people, auctions, bids).

mod nexmark;
mod random;

pub use nexmark::{HotRatios, MeanBytes, Nexmark, NexmarkOptions, Proportions};
pub use random::Random;
