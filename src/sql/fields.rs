//! `row.field`: which names are fields of a ROW is known only when a name is resolved, and where
//! they stand only before.

use arrow::datatypes::Field;
use datafusion_common::{Column, Result as PlanResult, ScalarValue, Span, TableReference};
use datafusion_expr::Expr;
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::planner::{ExprPlanner, PlannerResult};
use sqlparser::ast::{self, Spanned};

use super::error::Checked;
use super::functions;
use super::walk::{Visitor, walk_expr, walk_query};

/// Names with points in them, and where each stands.
#[derive(Default, Debug)]
pub(super) struct FieldPlaces {
    names: Vec<(Vec<String>, sqlparser::tokenizer::Span)>,
}

/// Of the names in a query.
pub(super) fn places_of_query(query: &mut ast::Query) -> Checked<FieldPlaces> {
    let mut places = FieldPlaces::default();
    walk_query(query, &mut places)?;
    Ok(places)
}

/// Of the names in an expression.
pub(super) fn places_of_expression(expression: &mut ast::Expr) -> Checked<FieldPlaces> {
    let mut places = FieldPlaces::default();
    walk_expr(expression, &mut places)?;
    Ok(places)
}

impl Visitor for FieldPlaces {
    fn enter_expr(&mut self, expr: &mut ast::Expr) -> Checked<()> {
        if let ast::Expr::CompoundIdentifier(parts) = expr {
            let name = parts.iter().map(|part| part.value.clone()).collect();
            self.names.push((name, expr.span()));
        }
        Ok(())
    }
}

impl FieldPlaces {
    /// Where a name that ends in `column.nested` stands first.
    fn find(&self, column: &str, nested: &[String]) -> Option<Span> {
        let matches = |parts: &[String]| {
            let own = parts.len().checked_sub(nested.len() + 1);
            own.is_some_and(|own| parts[own] == column && parts[own + 1..] == *nested)
        };
        let (_, span) = self.names.iter().find(|(parts, _)| matches(parts))?;
        Span::try_from_sqlparser_span(*span)
    }
}

impl ExprPlanner for FieldPlaces {
    fn plan_compound_identifier(
        &self,
        field: &Field,
        qualifier: Option<&TableReference>,
        nested: &[String],
    ) -> PlanResult<PlannerResult<Vec<Expr>>> {
        let mut column = Column::new(qualifier.cloned(), field.name());
        if let Some(span) = self.find(field.name(), nested) {
            column.spans_mut().add_span(span);
        }
        let function =
            functions::scalar_udf(functions::FIELD_FUNCTION).expect("field access is registered");
        let names = nested.iter().map(|name| Expr::Literal(ScalarValue::from(name.as_str()), None));
        let arguments = std::iter::once(Expr::Column(column)).chain(names).collect();
        Ok(PlannerResult::Planned(Expr::ScalarFunction(ScalarFunction::new_udf(
            function, arguments,
        ))))
    }
}
