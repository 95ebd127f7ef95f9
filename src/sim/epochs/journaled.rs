//! A sink that publishes what its core's output journal holds, once it is decided, to a place that knows
//! what it has.
//!
//! In:  batches, ends and commits of epochs; at the start, what was found of the journal.
//! Out: entries; lines in the place outside, each entry once or again as it was.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use crate::format::Encoder;
use crate::journal::{JournalId, Position, SideJournal};
use crate::metrics::SinkCounters;
use crate::reactor::Io;
use crate::record::{Batch, Epoch};
use crate::sink::Sink;
use crate::stdx::Failure;

/// Entries that have found no room, after which the sink is full.
const WAITING_MAX: usize = 3;

/// Lines that have left, by sink and entry. It outlives every crash.
pub(super) type Published = Rc<RefCell<BTreeMap<(usize, EntryId), Vec<String>>>>;

/// Names an entry for ever.
type EntryId = (Epoch, JournalId, Position);

/// What was found of the output journal of a core.
pub(super) struct OutputStart {
    pub(super) journal: Rc<RefCell<dyn SideJournal>>,
    /// The epoch that was found.
    pub(super) epoch: Epoch,
    pub(super) entries: Vec<OutputEntry>,
}

/// An entry that was found.
#[derive(Clone)]
pub(super) struct OutputEntry {
    pub(super) sink: u32,
    pub(super) epoch: Epoch,
    pub(super) journal: JournalId,
    pub(super) position: Position,
    pub(super) payload: Vec<u8>,
}

/// See the module.
pub(super) struct JournaledSink {
    number: usize,
    encoder: Box<dyn Encoder>,
    journal: Rc<RefCell<dyn SideJournal>>,
    /// Journals that entries were found in.
    journals: Vec<JournalId>,
    /// What is written now belongs to it.
    epoch: Epoch,
    committed: Epoch,
    /// Has found no room yet.
    waiting: VecDeque<(Epoch, Vec<u8>)>,
    /// In a journal, and not published.
    kept: VecDeque<OutputEntry>,
    published: Published,
    rng: fastrand::Rng,
    counters: SinkCounters,
}

impl JournaledSink {
    /// The sink of this number, which is its name as a user of the journal, in a run whose first epoch is
    /// the journal's open one.
    pub(super) fn new(
        number: usize,
        encoder: Box<dyn Encoder>,
        start: &OutputStart,
        published: &Published,
    ) -> JournaledSink {
        let is_own = |entry: &&OutputEntry| entry.sink as usize == number;
        let kept: VecDeque<_> = start.entries.iter().filter(is_own).cloned().collect();
        assert!(kept.iter().all(|entry| entry.epoch <= start.epoch), "output of no epoch");
        let mut journals: Vec<_> = start.entries.iter().map(|entry| entry.journal).collect();
        journals.push(start.journal.borrow().journal());
        journals.sort();
        journals.dedup();
        let epoch = start.journal.borrow().open_epoch();
        JournaledSink {
            number,
            encoder,
            journal: Rc::clone(&start.journal),
            journals,
            epoch,
            committed: start.epoch,
            waiting: VecDeque::new(),
            kept,
            published: Rc::clone(published),
            rng: fastrand::Rng::with_seed(epoch.number()),
            counters: SinkCounters::default(),
        }
    }

    fn append(&mut self) {
        let mut journal = self.journal.borrow_mut();
        let tag = u32::try_from(self.number).expect("three of them");
        while let Some((epoch, payload)) = self.waiting.pop_front() {
            let Ok(position) = journal.append(epoch, tag, &[&payload]) else {
                self.waiting.push_front((epoch, payload));
                break;
            };
            let journal = journal.journal();
            self.kept.push_back(OutputEntry { sink: tag, epoch, journal, position, payload });
        }
        let open = journal.open_epoch();
        journal.hold(self.number, self.waiting.iter().any(|(epoch, _)| *epoch == open));
    }

    fn publish(&mut self) {
        let is_decided = |entry: &mut OutputEntry| entry.epoch <= self.committed;
        if self.rng.bool()
            && let Some(entry) = self.kept.pop_front_if(is_decided)
        {
            let text = String::from_utf8(entry.payload).expect("JSON is UTF-8");
            let lines: Vec<String> = text.lines().map(str::to_owned).collect();
            self.counters.rows_out += lines.len() as u64;
            let id = (self.number, (entry.epoch, entry.journal, entry.position));
            let before = self.published.borrow_mut().insert(id, lines.clone());
            assert!(before.is_none_or(|before| before == lines), "an entry is always the same");
        }
    }
}

impl Sink for JournaledSink {
    fn write(&mut self, batch: &Batch, _: &mut dyn Io) {
        let mut bytes = Vec::new();
        self.encoder.encode(&batch.rows, &mut bytes);
        self.counters.rows_in += batch.len() as u64;
        self.waiting.push_back((self.epoch, bytes));
        self.append();
    }

    fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING_MAX
    }

    fn poll(&mut self, _: &mut dyn Io) -> bool {
        self.append();
        self.publish();
        false
    }

    fn end_epoch(&mut self, epoch: Epoch, _: &mut dyn Io) {
        self.append();
        self.epoch = Epoch::new(epoch.number() + 1);
        let mut journal = self.journal.borrow_mut();
        for &id in &self.journals {
            let first = self.kept.iter().find(|entry| entry.journal == id);
            journal.need_from(self.number, id, first.map(|entry| entry.position));
        }
    }

    fn commit(&mut self, epoch: Epoch, _: &mut dyn Io) {
        self.committed = epoch;
    }

    fn finish(&mut self, _: &mut dyn Io) -> bool {
        self.waiting.is_empty() && self.kept.is_empty()
    }

    fn take_failure(&mut self) -> Option<Failure> {
        None
    }

    fn counters(&self) -> &SinkCounters {
        &self.counters
    }
}
