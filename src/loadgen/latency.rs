//! `bench latency`: runs of a job, alternating with runs of a bare relay, at each rate.
//!
//! Read: `report` (what is printed).
//!
//! Relay and job take turns within one command because shared machines stall by themselves: what is
//! compared must have met the same machine.

mod report;

pub use report::LatencyReport;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::driver::{Live, Measured, Target, drive};
use super::error::BenchError;
use super::figures::RunFigures;
use super::floor::Relay;
use super::hdr_log::{LogEntry, hdr_log};
use super::job::{RunningJob, Scratch};
use super::options::{LatencyOptions, LoadOptions, Subject};
use super::progress::{on_cpu, say, say_progress, stop_flag};
use super::wire::WireFormat;
use crate::reactor::{Clock, ProcessUsage, SystemClock};
use report::{RateFigures, RunPair};

/// What is measured unless a job is named.
const BUNDLED_JOB: &str = include_str!("../../bench/workloads/latency.toml");

/// The bundled job drops records with this distance.
pub const BUNDLED_UNWANTED_EVERY: u64 = 10;

/// Measures, saying on standard error how far it is.
///
/// # Errors
/// When the job does not start or ends early, a connection fails, or a file cannot be written. Faults
/// of results are part of the report.
pub fn latency(options: &LatencyOptions) -> Result<LatencyReport, BenchError> {
    assert!(!options.rates.is_empty() && options.runs > 0);
    let bench = Bench { options, scratch: Scratch::new()?, stop: stop_flag()? };
    let mut log = LatencyLog { began_ns: SystemClock.monotonic_ns(), runs: Vec::new() };
    let began_wall_ms = SystemClock.wall_ms();
    let mut rates = Vec::new();
    for &rate in &options.rates {
        let mut pairs = Vec::new();
        for run in 1..=options.runs {
            if bench.stop.load(Ordering::Relaxed) {
                break;
            }
            pairs.push(bench.pair(rate, run, &mut log)?);
        }
        if !pairs.is_empty() {
            rates.push(RateFigures::new(rate, pairs));
        }
    }
    if let Some(path) = &options.hdr_log {
        let text = hdr_log(began_wall_ms, log.entries());
        fs::write(path, text)
            .map_err(|error| BenchError::io(&format!("writing {}", path.display()), &error))?;
    }
    Ok(LatencyReport::new(options, rates, bench.stop.load(Ordering::Relaxed)))
}

/// Latencies of every run, for the HDR log.
struct LatencyLog {
    began_ns: u64,
    runs: Vec<(String, Duration, Measured)>,
}

impl LatencyLog {
    fn entries(&self) -> impl Iterator<Item = LogEntry<'_>> {
        self.runs.iter().flat_map(|(tag, start, measured)| {
            let intervals = (0..).zip(&measured.intervals);
            intervals.map(move |(number, latencies)| LogEntry {
                tag,
                start: *start + measured.interval * number,
                length: measured.interval,
                latencies,
            })
        })
    }
}

struct Bench<'a> {
    options: &'a LatencyOptions,
    scratch: Scratch,
    stop: Arc<AtomicBool>,
}

