//! How one core stands: the part of its report that is not a ledger.
//!
//! Plain data, made by the core some ten times a second and handed over whole, so that nothing is
//! shared with those who look.

use super::hot::HotGroup;
use crate::dataflow::{EdgeIndex, OperatorSpec, SinkIndex, SourceIndex};
use crate::metrics::{LatencyDelta, OperatorActivity, OperatorCounters};
use crate::record::{Timestamp, Watermark};
use crate::source::HoldingBack;
use crate::stdx::CoreId;

/// One operator of one stage.
#[derive(Clone, Debug)]
pub struct OperatorStatus {
    /// Which.
    pub spec: OperatorSpec,
    /// The one source that all rows of its stage come from.
    pub source: Option<SourceIndex>,
    /// Rows.
    pub counters: OperatorCounters,
    /// Batches, time, state.
    pub activity: OperatorActivity,
    /// The last watermark given to it.
    pub watermark: Option<Watermark>,
    /// What it took of its turns since the last report.
    pub turns: LatencyDelta,
}

/// One source.
#[derive(Clone, Debug)]
pub struct SourceStatus {
    /// Time in it: reading and decoding.
    pub busy_ns: u64,
    /// Connections or files that are open.
    pub open_splits: u64,
    /// The last watermark it gave; `None` before the first and without event time.
    pub watermark: Option<Watermark>,
    /// When that was: monotonic ns.
    pub watermark_since_ns: u64,
    /// The furthest any split has come.
    pub newest: Option<Timestamp>,
    /// The split that keeps the watermark from going further.
    pub holding_back: Option<HoldingBack>,
    /// Nothing will come any more.
    pub has_ended: bool,
}

/// One sink.
#[derive(Clone, Debug)]
pub struct SinkStatus {
    /// Time in it: encoding and writing.
    pub busy_ns: u64,
    /// It takes nothing now.
    pub is_full: bool,
    /// Who keeps it full.
    pub blocked_by: Option<String>,
}

/// One sending end of an exchange.
#[derive(Clone, Copy, Debug)]
pub struct OutboxStatus {
    /// Of which exchange.
    pub edge: EdgeIndex,
    /// Rows given to it.
    pub rows: u64,
    /// Time in it: cutting batches by key.
    pub busy_ns: u64,
    /// Elements that wait, over all cores.
    pub queued: u64,
    /// Elements that would fill it.
    pub queued_max: u64,
    /// The key group that most of its rows are of.
    pub hottest: Option<HotGroup>,
}

/// Time a stage had to wait for somebody else.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockedStatus {
    /// Which stage, in the order of the specification.
    pub stage: usize,
    /// Whom it waited for.
    pub by: BlockedBy,
    /// For how long, so far.
    pub blocked_ns: u64,
}

/// Whom a stage waits for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum BlockedBy {
    /// A core that does not take what an exchange has for it.
    Core(EdgeIndex, CoreId),
    /// A sink of the same core.
    Sink(SinkIndex),
    /// A sink of the source's late or rejected rows.
    Diversion(SourceIndex),
}

/// Waiting times of one stage.
#[derive(Default, Debug)]
pub(crate) struct Blocked {
    /// Whom it waits for now, and since when.
    now: Option<(BlockedBy, u64)>,
    so_far: Vec<(BlockedBy, u64)>,
}

impl Blocked {
    /// At `now_ns` the stage waits for `by`, or for nobody. Until then it waited for whom was said last.
    pub(super) fn set(&mut self, by: Option<BlockedBy>, now_ns: u64) {
        if let Some((before, since_ns)) = self.now.take() {
            let waited_ns = now_ns.saturating_sub(since_ns);
            match self.so_far.iter_mut().find(|(known, _)| *known == before) {
                Some((_, blocked_ns)) => *blocked_ns += waited_ns,
                None => self.so_far.push((before, waited_ns)),
            }
        }
        self.now = by.map(|by| (by, now_ns));
    }

    /// What stage `stage` waited for.
    pub(super) fn statuses(&self, stage: usize) -> impl Iterator<Item = BlockedStatus> + '_ {
        self.so_far.iter().map(move |&(by, blocked_ns)| BlockedStatus { stage, by, blocked_ns })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a5` waits for sink 0 from 5 on, `b7` for sink 1, `-9` for nobody.
    #[track_caller]
    fn check(script: &str, expected: &[(usize, u64)]) {
        let mut blocked = Blocked::default();
        for word in script.split_whitespace() {
            let (who, at) = word.split_at(1);
            let by = match who {
                "a" => Some(BlockedBy::Sink(SinkIndex(0))),
                "b" => Some(BlockedBy::Sink(SinkIndex(1))),
                _ => None,
            };
            blocked.set(by, at.parse().unwrap());
        }
        let of = |status: BlockedStatus| match status.by {
            BlockedBy::Sink(sink) => (sink.0, status.blocked_ns),
            other => panic!("{other:?}"),
        };
        assert_eq!(blocked.statuses(3).map(of).collect::<Vec<_>>(), expected, "{script}");
    }

    #[test]
    fn waiting_is_counted_against_whom_it_was_for() {
        check("-1 -2", &[]);
        check("a5 a6 -9", &[(0, 4)]);
        check("a5 b7 -9 -20 a21 -24", &[(0, 5), (1, 2)]);
    }
}
