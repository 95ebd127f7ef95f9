//! A batch: rows of one split, in order, in columns, with what must travel beside each row.
//!
//! Invariant: every tag that is present has exactly one value per row.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Int64Array, RecordBatch,
    RecordBatchOptions, UInt64Array,
};
use arrow::buffer::ScalarBuffer;
use arrow::compute::FilterBuilder;
use arrow::datatypes::{Int64Type, UInt64Type};
use arrow::error::ArrowError;
use std::sync::Arc;

use super::Spent;
use super::gather::gather;

/// The unit of work: whatever had arrived when the core came round. One record is a batch of one.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The rows; their schema is the edge's.
    pub rows: RecordBatch,
    /// What travels beside each row.
    pub tags: RowTags,
    /// When the last byte of the batch reached this machine: monotonic nanoseconds. Of rows of a
    /// window, when that of the batch did that made it fire.
    pub arrival_ns: u64,
    /// What has become of the time since.
    pub spent: Spent,
}

/// Hidden per-row values. Absent ones cost nothing.
#[derive(Clone, Debug, Default)]
pub struct RowTags {
    /// The split's watermark just before each row, in milliseconds: what decides lateness.
    /// Present from an event-time source up to the first windowed operator.
    pub watermarks: Option<ScalarBuffer<i64>>,
    /// Place of each row in the order of its split, for aggregates whose result that order decides.
    /// Of rows of several splits it says nothing.
    pub positions: Option<ScalarBuffer<i64>>,
    /// Key hash of each row, once an exchange or a keyed operator has computed it.
    pub hashes: Option<ScalarBuffer<u64>>,
    /// Where each row came from. Present when a late or rejected sink wants to know.
    pub provenance: Option<Provenance>,
}

/// Source, position and raw bytes of each row, for the sinks of late and rejected records.
#[derive(Clone, Debug)]
pub struct Provenance {
    /// Name of the source, with its split: `bid:127.0.0.1:9000`, `bid:part-1.json`.
    pub origin: Arc<str>,
    /// Replayable position of each row in its split: a byte offset for files and sockets.
    pub offsets: UInt64Array,
    /// The record as received, without its line end.
    pub raw: BinaryArray,
}

impl Batch {
    /// A batch without tags.
    pub fn new(rows: RecordBatch, arrival_ns: u64) -> Batch {
        Batch { rows, tags: RowTags::default(), arrival_ns, spent: Spent::default() }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }

    /// True when there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same rows with other columns; tags stay. `rows` must have as many rows.
    #[must_use]
    pub fn with_rows(self, rows: RecordBatch) -> Batch {
        assert_eq!(rows.num_rows(), self.rows.num_rows());
        Batch { rows, ..self }
    }

    /// Tags the rows with their places in their split, of which the first is `first`.
    pub fn number(&mut self, first: u64) {
        // Beyond all positions rows would have one place; at 10^9 rows a second that is in 292 years.
        let place =
            |row: usize| i64::try_from(first.saturating_add(row as u64)).unwrap_or(i64::MAX);
        self.tags.positions = Some((0..self.len()).map(place).collect());
    }

    /// The rows for which `mask` is true; NULL counts as false.
    ///
    /// # Errors
    /// Arrow's, when a column type cannot be filtered.
    pub fn filter(&self, mask: &BooleanArray) -> Result<Batch, ArrowError> {
        assert_eq!(mask.len(), self.len());
        let predicate = FilterBuilder::new(mask).optimize().build();
        let rows = predicate.filter_record_batch(&self.rows)?;
        let tags = self.tags.map(|array| predicate.filter(array))?;
        Ok(Batch { rows, tags, ..*self })
    }

    /// The rows at `indices`, in that order; an index may repeat.
    ///
    /// # Errors
    /// Arrow's, when a column type cannot be gathered or an index is out of range.
    pub fn take(&self, indices: &arrow::array::UInt32Array) -> Result<Batch, ArrowError> {
        let columns = self.rows.columns().iter().map(|column| gather(column, indices));
        let columns = columns.collect::<Result<Vec<ArrayRef>, ArrowError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(indices.len()));
        let rows = RecordBatch::try_new_with_options(self.rows.schema(), columns, &options)?;
        let tags = self.tags.map(|array| gather(array, indices))?;
        Ok(Batch { rows, tags, ..*self })
    }

    /// When the oldest batch reached this machine that the rows are made of.
    pub fn oldest_ns(&self) -> u64 {
        self.arrival_ns.saturating_sub(self.spent.watermark_wait_ns)
    }

    /// `length` rows from row `start` on, without copying.
    pub fn slice(&self, start: usize, length: usize) -> Batch {
        let rows = self.rows.slice(start, length);
        let tags =
            self.tags.map(|array| Ok(array.slice(start, length))).expect("slicing cannot fail");
        Batch { rows, tags, ..*self }
    }
}

