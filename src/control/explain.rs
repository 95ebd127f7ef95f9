//! `pelton explain`: the dataflow as a tree of text.

use std::fmt::Write;

use super::names::label;
use super::prepare::Prepared;
use crate::config::{DurabilityMode, Job, Release, SinkConnector, SourceConnector};
use crate::dataflow::{OutletSpec, Routing, StageInput, TreeSpec};
use crate::reactor::TcpEndpoint;
use crate::source::Pacing;

/// Stages in the order of the data: what each reads, computes and feeds.
pub(super) fn explain(job: &Job, prepared: &Prepared, core_count: u16, cpus: usize) -> String {
    let mut text = format!("every core runs all of this; cores: {core_count}\n");
    if cpus > 1 && usize::from(core_count) == cpus {
        let advice = format!(
            "note: every CPU has a core; with reactor.cores = {} one is left to the kernel and to \
             other programs, which keeps the slowest records fast",
            cpus - 1
        );
        line(&mut text, 0, &advice);
    }
    line(&mut text, 0, durability_words(job.durability.mode));
    for stage in &prepared.stages().stages {
        match stage.input {
            StageInput::Source(source) => {
                let source = &prepared.sources[source.0];
                let connector = source_words(&source.config.connector);
                line(&mut text, 0, &format!("source {}: {connector}", source.planned.name));
            }
            StageInput::Edge(edge) => {
                let routing = routing_words(prepared, prepared.stages().edges[edge.0].routing);
                line(&mut text, 0, &format!("exchange {}: {routing}", edge.0 + 1));
            }
        }
        tree(&mut text, prepared, &stage.tree, 1);
    }
    for (source, sinks) in prepared.sources.iter().zip(&prepared.diversions) {
        for (kind, sink) in [("late", sinks.late), ("rejected", sinks.rejected)] {
            if let Some(sink) = sink {
                let (from, to) = (&source.planned.name, &prepared.sinks[sink.0].planned.name);
                line(&mut text, 0, &format!("{kind} rows of {from} -> sink {to}"));
            }
        }
    }
    for sink in &prepared.sinks {
        let name = &sink.planned.name;
        line(&mut text, 0, &format!("sink {name}: {}", release_words(sink.config.release)));
    }
    for note in &prepared.notes {
        line(&mut text, 0, &format!("note: {note}"));
    }
    text
}

/// What a crash costs.
fn durability_words(mode: DurabilityMode) -> &'static str {
    match mode {
        DurabilityMode::On => {
            "durability \"on\": windows and output survive a crash; journals are not built yet, so \
             that it runs as \"off\""
        }
        DurabilityMode::Off => {
            "durability \"off\": nothing is kept; after a crash the job is run again from the start"
        }
    }
}

/// What a reader of the output may rely on.
fn release_words(release: Release) -> &'static str {
    match release {
        Release::Immediate => {
            "release \"immediate\": rows leave at once, and may be written again after a crash"
        }
        Release::Commit => {
            "release \"commit\": rows leave with their checkpoint, each exactly once; until there \
             are checkpoints they leave at once"
        }
    }
}

fn tree(text: &mut String, prepared: &Prepared, spec: &TreeSpec, depth: usize) {
    for operator in &spec.operators {
        line(text, depth, &label(&prepared.graph.graph, *operator));
    }
    for outlet in &spec.outlets {
        match outlet {
            OutletSpec::Tree(nested) => {
                line(text, depth, "also:");
                tree(text, prepared, nested, depth + 1);
            }
            OutletSpec::Edge(lane) => {
                line(text, depth, &format!("-> exchange {}", lane.edge.0 + 1));
            }
            OutletSpec::Sink(sink) => {
                let sink = &prepared.sinks[sink.0];
                let connector = sink_words(&sink.config.connector);
                line(text, depth, &format!("-> sink {}: {connector}", sink.planned.name));
            }
        }
    }
}

fn routing_words(prepared: &Prepared, routing: Routing) -> String {
    match routing {
        Routing::ByKey => "by key hash, to the core that owns the key".to_owned(),
        Routing::ToSink(sink) => {
            format!("to core 0, which serves sink {}", prepared.sinks[sink.0].planned.name)
        }
    }
}

fn source_words(connector: &SourceConnector) -> String {
    match connector {
        SourceConnector::Tcp(tcp) => endpoint_words(tcp.endpoint),
        SourceConnector::File(file) => format!("file {}", file.path.display()),
        SourceConnector::Nexmark(nexmark) => format!("nexmark, {}", pacing_words(nexmark.pacing)),
        SourceConnector::Datagen(datagen) => format!("datagen, {}", pacing_words(datagen.pacing)),
    }
}

fn pacing_words(pacing: Pacing) -> String {
    let rows = pacing.rows.map_or("no end".to_owned(), |rows| format!("{rows} rows"));
    match pacing.rows_per_second {
        Some(rate) => format!("{rows} at {rate} a second"),
        None => format!("{rows} as fast as they are taken"),
    }
}

fn sink_words(connector: &SinkConnector) -> String {
    match connector {
        SinkConnector::Tcp(tcp) => endpoint_words(tcp.endpoint),
        SinkConnector::File(file) => format!("files in {}", file.path.display()),
        SinkConnector::Print => "standard output".to_owned(),
        SinkConnector::Blackhole => "counted and dropped".to_owned(),
    }
}

fn endpoint_words(endpoint: TcpEndpoint) -> String {
    match endpoint {
        TcpEndpoint::Listen(address) => format!("tcp, listening on {address}"),
        TcpEndpoint::Connect(address) => format!("tcp, connecting to {address}"),
    }
}

fn line(text: &mut String, depth: usize, words: &str) {
    writeln!(text, "{:1$}{words}", "", depth * 2).expect("writing to memory cannot fail");
}
