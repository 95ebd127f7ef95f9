//! TCP source: lines from connections, accepted or made.
//!
//! Read: `served` (one connection) · `dealer` (which core gets the next one).
//!
//! In:  on core 0, a listener or an outgoing connection; on every core, connections dealt to it.
//! Out: batches, one connection's rows in order; each connection is a split.
//!
//! Invariants
//! - A core's watermark covers pushed rows only: rows wait in their decoder, not admitted, until
//!   there is room.
//! - While there is no room no bytes are taken: receive buffers run out, and the peers wait.
//! - A connection is told to core 0 as closed after its last row was pushed.

mod dealer;
mod served;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use hashbrown::HashMap;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::format::DecoderOptions;
use crate::limits::TCP_FEED_BYTES_MAX;
use crate::metrics::SourceCounters;
use crate::reactor::{
    Clock, ConnectionId, Dialer, Io, ListenerId, NetEvent, Network, OwnerId, Received, TcpEndpoint,
};
use crate::record::{Timestamp, Watermark};
use crate::source::{
    Arrival, DecoderFactory, EventTimeOptions, HoldingBack, Source, SourceMessage, SourceOutput,
    SourceProgress, SplitTracker,
};
use crate::stdx::{CoreId, Failure};
use dealer::Dealer;
use served::{PushInto, Served};

/// A source that had work and was not polled for so long waited for room: 10 ms.
const BLOCKED_NS_MIN: u64 = 10_000_000;

/// Everything a TCP source must know on one core.
#[derive(Clone)]
pub struct TcpSourceOptions {
    /// Name of the source; with a peer's address it is the origin of the peer's records.
    pub name: Arc<str>,
    /// This core.
    pub core: CoreId,
    /// Cores that share the connections.
    pub core_count: u16,
    /// Where bytes come from.
    pub endpoint: TcpEndpoint,
    /// Connections of all cores together; further ones are refused.
    pub connections_max: u32,
    /// A connection without a byte for so long is closed; `None` for never.
    pub connection_idle_ns_max: Option<u64>,
    /// The source has ended when there has been a connection and there is none left.
    pub end_on_disconnect: bool,
    /// How records are decoded; the origin is set per connection.
    pub decoder: DecoderOptions,
    /// Makes the decoders: `format::decoder`.
    pub make_decoder: DecoderFactory,
    /// Event time, over the projected columns.
    pub event_time: Option<EventTimeOptions>,
    /// Rows carry their origin, offset and raw bytes.
    pub keep_provenance: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nothing is open yet.
    New,
    Reading,
    /// No connection will come any more; those there are go on to their end.
    Ending,
    /// Asked to stop: what has been received is still decoded and pushed.
    Stopping,
    /// Failed: does nothing more.
    Failed,
}

/// See the module.
pub struct TcpSource {
    options: TcpSourceOptions,
    phase: Phase,
    owner: Option<OwnerId>,
    listener: Option<ListenerId>,
    dialer: Option<Dialer>,
    dealer: Dealer,
    connections: HashMap<ConnectionId, Served>,
    /// Connections with something to push, oldest first.
    ready: VecDeque<ConnectionId>,
    tracker: SplitTracker,
    /// Idle time counts from here at the earliest: until then bytes may have waited for us.
    attentive_since_ns: u64,
    /// No connection can be idle for too long before this.
    idle_look_ns: u64,
    /// When and how the last poll ended.
    polled_ns: u64,
    was_busy: bool,
    notices: VecDeque<String>,
    failure: Option<Failure>,
    counters: SourceCounters,
}

impl TcpSource {
    /// A source that opens what it needs at its first poll.
    pub fn new(options: TcpSourceOptions) -> TcpSource {
        TcpSource {
            phase: Phase::New,
            owner: None,
            listener: None,
            dialer: None,
            dealer: Dealer::new(options.core_count, options.connections_max),
            connections: HashMap::new(),
            ready: VecDeque::new(),
            tracker: SplitTracker::new(options.event_time.clone()),
            attentive_since_ns: 0,
            idle_look_ns: 0,
            polled_ns: 0,
            was_busy: false,
            notices: VecDeque::new(),
            failure: None,
            counters: SourceCounters::default(),
            options,
        }
    }

    fn owner(&mut self, network: &mut dyn Network) -> OwnerId {
        *self.owner.get_or_insert_with(|| network.register())
    }

