//! TCP sinks: to subscribers, or to one peer; at once, or with the epoch.

use std::rc::Rc;
use std::sync::Arc;

use super::super::prepare::{Prepared, PreparedSink};
use super::super::{ErrorClass, JobError, log};
use super::{MakeSink, Start};
use crate::config::{Job, Release, SinkConnector, TcpSinkConfig};
use crate::format::{self, Encoder, FormatOptions, FrameEncoder};
use crate::reactor::TcpEndpoint;
use crate::sink::{
    HeldOptions, HeldTcpSink, OutputJournal, ProducerSink, ProducerSinkOptions, TcpSink,
    TcpSinkOptions, output_tag,
};

/// Sinks that share the output journal, by their index in the job.
pub(in crate::control) fn held_sinks(prepared: &Prepared) -> Vec<usize> {
    let sinks = prepared.sinks.iter().enumerate();
    sinks.filter(|(_, sink)| is_held(sink)).map(|(index, _)| index).collect()
}

/// Its rows are kept until their epoch exists.
fn is_held(sink: &PreparedSink) -> bool {
    let SinkConnector::Tcp(tcp) = &sink.config.connector else { return false };
    sink.config.release == Release::Commit && !is_producer(sink, tcp)
}

fn is_producer(sink: &PreparedSink, tcp: &TcpSinkConfig) -> bool {
    let is_dialing = matches!(tcp.endpoint, TcpEndpoint::Connect(_));
    is_dialing && *sink.format() == FormatOptions::Frames
}

pub(super) fn open_tcp_sink(
    job: &Job,
    prepared: &Prepared,
    (sink, tcp): (&PreparedSink, &TcpSinkConfig),
    start: Start<'_>,
) -> Result<MakeSink, JobError> {
    let name = sink.planned.name.as_str();
    let options = TcpSinkOptions {
        name: name.into(),
        endpoint: tcp.endpoint,
        slow_subscriber: tcp.slow_subscriber,
        connections_max: tcp.connections_max,
        frames: *sink.format() == FormatOptions::Frames,
        epochs: start.epochs,
    };
    let schema = sink.planned.schema.clone();
    if let (TcpEndpoint::Connect(address), true) = (tcp.endpoint, is_producer(sink, tcp)) {
        let options = ProducerSinkOptions { name: Arc::clone(&options.name), address, schema };
        return Ok(Box::new(move |_, _| Box::new(ProducerSink::new(options.clone()))));
    }
    let (format, output) = (sink.format().clone(), start.epochs.map_or(0, |it| it.output));
    let encoder = move |of: &TcpSinkOptions| -> Box<dyn Encoder> {
        match of.frames {
            true => Box::new(FrameEncoder::new(&of.name, &schema).of_output(output)),
            false => format::encoder(&format, &schema)
                .expect("the same options were tried before the start"),
        }
    };
    let positions = start.epoch.map(|epoch| epoch.sink_positions(name)).unwrap_or_default();
    let found = positions.first().map(|(_, position)| position.to_vec());
    let Some(epochs) = start.epochs.filter(|_| is_held(sink)) else {
        if found.is_some() {
            log::warning(&format!(
                "sink \"{name}\": what an earlier run kept for subscribers is given up, as its rows \
                 leave at once now"
            ));
        }
        return Ok(Box::new(move |_, _| {
            Box::new(TcpSink::new(options.clone(), encoder(&options)))
        }));
    };
    check_tag(prepared, name)?;
    if let Some(found) = &found {
        HeldTcpSink::check(found, &tcp.keeping).map_err(|error| {
            let what = format!("sink \"{name}\": its position in the newest epoch: {error}");
            JobError::new(ErrorClass::DataIntegrity, what)
        })?;
    }
    let user =
        held_sinks(prepared).iter().position(|held| prepared.sinks[*held].planned.name == name);
    let user = user.expect("it is one of them");
    let (directory, keeping) = (job.durability.dir.clone(), tcp.keeping.clone());
    Ok(Box::new(move |_, shared| {
        let journal = Rc::clone(shared.expect("its core has an output journal"));
        let journal = OutputJournal { journal, user, directory: directory.clone() };
        let held = HeldOptions { tcp: options.clone(), epochs, keeping: keeping.clone(), journal };
        let made = HeldTcpSink::new(held, encoder(&options), found.as_deref());
        Box::new(made.expect("what was found was checked before the start"))
    }))
}

/// Entries of the output journal know whose they are by a number that is made of the name.
fn check_tag(prepared: &Prepared, name: &str) -> Result<(), JobError> {
    let is_same = |held: &&usize| {
        let other = prepared.sinks[**held].planned.name.as_str();
        other != name && output_tag(other) == output_tag(name)
    };
    match held_sinks(prepared).iter().find(is_same) {
        None => Ok(()),
        Some(held) => {
            let other = &prepared.sinks[*held].planned.name;
            let what = format!(
                "sinks \"{name}\" and \"{other}\" cannot be told apart in the output journal: rename one"
            );
            Err(JobError::configuration(vec![what]))
        }
    }
}
