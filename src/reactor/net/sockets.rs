//! The real network: every socket of one core, over the core's ring.
//!
//! In:  calls of [`Network`](super::Network), with the ring; completions of socket operations.
//! Out: operations on the ring; events in each owner's queue.
//!
//! Invariants
//! - `Closed` is the last event of a connection and comes exactly once.
//! - Accepting that fails goes on after a pause, never in a loop.
//! - A connection for which no receive buffer was left is received from again when there is one;
//!   no more connections than there are buffers, so that they do not take turns failing.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use super::connection::{Connection, Phase, SendProgress};
use super::table::ConnectionTable;
use super::{ConnectionId, ListenerId, NetEvent, OwnerId};
use crate::reactor::ring::{Outcome, Ring, Tag, Ticket};
use crate::reactor::sys;

/// Accepting pauses so long after it failed (no descriptors, no memory).
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// A connection that is not there after this long has failed.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);

/// How long a closed connection waits for the peer's end of stream. Closed earlier, with bytes of
/// the peer unread, the kernel would answer with a reset, which may cost the peer our last bytes.
const LINGER_TIME_MAX: Duration = Duration::from_millis(500);

/// A connection that is only written to, and whose peer has sent its end of stream, is looked at so
/// often: whether the peer is gone altogether shows in no operation but a send.
const HANG_UP_LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A listening socket.
struct Listener {
    owner: OwnerId,
    socket: OwnedFd,
    accepting: Option<Ticket>,
    is_closing: bool,
    is_pausing: bool,
}

/// Something that happens by the clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Deadline {
    /// Accept again.
    Accept(u32),
    /// Give up connecting or lingering, or look whether the peer is gone.
    Patience(ConnectionId),
}

/// Sockets of one core.
#[derive(Default)]
pub(in crate::reactor) struct Sockets {
    owners: Vec<VecDeque<NetEvent>>,
    listeners: Vec<Option<Listener>>,
    connections: ConnectionTable,
    /// Connections with bytes to send at the end of the turn.
    dirty: Vec<ConnectionId>,
    /// Connections that found no receive buffer, oldest first.
    starved: VecDeque<ConnectionId>,
    deadlines: BTreeSet<(u64, Deadline)>,
    /// Time of the last poll: near enough for the waits above.
    now_ns: u64,
}

impl Sockets {
    /// No sockets yet.
    pub(in crate::reactor) fn new(now_ns: u64) -> Sockets {
        Sockets { now_ns, ..Sockets::default() }
    }

    pub(in crate::reactor) fn register(&mut self) -> OwnerId {
        self.owners.push(VecDeque::new());
        OwnerId(u32::try_from(self.owners.len() - 1).expect("a job has few sources and sinks"))
    }

    pub(in crate::reactor) fn next_event(&mut self, owner: OwnerId) -> Option<NetEvent> {
        self.owners[owner.0 as usize].pop_front()
    }

    fn tell(&mut self, owner: OwnerId, event: NetEvent) {
        self.owners[owner.0 as usize].push_back(event);
    }

    pub(in crate::reactor) fn listen(
        &mut self,
        ring: &mut Ring,
        owner: OwnerId,
        address: SocketAddr,
    ) -> io::Result<(ListenerId, SocketAddr)> {
        let listener = TcpListener::from(sys::listen(&address)?);
        let bound = listener.local_addr()?;
        let id = ListenerId(u32::try_from(self.listeners.len()).expect("few listeners"));
        self.listeners.push(Some(Listener {
            owner,
            socket: listener.into(),
            accepting: None,
            is_closing: false,
            is_pausing: false,
        }));
        self.steer_accept(ring, id);
        Ok((id, bound))
    }

    pub(in crate::reactor) fn close_listener(&mut self, ring: &mut Ring, id: ListenerId) {
        if let Some(listener) = &mut self.listeners[id.0 as usize] {
            listener.is_closing = true;
            if let Some(ticket) = listener.accepting {
                ring.cancel(ticket);
            }
            self.steer_accept(ring, id);
        }
    }

