//! Trace: how one run went by percentile and over time, for the curves of a result.

use std::time::Duration;

use serde_json::Value;

use super::driver::Measured;
use super::figures::Latencies;
use crate::metrics::LatencyHistogram;

/// Points of a percentile curve until nine tenths, from there to 99 %, and so on.
const POINTS_PER_DECADE: u32 = 8;

/// Up to 99.99 %.
const DECADES: u32 = 4;

/// Parts of a latency, as the report of a run names them, and in words.
const STAGES: [(&str, &str); 5] = [
    ("queue", "queue"),
    ("compute", "compute"),
    ("release_wait", "release wait"),
    ("watermark_wait", "watermark wait"),
    ("oldest_age", "oldest record's age"),
];

/// Records that were sent and results that came, by interval of the time in which they did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Flow {
    pub(super) sent: Vec<u64>,
    pub(super) received: Vec<u64>,
}

impl Flow {
    pub(super) fn new(intervals: usize) -> Flow {
        Flow { sent: vec![0; intervals], received: vec![0; intervals] }
    }
}

/// Adds to the interval that `time_ns` lies in. What is before the first one or behind the last is not measured.
pub(super) fn add_at(counts: &mut [u64], time_ns: Option<u64>, interval_ns: u64, count: u64) {
    let place = time_ns.and_then(|time_ns| usize::try_from(time_ns / interval_ns).ok());
    if let Some(counted) = place.and_then(|place| counts.get_mut(place)) {
        *counted += count;
    }
}

/// One run of a job or a floor.
#[derive(Clone, PartialEq, Default, Debug)]
pub(super) struct RunTrace {
    /// Latencies at the quantiles of [`curve_quantiles`], µs; `None` beyond what so many records can tell.
    pub(super) curve: Vec<Option<f64>>,
    pub(super) intervals: Vec<Interval>,
    /// Seconds since the beginning, and records without a result.
    pub(super) queue: Vec<(f64, f64)>,
    /// Of a job that ends by itself: seconds, records in and rows out so far.
    pub(super) counts: Vec<(f64, u64, u64)>,
    /// Parts of the latency, as the job itself counts them from its start to its end.
    pub(super) stages: Vec<(String, Latencies)>,
}

/// A piece of a run's measured time.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Interval {
    /// Since the measured time began.
    pub(super) start_seconds: f64,
    pub(super) seconds: f64,
    pub(super) sent: u64,
    pub(super) received: u64,
    /// Of records that were due in it; `None` when no result came of any.
    pub(super) latency_us: Option<Latencies>,
}

impl RunTrace {
    pub(super) fn new(measured: &Measured) -> RunTrace {
        let step = measured.interval;
        let flow = measured.flow.sent.iter().zip(&measured.flow.received);
        let parts = measured.intervals.iter().zip(flow).zip(0_u32..);
        let intervals = parts.map_while(|((latencies, (&sent, &received)), number)| {
            let start = step * number;
            let length = measured.measured_time.checked_sub(start)?.min(step);
            let seen = latencies.count() > 0;
            (length > Duration::ZERO).then(|| Interval {
                start_seconds: start.as_secs_f64(),
                seconds: length.as_secs_f64(),
                sent,
                received,
                latency_us: seen.then(|| Latencies::of(latencies)),
            })
        });
        RunTrace {
            curve: curve(&measured.latencies()),
            intervals: intervals.collect(),
            queue: measured.queue.clone(),
            ..RunTrace::default()
        }
    }

    /// With the stages that the job's own report names.
    pub(super) fn with_stages(self, report: Option<&Value>) -> RunTrace {
        RunTrace { stages: report.map(stages).unwrap_or_default(), ..self }
    }
}

/// From 0 to 0.9999, closer together the nearer they are to 1.
pub(super) fn curve_quantiles() -> impl Iterator<Item = f64> {
    (0..=POINTS_PER_DECADE * DECADES)
        .map(|step| 1.0 - 10_f64.powf(-f64::from(step) / f64::from(POINTS_PER_DECADE)))
}

fn curve(latencies: &LatencyHistogram) -> Vec<Option<f64>> {
    let count = latencies.count() as f64;
    let point = |quantile: f64| {
        // At least one record is above. The step away from zero is what is lost in rounding.
        let is_told = count * (1.0 - quantile) > 1.0 - 1e-6;
        is_told.then(|| latencies.quantile_ns(quantile) as f64 / 1_000.0)
    };
    curve_quantiles().map(point).collect()
}

/// The parts of the latencies at every sink of a run.
pub(super) fn stages(report: &Value) -> Vec<(String, Latencies)> {
    let Some(sinks) = report["sinks"].as_object() else { return Vec::new() };
    let mut found = Vec::new();
    for (sink, counted) in sinks {
        let of_sink = if sinks.len() > 1 { format!(", sink {sink}") } else { String::new() };
        let parts = STAGES.map(|(part, name)| (&counted["latency_parts_us"][part], name));
        let all = (&counted["latency_us"], "arrival to release");
        for (latencies, name) in std::iter::once(all).chain(parts) {
            if let Ok(latencies) = serde_json::from_value(latencies.clone()) {
                found.push((format!("{name}{of_sink}"), latencies));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_ends_where_no_record_is_above() {
        let mut latencies = LatencyHistogram::new();
        (1..=1_000).for_each(|us| latencies.record(us * 1_000, 1));
        let points: Vec<(f64, Option<f64>)> = curve_quantiles().zip(curve(&latencies)).collect();
        assert_eq!(points.len(), 33);
        let at = |quantile: f64| {
            let found = points.iter().find(|(at, _)| (at - quantile).abs() < 1e-9);
            found.unwrap_or_else(|| panic!("no point at {quantile}")).1
        };
        for (quantile, us) in [(0.0, 1.0), (0.9, 900.0), (0.99, 990.0), (0.999, 999.0)] {
            let found = at(quantile).unwrap();
            assert!((found - us).abs() / us < 0.002, "{quantile}: {found} instead of {us}");
        }
        assert_eq!(at(0.9999), None);
        assert!(curve(&LatencyHistogram::new()).iter().all(Option::is_none));
    }

    #[test]
    fn what_lies_outside_of_all_intervals_is_not_counted() {
        let mut counts = [0; 2];
        for time_ns in [None, Some(0), Some(9), Some(10), Some(19), Some(20), Some(u64::MAX)] {
            add_at(&mut counts, time_ns, 10, 1);
        }
        assert_eq!(counts, [2, 2]);
    }

    #[test]
    fn stages_are_those_of_the_report() {
        let latencies = |p50: f64| serde_json::json!({"p50": p50, "p90": 2.0, "p99": 3.0, "p99_9": 4.0, "p99_99": 5.0, "max": 6.0});
        let sink = serde_json::json!({
            "rows_in": 1,
            "latency_us": latencies(1.5),
            "latency_parts_us": {"queue": latencies(0.5), "compute": latencies(0.25)},
        });
        let found = stages(&serde_json::json!({"sinks": {"a": sink}}));
        let shown: Vec<(&str, f64)> =
            found.iter().map(|(name, part)| (name.as_str(), part.all()[0])).collect();
        assert_eq!(shown, [("arrival to release", 1.5), ("queue", 0.5), ("compute", 0.25)]);
        let two = stages(&serde_json::json!({"sinks": {"a": sink, "b": sink}}));
        assert_eq!(two[4].0, "queue, sink b");
        assert_eq!(stages(&serde_json::json!({"sinks": 3})), Vec::new());
    }
}
