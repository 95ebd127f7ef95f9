//! Types as they are written in columns and casts, with the forms sqlparser does not read:
//! `ROW<…>`, `ROW(…)`, `MAP<…>`, `MULTISET<…>`, `TIMESTAMP … WITH LOCAL TIME ZONE`, `NOT NULL` of
//! a part.
//!
//! Out: sqlparser's type, in which a ROW is a `Struct` and a MULTISET a `LowCardinality`.

use sqlparser::ast::{
    ArrayElemTypeDef, DataType, Ident, ObjectName, StructBracketKind, StructField, TimezoneInfo,
};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::Token;

use super::ddl::error_at;
use super::statement::{new_name, refuse};
use super::types::SqlType;

/// A type. What is wrong with it and without parts has been refused, with its place.
pub(super) fn parse_type(parser: &mut Parser) -> Result<DataType, ParserError> {
    let mut surplus = 0;
    let parsed = parse_nested_type(parser, &mut surplus)?;
    if surplus > 0 { refuse(parser, "there is a `>` too many before this") } else { Ok(parsed) }
}

/// `NOT NULL`: false; `NULL` or nothing: true.
pub(super) fn parse_nullability(parser: &mut Parser) -> bool {
    if parser.parse_keywords(&[Keyword::NOT, Keyword::NULL]) {
        return false;
    }
    let _ = parser.parse_keyword(Keyword::NULL);
    true
}

/// `surplus` counts the `>` of a `>>` token that belong to types around this one.
fn parse_nested_type(parser: &mut Parser, surplus: &mut u32) -> Result<DataType, ParserError> {
    let mut parsed = parse_prefix_type(parser, surplus)?;
    // `INT ARRAY` and `INT MULTISET`.
    if *surplus > 0 {
        return Ok(parsed);
    }
    loop {
        if parser.parse_keyword(Keyword::ARRAY) {
            parsed = array_of(parsed);
        } else if consume_word(parser, "MULTISET") {
            parsed = DataType::LowCardinality(Box::new(parsed));
        } else {
            return Ok(parsed);
        }
    }
}

fn consume_word(parser: &mut Parser, name: &str) -> bool {
    let found = matches!(&parser.peek_token_ref().token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(name));
    if found {
        parser.next_token();
    }
    found
}

fn array_of(element: DataType) -> DataType {
    DataType::Array(ArrayElemTypeDef::AngleBracket(Box::new(element)))
}

fn parse_prefix_type(parser: &mut Parser, surplus: &mut u32) -> Result<DataType, ParserError> {
    let token = parser.peek_token();
    let (name, has_elements) = match (&token.token, parser.peek_nth_token(1).token) {
        (Token::Word(word), next) => {
            (word.value.to_uppercase(), matches!(next, Token::Lt | Token::LParen))
        }
        _ => return parser.expected("a type", token),
    };
    match name.as_str() {
        "ARRAY" if has_elements => {
            open_angle(parser)?;
            let element = parse_element(parser, surplus)?;
            close_angle(parser, surplus)?;
            Ok(array_of(element))
        }
        "MULTISET" if has_elements => {
            open_angle(parser)?;
            let element = parse_element(parser, surplus)?;
            close_angle(parser, surplus)?;
            Ok(DataType::LowCardinality(Box::new(element)))
        }
        "MAP" if has_elements => {
            open_angle(parser)?;
            let key = parse_element(parser, surplus)?;
            parser.expect_token(&Token::Comma)?;
            let value = parse_element(parser, surplus)?;
            close_angle(parser, surplus)?;
            Ok(DataType::Map(Box::new(key), Box::new(value)))
        }
        "ROW" if has_elements => parse_row(parser, surplus),
        "STRUCT" | "RAW" => refuse(parser, &format!("the type {name} is not supported")),
        _ => parse_simple_type(parser),
    }
}

/// The name of a type with parts, and `<`.
fn open_angle(parser: &mut Parser) -> Result<(), ParserError> {
    parser.next_token();
    parser.expect_token(&Token::Lt)?;
    Ok(())
}

fn parse_element(parser: &mut Parser, surplus: &mut u32) -> Result<DataType, ParserError> {
    let element = parse_nested_type(parser, surplus)?;
    if *surplus == 0 {
        parse_nullability(parser);
    }
    Ok(element)
}

fn parse_row(parser: &mut Parser, surplus: &mut u32) -> Result<DataType, ParserError> {
    parser.next_token();
    let angled = parser.consume_token(&Token::Lt);
    if !angled {
        parser.expect_token(&Token::LParen)?;
    }
    let mut fields: Vec<StructField> = Vec::new();
    loop {
        let name = new_name(parser)?;
        if fields.iter().any(|field| field.field_name.as_ref() == Some(&name)) {
            let message = format!("the ROW has two fields `{}`", name.value);
            return error_at(name.span.start, &message);
        }
        let field_type = parse_element(parser, surplus)?;
        fields.push(StructField { field_name: Some(name), field_type, options: None });
        // A comment.
        if *surplus == 0 && matches!(parser.peek_token_ref().token, Token::SingleQuotedString(_)) {
            parser.next_token();
        }
        if *surplus > 0 || !parser.consume_token(&Token::Comma) {
            break;
        }
    }
    if angled {
        close_angle(parser, surplus)?;
    } else {
        parser.expect_token(&Token::RParen)?;
    }
    Ok(DataType::Struct(fields, StructBracketKind::AngleBrackets))
}

fn close_angle(parser: &mut Parser, surplus: &mut u32) -> Result<(), ParserError> {
    if *surplus > 0 {
        *surplus -= 1;
    } else if parser.consume_token(&Token::ShiftRight) {
        *surplus = 1;
    } else {
        parser.expect_token(&Token::Gt)?;
    }
    Ok(())
}

fn parse_simple_type(parser: &mut Parser) -> Result<DataType, ParserError> {
    let start = parser.peek_token().span.start;
    let parsed = match parser.parse_keyword(Keyword::TIMESTAMP) {
        // sqlparser does not know WITH LOCAL TIME ZONE.
        true => parse_timestamp(parser)?,
        false => parser.parse_data_type()?,
    };
    match SqlType::of_ast(&parsed) {
        Ok(_) => Ok(parsed),
        Err(message) => error_at(start, &message),
    }
}

/// What stands behind TIMESTAMP.
fn parse_timestamp(parser: &mut Parser) -> Result<DataType, ParserError> {
    let mut precision = None;
    if parser.consume_token(&Token::LParen) {
        precision = Some(parser.parse_literal_uint()?);
        parser.expect_token(&Token::RParen)?;
    }
    if parser.parse_keywords(&[Keyword::WITH, Keyword::LOCAL, Keyword::TIME, Keyword::ZONE]) {
        let name = ObjectName::from(vec![Ident::new("TIMESTAMP_LTZ")]);
        let arguments = precision.iter().map(ToString::to_string).collect();
        return Ok(DataType::Custom(name, arguments));
    }
    let plain = parser.parse_keywords(&[Keyword::WITHOUT, Keyword::TIME, Keyword::ZONE]);
    if !plain && parser.peek_keyword(Keyword::WITH) {
        return refuse(parser, "TIMESTAMP WITH TIME ZONE is not supported; use TIMESTAMP_LTZ");
    }
    Ok(DataType::Timestamp(precision, TimezoneInfo::None))
}
