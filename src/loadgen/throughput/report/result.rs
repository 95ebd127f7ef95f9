//! The result of `bench throughput`: the rate found and what it took, or what runs to their end took.

use super::super::super::bounded::BoundedRun;
use super::super::super::figures::RunFigures;
use super::super::super::result::{BenchResult, Better, Charts, Figure, Owner, ResultHead};
use super::super::super::trace::RunTrace;
use super::super::{BoundedOptions, SearchOptions};
use super::{Sustained, ThroughputReport};
use crate::stdx::format_duration;

const TABLE: &str = "throughput";
const STAGES: &str = "stages inside the job";

impl ThroughputReport {
    /// For a folder of results.
    pub fn result(&self) -> BenchResult {
        let mut charts = Charts::default();
        let mut figures = self.search_figures(&mut charts);
        figures.extend(self.bounded_figures(&mut charts));
        let mut configuration = self.configuration.clone();
        configuration.extend([("job", self.job.clone()), ("cores", self.cores.to_string())]);
        let head = ResultHead {
            bench: self.bench,
            machine: &self.machine,
            configuration,
            interrupted: self.interrupted,
            caveats: self.caveats(),
            not_measured: Vec::new(),
            document: self.to_json(),
        };
        BenchResult::new(head, figures, charts)
    }

    fn caveats(&self) -> Vec<String> {
        let Some(rate) = self.sustainable_rate else {
            let searched = !self.trials.is_empty();
            return if searched { vec!["no rate was sustained".to_owned()] } else { Vec::new() };
        };
        let (held, runs) = (self.held(), self.sustained.len());
        let not_held =
            format!("{rate} records/s was sustained again in {held} of {runs} runs only");
        let generator =
            self.generator_factor(rate).and_then(|factor| self.generator_caveat(factor));
        (held < runs).then_some(not_held).into_iter().chain(generator).collect()
    }

    fn search_figures(&self, charts: &mut Charts) -> Vec<Figure> {
        let mut figures = self.sustained_figures();
        let runs = self.judged();
        let traces: Vec<&RunTrace> = runs.iter().map(|run| &run.trial.figures.trace).collect();
        charts.add_runs(Owner { table: TABLE, of: "job" }, &traces);
        let queues = traces.iter().map(|run| &run.queue[..]);
        charts.add_queues(Owner { table: TABLE, of: "at the rate found" }, queues);
        let found = self.sustainable_rate.unwrap_or(0);
        let failed = self.trials.iter().filter(|trial| trial.rate > found && !trial.sustained);
        if let Some(failed) = failed.min_by_key(|trial| trial.rate) {
            let of = format!("at {} records/s, not sustained", failed.rate);
            let queue = &failed.figures.trace.queue[..];
            charts.add_queues(Owner { table: TABLE, of: &of }, std::iter::once(queue));
        }
        figures.extend(self.trial_figures());
        figures.extend(charts.add_stages(STAGES, traces.into_iter()));
        figures
    }

    fn sustained_figures(&self) -> Vec<Figure> {
        let Some(rate) = self.sustainable_rate else { return Vec::new() };
        let runs = self.judged();
        let megabytes = rate as f64 * (self.record_bytes.unwrap_or(0) + 1) as f64 / 1e6;
        let of_runs = |figure, of, unit, better, value: &dyn Fn(&Sustained) -> Option<f64>| {
            let values = runs.iter().filter_map(|run| value(run));
            Some(
                Figure::of((TABLE, figure, of), (unit, better), values)?
                    .of_runs(self.sustained.len()),
            )
        };
        let of_job = |figure, unit, value: &dyn Fn(&RunFigures) -> Option<f64>| {
            of_runs(figure, "job", unit, Better::Lower, &|run| value(&run.trial.figures))
        };
        let found = Figure::of(
            (TABLE, "sustainable rate", "job"),
            ("records/s", Better::Higher),
            [rate as f64],
        );
        let precision = self.precision.unwrap_or(0.0);
        let latency = |place: usize| move |run: &RunFigures| Some(run.latency_us.all()[place]);
        let figures = [
            found.map(|it| Figure { precision, ..it.deciding() }),
            Figure::of((TABLE, "bytes in", "job"), ("MB/s", Better::Higher), [megabytes]),
            Figure::of(
                (TABLE, "sustainable rate per core", "job"),
                ("records/s", Better::Higher),
                [rate as f64 / self.cores as f64],
            ),
            of_job("CPU per million records", "s", &RunFigures::cpu_seconds_per_million)
                .map(Figure::deciding),
            of_job("peak memory", "MiB", &RunFigures::memory_mebibytes),
            of_job("latency p50", "µs", &latency(0)),
            of_job("latency p99", "µs", &latency(2)),
            of_runs("bytes", "bare read loop", "MB/s", Better::Neither, &|run| {
                Some(run.read_loop / 1e6)
            }),
            of_runs("bytes in", "job / read loop", "×", Better::Higher, &|run| {
                Some(megabytes / (run.read_loop / 1e6))
            }),
            of_runs("records", "generator alone", "records/s", Better::Neither, &|run| {
                Some(run.generator_alone)
            }),
        ];
        figures.into_iter().flatten().collect()
    }

