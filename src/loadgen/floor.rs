//! Floors: the least that anything on this machine can take, to compare with.
//!
//! Read: `pinned` (a thread that polls) · `relay` (lines from socket to socket) · `network` · `memory` ·
//! `disk` · `generators` (each a floor or two) · `suite` (all of them: `bench floor`).

mod disk;
mod generators;
mod memory;
mod network;
mod pinned;
mod relay;
mod suite;

use std::time::Duration;

use crate::metrics::LatencyHistogram;
use crate::reactor::{Clock, SystemClock};

pub(super) use disk::{files_in, read_floor};
pub(super) use generators::{made_floor, records_floor};
pub(super) use network::read_loop_floor;
pub(super) use relay::Relay;
pub use suite::{FloorOptions, FloorReport, floor};

/// One figure of one round.
#[derive(Clone, PartialEq, Debug)]
struct Sample {
    figure: &'static str,
    unit: &'static str,
    value: f64,
}

impl Sample {
    fn new(figure: &'static str, unit: &'static str, value: f64) -> Sample {
        Sample { figure, unit, value }
    }
}

/// Microseconds; a ring's round trip is a fraction of one.
fn latency_samples(latencies: &LatencyHistogram) -> Vec<Sample> {
    let quantiles = [("p50", 0.5), ("p99", 0.99), ("p99.9", 0.999)];
    let at = |quantile| latencies.quantile_ns(quantile) as f64 / 1_000.0;
    quantiles.map(|(figure, quantile)| Sample::new(figure, "µs", at(quantile))).to_vec()
}

/// When a measurement ends, and how long it has taken.
#[derive(Clone, Copy, Debug)]
struct Deadline {
    began_ns: u64,
    time: Duration,
}

impl Deadline {
    fn after(time: Duration) -> Deadline {
        Deadline { began_ns: SystemClock.monotonic_ns(), time }
    }

    fn has_passed(&self) -> bool {
        u128::from(SystemClock.monotonic_ns() - self.began_ns) >= self.time.as_nanos()
    }

    /// Seconds since the beginning.
    fn elapsed(&self) -> f64 {
        Duration::from_nanos(SystemClock.monotonic_ns() - self.began_ns).as_secs_f64()
    }
}
