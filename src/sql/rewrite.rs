//! The syntax tree as DataFusion's planner should see it: what Flink means, in forms both share.
//!
//! Special syntax becomes function calls (EXTRACT, FLOOR … TO, POSITION, SUBSTRING, `ARRAY[…]`),
//! COUNT(*) becomes COUNT(1), literals get Flink's types (`literals`), intervals become milliseconds or months, and
//! unnamed columns get Flink's names `EXPR$0`, `EXPR$1`, ….
//!
//! Read: here · `access` (elements and fields) · `star` (`row.*`).

mod access;
mod star;

pub(super) use access::field_of;
pub(super) use star::expand_stars;

use sqlparser::ast::{
    BinaryOperator, CastKind, CeilFloorKind, DataType, DateTimeField, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, Interval, ObjectName, Query,
    Select, SelectItem, SetExpr, Spanned, TableFactor, TrimWhereField, Value,
};
use sqlparser::tokenizer::Span;
use std::collections::HashSet;

use super::error::{Checked, Fault};
use super::functions::{ARGUMENT_FUNCTION, TIMES_FUNCTION, is_aggregate};
use super::interval::{IntervalLength, interval_length};
use super::literals::{type_literal, value_literal};
use super::walk::{Visitor, walk_expr, walk_query};

/// What an unnamed column's name begins with.
pub(super) const UNNAMED_PREFIX: &str = "EXPR$";

/// Rewrites a query in place.
pub(super) fn rewrite_query(query: &mut Query) -> Checked<()> {
    name_results(&mut query.body);
    walk_query(query, &mut Rewriter)
}

/// Rewrites an expression of a column list in place.
pub(super) fn rewrite_expression(expression: &mut Expr) -> Checked<()> {
    walk_expr(expression, &mut Rewriter)
}

struct Rewriter;

impl Visitor for Rewriter {
    fn enter_select(&mut self, select: &mut Select) -> Checked<()> {
        name_columns(select);
        Ok(())
    }

    fn leave_expr(&mut self, expr: &mut Expr) -> Checked<()> {
        if let Some(new) = rewritten(expr)? {
            *expr = new;
        }
        Ok(())
    }
}

/// `UNNEST(…)` as the table function it is: sqlparser reads it as a table with arguments.
pub(super) fn recognise_unnest(query: &mut Query) -> Checked<()> {
    walk_query(query, &mut Recogniser)
}

struct Recogniser;

impl Visitor for Recogniser {
    fn enter_table(&mut self, factor: &mut TableFactor) -> Checked<()> {
        if let Some(unnest) = unnest_of(factor) {
            *factor = unnest;
        }
        Ok(())
    }
}

fn unnest_of(factor: &mut TableFactor) -> Option<TableFactor> {
    let TableFactor::Table { name, alias, args: Some(arguments), with_ordinality, .. } = factor
    else {
        return None;
    };
    let plain =
        |argument: &FunctionArg| matches!(argument, FunctionArg::Unnamed(FunctionArgExpr::Expr(_)));
    if !name.to_string().eq_ignore_ascii_case("UNNEST") || !arguments.args.iter().all(plain) {
        return None;
    }
    let array_exprs = arguments.args.drain(..).filter_map(|argument| match argument {
        FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
        _ => None,
    });
    Some(TableFactor::UNNEST {
        array_exprs: array_exprs.collect(),
        alias: alias.take(),
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: *with_ordinality,
    })
}

/// Gives every column of a query's result a name of its own, as Flink does at the end of a query.
fn name_results(body: &mut SetExpr) {
    match body {
        SetExpr::Select(select) => {
            name_columns(select);
            let mut taken = HashSet::new();
            for item in &mut select.projection {
                if let SelectItem::ExprWithAlias { alias, .. } = item {
                    alias.value = unique_name(&alias.value, &mut taken);
                }
            }
        }
        SetExpr::Query(query) => name_results(&mut query.body),
        SetExpr::SetOperation { left, right, .. } => {
            name_results(left);
            name_results(right);
        }
        _ => {}
    }
}

/// Gives unnamed expressions Flink's names.
fn name_columns(select: &mut Select) {
    for (index, item) in select.projection.iter_mut().enumerate() {
        let SelectItem::UnnamedExpr(expr) = item else { continue };
        let alias = match &*expr {
            Expr::Identifier(ident) => ident.clone(),
            Expr::CompoundIdentifier(parts) => parts[parts.len() - 1].clone(),
            expr => Ident::with_span(expr.span(), format!("{UNNAMED_PREFIX}{index}")),
        };
        *item = SelectItem::ExprWithAlias { expr: taken_from(expr), alias };
    }
}

/// `name`, or `name0`, `name1`, … as Flink does.
fn unique_name(name: &str, taken: &mut HashSet<String>) -> String {
    let mut unique = name.to_string();
    let mut count = 0;
    while !taken.insert(unique.clone()) {
        unique = format!("{name}{count}");
        count += 1;
    }
    unique
}

/// The expression that was there; what is left behind is thrown away.
fn taken_from(expr: &mut Expr) -> Expr {
    std::mem::replace(expr, Expr::Value(Value::Null.with_empty_span()))
}

