//! Unnest: one row per element of an array column. NULL and empty arrays give no row.
//!
//! Output columns are the kept input columns, then the element. An input row counts as absorbed,
//! held until its last element has been pushed and fired then.

use arrow::array::{Array, ArrayRef, AsArray, ListArray, RecordBatch, UInt32Array};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

use super::row_wise::{RowFunction, RowWise};
use super::{Operator, Output, Progress, UnnestSpec};
use crate::limits::BATCH_ROWS_MAX;
use crate::metrics::OperatorCounters;
use crate::record::{Batch, EvaluationContext, ExpressionError};

struct Unnest {
    spec: UnnestSpec,
    schema: SchemaRef,
    unfinished: Option<Expansion>,
}

/// A batch in the middle of being expanded.
struct Expansion {
    batch: Batch,
    lists: ListArray,
    /// Row and element that come next.
    row: usize,
    element: usize,
}

/// An operator that expands `spec.array`; `schema` is that of its output.
pub fn unnest(spec: UnnestSpec, schema: SchemaRef) -> Box<dyn Operator> {
    assert_eq!(spec.kept.len() + 1, schema.fields().len());
    Box::new(RowWise::new(Unnest { spec, schema, unfinished: None }))
}

impl RowFunction for Unnest {
    fn evaluate(
        &self,
        rows: &RecordBatch,
        context: EvaluationContext,
    ) -> Result<RecordBatch, ExpressionError> {
        let lists = match self.spec.array.as_column() {
            Some(column) => Arc::clone(rows.column(column)),
            None => self.spec.array.evaluate(rows, context)?,
        };
        assert!(matches!(lists.data_type(), DataType::List(_)), "the planner unnests lists only");
        let field = Field::new("array", lists.data_type().clone(), true);
        RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![lists])
            .map_err(|error| ExpressionError(error.to_string()))
    }

    fn emit(
        &mut self,
        batch: Batch,
        evaluated: RecordBatch,
        counters: &mut OperatorCounters,
        out: &mut dyn Output,
    ) -> Progress {
        counters.absorbed += batch.len() as u64;
        counters.held += batch.len() as u64;
        let lists = evaluated.column(0).as_list::<i32>().clone();
        self.unfinished = Some(Expansion { batch, lists, row: 0, element: 0 });
        self.resume(counters, out)
    }

    fn resume(&mut self, counters: &mut OperatorCounters, out: &mut dyn Output) -> Progress {
        let Some(mut expansion) = self.unfinished.take() else { return Progress::Done };
        loop {
            let first_row = expansion.row;
            let expanded = expansion.next(&self.spec.kept, &self.schema);
            let finished_rows = (expansion.row - first_row) as u64;
            counters.held -= finished_rows;
            counters.fired += finished_rows;
            if let Some(expanded) = expanded {
                counters.rows_out += expanded.len() as u64;
                out.push(expanded);
            }
            if expansion.row == expansion.batch.len() {
                return Progress::Done;
            }
            if out.is_full() {
                self.unfinished = Some(expansion);
                return Progress::More;
            }
        }
    }
}

impl Expansion {
    /// The next rows of the output, [`BATCH_ROWS_MAX`] at most; `None` when there are no more.
    fn next(&mut self, kept: &[usize], schema: &SchemaRef) -> Option<Batch> {
        let mut rows: Vec<u32> = Vec::new();
        let mut elements: Vec<u32> = Vec::new();
        while self.row < self.batch.len() && rows.len() < BATCH_ROWS_MAX {
            let length = if self.lists.is_null(self.row) {
                0
            } else {
                usize::try_from(self.lists.value_length(self.row)).expect("lengths are positive")
            };
            let taken = (length - self.element).min(BATCH_ROWS_MAX - rows.len());
            let first = usize::try_from(self.lists.value_offsets()[self.row])
                .expect("offsets are positive")
                + self.element;
            let row = u32::try_from(self.row).expect("a batch is shorter than 4 G rows");
            rows.extend(std::iter::repeat_n(row, taken));
            elements.extend((first..first + taken).map(|element| {
                u32::try_from(element).expect("offsets of a list array are below 2 G")
            }));
            self.element += taken;
            if self.element == length {
                self.row += 1;
                self.element = 0;
            }
        }
        (!rows.is_empty()).then(|| self.gather(rows, elements, kept, schema))
    }

