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
//!
//! Exactly once, over crashes of either side: a sink with `release = "commit"` keeps what a subscriber with
//! a session has not acknowledged. Keep the position with what you make of the rows, and acknowledge then.
//!
//! ```no_run
//! use pelton::client::{Delivery, OutputPosition, Subscriber, SubscriberOptions};
//! # fn position_kept_last() -> OutputPosition { OutputPosition::default() }
//! # fn keep(_: Vec<arrow::array::RecordBatch>, _: &OutputPosition) {}
//!
//! let (name, after) = ("ledger".into(), position_kept_last());
//! let session = 1; // higher at every start
//! let mut subscriber =
//!     Subscriber::resume("127.0.0.1:9100", SubscriberOptions { name, session, after })?;
//! let mut rows = Vec::new();
//! while let Some(delivery) = subscriber.next_delivery()? {
//!     match delivery {
//!         Delivery::Rows(some) => rows.push(some),
//!         Delivery::EndOfEpoch(_) => {
//!             keep(std::mem::take(&mut rows), &subscriber.position()); // in one transaction
//!             subscriber.acknowledge()?;
//!         }
//!         Delivery::Gap { rows } => eprintln!("{rows} rows are missing"),
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod error;
mod producer;
mod subscriber;
#[cfg(test)]
mod tests;

pub use crate::format::{
    Delivery, FramePosition, FrameProducer, FrameRefusal, FrameSubscriber, LanePosition,
    OutputPosition, SubscriberOptions,
};
pub use crate::record::{BufferPool, PoolLimits};
pub use error::ClientError;
pub use producer::{Producer, ProducerOptions};
pub use subscriber::Subscriber;
