//! `pelton bench throughput`.

use super::{bench, document, figure, result};
use crate::support::Directory;
use serde_json::Value;

const FILE_JOB: &str = r#"
name = "double"
[durability]
mode = "off"
[sources.numbers]
connector = "file"
path = "in/*.json"
format = "json"
schema = "n BIGINT"
[sinks.out]
connector = "blackhole"
[query]
sql = "INSERT INTO out SELECT n * 2 AS n FROM numbers WHERE n > 0"
"#;

#[test]
fn a_job_over_files_is_run_to_its_end() {
    let directory = Directory::with_job(FILE_JOB);
    let lines: String = (0..1_000).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    directory.write("in/a.json", &lines);
    let outcome = bench(&directory, "throughput job.toml --runs 2 --cores 1 --json --out r");
    outcome.expect_code(0);
    let left = result(&directory, "r");
    assert_eq!(figure(&left, "rows out", "job")["values"], serde_json::json!([999.0, 999.0]));
    assert_eq!(figure(&left, "records", "job")["decides"], true);
    // Where files end, before the first line of progress, there is one point a run.
    assert_eq!(left["timelines"][0]["runs"], serde_json::json!([1, 2]));
    let report = document(&outcome);
    let runs = report["bounded"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    for run in runs {
        assert_eq!(run["run"]["records_in"], 1_000);
        assert_eq!(run["run"]["bytes_in"], lines.len());
        assert_eq!(run["run"]["rows_out"], 999);
        assert!(run["floor"].as_f64().unwrap() > 0.0);
    }
    let table = bench(&directory, "throughput job.toml --runs 1");
    table.expect_code(0);
    assert!(table.stdout.contains("CPU s per million records: "), "{}", table.stdout);
}

#[test]
fn the_highest_rate_is_searched_for() {
    // How high it is depends on the machine: a search among low rates ends where it begins or above.
    let load = "throughput --from 200 --precision 50 --window 200ms --warm-up 50ms --runs 1";
    let directory = Directory::new();
    let outcome = bench(&directory, &format!("{load} --record-bytes 100 --json --out r"));
    outcome.expect_code(0);
    let report = document(&outcome);
    let left = result(&directory, "r");
    if let Some(rate) = report["sustainable_rate"].as_f64() {
        let found = figure(&left, "sustainable rate", "job");
        assert_eq!(
            (found["median"].as_f64(), found["precision"].as_f64()),
            (Some(rate), Some(0.5))
        );
    }
    let trials = report["trials"].as_array().unwrap();
    assert!(!trials.is_empty());
    for trial in trials {
        let (rate, figures) = (trial["rate"].as_u64().unwrap(), &trial["figures"]);
        // 200 ms and 50 ms.
        assert!(figures["sent"].as_u64().unwrap() <= rate / 4 + 1, "{trial}");
        if trial["sustained"] == Value::Bool(true) {
            assert_eq!(figures["received"], figures["sent"], "{trial}");
        }
    }
    let highest = trials.iter().filter(|trial| trial["sustained"] == Value::Bool(true));
    let highest = highest.map(|trial| trial["rate"].as_u64().unwrap()).max();
    assert_eq!(report["sustainable_rate"].as_u64(), highest);
    assert_eq!(report["sustained"].as_array().unwrap().len(), usize::from(highest.is_some()));
}

#[test]
fn jobs_that_cannot_be_measured_are_refused() {
    let check = |from: &str, to: &str, arguments: &str, said: &str| {
        let directory = Directory::with_job(&FILE_JOB.replace(from, to));
        let outcome = bench(&directory, &format!("throughput {arguments}"));
        outcome.expect_code(2).expect_message(said);
    };
    check("\"in/*.json\"", "\"in/a.json\"\nfollow = true", "job.toml", "source numbers has no end");
    check("n > 0", "n >", "job.toml", "job.toml");
    check("", "", "none.toml", "none.toml: cannot be read");
    check("", "", "--precision 0", "0 is not in 1..=50");
    check("", "", "--cores 1", "--cores is for a job that ends by itself");
    let tcp = "connector = \"tcp\"\nlisten = \"127.0.0.1:0\"";
    check("connector = \"file\"\npath = \"in/*.json\"", tcp, "job.toml", "both with `listen`");
}
