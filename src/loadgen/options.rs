//! What is measured, and where: options that the command line has validated.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::pacing::Shape;
use super::wire::WireFormat;
use crate::workload::KeyDistribution;

/// What is sent, whatever the rate.
#[derive(Clone, PartialEq, Debug)]
pub struct LoadOptions {
    /// How records are written and results read.
    pub format: WireFormat,
    /// Bytes of a record, its line end not counted; longer where its numbers need more.
    pub record_bytes: usize,
    /// Keys, at least one.
    pub keys: u64,
    /// How often each comes.
    pub distribution: KeyDistribution,
    /// Every so many records one is to be filtered out by the job; 0 for none.
    pub unwanted_every: u64,
    /// When records are due.
    pub shape: Shape,
    /// Sent first, and not measured.
    pub warm_up: Duration,
    /// Measured.
    pub duration: Duration,
    /// A result that has not come so long after the last one is lost.
    pub patience: Duration,
    /// Connections to the job's source; a key always takes the same.
    pub connections: usize,
    /// Prove order and sums, too.
    pub verify: bool,
    /// Keys, amounts and random gaps follow from it.
    pub seed: u64,
}

/// Which CPUs do what. The generator's is none of the job's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BenchCpus {
    /// Of the thread that sends and receives.
    pub generator: usize,
    /// Of the job and of floors; at least one.
    pub job: Vec<usize>,
}

/// What is measured.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Subject {
    /// The bundled job: a filter and a projection.
    Bundled,
    /// A job file of the user's with one listening TCP source and one listening TCP sink.
    JobFile(PathBuf),
    /// A job that runs already.
    Running {
        /// Where its source listens.
        input: SocketAddr,
        /// Where its sink listens.
        output: SocketAddr,
    },
}

/// `pelton bench latency`.
#[derive(Clone, PartialEq, Debug)]
pub struct LatencyOptions {
    /// What is sent.
    pub load: LoadOptions,
    /// Records per second, one after the other; at least one.
    pub rates: Vec<u64>,
    /// Runs at each rate; at least one.
    pub runs: u32,
    /// What is measured.
    pub subject: Subject,
    /// Alternate with a bare polling relay.
    pub floor: bool,
    /// Where.
    pub cpus: BenchCpus,
    /// File for the HDR log.
    pub hdr_log: Option<PathBuf>,
}
