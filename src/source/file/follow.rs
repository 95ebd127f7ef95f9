//! Follow source: one file, read as it grows, through rotations and truncations, by one run after the other.
//!
//! Read: this file · `position` (how far a file was read, and which) · `lookup` (where it is now).
//!
//! In:  slices of the file's tail, on the first core; the others have nothing to do.
//! Out: batches. A last line waits for its line end, unless the file was rotated away.
//!
//! Invariants
//! - What is decoded at once is of one file, and pushed before more is decoded.
//! - A later run goes on behind the last record that was pushed: in the file that it was in, whatever its
//!   name is by then.

mod lookup;
mod position;

pub use lookup::{FollowFiles, FoundFile, RealFiles};

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::FileSourceOptions;
use super::decode::{DecodeInto, Decoding, FollowAdmission, Known, SplitDecoder, origin};
use super::header::Header;
use super::tail::{Tail, TailStart, TailStep};
use crate::limits::FILE_FINGERPRINT_BYTES;
use crate::metrics::SourceCounters;
use crate::reactor::Io;
use crate::record::{Timestamp, Watermark};
use crate::source::sequence::HeldBatch;
use crate::source::{
    HoldingBack, PositionError, Source, SourceMessage, SourceOutput, SourceProgress, SplitTracker,
};
use crate::stdx::{CoreId, Failure};
use lookup::Found;
use position::{FilePosition, FileStart, FollowPosition, KnownFile};

/// Everything a follow source must know on one core.
#[derive(Clone)]
pub struct FollowOptions {
    /// The file; no pattern.
    pub path: PathBuf,
    /// How often to look for more at its end: `limits::FILE_FOLLOW_INTERVAL_NS_DEFAULT`.
    pub interval_ns: u64,
    /// As of a file source.
    pub source: FileSourceOptions,
    /// Where a file is looked for that an earlier run had begun to read.
    pub files: Rc<dyn FollowFiles>,
}

/// See the module.
pub struct FollowSource {
    name: Arc<str>,
    path: PathBuf,
    origin: Arc<str>,
    decoding: Decoding,
    tail: Tail,
    admission: FollowAdmission,
    files: Rc<dyn FollowFiles>,
    is_mine: bool,
    decoder: Option<SplitDecoder>,
    /// Offset behind the last byte decoded.
    fed: u64,
    held: VecDeque<HeldBatch>,
    /// The file that rows were pushed of last, or decoded.
    reading: Option<Reading>,
    /// Of the file that an earlier run had begun, when its format has one.
    header: Option<Header>,
    /// The next bytes are of the file that `reading` is about already.
    goes_on: bool,
    /// What of the file was pushed before, and is decoded again.
    known: Known,
    /// Rows of all files that were pushed.
    rows: u64,
    /// The split begins there.
    first_watermark: Option<Timestamp>,
    /// After the last row pushed.
    pushed_watermark: Timestamp,
    has_event_time: bool,
    phase: Phase,
    failure: Option<Failure>,
    notices: VecDeque<String>,
    counters: SourceCounters,
}

/// How far a file has been read.
#[derive(Default, Debug)]
struct Reading {
    device: u64,
    inode: u64,
    start: FileStart,
    /// Behind the last record pushed.
    pushed: u64,
    /// Rows pushed.
    rows: u64,
    /// It has ended for good.
    has_ended: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Following,
    /// Stopped, or not the core that follows.
    Stopped,
    Failed,
}

impl FollowSource {
    /// A source at the start of the file.
    pub fn new(options: FollowOptions) -> FollowSource {
        let FollowOptions { path, interval_ns, source, files } = options;
        let origin = origin(&source.name, &path);
        let has_event_time = source.event_time.is_some();
        let mut tracker = SplitTracker::new(source.event_time);
        let split = tracker.open(Arc::clone(&origin));
        let is_mine = source.core == CoreId::ZERO;
        FollowSource {
            name: Arc::clone(&source.name),
            tail: Tail::new(path.clone(), interval_ns),
            path,
            origin,
            decoding: Decoding {
                options: source.decoder,
                make: source.make_decoder,
                keep_provenance: source.keep_provenance,
            },
            admission: FollowAdmission { tracker, split },
            files,
            is_mine,
            decoder: None,
            fed: 0,
            held: VecDeque::new(),
            reading: None,
            header: None,
            goes_on: false,
            known: Known::default(),
            rows: 0,
            first_watermark: None,
            pushed_watermark: Timestamp::MIN,
            has_event_time,
            phase: if is_mine { Phase::Following } else { Phase::Stopped },
            failure: None,
            notices: VecDeque::new(),
            counters: SourceCounters::default(),
        }
    }

