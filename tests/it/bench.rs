//! `pelton bench`: what is counted, printed and refused. Never how fast anything is.
//!
//! Read: `latency` · `floor` · `throughput` · `workloads` · `compare`.

mod compare;
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
    check_documented(&document);
    document
}

#[track_caller]
fn check_documented(document: &Value) {
    let mut names = BTreeSet::new();
    fields(document, &mut names);
    for name in names {
        assert!(DOCUMENTATION.contains(&format!("`{name}`")), "{name} is not documented");
    }
}

/// The result that a bench left in a folder; its figures stand in the report beside it, with what they are of.
#[track_caller]
fn result(directory: &Directory, folder: &str) -> Value {
    let read = |name: &str| {
        let path = directory.path(&format!("{folder}/{name}"));
        std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let result: Value = serde_json::from_str(&read("result.json")).expect("it is a document");
    let mut without_options = result.clone();
    without_options["configuration"] = Value::Null;
    check_documented(&without_options);
    let report = read("report.html");
    for figure in list(&result, "figures") {
        let words = |field: &str| figure[field].as_str().expect("a word").replace('\'', "&#39;");
        let of = match words("of") {
            of if of.is_empty() => String::new(),
            of => format!(" <i>{of}</i>"),
        };
        let row = format!("<tr><th>{}{of}</th><td>{}</td>", words("figure"), words("unit"));
        let section = report.split("<section>").find(|section| {
            section.contains(&format!("<h2>{}</h2>", words("table"))) && section.contains(&row)
        });
        assert!(section.is_some(), "{figure}");
        let (least, most) = (figure["min"].as_f64(), figure["max"].as_f64());
        assert!(
            least <= figure["median"].as_f64() && figure["median"].as_f64() <= most,
            "{figure}"
        );
    }
    result
}

#[track_caller]
fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().unwrap_or_else(|| panic!("no list {field}"))
}

/// The figure of a result with this name, of this.
#[track_caller]
fn figure<'a>(result: &'a Value, name: &str, of: &str) -> &'a Value {
    let found = list(result, "figures").iter().find(|it| it["figure"] == name && it["of"] == of);
    found.unwrap_or_else(|| panic!("no figure {name} of {of}"))
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
