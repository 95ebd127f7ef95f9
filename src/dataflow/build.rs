//! A chain's operators, made on the core that runs them.

use std::sync::Arc;

use super::{Graph, NodeIndex, NodeKind, OperatorSpec};
use crate::operator::{
    Chain, Operator, WindowPlan, WindowReceiver, WindowSender, filter, project, unnest,
};
use crate::record::KeyHasher;
use crate::state::{StateKey, Tracking};

/// Parts of an operator that keep state: numbers that never change.
const PART_WHOLE: u16 = 0;
const PART_SENDER: u16 = 1;

/// What all operators of one core are built with.
#[derive(Clone, Copy, Debug)]
pub struct ChainOptions {
    /// The job's key hash.
    pub hasher: KeyHasher,
    /// Whether what they keep is to be written.
    pub tracking: Tracking,
}

/// The chain of the operators `specs` of `graph`, which has been checked by [`check_windows`].
pub fn build_chain(graph: &Graph, specs: &[OperatorSpec], options: ChainOptions) -> Chain {
    let operators =
        specs.iter().map(|spec| (state_key(graph, *spec), build_operator(graph, *spec, options)));
    Chain::new(operators.collect())
}

/// What an operator's state goes by.
fn state_key(graph: &Graph, spec: OperatorSpec) -> StateKey {
    let (index, part) = match spec {
        OperatorSpec::Row(index) | OperatorSpec::WindowReceiver(index) => (index, PART_WHOLE),
        OperatorSpec::WindowSender(index) => (index, PART_SENDER),
    };
    StateKey { operator: graph.nodes[index.0].id.0, part }
}

/// Says what is wrong with the windows of `graph`: label of the node and reason.
pub fn check_windows(graph: &Graph) -> Vec<String> {
    let windows = (0..graph.nodes.len())
        .map(NodeIndex)
        .filter(|index| matches!(graph.nodes[index.0].kind, NodeKind::WindowAggregate(_)));
    windows
        .filter_map(|index| {
            let reason = window_plan(graph, index).err()?;
            Some(format!("{}: {reason}", graph.nodes[index.0].label))
        })
        .collect()
}

fn build_operator(graph: &Graph, spec: OperatorSpec, options: ChainOptions) -> Box<dyn Operator> {
    let ChainOptions { hasher, tracking } = options;
    let plan = |index| window_plan(graph, index).expect("windows are checked before the start");
    match spec {
        OperatorSpec::Row(index) => row_operator(graph, index),
        OperatorSpec::WindowSender(index) => Box::new(WindowSender::new(plan(index), hasher)),
        OperatorSpec::WindowReceiver(index) => {
            let schema = Arc::clone(&graph.nodes[index.0].schema);
            let receiver = WindowReceiver::new(plan(index), schema, hasher, tracking);
            match graph.feeds_ordered(index) {
                true => Box::new(receiver.with_positions()),
                false => Box::new(receiver),
            }
        }
    }
}

fn row_operator(graph: &Graph, index: NodeIndex) -> Box<dyn Operator> {
    let node = &graph.nodes[index.0];
    match &node.kind {
        NodeKind::Project(expressions) => project(expressions.clone(), Arc::clone(&node.schema)),
        NodeKind::Filter(condition) => filter(Arc::clone(condition)),
        NodeKind::Unnest(spec) => unnest(spec.clone(), Arc::clone(&node.schema)),
        other => unreachable!("{other:?} is no operator on rows"),
    }
}

fn window_plan(graph: &Graph, index: NodeIndex) -> Result<Arc<WindowPlan>, String> {
    let node = &graph.nodes[index.0];
    let NodeKind::WindowAggregate(spec) = &node.kind else {
        unreachable!("asked of windows only");
    };
    WindowPlan::new(spec, &graph.nodes[node.inputs[0].0].schema)
}
