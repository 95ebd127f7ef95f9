//! Peers: what subscribers of frames say: hello, and what they have got.
//!
//! In:  their bytes, cut anywhere.
//! Out: who subscribes; what they acknowledge; who does not keep to the protocol.

use std::collections::{HashMap, VecDeque};

use crate::format::{FrameHello, FrameKind, FrameRole, FrameStream, LanePosition, ProtocolFault};
use crate::limits::{FRAME_ANSWER_BYTES_MAX, FRAME_HELLO_NS_MAX};
use crate::reactor::ConnectionId;

/// Whether a subscriber may have a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Resuming {
    /// Output is kept for it.
    Possible,
    /// It would rely on what this sink does not do.
    Impossible,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Peers {
    resuming: Resuming,
    by_connection: HashMap<ConnectionId, Peer>,
    /// Those of whom something has come.
    speaking: VecDeque<ConnectionId>,
}

#[derive(Debug)]
struct Peer {
    stream: FrameStream,
    /// Until when it may say hello; `None` once it has.
    until_ns: Option<u64>,
    /// The last frame that it says to have got.
    acknowledged: Option<LanePosition>,
}

/// What a peer has said.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// It wants rows.
    Hello(FrameHello),
    /// It has got every frame up to this one.
    Ack(LanePosition),
}

impl Peers {
    pub(super) fn new(resuming: Resuming) -> Peers {
        Peers { resuming, by_connection: HashMap::new(), speaking: VecDeque::new() }
    }

    /// A connection that has just been made.
    pub(super) fn begin(&mut self, connection: ConnectionId, now_ns: u64) {
        let stream = FrameStream::new(FRAME_ANSWER_BYTES_MAX);
        let until_ns = Some(now_ns + FRAME_HELLO_NS_MAX);
        self.by_connection.insert(connection, Peer { stream, until_ns, acknowledged: None });
    }

    /// Takes what came; see [`Peers::hear`].
    pub(super) fn feed(&mut self, connection: ConnectionId, bytes: &[u8]) {
        if let Some(peer) = self.by_connection.get_mut(&connection) {
            peer.stream.feed(bytes);
            self.speaking.push_back(connection);
        }
    }

    /// What somebody has said, or what is wrong with it; `None` when that was all.
    pub(super) fn hear(&mut self) -> Option<(ConnectionId, Result<Heard, ProtocolFault>)> {
        while let Some(connection) = self.speaking.front().copied() {
            let resuming = self.resuming;
            let peer = self.by_connection.get_mut(&connection);
            match peer.and_then(|peer| peer.take(resuming).transpose()) {
                Some(heard) => return Some((connection, heard)),
                None => self.speaking.pop_front(),
            };
        }
        None
    }

    /// The connection is gone, or is being closed.
    pub(super) fn end(&mut self, connection: ConnectionId) {
        self.by_connection.remove(&connection);
    }

    /// The last frame that it says to have got.
    pub(super) fn acknowledged(&self, connection: ConnectionId) -> Option<LanePosition> {
        self.by_connection.get(&connection)?.acknowledged
    }

    /// One that took too long to say hello.
    pub(super) fn overdue(&self, now_ns: u64) -> Option<ConnectionId> {
        let is_overdue = |peer: &Peer| peer.until_ns.is_some_and(|until_ns| until_ns <= now_ns);
        let mut overdue = self.by_connection.iter().filter(|(_, peer)| is_overdue(peer));
        overdue.next().map(|(connection, _)| *connection)
    }

    /// When the next one takes too long.
    pub(super) fn wakes_at_ns(&self) -> Option<u64> {
        self.by_connection.values().filter_map(|peer| peer.until_ns).min()
    }
}

impl Peer {
    fn take(&mut self, resuming: Resuming) -> Result<Option<Heard>, ProtocolFault> {
        while let Some(message) = self.stream.take()? {
            match (message.header.kind, self.until_ns) {
                (FrameKind::Hello, Some(_)) => {
                    let hello = FrameHello::parse(&message.payload)?;
                    check(&hello, resuming)?;
                    self.until_ns = None;
                    return Ok(Some(Heard::Hello(hello)));
                }
                (FrameKind::Ack, None) => {
                    let at = message.header.position();
                    self.acknowledged = Some(at);
                    return Ok(Some(Heard::Ack(at)));
                }
                (FrameKind::Heartbeat, None) => {}
                (kind, until_ns) => {
                    let before = until_ns.is_some();
                    let place = if before { "before hello" } else { "behind a subscriber's hello" };
                    return Err(ProtocolFault::Unexpected { kind, place });
                }
            }
        }
        Ok(None)
    }
}

fn check(hello: &FrameHello, resuming: Resuming) -> Result<(), ProtocolFault> {
    let reason = match (hello.role, hello.session, resuming) {
        (FrameRole::Subscriber, 0, _) | (FrameRole::Subscriber, _, Resuming::Possible) => {
            return Ok(());
        }
        (FrameRole::Subscriber, _, Resuming::Impossible) => {
            "has a session, and this sink keeps nothing to resume with"
        }
        _ => "is not that of a subscriber, and this is a sink",
    };
    Err(ProtocolFault::Hello { reason: reason.into() })
}
