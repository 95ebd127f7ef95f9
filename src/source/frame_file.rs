//! Frame file source: files of frames, mapped and read where they lie, as one sequence by all cores.
//!
//! Read: `plan` (which files, which chunks) · `mapped` ⚠ (bytes of a file).
//!
//! In:  chunks `core`, `core + core_count`, … of the plan; other cores' chunk maxima.
//! Out: batches over the mapping, each row with the watermark it would have had on one core (see
//!      `sequence`).
//!
//! Invariants
//! - Nothing of a frame is pushed before all of it has been checked.
//! - What is wrong with a file ends the job: a file is complete, or it is damaged.

mod mapped;
mod plan;
#[cfg(test)]
mod tests;

pub use plan::FrameFilePlan;

use std::sync::Arc;

use arrow::array::{BinaryArray, RecordBatch, UInt64Array};

use crate::format::{Decoded, FRAME_HEADER_BYTES, FrameKind, FrameRead, ProtocolFault};
use crate::limits::{BATCH_ROWS_MAX, FRAME_PAYLOAD_BYTES_MAX};
use crate::metrics::{RejectionKind, SourceCounters};
use crate::reactor::{Clock, Io};
use crate::record::{Provenance, Timestamp, Watermark};
use crate::source::file::origin;
use crate::source::sequence::{ChunkStart, Dealing, HeldBatch, Sequence};
use crate::source::watermark::batch_of;
use crate::source::{
    Admitted, Arrival, EventTimeOptions, PositionError, Rejection, RunningWatermark, Source,
    SourceMessage, SourceOutput, SourceProgress,
};
use crate::stdx::{CoreId, Failure};
use plan::{FrameChunk, message};

/// More rows than any chunk has: a chunk has some megabytes, and a frame 2^20 rows.
const CHUNK_ROWS_MAX: u64 = 1 << 36;

/// A place in a file is the first byte of a frame, and a row of it in so many lower bits.
const ROW_BITS: u32 = 21;

/// Of a position of other files.
const FILES_CHANGED: &str = "the files are not those it had begun to read: put those back, or start over \
                             with --fresh";

/// Everything a frame file source must know on one core.
#[derive(Clone, Debug)]
pub struct FrameFileSourceOptions {
    /// Name of the source; with a file's name it is the origin of the file's rows.
    pub name: Arc<str>,
    /// This core.
    pub core: CoreId,
    /// Cores that share the work.
    pub core_count: u16,
    /// Event time, over the projected columns. A file is never idle.
    pub event_time: Option<EventTimeOptions>,
    /// Rows carry their origin and the place of their frame.
    pub keep_provenance: bool,
}

/// See the module.
pub struct FrameFileSource {
    plan: Arc<FrameFilePlan>,
    options: FrameFileSourceOptions,
    sequence: Sequence,
    /// What is left of the chunk at hand.
    chunk: Option<FrameChunk>,
    reading: Option<Reading>,
    /// Rows of the next frame that an earlier run has read.
    known_rows: usize,
    /// Inside the chunk at hand.
    watermark: RunningWatermark,
    phase: Phase,
    failure: Option<Failure>,
    counters: SourceCounters,
}

/// A frame whose rows are being handed on.
struct Reading {
    origin: Arc<str>,
    /// Where the frame lies in its file.
    place: u64,
    /// Behind the frame.
    end: u64,
    rows: RecordBatch,
    at: usize,
    /// Rows of it that are none.
    rejections: Vec<Rejection>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Reading,
    Stopped,
    /// Failed: does nothing more.
    Failed,
}

impl FrameFileSource {
    /// A source at its core's first chunk.
    pub fn new(plan: Arc<FrameFilePlan>, options: FrameFileSourceOptions) -> FrameFileSource {
        let FrameFileSourceOptions { core, core_count, .. } = options;
        let chunk_count = plan.chunk_count();
        let dealing = Dealing { core, core_count, chunk_count, chunk_rows_max: CHUNK_ROWS_MAX };
        FrameFileSource {
            sequence: Sequence::new(dealing, options.event_time.is_some()),
            plan,
            chunk: None,
            reading: None,
            known_rows: 0,
            watermark: RunningWatermark::new(Timestamp::MIN),
            phase: Phase::Reading,
            failure: None,
            counters: SourceCounters::default(),
            options,
        }
    }

