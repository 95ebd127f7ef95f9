//! Hints: `/*+ OPTIONS('key' = 'value') */` behind a table's name, `/*+ NAME(…) */` behind SELECT.
//!
//! To the tokenizer a hint is a comment. It is read here, and the name before it is marked until the
//! statement is planned: then the marked name becomes a table of its own, with the options changed.
//!
//! Flink's hints for the ways of a join change no result and have no effect here; any other name is
//! refused.

use sqlparser::ast::{Ident, ObjectName, ObjectNamePart, Query, TableAlias, TableFactor};
use sqlparser::keywords::Keyword;
use sqlparser::tokenizer::{Location, Token, TokenWithSpan, Tokenizer, Whitespace};
use std::fmt::Write as _;

use super::catalog::Catalog;
use super::dialect::FlinkDialect;
use super::error::{Checked, Fault, did_you_mean};
use super::statement::last_part;
use super::walk::{Visitor, walk_query};
use super::{SqlText, TableOrigin, WithOption};

/// Stands between a marked name and the number of its hint; no name may contain it.
pub(super) const MARK: char = '\0';

/// Hints behind SELECT that are accepted: how a join is done, and how long state is kept that no
/// supported query has.
const WITHOUT_EFFECT: [&str; 5] =
    ["BROADCAST", "SHUFFLE_HASH", "SHUFFLE_MERGE", "NEST_LOOP", "STATE_TTL"];

const OPTIONS: &str = "OPTIONS";

/// `OPTIONS(…)`: names and values, each value with its place.
type TableOptions = Vec<(String, String, Location)>;

/// The hints of a text.
#[derive(Default)]
pub(super) struct Hints {
    /// By the number that their tables' names are marked with.
    of_tables: Vec<TableOptions>,
    /// For the user: one line each.
    pub(super) notes: Vec<String>,
}

impl Hints {
    /// Takes hints out of `tokens`; names before `OPTIONS` are marked.
    pub(super) fn take(tokens: &mut [TokenWithSpan]) -> Checked<Hints> {
        let mut hints = Hints::default();
        // The tokens before the current one that are no blanks.
        let mut before: Vec<usize> = Vec::with_capacity(tokens.len());
        for index in 0..tokens.len() {
            match &tokens[index].token {
                Token::Word(word) if word.value.contains(MARK) => {
                    return Err(Fault::span(tokens[index].span, "a name contains U+0000"));
                }
                Token::Whitespace(Whitespace::MultiLineComment(text)) if text.starts_with('+') => {
                    let read = read_hints(&text[1..], tokens[index].span.start)?;
                    hints.place(read, &before, tokens)?;
                    tokens[index].token = Token::Whitespace(Whitespace::Space);
                }
                Token::Whitespace(_) => {}
                _ => before.push(index),
            }
        }
        Ok(hints)
    }

    /// What a comment's hints mean behind the tokens at `before`.
    fn place(
        &mut self,
        read: Vec<Hint>,
        before: &[usize],
        tokens: &mut [TokenWithSpan],
    ) -> Checked<()> {
        let last = before.last().map(|&index| &tokens[index].token);
        if matches!(last, Some(Token::Word(word)) if word.keyword == Keyword::SELECT) {
            return read.into_iter().try_for_each(|hint| self.of_select(&hint));
        }
        let mut read = read.into_iter();
        let Some(Hint { name, place, options }) = read.next() else { return Ok(()) };
        if name != OPTIONS {
            return Err(unknown(&name, place, &[OPTIONS]));
        }
        if let Some(second) = read.next() {
            let message = "behind a table stands one hint OPTIONS(…), with all options in it";
            return Err(Fault::at(second.place, message));
        }
        if options.is_empty() {
            return Err(Fault::at(place, "OPTIONS() is empty; write OPTIONS('key' = 'value')"));
        }
        match table_name(before, tokens) {
            None => Err(Fault::at(
                place,
                "the hint OPTIONS stands behind a table's name in FROM, JOIN or INSERT INTO",
            )),
            Some(index) => {
                let Token::Word(word) = &mut tokens[index].token else { unreachable!("a name") };
                write!(word.value, "{MARK}{}", self.of_tables.len())
                    .expect("a string takes everything");
                self.of_tables.push(options);
                Ok(())
            }
        }
    }

