//! Ending a job by a signal: windows stay open, or fire when it drains.

use std::io::Write;
use std::net::TcpStream;

use super::{job, json_sink};
use crate::support::{Directory, LineReader, Running, connect, until, until_subscribed};

/// Bids of one window, which nothing closes, in a job that also shows that it has read them.
fn start(arguments: &[&str]) -> (Directory, Running, TcpStream) {
    let source = "[sources.bid]\nconnector = \"tcp\"\nlisten = \"127.0.0.1:0\"\nformat = \"csv\"\n\
                  schema = \"k STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts\"\n";
    let sql = "INSERT INTO seen SELECT k FROM bid;\n\
               INSERT INTO out SELECT k, COUNT(*) AS n \
               FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' MINUTE)) \
               GROUP BY k, window_start, window_end;";
    let sinks = ["seen", "out"].map(json_sink).concat();
    let directory = Directory::with_job(&job(&format!("{source}{sinks}"), sql));
    let mut running = directory.start(arguments);
    let mut producer = connect(running.address("source bid"));
    let text = "a,2020-01-01 00:00:01\nb,2020-01-01 00:00:02\na,2020-01-01 00:00:01\na,2020-";
    producer.write_all(text.as_bytes()).expect("the job reads");
    until("the rows", || (directory.lines("seen").len() == 3).then_some(()));
    (directory, running, producer)
}

const RUN: [&str; 6] = ["run", "job.toml", "--cores", "2", "--report", "report.json"];

#[test]
fn stopped_by_a_signal_a_job_leaves_windows_open() {
    for signal in ["TERM", "INT"] {
        let (directory, running, _producer) = start(&RUN);
        running.signal(signal);
        let outcome = running.wait();
        outcome.expect_code(0).expect_message("stopping: ");
        // What was received of a fourth line is no record: its end was still to come.
        outcome.expect_message("j stopped: 3 records in, 3 rows out, 0 late, 0 rejected, 3 held");
        assert!(directory.lines("out").is_empty());
        assert_eq!(directory.rows("seen").len(), 3);
        let report = directory.report();
        assert_eq!(report.text("outcome"), "stopped");
        assert_eq!(report.count("held_rows"), 3);
        assert_eq!(report.operators("(behind the exchange)", "held"), 3);
    }
}

#[test]
fn drained_a_job_fires_its_windows() {
    let (directory, running, _producer) = start(&[&RUN[..], &["--drain"]].concat());
    let outcome = running.stop();
    outcome
        .expect_code(0)
        .expect_message("j drained: 3 records in, 5 rows out, 0 late, 0 rejected;");
    assert_eq!(directory.rows("out"), ["{\"k\":\"a\",\"n\":2}", "{\"k\":\"b\",\"n\":1}"]);
    let report = directory.report();
    assert_eq!(report.text("outcome"), "drained");
    assert_eq!(report.count("held_rows"), 0);
}

/// A stopped job has not finished: the next run starts.
#[test]
fn a_stopped_job_runs_again() {
    let (directory, running, _producer) = start(&RUN);
    running.stop().expect_code(0);
    let mut again = directory.start(&RUN);
    again.address("source bid");
    again.stop().expect_code(0);
    assert_eq!(directory.report().count("run"), 2);
}

/// A subscriber that never reads keeps the job from ending; the second signal does not wait for it.
#[test]
fn a_second_signal_ends_the_process_at_once() {
    let tables = format!(
        "{}[sinks.out]\nconnector = \"tcp\"\nlisten = \"127.0.0.1:0\"\nformat = \"csv\"\n\
         slow_subscriber = \"backpressure\"\n",
        super::sockets::NUMBERS
    );
    // Each line is sent a thousandfold: more than the kernel keeps for the subscriber.
    let sql = "INSERT INTO out SELECT n, REPEAT(word, 10000) AS word FROM numbers";
    let directory = Directory::with_job(&job(&tables, sql));
    let mut running = directory.start(&["run", "job.toml", "--cores", "2"]);
    let (source, sink) = running.addresses();
    let mut producer = connect(source);
    let mut subscriber = [LineReader::new(connect(sink))];
    until_subscribed(&mut producer, "1,w\n", &mut subscriber);
    for n in 0..30 {
        writeln!(producer, "{n},{}", "w".repeat(100)).expect("the job reads");
    }
    // One batch is read as a whole: what a row of it shows holds for all that came with it.
    assert!(subscriber[0].next().is_some());
    running.signal("TERM");
    running.expect_message("stopping: ");
    running.signal("TERM");
    running.wait().expect_code(143);
}
