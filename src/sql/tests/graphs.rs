//! Queries and the graphs they become.

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch};
use arrow::datatypes::{DataType, TimeUnit};
use std::sync::Arc;

use super::{plan_ok, rendered};
use crate::source::Rowtime;

#[track_caller]
pub(super) fn check(sql: &str, expected: &str) {
    let expected: Vec<&str> = expected.lines().map(str::trim).collect();
    assert_eq!(rendered(&plan_ok(sql).graph), expected.join("\n"), "{sql}");
}

#[test]
fn projections_and_filters() {
    check(
        "INSERT INTO out SELECT auction, price * 2 AS twice FROM bid WHERE price > 100",
        "0 source bid (auction, price, ts)
         1 filter price > 100 <- 0
         2 project auction, price * 2 AS twice <- 1
         3 sink out <- 2",
    );
    check(
        "INSERT INTO typed SELECT k, v FROM (SELECT auction AS k, channel AS v, price FROM bid) AS t
         WHERE price BETWEEN 1 AND 5",
        "0 source bid (auction, price, channel, ts)
         1 filter price >= 1 AND price <= 5 <- 0
         2 project NOT_NULL(auction) AS k, channel AS v <- 1
         3 sink typed <- 2",
    );
    check(
        "INSERT INTO out SELECT UPPER(line) AS line FROM lines WHERE UPPER(line) = 'A'",
        "0 source lines (line)
         1 filter UPPER(line) = 'A' <- 0
         2 project UPPER(line) AS line <- 1
         3 sink out <- 2",
    );
    // Nothing to do: the source's rows are the sink's.
    check(
        "INSERT INTO out SELECT line FROM lines",
        "0 source lines (line)
         1 sink out <- 0",
    );
}

#[test]
fn a_source_is_read_once() {
    check(
        "INSERT INTO out SELECT auction FROM bid; INSERT INTO typed SELECT price, channel FROM bid",
        "0 source bid (auction, price, channel, ts)
         1 project auction <- 0
         2 project NOT_NULL(price) AS k, channel AS v <- 0
         3 sink out <- 1
         4 sink typed <- 2",
    );
    check(
        "EXECUTE STATEMENT SET BEGIN
           INSERT INTO typed SELECT price, channel FROM bid;
           INSERT INTO typed (v, k) SELECT line, 1 FROM lines;
         END;",
        "0 source bid (price, channel, ts)
         1 project NOT_NULL(price) AS k, channel AS v <- 0
         2 source lines (line)
         3 project 1 AS k, line AS v <- 2
         4 union <- 1 3
         5 sink typed <- 4",
    );
}

#[test]
fn windows() {
    check(
        "INSERT INTO out SELECT auction, COUNT(*) AS num, window_start, window_end
         FROM TABLE(HOP(TABLE bid, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '10' SECOND))
         GROUP BY auction, window_start, window_end",
        "0 source bid (auction, ts)
         1 project ts, auction <- 0
         2 window HOP(ts, 2 s, 10 s) by auction: COUNT(*) <- 1
         3 project auction, COUNT(*) AS num, window_start, window_end <- 2
         4 sink out <- 3",
    );
    check(
        "INSERT INTO out SELECT COUNT(*) AS n FROM TABLE(TUMBLE(
           DATA => TABLE lines, TIMECOL => DESCRIPTOR(pt), SIZE => INTERVAL '1' MINUTE, `OFFSET` => INTERVAL '5' SECOND))
         GROUP BY window_start, window_end",
        "0 source lines (line)
         1 window TUMBLE(PROCTIME(), 60 s, 5 s): COUNT(*) <- 0
         2 project COUNT(*) AS n <- 1
         3 sink out <- 2",
    );
    check(
        "INSERT INTO out SELECT window_start, channel, SUM(price) / COUNT(*) AS mean,
           COUNT(DISTINCT bidder) FILTER (WHERE price > 5) AS people
         FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '10' SECOND))
         WHERE auction <> 7
         GROUP BY window_start, window_end, channel HAVING COUNT(*) > 1",
        "0 source bid (auction, bidder, price, channel, ts)
         1 filter auction <> 7 <- 0
         2 project ts, channel, price, price > 5, bidder <- 1
         3 window TUMBLE(ts, 10 s) by channel: SUM(price), COUNT(*), COUNT(DISTINCT bidder) FILTER (WHERE price > 5) <- 2
         4 filter COUNT(*) > 1 <- 3
         5 project window_start, channel, SUM(price) / COUNT(*) AS mean, COUNT(DISTINCT bidder) FILTER (WHERE price > 5) AS people <- 4
         6 sink out <- 5",
    );
}

