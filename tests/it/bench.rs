//! `pelton bench`: what is counted, printed and refused. Never how fast anything is.
//!
//! Read: `latency` · `floor`.

mod floor;
mod latency;

use crate::support::{Directory, Outcome};

/// Runs `pelton bench` with these arguments, one word each, in a directory.
fn bench(directory: &Directory, arguments: &str) -> Outcome {
    let words: Vec<&str> = std::iter::once("bench").chain(arguments.split(' ')).collect();
    directory.pelton(&words)
}

/// The document that a bench printed.
#[track_caller]
fn document(outcome: &Outcome) -> serde_json::Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| {
        panic!("no document: {error}\n{}\n{}", outcome.stdout, outcome.stderr)
    })
}
