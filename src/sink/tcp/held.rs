//! TCP sink whose rows leave with their epoch.
//!
//! Read: this file · `serving` (what one connection gets) · `subscriptions` with `marks` (by whose name output
//! is kept) · `flow` (what a connection has been given and has taken) · `tally` (which rows have left).
//!
//! In:  batches, of all cores; ends and commits of epochs; acknowledgements.
//! Out: the same frames or lines to each subscriber, once the epoch they belong to exists; to one with a
//!      session from behind what it has acknowledged on, also if that was in an earlier run.
//!
//! Invariants
//! - Nothing leaves before its epoch exists, and what leaves again is byte by byte the same.
//! - What is kept for subscribers who are behind lies in the journal, and is bounded: beyond it the job
//!   waits, or the oldest goes and whoever missed it is told.
//! - While nobody is there and output is kept for nobody, rows are discarded and counted.
//! - Every row is counted once: out, or discarded, or kept for a later run.

mod serving;
#[cfg(test)]
mod tests;

use hashbrown::HashMap;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;

use super::connections::{Connections, Happened, tell};
use super::peers::Resuming;
use super::subscriptions::{Joined, Subscriptions};
use super::tally::Tally;
use super::{Keeping, SlowSubscriber, TcpSinkOptions};
use crate::format::{Encoder, FrameHello, LanePosition, ProtocolFault, each_frame};
use crate::metrics::SinkCounters;
use crate::reactor::{ConnectionId, Io, Network, TcpEndpoint};
use crate::record::{Batch, Epoch};
use crate::sink::output::{Output, OutputJournal, Place};
use crate::sink::{OutputEpochs, Sink};
use crate::stdx::{ByteReader, ByteWriter, Failure, Malformed};
use serving::{Fed, Served};

/// Everything a held TCP sink must know beyond what every one must.
pub struct HeldOptions {
    /// Where and what.
    pub tcp: TcpSinkOptions,
    /// The run's epochs.
    pub epochs: OutputEpochs,
    /// How much is kept for subscribers who are behind.
    pub keeping: Keeping,
    /// Where.
    pub journal: OutputJournal,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Phase {
    /// Nothing is open yet.
    New,
    Writing,
    /// All epochs exist; subscribers are given what is left. Who may be given up is, at this time
    /// (monotonic ns).
    Finishing {
        until_ns: u64,
    },
    Failed,
}

/// Lines are acknowledged by nobody: what some subscriber's kernel has taken counts as got, under this name.
const LINES: &str = "";

const VERSION: u8 = 1;

/// See the module.
pub struct HeldTcpSink {
    options: TcpSinkOptions,
    /// Bytes that a subscriber without a session may be behind.
    behind_bytes_max: u64,
    encoder: Box<dyn Encoder>,
    output: Output,
    connections: Connections,
    served: HashMap<ConnectionId, Served>,
    subscriptions: Subscriptions,
    tally: Tally,
    phase: Phase,
    /// The job was asked to stop: what is kept for those who are away stays for the next run.
    is_stopping: bool,
    /// Number of the last lines written in this epoch.
    line_sequence: u64,
    /// Rows of the open epoch that nobody was there for, and of those that have ended.
    skipped: u64,
    skipped_before: VecDeque<(Epoch, u64)>,
    /// The same, of epochs that exist.
    unwritten: u64,
    /// The first row of this run.
    first_row: u64,
    /// Empty between calls; kept for their memory.
    encoded: Vec<u8>,
    looking: Vec<ConnectionId>,
    failure: Option<Failure>,
    counters: SinkCounters,
}

impl HeldTcpSink {
    /// A sink that opens what it needs at its first poll, and goes on behind what it said of itself when the
    /// epoch ended that was found.
    ///
    /// # Errors
    /// When it never said that.
    pub fn new(
        options: HeldOptions,
        mut encoder: Box<dyn Encoder>,
        found: Option<&[u8]>,
    ) -> Result<HeldTcpSink, Malformed> {
        let HeldOptions { tcp: options, epochs, keeping, journal } = options;
        encoder.begin_epoch(epochs.first);
        let behind_bytes_max = keeping.bytes_max;
        let mut subscriptions = Subscriptions::new(keeping);
        let found = found.map(|found| decode(found, &mut subscriptions)).transpose()?;
        let output = Output::new(&options.name, journal, epochs.first, found);
        let begin = output.begin();
        subscriptions.retain(|name| (name == LINES) != options.frames);
        subscriptions.wait_for_all(begin);
        if !options.frames && matches!(options.endpoint, TcpEndpoint::Connect(_)) {
            subscriptions.keep(LINES, begin);
        }
        let resuming = if options.frames { Resuming::Possible } else { Resuming::Impossible };
        Ok(HeldTcpSink {
            connections: Connections::new(options.clone(), resuming),
            behind_bytes_max,
            encoder,
            tally: Tally::new(begin.rows),
            first_row: begin.rows,
            output,
            served: HashMap::new(),
            subscriptions,
            phase: Phase::New,
            is_stopping: false,
            line_sequence: 0,
            skipped: 0,
            skipped_before: VecDeque::new(),
            unwritten: 0,
            encoded: Vec::new(),
            looking: Vec::new(),
            failure: None,
            counters: SinkCounters::default(),
            options,
        })
    }

