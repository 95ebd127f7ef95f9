//! A source on one core, with what the worker must know of it.

use std::collections::VecDeque;

use super::SourceStatus;
use crate::metrics::{Account, ReadClock, SourceCounters};
use crate::reactor::{Io, MeshReceiver, MeshSender};
use crate::record::{Batch, Cause, Epoch, Timestamp, Watermark};
use crate::source::{
    PositionError, Rejection, Source, SourceMessage, SourceOutput, SourceProgress,
};
use crate::stdx::{CoreId, Failure};

/// A source, what it has decoded, and its lines to its instances on other cores.
pub(crate) struct SourceSlot {
    source: Box<dyn Source>,
    staged: Staged,
    inbox: Vec<MeshReceiver<SourceMessage>>,
    outbox: Vec<Option<MeshSender<SourceMessage>>>,
    finished: bool,
    watermark_sent: Option<Watermark>,
    /// When it was, monotonic ns.
    watermark_sent_ns: u64,
    /// The last batch taken, until a watermark is its work.
    cause: Option<Cause>,
    account: Account,
    /// Where the source stood at the last barrier.
    position: Option<Vec<u8>>,
}

/// What a source handed over and its stage has not taken yet.
#[derive(Default)]
struct Staged {
    batches: VecDeque<Batch>,
    rows: usize,
    /// The turn's budget.
    rows_max: usize,
    /// Rows are numbered in their split's order.
    positioned: bool,
    /// Rows numbered here so far.
    numbered: u64,
    rejections: Vec<Rejection>,
    messages: VecDeque<(CoreId, SourceMessage)>,
    /// Its position has changed, perhaps without a row.
    changed: bool,
    read_clock: Option<ReadClock>,
    /// When work began on what is pushed next: monotonic ns.
    since_ns: u64,
}

impl SourceOutput for Staged {
    fn push(&mut self, mut batch: Batch) {
        if let Some(read_clock) = self.read_clock {
            // It may have come while its like before it was being worked on.
            let now_ns = read_clock();
            let began_ns = self.since_ns.max(batch.arrival_ns);
            batch.spent.compute_ns += now_ns.saturating_sub(began_ns);
            self.since_ns = now_ns;
        }
        self.rows += batch.len();
        if self.positioned && batch.tags.positions.is_none() {
            batch.number(self.numbered);
            self.numbered += batch.len() as u64;
        }
        self.batches.push_back(batch);
    }

    fn is_full(&self) -> bool {
        self.rows + self.rejections.len() >= self.rows_max
    }

    fn rows_max(&self) -> usize {
        self.rows_max
    }

    fn wants_positions(&self) -> bool {
        self.positioned
    }

    fn reject(&mut self, rejection: Rejection) {
        self.rejections.push(rejection);
    }

    fn note_change(&mut self) {
        self.changed = true;
    }

    fn send(&mut self, core: CoreId, message: SourceMessage) {
        self.messages.push_back((core, message));
    }
}

impl SourceSlot {
    /// With `positioned`, rows are numbered. `outbox[core]` leads to the instance on that core; `None` for this one.
    pub(crate) fn new(
        source: Box<dyn Source>,
        positioned: bool,
        inbox: Vec<MeshReceiver<SourceMessage>>,
        outbox: Vec<Option<MeshSender<SourceMessage>>>,
        (account, read_clock): (Account, ReadClock),
    ) -> SourceSlot {
        let read_clock = Some(read_clock);
        let staged = Staged { positioned, read_clock, ..Staged::default() };
        SourceSlot {
            source,
            staged,
            inbox,
            outbox,
            finished: false,
            watermark_sent: None,
            watermark_sent_ns: 0,
            cause: None,
            account,
            position: None,
        }
    }

    /// Messages first, then one poll for some `rows_max` rows. Called only when everything staged has
    /// been taken.
    pub(super) fn poll(&mut self, rows_max: usize, io: &mut dyn Io) -> SourceProgress {
        assert!(self.staged.batches.is_empty());
        self.staged.rows_max = rows_max;
        let mut busy = self.exchange_messages(io);
        if self.finished {
            return SourceProgress::Finished;
        }
        self.staged.since_ns = io.round_ns();
        let progress = self.source.poll(io, &mut self.staged);
        busy |= self.exchange_messages(io);
        match progress {
            SourceProgress::Finished if self.staged.messages.is_empty() => {
                self.finished = true;
                SourceProgress::Finished
            }
            SourceProgress::Finished => SourceProgress::Busy,
            // Nobody wakes this core when the ring they wait for has room.
            SourceProgress::Idle { .. } if !self.staged.messages.is_empty() => SourceProgress::Busy,
            SourceProgress::Idle { .. } if busy => SourceProgress::Busy,
            other => other,
        }
    }

