//! Counters per core, merged on read.
//!
//! Read: `counters` (what operators count, and the ledger over them) · `io_counters`.

mod counters;
mod io_counters;

pub use counters::OperatorCounters;
pub use io_counters::{SinkCounters, SourceCounters};
