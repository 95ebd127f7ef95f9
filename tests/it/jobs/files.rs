//! Files in, files out: formats, patterns, several statements, and the exact bytes of the result.

use super::{CORE_COUNTS, job, json_sink, run};
use crate::support::{Directory, expect_same, sorted};

const BIDS: &str = "\
[sources.bid]
connector = \"file\"
path = \"in/*.json\"
format = \"json\"
schema = \"auction BIGINT, price BIGINT, channel STRING, ts TIMESTAMP(3)\"
";

#[test]
fn json_is_filtered_projected_and_written() {
    let sql = "INSERT INTO out SELECT auction, price / 100 AS units, UPPER(channel) AS channel, ts \
               FROM bid WHERE price > 99";
    let directory = Directory::with_job(&job(&format!("{BIDS}{}", json_sink("out")), sql));
    directory.write(
        "in/bids.json",
        "{\"auction\":1,\"price\":100,\"channel\":\"web\",\"ts\":\"2020-01-01 00:00:00.5\"}\n\
         {\"auction\":2,\"price\":99,\"channel\":\"web\",\"ts\":\"2020-01-01 00:00:01\"}\n\
         {\"ts\":\"2020-01-01T00:00:02\", \"price\":1234, \"unknown\":[1,{}], \"channel\":\"é\\n\"}\n\
         {\"auction\":4,\"price\":null}\n\
         {\"auction\":5,\"price\":5000,\"channel\":null,\"ts\":null}",
    );
    let (_, report) = run(&directory, "1");
    assert_eq!(directory.parts("out"), [directory.path("out/part-0001-00-00000.json")]);
    assert_eq!(
        directory.lines("out"),
        [
            r#"{"auction":1,"units":1,"channel":"WEB","ts":"2020-01-01 00:00:00.5"}"#,
            r#"{"auction":null,"units":12,"channel":"É\n","ts":"2020-01-01 00:00:02"}"#,
            r#"{"auction":5,"units":50,"channel":null,"ts":null}"#,
        ]
    );
    assert_eq!(report.text("outcome"), "finished");
    assert_eq!(report.count("sources/bid/records_in"), 5);
    assert_eq!(report.count("sinks/out/rows_out"), 3);
}

/// CSV with everything that needs quotes, through JSON, and back to the same bytes.
#[test]
fn csv_to_json_and_back() {
    let schema = "schema = \"word STRING, n BIGINT, share DOUBLE, flag BOOLEAN\"";
    let forth = Directory::with_job(&job(
        &format!(
            "[sources.words]\nconnector = \"file\"\npath = \"in.csv\"\nformat = \"csv\"\n\
             header = true\n{schema}\n{}",
            json_sink("out")
        ),
        "INSERT INTO out SELECT word, n, share, flag FROM words",
    ));
    // The header gives the order of the columns.
    let csv = "n,word,share,flag\n1,plain,0.5,true\n,\"a \"\"b\"\", c\",,\n\
               -3,\"two\nlines\",1.0E300,false\n4,,,true\n";
    forth.write("in.csv", csv);
    run(&forth, "2");
    let json = [
        r#"{"word":"plain","n":1,"share":0.5,"flag":true}"#,
        r#"{"word":"a \"b\", c","n":null,"share":null,"flag":null}"#,
        r#"{"word":"two\nlines","n":-3,"share":1.0E300,"flag":false}"#,
        r#"{"word":null,"n":4,"share":null,"flag":true}"#,
    ];
    let written = forth.lines("out");
    assert_eq!(written, json);

    let back = Directory::with_job(&job(
        &format!(
            "[sources.words]\nconnector = \"file\"\npath = \"in.json\"\nformat = \"json\"\n\
             {schema}\n[sinks.out]\nconnector = \"file\"\npath = \"out\"\nformat = \"csv\"\n\
             header = true\n"
        ),
        "INSERT INTO out SELECT n, word, share, flag FROM words",
    ));
    back.write("in.json", &(written.join("\n") + "\n"));
    run(&back, "1");
    let parts = back.parts("out");
    assert_eq!(parts.len(), 1);
    let text = std::fs::read_to_string(&parts[0]).unwrap();
    assert_eq!(text, csv);
}

#[test]
fn files_of_a_pattern_are_read_in_the_order_of_their_names() {
    let sql = "INSERT INTO out SELECT auction FROM bid";
    let directory = Directory::with_job(&job(&format!("{BIDS}{}", json_sink("out")), sql));
    let line = |auction: i32| format!("{{\"auction\":{auction}}}");
    directory.write("in/c.json", &format!("{}\n{}\n", line(5), line(6)));
    // No line end behind the last record, and no record at all.
    directory.write("in/a.json", &format!("{}\n{}", line(1), line(2)));
    directory.write("in/aa.json", "");
    directory.write("in/b.json", &format!("{}\n{}", line(3), line(4)));
    directory.write("in/b.json.bak", &line(0));
    let (_, report) = run(&directory, "1");
    assert_eq!(directory.lines("out"), (1..7).map(line).collect::<Vec<_>>());
    assert_eq!(report.count("sources/bid/records_in"), 6);
}

