//! File sink: each core writes parts of its own into one directory.
//!
//! Read: `directory` (looked at once, at start) · `part` (one file's life).
//!
//! In:  batches.
//! Out: `part-<run>-<core>-<number>.<extension>`, each complete and never changed again. While a
//!      part is written it is called `.part-….<extension>.open`; it appears under its name by a
//!      rename that replaces nothing, after its bytes were synced.
//!
//! Invariants
//! - Rows are written in the order in which they came, each whole in one part.
//! - One buffer is being filled while at most one is being written.
//! - A part is begun by its first row: no part is empty.
//! - A disk without room is waited for: the sink is full until the same buffer has been written.
//!
//! Deliberately absent: when output may leave. It leaves at once.

mod directory;
mod part;
#[cfg(test)]
mod tests;

pub use directory::{DirectoryError, PreparedDirectory, check_directory, prepare_directory};

use std::collections::VecDeque;
use std::path::PathBuf;

use crate::format::Encoder;
use crate::limits::{
    SINK_BUFFER_BYTES, SINK_DELAY_NS_MAX, SINK_PARTS_CLOSING_MAX, SINK_UNWRITTEN_BYTES_MAX,
};
use crate::metrics::SinkCounters;
use crate::reactor::Io;
use crate::record::Batch;
use crate::sink::Sink;
use crate::stdx::{CoreId, Failure};

use part::{ClosingPart, OpenPart, PartNames};

/// Everything a file sink must know on one core.
pub struct FileSinkOptions {
    /// Where parts appear.
    pub directory: PathBuf,
    /// From [`prepare_directory`]; the same on all cores.
    pub run: u32,
    /// This core.
    pub core: CoreId,
    /// Of the parts' names: `json`, `csv`, `txt`, `frames`.
    pub extension: String,
    /// Writes rows as bytes.
    pub encoder: Box<dyn Encoder>,
    /// A part that has so many bytes is closed: `limits::SINK_PART_BYTES_MAX`.
    pub part_bytes_max: u64,
    /// A part that is so old is closed: `limits::SINK_PART_AGE_NS_MAX`.
    pub part_age_ns_max: u64,
}

/// See the module.
pub struct FileSink {
    options: FileSinkOptions,
    filling: Buffer,
    /// The buffer last written, for reuse.
    spare: Vec<u8>,
    part: Option<OpenPart>,
    /// What is being written is the last of its part; `filling` belongs to the next.
    is_sealing: bool,
    closing: VecDeque<ClosingPart>,
    next_part: u32,
    is_finishing: bool,
    /// The disk had no room for the rows of this sink when it was last asked.
    lacks_room: bool,
    notice: Option<String>,
    failure: Option<Failure>,
    has_failed: bool,
    counters: SinkCounters,
}

/// Encoded rows that are not being written yet.
#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    rows: u64,
    /// When the first of them came.
    since_ns: u64,
}

impl FileSink {
    /// A sink without a part.
    pub fn new(options: FileSinkOptions) -> FileSink {
        FileSink {
            options,
            filling: Buffer::default(),
            spare: Vec::new(),
            part: None,
            is_sealing: false,
            closing: VecDeque::new(),
            next_part: 0,
            is_finishing: false,
            lacks_room: false,
            notice: None,
            failure: None,
            has_failed: false,
            counters: SinkCounters::default(),
        }
    }

    fn advance(&mut self, io: &mut dyn Io) -> Result<bool, Failure> {
        let mut busy = self.advance_closing(io)?;
        busy |= self.advance_part(io)?;
        if self.part.is_none()
            && !self.filling.bytes.is_empty()
            && self.closing.len() < SINK_PARTS_CLOSING_MAX
        {
            let names = PartNames::new(&self.options, self.next_part);
            self.next_part += 1;
            let now_ns = io.clock().monotonic_ns();
            self.part = Some(OpenPart::begin(names, now_ns, io.disk()));
            busy = true;
        }
        Ok(busy)
    }

    /// Takes closed parts a step further; they appear in the order in which they were filled.
    fn advance_closing(&mut self, io: &mut dyn Io) -> Result<bool, Failure> {
        let Some(part) = self.closing.front_mut() else { return Ok(false) };
        let busy = part.advance(io.disk())?;
        if part.is_done() {
            self.closing.pop_front();
        }
        Ok(busy)
    }

    fn advance_part(&mut self, io: &mut dyn Io) -> Result<bool, Failure> {
        let now_ns = io.clock().monotonic_ns();
        let Some(part) = &mut self.part else { return Ok(false) };
        let mut busy = false;
        if let Some(written) = part.advance(now_ns, io.disk())? {
            self.counters.rows_out += written.rows;
            self.counters.bytes_out += written.bytes.len() as u64;
            self.spare = written.bytes;
            self.spare.clear();
            busy = true;
        }
        if !part.is_ready() {
            return Ok(busy);
        }
        let is_due = !self.is_sealing && self.part_is_due(now_ns);
        if is_due {
            self.options.encoder.end(&mut self.filling.bytes);
        }
        if self.is_sealing || (is_due && self.filling.bytes.is_empty()) {
            let complete = self.part.take().expect("looked at just now");
            self.closing.push_back(complete.seal());
            self.is_sealing = false;
            return Ok(true);
        }
        if is_due || self.buffer_is_due(now_ns) {
            self.is_sealing = is_due;
            self.write_buffer(io);
            return Ok(true);
        }
        Ok(busy)
    }

