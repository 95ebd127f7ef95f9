//! Names of key types, as they stand beside kept state. Frozen: state that was kept under one name is
//! taken over under the same name only, so they do not depend on Arrow's way to print a type.
//!
//! `DECIMAL(10, 2)`, `TIMESTAMP_LTZ(3)`, ``ROW<`a` INT>``, `ARRAY<STRING>`. The zone of a TIMESTAMP_LTZ is not
//! part of its name: a key holds the instant.

use arrow::datatypes::{DataType, Field, TimeUnit};
use std::sync::Arc;

/// Types in types; a name that goes deeper is none.
const DEPTH_MAX: usize = 64;

const UNITS: [(TimeUnit, &str); 4] = [
    (TimeUnit::Second, "0"),
    (TimeUnit::Millisecond, "3"),
    (TimeUnit::Microsecond, "6"),
    (TimeUnit::Nanosecond, "9"),
];

static PLAIN: [(DataType, &str); 10] = [
    (DataType::Boolean, "BOOLEAN"),
    (DataType::Int8, "TINYINT"),
    (DataType::Int16, "SMALLINT"),
    (DataType::Int32, "INT"),
    (DataType::Int64, "BIGINT"),
    (DataType::Float32, "FLOAT"),
    (DataType::Float64, "DOUBLE"),
    (DataType::Utf8, "STRING"),
    (DataType::Binary, "BYTES"),
    (DataType::Date32, "DATE"),
];

/// The name of a type that can be part of a key; other types as Arrow prints them.
pub fn key_type_name(data_type: &DataType) -> String {
    if let Some((_, name)) = PLAIN.iter().find(|(known, _)| known == data_type) {
        return (*name).to_owned();
    }
    match data_type {
        DataType::Decimal128(precision, scale) => format!("DECIMAL({precision}, {scale})"),
        DataType::Time32(unit) | DataType::Time64(unit) => format!("TIME({})", digits(*unit)),
        DataType::Timestamp(unit, None) => format!("TIMESTAMP({})", digits(*unit)),
        DataType::Timestamp(unit, Some(_)) => format!("TIMESTAMP_LTZ({})", digits(*unit)),
        DataType::Struct(fields) => {
            let field = |field: &Arc<Field>| {
                let name = field.name().replace('`', "``");
                format!("`{name}` {}", key_type_name(field.data_type()))
            };
            let fields: Vec<String> = fields.iter().map(field).collect();
            format!("ROW<{}>", fields.join(", "))
        }
        DataType::List(item) => format!("ARRAY<{}>", key_type_name(item.data_type())),
        other => other.to_string(),
    }
}

/// The type of such a name; zones of instants are UTC. `None` when it is no name.
pub fn key_type_of(name: &str) -> Option<DataType> {
    let mut rest = name;
    let data_type = take_type(&mut rest, DEPTH_MAX)?;
    rest.is_empty().then_some(data_type)
}

fn digits(unit: TimeUnit) -> &'static str {
    UNITS.iter().find(|(known, _)| *known == unit).expect("there are four units").1
}

fn take_type(rest: &mut &str, depth: usize) -> Option<DataType> {
    let depth = depth.checked_sub(1)?;
    let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(rest.len());
    let (word, behind) = rest.split_at(end);
    *rest = behind;
    if let Some((plain, _)) = PLAIN.iter().find(|(_, name)| *name == word) {
        return Some(plain.clone());
    }
    match word {
        "DECIMAL" => {
            let (precision, scale) = take_parameter(rest)?.split_once(", ")?;
            Some(DataType::Decimal128(precision.parse().ok()?, scale.parse().ok()?))
        }
        "TIME" => match take_unit(rest)? {
            unit @ (TimeUnit::Second | TimeUnit::Millisecond) => Some(DataType::Time32(unit)),
            unit => Some(DataType::Time64(unit)),
        },
        "TIMESTAMP" => Some(DataType::Timestamp(take_unit(rest)?, None)),
        "TIMESTAMP_LTZ" => Some(DataType::Timestamp(take_unit(rest)?, Some("+00:00".into()))),
        "ROW" => take_fields(rest, depth),
        "ARRAY" => {
            take(rest, "<")?;
            let item = take_type(rest, depth)?;
            take(rest, ">")?;
            Some(DataType::List(Arc::new(Field::new_list_field(item, true))))
        }
        _ => None,
    }
}

