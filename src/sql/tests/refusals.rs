//! More of what is refused: clauses and notations another dialect would take.

use super::errors::check;

const WINDOW: &str = "FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND))";

#[test]
fn names_of_the_select_list_end_there() {
    let select =
        |list: &str, behind: &str| format!("INSERT INTO out SELECT {list} {WINDOW} {behind}");
    let group = "GROUP BY window_start, window_end";
    check(&[
        (
            select("price * 2 AS twice, COUNT(*) AS n", &format!("{group}, twice")).as_str(),
            "1:160: `twice` is a name of the SELECT list, which GROUP BY does not see; write the expression",
        ),
        (
            select("COUNT(*) AS n", &format!("{group} HAVING n > 1")).as_str(),
            "1:146: `n` is a name of the SELECT list, which HAVING does not see; write the expression",
        ),
        (
            select("COUNT(*) AS price", &format!("{group} HAVING price > 1")).as_str(),
            "1:150: `price` in HAVING is a column and a name of the SELECT list; give the latter another",
        ),
        (
            "INSERT INTO out WITH w AS (SELECT price AS p, ts FROM bid) SELECT p + 1 AS q, COUNT(*) AS n FROM w GROUP BY q",
            "1:109: `q` is a name of the SELECT list, which GROUP BY does not see; write the expression",
        ),
        (
            "INSERT INTO out SELECT auction FROM bid GROUP BY (1)",
            "1:51: GROUP BY takes expressions, not positions of the SELECT list",
        ),
        (
            "INSERT INTO out SELECT auction FROM bid GROUP BY + 1",
            "1:52: GROUP BY takes expressions, not positions of the SELECT list",
        ),
    ]);
    // A column of the input is one, whatever the SELECT list calls something else.
    super::plan_ok(&select(
        "price + 1 AS auction, COUNT(*) AS n",
        &format!("{group}, price, auction"),
    ));
    super::plan_ok(&select(
        "auction, COUNT(*) AS n",
        &format!("{group}, auction HAVING auction > 1"),
    ));
    super::plan_ok(&select(
        "auction AS a, COUNT(*) AS n",
        &format!("{group}, auction HAVING COUNT(*) > 1"),
    ));
}

#[test]
fn calls_have_no_clauses_of_other_calls() {
    let window = |call: &str| {
        format!(
            "INSERT INTO out SELECT COUNT(*) AS n FROM TABLE({call}) GROUP BY window_start, window_end"
        )
    };
    let tumble = "TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)";
    check(&[
        (
            "INSERT INTO out SELECT COUNT(DISTINCT *) AS n FROM bid",
            "1:24: COUNT of * is not supported; COUNT(*) is",
        ),
        (
            "INSERT INTO out SELECT SUM(*) AS n FROM bid",
            "1:24: SUM of * is not supported; COUNT(*) is",
        ),
        (
            "INSERT INTO out SELECT UPPER(*) AS n FROM bid",
            "1:24: UPPER of * is not supported; COUNT(*) is",
        ),
        (
            window(&format!("{tumble} OVER ()")).as_str(),
            "1:49: OVER behind a window function is not supported",
        ),
        (
            window(&format!("{tumble} FILTER (WHERE TRUE)")).as_str(),
            "1:49: FILTER behind a window function is not supported",
        ),
        (
            window("TUMBLE(DISTINCT TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND)").as_str(),
            "1:49: DISTINCT in a window function is not supported",
        ),
        (
            window("TUMBLE(TABLE bid, DESCRIPTOR(DISTINCT ts), INTERVAL '1' SECOND)").as_str(),
            "1:67: DISTINCT in a window function is not supported",
        ),
        (
            "INSERT INTO out SELECT UPPER(channel) FILTER (WHERE TRUE) AS u FROM bid",
            "1:24: FILTER on a function of one row is not supported",
        ),
        (
            "INSERT INTO out SELECT UPPER(DISTINCT channel) AS u FROM bid",
            "1:24: DISTINCT in a function of one row is not supported",
        ),
        (
            "INSERT INTO out SELECT UPPER(x => channel) AS u FROM bid",
            "1:24: a named argument is not supported",
        ),
    ]);
}

