//! `/metrics`: how a running job stands, as Prometheus's text format.
//!
//! Names carry base units (seconds, bytes); counters end in `_total`. One value per core, so that a
//! sum is the reader's to make, and a core that stands out is seen.
//!
//! Read: `families` (which there are).

mod families;

use std::fmt::Write;
use std::rc::Rc;

use super::live::{RunIdentity, seconds};
use super::names::{self, Names};
use crate::metrics::{LatencyCounts, LatencyParts};
use crate::reactor::{Clock, SystemClock, process_descriptors, process_usage};
use crate::worker::CoreReport;
use families::{
    CHECKPOINTS, CORES, EXCHANGES, Family, Kind, LATENCIES, LATENCY_BOUNDS, OPERATORS, OfTable,
    OperatorSample, SINKS, SOURCES, in_seconds,
};

/// What the body is, for the peer.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of a job whose cores have reported `newest`.
pub(super) fn text(
    identity: &RunIdentity,
    names: &Names,
    newest: &[Option<Rc<CoreReport>>],
    latencies: &[&LatencyParts],
) -> String {
    let mut page = Page { text: String::new(), names, newest };
    page.process(identity);
    page.cores();
    page.checkpoints();
    page.per_table("source", &names.sources, SOURCES);
    page.rejections();
    page.operators();
    page.exchanges();
    page.blocked();
    page.per_table("sink", &names.sinks, SINKS);
    page.latencies(latencies);
    page.text
}

struct Page<'a> {
    text: String,
    names: &'a Names,
    newest: &'a [Option<Rc<CoreReport>>],
}

