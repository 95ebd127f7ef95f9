//! `pelton inspect`: a job's directory while it runs, after it was killed, and damaged.

use serde_json::Value;
use std::io::Write;
use std::net::TcpStream;
use std::path::PathBuf;

use super::{job, json_sink};
use crate::support::{Directory, Running, connect, until};

const RUN: [&str; 5] = ["run", "job.toml", "--plain", "--cores", "2"];

/// A running job with open windows of three keys, in an epoch.
fn start() -> (Directory, Running, TcpStream) {
    let source = "[sources.bid]\nconnector = \"tcp\"\nlisten = \"127.0.0.1:0\"\nformat = \"csv\"\n\
                  schema = \"k STRING, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts\"\n";
    let sql = "INSERT INTO out SELECT k, SUM(v) AS total, COUNT(DISTINCT v) AS d \
               FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) \
               GROUP BY k, window_start, window_end;";
    let text = job(&format!("{source}{}", json_sink("out")), sql);
    let text = text.replace("mode = \"off\"", "mode = \"on\"\ncheckpoint_interval = \"20ms\"");
    let directory = Directory::with_job(&text);
    let mut running = directory.start(&RUN);
    let mut producer = connect(running.address("source bid"));
    let rows = "a,1,2020-01-01 00:00:01\nb,2,2020-01-01 00:00:02\na,4,2020-01-01 00:00:03\n\
                \u{1b}c,5,2020-01-01 00:00:03\n";
    producer.write_all(rows.as_bytes()).expect("the job reads");
    until("the rows in an epoch", || (groups(&directory) == Some(3)).then_some(()));
    (directory, running, producer)
}

fn inspected(directory: &Directory) -> Value {
    let outcome = directory.pelton(&["inspect", "data/j", "--format", "json"]);
    outcome.expect_code(0);
    serde_json::from_str(&outcome.stdout).expect("it is a document")
}

/// Groups of the window, once there is an epoch.
fn groups(directory: &Directory) -> Option<u64> {
    inspected(directory)["operators"][0]["tables"][0]["entries"].as_u64()
}

fn segment(directory: &Directory) -> PathBuf {
    let found = inspected(directory);
    let files = found["journals"][0]["segments"].as_array().expect("a list");
    let last = files.last().expect("there is one")["file"].as_str().expect("a name");
    directory.path("data/j").join(last)
}

#[test]
fn a_directory_is_looked_into_while_its_job_runs_and_afterwards() {
    let (directory, running, _producer) = start();
    let found = inspected(&directory);
    assert_eq!(found["job"], "j");
    assert_eq!(found["process"], running.pid());
    assert_eq!(found["runs"], 1);
    assert_eq!(found["cores"].as_array().map(Vec::len), Some(2));
    assert_eq!(found["operators"][0]["rows"], 4);
    let verify = ["inspect", "verify", "data/j"];
    directory.pelton(&verify).expect_code(0);
    drop(running);

    let outcome = directory.pelton(&["inspect", "data/j"]);
    outcome.expect_code(0);
    for part in ["job         j\n", "sum", "groups by (k STRING): 3 entries", "source bid"] {
        assert!(outcome.stdout.to_lowercase().contains(&part.to_lowercase()), "{}", outcome.stdout);
    }
    assert!(!outcome.stdout.contains("process"), "{}", outcome.stdout);
    let identity = std::fs::read_to_string(directory.path("data/j/identity.json")).unwrap();
    let identity: Value = serde_json::from_str(&identity).unwrap();
    let secret = identity["key_seed"].as_u64().expect("a number").to_string();
    assert!(!outcome.stdout.contains(&secret) && !found.to_string().contains(&secret));

    let list = ["inspect", "data/j", "--operator", "TUMBLE"];
    let of_a = directory.pelton(&[&list[..], &["--key", "a"]].concat());
    of_a.expect_code(0);
    for part in ["AddInt(v) = 5", "(a) has 4", "3 shown of 3"] {
        assert!(of_a.stdout.contains(part), "{part}: {}", of_a.stdout);
    }
    let two = directory.pelton(&[&list[..], &["--limit", "2"]].concat());
    assert!(two.stdout.contains("2 shown of 7"), "{}", two.stdout);
    let all = directory.pelton(&list);
    assert!(!all.stdout.contains('\u{1b}') && all.stdout.contains("\\u{1b}c"), "{}", all.stdout);
    let unknown = directory.pelton(&["inspect", "data/j", "--operator", "HOP"]);
    unknown.expect_code(3).expect_message("no operator is \"HOP\"; name one of: ");
    directory.pelton(&["inspect", "."]).expect_code(3).expect_message("no identity.json is here");
}

#[test]
fn damage_is_named_with_file_and_offset() {
    let (directory, running, _producer) = start();
    drop(running);
    let verify = ["inspect", "verify", "data/j"];
    let whole = directory.pelton(&verify);
    whole.expect_code(0);
    assert!(whole.stdout.starts_with("data/j: whole; epoch "), "{}", whole.stdout);
    let path = segment(&directory);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[4096 + 70] ^= 4;
    std::fs::write(&path, &bytes).unwrap();
    let outcome = directory.pelton(&verify);
    outcome.expect_code(4);
    let name = path.file_name().unwrap().to_str().unwrap();
    outcome.expect_message(&format!("{name}: damaged at offset 4096: the entry's checksum"));
    outcome.expect_message("restore it from a backup");
    let document = directory.pelton(&[&verify[..], &["--format", "json"]].concat());
    document.expect_code(4);
    let found: Value = serde_json::from_str(&document.stdout).expect("it is a document");
    assert_eq!(found["is_whole"], false);
    assert_eq!(found["damages"][0]["offset"], 4096);
}