    /// Core 0 listens or prepares to dial; the others wait for what they are given.
    fn open(&mut self, network: &mut dyn Network) {
        self.phase = Phase::Reading;
        let owner = self.owner(network);
        match self.options.endpoint {
            TcpEndpoint::Connect(address) if self.options.core == CoreId::ZERO => {
                self.dialer = Some(Dialer::new(address));
            }
            TcpEndpoint::Connect(_) => self.phase = Phase::Ending,
            TcpEndpoint::Listen(address) if self.options.core == CoreId::ZERO => {
                match network.listen(owner, address) {
                    Ok((listener, bound)) => {
                        self.listener = Some(listener);
                        self.notice(&format!("listening on {bound}"));
                    }
                    Err(error) => {
                        let what = format!("cannot listen on {address}: {error}");
                        let message = format!("source {}: {what}", self.options.name);
                        self.failure = Some(Failure::environment(message));
                        self.phase = Phase::Failed;
                    }
                }
            }
            TcpEndpoint::Listen(_) => {}
        }
    }

    fn notice(&mut self, text: &str) {
        self.notices.push_back(format!("source {}: {text}", self.options.name));
    }

    /// Takes events until there is no room, enough bytes were decoded, or there are no more.
    /// True when something was taken.
    fn take_events(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) -> bool {
        let owner = self.owner(io.network());
        let (mut taken, mut bytes_fed) = (false, 0);
        while bytes_fed < TCP_FEED_BYTES_MAX && !out.is_full() {
            let Some(event) = io.network().next_event(owner) else { break };
            taken = true;
            match event {
                NetEvent::Received { connection, bytes } => {
                    bytes_fed += self.feed(connection, bytes, io);
                }
                NetEvent::Accepted { socket, peer, .. } => self.deal(socket, peer, io, out),
                NetEvent::AcceptFailed { error, .. } => {
                    self.notice(&format!("cannot accept connections for now: {error}"));
                }
                NetEvent::Connected { connection } => self.connected(connection, io),
                NetEvent::Closed { connection, error, .. } => {
                    self.closed(connection, error, io.clock());
                }
                NetEvent::Sent { .. } => {}
                NetEvent::Filled { .. } => {
                    unreachable!("no connection is on demand")
                }
            }
        }
        taken
    }

    fn feed(&mut self, connection: ConnectionId, bytes: Received, io: &mut dyn Io) -> usize {
        let arrival = arrival(io.clock());
        let network = io.network();
        let received = network.bytes(&bytes);
        let length = received.len();
        self.counters.bytes_in += length as u64;
        let served = self.connections.get_mut(&connection).expect("serves until it is closed");
        served.feed(received, arrival);
        if !std::mem::replace(&mut served.is_ready, true) {
            self.ready.push_back(connection);
        }
        let fault = served.take_fault();
        served.is_cut |= fault.is_some();
        network.release(bytes);
        if let Some(fault) = fault {
            network.close(connection);
            self.failed(connection, &fault);
        }
        length
    }

    /// A connection has sent what cannot be decoded, nor what is behind it.
    fn failed(&mut self, connection: ConnectionId, fault: &str) {
        self.counters.connections_failed += 1;
        if self.counters.connections_failed.is_power_of_two() {
            let origin = Arc::clone(self.connections[&connection].origin());
            self.notice(&format!("closed {origin}: {fault}"));
        }
    }

    /// Gives an accepted connection to the core with fewest, or refuses it.
    fn deal(
        &mut self,
        socket: OwnedFd,
        peer: SocketAddr,
        io: &mut dyn Io,
        out: &mut dyn SourceOutput,
    ) {
        if self.phase != Phase::Reading {
            return;
        }
        match self.dealer.deal() {
            None => {
                self.counters.connections_refused += 1;
                if self.counters.connections_refused.is_power_of_two() {
                    let max = self.options.connections_max;
                    self.notice(&format!("refused {peer}: {max} connections are served already"));
                }
            }
            Some(core) if core == self.options.core => self.adopt(socket, peer, io),
            Some(core) => out.send(core, SourceMessage::Connection { socket, peer }),
        }
    }

    fn adopt(&mut self, socket: OwnedFd, peer: SocketAddr, io: &mut dyn Io) {
        let network = io.network();
        let owner = self.owner(network);
        let connection = network.adopt(owner, socket);
        self.serve(connection, peer, io.clock());
    }

