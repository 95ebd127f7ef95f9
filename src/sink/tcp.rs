//! TCP sink: rows as lines or frames to every subscriber, or as lines to one peer we connect to.
//!
//! Read: this file (release at once) · `held` (release with the epoch) · `connections` (who comes and goes)
//! with `peers` · `ledger` (which rows have left).
//!
//! In:  batches, of all cores: the graph sends all rows of a TCP sink to one core.
//! Out: the same bytes to each subscriber, from the batch on that was written when it had come.
//!
//! Invariants
//! - What is unsent is bounded, per subscriber. Beyond it a subscriber is cut, or the job waits.
//! - A listening sink without subscribers discards rows and counts them; a connecting one has room
//!   only while its peer is there.
//! - Every row is counted once: out, or discarded.

mod connections;
mod flow;
mod held;
mod ledger;
mod marks;
mod peers;
mod subscriptions;
mod tally;
#[cfg(test)]
mod tests;

use hashbrown::HashMap;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::format::{Encoder, FramePosition, LanePosition, write_end_of_epoch};
use crate::limits::SINK_UNWRITTEN_BYTES_MAX;
use crate::metrics::SinkCounters;
use crate::reactor::{ConnectionId, Io, Network, TcpEndpoint};
use crate::record::{Batch, Epoch};
use crate::sink::{OutputEpochs, Sink};
use crate::stdx::Failure;
use connections::{Connections, Happened};
pub use held::{HeldOptions, HeldTcpSink};
use ledger::{Account, Ledger};
use peers::Resuming;
pub use subscriptions::{Keeping, OnFull};

/// A subscriber that may be cut has so long to take what is left when the job ends: 10 s.
const FINISH_NS_MAX: u64 = 10_000_000_000;

/// What a subscriber that does not keep up gets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SlowSubscriber {
    /// Its connection closed; the others go on.
    Disconnect,
    /// Its pace: the job waits for it.
    Backpressure,
}

/// Everything a TCP sink must know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TcpSinkOptions {
    /// Name of the sink.
    pub name: Arc<str>,
    /// Where bytes go.
    pub endpoint: TcpEndpoint,
    /// What a subscriber that does not keep up gets. A peer we connect to always gets backpressure.
    pub slow_subscriber: SlowSubscriber,
    /// Subscribers served at once; further ones are refused.
    pub connections_max: u32,
    /// Rows are frames: who subscribes says hello first, and says what it has got.
    pub frames: bool,
    /// What frames say of epochs; `None` without durability.
    pub epochs: Option<OutputEpochs>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nothing is open yet.
    New,
    Writing,
    /// What is unsent is being sent, until this time (monotonic ns).
    Finishing {
        until_ns: u64,
    },
    Failed,
}

/// One subscriber.
struct Subscriber {
    peer: SocketAddr,
    account: Account,
    unsent_bytes: usize,
    /// It was too slow, and is being closed.
    is_cut: bool,
}

/// See the module.
pub struct TcpSink {
    options: TcpSinkOptions,
    encoder: Box<dyn Encoder>,
    phase: Phase,
    connections: Connections,
    subscribers: HashMap<ConnectionId, Subscriber>,
    /// Of the subscriber that is furthest behind, when it was looked last.
    unsent_bytes_max: usize,
    /// Empty between calls; kept for their memory.
    encoded: Vec<u8>,
    looking: Vec<ConnectionId>,
    ledger: Ledger,
    /// Frames that belong to the epoch that has not ended.
    has_open: bool,
    /// Epochs that have ended and are not known to exist, with the number of their last frame.
    ended: VecDeque<(Epoch, u64)>,
    failure: Option<Failure>,
    counters: SinkCounters,
}

impl TcpSink {
    /// A sink that opens what it needs at its first poll.
    pub fn new(options: TcpSinkOptions, mut encoder: Box<dyn Encoder>) -> TcpSink {
        if let Some(epochs) = options.epochs {
            encoder.begin_epoch(epochs.first);
        }
        TcpSink {
            connections: Connections::new(options.clone(), Resuming::Impossible),
            options,
            encoder,
            phase: Phase::New,
            subscribers: HashMap::new(),
            unsent_bytes_max: 0,
            encoded: Vec::new(),
            looking: Vec::new(),
            ledger: Ledger::default(),
            has_open: false,
            ended: VecDeque::new(),
            failure: None,
            counters: SinkCounters::default(),
        }
    }

    fn open(&mut self, network: &mut dyn Network) {
        self.phase = Phase::Writing;
        if let Err(failure) = self.connections.open(network) {
            (self.failure, self.phase) = (Some(failure), Phase::Failed);
        }
    }

