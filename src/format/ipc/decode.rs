//! Decoder: a stream's bytes, cut anywhere, to batches of a table.

use arrow::array::{BinaryArray, UInt64Array};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::SchemaRef;
use arrow::ipc::{self, MessageHeader};
use std::collections::VecDeque;
use std::sync::Arc;

use super::batch::BatchReader;
use super::schema::read_schema;
use super::{CONTINUATION, FILE_MARK};
use crate::format::frames::{FrameRead, check_columns, rows_of_table};
use crate::format::{Decoded, Decoder, DecoderOptions, RejectedRecord};
use crate::limits::{BATCH_ROWS_MAX, IPC_BODY_BYTES_MAX, IPC_METADATA_BYTES_MAX};
use crate::record::Provenance;

/// Bytes before a message: the mark and a length.
const PREFIX_BYTES: usize = 8;

/// Bytes of a file's mark with the zeros behind it.
const FILE_MARK_BYTES_MAX: u64 = 64;

/// Memory taken for a body before it has begun to come.
const BODY_BYTES_FIRST: usize = 64 * 1024;

/// The decoder of one stream.
pub(in crate::format) struct IpcDecoder {
    table: SchemaRef,
    /// Of the wanted columns.
    schema: SchemaRef,
    reader: Option<BatchReader>,
    keep_provenance: Option<Arc<str>>,
    stage: Stage,
    /// What has come of the prefix or the metadata.
    head: Vec<u8>,
    body: MutableBuffer,
    /// Bytes of complete messages.
    offset: u64,
    is_file: bool,
    ready: VecDeque<Decoded>,
    ready_rows: usize,
    rejected: VecDeque<RejectedRecord>,
    records: u64,
    fault: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    Prefix,
    Metadata {
        bytes: usize,
    },
    Body {
        bytes: usize,
    },
    /// The stream has said that it ends.
    Ended,
}

impl IpcDecoder {
    /// `options` have been checked.
    pub(in crate::format) fn new(options: &DecoderOptions) -> IpcDecoder {
        let schema = options.schema.project(&options.projection);
        IpcDecoder {
            table: SchemaRef::clone(&options.schema),
            schema: Arc::new(schema.expect("projection was checked against the schema")),
            reader: None,
            keep_provenance: options.keep_provenance.clone(),
            stage: Stage::Prefix,
            head: Vec::new(),
            body: MutableBuffer::new(0),
            offset: options.start_offset,
            is_file: false,
            ready: VecDeque::new(),
            ready_rows: 0,
            rejected: VecDeque::new(),
            records: 0,
            fault: None,
        }
    }

