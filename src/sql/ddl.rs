//! CREATE TABLE: columns of Flink's types, computed columns, WATERMARK FOR, PRIMARY KEY, WITH.

use sqlparser::ast::{Expr, Ident};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token};
use std::collections::BTreeMap;

use super::statement::{refuse, simple_name};
use super::types::{LOCAL_ZONE, SqlType, list_of, map_of, row_of, timestamp};
use super::{SqlText, WithOption};

/// A CREATE TABLE statement.
pub(super) struct CreateTable {
    /// Its name.
    pub(super) name: Ident,
    /// Nothing is done when the name is taken.
    pub(super) if_not_exists: bool,
    /// What stands between the parentheses.
    pub(super) list: ColumnList,
    /// `WITH (…)`, with places of the file.
    pub(super) options: BTreeMap<String, WithOption>,
}

/// What stands between the parentheses of CREATE TABLE.
#[derive(Default)]
pub(super) struct ColumnList {
    /// In order.
    pub(super) columns: Vec<ColumnDeclaration>,
    /// `WATERMARK FOR column AS expression`.
    pub(super) watermark: Option<(Ident, Expr)>,
    /// `PRIMARY KEY (…) NOT ENFORCED`.
    pub(super) primary_key: Vec<Ident>,
}

/// A column as declared.
pub(super) struct ColumnDeclaration {
    /// Name and place.
    pub(super) name: Ident,
    /// Where its values come from.
    pub(super) kind: DeclaredKind,
}

/// Where a column's values come from.
pub(super) enum DeclaredKind {
    /// From the record.
    Physical {
        /// Its type.
        sql_type: SqlType,
        /// False for NOT NULL.
        nullable: bool,
    },
    /// `name AS expression`.
    Computed(Box<Expr>),
}

/// After `CREATE TABLE`.
pub(super) fn parse_create_table(
    parser: &mut Parser,
    text: &SqlText,
) -> Result<CreateTable, ParserError> {
    let if_not_exists = parser.parse_keywords(&[Keyword::IF, Keyword::NOT, Keyword::EXISTS]);
    let name = simple_name(parser)?;
    parser.expect_token(&Token::LParen)?;
    let list = parse_column_list(parser)?;
    parser.expect_token(&Token::RParen)?;
    if parser.parse_keyword(Keyword::COMMENT) {
        parser.parse_literal_string()?;
    }
    if parser.peek_keyword(Keyword::PARTITIONED) {
        return refuse(parser, "PARTITIONED BY is not supported");
    }
    if parser.peek_keyword(Keyword::LIKE) || parser.peek_keyword(Keyword::AS) {
        return refuse(parser, "CREATE TABLE LIKE and AS are not supported; list the columns");
    }
    parser.expect_keyword(Keyword::WITH)?;
    Ok(CreateTable { name, if_not_exists, list, options: parse_options(parser, text)? })
}

/// `('key' = 'value', …)`.
fn parse_options(
    parser: &mut Parser,
    text: &SqlText,
) -> Result<BTreeMap<String, WithOption>, ParserError> {
    parser.expect_token(&Token::LParen)?;
    let mut options = BTreeMap::new();
    let pairs = parser.parse_comma_separated0(
        |parser| {
            let key_place = parser.peek_token().span.start;
            let key = parser.parse_literal_string()?;
            parser.expect_token(&Token::Eq)?;
            let place = parser.peek_token().span.start;
            Ok((key_place, key, place, parser.parse_literal_string()?))
        },
        Token::RParen,
    )?;
    parser.expect_token(&Token::RParen)?;
    for (key_place, key, place, value) in pairs {
        let (line, column) = text.place(place);
        let option = WithOption { value, line, column };
        if options.insert(key.clone(), option).is_some() {
            return error_at(key_place, &format!("the option '{key}' is given twice"));
        }
    }
    Ok(options)
}

/// Columns, WATERMARK and PRIMARY KEY, separated by commas; a trailing comma is forgiven, since a
/// TOML schema is edited line by line.
pub(super) fn parse_column_list(parser: &mut Parser) -> Result<ColumnList, ParserError> {
    let mut list = ColumnList::default();
    loop {
        parse_list_item(parser, &mut list)?;
        let more = parser.consume_token(&Token::Comma);
        let at_end = matches!(parser.peek_token().token, Token::EOF | Token::RParen);
        if !more || at_end {
            return Ok(list);
        }
    }
}

