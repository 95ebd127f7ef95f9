//! `pelton bench latency`.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use super::{bench, document, list, result};
use crate::support::Directory;
use serde_json::Value;

/// A load that takes half a second and sends 1,000 records.
const LOAD: &str = "latency --rate 2k --runs 1 --duration 400ms --warm-up 100ms";

#[track_caller]
fn count(figures: &Value, field: &str) -> u64 {
    figures[field].as_u64().unwrap_or_else(|| panic!("{field} in {figures}"))
}

#[test]
fn every_record_of_the_bundled_job_is_accounted_for() {
    let directory = Directory::new();
    for options in [
        "",
        " --format csv --shape square",
        " --connections 3 --zipf 0.99 --shape poisson",
        " --format rkyv --connections 2",
    ] {
        let outcome = bench(&directory, &format!("{LOAD} --verify --json{options}"));
        outcome.expect_code(0);
        let report = document(&outcome);
        // Half a second of a square wave is its dense half.
        let planned = if options.contains("square") { 1_500 } else { 1_000 };
        let runs = report["rates"][0]["runs"].as_array().unwrap();
        assert_eq!(runs.len(), 1);
        for (subject, wanted_share) in [("floor", 1.0), ("job", 0.9)] {
            let figures = &runs[0][subject];
            let sent = count(figures, "sent");
            assert!(options.contains("poisson") || sent == planned, "{options}: {sent}");
            let wanted = count(figures, "wanted");
            assert!(
                (wanted as f64 / sent as f64 - wanted_share).abs() < 0.001,
                "{wanted} of {sent}"
            );
            assert_eq!(count(figures, "received"), wanted);
            for fault in ["lost", "duplicated", "reordered", "wrong"] {
                assert_eq!(count(figures, fault), 0, "{subject}: {fault}");
            }
            assert!(count(figures, "measured") < wanted, "the warm-up is not measured");
            assert_eq!(figures["sum_sent"], figures["sum_received"]);
            assert!(count(figures, "sum_sent") > wanted);
        }
        assert!(report["rates"][0]["summary"]["p99.9"]["ratio"].as_f64().unwrap() > 0.0);
        assert!(report["machine"]["cpu"].is_string());
    }
}

#[test]
fn tables_and_a_log_are_written() {
    let directory = Directory::new();
    let outcome = bench(
        &directory,
        "latency --rate 500,1k --runs 2 --duration 300ms --warm-up 0s --hdr l.hlog --out r",
    );
    outcome.expect_code(0);
    check_result(&result(&directory, "r"));
    for part in ["500 records/s", "1000 records/s", "2 relay", "2 job", "p99.99", "2 of 2"] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    let log = std::fs::read_to_string(directory.path("l.hlog")).unwrap();
    for tag in ["relay-500", "pelton-500", "relay-1000", "pelton-1000"] {
        assert_eq!(log.matches(&format!("Tag={tag},")).count(), 2, "{log}");
    }
}

/// Two rates, two runs, 150 and 300 records each; the job drops one in ten.
fn check_result(result: &Value) {
    assert_eq!((&result["bench"], &result["schema"]), (&"latency".into(), &1.into()));
    assert_eq!(result["document"]["rates"].as_array().map(Vec::len), Some(2));
    for (rate, sent) in [(500, 150.0), (1_000, 300.0)] {
        let of_rate = |part: &&Value| {
            part["table"]
                .as_str()
                .is_some_and(|table| table.ends_with(&format!(" {rate} records/s")))
        };
        let find = |figure: &str, of: &str| {
            let of_it = |it: &&Value| it["figure"] == figure && it["of"] == of;
            let found = list(result, "figures").iter().filter(of_rate).find(of_it);
            found.unwrap_or_else(|| panic!("no {figure} of {of} at {rate}")).clone()
        };
        assert_eq!(find("sent", "")["values"], serde_json::json!([sent, sent]));
        assert_eq!(find("results", "")["median"], sent * 0.9);
        for of in ["relay", "job", "job / relay", "arrival to release", "queue", "compute"] {
            assert!(find("p99.9", of)["median"].as_f64().is_some_and(|us| us > 0.0), "{of}");
        }
        let rates = list(result, "timelines").iter().filter(of_rate);
        let rates: Vec<&Value> = rates.filter(|it| it["chart"] == "throughput over time").collect();
        assert_eq!(rates.len(), 2, "of the relay and of the job");
        for timeline in rates {
            // One interval a run, of less than a second.
            assert_eq!(timeline["runs"], serde_json::json!([1, 2]));
            // Less, when the generator itself was held up.
            let per_second = timeline["series"][0]["values"][0].as_f64();
            let per_second = per_second.expect("records were sent");
            assert!(per_second > 0.0 && per_second < f64::from(rate) * 1.01, "{per_second}");
        }
        let curves: Vec<&Value> = list(result, "curves").iter().filter(of_rate).collect();
        let job = curves.iter().find(|it| it["of"] == "job").expect("there is one");
        let median = list(job, "median");
        assert!(median.windows(2).all(|pair| pair[0].as_f64() <= pair[1].as_f64()), "{median:?}");
        assert!(median.len() > 10, "150 records tell the 99th percentile");
    }
}