#[test]
fn a_window_over_a_window() {
    check(
        "CREATE VIEW per_second AS
           SELECT auction, COUNT(*) AS n, window_time AS moment
           FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND))
           GROUP BY auction, window_start, window_end, window_time;
         INSERT INTO out SELECT window_end, MAX(n) AS most
           FROM TABLE(TUMBLE(TABLE per_second, DESCRIPTOR(moment), INTERVAL '10' SECOND))
           GROUP BY window_start, window_end",
        "0 source bid (auction, ts)
         1 project ts, auction <- 0
         2 window TUMBLE(ts, 1 s) by auction: COUNT(*) <- 1
         3 project window_time AS moment, COUNT(*) AS n <- 2
         4 window TUMBLE(moment, 10 s): MAX(n) <- 3
         5 project window_end, MAX(n) AS most <- 4
         6 sink out <- 5",
    );
}

#[test]
fn words_of_lines() {
    check(
        "INSERT INTO out SELECT word, COUNT(*) AS n FROM TABLE(TUMBLE(
           TABLE words, DESCRIPTOR(pt), INTERVAL '5' SECOND)) GROUP BY word, window_start, window_end;
         CREATE VIEW words AS SELECT word, pt FROM lines CROSS JOIN UNNEST(SPLIT(line, ' ')) AS t(word)",
        "0 source lines (line)
         1 unnest SPLIT(line, ' ') AS word <- 0
         2 window TUMBLE(PROCTIME(), 5 s) by word: COUNT(*) <- 1
         3 project word, COUNT(*) AS n <- 2
         4 sink out <- 3",
    );
    check(
        "INSERT INTO out SELECT l.line, w.word FROM lines AS l, UNNEST(SPLIT(l.line, ' ')) AS w(word)",
        "0 source lines (line)
         1 unnest SPLIT(line, ' ') AS word <- 0
         2 sink out <- 1",
    );
}

#[test]
fn unions_views_and_with() {
    check(
        "INSERT INTO out WITH dear AS (SELECT auction, price FROM bid WHERE price > 9)
         SELECT auction FROM dear UNION ALL SELECT 1 FROM lines",
        "0 source bid (auction, price, ts)
         1 filter price > 9 <- 0
         2 source lines (line)
         3 project auction <- 1
         4 project 1 AS auction <- 2
         5 union <- 3 4
         6 sink out <- 5",
    );
}

#[test]
fn operator_ids_are_stable_and_distinct() {
    let sql = "INSERT INTO out SELECT auction FROM bid WHERE price > 1 AND price + 1 > 2";
    let ids = |text: &str| plan_ok(text).graph.nodes.iter().map(|node| node.id).collect::<Vec<_>>();
    assert_eq!(ids(sql), ids(sql));
    let mut distinct = ids(sql);
    distinct.sort();
    distinct.dedup();
    assert_eq!(distinct.len(), ids(sql).len());
}

#[test]
fn the_watermark_is_over_projected_columns() {
    let plan = plan_ok("INSERT INTO out SELECT channel FROM bid");
    let source = &plan.sources[0];
    assert_eq!(source.projection, [3, 4]);
    let watermark = source.watermark.as_ref().unwrap();
    assert!(matches!(watermark.rowtime, Rowtime::Column(1)));
    assert_eq!(watermark.delay_ms, Some(4000));
    assert_eq!(source.schema.fields().len(), 5);
}

