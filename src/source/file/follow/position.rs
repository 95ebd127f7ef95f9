//! Position: how far a followed file was read, and by what it is known again.
//!
//! All numbers are little-endian.
//!
//! | bytes | position |
//! |---|---|
//! | 1 | version, 1 |
//! | 1 | 0: another core follows, and that is all; 1: this one, and no file; 2: a file, too |
//! | 8, 8 | rows of all files that were read; watermark after them |
//! | 8, 8 | device, inode of the file |
//! | 4, 8 | so many bytes at its start, and their hash |
//! | 8, 8 | offset behind the last record that was read; rows before it |
//! | 1 | was the file read to its end, and is its successor next |

use crate::limits::FILE_FINGERPRINT_BYTES;
use crate::record::{KeyHasher, Timestamp};
use crate::stdx::{ByteReader, ByteWriter, Malformed};

const VERSION: u8 = 1;

/// Where the core stood that follows the file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FollowPosition {
    /// Rows of all files.
    pub(super) rows: u64,
    /// After them.
    pub(super) watermark: Timestamp,
    /// The file that was read last; `None` when the next one is the first, or comes after one that was lost.
    pub(super) at: Option<FilePosition>,
}

/// How far a file was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FilePosition {
    pub(super) file: KnownFile,
    /// Behind the last record that was read.
    pub(super) offset: u64,
    /// Rows before it.
    pub(super) rows: u64,
    /// All of the file was read: nothing is lost when it is gone.
    pub(super) is_complete: bool,
}

/// By what a file is known again, whatever its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct KnownFile {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) start: Fingerprint,
}

/// The first bytes of a file that had as many.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fingerprint {
    pub(super) bytes: u32,
    hash: u64,
}

/// The first bytes of the file being read, as far as they are known.
#[derive(Default, Debug)]
pub(super) struct FileStart(Vec<u8>);

impl FileStart {
    /// Takes bytes that were read. Those of a file come in order.
    pub(super) fn take(&mut self, offset: u64, bytes: &[u8]) {
        let known = self.0.len();
        let Ok(offset) = usize::try_from(offset) else { return };
        if known < FILE_FINGERPRINT_BYTES && (offset..offset + bytes.len()).contains(&known) {
            let new = &bytes[known - offset..];
            self.0.extend_from_slice(&new[..new.len().min(FILE_FINGERPRINT_BYTES - known)]);
        }
    }

    pub(super) fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.0)
    }
}

impl Fingerprint {
    fn of(start: &[u8]) -> Fingerprint {
        let bytes = u32::try_from(start.len()).expect("limits::FILE_FINGERPRINT_BYTES at most");
        Fingerprint { bytes, hash: KeyHasher::new(0).hash(start) }
    }

    /// True when a file that begins so has these first bytes.
    pub(super) fn is_of(&self, start: &[u8]) -> bool {
        start.get(..self.bytes as usize).is_some_and(|start| Fingerprint::of(start) == *self)
    }
}

impl FollowPosition {
    /// As bytes; of a core that does not follow, `None` is.
    pub(super) fn encode(position: Option<&FollowPosition>) -> Vec<u8> {
        let mut out = ByteWriter::new();
        out.u8(VERSION);
        let Some(FollowPosition { rows, watermark, at }) = position else {
            out.u8(0);
            return out.finish();
        };
        out.u8(if at.is_some() { 2 } else { 1 });
        out.u64(*rows);
        out.i64(watermark.millis());
        if let Some(at) = at {
            out.u64(at.file.device);
            out.u64(at.file.inode);
            out.u32(at.file.start.bytes);
            out.u64(at.file.start.hash);
            out.u64(at.offset);
            out.u64(at.rows);
            out.u8(u8::from(at.is_complete));
        }
        out.finish()
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// When it is no position of a version that this program knows.
    pub(super) fn decode(bytes: &[u8]) -> Result<Option<FollowPosition>, Malformed> {
        let mut from = ByteReader::new(bytes);
        if from.u8()? != VERSION {
            return Err(from.malformed("a version of positions that this program does not know"));
        }
        let kind = from.u8()?;
        if kind == 0 {
            return from.finish().map(|()| None);
        }
        let (rows, watermark) = (from.u64()?, Timestamp::from_millis(from.i64()?));
        let at = match kind {
            1 => None,
            2 => Some(FilePosition::decode(&mut from)?),
            _ => return Err(from.malformed("a kind of position that there is not")),
        };
        from.finish()?;
        Ok(Some(FollowPosition { rows, watermark, at }))
    }
}

impl FilePosition {
    fn decode(from: &mut ByteReader<'_>) -> Result<FilePosition, Malformed> {
        let (device, inode) = (from.u64()?, from.u64()?);
        let start = Fingerprint { bytes: from.u32()?, hash: from.u64()? };
        if start.bytes as usize > FILE_FINGERPRINT_BYTES {
            return Err(from.malformed("more of a file's start than is ever noted"));
        }
        Ok(FilePosition {
            file: KnownFile { device, inode, start },
            offset: from.u64()?,
            rows: from.u64()?,
            is_complete: from.u8()? != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written_and_not_otherwise() {
        let start = Fingerprint::of(b"abc");
        let at = FilePosition {
            file: KnownFile { device: 7, inode: u64::MAX, start },
            offset: 1 << 40,
            rows: 3,
            is_complete: true,
        };
        let watermark = Timestamp::from_millis(-9);
        let position = FollowPosition { rows: 5, watermark, at: Some(at) };
        let without = FollowPosition { at: None, ..position };
        for known in [None, Some(without), Some(position)] {
            let bytes = FollowPosition::encode(known.as_ref());
            assert_eq!(FollowPosition::decode(&bytes), Ok(known));
            for cut in 0..bytes.len() {
                assert!(FollowPosition::decode(&bytes[..cut]).is_err(), "cut at {cut}");
            }
            let other = [&[9], &bytes[1..]].concat();
            let reason = FollowPosition::decode(&other).unwrap_err().reason;
            assert_eq!(reason, "a version of positions that this program does not know");
        }
    }

    #[test]
    fn a_fingerprint_is_of_the_bytes_at_the_start_however_they_come() {
        let text: Vec<u8> = (0..=250).cycle().take(3 * FILE_FINGERPRINT_BYTES).collect();
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..100 {
            let (mut start, mut at) = (FileStart::default(), 0);
            let end = rng.usize(..text.len());
            while at < end {
                let to = (at + rng.usize(1..3000)).min(end);
                start.take(at as u64, &text[at..to]);
                // Some of it is read again.
                at = to - rng.usize(..=(to - at) / 2);
            }
            let known = start.fingerprint();
            assert_eq!(known.bytes as usize, end.min(FILE_FINGERPRINT_BYTES));
            assert!(known.is_of(&text) && known.is_of(&text[..known.bytes as usize]));
            if known.bytes > 0 {
                assert!(
                    !known.is_of(&text[1..]) && !known.is_of(&text[..known.bytes as usize - 1])
                );
            }
        }
    }
}
