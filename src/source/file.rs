//! File source: a file, or several in name order, read as one sequence of chunks by all cores.
//!
//! Read: `plan` (which files, which chunks) · `range` (which bytes are a chunk's) · `chunk` (reading
//! them) · `decode` (bytes to tagged rows) · `header` · `held` and `maxima` (event time across cores) · `follow`
//! over `tail` (a file that never ends).
//!
//! In:  chunks `core`, `core + core_count`, … of the plan; other cores' chunk maxima.
//! Out: batches in order, each row with the watermark it would have had on one core.
//!
//! Invariants
//! - Rows are pushed only when the maxima of all earlier chunks are known.
//! - At most one chunk is decoded ahead of the one being pushed; so no core is more than twice as
//!   many chunks as there are cores ahead of the oldest one that is not decoded.
//! - A chunk's maximum is told to the other cores exactly once.

mod chunk;
mod decode;
mod follow;
mod header;
mod held;
mod maxima;
mod plan;
mod range;
mod tail;
#[cfg(test)]
mod real_tests;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;

pub use decode::DecoderFactory;
pub use follow::{FollowOptions, FollowSource};
pub use plan::{CutOptions, FilePlan, PlanError, check_follow, expand};

use std::collections::VecDeque;
use std::sync::Arc;

use crate::format::DecoderOptions;
use crate::limits::FILE_HELD_BYTES_MAX;
use crate::metrics::SourceCounters;
use crate::reactor::Io;
use crate::record::{Timestamp, Watermark};
use crate::source::{EventTimeOptions, Source, SourceMessage, SourceOutput, SourceProgress};
use crate::stdx::{CoreId, Failure};

use chunk::{ChunkReader, Step};
use decode::{Admission, ChunkAdmission, DecodeInto, Decoding, SplitDecoder, origin};
use header::Header;
use held::HeldChunk;
use maxima::Maxima;

/// Chunks a core holds: the one being pushed, and one decoded ahead of it.
const HELD_CHUNKS_MAX: usize = 2;

/// Rows that a decoded slice counts for at least, against the turn's budget.
const SLICE_ROWS_MIN: usize = 512;

/// Everything a file source must know on one core.
#[derive(Clone)]
pub struct FileSourceOptions {
    /// Name of the source; with a file's name it is the origin of the file's records.
    pub name: Arc<str>,
    /// This core.
    pub core: CoreId,
    /// Cores that share the work, as in the plan's [`CutOptions`].
    pub core_count: u16,
    /// How records are decoded; start offset and origin are set per chunk.
    pub decoder: DecoderOptions,
    /// Makes the decoders: `format::decoder`.
    pub make_decoder: DecoderFactory,
    /// Event time, over the projected columns. Only a followed file is ever idle.
    pub event_time: Option<EventTimeOptions>,
    /// Rows carry their origin, offset and raw bytes.
    pub keep_provenance: bool,
}

/// See the module.
pub struct FileSource {
    plan: Arc<FilePlan>,
    name: Arc<str>,
    core: CoreId,
    core_count: u16,
    decoding: Decoding,
    event_time: Option<EventTimeOptions>,
    reader: ChunkReader,
    /// Of the chunk being decoded, the last of `held`; none before its first byte.
    decoder: Option<SplitDecoder>,
    admission: ChunkAdmission,
    /// Of the file last begun, when its format has one.
    header: Option<Header>,
    /// Own chunk to begin next.
    next_chunk: u64,
    held: VecDeque<HeldChunk>,
    /// Own chunk to be pushed next, or being pushed.
    position: u64,
    maxima: Maxima,
    /// The watermark after the last row pushed.
    pushed_watermark: Timestamp,
    phase: Phase,
    failure: Option<Failure>,
    counters: SourceCounters,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Reading,
    /// Asked to stop, which the next poll does.
    Stopping,
    /// Reads nothing more; what is decoded is still pushed.
    Stopped,
    /// Failed: does nothing more.
    Failed,
}

/// What an attempt to decode found.
enum Decoded {
    Rows(usize),
    Nothing,
}

impl FileSource {
    /// A source at its core's first chunk.
    pub fn new(plan: Arc<FilePlan>, options: FileSourceOptions) -> FileSource {
        assert!(options.core.index() < usize::from(options.core_count));
        let first = options.core.index() as u64;
        FileSource {
            reader: ChunkReader::new(Arc::clone(&plan)),
            plan,
            name: options.name,
            core: options.core,
            core_count: options.core_count,
            decoding: Decoding {
                options: options.decoder,
                make: options.make_decoder,
                keep_provenance: options.keep_provenance,
            },
            event_time: options.event_time,
            decoder: None,
            admission: ChunkAdmission::new(None),
            header: None,
            next_chunk: first,
            held: VecDeque::new(),
            position: first,
            maxima: Maxima::new(options.core_count),
            pushed_watermark: Timestamp::MIN,
            phase: Phase::Reading,
            failure: None,
            counters: SourceCounters::default(),
        }
    }

