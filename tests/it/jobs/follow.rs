//! Files that grow: appended to, rotated away, cut back.

use std::fs::OpenOptions;
use std::io::Write;

use super::{job, json_sink};
use crate::support::{Directory, Running, until};

fn start() -> (Directory, Running) {
    let tables = format!(
        "[sources.log]\nconnector = \"file\"\npath = \"app.log\"\nformat = \"csv\"\n\
         schema = \"n BIGINT\"\nfollow = true\n{}",
        json_sink("out")
    );
    let directory = Directory::with_job(&job(&tables, "INSERT INTO out SELECT n FROM log"));
    directory.write("app.log", "1\n2\n");
    let running = directory.start(&["run", "job.toml", "--cores", "2", "--report", "report.json"]);
    (directory, running)
}

/// Waits until so many rows are written.
fn until_rows(directory: &Directory, count: usize) {
    until("rows of the followed file", || (directory.lines("out").len() == count).then_some(()));
}

fn append(directory: &Directory, name: &str, text: &str) {
    let file = OpenOptions::new().append(true).open(directory.path(name));
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.expect("the file is there and can be appended to");
}

/// Stops the job: it wrote the numbers from 1 on, in order.
fn expect_numbers(directory: &Directory, running: Running, count: usize) {
    running.stop().expect_code(0).expect_message("j stopped");
    let expected: Vec<String> = (1..=count).map(|n| format!("{{\"n\":{n}}}")).collect();
    assert_eq!(directory.lines("out"), expected);
    let report = directory.report();
    assert_eq!(report.text("outcome"), "stopped");
    assert_eq!(report.count("sources/log/rejected"), 0);
}

#[test]
fn what_is_appended_is_read() {
    let (directory, running) = start();
    until_rows(&directory, 2);
    append(&directory, "app.log", "3\n");
    until_rows(&directory, 3);
    // A line that is not complete waits for its end.
    append(&directory, "app.log", "4\n00000000");
    until_rows(&directory, 4);
    append(&directory, "app.log", "5\n6\n");
    until_rows(&directory, 6);
    expect_numbers(&directory, running, 6);
}

#[test]
fn a_rotated_file_is_read_to_its_end_and_then_the_new_one() {
    let (directory, running) = start();
    until_rows(&directory, 2);
    std::fs::rename(directory.path("app.log"), directory.path("app.log.1")).unwrap();
    // The writer has not noticed yet; and it ends without a line end.
    append(&directory, "app.log.1", "3\n4");
    directory.write("app.log", "5\n");
    until_rows(&directory, 5);
    append(&directory, "app.log", "6\n");
    until_rows(&directory, 6);
    // What comes to the old file from now on is nobody's.
    append(&directory, "app.log.1", "77\n");
    append(&directory, "app.log", "7\n");
    until_rows(&directory, 7);
    expect_numbers(&directory, running, 7);
}

#[test]
fn a_file_that_is_cut_back_is_read_from_its_start() {
    let (directory, running) = start();
    until_rows(&directory, 2);
    OpenOptions::new().write(true).open(directory.path("app.log")).unwrap().set_len(0).unwrap();
    append(&directory, "app.log", "3\n");
    until_rows(&directory, 3);
    append(&directory, "app.log", "4\n5\n6\n");
    until_rows(&directory, 6);
    expect_numbers(&directory, running, 6);
}
