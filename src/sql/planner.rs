//! DataFusion's SQL planner, set up as Flink's: names as written, our functions, our types.
//!
//! Out: a `LogicalPlan` whose structure and name resolution are used, and whose types are not.

use arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::{DFSchema, DataFusionError, Result as PlanResult, TableReference};
use datafusion_expr::planner::{ContextProvider, ExprPlanner, RelationPlanner, TypePlanner};
use datafusion_expr::{
    AggregateUDF, Expr, HigherOrderUDF, LogicalPlan, ScalarUDF, TableSource, WindowUDF,
};
use datafusion_sql::planner::{NullOrdering, ParserOptions, PlannerContext, SqlToRel};
use sqlparser::ast;
use std::borrow::Cow;
use std::sync::Arc;

use super::TableRole;
use super::aliases::check_aliases;
use super::catalog::Catalog;
use super::error::Checked;
use super::fields::{FieldPlaces, places_of_expression, places_of_query};
use super::functions;
use super::refuse::{check_expression, check_query};
use super::relations::FlinkRelations;
use super::rewrite::{expand_stars, recognise_unnest, rewrite_expression, rewrite_query};
use super::types::SqlType;
use super::words::planner_fault;

/// Plans queries over one catalog.
pub(super) struct Planner<'a> {
    catalog: &'a Catalog,
    config: ConfigOptions,
    relations: Vec<Arc<dyn RelationPlanner>>,
    expressions: Vec<Arc<dyn ExprPlanner>>,
    types: Arc<dyn TypePlanner>,
}

impl<'a> Planner<'a> {
    /// A planner over `catalog`.
    pub(super) fn new(catalog: &'a Catalog) -> Planner<'a> {
        Planner {
            catalog,
            config: ConfigOptions::default(),
            relations: vec![Arc::new(FlinkRelations)],
            expressions: Vec::new(),
            types: Arc::new(FlinkTypes),
        }
    }

    /// The planner of one query, whose fields of ROWs stand at `places`.
    fn with_places(&self, places: FieldPlaces) -> Planner<'a> {
        Planner { expressions: vec![Arc::new(places)], ..Planner::new(self.catalog) }
    }

    /// The plan of a query, after what is not supported has been refused.
    pub(super) fn plan_query(&self, mut query: Box<ast::Query>) -> Checked<LogicalPlan> {
        recognise_unnest(&mut query)?;
        check_query(&mut query)?;
        check_aliases(&mut query, &|part| {
            let plan = self.plan_checked(part)?;
            Ok(plan.schema().fields().iter().map(|field| field.name().clone()).collect())
        })?;
        expand_stars(&mut query, &|part| {
            let plan = self.plan_checked(part)?;
            Ok(plan.schema().field(0).data_type().clone())
        })?;
        self.plan_checked(query)
    }

    fn plan_checked(&self, mut query: Box<ast::Query>) -> Checked<LogicalPlan> {
        let places = places_of_query(&mut query)?;
        rewrite_query(&mut query)?;
        // As an expression, because planning a statement would compile DataFusion's planner of
        // every statement there is into this crate: a tenth of it.
        let whole = ast::Expr::Exists { subquery: query, negated: false };
        let planner = self.with_places(places);
        let planned = SqlToRel::new_with_options(&planner, parser_options())
            .sql_to_expr(whole, &DFSchema::empty(), &mut PlannerContext::new())
            .map_err(planner_fault)?;
        match planned {
            Expr::Exists(exists) => Ok(Arc::unwrap_or_clone(exists.subquery.subquery)),
            other => unreachable!("EXISTS is planned as {other}"),
        }
    }

    /// An expression over `schema`.
    pub(super) fn plan_expression(
        &self,
        mut expression: ast::Expr,
        schema: &DFSchema,
    ) -> Checked<Expr> {
        check_expression(&mut expression)?;
        let places = places_of_expression(&mut expression)?;
        rewrite_expression(&mut expression)?;
        let planner = self.with_places(places);
        SqlToRel::new_with_options(&planner, parser_options())
            .sql_to_expr(expression, schema, &mut PlannerContext::new())
            .map_err(planner_fault)
    }
}

fn parser_options() -> ParserOptions {
    ParserOptions::new()
        .with_parse_float_as_decimal(true)
        .with_enable_ident_normalization(false)
        .with_map_string_types_to_utf8view(false)
        .with_collect_spans(true)
        .with_default_null_ordering(NullOrdering::NullsMin)
}

/// A table as DataFusion sees it.
#[derive(Debug)]
pub(super) struct TableHandle {
    schema: SchemaRef,
}

impl TableSource for TableHandle {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

/// A view as DataFusion sees it: a plan to put in its place.
#[derive(Debug)]
struct ViewHandle {
    plan: Arc<LogicalPlan>,
}

impl TableSource for ViewHandle {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.plan.schema().inner())
    }

    fn get_logical_plan(&'_ self) -> Option<Cow<'_, LogicalPlan>> {
        Some(Cow::Borrowed(&self.plan))
    }
}

impl ContextProvider for Planner<'_> {
    fn get_table_source(&self, reference: TableReference) -> PlanResult<Arc<dyn TableSource>> {
        let name = reference.table();
        let home = matches!(reference.schema(), None | Some("default_database"));
        if let Some(view) = self.catalog.views.get(name)
            && home
        {
            return Ok(Arc::new(ViewHandle { plan: Arc::clone(view) }));
        }
        let table = self.catalog.tables.get(name).filter(|_| home);
        let table = table
            .ok_or_else(|| DataFusionError::Plan(self.catalog.unknown(&reference.to_string())))?;
        if table.role == Some(TableRole::Sink) {
            let message = format!("`{name}` is a sink and cannot be read; declare a source");
            return Err(DataFusionError::Plan(message));
        }
        Ok(Arc::new(TableHandle { schema: table.full_schema() }))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        &self.expressions
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &self.relations
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        Some(Arc::clone(&self.types))
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        functions::scalar_udf(name)
    }

    fn get_higher_order_meta(&self, _: &str) -> Option<Arc<HigherOrderUDF>> {
        None
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        functions::aggregate_udf(name)
    }

    fn get_window_meta(&self, _: &str) -> Option<Arc<WindowUDF>> {
        None
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        &self.config
    }

    fn udf_names(&self) -> Vec<String> {
        functions::names().map(ToString::to_string).collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udaf_names(&self) -> Vec<String> {
        Vec::new()
    }

    fn udwf_names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// Types of CAST, with the bounds of CHAR and VARCHAR.
#[derive(Debug)]
struct FlinkTypes;

impl TypePlanner for FlinkTypes {
    fn plan_type_field(&self, given: &ast::DataType) -> PlanResult<Option<FieldRef>> {
        let sql_type = SqlType::of_ast(given).map_err(DataFusionError::Plan)?;
        Ok(Some(Arc::new(sql_type.to_field())))
    }
}
