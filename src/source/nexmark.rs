//! Nexmark source: the stream of `workload`, all of it made whatever is read.

use arrow::array::RecordBatch;

use crate::record::Timestamp;
use crate::source::Generator;
use crate::workload::Nexmark;

/// The stream, and the columns of it that are wanted.
///
/// Every column of every event is made, as the original makes it, so that queries that read few
/// columns are not flattered.
#[derive(Debug)]
pub struct NexmarkGenerator {
    /// The stream.
    pub stream: Nexmark,
    /// Columns wanted, ascending.
    pub projection: Vec<usize>,
}

impl Generator for NexmarkGenerator {
    fn make(&self, first: u64, rows: usize, _now: Timestamp) -> RecordBatch {
        let batch = self.stream.batch(first, rows);
        batch.project(&self.projection).expect("the projection is of the stream's columns")
    }

    fn batch_rows_max(&self) -> usize {
        self.stream.batch_rows_max()
    }
}
