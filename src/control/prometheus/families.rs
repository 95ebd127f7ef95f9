//! Which metrics there are: name, kind, help, and where the value comes from.

use crate::control::live::seconds;
use crate::dataflow::OperatorSpec;
use crate::metrics::{CoreActivity, LatencyPart, OperatorActivity, OperatorCounters};
use crate::reactor::{Clock, SystemClock};
use crate::record::{Timestamp, Watermark};
use crate::worker::{CheckpointStatus, CoreReport, OutboxStatus};

#[derive(Clone, Copy)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Upper bounds of the latency histogram: as metrics write them, and ns.
pub(super) const LATENCY_BOUNDS: [(&str, u64); 18] = [
    ("0.00001", 10_000),
    ("0.00002", 20_000),
    ("0.00005", 50_000),
    ("0.0001", 100_000),
    ("0.0002", 200_000),
    ("0.0005", 500_000),
    ("0.001", 1_000_000),
    ("0.002", 2_000_000),
    ("0.005", 5_000_000),
    ("0.01", 10_000_000),
    ("0.02", 20_000_000),
    ("0.05", 50_000_000),
    ("0.1", 100_000_000),
    ("1", 1_000_000_000),
    ("10", 10_000_000_000),
    ("60", 60_000_000_000),
    ("600", 600_000_000_000),
    ("3600", 3_600_000_000_000),
];

/// Histograms of latencies: name, help, and the parts that it has.
pub(super) const LATENCIES: &[(&str, &str, &[LatencyPart])] = &[
    (
        "pelton_latency_seconds",
        "From the arrival of a row's batch to its release; of a window, from that of the batch that \
         made it fire.",
        &[LatencyPart::Total],
    ),
    (
        "pelton_latency_part_seconds",
        "What latency is made of (queue, compute, release_wait), and what was before it: \
         watermark_wait, from the oldest batch of a window to the one that made it fire.",
        &[
            LatencyPart::Queue,
            LatencyPart::Compute,
            LatencyPart::ReleaseWait,
            LatencyPart::WatermarkWait,
        ],
    ),
    (
        "pelton_oldest_age_seconds",
        "From the arrival of the oldest batch that a row is made of to its release.",
        &[LatencyPart::OldestAge],
    ),
];

/// Samples of one name.
pub(super) struct Family<T> {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
    pub(super) value: T,
}

const fn counter<T: Copy>(name: &'static str, help: &'static str, value: T) -> Family<T> {
    Family { name, kind: Kind::Counter, help, value }
}

const fn gauge<T: Copy>(name: &'static str, help: &'static str, value: T) -> Family<T> {
    Family { name, kind: Kind::Gauge, help, value }
}

pub(super) type OfCore = fn(&CoreActivity) -> String;
/// Of a report, what it says of the source or sink with this index.
pub(super) type OfTable = fn(&CoreReport, usize) -> Option<String>;
/// Of how epochs go, as one core sees it.
pub(super) type OfCheckpoint = fn(&CheckpointStatus) -> Option<String>;
pub(super) type OfOperator = fn(&OperatorSample) -> Option<String>;
pub(super) type OfOutbox = fn(&OutboxStatus) -> String;

pub(super) const CORES: &[Family<OfCore>] = &[
    counter("pelton_core_busy_seconds_total", "Time in turns with work.", |it| {
        in_seconds(it.busy_ns)
    }),
    counter("pelton_core_parked_seconds_total", "Time asleep.", |it| in_seconds(it.parked_ns)),
    counter("pelton_core_turns_total", "Turns with work.", |it| it.turns.to_string()),
];

