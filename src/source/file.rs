//! File source: a file, or several in name order, read as one sequence of chunks by all cores.
//!
//! Read: `plan` (which files, which chunks) · `range` (which bytes are a chunk's) · `chunk` (reading
//! them) · `decode` (bytes to tagged rows) · `header` · `metadata` · `follow` over `tail` (a file that never ends).
//!
//! In:  chunks `core`, `core + core_count`, … of the plan; other cores' chunk maxima.
//! Out: batches in order, each row with the watermark it would have had on one core (see `sequence`).

mod chunk;
mod decode;
mod follow;
mod header;
mod metadata;
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
pub(super) use decode::origin;
pub use follow::{FollowFiles, FollowOptions, FollowSource, FoundFile, RealFiles};
pub use metadata::{FileMetadata, MetadataColumns};
pub use plan::{CutOptions, FilePlan, PlanError, check_follow, expand};

use std::sync::Arc;

use crate::format::DecoderOptions;
use crate::limits::FILE_HELD_BYTES_MAX;
use crate::metrics::SourceCounters;
use crate::reactor::Io;
use crate::record::{Timestamp, Watermark};
use crate::source::sequence::{ChunkStart, Dealing, Sequence};
use crate::source::{
    EventTimeOptions, PositionError, Source, SourceMessage, SourceOutput, SourceProgress,
};
use crate::stdx::{CoreId, Failure};

use chunk::{ChunkReader, Step};
use decode::{Admission, ChunkAdmission, DecodeInto, Decoding, Known, SplitDecoder};
use header::Header;

/// Rows that a decoded slice counts for at least, against the turn's budget.
const SLICE_ROWS_MIN: usize = 512;

/// More rows than any chunk has, also one that is a whole file; with 2^27 chunks, half a petabyte, still
/// below the last position.
const CHUNK_ROWS_MAX: u64 = 1 << 36;

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
    /// Metadata behind the columns that the decoder makes; a followed file has none.
    pub metadata: Option<MetadataColumns>,
    /// Event time, over the projected columns. Only a followed file is ever idle.
    pub event_time: Option<EventTimeOptions>,
    /// Rows carry their origin, offset and raw bytes.
    pub keep_provenance: bool,
}

/// See the module.
pub struct FileSource {
    plan: Arc<FilePlan>,
    name: Arc<str>,
    decoding: Decoding,
    metadata: Option<MetadataColumns>,
    event_time: Option<EventTimeOptions>,
    reader: ChunkReader,
    /// Of the chunk being decoded, the last of `held`; none before its first byte.
    decoder: Option<SplitDecoder>,
    admission: ChunkAdmission,
    /// Of the chunk being decoded.
    known: Known,
    /// Of the file last begun, when its format has one.
    header: Option<Header>,
    sequence: Sequence,
    phase: Phase,
    failure: Option<Failure>,
    counters: SourceCounters,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Reading,
    /// Reads nothing more.
    Stopped,
    /// Failed: does nothing more.
    Failed,
}

/// What an attempt to begin a chunk found.
enum Begun {
    Reading,
    /// A chunk that was read to its end before.
    Behind,
    Nothing,
}

/// What an attempt to decode found.
enum Decoded {
    Rows(usize),
    Nothing,
}

impl FileSource {
    /// A source at its core's first chunk.
    pub fn new(plan: Arc<FilePlan>, options: FileSourceOptions) -> FileSource {
        let FileSourceOptions { core, core_count, .. } = options;
        let chunk_count = plan.chunk_count();
        let dealing = Dealing { core, core_count, chunk_count, chunk_rows_max: CHUNK_ROWS_MAX };
        FileSource {
            sequence: Sequence::new(dealing, options.event_time.is_some()),
            reader: ChunkReader::new(Arc::clone(&plan)),
            plan,
            name: options.name,
            decoding: Decoding {
                options: options.decoder,
                make: options.make_decoder,
                keep_provenance: options.keep_provenance,
            },
            metadata: options.metadata,
            event_time: options.event_time,
            decoder: None,
            admission: ChunkAdmission::new(None, Timestamp::MIN),
            known: Known::default(),
            header: None,
            phase: Phase::Reading,
            failure: None,
            counters: SourceCounters::default(),
        }
    }

