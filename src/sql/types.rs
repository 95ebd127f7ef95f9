//! Column types: Flink's names, Arrow's forms, and which of them convert without being asked.
//!
//! Read: here, types of one value · `nested`, types with parts.

mod nested;

use arrow::datatypes::{DataType, Field, TimeUnit};
use sqlparser::ast::{self, BinaryLength, CharacterLength, ExactNumberInfo, TimezoneInfo};
use std::collections::HashMap;
use std::sync::Arc;

pub(super) use nested::{
    class_of, is_multiset, is_nested, list_of, map_of, map_parts, multiset_of, row_of,
    structured_of, without_bounds,
};
use nested::{common_nested, nested_converts, nested_name};

/// Key of the field metadata that carries a type's bound into a cast.
pub(super) const BOUND_KEY: &str = "pelton.bound";

/// Greatest precision of a DECIMAL.
pub(super) const DECIMAL_PRECISION_MAX: u8 = 38;

/// Greatest length of VARCHAR and VARBINARY, as in Flink.
const LENGTH_MAX: usize = 2_147_483_647;

/// Characters an expression may make of one text: 1 MiB, so that REPEAT cannot take the machine
/// down.
pub(super) const TEXT_CHARACTERS_MAX: usize = 1024 * 1024;

/// TIMESTAMP_LTZ is kept in UTC.
pub(super) const LOCAL_ZONE: &str = "UTC";

/// A type as declared or cast to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct SqlType {
    /// Arrow's form.
    pub(super) data_type: DataType,
    /// What Arrow's form does not say.
    pub(super) bound: Option<Bound>,
}

/// What a cast does beyond making a value of Arrow's type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Bound {
    /// `VARCHAR(n)`: cut.
    CharactersAtMost(usize),
    /// `CHAR(n)`: cut or padded with spaces.
    Characters(usize),
    /// `VARBINARY(n)`: cut.
    BytesAtMost(usize),
    /// `BINARY(n)`: cut or padded with zeros.
    Bytes(usize),
    /// `TIMESTAMP(n)` and `TIME(n)`: so many digits of a second, fewer than Arrow keeps.
    Digits(usize),
}

impl Bound {
    /// As written behind the name of a type, with a letter that tells the kinds apart.
    fn to_text(self) -> String {
        match self {
            Bound::CharactersAtMost(count) => format!("v{count}"),
            Bound::Characters(count) => format!("c{count}"),
            Bound::BytesAtMost(count) => format!("w{count}"),
            Bound::Bytes(count) => format!("b{count}"),
            Bound::Digits(count) => format!("d{count}"),
        }
    }

    fn of_text(text: &str) -> Option<Bound> {
        let kind = match text.get(..1)? {
            "v" => Bound::CharactersAtMost,
            "c" => Bound::Characters,
            "w" => Bound::BytesAtMost,
            "b" => Bound::Bytes,
            _ => Bound::Digits,
        };
        text[1..].parse().ok().map(kind)
    }
}

impl SqlType {
    /// A type without a bound.
    pub(super) fn plain(data_type: DataType) -> SqlType {
        SqlType { data_type, bound: None }
    }

    fn bounded(data_type: DataType, bound: Bound) -> SqlType {
        SqlType { data_type, bound: Some(bound) }
    }

    /// The type as a field, so that it survives the planner.
    pub(super) fn to_field(&self) -> Field {
        let field = Field::new("", self.data_type.clone(), true);
        match self.bound {
            None => field,
            Some(bound) => {
                field.with_metadata(HashMap::from([(BOUND_KEY.to_string(), bound.to_text())]))
            }
        }
    }

    /// The inverse of [`SqlType::to_field`].
    pub(super) fn of_field(field: &Field) -> SqlType {
        let bound = field.metadata().get(BOUND_KEY).and_then(|text| Bound::of_text(text));
        SqlType { data_type: field.data_type().clone(), bound }
    }

