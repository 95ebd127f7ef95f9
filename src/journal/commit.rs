//! Commit records: an epoch exists from the moment its record is durable.
//!
//! The record says for every journal where what is still needed begins, and where the epoch ends. It
//! is the payload of an entry of kind [`EntryKind::Commit`](super::EntryKind), in blocks of its own,
//! written twice: in the state journals of the first two cores, or twice in that of the only one.
//! Payload, little-endian:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | number of journals |
//! | 4 | 12 | zero |
//! | 16 + 48 n | 2 | kind of journal |
//! | 18 + 48 n | 2 | core |
//! | 20 + 48 n | 4 | zero |
//! | 24 + 48 n | 16 | from: segment and offset, 8 bytes each |
//! | 40 + 48 n | 16 | to: segment and offset |
//! | 56 + 48 n | 8 | sequence of the next entry |

use super::entry::{BLOCK_BYTES, Invalid, stored_bytes};
use super::{JournalId, Kind, Position};
use crate::limits::{CORES_MAX, JOURNAL_ENTRY_BYTES_MAX};
use crate::stdx::CoreId;

const HEAD_BYTES: usize = 16;
const RANGE_BYTES: usize = 48;

/// Journals of one job: every kind on every core.
const JOURNALS_MAX: usize = Kind::ALL.len() * CORES_MAX as usize;

const _: () = assert!(HEAD_BYTES + JOURNALS_MAX * RANGE_BYTES <= JOURNAL_ENTRY_BYTES_MAX);

/// What an epoch needs of one journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct JournalRange {
    /// Of which journal.
    pub journal: JournalId,
    /// Where the first entry begins that is still needed.
    pub from: Position,
    /// Where the epoch ends.
    pub to: Position,
    /// Sequence of the first entry behind `to`.
    pub sequence: u64,
}

/// An epoch that exists.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct CommitRecord {
    /// Its number.
    pub epoch: u64,
    /// Every journal of the job, in order.
    pub ranges: Vec<JournalRange>,
}

impl CommitRecord {
    /// The range of one journal.
    pub fn range(&self, journal: JournalId) -> Option<&JournalRange> {
        let found = self.ranges.binary_search_by_key(&journal, |range| range.journal);
        found.ok().map(|at| &self.ranges[at])
    }

    /// As the payload of an entry.
    pub fn to_bytes(&self) -> Vec<u8> {
        assert!(self.is_well_formed());
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.ranges.len() * RANGE_BYTES);
        let count = u32::try_from(self.ranges.len()).expect("a few hundred");
        bytes.extend_from_slice(&count.to_le_bytes());
        bytes.resize(HEAD_BYTES, 0);
        for range in &self.ranges {
            bytes.extend_from_slice(&range.journal.kind.number().to_le_bytes());
            bytes.extend_from_slice(&range.journal.core.number().to_le_bytes());
            bytes.extend_from_slice(&[0; 4]);
            for position in [range.from, range.to] {
                bytes.extend_from_slice(&position.segment.to_le_bytes());
                bytes.extend_from_slice(&position.offset.to_le_bytes());
            }
            bytes.extend_from_slice(&range.sequence.to_le_bytes());
        }
        bytes
    }

    /// Reads the payload of the entry of `epoch`.
    ///
    /// # Errors
    /// When it is none that was written.
    pub fn parse(epoch: u64, bytes: &[u8]) -> Result<CommitRecord, Invalid> {
        let (head, rest) = bytes.split_at_checked(HEAD_BYTES).ok_or(Invalid::Content)?;
        let (ranges, excess) = rest.as_chunks::<RANGE_BYTES>();
        let count = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
        let is_complete = usize::try_from(count) == Ok(ranges.len()) && excess.is_empty();
        if !is_complete || head[4..].iter().any(|byte| *byte != 0) || ranges.len() > JOURNALS_MAX {
            return Err(Invalid::Content);
        }
        let ranges = ranges.iter().map(parse_range).collect::<Result<Vec<_>, _>>()?;
        let record = CommitRecord { epoch, ranges };
        if record.is_well_formed() { Ok(record) } else { Err(Invalid::Content) }
    }

    fn is_well_formed(&self) -> bool {
        let ordered = self.ranges.windows(2).all(|pair| pair[0].journal < pair[1].journal);
        ordered && self.ranges.iter().all(JournalRange::is_well_formed)
    }

    /// Bytes of the blocks one copy takes at most, when there are so many journals.
    pub fn block_bytes(journals: usize) -> u64 {
        stored_bytes((HEAD_BYTES + journals * RANGE_BYTES) as u64).next_multiple_of(BLOCK_BYTES)
    }
}

impl JournalRange {
    fn is_well_formed(&self) -> bool {
        self.from <= self.to && self.from.is_well_formed() && self.to.is_well_formed()
    }
}

fn parse_range(bytes: &[u8; RANGE_BYTES]) -> Result<JournalRange, Invalid> {
    let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
    let long =
        |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("a range of 8 bytes"));
    let kind = Kind::of_number(short(0)).ok_or(Invalid::Content)?;
    if short(2) >= CORES_MAX || bytes[4..8] != [0; 4] {
        return Err(Invalid::Content);
    }
    Ok(JournalRange {
        journal: JournalId { kind, core: CoreId::new(short(2)) },
        from: Position { segment: long(8), offset: long(16) },
        to: Position { segment: long(24), offset: long(32) },
        sequence: long(40),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> CommitRecord {
        let of = |kind, core| JournalId { kind, core: CoreId::new(core) };
        let at = |segment, offset| Position { segment, offset };
        let range = |journal, from, to, sequence| JournalRange { journal, from, to, sequence };
        CommitRecord {
            epoch: 12,
            ranges: vec![
                range(of(Kind::State, 0), at(3, 4096), at(4, 8192), 99),
                range(of(Kind::State, 1), Position::BEGINNING, Position::BEGINNING, 1),
                range(of(Kind::Ingest, 0), at(1, 4160), at(1, 4160), 5),
            ],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        assert_eq!(CommitRecord::parse(12, &record().to_bytes()), Ok(record()));
        let empty = CommitRecord { epoch: 1, ranges: Vec::new() };
        assert_eq!(CommitRecord::parse(1, &empty.to_bytes()), Ok(empty));
    }

    #[test]
    fn a_range_is_found_by_its_journal() {
        let record = record();
        for range in &record.ranges {
            assert_eq!(record.range(range.journal), Some(range));
        }
        let unknown = JournalId { kind: Kind::Output, core: CoreId::ZERO };
        assert_eq!(record.range(unknown), None);
    }

    #[test]
    fn nonsense_is_refused() {
        let bytes = record().to_bytes();
        for length in 0..bytes.len() {
            assert!(CommitRecord::parse(12, &bytes[..length]).is_err(), "cut to {length}");
        }
        let refuse = |at: usize, value: u8| {
            let mut damaged = bytes.clone();
            damaged[at] = value;
            assert_eq!(CommitRecord::parse(12, &damaged), Err(Invalid::Content), "byte {at}");
        };
        refuse(0, 200); // more journals than there are bytes
        refuse(16, 9); // an unknown kind
        refuse(19, 1); // a core beyond the last
        refuse(24, 77); // from behind to
        refuse(32, 1); // not where an entry can begin
        refuse(16, 3); // out of order
    }
}
