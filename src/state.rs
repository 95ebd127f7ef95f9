//! Keyed state of one core.
//!
//! Read: `table` (keyed entries of fixed width) · `arena` (where their bytes lie) · `index` (hash to
//! entry, growing a segment at a time) · `heap` (values of any length) · `schema` (what entries
//! consist of) · `keyed` (a table with its heap and what is to be written of it) · `changes` (what
//! this epoch touched) · `tables` (those of one pane) · `store` (the panes of one operator) · `base`
//! (walks over everything, and back) · `slice` (the bytes) · `stateful` (an operator that keeps something)
//! · `timers` (one per pane).
//!
//! Nothing here ever takes long: tables grow by one segment per insertion and are freed a few
//! chunks at a time, so that a table of ten million entries costs no turn more than microseconds; an
//! epoch ends in constant time, and what it changed is written in slices of bounded size.

mod arena;
mod base;
mod changes;
mod heap;
mod index;
mod keyed;
mod schema;
mod slice;
mod stateful;
mod store;
mod table;
mod tables;
#[cfg(test)]
mod tests;
mod timers;

pub use base::BaseCursor;
pub use heap::{Heap, HeapSlot};
pub use keyed::KeyedTable;
pub use schema::{StateSchema, TableSchema, ValueKind, ValueSchema};
pub use slice::{
    CorruptState, PaneWords, Record, Section, SectionEntry, Slice, SliceWriter, StateKey, Value,
    decode_values,
};
pub use stateful::{Loaded, Stateful};
pub use store::{PaneContent, PaneName, Store};
pub use table::{Cursor, Entry, EntryRef, Table, keys_equal};
pub use tables::{LoadOptions, Tables};
pub use timers::Timers;

/// Whether what changes in a table is noted, to be written when the epoch has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tracking {
    /// Nothing outlives the process.
    Off,
    /// Every change is written.
    On,
}
