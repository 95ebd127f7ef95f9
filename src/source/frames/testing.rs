//! A machine for tests of the frame source: cores in one thread, each with a real ring, whose messages
//! are carried by hand; and a producer that speaks the protocol byte by byte.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray, Int64Array, RecordBatch, StringArray, UInt32Array};
use arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef};

use super::{Acknowledge, FrameSource, FrameSourceOptions};
use crate::format::frames::write_data;
use crate::format::{
    Ack, FrameHeader, FrameHello, FrameKind, FrameRole, FrameStream, Message, error_text,
    write_empty,
};
use crate::metrics::SourceCounters;
use crate::reactor::{Clock, CoreIo, SystemClock};
use crate::record::{Batch, Epoch, FrameWriter};
use crate::source::{Rejection, Source, SourceMessage, SourceOutput, SourceProgress};
use crate::stdx::CoreId;

/// Whatever takes longer than this never happens.
const PATIENCE_NS: u64 = 20_000_000_000;

/// A number that is never NULL, and a word.
pub(super) fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("n", DataType::Int64, false),
        Field::new("word", DataType::Utf8, true),
    ]))
}

/// Options of core 0 of one: any free port, as many connections as come.
pub(super) fn options() -> FrameSourceOptions {
    FrameSourceOptions {
        name: "s".into(),
        core: CoreId::ZERO,
        core_count: 1,
        listen: "127.0.0.1:0".parse().unwrap(),
        connections_max: 1_000,
        connection_idle_ns_max: None,
        end_on_disconnect: false,
        acknowledge: Acknowledge::Taken,
        schema: schema(),
        projection: vec![0, 1],
        event_time: None,
        keep_provenance: true,
    }
}

/// Rows with these numbers; words follow from them.
pub(super) fn rows(numbers: std::ops::Range<i64>) -> RecordBatch {
    let words = numbers.clone().map(|n| (n % 3 > 0).then(|| format!("word {n}")));
    let words = words.collect::<StringArray>();
    let numbers = Int64Array::from_iter_values(numbers);
    RecordBatch::try_new(schema(), vec![Arc::new(numbers), Arc::new(words)]).unwrap()
}

/// A producer's hello.
pub(super) fn hello(name: &str, session: u64) -> FrameHello {
    let (role, schema) = (FrameRole::Producer, schema());
    FrameHello { role, name: name.into(), session, heartbeat_ms: 0, schema }
}

/// One message of data.
pub(super) fn data(sequence: u64, rows: &RecordBatch) -> Vec<u8> {
    let mut out = Vec::new();
    write_data(&mut FrameWriter::new(), rows, sequence, &mut out);
    out
}

/// What a core's source pushed, until there is no room.
pub(super) struct Output {
    pub(super) batches: Vec<Batch>,
    pub(super) rejected: Vec<Rejection>,
    pub(super) room_rows: usize,
    sent: Vec<(CoreId, SourceMessage)>,
}

impl SourceOutput for Output {
    fn push(&mut self, batch: Batch) {
        assert!(!self.is_full());
        self.room_rows = self.room_rows.saturating_sub(batch.len());
        // A copy: whoever holds rows holds the buffer they lie in.
        let all = UInt32Array::from_iter_values(0..u32::try_from(batch.len()).unwrap());
        self.batches.push(batch.take(&all).unwrap());
    }

    fn is_full(&self) -> bool {
        self.room_rows == 0
    }

    fn rows_max(&self) -> usize {
        self.room_rows
    }

    fn reject(&mut self, rejection: Rejection) {
        self.rejected.push(rejection);
    }

    fn send(&mut self, core: CoreId, message: SourceMessage) {
        self.sent.push((core, message));
    }
}

/// One core.
pub(super) struct Core {
    pub(super) io: CoreIo,
    pub(super) source: FrameSource,
    pub(super) out: Output,
    pub(super) is_finished: bool,
}

/// The cores of one machine.
pub(super) struct Machine {
    pub(super) cores: Vec<Core>,
    pub(super) notices: Vec<String>,
}

impl Machine {
    /// `core_count` cores with these options but for core and core count.
    pub(super) fn new(options: &FrameSourceOptions, core_count: u16) -> Machine {
        let mut machine = Machine::unopened(options, core_count);
        machine.step();
        machine
    }

    fn unopened(options: &FrameSourceOptions, core_count: u16) -> Machine {
        let core = |core| Core {
            io: CoreIo::for_test(),
            source: FrameSource::new(FrameSourceOptions { core, core_count, ..options.clone() }),
            out: Output { batches: vec![], rejected: vec![], room_rows: usize::MAX, sent: vec![] },
            is_finished: false,
        };
        let cores = CoreId::all(core_count).map(core).collect();
        Machine { cores, notices: vec![] }
    }

