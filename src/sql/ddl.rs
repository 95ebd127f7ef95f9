//! CREATE TABLE: columns of Flink's types, computed columns, WATERMARK FOR, PRIMARY KEY, WITH.

use sqlparser::ast::{Expr, Ident};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Location, Token};
use std::collections::{BTreeMap, BTreeSet};

use super::statement::{new_name, refuse, simple_name};
use super::type_syntax::{parse_nullability, parse_type};
use super::types::{SqlType, without_bounds};
use super::{SqlText, WithOption};
use crate::source::FileMetadata;
use crate::stdx::one_of;

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
    /// Their names, to find one that comes twice.
    names: BTreeSet<String>,
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
    /// `name type METADATA FROM 'key'`.
    Metadata {
        /// What it is.
        metadata: FileMetadata,
        /// Its type in the table.
        sql_type: SqlType,
        /// False for NOT NULL.
        nullable: bool,
        /// Read only.
        is_virtual: bool,
    },
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
    if !list.names.insert(column.name.value.clone()) {
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
    let name = new_name(parser)?;
    if parser.parse_keyword(Keyword::AS) {
        let expression = parser.parse_expr()?;
        parse_column_comment(parser)?;
        return Ok(ColumnDeclaration { name, kind: DeclaredKind::Computed(Box::new(expression)) });
    }
    let start = parser.peek_token().span.start;
    let sql_type =
        SqlType::of_ast(&parse_type(parser)?).or_else(|message| error_at(start, &message))?;
    let sql_type = SqlType { data_type: without_bounds(&sql_type.data_type), ..sql_type };
    let nullable = parse_nullability(parser);
    if parser.parse_keywords(&[Keyword::PRIMARY, Keyword::KEY]) {
        if !parser.parse_keywords(&[Keyword::NOT, Keyword::ENFORCED]) {
            return refuse(parser, "a PRIMARY KEY is not checked here; add NOT ENFORCED");
        }
        list.primary_key = vec![name.clone()];
    }
    let kind = match parser.parse_keyword(Keyword::METADATA) {
        true => parse_metadata(parser, &name, sql_type, nullable)?,
        false => DeclaredKind::Physical { sql_type, nullable },
    };
    parse_column_comment(parser)?;
    Ok(ColumnDeclaration { name, kind })
}

/// After `METADATA`: `FROM 'key' VIRTUAL`; without a key it is the column's name.
fn parse_metadata(
    parser: &mut Parser,
    name: &Ident,
    sql_type: SqlType,
    nullable: bool,
) -> Result<DeclaredKind, ParserError> {
    let (key, place) = match parser.parse_keyword(Keyword::FROM) {
        true => {
            let place = parser.peek_token().span.start;
            (parser.parse_literal_string()?, place)
        }
        false => (name.value.clone(), name.span.start),
    };
    let is_virtual = parser.parse_keyword(Keyword::VIRTUAL);
    let known = FileMetadata::ALL.map(FileMetadata::key);
    match FileMetadata::of_key(&key) {
        Some(metadata) => Ok(DeclaredKind::Metadata { metadata, sql_type, nullable, is_virtual }),
        None => {
            let message = format!("there is no metadata '{key}'; a file has {}", one_of(&known));
            error_at(place, &message)
        }
    }
}

fn parse_column_comment(parser: &mut Parser) -> Result<(), ParserError> {
    if parser.parse_keyword(Keyword::COMMENT) {
        parser.parse_literal_string()?;
    }
    Ok(())
}

/// A parser's error at a place, in the form the parser itself writes.
pub(super) fn error_at<T>(place: Location, message: &str) -> Result<T, ParserError> {
    let Location { line, column } = place;
    Err(ParserError::ParserError(format!("{message} at Line: {line}, Column: {column}")))
}

/// True for `PROCTIME()`.
pub(super) fn is_proctime(expression: &Expr) -> bool {
    matches!(expression, Expr::Function(function)
        if function.name.to_string().eq_ignore_ascii_case("PROCTIME"))
}
