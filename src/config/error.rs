//! What is wrong with a job file: one line per error, all at once, in the order of the file.

use std::fmt;
use std::path::{Path, PathBuf};

/// A place in a file, as editors count: from 1, columns in characters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigError {
    /// The file, as the user named it.
    pub file: PathBuf,
    /// Where; absent when the file as a whole is meant.
    pub at: Option<Position>,
    /// The key in full, such as `sources.bid.listen`; empty when no key is meant.
    pub key: String,
    /// What is wrong and what to do.
    pub message: String,
}

/// Everything that is wrong; never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConfigErrors(Vec<ConfigError>);

impl ConfigErrors {
    /// One error that concerns the file as a whole.
    pub fn whole_file(file: &Path, message: String) -> ConfigErrors {
        let file = file.to_owned();
        ConfigErrors(vec![ConfigError { file, at: None, key: String::new(), message }])
    }

    /// The errors, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.0.iter()
    }

    /// One line per error.
    pub fn lines(&self) -> Vec<String> {
        self.0.iter().map(ToString::to_string).collect()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.file.display())?;
        if let Some(at) = self.at {
            write!(formatter, ":{}:{}", at.line, at.column)?;
        }
        if !self.key.is_empty() {
            write!(formatter, ": {}", self.key)?;
        }
        // One line per error, whatever the user's value contains.
        write!(formatter, ": {}", self.message.replace(['\n', '\r'], " "))
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.lines().join("\n"))
    }
}

impl std::error::Error for ConfigError {}
impl std::error::Error for ConfigErrors {}

/// Collects errors of one file while it is read.
#[derive(Debug)]
pub(super) struct Errors {
    file: PathBuf,
    found: Vec<ConfigError>,
}

impl Errors {
    pub(super) fn new(file: &Path) -> Errors {
        Errors { file: file.to_owned(), found: Vec::new() }
    }

    pub(super) fn add(&mut self, at: Position, key: &str, message: impl Into<String>) {
        self.found.push(ConfigError {
            file: self.file.clone(),
            at: Some(at),
            key: key.to_owned(),
            message: message.into(),
        });
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    pub(super) fn finish(mut self) -> ConfigErrors {
        assert!(!self.found.is_empty());
        self.found.sort_by_key(|error| error.at);
        ConfigErrors(self.found)
    }
}
