//! Writer: the end of one journal, on the core that owns it.
//!
//! In:  entries, ends of epochs, commit records; segments from the supply.
//! Out: stores or direct writes; syncs of exactly the blocks that were written; how far all is durable.
//!
//! Read: `part` (a segment in use) · `staging` (direct writes) · `syncs`.
//!
//! Invariants
//! - Nothing waits: where a segment or its pages are not there yet, or too much is on its way to the
//!   disk, an append says [`NoRoom`] and changes nothing.
//! - A block that was handed to a sync is never written again: whatever is made durable ends at a
//!   block, with a padding entry.
//! - Room for two copies of a commit record and the end of a segment is kept, so that the epoch that
//!   frees segments can be committed while there is no space for another.
//! - After a failure nothing is written and nothing becomes durable any more: a second sync of the same
//!   blocks would succeed without their being durable.

mod part;
mod staging;
mod syncs;

use std::collections::VecDeque;
use std::fmt;

use super::commit::CommitRecord;
use super::entry::{
    BLOCK, BLOCK_BYTES, ENTRY_HEADER_BYTES, EntryHeader, EntryKind, ZEROS, index, stored_bytes,
};
use super::mapped_file::MappedFile;
use super::segment::SEGMENT_BEGIN;
use super::storage::SegmentMemory;
use super::supply::{FromSupply, JournalOptions, ToSupply};
use super::{JournalId, JournalRange, Kind, Position};
use crate::limits::{EPOCHS_IN_FLIGHT_MAX, JOURNAL_ENTRY_BYTES_MAX};
use crate::reactor::{Disk, MeshReceiver, MeshSender};
use crate::stdx::Failure;
use part::Part;
use staging::Staging;
use syncs::{Piece, Syncs};

/// There is no room at the moment; the same append succeeds later.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRoom;

impl fmt::Display for NoRoom {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the journal has no room at the moment")
    }
}

impl std::error::Error for NoRoom {}

/// What an epoch wrote to one journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochRange {
    /// Which journal.
    pub journal: JournalId,
    /// Which epoch.
    pub epoch: u64,
    /// Where its first entry begins.
    pub from: Position,
    /// Where it ends.
    pub to: Position,
    /// Sequence of the first entry behind it.
    pub sequence: u64,
}

impl EpochRange {
    /// What the commit record says of the journal, when everything from `from` on is still needed.
    pub fn needed_from(&self, from: Position) -> JournalRange {
        JournalRange { journal: self.journal, from, to: self.to, sequence: self.sequence }
    }
}

/// Where a writer goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WriterStart {
    /// The journal's end.
    pub position: Position,
    /// Sequence of the next entry.
    pub sequence: u64,
    /// The last epoch number that must not be used again.
    pub epoch: u64,
    /// Journals of the job, for the size of commit records.
    pub journals: usize,
    /// Segments there are, in order.
    pub segments: Vec<u64>,
    /// Where earlier runs ended in one of them: its number, and the byte.
    pub seals: Vec<(u64, u64)>,
}

/// The end of one journal.
pub struct Writer<M: SegmentMemory = MappedFile> {
    journal: JournalId,
    run: u32,
    options: JournalOptions,
    /// Bytes of a segment that only commit records may use.
    reserve: u64,
    position: Position,
    sequence: u64,
    /// The last epoch that ended here.
    ended: u64,
    /// Ends of epochs that are not known to exist.
    ends: VecDeque<(u64, Position)>,
    /// The last epoch that is known to exist, and where it ends here.
    committed: u64,
    committed_to: Position,
    epoch_begin: Position,
    current: Option<Part<M>>,
    ready: VecDeque<Part<M>>,
    /// Complete, and not yet durable.
    left: VecDeque<Part<M>>,
    /// Where the journal is written directly.
    staging: Option<Staging>,
    /// Written and not yet handed to a sync.
    dirty: Vec<Piece>,
    syncs: Syncs,
    closing: Vec<crate::reactor::OperationId>,
    /// Segments that were not recycled, in order; the last may be in use.
    segments: VecDeque<u64>,
    /// Where earlier runs ended in one of them.
    seals: Vec<(u64, u64)>,
    outbox: MeshSender<ToSupply<M>>,
    inbox: MeshReceiver<FromSupply<M>>,
    /// What the outbox had no room for.
    unsent: VecDeque<ToSupply<M>>,
    no_space: Option<String>,
    failure: Option<Failure>,
}

