//! A source that is played by hand: it comes late, goes away, and has taken only some.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};

use super::*;
use crate::format::{
    Ack, FrameHeader, FrameHello, FrameKind, FrameStream, Message, write_ack, write_empty,
};
use crate::reactor::{Clock, CoreIo, SystemClock};

/// Whatever takes longer than this never happens.
const PATIENCE_NS: u64 = 20_000_000_000;

fn batch(numbers: std::ops::Range<i64>) -> Batch {
    let column: ArrayRef = Arc::new(Int64Array::from_iter_values(numbers));
    Batch::new(RecordBatch::try_from_iter([("number", column)]).unwrap(), 0)
}

struct Bench {
    io: CoreIo,
    sink: ProducerSink,
    listener: TcpListener,
}

/// One connection, as the source has it.
struct Played {
    socket: TcpStream,
    stream: FrameStream,
}

impl Bench {
    fn new() -> Bench {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let (name, schema) = ("k".into(), batch(0..0).rows.schema());
        let address = listener.local_addr().unwrap();
        let sink = ProducerSink::new(ProducerSinkOptions { name, address, schema });
        Bench { io: CoreIo::for_test(), sink, listener }
    }

    #[track_caller]
    fn until<T>(&mut self, mut found: impl FnMut(&mut Bench) -> Option<T>) -> T {
        let give_up_ns = SystemClock.monotonic_ns() + PATIENCE_NS;
        loop {
            if let Some(found) = found(self) {
                return found;
            }
            assert!(SystemClock.monotonic_ns() < give_up_ns, "it never happened");
            self.io.poll().unwrap();
            self.sink.poll(&mut self.io);
            std::thread::yield_now();
        }
    }

    /// The next connection; its hello.
    fn accept(&mut self) -> (Played, FrameHello) {
        let (socket, _) = self.until(|bench| bench.listener.accept().ok());
        socket.set_nonblocking(true).unwrap();
        let mut played = Played { socket, stream: FrameStream::new(1 << 20) };
        let hello = FrameHello::parse(&played.message(self).payload).unwrap();
        (played, hello)
    }

    fn write(&mut self, numbers: std::ops::Range<i64>) {
        self.until(|bench| (!bench.sink.is_full()).then_some(()));
        self.sink.write(&batch(numbers), &mut self.io);
    }
}

