//! Real sockets on the loopback: a core on one side, blocking clients on the other.

mod on_demand;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::thread::JoinHandle;
use std::time::Duration;

use super::*;
use crate::limits::{RECEIVE_BUFFER_BYTES, RECEIVE_BUFFERS};
use crate::reactor::core_io::CoreIo;
use crate::reactor::{Clock, SystemClock, sleep, spawn_thread, sys};

/// A core with one listener whose connections it serves itself.
struct Server {
    io: CoreIo,
    owner: OwnerId,
    listener: ListenerId,
    address: SocketAddr,
}

impl Server {
    fn new() -> Server {
        let mut io = CoreIo::for_test();
        let owner = io.register();
        let (listener, address) = io.listen(owner, "127.0.0.1:0".parse().unwrap()).unwrap();
        Server { io, owner, listener, address }
    }

    fn event(&mut self) -> NetEvent {
        let owner = self.owner;
        self.io.until(|io| io.next_event(owner))
    }

    /// Accepts one connection and adopts it.
    fn accept(&mut self) -> ConnectionId {
        match self.event() {
            NetEvent::Accepted { socket, .. } => self.io.adopt(self.owner, socket),
            other => panic!("{other:?}"),
        }
    }

    /// A client and its connection here.
    fn pair(&mut self) -> (TcpStream, ConnectionId) {
        let client = TcpStream::connect(self.address).unwrap();
        (client, self.accept())
    }

    /// The next event's bytes.
    fn received(&mut self) -> Vec<u8> {
        match self.event() {
            NetEvent::Received { bytes, .. } => self.take(bytes),
            other => panic!("{other:?}"),
        }
    }

    fn take(&mut self, received: Received) -> Vec<u8> {
        let bytes = self.io.bytes(&received).to_vec();
        self.io.release(received);
        bytes
    }

    /// The next event must be the end of `connection`.
    fn closed(&mut self, connection: ConnectionId) -> Option<io::ErrorKind> {
        match self.event() {
            NetEvent::Closed { connection: closed, error, .. } if closed == connection => {
                // The descriptor is closed by the next poll.
                self.io.poll().unwrap();
                error.map(|error| error.kind())
            }
            NetEvent::Sent { .. } => self.closed(connection),
            other => panic!("{other:?}"),
        }
    }

    /// Sends back whatever comes, until `count` connections have come and gone.
    fn echo(&mut self, count: usize) {
        let mut closed = 0;
        while closed < count {
            match self.event() {
                NetEvent::Accepted { socket, .. } => {
                    self.io.adopt(self.owner, socket);
                }
                NetEvent::Received { connection, bytes } => {
                    let bytes = self.take(bytes);
                    self.io.send(connection, &bytes);
                }
                NetEvent::Closed { error, .. } => {
                    assert!(error.is_none(), "{error:?}");
                    closed += 1;
                }
                _ => {}
            }
        }
    }
}

fn in_thread<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    spawn_thread("client", &[], body).unwrap()
}

/// Bytes that show when some are missing, repeated or swapped.
fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| u8::try_from((index % 251) ^ (index / 251 % 4)).unwrap()).collect()
}

fn read_all(mut client: TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    client.read_to_end(&mut bytes).map(|_| bytes)
}

#[test]
fn many_connections_are_echoed() {
    let mut server = Server::new();
    let address = server.address;
    let clients = in_thread(move || {
        let mut clients: Vec<TcpStream> =
            (0..60).map(|_| TcpStream::connect(address).unwrap()).collect();
        for (index, client) in clients.iter_mut().enumerate() {
            client.write_all(&pattern(1_000 * index + 1)).unwrap();
        }
        for (index, client) in clients.iter_mut().enumerate() {
            let mut echoed = vec![0; 1_000 * index + 1];
            client.read_exact(&mut echoed).unwrap();
            assert_eq!(echoed, pattern(1_000 * index + 1), "client {index}");
        }
    });
    server.echo(60);
    clients.join().unwrap();
}

#[test]
fn single_bytes_arrive_in_order() {
    let mut server = Server::new();
    let (mut client, _) = server.pair();
    client.set_nodelay(true).unwrap();
    let sent = pattern(3_000);
    let mut received = Vec::new();
    for byte in &sent {
        client.write_all(&[*byte]).unwrap();
        if received.len() % 7 == 0 {
            received.extend(server.received());
        }
    }
    while received.len() < sent.len() {
        received.extend(server.received());
    }
    assert_eq!(received, sent);
}

