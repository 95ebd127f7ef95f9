//! Generated source: rows made on the spot, by all cores as one sequence.
//!
//! In:  a generator, which can make any part of its stream; the clock, when rows are to come at a rate.
//! Out: batches, the same rows in the same order (see `sequence`) on any number of cores.
//!
//! Invariants
//! - A row is made by the core that is dealt its chunk, whatever other cores do.
//! - With a rate, row *n* is pushed when *n* rows are due, and a chunk is short enough that the
//!   cores take turns many times a second.

use std::sync::Arc;

use arrow::array::{BinaryArray, RecordBatch, UInt64Array};

use crate::format::Decoded;
use crate::limits::{GENERATED_CHUNK_ROWS, GENERATED_CHUNKS_PER_SECOND};
use crate::metrics::SourceCounters;
use crate::reactor::{Clock, Io};
use crate::record::{Provenance, Timestamp, Watermark};
use crate::source::sequence::{Dealing, HeldBatch, Progress, Sequence};
use crate::source::watermark::batch_of;
use crate::source::{
    Admitted, Arrival, EventTimeOptions, PositionError, RunningWatermark, Source, SourceMessage,
    SourceOutput, SourceProgress,
};
use crate::stdx::{CoreId, Malformed};

/// Makes any part of a stream.
pub trait Generator: Send + Sync {
    /// Rows `first..first + rows`, with the columns that are wanted. Nothing but columns that are
    /// said to tell the time may depend on `now`.
    fn make(&self, first: u64, rows: usize, now: Timestamp) -> RecordBatch;

    /// Rows of one batch at most.
    fn batch_rows_max(&self) -> usize;
}

/// Everything a generated source must know on one core.
#[derive(Clone)]
pub struct GeneratedOptions {
    /// Name of the source, and origin of its rows.
    pub name: Arc<str>,
    /// This core.
    pub core: CoreId,
    /// Cores that share the work.
    pub core_count: u16,
    /// Makes the rows.
    pub generator: Arc<dyn Generator>,
    /// How many, and how fast.
    pub pacing: Pacing,
    /// Event time, over the generator's columns. A generated source is never idle.
    pub event_time: Option<EventTimeOptions>,
    /// Rows carry their origin and number.
    pub keep_provenance: bool,
}

/// How many rows are made, and how fast, all cores together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pacing {
    /// Rows of the whole stream; `None` for no end.
    pub rows: Option<u64>,
    /// Rows per second of the clock, positive; `None` for as fast as they are taken.
    pub rows_per_second: Option<u64>,
}

/// See the module.
pub struct GeneratedSource {
    options: GeneratedOptions,
    chunk_rows: u64,
    sequence: Sequence,
    /// The next row of the current chunk, while it has one.
    row: Option<u64>,
    /// The row that is due when the clock is first read.
    first_row: u64,
    /// Inside the current chunk.
    watermark: RunningWatermark,
    /// When that was: monotonic ns.
    started_ns: Option<u64>,
    phase: Phase,
    counters: SourceCounters,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    Making,
    Stopped,
}

/// What an attempt to make rows found.
enum Made {
    Rows,
    /// Nothing that may be made now; with a rate, when the next row is due.
    Nothing {
        due_ns: Option<u64>,
    },
}

impl GeneratedSource {
    /// A source at its core's first chunk.
    pub fn new(options: GeneratedOptions) -> GeneratedSource {
        let GeneratedOptions { core, core_count, pacing, .. } = options;
        let chunk_rows = pacing.chunk_rows();
        let chunk_count = pacing.rows.map_or(u64::MAX, |rows| rows.div_ceil(chunk_rows));
        let dealing = Dealing { core, core_count, chunk_count, chunk_rows_max: chunk_rows };
        GeneratedSource {
            chunk_rows,
            sequence: Sequence::new(dealing, options.event_time.is_some()),
            row: None,
            first_row: 0,
            watermark: RunningWatermark::new(Timestamp::MIN),
            started_ns: None,
            phase: Phase::Making,
            counters: SourceCounters::default(),
            options,
        }
    }

    /// Makes the next batch, of the current chunk or of a new one.
    fn make(&mut self, clock: &dyn Clock, out: &mut dyn SourceOutput) -> Made {
        if self.phase != Phase::Making {
            return Made::Nothing { due_ns: None };
        }
        let Some((chunk, row, progress)) = self.next_row() else {
            return Made::Nothing { due_ns: None };
        };
        let now_ns = clock.monotonic_ns();
        let started_ns = *self.started_ns.get_or_insert(now_ns);
        let due = self.options.pacing.due(now_ns.saturating_sub(started_ns));
        let due = due.saturating_add(self.first_row);
        let end = self.chunk_end(chunk);
        let rows = end.min(due).saturating_sub(row);
        if rows == 0 && row < end {
            let wait_ns = self.options.pacing.due_at(row.saturating_sub(self.first_row));
            return Made::Nothing { due_ns: Some(started_ns.saturating_add(wait_ns)) };
        }
        let rows_max = self.options.generator.batch_rows_max().min(out.rows_max()).max(1);
        let rows = usize::try_from(rows).map_or(rows_max, |rows| rows.min(rows_max));
        if self.row.is_none() {
            self.sequence.begin();
            self.watermark = RunningWatermark::new(progress.watermark);
        }
        if rows > 0 {
            self.hold(row, rows, clock);
        }
        let next = row + rows as u64;
        self.row = (next < end).then_some(next);
        if self.row.is_none() {
            self.sequence.complete(self.watermark.get(), out);
        }
        Made::Rows
    }

