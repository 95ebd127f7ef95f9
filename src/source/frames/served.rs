//! One producer's connection: its messages accepted in order, its rows pushed piece by piece.
//!
//! Invariants
//! - A frame is accepted whole or not at all, and an accepted one is pushed whole, whatever becomes of
//!   the connection.
//! - While accepted messages wait, nothing more is received.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use arrow::array::{BinaryArray, RecordBatch, UInt64Array};

use super::producers::ProducerId;
use crate::format::{
    Decoded, FrameColumns, FrameHello, FrameKind, FrameReceiver, ProtocolFault, ReceivedFrame,
};
use crate::limits::{
    BATCH_ROWS_MAX, FRAME_CREDIT_BYTES, FRAME_MESSAGE_BYTES_PER_SECOND, FRAME_MESSAGE_NS_MAX,
    FRAME_PAYLOAD_BYTES_MAX,
};
use crate::metrics::{RejectionKind, SourceCounters};
use crate::record::Provenance;
use crate::source::{Arrival, Rejection, SourceOutput, SplitId, SplitTracker};

/// A peer that said how often it sends something is given up after so many times as long.
const HEARTBEATS_MISSED_MAX: u64 = 3;

/// See the module.
pub(super) struct Served {
    pub(super) name: Arc<str>,
    pub(super) producer: ProducerId,
    pub(super) peer: SocketAddr,
    pub(super) receiver: FrameReceiver,
    copied_counted: u64,
    pub(super) flow: Flow,
    /// Bytes of memory the kernel has for the next receive.
    pub(super) asked_bytes: usize,
    pub(super) timing: Timing,
    columns: FrameColumns,
    split: SplitId,
    origin: Arc<str>,
    keep_provenance: bool,
    queue: VecDeque<ReceivedFrame>,
    reading: Option<Reading>,
    arrival: Arrival,
    /// Rows of the connection before the next one.
    rows: u64,
    progress: Progress,
}

/// Where a connection stands.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct Flow {
    /// Another connection of the same producer is not done with, or what it sent is not confirmed.
    pub(super) waits: bool,
    /// Something has been asked of the network.
    pub(super) is_armed: bool,
    /// Stands in the queue of connections with something to push.
    pub(super) is_ready: bool,
    /// Something has come or gone that the peer is to be told.
    pub(super) owes_ack: bool,
    /// Stands in the queue of those that are told.
    pub(super) is_owed: bool,
    /// The last receive filled all it was given.
    pub(super) may_have_more: bool,
    /// A later session is there.
    pub(super) is_fenced: bool,
    /// The peer has been told that its end is known.
    pub(super) is_end_told: bool,
    /// Is to be told that the job reads no more, when everything taken from it is confirmed.
    pub(super) owes_farewell: bool,
    /// Nothing more will be accepted; leaves when everything is pushed.
    pub(super) is_over: bool,
}

/// What has come and gone, by numbers and bytes.
#[derive(Clone, Copy, Default, Debug)]
struct Progress {
    /// Number of the last frame accepted, and of the last one pushed.
    accepted: u64,
    taken: u64,
    has_end: bool,
    /// Bytes of payloads that came, that are done with, and that may be begun.
    begun_bytes: u64,
    done_bytes: u64,
    granted_bytes: u64,
}

/// When it was heard from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// It sends something so often.
    heartbeat_ns: Option<u64>,
    idle_ns_max: Option<u64>,
    last_byte_ns: u64,
    /// When the message being received began, not counting the time in which nothing was received.
    message_since_ns: Option<u64>,
    message_bytes: u64,
    /// When receiving ended, or began again.
    turned_ns: u64,
}

/// A frame being pushed.
struct Reading {
    sequence: u64,
    payload_bytes: usize,
    rows: RecordBatch,
    /// Rows pushed.
    at: usize,
    /// Number of each row in its connection.
    places: UInt64Array,
}

/// Where rows and rejections go.
pub(super) struct PushInto<'a> {
    pub(super) tracker: &'a mut SplitTracker,
    pub(super) counters: &'a mut SourceCounters,
    pub(super) out: &'a mut dyn SourceOutput,
}

/// What a connection begins with.
pub(super) struct Begin<'a> {
    pub(super) hello: &'a FrameHello,
    pub(super) peer: SocketAddr,
    pub(super) producer: ProducerId,
    pub(super) columns: FrameColumns,
    pub(super) split: SplitId,
    pub(super) origin: Arc<str>,
    pub(super) keep_provenance: bool,
    pub(super) idle_ns_max: Option<u64>,
}

