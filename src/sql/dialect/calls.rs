//! Calls and predicates with words between their operands, which sqlparser does not read:
//! `JSON_VALUE(j, '$.a' DEFAULT 0 ON EMPTY)`, `x IS JSON OBJECT`, `(a, b) OVERLAPS (c, d)`.
//!
//! Out: plain calls, with what the words say as constants among the arguments, in a fixed order. A
//! user cannot write these calls otherwise, because every call of these names is read here.

use sqlparser::ast::{CastKind, Expr, FunctionArguments, Spanned, UnaryOperator, Value};
use sqlparser::keywords::Keyword;
use sqlparser::parser::{Parser, ParserError};
use sqlparser::tokenizer::{Span, Token};

use super::super::functions::{
    IS_JSON_FUNCTION, JSON_FUNCTION, JSON_MEMBER_FUNCTION, JSON_OBJECT_OF_FUNCTION,
    OVERLAPS_FUNCTION,
};
use super::super::rewrite::{call, text};

type Parsed<T> = Result<T, ParserError>;

/// The call that begins here, if it is one of ours.
pub(super) fn special_call(parser: &mut Parser) -> Option<Parsed<Expr>> {
    let token = parser.peek_token_ref();
    let Token::Word(word) = &token.token else { return None };
    let span = token.span;
    let called = parser.peek_nth_token_ref(1).token == Token::LParen;
    if !called {
        let constant = word.value == "PI" && word.quote_style.is_none();
        let alone = parser.peek_nth_token_ref(1).token != Token::Period;
        return (constant && alone).then(|| {
            parser.next_token();
            Ok(call("PI", Vec::new(), span))
        });
    }
    let read: fn(&mut Parser, Span) -> Parsed<Expr> = match word.value.to_uppercase().as_str() {
        "TIMESTAMPADD" => |rest, place| with_unit(rest, "TIMESTAMPADD", place),
        "TIMESTAMPDIFF" => |rest, place| with_unit(rest, "TIMESTAMPDIFF", place),
        "JSON_EXISTS" => json_exists,
        "JSON_VALUE" => json_value,
        "JSON_QUERY" => json_query,
        "JSON_OBJECT" => json_object,
        "JSON_ARRAY" => json_array,
        "JSON_ARRAYAGG" => json_array_agg,
        "JSON_OBJECTAGG" => json_object_agg,
        "TRIM" if trims_spaces(parser) => trim,
        _ => return None,
    };
    parser.next_token();
    parser.next_token();
    let parsed = read(parser, span).and_then(|call| {
        parser.expect_token(&Token::RParen)?;
        Ok(call)
    });
    Some(parsed)
}

/// The predicate behind `left` that begins here, if it is one of ours.
pub(super) fn special_predicate(
    parser: &mut Parser,
    left: &Expr,
    precedence: u8,
) -> Option<Parsed<Expr>> {
    if is_word(parser, 0, "IS") {
        let negated = is_word(parser, 1, "NOT");
        if !is_word(parser, if negated { 2 } else { 1 }, "JSON") {
            return None;
        }
        for _ in 0..if negated { 3 } else { 2 } {
            parser.next_token();
        }
        return Some(Ok(is_json(parser, left, negated)));
    }
    match left {
        Expr::Tuple(pair) if is_word(parser, 0, "OVERLAPS") => {
            Some(overlaps(parser, pair, precedence))
        }
        _ => None,
    }
}

fn is_json(parser: &mut Parser, left: &Expr, negated: bool) -> Expr {
    let span = left.span();
    let kind = one_of(parser, &["VALUE", "SCALAR", "ARRAY", "OBJECT"]).unwrap_or("VALUE");
    let test = call(IS_JSON_FUNCTION, vec![left.clone(), text(kind, span)], span);
    match negated {
        false => test,
        true => Expr::UnaryOp { op: UnaryOperator::Not, expr: Box::new(test) },
    }
}

