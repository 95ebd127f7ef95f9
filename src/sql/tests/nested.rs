//! Values with parts, from JSON lines to JSON lines: columns, access, constructors, casts.

use super::graphs::check as check_graph;
use super::{TableRole, options, plan, plan_ok, rendered, run, table, text};
use crate::format::{self, DecoderOptions, FormatOptions, JsonOptions};

const SCHEMA: &str = "id INT, who ROW<name STRING, home ROW<city STRING, zip INT>>,
tags ARRAY<STRING>, props MAP<STRING, INT>, items ARRAY<ROW(sku STRING, qty INT NOT NULL)>, code BYTES";

const LINES: &str = r#"
{"id":1,"who":{"name":"Ann","home":{"city":"Ulm","zip":89073}},"tags":["a","b"],"props":{"p":1,"q":null},"items":[{"sku":"x","qty":2}],"code":"AQI="}
{"id":2,"who":{"name":"Bob"},"tags":[],"props":{},"items":[null,{"qty":3}]}
{"id":3}
"#;

fn json() -> FormatOptions {
    FormatOptions::Json(JsonOptions { iso_timestamps: false })
}

/// `expression` over each line, as JSON; or why there is none.
fn values(expression: &str) -> String {
    let tables = [table("t", TableRole::Source, Some(SCHEMA)), table("out", TableRole::Sink, None)];
    let sql = format!("INSERT INTO out SELECT {expression} AS r FROM t");
    let planned = match plan(&[text(&sql)], &tables, &options()) {
        Ok(planned) => planned,
        Err(errors) => return format!("refused: {}", errors[0].message),
    };
    let mut decoder = format::decoder(&DecoderOptions {
        format: json(),
        schema: planned.sources[0].schema.clone(),
        projection: planned.sources[0].projection.clone(),
        line_bytes_max: 1 << 20,
        keep_provenance: None,
        start_offset: 0,
    })
    .unwrap();
    decoder.feed(LINES.as_bytes());
    assert_eq!(decoder.take_rejected(), None);
    let rows = decoder.take().unwrap().rows;
    let rows = arrow::array::RecordBatch::try_new(
        planned.graph.nodes[0].schema.clone(),
        rows.columns().to_vec(),
    );
    match run(&planned.graph, rows.unwrap()) {
        Ok(result) => {
            let mut encoder = format::encoder(&json(), &result.schema()).unwrap();
            let mut out = Vec::new();
            encoder.encode(&result, &mut out);
            let out = String::from_utf8(out).unwrap();
            let value = |line: &str| line[5..line.len() - 1].to_string();
            out.lines().map(value).collect::<Vec<_>>().join(" ")
        }
        Err(error) => format!("failed: {error}"),
    }
}

