//! What is moved: rows in columns, the marks that travel between them, and where a key belongs.
//!
//! Read: `time` (event time) · `wall_clock` (what a zone's clocks show) · `batch` (rows of one split,
//! with what travels beside each row) · `spent` (where a batch's time has gone) · `gather` (their rows at given indices) ·
//! `element` (batch, watermark, barrier, end) · `key` (canonical bytes and hash of key columns) ·
//! `key_group` (hash to key group to core) · `buffer` (memory that frames are received into) · `frame`
//! (a batch as bytes, read where it lies) · `expression` (a function of a batch's rows, which the
//! planner supplies).

mod batch;
mod buffer;
mod element;
mod expression;
mod frame;
mod gather;
mod key;
mod key_group;
mod spent;
mod time;
mod wall_clock;

pub use batch::{Batch, Provenance, RowTags};
pub use buffer::{BufferPool, Need, PoolBuffer, PoolLimits};
pub use element::{Element, Epoch, Watermark};
pub use expression::{EvaluationContext, Expression, ExpressionError, ExpressionRef};
#[cfg(test)]
pub(crate) use frame::testing;
pub use frame::{
    FRAME_ALIGNMENT, FRAME_LAYOUT_HASH, FrameFault, FrameReader, FrameRows, FrameVector,
    FrameWriter, ShapeError, check_frame_type,
};
pub use key::{
    CorruptKey, EncodedKeys, KeyEncoder, KeyHasher, UnsupportedKeyType, key_type_name, key_type_of,
};
pub use key_group::KeyGroup;
pub use spent::{Cause, Spent};
pub use time::Timestamp;
pub use wall_clock::WallClock;
