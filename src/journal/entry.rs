//! Entries: the checksummed units that every file of a journal consists of, byte by byte.
//!
//! An entry begins at a multiple of 64 bytes of its file, with 64 bytes of header, little-endian:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `PLTJ` |
//! | 4 | 4 | CRC32C of all other bytes: header, payload and the zeros up to the next entry |
//! | 8 | 2 | version of the format, 1 |
//! | 10 | 2 | kind, see [`EntryKind`] |
//! | 12 | 4 | bytes of payload |
//! | 16 | 8 | id of the file it was written to |
//! | 24 | 8 | sequence: one more than the entry's before it in the journal |
//! | 32 | 8 | epoch it belongs to |
//! | 40 | 4 | run that wrote it |
//! | 44 | 4 | tag: what the payload is, to who wrote it |
//! | 48 | 8 | where in the file it begins |
//! | 56 | 8 | zero |
//! | 64 | | payload, then zeros up to a multiple of 64 |
//!
//! Bytes that a disk makes up are no entry: zeros lack the magic; what an earlier life of the file
//! left has another file id; what belongs elsewhere has another id, offset or sequence.

use std::fmt;

use crate::limits::JOURNAL_ENTRY_BYTES_MAX;
use crate::stdx::crc32c;

/// Bytes that are made durable together: the unit of sync and of direct writes.
pub const BLOCK_BYTES: u64 = BLOCK as u64;

/// The same, of memory.
pub(super) const BLOCK: usize = 4096;

/// Bytes of an entry's header; entries begin at multiples of this.
pub(super) const ENTRY_HEADER_BYTES: usize = 64;

/// Version of everything a journal writes.
pub const FORMAT_VERSION: u16 = 1;

const MAGIC: [u8; 4] = *b"PLTJ";

const _: () = {
    assert!(BLOCK_BYTES.is_multiple_of(ENTRY_HEADER_BYTES as u64));
    // Lengths are 32 bits wide.
    assert!(JOURNAL_ENTRY_BYTES_MAX <= u32::MAX as usize - 2 * BLOCK);
};

/// What an entry is to the journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EntryKind {
    /// The first block of a segment: what the file is.
    Segment,
    /// What the owner of the journal appended.
    Data,
    /// Zeros up to the end of a block.
    Padding,
    /// Zeros up to the end of a block; the journal goes on in the next segment.
    End,
    /// An epoch exists: the range of every journal.
    Commit,
    /// What a start found, in a file of its own.
    Recovery,
}

impl EntryKind {
    const ALL: [EntryKind; 6] = [
        EntryKind::Segment,
        EntryKind::Data,
        EntryKind::Padding,
        EntryKind::End,
        EntryKind::Commit,
        EntryKind::Recovery,
    ];

    fn number(self) -> u16 {
        match self {
            EntryKind::Segment => 1,
            EntryKind::Data => 2,
            EntryKind::Padding => 3,
            EntryKind::End => 4,
            EntryKind::Commit => 5,
            EntryKind::Recovery => 6,
        }
    }

    fn of_number(number: u16) -> Option<EntryKind> {
        EntryKind::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// An entry, but for its payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryHeader {
    /// What it is to the journal.
    pub kind: EntryKind,
    /// Bytes of payload.
    pub payload_bytes: u32,
    /// The file it was written to.
    pub file_id: u64,
    /// One more than that of the entry before it.
    pub sequence: u64,
    /// The epoch it belongs to.
    pub epoch: u64,
    /// The run that wrote it.
    pub run: u32,
    /// What the payload is.
    pub tag: u32,
    /// Where in the file it begins.
    pub offset: u64,
}

/// Why bytes are no entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Invalid {
    /// They do not begin with the magic.
    Magic,
    /// Written by another version of the format.
    Version(u16),
    /// There is no such kind.
    Kind(u16),
    /// More bytes than an entry may have, or than are left in the file.
    Length(u32),
    /// The file ends within it.
    Truncated,
    /// The checksum differs.
    Checksum,
    /// A valid entry, of another file.
    File(u64),
    /// A valid entry, of another place in the file.
    Offset(u64),
    /// A valid entry, of another run.
    Run(u32),
    /// A valid entry, not the next one.
    Sequence {
        /// The next one's.
        expected: u64,
        /// Its own.
        found: u64,
    },
    /// A valid entry of an epoch that cannot stand here.
    Epoch(u64),
    /// A valid entry of a kind that cannot stand here, or with a payload that says nothing.
    Content,
}

