//! The dataflow graph: what the planner hands over. Plain data, shared by all cores.
//!
//! Nodes are in topological order: a node's inputs come before it. A node with several consumers
//! sends each the same batches. Exchanges are not in the graph: a keyed node has one before it.

use arrow::datatypes::SchemaRef;

use crate::operator::{UnnestSpec, WindowAggregateSpec};
use crate::record::ExpressionRef;

/// The nodes, inputs first.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    /// In topological order.
    pub nodes: Vec<Node>,
}

/// Index into [`Graph::nodes`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeIndex(pub usize);

/// Index into the job's list of sources.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SourceIndex(pub usize);

/// Index into the job's list of sinks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SinkIndex(pub usize);

/// Identity of an operator across restarts, from the plan before optimisation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct OperatorId(pub u64);

/// One operator.
#[derive(Clone, Debug)]
pub struct Node {
    /// Identity across restarts.
    pub id: OperatorId,
    /// One line for `explain`: `filter price > 100`.
    pub label: String,
    /// Where its rows come from.
    pub inputs: Vec<NodeIndex>,
    /// What it does.
    pub kind: NodeKind,
    /// Columns it emits.
    pub schema: SchemaRef,
}

/// What an operator does.
#[derive(Clone, Debug)]
pub enum NodeKind {
    /// Rows of a source, of its decoded columns (its event time is a `WatermarkSpec`).
    Source(SourceIndex),
    /// Each expression becomes one output column.
    Project(Vec<ExpressionRef>),
    /// Rows for which the condition is true.
    Filter(ExpressionRef),
    /// One row per element of an array column.
    Unnest(UnnestSpec),
    /// The rows of all inputs, whose schemas are equal.
    Union,
    /// Window table function with GROUP BY window and keys. An exchange by key precedes it.
    WindowAggregate(WindowAggregateSpec),
    /// Rows leave. Exactly one input.
    Sink(SinkIndex),
}
