//! Census: what core 0 knows of all cores, by which the source ends.

use super::position::{Known, Resumed};
use crate::source::SourceMessage;

/// What core 0 knows of all cores.
#[derive(Default, Debug)]
pub(super) struct Census {
    /// Connections, greetings among them.
    pub(super) connections: u32,
    /// Those that are gone.
    gone: u64,
    /// Producers that have begun and not ended.
    unfinished: usize,
    /// There has been one; a connection at all.
    has_begun: bool,
    pub(super) has_connected: bool,
    /// Producers that were connected when an earlier run ended, and are not back.
    awaited: usize,
    /// There may be others.
    awaits_others: bool,
}

impl Census {
    /// Goes on where an earlier run ended.
    pub(super) fn resume(&mut self, from: &Resumed<'_>) {
        let unfinished = from.producers.iter().filter(|producer| !producer.has_ended);
        let awaited = from.producers.iter().filter(|producer| producer.standing.is_some());
        (self.unfinished, self.awaited) = (unfinished.count(), awaited.count());
        (self.has_begun, self.awaits_others) = (!from.producers.is_empty(), from.had_others);
        self.has_connected = self.awaited > 0 || self.awaits_others;
    }

    /// Somebody may come back who is not among the producers that are known.
    pub(super) fn awaits_others(&self) -> bool {
        self.awaits_others
    }

    /// Nobody else is waited for.
    pub(super) fn forget_others(&mut self) {
        self.awaits_others = false;
    }

    pub(super) fn note(&mut self, message: &SourceMessage) {
        match message {
            SourceMessage::ConnectionClosed { .. } => {
                self.connections -= 1;
                self.gone += 1;
            }
            SourceMessage::ProducerBegun => {
                self.has_begun = true;
                self.unfinished += 1;
            }
            SourceMessage::ProducerEnded => self.unfinished -= 1,
            SourceMessage::ProducerNotAwaited => self.awaited -= 1,
            other => unreachable!("no instance of a frame source sends {other:?}"),
        }
    }

    pub(super) fn is_over(&self, end_on_disconnect: bool) -> bool {
        let all_have_ended = self.has_begun && self.unfinished == 0;
        let all_have_gone = end_on_disconnect && self.has_connected;
        let nobody_is_there = self.connections == 0 && self.awaited == 0 && !self.awaits_others;
        nobody_is_there && (all_have_ended || all_have_gone)
    }

    /// For a position.
    pub(super) fn known(&self, is_over: bool) -> Known {
        Known { heard_gone: self.gone, connections: self.connections, is_over }
    }
}
