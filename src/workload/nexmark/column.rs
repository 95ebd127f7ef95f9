//! Columns being filled, row by row with gaps: a batch has all three kinds of events in it.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, StructArray, TimestampMillisecondArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::Fields;

/// Whole numbers, or milliseconds. Rows that are not set are 0.
pub(super) struct Numbers(Vec<i64>);

impl Numbers {
    pub(super) fn with_rows(rows: usize) -> Numbers {
        Numbers(vec![0; rows])
    }

    pub(super) fn set(&mut self, row: usize, value: i64) {
        self.0[row] = value;
    }

    pub(super) fn finish(self, present: &NullBuffer) -> ArrayRef {
        Arc::new(Int64Array::new(self.0.into(), Some(present.clone())))
    }

    pub(super) fn finish_times(self, present: &NullBuffer) -> ArrayRef {
        Arc::new(TimestampMillisecondArray::new(self.0.into(), Some(present.clone())))
    }
}

/// Texts, whose rows are set in ascending order. Rows that are not set are empty.
pub(super) struct Texts {
    /// Where rows begin, up to the last one set.
    starts: Vec<i32>,
    bytes: Vec<u8>,
}

impl Texts {
    /// `row_bytes` is about what a row takes, for one in `share` rows.
    pub(super) fn with_rows(rows: usize, row_bytes: usize, share: usize) -> Texts {
        let bytes = Vec::with_capacity(rows.div_ceil(share) * row_bytes);
        Texts { starts: Vec::with_capacity(rows + 1), bytes }
    }

    /// Where the text of `row` is to be appended, ASCII only.
    pub(super) fn begin(&mut self, row: usize) -> &mut Vec<u8> {
        let end = self.end();
        self.starts.resize(row + 1, end);
        &mut self.bytes
    }

    /// Bytes appended since `begin`.
    pub(super) fn len_of_last(&self) -> usize {
        let start = self.starts.last().map_or(0, |start| usize::try_from(*start).unwrap_or(0));
        self.bytes.len() - start
    }

    pub(super) fn set(&mut self, row: usize, text: &[u8]) {
        self.begin(row).extend_from_slice(text);
    }

    fn end(&self) -> i32 {
        i32::try_from(self.bytes.len()).expect("a batch's texts are bounded by BATCH_BYTES_MAX")
    }

    pub(super) fn finish(mut self, rows: usize, present: &NullBuffer) -> ArrayRef {
        let end = self.end();
        self.starts.resize(rows + 1, end);
        let offsets = OffsetBuffer::new(self.starts.into());
        let present = Some(present.clone());
        Arc::new(StringArray::new(offsets, self.bytes.into(), present))
    }
}

/// Columns of one kind of event as a row, which is NULL where `present` says so.
pub(super) fn row_of(fields: Fields, columns: Vec<ArrayRef>, present: NullBuffer) -> ArrayRef {
    Arc::new(StructArray::new(fields, columns, Some(present)))
}
