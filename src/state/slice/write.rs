//! Writing a slice.

use super::{
    ENTRIES, HEADER_BYTES, OPERATOR_NOTE, PANE_DROPPED, PANE_NOTE, PaneWords, RECORDS_AT, StateKey,
    VERSION,
};
use crate::state::schema::TableSchema;

/// Entries that are looked at for nothing in one slice, at most: at a cache miss each, some 400 us.
const PASSED_OVER_MAX: usize = 4096;

/// Collects what one operator writes in one turn.
#[derive(Debug, Default)]
pub struct SliceWriter {
    bytes: Vec<u8>,
    records: u32,
    bytes_max: usize,
    /// Entries looked at for nothing.
    passed_over: usize,
    section: Option<OpenSection>,
}

#[derive(Debug)]
struct OpenSection {
    pane: PaneWords,
    table: u16,
    /// Where its number of entries stands.
    counts_at: usize,
    entries: u32,
}

impl SliceWriter {
    /// Begins a slice with about `bytes_max` bytes of records, at least 1: it takes one entry beyond them
    /// at most, or a piece of what had to be written early.
    pub fn begin(&mut self, key: StateKey, core: u16, bytes_max: usize) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&VERSION.to_le_bytes());
        self.bytes.extend_from_slice(&core.to_le_bytes());
        self.bytes.extend_from_slice(&key.part.to_le_bytes());
        self.bytes.extend_from_slice(&[0; 2]);
        self.bytes.extend_from_slice(&key.operator.to_le_bytes());
        self.bytes.extend_from_slice(&[0; 8]);
        assert_eq!(self.bytes.len(), HEADER_BYTES);
        assert!(bytes_max > 0);
        self.bytes_max = HEADER_BYTES + bytes_max;
        (self.records, self.section) = (0, None);
        self.passed_over = 0;
    }

    /// True when the rest must wait for another slice, perhaps one with nothing in it: looking takes
    /// time too.
    pub fn is_full(&self) -> bool {
        self.bytes.len() >= self.bytes_max || self.passed_over >= PASSED_OVER_MAX
    }

    /// An entry was looked at that need not be written.
    pub(in crate::state) fn pass_over(&mut self) {
        self.passed_over += 1;
    }

    /// The slice's bytes; `None` when nothing was put into it.
    pub fn finish(&mut self) -> Option<&[u8]> {
        self.end_section();
        self.bytes[RECORDS_AT..RECORDS_AT + 4].copy_from_slice(&self.records.to_le_bytes());
        (self.records > 0).then_some(&self.bytes[..])
    }

    /// The pane is gone, with everything in it.
    pub fn pane_dropped(&mut self, pane: PaneWords) {
        self.begin_record(PANE_DROPPED);
        self.put_pane(pane);
    }

    /// Input rows this core's part of the pane represents.
    pub fn pane_note(&mut self, pane: PaneWords, rows: u64) {
        self.begin_record(PANE_NOTE);
        self.put_pane(pane);
        self.bytes.extend_from_slice(&rows.to_le_bytes());
    }

    /// What this core's operator keeps besides its tables.
    pub fn operator_note(&mut self, words: &[i64]) {
        self.begin_record(OPERATOR_NOTE);
        self.bytes.push(u8::try_from(words.len()).expect("notes are short"));
        for word in words {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
    }

    /// Where `count` entries of a table are to be appended.
    pub(in crate::state) fn entries(
        &mut self,
        pane: PaneWords,
        table: u16,
        schema: &TableSchema,
        count: u32,
    ) -> &mut Vec<u8> {
        let is_open =
            self.section.as_ref().is_some_and(|open| open.pane == pane && open.table == table);
        if !is_open {
            self.begin_section(pane, table, schema);
        }
        let section = self.section.as_mut().expect("just begun");
        section.entries += count;
        &mut self.bytes
    }

    fn begin_section(&mut self, pane: PaneWords, table: u16, schema: &TableSchema) {
        self.begin_record(ENTRIES);
        self.put_pane(pane);
        self.bytes.extend_from_slice(&table.to_le_bytes());
        self.bytes.push(u8::from(schema.is_set));
        let values = u16::try_from(schema.values.len()).expect("an operator has few aggregates");
        self.bytes.extend_from_slice(&values.to_le_bytes());
        self.bytes.extend(schema.kinds().map(|kind| kind.code()));
        let counts_at = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 8]);
        self.section = Some(OpenSection { pane, table, counts_at, entries: 0 });
    }

    fn end_section(&mut self) {
        let Some(section) = self.section.take() else { return };
        let bytes = self.bytes.len() - section.counts_at - 8;
        let bytes = u32::try_from(bytes).expect("a slice is shorter than 4 GiB");
        let at = section.counts_at;
        self.bytes[at..at + 4].copy_from_slice(&section.entries.to_le_bytes());
        self.bytes[at + 4..at + 8].copy_from_slice(&bytes.to_le_bytes());
    }

    fn begin_record(&mut self, kind: u8) {
        self.end_section();
        self.records += 1;
        self.bytes.push(kind);
    }

    fn put_pane(&mut self, pane: PaneWords) {
        for word in pane {
            self.bytes.extend_from_slice(&word.to_le_bytes());
        }
    }
}
