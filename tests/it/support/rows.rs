//! What a job wrote: the parts of a file sink, and the report of a run.

use serde_json::Value;
use std::path::PathBuf;

use super::Directory;

impl Directory {
    /// The files of a sink's directory in name order, hidden ones too.
    pub(crate) fn parts(&self, sink: &str) -> Vec<PathBuf> {
        let Ok(entries) = std::fs::read_dir(self.path(sink)) else { return Vec::new() };
        let mut parts: Vec<PathBuf> =
            entries.map(|entry| entry.expect("the directory is readable").path()).collect();
        parts.sort();
        parts
    }

    /// All lines of all parts, in name order.
    pub(crate) fn lines(&self, sink: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for part in self.parts(sink) {
            // A hidden part may have got its name since it was listed.
            let Ok(text) = std::fs::read_to_string(&part) else { continue };
            lines.extend(text.lines().map(str::to_owned));
        }
        lines
    }

    /// All lines of all parts, sorted: with several cores their order says nothing.
    pub(crate) fn rows(&self, sink: &str) -> Vec<String> {
        sorted(self.lines(sink))
    }

    /// The report in `report.json`, whose ledger must be balanced.
    #[track_caller]
    pub(crate) fn report(&self) -> Report {
        let text = std::fs::read_to_string(self.path("report.json")).expect("it was asked for");
        let report = Report(serde_json::from_str(&text).expect("a report is JSON"));
        assert_eq!(report.0["ledger"]["balanced"], Value::Bool(true), "{text}");
        assert_eq!(report.0["ledger"]["violations"], Value::Array(vec![]), "{text}");
        report
    }
}

/// What happened, as the program tells it.
pub(crate) struct Report(Value);

impl Report {
    /// The value at a path such as `sources/bid/records_in`.
    #[track_caller]
    pub(crate) fn text(&self, path: &str) -> &str {
        self.at(path).as_str().unwrap_or_else(|| panic!("{path} is no text: {}", self.0))
    }

    /// The number at a path.
    #[track_caller]
    pub(crate) fn count(&self, path: &str) -> u64 {
        self.at(path).as_u64().unwrap_or_else(|| panic!("{path} is no count: {}", self.0))
    }

    #[track_caller]
    fn at(&self, path: &str) -> &Value {
        let found = self.0.pointer(&format!("/{path}"));
        found.unwrap_or_else(|| panic!("no {path} in {}", self.0))
    }

    /// The sum of `counter` over operators whose name contains `part`.
    #[track_caller]
    pub(crate) fn operators(&self, part: &str, counter: &str) -> u64 {
        let operators = self.0["operators"].as_array().expect("operators are listed");
        let named = |operator: &&Value| {
            operator["operator"].as_str().is_some_and(|name| name.contains(part))
        };
        let counts = operators.iter().filter(named).map(|operator| operator[counter].as_u64());
        counts.map(|count| count.expect("counters are counts")).sum()
    }
}

pub(crate) fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

/// Asserts that two long lists are the same, showing where they begin to differ.
#[track_caller]
pub(crate) fn expect_same(found: &[String], expected: &[String], context: &str) {
    let same = found.iter().zip(expected).take_while(|(found, expected)| found == expected);
    let at = same.count();
    let (found_there, expected_there) = (found.get(at), expected.get(at));
    assert!(
        found_there == expected_there,
        "{context}: line {at} of {} is\n{found_there:?}\ninstead of, of {},\n{expected_there:?}",
        found.len(),
        expected.len()
    );
}
