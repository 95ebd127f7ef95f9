//! Sinks that are no files, and parts of those that are.

use std::process::Command;

use super::{job, json_sink, run};
use crate::support::{Directory, with_closed_stdout};

const NUMBERS: &str = "\
[sources.numbers]
connector = \"file\"
path = \"numbers.csv\"
format = \"csv\"
schema = \"n BIGINT, word STRING\"
";

fn numbers(sinks: &str, sql: &str) -> Directory {
    let directory = Directory::with_job(&job(&format!("{NUMBERS}{sinks}"), sql));
    directory.write("numbers.csv", "1,one\n2,\n3,\"th,ree\"\n");
    directory
}

#[test]
fn print_shows_rows_as_flink_does() {
    let sinks = "[sinks.shown]\nconnector = \"print\"\n";
    let directory = numbers(sinks, "INSERT INTO shown SELECT n, word FROM numbers");
    let (outcome, report) = run(&directory, "2");
    assert_eq!(outcome.stdout, "+I[1, one]\n+I[2, null]\n+I[3, th,ree]\n");
    assert_eq!(report.count("sinks/shown/rows_out"), 3);
}

#[test]
fn print_shows_rows_in_a_format() {
    let csv = "[sinks.shown]\nconnector = \"print\"\nformat = \"csv\"\nheader = true\n";
    let directory = numbers(csv, "INSERT INTO shown SELECT n, word FROM numbers WHERE n > 1");
    let (outcome, _) = run(&directory, "1");
    assert_eq!(outcome.stdout, "n,word\n2,\n3,\"th,ree\"\n");
}

#[test]
fn a_reader_of_printed_rows_that_goes_away_ends_the_job() {
    let sinks = "[sinks.shown]\nconnector = \"print\"\n";
    let directory = numbers(sinks, "INSERT INTO shown SELECT n FROM numbers");
    let mut command = Command::new(env!("CARGO_BIN_EXE_pelton"));
    command.args(["run", "job.toml", "--cores", "2"]).current_dir(directory.path("."));
    let outcome = with_closed_stdout(command);
    outcome.expect_code(5).expect_message("error: cannot write to standard output: Broken pipe");
}

#[test]
fn a_blackhole_counts_what_it_drops() {
    let sinks = "[sinks.gone]\nconnector = \"blackhole\"\n";
    let directory = numbers(sinks, "INSERT INTO gone SELECT n FROM numbers WHERE n <> 2");
    let (outcome, report) = run(&directory, "3");
    assert_eq!(outcome.stdout, "");
    assert_eq!(report.count("sinks/gone/rows_in"), 2);
}

#[test]
fn parts_end_at_their_size_and_are_complete_files() {
    let sinks = "[sinks.out]\nconnector = \"file\"\npath = \"out\"\nformat = \"csv\"\n\
                 header = true\npart_bytes = \"4MiB\"\n";
    let directory = numbers(sinks, "INSERT INTO out SELECT n, word FROM numbers");
    let word = "w".repeat(1_000);
    let text: String = (0..9_000).map(|n| format!("{n},{word}\n")).collect();
    directory.write("numbers.csv", &text);
    run(&directory, "1");
    let parts = directory.parts("out");
    assert!((2..=4).contains(&parts.len()), "{parts:?}");
    let mut rows = Vec::new();
    for part in &parts {
        let name = part.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("part-0001-00-") && name.ends_with(".csv"), "{name}");
        let part = std::fs::read_to_string(part).unwrap();
        let lines = part.strip_prefix("n,word\n").expect("every part has a header");
        assert!(lines.ends_with('\n'));
        rows.push(lines.to_owned());
    }
    assert_eq!(rows.concat(), text);
}

#[test]
fn nothing_is_overwritten_by_another_run() {
    let directory = numbers(&json_sink("out"), "INSERT INTO out SELECT n FROM numbers");
    run(&directory, "1");
    let arguments = ["run", "job.toml", "--cores", "1", "--fresh"];
    directory.pelton(&arguments).expect_code(0);
    let expected = ["out/part-0001-00-00000.json", "out/part-0002-00-00000.json"];
    assert_eq!(directory.parts("out"), expected.map(|name| directory.path(name)));
}
