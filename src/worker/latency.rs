//! Latencies of one sink on one core: what was written waits here until the sink has let it go.
//!
//! In:  batches, as they are written; how many rows the sink has let go so far.
//! Out: per released row, the parts of its time.
//!
//! Sinks let rows go in the order in which they were written.

use std::collections::VecDeque;

use crate::limits::UNRELEASED_BATCHES_MAX;
use crate::metrics::{LatencyHistogram, LatencyPart, LatencyParts, LatencyPartsDelta};
use crate::record::Batch;

/// See the module.
pub(crate) struct SinkLatency {
    total: LatencyHistogram,
    /// Since the last report.
    news: LatencyParts,
    waiting: VecDeque<Written>,
    /// Rows the sink had let go when it was looked at last.
    released: u64,
}

/// A batch that the sink has, or what is left of it.
struct Written {
    rows: u64,
    arrival_ns: u64,
    oldest_ns: u64,
    compute_ns: u64,
    written_ns: u64,
}

impl SinkLatency {
    pub(super) fn new() -> SinkLatency {
        SinkLatency {
            total: LatencyHistogram::new(),
            news: LatencyParts::default(),
            waiting: VecDeque::new(),
            released: 0,
        }
    }

    /// A batch on which work began at `entered_ns` has been written at `now_ns`.
    pub(super) fn wrote(&mut self, batch: &Batch, entered_ns: u64, now_ns: u64) {
        let rows = batch.len() as u64;
        // Very many small batches are not told apart.
        if self.waiting.len() >= UNRELEASED_BATCHES_MAX
            && let Some(last) = self.waiting.back_mut()
        {
            last.rows += rows;
            return;
        }
        let (arrival_ns, oldest_ns) = (batch.arrival_ns, batch.oldest_ns());
        let taken_ns = now_ns.saturating_sub(arrival_ns);
        let worked_ns = now_ns.saturating_sub(entered_ns).saturating_add(batch.spent.compute_ns);
        let compute_ns = worked_ns.min(taken_ns);
        let written_ns = now_ns;
        self.waiting.push_back(Written { rows, arrival_ns, oldest_ns, compute_ns, written_ns });
    }

    /// How many rows the sink had let go when it was looked at last.
    pub(super) fn released(&self) -> u64 {
        self.released
    }

    /// By `now_ns` the sink has let `released` rows go, of all it was ever given.
    pub(super) fn release(&mut self, released: u64, now_ns: u64) {
        let mut left = released.saturating_sub(self.released);
        self.released = released;
        while left > 0
            && let Some(first) = self.waiting.front_mut()
        {
            let rows = left.min(first.rows);
            left -= rows;
            first.rows -= rows;
            let Written { rows: more, arrival_ns, oldest_ns, compute_ns, written_ns } = *first;
            if more == 0 {
                self.waiting.pop_front();
            }
            let total_ns = now_ns.saturating_sub(arrival_ns);
            let queue_ns = written_ns.saturating_sub(arrival_ns).saturating_sub(compute_ns);
            self.total.record(total_ns, rows);
            for (part, ns) in [
                (LatencyPart::Total, total_ns),
                (LatencyPart::Queue, queue_ns),
                (LatencyPart::Compute, compute_ns),
                (LatencyPart::ReleaseWait, now_ns.saturating_sub(written_ns)),
                (LatencyPart::WatermarkWait, arrival_ns.saturating_sub(oldest_ns)),
                (LatencyPart::OldestAge, now_ns.saturating_sub(oldest_ns)),
            ] {
                self.news.record(part, ns, rows);
            }
        }
    }

    /// Since it was asked last.
    pub(super) fn take(&mut self) -> LatencyPartsDelta {
        self.news.take()
    }

    /// From arrival to release, of the whole run.
    pub(super) fn total(&self) -> &LatencyHistogram {
        &self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Spent;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use std::sync::Arc;

    fn batch(count: i64, arrival_ns: u64, spent: Spent) -> Batch {
        let column: ArrayRef = Arc::new((0..count).collect::<Int64Array>());
        let rows = RecordBatch::try_from_iter([("n", column)]).unwrap();
        Batch { spent, ..Batch::new(rows, arrival_ns) }
    }

    /// p100 of each part, in the order of `LatencyPart::ALL`, and the rows counted.
    #[track_caller]
    fn check(latency: &mut SinkLatency, rows: u64, expected: [u64; 6]) {
        let mut parts = LatencyParts::default();
        parts.add(&latency.take());
        let counted = LatencyPart::ALL.map(|part| parts.of(part).count());
        assert_eq!(counted, [rows; 6]);
        let longest = LatencyPart::ALL.map(|part| parts.of(part).quantile_ns(1.0));
        assert_eq!(longest, expected);
    }

    #[test]
    fn the_parts_of_a_row_are_counted_when_it_leaves() {
        let mut latency = SinkLatency::new();
        let spent = Spent { compute_ns: 5, watermark_wait_ns: 9 };
        // It came at 10, was worked on for 5, then from 20 on, was written at 22 and left at 27.
        latency.wrote(&batch(4, 10, spent), 20, 22);
        latency.release(0, 22);
        check(&mut latency, 0, [0; 6]);
        latency.release(3, 27);
        check(&mut latency, 3, [17, 5, 7, 5, 9, 26]);
        latency.wrote(&batch(1, 28, Spent::default()), 28, 30);
        latency.release(5, 30);
        check(&mut latency, 2, [20, 5, 7, 8, 9, 29]);
        assert_eq!(latency.total().count(), 5);
    }

    #[test]
    fn work_is_no_more_than_there_was_time_for() {
        let mut latency = SinkLatency::new();
        let spent = Spent { compute_ns: 500, watermark_wait_ns: 0 };
        latency.wrote(&batch(1, 10, spent), 20, 22);
        latency.release(1, 22);
        check(&mut latency, 1, [12, 0, 12, 0, 0, 12]);
    }

    #[test]
    fn what_waits_is_bounded_and_nothing_is_lost() {
        let mut latency = SinkLatency::new();
        for _ in 0..UNRELEASED_BATCHES_MAX + 10 {
            latency.wrote(&batch(1, 10, Spent::default()), 10, 10);
        }
        assert_eq!(latency.waiting.len(), UNRELEASED_BATCHES_MAX);
        latency.release(UNRELEASED_BATCHES_MAX as u64 + 10, 12);
        check(&mut latency, UNRELEASED_BATCHES_MAX as u64 + 10, [2, 0, 0, 2, 0, 2]);
    }
}