fn parse_list_item(parser: &mut Parser, list: &mut ColumnList) -> Result<(), ParserError> {
    let [first, second] = parser.peek_tokens();
    let word_is = |token: &Token, text: &str| {
        matches!(token, Token::Word(word) if word.quote_style.is_none()
            && word.value.eq_ignore_ascii_case(text))
    };
    if word_is(&first, "WATERMARK") && word_is(&second, "FOR") {
        return parse_watermark(parser, list);
    }
    if word_is(&first, "CONSTRAINT") {
        parser.next_token();
        parser.parse_identifier()?;
        return parse_primary_key(parser, list);
    }
    if word_is(&first, "PRIMARY") && word_is(&second, "KEY") {
        return parse_primary_key(parser, list);
    }
    let column = parse_column(parser, list)?;
    if list.columns.iter().any(|other| other.name.value == column.name.value) {
        let message = format!("the column `{}` is declared twice", column.name.value);
        return error_at(column.name.span.start, &message);
    }
    list.columns.push(column);
    Ok(())
}

fn parse_watermark(parser: &mut Parser, list: &mut ColumnList) -> Result<(), ParserError> {
    if list.watermark.is_some() {
        return refuse(parser, "a table has one WATERMARK");
    }
    parser.next_token();
    parser.next_token();
    let column = parser.parse_identifier()?;
    parser.expect_keyword(Keyword::AS)?;
    list.watermark = Some((column, parser.parse_expr()?));
    Ok(())
}

fn parse_primary_key(parser: &mut Parser, list: &mut ColumnList) -> Result<(), ParserError> {
    parser.expect_keywords(&[Keyword::PRIMARY, Keyword::KEY])?;
    parser.expect_token(&Token::LParen)?;
    list.primary_key = parser.parse_comma_separated(Parser::parse_identifier)?;
    parser.expect_token(&Token::RParen)?;
    if parser.parse_keywords(&[Keyword::NOT, Keyword::ENFORCED]) {
        return Ok(());
    }
    refuse(parser, "a PRIMARY KEY is not checked here; write PRIMARY KEY (…) NOT ENFORCED")
}

fn parse_column(
    parser: &mut Parser,
    list: &mut ColumnList,
) -> Result<ColumnDeclaration, ParserError> {
    let name = parser.parse_identifier()?;
    if parser.parse_keyword(Keyword::AS) {
        let expression = parser.parse_expr()?;
        parse_column_comment(parser)?;
        return Ok(ColumnDeclaration { name, kind: DeclaredKind::Computed(Box::new(expression)) });
    }
    let sql_type = parse_type(parser)?;
    let nullable = parse_nullability(parser);
    if parser.parse_keywords(&[Keyword::PRIMARY, Keyword::KEY]) {
        if !parser.parse_keywords(&[Keyword::NOT, Keyword::ENFORCED]) {
            return refuse(parser, "a PRIMARY KEY is not checked here; add NOT ENFORCED");
        }
        list.primary_key = vec![name.clone()];
    }
    if parser.peek_keyword(Keyword::METADATA) {
        return refuse(parser, "METADATA columns are not supported");
    }
    parse_column_comment(parser)?;
    Ok(ColumnDeclaration { name, kind: DeclaredKind::Physical { sql_type, nullable } })
}

fn parse_nullability(parser: &mut Parser) -> bool {
    if parser.parse_keywords(&[Keyword::NOT, Keyword::NULL]) {
        return false;
    }
    let _ = parser.parse_keyword(Keyword::NULL);
    true
}

fn parse_column_comment(parser: &mut Parser) -> Result<(), ParserError> {
    if parser.parse_keyword(Keyword::COMMENT) {
        parser.parse_literal_string()?;
    }
    Ok(())
}

/// A column type, with the forms sqlparser does not read.
pub(super) fn parse_type(parser: &mut Parser) -> Result<SqlType, ParserError> {
    let mut surplus = 0;
    let parsed = parse_nested_type(parser, &mut surplus)?;
    if surplus > 0 { refuse(parser, "there is a `>` too many before this") } else { Ok(parsed) }
}

