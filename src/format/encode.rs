//! Encoders: batches to lines, appended to the caller's buffer.
//!
//! In:  a batch of the schema the encoder was made for.
//! Out: one line per row.
//!
//! Columns are downcast once per batch into [`view::View`]s, whose list is reused: a batch of one row
//! allocates nothing (but for arrays, rows and maps).
//!
//! Read: `view` (a column, downcast) · `text` (one value as text) · `json` · `csv` · `print`.

mod csv;
mod json;
mod print;
mod text;
mod view;

use arrow::array::RecordBatch;

use super::Encoder;
pub(super) use csv::CsvEncoder;
pub(super) use json::JsonEncoder;
pub(super) use print::PrintEncoder;
use view::{Values, View};

/// The line is the one column; NULL is an empty line.
#[derive(Debug)]
pub(super) struct RawEncoder;

impl Encoder for RawEncoder {
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
        let view = View::new(rows.column(0));
        for row in 0..rows.num_rows() {
            match &view.values {
                Values::Text(column) if view.is_valid(row) => {
                    out.extend_from_slice(column.value(row).as_bytes());
                }
                Values::Bytes(column) if view.is_valid(row) => {
                    out.extend_from_slice(column.value(row));
                }
                _ => {}
            }
            out.push(b'\n');
        }
    }
}
