//! Why a measurement ended without a result.

use std::fmt;
use std::io;

/// What kind of trouble: the exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BenchErrorKind {
    /// The command line, or a job that cannot be measured this way.
    Configuration,
    /// This machine: CPUs, ports, disks.
    Environment,
    /// Results were not what they must be.
    Data,
    /// Reading or writing failed.
    Io,
}

/// What, where and what to do, one line each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BenchError {
    /// What kind of trouble.
    pub kind: BenchErrorKind,
    /// At least one.
    pub lines: Vec<String>,
}

impl BenchError {
    /// Of one line.
    pub fn new(kind: BenchErrorKind, line: impl Into<String>) -> BenchError {
        BenchError { kind, lines: vec![line.into()] }
    }

    pub(super) fn environment(line: impl Into<String>) -> BenchError {
        BenchError::new(BenchErrorKind::Environment, line)
    }

    pub(super) fn io(what: &str, error: &io::Error) -> BenchError {
        BenchError::new(BenchErrorKind::Io, format!("{what}: {error}"))
    }
}

impl fmt::Display for BenchError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.lines.join("\n"))
    }
}

impl std::error::Error for BenchError {}
