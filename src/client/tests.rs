//! Both sides of a connection against a peer that is played by hand.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;

use arrow::array::{Int64Array, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema};

use super::*;
use crate::format::frames::write_data;
use crate::format::{
    Ack, FrameHeader, FrameHello, FrameKind, FrameRole, FrameStream, Message, ProtocolFault,
    write_ack, write_empty, write_error,
};
use crate::record::FrameWriter;

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

    fn ack(&mut self, sequence: u64, credit_bytes: u64) {
        self.say(|out| write_ack(Ack { sequence, durable: 0, credit_bytes }, out));
    }
}

/// Plays the other side of one connection in a thread; its address.
fn play(part: impl FnOnce(Played) + Send + 'static) -> (SocketAddr, std::thread::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let body = move || {
        let (socket, _) = listener.accept().unwrap();
        part(Played { socket, stream: FrameStream::new(1 << 20) });
    };
    (address, std::thread::Builder::new().spawn(body).unwrap())
}

fn options() -> ProducerOptions {
    ProducerOptions { name: "p".into(), session: 7 }
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
    });
    let mut producer = Producer::connect(address, &options(), &rows(0..0).schema()).unwrap();
    assert_eq!(producer.taken(), 5);
    assert_eq!(producer.send(&rows(0..10)).unwrap(), 6);
    assert_eq!(producer.send(&rows(10..20)).unwrap(), 7);
    producer.end().unwrap();
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

/// What a sink sends behind its hello, and what the subscriber makes of it.
#[track_caller]
fn check_subscriber(sends: impl FnOnce(&mut Played) + Send + 'static, expected: &str) {
    let (address, played) = play(move |mut sink| {
        let hello = FrameHello::parse(&sink.message().payload).unwrap();
        assert_eq!((hello.role, &*hello.name), (FrameRole::Subscriber, "s"));
        let schema = rows(0..0).schema();
        let (role, name) = (FrameRole::Sink, "k".to_owned());
        let answer = FrameHello { role, name, session: 0, heartbeat_ms: 0, schema };
        sink.say(|out| answer.write(out));
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
