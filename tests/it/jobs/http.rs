//! What a running job tells over HTTP.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::{job, json_sink};
use crate::support::{Directory, Metrics, Running, connect, until};
use serde_json::Value;

const HTTP: &str = "[http]\nlisten = \"127.0.0.1:0\"\n";
const SOURCE: &str = "[sources.bid]\nconnector = \"tcp\"\nlisten = \"127.0.0.1:0\"\nformat = \"csv\"\n\
                      schema = \"k STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts\"\n";
const COUNT: &str = "INSERT INTO out SELECT k, COUNT(*) AS n \
                     FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)) \
                     WHERE k <> 'skip' GROUP BY k, window_start, window_end";

fn start(http: &str) -> (Directory, Running) {
    let tables = format!("{http}{SOURCE}{}", json_sink("out"));
    let directory = Directory::with_job(&job(&tables, COUNT));
    let running = directory.start(&["run", "job.toml", "--cores", "2"]);
    (directory, running)
}

/// The body of a page, whose code must be `code`.
#[track_caller]
pub(super) fn page(running: &mut Running, path: &str, code: u16) -> String {
    let mut stream = connect(running.http());
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    assert!(head.starts_with(&format!("HTTP/1.1 {code} ")), "{path}: {text}");
    body.to_owned()
}

/// The status, once `seen` is true of it.
#[track_caller]
pub(super) fn status_when(running: &mut Running, seen: impl Fn(&Value) -> bool) -> Value {
    until("a status", || {
        let status: Value = serde_json::from_str(&page(running, "/status", 200)).expect("JSON");
        seen(&status).then_some(status)
    })
}

#[test]
fn a_running_job_says_how_it_stands() {
    let (_directory, mut running) = start(HTTP);
    let mut producer = connect(running.address("source bid"));
    producer
        .write_all(
            b"a,2020-01-01 00:00:01\nskip,2020-01-01 00:00:02\nb,2020-01-01 00:00:03\n\
              c,2020-01-01 00:00:01\nnonsense\nd,\n",
        )
        .expect("the job reads");
    // The window of `a` has fired and `b` waits, on whichever core: they report one after the other.
    let held = |status: &Value| -> u64 {
        let operators = status["operators"].as_array().expect("a list");
        operators.iter().filter_map(|operator| operator["state_entries"].as_u64()).sum()
    };
    let status = status_when(&mut running, |status| {
        status["sources"][0]["records_in"] == 6
            && status["late_rows"] == 1
            && status["held_rows"] == 1
            && held(status) == 1
    });
    assert_eq!(
        (&status["schema"], &status["job"], &status["ready"]),
        (&1.into(), &"j".into(), &true.into())
    );
    let source = &status["sources"][0];
    assert_eq!(source["rows_out"], 4, "{source}");
    assert_eq!(source["rejected"]["decode"], 1, "{source}");
    assert_eq!(source["rejected"]["time_null"], 1, "{source}");
    assert_eq!(source["late_rows"], 1, "{source}");
    let watermark = &source["watermark"];
    assert_eq!(watermark["time"], "2020-01-01 00:00:03.000", "{source}");
    let split = watermark["split"].as_str().expect("a text");
    assert_eq!(split, format!("bid:{}", producer.local_addr().expect("it is connected")));
    let operators = status["operators"].as_array().expect("a list");
    let filter = operators.iter().find(|operator| operator["filtered"] == 1).expect("a filter");
    assert_eq!((&filter["rows_in"], &filter["rows_out"]), (&4.into(), &3.into()));
    assert_eq!(status["cores"].as_array().map(Vec::len), Some(2));

    let metrics = Metrics::parse(&page(&mut running, "/metrics", 200)).expect("the format");
    let bid = ("source", "bid");
    assert_eq!(metrics.sum("pelton_source_records_in_total", &[bid]), 6.0);
    assert_eq!(metrics.sum("pelton_source_splits_open", &[bid]), 1.0);
    assert_eq!(metrics.sum("pelton_rejected_records_total", &[bid, ("reason", "decode")]), 1.0);
    assert_eq!(metrics.sum("pelton_operator_rows_late_total", &[]), 1.0);
    assert_eq!(metrics.sum("pelton_operator_state_entries", &[]), 1.0);
    assert_eq!(metrics.sum("pelton_source_watermark_seconds", &[bid]), 1_577_836_803.0);
    assert_eq!(page(&mut running, "/healthz", 200), "ok\n");
    assert_eq!(page(&mut running, "/readyz", 200), "ready\n");
    running.stop().expect_code(0);
}

