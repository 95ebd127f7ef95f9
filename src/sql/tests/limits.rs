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

/// As deep as the tokens of one text allow: the error must come before the stack ends.
#[test]
fn the_deepest_texts_end_with_an_error() {
    let query = |before: &str, repeated: &str, behind: &str| {
        let tokens = repeated.split(' ').count();
        let count = (crate::limits::SQL_TOKENS_MAX - 40) / (tokens * 2).max(1);
        let middle = vec![repeated; count].join(" ");
        format!("INSERT INTO out SELECT {before} {middle} {behind} AS x FROM bid")
    };
    check(&query("1", "+ 1", ""), "nested deeper");
    check(&query("1", "= 1 OR 1", ""), "nested deeper");
    check(&query("1", "IS NULL", ""), "nested");
    check(&query("1", "BETWEEN 1 AND 1 OR 1", ""), "nested");
    check(&query("", "-", "1"), "nested");
    check(&query("", "NOT", "TRUE"), "");
    check(&query("", "CASE WHEN TRUE THEN", "1"), "");
    check(&query("", "( (", "1"), "nested deeper");
    check(&query("auction IN (SELECT 1", "+ 1", ")"), "IN (SELECT …)");
    let unions = vec!["SELECT auction FROM bid"; 20_000].join(" UNION ALL ");
    check(&format!("INSERT INTO out {unions}"), "");
    let wide = vec!["auction"; 40_000].join(", ");
    check(&format!("INSERT INTO out SELECT {wide} FROM bid"), "");
}

/// Texts on which the parser would try 2ⁿ readings.
#[test]
fn ambiguous_texts_end_with_an_error() {
    let nested = |open: &str, inner: &str, close: &str| {
        for depth in [5, 20, 30, 60] {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            let query = format!("INSERT INTO out SELECT {open}{inner}{close} AS x FROM bid");
            let _ = plan_sql(&query);
        }
    };
    for inner in ["1", "1 +", "", "(", "SELECT"] {
        nested("CASE WHEN TRUE THEN ", inner, " END");
        nested("CASE WHEN TRUE THEN ", inner, "");
        nested("CASE ", inner, " WHEN 1 THEN 2 END");
        nested("CAST(", inner, " AS INT)");
        nested("CAST(", inner, "");
        nested("POSITION(", inner, " IN 'x')");
        nested("POSITION(", inner, ", 'x')");
        nested("EXTRACT(DAY FROM ", inner, ")");
        nested("NOT (", inner, ")");
        nested("ARRAY[", inner, "]");
        nested("1 IN (", inner, ")");
        nested("UPPER(x => ", inner, ")");
        nested("INTERVAL ", inner, " DAY");
        nested("TRIM(BOTH FROM ", inner, ")");
        nested("FLOOR(", inner, " TO DAY)");
    }
    for (open, close) in
        [("(SELECT * FROM (", "))"), ("(SELECT * FROM ((", ")))"), ("((SELECT * FROM ", "))")]
    {
        for depth in [3, 8, 15, 20, 30] {
            let (open, close) = (open.repeat(depth), close.repeat(depth));
            for inner in ["bid", "", "bid x y"] {
                let _ = plan_sql(&format!("INSERT INTO out SELECT * FROM {open}{inner}{close}"));
            }
        }
    }
    let doubled = format!("INSERT INTO out SELECT * FROM {}bid", "((SELECT * FROM ".repeat(9));
    check(&doubled, "too many parentheses");
}

#[test]
fn nested_types_are_bounded() {
    let nested = |depth: usize| format!("{}INT{}", "ARRAY<".repeat(depth), ">".repeat(depth));
    let table =
        |depth: usize| format!("CREATE TABLE t (a {}) WITH ('connector' = 'print')", nested(depth));
    check(&table(SQL_NESTING_MAX + 1), "nested deeper");
    check(&table(30_000), "nested deeper");
    let cast = format!("INSERT INTO out SELECT CAST(auction AS {}) AS x FROM bid", nested(30_000));
    check(&cast, "nested deeper");
    let rows = format!("{}INT{}", "ROW<f ".repeat(20_000), ">".repeat(20_000));
    check(&format!("CREATE TABLE t (a {rows}) WITH ('connector' = 'print')"), "nested deeper");
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
