//! Producer sink: rows as frames to a source elsewhere, which counts them by the sink's name.
//!
//! In:  batches, of all cores: the graph sends all rows of a TCP sink to one core.
//! Out: frames, each once, in order, over as many connections as it takes.
//!
//! Invariants
//! - A frame is kept until the source has acknowledged it; what it has not when a connection ends is sent
//!   again on the next, byte by byte the same.
//! - What is kept is bounded: beyond it the job waits.
//! - A row counts as out when its frame is acknowledged. Whether that survives a crash is the source's
//!   matter.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::format::{FrameProducer, renumber_frames};
use crate::limits::SINK_UNWRITTEN_BYTES_MAX;
use crate::metrics::SinkCounters;
use crate::reactor::{ConnectionId, Dialer, Io, NetEvent, Network, OwnerId};
use crate::record::Batch;
use crate::sink::Sink;
use crate::stdx::Failure;

/// Everything a producer sink must know.
#[derive(Clone, Debug)]
pub struct ProducerSinkOptions {
    /// Name of the sink, and of the producer that it is.
    pub name: Arc<str>,
    /// Where the source listens.
    pub address: SocketAddr,
    /// Columns of its rows.
    pub schema: SchemaRef,
}

/// A batch the source has not taken.
#[derive(Debug)]
struct Kept {
    /// Of its last frame.
    sequence: u64,
    frames: usize,
    rows: u64,
    bytes: Vec<u8>,
}

/// See the module.
pub struct ProducerSink {
    options: ProducerSinkOptions,
    /// Made when the clock is first seen: its time is the session.
    protocol: Option<FrameProducer>,
    owner: Option<OwnerId>,
    dialer: Dialer,
    connection: Option<ConnectionId>,
    kept: VecDeque<Kept>,
    kept_bytes: usize,
    /// Of those kept, how many have been given to this connection.
    given: usize,
    phase: Phase,
    notices: VecDeque<String>,
    failure: Option<Failure>,
    counters: SinkCounters,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Writing,
    /// Everything has come; `end` follows what is kept.
    Finishing,
    /// `end` has been given to this connection.
    Ended,
    Done,
    Failed,
}

impl ProducerSink {
    /// A sink that dials at its first poll.
    pub fn new(options: ProducerSinkOptions) -> ProducerSink {
        ProducerSink {
            dialer: Dialer::new(options.address),
            options,
            protocol: None,
            owner: None,
            connection: None,
            kept: VecDeque::new(),
            kept_bytes: 0,
            given: 0,
            phase: Phase::Writing,
            notices: VecDeque::new(),
            failure: None,
            counters: SinkCounters::default(),
        }
    }

    fn protocol(&mut self, io: &dyn Io) -> &mut FrameProducer {
        let ProducerSinkOptions { name, schema, .. } = &self.options;
        self.protocol.get_or_insert_with(|| {
            let session = u64::try_from(io.clock().wall_ms()).unwrap_or(0);
            FrameProducer::new(name, session, 0, schema)
        })
    }

    fn notice(&mut self, text: &str) {
        self.notices.push_back(format!("sink {}: {text}", self.options.name));
    }

    /// Takes one event; false when there is none.
    fn take_event(&mut self, io: &mut dyn Io) -> bool {
        let Some(owner) = self.owner else { return false };
        let now_ns = io.round_ns();
        let Some(event) = io.network().next_event(owner) else { return false };
        match event {
            NetEvent::Connected { connection } => {
                self.dialer.connected(connection);
                (self.connection, self.given) = (Some(connection), 0);
                let mut hello = Vec::new();
                self.protocol(io).begin(&mut hello);
                io.network().send(connection, &hello);
            }
            NetEvent::Received { connection, bytes } => {
                let network = io.network();
                let protocol = self.protocol.as_mut().expect("made before it dialed");
                let was_welcome = protocol.is_welcome();
                let received = protocol.receive(network.bytes(&bytes));
                let is_new = !was_welcome && protocol.is_welcome();
                network.release(bytes);
                if let Err(refusal) = received {
                    self.notice(&format!("{}: {refusal}", self.options.address));
                    network.abort(connection);
                }
                self.settle();
                if is_new {
                    self.resume();
                }
            }
            NetEvent::Closed { connection, error, .. } => {
                self.connection = self.connection.filter(|current| *current != connection);
                if self.phase == Phase::Ended {
                    self.phase = Phase::Finishing;
                }
                if self.dialer.closed(connection, now_ns) && self.phase != Phase::Done {
                    let reason =
                        error.map_or_else(|| "closed by the peer".into(), |e| e.to_string());
                    let address = self.options.address;
                    self.notice(&format!("no connection to {address}: {reason}; trying again"));
                }
            }
            _ => {}
        }
        true
    }

