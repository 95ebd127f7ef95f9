//! Joining: from an accepted socket to a producer that may send.
//!
//! In:  on core 0, sockets and the bytes of their hellos; on every core, producers whose names it owns.
//! Out: connections that are served, or that wait for another session's; errors to the others.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use super::greeting::Introduced;
use super::position::owner_of;
use super::producers::{Join, ProducerId, Refused};
use super::served::{Begin, Served};
use super::{FrameSource, Phase, arrival, say};
use crate::format::{FrameColumns, FrameHello, ProtocolFault};
use crate::reactor::{ConnectionId, Io, Network};
use crate::source::{SourceMessage, SourceOutput, SplitId};

/// Peers that are told that there are too many; those after them are just cut.
const REFUSALS_TOLD_MAX: u64 = 64;

/// A producer that has said hello, for the core that owns its name.
#[derive(Debug)]
pub(super) struct Dealt {
    pub(super) socket: OwnedFd,
    pub(super) peer: SocketAddr,
    pub(super) hello: Box<FrameHello>,
}

impl FrameSource {
    /// Producers dealt to this core; true when there were any.
    pub(super) fn join_dealt(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) -> bool {
        let has_any = !self.dealt.is_empty();
        while let Some(Dealt { socket, peer, hello }) = self.dealt.pop_front() {
            self.join(socket, peer, &hello, io, out);
        }
        has_any
    }

    /// Core 0: a connection has come, and is to say hello.
    pub(super) fn greet(&mut self, socket: OwnedFd, peer: SocketAddr, io: &mut dyn Io) {
        if self.phase != Phase::Reading {
            return;
        }
        let connections_max = self.options.connections_max;
        if self.census.connections >= connections_max {
            self.refuse(socket, peer, io.network());
            return;
        }
        self.census.connections += 1;
        self.census.has_connected = true;
        let now_ns = io.round_ns();
        let network = io.network();
        let owner = self.owner(network);
        let connection = network.adopt_on_demand(owner, socket);
        let memory = self.greetings.begin(connection, peer, now_ns);
        let bytes_max = memory.capacity();
        network.receive_into(connection, memory, bytes_max);
    }

    fn refuse(&mut self, socket: OwnedFd, peer: SocketAddr, network: &mut dyn Network) {
        let connections_max = self.options.connections_max;
        self.counters.connections_refused += 1;
        if self.counters.connections_refused.is_power_of_two() {
            let what = format!("refused {peer}: {connections_max} connections are served already");
            self.notice(&what);
        }
        if self.counters.connections_refused <= REFUSALS_TOLD_MAX {
            let owner = self.owner(network);
            let connection = network.adopt_on_demand(owner, socket);
            say(&ProtocolFault::Busy { connections_max }, connection, network);
        }
    }

    /// Core 0: bytes of a connection that has not said hello.
    pub(super) fn introduce(
        &mut self,
        connection: ConnectionId,
        mut memory: Vec<u8>,
        count: usize,
        io: &mut dyn Io,
        out: &mut dyn SourceOutput,
    ) {
        let came = &memory[memory.len() - count..];
        self.counters.bytes_in += count as u64;
        match self.greetings.take(connection, came) {
            Ok(None) => {
                memory.clear();
                let bytes_max = memory.capacity();
                io.network().receive_into(connection, memory, bytes_max);
            }
            Ok(Some(Introduced { peer, hello })) => {
                self.greetings.end(connection);
                match io.network().detach(connection) {
                    Some(socket) => self.deal(socket, peer, hello, io, out),
                    None => self.disconnected(out),
                }
            }
            Err(fault) => self.end_greeting(connection, &fault, io.network()),
        }
    }

    pub(super) fn end_greeting(
        &mut self,
        connection: ConnectionId,
        fault: &ProtocolFault,
        network: &mut dyn Network,
    ) {
        if let Some(peer) = self.greetings.end(connection) {
            self.census.connections -= 1;
            say(fault, connection, network);
            self.failed(&peer.to_string(), fault);
        }
    }

    /// A connection was ended for what its peer did.
    pub(super) fn failed(&mut self, who: &str, fault: &ProtocolFault) {
        self.counters.connections_failed += 1;
        if self.counters.connections_failed.is_power_of_two() {
            self.notice(&format!("closed {who}: {fault}"));
        }
    }

