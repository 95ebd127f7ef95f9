//! Flink's dialect: how characters become tokens, and what is refused already there.
//!
//! Back-ticks quote identifiers; `"x"` quotes nothing; names keep their case; `TABLE t` is an
//! argument of window functions.

mod calls;
mod operators;

use sqlparser::ast::{CastKind, Expr, Query, SetExpr, Statement, TableFactor, TableWithJoins};
use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer};
use std::cell::Cell;

use super::error::{Checked, Fault};
use super::hints::Hints;
use super::rewrite::call;
use super::tokens::in_known_forms;
use super::type_syntax::parse_type;
use crate::limits::{SQL_NESTING_MAX, SQL_TEXT_BYTES_MAX, SQL_TOKENS_MAX};
use calls::{special_call, special_predicate};
use operators::{case_expression, next_precedence, special_operation};

/// Expressions begun per token. Where sqlparser fails it tries other readings of what it has read,
/// and inside each of those again: `CASE WHEN a THEN CASE WHEN …` without END would take 2ⁿ tries.
const PREFIXES_PER_TOKEN_MAX: usize = 16;

/// Parentheses more than one before a SELECT that are open at a time; each doubles the tries.
const DOUBLED_QUERIES_MAX: usize = 8;

/// Flink SQL, as far as sqlparser has to know.
#[derive(Debug)]
pub(super) struct FlinkDialect {
    /// Expressions that may still be begun.
    prefixes_left: Cell<usize>,
}

impl FlinkDialect {
    /// For a text of so many tokens.
    pub(super) fn new(tokens: usize) -> FlinkDialect {
        FlinkDialect { prefixes_left: Cell::new((tokens + 64) * PREFIXES_PER_TOKEN_MAX) }
    }
}

impl Dialect for FlinkDialect {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`'
    }

    fn identifier_quote_style(&self, _identifier: &str) -> Option<char> {
        Some('`')
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_alphanumeric() || ch == '_' || ch == '$'
    }

    fn supports_filter_during_aggregation(&self) -> bool {
        true
    }

    fn supports_group_by_expr(&self) -> bool {
        true
    }

    fn supports_named_fn_args_with_rarrow_operator(&self) -> bool {
        true
    }

    fn supports_string_literal_concatenation_with_newline(&self) -> bool {
        true
    }

    fn supports_boolean_literals(&self) -> bool {
        true
    }

    fn supports_match_recognize(&self) -> bool {
        true
    }

    fn supports_table_versioning(&self) -> bool {
        true
    }

    fn parse_prefix(&self, parser: &mut Parser) -> Option<Result<Expr, ParserError>> {
        let Some(left) = self.prefixes_left.get().checked_sub(1) else {
            return Some(Err(ParserError::RecursionLimitExceeded));
        };
        self.prefixes_left.set(left);
        let [first, next] = parser.peek_tokens();
        let keyword = match &first {
            Token::Word(word) => word.keyword,
            _ => Keyword::NoKeyword,
        };
        match (keyword, next) {
            (Keyword::TABLE, Token::Word(_)) => Some(table_argument(parser)),
            (Keyword::TABLE, _) => None,
            (Keyword::MAP, Token::LBracket) => Some(map_constructor(parser)),
            (Keyword::CASE, _) => Some(case_expression(parser, &self.prefixes_left)),
            (Keyword::CAST, Token::LParen) => Some(cast_expression(parser, CastKind::Cast)),
            (Keyword::TRY_CAST, Token::LParen) => Some(cast_expression(parser, CastKind::TryCast)),
            _ => special_call(parser),
        }
    }

    fn parse_infix(
        &self,
        parser: &mut Parser,
        expr: &Expr,
        precedence: u8,
    ) -> Option<Result<Expr, ParserError>> {
        special_operation(parser, expr).or_else(|| special_predicate(parser, expr, precedence))
    }

    fn get_next_precedence(&self, parser: &Parser) -> Option<Result<u8, ParserError>> {
        next_precedence(parser).map(Ok)
    }

    fn parse_statement(&self, _: &mut Parser) -> Option<Result<Statement, ParserError>> {
        None
    }
}

