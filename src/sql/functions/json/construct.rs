//! JSON_STRING, JSON_OBJECT and JSON_ARRAY: values of any type but DATE and TIME as JSON.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    DataType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimeUnit,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chrono::{Datelike, NaiveDateTime, Timelike};
use datafusion_common::{Result as PlanResult, exec_datafusion_err};
use datafusion_expr::ColumnarValue;
use std::sync::Arc;

use super::super::super::cast::time_at;
use super::super::super::eval::{Kernel, Typed};
use super::super::super::types::type_name;
use super::super::kernel::{fallible_call, text_call, try_build_text};
use super::super::{ANY, BindOptions, Scalar};
use super::text::{compare, push_big_decimal, push_double, push_quoted};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "JSON_STRING", arguments: (1, 1), bind: json_string },
    Scalar { name: "JSON_OBJECT", arguments: (1, ANY), bind: json_object },
    Scalar { name: "JSON_ARRAY", arguments: (1, ANY), bind: json_array },
];

/// How values of a type are written.
enum Writer {
    Boolean,
    Tiny,
    Small,
    Int,
    Big,
    Float,
    Double,
    Decimal(i8),
    Text,
    /// JSON already.
    Raw,
    Timestamp {
        unit: TimeUnit,
        zoned: bool,
    },
    Bytes,
    List(Box<Writer>),
    /// Keys are texts.
    Map(Box<Writer>),
    /// Names in order, with the place of the column.
    Row(Vec<(String, usize, Writer)>),
}

impl Writer {
    fn of(data_type: &DataType) -> Result<Writer, String> {
        Ok(match data_type {
            DataType::Boolean => Writer::Boolean,
            DataType::Int8 => Writer::Tiny,
            DataType::Int16 => Writer::Small,
            DataType::Int32 => Writer::Int,
            DataType::Int64 => Writer::Big,
            DataType::Float32 => Writer::Float,
            DataType::Float64 => Writer::Double,
            DataType::Decimal128(_, scale) => Writer::Decimal(*scale),
            DataType::Utf8 => Writer::Text,
            DataType::Timestamp(unit, zone) => {
                Writer::Timestamp { unit: *unit, zoned: zone.is_some() }
            }
            DataType::Binary => Writer::Bytes,
            DataType::List(element) => Writer::List(Box::new(Writer::of(element.data_type())?)),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(fields)
                    if fields.len() == 2 && *fields[0].data_type() == DataType::Utf8 =>
                {
                    Writer::Map(Box::new(Writer::of(fields[1].data_type())?))
                }
                _ => return Err("the keys of a MAP in JSON are STRING".into()),
            },
            DataType::Struct(fields) => {
                let mut members = fields
                    .iter()
                    .enumerate()
                    .map(|(index, field)| {
                        Ok((field.name().clone(), index, Writer::of(field.data_type())?))
                    })
                    .collect::<Result<Vec<_>, String>>()?;
                members.sort_by(|left, right| compare(&left.0, &right.0));
                Writer::Row(members)
            }
            other => {
                return Err(format!("{} is not written as JSON; CAST it", type_name(other)));
            }
        })
    }

    /// Appends the value of a row; NULL is `null`.
    fn write(&self, array: &ArrayRef, row: usize, out: &mut String) -> PlanResult<()> {
        if array.is_null(row) {
            out.push_str("null");
            return Ok(());
        }
        match self {
            Writer::Boolean => {
                out.push_str(if array.as_boolean().value(row) { "true" } else { "false" });
            }
            Writer::Tiny => push_integer(array.as_primitive::<Int8Type>().value(row), out),
            Writer::Small => push_integer(array.as_primitive::<Int16Type>().value(row), out),
            Writer::Int => push_integer(array.as_primitive::<Int32Type>().value(row), out),
            Writer::Big => push_integer(array.as_primitive::<Int64Type>().value(row), out),
            Writer::Float => {
                push_double(f64::from(array.as_primitive::<Float32Type>().value(row)), out);
            }
            Writer::Double => push_double(array.as_primitive::<Float64Type>().value(row), out),
            Writer::Decimal(scale) => {
                let value = array.as_primitive::<Decimal128Type>().value(row);
                let digits = value.unsigned_abs().to_string();
                push_big_decimal(value < 0, &digits, i64::from(*scale), out);
            }
            Writer::Text => push_quoted(array.as_string::<i32>().value(row), out),
            Writer::Raw => out.push_str(array.as_string::<i32>().value(row)),
            Writer::Timestamp { unit, zoned } => {
                let numbers = arrow::compute::cast(&array.slice(row, 1), &DataType::Int64)?;
                let number = numbers.as_primitive::<Int64Type>().value(0);
                let time = time_at(number, *unit)
                    .ok_or_else(|| exec_datafusion_err!("the TIMESTAMP is out of range"))?;
                push_time(&time, *zoned, out);
            }
            Writer::Bytes => {
                out.push('"');
                STANDARD.encode_string(array.as_binary::<i32>().value(row), out);
                out.push('"');
            }
            Writer::List(element) => {
                let elements = array.as_list::<i32>().value(row);
                push_list(elements.len(), out, |index, out| element.write(&elements, index, out))?;
            }
            Writer::Map(value) => write_map(value, array, row, out)?,
            Writer::Row(members) => {
                let columns = array.as_struct().columns();
                out.push('{');
                for (index, (name, column, writer)) in members.iter().enumerate() {
                    out.push_str(if index > 0 { "," } else { "" });
                    push_quoted(name, out);
                    out.push(':');
                    writer.write(&columns[*column], row, out)?;
                }
                out.push('}');
            }
        }
        Ok(())
    }
}

