//! Table: the keyed entries of one (operator, pane) on one core.
//!
//! In:  keys as canonical bytes, with their hashes; fixed-width words beside each.
//! Out: the words, by entry; all entries, in the order in which they came.
//!
//! An entry lies in the arena as: hash (8 bytes), length of the key (4), mark of the epoch that
//! changed it (4, see `changes`; zero while nothing is kept beyond the process), the words (8 each),
//! the key, padding to 8. It never moves and is never removed alone: a table is dropped whole, a few
//! chunks at a time. A BIGINT key with one word takes 40 bytes, and 11 to 22 in the index.

use super::arena::{Arena, Position};
use super::index::Index;

const HEADER_BYTES: usize = 16;
const MARK_AT: usize = 12;
const WORD_BYTES: usize = 8;

/// Keyed entries of `words` 64-bit words each.
#[derive(Debug)]
pub struct Table {
    words: usize,
    arena: Arena,
    index: Index,
    entries: usize,
}

/// An entry of one table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryRef(Position);

impl EntryRef {
    /// A number that identifies the entry in its table.
    #[inline]
    pub fn number(self) -> u32 {
        self.0.0
    }

    /// The entry that [`EntryRef::number`] identified.
    pub fn from_number(number: u32) -> EntryRef {
        EntryRef(Position(number))
    }
}

/// An entry, read.
#[derive(Clone, Copy, Debug)]
pub struct Entry<'a> {
    /// Which.
    pub reference: EntryRef,
    /// Hash of its key.
    pub hash: u64,
    /// Its key.
    pub key: &'a [u8],
    words: &'a [u8],
}

impl Entry<'_> {
    /// Word `index`.
    #[inline]
    pub fn word(&self, index: usize) -> u64 {
        read_u64(self.words, index * WORD_BYTES)
    }
}

/// Where an iteration stands. Stays valid while the table grows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Cursor {
    /// Before the first entry.
    #[default]
    Start,
    /// Before this entry.
    At(EntryRef),
    /// Behind the last entry there was.
    End,
}

impl Table {
    /// An empty table of entries with `words` words.
    pub fn new(words: usize) -> Table {
        Table { words, arena: Arena::default(), index: Index::new(), entries: 0 }
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.entries
    }

    /// True when there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// Bytes allocated.
    pub fn bytes(&self) -> usize {
        self.arena.bytes() + self.index.bytes()
    }

