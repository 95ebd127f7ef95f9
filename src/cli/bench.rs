//! `pelton bench`: its subcommands and flags, validated before any side effect.
//!
//! Read: `values` (numbers and times as they are typed) · `latency` · `floor` · `throughput` · `workloads` ·
//! `compare`.

mod compare;
mod floor;
mod latency;
mod throughput;
mod values;
mod workloads;

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{check_parent, print};
use crate::control::{ErrorClass, JobError};
use crate::loadgen::{BenchCpus, BenchError, BenchErrorKind, BenchResult, Suite};

/// What can be measured.
#[derive(Subcommand, Debug)]
pub(super) enum BenchCommand {
    /// Latency of a job at fixed rates, against a bare relay
    ///
    /// Sends records over TCP at times that are fixed in advance, and measures from the planned time of each
    /// record to the arrival of its result: a stall shows in every record that was due while it lasted. One
    /// polling thread sends and receives, on a CPU of its own; the job runs on the others. Runs of a bare
    /// polling relay alternate with runs of the job, so that both meet the same machine.
    ///
    /// Records have the columns id, k, seq, due_ns, amount (BIGINT) and pad (STRING), in this order. A job must
    /// pass on the first five of every record it keeps, one result for one record.
    #[command(after_help = LATENCY_EXAMPLES)]
    Latency(Box<latency::LatencyArgs>),
    /// What this machine does with nothing in the way
    ///
    /// A bare polling relay and echo, a bare TCP read loop, a ring between cores, a copy of memory, small writes
    /// made durable and large direct ones, and the generators alone. Whatever a job does takes at least this.
    Floor(floor::FloorArgs),
    /// The highest rate a job sustains, or what one takes that ends by itself
    ///
    /// A job that ends by itself is run to its end: records and bytes per second, CPU seconds per million records,
    /// peak memory. For a job between sockets, the highest rate is searched at which the queue of records without a
    /// result does not grow over a window.
    Throughput(throughput::ThroughputArgs),
    /// The queries of the Nexmark benchmark, as a table
    ///
    /// Runs bundled jobs to their end and prints what each takes. Queries that the dialect does not support yet
    /// are listed with the reason. The job files are in bench/workloads.
    Nexmark(workloads::NexmarkArgs),
    /// Yahoo's advertising benchmark: views per campaign and ten seconds
    Ysb(workloads::WorkloadArgs),
    /// Words of lines, counted every five seconds
    Wordcount(workloads::WorkloadArgs),
    /// Every row as it is
    Passthrough(workloads::WorkloadArgs),
    /// Suspicious accounts among 100,000: counts, sums and distinct countries over sliding minutes
    Fraud(workloads::WorkloadArgs),
    /// Results against an earlier one, figure by figure
    ///
    /// Prints how many times the first result's figures the others' are, and whether that is more than noise.
    #[command(after_help = compare::EXAMPLES)]
    Compare(compare::CompareArgs),
}

/// Which CPUs do what.
#[derive(Args, Debug)]
struct CpuArgs {
    /// CPU of the generator. Default: the first this process may use
    #[arg(long, value_name = "CPU")]
    generator_cpu: Option<usize>,
    /// CPUs of what is measured, such as 2,3. Default: all others
    #[arg(long, value_name = "CPUS", value_delimiter = ',')]
    job_cpus: Vec<usize>,
}

impl CpuArgs {
    fn resolve(&self) -> Result<BenchCpus, JobError> {
        Ok(BenchCpus::resolve(self.generator_cpu, &self.job_cpus)?)
    }
}

/// Where a result goes besides standard output.
#[derive(Args, Debug)]
struct OutArgs {
    /// Write the result to DIRECTORY: result.json, and report.html for people
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
}

impl OutArgs {
    /// Results are written at the end, perhaps days from now: that they can be is looked at first.
    fn check(&self) -> Result<(), JobError> {
        let Some(directory) = &self.out else { return Ok(()) };
        let problem = if directory.is_dir() {
            return Ok(());
        } else if directory.exists() {
            "is a file; name a directory"
        } else {
            return check_parent("--out", directory);
        };
        Err(refused(format!("--out {} {problem}", directory.display())))
    }

    fn keep(&self, result: impl FnOnce() -> BenchResult) -> Result<(), JobError> {
        match &self.out {
            Some(directory) => Ok(result().write(directory)?),
            None => Ok(()),
        }
    }
}

/// Runs and rounds at most.
const RUNS_MAX: i64 = 10_000;

const LATENCY_EXAMPLES: &str = "\
Examples:
  pelton bench latency                                the bundled job, 50,000 records/s, 5 runs of 10 s
  pelton bench latency --rate 10k,100k --verify       two rates; every result proved
  pelton bench latency my-job.toml --keys 1M --zipf 0.99 --hdr latencies.hlog
  pelton bench latency --input 10.0.0.5:9000 --output 10.0.0.5:9100   a job that runs already

Exit codes: 0 measured, and all results right · 2 command line or job file · 3 this machine ·
4 results lost, duplicated or wrong · 5 input or output";

pub(super) fn run(command: BenchCommand) -> Result<(), JobError> {
    match command {
        BenchCommand::Latency(args) => latency::run(*args),
        BenchCommand::Floor(args) => floor::run(args),
        BenchCommand::Throughput(args) => throughput::run(args),
        BenchCommand::Nexmark(args) => workloads::run_nexmark(args),
        BenchCommand::Ysb(args) => workloads::run(Suite::Ysb, args),
        BenchCommand::Wordcount(args) => workloads::run(Suite::WordCount, args),
        BenchCommand::Passthrough(args) => workloads::run(Suite::Passthrough, args),
        BenchCommand::Fraud(args) => workloads::run(Suite::Fraud, args),
        BenchCommand::Compare(args) => compare::run(args),
    }
}

/// Prints a result, then says what was wrong with what was measured.
fn conclude(text: &str, faults: Vec<String>) -> Result<(), JobError> {
    print(text)?;
    if faults.is_empty() {
        return Ok(());
    }
    Err(JobError { class: ErrorClass::DataIntegrity, lines: faults })
}

fn refused(line: String) -> JobError {
    JobError { class: ErrorClass::Configuration, lines: vec![line] }
}

impl From<BenchError> for JobError {
    fn from(error: BenchError) -> JobError {
        let class = match error.kind {
            BenchErrorKind::Configuration => ErrorClass::Configuration,
            BenchErrorKind::Environment => ErrorClass::Environment,
            BenchErrorKind::Data => ErrorClass::DataIntegrity,
            BenchErrorKind::Io => ErrorClass::Io,
        };
        JobError { class, lines: error.lines }
    }
}