#[test]
fn a_job_of_the_users_is_measured() {
    let text = include_str!("../../../bench/workloads/latency.toml")
        .replace("UPPER(pad) AS pad", "k + 1 AS k_more");
    let directory = Directory::with_job(&text);
    let outcome = bench(
        &directory,
        &format!("{LOAD} --verify --json --no-floor --unwanted-every 4 job.toml"),
    );
    outcome.expect_code(0);
    let run = &document(&outcome)["rates"][0]["runs"][0];
    assert_eq!(run["floor"], Value::Null);
    assert_eq!(count(&run["job"], "received"), 750);
}

#[test]
fn what_was_measured_until_a_signal_is_reported() {
    let directory = Directory::new();
    let load = "bench latency --rate 1k --runs 3 --duration 10min --warm-up 0s --no-floor --out r";
    let words: Vec<&str> = load.split(' ').collect();
    let mut running = directory.start(&words);
    // The first second has passed.
    running.expect_message("1000/s, run 1 of 3, pelton: ");
    running.signal("INT");
    let outcome = running.wait();
    outcome.expect_code(0);
    for part in ["interrupted: this is what was measured until then", "1 job", "1 of 1"] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
    let partial = result(&directory, "r");
    assert_eq!(partial["interrupted"], true);
    assert!(!list(&partial, "figures").is_empty());
}

/// A job that returns what it gets but for what `fault` does to each line; serves one load.
fn faulty(mut fault: impl FnMut(&str) -> Vec<String> + Send + 'static) -> [SocketAddr; 2] {
    let [inputs, outputs] =
        [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("loopback has free ports"));
    let address = |listener: &TcpListener| listener.local_addr().expect("it is bound");
    let addresses = [&inputs, &outputs].map(address);
    std::thread::spawn(move || {
        let (mut output, _) = outputs.accept().expect("the generator connects");
        let (input, _) = inputs.accept().expect("the generator connects");
        for line in BufReader::new(input).lines() {
            let Ok(line) = line else { return };
            for result in fault(&line) {
                if writeln!(output, "{result}").is_err() {
                    return;
                }
            }
        }
    });
    addresses
}

/// The one fault is counted under `field`, said, and the exit code is 4.
#[track_caller]
fn check_fault(field: &str, said: &str, fault: impl Fn(&str) -> Vec<String> + Send + 'static) {
    let [input, output] = faulty(fault);
    let load = LOAD.replace("latency", "latency --patience 300ms --verify --json");
    let arguments = format!("{load} --input {input} --output {output}");
    let outcome = bench(&Directory::new(), &arguments);
    outcome.expect_code(4).expect_message(said);
    let run = &document(&outcome)["rates"][0]["runs"][0];
    assert_eq!(run["floor"], Value::Null);
    assert_eq!(count(&run["job"], field), 1, "{run}");
}

#[test]
fn a_job_that_runs_and_is_right_is_measured() {
    let [input, output] = faulty(|line| vec![line.to_owned()]);
    let outcome =
        bench(&Directory::new(), &format!("{LOAD} --verify --input {input} --output {output}"));
    outcome.expect_code(0);
}

/// 800 records are measured, half a millisecond apart. A stall of 50 ms holds up 100 of them, the first for
/// all of it, each further one for half a millisecond less; whoever sent only after an answer would see one.
#[test]
fn a_stall_shows_in_every_record_that_was_due_meanwhile() {
    let [input, output] = faulty(|line| {
        if line.contains("\"id\":500,") {
            std::thread::sleep(Duration::from_millis(50));
        }
        vec![line.to_owned()]
    });
    let addresses = format!("--input {input} --output {output}");
    let outcome = bench(&Directory::new(), &format!("{LOAD} --verify --json {addresses}"));
    outcome.expect_code(0);
    let figures = &document(&outcome)["rates"][0]["runs"][0]["job"];
    assert_eq!(count(figures, "measured"), 800);
    // One record in ten: 80 are later than it.
    for (percentile, ms) in [("max", 50.0), ("p99_9", 49.0), ("p99", 45.0), ("p90", 9.5)] {
        let found = figures["latency_us"][percentile].as_f64().unwrap() / 1_000.0;
        assert!(found >= ms, "{percentile}: {found} ms, and by arithmetic at least {ms} ms");
    }
}

