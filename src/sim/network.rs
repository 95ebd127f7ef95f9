//! A network in memory: peers that a test plays connect, say something, take what they like, and go.
//!
//! In:  what the appliance sends; what the peers do.
//! Out: events for the appliance; bytes for the peers.
//!
//! What a peer has taken its kernel has taken: everything else is unsent.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;

use crate::reactor::{ConnectionId, ListenerId, NetEvent, Network, OwnerId, Received};

#[derive(Default)]
struct State {
    events: HashMap<OwnerId, VecDeque<NetEvent>>,
    listeners: HashMap<ListenerId, OwnerId>,
    connections: HashMap<ConnectionId, Connection>,
    /// Peers whose sockets are not adopted, by file descriptor.
    accepted: HashMap<i32, u64>,
    by_peer: HashMap<u64, ConnectionId>,
    /// What appliances have sent to peers, and these have not read.
    taken: HashMap<u64, Vec<u8>>,
    /// Peers whose connection has ended on the other side.
    ended: Vec<u64>,
    received: HashMap<u16, Vec<u8>>,
    next: u64,
}

struct Connection {
    owner: OwnerId,
    peer: u64,
    unsent: Vec<u8>,
    is_closing: bool,
}

/// One machine's network.
#[derive(Default)]
pub(crate) struct SimNetwork {
    state: Rc<RefCell<State>>,
    /// Bytes of events that have been handed out.
    buffers: HashMap<u16, Vec<u8>>,
}

/// The other side of one connection.
#[derive(Clone)]
pub(crate) struct SimPeer {
    state: Rc<RefCell<State>>,
    number: u64,
}

impl State {
    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn tell(&mut self, owner: OwnerId, event: NetEvent) {
        self.events.entry(owner).or_default().push_back(event);
    }

    fn end(&mut self, connection: ConnectionId, error: Option<io::Error>) {
        let Some(Connection { owner, peer, unsent, .. }) = self.connections.remove(&connection)
        else {
            return;
        };
        self.by_peer.remove(&peer);
        self.ended.push(peer);
        let unsent_bytes = unsent.len();
        self.tell(owner, NetEvent::Closed { connection, error, unsent_bytes });
    }
}

impl SimNetwork {
    /// A peer connects to the only listener; `None` when nobody listens.
    pub(crate) fn connect(&self) -> Option<SimPeer> {
        let mut state = self.state.borrow_mut();
        let (listener, owner) = state.listeners.iter().next().map(|(id, owner)| (*id, *owner))?;
        let number = state.number();
        let socket: OwnedFd = File::open("/dev/null").expect("it is always there").into();
        state.accepted.insert(socket.as_raw_fd(), number);
        let peer = SocketAddr::from(([10, 0, 0, 1], u16::try_from(number % 60_000).unwrap_or(1)));
        state.tell(owner, NetEvent::Accepted { listener, socket, peer });
        Some(SimPeer { state: Rc::clone(&self.state), number })
    }
}

impl SimPeer {
    /// Says something, if the connection is there.
    pub(crate) fn send(&self, bytes: &[u8]) {
        let mut state = self.state.borrow_mut();
        let Some(connection) = state.by_peer.get(&self.number).copied() else { return };
        let owner = state.connections[&connection].owner;
        let buffer = u16::try_from(state.number() % 65_536).expect("a remainder");
        state.received.insert(buffer, bytes.to_vec());
        let length = u32::try_from(bytes.len()).expect("tests say little");
        let received = Received { buffer, length };
        state.tell(owner, NetEvent::Received { connection, bytes: received });
    }

    /// Takes up to `count` bytes of what is on its way, and reads what it has taken.
    pub(crate) fn receive(&self, count: usize) -> Vec<u8> {
        let mut state = self.state.borrow_mut();
        if let Some(connection) = state.by_peer.get(&self.number).copied() {
            let open = state.connections.get_mut(&connection).expect("it is known");
            let count = count.min(open.unsent.len());
            let taken: Vec<u8> = open.unsent.drain(..count).collect();
            let is_over = open.is_closing && open.unsent.is_empty();
            state.taken.entry(self.number).or_default().extend_from_slice(&taken);
            if is_over {
                state.end(connection, None);
            }
        }
        state.taken.remove(&self.number).unwrap_or_default()
    }

