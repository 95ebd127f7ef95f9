//! `run --report FILE`: what happened, as one JSON document.
//!
//! Field names carry their units. `schema` counts up when a field changes its meaning.

use serde::Serialize;
use std::collections::BTreeMap;

use super::log::{TARGET, Topic};
use super::names::label;
use super::prepare::Prepared;
use super::totals::Totals;
use crate::config::Job;
use crate::metrics::{
    LatencyCounts, LatencyHistogram, LatencyPart, LatencyParts, OperatorCounters, SinkCounters,
    SourceCounters,
};
use crate::reactor::process_usage;

/// Version of the document's form.
const REPORT_SCHEMA: u32 = 1;

/// One run.
#[derive(Serialize, Debug)]
pub(super) struct Report {
    schema: u32,
    job: String,
    version: &'static str,
    run: u32,
    /// `finished` (bounded input ended), `stopped`, `drained`, `failed`.
    outcome: &'static str,
    /// What ended a run that failed.
    error: Option<String>,
    cores: u16,
    wall_seconds: f64,
    /// User and system time of all threads of the process, from its start.
    cpu_seconds: f64,
    /// Highest resident memory of the process, bytes.
    memory_peak_bytes: u64,
    sources: BTreeMap<String, SourceReport>,
    sinks: BTreeMap<String, SinkReport>,
    operators: Vec<OperatorReport>,
    late_rows: u64,
    rejected_records: u64,
    /// Rows in windows that had not fired when the run ended.
    held_rows: u64,
    /// The first late and rejected records of each core, with place and reason.
    examples: Vec<String>,
    /// From one turn of a core to its next while it had work.
    turn_us: LatencyReport,
    /// Of a run that did not fail.
    ledger: Option<LedgerReport>,
}

#[derive(Serialize, Debug)]
struct SourceReport {
    bytes_in: u64,
    records_in: u64,
    rows_out: u64,
    rejected: u64,
    splits_opened: u64,
    splits_lost: u64,
    connections_refused: u64,
    connections_failed: u64,
    frames_in: u64,
    bytes_copied: u64,
    buffer_waits: u64,
    columns_unknown: u64,
}

#[derive(Serialize, Debug)]
struct SinkReport {
    rows_in: u64,
    rows_out: u64,
    rows_discarded: u64,
    rows_kept: u64,
    bytes_out: u64,
    /// From the arrival of a row's batch to its release.
    latency_us: LatencyReport,
    /// What that was made of, and what was before it.
    latency_parts_us: LatencyPartsReport,
}

#[derive(Serialize, Debug)]
struct LatencyPartsReport {
    queue: LatencyReport,
    compute: LatencyReport,
    release_wait: LatencyReport,
    watermark_wait: LatencyReport,
    oldest_age: LatencyReport,
}

#[derive(Serialize, Debug)]
struct LatencyReport {
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    p99_99: f64,
    max: f64,
}

#[derive(Serialize, Debug)]
struct OperatorReport {
    operator: String,
    rows_in: u64,
    forwarded: u64,
    filtered: u64,
    late: u64,
    rejected: u64,
    absorbed: u64,
    fired: u64,
    restored: u64,
    held: u64,
    rows_out: u64,
}

#[derive(Serialize, Debug)]
struct LedgerReport {
    balanced: bool,
    violations: Vec<String>,
}

/// What the process knows of its run besides the totals.
pub(super) struct RunFacts<'a> {
    pub(super) job: &'a Job,
    pub(super) prepared: &'a Prepared,
    pub(super) run: u32,
    pub(super) outcome: &'static str,
    pub(super) error: Option<String>,
    pub(super) cores: u16,
    pub(super) wall_seconds: f64,
    /// By sink.
    pub(super) latencies: Vec<&'a LatencyParts>,
    /// `None` when the ledger was not checked.
    pub(super) violations: Option<Vec<String>>,
}

