//! Event generators: streams that are a function of a seed and a position, so that any core can make
//! any part of them.
//!
//! Read: `random` (numbers of one event) · `keys` (how often each key comes) · `nexmark` (people,
//! auctions, bids).

mod keys;
mod nexmark;
mod random;

pub use keys::{KeyDistribution, Keys};
pub use nexmark::{HotRatios, MeanBytes, Nexmark, NexmarkOptions, Proportions};
pub use random::Random;
