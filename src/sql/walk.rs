//! One walk over a query's syntax tree, for everybody who reads or changes it.
//!
//! It goes where the closed list of `refuse` leads; what is behind another construct is not
//! visited, since that construct is an error. sqlparser's own visitors know every statement there
//! is, and compile once more for each type of visitor.

use sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr,
    Query, Select, SelectItem, SetExpr, Subscript, TableFactor,
};

use super::error::Checked;

/// What is done at each node; the first fault ends the walk.
pub(super) trait Visitor {
    /// Before a query's parts.
    fn enter_query(&mut self, _: &mut Query) -> Checked<()> {
        Ok(())
    }

    /// Before a SELECT's parts.
    fn enter_select(&mut self, _: &mut Select) -> Checked<()> {
        Ok(())
    }

    /// Before what is inside an element of FROM.
    fn enter_table(&mut self, _: &mut TableFactor) -> Checked<()> {
        Ok(())
    }

    /// Before an expression's operands.
    fn enter_expr(&mut self, _: &mut Expr) -> Checked<()> {
        Ok(())
    }

    /// Behind an expression's operands.
    fn leave_expr(&mut self, _: &mut Expr) -> Checked<()> {
        Ok(())
    }
}

/// Visits a query and everything inside it.
pub(super) fn walk_query(query: &mut Query, visitor: &mut dyn Visitor) -> Checked<()> {
    visitor.enter_query(query)?;
    for table in query.with.iter_mut().flat_map(|with| &mut with.cte_tables) {
        walk_query(&mut table.query, visitor)?;
    }
    walk_body(&mut query.body, visitor)
}

fn walk_body(body: &mut SetExpr, visitor: &mut dyn Visitor) -> Checked<()> {
    match body {
        SetExpr::Select(select) => walk_select(select, visitor),
        SetExpr::Query(query) => walk_query(query, visitor),
        SetExpr::SetOperation { left, right, .. } => {
            walk_body(left, visitor)?;
            walk_body(right, visitor)
        }
        _ => Ok(()),
    }
}

fn walk_select(select: &mut Select, visitor: &mut dyn Visitor) -> Checked<()> {
    visitor.enter_select(select)?;
    for item in &mut select.projection {
        if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
            walk_expr(expr, visitor)?;
        }
    }
    for table in &mut select.from {
        walk_table(&mut table.relation, visitor)?;
        for join in &mut table.joins {
            walk_table(&mut join.relation, visitor)?;
        }
    }
    if let Some(condition) = &mut select.selection {
        walk_expr(condition, visitor)?;
    }
    if let GroupByExpr::Expressions(expressions, _) = &mut select.group_by {
        walk_all(expressions, visitor)?;
    }
    match &mut select.having {
        Some(condition) => walk_expr(condition, visitor),
        None => Ok(()),
    }
}

fn walk_table(factor: &mut TableFactor, visitor: &mut dyn Visitor) -> Checked<()> {
    visitor.enter_table(factor)?;
    match factor {
        TableFactor::Derived { subquery, .. } => walk_query(subquery, visitor),
        TableFactor::TableFunction { expr, .. } => walk_expr(expr, visitor),
        TableFactor::UNNEST { array_exprs, .. } => walk_all(array_exprs, visitor),
        _ => Ok(()),
    }
}

fn walk_all<'a>(
    expressions: impl IntoIterator<Item = &'a mut Expr>,
    visitor: &mut dyn Visitor,
) -> Checked<()> {
    expressions.into_iter().try_for_each(|expr| walk_expr(expr, visitor))
}

/// Visits an expression and everything inside it.
pub(super) fn walk_expr(expr: &mut Expr, visitor: &mut dyn Visitor) -> Checked<()> {
    visitor.enter_expr(expr)?;
    walk_operands(expr, visitor)?;
    visitor.leave_expr(expr)
}

fn walk_operands(expr: &mut Expr, visitor: &mut dyn Visitor) -> Checked<()> {
    match expr {
        Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotUnknown(inner)
        | Expr::Nested(inner)
        | Expr::UnaryOp { expr: inner, .. }
        | Expr::Cast { expr: inner, .. }
        | Expr::Extract { expr: inner, .. }
        | Expr::Ceil { expr: inner, .. }
        | Expr::Floor { expr: inner, .. } => walk_expr(inner, visitor),
        Expr::IsDistinctFrom(left, right)
        | Expr::IsNotDistinctFrom(left, right)
        | Expr::BinaryOp { left, right, .. }
        | Expr::Position { expr: left, r#in: right }
        | Expr::Like { expr: left, pattern: right, .. }
        | Expr::SimilarTo { expr: left, pattern: right, .. } => {
            walk_expr(left, visitor)?;
            walk_expr(right, visitor)
        }
        Expr::Between { expr, low, high, .. } => {
            walk_all([expr.as_mut(), low.as_mut(), high.as_mut()], visitor)
        }
        Expr::InList { expr, list, .. } => {
            walk_expr(expr, visitor)?;
            walk_all(list, visitor)
        }
        Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
            walk_all([expr, overlay_what, overlay_from].map(AsMut::as_mut), visitor)?;
            walk_all(overlay_for.as_deref_mut(), visitor)
        }
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            walk_expr(expr, visitor)?;
            let bounds = [substring_from, substring_for].into_iter().flatten();
            walk_all(bounds.map(AsMut::as_mut), visitor)
        }
        Expr::Trim { expr, trim_what, trim_characters, .. } => {
            walk_expr(expr, visitor)?;
            walk_all(trim_what.as_deref_mut(), visitor)?;
            walk_all(trim_characters.iter_mut().flatten(), visitor)
        }
        Expr::Case { operand, conditions, else_result, .. } => {
            walk_all(operand.as_deref_mut(), visitor)?;
            for when in conditions {
                walk_expr(&mut when.condition, visitor)?;
                walk_expr(&mut when.result, visitor)?;
            }
            walk_all(else_result.as_deref_mut(), visitor)
        }
        Expr::Interval(interval) => walk_expr(&mut interval.value, visitor),
        Expr::Array(array) => walk_all(&mut array.elem, visitor),
        Expr::Tuple(parts) => walk_all(parts, visitor),
        Expr::CompoundFieldAccess { root, access_chain } => {
            walk_access(root, access_chain, visitor)
        }
        Expr::Function(function) => walk_function(function, visitor),
        Expr::Subquery(query) => walk_query(query, visitor),
        _ => Ok(()),
    }
}

fn walk_access(
    root: &mut Expr,
    access_chain: &mut [AccessExpr],
    visitor: &mut dyn Visitor,
) -> Checked<()> {
    // `t.a[1]`: what is before the bracket is a name, of which `t` is no column.
    let part_of_name = matches!(root, Expr::Identifier(_))
        && matches!(access_chain.first(), Some(AccessExpr::Dot(_)));
    if !part_of_name {
        walk_expr(root, visitor)?;
    }
    for access in access_chain {
        if let AccessExpr::Subscript(Subscript::Index { index }) = access {
            walk_expr(index, visitor)?;
        }
    }
    Ok(())
}

fn walk_function(function: &mut Function, visitor: &mut dyn Visitor) -> Checked<()> {
    if let FunctionArguments::List(list) = &mut function.args {
        for argument in &mut list.args {
            let (FunctionArg::Named { arg, .. }
            | FunctionArg::ExprNamed { arg, .. }
            | FunctionArg::Unnamed(arg)) = argument;
            if let FunctionArgExpr::Expr(expr) = arg {
                walk_expr(expr, visitor)?;
            }
        }
    }
    walk_all(function.filter.as_deref_mut(), visitor)
}
