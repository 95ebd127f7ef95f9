//! Result: what every bench leaves in a folder, in one form, for people and for comparing.
//!
//! In:  what a bench measured.
//! Out: `result.json` (figures with their spread, curves, timelines, and the bench's own document) and
//!      `report.html`, which shows them.
//!
//! Read: `charts` (curves and timelines of runs) · `page` (the report) · `read` (results of files).
//!
//! A figure is known by its table, its name and whose it is: by these, two results are compared.

mod charts;
mod page;
mod read;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use chrono::{DateTime, SecondsFormat};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::error::BenchError;
use super::figures::{LATENCY_NAMES, Latencies};
use super::machine::Machine;
use super::spread::Spread;
use crate::reactor::{Clock, SystemClock};
pub(super) use charts::{Charts, Owner};
use charts::{Curve, Timeline};
pub(super) use read::{Found, find};

/// Version of the form of `result.json`; counts up when a field changes its meaning.
const RESULT_SCHEMA: u32 = 1;

/// Names in a folder of results.
const RESULT_FILE: &str = "result.json";
const REPORT_FILE: &str = "report.html";

/// One bench.
#[derive(Clone, PartialEq, Serialize, Deserialize, Debug)]
pub struct BenchResult {
    schema: u32,
    pub(super) bench: String,
    /// When it ended, RFC 3339.
    pub(super) ended: String,
    pub(super) machine: Machine,
    pub(super) configuration: BTreeMap<String, String>,
    /// Ended before its time by a signal: what there is until then.
    interrupted: bool,
    /// What was wrong with results, or speaks against the measurement, in words.
    caveats: Vec<String>,
    /// What was asked for and could not be measured, and why.
    not_measured: Vec<String>,
    pub(super) figures: Vec<Figure>,
    curves: Vec<Curve>,
    timelines: Vec<Timeline>,
    /// What the bench prints with `--json`.
    document: Value,
}

/// Which way a figure is to go.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(rename_all = "lowercase")]
pub(super) enum Better {
    Lower,
    Higher,
    /// It describes the measurement, or the machine.
    Neither,
}

/// One figure over the runs that are judged.
#[derive(Clone, PartialEq, Serialize, Deserialize, Debug)]
pub(super) struct Figure {
    pub(super) table: String,
    pub(super) figure: String,
    /// Whose.
    pub(super) of: String,
    pub(super) unit: String,
    pub(super) better: Better,
    /// It decides whether one result is worse than another.
    pub(super) decides: bool,
    #[serde(flatten)]
    pub(super) spread: Spread,
    /// By run.
    pub(super) values: Vec<f64>,
    /// Judged or not.
    pub(super) runs: usize,
    /// The part of itself to which a value is known, such as by a search; else 0.
    pub(super) precision: f64,
}

impl Figure {
    /// `None` without a value; a value that is no number is left out.
    pub(super) fn of(
        (table, figure, of): (&str, &str, &str),
        (unit, better): (&str, Better),
        values: impl IntoIterator<Item = f64>,
    ) -> Option<Figure> {
        let values: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        Some(Figure {
            table: table.to_owned(),
            figure: figure.to_owned(),
            of: of.to_owned(),
            unit: unit.to_owned(),
            better,
            decides: false,
            spread: Spread::of(values.iter().copied())?,
            runs: values.len(),
            values,
            precision: 0.0,
        })
    }

    /// Of several latencies, one figure each.
    pub(super) fn of_latencies(table: &str, of: &str, runs: &[Latencies]) -> Vec<Figure> {
        let named = LATENCY_NAMES.into_iter().enumerate();
        let figures = named.filter_map(|(place, name)| {
            let values = runs.iter().map(|latencies| latencies.all()[place]);
            Figure::of((table, name, of), ("µs", Better::Lower), values)
        });
        figures.collect()
    }

    /// The same, of another result.
    pub(super) fn is_same(&self, other: &Figure) -> bool {
        self.figure == other.figure && self.of == other.of && self.table == other.table
    }

    /// In words.
    pub(super) fn name(&self) -> String {
        format!("{}: {} {}", self.table, self.figure, self.of).trim_end().to_owned()
    }

    pub(super) fn deciding(self) -> Figure {
        Figure { decides: true, ..self }
    }

    pub(super) fn of_runs(self, runs: usize) -> Figure {
        Figure { runs, ..self }
    }
}

/// What a bench tells of itself besides figures.
pub(super) struct ResultHead<'a> {
    pub(super) bench: &'a str,
    pub(super) machine: &'a Machine,
    pub(super) configuration: Vec<(&'a str, String)>,
    pub(super) interrupted: bool,
    pub(super) caveats: Vec<String>,
    pub(super) not_measured: Vec<String>,
    /// As `--json` prints it.
    pub(super) document: String,
}

impl BenchResult {
    pub(super) fn new(head: ResultHead<'_>, figures: Vec<Figure>, charts: Charts) -> BenchResult {
        let ResultHead { bench, machine, configuration, interrupted, .. } = head;
        let now = DateTime::from_timestamp_millis(SystemClock.wall_ms()).unwrap_or_default();
        let configuration = configuration.into_iter().map(|(name, value)| (name.to_owned(), value));
        BenchResult {
            schema: RESULT_SCHEMA,
            bench: bench.to_owned(),
            ended: now.to_rfc3339_opts(SecondsFormat::Secs, true),
            machine: machine.clone(),
            configuration: configuration.collect(),
            interrupted,
            caveats: head.caveats,
            not_measured: head.not_measured,
            figures,
            curves: charts.curves,
            timelines: charts.timelines,
            document: serde_json::from_str(&head.document).expect("a bench's own document is one"),
        }
    }

    /// Writes `result.json` and `report.html` into a folder, which is made if it is not there.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write(&self, directory: &Path) -> Result<(), BenchError> {
        let text = serde_json::to_string_pretty(self).expect("plain data can be written as JSON");
        write(directory, RESULT_FILE, &(text + "\n"))?;
        write(directory, REPORT_FILE, &page::page(&[(&self.bench, self)]))
    }
}

/// Writes `report.html` of several results beside each other into a folder.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write_report(
    directory: &Path,
    results: &[(&str, &BenchResult)],
) -> Result<(), BenchError> {
    write(directory, REPORT_FILE, &page::page(results))
}

/// Writes a file into a folder, which is made if it is not there.
///
/// # Errors
/// When it cannot be written.
pub(super) fn write(directory: &Path, name: &str, text: &str) -> Result<(), BenchError> {
    let failed = |what: &str, path: &Path, error: &io::Error| {
        BenchError::io(&format!("{what} {}", path.display()), error)
    };
    fs::create_dir_all(directory).map_err(|error| failed("creating", directory, &error))?;
    let path = directory.join(name);
    fs::write(&path, text).map_err(|error| failed("writing", &path, &error))
}

#[cfg(test)]
mod tests;
