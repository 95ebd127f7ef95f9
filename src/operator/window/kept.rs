//! What the receiving half keeps beyond the process, and how it is taken up again.
//!
//! The note is the time up to which windows are complete; timers follow from it and the panes. The
//! sending half keeps nothing: it holds no row at a barrier, and the watermark it judges untagged
//! rows by is said again by what feeds it.
//!
//! Cores are never far apart in time, but they may differ (a core whose splits are idle is left out
//! of the watermark's minimum, and each receiver sees that at its own moment). Then the earliest time
//! holds for all, and panes of a core that was ahead say, by their first window, which ones have
//! fired already.

use std::ops::Range;

use super::receiver::{PaneState, WindowReceiver};
use super::slices::{Pane, Slices};
use crate::operator::aggregate::{Groups, GroupsCursor};
use crate::record::{KeyGroup, Timestamp, Watermark};
use crate::state::{
    CorruptState, Cursor, LoadOptions, Loaded, PaneContent, PaneName, PaneWords, Record, Section,
    SliceWriter, StateSchema, Stateful, Store, Tables, Tracking,
};

/// Groups merged at once when panes of two cores become one.
const MERGED_ROWS: usize = 2048;

/// State being read back.
#[derive(Debug)]
pub(super) struct Loading {
    /// Of the core whose records are being given.
    store: Store<Pane, PaneState>,
    complete: Option<i64>,
    /// Of the cores before it: complete up to, and panes.
    cores: Vec<(i64, Vec<(Pane, PaneState)>)>,
}

impl Loading {
    fn new() -> Loading {
        Loading { store: Store::new(Tracking::Off), complete: None, cores: vec![] }
    }
}

impl PaneName for Pane {
    fn words(self) -> PaneWords {
        [self.end, self.first]
    }

    fn from_words([end, first]: PaneWords) -> Option<Pane> {
        let is_possible = Slices::can_hold(end) && Slices::can_hold(first) && end <= first;
        is_possible.then_some(Pane { end, first })
    }
}

impl PaneContent for PaneState {
    fn tables(&self) -> &Tables {
        self.groups.tables()
    }

    fn tables_mut(&mut self) -> &mut Tables {
        self.groups.tables_mut()
    }

    fn rows(&self) -> u64 {
        self.rows
    }

    fn set_rows(&mut self, rows: u64) {
        self.rows = rows;
    }
}

impl Stateful for WindowReceiver {
    fn schema(&self) -> &StateSchema {
        &self.plan.aggregates.schema
    }

    fn bytes(&self) -> usize {
        self.store.bytes()
    }

    fn write_changes(&mut self, out: &mut SliceWriter) -> bool {
        self.store.write_changes(out)
    }

    fn begin_base(&mut self) {
        self.base = Default::default();
    }

    fn write_base(&mut self, groups: &Range<u16>, out: &mut SliceWriter) -> bool {
        self.store.write_base(&[self.complete], groups, &mut self.base, out)
    }

    fn load(&mut self, record: Record<'_>, options: &LoadOptions) -> Result<(), CorruptState> {
        if let Record::Entries(section) = &record {
            self.check_keys(section, options)?;
        }
        let tracking = self.store.tracking();
        let loading = self.loading.get_or_insert_with(Loading::new);
        if let Record::OperatorNote(words) = &record {
            let [complete] = words[..] else {
                return Err(CorruptState { offset: 0, reason: "a note of another operator" });
            };
            loading.complete = Some(complete);
        }
        let make = || PaneState::new(Groups::new(&self.plan.aggregates, self.hasher, tracking));
        loading.store.load(record, options, make)
    }

    fn end_of_core(&mut self) -> Result<(), CorruptState> {
        let loading = self.loading.get_or_insert_with(Loading::new);
        let store = std::mem::replace(&mut loading.store, Store::new(Tracking::Off));
        let complete = loading.complete.take();
        if store.is_empty() && complete.is_none() {
            return Ok(());
        }
        let complete =
            complete.ok_or(CorruptState { offset: 0, reason: "the operator's note is missing" })?;
        let panes: Vec<(Pane, PaneState)> = store.into_panes().collect();
        let is_pane = |pane: &Pane| {
            self.plan.slices.is_pane(*pane) && self.plan.slices.open(*pane, complete).is_some()
        };
        if !panes.iter().all(|(pane, _)| is_pane(pane)) {
            return Err(CorruptState { offset: 0, reason: "a pane of another window" });
        }
        loading.cores.push((complete, panes));
        Ok(())
    }

    fn loaded(&mut self) -> Loaded {
        let Some(Loading { cores, .. }) = self.loading.take() else { return Loaded::AsWritten };
        let Some(complete) = cores.iter().map(|(complete, _)| *complete).min() else {
            return Loaded::AsWritten;
        };
        self.complete = complete;
        let mut loaded = Loaded::AsWritten;
        for (core_complete, panes) in cores {
            for (pane, state) in panes {
                let open = self.plan.slices.open(pane, core_complete).expect("just checked");
                let name = if core_complete == complete { pane } else { open };
                if name != pane {
                    loaded = Loaded::Rearranged;
                }
                self.counters.restored += state.rows;
                self.counters.held += state.rows;
                self.take_up(name, open.first, state);
            }
        }
        // Those behind have been told before; what they keep of it is not written.
        if let crate::operator::TimeDomain::Event { .. } = self.plan.time
            && complete > i64::MIN
        {
            let watermark = self.plan.over_at(complete);
            self.watermark = Some(Watermark::At(Timestamp::from_millis(watermark)));
        }
        loaded
    }
}

impl WindowReceiver {
    /// A pane, next due in the window that ends at `due`.
    fn take_up(&mut self, pane: Pane, due: i64, state: PaneState) {
        if self.store.get(pane).is_none() {
            self.timers.arm(Timestamp::from_millis(due), pane);
            self.store.put_loaded(pane, state);
            return;
        }
        let plan = &self.plan.aggregates;
        let here = self.store.to_change(pane, || unreachable!("just found"));
        here.rows += state.rows;
        let mut cursor = GroupsCursor::default();
        loop {
            let rows = state.groups.read(plan, &mut cursor, MERGED_ROWS);
            if rows.len() == 0 {
                break;
            }
            here.groups.merge_groups(plan, &rows);
        }
        for set in 0..plan.distinct.len() {
            let mut seen = Cursor::default();
            while here.groups.merge_seen(plan, set, &state.groups, &mut seen, MERGED_ROWS) > 0 {}
        }
    }

    /// An error unless the section's keys are what the operator's encoders write: results are made of
    /// them without another look.
    fn check_keys(&self, section: &Section<'_>, options: &LoadOptions) -> Result<(), CorruptState> {
        let mut section = section.clone();
        let (mut keys, mut members) = (Vec::new(), Vec::new());
        while let Some(entry) = section.next_entry()? {
            if options.groups.contains(&KeyGroup::of_hash(entry.hash).number()) {
                keys.push(entry.key);
                members.push(entry.member);
            }
        }
        let corrupt = CorruptState { offset: 0, reason: "a key of another type" };
        self.plan.encoder.decode(keys.into_iter()).map_err(|_| corrupt)?;
        if section.is_set {
            let sets = &self.plan.aggregates.distinct;
            let set = usize::from(section.table).checked_sub(1).and_then(|set| sets.get(set));
            let set = set.ok_or(corrupt)?;
            set.encoder.decode(members.into_iter()).map_err(|_| corrupt)?;
        }
        Ok(())
    }
}
