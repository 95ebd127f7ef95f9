//! Latencies of a job's sinks, and turns of its operators: of the last ten seconds, and of the whole run.
//!
//! In:  what each core has counted since its last report.
//! Out: percentiles over all cores.

use std::collections::VecDeque;

use crate::control::status::{LatencyPartsState, LatencyState};
use crate::metrics::{LatencyCounts, LatencyDelta, LatencyPart, LatencyParts, LatencyPartsDelta};

/// "The last ten seconds" of latencies, ns.
const RECENT_NS: u64 = 10_000_000_000;

/// Latencies of one sink, over all cores.
#[derive(Default)]
pub(super) struct SinkLatencies {
    pub(super) overall: LatencyParts,
    /// Of the last ten seconds, and what they are made of.
    pub(super) recent: LatencyParts,
    parts: VecDeque<(u64, LatencyPartsDelta)>,
}

impl SinkLatencies {
    pub(super) fn add(&mut self, at_ns: u64, delta: LatencyPartsDelta) {
        self.overall.add(&delta);
        self.recent.add(&delta);
        self.parts.push_back((at_ns, delta));
        while let Some((_, old)) =
            self.parts.pop_front_if(|(part_ns, _)| *part_ns + RECENT_NS < at_ns)
        {
            self.recent.remove(&old);
        }
    }
}

/// What an operator took of its turns in the last ten seconds, over all cores.
#[derive(Default)]
pub(super) struct OperatorTurns {
    recent: LatencyCounts,
    parts: VecDeque<(u64, LatencyDelta)>,
}

impl OperatorTurns {
    pub(super) fn add(&mut self, at_ns: u64, delta: LatencyDelta) {
        self.recent.add(&delta);
        self.parts.push_back((at_ns, delta));
        while let Some((_, old)) =
            self.parts.pop_front_if(|(part_ns, _)| *part_ns + RECENT_NS < at_ns)
        {
            self.recent.remove(&old);
        }
    }

    pub(super) fn state(&self) -> LatencyState {
        latency_state(&self.recent)
    }
}

pub(super) fn parts_state(parts: &LatencyParts) -> LatencyPartsState {
    let state = |part| latency_state(parts.of(part));
    LatencyPartsState {
        queue: state(LatencyPart::Queue),
        compute: state(LatencyPart::Compute),
        release_wait: state(LatencyPart::ReleaseWait),
        watermark_wait: state(LatencyPart::WatermarkWait),
        oldest_age: state(LatencyPart::OldestAge),
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with a few digits")]
pub(super) fn latency_state(counts: &LatencyCounts) -> LatencyState {
    let micros = |quantile| counts.quantile_ns(quantile) as f64 / 1e3;
    LatencyState {
        rows: counts.count(),
        p50: micros(0.5),
        p99: micros(0.99),
        p99_9: micros(0.999),
        max: micros(1.0),
    }
}
