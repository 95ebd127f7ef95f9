//! What is refused, with its words and its place.

use super::plan_sql;

#[track_caller]
pub(super) fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(sql, expected)| (sql, expected, errors_of(sql)))
        .filter(|(_, expected, actual)| actual != *expected)
        .map(|(sql, expected, actual)| format!("{sql}\n  is: {actual}\n not: {expected}"))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

fn errors_of(sql: &str) -> String {
    match plan_sql(sql) {
        Ok(plan) => format!("accepted:\n{}", super::rendered(&plan.graph)),
        Err(errors) => {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            lines.join("\n").replace("job.toml:", "")
        }
    }
}

#[test]
fn constructs_that_are_not_supported() {
    check(&[
        ("SELECT 1", "1:1: a query alone has nowhere to write; put INSERT INTO sink before it"),
        (
            "UPDATE t SET a = 1",
            "1:1: UPDATE is not supported; a job is CREATE TABLE, CREATE VIEW, INSERT and SET",
        ),
        (
            "DELETE FROM t",
            "1:1: DELETE is not supported; a job is CREATE TABLE, CREATE VIEW, INSERT and SET",
        ),
        (
            "CREATE FUNCTION f AS 'x'",
            "1:8: CREATE FUNCTION is not supported; CREATE TABLE and CREATE VIEW are",
        ),
        (
            "INSERT OVERWRITE out SELECT auction FROM bid",
            "1:8: INSERT OVERWRITE is not supported; nothing is ever overwritten",
        ),
        ("", "1:1: there is no INSERT INTO: nothing would be written"),
        (
            "INSERT INTO out SELECT DISTINCT auction FROM bid",
            "1:33: SELECT DISTINCT of anything but a window is not supported: its result would have to be updated; select window_start and window_end as well",
        ),
        (
            "INSERT INTO out SELECT auction FROM bid ORDER BY price",
            "1:50: ORDER BY is not supported; a stream has no end to sort at",
        ),
        (
            "INSERT INTO out SELECT auction FROM (SELECT auction FROM bid ORDER BY price) AS t",
            "1:71: ORDER BY is not supported; a stream has no end to sort at",
        ),
        (
            "INSERT INTO out SELECT auction FROM bid LIMIT 3",
            "1:47: LIMIT and OFFSET are not supported; a stream has no first rows",
        ),
        (
            "INSERT INTO out SELECT auction FROM bid JOIN lines ON TRUE",
            "1:46: JOIN is not supported",
        ),
        (
            "INSERT INTO out SELECT auction FROM bid LEFT JOIN lines ON TRUE",
            "1:51: LEFT JOIN is not supported",
        ),
        (
            "INSERT INTO out SELECT auction FROM bid, lines",
            "1:42: a join of tables (here by a comma) is not supported",
        ),
        (
            "INSERT INTO out SELECT auction FROM bid UNION SELECT price FROM bid",
            "1:47: UNION without ALL removes duplicates, which is not supported; write UNION ALL",
        ),
        (
            "INSERT INTO out SELECT auction FROM bid INTERSECT SELECT price FROM bid",
            "1:51: INTERSECT is not supported; UNION ALL is",
        ),
        ("INSERT INTO out VALUES (1)", "1:24: VALUES is not supported"),
        ("INSERT INTO out SELECT 1 AS one", "1:17: SELECT without FROM is not supported"),
    ]);
}

