//! Peers of a job on the network: producers that connect, subscribers that read lines.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::{DEADLINE, until};

/// Between two looks at a connection on which nothing may come.
const INSTANT: Duration = Duration::from_millis(10);

/// A connection to a job that listens.
#[track_caller]
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("the job listens");
    stream.set_read_timeout(Some(DEADLINE)).expect("the deadline is not zero");
    stream.set_write_timeout(Some(DEADLINE)).expect("the deadline is not zero");
    stream
}

/// The next connection of a job that connects.
#[track_caller]
pub(crate) fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).expect("a socket can be told not to wait");
    let (stream, _) = until("a connection of the job", || match listener.accept() {
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        accepted => Some(accepted.expect("the listener works")),
    });
    stream.set_nonblocking(false).expect("a socket can be told to wait");
    stream.set_read_timeout(Some(DEADLINE)).expect("the deadline is not zero");
    stream
}

/// Waits until the peer has closed the connection, with an end or a reset.
#[track_caller]
pub(crate) fn closed_by_peer(stream: &mut TcpStream) {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return,
            Err(error) => panic!("the connection was not closed: {error}"),
        }
    }
}

/// A subscriber.
pub(crate) struct LineReader {
    stream: TcpStream,
    /// Received, and not yet a line.
    pending: Vec<u8>,
}

impl LineReader {
    pub(crate) fn new(stream: TcpStream) -> LineReader {
        LineReader { stream, pending: Vec::new() }
    }

    /// The next line, without its line end; `None` at the end.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<String> {
        let began = Instant::now();
        loop {
            match self.look() {
                Look::Line(line) => return Some(line),
                Look::End => return None,
                Look::Nothing => assert!(began.elapsed() < DEADLINE, "no line in {DEADLINE:?}"),
            }
        }
    }

    /// The next line, if it comes within an instant.
    #[track_caller]
    pub(crate) fn try_next(&mut self) -> Option<String> {
        match self.look() {
            Look::Line(line) => Some(line),
            Look::Nothing => None,
            Look::End => panic!("the job closed the connection"),
        }
    }

    /// All lines to the end.
    #[track_caller]
    pub(crate) fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.next()).collect()
    }

    /// Goes away with a reset, which is what a connection with something unread gets.
    #[track_caller]
    pub(crate) fn reset(self) {
        self.stream.set_read_timeout(Some(DEADLINE)).expect("the deadline is not zero");
        let unread = self.stream.peek(&mut [0]).expect("something is there to be left unread");
        assert_eq!(unread, 1);
    }

    fn look(&mut self) -> Look {
        loop {
            if let Some(end) = self.pending.iter().position(|&byte| byte == b'\n') {
                let line = self.pending.drain(..=end).take(end).collect();
                return Look::Line(String::from_utf8(line).expect("rows are UTF-8"));
            }
            let mut buffer = [0; 4096];
            self.stream.set_read_timeout(Some(INSTANT)).expect("the time is not zero");
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    assert!(self.pending.is_empty(), "the last line has no line end");
                    return Look::End;
                }
                Ok(bytes) => self.pending.extend_from_slice(&buffer[..bytes]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Look::Nothing,
                Err(error) => panic!("a subscriber's connection failed: {error}"),
            }
        }
    }
}

enum Look {
    Line(String),
    Nothing,
    End,
}

/// Sends `line` until every subscriber has seen a row of it: until then rows may not be for all.
#[track_caller]
pub(crate) fn until_subscribed(
    producer: &mut TcpStream,
    line: &str,
    subscribers: &mut [LineReader],
) {
    let began = Instant::now();
    let mut waiting: Vec<&mut LineReader> = subscribers.iter_mut().collect();
    while !waiting.is_empty() {
        assert!(began.elapsed() < DEADLINE, "a subscriber gets nothing");
        producer.write_all(line.as_bytes()).expect("the job reads");
        waiting.retain_mut(|subscriber| subscriber.try_next().is_none());
    }
}
