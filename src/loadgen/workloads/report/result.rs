//! The result of the workload benches: a table per figure, a row per query.

use super::super::super::bounded::BoundedRun;
use super::super::super::result::{BenchResult, Better, Charts, Figure, Owner, ResultHead};
use super::{QueryFigures, QueryRun, WorkloadReport};

impl WorkloadReport {
    /// For a folder of results.
    pub fn result(&self) -> BenchResult {
        let mut charts = Charts::default();
        for query in &self.queries {
            let counts = query.runs.iter().map(|run| &run.trace.counts[..]);
            let table = format!("run by run: {}", query.query);
            charts.add_counts(Owner { table: &table, of: query.query }, counts);
        }
        let refused = |query: &QueryFigures| {
            let reason = query.not_supported.as_ref()?;
            Some(format!("{}: not supported yet: {reason}", query.query))
        };
        let configuration = vec![
            ("rows", self.rows.to_string()),
            ("source", self.source.to_owned()),
            ("cores", self.cores.to_string()),
        ];
        let head = ResultHead {
            bench: self.bench,
            machine: &self.machine,
            configuration,
            interrupted: self.interrupted,
            caveats: Vec::new(),
            not_measured: self.queries.iter().filter_map(refused).collect(),
            document: self.to_json(),
        };
        BenchResult::new(head, self.figures(), charts)
    }

    fn figures(&self) -> Vec<Figure> {
        let cores = self.cores;
        let job = |value: fn(&BoundedRun) -> f64| move |run: &QueryRun| Some(value(&run.job));
        let (higher, lower) = (Better::Higher, Better::Lower);
        let mut figures = Vec::new();
        let mut table = |name, unit, better, decides, value: &dyn Fn(&QueryRun) -> Option<f64>| {
            for query in &self.queries {
                let values = query.judged().into_iter().filter_map(value);
                let figure = Figure::of((name, query.query, ""), (unit, better), values);
                figures.extend(figure.map(|it| Figure { decides, ..it.of_runs(query.runs.len()) }));
            }
        };
        table("throughput", "records/s", higher, true, &job(BoundedRun::records_per_second));
        table("throughput per core", "records/s", higher, false, &|run| {
            Some(run.job.records_per_second() / cores as f64)
        });
        table("bytes in", "MB/s", higher, false, &|run| {
            (run.job.bytes_in > 0).then(|| run.job.bytes_per_second() / 1e6)
        });
        table("part of the floor's throughput", "×", higher, false, &|run| run.ratio(cores));
        table(
            "CPU per million records",
            "s",
            lower,
            true,
            &job(BoundedRun::cpu_seconds_per_million),
        );
        table("peak memory", "MiB", lower, false, &job(BoundedRun::memory_mebibytes));
        table("rows out", "rows", Better::Neither, false, &job(|run| run.rows_out as f64));
        table("late", "rows", Better::Neither, false, &job(|run| run.late_rows as f64));
        figures
    }
}
