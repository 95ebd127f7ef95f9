//! Frame source: the native protocol over TCP; see its page in `format::frames`.
//!
//! Read: `greeting` (connections before hello) · `joining` (from hello to the core that owns the name) ·
//! `producers` (whose session sends) · `served` (one connection: messages in, rows out) · `confirming` (what
//! producers are told) · `patience` (who is given up) · `census` (when the source is at its end) ·
//! `position` with `resuming` (what a later run goes on with).
//!
//! In:  on core 0, a listener and the hellos of those who connect; on every core, the connections of the
//!      producers whose names it owns.
//! Out: batches over the memory that frames were received into, one connection's rows in order; each
//!      connection is a split. To producers, acknowledgements of what has been pushed, or of what epochs
//!      that exist have.
//!
//! Invariants
//! - A frame is pushed whole or not at all, and under one name each one once, in order. An epoch has it
//!   whole or not at all: no barrier goes out while one is pushed in part.
//! - Nothing is journaled: what no epoch has is with its producer, who keeps what is not acknowledged.
//! - While there is no room nothing is received, and what has been received is bounded by the pool.
//! - What is wrong with one connection ends that connection, with the reason as its last message.

mod census;
mod confirming;
mod greeting;
mod joining;
mod patience;
mod position;
mod producers;
mod resuming;
mod served;
#[cfg(test)]
mod epoch_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

use hashbrown::HashMap;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use crate::format::{ProtocolFault, write_error};
use crate::limits::{FRAME_BUFFER_BYTES, FRAME_BUFFERS_MAX, FRAME_LARGE_BYTES_MAX};
use crate::metrics::SourceCounters;
use crate::reactor::{Clock, ConnectionId, Io, ListenerId, NetEvent, Network, OwnerId};
use crate::record::{BufferPool, Epoch, PoolLimits, Timestamp, Watermark};
use crate::source::{
    Arrival, EventTimeOptions, HoldingBack, PositionError, Source, SourceMessage, SourceOutput,
    SourceProgress, SplitTracker,
};
use crate::stdx::{CoreId, Failure};
use census::Census;
use greeting::Greetings;
use joining::Dealt;
use producers::Producers;
use served::{PushInto, Served};

/// What all frame sources may have received and not yet let go, on one core.
pub(super) const POOL_LIMITS: PoolLimits = PoolLimits {
    buffer_bytes: FRAME_BUFFER_BYTES,
    small_buffers_max: FRAME_BUFFERS_MAX,
    large_bytes_max: FRAME_LARGE_BYTES_MAX,
};

/// When a producer is told that it need not keep a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acknowledge {
    /// When its rows have been pushed: what is in memory then is lost in a crash.
    Taken,
    /// When an epoch that exists has it.
    Committed,
}

/// Everything a frame source must know on one core.
#[derive(Clone)]
pub struct FrameSourceOptions {
    /// Name of the source; with a producer's name it is the origin of the producer's rows.
    pub name: Arc<str>,
    /// This core.
    pub core: CoreId,
    /// Cores that share the connections.
    pub core_count: u16,
    /// Where producers connect to.
    pub listen: SocketAddr,
    /// Connections of all cores together; further ones are refused.
    pub connections_max: u32,
    /// A connection without a byte for so long is closed; `None` for never.
    pub connection_idle_ns_max: Option<u64>,
    /// The source has ended when there has been a connection and there is none left, `end` or not.
    pub end_on_disconnect: bool,
    /// When producers are told that they need not keep a frame.
    pub acknowledge: Acknowledge,
    /// All columns of the table.
    pub schema: SchemaRef,
    /// Those that are wanted, ascending.
    pub projection: Vec<usize>,
    /// Event time, over the projected columns.
    pub event_time: Option<EventTimeOptions>,
    /// Rows carry their origin and number.
    pub keep_provenance: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nothing is open yet.
    New,
    Reading,
    /// No connection will come any more; those there are go on to their end.
    Ending,
    /// Asked to stop: what has been accepted is still pushed.
    Stopping,
    /// Failed: does nothing more.
    Failed,
}