    /// The type sqlparser read.
    ///
    /// # Errors
    /// With a name Flink does not have, or a bound out of range.
    pub(super) fn of_ast(given: &ast::DataType) -> Result<SqlType, String> {
        use ast::DataType as Ast;
        let plain = match given {
            Ast::Boolean | Ast::Bool => DataType::Boolean,
            Ast::TinyInt(None) => DataType::Int8,
            Ast::SmallInt(None) => DataType::Int16,
            Ast::Int(None) | Ast::Integer(None) => DataType::Int32,
            Ast::BigInt(None) => DataType::Int64,
            Ast::Float(ExactNumberInfo::None) => DataType::Float32,
            Ast::Double(ExactNumberInfo::None) | Ast::DoublePrecision => DataType::Float64,
            Ast::Decimal(info) | Ast::Numeric(info) | Ast::Dec(info) => decimal(info)?,
            Ast::String(None) => DataType::Utf8,
            Ast::Char(length) | Ast::Character(length) => {
                let count = padded_length("CHAR", characters(length.as_ref(), 1)?)?;
                return Ok(SqlType::bounded(DataType::Utf8, Bound::Characters(count)));
            }
            Ast::Varchar(length) | Ast::CharacterVarying(length) | Ast::CharVarying(length) => {
                // Without a length Flink cuts nothing here.
                let bound = Bound::CharactersAtMost(characters(length.as_ref(), LENGTH_MAX)?);
                return Ok(SqlType::bounded(DataType::Utf8, bound));
            }
            Ast::Bytes(None) => DataType::Binary,
            Ast::Binary(length) => {
                let count = padded_length("BINARY", bytes(length.unwrap_or(1))?)?;
                return Ok(SqlType::bounded(DataType::Binary, Bound::Bytes(count)));
            }
            Ast::Varbinary(length) => {
                let count = match length {
                    None => 1,
                    Some(BinaryLength::Max) => LENGTH_MAX,
                    Some(BinaryLength::IntegerLength { length }) => bytes(*length)?,
                };
                return Ok(SqlType::bounded(DataType::Binary, Bound::BytesAtMost(count)));
            }
            Ast::Date => DataType::Date32,
            Ast::Time(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                return time(precision.unwrap_or(0));
            }
            Ast::Timestamp(precision, TimezoneInfo::None | TimezoneInfo::WithoutTimeZone) => {
                return timestamp(precision.unwrap_or(6), None);
            }
            Ast::Array(ast::ArrayElemTypeDef::AngleBracket(element)) => {
                nested::declared_list(&SqlType::of_ast(element)?)
            }
            Ast::Map(key, value) => {
                nested::declared_map(&SqlType::of_ast(key)?, &SqlType::of_ast(value)?)
            }
            Ast::Struct(fields, _) => nested::declared_row(&row_fields(fields)?),
            // MULTISET, as the type parser writes it down.
            Ast::LowCardinality(element) => nested::declared_multiset(&SqlType::of_ast(element)?),
            Ast::Custom(name, arguments) => return custom(&name.to_string(), arguments),
            _ => return Err(unknown_type(&given.to_string())),
        };
        Ok(SqlType::plain(plain))
    }
}

fn row_fields(fields: &[ast::StructField]) -> Result<Vec<(String, SqlType)>, String> {
    let mut found: Vec<(String, SqlType)> = Vec::with_capacity(fields.len());
    for field in fields {
        let name = field.field_name.as_ref().map_or("", |name| name.value.as_str());
        if found.iter().any(|(other, _)| other == name) {
            return Err(format!("the ROW has two fields `{name}`"));
        }
        found.push((name.to_string(), SqlType::of_ast(&field.field_type)?));
    }
    Ok(found)
}

/// Types sqlparser knows nothing of.
fn custom(name: &str, arguments: &[String]) -> Result<SqlType, String> {
    if name.eq_ignore_ascii_case("TIMESTAMP_LTZ") {
        let precision = match arguments {
            [] => 6,
            [text] => text.parse().map_err(|_| format!("{text} is not a precision"))?,
            _ => return Err("TIMESTAMP_LTZ takes one precision".into()),
        };
        return timestamp(precision, Some(LOCAL_ZONE));
    }
    Err(unknown_type(name))
}

fn unknown_type(given: &str) -> String {
    const NAMES: [&str; 20] = [
        "BOOLEAN",
        "TINYINT",
        "SMALLINT",
        "INT",
        "BIGINT",
        "FLOAT",
        "DOUBLE",
        "DECIMAL",
        "STRING",
        "CHAR",
        "VARCHAR",
        "BYTES",
        "DATE",
        "TIME",
        "TIMESTAMP",
        "TIMESTAMP_LTZ",
        "ARRAY",
        "MAP",
        "MULTISET",
        "ROW",
    ];
    let hint = super::error::did_you_mean(given, NAMES);
    format!("the type {given} is not supported{hint}")
}

