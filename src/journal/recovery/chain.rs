//! The segments of one journal that belong together, and the entries in them.

use std::collections::BTreeMap;

use super::super::entry::{EntryHeader, EntryKind, Invalid};
use super::super::error::JournalError;
use super::super::reader::{SegmentReader, StoredFile};
use super::super::segment::{SEGMENT_BEGIN, SegmentHeader, segment_name};
use super::super::storage::Storage;
use super::super::{JournalId, Position};
use super::record::Seal;

/// Segments of one journal, by number.
pub(super) type Segments = BTreeMap<u64, SegmentHeader>;

/// Segments that follow each other.
#[derive(Clone, Debug)]
pub(super) struct Chain<S> {
    pub(super) storage: S,
    pub(super) journal: JournalId,
    /// In order.
    pub(super) segments: Vec<SegmentHeader>,
    /// Where the last segments of runs end.
    pub(super) seals: Vec<Seal>,
}

impl<S: Storage> Chain<S> {
    /// The segments from `from` to segment `last`, each of which names the one before it.
    ///
    /// # Errors
    /// When one is missing, or not as long as it was.
    pub(super) fn back_from(
        storage: &S,
        journal: JournalId,
        known: &Segments,
        (from, last): (Position, u64),
    ) -> Result<Chain<S>, JournalError> {
        let mut segments = Vec::new();
        let mut number = last;
        while number > 0 {
            let Some(header) = known.get(&number) else {
                return Err(missing(storage, journal, number));
            };
            has_length(storage, header)?;
            segments.push(*header);
            if number == from.segment {
                break;
            }
            number = header.previous;
            if number < from.segment {
                return Err(missing(storage, journal, from.segment));
            }
        }
        segments.reverse();
        Ok(Chain { storage: storage.clone(), journal, segments, seals: Vec::new() })
    }

    /// The segment behind `number`.
    fn after(&self, number: u64) -> Option<&SegmentHeader> {
        self.segments.iter().find(|header| header.previous == number)
    }

    fn seal(&self, segment: u64) -> Option<&Seal> {
        self.seals.iter().find(|seal| seal.segment == segment)
    }

    /// Path of a segment.
    pub(super) fn path(&self, segment: u64) -> String {
        path_of(&self.storage, self.journal, segment)
    }
}

fn path_of<S: Storage>(storage: &S, journal: JournalId, segment: u64) -> String {
    storage.path(&segment_name(journal, segment)).display().to_string()
}

fn missing<S: Storage>(storage: &S, journal: JournalId, segment: u64) -> JournalError {
    let reason = "is missing, and holds what is still needed".to_owned();
    JournalError::Inconsistent { file: path_of(storage, journal, segment), reason }
}

/// The file has the length its first block says.
pub(super) fn has_length<S: Storage>(
    storage: &S,
    header: &SegmentHeader,
) -> Result<(), JournalError> {
    let name = segment_name(header.journal, header.number);
    let file = storage.path(&name).display().to_string();
    let length = storage.length(&name).map_err(JournalError::io("look at", file.clone()))?;
    if length == header.bytes {
        return Ok(());
    }
    let reason = format!("has {length} bytes instead of {}", header.bytes);
    Err(JournalError::Inconsistent { file, reason })
}

/// An entry of a journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JournalEntry<'a> {
    /// What it is, to who appended it.
    pub tag: u32,
    /// The epoch it belongs to.
    pub epoch: u64,
    /// Where it begins.
    pub position: Position,
    /// What was appended.
    pub payload: &'a [u8],
}

/// Entries of a journal, in the order in which they were appended. Every byte is checked before it is
/// handed out, padding included.
pub struct Entries<S: Storage> {
    chain: Chain<S>,
    at: Position,
    /// Of the next entry, once one was read.
    sequence: Option<u64>,
    /// Of the last entry.
    epoch: u64,
    reader: Option<SegmentReader<StoredFile<S>>>,
    pub(super) to: Position,
    /// Of the first entry behind `to`.
    to_sequence: u64,
    /// Entries before this position belong to this epoch or an earlier one.
    committed: (Position, u64),
}

/// What a step found.
enum Step {
    Data(EntryHeader, std::ops::Range<usize>),
    Other,
    Invalid(Invalid),
    /// There is no segment where the next entry should be.
    NoSegment,
}

impl<S: Storage> Entries<S> {
    pub(super) fn new(
        chain: Chain<S>,
        from: Position,
        (to, to_sequence): (Position, u64),
        committed: (Position, u64),
    ) -> Entries<S> {
        Entries {
            chain,
            at: from,
            sequence: None,
            epoch: 0,
            reader: None,
            to,
            to_sequence,
            committed,
        }
    }

