//! `pelton bench nexmark` and its like.

use super::{bench, document, list, result};
use crate::support::Directory;
use serde_json::Value;

/// Runs a bench over few rows; its queries.
#[track_caller]
fn queries(arguments: &str) -> Vec<Value> {
    let outcome = bench(&Directory::new(), &format!("{arguments} --runs 1 --json"));
    outcome.expect_code(0);
    document(&outcome)["queries"].as_array().expect("a list").clone()
}

#[track_caller]
fn job<'a>(query: &'a Value, field: &str) -> &'a Value {
    &query["runs"][0]["job"][field]
}

#[test]
fn queries_answer_the_same_from_rows_made_on_the_spot_and_from_files() {
    for (arguments, count) in [
        ("nexmark --queries q1,q22 --events 5k", 2),
        ("ysb --events 5k", 1),
        ("wordcount --rows 5k", 1),
        ("passthrough --rows 5k", 1),
    ] {
        let on_the_spot = queries(&format!("{arguments} --cores 2"));
        let from_files = queries(&format!("{arguments} --cores 1 --source json"));
        assert_eq!((on_the_spot.len(), from_files.len()), (count, count), "{arguments}");
        for (made, read) in on_the_spot.iter().zip(&from_files) {
            assert_eq!(made["not_supported"], Value::Null, "{arguments}");
            assert_eq!(job(made, "rows_out"), job(read, "rows_out"), "{arguments}");
            assert!(job(made, "rows_out").as_u64().unwrap() > 0, "{arguments}");
            assert_eq!(job(made, "records_in"), job(read, "records_in"), "{arguments}");
            assert_eq!(job(made, "late_rows"), 0, "{arguments}");
            assert_eq!(job(made, "bytes_in"), 0, "{arguments}");
            assert!(job(read, "bytes_in").as_u64().unwrap() > 0, "{arguments}");
            assert!(read["summary"]["ratio"]["median"].as_f64().unwrap() > 0.0, "{arguments}");
        }
    }
}

#[test]
fn suspicious_accounts_are_looked_for() {
    let query = &queries("fraud --rows 5k --cores 1")[0];
    assert_eq!(job(query, "records_in"), 5_000);
    assert_eq!(job(query, "late_rows"), 0);
}

#[test]
fn what_is_not_supported_is_listed() {
    let directory = Directory::new();
    let outcome =
        bench(&directory, "nexmark --queries q0,q18 --events 1k --runs 2 --cores 1 --out r");
    outcome.expect_code(0);
    let left = result(&directory, "r");
    let missing = left["not_measured"][0].as_str().expect("q18 is not supported");
    assert!(missing.starts_with("q18: not supported yet: "), "{missing}");
    let throughput = list(&left, "figures").iter().find(|it| it["table"] == "throughput");
    assert_eq!(throughput.expect("q0 was measured")["figure"], "q0");
    for part in ["q0 ", "2 of 2", "q18: not supported yet: ", "source inprocess, cores 1"] {
        assert!(outcome.stdout.contains(part), "{part}: {}", outcome.stdout);
    }
}

#[test]
fn options_are_checked_before_anything_happens() {
    let check = |arguments: &str, code: i32, said: &str| {
        bench(&Directory::new(), arguments).expect_code(code).expect_message(said);
    };
    check("nexmark --queries q0,q6", 2, "there is no query \"q6\"");
    check("nexmark --source frames", 2, "possible values: inprocess, json");
    check("ysb --events 0", 2, "must be positive");
    check("ysb --cores 60000", 3, "this process may use only");
    check("fraud --dir none", 2, "--dir none is no directory");
}
