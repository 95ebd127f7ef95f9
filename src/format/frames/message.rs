//! The other messages, and a stream of bytes cut into messages.

use super::{
    FRAME_HEADER_BYTES, FrameHeader, FrameKind, FramePosition, LanePosition, ProtocolFault,
};
use crate::limits::FRAME_PAYLOAD_BYTES_MAX;

/// Longest text of an error message that is written.
const ERROR_TEXT_BYTES_MAX: usize = 4096;

/// What has been taken, and how much more may come.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Ack {
    /// Every message up to this one has been taken into memory.
    pub sequence: u64,
    /// Every message up to this one survives a crash. 0 while nothing does.
    pub durable: u64,
    /// Bytes of payloads that may have been begun since hello, altogether.
    pub credit_bytes: u64,
}

/// Appends an acknowledgement.
pub fn write_ack(ack: Ack, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + FRAME_HEADER_BYTES, 0);
    out.extend_from_slice(&ack.durable.to_le_bytes());
    out.extend_from_slice(&ack.credit_bytes.to_le_bytes());
    FrameHeader { sequence: ack.sequence, ..FrameHeader::new(FrameKind::Ack) }.seal(out, start);
}

/// Appends a subscriber's acknowledgement of every frame of a lane up to a position.
pub fn write_frame_ack(at: LanePosition, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + 2 * FRAME_HEADER_BYTES, 0);
    header_at(FrameKind::Ack, at).seal(out, start);
}

/// Appends that an epoch exists whose last frame in a lane was this one.
pub fn write_end_of_epoch(last: LanePosition, out: &mut Vec<u8>) {
    write_empty(header_at(FrameKind::EndOfEpoch, last), out);
}

/// Appends that frames of a lane up to this one, which have not come, will not come; they had `rows` rows.
pub fn write_gap(last: LanePosition, rows: u64, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + FRAME_HEADER_BYTES, 0);
    out.extend_from_slice(&rows.to_le_bytes());
    header_at(FrameKind::Gap, last).seal(out, start);
}

fn header_at(kind: FrameKind, LanePosition { lane, frame }: LanePosition) -> FrameHeader {
    let FramePosition { epoch, sequence } = frame;
    FrameHeader { epoch, lane, sequence, ..FrameHeader::new(kind) }
}

/// Appends why the connection ends.
pub fn write_error(fault: &ProtocolFault, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + FRAME_HEADER_BYTES, 0);
    let text = fault.to_string();
    let text = &text[..text.floor_char_boundary(ERROR_TEXT_BYTES_MAX)];
    let count = u32::try_from(text.len()).expect("cut just now");
    out.extend_from_slice(&u32::from(fault.code()).to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(text.as_bytes());
    FrameHeader::new(FrameKind::Error).seal(out, start);
}

/// Appends a message that is a header alone: `end`, `heartbeat`.
pub fn write_empty(header: FrameHeader, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + FRAME_HEADER_BYTES, 0);
    header.seal(out, start);
}

/// Code and text of an error message.
pub fn error_text(payload: &[u8]) -> (u32, String) {
    let u32_at = |at: usize| {
        let bytes = payload.get(at..at + 4).and_then(|bytes| bytes.try_into().ok());
        bytes.map_or(0, u32::from_le_bytes)
    };
    let text = payload.get(8..).unwrap_or_default();
    let count = usize::try_from(u32_at(4)).expect("32 bits fit").min(text.len());
    (u32_at(0), String::from_utf8_lossy(&text[..count]).into_owned())
}

/// Rows that a gap is without.
///
/// # Errors
/// When the payload is too short.
pub(super) fn gap_rows(payload: &[u8]) -> Result<u64, ProtocolFault> {
    let rows = payload.first_chunk().copied().map(u64::from_le_bytes);
    rows.ok_or(ProtocolFault::Length { found: 0, bytes_max: FRAME_HEADER_BYTES })
}

/// A message that is complete and is what was sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Message {
    /// Its header.
    pub header: FrameHeader,
    /// What is behind it.
    pub payload: Vec<u8>,
}

impl Message {
    /// The acknowledgement it is.
    ///
    /// # Errors
    /// When its payload is too short.
    pub fn ack(&self) -> Result<Ack, ProtocolFault> {
        let u64_at =
            |at: usize| self.payload.get(at..at + 8)?.try_into().ok().map(u64::from_le_bytes);
        match (u64_at(0), u64_at(8)) {
            (Some(durable), Some(credit_bytes)) => {
                Ok(Ack { sequence: self.header.sequence, durable, credit_bytes })
            }
            _ => Err(ProtocolFault::Length { found: 0, bytes_max: 64 }),
        }
    }
}

/// Cuts bytes into messages, for those who need not count copies: handshakes and clients.
#[derive(Debug)]
pub struct FrameStream {
    pending: Vec<u8>,
    payload_bytes_max: usize,
}

impl FrameStream {
    /// Messages with payloads up to `payload_bytes_max` bytes.
    pub fn new(payload_bytes_max: usize) -> FrameStream {
        assert!(payload_bytes_max <= FRAME_PAYLOAD_BYTES_MAX);
        FrameStream { pending: Vec::new(), payload_bytes_max }
    }

    /// Takes the next bytes, cut anywhere. Take the messages in them before the next.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// The next complete message.
    ///
    /// # Errors
    /// What is wrong with it; nothing behind it can be read.
    pub fn take(&mut self) -> Result<Option<Message>, ProtocolFault> {
        let Some(header) = self.pending.first_chunk::<FRAME_HEADER_BYTES>() else {
            return Ok(None);
        };
        let header = FrameHeader::parse(header, self.payload_bytes_max)?;
        let end = FRAME_HEADER_BYTES + header.payload_bytes;
        let Some(payload) = self.pending.get(FRAME_HEADER_BYTES..end) else { return Ok(None) };
        header.check(payload)?;
        let payload = payload.to_vec();
        self.pending.drain(..end);
        Ok(Some(Message { header, payload }))
    }

    /// Bytes of a message that has not come completely.
    pub fn pending_bytes(&self) -> usize {
        self.pending.len()
    }
}
