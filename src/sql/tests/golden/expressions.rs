//! One expression: planned as the only column of a query over the table `t`, evaluated over all its
//! rows at once and over each alone, which must be the same.

use arrow::array::RecordBatch;
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::super::types::type_name;
use super::super::super::{DeclaredTable, Plan, PlanOptions, TableRole, plan};
use super::super::{run, table, text};
use super::value::{comparable_type, expected, shown};
use super::{Answered, Outcome, fixture, of_refused};
use crate::format;

pub(super) fn answers() -> Vec<Answered> {
    let schema = fixture("tables/t.schema");
    let tables =
        [table("t", TableRole::Source, Some(&schema)), table("out", TableRole::Sink, None)];
    let rows = decoded(&tables);
    let cases = fixture("expressions.jsonl");
    let cases = cases.lines().map(|line| serde_json::from_str(line).unwrap());
    cases.map(|case: Value| answer(&case, &tables, &rows)).collect()
}

/// The rows of `t`, all columns.
fn decoded(tables: &[DeclaredTable]) -> RecordBatch {
    let all = planned("*", "UTC", tables).expect("all columns can be read");
    let mut decoder = format::decoder(&format::DecoderOptions {
        format: format::FormatOptions::Json(format::JsonOptions { iso_timestamps: false }),
        schema: all.sources[0].schema.clone(),
        projection: (0..all.sources[0].schema.fields().len()).collect(),
        line_bytes_max: 1 << 20,
        keep_provenance: None,
        start_offset: 0,
    })
    .expect("JSON has all types");
    decoder.feed(fixture("tables/t.jsonl").as_bytes());
    decoder.finish();
    let rows = decoder.take().expect("there are rows").rows;
    let rejected = decoder.take_rejected().map(|rejected| rejected.reason);
    assert_eq!(rejected, None);
    rows
}

fn planned(sql: &str, zone: &str, tables: &[DeclaredTable]) -> Result<Plan, String> {
    let name = if sql == "*" { "" } else { " AS r" };
    let query = format!("INSERT INTO out SELECT {sql}{name} FROM t");
    let options = PlanOptions { time_zone: zone.into() };
    plan(&[text(&query)], tables, &options).map_err(|errors| errors[0].message.clone())
}

fn answer(case: &Value, tables: &[DeclaredTable], rows: &RecordBatch) -> Answered {
    let member = |name: &str| case[name].as_str().unwrap_or_default();
    let (id, sql) = (member("id"), member("sql"));
    let planned = planned(sql, member("zone"), tables);
    let outcome = match (planned, case.get("refused")) {
        (planned, Some(class)) => of_refused(class.as_str().unwrap(), planned.is_err()),
        (Err(why), None) => Outcome::Refused(why),
        (Ok(plan), None) => compared(case, &plan, rows),
    };
    let (group, _) = id.rsplit_once('-').expect("an id is a group and a number");
    let is_refused_by_flink = case.get("refused").is_some();
    Answered { id: id.into(), sql: sql.into(), group: group.into(), is_refused_by_flink, outcome }
}

fn compared(case: &Value, plan: &Plan, rows: &RecordBatch) -> Outcome {
    let field = plan.sinks[0].schema.field(0);
    let ours = type_name(field.data_type());
    let flinks = comparable_type(case["type"].as_str().unwrap());
    if ours != flinks {
        return Outcome::Differs(format!("type: Flink {flinks}, ours {ours}"));
    }
    let answers = case["rows"].as_array().unwrap();
    let columns = &plan.sources[0].projection;
    let rows = rows.slice(0, answers.len()).project(columns).expect("columns of the table");
    let actual = match evaluated(plan, &rows) {
        Ok(actual) => actual,
        Err(message) => return Outcome::Differs(message),
    };
    let differences: Vec<String> = (0..answers.len())
        .filter_map(|row| {
            let expected = match answers[row].get("failed").map(|class| class.as_str().unwrap()) {
                None => Ok(expected(&answers[row], field.data_type())),
                // NULL, of which Flink had said that it could not be.
                Some("EnforcerException") => Ok(Value::Null),
                Some(class) => Err(class),
            };
            difference(expected, &actual[row]).map(|text| format!("[{row}] {text}"))
        })
        .collect();
    match differences.is_empty() {
        true => Outcome::Agrees,
        false => Outcome::Differs(differences.join("; ")),
    }
}

fn difference(expected: Result<Value, &str>, actual: &Result<Value, String>) -> Option<String> {
    match (expected, actual) {
        (Ok(expected), Ok(actual)) if expected == *actual => None,
        (Err(_), Err(_)) => None,
        (Ok(expected), Ok(actual)) => Some(format!("Flink {expected}, ours {actual}")),
        (Ok(expected), Err(error)) => Some(format!("Flink {expected}, ours fails: {error}")),
        (Err(class), Ok(actual)) => Some(format!("Flink fails ({class}), ours {actual}")),
    }
}

/// A value or an error per row.
///
/// # Errors
/// All rows together give another answer than each alone, or something panicked.
fn evaluated(plan: &Plan, rows: &RecordBatch) -> Result<Vec<Result<Value, String>>, String> {
    let evaluate = |batch: RecordBatch| {
        catch_unwind(AssertUnwindSafe(|| values(plan, batch))).map_err(|_| "panics".to_owned())
    };
    let mut alone = Vec::with_capacity(rows.num_rows());
    for row in 0..rows.num_rows() {
        alone.push(evaluate(rows.slice(row, 1))?.map(|mut only| only.remove(0)));
    }
    match evaluate(rows.clone())? {
        Ok(together) => {
            let together: Vec<Result<Value, String>> = together.into_iter().map(Ok).collect();
            match together == alone {
                true => Ok(alone),
                false => Err(format!("together {together:?}, alone {alone:?}")),
            }
        }
        Err(error) if alone.iter().all(Result::is_ok) => {
            Err(format!("no row fails alone, together: {error}"))
        }
        Err(_) => Ok(alone),
    }
}

fn values(plan: &Plan, rows: RecordBatch) -> Result<Vec<Value>, String> {
    let result = run(&plan.graph, rows)?;
    Ok((0..result.num_rows()).map(|row| shown(result.column(0), row)).collect())
}
