//! A job as data: stages, what stands in them, and what each costs and promises.

use serde::Serialize;
use std::time::Duration;

use super::words::{durability_words, release_words, sink_connector, source_connector, words};
use crate::config::{FileSourceConfig, Job, Release, SinkConnector, SourceConnector};
use crate::control::names::{Names, operator_id};
use crate::control::prepare::{Prepared, PreparedSink, PreparedSource};
use crate::dataflow::{
    EdgeIndex, NodeIndex, NodeKind, OperatorSpec, OutletSpec, Routing, StageInput, TreeSpec,
};
use crate::operator::{TimeDomain, WindowAggregateSpec, WindowKind};
use crate::source::Rowtime;
use crate::stdx::{format_byte_size, format_duration};

/// Version of the document's form.
const EXPLAIN_SCHEMA: u32 = 1;

/// A job.
#[derive(Serialize, Debug)]
pub(in crate::control) struct Explained {
    pub(super) schema: u32,
    pub(super) job: String,
    /// Each runs every stage, on its share of splits and keys.
    pub(super) cores: u16,
    pub(super) durability: String,
    pub(super) stages: Vec<Stage>,
    pub(super) exchanges: Vec<Exchange>,
    pub(super) sinks: Vec<SinkWords>,
    /// Where late and rejected rows go.
    pub(super) diversions: Vec<String>,
    pub(super) notes: Vec<String>,
}

/// What runs between two exchanges.
#[derive(Serialize, Debug)]
pub(super) struct Stage {
    pub(super) input: Input,
    /// What happens to rows at once, without waiting for anybody.
    pub(super) latency_floor: String,
    pub(super) chain: Chain,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Input {
    Source(SourceWords),
    Exchange(usize),
}

/// Operators without an exchange between them.
#[derive(Serialize, Debug)]
pub(super) struct Chain {
    pub(super) operators: Vec<Operator>,
    pub(super) outlets: Vec<Outlet>,
}

#[derive(Serialize, Debug)]
pub(super) struct Operator {
    pub(super) id: String,
    pub(super) operator: String,
    pub(super) state: Option<String>,
    pub(super) lateness: Option<String>,
    pub(super) waits: Option<String>,
}

#[derive(Serialize, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outlet {
    Chain(Chain),
    Exchange(usize),
    Sink { name: String, connector: String },
}

#[derive(Serialize, Debug)]
pub(super) struct SourceWords {
    pub(super) name: String,
    pub(super) connector: String,
    pub(super) parallelism: String,
    pub(super) watermark: Option<WatermarkWords>,
}

#[derive(Serialize, Debug)]
pub(super) struct WatermarkWords {
    pub(super) column: String,
    /// `None` where the expression is not a time less a constant.
    pub(super) delay_ms: Option<i64>,
    pub(super) per: &'static str,
    pub(super) idle_timeout_ms: Option<u64>,
    pub(super) max_future_ms: Option<u64>,
}

#[derive(Serialize, Debug)]
pub(super) struct Exchange {
    pub(super) exchange: usize,
    pub(super) keys: Vec<String>,
    pub(super) routing: String,
    /// Batches and watermarks that may wait between each two cores.
    pub(super) elements_max: usize,
}

#[derive(Serialize, Debug)]
pub(super) struct SinkWords {
    pub(super) name: String,
    pub(super) connector: String,
    pub(super) parallelism: &'static str,
    pub(super) release: &'static str,
    pub(super) latency_floor: String,
}

impl Explained {
    pub(in crate::control) fn of(job: &Job, prepared: &Prepared, core_count: u16) -> Explained {
        let names = Names::of(prepared);
        let maker = Maker { prepared, names: &names };
        let stages = prepared.stages();
        let exchange = |index: usize| {
            let edge = &stages.edges[index];
            let keys = maker.keys_of(EdgeIndex(index));
            Exchange {
                exchange: index + 1,
                routing: maker.routing(edge.routing, &keys),
                keys,
                elements_max: job.limits.edge_elements_max,
            }
        };
        Explained {
            schema: EXPLAIN_SCHEMA,
            job: job.name.clone(),
            cores: core_count,
            durability: durability_words(job.durability.mode).to_owned(),
            stages: stages
                .stages
                .iter()
                .map(|stage| maker.stage(stage.input, &stage.tree))
                .collect(),
            exchanges: (0..stages.edges.len()).map(exchange).collect(),
            sinks: prepared.sinks.iter().map(|sink| sink_words(sink, core_count)).collect(),
            diversions: maker.diversions(),
            notes: prepared.notes.clone(),
        }
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.insert(0, note);
    }