/// See the module.
pub struct FrameSource {
    options: FrameSourceOptions,
    phase: Phase,
    owner: Option<OwnerId>,
    listener: Option<ListenerId>,
    greetings: Greetings,
    census: Census,
    producers: Producers,
    connections: HashMap<ConnectionId, Served>,
    /// Producers dealt to this core.
    dealt: VecDeque<Dealt>,
    pool: BufferPool,
    /// Connections with something to push, oldest first.
    ready: VecDeque<ConnectionId>,
    /// Connections for which there was no buffer, oldest first.
    starved: VecDeque<ConnectionId>,
    /// Connections that are owed an acknowledgement.
    owed: Vec<ConnectionId>,
    tracker: SplitTracker,
    /// Frames pushed in part.
    divided: usize,
    /// A barrier waits until there is none.
    barrier_waits: bool,
    /// Connections of this core that are gone.
    gone: u64,
    /// An earlier run had come to the source's end.
    was_over: bool,
    /// Until when producers of an earlier run are waited for.
    await_until_ns: Option<u64>,
    /// Nobody's patience ends before this.
    look_ns: u64,
    notices: VecDeque<String>,
    failure: Option<Failure>,
    counters: SourceCounters,
}

impl FrameSource {
    /// A source that opens what it needs at its first poll.
    pub fn new(options: FrameSourceOptions) -> FrameSource {
        FrameSource {
            phase: Phase::New,
            owner: None,
            listener: None,
            greetings: Greetings::default(),
            census: Census::default(),
            producers: Producers::new(options.acknowledge),
            connections: HashMap::new(),
            dealt: VecDeque::new(),
            pool: BufferPool::new(POOL_LIMITS),
            ready: VecDeque::new(),
            starved: VecDeque::new(),
            owed: Vec::new(),
            tracker: SplitTracker::new(options.event_time.clone()),
            divided: 0,
            barrier_waits: false,
            gone: 0,
            was_over: false,
            await_until_ns: None,
            look_ns: u64::MAX,
            notices: VecDeque::new(),
            failure: None,
            counters: SourceCounters::default(),
            options,
        }
    }

    fn owner(&mut self, network: &mut dyn Network) -> OwnerId {
        *self.owner.get_or_insert_with(|| network.register())
    }

    /// Core 0 listens; the others wait for what they are given.
    fn open(&mut self, now_ns: u64, network: &mut dyn Network) {
        let owner = self.owner(network);
        self.begin_to_wait(now_ns);
        self.phase = if self.was_over { Phase::Ending } else { Phase::Reading };
        if self.options.core != CoreId::ZERO || self.was_over {
            return;
        }
        let address = self.options.listen;
        match network.listen(owner, address) {
            Ok((listener, bound)) => {
                self.listener = Some(listener);
                self.notice(&format!("listening on {bound}"));
            }
            Err(error) => {
                let what = format!("cannot listen on {address}: {error}");
                self.failure =
                    Some(Failure::environment(format!("source {}: {what}", self.options.name)));
                self.phase = Phase::Failed;
            }
        }
    }

    fn notice(&mut self, text: &str) {
        self.notices.push_back(format!("source {}: {text}", self.options.name));
    }

    /// Takes what has happened; true when something has.
    fn take_events(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) -> bool {
        let owner = self.owner(io.network());
        let mut taken = false;
        while let Some(event) = io.network().next_event(owner) {
            taken = true;
            match event {
                NetEvent::Accepted { socket, peer, .. } => self.greet(socket, peer, io),
                NetEvent::AcceptFailed { error, .. } => {
                    self.notice(&format!("cannot accept connections for now: {error}"));
                }
                NetEvent::Filled { connection, memory, count } => {
                    if self.greetings.contains(connection) {
                        self.introduce(connection, memory, count, io, out);
                    } else {
                        self.filled(connection, memory, count, io);
                    }
                }
                NetEvent::Closed { connection, .. } => self.closed(connection, out),
                NetEvent::Received { bytes, .. } => io.network().release(bytes),
                NetEvent::Connected { .. } | NetEvent::Sent { .. } => {}
            }
        }
        taken
    }

