//! The jobs of `config/` and of the README: all are accepted, and do what they say.

use std::io::Write;

use crate::support::{Directory, LineReader, connect, repository, until_subscribed};

/// Every job file of the repository, by name.
fn configurations() -> Vec<(String, String)> {
    let mut files: Vec<_> = std::fs::read_dir(repository("config"))
        .expect("the repository has job files")
        .map(|entry| entry.expect("the directory is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .map(|path| {
            let name = path.file_stem().expect("it has a name").to_str().expect("names are UTF-8");
            (name.to_owned(), std::fs::read_to_string(&path).expect("job files are text"))
        })
        .collect();
    files.sort();
    files
}

/// The job file `config/NAME.toml` in a directory of its own, on ports that are free.
fn example(name: &str) -> Directory {
    let path = repository(&format!("config/{name}.toml"));
    let text = std::fs::read_to_string(path).expect("the example is there");
    let text =
        text.replace("127.0.0.1:9000", "127.0.0.1:0").replace("127.0.0.1:9100", "127.0.0.1:0");
    let directory = Directory::new();
    directory.write(&format!("config/{name}.toml"), &text);
    directory
}

/// `check` and `explain` accept `text`.
#[track_caller]
fn expect_accepted(text: &str, sinks: &str) {
    let directory = Directory::with_job(text);
    let checked = directory.pelton(&["check", "job.toml"]);
    checked.expect_code(0);
    assert!(checked.stdout.ends_with("job.toml: ok\n"), "{}", checked.stdout);
    let explained = directory.pelton(&["explain", "job.toml"]);
    explained.expect_code(0);
    let lines: Vec<&str> = explained.stdout.lines().collect();
    assert!(lines[0].starts_with("every core runs all of this; cores: "), "{lines:?}");
    for (part, what) in [("source ", "a source"), (sinks, "a sink")] {
        assert!(lines.iter().any(|line| line.contains(part)), "{what} is missing: {lines:?}");
    }
    let left = directory.parts(".");
    assert_eq!(left, [directory.path("./job.toml")], "nothing is created before a job runs");
}

#[test]
fn every_job_file_is_accepted_and_explained() {
    let files = configurations();
    let names: Vec<&str> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["default", "json-to-csv", "quickstart", "upper-a", "word-count"]);
    for (_, text) in &files {
        expect_accepted(text, "-> sink ");
    }
}

#[test]
fn every_job_of_the_readme_is_accepted() {
    let text = std::fs::read_to_string(repository("README.md")).expect("there is a README");
    let blocks = text.split("```toml\n").skip(1);
    let blocks: Vec<&str> = blocks.filter_map(|rest| rest.split("```").next()).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        expect_accepted(block, "-> sink ");
    }
}

#[test]
fn quickstart_finds_the_hot_item() {
    let directory = example("quickstart");
    // 500 bids on one auction within a second, 400 on another, and later ones that close windows.
    let bid = |auction: u32, price: u32, second: u32| {
        format!(
            "{{\"auction\":{auction},\"bidder\":1,\"price\":{price},\"channel\":\"web\",\
             \"ts\":\"2020-01-01 00:00:{second:02}\"}}\n"
        )
    };
    let mut text: String = (0..500).map(|price| bid(7, price, 3)).collect();
    text.extend((0..400).map(|price| bid(8, price, 3)));
    text += &bid(9, 1, 59);
    directory.write("data/quickstart/bids.json", &text);
    let outcome = directory.pelton(&["run", "config/quickstart.toml", "--cores", "2"]);
    outcome.expect_code(0).expect_message("quickstart finished: 901 records in, 5 rows out");
    let window = |start: &str, end: &str| {
        format!(
            "{{\"auction\":7,\"num\":500,\"highest\":499,\"window_start\":\"{start}\",\
             \"window_end\":\"{end}\"}}"
        )
    };
    let midnight = |second: u32| format!("2020-01-01 00:00:{second:02}");
    assert_eq!(
        directory.rows("data/quickstart/hot-items"),
        [
            window("2019-12-31 23:59:54", &midnight(4)),
            window("2019-12-31 23:59:56", &midnight(6)),
            window("2019-12-31 23:59:58", &midnight(8)),
            window(&midnight(0), &midnight(10)),
            window(&midnight(2), &midnight(12)),
        ]
    );
}

#[test]
fn json_to_csv_writes_what_is_expensive() {
    let directory = example("json-to-csv");
    directory.write(
        "data/quickstart/bids.json",
        "{\"auction\":1,\"price\":90000,\"channel\":\"web\",\"ts\":\"2020-01-01 00:00:00.5\"}\n\
         {\"auction\":2,\"price\":90150,\"channel\":\"a, b\",\"ts\":\"2020-01-01 00:00:01\"}\n\
         {\"auction\":3,\"price\":100000,\"ts\":\"2020-01-01 00:00:02.25\"}\n",
    );
    directory.pelton(&["run", "config/json-to-csv.toml", "--cores", "1"]).expect_code(0);
    assert_eq!(
        directory.lines("data/json-to-csv"),
        [
            "auction,price_in_units,channel,ts",
            "2,901,\"A, B\",2020-01-01 00:00:01",
            "3,1000,,2020-01-01 00:00:02.25",
        ]
    );
}

/// One line is one batch, so that all its words are in one window.
#[test]
fn word_count_counts_the_words_of_a_line() {
    let directory = example("word-count");
    let mut running = directory.start(&["run", "config/word-count.toml", "--cores", "2"]);
    let mut producer = connect(running.address("source lines"));
    producer.write_all(b"to be or not to be\n").expect("the job reads");
    let mut rows: Vec<String> = (0..4).map(|_| running.expect_output("+I[")).collect();
    rows.sort();
    for (row, start) in
        rows.iter().zip(["+I[be, 2, 20", "+I[not, 1, 20", "+I[or, 1, 20", "+I[to, 2, 20"])
    {
        assert!(row.starts_with(start), "{rows:?}");
    }
    running.stop().expect_code(0).expect_message("word-count stopped: 1 records in, 4 rows out");
}

#[test]
fn upper_a_counts_what_is_an_a() {
    let directory = example("upper-a");
    let mut running = directory.start(&["run", "config/upper-a.toml", "--cores", "2", "--drain"]);
    let (source, sink) = running.addresses();
    let mut producer = connect(source);
    let mut subscriber = [LineReader::new(connect(sink))];
    // Each line again and again, until a window has been counted with the subscriber there.
    until_subscribed(&mut producer, "a\nb\nA\naa\n", &mut subscriber);
    running.signal("TERM");
    let [mut subscriber] = subscriber;
    // The last window fires as the job drains.
    for row in subscriber.rest() {
        let row: serde_json::Value = serde_json::from_str(&row).expect("the sink writes JSON");
        assert_eq!(row["word"], "A");
        assert_eq!(row["num"].as_u64().map(|num| num % 2), Some(0), "{row}");
    }
    running.wait().expect_code(0).expect_message("upper-a drained: ");
}
