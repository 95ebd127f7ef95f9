//! Fusing: a graph's nodes into stages, cut at exchanges.
//!
//! In:  the graph, and which sinks have their connection on one core only.
//! Out: stages (a source or an edge, then a tree of chains) and the edges between them.
//!
//! Invariants
//! - Every core runs every stage.
//! - A stage feeds only edges whose stage comes later, so serving stages from the back never waits.
//! - A `Union` is no operator: what follows it is repeated in each of its inputs' stages, up to the
//!   next exchange. State lives behind exchanges only, so nothing that has state is repeated; the
//!   edge gets one lane per repetition, and its inbox takes the minimum watermark over the lanes.

use super::{Graph, NodeIndex, NodeKind, SinkIndex, SourceIndex};

/// Stages and edges of a job, the same on every core.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stages {
    /// In an order in which no stage feeds an earlier one.
    pub stages: Vec<StageSpec>,
    /// Exchange edges.
    pub edges: Vec<EdgeSpec>,
}

/// What runs between two exchanges.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StageSpec {
    /// Where its elements come from.
    pub input: StageInput,
    /// What happens to them.
    pub tree: TreeSpec,
    /// The one source all of its rows come from, directly or through earlier stages.
    pub source: Option<SourceIndex>,
}

/// Where a stage's elements come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StageInput {
    /// A source's instance on the same core.
    Source(SourceIndex),
    /// An exchange edge.
    Edge(EdgeIndex),
}

/// A chain and what it feeds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TreeSpec {
    /// Operators in order; may be empty.
    pub operators: Vec<OperatorSpec>,
    /// At least one. Several: each gets every element.
    pub outlets: Vec<OutletSpec>,
}

impl TreeSpec {
    /// The operators of this chain and of all trees below it, in the order of the run-time tree.
    pub fn all_operators(&self) -> Vec<OperatorSpec> {
        let mut operators = self.operators.clone();
        for outlet in &self.outlets {
            if let OutletSpec::Tree(tree) = outlet {
                operators.extend(tree.all_operators());
            }
        }
        operators
    }
}

/// One operator, by the node it comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum OperatorSpec {
    /// `Project`, `Filter` or `Unnest`.
    Row(NodeIndex),
    /// The half of a `WindowAggregate` before the exchange.
    WindowSender(NodeIndex),
    /// The half behind it.
    WindowReceiver(NodeIndex),
}

/// What a chain feeds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OutletSpec {
    /// More operators.
    Tree(TreeSpec),
    /// An exchange.
    Edge(LaneSpec),
    /// The sink's instance on the same core.
    Sink(SinkIndex),
}

/// One writer of an edge on each core.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LaneSpec {
    /// Which edge.
    pub edge: EdgeIndex,
    /// Which of its writers, `0..EdgeSpec::lanes`.
    pub lane: usize,
}

/// Index into [`Stages::edges`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EdgeIndex(pub usize);

/// An exchange.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EdgeSpec {
    /// Which core a row goes to.
    pub routing: Routing,
    /// Writers on each core.
    pub lanes: usize,
}

/// Which core a row goes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Routing {
    /// The owner of its key hash.
    ByKey,
    /// Core 0, where the sink has its connections.
    ToSink(SinkIndex),
}

/// Cuts `graph` into stages. `gathered(sink)` says that the sink works on core 0 only;
/// `diversions` are extra writers (late and rejected rows of a source) into sinks.
pub fn fuse(
    graph: &Graph,
    gathered: impl Fn(SinkIndex) -> bool,
    diversions: &[SinkIndex],
) -> (Stages, Vec<OutletSpec>) {
    let mut fuser = Fuser::new(graph, &gathered);
    let mut stages = Vec::new();
    for (index, node) in graph.nodes.iter().enumerate() {
        let node_index = NodeIndex(index);
        let (input, operators) = match &node.kind {
            NodeKind::Source(source) => (StageInput::Source(*source), Vec::new()),
            NodeKind::WindowAggregate(_) => {
                let edge = fuser.keyed_edges[index].expect("every windowed node has its edge");
                (StageInput::Edge(edge), vec![OperatorSpec::WindowReceiver(node_index)])
            }
            _ => continue,
        };
        let tree = fuser.tree(node_index, operators);
        stages.push(StageSpec { input, tree, source: unique_source(graph, node_index) });
    }
    let outlets = diversions.iter().map(|&sink| fuser.sink_outlet(sink)).collect();
    for (index, edge) in fuser.edges.iter().enumerate() {
        if let Routing::ToSink(sink) = edge.routing {
            let tree = TreeSpec { operators: Vec::new(), outlets: vec![OutletSpec::Sink(sink)] };
            let input = StageInput::Edge(EdgeIndex(index));
            stages.push(StageSpec { input, tree, source: None });
        }
    }
    (Stages { stages, edges: fuser.edges }, outlets)
}

