//! Bounded: a job that ends by itself, run to its end and counted.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use super::error::{BenchError, BenchErrorKind};
use super::job::{RunningJob, Scratch};
use super::progress::say;
use super::trace::RunTrace;
use crate::limits::PROGRESS_INTERVAL;
use crate::reactor::{self, Clock, SystemClock};

/// Between two looks at a job that runs.
const PAUSE: Duration = Duration::from_millis(20);

/// What the report of one run says.
#[derive(Clone, Copy, PartialEq, Serialize, Debug)]
pub(super) struct BoundedRun {
    pub(super) records_in: u64,
    /// Of sources that read bytes; others have none.
    pub(super) bytes_in: u64,
    pub(super) rows_out: u64,
    pub(super) late_rows: u64,
    /// From the start of the cores to their end.
    pub(super) wall_seconds: f64,
    pub(super) cpu_seconds: f64,
    pub(super) memory_peak_bytes: u64,
}

impl BoundedRun {
    pub(super) fn records_per_second(&self) -> f64 {
        self.records_in as f64 / self.wall_seconds
    }

    pub(super) fn bytes_per_second(&self) -> f64 {
        self.bytes_in as f64 / self.wall_seconds
    }

    pub(super) fn cpu_seconds_per_million(&self) -> f64 {
        self.cpu_seconds / (self.records_in as f64 / 1e6)
    }

    pub(super) fn memory_mebibytes(&self) -> f64 {
        self.memory_peak_bytes as f64 / f64::from(1 << 20)
    }

    /// From the document that `pelton run --report` writes.
    fn of_report(report: &Value) -> Option<BoundedRun> {
        let sum = |part: &str, field: &str| {
            let parts = report[part].as_object()?;
            parts.values().map(|it| it[field].as_u64()).sum::<Option<u64>>()
        };
        Some(BoundedRun {
            records_in: sum("sources", "records_in")?,
            bytes_in: sum("sources", "bytes_in")?,
            rows_out: sum("sinks", "rows_out")?,
            late_rows: report["late_rows"].as_u64()?,
            wall_seconds: report["wall_seconds"].as_f64()?,
            cpu_seconds: report["cpu_seconds"].as_f64()?,
            memory_peak_bytes: report["memory_peak_bytes"].as_u64()?,
        })
    }
}

/// Runs a job on `cpus`, one core on each, of `records` as far as that is known. `None` when it was stopped
/// before its end.
pub(super) fn run_to_end(
    job_file: &Path,
    cpus: &[usize],
    scratch: &Scratch,
    label: &str,
    records: Option<u64>,
    stop: &AtomicBool,
) -> Result<Option<(BoundedRun, RunTrace)>, BenchError> {
    let mut job = RunningJob::start(job_file, cpus, scratch)?;
    let began_ns = SystemClock.monotonic_ns();
    let mut said = Duration::ZERO;
    let status = loop {
        if let Some(status) = job.has_ended()? {
            break status;
        }
        if stop.load(Ordering::Relaxed) {
            job.stop()?;
            return Ok(None);
        }
        let passed = Duration::from_nanos(SystemClock.monotonic_ns() - began_ns);
        if passed - said >= PROGRESS_INTERVAL {
            said = passed;
            let last = job.counts().last().map(|(_, records_in, _)| *records_in);
            say(&format!("{label}: {}", progress(passed.as_secs_f64(), last, records)));
        }
        reactor::sleep(PAUSE);
    };
    if !status.success() {
        return Err(job.ended_early(status));
    }
    let report = job.report();
    let run = report.as_ref().and_then(BoundedRun::of_report);
    let run = run.ok_or_else(|| {
        BenchError::new(BenchErrorKind::Io, "the job ended, and its report cannot be read")
    })?;
    if run.records_in == 0 {
        let line = "the job read no record: there is nothing to measure";
        return Err(BenchError::new(BenchErrorKind::Configuration, line));
    }
    let mut counts = job.counts();
    counts.push((run.wall_seconds, run.records_in, run.rows_out));
    let trace = RunTrace { counts, ..RunTrace::default() }.with_stages(report.as_ref());
    Ok(Some((run, trace)))
}

/// How far a run is that has read so many of so many records.
fn progress(passed: f64, done: Option<u64>, records: Option<u64>) -> String {
    let Some(done) = done.filter(|done| *done > 0) else { return format!("{passed:.0} s") };
    let rate = done as f64 / passed;
    let left = records.map_or(String::new(), |records| {
        format!(", {:.0} s left", records.saturating_sub(done) as f64 / rate)
    });
    format!("{passed:.0} s{left}, {done} records ({rate:.0}/s)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_says_what_is_known() {
        assert_eq!(progress(2.0, None, Some(9)), "2 s");
        assert_eq!(progress(2.0, Some(100), None), "2 s, 100 records (50/s)");
        assert_eq!(progress(2.0, Some(100), Some(400)), "2 s, 6 s left, 100 records (50/s)");
        assert_eq!(progress(2.0, Some(100), Some(90)), "2 s, 0 s left, 100 records (50/s)");
    }

    #[test]
    fn a_report_becomes_figures() {
        let report = serde_json::json!({
            "sources": {"a": {"records_in": 3_000_000, "bytes_in": 10}, "b": {"records_in": 1_000_000, "bytes_in": 5}},
            "sinks": {"s": {"rows_out": 7}},
            "late_rows": 1, "wall_seconds": 2.0, "cpu_seconds": 8.0, "memory_peak_bytes": 99,
        });
        let run = BoundedRun::of_report(&report).unwrap();
        assert_eq!(
            (run.records_in, run.bytes_in, run.rows_out, run.late_rows),
            (4_000_000, 15, 7, 1)
        );
        assert_eq!(run.records_per_second(), 2e6);
        assert_eq!(run.bytes_per_second(), 7.5);
        assert_eq!(run.cpu_seconds_per_million(), 2.0);
        assert_eq!(BoundedRun::of_report(&serde_json::json!({"sources": {}})), None);
    }
}
