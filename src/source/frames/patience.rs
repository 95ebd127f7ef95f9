//! Patience: who has been silent, slow or away for too long.

use super::FrameSource;
use crate::format::ProtocolFault;
use crate::limits::{BLOCKED_LOOK_AGAIN_NS, FRAME_RETURN_NS_MAX};
use crate::reactor::Io;
use crate::source::{SourceMessage, SourceOutput};

impl FrameSource {
    /// Ends connections that have been silent or slow for too long.
    pub(super) fn lose_patience(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) {
        let now_ns = io.round_ns();
        for connection in self.greetings.overdue(now_ns) {
            self.end_greeting(connection, &ProtocolFault::Silent, io.network());
        }
        if self.await_until_ns.is_some_and(|until_ns| until_ns <= now_ns) {
            self.wait_no_longer(out);
        }
        if now_ns < self.look_ns {
            return;
        }
        self.look_ns = u64::MAX;
        let mut silent = Vec::new();
        for (connection, served) in &self.connections {
            if let Some(deadline_ns) = served.timing.deadline_ns()
                && served.flow.is_armed
                && !served.flow.is_over
            {
                match deadline_ns <= now_ns {
                    true => silent.push(*connection),
                    false => self.look_ns = self.look_ns.min(deadline_ns),
                }
            }
        }
        for connection in silent {
            self.fault(connection, &ProtocolFault::Silent, io.network());
            self.leave_if_done(connection, io, out);
        }
    }

    /// Producers that were connected when an earlier run ended have some time to come back: until then
    /// they hold the watermark and the end of the source as if they were there.
    pub(super) fn begin_to_wait(&mut self, now_ns: u64) {
        self.tracker.begin_clock(now_ns);
        let waits = !self.producers.awaited().is_empty() || self.census.awaits_others();
        self.await_until_ns = waits.then(|| now_ns.saturating_add(FRAME_RETURN_NS_MAX));
    }

    /// Those that have not come back are gone.
    fn wait_no_longer(&mut self, out: &mut dyn SourceOutput) {
        self.await_until_ns = None;
        self.census.forget_others();
        let awaited = self.producers.awaited();
        let Some(first) = awaited.first().copied() else { return };
        let name = self.producers.name(first);
        let what = match awaited.len() {
            1 => format!("producer \"{name}\" has"),
            count => format!("{count} producers (\"{name}\" and others) have"),
        };
        let seconds = FRAME_RETURN_NS_MAX / 1_000_000_000;
        self.notice(&format!(
            "{what} not come back within {seconds} s of the start, and will not be waited for"
        ));
        for producer in awaited {
            let split = self.producers.take_awaited(producer).expect("it is waited for");
            self.tracker.close(split);
            self.tell_core_0(SourceMessage::ProducerNotAwaited, out);
        }
    }

    pub(super) fn wakes_at_ns(&self, now_ns: u64) -> Option<u64> {
        let looks = (self.look_ns < u64::MAX).then_some(self.look_ns);
        // Nobody says when a buffer comes back from another core.
        let waits = (!self.starved.is_empty()).then_some(now_ns + BLOCKED_LOOK_AGAIN_NS);
        let (greetings, splits) = (self.greetings.wakes_at_ns(), self.tracker.wakes_at_ns());
        [looks, waits, greetings, splits, self.await_until_ns].into_iter().flatten().min()
    }
}
