//! One connection of a TCP source: its split, its decoder, and what of it waits to be pushed.

use std::sync::Arc;

use crate::format::Decoder;
use crate::metrics::{RejectionKind, SourceCounters};
use crate::source::{Arrival, Rejection, SourceOutput, SplitId, SplitTracker};

/// See the module.
pub(super) struct Served {
    decoder: Box<dyn Decoder>,
    split: SplitId,
    origin: Arc<str>,
    records_counted: u64,
    /// When the bytes behind the rows not yet taken came.
    arrival: Arrival,
    /// When the last byte came: monotonic ns.
    pub(super) last_byte_ns: u64,
    /// Waits in the queue of connections with rows.
    pub(super) is_ready: bool,
    /// The peer is gone; leaves when its rows are pushed.
    pub(super) has_ended: bool,
    /// Was silent for too long or could not be decoded, and is being closed.
    pub(super) is_cut: bool,
    has_failed: bool,
}

/// Where rows and rejections go.
pub(super) struct PushInto<'a> {
    pub(super) tracker: &'a mut SplitTracker,
    pub(super) counters: &'a mut SourceCounters,
    pub(super) out: &'a mut dyn SourceOutput,
}

impl Served {
    /// A connection that has just been made.
    pub(super) fn new(
        decoder: Box<dyn Decoder>,
        split: SplitId,
        origin: Arc<str>,
        arrival: Arrival,
    ) -> Served {
        Served {
            decoder,
            split,
            origin,
            records_counted: 0,
            arrival,
            last_byte_ns: arrival.monotonic_ns,
            is_ready: false,
            has_ended: false,
            is_cut: false,
            has_failed: false,
        }
    }

    /// Source and peer.
    pub(super) fn origin(&self) -> &Arc<str> {
        &self.origin
    }

    /// Bytes have come.
    pub(super) fn feed(&mut self, bytes: &[u8], arrival: Arrival) {
        self.decoder.feed(bytes);
        self.arrival = arrival;
        self.last_byte_ns = arrival.monotonic_ns;
    }

    /// Why nothing more of it can be decoded, said once.
    pub(super) fn take_fault(&mut self) -> Option<String> {
        let fault = self.decoder.fault().filter(|_| !self.has_failed)?;
        self.has_failed = true;
        Some(fault)
    }

    /// The peer is gone.
    pub(super) fn finish(&mut self) {
        self.decoder.finish();
        self.has_ended = true;
    }

    /// Pushes while there is room; true when nothing is left.
    pub(super) fn push(&mut self, into: &mut PushInto<'_>) -> bool {
        into.counters.records_in += self.decoder.records() - self.records_counted;
        self.records_counted = self.decoder.records();
        while let Some(rejected) = self.decoder.take_rejected() {
            let origin = Arc::clone(&self.origin);
            let (offset, reason, raw) = (rejected.offset, rejected.reason, rejected.raw);
            let kind = RejectionKind::Decode;
            self.reject(Rejection { kind, origin, offset, reason, raw }, into);
        }
        while !into.out.is_full() {
            let Some(decoded) = self.decoder.take() else { return true };
            let admitted = into.tracker.admit(self.split, decoded, self.arrival);
            for rejection in admitted.rejected {
                self.reject(rejection, into);
            }
            if !admitted.batch.is_empty() {
                into.counters.rows_out += admitted.batch.len() as u64;
                into.out.push(admitted.batch);
            }
        }
        self.decoder.rows() == 0
    }

    /// The split is done with.
    pub(super) fn leave(self, tracker: &mut SplitTracker) {
        assert_eq!(self.decoder.rows(), 0, "a connection leaves when its rows are pushed");
        tracker.close(self.split);
    }

    fn reject(&self, rejection: Rejection, into: &mut PushInto<'_>) {
        into.counters.rejected += 1;
        into.out.reject(rejection);
    }
}
