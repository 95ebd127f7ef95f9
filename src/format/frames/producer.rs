//! Producer: its side of a connection to a source, without I/O.
//!
//! In:  rows; what the source sends, cut anywhere.
//! Out: bytes to send; which frames are acknowledged, and whether more may be sent.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::fmt;

use super::encode::{each_piece, write_data};
use super::{
    FRAME_HEADER_BYTES, FrameHeader, FrameHello, FrameKind, FrameRole, FrameStream, ProtocolFault,
    error_text, write_empty,
};
use crate::limits::FRAME_ANSWER_BYTES_MAX;
use crate::record::FrameWriter;

/// Why a peer's side of a connection cannot go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FrameRefusal {
    /// The other side said so.
    Refused {
        /// By number, as the page of the protocol lists them.
        code: u32,
        /// In words.
        text: String,
    },
    /// The other side does not keep to the protocol.
    Fault(ProtocolFault),
}

impl fmt::Display for FrameRefusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameRefusal::Refused { code, text } => write!(formatter, "error {code}: {text}"),
            FrameRefusal::Fault(fault) => {
                write!(formatter, "the peer does not keep to the protocol: {fault}")
            }
        }
    }
}

impl std::error::Error for FrameRefusal {}

impl From<ProtocolFault> for FrameRefusal {
    fn from(fault: ProtocolFault) -> FrameRefusal {
        FrameRefusal::Fault(fault)
    }
}

/// See the module.
#[derive(Debug)]
pub struct FrameProducer {
    hello: FrameHello,
    writer: FrameWriter,
    stream: FrameStream,
    /// The source has answered hello on this connection.
    is_welcome: bool,
    /// Number of the last frame written.
    sequence: u64,
    taken: u64,
    /// The source has answered `end`.
    end_is_known: bool,
    granted_bytes: u64,
    begun_bytes: u64,
}

impl FrameProducer {
    /// A producer of rows with the columns of `schema`. Under one name the highest session sends.
    pub fn new(name: &str, session: u64, heartbeat_ms: u32, schema: &SchemaRef) -> FrameProducer {
        let hello = FrameHello {
            role: FrameRole::Producer,
            name: name.to_owned(),
            session,
            heartbeat_ms,
            schema: SchemaRef::clone(schema),
        };
        FrameProducer {
            hello,
            writer: FrameWriter::new(),
            stream: FrameStream::new(FRAME_ANSWER_BYTES_MAX),
            is_welcome: false,
            sequence: 0,
            taken: 0,
            end_is_known: false,
            granted_bytes: 0,
            begun_bytes: 0,
        }
    }

    /// Begins a connection: appends hello.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        self.stream = FrameStream::new(FRAME_ANSWER_BYTES_MAX);
        (self.is_welcome, self.granted_bytes, self.begun_bytes) = (false, 0, 0);
        self.end_is_known = false;
        self.hello.write(out);
    }

    /// Takes what the source sent.
    ///
    /// # Errors
    /// The source's error, or what is wrong with what it sent: the connection is over.
    pub fn receive(&mut self, bytes: &[u8]) -> Result<(), FrameRefusal> {
        self.stream.feed(bytes);
        while let Some(message) = self.stream.take()? {
            match message.header.kind {
                FrameKind::Ack => {
                    let ack = message.ack()?;
                    self.taken = ack.sequence;
                    self.granted_bytes = self.granted_bytes.max(ack.credit_bytes);
                    if !self.is_welcome {
                        self.is_welcome = true;
                        self.sequence = self.sequence.max(ack.sequence);
                    }
                }
                FrameKind::End => self.end_is_known = true,
                FrameKind::Error => {
                    let (code, text) = error_text(&message.payload);
                    return Err(FrameRefusal::Refused { code, text });
                }
                kind => {
                    let place = "among what a source sends";
                    return Err(ProtocolFault::Unexpected { kind, place }.into());
                }
            }
        }
        Ok(())
    }

    /// True when the source has answered, and may be sent more by its credit.
    pub fn may_send(&self) -> bool {
        self.is_welcome && self.begun_bytes < self.granted_bytes
    }

    /// True when the source has answered hello.
    pub fn is_welcome(&self) -> bool {
        self.is_welcome
    }

    /// Number of the last frame that is acknowledged: it need not be kept.
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// True when the source has answered the `end` of this connection.
    pub fn end_is_known(&self) -> bool {
        self.end_is_known
    }

    /// The next frames have the numbers behind `sequence`: for a source that has been started again and
    /// knows of none.
    pub fn restart(&mut self, sequence: u64) {
        self.sequence = sequence;
    }

    /// Number of the last frame written.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Appends `rows` as frames, the next ones by number, each of about a megabyte at most. Say to
    /// `sent` what of it is sent.
    ///
    /// # Errors
    /// A row too long for any frame, in words; those before it are written.
    pub fn write(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) -> Result<(), String> {
        let FrameProducer { writer, sequence, .. } = self;
        each_piece(rows, &mut |piece| {
            *sequence += 1;
            write_data(writer, piece, *sequence, out);
        })
    }

    /// So many bytes of frames go on this connection, headers among them.
    pub fn sent(&mut self, frames: usize, bytes: usize) {
        self.begun_bytes += (bytes - frames * FRAME_HEADER_BYTES) as u64;
    }

    /// Appends `end`: no frame follows the last one written.
    pub fn end(&mut self, out: &mut Vec<u8>) {
        let header = FrameHeader { sequence: self.sequence, ..FrameHeader::new(FrameKind::End) };
        write_empty(header, out);
    }

    /// Appends a sign of life.
    pub fn heartbeat(&mut self, out: &mut Vec<u8>) {
        write_empty(FrameHeader::new(FrameKind::Heartbeat), out);
    }
}
