//! PRINTF: Java's `Formatter`. A call that Java would refuse gives NULL, as in Flink.
//!
//! Read: `format` (a format string compiled) · `write` (numbers with flags and width).

mod format;
mod write;

use arrow::datatypes::{DataType, Float64Type};
use datafusion_common::{Result as PlanResult, exec_datafusion_err};
use datafusion_expr::ColumnarValue;
use std::sync::Arc;

use super::super::cast::cast;
use super::super::eval::{Kernel, Typed};
use super::super::types::{SqlType, is_integer};
use super::kernel::{Integers, Numbers, Strings, fallible_call, string_argument, try_build_text};
use super::{ANY, BindOptions, Scalar, wrong_argument};
use format::{Format, Problem};
use write::Value;

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] =
    &[Scalar { name: "PRINTF", arguments: (1, ANY), bind: printf }];

/// How an argument is read.
#[derive(Clone, Copy)]
enum Kind {
    /// With its number of bits.
    Integer(u32),
    Real,
    Text,
    Boolean,
    /// Only its text is known to the formatter.
    Opaque,
}

/// Two expressions an argument: its value, and the text `%s` writes.
fn printf(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let constant = match arguments[0].literal_text().map(Format::compile) {
        Some(Err(Problem::Unsupported(message))) => return Err(message),
        Some(compiled) => Some(compiled.ok()),
        None => None,
    };
    let mut expressions = vec![string_argument(&arguments, 0)?];
    let mut kinds = Vec::new();
    for (index, argument) in arguments.iter().enumerate().skip(1) {
        let plain = |to: DataType| cast(argument.clone(), &SqlType::plain(to), false, options);
        let (kind, value) = match &argument.data_type {
            DataType::Int8 => (Kind::Integer(8), plain(DataType::Int64)?),
            DataType::Int16 => (Kind::Integer(16), plain(DataType::Int64)?),
            DataType::Int32 => (Kind::Integer(32), plain(DataType::Int64)?),
            DataType::Int64 => (Kind::Integer(64), argument.clone()),
            DataType::Float32 | DataType::Float64 => (Kind::Real, plain(DataType::Float64)?),
            DataType::Boolean => (Kind::Boolean, plain(DataType::Utf8)?),
            DataType::Utf8 | DataType::Null => (Kind::Text, plain(DataType::Utf8)?),
            DataType::Decimal128(..) => (Kind::Opaque, plain(DataType::Utf8)?),
            other => return Err(wrong_argument(index + 1, "a number, BOOLEAN or STRING", other)),
        };
        let text = match is_integer(&argument.data_type) {
            true => value.clone(),
            false => plain(DataType::Utf8)?,
        };
        kinds.push(kind);
        expressions.extend([value.expr, text.expr]);
    }
    let kernel: Kernel = Arc::new(move |values, rows| {
        let formats = Strings::of(&values[0]);
        let columns = kinds
            .iter()
            .zip(values[1..].chunks_exact(2))
            .map(|(kind, pair)| Column::of(*kind, pair))
            .collect::<PlanResult<Vec<_>>>()?;
        let mut last: Option<(&str, Option<Format>)> = None;
        let mut row_values = Vec::with_capacity(columns.len());
        try_build_text(rows, 0, |row, out| {
            let Some(written) = formats.get(row) else { return Ok(None) };
            let format = match &constant {
                Some(format) => format.as_ref(),
                None => {
                    if last.as_ref().is_none_or(|(known, _)| *known != written) {
                        last = Some((written, compiled(written)?));
                    }
                    last.as_ref().and_then(|(_, format)| format.as_ref())
                }
            };
            row_values.clear();
            row_values.extend(columns.iter().map(|column| column.get(row)));
            Ok(format.and_then(|format| format.write(&row_values, out)))
        })
    });
    Ok(fallible_call("PRINTF", expressions, DataType::Utf8, kernel))
}

/// `None` for a format that Java refuses.
fn compiled(written: &str) -> PlanResult<Option<Format>> {
    match Format::compile(written) {
        Ok(format) => Ok(Some(format)),
        Err(Problem::Invalid) => Ok(None),
        Err(Problem::Unsupported(message)) => Err(exec_datafusion_err!("{message}")),
    }
}

/// An argument's values and texts.
enum Column<'a> {
    Integer(Integers<'a>, u32),
    Real(Numbers<'a, Float64Type>, Strings<'a>),
    Text(Strings<'a>),
    Boolean(Strings<'a>),
    Opaque(Strings<'a>),
}

impl<'a> Column<'a> {
    fn of(kind: Kind, pair: &'a [ColumnarValue]) -> PlanResult<Column<'a>> {
        Ok(match kind {
            Kind::Integer(bits) => Column::Integer(Integers::of(&pair[0])?, bits),
            Kind::Real => {
                Column::Real(Numbers::<Float64Type>::of(&pair[0])?, Strings::of(&pair[1]))
            }
            Kind::Text => Column::Text(Strings::of(&pair[0])),
            Kind::Boolean => Column::Boolean(Strings::of(&pair[0])),
            Kind::Opaque => Column::Opaque(Strings::of(&pair[0])),
        })
    }

    fn get(&self, row: usize) -> Value<'a> {
        let value = match self {
            Column::Integer(numbers, bits) => {
                numbers.get(row).map(|number| Value::Integer(number, *bits))
            }
            Column::Real(numbers, texts) => {
                numbers.get(row).zip(texts.get(row)).map(|(real, text)| Value::Real(real, text))
            }
            Column::Text(texts) => texts.get(row).map(Value::Text),
            Column::Boolean(texts) => texts.get(row).map(|text| Value::Boolean(text == "TRUE")),
            Column::Opaque(texts) => texts.get(row).map(Value::Opaque),
        };
        value.unwrap_or(Value::Null)
    }
}
