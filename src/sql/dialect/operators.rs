//! Operators between expressions that sqlparser reads otherwise than Flink, or not at all.
//!
//! `IS DISTINCT FROM` binds as a comparison does, `BETWEEN SYMMETRIC` takes its bounds in any order,
//! and CASE lists several values behind a WHEN.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{BinaryOperator, CaseWhen, Expr, Spanned, UnaryOperator};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;
use std::cell::Cell;

use super::super::functions::BETWEEN_SYMMETRIC_FUNCTION;
use super::super::rewrite::call;

type Parsed<T> = Result<T, ParserError>;

/// How tightly `IS DISTINCT FROM` binds: tighter than `=`, looser than `||`.
const DISTINCT_PRECEDENCE: u8 = 22;

/// sqlparser's precedence of BETWEEN.
const BETWEEN_PRECEDENCE: u8 = 20;

/// The precedence of the operator that comes next, where it is not sqlparser's.
pub(super) fn next_precedence(parser: &Parser) -> Option<u8> {
    negated_distinct(parser).map(|_| DISTINCT_PRECEDENCE)
}

/// Whether `IS NOT DISTINCT FROM` or `IS DISTINCT FROM` comes next, if one of them does.
fn negated_distinct(parser: &Parser) -> Option<bool> {
    let is = |ahead: usize, keyword: Keyword| {
        matches!(&parser.peek_nth_token_ref(ahead).token, Token::Word(word)
            if word.keyword == keyword && word.quote_style.is_none())
    };
    match is(0, Keyword::IS) {
        true if is(1, Keyword::DISTINCT) && is(2, Keyword::FROM) => Some(false),
        true if is(1, Keyword::NOT) && is(2, Keyword::DISTINCT) && is(3, Keyword::FROM) => {
            Some(true)
        }
        _ => None,
    }
}

/// The operation behind `left` that begins here, if it is one of ours.
pub(super) fn special_operation(parser: &mut Parser, left: &Expr) -> Option<Parsed<Expr>> {
    if let Some(negated) = negated_distinct(parser) {
        for _ in 0..if negated { 4 } else { 3 } {
            parser.next_token();
        }
        return Some(parser.parse_subexpr(DISTINCT_PRECEDENCE).map(|right| {
            let (left, right) = (Box::new(left.clone()), Box::new(right));
            match negated {
                true => Expr::IsNotDistinctFrom(left, right),
                false => Expr::IsDistinctFrom(left, right),
            }
        }));
    }
    for symmetry in ["SYMMETRIC", "ASYMMETRIC"] {
        for negated in [false, true] {
            let between = usize::from(negated);
            if is_between(parser, negated) && is_word(parser, between + 1, symmetry) {
                for _ in 0..between + 2 {
                    parser.next_token();
                }
                return Some(bounds(parser, left, negated, symmetry == "SYMMETRIC"));
            }
        }
    }
    None
}

fn is_word(parser: &Parser, ahead: usize, expected: &str) -> bool {
    matches!(&parser.peek_nth_token_ref(ahead).token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(expected))
}

fn is_between(parser: &Parser, negated: bool) -> bool {
    match negated {
        true => is_word(parser, 0, "NOT") && is_word(parser, 1, "BETWEEN"),
        false => is_word(parser, 0, "BETWEEN"),
    }
}

fn bounds(parser: &mut Parser, left: &Expr, negated: bool, symmetric: bool) -> Parsed<Expr> {
    let low = parser.parse_subexpr(BETWEEN_PRECEDENCE)?;
    parser.expect_keyword(Keyword::AND)?;
    let high = parser.parse_subexpr(BETWEEN_PRECEDENCE)?;
    let expr = left.clone();
    if !symmetric {
        let (expr, low, high) = (Box::new(expr), Box::new(low), Box::new(high));
        return Ok(Expr::Between { expr, negated, low, high });
    }
    let span = left.span();
    let within = call(BETWEEN_SYMMETRIC_FUNCTION, vec![expr, low, high], span);
    Ok(match negated {
        false => within,
        true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(within) },
    })
}