impl Report {
    pub(super) fn new(facts: RunFacts<'_>, totals: &Totals) -> Report {
        let RunFacts { job, prepared, .. } = facts;
        let usage = process_usage();
        let sources = prepared.sources.iter().zip(&totals.sources);
        let sinks = prepared.sinks.iter().zip(&totals.sinks).zip(&totals.latencies);
        let sinks = sinks.zip(facts.latencies);
        Report {
            schema: REPORT_SCHEMA,
            job: job.name.clone(),
            version: env!("CARGO_PKG_VERSION"),
            run: facts.run,
            outcome: facts.outcome,
            cores: facts.cores,
            wall_seconds: facts.wall_seconds,
            cpu_seconds: usage.cpu.as_secs_f64(),
            memory_peak_bytes: usage.memory_peak_bytes,
            sources: sources
                .map(|(it, counters)| (it.planned.name.clone(), counters.into()))
                .collect(),
            sinks: sinks
                .map(|(((it, counters), latency), parts)| {
                    (it.planned.name.clone(), SinkReport::new(counters, latency, parts))
                })
                .collect(),
            operators: totals
                .operators
                .iter()
                .map(|(spec, counters)| {
                    OperatorReport::new(label(&prepared.graph.graph, *spec), counters)
                })
                .collect(),
            late_rows: totals.late(),
            rejected_records: totals.rejected(),
            held_rows: totals.held(),
            examples: totals.examples.clone(),
            turn_us: (&totals.turns).into(),
            error: facts.error,
            ledger: facts
                .violations
                .map(|violations| LedgerReport { balanced: violations.is_empty(), violations }),
        }
    }

    /// The run in one line.
    fn summary(&self) -> String {
        let records_in: u64 = self.sources.values().map(|source| source.records_in).sum();
        let rows_out: u64 = self.sinks.values().map(|sink| sink.rows_out).sum();
        let held = match self.held_rows {
            0 => String::new(),
            held => format!(", {held} held in open windows"),
        };
        format!(
            "{} {}: {records_in} records in, {rows_out} rows out, {} late, {} rejected{held}; \
             {:.1} s, {:.1} CPU s",
            self.job,
            self.outcome,
            self.late_rows,
            self.rejected_records,
            self.wall_seconds,
            self.cpu_seconds
        )
    }

    /// Says it.
    pub(super) fn tell_summary(&self) {
        let records_in: u64 = self.sources.values().map(|source| source.records_in).sum();
        let rows_out: u64 = self.sinks.values().map(|sink| sink.rows_out).sum();
        tracing::info!(
            target: TARGET,
            topic = Topic::Summary.name(),
            outcome = self.outcome,
            records_in,
            rows_out,
            late_rows = self.late_rows,
            rejected_records = self.rejected_records,
            held_rows = self.held_rows,
            wall_seconds = self.wall_seconds,
            cpu_seconds = self.cpu_seconds,
            "{}",
            self.summary()
        );
    }

    /// Sums of the ledger that do not agree.
    pub(super) fn violations(&self) -> &[String] {
        self.ledger.as_ref().map_or(&[], |ledger| &ledger.violations)
    }

    /// The document, indented, with a line end.
    pub(super) fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("plain data can be written as JSON");
        text + "\n"
    }
}

impl From<&LatencyHistogram> for LatencyReport {
    fn from(histogram: &LatencyHistogram) -> LatencyReport {
        LatencyReport {
            p50: micros(histogram.quantile_ns(0.5)),
            p90: micros(histogram.quantile_ns(0.9)),
            p99: micros(histogram.quantile_ns(0.99)),
            p99_9: micros(histogram.quantile_ns(0.999)),
            p99_99: micros(histogram.quantile_ns(0.9999)),
            max: micros(histogram.max_ns()),
        }
    }
}

impl From<&LatencyCounts> for LatencyReport {
    fn from(counts: &LatencyCounts) -> LatencyReport {
        LatencyReport {
            p50: micros(counts.quantile_ns(0.5)),
            p90: micros(counts.quantile_ns(0.9)),
            p99: micros(counts.quantile_ns(0.99)),
            p99_9: micros(counts.quantile_ns(0.999)),
            p99_99: micros(counts.quantile_ns(0.9999)),
            max: micros(counts.quantile_ns(1.0)),
        }
    }
}

