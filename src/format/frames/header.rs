//! Header: the 64 bytes before everything else, and everything that can be wrong with a peer's bytes.

use std::fmt;

use super::{FramePosition, LanePosition};
use crate::limits::FRAME_PAYLOAD_BYTES_MAX;
use crate::record::{FRAME_ALIGNMENT, FRAME_LAYOUT_HASH, FrameFault};
use crate::stdx::crc32c;

/// Bytes of a header.
pub const FRAME_HEADER_BYTES: usize = 64;

const MAGIC: [u8; 4] = *b"PLTN";
const VERSION: u16 = 1;

const _: () = assert!(FRAME_HEADER_BYTES.is_multiple_of(FRAME_ALIGNMENT));
const _: () = assert!(cfg!(target_endian = "little"), "frames are read where they lie");

/// What a message is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum FrameKind {
    /// Who the peer is, and which columns it has.
    Hello = 1,
    /// Rows.
    Data = 2,
    /// What has been taken, and how much more may come.
    Ack = 3,
    /// Nothing more will come.
    End = 4,
    /// The connection ends, for a reason.
    Error = 5,
    /// All rows of an epoch have come.
    EndOfEpoch = 6,
    /// The peer is there.
    Heartbeat = 7,
    /// Rows that were not kept for the peer.
    Gap = 8,
}

/// First 64 bytes of every message, little-endian.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FrameHeader {
    /// What the message is.
    pub kind: FrameKind,
    /// Bytes behind the header, a multiple of 64.
    pub payload_bytes: usize,
    /// CRC32C of the header, with this field as zero, and the payload.
    pub checksum: u32,
    /// Number of the message's rows in their stream, or in their epoch; the first is 1.
    pub sequence: u64,
    /// Of output.
    pub epoch: u64,
    /// Of output.
    pub lane: u32,
}

/// What is wrong with what a peer sent. Each is one code of an error message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ProtocolFault {
    /// The bytes do not begin as a message does.
    Magic {
        /// The first four bytes.
        found: [u8; 4],
    },
    /// Another version of the protocol.
    Version {
        /// The peer's.
        found: u16,
    },
    /// No such kind of message.
    Kind {
        /// In the header.
        found: u16,
    },
    /// A payload too long, or not a multiple of 64.
    Length {
        /// In the header.
        found: u32,
        /// Allowed here.
        bytes_max: usize,
    },
    /// The bytes are not those that were sent.
    Checksum {
        /// In the header.
        found: u32,
        /// Of the bytes.
        computed: u32,
    },
    /// The rows are laid out in another way.
    Layout {
        /// The peer's.
        found: u64,
    },
    /// Bytes that must be zero are not.
    Reserved,
    /// What hello says cannot be read.
    Hello {
        /// In words.
        reason: String,
    },
    /// The peer's columns are not the table's.
    Schema {
        /// In words.
        reason: String,
    },
    /// Rows are missing before these.
    Sequence {
        /// In the header.
        found: u64,
        /// The next one.
        expected: u64,
    },
    /// The rows are none.
    Rows(FrameFault),
    /// A later session of the same producer has come.
    Fenced {
        /// The producer.
        name: String,
    },
    /// More was sent than was granted.
    Credit {
        /// Bytes of payloads sent.
        sent: u64,
        /// Bytes granted.
        granted: u64,
    },
    /// There is no room for another connection.
    Busy {
        /// How many there are.
        connections_max: u32,
    },
    /// The job reads no more.
    Stopping,
    /// A message that does not belong here.
    Unexpected {
        /// Which.
        kind: FrameKind,
        /// Where.
        place: &'static str,
    },
    /// Nothing came for too long.
    Silent,
    /// The bytes end inside a message, or without `end`.
    Cut {
        /// Bytes that are missing at least.
        missing: usize,
    },
}

