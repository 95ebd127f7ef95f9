//! Reading the entries of one file, each checked before any of it is used.
//!
//! Memory is bounded by the longest entry: a window of the file is read at a time.

use std::io;
use std::ops::Range;

use super::entry::{ENTRY_HEADER_BYTES, EntryHeader, EntryKind, Invalid, index};
use super::segment::SegmentHeader;
use super::storage::Storage;
use crate::limits::JOURNAL_READ_BYTES;

/// A file's bytes.
pub trait ReadAt {
    /// Fills `buffer` from `offset`; says how many bytes there were, fewer only at the end.
    ///
    /// # Errors
    /// The operating system's.
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

impl ReadAt for &[u8] {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).map_or(self.len(), |offset| offset.min(self.len()));
        let count = buffer.len().min(self.len() - from);
        buffer[..count].copy_from_slice(&self[from..from + count]);
        Ok(count)
    }
}

/// A file of a [`Storage`].
#[derive(Clone, Debug)]
pub struct StoredFile<S> {
    /// The files.
    pub storage: S,
    /// Which one.
    pub name: String,
}

impl<S: Storage> ReadAt for StoredFile<S> {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.storage.read(&self.name, offset, buffer)
    }
}

/// Entries of one segment.
pub struct SegmentReader<R> {
    file: R,
    header: SegmentHeader,
    /// Bytes of the file from `window_begin` on.
    window: Vec<u8>,
    window_begin: u64,
}

/// An entry that was checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CheckedEntry<'a> {
    /// All about it.
    pub header: EntryHeader,
    /// Its payload.
    pub payload: &'a [u8],
}

impl<R: ReadAt> SegmentReader<R> {
    /// Reads the first block. The outer error is the operating system's.
    ///
    /// # Errors
    /// What is wrong with the block.
    pub fn open(mut file: R) -> io::Result<Result<SegmentReader<R>, Invalid>> {
        let mut block = vec![0; index(super::BLOCK_BYTES)];
        let count = file.read_at(0, &mut block)?;
        Ok(SegmentHeader::parse(&block[..count]).map(|header| SegmentReader {
            file,
            header,
            window: Vec::new(),
            window_begin: 0,
        }))
    }

    /// What the segment is.
    pub fn header(&self) -> &SegmentHeader {
        &self.header
    }

    /// The entry at `offset`. The outer error is the operating system's.
    ///
    /// # Errors
    /// Why there is no entry of this file and place.
    pub fn entry_at(&mut self, offset: u64) -> io::Result<Result<CheckedEntry<'_>, Invalid>> {
        let located = self.locate(offset)?;
        Ok(located.map(|(header, payload)| CheckedEntry { header, payload: &self.window[payload] }))
    }

    /// As [`SegmentReader::entry_at`]; the payload is asked for with [`SegmentReader::located`].
    pub(super) fn locate(
        &mut self,
        offset: u64,
    ) -> io::Result<Result<(EntryHeader, Range<usize>), Invalid>> {
        if !self.header.holds(offset, ENTRY_HEADER_BYTES as u64) {
            return Ok(Err(Invalid::Truncated));
        }
        let parsed = {
            let head = self.bytes(offset, ENTRY_HEADER_BYTES)?;
            head.first_chunk().ok_or(Invalid::Truncated).and_then(EntryHeader::parse)
        };
        let header = match parsed {
            Ok(header) => header,
            Err(invalid) => return Ok(Err(invalid)),
        };
        if !self.header.holds(offset, header.stored_bytes()) {
            return Ok(Err(Invalid::Length(header.payload_bytes)));
        }
        let segment = self.header;
        let bytes = self.bytes(offset, index(header.stored_bytes()))?;
        let checked = header.check(bytes).map(<[u8]>::len);
        let from = index(offset - self.window_begin) + ENTRY_HEADER_BYTES;
        Ok(checked.and_then(|length| {
            belongs(&header, &segment, offset)?;
            Ok((header, from..from + length))
        }))
    }

    /// The payload of the entry that was located last.
    pub(super) fn located(&self, payload: Range<usize>) -> &[u8] {
        &self.window[payload]
    }

    /// `length` bytes from `offset`, fewer at the end of the file.
    fn bytes(&mut self, offset: u64, length: usize) -> io::Result<&[u8]> {
        let window_end = self.window_begin + self.window.len() as u64;
        let end = offset + length as u64;
        if offset < self.window_begin || end > window_end {
            let left = index(self.header.bytes - offset);
            self.window.resize(length.max(JOURNAL_READ_BYTES.min(left)), 0);
            self.window_begin = offset;
            // Should the read fail, nothing of it may be taken for the file's.
            let count = self.file.read_at(offset, &mut self.window).inspect_err(|_| {
                self.window.clear();
            })?;
            self.window.truncate(count);
        }
        let from = index(offset - self.window_begin);
        let to = (from + length).min(self.window.len());
        Ok(&self.window[from.min(to)..to])
    }
}

