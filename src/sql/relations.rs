//! Relations that are Flink's own: window table functions and UNNEST, as nodes of the logical plan.
//!
//! Read: here, window functions · `unnest`.

mod unnest;

use arrow::datatypes::{DataType, Field, TimeUnit};
use datafusion_common::{
    DFSchema, DFSchemaRef, DataFusionError, Diagnostic, Result as PlanResult, Span as PlanSpan,
    TableReference,
};
use datafusion_expr::logical_plan::{Extension, UserDefinedLogicalNodeCore};
use datafusion_expr::planner::{
    PlannedRelation, RelationPlanner, RelationPlannerContext, RelationPlanning,
};
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder};
use sqlparser::ast::{self, Spanned, TableAlias, TableFactor};
use sqlparser::tokenizer::{Location, Span};
use std::cmp::Ordering;
use std::collections::HashMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use super::interval::{IntervalLength, interval_length};
use super::refuse::window_arguments;
use super::types::type_name;
use unnest::unnest_table;

pub(super) use unnest::element_columns;

use crate::operator::WindowKind;

/// Names of the columns a window function appends.
pub(super) const WINDOW_COLUMNS: [&str; 3] = ["window_start", "window_end", "window_time"];

/// `TABLE(TUMBLE(…))`: its input's columns, then the window's.
#[derive(Clone, Debug)]
pub(super) struct WindowTable {
    /// The table argument.
    pub(super) input: Arc<LogicalPlan>,
    /// Index of the DESCRIPTOR column in the input.
    pub(super) time_column: usize,
    /// Shape of the windows: size, and slide for HOP, in ms.
    pub(super) slide_ms: Option<i64>,
    /// Length, ms.
    pub(super) size_ms: i64,
    /// Windows start this much later, ms.
    pub(super) offset_ms: i64,
    /// Line and column of the DESCRIPTOR's name.
    pub(super) place: (u64, u64),
    schema: DFSchemaRef,
    identity: Identity,
}

impl WindowTable {
    /// Shape for the operator.
    pub(super) fn kind(&self) -> WindowKind {
        match self.slide_ms {
            None => WindowKind::Tumble { size_ms: self.size_ms },
            Some(slide_ms) => WindowKind::Hop { slide_ms, size_ms: self.size_ms },
        }
    }

    /// Place of the DESCRIPTOR's name.
    pub(super) fn location(&self) -> Location {
        Location { line: self.place.0, column: self.place.1 }
    }
}

/// `UNNEST(array)`, whose array or map may come from the relation it is joined with.
#[derive(Clone, Debug)]
pub(super) struct UnnestTable {
    /// The array or map, over columns of the other side of the join.
    pub(super) array: Expr,
    /// The place of the element is the last column.
    pub(super) ordinality: bool,
    schema: DFSchemaRef,
    identity: Identity,
}

/// Two nodes are equal when one is a copy of the other: comparing and hashing the plans below them
/// would compile both for everything a plan may contain.
#[derive(Clone, Debug, Default)]
struct Identity(Arc<u8>);

impl PartialEq for Identity {
    fn eq(&self, other: &Identity) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Identity {}

impl Hash for Identity {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.0).hash(state);
    }
}

impl PartialEq for WindowTable {
    fn eq(&self, other: &WindowTable) -> bool {
        self.identity == other.identity
    }
}

impl Eq for WindowTable {}

impl Hash for WindowTable {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity.hash(state);
    }
}

impl PartialEq for UnnestTable {
    fn eq(&self, other: &UnnestTable) -> bool {
        self.identity == other.identity
    }
}

impl Eq for UnnestTable {}

impl Hash for UnnestTable {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity.hash(state);
    }
}

impl PartialOrd for WindowTable {
    fn partial_cmp(&self, _: &WindowTable) -> Option<Ordering> {
        None
    }
}

impl PartialOrd for UnnestTable {
    fn partial_cmp(&self, _: &UnnestTable) -> Option<Ordering> {
        None
    }
}

impl UserDefinedLogicalNodeCore for WindowTable {
    fn name(&self) -> &'static str {
        "WindowTable"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![self.input.as_ref()]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "WindowTable: {:?}", self.kind())
    }

    fn with_exprs_and_inputs(
        &self,
        _: Vec<Expr>,
        mut inputs: Vec<LogicalPlan>,
    ) -> PlanResult<Self> {
        let input = Arc::new(inputs.pop().expect("a window table has one input"));
        Ok(WindowTable { input, ..self.clone() })
    }
}

