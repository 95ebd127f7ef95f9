//! Raw lines: the line is the one column, STRING (then it must be UTF-8) or BYTES.

use arrow::datatypes::{DataType, Schema};

use super::FormatError;
use super::column::{Column, Values, offset};
use super::records::{Parsed, RecordParser};

/// Parses lines of one split.
pub(super) struct RawParser {
    is_text: bool,
}

impl RawParser {
    pub(super) fn new(schema: &Schema) -> RawParser {
        RawParser { is_text: schema.field(0).data_type() == &DataType::Utf8 }
    }
}

/// Refuses a schema that is not one column of text or bytes.
pub(super) fn check(schema: &Schema) -> Result<(), FormatError> {
    match schema.fields().as_ref() {
        [field] if matches!(field.data_type(), DataType::Utf8 | DataType::Binary) => Ok(()),
        fields => Err(FormatError(format!(
            "format \"raw\" needs exactly one column, of type STRING or BYTES; there are {}: {}",
            fields.len(),
            fields
                .iter()
                .map(|field| format!(
                    "{} {}",
                    field.name(),
                    super::types::sql_name(field.data_type())
                ))
                .collect::<Vec<_>>()
                .join(", ")
        ))),
    }
}

impl RecordParser for RawParser {
    const SKIPS_MARK: bool = false;

    #[inline]
    fn parse(&mut self, record: &[u8], columns: &mut [Column]) -> Result<Parsed, String> {
        if self.is_text
            && let Err(error) = std::str::from_utf8(record)
        {
            return Err(format!("invalid UTF-8 at byte {}", error.valid_up_to()));
        }
        if let [column] = columns {
            let Values::Bytes { offsets, bytes } = &mut column.values else {
                unreachable!("the column is STRING or BYTES")
            };
            bytes.extend_from_slice(record);
            offsets.push(offset(bytes.len()));
            column.mark_valid();
        }
        Ok(Parsed::Row)
    }
}
