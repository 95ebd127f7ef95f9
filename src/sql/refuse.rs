//! What is not supported is refused here, on the syntax tree, by name and place.
//!
//! A closed list: each clause and expression that is not known to be planned correctly is an error.
//! The planner ignores some clauses without a word (hints, `FOR SYSTEM_TIME`, ORDER BY in a
//! subquery); none of them gets past this file.

use sqlparser::ast::{
    Distinct, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Join,
    JoinConstraint, JoinOperator, ObjectNamePart, Query, Select, SelectFlavor, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, SetOperator, SetQuantifier, Spanned, TableAlias,
    TableFactor, UnaryOperator, Value, WildcardAdditionalOptions,
};
use sqlparser::tokenizer::{Location, Span};

use super::error::{Checked, Fault};
use super::refuse_expr::{check_expr, check_window_call};
use super::reserved::{check_name, check_names};
use super::walk::{Visitor, walk_expr, walk_query};
use crate::limits::{SQL_EXPRESSION_DEPTH_MAX, SQL_NAMED_QUERIES_MAX};

/// Table functions that assign windows.
pub(super) const WINDOW_FUNCTIONS: [&str; 2] = ["TUMBLE", "HOP"];

/// Refuses what a query uses and the engine does not do.
pub(super) fn check_query(query: &mut Query) -> Checked<()> {
    with_place(|checker| walk_query(query, checker))
}

/// The same for an expression of a column list.
pub(super) fn check_expression(expression: &mut Expr) -> Checked<()> {
    with_place(|checker| walk_expr(expression, checker))
}

fn with_place(walk: impl FnOnce(&mut Checker) -> Checked<()>) -> Checked<()> {
    let mut checker = Checker { window_parts: Vec::new(), depth: 0, last: None };
    walk(&mut checker).map_err(|fault| match checker.last {
        Some(last) => fault.or_at(last),
        None => fault,
    })
}

struct Checker {
    /// Addresses of expressions that are arguments of a window function, and so may be `TABLE t`.
    window_parts: Vec<*const Expr>,
    depth: usize,
    /// Last place that was known, for faults without one.
    last: Option<Location>,
}

/// A refusal at the start of `span`.
pub(super) fn refuse(span: Span, message: impl Into<String>) -> Checked<()> {
    Err(Fault::span(span, message))
}

/// Refuses when `present`.
pub(super) fn unless(present: bool, span: Span, name: &str) -> Checked<()> {
    if present { refuse(span, format!("{name} is not supported")) } else { Ok(()) }
}

impl Visitor for Checker {
    fn enter_query(&mut self, query: &mut Query) -> Checked<()> {
        self.note(query.span());
        let Query {
            with,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = &*query;
        if let Some(with) = with {
            unless(with.recursive, with.span(), "WITH RECURSIVE")?;
            if let Some(table) = with.cte_tables.get(SQL_NAMED_QUERIES_MAX) {
                let message = format!("WITH names more than {SQL_NAMED_QUERIES_MAX} queries");
                refuse(table.alias.name.span, message)?;
            }
            with.cte_tables.iter().try_for_each(|table| check_alias(&table.alias))?;
        }
        if let Some(order_by) = order_by {
            refuse(order_by.span(), "ORDER BY is not supported; a stream has no end to sort at")?;
        }
        if let Some(limit) = limit_clause {
            refuse(limit.span(), "LIMIT and OFFSET are not supported; a stream has no first rows")?;
        }
        if let Some(fetch) = fetch {
            refuse(fetch.span(), "FETCH is not supported; a stream has no first rows")?;
        }
        let other = !locks.is_empty()
            || for_clause.is_some()
            || settings.is_some()
            || format_clause.is_some()
            || !pipe_operators.is_empty();
        unless(other, query.span(), "this clause at the end of a query")?;
        check_body(body)
    }

    fn enter_select(&mut self, select: &mut Select) -> Checked<()> {
        self.note(select.span());
        check_select(select)
    }

    fn enter_table(&mut self, factor: &mut TableFactor) -> Checked<()> {
        self.note(factor.span());
        check_table_factor(factor)?;
        if let TableFactor::TableFunction { expr, .. } = factor {
            self.allow_window_parts(expr)?;
        }
        Ok(())
    }

    fn enter_expr(&mut self, expr: &mut Expr) -> Checked<()> {
        self.depth += 1;
        if self.depth > SQL_EXPRESSION_DEPTH_MAX {
            let message = format!("an expression is nested deeper than {SQL_EXPRESSION_DEPTH_MAX}");
            return refuse(expr.span(), message);
        }
        self.note(expr.span());
        if self.window_parts.iter().any(|&part| std::ptr::eq(part, expr)) {
            return Ok(());
        }
        check_expr(expr)
    }

    fn leave_expr(&mut self, _: &mut Expr) -> Checked<()> {
        self.depth -= 1;
        Ok(())
    }
}

impl Checker {
    fn note(&mut self, span: Span) {
        if span.start.line > 0 {
            self.last = Some(span.start);
        }
    }

