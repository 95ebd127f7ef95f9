//! `row.*` as the fields of a ROW, which the planner would take for the columns of a table.

use arrow::datatypes::DataType;
use sqlparser::ast::{
    Expr, Ident, ObjectName, Query, Select, SelectItem, SelectItemQualifiedWildcardKind, SetExpr,
    TableFactor, TableWithJoins, With,
};
use sqlparser::tokenizer::Span;

use super::super::dialect::select_all;
use super::super::error::{Checked, Fault};
use super::super::types::type_name;
use super::super::walk::{Visitor, walk_query};

/// Replaces each `row.*` by one item a field. `type_of` plans a query and gives the type of its
/// first column.
pub(in crate::sql) fn expand_stars(
    query: &mut Query,
    type_of: &dyn Fn(Box<Query>) -> Checked<DataType>,
) -> Checked<()> {
    walk_query(query, &mut Expander { type_of, with: None })
}

struct Expander<'a> {
    type_of: &'a dyn Fn(Box<Query>) -> Checked<DataType>,
    /// WITH of the query around, which FROM may name.
    with: Option<With>,
}

impl Visitor for Expander<'_> {
    fn enter_query(&mut self, query: &mut Query) -> Checked<()> {
        if query.with.is_some() {
            self.with.clone_from(&query.with);
        }
        Ok(())
    }

    fn enter_select(&mut self, select: &mut Select) -> Checked<()> {
        let mut items = Vec::with_capacity(select.projection.len());
        for item in std::mem::take(&mut select.projection) {
            match row_of(&item, &select.from) {
                Some(row) => items.extend(self.fields(row, &select.from)?),
                None => items.push(item),
            }
        }
        select.projection = items;
        Ok(())
    }
}

impl Expander<'_> {
    fn fields(&self, row: Vec<Ident>, from: &[TableWithJoins]) -> Checked<Vec<SelectItem>> {
        let span = Span::union_iter(row.iter().map(|part| part.span));
        let expr = match &row[..] {
            [only] => Expr::Identifier(only.clone()),
            parts => Expr::CompoundIdentifier(parts.to_vec()),
        };
        let mut query = select_all(from.to_vec())?;
        query.with.clone_from(&self.with);
        let alias = Ident::new("row");
        if let SetExpr::Select(select) = query.body.as_mut() {
            select.projection = vec![SelectItem::ExprWithAlias { expr, alias }];
        }
        match (self.type_of)(query)? {
            DataType::Struct(fields) => {
                let item = |name: &str| {
                    let name = Ident::with_span(span, name);
                    let parts = row.iter().cloned().chain([name]).collect();
                    SelectItem::UnnamedExpr(Expr::CompoundIdentifier(parts))
                };
                Ok(fields.iter().map(|field| item(field.name())).collect())
            }
            other => Err(Fault::span(
                span,
                format!("`*` stands behind a table or a ROW, not {}", type_name(&other)),
            )),
        }
    }
}

/// What stands before `.*`, unless it is a table.
fn row_of(item: &SelectItem, from: &[TableWithJoins]) -> Option<Vec<Ident>> {
    let SelectItem::QualifiedWildcard(kind, _) = item else { return None };
    let name = match kind {
        SelectItemQualifiedWildcardKind::Expr(_) => return None,
        SelectItemQualifiedWildcardKind::ObjectName(name) => identifiers(name)?,
    };
    let last = name.last()?;
    let tables = from.iter().flat_map(|table| {
        std::iter::once(&table.relation).chain(table.joins.iter().map(|join| &join.relation))
    });
    let is_table = |factor: &TableFactor| relation_name(factor) == Some(last.value.as_str());
    let mut tables = tables.map(is_table);
    // `t.*` and `database.t.*`; a column of a table's name is not looked for.
    match tables.any(|is_one| is_one) {
        true => None,
        false => Some(name),
    }
}

fn identifiers(name: &ObjectName) -> Option<Vec<Ident>> {
    name.0.iter().map(|part| part.as_ident().cloned()).collect()
}

/// The name by which columns of an element of FROM are qualified.
fn relation_name(factor: &TableFactor) -> Option<&str> {
    let (name, alias) = match factor {
        TableFactor::Table { name, alias, .. } => (name.0.last(), alias),
        TableFactor::Derived { alias, .. }
        | TableFactor::TableFunction { alias, .. }
        | TableFactor::UNNEST { alias, .. } => (None, alias),
        _ => return None,
    };
    match alias {
        Some(alias) => Some(alias.name.value.as_str()),
        None => name.and_then(|name| name.as_ident()).map(|name| name.value.as_str()),
    }
}
