//! `/metrics`: how a running job stands, as Prometheus's text format.
//!
//! Names carry base units (seconds, bytes); counters end in `_total`. One value per core, so that a
//! sum is the reader's to make, and a core that stands out is seen.

use std::fmt::Write;
use std::rc::Rc;

use super::live::{RunIdentity, seconds};
use super::names::{self, Names};
use crate::dataflow::OperatorSpec;
use crate::metrics::{CoreActivity, OperatorActivity, OperatorCounters};
use crate::reactor::{Clock, SystemClock, process_usage};
use crate::record::{Timestamp, Watermark};
use crate::worker::{CoreReport, OutboxStatus};

/// What the body is, for the peer.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics of a job whose cores have reported `newest`.
pub(super) fn text(
    identity: &RunIdentity,
    names: &Names,
    newest: &[Option<Rc<CoreReport>>],
) -> String {
    let mut page = Page { text: String::new(), names, newest };
    page.process(identity);
    page.cores();
    page.per_table("source", &names.sources, SOURCES);
    page.rejections();
    page.operators();
    page.exchanges();
    page.blocked();
    page.per_table("sink", &names.sinks, SINKS);
    page.text
}

struct Page<'a> {
    text: String,
    names: &'a Names,
    newest: &'a [Option<Rc<CoreReport>>],
}

#[derive(Clone, Copy)]
enum Kind {
    Counter,
    Gauge,
}

/// Samples of one name.
struct Family<T> {
    name: &'static str,
    kind: Kind,
    help: &'static str,
    value: T,
}

const fn counter<T: Copy>(name: &'static str, help: &'static str, value: T) -> Family<T> {
    Family { name, kind: Kind::Counter, help, value }
}

const fn gauge<T: Copy>(name: &'static str, help: &'static str, value: T) -> Family<T> {
    Family { name, kind: Kind::Gauge, help, value }
}

type OfCore = fn(&CoreActivity) -> String;
/// Of a report, what it says of the source or sink with this index.
type OfTable = fn(&CoreReport, usize) -> Option<String>;
type OfOperator = fn(&OperatorSample) -> Option<String>;
type OfOutbox = fn(&OutboxStatus) -> String;

const CORES: &[Family<OfCore>] = &[
    counter("pelton_core_busy_seconds_total", "Time in turns with work.", |it| {
        in_seconds(it.busy_ns)
    }),
    counter("pelton_core_parked_seconds_total", "Time asleep.", |it| in_seconds(it.parked_ns)),
    counter("pelton_core_turns_total", "Turns with work.", |it| it.turns.to_string()),
];

const SOURCES: &[Family<OfTable>] = &[
    counter(
        "pelton_source_records_in_total",
        "Records found in what was received, decodable or not.",
        |report, source| Some(report.sources.get(source)?.records_in.to_string()),
    ),
    counter("pelton_source_bytes_in_total", "Bytes received or read.", |report, source| {
        Some(report.sources.get(source)?.bytes_in.to_string())
    }),
    counter("pelton_source_rows_out_total", "Rows handed on.", |report, source| {
        Some(report.sources.get(source)?.rows_out.to_string())
    }),
    counter(
        "pelton_source_splits_opened_total",
        "Connections or files ever opened.",
        |report, source| Some(report.sources.get(source)?.splits_opened.to_string()),
    ),
    counter(
        "pelton_source_connections_refused_total",
        "Connections refused or cut by a limit.",
        |report, source| Some(report.sources.get(source)?.connections_refused.to_string()),
    ),
    gauge("pelton_source_splits_open", "Connections or files that are open.", |report, source| {
        Some(report.source_statuses.get(source)?.open_splits.to_string())
    }),
    counter("pelton_source_busy_seconds_total", "Time reading and decoding.", |report, source| {
        Some(in_seconds(report.source_statuses.get(source)?.busy_ns))
    }),
    gauge(
        "pelton_source_watermark_seconds",
        "Event time up to which nothing more is expected; absent while idle.",
        |report, source| event_seconds(report.source_statuses.get(source)?.watermark),
    ),
    gauge(
        "pelton_source_watermark_held_seconds",
        "How long the split that holds the watermark back has stood there.",
        |report, source| {
            let held = report.source_statuses.get(source)?.holding_back.as_ref()?;
            Some(in_seconds(SystemClock.monotonic_ns().saturating_sub(held.since_ns)))
        },
    ),
];

