//! Keyed table: entries, their values of any length, and what must be written of them.
//!
//! In:  keys whose entries are about to be changed; members of sets.
//! Out: entries to change in place; encoded entries of an epoch or of a walk; entries read back.
//!
//! Whoever changes an entry gets it from [`KeyedTable::to_change`], which notes the change before it
//! happens. Without durability that is one branch per batch.

use std::sync::Arc;

use super::changes::{Changes, EarlyPiece, Touch, UNCHANGED};
use super::slice::{CorruptState, Section, SectionEntry, SliceWriter, Value};
use super::{
    Cursor, EntryRef, Heap, HeapSlot, PaneWords, StateSchema, Table, TableSchema, Tracking,
};
use crate::record::KeyGroup;

/// Bytes of the number that a set's keys begin with.
const NUMBER_BYTES: usize = 4;

/// One table of one pane.
#[derive(Debug)]
pub struct KeyedTable {
    schema: Arc<StateSchema>,
    /// Which of the schema's tables.
    number: usize,
    rows: Table,
    heap: Heap,
    /// `None` without durability.
    changes: Option<Changes>,
}

impl KeyedTable {
    pub(super) fn new(schema: &Arc<StateSchema>, number: usize, tracking: Tracking) -> KeyedTable {
        KeyedTable {
            rows: Table::new(schema.tables[number].words()),
            schema: Arc::clone(schema),
            number,
            heap: Heap::default(),
            changes: (tracking == Tracking::On).then(Changes::new),
        }
    }

    /// The entries, to be read.
    pub fn rows(&self) -> &Table {
        &self.rows
    }

    /// The entries, to change the words of those that [`KeyedTable::to_change`] gave for this call.
    pub fn rows_mut(&mut self) -> &mut Table {
        &mut self.rows
    }

    /// The value of a slot.
    pub fn value(&self, slot: HeapSlot) -> Option<&[u8]> {
        self.heap.get(slot)
    }

    /// Sets a value in two words of an entry that [`KeyedTable::to_change`] gave.
    pub fn set_value(&mut self, entry: EntryRef, word: usize, value: &[u8]) {
        set_value(&mut self.rows, &mut self.heap, entry, word, value);
    }

    /// Appends to a value in two words of an entry that [`KeyedTable::to_change`] gave; its length.
    pub fn append_value(&mut self, entry: EntryRef, word: usize, more: &[u8]) -> u64 {
        let words = [word, word + 1].map(|word| self.rows.word(entry, word));
        let new = self.heap.append(HeapSlot::from_words(words), more);
        self.rows.update(entry, word, |_: [u64; 2]| new.to_words());
        new.length()
    }

