//! The syntax tree as DataFusion's planner should see it: what Flink means, in forms both share.
//!
//! Special syntax becomes function calls (EXTRACT, FLOOR … TO, POSITION, SUBSTRING, `ARRAY[…]`),
//! COUNT(*) becomes COUNT(1), `1e3` becomes a DOUBLE, intervals become milliseconds or months, and
//! unnamed columns get Flink's names `EXPR$0`, `EXPR$1`, ….

use sqlparser::ast::{
    CastKind, CeilFloorKind, DataType, DateTimeField, ExactNumberInfo, Expr, Function, FunctionArg,
    FunctionArgExpr, FunctionArgumentList, FunctionArguments, Ident, Interval, ObjectName, Query,
    Select, SelectItem, Spanned, TableFactor, TrimWhereField, Value, VisitMut, VisitorMut,
};
use sqlparser::tokenizer::Span;
use std::collections::HashSet;
use std::ops::ControlFlow;

use super::error::{Checked, Fault};

/// What an unnamed column's name begins with.
pub(super) const UNNAMED_PREFIX: &str = "EXPR$";

/// Rewrites a query in place.
pub(super) fn rewrite_query(query: &mut Query) -> Checked<()> {
    run(query)
}

/// `UNNEST(…)` as the table function it is: sqlparser reads it as a table with arguments.
pub(super) fn recognise_unnest(query: &mut Query) {
    struct Recogniser;
    impl VisitorMut for Recogniser {
        type Break = ();

        fn pre_visit_table_factor(&mut self, factor: &mut TableFactor) -> ControlFlow<()> {
            if let Some(unnest) = unnest_of(factor) {
                *factor = unnest;
            }
            ControlFlow::Continue(())
        }
    }
    let _ = query.visit(&mut Recogniser);
}

