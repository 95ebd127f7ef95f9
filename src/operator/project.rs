//! Project: each expression becomes one output column.
//!
//! A plain column is handed on as it is, without looking at its values.

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;
use std::sync::Arc;

use super::row_wise::{RowFunction, RowWise};
use super::{Operator, Output, Progress};
use crate::metrics::OperatorCounters;
use crate::record::{Batch, EvaluationContext, ExpressionError, ExpressionRef};

struct Project {
    expressions: Vec<ExpressionRef>,
    schema: SchemaRef,
}

/// An operator whose output columns are `expressions`; `schema` names and types them.
pub fn project(expressions: Vec<ExpressionRef>, schema: SchemaRef) -> Box<dyn Operator> {
    assert_eq!(expressions.len(), schema.fields().len());
    Box::new(RowWise::new(Project { expressions, schema }))
}

impl RowFunction for Project {
    fn evaluate(
        &self,
        rows: &RecordBatch,
        context: EvaluationContext,
    ) -> Result<RecordBatch, ExpressionError> {
        let columns: Vec<ArrayRef> = self
            .expressions
            .iter()
            .map(|expression| match expression.as_column() {
                Some(column) => Ok(Arc::clone(rows.column(column))),
                None => expression.evaluate(rows, context),
            })
            .collect::<Result<_, _>>()?;
        // Without columns a batch still has rows: COUNT(*) needs no column at all.
        let options = RecordBatchOptions::new().with_row_count(Some(rows.num_rows()));
        // An error here is a NULL in a NOT NULL column: the row's fault, like any other.
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|error| ExpressionError(error.to_string()))
    }

    fn emit(
        &mut self,
        batch: Batch,
        evaluated: RecordBatch,
        counters: &mut OperatorCounters,
        out: &mut dyn Output,
    ) -> Progress {
        counters.forwarded += batch.len() as u64;
        counters.rows_out += batch.len() as u64;
        out.push(batch.with_rows(evaluated));
        Progress::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::testing::{Collector, Picky, column_i64, rows_i64, run_to_end};
    use arrow::datatypes::{DataType, Field, Schema};

    #[test]
    fn a_plain_column_is_not_copied_and_no_column_keeps_its_rows() {
        let batch = rows_i64(&[7, 8]);
        let mut out = Collector::default();
        let column = Arc::new(Picky::failing_on(&[7]).plain_column());
        let mut operator = project(vec![column.clone()], batch.rows.schema());
        run_to_end(operator.as_mut(), batch.clone(), &mut out);
        assert!(Arc::ptr_eq(out.batches[0].rows.column(0), batch.rows.column(0)));
        assert_eq!(column.evaluated(), 0);

        let mut without_columns = project(vec![], Arc::new(Schema::empty()));
        run_to_end(without_columns.as_mut(), batch, &mut out);
        assert_eq!(out.batches[1].len(), 2);
    }

    #[test]
    fn null_in_a_not_null_column_is_rejected() {
        let batch = rows_i64(&[1, 2, 3]);
        let nothing = Arc::new(Picky::failing_on(&[]).null_for(2));
        let field = Field::new("a", DataType::Int64, false);
        let mut operator = project(vec![nothing], Arc::new(Schema::new(vec![field])));
        let mut out = Collector::default();
        run_to_end(operator.as_mut(), batch, &mut out);
        assert_eq!(column_i64(&out.batches[0], 0), [1, 3]);
        assert_eq!(column_i64(&out.diverted[0].rows, 0), [2]);
        assert_eq!(operator.counters().imbalance(), None);
    }
}