impl Played {
    fn message(&mut self, bench: &mut Bench) -> Message {
        bench.until(|_| {
            let mut bytes = [0; 4096];
            match self.socket.read(&mut bytes) {
                Ok(count) => self.stream.feed(&bytes[..count]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            self.stream.take().unwrap()
        })
    }

    /// Number and payload of the next frame.
    fn frame(&mut self, bench: &mut Bench) -> (u64, Vec<u8>) {
        let message = self.message(bench);
        assert_eq!(message.header.kind, FrameKind::Data);
        (message.header.sequence, message.payload)
    }

    fn ack(&mut self, sequence: u64) {
        let mut out = Vec::new();
        write_ack(Ack { sequence, durable: 0, credit_bytes: 1 << 20 }, &mut out);
        self.socket.write_all(&out).unwrap();
    }
}

impl Played {
    /// Answers `end` behind frame `sequence`.
    fn answer_end(&mut self, sequence: u64) {
        let mut out = Vec::new();
        write_empty(FrameHeader { sequence, ..FrameHeader::new(FrameKind::End) }, &mut out);
        self.socket.write_all(&out).unwrap();
    }
}

#[test]
fn what_was_not_taken_is_sent_again_and_each_row_is_out_once() {
    let mut bench = Bench::new();
    let (mut first, hello) = bench.accept();
    assert_eq!((&*hello.name, hello.schema.fields().len()), ("k", 1));
    assert!(bench.sink.is_full(), "the source has not said where it stands");
    first.ack(7);
    (0..4).for_each(|part| bench.write(part * 10..part * 10 + 10));
    let sent: Vec<_> = (0..4).map(|_| first.frame(&mut bench)).collect();
    assert_eq!(sent.iter().map(|(number, _)| *number).collect::<Vec<_>>(), [8, 9, 10, 11]);
    first.ack(9);
    bench.until(|bench| (bench.sink.counters().rows_out == 20).then_some(()));
    drop(first);
    let (mut second, again) = bench.accept();
    assert_eq!((again.name, again.session), (hello.name, hello.session));
    // One more had been taken than was known.
    second.ack(10);
    assert_eq!(second.frame(&mut bench), sent[3]);
    assert_eq!(bench.sink.counters().rows_out, 30);
    assert!(!bench.sink.finish(&mut bench.io));
    let end = second.message(&mut bench);
    assert_eq!((end.header.kind, end.header.sequence), (FrameKind::End, 11));
    assert!(!bench.sink.finish(&mut bench.io), "the last frame has not been taken");
    second.ack(11);
    bench.until(|bench| (bench.sink.counters().rows_out == 40).then_some(()));
    assert!(!bench.sink.finish(&mut bench.io), "it is not known that there is no more");
    second.answer_end(11);
    bench.until(|bench| bench.sink.finish(&mut bench.io).then_some(()));
    assert_eq!((bench.sink.counters().rows_in, bench.sink.counters().rows_out), (40, 40));
}

#[test]
fn an_end_that_was_lost_is_said_again() {
    let mut bench = Bench::new();
    let (mut first, _) = bench.accept();
    first.ack(0);
    bench.write(0..10);
    first.frame(&mut bench);
    assert!(!bench.sink.finish(&mut bench.io));
    assert_eq!(first.message(&mut bench).header.kind, FrameKind::End);
    // Its rows were acknowledged, its end was not.
    first.ack(1);
    bench.until(|bench| (bench.sink.counters().rows_out == 10).then_some(()));
    drop(first);
    let (mut second, _) = bench.accept();
    second.ack(1);
    assert_eq!(second.message(&mut bench).header.kind, FrameKind::End);
    second.answer_end(1);
    bench.until(|bench| bench.sink.finish(&mut bench.io).then_some(()));
    let notice = bench.sink.take_notice().unwrap();
    assert!(notice.contains("trying again"), "{notice}");
}

#[test]
fn a_source_that_was_started_again_gets_what_is_kept_by_new_numbers() {
    let mut bench = Bench::new();
    let (mut first, _) = bench.accept();
    first.ack(0);
    (0..3).for_each(|part| bench.write(part * 10..part * 10 + 10));
    let sent: Vec<_> = (0..3).map(|_| first.frame(&mut bench)).collect();
    first.ack(2);
    bench.until(|bench| (bench.sink.counters().rows_out == 20).then_some(()));
    drop(first);
    let (mut second, _) = bench.accept();
    second.ack(0);
    assert_eq!(second.frame(&mut bench), (1, sent[2].1.clone()));
    bench.write(30..40);
    assert_eq!(second.frame(&mut bench).0, 2);
    second.ack(2);
    bench.until(|bench| (bench.sink.counters().rows_out == 40).then_some(()));
    let told: Vec<_> = std::iter::from_fn(|| bench.sink.take_notice()).collect();
    assert!(
        told.last().unwrap().ends_with("has been started again, and forgotten 2 frames"),
        "{told:?}"
    );
}

#[test]
fn what_is_kept_is_bounded() {
    let mut bench = Bench::new();
    let (mut source, _) = bench.accept();
    source.ack(0);
    let mut written = 0;
    bench.until(|bench| (!bench.sink.is_full()).then_some(()));
    while !bench.sink.is_full() {
        bench.sink.write(&batch(0..50_000), &mut bench.io);
        written += 1;
    }
    assert!((10..20).contains(&written), "{written}");
    let waits = bench.sink.blocked_by().unwrap();
    assert!(waits.contains("bytes to take"), "{waits}");
}
