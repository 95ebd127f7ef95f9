//! TUMBLE and HOP against a model, on every number of cores: results, late and rejected records.

use std::collections::BTreeSet;

use super::bids::{Bids, Model, Pane, SCHEMA, key_text, second};
use super::{CORE_COUNTS, job, json_sink, run};
use crate::support::{Directory, expect_same, sorted};

/// The aggregates of all cases, and what they give for the rows of a window.
const AGGREGATES: &str = "COUNT(*) AS n, COUNT(v) AS vs, SUM(v) AS s, MIN(v) AS lo, MAX(v) AS hi, \
                          AVG(v) AS mid, COUNT(DISTINCT v) AS kinds, \
                          SUM(v) FILTER (WHERE v > 0) AS gain";

fn aggregates_text(pane: &Pane) -> String {
    let values: Vec<i64> = pane.iter().copied().flatten().collect();
    let or_null = |value: Option<i64>| value.map_or("null".into(), |value| value.to_string());
    let sum = |some: &[i64]| (!some.is_empty()).then(|| some.iter().sum::<i64>());
    let gains: Vec<i64> = values.iter().copied().filter(|value| *value > 0).collect();
    // Integers are divided as Flink does: towards zero.
    let mean = sum(&values).map(|sum| sum / i64::try_from(values.len()).expect("few values"));
    format!(
        "\"n\":{},\"vs\":{},\"s\":{},\"lo\":{},\"hi\":{},\"mid\":{},\"kinds\":{},\"gain\":{}",
        pane.len(),
        values.len(),
        or_null(sum(&values)),
        or_null(values.iter().min().copied()),
        or_null(values.iter().max().copied()),
        or_null(mean),
        values.iter().collect::<BTreeSet<_>>().len(),
        or_null(sum(&gains)),
    )
}

/// Windows of random bids are the model's on 1, 2, 3 and 4 cores.
fn check(seed: u64, function: &str, slide_ms: i64, size_ms: i64) {
    let source = format!(
        "[sources.bid]\nconnector = \"file\"\npath = \"bid\"\nformat = \"json\"\n\
         schema = \"{SCHEMA}\"\nlate_sink = \"late\"\nrejected_sink = \"rejected\"\n"
    );
    let limits = "[limits]\nfile_chunk_bytes = \"4KiB\"\n";
    let tables = [source, ["out", "late", "rejected"].map(json_sink).concat(), limits.into()];
    let sql = format!(
        "INSERT INTO out SELECT k, {AGGREGATES}, window_start AS ws, window_end AS we \
         FROM TABLE({function}) GROUP BY k, window_start, window_end"
    );
    let directory = Directory::with_job(&job(&tables.concat(), &sql));
    let bids = Bids::random("bid", seed);
    bids.write(&directory);
    let mut model = Model::default();
    bids.add_to(&mut model, slide_ms, size_ms);
    let row = |(&(end, key), pane): (&(i64, Option<&str>), &Pane)| {
        let (key, start, end) = (key_text(key), second(end - size_ms), second(end));
        let aggregates = aggregates_text(pane);
        format!("{{\"k\":{key},{aggregates},\"ws\":\"{start}\",\"we\":\"{end}\"}}")
    };
    let expected = sorted(model.windows.iter().map(row).collect());
    let (late, rejected) = (sorted(model.late), sorted(model.rejected));
    assert!(late.len() > 20 && rejected.len() > 20 && expected.len() > 20, "a case without cases");

    for cores in CORE_COUNTS {
        for written in ["out", "late", "rejected", "data"] {
            let _ = std::fs::remove_dir_all(directory.path(written));
        }
        let (_, report) = run(&directory, cores);
        let context = format!("seed {seed}, {cores} cores");
        expect_same(&directory.rows("out"), &expected, &context);
        expect_same(&directory.rows("late"), &late, &context);
        expect_same(&directory.rows("rejected"), &rejected, &context);
        assert_eq!(report.count("sources/bid/records_in"), bids.records(), "{context}");
        assert_eq!(report.count("late_rows"), late.len() as u64, "{context}");
        assert_eq!(report.count("rejected_records"), rejected.len() as u64, "{context}");
        assert_eq!(report.count("held_rows"), 0, "{context}");
    }
}

#[test]
fn tumbling_windows() {
    let function = "TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '5' SECOND)";
    for seed in [1, 2] {
        check(seed, function, 5_000, 5_000);
    }
}

/// Rows that are late for some of their windows only count in the others.
#[test]
fn hopping_windows() {
    let function = "HOP(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '4' SECOND)";
    for seed in [3, 4] {
        check(seed, function, 1_000, 4_000);
    }
}