    /// Checks what a sink said of itself, before there is one.
    ///
    /// # Errors
    /// When it never said that.
    pub fn check(found: &[u8], keeping: &Keeping) -> Result<(), Malformed> {
        decode(found, &mut Subscriptions::new(keeping.clone())).map(drop)
    }

    fn fail(&mut self, failure: Failure) {
        self.failure.get_or_insert(failure);
        self.phase = Phase::Failed;
    }

    /// Acts on what has happened next; false when nothing has.
    fn take_event(&mut self, io: &mut dyn Io) -> bool {
        let Some(happened) = self.connections.next(self.served.len(), io) else { return false };
        match happened {
            Happened::Joined { connection, peer, hello } => match hello {
                Some(hello) => self.greet(connection, peer, &hello, io.network()),
                None => self.serve_lines(connection, peer, io.network()),
            },
            Happened::Acknowledged { connection, at } => {
                self.acknowledge(connection, at, io.network());
            }
            Happened::Broke { connection, fault } => {
                if let Some(served) = self.served.get(&connection) {
                    self.connections.notice(&format!("closed {}: {fault}", served.who()));
                }
            }
            Happened::Left { connection, reason, unsent_bytes } => {
                self.look_at(connection, unsent_bytes);
                self.left(connection, &reason, io);
            }
            Happened::Nothing => {}
        }
        true
    }

    /// A subscriber of frames has said who it is.
    fn greet(
        &mut self,
        connection: ConnectionId,
        peer: SocketAddr,
        hello: &FrameHello,
        network: &mut dyn Network,
    ) {
        let begin = self.output.begin();
        let is_kept = hello.session > 0 || self.subscriptions.is_waited_for(&hello.name);
        if !is_kept {
            return self.serve(connection, self.served_from(peer, None, begin), network);
        }
        let joined = self.subscriptions.join(&hello.name, hello.session, connection, begin);
        let fault = match joined {
            Joined::Serves { after, lost_rows, displaced } => {
                let fault = ProtocolFault::Fenced { name: hello.name.clone() };
                if let Some(displaced) = displaced {
                    self.connections.refuse(displaced, fault, network);
                }
                let name = Some(hello.name.as_str().into());
                let mut served = self.served_from(peer, name, after);
                served.lost_rows = lost_rows;
                return self.serve(connection, served, network);
            }
            Joined::Fenced => ProtocolFault::Fenced { name: hello.name.clone() },
            Joined::TooMany => {
                ProtocolFault::Busy { connections_max: self.options.connections_max }
            }
        };
        self.connections.notice(&format!("closed {peer}: {fault}"));
        tell(connection, &fault, network);
    }

