//! File sink: each core writes parts of its own into one directory.
//!
//! Read: `directory` (looked at once, at start) · `names` · `part` (one file's life) with `syncs` (what of
//! an open part is durable) · `release` (complete parts get their names) · `ends` (epochs that end here) ·
//! `position` (what a start must know) · `recovery` (what it does with that).
//!
//! In:  batches; ends of epochs, and which of them exist.
//! Out: `part-<run>-<core>-<number>.<extension>`, each complete and never changed again. While a
//!      part is written it is called `.part-….open`; it appears under its name by a rename that replaces
//!      nothing, after its bytes were synced.
//!
//! Invariants
//! - Rows are written in the order in which they came, each whole in one part.
//! - One buffer is being filled while at most one is being written.
//! - A part is begun by its first row: no part is empty.
//! - A disk without room is waited for: the sink is full until the same buffer has been written.
//! - Where epochs decide, a part appears when all of its rows belong to epochs that exist, and a start
//!   completes exactly those rows: each is there once, whatever happened.
//! - A sync that fails is final.

mod directory;
mod ends;
mod names;
mod part;
mod position;
mod recovery;
mod release;
mod syncs;
#[cfg(test)]
mod tests;

pub use directory::{
    DirectoryError, PartOwner, PreparedDirectory, check_directory, prepare_directory,
};
pub use recovery::{PartFiles, RecoveredParts, SystemFiles, recover_parts};

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use crate::format::Encoder;
use crate::limits::{
    SINK_BUFFER_BYTES, SINK_DELAY_NS_MAX, SINK_PARTS_CLOSING_MAX, SINK_PARTS_WAITING_MAX,
    SINK_UNWRITTEN_BYTES_MAX,
};
use crate::metrics::SinkCounters;
use crate::reactor::Io;
use crate::record::{Batch, Epoch};
use crate::sink::Sink;
use crate::stdx::{CoreId, Failure};

use ends::{Ends, Mark};
use names::{PartId, PartNames};
use part::{ClosingPart, OpenPart};
use position::{PartPosition, Position};
use release::Release;
use syncs::PartSyncs;

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
    /// When parts appear.
    pub release: PartRelease,
}

/// When a part that is complete appears.
#[derive(Clone, Debug)]
pub enum PartRelease {
    /// At once.
    Immediate,
    /// When the epochs of all of its rows exist; until then it belongs to this sink.
    Commit(Arc<PartOwner>),
}

/// See the module.
pub struct FileSink {
    options: FileSinkOptions,
    filling: Buffer,
    /// The buffer last written, for reuse.
    spare: Vec<u8>,
    part: Option<OpenPart>,
    /// What is being written is the last of its part, which has rows of the first so many epochs;
    /// `filling` belongs to the next part.
    sealing: Option<u64>,
    closing: VecDeque<ClosingPart>,
    release: Release,
    next_part: u32,
    /// `None` when parts appear at once.
    ends: Option<Ends>,
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
        let ends = match options.release {
            PartRelease::Immediate => None,
            PartRelease::Commit(_) => {
                let directory = std::path::absolute(&options.directory);
                Some(Ends::new(Position {
                    directory: directory.unwrap_or_else(|_| options.directory.clone()),
                    extension: options.extension.clone(),
                    run: options.run,
                    parts: Vec::new(),
                }))
            }
        };
        FileSink {
            options,
            ends,
            filling: Buffer::default(),
            spare: Vec::new(),
            part: None,
            sealing: None,
            closing: VecDeque::new(),
            release: Release::default(),
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
        let committed = self.ends.as_ref().map_or(0, Ends::committed);
        let mut busy = self.release.advance(committed, io.disk())?;
        busy |= self.advance_closing(io)?;
        busy |= self.advance_part(io)?;
        if self.part.is_none()
            && !self.filling.bytes.is_empty()
            && self.closing.len() < SINK_PARTS_CLOSING_MAX
        {
            self.begin_part(io);
            busy = true;
        }
        self.note_durable();
        Ok(busy)
    }