/// Chunks of the least size, so that every core has several of each file.
#[test]
fn every_record_is_read_once_on_any_number_of_cores() {
    let limits = "[limits]\nfile_chunk_bytes = \"4KiB\"\n";
    let tables = format!("{BIDS}{}{limits}", json_sink("out"));
    let directory = Directory::with_job(&job(&tables, "INSERT INTO out SELECT auction FROM bid"));
    let mut random = fastrand::Rng::with_seed(3);
    let mut expected = Vec::new();
    for file in 0..3 {
        let mut text = String::new();
        for number in 0..1_000 {
            let auction = file * 1_000 + number;
            let channel = "c".repeat(random.usize(0..200));
            text += &format!("{{\"auction\":{auction},\"channel\":\"{channel}\"}}\n");
            expected.push(format!("{{\"auction\":{auction}}}"));
        }
        directory.write(&format!("in/{file}.json"), &text);
    }
    let expected = sorted(expected);
    for cores in CORE_COUNTS {
        let _ = std::fs::remove_dir_all(directory.path("out"));
        let _ = std::fs::remove_dir_all(directory.path("data"));
        let (_, report) = run(&directory, cores);
        expect_same(&directory.rows("out"), &expected, &format!("{cores} cores"));
        assert_eq!(report.count("sources/bid/records_in"), 3_000);
        assert_eq!(report.count("cores").to_string(), cores);
    }
}

#[test]
fn statements_share_a_source_that_is_read_once() {
    let sql = "INSERT INTO cheap SELECT auction FROM bid WHERE price < 10;\n\
               INSERT INTO dear SELECT auction, price FROM bid WHERE price >= 10;\n\
               INSERT INTO channels SELECT LOWER(channel) AS c FROM bid;";
    let sinks: String = ["cheap", "dear", "channels"].map(json_sink).concat();
    let directory = Directory::with_job(&job(&format!("{BIDS}{sinks}"), sql));
    directory.write(
        "in/a.json",
        "{\"auction\":1,\"price\":5,\"channel\":\"A\"}\n{\"auction\":2,\"price\":50}\nrubbish\n",
    );
    let (_, report) = run(&directory, "2");
    assert_eq!(directory.lines("cheap"), [r#"{"auction":1}"#]);
    assert_eq!(directory.lines("dear"), [r#"{"auction":2,"price":50}"#]);
    assert_eq!(directory.rows("channels"), [r#"{"c":"a"}"#, r#"{"c":null}"#]);
    assert_eq!(report.count("sources/bid/records_in"), 3);
    assert_eq!(report.count("sources/bid/rows_out"), 2);
    assert_eq!(report.count("sources/bid/rejected"), 1);
    assert_eq!(report.count("rejected_records"), 1);
}

#[test]
fn tables_and_views_of_sql_alone() {
    let sql = "\
CREATE TABLE bid (auction BIGINT, price BIGINT, channel STRING) WITH (
  'connector' = 'filesystem', 'path' = 'in', 'format' = 'csv', 'csv.field-delimiter' = ';'
);
CREATE TABLE dear (auction BIGINT, channel STRING) WITH (
  'connector' = 'filesystem', 'path' = 'out', 'format' = 'json'
);
CREATE VIEW known AS SELECT * FROM bid WHERE channel IS NOT NULL;
CREATE VIEW upper_known AS SELECT auction, price, UPPER(channel) AS channel FROM known;
INSERT INTO dear SELECT auction, channel FROM upper_known WHERE price > 10;
";
    let directory = Directory::with_job(&job("", sql));
    directory.write("in/1.csv", "1;20;web\n2;20;\n3;5;web\n");
    directory.write("in/2.csv", "4;30;\"shop;corner\"\n");
    run(&directory, "1");
    assert_eq!(
        directory.lines("out"),
        [r#"{"auction":1,"channel":"WEB"}"#, r#"{"auction":4,"channel":"SHOP;CORNER"}"#]
    );
}

#[test]
fn metadata_columns_tell_the_file_of_a_record() {
    let sql = "\
CREATE TABLE bid (
  name STRING NOT NULL METADATA FROM 'file.name' VIRTUAL,
  auction BIGINT,
  label AS CONCAT(name, ':', CAST(auction AS STRING)),
  `file.size` INT METADATA,
  changed TIMESTAMP_LTZ(3) METADATA FROM 'file.modification-time',
  `path` STRING METADATA FROM 'file.path'
) WITH ('connector' = 'filesystem', 'path' = 'in', 'format' = 'json');
INSERT INTO out SELECT label, `file.size` AS file_bytes, changed > TO_TIMESTAMP_LTZ(1577836800000, 3) AS recent,
  RIGHT(`path`, 10) AS tail FROM bid WHERE auction > 1;
INSERT INTO names SELECT name FROM bid /*+ OPTIONS('path' = 'in/b.json') */;
";
    let directory =
        Directory::with_job(&job(&format!("{}{}", json_sink("out"), json_sink("names")), sql));
    directory.write("in/a.json", "{\"auction\":1}\n{\"auction\":2}\n");
    directory.write("in/b.json", "{\"auction\":3}\n");
    for cores in CORE_COUNTS {
        let _ = std::fs::remove_dir_all(directory.path("out"));
        let _ = std::fs::remove_dir_all(directory.path("names"));
        let _ = std::fs::remove_dir_all(directory.path("data"));
        run(&directory, cores);
        assert_eq!(
            directory.rows("out"),
            [
                r#"{"label":"a.json:2","file_bytes":28,"recent":true,"tail":"/in/a.json"}"#,
                r#"{"label":"b.json:3","file_bytes":14,"recent":true,"tail":"/in/b.json"}"#,
            ]
        );
        assert_eq!(directory.rows("names"), [r#"{"name":"b.json"}"#]);
    }
}
