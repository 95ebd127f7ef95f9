//! Jobs that cannot start or go on: what they say, and their exit codes.

use std::net::TcpListener;

use super::{job, json_sink};
use crate::support::{Directory, Outcome};

const NUMBERS: &str = "\
[sources.numbers]
connector = \"file\"
path = \"in.csv\"
format = \"csv\"
schema = \"n BIGINT, word STRING\"
";

const SQL: &str = "INSERT INTO out SELECT n, word FROM numbers";

/// Runs a job on `in.csv`, which must fail with this exit code and message, and write nothing.
#[track_caller]
fn check(tables: &str, input: Option<&str>, code: i32, message: &str) {
    let directory = Directory::with_job(&job(tables, SQL));
    if let Some(input) = input {
        directory.write("in.csv", input);
    }
    run(&directory).expect_code(code).expect_message(message);
    assert!(directory.lines("out").is_empty());
}

fn run(directory: &Directory) -> Outcome {
    directory.pelton(&["run", "job.toml", "--cores", "2"])
}

#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let address = taken.local_addr().expect("it is bound");
    let listen = format!("connector = \"tcp\"\nlisten = \"{address}\"\nformat = \"csv\"\n");
    let source = format!("[sources.numbers]\n{listen}schema = \"n BIGINT, word STRING\"\n");
    let tables = format!("{source}{}", json_sink("out"));
    let cannot = format!("cannot listen on {address}: ");
    check(&tables, None, 3, &format!("error: source numbers: {cannot}"));
    let sink = format!("[sinks.out]\n{listen}");
    check(&format!("{NUMBERS}{sink}"), Some("1,a\n"), 3, &format!("error: sink out: {cannot}"));
}

#[test]
fn a_record_that_may_not_be_rejected() {
    let tables = format!("{NUMBERS}on_error = \"fail\"\n{}", json_sink("out"));
    let message =
        "error: numbers:in.csv at byte 4: column \"n\": x is not a BIGINT (on_error = \"fail\")";
    check(&tables, Some("1,a\nx,b\n3,c\n"), 4, message);
    let directory = Directory::with_job(&job(&tables, SQL));
    directory.write("in.csv", "1,a\n3,c\n");
    run(&directory).expect_code(0);
    assert_eq!(directory.lines("out").len(), 2);
}

#[test]
fn input_that_is_not_there() {
    let tables = format!("{NUMBERS}{}", json_sink("out"));
    check(&tables, None, 5, "in.csv");
    check(&tables.replace("in.csv", "in/*.csv"), Some("1,a\n"), 5, "in/*.csv");
    // Looked at only when the job runs: check needs no input.
    Directory::with_job(&job(&tables, SQL)).pelton(&["check", "job.toml"]).expect_code(0);
}

#[test]
fn a_sink_that_cannot_be_a_directory() {
    let tables = format!("{NUMBERS}{}", json_sink("out"));
    let directory = Directory::with_job(&job(&tables, SQL));
    directory.write("in.csv", "1,a\n");
    directory.write("out", "a file");
    let checked = directory.pelton(&["check", "job.toml"]);
    checked.expect_code(2).expect_message("is a file; a file sink writes parts into a directory");
    let outcome = run(&directory);
    outcome.expect_message("is a file; a file sink writes parts into a directory");
    assert!(matches!(outcome.code, Some(2 | 5)), "{outcome:?}");
    assert_eq!(std::fs::read_to_string(directory.path("out")).unwrap(), "a file");
}

#[test]
fn cpus_that_are_not_there() {
    let directory = Directory::with_job(&job(&format!("{NUMBERS}{}", json_sink("out")), SQL));
    directory.write("in.csv", "1,a\n");
    directory.pelton(&["run", "job.toml", "--cores", "100000"]).expect_code(2);
    let absent = directory.pelton(&["run", "job.toml", "--cores", "0,1023"]);
    absent.expect_code(3).expect_message("error: reactor.cores: ");
}
