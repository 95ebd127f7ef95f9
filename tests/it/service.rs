//! Run by a service manager: what it is told, how the unit is rated, manual pages and completions.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use crate::support::{DEADLINE, Directory, Outcome, repository};

/// A job that reads for ever.
const JOB: &str = "name = \"j\"\n[durability]\nmode = \"off\"\n[sources.n]\nconnector = \"datagen\"\n\
                   rows_per_second = 100\nschema = \"v BIGINT\"\n[sinks.out]\nconnector = \"blackhole\"\n\
                   [query]\nsql = \"INSERT INTO out SELECT v FROM n\"\n";

#[test]
fn the_service_manager_is_told_how_the_job_stands() {
    let directory = Directory::with_job(JOB);
    let manager = UnixDatagram::bind(directory.path("manager")).expect("a socket");
    manager.set_read_timeout(Some(DEADLINE)).expect("the time is not zero");
    // A sign of life is due every 50 ms.
    let script = "NOTIFY_SOCKET=$PWD/manager WATCHDOG_USEC=100000 exec \"$0\" \"$@\"";
    let running = directory.start_by(script, &["run", "job.toml", "--cores", "2"]);
    let mut buffer = [0; 4096];
    let mut next = || {
        let length = manager.recv(&mut buffer).expect("the manager is told");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    };
    let mut told = Vec::new();
    while told.iter().filter(|word| *word == "WATCHDOG=1").count() < 10 {
        told.push(next());
    }
    assert_eq!(told.iter().filter(|word| *word == "READY=1").count(), 1, "{told:?}");
    while !next().starts_with("STATUS=") {}
    running.signal("TERM");
    while next() != "STOPPING=1" {}
    running.wait().expect_code(0);
    manager.set_read_timeout(Some(Duration::from_millis(1))).expect("the time is not zero");
    let mut later = Vec::new();
    while let Ok(length) = manager.recv(&mut buffer) {
        later.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    assert!(!later.iter().any(|word| word == "STOPPING=1"), "said twice: {later:?}");
}

/// Where there is no systemd, nothing.
#[test]
fn the_unit_is_rated_as_well_contained() {
    let unit = repository("config/pelton.service");
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--no-pager", "--offline=yes", "--threshold=15"]).arg(&unit);
    let Ok(rated) = analyze.output() else { return };
    let (said, problems) =
        (String::from_utf8_lossy(&rated.stdout), String::from_utf8_lossy(&rated.stderr));
    assert!(rated.status.success(), "{said}{problems}");
    assert!(said.contains("Overall exposure level"), "{said}");
    assert_eq!(problems, "", "every key is known");
}

#[test]
fn the_unit_starts_what_the_program_understands() {
    let text = std::fs::read_to_string(repository("config/pelton.service")).expect("it is there");
    let command = text.lines().find_map(|line| line.strip_prefix("ExecStart=")).expect("it starts");
    let words: Vec<&str> = command.split_whitespace().collect();
    assert_eq!(words[..2], ["/usr/local/bin/pelton", "run"]);
    let outcome = Directory::new().pelton(&[&words[1..], &["--help"]].concat());
    outcome.expect_code(0);
}

#[track_caller]
fn printed(arguments: &[&str], parts: &[&str]) -> Outcome {
    let outcome = Directory::new().pelton(arguments);
    outcome.expect_code(0);
    for part in parts {
        assert!(outcome.stdout.contains(part), "{part:?} is missing:\n{}", outcome.stdout);
    }
    outcome
}

#[test]
fn every_command_has_a_manual_page() {
    printed(&["man"], &[".TH PELTON 1", "pelton\\-run(1)", "pelton\\-doctor(1)"]);
    printed(&["man", "run"], &[".TH PELTON-RUN 1", "\\-\\-report", "\\-\\-plain"]);
    printed(&["man", "bench", "latency"], &[".TH PELTON-BENCH-LATENCY 1"]);
    let unknown = Directory::new().pelton(&["man", "fly"]);
    unknown.expect_code(2).expect_message("there is no command \"fly\"");
}

#[test]
fn shells_complete_commands() {
    printed(&["completions", "bash"], &["complete -F _pelton", "doctor"]);
    printed(&["completions", "zsh"], &["#compdef pelton", "doctor"]);
    printed(&["completions", "fish"], &["complete -c pelton", "doctor"]);
    // What is printed is a script.
    let directory = Directory::new();
    directory.write("completions", &printed(&["completions", "bash"], &[]).stdout);
    let read = Command::new("bash").arg("-n").arg(directory.path("completions")).output();
    if let Ok(read) = read {
        assert!(read.status.success(), "{read:?}");
    }
}

#[test]
fn messages_are_json_where_nobody_reads_them() {
    let directory = Directory::with_job(&JOB.replace("rows_per_second = 100", "rows = 10"));
    let script = "exec \"$0\" \"$@\" 2> said";
    directory.start_by(script, &["run", "job.toml", "--cores", "1"]).wait().expect_code(0);
    let said = std::fs::read_to_string(directory.path("said")).expect("it was written");
    let mut topics = Vec::new();
    for line in said.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("one object a line");
        for field in ["time", "level", "topic", "job", "message"] {
            assert!(line[field].as_str().is_some_and(|text| !text.is_empty()), "{line}");
        }
        topics.push(line["topic"].as_str().expect("a text").to_owned());
        if line["topic"] == "summary" {
            let counts = (line["records_in"].as_u64(), line["rows_out"].as_u64());
            assert_eq!(
                (counts, line["outcome"].as_str()),
                ((Some(10), Some(10)), Some("finished"))
            );
        }
    }
    assert_eq!(topics.iter().filter(|topic| *topic == "summary").count(), 1, "{said}");

    // Errors, too, and text for the asking.
    directory.start_by(script, &["run", "missing.toml"]).wait().expect_code(2);
    let error = std::fs::read_to_string(directory.path("said")).expect("it was written");
    let line: serde_json::Value = serde_json::from_str(&error).expect("one object");
    assert_eq!((&line["level"], &line["topic"]), (&"error".into(), &"error".into()));
    directory.start_by(script, &["run", "missing.toml", "--log", "text"]).wait().expect_code(2);
    let text = std::fs::read_to_string(directory.path("said")).expect("it was written");
    assert!(text.starts_with("error: "), "{text}");
}

/// Who reads standard error may stop reading: the job does not stop with him.
#[test]
fn a_reader_that_stops_reading_stops_nothing() {
    let directory = Directory::with_job(JOB);
    // A pipe holds 64 KiB; nobody reads this one.
    let script = "mkfifo pipe && exec 9<> pipe && head -c 65536 /dev/zero >&9 && \
                  exec \"$0\" \"$@\" 2>&9";
    let running = directory.start_by(script, &["run", "job.toml", "--report", "r.json"]);
    let status = || std::fs::read_to_string(directory.path("r.json"));
    std::thread::sleep(Duration::from_secs(2));
    running.signal("TERM");
    running.wait().expect_code(0);
    let report: serde_json::Value =
        serde_json::from_str(&status().expect("a report")).expect("JSON");
    assert!(
        report["sources"]["n"]["records_in"].as_u64().is_some_and(|rows| rows > 50),
        "{report}"
    );
}
