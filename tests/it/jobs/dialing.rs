//! Jobs that connect: sources and sinks that come back when their peer went away.

use std::io::Write;
use std::net::TcpListener;

use super::sockets::NUMBERS;
use super::{job, json_sink};
use crate::support::{Directory, LineReader, accept, connect, until};

fn listener() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("some port is free");
    let address = listener.local_addr().expect("it is bound").to_string();
    (listener, address)
}

fn source(address: &str, more: &str) -> String {
    format!(
        "[sources.numbers]\nconnector = \"tcp\"\nconnect = \"{address}\"\nformat = \"csv\"\n\
         schema = \"n BIGINT\"\n{more}\n{}",
        json_sink("out")
    )
}

/// A job from a socket to a sink that connects to `address`.
fn with_sink(address: &str) -> Directory {
    let sink = format!(
        "[sinks.out]\nconnector = \"tcp\"\nconnect = \"{address}\"\nformat = \"csv\"\nheader = true\n"
    );
    let sql = "INSERT INTO out SELECT n FROM numbers";
    Directory::with_job(&job(&format!("{NUMBERS}{sink}"), sql))
}

#[test]
fn a_source_connects_again_and_again() {
    let (listener, address) = listener();
    let sql = "INSERT INTO out SELECT n FROM numbers";
    let directory = Directory::with_job(&job(&source(&address, ""), sql));
    let arguments = ["run", "job.toml", "--cores", "3", "--report", "report.json"];
    let mut running = directory.start(&arguments);
    for visit in 1..4 {
        let mut stream = accept(&listener);
        // The last line has no line end: the end of the connection ends it.
        write!(stream, "{visit}\n{visit}0").expect("the job reads");
        drop(stream);
        running.expect_message(&format!("no connection to {address}: closed by the peer"));
        until("the rows", || (directory.lines("out").len() == 2 * visit).then_some(()));
    }
    running.stop().expect_code(0);
    let rows = [10, 1, 20, 2, 30, 3].map(|n| format!("{{\"n\":{n}}}"));
    assert_eq!(directory.rows("out"), rows);
    let report = directory.report();
    assert_eq!(report.text("outcome"), "stopped");
    assert_eq!(report.count("sources/numbers/records_in"), 6);
}

#[test]
fn a_source_that_connects_once() {
    let (listener, address) = listener();
    let sql = "INSERT INTO out SELECT n FROM numbers";
    let tables = source(&address, "end_on_disconnect = true\n");
    let directory = Directory::with_job(&job(&tables, sql));
    let running = directory.start(&["run", "job.toml", "--cores", "2"]);
    accept(&listener).write_all(b"1\n2\n").expect("the job reads");
    running.wait().expect_code(0);
    assert_eq!(directory.rows("out"), ["{\"n\":1}", "{\"n\":2}"]);
}

#[test]
fn a_sink_connects_again_and_again() {
    let (listener, address) = listener();
    let directory = with_sink(&address);
    let arguments = ["run", "job.toml", "--cores", "2", "--report", "report.json"];
    let mut running = directory.start(&arguments);
    let mut producer = connect(running.address("source numbers"));
    for visit in 1..4 {
        let mut peer = LineReader::new(accept(&listener));
        assert_eq!(peer.next().as_deref(), Some("n"));
        writeln!(producer, "{visit},w").expect("the job reads");
        assert_eq!(peer.next(), Some(visit.to_string()));
        writeln!(producer, "-{visit},w").expect("the job reads");
        peer.reset();
        running.expect_message(&format!("no connection to {address}"));
    }
    // The job waits for the peer: with nobody there the row is not thrown away.
    let mut last = LineReader::new(accept(&listener));
    writeln!(producer, "4,w").expect("the job reads");
    drop(producer);
    assert_eq!(last.rest(), ["n", "4"]);
    running.wait().expect_code(0);
    let report = directory.report();
    assert_eq!(report.count("sinks/out/rows_in"), 7);
}

#[test]
fn a_sink_leaves_a_peer_that_closes() {
    let (listener, address) = listener();
    let directory = with_sink(&address);
    let arguments = ["run", "job.toml", "--cores", "2", "--report", "report.json"];
    let mut running = directory.start(&arguments);
    let mut producer = connect(running.address("source numbers"));
    for visit in 1..4 {
        let mut peer = LineReader::new(accept(&listener));
        assert_eq!(peer.next().as_deref(), Some("n"));
        writeln!(producer, "{visit},w").expect("the job reads");
        assert_eq!(peer.next(), Some(visit.to_string()));
    }
    // The job waits for the peer: with nobody there the row is not thrown away.
    let mut last = LineReader::new(accept(&listener));
    writeln!(producer, "4,w").expect("the job reads");
    drop(producer);
    assert_eq!(last.rest(), ["n", "4"]);
    running.wait().expect_code(0);
    let report = directory.report();
    assert_eq!(report.count("sinks/out/rows_out"), 4);
    assert_eq!(report.count("sinks/out/rows_discarded"), 0);
}
