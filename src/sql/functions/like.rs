//! LIKE: without ESCAPE no character is special but `%` and `_`.

use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use datafusion_physical_expr::expressions::LikeExpr;
use std::sync::Arc;

use super::super::eval::Typed;
use super::kernel::{map_text, string_argument, text_call};

/// `text [NOT] LIKE pattern [ESCAPE c]`: without ESCAPE no character is special but `%` and `_`.
pub(in crate::sql) fn bind_like(
    text: Typed,
    pattern: Typed,
    negated: bool,
    escape: Option<char>,
) -> Result<Typed, String> {
    let both = [text, pattern];
    let in_words = |message| format!("LIKE: {message}");
    let searched = string_argument(&both, 0).map_err(in_words)?;
    let normal = match both[1].literal_text() {
        Some(written) => {
            let constant = normal_pattern(written, escape).map_err(in_words)?;
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
