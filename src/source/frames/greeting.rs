//! Greetings: on core 0, connections that have not said hello.
//!
//! In:  accepted sockets; their first bytes.
//! Out: hellos, each with its socket, from which nothing behind hello has been received.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::format::{FrameHello, FrameKind, FrameRole, FrameStream, ProtocolFault};
use crate::limits::{FRAME_HELLO_BYTES_MAX, FRAME_HELLO_NS_MAX};
use crate::reactor::ConnectionId;

/// Memory for the first bytes of a connection.
const FIRST_BYTES: usize = 4096;

/// See the module.
#[derive(Default)]
pub(super) struct Greetings {
    by_connection: HashMap<ConnectionId, Greeting>,
}

struct Greeting {
    peer: SocketAddr,
    stream: FrameStream,
    until_ns: u64,
}

/// A peer that has introduced itself.
#[derive(Debug)]
pub(super) struct Introduced {
    pub(super) peer: SocketAddr,
    pub(super) hello: FrameHello,
}

impl Greetings {
    /// Memory for a connection that has just been made.
    pub(super) fn begin(
        &mut self,
        connection: ConnectionId,
        peer: SocketAddr,
        now_ns: u64,
    ) -> Vec<u8> {
        let stream = FrameStream::new(FRAME_HELLO_BYTES_MAX);
        let until_ns = now_ns + FRAME_HELLO_NS_MAX;
        self.by_connection.insert(connection, Greeting { peer, stream, until_ns });
        Vec::with_capacity(FIRST_BYTES)
    }

    /// True while the connection has not said hello.
    pub(super) fn contains(&self, connection: ConnectionId) -> bool {
        self.by_connection.contains_key(&connection)
    }

    /// Takes what came; `None` when hello is not complete.
    ///
    /// # Errors
    /// What is wrong with it; the greeting goes on until `end`.
    pub(super) fn take(
        &mut self,
        connection: ConnectionId,
        bytes: &[u8],
    ) -> Result<Option<Introduced>, ProtocolFault> {
        let greeting = self.by_connection.get_mut(&connection).expect("asked for by the caller");
        greeting.stream.feed(bytes);
        let Some(message) = greeting.stream.take()? else { return Ok(None) };
        if message.header.kind != FrameKind::Hello {
            let kind = message.header.kind;
            return Err(ProtocolFault::Unexpected { kind, place: "before hello" });
        }
        let hello = FrameHello::parse(&message.payload)?;
        if hello.role != FrameRole::Producer {
            let reason = "is not that of a producer, and this is a source".into();
            return Err(ProtocolFault::Hello { reason });
        }
        let sent = greeting.stream.pending_bytes() as u64;
        if sent > 0 {
            return Err(ProtocolFault::Credit { sent, granted: 0 });
        }
        Ok(Some(Introduced { peer: greeting.peer, hello }))
    }

    /// The connection is no greeting any more; who it was.
    pub(super) fn end(&mut self, connection: ConnectionId) -> Option<SocketAddr> {
        self.by_connection.remove(&connection).map(|greeting| greeting.peer)
    }

    /// All of them.
    pub(super) fn connections(&self) -> Vec<ConnectionId> {
        self.by_connection.keys().copied().collect()
    }

    /// Those that took too long.
    pub(super) fn overdue(&self, now_ns: u64) -> Vec<ConnectionId> {
        let overdue = self.by_connection.iter().filter(|(_, one)| one.until_ns <= now_ns);
        overdue.map(|(connection, _)| *connection).collect()
    }

    /// When the next one takes too long.
    pub(super) fn wakes_at_ns(&self) -> Option<u64> {
        self.by_connection.values().map(|greeting| greeting.until_ns).min()
    }
}
