//! Assignment: the pane of each row, and which rows are late. Before any combining.
//!
//! A row is late exactly when, for the last window it belongs to, end − 1 ms ≤ the watermark its
//! split had just before it. It depends on the split's rows and their order and on nothing else.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use std::borrow::Cow;

use super::slices::{Pane, Slices};
use crate::record::WallClock;

/// The panes of a batch's rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum RowPanes {
    /// All rows are in this one: nearly every batch.
    Same(Pane),
    /// One per row.
    Each(Vec<Pane>),
}

/// What became of a batch's rows.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Assignment {
    /// Panes of the rows that are neither late nor rejected.
    pub(super) panes: RowPanes,
    /// Rows left out, ascending.
    pub(super) left_out: Vec<(usize, LeftOut)>,
}

/// Why a row has no pane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum LeftOut {
    /// Its last window ends at `window_end`, and the watermark had passed that.
    Late {
        window_end: i64,
        watermark: i64,
    },
    NoTime,
    ImpossibleTime,
}

/// The watermark before each row.
#[derive(Clone, Copy, Debug)]
pub(super) enum RowWatermarks<'a> {
    Same(i64),
    Each(&'a [i64]),
}

impl RowWatermarks<'_> {
    fn at(self, row: usize) -> i64 {
        match self {
            RowWatermarks::Same(watermark) => watermark,
            RowWatermarks::Each(watermarks) => watermarks[row],
        }
    }

    fn max(self) -> i64 {
        match self {
            RowWatermarks::Same(watermark) => watermark,
            RowWatermarks::Each(watermarks) => watermarks.iter().copied().fold(i64::MIN, i64::max),
        }
    }
}

/// Assigns every row of a time column to its pane.
pub(super) fn assign(
    slices: Slices,
    clock: Option<WallClock>,
    column: &ArrayRef,
    watermarks: RowWatermarks,
) -> Assignment {
    let times = match (clock, column.data_type()) {
        (Some(clock), DataType::Timestamp(_, Some(_))) => {
            Cow::Owned(clock.readings(&millis_of(column)))
        }
        _ => millis_of(column),
    };
    if column.null_count() == 0
        && let Some(pane) = common_pane(slices, &times, watermarks)
    {
        return Assignment { panes: RowPanes::Same(pane), left_out: vec![] };
    }
    assign_each(slices, column, &times, watermarks)
}

/// The pane of all rows, when they are in one slice and none is late for any of its windows.
fn common_pane(slices: Slices, times: &[i64], watermarks: RowWatermarks) -> Option<Pane> {
    let earliest = times.iter().copied().fold(i64::MAX, i64::min);
    let latest = times.iter().copied().fold(i64::MIN, i64::max);
    if !Slices::can_hold(earliest) || !Slices::can_hold(latest) {
        return None;
    }
    let end = slices.end_of(earliest);
    (latest < end && end - 1 > watermarks.max()).then_some(Pane { end, first: end })
}

fn assign_each(
    slices: Slices,
    column: &ArrayRef,
    times: &[i64],
    watermarks: RowWatermarks,
) -> Assignment {
    let mut panes = Vec::with_capacity(times.len());
    let mut left_out = Vec::new();
    // Neighbours are mostly in one slice: its end is computed once.
    let mut slice_end = i64::MIN;
    for (row, &time) in times.iter().enumerate() {
        if column.is_null(row) {
            left_out.push((row, LeftOut::NoTime));
            continue;
        }
        if !Slices::can_hold(time) {
            left_out.push((row, LeftOut::ImpossibleTime));
            continue;
        }
        if time >= slice_end || time < slice_end - slices.slide {
            slice_end = slices.end_of(time);
        }
        let watermark = watermarks.at(row);
        match slices.pane(slice_end, watermark) {
            Some(pane) => panes.push(pane),
            None => {
                let window_end = slices.last_window(slice_end);
                left_out.push((row, LeftOut::Late { window_end, watermark }));
            }
        }
    }
    Assignment { panes: RowPanes::Each(panes), left_out }
}

/// The column's times in milliseconds, rounded down. What does not fit stays out of range.
fn millis_of(column: &ArrayRef) -> Cow<'_, [i64]> {
    match column.data_type() {
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            Cow::Borrowed(column.as_primitive::<TimestampMillisecondType>().values().as_ref())
        }
        DataType::Timestamp(TimeUnit::Second, _) => {
            let values = column.as_primitive::<TimestampSecondType>().values();
            Cow::Owned(values.iter().map(|time| time.saturating_mul(1_000)).collect())
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let values = column.as_primitive::<TimestampMicrosecondType>().values();
            Cow::Owned(values.iter().map(|time| time.div_euclid(1_000)).collect())
        }
        _ => {
            let values = column.as_primitive::<TimestampNanosecondType>().values();
            Cow::Owned(values.iter().map(|time| time.div_euclid(1_000_000)).collect())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::{TimeDomain, WindowKind, WindowSpec};
    use arrow::array::{TimestampMicrosecondArray, TimestampMillisecondArray};
    use std::sync::Arc;

    fn hop() -> Slices {
        let kind = WindowKind::Hop { slide_ms: 10, size_ms: 30 };
        let time = TimeDomain::Event { column: 0 };
        Slices::new(&WindowSpec { kind, offset_ms: 0, time, clock: None }).unwrap()
    }

    #[track_caller]
    fn check(times: &[Option<i64>], watermarks: &[i64], expected: &[&str]) {
        let millis: ArrayRef = Arc::new(TimestampMillisecondArray::from(times.to_vec()));
        let micros = times.iter().map(|time| time.map(|time| time.saturating_mul(1000) | 7));
        let micros: ArrayRef = Arc::new(micros.collect::<TimestampMicrosecondArray>());
        for column in [millis, micros] {
            let assignment = assign(hop(), None, &column, RowWatermarks::Each(watermarks));
            let mut panes = match &assignment.panes {
                RowPanes::Same(pane) => vec![*pane; times.len()],
                RowPanes::Each(panes) => panes.clone(),
            }
            .into_iter();
            let got: Vec<String> = (0..times.len())
                .map(|row| match assignment.left_out.iter().find(|(left, _)| *left == row) {
                    Some((_, LeftOut::Late { window_end, .. })) => format!("late {window_end}"),
                    Some((_, other)) => format!("{other:?}"),
                    None => {
                        let pane = panes.next().unwrap();
                        format!("{} from {}", pane.end, pane.first)
                    }
                })
                .collect();
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn rows_are_late_by_their_own_watermark() {
        check(&[Some(3), Some(9)], &[-1, 8], &["10 from 10", "10 from 10"]);
        check(&[Some(3), Some(10)], &[-1, 8], &["10 from 10", "20 from 20"]);
        check(&[Some(3), Some(3)], &[8, 9], &["10 from 10", "10 from 20"]);
        check(&[Some(3), Some(3)], &[19, 29], &["10 from 30", "late 30"]);
        check(&[Some(-1), None, Some(5)], &[-50, 0, 7], &["0 from 0", "NoTime", "10 from 10"]);
    }

    #[test]
    fn impossible_times_are_left_out() {
        for time in [i64::MIN, i64::MIN + 5, 1 << 60, i64::MAX] {
            let column: ArrayRef = Arc::new(TimestampMillisecondArray::from(vec![time, 1]));
            let assignment = assign(hop(), None, &column, RowWatermarks::Same(0));
            assert_eq!(assignment.left_out, [(0, LeftOut::ImpossibleTime)]);
            assert_eq!(assignment.panes, RowPanes::Each(vec![Pane { end: 10, first: 10 }]));
        }
    }
}
