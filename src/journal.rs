//! What a job keeps on disk between runs.
//!
//! Read: `directory` (lock, identity, run number, atomic replacement).

mod directory;

pub use directory::{Directory, DirectoryError, Finished, replace_file};
