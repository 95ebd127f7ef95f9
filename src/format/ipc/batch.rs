//! Batch: the rows of one message, built over its body.
//!
//! In:  the message's nodes and buffers, in the order of the stream's columns; its body.
//! Out: the wanted columns. What is not wanted is stepped over.

use arrow::array::{Array, ArrayData, ArrayRef, AsArray, make_array, new_null_array};
use arrow::buffer::Buffer;
use arrow::datatypes::{
    DataType, Decimal128Type, FieldRef, Schema, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit,
};
use arrow::ipc;

use crate::limits::FRAME_ROWS_MAX;

const DAY_S: i64 = 86_400;

/// Which columns of a stream are wanted, and where.
#[derive(Debug)]
pub(super) struct BatchReader {
    /// Columns of the stream, each with the wanted one of its name.
    written: Vec<(FieldRef, Option<usize>)>,
    wanted: Vec<FieldRef>,
}

/// Where reading a message stands.
struct Cursor<'a> {
    nodes: Box<dyn Iterator<Item = &'a ipc::FieldNode> + 'a>,
    buffers: Box<dyn Iterator<Item = &'a ipc::Buffer> + 'a>,
    body: &'a Buffer,
}

impl BatchReader {
    /// Reads `wanted` columns out of those `written`; columns with the same name have been compared.
    pub(super) fn new(written: &Schema, wanted: &Schema) -> BatchReader {
        let place = |field: &FieldRef| {
            let place = wanted.fields().iter().position(|other| other.name() == field.name());
            (FieldRef::clone(field), place)
        };
        BatchReader {
            written: written.fields().iter().map(place).collect(),
            wanted: wanted.fields().iter().cloned().collect(),
        }
    }

    /// The wanted columns and the number of rows.
    ///
    /// # Errors
    /// What is wrong with the message, in words.
    pub(super) fn read(
        &self,
        batch: ipc::RecordBatch<'_>,
        body: &Buffer,
    ) -> Result<(Vec<ArrayRef>, usize), String> {
        if let Some(compression) = batch.compression() {
            let codec = compression.codec().variant_name().unwrap_or("unknown");
            return Err(format!("its body is compressed ({codec}); write it without compression"));
        }
        let rows = usize::try_from(batch.length()).unwrap_or(usize::MAX);
        if rows > FRAME_ROWS_MAX as usize {
            return Err(format!(
                "it has {} rows; a batch has {FRAME_ROWS_MAX} at most",
                batch.length()
            ));
        }
        let mut cursor = Cursor {
            nodes: Box::new(batch.nodes().into_iter().flatten()),
            buffers: Box::new(batch.buffers().into_iter().flatten()),
            body,
        };
        let mut columns: Vec<Option<ArrayRef>> = vec![None; self.wanted.len()];
        for (field, place) in &self.written {
            let data_type = place.map_or(field.data_type(), |place| self.wanted[place].data_type());
            let named = |reason: String| format!("column \"{}\": {reason}", field.name());
            match place {
                None => cursor.skip(data_type).map_err(named)?,
                Some(place) => {
                    let data = cursor.build(data_type, Some(rows)).map_err(named)?;
                    let array = make_array(data);
                    check_values(&array).map_err(named)?;
                    columns[*place] = Some(array);
                }
            }
        }
        let or_null = |(column, field): (Option<ArrayRef>, &FieldRef)| {
            column.unwrap_or_else(|| new_null_array(field.data_type(), rows))
        };
        Ok((columns.into_iter().zip(&self.wanted).map(or_null).collect(), rows))
    }
}

