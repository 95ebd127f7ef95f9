//! Lines that are too long, bad, or cut off: they are rejected, and the connection goes on.

use serde_json::Value;
use std::io::Write;

use super::sockets::NUMBERS;
use super::{CORE_COUNTS, job, json_sink, run};
use crate::support::{Directory, connect};

/// The column of a line of a sink of rejected records.
fn column(line: &str, name: &str) -> Value {
    let row: Value = serde_json::from_str(line).expect("the sink writes JSON");
    row[name].clone()
}

#[test]
fn a_long_line_is_rejected_and_the_next_one_read() {
    let sinks = ["out", "rejected"].map(json_sink).concat();
    let keys = "line_max = \"1KiB\"\nrejected_sink = \"rejected\"\n";
    let sql = "INSERT INTO out SELECT n FROM numbers";
    let directory = Directory::with_job(&job(&format!("{NUMBERS}{keys}{sinks}"), sql));
    let arguments = ["run", "job.toml", "--cores", "2", "--report", "report.json"];
    let mut running = directory.start(&arguments);
    let mut producer = connect(running.address("source numbers"));
    let peer = producer.local_addr().expect("it is connected");
    let long = "x".repeat(3_000_000);
    let fits = format!("3,{}", "y".repeat(1_022));
    producer
        .write_all(format!("1,a\n2,{long}\n{fits}\nfour,d\n5,{}", &long[..2_000]).as_bytes())
        .expect("the job reads on");
    drop(producer);
    running.wait().expect_code(0);

    assert_eq!(directory.rows("out"), ["{\"n\":1}", "{\"n\":3}"]);
    let mut rejected = directory.lines("rejected");
    rejected.sort_by_key(|line| column(line, "offset").as_u64());
    assert_eq!(rejected.len(), 3);
    for line in &rejected {
        assert_eq!(column(line, "source"), format!("numbers:{peer}"));
    }
    let reasons: Vec<Value> = rejected.iter().map(|line| column(line, "reason")).collect();
    let too_long = "longer than line_max (1024 bytes)";
    assert_eq!(reasons, [too_long, "column \"n\": four is not a BIGINT", too_long]);
    // As much of a long line is kept as is allowed in a line.
    assert_eq!(column(&rejected[0], "record"), format!("2,{}", &long[..1_022]));
    assert_eq!(column(&rejected[1], "record"), "four,d");
    assert_eq!(column(&rejected[0], "offset"), 4);
    assert_eq!(column(&rejected[1], "offset"), 4 + 3_000_003 + 1_025);
    assert_eq!(directory.report().count("rejected_records"), 3);
}

/// Bytes that are no text do not get lost on their way to the sink of rejected records.
#[test]
fn bytes_that_are_no_text_are_shown_as_they_are() {
    let sinks = ["out", "rejected"].map(json_sink).concat();
    let source = "[sources.lines]\nconnector = \"file\"\npath = \"in.txt\"\nformat = \"raw\"\n\
                  schema = \"line STRING\"\nrejected_sink = \"rejected\"\n";
    let sql = "INSERT INTO out SELECT line FROM lines";
    let directory = Directory::with_job(&job(&format!("{source}{sinks}"), sql));
    std::fs::write(directory.path("in.txt"), b"good\r\nb\xff\xfed\n\n").unwrap();
    directory.pelton(&["run", "job.toml", "--cores", "1"]).expect_code(0);
    assert_eq!(directory.lines("out"), ["{\"line\":\"good\"}", "{\"line\":\"\"}"]);
    let rejected = directory.lines("rejected");
    assert_eq!(rejected.len(), 1);
    assert_eq!(column(&rejected[0], "record"), "b\\xff\\xfed");
    assert_eq!(column(&rejected[0], "offset"), 6);
}

/// A row is rejected where it cannot be evaluated, and so are the rows of a condition.
#[test]
fn rows_that_cannot_be_evaluated_are_rejected_with_their_place() {
    let sinks = ["out", "rejected"].map(json_sink).concat();
    let source = "[sources.pairs]\nconnector = \"file\"\npath = \"in.csv\"\nformat = \"csv\"\n\
                  schema = \"a BIGINT, b BIGINT\"\nrejected_sink = \"rejected\"\n";
    let sql = "INSERT INTO out SELECT a / b AS q FROM pairs WHERE 100 / a > 1";
    for cores in CORE_COUNTS {
        let directory = Directory::with_job(&job(&format!("{source}{sinks}"), sql));
        directory.write("in.csv", "6,3\n1,0\n0,1\n,2\n90,2\n8,4\n");
        let (_, report) = run(&directory, cores);
        assert_eq!(directory.rows("out"), ["{\"q\":2}", "{\"q\":2}"]);
        let mut rejected = directory.lines("rejected");
        rejected.sort_by_key(|line| column(line, "offset").as_u64());
        let shown: Vec<String> = rejected
            .iter()
            .map(|line| format!("{}{}", column(line, "reason"), column(line, "record")))
            .collect();
        let by_zero = "\"division by zero\"";
        assert_eq!(shown, [format!("{by_zero}\"1,0\""), format!("{by_zero}\"0,1\"")]);
        assert_eq!(report.count("rejected_records"), 2);
    }
}
