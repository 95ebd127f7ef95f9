//! Subscribers over crashes of either side: played on a simulated network, over a journal on a simulated disk.
//!
//! A job numbers its rows from 0. After a crash it goes on behind those of the newest epoch that exists.

mod crashes;
mod lines;

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;

use super::*;
use crate::format::{
    Delivery, FrameEncoder, FrameKind, FrameStream, FrameSubscriber, OutputPosition,
    SubscriberOptions, error_text,
};
use crate::limits::{FRAME_BUFFER_BYTES, FRAME_BUFFERS_MAX, FRAME_LARGE_BYTES_MAX};
use crate::reactor::{Clock, Disk, ManualClock};
use crate::record::{BufferPool, PoolLimits};
use crate::sim::{OutputRun, SimCore, SimDisk, SimNetwork, SimPeer};
use crate::sink::tcp::OnFull;

const POOL_LIMITS: PoolLimits = PoolLimits {
    buffer_bytes: FRAME_BUFFER_BYTES,
    small_buffers_max: FRAME_BUFFERS_MAX,
    large_bytes_max: FRAME_LARGE_BYTES_MAX,
};

struct SimIo<'a> {
    clock: &'a ManualClock,
    network: &'a mut SimNetwork,
    disk: &'a mut SimCore,
}

impl Io for SimIo<'_> {
    fn clock(&self) -> &dyn Clock {
        self.clock
    }
    fn network(&mut self) -> &mut dyn Network {
        self.network
    }
    fn disk(&mut self) -> &mut dyn Disk {
        self.disk
    }
}

fn batch(numbers: std::ops::Range<i64>) -> Batch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
    Batch::new(RecordBatch::try_from_iter([("number", column)]).unwrap(), 0)
}

/// What differs between the sinks of tests.
#[derive(Clone)]
struct Setup {
    frames: bool,
    keeping: Keeping,
    slow_subscriber: SlowSubscriber,
    /// Nearly everything is read back from the journal.
    remembers_little: bool,
}

impl Setup {
    fn new() -> Setup {
        Setup {
            frames: true,
            keeping: Keeping {
                bytes_max: 1 << 20,
                age_ms_max: None,
                on_full: OnFull::Block,
                wait_for: vec![],
            },
            slow_subscriber: SlowSubscriber::Disconnect,
            remembers_little: false,
        }
    }

    fn waiting_for(names: &[&str]) -> Setup {
        let mut setup = Setup::new();
        setup.keeping.wait_for = names.iter().map(|name| (*name).into()).collect();
        setup
    }
}

/// A job with a sink, run after run.
struct Bench {
    setup: Setup,
    disk: SimDisk,
    number: u32,
    run: OutputRun,
    network: SimNetwork,
    clock: ManualClock,
    sink: HeldTcpSink,
    notices: Vec<String>,
    /// The next row, …
    next: i64,
    /// … behind the rows of the epoch that ended last, and of all that exist.
    ended: i64,
    committed: i64,
    is_ended: bool,
}

impl Bench {
    fn new(setup: Setup, seed: u64) -> Bench {
        let disk = SimDisk::new(seed);
        let run = OutputRun::begin(&disk, 1, 1);
        let sink = sink(&setup, &run, None);
        let mut bench = Bench {
            setup,
            disk,
            number: 1,
            run,
            network: SimNetwork::default(),
            clock: ManualClock::default(),
            sink,
            notices: vec![],
            next: 0,
            ended: 0,
            committed: 0,
            is_ended: false,
        };
        bench.turn();
        bench
    }

