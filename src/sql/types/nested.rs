//! Types with parts: ARRAY, MAP, MULTISET, ROW and structured types, in Arrow's forms.
//!
//! A MULTISET is a MAP of its elements to how often each is in it. A structured type is a ROW whose
//! fields carry its class's name. A bound inside a type (`ARRAY<VARCHAR(3)>`) is metadata of the
//! part's field until a cast has read it; columns and values have types without.

use arrow::datatypes::{DataType, Field, FieldRef, Fields};
use std::collections::HashMap;
use std::sync::Arc;

use super::{BOUND_KEY, SqlType, common_type, converts_implicitly, type_name};

/// Key of the field metadata that carries the class of a structured type.
const CLASS_KEY: &str = "pelton.class";

/// Name of the entries of a MULTISET, by which it is not a MAP.
const MULTISET_ENTRIES: &str = "multiset";

/// `ARRAY<element>`.
pub(in crate::sql) fn list_of(element: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(element, true)))
}

/// `ROW<…>`.
pub(in crate::sql) fn row_of(fields: Vec<(String, DataType)>) -> DataType {
    let field = |(name, kind)| Field::new(name, kind, true);
    DataType::Struct(fields.into_iter().map(field).collect::<Fields>())
}

/// `MAP<key, value>`.
pub(in crate::sql) fn map_of(key: DataType, value: DataType) -> DataType {
    map_with("entries", Field::new("key", key, false), Field::new("value", value, true))
}

/// `MULTISET<element>`.
pub(in crate::sql) fn multiset_of(element: DataType) -> DataType {
    let count = Field::new("value", DataType::Int32, true);
    map_with(MULTISET_ENTRIES, Field::new("key", element, false), count)
}

fn map_with(entries: &str, key: Field, value: Field) -> DataType {
    let parts = Fields::from(vec![key, value]);
    DataType::Map(Arc::new(Field::new(entries, DataType::Struct(parts), false)), false)
}

/// `STRUCTURED<'class', …>`.
pub(in crate::sql) fn structured_of(class: &str, fields: Vec<(String, DataType)>) -> DataType {
    let class = HashMap::from([(CLASS_KEY.to_string(), class.to_string())]);
    let field = |(name, kind)| Field::new(name, kind, true).with_metadata(class.clone());
    DataType::Struct(fields.into_iter().map(field).collect::<Fields>())
}

/// The class of a structured type.
pub(in crate::sql) fn class_of(fields: &Fields) -> Option<&str> {
    fields.first()?.metadata().get(CLASS_KEY).map(String::as_str)
}

/// Fields of a MAP's key and value.
pub(in crate::sql) fn map_parts(data_type: &DataType) -> Option<(&FieldRef, &FieldRef)> {
    let DataType::Map(entries, _) = data_type else { return None };
    match entries.data_type() {
        DataType::Struct(parts) if parts.len() == 2 => Some((&parts[0], &parts[1])),
        _ => None,
    }
}

/// True for a MULTISET.
pub(in crate::sql) fn is_multiset(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Map(entries, _) if entries.name() == MULTISET_ENTRIES)
}

/// True for a type with parts.
pub(in crate::sql) fn is_nested(data_type: &DataType) -> bool {
    matches!(data_type, DataType::List(_) | DataType::Struct(_) | DataType::Map(..))
}

/// `ARRAY<element>` as declared, with the element's bound.
pub(super) fn declared_list(element: &SqlType) -> DataType {
    DataType::List(Arc::new(part("item", element, true)))
}

/// `MAP<key, value>` as declared.
pub(super) fn declared_map(key: &SqlType, value: &SqlType) -> DataType {
    map_with("entries", part("key", key, false), part("value", value, true))
}

/// `MULTISET<element>` as declared.
pub(super) fn declared_multiset(element: &SqlType) -> DataType {
    let count = Field::new("value", DataType::Int32, true);
    map_with(MULTISET_ENTRIES, part("key", element, false), count)
}

/// `ROW<…>` as declared.
pub(super) fn declared_row(fields: &[(String, SqlType)]) -> DataType {
    DataType::Struct(fields.iter().map(|(name, kind)| part(name, kind, true)).collect::<Fields>())
}

fn part(name: &str, sql_type: &SqlType, nullable: bool) -> Field {
    sql_type.to_field().with_name(name).with_nullable(nullable)
}

/// The type without the bounds of its parts.
pub(in crate::sql) fn without_bounds(data_type: &DataType) -> DataType {
    let strip = |field: &FieldRef| -> FieldRef {
        let mut metadata = field.metadata().clone();
        metadata.remove(BOUND_KEY);
        let plain = without_bounds(field.data_type());
        Arc::new(field.as_ref().clone().with_data_type(plain).with_metadata(metadata))
    };
    match data_type {
        DataType::List(element) => DataType::List(strip(element)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(strip).collect()),
        DataType::Map(entries, ordered) => DataType::Map(strip(entries), *ordered),
        other => other.clone(),
    }
}

