//! Pelton: a thread-per-core streaming engine for one machine that runs Flink SQL.
//!
#![doc = include_str!("ARCHITECTURE.md")]

// Data path.
pub mod source; //   bytes in
pub mod format; //   bytes to batches and back
pub mod record; //   what is moved
pub mod exchange; // to the core that owns the key
pub mod operator; // computation
pub mod state; //    what it remembers
pub mod sink; //     bytes out

// Making it survive.
pub mod checkpoint; // epochs: begun, captured, committed, restored
pub mod journal; //  what is kept on disk between runs

// Putting it together.
pub mod sql; //      text to a dataflow graph
pub mod dataflow; // a graph to one worker per core
pub mod worker; //   one core's turn
pub mod config; //   what the operator wrote, resolved once
pub mod client;
pub mod control; //  the life of a job
pub mod cli; //      subcommands and flags

// The floor.
pub mod reactor; //  one pinned executor and one ring per core
pub mod metrics; //  counters and histograms
pub mod limits; //   every bound and size
pub mod stdx; //     what std lacks

// Around it.
pub mod workload; // event generators
pub mod loadgen; //  a client from outside that measures
pub mod inspect; //  what a job keeps on disk, read-only
#[cfg(test)]
mod sim; //          whole appliances on one thread, seeded