impl UserDefinedLogicalNodeCore for UnnestTable {
    fn name(&self) -> &'static str {
        "UnnestTable"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        vec![self.array.clone()]
    }

    fn fmt_for_explain(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "UnnestTable: {}", self.array)
    }

    fn with_exprs_and_inputs(&self, mut exprs: Vec<Expr>, _: Vec<LogicalPlan>) -> PlanResult<Self> {
        let array = exprs.pop().expect("an unnest has one expression");
        Ok(UnnestTable { array, ..self.clone() })
    }
}

/// Plans the relations DataFusion does not know.
#[derive(Debug)]
pub(super) struct FlinkRelations;

impl RelationPlanner for FlinkRelations {
    fn plan_relation(
        &self,
        relation: TableFactor,
        context: &mut dyn RelationPlannerContext,
    ) -> PlanResult<RelationPlanning> {
        let plan = match &relation {
            TableFactor::TableFunction { expr: ast::Expr::Function(function), alias } => {
                aliased(window_table(function, context)?, alias.as_ref())?
            }
            TableFactor::UNNEST { array_exprs, alias, with_ordinality, .. } => {
                unnest_table(&array_exprs[0], alias.as_ref(), *with_ordinality, context)?
            }
            _ => return Ok(RelationPlanning::Original(Box::new(relation))),
        };
        Ok(RelationPlanning::Planned(Box::new(PlannedRelation::new(plan, None))))
    }
}

/// An error at a place.
fn error(span: Span, message: impl Into<String>) -> DataFusionError {
    DataFusionError::Plan(message.into())
        .with_diagnostic(Diagnostic::new_error("", PlanSpan::try_from_sqlparser_span(span)))
}

fn aliased(plan: LogicalPlan, alias: Option<&TableAlias>) -> PlanResult<LogicalPlan> {
    match alias {
        None => Ok(plan),
        Some(alias) if alias.columns.is_empty() => {
            LogicalPlanBuilder::from(plan).alias(alias.name.value.clone())?.build()
        }
        Some(alias) => Err(error(
            alias.name.span,
            "column names behind a window function's alias are not supported",
        )),
    }
}

fn window_table(
    function: &ast::Function,
    context: &mut dyn RelationPlannerContext,
) -> PlanResult<LogicalPlan> {
    let name = function.name.to_string().to_uppercase();
    let span = function.name.span();
    let arguments = named_arguments(function, &name)?;
    let take = |key: &str| {
        arguments
            .get(key)
            .copied()
            .ok_or_else(|| error(span, format!("{name} needs {key}; write {}", usage(&name))))
    };
    let input = table_argument(take("DATA")?, &name, context)?;
    let (time_column, place) = descriptor(take("TIMECOL")?, &input)?;
    let size_ms = positive_interval(take("SIZE")?, "SIZE")?;
    let slide_ms = match name.as_str() {
        "HOP" => Some(positive_interval(take("SLIDE")?, "SLIDE")?),
        _ => None,
    };
    if let Some(slide_ms) = slide_ms
        && size_ms % slide_ms != 0
    {
        let message = format!(
            "HOP: the size ({size_ms} ms) must be a multiple of the slide ({slide_ms} ms); the slide \
             comes first"
        );
        return Err(error(span, message));
    }
    let offset_ms = match arguments.get("OFFSET") {
        None => 0,
        Some(offset) => interval_millis(offset, "OFFSET")?,
    };
    // HOP takes any offset, TUMBLE none as long as its windows: so does Flink.
    if slide_ms.is_none() && offset_ms.abs() >= size_ms {
        let message = format!(
            "TUMBLE: the offset ({offset_ms} ms) must be shorter than the size ({size_ms} ms)"
        );
        return Err(error(span, message));
    }
    let schema = window_schema(&input, &name, time_column, span)?;
    let (input, identity) = (Arc::new(input), Identity::default());
    let node =
        WindowTable { input, time_column, slide_ms, size_ms, offset_ms, place, schema, identity };
    Ok(LogicalPlan::Extension(Extension { node: Arc::new(node) }))
}

fn usage(name: &str) -> &'static str {
    match name {
        "HOP" => "HOP(TABLE t, DESCRIPTOR(ts), INTERVAL '5' SECOND, INTERVAL '10' SECOND)",
        _ => "TUMBLE(TABLE t, DESCRIPTOR(ts), INTERVAL '10' SECOND)",
    }
}

