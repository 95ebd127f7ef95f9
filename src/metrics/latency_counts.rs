//! Latencies counted in buckets that are cheap to hand over: a core gives away what it counted since
//! the last report, and begins anew.
//!
//! 32 buckets per doubling, so that a value is told to 3 %. Up to an hour; longer counts as that.

/// Buckets per doubling, as a power of two.
const BITS: u32 = 5;

/// The longest latency that is told apart: 2^42 ns, 73 minutes.
const DOUBLINGS_MAX: u32 = 42;

const BUCKETS: usize = ((DOUBLINGS_MAX - BITS + 1) as usize) << BITS;

/// What a core counts.
#[derive(Clone, Debug)]
pub struct LatencyCounts {
    counts: Box<[u64]>,
    /// The buckets that may not be empty.
    first: usize,
    end: usize,
}

/// What it counted since it was asked last: buckets that are not empty.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct LatencyDelta(Vec<(u16, u64)>);

impl Default for LatencyCounts {
    fn default() -> Self {
        LatencyCounts { counts: vec![0; BUCKETS].into(), first: BUCKETS, end: 0 }
    }
}

impl LatencyCounts {
    /// `count` records took `latency_ns`.
    pub fn record(&mut self, latency_ns: u64, count: u64) {
        let bucket = bucket_of(latency_ns);
        self.counts[bucket] += count;
        (self.first, self.end) = (self.first.min(bucket), self.end.max(bucket + 1));
    }

    /// Adds what another has counted.
    pub fn add(&mut self, delta: &LatencyDelta) {
        for &(bucket, count) in &delta.0 {
            let bucket = usize::from(bucket);
            self.counts[bucket] += count;
            (self.first, self.end) = (self.first.min(bucket), self.end.max(bucket + 1));
        }
    }

    /// Takes back what was added once: it is too old.
    pub fn remove(&mut self, delta: &LatencyDelta) {
        for &(bucket, count) in &delta.0 {
            let counted = &mut self.counts[usize::from(bucket)];
            assert!(*counted >= count, "only what was added is removed");
            *counted -= count;
        }
    }

    /// Everything so far, which then is nothing.
    pub fn take(&mut self) -> LatencyDelta {
        let mut delta = Vec::new();
        for bucket in self.first..self.end {
            let count = std::mem::take(&mut self.counts[bucket]);
            if count > 0 {
                delta.push((u16::try_from(bucket).expect("buckets are few"), count));
            }
        }
        (self.first, self.end) = (BUCKETS, 0);
        LatencyDelta(delta)
    }

    /// Records counted.
    pub fn count(&self) -> u64 {
        self.counts[self.first.min(self.end)..self.end].iter().sum()
    }

    /// The latency that the share `quantile` (0 to 1) of records does not exceed, ns; 0 of none.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a rank, rounded up; quantiles are shown with two digits"
    )]
    pub fn quantile_ns(&self, quantile: f64) -> u64 {
        let wanted = (self.count() as f64 * quantile).ceil().max(1.0) as u64;
        let mut seen = 0;
        for bucket in self.first.min(self.end)..self.end {
            seen += self.counts[bucket];
            if seen >= wanted {
                return upper_ns(bucket);
            }
        }
        0
    }

    /// How many took no longer than `bound_ns`, to the precision of a bucket.
    pub fn count_up_to(&self, bound_ns: u64) -> u64 {
        let end = (bucket_of(bound_ns) + 1).min(self.end);
        self.counts[self.first.min(end)..end].iter().sum()
    }

    /// The sum of all, ns, to the precision of a bucket.
    pub fn sum_ns(&self) -> u64 {
        let of = |bucket: usize| self.counts[bucket].saturating_mul(upper_ns(bucket));
        (self.first.min(self.end)..self.end).map(of).fold(0, u64::saturating_add)
    }
}

fn bucket_of(latency_ns: u64) -> usize {
    let latency_ns = latency_ns.min((1 << DOUBLINGS_MAX) - 1);
    let shift = (u64::BITS - latency_ns.leading_zeros()).saturating_sub(BITS + 1);
    let within = usize::try_from(latency_ns >> shift).expect("six bits");
    ((shift as usize) << BITS) + within
}

/// The longest latency that a bucket holds.
fn upper_ns(bucket: usize) -> u64 {
    let shift = (bucket >> BITS).saturating_sub(1);
    let within = (bucket - (shift << BITS)) as u64;
    ((within + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_latency_is_in_the_bucket_whose_bound_is_just_above() {
        let mut before = None;
        for latency_ns in (0..5_000).chain((13..42).flat_map(|bits| {
            let start = 1_u64 << bits;
            [start - 1, start, start + 1, start + start / 3]
        })) {
            let bucket = bucket_of(latency_ns);
            let upper = upper_ns(bucket);
            assert!(latency_ns <= upper, "{latency_ns} {bucket} {upper}");
            assert!(upper - latency_ns <= latency_ns / 32 + 1, "{latency_ns} {bucket} {upper}");
            if latency_ns < 5_000 {
                assert!(before <= Some(bucket), "{latency_ns}");
                before = Some(bucket);
            }
        }
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
        assert_eq!(bucket_of(upper_ns(BUCKETS - 1)), BUCKETS - 1);
    }

    #[test]
    fn quantiles_are_those_of_what_was_recorded() {
        let mut counts = LatencyCounts::default();
        assert_eq!((counts.count(), counts.quantile_ns(0.5)), (0, 0));
        (1..=100).for_each(|latency_us| counts.record(latency_us * 1_000, 1));
        for (quantile, expected) in [(0.0, 1_000), (0.5, 50_000), (0.99, 99_000), (1.0, 100_000)] {
            let found = counts.quantile_ns(quantile);
            assert!((expected..=expected + expected / 30).contains(&found), "{quantile}: {found}");
        }
        assert_eq!(counts.count_up_to(50_000), 50);
    }

    /// What is taken, added and removed again leaves nothing.
    #[test]
    fn deltas_add_up() {
        let mut core = LatencyCounts::default();
        let mut all = LatencyCounts::default();
        let mut deltas = Vec::new();
        for round in 0..10_u64 {
            core.record(round * 777, round + 1);
            core.record(1_000_000 * round, 2);
            let delta = core.take();
            assert_eq!(core.count(), 0);
            all.add(&delta);
            deltas.push(delta);
        }
        assert_eq!(all.count(), 55 + 20);
        deltas.iter().for_each(|delta| all.remove(delta));
        assert_eq!((all.count(), all.quantile_ns(0.9), all.sum_ns()), (0, 0, 0));
        assert_eq!(core.take(), LatencyDelta::default());
    }
}