impl Cursor<'_> {
    fn node(&mut self) -> Result<(usize, bool), String> {
        let node = self.nodes.next().ok_or("the message has too few nodes")?;
        let length = usize::try_from(node.length()).unwrap_or(usize::MAX);
        // No value takes less than a bit.
        if length > 8 * self.body.len() + FRAME_ROWS_MAX as usize {
            return Err(format!("a length of {} in a body that is shorter", node.length()));
        }
        Ok((length, node.null_count() != 0))
    }

    fn buffer(&mut self) -> Result<Buffer, String> {
        let buffer = self.buffers.next().ok_or("the message has too few buffers")?;
        let (offset, length) = (usize::try_from(buffer.offset()), usize::try_from(buffer.length()));
        match (offset, length) {
            (Ok(offset), Ok(length))
                if offset <= self.body.len() && length <= self.body.len() - offset =>
            {
                Ok(self.body.slice_with_length(offset, length))
            }
            _ => Err("a buffer that does not lie in the body".into()),
        }
    }

    /// The first `bytes` bytes of the next buffer, which has as many at least.
    fn buffer_of(&mut self, bytes: usize) -> Result<Buffer, String> {
        let buffer = self.buffer()?;
        match bytes <= buffer.len() {
            true => Ok(buffer.slice_with_length(0, bytes)),
            false => Err(format!("a buffer of {} bytes, and must have {bytes}", buffer.len())),
        }
    }

    /// Offsets of `length` values. Without a value there may be none at all.
    fn offsets(&mut self, length: usize) -> Result<Buffer, String> {
        if length == 0 {
            self.buffer()?;
            return Ok(Buffer::from(vec![0; size_of::<i32>()]));
        }
        self.buffer_of((length + 1) * size_of::<i32>())
    }

    /// Builds a column or a part of one; `expected` values, where that is known.
    fn build(
        &mut self,
        data_type: &DataType,
        expected: Option<usize>,
    ) -> Result<ArrayData, String> {
        let (length, has_nulls) = self.node()?;
        if let Some(expected) = expected.filter(|expected| *expected != length) {
            return Err(format!("{length} values, and must have {expected}"));
        }
        let validity = self.buffer()?;
        if has_nulls && validity.len() < length.div_ceil(8) {
            return Err(format!("{} bytes say which of {length} values are NULL", validity.len()));
        }
        let mut builder = ArrayData::builder(data_type.clone()).len(length).align_buffers(true);
        builder = builder.null_bit_buffer(has_nulls.then_some(validity));
        if has_offsets(data_type) {
            builder = builder.add_buffer(self.offsets(length)?);
        }
        if let Some(bytes) = value_bytes(data_type, length) {
            builder = builder.add_buffer(self.buffer_of(bytes)?);
        } else if matches!(data_type, DataType::Utf8 | DataType::Binary) {
            builder = builder.add_buffer(self.buffer()?);
        }
        let of_parts = matches!(data_type, DataType::Struct(_)).then_some(length);
        for part in parts(data_type) {
            builder = builder.add_child_data(self.build(part.data_type(), of_parts)?);
        }
        builder.build().map_err(|error| error.to_string())
    }

    /// Steps over a column.
    fn skip(&mut self, data_type: &DataType) -> Result<(), String> {
        self.node()?;
        for _ in 0..own_buffers(data_type) {
            self.buffer()?;
        }
        parts(data_type).into_iter().try_for_each(|part| self.skip(part.data_type()))
    }
}

/// Buffers of a type without its parts, the one of NULLs included.
fn own_buffers(data_type: &DataType) -> usize {
    match data_type {
        DataType::Struct(_) => 1,
        DataType::Utf8 | DataType::Binary => 3,
        _ => 2,
    }
}

/// Bytes of `length` values of fixed size.
fn value_bytes(data_type: &DataType, length: usize) -> Option<usize> {
    match data_type {
        DataType::Boolean => Some(length.div_ceil(8)),
        fixed => Some(fixed.primitive_width()? * length),
    }
}

fn has_offsets(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::Binary | DataType::List(_) | DataType::Map(..))
}

fn parts(data_type: &DataType) -> Vec<&FieldRef> {
    match data_type {
        DataType::List(part) | DataType::Map(part, _) => vec![part],
        DataType::Struct(parts) => parts.iter().collect(),
        _ => vec![],
    }
}

/// Values that Arrow has and the type of the dialect has not: a DECIMAL of too many digits, a TIME
/// behind midnight.
fn check_values(array: &ArrayRef) -> Result<(), String> {
    let is_time = |value: i64, per_second: i64| (0..DAY_S * per_second).contains(&value);
    let all_are = |is_valid: bool| match is_valid {
        true => Ok(()),
        false => Err("a value is out of range for its type".to_owned()),
    };
    match array.data_type() {
        DataType::Decimal128(precision, _) => {
            let checked =
                array.as_primitive::<Decimal128Type>().validate_decimal_precision(*precision);
            checked.map_err(|error| error.to_string())
        }
        DataType::Time32(TimeUnit::Second) => {
            let mut values = array.as_primitive::<Time32SecondType>().iter().flatten();
            all_are(values.all(|value| is_time(value.into(), 1)))
        }
        DataType::Time32(_) => {
            let mut values = array.as_primitive::<Time32MillisecondType>().iter().flatten();
            all_are(values.all(|value| is_time(value.into(), 1_000)))
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            let mut values = array.as_primitive::<Time64MicrosecondType>().iter().flatten();
            all_are(values.all(|value| is_time(value, 1_000_000)))
        }
        DataType::Time64(_) => {
            let mut values = array.as_primitive::<Time64NanosecondType>().iter().flatten();
            all_are(values.all(|value| is_time(value, 1_000_000_000)))
        }
        DataType::List(_) => check_values(array.as_list::<i32>().values()),
        DataType::Map(..) => array.as_map().entries().columns().iter().try_for_each(check_values),
        DataType::Struct(_) => array.as_struct().columns().iter().try_for_each(check_values),
        _ => Ok(()),
    }
}