/// `TABLE t` as the argument of a window function: the subquery `(SELECT * FROM t)`.
fn table_argument(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.expect_keyword(Keyword::TABLE)?;
    let name = parser.parse_object_name(false)?;
    let mut query = select_all_from_t()?;
    if let SetExpr::Select(select) = query.body.as_mut()
        && let TableFactor::Table { name: placeholder, .. } = &mut select.from[0].relation
    {
        *placeholder = name;
    }
    Ok(Expr::Subquery(query))
}

/// `MAP[key, value, …]`, as a call.
fn map_constructor(parser: &mut Parser) -> Result<Expr, ParserError> {
    let name = parser.parse_identifier()?;
    parser.expect_token(&Token::LBracket)?;
    let parts = parser.parse_comma_separated0(Parser::parse_expr, Token::RBracket)?;
    if parts.is_empty() {
        let message = "MAP[] has no types; write CAST(NULL AS MAP<…>) or name an entry";
        return super::statement::refuse(parser, message);
    }
    parser.expect_token(&Token::RBracket)?;
    Ok(call("MAP", parts, name.span))
}

/// `CAST(… AS type)`, with Flink's types.
fn cast_expression(parser: &mut Parser, kind: CastKind) -> Result<Expr, ParserError> {
    parser.next_token();
    parser.expect_token(&Token::LParen)?;
    let expr = Box::new(parser.parse_expr()?);
    parser.expect_keyword(Keyword::AS)?;
    let data_type = parse_type(parser)?;
    parser.expect_token(&Token::RParen)?;
    Ok(Expr::Cast { kind, expr, data_type, array: false, format: None })
}

fn select_all_from_t() -> Result<Box<Query>, ParserError> {
    Parser::new(&FlinkDialect::new(4)).try_with_sql("SELECT * FROM t")?.parse_query()
}

/// `SELECT * FROM from`.
pub(super) fn select_all(from: Vec<TableWithJoins>) -> Checked<Box<Query>> {
    let mut query = select_all_from_t()
        .map_err(|error| parser_fault(error, Location { line: 0, column: 0 }))?;
    if let SetExpr::Select(select) = query.body.as_mut() {
        select.from = from;
    }
    Ok(query)
}

/// Tokens of `text`, within the limits, without what Flink does not know; and its hints.
pub(super) fn tokenize(text: &str) -> Checked<(Vec<TokenWithSpan>, Hints)> {
    if text.len() > SQL_TEXT_BYTES_MAX {
        let message = format!(
            "the SQL text has {} bytes, more than {SQL_TEXT_BYTES_MAX}; split the job",
            text.len()
        );
        return Err(Fault::at(place_of_byte(text, SQL_TEXT_BYTES_MAX), message));
    }
    let mut tokens =
        Tokenizer::new(&FlinkDialect::new(0), text).tokenize_with_location().map_err(|error| {
            Fault::at(error.location, format!("{}; close what is open here", error.message))
        })?;
    if let Some(token) = tokens.get(SQL_TOKENS_MAX) {
        let message = format!("the SQL text has more than {SQL_TOKENS_MAX} tokens; split the job");
        return Err(Fault::span(token.span, message));
    }
    let hints = Hints::take(&mut tokens)?;
    tokens.iter().try_for_each(check_token)?;
    check_nesting(&tokens)?;
    Ok((in_known_forms(text, tokens)?, hints))
}

/// Line and column of the character that holds byte `at`.
fn place_of_byte(text: &str, at: usize) -> Location {
    let before = &text[..text.floor_char_boundary(at)];
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let column = before[start..].chars().count() + 1;
    Location { line: line as u64, column: column as u64 }
}