    /// The entries of many keys, which the caller is about to change: the hash of each, and `key` of
    /// its row. Those that are not there yet are added with the words `initial`.
    pub fn to_change<'k>(
        &mut self,
        hashes: &[u64],
        key: impl Fn(usize) -> &'k [u8],
        initial: &[u64],
        found: &mut Vec<EntryRef>,
    ) {
        self.rows.find_or_insert_all(hashes, key, initial, found);
        if self.changes.is_some() {
            self.touch_all(found);
        }
    }

    /// Hot with durability: the mark lies beside the words that are about to be changed.
    fn touch_all(&mut self, entries: &[EntryRef]) {
        let KeyedTable { schema, number, rows, heap, changes, .. } = self;
        let changes = changes.as_mut().expect("asked for with durability only");
        for &entry in entries {
            match changes.touch(rows.mark(entry)) {
                Touch::Known => continue,
                Touch::Mark => {}
                Touch::WriteAndMark => {
                    let values = &schema.tables[*number];
                    encode(rows, heap, values, entry, changes.early());
                }
            }
            rows.set_mark(entry, changes.mark());
            changes.push(entry.number());
        }
    }

    /// Adds a member to the set of an entry of the first table, which bears `number`; true when it is
    /// new. `key` begins with that number.
    pub fn add_member(&mut self, member_hash: u64, number: u32, key: &[u8]) -> bool {
        debug_assert_eq!(key[..NUMBER_BYTES], number.to_le_bytes());
        let (entry, is_new) = self.rows.find_or_insert(mix(member_hash, number), key, &[]);
        if is_new && let Some(changes) = &mut self.changes {
            self.rows.set_mark(entry, changes.mark());
            changes.push(entry.number());
        }
        is_new
    }

    /// The next member of a set at `cursor`: the entry it belongs to, and its bytes.
    pub fn next_member(&self, cursor: &mut Cursor) -> Option<(EntryRef, &[u8])> {
        self.rows.next(cursor).map(|entry| split_member(entry.key))
    }

    /// Bytes allocated.
    pub fn bytes(&self) -> usize {
        let changes = self.changes.as_ref().map_or(0, Changes::bytes);
        self.rows.bytes() + self.heap.bytes() + changes
    }

    /// Frees a bounded part of the memory; true when there is more. The table is no longer usable.
    pub(super) fn free_some(&mut self) -> bool {
        self.changes = None;
        self.rows.free_some() || self.heap.free_some()
    }

    /// An epoch ends.
    pub(super) fn end_epoch(&mut self) {
        self.changes.as_mut().expect("epochs end with durability only").end_epoch();
    }

    /// Writes what the epoch that has ended changed, as far as there is room; true when that was all.
    /// `first` is the first table of the pane, for a set.
    pub(super) fn write_changes(
        &mut self,
        first: Option<&KeyedTable>,
        pane: PaneWords,
        out: &mut SliceWriter,
    ) -> bool {
        let KeyedTable { schema, number, rows, heap, changes } = self;
        let Some(changes) = changes else { return true };
        let schema = &schema.tables[*number];
        let table = table_number(*number);
        while !out.is_full()
            && let Some(EarlyPiece { bytes, entries }) = changes.take_early()
        {
            out.entries(pane, table, schema, entries).extend_from_slice(&bytes);
        }
        while !out.is_full() {
            let Some((entry, mark)) = changes.next_ending() else { return true };
            let entry = EntryRef::from_number(entry);
            if rows.mark(entry) == mark {
                rows.set_mark(entry, UNCHANGED);
                let bytes = out.entries(pane, table, schema, 1);
                encode_any(first, rows, heap, schema, entry, bytes);
            } else {
                out.pass_over();
            }
        }
        !changes.is_ending()
    }

    /// Writes the entries at `cursor` whose key group is in `groups`, as far as there is room; true at
    /// the end.
    pub(super) fn write_all(
        &self,
        first: Option<&KeyedTable>,
        pane: PaneWords,
        groups: &std::ops::Range<u16>,
        cursor: &mut Cursor,
        out: &mut SliceWriter,
    ) -> bool {
        let schema = &self.schema.tables[self.number];
        while !out.is_full() {
            let Some(entry) = self.rows.next(cursor) else { return true };
            let hash = match first {
                Some(first) => first.rows.read(split_member(entry.key).0).hash,
                None => entry.hash,
            };
            if groups.contains(&KeyGroup::of_hash(hash).number()) {
                let bytes = out.entries(pane, table_number(self.number), schema, 1);
                encode_any(first, &self.rows, &self.heap, schema, entry.reference, bytes);
            } else {
                out.pass_over();
            }
        }
        false
    }

    /// Takes over an entry of the first table.
    pub(super) fn load(&mut self, section: &Section<'_>, entry: &SectionEntry<'_>) {
        let initial = vec![0; self.schema.tables[self.number].words()];
        let (at, _) = self.rows.find_or_insert(entry.hash, entry.key, &initial);
        let mut word = 0;
        for (value, kind) in section.values(entry).zip(&section.kinds) {
            match value {
                Value::Word(bits) => self.rows.update(at, word, |_: [u64; 1]| [bits]),
                Value::Pair(bits) => self.rows.update(at, word, |_: [u64; 2]| bits),
                Value::Bytes(Some(bytes)) => self.set_value(at, word, bytes),
                Value::Bytes(None) => {
                    self.rows.update(at, word, |_: [u64; 2]| HeapSlot::EMPTY.to_words());
                }
            }
            word += kind.words();
        }
    }

    /// Takes over a member of a set. A key without an entry gets one: it has been changed later, and
    /// its values follow.
    pub(super) fn load_member(
        &mut self,
        first: &mut KeyedTable,
        entry: &SectionEntry<'_>,
        member_hash: u64,
    ) {
        let initial = vec![0; first.schema.tables[0].words()];
        let (owner, _) = first.rows.find_or_insert(entry.hash, entry.key, &initial);
        let number = owner.number();
        let mut key = number.to_le_bytes().to_vec();
        key.extend_from_slice(entry.member);
        self.rows.find_or_insert(mix(member_hash, number), &key, &[]);
    }

    /// An error unless the section's entries are of this table's form.
    pub(super) fn check_form(&self, section: &Section<'_>) -> Result<(), CorruptState> {
        let schema = &self.schema.tables[self.number];
        if section.is_set != schema.is_set || !schema.kinds().eq(section.kinds.iter().copied()) {
            return Err(section.corrupt("entries of another form than the operator's"));
        }
        Ok(())
    }
}

