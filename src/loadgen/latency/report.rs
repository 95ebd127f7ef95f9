//! What `bench latency` prints: a table for people, or a document for programs.
//!
//! Read: `result` (the same for a folder of results).
//!
//! Field names carry their units. `schema` counts up when a field changes its meaning.

mod result;

use std::collections::BTreeMap;

use serde::Serialize;

use super::super::figures::{LATENCY_NAMES, RunFigures};
use super::super::machine::Machine;
use super::super::options::{LatencyOptions, LoadOptions, Subject};
use super::super::pacing::Shape;
use super::super::spread::{FLOOR_FACTOR_MAX, Spread, judged};
use super::super::table::{Table, figure, mebibytes};
use crate::workload::KeyDistribution;

/// Version of the document's form.
const REPORT_SCHEMA: u32 = 1;

/// Everything that was measured.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub struct LatencyReport {
    schema: u32,
    bench: &'static str,
    machine: Machine,
    load: BTreeMap<&'static str, String>,
    /// Ended before its time by a signal: what there is until then.
    interrupted: bool,
    rates: Vec<RateFigures>,
}

/// All runs at one rate.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub(super) struct RateFigures {
    /// Records per second asked for.
    rate: u64,
    runs: Vec<RunPair>,
    /// By the names of the latencies, over the runs that are judged.
    summary: BTreeMap<&'static str, Comparison>,
}

/// A run of the floor, unless it was left out, and the run of the job behind it.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub(super) struct RunPair {
    pub(super) run: u32,
    pub(super) floor: Option<RunFigures>,
    pub(super) job: RunFigures,
}

/// One latency, µs.
#[derive(Clone, Copy, PartialEq, Serialize, Debug)]
struct Comparison {
    floor: Option<Spread>,
    job: Spread,
    /// Of the medians.
    ratio: Option<f64>,
    /// Those in which the floor was no more than three times its median.
    runs_judged: usize,
}

impl RateFigures {
    pub(super) fn new(rate: u64, runs: Vec<RunPair>) -> RateFigures {
        let named = LATENCY_NAMES.iter().enumerate();
        let summary = named.map(|(place, &name)| (name, Comparison::of(&runs, place))).collect();
        RateFigures { rate, runs, summary }
    }
}

impl Comparison {
    fn of(runs: &[RunPair], place: usize) -> Comparison {
        let Judged { floor, job } = Judged::new(runs, place);
        let floor = floor.and_then(Spread::of);
        let runs_judged = job.len();
        let job = Spread::of(job).expect("the run with the floor's median is judged");
        let ratio = floor.map(|floor| job.median / floor.median).filter(|ratio| ratio.is_finite());
        Comparison { floor, job, ratio, runs_judged }
    }
}

/// A latency in the runs that are judged by it.
struct Judged {
    floor: Option<Vec<f64>>,
    job: Vec<f64>,
}

impl Judged {
    fn new(runs: &[RunPair], place: usize) -> Judged {
        let value = |figures: &RunFigures| figures.latency_us.all()[place];
        let floor: Option<Vec<f64>> =
            runs.iter().map(|pair| pair.floor.as_ref().map(value)).collect();
        let judged = match &floor {
            Some(floor) => judged(floor),
            None => vec![true; runs.len()],
        };
        let of_judged = |values: Vec<f64>| {
            let kept = values.into_iter().zip(&judged).filter(|(_, judged)| **judged);
            kept.map(|(kept, _)| kept).collect()
        };
        let job = of_judged(runs.iter().map(|pair| value(&pair.job)).collect());
        Judged { floor: floor.map(of_judged), job }
    }
}

impl LatencyReport {
    pub(super) fn new(
        options: &LatencyOptions,
        rates: Vec<RateFigures>,
        interrupted: bool,
    ) -> LatencyReport {
        LatencyReport {
            schema: REPORT_SCHEMA,
            bench: "latency",
            machine: Machine::look(),
            load: describe(options),
            interrupted,
            rates,
        }
    }

    /// What was wrong with the results of any run, one line each.
    pub fn faults(&self) -> Vec<String> {
        let pairs = self.rates.iter().flat_map(|rate| rate.runs.iter().map(move |it| (rate, it)));
        let faults = pairs.filter_map(|(rate, pair)| {
            let fault = pair.job.fault()?;
            Some(format!("{}/s, run {}: {fault}", rate.rate, pair.run))
        });
        faults.collect()
    }

