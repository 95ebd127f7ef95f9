//! From a graph of operators to one worker per core.
//!
//! Read: `graph` (what the planner hands over) · `fuse` (operators into chains, cut at exchanges) ·
//! `build` (a plan into each core's stages).

mod graph;

pub use graph::{Graph, Node, NodeIndex, NodeKind, OperatorId, SinkIndex, SourceIndex};
