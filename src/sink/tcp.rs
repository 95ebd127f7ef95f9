//! TCP sink: rows as lines or frames to every subscriber, or as lines to one peer we connect to.
//!
//! Read: `ledger` (which rows have left) · `peers` (what subscribers of frames say).
//!
//! In:  batches, of all cores: the graph sends all rows of a TCP sink to one core.
//! Out: the same bytes to each subscriber, from the batch on that was written when it had come.
//!
//! Invariants
//! - What is unsent is bounded, per subscriber. Beyond it a subscriber is cut, or the job waits.
//! - A listening sink without subscribers discards rows and counts them; a connecting one has room
//!   only while its peer is there.
//! - Every row is counted once: out, or discarded.

mod ledger;
mod peers;
#[cfg(test)]
mod tests;

use hashbrown::HashMap;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::format::{Encoder, ProtocolFault, write_error};
use crate::limits::SINK_UNWRITTEN_BYTES_MAX;
use crate::metrics::SinkCounters;
use crate::reactor::{
    ConnectionId, Dialer, Io, ListenerId, NetEvent, Network, OwnerId, TcpEndpoint,
};
use crate::record::Batch;
use crate::sink::Sink;
use crate::stdx::Failure;
use ledger::{Account, Ledger};
use peers::{Heard, Peers};

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
    owner: Option<OwnerId>,
    listener: Option<ListenerId>,
    dialer: Option<Dialer>,
    subscribers: HashMap<ConnectionId, Subscriber>,
    /// Of the subscriber that is furthest behind, when it was looked last.
    unsent_bytes_max: usize,
    /// Of frames.
    peers: Peers,
    /// Those of them that have not said hello.
    greeting: HashMap<ConnectionId, SocketAddr>,
    /// Empty between calls; kept for their memory.
    encoded: Vec<u8>,
    looking: Vec<ConnectionId>,
    ledger: Ledger,
    refused: u64,
    notices: VecDeque<String>,
    failure: Option<Failure>,
    counters: SinkCounters,
}

impl TcpSink {
    /// A sink that opens what it needs at its first poll.
    pub fn new(options: TcpSinkOptions, encoder: Box<dyn Encoder>) -> TcpSink {
        TcpSink {
            options,
            encoder,
            phase: Phase::New,
            owner: None,
            listener: None,
            dialer: None,
            subscribers: HashMap::new(),
            unsent_bytes_max: 0,
            peers: Peers::default(),
            greeting: HashMap::new(),
            encoded: Vec::new(),
            looking: Vec::new(),
            ledger: Ledger::default(),
            refused: 0,
            notices: VecDeque::new(),
            failure: None,
            counters: SinkCounters::default(),
        }
    }

    fn open(&mut self, network: &mut dyn Network) {
        let owner = network.register();
        self.owner = Some(owner);
        self.phase = Phase::Writing;
        match self.options.endpoint {
            TcpEndpoint::Connect(address) => self.dialer = Some(Dialer::new(address)),
            TcpEndpoint::Listen(address) => match network.listen(owner, address) {
                Ok((listener, bound)) => {
                    self.listener = Some(listener);
                    self.notice(&format!("listening on {bound}"));
                }
                Err(error) => {
                    let message =
                        format!("sink {}: cannot listen on {address}: {error}", self.options.name);
                    self.failure = Some(Failure::environment(message));
                    self.phase = Phase::Failed;
                }
            },
        }
    }

    fn notice(&mut self, text: &str) {
        self.notices.push_back(format!("sink {}: {text}", self.options.name));
    }

    fn cuts_the_slow(&self) -> bool {
        self.listener.is_some() && self.options.slow_subscriber == SlowSubscriber::Disconnect
    }

    /// Takes one event; false when there is none.
    fn take_event(&mut self, io: &mut dyn Io) -> bool {
        let Some(owner) = self.owner else { return false };
        let now_ns = io.round_ns();
        let network = io.network();
        let Some(event) = network.next_event(owner) else { return false };
        match event {
            NetEvent::Accepted { socket, peer, .. } => {
                self.accept(socket, peer, now_ns, network);
            }
            NetEvent::AcceptFailed { error, .. } => {
                self.notice(&format!("cannot accept subscribers for now: {error}"));
            }
            NetEvent::Connected { connection } => {
                let dialer = self.dialer.as_mut().expect("only a dialer connects");
                dialer.connected(connection);
                let peer = dialer.address();
                match self.phase {
                    Phase::Writing => self.subscribe(connection, peer, network),
                    _ => network.close(connection),
                }
            }
            NetEvent::Closed { connection, error, unsent_bytes } => {
                let reason =
                    error.map_or_else(|| "closed by the peer".into(), |error| error.to_string());
                self.look_at(connection, unsent_bytes);
                self.closed(connection, &reason, now_ns);
            }
            NetEvent::Received { connection, bytes } => {
                // A peer of lines has nothing to say that is read here.
                let heard = self.peers.hear(connection, network.bytes(&bytes));
                network.release(bytes);
                self.answer(connection, heard, network);
            }
            NetEvent::Sent { .. } => {}
            NetEvent::Filled { .. } => {
                unreachable!("no connection is on demand")
            }
        }
        true
    }

