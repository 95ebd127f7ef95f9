//! `bench throughput`: the highest rate that a job sustains, found by search; and what a job that ends by
//! itself takes at most.
//!
//! Read: `search` (rates to try) · `report` (what is printed).
//!
//! Sustainable is meant as Karimov and others defined it: records are sent at a fixed rate, and the queue of
//! those without a result does not grow over the window. A job that only accepts faster than it answers does
//! not sustain the rate.

mod report;
mod search;

pub use report::ThroughputReport;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::bounded::run_to_end;
use super::driver::{Live, Measured, drive};
use super::error::BenchError;
use super::figures::RunFigures;
use super::floor::{made_floor, read_floor, read_loop_floor, records_floor};
use super::job::{RunningJob, Scratch};
use super::latency::bundled_job;
use super::options::{BenchCpus, LoadOptions};
use super::progress::{on_cpu, say, say_progress, stop_flag};
use super::wire::RecordWriter;
use crate::reactor::ProcessUsage;
use report::{BoundedFigures, Sustained, Trial};
use search::{grows, search};

/// Time of a floor before each run.
const FLOOR_TIME: Duration = Duration::from_millis(500);

/// Attempts at a rate before it counts as one that is not sustained: the machine may have stalled.
const ATTEMPTS_MAX: u32 = 2;

/// Later than this at p99, the generator itself did not keep up.
const LATENESS_US_MAX: f64 = 20_000.0;

/// The search for the highest sustainable rate.
#[derive(Clone, PartialEq, Debug)]
pub struct SearchOptions {
    /// What is sent; its duration is the window of a trial.
    pub load: LoadOptions,
    /// The job; the bundled one without it.
    pub job_file: Option<PathBuf>,
    /// Records per second to begin with.
    pub first_rate: u64,
    /// Rates nearer than this part of themselves are not told apart; positive.
    pub precision: f64,
    /// Runs at the rate found; at least one.
    pub runs: u32,
    /// Where.
    pub cpus: BenchCpus,
}

/// What a job that ends by itself is compared with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BoundedFloor {
    /// A bare read of these files.
    Files(Vec<PathBuf>),
    /// Nexmark's events, made and dropped on as many cores.
    Nexmark,
    /// Nothing that is known here.
    None,
}

/// A job that ends by itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BoundedOptions {
    /// The job.
    pub job_file: PathBuf,
    /// What is compared with it.
    pub floor: BoundedFloor,
    /// Runs; at least one.
    pub runs: u32,
    /// A core on each.
    pub cpus: Vec<usize>,
}

/// Searches, saying on standard error how far it is.
///
/// # Errors
/// When the job does not start or ends early, or a connection fails.
pub fn sustainable(options: &SearchOptions) -> Result<ThroughputReport, BenchError> {
    assert!(options.runs > 0 && options.precision > 0.0);
    let bench = Bench { options, scratch: Scratch::new()?, stop: stop_flag()? };
    let mut trials = Vec::new();
    let found = search(options.first_rate, options.precision, |rate| {
        for _ in 0..ATTEMPTS_MAX {
            if bench.stop.load(Ordering::Relaxed) {
                return Ok(None);
            }
            let trial = bench.trial(rate)?;
            let sustained = trial.sustained;
            trials.push(trial);
            if sustained {
                return Ok(Some(true));
            }
        }
        Ok(Some(false))
    })?;
    let mut sustained = Vec::new();
    if let Some(rate) = found {
        for _ in 0..options.runs {
            if bench.stop.load(Ordering::Relaxed) {
                break;
            }
            sustained.push(bench.confirm(rate)?);
        }
    }
    let interrupted = bench.stop.load(Ordering::Relaxed);
    Ok(ThroughputReport::of_search(options, found, trials, sustained, interrupted))
}

