//! What is refused of queries and expressions, with words and place.

use super::errors::check;

/// Every `(part, error)`, the part inside a statement that has no other mistake.
#[track_caller]
fn check_each(statement: fn(&str) -> String, cases: &[(&str, &str)]) {
    let statements: Vec<String> = cases.iter().map(|(part, _)| statement(part)).collect();
    let expected = cases.iter().map(|(_, expected)| *expected);
    check(&statements.iter().map(String::as_str).zip(expected).collect::<Vec<_>>());
}

/// A query.
fn insert(query: &str) -> String {
    format!("INSERT INTO out {query}")
}

/// A value of the SELECT list.
fn value(expression: &str) -> String {
    format!("INSERT INTO out SELECT {expression} AS x FROM bid")
}

const CLAUSES: &[(&str, &str)] = &[
    (
        "SELECT auction FROM bid FETCH FIRST 3 ROWS ONLY",
        "1:53: FETCH is not supported; a stream has no first rows",
    ),
    (
        "SELECT auction FROM bid FOR UPDATE",
        "1:17: this clause at the end of a query is not supported",
    ),
    ("SELECT auction FROM bid QUALIFY price > 1", "1:49: QUALIFY is not supported"),
    ("SELECT auction FROM bid WINDOW w AS (PARTITION BY auction)", "1:48: WINDOW is not supported"),
    (
        "SELECT auction FROM bid GROUP BY ALL",
        "1:17: GROUP BY ALL is not supported; list the columns",
    ),
    (
        "SELECT auction FROM bid GROUP BY ROLLUP (auction)",
        "1:58: GROUPING SETS, CUBE and ROLLUP are not supported",
    ),
    (
        "SELECT auction FROM bid GROUP BY GROUPING SETS ((auction))",
        "1:66: GROUPING SETS, CUBE and ROLLUP are not supported",
    ),
    (
        "SELECT auction FROM bid GROUP BY CUBE (auction)",
        "1:56: GROUPING SETS, CUBE and ROLLUP are not supported",
    ),
    (
        "SELECT * EXCEPT (auction) FROM bid",
        "1:34: Expected: SELECT, VALUES, or a subquery in the query body, found: auction",
    ),
    (
        "SELECT auction FROM LATERAL (SELECT auction FROM bid) AS t",
        "1:46: LATERAL is not supported",
    ),
    (
        "SELECT auction FROM bid TABLESAMPLE (10)",
        "1:37: what follows the table's name is not supported",
    ),
    ("SELECT auction FROM (bid CROSS JOIN lines)", "1:38: a join in parentheses is not supported"),
    (
        "SELECT auction FROM bid CROSS JOIN lines",
        "1:52: CROSS JOIN (but with UNNEST) is not supported",
    ),
    ("SELECT auction FROM bid RIGHT JOIN lines ON TRUE", "1:52: RIGHT JOIN is not supported"),
    ("SELECT auction FROM bid FULL JOIN lines ON TRUE", "1:51: FULL JOIN is not supported"),
    ("SELECT auction FROM bid NATURAL JOIN lines", "1:54: JOIN is not supported"),
    (
        "SELECT auction FROM bid EXCEPT SELECT price FROM bid",
        "1:48: EXCEPT is not supported; UNION ALL is",
    ),
    (
        "SELECT DISTINCT auction FROM bid",
        "1:33: SELECT DISTINCT of anything but a window is not supported: its result would have to be updated; select window_start and window_end as well",
    ),
    ("SELECT auction INTO x FROM bid", "1:17: a clause of this SELECT is not supported"),
    (
        "SELECT auction FROM bid PIVOT (SUM(price) FOR channel IN ('a'))",
        "1:37: PIVOT is not supported",
    ),
    (
        "SELECT auction FROM bid MATCH_RECOGNIZE (PATTERN (A) DEFINE A AS TRUE)",
        "1:37: MATCH_RECOGNIZE is not supported",
    ),
    ("SELECT auction FROM LATERAL TABLE(f(1))", "1:45: LATERAL TABLE is not supported"),
    ("SELECT bid.auction FROM bid AS b", "1:24: there is no table `bid` in FROM"),
    (
        "SELECT auction FROM bid UNION ALL SELECT auction, price FROM bid",
        "1:17: UNION ALL: the sides have different numbers of columns",
    ),
];

