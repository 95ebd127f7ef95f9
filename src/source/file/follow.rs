//! Follow source: one file, read as it grows, through rotations and truncations.
//!
//! In:  slices of the file's tail, on the first core; the others have nothing to do.
//! Out: batches. A last line waits for its line end, unless the file was rotated away.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use super::FileSourceOptions;
use super::decode::{DecodeInto, Decoding, FollowAdmission, Known, SplitDecoder, origin};
use super::tail::{Tail, TailStep};
use crate::metrics::SourceCounters;
use crate::reactor::Io;
use crate::record::{Timestamp, Watermark};
use crate::source::sequence::HeldBatch;
use crate::source::{
    HoldingBack, Source, SourceMessage, SourceOutput, SourceProgress, SplitTracker,
};
use crate::stdx::{CoreId, Failure};

/// Everything a follow source must know on one core.
#[derive(Clone)]
pub struct FollowOptions {
    /// The file; no pattern.
    pub path: PathBuf,
    /// How often to look for more at its end: `limits::FILE_FOLLOW_INTERVAL_NS_DEFAULT`.
    pub interval_ns: u64,
    /// As of a file source.
    pub source: FileSourceOptions,
}

/// See the module.
pub struct FollowSource {
    path: PathBuf,
    origin: Arc<str>,
    decoding: Decoding,
    tail: Tail,
    admission: FollowAdmission,
    decoder: Option<SplitDecoder>,
    /// Offset behind the last byte decoded.
    fed: u64,
    held: VecDeque<HeldBatch>,
    /// After the last row pushed.
    pushed_watermark: Timestamp,
    has_event_time: bool,
    phase: Phase,
    failure: Option<Failure>,
    notices: VecDeque<String>,
    counters: SourceCounters,
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
        let FollowOptions { path, interval_ns, source } = options;
        let origin = origin(&source.name, &path);
        let has_event_time = source.event_time.is_some();
        let mut tracker = SplitTracker::new(source.event_time);
        let split = tracker.open(Arc::clone(&origin));
        let is_mine = source.core == CoreId::ZERO;
        FollowSource {
            tail: Tail::new(path.clone(), interval_ns),
            path,
            origin,
            decoding: Decoding {
                options: source.decoder,
                make: source.make_decoder,
                keep_provenance: source.keep_provenance,
            },
            admission: FollowAdmission { tracker, split },
            decoder: None,
            fed: 0,
            held: VecDeque::new(),
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
            held.release(Timestamp::MIN, None, out).count(&mut self.counters);
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
        let (metadata, known) = (None, &mut Known::default());
        let mut to = DecodeInto { admission, clock, counters, held, metadata, known, rows: 0 };
        match step {
            TailStep::Wait { wakes_at_ns } => return Err(Wait { wakes_at_ns }),
            TailStep::Bytes { offset, bytes } => {
                if self.decoder.is_none() {
                    to.counters.splits_opened += 1;
                }
                let decoder = self.decoder.get_or_insert_with(|| {
                    self.decoding.begin(Arc::clone(&self.origin), offset, None)
                });
                decoder.feed(bytes, &mut to);
                self.fed = offset + bytes.len() as u64;
            }
            TailStep::Rotated => {
                if let Some(mut decoder) = self.decoder.take() {
                    decoder.finish(&mut to);
                }
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
    }
}

/// Nothing to decode until the disk answers or, if given, this time.
struct Wait {
    wakes_at_ns: Option<u64>,
}

impl Source for FollowSource {
    fn poll(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) -> SourceProgress {
        self.admission.tracker.tick(io.clock().monotonic_ns());
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
