//! `pelton bench`: what is counted, printed and refused. Never how fast anything is.
//!
//! Read: `latency` · `floor` · `throughput` · `workloads`.

mod floor;
mod latency;
mod throughput;
mod workloads;

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::{Directory, Outcome};

const DOCUMENTATION: &str = include_str!("../../bench/README.md");

/// Runs `pelton bench` with these arguments, one word each, in a directory.
fn bench(directory: &Directory, arguments: &str) -> Outcome {
    let words: Vec<&str> = std::iter::once("bench").chain(arguments.split(' ')).collect();
    directory.pelton(&words)
}

/// The document that a bench printed; `bench/README.md` names all of its fields.
#[track_caller]
fn document(outcome: &Outcome) -> Value {
    let document = serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| {
        panic!("no document: {error}\n{}\n{}", outcome.stdout, outcome.stderr)
    });
    let mut names = BTreeSet::new();
    fields(&document, &mut names);
    for name in names {
        assert!(DOCUMENTATION.contains(&format!("`{name}`")), "{name} is not documented");
    }
    document
}

/// Names of fields, but for those of percentiles.
fn fields(value: &Value, names: &mut BTreeSet<String>) {
    match value {
        Value::Object(parts) => {
            let percentile = |name: &str| name.starts_with("p50") || name.starts_with("p9");
            names.extend(parts.keys().filter(|name| !percentile(name)).cloned());
            parts.values().for_each(|part| fields(part, names));
        }
        Value::Array(parts) => parts.iter().for_each(|part| fields(part, names)),
        _ => {}
    }
}
