//! Census: what core 0 knows of all cores, by which the source ends.

use crate::source::SourceMessage;

/// What core 0 knows of all cores.
#[derive(Default, Debug)]
pub(super) struct Census {
    /// Connections, greetings among them.
    pub(super) connections: u32,
    /// Producers that have begun and not ended.
    unfinished: u32,
    /// There has been one; a connection at all.
    has_begun: bool,
    pub(super) has_connected: bool,
}

impl Census {
    pub(super) fn note(&mut self, message: &SourceMessage) {
        match message {
            SourceMessage::ConnectionClosed { .. } => self.connections -= 1,
            SourceMessage::ProducerBegun => {
                self.has_begun = true;
                self.unfinished += 1;
            }
            SourceMessage::ProducerEnded => self.unfinished -= 1,
            other => unreachable!("no instance of a frame source sends {other:?}"),
        }
    }

    pub(super) fn is_over(&self, end_on_disconnect: bool) -> bool {
        let all_have_ended = self.has_begun && self.unfinished == 0;
        let all_have_gone = end_on_disconnect && self.has_connected;
        self.connections == 0 && (all_have_ended || all_have_gone)
    }
}
