//! Slices: the bytes of captured state, self-describing and versioned.
//!
//! A slice is what one operator on one core writes in one turn. All numbers are little-endian.
//!
//! | bytes | header |
//! |---|---|
//! | 2 | version, 1 |
//! | 2 | core that wrote it |
//! | 2 | part of the operator |
//! | 2 | zero |
//! | 8 | operator |
//! | 4 | number of records |
//! | 4 | zero |
//!
//! Records follow, each with one byte that says which:
//!
//! | kind | what follows |
//! |---|---|
//! | 1 pane dropped | pane |
//! | 2 pane's note | pane, input rows represented (8) |
//! | 3 operator's note | number of words (1), words (8 each) |
//! | 4 entries | pane, table (2), is it a set (1), number of values (2), kind of each (1), entries (4), bytes (4), entries |
//!
//! A pane is two words of 8 bytes. An entry is: hash of its key (8), length of the key (4), key; in a
//! set, length of the member (4), member; then its values: 8 bytes for an integer or double, 16 for a
//! decimal, for bytes and text length + 1 (4; 0 is NULL) and the bytes.
//!
//! Read: `write` · `read` (nothing is believed, nothing allocated by a length alone).

mod read;
mod write;

pub use read::{CorruptState, Record, Section, SectionEntry, Slice, Value, decode_values};
pub use write::SliceWriter;

/// Version of the bytes.
const VERSION: u16 = 1;

const HEADER_BYTES: usize = 24;

/// Where the number of records stands in the header.
const RECORDS_AT: usize = 16;

const PANE_DROPPED: u8 = 1;
const PANE_NOTE: u8 = 2;
const OPERATOR_NOTE: u8 = 3;
const ENTRIES: u8 = 4;

/// Identity of a piece of state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StateKey {
    /// The operator, as the plan before optimisation names it.
    pub operator: u64,
    /// Which of its parts: those of one operator keep state of different kinds.
    pub part: u16,
}

/// Two words that name a pane in its operator.
pub type PaneWords = [i64; 2];

#[cfg(test)]
mod tests;