    /// Lets go of what has been taken.
    fn settle(&mut self) {
        let taken = self.protocol.as_ref().map_or(0, FrameProducer::taken);
        while let Some(kept) = self.kept.pop_front_if(|kept| kept.sequence <= taken) {
            self.kept_bytes -= kept.bytes.len();
            self.given = self.given.saturating_sub(1);
            self.counters.rows_out += kept.rows;
            self.counters.bytes_out += kept.bytes.len() as u64;
        }
    }

    /// A source that has been started again counts from its beginning: what is kept gets other numbers,
    /// and what it had taken before is its loss.
    fn resume(&mut self) {
        let protocol = self.protocol.as_mut().expect("it has just been answered");
        let taken = protocol.taken();
        let frames = |kept: &Kept| kept.frames as u64;
        let first = self
            .kept
            .front()
            .map_or(protocol.sequence() + 1, |kept| kept.sequence + 1 - frames(kept));
        if first <= taken + 1 {
            return;
        }
        let lost = first - taken - 1;
        let mut last = taken;
        for kept in &mut self.kept {
            renumber_frames(&mut kept.bytes, last + 1);
            last += frames(kept);
            kept.sequence = last;
        }
        protocol.restart(last);
        let address = self.options.address;
        self.notice(&format!("{address} has been started again, and forgotten {lost} frames"));
    }

    /// Sends what is kept, as far as the source's credit goes; true when something was sent.
    fn send(&mut self, network: &mut dyn Network) -> bool {
        let (Some(connection), Some(protocol)) = (self.connection, &mut self.protocol) else {
            return false;
        };
        let mut sent = false;
        while protocol.may_send()
            && let Some(kept) = self.kept.get(self.given)
        {
            network.send(connection, &kept.bytes);
            protocol.sent(kept.frames, kept.bytes.len());
            self.given += 1;
            sent = true;
        }
        if self.phase == Phase::Finishing && protocol.is_welcome() && self.given == self.kept.len()
        {
            let mut end = Vec::new();
            protocol.end(&mut end);
            network.send(connection, &end);
            self.phase = Phase::Ended;
        }
        sent
    }
}

impl Sink for ProducerSink {
    fn write(&mut self, batch: &Batch, io: &mut dyn Io) {
        let rows = batch.len() as u64;
        self.counters.rows_in += rows;
        let protocol = self.protocol(io);
        let (mut bytes, before) = (Vec::new(), protocol.sequence());
        let written = protocol.write(&batch.rows, &mut bytes);
        let sequence = protocol.sequence();
        if let Err(reason) = written {
            let message = format!("sink {}: cannot write {reason}", self.options.name);
            self.failure = Some(Failure::io(message));
            self.phase = Phase::Failed;
        }
        let frames = usize::try_from(sequence - before).expect("they are in memory");
        self.kept_bytes += bytes.len();
        self.kept.push_back(Kept { sequence, frames, rows, bytes });
        self.send(io.network());
    }

    /// Also before the source has first answered: it says by which number frames begin.
    fn is_full(&self) -> bool {
        let is_welcome = self.protocol.as_ref().is_some_and(FrameProducer::is_welcome);
        !is_welcome || self.phase == Phase::Failed || self.kept_bytes >= SINK_UNWRITTEN_BYTES_MAX
    }

    fn blocked_by(&self) -> Option<String> {
        let address = self.options.address;
        if self.connection.is_none() {
            return Some(format!("there is no connection to {address}"));
        }
        Some(format!("source {address} has {} bytes to take", self.kept_bytes))
    }

    fn poll(&mut self, io: &mut dyn Io) -> bool {
        if matches!(self.phase, Phase::Done | Phase::Failed) {
            return false;
        }
        self.protocol(io);
        let owner = *self.owner.get_or_insert_with(|| io.network().register());
        let now_ns = io.round_ns();
        let mut busy = self.dialer.poll(io.network(), owner, now_ns);
        while self.take_event(io) {
            busy = true;
        }
        busy | self.send(io.network())
    }

    fn finish(&mut self, io: &mut dyn Io) -> bool {
        if self.phase == Phase::Writing {
            self.phase = Phase::Finishing;
        }
        self.poll(io);
        let end_is_known = self.protocol.as_ref().is_some_and(FrameProducer::end_is_known);
        if self.phase == Phase::Ended && self.kept.is_empty() && end_is_known {
            self.phase = Phase::Done;
            self.dialer.stop();
            if let Some(connection) = self.connection {
                io.network().close(connection);
            }
        }
        matches!(self.phase, Phase::Done | Phase::Failed)
    }

    fn wakes_at_ns(&self) -> Option<u64> {
        self.dialer.wakes_at_ns()
    }

    fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    fn take_notice(&mut self) -> Option<String> {
        self.notices.pop_front()
    }

    fn counters(&self) -> &SinkCounters {
        &self.counters
    }
}