#[test]
fn clauses_of_queries() {
    check_each(insert, CLAUSES);
}

const EXPRESSIONS: &[(&str, &str)] = &[
    ("channel ILIKE 'a'", "1:24: ILIKE is not supported"),
    ("channel SIMILAR TO '['", "1:24: SIMILAR TO: '[' is not a pattern"),
    ("ts AT TIME ZONE 'UTC'", "1:24: AT TIME ZONE is not supported"),
    ("SPLIT(channel, ',')[1:2]", "1:24: a slice [a:b] is not supported; use ARRAY_SLICE"),
    ("SPLIT(channel, ',')[0]", "1:30: the first element of an ARRAY is [1]; there is no [0]"),
    ("channel[1]", "1:24: [ ] stands behind an ARRAY or a MAP, not STRING"),
    ("channel.x", "1:24: STRING has no fields, so no `x`"),
    ("ROW(price).x", "1:28: the ROW has no field `x`"),
    ("ROW(price, NULL)", "1:28: ROW: argument 2 is NULL without a type; write CAST(NULL AS …)"),
    ("ARRAY[price] < ARRAY[1]", "1:30: ARRAY<BIGINT> <: it has no order"),
    ("ARRAY[NULL]", "1:1: ARRAY: every element is NULL; CAST one"),
    ("MAP[]", "1:28: MAP[] has no types; write CAST(NULL AS MAP<…>) or name an entry"),
    ("ARRAY[]", "1:17: ARRAY[] has no type; write CAST(NULL AS ARRAY<…>) or name an element"),
    ("MAP[price, 1, 2]", "1:28: MAP: a value for the last key is missing"),
    (
        "ARRAY_APPEND(ARRAY[price], 'x')",
        "1:43: ARRAY_APPEND: argument 2 is STRING, not BIGINT; CAST it",
    ),
    (
        "ARRAY_JOIN(ARRAY[price], ',')",
        "1:41: ARRAY_JOIN: argument 1 is ARRAY<BIGINT>, not an ARRAY<STRING>; CAST it",
    ),
    ("CAST(channel AS ROW<a INT>)", "1:29: CAST from STRING to ROW<`a` INT> is not supported"),
    ("`$FIELD`(price, 'a')", "1:24: the function `$FIELD` is not supported"),
    ("channel COLLATE de", "1:24: this expression is not supported"),
    ("channel LIKE ANY ('a')", "1:24: this expression is not supported"),
    ("price = ANY (SELECT price FROM bid)", "1:24: this expression is not supported"),
    ("ts + ts", "1:1: TIMESTAMP(3) + TIMESTAMP(3) is not defined; a time takes an INTERVAL"),
    ("ts + 1", "1:24: TIMESTAMP(3) + BIGINT is not defined; CAST one side"),
    (
        "ts - ts",
        "1:24: TIMESTAMP(3) - TIMESTAMP(3) is not defined; CAST to numbers, or subtract an INTERVAL from a time",
    ),
    ("channel || 1", "1:24: CONCAT: argument 2 is INT, not STRING; CAST it"),
    ("-channel", "1:25: - takes a number"),
    ("NOT price", "1:28: NOT takes a BOOLEAN; compare the operand with something"),
    (
        "price AND TRUE",
        "1:24: AND and OR take a BOOLEAN on both sides; compare the operand with something",
    ),
    ("price IN (channel)", "1:24: IN compares BIGINT with STRING; CAST one of them"),
    (
        "CASE WHEN price THEN 1 END",
        "1:34: WHEN takes a BOOLEAN, not BIGINT; compare it with something",
    ),
    (
        "CASE WHEN TRUE THEN 1 ELSE 'a' END",
        "1:1: the results are INT and STRING, which have no common type; CAST one of them",
    ),
    ("CAST(ARRAY[1] AS INT)", "1:1: CAST from ARRAY<INT> to INT is not supported"),
    ("ARRAY[1, 'a']", "1:1: ARRAY: INT and STRING have no common type; CAST one of them"),
    ("IF(price, 1, 2)", "1:27: IF: argument 1 is BIGINT, not BOOLEAN; CAST it"),
    ("COALESCE(NULL, NULL)", "1:1: COALESCE: every argument is NULL; CAST one of them"),
    (
        "COALESCE(price, channel)",
        "1:33: COALESCE: BIGINT and STRING have no common type; CAST one of them",
    ),
    ("FLOOR(ts TO FORTNIGHT)", "1:36: Expected: date/time field, found: FORTNIGHT"),
    ("FLOOR(price TO DAY)", "1:30: FLOOR: argument 1 is BIGINT, not a time; CAST it"),
    ("FLOOR(price, 2)", "1:30: FLOOR takes one number; use ROUND for digits"),
    ("EXTRACT(FORTNIGHT FROM ts)", "1:32: Expected: date/time field, found: FORTNIGHT"),
    ("HOUR(price)", "1:29: HOUR: argument 1 is BIGINT, not a time; CAST it"),
    ("ABS(channel)", "1:28: ABS: argument 1 is STRING, not a number; CAST it"),
    ("SUBSTRING(channel, 'a')", "1:34: SUBSTRING: argument 2 is STRING, not an integer; CAST it"),
    (
        "CARDINALITY(channel)",
        "1:36: CARDINALITY: argument 1 is STRING, not an ARRAY or a MAP; CAST it",
    ),
    ("GREATEST(ARRAY[1])", "1:1: GREATEST: ARRAY<INT> cannot be ordered"),
    ("REGEXP_EXTRACT(channel, 'a', 2)", "1:39: REGEXP_EXTRACT: the pattern has 0 groups, not 2"),
    ("REGEXP(channel, '(')", "1:31: REGEXP: the pattern '(' is not supported: unclosed group"),
    (
        "channel LIKE 'a!' ESCAPE '!'",
        "1:24: LIKE: what follows the escape character is not %, _ or itself",
    ),
    (
        "TO_TIMESTAMP_LTZ(price, 10)",
        "1:41: TO_TIMESTAMP_LTZ: the precision is a literal from 0 to 9",
    ),
    (
        "TO_TIMESTAMP_LTZ(channel, 3)",
        "1:41: TO_TIMESTAMP_LTZ: argument 2 is INT, not STRING; CAST it",
    ),
    (
        "DATE_FORMAT(ts, 'yyyy ''open')",
        "1:36: DATE_FORMAT: a quote in the pattern 'yyyy 'open' is not closed",
    ),
    (
        "MAX(price)",
        "1:28: an aggregate without a window is not supported: its result would have to be updated; group by a window of FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), …))",
    ),
    (
        "SUM(SUM(price))",
        "1:32: an aggregate inside an aggregate is not supported; aggregate twice, with a view between",
    ),
    (
        "99999999999999999999999999999999999999999",
        "1:24: the number 99999999999999999999999999999999999999999 has more digits than a BIGINT",
    ),
    (
        "INTERVAL '500' SECOND",
        "1:33: INTERVAL '500' SECOND: the first number has more than 2 digits; write INTERVAL '500' SECOND(3)",
    ),
    ("ts + INTERVAL '1' PARSEC", "1:49: Expected: `;` or the end of the SQL, found: AS"),
    ("DATE 'x'", "1:29: 'x' is not one; write DATE '2020-01-01'"),
    ("price ^ 2", "1:24: the operator BIT_XOR is not supported"),
    ("price << 2", "1:33: the operator before this is not supported"),
];

#[test]
fn expressions_that_are_none() {
    check_each(value, EXPRESSIONS);
}
