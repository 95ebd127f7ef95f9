//! Options of columns: names and texts to what values a column has, or what is wrong with them.

use std::collections::BTreeMap;
use std::str::FromStr;

use arrow::datatypes::{DataType, Field, FieldRef, Schema};

use super::column::{Choice, Column, Values};
use crate::limits::BATCH_BYTES_MAX;
use crate::stdx::{did_you_mean, parse_duration};

/// `fields.COLUMN.OPTION = VALUE`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldOption {
    /// Of the table; a part of it as `column.field`, `column.element`, `column.key`, `column.value`.
    pub column: String,
    /// `kind`, `min`, `max`, `start`, `end`, `length`, `max-past`, `null-rate` or `var-len`.
    pub option: String,
    /// As written.
    pub value: String,
}

/// What is wrong with a column or one of its options.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldFault {
    /// Which option, by its index; `None` when the column itself cannot be made.
    pub option: Option<usize>,
    /// What is wrong and what to do.
    pub message: String,
}

/// Characters or bytes of a value unless it says otherwise, as in Flink.
const LENGTH_DEFAULT: usize = 100;

/// Elements of an ARRAY or MAP unless it says otherwise, as in Flink.
const ELEMENTS_DEFAULT: usize = 3;

/// Longest value: several must fit into a batch.
const LENGTH_MAX: usize = BATCH_BYTES_MAX / 16;

const KINDS: [&str; 2] = ["random", "sequence"];
const OF_SEQUENCES: [&str; 3] = ["kind", "start", "end"];

/// Values of each column.
pub(super) fn values_of(
    schema: &Schema,
    fields: &[FieldOption],
) -> Result<Vec<Values>, Vec<FieldFault>> {
    let mut faults = Vec::new();
    let mut names = Vec::new();
    schema.fields().iter().for_each(|field| add_names(field.name(), field.data_type(), &mut names));
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (index, field) in fields.iter().enumerate() {
        if !names.contains(&field.column.as_str()) {
            let hint = did_you_mean(&field.column, &names);
            let message = format!("there is no column \"{}\"; {hint}", field.column);
            faults.push(FieldFault { option: Some(index), message });
        }
    }
    let mut all = Vec::new();
    for field in schema.fields() {
        match column_values(field.name(), field, fields) {
            Ok(values) => all.push(values),
            Err(found) => faults.extend(found),
        }
    }
    if faults.is_empty() { Ok(all) } else { Err(faults) }
}

/// What options may be of: a column and its parts.
fn add_names(name: &str, data_type: &DataType, names: &mut Vec<String>) {
    for (part, field) in parts_of(name, data_type) {
        add_names(&part, field.data_type(), names);
    }
    names.push(name.to_owned());
}

