//! TCP in, TCP out: producers and subscribers that connect to a job that listens.

use std::io::Write;
use std::net::Shutdown;

use super::{job, json_sink};
use crate::support::{
    Directory, LineReader, closed_by_peer, connect, expect_same, sorted, until, until_subscribed,
};

/// A source that ends with its last connection.
pub(super) const NUMBERS: &str = "\
[sources.numbers]
connector = \"tcp\"
listen = \"127.0.0.1:0\"
format = \"csv\"
schema = \"n BIGINT, word STRING\"
end_on_disconnect = true
";

const SUBSCRIBED: &str = "\
[sinks.out]
connector = \"tcp\"
listen = \"127.0.0.1:0\"
format = \"json\"
";

/// Two producers, whose lines are cut anywhere, and two subscribers, who both get everything.
#[test]
fn lines_of_two_producers_reach_two_subscribers() {
    let sql = "INSERT INTO out SELECT n * 2 AS n, UPPER(word) AS word FROM numbers WHERE n > 0";
    for cores in ["1", "2", "4"] {
        let directory = Directory::with_job(&job(&format!("{NUMBERS}{SUBSCRIBED}"), sql));
        let arguments = ["run", "job.toml", "--cores", cores, "--report", "report.json"];
        let mut running = directory.start(&arguments);
        let (source, sink) = running.addresses();
        let mut subscribers = [(); 2].map(|()| LineReader::new(connect(sink)));
        let mut producers = [(); 2].map(|()| connect(source));
        until_subscribed(&mut producers[0], "1,probe\n", &mut subscribers);

        let mut random = fastrand::Rng::with_seed(1);
        let texts = [0, 1].map(|producer| {
            let line = |n: i64| format!("{n},w{producer}\n");
            (10..500).map(line).collect::<String>() + "-1,filtered\nbad,line\n7,last"
        });
        let mut rests = texts.each_ref().map(|text| text.as_bytes());
        while let Some(index) = (0..2).find(|&index| !rests[index].is_empty()) {
            let index = if rests[1 - index].is_empty() { index } else { random.usize(0..2) };
            let (piece, rest) = rests[index].split_at(random.usize(1..40).min(rests[index].len()));
            producers[index].write_all(piece).expect("the job reads");
            rests[index] = rest;
        }
        for producer in &producers {
            producer.shutdown(Shutdown::Write).expect("it is connected");
        }

        let mut expected: Vec<String> = Vec::new();
        for producer in 0..2 {
            let row = |n: i64| format!("{{\"n\":{},\"word\":\"W{producer}\"}}", n * 2);
            expected.extend((10..500).map(row));
            expected.push("{\"n\":14,\"word\":\"LAST\"}".to_owned());
        }
        let expected = sorted(expected);
        for subscriber in &mut subscribers {
            let mut rows = subscriber.rest();
            rows.retain(|row| !row.contains("PROBE"));
            let of_first: Vec<&String> = rows.iter().filter(|row| row.contains("W0")).collect();
            assert!(
                of_first.is_sorted_by_key(|row| row.len()),
                "a producer's rows keep their order"
            );
            expect_same(&sorted(rows), &expected, &format!("{cores} cores"));
        }
        running.wait().expect_code(0);
        let report = directory.report();
        assert_eq!(report.text("outcome"), "finished");
        assert_eq!(report.count("rejected_records"), 2);
        assert_eq!(report.count("sources/numbers/splits_opened"), 2);
        assert_eq!(report.count("operators/0/filtered"), 2);
    }
}

#[test]
fn the_job_ends_with_the_last_connection() {
    let sql = "INSERT INTO out SELECT n, word FROM numbers";
    let directory = Directory::with_job(&job(&format!("{NUMBERS}{}", json_sink("out")), sql));
    let mut running = directory.start(&["run", "job.toml", "--cores", "2"]);
    let address = running.address("source numbers");
    let mut first = connect(address);
    let mut second = connect(address);
    first.write_all(b"1,a\n").expect("the job reads");
    drop(first);
    // The job goes on: the second connection is still there, whatever has become of the first.
    until("the first row", || (!directory.lines("out").is_empty()).then_some(()));
    second.write_all(b"2,b\n3,c").expect("the job reads");
    drop(second);
    running.wait().expect_code(0).expect_message("j finished: 3 records in, 3 rows out");
    let row = |n: i64, word: &str| format!("{{\"n\":{n},\"word\":\"{word}\"}}");
    assert_eq!(directory.rows("out"), [row(1, "a"), row(2, "b"), row(3, "c")]);
}

#[test]
fn connections_beyond_the_limit_are_refused() {
    let sql = "INSERT INTO out SELECT n FROM numbers";
    let tables = format!("{NUMBERS}connections_max = 1\n{}", json_sink("out"));
    let directory = Directory::with_job(&job(&tables, sql));
    let mut running =
        directory.start(&["run", "job.toml", "--cores", "2", "--report", "report.json"]);
    let address = running.address("source numbers");
    let mut first = connect(address);
    first.write_all(b"1,a\n").expect("the job reads");
    until("the first row", || (!directory.lines("out").is_empty()).then_some(()));
    let mut second = connect(address);
    closed_by_peer(&mut second);
    running.expect_message("1 connections are served already");
    first.write_all(b"2,b\n").expect("the job reads");
    drop(first);
    running.wait().expect_code(0);
    assert_eq!(directory.rows("out"), ["{\"n\":1}", "{\"n\":2}"]);
    assert_eq!(directory.report().count("sources/numbers/connections_refused"), 1);
}