impl Bench<'_> {
    /// One run of the floor, if wanted, and one of the job.
    fn pair(&self, rate: u64, run: u32, log: &mut LatencyLog) -> Result<RunPair, BenchError> {
        let floor = if self.options.floor { Some(self.relay(rate, run, log)?) } else { None };
        let job = match &self.options.subject {
            Subject::Running { input, output } => {
                let target = Target { input: *input, output: *output };
                let label = self.label(rate, run, "job");
                let measured = self.drive(target, &self.options.load, rate, &label, || Ok(()))?;
                log.add("job", rate, &measured);
                RunFigures::new(&measured, None)
            }
            Subject::Bundled => {
                let text = bundled_job(self.options.load.format);
                self.job(self.scratch.write("bench-latency.toml", &text)?, rate, run, log)?
            }
            Subject::JobFile(path) => self.job(path.clone(), rate, run, log)?,
        };
        Ok(RunPair { run, floor, job })
    }

    fn relay(&self, rate: u64, run: u32, log: &mut LatencyLog) -> Result<RunFigures, BenchError> {
        let relay = Relay::start(self.options.cpus.job[0], self.options.load.connections)?;
        // A relay filters nothing, and passes on lines.
        let format = self.options.load.format.as_lines();
        let load = LoadOptions { unwanted_every: 0, format, ..self.options.load.clone() };
        let label = self.label(rate, run, "relay");
        let measured = self.drive(relay.target(), &load, rate, &label, || Ok(()))?;
        let cpu = relay.stop()?;
        let used = ProcessUsage { cpu, memory_bytes: 0, memory_peak_bytes: 0 };
        log.add("relay", rate, &measured);
        Ok(RunFigures::new(&measured, Some(used)))
    }

    fn job(
        &self,
        job_file: PathBuf,
        rate: u64,
        run: u32,
        log: &mut LatencyLog,
    ) -> Result<RunFigures, BenchError> {
        let mut job = RunningJob::start(&job_file, &self.options.cpus.job, &self.scratch)?;
        let target = job.target()?;
        let before = job.usage();
        let label = self.label(rate, run, "pelton");
        let driven = self.drive(target, &self.options.load, rate, &label, || job.expect_alive());
        let measured = match driven {
            Ok(measured) => measured,
            // A job that died is the cause of whatever else happened.
            Err(error) => return Err(job.death().unwrap_or(error)),
        };
        let used = job.used_since(before);
        let report = job.stop()?;
        log.add("pelton", rate, &measured);
        Ok(RunFigures::new(&measured, used).with_stages(report.as_ref()))
    }

    fn label(&self, rate: u64, run: u32, subject: &str) -> String {
        format!("{rate}/s, run {run} of {}, {subject}", self.options.runs)
    }

    /// On the generator's CPU, with a line of progress each second.
    fn drive(
        &self,
        target: Target,
        load: &LoadOptions,
        rate: u64,
        label: &str,
        mut alive: impl FnMut() -> Result<(), BenchError>,
    ) -> Result<Measured, BenchError> {
        let live = Live { stop: Arc::clone(&self.stop), ..Live::default() };
        let planned = (load.warm_up + load.duration).as_secs_f64();
        let (load, seen) = (load.clone(), live.clone());
        let body = move || drive(target, &load, rate, &live);
        let measured = on_cpu(self.options.cpus.generator, body, |passed| {
            say_progress(label, &seen, passed, planned);
            alive()
        })??;
        if let Some(fault) = RunFigures::new(&measured, None).fault() {
            say(&format!("{label}: {fault}"));
        }
        Ok(measured)
    }
}

impl LatencyLog {
    fn add(&mut self, subject: &str, rate: u64, measured: &Measured) {
        let now = Duration::from_nanos(SystemClock.monotonic_ns() - self.began_ns);
        let whole = measured.interval * u32::try_from(measured.intervals.len()).unwrap_or(0);
        let start = now.saturating_sub(whole);
        self.runs.push((format!("{subject}-{rate}"), start, measured.clone()));
    }
}

/// The bundled job, reading and writing this format.
pub(super) fn bundled_job(format: WireFormat) -> String {
    BUNDLED_JOB.replace("format = \"json\"", &format!("format = \"{}\"", format.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bundled_job_speaks_the_format_asked_for() {
        assert_eq!(bundled_job(WireFormat::Json), BUNDLED_JOB);
        assert_eq!(bundled_job(WireFormat::Csv).matches("format = \"csv\"").count(), 2);
        assert_eq!(bundled_job(WireFormat::Rkyv).matches("format = \"rkyv\"").count(), 2);
    }
}
