//! Confirming: what producers are told of their frames.
//!
//! In:  what has been pushed, and what epochs that exist have.
//! Out: acknowledgements, each with more credit; the answer to `end`; who may begin to send; farewells.

use super::producers::ProducerId;
use super::{Acknowledge, FrameSource, Phase, owe, say};
use crate::format::{Ack, FrameHeader, FrameKind, ProtocolFault, write_ack, write_empty};
use crate::limits::FRAME_UNREAD_BYTES_MAX;
use crate::reactor::{ConnectionId, Io, Network};

impl FrameSource {
    /// Says to each connection that is owed it what its producer need not keep.
    pub(super) fn acknowledge(&mut self, network: &mut dyn Network) {
        let mut message = Vec::new();
        for connection in std::mem::take(&mut self.owed) {
            let Some(served) = self.connections.get_mut(&connection) else { continue };
            if served.flow.is_over || served.flow.waits {
                continue;
            }
            // The next acknowledgement says this one as well.
            if network.unsent_bytes(connection) > FRAME_UNREAD_BYTES_MAX {
                self.owed.push(connection);
                continue;
            }
            served.flow.is_owed = false;
            message.clear();
            self.write_confirmed(connection, &mut message);
            network.send(connection, &message);
        }
    }

    /// Appends how far the producer of a connection is confirmed.
    fn write_confirmed(&mut self, connection: ConnectionId, out: &mut Vec<u8>) {
        let served = self.connections.get_mut(&connection).expect("looked up by the caller");
        let confirmed = self.producers.confirmed(served.producer);
        let sequence = confirmed.sequence;
        let durable = match self.options.acknowledge {
            Acknowledge::Taken => 0,
            Acknowledge::Committed => sequence,
        };
        write_ack(Ack { sequence, durable, credit_bytes: served.grant() }, out);
        let is_whole = confirmed.has_ended && served.has_ended() && sequence == served.taken();
        if is_whole && !std::mem::replace(&mut served.flow.is_end_told, true) {
            write_empty(FrameHeader { sequence, ..FrameHeader::new(FrameKind::End) }, out);
        }
    }

    /// More of a producer is confirmed than before.
    pub(super) fn tell_confirmed(&mut self, producer: ProducerId, io: &mut dyn Io) {
        self.begin_if_settled(producer, io);
        let Some(connection) = self.producers.served(producer) else { return };
        let served = self.connections.get_mut(&connection).expect("served until it leaves");
        if served.flow.owes_farewell {
            self.say_farewell(connection, io);
        } else if !served.flow.waits {
            owe(served, connection, &mut self.owed);
        }
    }

    /// The connection that is to be served next may send, once what came before it is confirmed.
    pub(super) fn begin_if_settled(&mut self, producer: ProducerId, io: &mut dyn Io) {
        if self.phase == Phase::Stopping {
            return;
        }
        let Some((connection, taken)) = self.producers.next_to_begin(producer) else { return };
        let served = self.connections.get_mut(&connection).expect("served until it leaves");
        served.begin(taken);
        owe(served, connection, &mut self.owed);
        self.receive_more(connection, io);
    }

    /// A stop: the peer is told what is confirmed, and that no more is taken; as soon as all is confirmed
    /// that has been taken from it.
    pub(super) fn say_farewell(&mut self, connection: ConnectionId, io: &mut dyn Io) {
        let served = self.connections.get_mut(&connection).expect("looked up by the caller");
        let was_over = std::mem::replace(&mut served.flow.is_over, true);
        if was_over && !served.flow.owes_farewell {
            return;
        }
        let (waits, taken, producer) = (served.flow.waits, served.taken(), served.producer);
        served.flow.owes_farewell = !waits && self.producers.confirmed(producer).sequence < taken;
        if served.flow.owes_farewell {
            return;
        }
        let network = io.network();
        if !waits {
            let mut message = Vec::new();
            self.write_confirmed(connection, &mut message);
            network.send(connection, &message);
        }
        say(&ProtocolFault::Stopping, connection, network);
    }
}