    fn begin_part(&mut self, io: &mut dyn Io) {
        let FileSinkOptions { directory, run, core, extension, release, .. } = &self.options;
        let (run, core, number) = (*run, *core, self.next_part);
        let owner = match release {
            PartRelease::Immediate => None,
            PartRelease::Commit(owner) => Some(owner.number()),
        };
        let names = PartNames::new(directory, PartId { run, core, number }, extension, owner);
        let syncs = owner.map(|_| PartSyncs::new());
        let now_ns = io.clock().monotonic_ns();
        let mut part = OpenPart::begin((number, names), syncs, now_ns, io.disk());
        // Its first rows may belong to an epoch that has ended meanwhile.
        if let Some(mark) = self.ends.as_ref().and_then(|ends| ends.mark_in(number)) {
            part.want(mark.bytes);
        }
        self.next_part += 1;
        self.part = Some(part);
    }

    /// Takes closed parts a step further.
    fn advance_closing(&mut self, io: &mut dyn Io) -> Result<bool, Failure> {
        let Some(part) = self.closing.front_mut() else { return Ok(false) };
        let busy = part.advance(io.disk())?;
        if let Some(closed) = self.closing.pop_front_if(|front| front.is_closed()) {
            self.release.push(closed.into_complete());
        }
        Ok(busy)
    }

    fn advance_part(&mut self, io: &mut dyn Io) -> Result<bool, Failure> {
        let now_ns = io.clock().monotonic_ns();
        let Some(part) = &mut self.part else { return Ok(false) };
        let mut busy = false;
        if let Some(written) = part.advance(now_ns, io.disk())? {
            if self.ends.is_none() {
                self.counters.rows_out += written.rows;
            }
            self.counters.bytes_out += written.bytes.len() as u64;
            self.spare = written.bytes;
            self.spare.clear();
            busy = true;
        }
        busy |= part.advance_syncs(io.disk())?;
        if !part.is_ready() {
            return Ok(busy);
        }
        let is_due = self.sealing.is_none() && self.part_is_due(now_ns);
        let ends = self.sealing.unwrap_or_else(|| self.ends_of_rows());
        if is_due {
            self.options.encoder.end(&mut self.filling.bytes);
        }
        if self.sealing.is_some() || (is_due && self.filling.bytes.is_empty()) {
            let Some(complete) = self.part.take_if(|open| open.is_quiet()) else {
                return Ok(busy);
            };
            self.closing.push_back(complete.seal(ends));
            self.sealing = None;
            return Ok(true);
        }
        if is_due || self.buffer_is_due(now_ns) {
            self.sealing = is_due.then_some(ends);
            self.write_buffer(io);
            return Ok(true);
        }
        Ok(busy)
    }

    /// How many epochs that end here the rows of the open part belong to.
    fn ends_of_rows(&self) -> u64 {
        let part = self.part.as_ref().expect("asked of an open part");
        let bytes = part.bytes() + self.filling.bytes.len() as u64;
        self.ends
            .as_ref()
            .map_or(0, |ends| ends.of_rows_before(Mark { part: part.number(), bytes }))
    }

    /// What has to be durable of the last epoch that has ended may have become so.
    fn note_durable(&mut self) {
        let FileSink { ends: Some(ends), part, closing, next_part, .. } = self else { return };
        let is_durable = |mark: Mark| {
            let fits = |it: &ClosingPart| it.is_synced() || mark.part < it.part().number;
            closing.iter().all(fits)
                && match part {
                    Some(open) if open.number() == mark.part => open.is_durable(mark.bytes),
                    Some(open) => mark.part < open.number(),
                    None => mark.part < *next_part,
                }
        };
        ends.note_durable(is_durable);
    }