/// A valid entry is one of this place.
pub(super) fn belongs(
    entry: &EntryHeader,
    segment: &SegmentHeader,
    offset: u64,
) -> Result<(), Invalid> {
    if entry.file_id != segment.file_id {
        return Err(Invalid::File(entry.file_id));
    }
    if entry.offset != offset {
        return Err(Invalid::Offset(entry.offset));
    }
    if entry.run != segment.run {
        return Err(Invalid::Run(entry.run));
    }
    match entry.kind {
        EntryKind::Data | EntryKind::Padding | EntryKind::End | EntryKind::Commit => Ok(()),
        EntryKind::Segment | EntryKind::Recovery => Err(Invalid::Content),
    }
}

/// Reads the image of a segment from its first entry on, for as long as they follow each other, and
/// hands each to `see`. Says what the file is and where the entries end.
///
/// # Errors
/// What is wrong with the first block.
pub fn scan_segment(
    bytes: &[u8],
    mut see: impl FnMut(&CheckedEntry<'_>),
) -> Result<(SegmentHeader, u64), Invalid> {
    let mut reader = SegmentReader::open(bytes).unwrap_or(Err(Invalid::Truncated))?;
    let mut offset = super::segment::SEGMENT_BEGIN;
    while let Ok(Ok(entry)) = reader.entry_at(offset) {
        see(&entry);
        offset += entry.header.stored_bytes();
    }
    Ok((*reader.header(), offset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::segment::file_id;
    use crate::journal::{BLOCK_BYTES, JournalId, Kind};
    use crate::stdx::CoreId;

    /// A segment with entries of these lengths.
    fn segment(lengths: &[usize]) -> Vec<u8> {
        let journal = JournalId { kind: Kind::State, core: CoreId::ZERO };
        let file_id = file_id(9, 4, journal, 1);
        let header = SegmentHeader {
            journal,
            number: 1,
            previous: 0,
            bytes: 16 * BLOCK_BYTES,
            run: 4,
            file_id,
        };
        let mut bytes = header.to_bytes();
        for (sequence, length) in (1_u64..).zip(lengths) {
            let payload = vec![u8::try_from(sequence).unwrap(); *length];
            let entry = EntryHeader {
                kind: EntryKind::Data,
                payload_bytes: u32::try_from(*length).unwrap(),
                file_id,
                sequence,
                epoch: 1,
                run: 4,
                tag: 0,
                offset: bytes.len() as u64,
            };
            bytes.extend_from_slice(&entry.to_bytes(&[&payload]));
            bytes.extend_from_slice(&payload);
            bytes.extend_from_slice(entry.fill());
        }
        bytes.resize(16 * 4096, 0);
        bytes
    }

    fn lengths(bytes: &[u8]) -> Vec<usize> {
        let mut lengths = Vec::new();
        scan_segment(bytes, |entry| lengths.push(entry.payload.len())).unwrap();
        lengths
    }

    #[test]
    fn entries_are_read_up_to_the_first_that_is_none() {
        let written = [3, 0, 5000, 64, 12_000, 1];
        let bytes = segment(&written);
        assert_eq!(lengths(&bytes), written);
        let mut damaged = bytes.clone();
        damaged[4096 + 64 + 64 + 64 + 64 + 2000] ^= 1;
        assert_eq!(lengths(&damaged), [3, 0]);
        assert_eq!(lengths(&bytes[..9_000]), [3, 0]);
    }

    #[test]
    fn entries_of_other_files_and_places_are_none() {
        let bytes = segment(&[3, 3, 3]);
        let mut moved = bytes.clone();
        moved.copy_within(4096..4224, 4224);
        let mut reader = SegmentReader::open(&moved[..]).unwrap().unwrap();
        assert_eq!(reader.entry_at(4224).unwrap().unwrap_err(), Invalid::Offset(4096));
        assert!(reader.entry_at(4096).unwrap().is_ok(), "backwards");
        let mut whole = SegmentReader::open(&bytes[..]).unwrap().unwrap();
        assert_eq!(whole.entry_at(4100).unwrap().unwrap_err(), Invalid::Truncated);
        assert_eq!(whole.entry_at(16 * 4096).unwrap().unwrap_err(), Invalid::Truncated);
        assert_eq!(whole.entry_at(8192).unwrap().unwrap_err(), Invalid::Magic);
        whole.header.file_id ^= 1;
        assert!(matches!(whole.entry_at(4096).unwrap(), Err(Invalid::File(_))));
    }

    #[test]
    fn a_length_beyond_the_file_is_refused() {
        let mut bytes = segment(&[3]);
        bytes[4096 + 12..4096 + 16].copy_from_slice(&100_000_u32.to_le_bytes());
        let mut reader = SegmentReader::open(&bytes[..]).unwrap().unwrap();
        assert_eq!(reader.entry_at(4096).unwrap().unwrap_err(), Invalid::Length(100_000));
    }
}
