//! Jobs that are killed, again and again: every row is in the output, once.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use super::http::status_when;
use super::json_sink;
use crate::support::{Directory, expect_same, sorted, until};

/// Runs of a job that are killed before one may come to its end.
const KILLS: u32 = 6;

/// Some 1.5 s of numbers, and 1.5 s of bids.
const NUMBERS: &str = "[sources.made]\nconnector = \"datagen\"\nrows_per_second = 100000\n\
                       schema = \"id BIGINT\"\n[sources.made.fields]\n\
                       id = { kind = \"sequence\", start = 1, end = 150000 }\n";
const BIDS: &str = "[sources.made]\nconnector = \"nexmark\"\nevents = 150000\n\
                    events_per_second = 100000\nrate_limited = true\n";

const WINDOWS: &str = "CREATE VIEW bid AS SELECT bid.auction, bid.price, `dateTime` FROM made \
                       WHERE event_type = 2;\n\
                       INSERT INTO out SELECT auction, COUNT(*) AS num, SUM(price) AS total, \
                       window_start FROM TABLE(HOP(TABLE bid, DESCRIPTOR(`dateTime`), \
                       INTERVAL '0.1' SECOND, INTERVAL '0.3' SECOND)) \
                       GROUP BY auction, window_start, window_end;";

/// A job with durability, whose parts appear often.
fn job(source: &str, sql: &str) -> String {
    let sink = format!("{}part_age = \"20ms\"\n", json_sink("out"));
    format!(
        "name = \"j\"\n[durability]\ncheckpoint_interval = \"10ms\"\n{source}{sink}\
         [query]\nsql = '''\n{sql}\n'''\n"
    )
}

/// Lines of complete parts; none is there twice.
#[track_caller]
fn visible(directory: &Directory) -> BTreeSet<String> {
    let is_complete = |path: &&Path| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("part-"))
    };
    let mut visible = BTreeSet::new();
    for part in directory.parts("out").iter().map(|part| part.as_path()).filter(is_complete) {
        let text = std::fs::read_to_string(part).expect("it is there for good");
        assert!(text.ends_with('\n'), "{} has half a line", part.display());
        for line in text.lines() {
            assert!(visible.insert(line.to_owned()), "{line} is there twice");
        }
    }
    visible
}

/// Kills the job some time after it has shown something new, several times; then lets it end. Says what
/// is there then.
fn killed(directory: &Directory, cores: [&str; 3]) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let has_ended = || directory.path("data/j/finished.json").exists();
    for kill in 0..KILLS {
        if has_ended() {
            break;
        }
        let mut running =
            directory.start(&["run", "job.toml", "--cores", cores[kill as usize % 3]]);
        if kill > 0 {
            running.expect_message("going on from epoch");
        }
        until("something new, or the end", || {
            (has_ended() || visible(directory).len() > seen.len()).then_some(())
        });
        std::thread::sleep(Duration::from_millis(u64::from(kill * 7)));
        running.signal("KILL");
        running.wait();
        let now = visible(directory);
        assert!(seen.is_subset(&now), "a row is gone");
        seen = now;
    }
    directory.pelton(&["run", "job.toml", "--cores", "2"]).expect_code(0);
    for part in directory.parts("out") {
        assert!(!part.to_string_lossy().ends_with(".open"), "{} is open", part.display());
    }
    visible(directory)
}

#[test]
fn rows_are_in_files_once_however_often_the_job_is_killed() {
    let directory = Directory::with_job(&job(NUMBERS, "INSERT INTO out SELECT id FROM made"));
    let all: BTreeSet<String> = (1..=150_000).map(|id| format!("{{\"id\":{id}}}")).collect();
    let there = killed(&directory, ["1", "2", "3"]);
    assert!(there == all, "{} rows", there.len());
}

#[test]
fn windows_are_in_files_once_however_often_the_job_is_killed() {
    let undisturbed = Directory::with_job(&job(&BIDS.replace("true", "false"), WINDOWS));
    undisturbed.pelton(&["run", "job.toml", "--cores", "1"]).expect_code(0);
    let expected = visible(&undisturbed);
    assert!(expected.len() > 1_000, "{} rows", expected.len());
    let there = killed(&Directory::with_job(&job(BIDS, WINDOWS)), ["2", "2", "1"]);
    let listed = |rows: BTreeSet<String>| sorted(rows.into_iter().collect());
    expect_same(&listed(there), &listed(expected), "killed");
}

#[test]
fn two_jobs_do_not_write_into_one_directory_at_once() {
    let first = Directory::with_job(&job(NUMBERS, "INSERT INTO out SELECT id FROM made"));
    let out = first.path("out");
    let path = format!("path = \"{}\"", out.display());
    let other = job(NUMBERS, "INSERT INTO out SELECT id FROM made");
    let other = Directory::with_job(&other.replace("path = \"out\"", &path));
    let running = first.start(&["run", "job.toml", "--cores", "1"]);
    until("a part", || (!first.parts("out").is_empty()).then_some(()));
    let refused = other.pelton(&["run", "job.toml", "--cores", "1"]);
    refused.expect_code(3).expect_message("give each its own directory");
    running.wait().expect_code(0);
    assert_eq!(visible(&first).len(), 150_000);
    // One after the other they may.
    other.pelton(&["run", "job.toml", "--cores", "1"]).expect_code(0);
    assert_eq!(first.lines("out").len(), 300_000);
}

#[test]
fn a_sink_whose_output_is_not_complete_cannot_be_left_out() {
    let text = job(NUMBERS, "INSERT INTO out SELECT id FROM made").replace("20ms", "1h");
    let directory = Directory::with_job(&text);
    let arguments = ["run", "job.toml", "--cores", "1"];
    let mut running = directory.start(&arguments);
    status_when(&mut running, |status| status["checkpoint"]["epoch"].as_u64() > Some(3));
    running.signal("KILL");
    running.wait();
    assert!(visible(&directory).is_empty() && !directory.parts("out").is_empty());
    let renamed = text.replace("[sinks.out]", "[sinks.other]").replace("INTO out", "INTO other");
    directory.write("job.toml", &renamed);
    let refused = directory.pelton(&arguments);
    refused
        .expect_code(2)
        .expect_message("the job had a sink \"out\", whose output is not complete");
    directory.write("job.toml", &text);
    let outcome = directory.pelton(&arguments);
    outcome.expect_code(0).expect_message("completed what an earlier run left open: ");
    assert_eq!(visible(&directory).len(), 150_000);
}