    fn serve_lines(
        &mut self,
        connection: ConnectionId,
        peer: SocketAddr,
        network: &mut dyn Network,
    ) {
        // Who comes first gets what an earlier run has left.
        let begin = self.output.begin();
        let kept = self.subscriptions.keep(LINES, begin);
        let after = if self.served.is_empty() { kept } else { begin };
        self.serve(connection, self.served_from(peer, None, after), network);
    }

    fn served_from(&self, peer: SocketAddr, name: Option<Arc<str>>, after: Place) -> Served {
        Served::new(peer, name, after, self.options.frames)
    }

    fn serve(&mut self, connection: ConnectionId, mut served: Served, network: &mut dyn Network) {
        self.connections.write_only(connection, network);
        let mut head = Vec::new();
        self.encoder.begin(&mut head);
        served.give(connection, &head, network);
        served.tell_of_gap(connection, network);
        self.served.insert(connection, served);
    }

    fn acknowledge(
        &mut self,
        connection: ConnectionId,
        at: LanePosition,
        network: &mut dyn Network,
    ) {
        let released = self.output.released().frame;
        let Some(served) = self.served.get_mut(&connection) else { return };
        let Some(name) = served.name.clone() else { return };
        if at.lane != 0 || at.frame > released {
            let (found, expected) = (at.frame.sequence, released.sequence);
            let fault = ProtocolFault::Sequence { found, expected };
            self.connections.notice(&format!("closed {}: {fault}", served.who()));
            self.connections.refuse(connection, fault, network);
            return;
        }
        let place = served.acknowledged(at.frame);
        self.subscriptions.acknowledge(&name, at.frame, place);
    }

    fn left(&mut self, connection: ConnectionId, reason: &str, io: &mut dyn Io) {
        self.output.let_go(connection.0, io.disk());
        let Some(served) = self.served.remove(&connection) else { return };
        if let Some(name) = &served.name {
            self.subscriptions.leave(name, connection);
            return;
        }
        let missed = self.output.released().rows.saturating_sub(served.taken.rows);
        if missed > 0 && self.options.frames {
            let (peer, cut) = (served.peer, "it was too slow");
            let reason = if served.is_cut { cut } else { reason };
            self.connections.notice(&format!("{peer} missed {missed} rows: {reason}"));
        }
        let is_dialed = self.connections.dialed().is_some();
        if !self.options.frames && !is_dialed && self.served.is_empty() {
            // As while nobody is there.
            self.subscriptions.forget(LINES);
        }
    }

    /// `unsent_bytes` of what it was given have not been taken by a subscriber's kernel.
    fn look_at(&mut self, connection: ConnectionId, unsent_bytes: usize) {
        let HeldTcpSink { served, tally, counters, subscriptions, .. } = self;
        let Some(served) = served.get_mut(&connection) else { return };
        counters.bytes_out += served.unsent_bytes.saturating_sub(unsent_bytes) as u64;
        let reached = served.look_at(unsent_bytes, &mut |from, to| tally.take(from, to));
        if let Some(place) = reached.filter(|_| !self.options.frames) {
            subscriptions.acknowledge(LINES, place.frame, Some(place));
        }
    }

    /// Looks how far each subscriber is, gives it what comes next, and cuts who is too far behind; true
    /// when something was given.
    fn serve_all(&mut self, io: &mut dyn Io) -> bool {
        let mut busy = false;
        let mut looking = std::mem::take(&mut self.looking);
        looking.extend(self.served.keys());
        for connection in looking.drain(..) {
            let unsent_bytes = io.network().unsent_bytes(connection);
            self.look_at(connection, unsent_bytes);
            let served = self.served.get_mut(&connection).expect("nobody has left meanwhile");
            match served.feed(connection, &mut self.output, io) {
                Ok(fed) => busy |= fed == Fed::Some,
                Err(failure) => self.fail(failure),
            }
        }
        self.looking = looking;
        busy
    }

    /// Those without a session who are too far behind are cut, where that is wanted.
    fn cut_the_slow(&mut self, network: &mut dyn Network) {
        if self.options.slow_subscriber != SlowSubscriber::Disconnect || self.is_dialing() {
            return;
        }
        let released = self.output.released();
        for (connection, served) in &mut self.served {
            let is_slow = served.behind_bytes(released) >= self.behind_bytes_max;
            if served.name.is_none() && is_slow && !std::mem::replace(&mut served.is_cut, true) {
                network.abort(*connection);
            }
        }
    }

