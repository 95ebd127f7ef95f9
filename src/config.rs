//! Configuration: a job file, read once, resolved once.
//!
//! In:  the text of a TOML file, the environment, the directory it stands in.
//! Out: a [`Job`] in which every value is final, or all errors at once, each with file, line,
//!      column, key, what was given and what is allowed.
//!
//! Read: `job` (what comes out) · `key` (every key there is, as data) · `raw` into `table` (what the
//! TOML says) · `value` (one value, checked against its key) · `resolve` with `source` and `sink`
//! (raw to final) · `with_options` and `flink` (the options of CREATE TABLE, brought to the same
//! keys) · `expand` (`${env:NAME}`) · `locate` (bytes to lines) · `place` (where things stand) · `error` · `reference` (the
//! documented default).
//!
//! Deliberately absent: serde. It stops at the first error and names no key; a walk over the
//! parsed document reports all of them.

mod error;
mod expand;
mod flink;
mod job;
mod key;
mod locate;
mod place;
mod raw;
mod reference;
mod resolve;
mod sink;
mod source;
mod table;
mod value;
mod with_options;

pub use crate::reactor::TcpEndpoint;
pub use error::{ConfigError, ConfigErrors, Position};
pub use job::{
    CoreChoice, DatagenSourceConfig, DurabilityConfig, DurabilityMode, FileSinkConfig,
    FileSourceConfig, HttpConfig, HttpListen, Job, Limits, NexmarkSourceConfig, OnError,
    ReactorConfig, Release, SinkConfig, SinkConnector, SourceConfig, SourceConnector, Spin,
    TcpSinkConfig, TcpSourceConfig,
};
pub use place::Place;
pub use reference::REFERENCE;
pub use value::parse_cores;

use std::path::Path;

use crate::limits::JOB_FILE_BYTES_MAX;
use error::Errors;

/// What a job file may refer to outside itself.
pub struct Host<'a> {
    /// The value of an environment variable, for `${env:NAME}`.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
}

/// Reads and resolves the job file at `path`, with the environment of this process.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn load(path: &Path) -> Result<Job, ConfigErrors> {
    let text = read_bounded(path).map_err(|reason| ConfigErrors::whole_file(path, reason))?;
    let environment = |name: &str| std::env::var(name).ok();
    resolve_text(path, &text, &Host { environment: &environment })
}

/// Resolves `text`, which stands in the file `path`.
///
/// # Errors
/// Everything that is wrong with it, in the order of the file.
pub fn resolve_text(path: &Path, text: &str, host: &Host<'_>) -> Result<Job, ConfigErrors> {
    let mut errors = Errors::new(path);
    let job = raw::read(path, text, host, &mut errors)
        .and_then(|raw| resolve::resolve(path, raw, &mut errors));
    match job {
        Some(job) if errors.is_empty() => Ok(job),
        _ => Err(errors.finish()),
    }
}

/// The file's text. Its length is checked before anything is allocated for it.
fn read_bounded(path: &Path) -> Result<String, String> {
    let status = std::fs::metadata(path).map_err(|error| format!("cannot be read: {error}"))?;
    if !status.is_file() {
        return Err("is not a file; give the path of a job file".to_owned());
    }
    if status.len() > JOB_FILE_BYTES_MAX {
        return Err(format!("is {} bytes; at most {JOB_FILE_BYTES_MAX} are read", status.len()));
    }
    let bytes = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    String::from_utf8(bytes).map_err(|error| {
        format!("is not UTF-8 at byte {}; save it as UTF-8", error.utf8_error().valid_up_to())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Write;

    /// Whatever stands in a file, the answer is a job, or errors with places in that file.
    #[test]
    fn mutated_job_files_are_refused_with_places_or_accepted() {
        let seed = fastrand::u64(..);
        let mut random = fastrand::Rng::with_seed(seed);
        let environment = |_: &str| Some("9000".to_owned());
        let host = Host { environment: &environment };
        let pieces =
            ["\"", "'''", "[", "]", "=", "\n", "${env:A}", "\\", "é", "\u{0}", "5", "#", "."];
        let (mut accepted, mut refused) = (0, 0);
        for round in 0..2_000 {
            let mut text: Vec<char> = REFERENCE.chars().collect();
            for _ in 0..random.usize(1..4) {
                let (at, other) = (random.usize(..text.len()), random.usize(..text.len()));
                match random.u8(..3) {
                    0 => drop(text.drain(at..(at + random.usize(1..30)).min(text.len()))),
                    1 => drop(text.splice(at..at, random.choice(pieces).unwrap().chars())),
                    _ => text.swap(at, other),
                }
            }
            let text: String = text.into_iter().collect();
            let lines = text.lines().count() + 1;
            match resolve_text(Path::new("m.toml"), &text, &host) {
                Ok(_) => accepted += 1,
                Err(errors) => {
                    refused += 1;
                    for error in errors.iter() {
                        let at = error.at.expect("every error has a place");
                        let line = usize::try_from(at.line).unwrap();
                        let mut shown = String::new();
                        write!(shown, "{error}").unwrap();
                        assert!((1..=lines).contains(&line), "seed {seed} round {round}: {shown}");
                        assert!(!shown.contains('\n'), "seed {seed} round {round}: {shown}");
                    }
                }
            }
        }
        assert!(accepted > 100 && refused > 100, "seed {seed}: {accepted} {refused}");
    }
}