    /// Hands on the next rows of the frame at hand, or begins the next frame or chunk; false when
    /// there is nothing that may be read now.
    fn read(&mut self, clock: &dyn Clock, out: &mut dyn SourceOutput) -> bool {
        if self.phase != Phase::Reading {
            return false;
        }
        if self.reading.is_some() {
            self.hold(clock, out);
            return true;
        }
        if self.complete_chunk_if_read(out) {
            return true;
        }
        let chunk = match self.chunk {
            Some(chunk) => chunk,
            None => match self.begin_chunk() {
                Some(chunk) => chunk,
                None => return false,
            },
        };
        if chunk.start == chunk.end {
            // An earlier run has read it to its end.
            return true;
        }
        if let Err(fault) = self.begin_frame(chunk, out) {
            let path = self.plan.file(chunk.file).path.display();
            let message = format!("{path}: at byte {}: {fault}", chunk.start);
            let name = &self.options.name;
            self.failure = Some(Failure::data(format!("source {name}: cannot read {message}")));
            self.phase = Phase::Failed;
        }
        true
    }

    fn begin_chunk(&mut self) -> Option<FrameChunk> {
        let ChunkStart { number, progress } = self.sequence.next_chunk()?;
        let mut chunk = self.plan.chunk(number).expect("the sequence has the plan's chunks");
        self.sequence.begin();
        self.counters.splits_opened += 1;
        self.watermark = RunningWatermark::new(progress.watermark);
        if let Some(at) = progress.at {
            let (place, row) = split_place(at);
            (chunk.start, self.known_rows) = (place.clamp(chunk.start, chunk.end), row);
        }
        let next = number + u64::from(self.options.core_count);
        if let Some(ahead) = self.plan.chunk(next) {
            self.plan.file(ahead.file).mapped.read_ahead(ahead.start..ahead.end);
        }
        self.chunk = Some(chunk);
        Some(chunk)
    }

    /// Checks the frame at the beginning of what is left of the chunk.
    fn begin_frame(
        &mut self,
        chunk: FrameChunk,
        out: &mut dyn SourceOutput,
    ) -> Result<(), ProtocolFault> {
        let file = self.plan.file(chunk.file);
        let (header, end) = message(file.mapped.bytes(), chunk.start, FRAME_PAYLOAD_BYTES_MAX)?;
        let payload = file.mapped.slice(chunk.start + FRAME_HEADER_BYTES..end);
        header.check(&payload)?;
        self.counters.bytes_in += (end - chunk.start) as u64;
        if header.kind == FrameKind::Data {
            let FrameRead { rows, rejected } = file.columns.read(&payload.into())?;
            self.counters.frames_in += 1;
            let origin = origin(&self.options.name, &file.path);
            let (place, end) = (chunk.start as u64, end as u64);
            let rejection = |(row, reason)| {
                let (kind, origin) = (RejectionKind::Decode, Arc::clone(&origin));
                let reason = format!("row {row} of its frame: {reason}");
                Rejection { kind, origin, offset: place, reason, raw: Vec::new() }
            };
            let at = std::mem::take(&mut self.known_rows).min(rows.num_rows());
            let is_begun = at > 0;
            let rejections = rejected.into_iter().filter(|_| !is_begun).map(rejection).collect();
            self.reading = Some(Reading { origin, place, end, rows, at, rejections });
        }
        self.chunk = Some(FrameChunk { start: end, ..chunk });
        self.complete_chunk_if_read(out);
        Ok(())
    }