impl<'a> Page<'a> {
    /// A family's head; its samples follow.
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n").expect(MEMORY);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.text.push_str(name);
        for (index, (label, text)) in labels.iter().enumerate() {
            let before = if index == 0 { '{' } else { ',' };
            write!(self.text, "{before}{label}=\"{}\"", escaped(text)).expect(MEMORY);
        }
        let close = if labels.is_empty() { "" } else { "}" };
        writeln!(self.text, "{close} {value}").expect(MEMORY);
    }

    fn reports(&self) -> impl Iterator<Item = (String, &'a CoreReport)> + use<'a> {
        self.newest.iter().flatten().map(|report| (report.core.to_string(), &**report))
    }

    fn process(&mut self, identity: &RunIdentity) {
        let usage = process_usage();
        let uptime_ns = SystemClock.monotonic_ns().saturating_sub(identity.began_ns);
        self.family("pelton_info", Kind::Gauge, "Always 1; what runs.");
        let labels = [("job", identity.job.as_str()), ("version", env!("CARGO_PKG_VERSION"))];
        self.sample("pelton_info", &labels, 1);
        self.family("pelton_uptime_seconds", Kind::Gauge, "Time since the job was started.");
        self.sample("pelton_uptime_seconds", &[], seconds(uptime_ns));
        self.family("pelton_cpu_seconds_total", Kind::Counter, "CPU time of all threads.");
        self.sample("pelton_cpu_seconds_total", &[], usage.cpu.as_secs_f64());
        self.family("pelton_memory_bytes", Kind::Gauge, "Resident memory.");
        self.sample("pelton_memory_bytes", &[], usage.memory_bytes);
        self.family("pelton_memory_peak_bytes", Kind::Gauge, "Highest resident memory so far.");
        self.sample("pelton_memory_peak_bytes", &[], usage.memory_peak_bytes);
        let descriptors = process_descriptors();
        self.family("pelton_descriptors_open", Kind::Gauge, "Open file descriptors.");
        self.sample("pelton_descriptors_open", &[], descriptors.open);
        self.family("pelton_descriptors_max", Kind::Gauge, "As many may be open.");
        self.sample("pelton_descriptors_max", &[], descriptors.max);
    }

    fn cores(&mut self) {
        for family in CORES {
            self.family(family.name, family.kind, family.help);
            for (core, report) in self.reports() {
                self.sample(family.name, &[("core", &core)], (family.value)(&report.activity));
            }
        }
    }

    fn checkpoints(&mut self) {
        if self.reports().all(|(_, report)| report.checkpoint.is_none()) {
            return;
        }
        for family in CHECKPOINTS {
            self.family(family.name, family.kind, family.help);
            for (core, report) in self.reports() {
                if let Some(value) = report.checkpoint.as_ref().and_then(family.value) {
                    self.sample(family.name, &[("core", &core)], value);
                }
            }
        }
    }

    /// Families with one sample per source, or per sink, and core.
    fn per_table(&mut self, label: &str, tables: &[String], families: &[Family<OfTable>]) {
        for family in families {
            self.family(family.name, family.kind, family.help);
            for (index, table) in tables.iter().enumerate() {
                for (core, report) in self.reports() {
                    if let Some(value) = (family.value)(report, index) {
                        self.sample(family.name, &[(label, table), ("core", &core)], value);
                    }
                }
            }
        }
    }

    fn rejections(&mut self) {
        let name = "pelton_rejected_records_total";
        self.family(name, Kind::Counter, "Records and rows left out as faulty, by reason.");
        let names = self.names;
        let sources = names.sources.iter().map(String::as_str).chain(["(several)"]);
        for (index, source) in sources.enumerate() {
            for (core, report) in self.reports() {
                let rejections = report.rejections.get(index).copied().unwrap_or_default();
                for (kind, count) in rejections.each() {
                    let labels = [("source", source), ("core", &*core), ("reason", kind.name())];
                    self.sample(name, &labels, count);
                }
            }
        }
    }

    fn operators(&mut self) {
        let samples: Vec<_> =
            self.reports().map(|(core, report)| (core, operator_samples(report))).collect();
        for family in OPERATORS {
            self.family(family.name, family.kind, family.help);
            for (core, operators) in &samples {
                for operator in operators {
                    let Some(value) = (family.value)(operator) else { continue };
                    let id = names::operator_id(operator.spec);
                    let words = self.names.operator(operator.spec);
                    let labels = [("id", &*id), ("operator", &*words), ("core", core)];
                    self.sample(family.name, &labels, value);
                }
            }
        }
    }

    fn exchanges(&mut self) {
        for family in EXCHANGES {
            self.family(family.name, family.kind, family.help);
            for (core, report) in self.reports() {
                for (writer, outbox) in report.outboxes.iter().enumerate() {
                    let (exchange, writer) = ((outbox.edge.0 + 1).to_string(), writer.to_string());
                    let labels = [("exchange", &*exchange), ("writer", &writer), ("core", &core)];
                    self.sample(family.name, &labels, (family.value)(outbox));
                }
            }
        }
    }

    /// From arrival to release, its parts, and what was before it.
    fn latencies(&mut self, latencies: &[&LatencyParts]) {
        for (name, help, parts) in LATENCIES {
            self.family(name, Kind::Histogram, help);
            for (sink, counts) in self.names.sinks.iter().zip(latencies) {
                for part in *parts {
                    let labels = [("sink", &**sink), ("part", part.name())];
                    // A family of one part needs no name for it.
                    let labels = &labels[..parts.len().min(2)];
                    self.histogram(name, labels, counts.of(*part));
                }
            }
        }
    }

    fn histogram(&mut self, name: &str, labels: &[(&str, &str)], counts: &LatencyCounts) {
        let bucket = format!("{name}_bucket");
        for (bound, bound_ns) in LATENCY_BOUNDS {
            let labels = [labels, &[("le", bound)]].concat();
            self.sample(&bucket, &labels, counts.count_up_to(bound_ns));
        }
        self.sample(&bucket, &[labels, &[("le", "+Inf")]].concat(), counts.count());
        self.sample(&format!("{name}_sum"), labels, in_seconds(counts.sum_ns()));
        self.sample(&format!("{name}_count"), labels, counts.count());
    }

    fn blocked(&mut self) {
        let name = "pelton_blocked_seconds_total";
        self.family(name, Kind::Counter, "Time that a stage had to wait for room, and where.");
        for (core, report) in self.reports() {
            for blocked in &report.blocked {
                let by = self.names.blocked_by(blocked.by);
                let stage = self.names.stages[blocked.stage].clone();
                let number = blocked.stage.to_string();
                let labels =
                    [("stage", &*stage), ("number", &number), ("by", &by), ("core", &core)];
                self.sample(name, &labels, seconds(blocked.blocked_ns));
            }
        }
    }
}

/// Writing to memory.
const MEMORY: &str = "writing to memory cannot fail";

/// Operators of one core, each once: one behind a union stands in several stages.
fn operator_samples(report: &CoreReport) -> Vec<OperatorSample> {
    let mut samples: Vec<OperatorSample> = Vec::new();
    for status in &report.operators {
        let (spec, watermark) = (status.spec, status.watermark);
        match samples.iter_mut().find(|sample| sample.spec == spec) {
            Some(sample) => {
                sample.counters += status.counters;
                sample.activity += status.activity;
                sample.watermark = sample.watermark.or(watermark);
            }
            None => {
                let (counters, activity) = (status.counters, status.activity);
                samples.push(OperatorSample { spec, counters, activity, watermark });
            }
        }
    }
    samples
}

/// A label's value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped("filter s = 'a\"b\\c'\n"), "filter s = 'a\\\"b\\\\c'\\n");
    }
}
