//! `UNNEST(…)` as a relation: its columns, and names in its argument that are fields of a ROW.

use arrow::datatypes::{DataType, Field};
use datafusion_common::{DFSchema, Result as PlanResult, TableReference};
use datafusion_expr::logical_plan::Extension;
use datafusion_expr::planner::RelationPlannerContext;
use datafusion_expr::{Expr, ExprSchemable, LogicalPlan, LogicalPlanBuilder};
use sqlparser::ast::{self, Spanned, TableAlias};
use std::collections::HashMap;
use std::sync::Arc;

use super::super::error::Fault;
use super::super::rewrite::field_of;
use super::super::types::{is_multiset, map_parts, type_name, without_bounds};
use super::super::walk::{Visitor, walk_expr};
use super::{Identity, UnnestTable, error};

/// Names and types of the columns an element becomes: a ROW its fields, a MAP's entry key and
/// value. `None` for what has no elements.
pub(in crate::sql) fn element_columns(
    data_type: &DataType,
    ordinality: bool,
) -> Option<Vec<(String, DataType)>> {
    let own = |name: &str, part: &DataType| (name.to_string(), without_bounds(part));
    let mut columns = match data_type {
        DataType::List(item) => match item.data_type() {
            DataType::Struct(fields) => {
                fields.iter().map(|field| own(field.name(), field.data_type())).collect()
            }
            element => vec![own("EXPR$0", element)],
        },
        DataType::Null => vec![own("EXPR$0", &DataType::Null)],
        map if !is_multiset(map) => {
            let (key, value) = map_parts(map)?;
            vec![own("KEY", key.data_type()), own("VALUE", value.data_type())]
        }
        _ => return None,
    };
    if ordinality {
        columns.push(own("ORDINALITY", &DataType::Int32));
    }
    Some(columns)
}

/// The plan of `UNNEST(array) [WITH ORDINALITY] [AS alias]`.
pub(super) fn unnest_table(
    array: &ast::Expr,
    alias: Option<&TableAlias>,
    ordinality: bool,
    context: &mut dyn RelationPlannerContext,
) -> PlanResult<LogicalPlan> {
    let span = array.span();
    let array = planned_argument(array.clone(), context)?;
    let data_type = array.get_type(&DFSchema::empty())?;
    let mut columns = element_columns(&data_type, ordinality).ok_or_else(|| {
        error(span, format!("UNNEST takes an ARRAY or a MAP, not {}", type_name(&data_type)))
    })?;
    let names = alias.map(|alias| &alias.columns[..]).unwrap_or_default();
    if !names.is_empty() && names.len() != columns.len() {
        let message = format!(
            "UNNEST gives {} here; name each: AS t({})",
            if columns.len() == 1 {
                "1 column".to_string()
            } else {
                format!("{} columns", columns.len())
            },
            columns.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>().join(", ")
        );
        return Err(error(names[names.len() - 1].name.span, message));
    }
    for ((name, _), given) in columns.iter_mut().zip(names) {
        name.clone_from(&given.name.value);
    }
    let qualifier = TableReference::bare("UNNEST");
    let field = |(name, part)| Arc::new(Field::new(name, part, true));
    let fields =
        columns.into_iter().map(|column| (Some(qualifier.clone()), field(column))).collect();
    let schema = Arc::new(DFSchema::new_with_metadata(fields, HashMap::new())?);
    let node = UnnestTable { array, ordinality, schema, identity: Identity::default() };
    let plan = LogicalPlan::Extension(Extension { node: Arc::new(node) });
    match alias {
        None => Ok(plan),
        Some(alias) => LogicalPlanBuilder::from(plan).alias(alias.name.value.clone())?.build(),
    }
}

/// The argument, whose names are those of the relation before. DataFusion does not find fields of
/// its ROWs; names that it does not know are tried as fields of shorter ones.
fn planned_argument(
    mut array: ast::Expr,
    context: &mut dyn RelationPlannerContext,
) -> PlanResult<Expr> {
    let mut resolver = FieldResolver { context };
    walk_expr(&mut array, &mut resolver)
        .map_err(|fault: Fault| datafusion_common::DataFusionError::Plan(fault.message))?;
    resolver.context.sql_expr_to_logical_expr(array, &DFSchema::empty())
}

struct FieldResolver<'a> {
    context: &'a mut dyn RelationPlannerContext,
}

impl FieldResolver<'_> {
    fn is_known(&mut self, name: &ast::Expr) -> bool {
        let planned = self.context.sql_expr_to_logical_expr(name.clone(), &DFSchema::empty());
        matches!(planned, Ok(Expr::OuterReferenceColumn(..)))
    }
}

impl Visitor for FieldResolver<'_> {
    fn leave_expr(&mut self, expr: &mut ast::Expr) -> Result<(), Fault> {
        let ast::Expr::CompoundIdentifier(parts) = &*expr else { return Ok(()) };
        for own in (1..=parts.len()).rev() {
            let (name, fields) = parts.split_at(own);
            let name = match name {
                [only] => ast::Expr::Identifier(only.clone()),
                several => ast::Expr::CompoundIdentifier(several.to_vec()),
            };
            if self.is_known(&name) {
                if !fields.is_empty() {
                    *expr = field_of(name, fields);
                }
                return Ok(());
            }
        }
        Ok(())
    }
}
