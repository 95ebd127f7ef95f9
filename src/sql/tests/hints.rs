//! Hints: options of a table for one place of a query, and what else may stand in `/*+ … */`.

use super::super::{Plan, TableOrigin};
use super::{errors, plan_ok, rendered};

const TABLES: &str =
    "CREATE TABLE t (a INT, b STRING) WITH ('connector' = 'datagen', 'number-of-rows' = '9');
CREATE TABLE p (a INT) WITH ('connector' = 'print');
CREATE VIEW v AS SELECT a FROM t;
";

/// Options of a statement's source or sink: `key=value`, by name.
fn options(origin: &TableOrigin) -> String {
    let TableOrigin::Statement(options) = origin else { panic!("{origin:?}") };
    let shown = options.iter().map(|(key, option)| format!("{key}={}", option.value));
    shown.collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(statement: &str, sources: &[&str], sinks: &[&str]) -> Plan {
    let plan = plan_ok(&format!("{TABLES}{statement}"));
    let read: Vec<String> = plan.sources.iter().map(|source| options(&source.origin)).collect();
    assert_eq!(read, sources, "{statement}");
    let written: Vec<String> = plan.sinks.iter().map(|sink| options(&sink.origin)).collect();
    assert_eq!(written, sinks, "{statement}");
    plan
}

const NINE: &str = "connector=datagen number-of-rows=9";
const PRINT: &str = "connector=print";

#[test]
fn options_hold_for_the_place_they_stand_at() {
    let three = "connector=datagen number-of-rows=3";
    check(
        "INSERT INTO p SELECT a FROM t /*+ OPTIONS('number-of-rows' = '3') */",
        &[three],
        &[PRINT],
    );
    check(
        "INSERT INTO p SELECT t.a FROM t /*+ options('number-of-rows'='8', 'number-of-rows'='3') */ WHERE t.b = 'x'",
        &[three],
        &[PRINT],
    );
    check(
        "INSERT INTO p SELECT x.a FROM default_database.t /*+ OPTIONS('number-of-rows'='3')*/ AS x",
        &[three],
        &[PRINT],
    );
    check(
        "CREATE VIEW w AS WITH c AS (SELECT * FROM `t`/*+OPTIONS('number-of-rows'='3')*/) SELECT a FROM c;
         INSERT INTO p SELECT a FROM w",
        &[three],
        &[PRINT],
    );
    check(
        "INSERT INTO p /*+ OPTIONS('standard-error' = 'false') */ SELECT a FROM t",
        &[NINE],
        &["connector=print standard-error=false"],
    );
}

#[test]
fn other_options_are_another_table_and_the_same_are_the_same() {
    let hinted = "t /*+ OPTIONS('number-of-rows'='3') */";
    let branches = format!("SELECT a FROM {hinted} UNION ALL SELECT a FROM t");
    let plan = check(
        &format!("INSERT INTO p {branches} UNION ALL SELECT a FROM {hinted}"),
        &["connector=datagen number-of-rows=3", NINE],
        &[PRINT],
    );
    let names: Vec<&str> = plan.sources.iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["t /*+ OPTIONS('number-of-rows' = '3') */", "t"]);
    assert!(
        rendered(&plan.graph)
            .starts_with("0 source t /*+ OPTIONS('number-of-rows' = '3') */ (a)\n"),
        "{}",
        rendered(&plan.graph)
    );
}

#[test]
fn an_option_has_its_place_in_the_hint() {
    let plan = plan_ok(&format!(
        "{TABLES}INSERT INTO p SELECT a FROM t /*+ OPTIONS('number-of-rows' =\n  '3', 'rows-per-second' = '5') */"
    ));
    let TableOrigin::Statement(options) = &plan.sources[0].origin else { panic!() };
    let place = |key: &str| (options[key].line, options[key].column);
    assert_eq!(place("number-of-rows"), (5, 3));
    assert_eq!(place("rows-per-second"), (5, 28));
    assert_eq!(place("connector"), (1, 54));
}

#[test]
fn hints_of_joins_have_no_effect() {
    let plan = check(
        "INSERT INTO p SELECT /*+ BROADCAST(t), STATE_TTL('t' = '1d') */ a FROM t",
        &[NINE],
        &[PRINT],
    );
    let accepted = |name: &str| format!("the hint {name} is accepted and has no effect");
    assert_eq!(plan.notes, [accepted("BROADCAST"), accepted("STATE_TTL")]);
}

