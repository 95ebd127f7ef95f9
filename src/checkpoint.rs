//! Epochs: what all cores have done up to a barrier, made durable together.
//!
//! Read: `log` (the seam to the state journal) · `journal_log` (that journal) · `manifest` (what an epoch consists of on one core) ·
//! `ports` (messages between cores) · `participant` (captures one core) · `coordinator` (core 0: begins
//! an epoch, collects it, commits it) · `retention` (how much of the journal is kept, and when bases are
//! due) · `restore` (an epoch, read back on any number of cores).
//!
//! The life of epoch *e*
//! 1. The coordinator says *begin* once the interval has passed and some core has changed something.
//! 2. Every core lets the barrier out behind its sources; it goes with the data through every stage. A
//!    stage that it has passed is captured: what its operators changed is appended, so many bytes a turn.
//! 3. When all stages are captured the core ends the epoch in its side journals (see `journal`), appends its
//!    manifest, ends the epoch in its state journal, has the ranges synced and reports them.
//! 4. When all have, the commit record with all ranges is written by two cores. Once both copies are
//!    durable the epoch exists; everybody is told, outputs may be released, what is no longer needed is
//!    recycled.
//!
//! Invariants
//! - One epoch is under way at a time, so epochs that take longer than the interval do not pile up.
//! - An epoch in which nothing changed is not written; its number is not used again all the same.
//! - What is appended between the manifest of epoch *e* and that of *e + 1* belongs to *e + 1*.

mod coordinator;
mod journal_log;
mod log;
mod manifest;
mod participant;
mod ports;
mod restore;
mod retention;
#[cfg(test)]
mod tests;

pub use coordinator::{Coordinator, CoordinatorOptions, EpochStatus};
pub use journal_log::{JournalLog, RecoveredJournals};
pub use log::{Appended, CoreRanges, EntryTag, LogEntry, LogPosition, LogRange, StateLog};
pub use manifest::{Definition, Manifest, NamedPosition, OperatorDefinition, RangeBases};
pub use participant::{
    CaptureLimits, CaptureStatus, Participant, ParticipantOptions, ParticipantStart,
};
pub use ports::{CheckpointPorts, FromCore, ToCore};
pub use restore::{EntryRead, EpochContents, RecoveredLogs, Restore, RestoreError, RestoreOptions};
pub use retention::{KeptLimits, Retention, Urgency};
