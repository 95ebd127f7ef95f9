//! What the entries of one state journal say must fit together: slices and the operators they are of,
//! manifests and the definitions they mean, keys and their hashes, key groups and their cores.
//!
//! Behind a gap only what does not depend on entries before it is checked.

use std::collections::BTreeMap;
use std::ops::Range;

use super::decoded::KeyReader;
use super::live::has_form;
use crate::checkpoint::{Definition, EntryTag, Manifest};
use crate::journal::{JournalEntry, Position};
use crate::record::{KeyGroup, KeyHasher};
use crate::state::{CorruptState, Record, Section, Slice, StateKey, ValueKind};
use crate::stdx::CoreId;

/// See the module.
pub(super) struct CoreCheck {
    core: CoreId,
    hasher: KeyHasher,
    /// Something before is not known.
    has_gap: bool,
    /// What follows may be the rest of a slice that is not known.
    is_rest: bool,
    /// Of a slice in parts.
    parts: Vec<u8>,
    /// What slices since the last manifest were about.
    seen: BTreeMap<StateKey, SeenOperator>,
    /// A slice stands behind the last manifest.
    is_open: bool,
    definition: Option<(Definition, u32)>,
    manifest: Option<Manifest>,
    readers: BTreeMap<StateKey, Vec<KeyReader>>,
    /// Where something is wrong, and what.
    pub(super) wrong: Vec<(Position, String)>,
}

/// What slices since the last manifest said of an operator.
struct SeenOperator {
    position: Position,
    /// Form of each table of which there were entries.
    tables: BTreeMap<u16, (bool, Vec<ValueKind>)>,
    /// The lowest and the highest key group.
    groups: Option<(u16, u16)>,
    /// A key of each table: the first.
    keys: BTreeMap<u16, Vec<u8>>,
}