    /// The next entry; none at the end.
    ///
    /// # Errors
    /// [`JournalError::Rot`] where the next entry should be and is not.
    pub fn next_entry(&mut self) -> Result<Option<JournalEntry<'_>>, JournalError> {
        loop {
            if self.at == self.to {
                return match self.sequence {
                    Some(found) if found != self.to_sequence => {
                        let expected = self.to_sequence;
                        Err(self.rot(self.at, Invalid::Sequence { expected, found }))
                    }
                    _ => Ok(None),
                };
            }
            let before = self.at;
            match self.step()? {
                Step::Other => {}
                Step::Invalid(reason) => return Err(self.rot(before, reason)),
                Step::NoSegment => {
                    let reason = "the segment behind it is missing".to_owned();
                    let file = self.chain.path(before.segment);
                    return Err(JournalError::Inconsistent { file, reason });
                }
                Step::Data(EntryHeader { tag, epoch, .. }, payload) => {
                    let position = before;
                    let reader = self.reader.as_ref().expect("it has just been read");
                    let payload = reader.located(payload);
                    return Ok(Some(JournalEntry { tag, epoch, position, payload }));
                }
            }
        }
    }

    /// Goes on for as long as there are valid entries, and says where they end: the position, and the
    /// sequence of the entry that would be next. For what was written and never committed.
    pub(super) fn valid_end(
        mut self,
        sequence: u64,
        segments: &Segments,
        run: u32,
    ) -> Result<(Position, u64, Chain<S>), JournalError> {
        self.sequence = Some(sequence);
        let mut end = (self.at, sequence);
        loop {
            // What ends a segment counts once there is an entry in the next one.
            if self.at.offset != END_OF_SEGMENT {
                end = (self.at, self.sequence.unwrap_or(sequence));
            }
            let ended = match self.step()? {
                Step::Data(..) | Step::Other => false,
                Step::Invalid(_) => true,
                Step::NoSegment => {
                    let is_next = |header: &&SegmentHeader| {
                        header.run == run && header.previous == self.at.segment
                    };
                    match segments.values().find(is_next) {
                        Some(next) => {
                            has_length(&self.chain.storage, next)?;
                            self.chain.segments.push(*next);
                            false
                        }
                        None => true,
                    }
                }
            };
            if ended {
                return Ok((end.0, end.1, self.chain));
            }
        }
    }

    /// One entry, or one segment, on.
    fn step(&mut self) -> Result<Step, JournalError> {
        let is_at_end = self.at.segment == 0
            || self.at.offset == END_OF_SEGMENT
            || self.chain.seal(self.at.segment).is_some_and(|seal| seal.end == self.at.offset);
        if is_at_end {
            let Some(next) = self.chain.after(self.at.segment) else { return Ok(Step::NoSegment) };
            self.at = Position { segment: next.number, offset: SEGMENT_BEGIN };
            self.reader = None;
            return Ok(Step::Other);
        }
        let offset = self.at.offset;
        let run = self.open_reader()?;
        let (reader, chain) = (self.reader.as_mut().expect("opened just now"), &self.chain);
        let located = reader
            .locate(offset)
            .map_err(|error| JournalError::io("read", chain.path(self.at.segment))(error))?;
        let (header, payload) = match located {
            Ok(found) => found,
            Err(reason) => return Ok(Step::Invalid(reason)),
        };
        if header.run != run {
            return Ok(Step::Invalid(Invalid::Run(header.run)));
        }
        if let Some(expected) = self.sequence.filter(|expected| *expected != header.sequence) {
            let found = header.sequence;
            return Ok(Step::Invalid(Invalid::Sequence { expected, found }));
        }
        if header.kind == EntryKind::Data {
            let (committed, epoch_max) = self.committed;
            let is_too_new = self.at < committed && header.epoch > epoch_max;
            if header.epoch < self.epoch || is_too_new {
                return Ok(Step::Invalid(Invalid::Epoch(header.epoch)));
            }
            self.epoch = header.epoch;
        }
        self.sequence = Some(header.sequence.wrapping_add(1));
        self.at.offset = offset + header.stored_bytes();
        Ok(match header.kind {
            EntryKind::Data => Step::Data(header, payload),
            EntryKind::End => {
                self.at.offset = END_OF_SEGMENT;
                Step::Other
            }
            _ => Step::Other,
        })
    }

    /// The reader of the segment that is read; says the segment's run.
    fn open_reader(&mut self) -> Result<u32, JournalError> {
        if let Some(reader) = &self.reader {
            return Ok(reader.header().run);
        }
        let number = self.at.segment;
        let name = segment_name(self.chain.journal, number);
        let file = StoredFile { storage: self.chain.storage.clone(), name };
        let opened = SegmentReader::open(file);
        let opened = opened.map_err(JournalError::io("read", self.chain.path(number)))?;
        let reader = opened.map_err(|reason| {
            let path = self.chain.path(number);
            JournalError::Rot { file: path, offset: 0, reason }
        })?;
        let run = reader.header().run;
        self.reader = Some(reader);
        Ok(run)
    }

    fn rot(&self, position: Position, reason: Invalid) -> JournalError {
        let file = self.chain.path(position.segment);
        JournalError::Rot { file, offset: position.offset, reason }
    }
}

/// Behind the entry that ends a segment, wherever that is.
const END_OF_SEGMENT: u64 = u64::MAX;