    fn write_buffer(&mut self, io: &mut dyn Io) {
        let empty = Buffer { bytes: std::mem::take(&mut self.spare), ..Buffer::default() };
        let full = std::mem::replace(&mut self.filling, empty);
        let part = self.part.as_mut().expect("a buffer is written into a part");
        part.write(full.bytes, full.rows, io.disk());
    }

    /// Says once that rows wait for room on the disk, and once that they do no longer.
    fn note_room(&mut self) {
        let waits = self.part.as_ref().is_some_and(|part| part.waits_until_ns().is_some());
        // While a buffer is tried again, nobody knows.
        let is_trying = self.part.as_ref().is_some_and(|part| !part.is_ready());
        let directory = self.options.directory.display();
        if waits && !self.lacks_room {
            self.lacks_room = true;
            self.notice = Some(format!(
                "no space left for {directory}: rows wait; free some, and the job goes on by itself"
            ));
        } else if !is_trying && self.lacks_room {
            self.lacks_room = false;
            self.notice = Some(format!("there is space again for {directory}"));
        }
    }

    /// True when the part at hand takes no more than what has come so far.
    fn part_is_due(&self, now_ns: u64) -> bool {
        let part = self.part.as_ref().expect("asked of an open part");
        self.is_finishing
            || part.bytes() + self.filling.bytes.len() as u64 >= self.options.part_bytes_max
            || now_ns.saturating_sub(part.opened_ns()) >= self.options.part_age_ns_max
    }

    fn buffer_is_due(&self, now_ns: u64) -> bool {
        let age_ns = now_ns.saturating_sub(self.filling.since_ns);
        !self.filling.bytes.is_empty()
            && (self.filling.bytes.len() >= SINK_BUFFER_BYTES || age_ns >= SINK_DELAY_NS_MAX)
    }

    fn record(&mut self, result: Result<bool, Failure>) -> bool {
        result.unwrap_or_else(|failure| {
            self.failure = Some(failure);
            self.has_failed = true;
            true
        })
    }
}

impl Sink for FileSink {
    fn write(&mut self, batch: &Batch, io: &mut dyn Io) {
        self.counters.rows_in += batch.len() as u64;
        if batch.is_empty() || self.has_failed {
            return;
        }
        let buffer = &mut self.filling;
        if buffer.bytes.is_empty() {
            buffer.since_ns = io.clock().monotonic_ns();
            if self.part.is_none() || self.is_sealing {
                self.options.encoder.begin(&mut buffer.bytes);
            }
        }
        self.options.encoder.encode(&batch.rows, &mut buffer.bytes);
        buffer.rows += batch.len() as u64;
        if let Some(reason) = self.options.encoder.take_failure() {
            let directory = self.options.directory.display();
            self.failure = Some(Failure::io(format!("cannot write to {directory}: {reason}")));
            self.has_failed = true;
        }
    }

    fn is_full(&self) -> bool {
        let being_written = self.part.as_ref().map_or(0, OpenPart::bytes_being_written);
        self.has_failed
            || self.lacks_room
            || self.filling.bytes.len() + being_written >= SINK_UNWRITTEN_BYTES_MAX
    }

    fn blocked_by(&self) -> Option<String> {
        let directory = self.options.directory.display();
        self.lacks_room.then(|| {
            format!("no space left for {directory}: free some, and the job goes on by itself")
        })
    }

    fn poll(&mut self, io: &mut dyn Io) -> bool {
        if self.has_failed {
            return false;
        }
        let result = self.advance(io);
        self.note_room();
        self.record(result)
    }

    fn finish(&mut self, io: &mut dyn Io) -> bool {
        self.is_finishing = true;
        self.poll(io);
        let is_written = self.filling.bytes.is_empty() && self.part.is_none();
        self.has_failed || (is_written && self.closing.is_empty())
    }

    fn wakes_at_ns(&self) -> Option<u64> {
        if let Some(retry_ns) = self.part.as_ref().and_then(OpenPart::waits_until_ns) {
            return Some(retry_ns);
        }
        // While something is under way its completion wakes the core.
        let part = self.part.as_ref().filter(|part| part.is_ready())?;
        let old_ns = part.opened_ns() + self.options.part_age_ns_max;
        if self.filling.bytes.is_empty() {
            return Some(old_ns);
        }
        Some(old_ns.min(self.filling.since_ns + SINK_DELAY_NS_MAX))
    }

    fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    fn take_notice(&mut self) -> Option<String> {
        self.notice.take()
    }

    fn counters(&self) -> &SinkCounters {
        &self.counters
    }
}
