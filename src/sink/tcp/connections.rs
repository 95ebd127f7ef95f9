//! Connections of a TCP sink: who comes, what subscribers of frames say, who goes.
//!
//! Read: `peers` (what subscribers of frames say).
//!
//! In:  the events of the network.
//! Out: subscribers that have come, and said hello where they must; what they acknowledge; who has left.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use super::TcpSinkOptions;
use super::peers::{Heard, Peers, Resuming};
use crate::format::{FrameHello, LanePosition, ProtocolFault, write_error};
use crate::reactor::{
    ConnectionId, Dialer, Io, ListenerId, NetEvent, Network, OwnerId, TcpEndpoint,
};
use crate::stdx::Failure;

/// See the module.
pub(super) struct Connections {
    options: TcpSinkOptions,
    owner: Option<OwnerId>,
    listener: Option<ListenerId>,
    dialer: Option<Dialer>,
    /// Of frames.
    peers: Peers,
    /// Those of them that have not said hello.
    greeting: HashMap<ConnectionId, SocketAddr>,
    /// Nobody is let in any more.
    is_closing: bool,
    refused: u64,
    notices: VecDeque<String>,
}

/// What has happened.
pub(super) enum Happened {
    /// There is one more to be served. A subscriber of frames has said who it is.
    Joined { connection: ConnectionId, peer: SocketAddr, hello: Option<FrameHello> },
    /// One of those served has got every frame of a lane up to this one.
    Acknowledged { connection: ConnectionId, at: LanePosition },
    /// One of those served does not keep to the protocol.
    Broke { connection: ConnectionId, fault: ProtocolFault },
    /// A connection is gone. So many bytes it never took.
    Left { connection: ConnectionId, reason: String, unsent_bytes: usize },
    /// Something, of which nobody need know.
    Nothing,
}

impl Connections {
    /// Nothing is open yet. Whether subscribers may resume is `resuming`.
    pub(super) fn new(options: TcpSinkOptions, resuming: Resuming) -> Connections {
        Connections {
            options,
            owner: None,
            listener: None,
            dialer: None,
            peers: Peers::new(resuming),
            greeting: HashMap::new(),
            is_closing: false,
            refused: 0,
            notices: VecDeque::new(),
        }
    }

    /// Listens, or begins to connect.
    ///
    /// # Errors
    /// The address cannot be had.
    pub(super) fn open(&mut self, network: &mut dyn Network) -> Result<(), Failure> {
        let owner = network.register();
        self.owner = Some(owner);
        match self.options.endpoint {
            TcpEndpoint::Connect(address) => self.dialer = Some(Dialer::new(address)),
            TcpEndpoint::Listen(address) => match network.listen(owner, address) {
                Ok((listener, bound)) => {
                    self.listener = Some(listener);
                    self.notice(&format!("listening on {bound}"));
                }
                Err(error) => {
                    let name = &self.options.name;
                    let message = format!("sink {name}: cannot listen on {address}: {error}");
                    return Err(Failure::environment(message));
                }
            },
        }
        Ok(())
    }

    /// Where it connects to, if it does.
    pub(super) fn dialed(&self) -> Option<SocketAddr> {
        self.dialer.as_ref().map(Dialer::address)
    }

    /// Something the user should read.
    pub(super) fn notice(&mut self, text: &str) {
        self.notices.push_back(format!("sink {}: {text}", self.options.name));
    }

    pub(super) fn take_notice(&mut self) -> Option<String> {
        self.notices.pop_front()
    }

    /// Connects where it is time to; true when something was done.
    pub(super) fn dial(&mut self, io: &mut dyn Io) -> bool {
        let now_ns = io.round_ns();
        match (&mut self.dialer, self.owner) {
            (Some(dialer), Some(owner)) => dialer.poll(io.network(), owner, now_ns),
            _ => false,
        }
    }

    /// What has happened next, while `served` are served; `None` when nothing has.
    pub(super) fn next(&mut self, served: usize, io: &mut dyn Io) -> Option<Happened> {
        let now_ns = io.round_ns();
        let network = io.network();
        if let Some((connection, heard)) = self.peers.hear() {
            return Some(self.heard(connection, heard, network));
        }
        let Some(event) = network.next_event(self.owner?) else {
            // Whoever has just said something is not too late.
            let overdue = self.peers.overdue(now_ns)?;
            return Some(self.refuse(overdue, ProtocolFault::Silent, network));
        };
        match event {
            NetEvent::Accepted { socket, peer, .. } => {
                Some(self.accept(served, (socket, peer), now_ns, network))
            }
            NetEvent::AcceptFailed { error, .. } => {
                self.notice(&format!("cannot accept subscribers for now: {error}"));
                Some(Happened::Nothing)
            }
            NetEvent::Connected { connection } => {
                let dialer = self.dialer.as_mut().expect("only a dialer connects");
                dialer.connected(connection);
                let peer = dialer.address();
                if self.is_closing {
                    network.close(connection);
                    return Some(Happened::Nothing);
                }
                Some(Happened::Joined { connection, peer, hello: None })
            }
            NetEvent::Closed { connection, error, unsent_bytes } => {
                let reason =
                    error.map_or_else(|| "closed by the peer".into(), |error| error.to_string());
                self.closed(connection, &reason, now_ns);
                Some(Happened::Left { connection, reason, unsent_bytes })
            }
            NetEvent::Received { connection, bytes } => {
                // A peer of lines has nothing to say that is read here.
                self.peers.feed(connection, network.bytes(&bytes));
                network.release(bytes);
                Some(Happened::Nothing)
            }
            NetEvent::Sent { .. } => Some(Happened::Nothing),
            NetEvent::Filled { .. } => unreachable!("no connection is on demand"),
        }
    }

