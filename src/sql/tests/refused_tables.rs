//! What is refused of declarations, statements and window functions, with words and place.

use super::errors::check;

/// Every `(part, error)`, the part inside a statement that has no other mistake.
#[track_caller]
fn check_each(statement: fn(&str) -> String, cases: &[(&str, &str)]) {
    for (part, expected) in cases {
        check(&[(statement(part).as_str(), expected)]);
    }
}

/// A window function.
fn window(call: &str) -> String {
    format!(
        "INSERT INTO out SELECT COUNT(*) AS n FROM TABLE({call}) GROUP BY window_start, window_end"
    )
}

/// A query.
fn insert(query: &str) -> String {
    format!("INSERT INTO out {query}")
}

/// All of it.
fn whole(sql: &str) -> String {
    sql.to_string()
}

/// A column list.
fn columns(list: &str) -> String {
    format!("CREATE TABLE t ({list}) WITH ('connector' = 'print')")
}

const WINDOW_CALLS: &[(&str, &str)] = &[
    (
        "TUMBLE(TABLE bid, DESCRIPTOR(ts))",
        "1:49: TUMBLE needs SIZE; write TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)",
    ),
    (
        "TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '1' SECOND, INTERVAL '1' SECOND)",
        "1:134: TUMBLE has no such argument; write TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)",
    ),
    (
        "TUMBLE(DATA => TABLE bid, FOO => DESCRIPTOR(ts))",
        "1:82: TUMBLE has no such argument; write TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)",
    ),
    (
        "TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND, SIZE => INTERVAL '1' SECOND)",
        "1:121: SIZE is given twice",
    ),
    (
        "TUMBLE(bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)",
        "1:56: the first argument is TABLE t; write TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)",
    ),
    (
        "TUMBLE(TABLE bid, ts, INTERVAL '1' SECOND)",
        "1:67: the time column is written DESCRIPTOR(ts)",
    ),
    (
        "TUMBLE(TABLE bid, DESCRIPTOR(tz), INTERVAL '1' SECOND)",
        "1:78: there is no column `tz`; did you mean `ts`?",
    ),
    (
        "TUMBLE(TABLE bid, DESCRIPTOR(ts, price), INTERVAL '1' SECOND)",
        "1:67: the time column is written DESCRIPTOR(ts)",
    ),
    (
        "TUMBLE(TABLE bid, DESCRIPTOR(ts), 10)",
        "1:83: SIZE is 10, not an INTERVAL such as INTERVAL '10' SECOND",
    ),
    (
        "TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '0' SECOND)",
        "1:92: SIZE is 0 ms; it must be positive",
    ),
    (
        "TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL 'x' SECOND)",
        "1:92: INTERVAL 'x' is not one; write INTERVAL '10' SECOND",
    ),
    (
        "HOP(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)",
        "1:49: HOP needs SIZE; write HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)",
    ),
    (
        "TUMBEL(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)",
        "1:49: the table function TUMBEL is not supported; TUMBLE and HOP are; did you mean `TUMBLE`?",
    ),
    (
        "TUMBLE(TABLE bids, DESCRIPTOR(ts), INTERVAL '1' SECOND)",
        "1:62: there is no table `bids`; did you mean `bid`?",
    ),
];

const WINDOWS_IN_QUERIES: &[(&str, &str)] = &[
    (
        "SELECT COUNT(*) AS n FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)) AS w(a, b) GROUP BY window_start, window_end",
        "1:108: column names behind a window function's alias are not supported",
    ),
    (
        "SELECT COUNT(*) AS n FROM TABLE(TUMBLE((SELECT ts, ts AS window_start FROM bid), DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_start, window_end",
        "1:49: the table already has a column `window_start`; rename it with AS",
    ),
    (
        "SELECT COUNT(*) AS n FROM TABLE(price)",
        "1:49: TABLE(…) takes a window function: TUMBLE or HOP",
    ),
    (
        "SELECT pt, window_start FROM TABLE(TUMBLE(TABLE lines, DESCRIPTOR(pt), INTERVAL '1' SECOND))",
        "1:83: a window function over PROCTIME() without GROUP BY window_start, window_end is not supported",
    ),
    (
        "SELECT ts FROM TABLE(HOP(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '1025' SECOND(4)))",
        "1:64: HOP puts each row into 1025 windows; without GROUP BY window_start, window_end it may be 1024",
    ),
    (
        "SELECT COUNT(*) AS n FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY window_end",
        "1:114: GROUP BY window_end without window_start is not a window aggregate but one that would have to be updated; group by both",
    ),
    (
        "SELECT COUNT(*) AS n FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)) GROUP BY auction",
        "1:114: GROUP BY without window_start and window_end over a window function is not a window aggregate but one that would have to be updated; group by both",
    ),
    (
        "SELECT COUNT(*) AS n FROM bid GROUP BY SESSION(ts, INTERVAL '1' SECOND)",
        "1:56: SESSION as a group window is not supported; write FROM TABLE(SESSION(TABLE t, …)) and GROUP BY window_start, window_end",
    ),
];