#[test]
fn a_half_closed_peer_gets_what_was_sent_before() {
    let mut server = Server::new();
    let (client, connection) = server.pair();
    server.io.send(connection, &pattern(6_000_000));
    server.io.poll().unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let reader = in_thread(move || {
        sleep(Duration::from_millis(20));
        read_all(client).unwrap()
    });
    assert_eq!(server.closed(connection), None);
    assert!(reader.join().unwrap() == pattern(6_000_000));
}

#[test]
fn a_reset_is_told_after_what_was_received() {
    let mut server = Server::new();
    let (mut client, connection) = server.pair();
    client.write_all(b"last words").unwrap();
    assert_eq!(server.received(), b"last words");
    let socket = OwnedFd::from(client);
    sys::reset_on_close(&socket).unwrap();
    drop(socket);
    assert_eq!(server.closed(connection), Some(io::ErrorKind::ConnectionReset));
    // Calls for a connection that is gone are harmless.
    server.io.send(connection, b"x");
    server.io.pause(connection);
    server.io.close(connection);
    server.io.abort(connection);
    assert_eq!(server.io.unsent_bytes(connection), 0);
    server.io.poll().unwrap();
    assert!(server.io.next_event(server.owner).is_none());
}

#[test]
fn without_buffers_receiving_stops_and_goes_on() {
    let mut server = Server::new();
    let pool_bytes = usize::from(RECEIVE_BUFFERS) * RECEIVE_BUFFER_BYTES;
    let address = server.address;
    let length = 2 * pool_bytes;
    let client = in_thread(move || {
        let mut client = TcpStream::connect(address).unwrap();
        // Pieces smaller than a buffer use up buffers before bytes.
        for piece in pattern(length).chunks(RECEIVE_BUFFER_BYTES / 2) {
            client.write_all(piece).unwrap();
        }
    });
    server.accept();
    let mut received = Vec::new();
    let mut held = Vec::new();
    let mut rounds = 0;
    while received.len() < length {
        let event = server.io.until(|io| {
            let event = io.next_event(OwnerId(0));
            event.map(Some).or_else(|| (!held.is_empty()).then_some(None))
        });
        match event {
            Some(NetEvent::Received { bytes, .. }) => held.push(bytes),
            Some(NetEvent::Closed { error, .. }) => {
                assert!(error.is_none(), "{error:?}");
                held.drain(..).for_each(|bytes| received.extend(server.take(bytes)));
                break;
            }
            Some(other) => panic!("{other:?}"),
            None if held.len() == usize::from(RECEIVE_BUFFERS) => {
                server.io.poll_for(Duration::from_millis(5));
                assert!(server.io.next_event(server.owner).is_none(), "no buffer is left");
                held.drain(..).for_each(|bytes| received.extend(server.take(bytes)));
                rounds += 1;
            }
            None => {}
        }
        if received.len() + held.iter().map(|bytes| bytes.length as usize).sum::<usize>() == length
        {
            held.drain(..).for_each(|bytes| received.extend(server.take(bytes)));
        }
    }
    assert!(rounds > 0, "the pool was never used up");
    assert!(received == pattern(length));
    client.join().unwrap();
}

#[test]
fn a_paused_connection_is_silent_until_it_is_resumed() {
    let mut server = Server::new();
    let (mut client, connection) = server.pair();
    client.write_all(b"one").unwrap();
    assert_eq!(server.received(), b"one");
    server.io.pause(connection);
    server.io.poll_for(Duration::from_millis(5));
    client.write_all(b"two").unwrap();
    server.io.poll_for(Duration::from_millis(20));
    assert!(server.io.next_event(server.owner).is_none());
    server.io.resume(connection);
    assert_eq!(server.received(), b"two");
    // Changing one's mind before the kernel has heard of it loses nothing.
    server.io.pause(connection);
    server.io.resume(connection);
    client.write_all(b"three").unwrap();
    assert_eq!(server.received(), b"three");
    // The end of the stream waits with the bytes before it.
    server.io.pause(connection);
    server.io.poll_for(Duration::from_millis(5));
    client.write_all(b"four").unwrap();
    drop(client);
    server.io.poll_for(Duration::from_millis(20));
    assert!(server.io.next_event(server.owner).is_none());
    server.io.resume(connection);
    assert_eq!(server.received(), b"four");
    assert_eq!(server.closed(connection), None);
}

