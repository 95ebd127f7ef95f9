//! The same input gives the same output on any number of cores, in any batching, with any timing.

use std::path::Path;

use super::cluster::{Outcome, Shape, run};
use crate::config::{Host, Job, resolve_text};

/// Seeds per scenario.
const SEEDS: u64 = 40;

pub(super) fn job(sql: &str) -> Job {
    let text = format!(
        r#"
[durability]
mode = "off"

[sources.input]
connector = "file"
path = "in"
format = "json"
schema = """
  k BIGINT, s STRING, v BIGINT, ts TIMESTAMP(3),
  WATERMARK FOR ts AS ts - INTERVAL '2' SECOND
"""

[sinks.output]
connector = "file"
path = "out"
format = "json"

[query]
sql = "{sql}"
"#
    );
    let host = Host { environment: &|_| None };
    resolve_text(Path::new("simulated.toml"), &text, &host).expect("the job file is valid")
}

/// Out-of-order, late, duplicate and undecodable records, NULL keys; about 1 % of each.
pub(super) fn input(seed: u64, records: u64) -> Vec<(&'static str, String)> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut files = vec![("/in/1.json", String::new()), ("/in/2.json", String::new())];
    for number in 0..records {
        let file = usize::from(number > records / 3);
        let drift = if rng.u32(..100) == 0 { 60_000 } else { 3_000 };
        let millis = 100_000 + number * 50 - rng.u64(..drift);
        let key = if rng.u32(..50) == 0 { "null".to_owned() } else { rng.u32(..20).to_string() };
        let (minute, second, milli) = (millis / 60_000, millis / 1000 % 60, millis % 1000);
        let line = match rng.u32(..100) {
            0 => "{\"k\": 1, \"v\": \"not a number\"}".to_owned(),
            1 => "no JSON at all".to_owned(),
            _ => format!(
                "{{\"k\":{key},\"s\":\"s{}\",\"v\":{},\"ts\":\"2020-01-01 00:{minute:02}:{second:02}.{milli:03}\"}}",
                rng.u32(..5),
                rng.i32(-1000..1000)
            ),
        };
        files[file].1.push_str(&line);
        files[file].1.push('\n');
    }
    files
}

#[track_caller]
fn check(sql: &str) {
    let job = job(sql);
    for seed in 1..=SEEDS {
        let files = input(seed, 600);
        let plain = Shape {
            seed,
            core_count: 1,
            chunk_bytes: 1 << 20,
            edge_elements_max: 16,
            turn_rows_max: 8192,
        };
        let expected = run(&job, &files, plain);
        assert!(!expected.rows.is_empty());
        let mut rng = fastrand::Rng::with_seed(seed);
        for core_count in [1, 2, 3, 4] {
            let shape = Shape {
                seed: rng.u64(..1 << 32),
                core_count,
                chunk_bytes: rng.u64(100..5_000),
                edge_elements_max: rng.usize(2..6),
                turn_rows_max: rng.usize(1..300),
            };
            let actual = run(&job, &files, shape);
            assert_eq!(actual.rows, expected.rows, "input {seed}, {shape:?}");
            assert_eq!(actual.late, expected.late, "input {seed}, {shape:?}");
            assert_eq!(actual.rejected, expected.rejected, "input {seed}, {shape:?}");
            check_ledger(&actual, shape);
        }
    }
}

/// Every operator of every core accounts for each row.
fn check_ledger(outcome: &Outcome, shape: Shape) {
    for status in outcome.reports.iter().flat_map(|report| &report.operators) {
        assert_eq!(status.counters.imbalance(), None, "{:?} {shape:?}", status.spec);
    }
}

#[test]
fn a_projection_and_a_filter() {
    check("INSERT INTO output SELECT k, UPPER(s) AS s, v * 2 AS v, ts FROM input WHERE v > 0");
}

#[test]
fn a_tumbling_window() {
    check(
        "INSERT INTO output SELECT k, COUNT(*) AS n, SUM(v) AS total, MIN(v) AS low, MAX(s) AS high, \
         window_start, window_end FROM TABLE(TUMBLE(TABLE input, DESCRIPTOR(ts), INTERVAL '5' SECOND)) \
         GROUP BY k, window_start, window_end",
    );
}

#[test]
fn a_hopping_window_with_distinct_and_filter() {
    check(
        "INSERT INTO output SELECT s, COUNT(DISTINCT k) AS keys, COUNT(*) FILTER (WHERE v > 0) AS n, \
         AVG(v) AS mean, window_end FROM TABLE(HOP(TABLE input, DESCRIPTOR(ts), INTERVAL '1' SECOND, \
         INTERVAL '5' SECOND)) GROUP BY s, window_start, window_end",
    );
}

#[test]
fn values_in_the_order_of_rows() {
    check(
        "INSERT INTO output SELECT k, LISTAGG(s, '|') AS c, ARRAY_AGG(v) FILTER (WHERE v > 0) AS d, \
         COLLECT(s) AS f, COUNT(DISTINCT s) AS g, PERCENTILE(v, 0.3) AS h, window_end \
         FROM TABLE(HOP(TABLE input, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '5' SECOND)) \
         GROUP BY k, window_start, window_end",
    );
    check(
        "INSERT INTO output SELECT k, FIRST_VALUE(s) AS a, LAST_VALUE(v) AS b, LISTAGG(s, '|') AS c, \
         LAST_VALUE(DISTINCT s) AS e, window_end FROM TABLE(TUMBLE(TABLE input, DESCRIPTOR(ts), \
         INTERVAL '5' SECOND)) GROUP BY k, window_start, window_end",
    );
}

#[test]
fn values_in_the_order_of_windows() {
    check(
        "CREATE VIEW per_second AS SELECT COUNT(*) AS n, LISTAGG(s) AS s, window_time AS wt \
         FROM TABLE(TUMBLE(TABLE input, DESCRIPTOR(ts), INTERVAL '1' SECOND)) \
         GROUP BY window_start, window_end, window_time; \
         INSERT INTO output SELECT ARRAY_AGG(n) AS ns, FIRST_VALUE(s) AS s, LAST_VALUE(n) AS n, window_end \
         FROM TABLE(TUMBLE(TABLE per_second, DESCRIPTOR(wt), INTERVAL '10' SECOND)) \
         GROUP BY window_start, window_end",
    );
}

#[test]
fn a_window_over_a_window() {
    check(
        "CREATE VIEW per_key AS SELECT k, COUNT(*) AS n, window_time AS moment \
         FROM TABLE(TUMBLE(TABLE input, DESCRIPTOR(ts), INTERVAL '2' SECOND)) \
         GROUP BY k, window_start, window_end, window_time; \
         INSERT INTO output SELECT MAX(n) AS most, COUNT(*) AS ks, window_start, window_end \
         FROM TABLE(TUMBLE(TABLE per_key, DESCRIPTOR(moment), INTERVAL '10' SECOND)) \
         GROUP BY window_start, window_end",
    );
}

#[test]
fn a_union_of_two_branches() {
    check(
        "CREATE VIEW either AS SELECT k, ts FROM input WHERE v > 0 UNION ALL \
         SELECT k, ts FROM input WHERE s = 's1'; \
         INSERT INTO output SELECT k, COUNT(*) AS n, window_end FROM TABLE(TUMBLE(TABLE either, \
         DESCRIPTOR(ts), INTERVAL '5' SECOND)) GROUP BY k, window_start, window_end",
    );
}
