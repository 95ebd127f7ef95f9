//! Relay: lines from connections to a connection, polled and passed on as they are. What a job does
//! above it is the job's.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use memchr::memrchr;

use super::super::driver::{Target, polled};
use super::super::error::BenchError;
use super::pinned::Pinned;
use crate::reactor::thread_cpu;

/// Bytes of one read.
const READ_BYTES: usize = 64 * 1024;

/// A relay that runs. Ends when dropped.
#[derive(Debug)]
pub(crate) struct Relay {
    target: Target,
    thread: Pinned<Duration>,
}

impl Relay {
    /// On `cpu`, for so many connections of records and one of results.
    ///
    /// # Errors
    /// When there is no free port or no thread.
    pub(crate) fn start(cpu: usize, connections: usize) -> Result<Relay, BenchError> {
        let failed = |error| BenchError::io("starting the relay", &error);
        let (inputs, input) = listener().map_err(failed)?;
        let (outputs, output) = listener().map_err(failed)?;
        let body = move |stop: &AtomicBool| relay(&inputs, &outputs, connections, stop);
        let thread = Pinned::start("relay", cpu, body)?;
        Ok(Relay { target: Target { input, output }, thread })
    }

    /// Where its sockets listen.
    pub(crate) fn target(&self) -> Target {
        self.target
    }

    /// Ends it; the CPU it has used.
    ///
    /// # Errors
    /// When it could not be pinned.
    pub(crate) fn stop(self) -> Result<Duration, BenchError> {
        self.thread.stop()
    }
}

/// A listening socket on loopback that can be polled.
pub(super) fn listener() -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// The next connection; `None` when told to stop.
pub(super) fn accept(
    listener: &TcpListener,
    stop: &AtomicBool,
) -> std::io::Result<Option<TcpStream>> {
    while !stop.load(Ordering::Relaxed) {
        match listener.accept() {
            Ok((stream, _)) => return polled(stream).map(Some),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Passes lines on until told to stop or the peer is gone; the CPU this took.
fn relay(
    inputs: &TcpListener,
    outputs: &TcpListener,
    connections: usize,
    stop: &AtomicBool,
) -> Duration {
    // A peer that goes away ends the relay; its own side tells what happened.
    let _ = pass_on(inputs, outputs, connections, stop);
    thread_cpu()
}

fn pass_on(
    inputs: &TcpListener,
    outputs: &TcpListener,
    connections: usize,
    stop: &AtomicBool,
) -> std::io::Result<()> {
    let Some(mut output) = accept(outputs, stop)? else { return Ok(()) };
    let mut from = Vec::new();
    for _ in 0..connections {
        let Some(stream) = accept(inputs, stop)? else { return Ok(()) };
        from.push((stream, Vec::new()));
    }
    let mut buffer = vec![0; READ_BYTES];
    while !stop.load(Ordering::Relaxed) {
        for (stream, tail) in &mut from {
            let bytes = match stream.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(bytes) => &buffer[..bytes],
                Err(error) if error.kind() == ErrorKind::WouldBlock => continue,
                Err(error) => return Err(error),
            };
            // Whole lines, so that those of several connections do not mix.
            let Some(end) = memrchr(b'\n', bytes) else {
                tail.extend_from_slice(bytes);
                continue;
            };
            if !tail.is_empty() {
                write_polled(&mut output, tail, stop)?;
                tail.clear();
            }
            write_polled(&mut output, &bytes[..=end], stop)?;
            tail.extend_from_slice(&bytes[end + 1..]);
        }
    }
    Ok(())
}

/// Writes all of it, trying again and again.
pub(super) fn write_polled(
    stream: &mut TcpStream,
    mut bytes: &[u8],
    stop: &AtomicBool,
) -> std::io::Result<()> {
    while !bytes.is_empty() && !stop.load(Ordering::Relaxed) {
        match stream.write(bytes) {
            Ok(taken) => bytes = &bytes[taken..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reactor::allowed_cpus;
    use std::io::BufRead;

    #[test]
    fn lines_of_several_connections_arrive_whole() {
        let cpu = *allowed_cpus().unwrap().last().unwrap();
        let relay = Relay::start(cpu, 2).unwrap();
        let target = relay.target();
        let output = TcpStream::connect(target.output).unwrap();
        let mut inputs = [(); 2].map(|()| TcpStream::connect(target.input).unwrap());
        inputs[0].write_all(b"a1\na").unwrap();
        let mut lines = std::io::BufReader::new(output).lines();
        let mut next = || lines.next().unwrap().unwrap();
        assert_eq!(next(), "a1");
        inputs[1].write_all(b"b1\n").unwrap();
        assert_eq!(next(), "b1");
        inputs[0].write_all(b"2\na3\n").unwrap();
        assert_eq!([next(), next()], ["a2", "a3"]);
        assert!(relay.stop().unwrap() > Duration::ZERO);
    }

    #[test]
    fn a_relay_without_peers_ends_when_dropped() {
        drop(Relay::start(allowed_cpus().unwrap()[0], 1).unwrap());
        assert!(Relay::start(100_000, 1).unwrap().stop().is_err());
    }
}
