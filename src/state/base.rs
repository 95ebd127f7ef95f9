//! Bases and restoring: all live entries of a store, walked while records keep flowing, and read back.
//!
//! A base is *fuzzy*: each entry is written as it is when the walk comes by. It begins behind the
//! barrier of an epoch *b* and ends before the barrier of an epoch *c*. Restoring a state *x* ≥ *c*
//! reads the base and the increments *b* + 1 … *x*, in the order in which they were written or the
//! base first, and what is read later replaces what was read before. That gives the state at *x*:
//!
//! - Increments hold values, not differences. An entry that was changed in any of the epochs
//!   *b* + 1 … *x* has in the last of them its value at *x*. A slice of the base that is read after it
//!   was written after it, and before *c* ≤ *x*: with the same value, since no later epoch changed it.
//! - An entry that was not changed in those epochs has had its value at *x* since *b*. Its pane was
//!   not dropped meanwhile (a pane made anew has changed entries only), so the walk, which leaves out
//!   no pane and no entry there was at *b*, has met it.
//! - Nothing else remains. A pane that the base holds and *x* does not was dropped in one of those
//!   epochs, and the drop was written after the base's slices of it: the walk does not meet a pane
//!   that is gone, and the increment is written after the drop. If a pane of its name was made
//!   afterwards in the same epoch, the base may hold entries of that one before the drop; all of them
//!   were changed in that epoch, and follow the drop.
//! - A member of a set may be met when its owner was not, if both came after the walk had passed the
//!   owners. Then the owner was changed after *b*, and its values are in an increment.

use std::ops::{Bound, Range};

use super::LoadOptions;
use super::slice::{CorruptState, Record, SliceWriter};
use super::store::{Pane, PaneContent, PaneName, Store};
use super::tables::TablesCursor;

/// Where the walk over a store stands. Stays valid while panes come, grow and go.
#[derive(Clone, Copy, Debug)]
pub struct BaseCursor<P> {
    note_written: bool,
    at: Option<PanePlace<P>>,
    is_end: bool,
}

#[derive(Clone, Copy, Debug)]
struct PanePlace<P> {
    name: P,
    /// Of the pane that the rest is about.
    serial: u64,
    rows_written: bool,
    tables: TablesCursor,
}

impl<P> Default for BaseCursor<P> {
    fn default() -> BaseCursor<P> {
        BaseCursor { note_written: false, at: None, is_end: false }
    }
}

impl<P: PaneName, V: PaneContent> Store<P, V> {
    /// Writes what is at `cursor` and in `groups`, as far as there is room; true at the end. `note` is
    /// what the operator keeps besides its panes.
    pub fn write_base(
        &self,
        note: &[i64],
        groups: &Range<u16>,
        cursor: &mut BaseCursor<P>,
        out: &mut SliceWriter,
    ) -> bool {
        if !std::mem::replace(&mut cursor.note_written, true) {
            out.operator_note(note);
        }
        while !cursor.is_end && !out.is_full() {
            let Some((name, pane)) = self.pane_at(cursor) else {
                cursor.is_end = true;
                break;
            };
            let mut place = match cursor.at {
                Some(place) if place.name == name && place.serial == pane.serial => place,
                _ => PanePlace::before(name, pane.serial),
            };
            if !std::mem::replace(&mut place.rows_written, true) {
                out.pane_note(name.words(), pane.content.rows());
            }
            let tables = pane.content.tables();
            let finished = tables.write_all(name.words(), groups, &mut place.tables, out);
            cursor.at = Some(place);
            if !finished {
                return false;
            }
            let behind = (Bound::Excluded(name), Bound::Unbounded);
            match self.panes.range(behind).next() {
                Some((&later, next)) => cursor.at = Some(PanePlace::before(later, next.serial)),
                None => cursor.is_end = true,
            }
        }
        cursor.is_end
    }

    /// The pane the cursor is in or, when that is gone, the next one.
    fn pane_at(&self, cursor: &BaseCursor<P>) -> Option<(P, &Pane<V>)> {
        let from = match &cursor.at {
            Some(place) => self.panes.range(place.name..).next(),
            None => self.panes.first_key_value(),
        };
        from.map(|(name, pane)| (*name, pane))
    }

    /// Takes over a record; `make` makes a pane. An operator's note is the operator's own matter.
    ///
    /// # Errors
    /// When the record does not fit the operator.
    pub fn load(
        &mut self,
        record: Record<'_>,
        options: &LoadOptions,
        make: impl Fn() -> V,
    ) -> Result<(), CorruptState> {
        let unknown = CorruptState { offset: 0, reason: "a pane that the operator cannot have" };
        match record {
            Record::OperatorNote(_) => {}
            Record::PaneDropped(words) => {
                self.panes.remove(&P::from_words(words).ok_or(unknown)?);
            }
            Record::PaneNote { pane, rows } => {
                let name = P::from_words(pane).ok_or(unknown)?;
                if options.takes_notes {
                    self.loading(name, make).set_rows(rows);
                }
            }
            Record::Entries(section) => {
                let name = P::from_words(section.pane).ok_or(unknown)?;
                let was_there = self.get(name).is_some();
                let content = self.loading(name, make);
                content.tables_mut().load(section, options)?;
                if !was_there && content.tables().is_empty() {
                    self.panes.remove(&name);
                }
            }
        }
        Ok(())
    }

    /// All panes, taken out.
    pub fn into_panes(self) -> impl Iterator<Item = (P, V)> {
        self.panes.into_iter().map(|(name, pane)| (name, pane.content))
    }
}

impl<P> PanePlace<P> {
    fn before(name: P, serial: u64) -> PanePlace<P> {
        PanePlace { name, serial, rows_written: false, tables: TablesCursor::default() }
    }
}
