//! GROUP BY over a window function: keys, arguments and filters computed before, aggregates behind, and
//! what is computed from several of them behind those.
//!
//! Read: here · `calls` (aggregates as calls of the operator) · `percentile`.

mod calls;
mod percentile;

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion_common::DFSchema;
use datafusion_expr::Expr;
use datafusion_expr::logical_plan::Aggregate;

use super::bind::location_of;
use super::cast::cast;
use super::error::{Checked, Fault};
use super::eval::{Typed, sql_text};
use super::relation::{
    Origin, PendingWindow, Relation, RelationColumn, TimeAttribute, WindowColumn,
};
use super::relations::WINDOW_COLUMNS;
use super::streaming::{StreamBuilder, StreamKind, fields_of, plain_column};
use super::types::{SqlType, type_name};
use super::windows::later;
use crate::operator::{TimeDomain, WindowAggregateSpec, WindowSpec};
use crate::record::KeyEncoder;

use calls::{Calls, bind_call, with_results};

/// Why something is refused until results may be updated.
pub(super) const UPDATED: &str = "is not supported: its result would have to be updated";

/// Columns computed before the aggregate, each once.
struct Prepared {
    outputs: Vec<(String, Typed)>,
}

impl Prepared {
    /// Index of the column that holds `typed`.
    fn column(&mut self, name: &str, typed: Typed) -> usize {
        let same = self.outputs.iter().position(|(_, other)| *other.expr == *typed.expr);
        same.unwrap_or_else(|| {
            self.outputs.push((name.to_string(), typed));
            self.outputs.len() - 1
        })
    }
}

/// The relation an aggregate gives: its group expressions, then its aggregates.
pub(super) fn convert_aggregate(
    builder: &mut StreamBuilder,
    aggregate: &Aggregate,
    path: &str,
) -> Checked<Relation> {
    let before = format!("{path}/aggregate");
    let input = builder.convert(&aggregate.input, &before)?;
    let names = aggregate.input.schema();
    let read = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
    let input = builder.assigned_for(input, names, read, &before)?;
    let input = builder.attached(input, &aggregate.group_expr, names, &before);
    let location = aggregate.group_expr.iter().chain(&aggregate.aggr_expr).find_map(location_of);
    let window = input
        .window
        .clone()
        .ok_or_else(|| Fault { location, message: format!("an aggregate without a window {UPDATED}; group by a window of FROM TABLE(TUMBLE(TABLE t, DESCRIPTOR(ts), …))") })?;
    let grouping = Grouping::of(aggregate, &input, names, &window)?;
    let mut prepared = Prepared { outputs: Vec::new() };
    let time = match window.spec.time {
        TimeDomain::Processing => TimeDomain::Processing,
        TimeDomain::Event { column } => {
            let field = builder.nodes[input.node].schema.field(column);
            let typed = Typed::column(field.name(), column, field.data_type().clone());
            TimeDomain::Event { column: prepared.column(&field.name().clone(), typed) }
        }
    };
    let mut keys = Vec::new();
    for expr in &grouping.keys {
        let typed = builder.with_binder(&input, names, |binder| binder.bind(expr))?;
        check_key(&typed, expr)?;
        keys.push(prepared.column(&sql_text(&typed.expr), typed));
    }
    let mut calls = Calls::default();
    for expr in &aggregate.aggr_expr {
        let results = bind_call(builder, &input, names, &mut prepared, expr)?;
        calls.add(results);
    }
    if prepared.outputs.is_empty() {
        // Batches without a column would lose their rows.
        let field = builder.nodes[input.node].schema.field(0);
        let typed = Typed::column(field.name(), 0, field.data_type().clone());
        prepared.outputs.push((field.name().clone(), typed));
    }
    let spec = WindowAggregateSpec {
        window: WindowSpec { time, ..window.spec.clone() },
        keys,
        aggregates: calls.calls,
    };
    let node = builder.project(&format!("{path}/arguments"), input.node, prepared.outputs);
    let relation = finish(builder, path, node, spec, &grouping, &window);
    let fault = |message: String| Fault { location, message };
    with_results(builder, path, relation, &calls.results).map_err(fault)
}

/// What each group expression is.
struct Grouping<'a> {
    /// Group expressions that are keys.
    keys: Vec<&'a Expr>,
    /// Per group expression: a key, or a column of the window.
    parts: Vec<Part>,
}

#[derive(Clone, Copy)]
enum Part {
    Key(usize),
    Window(usize),
}

