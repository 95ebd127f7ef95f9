//! INSERT: a query's columns into a sink's, by position or by name, with Flink's implicit casts.

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion_expr::LogicalPlan;
use sqlparser::ast::{Ident, ObjectName, Query};
use sqlparser::tokenizer::Location;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::bind::location_of;
use super::cast::cast;
use super::catalog::{Catalog, ColumnKind, Table};
use super::error::{Checked, Fault, did_you_mean};
use super::eval::{Call, Kernel, Typed};
use super::functions::BindOptions;
use super::planner::Planner;
use super::relation::{Relation, materialized};
use super::rewrite::UNNAMED_PREFIX;
use super::statement::last_part;
use super::streaming::{StreamBuilder, StreamKind};
use super::types::{SqlType, converts_implicitly, type_name};
use super::{SqlText, TableRole};

/// An INSERT, with the settings of its place.
pub(super) struct Insert<'a> {
    pub(super) text: &'a SqlText,
    pub(super) location: Location,
    pub(super) options: BindOptions,
    pub(super) table: ObjectName,
    pub(super) columns: Vec<Ident>,
    pub(super) query: Box<Query>,
}

/// Sinks, with the nodes that write into each.
#[derive(Default)]
pub(super) struct Targets {
    by_name: BTreeMap<String, Target>,
    /// For the user: one line each.
    pub(super) notes: Vec<String>,
}

/// Sink's columns as the query names them, with notes for the user.
struct Inferred {
    schema: Schema,
    notes: Vec<String>,
}

struct Target {
    /// Columns written.
    schema: Schema,
    /// Projections to exactly those columns.
    writers: Vec<usize>,
}

impl Targets {
    /// Adds an INSERT's nodes.
    pub(super) fn insert(
        &mut self,
        builder: &mut StreamBuilder,
        insert: Insert,
        number: usize,
    ) -> Checked<()> {
        let name = last_part(&insert.table)?;
        let table = sink(builder.catalog, &name)?;
        let plan = Planner::new(builder.catalog).plan_query(insert.query)?;
        let path = format!("{}/{number}", name.value);
        let relation = builder.convert(&plan, &format!("{path}/query"))?;
        let relation = builder.assigned(relation, &format!("{path}/query"))?;
        // Also what an earlier INSERT wrote may be what this one reads.
        let targets = std::iter::once(&name.value).chain(self.by_name.keys());
        if let Some(both) = targets.into_iter().find(|&written| reads(builder, written)) {
            let message = format!("`{both}` is both read and written; use two tables");
            return Err(Fault::span(name.span, message));
        }
        let known = self.by_name.get(&name.value).map(|target| target.schema.clone());
        let schema = match (known, &table.columns) {
            (Some(schema), None) => schema,
            (_, Some(_)) => written_schema(table),
            (None, None) => {
                let Inferred { schema, notes } = inferred_schema(&name.value, &plan, &relation)?;
                self.notes.extend(notes);
                schema
            }
        };
        let order = column_order(&schema, &insert.columns, &relation, &name)?;
        let mut outputs = Vec::new();
        for (field, source) in schema.fields().iter().zip(order) {
            let typed = output(builder, &relation, &plan, source, field)?;
            outputs.push((field.name().clone(), typed));
        }
        let writer = builder.project(&path, relation.node, outputs);
        let target =
            self.by_name.entry(name.value).or_insert(Target { schema, writers: Vec::new() });
        target.writers.push(writer);
        Ok(())
    }

    /// One sink node per table, behind a union where several INSERTs write it.
    pub(super) fn connect(self, builder: &mut StreamBuilder) {
        for (name, target) in self.by_name {
            let before = match target.writers[..] {
                [only] => only,
                _ => {
                    let schema = builder.nodes[target.writers[0]].schema.clone();
                    builder.push(
                        &format!("{name}/union"),
                        StreamKind::Union,
                        target.writers,
                        schema,
                    )
                }
            };
            let kind = StreamKind::Sink(name.clone());
            builder.push(&format!("sink/{name}"), kind, vec![before], target.schema);
        }
    }
}

fn reads(builder: &StreamBuilder, name: &str) -> bool {
    builder
        .nodes
        .iter()
        .any(|node| matches!(&node.kind, StreamKind::Source(source) if source == name))
}

fn sink<'a>(catalog: &'a Catalog, name: &Ident) -> Checked<&'a Table> {
    let fault = |message| Err(Fault::span(name.span, message));
    match catalog.tables.get(&name.value) {
        Some(table) if table.role == Some(TableRole::Source) => {
            fault(format!("`{}` is a source; INSERT INTO needs a sink", name.value))
        }
        Some(table) => {
            match table.columns.iter().flatten().find(|column| {
                matches!(column.kind, ColumnKind::Metadata { is_virtual: false, .. })
            }) {
                Some(column) => fault(format!(
                    "no sink writes metadata such as `{}`; declare it VIRTUAL",
                    column.name
                )),
                None => Ok(table),
            }
        }
        None if catalog.views.contains_key(&name.value) => {
            fault(format!("`{}` is a view; INSERT INTO needs a sink", name.value))
        }
        None => {
            let sinks = catalog
                .tables
                .values()
                .filter(|table| table.role != Some(TableRole::Source))
                .map(|table| table.name.as_str());
            fault(format!("there is no sink `{}`{}", name.value, did_you_mean(&name.value, sinks)))
        }
    }
}

