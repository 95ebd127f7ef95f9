//! Both sides of a connection against a peer that is played by hand.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};

use super::*;
use crate::format::frames::write_data;
use crate::format::{
    Ack, Encoder, FrameEncoder, FrameHeader, FrameHello, FrameKind, FrameRole, FrameStream,
    Message, ProtocolFault, write_ack, write_empty, write_end_of_epoch, write_error, write_gap,
};
use crate::record::{Epoch, FrameWriter};

fn rows(numbers: std::ops::Range<i64>) -> RecordBatch {
    let schema = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    RecordBatch::try_new(schema, vec![Arc::new(Int64Array::from_iter_values(numbers))]).unwrap()
}

/// The other side: takes messages and says what it is told to.
struct Played {
    socket: TcpStream,
    stream: FrameStream,
}

impl Played {
    fn message(&mut self) -> Message {
        loop {
            if let Some(message) = self.stream.take().unwrap() {
                return message;
            }
            let mut bytes = [0; 1000];
            let count = self.socket.read(&mut bytes).unwrap();
            assert!(count > 0, "it was closed");
            self.stream.feed(&bytes[..count]);
        }
    }

    fn say(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        write(&mut out);
        self.socket.write_all(&out).unwrap();
    }

    /// The sequence of the next message, which is of this kind.
    fn next(&mut self, kind: FrameKind) -> u64 {
        let message = self.message();
        assert_eq!(message.header.kind, kind);
        message.header.sequence
    }

    fn answer_end(&mut self, sequence: u64) {
        let header = FrameHeader { sequence, ..FrameHeader::new(FrameKind::End) };
        self.say(|out| write_empty(header, out));
    }

    fn ack(&mut self, sequence: u64, credit_bytes: u64) {
        self.say(|out| write_ack(Ack { sequence, durable: 0, credit_bytes }, out));
    }
}

/// Plays the other side of one connection in a thread; its address.
fn play(part: impl FnOnce(Played) + Send + 'static) -> (SocketAddr, std::thread::JoinHandle<()>) {
    play_all(|listener| part(accept(listener)))
}

/// The same of as many connections as it likes.
fn play_all(
    part: impl FnOnce(&TcpListener) + Send + 'static,
) -> (SocketAddr, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (address, std::thread::Builder::new().spawn(move || part(&listener)).unwrap())
}

fn accept(listener: &TcpListener) -> Played {
    let (socket, _) = listener.accept().unwrap();
    Played { socket, stream: FrameStream::new(1 << 20) }
}

/// A connection that says hello, and is answered.
fn welcome(listener: &TcpListener, sequence: u64) -> Played {
    let mut source = accept(listener);
    assert_eq!(source.next(FrameKind::Hello), 0);
    source.ack(sequence, 1 << 20);
    source
}

fn patient() -> ProducerOptions {
    ProducerOptions { reconnect_for: Duration::from_secs(20), ..options() }
}

fn options() -> ProducerOptions {
    ProducerOptions { reconnect_for: Duration::ZERO, ..ProducerOptions::new("p", 7) }
}

#[test]
fn a_producer_goes_on_where_its_source_stands_and_by_its_credit() {
    let (address, played) = play(|mut source| {
        let hello = FrameHello::parse(&source.message().payload).unwrap();
        assert_eq!((hello.role, &*hello.name, hello.session), (FrameRole::Producer, "p", 7));
        source.ack(5, 1);
        let first = source.message();
        assert_eq!((first.header.kind, first.header.sequence), (FrameKind::Data, 6));
        // Nothing more by this credit: the next one comes when more is granted.
        source.ack(5, 1);
        source.ack(6, 1 << 20);
        assert_eq!(source.message().header.sequence, 7);
        let end = source.message();
        assert_eq!((end.header.kind, end.header.sequence), (FrameKind::End, 7));
        source.ack(7, 1 << 20);
        source.answer_end(7);
    });
    let mut producer = Producer::connect(address, &options(), &rows(0..0).schema()).unwrap();
    assert_eq!(producer.taken(), 5);
    assert_eq!(producer.send(&rows(0..10)).unwrap(), 6);
    assert_eq!(producer.send(&rows(10..20)).unwrap(), 7);
    producer.end().unwrap();
    played.join().unwrap();
}

