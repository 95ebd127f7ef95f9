//! Real subscribers: fast, slow, late and gone.

mod frames;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use arrow::datatypes::Int64Type;

use super::*;
use crate::reactor::{Clock, CoreIo, SystemClock, sleep, spawn_thread};

/// Whatever takes longer than this never happens.
const PATIENCE_NS: u64 = 20_000_000_000;

/// A number a line, after a first line.
struct Numbers;

impl Encoder for Numbers {
    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"begin\n");
    }

    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
        for number in rows.column(0).as_primitive::<Int64Type>().values() {
            out.extend_from_slice(format!("{number}\n").as_bytes());
        }
    }
}

fn batch(numbers: std::ops::Range<i64>) -> Batch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
    Batch::new(RecordBatch::try_from_iter([("number", column)]).unwrap(), 0)
}

/// The lines a subscriber gets that was there for these numbers.
fn lines(numbers: std::ops::Range<i64>) -> String {
    let numbers: String = numbers.map(|number| format!("{number}\n")).collect();
    format!("begin\n{numbers}")
}

struct Bench {
    io: CoreIo,
    sink: TcpSink,
    notices: Vec<String>,
}

impl Bench {
    fn new(endpoint: TcpEndpoint, slow_subscriber: SlowSubscriber) -> Bench {
        let options = TcpSinkOptions {
            name: "k".into(),
            endpoint,
            slow_subscriber,
            connections_max: 3,
            frames: false,
            epochs: None,
        };
        let sink = TcpSink::new(options, Box::new(Numbers));
        let mut bench = Bench { io: CoreIo::for_test(), sink, notices: vec![] };
        assert!(bench.sink.is_full(), "nothing is open yet");
        bench.step();
        bench
    }

    fn listening(slow_subscriber: SlowSubscriber) -> Bench {
        Bench::new(TcpEndpoint::Listen("127.0.0.1:0".parse().unwrap()), slow_subscriber)
    }

    fn step(&mut self) {
        self.io.poll().unwrap();
        self.sink.poll(&mut self.io);
        self.notices.extend(self.sink.take_notice());
    }

    #[track_caller]
    fn until(&mut self, mut found: impl FnMut(&mut Bench) -> bool) {
        let give_up_ns = SystemClock.monotonic_ns() + PATIENCE_NS;
        while !found(self) {
            assert!(SystemClock.monotonic_ns() < give_up_ns, "it never happened");
            self.step();
            std::thread::yield_now();
        }
    }

    /// The connection the sink makes to `peer`.
    #[track_caller]
    fn accept(&mut self, peer: &TcpListener) -> TcpStream {
        peer.set_nonblocking(true).unwrap();
        let mut accepted = None;
        self.until(|_| {
            accepted = peer.accept().ok();
            accepted.is_some()
        });
        let (connection, _) = accepted.unwrap();
        connection.set_nonblocking(false).unwrap();
        connection
    }

    /// A subscriber the sink knows of.
    fn subscriber(&mut self) -> TcpStream {
        let before = self.sink.subscribers.len();
        let address = self.notices[0].strip_prefix("sink k: listening on ").unwrap();
        let client = TcpStream::connect(address).unwrap();
        self.until(|bench| bench.sink.subscribers.len() == before + 1);
        client
    }

    /// Writes when there is room.
    #[track_caller]
    fn write(&mut self, numbers: std::ops::Range<i64>) {
        self.until(|bench| !bench.sink.is_full());
        self.sink.write(&batch(numbers), &mut self.io);
        self.step();
    }

    #[track_caller]
    fn finish(&mut self) {
        self.until(|bench| bench.sink.finish(&mut bench.io));
        self.io.poll().unwrap();
    }

    #[track_caller]
    fn check(&self, rows_in: u64, rows_out: u64, rows_discarded: u64) {
        let counters = self.sink.counters();
        let counted = (counters.rows_in, counters.rows_out, counters.rows_discarded);
        assert_eq!(counted, (rows_in, rows_out, rows_discarded));
    }
}

fn reading(mut client: TcpStream) -> JoinHandle<String> {
    let read = move || {
        let mut text = String::new();
        client.read_to_string(&mut text).unwrap();
        text
    };
    spawn_thread("subscriber", &[], read).unwrap()
}

#[test]
fn every_subscriber_gets_all_rows_from_its_first_on() {
    let mut bench = Bench::listening(SlowSubscriber::Backpressure);
    bench.write(0..5);
    let first = reading(bench.subscriber());
    bench.write(5..10);
    let second = reading(bench.subscriber());
    bench.write(10..2_000);
    bench.finish();
    assert_eq!(first.join().unwrap(), lines(5..2_000));
    assert_eq!(second.join().unwrap(), lines(10..2_000));
    bench.check(2_000, 1_995, 5);
    let bytes_out = lines(5..2_000).len() + lines(10..2_000).len();
    assert_eq!(bench.sink.counters().bytes_out, bytes_out as u64);
}

