//! Serving: what one connection is given of the output, and how all of them come to their end.

use std::net::SocketAddr;
use std::sync::Arc;

use super::super::flow::Flow;
use super::{HeldTcpSink, LINES, Phase};
use crate::format::{FramePosition, LanePosition, write_end_of_epoch, write_gap};
use crate::limits::SINK_WINDOW_BYTES;
use crate::reactor::{ConnectionId, Io, Network};
use crate::sink::output::{Next, Output, Place};
use crate::sink::tcp::{FINISH_NS_MAX, SlowSubscriber};
use crate::stdx::Failure;

/// Frames have one lane: all rows of a TCP sink are on one core.
const LANE: u32 = 0;

/// One subscriber that is served.
pub(super) struct Served {
    pub(super) peer: SocketAddr,
    /// The subscription that it has, if it has one.
    pub(super) name: Option<Arc<str>>,
    /// Behind what it has been given.
    pub(super) place: Place,
    /// Behind what its kernel has taken.
    pub(super) taken: Place,
    pub(super) unsent_bytes: usize,
    /// Rows of which it is to be told that they are lost.
    pub(super) lost_rows: u64,
    /// It is being closed because it was too slow.
    pub(super) is_cut: bool,
    flow: Flow,
    /// It is given frames, and told of the ends of their epochs.
    frames: bool,
    /// The last frame of an epoch whose end it has not been told.
    open: Option<FramePosition>,
    /// It says that it has this already.
    has: FramePosition,
    /// It has got a frame in part.
    is_amid: bool,
    /// Nothing follows.
    has_end: bool,
    is_closing: bool,
}

/// Whether something was given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fed {
    Some,
    Nothing,
}

impl Served {
    pub(super) fn new(
        peer: SocketAddr,
        name: Option<Arc<str>>,
        after: Place,
        frames: bool,
    ) -> Served {
        Served {
            peer,
            name,
            place: after,
            taken: after,
            unsent_bytes: 0,
            lost_rows: 0,
            is_cut: false,
            flow: Flow::default(),
            frames,
            open: None,
            has: after.frame,
            is_amid: false,
            has_end: false,
            is_closing: false,
        }
    }

    /// As messages name it.
    pub(super) fn who(&self) -> String {
        match &self.name {
            Some(name) => format!("\"{name}\" ({})", self.peer),
            None => self.peer.to_string(),
        }
    }

    /// Gives it bytes that are no rows.
    pub(super) fn give(
        &mut self,
        connection: ConnectionId,
        bytes: &[u8],
        network: &mut dyn Network,
    ) {
        if !bytes.is_empty() && network.send(connection, bytes) {
            self.flow.give(bytes.len());
            self.unsent_bytes += bytes.len();
        }
    }

    /// Says that rows before its place are lost, if some are.
    pub(super) fn tell_of_gap(&mut self, connection: ConnectionId, network: &mut dyn Network) {
        let rows = std::mem::take(&mut self.lost_rows);
        if rows > 0 {
            let mut message = Vec::new();
            write_gap(LanePosition { lane: LANE, frame: self.place.frame }, rows, &mut message);
            self.give(connection, &message, network);
        }
    }

    /// What lies before `place` is kept for it no longer: it goes on there, unless it has come further.
    pub(super) fn jump(
        &mut self,
        connection: ConnectionId,
        place: Place,
        network: &mut dyn Network,
    ) {
        // A frame that has begun is given to its end: it is in the journal until the next epoch exists.
        if self.place.at < place.at && !self.is_amid {
            self.lost_rows += place.rows - self.place.rows;
            (self.place, self.open) = (place, None);
            self.tell_of_gap(connection, network);
        }
    }

    /// Gives it what comes next, as far as it keeps up.
    pub(super) fn feed(
        &mut self,
        connection: ConnectionId,
        output: &mut Output,
        io: &mut dyn Io,
    ) -> Result<Fed, Failure> {
        let mut fed = Fed::Nothing;
        while !self.has_end && !self.is_cut {
            if self.unsent_bytes >= SINK_WINDOW_BYTES {
                output.let_go(connection.0, io.disk());
                break;
            }
            if !self.is_amid {
                self.place.frame = self.place.frame.max(self.has);
            }
            match output.next_piece(connection.0, &mut self.place, io.disk())? {
                Next::Piece { bytes, is_whole, epoch, row } => {
                    fed = Fed::Some;
                    if self.open.is_some_and(|open| open.epoch < epoch) {
                        self.end_epoch(connection, io.network());
                    }
                    self.give(connection, bytes, io.network());
                    self.is_amid = !is_whole;
                    if is_whole {
                        self.give_whole(row);
                    }
                }
                Next::Waits => break,
                Next::End => {
                    self.end_epoch(connection, io.network());
                    break;
                }
            }
        }
        Ok(fed)
    }

