//! Columns: a peer's by name as the table's, and its frames as rows of the table.

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::{BooleanBuffer, Buffer};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use std::sync::Arc;

use super::ProtocolFault;
use crate::format::reason::describe;
use crate::format::scalar::Fault;
use crate::format::types::{map_parts, sql_name};
use crate::record::FrameReader;

/// Reads one peer's frames.
#[derive(Debug)]
pub struct FrameColumns {
    reader: FrameReader,
    schema: SchemaRef,
    /// Columns of the peer that the table does not have.
    pub unknown: Vec<String>,
}

/// The rows of one frame.
#[derive(Debug)]
pub struct FrameRead {
    /// Those that are rows of the table.
    pub rows: RecordBatch,
    /// The others: number in the frame, and why.
    pub rejected: Vec<(usize, String)>,
}

impl FrameColumns {
    /// `written` are the peer's columns, `projection` those of the table that are wanted.
    ///
    /// # Errors
    /// A column of another type, or one that is NOT NULL and missing.
    pub fn new(
        written: &Schema,
        table: &Schema,
        projection: &[usize],
    ) -> Result<FrameColumns, ProtocolFault> {
        let unknown = check_columns(written, table, "hello")
            .map_err(|reason| ProtocolFault::Schema { reason })?;
        let schema = table.project(projection).expect("the projection is of the table's columns");
        Ok(FrameColumns {
            reader: FrameReader::new(written, schema.fields()),
            unknown,
            schema: Arc::new(schema),
        })
    }

    /// The rows of a frame, built over its payload.
    ///
    /// # Errors
    /// When the payload is no archive of the peer's columns.
    pub fn read(&self, payload: &Buffer) -> Result<FrameRead, ProtocolFault> {
        let (columns, rows) = self.reader.read(payload).map_err(ProtocolFault::Rows)?;
        Ok(rows_of_table(&self.schema, columns, rows))
    }
}

/// Columns of a peer as rows of a table, of whose columns they have the types. Rows with a NULL where
/// the table says NOT NULL are rejected.
pub(in crate::format) fn rows_of_table(
    schema: &SchemaRef,
    columns: Vec<ArrayRef>,
    rows: usize,
) -> FrameRead {
    let has_null =
        |(field, column): (&Arc<Field>, &ArrayRef)| !field.is_nullable() && column.null_count() > 0;
    if schema.fields().iter().zip(&columns).any(has_null) {
        return without_nulls(schema, columns, rows);
    }
    FrameRead { rows: batch(schema, columns, rows), rejected: Vec::new() }
}

#[cold]
fn without_nulls(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> FrameRead {
    let fault = |row: usize| {
        let fields = schema.fields().iter().zip(&columns);
        let mut nulls =
            fields.filter(|(field, column)| !field.is_nullable() && column.is_null(row));
        nulls.next().map(|(field, _)| describe(field, b"", Fault::Null))
    };
    let rejected: Vec<(usize, String)> =
        (0..rows).filter_map(|row| Some((row, fault(row)?))).collect();
    let mut is_kept = vec![true; rows];
    rejected.iter().for_each(|(row, _)| is_kept[*row] = false);
    let nullable = schema.fields().iter().map(|field| field.as_ref().clone().with_nullable(true));
    let nullable = Arc::new(Schema::new(nullable.collect::<Vec<_>>()));
    let mask = BooleanArray::new(BooleanBuffer::from(is_kept), None);
    let kept = filter_record_batch(&batch(&nullable, columns, rows), &mask);
    let kept = kept.expect("every type of a table can be filtered");
    let count = kept.num_rows();
    FrameRead { rows: batch(schema, kept.columns().to_vec(), count), rejected }
}

/// Compares a peer's columns with a table's, by name; those that the table lacks. `place` is where the
/// peer has said which it has.
///
/// # Errors
/// A column of another type, or one that is NOT NULL and missing, in words.
pub(in crate::format) fn check_columns(
    written: &Schema,
    table: &Schema,
    place: &str,
) -> Result<Vec<String>, String> {
    for ours in table.fields() {
        let theirs = written.fields().iter().find(|theirs| theirs.name() == ours.name());
        match theirs {
            Some(theirs) => check_type(theirs, ours, place)?,
            None if ours.is_nullable() => {}
            None => {
                return Err(format!(
                    "column \"{}\" is NOT NULL in the table, and is not among the columns of {place}",
                    ours.name()
                ));
            }
        }
    }
    let is_unknown = |theirs: &&Arc<Field>| table.index_of(theirs.name()).is_err();
    let unknown = written.fields().iter().filter(is_unknown);
    Ok(unknown.map(|field| field.name().clone()).collect())
}

fn batch(schema: &SchemaRef, columns: Vec<ArrayRef>, rows: usize) -> RecordBatch {
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &options)
        .expect("columns are built from the schema's fields, with one value per row")
}

fn check_type(theirs: &Field, ours: &Field, place: &str) -> Result<(), String> {
    if is_readable_as(theirs.data_type(), ours.data_type()) {
        return Ok(());
    }
    Err(format!(
        "column \"{}\" is {} in {place} and {} in the table",
        ours.name(),
        shown(theirs.data_type()),
        shown(ours.data_type())
    ))
}

/// The type, with the NOT NULLs of its parts.
fn shown(data_type: &DataType) -> String {
    let part = |field: &Field| {
        let not_null = if field.is_nullable() { "" } else { " NOT NULL" };
        format!("{}{not_null}", shown(field.data_type()))
    };
    match data_type {
        DataType::List(item) => format!("ARRAY<{}>", part(item)),
        DataType::Struct(fields) => {
            let fields = fields.iter().map(|field| format!("{} {}", field.name(), part(field)));
            format!("ROW<{}>", fields.collect::<Vec<_>>().join(", "))
        }
        DataType::Map(entries, _) => match map_parts(entries) {
            Some((key, value)) => format!("MAP<{}, {}>", shown(key.data_type()), part(value)),
            None => sql_name(data_type),
        },
        scalar => sql_name(scalar),
    }
}

/// Equal but for names of a list's items, and for parts that are NOT NULL and may be NULL in ours.
fn is_readable_as(theirs: &DataType, ours: &DataType) -> bool {
    match (theirs, ours) {
        (DataType::List(theirs), DataType::List(ours)) => is_part_readable_as(theirs, ours),
        (DataType::Map(theirs, _), DataType::Map(ours, _)) => {
            match (map_parts(theirs), map_parts(ours)) {
                (Some(theirs), Some(ours)) => {
                    is_part_readable_as(theirs.0, ours.0) && is_part_readable_as(theirs.1, ours.1)
                }
                _ => false,
            }
        }
        (DataType::Struct(theirs), DataType::Struct(ours)) => {
            theirs.len() == ours.len()
                && theirs.iter().zip(ours).all(|(theirs, ours)| {
                    theirs.name() == ours.name() && is_part_readable_as(theirs, ours)
                })
        }
        (theirs, ours) => theirs == ours,
    }
}

fn is_part_readable_as(theirs: &Field, ours: &Field) -> bool {
    (ours.is_nullable() || !theirs.is_nullable())
        && is_readable_as(theirs.data_type(), ours.data_type())
}