fn rewritten(expr: &mut Expr) -> Checked<Option<Expr>> {
    let span = expr.span();
    Ok(Some(match expr {
        Expr::Value(value) => return value_literal(&value.value, span),
        Expr::Identifier(ident) if is_unknown(ident) => unknown(span),
        Expr::Interval(interval) => Expr::Interval(normal_interval(interval, span)?),
        Expr::TypedString(literal) => {
            type_literal(literal, span)?;
            return Ok(None);
        }
        Expr::Function(function) => {
            count_rows(function);
            tell_casts_apart(function);
            return Ok(None);
        }
        Expr::Extract { field, expr, .. } => {
            call("EXTRACT", vec![text(&field.to_string(), span), taken_from(expr)], span)
        }
        Expr::Floor { expr, field } => return rounding("FLOOR", expr, field, span),
        Expr::Ceil { expr, field } => return rounding("CEIL", expr, field, span),
        Expr::Position { expr, r#in } => {
            call("POSITION", vec![taken_from(expr), taken_from(r#in)], span)
        }
        Expr::Overlay { expr, overlay_what, overlay_from, overlay_for } => {
            let mut arguments =
                vec![taken_from(expr), taken_from(overlay_what), taken_from(overlay_from)];
            arguments.extend(overlay_for.iter_mut().map(|length| taken_from(length)));
            call("OVERLAY", arguments, span)
        }
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            let mut arguments = vec![taken_from(expr)];
            arguments.extend(substring_from.iter_mut().map(|from| taken_from(from)));
            arguments.extend(substring_for.iter_mut().map(|length| taken_from(length)));
            call("SUBSTRING", arguments, span)
        }
        Expr::Trim { trim_where, trim_what, expr, .. } => {
            let name = match trim_where {
                Some(TrimWhereField::Leading) => "LTRIM",
                Some(TrimWhereField::Trailing) => "RTRIM",
                Some(TrimWhereField::Both) | None => "BTRIM",
            };
            let mut arguments = vec![taken_from(expr)];
            arguments.extend(trim_what.iter_mut().map(|what| taken_from(what)));
            call(name, arguments, span)
        }
        // DataFusion has no type for it.
        Expr::BinaryOp { left, op: BinaryOperator::Multiply, right }
            if matches!(**left, Expr::Interval(_)) || matches!(**right, Expr::Interval(_)) =>
        {
            call(TIMES_FUNCTION, vec![taken_from(left), taken_from(right)], span)
        }
        Expr::Array(array) => call("ARRAY", std::mem::take(&mut array.elem), span),
        Expr::Tuple(parts) => call("ROW", std::mem::take(parts), span),
        Expr::CompoundFieldAccess { root, access_chain } => {
            access::access(taken_from(root), std::mem::take(access_chain), span)?
        }
        _ => return Ok(None),
    }))
}

fn rounding(
    name: &str,
    expr: &mut Expr,
    field: &CeilFloorKind,
    span: Span,
) -> Checked<Option<Expr>> {
    let arguments = match field {
        CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => vec![taken_from(expr)],
        CeilFloorKind::DateTimeField(unit) => {
            vec![taken_from(expr), text(&unit.to_string(), span)]
        }
        CeilFloorKind::Scale(_) => {
            return Err(Fault::span(
                span,
                format!("{name} takes one number; use ROUND for digits"),
            ));
        }
    };
    Ok(Some(call(name, arguments, span)))
}

/// A call of `name`.
pub(super) fn call(name: &str, arguments: Vec<Expr>, span: Span) -> Expr {
    let args = arguments
        .into_iter()
        .map(|argument| FunctionArg::Unnamed(FunctionArgExpr::Expr(argument)))
        .collect();
    Expr::Function(Function {
        name: ObjectName::from(vec![Ident::with_span(span, name)]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args,
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}

/// A string constant.
pub(super) fn text(value: &str, span: Span) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.into()).with_span(span))
}

/// The literal UNKNOWN, a reserved word.
fn is_unknown(ident: &Ident) -> bool {
    ident.quote_style.is_none() && ident.value.eq_ignore_ascii_case("UNKNOWN")
}

fn unknown(span: Span) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(Expr::Value(Value::Null.with_span(span))),
        data_type: DataType::Boolean,
        array: false,
        format: None,
    }
}

/// COUNT(*) counts rows, as COUNT(1) does.
fn count_rows(function: &mut Function) {
    if !function.name.to_string().eq_ignore_ascii_case("COUNT") {
        return;
    }
    let span = function.name.span();
    if let FunctionArguments::List(list) = &mut function.args
        && let [FunctionArg::Unnamed(argument @ FunctionArgExpr::Wildcard)] = &mut list.args[..]
    {
        let one = Value::Number("1".into(), false).with_span(span);
        *argument = FunctionArgExpr::Expr(Expr::Value(one));
    }
}

/// DataFusion calls SUM(x) and SUM(CAST(x AS BIGINT)) by one name, and refuses both together. So an
/// aggregate's argument with a cast in it is given its text, too.
fn tell_casts_apart(function: &mut Function) {
    if !is_aggregate(&function.name.to_string()) {
        return;
    }
    let span = function.name.span();
    let FunctionArguments::List(list) = &mut function.args else { return };
    for argument in &mut list.args {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = argument else { continue };
        let written = expr.to_string();
        if written.contains("CAST(") {
            *expr = call(ARGUMENT_FUNCTION, vec![taken_from(expr), text(&written, span)], span);
        }
    }
}

/// `INTERVAL '90' SECOND(3)` and the like as milliseconds or months, in the one form DataFusion
/// reads without a unit.
fn normal_interval(interval: &Interval, span: Span) -> Checked<Interval> {
    let spelled = match interval_length(interval).map_err(|message| Fault::span(span, message))? {
        IntervalLength::Months(count) => format!("{count} months"),
        IntervalLength::Millis(count) => format!("{count} milliseconds"),
    };
    Ok(Interval {
        value: Box::new(text(&spelled, span)),
        leading_field: None,
        leading_precision: None,
        last_field: None,
        fractional_seconds_precision: None,
    })
}
