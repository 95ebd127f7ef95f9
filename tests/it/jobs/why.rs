//! Situations in which nothing comes out of a job, and what `pelton why` and the status say of them.

use std::io::Write;
use std::net::TcpStream;

use super::http::{page, status_when};
use super::{job, json_sink};
use crate::support::{Directory, Metrics, Running, connect};

const COUNT: &str = "INSERT INTO out SELECT k, COUNT(*) AS n \
                     FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)) \
                     GROUP BY k, window_start, window_end";

/// A job that reads lines of `format` from TCP into `sink`.
struct Staged {
    directory: Directory,
    running: Running,
    producers: Vec<TcpStream>,
}

impl Staged {
    fn new(keys: &str, sink: &str, sql: &str) -> Staged {
        let source = format!(
            "[sources.bid]\nconnector = \"tcp\"\nlisten = \"127.0.0.1:0\"\n{keys}\
             schema = \"k STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts\"\n"
        );
        let directory = Directory::with_job(&job(&format!("{source}{sink}"), sql));
        let running = directory.start(&["run", "job.toml", "--cores", "2"]);
        Staged { directory, running, producers: Vec::new() }
    }

    fn csv(sql: &str) -> Staged {
        Staged::new("format = \"csv\"\n", &json_sink("out"), sql)
    }

    /// A new producer sends `text` and stays.
    fn send(&mut self, text: &str) {
        let mut producer = connect(self.running.address("source bid"));
        producer.write_all(text.as_bytes()).expect("the job reads");
        self.producers.push(producer);
    }

    /// Another one; the job's address is told only once.
    fn send_more(&mut self, text: &str) {
        let address = self.producers[0].peer_addr().expect("it is connected");
        let mut producer = connect(address);
        producer.write_all(text.as_bytes()).expect("the job reads");
        self.producers.push(producer);
    }

    /// Waits until `pelton why` says all of `parts` in one line.
    #[track_caller]
    fn expect(&self, parts: &[&str]) {
        let mut last = String::new();
        let found = until_said(|| {
            let outcome = self.directory.pelton(&["why", "job.toml"]);
            last = outcome.stdout + &outcome.stderr;
            last.lines().any(|line| parts.iter().all(|part| line.contains(part)))
        });
        assert!(found, "{parts:?} was not said:\n{last}");
    }

    /// And ends the job. What it holds is nobody's concern.
    fn end(mut self) {
        self.producers.clear();
        self.running.signal("TERM");
        drop(self.running);
    }
}

fn until_said(mut said: impl FnMut() -> bool) -> bool {
    (0..60).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(100));
        said()
    })
}

#[test]
fn nobody_has_connected() {
    let staged = Staged::csv(COUNT);
    staged.expect(&["no input: source bid", "has had no record; nobody has connected to it"]);
    staged.end();
}

#[test]
fn the_producer_has_stopped() {
    let mut staged = Staged::csv("INSERT INTO out SELECT k FROM bid");
    staged.send("a,2020-01-01 00:00:01\n");
    staged.producers.clear();
    staged.expect(&["no input: source bid", "after 1; all of its 1 connections have gone"]);
    staged.end();
}

#[test]
fn a_split_that_is_idle_holds_the_watermark() {
    let mut staged = Staged::csv(COUNT);
    staged.send("a,2020-01-01 00:00:01\n");
    status_when(&mut staged.running, |status| status["sources"][0]["records_in"] == 1);
    staged.send_more("b,2020-01-01 00:00:02\nb,2020-01-01 00:00:09\n");
    let idle = format!("bid:{}", staged.producers[0].local_addr().expect("it is connected"));
    staged.expect(&[&idle, "holds the watermark at 2020-01-01 00:00:01.000", "idle_timeout"]);
    let metrics = Metrics::parse(&page(&mut staged.running, "/metrics", 200)).expect("the format");
    assert!(metrics.sum("pelton_source_watermark_held_seconds", &[]) > 2.0);
    staged.end();
}

#[test]
fn one_time_from_the_future_makes_the_others_late() {
    let keys = "format = \"csv\"\nmax_future = \"off\"\n";
    let mut staged = Staged::new(keys, &json_sink("out"), COUNT);
    let now = "a,2020-01-01 00:00:01\n".repeat(50);
    staged.send(&format!("a,2999-01-01 00:00:00\n{now}"));
    staged.expect(&["% of the rows are late: the watermark of bid is 2999-01-01", "max_future"]);
    let status = status_when(&mut staged.running, |status| status["late_rows"] == 50);
    assert_eq!(status["sources"][0]["late_rows"], 50);
    staged.end();
}