/// Parts of a column, each with its name.
fn parts_of(name: &str, data_type: &DataType) -> Vec<(String, FieldRef)> {
    let part = |part: &str, field: &FieldRef| (format!("{name}.{part}"), FieldRef::clone(field));
    match data_type {
        DataType::List(element) => vec![part("element", element)],
        DataType::Struct(fields) => fields.iter().map(|field| part(field.name(), field)).collect(),
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(pair) if pair.len() == 2 => {
                vec![part("key", &pair[0]), part("value", &pair[1])]
            }
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

/// Values of a column, or of a part of one.
fn column_values(
    name: &str,
    field: &Field,
    fields: &[FieldOption],
) -> Result<Values, Vec<FieldFault>> {
    let mut parts = Vec::new();
    let mut faults = Vec::new();
    for (part, inner) in parts_of(name, field.data_type()) {
        match column_values(&part, &inner, fields) {
            Ok(values) => parts.push(Column::new(values, inner.data_type().clone(), 0)),
            Err(found) => faults.extend(found),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let mut reader = Reader::new(name, fields, parts);
    let values = reader.values(field);
    match values {
        Some(values) if reader.faults.is_empty() => Ok(values),
        _ => Err(reader.faults),
    }
}

/// Reads the options of one column.
struct Reader<'a> {
    column: &'a str,
    /// Of an ARRAY, MAP or ROW.
    parts: Vec<Column>,
    /// By Flink's name: where it stands, what it says.
    options: BTreeMap<String, (usize, &'a str)>,
    faults: Vec<FieldFault>,
}

impl<'a> Reader<'a> {
    fn new(column: &'a str, fields: &'a [FieldOption], parts: Vec<Column>) -> Reader<'a> {
        let own = fields.iter().enumerate().filter(|(_, field)| field.column == column);
        let options =
            own.map(|(index, field)| (field.option.replace('_', "-"), (index, &*field.value)));
        Reader { column, parts, options: options.collect(), faults: Vec::new() }
    }

    fn fail(&mut self, option: Option<usize>, message: String) {
        self.faults.push(FieldFault { option, message });
    }

    /// `None` when there is a fault.
    fn values(&mut self, field: &Field) -> Option<Values> {
        let kind = self.options.get("kind").copied();
        let values = match kind {
            None | Some((_, "random")) => self.random(field),
            Some((index, "sequence")) if self.column.contains('.') => {
                self.fail(Some(index), "a part of a column is no sequence".to_owned());
                None
            }
            Some((_, "sequence")) => self.sequence(field.data_type()),
            Some((index, other)) => {
                let hint = did_you_mean(other, &KINDS);
                self.fail(Some(index), format!("\"{other}\" is unknown; {hint}"));
                None
            }
        };
        values.filter(|_| self.faults.is_empty())
    }

    fn sequence(&mut self, data_type: &DataType) -> Option<Values> {
        self.allow(&OF_SEQUENCES, "a sequence");
        let (min, max) = match data_type {
            DataType::Utf8 | DataType::Float32 | DataType::Float64 => (i64::MIN, i64::MAX),
            DataType::Decimal128(..) => decimal_range(data_type),
            _ => self.integer_range(data_type, "a sequence")?,
        };
        let start = self.number("start", Some((min, max)));
        let end = self.number("end", Some((min, max)));
        match (start, end) {
            (Some(start), Some(end)) if end >= start.saturating_sub(1) => {
                Some(Values::Sequence { start, end })
            }
            (Some(_), Some(_)) => {
                let at = self.options.get("end").map(|(index, _)| *index);
                self.fail(at, "the sequence ends before it starts".to_owned());
                None
            }
            _ if !self.faults.is_empty() => None,
            _ => {
                let at = self.options.get("kind").map(|(index, _)| *index);
                let column = self.column;
                let what =
                    format!("a sequence needs fields.{column}.start and fields.{column}.end");
                self.fail(at, what);
                None
            }
        }
    }

    fn random(&mut self, field: &Field) -> Option<Values> {
        let null_rate = self.parsed("null-rate", "a number from 0 to 1").unwrap_or(0.0_f64);
        if !(0.0..=1.0).contains(&null_rate) {
            self.out_of_range("null-rate", "0 to 1");
        } else if null_rate > 0.0 && !field.is_nullable() {
            self.out_of_range("null-rate", "0, because the column is NOT NULL");
        }
        let choice = self.choice(field.data_type())?;
        let values = Values::Random { choice, null_rate };
        if values.bytes_max() > LENGTH_MAX {
            let message = format!(
                "values of column \"{}\" may have {} bytes; allowed: {LENGTH_MAX}",
                self.column,
                values.bytes_max()
            );
            let at = self.options.get("length").map(|(index, _)| *index);
            self.fail(at, message);
        }
        Some(values)
    }

    fn choice(&mut self, data_type: &DataType) -> Option<Choice> {
        Some(match data_type {
            DataType::List(_) => {
                let length = self.elements("an ARRAY");
                Choice::Array { length, element: Box::new(self.parts.pop()?) }
            }
            DataType::Map(..) => {
                let length = self.elements("a MAP");
                let (value, key) = (self.parts.pop()?, self.parts.pop()?);
                Choice::Map { length, key: Box::new(key), value: Box::new(value) }
            }
            DataType::Struct(_) => {
                self.allow(&["kind", "null-rate"], "a ROW");
                Choice::Row(std::mem::take(&mut self.parts))
            }
            DataType::Boolean => {
                self.allow(&["kind", "null-rate"], "a BOOLEAN");
                Choice::Flag
            }
            DataType::Float32 => self.floats(f64::from(f32::MIN_POSITIVE), f64::from(f32::MAX))?,
            DataType::Float64 => self.floats(f64::MIN_POSITIVE, f64::MAX)?,
            DataType::Decimal128(precision, scale) => {
                let max = 10.0_f64.powi(i32::from(*precision) - i32::from(*scale));
                self.floats(0.0, max)?
            }
            DataType::Utf8 | DataType::Binary => {
                self.allow(&["kind", "null-rate", "length", "var-len"], "a text");
                let length = self.number("length", Some((0, LENGTH_MAX as i64)));
                let length = length.map_or(LENGTH_DEFAULT, |length| {
                    usize::try_from(length).expect("it is in range")
                });
                let varies = self.parsed("var-len", "true or false").unwrap_or(false);
                match data_type {
                    DataType::Utf8 => Choice::Digits { length, varies },
                    _ => Choice::Bytes { length, varies },
                }
            }
            DataType::Timestamp(..) => {
                self.allow(&["kind", "null-rate", "max-past"], "a TIMESTAMP");
                Choice::Moment { past_ms_max: self.max_past() }
            }
            DataType::Date32 | DataType::Time32(_) | DataType::Time64(_) => {
                self.allow(&["kind", "null-rate"], "a DATE or TIME");
                Choice::Moment { past_ms_max: 0 }
            }
            _ => {
                let range = self.integer_range(data_type, "datagen")?;
                self.allow(&["kind", "null-rate", "min", "max"], "a number");
                let min = self.number("min", Some(range)).unwrap_or(range.0);
                let max = self.number("max", Some(range)).unwrap_or(range.1);
                self.check_order(min <= max);
                Choice::Integer { min, max }
            }
        })
    }

    /// Elements of each value.
    fn elements(&mut self, what: &str) -> usize {
        self.allow(&["kind", "null-rate", "length"], what);
        let length = self.number("length", Some((0, LENGTH_MAX as i64)));
        length.map_or(ELEMENTS_DEFAULT, |length| usize::try_from(length).expect("it is in range"))
    }

    fn floats(&mut self, min: f64, max: f64) -> Option<Choice> {
        self.allow(&["kind", "null-rate", "min", "max"], "a number");
        let low = self.parsed("min", "a number").unwrap_or(min);
        let high = self.parsed("max", "a number").unwrap_or(max);
        if !low.is_finite() || !high.is_finite() {
            self.out_of_range(if low.is_finite() { "max" } else { "min" }, "numbers");
            return None;
        }
        self.check_order(low <= high);
        Some(Choice::Float { min: low, max: high })
    }

    fn check_order(&mut self, is_ordered: bool) {
        if !is_ordered {
            let at = self.options.get("max").or(self.options.get("min")).map(|(index, _)| *index);
            self.fail(at, "the smallest value is larger than the largest".to_owned());
        }
    }

    /// Values of a type of whole numbers; a fault for other types.
    fn integer_range(&mut self, data_type: &DataType, what: &str) -> Option<(i64, i64)> {
        match data_type {
            DataType::Int8 => Some((i8::MIN.into(), i8::MAX.into())),
            DataType::Int16 => Some((i16::MIN.into(), i16::MAX.into())),
            DataType::Int32 => Some((i32::MIN.into(), i32::MAX.into())),
            DataType::Int64 => Some((i64::MIN, i64::MAX)),
            other => {
                let at = self.options.get("kind").map(|(index, _)| *index);
                let column = self.column;
                self.fail(at, format!("{what} has no values of column \"{column}\": {other}"));
                None
            }
        }
    }

    fn max_past(&mut self) -> i64 {
        let Some(&(index, text)) = self.options.get("max-past") else { return 0 };
        // Flink's spelling, `30 s`, and ours.
        match parse_duration(&text.replace(' ', "")) {
            Ok(past) => i64::try_from(past.as_millis()).unwrap_or(i64::MAX - 1),
            Err(error) => {
                self.fail(Some(index), format!("\"{text}\" {error}; write \"30s\" or \"1d\""));
                0
            }
        }
    }

    fn number(&mut self, option: &str, range: Option<(i64, i64)>) -> Option<i64> {
        let number: i64 = self.parsed(option, "a whole number")?;
        let (min, max) = range.unwrap_or((i64::MIN, i64::MAX));
        if !(min..=max).contains(&number) {
            self.out_of_range(option, &format!("{min} to {max}"));
            return None;
        }
        Some(number)
    }

    fn parsed<T: FromStr>(&mut self, option: &str, expected: &str) -> Option<T> {
        let &(index, text) = self.options.get(option)?;
        let parsed = text.trim().parse().ok();
        if parsed.is_none() {
            self.fail(Some(index), format!("\"{text}\" is not {expected}"));
        }
        parsed
    }

    fn out_of_range(&mut self, option: &str, allowed: &str) {
        if let Some(&(index, text)) = self.options.get(option) {
            self.fail(Some(index), format!("{text} is out of range; allowed: {allowed}"));
        }
    }

    /// A fault for each option that says nothing of such a column.
    fn allow(&mut self, allowed: &[&str], what: &str) {
        let others: Vec<(usize, String)> = self
            .options
            .iter()
            .filter(|(name, _)| !allowed.contains(&name.as_str()))
            .map(|(name, (index, _))| (*index, name.clone()))
            .collect();
        for (index, name) in others {
            let hint = did_you_mean(&name, allowed);
            self.fail(Some(index), format!("{what} has no option {name}; {hint}"));
        }
    }
}

/// Whole numbers that a decimal can hold.
fn decimal_range(data_type: &DataType) -> (i64, i64) {
    let DataType::Decimal128(precision, scale) = data_type else { return (i64::MIN, i64::MAX) };
    let digits = u32::try_from(i32::from(*precision) - i32::from(*scale)).unwrap_or(0);
    let max = 10_i64.checked_pow(digits).map_or(i64::MAX, |bound| bound - 1);
    (-max, max)
}
