//! The tables of one pane, or of an operator without panes.

use std::sync::Arc;

use super::slice::{CorruptState, Section, SliceWriter};
use super::{Cursor, KeyedTable, PaneWords, StateSchema, Tracking};
use crate::record::{KeyGroup, KeyHasher};

/// The tables of a schema: the groups, and sets that belong to them.
#[derive(Debug)]
pub struct Tables {
    /// Never empty.
    tables: Vec<KeyedTable>,
}

/// Where a walk over all entries stands.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct TablesCursor {
    table: usize,
    cursor: Cursor,
}

/// What is taken over of state that was kept.
#[derive(Clone, Debug)]
pub struct LoadOptions {
    /// Key groups of this core.
    pub groups: std::ops::Range<u16>,
    /// The job's key hash.
    pub hasher: KeyHasher,
    /// What belongs to the writing core and to no key is taken over, too.
    pub takes_notes: bool,
}

impl Tables {
    /// Empty tables.
    pub fn new(schema: &Arc<StateSchema>, tracking: Tracking) -> Tables {
        let numbers = 0..schema.tables.len();
        let tables: Vec<KeyedTable> =
            numbers.map(|number| KeyedTable::new(schema, number, tracking)).collect();
        assert!(!tables.is_empty() && !schema.tables[0].is_set);
        // A member never changes, so it is never written early, without the table it belongs to.
        assert!(schema.tables[1..].iter().all(|table| table.is_set && table.values.is_empty()));
        Tables { tables }
    }

    /// The groups.
    pub fn groups(&self) -> &KeyedTable {
        &self.tables[0]
    }

    /// The groups.
    pub fn groups_mut(&mut self) -> &mut KeyedTable {
        &mut self.tables[0]
    }

    /// Set `index` of the groups, from 0.
    pub fn set(&self, index: usize) -> &KeyedTable {
        &self.tables[1 + index]
    }

    /// Set `index` of the groups, from 0.
    pub fn set_mut(&mut self, index: usize) -> &mut KeyedTable {
        &mut self.tables[1 + index]
    }

    /// Number of groups.
    pub fn len(&self) -> usize {
        self.groups().rows().len()
    }

    /// True when there is no group.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes allocated.
    pub fn bytes(&self) -> usize {
        self.tables.iter().map(KeyedTable::bytes).sum()
    }

    /// Frees a bounded part of the memory; true when there is more. Not usable afterwards.
    pub fn free_some(&mut self) -> bool {
        self.tables.iter_mut().any(KeyedTable::free_some)
    }

    pub(super) fn end_epoch(&mut self) {
        self.tables.iter_mut().for_each(KeyedTable::end_epoch);
    }

    /// Writes what the epoch that has ended changed, groups before their members; true when that was
    /// all.
    pub(super) fn write_changes(&mut self, pane: PaneWords, out: &mut SliceWriter) -> bool {
        let (first, sets) = self.tables.split_first_mut().expect("never empty");
        first.write_changes(None, pane, out)
            && sets.iter_mut().all(|set| set.write_changes(Some(first), pane, out))
    }

    /// Writes the entries at `cursor` that are in `groups`; true at the end.
    pub(super) fn write_all(
        &self,
        pane: PaneWords,
        groups: &std::ops::Range<u16>,
        at: &mut TablesCursor,
        out: &mut SliceWriter,
    ) -> bool {
        let first = &self.tables[0];
        while let Some(table) = self.tables.get(at.table) {
            let owner = (at.table > 0).then_some(first);
            if !table.write_all(owner, pane, groups, &mut at.cursor, out) {
                return false;
            }
            *at = TablesCursor { table: at.table + 1, cursor: Cursor::Start };
            if out.is_full() {
                return at.table == self.tables.len();
            }
        }
        true
    }

    /// Takes over the entries of a section that are in the groups asked for.
    ///
    /// # Errors
    /// When they are not entries of this schema.
    pub(super) fn load(
        &mut self,
        mut section: Section<'_>,
        options: &LoadOptions,
    ) -> Result<(), CorruptState> {
        let number = usize::from(section.table);
        let Some(table) = self.tables.get(number) else {
            return Err(section.corrupt("entries of a table that the operator does not have"));
        };
        table.check_form(&section)?;
        while let Some(entry) = section.next_entry()? {
            if !options.groups.contains(&KeyGroup::of_hash(entry.hash).number()) {
                continue;
            }
            if number == 0 {
                self.tables[0].load(&section, &entry);
            } else {
                let (first, sets) = self.tables.split_first_mut().expect("never empty");
                let member_hash = options.hasher.hash(entry.member);
                sets[number - 1].load_member(first, &entry, member_hash);
            }
        }
        Ok(())
    }
}
