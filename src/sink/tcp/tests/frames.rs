//! Subscribers of frames: those who keep to the protocol, and those who do not.

use super::*;
use crate::format::{
    FRAME_HEADER_BYTES, FrameEncoder, FrameHeader, FrameHello, FrameKind, FrameStream,
    FrameSubscriber, Message, SubscriberOptions, error_text, write_empty,
};

fn bench() -> Bench {
    bench_with(None)
}

fn bench_with(epochs: Option<OutputEpochs>) -> Bench {
    let options = TcpSinkOptions {
        name: "k".into(),
        endpoint: TcpEndpoint::Listen("127.0.0.1:0".parse().unwrap()),
        slow_subscriber: SlowSubscriber::Disconnect,
        connections_max: 3,
        frames: true,
        epochs,
    };
    let encoder = FrameEncoder::new("k", &batch(0..0).rows.schema());
    let encoder = encoder.of_output(epochs.map_or(0, |epochs| epochs.output));
    let sink = TcpSink::new(options, Box::new(encoder));
    let mut bench = Bench { io: CoreIo::for_test(), sink, notices: vec![] };
    bench.step();
    bench
}

/// A subscriber's side, byte by byte.
struct Peer {
    socket: TcpStream,
    stream: FrameStream,
}

impl Peer {
    fn connect(bench: &Bench) -> Peer {
        let address = bench.notices[0].strip_prefix("sink k: listening on ").unwrap();
        let socket = TcpStream::connect(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        Peer { socket, stream: FrameStream::new(1 << 20) }
    }

    /// Connects, says hello, and takes the sink's.
    fn subscribe(bench: &mut Bench) -> Peer {
        let mut peer = Peer::connect(bench);
        let mut hello = Vec::new();
        FrameSubscriber::new("s").begin(&mut hello);
        peer.socket.write_all(&hello).unwrap();
        let message = peer.message(bench);
        assert_eq!(message.header.kind, FrameKind::Hello);
        let output = FrameHello::parse(&message.payload).unwrap().session;
        assert_eq!(output, bench.sink.options.epochs.map_or(0, |epochs| epochs.output));
        peer
    }

    /// The next messages, as many as are expected: kind and place of each.
    fn expect(&mut self, bench: &mut Bench, expected: &[(FrameKind, u64, u64)]) {
        let got = expected.iter().map(|_| {
            let FrameHeader { kind, epoch, sequence, lane, .. } = self.message(bench).header;
            assert_eq!(lane, 0);
            (kind, epoch, sequence)
        });
        assert_eq!(got.collect::<Vec<_>>(), expected);
    }

    /// The next message; a bare one of kind error, number 0, for the end of the connection.
    fn message(&mut self, bench: &mut Bench) -> Message {
        let mut found = None;
        bench.until(|_| {
            let mut bytes = [0; 4096];
            match self.socket.read(&mut bytes) {
                Ok(count) if count > 0 => self.stream.feed(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                _ => {
                    let header = FrameHeader::new(FrameKind::Error);
                    found = Some(Message { header, payload: Vec::new() });
                }
            }
            found = self.stream.take().unwrap().or(found.take());
            found.is_some()
        });
        found.unwrap()
    }

    /// Numbers of the frames until something else comes, and what that is.
    fn frames(&mut self, bench: &mut Bench) -> (Vec<u64>, Message) {
        let mut numbers = Vec::new();
        loop {
            let message = self.message(bench);
            match message.header.kind {
                FrameKind::Data => numbers.push(message.header.sequence),
                _ => return (numbers, message),
            }
        }
    }
}

#[test]
fn subscribers_get_the_same_frames_from_when_they_came() {
    let mut bench = bench();
    bench.write(0..10);
    let mut early = Peer::subscribe(&mut bench);
    bench.write(10..20);
    assert_eq!(early.message(&mut bench).header.sequence, 1, "those nobody got have no number");
    let mut late = Peer::subscribe(&mut bench);
    bench.write(20..30);
    bench.write(30..40);
    let mut ack = Vec::new();
    crate::format::write_ack(
        crate::format::Ack { sequence: 2, durable: 0, credit_bytes: 0 },
        &mut ack,
    );
    early.socket.write_all(&ack).unwrap();
    bench.until(|bench| {
        let all = bench.sink.subscribers.keys().copied().collect::<Vec<_>>();
        let two = LanePosition { lane: 0, frame: FramePosition { epoch: 0, sequence: 2 } };
        let got = |connection| bench.sink.connections.acknowledged(connection) == Some(two);
        all.into_iter().any(got)
    });
    assert!(!bench.sink.finish(&mut bench.io));
    for (peer, expected) in [(&mut early, vec![2, 3]), (&mut late, vec![2, 3])] {
        let (numbers, end) = peer.frames(&mut bench);
        assert_eq!(numbers, expected);
        assert_eq!((end.header.kind, end.header.sequence), (FrameKind::End, 3));
    }
    drop((early, late));
    bench.finish();
    bench.check(40, 30, 10);
}

#[test]
fn who_does_not_keep_to_the_protocol_is_told_or_cut_and_the_others_go_on() {
    let mut bench = bench();
    let mut good = Peer::subscribe(&mut bench);
    let (mut hello, mut resuming) = (Vec::new(), Vec::new());
    let schema = batch(0..0).rows.schema();
    crate::format::FrameProducer::new("p", 1, 0, &schema).begin(&mut hello);
    // It would rely on what this sink does not do.
    let options = SubscriberOptions { name: "s".into(), session: 1, ..Default::default() };
    FrameSubscriber::resuming(options).begin(&mut resuming);
    let mut ack = Vec::new();
    crate::format::write_ack(crate::format::Ack::default(), &mut ack);
    let lost =
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: everything there is, please\r\n".to_vec();
    assert!(lost.len() >= FRAME_HEADER_BYTES);
    for (bytes, code) in [(hello, 8), (resuming, 8), (ack, 16), (lost, 1)] {
        let mut bad = Peer::connect(&bench);
        bad.socket.write_all(&bytes).unwrap();
        let (numbers, message) = bad.frames(&mut bench);
        assert_eq!((numbers.len(), error_text(&message.payload).0), (0, code));
        bench.until(|bench| bench.sink.connections.greeting() == 0);
    }
    // Whoever is being sent rows is cut.
    let mut bad = Peer::subscribe(&mut bench);
    let mut end = Vec::new();
    write_empty(FrameHeader::new(FrameKind::End), &mut end);
    bad.socket.write_all(&end).unwrap();
    assert_eq!(bad.frames(&mut bench).1.payload, b"");
    assert!(
        bench.notices.last().unwrap().ends_with("End does not belong behind a subscriber's hello")
    );
    bench.write(0..10);
    assert_eq!(good.message(&mut bench).header.sequence, 1);
}

#[test]
fn who_has_not_said_hello_takes_a_place_and_no_rows() {
    let mut bench = bench();
    let silent: Vec<Peer> = (0..3).map(|_| Peer::connect(&bench)).collect();
    bench.until(|bench| bench.sink.connections.greeting() == 3);
    let mut refused = Peer::connect(&bench);
    assert_eq!(refused.message(&mut bench).payload, b"");
    bench.write(0..10);
    bench.check(10, 0, 10);
    drop(silent);
    bench.until(|bench| bench.sink.connections.greeting() == 0);
    Peer::subscribe(&mut bench);
}

#[test]
fn frames_say_their_epoch_and_its_end_follows_once_it_exists() {
    use FrameKind::{Data, End, EndOfEpoch};
    let epoch = Epoch::new;
    let mut bench = bench_with(Some(OutputEpochs { first: epoch(7), output: 99 }));
    let mut early = Peer::subscribe(&mut bench);
    bench.write(0..10);
    bench.write(10..20);
    bench.sink.end_epoch(epoch(7), &mut bench.io);
    bench.write(20..30);
    early.expect(&mut bench, &[(Data, 7, 1), (Data, 7, 2), (Data, 8, 1)]);
    let mut late = Peer::subscribe(&mut bench);
    bench.sink.commit(epoch(7), &mut bench.io);
    bench.write(30..40);
    // Epoch 9 has no frames, and 8 is known to exist by it.
    bench.sink.end_epoch(epoch(8), &mut bench.io);
    bench.sink.end_epoch(epoch(9), &mut bench.io);
    bench.write(40..50);
    bench.sink.commit(epoch(9), &mut bench.io);
    let later = [(EndOfEpoch, 7, 2), (Data, 8, 2), (Data, 10, 1), (EndOfEpoch, 8, 2)];
    early.expect(&mut bench, &later);
    late.expect(&mut bench, &later);
    // The end comes behind that of the last epoch.
    assert!(!bench.sink.finish(&mut bench.io));
    bench.sink.end_epoch(epoch(10), &mut bench.io);
    assert!(!bench.sink.finish(&mut bench.io));
    bench.sink.commit(epoch(10), &mut bench.io);
    assert!(!bench.sink.finish(&mut bench.io));
    for mut peer in [early, late] {
        peer.expect(&mut bench, &[(EndOfEpoch, 10, 1), (End, 11, 0)]);
    }
    bench.finish();
}