#[test]
fn a_slow_subscriber_holds_the_sink_up() {
    let mut bench = Bench::listening(SlowSubscriber::Backpressure);
    let slow = bench.subscriber();
    let mut written = 0;
    while !bench.sink.is_full() {
        bench.write(written..written + 8_000);
        written += 8_000;
    }
    let slow = reading(slow);
    bench.until(|bench| !bench.sink.is_full());
    for _ in 0..100 {
        bench.write(written..written + 8_000);
        written += 8_000;
    }
    bench.finish();
    assert!(slow.join().unwrap() == lines(0..written));
    let written = written.unsigned_abs();
    bench.check(written, written, 0);
}

#[test]
fn a_slow_subscriber_is_cut_and_the_others_go_on() {
    let mut bench = Bench::listening(SlowSubscriber::Disconnect);
    let slow = bench.subscriber();
    let fast = reading(bench.subscriber());
    for start in 0..1_500 {
        assert!(!bench.sink.is_full());
        bench.write(start * 8_000..(start + 1) * 8_000);
        // The fast one is given the time it needs.
        bench
            .until(|bench| bench.sink.subscribers.values().any(|one| one.unsent_bytes < 1_000_000));
    }
    assert_eq!(bench.sink.subscribers.len(), 1);
    assert!(bench.notices.last().unwrap().ends_with("batches: it was too slow"));
    bench.finish();
    assert!(fast.join().unwrap() == lines(0..1_500 * 8_000));
    bench.check(1_500 * 8_000, 1_500 * 8_000, 0);
    drop(slow);
}

#[test]
fn rows_nobody_took_are_discarded_not_out() {
    let mut bench = Bench::listening(SlowSubscriber::Backpressure);
    let deaf = bench.subscriber();
    let mut written = 0;
    while !bench.sink.is_full() {
        bench.write(written..written + 1_000);
        written += 1_000;
    }
    let taken = bench.sink.counters().rows_out;
    assert!(taken > 0);
    drop(deaf);
    bench.until(|bench| bench.sink.subscribers.is_empty());
    bench.finish();
    let rows_in = u64::try_from(written).unwrap();
    let rows_out = bench.sink.counters().rows_out;
    assert!(taken <= rows_out && rows_out < rows_in);
    bench.check(rows_in, rows_out, rows_in - rows_out);
}

#[test]
fn subscribers_beyond_the_limit_are_refused() {
    let mut bench = Bench::listening(SlowSubscriber::Disconnect);
    let subscribers: Vec<_> = (0..3).map(|_| bench.subscriber()).collect();
    let mut refused = TcpStream::connect(subscribers[0].peer_addr().unwrap()).unwrap();
    bench.until(|bench| bench.notices.len() == 2);
    assert!(bench.notices[1].ends_with("3 subscribers already"));
    assert_eq!(refused.read(&mut [0; 1]).unwrap_or(0), 0);
    drop(subscribers);
    bench.until(|bench| bench.sink.subscribers.is_empty());
    bench.subscriber();
}

#[test]
fn a_subscriber_that_only_reads_may_close_its_other_side() {
    let mut bench = Bench::listening(SlowSubscriber::Disconnect);
    let mut client = bench.subscriber();
    client.write_all(b"subscribe, please\n").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    (0..20).for_each(|_| {
        bench.step();
        sleep(Duration::from_millis(1));
    });
    let client = reading(client);
    bench.write(0..10);
    bench.finish();
    assert_eq!(client.join().unwrap(), lines(0..10));
}

#[test]
fn a_peer_we_connect_to_gets_every_row_it_is_there_for() {
    let peer = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = TcpEndpoint::Connect(peer.local_addr().unwrap());
    let mut bench = Bench::new(endpoint, SlowSubscriber::Disconnect);
    assert!(bench.sink.is_full(), "the peer is not there yet");
    let first = bench.accept(&peer);
    bench.write(0..10);
    let mut text = vec![0; lines(0..10).len()];
    { &first }.read_exact(&mut text).unwrap();
    assert_eq!(text, lines(0..10).as_bytes());
    drop(first);
    // What is written before the loss shows is lost with it; then the sink waits.
    let mut next = 10;
    bench.until(|bench| {
        if !bench.sink.is_full() {
            bench.sink.write(&batch(next..next + 1), &mut bench.io);
            next += 1;
        }
        bench.sink.subscribers.is_empty()
    });
    assert!(bench.sink.is_full());
    let address = peer.local_addr().unwrap();
    assert!(bench.notices[0].starts_with(&format!("sink k: no connection to {address}: ")));
    bench.until(|bench| !bench.sink.is_full());
    let second = reading(bench.accept(&peer));
    bench.write(next..next + 5);
    bench.finish();
    assert_eq!(second.join().unwrap(), lines(next..next + 5));
    let counters = bench.sink.counters();
    assert_eq!(counters.rows_in, counters.rows_out + counters.rows_discarded);
}

#[test]
fn an_address_that_cannot_be_had_is_a_failure() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut bench = Bench::new(TcpEndpoint::Listen(address), SlowSubscriber::Disconnect);
    let failure = bench.sink.take_failure().unwrap().message;
    let expected = format!("sink k: cannot listen on {address}: Address already in use");
    assert!(failure.starts_with(&expected), "{failure}");
    assert!(bench.sink.is_full());
    assert!(bench.sink.finish(&mut bench.io));
}
