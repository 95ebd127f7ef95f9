//! Windows over windows and over the union of two sources, against the model.

use std::collections::BTreeMap;

use super::bids::{Bids, Model, SCHEMA, key_text, second};
use super::{CORE_COUNTS, job, json_sink, run};
use crate::support::{Directory, expect_same, sorted};

fn source(name: &str) -> String {
    format!(
        "[sources.{name}]\nconnector = \"file\"\npath = \"{name}\"\nformat = \"json\"\n\
         schema = \"{SCHEMA}\"\nlate_sink = \"late\"\nrejected_sink = \"rejected\"\n"
    )
}

/// Runs the job on every number of cores; what it writes must not depend on it.
fn check(directory: &Directory, expected: &[String], model: Model) {
    let (late, rejected) = (sorted(model.late), sorted(model.rejected));
    assert!(late.len() > 20 && rejected.len() > 20 && expected.len() > 20, "a case without cases");
    for cores in CORE_COUNTS {
        for written in ["out", "late", "rejected", "data"] {
            let _ = std::fs::remove_dir_all(directory.path(written));
        }
        run(directory, cores);
        expect_same(&directory.rows("out"), expected, &format!("{cores} cores"));
        expect_same(&directory.rows("late"), &late, &format!("{cores} cores"));
        expect_same(&directory.rows("rejected"), &rejected, &format!("{cores} cores"));
    }
}

/// Two exchanges in a row, by different keys, with the shortest queues there may be: bids per key
/// in two seconds, then how many keys had so many.
#[test]
fn a_window_over_a_window() {
    let limits = "[limits]\nfile_chunk_bytes = \"4KiB\"\nedge_elements_max = 3\n";
    let sinks = ["out", "late", "rejected"].map(json_sink).concat();
    let sql = "\
CREATE VIEW per_key AS
SELECT k, COUNT(*) AS n, COUNT(v) AS vs, window_time AS wt
FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '2' SECOND))
GROUP BY k, window_start, window_end, window_time;
INSERT INTO out
SELECT n, COUNT(*) AS ks, SUM(vs) AS vs, window_start AS ws, window_end AS we
FROM TABLE(TUMBLE(TABLE per_key, DESCRIPTOR(wt), INTERVAL '10' SECOND))
GROUP BY n, window_start, window_end";
    let tables = format!("{}{sinks}{limits}", source("bid"));
    let directory = Directory::with_job(&job(&tables, sql));
    let bids = Bids::random("bid", 5);
    bids.write(&directory);

    let mut model = Model::default();
    bids.add_to(&mut model, 2_000, 2_000);
    let mut counts: BTreeMap<(i64, usize), (usize, usize)> = BTreeMap::new();
    for ((end, _), pane) in &model.windows {
        let outer = (end - 1) - (end - 1).rem_euclid(10_000) + 10_000;
        let (keys, values) = counts.entry((outer, pane.len())).or_default();
        *keys += 1;
        *values += pane.iter().flatten().count();
    }
    let row = |((end, n), (keys, values)): (&(i64, usize), &(usize, usize))| {
        let (start, end) = (second(end - 10_000), second(*end));
        format!("{{\"n\":{n},\"ks\":{keys},\"vs\":{values},\"ws\":\"{start}\",\"we\":\"{end}\"}}")
    };
    let expected = sorted(counts.iter().map(row).collect());
    check(&directory, &expected, model);
}

/// A row of either source is late by the watermark of its own; both name the same sinks.
#[test]
fn a_window_over_a_union() {
    let limits = "[limits]\nfile_chunk_bytes = \"4KiB\"\n";
    let sinks = ["out", "late", "rejected"].map(json_sink).concat();
    let sql = "\
CREATE VIEW both_bids AS SELECT k, v, ts FROM bid UNION ALL SELECT k, v + 1 AS v, ts FROM more;
INSERT INTO out
SELECT k, COUNT(*) AS n, SUM(v) AS s, window_start AS ws, window_end AS we
FROM TABLE(HOP(TABLE both_bids, DESCRIPTOR(ts), INTERVAL '2' SECOND, INTERVAL '4' SECOND))
GROUP BY k, window_start, window_end";
    let tables = format!("{}{}{sinks}{limits}", source("bid"), source("more"));
    let directory = Directory::with_job(&job(&tables, sql));

    let (mut model, mut of_more) = (Model::default(), Model::default());
    let (bids, more) = (Bids::random("bid", 6), Bids::random("more", 7));
    bids.write(&directory);
    more.write(&directory);
    bids.add_to(&mut model, 2_000, 4_000);
    more.add_to(&mut of_more, 2_000, 4_000);
    for (window, pane) in of_more.windows {
        let pane = pane.into_iter().map(|value| value.map(|value| value + 1));
        model.windows.entry(window).or_default().extend(pane);
    }
    model.late.extend(of_more.late);
    model.rejected.extend(of_more.rejected);
    let rows = model.windows.iter().map(|((end, key), pane)| {
        let values: Vec<i64> = pane.iter().copied().flatten().collect();
        let sum =
            if values.is_empty() { "null".into() } else { values.iter().sum::<i64>().to_string() };
        let (key, start, end) = (key_text(*key), second(end - 4_000), second(*end));
        let n = pane.len();
        format!("{{\"k\":{key},\"n\":{n},\"s\":{sum},\"ws\":\"{start}\",\"we\":\"{end}\"}}")
    });
    let expected = sorted(rows.collect());
    check(&directory, &expected, model);
}
