//! The life of a job: check, prepare, start, watch, end.
//!
//! Read: `error` (how a job ends badly) · `prepare` (nothing outside the process is changed) ·
//! `claims` (what no two tables may share) · `definition` (is it the same job) · `connect` (sources and sinks, per core) · `run` (start order, supervision, end) · `signals` ·
//! `progress` · `totals` · `ledger` · `report` · `live` (a running job) with `status` and `prometheus` (what is told of it) · `http` ·
//! `names` · `explain`.

mod claims;
mod connect;
mod definition;
mod error;
mod explain;
mod http;
mod ledger;
mod live;
mod names;
mod prepare;
mod progress;
mod prometheus;
mod report;
mod run;
mod signals;
mod status;
mod totals;

pub use error::{ErrorClass, JobError};
pub use run::RunOptions;

use crate::config::{CoreChoice, Job};
use crate::reactor;

/// Runs a job to its end.
///
/// # Errors
/// What stopped it.
pub fn run(job: &Job, options: &RunOptions) -> Result<(), JobError> {
    run::run(job, options)
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

/// The dataflow as text.
///
/// # Errors
/// As [`check`].
pub fn explain(job: &Job) -> Result<String, JobError> {
    let core_count = core_count_shown(job);
    let cpus = reactor::allowed_cpus().map_or(0, |cpus| cpus.len());
    Ok(explain::explain(job, &prepare::prepare(job, core_count)?, core_count, cpus))
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
