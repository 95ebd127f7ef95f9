//! Schema: the columns of a stream, as far as the dialect has types for them.

use arrow::datatypes::{DataType, Field, Fields, Schema, TimeUnit};
use arrow::ipc;
use std::sync::Arc;

use crate::record::check_frame_type;

/// Types inside each other.
const NESTING_MAX: usize = 32;

/// The columns, of types that can be carried.
///
/// # Errors
/// What cannot be read, in words.
pub(super) fn read_schema(schema: ipc::Schema<'_>) -> Result<Schema, String> {
    if schema.endianness() != ipc::Endianness::Little {
        return Err("the stream is big-endian; write it little-endian".into());
    }
    let fields = schema.fields().ok_or("the schema has no columns")?;
    let fields: Vec<Field> =
        fields.iter().map(|field| read_field(field, NESTING_MAX)).collect::<Result<_, _>>()?;
    let columns = Schema::new(fields);
    check_frame_type(&columns).map_err(|error| error.to_string())?;
    Ok(columns)
}

fn read_field(field: ipc::Field<'_>, nesting_left: usize) -> Result<Field, String> {
    let name = field.name().unwrap_or_default();
    if field.dictionary().is_some() {
        return Err(format!("column \"{name}\" is dictionary-encoded; write it as plain values"));
    }
    let Some(nesting_left) = nesting_left.checked_sub(1) else {
        return Err(format!("column \"{name}\" has too many types inside each other"));
    };
    match read_type(field, nesting_left)? {
        Some(data_type) => Ok(Field::new(name, data_type, field.nullable())),
        None => {
            let kind = field.type_type().variant_name().unwrap_or("unknown");
            Err(format!("column \"{name}\" has a type that SQL has not: {kind}"))
        }
    }
}

/// `None` for a type that is not carried.
fn read_type(field: ipc::Field<'_>, nesting_left: usize) -> Result<Option<DataType>, String> {
    let parts = || -> Result<Vec<Field>, String> {
        let parts = field.children().into_iter().flatten();
        parts.map(|part| read_field(part, nesting_left)).collect()
    };
    Ok(match field.type_type() {
        ipc::Type::Bool => Some(DataType::Boolean),
        ipc::Type::Utf8 => Some(DataType::Utf8),
        ipc::Type::Binary => Some(DataType::Binary),
        ipc::Type::Int => {
            field.type_as_int().and_then(|int| match (int.bitWidth(), int.is_signed()) {
                (8, true) => Some(DataType::Int8),
                (16, true) => Some(DataType::Int16),
                (32, true) => Some(DataType::Int32),
                (64, true) => Some(DataType::Int64),
                _ => None,
            })
        }
        ipc::Type::FloatingPoint => {
            field.type_as_floating_point().and_then(|float| match float.precision() {
                ipc::Precision::SINGLE => Some(DataType::Float32),
                ipc::Precision::DOUBLE => Some(DataType::Float64),
                _ => None,
            })
        }
        ipc::Type::Decimal => field.type_as_decimal().and_then(read_decimal),
        ipc::Type::Date => field
            .type_as_date()
            .and_then(|date| (date.unit() == ipc::DateUnit::DAY).then_some(DataType::Date32)),
        ipc::Type::Time => {
            field.type_as_time().and_then(|time| match (read_unit(time.unit())?, time.bitWidth()) {
                (unit @ (TimeUnit::Second | TimeUnit::Millisecond), 32) => {
                    Some(DataType::Time32(unit))
                }
                (unit @ (TimeUnit::Microsecond | TimeUnit::Nanosecond), 64) => {
                    Some(DataType::Time64(unit))
                }
                _ => None,
            })
        }
        ipc::Type::Timestamp => field.type_as_timestamp().and_then(|time| {
            Some(DataType::Timestamp(read_unit(time.unit())?, time.timezone().map(Arc::from)))
        }),
        ipc::Type::List => match <[Field; 1]>::try_from(parts()?) {
            Ok([item]) => Some(DataType::List(Arc::new(item))),
            Err(_) => None,
        },
        ipc::Type::Map => match (<[Field; 1]>::try_from(parts()?), field.type_as_map()) {
            (Ok([entries]), Some(map)) => {
                Some(DataType::Map(Arc::new(entries.with_nullable(false)), map.keysSorted()))
            }
            _ => None,
        },
        ipc::Type::Struct_ => Some(DataType::Struct(Fields::from(parts()?))),
        _ => None,
    })
}

fn read_decimal(decimal: ipc::Decimal<'_>) -> Option<DataType> {
    let (precision, scale) =
        (decimal.precision().try_into().ok()?, decimal.scale().try_into().ok()?);
    (decimal.bitWidth() == 128).then_some(DataType::Decimal128(precision, scale))
}

fn read_unit(unit: ipc::TimeUnit) -> Option<TimeUnit> {
    match unit {
        ipc::TimeUnit::SECOND => Some(TimeUnit::Second),
        ipc::TimeUnit::MILLISECOND => Some(TimeUnit::Millisecond),
        ipc::TimeUnit::MICROSECOND => Some(TimeUnit::Microsecond),
        ipc::TimeUnit::NANOSECOND => Some(TimeUnit::Nanosecond),
        _ => None,
    }
}