#[test]
fn a_producer_sends_again_what_is_not_acknowledged() {
    let (address, played) = play_all(|listener| {
        let mut source = welcome(listener, 0);
        for sequence in 1..=3 {
            assert_eq!(source.next(FrameKind::Data), sequence);
        }
        source.ack(1, 1 << 20);
        drop(source);
        // It has come further than was said.
        source = welcome(listener, 2);
        assert_eq!(source.next(FrameKind::Data), 3);
        assert_eq!(source.next(FrameKind::Data), 4);
        assert_eq!(source.next(FrameKind::End), 4);
        source.ack(4, 1 << 20);
        drop(source);
        // Everything is there, but the end may not be.
        source = welcome(listener, 4);
        assert_eq!(source.next(FrameKind::End), 4);
        source.answer_end(4);
    });
    let mut producer = Producer::connect(address, &patient(), &rows(0..0).schema()).unwrap();
    for (part, sequence) in (0..3).zip(1..) {
        assert_eq!(producer.send(&rows(part * 10..part * 10 + 10)).unwrap(), sequence);
    }
    assert_eq!(producer.send(&rows(30..40)).unwrap(), 4);
    producer.end().unwrap();
    played.join().unwrap();
}

#[test]
fn what_a_producer_keeps_is_bounded() {
    let (address, played) = play_all(|listener| {
        let mut source = welcome(listener, 0);
        let mut bytes = 0;
        for sequence in 1.. {
            let message = source.message();
            assert_eq!(message.header.sequence, sequence);
            bytes += message.payload.len() + 64;
            if bytes >= 100_000 {
                // Nothing comes before something is acknowledged.
                let patience = Some(Duration::from_millis(50));
                source.socket.set_read_timeout(patience).unwrap();
                assert!(source.socket.read(&mut [0]).is_err());
                source.socket.set_read_timeout(None).unwrap();
                source.ack(sequence, 1 << 30);
                assert_eq!(source.next(FrameKind::Data), sequence + 1);
                source.ack(sequence + 1, 1 << 30);
                break;
            }
        }
        let _ = source.socket.read(&mut [0]);
    });
    let options = ProducerOptions { kept_bytes_max: 100_000, ..options() };
    let mut producer = Producer::connect(address, &options, &rows(0..0).schema()).unwrap();
    let mut sent = 0;
    while sent < 100_000 {
        producer.send(&rows(0..1_000)).unwrap();
        sent += rows(0..1_000).get_array_memory_size();
    }
    producer.send(&rows(0..1_000)).unwrap();
    producer.wait().unwrap();
    assert_eq!(producer.kept_bytes(), 0);
    drop(producer);
    played.join().unwrap();
}

/// What the source says when it is connected to again, and what the producer makes of it.
#[track_caller]
fn check_again(answer: u64, expected: Result<(), &str>) {
    let goes_on = expected.is_ok();
    let (address, played) = play_all(move |listener| {
        let mut source = welcome(listener, 5);
        for sequence in 6..=8 {
            assert_eq!(source.next(FrameKind::Data), sequence);
        }
        source.ack(7, 1 << 20);
        drop(source);
        source = welcome(listener, answer);
        if goes_on {
            assert_eq!(source.next(FrameKind::Data), answer + 1);
            source.ack(8, 1 << 20);
        }
    });
    let mut producer = Producer::connect(address, &patient(), &rows(0..0).schema()).unwrap();
    (0..3).for_each(|_| assert!(producer.send(&rows(0..10)).is_ok()));
    let waited = producer.wait().map_err(|error| error.to_string());
    assert_eq!(waited, expected.map_err(str::to_owned));
    played.join().unwrap();
}