    /// Receives into a buffer of the pool while there is more, else into a little memory; false when there
    /// is no buffer.
    fn receive_from(&mut self, connection: ConnectionId, io: &mut dyn Io) -> bool {
        let served = self.connections.get_mut(&connection).expect("looked up by the caller");
        let prepared = match served.flow.may_have_more {
            true => served.receiver.prepare(&mut self.pool),
            false => served.receiver.prepare_to_wait(&mut self.pool),
        };
        served.count_copies(&mut self.counters);
        let Some((memory, bytes_max)) = prepared else {
            self.counters.buffer_waits += 1;
            return false;
        };
        served.timing.resume(io.round_ns());
        served.flow.is_armed = true;
        served.asked_bytes = bytes_max;
        self.look_ns = self.look_ns.min(served.timing.deadline_ns().unwrap_or(u64::MAX));
        io.network().receive_into(connection, memory, bytes_max);
        true
    }

    /// Those that found no buffer, as long as there is one; true when there was.
    fn feed_starved(&mut self, io: &mut dyn Io) -> bool {
        let mut fed = false;
        while let Some(connection) = self.starved.front().copied() {
            let is_open =
                self.connections.get(&connection).is_some_and(|served| !served.flow.is_over);
            if is_open && !self.receive_from(connection, io) {
                break;
            }
            self.starved.pop_front();
            fed = true;
        }
        fed
    }

    fn filled(&mut self, connection: ConnectionId, memory: Vec<u8>, count: usize, io: &mut dyn Io) {
        let Some(served) = self.connections.get_mut(&connection) else { return };
        served.flow.is_armed = false;
        if served.flow.is_over {
            return;
        }
        let arrival = arrival(io.clock());
        let accepted = served.filled(memory, count, arrival, &mut self.counters);
        if std::mem::take(&mut served.flow.owes_ack) {
            owe(served, connection, &mut self.owed);
        }
        let is_quiet = served.is_drained() && !served.has_ended() && accepted.is_ok();
        if let Err(fault) = accepted {
            self.fault(connection, &fault, io.network());
        }
        if is_quiet {
            self.receive_more(connection, io);
        } else {
            self.make_ready(connection);
        }
    }

    /// There is something to push, or to leave.
    fn make_ready(&mut self, connection: ConnectionId) {
        let served = self.connections.get_mut(&connection).expect("looked up by the caller");
        if !std::mem::replace(&mut served.flow.is_ready, true) {
            self.ready.push_back(connection);
        }
    }

    /// Receives, at once or when there is a buffer.
    fn receive_more(&mut self, connection: ConnectionId, io: &mut dyn Io) {
        if !self.receive_from(connection, io) {
            self.starved.push_back(connection);
        }
    }

    /// Ends a connection for what its peer did; what was accepted before stands.
    fn fault(
        &mut self,
        connection: ConnectionId,
        fault: &ProtocolFault,
        network: &mut dyn Network,
    ) {
        let served = self.connections.get_mut(&connection).expect("looked up by the caller");
        if std::mem::replace(&mut served.flow.is_over, true) {
            return;
        }
        let who = format!("{}, producer \"{}\"", served.peer, served.name);
        say(fault, connection, network);
        self.failed(&who, fault);
    }

    fn closed(&mut self, connection: ConnectionId, out: &mut dyn SourceOutput) {
        if self.greetings.end(connection).is_some() {
            self.disconnected(out);
            return;
        }
        let Some(served) = self.connections.get_mut(&connection) else { return };
        let was_over = std::mem::replace(&mut served.flow.is_over, true);
        if served.receiver.pending_bytes() > 0 && !was_over {
            let who = format!("{}, producer \"{}\"", served.peer, served.name);
            self.failed(&who, &ProtocolFault::Cut { missing: 1 });
        }
        self.make_ready(connection);
    }

    /// Pushes what has been accepted, a piece of each connection in turn; true when something was.
    fn push(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) -> bool {
        if self.barrier_waits {
            return self.push_divided(io, out);
        }
        let mut pushed = false;
        while !out.is_full()
            && let Some(connection) = self.ready.pop_front()
        {
            pushed = true;
            self.push_piece(connection, io, out);
        }
        pushed
    }

