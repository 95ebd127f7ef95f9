//! What can be wrong with journals, each with file, offset and remedy.

use std::fmt;
use std::io;

use super::entry::Invalid;
use crate::stdx::{Failure, FailureClass};

/// Why a journal cannot be read or gone on with.
#[derive(Debug)]
pub enum JournalError {
    /// The operating system refused.
    Io {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        file: String,
        /// Why not.
        source: io::Error,
    },
    /// What was made durable is not there any more as it was written.
    Rot {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong there.
        reason: Invalid,
    },
    /// Files that belong together do not.
    Inconsistent {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl JournalError {
    /// The operating system's error, for `map_err`.
    pub fn io(operation: &'static str, file: String) -> impl FnOnce(io::Error) -> JournalError {
        move |source| JournalError::Io { operation, file, source }
    }

    /// As the end of a running job.
    pub fn failure(&self) -> Failure {
        let class = match self {
            JournalError::Io { .. } => FailureClass::Io,
            JournalError::Rot { .. } | JournalError::Inconsistent { .. } => FailureClass::Data,
        };
        Failure { class, message: self.to_string() }
    }
}

/// What helps against damage.
const REMEDY: &str = "restore the directory from a backup, or start over with --fresh";

impl fmt::Display for JournalError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::Io { operation, file, source } => {
                write!(formatter, "{file}: cannot {operation}: {source}")
            }
            JournalError::Rot { file, offset, reason } => {
                write!(formatter, "{file}: damaged at offset {offset}: {reason}; {REMEDY}")
            }
            JournalError::Inconsistent { file, reason } => {
                write!(formatter, "{file}: {reason}; {REMEDY}")
            }
        }
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            JournalError::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rot_is_a_matter_of_data_and_names_its_place() {
        let error =
            JournalError::Rot { file: "d/s.seg".into(), offset: 4160, reason: Invalid::Checksum };
        let failure = error.failure();
        assert_eq!(failure.class, FailureClass::Data);
        assert!(failure.message.starts_with("d/s.seg: damaged at offset 4160: "), "{failure:?}");
        let refused = JournalError::io("read", "d/s.seg".into())(io::ErrorKind::TimedOut.into());
        assert_eq!(refused.failure().class, FailureClass::Io);
    }
}