    fn act<T>(&mut self, act: impl FnOnce(&mut HeldTcpSink, &mut SimIo<'_>) -> T) -> T {
        let Bench { sink, clock, network, run, .. } = self;
        act(sink, &mut SimIo { clock, network, disk: &mut run.core })
    }

    /// The sink's and everybody else's next turn.
    fn turn(&mut self) {
        self.run.turn();
        self.act(|sink, io| sink.poll(io));
        self.notices.extend(self.sink.take_notice());
        let failure = self.sink.take_failure();
        assert!(failure.is_none(), "{failure:?}");
    }

    fn turns(&mut self, count: u32) {
        (0..count).for_each(|_| self.turn());
    }

    /// Writes the next rows, if the sink takes them.
    fn write(&mut self, count: i64) -> bool {
        if self.sink.is_full() {
            return false;
        }
        let batch = batch(self.next..self.next + count);
        self.next += count;
        self.act(|sink, io| sink.write(&batch, io));
        true
    }

    /// Ends the epoch and makes its parts durable, once nothing holds it.
    fn end_epoch(&mut self) {
        assert!(!self.is_ended, "the one before exists by now");
        let epoch = self.run.epoch;
        self.act(|sink, io| sink.end_epoch(epoch, io));
        for _ in 0..1_000 {
            // Positions as the manifest has them: the count of rows, and the sink's.
            let mut positions = self.next.to_le_bytes().to_vec();
            positions.extend(self.sink.position().unwrap());
            if self.run.end_epoch(&positions) {
                (self.ended, self.is_ended) = (self.next, true);
                return;
            }
            self.turn();
        }
        panic!("it is held for ever");
    }

    /// The epoch that ended exists; the sink is not told yet.
    fn commit_unheard(&mut self) -> Epoch {
        (self.committed, self.is_ended) = (self.ended, false);
        self.run.commit()
    }

    fn commit(&mut self) {
        let epoch = self.commit_unheard();
        self.act(|sink, io| sink.commit(epoch, io));
    }

    /// Writes, ends and commits an epoch of so many rows in batches of ten.
    fn epoch(&mut self, rows: i64) {
        for _ in 0..rows / 10 {
            assert!(self.write(10));
        }
        self.end_epoch();
        self.commit();
    }

    /// The process ends, or the power goes, and it is started again.
    fn crash(&mut self, power: bool) {
        self.crash_into(self.setup.clone(), power);
    }

    /// The same, and the job has another configuration.
    fn crash_into(&mut self, setup: Setup, power: bool) {
        if power {
            self.disk.cut_power()
        } else {
            self.disk.kill()
        }
        self.setup = setup;
        self.number += 1;
        self.run = OutputRun::begin(&self.disk, self.number, 1);
        let found = self.run.found();
        let (rows, position) = match &found {
            Some(found) => {
                (found[..8].try_into().map(i64::from_le_bytes).unwrap(), Some(&found[8..]))
            }
            None => (0, None),
        };
        assert!(rows == self.committed || self.is_ended && rows == self.ended);
        (self.next, self.committed, self.is_ended) = (rows, rows, false);
        self.network = SimNetwork::default();
        self.sink = sink(&self.setup, &self.run, position);
        self.turn();
    }

    /// Until a connection that was made has been let in.
    fn connect(&mut self) -> SimPeer {
        let peer = self.network.connect().expect("the sink listens");
        self.turns(2);
        peer
    }

    #[track_caller]
    fn check(&self, rows_in: u64, rows_out: u64, rows_discarded: u64, rows_kept: u64) {
        let it = self.sink.counters();
        let counted = (it.rows_in, it.rows_out, it.rows_discarded, it.rows_kept);
        assert_eq!(counted, (rows_in, rows_out, rows_discarded, rows_kept));
    }
}

fn sink(setup: &Setup, run: &OutputRun, found: Option<&[u8]>) -> HeldTcpSink {
    let tcp = TcpSinkOptions {
        name: "k".into(),
        endpoint: TcpEndpoint::Listen("10.0.0.2:9100".parse().unwrap()),
        slow_subscriber: setup.slow_subscriber,
        connections_max: 3,
        frames: setup.frames,
        epochs: None,
    };
    let journal = OutputJournal {
        journal: Rc::clone(&run.side) as _,
        user: 0,
        directory: OutputRun::directory(),
    };
    let epochs = OutputEpochs { first: run.epoch, output: 99 };
    let options = HeldOptions { tcp, epochs, keeping: setup.keeping.clone(), journal };
    let encoder: Box<dyn Encoder> = match setup.frames {
        true => Box::new(FrameEncoder::new("k", &batch(0..0).rows.schema()).of_output(99)),
        false => Box::new(lines::Numbers),
    };
    let mut sink = HeldTcpSink::new(options, encoder, found).unwrap();
    if setup.remembers_little {
        sink.output.remember_little();
    }
    sink
}

/// Bytes of every frame that was ever sent, by epoch and number.
type Frames = HashMap<(u64, u64), Vec<u8>>;

/// A subscriber that keeps what it has got with the position behind it.
struct Subscriber {
    name: String,
    session: u64,
    /// Kept, over its own crashes.
    position: OutputPosition,
    rows: Vec<i64>,
    lost: u64,
    /// Rows that were lost before one of those it keeps.
    lost_before: Vec<(usize, u64)>,
    connection: Option<Connection>,
    /// What it was told when its connection ended.
    error: Option<String>,
}

struct Connection {
    peer: SimPeer,
    protocol: FrameSubscriber,
    pool: BufferPool,
    stream: FrameStream,
    /// Got, and not kept.
    pending: Vec<i64>,
}

impl Subscriber {
    fn new(name: &str, session: u64) -> Subscriber {
        Subscriber {
            name: name.into(),
            session,
            position: OutputPosition::default(),
            rows: vec![],
            lost: 0,
            lost_before: vec![],
            connection: None,
            error: None,
        }
    }