#[test]
fn times_from_the_future_are_rejected() {
    let mut staged = Staged::csv(COUNT);
    staged.send("a,2999-01-01 00:00:00\n");
    staged.expect(&["rejects 100 % of its records, 1 of them as time_ahead", "max_future"]);
    staged.end();
}

#[test]
fn a_field_is_called_otherwise() {
    let mut staged = Staged::new("format = \"json\"\n", &json_sink("out"), COUNT);
    staged.send("{\"k\":\"a\",\"time\":\"2020-01-01 00:00:01\"}\n");
    staged.expect(&["rejects 100 % of its records, 1 of them as time_null", "called the same"]);
    let metrics = Metrics::parse(&page(&mut staged.running, "/metrics", 200)).expect("the format");
    let labels = [("source", "bid"), ("reason", "time_null")];
    assert_eq!(metrics.sum("pelton_rejected_records_total", &labels), 1.0);
    staged.end();
}

#[test]
fn the_time_is_null() {
    let mut staged = Staged::csv(COUNT);
    staged.send("a,\nb,\n");
    staged.expect(&[
        "rejects 100 % of its records, 2 of them as time_null",
        "rowtime \"ts\" is NULL",
    ]);
    staged.end();
}

#[test]
fn nothing_matches_the_filter() {
    let mut staged = Staged::csv("INSERT INTO out SELECT k FROM bid WHERE k = 'none'");
    staged.send(&"a,2020-01-01 00:00:01\n".repeat(3));
    staged.expect(&["drops 100 % of its 3 rows: nothing matches"]);
    staged.end();
}

#[test]
fn a_subscriber_does_not_read() {
    let sink = "[sinks.out]\nconnector = \"tcp\"\nlisten = \"127.0.0.1:0\"\nformat = \"csv\"\n\
                slow_subscriber = \"backpressure\"\n";
    let sql = "INSERT INTO out SELECT k FROM bid";
    let mut staged = Staged::new("format = \"csv\"\n", sink, sql);
    let (source, subscribers) = staged.running.addresses();
    let subscriber = connect(subscribers);
    let mut producer = connect(source);
    let peer = subscriber.local_addr().expect("it is connected").to_string();
    let line = format!("{},2020-01-01 00:00:01\n", "x".repeat(1000));
    let feeding = std::thread::spawn(move || {
        // Until the job takes no more, and then until it is gone.
        while producer.write_all(line.as_bytes()).is_ok() {}
    });
    staged.expect(&["sink out is blocked: subscriber", &peer, "bytes to take"]);
    let status = status_when(&mut staged.running, |status| {
        status["blocked"].as_array().is_some_and(|all| all.iter().any(|it| it["by"] == "sink out"))
    });
    assert!(status["sinks"][0]["blocked_by"].as_str().is_some_and(|by| by.contains(&peer)));
    drop(subscriber);
    staged.end();
    feeding.join().expect("it ends with the job");
}

/// One core gets the rows of one key; the source is faster than a window of distinct values.
#[test]
fn one_key_has_most_of_the_rows() {
    let source = "[sources.n]\nconnector = \"datagen\"\nrows_per_second = 1000000\n\
                  schema = \"k BIGINT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts\"\n\
                  [sources.n.fields]\nk = { min = 1, max = 1 }\nv = { min = 0, max = 1000000000 }\n";
    let sinks = "[sinks.out]\nconnector = \"blackhole\"\n";
    let sql = "INSERT INTO out SELECT k, COUNT(DISTINCT v) AS n \
               FROM TABLE(TUMBLE(TABLE n, DESCRIPTOR(ts), INTERVAL '5' SECOND)) \
               GROUP BY k, window_start, window_end";
    let directory = Directory::with_job(&job(&format!("{source}{sinks}"), sql));
    let mut running = directory.start(&["run", "job.toml", "--cores", "2"]);
    let status = status_when(&mut running, |status| {
        let operators = status["operators"].as_array().expect("a list");
        operators.iter().any(|operator| {
            let rows: Vec<u64> = operator["rows_in_by_core"]
                .as_array()
                .expect("a list")
                .iter()
                .filter_map(serde_json::Value::as_u64)
                .collect();
            rows.iter().sum::<u64>() > 10_000 && rows.contains(&0)
        })
    });
    assert!(status["operators"].as_array().is_some_and(|all| all.len() >= 2));
    running.signal("TERM");
}