    /// Decodes the next slice of the chunk at hand, or begins the next chunk.
    fn decode(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) -> Decoded {
        if self.phase != Phase::Reading || self.holds_enough() {
            return Decoded::Nothing;
        }
        match self.begin_chunk() {
            Begun::Nothing => return Decoded::Nothing,
            Begun::Reading => {}
            Begun::Behind => {
                self.complete_chunk(out);
                return Decoded::Rows(0);
            }
        }
        if self.is_reading_header() {
            return self.read_header(io);
        }
        let chunk = *self.reader.chunk().expect("begun just now or before");
        let step = self.reader.step(io.disk());
        let held = self.sequence.current();
        let held_bytes = &mut held.bytes;
        let (counters, clock) = (&mut self.counters, io.clock());
        let (admission, held) = (&mut self.admission, &mut held.batches);
        let file = self.plan.file(chunk.file);
        let metadata = self.metadata.as_ref().map(|columns| (columns, file));
        let known = &mut self.known;
        let mut to = DecodeInto { admission, clock, counters, held, metadata, known, rows: 0 };
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
                self.fail_if_undecodable(chunk.file);
                self.complete_chunk(out);
                return Decoded::Rows(rows);
            }
            Step::Failed(failure) => {
                self.failure = Some(failure);
                self.phase = Phase::Failed;
                return Decoded::Nothing;
            }
        }
        let rows = to.rows;
        self.fail_if_undecodable(chunk.file);
        Decoded::Rows(rows)
    }

    /// A file whose records cannot be found any more is damaged.
    fn fail_if_undecodable(&mut self, file: usize) {
        if let Some(fault) = self.decoder.as_ref().and_then(SplitDecoder::fault) {
            let path = self.plan.file(file).path.display();
            self.failure = Some(Failure::data(format!("cannot read {path}: {fault}")));
            self.phase = Phase::Failed;
        }
    }

    /// True when rows wait for other cores' chunks, and are as many as should: a chunk that is not cut
    /// is a whole file. The core with the oldest chunk waits for nobody.
    fn holds_enough(&mut self) -> bool {
        self.sequence.held_bytes() >= FILE_HELD_BYTES_MAX && self.sequence.prefix().is_none()
    }

    /// Makes sure a chunk is being read, if there is one and none is ahead already.
    fn begin_chunk(&mut self) -> Begun {
        if self.reader.chunk().is_some() {
            return Begun::Reading;
        }
        let Some(ChunkStart { number, progress }) = self.sequence.next_chunk() else {
            return Begun::Nothing;
        };
        let mut chunk = self.plan.chunk(number);
        let known = self.header.as_ref().is_some_and(|header| header.file == chunk.file);
        if chunk.lines && self.decoding.has_header_line() && !known {
            self.header = Some(Header::new(chunk.file));
            self.reader.begin(self.plan.first_line(chunk));
            return Begun::Reading;
        }
        let mut watermark = progress.watermark;
        self.known = Known::default();
        if self.decoding.begins_at_start() && progress.at.is_some_and(|at| at < chunk.end) {
            self.known = Known { rows: progress.rows, end: progress.at.unwrap_or(0) };
            watermark = Timestamp::MIN;
        } else {
            chunk.start = progress.at.unwrap_or(chunk.start);
        }
        self.counters.splits_opened += u64::from(chunk.start == 0);
        self.sequence.begin();
        let rules = self.event_time.as_ref().map(|event_time| event_time.rules.clone());
        self.admission = ChunkAdmission::new(rules, watermark);
        if chunk.start >= chunk.end {
            // Its last record, which reaches into the next chunk, was the last that was read.
            return Begun::Behind;
        }
        self.reader.begin(chunk);
        Begun::Reading
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

    /// The chunk being decoded has no more rows.
    fn complete_chunk(&mut self, out: &mut dyn SourceOutput) {
        self.decoder = None;
        self.sequence.complete(self.admission.watermark(), out);
    }
}

/// Of a position of other files.
const FILES_CHANGED: &str = "the files are not those it had begun to read: put those back, as long as they \
                             were, or start over with --fresh";

impl Source for FileSource {
    fn poll(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) -> SourceProgress {
        let (mut busy, mut rows) = (false, 0);
        while rows < out.rows_max() && self.phase != Phase::Failed {
            let pushed = self.sequence.push(out);
            pushed.count(&mut self.counters);
            busy |= pushed.is_something();
            if self.sequence.is_pushable() {
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
        if self.phase != Phase::Failed
            && self.sequence.is_exhausted()
            && self.reader.close(io.disk())
        {
            return SourceProgress::Finished;
        }
        SourceProgress::Idle { wakes_at_ns: None }
    }

    fn watermark(&self) -> Option<Watermark> {
        self.sequence.watermark()
    }

    fn receive(&mut self, message: SourceMessage, _io: &mut dyn Io) {
        self.sequence.receive(message);
    }

    fn stop(&mut self, _io: &mut dyn Io) {
        if self.phase == Phase::Reading {
            self.reader.give_up();
            self.decoder = None;
            self.sequence.stop();
            self.phase = Phase::Stopped;
        }
    }

    fn position(&self) -> Option<Vec<u8>> {
        Some(self.sequence.position(self.plan.identity()))
    }

    fn resume(&mut self, positions: &[&[u8]]) -> Result<(), PositionError> {
        let resumed = self.sequence.resume(positions, self.plan.identity(), FILES_CHANGED);
        resumed.map_err(|error| PositionError::of(&self.name, &error))
    }

    fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    fn counters(&self) -> &SourceCounters {
        &self.counters
    }
}