    fn connect(&mut self, bench: &mut Bench) {
        let peer = bench.connect();
        let (name, session, after) = (self.name.clone(), self.session, self.position.clone());
        let mut protocol = FrameSubscriber::resuming(SubscriberOptions { name, session, after });
        let mut hello = Vec::new();
        protocol.begin(&mut hello);
        peer.send(&hello);
        bench.turns(2);
        let (pool, stream) = (BufferPool::new(POOL_LIMITS), FrameStream::new(1 << 20));
        self.connection = Some(Connection { peer, protocol, pool, stream, pending: vec![] });
        self.error = None;
    }

    /// Its process ends: what it has got and not kept is lost.
    fn crash(&mut self) {
        if let Some(connection) = self.connection.take() {
            connection.peer.close();
        }
    }

    /// Takes up to `count` bytes; keeps what it has when an epoch ends, and acknowledges that if it is to.
    fn take(&mut self, count: usize, acknowledges: bool, frames: &mut Frames) {
        let Some(connection) = &mut self.connection else { return };
        let bytes = connection.peer.receive(count);
        connection.stream.feed(&bytes);
        while let Some(message) = connection.stream.take().unwrap() {
            if message.header.kind == FrameKind::Data {
                let id = (message.header.epoch, message.header.sequence);
                let known = frames.entry(id).or_insert_with(|| message.payload.clone());
                assert!(*known == message.payload, "frame {id:?} has changed");
            }
            if message.header.kind == FrameKind::Error {
                self.error = Some(error_text(&message.payload).1);
            }
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() && self.error.is_none() {
            let (mut memory, bytes_max) =
                connection.protocol.prepare(&mut connection.pool).unwrap();
            let (now, later) = rest.split_at(rest.len().min(bytes_max));
            memory.extend_from_slice(now);
            rest = later;
            connection.protocol.filled(memory, now.len()).unwrap();
            while let Some(delivery) = connection.protocol.take_delivery().unwrap() {
                match delivery {
                    Delivery::Rows(rows) => {
                        let numbers = rows.column(0).as_primitive::<Int64Type>();
                        connection.pending.extend(numbers.values());
                    }
                    Delivery::EndOfEpoch(_) => {
                        self.rows.append(&mut connection.pending);
                        self.position = connection.protocol.position();
                    }
                    Delivery::Gap { rows } => {
                        self.lost += rows;
                        self.lost_before.push((self.rows.len() + connection.pending.len(), rows));
                    }
                }
            }
        }
        let mut ack = Vec::new();
        // Of what it keeps, and not of what it has got.
        if acknowledges
            && connection.pending.is_empty()
            && connection.protocol.acknowledge(&mut ack)
        {
            connection.peer.send(&ack);
        }
        if connection.peer.has_ended() && connection.peer.receive(0).is_empty() {
            self.connection = None;
        }
    }

    /// Takes everything there is.
    fn take_all(&mut self, bench: &mut Bench, frames: &mut Frames) {
        // To read a segment back takes some ten turns of this disk.
        for _ in 0..1_000 {
            bench.turn();
            self.take(usize::MAX, true, frames);
        }
    }

    #[track_caller]
    fn check(&self, numbers: std::ops::Range<i64>) {
        let expected: Vec<i64> = numbers.collect();
        assert!(self.rows == expected, "{} rows of {}", self.rows.len(), expected.len());
    }
}

#[test]
fn nothing_leaves_before_its_epoch_exists_and_then_its_end_follows() {
    let (mut bench, mut frames) = (Bench::new(Setup::new(), 1), Frames::new());
    let mut all = [("s", 0), ("t", 1)].map(|(name, session)| Subscriber::new(name, session));
    all.iter_mut().for_each(|it| it.connect(&mut bench));
    (0..3).for_each(|_| assert!(bench.write(10)));
    all.iter_mut().for_each(|it| it.take_all(&mut bench, &mut frames));
    assert!(frames.is_empty());
    bench.end_epoch();
    assert!(bench.write(10));
    all.iter_mut().for_each(|it| it.take_all(&mut bench, &mut frames));
    assert!(frames.is_empty());
    bench.commit();
    all.iter_mut().for_each(|it| it.take_all(&mut bench, &mut frames));
    all.iter().for_each(|it| it.check(0..30));
    assert_eq!(frames.len(), 3);
    bench.check(40, 30, 0, 0);
    bench.end_epoch();
    bench.commit();
    all.iter_mut().for_each(|it| it.take_all(&mut bench, &mut frames));
    all.iter().for_each(|it| it.check(0..40));
    // A frame is numbered in its epoch.
    let mut numbers: Vec<_> = frames.into_keys().collect();
    numbers.sort_unstable();
    let first = numbers[0].0;
    assert_eq!(numbers, [(first, 1), (first, 2), (first, 3), (first + 1, 1)]);
}

#[test]
fn rows_that_nobody_is_to_have_are_discarded_with_their_epoch() {
    let mut bench = Bench::new(Setup::new(), 2);
    assert!(bench.write(10));
    bench.check(10, 0, 0, 0);
    bench.end_epoch();
    bench.commit();
    bench.check(10, 0, 10, 0);
    let mut late = Subscriber::new("s", 0);
    late.connect(&mut bench);
    bench.epoch(20);
    let mut frames = Frames::new();
    late.take_all(&mut bench, &mut frames);
    late.check(10..30);
    // One without a session that goes has missed what it has not taken.
    bench.epoch(10);
    late.crash();
    bench.turns(3);
    bench.epoch(10);
    bench.check(50, 20, 30, 0);
    assert!(bench.notices.iter().any(|it| it.contains("missed 10 rows: closed by the peer")));
}

#[test]
fn who_has_a_session_goes_on_behind_what_it_acknowledged() {
    for remembers_little in [false, true] {
        let mut bench = Bench::new(Setup { remembers_little, ..Setup::new() }, 3);
        let (mut one, mut frames) = (Subscriber::new("s", 1), Frames::new());
        one.connect(&mut bench);
        bench.epoch(200);
        bench.turns(100);
        one.take(usize::MAX, false, &mut frames);
        one.check(0..200);
        one.crash();
        // What it had not acknowledged comes again, and is not taken twice.
        bench.epoch(300);
        bench.check(500, 200, 0, 300);
        one.connect(&mut bench);
        one.take_all(&mut bench, &mut frames);
        one.check(0..500);
        bench.check(500, 500, 0, 0);
        one.crash();
        bench.epoch(50);
        // It has lost what it had kept: there is nothing more than that.
        (one.rows, one.position) = (vec![], OutputPosition::default());
        one.connect(&mut bench);
        one.take_all(&mut bench, &mut frames);
        one.check(500..550);
    }
}

#[test]
fn a_later_session_takes_over_and_an_earlier_one_is_refused() {
    let (mut bench, mut frames) = (Bench::new(Setup::new(), 4), Frames::new());
    let mut old = Subscriber::new("s", 1);
    old.connect(&mut bench);
    bench.epoch(100);
    let mut new = Subscriber::new("s", 2);
    new.connect(&mut bench);
    new.take_all(&mut bench, &mut frames);
    new.check(0..100);
    old.take_all(&mut bench, &mut frames);
    assert!(old.connection.is_none(), "it was cut in the middle of what it was sent");
    old.connect(&mut bench);
    old.take_all(&mut bench, &mut frames);
    assert_eq!(old.error.as_deref(), Some("a later session of \"s\" has taken over"));
    bench.epoch(10);
    new.take_all(&mut bench, &mut frames);
    new.check(0..110);
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_ends_the_connection() {
    let (mut bench, mut frames) = (Bench::new(Setup::new(), 5), Frames::new());
    let mut one = Subscriber::new("s", 1);
    one.connect(&mut bench);
    bench.epoch(10);
    let connection = one.connection.as_ref().unwrap();
    let mut ack = Vec::new();
    let frame = crate::format::FramePosition { epoch: u64::MAX, sequence: 1 };
    crate::format::write_frame_ack(LanePosition { lane: 0, frame }, &mut ack);
    connection.peer.send(&ack);
    bench.turns(2);
    assert!(one.connection.as_ref().unwrap().peer.has_ended());
    one.crash();
    one.connect(&mut bench);
    one.take_all(&mut bench, &mut frames);
    one.check(0..10);
}

#[test]
fn the_job_waits_for_who_is_away_too_long_or_tells_of_the_gap() {
    let mut setup = Setup::waiting_for(&["s"]);
    setup.keeping.bytes_max = 20_000;
    let mut first_bench = Bench::new(setup.clone(), 6);
    let mut epochs = 0;
    while !first_bench.sink.is_full() {
        first_bench.epoch(100);
        epochs += 1;
    }
    assert!((5..20).contains(&epochs), "{epochs}");
    let why = first_bench.sink.blocked_by().unwrap();
    assert!(
        why.starts_with("subscriber \"s\" is away; 2") && why.ends_with("kept for it"),
        "{why}"
    );
    let (mut waited_for, mut all_frames) = (Subscriber::new("s", 0), Frames::new());
    waited_for.connect(&mut first_bench);
    waited_for.take_all(&mut first_bench, &mut all_frames);
    waited_for.check(0..epochs * 100);
    assert!(!first_bench.sink.is_full());

    setup.keeping.on_full = OnFull::Drop;
    for crashes in [false, true] {
        let (mut bench, mut frames) = (Bench::new(setup.clone(), 7), Frames::new());
        (0..30).for_each(|_| bench.epoch(100));
        assert!(!bench.sink.is_full());
        if crashes {
            bench.crash(true);
        }
        let mut one = Subscriber::new("s", 0);
        one.connect(&mut bench);
        one.take_all(&mut bench, &mut frames);
        let first = one.rows[0];
        assert_eq!((one.lost, one.lost_before[0].0), (first.unsigned_abs(), 0));
        one.check(first..3_000);
        assert!(first > 1_000 && first < 2_950, "{first}");
        if !crashes {
            bench.check(3_000, 3_000 - first.unsigned_abs(), first.unsigned_abs(), 0);
            assert!(bench.notices.last().unwrap().ends_with("are kept no longer"));
        }
        // One that is there and takes nothing is told in the midst.
        one.take_all(&mut bench, &mut frames);
        (0..40).for_each(|_| bench.epoch(100));
        one.take_all(&mut bench, &mut frames);
        assert_eq!(one.rows.len() as u64 + one.lost, 7_000);
        assert_eq!(one.rows.last(), Some(&6_999));
    }
}

#[test]
fn who_comes_without_a_session_and_is_slow_is_cut_or_waited_for() {
    let mut setup = Setup::new();
    setup.keeping.bytes_max = 20_000;
    let mut bench = Bench::new(setup.clone(), 8);
    let (mut slow, mut fast) = (Subscriber::new("a", 0), Subscriber::new("b", 0));
    let mut frames = Frames::new();
    slow.connect(&mut bench);
    fast.connect(&mut bench);
    for _ in 0..30 {
        bench.epoch(100);
        bench.turn();
        fast.take(usize::MAX, true, &mut frames);
    }
    fast.take_all(&mut bench, &mut frames);
    fast.check(0..3_000);
    bench.check(3_000, 3_000, 0, 0);
    assert!(bench.notices.last().unwrap().ends_with("it was too slow"), "{:?}", bench.notices);

    setup.slow_subscriber = SlowSubscriber::Backpressure;
    (bench, frames) = (Bench::new(setup, 9), Frames::new());
    slow = Subscriber::new("a", 0);
    slow.connect(&mut bench);
    let mut rows = 0;
    while !bench.sink.is_full() {
        bench.epoch(100);
        rows += 100;
    }
    assert!(bench.sink.blocked_by().unwrap().ends_with("bytes to take"));
    slow.take_all(&mut bench, &mut frames);
    slow.check(0..rows);
    assert!(!bench.sink.is_full());
}

#[test]
fn the_end_comes_when_everybody_has_everything() {
    let (mut bench, mut frames) = (Bench::new(Setup::waiting_for(&["w"]), 10), Frames::new());
    let mut passing = Subscriber::new("s", 0);
    passing.connect(&mut bench);
    bench.epoch(50);
    assert!(bench.write(10));
    assert!(!bench.act(|sink, io| sink.finish(io)), "an epoch is open");
    bench.end_epoch();
    bench.commit();
    passing.take_all(&mut bench, &mut frames);
    for _ in 0..20 {
        assert!(!bench.act(|sink, io| sink.finish(io)), "\"w\" has nothing yet");
        passing.take(usize::MAX, true, &mut frames);
    }
    passing.check(0..60);
    assert!(passing.connection.is_none());
    let mut waited_for = Subscriber::new("w", 3);
    waited_for.connect(&mut bench);
    let mut is_over = false;
    for _ in 0..50 {
        is_over |= bench.act(|sink, io| sink.finish(io));
        waited_for.take(usize::MAX, true, &mut frames);
    }
    waited_for.check(0..60);
    assert!(is_over && waited_for.connection.is_none());
    bench.check(60, 60, 0, 0);
}

#[test]
fn a_stop_waits_for_nobody_who_is_away() {
    let mut bench = Bench::new(Setup::waiting_for(&["w"]), 11);
    bench.epoch(50);
    assert!(!bench.act(|sink, io| sink.finish(io)));
    bench.act(|sink, io| sink.stop(io));
    assert!(bench.act(|sink, io| sink.finish(io)));
    bench.check(50, 0, 0, 50);
    // The next run has it.
    bench.crash(false);
    let (mut one, mut frames) = (Subscriber::new("w", 1), Frames::new());
    one.connect(&mut bench);
    one.take_all(&mut bench, &mut frames);
    one.check(0..50);
    bench.check(0, 0, 0, 0);
}
