//! Aggregates of a query as calls of the operator, and what is made of the results of these.

use arrow::datatypes::DataType;
use datafusion_common::{DFSchema, ScalarValue};
use datafusion_expr::Expr;
use datafusion_expr::expr::AggregateFunction as PlannedAggregate;

use super::super::bind::location_of;
use super::super::error::{Checked, Fault};
use super::super::eval::{Typed, sql_text};
use super::super::functions::{self, NamedAggregate, aggregate_of, aggregate_type, named_type};
use super::super::relation::{Origin, Relation, RelationColumn, TimeAttribute, WindowColumn};
use super::super::streaming::StreamBuilder;
use super::super::types::type_name;
use super::super::variance::{Variance, as_double};
use super::Prepared;
use super::percentile::Percentile;
use crate::operator::{AggregateCall, AggregateFunction, WindowKind};
use crate::record::KeyEncoder;

/// Calls of the operator, and what the query's aggregates make of their results.
#[derive(Default)]
pub(super) struct Calls {
    pub(super) calls: Vec<AggregateCall>,
    /// One per aggregate of the query.
    pub(super) results: Vec<AggregateResult>,
}

/// One aggregate of the query.
pub(super) enum AggregateResult {
    /// The result of a call.
    Call,
    /// The list a call gives, joined.
    Joined { separator: String, name: String },
    /// Percentiles of the list a call gives; which ones is a constant.
    Percentile { percentages: Typed, name: String },
    /// Of two calls: squared deviations, count.
    Variance { variance: Variance, name: String, result_type: DataType },
}

impl AggregateResult {
    /// How many calls it is made of.
    fn calls(&self) -> usize {
        match self {
            AggregateResult::Call
            | AggregateResult::Joined { .. }
            | AggregateResult::Percentile { .. } => 1,
            AggregateResult::Variance { .. } => 2,
        }
    }
}

impl Calls {
    pub(super) fn add(&mut self, (result, calls): (AggregateResult, Vec<AggregateCall>)) {
        assert_eq!(calls.len(), result.calls());
        self.results.push(result);
        self.calls.extend(calls);
    }
}

/// The calls that an aggregate of the query is made of.
pub(super) fn bind_call(
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
    let (argument, others) = arguments_of(name, named, &params.args).map_err(fault)?;
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
        Some(filter) => Some(filter_column(builder, input, names, prepared, filter)?),
    };
    let clauses = Clauses { distinct: params.distinct, filter };
    let variance = match named {
        NamedAggregate::Variance(variance) => variance,
        NamedAggregate::ListAgg => {
            let separator = match others.first() {
                None => ",".to_owned(),
                Some(separator) => separator_of(builder, input, names, separator)?,
            };
            let list = AggregateFunction::ListPresent;
            let list_type = aggregate_type(list, Some(&typed.data_type)).map_err(fault)?;
            let call = clauses.call(prepared, list, Some(typed), list_type);
            let shown = format!("{} joined by '{separator}'", call.name);
            return Ok((AggregateResult::Joined { separator, name: shown }, vec![call]));
        }
        NamedAggregate::Percentile => {
            let binder = Percentile { builder, input, names };
            let percentages = binder.percentages(&others[0])?;
            let value = binder.weighed(typed, others.get(1))?;
            let list = AggregateFunction::ListPresent;
            let list_type = aggregate_type(list, Some(&value.data_type)).map_err(fault)?;
            let call = clauses.call(prepared, list, Some(value), list_type);
            let shown = format!("PERCENTILE({}, {})", call.name, sql_text(&percentages.expr));
            return Ok((AggregateResult::Percentile { percentages, name: shown }, vec![call]));
        }
        NamedAggregate::Plain(function) => {
            refuse_unmerged(function, input).map_err(fault)?;
            let of = (!counts_rows).then_some(typed);
            let call = clauses.call(prepared, function, of, result_type);
            return Ok((AggregateResult::Call, vec![call]));
        }
    };
    let value = as_double(typed, &builder.options).map_err(fault)?;
    let deviations = AggregateFunction::SquaredDeviations;
    let calls = vec![
        clauses.call(prepared, deviations, Some(value.clone()), DataType::Float64),
        clauses.call(prepared, AggregateFunction::Count, Some(value), DataType::Int64),
    ];
    let name = name.to_uppercase();
    Ok((AggregateResult::Variance { variance, name, result_type }, calls))
}