    fn is_dialing(&self) -> bool {
        self.connections.dialed().is_some()
    }

    /// What nobody needs any more is let go, and rows are counted.
    fn settle(&mut self) {
        let released = self.output.released();
        let places = self.served.values().map(|served| served.place.at);
        self.output.forget_before(places.min().unwrap_or(released.at));
        let taken = self.served.values().map(|served| served.taken.rows);
        let kept = self.subscriptions.needed().map(|place| place.rows);
        self.tally.need(taken.chain(kept).min().unwrap_or(released.rows));
        let counted = self.tally.rows_out + self.tally.rows_discarded;
        self.counters.rows_out = self.tally.rows_out;
        self.counters.rows_discarded = self.tally.rows_discarded + self.unwritten;
        self.counters.rows_kept = released.rows - self.first_row - counted;
    }

    /// A subscriber of lines that an earlier run had is not waited for as long as the job has room.
    fn give_up_lines(&mut self, released: Place) {
        let nobody = self.served.is_empty() && !self.is_dialing() && !self.options.frames;
        let Some(lines) = self.subscriptions.get(LINES).filter(|_| nobody) else { return };
        if released.bytes - lines.acknowledged.bytes >= self.behind_bytes_max {
            self.subscriptions.forget(LINES);
        }
    }

    /// Where the journal must begin.
    fn needed(&self) -> Option<crate::journal::Position> {
        let places = self.served.values().map(|served| served.place.at);
        places.chain(self.subscriptions.needed().map(|place| place.at)).min()
    }
}

impl Sink for HeldTcpSink {
    fn write(&mut self, batch: &Batch, _: &mut dyn Io) {
        let rows = batch.len() as u64;
        self.counters.rows_in += rows;
        if self.served.is_empty() && self.subscriptions.is_empty() {
            self.skipped += rows;
            return;
        }
        self.encoded.clear();
        self.encoder.encode(&batch.rows, &mut self.encoded);
        if let Some(reason) = self.encoder.take_failure() {
            let message = format!("sink {}: cannot write {reason}", self.options.name);
            return self.fail(Failure::io(message));
        }
        if self.options.frames {
            let HeldTcpSink { encoded, output, .. } = self;
            each_frame(encoded, &mut |sequence, count, bytes| output.write(sequence, count, bytes));
        } else {
            self.line_sequence += 1;
            let count = u32::try_from(rows).expect("batches are short");
            self.output.write(self.line_sequence, count, &self.encoded);
        }
    }

    fn is_full(&self) -> bool {
        match self.phase {
            Phase::New | Phase::Failed => true,
            Phase::Writing | Phase::Finishing { .. } if self.output.is_full() => true,
            // What is still on its way goes into the journal.
            _ if self.is_stopping => false,
            _ => {
                let released = self.output.released();
                let is_slow = |it: &Served| {
                    it.name.is_none() && it.behind_bytes(released) >= self.behind_bytes_max
                };
                let waits = self.options.slow_subscriber == SlowSubscriber::Backpressure;
                self.subscriptions.blocking(released).is_some()
                    || (waits && self.served.values().any(is_slow))
            }
        }
    }

    fn blocked_by(&self) -> Option<String> {
        if let Some(reason) = self.output.no_space() {
            return Some(format!("there is no room for output that is kept: {reason}"));
        }
        let released = self.output.released();
        if let Some((name, bytes)) = self.subscriptions.blocking(released) {
            let is_there = self.subscriptions.get(name).is_some_and(|it| it.connection.is_some());
            return Some(match (name, self.connections.dialed()) {
                (LINES, Some(address)) => format!("{address} has {bytes} bytes to take"),
                _ if is_there => {
                    format!("subscriber \"{name}\" has not acknowledged {bytes} bytes")
                }
                _ => format!("subscriber \"{name}\" is away; {bytes} bytes are kept for it"),
            });
        }
        let behind = |served: &&Served| served.behind_bytes(released);
        let slowest = self.served.values().filter(|it| it.name.is_none()).max_by_key(behind);
        slowest.map(|served| {
            format!(
                "subscriber {} has {} bytes to take",
                served.peer,
                served.behind_bytes(released)
            )
        })
    }