    /// `TUMBLE(TABLE t, DESCRIPTOR(ts), …)`: the call, its table and its descriptor are no ordinary
    /// expressions.
    fn allow_window_parts(&mut self, expr: &Expr) -> Checked<()> {
        let Expr::Function(function) = expr else {
            return refuse(expr.span(), "TABLE(…) takes a window function: TUMBLE or HOP");
        };
        let name = function.name.to_string();
        if !WINDOW_FUNCTIONS.iter().any(|known| known.eq_ignore_ascii_case(&name)) {
            let hint = super::error::did_you_mean(&name, WINDOW_FUNCTIONS);
            let message =
                format!("the table function {name} is not supported; TUMBLE and HOP are{hint}");
            return refuse(function.name.span(), message);
        }
        check_window_call(function)?;
        self.window_parts.push(expr);
        for (_, argument) in window_arguments(function) {
            let descriptor = match argument {
                Expr::Function(inner)
                    if inner.name.to_string().eq_ignore_ascii_case("DESCRIPTOR") =>
                {
                    check_window_call(inner)?;
                    true
                }
                _ => false,
            };
            if descriptor || matches!(argument, Expr::Subquery(_)) {
                self.window_parts.push(argument);
            }
        }
        Ok(())
    }
}

/// Arguments of a window function, with their names where given.
pub(super) fn window_arguments(function: &Function) -> Vec<(Option<&str>, &Expr)> {
    let FunctionArguments::List(list) = &function.args else { return Vec::new() };
    let mut arguments = Vec::new();
    for argument in &list.args {
        match argument {
            FunctionArg::Named { name, arg: FunctionArgExpr::Expr(expr), .. } => {
                arguments.push((Some(name.value.as_str()), expr));
            }
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => arguments.push((None, expr)),
            _ => {}
        }
    }
    arguments
}

fn check_body(body: &SetExpr) -> Checked<()> {
    match body {
        SetExpr::Select(_) | SetExpr::Query(_) => Ok(()),
        SetExpr::SetOperation { left, op, set_quantifier, right } => {
            if *op != SetOperator::Union {
                return refuse(right.span(), format!("{op} is not supported; UNION ALL is"));
            }
            if *set_quantifier != SetQuantifier::All {
                let message =
                    "UNION without ALL removes duplicates, which is not supported; write UNION ALL";
                return refuse(right.span(), message);
            }
            check_body(left)?;
            check_body(right)
        }
        SetExpr::Values(values) => refuse(values.span(), "VALUES is not supported"),
        other => refuse(other.span(), "this is not supported as a query"),
    }
}

fn check_select(select: &Select) -> Checked<()> {
    let span = select.span();
    if let Some(Distinct::On(_)) = &select.distinct {
        refuse(span, "DISTINCT ON is not supported")?;
    }
    let foreign = !select.optimizer_hints.is_empty()
        || select.select_modifiers.is_some()
        || select.top.is_some()
        || select.exclude.is_some()
        || select.into.is_some()
        || !select.lateral_views.is_empty()
        || select.prewhere.is_some()
        || !select.connect_by.is_empty()
        || !select.cluster_by.is_empty()
        || !select.distribute_by.is_empty()
        || !select.sort_by.is_empty()
        || select.value_table_mode.is_some()
        || select.flavor != SelectFlavor::Standard;
    unless(foreign, span, "a clause of this SELECT")?;
    if let Some(window) = select.named_window.first() {
        unless(true, window.0.span, "WINDOW")?;
    }
    if let Some(qualify) = &select.qualify {
        unless(true, qualify.span(), "QUALIFY")?;
    }
    if select.from.is_empty() {
        refuse(span, "SELECT without FROM is not supported")?;
    }
    select.projection.iter().try_for_each(check_item)?;
    check_from(select)?;
    check_group_by(&select.group_by, span)
}

fn check_item(item: &SelectItem) -> Checked<()> {
    match item {
        SelectItem::UnnamedExpr(_) => Ok(()),
        SelectItem::ExprWithAlias { alias, .. } => check_name(alias),
        SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::Expr(expr), _) => {
            unless(true, expr.span(), "`*` behind an expression")
        }
        SelectItem::QualifiedWildcard(_, options) | SelectItem::Wildcard(options) => {
            let WildcardAdditionalOptions {
                wildcard_token: _,
                opt_ilike,
                opt_exclude,
                opt_except,
                opt_replace,
                opt_rename,
                opt_alias,
            } = options;
            let any = opt_ilike.is_some()
                || opt_exclude.is_some()
                || opt_except.is_some()
                || opt_replace.is_some()
                || opt_rename.is_some()
                || opt_alias.is_some();
            unless(any, item.span(), "what follows `*`")
        }
        SelectItem::ExprWithAliases { expr, .. } => unless(true, expr.span(), "a list of aliases"),
    }
}

/// One table, and behind it any number of UNNEST.
fn check_from(select: &Select) -> Checked<()> {
    let unnests = |factor: &TableFactor| matches!(factor, TableFactor::UNNEST { .. });
    for (index, table) in select.from.iter().enumerate() {
        if index > 0 && !unnests(&table.relation) {
            let message = "a join of tables (here by a comma) is not supported";
            refuse(table.relation.span(), message)?;
        }
        for join in &table.joins {
            check_join(join)?;
        }
    }
    Ok(())
}

