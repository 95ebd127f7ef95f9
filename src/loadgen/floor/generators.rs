//! The generators alone: records written and thrown away. What is measured with them cannot be faster.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use super::super::error::BenchError;
use super::super::script::{Author, Script};
use super::super::wire::{RecordWriter, WireFormat};
use super::network::Sink;
use super::relay::write_polled;
use super::{Deadline, Sample};
use crate::workload::{KeyDistribution, Keys, Nexmark, NexmarkOptions};

/// As `bench latency` sends them.
const RECORD_BYTES: usize = 128;
const KEYS: u64 = 1_000;

/// Records between two looks at the clock, and in one write to a socket.
const BURST: u64 = 512;

/// JSON records of the load generator over TCP to a reader that throws them away.
pub(super) fn records(peer_cpu: usize, time: Duration) -> Result<Vec<Sample>, BenchError> {
    let writer = RecordWriter::new(WireFormat::Json, RECORD_BYTES);
    let records_per_second = records_floor(&writer, peer_cpu, time)?;
    Ok(vec![Sample::new("throughput", "M records/s", records_per_second / 1e6)])
}

/// Records per second of that, as this writer writes them.
pub(crate) fn records_floor(
    writer: &RecordWriter,
    peer_cpu: usize,
    time: Duration,
) -> Result<f64, BenchError> {
    let sink = Sink::start(peer_cpu)?;
    let mut stream = sink.connect()?;
    let keys = Keys::new(KEYS, KeyDistribution::Uniform);
    let mut author = Author::new(Script { seed: 1, keys, unwanted_every: 0 });
    let never = AtomicBool::new(false);
    let mut lines = Vec::new();
    let mut sent = 0_u64;
    let deadline = Deadline::after(time);
    while !deadline.has_passed() {
        lines.clear();
        for number in sent..sent + BURST {
            writer.write(&author.next(number), &mut lines);
        }
        write_polled(&mut stream, &lines, &never)
            .map_err(|error| BenchError::io("writing to a reader", &error))?;
        sent += BURST;
    }
    let passed = deadline.elapsed();
    sink.stop()?;
    Ok(sent as f64 / passed)
}

/// All columns of Nexmark's events, as the source makes them.
pub(super) fn nexmark(time: Duration) -> Result<Vec<Sample>, BenchError> {
    Ok(vec![Sample::new("throughput", "M events/s", made_floor(time) / 1e6)])
}

/// Nexmark's events per second of one core, made and dropped.
pub(crate) fn made_floor(time: Duration) -> f64 {
    let stream = Nexmark::new(NexmarkOptions::PUBLISHED);
    let rows = stream.batch_rows_max();
    let mut made = 0_u64;
    let deadline = Deadline::after(time);
    while made == 0 || !deadline.has_passed() {
        std::hint::black_box(stream.batch(made, rows));
        made += rows as u64;
    }
    made as f64 / deadline.elapsed()
}
