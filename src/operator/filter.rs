//! Filter: rows for which the condition is true.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

use super::row_wise::{RowFunction, RowWise};
use super::{Operator, Output, Progress};
use crate::metrics::OperatorCounters;
use crate::record::{Batch, EvaluationContext, ExpressionError, ExpressionRef};

struct Filter {
    condition: ExpressionRef,
    /// One Boolean column.
    schema: SchemaRef,
}

/// An operator that keeps the rows for which `condition` is true; NULL is not true.
pub fn filter(condition: ExpressionRef) -> Box<dyn Operator> {
    let schema = Arc::new(Schema::new(vec![Field::new("condition", DataType::Boolean, true)]));
    Box::new(RowWise::new(Filter { condition, schema }))
}

impl RowFunction for Filter {
    fn evaluate(
        &self,
        rows: &RecordBatch,
        context: EvaluationContext,
    ) -> Result<RecordBatch, ExpressionError> {
        let mask = match self.condition.as_column() {
            Some(column) => Arc::clone(rows.column(column)),
            None => self.condition.evaluate(rows, context)?,
        };
        assert_eq!(mask.len(), rows.num_rows());
        RecordBatch::try_new(Arc::clone(&self.schema), vec![mask])
            .map_err(|error| ExpressionError(error.to_string()))
    }

    fn emit(
        &mut self,
        batch: Batch,
        evaluated: RecordBatch,
        counters: &mut OperatorCounters,
        out: &mut dyn Output,
    ) -> Progress {
        let mask = evaluated.column(0).as_boolean();
        let passing = mask.true_count();
        counters.filtered += (batch.len() - passing) as u64;
        counters.forwarded += passing as u64;
        counters.rows_out += passing as u64;
        if passing == batch.len() {
            out.push(batch);
        } else if passing > 0 {
            out.push(batch.filter(mask).expect("every column can be filtered"));
        }
        Progress::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::testing::{Collector, Picky, column_i64, rows_i64, run_to_end};

    #[track_caller]
    fn check(input: &[i64], above: i64, expected: &[i64], copied: bool) {
        let batch = rows_i64(input);
        let mut operator = filter(Arc::new(Picky::failing_on(&[]).greater_than(above)));
        let mut out = Collector::default();
        run_to_end(operator.as_mut(), batch.clone(), &mut out);
        let got: Vec<i64> = out.batches.iter().flat_map(|b| column_i64(b, 0)).collect();
        assert_eq!(got, expected);
        if let Some(passed) = out.batches.first() {
            assert_eq!(!Arc::ptr_eq(passed.rows.column(0), batch.rows.column(0)), copied);
        }
        assert_eq!(operator.counters().forwarded, expected.len() as u64);
        assert_eq!(operator.counters().imbalance(), None);
    }

    #[test]
    fn rows_that_are_not_true_are_dropped() {
        check(&[1, 2, 3], 1, &[2, 3], true);
        check(&[1, 2, 3], 0, &[1, 2, 3], false);
        check(&[1, 2, 3], 3, &[], false);
        check(&[], 0, &[], false);
    }
}
