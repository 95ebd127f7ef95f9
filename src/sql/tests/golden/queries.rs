//! One query: planned, run in the simulator on one core over the tables' rows, and what came out
//! compared as a multiset.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use serde_json::Value;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use super::super::super::types::type_name;
use super::super::super::{Plan, PlanOptions, TableRole, plan};
use super::super::{table, text};
use super::value::{comparable_type, expected, shown};
use super::{Answered, Outcome, fixture, fixtures, of_refused};
use crate::metrics::SinkCounters;
use crate::reactor::Io;
use crate::record::Batch;
use crate::sim::{Shape, run_plan};
use crate::sink::Sink;
use crate::stdx::Failure;

pub(super) fn answers() -> Vec<Answered> {
    let topics = topics();
    let cases = fixture("queries.jsonl");
    let cases = cases.lines().map(|line| serde_json::from_str(line).unwrap());
    cases.map(|case: Value| answer(&case, &topics)).collect()
}

/// The files of queries, each with its text.
fn topics() -> Vec<(String, String)> {
    let files = std::fs::read_dir(fixtures().join("queries")).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let topic = |name: String| {
        let text = fixture(&format!("queries/{name}"));
        (name.trim_end_matches(".sql").to_owned(), text)
    };
    names.map(topic).collect()
}

fn answer(case: &Value, topics: &[(String, String)]) -> Answered {
    let (id, query) = (case["id"].as_str().unwrap(), case["query"].as_str().unwrap());
    let planned = planned(case, query);
    let outcome = match (planned, case.get("refused")) {
        (planned, Some(class)) => of_refused(class.as_str().unwrap(), planned.is_err()),
        (Err(why), None) => Outcome::Refused(why),
        (Ok(plan), None) => compared(case, plan),
    };
    let heading = |line: &str| {
        line.strip_prefix("-- ").and_then(|heading| heading.split(' ').next()) == Some(id)
    };
    let topic = topics.iter().find(|(_, queries)| queries.lines().any(heading));
    let (topic, _) = topic.expect("every answer has a query");
    Answered {
        id: format!("query/{id}"),
        sql: query.into(),
        group: format!("query/{topic}"),
        is_refused_by_flink: case.get("refused").is_some(),
        outcome,
    }
}

fn planned(case: &Value, query: &str) -> Result<Plan, String> {
    let mut tables = vec![table("out", TableRole::Sink, None)];
    for given in case["tables"].as_array().unwrap() {
        let schema = given["schema"].as_str().unwrap();
        tables.push(table(given["name"].as_str().unwrap(), TableRole::Source, Some(schema)));
    }
    let mut statements: Vec<_> =
        case["views"].as_array().unwrap().iter().map(|view| view.as_str().unwrap()).collect();
    let insert = format!("INSERT INTO out {query}");
    statements.push(&insert);
    let options = PlanOptions { time_zone: case["zone"].as_str().unwrap().into() };
    let job = text(&statements.join(";\n"));
    plan(&[job], &tables, &options).map_err(|errors| errors[0].message.clone())
}

fn compared(case: &Value, plan: Plan) -> Outcome {
    let schema = plan.sinks[0].schema.clone();
    if let Some(difference) = column_difference(case, &schema) {
        return Outcome::Differs(difference);
    }
    let Ok((rows, rejected)) = catch_unwind(AssertUnwindSafe(|| run(plan))) else {
        return Outcome::Differs("panics".into());
    };
    if let Some(class) = case.get("failed") {
        return match rejected > 0 {
            true => Outcome::Agrees,
            false => Outcome::Differs(format!("no row is rejected, Flink fails ({class})")),
        };
    }
    let types = schema.fields().iter().map(|field| field.data_type());
    let answer = |row: &Value| -> Value {
        row.as_array()
            .unwrap()
            .iter()
            .zip(types.clone())
            .map(|(value, kind)| expected(value, kind))
            .collect()
    };
    let mut expected: Vec<String> =
        case["rows"].as_array().unwrap().iter().map(|row| answer(row).to_string()).collect();
    expected.sort();
    let missing = without(&expected, &rows);
    let unexpected = without(&rows, &expected);
    match (missing.is_empty() && unexpected.is_empty(), rejected) {
        (true, 0) => Outcome::Agrees,
        _ => Outcome::Differs(format!(
            "rejected {rejected}, missing {missing:?}, unexpected {unexpected:?}"
        )),
    }
}