    /// The kernel accepts no more, until the listener's next pause has passed.
    #[cfg(test)]
    pub(in crate::reactor) fn cancel_accept_for_test(&mut self, ring: &mut Ring, id: ListenerId) {
        let listener = self.listeners[id.0 as usize].as_mut().unwrap();
        listener.is_pausing = true;
        ring.cancel(listener.accepting.unwrap());
    }

    /// Accepts if that is wanted and not under way; closes what is to be closed.
    fn steer_accept(&mut self, ring: &mut Ring, id: ListenerId) {
        let slot = &mut self.listeners[id.0 as usize];
        let Some(listener) = slot else { return };
        if listener.accepting.is_some() {
            return;
        }
        if listener.is_closing {
            let closed = slot.take().expect("found just now");
            ring.close(closed.socket, Tag::Nothing);
        } else if !listener.is_pausing {
            listener.accepting = Some(ring.accept(listener.socket.as_fd(), Tag::Accept(id)));
        }
    }

    /// A connection was accepted, or accepting ended.
    pub(in crate::reactor) fn on_accept(
        &mut self,
        ring: &mut Ring,
        id: ListenerId,
        (outcome, is_last): (Outcome, bool),
    ) {
        let Some(listener) = &mut self.listeners[id.0 as usize] else { return };
        if is_last {
            listener.accepting = None;
        }
        let (owner, is_closing) = (listener.owner, listener.is_closing);
        match outcome {
            Outcome::Descriptor(socket) if !is_closing => self.accepted(owner, id, socket),
            Outcome::Failed(error, _) if !is_closing && !concerns_one_peer(&error) => {
                listener.is_pausing = true;
                self.deadlines.insert((self.now_ns + nanos(ACCEPT_PAUSE), Deadline::Accept(id.0)));
                self.tell(owner, NetEvent::AcceptFailed { listener: id, error });
            }
            _ => {}
        }
        self.steer_accept(ring, id);
    }

    fn accepted(&mut self, owner: OwnerId, listener: ListenerId, socket: OwnedFd) {
        let stream = TcpStream::from(socket);
        // A peer without an address has gone again already.
        if let Ok(peer) = stream.peer_addr() {
            self.tell(owner, NetEvent::Accepted { listener, socket: stream.into(), peer });
        }
    }

    pub(in crate::reactor) fn connect(
        &mut self,
        ring: &mut Ring,
        owner: OwnerId,
        address: SocketAddr,
    ) -> ConnectionId {
        let id = self.connections.next_id();
        match sys::stream_socket(&address) {
            Ok(socket) => {
                let mut connection = self.new_connection(id, owner, socket, Phase::Connecting);
                connection.start_connect(ring, &address);
                self.connections.insert(id, connection);
                self.be_patient(id, self.now_ns + nanos(CONNECT_TIME_MAX));
            }
            Err(error) => {
                self.connections.retire(id);
                let error = Some(error);
                self.tell(owner, NetEvent::Closed { connection: id, error, unsent_bytes: 0 });
            }
        }
        id
    }

    pub(in crate::reactor) fn adopt(
        &mut self,
        ring: &mut Ring,
        owner: OwnerId,
        socket: OwnedFd,
    ) -> ConnectionId {
        let id = self.connections.next_id();
        let connection = self.new_connection(id, owner, socket, Phase::Open);
        self.connections.insert(id, connection);
        self.advance(ring, id);
        id
    }

    pub(in crate::reactor) fn adopt_on_demand(
        &mut self,
        owner: OwnerId,
        socket: OwnedFd,
    ) -> ConnectionId {
        let id = self.connections.next_id();
        let mut connection = self.new_connection(id, owner, socket, Phase::Open);
        connection.is_on_demand = true;
        self.connections.insert(id, connection);
        id
    }