#[track_caller]
fn check(cases: &[(&str, &str)]) {
    let wrong: Vec<String> = cases
        .iter()
        .map(|(expression, expected)| (expression, expected, values(expression)))
        .filter(|(_, expected, actual)| actual != *expected)
        .map(|(expression, expected, actual)| format!("{expression}:\n  {actual}\n  {expected}"))
        .collect();
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn columns_pass_through() {
    check(&[
        (
            "who",
            r#"{"name":"Ann","home":{"city":"Ulm","zip":89073}} {"name":"Bob","home":null} null"#,
        ),
        ("tags", r#"["a","b"] [] null"#),
        ("props", r#"{"p":1,"q":null} {} null"#),
        ("items", r#"[{"sku":"x","qty":2}] [null,{"sku":null,"qty":3}] null"#),
        ("code", r#""AQI=" null null"#),
    ]);
}

#[test]
fn parts_are_read() {
    check(&[
        ("who.name", r#""Ann" "Bob" null"#),
        ("t.who.home.zip + 1", "89074 null null"),
        ("`who`.`home`.`city`", r#""Ulm" null null"#),
        ("who.home IS NULL", "false true true"),
        ("tags[1]", r#""a" null null"#),
        ("t.tags[id]", r#""a" null null"#),
        ("tags[-id]", "null null null"),
        ("tags[CARDINALITY(tags)]", r#""b" null null"#),
        ("props['p']", "1 null null"),
        ("props['q']", "null null null"),
        ("props[who.name]", "null null null"),
        ("items[2].qty", "null 3 null"),
        ("items[1].sku", r#""x" null null"#),
        ("(who).home.city", r#""Ulm" null null"#),
        ("SPLIT(who.name, 'n')[2]", r#""" null null"#),
    ]);
}

#[test]
fn values_are_made() {
    check(&[
        (
            "ROW(id, who.name)",
            r#"{"EXPR$0":1,"EXPR$1":"Ann"} {"EXPR$0":2,"EXPR$1":"Bob"} {"EXPR$0":3,"EXPR$1":null}"#,
        ),
        (
            "(id, 'x')[1]",
            "refused: [ ] stands behind an ARRAY or a MAP, not ROW<`EXPR$0` INT, `EXPR$1` STRING>",
        ),
        ("ROW(id, ROW('x')).EXPR$1.EXPR$0", r#""x" "x" "x""#),
        ("ARRAY[id, 1.5]", "[1.0,1.5] [2.0,1.5] [3.0,1.5]"),
        ("ARRAY[tags, ARRAY['z']]", r#"[["a","b"],["z"]] [[],["z"]] [null,["z"]]"#),
        ("MAP['a', id, 'a', id + 1]", r#"{"a":2} {"a":3} {"a":4}"#),
        ("MAP[who.name, id]", "failed: a key of a MAP is NULL"),
        (
            "CASE WHEN id = 1 THEN who END",
            r#"{"name":"Ann","home":{"city":"Ulm","zip":89073}} null null"#,
        ),
        ("COALESCE(tags, ARRAY['none'])", r#"["a","b"] [] ["none"]"#),
        (
            "COALESCE(who.home, ROW('?', 0))",
            r#"{"city":"Ulm","zip":89073} {"city":"?","zip":0} {"city":"?","zip":0}"#,
        ),
        (
            "OBJECT_UPDATE(OBJECT_OF('Point', 'x', id, 'y', 2), 'y', 'far')",
            r#"{"x":1,"y":"far"} {"x":2,"y":"far"} {"x":3,"y":"far"}"#,
        ),
        (
            "OBJECT_UPDATE(who, 'name', 'x')",
            "refused: OBJECT_UPDATE: argument 1 is ROW<`name` STRING, `home` ROW<`city` STRING, `zip` INT>>, not made by OBJECT_OF",
        ),
    ]);
}

#[test]
fn values_are_compared() {
    check(&[
        ("who = who", "true true null"),
        ("who <> ROW('Ann', ROW('Ulm', 89073))", "false true null"),
        ("who IS NOT DISTINCT FROM who", "true true true"),
        ("tags = ARRAY['a', 'b']", "true false null"),
        ("props = MAP['q', CAST(NULL AS INT), 'p', 1]", "true false null"),
        ("items[1] = ROW('x', 2)", "true null null"),
        ("ARRAY_CONTAINS(items, ROW('x', 2))", "true false null"),
        (
            "ARRAY_DISTINCT(ARRAY[who, who])",
            r#"[{"name":"Ann","home":{"city":"Ulm","zip":89073}}] [{"name":"Bob","home":null}] [null]"#,
        ),
        (
            "ARRAY_DISTINCT(ARRAY[props])",
            "refused: ARRAY_DISTINCT: values of type MAP<STRING, INT> cannot be compared",
        ),
    ]);
}

#[test]
fn values_are_cast() {
    check(&[
        ("CAST(who AS STRING)", r#""(Ann, (Ulm, 89073))" "(Bob, NULL)" null"#),
        ("CAST(items AS STRING)", r#""[(x, 2)]" "[NULL, (NULL, 3)]" null"#),
        ("CAST(props AS STRING)", r#""{p=1, q=NULL}" "{}" null"#),
        (
            "CAST(who AS ROW<n VARCHAR(2), h ROW<c CHAR(5), z STRING>>)",
            r#"{"n":"An","h":{"c":"Ulm  ","z":"89073"}} {"n":"Bo","h":null} null"#,
        ),
        ("CAST(tags AS ARRAY<VARCHAR(1) NOT NULL>)", r#"["a","b"] [] null"#),
        ("CAST(props AS MAP<STRING, STRING>)", r#"{"p":"1","q":null} {} null"#),
        ("CAST(tags AS ARRAY<INT>)", "failed: 'a' is not a INT"),
        ("TRY_CAST(tags AS ARRAY<INT>)", "null [] null"),
        ("TRY_CAST(who AS ROW<n INT, h ROW<c STRING, z INT>>)", "null null null"),
        (
            "CAST(tags AS MAP<STRING, INT>)",
            "refused: CAST from ARRAY<STRING> to MAP<STRING, INT> is not supported",
        ),
        ("CAST(ARRAY[id] AS BIGINT ARRAY)", "[1] [2] [3]"),
    ]);
}

/// One row at a time a batch is a slice, whose arrays hold more than it shows.
#[test]
fn what_a_slice_hides_does_not_fail() {
    use arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray};
    use arrow::datatypes::{DataType, Int32Type};
    use std::sync::Arc;
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["1", "x", "3"]));
    let lists = super::super::types::list_of(DataType::Utf8);
    let DataType::List(field) = &lists else { panic!("{lists}") };
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([1, 1, 1]);
    let valid = arrow::buffer::NullBuffer::from(vec![true, false, true]);
    for (nulls, rows) in [(None, vec![0, 2]), (Some(valid), vec![0, 1, 2])] {
        let array: ArrayRef =
            Arc::new(ListArray::new(Arc::clone(field), offsets.clone(), Arc::clone(&texts), nulls));
        let column = super::super::eval::Typed::column("a", 0, lists.clone());
        let to = super::super::types::SqlType::plain(super::super::types::list_of(DataType::Int32));
        let bind = super::super::functions::BindOptions { time_zone: chrono_tz::UTC };
        let cast = super::super::cast::cast(column, &to, false, &bind).unwrap();
        for row in rows {
            let schema = arrow::datatypes::Schema::new(vec![arrow::datatypes::Field::new(
                "a",
                lists.clone(),
                true,
            )]);
            let batch =
                arrow::array::RecordBatch::try_new(Arc::new(schema), vec![array.slice(row, 1)]);
            let value = cast.expr.evaluate(&batch.unwrap()).unwrap().into_array(1).unwrap();
            let list = value.as_list::<i32>();
            let expected = array.is_valid(row).then_some(i32::try_from(row).unwrap() + 1);
            let actual =
                list.is_valid(0).then(|| list.value(0).as_primitive::<Int32Type>().value(0));
            assert_eq!(actual, expected, "row {row}");
        }
    }
}

/// The table of the Nexmark benchmark: event time is a field of one of three ROWs.
#[test]
fn event_time_is_a_field_of_a_row() {
    let table = "CREATE TABLE nexmark (
        event_type INT,
        person ROW<id BIGINT, name STRING, emailAddress STRING, creditCard STRING, city STRING,
            state STRING, `dateTime` TIMESTAMP(3), extra STRING>,
        auction ROW<id BIGINT, itemName STRING, description STRING, initialBid BIGINT,
            reserve BIGINT, `dateTime` TIMESTAMP(3), expires TIMESTAMP(3), seller BIGINT,
            category BIGINT, extra STRING>,
        bid ROW<auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING,
            `dateTime` TIMESTAMP(3), extra STRING>,
        `dateTime` AS CASE WHEN event_type = 0 THEN person.`dateTime`
            WHEN event_type = 1 THEN auction.`dateTime` ELSE bid.`dateTime` END,
        WATERMARK FOR `dateTime` AS `dateTime` - INTERVAL '4' SECOND
    ) WITH ('connector' = 'filesystem', 'path' = 'x', 'format' = 'json');
    CREATE VIEW bids AS SELECT bid.auction, bid.bidder, bid.price, `dateTime`, bid.extra
        FROM nexmark WHERE event_type = 2;";
    let planned = plan_ok(&format!(
        "{table} INSERT INTO out SELECT auction, COUNT(*) AS n, window_end
         FROM TABLE(TUMBLE(TABLE bids, DESCRIPTOR(`dateTime`), INTERVAL '10' SECOND))
         WHERE MOD(price, 123) = 0 GROUP BY auction, window_start, window_end"
    ));
    assert!(planned.sources[0].watermark.is_some());
    let graph = rendered(&planned.graph);
    for part in ["bid.auction", "filter event_type = 2", "window TUMBLE(dateTime, 10 s) by auction"]
    {
        assert!(graph.contains(part), "{part} in\n{graph}");
    }
}

#[test]
fn elements_become_rows() {
    let from = |query: &str| format!("INSERT INTO out SELECT {query}");
    let events = "CREATE TABLE events (id INT, who ROW<tags ARRAY<STRING>>, items ARRAY<ROW<a INT, b INT>>,
        props MAP<STRING, INT>) WITH ('connector' = 'filesystem', 'path' = 'x', 'format' = 'json');";
    let cases = [
        (
            "id, tag FROM events CROSS JOIN UNNEST(who.tags) AS t (tag)",
            "0 source events (id, who)
             1 unnest who.tags AS tag <- 0
             2 sink out <- 1",
        ),
        (
            "e.id, t.* FROM events AS e CROSS JOIN UNNEST(e.items) AS t",
            "0 source events (id, items)
             1 unnest items AS a, b <- 0
             2 sink out <- 1",
        ),
        (
            "k, v FROM events LEFT JOIN UNNEST(props) AS t (k, v) ON TRUE WHERE id > 1",
            "0 source events (id, props)
             1 unnest outer props AS k, v <- 0
             2 filter id > 1 <- 1
             3 project k, v <- 2
             4 sink out <- 3",
        ),
        (
            "x, n FROM events CROSS JOIN UNNEST(SPLIT(CAST(events.who.tags AS STRING), ',')) WITH ORDINALITY AS t (x, n)",
            "0 source events (who)
             1 unnest SPLIT(CAST(who.tags AS STRING), ',') AS x, n <- 0
             2 sink out <- 1",
        ),
        (
            "who.* FROM events",
            "0 source events (who)
             1 project who.tags AS tags <- 0
             2 sink out <- 1",
        ),
    ];
    for (query, expected) in cases {
        check_graph(&format!("{events} {}", from(query)), expected);
    }
}