impl From<&SourceCounters> for SourceReport {
    fn from(counters: &SourceCounters) -> SourceReport {
        let SourceCounters {
            bytes_in,
            records_in,
            rows_out,
            rejected,
            splits_opened,
            splits_lost,
            connections_refused,
            connections_failed,
            frames_in,
            bytes_copied,
            buffer_waits,
            columns_unknown,
        } = *counters;
        SourceReport {
            bytes_in,
            records_in,
            rows_out,
            rejected,
            splits_opened,
            splits_lost,
            connections_refused,
            connections_failed,
            frames_in,
            bytes_copied,
            buffer_waits,
            columns_unknown,
        }
    }
}

impl SinkReport {
    fn new(
        counters: &SinkCounters,
        latency: &LatencyHistogram,
        parts: &LatencyParts,
    ) -> SinkReport {
        let SinkCounters { rows_in, rows_out, rows_discarded, rows_kept, bytes_out } = *counters;
        let part = |part| LatencyReport::from(parts.of(part));
        SinkReport {
            rows_in,
            rows_out,
            rows_discarded,
            rows_kept,
            bytes_out,
            latency_us: latency.into(),
            latency_parts_us: LatencyPartsReport {
                queue: part(LatencyPart::Queue),
                compute: part(LatencyPart::Compute),
                release_wait: part(LatencyPart::ReleaseWait),
                watermark_wait: part(LatencyPart::WatermarkWait),
                oldest_age: part(LatencyPart::OldestAge),
            },
        }
    }
}

impl OperatorReport {
    fn new(operator: String, counters: &OperatorCounters) -> OperatorReport {
        let OperatorCounters {
            rows_in,
            forwarded,
            filtered,
            late,
            rejected,
            absorbed,
            fired,
            restored,
            held,
            rows_out,
        } = *counters;
        OperatorReport {
            operator,
            rows_in,
            forwarded,
            filtered,
            late,
            rejected,
            absorbed,
            fired,
            restored,
            held,
            rows_out,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn micros(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    /// Names of the fields, as the documentation writes them.
    fn fields(value: &Value, before: &str, found: &mut Vec<String>) {
        match value {
            Value::Object(parts) => {
                for (name, part) in parts {
                    fields(part, name, found);
                }
            }
            Value::Array(parts) => parts.iter().for_each(|part| fields(part, before, found)),
            _ => {}
        }
        if !value.is_object()
            && value.as_array().is_none_or(|parts| !parts.iter().any(Value::is_object))
        {
            found.push(before.to_owned());
        }
    }

    #[test]
    fn the_documentation_lists_every_field() {
        let report = Report {
            schema: REPORT_SCHEMA,
            job: String::new(),
            version: "",
            run: 0,
            outcome: "",
            cores: 0,
            wall_seconds: 0.0,
            cpu_seconds: 0.0,
            memory_peak_bytes: 0,
            sources: BTreeMap::from([(String::new(), (&SourceCounters::default()).into())]),
            sinks: BTreeMap::from([(
                String::new(),
                SinkReport::new(
                    &SinkCounters::default(),
                    &LatencyHistogram::default(),
                    &LatencyParts::default(),
                ),
            )]),
            operators: vec![OperatorReport::new(String::new(), &OperatorCounters::default())],
            late_rows: 0,
            rejected_records: 0,
            held_rows: 0,
            examples: Vec::new(),
            turn_us: (&LatencyHistogram::default()).into(),
            error: None,
            ledger: Some(LedgerReport { balanced: true, violations: Vec::new() }),
        };
        let mut found = Vec::new();
        fields(&serde_json::to_value(&report).unwrap(), "", &mut found);
        let documentation = include_str!("../../config/README.md");
        let table = documentation.split("## The report").nth(1).expect("a chapter");
        for field in found {
            let listed = [format!("`{field}`"), format!(".{field}`")];
            assert!(listed.iter().any(|name| table.contains(name)), "{field}");
        }
    }
}
