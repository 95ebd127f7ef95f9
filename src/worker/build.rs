//! Building one core's worker: wiring made before the cores start, operators made on the core.
//!
//! In:  the fused job (shared), this core's ends of all rings, its sources and sinks.
//! Out: a [`Worker`].

use std::sync::Arc;

use super::budget::TurnBudget;
use super::{
    Diversion, HotGroups, Input, JobCommand, JobSignal, OutboxSlot, Outlet, Reporter, SinkSlot,
    SinkWriter, SourceSlot, Stage, Tree, Worker,
};
use crate::dataflow::{
    ChainOptions, EdgeIndex, Graph, LaneSpec, OutletSpec, Routing, SinkIndex, StageInput, Stages,
    TreeSpec, build_chain,
};
use crate::exchange::{EdgePorts, Inbox, LaneReceiver, Outbox, Partitioner};
use crate::limits::SOURCE_MESSAGES_MAX;
use crate::metrics::{Meter, ReadClock};
use crate::reactor::{MeshReceiver, MeshSender, Wake, channel};
use crate::record::KeyHasher;
use crate::sink::Sink;
use crate::source::{Source, SourceMessage};
use crate::state::Tracking;
use crate::stdx::CoreId;

/// What every core builds its part from. Shared, never changed.
#[derive(Clone, Debug)]
pub struct JobGraph {
    /// The operators.
    pub graph: Graph,
    /// The operators, cut at exchanges.
    pub stages: Stages,
    /// Per source: where its late and rejected rows go.
    pub diversions: Vec<DiversionSpec>,
    /// Number of sinks.
    pub sinks: usize,
    /// The job's key hash.
    pub hasher: KeyHasher,
    /// Whether what operators keep is to be written, epoch by epoch.
    pub tracking: Tracking,
    /// Rows a stage handles in one turn, at most.
    pub turn_rows_max: usize,
    /// What the time of operators is measured with.
    pub read_clock: ReadClock,
}

/// Where one source's late and rejected rows go.
#[derive(Clone, Debug, Default)]
pub struct DiversionSpec {
    /// Rows behind the watermark.
    pub late: Option<OutletSpec>,
    /// Records that could not be decoded or evaluated.
    pub rejected: Option<OutletSpec>,
    /// A rejected record ends the job.
    pub fails: bool,
}

/// One core's ends of everything that leads to other cores. Made before the cores start.
#[derive(Debug)]
pub struct Wiring {
    core_count: u16,
    /// By edge, then lane.
    edges: Vec<Vec<EdgePorts>>,
    /// By source.
    messages: Vec<MessagePorts>,
}

#[derive(Debug)]
struct MessagePorts {
    from: Vec<MeshReceiver<SourceMessage>>,
    to: Vec<Option<MeshSender<SourceMessage>>>,
}

impl Wiring {
    /// For every core, in order; `wakers[i]` wakes core `i`, an edge's ring has `elements_max` slots.
    pub fn for_all_cores(
        job: &JobGraph,
        elements_max: usize,
        wakers: &[Arc<dyn Wake>],
    ) -> Vec<Wiring> {
        let core_count = u16::try_from(wakers.len()).expect("limits::CORES_MAX cores at most");
        let empty = || Wiring { core_count, edges: Vec::new(), messages: Vec::new() };
        let mut all: Vec<Wiring> = wakers.iter().map(|_| empty()).collect();
        for edge in &job.stages.edges {
            all.iter_mut().for_each(|wiring| wiring.edges.push(Vec::new()));
            for _ in 0..edge.lanes {
                let lane = EdgePorts::for_all_cores(elements_max, wakers);
                for (wiring, ports) in all.iter_mut().zip(lane) {
                    wiring.edges.last_mut().expect("pushed above").push(ports);
                }
            }
        }
        for _ in &job.diversions {
            for (wiring, ports) in all.iter_mut().zip(message_ports(wakers)) {
                wiring.messages.push(ports);
            }
        }
        all
    }
}

fn message_ports(wakers: &[Arc<dyn Wake>]) -> Vec<MessagePorts> {
    let empty = |_: &Arc<dyn Wake>| MessagePorts { from: Vec::new(), to: Vec::new() };
    let mut all: Vec<MessagePorts> = wakers.iter().map(empty).collect();
    for from in 0..wakers.len() {
        for (to, waker) in wakers.iter().enumerate() {
            if from == to {
                all[from].to.push(None);
                continue;
            }
            let (sender, receiver) = channel(SOURCE_MESSAGES_MAX, Arc::clone(waker));
            all[from].to.push(Some(sender));
            all[to].from.push(receiver);
        }
    }
    all
}