    fn has_event_time(&self) -> bool {
        self.event_time.is_some()
    }

    /// The maximum of everything before the chunk to be pushed, once it is known.
    fn prefix(&mut self) -> Option<Timestamp> {
        if self.has_event_time() {
            self.maxima.advance_to(self.position)
        } else {
            Some(Timestamp::MIN)
        }
    }

    /// Pushes what may be pushed; true when something was.
    fn push(&mut self, out: &mut dyn SourceOutput) -> bool {
        let mut pushed = false;
        while let Some(prefix) = self.prefix()
            && let Some(front) = self.held.front_mut()
        {
            assert_eq!(front.number, self.position);
            while !out.is_full()
                && let Some(held) = front.batches.pop_front()
            {
                let (batch, watermark) = held.raised_to(prefix);
                self.pushed_watermark = watermark;
                self.counters.rows_out += batch.len() as u64;
                out.push(batch);
                pushed = true;
            }
            if !front.batches.is_empty() || !front.is_complete {
                break;
            }
            self.held.pop_front();
            self.position += u64::from(self.core_count);
        }
        pushed
    }

    /// True when rows wait for nothing but room.
    fn is_pushable(&mut self) -> bool {
        let has_rows = self.held.front().is_some_and(|front| !front.batches.is_empty());
        has_rows && self.prefix().is_some()
    }

    /// Decodes the next slice of the chunk at hand, or begins the next chunk.
    fn decode(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) -> Decoded {
        if self.phase != Phase::Reading || self.holds_enough() || !self.begin_chunk() {
            return Decoded::Nothing;
        }
        if self.is_reading_header() {
            return self.read_header(io);
        }
        let chunk = *self.reader.chunk().expect("begun just now or before");
        let step = self.reader.step(io.disk());
        let held = self.held.back_mut().expect("the chunk being decoded is held");
        let held_bytes = &mut held.bytes;
        let (counters, clock) = (&mut self.counters, io.clock());
        let (admission, held) = (&mut self.admission, &mut held.batches);
        let mut to = DecodeInto { admission, clock, counters, out, held, rows: 0 };
        match step {
            Step::Wait => return Decoded::Nothing,
            Step::Bytes { offset, bytes } => {
                let decoder = self.decoder.get_or_insert_with(|| {
                    let path = &self.plan.file(chunk.file).path;
                    let header = self.header.as_ref();
                    self.decoding.begin(origin(&self.name, path), offset, header)
                });
                decoder.feed(bytes, &mut to);
                *held_bytes += bytes.len() as u64;
            }
            Step::End => {
                if let Some(decoder) = &mut self.decoder {
                    decoder.finish(&mut to);
                }
                let rows = to.rows;
                self.complete_chunk(out);
                return Decoded::Rows(rows);
            }
            Step::Failed(failure) => {
                self.failure = Some(failure);
                self.phase = Phase::Failed;
                return Decoded::Nothing;
            }
        }
        Decoded::Rows(to.rows)
    }

    /// True when rows wait for other cores' chunks, and are as many as should: a chunk that is not cut
    /// is a whole file. The core with the oldest chunk waits for nobody.
    fn holds_enough(&mut self) -> bool {
        let bytes: u64 = self.held.iter().map(|chunk| chunk.bytes).sum();
        bytes >= FILE_HELD_BYTES_MAX && self.prefix().is_none()
    }

    /// Makes sure a chunk is being read; false when there is none or one is ahead already.
    fn begin_chunk(&mut self) -> bool {
        if self.reader.chunk().is_some() {
            return true;
        }
        if self.next_chunk >= self.plan.chunk_count() || self.held.len() >= HELD_CHUNKS_MAX {
            return false;
        }
        let chunk = self.plan.chunk(self.next_chunk);
        let known = self.header.as_ref().is_some_and(|header| header.file == chunk.file);
        if chunk.lines && self.decoding.has_header_line() && !known {
            self.header = Some(Header::new(chunk.file));
            self.reader.begin(self.plan.first_line(chunk));
            return true;
        }
        self.counters.splits_opened += u64::from(chunk.start == 0);
        self.reader.begin(chunk);
        self.held.push_back(HeldChunk::new(chunk.number));
        let rules = self.event_time.as_ref().map(|event_time| event_time.rules.clone());
        self.admission = ChunkAdmission::new(rules);
        self.next_chunk += u64::from(self.core_count);
        true
    }

