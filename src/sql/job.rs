//! A job's statements, in order: declarations into the catalog, INSERTs into one streaming plan.

use arrow::array::Array;
use arrow::datatypes::{DataType, Field, Schema};
use chrono_tz::Tz;
use datafusion_expr::LogicalPlan;
use sqlparser::ast::{
    Ident, ObjectName, Query, SetExpr, TableAlias, TableAliasColumnDef, TableFactor,
};
use sqlparser::tokenizer::Location;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::bind::location_of;
use super::cast::cast;
use super::catalog::{Catalog, ColumnKind, Table};
use super::ddl::CreateTable;
use super::dialect::FlinkDialect;
use super::error::{Checked, Fault, did_you_mean};
use super::eval::{Call, Kernel, Typed, columns_of};
use super::functions::BindOptions;
use super::lower::lower;
use super::optimize::optimize;
use super::planner::Planner;
use super::rewrite::UNNAMED_PREFIX;
use super::settings::Settings;
use super::statement::{Statement, StatementKind, last_part, parse_schema, parse_statements};
use super::streaming::{Relation, StreamBuilder, StreamKind, materialized, refuse_window};
use super::types::{SqlType, converts_implicitly, type_name};
use super::{DeclaredTable, Plan, PlanOptions, SqlError, SqlText, TableOrigin, TableRole};

/// Plans a job; see [`super::plan`].
pub(super) fn plan_job(
    query: &[SqlText],
    tables: &[DeclaredTable],
    options: &PlanOptions,
) -> Result<Plan, Vec<SqlError>> {
    let zone: Tz = options.time_zone.parse().map_err(|_| {
        let message =
            format!("time_zone = \"{}\" is not one; write \"Europe/Berlin\"", options.time_zone);
        vec![whole_job(query, message)]
    })?;
    let mut job = Job {
        catalog: Catalog::default(),
        settings: Settings { time_zone: zone, idle_timeout_ms: None, notes: Vec::new() },
        inserts: Vec::new(),
        errors: Vec::new(),
    };
    for table in tables {
        job.declare(table, query);
    }
    for text in query {
        job.read(text);
    }
    if job.errors.is_empty() && job.inserts.is_empty() {
        job.errors
            .push(whole_job(query, "there is no INSERT INTO: nothing would be written".into()));
    }
    if job.errors.is_empty() { job.finish() } else { Err(job.errors) }
}

fn whole_job(query: &[SqlText], message: String) -> SqlError {
    match query.first() {
        Some(text) => text.error(Fault::anywhere(message)),
        None => SqlError { file: "job".into(), line: 1, column: 1, message },
    }
}

struct Job<'a> {
    catalog: Catalog,
    settings: Settings,
    inserts: Vec<Insert<'a>>,
    errors: Vec<SqlError>,
}

/// An INSERT, with the settings of its place.
struct Insert<'a> {
    text: &'a SqlText,
    location: Location,
    options: BindOptions,
    table: ObjectName,
    columns: Vec<Ident>,
    query: Box<Query>,
}

impl<'a> Job<'a> {
    fn options(&self) -> BindOptions {
        BindOptions { time_zone: self.settings.time_zone }
    }

    /// A table of the TOML file.
    fn declare(&mut self, declared: &DeclaredTable, query: &[SqlText]) {
        let name = Ident::new(&declared.name);
        let Some(text) = &declared.schema else {
            if declared.role == TableRole::Source {
                let message = format!("the source `{}` needs a schema", declared.name);
                self.errors.push(whole_job(query, message));
            } else if let Err(fault) =
                self.catalog.add_table(&name, Table::without_columns(&declared.name))
            {
                self.errors.push(whole_job(query, fault.message));
            }
            return;
        };
        let options = self.options();
        let added = parse_schema(text)
            .and_then(|list| {
                let role = Some(declared.role);
                Table::with_columns(&declared.name, TableOrigin::Declared, role, &list, &options)
            })
            .and_then(|table| self.catalog.add_table(&name, table));
        if let Err(fault) = added {
            self.errors.push(text.error(fault));
        }
    }

    /// Statements of a text; each reports its own error.
    fn read(&mut self, text: &'a SqlText) {
        match parse_statements(text) {
            Err(fault) => self.errors.push(text.error(fault)),
            Ok(statements) => {
                for statement in statements {
                    let location = statement.location;
                    if let Err(fault) = self.statement(text, statement) {
                        self.errors.push(text.error(fault.or_at(location)));
                    }
                }
            }
        }
    }