/// Columns of a declared sink that are written: those of the record.
fn written_schema(table: &Table) -> Schema {
    let fields: Vec<Field> = table
        .columns
        .iter()
        .flatten()
        .filter(|column| matches!(column.kind, ColumnKind::Physical(_)))
        .map(|column| Field::new(&column.name, column.data_type.clone(), column.nullable))
        .collect();
    Schema::new(fields)
}

/// Names and types of the query, for a sink without a schema.
fn inferred_schema(sink: &str, plan: &LogicalPlan, relation: &Relation) -> Checked<Inferred> {
    let mut fields: Vec<Field> = Vec::new();
    let mut notes = Vec::new();
    for (index, field) in plan.schema().fields().iter().enumerate() {
        let fault = |message: String| Fault { location: output_location(plan, index), message };
        let name = field.name();
        if name.starts_with(UNNAMED_PREFIX) {
            notes.push(format!(
                "sink {sink}: column {} of the query has no name and is written as {name}; write … AS \
                 name",
                index + 1
            ));
        }
        if fields.iter().any(|other| other.name() == name) {
            return Err(fault(format!("two columns are named `{name}`; rename one with AS")));
        }
        let data_type = relation.columns[index].data_type.clone();
        if data_type == DataType::Null {
            return Err(fault(format!("`{name}` is always NULL; CAST it to a type")));
        }
        fields.push(Field::new(name, data_type, true));
    }
    Ok(Inferred { schema: Schema::new(fields), notes })
}

fn output_location(plan: &LogicalPlan, index: usize) -> Option<Location> {
    match plan {
        LogicalPlan::Projection(projection) => projection.expr.get(index).and_then(location_of),
        _ => None,
    }
}

/// For each column of the sink, the query's column; `None` for one that is not written.
fn column_order(
    schema: &Schema,
    named: &[Ident],
    relation: &Relation,
    sink: &Ident,
) -> Checked<Vec<Option<usize>>> {
    let given = relation.columns.len();
    let expected = if named.is_empty() { schema.fields().len() } else { named.len() };
    if given != expected {
        let message = format!(
            "the query has {given} columns, and `{}` is written with {expected} ({})",
            sink.value,
            names_of(schema)
        );
        return Err(Fault::span(sink.span, message));
    }
    if named.is_empty() {
        return Ok((0..given).map(Some).collect());
    }
    let mut order = vec![None; schema.fields().len()];
    for (position, ident) in named.iter().enumerate() {
        let index = schema.index_of(&ident.value).map_err(|_| {
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let hint = did_you_mean(&ident.value, names);
            Fault::span(
                ident.span,
                format!("`{}` has no column `{}`{hint}", sink.value, ident.value),
            )
        })?;
        if order[index].replace(position).is_some() {
            return Err(Fault::span(ident.span, format!("`{}` is given twice", ident.value)));
        }
    }
    Ok(order)
}

fn names_of(schema: &Schema) -> String {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    names.join(", ")
}

/// The value of a sink's column.
fn output(
    builder: &StreamBuilder,
    relation: &Relation,
    plan: &LogicalPlan,
    source: Option<usize>,
    field: &Field,
) -> Checked<Typed> {
    let to = SqlType::plain(field.data_type().clone());
    let Some(index) = source else {
        if !field.is_nullable() {
            let message = format!("the column `{}` is NOT NULL and not written", field.name());
            return Err(Fault::anywhere(message));
        }
        let null = Typed::constant(datafusion_common::ScalarValue::Null);
        return cast(null, &to, false, &builder.options).map_err(Fault::anywhere);
    };
    let fault = |message: String| Fault { location: output_location(plan, index), message };
    let rows = &builder.nodes[relation.node].schema;
    let typed = materialized(&relation.columns[index], rows, plan.schema().field(index).name())
        .map_err(fault)?;
    if !converts_implicitly(&typed.data_type, field.data_type()) {
        return Err(fault(format!(
            "column {} of the query is {}, the sink's `{}` is {}; CAST it",
            index + 1,
            type_name(&typed.data_type),
            field.name(),
            type_name(field.data_type())
        )));
    }
    let converted = cast(typed, &to, false, &builder.options).map_err(fault)?;
    Ok(if field.is_nullable() { converted } else { not_null(converted, field.name()) })
}

/// Fails the rows that would write NULL into a NOT NULL column.
fn not_null(typed: Typed, name: &str) -> Typed {
    let column = name.to_string();
    let kernel: Kernel = Arc::new(move |arguments, rows| {
        let array = arguments[0].clone().into_array(rows)?;
        if array.null_count() > 0 {
            return Err(datafusion_common::exec_datafusion_err!(
                "column \"{column}\": NULL in a NOT NULL column"
            ));
        }
        Ok(array)
    });
    let data_type = typed.data_type.clone();
    let call = Call::new("NOT_NULL", vec![typed.expr], data_type.clone(), kernel).fallible();
    Typed::new(Arc::new(call), data_type)
}