/// `CASE … END`; `prefixes_left` pays for each copy of the operand by its size.
pub(super) fn case_expression(parser: &mut Parser, prefixes_left: &Cell<usize>) -> Parsed<Expr> {
    let case_token = AttachedToken(parser.next_token());
    let before = prefixes_left.get();
    let operand = match parser.peek_keyword(Keyword::WHEN) {
        true => None,
        false => Some(parser.parse_expr()?),
    };
    let operand_size = before - prefixes_left.get();
    let mut branches = Vec::new();
    while parser.parse_keyword(Keyword::WHEN) {
        let values = parser.parse_comma_separated(Parser::parse_expr)?;
        if values.len() > 1 && operand.is_none() {
            return parser.expected("one condition behind WHEN", parser.peek_token());
        }
        parser.expect_keyword(Keyword::THEN)?;
        branches.push((values, parser.parse_expr()?));
    }
    if branches.is_empty() {
        return parser.expected("WHEN", parser.peek_token());
    }
    let else_result = match parser.parse_keyword(Keyword::ELSE) {
        true => Some(Box::new(parser.parse_expr()?)),
        false => None,
    };
    let end_token = AttachedToken(parser.expect_keyword(Keyword::END)?);
    let lists = branches.iter().any(|(values, _)| values.len() > 1);
    let mut conditions = Vec::with_capacity(branches.len());
    for (values, result) in branches {
        let condition = match &operand {
            Some(operand) if lists => {
                let left = prefixes_left.get().checked_sub(operand_size);
                prefixes_left.set(left.ok_or(ParserError::RecursionLimitExceeded)?);
                one_of(operand.clone(), values)
            }
            _ => values.into_iter().next().expect("a list has one part"),
        };
        conditions.push(CaseWhen { condition, result });
    }
    let operand = operand.filter(|_| !lists).map(Box::new);
    Ok(Expr::Case { case_token, end_token, operand, conditions, else_result })
}

/// `operand = value`, `operand IN (values)`.
fn one_of(operand: Expr, mut values: Vec<Expr>) -> Expr {
    let expr = Box::new(operand);
    match values.len() {
        1 => {
            let right = Box::new(values.remove(0));
            Expr::BinaryOp { left: expr, op: BinaryOperator::Eq, right }
        }
        _ => Expr::InList { expr, list: values, negated: false },
    }
}

#[cfg(test)]
mod tests {
    use super::super::FlinkDialect;
    use sqlparser::parser::Parser;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let dialect = FlinkDialect::new(32);
        let parsed = Parser::new(&dialect).try_with_sql(text).unwrap().parse_expr();
        let shown = parsed.map_or_else(|error| error.to_string(), |expr| expr.to_string());
        assert!(shown.starts_with(expected), "{text}: {shown}");
    }

    #[test]
    fn is_distinct_from_binds_as_a_comparison() {
        check("a IS NOT DISTINCT FROM NULL AND b", "a IS NOT DISTINCT FROM NULL AND b");
        check("a IS DISTINCT FROM b + 1 OR c", "a IS DISTINCT FROM b + 1 OR c");
        check("NOT a IS DISTINCT FROM b IS NULL", "NOT a IS DISTINCT FROM b IS NULL");
        check("a IS NOT NULL AND b IS NOT TRUE", "a IS NOT NULL AND b IS NOT TRUE");
    }

    #[test]
    fn between_has_symmetries() {
        check("a BETWEEN ASYMMETRIC 1 AND 2 AND b", "a BETWEEN 1 AND 2 AND b");
        check("a NOT BETWEEN ASYMMETRIC 1 AND 2", "a NOT BETWEEN 1 AND 2");
        check("a BETWEEN SYMMETRIC 1 + 1 AND 2 OR b", "$BETWEEN_SYMMETRIC(a, 1 + 1, 2) OR b");
        check("a NOT BETWEEN SYMMETRIC 1 AND 2", "NOT $BETWEEN_SYMMETRIC(a, 1, 2)");
        check("a BETWEEN SYMMETRIC 1", "sql parser error: Expected: AND");
    }

    #[test]
    fn when_takes_several_values() {
        check("CASE a WHEN 1 THEN 2 END", "CASE a WHEN 1 THEN 2 END");
        check("CASE WHEN a THEN b ELSE c END", "CASE WHEN a THEN b ELSE c END");
        check(
            "CASE a WHEN 1, 2 THEN 3 WHEN 4 THEN 5 END",
            "CASE WHEN a IN (1, 2) THEN 3 WHEN a = 4 THEN 5 END",
        );
        check("CASE WHEN a, b THEN 3 END", "sql parser error: Expected: one condition");
        check("CASE a END", "sql parser error: Expected: WHEN");
        check("CASE a WHEN 1 THEN 2", "sql parser error: Expected: END");
    }
}
