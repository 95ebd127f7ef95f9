//! Unnest: one row per element of an array or map column. NULL and empty ones give no row, or one
//! with NULLs for a LEFT JOIN.
//!
//! Output columns are the kept input columns, then those of the element. An input row counts as
//! absorbed, held until its last element has been pushed and fired then.

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, RecordBatch, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::ops::Range;
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
    lists: Lists,
    /// Row and element that come next.
    row: usize,
    element: usize,
    /// The row has given something.
    emitted: bool,
}

/// The arrays or maps of a batch, with their elements in columns.
struct Lists {
    offsets: OffsetBuffer<i32>,
    nulls: Option<NullBuffer>,
    columns: Vec<ArrayRef>,
    /// Elements that are NULL ROWs, which give nothing.
    hidden: Option<NullBuffer>,
}

/// Rows of the output, by their places in the input.
#[derive(Default)]
struct Picked {
    rows: Vec<u32>,
    /// Places of elements; where `missing`, any.
    elements: Vec<u32>,
    /// Places among the elements of the row, from 1.
    ordinals: Vec<i32>,
    /// Rows of a LEFT JOIN that have no element, by their index here.
    missing: Vec<usize>,
}

/// An operator that expands `spec.array`; `schema` is that of its output.
pub fn unnest(spec: UnnestSpec, schema: SchemaRef) -> Box<dyn Operator> {
    assert!(spec.kept.len() + usize::from(spec.ordinality) < schema.fields().len());
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
        let lists = Lists::of(evaluated.column(0));
        let columns = lists.columns.len() + usize::from(self.spec.ordinality);
        assert_eq!(self.spec.kept.len() + columns, self.schema.fields().len());
        self.unfinished = Some(Expansion { batch, lists, row: 0, element: 0, emitted: false });
        self.resume(counters, out)
    }

    fn resume(&mut self, counters: &mut OperatorCounters, out: &mut dyn Output) -> Progress {
        let Some(mut expansion) = self.unfinished.take() else { return Progress::Done };
        loop {
            let first_row = expansion.row;
            let expanded = expansion.next(&self.spec, &self.schema);
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

impl Lists {
    fn of(array: &ArrayRef) -> Lists {
        let (offsets, elements) = match array.data_type() {
            DataType::Map(..) => {
                let map = array.as_map();
                let entries: ArrayRef = Arc::new(map.entries().clone());
                (map.offsets().clone(), entries)
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                (list.offsets().clone(), Arc::clone(list.values()))
            }
            other => unreachable!("the planner unnests arrays and maps, not {other}"),
        };
        let nulls = array.nulls().cloned();
        match elements.data_type() {
            DataType::Struct(_) => {
                let columns = elements.as_struct().columns().to_vec();
                let hidden = elements.nulls().filter(|of| of.null_count() > 0).cloned();
                Lists { offsets, nulls, columns, hidden }
            }
            _ => Lists { offsets, nulls, columns: vec![elements], hidden: None },
        }
    }

    /// Elements of a row.
    fn range(&self, row: usize) -> Range<usize> {
        if self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)) {
            return 0..0;
        }
        let at = |index: usize| usize::try_from(self.offsets[index]).expect("offsets are positive");
        at(row)..at(row + 1)
    }
}

impl Picked {
    /// Elements `from..to` of `row`, whose first is `start`, without hidden ones.
    fn push(&mut self, row: u32, start: usize, places: Range<usize>, hidden: Option<&NullBuffer>) {
        let shown = places.filter(|&place| hidden.is_none_or(|nulls| nulls.is_valid(place)));
        for place in shown {
            self.rows.push(row);
            self.elements.push(narrow(place));
            let ordinal =
                i32::try_from(place - start + 1).expect("a row has fewer than 2 G elements");
            self.ordinals.push(ordinal);
        }
    }

    fn push_missing(&mut self, row: u32) {
        self.missing.push(self.rows.len());
        self.rows.push(row);
        self.elements.push(0);
        self.ordinals.push(0);
    }

    /// Places of elements, NULL where there is none.
    fn places(&self) -> UInt32Array {
        UInt32Array::new(self.elements.clone().into(), self.nulls())
    }

    fn nulls(&self) -> Option<NullBuffer> {
        if self.missing.is_empty() {
            return None;
        }
        let mut valid = vec![true; self.rows.len()];
        for &missing in &self.missing {
            valid[missing] = false;
        }
        Some(NullBuffer::from(valid))
    }
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).expect("rows of a batch and offsets of a list are below 2 G")
}

