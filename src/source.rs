//! Bytes in: sources read splits, decode them into batches, and say how far event time has come.
//!
//! Read: `split` (unit of assignment) · `watermark` (event time per split, idleness, skew guard) ·
//! `sequence` (one stream, dealt to all cores) · `file` · `tcp` · `frames` (the native protocol) ·
//! `frame_file` (files of it) · `generated` (rows made on the spot) with `nexmark` and `datagen`.
//!
//! Every core runs one instance of every source, on its share of the splits.

mod datagen;
mod file;
mod frame_file;
mod frames;
mod generated;
mod nexmark;
mod sequence;
mod split;
mod tcp;
mod watermark;

/// What a Nexmark source can be told.
pub use crate::workload::{HotRatios, MeanBytes, Nexmark, NexmarkOptions, Proportions};
pub use datagen::{Datagen, FieldFault, FieldOption};
pub use file::{
    CutOptions, DecoderFactory, FileMetadata, FilePlan, FileSource, FileSourceOptions, FollowFiles,
    FollowOptions, FollowSource, FoundFile, MetadataColumns, PlanError, RealFiles, check_follow,
    expand,
};
pub use frame_file::{FrameFilePlan, FrameFileSource, FrameFileSourceOptions};
pub use frames::{Acknowledge, FrameSource, FrameSourceOptions};
pub use generated::{GeneratedOptions, GeneratedSource, Generator, Pacing};
pub use nexmark::NexmarkGenerator;
pub use split::{EventTimeOptions, HoldingBack, SplitId, SplitStanding, SplitTracker};
pub use tcp::{TcpSource, TcpSourceOptions};
pub use watermark::{Admitted, Arrival, EventTimeRules, Rowtime, RunningWatermark, WatermarkSpec};

use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use crate::format::FrameHello;
use crate::metrics::{RejectionKind, SourceCounters};
use crate::reactor::Io;
use crate::record::{Batch, Epoch, Timestamp, Watermark};
use crate::stdx::{CoreId, Failure, Malformed};

/// One source on one core.
pub trait Source {
    /// Reads, decodes and pushes until `out` is full or there is nothing more to read now.
    fn poll(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) -> SourceProgress;

    /// What this core can promise after everything pushed so far: the minimum over its active
    /// splits. Asked for once a turn. `None` for a source without event time.
    fn watermark(&self) -> Option<Watermark>;

    /// Which split keeps that promise from going further, for those who ask why nothing fires.
    fn holding_back(&self) -> Option<HoldingBack> {
        None
    }

    /// The furthest any split has come, for those who ask how old the newest record is; `None` where
    /// all are one sequence, which has come as far as its watermark.
    fn newest(&self) -> Option<Timestamp> {
        None
    }

    /// Splits (connections, files) that are open.
    fn open_splits(&self) -> usize {
        0
    }

    /// A message from this source's instance on another core.
    fn receive(&mut self, message: SourceMessage, io: &mut dyn Io);

    /// Stop reading: no new splits, no new bytes. What cannot be read again and is decoded is still
    /// pushed by `poll`, which then answers `Finished`; what can be is left to a later run.
    fn stop(&mut self, io: &mut dyn Io);

    /// A barrier waits to go out. False while something was pushed in part that an epoch must have whole:
    /// `poll` then pushes the rest of it and begins nothing else, until `end_epoch`.
    fn reach_barrier(&mut self) -> bool {
        true
    }

    /// What has been read on this core, everything pushed so far and nothing else, in the source's own
    /// words for [`Source::resume`]. `None` for a source that cannot read anything again.
    fn position(&self) -> Option<Vec<u8>> {
        None
    }

    /// Goes on where an earlier run stood, before the first poll: `positions` are those of all its
    /// cores, of which there may have been more or fewer.
    ///
    /// # Errors
    /// When they are not positions of this source as it is now.
    fn resume(&mut self, _positions: &[&[u8]]) -> Result<(), PositionError> {
        Err(PositionError("this source has no positions".into()))
    }

    /// A barrier went out behind everything pushed so far: where the source stands now is part of `epoch`.
    fn end_epoch(&mut self, _epoch: Epoch) {}