    fn gather(
        &self,
        rows: Vec<u32>,
        elements: Vec<u32>,
        kept: &[usize],
        schema: &SchemaRef,
    ) -> Batch {
        let kept_columns = self.batch.rows.project(kept).expect("kept columns exist");
        let kept_batch = self.batch.clone().with_rows(kept_columns);
        let length = rows.len();
        let taken = take_batch(kept_batch, UInt32Array::from(rows));
        let elements = take(self.lists.values().as_ref(), &UInt32Array::from(elements), None)
            .expect("every element type can be gathered");
        let mut columns: Vec<ArrayRef> = taken.rows.columns().to_vec();
        columns.push(elements);
        assert_eq!(taken.len(), length);
        let expanded = RecordBatch::try_new(Arc::clone(schema), columns)
            .expect("the planner types kept columns and element as the output's");
        taken.with_rows(expanded)
    }
}

/// `batch.take`, also for a batch without columns.
fn take_batch(batch: Batch, indices: UInt32Array) -> Batch {
    if batch.rows.num_columns() > 0 {
        return batch.take(&indices).expect("indices are of the batch's rows");
    }
    // One column stands in for none: the tags' values are what is needed.
    let field = Field::new("none", DataType::UInt32, false);
    let all: ArrayRef = Arc::new(UInt32Array::from_iter_values(
        0..u32::try_from(batch.len()).expect("a batch is shorter than 4 G rows"),
    ));
    let rows = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![all])
        .expect("one column of the batch's length");
    let taken = batch.with_rows(rows).take(&indices).expect("indices are of the batch's rows");
    let none = taken.rows.project(&[]).expect("no column always exists");
    taken.with_rows(none)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operator::testing::{Collector, Picky, column_i64, run_to_end};
    use arrow::array::Int64Array;
    use arrow::datatypes::Int64Type;

    type Lists<'a> = &'a [Option<Vec<Option<i64>>>];

    #[track_caller]
    fn check(lists: Lists<'_>, kept: &[usize], room: usize, expected: &[(i64, Option<i64>)]) {
        let ids = Int64Array::from_iter_values((0..lists.len()).map(|id| id as i64 * 10));
        let array = ListArray::from_iter_primitive::<Int64Type, _, _>(lists.iter().cloned());
        let item = Field::new("item", DataType::Int64, true);
        let schema = Schema::new(vec![
            Field::new("id", DataType::Int64, true),
            Field::new("list", DataType::List(Arc::new(item.clone())), true),
        ]);
        let rows =
            RecordBatch::try_new(Arc::new(schema.clone()), vec![Arc::new(ids), Arc::new(array)]);
        let mut batch = Batch::new(rows.unwrap(), 0);
        batch.tags.watermarks = Some((0..lists.len() as i64).collect());
        let mut fields: Vec<Field> = kept.iter().map(|&k| schema.field(k).clone()).collect();
        fields.push(item);
        let plain = Arc::new(Picky::failing_on(&[]).plain_column_at(1));
        let spec = UnnestSpec { array: plain, kept: kept.to_vec() };
        let mut operator = unnest(spec, Arc::new(Schema::new(fields)));
        let mut out = Collector::with_room(room);
        run_to_end(operator.as_mut(), batch, &mut out);

        let mut got = Vec::new();
        for expanded in &out.batches {
            assert!(expanded.len() <= BATCH_ROWS_MAX);
            let tags = expanded.tags.watermarks.as_ref().unwrap();
            let elements = expanded.rows.column(kept.len()).as_primitive::<Int64Type>();
            got.extend(tags.iter().map(|row| row * 10).zip(elements.iter()));
            if !kept.is_empty() {
                assert!(column_i64(expanded, 0).iter().zip(tags).all(|(id, row)| *id == row * 10));
            }
        }
        assert_eq!(got, expected);
        let counters = operator.counters();
        assert_eq!((counters.absorbed, counters.held), (lists.len() as u64, 0));
        assert_eq!(counters.rows_out, expected.len() as u64);
        assert_eq!(counters.imbalance(), None);
    }

    #[test]
    fn one_row_per_element_and_none_for_null_or_empty() {
        let lists =
            [Some(vec![Some(1), None]), None, Some(vec![]), Some(vec![Some(3)]), Some(vec![])];
        let expected = [(0, Some(1)), (0, None), (30, Some(3))];
        check(&lists, &[0], 9, &expected);
        check(&lists, &[], 9, &expected);
        check(&[], &[0], 9, &[]);
        check(&[None], &[0], 9, &[]);
    }

    #[test]
    fn a_long_array_is_cut_into_batches_and_resumed() {
        let long: Vec<Option<i64>> = (0..20_000).map(Some).collect();
        let lists = [Some(vec![Some(-1)]), Some(long.clone()), Some(vec![Some(-2)])];
        let mut expected = vec![(0, Some(-1))];
        expected.extend(long.iter().map(|item| (10, *item)));
        expected.push((20, Some(-2)));
        check(&lists, &[0], 1, &expected);
    }
}
