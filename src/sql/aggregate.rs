//! GROUP BY over a window function: keys, arguments and filters computed before, aggregates behind, and
//! what is computed from several of them behind those.

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::Expr;
use datafusion_expr::expr::AggregateFunction as PlannedAggregate;
use datafusion_expr::logical_plan::Aggregate;

use super::bind::location_of;
use super::cast::cast;
use super::error::{Checked, Fault};
use super::eval::{Typed, sql_text};
use super::functions::{NamedAggregate, aggregate_of, aggregate_type, named_type};
use super::relation::{
    Origin, PendingWindow, Relation, RelationColumn, TimeAttribute, WindowColumn,
};
use super::relations::WINDOW_COLUMNS;
use super::streaming::{StreamBuilder, StreamKind, fields_of, plain_column};
use super::types::{SqlType, type_name};
use super::variance::{Sums, Variance, summed};
use super::windows::later;
use crate::operator::{
    AggregateCall, AggregateFunction, TimeDomain, WindowAggregateSpec, WindowSpec,
};
use crate::record::KeyEncoder;

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
    with_variances(builder, path, relation, &calls.results).map_err(fault)
}

/// Calls of the operator, and what the query's aggregates make of their results.
#[derive(Default)]
struct Calls {
    calls: Vec<AggregateCall>,
    /// One per aggregate of the query.
    results: Vec<AggregateResult>,
}

/// One aggregate of the query.
enum AggregateResult {
    /// The result of a call.
    Call,
    /// Of three calls: sum of squares, sum, count.
    Variance { variance: Variance, name: String, result_type: DataType },
}

impl AggregateResult {
    /// How many calls it is made of.
    fn calls(&self) -> usize {
        match self {
            AggregateResult::Call => 1,
            AggregateResult::Variance { .. } => 3,
        }
    }
}

