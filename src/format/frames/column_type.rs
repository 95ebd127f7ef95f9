//! A column in bytes: its name, its type, whether it may be NULL.

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use std::sync::Arc;

/// Types inside each other that are read: reading recurses.
const NESTING_MAX: usize = 32;

const MAY_BE_NULL: u8 = 1;

/// What is left to read.
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let Some((taken, rest)) = self.0.split_at_checked(count) else {
            return Err("ends before its columns do".into());
        };
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, String> {
        Ok(self.take(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, String> {
        let bytes = self.take(2)?;
        Ok(u16::from_le_bytes([bytes[0], bytes[1]]))
    }

    fn name(&mut self) -> Result<String, String> {
        let count = self.u16()?;
        let name = std::str::from_utf8(self.take(count.into())?);
        let name = name.map_err(|_| "has a column name that is not UTF-8")?;
        if name.is_empty() {
            return Err("has a column without a name".into());
        }
        Ok(name.into())
    }
}

/// Appends name and type.
pub(super) fn write_column(field: &Field, out: &mut Vec<u8>) {
    let name = field.name().as_bytes();
    let count = u16::try_from(name.len()).expect("SQL texts are bounded, and names with them");
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(name);
    write_type(field, out);
}

fn write_type(field: &Field, out: &mut Vec<u8>) {
    let tag = |data_type: &DataType| match data_type {
        DataType::Boolean => 1,
        DataType::Int8 => 2,
        DataType::Int16 => 3,
        DataType::Int32 => 4,
        DataType::Int64 => 5,
        DataType::Float32 => 6,
        DataType::Float64 => 7,
        DataType::Decimal128(..) => 8,
        DataType::Utf8 => 9,
        DataType::Binary => 10,
        DataType::Date32 => 11,
        DataType::Time32(_) | DataType::Time64(_) => 12,
        DataType::Timestamp(_, None) => 13,
        DataType::Timestamp(_, Some(_)) => 14,
        DataType::List(_) => 15,
        DataType::Map(..) => 16,
        DataType::Struct(_) => 17,
        other => unreachable!("{other} was refused before"),
    };
    out.extend([tag(field.data_type()), u8::from(field.is_nullable())]);
    match field.data_type() {
        DataType::Decimal128(precision, scale) => out.extend([*precision, scale.cast_unsigned()]),
        DataType::Time32(unit) | DataType::Time64(unit) | DataType::Timestamp(unit, _) => {
            out.push(digits(*unit));
        }
        DataType::List(item) => write_type(item, out),
        DataType::Map(entries, _) => {
            let DataType::Struct(parts) = entries.data_type() else {
                unreachable!("a map's entries are rows")
            };
            parts.iter().for_each(|part| write_type(part, out));
        }
        DataType::Struct(fields) => {
            let count = u16::try_from(fields.len()).expect("SQL texts are bounded");
            out.extend_from_slice(&count.to_le_bytes());
            fields.iter().for_each(|part| write_column(part, out));
        }
        _ => {}
    }
}

/// Reads name and type.
pub(super) fn read_column(bytes: &mut Bytes<'_>) -> Result<Field, String> {
    let name = bytes.name()?;
    read_type(&name, bytes, NESTING_MAX)
}

fn read_type(name: &str, bytes: &mut Bytes<'_>, nesting_left: usize) -> Result<Field, String> {
    let Some(nesting_left) = nesting_left.checked_sub(1) else {
        return Err(format!("has a column with more than {NESTING_MAX} types inside each other"));
    };
    let (tag, nullable) = (bytes.byte()?, bytes.byte()?);
    if nullable > MAY_BE_NULL {
        return Err(format!("says {nullable} where 1 stands for NULL and 0 for NOT NULL"));
    }
    let data_type = match tag {
        1 => DataType::Boolean,
        2 => DataType::Int8,
        3 => DataType::Int16,
        4 => DataType::Int32,
        5 => DataType::Int64,
        6 => DataType::Float32,
        7 => DataType::Float64,
        8 => decimal(bytes)?,
        9 => DataType::Utf8,
        10 => DataType::Binary,
        11 => DataType::Date32,
        12 => match unit(bytes)? {
            unit @ (TimeUnit::Second | TimeUnit::Millisecond) => DataType::Time32(unit),
            unit => DataType::Time64(unit),
        },
        13 => DataType::Timestamp(unit(bytes)?, None),
        14 => DataType::Timestamp(unit(bytes)?, Some("UTC".into())),
        15 => DataType::List(Arc::new(read_type(
            Field::LIST_FIELD_DEFAULT_NAME,
            bytes,
            nesting_left,
        )?)),
        16 => {
            let key = read_type("key", bytes, nesting_left)?.with_nullable(false);
            let entry = Fields::from(vec![key, read_type("value", bytes, nesting_left)?]);
            let entries = Field::new("entries", DataType::Struct(entry), false);
            DataType::Map(Arc::new(entries), false)
        }
        17 => row(bytes, nesting_left)?,
        other => return Err(format!("has a column of type {other}, which there is not")),
    };
    Ok(Field::new(name, data_type, nullable == MAY_BE_NULL))
}

fn decimal(bytes: &mut Bytes<'_>) -> Result<DataType, String> {
    let (precision, scale) = (bytes.byte()?, bytes.byte()?);
    if !(1..=38).contains(&precision) || scale > precision {
        return Err(format!("has a column of type DECIMAL({precision}, {scale})"));
    }
    Ok(DataType::Decimal128(precision, scale.cast_signed()))
}

fn row(bytes: &mut Bytes<'_>, nesting_left: usize) -> Result<DataType, String> {
    let count = bytes.u16()?;
    if count == 0 {
        return Err("has a ROW without fields".into());
    }
    let mut fields = Vec::new();
    for _ in 0..count {
        let name = bytes.name()?;
        fields.push(read_type(&name, bytes, nesting_left)?);
    }
    Ok(DataType::Struct(fields.into()))
}

fn unit(bytes: &mut Bytes<'_>) -> Result<TimeUnit, String> {
    match bytes.byte()? {
        0 => Ok(TimeUnit::Second),
        3 => Ok(TimeUnit::Millisecond),
        6 => Ok(TimeUnit::Microsecond),
        9 => Ok(TimeUnit::Nanosecond),
        other => Err(format!("has a time with {other} digits of a second, not 0, 3, 6 or 9")),
    }
}

fn digits(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}