    fn push(&mut self, out: &mut dyn SourceOutput) -> bool {
        let mut pushed = false;
        while !out.is_full()
            && let Some(held) = self.held.pop_front()
        {
            self.pushed_watermark = held.watermark_after;
            let end = held.end;
            let first_position = out.wants_positions().then_some(self.rows);
            let released = held.release(Timestamp::MIN, first_position, out);
            released.count(&mut self.counters);
            let reading = self.reading.as_mut().expect("rows are of a file");
            reading.pushed = reading.pushed.max(end);
            reading.rows += released.rows;
            self.rows += released.rows;
            pushed = true;
        }
        pushed
    }

    /// Decodes the next slice. The rows decoded, or when to look again.
    fn decode(&mut self, io: &mut dyn Io) -> Result<usize, Wait> {
        let now_ns = io.clock().monotonic_ns();
        let step = self.tail.step(io.disk(), now_ns);
        let (admission, clock) = (&mut self.admission, io.clock());
        let (counters, held) = (&mut self.counters, &mut self.held);
        let (metadata, known) = (None, &mut self.known);
        let mut to = DecodeInto { admission, clock, counters, held, metadata, known, rows: 0 };
        match step {
            TailStep::Wait { wakes_at_ns } => return Err(Wait { wakes_at_ns }),
            TailStep::Bytes { file: (device, inode), offset, bytes } => {
                if self.decoder.is_none() {
                    to.counters.splits_opened += 1;
                    if !std::mem::take(&mut self.goes_on) {
                        self.reading = Some(Reading { device, inode, ..Reading::default() });
                        *to.known = Known::default();
                    }
                }
                let decoder = self.decoder.get_or_insert_with(|| {
                    self.decoding.begin(Arc::clone(&self.origin), offset, self.header.as_ref())
                });
                decoder.feed(bytes, &mut to);
                self.fed = offset + bytes.len() as u64;
                let reading = self.reading.as_mut().expect("begun with the decoder, or before");
                reading.start.take(offset, bytes);
            }
            TailStep::Rotated => {
                self.goes_on = false;
                if let Some(mut decoder) = self.decoder.take() {
                    decoder.finish(&mut to);
                    let is_pushed = self.held.is_empty();
                    let reading = self.reading.as_mut().expect("begun with the decoder, or before");
                    let end = if is_pushed { decoder.offset() } else { 0 };
                    reading.pushed = reading.pushed.max(end);
                }
                self.reading.iter_mut().for_each(|reading| reading.has_ended = true);
            }
            TailStep::Truncated => self.restart(),
            TailStep::Failed(failure) => {
                self.failure = Some(failure);
                self.phase = Phase::Failed;
                return Err(Wait { wakes_at_ns: None });
            }
        }
        Ok(self.held.iter().map(|rows| rows.batch.len()).sum())
    }

    /// The file begins anew: a line that was not complete never will be.
    fn restart(&mut self) {
        let path = self.path.display();
        let unfinished = match self.decoder.take() {
            Some(decoder) => self.fed - decoder.offset(),
            None => 0,
        };
        let lost = match unfinished {
            0 => String::new(),
            bytes => format!("; {bytes} bytes of its last line, which had no end, are lost"),
        };
        self.notices.push_back(format!("{path} was truncated and is read from its start{lost}"));
        self.goes_on = false;
        if let Some(Reading { device, inode, .. }) = self.reading {
            self.reading = Some(Reading { device, inode, ..Reading::default() });
        }
    }

    /// How far the file is read that is, or has been.
    fn file_position(&self, all_pushed: bool) -> Option<FilePosition> {
        let at = |(device, inode): (u64, u64), start: &FileStart, offset, rows, is_complete| {
            let file = KnownFile { device, inode, start: start.fingerprint() };
            FilePosition { file, offset, rows, is_complete }
        };
        let reading = self.reading.as_ref();
        let has_ended = reading.is_none_or(|reading| reading.has_ended && all_pushed);
        match (self.tail.current(), reading) {
            (Some(next), _) if has_ended => Some(at(next, &FileStart::default(), 0, 0, false)),
            (_, Some(reading)) => {
                let Reading { device, inode, start, pushed, rows, .. } = reading;
                // Behind records that are no rows, too.
                let read = self.decoder.as_ref().filter(|_| all_pushed);
                let read = read.map_or(0, SplitDecoder::offset);
                Some(at((*device, *inode), start, read.max(*pushed), *rows, has_ended))
            }
            (_, None) => None,
        }
    }

    /// Goes on where an earlier run stood, wherever the file that it read is now.
    fn go_on(&mut self, position: &FollowPosition) -> io::Result<()> {
        let FollowPosition { rows, watermark, at } = *position;
        (self.rows, self.pushed_watermark) = (rows, watermark);
        if watermark > Timestamp::MIN {
            self.admission.tracker.raise(self.admission.split, watermark, 0);
            self.first_watermark = Some(watermark);
        }
        let Some(at) = at else { return Ok(()) };
        let Found { mut files, goes_on, lost } = lookup::find(&*self.files, &self.path, &at)?;
        self.counters.splits_lost += u64::from(lost.is_some());
        self.notices.extend(lost);
        if let (true, Some(first)) = (goes_on, files.first_mut()) {
            self.go_on_in(first, &at)?;
        }
        self.tail.begin_with(files);
        Ok(())
    }

