//! Frames: the native protocol, the same on a connection and in a file.
//!
#![doc = include_str!("frames/PROTOCOL.md")]
//!
//! # In this folder
//!
//! Read: `header` (64 bytes, and what can be wrong with them) · `hello` (who, and which columns) ·
//! `column_type` (a column in bytes) · `message` (the others; bytes to messages) · `position` (in a sink's output) ·
//! `receiver` (bytes to messages that are read where they lie) · `columns` (their
//! columns as ours) · `encode` (batches to frames) · `producer` and
//! `subscriber` (their sides of a connection, without I/O).

mod column_type;
mod columns;
mod encode;
mod header;
mod hello;
mod message;
mod position;
mod producer;
mod receiver;
mod subscriber;
#[cfg(test)]
mod tests;

pub use columns::{FrameColumns, FrameRead};
pub(in crate::format) use columns::{check_columns, rows_of_table};
#[cfg(test)]
pub(crate) use encode::write_data;
pub use encode::{FrameEncoder, each_frame, renumber_frames};
pub use header::{FRAME_HEADER_BYTES, FrameHeader, FrameKind, ProtocolFault};
pub use hello::{FrameHello, FrameRole};
pub use message::{
    Ack, FrameStream, Message, error_text, write_ack, write_empty, write_end_of_epoch, write_error,
    write_frame_ack, write_gap,
};
pub use position::{FramePosition, LanePosition, OutputPosition};
pub use producer::{FrameProducer, FrameRefusal};
pub use receiver::{FrameReceiver, ReceivedFrame};
pub use subscriber::{Delivery, FrameSubscriber, SubscriberOptions};