impl CoreCheck {
    pub(super) fn new(core: CoreId, hasher: KeyHasher) -> CoreCheck {
        CoreCheck {
            core,
            hasher,
            has_gap: false,
            is_rest: false,
            parts: Vec::new(),
            seen: BTreeMap::new(),
            is_open: false,
            definition: None,
            manifest: None,
            readers: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    /// What stood here is not known.
    pub(super) fn gap(&mut self) {
        (self.has_gap, self.is_rest) = (true, true);
        self.parts.clear();
        self.seen.clear();
        self.definition = None;
    }

    /// The next entry.
    pub(super) fn entry(&mut self, entry: &JournalEntry<'_>) {
        let at = entry.position;
        let found = match EntryTag::from_number(entry.tag) {
            Some(EntryTag::SlicePart) => {
                self.is_open = true;
                self.parts.extend_from_slice(entry.payload);
                Ok(())
            }
            Some(EntryTag::Slice) => {
                self.is_open = true;
                let mut bytes = std::mem::take(&mut self.parts);
                bytes.extend_from_slice(entry.payload);
                match std::mem::take(&mut self.is_rest) {
                    true => Ok(()),
                    false => self.slice(&bytes, at).map_err(|error| error.to_string()),
                }
            }
            Some(EntryTag::Definition) => self.define(entry.payload),
            Some(EntryTag::Manifest) => self.end_epoch(entry),
            None => Err(format!("an entry with the unknown tag {}", entry.tag)),
        };
        if let Err(what) = found {
            self.wrong.push((at, what));
        }
    }

    /// Nothing follows. `epoch` is the newest one and `cores` took part in it; `to` is where it ends.
    /// `definition` is that of the first core.
    pub(super) fn end(
        &mut self,
        epoch: u64,
        cores: usize,
        to: Position,
        definition: Option<&Definition>,
    ) {
        if self.has_gap {
            return;
        }
        let what = match &self.manifest {
            None => "there is no manifest",
            Some(_) if self.is_open => "entries behind the last manifest",
            Some(_) if self.definition.is_none() => "the operators are not said",
            Some(manifest) if manifest.epoch.number() > epoch => "a manifest of a later epoch",
            Some(manifest) if usize::from(manifest.core_count) != cores => {
                "a manifest of another number of cores"
            }
            Some(_) if definition.is_some_and(|first| Some(first) != self.definition()) => {
                "the operators are not those of the other cores"
            }
            Some(_) => return,
        };
        self.wrong.push((to, what.to_owned()));
    }

    /// The operators of the last epoch.
    pub(super) fn definition(&self) -> Option<&Definition> {
        self.definition.as_ref().map(|(definition, _)| definition)
    }

    fn define(&mut self, payload: &[u8]) -> Result<(), String> {
        self.is_rest = false;
        let decoded = Definition::decode(payload).map_err(|error| format!("operators: {error}"))?;
        let operators = decoded.0.operators.iter();
        let readers = operators.map(|operator| {
            let tables = operator.schema.tables.iter();
            (operator.key, tables.map(|table| KeyReader::new(&table.keys)).collect())
        });
        self.readers = readers.collect();
        self.definition = Some(decoded);
        Ok(())
    }

    fn slice(&mut self, bytes: &[u8], at: Position) -> Result<(), CorruptState> {
        let mut slice = Slice::parse(bytes)?;
        let corrupt = |reason| Err(CorruptState { offset: 0, reason });
        if slice.core != self.core.number() {
            return corrupt("state of another core");
        }
        let nothing = || SeenOperator {
            position: at,
            tables: BTreeMap::new(),
            groups: None,
            keys: BTreeMap::new(),
        };
        let seen = self.seen.entry(slice.key).or_insert_with(nothing);
        while let Some(record) = slice.next_record()? {
            if let Record::Entries(section) = record {
                seen.take(section, self.hasher)?;
            }
        }
        Ok(())
    }

    fn end_epoch(&mut self, entry: &JournalEntry<'_>) -> Result<(), String> {
        let seen = std::mem::take(&mut self.seen);
        let is_rest = std::mem::take(&mut self.is_rest);
        self.is_open = false;
        let parts = std::mem::take(&mut self.parts);
        if !parts.is_empty() && !is_rest {
            return Err("the slice before it has no end".to_owned());
        }
        let manifest =
            Manifest::decode(entry.payload).map_err(|error| format!("manifest: {error}"))?;
        let is_later = self.manifest.as_ref().is_none_or(|last| last.epoch < manifest.epoch);
        if manifest.core != self.core || manifest.epoch.number() != entry.epoch || !is_later {
            return Err("a manifest of another core or epoch".to_owned());
        }
        let groups = KeyGroup::owned_by(manifest.core, manifest.core_count);
        let checksum = manifest.definition_checksum;
        self.manifest = Some(manifest);
        // That of an older epoch may be recycled.
        let Some((definition, known)) = &self.definition else { return Ok(()) };
        if *known != checksum {
            return Err("the operators before it are those of another job".to_owned());
        }
        seen.iter().try_for_each(|(key, operator)| self.fits(definition, *key, operator, &groups))
    }

    /// Slices of an operator are such as it writes on this core.
    fn fits(
        &self,
        definition: &Definition,
        key: StateKey,
        seen: &SeenOperator,
        groups: &Range<u16>,
    ) -> Result<(), String> {
        let from = seen.position;
        let Some(schema) = definition.schema(key) else {
            return Err(format!("state of operator {:x}, which there is not", key.operator));
        };
        for (number, (is_set, kinds)) in &seen.tables {
            let table = schema.tables.get(usize::from(*number));
            if !table.is_some_and(|table| has_form(table, *is_set, kinds)) {
                return Err(format!("entries of a table that there is not, from {from} on"));
            }
        }
        let outside = |(low, high)| !groups.contains(&low) || !groups.contains(&high);
        if seen.groups.is_some_and(outside) {
            return Err(format!("entries of other cores' key groups, from {from} on"));
        }
        let reader = self.readers.get(&key).and_then(|readers| readers.first());
        if !seen.keys.values().all(|bytes| reader.is_none_or(|reader| reader.is_key(bytes))) {
            return Err(format!("keys of another type, from {from} on"));
        }
        Ok(())
    }
}

impl SeenOperator {
    fn take(&mut self, mut section: Section<'_>, hasher: KeyHasher) -> Result<(), CorruptState> {
        let corrupt = |reason| Err(CorruptState { offset: 0, reason });
        let form = (section.is_set, section.kinds.clone());
        if *self.tables.entry(section.table).or_insert_with(|| form.clone()) != form {
            return corrupt("entries of a table in two forms");
        }
        while let Some(entry) = section.next_entry()? {
            if hasher.hash(entry.key) != entry.hash {
                return corrupt("a key with the hash of another");
            }
            self.keys.entry(section.table).or_insert_with(|| entry.key.to_vec());
            let group = KeyGroup::of_hash(entry.hash).number();
            let (low, high) = self.groups.unwrap_or((group, group));
            self.groups = Some((low.min(group), high.max(group)));
        }
        Ok(())
    }
}
