//! A sink on one core, with what the worker must know of it.

use super::SinkStatus;
use crate::metrics::{Account, LatencyCounts, LatencyDelta, LatencyHistogram, SinkCounters};
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
    latency: LatencyHistogram,
    /// The same since the last report.
    news: LatencyCounts,
    account: Account,
}

impl SinkSlot {
    pub(crate) fn new(sink: Box<dyn Sink>, writers: usize, account: Account) -> SinkSlot {
        let (latency, news) = (LatencyHistogram::new(), LatencyCounts::default());
        SinkSlot { sink, writers, finished: false, latency, news, account }
    }

    pub(super) fn write(&mut self, batch: &Batch, io: &mut dyn Io) {
        if batch.is_empty() {
            return;
        }
        self.sink.write(batch, io);
        // Not the turn's time: rows that came in this turn have taken what it took.
        let latency_ns = io.clock().monotonic_ns().saturating_sub(batch.arrival_ns);
        self.latency.record(latency_ns, batch.len() as u64);
        self.news.record(latency_ns, batch.len() as u64);
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
    pub(super) fn take_latencies(&mut self) -> LatencyDelta {
        self.news.take()
    }

    /// From the arrival of a batch to its being written here.
    pub(super) fn latency(&self) -> &LatencyHistogram {
        &self.latency
    }
}