    /// The note about a machine whose every CPU would have a core.
    pub(in crate::control) fn advise(&mut self, cpus: usize) {
        if cpus > 1 && usize::from(self.cores) == cpus {
            self.note(format!(
                "every CPU has a core; with reactor.cores = {} one is left to the kernel and to \
                 other programs, which keeps the slowest records fast",
                cpus - 1
            ));
        }
    }
}

struct Maker<'a> {
    prepared: &'a Prepared,
    names: &'a Names,
}

impl Maker<'_> {
    fn stage(&self, input: StageInput, tree: &TreeSpec) -> Stage {
        let (input, latency_floor) = match input {
            StageInput::Source(source) => {
                let source = &self.prepared.sources[source.0];
                let floor = "none: what has arrived is handed on when the core comes round";
                (Input::Source(source_words(source)), floor)
            }
            StageInput::Edge(edge) => (
                Input::Exchange(edge.0 + 1),
                "a hand-over between two cores: below a microsecond while the receiver turns, its \
                 wake-up when it sleeps",
            ),
        };
        Stage { input, latency_floor: latency_floor.to_owned(), chain: self.chain(tree) }
    }

    fn chain(&self, tree: &TreeSpec) -> Chain {
        let outlets = tree.outlets.iter().map(|outlet| match outlet {
            OutletSpec::Tree(nested) => Outlet::Chain(self.chain(nested)),
            OutletSpec::Edge(lane) => Outlet::Exchange(lane.edge.0 + 1),
            OutletSpec::Sink(sink) => {
                let sink = &self.prepared.sinks[sink.0];
                let connector = sink_connector(&sink.config.connector);
                Outlet::Sink { name: sink.planned.name.clone(), connector }
            }
        });
        Chain {
            operators: tree.operators.iter().map(|spec| self.operator(*spec)).collect(),
            outlets: outlets.collect(),
        }
    }

    fn operator(&self, spec: OperatorSpec) -> Operator {
        let (mut state, mut lateness, mut waits) = (None, None, None);
        match spec {
            OperatorSpec::Row(_) => {}
            OperatorSpec::WindowSender(node) => {
                let window = self.window(node);
                if matches!(window.window.time, TimeDomain::Event { .. }) {
                    lateness = Some(LATENESS.to_owned());
                }
            }
            OperatorSpec::WindowReceiver(node) => {
                let window = self.window(node);
                state = Some(self.state_words(node, window));
                waits = Some(wait_words(window));
            }
        }
        let (id, operator) = (operator_id(spec), self.names.operator(spec));
        Operator { id, operator, state, lateness, waits }
    }

    fn window(&self, node: NodeIndex) -> &WindowAggregateSpec {
        match &self.prepared.graph.graph.nodes[node.0].kind {
            NodeKind::WindowAggregate(spec) => spec,
            other => unreachable!("{other:?} is no window"),
        }
    }

    fn key_names(&self, node: NodeIndex) -> Vec<String> {
        let nodes = &self.prepared.graph.graph.nodes;
        let input = &nodes[nodes[node.0].inputs[0].0].schema;
        self.window(node).keys.iter().map(|&key| input.field(key).name().clone()).collect()
    }

    fn state_words(&self, node: NodeIndex, window: &WindowAggregateSpec) -> String {
        let keys = match &self.key_names(node)[..] {
            [] => "one entry".to_owned(),
            keys => format!("one entry per {}", keys.join(", ")),
        };
        let (span, slices) = match window.window.kind {
            WindowKind::Tumble { size_ms } => (size_ms, 1),
            WindowKind::Hop { slide_ms, size_ms } => (size_ms, size_ms / slide_ms.max(1)),
        };
        let per = if slices > 1 {
            format!(" and slice, {slices} slices a window")
        } else {
            " and window".to_owned()
        };
        format!(
            "{keys}{per}; bounded by the keys of the last {} and of what the watermark is behind; \
             given up when the window has fired",
            words(span)
        )
    }

    fn keys_of(&self, edge: EdgeIndex) -> Vec<String> {
        let stages = &self.prepared.stages().stages;
        let reads = stages.iter().find(|stage| stage.input == StageInput::Edge(edge));
        let first = reads.and_then(|stage| stage.tree.operators.first());
        match first {
            Some(OperatorSpec::WindowReceiver(node)) => self.key_names(*node),
            _ => Vec::new(),
        }
    }

    fn routing(&self, routing: Routing, keys: &[String]) -> String {
        match routing {
            Routing::ByKey if keys.is_empty() => {
                "one group, to the one core that owns it".to_owned()
            }
            Routing::ByKey => {
                format!("by key hash of {}, to the core that owns the key", keys.join(", "))
            }
            Routing::ToSink(sink) => {
                let name = &self.names.sinks[sink.0];
                format!("to core 0, which serves sink {name}")
            }
        }
    }

    fn diversions(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (source, sinks) in self.names.sources.iter().zip(&self.prepared.diversions) {
            for (kind, sink) in [("late", sinks.late), ("rejected", sinks.rejected)] {
                if let Some(sink) = sink {
                    let to = &self.names.sinks[sink.0];
                    lines.push(format!("{kind} rows of {source} -> sink {to}"));
                }
            }
        }
        lines
    }
}

