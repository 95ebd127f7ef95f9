//! CSV encoder: RFC 4180, quotes only where needed, NULL as nothing, empty text as `""`.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;

use super::super::{CsvOptions, Encoder};
use super::text::{self, TimestampForm};
use super::view::{Values, View, reuse};

/// Writes the rows of one schema.
pub(in crate::format) struct CsvEncoder {
    delimiter: u8,
    /// The header line, if one is written.
    header: Option<Vec<u8>>,
    /// Numbers and times can contain the delimiter.
    scalars_may_need_quotes: bool,
    /// Always empty between calls; kept for its memory.
    views: Vec<View<'static>>,
}

impl CsvEncoder {
    pub(in crate::format) fn new(options: &CsvOptions, schema: &Schema) -> CsvEncoder {
        let delimiter = options.delimiter;
        let header = options.header.then(|| {
            let mut line = Vec::new();
            for (index, field) in schema.fields().iter().enumerate() {
                if index > 0 {
                    line.push(delimiter);
                }
                write_text(field.name().as_bytes(), delimiter, &mut line);
            }
            line.push(b'\n');
            line
        });
        let scalars_may_need_quotes =
            delimiter.is_ascii_alphanumeric() || b" +-.:/=".contains(&delimiter);
        CsvEncoder { delimiter, header, scalars_may_need_quotes, views: Vec::new() }
    }

    #[inline]
    fn write_value(&self, view: &View<'_>, row: usize, out: &mut Vec<u8>) {
        if !view.is_valid(row) {
            return;
        }
        if let Values::Text(column) = &view.values {
            return write_text(column.value(row).as_bytes(), self.delimiter, out);
        }
        let start = out.len();
        text::scalar(view, row, TimestampForm::Sql, out);
        // Empty BYTES are empty text, not NULL.
        if self.scalars_may_need_quotes || out.len() == start {
            let value = out.split_off(start);
            write_text(&value, self.delimiter, out);
        }
    }
}

impl Encoder for CsvEncoder {
    fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(header) = &self.header {
            out.extend_from_slice(header);
        }
    }

    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
        let mut views = reuse(std::mem::take(&mut self.views));
        views.extend(rows.columns().iter().map(View::new));
        for row in 0..rows.num_rows() {
            for (index, view) in views.iter().enumerate() {
                if index > 0 {
                    out.push(self.delimiter);
                }
                self.write_value(view, row, out);
            }
            out.push(b'\n');
        }
        self.views = reuse(views);
    }
}

#[inline]
fn write_text(text: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    if !needs_quotes(text, delimiter) {
        return out.extend_from_slice(text);
    }
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'"', rest) {
        out.extend_from_slice(&rest[..=at]);
        out.push(b'"');
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[inline]
fn needs_quotes(text: &[u8], delimiter: u8) -> bool {
    let special = |&byte: &u8| byte == delimiter || matches!(byte, b'"' | b'\n' | b'\r');
    // One pass without early exit, so that it is done many bytes at a time.
    text.is_empty() || text.iter().fold(false, |found, byte| found | special(byte))
}