    /// Takes a part of `bytes`, and what is complete with it; the rest.
    fn take_some<'a>(&mut self, bytes: &'a [u8]) -> Result<&'a [u8], String> {
        match self.stage {
            Stage::Ended if self.is_file => Ok(&[]),
            Stage::Ended => Err("the stream goes on behind its end".into()),
            Stage::Prefix => {
                let rest = fill(&mut self.head, PREFIX_BYTES, bytes);
                if self.head.len() == PREFIX_BYTES {
                    self.prefix()?;
                }
                Ok(rest)
            }
            Stage::Metadata { bytes: length } => {
                let rest = fill(&mut self.head, length, bytes);
                if self.head.len() == length {
                    let body_bytes = self.body_bytes()?;
                    self.body = MutableBuffer::with_capacity(body_bytes.min(BODY_BYTES_FIRST));
                    self.stage = Stage::Body { bytes: body_bytes };
                    if body_bytes == 0 {
                        self.message()?;
                    }
                }
                Ok(rest)
            }
            Stage::Body { bytes: length } => {
                let (now, rest) = bytes.split_at(bytes.len().min(length - self.body.len()));
                self.body.extend_from_slice(now);
                if self.body.len() == length {
                    self.message()?;
                }
                Ok(rest)
            }
        }
    }

    fn prefix(&mut self) -> Result<(), String> {
        if self.offset == 0 && !self.is_file && self.head == FILE_MARK {
            self.is_file = true;
            self.offset = PREFIX_BYTES as u64;
            self.head.clear();
            return Ok(());
        }
        // Zeros behind the mark make up for its length.
        if self.is_file && self.reader.is_none() && self.head == [0; PREFIX_BYTES] {
            self.offset += PREFIX_BYTES as u64;
            self.head.clear();
            return if self.offset <= FILE_MARK_BYTES_MAX {
                Ok(())
            } else {
                Err("no message of Arrow behind the mark of a file".into())
            };
        }
        if self.head[..4] != CONTINUATION {
            let found = self.head[..4].escape_ascii();
            return Err(format!("no message of Arrow: it begins with \"{found}\""));
        }
        let length = u32::from_le_bytes([self.head[4], self.head[5], self.head[6], self.head[7]]);
        let length = length as usize;
        if length > IPC_METADATA_BYTES_MAX {
            return Err(format!("metadata of {length} bytes; {IPC_METADATA_BYTES_MAX} at most"));
        }
        self.head.clear();
        self.stage = match length {
            0 => Stage::Ended,
            bytes => Stage::Metadata { bytes },
        };
        self.offset += if length == 0 { PREFIX_BYTES as u64 } else { 0 };
        Ok(())
    }

    fn body_bytes(&self) -> Result<usize, String> {
        let message = ipc::root_as_message(&self.head).map_err(|error| error.to_string())?;
        let length = usize::try_from(message.bodyLength()).unwrap_or(usize::MAX);
        if length > IPC_BODY_BYTES_MAX {
            let found = message.bodyLength();
            return Err(format!("a body of {found} bytes; {IPC_BODY_BYTES_MAX} at most"));
        }
        Ok(length)
    }

    /// A message is complete.
    fn message(&mut self) -> Result<(), String> {
        let head = std::mem::take(&mut self.head);
        let body = Buffer::from(std::mem::replace(&mut self.body, MutableBuffer::new(0)));
        let message = ipc::root_as_message(&head).map_err(|error| error.to_string())?;
        let end = self.offset + (PREFIX_BYTES + head.len() + body.len()) as u64;
        match (message.header_type(), &self.reader) {
            (MessageHeader::Schema, None) => {
                let schema = message.header_as_schema().ok_or("a schema that is none")?;
                let written = read_schema(schema)?;
                check_columns(&written, &self.table, "the stream")?;
                self.reader = Some(BatchReader::new(&written, &self.schema));
            }
            (MessageHeader::RecordBatch, Some(reader)) => {
                let batch = message.header_as_record_batch().ok_or("a batch that is none")?;
                let (columns, rows) = reader.read(batch, &body)?;
                let read = rows_of_table(&self.schema, columns, rows);
                self.admit(read, rows, end);
            }
            (MessageHeader::DictionaryBatch, Some(_)) => {
                return Err("dictionaries are not supported; write plain values".into());
            }
            (MessageHeader::Schema, Some(_)) => return Err("a second schema".into()),
            (_, None) => return Err("a batch before the schema".into()),
            (other, Some(_)) => {
                let kind = other.variant_name().unwrap_or("unknown");
                return Err(format!("a message that is neither schema nor batch: {kind}"));
            }
        }
        self.offset = end;
        self.stage = Stage::Prefix;
        Ok(())
    }

    /// The rows of a message that ends at `end`.
    fn admit(&mut self, read: FrameRead, rows: usize, end: u64) {
        self.records += rows as u64;
        for (row, reason) in read.rejected {
            let reason = format!("row {row} of its batch: {reason}");
            let offset = self.offset;
            self.rejected.push_back(RejectedRecord { offset, reason, raw: Vec::new() });
        }
        let mut at = 0;
        while at < read.rows.num_rows() {
            let count = BATCH_ROWS_MAX.min(read.rows.num_rows() - at);
            let provenance = self.keep_provenance.as_ref().map(|origin| Provenance {
                origin: Arc::clone(origin),
                offsets: UInt64Array::from_value(self.offset, count),
                raw: BinaryArray::from_iter_values(std::iter::repeat_n(b"", count)),
            });
            self.ready_rows += count;
            let piece = read.rows.slice(at, count);
            at += count;
            // Behind a piece of a message is somewhere inside of it.
            let end = if at == read.rows.num_rows() { end } else { self.offset + 1 };
            self.ready.push_back(Decoded { rows: piece, provenance, end });
        }
    }
}

impl Decoder for IpcDecoder {
    fn feed(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() && self.fault.is_none() {
            match self.take_some(rest) {
                Ok(left) => rest = left,
                Err(reason) => self.fault = Some(reason),
            }
        }
    }

    fn finish(&mut self) {
        let between = self.stage == Stage::Prefix && self.head.is_empty();
        if self.fault.is_none() && !between && self.stage != Stage::Ended {
            self.fault = Some("the stream is cut inside a message".into());
        }
    }

    fn rows(&self) -> usize {
        self.ready_rows
    }

    fn take(&mut self) -> Option<Decoded> {
        let decoded = self.ready.pop_front()?;
        self.ready_rows -= decoded.rows.num_rows();
        Some(decoded)
    }

    fn take_rejected(&mut self) -> Option<RejectedRecord> {
        self.rejected.pop_front()
    }

    fn records(&self) -> u64 {
        self.records
    }

    fn offset(&self) -> u64 {
        self.offset
    }

    fn fault(&self) -> Option<String> {
        Some(format!("at byte {}: {}", self.offset, self.fault.as_ref()?))
    }
}

/// Appends to `memory` up to `length` bytes; what is left.
fn fill<'a>(memory: &mut Vec<u8>, length: usize, bytes: &'a [u8]) -> &'a [u8] {
    let (now, rest) = bytes.split_at(bytes.len().min(length - memory.len()));
    memory.extend_from_slice(now);
    rest
}
