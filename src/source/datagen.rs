//! Datagen source: made-up rows of any table, as Flink's connector of this name describes them.
//!
//! In:  a table's columns, and options of some of them (`kind`, `min`, `max`, …).
//! Out: any part of the stream: values are a function of the seed, the column and the row's number.
//!
//! Read: `field` (a column's options) · `column` (its values).

mod column;
mod field;
#[cfg(test)]
mod tests;

pub use field::{FieldFault, FieldOption};

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::SchemaRef;

use crate::limits::{BATCH_BYTES_MAX, GENERATED_BATCH_ROWS};
use crate::record::Timestamp;
use crate::source::Generator;

use column::Column;

/// See the module.
#[derive(Debug)]
pub struct Datagen {
    schema: SchemaRef,
    /// Those that are wanted.
    columns: Vec<Column>,
    rows: Option<u64>,
    batch_rows_max: usize,
}

impl Datagen {
    /// The stream of a table with the columns `schema`, of which those in `projection` are made.
    ///
    /// # Errors
    /// Every option that is not one of its column, and every column that cannot be made.
    pub fn new(
        schema: &SchemaRef,
        projection: &[usize],
        fields: &[FieldOption],
        seed: u64,
    ) -> Result<Datagen, Vec<FieldFault>> {
        let values = field::values_of(schema, fields)?;
        let sequences = values.iter().filter_map(column::Values::rows);
        let rows = sequences.min();
        let row_bytes: usize =
            projection.iter().map(|&index| values[index].bytes_max().max(8)).sum();
        let column = |&index: &usize| {
            let data_type = schema.field(index).data_type().clone();
            Column::new(values[index].clone(), data_type, seed.wrapping_add(index as u64))
        };
        Ok(Datagen {
            schema: Arc::new(schema.project(projection).expect("of the table's columns")),
            columns: projection.iter().map(column).collect(),
            rows,
            batch_rows_max: (BATCH_BYTES_MAX / row_bytes.max(1)).clamp(1, GENERATED_BATCH_ROWS),
        })
    }

    /// Rows until the shortest sequence ends; `None` when there is no sequence.
    pub fn rows(&self) -> Option<u64> {
        self.rows
    }
}

impl Generator for Datagen {
    fn make(&self, first: u64, rows: usize, now: Timestamp) -> RecordBatch {
        let columns: Vec<ArrayRef> =
            self.columns.iter().map(|column| column.make(first, rows, now)).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .expect("the columns have the schema's types and as many rows")
    }

    fn batch_rows_max(&self) -> usize {
        self.batch_rows_max
    }
}
