//! Arrow IPC: record batches of a stream, as Arrow's own libraries write and read them.
//!
//! Read: `decode` (bytes to batches, over the bytes of each message) · `schema` (columns of the stream) ·
//! `batch` (one message's rows) · `encode`.
//!
//! A stream is a schema, record batches, and an end; a file of Arrow's file format is such a stream
//! between a mark and a directory, which is not read. What the dialect has no type for, dictionaries
//! and compressed bodies are refused.
//!
//! Invariants
//! - Every length, offset and text is checked before an array is built; nothing is allocated for a
//!   length that has not been checked.
//! - Bytes are copied once, into the memory that the arrays are then built over.

mod batch;
mod decode;
mod encode;
mod schema;
#[cfg(test)]
mod tests;

pub(super) use decode::IpcDecoder;
pub(super) use encode::IpcEncoder;

/// Before every message's length.
const CONTINUATION: [u8; 4] = [0xff; 4];

/// What a file of Arrow's file format begins with.
const FILE_MARK: &[u8; 8] = b"ARROW1\0\0";
