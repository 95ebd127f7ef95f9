//! A sink on one core, with what the worker must know of it.

use super::SinkStatus;
use super::latency::SinkLatency;
use crate::metrics::{Account, LatencyHistogram, LatencyPartsDelta, SinkCounters};
use crate::reactor::Io;
use crate::record::Batch;
use crate::sink::Sink;
use crate::stdx::Failure;

/// A sink and its writers.
pub(crate) struct SinkSlot {
    sink: Box<dyn Sink>,
    /// Trees and diversions of this core that have not ended.
    writers: usize,
    finished: bool,
    latency: SinkLatency,
    account: Account,
}

impl SinkSlot {
    pub(crate) fn new(sink: Box<dyn Sink>, writers: usize, account: Account) -> SinkSlot {
        SinkSlot { sink, writers, finished: false, latency: SinkLatency::new(), account }
    }

    /// Work on `batch` began at `entered_ns`.
    pub(super) fn write(&mut self, batch: &Batch, entered_ns: u64, io: &mut dyn Io) {
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

    pub(super) fn is_full(&self) -> bool {
        self.sink.is_full()
    }

    pub(super) fn writer_ended(&mut self) {
        assert!(self.writers > 0, "every writer ends once");
        self.writers -= 1;
    }

    /// Advances what is in flight; true when something happened.
    pub(super) fn poll(&mut self, io: &mut dyn Io) -> bool {
        let mut busy = self.sink.poll(io);
        if self.writers == 0 && !self.finished {
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
