//! Looking into what a job keeps on disk. Changes nothing, and works while the job runs, too.
//!
//! In:  a durability directory.
//! Out: whose it is, its epochs, journals and operators; entries of a table; whether all of it is as it
//!      was written. As text or as one JSON document.
//!
//! Read: `opened` (the directory, while it may change) · `summary` · `live` (what is left of all that was
//! written) · `listing` (entries of one operator) · `decoded` (keys and values in words) · `verify` with
//! `core_check` (what entries say) · `text`.
//!
//! The secret of the key hash is used and never shown.

mod core_check;
mod decoded;
mod listing;
mod live;
mod opened;
mod summary;
#[cfg(test)]
mod tests;
mod text;
mod verify;

pub use listing::ListingRequest;
pub use verify::Verdict;

use serde::Serialize;
use std::path::Path;

use crate::stdx::Failure;
use listing::Listing;
use opened::with_opened;
use summary::Summary;

/// How it is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum InspectFormat {
    /// For people.
    Text,
    /// One document.
    Json,
}

/// What a directory holds: identity, epochs, journals, operators.
///
/// # Errors
/// When it is no directory of a job, cannot be read, or is damaged.
pub fn summary(directory: &Path, format: InspectFormat) -> Result<String, Failure> {
    let summary = with_opened(directory, Summary::of)?;
    Ok(match format {
        InspectFormat::Text => text::summary(&summary),
        InspectFormat::Json => document(&summary),
    })
}

/// Entries that one operator keeps.
///
/// # Errors
/// As [`summary()`], and when there is no such operator, or more than one.
pub fn entries(
    directory: &Path,
    request: &ListingRequest,
    format: InspectFormat,
) -> Result<String, Failure> {
    let listing = with_opened(directory, |opened| Listing::of(opened, request))?;
    Ok(match format {
        InspectFormat::Text => text::listing(&listing),
        InspectFormat::Json => document(&listing),
    })
}

/// Whether everything that the newest epoch keeps is as it was written. Every byte is read.
///
/// # Errors
/// When it is no directory of a job, or cannot be read. Damage is part of the verdict.
pub fn verify(directory: &Path) -> Result<Verdict, Failure> {
    Verdict::of(directory)
}

fn document(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).expect("plain data can be written as JSON") + "\n"
}