    /// A frame, or lines, whose first row is `row`, have been given to their end.
    fn give_whole(&mut self, row: u64) {
        self.flow.give_whole(row, self.place);
        if self.name.is_some() {
            self.flow.expect(self.place);
        }
        if self.frames {
            self.open = Some(self.place.frame);
        }
    }

    /// Says that the epoch of the frames it was given last has ended, if it has not been said.
    fn end_epoch(&mut self, connection: ConnectionId, network: &mut dyn Network) {
        if let Some(frame) = self.open.take() {
            let mut message = Vec::new();
            write_end_of_epoch(LanePosition { lane: LANE, frame }, &mut message);
            self.give(connection, &message, network);
        }
    }

    /// All but `unsent_bytes` have been taken; `tell` of the rows. How far they reach, when that is news.
    pub(super) fn look_at(
        &mut self,
        unsent_bytes: usize,
        tell: &mut dyn FnMut(u64, u64),
    ) -> Option<Place> {
        self.unsent_bytes = unsent_bytes;
        let reached = self.flow.taken(unsent_bytes, tell)?;
        self.taken = reached;
        Some(reached)
    }

    /// It has got everything up to `frame`. A place before which nothing need be sent again.
    pub(super) fn acknowledged(&mut self, frame: FramePosition) -> Option<Place> {
        self.has = self.has.max(frame);
        self.flow.acknowledged(frame)
    }

    /// Bytes that are released and that it has not taken.
    pub(super) fn behind_bytes(&self, released: Place) -> u64 {
        released.bytes.saturating_sub(self.taken.bytes)
    }

    /// It has been given everything.
    fn is_at_end(&self, released: Place) -> bool {
        self.place.at >= released.at && self.open.is_none() && !self.is_amid
    }
}

impl HeldTcpSink {
    /// Gives everybody the end, and closes whoever has got everything; true when nobody is left, nor to be
    /// waited for.
    pub(super) fn finish_all(&mut self, io: &mut dyn Io) -> bool {
        let now_ns = io.round_ns();
        if self.phase == Phase::Writing {
            self.phase = Phase::Finishing { until_ns: now_ns.saturating_add(FINISH_NS_MAX) };
        }
        let Phase::Finishing { until_ns } = self.phase else { return false };
        let is_late = until_ns <= now_ns;
        if self.served.is_empty() && !self.is_dialing() && !self.options.frames {
            self.subscriptions.forget(LINES);
        }
        let released = self.output.released();
        let waits = !self.is_stopping && !self.subscriptions.have_all(released.frame);
        let network = io.network();
        if !waits {
            self.connections.close_door(network);
        }
        let mut end = Vec::new();
        self.encoder.end(&mut end);
        let may_cut = self.options.slow_subscriber == SlowSubscriber::Disconnect;
        for (connection, served) in &mut self.served {
            if served.is_closing {
                if is_late && self.is_stopping && !std::mem::replace(&mut served.is_cut, true) {
                    network.abort(*connection);
                }
                continue;
            }
            if !served.has_end && served.is_at_end(released) {
                served.give(*connection, &end, network);
                served.has_end = true;
            }
            let subscription = served.name.as_ref().and_then(|name| self.subscriptions.get(name));
            let has_all = subscription.is_none_or(|it| it.acknowledged.frame >= released.frame);
            if served.has_end && has_all {
                served.is_closing = true;
                network.close(*connection);
            } else if is_late && (self.is_stopping || (may_cut && served.name.is_none())) {
                (served.is_closing, served.is_cut) = (true, true);
                network.abort(*connection);
            }
        }
        if waits || !self.served.is_empty() {
            return false;
        }
        self.connections.close_listener(network);
        self.settle();
        true
    }
}