/// The aggregated expression, and the arguments behind it.
fn arguments_of<'a>(
    name: &str,
    named: NamedAggregate,
    arguments: &'a [Expr],
) -> Result<(&'a Expr, &'a [Expr]), String> {
    let (allowed, words) = match named {
        NamedAggregate::Percentile => (2..=3, "two or three arguments"),
        NamedAggregate::ListAgg => (1..=2, "one or two arguments"),
        _ => (1..=1, "one argument"),
    };
    match arguments {
        [first, others @ ..] if allowed.contains(&arguments.len()) => Ok((first, others)),
        _ => Err(format!("{name} takes {words}, not {}", arguments.len())),
    }
}

/// The column of a FILTER's condition, and its text.
fn filter_column(
    builder: &StreamBuilder,
    input: &Relation,
    names: &DFSchema,
    prepared: &mut Prepared,
    filter: &Expr,
) -> Checked<(usize, String)> {
    let condition =
        builder.with_binder(input, names, |binder| binder.bind_condition(filter, "FILTER"))?;
    let text = sql_text(&condition);
    let column = prepared.column(&text, Typed::new(condition, DataType::Boolean));
    Ok((column, text))
}

fn separator_of(
    builder: &StreamBuilder,
    input: &Relation,
    names: &DFSchema,
    separator: &Expr,
) -> Checked<String> {
    let typed = builder.with_binder(input, names, |binder| binder.bind(separator))?;
    typed.literal_text().map(str::to_owned).ok_or_else(|| Fault {
        location: location_of(separator),
        message: "the separator of LISTAGG must be a literal".into(),
    })
}

/// FIRST_VALUE and LAST_VALUE over HOP are refused, as Flink refuses them: it adds a window up from its
/// slides, and these two it cannot add up.
fn refuse_unmerged(function: AggregateFunction, input: &Relation) -> Result<(), String> {
    let is_end = matches!(function, AggregateFunction::FirstValue | AggregateFunction::LastValue);
    let hops = input
        .window
        .as_ref()
        .is_some_and(|window| matches!(window.spec.kind, WindowKind::Hop { .. }));
    match is_end && hops {
        false => Ok(()),
        true => Err(format!(
            "{} over a HOP window is not supported, as in Flink; MIN and MAX are, and TUMBLE is",
            word(function)
        )),
    }
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
        let word = word(function);
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

/// The function's name in SQL.
fn word(function: AggregateFunction) -> &'static str {
    match function {
        AggregateFunction::Count => "COUNT",
        AggregateFunction::Sum => "SUM",
        AggregateFunction::Min => "MIN",
        AggregateFunction::Max => "MAX",
        AggregateFunction::Avg => "AVG",
        AggregateFunction::FirstValue => "FIRST_VALUE",
        AggregateFunction::LastValue => "LAST_VALUE",
        AggregateFunction::Collect => "COLLECT",
        AggregateFunction::ArrayAgg => "ARRAY_AGG",
        AggregateFunction::ListPresent => "LISTAGG",
        AggregateFunction::SquaredDeviations => "DEVIATIONS",
    }
}

fn strip_alias(expr: &Expr) -> &Expr {
    match expr {
        Expr::Alias(alias) => strip_alias(&alias.expr),
        other => other,
    }
}

/// The relation with one column per aggregate of the query, in the place of the calls it is made of.
pub(super) fn with_results(
    builder: &mut StreamBuilder,
    path: &str,
    relation: Relation,
    results: &[AggregateResult],
) -> Result<Relation, String> {
    let calls: usize = results.iter().map(AggregateResult::calls).sum();
    if results.iter().all(|result| matches!(result, AggregateResult::Call)) {
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
            AggregateResult::Joined { separator, name } => {
                let separator = Typed::constant(ScalarValue::Utf8(Some(separator.clone())));
                let arguments = vec![column(&own[0]).1, separator];
                (name.clone(), functions::bind("ARRAY_JOIN", arguments, &builder.options)?)
            }
            AggregateResult::Percentile { percentages, name } => {
                let arguments = vec![column(&own[0]).1, percentages.clone()];
                let function = functions::PERCENTILE_FUNCTION;
                (name.clone(), functions::bind(function, arguments, &builder.options)?)
            }
            AggregateResult::Variance { variance, name, result_type } => {
                let [deviations, count] = [0, 1].map(|index| column(&own[index]).1);
                let options = &builder.options;
                (name.clone(), variance.of(deviations, count, result_type, options)?)
            }
        });
    }
    let columns =
        outputs.iter().zip(times).enumerate().map(|(index, ((_, typed), (time, window)))| {
            let (data_type, origin) = (typed.data_type.clone(), Origin::Field(index));
            RelationColumn { data_type, origin, time, window }
        });
    let columns = columns.collect();
    let node = builder.project(&format!("{path}/results"), relation.node, outputs);
    Ok(Relation { node, columns, window: None })
}
