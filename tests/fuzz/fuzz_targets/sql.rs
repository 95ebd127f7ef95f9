//! SQL: whatever stands in a query, it is planned or refused, and the planner's thread never panics.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pelton::sql::{DeclaredTable, PlanOptions, SqlText, TableRole, plan};

/// The source that queries may read; the sink takes whatever columns come.
const SCHEMA: &str = "k STRING, v BIGINT, d DECIMAL(10, 2), a ARRAY<ROW<x INT>>, p AS PROCTIME(), \
                      ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '4' SECOND";

fn text(text: &str) -> SqlText {
    SqlText { text: text.to_owned(), file: "fuzz.sql".into(), line: 1, column: 1 }
}

fn table(name: &str, role: TableRole, schema: Option<&str>) -> DeclaredTable {
    DeclaredTable { name: name.to_owned(), role, schema: schema.map(text) }
}

fuzz_target!(|query: &str| {
    let tables =
        [table("bid", TableRole::Source, Some(SCHEMA)), table("out", TableRole::Sink, None)];
    let options = PlanOptions { time_zone: "Europe/Berlin".to_owned() };
    let Err(errors) = plan(&[text(query)], &tables, &options) else { return };
    assert!(!errors.is_empty());
    for error in errors {
        let shown = error.to_string();
        assert!(!shown.contains("the planner failed"), "{shown}");
        assert!(!shown.contains('\n'), "{shown}");
    }
});