#[test]
fn every_fault_of_a_job_is_caught() {
    let is = |line: &str, id: u32| line.contains(&format!("\"id\":{id},"));
    check_fault("lost", "record 7 of key", move |line| {
        if is(line, 7) { vec![] } else { vec![line.to_owned()] }
    });
    check_fault("duplicated", "record 7 came again", move |line| {
        vec![line.to_owned(); if is(line, 7) { 2 } else { 1 }]
    });
    check_fault("wrong", "record 7: amount is 0", move |line| {
        let at = line.find("\"amount\":").unwrap();
        vec![if is(line, 7) { format!("{}\"amount\":0}}", &line[..at]) } else { line.to_owned() }]
    });
    check_fault("wrong", "a result is not json: nonsense", move |line| {
        let extra = if is(line, 7) { vec!["nonsense".to_owned()] } else { Vec::new() };
        std::iter::once(line.to_owned()).chain(extra).collect()
    });
}

#[test]
fn a_reordered_record_is_caught() {
    // One key: record 7 is held back until record 8 has passed.
    let mut held = None;
    let [input, output] = faulty(move |line| {
        if line.contains("\"id\":7,") {
            held = Some(line.to_owned());
            return Vec::new();
        }
        std::iter::once(line.to_owned()).chain(held.take()).collect()
    });
    let load = LOAD.replace("latency", "latency --keys 1 --verify");
    let outcome = bench(&Directory::new(), &format!("{load} --input {input} --output {output}"));
    outcome.expect_code(4).expect_message("1 reordered");
    outcome.expect_message("record 7, number 8 of key 0, came behind number 9");
}

/// A job file with this replaced is refused, with the exit code and these words.
#[track_caller]
fn check_refused(from: &str, to: &str, code: i32, said: &str) {
    let text = include_str!("../../../bench/workloads/latency.toml").replace(from, to);
    let directory = Directory::with_job(&text);
    let outcome = bench(&directory, &format!("{LOAD} --no-floor job.toml"));
    outcome.expect_code(code).expect_message(said);
    assert_eq!(outcome.stdout, "");
}

#[test]
fn jobs_that_cannot_be_measured_are_refused() {
    check_refused("listen = \"127.0.0.1:0\"", "connect = \"127.0.0.1:9\"", 2, "both with `listen`");
    check_refused("amount > 0", "amount >", 2, "job.toml");
    check_refused("SELECT id,", "SELECT", 2, "no result of a record came");
    // The source's alone.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let listen = |on: &str| format!("listen = \"{on}\"\nformat = \"json\"\nschema");
    let (from, to) = (listen("127.0.0.1:0"), listen(&address.to_string()));
    check_refused(&from, &to, 3, "the job ended early: ");
}

#[test]
fn options_are_checked_before_anything_happens() {
    let check = |arguments: &str, code: i32, said: &str| {
        let outcome = bench(&Directory::new(), arguments);
        outcome.expect_code(code).expect_message(said);
    };
    check("latency --rate 0", 2, "must be positive");
    check("latency --rate x", 2, "is no whole number");
    check("latency --rate 2G", 2, "is more than 1000000000");
    check("latency --rate 1G --duration 1d", 2, "shorten --duration");
    check("latency --duration 0s", 2, "must be positive");
    check("latency --format frames", 2, "possible values: json, csv, rkyv");
    check("latency --keys 0", 2, "must be positive");
    check("latency --connections 0", 2, "0 is not in 1..=1000");
    check("latency --input 127.0.0.1:1", 2, "--output");
    check("latency none.toml", 2, "none.toml: cannot be read");
    check("latency --out no/folder", 2, "--out no/folder is in a directory that does not exist");
    check("latency --hdr no/l.hlog", 2, "--hdr no/l.hlog is in a directory that does not exist");
    check("latency --generator-cpu 9999", 3, "CPU 9999 is none of this process's");
    check("latency --generator-cpu 0 --job-cpus 0", 3, "would measure each other");
    check("latency --input 127.0.0.1:1 --output 127.0.0.1:1", 5, "is the job running?");
}
