//! `/status`: how a running job stands, as one JSON document.
//!
//! Field names carry their units. `schema` counts up when a field changes its meaning. Rates and
//! shares are those of the last one to two seconds. config/README.md explains every field.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the document's form.
pub(super) const STATUS_SCHEMA: u32 = 1;

/// A running job.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
pub(super) struct Status {
    pub(super) schema: u32,
    pub(super) job: String,
    pub(super) version: String,
    /// Absolute; what tells one running job from another.
    pub(super) directory: String,
    pub(super) run: u32,
    pub(super) pid: u32,
    /// Every core has reported.
    pub(super) ready: bool,
    pub(super) stopping: bool,
    pub(super) uptime_seconds: f64,
    pub(super) cpu_seconds: f64,
    pub(super) memory_bytes: u64,
    pub(super) memory_peak_bytes: u64,
    pub(super) descriptors_open: u64,
    pub(super) descriptors_max: u64,
    pub(super) late_rows: u64,
    pub(super) rejected_records: u64,
    pub(super) held_rows: u64,
    pub(super) sources: Vec<SourceState>,
    pub(super) operators: Vec<OperatorState>,
    pub(super) exchanges: Vec<ExchangeState>,
    pub(super) sinks: Vec<SinkState>,
    pub(super) cores: Vec<CoreState>,
    /// `None` without durability.
    pub(super) checkpoint: Option<CheckpointState>,
    /// Who waited for whom.
    pub(super) blocked: Vec<BlockedState>,
    pub(super) examples: Vec<String>,
    /// What the user was told last.
    pub(super) notices: Vec<String>,
}

/// A source, over all cores.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
pub(super) struct SourceState {
    pub(super) name: String,
    /// As `explain` names it.
    pub(super) connector: String,
    pub(super) records_in: u64,
    pub(super) bytes_in: u64,
    pub(super) rows_out: u64,
    pub(super) records_per_second: f64,
    pub(super) bytes_per_second: f64,
    /// Since the last record, or since the start.
    pub(super) silent_seconds: f64,
    /// The time of the newest record, and how far behind the clock it is. Of a watermark that is more
    /// than a delay behind its column, the watermark's.
    pub(super) newest_time: Option<String>,
    pub(super) lag_seconds: Option<f64>,
    /// Of the operators that this source alone feeds.
    pub(super) late_rows: u64,
    /// Records and rows, by reason.
    pub(super) rejected: BTreeMap<String, u64>,
    pub(super) splits_open: u64,
    pub(super) splits_opened: u64,
    pub(super) connections_refused: u64,
    /// Ended for what their peers sent.
    pub(super) connections_failed: u64,
    pub(super) frames_in: u64,
    /// Of `bytes_in`, what was copied on the way to the rows built over it.
    pub(super) bytes_copied: u64,
    /// Times a connection waited for a receive buffer.
    pub(super) buffer_waits: u64,
    /// Of producers, that the table lacks.
    pub(super) columns_unknown: u64,
    pub(super) busy_share: f64,
    pub(super) ended: bool,
    /// `None` without event time, and before the first row.
    pub(super) watermark: Option<WatermarkState>,
}

/// The lowest watermark of a source's cores, and who keeps it there.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
pub(super) struct WatermarkState {
    /// `2026-01-01 00:00:00.000`.
    pub(super) time: String,
    pub(super) time_ms: i64,
    /// Behind the clock.
    pub(super) lag_seconds: f64,
    pub(super) core: u16,
    /// `bid:127.0.0.1:40112`; the source's name where its splits have none.
    pub(super) split: String,
    /// For how long it has stood there.
    pub(super) since_seconds: f64,
}

/// An operator, over all cores.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
pub(super) struct OperatorState {
    pub(super) id: String,
    pub(super) operator: String,
    pub(super) rows_in: u64,
    pub(super) rows_out: u64,
    pub(super) rows_per_second: f64,
    pub(super) batches_in: u64,
    pub(super) batches_out: u64,
    pub(super) filtered: u64,
    pub(super) late: u64,
    pub(super) rejected: u64,
    pub(super) absorbed: u64,
    pub(super) held: u64,
    pub(super) busy_seconds: f64,
    /// Of one core: 2 is two cores' time.
    pub(super) busy_share: f64,
    /// What it took of a core's turn, of the last ten seconds; `rows` are turns.
    pub(super) turn_us: LatencyState,
    pub(super) state_entries: u64,
    pub(super) state_bytes: u64,
    /// The lowest it was given on any core.
    pub(super) watermark: Option<String>,
    /// Rows in of each core: keys that are not spread evenly show here.
    pub(super) rows_in_by_core: Vec<u64>,
    pub(super) busy_share_by_core: Vec<f64>,
}