    /// As a document, with a line end.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("plain data can be written as JSON");
        text + "\n"
    }

    /// As tables.
    pub fn to_text(&self) -> String {
        let load = self.load.iter().map(|(name, value)| format!("{name} {value}"));
        let load: Vec<String> = load.collect();
        let mut text = format!("{}\n{}\n", self.machine.show(), load.join(", "));
        text += "latencies in µs, from the planned send time to the arrival of the result\n";
        for rate in &self.rates {
            text += &format!(
                "\n{} records/s\n{}\n{}",
                rate.rate,
                rate.runs_text(),
                rate.summary_text()
            );
        }
        if self.rates.is_empty() {
            text += "\nnothing was measured\n";
        }
        if self.interrupted {
            text += "\ninterrupted: this is what was measured until then\n";
        }
        text
    }
}

impl RateFigures {
    fn runs_text(&self) -> String {
        let heading = [
            "run",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "p99.99",
            "max",
            "sent",
            "received",
            "lost",
            "dup.",
            "wrong",
            "sent/s",
            "late p99",
            "late max",
            "gen. CPU s",
            "CPU s",
            "MiB",
        ];
        let mut table = Table::new(&heading);
        for pair in &self.runs {
            if let Some(floor) = &pair.floor {
                table.add(run_row(&format!("{} relay", pair.run), floor));
            }
            table.add(run_row(&format!("{} job", pair.run), &pair.job));
        }
        table.render()
    }

    fn summary_text(&self) -> String {
        let mut table = Table::new(&["median (least to most)", "relay", "job", "ratio", "judged"]);
        for name in LATENCY_NAMES {
            let Comparison { floor, job, ratio, runs_judged } = &self.summary[name];
            table.add(vec![
                name.to_owned(),
                floor.map_or("-".to_owned(), |floor| floor.show(1)),
                job.show(1),
                ratio.map_or("-".to_owned(), figure),
                format!("{runs_judged} of {}", self.runs.len()),
            ]);
        }
        let mut text = table.render();
        if self.summary.values().any(|it| it.runs_judged < self.runs.len()) {
            text += &format!(
                "runs are not judged in which the relay itself exceeded {FLOOR_FACTOR_MAX} × its median: \
                 the machine stalled\n"
            );
        }
        text
    }
}

fn run_row(label: &str, figures: &RunFigures) -> Vec<String> {
    let lateness = figures.lateness_us.all();
    let none = || "-".to_owned();
    let mut row = vec![label.to_owned()];
    row.extend(figures.latency_us.all().map(|value| format!("{value:.1}")));
    row.extend(
        [figures.sent, figures.received, figures.lost, figures.duplicated]
            .map(|count| count.to_string()),
    );
    row.push((figures.wrong + figures.reordered).to_string());
    row.push(format!("{:.0}", figures.achieved_rate));
    row.extend([lateness[2], lateness[5]].map(|value| format!("{value:.1}")));
    row.push(format!("{:.2}", figures.generator_cpu_seconds));
    row.push(figures.cpu_seconds.map_or_else(none, |seconds| format!("{seconds:.2}")));
    row.push(figures.memory_peak_bytes.map_or_else(none, mebibytes));
    row
}

/// The configuration, in words.
fn describe(options: &LatencyOptions) -> BTreeMap<&'static str, String> {
    let LatencyOptions { load, subject, cpus, .. } = options;
    let subject = match subject {
        Subject::Bundled => "bundled: filter and projection".to_owned(),
        Subject::JobFile(path) => path.display().to_string(),
        Subject::Running { input, output } => format!("running: {input} to {output}"),
    };
    let cpu_list: Vec<String> = cpus.job.iter().map(ToString::to_string).collect();
    let mut described = describe_load(load);
    described.extend([
        ("job", subject),
        ("generator_cpu", cpus.generator.to_string()),
        ("job_cpus", cpu_list.join(" ")),
    ]);
    described
}

fn describe_load(load: &LoadOptions) -> BTreeMap<&'static str, String> {
    let distribution = match load.distribution {
        KeyDistribution::Uniform => "uniform".to_owned(),
        KeyDistribution::Zipfian { exponent } => format!("zipfian {exponent}"),
    };
    let shape = match load.shape {
        Shape::Steady => "steady",
        Shape::Square => "square",
        Shape::Poisson => "poisson",
    };
    let time = crate::stdx::format_duration;
    BTreeMap::from([
        ("format", load.format.name().to_owned()),
        ("record_bytes", load.record_bytes.to_string()),
        ("keys", format!("{} {distribution}", load.keys)),
        ("unwanted_every", load.unwanted_every.to_string()),
        ("shape", shape.to_owned()),
        ("warm_up", time(load.warm_up)),
        ("duration", time(load.duration)),
        ("connections", load.connections.to_string()),
        ("verify", load.verify.to_string()),
        ("seed", load.seed.to_string()),
    ])
}