    fn accept(
        &mut self,
        socket: OwnedFd,
        peer: SocketAddr,
        now_ns: u64,
        network: &mut dyn Network,
    ) {
        if self.phase != Phase::Writing {
            return;
        }
        let connections_max = self.options.connections_max;
        let served = self.subscribers.len() + self.greeting.len();
        if served >= usize::try_from(connections_max).expect("32 bits fit") {
            self.refused += 1;
            // A client that tries again and again does not fill the log.
            if self.refused.is_power_of_two() {
                self.notice(&format!("refused {peer}: {connections_max} subscribers already"));
            }
            return;
        }
        let owner = self.owner.expect("registered before it listens");
        let connection = network.adopt(owner, socket);
        if self.options.frames {
            self.peers.begin(connection, now_ns);
            self.greeting.insert(connection, peer);
        } else {
            self.subscribe(connection, peer, network);
        }
    }

    /// Acts on what a peer of frames said.
    fn answer(
        &mut self,
        connection: ConnectionId,
        heard: Result<Heard, ProtocolFault>,
        network: &mut dyn Network,
    ) {
        match heard {
            Ok(Heard::Nothing) => {}
            Ok(Heard::Hello) => {
                if let Some(peer) = self.greeting.remove(&connection) {
                    self.subscribe(connection, peer, network);
                }
            }
            Err(fault) => {
                self.peers.end(connection);
                let greeting = self.greeting.remove(&connection);
                let served = self.subscribers.get(&connection).map(|subscriber| subscriber.peer);
                if let Some(peer) = greeting.or(served) {
                    self.notice(&format!("closed {peer}: {fault}"));
                }
                // In the middle of what it is sent there is no place for a message.
                if greeting.is_some() {
                    let mut message = Vec::new();
                    write_error(&fault, &mut message);
                    network.send(connection, &message);
                    network.close(connection);
                } else {
                    network.abort(connection);
                }
            }
        }
    }

    fn subscribe(&mut self, connection: ConnectionId, peer: SocketAddr, network: &mut dyn Network) {
        // A subscriber may close its sending side. A peer that was dialed and closes is gone: what it
        // is sent from then on would be lost, and counted as out.
        if self.dialer.is_none() && !self.options.frames {
            network.write_only(connection);
        }
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

    fn closed(&mut self, connection: ConnectionId, reason: &str, now_ns: u64) {
        self.peers.end(connection);
        self.greeting.remove(&connection);
        if let Some(dialer) = &mut self.dialer {
            let address = dialer.address();
            if dialer.closed(connection, now_ns) && self.phase == Phase::Writing {
                self.notice(&format!("no connection to {address}: {reason}; trying again"));
            }
        }
        if let Some(subscriber) = self.subscribers.remove(&connection) {
            let missed = subscriber.account.close(&mut self.ledger);
            if missed > 0 {
                let peer = subscriber.peer;
                let reason = if subscriber.is_cut { "it was too slow" } else { reason };
                self.notice(&format!("{peer} missed the last {missed} batches: {reason}"));
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
        if let Some(dialer) = &mut self.dialer {
            dialer.stop();
        }
        self.greeting.drain().for_each(|(connection, _)| network.close(connection));
        let mut end = Vec::new();
        self.encoder.end(&mut end);
        for (connection, subscriber) in &mut self.subscribers {
            if !end.is_empty() && network.send(*connection, &end) {
                subscriber.account.give(end.len());
                subscriber.unsent_bytes += end.len();
            }
        }
        self.subscribers.keys().for_each(|connection| network.close(*connection));
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
                let is_alone = self.dialer.is_some() && self.subscribers.is_empty();
                let waits = self.unsent_bytes_max >= SINK_UNWRITTEN_BYTES_MAX;
                is_alone || (waits && !self.cuts_the_slow())
            }
        }
    }

    fn blocked_by(&self) -> Option<String> {
        if let (Some(dialer), true) = (&self.dialer, self.subscribers.is_empty()) {
            return Some(format!("there is no connection to {}", dialer.address()));
        }
        let unsent = |(_, subscriber): &(&ConnectionId, &Subscriber)| subscriber.unsent_bytes;
        let (connection, slowest) = self.subscribers.iter().max_by_key(unsent)?;
        let Subscriber { peer, unsent_bytes, .. } = slowest;
        let got = self.peers.acknowledged(*connection);
        let got = got.map_or_else(String::new, |frame| format!("; it has got frame {frame}"));
        Some(format!("subscriber {peer} has {unsent_bytes} bytes to take{got}"))
    }

    fn poll(&mut self, io: &mut dyn Io) -> bool {
        if self.phase == Phase::New {
            self.open(io.network());
        }
        let now_ns = io.round_ns();
        let mut busy = false;
        if let (Some(dialer), Some(owner)) = (&mut self.dialer, self.owner) {
            busy |= dialer.poll(io.network(), owner, now_ns);
        }
        while self.take_event(io) {
            busy = true;
        }
        for connection in self.peers.overdue(now_ns) {
            self.answer(connection, Err(ProtocolFault::Silent), io.network());
        }
        // After the events: those that are gone have said how much they took.
        self.look_at_all(io.network());
        busy
    }

    fn finish(&mut self, io: &mut dyn Io) -> bool {
        self.poll(io);
        self.begin_finish(io);
        if !self.subscribers.is_empty() || !self.ledger.is_settled() {
            return false;
        }
        if let Some(listener) = self.listener.take() {
            io.network().close_listener(listener);
        }
        self.count_rows();
        true
    }

    fn wakes_at_ns(&self) -> Option<u64> {
        let finish = match self.phase {
            Phase::Finishing { until_ns } if self.cuts_the_slow() => Some(until_ns),
            _ => None,
        };
        let dial = self.dialer.as_ref().and_then(Dialer::wakes_at_ns);
        [finish, dial, self.peers.wakes_at_ns()].into_iter().flatten().min()
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