impl Expansion {
    /// The next rows of the output, [`BATCH_ROWS_MAX`] at most; `None` when there are no more.
    fn next(&mut self, spec: &UnnestSpec, schema: &SchemaRef) -> Option<Batch> {
        let mut picked = Picked::default();
        while self.row < self.batch.len() && picked.rows.len() < BATCH_ROWS_MAX {
            let before = picked.rows.len();
            let elements = self.lists.range(self.row);
            let first = elements.start + self.element;
            let last = elements.end.min(first + BATCH_ROWS_MAX - before);
            let row = narrow(self.row);
            picked.push(row, elements.start, first..last, self.lists.hidden.as_ref());
            self.emitted |= picked.rows.len() > before;
            self.element = last - elements.start;
            if last == elements.end {
                if spec.outer && !self.emitted {
                    picked.push_missing(row);
                }
                self.row += 1;
                self.element = 0;
                self.emitted = false;
            }
        }
        (!picked.rows.is_empty()).then(|| self.gather(picked, spec, schema))
    }

    fn gather(&self, picked: Picked, spec: &UnnestSpec, schema: &SchemaRef) -> Batch {
        let kept_columns = self.batch.rows.project(&spec.kept).expect("kept columns exist");
        let kept_batch = self.batch.clone().with_rows(kept_columns);
        let places = picked.places();
        let ordinals = Int32Array::new(picked.ordinals.clone().into(), picked.nulls());
        let length = picked.rows.len();
        let taken = take_batch(kept_batch, UInt32Array::from(picked.rows));
        let mut columns: Vec<ArrayRef> = taken.rows.columns().to_vec();
        columns.extend(self.lists.columns.iter().map(|column| {
            take(column.as_ref(), &places, None).expect("every element type can be gathered")
        }));
        if spec.ordinality {
            columns.push(Arc::new(ordinals));
        }
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
    use arrow::array::{Int64Array, ListArray, StructArray};
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
        let kept_columns = kept.to_vec();
        let spec = UnnestSpec { array: plain, kept: kept_columns, ordinality: false, outer: false };
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

    /// Columns `id`, then those of the element, of an outer join with ordinality.
    fn outer(array: ArrayRef, elements: &[Field]) -> Vec<RecordBatch> {
        let ids = Int64Array::from_iter_values((0..array.len()).map(|id| id as i64 * 10));
        let id = Field::new("id", DataType::Int64, true);
        let list = Field::new("list", array.data_type().clone(), true);
        let schema = Arc::new(Schema::new(vec![id.clone(), list]));
        let rows = RecordBatch::try_new(schema, vec![Arc::new(ids), array]).unwrap();
        let mut fields = vec![id];
        fields.extend(elements.iter().cloned());
        fields.push(Field::new("place", DataType::Int32, true));
        let plain = Arc::new(Picky::failing_on(&[]).plain_column_at(1));
        let spec = UnnestSpec { array: plain, kept: vec![0], ordinality: true, outer: true };
        let mut operator = unnest(spec, Arc::new(Schema::new(fields)));
        let mut out = Collector::with_room(9);
        run_to_end(operator.as_mut(), Batch::new(rows, 0), &mut out);
        assert_eq!(operator.counters().imbalance(), None);
        out.batches.into_iter().map(|batch| batch.rows).collect()
    }

    #[test]
    fn an_outer_join_keeps_rows_without_elements() {
        let lists = [Some(vec![Some(1), None]), None, Some(vec![]), Some(vec![Some(4)])];
        let array: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(lists));
        let batches = outer(array, &[Field::new("item", DataType::Int64, true)]);
        let columns = |index: usize| Arc::clone(batches[0].column(index));
        let expected: [ArrayRef; 3] = [
            Arc::new(Int64Array::from(vec![0, 0, 10, 20, 30])),
            Arc::new(Int64Array::from(vec![Some(1), None, None, None, Some(4)])),
            Arc::new(Int32Array::from(vec![Some(1), Some(2), None, None, Some(1)])),
        ];
        assert_eq!([columns(0), columns(1), columns(2)], expected);
    }

    #[test]
    fn rows_become_columns_and_null_rows_nothing() {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3), None]));
        let field = Field::new("a", DataType::Int64, true);
        let valid = NullBuffer::from(vec![true, false, true, false]);
        let rows = StructArray::new(vec![field.clone()].into(), vec![values], Some(valid));
        let item = Arc::new(Field::new_list_field(rows.data_type().clone(), true));
        let offsets = OffsetBuffer::from_lengths([3, 1]);
        let array: ArrayRef = Arc::new(ListArray::new(item, offsets, Arc::new(rows), None));
        let batches = outer(array, &[field]);
        let expected: [ArrayRef; 3] = [
            Arc::new(Int64Array::from(vec![0, 0, 10])),
            Arc::new(Int64Array::from(vec![Some(1), Some(3), None])),
            Arc::new(Int32Array::from(vec![Some(1), Some(3), None])),
        ];
        let columns: Vec<ArrayRef> = batches[0].columns().to_vec();
        assert_eq!(columns, expected);
    }
}
