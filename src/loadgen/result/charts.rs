//! Charts: percentile curves and timelines of runs, as a result keeps them.

use serde::{Deserialize, Serialize};

use super::super::figures::{LATENCY_QUANTILES, Latencies};
use super::super::spread::Spread;
use super::super::trace::{Interval, RunTrace, curve_quantiles};
use super::Figure;

/// Points of one timeline at most; of longer benches the first.
const TIMELINE_POINTS_MAX: usize = 4_000;

/// Latencies that are drawn over time, by their place among all.
const LATENCIES_OVER_TIME: [(&str, usize); 4] = [("p50", 0), ("p99", 2), ("p99.9", 3), ("max", 5)];

/// Latencies by the share of records that do not exceed them, over several runs.
#[derive(Clone, PartialEq, Serialize, Deserialize, Debug)]
pub(super) struct Curve {
    pub(super) table: String,
    pub(super) of: String,
    pub(super) unit: String,
    pub(super) quantiles: Vec<f64>,
    pub(super) median: Vec<f64>,
    pub(super) min: Vec<f64>,
    pub(super) max: Vec<f64>,
}

/// What was seen over time, run after run.
#[derive(Clone, PartialEq, Serialize, Deserialize, Debug)]
pub(super) struct Timeline {
    pub(super) table: String,
    pub(super) chart: String,
    pub(super) of: String,
    pub(super) unit: String,
    /// Measured time, the runs laid end to end.
    pub(super) seconds: Vec<f64>,
    /// The run that each point belongs to.
    pub(super) runs: Vec<usize>,
    pub(super) series: Vec<Series>,
}

/// One line of a timeline; null where there was nothing to measure.
#[derive(Clone, PartialEq, Serialize, Deserialize, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) values: Vec<Option<f64>>,
}

/// All curves and timelines of a result.
#[derive(Clone, PartialEq, Default, Debug)]
pub(in crate::loadgen) struct Charts {
    pub(super) curves: Vec<Curve>,
    pub(super) timelines: Vec<Timeline>,
}

/// Runs that belong together.
#[derive(Clone, Copy, Debug)]
pub(in crate::loadgen) struct Owner<'a> {
    pub(in crate::loadgen) table: &'a str,
    pub(in crate::loadgen) of: &'a str,
}

impl Charts {
    /// The percentile curve of runs, and how latencies and rates went over time.
    pub(in crate::loadgen) fn add_runs(&mut self, owner: Owner<'_>, runs: &[&RunTrace]) {
        self.curves.extend(curve(owner, runs));
        let mut latency = Timeline::new(owner, "latency over time", "µs");
        let mut rate = Timeline::new(owner, "throughput over time", "records/s");
        let mut first = 0.0;
        for (number, run) in runs.iter().enumerate() {
            for interval in &run.intervals {
                // In the middle of what it stands for.
                let seconds = first + interval.start_seconds + interval.seconds / 2.0;
                latency.add(seconds, number + 1, latencies_of(interval));
                rate.add(seconds, number + 1, rates_of(interval));
            }
            first += run.intervals.last().map_or(0.0, |last| last.start_seconds + last.seconds);
        }
        self.add(latency);
        self.add(rate);
    }

