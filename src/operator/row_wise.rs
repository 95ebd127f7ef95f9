//! Operators that look at one row at a time, and what they do with rows that cannot be evaluated.
//!
//! In:  batches.
//! Out: what the row function makes of them; rows that fail are diverted, each with its reason.
//!
//! A batch is evaluated as a whole. Only when that fails is it taken again in segments, and a
//! segment that fails is halved until each offending row stands alone: one bad row in 8,192 costs
//! one more evaluation of the batch and at most two of a segment, not 8,192 evaluations of one row.

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::concat_batches;

use super::{Diverted, DivertedKind, Operator, Output, Progress};
use crate::metrics::OperatorCounters;
use crate::record::{Batch, EvaluationContext, ExpressionError, Timestamp};

/// Rows evaluated again at once after a batch has failed. A segment of nothing but bad rows takes
/// two evaluations a row, some milliseconds; then the turn ends. Half as many rows would halve what is
/// evaluated in vain, a sixteenth of a batch of 8,192, and double the evaluations of cheap expressions,
/// which cost a few hundred nanoseconds however few their rows are.
const SEGMENT_ROWS: usize = 512;

/// A computation over single rows.
pub(super) trait RowFunction {
    /// What it has to compute, one row for each of `rows`.
    fn evaluate(
        &self,
        rows: &RecordBatch,
        context: EvaluationContext,
    ) -> Result<RecordBatch, ExpressionError>;

    /// Pushes what `batch` becomes, given what `evaluate` made of it, and counts.
    fn emit(
        &mut self,
        batch: Batch,
        evaluated: RecordBatch,
        counters: &mut OperatorCounters,
        out: &mut dyn Output,
    ) -> Progress;

    /// Goes on with an `emit` that answered `More`.
    fn resume(&mut self, _counters: &mut OperatorCounters, _out: &mut dyn Output) -> Progress {
        Progress::Done
    }
}

/// A row function as an operator.
pub(super) struct RowWise<F> {
    function: F,
    now: Timestamp,
    counters: OperatorCounters,
    /// A batch that failed, with the first row not yet taken again.
    failed: Option<(Batch, usize)>,
    emitting: bool,
}

impl<F: RowFunction> RowWise<F> {
    pub(super) fn new(function: F) -> RowWise<F> {
        RowWise {
            function,
            now: Timestamp::MIN,
            counters: OperatorCounters::default(),
            failed: None,
            emitting: false,
        }
    }

    fn emit(&mut self, batch: Batch, evaluated: RecordBatch, out: &mut dyn Output) -> Progress {
        let progress = self.function.emit(batch, evaluated, &mut self.counters, out);
        self.emitting = progress == Progress::More;
        progress
    }

    /// Takes the next segment of a failed batch; true when rows were rejected.
    fn take_segment(&mut self, batch: &Batch, start: usize, out: &mut dyn Output) -> bool {
        let segment = batch.slice(start, SEGMENT_ROWS.min(batch.len() - start));
        let context = EvaluationContext { now: self.now };
        let evaluate = |rows: &RecordBatch| self.function.evaluate(rows, context);
        let mut isolation = Isolation { evaluate, rows: &segment.rows, good: vec![], bad: vec![] };
        isolation.search(0, segment.len(), None);
        let Isolation { good, bad, .. } = isolation;
        self.counters.rejected += bad.len() as u64;
        for diverted in rejections(&segment, &bad) {
            out.divert(diverted);
        }
        if let Some((rest, evaluated)) = good_rows(&segment, &bad, &good) {
            // `More` is kept in `emitting` and looked at by `resume`.
            let _ = self.emit(rest, evaluated, out);
        }
        !bad.is_empty()
    }
}

impl<F: RowFunction> Operator for RowWise<F> {
    fn process(&mut self, batch: Batch, out: &mut dyn Output) -> Progress {
        assert!(self.failed.is_none() && !self.emitting);
        if batch.is_empty() {
            return Progress::Done;
        }
        self.counters.rows_in += batch.len() as u64;
        match self.function.evaluate(&batch.rows, EvaluationContext { now: self.now }) {
            Ok(evaluated) => self.emit(batch, evaluated, out),
            Err(_) => {
                self.failed = Some((batch, 0));
                self.resume(out)
            }
        }
    }

    fn resume(&mut self, out: &mut dyn Output) -> Progress {
        if self.emitting {
            self.emitting = self.function.resume(&mut self.counters, out) == Progress::More;
        }
        while !self.emitting {
            let Some((batch, start)) = self.failed.take() else { return Progress::Done };
            let rejected = self.take_segment(&batch, start, out);
            let next = start + SEGMENT_ROWS;
            if next < batch.len() {
                self.failed = Some((batch, next));
                if rejected || out.is_full() {
                    return Progress::More;
                }
            }
        }
        Progress::More
    }

    fn on_clock(&mut self, now: Timestamp, _out: &mut dyn Output) -> Progress {
        self.now = now;
        Progress::Done
    }

    fn counters(&self) -> &OperatorCounters {
        &self.counters
    }
}

/// The search for offending rows in one segment.
struct Isolation<'a, E> {
    evaluate: E,
    rows: &'a RecordBatch,
    /// Results of the parts that evaluate, in row order; together all rows but the bad ones.
    good: Vec<RecordBatch>,
    /// Rows that fail on their own, ascending.
    bad: Vec<(usize, ExpressionError)>,
}