const OPERATORS: &[Family<OfOperator>] = &[
    counter("pelton_operator_rows_in_total", "Rows given to the operator.", |it| {
        Some(it.counters.rows_in.to_string())
    }),
    counter("pelton_operator_rows_out_total", "Rows it pushed.", |it| {
        Some(it.counters.rows_out.to_string())
    }),
    counter("pelton_operator_rows_forwarded_total", "Rows that went on, one for one.", |it| {
        Some(it.counters.forwarded.to_string())
    }),
    counter(
        "pelton_operator_rows_filtered_total",
        "Rows for which a condition was not true.",
        |it| Some(it.counters.filtered.to_string()),
    ),
    counter("pelton_operator_rows_late_total", "Rows behind the watermark.", |it| {
        Some(it.counters.late.to_string())
    }),
    counter("pelton_operator_rows_rejected_total", "Rows that could not be evaluated.", |it| {
        Some(it.counters.rejected.to_string())
    }),
    counter("pelton_operator_rows_absorbed_total", "Rows that went into state.", |it| {
        Some(it.counters.absorbed.to_string())
    }),
    counter("pelton_operator_rows_fired_total", "Absorbed rows whose windows have fired.", |it| {
        Some(it.counters.fired.to_string())
    }),
    gauge("pelton_operator_rows_held", "Absorbed rows still in state.", |it| {
        Some(it.counters.held.to_string())
    }),
    counter("pelton_operator_batches_in_total", "Batches given to the operator.", |it| {
        Some(it.activity.batches_in.to_string())
    }),
    counter("pelton_operator_batches_out_total", "Batches it pushed.", |it| {
        Some(it.activity.batches_out.to_string())
    }),
    counter(
        "pelton_operator_busy_seconds_total",
        "Time in the operator, without what it fed.",
        |it| Some(in_seconds(it.activity.busy_ns)),
    ),
    gauge("pelton_operator_state_entries", "Keys held, over all panes.", |it| {
        Some(it.activity.state.entries.to_string())
    }),
    gauge("pelton_operator_state_bytes", "Memory of what is held.", |it| {
        Some(it.activity.state.bytes.to_string())
    }),
    gauge(
        "pelton_operator_watermark_seconds",
        "Last watermark given to the operator; absent while idle.",
        |it| event_seconds(it.watermark),
    ),
];

const EXCHANGES: &[Family<OfOutbox>] = &[
    counter("pelton_exchange_rows_total", "Rows given to the exchange.", |it| it.rows.to_string()),
    counter("pelton_exchange_busy_seconds_total", "Time cutting batches by key.", |it| {
        in_seconds(it.busy_ns)
    }),
    gauge(
        "pelton_exchange_queued_elements",
        "Batches and watermarks that wait, over all cores.",
        |it| it.queued.to_string(),
    ),
    gauge("pelton_exchange_queued_elements_max", "As many would fill it.", |it| {
        it.queued_max.to_string()
    }),
];

const SINKS: &[Family<OfTable>] = &[
    counter("pelton_sink_rows_in_total", "Rows given to the sink.", |report, sink| {
        Some(report.sinks.get(sink)?.rows_in.to_string())
    }),
    counter(
        "pelton_sink_rows_out_total",
        "Rows handed to the operating system.",
        |report, sink| Some(report.sinks.get(sink)?.rows_out.to_string()),
    ),
    counter(
        "pelton_sink_rows_discarded_total",
        "Rows nobody was there to take, or a slow subscriber missed.",
        |report, sink| Some(report.sinks.get(sink)?.rows_discarded.to_string()),
    ),
    counter(
        "pelton_sink_bytes_out_total",
        "Bytes handed to the operating system.",
        |report, sink| Some(report.sinks.get(sink)?.bytes_out.to_string()),
    ),
    counter("pelton_sink_busy_seconds_total", "Time encoding and writing.", |report, sink| {
        Some(in_seconds(report.sink_statuses.get(sink)?.busy_ns))
    }),
    gauge("pelton_sink_full", "1 while the sink takes nothing.", |report, sink| {
        Some(u8::from(report.sink_statuses.get(sink)?.is_full).to_string())
    }),
];

/// One operator on one core.
struct OperatorSample {
    spec: OperatorSpec,
    counters: OperatorCounters,
    activity: OperatorActivity,
    watermark: Option<Watermark>,
}

impl<'a> Page<'a> {
    /// A family's head; its samples follow.
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
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
    }

    fn cores(&mut self) {
        for family in CORES {
            self.family(family.name, family.kind, family.help);
            for (core, report) in self.reports() {
                self.sample(family.name, &[("core", &core)], (family.value)(&report.activity));
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

fn in_seconds(ns: u64) -> String {
    seconds(ns).to_string()
}

/// Seconds since the epoch. The end of input is no time.
fn event_seconds(watermark: Option<Watermark>) -> Option<String> {
    match watermark {
        Some(Watermark::At(time)) if Timestamp::MIN < time && time < Timestamp::MAX => {
            let (seconds, millis) =
                (time.millis().div_euclid(1000), time.millis().rem_euclid(1000));
            // Before 1970 the fraction counts back.
            let sign = if seconds < 0 && millis > 0 { "-" } else { "" };
            match sign {
                "" => Some(format!("{seconds}.{millis:03}")),
                sign => Some(format!("{sign}{}.{:03}", -(seconds + 1), 1000 - millis)),
            }
        }
        _ => None,
    }
}

/// A label's value.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_are_negative() {
        let shown = |ms| event_seconds(Some(Watermark::At(Timestamp::from_millis(ms)))).unwrap();
        assert_eq!(shown(1_234), "1.234");
        assert_eq!(shown(0), "0.000");
        assert_eq!(shown(-1), "-0.001");
        assert_eq!(shown(-1_500), "-1.500");
        assert_eq!(shown(-2_000), "-2.000");
        assert_eq!(event_seconds(Some(Watermark::At(Timestamp::MAX))), None);
        assert_eq!(event_seconds(Some(Watermark::Idle)), None);
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(escaped("filter s = 'a\"b\\c'\n"), "filter s = 'a\\\"b\\\\c'\\n");
    }
}