    /// Checks the times of the next rows of the frame at hand, and holds them.
    fn hold(&mut self, clock: &dyn Clock, out: &mut dyn SourceOutput) {
        let reading = self.reading.as_mut().expect("asked of a frame at hand");
        let rows_max = BATCH_ROWS_MAX.min(out.rows_max()).max(1);
        let count = rows_max.min(reading.rows.num_rows() - reading.at);
        let rows = reading.rows.slice(reading.at, count);
        reading.at += count;
        let provenance = self.options.keep_provenance.then(|| Provenance {
            origin: Arc::clone(&reading.origin),
            offsets: UInt64Array::from_value(reading.place, count),
            raw: BinaryArray::from_iter_values(std::iter::repeat_n(b"", count)),
        });
        let wall = Timestamp::from_millis(clock.wall_ms());
        let arrival = Arrival { monotonic_ns: clock.monotonic_ns(), wall };
        let end = match reading.at == reading.rows.num_rows() {
            true => join_place(reading.end, 0),
            false => join_place(reading.place, reading.at),
        };
        let decoded = Decoded { rows, provenance, end };
        let Admitted { batch, rejected } = match &self.options.event_time {
            Some(EventTimeOptions { rules, .. }) => {
                self.watermark.admit(rules, decoded, &reading.origin, arrival)
            }
            None => Admitted { batch: batch_of(decoded, arrival), rejected: Vec::new() },
        };
        let mut rejections = std::mem::take(&mut reading.rejections);
        rejections.extend(rejected);
        if reading.at == reading.rows.num_rows() {
            self.reading = None;
        }
        let watermark_after = self.watermark.get();
        let held = HeldBatch { batch, rejections, watermark_after, end };
        self.sequence.current().batches.push_back(held);
        self.complete_chunk_if_read(out);
    }

    /// True when that was so.
    fn complete_chunk_if_read(&mut self, out: &mut dyn SourceOutput) -> bool {
        let is_read = self.chunk.is_some_and(|chunk| chunk.start == chunk.end);
        if is_read && self.reading.is_none() {
            self.chunk = None;
            self.sequence.complete(self.watermark.get(), out);
            return true;
        }
        false
    }
}

fn join_place(frame: u64, row: usize) -> u64 {
    assert!(row < 1 << ROW_BITS);
    frame << ROW_BITS | row as u64
}

fn split_place(place: u64) -> (usize, usize) {
    let index = |value| usize::try_from(value).unwrap_or(usize::MAX);
    (index(place >> ROW_BITS), index(place & ((1 << ROW_BITS) - 1)))
}

impl Source for FrameFileSource {
    fn poll(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) -> SourceProgress {
        let mut busy = false;
        while self.phase != Phase::Failed && !out.is_full() {
            let pushed = self.sequence.push(out);
            pushed.count(&mut self.counters);
            busy |= pushed.is_something();
            if self.sequence.is_pushable() || !self.read(io.clock(), out) {
                break;
            }
            busy = true;
        }
        if busy {
            return SourceProgress::Busy;
        }
        match self.phase != Phase::Failed && self.sequence.is_exhausted() {
            true => SourceProgress::Finished,
            false => SourceProgress::Idle { wakes_at_ns: None },
        }
    }

    fn watermark(&self) -> Option<Watermark> {
        self.sequence.watermark()
    }

    fn receive(&mut self, message: SourceMessage, _io: &mut dyn Io) {
        self.sequence.receive(message);
    }

    fn stop(&mut self, _io: &mut dyn Io) {
        if self.phase == Phase::Reading {
            (self.reading, self.chunk) = (None, None);
            self.sequence.stop();
            self.phase = Phase::Stopped;
        }
    }

    fn position(&self) -> Option<Vec<u8>> {
        Some(self.sequence.position(self.plan.identity()))
    }

    fn resume(&mut self, positions: &[&[u8]]) -> Result<(), PositionError> {
        let resumed = self.sequence.resume(positions, self.plan.identity(), FILES_CHANGED);
        resumed.map_err(|error| PositionError::of(&self.options.name, &error))
    }

    fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    fn counters(&self) -> &SourceCounters {
        &self.counters
    }
}