fn overlaps(parser: &mut Parser, left: &[Expr], precedence: u8) -> Parsed<Expr> {
    let span = parser.next_token().span;
    match parser.parse_subexpr(precedence)? {
        Expr::Tuple(right) if left.len() == 2 && right.len() == 2 => {
            Ok(call(OVERLAPS_FUNCTION, [left, &right].concat(), span))
        }
        _ => parser.expected("(start, end) OVERLAPS (start, end)", parser.peek_token()),
    }
}

fn is_word(parser: &Parser, ahead: usize, expected: &str) -> bool {
    matches!(&parser.peek_nth_token_ref(ahead).token, Token::Word(word)
        if word.quote_style.is_none() && word.value.eq_ignore_ascii_case(expected))
}

/// Takes the word if it comes next.
fn take(parser: &mut Parser, word: &str) -> bool {
    let found = is_word(parser, 0, word);
    if found {
        parser.next_token();
    }
    found
}

fn expect(parser: &mut Parser, word: &str) -> Parsed<()> {
    match take(parser, word) {
        true => Ok(()),
        false => parser.expected(word, parser.peek_token()),
    }
}

/// Takes the first of the words that comes next.
fn one_of(parser: &mut Parser, words: &[&'static str]) -> Option<&'static str> {
    words.iter().find(|word| take(parser, word)).copied()
}

fn null(span: Span) -> Expr {
    Expr::Value(Value::Null.with_span(span))
}

/// `TIMESTAMPADD(unit, …)`: the unit as text.
fn with_unit(parser: &mut Parser, name: &str, span: Span) -> Parsed<Expr> {
    let unit = match parser.next_token() {
        token if matches!(token.token, Token::Word(_)) => token,
        other => return parser.expected("a unit such as DAY", other),
    };
    let mut arguments = vec![text(&unit.token.to_string(), unit.span)];
    while parser.consume_token(&Token::Comma) {
        arguments.push(parser.parse_expr()?);
    }
    Ok(call(name, arguments, span))
}

/// `TRIM(BOTH FROM x)`.
fn trims_spaces(parser: &Parser) -> bool {
    let side = ["BOTH", "LEADING", "TRAILING"].iter().any(|side| is_word(parser, 2, side));
    side && is_word(parser, 3, "FROM")
}

fn trim(parser: &mut Parser, span: Span) -> Parsed<Expr> {
    let name = match one_of(parser, &["BOTH", "LEADING", "TRAILING"]) {
        Some("LEADING") => "LTRIM",
        Some("TRAILING") => "RTRIM",
        _ => "BTRIM",
    };
    expect(parser, "FROM")?;
    Ok(call(name, vec![parser.parse_expr()?], span))
}

/// `json, path`.
fn json_and_path(parser: &mut Parser) -> Parsed<Vec<Expr>> {
    let input = parser.parse_expr()?;
    parser.expect_token(&Token::Comma)?;
    Ok(vec![input, parser.parse_expr()?])
}

/// `JSON_EXISTS(json, path, on error)`.
fn json_exists(parser: &mut Parser, span: Span) -> Parsed<Expr> {
    let mut arguments = json_and_path(parser)?;
    let behavior = one_of(parser, &["TRUE", "FALSE", "UNKNOWN", "ERROR"]);
    if behavior.is_some() {
        expect(parser, "ON")?;
        expect(parser, "ERROR")?;
    }
    arguments.push(text(behavior.unwrap_or("FALSE"), span));
    Ok(call("JSON_EXISTS", arguments, span))
}

/// A NULL of the type behind RETURNING, STRING without it.
fn returning(parser: &mut Parser, span: Span) -> Parsed<Expr> {
    let data_type = match take(parser, "RETURNING") {
        true => parser.parse_data_type()?,
        false => sqlparser::ast::DataType::String(None),
    };
    Ok(Expr::Cast {
        kind: CastKind::Cast,
        expr: Box::new(null(span)),
        data_type,
        array: false,
        format: None,
    })
}

/// What stands before `ON EMPTY` and `ON ERROR`: a word and a default.
struct Behaviors {
    empty: Option<(&'static str, Expr)>,
    error: Option<(&'static str, Expr)>,
}

impl Behaviors {
    /// Reads one or both, each at most once; `one` reads what is before ON.
    fn read(
        parser: &mut Parser,
        one: impl Fn(&mut Parser) -> Parsed<Option<(&'static str, Expr)>>,
    ) -> Parsed<Behaviors> {
        let mut behaviors = Behaviors { empty: None, error: None };
        while let Some(behavior) = one(parser)? {
            expect(parser, "ON")?;
            let place = match one_of(parser, &["EMPTY", "ERROR"]) {
                Some("EMPTY") if behaviors.error.is_none() => &mut behaviors.empty,
                Some("ERROR") => &mut behaviors.error,
                _ => return parser.expected("EMPTY, then ERROR", parser.peek_token()),
            };
            if place.replace(behavior).is_some() {
                return parser.expected("one behavior each", parser.peek_token());
            }
        }
        Ok(behaviors)
    }

    fn push_onto(self, arguments: &mut Vec<Expr>, span: Span, with_default: bool) {
        for behavior in [self.empty, self.error] {
            let (word, default) = behavior.unwrap_or_else(|| ("NULL", null(span)));
            arguments.push(text(word, span));
            if with_default {
                arguments.push(default);
            }
        }
    }
}

/// `JSON_VALUE(json, path, type, on empty, default, on error, default)`.
fn json_value(parser: &mut Parser, span: Span) -> Parsed<Expr> {
    let mut arguments = json_and_path(parser)?;
    arguments.push(returning(parser, span)?);
    let behaviors = Behaviors::read(parser, |parser| {
        Ok(match one_of(parser, &["NULL", "ERROR", "DEFAULT"]) {
            Some("DEFAULT") => Some(("DEFAULT", parser.parse_expr()?)),
            Some(word) => Some((word, null(span))),
            None => None,
        })
    })?;
    behaviors.push_onto(&mut arguments, span, true);
    Ok(call("JSON_VALUE", arguments, span))
}

/// `JSON_QUERY(json, path, type, wrapper, on empty, on error)`.
fn json_query(parser: &mut Parser, span: Span) -> Parsed<Expr> {
    let mut arguments = json_and_path(parser)?;
    arguments.push(returning(parser, span)?);
    let wrapper = match one_of(parser, &["WITHOUT", "WITH"]) {
        Some("WITH") => {
            one_of(parser, &["CONDITIONAL", "UNCONDITIONAL"]).map_or("UNCONDITIONAL", |kind| kind)
        }
        Some(_) => "WITHOUT",
        None => "",
    };
    if !wrapper.is_empty() {
        take(parser, "ARRAY");
        expect(parser, "WRAPPER")?;
    }
    arguments.push(text(wrapper, span));
    let behaviors = Behaviors::read(parser, |parser| {
        Ok(match one_of(parser, &["NULL", "ERROR", "EMPTY"]) {
            Some("EMPTY") => match one_of(parser, &["ARRAY", "OBJECT"]) {
                Some("ARRAY") => Some(("EMPTY ARRAY", null(span))),
                Some(_) => Some(("EMPTY OBJECT", null(span))),
                None => return parser.expected("ARRAY or OBJECT", parser.peek_token()),
            },
            Some(word) => Some((word, null(span))),
            None => None,
        })
    })?;
    behaviors.push_onto(&mut arguments, span, false);
    Ok(call("JSON_QUERY", arguments, span))
}

/// `NULL ON NULL` or `ABSENT ON NULL` behind the members.
fn on_null(parser: &mut Parser, default: &'static str) -> Parsed<&'static str> {
    let written = match is_word(parser, 1, "ON") {
        true => one_of(parser, &["NULL", "ABSENT"]),
        false => None,
    };
    if written.is_some() {
        expect(parser, "ON")?;
        expect(parser, "NULL")?;
    }
    Ok(written.unwrap_or(default))
}

/// A member's value behind `raw` when it is JSON already, else behind `value`.
fn push_member(value: Expr, arguments: &mut Vec<Expr>) {
    let span = value.span();
    let mut inner = &value;
    while let Expr::Nested(nested) = inner {
        inner = nested;
    }
    let name = match inner {
        Expr::Function(function) if function.args != FunctionArguments::None => {
            function.name.to_string().to_uppercase()
        }
        _ => String::new(),
    };
    let raw = matches!(name.as_str(), "JSON_OBJECT" | "JSON_ARRAY" | "JSON");
    arguments.push(text(if raw { "raw" } else { "value" }, span));
    match inner {
        Expr::Function(function) if name == "JSON" => {
            let mut function = function.clone();
            function.name = vec![sqlparser::ast::Ident::with_span(span, JSON_FUNCTION)].into();
            arguments.push(Expr::Function(function));
        }
        _ => arguments.push(value),
    }
}

/// `JSON_OBJECT(on null, [key, raw or value, value] …)`.
fn json_object(parser: &mut Parser, span: Span) -> Parsed<Expr> {
    let mut arguments = vec![text("NULL", span)];
    while parser.peek_token_ref().token != Token::RParen {
        if arguments.len() > 1 && !parser.consume_token(&Token::Comma) {
            break;
        }
        // KEY may be the name of a column, too.
        let names_key = matches!(parser.peek_nth_token_ref(1).token,
            Token::Word(ref word) if word.keyword != Keyword::VALUE)
            || matches!(parser.peek_nth_token_ref(1).token, Token::SingleQuotedString(_));
        if names_key {
            take(parser, "KEY");
        }
        arguments.push(parser.parse_expr()?);
        if !take(parser, "VALUE") {
            parser.expect_token(&Token::Colon)?;
        }
        push_member(parser.parse_expr()?, &mut arguments);
    }
    arguments[0] = text(on_null(parser, "NULL")?, span);
    Ok(call("JSON_OBJECT", arguments, span))
}

/// `JSON_ARRAY(on null, [raw or value, value] …)`.
fn json_array(parser: &mut Parser, span: Span) -> Parsed<Expr> {
    let mut arguments = vec![text("ABSENT", span)];
    while parser.peek_token_ref().token != Token::RParen {
        if arguments.len() > 1 && !parser.consume_token(&Token::Comma) {
            break;
        }
        push_member(parser.parse_expr()?, &mut arguments);
    }
    arguments[0] = text(on_null(parser, "ABSENT")?, span);
    Ok(call("JSON_ARRAY", arguments, span))
}

/// A value as a member of JSON, with what stands behind it for NULL.
fn member(parser: &mut Parser, default: &'static str, span: Span) -> Parsed<Expr> {
    let mut arguments = vec![text(default, span)];
    push_member(parser.parse_expr()?, &mut arguments);
    arguments[0] = text(on_null(parser, default)?, span);
    Ok(call(JSON_MEMBER_FUNCTION, vec![call("JSON_ARRAY", arguments, span)], span))
}

/// `JSON_ARRAYAGG(value [on null])`: members joined, between brackets.
fn json_array_agg(parser: &mut Parser, span: Span) -> Parsed<Expr> {
    let members = vec![member(parser, "ABSENT", span)?, text(",", span)];
    let joined = vec![call("LISTAGG", members, span), text("", span)];
    let parts = vec![text("[", span), call("COALESCE", joined, span), text("]", span)];
    Ok(call("CONCAT", parts, span))
}

/// `JSON_OBJECTAGG([KEY] key VALUE value [on null])`: keys and members listed, then the object of them.
fn json_object_agg(parser: &mut Parser, span: Span) -> Parsed<Expr> {
    if !is_word(parser, 1, "VALUE") {
        take(parser, "KEY");
    }
    let key = parser.parse_expr()?;
    expect(parser, "VALUE")?;
    let pair = call("ROW", vec![key, member(parser, "NULL", span)?], span);
    let pairs = call("ARRAY_AGG", vec![pair], span);
    Ok(call(JSON_OBJECT_OF_FUNCTION, vec![pairs], span))
}
