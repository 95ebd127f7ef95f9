//! Splits of one source on one core: who takes part in the core's watermark.
//!
//! In:  decoded rows, by split; closings; the clock.
//! Out: admitted batches; the minimum watermark of the active splits.
//!
//! A split joins with its first valid row and leaves when it is closed. After `idle_timeout` without
//! a valid row it is idle, until the next. When it joins or comes back, it begins at the watermark
//! this core had already sent: what it brings from before is late.
//!
//! Invariants
//! - The core's watermark never goes back.
//! - No active split is behind the watermark the core has sent.
//! - What is done once a turn costs the same whatever the number of splits.
//!
//! Read: `lowest` (who is the last of many).

mod lowest;

use super::watermark::{Admitted, Arrival, EventTimeRules, RunningWatermark, batch_of};
use crate::format::Decoded;
use crate::record::{Timestamp, Watermark};
use lowest::Lowest;
use std::cell::Cell;
use std::sync::Arc;

/// Event time of a source.
#[derive(Clone, Debug)]
pub struct EventTimeOptions {
    /// Rowtime, watermark and what rows must meet.
    pub rules: EventTimeRules,
    /// How long a split may hold the watermark without a valid row; `None` for ever.
    pub idle_timeout_ns: Option<u64>,
}

/// Names a split for as long as it is open.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SplitId(usize);

/// The split that holds a core's watermark back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldingBack {
    /// Source and split.
    pub origin: Arc<str>,
    /// Where it stands.
    pub watermark: Timestamp,
    /// When it came there: monotonic ns.
    pub since_ns: u64,
}

/// Where a split stands, for a run that goes on with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SplitStanding {
    /// Its watermark; `MIN` before its first valid row.
    pub watermark: Timestamp,
    /// It takes part in the core's watermark.
    pub is_active: bool,
}

/// All splits of one source on one core.
#[derive(Debug)]
pub struct SplitTracker {
    event_time: Option<EventTimeOptions>,
    /// By [`SplitId`]; closed ones are empty and used again.
    splits: Vec<Option<Split>>,
    /// Ids that are to be used again.
    free: Vec<usize>,
    /// Watermarks of those that are active, by id.
    active: Lowest<Timestamp>,
    /// When their last valid rows came, if they may become idle.
    heard_ns: Lowest<u64>,
    /// What `watermark` answered last: the caller has sent it.
    sent: Cell<Timestamp>,
    /// The highest watermark any split has had; `MIN` before the first row.
    newest: Timestamp,
}

#[derive(Debug)]
struct Split {
    origin: Arc<str>,
    watermark: RunningWatermark,
    state: SplitState,
    /// When the last valid row came, and when the watermark last moved.
    last_row_ns: u64,
    moved_ns: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum SplitState {
    /// No valid row yet.
    Opened,
    Active,
    Idle,
}

impl SplitTracker {
    /// Without event time, rows pass untagged and there is no watermark.
    pub fn new(event_time: Option<EventTimeOptions>) -> SplitTracker {
        SplitTracker {
            event_time,
            splits: Vec::new(),
            free: Vec::new(),
            active: Lowest::new(Timestamp::MAX),
            heard_ns: Lowest::new(u64::MAX),
            sent: Cell::new(Timestamp::MIN),
            newest: Timestamp::MIN,
        }
    }

    /// A split named `origin`, which takes part from its first valid row on.
    pub fn open(&mut self, origin: Arc<str>) -> SplitId {
        let split = Split {
            origin,
            watermark: RunningWatermark::new(Timestamp::MIN),
            state: SplitState::Opened,
            last_row_ns: 0,
            moved_ns: 0,
        };
        if let Some(free) = self.free.pop() {
            self.splits[free] = Some(split);
            return SplitId(free);
        }
        self.splits.push(Some(split));
        SplitId(self.splits.len() - 1)
    }

    /// A split as an earlier run left it; the clock begins with [`SplitTracker::begin_clock`].
    pub fn reopen(&mut self, origin: Arc<str>, standing: SplitStanding) -> SplitId {
        let id = self.open(origin);
        let split = self.splits[id.0].as_mut().expect("opened just now");
        split.watermark.raise(standing.watermark);
        if standing.is_active && self.event_time.is_some() {
            assert!(self.sent.get() <= standing.watermark);
            split.state = SplitState::Active;
            self.newest = self.newest.max(standing.watermark);
            self.note(id);
        }
        id
    }

    /// This core has said `sent` in an earlier run; nothing is open yet.
    pub fn resume_at(&mut self, sent: Timestamp) {
        assert!(self.splits.is_empty());
        self.sent.set(sent);
    }

    /// Splits that were reopened have been silent since now.
    pub fn begin_clock(&mut self, now_ns: u64) {
        for id in 0..self.splits.len() {
            if let Some(split) = &mut self.splits[id] {
                (split.last_row_ns, split.moved_ns) = (now_ns, now_ns);
                self.note(SplitId(id));
            }
        }
    }