impl Calls {
    fn add(&mut self, (result, calls): (AggregateResult, Vec<AggregateCall>)) {
        assert_eq!(calls.len(), result.calls());
        self.results.push(result);
        self.calls.extend(calls);
    }
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

/// The calls that an aggregate of the query is made of.
fn bind_call(
    builder: &StreamBuilder,
    input: &Relation,
    names: &DFSchema,
    prepared: &mut Prepared,
    expr: &Expr,
) -> Checked<(AggregateResult, Vec<AggregateCall>)> {
    let fault = |message: String| Fault { location: location_of(expr), message };
    let Expr::AggregateFunction(PlannedAggregate { func, params }) = strip_alias(expr) else {
        return Err(fault(format!("{expr} is not an aggregate")));
    };
    let name = func.name();
    let named = aggregate_of(name).ok_or_else(|| fault(format!("{name} is not supported")))?;
    let [argument] = &params.args[..] else {
        return Err(fault(format!("{name} takes one argument, not {}", params.args.len())));
    };
    let typed = builder.with_binder(input, names, |binder| binder.bind(argument))?;
    let counts_rows = named == NamedAggregate::Plain(AggregateFunction::Count)
        && !params.distinct
        && typed.literal().is_some_and(|value| *value != ScalarValue::Null && !value.is_null());
    let result_type =
        named_type(named, (!counts_rows).then_some(&typed.data_type)).map_err(fault)?;
    if params.distinct && KeyEncoder::new(std::slice::from_ref(&typed.data_type)).is_err() {
        return Err(fault(format!("DISTINCT does not take {}", type_name(&typed.data_type))));
    }
    let filter = match &params.filter {
        None => None,
        Some(filter) => {
            let condition = builder
                .with_binder(input, names, |binder| binder.bind_condition(filter, "FILTER"))?;
            let text = sql_text(&condition);
            let column = prepared.column(&text, Typed::new(condition, DataType::Boolean));
            Some((column, text))
        }
    };
    let clauses = Clauses { distinct: params.distinct, filter };
    let variance = match named {
        NamedAggregate::Variance(variance) => variance,
        NamedAggregate::Plain(function) => {
            let of = (!counts_rows).then_some(typed);
            let call = clauses.call(prepared, function, of, result_type);
            return Ok((AggregateResult::Call, vec![call]));
        }
    };
    let (value, square) = summed(typed, &result_type, &builder.options).map_err(fault)?;
    let mut sum = |of: &Typed| {
        let sum_type = aggregate_type(AggregateFunction::Sum, Some(&of.data_type))?;
        Ok(clauses.call(prepared, AggregateFunction::Sum, Some(of.clone()), sum_type))
    };
    let sums = [sum(&square).map_err(fault)?, sum(&value).map_err(fault)?];
    let mut calls = Vec::from(sums);
    calls.push(clauses.call(prepared, AggregateFunction::Count, Some(value), DataType::Int64));
    let name = name.to_uppercase();
    Ok((AggregateResult::Variance { variance, name, result_type }, calls))
}

/// What stands around an aggregate's argument.
struct Clauses {
    distinct: bool,
    /// Column of the condition, and its text.
    filter: Option<(usize, String)>,
}

impl Clauses {
    /// A call over the rows these clauses leave; `None`: of all of them.
    fn call(
        &self,
        prepared: &mut Prepared,
        function: AggregateFunction,
        argument: Option<Typed>,
        result_type: DataType,
    ) -> AggregateCall {
        let written = argument.as_ref().map_or("*".to_owned(), |typed| sql_text(&typed.expr));
        let distinct = if self.distinct { "DISTINCT " } else { "" };
        let word = format!("{function:?}").to_uppercase();
        let name = match &self.filter {
            None => format!("{word}({distinct}{written})"),
            Some((_, text)) => format!("{word}({distinct}{written}) FILTER (WHERE {text})"),
        };
        AggregateCall {
            function,
            argument: argument.map(|typed| prepared.column(&written, typed)),
            distinct: self.distinct,
            filter: self.filter.as_ref().map(|(column, _)| *column),
            name,
            result_type,
        }
    }
}

fn strip_alias(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => strip_alias(&alias.expr),
        other => other,
    }
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

/// The relation with one column per aggregate of the query, in the place of the calls it is made of.
fn with_variances(
    builder: &mut StreamBuilder,
    path: &str,
    relation: Relation,
    results: &[AggregateResult],
) -> Result<Relation, String> {
    let calls: usize = results.iter().map(AggregateResult::calls).sum();
    if calls == results.len() {
        return Ok(relation);
    }
    let rows = &builder.nodes[relation.node].schema;
    let column = |of: &RelationColumn| {
        let Origin::Field(index) = of.origin else { unreachable!("an aggregate has rows") };
        (rows.field(index).name().clone(), Typed::column("", index, of.data_type.clone()))
    };
    let groups = relation.columns.len() - calls;
    let mut outputs: Vec<(String, Typed)> = relation.columns[..groups].iter().map(column).collect();
    let mut times: Vec<(TimeAttribute, Option<WindowColumn>)> =
        relation.columns[..groups].iter().map(|group| (group.time, group.window)).collect();
    let mut next = groups;
    for result in results {
        let own = &relation.columns[next..next + result.calls()];
        next += own.len();
        times.push((TimeAttribute::Plain, None));
        outputs.push(match result {
            AggregateResult::Call => column(&own[0]),
            AggregateResult::Variance { variance, name, result_type } => {
                let [squares, values, count] = [0, 1, 2].map(|index| column(&own[index]).1);
                let sums = Sums { squares, values, count };
                (name.clone(), variance.of(sums, result_type, &builder.options)?)
            }
        });
    }
    let columns =
        outputs.iter().zip(times).enumerate().map(|(index, ((_, typed), (time, window)))| {
            let (data_type, origin) = (typed.data_type.clone(), Origin::Field(index));
            RelationColumn { data_type, origin, time, window }
        });
    let columns = columns.collect();
    let node = builder.project(&format!("{path}/variances"), relation.node, outputs);
    Ok(Relation { node, columns, window: None })
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
