//! Texts of a size, a depth or an alphabet that nobody writes: each ends with an error at a place.
//!
//! Memory is bounded by construction: a text has at most `SQL_TEXT_BYTES_MAX` bytes, `SQL_TOKENS_MAX` tokens
//! and `SQL_STATEMENTS_MAX` statements, a tree `SQL_EXPRESSION_DEPTH_MAX` levels and a job `SQL_OPERATORS_MAX`
//! operators, each checked before what it bounds is made.

use super::errors::check;
use super::plan_sql;
use crate::limits::{SQL_MESSAGE_CHARACTERS_MAX, SQL_NESTING_MAX};

/// The query of one expression.
fn select(expression: &str) -> String {
    format!("INSERT INTO out SELECT {expression} AS x FROM bid")
}

/// `inner` in so many pairs.
fn around(open: &str, inner: &str, close: &str, depth: usize) -> String {
    format!("{}{inner}{}", open.repeat(depth), close.repeat(depth))
}

/// `part` of each number, with `between`.
fn listed(count: usize, between: &str, part: impl Fn(usize) -> String) -> String {
    (0..count).map(part).collect::<Vec<_>>().join(between)
}

#[track_caller]
fn ends_with(sql: &str, expected: &str) {
    check(&[(sql, expected)]);
}

#[test]
fn ten_megabytes() {
    let too_long = |place: &str, bytes: usize| {
        format!("{place}: the SQL text has {bytes} bytes, more than 1048576; split the job")
    };
    ends_with(&"a".repeat(10_000_000), &too_long("1:1048577", 10_000_000));
    ends_with(&"SELECT é\n".repeat(1_000_000), &too_long("104858:7", 10_000_000));
    ends_with(&format!("/* {}", "x".repeat(10_000_000)), &too_long("1:1048577", 10_000_003));
    ends_with(&select(&format!("'{}'", "😀".repeat(2_500_000))), &too_long("1:262163", 10_000_039));
}

#[test]
fn a_hundred_thousand_parentheses() {
    let many = "1:100016: the SQL text has more than 100000 tokens; split the job";
    ends_with(&select(&around("(", "1", ")", 100_000)), many);
    ends_with(&select(&"(".repeat(100_000)), many);
    ends_with(&select(&")".repeat(100_000)), many);
    let nested = |column: usize, what: &str| {
        format!("1:{column}: {what} are nested deeper than {SQL_NESTING_MAX}")
    };
    ends_with(&select(&around("(", "1", ")", 40_000)), &nested(88, "parentheses"));
    ends_with(&select(&around("ARRAY[", "1", "]", 30_000)), &nested(413, "brackets"));
    ends_with(&select(&around("CAST(", "1", " AS INT)", 10_000)), &nested(348, "parentheses"));
    let types = around("ROW<a ", "INT", ">", 15_000);
    let table = format!("CREATE TABLE t (a {types}) WITH ('connector' = 'print')");
    ends_with(&table, &nested(406, "types"));
}

#[test]
fn ten_thousand_joins() {
    let from = |part: &str, count: usize| {
        format!("INSERT INTO out SELECT 1 AS x FROM bid{}", part.repeat(count))
    };
    ends_with(&from(" JOIN bid ON TRUE", 10_000), "1:45: JOIN is not supported");
    let comma = "1:41: a join of tables (here by a comma) is not supported";
    ends_with(&from(", bid", 10_000), comma);
    ends_with(&from(" LEFT JOIN bid ON TRUE", 9_000), "1:50: LEFT JOIN is not supported");
    let many = "the SQL text has more than 100000 tokens; split the job";
    ends_with(&from(" CROSS JOIN UNNEST(ARRAY[1])", 10_000), &format!("1:233334: {many}"));
    let unions = vec!["SELECT auction FROM bid"; 12_000].join(" UNION ALL ");
    ends_with(&format!("INSERT INTO out {unions}"), &format!("1:283335: {many}"));
}

#[test]
fn deep_queries() {
    let subqueries = around("SELECT * FROM (", "SELECT * FROM bid", ")", 10_000);
    let nested = format!("parentheses are nested deeper than {SQL_NESTING_MAX}");
    ends_with(&format!("INSERT INTO out {subqueries}"), &format!("1:991: {nested}"));
    let chain =
        listed(3_000, ", ", |number| format!("c{} AS (SELECT * FROM c{number})", number + 1));
    ends_with(
        &format!(
            "INSERT INTO out WITH c0 AS (SELECT auction FROM bid), {chain} SELECT * FROM c3000"
        ),
        "1:7487: WITH names more than 256 queries",
    );
    let views = listed(450, ";\n", |number| {
        format!("CREATE VIEW v{} AS SELECT * FROM v{number}", number + 1)
    });
    accepted(&format!(
        "CREATE VIEW v0 AS SELECT * FROM bid;\n{views};\nINSERT INTO out SELECT * FROM v450"
    ));
    ends_with(
        &"CREATE VIEW v AS SELECT auction FROM bid;".repeat(5_000),
        "1:20501: the SQL text has more than 500 statements",
    );
    ends_with(
        &"EXECUTE STATEMENT SET BEGIN ".repeat(10_000),
        "1:37: Expected: INSERT, found: STATEMENT",
    );
}

