//! Job files and SQL with faults: whatever stands in them, planning answers.

use pelton::config::{Host, Job, REFERENCE, resolve_text};
use pelton::sql::{PlanOptions, plan};
use std::path::Path;

/// Rounds of each test. A query takes some 300 us.
const ROUNDS: usize = 4_000;

/// Pieces that mean something where they do not belong.
const PIECES: [&str; 40] = [
    "(",
    ")",
    ",",
    ";",
    "'",
    "\"",
    "`",
    "--",
    "/*",
    "*/",
    "*",
    "+",
    "-",
    "/",
    "%",
    "||",
    "=",
    "<>",
    ".",
    "::",
    "[",
    "]",
    "@",
    "$1",
    "?",
    "\0",
    "\u{feff}",
    "é",
    "1e999",
    "9223372036854775808",
    " NULL ",
    " CASE ",
    " END ",
    " OVER ",
    " INTERVAL '1' DAY ",
    " CAST(",
    " AS ",
    " SELECT ",
    " FROM ",
    " UNION ALL ",
];

/// Queries that use what the dialect has.
const QUERIES: [&str; 6] = [
    "INSERT INTO out SELECT k, v * 2 AS v FROM bid WHERE v > 3 AND k LIKE 'a%' OR k IS NOT NULL",
    "INSERT INTO out SELECT k, CASE WHEN v BETWEEN 1 AND 9 THEN v % 3 ELSE CAST(k AS BIGINT) END AS v \
     FROM bid WHERE k IN ('a', 'b') AND NOT v = -1",
    "INSERT INTO out SELECT UPPER(SUBSTRING(k FROM 1 FOR 3)) || '-' AS k, COUNT(DISTINCT v) AS n \
     FROM TABLE(TUMBLE(TABLE bid, DESCRIPTOR(ts), INTERVAL '5' SECOND)) \
     GROUP BY UPPER(SUBSTRING(k FROM 1 FOR 3)) || '-', window_start, window_end",
    "CREATE VIEW w AS SELECT k, SUM(v) FILTER (WHERE v > 0) AS v, window_time AS ts \
     FROM TABLE(HOP(TABLE bid, DESCRIPTOR(ts), INTERVAL '1' SECOND, INTERVAL '4' SECOND)) \
     GROUP BY k, window_start, window_end, window_time; \
     INSERT INTO out SELECT MAX(k) AS k, SUM(v) AS v FROM TABLE(TUMBLE(TABLE w, DESCRIPTOR(ts), \
     INTERVAL '1' MINUTE)) GROUP BY window_start, window_end HAVING COUNT(*) > 1;",
    "CREATE TABLE t (x STRING, y ROW<a INT, b ARRAY<DOUBLE>>, p AS PROCTIME()) WITH ('connector' = \
     'filesystem', 'path' = 'in', 'format' = 'json'); \
     INSERT INTO out SELECT w, y FROM t CROSS JOIN UNNEST(SPLIT(x, ' ')) AS s (w)",
    "SET 'table.local-time-zone' = 'Europe/Berlin'; INSERT INTO out SELECT k, v FROM bid \
     UNION ALL SELECT DATE_FORMAT(ts, 'yyyy'), EXTRACT(HOUR FROM ts) FROM bid",
];

fn job(query: &str) -> String {
    format!(
        "[sources.bid]\nconnector = \"file\"\npath = \"in\"\nformat = \"json\"\n\
         schema = \"k STRING, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts\"\n\
         [sinks.out]\nconnector = \"blackhole\"\n[query]\nsql = '''\n{query}\n'''\n"
    )
}

fn resolve(text: &str) -> Option<Job> {
    let environment = |name: &str| (name != "UNSET").then(|| "1".to_owned());
    resolve_text(Path::new("m.toml"), text, &Host { environment: &environment }).ok()
}

/// Plans, which runs on a thread whose panic is caught: it must not have happened. True when the
/// query was accepted.
fn plan_without_panic(job: &Job, context: &str) -> bool {
    let options = PlanOptions { time_zone: job.time_zone.name().to_owned() };
    let Err(errors) = plan(&job.query, &job.tables, &options) else { return true };
    assert!(!errors.is_empty(), "{context}");
    for error in errors {
        let text = error.to_string();
        assert!(!text.contains("the planner failed"), "{context}\n{text}");
        assert!(!text.contains('\n'), "{context}\n{text}");
        assert!(error.line > 0 && error.column > 0, "{context}\n{text}");
    }
    false
}

/// Removes, doubles, swaps and puts in pieces, at places of whole characters.
fn mutate(text: &str, random: &mut fastrand::Rng) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for _ in 0..random.usize(1..4) {
        let at = random.usize(..text.len());
        let end = (at + random.usize(1..20)).min(text.len());
        match random.u8(..5) {
            0 if end - at < text.len() => drop(text.drain(at..end)),
            1 => {
                let copy = text[at..end].to_vec();
                let to = random.usize(..text.len());
                drop(text.splice(to..to, copy));
            }
            2 => {
                let other = random.usize(..text.len());
                text.swap(at, other);
            }
            _ => {
                let piece = PIECES[random.usize(..PIECES.len())];
                drop(text.splice(at..at, piece.chars()));
            }
        }
    }
    text.into_iter().collect()
}

#[test]
fn mutated_queries_are_planned_or_refused() {
    for query in QUERIES {
        let job = resolve(&job(query)).expect("the job around it is valid");
        assert!(plan_without_panic(&job, query), "{query} is valid");
    }
    let mut random = fastrand::Rng::with_seed(11);
    let (mut planned, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let query = mutate(QUERIES[round % QUERIES.len()], &mut random);
        let Some(job) = resolve(&job(&query)) else { continue };
        match plan_without_panic(&job, &format!("round {round}: {query}")) {
            true => planned += 1,
            false => refused += 1,
        }
    }
    assert!(planned > 20 && refused > 1_000, "{planned} planned, {refused} refused");
}

/// The schema of a source is SQL too.
#[test]
fn mutated_schemas_are_planned_or_refused() {
    let schema = "a BIGINT NOT NULL, b STRING, c ROW<x INT, y ARRAY<DECIMAL(10, 2)>>, d TIMESTAMP_LTZ(3), \
                  e AS a + 1, t TIMESTAMP(3), WATERMARK FOR t AS t - INTERVAL '4' SECOND";
    let with = |columns: &str| {
        job("INSERT INTO out SELECT * FROM bid").replace(
            "\"k STRING, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts\"",
            &format!("'''\n{columns}\n'''"),
        )
    };
    let valid = resolve(&with(schema)).expect("the job around it is valid");
    assert!(plan_without_panic(&valid, schema), "{schema} is valid");
    let mut random = fastrand::Rng::with_seed(12);
    for round in 0..ROUNDS {
        let mutated = mutate(schema, &mut random);
        let Some(job) = resolve(&with(&mutated)) else { continue };
        plan_without_panic(&job, &format!("round {round}: {mutated}"));
    }
}

/// What a mutated job file still means is a job that can be planned, or not.
#[test]
fn mutated_job_files_are_planned_or_refused() {
    let mut random = fastrand::Rng::with_seed(13);
    for round in 0..ROUNDS {
        let text = mutate(REFERENCE, &mut random);
        let Some(job) = resolve(&text) else { continue };
        plan_without_panic(&job, &format!("round {round}:\n{text}"));
    }
}