#[test]
fn a_source_that_forgot_or_knows_too_much_is_told_of() {
    check_again(7, Ok(()));
    let forgotten =
        "the source has been started again, and forgotten 7 frames that it had acknowledged";
    check_again(0, Err(forgotten));
    let other = "the peer does not keep to the protocol: sequence 9 where 8 is the next";
    check_again(9, Err(other));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a program that waits, outside of any reactor")]
fn a_producer_is_as_patient_as_it_is_told_to_be() {
    let (address, played) = play_all(|listener| {
        drop(welcome(listener, 0));
        // Whoever says hello again is not answered; one that says nothing is the test's last word.
        while accept(listener).socket.read(&mut [0]).unwrap() > 0 {}
    });
    let reconnect_for = Duration::from_millis(100);
    let options = ProducerOptions { reconnect_for, ..options() };
    let mut producer = Producer::connect(address, &options, &rows(0..0).schema()).unwrap();
    let began = Instant::now();
    let sent = producer.send(&rows(0..10)).and_then(|_| producer.wait());
    assert!(matches!(sent, Err(ClientError::Closed | ClientError::Io(_))), "{sent:?}");
    assert!(began.elapsed() >= reconnect_for);
    drop(TcpStream::connect(address).unwrap());
    played.join().unwrap();
}

#[test]
fn a_producer_says_what_its_source_said() {
    let (address, played) = play(|mut source| {
        source.message();
        source.say(|out| write_error(&ProtocolFault::Stopping, out));
    });
    let error = Producer::connect(address, &options(), &rows(0..0).schema()).unwrap_err();
    assert_eq!(error.to_string(), "error 15: the job reads no more");
    played.join().unwrap();
}

#[test]
fn a_producer_whose_source_goes_away_says_so() {
    let (address, played) = play(|mut source| {
        source.message();
        source.ack(0, 1 << 20);
    });
    let mut producer = Producer::connect(address, &options(), &rows(0..0).schema()).unwrap();
    let other = RecordBatch::try_from_iter([("m", Arc::new(Int64Array::from(vec![1])) as _)]);
    assert!(matches!(producer.send(&other.unwrap()), Err(ClientError::Rows(_))));
    played.join().unwrap();
    let ended = producer.send(&rows(0..1)).and_then(|_| producer.wait());
    assert!(matches!(ended, Err(ClientError::Closed | ClientError::Io(_))), "{ended:?}");
}

/// A subscriber's hello, which is of this session, and the sink's, which names this output.
fn greet(sink: &mut Played, session: u64, output: u64) {
    let hello = FrameHello::parse(&sink.message().payload).unwrap();
    let told = (hello.role, &*hello.name, hello.session);
    assert_eq!(told, (FrameRole::Subscriber, "s", session));
    let (role, name, schema) = (FrameRole::Sink, "k".to_owned(), rows(0..0).schema());
    let answer = FrameHello { role, name, session: output, heartbeat_ms: 0, schema };
    sink.say(|out| answer.write(out));
}

/// What a sink sends behind its hello, and what the subscriber makes of it.
#[track_caller]
fn check_subscriber(sends: impl FnOnce(&mut Played) + Send + 'static, expected: &str) {
    let (address, played) = play(move |mut sink| {
        greet(&mut sink, 0, 0);
        sends(&mut sink);
        // Closed with something unread, it would be reset.
        sink.socket.shutdown(Shutdown::Write).unwrap();
        let _ = sink.socket.read_to_end(&mut Vec::new());
    });
    let mut subscriber = Subscriber::connect(address, "s").unwrap();
    assert_eq!(subscriber.schema(), &rows(0..0).schema());
    let mut told = Vec::new();
    let end = loop {
        match subscriber.next_rows() {
            Ok(Some(rows)) => told.push(format!("{}", rows.num_rows())),
            Ok(None) => break "end".to_owned(),
            Err(error) => break error.to_string(),
        }
    };
    told.push(end);
    drop(subscriber);
    assert_eq!(told.join(" "), expected);
    played.join().unwrap();
}

fn data(sink: &mut Played, sequence: u64, count: i64) {
    sink.say(|out| write_data(&mut FrameWriter::new(), &rows(0..count), sequence, out));
}

#[test]
fn a_subscriber_gets_an_unbroken_series_to_its_end() {
    check_subscriber(
        |sink| {
            data(sink, 9, 3);
            assert_eq!(sink.message().ack().unwrap().sequence, 9);
            data(sink, 10, 100_000);
            data(sink, 11, 1);
            let header = FrameHeader { sequence: 11, ..FrameHeader::new(FrameKind::End) };
            sink.say(|out| write_empty(header, out));
        },
        "3 100000 1 end",
    );
    check_subscriber(|sink| data(sink, 4, 2), "2 the connection was closed");
    check_subscriber(
        |sink| {
            data(sink, 4, 2);
            data(sink, 6, 2);
        },
        "2 the peer does not keep to the protocol: sequence 6 where 5 is the next",
    );
    check_subscriber(
        |sink| sink.say(|out| write_error(&ProtocolFault::Silent, out)),
        "error 17: nothing came for too long",
    );
}

fn at(epoch: u64, sequence: u64) -> LanePosition {
    LanePosition { lane: 0, frame: FramePosition { epoch, sequence } }
}

#[test]
fn a_subscriber_resumes_where_it_says_and_acknowledges_what_it_says() {
    let acked = |sink: &mut Played| {
        let message = sink.message();
        assert_eq!(message.header.kind, FrameKind::Ack);
        message.header.position()
    };
    let (address, played) = play(move |mut sink| {
        greet(&mut sink, 3, 9);
        assert_eq!(acked(&mut sink), at(5, 1), "it need not be sent what it has");
        sink.say(|out| {
            let mut encoder = FrameEncoder::new("k", &rows(0..0).schema());
            encoder.begin_epoch(Epoch::new(5));
            encoder.encode(&rows(0..1), out);
            encoder.encode(&rows(0..2), out);
            write_end_of_epoch(at(5, 2), out);
            encoder.begin_epoch(Epoch::new(6));
            encoder.encode(&rows(0..3), out);
            write_gap(at(8, 4), 77, out);
            encoder.begin_epoch(Epoch::new(9));
            encoder.encode(&rows(0..4), out);
        });
        // Nothing is said of what was given out before the subscriber says so.
        assert_eq!(acked(&mut sink), at(5, 2));
        assert_eq!(acked(&mut sink), at(9, 1));
    });
    let after = OutputPosition { output: 9, lanes: vec![at(5, 1)] };
    let options = SubscriberOptions { name: "s".into(), session: 3, after };
    let mut subscriber = Subscriber::resume(address, options).unwrap();
    assert_eq!(subscriber.next_delivery().unwrap(), Some(Delivery::Rows(rows(0..2))));
    assert_eq!(subscriber.next_delivery().unwrap(), Some(Delivery::EndOfEpoch(5)));
    assert_eq!(subscriber.position(), OutputPosition { output: 9, lanes: vec![at(5, 2)] });
    subscriber.acknowledge().unwrap();
    assert_eq!(subscriber.next_rows().unwrap(), Some(rows(0..3)));
    let missing = subscriber.next_rows().unwrap_err();
    assert_eq!(missing.to_string(), "77 rows were not kept for this subscriber");
    assert_eq!(subscriber.next_rows().unwrap(), Some(rows(0..4)));
    subscriber.acknowledge().unwrap();
    drop(subscriber);
    played.join().unwrap();
}
