//! What explanations say of connectors, durability and time.

use std::time::Duration;

use crate::config::{
    DurabilityMode, Release, SinkConfig, SinkConnector, SourceConnector, TcpSinkConfig,
};
use crate::format::FormatOptions;
use crate::reactor::TcpEndpoint;
use crate::source::Pacing;
use crate::stdx::format_duration;

/// What a crash costs.
pub(super) fn durability_words(mode: DurabilityMode) -> &'static str {
    match mode {
        DurabilityMode::On => {
            "durability \"on\": after a crash the job goes on from its newest checkpoint, with what \
             operators hold and where files, frames and generated rows were read to"
        }
        DurabilityMode::Off => {
            "durability \"off\": nothing is kept; after a crash the job is run again from the start"
        }
    }
}

/// What a reader of the output may rely on.
pub(super) fn release_words(sink: &SinkConfig) -> &'static str {
    let is_frames = sink.format == Some(FormatOptions::Frames);
    match (sink.release, &sink.connector) {
        (Release::Immediate, _) => {
            "release \"immediate\": rows leave at once, and may be written again after a crash"
        }
        (Release::Commit, SinkConnector::File(_)) => {
            "release \"commit\": a part appears when the checkpoints of its rows exist, each row exactly \
             once"
        }
        (Release::Commit, SinkConnector::Tcp(_)) if !is_frames => {
            "release \"commit\": rows leave with their checkpoint; lines are not acknowledged, so that \
             after a crash some may be sent again"
        }
        (Release::Commit, SinkConnector::Tcp(tcp)) if !is_dialed(tcp) => {
            "release \"commit\": rows leave with their checkpoint, to a subscriber with a session each \
             exactly once"
        }
        (Release::Commit, _) => {
            "release \"commit\": rows leave with their checkpoint, each exactly once; not yet: \
             they leave at once, and may be written again after a crash"
        }
    }
}

fn is_dialed(tcp: &TcpSinkConfig) -> bool {
    matches!(tcp.endpoint, TcpEndpoint::Connect(_))
}

pub(in crate::control) fn source_connector(connector: &SourceConnector) -> String {
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

pub(super) fn sink_connector(connector: &SinkConnector) -> String {
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

/// A length of time in words.
pub(super) fn words(millis: i64) -> String {
    format_duration(Duration::from_millis(millis.unsigned_abs()))
}
