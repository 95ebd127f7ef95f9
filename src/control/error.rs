//! How a job ends without success: lines for the user, and a kind that becomes the exit code.

use std::fmt;
use std::io;

use crate::config::ConfigErrors;
use crate::journal::DirectoryError;
use crate::reactor::Obstacle;
use crate::stdx::{Failure, FailureClass};

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

impl JobError {
    pub(super) fn new(class: ErrorClass, line: String) -> JobError {
        JobError { class, lines: vec![line] }
    }

    pub(super) fn configuration(lines: Vec<String>) -> JobError {
        assert!(!lines.is_empty(), "an error says something");
        JobError { class: ErrorClass::Configuration, lines }
    }
}

impl From<ConfigErrors> for JobError {
    fn from(errors: ConfigErrors) -> JobError {
        JobError::configuration(errors.lines())
    }
}

impl From<Obstacle> for JobError {
    fn from(obstacle: Obstacle) -> JobError {
        JobError::new(ErrorClass::Environment, obstacle.to_string())
    }
}

impl From<DirectoryError> for JobError {
    fn from(error: DirectoryError) -> JobError {
        let class = match error {
            DirectoryError::Locked { .. }
            | DirectoryError::Foreign { .. }
            | DirectoryError::Version { .. } => ErrorClass::Environment,
            DirectoryError::Corrupt { .. } => ErrorClass::DataIntegrity,
            DirectoryError::Io { ref source, .. } if is_refused(source.kind()) => {
                ErrorClass::Environment
            }
            DirectoryError::Io { .. } => ErrorClass::Io,
        };
        let remedy = match error {
            DirectoryError::Io { ref source, .. } if is_refused(source.kind()) => {
                "; name a directory this user may write as durability.dir"
            }
            _ => "",
        };
        JobError::new(class, format!("{error}{remedy}"))
    }
}

/// The directory cannot be used by this user, or be one: nothing has failed that worked before.
fn is_refused(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{AlreadyExists, NotADirectory, PermissionDenied, ReadOnlyFilesystem};
    matches!(kind, AlreadyExists | NotADirectory | PermissionDenied | ReadOnlyFilesystem)
}

impl From<Failure> for JobError {
    fn from(failure: Failure) -> JobError {
        let class = match failure.class {
            FailureClass::Environment => ErrorClass::Environment,
            FailureClass::Data => ErrorClass::DataIntegrity,
            FailureClass::Io => ErrorClass::Io,
        };
        JobError::new(class, failure.message)
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.lines.join("\n"))
    }
}

impl std::error::Error for JobError {}