fn unnest_of(factor: &TableFactor) -> Option<TableFactor> {
    let TableFactor::Table { name, alias, args: Some(arguments), with_ordinality, .. } = factor
    else {
        return None;
    };
    if !name.to_string().eq_ignore_ascii_case("UNNEST") {
        return None;
    }
    let array_exprs = arguments
        .args
        .iter()
        .map(|argument| match argument {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr.clone()),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()?;
    Some(TableFactor::UNNEST {
        alias: alias.clone(),
        array_exprs,
        with_offset: false,
        with_offset_alias: None,
        with_ordinality: *with_ordinality,
    })
}

/// Rewrites an expression of a column list in place.
pub(super) fn rewrite_expression(expression: &mut Expr) -> Checked<()> {
    run(expression)
}

fn run(tree: &mut impl VisitMut) -> Checked<()> {
    match tree.visit(&mut Rewriter) {
        ControlFlow::Break(fault) => Err(fault),
        ControlFlow::Continue(()) => Ok(()),
    }
}

struct Rewriter;

impl VisitorMut for Rewriter {
    type Break = Fault;

    fn pre_visit_select(&mut self, select: &mut Select) -> ControlFlow<Fault> {
        name_columns(select);
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<Fault> {
        match rewritten(expr) {
            Ok(Some(new)) => *expr = new,
            Ok(None) => {}
            Err(fault) => return ControlFlow::Break(fault),
        }
        ControlFlow::Continue(())
    }
}

/// Gives unnamed expressions Flink's names, and the second of two equal names a number.
fn name_columns(select: &mut Select) {
    let mut taken = HashSet::new();
    for (index, item) in select.projection.iter_mut().enumerate() {
        let name = match item {
            SelectItem::UnnamedExpr(Expr::Identifier(ident)) => ident.clone(),
            SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts)) => {
                parts[parts.len() - 1].clone()
            }
            SelectItem::UnnamedExpr(expr) => {
                Ident::with_span(expr.span(), format!("{UNNAMED_PREFIX}{index}"))
            }
            SelectItem::ExprWithAlias { alias, .. } => {
                taken.insert(alias.value.clone());
                continue;
            }
            _ => continue,
        };
        let unique = unique_name(&name.value, &mut taken);
        if let SelectItem::UnnamedExpr(expr) = item {
            let alias = Ident { value: unique, ..name };
            *item = SelectItem::ExprWithAlias { expr: expr.clone(), alias };
        }
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

fn rewritten(expr: &mut Expr) -> Checked<Option<Expr>> {
    let span = expr.span();
    Ok(Some(match expr {
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) if text.contains(['e', 'E']) => double_literal(text, span),
            _ => return Ok(None),
        },
        Expr::Interval(interval) => Expr::Interval(normal_interval(interval, span)?),
        Expr::Function(function) => {
            count_rows(function);
            return Ok(None);
        }
        Expr::Extract { field, expr, .. } => {
            call("EXTRACT", vec![text(&field.to_string(), span), (**expr).clone()], span)
        }
        Expr::Floor { expr, field } => return rounding("FLOOR", expr, field, span),
        Expr::Ceil { expr, field } => return rounding("CEIL", expr, field, span),
        Expr::Position { expr, r#in } => {
            call("POSITION", vec![(**expr).clone(), (**r#in).clone()], span)
        }
        Expr::Substring { expr, substring_from, substring_for, .. } => {
            let mut arguments = vec![(**expr).clone()];
            arguments.extend(substring_from.iter().map(|from| (**from).clone()));
            arguments.extend(substring_for.iter().map(|length| (**length).clone()));
            call("SUBSTRING", arguments, span)
        }
        Expr::Trim { trim_where, trim_what, expr, .. } => {
            let name = match trim_where {
                Some(TrimWhereField::Leading) => "LTRIM",
                Some(TrimWhereField::Trailing) => "RTRIM",
                Some(TrimWhereField::Both) | None => "BTRIM",
            };
            let mut arguments = vec![(**expr).clone()];
            arguments.extend(trim_what.iter().map(|what| (**what).clone()));
            call(name, arguments, span)
        }
        Expr::Array(array) => call("ARRAY", std::mem::take(&mut array.elem), span),
        _ => return Ok(None),
    }))
}

fn rounding(name: &str, expr: &Expr, field: &CeilFloorKind, span: Span) -> Checked<Option<Expr>> {
    let arguments = match field {
        CeilFloorKind::DateTimeField(DateTimeField::NoDateTime) => vec![expr.clone()],
        CeilFloorKind::DateTimeField(unit) => vec![expr.clone(), text(&unit.to_string(), span)],
        CeilFloorKind::Scale(_) => {
            return Err(Fault::span(
                span,
                format!("{name} takes one number; use ROUND for digits"),
            ));
        }
    };
    Ok(Some(call(name, arguments, span)))
}

fn call(name: &str, arguments: Vec<Expr>, span: Span) -> Expr {
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

fn text(value: &str, span: Span) -> Expr {
    Expr::Value(Value::SingleQuotedString(value.into()).with_span(span))
}

/// A literal with an exponent is a DOUBLE, not a DECIMAL.
fn double_literal(digits: &str, span: Span) -> Expr {
    Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(text(digits, span)),
        data_type: DataType::Double(ExactNumberInfo::None),
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

/// Length of an interval: months do not have one in milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum IntervalLength {
    /// YEAR and MONTH.
    Months(i64),
    /// DAY to SECOND.
    Millis(i64),
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

/// Length of an interval literal of Flink's forms.
///
/// # Errors
/// In words for the user.
pub(super) fn interval_length(interval: &Interval) -> Result<IntervalLength, String> {
    let written = match interval.value.as_ref() {
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(written) => written.trim(),
            _ => return Err("an INTERVAL is written INTERVAL '10' SECOND".into()),
        },
        _ => return Err("an INTERVAL is a literal: INTERVAL '10' SECOND".into()),
    };
    if interval.leading_field.is_none()
        && let Some(length) = normalised(written)
    {
        return Ok(length);
    }
    let (negative, digits) = match written.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, written),
    };
    let wrong = || format!("INTERVAL '{written}' is not one; write INTERVAL '10' SECOND");
    let length = match (&interval.leading_field, &interval.last_field) {
        (Some(unit), None) => single_unit(digits, unit).ok_or_else(wrong)?,
        (Some(first), Some(last)) => unit_range(digits, first, last).ok_or_else(wrong)?,
        _ => return Err(wrong()),
    };
    Ok(match length {
        IntervalLength::Months(count) if negative => IntervalLength::Months(-count),
        IntervalLength::Millis(count) if negative => IntervalLength::Millis(-count),
        length => length,
    })
}

/// The form this file writes.
fn normalised(written: &str) -> Option<IntervalLength> {
    if let Some(count) = written.strip_suffix(" months") {
        return count.parse().ok().map(IntervalLength::Months);
    }
    written.strip_suffix(" milliseconds")?.parse().ok().map(IntervalLength::Millis)
}

fn unit_millis(unit: &DateTimeField) -> Option<i64> {
    Some(match unit {
        DateTimeField::Week(None) | DateTimeField::Weeks => 7 * 86_400_000,
        DateTimeField::Day | DateTimeField::Days => 86_400_000,
        DateTimeField::Hour | DateTimeField::Hours => 3_600_000,
        DateTimeField::Minute | DateTimeField::Minutes => 60_000,
        DateTimeField::Second | DateTimeField::Seconds => 1_000,
        _ => return None,
    })
}

fn unit_months(unit: &DateTimeField) -> Option<i64> {
    Some(match unit {
        DateTimeField::Year | DateTimeField::Years => 12,
        DateTimeField::Quarter => 3,
        DateTimeField::Month | DateTimeField::Months => 1,
        _ => return None,
    })
}

fn single_unit(digits: &str, unit: &DateTimeField) -> Option<IntervalLength> {
    if let Some(months) = unit_months(unit) {
        return digits.parse::<i64>().ok()?.checked_mul(months).map(IntervalLength::Months);
    }
    let millis = unit_millis(unit)?;
    let length = match digits.split_once('.') {
        Some((whole, fraction)) if millis == 1_000 => whole
            .parse::<i64>()
            .ok()?
            .checked_mul(1_000)?
            .checked_add(fraction_millis(fraction)?)?,
        Some(_) => return None,
        None => digits.parse::<i64>().ok()?.checked_mul(millis)?,
    };
    Some(IntervalLength::Millis(length))
}

fn fraction_millis(digits: &str) -> Option<i64> {
    let valid = (1..=9).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if valid { format!("{digits:0<3}")[..3].parse().ok() } else { None }
}

/// `'1 02:03:04.5' DAY TO SECOND`, `'1-2' YEAR TO MONTH`, ….
fn unit_range(digits: &str, first: &DateTimeField, last: &DateTimeField) -> Option<IntervalLength> {
    if unit_months(first) == Some(12) && unit_months(last) == Some(1) {
        let (years, months) = digits.split_once('-')?;
        let years = years.parse::<i64>().ok()?.checked_mul(12)?;
        return years.checked_add(months.parse::<i64>().ok()?).map(IntervalLength::Months);
    }
    const UNITS: [i64; 4] = [86_400_000, 3_600_000, 60_000, 1_000];
    let position = |unit| UNITS.iter().position(|&millis| Some(millis) == unit_millis(unit));
    let (from, to) = (position(first)?, position(last)?);
    let parts: Vec<&str> = digits.split([' ', ':']).collect();
    if from >= to || parts.len() != to - from + 1 {
        return None;
    }
    let mut total = 0_i64;
    for (part, unit) in parts.iter().zip(&UNITS[from..=to]) {
        let (whole, fraction) = match part.split_once('.') {
            Some((whole, fraction)) if *unit == 1_000 => (whole, fraction_millis(fraction)?),
            Some(_) => return None,
            None => (*part, 0),
        };
        total = total.checked_add(whole.parse::<i64>().ok()?.checked_mul(*unit)?)?;
        total = total.checked_add(fraction)?;
    }
    Some(IntervalLength::Millis(total))
}

#[cfg(test)]
mod tests {
    use super::super::dialect::FlinkDialect;
    use super::*;
    use sqlparser::parser::Parser;

    #[track_caller]
    fn check(text: &str, expected: Option<IntervalLength>) {
        let mut parser = Parser::new(&FlinkDialect).try_with_sql(text).unwrap();
        let Expr::Interval(interval) = parser.parse_expr().unwrap() else { panic!("{text}") };
        assert_eq!(interval_length(&interval).ok(), expected, "{text}");
    }

    #[test]
    fn intervals_have_lengths() {
        use IntervalLength::{Millis, Months};
        check("INTERVAL '10' SECOND", Some(Millis(10_000)));
        check("INTERVAL '0.5' SECOND", Some(Millis(500)));
        check("INTERVAL '-5' MINUTE", Some(Millis(-300_000)));
        check("INTERVAL '2' DAY", Some(Millis(172_800_000)));
        check("INTERVAL '2' HOURS", Some(Millis(7_200_000)));
        check("INTERVAL '1 02:03:04.5' DAY TO SECOND", Some(Millis(93_784_500)));
        check("INTERVAL '02:03' MINUTE TO SECOND", Some(Millis(123_000)));
        check("INTERVAL '3' MONTH", Some(Months(3)));
        check("INTERVAL '1-2' YEAR TO MONTH", Some(Months(14)));
        check("INTERVAL 'x' SECOND", None);
        check("INTERVAL '1.5' MINUTE", None);
        check("INTERVAL '99999999999999999' DAY", None);
    }
}