/// `TIMESTAMP(precision)`: milliseconds up to 3, microseconds up to 6, else nanoseconds.
pub(super) fn timestamp(precision: u64, zone: Option<&str>) -> Result<SqlType, String> {
    let (unit, digits) = match precision {
        0..=3 => (TimeUnit::Millisecond, 3),
        4..=6 => (TimeUnit::Microsecond, 6),
        7..=9 => (TimeUnit::Nanosecond, 9),
        _ => return Err(format!("a TIMESTAMP has a precision of 0 to 9, not {precision}")),
    };
    Ok(with_digits(DataType::Timestamp(unit, zone.map(Arc::from)), precision, digits))
}

fn time(precision: u64) -> Result<SqlType, String> {
    match precision {
        0..=3 => Ok(with_digits(DataType::Time32(TimeUnit::Millisecond), precision, 3)),
        _ => Err(format!("TIME has a precision of 0 to 3 here, not {precision}")),
    }
}

/// `kept` are the digits that Arrow's type has.
fn with_digits(data_type: DataType, precision: u64, kept: u64) -> SqlType {
    let digits = usize::try_from(precision).expect("a precision has one digit");
    let bound = (precision < kept).then_some(Bound::Digits(digits));
    SqlType { data_type, bound }
}

fn decimal(info: &ExactNumberInfo) -> Result<DataType, String> {
    let (precision, scale) = match *info {
        ExactNumberInfo::None => (10, 0),
        ExactNumberInfo::Precision(precision) => (precision, 0),
        ExactNumberInfo::PrecisionAndScale(precision, scale) => (precision, scale),
    };
    let valid = (1..=u64::from(DECIMAL_PRECISION_MAX)).contains(&precision)
        && u64::try_from(scale).is_ok_and(|scale| scale <= precision);
    match (u8::try_from(precision), i8::try_from(scale)) {
        (Ok(precision), Ok(scale)) if valid => Ok(DataType::Decimal128(precision, scale)),
        _ => Err(format!(
            "DECIMAL({precision}, {scale}): the precision is 1 to 38, the scale 0 to the precision"
        )),
    }
}

fn characters(length: Option<&CharacterLength>, default: usize) -> Result<usize, String> {
    match length {
        None => Ok(default),
        Some(CharacterLength::Max) => Ok(LENGTH_MAX),
        Some(CharacterLength::IntegerLength { length, .. }) => bytes(*length),
    }
}

fn bytes(length: u64) -> Result<usize, String> {
    let count = usize::try_from(length).ok().filter(|count| (1..=LENGTH_MAX).contains(count));
    count.ok_or_else(|| format!("a length of {length} is not possible; it is 1 to {LENGTH_MAX}"))
}

/// Values of such a type are as long as it says.
fn padded_length(name: &str, count: usize) -> Result<usize, String> {
    match count <= TEXT_CHARACTERS_MAX {
        true => Ok(count),
        false => Err(format!("{name}({count}): at most {TEXT_CHARACTERS_MAX} here")),
    }
}

/// Flink's name of a type.
pub(super) fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Null => "NULL".into(),
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
        DataType::Time32(_) => "TIME".into(),
        DataType::Timestamp(unit, zone) => {
            let name = if zone.is_some() { "TIMESTAMP_LTZ" } else { "TIMESTAMP" };
            format!("{name}({})", precision_of(*unit))
        }
        DataType::Interval(_) | DataType::Duration(_) => "INTERVAL".into(),
        nested if is_nested(nested) => nested_name(nested),
        other => other.to_string(),
    }
}

/// Digits of a timestamp's fraction.
pub(super) fn precision_of(unit: TimeUnit) -> u8 {
    match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 3,
        TimeUnit::Microsecond => 6,
        TimeUnit::Nanosecond => 9,
    }
}

/// True for TINYINT … BIGINT.
pub(super) fn is_integer(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::Int64)
}

/// True for every number.
pub(super) fn is_number(data_type: &DataType) -> bool {
    is_integer(data_type)
        || matches!(data_type, DataType::Float32 | DataType::Float64 | DataType::Decimal128(..))
}

/// Precision and scale of an exact number; an integer counts as a DECIMAL that holds it.
pub(super) fn as_decimal(data_type: &DataType) -> Option<(u8, i8)> {
    match data_type {
        DataType::Int8 => Some((3, 0)),
        DataType::Int16 => Some((5, 0)),
        DataType::Int32 => Some((10, 0)),
        DataType::Int64 => Some((19, 0)),
        DataType::Decimal128(precision, scale) => Some((*precision, *scale)),
        _ => None,
    }
}

