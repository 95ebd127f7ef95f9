//! A job's statements, in order: declarations into the catalog, INSERTs into one streaming plan.

use chrono_tz::Tz;
use sqlparser::ast::{Ident, Query, TableAlias, TableAliasColumnDef, TableFactor, TableWithJoins};

use super::catalog::{Catalog, Table};
use super::ddl::CreateTable;
use super::dialect::select_all;
use super::error::{Checked, Fault};
use super::functions::BindOptions;
use super::hints::Hints;
use super::lower::lower;
use super::optimize::optimize;
use super::planner::Planner;
use super::settings::Settings;
use super::sinks::{Insert, Targets};
use super::statement::{Statement, StatementKind, parse_schema, parse_statements};
use super::streaming::StreamBuilder;
use crate::limits::SQL_ERRORS_MAX;

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
            Ok((statements, mut hints)) => {
                self.settings.notes.append(&mut hints.notes);
                for statement in statements {
                    let location = statement.location;
                    if let Err(fault) = self.statement(text, statement, &hints) {
                        self.errors.push(text.error(fault.or_at(location)));
                    }
                    if self.errors.len() == SQL_ERRORS_MAX {
                        return;
                    }
                }
            }
        }
    }

    fn statement(&mut self, text: &'a SqlText, statement: Statement, hints: &Hints) -> Checked<()> {
        match statement.kind {
            StatementKind::CreateTable(table) => self.create_table(*table),
            StatementKind::CreateView { name, if_not_exists: true, .. }
                if self.catalog.contains(&name.value) =>
            {
                Ok(())
            }
            StatementKind::CreateView { name, columns, mut query, .. } => {
                hints.apply_to_query(&mut query, text, &mut self.catalog)?;
                self.create_view(&name, &columns, query)
            }
            StatementKind::Set { key, value } => {
                self.settings.set(&key, &value).map_err(Fault::anywhere)
            }
            StatementKind::Insert { mut table, columns, mut query } => {
                hints.apply_to_name(&mut table, text, &mut self.catalog)?;
                hints.apply_to_query(&mut query, text, &mut self.catalog)?;
                let (location, options) = (statement.location, self.options());
                self.inserts.push(Insert { text, location, options, table, columns, query });
                Ok(())
            }
        }
    }

    fn create_table(&mut self, statement: CreateTable) -> Checked<()> {
        let CreateTable { name, if_not_exists, list, options } = statement;
        if if_not_exists && self.catalog.contains(&name.value) {
            return Ok(());
        }
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
        let mut notes = settings.notes;
        notes.append(&mut targets.notes);
        targets.connect(&mut builder);
        let nodes = optimize(builder.nodes, &|name| watermark_columns(&catalog.tables[name]));
        let lowered = lower(&nodes, &catalog);
        Ok(Plan {
            graph: lowered.graph,
            sources: lowered.sources,
            sinks: lowered.sinks,
            notes,
            idle_timeout_ms: settings.idle_timeout_ms,
        })
    }
}

fn watermark_columns(table: &Table) -> Vec<usize> {
    let watermark = table.watermark.as_ref();
    watermark.map_or_else(Vec::new, |watermark| watermark.columns().into_iter().collect())
}

/// `SELECT * FROM (query) AS name (columns)`.
fn renamed(name: &Ident, columns: &[Ident], query: Box<Query>) -> Checked<Box<Query>> {
    let relation = TableFactor::Derived {
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
    select_all(vec![TableWithJoins { relation, joins: Vec::new() }])
}
