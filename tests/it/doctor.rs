//! `pelton doctor`, and jobs that this machine cannot run: exit code 3 and a remedy.

use serde_json::Value;
use std::net::TcpListener;

use crate::support::{Directory, Outcome};

fn job(listen: &str, durability: &str) -> Directory {
    Directory::with_job(&format!(
        "name = \"j\"\n[durability]\nmode = \"off\"\n{durability}\n\
         [sources.s]\nconnector = \"tcp\"\nlisten = \"{listen}\"\nformat = \"csv\"\n\
         schema = \"a STRING\"\n[sinks.o]\nconnector = \"file\"\npath = \"o\"\nformat = \"csv\"\n\
         [query]\nsql = \"INSERT INTO o SELECT a FROM s\"\n"
    ))
}

/// What `doctor --json` says of `check`.
#[track_caller]
fn found<'a>(document: &'a Value, check: &str) -> &'a Value {
    let checks = document["checks"].as_array().expect("a list");
    let found = checks.iter().find(|found| found["check"] == check);
    found.unwrap_or_else(|| panic!("no {check} in {document}"))
}

#[track_caller]
fn document(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
}

#[test]
fn this_machine_can_run_a_job() {
    let directory = job("127.0.0.1:0", "");
    let outcome = directory.pelton(&["doctor", "job.toml", "--json"]);
    outcome.expect_code(0);
    let document = document(&outcome);
    assert_eq!(document["can_run"], true);
    for check in [
        "kernel",
        "memlock",
        "open files",
        "CPU governor",
        "turbo",
        "SMT siblings",
        "isolated CPUs",
        "IRQ affinity",
        "NUMA nodes",
        "transparent huge pages",
        "clock source",
        "data folder",
        "preallocation",
        "direct I/O",
        "free space",
        "wake-up",
        "loopback",
        "sync of 4 KiB",
        "ring between CPUs",
        "cores",
        "port",
        "output folder",
    ] {
        let found = found(&document, check);
        assert!(found["value"].as_str().is_some_and(|value| !value.is_empty()), "{found}");
        assert_eq!(found["remedy"].is_null(), found["verdict"] == "good", "{found}");
    }
    let left = directory.parts(".");
    assert_eq!(left, [directory.path("./job.toml")], "nothing is left behind");
}

#[test]
fn what_is_in_the_way_is_found_before_the_job_is_run() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let outcome = job(&address, "dir = \"/dev/null/data\"").pelton(&["doctor", "job.toml"]);
    outcome.expect_code(3);
    for part in [
        format!("port: source s: cannot listen on {address}"),
        "data folder: /dev/null".to_owned(),
        "name a directory this user may write as durability.dir".to_owned(),
    ] {
        assert!(outcome.stderr.contains(&part), "{part:?} is missing: {outcome:?}");
    }
}

#[test]
fn a_directory_that_cannot_be_made_is_the_environments_fault() {
    let outcome = job("127.0.0.1:0", "dir = \"/dev/null/data\"").pelton(&["run", "job.toml"]);
    outcome.expect_code(3);
    assert!(outcome.stderr.contains("/dev/null/data"), "{outcome:?}");
}

/// The kernel's refusal is made by a tracer, where there is one.
#[test]
fn a_kernel_that_refuses_io_uring_is_named_with_its_remedy() {
    let directory = job("127.0.0.1:0", "");
    let trace = "command -v strace > /dev/null || { echo io_uring_disabled >&2; exit 3; }; \
                 exec strace -f -o trace -e trace=io_uring_setup \
                 -e inject=io_uring_setup:error=EPERM \"$0\" \"$@\"";
    let outcome = directory.start_by(trace, &["run", "job.toml"]).wait();
    outcome.expect_code(3);
    assert!(outcome.stderr.contains("io_uring_disabled"), "{outcome:?}");
}
