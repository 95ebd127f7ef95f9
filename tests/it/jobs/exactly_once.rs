//! Jobs that are killed, again and again: every row is in the output, once.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::http::status_when;
use super::json_sink;
use crate::support::{Directory, Running, expect_same, sorted, until};

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

/// A job that follows `app.log`, and what happens to that file.
struct Following(Directory);

impl Following {
    fn new(tables: &str, sql: &str) -> Following {
        let log = "[sources.log]\nconnector = \"file\"\npath = \"app.log\"\nformat = \"csv\"\n\
                   schema = \"n BIGINT\"\nfollow = true\n";
        Following(Directory::with_job(&job(&format!("{tables}{log}"), sql)))
    }

    fn append(&self, text: &str) {
        let log = OpenOptions::new().create(true).append(true).open(self.0.path("app.log"));
        log.and_then(|mut log| log.write_all(text.as_bytes())).expect("it can be written to");
    }

    fn rename(&self, from: &str, to: &str) {
        std::fs::rename(self.0.path(from), self.0.path(to)).expect("it is there");
    }

    fn start(&self) -> Running {
        self.0.start(&["run", "job.toml", "--cores", "2"])
    }

    /// Waits for so many rows.
    fn until_seen(&self, count: usize) {
        until("rows", || (visible(&self.0).len() == count).then_some(()));
    }

    /// Runs the job until there are so many rows, and kills or stops it.
    fn run_until_seen(&self, count: usize, kills: bool) {
        let running = self.start();
        self.until_seen(count);
        if kills {
            running.signal("KILL");
            running.wait();
        } else {
            running.stop().expect_code(0);
        }
    }

    /// The rows are the numbers up to this one.
    fn expect_numbers(&self, last: u32) {
        let all: BTreeSet<String> = (1..=last).map(|n| format!("{{\"n\":{n}}}")).collect();
        assert_eq!(visible(&self.0), all);
    }
}

#[test]
fn lines_of_a_followed_file_are_read_once_whatever_happens_while_the_job_does_not_run() {
    let job = Following::new("", "INSERT INTO out SELECT n FROM log");
    job.append("1\n2\n3\n4");
    job.run_until_seen(3, true);
    // The last line gets its end, the file another name, and twice there is a new one.
    job.append("\n5\n");
    job.rename("app.log", "app.log.1");
    job.append("6\n");
    job.rename("app.log.1", "app.log.2");
    job.rename("app.log", "app.log.1");
    job.append("7\n");
    job.run_until_seen(7, false);
    // The file may have no name when the job begins.
    job.append("8\n");
    job.rename("app.log", "app.log.0");
    let running = job.start();
    job.until_seen(8);
    job.append("9\n");
    job.until_seen(9);
    running.stop().expect_code(0);
    job.expect_numbers(9);
}

#[test]
fn what_is_lost_of_a_followed_file_is_said() {
    let job = Following::new("", "INSERT INTO out SELECT n FROM log");
    job.append("1\n");
    job.run_until_seen(1, true);
    job.append("7\n");
    // Beside the old one, which keeps its inode until then.
    std::fs::write(job.0.path("new"), "2\n").expect("the directory is writable");
    job.rename("new", "app.log");
    let mut running = job.start();
    running.expect_message("the file that app.log was is gone: 2 bytes of it had been read");
    job.until_seen(2);
    running.stop().expect_code(0);
    job.expect_numbers(2);
}

#[test]
fn input_that_changed_while_the_job_did_not_run_is_refused() {
    let numbers = "[sources.numbers]\nconnector = \"file\"\npath = \"in.csv\"\nformat = \"csv\"\n\
                   schema = \"n BIGINT\"\n";
    let sql = "INSERT INTO out SELECT n FROM numbers UNION ALL SELECT n FROM log";
    let job = Following::new(numbers, sql);
    job.0.write("in.csv", "1\n2\n");
    job.append("3\n");
    job.run_until_seen(3, true);
    job.0.write("in.csv", "1\n7\n");
    let refused = job.0.pelton(&["run", "job.toml", "--cores", "1"]);
    refused.expect_code(4).expect_message("the files are not those it had begun to read");
    job.0.write("in.csv", "1\n2\n");
    job.append("4\n");
    job.run_until_seen(4, false);
    job.expect_numbers(4);
}