#[test]
fn window_functions_with_wrong_arguments() {
    check_each(window, WINDOW_CALLS);
    check_each(insert, WINDOWS_IN_QUERIES);
}

const UNNESTS: &[(&str, &str)] = &[
    (
        "SELECT x FROM bid CROSS JOIN UNNEST(channel) AS t(x)",
        "1:53: UNNEST takes an ARRAY or a MAP, not STRING",
    ),
    (
        "SELECT x FROM bid CROSS JOIN UNNEST(SPLIT(channel, ',')) AS t(x, y)",
        "1:82: UNNEST gives 1 column here; name each: AS t(EXPR$0)",
    ),
    (
        "SELECT x FROM UNNEST(ARRAY[1]) AS t(x)",
        "1:1: UNNEST stands behind a table: FROM t CROSS JOIN UNNEST(…)",
    ),
    (
        "SELECT x FROM bid CROSS JOIN UNNEST(ARRAY[1], ARRAY[2]) AS t(x)",
        "1:59: UNNEST of several arrays is not supported",
    ),
    (
        "SELECT x FROM bid CROSS JOIN UNNEST(ARRAY[1]) WITH ORDINALITY AS t(x)",
        "1:84: UNNEST gives 2 columns here; name each: AS t(EXPR$0, ORDINALITY)",
    ),
    (
        "SELECT x FROM bid LEFT JOIN UNNEST(ARRAY[1]) AS t(x) ON x > 1",
        "1:73: LEFT JOIN UNNEST takes no condition but ON TRUE",
    ),
    ("SELECT x FROM bid JOIN UNNEST(ARRAY[1]) AS t(x) ON TRUE", "1:53: JOIN is not supported"),
];

#[test]
fn unnest_as_it_is_not_meant() {
    check_each(insert, UNNESTS);
}

const COLUMN_LISTS: &[(&str, &str)] = &[
    ("a", "1:18: Expected: a type, found: )"),
    (
        "a INT METADATA",
        "1:17: there is no metadata 'a'; a file has \"file.path\", \"file.name\", \"file.size\" or \"file.modification-time\"",
    ),
    (
        "a INT METADATA FROM 'file.nam' VIRTUAL",
        "1:37: there is no metadata 'file.nam'; a file has \"file.path\", \"file.name\", \"file.size\" or \"file.modification-time\"",
    ),
    (
        "a INT, b MAP<STRING, INT> METADATA FROM 'file.name'",
        "1:24: the metadata column `b`: CAST from STRING to MAP<STRING, INT> is not supported",
    ),
    ("a INT PRIMARY KEY", "1:34: a PRIMARY KEY is not checked here; add NOT ENFORCED"),
    (
        "a INT, PRIMARY KEY (a)",
        "1:39: a PRIMARY KEY is not checked here; write PRIMARY KEY (…) NOT ENFORCED",
    ),
    ("a INT, PRIMARY KEY (b) NOT ENFORCED", "1:37: there is no column `b`; did you mean `a`?"),
    (
        "a TIMESTAMP(3), WATERMARK FOR a AS a, WATERMARK FOR a AS a",
        "1:55: a table has one WATERMARK",
    ),
    ("a TIMESTAMP(3), WATERMARK FOR b AS b", "1:47: there is no column `b`; did you mean `a`?"),
    (
        "a TIMESTAMP(3), WATERMARK FOR a AS 1",
        "1:47: the WATERMARK of `a` is INT; write `a` - INTERVAL '5' SECOND",
    ),
    (
        "a TIMESTAMP(3), WATERMARK FOR a AS CAST('2020-01-01 00:00:00' AS TIMESTAMP(3))",
        "1:47: the WATERMARK of `a` is TIMESTAMP(3); write `a` - INTERVAL '5' SECOND",
    ),
    (
        "a AS PROCTIME(), WATERMARK FOR a AS a",
        "1:48: `a` is PROCTIME(), which needs no WATERMARK and is part of none",
    ),
    (
        "a INT, b AS CURRENT_TIMESTAMP, WATERMARK FOR b AS b",
        "1:62: `b` is read from the clock; windows take PROCTIME()",
    ),
    ("a INT, b AS c + 1", "1:29: there is no column `c`; did you mean `a`?"),
    (
        "a INT, b AS SUM(a)",
        "1:33: SUM belongs into the SELECT list or HAVING of a query with GROUP BY",
    ),
    ("a ARRAY<INT>>", "1:30: there is a `>` too many before this"),
    ("a STRUCT<b INT>", "1:19: the type STRUCT is not supported"),
    ("a RAW('x', 'y')", "1:19: the type RAW is not supported"),
    ("a ROW<b INT, b INT>", "1:30: the ROW has two fields `b`"),
    ("a ROW<b FOO>", "1:25: the type FOO is not supported"),
    (
        "a TIMESTAMP(3) WITH TIME ZONE",
        "1:32: TIMESTAMP WITH TIME ZONE is not supported; use TIMESTAMP_LTZ",
    ),
    ("a TIMESTAMP(12)", "1:19: a TIMESTAMP has a precision of 0 to 9, not 12"),
    ("a TIMESTAMP_LTZ(x)", "1:19: x is not a precision"),
    ("a TIMESTAMP_LTZ(1, 2)", "1:19: TIMESTAMP_LTZ takes one precision"),
    ("a TIME(9)", "1:19: TIME has a precision of 0 to 3 here, not 9"),
    (
        "a DECIMAL(39, 2)",
        "1:19: DECIMAL(39, 2): the precision is 1 to 38, the scale 0 to the precision",
    ),
    (
        "a DECIMAL(5, 6)",
        "1:19: DECIMAL(5, 6): the precision is 1 to 38, the scale 0 to the precision",
    ),
    ("a CHAR(0)", "1:19: a length of 0 is not possible; it is 1 to 2147483647"),
    ("a UNSIGNED", "1:19: the type UNSIGNED is not supported"),
];