pub(super) const CHECKPOINTS: &[Family<OfCheckpoint>] = &[
    gauge("pelton_checkpoint_epoch", "The newest epoch of this run that exists.", |it| {
        Some(it.epochs?.committed?.number().to_string())
    }),
    gauge("pelton_checkpoint_age_seconds", "Time since it began to exist.", |it| {
        let epochs = it.epochs?;
        epochs.committed?;
        Some(in_seconds(SystemClock.monotonic_ns().saturating_sub(epochs.committed_at_ns)))
    }),
    counter("pelton_checkpoint_epochs_total", "Epochs of this run that exist.", |it| {
        Some(it.epochs?.epochs.to_string())
    }),
    counter(
        "pelton_checkpoint_epochs_unchanged_total",
        "Epochs in which nothing had changed.",
        |it| Some(it.epochs?.unchanged.to_string()),
    ),
    counter(
        "pelton_checkpoint_epochs_late_total",
        "Epochs that took longer than the interval.",
        |it| Some(it.epochs?.late.to_string()),
    ),
    gauge(
        "pelton_checkpoint_last_seconds",
        "From the beginning of the last epoch until it existed.",
        |it| Some(in_seconds(it.epochs?.last_ns)),
    ),
    gauge("pelton_checkpoint_longest_seconds", "The longest of them.", |it| {
        Some(in_seconds(it.epochs?.longest_ns))
    }),
    counter("pelton_checkpoint_increment_bytes_total", "Changes of state written.", |it| {
        Some(it.capture.increment_bytes.to_string())
    }),
    counter("pelton_checkpoint_base_bytes_total", "Bases of state written.", |it| {
        Some(it.capture.base_bytes.to_string())
    }),
    gauge("pelton_checkpoint_kept_bytes", "What the state journal keeps.", |it| {
        Some(it.capture.kept_bytes.to_string())
    }),
    counter(
        "pelton_checkpoint_turns_without_room_total",
        "Turns in which the journal had no room.",
        |it| Some(it.capture.turns_without_room.to_string()),
    ),
];

pub(super) const SOURCES: &[Family<OfTable>] = &[
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
        "pelton_source_splits_lost_total",
        "Files that were gone, with what an earlier run had not read of them.",
        |report, source| Some(report.sources.get(source)?.splits_lost.to_string()),
    ),
    counter(
        "pelton_source_connections_refused_total",
        "Connections refused or cut by a limit.",
        |report, source| Some(report.sources.get(source)?.connections_refused.to_string()),
    ),
    counter(
        "pelton_source_connections_failed_total",
        "Connections ended for what their peers sent.",
        |report, source| Some(report.sources.get(source)?.connections_failed.to_string()),
    ),
    counter("pelton_source_frames_in_total", "Frames received or read.", |report, source| {
        Some(report.sources.get(source)?.frames_in.to_string())
    }),
    counter(
        "pelton_source_bytes_copied_total",
        "Bytes copied between receiving frames and building rows over them.",
        |report, source| Some(report.sources.get(source)?.bytes_copied.to_string()),
    ),
    counter(
        "pelton_source_buffer_waits_total",
        "Times a connection waited for a receive buffer.",
        |report, source| Some(report.sources.get(source)?.buffer_waits.to_string()),
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

pub(super) const OPERATORS: &[Family<OfOperator>] = &[
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

pub(super) const EXCHANGES: &[Family<OfOutbox>] = &[
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
    gauge(
        "pelton_exchange_hottest_key_group_ratio",
        "Of the rows looked at lately, the part of the one key group that has most.",
        |it| it.hottest.map_or(0.0, |hot| hot.hits as f64 / hot.looks.max(1) as f64).to_string(),
    ),
];

pub(super) const SINKS: &[Family<OfTable>] = &[
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
    gauge(
        "pelton_sink_rows_kept",
        "Rows kept for subscribers who have not taken them.",
        |it, sink| Some(it.sinks.get(sink)?.rows_kept.to_string()),
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
pub(super) struct OperatorSample {
    pub(super) spec: OperatorSpec,
    pub(super) counters: OperatorCounters,
    pub(super) activity: OperatorActivity,
    pub(super) watermark: Option<Watermark>,
}

pub(super) fn in_seconds(ns: u64) -> String {
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
}