impl fmt::Display for Invalid {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Invalid::Magic => write!(formatter, "there is no entry"),
            Invalid::Version(version) => write!(
                formatter,
                "the entry has version {version} of the format, this program reads {FORMAT_VERSION}"
            ),
            Invalid::Kind(kind) => write!(formatter, "the entry has the unknown kind {kind}"),
            Invalid::Length(bytes) => write!(formatter, "the entry's length {bytes} is too large"),
            Invalid::Truncated => write!(formatter, "the file ends within an entry"),
            Invalid::Checksum => write!(formatter, "the entry's checksum is wrong"),
            Invalid::File(id) => write!(formatter, "the entry is one of another file ({id:016x})"),
            Invalid::Offset(at) => write!(formatter, "the entry belongs to offset {at}"),
            Invalid::Run(run) => write!(formatter, "the entry is one of run {run}"),
            Invalid::Sequence { expected, found } => {
                write!(formatter, "the entry has sequence {found} instead of {expected}")
            }
            Invalid::Epoch(epoch) => {
                write!(formatter, "the entry of epoch {epoch} is out of order")
            }
            Invalid::Content => write!(formatter, "the entry is of no use here"),
        }
    }
}

/// Bytes an entry takes in its file.
pub(super) fn stored_bytes(payload_bytes: u64) -> u64 {
    (payload_bytes + ENTRY_HEADER_BYTES as u64).next_multiple_of(ENTRY_HEADER_BYTES as u64)
}

impl EntryHeader {
    /// Bytes the entry takes in its file.
    pub fn stored_bytes(&self) -> u64 {
        stored_bytes(u64::from(self.payload_bytes))
    }

    /// The header of an entry with this payload. What is stored is the header, `payload` (one part
    /// behind the other) and [`EntryHeader::fill`].
    pub fn to_bytes(self, payload: &[&[u8]]) -> [u8; ENTRY_HEADER_BYTES] {
        let given: usize = payload.iter().map(|part| part.len()).sum();
        assert!(u32::try_from(given) == Ok(self.payload_bytes));
        assert!(self.offset.is_multiple_of(ENTRY_HEADER_BYTES as u64));
        let mut bytes = [0; ENTRY_HEADER_BYTES];
        bytes[0..4].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
        bytes[10..12].copy_from_slice(&self.kind.number().to_le_bytes());
        bytes[12..16].copy_from_slice(&self.payload_bytes.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.file_id.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[40..44].copy_from_slice(&self.run.to_le_bytes());
        bytes[44..48].copy_from_slice(&self.tag.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.offset.to_le_bytes());
        let mut parts: [&[u8]; 3 + PAYLOAD_PARTS_MAX] = [&[]; 3 + PAYLOAD_PARTS_MAX];
        let head = bytes;
        parts[0] = &head[0..4];
        parts[1] = &head[8..];
        assert!(payload.len() <= PAYLOAD_PARTS_MAX);
        parts[2..2 + payload.len()].copy_from_slice(payload);
        parts[2 + payload.len()] = self.fill();
        let checksum = crc32c(&parts);
        bytes[4..8].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    /// The zeros behind the payload.
    pub fn fill(&self) -> &'static [u8] {
        let length = self.stored_bytes() - u64::from(self.payload_bytes);
        &ZEROS[..index(length) - ENTRY_HEADER_BYTES]
    }

    /// Reads a header of which nothing is certain yet but that its length is one of an entry; see
    /// [`EntryHeader::check`].
    ///
    /// # Errors
    /// Why it is none.
    pub fn parse(bytes: &[u8; ENTRY_HEADER_BYTES]) -> Result<EntryHeader, Invalid> {
        let word = |at: usize| u32::from_le_bytes(part(bytes, at));
        let long = |at: usize| u64::from_le_bytes(part(bytes, at));
        if bytes[0..4] != MAGIC {
            return Err(Invalid::Magic);
        }
        let version = u16::from_le_bytes(part(bytes, 8));
        if version != FORMAT_VERSION {
            return Err(Invalid::Version(version));
        }
        let kind = u16::from_le_bytes(part(bytes, 10));
        let kind = EntryKind::of_number(kind).ok_or(Invalid::Kind(kind))?;
        let payload_bytes = word(12);
        if usize::try_from(payload_bytes).map_or(true, |length| length > JOURNAL_ENTRY_BYTES_MAX) {
            return Err(Invalid::Length(payload_bytes));
        }
        if long(56) != 0 {
            return Err(Invalid::Content);
        }
        Ok(EntryHeader {
            kind,
            payload_bytes,
            file_id: long(16),
            sequence: long(24),
            epoch: long(32),
            run: word(40),
            tag: word(44),
            offset: long(48),
        })
    }

    /// The payload of the entry that `bytes` begins with, once all of its bytes have been checked.
    ///
    /// # Errors
    /// What is wrong with them.
    pub fn check<'a>(&self, bytes: &'a [u8]) -> Result<&'a [u8], Invalid> {
        let stored = bytes.get(..index(self.stored_bytes())).ok_or(Invalid::Truncated)?;
        let checksum = u32::from_le_bytes(part(stored, 4));
        if crc32c(&[&stored[0..4], &stored[8..]]) != checksum {
            return Err(Invalid::Checksum);
        }
        let end = ENTRY_HEADER_BYTES + index(u64::from(self.payload_bytes));
        if stored[end..].iter().any(|byte| *byte != 0) {
            return Err(Invalid::Content);
        }
        Ok(&stored[ENTRY_HEADER_BYTES..end])
    }
}

