//! Expressions as SQL, for labels and messages.

use datafusion_common::ScalarValue;
use datafusion_expr::Operator;
use datafusion_physical_expr::expressions::{
    BinaryExpr, CaseExpr, InListExpr, IsNotNullExpr, IsNullExpr, LikeExpr, Literal, NegativeExpr,
    NotExpr,
};
use std::fmt;

use super::{Logic, Physical};

/// The expression as a user would write it.
pub(in crate::sql) fn sql_text(expr: &Physical) -> String {
    if let Some(literal) = expr.downcast_ref::<Literal>() {
        return literal_text(literal.value());
    }
    if let Some(binary) = expr.downcast_ref::<BinaryExpr>() {
        let operator = match binary.op() {
            Operator::NotEq => "<>".to_string(),
            other => other.to_string(),
        };
        return format!("{} {operator} {}", operand(binary.left()), operand(binary.right()));
    }
    if let Some(not) = expr.downcast_ref::<NotExpr>() {
        return format!("NOT {}", operand(not.arg()));
    }
    if let Some(negative) = expr.downcast_ref::<NegativeExpr>() {
        return format!("-{}", operand(negative.arg()));
    }
    if let Some(null) = expr.downcast_ref::<IsNullExpr>() {
        return format!("{} IS NULL", operand(null.arg()));
    }
    if let Some(null) = expr.downcast_ref::<IsNotNullExpr>() {
        return format!("{} IS NOT NULL", operand(null.arg()));
    }
    if let Some(like) = expr.downcast_ref::<LikeExpr>() {
        let not = if like.negated() { "NOT " } else { "" };
        return format!("{} {not}LIKE {}", operand(like.expr()), operand(like.pattern()));
    }
    if let Some(list) = expr.downcast_ref::<InListExpr>() {
        let not = if list.negated() { "NOT " } else { "" };
        let items: Vec<String> = list.list().iter().map(sql_text).collect();
        return format!("{} {not}IN ({})", operand(list.expr()), items.join(", "));
    }
    if let Some(case) = expr.downcast_ref::<CaseExpr>() {
        return case_text(case);
    }
    struct Shown<'a>(&'a Physical);
    impl fmt::Display for Shown<'_> {
        fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            self.0.fmt_sql(formatter)
        }
    }
    Shown(expr).to_string()
}

/// An operand, in parentheses where it is itself made of operators.
fn operand(expr: &Physical) -> String {
    let compound = expr.downcast_ref::<BinaryExpr>().is_some()
        || expr.downcast_ref::<Logic>().is_some()
        || expr.downcast_ref::<NotExpr>().is_some();
    if compound { format!("({})", sql_text(expr)) } else { sql_text(expr) }
}

fn case_text(case: &CaseExpr) -> String {
    let mut text = "CASE".to_string();
    for (when, then) in case.when_then_expr() {
        text.push_str(&format!(" WHEN {} THEN {}", sql_text(when), sql_text(then)));
    }
    if let Some(otherwise) = case.else_expr() {
        text.push_str(&format!(" ELSE {}", sql_text(otherwise)));
    }
    text + " END"
}

fn literal_text(value: &ScalarValue) -> String {
    match value.try_as_str() {
        Some(Some(text)) => format!("'{text}'"),
        _ => value.to_string(),
    }
}