    fn tells_of_epochs(&self) -> bool {
        self.options.frames && self.options.epochs.is_some()
    }

    fn cuts_the_slow(&self) -> bool {
        self.connections.dialed().is_none()
            && self.options.slow_subscriber == SlowSubscriber::Disconnect
    }

    /// Acts on what has happened next; false when nothing has.
    fn take_event(&mut self, io: &mut dyn Io) -> bool {
        let Some(happened) = self.connections.next(self.subscribers.len(), io) else {
            return false;
        };
        match happened {
            Happened::Joined { connection, peer, .. } => {
                self.subscribe(connection, peer, io.network());
            }
            Happened::Broke { connection, fault } => {
                if let Some(subscriber) = self.subscribers.get(&connection) {
                    self.connections.notice(&format!("closed {}: {fault}", subscriber.peer));
                }
            }
            Happened::Left { connection, reason, unsent_bytes } => {
                self.look_at(connection, unsent_bytes);
                self.closed(connection, &reason);
            }
            // Of interest when somebody asks who is slow.
            Happened::Acknowledged { .. } | Happened::Nothing => {}
        }
        true
    }

    fn subscribe(&mut self, connection: ConnectionId, peer: SocketAddr, network: &mut dyn Network) {
        self.connections.write_only(connection, network);
        let account = Account::default();
        let mut subscriber = Subscriber { peer, account, unsent_bytes: 0, is_cut: false };
        let mut head = Vec::new();
        self.encoder.begin(&mut head);
        if network.send(connection, &head) {
            subscriber.account.give(head.len());
        }
        subscriber.unsent_bytes = network.unsent_bytes(connection);
        self.subscribers.insert(connection, subscriber);
    }

    fn closed(&mut self, connection: ConnectionId, reason: &str) {
        if let Some(subscriber) = self.subscribers.remove(&connection) {
            let missed = subscriber.account.close(&mut self.ledger);
            if missed > 0 {
                let peer = subscriber.peer;
                let reason = if subscriber.is_cut { "it was too slow" } else { reason };
                let text = format!("{peer} missed the last {missed} batches: {reason}");
                self.connections.notice(&text);
            }
        }
    }

    /// `unsent_bytes` of a subscriber have not been taken by the kernel, the others have.
    fn look_at(&mut self, connection: ConnectionId, unsent_bytes: usize) {
        let Some(subscriber) = self.subscribers.get_mut(&connection) else { return };
        let sent = subscriber.unsent_bytes.saturating_sub(unsent_bytes);
        self.counters.bytes_out += sent as u64;
        subscriber.unsent_bytes = unsent_bytes;
        subscriber.account.taken(unsent_bytes, &mut self.ledger);
    }

    /// Looks how far each subscriber is; cuts those that are too far behind.
    fn look_at_all(&mut self, network: &mut dyn Network) {
        let cuts_the_slow = self.cuts_the_slow();
        let mut connections = std::mem::take(&mut self.looking);
        connections.extend(self.subscribers.keys());
        self.unsent_bytes_max = 0;
        for connection in connections.drain(..) {
            let unsent_bytes = network.unsent_bytes(connection);
            self.unsent_bytes_max = self.unsent_bytes_max.max(unsent_bytes);
            self.look_at(connection, unsent_bytes);
            if cuts_the_slow && unsent_bytes >= SINK_UNWRITTEN_BYTES_MAX {
                self.cut(connection, network);
            }
        }
        self.looking = connections;
        self.count_rows();
    }

    fn cut(&mut self, connection: ConnectionId, network: &mut dyn Network) {
        let subscriber = self.subscribers.get_mut(&connection).expect("looked up by the caller");
        if !std::mem::replace(&mut subscriber.is_cut, true) {
            network.abort(connection);
        }
    }

    fn count_rows(&mut self) {
        self.counters.rows_out = self.ledger.rows_out;
        self.counters.rows_discarded = self.ledger.rows_discarded;
    }

    /// Begins to close everything, once.
    fn begin_finish(&mut self, io: &mut dyn Io) {
        if let Phase::Finishing { until_ns } = self.phase {
            if self.cuts_the_slow() && until_ns <= io.round_ns() {
                let connections: Vec<_> = self.subscribers.keys().copied().collect();
                connections.into_iter().for_each(|slow| self.cut(slow, io.network()));
            }
            return;
        }
        let until_ns = io.round_ns().saturating_add(FINISH_NS_MAX);
        self.phase = Phase::Finishing { until_ns };
        let network = io.network();
        self.connections.close_door(network);
        let mut end = Vec::new();
        self.encoder.end(&mut end);
        self.give_all(&end, network);
        self.subscribers.keys().for_each(|connection| network.close(*connection));
    }