    /// Pushes the rest of every frame that is pushed in part, and nothing else.
    fn push_divided(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) -> bool {
        let mut pushed = false;
        for _ in 0..self.ready.len() {
            if self.divided == 0 || out.is_full() {
                break;
            }
            let connection = self.ready.pop_front().expect("no more than there were");
            match self.connections[&connection].is_divided() {
                true => self.push_piece(connection, io, out),
                false => self.ready.push_back(connection),
            }
            pushed = true;
        }
        pushed
    }

    /// Pushes a piece of what one connection has, which is in no queue for the moment.
    fn push_piece(
        &mut self,
        connection: ConnectionId,
        io: &mut dyn Io,
        out: &mut dyn SourceOutput,
    ) {
        let served = self.connections.get_mut(&connection).expect("ready while it is served");
        let (tracker, counters) = (&mut self.tracker, &mut self.counters);
        self.divided -= usize::from(served.is_divided());
        let result = served.push(&mut PushInto { tracker, counters, out });
        self.divided += usize::from(served.is_divided());
        if std::mem::take(&mut served.flow.owes_ack) {
            owe(served, connection, &mut self.owed);
        }
        let producer = served.producer;
        if !served.flow.waits && self.producers.taken(producer, served.taken()) {
            out.note_change();
        }
        let is_drained = served.is_drained();
        served.flow.is_ready = !is_drained;
        let has_ended = served.has_ended() && !served.flow.is_fenced;
        if has_ended && self.producers.ended(producer) {
            out.note_change();
            self.tell_core_0(SourceMessage::ProducerEnded, out);
        }
        if let Err(fault) = result {
            self.fault(connection, &fault, io.network());
        }
        if is_drained {
            self.go_on(connection, io, out);
        } else {
            self.ready.push_back(connection);
        }
    }

    /// Everything that was accepted has been pushed.
    fn go_on(&mut self, connection: ConnectionId, io: &mut dyn Io, out: &mut dyn SourceOutput) {
        let served = &self.connections[&connection];
        if served.flow.is_over {
            self.leave_if_done(connection, io, out);
        } else if self.phase == Phase::Stopping {
            self.say_farewell(connection, io);
        } else if !served.flow.is_armed {
            self.receive_more(connection, io);
        }
    }

    /// Leaves, and lets the next session of the producer begin.
    fn leave_if_done(
        &mut self,
        connection: ConnectionId,
        io: &mut dyn Io,
        out: &mut dyn SourceOutput,
    ) {
        let Some(served) = self.connections.get(&connection) else { return };
        if !served.flow.is_over || served.flow.is_ready || !served.is_drained() {
            return;
        }
        let left = self.connections.remove(&connection).expect("found just now");
        let producer = left.producer;
        left.leave(&mut self.tracker);
        self.disconnected(out);
        self.producers.leave(producer, connection);
        self.begin_if_settled(producer, io);
    }

    /// A connection of this core is gone.
    fn disconnected(&mut self, out: &mut dyn SourceOutput) {
        let core = self.options.core;
        self.gone += 1;
        self.tell_core_0(SourceMessage::ConnectionClosed { core }, out);
    }

    fn tell_core_0(&mut self, message: SourceMessage, out: &mut dyn SourceOutput) {
        if self.options.core == CoreId::ZERO {
            self.census.note(&message);
        } else {
            out.send(CoreId::ZERO, message);
        }
    }

    /// Core 0: all producers have ended, or all connections are gone, as is asked for.
    fn end_if_all_have_ended(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) {
        if self.phase != Phase::Reading || !self.census.is_over(self.options.end_on_disconnect) {
            return;
        }
        self.phase = Phase::Ending;
        self.close_listener(io.network());
        for core in CoreId::all(self.options.core_count).filter(|core| *core != CoreId::ZERO) {
            out.send(core, SourceMessage::ConnectionsEnd);
        }
    }

    fn close_listener(&mut self, network: &mut dyn Network) {
        if let Some(listener) = self.listener.take() {
            network.close_listener(listener);
        }
    }

