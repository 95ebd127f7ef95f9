//! `pelton bench compare`: from flags to options.

use std::path::PathBuf;

use clap::Args;

use super::{conclude, refused, values};
use crate::control::JobError;
use crate::loadgen::{self, CompareOptions};

pub(super) const EXAMPLES: &str = "\
Examples:
  pelton bench compare before after                   two results of a bench
  pelton bench compare before after --gate            exit code 4 when the second is worse
  pelton bench compare a b c --out pages              a page with all three beside each other

Exit codes: 0 compared · 2 command line, or no results that can be compared · 4 with --gate, a figure that decides is \
worse by more than noise and tolerance, or missing · 5 input or output";

#[derive(Args, Debug)]
pub(in crate::cli) struct CompareArgs {
    /// Folders that benches wrote with --out, or that hold such folders; the others are compared with the first
    #[arg(required = true, num_args = 2..)]
    results: Vec<PathBuf>,
    /// Fail when a figure that decides is worse, or missing
    #[arg(long)]
    gate: bool,
    /// With --gate: what is worse by no more than this many percent passes
    #[arg(long, value_name = "PERCENT", default_value = "5", value_parser = values::percent)]
    tolerance: f64,
    /// Write comparison.json and a report.html for each bench to DIRECTORY
    #[arg(long, value_name = "DIRECTORY")]
    out: Option<PathBuf>,
    /// Print a JSON document instead of tables
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: CompareArgs) -> Result<(), JobError> {
    let report = loadgen::compare(&CompareOptions {
        results: args.results,
        tolerance: args.tolerance / 100.0,
    })?;
    if let Some(directory) = &args.out {
        if directory.join("result.json").exists() {
            let line = "is the folder of a result, whose report it would replace; name another";
            return Err(refused(format!("--out {} {line}", directory.display())));
        }
        report.write(directory)?;
    }
    let text = if args.json { report.to_json() } else { report.to_text() };
    conclude(&text, if args.gate { report.regressions() } else { Vec::new() })
}