    /// The same, which goes on where another one stood.
    pub(super) fn resumed(
        options: &FrameSourceOptions,
        core_count: u16,
        positions: &[Vec<u8>],
    ) -> Machine {
        let mut machine = Machine::unopened(options, core_count);
        let positions: Vec<&[u8]> = positions.iter().map(Vec::as_slice).collect();
        for core in &mut machine.cores {
            core.source.resume(&positions).unwrap();
        }
        machine.step();
        machine
    }

    /// A barrier on every core, one after the other; their positions.
    #[track_caller]
    pub(super) fn end_epoch(&mut self, epoch: u64) -> Vec<Vec<u8>> {
        self.end_epoch_noting(epoch, &mut vec![])
    }

    /// The same, and how many batches each core had pushed at its barrier.
    #[track_caller]
    pub(super) fn end_epoch_noting(
        &mut self,
        epoch: u64,
        batches: &mut Vec<usize>,
    ) -> Vec<Vec<u8>> {
        let mut positions = vec![];
        for core in 0..self.cores.len() {
            self.until(|machine| {
                let Core { source, out, .. } = &mut machine.cores[core];
                out.room_rows = out.room_rows.max(100);
                source.reach_barrier().then_some(())
            });
            let Core { source, out, .. } = &mut self.cores[core];
            positions.push(source.position().unwrap());
            batches.push(out.batches.len());
            source.end_epoch(Epoch::new(epoch));
        }
        positions
    }

    /// The epoch exists.
    pub(super) fn commit(&mut self, epoch: u64) {
        for core in &mut self.cores {
            core.source.commit(Epoch::new(epoch), &mut core.io);
        }
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        let listening = |notice: &String| {
            notice.strip_prefix("source s: listening on ").map(|address| address.parse().unwrap())
        };
        self.notices.iter().find_map(listening).unwrap()
    }

    /// A round of every core, and the messages they sent in it.
    pub(super) fn step(&mut self) {
        let mut messages = Vec::new();
        for core in &mut self.cores {
            core.io.poll().unwrap();
            let progress = core.source.poll(&mut core.io, &mut core.out);
            assert!(!core.is_finished || progress == SourceProgress::Finished);
            core.is_finished = progress == SourceProgress::Finished;
            messages.append(&mut core.out.sent);
            while let Some(notice) = core.source.take_notice() {
                self.notices.push(notice);
            }
        }
        for (to, message) in messages {
            let core = &mut self.cores[to.index()];
            core.source.receive(message, &mut core.io);
        }
    }

    /// Steps until `found`.
    #[track_caller]
    pub(super) fn until<T>(&mut self, mut found: impl FnMut(&mut Machine) -> Option<T>) -> T {
        let give_up_ns = SystemClock.monotonic_ns() + PATIENCE_NS;
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            assert!(SystemClock.monotonic_ns() < give_up_ns, "it never happened");
            self.step();
            std::thread::yield_now();
        }
    }

    /// Steps for a while, and so many times that what has come is taken.
    pub(super) fn steps_for(&mut self, time: Duration) {
        let until_ns = SystemClock.monotonic_ns() + u64::try_from(time.as_nanos()).unwrap();
        let mut steps = 0;
        while SystemClock.monotonic_ns() < until_ns || steps < 100 {
            self.step();
            std::thread::yield_now();
            steps += 1;
        }
    }

    /// Steps until nobody is served.
    #[track_caller]
    pub(super) fn until_closed(&mut self) {
        self.until(|machine| {
            machine.cores.iter().all(|core| core.source.open_splits() == 0).then_some(())
        });
    }

    /// Steps until every core has finished.
    #[track_caller]
    pub(super) fn finish(&mut self) {
        self.until(|machine| machine.cores.iter().all(|core| core.is_finished).then_some(()));
    }

    /// The numbers of all rows pushed, in the order of each core.
    pub(super) fn numbers(&self) -> Vec<i64> {
        let batches = self.cores.iter().flat_map(|core| &core.out.batches);
        let numbers =
            |batch: &Batch| batch.rows.column(0).as_primitive::<Int64Type>().values().to_vec();
        batches.flat_map(numbers).collect()
    }

    /// The same of the first so many batches of each core.
    pub(super) fn numbers_of(&self, batches: &[usize]) -> Vec<i64> {
        let first = |(core, count): (&Core, &usize)| core.out.batches[..*count].to_vec();
        let batches = self.cores.iter().zip(batches).flat_map(first);
        let numbers =
            |batch: Batch| batch.rows.column(0).as_primitive::<Int64Type>().values().to_vec();
        batches.flat_map(numbers).collect()
    }

    /// One total over all cores.
    pub(super) fn total(&self, count: impl Fn(&SourceCounters) -> u64) -> u64 {
        self.cores.iter().map(|core| count(core.source.counters())).sum()
    }
}