/// Runs a job to its end several times, saying on standard error how far it is.
///
/// # Errors
/// When it does not run to its end.
pub fn bounded(options: &BoundedOptions) -> Result<ThroughputReport, BenchError> {
    assert!(options.runs > 0 && !options.cpus.is_empty());
    let (scratch, stop) = (Scratch::new()?, stop_flag()?);
    let mut runs = Vec::new();
    for number in 1..=options.runs {
        let cpu = options.cpus[0];
        let floor = match options.floor.clone() {
            BoundedFloor::None => None,
            BoundedFloor::Nexmark => {
                let made = on_cpu(cpu, || made_floor(FLOOR_TIME), |_| Ok(()))?;
                Some(made * options.cpus.len() as f64)
            }
            BoundedFloor::Files(files) => {
                Some(on_cpu(cpu, move || read_floor(&files, FLOOR_TIME), |_| Ok(()))??)
            }
        };
        let label = format!("run {number} of {}", options.runs);
        say(&label);
        // As many as last time.
        let records = runs.last().map(|run: &BoundedFigures| run.run.records_in);
        match run_to_end(&options.job_file, &options.cpus, &scratch, &label, records, &stop)? {
            Some((run, trace)) => runs.push(BoundedFigures { run, floor, trace }),
            None => break,
        }
    }
    Ok(ThroughputReport::of_bounded(options, runs, stop.load(Ordering::Relaxed)))
}

struct Bench<'a> {
    options: &'a SearchOptions,
    scratch: Scratch,
    stop: Arc<AtomicBool>,
}

impl Bench<'_> {
    /// One window at a rate, with a job of its own: what an earlier one left queued does not count.
    fn trial(&self, rate: u64) -> Result<Trial, BenchError> {
        let job_file = match &self.options.job_file {
            Some(path) => path.clone(),
            None => self.scratch.write("job.toml", &bundled_job(self.options.load.format))?,
        };
        let mut job = RunningJob::start(&job_file, &self.options.cpus.job, &self.scratch)?;
        let driven = self.drive(&mut job, rate);
        let (measured, used) = match driven {
            Ok(driven) => driven,
            // A job that died is the cause of whatever else happened.
            Err(error) => return Err(job.death().unwrap_or(error)),
        };
        let report = job.stop()?;
        let mut trial = self.judge(rate, &measured, used);
        trial.figures = trial.figures.with_stages(report.as_ref());
        let verdict = if trial.sustained { "sustained" } else { "not sustained" };
        say(&format!("{rate}/s: {verdict}"));
        Ok(trial)
    }

    fn drive(
        &self,
        job: &mut RunningJob,
        rate: u64,
    ) -> Result<(Measured, Option<ProcessUsage>), BenchError> {
        let target = job.target()?;
        let before = job.usage();
        let live = Live { stop: Arc::clone(&self.stop), ..Live::default() };
        let (load, seen) = (self.options.load.clone(), live.clone());
        let planned = (load.warm_up + load.duration).as_secs_f64();
        let label = format!("{rate}/s");
        let body = move || drive(target, &load, rate, &live);
        let measured = on_cpu(self.options.cpus.generator, body, |passed| {
            say_progress(&label, &seen, passed, planned);
            job.expect_alive()
        })??;
        let used = job.used_since(before);
        Ok((measured, used))
    }

    fn judge(&self, rate: u64, measured: &Measured, used: Option<ProcessUsage>) -> Trial {
        let figures = RunFigures::new(measured, used);
        let window = self.options.load.duration.as_secs_f64();
        let growth = grows(&measured.queue, rate as f64 * window);
        let late = figures.lateness_us.p99() > LATENESS_US_MAX;
        let complete = figures.is_clean && !measured.interrupted;
        Trial {
            rate,
            sustained: complete && !growth.is_too_much && !late,
            queue_growth: growth.records,
            generator_late: late,
            figures,
        }
    }

    /// A run at the rate found, and the floors just before it.
    fn confirm(&self, rate: u64) -> Result<Sustained, BenchError> {
        let (generator, peer) = (self.options.cpus.generator, self.options.cpus.job[0]);
        let LoadOptions { format, record_bytes, .. } = self.options.load;
        let writer = RecordWriter::new(format, record_bytes);
        let read = move || read_loop_floor(peer, FLOOR_TIME);
        let read_loop = on_cpu(generator, read, |_| Ok(()))??;
        let write = move || records_floor(&writer, peer, FLOOR_TIME);
        let generator_alone = on_cpu(generator, write, |_| Ok(()))??;
        let trial = self.trial(rate)?;
        Ok(Sustained { trial, read_loop, generator_alone })
    }
}
