//! Sockets over loopback with nothing behind them: echo, and a bare read loop.

use std::io::{self, ErrorKind, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::super::driver::polled;
use super::super::error::BenchError;
use super::pinned::Pinned;
use super::relay::{accept, listener, write_polled};
use super::{Deadline, Sample, latency_samples};
use crate::metrics::LatencyHistogram;
use crate::reactor::{Clock, SystemClock};

/// Bytes of an echo: a short record.
const ECHO_BYTES: usize = 64;

/// Bytes of one read or write of the read loop.
const CHUNK_BYTES: usize = 128 * 1024;

/// 64 bytes there and back, both sides polling.
pub(super) fn echo(peer_cpu: usize, time: Duration) -> Result<Vec<Sample>, BenchError> {
    let failed = |error: io::Error| BenchError::io("echo", &error);
    let (listening, address) = listener().map_err(failed)?;
    let peer = Pinned::start("echo", peer_cpu, move |stop: &AtomicBool| {
        let Some(mut stream) = accept(&listening, stop)? else { return Ok(()) };
        let mut buffer = [0; ECHO_BYTES];
        while let Some(bytes) = read_polled(&mut stream, &mut buffer, stop)? {
            write_polled(&mut stream, &buffer[..bytes], stop)?;
        }
        Ok(())
    })?;
    let mut stream = TcpStream::connect(address).and_then(polled).map_err(failed)?;
    let mut latencies = LatencyHistogram::new();
    let deadline = Deadline::after(time);
    let never = AtomicBool::new(false);
    let mut buffer = [0; ECHO_BYTES];
    while !deadline.has_passed() {
        let began_ns = SystemClock.monotonic_ns();
        write_polled(&mut stream, &buffer, &never).map_err(failed)?;
        let mut come = 0;
        while come < ECHO_BYTES {
            match read_polled(&mut stream, &mut buffer[come..], &never).map_err(failed)? {
                Some(bytes) => come += bytes,
                None => return Err(failed(ErrorKind::UnexpectedEof.into())),
            }
        }
        latencies.record(SystemClock.monotonic_ns() - began_ns, 1);
    }
    peer.stop()?.map_err(failed)?;
    Ok(latency_samples(&latencies))
}

/// The next bytes; `None` at the end of the stream or when told to stop.
fn read_polled(
    stream: &mut TcpStream,
    buffer: &mut [u8],
    stop: &AtomicBool,
) -> io::Result<Option<usize>> {
    while !stop.load(Ordering::Relaxed) {
        match stream.read(buffer) {
            Ok(0) => return Ok(None),
            Ok(bytes) => return Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// A peer that reads and forgets.
#[derive(Debug)]
pub(crate) struct Sink {
    address: SocketAddr,
    bytes: Arc<AtomicU64>,
    thread: Pinned<io::Result<()>>,
}

impl Sink {
    /// On `cpu`, for one connection.
    pub(crate) fn start(cpu: usize) -> Result<Sink, BenchError> {
        let failed = |error| BenchError::io("starting a reader", &error);
        let (listening, address) = listener().map_err(failed)?;
        let bytes = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&bytes);
        let thread = Pinned::start("reader", cpu, move |stop: &AtomicBool| {
            let Some(mut stream) = accept(&listening, stop)? else { return Ok(()) };
            let mut buffer = vec![0; CHUNK_BYTES];
            while let Some(come) = read_polled(&mut stream, &mut buffer, stop)? {
                counted.fetch_add(come as u64, Ordering::Relaxed);
            }
            Ok(())
        })?;
        Ok(Sink { address, bytes, thread })
    }

    /// A connection to it.
    pub(crate) fn connect(&self) -> Result<TcpStream, BenchError> {
        let stream = TcpStream::connect(self.address).and_then(polled);
        stream.map_err(|error| BenchError::io("connecting to a reader", &error))
    }

    /// Bytes read so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Ends it.
    pub(crate) fn stop(self) -> Result<(), BenchError> {
        self.thread.stop()?.map_err(|error| BenchError::io("a reader", &error))
    }
}

/// One connection, written and read in large pieces and thrown away.
pub(super) fn read_loop(peer_cpu: usize, time: Duration) -> Result<Vec<Sample>, BenchError> {
    let bytes_per_second = read_loop_floor(peer_cpu, time)?;
    Ok(vec![Sample::new("throughput", "MB/s", bytes_per_second / 1e6)])
}

/// Bytes per second of that.
pub(crate) fn read_loop_floor(peer_cpu: usize, time: Duration) -> Result<f64, BenchError> {
    let sink = Sink::start(peer_cpu)?;
    let mut stream = sink.connect()?;
    let chunk = vec![b'x'; CHUNK_BYTES];
    let never = AtomicBool::new(false);
    let deadline = Deadline::after(time);
    while !deadline.has_passed() {
        write_polled(&mut stream, &chunk, &never)
            .map_err(|error| BenchError::io("writing to a reader", &error))?;
    }
    let (bytes, passed) = (sink.bytes(), deadline.elapsed());
    sink.stop()?;
    Ok(bytes as f64 / passed)
}