impl<'a> Grouping<'a> {
    fn of(
        aggregate: &'a Aggregate,
        input: &Relation,
        names: &DFSchema,
        window: &PendingWindow,
    ) -> Checked<Grouping<'a>> {
        let mut keys = Vec::new();
        let mut parts = Vec::new();
        let mut present = [false; 3];
        for expr in &aggregate.group_expr {
            let column = plain_column(expr, names).map(|index| &input.columns[index]);
            let part = column.and_then(|column| match (&column.origin, column.window) {
                (Origin::Window(part), _) => Some(*part),
                (_, Some(own)) if own.shape == window.shape => Some(own.part),
                _ => None,
            });
            if let Some(part) = part {
                present[part] = true;
                parts.push(Part::Window(part));
            } else {
                parts.push(Part::Key(keys.len()));
                keys.push(expr);
            }
        }
        let missing = match present {
            [true, true, _] => return Ok(Grouping { keys, parts }),
            [true, false, _] => "GROUP BY window_start without window_end",
            [false, true, _] => "GROUP BY window_end without window_start",
            [false, false, _] => {
                "GROUP BY without window_start and window_end over a window function"
            }
        };
        let location = aggregate.group_expr.iter().find_map(location_of);
        let message = format!(
            "{missing} is not a window aggregate but one that would have to be updated; group by both"
        );
        Err(Fault { location: location.or(Some(window.location)), message })
    }
}

fn check_key(typed: &Typed, expr: &Expr) -> Checked<()> {
    if KeyEncoder::new(std::slice::from_ref(&typed.data_type)).is_err() {
        let message = format!("GROUP BY does not take {}", type_name(&typed.data_type));
        return Err(Fault { location: location_of(expr), message });
    }
    Ok(())
}

/// The aggregate's node, and its columns in the order the plan has them.
fn finish(
    builder: &mut StreamBuilder,
    path: &str,
    arguments: usize,
    spec: WindowAggregateSpec,
    grouping: &Grouping,
    window: &PendingWindow,
) -> Relation {
    let rows = &builder.nodes[arguments].schema;
    let plain = DataType::Timestamp(TimeUnit::Millisecond, None);
    let mut fields: Vec<Field> =
        spec.keys.iter().map(|&key| rows.field(key).as_ref().clone()).collect();
    fields.extend(
        spec.aggregates.iter().map(|call| Field::new(&call.name, call.result_type.clone(), true)),
    );
    let aggregates = spec.aggregates.len();
    let first_window = fields.len();
    fields.extend(WINDOW_COLUMNS.map(|name| Field::new(name, plain.clone(), true)));
    let rowtime = match spec.window.time {
        TimeDomain::Event { .. } => TimeAttribute::Rowtime,
        TimeDomain::Processing => TimeAttribute::Proctime,
    };
    let schema = Schema::new(fields);
    let mut columns = Vec::new();
    for part in &grouping.parts {
        let (index, time, window) = match *part {
            Part::Key(key) => (key, TimeAttribute::Plain, None),
            Part::Window(part) => {
                let time = if part == 2 { rowtime } else { TimeAttribute::Plain };
                let column = WindowColumn { part, shape: window.shape };
                let is_event = rowtime == TimeAttribute::Rowtime;
                (first_window + part, time, is_event.then_some(column))
            }
        };
        let data_type = schema.field(index).data_type().clone();
        columns.push(RelationColumn { data_type, origin: Origin::Field(index), time, window });
    }
    for index in grouping.keys.len()..grouping.keys.len() + aggregates {
        let data_type = schema.field(index).data_type().clone();
        let time = TimeAttribute::Plain;
        columns.push(RelationColumn {
            data_type,
            origin: Origin::Field(index),
            time,
            window: None,
        });
    }
    let kind = StreamKind::Window(spec);
    let node = builder.push(path, kind, vec![arguments], schema);
    with_bounds(builder, path, Relation { node, columns, window: None }, window)
}

/// The relation with the bounds a query sees: `window_time` of a window over TIMESTAMP_LTZ is one, and
/// a HOP that came with its rows is as long as it was.
fn with_bounds(
    builder: &mut StreamBuilder,
    path: &str,
    relation: Relation,
    window: &PendingWindow,
) -> Relation {
    let is_shorter = window.spec.kind != window.shape.kind;
    if !window.shape.is_local && !is_shorter {
        return relation;
    }
    let mut outputs = fields_of(&builder.nodes[relation.node].schema);
    let first = outputs.len() - WINDOW_COLUMNS.len();
    let end = outputs[first + 1].1.clone();
    outputs[first].1 = later(end, -window.shape.size_ms());
    let [.., time_type] = window.shape.column_types();
    let last = outputs[first + 2].1.clone();
    outputs[first + 2].1 = cast(last, &SqlType::plain(time_type.clone()), false, &builder.options)
        .expect("times convert");
    let node = builder.project(&format!("{path}/bounds"), relation.node, outputs);
    let columns = relation.columns.into_iter().map(|column| match column.origin {
        Origin::Field(index) if index == first + 2 => {
            RelationColumn { data_type: time_type.clone(), ..column }
        }
        _ => column,
    });
    Relation { node, columns: columns.collect(), window: None }
}
