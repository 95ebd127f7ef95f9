//! The one integration suite: runs the built program in fresh directories, and reads the sources.
//!
//! Read: `tidy` (rules over the repository) · `support` (running the program) · `command_line` ·
//! `bench` · `config_errors` (every documented error of a job file, with its text) · `doctor` (what a
//! machine lacks) · `jobs` (whole jobs on
//! files and sockets) · `kills` (jobs that are killed) · `service` (run by a service manager) · `mutations` (job files and SQL with faults).
#![expect(clippy::disallowed_methods, reason = "the suite starts processes and waits for them")]

mod bench;
mod check_errors;
mod command_line;
mod config_errors;
mod doctor;
mod jobs;
mod kills;
mod mutations;
mod service;
mod support;
mod tidy;
