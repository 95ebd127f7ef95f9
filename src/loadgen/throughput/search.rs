//! Search: which rates to try, and whether a queue grows.

use super::super::error::BenchError;

/// Records per second that are tried, least and most.
const RATE_MIN: u64 = 10;
const RATE_MAX: u64 = 64_000_000;

/// A queue may grow by so much of what is sent: it is measured, not counted.
const GROWTH_SHARE_MAX: f64 = 0.01;

/// … and by so many records, which is nothing at any rate worth a search.
const GROWTH_RECORDS_MIN: f64 = 20.0;

/// How a queue grew over a window.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Growth {
    /// By the line that fits best, from the window's beginning to its end.
    pub(super) records: f64,
    pub(super) is_too_much: bool,
}

/// Whether the queue grew, by its length at times of a window in which `planned` records were due.
pub(super) fn grows(looks: &[(f64, f64)], planned: f64) -> Growth {
    let count = looks.len() as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| looks.iter().map(pick).sum::<f64>() / count;
    let (mean_time, mean_length) = (mean(|look| look.0), mean(|look| look.1));
    let (mut covariance, mut variance) = (0.0, 0.0);
    for (time, length) in looks {
        covariance += (time - mean_time) * (length - mean_length);
        variance += (time - mean_time) * (time - mean_time);
    }
    let (Some((first, _)), Some((last, _))) = (looks.first(), looks.last()) else {
        // No look, no proof that the job keeps up.
        return Growth { records: 0.0, is_too_much: true };
    };
    let records = if variance > 0.0 { covariance / variance * (last - first) } else { 0.0 };
    let allowed = (GROWTH_SHARE_MAX * planned).max(GROWTH_RECORDS_MIN);
    Growth { records, is_too_much: records > allowed }
}

/// The highest rate that is sustained, up to `precision`; `None` when none is. `sustains` says `None` to end
/// the search.
pub(super) fn search(
    first: u64,
    precision: f64,
    mut sustains: impl FnMut(u64) -> Result<Option<bool>, BenchError>,
) -> Result<Option<u64>, BenchError> {
    let (mut sustained, mut failed) = (None, None);
    let mut rate = first.clamp(RATE_MIN, RATE_MAX);
    loop {
        match sustains(rate)? {
            None => return Ok(sustained),
            Some(true) => sustained = Some(rate),
            Some(false) => failed = Some(rate),
        }
        rate = match (sustained, failed) {
            (Some(low), None) if low == RATE_MAX => return Ok(Some(low)),
            (Some(low), None) => (low * 2).min(RATE_MAX),
            (None, Some(high)) if high == RATE_MIN => return Ok(None),
            (None, Some(high)) => (high / 2).max(RATE_MIN),
            (Some(low), Some(high)) => match between(low, high, precision) {
                Some(middle) => middle,
                None => return Ok(Some(low)),
            },
            (None, None) => unreachable!("the rate just tried is one of both"),
        };
    }
}

/// Halfway on a logarithmic scale, unless both are near enough.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "between two positive numbers of some millions"
)]
fn between(low: u64, high: u64, precision: f64) -> Option<u64> {
    if high as f64 <= low as f64 * (1.0 + precision) {
        return None;
    }
    let middle = (low as f64 * high as f64).sqrt() as u64;
    (low < middle && middle < high).then_some(middle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A job that sustains rates up to `limit`; the rates tried.
    fn tried(first: u64, precision: f64, limit: u64) -> (Option<u64>, Vec<u64>) {
        let mut rates = Vec::new();
        let found = search(first, precision, |rate| {
            rates.push(rate);
            Ok(Some(rate <= limit))
        });
        (found.unwrap(), rates)
    }

    #[test]
    fn the_limit_is_found_from_either_side() {
        for (first, limit) in [(1_000, 77_777), (1_000_000, 77_777), (77_777, 77_777), (10, 11)] {
            let (found, rates) = tried(first, 0.05, limit);
            let found = found.unwrap();
            assert!(found <= limit && found as f64 >= limit as f64 / 1.06, "{found} of {limit}");
            assert!(rates.len() < 20, "{rates:?}");
        }
        assert_eq!(tried(100, 0.5, 399), (Some(282), vec![100, 200, 400, 282]));
    }

    #[test]
    fn the_search_ends_at_both_ends() {
        assert_eq!(tried(1_000, 0.1, 0).0, None);
        assert_eq!(tried(1_000, 0.1, u64::MAX).0, Some(RATE_MAX));
        let mut left = 3;
        let found = search(100, 0.1, |_| {
            left -= 1;
            Ok((left > 0).then_some(true))
        });
        assert_eq!(found.unwrap(), Some(200));
    }

    /// A queue of these lengths at steps of 10 ms, in a window of which 10,000 records are due.
    #[track_caller]
    fn check(lengths: impl Iterator<Item = f64>, expected: bool) {
        let looks: Vec<(f64, f64)> =
            lengths.enumerate().map(|(step, length)| (step as f64 * 0.01, length)).collect();
        assert_eq!(grows(&looks, 10_000.0).is_too_much, expected, "{looks:?}");
    }

    #[test]
    fn a_queue_that_stays_or_shrinks_does_not_grow() {
        check((0..100).map(|_| 50.0), false);
        check((0..100).map(|step| f64::from(step % 7) * 100.0), false);
        check((0..100).map(|step| 5_000.0 - f64::from(step)), false);
        // One record in a hundred more than leaves.
        check((0..100).map(|step| f64::from(step) * 0.9), false);
        check((0..100).map(|step| f64::from(step) * 1.2), true);
        check((0..100).map(|step| f64::from(step) * 10.0), true);
        // A stall of a tenth of the window that is made up for.
        check((0..100).map(|step| if (45..55).contains(&step) { 900.0 } else { 5.0 }), false);
        check(std::iter::once(3.0), false);
        check(std::iter::empty(), true);
    }
}
