//! Metadata: what is known of the file that a record stands in, as columns beside those of the record.

use arrow::array::{
    ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMillisecondArray,
};
use arrow::datatypes::{DataType, SchemaRef, TimeUnit};
use std::sync::Arc;

use super::plan::PlannedFile;

/// Flink's metadata keys of a file, with their types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileMetadata {
    /// `file.path`: absolute.
    Path,
    /// `file.name`: behind the last `/`.
    Name,
    /// `file.size`: bytes at the start.
    Size,
    /// `file.modification-time`: at the start.
    ModificationTime,
}

impl FileMetadata {
    /// All of them.
    pub const ALL: [FileMetadata; 4] = [
        FileMetadata::Path,
        FileMetadata::Name,
        FileMetadata::Size,
        FileMetadata::ModificationTime,
    ];

    /// Its name in `METADATA FROM`.
    pub fn key(self) -> &'static str {
        match self {
            FileMetadata::Path => "file.path",
            FileMetadata::Name => "file.name",
            FileMetadata::Size => "file.size",
            FileMetadata::ModificationTime => "file.modification-time",
        }
    }

    /// The inverse of [`FileMetadata::key`].
    pub fn of_key(key: &str) -> Option<FileMetadata> {
        FileMetadata::ALL.into_iter().find(|metadata| metadata.key() == key)
    }

    /// Type of its column: STRING, BIGINT, TIMESTAMP_LTZ(3).
    pub fn data_type(self) -> DataType {
        match self {
            FileMetadata::Path | FileMetadata::Name => DataType::Utf8,
            FileMetadata::Size => DataType::Int64,
            FileMetadata::ModificationTime => {
                DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
            }
        }
    }

    /// The same value `rows` times.
    fn column(self, file: &PlannedFile, rows: usize) -> ArrayRef {
        let texts = |text: &str| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows)))
        };
        match self {
            FileMetadata::Path => {
                let absolute = std::path::absolute(&file.path).unwrap_or(file.path.clone());
                texts(&absolute.to_string_lossy())
            }
            FileMetadata::Name => {
                texts(&file.path.file_name().unwrap_or_default().to_string_lossy())
            }
            FileMetadata::Size => {
                let bytes = i64::try_from(file.status.bytes).unwrap_or(i64::MAX);
                Arc::new(Int64Array::from_value(bytes, rows))
            }
            FileMetadata::ModificationTime => {
                let times = TimestampMillisecondArray::from_value(file.modified_ms, rows);
                Arc::new(times.with_data_type(self.data_type()))
            }
        }
    }
}

/// Metadata columns behind those of the records.
#[derive(Clone, Debug)]
pub struct MetadataColumns {
    /// Columns of the records that are read, then these.
    pub schema: SchemaRef,
    /// In order.
    pub wanted: Vec<FileMetadata>,
}

impl MetadataColumns {
    /// Rows of `file` with their metadata.
    pub(super) fn beside(&self, rows: &RecordBatch, file: &PlannedFile) -> RecordBatch {
        let count = rows.num_rows();
        let own = self.wanted.iter().map(|metadata| metadata.column(file, count));
        let columns = rows.columns().iter().cloned().chain(own).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .expect("the schema is that of the records with these columns behind")
    }
}