type Ends<M> = (MeshSender<ToSupply<M>>, MeshReceiver<FromSupply<M>>);

impl<M: SegmentMemory> Writer<M> {
    pub(super) fn new(
        journal: JournalId,
        run: u32,
        start: &WriterStart,
        options: JournalOptions,
        (outbox, inbox): Ends<M>,
    ) -> Writer<M> {
        let reserve = 2 * CommitRecord::block_bytes(start.journals) + BLOCK_BYTES;
        assert!(options.segment_bytes.is_multiple_of(BLOCK_BYTES));
        assert!(options.populate_bytes.is_multiple_of(BLOCK_BYTES));
        assert!(options.buffer_bytes.is_multiple_of(BLOCK));
        assert!(SEGMENT_BEGIN + 2 * reserve <= options.segment_bytes);
        let staging = match journal.kind {
            Kind::State => None,
            Kind::Ingest | Kind::Output => {
                Some(Staging::new(options.buffer_bytes, options.buffers_max))
            }
        };
        Writer {
            journal,
            run,
            options,
            reserve,
            position: start.position,
            sequence: start.sequence,
            ended: start.epoch,
            ends: VecDeque::new(),
            committed: start.epoch,
            committed_to: start.position,
            epoch_begin: start.position,
            current: None,
            ready: VecDeque::new(),
            left: VecDeque::new(),
            staging,
            dirty: Vec::new(),
            syncs: Syncs::new(start.position),
            closing: Vec::new(),
            segments: start.segments.iter().copied().collect(),
            seals: start.seals.clone(),
            outbox,
            inbox,
            unsent: VecDeque::new(),
            no_space: None,
            failure: None,
        }
    }

    /// Which journal it is.
    pub fn journal(&self) -> JournalId {
        self.journal
    }

    /// Bytes of the longest payload.
    pub fn payload_bytes_max(&self) -> usize {
        let room = self.options.segment_bytes - SEGMENT_BEGIN - self.reserve - BLOCK_BYTES;
        (index(room) - ENTRY_HEADER_BYTES).min(JOURNAL_ENTRY_BYTES_MAX)
    }

    /// The end of what was appended.
    pub fn position(&self) -> Position {
        self.position
    }

    /// Everything before this is durable.
    pub fn durable(&self) -> Position {
        self.syncs.durable()
    }

    /// The segment behind `segment`, if there is one and it was begun.
    pub fn segment_after(&self, segment: u64) -> Option<u64> {
        self.segments.iter().copied().find(|number| *number > segment)
    }

    /// Where an earlier run ended in `segment`: what lies behind is none of the journal's.
    pub fn sealed_at(&self, segment: u64) -> Option<u64> {
        self.seals.iter().find(|(number, _)| *number == segment).map(|(_, end)| *end)
    }

    /// Why appends find no room, when the disk has no space.
    pub fn no_space(&self) -> Option<&str> {
        self.no_space.as_deref()
    }

