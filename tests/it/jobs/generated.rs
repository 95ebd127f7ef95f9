//! Jobs that make their input: the same rows on any number of cores.

use super::{CORE_COUNTS, job, json_sink, run};
use crate::support::{Directory, expect_same, repository};

/// Runs `sql` over `source` on each number of cores; the rows of the sink `out` are the same, and
/// are given back.
#[track_caller]
fn same_on_all_cores(source: &str, sql: &str, events: u64) -> Vec<String> {
    let mut first: Option<Vec<String>> = None;
    for cores in CORE_COUNTS {
        let text = job(&format!("{source}{}", json_sink("out")), sql);
        let directory = Directory::with_job(&text);
        let (_, report) = run(&directory, cores);
        assert_eq!(report.count("sources/made/records_in"), events);
        let rows = directory.rows("out");
        match &first {
            None => first = Some(rows),
            Some(expected) => expect_same(&rows, expected, &format!("{cores} cores")),
        }
    }
    first.expect("there are numbers of cores")
}

const NEXMARK: &str = "[sources.made]\nconnector = \"nexmark\"\nevents = 200000\n";

#[test]
fn a_nexmark_stream_is_the_same_on_any_number_of_cores() {
    let bids = "INSERT INTO out SELECT bid.auction, bid.bidder, bid.price, bid.channel, bid.url, \
                bid.extra, `dateTime` FROM made WHERE event_type = 2 AND MOD(bid.auction, 7) = 0;";
    assert!(same_on_all_cores(NEXMARK, bids, 200_000).len() > 20_000);
    let people = "INSERT INTO out SELECT person.id, person.name, person.state, `dateTime` FROM made \
                  WHERE event_type = 0;";
    assert_eq!(same_on_all_cores(NEXMARK, people, 200_000).len(), 4_000);
}

#[test]
fn windows_over_nexmark_are_the_same_on_any_number_of_cores() {
    let sql = "CREATE VIEW bid AS SELECT bid.auction, bid.price, `dateTime` FROM made \
               WHERE event_type = 2;\n\
               INSERT INTO out SELECT auction, COUNT(*) AS num, SUM(price) AS total, window_start \
               FROM TABLE(HOP(TABLE bid, DESCRIPTOR(`dateTime`), INTERVAL '2' SECOND, \
               INTERVAL '10' SECOND)) GROUP BY auction, window_start, window_end;";
    let rows = same_on_all_cores(NEXMARK, sql, 200_000);
    // 184,000 bids, each in five windows.
    let counted: u64 = rows
        .iter()
        .map(|row| serde_json::from_str::<serde_json::Value>(row).expect("a row is JSON"))
        .map(|row| row["num"].as_u64().expect("a count"))
        .sum();
    assert_eq!(counted, 5 * 184_000);
}

#[test]
fn made_up_rows_are_the_same_on_any_number_of_cores() {
    let source = "[sources.made]\nconnector = \"datagen\"\nrows_per_second = 1000000\nseed = 5\n\
                  schema = \"id BIGINT, k INT, word STRING, x DOUBLE\"\n\
                  [sources.made.fields]\nid = { kind = \"sequence\", start = 1, end = 50000 }\n\
                  k = { min = 1, max = 9 }\nword = { length = 4, var-len = true, null-rate = 0.1 }\n";
    let rows = same_on_all_cores(source, "INSERT INTO out SELECT * FROM made;", 50_000);
    assert_eq!(rows.len(), 50_000);
}

#[test]
fn a_table_of_flinks_datagen_runs() {
    let sql = "CREATE TABLE made (id INT, name STRING) WITH ('connector' = 'datagen', \
               'rows-per-second' = '1000', 'number-of-rows' = '5', 'fields.id.kind' = 'sequence', \
               'fields.id.start' = '3', 'fields.id.end' = '100', 'fields.name.length' = '2');\n\
               INSERT INTO out SELECT id, CHAR_LENGTH(name) AS n FROM made;";
    let directory = Directory::with_job(&job(&json_sink("out"), sql));
    run(&directory, "2");
    let expected: Vec<String> = (3..8).map(|id| format!("{{\"id\":{id},\"n\":2}}")).collect();
    assert_eq!(directory.rows("out"), expected);
}

#[test]
fn wrong_columns_and_options_are_named_before_the_start() {
    let check = |source: &str, expected: &str| {
        let text =
            job(&format!("{source}{}", json_sink("out")), "INSERT INTO out SELECT * FROM made");
        let outcome = Directory::with_job(&text).pelton(&["check", "job.toml"]);
        outcome.expect_code(2);
        assert!(outcome.stderr.contains(expected), "{}", outcome.stderr);
    };
    let datagen = "[sources.made]\nconnector = \"datagen\"\nschema = \"id INT\"\n";
    check(
        &format!("{datagen}fields = {{ id = {{ min = \"a\" }} }}\n"),
        "job.toml:7:25: sources.made.fields.id.min: \"a\" is not a whole number",
    );
    check(&format!("{datagen}fields = 3\n"), "write a table of tables");
    check(
        &format!("{datagen}fields = {{ no = {{ min = 1 }} }}\n"),
        "sources.made.fields.no.min: there is no column \"no\"",
    );
    check(
        "[sources.made]\nconnector = \"nexmark\"\nschema = \"event_type INT, x INT\"\n",
        "job.toml:6:10: sources.made.schema: a table over nexmark",
    );
    check("[sources.made]\nconnector = \"nexmark\"\nrows = 3\n", "it is for \"datagen\"");
}

#[test]
fn the_nexmark_jobs_are_accepted() {
    let directory = repository("bench/workloads/nexmark");
    let mut checked = 0;
    for entry in std::fs::read_dir(directory).expect("there are job files") {
        let path = entry.expect("the directory is readable").path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let text = std::fs::read_to_string(&path).expect("job files are text");
        let outcome = Directory::with_job(&text).pelton(&["check", "job.toml"]);
        assert_eq!(outcome.code, Some(0), "{}: {}", path.display(), outcome.stderr);
        checked += 1;
    }
    assert_eq!(checked, 8);
}
