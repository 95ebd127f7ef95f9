//! `/metrics`: how a running job stands, as Prometheus's text format.
//!
//! Names carry base units (seconds, bytes); counters end in `_total`. One value per core, so that a
//! sum is the reader's to make, and a core that stands out is seen.

use std::fmt::Write;
use std::rc::Rc;

use super::live::{RunIdentity, seconds};
use super::names::{self, Names};
use crate::dataflow::OperatorSpec;
use crate::metrics::{OperatorActivity, OperatorCounters};
use crate::reactor::{Clock, SystemClock, process_usage};
use crate::record::{Timestamp, Watermark};
use crate::worker::{CoreReport, OutboxStatus, SinkStatus, SourceStatus};

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
    page.sources();
    page.operators();
    page.exchanges();
    page.blocked();
    page.sinks();
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

    /// A family with one sample per core.
    fn per_core<T: std::fmt::Display>(
        &mut self,
        (name, kind, help): (&str, Kind, &str),
        value: impl Fn(&CoreReport) -> T,
    ) {
        self.family(name, kind, help);
        for (core, report) in self.reports() {
            self.sample(name, &[("core", &core)], value(report));
        }
    }

    fn cores(&mut self) {
        use Kind::Counter;
        let help = "Time in turns with work.";
        let busy = ("pelton_core_busy_seconds_total", Counter, help);
        self.per_core(busy, |report| seconds(report.activity.busy_ns));
        let parked = ("pelton_core_parked_seconds_total", Counter, "Time asleep.");
        self.per_core(parked, |report| seconds(report.activity.parked_ns));
        let turns = ("pelton_core_turns_total", Counter, "Turns with work.");
        self.per_core(turns, |report| report.activity.turns);
    }

    /// A family with one sample per source and core.
    fn per_source<T: std::fmt::Display>(
        &mut self,
        (name, kind, help): (&str, Kind, &str),
        value: impl Fn(&CoreReport, usize) -> Option<T>,
    ) {
        self.family(name, kind, help);
        let names = self.names;
        for (index, source) in names.sources.iter().enumerate() {
            for (core, report) in self.reports() {
                if let Some(value) = value(report, index) {
                    self.sample(name, &[("source", source), ("core", &core)], value);
                }
            }
        }
    }

    fn sources(&mut self) {
        use Kind::{Counter, Gauge};
        let help = "Records found in what was received, decodable or not.";
        self.per_source(("pelton_source_records_in_total", Counter, help), |report, source| {
            report.sources.get(source).map(|it| it.records_in)
        });
        let help = "Bytes received or read.";
        self.per_source(("pelton_source_bytes_in_total", Counter, help), |report, source| {
            report.sources.get(source).map(|it| it.bytes_in)
        });
        let help = "Rows handed on.";
        self.per_source(("pelton_source_rows_out_total", Counter, help), |report, source| {
            report.sources.get(source).map(|it| it.rows_out)
        });
        let help = "Connections or files ever opened.";
        self.per_source(("pelton_source_splits_opened_total", Counter, help), |report, source| {
            report.sources.get(source).map(|it| it.splits_opened)
        });
        let help = "Connections refused or cut by a limit.";
        let name = "pelton_source_connections_refused_total";
        self.per_source((name, Counter, help), |report, source| {
            report.sources.get(source).map(|it| it.connections_refused)
        });
        let status = |report: &CoreReport, source: usize| -> Option<SourceStatus> {
            report.source_statuses.get(source).cloned()
        };
        let help = "Connections or files that are open.";
        self.per_source(("pelton_source_splits_open", Gauge, help), |report, source| {
            status(report, source).map(|it| it.open_splits)
        });
        let help = "Time reading and decoding.";
        self.per_source(("pelton_source_busy_seconds_total", Counter, help), |report, source| {
            status(report, source).map(|it| seconds(it.busy_ns))
        });
        let help = "Event time up to which nothing more is expected; absent while idle.";
        self.per_source(("pelton_source_watermark_seconds", Gauge, help), |report, source| {
            event_seconds(status(report, source)?.watermark)
        });
        let now_ns = SystemClock.monotonic_ns();
        let help = "How long the split that holds the watermark back has stood there.";
        let name = "pelton_source_watermark_held_seconds";
        self.per_source((name, Gauge, help), |report, source| {
            let since_ns = status(report, source)?.holding_back?.since_ns;
            Some(seconds(now_ns.saturating_sub(since_ns)))
        });
        self.rejections();
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

    fn per_operator<T: std::fmt::Display>(
        &mut self,
        samples: &[(String, Vec<OperatorSample>)],
        (name, kind, help): (&str, Kind, &str),
        value: impl Fn(&OperatorSample) -> Option<T>,
    ) {
        self.family(name, kind, help);
        for (core, operators) in samples {
            for operator in operators {
                let Some(value) = value(operator) else { continue };
                let id = names::operator_id(operator.spec);
                let words = self.names.operator(operator.spec);
                self.sample(name, &[("id", &id), ("operator", &words), ("core", core)], value);
            }
        }
    }

    fn operators(&mut self) {
        use Kind::{Counter, Gauge};
        let samples: Vec<_> =
            self.reports().map(|(core, report)| (core, operator_samples(report))).collect();
        let counted: [(&str, &str, fn(&OperatorCounters) -> u64); 8] = [
            ("rows_in_total", "Rows given to the operator.", |it| it.rows_in),
            ("rows_out_total", "Rows it pushed.", |it| it.rows_out),
            ("rows_forwarded_total", "Rows that went on, one for one.", |it| it.forwarded),
            ("rows_filtered_total", "Rows for which a condition was not true.", |it| it.filtered),
            ("rows_late_total", "Rows behind the watermark.", |it| it.late),
            ("rows_rejected_total", "Rows that could not be evaluated.", |it| it.rejected),
            ("rows_absorbed_total", "Rows that went into state.", |it| it.absorbed),
            ("rows_fired_total", "Absorbed rows whose windows have fired.", |it| it.fired),
        ];
        for (name, help, value) in counted {
            let name = format!("pelton_operator_{name}");
            self.per_operator(&samples, (&name, Counter, help), |it| Some(value(&it.counters)));
        }
        let help = "Absorbed rows still in state.";
        let held = ("pelton_operator_rows_held", Gauge, help);
        self.per_operator(&samples, held, |it| Some(it.counters.held));
        let help = "Batches given to the operator.";
        let batches_in = ("pelton_operator_batches_in_total", Counter, help);
        self.per_operator(&samples, batches_in, |it| Some(it.activity.batches_in));
        let batches_out = ("pelton_operator_batches_out_total", Counter, "Batches it pushed.");
        self.per_operator(&samples, batches_out, |it| Some(it.activity.batches_out));
        let help = "Time in the operator, without what it fed.";
        let busy = ("pelton_operator_busy_seconds_total", Counter, help);
        self.per_operator(&samples, busy, |it| Some(seconds(it.activity.busy_ns)));
        let entries = ("pelton_operator_state_entries", Gauge, "Keys held, over all panes.");
        self.per_operator(&samples, entries, |it| Some(it.activity.state.entries));
        let bytes = ("pelton_operator_state_bytes", Gauge, "Memory of what is held.");
        self.per_operator(&samples, bytes, |it| Some(it.activity.state.bytes));
        let help = "Last watermark given to the operator; absent while idle.";
        let watermark = ("pelton_operator_watermark_seconds", Gauge, help);
        self.per_operator(&samples, watermark, |it| event_seconds(it.watermark));
    }

    fn exchanges(&mut self) {
        use Kind::{Counter, Gauge};
        type Value = fn(&OutboxStatus) -> String;
        let families: [(&str, Kind, &str, Value); 4] = [
            ("rows_total", Counter, "Rows given to the exchange.", |it| it.rows.to_string()),
            ("busy_seconds_total", Counter, "Time cutting batches by key.", |it| {
                seconds(it.busy_ns).to_string()
            }),
            ("queued_elements", Gauge, "Batches and watermarks that wait, over all cores.", |it| {
                it.queued.to_string()
            }),
            ("queued_elements_max", Gauge, "As many would fill it.", |it| {
                it.queued_max.to_string()
            }),
        ];
        for (name, kind, help, value) in families {
            let name = format!("pelton_exchange_{name}");
            self.family(&name, kind, help);
            for (core, report) in self.reports() {
                for (writer, outbox) in report.outboxes.iter().enumerate() {
                    let (exchange, writer) = ((outbox.edge.0 + 1).to_string(), writer.to_string());
                    let labels = [("exchange", &*exchange), ("writer", &writer), ("core", &core)];
                    self.sample(&name, &labels, value(outbox));
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

    fn per_sink<T: std::fmt::Display>(
        &mut self,
        (name, kind, help): (&str, Kind, &str),
        value: impl Fn(&CoreReport, usize) -> Option<T>,
    ) {
        self.family(name, kind, help);
        let names = self.names;
        for (index, sink) in names.sinks.iter().enumerate() {
            for (core, report) in self.reports() {
                if let Some(value) = value(report, index) {
                    self.sample(name, &[("sink", sink), ("core", &core)], value);
                }
            }
        }
    }

    fn sinks(&mut self) {
        use Kind::{Counter, Gauge};
        let help = "Rows given to the sink.";
        self.per_sink(("pelton_sink_rows_in_total", Counter, help), |report, sink| {
            report.sinks.get(sink).map(|it| it.rows_in)
        });
        let help = "Rows handed to the operating system.";
        self.per_sink(("pelton_sink_rows_out_total", Counter, help), |report, sink| {
            report.sinks.get(sink).map(|it| it.rows_out)
        });
        let help = "Rows nobody was there to take, or a slow subscriber missed.";
        self.per_sink(("pelton_sink_rows_discarded_total", Counter, help), |report, sink| {
            report.sinks.get(sink).map(|it| it.rows_discarded)
        });
        let help = "Bytes handed to the operating system.";
        self.per_sink(("pelton_sink_bytes_out_total", Counter, help), |report, sink| {
            report.sinks.get(sink).map(|it| it.bytes_out)
        });
        let status = |report: &CoreReport, sink: usize| -> Option<SinkStatus> {
            report.sink_statuses.get(sink).cloned()
        };
        let help = "Time encoding and writing.";
        self.per_sink(("pelton_sink_busy_seconds_total", Counter, help), |report, sink| {
            status(report, sink).map(|it| seconds(it.busy_ns))
        });
        let help = "1 while the sink takes nothing.";
        self.per_sink(("pelton_sink_full", Gauge, help), |report, sink| {
            status(report, sink).map(|it| u8::from(it.is_full))
        });
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