    /// The entries of many keys: the hash of each, and `key` of its row. Those that are not there
    /// yet are added with the words `initial`. `found` is cleared first.
    ///
    /// Hot. In two passes, so that the processor has many index and then many entry accesses under
    /// way at once: most of them miss its caches.
    pub fn find_or_insert_all<'k>(
        &mut self,
        hashes: &[u64],
        key: impl Fn(usize) -> &'k [u8],
        initial: &[u64],
        found: &mut Vec<EntryRef>,
    ) {
        /// No arena reaches this position.
        const NONE: u32 = u32::MAX;
        found.clear();
        found.extend(
            hashes
                .iter()
                .map(|&hash| EntryRef(Position(self.index.find(hash, |_| true).unwrap_or(NONE)))),
        );
        for (row, entry) in found.iter_mut().enumerate() {
            let key = key(row);
            if entry.number() == NONE || !self.has_key(*entry, key) {
                *entry = self.find_or_insert(hashes[row], key, initial).0;
            }
        }
    }

    /// The entry of one key; true when it has just been added, with the words `initial`.
    pub fn find_or_insert(&mut self, hash: u64, key: &[u8], initial: &[u64]) -> (EntryRef, bool) {
        match self.find(hash, key) {
            Some(entry) => (entry, false),
            None => (self.insert(hash, key, initial), true),
        }
    }

    /// The entry of a key.
    pub fn find(&self, hash: u64, key: &[u8]) -> Option<EntryRef> {
        let matches = |position| self.has_key(EntryRef(Position(position)), key);
        self.index.find(hash, matches).map(|position| EntryRef(Position(position)))
    }

    fn insert(&mut self, hash: u64, key: &[u8], initial: &[u64]) -> EntryRef {
        assert_eq!(initial.len(), self.words);
        let key_length = u32::try_from(key.len()).expect("keys of one batch fit in 4 GiB");
        let position = self.arena.append(self.entry_bytes(key.len()), |chunk| {
            chunk.extend_from_slice(&hash.to_le_bytes());
            chunk.extend_from_slice(&key_length.to_le_bytes());
            chunk.extend_from_slice(&0_u32.to_le_bytes());
            for word in initial {
                chunk.extend_from_slice(&word.to_le_bytes());
            }
            chunk.extend_from_slice(key);
        });
        self.index.insert(hash, position.0);
        self.entries += 1;
        EntryRef(position)
    }

    fn entry_bytes(&self, key_bytes: usize) -> usize {
        HEADER_BYTES + self.words * WORD_BYTES + key_bytes
    }

    #[inline]
    fn has_key(&self, entry: EntryRef, key: &[u8]) -> bool {
        let bytes = self.arena.bytes_from(entry.0);
        let start = HEADER_BYTES + self.words * WORD_BYTES;
        read_u32(bytes, 8) as usize == key.len()
            && keys_equal(&bytes[start..start + key.len()], key)
    }

    /// An entry's hash, key and words.
    #[inline]
    pub fn read(&self, entry: EntryRef) -> Entry<'_> {
        let bytes = self.arena.bytes_from(entry.0);
        let key_start = HEADER_BYTES + self.words * WORD_BYTES;
        let key_end = key_start + read_u32(bytes, 8) as usize;
        Entry {
            reference: entry,
            hash: read_u64(bytes, 0),
            key: &bytes[key_start..key_end],
            words: &bytes[HEADER_BYTES..key_start],
        }
    }

    /// Word `index` of an entry.
    #[inline]
    pub fn word(&self, entry: EntryRef, index: usize) -> u64 {
        assert!(index < self.words);
        read_u64(self.arena.bytes_from(entry.0), HEADER_BYTES + index * WORD_BYTES)
    }

    /// `N` words of an entry from `index` on, to be changed.
    #[inline]
    pub fn update<const N: usize>(
        &mut self,
        entry: EntryRef,
        index: usize,
        change: impl FnOnce([u64; N]) -> [u64; N],
    ) {
        assert!(index + N <= self.words);
        let start = HEADER_BYTES + index * WORD_BYTES;
        let bytes = &mut self.arena.bytes_mut_from(entry.0)[start..start + N * WORD_BYTES];
        let changed = change(std::array::from_fn(|word| read_u64(bytes, word * WORD_BYTES)));
        for (place, word) in bytes.chunks_exact_mut(WORD_BYTES).zip(changed) {
            place.copy_from_slice(&word.to_le_bytes());
        }
    }

    /// The entry's mark: see `changes`. New ones bear none.
    #[inline]
    pub(super) fn mark(&self, entry: EntryRef) -> u32 {
        read_u32(self.arena.bytes_from(entry.0), MARK_AT)
    }

    #[inline]
    pub(super) fn set_mark(&mut self, entry: EntryRef, mark: u32) {
        self.arena.bytes_mut_from(entry.0)[MARK_AT..MARK_AT + 4]
            .copy_from_slice(&mark.to_le_bytes());
    }

    /// The entry at `cursor`, which moves on; `None` behind the last.
    #[inline]
    pub fn next(&self, cursor: &mut Cursor) -> Option<Entry<'_>> {
        let reference = match *cursor {
            Cursor::Start => EntryRef(self.arena.first()?),
            Cursor::At(entry) => entry,
            Cursor::End => return None,
        };
        let entry = self.read(reference);
        let next = self.arena.after(reference.0, self.entry_bytes(entry.key.len()));
        *cursor = next.map_or(Cursor::End, |position| Cursor::At(EntryRef(position)));
        Some(entry)
    }

    /// Frees a bounded part of the memory; true when there is more. The table is no longer usable.
    pub fn free_some(&mut self) -> bool {
        self.entries = 0;
        self.index.free_some() || self.arena.free_some()
    }
}

#[inline]
fn read_u64(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a range of 8 bytes"))
}

#[inline]
fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a range of 4 bytes"))
}