    /// Takes what other cores sent and hands out what is for them; true when anything moved.
    fn exchange_messages(&mut self, io: &mut dyn Io) -> bool {
        let mut moved = false;
        for receiver in &mut self.inbox {
            while let Some(message) = receiver.pop() {
                self.source.receive(message, io);
                moved = true;
            }
        }
        let waiting = std::mem::take(&mut self.staged.messages);
        let mut full = Vec::new();
        for (core, message) in waiting {
            // Messages to one core keep their order.
            if full.contains(&core) {
                self.staged.messages.push_back((core, message));
                continue;
            }
            match self.deliver(core, message, io) {
                Ok(()) => moved = true,
                Err(message) => {
                    full.push(core);
                    self.staged.messages.push_back((core, message));
                }
            }
        }
        moved
    }

    fn deliver(
        &mut self,
        core: CoreId,
        message: SourceMessage,
        io: &mut dyn Io,
    ) -> Result<(), SourceMessage> {
        match &mut self.outbox[core.index()] {
            Some(sender) if sender.is_abandoned() => Ok(()),
            Some(sender) => sender.push(message),
            None => {
                self.source.receive(message, io);
                Ok(())
            }
        }
    }

    pub(super) fn next_batch(&mut self) -> Option<Batch> {
        let batch = self.staged.batches.pop_front()?;
        self.staged.rows -= batch.len();
        let (arrival_ns, compute_ns) = (batch.arrival_ns, batch.spent.compute_ns);
        self.cause = Some(Cause { arrival_ns, compute_ns });
        Some(batch)
    }

    /// Goes on where an earlier run stood.
    pub(super) fn resume(&mut self, positions: &[&[u8]]) -> Result<(), PositionError> {
        self.source.resume(positions)
    }

    /// The barrier of `epoch` goes out here: everything that was read has been taken.
    pub(super) fn end_epoch(&mut self, epoch: Epoch) {
        assert!(!self.has_staged());
        self.position = self.source.position();
        self.source.end_epoch(epoch);
    }

    /// The epoch exists: what was read before its barrier may be confirmed.
    pub(super) fn commit(&mut self, epoch: Epoch, io: &mut dyn Io) {
        self.source.commit(epoch, io);
    }

    /// Where the source stood then.
    pub(super) fn marked_position(&self) -> Option<Vec<u8>> {
        self.position.clone()
    }

    /// A barrier waits to go out: true when it may.
    pub(super) fn reach_barrier(&mut self) -> bool {
        !self.has_staged() && self.source.reach_barrier()
    }

    /// True when an epoch is to have what has changed since the last time.
    pub(super) fn take_change(&mut self) -> bool {
        std::mem::take(&mut self.staged.changed)
    }

    pub(super) fn has_staged(&self) -> bool {
        !self.staged.batches.is_empty()
    }

    pub(super) fn take_rejections(&mut self) -> Vec<Rejection> {
        std::mem::take(&mut self.staged.rejections)
    }

    /// The source's promise, when it has changed since it was last asked for, and what changed it: the
    /// batches before it, or else the clock.
    pub(super) fn new_watermark(&mut self, now_ns: u64) -> Option<(Watermark, Cause)> {
        let watermark = self.source.watermark()?;
        if self.watermark_sent == Some(watermark) {
            return None;
        }
        (self.watermark_sent, self.watermark_sent_ns) = (Some(watermark), now_ns);
        Some((watermark, self.cause.take().unwrap_or_else(|| Cause::clock(now_ns))))
    }

    /// A source that has ended still takes what its instances elsewhere send, so that they can end.
    pub(super) fn drain_messages(&mut self, io: &mut dyn Io) {
        if self.finished {
            self.exchange_messages(io);
        }
    }

    pub(super) fn take_notice(&mut self) -> Option<String> {
        self.source.take_notice()
    }

    pub(super) fn take_failure(&mut self) -> Option<Failure> {
        self.source.take_failure()
    }

    pub(super) fn stop(&mut self, io: &mut dyn Io) {
        self.source.stop(io);
    }

    pub(super) fn account(&self) -> Account {
        self.account
    }

    /// How the source stands, besides its counters.
    pub(super) fn status(&self, busy_ns: u64) -> SourceStatus {
        let sent = match self.watermark_sent {
            Some(Watermark::At(time)) if Timestamp::MIN < time && time < Timestamp::MAX => {
                Some(time)
            }
            _ => None,
        };
        SourceStatus {
            newest: self.source.newest().or(sent),
            busy_ns,
            open_splits: self.source.open_splits() as u64,
            watermark: self.watermark_sent,
            watermark_since_ns: self.watermark_sent_ns,
            holding_back: self.source.holding_back(),
            has_ended: self.finished,
        }
    }

    pub(super) fn counters(&self) -> SourceCounters {
        *self.source.counters()
    }
}
