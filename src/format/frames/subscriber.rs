//! Subscriber: its side of a connection to a sink, without I/O.
//!
//! In:  what the sink sends, in memory that was prepared for it.
//! Out: rows over that memory, ends of epochs, gaps; acknowledgements to send.
//!
//! Invariants
//! - Of every lane the frames come in their order, each once, and none is missing that no gap has told
//!   of; anything else ends the connection.
//! - Who resumes gets nothing again that lies before the position it resumes behind.

#[cfg(test)]
mod tests;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{Schema, SchemaRef};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::message::gap_rows;
use super::{
    FrameColumns, FrameHeader, FrameHello, FrameKind, FramePosition, FrameReceiver, FrameRefusal,
    FrameRole, LanePosition, OutputPosition, ProtocolFault, ReceivedFrame, error_text,
    write_frame_ack,
};
use crate::limits::FRAME_PAYLOAD_BYTES_MAX;
use crate::record::BufferPool;

/// Who subscribes, and from where on.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct SubscriberOptions {
    /// 1 to 255 bytes. Output is kept by it for who has a session.
    pub name: String,
    /// 0: rows from now on, and what comes while nobody is there is missed. Else the sink keeps what has
    /// not been acknowledged under this name, and of two connections the one with the higher session is
    /// served: count it up at every start, or take the time.
    pub session: u64,
    /// What has been got before: it does not come again.
    pub after: OutputPosition,
}

/// What a subscriber gets.
#[derive(Clone, PartialEq, Debug)]
pub enum Delivery {
    /// Rows of one frame.
    Rows(RecordBatch),
    /// The epoch exists. All of its rows have come, and they will not come in another one. Rows of an
    /// epoch that never ends were those of a run that crashed: they come again.
    EndOfEpoch(u64),
    /// So many rows were not kept until they were acknowledged.
    Gap {
        /// How many.
        rows: u64,
    },
}

/// How far it is in one lane.
#[derive(Clone, Copy, Default, Debug)]
struct Lane {
    /// The last frame given out, or of which it is known that it has been before.
    given: FramePosition,
    acknowledged: FramePosition,
    /// The last epoch whose end was given out.
    ended: u64,
}

/// See the module.
#[derive(Debug)]
pub struct FrameSubscriber {
    hello: FrameHello,
    after: OutputPosition,
    receiver: FrameReceiver,
    /// Bytes of the memory that was prepared last.
    asked_bytes: usize,
    columns: Option<(FrameColumns, SchemaRef)>,
    messages: VecDeque<ReceivedFrame>,
    /// Which output it is, as the sink has said.
    output: u64,
    lanes: BTreeMap<u32, Lane>,
    /// Number of the last frame given out.
    sequence: u64,
    has_ended: bool,
}

impl FrameSubscriber {
    /// A subscriber with this name, to rows from now on.
    pub fn new(name: &str) -> FrameSubscriber {
        FrameSubscriber::resuming(SubscriberOptions { name: name.into(), ..Default::default() })
    }

