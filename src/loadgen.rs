//! The bundled load generator: `pelton bench`, a client from outside like any other.
//!
//! Read: `options` (what is measured) · `cpus` (and where) · `pacing` (when records are due) · `script` (what they say) · `wire`
//! (bytes to send, results to read) · `driver` (the thread that does both) · `verify` (what came back) ·
//! `job` (the program measured) · `floor` (the least possible; `bench floor`) · `latency` (`bench latency`) · `bounded` (a job run to
//! its end) · `throughput` (`bench throughput`) ·
//! `workloads` (`bench nexmark` and its like) · `compare` (`bench compare`), with `difference`.
//! Beside them: `figures`, `trace` (of a run) · `spread`, `table`, `machine`, `commit`, `hdr_log` · `result` (what a
//! bench leaves in a folder) · `progress` · `error`.
//!
//! Invariants
//! - Send times are fixed in advance and latencies count from them: a stall is never left out.
//! - The generator has a CPU of its own; what is measured runs on others, as a program of its own.
//! - A floor alternates with what is compared to it, in the same command.

mod bounded;
mod commit;
mod compare;
mod cpus;
mod difference;
mod driver;
mod error;
mod figures;
mod floor;
mod hdr_log;
mod job;
mod latency;
mod machine;
mod options;
mod pacing;
mod progress;
mod result;
mod script;
mod spread;
mod table;
mod throughput;
mod trace;
mod verify;
mod wire;
mod workloads;

pub use compare::{CompareOptions, CompareReport, compare};
pub use cpus::core_cpus;
pub use error::{BenchError, BenchErrorKind};
pub use floor::{FloorOptions, FloorReport, floor};
pub use latency::{BUNDLED_UNWANTED_EVERY, LatencyReport, latency};
pub use options::{BenchCpus, LatencyOptions, LoadOptions, Subject};
pub use pacing::{RATE_MAX, Shape};
pub use result::BenchResult;
pub use throughput::{
    BoundedFloor, BoundedOptions, SearchOptions, ThroughputReport, bounded, sustainable,
};
pub use wire::WireFormat;
pub use workloads::{RowSource, Suite, WorkloadOptions, WorkloadReport, workloads};

pub use crate::workload::KeyDistribution;
