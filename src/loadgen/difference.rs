//! Difference: how many times one figure is another, and whether that is more than noise.
//!
//! In:  the values of a figure in two results, by run.
//! Out: the ratio, the interval it lies in, a verdict.
//!
//! The ratio is the median of the ratios of all pairs of runs (Hodges and Lehmann), its interval that of Mann and
//! Whitney's test, exact for as many runs as a person waits for: it asks for no distribution, and one stalled run
//! does not move it. Runs of one command share its hour: what changes from day to day is not in it.

use serde::Serialize;

use super::result::{Better, Figure};

/// An interval fails to hold the ratio as often as this.
const ERROR_MAX: f64 = 0.05;

/// … in standard deviations of a normal distribution.
const DEVIATIONS: f64 = 1.96;

/// Runs of both up to which the distribution is counted out; beyond it is as good as normal.
const EXACT_RUNS_MAX: usize = 50;

/// Values of one figure that are paired; of more, evenly many are left out.
const VALUES_MAX: usize = 1_000;

/// Runs of each that are enough to tell.
pub(super) const RUNS_ENOUGH: usize = 4;

/// What can be said of two figures.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Verdict {
    /// No difference that noise does not explain.
    Same,
    Better,
    Worse,
    /// Of what is neither.
    Differs,
    /// A difference, in too few runs.
    TooFewRuns,
    /// A figure that is not positive has no ratio.
    NoRatio,
}

impl Verdict {
    pub(super) fn words(self) -> &'static str {
        match self {
            Verdict::Same => "within the noise",
            Verdict::Better => "better",
            Verdict::Worse => "worse",
            Verdict::Differs => "differs",
            Verdict::TooFewRuns => "too few runs to tell",
            Verdict::NoRatio => "-",
        }
    }
}

/// A figure against the same of another result.
#[derive(Clone, Copy, PartialEq, Serialize, Debug)]
pub(super) struct Difference {
    /// Null where there is none.
    pub(super) ratio: Option<Ratio>,
    pub(super) verdict: Verdict,
}

/// How many times the base.
#[derive(Clone, Copy, PartialEq, Serialize, Debug)]
pub(super) struct Ratio {
    pub(super) ratio: f64,
    /// In between it lies, 95 times in 100; with too few runs, all that was seen.
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Difference {
    pub(super) fn of(base: &Figure, other: &Figure) -> Difference {
        let precision = (1.0 + base.precision) * (1.0 + other.precision);
        let Some((ratio, is_enough)) = ratio(&base.values, &other.values, precision) else {
            return Difference { ratio: None, verdict: Verdict::NoRatio };
        };
        let verdict = match other.better {
            _ if ratio.min <= 1.0 && ratio.max >= 1.0 => Verdict::Same,
            _ if !is_enough => Verdict::TooFewRuns,
            Better::Neither => Verdict::Differs,
            Better::Lower if ratio.ratio < 1.0 => Verdict::Better,
            Better::Higher if ratio.ratio > 1.0 => Verdict::Better,
            Better::Lower | Better::Higher => Verdict::Worse,
        };
        Difference { ratio: Some(ratio), verdict }
    }

    /// True when the ratio goes the wrong way by more than this part, whether it is told from noise or not.
    pub(super) fn is_worse_by(&self, tolerance: f64, better: Better) -> bool {
        let Some(Ratio { ratio, .. }) = self.ratio else { return false };
        match better {
            Better::Lower => ratio > 1.0 + tolerance,
            Better::Higher => ratio < 1.0 / (1.0 + tolerance),
            Better::Neither => false,
        }
    }
}

/// `other` to `base`, and whether there are runs enough for its interval; `None` when there is none. Values that
/// are known up to a factor of `precision` alone make it wider, and need no second run.
fn ratio(base: &[f64], other: &[f64], precision: f64) -> Option<(Ratio, bool)> {
    let (base, other) = (thinned(base), thinned(other));
    if base.iter().chain(&other).any(|value| *value <= 0.0) {
        return None;
    }
    let mut ratios: Vec<f64> =
        other.iter().flat_map(|other| base.iter().map(move |base| other / base)).collect();
    ratios.sort_by(f64::total_cmp);
    let last = ratios.len().checked_sub(1)?;
    let outside = outside(base.len(), other.len());
    // The interval leaves out the same number on both sides; at least the ends are in.
    let left_out = outside.saturating_sub(1);
    let ratio = Ratio {
        ratio: f64::midpoint(ratios[last / 2], ratios[last.div_ceil(2)]),
        min: ratios[left_out] / precision,
        max: ratios[last - left_out] * precision,
    };
    let is_finite = [ratio.ratio, ratio.min, ratio.max].iter().all(|value| value.is_finite());
    is_finite.then_some((ratio, outside > 0 || precision > 1.0))
}

fn thinned(values: &[f64]) -> Vec<f64> {
    values.iter().copied().step_by(values.len().div_ceil(VALUES_MAX).max(1)).collect()
}

/// The number of the least ratio, from 1, with which an interval begins that is wrong in one case of twenty at
/// most; 0 when so few runs have none.
fn outside(base: usize, other: usize) -> usize {
    if base + other > EXACT_RUNS_MAX {
        return outside_of_many(base as f64, other as f64);
    }
    let counts = rank_sums(base, other);
    let all: f64 = counts.iter().sum();
    let mut below = 0.0;
    let tail = counts.iter().position(|count| {
        below += count;
        below / all > ERROR_MAX / 2.0
    });
    tail.unwrap_or(0)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positive, and less than a million"
)]
fn outside_of_many(base: f64, other: f64) -> usize {
    let deviation = (base * other * (base + other + 1.0) / 12.0).sqrt();
    (base * other / 2.0 - DEVIATIONS * deviation).max(0.0) as usize
}