/// What a producer is told.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Told {
    Ack(Ack),
    /// Its `end` is known, behind this frame.
    Ended(u64),
    Error(u32, String),
    /// The connection was closed.
    End,
}

/// A connection of a producer.
pub(super) struct Peer {
    socket: TcpStream,
    stream: FrameStream,
}

impl Peer {
    /// Connects, and says nothing.
    pub(super) fn connect(machine: &Machine) -> Peer {
        let socket = TcpStream::connect(machine.address()).unwrap();
        socket.set_nonblocking(true).unwrap();
        Peer { socket, stream: FrameStream::new(1 << 16) }
    }

    /// Connects, says hello and takes the answer: the last frame taken.
    #[track_caller]
    pub(super) fn join(machine: &mut Machine, hello: &FrameHello) -> (Peer, u64) {
        let mut peer = Peer::greet(machine, hello);
        let taken = peer.ack(machine).sequence;
        (peer, taken)
    }

    /// Connects and says hello.
    pub(super) fn greet(machine: &mut Machine, hello: &FrameHello) -> Peer {
        let mut peer = Peer::connect(machine);
        let mut message = Vec::new();
        hello.write(&mut message);
        peer.send(machine, &message);
        peer
    }

    /// Sends all of it, while the machine goes on.
    #[track_caller]
    pub(super) fn send(&mut self, machine: &mut Machine, bytes: &[u8]) {
        let mut rest = bytes;
        machine.until(|_| {
            match self.socket.write(rest) {
                Ok(count) => rest = &rest[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // It was cut in the middle: what it was told says why.
                Err(_) => rest = &[],
            }
            rest.is_empty().then_some(())
        });
    }

    /// Sends `end` behind frame `sequence`.
    pub(super) fn end(&mut self, machine: &mut Machine, sequence: u64) {
        let mut message = Vec::new();
        write_empty(FrameHeader { sequence, ..FrameHeader::new(FrameKind::End) }, &mut message);
        self.send(machine, &message);
    }

    /// What it is told next.
    #[track_caller]
    pub(super) fn told(&mut self, machine: &mut Machine) -> Told {
        machine.until(|_| self.try_told())
    }

    /// What it has been told, if anything.
    pub(super) fn try_told(&mut self) -> Option<Told> {
        loop {
            if let Some(message) = self.stream.take().expect("the source writes messages") {
                return Some(told(&message));
            }
            let mut bytes = [0; 4096];
            match self.socket.read(&mut bytes) {
                Ok(0) => return Some(Told::End),
                Ok(count) => self.stream.feed(&bytes[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return None,
                Err(_) => return Some(Told::End),
            }
        }
    }

    #[track_caller]
    pub(super) fn ack(&mut self, machine: &mut Machine) -> Ack {
        match self.told(machine) {
            Told::Ack(ack) => ack,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until frame `sequence` has been taken.
    #[track_caller]
    pub(super) fn until_taken(&mut self, machine: &mut Machine, sequence: u64) {
        while self.ack(machine).sequence < sequence {}
    }

    /// Waits until its `end` is known, behind frame `sequence`, which was acknowledged before.
    #[track_caller]
    pub(super) fn until_ended(&mut self, machine: &mut Machine, sequence: u64) {
        let mut acknowledged = None;
        loop {
            match self.told(machine) {
                Told::Ack(ack) => acknowledged = Some(ack.sequence),
                Told::Ended(last) => {
                    assert_eq!((acknowledged, last), (Some(sequence), sequence));
                    return;
                }
                other => panic!("{other:?}"),
            }
        }
    }

    /// Takes acknowledgements until the error, then the end of the stream.
    #[track_caller]
    pub(super) fn error(&mut self, machine: &mut Machine) -> (u32, String) {
        loop {
            match self.told(machine) {
                Told::Ack(_) | Told::Ended(_) => {}
                Told::Error(code, text) => {
                    assert_eq!(self.told(machine), Told::End);
                    return (code, text);
                }
                Told::End => panic!("it was not said why"),
            }
        }
    }
}

fn told(message: &Message) -> Told {
    match message.header.kind {
        FrameKind::Ack => Told::Ack(message.ack().unwrap()),
        FrameKind::End => Told::Ended(message.header.sequence),
        FrameKind::Error => {
            let (code, text) = error_text(&message.payload);
            Told::Error(code, text)
        }
        other => panic!("a source sends no {other:?}"),
    }
}
