//! Whole jobs: text in, graph, error or value out. Cases are data.

mod errors;
mod expressions;
mod golden;
mod graphs;
mod hints;
mod hostile;
mod limits;
mod nested;
mod refusals;
mod refused_queries;
mod refused_tables;
mod windows;

use arrow::array::RecordBatch;

use super::{DeclaredTable, Plan, PlanOptions, SqlError, SqlText, TableRole, plan};
use crate::dataflow::{Graph, NodeKind};
use crate::record::{EvaluationContext, Timestamp};

/// Columns of the source `bid` in these tests.
const BID: &str = "auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, ts TIMESTAMP(3),
WATERMARK FOR ts AS ts - INTERVAL '4' SECOND";

fn text(text: &str) -> SqlText {
    SqlText { text: text.into(), file: "job.toml".into(), line: 1, column: 1 }
}

fn table(name: &str, role: TableRole, schema: Option<&str>) -> DeclaredTable {
    DeclaredTable { name: name.into(), role, schema: schema.map(text) }
}

/// Sources `bid` and `lines`, sinks `out` (no schema) and `typed`.
fn tables() -> Vec<DeclaredTable> {
    vec![
        table("bid", TableRole::Source, Some(BID)),
        table("lines", TableRole::Source, Some("line STRING, pt AS PROCTIME()")),
        table("out", TableRole::Sink, None),
        table("typed", TableRole::Sink, Some("k BIGINT NOT NULL, v STRING")),
    ]
}

fn options() -> PlanOptions {
    PlanOptions { time_zone: "UTC".into() }
}

fn plan_sql(sql: &str) -> Result<Plan, Vec<SqlError>> {
    plan(&[text(sql)], &tables(), &options())
}

#[track_caller]
fn plan_ok(sql: &str) -> Plan {
    match plan_sql(sql) {
        Ok(plan) => plan,
        Err(errors) => panic!("{sql}\n{errors:?}"),
    }
}

/// One line per operator: its label and the operators before it.
fn rendered(graph: &Graph) -> String {
    let lines: Vec<String> = graph
        .nodes
        .iter()
        .enumerate()
        .map(|(index, node)| {
            let inputs: Vec<String> = node.inputs.iter().map(|input| input.0.to_string()).collect();
            match inputs.is_empty() {
                true => format!("{index} {}", node.label),
                false => format!("{index} {} <- {}", node.label, inputs.join(" ")),
            }
        })
        .collect();
    lines.join("\n")
}

fn now() -> EvaluationContext {
    EvaluationContext { now: Timestamp::from_millis(1_600_000_000_123) }
}

/// Runs a graph of one source, filters, projections and one sink over rows of the source.
fn run(graph: &Graph, rows: RecordBatch) -> Result<RecordBatch, String> {
    let mut current = rows;
    for node in &graph.nodes {
        current = match &node.kind {
            NodeKind::Source(_) | NodeKind::Sink(_) => current,
            NodeKind::Project(expressions) => {
                let columns = expressions
                    .iter()
                    .map(|expression| expression.evaluate(&current, now()))
                    .collect::<Result<Vec<_>, _>>()
                    .map_err(|error| error.to_string())?;
                RecordBatch::try_new(node.schema.clone(), columns)
                    .map_err(|error| error.to_string())?
            }
            NodeKind::Filter(condition) => {
                let mask =
                    condition.evaluate(&current, now()).map_err(|error| error.to_string())?;
                let mask = arrow::array::AsArray::as_boolean(&mask);
                arrow::compute::filter_record_batch(&current, mask)
                    .map_err(|error| error.to_string())?
            }
            other => return Err(format!("{other:?} is not run here")),
        };
    }
    Ok(current)
}
