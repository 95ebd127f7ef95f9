//! Store: the panes of one operator on one core, and what is written of them.
//!
//! In:  panes to be changed and dropped; barriers; turns in which something may be written.
//! Out: slices: what each epoch changed, and walks over everything (see `base`).
//!
//! Invariants
//! - A barrier costs the same whatever the operator holds: it exchanges lists.
//! - What an epoch's slices say is the state at its barrier: a pane notes what it was before it
//!   changes again, and one that is dropped before it was written is kept until then.
//! - In the slices of an epoch, drops come before entries: entries belong to the pane that there is
//!   now. What was changed in a pane before it was dropped is not written.
//!
//! Deliberately absent: which operator this is, and where the slices go.

use std::collections::BTreeMap;

use super::slice::{PaneWords, SliceWriter};
use super::{Tables, Tracking};

/// What a pane is named by.
pub trait PaneName: Copy + Ord {
    /// Its two words.
    fn words(self) -> PaneWords;
    /// The name with these words, if there is one.
    fn from_words(words: PaneWords) -> Option<Self>
    where
        Self: Sized;
}

/// What a pane holds.
pub trait PaneContent {
    /// Its tables.
    fn tables(&self) -> &Tables;
    /// Its tables.
    fn tables_mut(&mut self) -> &mut Tables;
    /// Input rows it represents on this core.
    fn rows(&self) -> u64;
    /// Sets them.
    fn set_rows(&mut self, rows: u64);
}

/// The panes of one operator.
#[derive(Debug)]
pub struct Store<P, V> {
    pub(super) panes: BTreeMap<P, Pane<V>>,
    /// Creations so far.
    serial: u64,
    /// `None` without durability.
    epochs: Option<Epochs<P, V>>,
    /// Given up, not yet freed.
    dropped: Vec<V>,
}

/// A pane, with what must be known to write it.
#[derive(Debug)]
pub(super) struct Pane<V> {
    pub(super) content: V,
    /// Tells it from another pane of the same name.
    pub(super) serial: u64,
    /// The epoch its tables note changes for.
    collects: u64,
    /// The epoch in whose list of changed panes it is; 0 before the first.
    listed: u64,
    /// Its rows at the end of the epoch before, until they are written.
    ended_rows: Option<u64>,
}

/// Bookkeeping of epochs. They are counted here: the current one, and the one that has ended.
#[derive(Debug)]
struct Epochs<P, V> {
    current: u64,
    changed: Vec<P>,
    dropped: Vec<P>,
    /// Of the epoch that has ended, not yet written.
    ended: Ended<P, V>,
    /// What was written last.
    note: Vec<i64>,
}

#[derive(Debug)]
struct Ended<P, V> {
    note: Option<Vec<i64>>,
    dropped: Vec<P>,
    changed: Vec<P>,
    /// Changed in it, and dropped since.
    kept: Vec<(P, Pane<V>)>,
}

impl<P: PaneName, V: PaneContent> Store<P, V> {
    /// No pane.
    pub fn new(tracking: Tracking) -> Store<P, V> {
        let epochs = (tracking == Tracking::On).then(Epochs::new);
        Store { panes: BTreeMap::new(), serial: 0, epochs, dropped: vec![] }
    }

    /// Whether what changes is to be written.
    pub fn tracking(&self) -> Tracking {
        if self.epochs.is_some() { Tracking::On } else { Tracking::Off }
    }

    /// A pane, to be read.
    pub fn get(&self, pane: P) -> Option<&V> {
        self.panes.get(&pane).map(|pane| &pane.content)
    }

    /// True when there is no pane.
    pub fn is_empty(&self) -> bool {
        self.panes.is_empty()
    }

    /// Number of panes.
    pub fn len(&self) -> usize {
        self.panes.len()
    }

