//! Counters per core, merged on read.
//!
//! Read: `counters` (what operators count, and the ledger over them) · `io_counters` · `activity`
//! (batches, time, state, reasons) · `meter` (whose time a core spends) · `latency` (of a run) ·
//! `latency_counts` (handed over ten times a second) · `latency_parts`.

mod activity;
mod counters;
mod io_counters;
mod latency;
mod latency_counts;
mod latency_parts;
mod meter;

pub use activity::{CoreActivity, OperatorActivity, RejectionKind, Rejections, StateSize};
pub use counters::OperatorCounters;
pub use io_counters::{SinkCounters, SourceCounters};
pub use latency::LatencyHistogram;
pub use latency_counts::{LatencyCounts, LatencyDelta};
pub use latency_parts::{LatencyPart, LatencyParts, LatencyPartsDelta};
pub use meter::{Account, Meter, ReadClock};
