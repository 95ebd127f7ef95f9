//! Latency histograms: nanoseconds, three significant digits, up to an hour.

use hdrhistogram::Histogram;
use std::fmt;

/// Longest latency that is told apart, ns.
const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// A distribution of latencies on one core; merged on read.
#[derive(Clone)]
pub struct LatencyHistogram(Histogram<u64>);

impl LatencyHistogram {
    /// Shortest and longest latency that are told apart, ns.
    pub const BOUNDS_NS: (u64, u64) = (1, LATENCY_NS_MAX);

    /// Significant decimal digits of a latency.
    pub const DIGITS: u8 = 3;

    /// An empty one.
    pub fn new() -> LatencyHistogram {
        let histogram = Histogram::new_with_bounds(1, LATENCY_NS_MAX, Self::DIGITS);
        LatencyHistogram(histogram.expect("the bounds are valid"))
    }

    /// `count` records took `latency_ns`; longer than an hour counts as an hour.
    pub fn record(&mut self, latency_ns: u64, count: u64) {
        self.0.saturating_record_n(latency_ns, count);
    }

    /// Adds everything in `other`.
    pub fn merge(&mut self, other: &LatencyHistogram) {
        self.0.add(&other.0).expect("all latency histograms have the same bounds");
    }

    /// Records counted.
    pub fn count(&self) -> u64 {
        self.0.len()
    }

    /// The latency that the share `quantile` (0 to 1) of records does not exceed, ns.
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        self.0.value_at_quantile(quantile)
    }

    /// How many records are in each bucket of the histogram, shortest latencies first.
    pub fn bucket_counts(&self) -> impl Iterator<Item = u64> {
        self.0.iter_all().map(|bucket| bucket.count_at_value())
    }

    /// The longest, ns.
    pub fn max_ns(&self) -> u64 {
        self.0.max()
    }
}

impl Default for LatencyHistogram {
    fn default() -> Self {
        LatencyHistogram::new()
    }
}

impl fmt::Debug for LatencyHistogram {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} records, p50 {} ns", self.count(), self.quantile_ns(0.5))
    }
}
