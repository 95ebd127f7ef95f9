//! Statements: a text into CREATE TABLE, CREATE VIEW, INSERT and SET, each with its place.
//!
//! Queries inside are sqlparser's; the statements around them are read here, because Flink's column
//! lists, `WITH` options and statement sets are its own.

use sqlparser::ast::{Ident, ObjectName, Query};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token};

use super::SqlText;
use super::ddl::{CreateTable, parse_column_list, parse_create_table};
use super::dialect::{FlinkDialect, parser_fault, tokenize};
use super::error::{Checked, Fault};
use super::hints::Hints;
use super::reserved::check_name;
use crate::limits::{SQL_PARSER_DEPTH_MAX, SQL_STATEMENTS_MAX};

/// A statement and where it begins.
pub(super) struct Statement {
    /// Place of its first token.
    pub(super) location: Location,
    /// What it says.
    pub(super) kind: StatementKind,
}

/// What a statement says.
pub(super) enum StatementKind {
    /// CREATE TABLE.
    CreateTable(Box<CreateTable>),
    /// CREATE VIEW.
    CreateView {
        /// Its name.
        name: Ident,
        /// Nothing is done when the name is taken.
        if_not_exists: bool,
        /// Names for its columns; empty to keep the query's.
        columns: Vec<Ident>,
        /// What it stands for.
        query: Box<Query>,
    },
    /// INSERT INTO.
    Insert {
        /// The sink.
        table: ObjectName,
        /// Columns written, in the query's order; empty for all.
        columns: Vec<Ident>,
        /// The rows.
        query: Box<Query>,
    },
    /// SET 'key' = 'value'.
    Set {
        /// Without quotes.
        key: String,
        /// Without quotes.
        value: String,
    },
}

/// The statements of a text, in order, and its hints.
pub(super) fn parse_statements(text: &SqlText) -> Checked<(Vec<Statement>, Hints)> {
    with_parser(text, |parser| {
        let mut statements = Vec::new();
        let mut in_set = false;
        loop {
            while parser.consume_token(&Token::SemiColon) {}
            let location = parser.peek_token().span.start;
            if parser.peek_token().token == Token::EOF {
                break;
            }
            if !in_set && opens_set(parser) {
                in_set = true;
                continue;
            }
            if statements.len() == SQL_STATEMENTS_MAX {
                let message = format!("the SQL text has more than {SQL_STATEMENTS_MAX} statements");
                return refuse(parser, &message);
            }
            if in_set && parser.parse_keyword(Keyword::END) {
                in_set = false;
            } else {
                let kind = parse_statement(parser, text)?;
                statements.push(Statement { location, kind });
            }
            expect_end_of_statement(parser)?;
        }
        if in_set {
            parser.expected("END of the statement set", parser.peek_token())
        } else {
            Ok(statements)
        }
    })
}

/// The column list of a TOML table: what stands between the parentheses of CREATE TABLE.
pub(super) fn parse_schema(text: &SqlText) -> Checked<super::ddl::ColumnList> {
    let (list, _) = with_parser(text, |parser| {
        let list = parse_column_list(parser)?;
        match parser.peek_token() {
            token if token.token == Token::EOF => Ok(list),
            token => parser.expected("a comma or the end of the schema", token),
        }
    })?;
    Ok(list)
}

/// Runs `parse` over a text's tokens, and gives its error a place; hints come beside the result.
fn with_parser<T>(
    text: &SqlText,
    parse: impl FnOnce(&mut Parser) -> Result<T, ParserError>,
) -> Checked<(T, Hints)> {
    let (tokens, hints) = tokenize(&text.text)?;
    let dialect = FlinkDialect::new(tokens.len());
    let mut parser = Parser::new(&dialect)
        .with_recursion_limit(SQL_PARSER_DEPTH_MAX)
        .with_tokens_with_locations(tokens);
    match parse(&mut parser) {
        Ok(parsed) => Ok((parsed, hints)),
        Err(error) => Err(parser_fault(error, parser.peek_token().span.start)),
    }
}

/// `EXECUTE STATEMENT SET BEGIN` or `BEGIN STATEMENT SET;`.
fn opens_set(parser: &mut Parser) -> bool {
    if !parser.peek_keyword(Keyword::EXECUTE) && !parser.peek_keyword(Keyword::BEGIN) {
        return false;
    }
    let begun = parser.peek_keyword(Keyword::BEGIN);
    let [_, statement, set] = parser.peek_tokens();
    let is = |token: &Token, keyword| matches!(token, Token::Word(word) if word.keyword == keyword);
    if !is(&statement, Keyword::STATEMENT) || !is(&set, Keyword::SET) {
        return false;
    }
    for _ in 0..3 {
        parser.next_token();
    }
    begun || parser.parse_keyword(Keyword::BEGIN)
}

fn expect_end_of_statement(parser: &mut Parser) -> Result<(), ParserError> {
    let token = parser.peek_token();
    match token.token {
        Token::SemiColon | Token::EOF => Ok(()),
        _ => parser.expected("`;` or the end of the SQL", token),
    }
}

