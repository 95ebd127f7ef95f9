//! The life of a job: check, prepare, start, watch, end.
//!
//! Read: `error` (how a job ends badly) · `prepare` (nothing outside the process is changed) ·
//! `claims` (what no two tables may share) · `definition` (is it the same job) · `connect` (sources and sinks, per core) · `run` (start order, supervision, end) · `signals` ·
//! `progress` · `totals` · `ledger` · `report` · `live` (a running job) with `status` and `prometheus` (what is told of it) · `http` ·
//! `audience` (who is told without asking), `screen`, `log`, `notify` · `names` · `explain` · `why` · `doctor`.

mod audience;
mod claims;
mod connect;
mod definition;
mod doctor;
mod durability;
mod error;
mod explain;
mod http;
mod ledger;
mod live;
mod log;
mod names;
mod notify;
mod prepare;
mod progress;
mod prometheus;
mod report;
mod run;
mod screen;
mod signals;
mod status;
mod totals;
mod why;

pub use doctor::Diagnosis;
pub use error::{ErrorClass, JobError};
pub use explain::ExplainFormat;
pub use log::{LogFormat, error_lines};
pub use run::RunOptions;

use crate::config::{CoreChoice, Job};
use crate::reactor;
use explain::Explained;
use status::Status;

/// Runs a job to its end.
///
/// # Errors
/// What stopped it.
pub fn run(job: &Job, options: &RunOptions) -> Result<(), JobError> {
    let log = log::Log::start(options.log, &job.name)?;
    let ended = run::run(job, options, &log);
    log.end();
    ended
}

/// Plans a job without running it; notes for the user, one line each.
///
/// # Errors
/// Everything that is wrong with its SQL, its tables and their formats.
pub fn check(job: &Job) -> Result<Vec<String>, JobError> {
    let prepared = prepare::prepare(job, core_count_shown(job))?;
    claims::check(&prepared)?;
    Ok(prepared.notes)
}

/// The dataflow, in `format`.
///
/// # Errors
/// As [`check`].
pub fn explain(job: &Job, format: ExplainFormat) -> Result<String, JobError> {
    let core_count = core_count_shown(job);
    let mut explained = Explained::of(job, &prepare::prepare(job, core_count)?, core_count);
    explained.advise(reactor::allowed_cpus().map_or(0, |cpus| cpus.len()));
    Ok(explain::write(&explained, format))
}

/// The dataflow with the figures of the process that runs it.
///
/// # Errors
/// As [`check`], and when no process runs the job.
pub fn explain_live(job: &Job) -> Result<String, JobError> {
    let status = running(job)?;
    let core_count = u16::try_from(status.cores.len()).unwrap_or(1).max(1);
    let explained = Explained::of(job, &prepare::prepare(job, core_count)?, core_count);
    Ok(explain::live(&explained, &status))
}

/// Why a running job has no output, or less than expected: one line a reason.
///
/// # Errors
/// When no process runs the job.
pub fn why(job: &Job) -> Result<String, JobError> {
    let reasons = why::why(&running(job)?);
    Ok(reasons.iter().map(|reason| format!("{reason}\n")).collect())
}

/// Whether this machine can run jobs, and `job`; two seconds of measuring.
pub fn doctor(job: Option<&Job>) -> Diagnosis {
    Diagnosis::of(job)
}

/// The status of the process that runs `job`.
fn running(job: &Job) -> Result<Status, JobError> {
    let environment = |line: String| JobError::new(ErrorClass::Environment, line);
    let Some(listen) = run::listen(job) else {
        let message = "http.listen is \"off\": a running job cannot be asked; leave it out";
        return Err(environment(format!("{}: {message}", job.job_file.display())));
    };
    let directory = run::absolute(&job.durability.dir);
    http::find_job(listen, &directory)
        .map_err(|error| environment(format!("{}: {error}", job.name)))
}

/// Number of cores for a job that is only looked at; it need not fit this machine.
fn core_count_shown(job: &Job) -> u16 {
    let count = match &job.reactor.cores {
        CoreChoice::All => reactor::allowed_cpus().map_or(1, |cpus| cpus.len()),
        CoreChoice::Count(count) => return *count,
        CoreChoice::Cpus(cpus) => cpus.len(),
    };
    u16::try_from(count).unwrap_or(crate::limits::CORES_MAX).clamp(1, crate::limits::CORES_MAX)
}