    /// All parts that are not released, as they are now, at the end of an epoch.
    fn parts_at_end(&mut self) -> Vec<PartPosition> {
        let whole = |number, bytes| PartPosition { number, bytes, end: Vec::new() };
        let closing = self.closing.iter().map(ClosingPart::part);
        let complete = self.release.parts().chain(closing);
        let mut parts: Vec<PartPosition> =
            complete.map(|part| whole(part.number, part.bytes)).collect();
        let filled = self.filling.bytes.len() as u64;
        let grows = match &self.part {
            Some(part) if self.sealing.is_none() => Some((part.number(), part.bytes() + filled)),
            Some(part) => {
                parts.push(whole(part.number(), part.bytes()));
                (filled > 0).then_some((self.next_part, filled))
            }
            None => (filled > 0).then_some((self.next_part, filled)),
        };
        if let Some((number, bytes)) = grows {
            let mut end = Vec::new();
            self.options.encoder.end(&mut end);
            parts.push(PartPosition { number, bytes, end });
        }
        parts
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
        let bytes = part.bytes() + self.filling.bytes.len() as u64;
        let age_ns = now_ns.saturating_sub(part.opened_ns());
        let is_complete =
            bytes >= self.options.part_bytes_max || age_ns >= self.options.part_age_ns_max;
        self.is_finishing || (is_complete && self.may_wait())
    }

    /// True while another part may wait to be released. With too many of them, the open one grows.
    fn may_wait(&self) -> bool {
        self.release.len() + self.closing.len() < SINK_PARTS_WAITING_MAX
    }

    fn buffer_is_due(&self, now_ns: u64) -> bool {
        let age_ns = now_ns.saturating_sub(self.filling.since_ns);
        !self.filling.bytes.is_empty()
            && (self.filling.bytes.len() >= SINK_BUFFER_BYTES
                || age_ns >= SINK_DELAY_NS_MAX
                || self.has_ended_rows())
    }

    /// True when rows of an epoch that has ended are not being written yet.
    fn has_ended_rows(&self) -> bool {
        let ended = |part: &OpenPart| {
            let mark = self.ends.as_ref().and_then(|ends| ends.mark_in(part.number()));
            mark.is_some_and(|mark| part.bytes() < mark.bytes)
        };
        self.part.as_ref().is_some_and(ended)
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
            if self.part.is_none() || self.sealing.is_some() {
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

    fn end_epoch(&mut self, epoch: Epoch, io: &mut dyn Io) {
        if self.ends.is_none() || self.has_failed {
            return;
        }
        let (parts, rows) = (self.parts_at_end(), self.counters.rows_in);
        let Some(ends) = &mut self.ends else { return };
        ends.end(epoch, rows, parts);
        // A part that is being sealed is synced as a whole.
        if let (Some(part), None) = (&mut self.part, self.sealing)
            && let Some(mark) = ends.mark_in(part.number())
        {
            part.want(mark.bytes);
        }
        self.poll(io);
    }

    fn is_durable(&self, epoch: Epoch) -> bool {
        self.ends.as_ref().is_none_or(|ends| ends.is_durable(epoch))
    }

    fn position(&self) -> Option<Vec<u8>> {
        self.ends.as_ref()?.position().map(<[u8]>::to_vec)
    }

    fn commit(&mut self, epoch: Epoch, _io: &mut dyn Io) {
        if let Some(ends) = &mut self.ends
            && let Some(rows) = ends.commit(epoch)
        {
            self.counters.rows_out = rows;
        }
    }

    fn finish(&mut self, io: &mut dyn Io) -> bool {
        self.is_finishing = true;
        self.poll(io);
        let is_written = self.filling.bytes.is_empty() && self.part.is_none();
        self.has_failed || (is_written && self.closing.is_empty() && self.release.len() == 0)
    }

    fn wakes_at_ns(&self) -> Option<u64> {
        if let Some(retry_ns) = self.part.as_ref().and_then(OpenPart::waits_until_ns) {
            return Some(retry_ns);
        }
        // While something is under way its completion wakes the core.
        let part = self.part.as_ref().filter(|part| part.is_ready() && self.sealing.is_none())?;
        let old_ns = part.opened_ns().saturating_add(self.options.part_age_ns_max);
        let is_full = !self.filling.bytes.is_empty();
        let filled_ns = is_full.then_some(self.filling.since_ns + SINK_DELAY_NS_MAX);
        let old_ns = (part.is_quiet() && self.may_wait()).then_some(old_ns);
        old_ns.into_iter().chain(filled_ns).min()
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