    /// By rate that was tried, lowest first.
    fn trial_figures(&self) -> Vec<Figure> {
        let mut rates: Vec<u64> = self.trials.iter().map(|trial| trial.rate).collect();
        rates.sort_unstable();
        rates.dedup();
        let figures = rates.into_iter().filter_map(|rate| {
            let trials = self.trials.iter().filter(|trial| trial.rate == rate);
            let verdict = if trials.clone().any(|trial| trial.sustained) {
                "sustained"
            } else {
                "not sustained"
            };
            let figure = format!("growth at {rate} records/s");
            let growth = trials.map(|trial| trial.queue_growth);
            Figure::of(("queue in trials", &figure, verdict), ("records", Better::Neither), growth)
        });
        figures.collect()
    }

    fn bounded_figures(&self, charts: &mut Charts) -> Vec<Figure> {
        let traces = || self.bounded.iter().map(|run| &run.trace);
        let counts = traces().map(|trace| &trace.counts[..]);
        charts.add_counts(Owner { table: TABLE, of: "job" }, counts);
        let of_runs = |figure, of, unit, better, value: &dyn Fn(&BoundedRun) -> f64| {
            Figure::of(
                (TABLE, figure, of),
                (unit, better),
                self.bounded.iter().map(|it| value(&it.run)),
            )
        };
        let cores = self.cores as f64;
        let has_bytes = self.bounded.iter().any(|it| it.run.bytes_in > 0);
        let bytes =
            of_runs("bytes in", "job", "MB/s", Better::Higher, &|run| run.bytes_per_second() / 1e6);
        let ratios = self.bounded.iter().filter_map(super::BoundedFigures::ratio);
        let figures = [
            of_runs("records", "job", "records/s", Better::Higher, &BoundedRun::records_per_second)
                .map(Figure::deciding),
            of_runs("records per core", "job", "records/s", Better::Higher, &|run| {
                run.records_per_second() / cores
            }),
            bytes.filter(|_| has_bytes),
            of_runs(
                "CPU per million records",
                "job",
                "s",
                Better::Lower,
                &BoundedRun::cpu_seconds_per_million,
            )
            .map(Figure::deciding),
            of_runs("peak memory", "job", "MiB", Better::Lower, &BoundedRun::memory_mebibytes),
            Figure::of((TABLE, "throughput", "job / floor"), ("×", Better::Higher), ratios),
            of_runs("rows out", "job", "rows", Better::Neither, &|run| run.rows_out as f64),
            of_runs("late", "job", "rows", Better::Neither, &|run| run.late_rows as f64),
        ];
        let mut figures: Vec<Figure> = figures.into_iter().flatten().collect();
        figures.extend(charts.add_stages(STAGES, traces()));
        figures
    }
}

/// The configuration of a search, in words.
pub(super) fn describe_search(options: &SearchOptions) -> Vec<(&'static str, String)> {
    let SearchOptions { load, first_rate, precision, runs, cpus, .. } = options;
    let job_cpus: Vec<String> = cpus.job.iter().map(ToString::to_string).collect();
    vec![
        ("format", load.format.name().to_owned()),
        ("record_bytes", load.record_bytes.to_string()),
        ("connections", load.connections.to_string()),
        ("window", format_duration(load.duration)),
        ("warm_up", format_duration(load.warm_up)),
        ("from", first_rate.to_string()),
        ("precision", format!("{:.0} %", precision * 100.0)),
        ("runs", runs.to_string()),
        ("generator_cpu", cpus.generator.to_string()),
        ("job_cpus", job_cpus.join(" ")),
    ]
}

/// The configuration of runs to their end, in words.
pub(super) fn describe_bounded(options: &BoundedOptions) -> Vec<(&'static str, String)> {
    let cpus: Vec<String> = options.cpus.iter().map(ToString::to_string).collect();
    vec![("runs", options.runs.to_string()), ("job_cpus", cpus.join(" "))]
}