#[test]
fn sends_keep_their_order_and_close_sends_the_rest() {
    let mut server = Server::new();
    let (client, connection) = server.pair();
    let whole = pattern(9_000_000);
    let reader = in_thread(move || {
        sleep(Duration::from_millis(30));
        read_all(client).unwrap()
    });
    for piece in whole.chunks(123_457) {
        server.io.send(connection, piece);
        server.io.poll().unwrap();
    }
    assert!(server.io.unsent_bytes(connection) > 0, "the peer has not read yet");
    server.io.close(connection);
    assert_eq!(server.closed(connection), None);
    assert!(reader.join().unwrap() == whole);
}

#[test]
fn sent_is_told_when_the_kernel_has_everything() {
    let mut server = Server::new();
    let (mut client, connection) = server.pair();
    server.io.send(connection, b"hello ");
    server.io.send(connection, b"world");
    assert_eq!(server.io.unsent_bytes(connection), 11);
    assert!(matches!(server.event(), NetEvent::Sent { connection: sent } if sent == connection));
    assert_eq!(server.io.unsent_bytes(connection), 0);
    let mut bytes = [0; 11];
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"hello world");
}

#[test]
fn a_closed_connection_lingers_for_a_peer_that_stays_only_so_long() {
    let mut server = Server::new();
    let (client, connection) = server.pair();
    let before_ns = SystemClock.monotonic_ns();
    server.io.close(connection);
    assert_eq!(server.closed(connection), None);
    let waited_ms = (SystemClock.monotonic_ns() - before_ns) / 1_000_000;
    assert!((400..5_000).contains(&waited_ms), "{waited_ms} ms");
    assert_eq!(read_all(client).unwrap(), b"");
}

#[test]
fn abort_resets() {
    let mut server = Server::new();
    let (client, connection) = server.pair();
    server.io.send(connection, &pattern(20_000_000));
    server.io.poll_for(Duration::from_millis(5));
    server.io.abort(connection);
    let unsent_bytes = server.io.unsent_bytes(connection);
    assert!((1..20_000_000).contains(&unsent_bytes));
    match server.event() {
        // The kernel may have taken some more before it was told.
        NetEvent::Closed { error: None, unsent_bytes: lost, .. } => {
            assert!((1..=unsent_bytes).contains(&lost), "{lost} of {unsent_bytes}");
        }
        other => panic!("{other:?}"),
    }
    server.io.poll().unwrap();
    assert!(read_all(client).is_err());
}

