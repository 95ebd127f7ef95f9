//! What the standard library lacks; imports nothing of the engine.
//!
//! Read: `core_id`.

mod core_id;

pub use core_id::CoreId;
