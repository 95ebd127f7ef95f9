//! What `bench throughput` prints: a table for people, or a document for programs.
//!
//! Read: `result` (the same for a folder of results).

mod result;

use serde::Serialize;

use super::super::bounded::BoundedRun;
use super::super::figures::RunFigures;
use super::super::machine::Machine;
use super::super::spread::{Spread, judged};
use super::super::table::{Table, figure, mebibytes};
use super::super::trace::RunTrace;
use super::{BoundedOptions, SearchOptions};

/// Version of the document's form.
const REPORT_SCHEMA: u32 = 1;

/// The generator alone is to send at least so many times what the job sustains.
const GENERATOR_FACTOR_MIN: f64 = 3.0;

/// Everything that was measured.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub struct ThroughputReport {
    schema: u32,
    bench: &'static str,
    machine: Machine,
    job: String,
    cores: usize,
    record_bytes: Option<usize>,
    /// Rates nearer than this part of themselves are not told apart; null when the job ends by itself.
    precision: Option<f64>,
    #[serde(skip)]
    configuration: Vec<(&'static str, String)>,
    interrupted: bool,
    /// Records per second; null when none was, or the job ends by itself.
    sustainable_rate: Option<u64>,
    trials: Vec<Trial>,
    sustained: Vec<Sustained>,
    bounded: Vec<BoundedFigures>,
}

/// One window at one rate.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub(super) struct Trial {
    pub(super) rate: u64,
    pub(super) sustained: bool,
    /// Records by which the queue grew over the window.
    pub(super) queue_growth: f64,
    /// The generator itself did not keep up.
    pub(super) generator_late: bool,
    pub(super) figures: RunFigures,
}

/// A run at the rate found.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub(super) struct Sustained {
    pub(super) trial: Trial,
    /// Bytes per second of a bare read loop just before.
    pub(super) read_loop: f64,
    /// Records per second of the generator alone just before.
    pub(super) generator_alone: f64,
}

/// A run of a job that ends by itself.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub(super) struct BoundedFigures {
    pub(super) run: BoundedRun,
    /// Bytes per second of a bare read of its files, or records per second of generators alone.
    pub(super) floor: Option<f64>,
    #[serde(skip)]
    pub(super) trace: RunTrace,
}

impl BoundedFigures {
    fn ratio(&self) -> Option<f64> {
        let done = if self.run.bytes_in > 0 {
            self.run.bytes_per_second()
        } else {
            self.run.records_per_second()
        };
        self.floor.map(|floor| done / floor)
    }
}

impl ThroughputReport {
    pub(super) fn of_search(
        options: &SearchOptions,
        sustainable_rate: Option<u64>,
        trials: Vec<Trial>,
        sustained: Vec<Sustained>,
        interrupted: bool,
    ) -> ThroughputReport {
        let bundled = || "bundled: filter and projection".to_owned();
        ThroughputReport {
            schema: REPORT_SCHEMA,
            bench: "throughput",
            machine: Machine::look(),
            job: options.job_file.as_ref().map_or_else(bundled, |path| path.display().to_string()),
            cores: options.cpus.job.len(),
            record_bytes: Some(options.load.record_bytes),
            precision: Some(options.precision),
            configuration: result::describe_search(options),
            interrupted,
            sustainable_rate,
            trials,
            sustained,
            bounded: Vec::new(),
        }
    }

    pub(super) fn of_bounded(
        options: &BoundedOptions,
        bounded: Vec<BoundedFigures>,
        interrupted: bool,
    ) -> ThroughputReport {
        ThroughputReport {
            schema: REPORT_SCHEMA,
            bench: "throughput",
            machine: Machine::look(),
            job: options.job_file.display().to_string(),
            cores: options.cpus.len(),
            record_bytes: None,
            precision: None,
            configuration: result::describe_bounded(options),
            interrupted,
            sustainable_rate: None,
            trials: Vec::new(),
            sustained: Vec::new(),
            bounded,
        }
    }