    /// Core 0: gives a producer to the core that owns its name.
    fn deal(
        &mut self,
        socket: OwnedFd,
        peer: SocketAddr,
        hello: FrameHello,
        io: &mut dyn Io,
        out: &mut dyn SourceOutput,
    ) {
        let core = owner_of(&hello.name, self.options.core_count);
        let hello = Box::new(hello);
        if core == self.options.core {
            self.join(socket, peer, &hello, io, out);
        } else {
            out.send(core, SourceMessage::Producer { socket, peer, hello });
        }
    }

    /// A producer whose name this core owns.
    fn join(
        &mut self,
        socket: OwnedFd,
        peer: SocketAddr,
        hello: &FrameHello,
        io: &mut dyn Io,
        out: &mut dyn SourceOutput,
    ) {
        let arrival = arrival(io.clock());
        let owner = self.owner(io.network());
        let connection = io.network().adopt_on_demand(owner, socket);
        let who = format!("{peer}, producer \"{}\"", hello.name);
        let options = &self.options;
        let columns = match FrameColumns::new(&hello.schema, &options.schema, &options.projection) {
            Ok(columns) => columns,
            Err(fault) => return self.refuse_producer(connection, &who, &fault, io, out),
        };
        let joined =
            self.producers.join(&hello.name, hello.session, connection).map_err(|why| match why {
                Refused::Fenced => ProtocolFault::Fenced { name: hello.name.clone() },
                Refused::TooMany => {
                    let reason = "has one name more than are remembered".into();
                    ProtocolFault::Hello { reason }
                }
            });
        let Join { producer, fenced, displaced, has_begun } = match joined {
            Ok(join) => join,
            Err(fault) => return self.refuse_producer(connection, &who, &fault, io, out),
        };
        if let Some(displaced) = displaced {
            self.fence(displaced, io, out);
        }
        if has_begun {
            self.tell_core_0(SourceMessage::ProducerBegun, out);
        }
        self.note_unknown(&hello.name, &columns, has_begun);
        let split = self.open_split(producer, out);
        let origin = self.origin(&hello.name);
        let keep_provenance = self.options.keep_provenance;
        let idle_ns_max = self.options.connection_idle_ns_max;
        let begin =
            Begin { hello, peer, producer, columns, split, origin, keep_provenance, idle_ns_max };
        let mut served = Served::new(begin, arrival);
        served.flow.waits = true;
        self.connections.insert(connection, served);
        match fenced {
            Some(fenced) => self.fence(fenced, io, out),
            None => self.begin_if_settled(producer, io),
        }
    }

    /// The split of a connection: what stood for the producer since an earlier run, if it is back.
    fn open_split(&mut self, producer: ProducerId, out: &mut dyn SourceOutput) -> SplitId {
        self.counters.splits_opened += 1;
        match self.producers.take_awaited(producer) {
            Some(split) => {
                self.tell_core_0(SourceMessage::ProducerNotAwaited, out);
                split
            }
            None => {
                let origin = self.origin(self.producers.name(producer));
                self.tracker.open(origin)
            }
        }
    }

    fn note_unknown(&mut self, name: &str, columns: &FrameColumns, has_begun: bool) {
        self.counters.columns_unknown += columns.unknown.len() as u64;
        if has_begun && !columns.unknown.is_empty() {
            let unknown = columns.unknown.join(", ");
            self.notice(&format!("producer \"{name}\" sends columns the table lacks: {unknown}"));
        }
    }

    fn refuse_producer(
        &mut self,
        connection: ConnectionId,
        who: &str,
        fault: &ProtocolFault,
        io: &mut dyn Io,
        out: &mut dyn SourceOutput,
    ) {
        say(fault, connection, io.network());
        self.failed(who, fault);
        self.disconnected(out);
    }

    /// A later session is there: nothing more is accepted from this one.
    fn fence(&mut self, connection: ConnectionId, io: &mut dyn Io, out: &mut dyn SourceOutput) {
        let Some(served) = self.connections.get_mut(&connection) else { return };
        served.flow.is_fenced = true;
        if !std::mem::replace(&mut served.flow.is_over, true) {
            let fault = ProtocolFault::Fenced { name: served.name.to_string() };
            say(&fault, connection, io.network());
        }
        self.leave_if_done(connection, io, out);
    }
}
