//! Batches to frames: hello, the rows, `end`.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

use super::{FRAME_HEADER_BYTES, FrameHeader, FrameHello, FrameKind, FrameRole, write_empty};
use crate::format::Encoder;
use crate::limits::{FRAME_PAYLOAD_BYTES_AIM, FRAME_PAYLOAD_BYTES_MAX};
use crate::record::FrameWriter;

/// Writes batches of one schema as frames, numbered from 1 in every file.
#[derive(Debug)]
pub struct FrameEncoder {
    hello: FrameHello,
    writer: FrameWriter,
    /// Of the last frame written.
    sequence: u64,
    /// Rows that no frame can hold, and why.
    failure: Option<String>,
}

impl FrameEncoder {
    /// What a sink writes.
    pub fn new(name: &str, schema: &SchemaRef) -> FrameEncoder {
        let (role, name, schema) = (FrameRole::Sink, name.to_owned(), Arc::clone(schema));
        let hello = FrameHello { role, name, session: 0, heartbeat_ms: 0, schema };
        FrameEncoder { hello, writer: FrameWriter::new(), sequence: 0, failure: None }
    }

    /// Rows of every frame are halved until they need no more than so many bytes.
    fn encode_pieces(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
        let count = rows.num_rows();
        let bytes = FrameWriter::bytes_max(rows);
        if bytes > FRAME_PAYLOAD_BYTES_AIM && count > 1 {
            let half = count / 2;
            self.encode_pieces(&rows.slice(0, half), out);
            return self.encode_pieces(&rows.slice(half, count - half), out);
        }
        if bytes > FRAME_PAYLOAD_BYTES_MAX {
            let reason =
                format!("a row of {bytes} bytes; a frame has {FRAME_PAYLOAD_BYTES_MAX} at most");
            self.failure.get_or_insert(reason);
            return;
        }
        self.sequence += 1;
        write_data(&mut self.writer, rows, self.sequence, out);
    }
}

/// Appends one frame.
pub(crate) fn write_data(
    writer: &mut FrameWriter,
    rows: &RecordBatch,
    sequence: u64,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    out.resize(start + FRAME_HEADER_BYTES, 0);
    writer.write(rows, out);
    FrameHeader { sequence, ..FrameHeader::new(FrameKind::Data) }.seal(out, start);
}

impl Encoder for FrameEncoder {
    fn begin(&mut self, out: &mut Vec<u8>) {
        self.sequence = 0;
        self.hello.write(out);
    }

    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
        if rows.num_rows() > 0 {
            self.encode_pieces(rows, out);
        }
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        let header = FrameHeader { sequence: self.sequence, ..FrameHeader::new(FrameKind::End) };
        write_empty(header, out);
    }

    fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }
}