    /// A subscriber that goes on where it was.
    pub fn resuming(options: SubscriberOptions) -> FrameSubscriber {
        let SubscriberOptions { name, session, after } = options;
        let (role, schema) = (FrameRole::Subscriber, Arc::new(Schema::empty()));
        FrameSubscriber {
            hello: FrameHello { role, name, session, heartbeat_ms: 0, schema },
            after,
            receiver: FrameReceiver::new(FRAME_PAYLOAD_BYTES_MAX),
            asked_bytes: 0,
            columns: None,
            messages: VecDeque::new(),
            output: 0,
            lanes: BTreeMap::new(),
            sequence: 0,
            has_ended: false,
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

    /// The next rows of what has come, whatever stands between them; `None` when more must come first, or
    /// nothing will.
    ///
    /// # Errors
    /// The sink's error, or what is wrong with what it sent: the connection is over.
    pub fn take(&mut self) -> Result<Option<RecordBatch>, FrameRefusal> {
        loop {
            match self.take_delivery()? {
                Some(Delivery::Rows(rows)) => return Ok(Some(rows)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next of what has come; `None` when more must come first, or nothing will.
    ///
    /// # Errors
    /// As of [`FrameSubscriber::take`].
    pub fn take_delivery(&mut self) -> Result<Option<Delivery>, FrameRefusal> {
        while self.schema()?.is_some()
            && let Some(message) = self.messages.pop_front()
        {
            let (header, payload) = (message.header, message.payload);
            let delivery = match header.kind {
                FrameKind::Error => return Err(refused(&payload)),
                FrameKind::Heartbeat => None,
                FrameKind::Data if !self.has_ended => self.data(&header, payload.into())?,
                FrameKind::EndOfEpoch if !self.has_ended => self.end_of_epoch(&header)?,
                FrameKind::Gap if !self.has_ended => self.gap(&header, &payload)?,
                FrameKind::End => {
                    self.has_ended = true;
                    None
                }
                kind => {
                    let place = "behind a sink's hello";
                    return Err(ProtocolFault::Unexpected { kind, place }.into());
                }
            };
            if delivery.is_some() {
                return Ok(delivery);
            }
        }
        Ok(None)
    }

    /// True when the sink has said that nothing more will come.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Number of the last frame given out, in its epoch; 0 before the first.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// What has been given out, and what had been before: what to resume behind.
    pub fn position(&self) -> OutputPosition {
        let known = self.lanes.iter().filter(|(_, lane)| lane.given != FramePosition::default());
        let lanes = known.map(|(lane, at)| LanePosition { lane: *lane, frame: at.given });
        OutputPosition { output: self.output, lanes: lanes.collect() }
    }

    /// Appends an acknowledgement of everything given out; false when that is no news.
    pub fn acknowledge(&mut self, out: &mut Vec<u8>) -> bool {
        let before = out.len();
        for (lane, at) in &mut self.lanes {
            if at.given > at.acknowledged {
                at.acknowledged = at.given;
                write_frame_ack(LanePosition { lane: *lane, frame: at.given }, out);
            }
        }
        out.len() > before
    }

    fn data(
        &mut self,
        header: &FrameHeader,
        payload: Buffer,
    ) -> Result<Option<Delivery>, FrameRefusal> {
        let LanePosition { lane, frame } = header.position();
        let may_repeat = self.resumes();
        let lane = self.lanes.entry(lane).or_default();
        if lane.given != FramePosition::default() {
            if frame <= lane.given && may_repeat {
                return Ok(None);
            }
            let is_same = frame.epoch <= lane.given.epoch;
            let expected = if is_same { lane.given.sequence + 1 } else { 1 };
            if frame.epoch < lane.given.epoch || frame.sequence != expected {
                let found = frame.sequence;
                return Err(ProtocolFault::Sequence { found, expected }.into());
            }
        }
        let (columns, _) = self.columns.as_ref().expect("hello has come");
        let read = columns.read(&payload)?;
        lane.given = frame;
        self.sequence = frame.sequence;
        Ok(Some(Delivery::Rows(read.rows)))
    }

    fn end_of_epoch(&mut self, header: &FrameHeader) -> Result<Option<Delivery>, FrameRefusal> {
        let LanePosition { lane, frame } = header.position();
        let lane = self.lanes.entry(lane).or_default();
        let FramePosition { epoch, sequence } = lane.given;
        if epoch == frame.epoch && sequence < frame.sequence {
            let (found, expected) = (frame.sequence, sequence);
            return Err(ProtocolFault::Sequence { found, expected }.into());
        }
        if frame.epoch <= lane.ended {
            return Ok(None);
        }
        lane.given = lane.given.max(frame);
        lane.ended = frame.epoch;
        Ok(Some(Delivery::EndOfEpoch(frame.epoch)))
    }

    fn gap(
        &mut self,
        header: &FrameHeader,
        payload: &[u8],
    ) -> Result<Option<Delivery>, FrameRefusal> {
        let rows = gap_rows(payload)?;
        let LanePosition { lane, frame } = header.position();
        let lane = self.lanes.entry(lane).or_default();
        if frame <= lane.given {
            return Ok(None);
        }
        lane.given = frame;
        Ok(Some(Delivery::Gap { rows }))
    }

    /// Output is kept for it, and may come again where the sink has not got an acknowledgement.
    fn resumes(&self) -> bool {
        self.hello.session != 0
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
        self.output = hello.session;
        let after = std::mem::take(&mut self.after);
        // What another output's numbers say means nothing here.
        if after.output == self.output {
            let known = |at: &LanePosition| Lane { given: at.frame, ..Lane::default() };
            self.lanes = after.lanes.iter().map(|at| (at.lane, known(at))).collect();
        }
        Ok(())
    }
}

fn refused(payload: &[u8]) -> FrameRefusal {
    let (code, text) = error_text(payload);
    FrameRefusal::Refused { code, text }
}