impl ProtocolFault {
    /// Its code in an error message.
    pub fn code(&self) -> u16 {
        match self {
            ProtocolFault::Magic { .. } => 1,
            ProtocolFault::Version { .. } => 2,
            ProtocolFault::Kind { .. } => 3,
            ProtocolFault::Length { .. } => 4,
            ProtocolFault::Checksum { .. } => 5,
            ProtocolFault::Layout { .. } => 6,
            ProtocolFault::Reserved => 7,
            ProtocolFault::Hello { .. } => 8,
            ProtocolFault::Schema { .. } => 9,
            ProtocolFault::Sequence { .. } => 10,
            ProtocolFault::Rows(_) => 11,
            ProtocolFault::Fenced { .. } => 12,
            ProtocolFault::Credit { .. } => 13,
            ProtocolFault::Busy { .. } => 14,
            ProtocolFault::Stopping => 15,
            ProtocolFault::Unexpected { .. } => 16,
            ProtocolFault::Silent => 17,
            ProtocolFault::Cut { .. } => 18,
        }
    }
}

impl fmt::Display for ProtocolFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProtocolFault::Magic { found } => {
                let found = found.escape_ascii();
                write!(formatter, "no frame: it begins with \"{found}\", not with \"PLTN\"")
            }
            ProtocolFault::Version { found } => {
                write!(formatter, "version {found} of the protocol; this is version {VERSION}")
            }
            ProtocolFault::Kind { found } => {
                write!(formatter, "there is no message of kind {found}")
            }
            ProtocolFault::Length { found, bytes_max } => write!(
                formatter,
                "a payload of {found} bytes; it must be a multiple of 64, {bytes_max} at most"
            ),
            ProtocolFault::Checksum { found, computed } => {
                write!(formatter, "checksum {found:08x} of bytes whose checksum is {computed:08x}")
            }
            ProtocolFault::Layout { found } => write!(
                formatter,
                "layout {found:016x} of rows; this is layout {FRAME_LAYOUT_HASH:016x}"
            ),
            ProtocolFault::Reserved => formatter.write_str("reserved bytes that are not zero"),
            ProtocolFault::Hello { reason } => write!(formatter, "hello {reason}"),
            ProtocolFault::Schema { reason } => formatter.write_str(reason),
            ProtocolFault::Sequence { found, expected } => {
                write!(formatter, "sequence {found} where {expected} is the next")
            }
            ProtocolFault::Rows(fault) => write!(formatter, "the frame {fault}"),
            ProtocolFault::Fenced { name } => {
                write!(formatter, "a later session of \"{name}\" has taken over")
            }
            ProtocolFault::Credit { sent, granted } => {
                write!(formatter, "{sent} bytes sent where {granted} were granted")
            }
            ProtocolFault::Busy { connections_max } => {
                write!(formatter, "{connections_max} connections are served already")
            }
            ProtocolFault::Stopping => formatter.write_str("the job reads no more"),
            ProtocolFault::Unexpected { kind, place } => {
                write!(formatter, "{kind:?} does not belong {place}")
            }
            ProtocolFault::Silent => formatter.write_str("nothing came for too long"),
            ProtocolFault::Cut { missing } => {
                write!(formatter, "cut: at least {missing} bytes are missing")
            }
        }
    }
}

impl std::error::Error for ProtocolFault {}

impl FrameHeader {
    /// Where the message is in the output of a sink.
    pub fn position(&self) -> LanePosition {
        let frame = FramePosition { epoch: self.epoch, sequence: self.sequence };
        LanePosition { lane: self.lane, frame }
    }

    /// A header without numbers; length and checksum are set by `seal`.
    pub fn new(kind: FrameKind) -> FrameHeader {
        FrameHeader { kind, payload_bytes: 0, checksum: 0, sequence: 0, epoch: 0, lane: 0 }
    }

