//! Queries meant to hurt: each ends with an error at a place, soon.

use super::{plan_ok, plan_sql};
use crate::limits::{SQL_EXPRESSION_DEPTH_MAX, SQL_NESTING_MAX, SQL_TEXT_BYTES_MAX};

#[track_caller]
fn check(sql: &str, expected: &str) {
    let errors = plan_sql(sql).expect_err("refused");
    assert!(errors[0].message.contains(expected), "{:?}", errors[0]);
}

#[test]
fn nesting_is_bounded() {
    let nested = |depth: usize| {
        format!("INSERT INTO out SELECT {}1{} AS x FROM bid", "(".repeat(depth), ")".repeat(depth))
    };
    plan_ok(&nested(SQL_NESTING_MAX));
    check(&nested(SQL_NESTING_MAX + 1), "parentheses are nested deeper");
    check(&nested(10_000), "parentheses are nested deeper");
}

#[test]
fn nested_queries_are_bounded() {
    let nested = |depth: usize| {
        let mut query = "SELECT auction FROM bid".to_string();
        for _ in 0..depth {
            query = format!("SELECT auction FROM ({query}) AS t");
        }
        format!("INSERT INTO out {query}")
    };
    plan_ok(&nested(20));
    check(&nested(70), "nested");
    let open = format!("INSERT INTO out SELECT * FROM {}bid", "(".repeat(60));
    assert!(plan_sql(&open).is_err());
}

#[test]
fn long_chains_are_bounded() {
    let chain = |operator: &str, count: usize| {
        format!(
            "INSERT INTO out SELECT auction FROM bid WHERE {}",
            vec!["price > 1"; count].join(operator)
        )
    };
    plan_ok(&chain(" AND ", SQL_EXPRESSION_DEPTH_MAX - 3));
    check(&chain(" OR ", SQL_EXPRESSION_DEPTH_MAX * 2), "nested deeper");
    check(&chain(" OR ", 5_000), "nested deeper");
    check(&format!("INSERT INTO out SELECT {}1 AS x FROM bid", "- ".repeat(10_000)), "nested");
    check(&format!("INSERT INTO out SELECT {}TRUE AS x FROM bid", "NOT ".repeat(10_000)), "");
}

#[test]
fn long_texts_are_refused() {
    let long = format!(
        "INSERT INTO out SELECT auction FROM bid WHERE channel = '{}'",
        "x".repeat(SQL_TEXT_BYTES_MAX)
    );
    check(&long, "bytes, more than");
    check(&"a ".repeat(SQL_TEXT_BYTES_MAX / 4), "tokens");
}

#[test]
fn broken_texts_end_with_an_error() {
    let valid = "INSERT INTO out SELECT auction, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), \
                 INTERVAL '1' SECOND)) WHERE channel LIKE 'a%' GROUP BY auction, window_start, window_end";
    plan_ok(valid);
    for end in 0..valid.len() - 1 {
        let _ = plan_sql(&valid[..end]);
    }
    let mut random = fastrand::Rng::with_seed(7);
    for _ in 0..300 {
        let mut bytes = valid.as_bytes().to_vec();
        for _ in 0..random.usize(1..4) {
            let position = random.usize(..bytes.len());
            bytes[position] = *random.choice(b"()',;`*<>=\"aT1 -/+$@.").unwrap();
        }
        let mutated = String::from_utf8(bytes).unwrap();
        if let Err(errors) = plan_sql(&mutated) {
            assert!(!errors[0].message.contains("planner failed"), "{mutated}");
        }
    }
}