    pub(in crate::reactor) fn receive_into(
        &mut self,
        ring: &mut Ring,
        id: ConnectionId,
        memory: Vec<u8>,
        bytes_max: usize,
    ) {
        if let Some(connection) = self.open_on_demand(id) {
            connection.start_fill(ring, memory, bytes_max);
        }
    }

    /// Of another one `Closed` is on its way.
    fn open_on_demand(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        let connection = self.connections.get_mut(id)?;
        (connection.phase == Phase::Open && !connection.has_ended).then_some(connection)
    }

    pub(in crate::reactor) fn detach(&mut self, id: ConnectionId) -> Option<OwnedFd> {
        let connection = self.open_on_demand(id)?;
        assert!(connection.is_on_demand && connection.is_quiet() && connection.unsent_bytes() == 0);
        Some(self.connections.remove(id).into_socket())
    }

    fn new_connection(
        &self,
        id: ConnectionId,
        owner: OwnerId,
        socket: OwnedFd,
        phase: Phase,
    ) -> Connection {
        // Fails for a socket whose peer is already gone, which receiving from it will tell.
        let _ = sys::prepare_connection(&socket);
        Connection::new(id, owner, socket, phase)
    }

    /// The connect operation is over.
    pub(in crate::reactor) fn on_connect(
        &mut self,
        ring: &mut Ring,
        id: ConnectionId,
        outcome: Outcome,
    ) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.connect_ended();
        match outcome {
            Outcome::Failed(error, _) => end(connection, Some(error)),
            _ if connection.phase == Phase::Connecting => {
                connection.phase = Phase::Open;
                let owner = connection.owner;
                connection.start_send(ring);
                self.forget_deadline(id);
                self.tell(owner, NetEvent::Connected { connection: id });
            }
            _ => {}
        }
        self.advance(ring, id);
    }

    /// Bytes arrived, or receiving ended.
    pub(in crate::reactor) fn on_receive(
        &mut self,
        ring: &mut Ring,
        id: ConnectionId,
        (outcome, is_last): (Outcome, bool),
    ) {
        let connection = self.connections.get_mut(id).expect("gone only when it is quiet");
        if is_last {
            connection.receive_ended();
        }
        match outcome {
            Outcome::Received(bytes) if connection.delivers() => {
                let owner = connection.owner;
                self.tell(owner, NetEvent::Received { connection: id, bytes });
            }
            Outcome::Received(bytes) => ring.release(bytes),
            Outcome::Failed(error, _) => match error.raw_os_error() {
                Some(libc::ENOBUFS) => {
                    connection.is_starved = true;
                    self.starved.push_back(id);
                }
                Some(libc::ECANCELED | libc::EINTR | libc::EAGAIN) => {}
                _ => end(connection, Some(error)),
            },
            _ => connection.has_ended = true,
        }
        if is_last {
            self.advance(ring, id);
        }
    }

    /// Bytes have come into the owner's memory.
    pub(in crate::reactor) fn on_fill(
        &mut self,
        ring: &mut Ring,
        id: ConnectionId,
        outcome: Outcome,
    ) {
        let connection = self.connections.get_mut(id).expect("gone only when it is quiet");
        connection.receive_ended();
        let filled = match outcome {
            Outcome::Moved(_, 0) => {
                connection.has_ended = true;
                None
            }
            Outcome::Moved(memory, count) => Some((memory, count)),
            Outcome::Failed(error, Some(memory)) if is_passing(&error) => Some((memory, 0)),
            Outcome::Failed(error, _) => {
                end(connection, Some(error));
                None
            }
            _ => unreachable!("receiving moves bytes or fails"),
        };
        if let Some((memory, count)) = filled
            && connection.delivers()
        {
            let owner = connection.owner;
            self.tell(owner, NetEvent::Filled { connection: id, memory, count });
        }
        self.advance(ring, id);
    }

    /// A send is over, perhaps short.
    pub(in crate::reactor) fn on_send(
        &mut self,
        ring: &mut Ring,
        id: ConnectionId,
        outcome: Outcome,
    ) {
        let connection = self.connections.get_mut(id).expect("gone only when it is quiet");
        let progress = match outcome {
            Outcome::Moved(bytes, count) if connection.phase != Phase::Ending => {
                connection.send_ended(ring, bytes, count)
            }
            Outcome::Failed(error, Some(bytes))
                if is_passing(&error) && connection.phase != Phase::Ending =>
            {
                connection.send_ended(ring, bytes, 0)
            }
            Outcome::Failed(error, _) => {
                connection.send_gave_up(0);
                end(connection, Some(error));
                SendProgress::Sending
            }
            Outcome::Moved(_, count) => {
                connection.send_gave_up(count);
                SendProgress::Sending
            }
            _ => unreachable!("a send moves bytes or fails"),
        };
        if progress == SendProgress::AllSent && connection.phase == Phase::Open {
            let owner = connection.owner;
            self.tell(owner, NetEvent::Sent { connection: id });
        }
        self.advance(ring, id);
    }

    pub(in crate::reactor) fn write_only(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.is_write_only = true;
            // Fails for a socket whose peer is already gone, which sending will tell.
            let _ = sys::wait_for_slow_peer(connection.socket());
        }
    }

    pub(in crate::reactor) fn set_paused(
        &mut self,
        ring: &mut Ring,
        id: ConnectionId,
        is_paused: bool,
    ) {
        if let Some(connection) = self.connections.get_mut(id) {
            connection.is_paused = is_paused;
            connection.steer_receive(ring);
        }
    }

    pub(in crate::reactor) fn send(&mut self, id: ConnectionId, bytes: &[u8]) -> bool {
        let Some(connection) = self.connections.get_mut(id) else { return false };
        match connection.phase {
            Phase::Connecting => connection.queue(bytes),
            Phase::Open => {
                connection.queue(bytes);
                if !connection.is_dirty {
                    connection.is_dirty = true;
                    self.dirty.push(id);
                }
            }
            // `Closed` is on its way to the owner.
            Phase::Flushing | Phase::Lingering | Phase::Ending => return false,
        }
        true
    }

    pub(in crate::reactor) fn unsent_bytes(&self, id: ConnectionId) -> usize {
        self.connections.get(id).map_or(0, Connection::unsent_bytes)
    }

    pub(in crate::reactor) fn close(&mut self, ring: &mut Ring, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        match connection.phase {
            Phase::Connecting => end(connection, None),
            Phase::Open => {
                connection.start_send(ring);
                connection.phase = Phase::Flushing;
            }
            Phase::Flushing | Phase::Lingering | Phase::Ending => {}
        }
        self.advance(ring, id);
    }

    pub(in crate::reactor) fn abort(&mut self, ring: &mut Ring, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        // Without it the kernel would go on sending what it has. Fails for a socket whose peer is
        // already gone, which is what is wanted.
        let _ = sys::reset_on_close(connection.socket());
        end(connection, None);
        self.advance(ring, id);
    }

    /// Begins what has been asked for during the turn.
    pub(in crate::reactor) fn flush(&mut self, ring: &mut Ring) {
        for id in std::mem::take(&mut self.dirty) {
            if let Some(connection) = self.connections.get_mut(id) {
                connection.is_dirty = false;
                if connection.phase == Phase::Open {
                    connection.start_send(ring);
                }
            }
        }
        for _ in 0..ring.free_buffers() {
            let Some(id) = self.starved.pop_front() else { break };
            if let Some(connection) = self.connections.get_mut(id) {
                connection.is_starved = false;
                connection.steer_receive(ring);
            }
        }
    }

    /// When the clock alone makes work.
    pub(in crate::reactor) fn next_deadline_ns(&self) -> Option<u64> {
        self.deadlines.first().map(|(at_ns, _)| *at_ns)
    }

    /// Does what is due.
    pub(in crate::reactor) fn on_time(&mut self, ring: &mut Ring, now_ns: u64) {
        self.now_ns = now_ns;
        while let Some((at_ns, deadline)) = self.deadlines.first().copied() {
            if now_ns < at_ns {
                return;
            }
            self.deadlines.pop_first();
            match deadline {
                Deadline::Accept(number) => {
                    if let Some(listener) = &mut self.listeners[number as usize] {
                        listener.is_pausing = false;
                    }
                    self.steer_accept(ring, ListenerId(number));
                }
                Deadline::Patience(id) => self.lose_patience(ring, id),
            }
        }
    }

    fn lose_patience(&mut self, ring: &mut Ring, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        connection.deadline_ns = None;
        match connection.phase {
            Phase::Connecting => end(connection, Some(io::ErrorKind::TimedOut.into())),
            Phase::Open if sys::has_hung_up(connection.socket()) => {
                end(connection, Some(io::ErrorKind::ConnectionReset.into()));
            }
            Phase::Open => {}
            Phase::Flushing | Phase::Lingering | Phase::Ending => end(connection, None),
        }
        self.advance(ring, id);
    }

    fn be_patient(&mut self, id: ConnectionId, until_ns: u64) {
        self.forget_deadline(id);
        let connection = self.connections.get_mut(id).expect("asked for by the connection");
        connection.deadline_ns = Some(until_ns);
        self.deadlines.insert((until_ns, Deadline::Patience(id)));
    }

    fn forget_deadline(&mut self, id: ConnectionId) {
        let connection = self.connections.get_mut(id);
        if let Some(at_ns) = connection.and_then(|connection| connection.deadline_ns.take()) {
            self.deadlines.remove(&(at_ns, Deadline::Patience(id)));
        }
    }

    /// Does whatever follows from the connection's state: begins and ends operations, goes on to
    /// the next phase, and finally closes.
    fn advance(&mut self, ring: &mut Ring, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        if connection.phase == Phase::Open && connection.has_ended {
            if connection.is_write_only {
                if connection.deadline_ns.is_none() {
                    self.be_patient(id, self.now_ns + nanos(HANG_UP_LOOK_INTERVAL));
                }
            } else {
                connection.start_send(ring);
                connection.phase = Phase::Flushing;
            }
        }
        self.linger_or_end(ring, id);
    }

    /// The second half of `advance`: nothing is left but to leave.
    fn linger_or_end(&mut self, ring: &mut Ring, id: ConnectionId) {
        let connection = self.connections.get_mut(id).expect("looked up by the caller");
        if connection.phase == Phase::Flushing && connection.unsent_bytes() == 0 {
            connection.phase = Phase::Lingering;
            if !connection.has_ended && sys::shutdown_write(connection.socket()).is_ok() {
                self.be_patient(id, self.now_ns + nanos(LINGER_TIME_MAX));
            }
        }
        self.end_or_receive(ring, id);
    }

    fn end_or_receive(&mut self, ring: &mut Ring, id: ConnectionId) {
        let connection = self.connections.get_mut(id).expect("looked up by the caller");
        if connection.phase == Phase::Lingering
            && (connection.has_ended || connection.deadline_ns.is_none())
        {
            end(connection, None);
        }
        connection.steer_receive(ring);
        if connection.phase != Phase::Ending {
            return;
        }
        connection.cancel_all(ring);
        if connection.is_quiet() {
            self.forget_deadline(id);
            let mut gone = self.connections.remove(id);
            let (owner, error, unsent_bytes) = (gone.owner, gone.error.take(), gone.unsent_bytes());
            ring.close(gone.into_socket(), Tag::Nothing);
            self.tell(owner, NetEvent::Closed { connection: id, error, unsent_bytes });
        }
    }
}

/// The connection ends now; the first reason counts.
fn end(connection: &mut Connection, error: Option<io::Error>) {
    if connection.phase != Phase::Ending {
        connection.phase = Phase::Ending;
        connection.error = error;
    }
}

/// Errors of accept that say something about one peer, not about this machine.
fn concerns_one_peer(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ECONNABORTED | libc::EPROTO | libc::EINTR | libc::EAGAIN | libc::ECANCELED)
    )
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN))
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).expect("a constant of this file")
}
