//! Encoder: batches as messages of a stream.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::StreamWriter;

use super::CONTINUATION;
use crate::format::Encoder;

/// Writes one stream, or the same one to many who come when they like.
pub(in crate::format) struct IpcEncoder {
    writer: StreamWriter<Vec<u8>>,
    /// The schema's message.
    schema: Vec<u8>,
    failure: Option<String>,
}

impl IpcEncoder {
    /// An encoder of rows with these columns.
    pub(in crate::format) fn new(schema: &SchemaRef) -> IpcEncoder {
        let writer = StreamWriter::try_new(Vec::new(), schema);
        let mut writer = writer.expect("writing to memory does not fail");
        let begin = std::mem::take(writer.get_mut());
        IpcEncoder { writer, schema: begin, failure: None }
    }
}

impl Encoder for IpcEncoder {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.schema);
    }

    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
        if rows.num_rows() == 0 {
            return;
        }
        if let Err(error) = self.writer.write(rows) {
            self.failure.get_or_insert(error.to_string());
        }
        out.append(self.writer.get_mut());
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(&CONTINUATION);
        out.extend_from_slice(&[0; 4]);
    }

    fn take_failure(&mut self) -> Option<String> {
        self.failure.take()
    }
}