    fn statement(&mut self, text: &'a SqlText, statement: Statement) -> Checked<()> {
        match statement.kind {
            StatementKind::CreateTable(table) => self.create_table(table),
            StatementKind::CreateView { name, columns, query } => {
                self.create_view(&name, &columns, query)
            }
            StatementKind::Set { key, value } => {
                self.settings.set(&key, &value).map_err(Fault::anywhere)
            }
            StatementKind::Insert { table, columns, query } => {
                let (location, options) = (statement.location, self.options());
                self.inserts.push(Insert { text, location, options, table, columns, query });
                Ok(())
            }
        }
    }

    fn create_table(&mut self, statement: CreateTable) -> Checked<()> {
        let CreateTable { name, list, options } = statement;
        let origin = TableOrigin::Statement(options);
        let table = Table::with_columns(&name.value, origin, None, &list, &self.options())?;
        self.catalog.add_table(&name, table)
    }

    fn create_view(&mut self, name: &Ident, columns: &[Ident], query: Box<Query>) -> Checked<()> {
        let query = if columns.is_empty() { query } else { renamed(name, columns, query)? };
        let plan = Planner::new(&self.catalog).plan_query(query)?;
        // Whatever is wrong with the view is said here, where its text is.
        let mut trial = StreamBuilder::new(&self.catalog, self.options());
        trial.convert(&plan, "view")?;
        self.catalog.add_view(name, plan)
    }

    fn finish(self) -> Result<Plan, Vec<SqlError>> {
        let Job { catalog, settings, inserts, mut errors } = self;
        let mut builder =
            StreamBuilder::new(&catalog, BindOptions { time_zone: settings.time_zone });
        let mut targets = Targets::default();
        for (number, insert) in inserts.into_iter().enumerate() {
            let (text, location) = (insert.text, insert.location);
            builder.options = insert.options.clone();
            if let Err(fault) = targets.insert(&mut builder, insert, number) {
                errors.push(text.error(fault.or_at(location)));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        targets.connect(&mut builder);
        let nodes = optimize(builder.nodes, &|name| watermark_columns(&catalog.tables[name]));
        let lowered = lower(&nodes, &catalog);
        Ok(Plan {
            graph: lowered.graph,
            sources: lowered.sources,
            sinks: lowered.sinks,
            notes: settings.notes,
            idle_timeout_ms: settings.idle_timeout_ms,
        })
    }
}

fn watermark_columns(table: &Table) -> Vec<usize> {
    table.watermark.as_ref().map_or_else(Vec::new, |watermark| {
        let mut columns = columns_of(&watermark.expression);
        columns.insert(watermark.column);
        columns.into_iter().collect()
    })
}

/// `SELECT * FROM (query) AS name (columns)`.
fn renamed(name: &Ident, columns: &[Ident], query: Box<Query>) -> Checked<Box<Query>> {
    let mut outer = sqlparser::parser::Parser::new(&FlinkDialect)
        .try_with_sql("SELECT * FROM t")
        .and_then(|mut parser| parser.parse_query())
        .map_err(|error| Fault::anywhere(error.to_string()))?;
    if let SetExpr::Select(select) = outer.body.as_mut() {
        select.from[0].relation = TableFactor::Derived {
            lateral: false,
            subquery: query,
            alias: Some(TableAlias {
                explicit: true,
                name: name.clone(),
                columns: columns
                    .iter()
                    .map(|column| TableAliasColumnDef { name: column.clone(), data_type: None })
                    .collect(),
                at: None,
            }),
            sample: None,
        };
    }
    Ok(outer)
}

/// Sinks, with the nodes that write into each.
#[derive(Default)]
struct Targets {
    by_name: BTreeMap<String, Target>,
}

struct Target {
    /// Columns written.
    schema: Schema,
    /// Projections to exactly those columns.
    writers: Vec<usize>,
}

impl Targets {
    fn insert(
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
        refuse_window(&relation)?;
        if reads(builder, &name.value) {
            let message = format!("`{}` is both read and written; use two tables", name.value);
            return Err(Fault::span(name.span, message));
        }
        let known = self.by_name.get(&name.value).map(|target| target.schema.clone());
        let schema = match (known, &table.columns) {
            (Some(schema), None) => schema,
            (_, Some(_)) => written_schema(table),
            (None, None) => inferred_schema(&plan, &relation)?,
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
    fn connect(self, builder: &mut StreamBuilder) {
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
        Some(table) => Ok(table),
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
fn inferred_schema(plan: &LogicalPlan, relation: &Relation) -> Checked<Schema> {
    let mut fields: Vec<Field> = Vec::new();
    for (index, field) in plan.schema().fields().iter().enumerate() {
        let fault = |message: String| Fault { location: output_location(plan, index), message };
        let name = field.name();
        if name.starts_with(UNNAMED_PREFIX) {
            return Err(fault(format!(
                "column {} of the query has no name, and the sink no schema; write … AS name",
                index + 1
            )));
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
    Ok(Schema::new(fields))
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