struct Fuser<'a> {
    graph: &'a Graph,
    consumers: Vec<Vec<NodeIndex>>,
    edges: Vec<EdgeSpec>,
    /// Per node: the edge before a windowed node.
    keyed_edges: Vec<Option<EdgeIndex>>,
    gathered: &'a dyn Fn(SinkIndex) -> bool,
    gather_edges: Vec<(SinkIndex, EdgeIndex)>,
}

impl<'a> Fuser<'a> {
    fn new(graph: &'a Graph, gathered: &'a dyn Fn(SinkIndex) -> bool) -> Fuser<'a> {
        let mut consumers = vec![Vec::new(); graph.nodes.len()];
        let mut edges = Vec::new();
        let mut keyed_edges = vec![None; graph.nodes.len()];
        for (index, node) in graph.nodes.iter().enumerate() {
            for input in &node.inputs {
                assert!(input.0 < index, "inputs come first");
                consumers[input.0].push(NodeIndex(index));
            }
            if matches!(node.kind, NodeKind::WindowAggregate(_)) {
                keyed_edges[index] = Some(EdgeIndex(edges.len()));
                edges.push(EdgeSpec { routing: Routing::ByKey, lanes: 0 });
            }
        }
        Fuser { graph, consumers, edges, keyed_edges, gathered, gather_edges: Vec::new() }
    }

    /// The chain that begins with `operators` and goes on with the consumers of `node`.
    fn tree(&mut self, node: NodeIndex, mut operators: Vec<OperatorSpec>) -> TreeSpec {
        let mut last = node;
        loop {
            let consumers = self.consumers[last.0].clone();
            let [consumer] = consumers[..] else {
                let outlets = consumers.into_iter().flat_map(|next| self.outlets(next)).collect();
                return TreeSpec { operators, outlets };
            };
            match self.graph.nodes[consumer.0].kind {
                NodeKind::Project(_) | NodeKind::Filter(_) | NodeKind::Unnest(_) => {
                    operators.push(OperatorSpec::Row(consumer));
                    last = consumer;
                }
                NodeKind::Union => last = consumer,
                NodeKind::WindowAggregate(_) => {
                    operators.push(OperatorSpec::WindowSender(consumer));
                    let outlets = vec![OutletSpec::Edge(self.keyed_lane(consumer))];
                    return TreeSpec { operators, outlets };
                }
                NodeKind::Sink(sink) => {
                    let outlets = vec![self.sink_outlet(sink)];
                    return TreeSpec { operators, outlets };
                }
                NodeKind::Source(_) => unreachable!("a source has no inputs"),
            }
        }
    }

    /// What one of several consumers looks like from its producer.
    fn outlets(&mut self, consumer: NodeIndex) -> Vec<OutletSpec> {
        match self.graph.nodes[consumer.0].kind {
            NodeKind::Sink(sink) => vec![self.sink_outlet(sink)],
            NodeKind::WindowAggregate(_) => {
                let outlets = vec![OutletSpec::Edge(self.keyed_lane(consumer))];
                let operators = vec![OperatorSpec::WindowSender(consumer)];
                vec![OutletSpec::Tree(TreeSpec { operators, outlets })]
            }
            NodeKind::Union => {
                let tree = self.tree(consumer, Vec::new());
                if tree.operators.is_empty() { tree.outlets } else { vec![OutletSpec::Tree(tree)] }
            }
            _ => vec![OutletSpec::Tree(self.tree(consumer, vec![OperatorSpec::Row(consumer)]))],
        }
    }

    fn keyed_lane(&mut self, node: NodeIndex) -> LaneSpec {
        let edge = self.keyed_edges[node.0].expect("every windowed node has its edge");
        self.next_lane(edge)
    }

    fn sink_outlet(&mut self, sink: SinkIndex) -> OutletSpec {
        if !(self.gathered)(sink) {
            return OutletSpec::Sink(sink);
        }
        let known = self.gather_edges.iter().find(|(gathered, _)| *gathered == sink);
        let edge = match known {
            Some(&(_, edge)) => edge,
            None => {
                let edge = EdgeIndex(self.edges.len());
                self.edges.push(EdgeSpec { routing: Routing::ToSink(sink), lanes: 0 });
                self.gather_edges.push((sink, edge));
                edge
            }
        };
        OutletSpec::Edge(self.next_lane(edge))
    }

    fn next_lane(&mut self, edge: EdgeIndex) -> LaneSpec {
        let lane = self.edges[edge.0].lanes;
        self.edges[edge.0].lanes += 1;
        LaneSpec { edge, lane }
    }
}