fn push_integer(number: impl Into<i64>, out: &mut String) {
    out.push_str(itoa::Buffer::new().format(number.into()));
}

fn push_list(
    count: usize,
    out: &mut String,
    mut one: impl FnMut(usize, &mut String) -> PlanResult<()>,
) -> PlanResult<()> {
    out.push('[');
    for index in 0..count {
        out.push_str(if index > 0 { "," } else { "" });
        one(index, out)?;
    }
    out.push(']');
    Ok(())
}

/// Of equal keys the last one counts.
fn write_map(value: &Writer, array: &ArrayRef, row: usize, out: &mut String) -> PlanResult<()> {
    let entries = array.as_map().value(row);
    let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1));
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by(|left, right| compare(keys.value(*left), keys.value(*right)));
    out.push('{');
    let mut first = true;
    for (place, &index) in order.iter().enumerate() {
        let key = keys.value(index);
        if order.get(place + 1).is_some_and(|next| keys.value(*next) == key) {
            continue;
        }
        out.push_str(if std::mem::take(&mut first) { "" } else { "," });
        push_quoted(key, out);
        out.push(':');
        value.write(values, index, out)?;
    }
    out.push('}');
    Ok(())
}

/// ISO 8601 with as many digits of a second as there are.
fn push_time(time: &NaiveDateTime, zoned: bool, out: &mut String) {
    let sign = if time.year() > 9999 { "+" } else { "" };
    let date = format!("{sign}{:04}-{:02}-{:02}", time.year(), time.month(), time.day());
    let (hour, minute, second) = (time.hour(), time.minute(), time.second());
    out.push_str(&format!("\"{date}T{hour:02}:{minute:02}:{second:02}"));
    if time.nanosecond() > 0 {
        let nanos = format!("{:09}", time.nanosecond());
        out.push('.');
        out.push_str(nanos.trim_end_matches('0'));
    }
    out.push_str(if zoned { "Z\"" } else { "\"" });
}

fn json_string(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let given = &arguments[0];
    if given.data_type == DataType::Null {
        return Ok(Typed::constant(datafusion_common::ScalarValue::Utf8(None)));
    }
    let writer = Writer::of(&given.data_type)?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let array = values[0].clone().into_array(rows)?;
        try_build_text(rows, 0, |row, out| match array.is_null(row) {
            true => Ok(None),
            false => writer.write(&array, row, out).map(Some),
        })
    });
    let expressions = vec![Arc::clone(&given.expr)];
    Ok(match given.data_type {
        DataType::Timestamp(..) => {
            fallible_call("JSON_STRING", expressions, DataType::Utf8, kernel)
        }
        _ => text_call("JSON_STRING", expressions, kernel),
    })
}