    /// Appends an entry to `epoch`, which has not ended; `payload` is one part behind the other, at
    /// most four, and not longer than [`Writer::payload_bytes_max`]. Says where the entry begins.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn append(&mut self, tag: u32, epoch: u64, payload: &[&[u8]]) -> Result<Position, NoRoom> {
        assert!(epoch > self.ended);
        assert!(epoch <= self.committed + EPOCHS_IN_FLIGHT_MAX);
        let bytes: usize = payload.iter().map(|part| part.len()).sum();
        assert!(bytes <= self.payload_bytes_max());
        self.make_room(stored_bytes(bytes as u64), self.reserve)?;
        let begin = self.position;
        self.put(EntryKind::Data, (tag, epoch), payload);
        self.ask_for_pages(0);
        Ok(begin)
    }

    /// Ends `epoch` in this journal. What it wrote ends at a block; a [`Writer::sync`] makes it durable.
    pub fn end_epoch(&mut self, epoch: u64) -> EpochRange {
        assert!(epoch > self.ended);
        self.pad();
        self.ended = epoch;
        let (from, to) = (self.epoch_begin, self.position);
        self.epoch_begin = to;
        self.ends.push_back((epoch, to));
        EpochRange { journal: self.journal, epoch, from, to, sequence: self.sequence }
    }

    /// Appends a copy of a commit record, in blocks of its own. The epoch exists once it is durable.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn append_commit(&mut self, record: &CommitRecord) -> Result<(), NoRoom> {
        let payload = record.to_bytes();
        self.pad();
        let stored = stored_bytes(payload.len() as u64).next_multiple_of(BLOCK_BYTES);
        assert!(stored < self.reserve);
        self.make_room(stored, 0)?;
        self.put(EntryKind::Commit, (0, record.epoch), &[&payload]);
        self.pad();
        Ok(())
    }

    /// `epoch` exists: its record is durable, here or elsewhere.
    pub fn note_committed(&mut self, epoch: u64) {
        self.committed = self.committed.max(epoch);
        while let Some((_, to)) = self.ends.pop_front_if(|(ended, _)| *ended <= epoch) {
            self.committed_to = to;
        }
    }

    /// Begins to make everything durable that was appended so far; see [`Writer::durable`].
    pub fn sync(&mut self, disk: &mut dyn Disk) {
        self.pad();
        let after_write = self.staging.as_mut().map_or(0, Staging::flush);
        self.syncs.push(self.position, std::mem::take(&mut self.dirty), after_write);
        // A failure is kept and said by the next poll.
        let _ = self.poll(disk);
    }

    /// Segments that end before `position` are needed no more: neither by an epoch that exists nor by
    /// one to come. The one in which the last epoch that exists ends is kept in any case: the record
    /// names it, even if nothing in it is needed.
    pub fn recycle_before(&mut self, position: Position) {
        let in_use = self.left.front().or(self.current.as_ref()).map(|part| part.header.number);
        let named = position.segment.min(self.committed_to.segment);
        let needed = named.min(in_use.unwrap_or(u64::MAX));
        while let Some(segment) = self.segments.pop_front_if(|segment| *segment < needed) {
            self.unsent.push_back(ToSupply::Recycle { segment });
        }
        self.flush();
    }

    /// Takes what is complete and begins what can be begun; called once a turn.
    ///
    /// # Errors
    /// When the disk failed, now or before: the process must end.
    pub fn poll(&mut self, disk: &mut dyn Disk) -> Result<(), Failure> {
        if self.failure.is_none() {
            self.failure = self.advance(disk).err();
        }
        self.failure.clone().map_or(Ok(()), Err)
    }

    fn advance(&mut self, disk: &mut dyn Disk) -> Result<(), Failure> {
        while let Some(message) = self.inbox.pop() {
            match message {
                FromSupply::Segment(supplied) => {
                    self.no_space = None;
                    self.ready.push_back(Part::new(supplied));
                }
                FromSupply::Populated { segment, to } => {
                    let parts = self.current.iter_mut().chain(&mut self.ready);
                    for part in parts.filter(|part| part.header.number == segment) {
                        part.populated = to;
                    }
                }
                FromSupply::Full(reason) => self.no_space = Some(reason),
                FromSupply::Failed(failure) => return Err(failure),
            }
        }
        let is_direct = self.staging.is_some();
        for part in &mut self.ready {
            part.advance(is_direct, disk)?;
        }
        if self.current.is_none() {
            self.begin_segment();
        }
        let parts = || self.left.iter().chain(&self.current);
        let mut written = 0;
        if let Some(staging) = &mut self.staging {
            staging.advance(disk, parts)?;
            written = staging.completed();
        }
        self.syncs.advance(disk, written, parts)?;
        self.close(disk);
        self.flush();
        Ok(())
    }

    /// Segments that are complete and durable are closed, and their mappings ended.
    fn close(&mut self, disk: &mut dyn Disk) {
        let durable = self.syncs.durable().segment;
        while let Some(part) = self.left.pop_front_if(|part| part.header.number < durable) {
            self.closing.extend(part.file.map(|file| disk.close(file)));
            let segment = part.header.number;
            self.unsent.push_back(ToSupply::Left { segment, memory: part.memory });
        }
        // What closing says is of no interest: everything is durable.
        self.closing.retain(|operation| disk.take_result(*operation).is_none());
    }

    /// Room for `stored` bytes, `reserve` bytes before the last block of a segment.
    fn make_room(&mut self, stored: u64, reserve: u64) -> Result<(), NoRoom> {
        if self.failure.is_some() {
            return Err(NoRoom);
        }
        if let Some(current) = &self.current
            && self.position.offset + stored + reserve > current.header.bytes - BLOCK_BYTES
        {
            if !self.ready.front().is_some_and(Part::is_open) {
                return Err(NoRoom);
            }
            self.end_segment();
        }
        if self.current.is_none() && !self.begin_segment() {
            return Err(NoRoom);
        }
        if let Some(staging) = &self.staging {
            return if staging.has_room() { Ok(()) } else { Err(NoRoom) };
        }
        // The block after the last one for the entry that ends the segment.
        let end = (self.position.offset + stored).next_multiple_of(BLOCK_BYTES) + BLOCK_BYTES;
        let current = self.current.as_ref().expect("begun just now");
        if end <= current.populated {
            return Ok(());
        }
        self.ask_for_pages(end);
        Err(NoRoom)
    }

    /// Has pages made present: up to `end`, and ahead of the stores.
    fn ask_for_pages(&mut self, end: u64) {
        let Some(current) = self.current.as_mut().filter(|_| self.staging.is_none()) else {
            return;
        };
        let ahead = self.options.populate_bytes;
        let offset = self.position.offset;
        let is_far_ahead =
            current.asked >= current.header.bytes || current.asked >= offset + ahead / 2;
        if is_far_ahead && end <= current.asked {
            return;
        }
        let to = end.max((offset + ahead).next_multiple_of(BLOCK_BYTES));
        current.asked = to.min(current.header.bytes);
        let segment = current.header.number;
        self.unsent.push_back(ToSupply::Wanted { segment, to: current.asked });
        self.flush();
    }

    /// Goes on in the next segment, if there is one.
    fn begin_segment(&mut self) -> bool {
        let Some(part) = self.ready.pop_front_if(|part| part.is_open()) else { return false };
        let number = part.header.number;
        self.position = Position { segment: number, offset: SEGMENT_BEGIN };
        self.segments.push_back(number);
        self.current = Some(part);
        self.unsent.push_back(ToSupply::Begun);
        self.flush();
        true
    }

    /// The journal goes on elsewhere.
    fn end_segment(&mut self) {
        let end = (self.position.offset + 1).next_multiple_of(BLOCK_BYTES);
        self.put_zeros(EntryKind::End, end);
        if let Some(staging) = &mut self.staging {
            staging.flush();
        }
        self.left.extend(self.current.take());
    }

    /// Up to the end of the block that was begun. What an earlier run left needs no padding: nothing
    /// is written there any more.
    fn pad(&mut self) {
        if self.current.is_none() {
            return;
        }
        let end = self.position.offset.next_multiple_of(BLOCK_BYTES);
        if end > self.position.offset {
            self.put_zeros(EntryKind::Padding, end);
        }
    }

    fn put_zeros(&mut self, kind: EntryKind, end: u64) {
        let bytes = index(end - self.position.offset) - ENTRY_HEADER_BYTES;
        self.put(kind, (0, self.ended), &[&ZEROS[..bytes]]);
    }

    /// The next entry, for which there is room.
    fn put(&mut self, kind: EntryKind, (tag, epoch): (u32, u64), payload: &[&[u8]]) {
        let bytes: usize = payload.iter().map(|part| part.len()).sum();
        let current = self.current.as_mut().expect("there is room");
        let header = EntryHeader {
            kind,
            payload_bytes: u32::try_from(bytes).expect("asserted in limits"),
            file_id: current.header.file_id,
            sequence: self.sequence,
            epoch,
            run: self.run,
            tag,
            offset: self.position.offset,
        };
        let head = header.to_bytes(payload);
        let mut offset = self.position.offset;
        for piece in [&head[..]].into_iter().chain(payload.iter().copied()).chain([header.fill()]) {
            match (&mut self.staging, &mut current.memory) {
                (Some(staging), _) => staging.store(current.header.number, offset, piece),
                (None, Some(memory)) => memory.store(offset, piece),
                (None, None) => unreachable!("a segment of a mapped journal is mapped"),
            }
            offset += piece.len() as u64;
        }
        assert!(offset == self.position.offset + header.stored_bytes());
        Piece::extend(&mut self.dirty, self.position, offset);
        self.position.offset = offset;
        self.sequence += 1;
    }

    fn flush(&mut self) {
        while let Some(message) = self.unsent.pop_front() {
            if let Err(message) = self.outbox.push(message) {
                self.unsent.push_front(message);
                return;
            }
        }
    }
}