    fn is_reading_header(&self) -> bool {
        self.header.as_ref().is_some_and(|header| !header.is_complete)
    }

    /// Reads the first line of the file whose chunk is next.
    fn read_header(&mut self, io: &mut dyn Io) -> Decoded {
        let header = self.header.as_mut().expect("a header is being read");
        let bytes_max = self.decoding.options.line_bytes_max;
        let failure = match self.reader.step(io.disk()) {
            Step::Wait => return Decoded::Nothing,
            Step::Bytes { bytes, .. } if header.feed(bytes, bytes_max) => return Decoded::Rows(0),
            Step::End => {
                header.is_complete = true;
                return Decoded::Rows(0);
            }
            Step::Bytes { .. } => {
                let path = self.plan.file(header.file).path.display();
                let what = format!("its header is longer than line_max, {bytes_max} bytes");
                Failure::io(format!("cannot read {path}: {what}"))
            }
            Step::Failed(failure) => failure,
        };
        self.failure = Some(failure);
        self.phase = Phase::Failed;
        Decoded::Nothing
    }

    /// The chunk being decoded has no more rows: tells every core its maximum.
    fn complete_chunk(&mut self, out: &mut dyn SourceOutput) {
        let held = self.held.back_mut().expect("the chunk being decoded is held");
        held.is_complete = true;
        let chunk = held.number;
        self.decoder = None;
        if self.has_event_time() {
            let watermark = Some(self.admission.watermark());
            let watermark = watermark.filter(|time| *time > Timestamp::MIN);
            self.maxima.record(chunk, watermark);
            self.tell(out, || SourceMessage::ChunkWatermark { chunk, watermark });
        }
    }

    fn tell(&self, out: &mut dyn SourceOutput, message: impl Fn() -> SourceMessage) {
        for core in CoreId::all(self.core_count).filter(|core| *core != self.core) {
            out.send(core, message());
        }
    }

    /// Cuts the sequence here: what this core has decoded of its chunk is all there is of it.
    fn stop_reading(&mut self, out: &mut dyn SourceOutput) {
        let is_reading_chunk = self.reader.chunk().is_some() && !self.is_reading_header();
        self.reader.give_up();
        if is_reading_chunk {
            self.complete_chunk(out);
        }
        let first = self.next_chunk;
        if self.has_event_time() && first < self.plan.chunk_count() {
            self.tell(out, || SourceMessage::ChunksEnd { first });
        }
        self.phase = Phase::Stopped;
    }

    /// True when no row will ever be added to what has been pushed.
    fn is_exhausted(&self) -> bool {
        let read = self.phase == Phase::Stopped || self.next_chunk >= self.plan.chunk_count();
        read && self.held.is_empty()
    }
}

impl Source for FileSource {
    fn poll(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) -> SourceProgress {
        if self.phase == Phase::Stopping {
            self.stop_reading(out);
        }
        let (mut busy, mut rows) = (false, 0);
        while rows < out.rows_max() && self.phase != Phase::Failed {
            busy |= self.push(out);
            if self.is_pushable() {
                busy = true;
                break;
            }
            match self.decode(io, out) {
                Decoded::Rows(decoded) => {
                    // A slice counts even without a row, so that a turn ends.
                    rows += decoded.max(SLICE_ROWS_MIN);
                    busy = true;
                }
                Decoded::Nothing => break,
            }
        }
        if busy {
            return SourceProgress::Busy;
        }
        if self.phase != Phase::Failed && self.is_exhausted() && self.reader.close(io.disk()) {
            return SourceProgress::Finished;
        }
        SourceProgress::Idle { wakes_at_ns: None }
    }

    fn watermark(&self) -> Option<Watermark> {
        if !self.has_event_time() {
            return None;
        }
        if self.phase == Phase::Reading && self.is_exhausted() {
            return Some(Watermark::Idle);
        }
        Some(Watermark::At(self.pushed_watermark.max(self.maxima.prefix())))
    }

    fn receive(&mut self, message: SourceMessage, _io: &mut dyn Io) {
        match message {
            SourceMessage::ChunkWatermark { chunk, watermark } => {
                self.maxima.record(chunk, watermark);
            }
            SourceMessage::ChunksEnd { first } => self.maxima.end(first),
            other => unreachable!("no instance of a file source sends {other:?}"),
        }
    }

    fn stop(&mut self, _io: &mut dyn Io) {
        if self.phase == Phase::Reading {
            self.phase = Phase::Stopping;
        }
    }

    fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    fn counters(&self) -> &SourceCounters {
        &self.counters
    }
}