    /// The split leaves. Its id may name another one later.
    pub fn close(&mut self, split: SplitId) {
        let closed = self.splits[split.0].take();
        assert!(closed.is_some());
        self.leave_out(split);
        self.free.push(split.0);
    }

    /// Checks and tags rows that have arrived on the split.
    pub fn admit(&mut self, id: SplitId, decoded: Decoded, arrival: Arrival) -> Admitted {
        let Some(event_time) = &self.event_time else {
            return Admitted { batch: batch_of(decoded, arrival), rejected: Vec::new() };
        };
        let split = self.splits[id.0].as_mut().expect("the split is open");
        // A split that is not active comes (back) with its first valid row, if there is one here.
        let mut watermark = split.watermark;
        if split.state != SplitState::Active {
            watermark.raise(self.sent.get());
        }
        let admitted = watermark.admit(&event_time.rules, decoded, &split.origin, arrival);
        if !admitted.batch.is_empty() {
            split.moved_to(watermark, arrival.monotonic_ns);
            self.newest = self.newest.max(watermark.get());
            self.note(id);
        }
        admitted
    }

    /// The split is at `floor` at least, because of rows that another core has read: what came before
    /// a chunk of a file. The split takes part from now on.
    pub fn raise(&mut self, id: SplitId, floor: Timestamp, now_ns: u64) {
        let split = self.splits[id.0].as_mut().expect("the split is open");
        let mut watermark = split.watermark;
        watermark.raise(floor.max(self.sent.get()));
        split.moved_to(watermark, now_ns);
        self.note(id);
    }

    /// Lets the clock pass: splits without a valid row for `idle_timeout` become idle.
    pub fn tick(&mut self, now_ns: u64) {
        while self.wakes_at_ns().is_some_and(|due_ns| due_ns <= now_ns) {
            let id = SplitId(self.heard_ns.place().expect("it is the one that is due"));
            let split = self.splits[id.0].as_mut().expect("an active split is open");
            split.state = SplitState::Idle;
            self.leave_out(id);
        }
    }

    /// When `tick` next makes a split idle, if nothing comes.
    pub fn wakes_at_ns(&self) -> Option<u64> {
        let timeout_ns = self.idle_timeout_ns()?;
        Some(self.heard_ns.lowest()?.saturating_add(timeout_ns))
    }

    /// The minimum of the active splits, to be sent; `None` without event time. What is answered
    /// counts as sent, so this is asked once per turn, behind the turn's batches.
    pub fn watermark(&self) -> Option<Watermark> {
        self.event_time.as_ref()?;
        let Some(minimum) = self.active.lowest() else { return Some(Watermark::Idle) };
        assert!(self.sent.get() <= minimum);
        self.sent.set(minimum);
        Some(Watermark::At(minimum))
    }

    /// Where the split stands.
    pub fn watermark_of(&self, split: SplitId) -> Timestamp {
        self.splits[split.0].as_ref().expect("the split is open").watermark.get()
    }

    /// What a later run must know of the split.
    pub fn standing_of(&self, split: SplitId) -> SplitStanding {
        let split = self.splits[split.0].as_ref().expect("the split is open");
        let is_active = split.state == SplitState::Active;
        SplitStanding { watermark: split.watermark.get(), is_active }
    }

    /// What `watermark` has answered so far; `MIN` before the first word.
    pub fn sent(&self) -> Timestamp {
        self.sent.get()
    }

    /// The highest watermark that rows of any split have brought about, open or closed.
    pub fn newest(&self) -> Option<Timestamp> {
        Some(self.newest).filter(|newest| *newest > Timestamp::MIN)
    }

    /// The active split with the lowest watermark: of several, the one that has been there longest.
    pub fn holding_back(&self) -> Option<HoldingBack> {
        let all = self.splits.iter().flatten();
        let active = all.filter(|split| split.state == SplitState::Active);
        let split = active.min_by_key(|split| (split.watermark.get(), split.moved_ns))?;
        Some(HoldingBack {
            origin: Arc::clone(&split.origin),
            watermark: split.watermark.get(),
            since_ns: split.moved_ns,
        })
    }

    /// Takes an active split into account as it stands now.
    fn note(&mut self, id: SplitId) {
        let split = self.splits[id.0].as_ref().expect("the split is open");
        if split.state != SplitState::Active {
            return;
        }
        self.active.set(id.0, split.watermark.get());
        if self.idle_timeout_ns().is_some() {
            self.heard_ns.set(id.0, split.last_row_ns);
        }
    }

    /// It is not active any more.
    fn leave_out(&mut self, id: SplitId) {
        self.active.clear(id.0);
        self.heard_ns.clear(id.0);
    }

    fn idle_timeout_ns(&self) -> Option<u64> {
        self.event_time.as_ref()?.idle_timeout_ns
    }
}

impl Split {
    fn moved_to(&mut self, watermark: RunningWatermark, now_ns: u64) {
        if self.state != SplitState::Active || watermark != self.watermark {
            self.moved_ns = now_ns;
        }
        self.watermark = watermark;
        self.state = SplitState::Active;
        self.last_row_ns = now_ns;
    }
}

#[cfg(test)]
mod tests;