const LATENESS: &str = "a row is late when its split's watermark has passed the last window it \
                        belongs to; nothing waits for late rows";

fn wait_words(window: &WindowAggregateSpec) -> String {
    let (span, every) = match window.window.kind {
        WindowKind::Tumble { size_ms } => (size_ms, size_ms),
        WindowKind::Hop { slide_ms, size_ms } => (size_ms, slide_ms),
    };
    let until = match window.window.time {
        TimeDomain::Event { .. } => "the watermark of all splits passes its end",
        TimeDomain::Processing => "the clock passes its end",
    };
    format!("a window of {} every {} fires when {until}", words(span), words(every))
}

fn source_words(source: &PreparedSource) -> SourceWords {
    let config = &source.config;
    let (parallelism, per) = match &config.connector {
        SourceConnector::Tcp(_) => (
            "connections are dealt to all cores; one connection uses one core up to the first \
             exchange",
            "connection",
        ),
        SourceConnector::File(FileSourceConfig { follow: true, .. }) => {
            ("one core reads a followed file", "file")
        }
        SourceConnector::File(_) => ("all cores read chunks of the same files", "whole sequence"),
        SourceConnector::Nexmark(_) | SourceConnector::Datagen(_) => {
            ("all cores make chunks of the same stream", "whole sequence")
        }
    };
    let millis = |time: Option<Duration>| {
        time.map(|time| u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
    };
    let watermark = source.planned.watermark.as_ref().map(|spec| WatermarkWords {
        column: match &spec.rowtime {
            Rowtime::Column(column) => {
                source.planned.schema.field(source.planned.projection[*column]).name().clone()
            }
            Rowtime::Computed { name, .. } => name.clone(),
        },
        delay_ms: spec.delay_ms,
        per,
        idle_timeout_ms: millis(config.idle_timeout),
        max_future_ms: millis(config.max_future),
    });
    SourceWords {
        name: source.planned.name.clone(),
        connector: source_connector(&config.connector),
        parallelism: parallelism.to_owned(),
        watermark,
    }
}

fn sink_words(sink: &PreparedSink, core_count: u16) -> SinkWords {
    let parallelism = match core_count > 1 && sink.is_gathered() {
        true => "core 0 alone: rows of the other cores are handed to it",
        false => "every core writes its own rows",
    };
    let latency_floor = match &sink.config.connector {
        SinkConnector::Tcp(_) if sink.config.release == Release::Commit => {
            "the time between two checkpoints"
        }
        SinkConnector::Tcp(_) | SinkConnector::Print => "none: written in the turn that made them",
        SinkConnector::Blackhole => "none",
        SinkConnector::File(file) => {
            let bytes = format_byte_size(file.part_bytes_max);
            let age = format_duration(file.part_age_max);
            return SinkWords {
                latency_floor: format!("a part appears at {bytes} or after {age}"),
                ..sink_base(sink, parallelism)
            };
        }
    };
    SinkWords { latency_floor: latency_floor.to_owned(), ..sink_base(sink, parallelism) }
}

fn sink_base(sink: &PreparedSink, parallelism: &'static str) -> SinkWords {
    SinkWords {
        name: sink.planned.name.clone(),
        connector: sink_connector(&sink.config.connector),
        parallelism,
        release: release_words(&sink.config),
        latency_floor: String::new(),
    }
}
