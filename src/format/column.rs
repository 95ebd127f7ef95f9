//! Columns under construction: values of one column, appended one by one, that can be cut back.
//!
//! In:  values of the column's type (or their text), row by row.
//! Out: an Arrow array of everything appended since the last `take`.
//!
//! Invariants
//! - `validity`, when there is any, has as many bits as there are rows.
//! - `truncate` takes back whole rows, whatever a failed row has left behind.
//!
//! Read: `values` (storage by physical type) · `validity`.

mod validity;
mod values;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field};
use std::sync::Arc;

use super::scalar::{self, Fault};
use validity::Validity;
pub(super) use values::{Nested, Values, offset};

/// One column under construction.
#[derive(Debug)]
pub(super) struct Column {
    field: Arc<Field>,
    pub(super) values: Values,
    validity: Validity,
}

impl Column {
    /// An empty column for a field whose type `types::is_scalar_or_nested` accepts.
    pub(super) fn new(field: Arc<Field>) -> Column {
        let values = Values::new(field.data_type());
        Column { field, values, validity: Validity::default() }
    }

    pub(super) fn field(&self) -> &Arc<Field> {
        &self.field
    }

    /// Rows appended.
    pub(super) fn len(&self) -> usize {
        self.values.len()
    }

    /// To be called after each value pushed to `values` directly.
    #[inline]
    pub(super) fn mark_valid(&mut self) {
        self.validity.push_valid();
    }

    /// Appends NULL, where `fault` says why it is one.
    #[inline]
    pub(super) fn push_null(&mut self, fault: Fault) -> Result<(), Fault> {
        if !self.field.is_nullable() {
            return Err(fault);
        }
        let rows = self.len();
        self.values.push_default();
        self.validity.push_null(rows);
        Ok(())
    }

    /// Appends a value given as text, without quotes and escapes. Text of a STRING must be UTF-8.
    #[inline]
    pub(super) fn push_text(&mut self, text: &[u8]) -> Result<(), Fault> {
        match (&mut self.values, self.field.data_type()) {
            (Values::Bytes { offsets, bytes }, DataType::Utf8) => {
                bytes.extend_from_slice(text);
                offsets.push(values::offset(bytes.len()));
            }
            (Values::Bytes { offsets, bytes }, _) => {
                scalar::base64(text, bytes)?;
                offsets.push(values::offset(bytes.len()));
            }
            (Values::I64(values), data_type) => values.push(sixty_four_bits(text, data_type)?),
            (Values::I32(values), data_type) => values.push(thirty_two_bits(text, data_type)?),
            (Values::I16(values), _) => values.push(narrow(scalar::integer(text)?)?),
            (Values::I8(values), _) => values.push(narrow(scalar::integer(text)?)?),
            (Values::F64(values), _) => values.push(scalar::double(text)?),
            (Values::F32(values), _) => values.push(scalar::float(text)?),
            (Values::Boolean(values), _) => values.append(scalar::boolean(text)?),
            (Values::I128(values), DataType::Decimal128(precision, scale)) => {
                values.push(scalar::decimal(text, *precision, *scale)?);
            }
            (Values::I128(_) | Values::Nested(_), _) => return Err(Fault::Form),
        }
        self.mark_valid();
        Ok(())
    }

    /// Appends a whole number.
    #[inline(always)]
    pub(super) fn push_integer(&mut self, value: i64, text: &[u8]) -> Result<(), Fault> {
        match (&mut self.values, self.field.data_type()) {
            (Values::I64(values), DataType::Int64) => values.push(value),
            (Values::I32(values), DataType::Int32) => values.push(narrow(value)?),
            (Values::I16(values), _) => values.push(narrow(value)?),
            (Values::I8(values), _) => values.push(narrow(value)?),
            // Exact up to 2^53 and rounded once beyond, as from the text.
            (Values::F64(values), _) => values.push(value as f64),
            (Values::F32(values), _) => values.push(value as f32),
            (Values::I128(_), _) | (Values::Bytes { .. }, DataType::Utf8) => {
                return self.push_text(text);
            }
            _ => return Err(Fault::Form),
        }
        self.mark_valid();
        Ok(())
    }

    /// Takes back everything behind the first `rows` rows.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
        self.validity.truncate(rows);
    }

    /// Everything appended; the column is empty again, with room for as much.
    pub(super) fn take(&mut self) -> ArrayRef {
        let rows = self.len();
        let nulls = self.validity.take(rows);
        let values = std::mem::replace(&mut self.values, Values::Boolean(values::no_bits()));
        let (array, empty) = values.into_array(&self.field, nulls);
        self.values = empty;
        array
    }
}

#[inline]
fn sixty_four_bits(text: &[u8], data_type: &DataType) -> Result<i64, Fault> {
    match data_type {
        DataType::Timestamp(unit, zone) => scalar::timestamp(text, *unit, zone.is_some()),
        DataType::Time64(unit) => scalar::time_of_day(text, *unit),
        _ => scalar::integer(text),
    }
}

#[inline]
fn thirty_two_bits(text: &[u8], data_type: &DataType) -> Result<i32, Fault> {
    match data_type {
        DataType::Date32 => scalar::date(text),
        DataType::Time32(unit) => narrow(scalar::time_of_day(text, *unit)?),
        _ => narrow(scalar::integer(text)?),
    }
}

#[inline]
fn narrow<T: TryFrom<i64>>(value: i64) -> Result<T, Fault> {
    T::try_from(value).map_err(|_| Fault::Range)
}

/// Whether a value of the type can be written as a JSON number.
pub(super) fn is_numeric(data_type: &DataType) -> bool {
    data_type.is_integer()
        || data_type.is_floating()
        || matches!(data_type, DataType::Decimal128(..))
}