/// `surplus` counts the `>` of a `>>` token that belong to types around this one.
fn parse_nested_type(parser: &mut Parser, surplus: &mut u32) -> Result<SqlType, ParserError> {
    let token = parser.peek_token();
    let (name, has_elements) = match (&token.token, parser.peek_nth_token(1).token) {
        (Token::Word(word), next) => {
            (word.value.to_uppercase(), matches!(next, Token::Lt | Token::LParen))
        }
        _ => return parser.expected("a type", token),
    };
    match name.as_str() {
        "ARRAY" if has_elements => {
            parser.next_token();
            let open = parser.expect_token(&Token::Lt)?;
            let element = parse_element(parser, surplus)?;
            close_angle(parser, surplus, open.span.start)?;
            Ok(SqlType::plain(list_of(element)))
        }
        "MAP" if has_elements => {
            parser.next_token();
            let open = parser.expect_token(&Token::Lt)?;
            let key = parse_element(parser, surplus)?;
            parser.expect_token(&Token::Comma)?;
            let value = parse_element(parser, surplus)?;
            close_angle(parser, surplus, open.span.start)?;
            Ok(SqlType::plain(map_of(key, value)))
        }
        "ROW" if has_elements => parse_row(parser, surplus),
        "STRUCT" | "MULTISET" | "RAW" => {
            refuse(parser, &format!("the type {name} is not supported"))
        }
        _ => parse_simple_type(parser),
    }
}

fn parse_element(
    parser: &mut Parser,
    surplus: &mut u32,
) -> Result<arrow::datatypes::DataType, ParserError> {
    let element = parse_nested_type(parser, surplus)?.data_type;
    if *surplus == 0 {
        parse_nullability(parser);
    }
    Ok(element)
}

fn parse_row(parser: &mut Parser, surplus: &mut u32) -> Result<SqlType, ParserError> {
    parser.next_token();
    let angled = parser.consume_token(&Token::Lt);
    let open = parser.peek_token().span.start;
    if !angled {
        parser.expect_token(&Token::LParen)?;
    }
    let mut fields = Vec::new();
    loop {
        let name = parser.parse_identifier()?.value;
        fields.push((name, parse_element(parser, surplus)?));
        if *surplus > 0 || !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    if angled {
        close_angle(parser, surplus, open)?;
    } else {
        parser.expect_token(&Token::RParen)?;
    }
    Ok(SqlType::plain(row_of(fields)))
}

fn close_angle(parser: &mut Parser, surplus: &mut u32, _open: Location) -> Result<(), ParserError> {
    if *surplus > 0 {
        *surplus -= 1;
    } else if parser.consume_token(&Token::ShiftRight) {
        *surplus = 1;
    } else {
        parser.expect_token(&Token::Gt)?;
    }
    Ok(())
}

fn parse_simple_type(parser: &mut Parser) -> Result<SqlType, ParserError> {
    let start = parser.peek_token().span.start;
    let parsed = if parser.parse_keyword(Keyword::TIMESTAMP) {
        // sqlparser does not know WITH LOCAL TIME ZONE.
        let precision = parse_precision(parser)?;
        let local = [Keyword::WITH, Keyword::LOCAL, Keyword::TIME, Keyword::ZONE];
        let plain = [Keyword::WITHOUT, Keyword::TIME, Keyword::ZONE];
        let zone = parser.parse_keywords(&local).then_some(LOCAL_ZONE);
        if zone.is_none() && !parser.parse_keywords(&plain) && parser.peek_keyword(Keyword::WITH) {
            return refuse(parser, "TIMESTAMP WITH TIME ZONE is not supported; use TIMESTAMP_LTZ");
        }
        timestamp(precision, zone)
    } else {
        SqlType::of_ast(&parser.parse_data_type()?)
    };
    parsed.map_err(|message| {
        let Location { line, column } = start;
        ParserError::ParserError(format!("{message} at Line: {line}, Column: {column}"))
    })
}

/// A parser's error at a place, in the form the parser itself writes.
fn error_at<T>(place: Location, message: &str) -> Result<T, ParserError> {
    let Location { line, column } = place;
    Err(ParserError::ParserError(format!("{message} at Line: {line}, Column: {column}")))
}

/// `(3)`, or the default of 6.
fn parse_precision(parser: &mut Parser) -> Result<u64, ParserError> {
    if !parser.consume_token(&Token::LParen) {
        return Ok(6);
    }
    let precision = parser.parse_literal_uint()?;
    parser.expect_token(&Token::RParen)?;
    Ok(precision)
}

/// True for `PROCTIME()`.
pub(super) fn is_proctime(expression: &Expr) -> bool {
    matches!(expression, Expr::Function(function)
        if function.name.to_string().eq_ignore_ascii_case("PROCTIME"))
}