/// The type both can become without losing their meaning: of CASE branches, of a comparison's
/// sides, of UNION ALL columns.
pub(super) fn common_type(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::{Decimal128, Float32, Float64, Null, Timestamp};
    match (left, right) {
        _ if left == right => Some(left.clone()),
        (Null, other) | (other, Null) => Some(other.clone()),
        _ if is_integer(left) && is_integer(right) => {
            let wider = left.primitive_width() >= right.primitive_width();
            Some(if wider { left.clone() } else { right.clone() })
        }
        (Float64, other) | (other, Float64) if is_number(other) => Some(Float64),
        (Float32, Decimal128(..)) | (Decimal128(..), Float32) => Some(Float64),
        (Float32, other) | (other, Float32) if is_number(other) => Some(Float32),
        (Timestamp(a, zone_a), Timestamp(b, zone_b)) if zone_a == zone_b => {
            Some(Timestamp(*a.max(b), zone_a.clone()))
        }
        _ if is_nested(left) || is_nested(right) => common_nested(left, right),
        _ => {
            let (precision_a, scale_a) = as_decimal(left)?;
            let (precision_b, scale_b) = as_decimal(right)?;
            let scale = scale_a.max(scale_b);
            let whole = (i16::from(precision_a) - i16::from(scale_a))
                .max(i16::from(precision_b) - i16::from(scale_b));
            Some(bounded_decimal(whole + i16::from(scale), i16::from(scale)))
        }
    }
}

/// DECIMAL(precision, scale), with the scale given up above 38 digits, but not below 6.
pub(super) fn bounded_decimal(precision: i16, scale: i16) -> DataType {
    let limit = i16::from(DECIMAL_PRECISION_MAX);
    let (precision, scale) = if precision <= limit {
        (precision, scale)
    } else {
        let whole = precision - scale;
        (limit, (limit - whole).max(scale.min(6)))
    };
    let narrow = |wide: i16| i8::try_from(wide).expect("precision and scale are at most 38");
    DataType::Decimal128(narrow(precision).unsigned_abs(), narrow(scale))
}

/// True when INSERT may write `from` into a column of type `to` without a CAST.
pub(super) fn converts_implicitly(from: &DataType, to: &DataType) -> bool {
    use DataType::{Date32, Decimal128, Float32, Float64, Timestamp};
    match (from, to) {
        _ if from == to => true,
        (DataType::Null, _) => true,
        (_, Float64) => is_number(from),
        (_, Float32) => is_integer(from) || matches!(from, Decimal128(..)),
        (_, Decimal128(..)) => as_decimal(from).is_some(),
        _ if is_integer(from) && is_integer(to) => from.primitive_width() <= to.primitive_width(),
        (Timestamp(..) | Date32, Timestamp(..)) => true,
        _ => nested_converts(from, to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_types_follow_flink() {
        let check = |left: DataType, right: DataType, expected: Option<&str>| {
            let common = common_type(&left, &right);
            assert_eq!(common.as_ref().map(type_name).as_deref(), expected, "{left} {right}");
            assert_eq!(common, common_type(&right, &left), "{left} {right}");
        };
        check(DataType::Int32, DataType::Int64, Some("BIGINT"));
        check(DataType::Int64, DataType::Decimal128(4, 3), Some("DECIMAL(22, 3)"));
        check(DataType::Float32, DataType::Int64, Some("FLOAT"));
        check(DataType::Float32, DataType::Decimal128(4, 3), Some("DOUBLE"));
        check(DataType::Utf8, DataType::Int64, None);
        check(DataType::Date32, DataType::Timestamp(TimeUnit::Millisecond, None), None);
        check(DataType::Null, DataType::Utf8, Some("STRING"));
        check(DataType::Decimal128(38, 0), DataType::Decimal128(38, 20), Some("DECIMAL(38, 6)"));
    }

    #[test]
    fn bounds_survive_the_planner() {
        let bounds = [
            Bound::CharactersAtMost(3),
            Bound::Characters(12),
            Bound::BytesAtMost(3),
            Bound::Bytes(12),
            Bound::Digits(0),
        ];
        for bound in bounds.map(Some).into_iter().chain([None]) {
            let given = SqlType { data_type: DataType::Utf8, bound };
            assert_eq!(SqlType::of_field(&given.to_field()), given);
        }
    }
}
