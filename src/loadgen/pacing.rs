//! Pacing: when each record is due, fixed before the first one is sent.
//!
//! In:  a rate, a shape, a duration.
//! Out: planned send times in order, nanoseconds from the beginning.
//!
//! The times depend on nothing that happens while they pass: this is an open loop, so that a stall of
//! the receiver shows in the latency of every record that was due meanwhile.

use std::time::Duration;

use crate::workload::Random;

const SECOND_NS: u64 = 1_000_000_000;

/// Records per second at most: a record per nanosecond.
pub const RATE_MAX: u64 = SECOND_NS;

/// How the records of a second lie in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Equal gaps.
    Steady,
    /// Half a second at one and a half times the rate, half a second at half of it, and so on.
    Square,
    /// Random gaps, as of many independent senders: exponentially distributed.
    Poisson,
}

/// Planned send times.
#[derive(Clone, Debug)]
pub(super) struct Pacing {
    shape: Shape,
    rate: u64,
    end_ns: u64,
    /// Number of the next record.
    next: u64,
    /// When it is due.
    due_ns: u64,
    /// Gaps of a Poisson process follow from it.
    seed: u64,
}

impl Pacing {
    /// `rate` records per second on the average, from 1 to [`RATE_MAX`].
    pub(super) fn new(shape: Shape, rate: u64, duration: Duration, seed: u64) -> Pacing {
        assert!((1..=RATE_MAX).contains(&rate));
        let end_ns = u64::try_from(duration.as_nanos()).expect("a run takes less than 500 years");
        let mut pacing = Pacing { shape, rate, end_ns, next: 0, due_ns: 0, seed };
        pacing.due_ns = pacing.due_at(0, 0);
        pacing
    }

    /// When the next record is due; `None` when there is none.
    pub(super) fn next_due_ns(&self) -> Option<u64> {
        (self.due_ns < self.end_ns).then_some(self.due_ns)
    }

    /// The next record has been sent.
    pub(super) fn advance(&mut self) {
        self.next += 1;
        self.due_ns = self.due_at(self.next, self.due_ns);
    }

    /// When record `number` is due; the one before it was due at `before_ns`.
    fn due_at(&self, number: u64, before_ns: u64) -> u64 {
        let rate = self.rate;
        let (second, place) = (number / rate * SECOND_NS, number % rate);
        match self.shape {
            Shape::Steady => second + place * SECOND_NS / rate,
            Shape::Square => second + square_offset_ns(place, rate),
            Shape::Poisson if number == 0 => 0,
            Shape::Poisson => {
                before_ns.saturating_add(gap_ns(rate, &mut Random::new(self.seed, number)))
            }
        }
    }
}

/// Three quarters of the records of a second lie in its first half.
fn square_offset_ns(place: u64, rate: u64) -> u64 {
    let half_ns = SECOND_NS / 2;
    let fast = (rate * 3).div_ceil(4);
    if place < fast {
        return place * half_ns / fast;
    }
    half_ns + (place - fast) * half_ns / (rate - fast)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most 37 mean gaps, of a second at most; not negative"
)]
fn gap_ns(rate: u64, random: &mut Random) -> u64 {
    let mean_ns = SECOND_NS as f64 / rate as f64;
    (-(1.0 - random.fraction()).ln() * mean_ns) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(shape: Shape, rate: u64, ms: u64) -> Vec<u64> {
        let mut pacing = Pacing::new(shape, rate, Duration::from_millis(ms), 5);
        let mut times = Vec::new();
        while let Some(due_ns) = pacing.next_due_ns() {
            times.push(due_ns);
            pacing.advance();
        }
        times
    }

    #[track_caller]
    fn check(shape: Shape, rate: u64, ms: u64, expected_ms: &[u64]) {
        let found: Vec<u64> = times(shape, rate, ms).iter().map(|ns| ns / 1_000_000).collect();
        assert_eq!(found, expected_ms, "{shape:?}, {rate}/s, {ms} ms");
    }

    #[test]
    fn steady_records_have_equal_gaps() {
        check(Shape::Steady, 4, 1_500, &[0, 250, 500, 750, 1_000, 1_250]);
        check(Shape::Steady, 1, 2_001, &[0, 1_000, 2_000]);
        check(Shape::Steady, 3, 1_000, &[0, 333, 666]);
        check(Shape::Steady, 4, 0, &[]);
        assert_eq!(times(Shape::Steady, 50_000, 2_000).len(), 100_000);
        assert_eq!(times(Shape::Steady, RATE_MAX, 1).len(), 1_000_000);
    }

    #[test]
    fn a_square_wave_is_dense_in_the_first_half_of_each_second() {
        check(Shape::Square, 4, 2_000, &[0, 166, 333, 500, 1_000, 1_166, 1_333, 1_500]);
        check(Shape::Square, 1, 2_000, &[0, 1_000]);
        let times = times(Shape::Square, 1_000, 1_000);
        assert_eq!(times.iter().filter(|ns| **ns < SECOND_NS / 2).count(), 750);
        assert_eq!(times.len(), 1_000);
    }

    #[test]
    fn poisson_gaps_are_exponential() {
        let times = times(Shape::Poisson, 10_000, 10_000);
        // 100,000 expected, with a standard deviation of 316.
        assert!((98_800..101_200).contains(&times.len()), "{}", times.len());
        let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let share = |limit_ns: u64| {
            gaps.iter().filter(|gap| **gap < limit_ns).count() as f64 / gaps.len() as f64
        };
        // The mean is 100 us; 1 - e^-1 of the gaps are shorter, 1 - e^-0.1 shorter than a tenth.
        assert!((share(100_000) - 0.632).abs() < 0.01, "{}", share(100_000));
        assert!((share(10_000) - 0.095).abs() < 0.005, "{}", share(10_000));
    }

    #[test]
    fn the_same_plan_has_the_same_times_and_never_goes_back() {
        for shape in [Shape::Steady, Shape::Square, Shape::Poisson] {
            let first = times(shape, 7_919, 1_300);
            assert_eq!(first, times(shape, 7_919, 1_300));
            assert!(first.is_sorted(), "{shape:?}");
        }
    }
}