/// An exchange, over all cores.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
pub(super) struct ExchangeState {
    pub(super) exchange: usize,
    pub(super) rows: u64,
    pub(super) queued_elements: u64,
    pub(super) queued_elements_max: u64,
    pub(super) busy_share: f64,
    /// The key group that most of its rows were of lately, who owns it, and its share of the rows
    /// looked at. Of an exchange by key.
    pub(super) hottest_key_group: Option<u16>,
    pub(super) hottest_key_group_core: Option<u16>,
    pub(super) hottest_key_group_share: f64,
}

/// A sink, over all cores.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
pub(super) struct SinkState {
    pub(super) name: String,
    pub(super) rows_in: u64,
    pub(super) rows_out: u64,
    pub(super) rows_discarded: u64,
    pub(super) rows_kept: u64,
    pub(super) bytes_out: u64,
    pub(super) rows_per_second: f64,
    pub(super) bytes_per_second: f64,
    pub(super) busy_share: f64,
    /// Who keeps it from taking more.
    pub(super) blocked_by: Option<String>,
    /// From arrival to release, of the last ten seconds and of all.
    pub(super) latency_us: LatencyState,
    pub(super) latency_us_overall: LatencyState,
    /// What that was made of, and what was before it.
    pub(super) latency_parts_us: LatencyPartsState,
    pub(super) latency_parts_us_overall: LatencyPartsState,
}

/// What a latency is made of: queue + compute + release wait, of each row. For rows of windows it begins
/// with the batch that made them fire; the watermark wait is before that, and the oldest age is both.
#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize, Debug)]
pub(super) struct LatencyPartsState {
    pub(super) queue: LatencyState,
    pub(super) compute: LatencyState,
    pub(super) release_wait: LatencyState,
    pub(super) watermark_wait: LatencyState,
    pub(super) oldest_age: LatencyState,
}

/// Percentiles, microseconds.
#[derive(Clone, Copy, Default, PartialEq, Serialize, Deserialize, Debug)]
pub(super) struct LatencyState {
    pub(super) rows: u64,
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) p99_9: f64,
    pub(super) max: f64,
}

/// A core.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
pub(super) struct CoreState {
    pub(super) core: u16,
    pub(super) cpu: usize,
    /// Turning with work; asleep; the rest is looking for work.
    pub(super) busy_share: f64,
    pub(super) parked_share: f64,
    pub(super) turns: u64,
    /// Of what its exchanges may have waiting, so much is.
    pub(super) queue_fill: f64,
    pub(super) reported_seconds_ago: f64,
}

/// How epochs go, and what state journals keep, over all cores.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
pub(super) struct CheckpointState {
    /// The newest epoch of this run that exists.
    pub(super) epoch: Option<u64>,
    /// Since it began to exist.
    pub(super) age_seconds: Option<f64>,
    /// The epoch on its way.
    pub(super) epoch_under_way: Option<u64>,
    /// Of this run: epochs that exist, those in which nothing had changed, those that took longer than
    /// the interval.
    pub(super) epochs: u64,
    pub(super) epochs_unchanged: u64,
    pub(super) epochs_late: u64,
    /// From the beginning of an epoch until it existed.
    pub(super) last_seconds: f64,
    pub(super) longest_seconds: f64,
    /// Written for state: what changed, and bases.
    pub(super) increment_bytes: u64,
    pub(super) base_bytes: u64,
    /// What state journals keep, and what operators keep in memory.
    pub(super) kept_bytes: u64,
    pub(super) live_bytes: u64,
    /// Turns in which a journal had no room.
    pub(super) turns_without_room: u64,
}

/// A stage that had to wait.
#[derive(Clone, Default, Serialize, Deserialize, Debug)]
pub(super) struct BlockedState {
    pub(super) core: u16,
    /// `source bid`, `exchange 1`.
    pub(super) stage: String,
    /// `core 1`, `sink hot`, `late or rejected rows of bid`.
    pub(super) by: String,
    pub(super) seconds: f64,
    /// Of the last one to two seconds.
    pub(super) share: f64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn fields(value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(parts) => {
                for (name, part) in parts {
                    found.push(name.clone());
                    fields(part, found);
                }
            }
            Value::Array(parts) => parts.iter().for_each(|part| fields(part, found)),
            _ => {}
        }
    }

    #[test]
    fn the_documentation_lists_every_field() {
        let watermark = Some(WatermarkState::default());
        let status = Status {
            sources: vec![SourceState { watermark, ..SourceState::default() }],
            operators: vec![OperatorState::default()],
            exchanges: vec![ExchangeState::default()],
            sinks: vec![SinkState::default()],
            cores: vec![CoreState::default()],
            checkpoint: Some(CheckpointState::default()),
            blocked: vec![BlockedState::default()],
            ..Status::default()
        };
        let mut found = Vec::new();
        fields(&serde_json::to_value(&status).unwrap(), &mut found);
        let documentation = include_str!("../../config/README.md");
        let chapter = documentation.split("## The status").nth(1).expect("a chapter");
        for field in found {
            assert!(chapter.contains(&format!("`{field}`")), "{field} is not documented");
        }
    }
}