#[test]
fn deep_expressions() {
    let deep = "this is nested too deeply; name a part of it with a view";
    ends_with(&select(&format!("{}1", "- ".repeat(40_000))), &format!("1:534: {deep}"));
    ends_with(&select(&format!("bid{}", ".a".repeat(40_000))), &format!("1:28: {deep}"));
    let parts = "1:24: a name has more than 64 parts";
    ends_with(&select(&format!("bid{}", ".a".repeat(200))), parts);
    let elements = "elements and fields are read one inside the other, more than 256 deep";
    let subscripts = format!("ARRAY[1]{}", "[1]".repeat(20_000));
    ends_with(&select(&subscripts), &format!("1:30: {elements}"));
    let concatenated = vec!["'a'"; 20_000].join(" || ");
    ends_with(&select(&concatenated), "1:24: an expression is nested deeper than 256");
    ends_with(
        &select(&around("NULLIF(", "auction", ", 1)", 60)),
        "1:444: this expression computes its parts again and again; compute a part in a subquery",
    );
}

/// Long lists are no trees: they are accepted.
#[track_caller]
fn accepted(sql: &str) {
    let planned = plan_sql(sql);
    assert!(planned.is_ok(), "{sql:.200}: {:?}", planned.err());
}

#[test]
fn long_strings() {
    accepted(&select(&vec!["'a'"; 40_000].join("\n")));
    accepted(&select(&format!("channel LIKE '{}'", "%a".repeat(400_000))));
    accepted(&select(&format!("channel LIKE '{}'", "_".repeat(2_000))));
    let patterns = "1:24: LIKE: the pattern has more than 16384 bytes and a _ in it";
    ends_with(&select(&format!("channel LIKE '{}'", "%_".repeat(400_000))), patterns);
    ends_with(
        &select(&format!("channel LIKE '{}'", "_".repeat(16_000))),
        "1:24: LIKE: the pattern has too many _ in it",
    );
    ends_with(
        &select(&format!("channel SIMILAR TO '{}'", "_".repeat(400_000))),
        "1:24: SIMILAR TO: the pattern has more than 16384 bytes",
    );
}

#[test]
fn many_arguments() {
    accepted(&select(&format!("COALESCE({})", vec!["auction"; 40_000].join(","))));
}

#[test]
fn many_items() {
    accepted(&select(&format!("auction IN ({})", vec!["1"; 40_000].join(","))));
}

#[test]
fn many_columns() {
    let columns = listed(20_000, ",", |number| format!("a{number} INT"));
    ends_with(
        &format!(
            "CREATE TABLE t ({columns}) WITH ('connector' = 'print'); \
             INSERT INTO t (b) SELECT auction FROM bid"
        ),
        "1:208953: `t` has no column `b`",
    );
}

/// A message is a line that can be read, whatever the text is.
#[test]
fn long_words() {
    for long in [
        "9".repeat(900_000),
        format!("0.{}", "9".repeat(900_000)),
        format!("`{}`", "é".repeat(400_000)),
        format!("REGEXP_EXTRACT(channel, '{}')", around("(", "a", ")", 100_000)),
        format!("DATE_FORMAT(ts, '{}')", "y".repeat(500_000)),
    ] {
        let errors = plan_sql(&select(&long)).unwrap_err();
        assert_eq!(errors[0].message.chars().count(), SQL_MESSAGE_CHARACTERS_MAX + 1);
        assert_eq!(errors[0].line, 1);
    }
    ends_with(
        &select(&format!("'{}", "x".repeat(900_000))),
        "1:24: Unterminated string literal; close what is open here",
    );
    let comments = "/*".repeat(400_000) + "*/";
    ends_with(&comments, "1:300001: the SQL text has more than 100000 tokens; split the job");
}

#[test]
fn hints_that_are_none() {
    let open =
        format!("INSERT INTO out SELECT /*+ BROADCAST{} */ auction FROM bid", "(".repeat(200_000));
    ends_with(&open, "1:24: the parentheses of this hint are not closed");
    let options = listed(60_000, ",", |number| format!("'a{number}' = 'x'"));
    ends_with(
        &format!("INSERT INTO out SELECT auction FROM bid /*+ OPTIONS({options}) */"),
        "1:37: `bid` is a table of the TOML file; put its options there, OPTIONS is for CREATE TABLE",
    );
}

#[test]
fn odd_characters() {
    let from = |name: &str| format!("INSERT INTO out SELECT {name} FROM bid");
    let end = "Expected: `;` or the end of the SQL, found:";
    for (sql, expected) in [
        (
            "\u{feff}INSERT INTO out SELECT auction FROM bid".into(),
            r"1:1: Expected: a statement, found: \u{feff}".into(),
        ),
        (from("\u{202e}auction"), r"1:24: Expected: an expression, found: \u{202e}".into()),
        (from("auc\u{200d}tion"), format!(r"1:27: {end} \u{{200d}}")),
        (from("auction\0"), format!("1:31: {end}")),
        (from("\u{1}\u{7f}"), r"1:24: Expected: an expression, found: \u{1}".into()),
        (from("😀"), "1:24: Expected: an expression, found: 😀".into()),
        (
            from("'😀' || auctoin"),
            "1:31: there is no column `auctoin`; did you mean `auction`?".into(),
        ),
        (from("auction\u{301}"), format!("1:31: {end} \u{301}")),
        (from("入札"), "1:24: there is no column `入札`".into()),
        (from("auction ＞ 1"), format!("1:32: {end} ＞")),
        (from("‘x’"), "1:24: Expected: an expression, found: ‘".into()),
        (
            from(r"U&'\D800'"),
            r"1:26: '\D800' has \ without four hexadecimal digits of a character behind it".into(),
        ),
        (
            from("\r\n  auctoin"),
            "2:3: there is no column `auctoin`; did you mean `auction`?".into(),
        ),
        (
            "İNSERT INTO out SELECT auction FROM bid".into(),
            "1:1: İNSERT is not supported; a job is CREATE TABLE, CREATE VIEW, INSERT and SET"
                .into(),
        ),
    ] {
        ends_with(&sql, &expected);
    }
}
