//! Segments: the files of a journal. Their names, and the first block that says what each is.
//!
//! `state-003-0000000012.seg` is segment 12 of the state journal of core 3. The first block is one
//! entry, of kind [`EntryKind::Segment`], whose payload is, little-endian:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 2 | kind of journal: 1 state, 2 ingest, 3 output |
//! | 2 | 2 | core |
//! | 4 | 4 | zero |
//! | 8 | 8 | number of the segment |
//! | 16 | 8 | number of the journal's segment before it, 0 for none |
//! | 24 | 8 | bytes of the file |
//! | 32 | | zeros up to the end of the block |
//!
//! Entries of the journal begin at offset 4096. A segment has its name only after its first block is
//! durable, so that whatever bears such a name and has no such block is damaged.

use super::entry::{
    BLOCK, BLOCK_BYTES, ENTRY_HEADER_BYTES, EntryHeader, EntryKind, Invalid, ZEROS, index,
};
use super::{JournalId, Kind};
use crate::limits::{CORES_MAX, JOURNAL_SEGMENT_BYTES_MAX};
use crate::stdx::CoreId;

/// Where the entries of a segment begin.
pub const SEGMENT_BEGIN: u64 = BLOCK_BYTES;

/// Bytes of the payload of a segment's first block.
const PAYLOAD_BYTES: usize = BLOCK - ENTRY_HEADER_BYTES;

/// Suffix of files that are not yet, or no more, what their name says; removed at the next start.
pub const LEFTOVER_SUFFIX: &str = ".new";

/// What a segment is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentHeader {
    /// Of which journal.
    pub journal: JournalId,
    /// Which one of its segments; they begin with 1.
    pub number: u64,
    /// The one before it; 0 for the first.
    pub previous: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// The run that opened it.
    pub run: u32,
    /// Found in every entry of the file.
    pub file_id: u64,
}

/// Name of a segment's file.
pub fn segment_name(journal: JournalId, number: u64) -> String {
    format!("{}-{:03}-{number:010}.seg", journal.kind.name(), journal.core.number())
}

/// What a file of this name is, if it is a segment.
pub fn parse_segment_name(name: &str) -> Option<(JournalId, u64)> {
    let mut parts = name.strip_suffix(".seg")?.splitn(3, '-');
    let kind = parts.next()?;
    let kind = Kind::ALL.into_iter().find(|known| known.name() == kind)?;
    let core = parts.next()?.parse().ok().filter(|core| *core < CORES_MAX)?;
    let number = parts.next()?.parse().ok().filter(|number| *number > 0)?;
    let journal = JournalId { kind, core: CoreId::new(core) };
    // No other way to write it, so that a segment has one name.
    (segment_name(journal, number) == name).then_some((journal, number))
}

/// The id of a segment's file: whatever differs in the arguments, ids differ. `directory` tells the
/// directories of different jobs apart.
pub fn file_id(directory: u64, run: u32, journal: JournalId, number: u64) -> u64 {
    let place = u64::from(run) << 32
        | u64::from(journal.kind.number()) << 16
        | u64::from(journal.core.number());
    mixed(mixed(mixed(directory) ^ place) ^ number)
}

