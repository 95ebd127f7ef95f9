//! Jobs that have finished before, and jobs that run twice at once.

use std::io::Write;

use super::sockets::NUMBERS;
use super::{job, json_sink};
use crate::support::{Directory, connect};

const RUN: [&str; 4] = ["run", "job.toml", "--cores", "2"];

fn words(sql: &str) -> String {
    let source = "[sources.words]\nconnector = \"file\"\npath = \"in.csv\"\nformat = \"csv\"\n\
                  schema = \"word STRING\"\n";
    job(&format!("{source}{}", json_sink("out")), sql)
}

#[test]
fn a_finished_job_has_nothing_to_do_until_it_is_fresh() {
    let text = words("INSERT INTO out SELECT word FROM words");
    let directory = Directory::with_job(&text);
    directory.write("in.csv", "a\n");
    directory.pelton(&RUN).expect_code(0);
    let again = directory.pelton(&RUN);
    again.expect_code(0).expect_message("in run 1; nothing to do. --fresh starts over");
    assert_eq!(directory.lines("out"), ["{\"word\":\"a\"}"]);

    // A comment is no edit; another query is.
    directory.write("job.toml", &format!("{text}# The same job.\n"));
    directory.pelton(&RUN).expect_code(0).expect_message("nothing to do");
    directory.write("job.toml", &words("INSERT INTO out SELECT UPPER(word) AS word FROM words"));
    let edited = directory.pelton(&RUN);
    edited.expect_code(2).expect_message("the job was edited after it had finished at ");
    edited.expect_message("--fresh starts over, or give it a durability.dir of its own");
    assert_eq!(directory.lines("out").len(), 1);

    let arguments = [&RUN[..], &["--fresh", "--report", "report.json"]].concat();
    directory.pelton(&arguments).expect_code(0);
    assert!(directory.report().count("run") > 1);
    assert_eq!(directory.lines("out"), ["{\"word\":\"a\"}", "{\"word\":\"A\"}"]);
}

#[test]
fn one_directory_is_for_one_process() {
    let sql = "INSERT INTO out SELECT n FROM numbers";
    let directory = Directory::with_job(&job(&format!("{NUMBERS}{}", json_sink("out")), sql));
    let mut first = directory.start(&RUN);
    let mut producer = connect(first.address("source numbers"));
    let second = directory.pelton(&RUN);
    second.expect_code(3).expect_message(&first.pid().to_string());
    // Nor does it help to start over.
    directory.pelton(&[&RUN[..], &["--fresh"]].concat()).expect_code(3);
    // The first has not noticed.
    producer.write_all(b"1,a\n").expect("the job reads");
    drop(producer);
    first.wait().expect_code(0);
    assert_eq!(directory.lines("out"), ["{\"n\":1}"]);
}

#[test]
fn another_jobs_directory_is_left_alone() {
    let directory = Directory::with_job(&words("INSERT INTO out SELECT word FROM words"));
    directory.write("in.csv", "a\n");
    directory.pelton(&RUN).expect_code(0);
    let other = words("INSERT INTO out SELECT word FROM words")
        .replace("name = \"j\"", "name = \"k\"")
        .replace("mode = \"off\"", "mode = \"off\"\ndir = \"data/j\"");
    directory.write("job.toml", &other);
    directory.pelton(&RUN).expect_code(3).expect_message("data/j");
    assert_eq!(directory.lines("out").len(), 1);
}

#[test]
fn a_directory_that_cannot_be_one_is_named() {
    let text = words("INSERT INTO out SELECT word FROM words")
        .replace("mode = \"off\"", "mode = \"off\"\ndir = \"in.csv\"");
    let directory = Directory::with_job(&text);
    directory.write("in.csv", "a\n");
    directory.pelton(&RUN).expect_code(3).expect_message("in.csv: cannot create");
}
