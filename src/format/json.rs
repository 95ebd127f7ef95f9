//! JSON lines to columns: one object per line, one pass over its bytes, only the columns wanted.
//!
//! In:  a line, its bytes unchecked.
//! Out: one value per column, or the reason why the line is not a row.
//!
//! The whole line is checked against RFC 8259 (also what is skipped: grammar, escapes, UTF-8, depth
//! ≤ `DEPTH_MAX`). A record is first read into one token per column and then converted, so that of
//! duplicate keys the last one wins and a failed line leaves nothing to sort out but the columns'
//! length. Blank lines are no records.
//!
//! Read: `reader` (bytes to tokens) · `escape` · `object` (keys to columns, predicting their order) ·
//! `convert` (token to value, and arrays, rows and maps).

mod convert;
mod escape;
mod object;
mod reader;

use super::column::Column;
use super::reason::describe;
use super::records::{Parsed, RecordParser};
use convert::Converter;
use object::ObjectReader;
use reader::{Broken, Reader};

/// Parses lines of one split.
pub(super) struct JsonParser {
    object: ObjectReader,
    converters: Vec<Converter>,
    scratch: Vec<u8>,
}

impl JsonParser {
    /// For the columns wanted.
    pub(super) fn new<'a>(
        fields: impl Iterator<Item = &'a arrow::datatypes::Field> + Clone,
    ) -> JsonParser {
        JsonParser {
            object: ObjectReader::new(fields.clone().map(|field| field.name().as_str())),
            converters: fields.map(|field| Converter::new(field.data_type())).collect(),
            scratch: Vec::new(),
        }
    }
}

impl RecordParser for JsonParser {
    #[inline(always)]
    fn parse(&mut self, record: &[u8], columns: &mut [Column]) -> Result<Parsed, String> {
        if record.first() != Some(&b'{') && record.trim_ascii().is_empty() {
            return Ok(Parsed::Nothing);
        }
        let mut reader = Reader::new(record);
        let read = self.object.read(&mut reader, 1).and_then(|()| reader.expect_end());
        if let Err(broken) = read {
            return Err(not_json(&broken));
        }
        let tokens = self.object.tokens();
        for ((column, converter), token) in columns.iter_mut().zip(&mut self.converters).zip(tokens)
        {
            if let Err(fault) = converter.convert(token, record, column, &mut self.scratch) {
                return Err(describe(column.field(), token.written(record), fault));
            }
        }
        Ok(Parsed::Row)
    }
}

#[cold]
fn not_json(broken: &Broken) -> String {
    format!("not a JSON object: {} at byte {}", broken.what, broken.at)
}
