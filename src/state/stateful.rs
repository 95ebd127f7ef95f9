//! What an operator keeps beyond the process: written epoch by epoch, walked for a base, read back.
//!
//! An operator that keeps its panes in a [`super::Store`] hands every call on to it.

use std::ops::Range;

use super::{CorruptState, LoadOptions, Record, SliceWriter, StateSchema};

/// State that is written and read back.
pub trait Stateful {
    /// What entries consist of.
    fn schema(&self) -> &StateSchema;

    /// Bytes of memory it takes.
    fn bytes(&self) -> usize;

    /// Writes what the epoch that has ended changed, as far as there is room; true when that was all.
    /// The next epoch ends only afterwards.
    fn write_changes(&mut self, out: &mut SliceWriter) -> bool;

    /// A walk over everything begins.
    fn begin_base(&mut self);

    /// Goes on with the walk over the entries of these key groups, as far as there is room; true at
    /// the end.
    fn write_base(&mut self, groups: &Range<u16>, out: &mut SliceWriter) -> bool;

    /// Takes over a record, before the first row. Records of one core come in the order in which it
    /// wrote them, one core's after the other's.
    ///
    /// # Errors
    /// When it is not a record of this operator.
    fn load(&mut self, record: Record<'_>, options: &LoadOptions) -> Result<(), CorruptState>;

    /// All records of one core have been given.
    ///
    /// # Errors
    /// When together they are not what this operator wrote.
    fn end_of_core(&mut self) -> Result<(), CorruptState>;

    /// All cores' records have been given. Says whether a base must be written before increments may
    /// follow what was read.
    fn loaded(&mut self) -> Loaded;
}

impl Loaded {
    /// Of two operators.
    #[must_use]
    pub fn and(self, other: Loaded) -> Loaded {
        if self == Loaded::AsWritten { other } else { self }
    }
}

/// What became of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Loaded {
    /// The state is that of the records; increments may follow them.
    AsWritten,
    /// Panes go by other names now.
    Rearranged,
}
