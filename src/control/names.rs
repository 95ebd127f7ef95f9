//! Names of a job's parts, as `explain`, status, metrics and reports use them.

use super::explain::source_connector;
use super::prepare::Prepared;
use crate::dataflow::{Graph, OperatorSpec, StageInput};
use crate::worker::BlockedBy;

/// What the parts of one job are called.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) sources: Vec<String>,
    /// By source: where it reads.
    pub(super) connectors: Vec<String>,
    /// By source: how far its watermark is behind its newest record, ms.
    pub(super) delays_ms: Vec<i64>,
    pub(super) sinks: Vec<String>,
    /// By stage: where its rows come from.
    pub(super) stages: Vec<String>,
    /// How many there are.
    pub(super) exchanges: usize,
    pub(super) graph: Graph,
}

impl Names {
    pub(super) fn of(prepared: &Prepared) -> Names {
        let sources: Vec<String> =
            prepared.sources.iter().map(|source| source.planned.name.clone()).collect();
        let stages = prepared.stages().stages.iter().map(|stage| match stage.input {
            StageInput::Source(source) => format!("source {}", sources[source.0]),
            StageInput::Edge(edge) => format!("exchange {}", edge.0 + 1),
        });
        Names {
            stages: stages.collect(),
            connectors: prepared
                .sources
                .iter()
                .map(|source| source_connector(&source.config.connector))
                .collect(),
            delays_ms: prepared
                .sources
                .iter()
                .map(|source| source.planned.watermark.as_ref().and_then(|spec| spec.delay_ms))
                .map(Option::unwrap_or_default)
                .collect(),
            sinks: prepared.sinks.iter().map(|sink| sink.planned.name.clone()).collect(),
            exchanges: prepared.stages().edges.len(),
            graph: prepared.graph.graph.clone(),
            sources,
        }
    }

    pub(super) fn operator(&self, spec: OperatorSpec) -> String {
        label(&self.graph, spec)
    }

    /// `core 1`, `sink hot`.
    pub(super) fn blocked_by(&self, by: BlockedBy) -> String {
        match by {
            BlockedBy::Core(edge, core) => format!("core {core} (exchange {})", edge.0 + 1),
            BlockedBy::Sink(sink) => format!("sink {}", self.sinks[sink.0]),
            BlockedBy::Diversion(source) => {
                format!("the sink of late or rejected rows of {}", self.sources[source.0])
            }
        }
    }
}

/// Short, and the same in every run of the same job.
pub(super) fn operator_id(spec: OperatorSpec) -> String {
    match spec {
        OperatorSpec::Row(node) => format!("n{}", node.0),
        OperatorSpec::WindowSender(node) => format!("n{}s", node.0),
        OperatorSpec::WindowReceiver(node) => format!("n{}r", node.0),
    }
}

/// An operator in words.
pub(super) fn label(graph: &Graph, spec: OperatorSpec) -> String {
    match spec {
        OperatorSpec::Row(node) => graph.nodes[node.0].label.clone(),
        OperatorSpec::WindowSender(node) => {
            format!("{} (before the exchange)", graph.nodes[node.0].label)
        }
        OperatorSpec::WindowReceiver(node) => {
            format!("{} (behind the exchange)", graph.nodes[node.0].label)
        }
    }
}
