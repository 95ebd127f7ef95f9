//! What is left of all that was written: the entries that a restore would find.

use std::collections::BTreeMap;

use crate::checkpoint::{Definition, Manifest, Restore, RestoreError};
use crate::state::{CorruptState, PaneWords, Record, Section, StateKey, TableSchema, ValueKind};

/// What operators keep on one core.
#[derive(Default)]
pub(super) struct LiveCore {
    pub(super) operators: BTreeMap<StateKey, LiveOperator>,
}

/// What one of them keeps.
#[derive(Default)]
pub(super) struct LiveOperator {
    /// What it keeps besides its tables.
    pub(super) note: Vec<i64>,
    pub(super) panes: BTreeMap<PaneWords, LivePane>,
}

/// One pane.
#[derive(Default)]
pub(super) struct LivePane {
    /// Input rows it stands for.
    pub(super) rows: u64,
    pub(super) entries: BTreeMap<LiveKey, LiveEntry>,
}

/// What an entry goes by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LiveKey {
    pub(super) table: u16,
    pub(super) key: Box<[u8]>,
    /// In a set.
    pub(super) member: Box<[u8]>,
}

/// What is beside it.
pub(super) struct LiveEntry {
    /// Bytes of its values.
    pub(super) value_bytes: u64,
    /// The values, where somebody wants them.
    pub(super) values: Option<Box<[u8]>>,
}

impl LiveKey {
    /// Bytes of the key, and of the member.
    pub(super) fn bytes(&self) -> u64 {
        (self.key.len() + self.member.len()) as u64
    }
}

impl LiveCore {
    /// What the epoch of `restore` is on the core of `manifest`; values are kept of `wanted` alone.
    pub(super) fn of(
        restore: &Restore<'_>,
        manifest: &Manifest,
        wanted: Option<StateKey>,
    ) -> Result<LiveCore, RestoreError> {
        let contents = restore.contents();
        let definition = contents.definition();
        let mut core = LiveCore::default();
        restore.records(manifest, &mut |key, record| {
            core.take(definition, key, record, wanted == Some(key))
        })?;
        Ok(core)
    }

    fn take(
        &mut self,
        definition: &Definition,
        key: StateKey,
        record: Record<'_>,
        is_wanted: bool,
    ) -> Result<(), CorruptState> {
        let schema = definition.schema(key);
        let unknown = CorruptState { offset: 0, reason: "an operator that there is not" };
        let tables = &schema.ok_or(unknown)?.tables;
        let operator = self.operators.entry(key).or_default();
        match record {
            Record::OperatorNote(words) => operator.note = words,
            Record::PaneDropped(pane) => {
                operator.panes.remove(&pane);
            }
            Record::PaneNote { pane, rows } => operator.panes.entry(pane).or_default().rows = rows,
            Record::Entries(section) => {
                check_form(&section, tables)?;
                let pane = operator.panes.entry(section.pane).or_default();
                pane.take(section, is_wanted)?;
            }
        }
        Ok(())
    }
}

impl LivePane {
    fn take(&mut self, mut section: Section<'_>, is_wanted: bool) -> Result<(), CorruptState> {
        let table = section.table;
        while let Some(entry) = section.next_entry()? {
            let key = LiveKey { table, key: entry.key.into(), member: entry.member.into() };
            let values = is_wanted.then(|| entry.encoded.into());
            let value_bytes = entry.encoded.len() as u64;
            self.entries.insert(key, LiveEntry { value_bytes, values });
        }
        Ok(())
    }
}

/// Entries with these values are those of the table.
pub(super) fn has_form(table: &TableSchema, is_set: bool, kinds: &[ValueKind]) -> bool {
    let known = table.values.iter().map(|value| value.kind);
    table.is_set == is_set && known.eq(kinds.iter().copied())
}

/// A section is one of a table that there is.
fn check_form(section: &Section<'_>, tables: &[TableSchema]) -> Result<(), CorruptState> {
    let corrupt = |reason| CorruptState { offset: 0, reason };
    let Some(table) = tables.get(usize::from(section.table)) else {
        return Err(corrupt("entries of a table that the operator does not have"));
    };
    if !has_form(table, section.is_set, &section.kinds) {
        return Err(corrupt("entries that are not those of their table"));
    }
    Ok(())
}
