//! Situations in which nothing comes out of a job, and what `pelton why` and the status say of them.

use serde_json::Value;
use std::io::Write;
use std::net::TcpStream;

use super::http::{page, status_when};
use super::{job, json_sink};
use crate::support::{Directory, Metrics, Running, connect, until};

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
        expect_why(&self.directory, parts);
    }

    /// The sum of a metric's samples with these labels.
    #[track_caller]
    fn metric(&mut self, name: &str, labels: &[(&str, &str)]) -> f64 {
        metric(&mut self.running, name, labels)
    }

    /// What the status says of its one source, once it has read as many records.
    #[track_caller]
    fn source(&mut self, records: u64) -> Value {
        let has_read = |status: &Value| status["sources"][0]["records_in"] == records;
        status_when(&mut self.running, has_read)["sources"][0].clone()
    }

    /// And ends the job. What it holds is nobody's concern.
    fn end(mut self) {
        self.producers.clear();
        self.running.signal("TERM");
        drop(self.running);
    }
}

#[track_caller]
fn expect_why(directory: &Directory, parts: &[&str]) {
    let mut last = String::new();
    let found = until_said(|| {
        let outcome = directory.pelton(&["why", "job.toml"]);
        last = outcome.stdout + &outcome.stderr;
        last.lines().any(|line| parts.iter().all(|part| line.contains(part)))
    });
    assert!(found, "{parts:?} was not said:\n{last}");
}

#[track_caller]
fn metric(running: &mut Running, name: &str, labels: &[(&str, &str)]) -> f64 {
    Metrics::parse(&page(running, "/metrics", 200)).expect("the format").sum(name, labels)
}

