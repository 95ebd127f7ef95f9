//! `pelton bench throughput`: from flags to options.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use super::super::load;
use super::latency::{format_of, record_bytes};
use super::{CpuArgs, OutArgs, RUNS_MAX, conclude, refused, values};
use crate::config::{Job, SourceConnector};
use crate::control::{self, JobError};
use crate::loadgen::{
    self, BoundedFloor, BoundedOptions, KeyDistribution, LoadOptions, SearchOptions, Shape,
    WireFormat, core_cpus,
};

/// A job that does not answer any more after a window has not sustained its rate.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Args, Debug)]
pub(in crate::cli) struct ThroughputArgs {
    /// Job file: one that ends by itself is run to its end; one with a listening TCP source and a listening TCP
    /// sink is searched for the highest rate it sustains. Without it, a bundled job that filters and projects
    job: Option<PathBuf>,
    /// Runs of a job that ends by itself, or at the rate found
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u32).range(1..=RUNS_MAX))]
    runs: u32,
    /// Reactors of a job that ends by itself. Default: one on every CPU this process may use
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    cores: Option<u16>,
    /// Search: records per second to begin with
    #[arg(long, value_name = "RATE", default_value = "100k", value_parser = values::positive_count)]
    from: u64,
    /// Search: rates nearer than this many percent are not told apart
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = clap::value_parser!(u8).range(1..=50))]
    precision: u8,
    /// Search: window of a trial, in which the queue must not grow
    #[arg(long, default_value = "3s", value_parser = values::positive_duration)]
    window: Duration,
    /// Search: time before it
    #[arg(long, default_value = "1s", value_parser = values::duration)]
    warm_up: Duration,
    /// Search: bytes of a record
    #[arg(long, value_name = "BYTES", default_value = "128", value_parser = record_bytes)]
    record_bytes: usize,
    /// Search: connections to the source
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: u16,
    #[command(flatten)]
    cpus: CpuArgs,
    #[command(flatten)]
    out: OutArgs,
    /// Print a JSON document instead of tables
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: ThroughputArgs) -> Result<(), JobError> {
    args.out.check()?;
    let report = match &args.job {
        Some(path) => {
            let job = load(path)?;
            if job.sources.values().any(|source| is_tcp(&source.connector)) {
                let format = format_of(path, None)?;
                loadgen::sustainable(&search_options(&args, format)?)?
            } else {
                loadgen::bounded(&bounded_options(&args, path, &job)?)?
            }
        }
        None => loadgen::sustainable(&search_options(&args, WireFormat::Json)?)?,
    };
    args.out.keep(|| report.result())?;
    let text = if args.json { report.to_json() } else { report.to_text() };
    conclude(&text, Vec::new())
}

fn is_tcp(connector: &SourceConnector) -> bool {
    matches!(connector, SourceConnector::Tcp(_))
}

fn search_options(args: &ThroughputArgs, format: WireFormat) -> Result<SearchOptions, JobError> {
    if args.cores.is_some() {
        let line = "--cores is for a job that ends by itself; --job-cpus says where others run";
        return Err(refused(line.to_owned()));
    }
    Ok(SearchOptions {
        load: LoadOptions {
            format,
            record_bytes: args.record_bytes,
            keys: 1_000,
            distribution: KeyDistribution::Uniform,
            unwanted_every: 0,
            shape: Shape::Steady,
            warm_up: args.warm_up,
            duration: args.window,
            patience: PATIENCE,
            connections: usize::from(args.connections),
            verify: false,
            seed: 1,
        },
        job_file: args.job.clone(),
        first_rate: args.from,
        precision: f64::from(args.precision) / 100.0,
        runs: args.runs,
        cpus: args.cpus.resolve()?,
    })
}

fn bounded_options(
    args: &ThroughputArgs,
    path: &Path,
    job: &Job,
) -> Result<BoundedOptions, JobError> {
    control::check(job)?;
    for (name, source) in &job.sources {
        let ends = match &source.connector {
            SourceConnector::Tcp(_) => false,
            SourceConnector::File(file) => !file.follow,
            SourceConnector::Nexmark(nexmark) => nexmark.pacing.rows.is_some(),
            SourceConnector::Datagen(datagen) => datagen.pacing.rows.is_some(),
        };
        if !ends {
            return Err(refused(format!(
                "{}: source {name} has no end: give it a number of rows or events, or a file that is \
                 not followed",
                path.display()
            )));
        }
    }
    Ok(BoundedOptions {
        job_file: path.to_owned(),
        floor: floor_of(job),
        runs: args.runs,
        cpus: core_cpus(args.cores.map(usize::from))?,
    })
}

/// What the job's one source could do at best.
fn floor_of(job: &Job) -> BoundedFloor {
    let mut sources = job.sources.values().map(|source| &source.connector);
    match (sources.next(), sources.next()) {
        (Some(SourceConnector::Nexmark(_)), None) => BoundedFloor::Nexmark,
        (Some(SourceConnector::File(file)), None) => {
            let matched = file.path.to_str().and_then(|pattern| glob::glob(pattern).ok());
            let files: Vec<PathBuf> = matched.into_iter().flatten().flatten().collect();
            if files.is_empty() { BoundedFloor::None } else { BoundedFloor::Files(files) }
        }
        _ => BoundedFloor::None,
    }
}