    /// As a document, with a line end.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("plain data can be written as JSON");
        text + "\n"
    }

    /// As tables.
    pub fn to_text(&self) -> String {
        let mut text =
            format!("{}\njob {}, cores {}\n\n", self.machine.show(), self.job, self.cores);
        if self.trials.is_empty() {
            text += &self.bounded_text();
        } else {
            text += &self.search_text();
        }
        if self.interrupted {
            text += "\ninterrupted: this is what was measured until then\n";
        }
        text
    }

    fn search_text(&self) -> String {
        let heading = [
            "records/s",
            "queue growth",
            "received",
            "p50 µs",
            "p99 µs",
            "late p99 µs",
            "sustained",
        ];
        let mut table = Table::new(&heading);
        for trial in &self.trials {
            let latencies = trial.figures.latency_us.all();
            table.add(vec![
                trial.rate.to_string(),
                format!("{:.0}", trial.queue_growth),
                trial.figures.received.to_string(),
                figure(latencies[0]),
                figure(latencies[2]),
                figure(trial.figures.lateness_us.p99()),
                if trial.sustained { "yes" } else { "no" }.to_owned(),
            ]);
        }
        let mut text = table.render();
        match self.sustainable_rate {
            None => text += "\nno rate was sustained\n",
            Some(rate) => text += &self.sustained_text(rate),
        }
        text
    }

    fn sustained_text(&self, rate: u64) -> String {
        let (held, runs) = (self.held(), self.sustained.len());
        let mut text = format!("\nsustainable: {rate} records/s, again in {held} of {runs} runs\n");
        let kept = self.judged();
        let megabytes = rate as f64 * (self.record_bytes.unwrap_or(0) + 1) as f64 / 1e6;
        let mut table = Table::new(&["figure", "median (least to most)"]);
        let mut row = |name: &str, value: &dyn Fn(&Sustained) -> Option<f64>| {
            if let Some(spread) = Spread::of(kept.iter().filter_map(|run| value(run))) {
                table.add(vec![name.to_owned(), spread.show(2)]);
            }
        };
        row("MB/s in", &|_| Some(megabytes));
        row("records/s per core", &|_| Some(rate as f64 / self.cores as f64));
        row("CPU s per million records", &|run| run.trial.figures.cpu_seconds_per_million());
        row("peak memory, MiB", &|run| run.trial.figures.memory_mebibytes());
        row("latency p50, µs", &|run| Some(run.trial.figures.latency_us.all()[0]));
        row("latency p99, µs", &|run| Some(run.trial.figures.latency_us.all()[2]));
        row("bare read loop, MB/s", &|run| Some(run.read_loop / 1e6));
        row("part of the read loop", &|run| Some(megabytes / (run.read_loop / 1e6)));
        row("generator alone, records/s", &|run| Some(run.generator_alone));
        text += &table.render();
        text + &self.generator_text(rate)
    }

    /// Runs at the rate found in which it was sustained again.
    fn held(&self) -> usize {
        self.sustained.iter().filter(|run| run.trial.sustained).count()
    }

    /// The runs at the rate found that count.
    fn judged(&self) -> Vec<&Sustained> {
        // The time a floor takes is the inverse of its rate: longer means that the machine stalled.
        let times: Vec<f64> = self.sustained.iter().map(|run| run.read_loop.recip()).collect();
        let kept = self.sustained.iter().zip(judged(&times)).filter(|(_, judged)| *judged);
        kept.map(|(run, _)| run).collect()
    }

    fn generator_text(&self, rate: u64) -> String {
        match self.generator_factor(rate) {
            None => String::new(),
            Some(factor) => {
                self.generator_caveat(factor).unwrap_or_else(|| {
                    format!("the generator alone sends {factor:.1} times as much")
                }) + "\n"
            }
        }
    }

    /// How many times as much the generator alone sends.
    fn generator_factor(&self, rate: u64) -> Option<f64> {
        let alone = Spread::of(self.sustained.iter().map(|run| run.generator_alone))?;
        Some(alone.median / rate as f64)
    }

    /// That the generator may have been the limit.
    fn generator_caveat(&self, factor: f64) -> Option<String> {
        let late = self.trials.iter().any(|trial| trial.generator_late);
        let why = if late { ", and was late itself in a trial" } else { "" };
        (factor < GENERATOR_FACTOR_MIN || late).then(|| {
            format!(
                "the generator may have been the limit: alone it sends only {factor:.1} times as much{why}"
            )
        })
    }

    fn bounded_text(&self) -> String {
        let heading = [
            "run",
            "records",
            "M records/s",
            "per core",
            "MB/s",
            "CPU s/M",
            "MiB",
            "of floor",
            "rows out",
            "late",
        ];
        let mut table = Table::new(&heading);
        for (number, figures) in self.bounded.iter().enumerate() {
            let run = figures.run;
            table.add(vec![
                (number + 1).to_string(),
                run.records_in.to_string(),
                figure(run.records_per_second() / 1e6),
                figure(run.records_per_second() / 1e6 / self.cores as f64),
                figure(run.bytes_per_second() / 1e6),
                figure(run.cpu_seconds_per_million()),
                mebibytes(run.memory_peak_bytes),
                figures.ratio().map_or("-".to_owned(), figure),
                run.rows_out.to_string(),
                run.late_rows.to_string(),
            ]);
        }
        let spread = |value: fn(&BoundedRun) -> f64| {
            let values = self.bounded.iter().map(|figures| value(&figures.run));
            Spread::of(values).map_or("-".to_owned(), |spread| spread.show(3))
        };
        format!(
            "{}\nM records/s: {}\nCPU s per million records: {}\n",
            table.render(),
            spread(|run| run.records_per_second() / 1e6),
            spread(BoundedRun::cpu_seconds_per_million)
        )
    }
}