    fn poll(&mut self, io: &mut dyn Io) -> bool {
        match self.phase {
            Phase::Failed => return false,
            Phase::New => match self.connections.open(io.network()) {
                Ok(()) => self.phase = Phase::Writing,
                Err(failure) => self.fail(failure),
            },
            Phase::Writing | Phase::Finishing { .. } => {}
        }
        let mut busy = self.connections.dial(io);
        while self.take_event(io) {
            busy = true;
        }
        busy |= self.output.append();
        // After the events: those that are gone have said how much they took.
        busy |= self.serve_all(io);
        self.cut_the_slow(io.network());
        self.settle();
        busy
    }

    fn end_epoch(&mut self, epoch: Epoch, _: &mut dyn Io) {
        let skipped = std::mem::take(&mut self.skipped);
        if skipped > 0 {
            self.skipped_before.push_back((epoch, skipped));
        }
        self.line_sequence = 0;
        self.encoder.begin_epoch(epoch.next());
        self.output.end_epoch(epoch, self.needed());
    }

    fn position(&self) -> Option<Vec<u8>> {
        let mut out = ByteWriter::new();
        out.u8(VERSION);
        self.output.ended().encode(&mut out);
        self.subscriptions.encode(&mut out);
        Some(out.finish())
    }

    fn commit(&mut self, epoch: Epoch, io: &mut dyn Io) {
        while let Some((_, rows)) = self.skipped_before.pop_front_if(|(ended, _)| *ended <= epoch) {
            self.unwritten += rows;
        }
        if let Some(released) = self.output.commit(epoch) {
            for lost in self.subscriptions.released(released, io.round_ms()) {
                let (name, rows) = (&lost.name, lost.rows);
                self.connections.notice(&format!(
                    "{rows} rows that subscriber \"{name}\" has not acknowledged are kept no longer"
                ));
                let connection = lost.connection;
                let served = connection.and_then(|connection| self.served.get_mut(&connection));
                if let (Some(connection), Some(served)) = (connection, served) {
                    served.jump(connection, lost.place, io.network());
                }
            }
            self.give_up_lines(released);
        }
        if self.phase != Phase::Failed {
            self.serve_all(io);
            self.settle();
        }
    }

    fn stop(&mut self, _: &mut dyn Io) {
        self.is_stopping = true;
        if let Phase::Finishing { .. } = self.phase {
            // Time counts from here.
            self.phase = Phase::Writing;
        }
    }

    fn finish(&mut self, io: &mut dyn Io) -> bool {
        self.poll(io);
        let skipped = self.skipped > 0 || !self.skipped_before.is_empty();
        if self.phase == Phase::Failed {
            return true;
        }
        !skipped && !self.output.is_undecided() && self.finish_all(io)
    }

    fn wakes_at_ns(&self) -> Option<u64> {
        let finish = match self.phase {
            Phase::Finishing { until_ns } => Some(until_ns).filter(|_| !self.served.is_empty()),
            _ => None,
        };
        [finish, self.connections.wakes_at_ns()].into_iter().flatten().min()
    }

    fn take_failure(&mut self) -> Option<Failure> {
        self.failure.take()
    }

    fn take_notice(&mut self) -> Option<String> {
        self.connections.take_notice()
    }

    fn counters(&self) -> &SinkCounters {
        &self.counters
    }
}

fn decode(found: &[u8], subscriptions: &mut Subscriptions) -> Result<Place, Malformed> {
    let mut from = ByteReader::new(found);
    if from.u8()? != VERSION {
        return Err(from.malformed("a version of positions that this program does not know"));
    }
    let place = Place::decode(&mut from)?;
    subscriptions.decode(&mut from)?;
    from.finish()?;
    Ok(place)
}