    fn is_finished(&self) -> bool {
        match self.phase {
            Phase::Ending => self.connections.is_empty(),
            Phase::Stopping => self.ready.is_empty(),
            Phase::New | Phase::Reading | Phase::Failed => false,
        }
    }
}

impl Source for FrameSource {
    fn poll(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) -> SourceProgress {
        if self.phase == Phase::New {
            self.open(io.round_ns(), io.network());
        }
        if self.phase == Phase::Failed {
            return SourceProgress::Idle { wakes_at_ns: None };
        }
        let now_ns = io.round_ns();
        let mut busy = self.take_events(io, out);
        busy |= self.join_dealt(io, out);
        busy |= self.push(io, out);
        busy |= self.feed_starved(io);
        self.acknowledge(io.network());
        self.end_if_all_have_ended(io, out);
        self.lose_patience(io, out);
        self.tracker.tick(now_ns);
        if busy || !self.ready.is_empty() || out.is_full() {
            return SourceProgress::Busy;
        }
        if self.is_finished() {
            return SourceProgress::Finished;
        }
        SourceProgress::Idle { wakes_at_ns: self.wakes_at_ns(now_ns) }
    }

    fn watermark(&self) -> Option<Watermark> {
        self.tracker.watermark()
    }

    fn holding_back(&self) -> Option<HoldingBack> {
        self.tracker.holding_back()
    }

    fn open_splits(&self) -> usize {
        self.connections.len()
    }

    fn receive(&mut self, message: SourceMessage, _io: &mut dyn Io) {
        match message {
            SourceMessage::Producer { socket, peer, hello } => match self.phase {
                Phase::New | Phase::Reading => {
                    self.dealt.push_back(Dealt { socket, peer, hello });
                }
                // Stopping: the peer is told by the close.
                Phase::Ending | Phase::Stopping | Phase::Failed => {}
            },
            SourceMessage::ConnectionsEnd => {
                if self.phase != Phase::Stopping {
                    self.phase = Phase::Ending;
                }
            }
            other => self.census.note(&other),
        }
    }

    fn stop(&mut self, io: &mut dyn Io) {
        if matches!(self.phase, Phase::Failed | Phase::Stopping) {
            return;
        }
        self.phase = Phase::Stopping;
        self.close_listener(io.network());
        for connection in self.greetings.connections() {
            say(&ProtocolFault::Stopping, connection, io.network());
        }
        let all = self.connections.iter();
        let idle =
            all.filter(|(_, served)| !served.flow.is_ready).map(|(connection, _)| *connection);
        for connection in idle.collect::<Vec<_>>() {
            self.say_farewell(connection, io);
        }
    }

    fn reach_barrier(&mut self) -> bool {
        self.barrier_waits = self.divided > 0;
        !self.barrier_waits
    }

    fn position(&self) -> Option<Vec<u8>> {
        Some(self.place())
    }

    fn resume(&mut self, positions: &[&[u8]]) -> Result<(), PositionError> {
        let resumed = self.take_places(positions);
        resumed.map_err(|error| PositionError::of(&self.options.name, &error))
    }

    fn end_epoch(&mut self, epoch: Epoch) {
        assert_eq!(self.divided, 0, "a frame is in one epoch");
        self.producers.end_epoch(epoch);
    }

    fn commit(&mut self, epoch: Epoch, io: &mut dyn Io) {
        for producer in self.producers.commit(epoch) {
            self.tell_confirmed(producer, io);
        }
        // Nobody may poll for a while, or ever again.
        self.acknowledge(io.network());
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

/// The connection is owed an acknowledgement.
fn owe(served: &mut Served, connection: ConnectionId, owed: &mut Vec<ConnectionId>) {
    if !std::mem::replace(&mut served.flow.is_owed, true) {
        owed.push(connection);
    }
}

/// Says why a connection ends, and ends it.
fn say(fault: &ProtocolFault, connection: ConnectionId, network: &mut dyn Network) {
    let mut message = Vec::new();
    write_error(fault, &mut message);
    network.send(connection, &message);
    network.close(connection);
}

fn arrival(clock: &dyn Clock) -> Arrival {
    Arrival { monotonic_ns: clock.monotonic_ns(), wall: Timestamp::from_millis(clock.wall_ms()) }
}