/// The finalizer of splitmix64: one to one.
fn mixed(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl SegmentHeader {
    /// The first block of the file.
    pub fn to_bytes(self) -> Vec<u8> {
        assert!(self.is_well_formed());
        let mut payload = Vec::with_capacity(PAYLOAD_BYTES);
        payload.extend_from_slice(&self.journal.kind.number().to_le_bytes());
        payload.extend_from_slice(&self.journal.core.number().to_le_bytes());
        payload.extend_from_slice(&[0; 4]);
        payload.extend_from_slice(&self.number.to_le_bytes());
        payload.extend_from_slice(&self.previous.to_le_bytes());
        payload.extend_from_slice(&self.bytes.to_le_bytes());
        payload.resize(PAYLOAD_BYTES, 0);
        let header = self.entry();
        let mut block = header.to_bytes(&[&payload]).to_vec();
        block.extend_from_slice(&payload);
        block
    }

    fn entry(&self) -> EntryHeader {
        EntryHeader {
            kind: EntryKind::Segment,
            payload_bytes: u32::try_from(PAYLOAD_BYTES).expect("less than a block"),
            file_id: self.file_id,
            sequence: 0,
            epoch: 0,
            run: self.run,
            tag: 0,
            offset: 0,
        }
    }

    /// Reads the first block of a file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(block: &[u8]) -> Result<SegmentHeader, Invalid> {
        let head = block.first_chunk().ok_or(Invalid::Truncated)?;
        let entry = EntryHeader::parse(head)?;
        let payload = entry.check(block)?;
        if entry.kind != EntryKind::Segment || payload.len() != PAYLOAD_BYTES {
            return Err(Invalid::Content);
        }
        let short = |at: usize| u16::from_le_bytes([payload[at], payload[at + 1]]);
        let long = |at: usize| {
            u64::from_le_bytes(payload[at..at + 8].try_into().expect("a range of 8 bytes"))
        };
        let kind = Kind::of_number(short(0)).ok_or(Invalid::Content)?;
        if short(2) >= CORES_MAX || payload[4..8] != ZEROS[..4] {
            return Err(Invalid::Content);
        }
        let header = SegmentHeader {
            journal: JournalId { kind, core: CoreId::new(short(2)) },
            number: long(8),
            previous: long(16),
            bytes: long(24),
            run: entry.run,
            file_id: entry.file_id,
        };
        let is_zero = payload[32..] == ZEROS[..PAYLOAD_BYTES - 32];
        if entry != header.entry() || !is_zero || !header.is_well_formed() {
            return Err(Invalid::Content);
        }
        Ok(header)
    }

    fn is_well_formed(&self) -> bool {
        self.previous < self.number
            && self.bytes.is_multiple_of(BLOCK_BYTES)
            && self.bytes > SEGMENT_BEGIN
            && self.bytes <= JOURNAL_SEGMENT_BYTES_MAX
    }

    /// True when `offset` and `length` lie within the entries of the file.
    pub(super) fn holds(&self, offset: u64, length: u64) -> bool {
        offset >= SEGMENT_BEGIN
            && offset.checked_add(length).is_some_and(|end| end <= self.bytes)
            && index(offset).is_multiple_of(ENTRY_HEADER_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> SegmentHeader {
        let journal = JournalId { kind: Kind::Ingest, core: CoreId::new(3) };
        let file_id = file_id(1, 2, journal, 12);
        SegmentHeader { journal, number: 12, previous: 9, bytes: 1 << 16, run: 2, file_id }
    }

    #[test]
    fn names_say_what_a_file_is() {
        let journal = header().journal;
        assert_eq!(segment_name(journal, 12), "ingest-003-0000000012.seg");
        assert_eq!(parse_segment_name("ingest-003-0000000012.seg"), Some((journal, 12)));
        assert_eq!(parse_segment_name(&segment_name(journal, u64::MAX)), Some((journal, u64::MAX)));
        for name in [
            "ingest-003-12.seg",
            "ingest-3-0000000012.seg",
            "ingest-003-0000000000.seg",
            "ingest-003-0000000012.seg.new",
            "ingest-999-0000000012.seg",
            "other-003-0000000012.seg",
            "ingest-003-+000000012.seg",
            "lock",
            "",
        ] {
            assert_eq!(parse_segment_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_first_block_is_read_and_every_flipped_byte_found() {
        let block = header().to_bytes();
        assert_eq!(block.len() as u64, BLOCK_BYTES);
        assert_eq!(SegmentHeader::parse(&block), Ok(header()));
        for at in 0..block.len() {
            let mut damaged = block.clone();
            damaged[at] ^= 0x40;
            assert!(SegmentHeader::parse(&damaged).is_err(), "byte {at}");
        }
        assert_eq!(SegmentHeader::parse(&block[..100]), Err(Invalid::Truncated));
    }

    #[test]
    fn ids_differ_with_whatever_differs() {
        let journal = header().journal;
        let other = JournalId { kind: Kind::Output, ..journal };
        let ids = [
            file_id(1, 1, journal, 1),
            file_id(2, 1, journal, 1),
            file_id(1, 2, journal, 1),
            file_id(1, 1, other, 1),
            file_id(1, 1, journal, 2),
        ];
        for (at, id) in ids.iter().enumerate() {
            assert!(!ids[..at].contains(id), "{ids:x?}");
        }
    }
}