impl Served {
    pub(super) fn new(begin: Begin<'_>, arrival: Arrival) -> Served {
        let heartbeat_ns = u64::from(begin.hello.heartbeat_ms) * 1_000_000;
        Served {
            name: begin.hello.name.as_str().into(),
            peer: begin.peer,
            producer: begin.producer,
            receiver: FrameReceiver::new(FRAME_PAYLOAD_BYTES_MAX),
            copied_counted: 0,
            flow: Flow::default(),
            asked_bytes: 0,
            timing: Timing {
                heartbeat_ns: (heartbeat_ns > 0).then_some(heartbeat_ns),
                idle_ns_max: begin.idle_ns_max,
                last_byte_ns: arrival.monotonic_ns,
                message_since_ns: None,
                message_bytes: 0,
                turned_ns: arrival.monotonic_ns,
            },
            columns: begin.columns,
            split: begin.split,
            origin: begin.origin,
            keep_provenance: begin.keep_provenance,
            queue: VecDeque::new(),
            reading: None,
            arrival,
            rows: 0,
            progress: Progress::default(),
        }
    }

    /// It sends from the frame behind `taken` on.
    pub(super) fn begin(&mut self, taken: u64) {
        (self.progress.accepted, self.progress.taken) = (taken, taken);
        self.flow.waits = false;
    }

    /// Memory that was prepared has come back with `count` bytes more.
    ///
    /// # Errors
    /// What is wrong with them; the messages before it are accepted.
    pub(super) fn filled(
        &mut self,
        memory: Vec<u8>,
        count: usize,
        arrival: Arrival,
        counters: &mut SourceCounters,
    ) -> Result<(), ProtocolFault> {
        self.arrival = arrival;
        let mut messages = VecDeque::new();
        self.flow.may_have_more = count == self.asked_bytes;
        let is_drained = !self.flow.may_have_more;
        let received = self.receiver.filled(memory, is_drained, &mut messages);
        counters.bytes_in += count as u64;
        self.count_copies(counters);
        let pending_bytes = self.receiver.pending_bytes();
        self.timing.came(pending_bytes, !messages.is_empty(), arrival.monotonic_ns);
        for message in messages {
            self.accept(message, counters)?;
        }
        received
    }

    /// Counts what has been copied from buffer to buffer.
    pub(super) fn count_copies(&mut self, counters: &mut SourceCounters) {
        let copied = self.receiver.bytes_copied();
        counters.bytes_copied += copied - self.copied_counted;
        self.copied_counted = copied;
    }

    fn accept(
        &mut self,
        message: ReceivedFrame,
        counters: &mut SourceCounters,
    ) -> Result<(), ProtocolFault> {
        let Progress { accepted, has_end, begun_bytes, granted_bytes, .. } = self.progress;
        let (kind, sequence) = (message.header.kind, message.header.sequence);
        match kind {
            FrameKind::Heartbeat => self.flow.owes_ack = true,
            FrameKind::Data | FrameKind::End if has_end => {
                return Err(ProtocolFault::Unexpected { kind, place: "behind end" });
            }
            FrameKind::Data => {
                counters.frames_in += 1;
                if begun_bytes >= granted_bytes {
                    let (sent, granted) = (begun_bytes, granted_bytes);
                    return Err(ProtocolFault::Credit { sent, granted });
                }
                self.progress.begun_bytes += message.payload.len() as u64;
                if sequence <= accepted {
                    // It has been taken before: from this session or an earlier one.
                    self.progress.done_bytes += message.payload.len() as u64;
                    self.flow.owes_ack = true;
                } else if sequence == accepted + 1 {
                    self.progress.accepted = sequence;
                    self.queue.push_back(message);
                } else {
                    let expected = accepted + 1;
                    return Err(ProtocolFault::Sequence { found: sequence, expected });
                }
            }
            FrameKind::End if sequence == accepted => {
                self.progress.has_end = true;
                self.flow.owes_ack = true;
            }
            FrameKind::End => {
                return Err(ProtocolFault::Sequence { found: sequence, expected: accepted });
            }
            FrameKind::Hello
            | FrameKind::Ack
            | FrameKind::Error
            | FrameKind::EndOfEpoch
            | FrameKind::Gap => {
                return Err(ProtocolFault::Unexpected { kind, place: "behind a producer's hello" });
            }
        }
        Ok(())
    }

    /// Nothing of what was accepted waits to be pushed.
    pub(super) fn is_drained(&self) -> bool {
        self.queue.is_empty() && self.reading.is_none()
    }

    /// The producer has said that nothing more will come, and everything before has been pushed.
    pub(super) fn has_ended(&self) -> bool {
        self.progress.has_end && self.is_drained()
    }

    /// Number of the last frame pushed.
    pub(super) fn taken(&self) -> u64 {
        self.progress.taken
    }

    /// A frame has been pushed in part.
    pub(super) fn is_divided(&self) -> bool {
        self.reading.is_some()
    }

    /// What its rows are part of.
    pub(super) fn split(&self) -> SplitId {
        self.split
    }

    /// Bytes of payloads that may have been begun, altogether: more than before.
    pub(super) fn grant(&mut self) -> u64 {
        self.progress.granted_bytes = self.progress.done_bytes + FRAME_CREDIT_BYTES;
        self.progress.granted_bytes
    }