#[test]
fn expressions_and_notations_that_are_not_supported() {
    check(&[
        (
            "INSERT INTO out SELECT SUM(price) OVER (PARTITION BY auction) AS s FROM bid",
            "1:24: SUM OVER (…) is not supported",
        ),
        (
            "INSERT INTO out SELECT auction FROM bid WHERE price IN (SELECT price FROM bid)",
            "1:47: IN (SELECT …) is not supported",
        ),
        (
            "INSERT INTO out SELECT auction FROM bid WHERE EXISTS (SELECT price FROM bid)",
            "1:55: EXISTS is not supported",
        ),
        (
            "INSERT INTO out SELECT (SELECT 1 FROM bid) AS x FROM bid",
            "1:25: a subquery as a value is not supported",
        ),
        (
            "INSERT INTO out SELECT auction FROM bid FOR SYSTEM_TIME AS OF ts",
            "1:37: FOR SYSTEM_TIME AS OF is not supported",
        ),
        (
            "INSERT INTO out SELECT \"auction\" FROM bid",
            "1:24: \"auction\" is not an identifier; write `auction`, or 'auction' for a string",
        ),
        (
            "INSERT INTO out WITH RECURSIVE t AS (SELECT 1) SELECT * FROM t",
            "1:17: WITH RECURSIVE is not supported",
        ),
        (
            "SET 'table.local-time-zon' = 'UTC'",
            "1:1: the setting 'table.local-time-zon' is not supported; did you mean `table.local-time-zone`?",
        ),
    ]);
}

#[test]
fn aggregates_need_a_window() {
    check(&[
        (
            "INSERT INTO out SELECT auction, COUNT(*) AS n FROM bid GROUP BY auction",
            "1:65: an aggregate without a window is not supported: its result would have to be updated; group by a window of FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), …))",
        ),
        (
            "INSERT INTO out SELECT COUNT(*) AS n FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_start",
            "1:114: GROUP BY window_start without window_end is not a window aggregate but one that would have to be updated; group by both",
        ),
        (
            "INSERT INTO out SELECT COUNT(*) AS n FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(price), INTERVAL '1' SECOND)) GROUP BY window_start, window_end",
            "1:49: `price` is BIGINT, not a time attribute; windows need WATERMARK FOR or PROCTIME()",
        ),
        (
            "INSERT INTO out SELECT COUNT(*) AS n FROM TABLE(TUMBLE((SELECT ts + INTERVAL '1' SECOND AS ts FROM bid), DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_start, window_end",
            "1:117: `ts` is not a time attribute; declare WATERMARK FOR it, keep it as a plain column, or use PROCTIME()",
        ),
        (
            "INSERT INTO out SELECT COUNT(*) AS n FROM TABLE(HOP(TABLE bid, DESCRIPTOR(ts), INTERVAL '3' SECOND, INTERVAL '10' SECOND)) GROUP BY window_start, window_end",
            "1:49: HOP: the size (10000 ms) must be a multiple of the slide (3000 ms); the slide comes first",
        ),
        (
            "INSERT INTO out SELECT COUNT(*) AS n FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' MONTH)) GROUP BY window_start, window_end",
            "1:92: SIZE in months or years has no fixed length; use days",
        ),
        (
            "INSERT INTO out SELECT COUNT(*) AS n FROM TABLE(SESSION(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_start, window_end",
            "1:49: the table function SESSION is not supported; TUMBLE and HOP are",
        ),
        (
            "INSERT INTO out SELECT COUNT(*) AS n FROM TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)",
            "1:43: a table function stands in TABLE(…): FROM TABLE(TUMBLE(…))",
        ),
        (
            "INSERT INTO out SELECT COUNT(*) AS n FROM bid GROUP BY TUMBLE(ts, INTERVAL '1' SECOND)",
            "1:56: TUMBLE as a group window is not supported; write FROM TABLE(TUMBLE(TABLE t, …)) and GROUP BY window_start, window_end",
        ),
        (
            "INSERT INTO out SELECT channel, COUNT(*) AS n FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_start, window_end",
            "1:24: `channel` is neither in GROUP BY nor inside an aggregate; add it to GROUP BY",
        ),
        (
            "INSERT INTO out SELECT auction FROM bid GROUP BY 1",
            "1:50: GROUP BY takes expressions, not positions of the SELECT list",
        ),
        (
            "INSERT INTO out SELECT SUM(channel) AS s FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_start, window_end",
            "1:28: SUM and AVG take a number, not STRING; CAST it",
        ),
    ]);
}

