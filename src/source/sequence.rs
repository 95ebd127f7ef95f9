//! Sequence: what is read as one stream by all cores, in chunks dealt round robin.
//!
//! In:  batches of this core's chunks, in order; other cores' chunk maxima.
//! Out: the same batches, each row with the watermark it would have had on one core.
//!
//! Read: `layout` (which chunks are left, and whose) · `held` (batches that wait) · `maxima` (the
//! watermark before a chunk) · `position` (where a later run goes on).
//!
//! Invariants
//! - Rows are pushed only when the maxima of all earlier chunks are known.
//! - At most one chunk is made ahead of the one being pushed; so no core is more than twice as many
//!   chunks as there are cores ahead of the oldest one that is not complete.
//! - A chunk's maximum is told to the other cores exactly once.

mod held;
mod layout;
mod maxima;
mod position;

pub(super) use held::{HeldBatch, HeldChunk, Released};
pub(super) use layout::{ChunkStart, Progress};

use std::collections::VecDeque;

use crate::record::{Timestamp, Watermark};
use crate::source::{SourceMessage, SourceOutput};
use crate::stdx::{ByteReader, ByteWriter, CoreId, Malformed};

use layout::Layout;
use maxima::Maxima;
use position::{CorePosition, RECENT_CHUNKS, Resumed};

/// Of the bytes of a position.
const POSITION_VERSION: u8 = 1;

/// Chunks a core holds: the one being pushed, and one made ahead of it.
const HELD_CHUNKS_MAX: usize = 2;

/// Who takes which chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Dealing {
    /// This core.
    pub(super) core: CoreId,
    /// Cores that share the work.
    pub(super) core_count: u16,
    /// Chunks of the whole sequence.
    pub(super) chunk_count: u64,
    /// More rows than a chunk has: by it, rows are numbered through all chunks.
    pub(super) chunk_rows_max: u64,
}

/// One core's part.
#[derive(Debug)]
pub(super) struct Sequence {
    dealing: Dealing,
    layout: Layout,
    has_event_time: bool,
    /// Place of the own chunk to begin next.
    next_place: u64,
    held: VecDeque<HeldChunk>,
    /// Place of the own chunk to be pushed next, or being pushed.
    position: u64,
    /// What has been pushed of that chunk.
    pushed: Progress,
    maxima: Maxima,
    /// Own chunks that were pushed last, with their maxima.
    recent: VecDeque<(u64, Timestamp)>,
    /// The watermark after the last row pushed.
    pushed_watermark: Timestamp,
    stopped: bool,
}

impl Sequence {
    pub(super) fn new(dealing: Dealing, has_event_time: bool) -> Sequence {
        let layout = Layout::whole(dealing.chunk_count);
        Sequence::over(layout, Maxima::new(0, Timestamp::MIN), dealing, has_event_time)
    }

    fn over(layout: Layout, maxima: Maxima, dealing: Dealing, has_event_time: bool) -> Sequence {
        assert!(dealing.core.index() < usize::from(dealing.core_count));
        let first = dealing.core.index() as u64;
        Sequence {
            next_place: first,
            position: first,
            pushed: layout.chunk(first).map_or(Progress::NONE, |chunk| chunk.progress),
            held: VecDeque::new(),
            maxima,
            recent: VecDeque::new(),
            pushed_watermark: Timestamp::MIN,
            stopped: false,
            dealing,
            layout,
            has_event_time,
        }
    }

    /// Where this core stands: what it has pushed has been read. `identity` is that of what is read.
    pub(super) fn position(&self, identity: u64) -> Vec<u8> {
        let mut writer = ByteWriter::new();
        writer.u8(POSITION_VERSION);
        writer.u64(identity);
        self.write_place(&mut writer);
        writer.finish()
    }

    fn write_place(&self, out: &mut ByteWriter) {
        let cores = u64::from(self.dealing.core_count);
        let mut left = Vec::new();
        let mut place = self.position;
        while let Some(mut chunk) = self.layout.chunk(place) {
            let is_begun = place == self.position && self.pushed.at.is_some();
            if !is_begun && place >= self.layout.left.len() as u64 {
                break;
            }
            if place == self.position {
                chunk.progress = self.pushed;
            }
            left.push(chunk);
            place = place.saturating_add(cores);
        }
        let tail_place = place.saturating_sub(self.layout.left.len() as u64);
        let known = self.maxima.known();
        let recent = self.recent.iter().copied().filter(|(chunk, _)| *chunk < self.maxima.base());
        let position = CorePosition {
            core_count: self.dealing.core_count,
            left,
            tail: self.layout.tail.saturating_add(tail_place),
            prefix_end: self.maxima.base(),
            prefix: self.maxima.prefix(),
            maxima: recent.chain(known).collect(),
        };
        position.encode(out);
    }

    /// Goes on where the cores of an earlier run stood, given their positions. Nothing has been begun
    /// here.
    ///
    /// # Errors
    /// When these are not the positions of all its cores; `changed` when they are of something else than
    /// `identity` is of.
    pub(super) fn resume(
        &mut self,
        positions: &[&[u8]],
        identity: u64,
        changed: &'static str,
    ) -> Result<(), Malformed> {
        let mut readers: Vec<ByteReader<'_>> =
            positions.iter().map(|position| ByteReader::new(position)).collect();
        for reader in &mut readers {
            if reader.u8()? != POSITION_VERSION {
                let reason = "a version of positions that this program does not know";
                return Err(reader.malformed(reason));
            }
            if reader.u64()? != identity {
                return Err(reader.malformed(changed));
            }
        }
        self.take_places(&mut readers)?;
        readers.into_iter().try_for_each(ByteReader::finish)
    }