    /// What the job itself says of the parts of its latency, at a few shares; the figures of it.
    pub(in crate::loadgen) fn add_stages<'a>(
        &mut self,
        table: &str,
        runs: impl Iterator<Item = &'a RunTrace>,
    ) -> Vec<Figure> {
        let mut stages: Vec<(&str, Vec<Latencies>)> = Vec::new();
        for (name, latencies) in runs.flat_map(|run| &run.stages) {
            match stages.iter_mut().find(|(known, _)| known == name) {
                Some((_, of_runs)) => of_runs.push(*latencies),
                None => stages.push((name, vec![*latencies])),
            }
        }
        let mut figures = Vec::new();
        for (of, of_runs) in stages {
            let mut curve = Curve::new(Owner { table, of });
            for (place, quantile) in LATENCY_QUANTILES.into_iter().enumerate() {
                curve.add(quantile, of_runs.iter().map(|latencies| latencies.all()[place]));
            }
            self.curves.extend(curve.drawn());
            figures.extend(Figure::of_latencies(table, of, &of_runs));
        }
        figures
    }

    /// How many records had no result, over the time of runs.
    pub(in crate::loadgen) fn add_queues<'a>(
        &mut self,
        owner: Owner<'_>,
        runs: impl Iterator<Item = &'a [(f64, f64)]>,
    ) {
        let mut queue = Timeline::new(owner, "records without a result", "records");
        let mut first = 0.0;
        for (number, looks) in (1..).zip(runs) {
            for (seconds, length) in looks {
                queue.add(first + seconds, number, [("queue", Some(*length))].into_iter());
            }
            first += looks.last().map_or(0.0, |(seconds, _)| *seconds);
        }
        self.add(queue);
    }

    /// Records and rows per second over the time of runs: seconds, records in, rows out so far.
    pub(in crate::loadgen) fn add_counts<'a>(
        &mut self,
        owner: Owner<'_>,
        runs: impl Iterator<Item = &'a [(f64, u64, u64)]>,
    ) {
        let mut rate = Timeline::new(owner, "throughput over time", "records/s");
        let mut first = 0.0;
        for (number, looks) in (1..).zip(runs) {
            let begin = [(0.0, 0, 0)];
            for (before, now) in begin.iter().chain(looks).zip(looks) {
                let time = now.0 - before.0;
                let per_second = |count: u64, past: u64| {
                    (time > 0.0).then(|| count.saturating_sub(past) as f64 / time)
                };
                let rates =
                    [("in", per_second(now.1, before.1)), ("out", per_second(now.2, before.2))];
                rate.add(first + f64::midpoint(before.0, now.0), number, rates.into_iter());
            }
            first += looks.last().map_or(0.0, |(seconds, ..)| *seconds);
        }
        self.add(rate);
    }

    fn add(&mut self, timeline: Timeline) {
        if !timeline.seconds.is_empty() {
            self.timelines.push(timeline);
        }
    }
}

fn latencies_of(interval: &Interval) -> impl Iterator<Item = (&'static str, Option<f64>)> {
    let all = interval.latency_us.as_ref().map(Latencies::all);
    LATENCIES_OVER_TIME.into_iter().map(move |(name, place)| (name, all.map(|all| all[place])))
}

fn rates_of(interval: &Interval) -> impl Iterator<Item = (&'static str, Option<f64>)> {
    let per_second = |count: u64| Some(count as f64 / interval.seconds);
    [("sent", per_second(interval.sent)), ("results", per_second(interval.received))].into_iter()
}

impl Timeline {
    fn new(owner: Owner<'_>, chart: &str, unit: &str) -> Timeline {
        Timeline {
            table: owner.table.to_owned(),
            chart: chart.to_owned(),
            of: owner.of.to_owned(),
            unit: unit.to_owned(),
            seconds: Vec::new(),
            runs: Vec::new(),
            series: Vec::new(),
        }
    }

    fn add(
        &mut self,
        seconds: f64,
        run: usize,
        values: impl Iterator<Item = (&'static str, Option<f64>)>,
    ) {
        if self.seconds.len() == TIMELINE_POINTS_MAX {
            return;
        }
        self.seconds.push(seconds);
        self.runs.push(run);
        for (place, (name, value)) in values.enumerate() {
            if self.series.len() == place {
                self.series.push(Series { name: name.to_owned(), values: Vec::new() });
            }
            self.series[place].values.push(value.filter(|value| value.is_finite()));
        }
    }
}

impl Curve {
    fn new(owner: Owner<'_>) -> Curve {
        Curve {
            table: owner.table.to_owned(),
            of: owner.of.to_owned(),
            unit: "µs".to_owned(),
            quantiles: Vec::new(),
            median: Vec::new(),
            min: Vec::new(),
            max: Vec::new(),
        }
    }

