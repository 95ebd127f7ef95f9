//! One connection: what is wanted of it, and which operations of it the kernel has.
//!
//! Phases: connecting → open → flushing (close asked for, bytes left) → lingering (our end of the
//! stream sent, theirs awaited) → ending (everything cancelled) → gone. Any may go to ending.
//!
//! Invariants
//! - At most one operation of each kind is in flight; the descriptor is closed when none is.
//! - Bytes are sent in the order given: the next send begins when the last one has completed.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};

use super::{ConnectionId, OwnerId};
use crate::limits::SEND_BUFFER_KEPT_BYTES;
use crate::reactor::ring::{Ring, Tag, Ticket};

/// Where a connection stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Phase {
    Connecting,
    Open,
    Flushing,
    Lingering,
    Ending,
}

/// An operation the kernel has.
#[derive(Debug)]
struct Operation {
    ticket: Ticket,
    is_cancelled: bool,
}

impl Operation {
    fn new(ticket: Ticket) -> Operation {
        Operation { ticket, is_cancelled: false }
    }

    fn cancel(&mut self, ring: &mut Ring) {
        if !self.is_cancelled {
            ring.cancel(self.ticket);
            self.is_cancelled = true;
        }
    }
}

/// What came of a send.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum SendProgress {
    /// More bytes are on their way.
    Sending,
    /// The kernel has all of them.
    AllSent,
}

/// One connection.
pub(super) struct Connection {
    pub(super) owner: OwnerId,
    pub(super) phase: Phase,
    pub(super) is_paused: bool,
    /// Received bytes are thrown away, and the peer's end of stream does not end the connection.
    pub(super) is_write_only: bool,
    /// Nothing is received while it is open but what the owner asks for.
    pub(super) is_on_demand: bool,
    /// The peer has sent its end of stream.
    pub(super) has_ended: bool,
    /// No receive buffer was left; received again once there is one.
    pub(super) is_starved: bool,
    /// Waits to have its bytes sent at the end of the turn.
    pub(super) is_dirty: bool,
    /// Why the connection ends.
    pub(super) error: Option<io::Error>,
    /// When patience with connecting or lingering ends, or a write-only connection whose peer
    /// sends no more is looked at again.
    pub(super) deadline_ns: Option<u64>,
    id: ConnectionId,
    socket: OwnedFd,
    connecting: Option<Operation>,
    receiving: Option<Operation>,
    sending: Option<Operation>,
    /// Bytes the kernel is sending, not yet taken.
    sending_bytes: usize,
    /// Bytes whose send has failed.
    lost_bytes: usize,
    unsent: Vec<u8>,
    /// An empty vector kept for its memory.
    spare: Vec<u8>,
}

impl Connection {
    /// A connection over `socket` in `phase`.
    pub(super) fn new(
        id: ConnectionId,
        owner: OwnerId,
        socket: OwnedFd,
        phase: Phase,
    ) -> Connection {
        Connection {
            owner,
            phase,
            is_paused: false,
            is_write_only: false,
            is_on_demand: false,
            has_ended: false,
            is_starved: false,
            is_dirty: false,
            error: None,
            deadline_ns: None,
            id,
            socket,
            connecting: None,
            receiving: None,
            sending: None,
            sending_bytes: 0,
            lost_bytes: 0,
            unsent: Vec::new(),
            spare: Vec::new(),
        }
    }

    /// The socket, to set options on.
    pub(super) fn socket(&self) -> &OwnedFd {
        &self.socket
    }

    /// The socket, to close.
    pub(super) fn into_socket(self) -> OwnedFd {
        assert!(self.is_quiet());
        self.socket
    }

    /// True when the kernel has no operation of this connection.
    pub(super) fn is_quiet(&self) -> bool {
        self.connecting.is_none() && self.receiving.is_none() && self.sending.is_none()
    }

    /// True while the owner is told of received bytes.
    pub(super) fn delivers(&self) -> bool {
        self.phase == Phase::Open && !self.is_write_only
    }

