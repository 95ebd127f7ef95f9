//! Flink SQL to a dataflow graph: the dialect is Flink's, the planner is DataFusion's.
//!
//! In:  the job's statements and the tables of its TOML file.
//! Out: a [`Plan`]: operators with compiled expressions, sources, sinks; or every mistake with its
//! place.
//!
//! Read: `error` (mistakes and places) · `dialect`, `tokens`, `hints`, `statement`, `ddl`, `type_syntax` (text to syntax) · `walk`,
//! `refuse`, `reserved`, `aliases`, `rewrite`, `literals`, `interval` (what is supported, in forms DataFusion reads) ·
//! `types`, `catalog` · `planner`, `relations`, `fields`, `words` (DataFusion's planner, set up as Flink's) · `bind`,
//! `operators`, `integers`, `floats`, `texts`, `moments`, `similar`, `cast`, `functions` (expressions with Flink's types) · `streaming`, `relation`, `windows`, `aggregate`, `optimize`, `lower` (plans to the
//! graph) · `job`, `sinks`, `settings` (statements in order) · `eval` (at run time).
//!
#![doc = include_str!("sql/FUNCTIONS.md")]

mod aggregate;
mod aliases;
mod bind;
mod cast;
mod catalog;
mod ddl;
mod dialect;
mod error;
mod eval;
mod fields;
mod floats;
mod functions;
mod hints;
mod integers;
mod interval;
mod intervals;
mod job;
mod literals;
mod lower;
mod moments;
mod operators;
mod optimize;
mod planner;
mod refuse;
mod refuse_expr;
mod relation;
mod relations;
mod reserved;
mod rewrite;
mod settings;
mod similar;
mod sinks;
mod statement;
mod streaming;
#[cfg(test)]
mod tests;
mod texts;
mod tokens;
mod type_syntax;
mod types;
mod variance;
mod walk;
mod windows;
mod words;

pub use error::SqlError;

use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::limits::SQL_PLANNER_STACK_BYTES;

use crate::dataflow::Graph;
use crate::source::{FileMetadata, WatermarkSpec};

/// SQL as the user wrote it, with where it stands.
#[derive(Clone, Debug)]
pub struct SqlText {
    /// The text.
    pub text: String,
    /// File it stands in.
    pub file: PathBuf,
    /// Line of its first character in that file, from 1.
    pub line: u32,
    /// Column of its first character, from 1.
    pub column: u32,
}

/// A table the TOML file declares.
#[derive(Clone, Debug)]
pub struct DeclaredTable {
    /// Name under `[sources]` or `[sinks]`.
    pub name: String,
    /// Read or written.
    pub role: TableRole,
    /// The column list of CREATE TABLE; a sink may leave it out and takes the query's.
    pub schema: Option<SqlText>,
}

/// Read or written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TableRole {
    /// Under `[sources]`, or read by a query.
    Source,
    /// Under `[sinks]`, or the target of an INSERT.
    Sink,
}

/// A job's SQL, planned.
#[derive(Debug)]
pub struct Plan {
    /// The operators. Source and sink indices point into the two lists below.
    pub graph: Graph,
    /// Sources read by some query, each once.
    pub sources: Vec<PlannedSource>,
    /// Targets of INSERT, each once.
    pub sinks: Vec<PlannedSink>,
    /// What was accepted and has no effect, for the user: one line each.
    pub notes: Vec<String>,
    /// `SET 'table.exec.source.idle-timeout'`, for sources that do not say otherwise.
    pub idle_timeout_ms: Option<u64>,
}

/// What planning depends on besides the text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanOptions {
    /// Session time zone, until `SET 'table.local-time-zone'`: `UTC`, `Europe/Berlin`.
    pub time_zone: String,
}

/// Plans a job.
///
/// Runs on a thread of its own with a stack for deep queries, and answers when it has ended.
///
/// # Errors
/// Every mistake found, in the order of the texts; at least one.
pub fn plan(
    query: &[SqlText],
    tables: &[DeclaredTable],
    options: &PlanOptions,
) -> Result<Plan, Vec<SqlError>> {
    let planned = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("planner".into())
            .stack_size(SQL_PLANNER_STACK_BYTES)
            .spawn_scoped(scope, || job::plan_job(query, tables, options))
            .map(std::thread::ScopedJoinHandle::join)
    });
    match planned {
        Ok(Ok(result)) => result,
        // A bad query must not take the appliance down.
        Ok(Err(panic)) => {
            let said = panic.downcast_ref::<String>().map(String::as_str);
            let said =
                said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason");
            let message = format!("the planner failed on this query ({said}); please report it");
            Err(vec![failure(query, &message)])
        }
        Err(error) => {
            Err(vec![failure(query, &format!("the planner's thread did not start: {error}"))])
        }
    }
}

fn failure(query: &[SqlText], message: &str) -> SqlError {
    let (file, line, column) = match query.first() {
        Some(text) => (text.file.clone(), text.line, text.column),
        None => (PathBuf::new(), 1, 1),
    };
    SqlError { file, line, column, message: message.into() }
}

/// Where a table was declared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TableOrigin {
    /// In the TOML file, under this name.
    Declared,
    /// By CREATE TABLE, with these options: name, value, line, column.
    Statement(BTreeMap<String, WithOption>),
}

/// The value of one option in `WITH (…)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WithOption {
    /// The text between the quotes.
    pub value: String,
    /// Where, in the file.
    pub line: u32,
    /// Where, in the line.
    pub column: u32,
}

/// A source as the plan needs it.
#[derive(Clone, Debug)]
pub struct PlannedSource {
    /// Table name.
    pub name: String,
    /// Where declared.
    pub origin: TableOrigin,
    /// Physical columns, in declaration order; behind those of the records those of their file.
    pub schema: SchemaRef,
    /// What the last columns of `schema` are.
    pub metadata: Vec<FileMetadata>,
    /// Columns the graph's source node emits, ascending.
    pub projection: Vec<usize>,
    /// Event time, over the *projected* columns.
    pub watermark: Option<WatermarkSpec>,
}

/// A sink as the plan needs it.
#[derive(Clone, Debug)]
pub struct PlannedSink {
    /// Table name.
    pub name: String,
    /// Where declared.
    pub origin: TableOrigin,
    /// Columns written.
    pub schema: SchemaRef,
}