    /// Pushes the next piece of what was accepted.
    ///
    /// # Errors
    /// A frame whose rows are none. Nothing of it was pushed, and what is behind it is dropped.
    pub(super) fn push(&mut self, into: &mut PushInto<'_>) -> Result<(), ProtocolFault> {
        if self.reading.is_none() {
            let Some(message) = self.queue.pop_front() else { return Ok(()) };
            if let Err(fault) = self.read(message, into) {
                self.queue.clear();
                return Err(fault);
            }
        }
        let reading = self.reading.as_mut().expect("begun just now or before");
        let rows_max = BATCH_ROWS_MAX.min(into.out.rows_max()).max(1);
        let count = rows_max.min(reading.rows.num_rows() - reading.at);
        if count > 0 {
            let provenance = self.keep_provenance.then(|| Provenance {
                origin: Arc::clone(&self.origin),
                offsets: reading.places.slice(reading.at, count),
                raw: BinaryArray::from_iter_values(std::iter::repeat_n(b"", count)),
            });
            let rows = reading.rows.slice(reading.at, count);
            let decoded = Decoded { rows, provenance, end: self.rows };
            let admitted = into.tracker.admit(self.split, decoded, self.arrival);
            for rejection in admitted.rejected {
                into.counters.rejected += 1;
                into.out.reject(rejection);
            }
            if !admitted.batch.is_empty() {
                into.counters.rows_out += admitted.batch.len() as u64;
                into.out.push(admitted.batch);
            }
            reading.at += count;
        }
        if reading.at == reading.rows.num_rows() {
            self.progress.taken = reading.sequence;
            self.progress.done_bytes += reading.payload_bytes as u64;
            self.flow.owes_ack = true;
            self.reading = None;
        }
        Ok(())
    }

    /// Begins a frame; its rows that are none of the table's are rejected.
    fn read(
        &mut self,
        message: ReceivedFrame,
        into: &mut PushInto<'_>,
    ) -> Result<(), ProtocolFault> {
        let payload_bytes = message.payload.len();
        let read = self.columns.read(&message.payload.into())?;
        let total = read.rows.num_rows() + read.rejected.len();
        let mut is_kept = vec![true; if read.rejected.is_empty() { 0 } else { total }];
        for (row, reason) in read.rejected {
            is_kept[row] = false;
            into.counters.rejected += 1;
            into.out.reject(Rejection {
                kind: RejectionKind::Decode,
                origin: Arc::clone(&self.origin),
                offset: self.rows + row as u64,
                reason,
                raw: Vec::new(),
            });
        }
        let all = self.rows..self.rows + total as u64;
        let places = match (self.keep_provenance, is_kept.is_empty()) {
            (false, _) => UInt64Array::from_iter_values([]),
            (true, true) => UInt64Array::from_iter_values(all),
            (true, false) => {
                let kept = all.zip(is_kept).filter_map(|(place, is_kept)| is_kept.then_some(place));
                UInt64Array::from_iter_values(kept)
            }
        };
        self.rows += total as u64;
        into.counters.records_in += total as u64;
        let (sequence, rows) = (message.header.sequence, read.rows);
        self.reading = Some(Reading { sequence, payload_bytes, rows, at: 0, places });
        Ok(())
    }

    /// The split is done with.
    pub(super) fn leave(self, tracker: &mut SplitTracker) {
        assert!(self.is_drained(), "a connection leaves when its rows are pushed");
        tracker.close(self.split);
    }
}

impl Timing {
    /// Bytes have come, of which so many belong to a message that is not complete.
    fn came(&mut self, pending_bytes: usize, is_new_message: bool, now_ns: u64) {
        (self.last_byte_ns, self.turned_ns) = (now_ns, now_ns);
        if pending_bytes == 0 {
            self.message_since_ns = None;
        } else if is_new_message || self.message_since_ns.is_none() {
            self.message_since_ns = Some(now_ns);
        }
        self.message_bytes = pending_bytes as u64;
    }

    /// Receiving goes on; until now the peer could not be heard.
    pub(super) fn resume(&mut self, now_ns: u64) {
        let deaf_ns = now_ns.saturating_sub(self.turned_ns);
        self.message_since_ns = self.message_since_ns.map(|since_ns| since_ns + deaf_ns);
        self.turned_ns = now_ns;
    }

    /// When patience ends if nothing comes while it is received from.
    pub(super) fn deadline_ns(&self) -> Option<u64> {
        let heard_ns = self.last_byte_ns.max(self.turned_ns);
        let silence_ns = self.heartbeat_ns.map(|ns| ns.saturating_mul(HEARTBEATS_MISSED_MAX));
        let silent = silence_ns.map(|ns| heard_ns.saturating_add(ns));
        let idle = self.idle_ns_max.map(|ns| heard_ns.saturating_add(ns));
        let seconds = self.message_bytes / FRAME_MESSAGE_BYTES_PER_SECOND;
        let allowed_ns = FRAME_MESSAGE_NS_MAX + seconds * 1_000_000_000;
        let slow = self.message_since_ns.map(|since_ns| since_ns.saturating_add(allowed_ns));
        [silent, idle, slow].into_iter().flatten().min()
    }
}