/// Parts a payload may be given in.
pub(super) const PAYLOAD_PARTS_MAX: usize = 4;

/// What fills blocks.
pub(super) static ZEROS: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// A place in a file as an index into memory.
pub(super) fn index(offset: u64) -> usize {
    usize::try_from(offset).expect("addresses have 64 bits")
}

fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a range of N bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(payload: &[u8]) -> EntryHeader {
        EntryHeader {
            kind: EntryKind::Data,
            payload_bytes: u32::try_from(payload.len()).unwrap(),
            file_id: 0x0123_4567_89ab_cdef,
            sequence: 7,
            epoch: 3,
            run: 2,
            tag: 9,
            offset: 8192,
        }
    }

    fn entry(payload: &[u8]) -> Vec<u8> {
        let header = header(payload);
        let mut bytes = header.to_bytes(&[payload]).to_vec();
        bytes.extend_from_slice(payload);
        bytes.extend_from_slice(header.fill());
        bytes
    }

    fn read(bytes: &[u8]) -> Result<(EntryHeader, &[u8]), Invalid> {
        let head = bytes.first_chunk().ok_or(Invalid::Truncated)?;
        let header = EntryHeader::parse(head)?;
        Ok((header, header.check(bytes)?))
    }

    #[test]
    fn what_is_written_is_read() {
        for length in [0, 1, 63, 64, 65, 1000] {
            let payload: Vec<u8> = (0..length).map(|n| u8::try_from(n % 251).unwrap()).collect();
            let bytes = entry(&payload);
            assert_eq!(bytes.len() % ENTRY_HEADER_BYTES, 0);
            assert_eq!(read(&bytes).unwrap(), (header(&payload), &payload[..]));
        }
    }

    #[test]
    fn parts_are_one_payload() {
        let payload: Vec<u8> = (0..100).collect();
        let whole = header(&payload).to_bytes(&[&payload]);
        let (first, second) = payload.split_at(33);
        assert_eq!(header(&payload).to_bytes(&[first, &[], second]), whole);
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_found() {
        let bytes = entry(b"twelve bytes");
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(read(&damaged).is_err(), "bit {bit}");
        }
        for length in 0..bytes.len() {
            assert!(read(&bytes[..length]).is_err(), "cut to {length}");
        }
    }

    #[test]
    fn zeros_are_no_entry() {
        assert_eq!(read(&[0; 128]), Err(Invalid::Magic));
    }

    #[test]
    fn a_length_is_refused_before_anything_is_read() {
        let mut bytes = entry(b"x");
        bytes[12..16].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(read(&bytes), Err(Invalid::Length(u32::MAX)));
    }
}