#[test]
fn notations_of_other_dialects() {
    check(&[
        (
            "INSERT INTO out SELECT price::INT AS p FROM bid",
            "1:29: :: is not supported; write CAST(… AS …)",
        ),
        (
            "INSERT INTO out SELECT auction FROM bid WHERE price == 1",
            "1:53: == is not supported; write =",
        ),
        (
            "CREATE OR REPLACE VIEW v AS SELECT auction FROM bid",
            "1:8: OR REPLACE is not supported; a name is declared once",
        ),
        (
            "INSERT INTO out SELECT CAST(channel AS CHAR(100000000000)) AS c FROM bid",
            "1:40: a length of 100000000000 is not possible; it is 1 to 2147483647",
        ),
        (
            "INSERT INTO out SELECT CAST(channel AS CHAR(2000000)) AS c FROM bid",
            "1:40: CHAR(2000000): at most 1048576 here",
        ),
    ]);
}

#[test]
fn if_not_exists_does_nothing_when_it_exists() {
    let plan = super::plan_ok(
        "CREATE VIEW v AS SELECT auction FROM bid;
         CREATE VIEW IF NOT EXISTS v AS SELECT price FROM bid;
         CREATE TABLE IF NOT EXISTS bid (x INT) WITH ('connector' = 'print');
         INSERT INTO out SELECT * FROM v",
    );
    assert_eq!(plan.sinks[0].schema.field(0).name(), "auction");
}

#[test]
fn a_table_is_read_or_written() {
    let tables = "CREATE TABLE a (x BIGINT) WITH ('connector' = 'filesystem', 'path' = 'a', 'format' = 'json');";
    let write = "INSERT INTO a SELECT auction FROM bid";
    let read = "INSERT INTO out SELECT x FROM a";
    let message = "`a` is both read and written; use two tables";
    check(&[
        (format!("{tables}\n{write};\n{read}").as_str(), &format!("3:13: {message}")),
        (format!("{tables}\n{read};\n{write}").as_str(), &format!("3:13: {message}")),
        (format!("{tables}\nINSERT INTO a SELECT x FROM a").as_str(), &format!("2:13: {message}")),
    ]);
}

#[test]
fn views_that_double_are_bounded() {
    let mut sql = String::from("CREATE VIEW v0 AS SELECT auction FROM bid;");
    for number in 1..=30 {
        let before = number - 1;
        sql.push_str(&format!(
            "\nCREATE VIEW v{number} AS SELECT * FROM v{before} UNION ALL SELECT * FROM v{before};"
        ));
    }
    let errors = super::plan_sql(&sql).expect_err("refused");
    assert!(errors[0].message.starts_with("the job has more than 10000 operators"), "{errors:?}");
}

#[test]
fn long_chains_of_views_are_not_one_expression() {
    let mut sql = String::from("CREATE VIEW v0 AS SELECT auction FROM bid;");
    for number in 1..=4 {
        let sum = vec!["auction"; 1].into_iter().chain(std::iter::repeat_n("1", 200));
        let sum: Vec<&str> = sum.collect();
        sql.push_str(&format!(
            "\nCREATE VIEW v{number} AS SELECT {} AS auction FROM v{};",
            sum.join(" + "),
            number - 1
        ));
    }
    let plan = super::plan_ok(&format!("{sql} INSERT INTO out SELECT auction FROM v4"));
    let projections = super::rendered(&plan.graph).matches("project").count();
    assert!(projections > 1, "{projections}");
}

