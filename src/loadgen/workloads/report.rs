//! What the workload benches print: a table for people, or a document for programs.
//!
//! Read: `result` (the same for a folder of results).

mod result;

use serde::Serialize;

use super::super::bounded::BoundedRun;
use super::super::machine::Machine;
use super::super::spread::{Spread, judged};
use super::super::table::{Table, figure, mebibytes};
use super::super::trace::RunTrace;
use super::{RowSource, WorkloadOptions};

/// Version of the document's form.
const REPORT_SCHEMA: u32 = 1;

/// Everything that was measured.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub struct WorkloadReport {
    schema: u32,
    bench: &'static str,
    machine: Machine,
    rows: u64,
    source: &'static str,
    cores: usize,
    interrupted: bool,
    queries: Vec<QueryFigures>,
}

/// One query.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub(super) struct QueryFigures {
    query: &'static str,
    /// Why it was not run; null when it was.
    not_supported: Option<String>,
    runs: Vec<QueryRun>,
    summary: Option<Summary>,
}

/// A run, and the floor just before it.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub(super) struct QueryRun {
    pub(super) job: BoundedRun,
    /// Records per second and core of the generator alone, or bytes per second of a bare read.
    pub(super) floor: Option<f64>,
    #[serde(skip)]
    pub(super) trace: RunTrace,
}

impl QueryRun {
    /// The part of what the floor does that the job does.
    fn ratio(&self, cores: usize) -> Option<f64> {
        let floor = self.floor?;
        if self.job.bytes_in > 0 {
            return Some(self.job.bytes_per_second() / floor);
        }
        Some(self.job.records_per_second() / (floor * cores as f64))
    }
}

/// What came of a query.
pub(super) enum QueryOutcome {
    NotSupported(String),
    Measured(Vec<QueryRun>),
}

/// Over the runs that are judged.
#[derive(Clone, Copy, PartialEq, Serialize, Debug)]
struct Summary {
    records_per_second: Spread,
    bytes_per_second: Spread,
    cpu_seconds_per_million: Spread,
    memory_peak_bytes: u64,
    rows_out: u64,
    late_rows: u64,
    /// The part of what the floor does that the job does; of generators on as many cores.
    ratio: Option<Spread>,
    runs_judged: usize,
}

impl QueryFigures {
    pub(super) fn new(query: &'static str, outcome: QueryOutcome) -> QueryFigures {
        match outcome {
            QueryOutcome::NotSupported(reason) => {
                QueryFigures { query, not_supported: Some(reason), runs: Vec::new(), summary: None }
            }
            QueryOutcome::Measured(runs) => {
                QueryFigures { query, not_supported: None, runs, summary: None }
            }
        }
    }

    /// The runs that count.
    fn judged(&self) -> Vec<&QueryRun> {
        // The time a floor takes is the inverse of its rate: longer means that the machine stalled.
        let times: Option<Vec<f64>> =
            self.runs.iter().map(|run| run.floor.map(f64::recip)).collect();
        let judged = times.map_or(vec![true; self.runs.len()], |times| judged(&times));
        self.runs.iter().zip(&judged).filter(|(_, kept)| **kept).map(|(run, _)| run).collect()
    }

    fn summarize(&mut self, cores: usize) {
        let kept = self.judged();
        let spread =
            |value: fn(&BoundedRun) -> f64| Spread::of(kept.iter().map(|it| value(&it.job)));
        let most = |value: fn(&BoundedRun) -> u64| kept.iter().map(|it| value(&it.job)).max();
        let summary = (|| {
            Some(Summary {
                records_per_second: spread(BoundedRun::records_per_second)?,
                bytes_per_second: spread(BoundedRun::bytes_per_second)?,
                cpu_seconds_per_million: spread(BoundedRun::cpu_seconds_per_million)?,
                memory_peak_bytes: most(|run| run.memory_peak_bytes)?,
                rows_out: most(|run| run.rows_out)?,
                late_rows: most(|run| run.late_rows)?,
                ratio: Spread::of(kept.iter().filter_map(|run| run.ratio(cores))),
                runs_judged: kept.len(),
            })
        })();
        self.summary = summary;
    }

    fn row(&self, cores: usize) -> Vec<String> {
        let Some(summary) = &self.summary else {
            return vec![self.query.to_owned(), "not measured".to_owned()];
        };
        let Spread { median, min, max } = summary.records_per_second;
        let mega = |value: f64| figure(value / 1e6);
        vec![
            self.query.to_owned(),
            mega(median),
            format!("{} to {}", mega(min), mega(max)),
            mega(median / cores as f64),
            mega(summary.bytes_per_second.median),
            figure(summary.cpu_seconds_per_million.median),
            mebibytes(summary.memory_peak_bytes),
            summary.ratio.map_or("-".to_owned(), |ratio| figure(ratio.median)),
            summary.rows_out.to_string(),
            summary.late_rows.to_string(),
            format!("{} of {}", summary.runs_judged, self.runs.len()),
        ]
    }
}

impl WorkloadReport {
    pub(super) fn new(
        options: &WorkloadOptions,
        mut queries: Vec<QueryFigures>,
        interrupted: bool,
    ) -> WorkloadReport {
        let cores = options.cpus.len();
        queries.iter_mut().for_each(|query| query.summarize(cores));
        WorkloadReport {
            schema: REPORT_SCHEMA,
            bench: options.suite.name(),
            machine: Machine::look(),
            rows: options.rows,
            source: match options.source {
                RowSource::InProcess => "inprocess",
                RowSource::Json => "json",
            },
            cores,
            interrupted,
            queries,
        }
    }

    /// As a document, with a line end.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("plain data can be written as JSON");
        text + "\n"
    }

    /// As a table, and a list of what is not supported.
    pub fn to_text(&self) -> String {
        let mut text = format!(
            "{}\n{}: {} rows a run, source {}, cores {}\n\n",
            self.machine.show(),
            self.bench,
            self.rows,
            self.source,
            self.cores
        );
        let heading = [
            "query",
            "M rows/s",
            "least to most",
            "per core",
            "MB/s",
            "CPU s/M",
            "MiB",
            "of floor",
            "rows out",
            "late",
            "judged",
        ];
        let mut table = Table::new(&heading);
        let (measured, refused): (Vec<_>, Vec<_>) =
            self.queries.iter().partition(|query| query.not_supported.is_none());
        measured.iter().for_each(|query| table.add(query.row(self.cores)));
        text += &table.render();
        for query in refused {
            let reason = query.not_supported.as_deref().unwrap_or_default();
            text += &format!("{}: not supported yet: {reason}\n", query.query);
        }
        if self.interrupted {
            text += "interrupted: this is what was measured until then\n";
        }
        text
    }
}