/// Refuses what another dialect would read differently.
fn check_token(token: &TokenWithSpan) -> Checked<()> {
    let message = match &token.token {
        Token::DoubleQuotedString(text) => {
            format!("\"{text}\" is not an identifier; write `{text}`, or '{text}' for a string")
        }
        Token::DoubleColon => ":: is not supported; write CAST(… AS …)".into(),
        Token::DoubleEq => "== is not supported; write =".into(),
        Token::Placeholder(text) => format!("the parameter {text} is not supported"),
        _ => return Ok(()),
    };
    Err(Fault::span(token.span, message))
}

/// Refuses nesting on which the parser would spend its stack.
fn check_nesting(tokens: &[TokenWithSpan]) -> Checked<()> {
    let mut round = Parentheses::default();
    let (mut angled, mut square) = (0_usize, 0_usize);
    let mut behind_type = false;
    for token in tokens.iter().filter(|token| !matches!(token.token, Token::Whitespace(_))) {
        round.read(&token.token);
        match &token.token {
            // Elsewhere `<` compares.
            Token::Lt if behind_type => angled += 1,
            Token::Gt => angled = angled.saturating_sub(1),
            Token::ShiftRight => angled = angled.saturating_sub(2),
            Token::LBracket => square += 1,
            Token::RBracket => square = square.saturating_sub(1),
            _ => {}
        }
        let what = if round.open.len() > SQL_NESTING_MAX {
            format!("parentheses are nested deeper than {SQL_NESTING_MAX}")
        } else if square > SQL_NESTING_MAX {
            format!("brackets are nested deeper than {SQL_NESTING_MAX}")
        } else if angled > SQL_NESTING_MAX {
            format!("types are nested deeper than {SQL_NESTING_MAX}")
        } else if round.doubled > DOUBLED_QUERIES_MAX {
            "queries stand in too many parentheses; one pair is enough".into()
        } else {
            behind_type = takes_elements(&token.token);
            continue;
        };
        return Err(Fault::span(token.span, what));
    }
    Ok(())
}

/// Parentheses that are open, and how many of them are more than one before the same query.
#[derive(Default)]
struct Parentheses {
    /// For each whether it is counted in `doubled`.
    open: Vec<bool>,
    doubled: usize,
    /// Opened one behind the other, up to the last token.
    run: usize,
}

impl Parentheses {
    fn read(&mut self, token: &Token) {
        match token {
            Token::LParen => {
                self.open.push(false);
                self.run += 1;
                return;
            }
            Token::RParen => {
                let counted = self.open.pop() == Some(true);
                self.doubled -= usize::from(counted);
            }
            Token::Word(word) if matches!(word.keyword, Keyword::SELECT | Keyword::WITH) => {
                let count = self.run.saturating_sub(1);
                let last = self.open.len();
                for counted in &mut self.open[last - count..] {
                    *counted = true;
                }
                self.doubled += count;
            }
            _ => {}
        }
        self.run = 0;
    }
}

/// `ARRAY`, `MAP`, `ROW` and what other dialects call them.
fn takes_elements(token: &Token) -> bool {
    const NAMES: [&str; 6] = ["ARRAY", "MAP", "ROW", "STRUCT", "MULTISET", "NULLABLE"];
    matches!(token, Token::Word(word) if word.quote_style.is_none()
        && NAMES.iter().any(|name| word.value.eq_ignore_ascii_case(name)))
}

/// sqlparser's error, with its place taken out of its text.
pub(super) fn parser_fault(error: ParserError, last: Location) -> Fault {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => {
            return Fault::at(last, "this is nested too deeply; name a part of it with a view");
        }
    };
    if text.starts_with("No infix parser") {
        return Fault::at(last, "the operator before this is not supported");
    }
    let Some((message, place)) = text.rsplit_once(" at Line: ") else {
        return Fault::at(last, text);
    };
    let mut numbers = place.split(", Column: ").map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(line)), Some(Ok(column))) => Fault::at(Location { line, column }, message),
        _ => Fault::at(last, text),
    }
}
