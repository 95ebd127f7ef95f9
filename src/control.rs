//! The life of a job.

use std::fmt;
use std::path::PathBuf;

use crate::config::Job;

/// How a job is run, besides what its file says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunOptions {
    /// Where the report goes at the end.
    pub report: Option<PathBuf>,
    /// On SIGTERM or SIGINT, fire open windows as at the end of input.
    pub drain: bool,
    /// Start over, even when the job has finished before.
    pub fresh: bool,
}

/// Why a job ended without success.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JobError {
    /// What kind of trouble: the exit code.
    pub class: ErrorClass,
    /// One line each: what, where, what to do.
    pub lines: Vec<String>,
}

/// Kinds of trouble, as exit codes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ErrorClass {
    /// The job file or its SQL.
    Configuration,
    /// This machine: kernel, limits, ports, cores, directories.
    Environment,
    /// Data is not what it must be.
    DataIntegrity,
    /// Reading or writing failed.
    Io,
    /// Somebody else's system failed.
    External,
}

impl ErrorClass {
    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            ErrorClass::Configuration => 2,
            ErrorClass::Environment => 3,
            ErrorClass::DataIntegrity => 4,
            ErrorClass::Io => 5,
            ErrorClass::External => 6,
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.lines.join("\n"))
    }
}

impl std::error::Error for JobError {}

/// Runs a job to its end.
///
/// # Errors
/// What stopped it.
pub fn run(_job: &Job, _options: &RunOptions) -> Result<(), JobError> {
    Err(not_yet())
}

/// Plans a job without running it; notes for the user, one line each.
///
/// # Errors
/// Everything that is wrong with its SQL.
pub fn check(_job: &Job) -> Result<Vec<String>, JobError> {
    Err(not_yet())
}

/// The dataflow as text.
///
/// # Errors
/// As [`check`].
pub fn explain(_job: &Job) -> Result<String, JobError> {
    Err(not_yet())
}

fn not_yet() -> JobError {
    let lines = vec!["this build has no planner; use a later one".to_owned()];
    JobError { class: ErrorClass::Environment, lines }
}