impl RowTags {
    /// Applies one row selection to every tag.
    fn map(
        &self,
        mut select: impl FnMut(&dyn Array) -> Result<ArrayRef, ArrowError>,
    ) -> Result<RowTags, ArrowError> {
        let mut select_ints = |values: &Option<ScalarBuffer<i64>>| match values {
            Some(values) => {
                let array = Int64Array::new(values.clone(), None);
                select(&array).map(|array| Some(array.as_primitive::<Int64Type>().values().clone()))
            }
            None => Ok(None),
        };
        let watermarks = select_ints(&self.watermarks)?;
        let positions = select_ints(&self.positions)?;
        let hashes = match &self.hashes {
            Some(values) => {
                let array = UInt64Array::new(values.clone(), None);
                Some(select(&array)?.as_primitive::<UInt64Type>().values().clone())
            }
            None => None,
        };
        let provenance = match &self.provenance {
            Some(provenance) => Some(provenance.map(&mut select)?),
            None => None,
        };
        Ok(RowTags { watermarks, positions, hashes, provenance })
    }
}

impl Provenance {
    fn map(
        &self,
        select: &mut impl FnMut(&dyn Array) -> Result<ArrayRef, ArrowError>,
    ) -> Result<Provenance, ArrowError> {
        Ok(Provenance {
            origin: Arc::clone(&self.origin),
            offsets: select(&self.offsets)?.as_primitive::<UInt64Type>().clone(),
            raw: select(&self.raw)?.as_binary::<i32>().clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::UInt32Array;
    use arrow::datatypes::{DataType, Field, Schema};

    fn tagged() -> Batch {
        let schema = Arc::new(Schema::new(vec![Field::new("a", DataType::Int64, true)]));
        let column: ArrayRef = Arc::new(Int64Array::from(vec![10, 11, 12]));
        let mut batch = Batch::new(RecordBatch::try_new(schema, vec![column]).unwrap(), 7);
        batch.tags.watermarks = Some(vec![1, 2, 3].into());
        batch.tags.positions = Some(vec![-1, -2, -3].into());
        batch.tags.hashes = Some(vec![100_u64, 200, 300].into());
        batch.tags.provenance = Some(Provenance {
            origin: "t".into(),
            offsets: UInt64Array::from(vec![0, 5, 9]),
            raw: BinaryArray::from(vec![&b"x"[..], b"y", b"z"]),
        });
        batch
    }

    #[track_caller]
    fn check(batch: &Batch, watermarks: &[i64], hashes: &[u64], raw: &[&[u8]]) {
        assert_eq!(batch.len(), watermarks.len());
        assert_eq!(batch.tags.watermarks.as_ref().unwrap().as_ref(), watermarks);
        let positions = watermarks.iter().map(|value| -value).collect::<Vec<_>>();
        assert_eq!(batch.tags.positions.as_ref().unwrap().as_ref(), positions);
        assert_eq!(batch.tags.hashes.as_ref().unwrap().as_ref(), hashes);
        let provenance = batch.tags.provenance.as_ref().unwrap();
        assert_eq!(provenance.raw.iter().flatten().collect::<Vec<_>>(), raw);
        assert_eq!(batch.arrival_ns, 7);
    }

    #[test]
    fn tags_follow_their_rows() {
        let batch = tagged();
        let mask = BooleanArray::from(vec![Some(true), None, Some(true)]);
        check(&batch.filter(&mask).unwrap(), &[1, 3], &[100, 300], &[b"x", b"z"]);
        let indices = UInt32Array::from(vec![2, 0, 2]);
        check(&batch.take(&indices).unwrap(), &[3, 1, 3], &[300, 100, 300], &[b"z", b"x", b"z"]);
        check(&batch.slice(1, 1), &[2], &[200], &[b"y"]);
    }
}
