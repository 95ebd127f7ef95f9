//! Options of columns: names and texts to what values a column has, or what is wrong with them.

use std::collections::BTreeMap;
use std::str::FromStr;

use arrow::datatypes::{DataType, Schema};

use super::column::{Choice, Values};
use crate::limits::BATCH_BYTES_MAX;
use crate::stdx::{did_you_mean, parse_duration};

/// `fields.COLUMN.OPTION = VALUE`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldOption {
    /// Of the table.
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
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    for (index, field) in fields.iter().enumerate() {
        if !names.contains(&field.column.as_str()) {
            let hint = did_you_mean(&field.column, &names);
            let message = format!("there is no column \"{}\"; {hint}", field.column);
            faults.push(FieldFault { option: Some(index), message });
        }
    }
    let mut all = Vec::new();
    for field in schema.fields() {
        let mut reader = Reader::new(field.name(), fields);
        match reader.values(field.data_type()) {
            Some(values) if reader.faults.is_empty() => all.push(values),
            _ => faults.extend(reader.faults),
        }
    }
    if faults.is_empty() { Ok(all) } else { Err(faults) }
}

/// Reads the options of one column.
struct Reader<'a> {
    column: &'a str,
    /// By Flink's name: where it stands, what it says.
    options: BTreeMap<String, (usize, &'a str)>,
    faults: Vec<FieldFault>,
}

impl<'a> Reader<'a> {
    fn new(column: &'a str, fields: &'a [FieldOption]) -> Reader<'a> {
        let own = fields.iter().enumerate().filter(|(_, field)| field.column == column);
        let options =
            own.map(|(index, field)| (field.option.replace('_', "-"), (index, &*field.value)));
        Reader { column, options: options.collect(), faults: Vec::new() }
    }

    fn fail(&mut self, option: Option<usize>, message: String) {
        self.faults.push(FieldFault { option, message });
    }

    /// `None` when there is a fault.
    fn values(&mut self, data_type: &DataType) -> Option<Values> {
        let kind = self.options.get("kind").copied();
        let values = match kind {
            None | Some((_, "random")) => self.random(data_type),
            Some((_, "sequence")) => self.sequence(data_type),
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

    fn random(&mut self, data_type: &DataType) -> Option<Values> {
        let null_rate = self.parsed("null-rate", "a number from 0 to 1").unwrap_or(0.0_f64);
        if !(0.0..=1.0).contains(&null_rate) {
            self.out_of_range("null-rate", "0 to 1");
        }
        let choice = match data_type {
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
        };
        Some(Values::Random { choice, null_rate })
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
