//! Access to parts: `array[1]`, `map['k']`, `row.field`, as calls.

use sqlparser::ast::{AccessExpr, Expr, Ident, Spanned, Subscript};
use sqlparser::tokenizer::Span;

use super::super::error::{Checked, Fault};
use super::super::functions::{FIELD_FUNCTION, ITEM_FUNCTION};
use super::{call, text};

/// `root` with what stands behind it, from the left. Names at its beginning are one name, whose
/// meaning the planner knows.
pub(super) fn access(root: Expr, chain: Vec<AccessExpr>, span: Span) -> Checked<Expr> {
    let mut chain = chain.into_iter().peekable();
    let mut current = match root {
        Expr::Identifier(first) => {
            let mut name = vec![first];
            while let Some(AccessExpr::Dot(Expr::Identifier(next))) =
                chain.next_if(|access| matches!(access, AccessExpr::Dot(Expr::Identifier(_))))
            {
                name.push(next);
            }
            match name.len() {
                1 => Expr::Identifier(name.remove(0)),
                _ => Expr::CompoundIdentifier(name),
            }
        }
        other => other,
    };
    for access in chain {
        current = match access {
            AccessExpr::Dot(Expr::Identifier(name)) => field_of(current, &[name]),
            AccessExpr::Subscript(Subscript::Index { index }) => {
                call(ITEM_FUNCTION, vec![current, index], span)
            }
            AccessExpr::Dot(_) | AccessExpr::Subscript(Subscript::Slice { .. }) => {
                return Err(Fault::span(span, "this access to a part is not supported"));
            }
        };
    }
    Ok(current)
}

/// `row.name.name`, as a call.
pub(in crate::sql) fn field_of(row: Expr, names: &[Ident]) -> Expr {
    let span = row.span();
    let names = names.iter().map(|name| text(&name.value, name.span));
    call(FIELD_FUNCTION, std::iter::once(row).chain(names).collect(), span)
}
