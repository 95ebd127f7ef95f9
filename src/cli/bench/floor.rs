//! `pelton bench floor`: from flags to options.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::{CpuArgs, OutArgs, conclude, refused, values};
use crate::control::JobError;
use crate::loadgen::{self, FloorOptions};

#[derive(Args, Debug)]
pub(in crate::cli) struct FloorArgs {
    /// Times each floor is measured, in turns
    #[arg(long, default_value = "5", value_parser = clap::value_parser!(u32).range(1..=super::RUNS_MAX))]
    rounds: u32,
    /// Time of one measurement
    #[arg(long, default_value = "1s", value_parser = values::positive_duration)]
    duration: Duration,
    /// Directory on the disk to measure: where a job's durability.dir would be; takes 128 MiB for the while
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    dir: PathBuf,
    #[command(flatten)]
    cpus: CpuArgs,
    #[command(flatten)]
    out: OutArgs,
    /// Print a JSON document instead of a table
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: FloorArgs) -> Result<(), JobError> {
    if !args.dir.is_dir() {
        return Err(refused(format!("--dir {} is no directory", args.dir.display())));
    }
    args.out.check()?;
    let options = FloorOptions {
        cpus: args.cpus.resolve()?,
        rounds: args.rounds,
        time: args.duration,
        directory: args.dir,
    };
    let report = loadgen::floor(&options)?;
    args.out.keep(|| report.result())?;
    let text = if args.json { report.to_json() } else { report.to_text() };
    conclude(&text, Vec::new())
}