/// The source behind all inputs of `node`, when there is just one.
fn unique_source(graph: &Graph, node: NodeIndex) -> Option<SourceIndex> {
    if let NodeKind::Source(source) = graph.nodes[node.0].kind {
        return Some(source);
    }
    let mut inputs = graph.nodes[node.0].inputs.iter().map(|&input| unique_source(graph, input));
    let first = inputs.next()??;
    inputs.all(|source| source == Some(first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataflow::{Node, OperatorId};
    use crate::operator::{TimeDomain, WindowAggregateSpec, WindowKind, WindowSpec};
    use crate::record::{EvaluationContext, Expression, ExpressionError, ExpressionRef};
    use arrow::array::{ArrayRef, RecordBatch};
    use arrow::datatypes::Schema;
    use std::fmt::Write;
    use std::sync::Arc;

    #[derive(Debug)]
    struct First;
    impl Expression for First {
        fn evaluate(
            &self,
            rows: &RecordBatch,
            _context: EvaluationContext,
        ) -> Result<ArrayRef, ExpressionError> {
            Ok(Arc::clone(rows.column(0)))
        }
    }

    /// `name = kind(inputs)`, one node a line; kinds: source, filter, union, window, sink.
    fn graph(script: &str) -> Graph {
        let (mut nodes, mut names) = (Vec::new(), Vec::new());
        let (mut sources, mut sinks) = (0, 0);
        for line in script.split(';').map(str::trim).filter(|line| !line.is_empty()) {
            let (name, call) = line.split_once(" = ").unwrap();
            let (kind, inputs) = call.trim_end_matches(')').split_once('(').unwrap();
            let inputs = inputs
                .split_whitespace()
                .map(|input| NodeIndex(names.iter().position(|known| *known == input).unwrap()));
            let condition: ExpressionRef = Arc::new(First);
            let kind = match kind {
                "source" => {
                    sources += 1;
                    NodeKind::Source(SourceIndex(sources - 1))
                }
                "filter" => NodeKind::Filter(condition),
                "union" => NodeKind::Union,
                "window" => NodeKind::WindowAggregate(WindowAggregateSpec {
                    window: WindowSpec {
                        kind: WindowKind::Tumble { size_ms: 1 },
                        offset_ms: 0,
                        time: TimeDomain::Processing,
                        clock: None,
                    },
                    keys: vec![],
                    aggregates: vec![],
                }),
                "sink" => {
                    sinks += 1;
                    NodeKind::Sink(SinkIndex(sinks - 1))
                }
                _ => panic!("{kind}"),
            };
            nodes.push(Node {
                id: OperatorId(0),
                label: name.into(),
                inputs: inputs.collect(),
                kind,
                schema: Arc::new(Schema::empty()),
            });
            names.push(name);
        }
        Graph { nodes }
    }

    fn render_tree(graph: &Graph, tree: &TreeSpec, text: &mut String) {
        for operator in &tree.operators {
            let (mark, node) = match operator {
                OperatorSpec::Row(node) => ("", node),
                OperatorSpec::WindowSender(node) => ("<", node),
                OperatorSpec::WindowReceiver(node) => (">", node),
            };
            write!(text, " {mark}{}", graph.nodes[node.0].label).unwrap();
        }
        for outlet in &tree.outlets {
            match outlet {
                OutletSpec::Tree(nested) => {
                    text.push_str(" [");
                    render_tree(graph, nested, text);
                    text.push_str(" ]");
                }
                OutletSpec::Edge(lane) => write!(text, " e{}.{}", lane.edge.0, lane.lane).unwrap(),
                OutletSpec::Sink(sink) => write!(text, " s{}", sink.0).unwrap(),
            }
        }
    }

    #[track_caller]
    fn check(script: &str, gathered: bool, expected: &str) {
        let graph = graph(script);
        let (stages, _) = fuse(&graph, |_| gathered, &[]);
        let mut text = String::new();
        for stage in &stages.stages {
            match stage.input {
                StageInput::Source(source) => write!(text, "src{}:", source.0).unwrap(),
                StageInput::Edge(edge) => write!(text, "e{}:", edge.0).unwrap(),
            }
            render_tree(&graph, &stage.tree, &mut text);
            text.push_str("; ");
        }
        assert_eq!(text.trim_end(), expected, "script: {script}");
    }

    #[test]
    fn stages_are_cut_at_exchanges() {
        check("a = source(); f = filter(a); s = sink(f)", false, "src0: f s0;");
        check("a = source(); f = filter(a); s = sink(f)", true, "src0: f e0.0; e0: s0;");
        check(
            "a = source(); w = window(a); v = window(w); s = sink(v)",
            false,
            "src0: <w e0.0; e0: >w <v e1.0; e1: >v s0;",
        );
    }

    #[test]
    fn several_consumers_make_a_tree() {
        check(
            "a = source(); f = filter(a); s = sink(f); w = window(f); t = sink(w)",
            false,
            "src0: f s0 [ <w e0.0 ]; e0: >w s1;",
        );
    }

    #[test]
    fn what_follows_a_union_is_repeated_up_to_the_exchange() {
        check(
            "a = source(); b = source(); u = union(a b); f = filter(u); w = window(f); s = sink(w)",
            false,
            "src0: f <w e0.0; src1: f <w e0.1; e0: >w s0;",
        );
        check(
            "a = source(); f = filter(a); g = filter(a); u = union(f g); s = sink(u)",
            true,
            "src0: [ f e0.0 ] [ g e0.1 ]; e0: s0;",
        );
    }
}