    fn of_select(&mut self, hint: &Hint) -> Checked<()> {
        if !WITHOUT_EFFECT.contains(&hint.name.as_str()) {
            return Err(unknown(&hint.name, hint.place, &WITHOUT_EFFECT));
        }
        self.notes.push(format!("the hint {} is accepted and has no effect", hint.name));
        Ok(())
    }

    /// Makes tables of the marked names of a query.
    pub(super) fn apply_to_query(
        &self,
        query: &mut Query,
        text: &SqlText,
        catalog: &mut Catalog,
    ) -> Checked<()> {
        if self.of_tables.is_empty() {
            return Ok(());
        }
        walk_query(query, &mut Application { hints: self, text, catalog })
    }

    /// The same for the target of an INSERT.
    pub(super) fn apply_to_name(
        &self,
        name: &mut ObjectName,
        text: &SqlText,
        catalog: &mut Catalog,
    ) -> Checked<()> {
        match self.marked(name) {
            Some(_) => Application { hints: self, text, catalog }.replace(name).map(|_| ()),
            None => Ok(()),
        }
    }

    /// The name without its mark, and the options it was marked with.
    fn marked(&self, name: &ObjectName) -> Option<(Ident, &TableOptions)> {
        let ident = name.0.last().and_then(ObjectNamePart::as_ident)?;
        let (plain, number) = ident.value.split_once(MARK)?;
        let options = self.of_tables.get(number.parse::<usize>().ok()?)?;
        Some((Ident { value: plain.to_owned(), ..ident.clone() }, options))
    }
}

/// Where the name before a hint is, if it is one of a table.
fn table_name(before: &[usize], tokens: &[TokenWithSpan]) -> Option<usize> {
    let is_word = |index: usize| matches!(tokens[index].token, Token::Word(_));
    let (&name, mut rest) = before.split_last()?;
    if !is_word(name) {
        return None;
    }
    // `catalog.database.` may stand before it.
    while let [earlier @ .., qualifier, point] = rest
        && tokens[*point].token == Token::Period
        && is_word(*qualifier)
    {
        rest = earlier;
    }
    let introduces = match &tokens[*rest.last()?].token {
        Token::Comma => true,
        Token::Word(word) => {
            matches!(word.keyword, Keyword::FROM | Keyword::JOIN | Keyword::INTO)
        }
        _ => false,
    };
    introduces.then_some(name)
}

fn unknown(name: &str, place: Location, known: &[&str]) -> Fault {
    let hint = did_you_mean(name, known.iter().copied());
    Fault::at(place, format!("the hint {name} is not supported here{hint}"))
}

/// One hint of a comment.
struct Hint {
    /// In capitals.
    name: String,
    place: Location,
    /// What stands in its parentheses, of OPTIONS.
    options: TableOptions,
}

/// The hints in a comment that begins at `start`; `text` is what stands behind its `/*+`.
fn read_hints(text: &str, start: Location) -> Checked<Vec<Hint>> {
    let placed = |inner: Location| match inner.line {
        0 | 1 => Location { line: start.line, column: start.column + 2 + inner.column.max(1) },
        line => Location { line: start.line + line - 1, column: inner.column },
    };
    let tokens = Tokenizer::new(&FlinkDialect::new(0), text)
        .tokenize_with_location()
        .map_err(|error| Fault::at(placed(error.location), error.message))?;
    let tokens: Vec<(Token, Location)> = tokens
        .into_iter()
        .filter(|token| !matches!(token.token, Token::Whitespace(_)))
        .map(|token| (token.token, placed(token.span.start)))
        .collect();
    let mut rest = &tokens[..];
    let mut hints = Vec::new();
    while let [(Token::Word(word), place), behind @ ..] = rest {
        let name = word.value.to_uppercase();
        let (inside, behind) = parentheses(behind, start)?;
        let options = if name == OPTIONS { options(inside)? } else { TableOptions::new() };
        hints.push(Hint { name, place: *place, options });
        rest = match behind {
            [(Token::Comma, _), behind @ ..] => behind,
            behind => behind,
        };
    }
    match rest {
        [] if hints.is_empty() => {
            Err(Fault::at(start, "the hint is empty; write /*+ OPTIONS(…) */"))
        }
        [] => Ok(hints),
        [(token, place), ..] => {
            Err(Fault::at(*place, format!("a hint is a name with (…); {token} is none")))
        }
    }
}