    /// Bytes given and not yet taken by the kernel.
    pub(super) fn unsent_bytes(&self) -> usize {
        self.unsent.len() + self.sending_bytes + self.lost_bytes
    }

    /// Begins to connect.
    pub(super) fn start_connect(&mut self, ring: &mut Ring, address: &SocketAddr) {
        let ticket = ring.connect(self.socket.as_fd(), address, Tag::Connect(self.id));
        self.connecting = Some(Operation::new(ticket));
    }

    /// The connect operation is over.
    pub(super) fn connect_ended(&mut self) {
        self.connecting = None;
    }

    /// The receive operation is over.
    pub(super) fn receive_ended(&mut self) {
        self.receiving = None;
    }

    /// Takes bytes to send behind those already there.
    pub(super) fn queue(&mut self, bytes: &[u8]) {
        self.unsent.extend_from_slice(bytes);
    }

    /// Sends what is unsent, unless a send is under way.
    pub(super) fn start_send(&mut self, ring: &mut Ring) {
        if self.sending.is_some() || self.unsent.is_empty() {
            return;
        }
        let bytes = std::mem::replace(&mut self.unsent, std::mem::take(&mut self.spare));
        self.sending_bytes = bytes.len();
        self.send_rest(ring, bytes);
    }

    /// A send took `count` of the bytes it was given; the rest follows.
    pub(super) fn send_ended(
        &mut self,
        ring: &mut Ring,
        mut bytes: Vec<u8>,
        count: usize,
    ) -> SendProgress {
        self.sending = None;
        self.sending_bytes -= count;
        if self.sending_bytes > 0 {
            self.send_rest(ring, bytes);
            return SendProgress::Sending;
        }
        bytes.clear();
        if bytes.capacity() <= SEND_BUFFER_KEPT_BYTES {
            self.spare = bytes;
        }
        self.start_send(ring);
        if self.sending.is_some() { SendProgress::Sending } else { SendProgress::AllSent }
    }

    /// A send took `count` bytes, and no other follows.
    pub(super) fn send_gave_up(&mut self, count: usize) {
        self.sending = None;
        self.lost_bytes += self.unsent.len() + self.sending_bytes - count;
        self.sending_bytes = 0;
        self.unsent = Vec::new();
    }

    fn send_rest(&mut self, ring: &mut Ring, bytes: Vec<u8>) {
        let from = bytes.len() - self.sending_bytes;
        let ticket = ring.send(self.socket.as_fd(), bytes, from, Tag::Send(self.id));
        self.sending = Some(Operation::new(ticket));
    }

    /// Begins or ends receiving, as is wanted now.
    pub(super) fn steer_receive(&mut self, ring: &mut Ring) {
        let wanted = match self.phase {
            Phase::Connecting | Phase::Ending => false,
            // What was asked for goes on.
            Phase::Open if self.is_on_demand => return,
            Phase::Open => !self.is_paused,
            // What comes is thrown away, but the peer's end of stream is awaited.
            Phase::Flushing | Phase::Lingering => true,
        };
        let wanted = wanted && !self.has_ended;
        match &mut self.receiving {
            Some(operation) if !wanted => operation.cancel(ring),
            None if wanted && !self.is_starved => {
                let ticket = ring.receive(self.socket.as_fd(), Tag::Receive(self.id));
                self.receiving = Some(Operation::new(ticket));
            }
            _ => {}
        }
    }

    /// Receives into `memory`.
    pub(super) fn start_fill(&mut self, ring: &mut Ring, memory: Vec<u8>, bytes_max: usize) {
        assert!(self.is_on_demand && self.receiving.is_none(), "one thing is asked for at a time");
        let tag = Tag::Fill(self.id);
        let ticket = ring.receive_into(self.socket.as_fd(), memory, bytes_max, tag);
        self.receiving = Some(Operation::new(ticket));
    }

    /// Ends every operation the kernel has.
    pub(super) fn cancel_all(&mut self, ring: &mut Ring) {
        let operations = [&mut self.connecting, &mut self.receiving, &mut self.sending];
        for operation in operations.into_iter().flatten() {
            operation.cancel(ring);
        }
    }
}
