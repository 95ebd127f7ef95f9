//! From a graph of operators to one worker per core.
//!
//! Read: `graph` (what the planner hands over) · `fuse` (nodes into stages, cut at exchanges) ·
//! `order` (which rows need positions) · `build` (a stage's operators, on the core that runs them).

mod build;
mod fuse;
mod graph;
mod order;

pub use build::{ChainOptions, build_chain, check_windows};
pub use fuse::{
    EdgeIndex, EdgeSpec, LaneSpec, OperatorSpec, OutletSpec, Routing, StageInput, StageSpec,
    Stages, TreeSpec, fuse,
};
pub use graph::{Graph, Node, NodeIndex, NodeKind, OperatorId, SinkIndex, SourceIndex};