/// Equality of two keys of one length, without a call for the commonest one: a BIGINT's 9 bytes.
#[inline]
pub fn keys_equal(left: &[u8], right: &[u8]) -> bool {
    match (<&[u8; 9]>::try_from(left), <&[u8; 9]>::try_from(right)) {
        (Ok(left), Ok(right)) => left == right,
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::KeyHasher;
    use std::collections::BTreeMap;

    fn hash(key: &[u8]) -> u64 {
        KeyHasher::new(5).hash(key)
    }

    /// Adds to random keys, one by one and many at once, beside a model.
    fn model_run(seed: u64, steps: usize, keys: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut table = Table::new(2);
        let mut model: BTreeMap<Vec<u8>, (u64, u64)> = BTreeMap::new();
        let mut found = Vec::new();
        for _ in 0..steps {
            let batch: Vec<Vec<u8>> = (0..random.usize(0..60))
                .map(|_| {
                    let number = random.u64(0..keys);
                    let length = usize::try_from(number % 19).unwrap();
                    number.to_le_bytes().into_iter().cycle().take(8 + length).collect()
                })
                .collect();
            let hashes: Vec<u64> = batch.iter().map(|key| hash(key)).collect();
            table.find_or_insert_all(&hashes, |row| &batch[row], &[0, 7], &mut found);
            for (key, &entry) in batch.iter().zip(&found) {
                table.update(entry, 0, |[count, seven]: [u64; 2]| {
                    [count + 1, seven.wrapping_mul(3)]
                });
                let expected = model.entry(key.clone()).or_insert((0, 7));
                *expected = (expected.0 + 1, expected.1.wrapping_mul(3));
            }
        }
        assert_eq!(table.len(), model.len(), "seed {seed}");
        for (key, expected) in &model {
            let entry = table.find(hash(key), key).unwrap();
            assert_eq!((table.word(entry, 0), table.word(entry, 1)), *expected, "seed {seed}");
        }
        let mut cursor = Cursor::default();
        let mut seen = BTreeMap::new();
        while let Some(entry) = table.next(&mut cursor) {
            assert_eq!(entry.hash, hash(entry.key));
            seen.insert(entry.key.to_vec(), (entry.word(0), entry.word(1)));
        }
        assert_eq!(seen, model, "seed {seed}");
        assert_eq!(table.find(hash(b"absent"), b"absent"), None);
    }

    #[test]
    fn a_table_agrees_with_its_model() {
        for seed in 1..=20 {
            model_run(seed, 20, 700);
        }
        model_run(21, 3_000, 90_000);
    }

    #[test]
    fn a_cursor_survives_growth() {
        fn add(table: &mut Table, number: u64) {
            table.find_or_insert(hash(&number.to_le_bytes()), &number.to_le_bytes(), &[]);
        }
        let mut table = Table::new(0);
        add(&mut table, 0);
        add(&mut table, 1);
        let mut cursor = Cursor::default();
        assert_eq!(table.next(&mut cursor).unwrap().key, 0_u64.to_le_bytes());
        for number in 2..50_000 {
            add(&mut table, number);
        }
        for number in 1..50_000_u64 {
            assert_eq!(table.next(&mut cursor).unwrap().key, number.to_le_bytes());
        }
        assert!(table.next(&mut cursor).is_none());
        let mut empty = Cursor::default();
        assert!(Table::new(3).next(&mut empty).is_none());
    }

    #[test]
    fn memory_per_entry_is_bounded_and_given_back_in_steps() {
        const ENTRIES: usize = 2_000_000;
        let mut table = Table::new(1);
        for number in 0..ENTRIES as u64 {
            let key: Vec<u8> = [5].into_iter().chain(number.to_le_bytes()).collect();
            table.find_or_insert(hash(&key), &key, &[1]);
        }
        let overhead = table.bytes() / ENTRIES - 9 - 8;
        assert!(overhead <= 48, "{overhead} bytes beside key and value");
        let mut steps = 1;
        while table.free_some() {
            steps += 1;
        }
        assert!(steps > 50, "freed in {steps} steps");
        assert!(table.bytes() < 1 << 20, "{} bytes left", table.bytes());
    }
}