/// The hash of a member in its set.
fn mix(hash: u64, number: u32) -> u64 {
    let mixed = (hash ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 32)
}

/// The entry a set's key belongs to, and the member.
fn split_member(key: &[u8]) -> (EntryRef, &[u8]) {
    let (number, member) = key.split_at(NUMBER_BYTES);
    let number = u32::from_le_bytes(number.try_into().expect("split at 4 bytes"));
    (EntryRef::from_number(number), member)
}

fn table_number(number: usize) -> u16 {
    u16::try_from(number).expect("an operator has few tables")
}

fn set_value(rows: &mut Table, heap: &mut Heap, entry: EntryRef, word: usize, value: &[u8]) {
    let old = HeapSlot::from_words([rows.word(entry, word), rows.word(entry, word + 1)]);
    let new = heap.replace(old, value);
    rows.update(entry, word, |_: [u64; 2]| new.to_words());
}

/// Appends an entry, of a set if `first` is the table its members belong to.
fn encode_any(
    first: Option<&KeyedTable>,
    rows: &Table,
    heap: &Heap,
    schema: &TableSchema,
    entry: EntryRef,
    out: &mut Vec<u8>,
) {
    let Some(first) = first else { return encode(rows, heap, schema, entry, out) };
    let (owner, member) = split_member(rows.read(entry).key);
    let owner = first.rows.read(owner);
    out.extend_from_slice(&owner.hash.to_le_bytes());
    put_bytes(owner.key, 0, out);
    put_bytes(member, 0, out);
}

/// Appends hash, key and values of an entry.
fn encode(rows: &Table, heap: &Heap, schema: &TableSchema, at: EntryRef, out: &mut Vec<u8>) {
    let entry = rows.read(at);
    out.extend_from_slice(&entry.hash.to_le_bytes());
    put_bytes(entry.key, 0, out);
    let mut word = 0;
    for kind in schema.kinds() {
        if kind.is_in_heap() {
            let slot = HeapSlot::from_words([entry.word(word), entry.word(word + 1)]);
            match heap.get(slot) {
                Some(value) => put_bytes(value, 1, out),
                None => out.extend_from_slice(&0_u32.to_le_bytes()),
            }
        } else {
            for index in word..word + kind.words() {
                out.extend_from_slice(&entry.word(index).to_le_bytes());
            }
        }
        word += kind.words();
    }
}

/// Appends length + `more`, and the bytes.
fn put_bytes(bytes: &[u8], more: u32, out: &mut Vec<u8>) {
    let length = u32::try_from(bytes.len()).expect("a value of a batch is shorter than 2 GiB");
    out.extend_from_slice(&(length + more).to_le_bytes());
    out.extend_from_slice(bytes);
}
