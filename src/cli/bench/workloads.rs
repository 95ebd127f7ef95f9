//! `pelton bench nexmark` and its like: from flags to options.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{OutArgs, RUNS_MAX, conclude, refused, values};
use crate::control::JobError;
use crate::loadgen::{self, RowSource, Suite, WorkloadOptions, core_cpus};
use crate::stdx::did_you_mean;

#[derive(Args, Debug)]
pub(in crate::cli) struct NexmarkArgs {
    /// Queries, such as q0,q5; without it all of them
    #[arg(long, value_name = "QUERIES", value_delimiter = ',')]
    queries: Vec<String>,
    #[command(flatten)]
    workload: WorkloadArgs,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct WorkloadArgs {
    /// Rows of a run
    #[arg(long, visible_alias = "rows", default_value = "10M", value_parser = values::positive_count)]
    events: u64,
    /// Reactors, each on a CPU of its own. Default: one on every CPU this process may use
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    cores: Option<u16>,
    /// Where rows come from
    #[arg(long, value_enum, default_value = "inprocess")]
    source: SourceChoice,
    /// Runs of each query
    #[arg(long, default_value = "3", value_parser = clap::value_parser!(u32).range(1..=RUNS_MAX))]
    runs: u32,
    /// Where files made beforehand go for the while. Default: the directory for temporary files
    #[arg(long, value_name = "DIRECTORY")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    out: OutArgs,
    /// Print a JSON document instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(ValueEnum, Clone, Copy, Debug)]
enum SourceChoice {
    /// The job makes them itself: generator included
    Inprocess,
    /// JSON files made beforehand: decoding included
    Json,
}

impl From<SourceChoice> for RowSource {
    fn from(source: SourceChoice) -> RowSource {
        match source {
            SourceChoice::Inprocess => RowSource::InProcess,
            SourceChoice::Json => RowSource::Json,
        }
    }
}

pub(super) fn run_nexmark(args: NexmarkArgs) -> Result<(), JobError> {
    let known = Suite::Nexmark.queries();
    for query in &args.queries {
        if !known.contains(&query.as_str()) {
            let hint = did_you_mean(query, &known);
            return Err(refused(format!("--queries: there is no query \"{query}\"; {hint}")));
        }
    }
    measure(Suite::Nexmark, args.queries, args.workload)
}

pub(super) fn run(suite: Suite, args: WorkloadArgs) -> Result<(), JobError> {
    measure(suite, Vec::new(), args)
}

fn measure(suite: Suite, queries: Vec<String>, args: WorkloadArgs) -> Result<(), JobError> {
    if let Some(directory) = args.dir.as_ref().filter(|directory| !directory.is_dir()) {
        return Err(refused(format!("--dir {} is no directory", directory.display())));
    }
    args.out.check()?;
    let options = WorkloadOptions {
        suite,
        queries,
        rows: args.events,
        source: args.source.into(),
        cpus: core_cpus(args.cores.map(usize::from))?,
        runs: args.runs,
        directory: args.dir,
    };
    let report = loadgen::workloads(&options)?;
    args.out.keep(|| report.result())?;
    let text = if args.json { report.to_json() } else { report.to_text() };
    conclude(&text, Vec::new())
}
