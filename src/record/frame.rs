//! Frame: a batch as bytes, on the wire and on disk; read where it lies.
//!
//! The bytes are an rkyv archive of one type, [`FrameRows`], which holds any schema: a list of
//! [`FrameVector`]s, one per column and one more per part of a ROW, ARRAY or MAP, in the order of
//! the columns, each before its parts. What its four vectors hold is in the page of the protocol
//! (`format::frames`), byte by byte.
//!
//! Read: `archive` (the type) · `shape` (which vectors a schema has) · `write` (batch to archive) ·
//! `read` (archive to batch, checked, without copying).
//!
//! Invariants
//! - Bytes are looked at only as far as they have been checked. What is read is never allocated, but
//!   for a list as long as the schema.
//! - An archive begins at a multiple of 64 bytes, and is a multiple of 64 bytes long.

mod archive;
mod read;
mod shape;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod write;

pub use archive::{FRAME_LAYOUT_HASH, FrameRows, FrameVector};
pub use read::{FrameFault, FrameReader};
pub use shape::{ShapeError, check_frame_type};
pub use write::FrameWriter;

/// What an archive's place and length are multiples of: a cache line, and enough for every value.
pub const FRAME_ALIGNMENT: usize = 64;
