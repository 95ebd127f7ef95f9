//! Peers: what subscribers of frames say: hello, and what they have got.
//!
//! In:  their bytes, cut anywhere.
//! Out: who subscribes; who does not keep to the protocol.

use std::collections::HashMap;

use crate::format::{FrameHello, FrameKind, FrameRole, FrameStream, ProtocolFault};
use crate::limits::{FRAME_ANSWER_BYTES_MAX, FRAME_HELLO_NS_MAX};
use crate::reactor::ConnectionId;

/// See the module.
#[derive(Default, Debug)]
pub(super) struct Peers {
    by_connection: HashMap<ConnectionId, Peer>,
}

#[derive(Debug)]
struct Peer {
    stream: FrameStream,
    /// Until when it may say hello; `None` once it has.
    until_ns: Option<u64>,
    /// Number of the last frame that it says to have got.
    acknowledged: u64,
}

/// What a peer's bytes were.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// It wants rows from now on.
    Hello,
    /// Nothing to act on.
    Nothing,
}

impl Peers {
    /// A connection that has just been made.
    pub(super) fn begin(&mut self, connection: ConnectionId, now_ns: u64) {
        let stream = FrameStream::new(FRAME_ANSWER_BYTES_MAX);
        let until_ns = Some(now_ns + FRAME_HELLO_NS_MAX);
        self.by_connection.insert(connection, Peer { stream, until_ns, acknowledged: 0 });
    }

    /// Takes what came.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn hear(
        &mut self,
        connection: ConnectionId,
        bytes: &[u8],
    ) -> Result<Heard, ProtocolFault> {
        let Some(peer) = self.by_connection.get_mut(&connection) else {
            return Ok(Heard::Nothing);
        };
        peer.stream.feed(bytes);
        let mut heard = Heard::Nothing;
        while let Some(message) = peer.stream.take()? {
            match (message.header.kind, peer.until_ns) {
                (FrameKind::Hello, Some(_)) => {
                    let hello = FrameHello::parse(&message.payload)?;
                    if hello.role != FrameRole::Subscriber {
                        let reason = "is not that of a subscriber, and this is a sink".into();
                        return Err(ProtocolFault::Hello { reason });
                    }
                    (peer.until_ns, heard) = (None, Heard::Hello);
                }
                (FrameKind::Ack, None) => peer.acknowledged = message.ack()?.sequence,
                (FrameKind::Heartbeat, None) => {}
                (kind, until_ns) => {
                    let before = until_ns.is_some();
                    let place = if before { "before hello" } else { "behind a subscriber's hello" };
                    return Err(ProtocolFault::Unexpected { kind, place });
                }
            }
        }
        Ok(heard)
    }

    /// The connection is gone, or is being closed.
    pub(super) fn end(&mut self, connection: ConnectionId) {
        self.by_connection.remove(&connection);
    }

    /// The last frame that it says to have got.
    pub(super) fn acknowledged(&self, connection: ConnectionId) -> Option<u64> {
        self.by_connection.get(&connection).map(|peer| peer.acknowledged)
    }

    /// Those that took too long to say hello.
    pub(super) fn overdue(&self, now_ns: u64) -> Vec<ConnectionId> {
        let is_overdue = |peer: &Peer| peer.until_ns.is_some_and(|until_ns| until_ns <= now_ns);
        let overdue = self.by_connection.iter().filter(|(_, peer)| is_overdue(peer));
        overdue.map(|(connection, _)| *connection).collect()
    }

    /// When the next one takes too long.
    pub(super) fn wakes_at_ns(&self) -> Option<u64> {
        self.by_connection.values().filter_map(|peer| peer.until_ns).min()
    }
}