#[test]
fn what_a_call_captured_tells_it_from_others() {
    let sql = format!(
        "INSERT INTO out SELECT MAX(TO_TIMESTAMP_LTZ(price, 0)) AS a, MAX(TO_TIMESTAMP_LTZ(price, 3)) AS b,
         COUNT(*) FILTER (WHERE channel LIKE channel ESCAPE '!') AS c,
         COUNT(*) FILTER (WHERE channel LIKE channel ESCAPE '$') AS d
         {WINDOW} GROUP BY window_start, window_end"
    );
    let text = super::rendered(&super::plan_ok(&sql).graph);
    for part in ["price, 0)", "price, 3)", "ESCAPE '!'", "ESCAPE '$'"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn reserved_words_are_no_names() {
    let word = |place: &str, word: &str| {
        format!("{place}: {word} is a reserved word; as a name write `{word}`")
    };
    check(&[
        ("INSERT INTO out SELECT auction AS value FROM bid", &word("1:35", "value")),
        ("INSERT INTO out SELECT auction count FROM bid", &word("1:32", "count")),
        ("INSERT INTO out SELECT day FROM bid", &word("1:24", "day")),
        ("INSERT INTO out SELECT bid.value AS v FROM bid", &word("1:28", "value")),
        ("INSERT INTO out SELECT auction FROM bid AS Row", &word("1:44", "Row")),
        (
            "INSERT INTO out SELECT x FROM (SELECT price FROM bid) AS t (Date)",
            &word("1:61", "Date"),
        ),
        (
            "INSERT INTO out WITH hour AS (SELECT * FROM bid) SELECT * FROM hour",
            &word("1:22", "hour"),
        ),
        ("INSERT INTO out (k, value) SELECT auction, price FROM bid", &word("1:21", "value")),
        ("CREATE VIEW year AS SELECT * FROM bid", &word("1:13", "year")),
        ("CREATE TABLE t (dateTime INT) WITH ('connector' = 'print')", &word("1:17", "dateTime")),
        ("CREATE TABLE t (a ROW<time INT>) WITH ('connector' = 'print')", &word("1:23", "time")),
    ]);
    super::plan_ok("INSERT INTO out SELECT auction AS `value`, UNKNOWN AS u FROM bid AS `table`");
}

#[test]
fn windows_and_watermarks_have_flinks_bounds() {
    let window = |call: &str| {
        format!(
            "INSERT INTO out SELECT COUNT(*) AS n FROM TABLE({call}) GROUP BY window_start, window_end"
        )
    };
    let tumble = |offset: i32| {
        window(&format!(
            "TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '10' SECOND, INTERVAL '{offset}' SECOND)"
        ))
    };
    let message = |offset: i32| {
        format!("1:49: TUMBLE: the offset ({offset} ms) must be shorter than the size (10000 ms)")
    };
    check(&[
        (&tumble(10), &message(10_000)),
        (&tumble(-10), &message(-10_000)),
        (
            "CREATE TABLE t (ts TIMESTAMP, WATERMARK FOR ts AS ts) WITH ('connector' = 'print')",
            "1:45: `ts` is TIMESTAMP(6); WATERMARK FOR takes a precision of 0 to 3: declare (3), or a \
             column with AS CAST(ts AS TIMESTAMP(3))",
        ),
    ]);
    super::plan_ok(&tumble(-9));
    super::plan_ok(&window(
        "HOP(TABLE bid, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND, INTERVAL '6' SECOND)",
    ));
}

#[test]
fn results_have_names_of_their_own() {
    let plan = super::plan_ok(
        "INSERT INTO out SELECT auction, price AS auction, auction + 1, bidder AS auction1 FROM bid",
    );
    let names: Vec<&str> =
        plan.sinks[0].schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(names, ["auction", "auction0", "EXPR$2", "auction1"]);
    let note =
        "sink out: column 3 of the query has no name and is written as EXPR$2; write … AS name";
    assert_eq!(plan.notes, [note]);
    check(&[(
        "INSERT INTO out SELECT x.auction FROM (SELECT auction, auction FROM bid) AS x",
        "1:1: two columns are named `auction`; give one another name with AS",
    )]);
}
