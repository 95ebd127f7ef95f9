//! Order: where the result of an aggregate depends on the order in which rows came.
//!
//! Rows of one split come to an aggregate from several cores. So that it can tell their order, the
//! nodes at which rows begin (sources, windows that have fired) give each its position; only where
//! such an aggregate follows.

use super::{Graph, NodeIndex, NodeKind};
use crate::operator::AggregateCall;

impl Graph {
    /// True when rows that begin at `from` reach an aggregate that depends on their order.
    pub(super) fn feeds_ordered(&self, from: NodeIndex) -> bool {
        let behind = from.0 + 1..self.nodes.len();
        let consumers = behind.filter(|node| self.nodes[*node].inputs.contains(&from));
        consumers.into_iter().any(|node| match &self.nodes[node].kind {
            NodeKind::WindowAggregate(spec) => {
                spec.aggregates.iter().any(AggregateCall::is_ordered)
            }
            NodeKind::Source(_) | NodeKind::Sink(_) => false,
            NodeKind::Project(_) | NodeKind::Filter(_) | NodeKind::Unnest(_) | NodeKind::Union => {
                self.feeds_ordered(NodeIndex(node))
            }
        })
    }

    /// Per source: whether its rows need positions.
    pub fn positioned_sources(&self, sources: usize) -> Vec<bool> {
        let mut positioned = vec![false; sources];
        for (index, node) in self.nodes.iter().enumerate() {
            if let NodeKind::Source(source) = node.kind {
                positioned[source.0] |= self.feeds_ordered(NodeIndex(index));
            }
        }
        positioned
    }
}
