//! The network seam: sockets of one core, polled.
//!
//! Each user of the network (a source, a sink) is an *owner* with a queue of events of its own.
//! Received bytes lie in a buffer of the ring; they are looked at, then given back.
//!
//! Read: `sockets` (the real side, over the core's ring) · `connection` (one of them) · `table` ·
//! `dialer` (an outgoing connection kept up; a user of the seam).

mod connection;
mod dialer;
mod sockets;
mod table;

pub use dialer::{Dialer, TcpEndpoint};
pub(super) use sockets::Sockets;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

/// A source or sink that uses the network.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct OwnerId(pub u32);

/// A listening socket of this core.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ListenerId(pub u32);

/// A connection of this core. Never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConnectionId(pub u64);

/// Bytes in a ring buffer. Give it back with [`Network::release`]; the pool is bounded.
#[derive(PartialEq, Eq, Debug)]
pub struct Received {
    /// Buffer number, the ring's business.
    pub buffer: u16,
    /// Valid bytes from the buffer's start.
    pub length: u32,
}

/// What happened to an owner's sockets.
#[derive(Debug)]
pub enum NetEvent {
    /// A peer connected to a listener. The socket belongs to no core yet: `adopt` it here, or send
    /// it to another core and adopt it there.
    Accepted {
        /// Where.
        listener: ListenerId,
        /// The socket.
        socket: OwnedFd,
        /// The peer.
        peer: SocketAddr,
    },
    /// Accepting failed for now (no file descriptors, say). It goes on by itself after a pause.
    AcceptFailed {
        /// Where.
        listener: ListenerId,
        /// Why.
        error: io::Error,
    },
    /// A connection asked for with `connect` is there.
    Connected {
        /// Which.
        connection: ConnectionId,
    },
    /// Bytes arrived.
    Received {
        /// From whom.
        connection: ConnectionId,
        /// Where they lie.
        bytes: Received,
    },
    /// Memory given to `receive_into`, with what came appended.
    Filled {
        /// From whom.
        connection: ConnectionId,
        /// The memory.
        memory: Vec<u8>,
        /// Bytes that came; 0 when it is to be tried again.
        count: usize,
    },
    /// All bytes given to `send` so far have been taken by the kernel.
    Sent {
        /// To whom.
        connection: ConnectionId,
    },
    /// The peer closed its side (what was unsent by then has been sent), the connection failed, or
    /// `connect` did. The last event of a connection; its descriptor is closed.
    Closed {
        /// Which.
        connection: ConnectionId,
        /// `None` for an orderly close.
        error: Option<io::Error>,
        /// Bytes given to `send` that the kernel never took.
        unsent_bytes: usize,
    },
}

/// Sockets of one core.
pub trait Network {
    /// A new owner with an empty event queue.
    fn register(&mut self) -> OwnerId;

    /// Listens on `address` (port 0: any free one); returns the address in fact used.
    ///
    /// # Errors
    /// The operating system's: address in use, permission, no descriptors.
    fn listen(
        &mut self,
        owner: OwnerId,
        address: SocketAddr,
    ) -> io::Result<(ListenerId, SocketAddr)>;

    /// Stops listening.
    fn close_listener(&mut self, listener: ListenerId);

    /// Begins to connect; answers with `Connected` or `Closed`.
    fn connect(&mut self, owner: OwnerId, address: SocketAddr) -> ConnectionId;

    /// Takes an accepted socket and begins to receive from it.
    fn adopt(&mut self, owner: OwnerId, socket: OwnedFd) -> ConnectionId;

    /// Takes an accepted socket from which nothing is received but what the owner asks for, with
    /// `receive_into`.
    fn adopt_on_demand(&mut self, owner: OwnerId, socket: OwnedFd) -> ConnectionId;

    /// Receives once, behind what `memory` holds, at most `bytes_max` bytes and at most up to its
    /// capacity, into the memory itself: answers with `Filled`. It waits until something comes; at the
    /// peer's end and after an error `Closed` follows, and the memory is dropped. Of a connection on
    /// demand, when nothing else has been asked for.
    fn receive_into(&mut self, connection: ConnectionId, memory: Vec<u8>, bytes_max: usize);

    /// Gives up a connection on demand of which nothing has been asked for, and nothing is unsent: its
    /// socket may be adopted elsewhere. `None` when it is closing or gone. No event follows.
    fn detach(&mut self, connection: ConnectionId) -> Option<OwnedFd>;

    /// The owner's next event, in order per connection.
    fn next_event(&mut self, owner: OwnerId) -> Option<NetEvent>;

    /// The bytes of a `Received` event.
    fn bytes(&self, received: &Received) -> &[u8];

    /// Gives a buffer back to the ring.
    fn release(&mut self, received: Received);

    /// Makes a connection one that is only written to: what the peer sends is thrown away, its end
    /// of stream ends nothing while bytes can still be sent, and it may leave its window closed for
    /// as long as it likes.
    fn write_only(&mut self, connection: ConnectionId);

    /// Stops receiving from a connection: backpressure. Bytes already received still arrive.
    fn pause(&mut self, connection: ConnectionId);

    /// Receives again.
    fn resume(&mut self, connection: ConnectionId);

    /// Sends `bytes` after everything sent before. Never blocks; the caller bounds what it has
    /// unsent with [`Network::unsent_bytes`]. False when the connection is closing or gone, and the
    /// bytes went nowhere.
    fn send(&mut self, connection: ConnectionId, bytes: &[u8]) -> bool;

    /// Bytes given to `send` and not yet taken by the kernel.
    fn unsent_bytes(&self, connection: ConnectionId) -> usize;

    /// Closes after what is unsent has been sent; `Closed` follows.
    fn close(&mut self, connection: ConnectionId);

    /// Closes now, discarding what is unsent; `Closed` follows.
    fn abort(&mut self, connection: ConnectionId);
}

#[cfg(test)]
mod tests;
