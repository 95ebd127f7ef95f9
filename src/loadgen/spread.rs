//! Spread: one figure over several runs, and which of the runs count.

use serde::{Deserialize, Serialize};

/// A run is judged by a figure only while the floor's own is at most so many times its median: beyond,
/// the machine stalled by itself.
pub(super) const FLOOR_FACTOR_MAX: f64 = 3.0;

/// Median and ends.
#[derive(Clone, Copy, PartialEq, Serialize, Deserialize, Debug)]
pub(super) struct Spread {
    pub(super) median: f64,
    pub(super) min: f64,
    pub(super) max: f64,
}

impl Spread {
    /// `None` of nothing.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Spread> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (min, max) = (*values.first()?, *values.last()?);
        let middle = values.len() / 2;
        let median = if values.len().is_multiple_of(2) {
            f64::midpoint(values[middle - 1], values[middle])
        } else {
            values[middle]
        };
        Some(Spread { median, min, max })
    }

    /// `12.3 (11.8 to 14.0)`; the ends are left out when they are the median.
    pub(super) fn show(&self, digits: usize) -> String {
        let Spread { median, min, max } = *self;
        if min.total_cmp(&max).is_eq() {
            return format!("{median:.digits$}");
        }
        format!("{median:.digits$} ({min:.digits$} to {max:.digits$})")
    }
}

/// Which runs are judged, by the floor's figure in each.
pub(super) fn judged(floor: &[f64]) -> Vec<bool> {
    let Some(spread) = Spread::of(floor.iter().copied()) else { return Vec::new() };
    floor.iter().map(|value| *value <= FLOOR_FACTOR_MAX * spread.median).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], expected: Option<(f64, f64, f64)>) {
        let found = Spread::of(values.iter().copied());
        assert_eq!(found.map(|it| (it.median, it.min, it.max)), expected, "{values:?}");
    }

    #[test]
    fn the_median_is_the_middle_one_or_between_two() {
        check(&[], None);
        check(&[3.0], Some((3.0, 3.0, 3.0)));
        check(&[5.0, 1.0, 3.0], Some((3.0, 1.0, 5.0)));
        check(&[4.0, 1.0, 2.0, 9.0], Some((3.0, 1.0, 9.0)));
        let show = |values: &[f64]| Spread::of(values.iter().copied()).unwrap().show(1);
        assert_eq!(show(&[5.0, 1.0, 3.0]), "3.0 (1.0 to 5.0)");
        assert_eq!(show(&[2.0]), "2.0");
    }

    #[test]
    fn a_run_in_which_the_floor_stalled_is_not_judged() {
        assert_eq!(judged(&[10.0, 11.0, 30.1, 9.0, 10.0]), [true, true, false, true, true]);
        assert_eq!(judged(&[10.0, 30.0]), [true, true]);
        assert_eq!(judged(&[]), Vec::<bool>::new());
    }
}
