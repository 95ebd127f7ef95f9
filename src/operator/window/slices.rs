//! Slices: the arithmetic of windows. All times are milliseconds since the epoch.

use crate::operator::{WindowKind, WindowSpec};

/// Times and lengths a window may have: far beyond any calendar, and sums of a few never overflow.
const TIME_MS_MAX: i64 = 1 << 60;

/// A slice, with the first window its rows count in.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Pane {
    /// End of the slice.
    pub(super) end: i64,
    /// End of the first window its rows count in: `end` or a later one of its windows.
    pub(super) first: i64,
}

/// The windows of one operator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slices {
    /// Length of a slice and distance of window ends.
    pub(super) slide: i64,
    /// Length of a window, a multiple of `slide`.
    pub(super) size: i64,
    /// Where slices are aligned: 0 ≤ offset < slide.
    offset: i64,
}

impl Slices {
    /// # Errors
    /// When sizes are not positive, no multiples of each other, or beyond all calendars.
    pub(super) fn new(spec: &WindowSpec) -> Result<Slices, String> {
        let (slide, size) = match spec.kind {
            WindowKind::Tumble { size_ms } => (size_ms, size_ms),
            WindowKind::Hop { slide_ms, size_ms } => (slide_ms, size_ms),
        };
        if slide <= 0 || size <= 0 || size >= TIME_MS_MAX {
            return Err(format!("a window of {size} ms every {slide} ms is not possible"));
        }
        if size % slide != 0 {
            return Err(format!("the size, {size} ms, is not a multiple of the slide, {slide} ms"));
        }
        Ok(Slices { slide, size, offset: spec.offset_ms.rem_euclid(slide) })
    }

    /// True when windows of this time can be computed.
    pub(super) fn can_hold(time: i64) -> bool {
        -TIME_MS_MAX < time && time < TIME_MS_MAX
    }

    /// End of the slice that contains `time`.
    pub(super) fn end_of(self, time: i64) -> i64 {
        time - (time - self.offset).rem_euclid(self.slide) + self.slide
    }

    /// End of the last window that contains the slice ending at `slice_end`.
    pub(super) fn last_window(self, slice_end: i64) -> i64 {
        slice_end + self.size - self.slide
    }

    /// True for what these windows have as a pane.
    pub(super) fn is_pane(self, pane: Pane) -> bool {
        Self::can_hold(pane.end)
            && (pane.end - self.offset).rem_euclid(self.slide) == 0
            && (pane.end..=self.last_window(pane.end)).contains(&pane.first)
            && (pane.first - pane.end).rem_euclid(self.slide) == 0
    }

    /// The pane with those of its windows that are not complete at `watermark`; `None` when all are.
    pub(super) fn open(self, pane: Pane, watermark: i64) -> Option<Pane> {
        if pane.first - 1 > watermark {
            return Some(pane);
        }
        self.pane(pane.end, watermark)
    }

    /// The pane of a row in the slice ending at `slice_end`, given the watermark before it; `None`
    /// when all its windows are complete: the row is late.
    pub(super) fn pane(self, slice_end: i64, watermark: i64) -> Option<Pane> {
        if slice_end - 1 > watermark {
            return Some(Pane { end: slice_end, first: slice_end });
        }
        if self.last_window(slice_end) - 1 <= watermark {
            return None;
        }
        // The first window end behind watermark + 1, in steps of a slide.
        let steps = (watermark + 1 - slice_end) / self.slide + 1;
        Some(Pane { end: slice_end, first: slice_end + steps * self.slide })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::TimeDomain;

    fn slices(slide_ms: i64, size_ms: i64, offset_ms: i64) -> Slices {
        let kind = WindowKind::Hop { slide_ms, size_ms };
        Slices::new(&WindowSpec { kind, offset_ms, time: TimeDomain::Processing, clock: None })
            .unwrap()
    }

    #[test]
    fn slices_and_panes_agree_with_trying_every_window() {
        for (slide, size, offset) in [(5, 5, 0), (5, 15, 0), (5, 15, 3), (7, 28, -1), (1, 3, 100)] {
            let slices = slices(slide, size, offset);
            for time in -40..40 {
                let end = slices.end_of(time);
                assert!(end - slide <= time && time < end);
                assert_eq!((end - offset).rem_euclid(slide), 0);
                // Every window that contains the time.
                let ends: Vec<i64> = (time + 1..=time + size)
                    .filter(|window| (window - offset).rem_euclid(slide) == 0)
                    .collect();
                assert_eq!(slices.last_window(end), *ends.last().unwrap());
                for watermark in (-60..60).chain([i64::MIN, i64::MAX]) {
                    let open = ends.iter().find(|&&window| window - 1 > watermark);
                    let expected = open.map(|&first| Pane { end, first });
                    assert_eq!(slices.pane(end, watermark), expected, "{time} at {watermark}");
                }
            }
        }
    }

    #[test]
    fn impossible_windows_are_refused() {
        for (slide_ms, size_ms) in [(0, 5), (5, 0), (-5, 5), (5, 12), (10, 5), (1, i64::MAX)] {
            let kind = WindowKind::Hop { slide_ms, size_ms };
            let spec = WindowSpec { kind, offset_ms: 0, time: TimeDomain::Processing, clock: None };
            assert!(Slices::new(&spec).is_err(), "{slide_ms} {size_ms}");
        }
    }
}