    fn take_places(&mut self, positions: &mut [ByteReader<'_>]) -> Result<(), Malformed> {
        assert!(self.held.is_empty() && self.next_place == self.dealing.core.index() as u64);
        let read: Result<Vec<CorePosition>, Malformed> =
            positions.iter_mut().map(CorePosition::decode).collect();
        let resumed = Resumed::of(&read?, self.dealing.chunk_count, self.has_event_time);
        let Resumed { layout, prefix, maxima } =
            resumed.map_err(|reason| Malformed { offset: 0, reason })?;
        let mut known = Maxima::new(layout.first(), prefix);
        for (chunk, watermark) in maxima {
            known.record(chunk, watermark);
        }
        *self = Sequence::over(layout, known, self.dealing, self.has_event_time);
        Ok(())
    }

    /// The first chunk that is left, of all cores.
    pub(super) fn first_left(&self) -> ChunkStart {
        self.layout.chunk(0).unwrap_or(ChunkStart::whole(self.layout.tail))
    }

    /// The chunk to begin next, if there is one and it may be begun.
    pub(super) fn next_chunk(&self) -> Option<ChunkStart> {
        if self.stopped || self.held.len() == HELD_CHUNKS_MAX {
            return None;
        }
        self.layout.chunk(self.next_place)
    }

    /// Begins that chunk.
    pub(super) fn begin(&mut self) {
        let chunk = self.next_chunk().expect("the caller has just asked for it");
        self.held.push_back(HeldChunk::new(chunk.number));
        self.next_place = self.next_place.saturating_add(u64::from(self.dealing.core_count));
    }

    /// The chunk begun last, which is not complete.
    pub(super) fn current(&mut self) -> &mut HeldChunk {
        let current = self.held.back_mut().expect("the chunk being made is held");
        assert!(current.maximum.is_none());
        current
    }

    /// Bytes behind the rows held.
    pub(super) fn held_bytes(&self) -> u64 {
        self.held.iter().map(|chunk| chunk.bytes).sum()
    }

    /// The maximum of everything before the chunk to be pushed, once it is known.
    pub(super) fn prefix(&mut self) -> Option<Timestamp> {
        if !self.has_event_time {
            return Some(Timestamp::MIN);
        }
        let chunk = self.layout.chunk(self.position)?;
        self.maxima.advance_to(chunk.number)
    }

    /// Pushes what may be pushed; what that was.
    pub(super) fn push(&mut self, out: &mut dyn SourceOutput) -> Released {
        let mut released = Released::default();
        while !self.held.is_empty()
            && let Some(prefix) = self.prefix()
        {
            let front = self.held.front_mut().expect("just looked at");
            while !out.is_full()
                && let Some(held) = front.batches.pop_front()
            {
                let positions = out.wants_positions().then(|| {
                    let first = front.number.saturating_mul(self.dealing.chunk_rows_max);
                    first.saturating_add(self.pushed.rows)
                });
                let rows = held.batch.len() as u64;
                let (at, rows) = (Some(held.end), self.pushed.rows + rows);
                self.pushed = Progress { at, rows, watermark: held.watermark_after };
                self.pushed_watermark = held.watermark_after.max(prefix);
                released += held.release(prefix, positions, out);
            }
            let Some(maximum) = front.maximum.filter(|_| front.batches.is_empty()) else { break };
            self.recent.push_back((front.number, maximum));
            if self.recent.len() > RECENT_CHUNKS {
                self.recent.pop_front();
            }
            self.held.pop_front();
            self.position = self.position.saturating_add(u64::from(self.dealing.core_count));
            let next = self.layout.chunk(self.position);
            self.pushed = next.map_or(Progress::NONE, |chunk| chunk.progress);
        }
        released
    }

    /// True when rows wait for nothing but room.
    pub(super) fn is_pushable(&mut self) -> bool {
        let has_rows = self.held.front().is_some_and(|front| !front.batches.is_empty());
        has_rows && self.prefix().is_some()
    }

    /// The current chunk has no more rows; tells every core the maximum inside it.
    pub(super) fn complete(&mut self, watermark: Timestamp, out: &mut dyn SourceOutput) {
        let held = self.current();
        held.maximum = Some(watermark);
        let chunk = held.number;
        if self.has_event_time {
            self.maxima.record(chunk, watermark);
            let Dealing { core: own, core_count, .. } = self.dealing;
            for core in CoreId::all(core_count).filter(|core| *core != own) {
                out.send(core, SourceMessage::ChunkWatermark { chunk, watermark });
            }
        }
    }

    /// Cuts the sequence here: what has not been pushed has not been read.
    pub(super) fn stop(&mut self) {
        self.held.clear();
        self.stopped = true;
    }

    pub(super) fn receive(&mut self, message: SourceMessage) {
        match message {
            SourceMessage::ChunkWatermark { chunk, watermark } => {
                self.maxima.record(chunk, watermark);
            }
            other => unreachable!("no instance of a sequence sends {other:?}"),
        }
    }

    /// True when no row will ever be added to what has been pushed.
    pub(super) fn is_exhausted(&self) -> bool {
        let has_more = !self.stopped && self.layout.chunk(self.next_place).is_some();
        !has_more && self.held.is_empty()
    }

    pub(super) fn watermark(&self) -> Option<Watermark> {
        if !self.has_event_time {
            return None;
        }
        if !self.stopped && self.is_exhausted() {
            return Some(Watermark::Idle);
        }
        Some(Watermark::At(self.pushed_watermark.max(self.maxima.prefix())))
    }
}
