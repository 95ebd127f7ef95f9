//! Values and types as the fixtures write them; see their README.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, IntervalMonthDayNanoType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType,
};
use arrow::temporal_conversions::{date32_to_datetime, time32ms_to_time};
use regex::{Captures, Regex};
use serde_json::Value;
use std::sync::LazyLock;

/// The value of a row.
pub(super) fn shown(array: &ArrayRef, row: usize) -> Value {
    if array.is_null(row) || *array.data_type() == DataType::Null {
        return Value::Null;
    }
    match array.data_type() {
        DataType::Boolean => array.as_boolean().value(row).into(),
        DataType::Int8 => array.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => array.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => array.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => array.as_primitive::<Int64Type>().value(row).into(),
        DataType::Float32 => float_bits(array.as_primitive::<Float32Type>().value(row)).into(),
        DataType::Float64 => double_bits(array.as_primitive::<Float64Type>().value(row)).into(),
        DataType::Decimal128(..) => {
            array.as_primitive::<Decimal128Type>().value_as_string(row).into()
        }
        DataType::Utf8 => array.as_string::<i32>().value(row).into(),
        DataType::Binary => hexadecimal(array.as_binary::<i32>().value(row)).into(),
        DataType::Interval(_) => {
            let length = array.as_primitive::<IntervalMonthDayNanoType>().value(row);
            match length.months {
                0 => (i64::from(length.days) * 86_400_000 + length.nanoseconds / 1_000_000).into(),
                months => months.into(),
            }
        }
        DataType::List(_) => elements(&array.as_list::<i32>().value(row)),
        DataType::Struct(_) => {
            array.as_struct().columns().iter().map(|column| shown(column, row)).collect()
        }
        DataType::Map(..) => {
            let entries = array.as_map().value(row);
            let pair = |at| vec![shown(entries.column(0), at), shown(entries.column(1), at)];
            let mut pairs: Vec<Value> = (0..entries.len()).map(pair).map(Value::from).collect();
            pairs.sort_by_key(Value::to_string);
            pairs.into()
        }
        _ => moment(array, row).into(),
    }
}

fn elements(list: &ArrayRef) -> Value {
    (0..list.len()).map(|at| shown(list, at)).collect()
}

fn float_bits(value: f32) -> String {
    if value.is_nan() { "7fc00000".into() } else { format!("{:08x}", value.to_bits()) }
}

fn double_bits(value: f64) -> String {
    if value.is_nan() { "7ff8000000000000".into() } else { format!("{:016x}", value.to_bits()) }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// DATE, TIME and timestamps.
fn moment(array: &ArrayRef, row: usize) -> String {
    const OUTSIDE: &str = "outside the calendar";
    match array.data_type() {
        DataType::Date32 => {
            let day = date32_to_datetime(array.as_primitive::<Date32Type>().value(row));
            day.map_or(OUTSIDE.into(), |day| day.date().to_string())
        }
        DataType::Time32(TimeUnit::Millisecond) => {
            use arrow::datatypes::Time32MillisecondType;
            let time = time32ms_to_time(array.as_primitive::<Time32MillisecondType>().value(row));
            time.map_or(OUTSIDE.into(), |time| time.format("%H:%M:%S.%9f").to_string())
        }
        DataType::Timestamp(unit, zone) => {
            let moment = match unit {
                TimeUnit::Millisecond => {
                    array.as_primitive::<TimestampMillisecondType>().value_as_datetime(row)
                }
                TimeUnit::Microsecond => {
                    array.as_primitive::<TimestampMicrosecondType>().value_as_datetime(row)
                }
                _ => array.as_primitive::<TimestampNanosecondType>().value_as_datetime(row),
            };
            let text = moment.map(|moment| moment.format("%Y-%m-%d %H:%M:%S.%9f").to_string());
            text.unwrap_or(OUTSIDE.into()) + if zone.is_some() { "Z" } else { "" }
        }
        other => format!("a value of the type {other}"),
    }
}

/// A value of the fixtures in the form in which `shown` has one of `data_type`: doubles are their
/// bits alone.
pub(super) fn expected(value: &Value, data_type: &DataType) -> Value {
    match (value, data_type) {
        (Value::String(text), DataType::Float32 | DataType::Float64) => {
            text.rsplit(' ').next().expect("a split has a first part").into()
        }
        (Value::Array(values), DataType::List(element)) => {
            values.iter().map(|inner| expected(inner, element.data_type())).collect()
        }
        (Value::Array(values), DataType::Struct(fields)) => {
            let values = values.iter().zip(fields);
            values.map(|(inner, field)| expected(inner, field.data_type())).collect()
        }
        (Value::Array(pairs), DataType::Map(entries, _)) => {
            let pairs = pairs.iter().map(|pair| expected(pair, entries.data_type()));
            let mut pairs: Vec<Value> = pairs.collect();
            pairs.sort_by_key(Value::to_string);
            Value::Array(pairs)
        }
        (other, _) => other.clone(),
    }
}

/// Flink's name of a type, without what Pelton's types do not have.
pub(super) fn comparable_type(flink: &str) -> String {
    static DETAILS: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r" NOT NULL| \*ROWTIME\*| \*PROCTIME\*").unwrap());
    static LENGTHS: LazyLock<Regex> = LazyLock::new(|| {
        let names = "CHAR|VARCHAR|BINARY|VARBINARY|TIMESTAMP|TIMESTAMP_LTZ|TIME";
        Regex::new(&format!(r"\b({names})\((\d+)\)|\bINTERVAL \w+(\(\d+\))?")).unwrap()
    });
    let plain = DETAILS.replace_all(flink, "");
    let kept = |found: &Captures<'_>| match (found.get(1), found.get(2)) {
        (Some(name), Some(length)) => match (name.as_str(), length.as_str()) {
            ("CHAR" | "VARCHAR", _) => "STRING".to_owned(),
            ("BINARY" | "VARBINARY", _) => "BYTES".to_owned(),
            ("TIME", _) => "TIME".to_owned(),
            (name, "0" | "1" | "2" | "3") => format!("{name}(3)"),
            (name, "4" | "5" | "6") => format!("{name}(6)"),
            (name, _) => format!("{name}(9)"),
        },
        _ => "INTERVAL".to_owned(),
    };
    LENGTHS.replace_all(&plain, kept).into_owned()
}

#[test]
fn types_lose_what_ours_do_not_have() {
    let check = |flink: &str, expected: &str| assert_eq!(comparable_type(flink), expected);
    check("INT NOT NULL", "INT");
    check("ARRAY<VARCHAR(3) NOT NULL> NOT NULL", "ARRAY<STRING>");
    check("ROW<`x` INT, `y` CHAR(1) NOT NULL>", "ROW<`x` INT, `y` STRING>");
    check("DECIMAL(10, 2) NOT NULL", "DECIMAL(10, 2)");
    check("TIMESTAMP(2) NOT NULL", "TIMESTAMP(3)");
    check("TIMESTAMP_LTZ(4)", "TIMESTAMP_LTZ(6)");
    check("TIMESTAMP(3) NOT NULL *ROWTIME*", "TIMESTAMP(3)");
    check("TIME(0)", "TIME");
    check("INTERVAL SECOND(3) NOT NULL", "INTERVAL");
    check("INTERVAL MONTH NOT NULL", "INTERVAL");
    check("MAP<STRING, VARBINARY(3)>", "MAP<STRING, BYTES>");
}
