//! `bench floor`: every floor of this machine, in rounds, so that each is measured at several times.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde::Serialize;

use super::super::driver::{Live, drive};
use super::super::error::BenchError;
use super::super::machine::Machine;
use super::super::options::{BenchCpus, LoadOptions};
use super::super::pacing::Shape;
use super::super::progress::{on_cpu, say, stop_flag};
use super::super::result::{BenchResult, Better, Charts, Figure, ResultHead};
use super::super::spread::Spread;
use super::super::table::{Table, figure};
use super::super::wire::WireFormat;
use super::{Relay, Sample, disk, generators, latency_samples, memory, network};
use crate::reactor::{Clock, SystemClock};
use crate::workload::KeyDistribution;

/// Version of the document's form.
const REPORT_SCHEMA: u32 = 1;

/// Lines per second through the relay.
const RELAY_RATE: u64 = 50_000;

/// How, and where.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FloorOptions {
    /// The generator's measures; the first of the job's is its peer.
    pub cpus: BenchCpus,
    /// Times each floor is measured; at least one.
    pub rounds: u32,
    /// Time of one measurement.
    pub time: Duration,
    /// Where the disk is measured: a directory.
    pub directory: PathBuf,
}

/// Everything that was measured.
#[derive(Clone, PartialEq, Serialize, Debug)]
pub struct FloorReport {
    schema: u32,
    bench: &'static str,
    machine: Machine,
    rounds: u32,
    seconds: f64,
    directory: String,
    interrupted: bool,
    floors: Vec<FloorFigure>,
}

/// One figure over all rounds.
#[derive(Clone, PartialEq, Serialize, Debug)]
struct FloorFigure {
    floor: &'static str,
    figure: &'static str,
    unit: &'static str,
    #[serde(flatten)]
    spread: Spread,
    values: Vec<f64>,
}

type Measure = fn(&FloorOptions) -> Result<Vec<Sample>, BenchError>;

/// In the order in which they are printed.
const FLOORS: [(&str, Measure); 9] = [
    ("relay: lines at 50 k/s", relay),
    ("echo: 64 bytes there and back", |it| network::echo(it.cpus.job[0], it.time)),
    ("tcp: bare read loop", |it| network::read_loop(it.cpus.job[0], it.time)),
    ("ring between cores", |it| memory::ring_between_cores(it.cpus.job[0], it.time)),
    ("memory copy", |it| memory::copy(it.time)),
    ("disk: range sync of 4 KiB", |it| disk::range_sync(&it.directory, it.time)),
    ("disk: direct write", |it| disk::direct_write(&it.directory, it.time)),
    ("generator: JSON records over TCP", |it| generators::records(it.cpus.job[0], it.time)),
    ("generator: nexmark", |it| generators::nexmark(it.time)),
];

/// Measures, saying on standard error how far it is.
///
/// # Errors
/// When there is no port or no thread, or the directory cannot be written to.
pub fn floor(options: &FloorOptions) -> Result<FloorReport, BenchError> {
    assert!(options.rounds > 0);
    let stop = stop_flag()?;
    let began_ns = SystemClock.monotonic_ns();
    let mut floors: Vec<FloorFigure> = Vec::new();
    for round in 1..=options.rounds {
        for (place, (name, measure)) in FLOORS.into_iter().enumerate() {
            if stop.load(Ordering::Relaxed) {
                break;
            }
            let rounds_left = f64::from(options.rounds - round);
            let left = rounds_left * FLOORS.len() as f64 + (FLOORS.len() - place) as f64;
            say(&format!(
                "round {round} of {}, {name}: {:.0} s, {:.0} s left",
                options.rounds,
                Duration::from_nanos(SystemClock.monotonic_ns() - began_ns).as_secs_f64(),
                left * options.time.as_secs_f64()
            ));
            let owned = options.clone();
            let body = move || measure(&owned);
            let samples = on_cpu(options.cpus.generator, body, |_| Ok(()))??;
            samples.into_iter().for_each(|sample| add(&mut floors, name, sample));
        }
    }
    Ok(FloorReport {
        schema: REPORT_SCHEMA,
        bench: "floor",
        machine: Machine::look(),
        rounds: options.rounds,
        seconds: options.time.as_secs_f64(),
        directory: options.directory.display().to_string(),
        interrupted: stop.load(Ordering::Relaxed),
        floors,
    })
}

fn add(floors: &mut Vec<FloorFigure>, floor: &'static str, sample: Sample) {
    let Sample { figure, unit, value } = sample;
    let found = floors.iter_mut().find(|it| it.floor == floor && it.figure == figure);
    match found {
        Some(known) => {
            known.values.push(value);
            known.spread = Spread::of(known.values.iter().copied()).expect("there is one");
        }
        None => {
            let spread = Spread { median: value, min: value, max: value };
            floors.push(FloorFigure { floor, figure, unit, spread, values: vec![value] });
        }
    }
}

fn relay(options: &FloorOptions) -> Result<Vec<Sample>, BenchError> {
    let relay = Relay::start(options.cpus.job[0], 1)?;
    let load = LoadOptions {
        format: WireFormat::Json,
        record_bytes: 128,
        keys: 1_000,
        distribution: KeyDistribution::Uniform,
        unwanted_every: 0,
        shape: Shape::Steady,
        warm_up: options.time / 10,
        duration: options.time,
        patience: Duration::from_secs(5),
        connections: 1,
        verify: false,
        seed: 1,
    };
    let measured = drive(relay.target(), &load, RELAY_RATE, &Live::default())?;
    relay.stop()?;
    Ok(latency_samples(&measured.latencies()))
}

impl FloorReport {
    /// Floors without a figure.
    fn missing(&self) -> impl Iterator<Item = &'static str> {
        let names = FLOORS.iter().map(|(name, _)| *name);
        names.filter(|name| !self.floors.iter().any(|it| it.floor == *name))
    }

    /// For a folder of results.
    pub fn result(&self) -> BenchResult {
        let figures = self.floors.iter().filter_map(|it| {
            let better = if it.unit == "µs" { Better::Lower } else { Better::Higher };
            let values = it.values.iter().copied();
            Figure::of((it.floor, it.figure, ""), (it.unit, better), values)
        });
        let configuration = vec![
            ("rounds", self.rounds.to_string()),
            ("seconds", self.seconds.to_string()),
            ("directory", self.directory.clone()),
        ];
        let head = ResultHead {
            bench: self.bench,
            machine: &self.machine,
            configuration,
            interrupted: self.interrupted,
            caveats: Vec::new(),
            not_measured: self
                .missing()
                .map(|name| format!("{name}: not supported here"))
                .collect(),
            document: self.to_json(),
        };
        BenchResult::new(head, figures.collect(), Charts::default())
    }

    /// As a document, with a line end.
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("plain data can be written as JSON");
        text + "\n"
    }

    /// As a table.
    pub fn to_text(&self) -> String {
        let mut table = Table::new(&["floor", "figure", "median", "least", "most", "unit"]);
        for it in &self.floors {
            let Spread { median, min, max } = it.spread;
            let mut row = vec![it.floor.to_owned(), it.figure.to_owned()];
            row.extend([median, min, max].map(figure));
            row.push(it.unit.to_owned());
            table.add(row);
        }
        let mut text = format!(
            "{}\n{} rounds of {} s each; disk: {}\n\n{}",
            self.machine.show(),
            self.rounds,
            self.seconds,
            self.directory,
            table.render()
        );
        for name in self.missing() {
            text += &format!("{name}: not supported here\n");
        }
        if self.interrupted {
            text += "interrupted: this is what was measured until then\n";
        }
        text
    }
}
