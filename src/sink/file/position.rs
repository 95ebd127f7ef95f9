//! Position: the parts of one core that had not been released when an epoch ended.
//!
//! All numbers are little-endian; byte strings stand behind their length (4 bytes).
//!
//! | bytes | position |
//! |---|---|
//! | 1 | version, 1 |
//! | 4, then | directory, absolute |
//! | 4, then | extension of the parts' names |
//! | 4 | run |
//! | 4, then each | parts: number (4), length (8), what is to be written behind it (4, then) |

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::stdx::{ByteReader, ByteWriter, Malformed};

const VERSION: u8 = 1;

/// See the module.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Position {
    pub(super) directory: PathBuf,
    pub(super) extension: String,
    pub(super) run: u32,
    /// In the order in which they were filled.
    pub(super) parts: Vec<PartPosition>,
}

/// One part, as of the end of an epoch.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PartPosition {
    pub(super) number: u32,
    /// Bytes of rows of epochs that have ended.
    pub(super) bytes: u64,
    /// What completes a part of this length: the end of a stream.
    pub(super) end: Vec<u8>,
}

impl Position {
    /// As bytes.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = ByteWriter::new();
        out.u8(VERSION);
        out.bytes(self.directory.as_os_str().as_bytes());
        out.bytes(self.extension.as_bytes());
        out.u32(self.run);
        out.count(self.parts.len());
        for PartPosition { number, bytes, end } in &self.parts {
            out.u32(*number);
            out.u64(*bytes);
            out.bytes(end);
        }
        out.finish()
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// When it is no position of a version that this program knows.
    pub(super) fn decode(bytes: &[u8]) -> Result<Position, Malformed> {
        let mut from = ByteReader::new(bytes);
        if from.u8()? != VERSION {
            return Err(from.malformed("a version that this program does not know"));
        }
        let directory = PathBuf::from(OsStr::from_bytes(from.bytes()?));
        let extension = from.text()?.to_owned();
        if extension.contains(['/', '\0']) {
            return Err(from.malformed("an extension that is not one"));
        }
        let run = from.u32()?;
        let parts = from.count(16)?;
        let parts: Result<Vec<PartPosition>, Malformed> = (0..parts)
            .map(|_| {
                let (number, length) = (from.u32()?, from.u64()?);
                Ok(PartPosition { number, bytes: length, end: from.bytes()?.to_vec() })
            })
            .collect();
        let parts = parts?;
        from.finish()?;
        Ok(Position { directory, extension, run, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written_and_not_otherwise() {
        let part = |number, bytes, end: &[u8]| PartPosition { number, bytes, end: end.to_vec() };
        let position = Position {
            directory: "/größe/out".into(),
            extension: "arrows".into(),
            run: 7,
            parts: vec![part(3, u64::MAX, b""), part(4, 17, b"end")],
        };
        let bytes = position.encode();
        for cut in 0..bytes.len() {
            assert!(Position::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
        let other_version = [&[2], &bytes[1..]].concat();
        let reason = |other: &[u8]| Position::decode(other).unwrap_err().reason;
        assert_eq!(reason(&other_version), "a version that this program does not know");
        let elsewhere = Position { extension: "x/../../y".into(), ..position.clone() };
        assert_eq!(reason(&elsewhere.encode()), "an extension that is not one");
        assert_eq!(Position::decode(&bytes), Ok(position));
    }
}
