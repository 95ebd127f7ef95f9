//! Subscriber: its side of a connection to a sink, without I/O.
//!
//! In:  what the sink sends, in memory that was prepared for it.
//! Out: rows over that memory; acknowledgements to send.

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use std::collections::VecDeque;
use std::sync::Arc;

use super::{
    Ack, FrameColumns, FrameHello, FrameKind, FrameReceiver, FrameRefusal, FrameRole,
    ProtocolFault, ReceivedFrame, error_text, write_ack,
};
use crate::limits::FRAME_PAYLOAD_BYTES_MAX;
use crate::record::BufferPool;

/// See the module.
#[derive(Debug)]
pub struct FrameSubscriber {
    hello: FrameHello,
    receiver: FrameReceiver,
    /// Bytes of the memory that was prepared last.
    asked_bytes: usize,
    columns: Option<(FrameColumns, SchemaRef)>,
    messages: VecDeque<ReceivedFrame>,
    /// Number of the last frame given out, once there was one.
    sequence: Option<u64>,
    has_ended: bool,
    /// The last frame that was acknowledged.
    acknowledged: u64,
}

impl FrameSubscriber {
    /// A subscriber with this name.
    pub fn new(name: &str) -> FrameSubscriber {
        let (role, schema) = (FrameRole::Subscriber, Arc::new(Schema::empty()));
        let hello = FrameHello { role, name: name.to_owned(), session: 0, heartbeat_ms: 0, schema };
        FrameSubscriber {
            hello,
            receiver: FrameReceiver::new(FRAME_PAYLOAD_BYTES_MAX),
            asked_bytes: 0,
            columns: None,
            messages: VecDeque::new(),
            sequence: None,
            has_ended: false,
            acknowledged: 0,
        }
    }

    /// Appends hello, with which a connection begins.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        self.hello.write(out);
    }

    /// Memory to append what comes next to, and how many bytes at most. `None` while the pool has no
    /// buffer: rows that were given out hold theirs.
    pub fn prepare(&mut self, pool: &mut BufferPool) -> Option<(Vec<u8>, usize)> {
        let (memory, bytes_max) = self.receiver.prepare(pool)?;
        self.asked_bytes = bytes_max;
        Some((memory, bytes_max))
    }

    /// Takes the memory with `count` bytes more.
    ///
    /// # Errors
    /// What is wrong with them: the connection is over.
    pub fn filled(&mut self, memory: Vec<u8>, count: usize) -> Result<(), FrameRefusal> {
        let is_drained = count < self.asked_bytes;
        Ok(self.receiver.filled(memory, is_drained, &mut self.messages)?)
    }

    /// The sink's columns, once its hello has come.
    ///
    /// # Errors
    /// What came instead: the connection is over.
    pub fn schema(&mut self) -> Result<Option<&SchemaRef>, FrameRefusal> {
        if self.columns.is_none()
            && let Some(message) = self.messages.pop_front()
        {
            match message.header.kind {
                FrameKind::Hello => self.meet(&message.payload)?,
                FrameKind::Error => return Err(refused(&message.payload)),
                kind => {
                    return Err(ProtocolFault::Unexpected { kind, place: "before hello" }.into());
                }
            }
        }
        Ok(self.columns.as_ref().map(|(_, schema)| schema))
    }

    /// The next rows of what has come; `None` when more must come first, or nothing will.
    ///
    /// # Errors
    /// The sink's error, or what is wrong with what it sent: the connection is over.
    pub fn take(&mut self) -> Result<Option<RecordBatch>, FrameRefusal> {
        while self.schema()?.is_some()
            && let Some(message) = self.messages.pop_front()
        {
            let (kind, sequence) = (message.header.kind, message.header.sequence);
            match (kind, &self.columns) {
                (FrameKind::Error, _) => return Err(refused(&message.payload)),
                (FrameKind::Data, Some((columns, _))) if !self.has_ended => {
                    let expected = self.sequence.map_or(sequence, |last| last + 1);
                    if sequence != expected {
                        return Err(ProtocolFault::Sequence { found: sequence, expected }.into());
                    }
                    let read = columns.read(&message.payload.into())?;
                    self.sequence = Some(sequence);
                    return Ok(Some(read.rows));
                }
                (FrameKind::End, Some(_)) => self.has_ended = true,
                (FrameKind::EndOfEpoch | FrameKind::Heartbeat, Some(_)) => {}
                _ => {
                    let place = "behind a sink's hello";
                    return Err(ProtocolFault::Unexpected { kind, place }.into());
                }
            }
        }
        Ok(None)
    }

    /// True when the sink has said that nothing more will come.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Number of the last frame given out; 0 before the first.
    pub fn sequence(&self) -> u64 {
        self.sequence.unwrap_or(0)
    }

    /// Appends an acknowledgement of every frame given out; false when that is no news.
    pub fn acknowledge(&mut self, out: &mut Vec<u8>) -> bool {
        let sequence = self.sequence();
        if sequence == self.acknowledged {
            return false;
        }
        self.acknowledged = sequence;
        write_ack(Ack { sequence, durable: 0, credit_bytes: 0 }, out);
        true
    }

    fn meet(&mut self, payload: &[u8]) -> Result<(), FrameRefusal> {
        let hello = FrameHello::parse(payload)?;
        if hello.role != FrameRole::Sink {
            let reason = "is not that of a sink".to_owned();
            return Err(ProtocolFault::Hello { reason }.into());
        }
        let all: Vec<usize> = (0..hello.schema.fields().len()).collect();
        let columns = FrameColumns::new(&hello.schema, &hello.schema, &all)?;
        self.columns = Some((columns, hello.schema));
        Ok(())
    }
}

fn refused(payload: &[u8]) -> FrameRefusal {
    let (code, text) = error_text(payload);
    FrameRefusal::Refused { code, text }
}
