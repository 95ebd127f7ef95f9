//! Time on connections: silent ones, and clocks that are wrong.

use std::io::Write;

use super::{job, json_sink};
use crate::support::{Directory, Running, closed_by_peer, connect, until};

/// Counts per second, printed.
fn start(keys: &str) -> (Directory, Running) {
    let source = "[sources.bid]\nconnector = \"tcp\"\nlisten = \"127.0.0.1:0\"\nformat = \"csv\"\n\
                  schema = \"k STRING, ts TIMESTAMP(3), WATERMARK FOR ts AS ts\"\n";
    let sinks = format!(
        "[sinks.out]\nconnector = \"print\"\n{}",
        ["seen", "rejected"].map(json_sink).concat()
    );
    let sql = "INSERT INTO seen SELECT k FROM bid;\n\
               INSERT INTO out SELECT k, COUNT(*) AS n \
               FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)) \
               GROUP BY k, window_start, window_end;";
    let directory = Directory::with_job(&job(&format!("{source}{keys}{sinks}"), sql));
    let arguments = ["run", "job.toml", "--cores", "2", "--report", "report.json"];
    let running = directory.start(&arguments);
    (directory, running)
}

/// Two connections on two cores: windows wait for the slower one until it has been silent for long.
#[test]
fn a_silent_connection_holds_nobody_back_for_long() {
    let (directory, mut running) = start("idle_timeout = \"200ms\"\n");
    let address = running.address("source bid");
    let (mut silent, mut talking) = (connect(address), connect(address));
    silent.write_all(b"a,2020-01-01 00:00:01\n").expect("the job reads");
    until("the silent one's row", || (!directory.lines("seen").is_empty()).then_some(()));
    talking.write_all(b"b,2020-01-01 00:00:02\nb,2020-01-01 00:00:05\n").expect("the job reads");
    // Nothing moves the silent one's time on, and yet:
    running.expect_output("+I[b, 1]");
    running.stop().expect_code(0);
    assert_eq!(directory.report().count("late_rows"), 0);
}

#[test]
fn a_connection_that_sends_nothing_is_closed() {
    let (directory, mut running) =
        start("connection_idle_max = \"100ms\"\nend_on_disconnect = true\n");
    closed_by_peer(&mut connect(running.address("source bid")));
    running.wait().expect_code(0);
    assert_eq!(directory.report().count("sources/bid/connections_refused"), 1);
}

/// One wrong clock does not make everybody else late.
#[test]
fn a_row_from_the_future_is_rejected() {
    let keys = "max_future = \"1h\"\nend_on_disconnect = true\nrejected_sink = \"rejected\"\n";
    let (directory, mut running) = start(keys);
    let mut producer = connect(running.address("source bid"));
    producer
        .write_all(b"a,2020-01-01 00:00:01\na,2999-01-01 00:00:00\na,2020-01-01 00:00:01.5\n")
        .expect("the job reads");
    drop(producer);
    let outcome = running.wait();
    outcome.expect_code(0);
    assert_eq!(outcome.stdout, "+I[a, 2]\n");
    let rejected = directory.lines("rejected").concat();
    assert!(rejected.contains("\"record\":\"a,2999-01-01 00:00:00\""), "{rejected}");
    assert!(rejected.contains("is further ahead of its arrival at "), "{rejected}");
}
