//! Whole jobs: the built program on real files and sockets, from the job file to what it wrote.
//!
//! Read: `files` · `sinks` · `bids` (random input and a model of windows) · `windows` · `cascade`
//! (window over window, union) · `sockets` · `lines` (cut, long and bad lines) · `dialing` (the job
//! connects) · `subscribers` (slow ones) · `times` (silent connections, wrong clocks) · `follow` ·
//! `frames` (the native protocol) · `durable_frames` (the same across crashes) · `arrow` (Arrow's IPC) ·
//! `generated` (jobs that make their input) · `http` (status and metrics) · `why` (what is wrong with a
//! running job) · `signals` · `finished` (running again) · `inspect` (what is kept) · `exactly_once`
//! (killed again and again) · `faults` (exit codes) · `examples` (the jobs of `config/` and of the README).

mod arrow;
mod bids;
mod cascade;
mod dialing;
mod durable_frames;
mod exactly_once;
mod examples;
mod faults;
mod files;
mod finished;
mod follow;
mod frames;
mod generated;
mod http;
mod inspect;
mod lines;
mod resumed;
mod screen;
mod signals;
mod sinks;
mod sockets;
mod subscribers;
mod times;
mod why;
mod windows;

use crate::support::{Directory, Outcome, Report};

/// Numbers of cores every result must be the same on: more than this machine's CPUs, perhaps.
const CORE_COUNTS: [&str; 4] = ["1", "2", "3", "4"];

/// Runs `job.toml` to its end with a report, on so many cores.
#[track_caller]
fn run(directory: &Directory, cores: &str) -> (Outcome, Report) {
    let arguments = ["run", "job.toml", "--cores", cores, "--report", "report.json"];
    let outcome = directory.pelton(&arguments);
    outcome.expect_code(0);
    (outcome, directory.report())
}

/// A job file without durability: its tables, and its SQL in one line or several.
fn job(tables: &str, sql: &str) -> String {
    format!(
        "name = \"j\"\n[durability]\nmode = \"off\"\n{tables}\n[query]\nsql = '''\n{sql}\n'''\n"
    )
}

/// A sink that writes JSON into the directory of its name.
fn json_sink(name: &str) -> String {
    format!("[sinks.{name}]\nconnector = \"file\"\npath = \"{name}\"\nformat = \"json\"\n")
}
