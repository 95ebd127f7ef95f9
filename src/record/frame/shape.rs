//! Shape: which vectors of an archive a column's values lie in.
//!
//! In:  a column's type.
//! Out: a tree of vectors, numbered in the order of the archive: each before its parts.

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use std::fmt;

/// Parts of parts a column may have: checking and building recurse.
const NESTING_MAX: usize = 32;

/// How a vector holds its values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Holding {
    /// A bit each.
    Bits,
    /// So many bytes each.
    Fixed(usize),
    /// Offsets into bytes, which are UTF-8.
    Text,
    /// Offsets into bytes.
    Bytes,
    /// Offsets into the one part, or into the two of a map.
    Items,
    /// As many values as each part.
    Row,
}

/// Why a table cannot be carried in frames, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ShapeError {
    /// The column.
    pub column: String,
    /// What is the matter with it.
    pub reason: String,
}

impl fmt::Display for ShapeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "column \"{}\" {}", self.column, self.reason)
    }
}

impl std::error::Error for ShapeError {}

/// Refuses columns that frames cannot carry.
///
/// # Errors
/// The first such column.
pub fn check_frame_type(schema: &Schema) -> Result<(), ShapeError> {
    for field in schema.fields() {
        check(field.data_type(), NESTING_MAX)
            .map_err(|reason| ShapeError { column: field.name().clone(), reason })?;
    }
    Ok(())
}

fn check(data_type: &DataType, nesting_left: usize) -> Result<(), String> {
    let Some(nesting_left) = nesting_left.checked_sub(1) else {
        return Err(format!("has more than {NESTING_MAX} types inside each other"));
    };
    if holding(data_type).is_none() {
        return Err(format!("has a type that frames do not carry, {data_type}"));
    }
    parts(data_type).into_iter().try_for_each(|part| check(part.data_type(), nesting_left))
}

/// How values of this type are held; `None` for a type that is not carried.
pub(super) fn holding(data_type: &DataType) -> Option<Holding> {
    Some(match data_type {
        DataType::Boolean => Holding::Bits,
        DataType::Int8 => Holding::Fixed(1),
        DataType::Int16 => Holding::Fixed(2),
        DataType::Int32
        | DataType::Float32
        | DataType::Date32
        | DataType::Time32(TimeUnit::Second | TimeUnit::Millisecond) => Holding::Fixed(4),
        DataType::Int64
        | DataType::Float64
        | DataType::Time64(TimeUnit::Microsecond | TimeUnit::Nanosecond) => Holding::Fixed(8),
        DataType::Timestamp(_, zone) if zone.as_deref().is_none_or(|zone| zone == "UTC") => {
            Holding::Fixed(8)
        }
        DataType::Decimal128(precision, scale)
            if (1..=38).contains(precision)
                && u8::try_from(*scale).is_ok_and(|scale| scale <= *precision) =>
        {
            Holding::Fixed(16)
        }
        DataType::Utf8 => Holding::Text,
        DataType::Binary => Holding::Bytes,
        DataType::List(_) => Holding::Items,
        DataType::Map(entries, _) if map_parts(entries).is_some() => Holding::Items,
        DataType::Struct(fields) if !fields.is_empty() => Holding::Row,
        _ => return None,
    })
}

/// The parts of a nested type, in the order of their vectors.
pub(super) fn parts(data_type: &DataType) -> Vec<&Field> {
    match data_type {
        DataType::List(item) => vec![item],
        DataType::Map(entries, _) => {
            map_parts(entries).map_or(vec![], |(key, value)| vec![key, value])
        }
        DataType::Struct(fields) => fields.iter().map(AsRef::as_ref).collect(),
        _ => vec![],
    }
}

/// Key and value of a MAP's entries, when they are such.
fn map_parts(entries: &Field) -> Option<(&Field, &Field)> {
    match entries.data_type() {
        DataType::Struct(fields) if fields.len() == 2 && !fields[0].is_nullable() => {
            Some((&fields[0], &fields[1]))
        }
        _ => None,
    }
}

/// Vectors of a column of this type.
pub(super) fn vector_count(data_type: &DataType) -> usize {
    let of_parts = parts(data_type).into_iter().map(|part| vector_count(part.data_type()));
    1 + of_parts.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[track_caller]
    fn check_type(data_type: DataType, expected: Result<usize, &str>) {
        let schema = Schema::new(vec![Field::new("c", data_type.clone(), true)]);
        let found = check_frame_type(&schema).map(|()| vector_count(&data_type));
        let expected =
            expected.map_err(|reason| ShapeError { column: "c".into(), reason: reason.into() });
        assert_eq!(found, expected);
    }

    fn list(item: DataType) -> DataType {
        DataType::List(Arc::new(Field::new_list_field(item, true)))
    }

    #[test]
    fn a_type_has_a_vector_for_itself_and_each_part() {
        check_type(DataType::Int64, Ok(1));
        check_type(list(DataType::Utf8), Ok(2));
        let row = DataType::Struct(
            vec![
                Field::new("a", list(DataType::Int8), true),
                Field::new("b", DataType::Utf8, true),
            ]
            .into(),
        );
        check_type(row, Ok(4));
        check_type(DataType::LargeUtf8, Err("has a type that frames do not carry, LargeUtf8"));
        check_type(list(DataType::UInt8), Err("has a type that frames do not carry, UInt8"));
        let deep = (0..31).fold(DataType::Int64, |inner, _| list(inner));
        check_type(deep.clone(), Ok(32));
        check_type(list(deep), Err("has more than 32 types inside each other"));
    }
}