    /// The row to make next with the number of its chunk, and what was made of its chunk before, in another run.
    fn next_row(&self) -> Option<(u64, u64, Progress)> {
        if let Some(row) = self.row {
            return Some((row / self.chunk_rows, row, Progress::NONE));
        }
        let chunk = self.sequence.next_chunk()?;
        let first = chunk.number.checked_mul(self.chunk_rows)?;
        Some((chunk.number, chunk.progress.at.unwrap_or(first), chunk.progress))
    }

    /// Behind the last row of the chunk `number`.
    fn chunk_end(&self, number: u64) -> u64 {
        let next_chunk = number.saturating_add(1);
        next_chunk.saturating_mul(self.chunk_rows).min(self.options.pacing.rows.unwrap_or(u64::MAX))
    }

    fn take_positions(&mut self, positions: &[&[u8]]) -> Result<(), Malformed> {
        let changed = "its rows come at another rate now";
        self.sequence.resume(positions, self.chunk_rows, changed)?;
        let first = self.sequence.first_left();
        let start = first.number.saturating_mul(self.chunk_rows);
        self.first_row = first.progress.at.unwrap_or(start);
        Ok(())
    }

    /// Makes rows, checks their times and holds them.
    fn hold(&mut self, first: u64, rows: usize, clock: &dyn Clock) {
        let wall = Timestamp::from_millis(clock.wall_ms());
        let arrival = Arrival { monotonic_ns: clock.monotonic_ns(), wall };
        let options = &self.options;
        let made = options.generator.make(first, rows, wall);
        assert_eq!(made.num_rows(), rows);
        let provenance = options.keep_provenance.then(|| Provenance {
            origin: Arc::clone(&options.name),
            offsets: UInt64Array::from_iter_values(first..first + rows as u64),
            raw: BinaryArray::from_iter_values(std::iter::repeat_n(b"", rows)),
        });
        let decoded = Decoded { rows: made, provenance, end: first + rows as u64 };
        let Admitted { batch, rejected } = match &options.event_time {
            Some(EventTimeOptions { rules, .. }) => {
                self.watermark.admit(rules, decoded, &options.name, arrival)
            }
            None => Admitted { batch: batch_of(decoded, arrival), rejected: Vec::new() },
        };
        let (watermark_after, end) = (self.watermark.get(), first + rows as u64);
        let held = HeldBatch { batch, rejections: rejected, watermark_after, end };
        self.sequence.current().batches.push_back(held);
    }
}

impl Source for GeneratedSource {
    /// One batch at most is pushed, so that operators find it in the cache.
    fn poll(&mut self, io: &mut dyn Io, out: &mut dyn SourceOutput) -> SourceProgress {
        loop {
            let pushed = self.sequence.push(out);
            pushed.count(&mut self.counters);
            if pushed.is_something() || self.sequence.is_pushable() {
                return SourceProgress::Busy;
            }
            match self.make(io.clock(), out) {
                Made::Rows => {}
                Made::Nothing { .. } if self.sequence.is_exhausted() => {
                    return SourceProgress::Finished;
                }
                Made::Nothing { due_ns } => return SourceProgress::Idle { wakes_at_ns: due_ns },
            }
        }
    }

    fn watermark(&self) -> Option<Watermark> {
        self.sequence.watermark()
    }

    fn receive(&mut self, message: SourceMessage, _io: &mut dyn Io) {
        self.sequence.receive(message);
    }

    fn stop(&mut self, _io: &mut dyn Io) {
        self.phase = Phase::Stopped;
        self.sequence.stop();
        self.row = None;
    }

    fn position(&self) -> Option<Vec<u8>> {
        Some(self.sequence.position(self.chunk_rows))
    }

    fn resume(&mut self, positions: &[&[u8]]) -> Result<(), PositionError> {
        let resumed = self.take_positions(positions);
        resumed.map_err(|error| PositionError::of(&self.options.name, &error))
    }

    fn counters(&self) -> &SourceCounters {
        &self.counters
    }
}

const SECOND_NS: u128 = 1_000_000_000;

impl Pacing {
    /// Rows of a chunk: with a rate so few that each core has its turn soon.
    fn chunk_rows(self) -> u64 {
        let paced = |rate: u64| (rate / GENERATED_CHUNKS_PER_SECOND).max(1);
        self.rows_per_second.map_or(GENERATED_CHUNK_ROWS, paced).min(GENERATED_CHUNK_ROWS)
    }

    /// Rows due after `elapsed_ns`: the first one at once.
    fn due(self, elapsed_ns: u64) -> u64 {
        let Some(rate) = self.rows_per_second else { return u64::MAX };
        let due = u128::from(elapsed_ns) * u128::from(rate) / SECOND_NS;
        u64::try_from(due).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// How long after the start `row` is due.
    fn due_at(self, row: u64) -> u64 {
        let Some(rate) = self.rows_per_second else { return 0 };
        let wait_ns = (u128::from(row) * SECOND_NS).div_ceil(u128::from(rate.max(1)));
        u64::try_from(wait_ns).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests;