    /// A point, unless no run tells it.
    fn add(&mut self, quantile: f64, of_runs: impl Iterator<Item = f64>) {
        let Some(spread) = Spread::of(of_runs) else { return };
        self.quantiles.push(quantile);
        self.median.push(spread.median);
        self.min.push(spread.min);
        self.max.push(spread.max);
    }

    /// `None` without a point.
    fn drawn(self) -> Option<Curve> {
        (!self.quantiles.is_empty()).then_some(self)
    }
}

fn curve(owner: Owner<'_>, runs: &[&RunTrace]) -> Option<Curve> {
    let mut curve = Curve::new(owner);
    for (place, quantile) in curve_quantiles().enumerate() {
        curve.add(quantile, runs.iter().filter_map(|run| run.curve.get(place).copied().flatten()));
    }
    curve.drawn()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner<'_> = Owner { table: "t", of: "job" };

    #[test]
    fn runs_are_laid_end_to_end_and_curves_span_them() {
        let latencies = |p50: f64| {
            let value = serde_json::json!({"p50": p50, "p90": 2, "p99": 3, "p99_9": 4, "p99_99": 5, "max": 6});
            serde_json::from_value(value).unwrap()
        };
        let interval = |start_seconds, p50: Option<f64>| Interval {
            start_seconds,
            seconds: 1.0,
            sent: 10,
            received: 5,
            latency_us: p50.map(latencies),
        };
        let run = |first: f64, second| RunTrace {
            curve: vec![Some(first), second],
            intervals: vec![interval(0.0, Some(first)), interval(1.0, None)],
            ..RunTrace::default()
        };
        let mut charts = Charts::default();
        charts.add_runs(OWNER, &[&run(1.0, None), &run(3.0, Some(9.0))]);
        let curve = &charts.curves[0];
        assert_eq!(
            (&curve.median, &curve.min, &curve.max),
            (&vec![2.0, 9.0], &vec![1.0, 9.0], &vec![3.0, 9.0])
        );
        let [latency, rate] = &charts.timelines[..] else { panic!("{charts:?}") };
        assert_eq!(latency.seconds, [0.5, 1.5, 2.5, 3.5]);
        assert_eq!(latency.runs, [1, 1, 2, 2]);
        assert_eq!(latency.series[0].values, [Some(1.0), None, Some(3.0), None]);
        assert_eq!((rate.series[0].name.as_str(), rate.series[0].values[3]), ("sent", Some(10.0)));
        assert_eq!(rate.series[1].values, [Some(5.0); 4]);
    }

    #[test]
    fn counts_become_rates_between_two_looks() {
        let mut charts = Charts::default();
        let runs = [vec![(1.0, 100, 10), (3.0, 500, 10)], vec![]];
        charts.add_counts(OWNER, runs.iter().map(Vec::as_slice));
        assert_eq!(charts.timelines[0].seconds, [0.5, 2.0]);
        assert_eq!(charts.timelines[0].series[0].values, [Some(100.0), Some(200.0)]);
        assert_eq!(charts.timelines[0].series[1].values, [Some(10.0), Some(0.0)]);
        let mut nothing = Charts::default();
        nothing.add_runs(OWNER, &[&RunTrace::default()]);
        assert_eq!(nothing, Charts::default());
    }

    #[test]
    fn a_timeline_has_an_end() {
        let mut charts = Charts::default();
        let looks: Vec<(f64, f64)> =
            (0..TIMELINE_POINTS_MAX + 5).map(|at| (at as f64, 1.0)).collect();
        charts.add_queues(OWNER, std::iter::once(&looks[..]));
        assert_eq!(charts.timelines[0].seconds.len(), TIMELINE_POINTS_MAX);
        assert_eq!(charts.timelines[0].series[0].values.len(), TIMELINE_POINTS_MAX);
    }
}