fn take_fields(rest: &mut &str, depth: usize) -> Option<DataType> {
    take(rest, "<")?;
    let mut fields = Vec::new();
    while take(rest, ">").is_none() {
        if !fields.is_empty() {
            take(rest, ", ")?;
        }
        let name = take_name(rest)?;
        take(rest, " ")?;
        fields.push(Field::new(name, take_type(rest, depth)?, true));
    }
    Some(DataType::Struct(fields.into()))
}

/// A name between backticks.
fn take_name(rest: &mut &str) -> Option<String> {
    take(rest, "`")?;
    let mut name = String::new();
    loop {
        let (part, behind) = rest.split_once('`')?;
        name += part;
        *rest = behind;
        if take(rest, "`").is_none() {
            return Some(name);
        }
        name.push('`');
    }
}

fn take_unit(rest: &mut &str) -> Option<TimeUnit> {
    let digits = take_parameter(rest)?;
    UNITS.iter().find(|(_, known)| *known == digits).map(|(unit, _)| *unit)
}

/// What stands between parentheses.
fn take_parameter<'a>(rest: &mut &'a str) -> Option<&'a str> {
    let (parameter, behind) = rest.strip_prefix('(')?.split_once(')')?;
    *rest = behind;
    Some(parameter)
}

fn take(rest: &mut &str, expected: &str) -> Option<()> {
    *rest = rest.strip_prefix(expected)?;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::KeyEncoder;

    fn row(fields: &[(&str, DataType)]) -> DataType {
        let field =
            |(name, data_type): &(&str, DataType)| Field::new(*name, data_type.clone(), true);
        DataType::Struct(fields.iter().map(field).collect())
    }

    #[track_caller]
    fn check(data_type: &DataType, name: &str) {
        assert!(KeyEncoder::new(std::slice::from_ref(data_type)).is_ok());
        assert_eq!(key_type_name(data_type), name);
        assert_eq!(key_type_of(name).as_ref(), Some(data_type));
        for cut in (1..name.len()).filter(|cut| name.is_char_boundary(*cut)) {
            // A shorter name may be that of another type, and never of this one.
            assert_ne!(key_type_of(&name[..cut]).as_ref(), Some(data_type), "{name} cut at {cut}");
        }
    }

    #[test]
    fn names_never_change_and_are_read_back() {
        for (data_type, name) in &PLAIN {
            check(data_type, name);
        }
        for (unit, digits) in UNITS {
            check(&DataType::Timestamp(unit, None), &format!("TIMESTAMP({digits})"));
            let zoned = DataType::Timestamp(unit, Some("+00:00".into()));
            check(&zoned, &format!("TIMESTAMP_LTZ({digits})"));
        }
        check(&DataType::Time32(TimeUnit::Millisecond), "TIME(3)");
        check(&DataType::Time64(TimeUnit::Nanosecond), "TIME(9)");
        check(&DataType::Decimal128(10, 2), "DECIMAL(10, 2)");
        let inner = row(&[("a", DataType::Int32), ("b`, c> ", DataType::Decimal128(4, 0))]);
        check(&inner, "ROW<`a` INT, `b``, c> ` DECIMAL(4, 0)>");
        check(&row(&[]), "ROW<>");
        let list = DataType::List(Arc::new(Field::new_list_field(inner, true)));
        check(&list, "ARRAY<ROW<`a` INT, `b``, c> ` DECIMAL(4, 0)>>");
    }

    #[test]
    fn the_zone_of_an_instant_is_not_part_of_its_name() {
        let zoned = |zone: &str| DataType::Timestamp(TimeUnit::Millisecond, Some(zone.into()));
        assert_eq!(key_type_name(&zoned("Europe/Berlin")), key_type_name(&zoned("UTC")));
    }

    #[test]
    fn what_is_no_name_is_none() {
        for text in ["", "int", "INT ", "DECIMAL", "DECIMAL(1)", "TIME(4)", "ROW<a INT>", "ARRAY<>"]
        {
            assert_eq!(key_type_of(text), None, "{text}");
        }
        assert_eq!(key_type_of(&"ARRAY<".repeat(100_000)), None);
    }
}