type Placed = (Token, Location);

/// What stands in the parentheses that open here, and behind them; nothing without any.
fn parentheses(tokens: &[Placed], start: Location) -> Checked<(&[Placed], &[Placed])> {
    let [(Token::LParen, _), inside @ ..] = tokens else { return Ok((&[], tokens)) };
    let mut depth = 1_usize;
    for (index, (token, _)) in inside.iter().enumerate() {
        match token {
            Token::LParen => depth += 1,
            Token::RParen => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Ok((&inside[..index], &inside[index + 1..]));
        }
    }
    Err(Fault::at(start, "the parentheses of this hint are not closed"))
}

/// `'key' = 'value', …`; of a key given twice the last value counts, as in Flink.
fn options(inside: &[Placed]) -> Checked<TableOptions> {
    const FORM: &str = "options are written OPTIONS('key' = 'value', …)";
    let mut options = TableOptions::new();
    for pair in inside.split(|(token, _)| *token == Token::Comma) {
        match pair {
            [
                (Token::SingleQuotedString(key), _),
                (Token::Eq, _),
                (Token::SingleQuotedString(value), place),
            ] => options.push((key.clone(), value.clone(), *place)),
            [(_, place), ..] => return Err(Fault::at(*place, FORM)),
            [] if inside.is_empty() => {}
            [] => return Err(Fault::at(inside[0].1, FORM)),
        }
    }
    Ok(options)
}

/// Puts tables with changed options into the catalog, and their names into a query.
struct Application<'a> {
    hints: &'a Hints,
    text: &'a SqlText,
    catalog: &'a mut Catalog,
}

impl Visitor for Application<'_> {
    fn enter_table(&mut self, factor: &mut TableFactor) -> Checked<()> {
        let TableFactor::Table { name, alias, .. } = factor else { return Ok(()) };
        if self.hints.marked(name).is_none() {
            return Ok(());
        }
        let plain = self.replace(name)?;
        // Its columns keep their qualifier.
        alias.get_or_insert_with(|| TableAlias {
            explicit: true,
            name: plain,
            columns: Vec::new(),
            at: None,
        });
        Ok(())
    }
}

impl Application<'_> {
    /// Puts the changed table's name in the place of the marked one, which comes back without mark.
    fn replace(&mut self, name: &mut ObjectName) -> Checked<Ident> {
        let (plain, options) = self.hints.marked(name).expect("the caller has looked");
        let mut parts = name.0.clone();
        parts.pop();
        parts.push(ObjectNamePart::Identifier(plain.clone()));
        let table_name = last_part(&ObjectName(parts))?.value;
        let fault = |message: String| Err(Fault::span(plain.span, message));
        if self.catalog.views.contains_key(&table_name) {
            return fault(format!("`{table_name}` is a view; OPTIONS is for tables"));
        }
        let Some(table) = self.catalog.tables.get(&table_name) else {
            return fault(self.catalog.unknown(&table_name));
        };
        let TableOrigin::Statement(declared) = &table.origin else {
            let message = format!(
                "`{table_name}` is a table of the TOML file; put its options there, OPTIONS is for \
                 CREATE TABLE"
            );
            return fault(message);
        };
        let mut changed = declared.clone();
        for (key, value, place) in options {
            let (line, column) = self.text.place(*place);
            changed.insert(key.clone(), WithOption { value: value.clone(), line, column });
        }
        let shown: Vec<String> =
            options.iter().map(|(key, value, _)| format!("'{key}' = '{value}'")).collect();
        let key = format!("{table_name} /*+ OPTIONS({}) */", shown.join(", "));
        let table = super::catalog::Table {
            name: key.clone(),
            origin: TableOrigin::Statement(changed),
            ..table.clone()
        };
        // The same options once more are the same table.
        self.catalog.tables.insert(key.clone(), table);
        let hinted = Ident { value: key, quote_style: Some('`'), span: plain.span };
        *name = ObjectName(vec![ObjectNamePart::Identifier(hinted)]);
        Ok(plain)
    }
}

/// `text` without marks.
pub(super) fn unmarked(text: &str) -> String {
    let mut parts = text.split(MARK);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |whole, part| whole + part.trim_start_matches(|c: char| c.is_ascii_digit()))
}