/// Flink's name of a type with parts.
pub(super) fn nested_name(data_type: &DataType) -> String {
    let fields_of = |fields: &Fields| -> String {
        let name =
            |field: &FieldRef| format!("`{}` {}", field.name(), type_name(field.data_type()));
        fields.iter().map(name).collect::<Vec<_>>().join(", ")
    };
    match data_type {
        DataType::List(element) => format!("ARRAY<{}>", type_name(element.data_type())),
        DataType::Struct(fields) => match class_of(fields) {
            Some(class) => format!("STRUCTURED<'{class}', {}>", fields_of(fields)),
            None => format!("ROW<{}>", fields_of(fields)),
        },
        other => match map_parts(other) {
            Some((element, _)) if is_multiset(other) => {
                format!("MULTISET<{}>", type_name(element.data_type()))
            }
            Some((key, value)) => {
                format!("MAP<{}, {}>", type_name(key.data_type()), type_name(value.data_type()))
            }
            None => other.to_string(),
        },
    }
}

/// The type both can become, part by part; a ROW keeps the names of the left side.
pub(super) fn common_nested(left: &DataType, right: &DataType) -> Option<DataType> {
    match (left, right) {
        (DataType::List(a), DataType::List(b)) => {
            common_type(a.data_type(), b.data_type()).map(list_of)
        }
        (DataType::Struct(a), DataType::Struct(b)) => {
            let same_class = class_of(a) == class_of(b) && a.len() == b.len();
            let pairs = same_class.then(|| a.iter().zip(b.iter()))?;
            let common = |(one, other): (&FieldRef, &FieldRef)| -> Option<FieldRef> {
                let data_type = common_type(one.data_type(), other.data_type())?;
                Some(Arc::new(one.as_ref().clone().with_data_type(data_type)))
            };
            pairs.map(common).collect::<Option<Fields>>().map(DataType::Struct)
        }
        (DataType::Map(..), DataType::Map(..)) if is_multiset(left) == is_multiset(right) => {
            let ((key_a, value_a), (key_b, value_b)) = (map_parts(left)?, map_parts(right)?);
            let key = common_type(key_a.data_type(), key_b.data_type())?;
            let value = common_type(value_a.data_type(), value_b.data_type())?;
            Some(if is_multiset(left) { multiset_of(key) } else { map_of(key, value) })
        }
        _ => None,
    }
}

/// True when every part converts implicitly.
pub(super) fn nested_converts(from: &DataType, to: &DataType) -> bool {
    let converts =
        |(a, b): (&FieldRef, &FieldRef)| converts_implicitly(a.data_type(), b.data_type());
    match (from, to) {
        (DataType::List(a), DataType::List(b)) => converts((a, b)),
        (DataType::Struct(a), DataType::Struct(b)) => {
            a.len() == b.len() && class_of(b).is_none() && a.iter().zip(b.iter()).all(converts)
        }
        (DataType::Map(..), DataType::Map(..)) if is_multiset(from) == is_multiset(to) => {
            match (map_parts(from), map_parts(to)) {
                (Some((key_a, value_a)), Some((key_b, value_b))) => {
                    converts((key_a, key_b)) && converts((value_a, value_b))
                }
                _ => false,
            }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Bound;
    use super::*;

    #[test]
    fn names_are_flinks() {
        let row = row_of(vec![("a".into(), DataType::Int32), ("b c".into(), DataType::Utf8)]);
        let cases = [
            (list_of(DataType::Int32), "ARRAY<INT>"),
            (row.clone(), "ROW<`a` INT, `b c` STRING>"),
            (map_of(DataType::Utf8, row), "MAP<STRING, ROW<`a` INT, `b c` STRING>>"),
            (multiset_of(DataType::Utf8), "MULTISET<STRING>"),
            (
                structured_of("Point", vec![("x".into(), DataType::Int32)]),
                "STRUCTURED<'Point', `x` INT>",
            ),
        ];
        for (data_type, expected) in cases {
            assert_eq!(type_name(&data_type), expected);
        }
    }

    #[test]
    fn bounds_inside_are_stripped_and_kept() {
        let bounded =
            SqlType { data_type: DataType::Utf8, bound: Some(Bound::CharactersAtMost(3)) };
        let declared = declared_list(&SqlType::plain(declared_row(&[("a".into(), bounded)])));
        assert_eq!(without_bounds(&declared), list_of(row_of(vec![("a".into(), DataType::Utf8)])));
        let DataType::List(item) = &declared else { panic!("{declared}") };
        let DataType::Struct(fields) = item.data_type() else { panic!("{declared}") };
        assert_eq!(SqlType::of_field(&fields[0]).bound, Some(Bound::CharactersAtMost(3)));
    }

    #[test]
    fn common_types_are_found_part_by_part() {
        let row = |name: &str, kind: DataType| row_of(vec![(name.into(), kind)]);
        let check = |left: &DataType, right: &DataType, expected: Option<&str>| {
            let common = common_type(left, right);
            assert_eq!(common.as_ref().map(type_name).as_deref(), expected, "{left} {right}");
        };
        let (int, long, text) = (DataType::Int32, DataType::Int64, DataType::Utf8);
        check(&list_of(int.clone()), &list_of(long.clone()), Some("ARRAY<BIGINT>"));
        check(&list_of(int.clone()), &list_of(text.clone()), None);
        check(&row("a", int.clone()), &row("b", long.clone()), Some("ROW<`a` BIGINT>"));
        check(&row("a", int.clone()), &list_of(int.clone()), None);
        check(
            &map_of(text.clone(), int.clone()),
            &map_of(text.clone(), long),
            Some("MAP<STRING, BIGINT>"),
        );
        check(&map_of(text.clone(), int), &multiset_of(text), None);
    }
}
