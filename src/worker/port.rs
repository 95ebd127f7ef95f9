//! What the trees of one core write to: outboxes, sinks, and the list of diverted rows.

use super::sinks::SinkSlot;
use super::{OutboxSlot, SinkWriter};
use crate::metrics::Meter;
use crate::operator::Diverted;
use crate::reactor::Io;
use crate::record::Element;

/// Outlets of one core, for the time of one stage's turn.
pub(crate) struct Port<'a> {
    pub(super) outboxes: &'a mut [OutboxSlot],
    pub(super) sinks: &'a mut [SinkSlot],
    pub(super) io: &'a mut dyn Io,
    pub(super) meter: &'a mut Meter,
    /// Rows this stage may still emit in this turn.
    pub(super) budget_rows: usize,
    /// Rows that left the main path, for the worker to pass on.
    pub(super) diverted: &'a mut Vec<Diverted>,
    /// Monotonic, at the start of the turn.
    pub(super) now_ns: u64,
    /// When work began on what is being handed on.
    pub(super) entered_ns: u64,
}

impl Port<'_> {
    pub(super) fn use_budget(&mut self, rows: usize) {
        self.budget_rows = self.budget_rows.saturating_sub(rows);
    }

    pub(super) fn budget_is_used(&self) -> bool {
        self.budget_rows == 0
    }

    pub(super) fn divert(&mut self, diverted: Diverted) {
        self.diverted.push(diverted);
    }

    /// Work begins on another element.
    pub(super) fn begin(&mut self) {
        self.entered_ns = self.io.clock().monotonic_ns();
    }

    /// Time since then.
    fn worked_ns(&self) -> u64 {
        self.io.clock().monotonic_ns().saturating_sub(self.entered_ns)
    }

    pub(super) fn outbox_is_full(&self, outbox: usize) -> bool {
        self.outboxes[outbox].outbox.is_full()
    }

    pub(super) fn sink_is_full(&self, at: SinkWriter) -> bool {
        self.sinks[at.sink].is_full(at.writer)
    }

    pub(super) fn send(&mut self, outbox: usize, element: Element) {
        let worked_ns = match &element {
            Element::Batch(_) | Element::Watermark(..) => self.worked_ns(),
            Element::Barrier(_) | Element::End => 0,
        };
        let OutboxSlot { outbox, account, hot, .. } = &mut self.outboxes[outbox];
        match element {
            Element::Batch(mut batch) => {
                let outer = self.meter.enter(*account);
                batch.spent.compute_ns += worked_ns;
                if let (Some(hot), Some(hashes)) = (hot, &batch.tags.hashes) {
                    hot.look(hashes);
                }
                outbox.push(batch);
                self.meter.enter(outer);
            }
            Element::Watermark(watermark, mut cause) => {
                cause.compute_ns += worked_ns;
                outbox.watermark(watermark, cause);
            }
            Element::Barrier(epoch) => outbox.barrier(epoch),
            Element::End => outbox.end(),
        }
    }

    pub(super) fn write(&mut self, at: SinkWriter, element: Element) {
        let sink = &mut self.sinks[at.sink];
        let outer = self.meter.enter(sink.account());
        sink.accept(at.writer, element, self.entered_ns, self.io);
        self.meter.enter(outer);
    }
}