    /// The next bytes are of the file that an earlier run had begun.
    fn go_on_in(&mut self, file: &mut TailStart, at: &FilePosition) -> io::Result<()> {
        let mut start = FileStart::default();
        start.take(0, &self.files.start(&file.path, FILE_FINGERPRINT_BYTES)?);
        let KnownFile { device, inode, .. } = at.file;
        let (pushed, rows, has_ended) = (at.offset, at.rows, false);
        self.reading = Some(Reading { device, inode, start, pushed, rows, has_ended });
        self.goes_on = true;
        if self.decoding.begins_at_start() {
            file.offset = 0;
            self.known = Known { rows, end: pushed };
        } else if self.decoding.has_header_line() {
            let bytes_max = self.decoding.options.line_bytes_max + b"\r\n".len();
            self.header = Some(Header::of(&self.files.start(&file.path, bytes_max)?));
        }
        Ok(())
    }
}

/// Nothing to decode until the disk answers or, if given, this time.
struct Wait {
    wakes_at_ns: Option<u64>,
}

impl Source for FollowSource {
    fn poll(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) -> SourceProgress {
        let now_ns = io.clock().monotonic_ns();
        if let Some(watermark) = self.first_watermark.take() {
            // Not before there was a clock.
            self.admission.tracker.raise(self.admission.split, watermark, now_ns);
        }
        self.admission.tracker.tick(now_ns);
        let (mut busy, mut rows, mut wakes_at_ns) = (false, 0, None);
        loop {
            busy |= self.push(out);
            if !self.held.is_empty() {
                return SourceProgress::Busy;
            }
            if self.phase != Phase::Following || rows >= out.rows_max() {
                break;
            }
            match self.decode(io) {
                Ok(decoded) => {
                    busy = true;
                    rows += decoded.max(super::SLICE_ROWS_MIN);
                }
                Err(wait) => {
                    wakes_at_ns = wait.wakes_at_ns;
                    break;
                }
            }
        }
        if busy {
            return SourceProgress::Busy;
        }
        if self.phase == Phase::Stopped {
            if self.tail.close(io.disk()) {
                return SourceProgress::Finished;
            }
            return SourceProgress::Idle { wakes_at_ns: None };
        }
        let idle_ns = self.admission.tracker.wakes_at_ns();
        SourceProgress::Idle { wakes_at_ns: wakes_at_ns.into_iter().chain(idle_ns).min() }
    }

    fn watermark(&self) -> Option<Watermark> {
        if self.held.is_empty() {
            return self.admission.tracker.watermark();
        }
        // The tracker has seen rows that have not been pushed yet.
        self.has_event_time.then_some(Watermark::At(self.pushed_watermark))
    }

    fn newest(&self) -> Option<Timestamp> {
        self.admission.tracker.newest()
    }

    fn holding_back(&self) -> Option<HoldingBack> {
        self.admission.tracker.holding_back()
    }

    fn receive(&mut self, message: SourceMessage, _io: &mut dyn Io) {
        unreachable!("no instance of a follow source sends {message:?}")
    }

    fn stop(&mut self, _io: &mut dyn Io) {
        if self.phase == Phase::Following {
            self.phase = Phase::Stopped;
        }
    }

    fn position(&self) -> Option<Vec<u8>> {
        let all_pushed = self.held.is_empty();
        let position = FollowPosition {
            rows: self.rows,
            watermark: match all_pushed {
                true => self.admission.tracker.watermark_of(self.admission.split),
                false => self.pushed_watermark,
            },
            at: self.file_position(all_pushed),
        };
        Some(FollowPosition::encode(Some(&position).filter(|_| self.is_mine)))
    }

    fn resume(&mut self, positions: &[&[u8]]) -> Result<(), PositionError> {
        let mut found = None;
        for position in positions {
            let position = FollowPosition::decode(position);
            found = position.map_err(|error| PositionError::of(&self.name, &error))?.or(found);
        }
        let Some(position) = found.filter(|_| self.is_mine) else { return Ok(()) };
        self.go_on(&position).map_err(|error| {
            let (name, path) = (&self.name, self.path.display());
            PositionError(format!("source {name}: cannot look for what {path} was: {error}"))
        })
    }

    fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    fn take_notice(&mut self) -> Option<String> {
        self.notices.pop_front()
    }

    fn counters(&self) -> &SourceCounters {
        &self.counters
    }
}

#[cfg(test)]
mod tests;
