//! The command line: what each subcommand prints, and with which exit code it ends.

use std::process::Command;

use crate::support::{Directory, repository, with_closed_stdout};

/// Runs the program with `arguments` in an empty directory; the first line of what it printed on
/// standard output and standard error must begin with the texts given.
#[track_caller]
fn check(arguments: &[&str], code: i32, stdout: &str, stderr: &str) {
    let outcome = Directory::new().pelton(arguments);
    outcome.expect_code(code);
    let starts = |text: &str, start: &str| {
        if start.is_empty() { text.is_empty() } else { text.starts_with(start) }
    };
    assert!(starts(&outcome.stdout, stdout), "{arguments:?}: {}", outcome.stdout);
    assert!(starts(&outcome.stderr, stderr), "{arguments:?}: {}", outcome.stderr);
}

#[test]
fn arguments_are_checked_before_anything_happens() {
    check(&["version"], 0, concat!("pelton ", env!("CARGO_PKG_VERSION"), "\n"), "");
    check(&["--version"], 0, concat!("pelton ", env!("CARGO_PKG_VERSION"), "\n"), "");
    check(&["--help"], 0, "Runs Flink SQL on one machine", "");
    check(&[], 2, "", "Runs Flink SQL on one machine");
    check(&["rnu", "job.toml"], 2, "", "error: unrecognized subcommand 'rnu'");
    check(&["run"], 2, "", "error: the following required arguments were not provided:\n  <JOB>");
    check(&["run", "none.toml"], 2, "", "error: none.toml: cannot be read: No such file");
    check(&["check", "."], 2, "", "error: .: is not a file; give the path of a job file\n");
    check(&["explain", "none.toml"], 2, "", "error: none.toml: cannot be read: No such file");
    check(&["run", "x", "--cores", "0"], 2, "", "error: invalid value '0' for '--cores <CORES>'");
    let absent = "error: --report no/r.json is in a directory that does not exist; create it first";
    check(&["run", "x", "--report", "no/r.json"], 2, "", absent);
    let directory = "error: --report . is a directory; name a file\n";
    check(&["run", "x", "--report", "."], 2, "", directory);
}

#[test]
fn the_reference_is_printed_from_the_binary() {
    let reference = std::fs::read_to_string(repository("config/default.toml")).unwrap();
    check(&["check", "--reference"], 0, &reference, "");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pelton"));
    command.args(["check", "--reference"]);
    let outcome = with_closed_stdout(command);
    outcome.expect_code(0);
    assert_eq!(outcome.stderr, "");
}
