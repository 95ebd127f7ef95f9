//! A sink on one core, with what the worker must know of it.
//!
//! A core's trees and diversions write to its sink. An epoch ends at the sink when it has ended at all of
//! them; one that is ahead waits until then, so that the sink has the rows of one epoch after the other.

use std::collections::VecDeque;

use super::SinkStatus;
use super::latency::SinkLatency;
use crate::exchange::BarrierAlignment;
use crate::metrics::{Account, LatencyHistogram, LatencyPartsDelta, SinkCounters};
use crate::reactor::Io;
use crate::record::{Batch, Element, Epoch};
use crate::sink::Sink;
use crate::stdx::Failure;

/// A sink and its writers.
pub(crate) struct SinkSlot {
    sink: Box<dyn Sink>,
    /// Its writers on this core; `None` when it has none.
    writers: Option<BarrierAlignment>,
    /// The last epoch that has ended here.
    ended: Option<Epoch>,
    /// What came from writers that are ahead.
    behind: VecDeque<(usize, Element)>,
    finished: bool,
    latency: SinkLatency,
    account: Account,
}

impl SinkSlot {
    pub(crate) fn new(sink: Box<dyn Sink>, writers: usize, account: Account) -> SinkSlot {
        let writers = (writers > 0).then(|| BarrierAlignment::new(writers));
        let (behind, latency) = (VecDeque::new(), SinkLatency::new());
        SinkSlot { sink, writers, ended: None, behind, finished: false, latency, account }
    }

    /// Takes what a writer has, on which work began at `entered_ns`; of one that is ahead it waits.
    pub(super) fn accept(
        &mut self,
        writer: usize,
        element: Element,
        entered_ns: u64,
        io: &mut dyn Io,
    ) {
        if self.waits(writer) {
            self.behind.push_back((writer, element));
            return;
        }
        let Some(writers) = &mut self.writers else { unreachable!("a sink without writers") };
        let complete = match element {
            Element::Batch(batch) => return self.write(&batch, entered_ns, io),
            // Sinks do not look at event time.
            Element::Watermark(..) => None,
            Element::Barrier(epoch) => writers.barrier(writer, epoch),
            Element::End => writers.end(writer),
        };
        if let Some(epoch) = complete {
            self.end_epoch(epoch, io);
            for (ahead, later) in std::mem::take(&mut self.behind) {
                self.accept(ahead, later, entered_ns, io);
            }
        }
    }

    fn write(&mut self, batch: &Batch, entered_ns: u64, io: &mut dyn Io) {
        if batch.is_empty() {
            return;
        }
        self.sink.write(batch, io);
        // Not the turn's time: rows that came in this turn have taken what it took.
        let now_ns = io.clock().monotonic_ns();
        self.latency.wrote(batch, entered_ns, now_ns);
        self.latency.release(self.released(), now_ns);
    }

    /// Rows that have left, or that nobody was there to take.
    fn released(&self) -> u64 {
        let SinkCounters { rows_out, rows_discarded, .. } = self.sink.counters();
        rows_out + rows_discarded
    }

    pub(super) fn account(&self) -> Account {
        self.account
    }

    /// How the sink stands, besides its counters.
    pub(super) fn status(&self, busy_ns: u64) -> SinkStatus {
        let is_full = self.sink.is_full();
        let blocked_by = if is_full { self.sink.blocked_by() } else { None };
        SinkStatus { busy_ns, is_full, blocked_by }
    }

    pub(super) fn is_full(&self, writer: usize) -> bool {
        self.waits(writer) || self.sink.is_full()
    }

    /// True when the writer is ahead of another one.
    fn waits(&self, writer: usize) -> bool {
        self.writers.as_ref().is_some_and(|writers| writers.is_blocked(writer))
    }

    /// The epoch has ended at every writer.
    pub(super) fn end_epoch(&mut self, epoch: Epoch, io: &mut dyn Io) {
        if self.ended < Some(epoch) {
            self.ended = Some(epoch);
            self.sink.end_epoch(epoch, io);
        }
    }

    /// What has to be durable of the epoch is.
    pub(super) fn is_durable(&self, epoch: Epoch) -> bool {
        self.sink.is_durable(epoch)
    }

    /// What is to be known of the sink as of the epoch that ended last.
    pub(super) fn position(&self) -> Option<Vec<u8>> {
        self.sink.position()
    }

    /// The job was asked to stop.
    pub(super) fn stop(&mut self, io: &mut dyn Io) {
        self.sink.stop(io);
    }

    /// The epoch exists: its output may leave.
    pub(super) fn commit(&mut self, epoch: Epoch, io: &mut dyn Io) {
        self.sink.commit(epoch, io);
    }

    fn is_at_end(&self) -> bool {
        self.writers.as_ref().is_none_or(BarrierAlignment::is_ended)
    }

    /// Advances what is in flight; true when something happened.
    pub(super) fn poll(&mut self, io: &mut dyn Io) -> bool {
        let mut busy = self.sink.poll(io);
        if self.is_at_end() && !self.finished {
            self.finished = self.sink.finish(io);
            busy |= self.finished;
        }
        let released = self.released();
        if released != self.latency.released() {
            self.latency.release(released, io.clock().monotonic_ns());
        }
        busy
    }

    pub(super) fn is_finished(&self) -> bool {
        self.finished
    }

    pub(super) fn take_failure(&mut self) -> Option<Failure> {
        self.sink.take_failure()
    }

    pub(super) fn take_notice(&mut self) -> Option<String> {
        self.sink.take_notice()
    }

    pub(super) fn wakes_at_ns(&self) -> Option<u64> {
        self.sink.wakes_at_ns()
    }

    pub(super) fn counters(&self) -> SinkCounters {
        *self.sink.counters()
    }

    /// Latencies since it was asked last.
    pub(super) fn take_latencies(&mut self) -> LatencyPartsDelta {
        self.latency.take()
    }

    /// From the arrival of a batch to its release here.
    pub(super) fn latency(&self) -> &LatencyHistogram {
        self.latency.total()
    }
}
