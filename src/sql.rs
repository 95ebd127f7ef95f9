//! Flink SQL to a dataflow graph: the dialect is Flink's, the planner is DataFusion's.
//!
//! Read: `text` (positions) · `dialect` · `catalog` · `planner` · `functions` · `streaming` ·
//! `lower` · `eval`.

use arrow::datatypes::SchemaRef;
use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::dataflow::Graph;
use crate::source::WatermarkSpec;

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
    /// Physical columns, in declaration order.
    pub schema: SchemaRef,
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