/// In how many orders of the values of both so many pairs are the wrong way round: 0 pairs, 1 pair, and so on.
/// The coefficients of a Gaussian binomial.
fn rank_sums(base: usize, other: usize) -> Vec<f64> {
    let pairs = base * other;
    let mut counts = vec![0.0; pairs + 1];
    counts[0] = 1.0;
    for step in 1..=base {
        for place in (other + step..=pairs).rev() {
            counts[place] -= counts[place - other - step];
        }
        for place in step..=pairs {
            counts[place] += counts[place - step];
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_counted() {
        assert_eq!(rank_sums(1, 1), [1.0, 1.0]);
        assert_eq!(rank_sums(2, 2), [1.0, 1.0, 2.0, 1.0, 1.0]);
        assert_eq!(rank_sums(3, 3).iter().sum::<f64>(), 20.0);
        assert_eq!(rank_sums(25, 25).iter().sum::<f64>(), 126_410_606_437_752.0);
        assert!(rank_sums(25, 25).iter().all(|count| *count >= 0.0));
    }

    /// As tables of the test have them.
    #[test]
    fn intervals_begin_where_the_tables_say() {
        for (base, other, expected) in
            [(1, 1, 0), (3, 3, 0), (4, 4, 1), (3, 5, 1), (5, 5, 3), (10, 10, 24), (20, 20, 128)]
        {
            assert_eq!(outside(base, other), expected, "{base}, {other}");
        }
        assert_eq!(RUNS_ENOUGH, 4);
        let (exact, normal) = (outside(25, 25), outside_of_many(25.0, 25.0));
        assert!(exact.abs_diff(normal) <= 2, "{exact}, {normal}");
        assert_eq!(outside(0, 0), 0);
    }

    fn figure(better: Better, values: &[f64], precision: f64) -> Figure {
        let figure = Figure::of(("t", "f", "o"), ("s", better), values.iter().copied());
        Figure { precision, ..figure.expect("there are values") }
    }

    #[track_caller]
    fn check(better: Better, base: &[f64], other: &[f64], expected: Verdict) -> Difference {
        let difference = Difference::of(&figure(better, base, 0.0), &figure(better, other, 0.0));
        assert_eq!(difference.verdict, expected, "{base:?} {other:?} {difference:?}");
        difference
    }

    #[test]
    fn what_noise_explains_is_no_difference() {
        let (low, high) = ([10.0, 11.0, 10.5, 10.2], [20.0, 21.0, 22.0, 20.5]);
        let worse = check(Better::Lower, &low, &high, Verdict::Worse).ratio.unwrap();
        assert!((worse.ratio - 2.0).abs() < 0.05, "{worse:?}");
        assert_eq!((worse.min, worse.max), (20.0 / 11.0, 2.2));
        check(Better::Lower, &high, &low, Verdict::Better);
        check(Better::Higher, &low, &high, Verdict::Better);
        check(Better::Higher, &high, &low, Verdict::Worse);
        check(Better::Neither, &low, &high, Verdict::Differs);
        check(Better::Lower, &low, &[10.1, 9.0, 12.0, 30.0], Verdict::Same);
        check(Better::Lower, &low, &low, Verdict::Same);
        // Three runs each never are enough; where they overlap, none are needed.
        check(Better::Lower, &low[..3], &high[..3], Verdict::TooFewRuns);
        check(Better::Lower, &low[..3], &low[1..], Verdict::Same);
        check(Better::Lower, &[0.0; 4], &high, Verdict::NoRatio);
        check(Better::Lower, &[1e-300; 4], &[1e300; 4], Verdict::NoRatio);
    }

    #[test]
    fn one_stalled_run_of_five_decides_nothing() {
        let base = [10.0, 10.1, 10.2, 10.3, 900.0];
        let ratio = check(Better::Lower, &base, &[10.05, 10.15, 10.2, 10.25, 10.3], Verdict::Same);
        assert!((ratio.ratio.unwrap().ratio - 1.0).abs() < 0.02);
    }

    #[test]
    fn a_value_that_was_searched_for_is_known_to_its_precision() {
        let search = |rate: f64| figure(Better::Higher, &[rate], 0.05);
        let verdict = |rate| Difference::of(&search(100.0), &search(rate)).verdict;
        assert_eq!([verdict(95.0), verdict(109.0)], [Verdict::Same; 2]);
        assert_eq!([verdict(80.0), verdict(120.0)], [Verdict::Worse, Verdict::Better]);
    }

    #[test]
    fn the_tolerance_goes_one_way() {
        let ratio = |better, other| {
            let base = figure(better, &[100.0; 4], 0.0);
            Difference::of(&base, &figure(better, &[other; 4], 0.0)).is_worse_by(0.05, better)
        };
        assert!(ratio(Better::Lower, 106.0) && !ratio(Better::Lower, 104.0));
        assert!(!ratio(Better::Lower, 50.0) && ratio(Better::Higher, 95.0));
        assert!(!ratio(Better::Higher, 96.0) && !ratio(Better::Neither, 500.0));
    }

    #[test]
    fn many_runs_are_thinned_not_paired() {
        let many: Vec<f64> = (0..100_000).map(|at| 1.0 + f64::from(at % 7)).collect();
        assert!(thinned(&many).len() <= VALUES_MAX && thinned(&[]).is_empty());
        check(Better::Lower, &many, &many, Verdict::Same);
    }
}
