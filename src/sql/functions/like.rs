//! LIKE: without ESCAPE no character is special but `%` and `_`.

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use datafusion_physical_expr::expressions::LikeExpr;
use regex::Regex;
use std::sync::Arc;

use super::super::eval::{Kernel, Physical, Typed};
use super::super::similar::{ANY_CHARACTER, push_literal};
use super::kernel::{Strings, call, map_text, string_argument, text_call};
use crate::limits::SQL_PATTERN_BYTES_MAX;

/// `text [NOT] LIKE pattern [ESCAPE c]`: without ESCAPE no character is special but `%` and `_`.
pub(in crate::sql) fn bind_like(
    text: Typed,
    pattern: Typed,
    negated: bool,
    escape: Option<char>,
) -> Result<Typed, String> {
    let both = [text, pattern];
    let in_words = |message: String| format!("LIKE: {message}");
    let searched = string_argument(&both, 0).map_err(in_words)?;
    let normal = match both[1].literal_text() {
        Some(written) => {
            let constant = normal_pattern(written, escape).map_err(in_words)?;
            if let Some(regex) = line_regex(&constant).map_err(in_words)? {
                return Ok(matching(searched, regex, negated, written, escape));
            }
            Typed::constant(ScalarValue::from(constant)).expr
        }
        None => {
            let kernel = map_text(move |written, out| {
                out.push_str(&normal_pattern(written, escape).ok()?);
                Some(())
            });
            let written = string_argument(&both, 1).map_err(in_words)?;
            let name = match escape {
                None => "LIKE_PATTERN".to_string(),
                Some(escape) => format!("LIKE_PATTERN({{}} ESCAPE '{escape}')"),
            };
            text_call(&name, vec![written], kernel).expr
        }
    };
    let like = LikeExpr::new(negated, false, searched, normal);
    Ok(Typed::new(Arc::new(like), DataType::Boolean))
}

/// A normal pattern with `_`, which is every character but the end of a line; the kernel takes it for
/// every character. Nothing when there is no `_`.
fn line_regex(normal: &str) -> Result<Option<Regex>, String> {
    let mut regex = r"\A".to_string();
    let mut any = false;
    let mut characters = normal.chars();
    while let Some(character) = characters.next() {
        match character {
            '_' => {
                any = true;
                regex.push_str(ANY_CHARACTER);
            }
            '%' => regex.push_str("(?s:.*)"),
            '\\' => characters.next().into_iter().for_each(|next| push_literal(&mut regex, next)),
            other => push_literal(&mut regex, other),
        }
    }
    regex.push_str(r"\z");
    if !any {
        return Ok(None);
    }
    if normal.len() > SQL_PATTERN_BYTES_MAX {
        return Err(format!(
            "the pattern has more than {SQL_PATTERN_BYTES_MAX} bytes and a _ in it"
        ));
    }
    Regex::new(&regex).map(Some).map_err(|_| "the pattern has too many _ in it".to_owned())
}

fn matching(
    text: Physical,
    regex: Regex,
    negated: bool,
    written: &str,
    escape: Option<char>,
) -> Typed {
    let kernel: Kernel = Arc::new(move |values, rows| {
        let texts = Strings::of(&values[0]);
        let one = |row| texts.get(row).map(|found| regex.is_match(found) != negated);
        Ok(Arc::new((0..rows).map(one).collect::<BooleanArray>()) as ArrayRef)
    });
    let not = if negated { "NOT " } else { "" };
    let escape = escape.map(|escape| format!(" ESCAPE '{escape}'")).unwrap_or_default();
    call(&format!("{{}} {not}LIKE '{written}'{escape}"), vec![text], DataType::Boolean, kernel)
}

/// The pattern with `\` as its escape character, which is what the kernel knows.
fn normal_pattern(written: &str, escape: Option<char>) -> Result<String, String> {
    let mut normal = String::with_capacity(written.len() + 2);
    let mut characters = written.chars();
    while let Some(character) = characters.next() {
        if Some(character) == escape {
            let escaped = characters
                .next()
                .filter(|&next| matches!(next, '%' | '_') || Some(next) == escape)
                .ok_or("what follows the escape character is not %, _ or itself")?;
            normal.push('\\');
            normal.push(escaped);
        } else if character == '\\' {
            normal.push_str("\\\\");
        } else {
            normal.push(character);
        }
    }
    Ok(normal)
}