#[test]
fn create_table_and_settings() {
    let plan = plan_ok(
        "SET 'table.exec.source.idle-timeout' = '5 s';
         SET 'parallelism.default' = '4';
         CREATE TEMPORARY TABLE src (
           id BIGINT NOT NULL COMMENT 'key', tags ARRAY<ROW<name STRING, weight DECIMAL(5, 2)>>,
           attributes MAP<STRING, ARRAY<INT>>, seen TIMESTAMP_LTZ(3), plain TIMESTAMP(6) WITHOUT TIME ZONE,
           total AS id * 2, PRIMARY KEY (id) NOT ENFORCED,
           WATERMARK FOR seen AS seen
         ) COMMENT 'x' WITH ('connector' = 'filesystem', 'path' = '/tmp/in');
         CREATE TABLE dst (id BIGINT, total BIGINT) WITH ('connector' = 'print');
         -- a comment
         INSERT INTO default_catalog.default_database.dst SELECT id, total FROM src /* all */;",
    );
    assert_eq!(plan.idle_timeout_ms, Some(5000));
    assert_eq!(plan.notes, ["SET 'parallelism.default' is accepted and has no effect"]);
    assert_eq!(
        rendered(&plan.graph),
        "0 source src (id, seen)\n1 project id, id * 2 AS total <- 0\n2 sink dst <- 1"
    );
    let super::super::TableOrigin::Statement(options) = &plan.sources[0].origin else { panic!() };
    assert_eq!(options["path"].value, "/tmp/in");
    assert_eq!((options["path"].line, options["path"].column), (8, 67));
}

#[test]
fn the_rowtime_may_be_computed() {
    let plan = plan_ok(
        "CREATE TABLE e (k BIGINT, ms BIGINT, x INT, ts AS TO_TIMESTAMP_LTZ(ms, 3),
            WATERMARK FOR ts AS ts - INTERVAL '5' SECOND)
            WITH ('connector' = 'filesystem', 'path' = 'e', 'format' = 'json');
         INSERT INTO out SELECT k, COUNT(*) AS n
         FROM TABLE(TUMBLE(TABLE e, DESCRIPTOR(ts), INTERVAL '1' SECOND))
         GROUP BY k, window_start, window_end",
    );
    let source = &plan.sources[0];
    assert_eq!(source.projection, [0, 1]);
    let watermark = source.watermark.as_ref().unwrap();
    assert_eq!(watermark.delay_ms, Some(5000));
    let Rowtime::Computed { name, expression } = &watermark.rowtime else { panic!("computed") };
    assert_eq!(name, "ts");
    let columns: Vec<ArrayRef> =
        vec![Arc::new(Int64Array::from(vec![1])), Arc::new(Int64Array::from(vec![1_500]))];
    let rows = RecordBatch::try_new(plan.graph.nodes[0].schema.clone(), columns).unwrap();
    for computed in [expression, &watermark.expression] {
        let times = computed.evaluate(&rows, super::now()).unwrap();
        assert!(matches!(times.data_type(), DataType::Timestamp(TimeUnit::Millisecond, Some(_))));
    }
    let text = rendered(&plan.graph);
    assert!(text.contains("window TUMBLE(ts, 1 s) by k"), "{text}");
}

#[test]
fn proctime_of_a_view_is_a_time_attribute() {
    let plan = plan_ok(
        "CREATE VIEW v AS SELECT *, PROCTIME() AS p FROM bid;
         INSERT INTO out SELECT COUNT(*) AS n
         FROM TABLE(HOP(TABLE v, DESCRIPTOR(p), INTERVAL '1' SECOND, INTERVAL '2' SECOND))
         GROUP BY window_start, window_end",
    );
    let text = rendered(&plan.graph);
    assert!(text.contains("window HOP(PROCTIME(), 1 s, 2 s)"), "{text}");
}