    /// Reads a header, whose payload may have `payload_bytes_max` bytes.
    ///
    /// # Errors
    /// What is wrong with it. Its checksum can be checked only with the payload.
    pub fn parse(
        bytes: &[u8; FRAME_HEADER_BYTES],
        payload_bytes_max: usize,
    ) -> Result<FrameHeader, ProtocolFault> {
        assert!(payload_bytes_max <= FRAME_PAYLOAD_BYTES_MAX);
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        let u64_at = |at: usize| u64::from(u32_at(at)) | u64::from(u32_at(at + 4)) << 32;
        let magic = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if magic != MAGIC {
            return Err(ProtocolFault::Magic { found: magic });
        }
        if u16_at(4) != VERSION {
            return Err(ProtocolFault::Version { found: u16_at(4) });
        }
        let kind = FrameKind::of(u16_at(6)).ok_or(ProtocolFault::Kind { found: u16_at(6) })?;
        let payload_bytes = u32_at(8) as usize;
        if payload_bytes > payload_bytes_max || !payload_bytes.is_multiple_of(FRAME_ALIGNMENT) {
            let bytes_max = payload_bytes_max;
            return Err(ProtocolFault::Length { found: u32_at(8), bytes_max });
        }
        if u64_at(40) != FRAME_LAYOUT_HASH {
            return Err(ProtocolFault::Layout { found: u64_at(40) });
        }
        if u32_at(36) != 0 || u64_at(48) != 0 || u64_at(56) != 0 {
            return Err(ProtocolFault::Reserved);
        }
        let (sequence, epoch, lane) = (u64_at(16), u64_at(24), u32_at(32));
        Ok(FrameHeader { kind, payload_bytes, checksum: u32_at(12), sequence, epoch, lane })
    }

    /// The header as bytes.
    pub fn to_bytes(&self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        let length = u32::try_from(self.payload_bytes).expect("payloads are bounded");
        bytes[..4].copy_from_slice(&MAGIC);
        bytes[4..6].copy_from_slice(&VERSION.to_le_bytes());
        bytes[6..8].copy_from_slice(&(self.kind as u16).to_le_bytes());
        bytes[8..12].copy_from_slice(&length.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.checksum.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.sequence.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.epoch.to_le_bytes());
        bytes[32..36].copy_from_slice(&self.lane.to_le_bytes());
        bytes[40..48].copy_from_slice(&FRAME_LAYOUT_HASH.to_le_bytes());
        bytes
    }

    /// Checks that header and payload are what was sent.
    ///
    /// # Errors
    /// When they are not.
    pub fn check(&self, payload: &[u8]) -> Result<(), ProtocolFault> {
        assert_eq!(payload.len(), self.payload_bytes);
        let computed = self.checksum_with(payload);
        if computed == self.checksum {
            return Ok(());
        }
        Err(ProtocolFault::Checksum { found: self.checksum, computed })
    }

    /// Writes this header, completed, where a message begins whose payload is the rest of `out`.
    pub(super) fn seal(mut self, out: &mut Vec<u8>, start: usize) {
        let end = (out.len() - start).next_multiple_of(FRAME_ALIGNMENT) + start;
        out.resize(end, 0);
        let (header, payload) = out[start..].split_at_mut(FRAME_HEADER_BYTES);
        self.payload_bytes = payload.len();
        self.checksum = self.checksum_with(payload);
        header.copy_from_slice(&self.to_bytes());
    }

    fn checksum_with(&self, payload: &[u8]) -> u32 {
        let header = FrameHeader { checksum: 0, ..*self };
        crc32c(&[&header.to_bytes(), payload])
    }
}

impl FrameKind {
    fn of(number: u16) -> Option<FrameKind> {
        Some(match number {
            1 => FrameKind::Hello,
            2 => FrameKind::Data,
            3 => FrameKind::Ack,
            4 => FrameKind::End,
            5 => FrameKind::Error,
            6 => FrameKind::EndOfEpoch,
            7 => FrameKind::Heartbeat,
            8 => FrameKind::Gap,
            _ => return None,
        })
    }
}
