//! Keyed state of one core.
//!
//! Read: `table` (keyed entries of fixed width, one table per pane) · `arena` (where their bytes
//! lie) · `index` (hash to entry, growing a segment at a time) · `heap` (values of any length) ·
//! `timers` (one per pane).
//!
//! Nothing here ever takes long: tables grow by one segment per insertion and are freed a few
//! chunks at a time, so that a table of ten million entries costs no turn more than microseconds.

mod arena;
mod heap;
mod index;
mod table;
mod timers;

pub use heap::{Heap, HeapSlot};
pub use table::{Cursor, Entry, EntryRef, Table, keys_equal};
pub use timers::Timers;