const UNKNOWN_OR_MISPLACED: &[(&str, &str)] = &[
    (
        "INSERT INTO out SELECT a FROM t /*+ OPTION('a'='b') */",
        "5:37: the hint OPTION is not supported here; did you mean `OPTIONS`?",
    ),
    (
        "INSERT INTO out SELECT /*+ LOOKUP('table'='t') */ a FROM t",
        "5:28: the hint LOOKUP is not supported here",
    ),
    (
        "INSERT INTO out SELECT /*+ OPTIONS('a'='b') */ a FROM t",
        "5:28: the hint OPTIONS is not supported here",
    ),
    (
        "INSERT INTO out SELECT a FROM t /*+ BROADCAST(t) */",
        "5:37: the hint BROADCAST is not supported here",
    ),
    (
        "INSERT INTO out SELECT a FROM t AS x /*+ OPTIONS('a'='b') */",
        "5:42: the hint OPTIONS stands behind a table's name in FROM, JOIN or INSERT INTO",
    ),
    (
        "INSERT INTO out SELECT b, a /*+ OPTIONS('a'='b') */ FROM t",
        "5:27: the hint OPTIONS stands behind a table's name in FROM, JOIN or INSERT INTO",
    ),
    (
        "INSERT INTO out SELECT a FROM t WHERE a /*+ OPTIONS('a'='b') */ > 1",
        "5:45: the hint OPTIONS stands behind a table's name in FROM, JOIN or INSERT INTO",
    ),
    (
        "/*+ OPTIONS('a'='b') */ INSERT INTO out SELECT a FROM t",
        "5:5: the hint OPTIONS stands behind a table's name in FROM, JOIN or INSERT INTO",
    ),
];

const MALFORMED: &[(&str, &str)] = &[
    (
        "INSERT INTO out SELECT a FROM t /*+ OPTIONS() */",
        "5:37: OPTIONS() is empty; write OPTIONS('key' = 'value')",
    ),
    (
        "INSERT INTO out SELECT a FROM t /*+ OPTIONS(a = 'b') */",
        "5:45: options are written OPTIONS('key' = 'value', …)",
    ),
    (
        "INSERT INTO out SELECT a FROM t /*+ OPTIONS('a' = 'b',) */",
        "5:45: options are written OPTIONS('key' = 'value', …)",
    ),
    (
        "INSERT INTO out SELECT a FROM t /*+ OPTIONS('a' = 'b' */",
        "5:33: the parentheses of this hint are not closed",
    ),
    (
        "INSERT INTO out SELECT a FROM t /*+ OPTIONS('a'='b'), OPTIONS('c'='d') */",
        "5:55: behind a table stands one hint OPTIONS(…), with all options in it",
    ),
    ("INSERT INTO out SELECT a FROM t /*+\n 'x' */", "6:2: a hint is a name with (…); 'x' is none"),
    (
        "INSERT INTO out SELECT a FROM t /*+ OPTIONS('a' = 'b) */",
        "5:51: Unterminated string literal",
    ),
    ("INSERT INTO out SELECT a FROM t /*+ */", "5:33: the hint is empty; write /*+ OPTIONS(…) */"),
    (
        "INSERT INTO out SELECT a FROM v /*+ OPTIONS('a'='b') */",
        "5:31: `v` is a view; OPTIONS is for tables",
    ),
    (
        "INSERT INTO out SELECT a FROM x /*+ OPTIONS('a'='b') */",
        "5:31: there is no table `x`; did you mean `p`?",
    ),
    (
        "INSERT INTO out SELECT auction FROM bid /*+ OPTIONS('a'='b') */",
        "5:37: `bid` is a table of the TOML file; put its options there, OPTIONS is for CREATE TABLE",
    ),
    ("INSERT INTO out SELECT a FROM `t\0` /*+ OPTIONS('a'='b') */", "5:31: a name contains U+0000"),
];

#[test]
fn other_hints_are_refused_by_name_and_place() {
    for (sql, expected) in UNKNOWN_OR_MISPLACED.iter().chain(MALFORMED) {
        errors::check(&[(format!("{TABLES}\n{sql}").as_str(), *expected)]);
    }
}
