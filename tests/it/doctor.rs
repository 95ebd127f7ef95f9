//! `pelton doctor`, and jobs that this machine cannot run: exit code 3 and a remedy.

use serde_json::Value;
use std::net::TcpListener;
use std::time::{Duration, Instant};

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

/// What cannot be run ends at once: within a second, of the best of three on a machine that is busy.
#[track_caller]
fn refused_at_once(start: impl Fn() -> Outcome, parts: &[&str]) {
    let mut times = Vec::new();
    for _ in 0..3 {
        let began = Instant::now();
        let outcome = start();
        times.push(began.elapsed());
        if outcome.code == Some(77) {
            return;
        }
        outcome.expect_code(3);
        for part in parts {
            assert!(outcome.stderr.contains(part), "{part:?} is missing: {outcome:?}");
        }
        if times.last().is_some_and(|time| *time < Duration::from_secs(1)) {
            return;
        }
    }
    panic!("it took {times:?}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it is bound").to_string();
    let said = format!("source s: cannot listen on {address}: Address already in use");
    refused_at_once(|| job(&address, "").pelton(&["run", "job.toml"]), &[&said]);
}

#[test]
fn a_directory_that_is_not_writable_is_named() {
    let script = "mkdir held && chmod 555 held || exit 77; [ $(id -u) != 0 ] && exec \"$0\" \"$@\"; \
                  command -v setpriv > /dev/null || exit 77; \
                  exec setpriv --bounding-set=-dac_override \"$0\" \"$@\"";
    let directory = || job("127.0.0.1:0", "dir = \"held/data\"");
    let run = || directory().start_by(script, &["run", "job.toml"]).wait();
    let remedy = "name a directory this user may write as durability.dir";
    refused_at_once(run, &["held/data: cannot create: Permission denied", remedy]);
}

#[test]
fn cores_that_are_not_there_are_named() {
    let run = || job("127.0.0.1:0", "").pelton(&["run", "job.toml", "--cores", "997,998"]);
    refused_at_once(run, &["reactor.cores: ", "997"]);
}

/// The superuser may lock what he likes, unless that is taken from him.
#[test]
fn too_little_locked_memory_is_named() {
    let limit = "ulimit -l 64 || exit 77; [ $(id -u) != 0 ] && exec \"$0\" \"$@\"; \
                 command -v setpriv > /dev/null || exit 77; \
                 exec setpriv --bounding-set=-sys_resource,-ipc_lock \"$0\" \"$@\"";
    let run = || job("127.0.0.1:0", "").start_by(limit, &["run", "job.toml"]).wait();
    refused_at_once(run, &["bytes of locked memory are needed", "LimitMEMLOCK=infinity"]);
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
