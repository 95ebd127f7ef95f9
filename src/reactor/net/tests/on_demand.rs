//! Connections from which nothing is received but what their owner asks for.

use super::*;

impl Server {
    /// A client and its connection here, on demand.
    fn pair_on_demand(&mut self) -> (TcpStream, ConnectionId) {
        let client = TcpStream::connect(self.address).unwrap();
        match self.event() {
            NetEvent::Accepted { socket, .. } => {
                (client, self.io.adopt_on_demand(self.owner, socket))
            }
            other => panic!("{other:?}"),
        }
    }

    /// Asks for up to `bytes_max` more bytes behind `memory`; what it has then.
    fn fill(&mut self, connection: ConnectionId, memory: Vec<u8>, bytes_max: usize) -> Vec<u8> {
        self.io.receive_into(connection, memory, bytes_max);
        match self.event() {
            NetEvent::Filled { connection: filled, memory: full, count } => {
                assert_eq!(filled, connection);
                assert!(0 < count && count <= bytes_max);
                full
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn nothing_comes_that_was_not_asked_for() {
    let mut server = Server::new();
    let (mut client, connection) = server.pair_on_demand();
    client.write_all(&pattern(10_000)).unwrap();
    server.io.poll_for(Duration::from_millis(20));
    assert!(server.io.next_event(server.owner).is_none());
    // Into the memory itself, behind what it holds, up to its capacity.
    let mut memory = Vec::with_capacity(8_000);
    memory.extend_from_slice(b"head");
    let place = memory.as_ptr();
    let memory = server.fill(connection, memory, 6_000);
    assert_eq!((memory.as_ptr(), memory.len()), (place, 6_004));
    let memory = server.fill(connection, memory, 6_000);
    assert_eq!((memory.as_ptr(), memory.len()), (place, 8_000));
    assert_eq!(memory[4..], pattern(10_000)[..7_996]);
    // Asked for before it comes.
    let rest = server.fill(connection, Vec::with_capacity(8_000), 8_000);
    assert_eq!(rest, pattern(10_000)[7_996..]);
    server.io.receive_into(connection, Vec::with_capacity(10), 10);
    server.io.poll_for(Duration::from_millis(5));
    client.write_all(b"x").unwrap();
    assert!(matches!(server.event(), NetEvent::Filled { count: 1, .. }));
    // The peer's end is something to receive, and then the end.
    client.shutdown(Shutdown::Write).unwrap();
    server.io.send(connection, b"answer");
    server.io.receive_into(connection, Vec::with_capacity(10), 10);
    assert_eq!(server.closed(connection), None);
    assert_eq!(read_all(client).unwrap(), b"answer");
}

#[test]
fn a_connection_is_closed_while_something_is_asked_for() {
    let mut server = Server::new();
    for abort in [false, true] {
        let (mut client, connection) = server.pair_on_demand();
        server.io.receive_into(connection, Vec::with_capacity(10), 10);
        server.io.poll_for(Duration::from_millis(2));
        if abort {
            server.io.abort(connection);
        } else {
            server.io.send(connection, b"bye");
            server.io.close(connection);
            // What comes now is thrown away.
            client.write_all(b"more").unwrap();
            server.io.poll_for(Duration::from_millis(5));
            assert_eq!(read_all(client.try_clone().unwrap()).unwrap(), b"bye");
            client.shutdown(Shutdown::Write).unwrap();
        }
        assert_eq!(server.closed(connection), None);
        server.io.receive_into(connection, Vec::with_capacity(10), 10);
        assert!(server.io.detach(connection).is_none());
    }
}

#[test]
fn a_socket_moves_to_another_core_with_what_it_has_not_given() {
    let mut server = Server::new();
    let (mut client, connection) = server.pair_on_demand();
    client.write_all(b"one two").unwrap();
    assert_eq!(server.fill(connection, Vec::with_capacity(4), 4), b"one ");
    let socket = server.io.detach(connection).unwrap();
    assert!(server.io.detach(connection).is_none());
    let mut other = CoreIo::for_test();
    let owner = other.register();
    let adopted = other.adopt_on_demand(owner, socket);
    other.receive_into(adopted, Vec::with_capacity(64), 64);
    match other.until(|io| io.next_event(owner)) {
        NetEvent::Filled { memory, .. } => assert_eq!(memory, b"two"),
        event => panic!("{event:?}"),
    }
    other.send(adopted, b"three");
    other.close(adopted);
    other.poll_for(Duration::from_millis(5));
    assert_eq!(read_all(client).unwrap(), b"three");
}

#[test]
fn a_reset_is_an_error() {
    let mut server = Server::new();
    let (client, connection) = server.pair_on_demand();
    server.io.receive_into(connection, Vec::with_capacity(10), 10);
    server.io.poll_for(Duration::from_millis(2));
    sys::reset_on_close(&OwnedFd::from(client)).unwrap();
    assert_eq!(server.closed(connection), Some(io::ErrorKind::ConnectionReset));
}
