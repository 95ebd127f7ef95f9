//! What the standard library lacks; imports nothing of the engine.
//!
//! Read: `core_id` · `quantity` (number and unit) with `byte_size` and `duration` · `failure` (why a
//! part gave up) · `suggest` ("did you mean") · `room` (of vectors that are handed over) ·
//! `checksum` · `bytes` (written here, read back later) · `cpu` (what the binary was built for) ·
//! `fatal` ⚠ (pages of mapped files that are gone) · `failpoint` (where a test ends the process).

mod byte_size;
mod bytes;
mod checksum;
mod core_id;
mod cpu;
mod duration;
mod failpoint;
mod failure;
mod fatal;
mod quantity;
mod room;
mod suggest;

pub use byte_size::{format_byte_size, parse_byte_size};
pub use bytes::{ByteReader, ByteWriter, Malformed};
pub use checksum::crc32c;
pub use core_id::CoreId;
pub use cpu::missing_cpu_features;
pub use duration::{format_duration, parse_duration};
pub use failpoint::Failpoint;
pub use failure::{Failure, FailureClass};
pub use fatal::{Mapping, name_lost_pages, watch_mapping};
pub use quantity::QuantityError;
pub use room::take_with_room;
pub use suggest::{did_you_mean, one_of, suggestion};