fn until_said(mut said: impl FnMut() -> bool) -> bool {
    (0..150).any(|_| {
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
    let source = staged.source(1);
    assert!(source["silent_seconds"].as_f64().is_some_and(|silent| silent > 1.0), "{source}");
    assert_eq!((&source["splits_open"], &source["splits_opened"]), (&0.into(), &1.into()));
    assert_eq!(staged.metric("pelton_source_splits_open", &[]), 0.0);
    assert_eq!(staged.metric("pelton_source_records_in_total", &[]), 1.0);
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
    assert_eq!(staged.source(3)["watermark"]["split"], idle);
    assert!(staged.metric("pelton_source_watermark_held_seconds", &[]) > 2.0);
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
    let lag = status["sources"][0]["lag_seconds"].as_f64().expect("a number");
    assert!(lag < -1e9, "{status}");
    assert_eq!(staged.metric("pelton_operator_rows_late_total", &[]), 50.0);
    assert!(staged.metric("pelton_source_watermark_seconds", &[]) > 3e10);
    staged.end();
}

#[test]
fn times_from_the_future_are_rejected() {
    let mut staged = Staged::csv(COUNT);
    staged.send("a,2999-01-01 00:00:00\n");
    staged.expect(&["rejects 100 % of its records, 1 of them as time_ahead", "max_future"]);
    assert_eq!(staged.source(1)["rejected"]["time_ahead"], 1);
    let labels = [("source", "bid"), ("reason", "time_ahead")];
    assert_eq!(staged.metric("pelton_rejected_records_total", &labels), 1.0);
    staged.end();
}

#[test]
fn a_field_is_called_otherwise() {
    let mut staged = Staged::new("format = \"json\"\n", &json_sink("out"), COUNT);
    staged.send("{\"k\":\"a\",\"time\":\"2020-01-01 00:00:01\"}\n");
    staged.expect(&["rejects 100 % of its records, 1 of them as time_null", "called the same"]);
    assert_eq!(staged.source(1)["rejected"]["time_null"], 1);
    let labels = [("source", "bid"), ("reason", "time_null")];
    assert_eq!(staged.metric("pelton_rejected_records_total", &labels), 1.0);
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
    assert_eq!(staged.source(2)["rejected"]["time_null"], 2);
    let labels = [("source", "bid"), ("reason", "time_null")];
    assert_eq!(staged.metric("pelton_rejected_records_total", &labels), 2.0);
    staged.end();
}

#[test]
fn nothing_matches_the_filter() {
    let mut staged = Staged::csv("INSERT INTO out SELECT k FROM bid WHERE k = 'none'");
    staged.send(&"a,2020-01-01 00:00:01\n".repeat(3));
    staged.expect(&["drops 100 % of its 3 rows: nothing matches"]);
    let filtered = |status: &Value| {
        let operators = status["operators"].as_array().expect("a list");
        operators.iter().any(|operator| operator["filtered"] == 3)
    };
    status_when(&mut staged.running, filtered);
    assert_eq!(staged.metric("pelton_operator_rows_filtered_total", &[]), 3.0);
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
    assert_eq!(staged.metric("pelton_sink_full", &[("sink", "out")]), 1.0);
    assert!(staged.metric("pelton_blocked_seconds_total", &[("by", "sink out")]) > 0.0);
    drop(subscriber);
    staged.end();
    feeding.join().expect("it ends with the job");
}

/// One core gets the rows of one key; the source is faster than a window of distinct values.
#[test]
fn one_key_has_most_of_the_rows() {
    let source = "[sources.n]\nconnector = \"datagen\"\nrows_per_second = 100000000\n\
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
    let has_none = |operator: &&Value| {
        operator["rows_in_by_core"].as_array().is_some_and(|rows| rows.contains(&0.into()))
    };
    let mut operators = status["operators"].as_array().expect("a list").iter();
    let hot = operators.rfind(has_none).expect("just seen")["id"].as_str().expect("a text");
    let said = [
        "it owns 100 % of the rows of `window",
        "a hot key of key group",
        "has 100 % of exchange 1",
    ];
    expect_why(&directory, &said);
    let rows = ["0", "1"].map(|core| {
        metric(&mut running, "pelton_operator_rows_in_total", &[("id", hot), ("core", core)])
    });
    assert!(rows.contains(&0.0) && rows.iter().sum::<f64>() > 10_000.0, "{rows:?}");
    running.signal("TERM");
}

/// The file system of the output folder is full: rows wait, and go on when there is space. It is one of
/// the test's own, where one may be mounted.
#[test]
fn the_disk_of_the_output_folder_is_full() {
    let tables = "[sources.bid]\nconnector = \"tcp\"\nlisten = \"127.0.0.1:0\"\nformat = \"csv\"\n\
                  schema = \"k STRING\"\n\
                  [sinks.out]\nconnector = \"file\"\npath = \"disk/out\"\nformat = \"csv\"\n";
    let directory = Directory::with_job(&job(tables, "INSERT INTO out SELECT k FROM bid"));
    let script = "unshare -rm true 2> /dev/null || { echo cannot mount >&2; exit 77; }; mkdir disk; \
                  exec unshare -rm sh -c 'mount -t tmpfs -o size=256k tmpfs disk && mkdir disk/out && \
                  head -c 196608 /dev/zero > disk/ballast && exec \"$0\" \"$@\"' \"$0\" \"$@\"";
    let mut running = directory.start_by(script, &["run", "job.toml", "--cores", "1"]);
    let address = until("a listener, or none", || {
        let ended = running.has_said("cannot mount");
        (ended || running.has_said("source bid: listening on ")).then_some(ended)
    });
    if address {
        return;
    }
    let mut producer = connect(running.address("source bid"));
    let rows = format!("{}\n", "x".repeat(999)).repeat(100);
    producer.write_all(rows.as_bytes()).expect("the job reads");
    expect_why(&directory, &["sink out is blocked: no space left for", "disk/out: free some"]);
    let full = status_when(&mut running, |status| !status["sinks"][0]["blocked_by"].is_null());
    let blocked_by = full["sinks"][0]["blocked_by"].as_str().expect("a text");
    assert!(blocked_by.starts_with("no space left for "), "{full}");
    assert_eq!(metric(&mut running, "pelton_sink_full", &[("sink", "out")]), 1.0);
    running.expect_message("rows wait; free some");
    let disk = format!("/proc/{}/root{}", running.pid(), directory.path("disk").display());
    std::fs::remove_file(format!("{disk}/ballast")).expect("it is in the program's own mount");
    running.expect_message("there is space again for");
    status_when(&mut running, |status| status["sinks"][0]["rows_out"] == 100);
    drop(producer);
    running.stop().expect_code(0);
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
    expect_why(&directory, &["Too many open files", "raise the limit: ulimit -n 65536"]);
    // Who asks is answered again and again, although there is no descriptor left.
    for _ in 0..5 {
        let full = status_when(&mut running, |status| {
            status["notices"].as_array().is_some_and(|all| !all.is_empty())
        });
        assert_eq!(full["descriptors_max"], 64, "{full}");
        assert!(full["descriptors_open"].as_u64().is_some_and(|open| open >= 60), "{full}");
        assert!(metric(&mut running, "pelton_descriptors_open", &[]) >= 60.0);
    }
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
