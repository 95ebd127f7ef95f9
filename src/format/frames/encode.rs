//! Batches to frames: hello, the rows, `end`.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

use super::{FRAME_HEADER_BYTES, FrameHeader, FrameHello, FrameKind, FrameRole, write_empty};
use crate::format::Encoder;
use crate::limits::{FRAME_PAYLOAD_BYTES_AIM, FRAME_PAYLOAD_BYTES_MAX};
use crate::record::{Epoch, FrameWriter};

/// Writes batches of one schema as frames, numbered from 1 in every epoch.
#[derive(Debug)]
pub struct FrameEncoder {
    hello: FrameHello,
    writer: FrameWriter,
    /// Of the next frame, but for its number.
    header: FrameHeader,
    /// Of the last frame written.
    sequence: u64,
    /// Frames are numbered anew from every beginning on.
    is_for_files: bool,
    /// Rows that no frame can hold, and why.
    failure: Option<String>,
}

impl FrameEncoder {
    /// What a sink writes into files, of which each is numbered from 1.
    pub fn for_files(name: &str, schema: &SchemaRef) -> FrameEncoder {
        FrameEncoder { is_for_files: true, ..FrameEncoder::new(name, schema) }
    }

    /// What a sink sends to subscribers, who come when they like and are sent the same frames.
    pub fn new(name: &str, schema: &SchemaRef) -> FrameEncoder {
        let (role, name, schema) = (FrameRole::Sink, name.to_owned(), Arc::clone(schema));
        let hello = FrameHello { role, name, session: 0, heartbeat_ms: 0, schema };
        FrameEncoder {
            hello,
            writer: FrameWriter::new(),
            header: FrameHeader::new(FrameKind::Data),
            sequence: 0,
            is_for_files: false,
            failure: None,
        }
    }

    /// The same for a job with epochs, whose output goes by the number `output` for as long as epochs are
    /// counted on. Frames belong to no epoch before [`Encoder::begin_epoch`].
    #[must_use]
    pub fn of_output(mut self, output: u64) -> FrameEncoder {
        self.hello.session = output;
        self
    }
}

/// Hands on `rows` in pieces that fit into frames: halved until they need no more than is aimed at.
///
/// # Errors
/// A row that fits into no frame, in words; the others are handed on.
pub(super) fn each_piece(
    rows: &RecordBatch,
    act: &mut dyn FnMut(&RecordBatch),
) -> Result<(), String> {
    let count = rows.num_rows();
    let bytes = FrameWriter::bytes_max(rows);
    if bytes > FRAME_PAYLOAD_BYTES_AIM && count > 1 {
        let half = count / 2;
        let first = each_piece(&rows.slice(0, half), act);
        return first.and(each_piece(&rows.slice(half, count - half), act));
    }
    if bytes > FRAME_PAYLOAD_BYTES_MAX {
        let most = FRAME_PAYLOAD_BYTES_MAX;
        return Err(format!("a row of {bytes} bytes; a frame has {most} at most"));
    }
    act(rows);
    Ok(())
}

/// Hands on frames that have been written, one by one: number, rows, bytes.
pub fn each_frame(frames: &[u8], act: &mut dyn FnMut(u64, u32, &[u8])) {
    let mut rest = frames;
    while let Some(head) = rest.first_chunk::<FRAME_HEADER_BYTES>() {
        let header = FrameHeader::parse(head, FRAME_PAYLOAD_BYTES_MAX);
        let header = header.expect("frames that were written are well-formed");
        let (frame, behind) = rest.split_at(FRAME_HEADER_BYTES + header.payload_bytes);
        // The root of the archive ends with the number of rows.
        let rows = frame.last_chunk().copied().map_or(0, u32::from_le_bytes);
        act(header.sequence, rows, frame);
        rest = behind;
    }
}

/// Gives frames that have been written other numbers, from `first` on.
pub fn renumber_frames(frames: &mut Vec<u8>, first: u64) {
    let (mut start, mut sequence) = (0, first);
    let mut renumbered = Vec::with_capacity(frames.len());
    while let Some(head) = frames[start..].first_chunk::<FRAME_HEADER_BYTES>() {
        let header = FrameHeader::parse(head, FRAME_PAYLOAD_BYTES_MAX);
        let header = header.expect("frames that were written are well-formed");
        let end = start + FRAME_HEADER_BYTES + header.payload_bytes;
        let at = renumbered.len();
        renumbered.extend_from_slice(&frames[start..end]);
        FrameHeader { sequence, ..header }.seal(&mut renumbered, at);
        (start, sequence) = (end, sequence + 1);
    }
    *frames = renumbered;
}

/// Appends one frame.
pub(crate) fn write_data(
    writer: &mut FrameWriter,
    rows: &RecordBatch,
    sequence: u64,
    out: &mut Vec<u8>,
) {
    write_frame(writer, rows, FrameHeader { sequence, ..FrameHeader::new(FrameKind::Data) }, out);
}

/// Appends one frame with this header.
pub(super) fn write_frame(
    writer: &mut FrameWriter,
    rows: &RecordBatch,
    header: FrameHeader,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.resize(start + FRAME_HEADER_BYTES, 0);
    writer.write(rows, out);
    header.seal(out, start);
}

impl Encoder for FrameEncoder {
    fn begin(&mut self, out: &mut Vec<u8>) {
        if self.is_for_files {
            self.sequence = 0;
        }
        self.hello.write(out);
    }

    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
        if rows.num_rows() > 0 {
            let FrameEncoder { writer, header, sequence, failure, .. } = self;
            let written = each_piece(rows, &mut |piece| {
                *sequence += 1;
                write_frame(writer, piece, FrameHeader { sequence: *sequence, ..*header }, out);
            });
            if let Err(reason) = written {
                failure.get_or_insert(reason);
            }
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let header = FrameHeader { kind: FrameKind::End, sequence: self.sequence, ..self.header };
        write_empty(header, out);
    }

    fn begin_epoch(&mut self, epoch: Epoch) -> u64 {
        self.header.epoch = epoch.number();
        std::mem::take(&mut self.sequence)
    }

    fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }
}
