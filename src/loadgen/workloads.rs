//! `bench nexmark`, `ysb`, `wordcount`, `passthrough`, `fraud`: bundled jobs, run to their end, as a table.
//!
//! Read: `catalog` (the jobs) · `report` (what is printed).
//!
//! A query that the dialect does not support yet is asked for all the same: it is listed with the
//! reason that `pelton check` gives.

mod catalog;
mod report;

pub use catalog::Suite;
pub use report::WorkloadReport;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::bounded::run_to_end;
use super::error::BenchError;
use super::floor::{files_in, made_floor, read_floor};
use super::job::Scratch;
use super::progress::{on_cpu, say, stop_flag};
use catalog::Workload;
use report::{QueryFigures, QueryOutcome, QueryRun};

/// Time of a floor before each run.
const FLOOR_TIME: Duration = Duration::from_millis(300);

/// Where rows come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum RowSource {
    /// The job makes them itself.
    InProcess,
    /// JSON files, made before anything is measured.
    Json,
}

/// Which jobs, and how.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WorkloadOptions {
    /// Which family.
    pub suite: Suite,
    /// Names of queries, known ones; all of them when empty.
    pub queries: Vec<String>,
    /// Rows of a run; positive.
    pub rows: u64,
    /// Where they come from.
    pub source: RowSource,
    /// A core on each.
    pub cpus: Vec<usize>,
    /// Runs of each query; at least one.
    pub runs: u32,
    /// Where files made beforehand go for the while; the temporary directory without it.
    pub directory: Option<PathBuf>,
}

/// Measures, saying on standard error how far it is.
///
/// # Errors
/// When a job does not run to its end, or a file cannot be written.
pub fn workloads(options: &WorkloadOptions) -> Result<WorkloadReport, BenchError> {
    assert!(options.rows > 0 && options.runs > 0 && !options.cpus.is_empty());
    let scratch = Scratch::in_directory(options.directory.as_deref())?;
    let mut bench = Bench { options, scratch, stop: stop_flag()?, made: None };
    let mut queries = Vec::new();
    for workload in options.suite.workloads() {
        let wanted = options.queries.is_empty()
            || options.queries.iter().any(|query| query == workload.name);
        if wanted && !bench.stop.load(Ordering::Relaxed) {
            let outcome = bench.query(workload)?;
            queries.push(QueryFigures::new(workload.name, outcome));
        }
    }
    Ok(WorkloadReport::new(options, queries, bench.stop.load(Ordering::Relaxed)))
}

struct Bench<'a> {
    options: &'a WorkloadOptions,
    scratch: Scratch,
    stop: Arc<AtomicBool>,
    /// The directory of the file made beforehand; a suite has one.
    made: Option<PathBuf>,
}

impl Bench<'_> {
    fn query(&mut self, workload: &Workload) -> Result<QueryOutcome, BenchError> {
        let in_process = workload.in_process(self.options.rows);
        let job_file = self.scratch.write("job.toml", &in_process)?;
        if let Some(reason) = refusal(&job_file)? {
            return Ok(QueryOutcome::NotSupported(reason));
        }
        if self.options.source == RowSource::Json {
            let directory = self.made(workload)?;
            let pattern = directory.join("*.json").display().to_string();
            self.scratch.write("job.toml", &workload.over_file(&pattern))?;
        }
        let mut runs = Vec::new();
        for run in 1..=self.options.runs {
            let floor = self.floor()?;
            let label = format!("{}, run {run} of {}", workload.name, self.options.runs);
            say(&label);
            let cpus = &self.options.cpus;
            let rows = Some(self.options.rows);
            match run_to_end(&job_file, cpus, &self.scratch, &label, rows, &self.stop)? {
                Some((job, trace)) => runs.push(QueryRun { job, floor, trace }),
                None => break,
            }
        }
        Ok(QueryOutcome::Measured(runs))
    }

    /// The directory of the suite's file; made on one core, so that its rows are in order.
    fn made(&mut self, workload: &Workload) -> Result<PathBuf, BenchError> {
        if let Some(directory) = &self.made {
            return Ok(directory.clone());
        }
        let directory = self.scratch.path("made");
        let text = workload.maker(self.options.rows, &directory.display().to_string());
        let maker = self.scratch.write("maker.toml", &text)?;
        say(&format!("making {} rows as JSON", self.options.rows));
        let (cpus, rows) = (&self.options.cpus[..1], Some(self.options.rows));
        run_to_end(&maker, cpus, &self.scratch, "making rows", rows, &self.stop)?;
        self.made = Some(directory.clone());
        Ok(directory)
    }

    /// What the source could do at best: records per second on one core of a generator alone, bytes per
    /// second of a bare read of the file.
    fn floor(&self) -> Result<Option<f64>, BenchError> {
        let cpu = self.options.cpus[0];
        match (self.options.source, self.options.suite, &self.made) {
            (RowSource::InProcess, Suite::Nexmark, _) => {
                on_cpu(cpu, || made_floor(FLOOR_TIME), |_| Ok(())).map(Some)
            }
            (RowSource::Json, _, Some(directory)) => {
                let files = files_in(directory)?;
                on_cpu(cpu, move || read_floor(&files, FLOOR_TIME), |_| Ok(()))?.map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Why `pelton check` does not accept a job; `None` when it does.
fn refusal(job_file: &Path) -> Result<Option<String>, BenchError> {
    let failed = |error| BenchError::io("starting pelton", &error);
    let program = std::env::current_exe().map_err(failed)?;
    let mut command = Command::new(program);
    command.arg("check").arg(job_file).stdin(Stdio::null());
    let output = command.output().map_err(failed)?;
    if output.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let first = said.lines().find_map(|line| line.strip_prefix("error: ")).unwrap_or("no reason");
    let place = format!("{}:", job_file.display());
    let reason = first.strip_prefix(&place).map_or(first, without_place);
    Ok(Some(reason.to_owned()))
}

/// `16:1: JOIN is …` without line and column, which are those of an embedded file.
fn without_place(line: &str) -> &str {
    let is_place = |c: char| c.is_ascii_digit() || c == ':';
    line.trim_start_matches(is_place).trim_start()
}