impl<E: Fn(&RecordBatch) -> Result<RecordBatch, ExpressionError>> Isolation<'_, E> {
    /// Sorts `length` rows from `start` into good and bad; true when all were good. `failed` says
    /// that they are already known to fail together.
    fn search(&mut self, start: usize, length: usize, failed: Option<()>) -> bool {
        if failed.is_none() || length == 1 {
            match (self.evaluate)(&self.rows.slice(start, length)) {
                Ok(evaluated) => {
                    self.good.push(evaluated);
                    return true;
                }
                Err(error) if length == 1 => {
                    self.bad.push((start, error));
                    return false;
                }
                Err(_) => {}
            }
        }
        let half = length / 2;
        // When the left half is good the right one must hold the offender: it need not be tried.
        let left_is_good = self.search(start, half, None);
        self.search(start + half, length - half, left_is_good.then_some(()));
        false
    }
}

/// The rows of `segment` that evaluated, with their results; `None` when there are none.
fn good_rows(
    segment: &Batch,
    bad: &[(usize, ExpressionError)],
    good: &[RecordBatch],
) -> Option<(Batch, RecordBatch)> {
    let schema = good.first()?.schema();
    if bad.is_empty() && good.len() == 1 {
        return Some((segment.clone(), good[0].clone()));
    }
    let mut mask = vec![true; segment.len()];
    for &(row, _) in bad {
        mask[row] = false;
    }
    let batch = segment.filter(&BooleanArray::from(mask)).expect("every column can be filtered");
    let evaluated = concat_batches(&schema, good).expect("the parts are of one schema");
    assert_eq!(batch.len(), evaluated.num_rows());
    Some((batch, evaluated))
}

/// The bad rows, neighbours with the same reason together.
fn rejections(segment: &Batch, bad: &[(usize, ExpressionError)]) -> Vec<Diverted> {
    bad.chunk_by(|(row, reason), (next, next_reason)| row + 1 == *next && reason == next_reason)
        .map(|run| Diverted {
            kind: DivertedKind::Rejected,
            reason: run[0].1.0.clone(),
            rows: segment.slice(run[0].0, run.len()),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::testing::{Collector, Picky, column_i64, rows_i64, run_to_end};
    use crate::operator::{filter, project};
    use std::sync::Arc;

    /// Runs `picky` (fails on values in `bad`, else the value itself) over `0..rows`.
    fn check(rows: i64, bad: &[i64], room: usize, evaluated_max: usize) {
        let values: Vec<i64> = (0..rows).collect();
        let mut batch = rows_i64(&values);
        batch.tags.watermarks = Some(values.clone().into());
        let picky = Arc::new(Picky::failing_on(bad));
        let schema = batch.rows.schema();
        let mut operator = project(vec![picky.clone()], schema);
        let mut out = Collector::with_room(room);
        run_to_end(operator.as_mut(), batch, &mut out);

        let expected: Vec<i64> = values.iter().copied().filter(|v| !bad.contains(v)).collect();
        let got: Vec<i64> = out.batches.iter().flat_map(|b| column_i64(b, 0)).collect();
        assert_eq!(got, expected, "{rows} rows, bad {bad:?}");
        let tags = out.batches.iter().flat_map(|b| b.tags.watermarks.clone().unwrap().to_vec());
        assert_eq!(tags.collect::<Vec<_>>(), expected, "tags follow their rows");
        let rejected: Vec<i64> =
            out.diverted.iter().flat_map(|diverted| column_i64(&diverted.rows, 0)).collect();
        assert_eq!(rejected, bad);
        for diverted in &out.diverted {
            assert_eq!(diverted.kind, DivertedKind::Rejected);
            let first = column_i64(&diverted.rows, 0)[0];
            assert_eq!(diverted.reason, format!("{} is bad", first / 10 * 10));
        }
        assert_eq!(operator.counters().rejected, bad.len() as u64);
        assert_eq!(operator.counters().imbalance(), None);
        assert!(picky.evaluated() <= evaluated_max, "{} rows evaluated", picky.evaluated());
    }

    #[test]
    fn only_offending_rows_are_rejected() {
        check(10, &[], 9, 10);
        check(1, &[0], 9, 10);
        check(10, &[0], 9, 100);
        check(10, &[9], 9, 100);
        check(10, &[3, 4, 5], 9, 100);
        check(30, &(0..30).collect::<Vec<_>>(), 9, 1000);
        check(3000, &[0, 1500, 1501, 2999], 1, 11_000);
    }

    #[test]
    fn one_bad_row_costs_one_further_evaluation_and_two_of_a_segment() {
        for bad in [0, 1, 511, 512, 1023, 4000, 8191] {
            check(8192, &[bad], 100, 8192 * 2 + SEGMENT_ROWS * 2);
        }
    }

    #[test]
    fn a_filter_rejects_rows_too() {
        let picky = Arc::new(Picky::failing_on(&[2]).greater_than(1));
        let mut operator = filter(picky);
        let mut out = Collector::default();
        run_to_end(operator.as_mut(), rows_i64(&[0, 1, 2, 3]), &mut out);
        assert_eq!(column_i64(&out.batches[0], 0), [3]);
        assert_eq!(column_i64(&out.diverted[0].rows, 0), [2]);
        let counters = operator.counters();
        assert_eq!((counters.filtered, counters.rejected, counters.forwarded), (2, 1, 1));
        assert_eq!(counters.imbalance(), None);
    }
}
