//! Client: producers and subscribers of a job, for programs in Rust.
//!
//! Read: `producer` (rows to a source) · `subscriber` (rows from a sink) · `error`.
//!
//! A [`Producer`] and a [`Subscriber`] each have one connection, and wait in it. They speak the native
//! protocol (`format::frames`), so the source or sink has `format = "rkyv"`. For programs that do their
//! own I/O there is the protocol alone: [`FrameProducer`] and [`FrameSubscriber`] take bytes and give
//! bytes, on any runtime.
//!
//! A producer keeps what its source has not acknowledged, and connects again when the connection is lost:
//! with durability each row is in the job once, whatever happens to the job or the connection while the
//! producer lives. One that is started again asks [`Producer::taken`] where to go on.
//!
//! ```no_run
//! use arrow::array::{Int64Array, RecordBatch};
//! use pelton::client::{Producer, ProducerOptions, Subscriber};
//! use std::sync::Arc;
//!
//! let numbers = Int64Array::from_iter_values(0..1_000);
//! let rows = RecordBatch::try_from_iter([("n", Arc::new(numbers) as _)])?;
//! let options = ProducerOptions::new("sensor-1", 1);
//! let mut producer = Producer::connect("127.0.0.1:9000", &options, &rows.schema())?;
//! producer.send(&rows)?;
//! producer.end()?; // the job has every row
//!
//! let mut subscriber = Subscriber::connect("127.0.0.1:9100", "dashboard")?;
//! while let Some(rows) = subscriber.next_rows()? {
//!     println!("{} rows", rows.num_rows());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod producer;
mod subscriber;
#[cfg(test)]
mod tests;

pub use crate::format::{FrameProducer, FrameRefusal, FrameSubscriber};
pub use crate::record::{BufferPool, PoolLimits};
pub use error::ClientError;
pub use producer::{Producer, ProducerOptions};
pub use subscriber::Subscriber;