/// The listener cannot take another connection: the notice says why, and `why` what to do.
#[test]
fn too_few_descriptors() {
    let tables = format!(
        "[sources.bid]\nconnector = \"tcp\"\nlisten = \"127.0.0.1:0\"\nformat = \"csv\"\n\
         schema = \"k STRING\"\n{}",
        json_sink("out")
    );
    let directory = Directory::with_job(&job(&tables, "INSERT INTO out SELECT k FROM bid"));
    let mut running = directory.start_limited("ulimit -n 64", &["run", "job.toml", "--cores", "1"]);
    let address = running.address("source bid");
    let _peers: Vec<TcpStream> = (0..80).filter_map(|_| TcpStream::connect(address).ok()).collect();
    running.expect_message("cannot accept connections for now: Too many open files");
    // The port for questions needs descriptors, too, so that the cure is said at once or not at all.
    running.signal("TERM");
}

#[test]
fn a_job_that_does_not_run_is_told_from_one_that_says_nothing() {
    let directory = Directory::with_job(&job(
        &format!(
            "[sources.bid]\nconnector = \"tcp\"\nlisten = \"127.0.0.1:0\"\nformat = \"csv\"\n\
             schema = \"k STRING\"\n{}",
            json_sink("out")
        ),
        "INSERT INTO out SELECT k FROM bid",
    ));
    for arguments in [&["why", "job.toml"][..], &["explain", "--live", "job.toml"]] {
        let outcome = directory.pelton(arguments);
        outcome.expect_code(3);
        assert!(outcome.stderr.contains("no process that runs this job answers"), "{outcome:?}");
    }
}

#[test]
fn a_running_job_is_explained_with_its_figures() {
    let mut staged = Staged::csv(COUNT);
    staged.send("a,2020-01-01 00:00:01\nb,2020-01-01 00:00:01\n");
    status_when(&mut staged.running, |status| status["held_rows"] == 2);
    let outcome = staged.directory.pelton(&["explain", "--live", "job.toml"]);
    outcome.expect_code(0);
    for part in ["= ", " rows/s, busy ", "state 2 keys ", "queue 0 of ", "bottleneck: none"] {
        assert!(outcome.stdout.contains(part), "{part:?} is missing:\n{}", outcome.stdout);
    }
    staged.end();
}

#[test]
fn explain_has_three_forms() {
    let directory = Directory::with_job(&job(
        &format!(
            "[sources.bid]\nconnector = \"tcp\"\nlisten = \"127.0.0.1:0\"\nformat = \"csv\"\n\
             schema = \"k STRING, unread BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '4' SECOND\"\n{}",
            json_sink("out")
        ),
        COUNT,
    ));
    let explain = |arguments: &[&str]| {
        let outcome = directory.pelton(&[&["explain", "job.toml"], arguments].concat());
        outcome.expect_code(0);
        outcome.stdout
    };
    let tree = explain(&[]);
    for part in [
        ". watermark: ts - 4s, per connection",
        "one connection uses one core up to the first exchange",
        "by key hash of k, to the core that owns the key",
        ". state: one entry per k and window; bounded by",
        ". lateness: a row is late when",
        ". waits: a window of 1s every 1s fires when the watermark of all splits passes its end",
        ". latency floor: a part appears at 128MiB or after 30s",
    ] {
        assert!(tree.contains(part), "{part:?} is missing:\n{tree}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&explain(&["--format", "json"])).expect("JSON");
    assert_eq!(json["stages"][0]["input"]["source"]["watermark"]["delay_ms"], 4_000);
    assert_eq!(json["exchanges"][0]["keys"][0], "k");
    let dot = explain(&["--format", "dot"]);
    assert!(dot.starts_with("digraph \"j\" {\n") && dot.ends_with("}\n"), "{dot}");
    for edge in ["\"source bid\" -> \"s0 ", " -> \"exchange 1\";", " -> \"sink out\";"] {
        assert!(dot.contains(edge), "{edge:?} is missing:\n{dot}");
    }
}