    /// All panes, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (P, &V)> {
        self.panes.iter().map(|(name, pane)| (*name, &pane.content))
    }

    /// A pane, to be changed; `make` makes it if there is none.
    pub fn to_change(&mut self, name: P, make: impl FnOnce() -> V) -> &mut V {
        let pane = self.panes.entry(name).or_insert_with(|| {
            self.serial += 1;
            Pane::new(make(), self.serial)
        });
        if let Some(epochs) = &mut self.epochs
            && pane.listed != epochs.current
        {
            pane.collect_for(epochs.current);
            pane.listed = epochs.current;
            epochs.changed.push(name);
        }
        &mut pane.content
    }

    /// A pane, to take over what is kept of it already.
    pub(super) fn loading(&mut self, name: P, make: impl FnOnce() -> V) -> &mut V {
        let pane = self.panes.entry(name).or_insert_with(|| {
            self.serial += 1;
            Pane::new(make(), self.serial)
        });
        &mut pane.content
    }

    /// Puts in a pane that was read back; there is none of this name.
    pub fn put_loaded(&mut self, name: P, content: V) {
        self.serial += 1;
        let before = self.panes.insert(name, Pane::new(content, self.serial));
        assert!(before.is_none());
    }

    /// Gives a pane up. Its memory is freed by [`Store::free_some`].
    pub fn drop_pane(&mut self, name: P) {
        let mut pane = self.panes.remove(&name).expect("a pane that is dropped is there");
        let Some(epochs) = &mut self.epochs else { return self.dropped.push(pane.content) };
        epochs.dropped.push(name);
        if pane.listed == epochs.current {
            epochs.changed.retain(|changed| *changed != name);
        }
        match epochs.ended.changed.iter().position(|changed| *changed == name) {
            Some(unwritten) => {
                epochs.ended.changed.remove(unwritten);
                pane.collect_for(epochs.current);
                epochs.ended.kept.push((name, pane));
            }
            None => self.dropped.push(pane.content),
        }
    }

    /// Puts something aside to be freed with the dropped panes.
    pub fn free_later(&mut self, content: V) {
        self.dropped.push(content);
    }

    /// Frees a bounded part of what was given up; true when there is more.
    pub fn free_some(&mut self) -> bool {
        if let Some(content) = self.dropped.last_mut()
            && !content.tables_mut().free_some()
        {
            self.dropped.pop();
        }
        !self.dropped.is_empty()
    }

    /// Bytes allocated, with what has been given up and is not yet freed.
    pub fn bytes(&self) -> usize {
        let kept = self.epochs.iter().flat_map(|epochs| &epochs.ended.kept);
        let kept = kept.map(|(_, pane)| &pane.content);
        let live = self.panes.values().map(|pane| &pane.content);
        live.chain(kept).chain(&self.dropped).map(|content| content.tables().bytes()).sum()
    }

    /// Ends the epoch. `note` is what the operator keeps besides its panes.
    pub fn on_barrier(&mut self, note: &[i64]) {
        let Some(epochs) = &mut self.epochs else { return };
        let ended = &mut epochs.ended;
        assert!(ended.is_written(), "an epoch is written before the next one ends");
        ended.changed = std::mem::take(&mut epochs.changed);
        ended.dropped = std::mem::take(&mut epochs.dropped);
        ended.note = (epochs.note != note).then(|| note.to_vec());
        epochs.current += 1;
    }

    /// Writes what the epoch that has ended changed, as far as there is room; true when that was all.
    pub fn write_changes(&mut self, out: &mut SliceWriter) -> bool {
        let Some(epochs) = &mut self.epochs else { return true };
        let ended = &mut epochs.ended;
        if let Some(note) = ended.note.take() {
            out.operator_note(&note);
            epochs.note = note;
        }
        while !out.is_full() {
            if let Some(dropped) = ended.dropped.pop() {
                out.pane_dropped(dropped.words());
            } else if let Some((name, mut pane)) = ended.kept.pop() {
                if pane.write_changes(name.words(), out) {
                    self.dropped.push(pane.content);
                } else {
                    ended.kept.push((name, pane));
                }
            } else if let Some(&name) = ended.changed.last() {
                let pane = self.panes.get_mut(&name).expect("dropped panes are not in the list");
                pane.collect_for(epochs.current);
                if pane.write_changes(name.words(), out) {
                    ended.changed.pop();
                }
            } else {
                break;
            }
        }
        ended.is_written()
    }
}

impl<V: PaneContent> Pane<V> {
    fn new(content: V, serial: u64) -> Pane<V> {
        Pane { content, serial, collects: 0, listed: 0, ended_rows: None }
    }

    /// From now on its tables note the changes of epoch `current`; what they have noted is of the one
    /// before.
    fn collect_for(&mut self, current: u64) {
        if self.collects == current {
            return;
        }
        if self.collects > 0 {
            self.ended_rows = Some(self.content.rows());
            self.content.tables_mut().end_epoch();
        }
        self.collects = current;
    }

    fn write_changes(&mut self, name: PaneWords, out: &mut SliceWriter) -> bool {
        if let Some(rows) = self.ended_rows.take() {
            out.pane_note(name, rows);
        }
        self.content.tables_mut().write_changes(name, out)
    }
}

impl<P, V> Epochs<P, V> {
    fn new() -> Epochs<P, V> {
        let ended = Ended { note: None, dropped: vec![], changed: vec![], kept: vec![] };
        Epochs { current: 1, changed: vec![], dropped: vec![], ended, note: vec![] }
    }
}

impl<P, V> Ended<P, V> {
    fn is_written(&self) -> bool {
        let Ended { note, dropped, changed, kept } = self;
        note.is_none() && dropped.is_empty() && changed.is_empty() && kept.is_empty()
    }
}
