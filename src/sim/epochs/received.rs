//! Who uses the ingest journals of a simulated job, and what a start must find of them.
//!
//! In:  turns of a core, ends of its epochs; what recovery finds.
//! Out: entries, some of them synced outside epochs; what was received before is used up, from the front.
//!
//! Checked at every start: from the first entry that the epoch needs on, all entries are there that were
//! durable, in their order, and none that was not appended.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::super::disk::{SimCore, SimFiles};
use crate::journal::{JournalId, Kind, Position, Recovered, SideJournal, SideStart};
use crate::record::Epoch;

/// What was appended to the ingest journals of all cores, and what is needed of it.
#[derive(Default)]
pub(super) struct Received {
    entries: BTreeMap<JournalId, Vec<(Position, Vec<u8>)>>,
    /// Everything before this is durable.
    durable: BTreeMap<JournalId, Position>,
    /// Where what is not used up begins, as of each epoch of the run.
    needed: BTreeMap<u64, BTreeMap<JournalId, Position>>,
}

impl Received {
    /// A start has found what it must. The next run goes on from it.
    pub(super) fn check(&mut self, recovered: &Recovered<SimFiles>) {
        let none = BTreeMap::new();
        let needed = self.needed.get(&recovered.epoch()).unwrap_or(&none);
        for (journal, entries) in &mut self.entries {
            let from = needed.get(journal).copied().unwrap_or(Position::BEGINNING);
            entries.retain(|(position, _)| *position >= from);
            let mut found = Vec::new();
            if let Some(mut all) = recovered.entries(*journal) {
                while let Some(entry) = all.next_entry().expect("nothing is damaged") {
                    assert!(entry.position >= from, "{journal}: what is used up is found");
                    found.push((entry.position, entry.payload.to_vec()));
                }
            }
            let durable = self.durable.get(journal).copied().unwrap_or(Position::BEGINNING);
            let must = entries.iter().take_while(|(position, _)| *position < durable).count();
            assert!(found.len() >= must, "{journal}: {} entries of {must} are found", found.len());
            assert!(entries.starts_with(&found), "{journal}: other entries than were appended");
            *entries = found;
        }
        // What a start has found is durable.
        let end = |(journal, entries): (&JournalId, &Vec<(Position, Vec<u8>)>)| {
            let after = |at: Position| Position { offset: at.offset + 1, ..at };
            Some((*journal, after(entries.last()?.0)))
        };
        self.durable = self.entries.iter().filter_map(end).collect();
        let begin = |(journal, entries): (&JournalId, &Vec<(Position, Vec<u8>)>)| {
            Some((*journal, entries.first()?.0))
        };
        let first = self.entries.iter().filter_map(begin).collect();
        self.needed = BTreeMap::from([(recovered.epoch(), first)]);
    }
}

/// One core's user of its ingest journal.
pub(super) struct Receiver {
    received: Rc<RefCell<Received>>,
    own: JournalId,
    /// What is not used up, by journal.
    left: BTreeMap<JournalId, VecDeque<Position>>,
    rng: fastrand::Rng,
}

impl Receiver {
    /// With what was found of the journal, and of those it takes over.
    pub(super) fn new(
        received: &Rc<RefCell<Received>>,
        own: JournalId,
        start: &SideStart,
        seed: u64,
    ) -> Receiver {
        assert_eq!(own.kind, Kind::Ingest);
        let entries = &received.borrow().entries;
        let all = start.adopted.iter().map(|range| range.journal).chain([own]);
        let positions = |journal: JournalId| {
            let entries = entries.get(&journal).into_iter().flatten();
            (journal, entries.map(|(position, _)| *position).collect())
        };
        let left = all.map(positions).collect();
        let rng = fastrand::Rng::with_seed(seed);
        Receiver { received: Rc::clone(received), own, left, rng }
    }

    /// Receives something, or uses something up.
    pub(super) fn turn(&mut self, side: &mut dyn SideJournal, core: &mut SimCore) {
        let received = &mut *self.received.borrow_mut();
        received.durable.insert(self.own, side.durable());
        match self.rng.u8(..24) {
            0 => {
                let length = [0, 30, 900, 9_000][self.rng.usize(..4)];
                let payload: Vec<u8> = (0..length).map(|_| self.rng.u8(..)).collect();
                if let Ok(position) = side.append(side.open_epoch(), 7, &[&payload]) {
                    received.entries.entry(self.own).or_default().push((position, payload));
                    self.left.entry(self.own).or_default().push_back(position);
                }
            }
            1 => side.sync(core),
            2..4 => {
                let journal = self.rng.usize(..self.left.len());
                let left = self.left.values_mut().nth(journal).expect("one of them");
                left.pop_front();
            }
            _ => {}
        }
    }

    /// The epoch ends: it needs what is left.
    pub(super) fn end_epoch(&mut self, epoch: Epoch, side: &mut dyn SideJournal) {
        let received = &mut *self.received.borrow_mut();
        let needed = received.needed.entry(epoch.number()).or_default();
        for (journal, left) in &self.left {
            let first = left.front().copied();
            side.need_from(0, *journal, first);
            let end = Position { segment: u64::MAX, offset: u64::MAX };
            let is_own = *journal == self.own;
            needed.insert(*journal, first.unwrap_or(if is_own { side.position() } else { end }));
        }
    }
}
