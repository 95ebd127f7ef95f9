//! The result of `bench latency`: per rate the latencies, what was sent, and what the job says of its parts.

use super::super::super::figures::{LATENCY_NAMES, RunFigures};
use super::super::super::result::{BenchResult, Better, Charts, Figure, Owner, ResultHead};
use super::super::super::trace::RunTrace;
use super::{Judged, LatencyReport, RateFigures};

/// Latencies that decide whether one result is worse than another: of those above, a run has too few.
const DECIDING: [&str; 3] = ["p50", "p99", "p99.9"];

impl LatencyReport {
    /// For a folder of results.
    pub fn result(&self) -> BenchResult {
        let mut figures = Vec::new();
        let mut charts = Charts::default();
        for rate in &self.rates {
            let table = format!("latency at {} records/s", rate.rate);
            figures.extend(rate.latency_figures(&table));
            rate.draw(&table, &mut charts);
            figures.extend(rate.load_figures());
            let stages = format!("stages inside the job at {} records/s", rate.rate);
            figures.extend(charts.add_stages(&stages, rate.runs_of_job().map(|run| &run.trace)));
        }
        let head = ResultHead {
            bench: self.bench,
            machine: &self.machine,
            configuration: self.load.iter().map(|(name, value)| (*name, value.clone())).collect(),
            interrupted: self.interrupted,
            caveats: self.faults(),
            not_measured: Vec::new(),
            document: self.to_json(),
        };
        BenchResult::new(head, figures, charts)
    }
}

impl RateFigures {
    fn runs_of_job(&self) -> impl Iterator<Item = &RunFigures> {
        self.runs.iter().map(|pair| &pair.job)
    }

    fn latency_figures(&self, table: &str) -> Vec<Figure> {
        let mut figures = Vec::new();
        for (place, name) in LATENCY_NAMES.into_iter().enumerate() {
            let Judged { floor, job } = Judged::new(&self.runs, place);
            let mut add = |of: &str, unit: &str, better, values: &[f64]| {
                let figure = Figure::of((table, name, of), (unit, better), values.iter().copied());
                let decides = of == "job" && DECIDING.contains(&name);
                let figure = figure.map(|it| Figure { decides, ..it.of_runs(self.runs.len()) });
                figures.extend(figure);
            };
            if let Some(floor) = &floor {
                add("relay", "µs", Better::Neither, floor);
            }
            add("job", "µs", Better::Lower, &job);
            if let Some(floor) = &floor {
                // Run by run: both have met the same machine.
                let ratios: Vec<f64> =
                    job.iter().zip(floor).map(|(job, floor)| job / floor).collect();
                add("job / relay", "×", Better::Lower, &ratios);
            }
        }
        figures
    }

    fn load_figures(&self) -> Vec<Figure> {
        let table = format!("load at {} records/s", self.rate);
        let of_runs = |figure: &str,
                       of: &str,
                       unit: &str,
                       better,
                       value: &dyn Fn(&RunFigures) -> Option<f64>| {
            Figure::of((&table, figure, of), (unit, better), self.runs_of_job().filter_map(value))
        };
        let count = |figure, value: fn(&RunFigures) -> u64| {
            of_runs(figure, "", "records", Better::Neither, &|run| Some(value(run) as f64))
        };
        let figures = [
            count("sent", |run| run.sent),
            count("results due", |run| run.wanted),
            count("results", |run| run.received),
            count("lost", |run| run.lost),
            count("duplicated", |run| run.duplicated),
            count("reordered", |run| run.reordered),
            count("wrong", |run| run.wrong),
            of_runs("sent in fact", "", "records/s", Better::Neither, &|run| {
                Some(run.achieved_rate)
            }),
            of_runs("sent late, p99", "generator", "µs", Better::Neither, &|run| {
                Some(run.lateness_us.all()[2])
            }),
            of_runs("sent late, max", "generator", "µs", Better::Neither, &|run| {
                Some(run.lateness_us.all()[5])
            }),
            of_runs("CPU", "generator", "s", Better::Neither, &|run| {
                Some(run.generator_cpu_seconds)
            }),
            of_runs("CPU", "job", "s", Better::Lower, &|run| run.cpu_seconds),
            of_runs("peak memory", "job", "MiB", Better::Lower, &RunFigures::memory_mebibytes),
        ];
        figures.into_iter().flatten().collect()
    }

    fn draw(&self, table: &str, charts: &mut Charts) {
        let relay: Vec<&RunTrace> =
            self.runs.iter().filter_map(|pair| Some(&pair.floor.as_ref()?.trace)).collect();
        let job: Vec<&RunTrace> = self.runs_of_job().map(|run| &run.trace).collect();
        charts.add_runs(Owner { table, of: "relay" }, &relay);
        charts.add_runs(Owner { table, of: "job" }, &job);
    }
}
