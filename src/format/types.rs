//! Column types: what Arrow's types are called in SQL, and which of them the formats can carry.

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};

use super::FormatError;

/// The type's name in Flink SQL, for messages.
pub(super) fn sql_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "BOOLEAN".into(),
        DataType::Int8 => "TINYINT".into(),
        DataType::Int16 => "SMALLINT".into(),
        DataType::Int32 => "INT".into(),
        DataType::Int64 => "BIGINT".into(),
        DataType::Float32 => "FLOAT".into(),
        DataType::Float64 => "DOUBLE".into(),
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Utf8 => "STRING".into(),
        DataType::Binary => "BYTES".into(),
        DataType::Date32 => "DATE".into(),
        DataType::Time32(unit) | DataType::Time64(unit) => format!("TIME({})", digits(*unit)),
        DataType::Timestamp(unit, None) => format!("TIMESTAMP({})", digits(*unit)),
        DataType::Timestamp(unit, Some(_)) => format!("TIMESTAMP_LTZ({})", digits(*unit)),
        DataType::List(item) => format!("ARRAY<{}>", sql_name(item.data_type())),
        DataType::Struct(fields) => {
            let name = |field: &std::sync::Arc<Field>| {
                format!("{} {}", field.name(), sql_name(field.data_type()))
            };
            format!("ROW<{}>", fields.iter().map(name).collect::<Vec<_>>().join(", "))
        }
        DataType::Map(entries, _) => match map_parts(entries) {
            Some((key, value)) => {
                format!("MAP<{}, {}>", sql_name(key.data_type()), sql_name(value.data_type()))
            }
            None => format!("{data_type}"),
        },
        other => format!("{other}"),
    }
}

/// Key and value of a MAP's entries.
pub(super) fn map_parts(entries: &Field) -> Option<(&Field, &Field)> {
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 => Some((&fields[0], &fields[1])),
        _ => None,
    }
}

/// Refuses a schema with a column the format cannot carry.
pub(super) fn check(
    format: &str,
    schema: &Schema,
    carries: fn(&DataType) -> bool,
) -> Result<(), FormatError> {
    match schema.fields().iter().find(|field| !carries(field.data_type())) {
        None => Ok(()),
        Some(field) => Err(FormatError(format!(
            "format \"{format}\" cannot carry column \"{}\" of type {}",
            field.name(),
            sql_name(field.data_type())
        ))),
    }
}

/// One value without parts.
pub(super) fn is_scalar(data_type: &DataType) -> bool {
    match data_type {
        DataType::Boolean
        | DataType::Int8
        | DataType::Int16
        | DataType::Int32
        | DataType::Int64
        | DataType::Float32
        | DataType::Float64
        | DataType::Utf8
        | DataType::Binary
        | DataType::Date32
        | DataType::Time32(TimeUnit::Second | TimeUnit::Millisecond)
        | DataType::Time64(TimeUnit::Microsecond | TimeUnit::Nanosecond) => true,
        DataType::Decimal128(precision, scale) => {
            *precision <= 38 && u8::try_from(*scale).is_ok_and(|scale| scale <= *precision)
        }
        DataType::Timestamp(_, zone) => zone.as_deref().is_none_or(|zone| zone == "UTC"),
        _ => false,
    }
}

/// A scalar, or an array, row or map of such. JSON objects have text keys, so maps must, too.
pub(super) fn is_scalar_or_nested(data_type: &DataType) -> bool {
    match data_type {
        DataType::List(item) => is_scalar_or_nested(item.data_type()),
        DataType::Struct(fields) => {
            fields.iter().all(|field| is_scalar_or_nested(field.data_type()))
        }
        DataType::Map(entries, _) => map_parts(entries).is_some_and(|(key, value)| {
            key.data_type() == &DataType::Utf8 && is_scalar_or_nested(value.data_type())
        }),
        scalar => is_scalar(scalar),
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