#[test]
fn connecting_succeeds_or_says_why_not() {
    let mut server = Server::new();
    let connection = server.io.connect(server.owner, server.address);
    server.io.send(connection, b"sent while connecting");
    let (mut accepted, mut connected) = (None, false);
    while accepted.is_none() || !connected {
        match server.event() {
            NetEvent::Accepted { socket, .. } => accepted = Some(TcpStream::from(socket)),
            NetEvent::Connected { connection: id } if id == connection => connected = true,
            NetEvent::Sent { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    let mut bytes = [0; 21];
    accepted.unwrap().read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"sent while connecting");

    let mut lonely = Server::new();
    let address = lonely.address;
    lonely.io.close_listener(lonely.listener);
    lonely.io.poll_for(Duration::from_millis(5));
    let refused = lonely.io.connect(lonely.owner, address);
    assert_eq!(lonely.closed(refused), Some(io::ErrorKind::ConnectionRefused));
    let again = lonely.io.connect(lonely.owner, address);
    assert_ne!(again, refused);
    lonely.io.close(again);
    lonely.closed(again);
}

#[test]
fn a_taken_address_is_an_error() {
    let mut server = Server::new();
    let error = server.io.listen(server.owner, server.address).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}

#[test]
fn a_write_only_connection_outlives_its_peers_end_of_stream() {
    let mut server = Server::new();
    let (mut client, connection) = server.pair();
    server.io.write_only(connection);
    client.write_all(b"ignored").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    server.io.poll_for(Duration::from_millis(20));
    assert!(server.io.next_event(server.owner).is_none());
    server.io.send(connection, b"still here");
    assert!(matches!(server.event(), NetEvent::Sent { .. }));
    let mut bytes = [0; 10];
    client.read_exact(&mut bytes).unwrap();
    assert_eq!(&bytes, b"still here");
    drop(client);
    // The first bytes are answered with a reset, which nothing but a look from time to time tells.
    server.io.send(connection, b"anybody?");
    assert!(server.closed(connection).is_some());
}

#[test]
fn failing_to_accept_pauses_and_goes_on() {
    use crate::reactor::ring::Outcome;
    let mut ring_owner = CoreIo::for_test();
    let owner = ring_owner.register();
    let (listener, address) = ring_owner.listen(owner, "127.0.0.1:0".parse().unwrap()).unwrap();
    ring_owner.poll().unwrap();
    let no_descriptors = Outcome::Failed(io::Error::from_raw_os_error(libc::EMFILE), None);
    ring_owner.fail_accept_for_test(listener, no_descriptors);
    match ring_owner.next_event(owner) {
        Some(NetEvent::AcceptFailed { listener: failed, .. }) => assert_eq!(failed, listener),
        other => panic!("{other:?}"),
    }
    let _client = TcpStream::connect(address).unwrap();
    ring_owner.poll_for(Duration::from_millis(100));
    assert!(ring_owner.next_event(owner).is_none(), "accepting pauses");
    let before_ns = SystemClock.monotonic_ns();
    let event = ring_owner.until(|io| io.next_event(owner));
    assert!(matches!(event, NetEvent::Accepted { .. }), "{event:?}");
    assert!(SystemClock.monotonic_ns() - before_ns < 2_000_000_000);
}

/// One client's part in the random test: sends its pattern in random pieces, reads it back.
fn random_client(address: SocketAddr, seed: u64) -> usize {
    let mut rng = fastrand::Rng::with_seed(seed);
    let sent = pattern(rng.usize(1..400_000));
    let mut client = TcpStream::connect(address).unwrap();
    let mut writer = client.try_clone().unwrap();
    let (copy, mut write_rng) = (sent.clone(), rng.fork());
    let writing = in_thread(move || {
        let mut rest = &copy[..];
        while !rest.is_empty() {
            let (piece, left) = rest.split_at(write_rng.usize(1..=rest.len().min(20_000)));
            writer.write_all(piece).unwrap();
            rest = left;
            if write_rng.u8(..) < 30 {
                sleep(Duration::from_micros(write_rng.u64(0..500)));
            }
        }
    });
    let mut echoed = vec![0; sent.len()];
    client.read_exact(&mut echoed).unwrap();
    writing.join().unwrap();
    assert!(echoed == sent, "seed {seed}");
    sent.len()
}

/// Echoes while it pauses, resumes and holds buffers back at random.
fn random_server(seed: u64, clients: usize) {
    let mut server = Server::new();
    let mut rng = fastrand::Rng::with_seed(seed);
    let address = server.address;
    let threads: Vec<_> = (0..clients as u64)
        .map(|client| in_thread(move || random_client(address, seed * 100 + client)))
        .collect();
    let mut held: Vec<(ConnectionId, Received)> = Vec::new();
    let mut paused: HashMap<ConnectionId, bool> = HashMap::new();
    let mut closed = 0;
    while closed < clients {
        server.io.poll().unwrap();
        while let Some(event) = server.io.next_event(server.owner) {
            match event {
                NetEvent::Accepted { socket, .. } => {
                    paused.insert(server.io.adopt(server.owner, socket), false);
                }
                NetEvent::Received { connection, bytes } => held.push((connection, bytes)),
                NetEvent::Closed { error, .. } => {
                    assert!(error.is_none(), "seed {seed}: {error:?}");
                    closed += 1;
                }
                _ => {}
            }
        }
        for (connection, is_paused) in &mut paused {
            if rng.u8(..) < 10 {
                *is_paused = !*is_paused;
                match is_paused {
                    true => server.io.pause(*connection),
                    false => server.io.resume(*connection),
                }
            }
        }
        if rng.u8(..) < 100 {
            for (connection, bytes) in std::mem::take(&mut held) {
                let bytes = server.take(bytes);
                server.io.send(connection, &bytes);
            }
        }
        std::thread::yield_now();
    }
    for thread in threads {
        assert!(thread.join().unwrap() > 0);
    }
}

#[test]
fn random_pauses_lose_nothing() {
    for seed in 1..=4 {
        random_server(seed, 8);
    }
}
