//! Subcommands and flags, validated before any side effect.
//!
//! In:  the process's arguments.
//! Out: an exit code; results on standard output, errors on standard error, one line each.
//!
//! Exit codes: 0 done · 2 configuration, SQL or command line · 3 environment · 4 data integrity ·
//! 5 input or output · 6 external system.

mod bench;
mod inspect;

use clap::{Args, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use crate::config::{self, CoreChoice, Job};
use crate::control::{self, ErrorClass, ExplainFormat, JobError, LogFormat, RunOptions};

/// Runs Flink SQL on one machine, one pinned reactor per core.
#[derive(Parser, Debug)]
#[command(name = "pelton", version, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Run a job to its end, or until SIGTERM or SIGINT
    Run(RunArgs),
    /// Say whether a job is correct, without running it
    Check(CheckArgs),
    /// Print a job's dataflow: what it keeps, waits for and promises
    Explain(ExplainArgs),
    /// Say why a running job has no output, or less than expected
    Why(JobArgs),
    /// Look into what a job keeps on disk; changes nothing
    Inspect(inspect::InspectArgs),
    /// Measure this machine, a job, or the engine
    #[command(subcommand)]
    Bench(bench::BenchCommand),
    /// Look at this machine: can it run jobs, and what keeps it from being fast?
    Doctor(DoctorArgs),
    /// Print the version
    Version,
    /// Print a manual page, for man: pelton man | man -l -
    Man(ManArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
}

#[derive(Args, Debug)]
struct RunArgs {
    /// The job file
    job: PathBuf,
    /// Write what happened to FILE, as JSON
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    /// When stopped by a signal, fire open windows as at the end of input
    #[arg(long)]
    drain: bool,
    /// Start over, even when the job has finished before
    #[arg(long)]
    fresh: bool,
    /// Print lines, without the live screen that a terminal gets
    #[arg(long)]
    plain: bool,
    /// Messages as text, or as JSON, one object a line; auto: text on a terminal
    #[arg(long, value_name = "FORMAT", default_value = "auto", value_parser = log_format)]
    log: LogFormat,
    /// Instead of the job's `reactor.cores`: all, a count, or CPUs such as 2,3
    #[arg(long, value_name = "CORES", value_parser = cores)]
    cores: Option<CoreChoice>,
}

#[derive(Args, Debug)]
struct CheckArgs {
    /// The job file
    #[arg(required_unless_present = "reference")]
    job: Option<PathBuf>,
    /// Print every key of a job file with its default and its meaning
    #[arg(long, conflicts_with = "job")]
    reference: bool,
}

#[derive(Args, Debug)]
struct DoctorArgs {
    /// A job, to look at its cores, addresses and directories, too
    job: Option<PathBuf>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

#[derive(Args, Debug)]
struct ExplainArgs {
    /// The job file
    job: PathBuf,
    /// How: tree, dot (for Graphviz) or json
    #[arg(long, value_name = "FORMAT", default_value = "tree", value_parser = explain_format)]
    format: ExplainFormat,
    /// With the figures of the process that runs the job, and its bottleneck
    #[arg(long, conflicts_with = "format")]
    live: bool,
}

#[derive(Args, Debug)]
struct ManArgs {
    /// Of this command, such as run or bench latency; left out, of pelton
    command: Vec<String>,
}

#[derive(Args, Debug)]
struct CompletionsArgs {
    /// bash, elvish, fish, powershell or zsh
    shell: Shell,
}

#[derive(Args, Debug)]
struct JobArgs {
    /// The job file
    job: PathBuf,
}

/// Does what the command line says; returns the exit code.
pub fn run() -> u8 {
    let mut format = LogFormat::Text;
    let result = match Cli::try_parse() {
        Ok(cli) => {
            if let Command::Run(args) = &cli.command {
                format = args.log;
            }
            dispatch(cli.command)
        }
        // Help and usage; a closed pipe is the reader's decision.
        Err(usage) => {
            let _ = usage.print();
            return u8::try_from(usage.exit_code()).unwrap_or(2);
        }
    };
    match result {
        Ok(()) => 0,
        Err(error) => {
            // Nothing is left to be done about a closed standard error.
            let lines = control::error_lines(&error, format);
            let _ = io::stderr().lock().write_all(lines.as_bytes());
            error.class.exit_code()
        }
    }
}

fn dispatch(command: Command) -> Result<(), JobError> {
    match command {
        Command::Run(args) => run_job(args),
        Command::Check(CheckArgs { job: Some(path), .. }) => check(&path),
        Command::Check(_) => print(config::REFERENCE),
        Command::Explain(args) if args.live => print(&control::explain_live(&load(&args.job)?)?),
        Command::Explain(args) => print(&control::explain(&load(&args.job)?, args.format)?),
        Command::Why(args) => print(&control::why(&load(&args.job)?)?),
        Command::Inspect(args) => inspect::run(args),
        Command::Bench(command) => bench::run(command),
        Command::Doctor(args) => doctor(&args),
        Command::Man(args) => print(&manual_page(&args.command)?),
        Command::Completions(args) => print(&completions(args.shell)),
        Command::Version => print(concat!("pelton ", env!("CARGO_PKG_VERSION"), "\n")),
    }
}

fn run_job(args: RunArgs) -> Result<(), JobError> {
    if let Some(report) = &args.report {
        check_output("--report", report)?;
    }
    let mut job = load(&args.job)?;
    if let Some(cores) = args.cores {
        job.reactor.cores = cores;
    }
    let RunArgs { report, drain, fresh, plain, log, .. } = args;
    control::run(&job, &RunOptions { report, drain, fresh, plain, log })
}

/// The page of the command that `path` names.
fn manual_page(path: &[String]) -> Result<String, JobError> {
    let mut command = Cli::command();
    command.build();
    for name in path {
        let Some(found) = command.find_subcommand(name).cloned() else {
            let line = format!("there is no command {name:?}; pelton --help lists them");
            return Err(JobError { class: ErrorClass::Configuration, lines: vec![line] });
        };
        command = found;
    }
    let title = command.get_bin_name().unwrap_or("pelton").replace(' ', "-").to_uppercase();
    let mut page = Vec::new();
    let written = clap_mangen::Man::new(command).title(title).render(&mut page);
    written.expect("writing to memory cannot fail");
    Ok(String::from_utf8_lossy(&page).into_owned())
}

fn completions(shell: Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "pelton", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// The findings, then the exit code.
fn doctor(args: &DoctorArgs) -> Result<(), JobError> {
    let job = args.job.as_deref().map(load).transpose()?;
    let diagnosis = control::doctor(job.as_ref());
    print(&if args.json { diagnosis.to_json() } else { diagnosis.to_text() })?;
    diagnosis.verdict()
}

fn check(path: &Path) -> Result<(), JobError> {
    let notes = control::check(&load(path)?)?;
    let notes: String = notes.iter().map(|note| format!("note: {note}\n")).collect();
    print(&format!("{notes}{}: ok\n", path.display()))
}

fn load(path: &Path) -> Result<Job, JobError> {
    config::load(path)
        .map_err(|errors| JobError { class: ErrorClass::Configuration, lines: errors.lines() })
}

/// Results are written at the end, perhaps days from now: that they can be is looked at first.
fn check_output(flag: &str, path: &Path) -> Result<(), JobError> {
    if path.is_dir() {
        let line = format!("{flag} {} is a directory; name a file", path.display());
        return Err(JobError { class: ErrorClass::Configuration, lines: vec![line] });
    }
    check_parent(flag, path)
}

/// What is to be created can be.
fn check_parent(flag: &str, path: &Path) -> Result<(), JobError> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if parent.is_dir() {
        return Ok(());
    }
    let line =
        format!("{flag} {} is in a directory that does not exist; create it first", path.display());
    Err(JobError { class: ErrorClass::Configuration, lines: vec![line] })
}

fn explain_format(text: &str) -> Result<ExplainFormat, String> {
    match text {
        "tree" => Ok(ExplainFormat::Tree),
        "dot" => Ok(ExplainFormat::Dot),
        "json" => Ok(ExplainFormat::Json),
        _ => Err("write tree, dot or json".to_owned()),
    }
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        "auto" if io::stderr().is_terminal() => Ok(LogFormat::Text),
        "auto" => Ok(LogFormat::Json),
        _ => Err("write auto, text or json".to_owned()),
    }
}

fn cores(text: &str) -> Result<CoreChoice, String> {
    config::parse_cores(text)
}

/// Prints to standard output. A reader that went away (`pelton explain … | head`) is no error.
fn print(text: &str) -> Result<(), JobError> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let lines = vec![format!("standard output: {error}")];
            Err(JobError { class: ErrorClass::Io, lines })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
