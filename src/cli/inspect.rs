//! `pelton inspect`: what a job keeps on disk, and whether it is as it was written.

use clap::{Args, Subcommand};
use std::path::PathBuf;

use super::print;
use crate::control::{ErrorClass, JobError};
use crate::inspect::{self, InspectFormat, ListingRequest};

/// Entries that are listed unless somebody wants more.
const LIMIT: usize = 20;

#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, arg_required_else_help = true)]
pub(super) struct InspectArgs {
    #[command(subcommand)]
    command: Option<InspectCommand>,
    /// The durability directory of a job
    #[arg(required = true)]
    directory: Option<PathBuf>,
    /// List what this operator keeps: its name in the list of operators, or a part of what it computes
    #[arg(long, value_name = "OPERATOR")]
    operator: Option<String>,
    /// Only entries with this key; several columns are separated by ", "
    #[arg(long, value_name = "TEXT", requires = "operator")]
    key: Option<String>,
    /// List so many entries at most
    #[arg(long, value_name = "COUNT", default_value_t = LIMIT, requires = "operator")]
    limit: usize,
    /// How: text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = format)]
    format: InspectFormat,
}

#[derive(Subcommand, Debug)]
enum InspectCommand {
    /// Read and check every byte that the newest epoch keeps
    Verify(VerifyArgs),
}

#[derive(Args, Debug)]
struct VerifyArgs {
    /// The durability directory of a job
    directory: PathBuf,
    /// How: text or json
    #[arg(long, value_name = "FORMAT", default_value = "text", value_parser = format)]
    format: InspectFormat,
}

pub(super) fn run(args: InspectArgs) -> Result<(), JobError> {
    let InspectArgs { command, directory, operator, key, limit, format } = args;
    if let Some(InspectCommand::Verify(verified)) = command {
        return verify(&verified);
    }
    let directory = directory.expect("clap asks for it where there is no subcommand");
    let text = match operator {
        Some(operator) => {
            inspect::entries(&directory, &ListingRequest { operator, key, limit }, format)
        }
        None => inspect::summary(&directory, format),
    };
    print(&text?)
}

fn verify(args: &VerifyArgs) -> Result<(), JobError> {
    let verdict = inspect::verify(&args.directory)?;
    print(&match args.format {
        InspectFormat::Text => verdict.to_text(),
        InspectFormat::Json => verdict.to_json(),
    })?;
    match verdict.damage_lines() {
        lines if lines.is_empty() => Ok(()),
        lines => Err(JobError { class: ErrorClass::DataIntegrity, lines }),
    }
}

fn format(text: &str) -> Result<InspectFormat, String> {
    match text {
        "text" => Ok(InspectFormat::Text),
        "json" => Ok(InspectFormat::Json),
        _ => Err("write text or json".to_owned()),
    }
}