/// A member's writer, behind the word that says whether it is JSON already.
fn member(kind: &Typed, value: &Typed) -> Result<Writer, String> {
    match (kind.literal_text(), &value.data_type) {
        (_, DataType::Null) => Err("a member is NULL; CAST it".into()),
        (Some("raw"), DataType::Utf8) => Ok(Writer::Raw),
        (_, data_type) => Writer::of(data_type),
    }
}

fn arrays(values: &[ColumnarValue], rows: usize) -> PlanResult<Vec<ArrayRef>> {
    values.iter().map(|value| value.clone().into_array(rows)).collect()
}

/// `JSON_OBJECT(on null, [key, raw or value, value] …)`.
fn json_object(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let absent = arguments[0].literal_text() == Some("ABSENT");
    let mut members = Vec::new();
    let mut expressions = Vec::new();
    for (index, part) in arguments[1..].chunks(3).enumerate() {
        let [key, kind, value] = part else {
            return Err("a key stands before each value: JSON_OBJECT('a' VALUE 1)".into());
        };
        let key = key.literal_text().ok_or("a key must be a literal")?;
        members.push((key.to_string(), index, member(kind, value)?));
        expressions.push(Arc::clone(&value.expr));
    }
    // Of equal keys the last one that is written counts; they stay in order.
    members.sort_by(|left, right| compare(&left.0, &right.0));
    let labels: Vec<&str> = members.iter().map(|(key, ..)| key.as_str()).collect();
    let label = format!(
        "JSON_OBJECT({} VALUES {{}} {} ON NULL)",
        labels.join(", "),
        if absent { "ABSENT" } else { "NULL" }
    );
    let kernel: Kernel = Arc::new(move |values, rows| {
        let arrays = arrays(values, rows)?;
        try_build_text(rows, rows * 16, |row, out| {
            out.push('{');
            let mut first = true;
            let written = |index: usize| !absent || arrays[index].is_valid(row);
            for (place, (key, index, writer)) in members.iter().enumerate() {
                let mut later = members[place + 1..].iter().take_while(|(next, ..)| next == key);
                if !written(*index) || later.any(|(_, other, _)| written(*other)) {
                    continue;
                }
                out.push_str(if std::mem::take(&mut first) { "" } else { "," });
                push_quoted(key, out);
                out.push(':');
                writer.write(&arrays[*index], row, out)?;
            }
            out.push('}');
            Ok(Some(()))
        })
    });
    Ok(fallible_call(&label, expressions, DataType::Utf8, kernel))
}

/// `JSON_ARRAY(on null, [raw or value, value] …)`.
fn json_array(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let absent = arguments[0].literal_text() == Some("ABSENT");
    let mut writers = Vec::new();
    let mut expressions = Vec::new();
    for part in arguments[1..].chunks(2) {
        let [kind, value] = part else { return Err("a value is missing".into()) };
        writers.push(member(kind, value)?);
        expressions.push(Arc::clone(&value.expr));
    }
    let raw: String = writers
        .iter()
        .map(|writer| if matches!(writer, Writer::Raw) { 'r' } else { 'v' })
        .collect();
    let behavior = if absent { "ABSENT" } else { "NULL" };
    let label = format!("JSON_ARRAY({{}} {behavior} ON NULL {raw})");
    let kernel: Kernel = Arc::new(move |values, rows| {
        let arrays = arrays(values, rows)?;
        try_build_text(rows, rows * 16, |row, out| {
            out.push('[');
            let mut first = true;
            for (writer, array) in writers.iter().zip(&arrays) {
                if absent && array.is_null(row) {
                    continue;
                }
                out.push_str(if std::mem::take(&mut first) { "" } else { "," });
                writer.write(array, row, out)?;
            }
            out.push(']');
            Ok(Some(()))
        })
    });
    Ok(fallible_call(&label, expressions, DataType::Utf8, kernel))
}
