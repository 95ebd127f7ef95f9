//! Expressions that are not supported, by name and place; see `refuse`.

use sqlparser::ast::{
    AccessExpr, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Spanned,
    Subscript, UnaryOperator,
};

use sqlparser::tokenizer::Span;

use super::error::Checked;
use super::functions;
use super::refuse::{WINDOW_FUNCTIONS, refuse, unless};
use super::reserved::{check_name, check_names};
use crate::limits::{SQL_EXPRESSION_DEPTH_MAX, SQL_NESTING_MAX};

/// Refuses one expression; what is inside it is visited by itself.
pub(super) fn check_expr(expr: &Expr) -> Checked<()> {
    let span = expr.span();
    match expr {
        // The literal UNKNOWN is read as a name.
        Expr::Identifier(name) if name.value.eq_ignore_ascii_case("UNKNOWN") => Ok(()),
        Expr::Identifier(name) => check_name(name),
        Expr::CompoundIdentifier(names) => check_path(names, span),
        Expr::IsFalse(_)
        | Expr::IsNotFalse(_)
        | Expr::IsTrue(_)
        | Expr::IsNotTrue(_)
        | Expr::IsNull(_)
        | Expr::IsNotNull(_)
        | Expr::IsUnknown(_)
        | Expr::IsNotUnknown(_)
        | Expr::IsDistinctFrom(..)
        | Expr::IsNotDistinctFrom(..)
        | Expr::InList { .. }
        | Expr::Between { .. }
        | Expr::Cast { array: false, format: None, .. }
        | Expr::Extract { .. }
        | Expr::Ceil { .. }
        | Expr::Floor { .. }
        | Expr::Position { .. }
        | Expr::Substring { .. }
        | Expr::Overlay { .. }
        | Expr::Trim { .. }
        | Expr::Nested(_)
        | Expr::Value(_)
        | Expr::TypedString(_)
        | Expr::Case { .. }
        | Expr::Interval(_)
        | Expr::Tuple(_)
        | Expr::BinaryOp { .. }
        | Expr::Like { any: false, .. }
        | Expr::SimilarTo { .. } => Ok(()),
        Expr::UnaryOp {
            op: UnaryOperator::Plus | UnaryOperator::Minus | UnaryOperator::Not,
            ..
        } => Ok(()),
        Expr::Array(array) if array.elem.is_empty() => {
            refuse(span, "ARRAY[] has no type; write CAST(NULL AS ARRAY<…>) or name an element")
        }
        Expr::Array(_) => Ok(()),
        Expr::Function(function) => check_function(function),
        Expr::Subquery(_) => unless(true, span, "a subquery as a value"),
        Expr::InSubquery { .. } => unless(true, span, "IN (SELECT …)"),
        Expr::Exists { .. } => unless(true, span, "EXISTS"),
        Expr::CompoundFieldAccess { access_chain, .. } => check_access(access_chain, span),
        Expr::ILike { .. } => unless(true, span, "ILIKE"),
        Expr::AtTimeZone { .. } => unless(true, span, "AT TIME ZONE"),
        _ => unless(true, span, "this expression"),
    }
}

/// `table.column.field`.
fn check_path(names: &[Ident], span: Span) -> Checked<()> {
    if names.len() > SQL_NESTING_MAX {
        return refuse(span, format!("a name has more than {SQL_NESTING_MAX} parts"));
    }
    check_names(names)
}

/// `row.field`, `array[1]`.
fn check_access(access_chain: &[AccessExpr], span: Span) -> Checked<()> {
    if access_chain.len() > SQL_EXPRESSION_DEPTH_MAX {
        let what = "elements and fields are read one inside the other";
        return refuse(span, format!("{what}, more than {SQL_EXPRESSION_DEPTH_MAX} deep"));
    }
    access_chain.iter().try_for_each(|access| match access {
        AccessExpr::Dot(Expr::Identifier(_)) | AccessExpr::Subscript(Subscript::Index { .. }) => {
            Ok(())
        }
        AccessExpr::Subscript(Subscript::Slice { .. }) => {
            refuse(span, "a slice [a:b] is not supported; use ARRAY_SLICE")
        }
        AccessExpr::Dot(other) => refuse(other.span(), "behind a point stands the name of a field"),
    })
}

fn check_function(function: &Function) -> Checked<()> {
    let name = function.name.to_string().to_uppercase();
    let span = function.name.span();
    if function.over.is_some() {
        return refuse(span, format!("{name} OVER (…) is not supported"));
    }
    if WINDOW_FUNCTIONS.contains(&name.as_str()) || name == "SESSION" || name == "CUMULATE" {
        let message = format!(
            "{name} as a group window is not supported; write FROM TABLE({name}(TABLE t, …)) and \
             GROUP BY window_start, window_end"
        );
        return refuse(span, message);
    }
    let aggregate = functions::is_aggregate(&name);
    // Without quotes the tokenizer reads `$` as a placeholder: such a call was made of a syntax.
    if !aggregate && !name.starts_with('$') && !functions::is_scalar(&name) {
        let hint = super::error::did_you_mean(&name, functions::names());
        return refuse(span, format!("the function {name} is not supported{hint}"));
    }
    unless(!aggregate && function.filter.is_some(), span, "FILTER on a function of one row")?;
    if let FunctionArguments::List(list) = &function.args {
        let distinct = !aggregate && list.duplicate_treatment.is_some();
        unless(distinct, span, "DISTINCT in a function of one row")?;
        let named = list.args.iter().any(|arg| !matches!(arg, FunctionArg::Unnamed(_)));
        unless(named, span, "a named argument")?;
        let star =
            |arg: &FunctionArg| !matches!(arg, FunctionArg::Unnamed(FunctionArgExpr::Expr(_)));
        let stars = list.args.iter().filter(|arg| star(arg)).count();
        let counts_rows = name == "COUNT" && list.args.len() == 1;
        if stars > 0 && (!counts_rows || list.duplicate_treatment.is_some()) {
            return refuse(span, format!("{name} of * is not supported; COUNT(*) is"));
        }
    }
    check_clauses(function)
}

/// `TUMBLE(…)`, `HOP(…)` and `DESCRIPTOR(…)` are no calls: nothing stands before or behind them.
pub(super) fn check_window_call(function: &Function) -> Checked<()> {
    let span = function.name.span();
    unless(function.over.is_some(), span, "OVER behind a window function")?;
    unless(function.filter.is_some(), span, "FILTER behind a window function")?;
    if let FunctionArguments::List(list) = &function.args {
        unless(list.duplicate_treatment.is_some(), span, "DISTINCT in a window function")?;
    }
    check_clauses(function)
}

fn check_clauses(function: &Function) -> Checked<()> {
    let clauses = match &function.args {
        FunctionArguments::List(list) => !list.clauses.is_empty(),
        FunctionArguments::Subquery(_) => true,
        FunctionArguments::None => false,
    };
    let other = clauses
        || function.null_treatment.is_some()
        || !function.within_group.is_empty()
        || function.parameters != FunctionArguments::None
        || function.uses_odbc_syntax;
    unless(other, function.name.span(), "a clause of this function call")
}
