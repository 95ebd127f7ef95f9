//! Flink's dialect: how characters become tokens, and what is refused already there.
//!
//! Back-ticks quote identifiers; `"x"` quotes nothing; names keep their case; `TABLE t` is an
//! argument of window functions.

use sqlparser::ast::{Expr, SetExpr, Statement};
use sqlparser::dialect::Dialect;
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};

use super::error::{Checked, Fault};
use crate::limits::{SQL_NESTING_MAX, SQL_TEXT_BYTES_MAX, SQL_TOKENS_MAX};

/// Flink SQL, as far as sqlparser has to know.
#[derive(Debug)]
pub(super) struct FlinkDialect;

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
        if !parser.peek_keyword(Keyword::TABLE) {
            return None;
        }
        let [_, next] = parser.peek_tokens();
        matches!(next, Token::Word(_)).then(|| table_argument(parser))
    }

    fn parse_statement(&self, _: &mut Parser) -> Option<Result<Statement, ParserError>> {
        None
    }
}

/// `TABLE t` as the argument of a window function: the subquery `(SELECT * FROM t)`.
fn table_argument(parser: &mut Parser) -> Result<Expr, ParserError> {
    parser.expect_keyword(Keyword::TABLE)?;
    let name = parser.parse_object_name(false)?;
    let mut query = Parser::new(&FlinkDialect).try_with_sql("SELECT * FROM t")?.parse_query()?;
    if let SetExpr::Select(select) = query.body.as_mut()
        && let Some(from) = select.from.first_mut()
        && let sqlparser::ast::TableFactor::Table { name: placeholder, .. } = &mut from.relation
    {
        *placeholder = name;
    }
    Ok(Expr::Subquery(query))
}

/// Tokens of `text`, within the limits, without what Flink does not know.
pub(super) fn tokenize(text: &str) -> Checked<Vec<TokenWithSpan>> {
    if text.len() > SQL_TEXT_BYTES_MAX {
        return Err(Fault::anywhere(format!(
            "the SQL text has {} bytes, more than {SQL_TEXT_BYTES_MAX}; split the job",
            text.len()
        )));
    }
    let tokens = Tokenizer::new(&FlinkDialect, text).tokenize_with_location().map_err(|error| {
        Fault::at(error.location, format!("{}; close what is open here", error.message))
    })?;
    if let Some(token) = tokens.get(SQL_TOKENS_MAX) {
        let message = format!("the SQL text has more than {SQL_TOKENS_MAX} tokens; split the job");
        return Err(Fault::span(token.span, message));
    }
    tokens.iter().try_for_each(check_token)?;
    check_nesting(&tokens)?;
    Ok(tokens)
}

/// Refuses what another dialect would read differently.
fn check_token(token: &TokenWithSpan) -> Checked<()> {
    let message = match &token.token {
        Token::DoubleQuotedString(text) => {
            format!("\"{text}\" is not an identifier; write `{text}`, or '{text}' for a string")
        }
        Token::Whitespace(Whitespace::MultiLineComment(text)) if text.starts_with('+') => {
            "the hint /*+ … */ is not supported; put options into WITH (…) or the TOML file".into()
        }
        Token::Placeholder(text) => format!("the parameter {text} is not supported"),
        _ => return Ok(()),
    };
    Err(Fault::span(token.span, message))
}

/// Refuses nesting on which the parser would spend its stack.
fn check_nesting(tokens: &[TokenWithSpan]) -> Checked<()> {
    let mut depth = 0_usize;
    for token in tokens {
        match token.token {
            Token::LParen => depth += 1,
            Token::RParen => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > SQL_NESTING_MAX {
            let message = format!("parentheses are nested deeper than {SQL_NESTING_MAX}");
            return Err(Fault::span(token.span, message));
        }
    }
    Ok(())
}

/// sqlparser's error, with its place taken out of its text.
pub(super) fn parser_fault(error: ParserError, last: Location) -> Fault {
    let text = match error {
        ParserError::TokenizerError(text) | ParserError::ParserError(text) => text,
        ParserError::RecursionLimitExceeded => {
            return Fault::at(last, "this is nested too deeply; name a part of it with a view");
        }
    };
    let Some((message, place)) = text.rsplit_once(" at Line: ") else {
        return Fault::at(last, text);
    };
    let mut numbers = place.split(", Column: ").map(str::parse::<u64>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(line)), Some(Ok(column))) => Fault::at(Location { line, column }, message),
        _ => Fault::at(last, text),
    }
}