    fn connected(&mut self, connection: ConnectionId, io: &mut dyn Io) {
        let dialer = self.dialer.as_mut().expect("only a dialer connects");
        dialer.connected(connection);
        let peer = dialer.address();
        if self.phase == Phase::Reading {
            self.dealer.dial();
            self.serve(connection, peer, io.clock());
        } else {
            io.network().close(connection);
        }
    }

    fn serve(&mut self, connection: ConnectionId, peer: SocketAddr, clock: &dyn Clock) {
        let origin: Arc<str> = format!("{}:{peer}", self.options.name).into();
        let mut options = self.options.decoder.clone();
        options.keep_provenance = self.options.keep_provenance.then(|| Arc::clone(&origin));
        let decoder = (self.options.make_decoder)(options);
        let split = self.tracker.open(Arc::clone(&origin));
        let served = Served::new(decoder, split, origin, arrival(clock));
        self.connections.insert(connection, served);
        self.counters.splits_opened += 1;
        if let Some(idle_ns_max) = self.options.connection_idle_ns_max {
            let until_ns = clock.monotonic_ns().saturating_add(idle_ns_max);
            self.idle_look_ns = self.idle_look_ns.min(until_ns);
        }
    }

    fn closed(&mut self, connection: ConnectionId, error: Option<io::Error>, clock: &dyn Clock) {
        if let Some(dialer) = &mut self.dialer {
            let address = dialer.address();
            if dialer.closed(connection, clock.monotonic_ns()) && !self.options.end_on_disconnect {
                let reason = error.map_or_else(|| "closed by the peer".into(), |e| e.to_string());
                self.notice(&format!("no connection to {address}: {reason}; trying again"));
            }
        }
        // After a stop, what is left of a line is not the end of the peer's.
        if self.phase != Phase::Stopping
            && let Some(served) = self.connections.get_mut(&connection)
        {
            served.finish();
            if !std::mem::replace(&mut served.is_ready, true) {
                self.ready.push_back(connection);
            }
            if let Some(fault) = served.take_fault() {
                self.failed(connection, &fault);
            }
        }
    }

    /// Pushes what is decoded while there is room; true when something was.
    fn push(&mut self, out: &mut dyn SourceOutput) -> bool {
        let mut pushed = false;
        while !out.is_full()
            && let Some(&connection) = self.ready.front()
        {
            pushed = true;
            let served = self.connections.get_mut(&connection).expect("ready while it is served");
            let (tracker, counters) = (&mut self.tracker, &mut self.counters);
            if !served.push(&mut PushInto { tracker, counters, out }) {
                break;
            }
            self.ready.pop_front();
            served.is_ready = false;
            if served.has_ended {
                self.leave(connection, out);
            }
        }
        pushed
    }

    fn leave(&mut self, connection: ConnectionId, out: &mut dyn SourceOutput) {
        let served = self.connections.remove(&connection).expect("found by the caller");
        served.leave(&mut self.tracker);
        let core = self.options.core;
        if core == CoreId::ZERO {
            self.dealer.closed(core);
        } else {
            out.send(CoreId::ZERO, SourceMessage::ConnectionClosed { core });
        }
    }

    /// Core 0: the first connections have come and gone.
    fn end_if_all_have_gone(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) {
        let is_over = self.options.end_on_disconnect && self.dealer.all_have_gone();
        if self.phase != Phase::Reading || !is_over {
            return;
        }
        self.phase = Phase::Ending;
        self.close_endpoint(io.network());
        for core in CoreId::all(self.options.core_count).filter(|core| *core != CoreId::ZERO) {
            out.send(core, SourceMessage::ConnectionsEnd);
        }
    }

    fn close_endpoint(&mut self, network: &mut dyn Network) {
        if let Some(listener) = self.listener.take() {
            network.close_listener(listener);
        }
        if let Some(dialer) = &mut self.dialer {
            dialer.stop();
        }
    }