/// The latency of a window's rows begins with the record that makes it fire, their age with the oldest;
/// the parts of both are told apart, everywhere.
#[test]
fn latencies_are_split_into_their_parts() {
    let tables = format!("{HTTP}{SOURCE}{}", json_sink("out"));
    let directory = Directory::with_job(&job(&tables, COUNT));
    let arguments = ["run", "job.toml", "--cores", "2", "--report", "report.json"];
    let mut running = directory.start(&arguments);
    let mut producer = connect(running.address("source bid"));
    producer.write_all(b"a,2020-01-01 00:00:01\n").expect("the job reads");
    status_when(&mut running, |status| status["sources"][0]["records_in"] == 1);
    std::thread::sleep(std::time::Duration::from_millis(700));
    producer.write_all(b"b,2020-01-01 00:00:03\n").expect("the job reads");
    let status = status_when(&mut running, |status| status["sinks"][0]["latency_us"]["rows"] == 1);
    let sink = &status["sinks"][0];
    let longest = |part: &str| sink["latency_parts_us"][part]["max"].as_f64().expect("a number");
    let total = sink["latency_us"]["max"].as_f64().expect("a number");
    assert!(longest("watermark_wait") > 690_000.0, "{sink}");
    assert!(total < longest("oldest_age"), "{sink}");
    // A file's buffer is written after 10 ms.
    assert!(longest("release_wait") > 9_000.0, "{sink}");
    let sum: f64 = ["queue", "compute", "release_wait"].map(longest).iter().sum();
    // Each is told to 3 %.
    assert!((total * 0.94..total * 1.06).contains(&sum), "{sum}: {sink}");
    let metrics = Metrics::parse(&page(&mut running, "/metrics", 200)).expect("the format");
    let waits = [("sink", "out"), ("part", "watermark_wait")];
    assert_eq!(metrics.sum("pelton_latency_part_seconds_count", &waits), 1.0);
    assert!(metrics.sum("pelton_latency_part_seconds_sum", &waits) > 0.69);
    assert!(metrics.sum("pelton_oldest_age_seconds_sum", &[("sink", "out")]) > 0.69);
    running.stop().expect_code(0);
    let text = std::fs::read_to_string(directory.path("report.json")).expect("a report");
    let report: Value = serde_json::from_str(&text).expect("JSON");
    let parts = &report["sinks"]["out"]["latency_parts_us"];
    assert!(parts["watermark_wait"]["p50"].as_f64().is_some_and(|us| us > 690_000.0), "{parts}");
}

/// The sum over cores of what a scrape says never falls.
#[test]
fn counters_only_rise() {
    let source = "[sources.n]\nconnector = \"nexmark\"\n";
    let sinks = "[sinks.out]\nconnector = \"blackhole\"\n";
    let sql = "INSERT INTO out SELECT bid.auction FROM n WHERE event_type = 2";
    let directory = Directory::with_job(&job(&format!("{HTTP}{source}{sinks}"), sql));
    let mut running = directory.start(&["run", "job.toml", "--cores", "2"]);
    let names = [
        "pelton_source_rows_out_total",
        "pelton_operator_rows_in_total",
        "pelton_operator_batches_out_total",
        "pelton_operator_busy_seconds_total",
        "pelton_core_busy_seconds_total",
        "pelton_sink_rows_out_total",
    ];
    let mut before = names.map(|_| 0.0);
    let mut rises = 0;
    until("counters that rise", || {
        let metrics = Metrics::parse(&page(&mut running, "/metrics", 200)).expect("the format");
        let now = names.map(|name| metrics.sum(name, &[]));
        for ((name, was), is) in names.iter().zip(before).zip(now) {
            assert!(was <= is, "{name}: {was} {is}");
        }
        rises += usize::from(before.iter().zip(now).all(|(was, is)| *was < is));
        before = now;
        (rises == 3).then_some(())
    });
    running.stop().expect_code(0);
}

#[test]
fn no_port_is_used_when_none_is_wanted() {
    let (_directory, mut running) = start("[http]\nlisten = \"off\"\n");
    running.address("source bid");
    assert!(!running.has_said("http://"));
    running.stop().expect_code(0);
}

#[test]
fn a_port_that_is_named_and_taken_ends_the_start() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("it is bound");
    let (_directory, running) = start(&format!("[http]\nlisten = \"{address}\"\n"));
    let outcome = running.wait();
    outcome.expect_code(3);
    assert!(outcome.stderr.contains(&format!("http.listen: cannot listen on {address}")));
    assert!(outcome.stderr.contains("name a free address, or \"off\""), "{}", outcome.stderr);
}