impl Worker {
    /// The worker of the core whose `wiring` this is. Called on that core's thread.
    pub fn build(
        job: &JobGraph,
        wiring: Wiring,
        sources: Vec<Box<dyn Source>>,
        sinks: Vec<Box<dyn Sink>>,
        signal: JobSignal,
        reporter: Reporter,
    ) -> Worker {
        let mut builder = Builder::new(job, wiring.core_count);
        let mut inboxes = builder.connect(wiring.edges);
        let stages = job.stages.stages.iter().map(|spec| {
            let input = match spec.input {
                StageInput::Source(source) => Input::Source(source.0),
                StageInput::Edge(edge) => {
                    Input::Edge(inboxes[edge.0].take().expect("one stage reads an edge"))
                }
            };
            let tree = builder.tree(&spec.tree);
            let operators = spec.tree.all_operators();
            Stage::new(input, tree, operators, spec.source)
        });
        let stages: Vec<Stage> = stages.collect();
        let diversions = job.diversions.iter().map(|spec| builder.diversion(spec)).collect();
        let positioned = job.graph.positioned_sources(sources.len());
        let slots = sources.into_iter().zip(positioned).zip(wiring.messages);
        let Builder { sink_writers: writers, mut meter, outboxes, .. } = builder;
        Worker {
            stages,
            sources: slots
                .map(|((source, numbers), ports)| {
                    let measured = (meter.open(), job.read_clock);
                    SourceSlot::new(source, numbers, ports.from, ports.to, measured)
                })
                .collect(),
            outboxes,
            sinks: sinks
                .into_iter()
                .zip(writers)
                .map(|(sink, writers)| SinkSlot::new(sink, writers, meter.open()))
                .collect(),
            diversions,
            epochs: None,
            signal,
            reporter,
            budget: TurnBudget::new(job.turn_rows_max),
            diverted: Vec::new(),
            command_seen: JobCommand::Run,
            failure: None,
            turn_began_ns: 0,
            turn_rows: 0,
            was_busy: false,
            meter,
        }
    }
}

struct Builder<'a> {
    job: &'a JobGraph,
    core_count: u16,
    outboxes: Vec<OutboxSlot>,
    meter: Meter,
    /// By edge: index of its first lane's outbox.
    first_outbox: Vec<usize>,
    /// By sink: how many trees and diversions of this core write to it.
    sink_writers: Vec<usize>,
}

impl<'a> Builder<'a> {
    fn new(job: &'a JobGraph, core_count: u16) -> Builder<'a> {
        let sink_writers = vec![0; job.sinks];
        let meter = Meter::new(job.read_clock);
        let (outboxes, first_outbox) = (Vec::new(), Vec::new());
        Builder { job, core_count, outboxes, meter, first_outbox, sink_writers }
    }

    /// Makes every outbox; returns the inbox of each edge, where this core reads the edge.
    fn connect(&mut self, edges: Vec<Vec<EdgePorts>>) -> Vec<Option<Inbox>> {
        let mut inboxes = Vec::new();
        for (edge, (spec, lanes)) in self.job.stages.edges.iter().zip(edges).enumerate() {
            self.first_outbox.push(self.outboxes.len());
            let mut receivers: Vec<LaneReceiver> = Vec::new();
            for ports in lanes {
                let (senders, from_all) = ports.connect();
                let partitioner = match spec.routing {
                    Routing::ByKey => Partitioner::by_hash(self.core_count),
                    Routing::ToSink(_) => Partitioner::to_core(CoreId::ZERO),
                };
                self.outboxes.push(OutboxSlot {
                    outbox: Outbox::new(partitioner, senders),
                    edge: EdgeIndex(edge),
                    account: self.meter.open(),
                    hot: (spec.routing == Routing::ByKey && self.core_count > 1)
                        .then(HotGroups::default),
                });
                receivers.extend(from_all);
            }
            inboxes.push(Some(Inbox::new(receivers)));
        }
        inboxes
    }

    fn tree(&mut self, spec: &TreeSpec) -> Tree {
        let options = ChainOptions { hasher: self.job.hasher, tracking: self.job.tracking };
        let mut chain = build_chain(&self.job.graph, &spec.operators, options);
        chain.open_accounts(&mut self.meter);
        let outlets = spec.outlets.iter().map(|outlet| self.outlet(outlet)).collect();
        Tree::new(chain, outlets)
    }

    fn outlet(&mut self, spec: &OutletSpec) -> Outlet {
        match spec {
            OutletSpec::Tree(tree) => Outlet::Tree(Box::new(self.tree(tree))),
            OutletSpec::Edge(LaneSpec { edge, lane }) => {
                Outlet::Outbox(self.first_outbox[edge.0] + lane)
            }
            OutletSpec::Sink(SinkIndex(sink)) => {
                let writer = self.sink_writers[*sink];
                self.sink_writers[*sink] += 1;
                Outlet::Sink(SinkWriter { sink: *sink, writer })
            }
        }
    }

    fn diversion(&mut self, spec: &DiversionSpec) -> Diversion {
        let late = spec.late.as_ref().map(|outlet| self.outlet(outlet));
        let rejected = spec.rejected.as_ref().map(|outlet| self.outlet(outlet));
        Diversion::new(late, rejected, spec.fails)
    }
}