/// Arguments by parameter name, whether they were given by position or by name.
fn named_arguments<'a>(
    function: &'a ast::Function,
    name: &str,
) -> PlanResult<HashMap<&'static str, &'a ast::Expr>> {
    let parameters: &[&str] = match name {
        "HOP" => &["DATA", "TIMECOL", "SLIDE", "SIZE", "OFFSET"],
        _ => &["DATA", "TIMECOL", "SIZE", "OFFSET"],
    };
    let mut found = HashMap::new();
    for (index, (given, argument)) in window_arguments(function).into_iter().enumerate() {
        let parameter = match given {
            None => parameters.get(index),
            Some(given) => parameters.iter().find(|known| known.eq_ignore_ascii_case(given)),
        };
        let parameter = parameter.copied().ok_or_else(|| {
            error(argument.span(), format!("{name} has no such argument; write {}", usage(name)))
        })?;
        if found.insert(parameter, argument).is_some() {
            return Err(error(argument.span(), format!("{parameter} is given twice")));
        }
    }
    Ok(found)
}

fn table_argument(
    argument: &ast::Expr,
    name: &str,
    context: &mut dyn RelationPlannerContext,
) -> PlanResult<LogicalPlan> {
    let ast::Expr::Subquery(subquery) = argument else {
        let message = format!("the first argument is TABLE t; write {}", usage(name));
        return Err(error(argument.span(), message));
    };
    context.plan(TableFactor::Derived {
        lateral: false,
        subquery: subquery.clone(),
        alias: None,
        sample: None,
    })
}

/// Index and place of `DESCRIPTOR(column)`.
fn descriptor(argument: &ast::Expr, input: &LogicalPlan) -> PlanResult<(usize, (u64, u64))> {
    let wrong = || error(argument.span(), "the time column is written DESCRIPTOR(ts)");
    let ast::Expr::Function(function) = argument else { return Err(wrong()) };
    let is_descriptor = function.name.to_string().eq_ignore_ascii_case("DESCRIPTOR");
    let arguments = window_arguments(function);
    let [(None, ast::Expr::Identifier(column))] = arguments[..] else { return Err(wrong()) };
    if !is_descriptor {
        return Err(wrong());
    }
    let fields = input.schema().fields();
    let index = fields.iter().position(|field| *field.name() == column.value);
    let index = index.ok_or_else(|| {
        let names = fields.iter().map(|field| field.name().as_str());
        let hint = super::error::did_you_mean(&column.value, names);
        error(column.span, format!("there is no column `{}`{hint}", column.value))
    })?;
    Ok((index, (column.span.start.line, column.span.start.column)))
}

fn interval_millis(argument: &ast::Expr, name: &str) -> PlanResult<i64> {
    let ast::Expr::Interval(interval) = argument else {
        let message = format!("{name} is {argument}, not an INTERVAL such as INTERVAL '10' SECOND");
        return Err(error(argument.span(), message));
    };
    match interval_length(interval) {
        Ok(IntervalLength::Millis(millis)) => Ok(millis),
        Ok(IntervalLength::Months(_)) => {
            let message = format!("{name} in months or years has no fixed length; use days");
            Err(error(argument.span(), message))
        }
        Err(message) => Err(error(argument.span(), message)),
    }
}

fn positive_interval(argument: &ast::Expr, name: &str) -> PlanResult<i64> {
    match interval_millis(argument, name)? {
        millis if millis > 0 => Ok(millis),
        millis => {
            Err(error(argument.span(), format!("{name} is {millis} ms; it must be positive")))
        }
    }
}

/// The columns are qualified by the function's name: DataFusion loses the places of columns without
/// a qualifier.
fn window_schema(
    input: &LogicalPlan,
    name: &str,
    time: usize,
    span: Span,
) -> PlanResult<DFSchemaRef> {
    let qualifier = Some(TableReference::bare(name));
    let plain = DataType::Timestamp(TimeUnit::Millisecond, None);
    let fields = input.schema().fields();
    let zone = match fields[time].data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        other => {
            let column = fields[time].name();
            let message = format!(
                "`{column}` is {}, not a time attribute; windows need WATERMARK FOR or PROCTIME()",
                type_name(other)
            );
            return Err(error(span, message));
        }
    };
    let window_time = DataType::Timestamp(TimeUnit::Millisecond, zone);
    let mut all: Vec<_> =
        fields.iter().map(|field| (qualifier.clone(), Arc::clone(field))).collect();
    for (column, data_type) in WINDOW_COLUMNS.into_iter().zip([plain.clone(), plain, window_time]) {
        if fields.iter().any(|field| field.name() == column) {
            let message = format!("the table already has a column `{column}`; rename it with AS");
            return Err(error(span, message));
        }
        all.push((qualifier.clone(), Arc::new(Field::new(column, data_type, false))));
    }
    Ok(Arc::new(DFSchema::new_with_metadata(all, HashMap::new())?))
}