fn check_join(join: &Join) -> Checked<()> {
    let span = join.relation.span();
    let of_unnest = matches!(join.relation, TableFactor::UNNEST { .. }) && !join.global;
    let name = match &join.join_operator {
        JoinOperator::Left(JoinConstraint::On(condition))
        | JoinOperator::LeftOuter(JoinConstraint::On(condition))
            if of_unnest =>
        {
            let always =
                matches!(condition, Expr::Value(value) if value.value == Value::Boolean(true));
            let message = "LEFT JOIN UNNEST takes no condition but ON TRUE";
            return if always { Ok(()) } else { refuse(condition.span(), message) };
        }
        JoinOperator::CrossJoin(JoinConstraint::None) if of_unnest => return Ok(()),
        JoinOperator::CrossJoin(_) => "CROSS JOIN (but with UNNEST)",
        JoinOperator::Join(_) | JoinOperator::Inner(_) => "JOIN",
        JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => "LEFT JOIN",
        JoinOperator::Right(_) | JoinOperator::RightOuter(_) => "RIGHT JOIN",
        JoinOperator::FullOuter(_) => "FULL JOIN",
        _ => "this kind of join",
    };
    refuse(span, format!("{name} is not supported"))
}

fn check_group_by(group_by: &GroupByExpr, span: Span) -> Checked<()> {
    let GroupByExpr::Expressions(expressions, modifiers) = group_by else {
        return refuse(span, "GROUP BY ALL is not supported; list the columns");
    };
    unless(!modifiers.is_empty(), span, "a modifier of GROUP BY")?;
    for expression in expressions {
        match bare(expression) {
            Expr::Value(value) if matches!(value.value, Value::Number(..)) => {
                refuse(value.span, "GROUP BY takes expressions, not positions of the SELECT list")?;
            }
            Expr::GroupingSets(_) | Expr::Cube(_) | Expr::Rollup(_) => {
                refuse(expression.span(), "GROUPING SETS, CUBE and ROLLUP are not supported")?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Without parentheses and signs.
fn bare(expression: &Expr) -> &Expr {
    match expression {
        Expr::Nested(inner)
        | Expr::UnaryOp { op: UnaryOperator::Plus | UnaryOperator::Minus, expr: inner } => {
            bare(inner)
        }
        other => other,
    }
}

fn check_alias(alias: &TableAlias) -> Checked<()> {
    check_name(&alias.name)?;
    check_names(alias.columns.iter().map(|column| &column.name))
}

/// Names of an element of FROM.
fn check_table_names(factor: &TableFactor) -> Checked<()> {
    let (TableFactor::Table { alias, .. }
    | TableFactor::Derived { alias, .. }
    | TableFactor::TableFunction { alias, .. }
    | TableFactor::UNNEST { alias, .. }) = factor
    else {
        return Ok(());
    };
    if let TableFactor::Table { name, args: None, .. } = factor {
        check_names(name.0.iter().filter_map(ObjectNamePart::as_ident))?;
    }
    alias.as_ref().map_or(Ok(()), check_alias)
}

fn check_table_factor(factor: &TableFactor) -> Checked<()> {
    let span = factor.span();
    check_table_names(factor)?;
    match factor {
        TableFactor::Table {
            name,
            alias: _,
            args,
            with_hints,
            version,
            with_ordinality,
            partitions,
            json_path,
            sample,
            index_hints,
        } => {
            if args.is_some() {
                let message = format!("a table function stands in TABLE(…): FROM TABLE({name}(…))");
                return refuse(span, message);
            }
            unless(version.is_some(), span, "FOR SYSTEM_TIME AS OF")?;
            let other = !with_hints.is_empty()
                || *with_ordinality
                || !partitions.is_empty()
                || json_path.is_some()
                || sample.is_some()
                || !index_hints.is_empty();
            unless(other, span, "what follows the table's name")
        }
        TableFactor::Derived { lateral, subquery: _, alias: _, sample } => {
            unless(*lateral, span, "LATERAL")?;
            unless(sample.is_some(), span, "TABLESAMPLE")
        }
        TableFactor::TableFunction { .. } => Ok(()),
        TableFactor::UNNEST { array_exprs, with_offset, with_offset_alias, .. } => {
            unless(array_exprs.len() != 1, span, "UNNEST of several arrays")?;
            unless(*with_offset || with_offset_alias.is_some(), span, "UNNEST WITH OFFSET")
        }
        TableFactor::Function { .. } => unless(true, span, "LATERAL TABLE"),
        TableFactor::NestedJoin { .. } => unless(true, span, "a join in parentheses"),
        TableFactor::Pivot { .. } => unless(true, span, "PIVOT"),
        TableFactor::Unpivot { .. } => unless(true, span, "UNPIVOT"),
        TableFactor::MatchRecognize { .. } => unless(true, span, "MATCH_RECOGNIZE"),
        _ => unless(true, span, "this kind of table"),
    }
}
