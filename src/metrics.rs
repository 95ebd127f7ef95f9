//! Counters per core, merged on read.
//!
//! Read: `counters` (what operators count, and the ledger over them) · `io_counters` · `latency`.

mod counters;
mod io_counters;
mod latency;

pub use counters::OperatorCounters;
pub use io_counters::{SinkCounters, SourceCounters};
pub use latency::LatencyHistogram;