fn parse_statement(parser: &mut Parser, text: &SqlText) -> Result<StatementKind, ParserError> {
    let token = parser.peek_token();
    let Token::Word(word) = &token.token else {
        return parser.expected("a statement", token);
    };
    match word.keyword {
        Keyword::CREATE => parse_create(parser, text),
        Keyword::INSERT => parse_insert(parser),
        Keyword::SET => parse_set(parser),
        Keyword::EXECUTE => {
            parser.next_token();
            parse_insert(parser)
        }
        Keyword::SELECT | Keyword::WITH => {
            refuse(parser, "a query alone has nowhere to write; put INSERT INTO sink before it")
        }
        _ => {
            let name = word.value.to_uppercase();
            refuse(
                parser,
                &format!(
                    "{name} is not supported; a job is CREATE TABLE, CREATE VIEW, INSERT and SET"
                ),
            )
        }
    }
}

/// An error at the next token.
pub(super) fn refuse<T>(parser: &Parser, message: &str) -> Result<T, ParserError> {
    let Location { line, column } = parser.peek_token().span.start;
    Err(ParserError::ParserError(format!("{message} at Line: {line}, Column: {column}")))
}

fn parse_create(parser: &mut Parser, text: &SqlText) -> Result<StatementKind, ParserError> {
    parser.expect_keyword(Keyword::CREATE)?;
    if parser.peek_keyword(Keyword::OR) {
        return refuse(parser, "OR REPLACE is not supported; a name is declared once");
    }
    let _ = parser.parse_one_of_keywords(&[Keyword::TEMPORARY, Keyword::TEMP]);
    if parser.parse_keyword(Keyword::TABLE) {
        return parse_create_table(parser, text)
            .map(|table| StatementKind::CreateTable(Box::new(table)));
    }
    if parser.parse_keyword(Keyword::VIEW) {
        return parse_create_view(parser);
    }
    let what = parser.peek_token().token.to_string().to_uppercase();
    refuse(parser, &format!("CREATE {what} is not supported; CREATE TABLE and CREATE VIEW are"))
}

fn parse_create_view(parser: &mut Parser) -> Result<StatementKind, ParserError> {
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let name = simple_name(parser)?;
    let columns = parse_names(parser)?;
    if parser.parse_keyword(Keyword::COMMENT) {
        parser.parse_literal_string()?;
    }
    parser.expect_keyword(Keyword::AS)?;
    Ok(StatementKind::CreateView { name, if_not_exists, columns, query: parser.parse_query()? })
}

fn parse_insert(parser: &mut Parser) -> Result<StatementKind, ParserError> {
    parser.expect_keyword(Keyword::INSERT)?;
    if parser.peek_keyword(Keyword::OVERWRITE) {
        return refuse(parser, "INSERT OVERWRITE is not supported; nothing is ever overwritten");
    }
    parser.expect_keyword(Keyword::INTO)?;
    let table = parser.parse_object_name(false)?;
    if parser.peek_keyword(Keyword::PARTITION) {
        return refuse(parser, "PARTITION in INSERT is not supported");
    }
    // `(a, b)` is a column list unless a query begins inside the parentheses.
    let columns = match parser.peek_tokens() {
        [Token::LParen, Token::Word(word)]
            if !matches!(word.keyword, Keyword::SELECT | Keyword::WITH | Keyword::VALUES) =>
        {
            parse_names(parser)?
        }
        _ => Vec::new(),
    };
    Ok(StatementKind::Insert { table, columns, query: parser.parse_query()? })
}

fn parse_set(parser: &mut Parser) -> Result<StatementKind, ParserError> {
    parser.expect_keyword(Keyword::SET)?;
    let token = parser.peek_token();
    if !matches!(token.token, Token::SingleQuotedString(_)) {
        return parser.expected("SET 'key' = 'value' with quotes", token);
    }
    let key = parser.parse_literal_string()?;
    parser.expect_token(&Token::Eq)?;
    Ok(StatementKind::Set { key, value: parser.parse_literal_string()? })
}

/// `(a, b)`, or nothing.
fn parse_names(parser: &mut Parser) -> Result<Vec<Ident>, ParserError> {
    if !parser.consume_token(&Token::LParen) {
        return Ok(Vec::new());
    }
    let names = parser.parse_comma_separated(new_name)?;
    parser.expect_token(&Token::RParen)?;
    Ok(names)
}

/// A name in the one catalog and database there are.
pub(super) fn simple_name(parser: &mut Parser) -> Result<Ident, ParserError> {
    let name = parser.parse_object_name(false)?;
    last_part(&name).and_then(checked_name).map_err(in_parsers_words)
}

/// A name that is no reserved word.
pub(super) fn new_name(parser: &mut Parser) -> Result<Ident, ParserError> {
    parser.parse_identifier().and_then(|name| checked_name(name).map_err(in_parsers_words))
}

fn checked_name(name: Ident) -> Checked<Ident> {
    check_name(&name).map(|()| name)
}

/// A fault in the form the parser itself writes.
fn in_parsers_words(fault: Fault) -> ParserError {
    let Location { line, column } = fault.location.unwrap_or(Location { line: 1, column: 1 });
    ParserError::ParserError(format!("{} at Line: {line}, Column: {column}", fault.message))
}

/// The table's own name; a qualified name must be in Flink's default catalog and database.
pub(super) fn last_part(name: &ObjectName) -> Checked<Ident> {
    let parts: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
    let texts: Vec<&str> = parts.iter().map(|ident| ident.value.as_str()).collect();
    match texts[..] {
        [_] | ["default_database", _] | ["default_catalog", "default_database", _] => {
            Ok(parts[parts.len() - 1].clone())
        }
        _ => Err(Fault::at(
            parts.first().map_or(Location { line: 0, column: 0 }, |ident| ident.span.start),
            format!(
                "there is one catalog and one database; write the table's name alone, not {name}"
            ),
        )),
    }
}
