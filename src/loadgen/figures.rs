//! Figures: one run as it is reported.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::driver::Measured;
use super::trace::RunTrace;
use crate::metrics::LatencyHistogram;
use crate::reactor::ProcessUsage;

/// Names of the latencies that are compared, in order.
pub(super) const LATENCY_NAMES: [&str; 6] = ["p50", "p90", "p99", "p99.9", "p99.99", "max"];

/// What the first of them stand for; `max` is no share.
pub(super) const LATENCY_QUANTILES: [f64; 5] = [0.5, 0.9, 0.99, 0.999, 0.9999];

/// Microseconds.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize, Debug)]
pub(super) struct Latencies {
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    p99_99: f64,
    max: f64,
}

impl Latencies {
    pub(super) fn of(histogram: &LatencyHistogram) -> Latencies {
        let at = |quantile| micros(histogram.quantile_ns(quantile));
        Latencies {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: micros(histogram.max_ns()),
        }
    }

    pub(super) fn p99(&self) -> f64 {
        self.p99
    }

    /// In the order of [`LATENCY_NAMES`].
    pub(super) fn all(&self) -> [f64; 6] {
        let Latencies { p50, p90, p99, p99_9, p99_99, max } = *self;
        [p50, p90, p99, p99_9, p99_99, max]
    }
}

fn micros(ns: u64) -> f64 {
    ns as f64 / 1_000.0
}

/// One run of a job or a floor.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub(super) struct RunFigures {
    /// From the planned send time to the arrival of the result, after the warm-up.
    pub(super) latency_us: Latencies,
    /// Records in those latencies.
    pub(super) measured: u64,
    pub(super) sent: u64,
    /// Of those sent, how many a result was due for.
    pub(super) wanted: u64,
    pub(super) received: u64,
    pub(super) lost: u64,
    pub(super) duplicated: u64,
    /// Behind a later one of their key; only counted with `--verify`.
    pub(super) reordered: u64,
    pub(super) wrong: u64,
    /// Of amounts; only with `--verify`.
    pub(super) sum_sent: Option<u64>,
    pub(super) sum_received: Option<u64>,
    /// The first faults in words.
    pub(super) faults: Vec<String>,
    /// Records per second that were in fact sent.
    pub(super) achieved_rate: f64,
    /// From a record's planned time to its being written: the generator's own error.
    pub(super) lateness_us: Latencies,
    pub(super) generator_cpu_seconds: f64,
    /// Of the job or the floor; null where it is not known.
    pub(super) cpu_seconds: Option<f64>,
    /// Of the job; null where it is not known.
    pub(super) memory_peak_bytes: Option<u64>,
    /// Ended before its time by a signal.
    pub(super) interrupted: bool,
    #[serde(skip)]
    pub(super) is_clean: bool,
    /// For the curves of a result.
    #[serde(skip)]
    pub(super) trace: RunTrace,
}

impl RunFigures {
    /// `used` is what the job used during the run.
    pub(super) fn new(measured: &Measured, used: Option<ProcessUsage>) -> RunFigures {
        let latencies = measured.latencies();
        let findings = &measured.findings;
        RunFigures {
            latency_us: Latencies::of(&latencies),
            measured: latencies.count(),
            sent: measured.sent,
            wanted: findings.wanted,
            received: findings.received,
            lost: findings.lost,
            duplicated: findings.duplicated,
            reordered: findings.reordered,
            wrong: findings.wrong,
            sum_sent: findings.sums.map(|(sent, _)| sent),
            sum_received: findings.sums.map(|(_, received)| received),
            faults: findings.examples.clone(),
            achieved_rate: measured.achieved_rate(),
            lateness_us: Latencies::of(&measured.lateness),
            generator_cpu_seconds: measured.cpu.as_secs_f64(),
            cpu_seconds: used.map(|used| used.cpu.as_secs_f64()),
            memory_peak_bytes: used.map(|used| used.memory_peak_bytes).filter(|bytes| *bytes > 0),
            interrupted: measured.interrupted,
            is_clean: findings.are_clean(),
            trace: RunTrace::new(measured),
        }
    }

    /// With the stages that the job's own report names.
    pub(super) fn with_stages(self, report: Option<&Value>) -> RunFigures {
        RunFigures { trace: self.trace.with_stages(report), ..self }
    }

    pub(super) fn cpu_seconds_per_million(&self) -> Option<f64> {
        self.cpu_seconds.map(|seconds| seconds / (self.sent as f64 / 1e6))
    }

    pub(super) fn memory_mebibytes(&self) -> Option<f64> {
        self.memory_peak_bytes.map(|bytes| bytes as f64 / f64::from(1 << 20))
    }

    /// What was wrong with the results, in one line; `None` when nothing was.
    pub(super) fn fault(&self) -> Option<String> {
        if self.is_clean {
            return None;
        }
        let RunFigures { lost, duplicated, reordered, wrong, sum_sent, sum_received, .. } = self;
        let sums = match (sum_sent, sum_received) {
            (Some(sent), Some(received)) if sent != received => {
                format!(", sum of amounts {received} instead of {sent}")
            }
            _ => String::new(),
        };
        let examples = self.faults.join("; ");
        Some(format!(
            "{lost} lost, {duplicated} duplicated, {reordered} reordered, {wrong} wrong{sums}: {examples}"
        ))
    }
}