#[test]
fn names_that_do_not_exist() {
    check(&[
        (
            "INSERT INTO out SELECT aucton FROM bid",
            "1:24: there is no column `aucton`; did you mean `auction`?",
        ),
        (
            "INSERT INTO out SELECT Auction FROM bid",
            "1:24: there is no column `Auction`; did you mean `auction`?",
        ),
        (
            "INSERT INTO out SELECT auction\nFROM bids",
            "2:6: there is no table `bids`; did you mean `bid`?",
        ),
        (
            "INSERT INTO outt SELECT auction FROM bid",
            "1:13: there is no sink `outt`; did you mean `out`?",
        ),
        (
            "INSERT INTO bid SELECT auction FROM bid",
            "1:13: `bid` is a source; INSERT INTO needs a sink",
        ),
        (
            "INSERT INTO out SELECT k FROM typed",
            "1:31: `typed` is a sink and cannot be read; declare a source",
        ),
        (
            "INSERT INTO out SELECT UPER(channel) AS c FROM bid",
            "1:24: the function UPER is not supported; did you mean `UPPER`?",
        ),
        (
            "INSERT INTO out SELECT nvl(channel, 'x') AS c FROM bid",
            "1:24: the function NVL is not supported",
        ),
        (
            "INSERT INTO typed (k, w) SELECT auction, channel FROM bid",
            "1:23: `typed` has no column `w`; did you mean `k`?",
        ),
        (
            "CREATE VIEW bid AS SELECT auction FROM bid",
            "1:13: `bid` is already declared; choose another name",
        ),
        (
            "CREATE TABLE t (a STIRNG) WITH ('connector' = 'print')",
            "1:19: the type STIRNG is not supported; did you mean `STRING`?",
        ),
        (
            "CREATE TABLE t (a INT, a INT) WITH ('connector' = 'print')",
            "1:24: the column `a` is declared twice",
        ),
        (
            "CREATE TABLE t (a INT, WATERMARK FOR a AS a) WITH ('connector' = 'print')",
            "1:38: `a` is INT; WATERMARK FOR takes a TIMESTAMP or TIMESTAMP_LTZ",
        ),
    ]);
}

#[test]
fn types_that_do_not_fit() {
    check(&[
        (
            "INSERT INTO typed SELECT channel, auction FROM bid",
            "1:26: column 1 of the query is STRING, the sink's `k` is BIGINT; CAST it",
        ),
        (
            "INSERT INTO typed SELECT auction FROM bid",
            "1:13: the query has 1 columns, and `typed` is written with 2 (k, v)",
        ),
        (
            "INSERT INTO typed (v) SELECT channel FROM bid",
            "1:1: the column `k` is NOT NULL and not written",
        ),
        (
            "INSERT INTO out SELECT auction FROM bid WHERE channel = 5",
            "1:47: STRING = INT compares different kinds of things; CAST one of them",
        ),
        (
            "INSERT INTO out SELECT auction FROM bid WHERE price",
            "1:1: WHERE and HAVING take a BOOLEAN, and 'bid.price' is not; compare it with something",
        ),
        (
            "INSERT INTO out SELECT channel + 1 AS x FROM bid",
            "1:24: STRING + BIGINT is not defined; CAST one side",
        ),
        (
            "INSERT INTO out SELECT UPPER(price) AS x FROM bid",
            "1:30: UPPER: argument 1 is BIGINT, not STRING; CAST it",
        ),
        ("INSERT INTO out SELECT UPPER() AS x FROM bid", "1:1: UPPER takes 1 arguments, not 0"),
        (
            "INSERT INTO out SELECT auction FROM bid UNION ALL SELECT line FROM lines",
            "1:1: UNION ALL: the column `auction` is BIGINT on one side and STRING on the other; CAST one",
        ),
        (
            "INSERT INTO out SELECT DATE_FORMAT(ts, 'VV') AS x FROM bid",
            "1:36: DATE_FORMAT: `V` in the pattern 'VV' is not supported",
        ),
        (
            "INSERT INTO out SELECT CAST(price AS FOO) AS x FROM bid",
            "1:38: the type FOO is not supported",
        ),
    ]);
}

#[test]
fn every_statement_reports_its_own_error() {
    check(&[(
        "INSERT INTO out SELECT a FROM bid;\nINSERT INTO typed SELECT b, c FROM bid;",
        "1:24: there is no column `a`\n2:26: there is no column `b`",
    )]);
}