fn column_difference(case: &Value, schema: &Schema) -> Option<String> {
    let ours: Vec<String> = schema
        .fields()
        .iter()
        .map(|field| format!("{} {}", field.name(), type_name(field.data_type())))
        .collect();
    let flinks: Vec<String> = case["columns"]
        .as_array()
        .unwrap()
        .iter()
        .map(|column| {
            let part = |index: usize| column[index].as_str().unwrap();
            format!("{} {}", part(0), comparable_type(part(1)))
        })
        .collect();
    (ours != flinks).then(|| format!("columns: Flink {flinks:?}, ours {ours:?}"))
}

/// What the first has more often than the second.
fn without(first: &[String], second: &[String]) -> Vec<String> {
    let mut rest = second.to_vec();
    let mut left = Vec::new();
    for row in first {
        match rest.iter().position(|other| other == row) {
            Some(at) => drop(rest.swap_remove(at)),
            None => left.push(row.clone()),
        }
    }
    left
}

/// The rows of the sink, sorted, and the number of rejected ones.
fn run(plan: Plan) -> (Vec<String>, usize) {
    let written = |name: &str| {
        let path = format!("/{name}.json");
        (path, fixture(&format!("tables/{name}.jsonl")))
    };
    let files: Vec<(String, String)> =
        plan.sources.iter().map(|source| written(&source.name)).collect();
    let files: Vec<[(&str, String); 1]> =
        files.iter().map(|(path, text)| [(path.as_str(), text.clone())]).collect();
    let files: Vec<&[(&str, String)]> = files.iter().map(<[_; 1]>::as_slice).collect();
    let kept: [Kept; 3] = Default::default();
    let sinks = |_| {
        kept.iter().map(|kept| Box::new(Keeping::into(kept)) as Box<dyn Sink>).collect::<Vec<_>>()
    };
    let shape = Shape {
        seed: 1,
        core_count: 1,
        chunk_bytes: 1 << 20,
        edge_elements_max: 16,
        turn_rows_max: 8192,
    };
    run_plan(plan, &files, &sinks, shape);
    let mut rows: Vec<String> = kept[0].borrow().iter().flat_map(lines).collect();
    rows.sort();
    let rejected = kept[2].borrow().iter().map(RecordBatch::num_rows).sum();
    (rows, rejected)
}

fn lines(batch: &RecordBatch) -> Vec<String> {
    let line = |row| -> Value { batch.columns().iter().map(|column| shown(column, row)).collect() };
    (0..batch.num_rows()).map(|row| line(row).to_string()).collect()
}

type Kept = Rc<RefCell<Vec<RecordBatch>>>;

/// A sink that keeps what it is given.
struct Keeping {
    kept: Kept,
    counters: SinkCounters,
}

impl Keeping {
    fn into(kept: &Kept) -> Keeping {
        Keeping { kept: Rc::clone(kept), counters: SinkCounters::default() }
    }
}

impl Sink for Keeping {
    fn write(&mut self, batch: &Batch, _: &mut dyn Io) {
        self.counters.rows_in += batch.len() as u64;
        self.counters.rows_out += batch.len() as u64;
        self.kept.borrow_mut().push(batch.rows.clone());
    }

    fn is_full(&self) -> bool {
        false
    }

    fn poll(&mut self, _: &mut dyn Io) -> bool {
        false
    }

    fn finish(&mut self, _: &mut dyn Io) -> bool {
        true
    }

    fn take_failure(&mut self) -> Option<Failure> {
        None
    }

    fn counters(&self) -> &SinkCounters {
        &self.counters
    }
}