    /// An epoch that has ended here exists, whatever happens from now on: what was read before its barrier
    /// may be confirmed to whoever sent it. Said in order, and not of every epoch when nothing had changed
    /// in it.
    fn commit(&mut self, _epoch: Epoch, _io: &mut dyn Io) {}

    /// An error after which the job cannot go on: a file gone or shorter than it was. Asked for
    /// after every poll; a source that failed says `Idle`, never `Finished`.
    fn take_failure(&mut self) -> Option<Failure> {
        None
    }

    /// Something the user should read, after which the job goes on: one line.
    fn take_notice(&mut self) -> Option<String> {
        None
    }

    /// Totals of this core.
    fn counters(&self) -> &SourceCounters;
}

/// A position that a source cannot go on from, in words for the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PositionError(pub String);

impl PositionError {
    fn of(source: &str, error: &Malformed) -> PositionError {
        let what = format!("source {source}: where it was cannot be taken up again: {error}");
        PositionError(what)
    }
}

impl fmt::Display for PositionError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for PositionError {}

/// What a poll found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum SourceProgress {
    /// Something was pushed or begun, or rows wait for room in `out`; poll again.
    Busy,
    /// Nothing to do until a completion, a message, or this time.
    Idle {
        /// When the clock alone makes work (reconnecting, idle time-outs): monotonic ns.
        wakes_at_ns: Option<u64>,
    },
    /// Nothing will ever come again on this core.
    Finished,
}

/// Where a source puts what it read.
pub trait SourceOutput {
    /// Takes a batch whose rows have been admitted: tagged, rowtime checked.
    fn push(&mut self, batch: Batch);
    /// True when the outlet has no room or the turn's budget of rows is used.
    fn is_full(&self) -> bool;
    /// The turn's budget: rows to decode in one poll, also of those that cannot be pushed yet.
    fn rows_max(&self) -> usize;
    /// True when rows are to be numbered in the order of their split (`RowTags::positions`). Only a
    /// source whose one split is read by several cores has to look: others are numbered behind it.
    fn wants_positions(&self) -> bool {
        false
    }
    /// Takes a record that could not be decoded or admitted. The source has counted it.
    fn reject(&mut self, rejection: Rejection);
    /// Something that a position says has changed, perhaps without a row: an epoch is to have it.
    fn note_change(&mut self) {}
    /// Sends to the same source's instance on another core. Messages are few and never dropped.
    fn send(&mut self, core: CoreId, message: SourceMessage);
}

/// A record that never became a row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rejection {
    /// What kind of trouble.
    pub kind: RejectionKind,
    /// Source and split, as in `Provenance`.
    pub origin: Arc<str>,
    /// Position of the record in its split.
    pub offset: u64,
    /// Why, in words for the user: `column "price": "abc" is not a BIGINT`.
    pub reason: String,
    /// The record as received, without its line end.
    pub raw: Vec<u8>,
}

/// Between the instances of one source.
#[derive(Debug)]
pub enum SourceMessage {
    /// A connection accepted elsewhere, for this core to serve.
    Connection {
        /// The socket.
        socket: OwnedFd,
        /// The peer.
        peer: SocketAddr,
    },
    /// A producer that has said hello, for the core that owns its name.
    Producer {
        /// The socket, from which nothing behind hello has been received.
        socket: OwnedFd,
        /// The peer.
        peer: SocketAddr,
        /// What it said.
        hello: Box<FrameHello>,
    },
    /// The sending core has one unfinished producer more.
    ProducerBegun,
    /// A producer of the sending core has ended: all its rows have been pushed.
    ProducerEnded,
    /// A producer that was connected to the sending core when an earlier run ended is back there, or is
    /// not waited for any more.
    ProducerNotAwaited,
    /// A connection this core had been given is gone.
    ConnectionClosed {
        /// The core that served it.
        core: CoreId,
    },
    /// No connection will be given to this core any more.
    ConnectionsEnd,
    /// Highest watermark inside one chunk of a file sequence, once the chunk has been decoded.
    ChunkWatermark {
        /// Number of the chunk in the sequence.
        chunk: u64,
        /// Its rows' maximum; MIN when it has no valid row.
        watermark: Timestamp,
    },
}
