//! What a writer and the supply tell each other.

use std::path::PathBuf;

use super::super::segment::SegmentHeader;
use crate::stdx::Failure;

/// From the writer of a journal.
pub(in crate::journal) enum ToSupply<M> {
    /// Pages of this segment will be stored into, up to here.
    Wanted { segment: u64, to: u64 },
    /// A segment that was supplied is in use: another one, please.
    Begun,
    /// A segment is complete and durable; its mapping ends here.
    Left {
        segment: u64,
        #[expect(dead_code, reason = "dropped on the thread that may wait")]
        memory: Option<M>,
    },
    /// Nobody needs this segment any more.
    Recycle { segment: u64 },
}

/// To the writer of a journal.
pub(in crate::journal) enum FromSupply<M> {
    /// The next segment.
    Segment(Supplied<M>),
    /// Pages of this segment are present up to here.
    Populated { segment: u64, to: u64 },
    /// There is no space for the next segment; says so in words.
    Full(String),
    /// The disk failed; nothing follows.
    Failed(Failure),
}

/// A segment ready for its writer.
pub(in crate::journal) struct Supplied<M> {
    pub(in crate::journal) header: SegmentHeader,
    pub(in crate::journal) path: PathBuf,
    /// In mapped journals, with pages present up to `populated`.
    pub(in crate::journal) memory: Option<M>,
    pub(in crate::journal) populated: u64,
}