    /// Closes connections without a byte for too long. `is_drained`: nothing waits unread now.
    fn close_idle(&mut self, is_drained: bool, io: &mut dyn Io) {
        let Some(idle_ns_max) = self.options.connection_idle_ns_max else { return };
        let now_ns = io.round_ns();
        // Not polled although there was work: what comes after had no room.
        let was_ignored = self.was_busy && self.polled_ns + BLOCKED_NS_MIN <= now_ns;
        if !is_drained || was_ignored {
            self.attentive_since_ns = now_ns;
        }
        if now_ns < self.idle_look_ns {
            return;
        }
        self.idle_look_ns = u64::MAX;
        for (connection, served) in &mut self.connections {
            if served.has_ended || served.is_cut {
                continue;
            }
            let since_ns = served.last_byte_ns.max(self.attentive_since_ns);
            let until_ns = since_ns.saturating_add(idle_ns_max);
            if until_ns <= now_ns {
                io.network().close(*connection);
                self.counters.connections_refused += 1;
                served.is_cut = true;
            } else {
                self.idle_look_ns = self.idle_look_ns.min(until_ns);
            }
        }
    }

    fn wakes_at_ns(&self) -> Option<u64> {
        let dial = self.dialer.as_ref().and_then(Dialer::wakes_at_ns);
        let looks = self.options.connection_idle_ns_max.is_some() && self.idle_look_ns < u64::MAX;
        let idle = looks.then_some(self.idle_look_ns);
        [dial, idle, self.tracker.wakes_at_ns()].into_iter().flatten().min()
    }

    fn is_finished(&self) -> bool {
        match self.phase {
            Phase::Ending => self.connections.is_empty(),
            Phase::Stopping => self.ready.is_empty(),
            Phase::New | Phase::Reading | Phase::Failed => false,
        }
    }
}

impl Source for TcpSource {
    fn poll(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) -> SourceProgress {
        if self.phase == Phase::New {
            self.open(io.network());
        }
        if self.phase == Phase::Failed {
            return SourceProgress::Idle { wakes_at_ns: None };
        }
        let now_ns = io.round_ns();
        if let Some(dialer) = &mut self.dialer {
            let owner = self.owner.expect("registered when it was opened");
            dialer.poll(io.network(), owner, now_ns);
        }
        let (mut busy, mut is_drained) = (false, false);
        while !out.is_full() && !is_drained {
            let taken = self.take_events(io, out);
            let pushed = self.push(out);
            is_drained = !taken && !pushed;
            busy |= taken | pushed;
        }
        self.end_if_all_have_gone(io, out);
        self.close_idle(is_drained, io);
        self.tracker.tick(now_ns);
        self.polled_ns = now_ns;
        self.was_busy = busy || !self.ready.is_empty() || out.is_full();
        if self.was_busy {
            return SourceProgress::Busy;
        }
        if self.is_finished() && is_drained {
            return SourceProgress::Finished;
        }
        SourceProgress::Idle { wakes_at_ns: self.wakes_at_ns() }
    }

    fn watermark(&self) -> Option<Watermark> {
        self.tracker.watermark()
    }

    fn newest(&self) -> Option<Timestamp> {
        self.tracker.newest()
    }

    fn holding_back(&self) -> Option<HoldingBack> {
        self.tracker.holding_back()
    }

    fn open_splits(&self) -> usize {
        self.connections.len()
    }

    fn receive(&mut self, message: SourceMessage, io: &mut dyn Io) {
        match message {
            SourceMessage::Connection { socket, peer } => match self.phase {
                Phase::New | Phase::Reading => self.adopt(socket, peer, io),
                // Stopping: the peer is told by the close.
                Phase::Ending | Phase::Stopping | Phase::Failed => {}
            },
            SourceMessage::ConnectionClosed { core } => self.dealer.closed(core),
            SourceMessage::ConnectionsEnd => {
                if self.phase != Phase::Stopping {
                    self.phase = Phase::Ending;
                }
            }
            other => unreachable!("no instance of a TCP source sends {other:?}"),
        }
    }

    fn stop(&mut self, io: &mut dyn Io) {
        if matches!(self.phase, Phase::Failed | Phase::Stopping) {
            return;
        }
        self.phase = Phase::Stopping;
        self.close_endpoint(io.network());
        for connection in self.connections.keys() {
            io.network().close(*connection);
        }
    }

    fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    fn take_notice(&mut self) -> Option<String> {
        self.notices.pop_front()
    }

    fn counters(&self) -> &SourceCounters {
        &self.counters
    }
}

fn arrival(clock: &dyn Clock) -> Arrival {
    Arrival { monotonic_ns: clock.monotonic_ns(), wall: Timestamp::from_millis(clock.wall_ms()) }
}