    /// Acts on what a subscriber of frames has said.
    fn heard(
        &mut self,
        connection: ConnectionId,
        heard: Result<Heard, ProtocolFault>,
        network: &mut dyn Network,
    ) -> Happened {
        match heard {
            Ok(Heard::Hello(hello)) => match self.greeting.remove(&connection) {
                Some(peer) => Happened::Joined { connection, peer, hello: Some(hello) },
                None => Happened::Nothing,
            },
            Ok(Heard::Ack(at)) => Happened::Acknowledged { connection, at },
            Err(fault) => self.refuse(connection, fault, network),
        }
    }

    fn accept(
        &mut self,
        served: usize,
        (socket, peer): (OwnedFd, SocketAddr),
        now_ns: u64,
        network: &mut dyn Network,
    ) -> Happened {
        if self.is_closing {
            return Happened::Nothing;
        }
        let connections_max = self.options.connections_max;
        let all = served + self.greeting.len();
        if all >= usize::try_from(connections_max).expect("32 bits fit") {
            self.refused += 1;
            // A client that tries again and again does not fill the log.
            if self.refused.is_power_of_two() {
                self.notice(&format!("refused {peer}: {connections_max} subscribers already"));
            }
            return Happened::Nothing;
        }
        let owner = self.owner.expect("registered before it listens");
        let connection = network.adopt(owner, socket);
        if !self.options.frames {
            return Happened::Joined { connection, peer, hello: None };
        }
        self.peers.begin(connection, now_ns);
        self.greeting.insert(connection, peer);
        Happened::Nothing
    }

    /// A subscriber of frames is told what is wrong, where that is possible.
    pub(super) fn refuse(
        &mut self,
        connection: ConnectionId,
        fault: ProtocolFault,
        network: &mut dyn Network,
    ) -> Happened {
        self.peers.end(connection);
        let Some(peer) = self.greeting.remove(&connection) else {
            // In the middle of what it is sent there is no place for a message.
            network.abort(connection);
            return Happened::Broke { connection, fault };
        };
        self.notice(&format!("closed {peer}: {fault}"));
        tell(connection, &fault, network);
        Happened::Nothing
    }

    /// Makes a connection of lines one that is only written to.
    pub(super) fn write_only(&self, connection: ConnectionId, network: &mut dyn Network) {
        // A subscriber may close its sending side. A peer that was dialed and closes is gone: what it
        // is sent from then on would be lost, and counted as out.
        if self.dialer.is_none() && !self.options.frames {
            network.write_only(connection);
        }
    }

    fn closed(&mut self, connection: ConnectionId, reason: &str, now_ns: u64) {
        self.peers.end(connection);
        self.greeting.remove(&connection);
        if let Some(dialer) = &mut self.dialer {
            let address = dialer.address();
            if dialer.closed(connection, now_ns) && !self.is_closing {
                self.notice(&format!("no connection to {address}: {reason}; trying again"));
            }
        }
    }

    /// The last frame that a subscriber says to have got.
    pub(super) fn acknowledged(&self, connection: ConnectionId) -> Option<LanePosition> {
        self.peers.acknowledged(connection)
    }

    /// Nobody is let in any more; those who have not said hello are closed.
    pub(super) fn close_door(&mut self, network: &mut dyn Network) {
        self.is_closing = true;
        if let Some(dialer) = &mut self.dialer {
            dialer.stop();
        }
        self.greeting.drain().for_each(|(connection, _)| network.close(connection));
    }

    /// Nothing is open any more.
    pub(super) fn close_listener(&mut self, network: &mut dyn Network) {
        if let Some(listener) = self.listener.take() {
            network.close_listener(listener);
        }
    }

    pub(super) fn wakes_at_ns(&self) -> Option<u64> {
        let dial = self.dialer.as_ref().and_then(Dialer::wakes_at_ns);
        [dial, self.peers.wakes_at_ns()].into_iter().flatten().min()
    }

    #[cfg(test)]
    pub(super) fn greeting(&self) -> usize {
        self.greeting.len()
    }
}

/// Says why, and closes.
pub(super) fn tell(connection: ConnectionId, fault: &ProtocolFault, network: &mut dyn Network) {
    let mut message = Vec::new();
    write_error(fault, &mut message);
    network.send(connection, &message);
    network.close(connection);
}
