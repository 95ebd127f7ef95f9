//! Pieces: what one sink appends to the output journal, and places in what it has appended.
//!
//! The payload of an entry is, little-endian, then the bytes:
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | rows that the piece completes |
//! | 4 | 4 | 1 when it ends a frame or a batch of lines, 0 when the rest follows |
//! | 8 | 8 | its number: from 1 in every epoch, or over all of them |
//! | 16 | 8 | rows that the sink had appended before it, in all runs |
//! | 24 | 8 | bytes that it had appended before it |

use crate::format::FramePosition;
use crate::journal::Position;
use crate::stdx::{ByteReader, ByteWriter, Malformed};

/// Bytes before the piece's own.
pub(super) const HEAD_BYTES: usize = 32;

/// What an entry says of its piece.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) rows: u32,
    pub(super) is_whole: bool,
    pub(super) sequence: u64,
    pub(super) rows_before: u64,
    pub(super) bytes_before: u64,
}

/// A place in a sink's output, behind some piece of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::sink) struct Place {
    /// The last frame or batch before it.
    pub(in crate::sink) frame: FramePosition,
    /// In the journal; what comes next begins there or behind it.
    pub(in crate::sink) at: Position,
    /// Rows before it, in all runs.
    pub(in crate::sink) rows: u64,
    /// Bytes before it.
    pub(in crate::sink) bytes: u64,
}

impl Head {
    pub(super) fn to_bytes(self) -> [u8; HEAD_BYTES] {
        let mut bytes = [0; HEAD_BYTES];
        bytes[..4].copy_from_slice(&self.rows.to_le_bytes());
        bytes[4..8].copy_from_slice(&u32::from(self.is_whole).to_le_bytes());
        bytes[8..16].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.rows_before.to_le_bytes());
        bytes[24..].copy_from_slice(&self.bytes_before.to_le_bytes());
        bytes
    }

    /// Head and bytes of an entry's payload.
    pub(super) fn parse(payload: &[u8]) -> Result<(Head, &[u8]), Malformed> {
        let mut from = ByteReader::new(payload);
        let (rows, is_whole) = (from.u32()?, from.u32()?);
        if is_whole > 1 {
            return Err(from.malformed("a piece that neither ends nor goes on"));
        }
        let (sequence, rows_before, bytes_before) = (from.u64()?, from.u64()?, from.u64()?);
        let head = Head { rows, is_whole: is_whole == 1, sequence, rows_before, bytes_before };
        Ok((head, &payload[HEAD_BYTES..]))
    }
}

impl Place {
    pub(in crate::sink) const BEGINNING: Place = Place {
        frame: FramePosition { epoch: 0, sequence: 0 },
        at: Position::BEGINNING,
        rows: 0,
        bytes: 0,
    };

    /// Goes behind a piece that ends at `end` in the journal.
    pub(super) fn pass(&mut self, epoch: u64, head: &Head, length: usize, end: Position) {
        self.at = end;
        self.bytes = head.bytes_before + length as u64;
        if head.is_whole {
            self.frame = FramePosition { epoch, sequence: head.sequence };
            self.rows = head.rows_before + u64::from(head.rows);
        }
    }

    pub(in crate::sink) fn encode(&self, out: &mut ByteWriter) {
        let Place { frame, at, rows, bytes } = self;
        for number in [frame.epoch, frame.sequence, at.segment, at.offset, *rows, *bytes] {
            out.u64(number);
        }
    }

    pub(in crate::sink) fn decode(from: &mut ByteReader<'_>) -> Result<Place, Malformed> {
        let frame = FramePosition { epoch: from.u64()?, sequence: from.u64()? };
        let at = Position { segment: from.u64()?, offset: from.u64()? };
        Ok(Place { frame, at, rows: from.u64()?, bytes: from.u64()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let head =
            Head { rows: 7, is_whole: true, sequence: 9, rows_before: 1 << 40, bytes_before: 3 };
        let payload = [&head.to_bytes()[..], b"abc"].concat();
        assert_eq!(Head::parse(&payload), Ok((head, &b"abc"[..])));
        for cut in 0..HEAD_BYTES {
            assert!(Head::parse(&payload[..cut]).is_err(), "cut at {cut}");
        }
        let mut other = payload;
        other[4] = 2;
        assert!(Head::parse(&other).is_err());
    }

    #[test]
    fn a_place_moves_on_by_whole_frames() {
        let mut place =
            Place { frame: FramePosition { epoch: 2, sequence: 5 }, ..Place::BEGINNING };
        let end = |offset| Position { segment: 3, offset };
        let part =
            Head { rows: 0, is_whole: false, sequence: 6, rows_before: 10, bytes_before: 100 };
        place.pass(2, &part, 50, end(64));
        assert_eq!((place.frame.sequence, place.at, place.bytes), (5, end(64), 150));
        let last = Head { rows: 4, is_whole: true, bytes_before: 150, ..part };
        place.pass(2, &last, 8, end(128));
        let expected = Place {
            frame: FramePosition { epoch: 2, sequence: 6 },
            at: end(128),
            rows: 14,
            bytes: 158,
        };
        assert_eq!(place, expected);
        let mut out = ByteWriter::new();
        place.encode(&mut out);
        let bytes = out.finish();
        assert_eq!(Place::decode(&mut ByteReader::new(&bytes)), Ok(place));
    }
}
