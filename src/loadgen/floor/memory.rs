//! Memory: a copy on one core, and a ring between two.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::super::error::BenchError;
use super::pinned::Pinned;
use super::{Deadline, Sample, latency_samples};
use crate::metrics::LatencyHistogram;
use crate::reactor::{Clock, MeshReceiver, MeshSender, SystemClock, Wake, channel};

/// Bytes copied at once: more than any cache holds.
const COPY_BYTES: usize = 64 * 1024 * 1024;

/// Slots of a ring.
const RING_SLOTS: usize = 1024;

/// Elements pushed between two looks at the clock.
const RING_BURST: u64 = 256;

/// Copying from one large buffer to another.
pub(super) fn copy(time: Duration) -> Result<Vec<Sample>, BenchError> {
    let (from, mut to) = (vec![1_u8; COPY_BYTES], vec![0_u8; COPY_BYTES]);
    let mut bytes = 0;
    let deadline = Deadline::after(time);
    while bytes == 0 || !deadline.has_passed() {
        to.copy_from_slice(std::hint::black_box(&from));
        std::hint::black_box(&to);
        bytes += COPY_BYTES;
    }
    Ok(vec![Sample::new("throughput", "GB/s", bytes as f64 / deadline.elapsed() / 1e9)])
}

/// Nobody sleeps, so nobody is woken.
struct NobodySleeps;

impl Wake for NobodySleeps {
    fn wake(&self) {}
}

fn ring() -> (MeshSender<u64>, MeshReceiver<u64>) {
    channel(RING_SLOTS, Arc::new(NobodySleeps))
}

/// There and back over two rings, and one way as fast as it goes.
pub(super) fn ring_between_cores(
    peer_cpu: usize,
    time: Duration,
) -> Result<Vec<Sample>, BenchError> {
    let mut samples = latency_samples(&ring_round_trips(peer_cpu, time / 2)?);
    let (mut sender, mut receiver) = ring();
    let peer = Pinned::start("ring", peer_cpu, move |stop: &AtomicBool| {
        let mut taken = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            while receiver.pop().is_some() {
                taken += 1;
            }
        }
        taken
    })?;
    let deadline = Deadline::after(time / 2);
    while !deadline.has_passed() {
        for number in 0..RING_BURST {
            // Full: what does not fit is not counted by the other side.
            let _ = sender.push(number);
        }
    }
    let passed = deadline.elapsed();
    let taken = peer.stop()?;
    samples.push(Sample::new("throughput", "M/s", taken as f64 / passed / 1e6));
    Ok(samples)
}

fn ring_round_trips(peer_cpu: usize, time: Duration) -> Result<LatencyHistogram, BenchError> {
    let (mut there, mut arrives) = ring();
    let (mut returns, mut back) = ring();
    let peer = Pinned::start("ring", peer_cpu, move |stop: &AtomicBool| {
        while !stop.load(Ordering::Relaxed) {
            if let Some(number) = arrives.pop() {
                // There is never more than one under way.
                let _ = returns.push(number);
            }
        }
    })?;
    let mut latencies = LatencyHistogram::new();
    let deadline = Deadline::after(time);
    let mut number = 0;
    while !deadline.has_passed() {
        let began_ns = SystemClock.monotonic_ns();
        number += 1;
        // As above.
        let _ = there.push(number);
        while back.pop().is_none() {
            std::hint::spin_loop();
        }
        latencies.record(SystemClock.monotonic_ns() - began_ns, 1);
    }
    peer.stop()?;
    Ok(latencies)
}
