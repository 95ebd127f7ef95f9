//! Names given in the SELECT list: GROUP BY and HAVING do not see them, as in Flink.
//!
//! DataFusion resolves them there, and in HAVING even before a column of the same name.

use sqlparser::ast::{Expr, GroupByExpr, Ident, Query, Select, SelectItem, TableWithJoins, With};
use std::collections::BTreeSet;

use super::dialect::select_all;
use super::error::{Checked, Fault};
use super::walk::{Visitor, walk_expr, walk_query};

/// Refuses aliases in GROUP BY and HAVING. `columns_of` plans a query and names its columns.
pub(super) fn check_aliases(
    query: &mut Query,
    columns_of: &dyn Fn(Box<Query>) -> Checked<BTreeSet<String>>,
) -> Checked<()> {
    walk_query(query, &mut AliasChecker { columns_of, with: None })
}

struct AliasChecker<'a> {
    columns_of: &'a dyn Fn(Box<Query>) -> Checked<BTreeSet<String>>,
    /// WITH of the queries around, which FROM may name.
    with: Option<With>,
}

impl Visitor for AliasChecker<'_> {
    fn enter_query(&mut self, query: &mut Query) -> Checked<()> {
        let Some(inner) = &query.with else { return Ok(()) };
        match &mut self.with {
            // A later table of the same name hides an earlier one.
            Some(with) => {
                let hides = |name: &str| {
                    inner.cte_tables.iter().any(|table| table.alias.name.value == name)
                };
                with.cte_tables.retain(|table| !hides(&table.alias.name.value));
                with.cte_tables.extend(inner.cte_tables.iter().cloned());
            }
            None => self.with = Some(inner.clone()),
        }
        Ok(())
    }

    fn enter_select(&mut self, select: &mut Select) -> Checked<()> {
        let aliases: BTreeSet<String> = select.projection.iter().filter_map(new_name).collect();
        let mut used = UsedNames { aliases: &aliases, found: Vec::new() };
        if let GroupByExpr::Expressions(expressions, _) = &mut select.group_by {
            expressions.iter_mut().try_for_each(|expr| walk_expr(expr, &mut used))?;
        }
        let grouped = used.found.len();
        if let Some(condition) = &mut select.having {
            walk_expr(condition, &mut used)?;
        }
        let found = used.found;
        if found.is_empty() {
            return Ok(());
        }
        let columns = (self.columns_of)(everything_from(&select.from, self.with.clone())?)?;
        for (index, name) in found.into_iter().enumerate() {
            let clause = if index < grouped { "GROUP BY" } else { "HAVING" };
            let name_of_both = columns.contains(&name.value);
            let message = match (clause, name_of_both) {
                ("GROUP BY", true) => continue,
                ("HAVING", true) => format!(
                    "`{}` in HAVING is a column and a name of the SELECT list; give the latter \
                     another",
                    name.value
                ),
                _ => format!(
                    "`{}` is a name of the SELECT list, which {clause} does not see; write the \
                     expression",
                    name.value
                ),
            };
            return Err(Fault::span(name.span, message));
        }
        Ok(())
    }
}

/// The name an item gives to something else than the column of that name.
fn new_name(item: &SelectItem) -> Option<String> {
    let SelectItem::ExprWithAlias { expr, alias } = item else { return None };
    let own = match expr {
        Expr::Identifier(ident) => Some(ident),
        Expr::CompoundIdentifier(parts) => parts.last(),
        _ => None,
    };
    own.is_none_or(|ident| ident.value != alias.value).then(|| alias.value.clone())
}

/// Where names are used alone, without a table before them.
struct UsedNames<'a> {
    aliases: &'a BTreeSet<String>,
    found: Vec<Ident>,
}

impl Visitor for UsedNames<'_> {
    fn enter_expr(&mut self, expr: &mut Expr) -> Checked<()> {
        if let Expr::Identifier(ident) = expr
            && self.aliases.contains(&ident.value)
        {
            self.found.push(ident.clone());
        }
        Ok(())
    }
}

/// `WITH … SELECT * FROM from`.
fn everything_from(from: &[TableWithJoins], with: Option<With>) -> Checked<Box<Query>> {
    let mut query = select_all(from.to_vec())?;
    query.with = with;
    Ok(query)
}