const CREATE_TABLES: &[(&str, &str)] = &[
    (
        "CREATE TABLE t (a INT) PARTITIONED BY (a) WITH ('connector' = 'print')",
        "1:24: PARTITIONED BY is not supported",
    ),
    (
        "CREATE TABLE t (a INT) LIKE bid",
        "1:24: CREATE TABLE LIKE and AS are not supported; list the columns",
    ),
    (
        "CREATE TABLE t (a INT) AS SELECT 1",
        "1:24: CREATE TABLE LIKE and AS are not supported; list the columns",
    ),
    ("CREATE TABLE t (a INT)", "1:1: Expected: WITH, found: EOF"),
    (
        "CREATE TABLE t (a INT) WITH ('connector' = 'print', 'connector' = 'print')",
        "1:53: the option 'connector' is given twice",
    ),
    (
        "CREATE TABLE t (a INT) WITH (connector = 'print')",
        "1:30: Expected: literal string, found: connector",
    ),
    (
        "CREATE TABLE bid (a INT) WITH ('connector' = 'print')",
        "1:14: `bid` is already declared; choose another name",
    ),
];

#[test]
fn columns_that_are_none() {
    check_each(columns, COLUMN_LISTS);
    check_each(whole, CREATE_TABLES);
}

const STATEMENTS: &[(&str, &str)] = &[
    ("CREATE CATALOG c", "1:8: CREATE CATALOG is not supported; CREATE TABLE and CREATE VIEW are"),
    (
        "DROP TABLE bid",
        "1:1: DROP is not supported; a job is CREATE TABLE, CREATE VIEW, INSERT and SET",
    ),
    (
        "INSERT INTO a.b.c SELECT auction FROM bid",
        "1:13: there is one catalog and one database; write the table's name alone, not a.b.c",
    ),
    (
        "INSERT INTO out PARTITION (a = 1) SELECT auction FROM bid",
        "1:17: PARTITION in INSERT is not supported",
    ),
    ("SET a = b", "1:5: Expected: SET 'key' = 'value' with quotes, found: a"),
    (
        "SET 'execution.runtime-mode' = 'batch'",
        "1:1: execution.runtime-mode 'batch' is not supported; jobs stream",
    ),
    (
        "SET 'table.local-time-zone' = 'Mars'",
        "1:1: 'Mars' is not a time zone; write 'UTC' or 'Europe/Berlin'",
    ),
    (
        "SET 'table.exec.source.idle-timeout' = 'soon'",
        "1:1: 'soon' is not a duration; write '5 s', '500 ms' or '1 min'",
    ),
    (
        "BEGIN STATEMENT SET; INSERT INTO out SELECT auction FROM bid;",
        "1:1: Expected: END of the statement set, found: EOF",
    ),
    (
        "INSERT INTO out SELECT auction FROM bid INSERT INTO out SELECT auction FROM bid",
        "1:48: Expected: `;` or the end of the SQL, found: INTO",
    ),
    ("INSERT INTO typed (k, k) SELECT auction, price FROM bid", "1:23: `k` is given twice"),
    (
        "CREATE VIEW v AS SELECT auction FROM bid; INSERT INTO v SELECT auction FROM bid",
        "1:55: `v` is a view; INSERT INTO needs a sink",
    ),
    (
        "CREATE VIEW v (a, b) AS SELECT auction FROM bid",
        "1:1: the query has another number of columns than names are given",
    ),
    (
        "CREATE VIEW v AS SELECT acution FROM bid",
        "1:25: there is no column `acution`; did you mean `auction`?",
    ),
    ("INSERT INTO out SELECT NULL AS x FROM bid", "1:1: `x` is always NULL; CAST it to a type"),
    (
        "INSERT INTO out SELECT 'open FROM bid",
        "1:24: Unterminated string literal; close what is open here",
    ),
    (
        "INSERT INTO out SELECT auction FROM bid WHERE price = ?",
        "1:55: the parameter ? is not supported",
    ),
    ("5", "1:1: Expected: a statement, found: 5"),
];

#[test]
fn statements_that_are_none() {
    check_each(whole, STATEMENTS);
}