    /// Sends every subscriber what is no rows.
    fn give_all(&mut self, message: &[u8], network: &mut dyn Network) {
        for (connection, subscriber) in &mut self.subscribers {
            if !message.is_empty() && network.send(*connection, message) {
                subscriber.account.give(message.len());
                subscriber.unsent_bytes += message.len();
            }
        }
    }
}

impl Sink for TcpSink {
    fn write(&mut self, batch: &Batch, io: &mut dyn Io) {
        let rows = batch.len() as u64;
        self.counters.rows_in += rows;
        let holders = u32::try_from(self.subscribers.len()).expect("bounded by 32 bits");
        let number = self.ledger.open(rows, holders);
        if holders > 0 {
            self.encoded.clear();
            self.encoder.encode(&batch.rows, &mut self.encoded);
            if let Some(reason) = self.encoder.take_failure() {
                let message = format!("sink {}: cannot write {reason}", self.options.name);
                self.failure = Some(Failure::io(message));
            }
            self.has_open = true;
            let network = io.network();
            for (connection, subscriber) in &mut self.subscribers {
                if network.send(*connection, &self.encoded) {
                    subscriber.account.give_batch(self.encoded.len(), number);
                    subscriber.unsent_bytes += self.encoded.len();
                    self.unsent_bytes_max = self.unsent_bytes_max.max(subscriber.unsent_bytes);
                } else {
                    self.ledger.release(number, false);
                }
            }
        }
        self.count_rows();
    }

    fn is_full(&self) -> bool {
        match self.phase {
            Phase::New | Phase::Failed => true,
            Phase::Writing | Phase::Finishing { .. } => {
                let is_alone = self.connections.dialed().is_some() && self.subscribers.is_empty();
                let waits = self.unsent_bytes_max >= SINK_UNWRITTEN_BYTES_MAX;
                is_alone || (waits && !self.cuts_the_slow())
            }
        }
    }

    fn blocked_by(&self) -> Option<String> {
        if let (Some(address), true) = (self.connections.dialed(), self.subscribers.is_empty()) {
            return Some(format!("there is no connection to {address}"));
        }
        let unsent = |(_, subscriber): &(&ConnectionId, &Subscriber)| subscriber.unsent_bytes;
        let (connection, slowest) = self.subscribers.iter().max_by_key(unsent)?;
        let Subscriber { peer, unsent_bytes, .. } = slowest;
        let got = self.connections.acknowledged(*connection);
        let got = got.map_or_else(String::new, |at| format!("; it has got {}", at.frame));
        Some(format!("subscriber {peer} has {unsent_bytes} bytes to take{got}"))
    }

    fn poll(&mut self, io: &mut dyn Io) -> bool {
        if self.phase == Phase::New {
            self.open(io.network());
        }
        let mut busy = self.connections.dial(io);
        while self.take_event(io) {
            busy = true;
        }
        // After the events: those that are gone have said how much they took.
        self.look_at_all(io.network());
        busy
    }

    fn end_epoch(&mut self, epoch: Epoch, _: &mut dyn Io) {
        self.has_open = false;
        if self.tells_of_epochs() {
            let last = self.encoder.begin_epoch(epoch.next());
            if last > 0 {
                self.ended.push_back((epoch, last));
            }
        }
    }

    fn commit(&mut self, epoch: Epoch, io: &mut dyn Io) {
        while let Some((epoch, sequence)) = self.ended.pop_front_if(|(ended, _)| *ended <= epoch) {
            let frame = FramePosition { epoch: epoch.number(), sequence };
            let mut message = Vec::new();
            write_end_of_epoch(LanePosition { lane: 0, frame }, &mut message);
            self.give_all(&message, io.network());
        }
    }

    fn finish(&mut self, io: &mut dyn Io) -> bool {
        self.poll(io);
        // Subscribers wait for the end of the last epoch, too.
        if self.tells_of_epochs() && (self.has_open || !self.ended.is_empty()) {
            return false;
        }
        self.begin_finish(io);
        if !self.subscribers.is_empty() || !self.ledger.is_settled() {
            return false;
        }
        self.connections.close_listener(io.network());
        self.count_rows();
        true
    }

    fn wakes_at_ns(&self) -> Option<u64> {
        let finish = match self.phase {
            Phase::Finishing { until_ns } if self.cuts_the_slow() => Some(until_ns),
            _ => None,
        };
        [finish, self.connections.wakes_at_ns()].into_iter().flatten().min()
    }

    fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    fn take_notice(&mut self) -> Option<String> {
        self.connections.take_notice()
    }

    fn counters(&self) -> &SinkCounters {
        &self.counters
    }
}