    /// Goes.
    pub(crate) fn close(&self) {
        let mut state = self.state.borrow_mut();
        if let Some(connection) = state.by_peer.get(&self.number).copied() {
            state.end(connection, None);
        }
    }

    /// True when the connection has ended.
    pub(crate) fn has_ended(&self) -> bool {
        self.state.borrow().ended.contains(&self.number)
    }
}

impl Network for SimNetwork {
    fn register(&mut self) -> OwnerId {
        let number = self.state.borrow_mut().number();
        OwnerId(u32::try_from(number).expect("tests are short"))
    }

    fn listen(
        &mut self,
        owner: OwnerId,
        address: SocketAddr,
    ) -> io::Result<(ListenerId, SocketAddr)> {
        let mut state = self.state.borrow_mut();
        let listener = ListenerId(u32::try_from(state.number()).expect("tests are short"));
        state.listeners.insert(listener, owner);
        Ok((listener, address))
    }

    fn close_listener(&mut self, listener: ListenerId) {
        self.state.borrow_mut().listeners.remove(&listener);
    }

    fn connect(&mut self, _: OwnerId, _: SocketAddr) -> ConnectionId {
        unreachable!("nobody dials here")
    }

    fn adopt(&mut self, owner: OwnerId, socket: OwnedFd) -> ConnectionId {
        let mut state = self.state.borrow_mut();
        let peer = state.accepted.remove(&socket.as_raw_fd()).expect("a peer has connected");
        let connection = ConnectionId(state.number());
        state.by_peer.insert(peer, connection);
        let open = Connection { owner, peer, unsent: Vec::new(), is_closing: false };
        state.connections.insert(connection, open);
        connection
    }

    fn adopt_on_demand(&mut self, _: OwnerId, _: OwnedFd) -> ConnectionId {
        unreachable!("nobody asks for that here")
    }

    fn receive_into(&mut self, _: ConnectionId, _: Vec<u8>, _: usize) {
        unreachable!("no connection is on demand")
    }

    fn detach(&mut self, _: ConnectionId) -> Option<OwnedFd> {
        unreachable!("no connection is on demand")
    }

    fn next_event(&mut self, owner: OwnerId) -> Option<NetEvent> {
        let mut state = self.state.borrow_mut();
        let event = state.events.get_mut(&owner)?.pop_front()?;
        if let NetEvent::Received { bytes, .. } = &event {
            let received = state.received.remove(&bytes.buffer).expect("it was sent");
            self.buffers.insert(bytes.buffer, received);
        }
        Some(event)
    }

    fn bytes(&self, received: &Received) -> &[u8] {
        &self.buffers[&received.buffer]
    }

    fn release(&mut self, received: Received) {
        self.buffers.remove(&received.buffer);
    }

    fn write_only(&mut self, _: ConnectionId) {}

    fn pause(&mut self, _: ConnectionId) {}

    fn resume(&mut self, _: ConnectionId) {}

    fn send(&mut self, connection: ConnectionId, bytes: &[u8]) -> bool {
        let mut state = self.state.borrow_mut();
        let open = state.connections.get_mut(&connection).filter(|open| !open.is_closing);
        let Some(open) = open else { return false };
        open.unsent.extend_from_slice(bytes);
        true
    }

    fn unsent_bytes(&self, connection: ConnectionId) -> usize {
        let state = self.state.borrow();
        state.connections.get(&connection).map_or(0, |open| open.unsent.len())
    }

    fn close(&mut self, connection: ConnectionId) {
        let mut state = self.state.borrow_mut();
        let Some(open) = state.connections.get_mut(&connection) else { return };
        open.is_closing = true;
        if open.unsent.is_empty() {
            state.end(connection, None);
        }
    }

    fn abort(&mut self, connection: ConnectionId) {
        self.state.borrow_mut().end(connection, Some(io::ErrorKind::ConnectionAborted.into()));
    }
}
