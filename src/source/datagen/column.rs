//! Column: the values of one column, row by row; of ARRAY, MAP and ROW, see `nested`.

mod nested;

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryBuilder, BooleanArray, Decimal128Array, Float32Array, Float64Array, Int64Array,
    StringBuilder,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, TimeUnit};

use crate::record::Timestamp;
use crate::workload::Random;

const DAY_MS: i64 = 86_400_000;

/// How a column's values are chosen.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Values {
    /// One number after the other, of whatever type.
    Sequence { start: i64, end: i64 },
    /// Random.
    Random { choice: Choice, null_rate: f64 },
}

/// What random values there are.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Choice {
    /// True or false.
    Flag,
    /// A whole number, both ends included.
    Integer { min: i64, max: i64 },
    /// A number from `min` to below `max`.
    Float { min: f64, max: f64 },
    /// Hexadecimal digits: so many, or from one to so many.
    Digits { length: usize, varies: bool },
    /// Bytes, in the same way.
    Bytes { length: usize, varies: bool },
    /// The moment, or up to so many milliseconds before it.
    Moment { past_ms_max: i64 },
    /// So many elements.
    Array { length: usize, element: Box<Column> },
    /// So many entries, or fewer where keys happen to be equal.
    Map { length: usize, key: Box<Column>, value: Box<Column> },
    /// A field each.
    Row(Vec<Column>),
}

/// See the module.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Column {
    values: Values,
    data_type: DataType,
    seed: u64,
}

impl Values {
    /// Rows of a sequence.
    pub(super) fn rows(&self) -> Option<u64> {
        match self {
            Values::Sequence { start, end } => {
                let count = i128::from(*end) - i128::from(*start) + 1;
                Some(u64::try_from(count.max(0)).unwrap_or(u64::MAX))
            }
            Values::Random { .. } => None,
        }
    }

    /// Bytes of the longest value.
    pub(super) fn bytes_max(&self) -> usize {
        match self {
            Values::Random {
                choice: Choice::Digits { length, .. } | Choice::Bytes { length, .. },
                ..
            } => *length,
            Values::Random { choice: Choice::Array { length, element }, .. } => {
                length.saturating_mul(element.bytes_max())
            }
            Values::Random { choice: Choice::Map { length, key, value }, .. } => {
                length.saturating_mul(key.bytes_max().saturating_add(value.bytes_max()))
            }
            Values::Random { choice: Choice::Row(fields), .. } => {
                fields.iter().map(Column::bytes_max).fold(0, usize::saturating_add)
            }
            // A decimal, or a number as text.
            _ => 24,
        }
    }
}

impl Column {
    pub(super) fn new(values: Values, data_type: DataType, seed: u64) -> Column {
        Column { values, data_type, seed }
    }

    /// Bytes of the longest value, with its offset.
    fn bytes_max(&self) -> usize {
        self.values.bytes_max().saturating_add(size_of::<i32>())
    }

    /// Rows `first..first + rows`.
    pub(super) fn make(&self, first: u64, rows: usize, now: Timestamp) -> ArrayRef {
        match &self.values {
            Values::Sequence { start, .. } => self.sequence(*start, first, rows),
            Values::Random { choice, null_rate } => {
                let random = |row: u64| Some(Random::new(self.seed, row));
                let rows = present((first..).take(rows).map(random), *null_rate);
                self.random(choice, rows, now)
            }
        }
    }

    /// A value for each generator, NULL where there is none: parts of an ARRAY, MAP or ROW.
    fn parts(&self, generators: Vec<Option<Random>>, now: Timestamp) -> ArrayRef {
        match &self.values {
            Values::Sequence { .. } => unreachable!("only whole columns are sequences"),
            Values::Random { choice, null_rate } => {
                self.random(choice, present(generators.into_iter(), *null_rate), now)
            }
        }
    }

    fn sequence(&self, start: i64, first: u64, rows: usize) -> ArrayRef {
        let base = start.wrapping_add_unsigned(first);
        let numbers = (0..rows as u64).map(|row| base.wrapping_add_unsigned(row));
        self.converted(&Int64Array::from_iter_values(numbers))
    }

    fn random(
        &self,
        choice: &Choice,
        rows: impl Iterator<Item = Option<Random>>,
        now: Timestamp,
    ) -> ArrayRef {
        match *choice {
            Choice::Array { length, ref element } => self.arrays(length, element, rows, now),
            Choice::Map { length, ref key, ref value } => self.maps(length, key, value, rows, now),
            Choice::Row(ref fields) => self.structs(fields, rows, now),
            Choice::Flag => {
                let flags = rows.map(|row| row.map(|mut random| random.below(2) == 1));
                Arc::new(flags.collect::<BooleanArray>())
            }
            Choice::Integer { min, max } => {
                let number = |mut random: Random| between(&mut random, min, max);
                self.converted(&Int64Array::from_iter(rows.map(|row| row.map(number))))
            }
            Choice::Float { min, max } => {
                // The difference of the two could be beyond all doubles.
                let number = |mut random: Random| {
                    let part = random.fraction();
                    min * (1.0 - part) + max * part
                };
                self.floats(rows.map(|row| row.map(number)))
            }
            Choice::Digits { length, varies } => {
                let mut texts = StringBuilder::new();
                let mut text = String::new();
                for row in rows {
                    texts.append_option(row.map(|mut random| {
                        digits(&mut random, length, varies, &mut text);
                        text.as_str()
                    }));
                }
                Arc::new(texts.finish())
            }
            Choice::Bytes { length, varies } => {
                let mut values = BinaryBuilder::new();
                let mut value = Vec::new();
                for row in rows {
                    values.append_option(row.map(|mut random| {
                        bytes(&mut random, length, varies, &mut value);
                        value.as_slice()
                    }));
                }
                Arc::new(values.finish())
            }
            Choice::Moment { past_ms_max } => {
                let moment = |mut random: Random| {
                    let past_ms = random.below_signed(past_ms_max.saturating_add(1));
                    now.millis().saturating_sub(past_ms)
                };
                self.moments(rows.map(|row| row.map(moment)))
            }
        }
    }

    /// Whole numbers in the column's type.
    fn converted(&self, numbers: &Int64Array) -> ArrayRef {
        cast(numbers, &self.data_type).expect("the options were checked against the type")
    }

    #[expect(clippy::cast_possible_truncation, reason = "a FLOAT has fewer digits")]
    fn floats(&self, numbers: impl Iterator<Item = Option<f64>>) -> ArrayRef {
        match &self.data_type {
            DataType::Float32 => Arc::new(Float32Array::from_iter(
                numbers.map(|number| number.map(|number| number as f32)),
            )),
            DataType::Decimal128(precision, scale) => {
                let bound = 10_i128.pow(u32::from(*precision)) - 1;
                let factor = 10.0_f64.powi(i32::from(*scale));
                let unscaled =
                    |number: f64| ((number * factor).round() as i128).clamp(-bound, bound);
                let values = numbers.map(|number| number.map(unscaled));
                let array = Decimal128Array::from_iter(values);
                Arc::new(array.with_data_type(self.data_type.clone()))
            }
            _ => Arc::new(Float64Array::from_iter(numbers)),
        }
    }

    /// Milliseconds as the column's kind of time.
    fn moments(&self, millis: impl Iterator<Item = Option<i64>>) -> ArrayRef {
        let factor = |unit: &TimeUnit| match unit {
            TimeUnit::Second | TimeUnit::Millisecond => 1,
            TimeUnit::Microsecond => 1_000,
            TimeUnit::Nanosecond => 1_000_000,
        };
        let number = |time: i64| match &self.data_type {
            DataType::Date32 => time.div_euclid(DAY_MS),
            DataType::Time32(TimeUnit::Second) => time.rem_euclid(DAY_MS) / 1_000,
            DataType::Time32(unit) | DataType::Time64(unit) => {
                time.rem_euclid(DAY_MS) * factor(unit)
            }
            DataType::Timestamp(TimeUnit::Second, _) => time.div_euclid(1_000),
            DataType::Timestamp(unit, _) => time.saturating_mul(factor(unit)),
            other => unreachable!("{other} is no time"),
        };
        let numbers = Int64Array::from_iter(millis.map(|time| time.map(number)));
        let is_narrow = matches!(self.data_type, DataType::Date32 | DataType::Time32(_));
        let form = if is_narrow { DataType::Int32 } else { DataType::Int64 };
        let numbers = cast(&numbers, &form).expect("days and times of a day are small");
        cast(&numbers, &self.data_type).expect("a time and its number have one form")
    }
}

/// Generators of the rows that are not NULL. Without NULLs no number is drawn for them.
fn present(
    rows: impl Iterator<Item = Option<Random>>,
    null_rate: f64,
) -> impl Iterator<Item = Option<Random>> {
    rows.map(move |row| {
        row.and_then(|mut random| {
            (null_rate <= 0.0 || random.fraction() >= null_rate).then_some(random)
        })
    })
}

/// A number from `min` to `max`.
fn between(random: &mut Random, min: i64, max: i64) -> i64 {
    // As many numbers as there are, less one.
    let span = max.wrapping_sub(min).cast_unsigned();
    let step = match span.checked_add(1) {
        Some(count) => random.below(count),
        None => random.bits(),
    };
    min.wrapping_add_unsigned(step)
}

fn length_of(random: &mut Random, length: usize, varies: bool) -> usize {
    if !varies || length == 0 {
        return length;
    }
    let shorter = random.below(length as u64);
    length - usize::try_from(shorter).expect("it is below a length")
}

/// Replaces `text` by random digits.
fn digits(random: &mut Random, length: usize, varies: bool, text: &mut String) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    text.clear();
    let mut left = length_of(random, length, varies);
    while left > 0 {
        let mut bits = random.bits();
        for _ in 0..left.min(16) {
            text.push(DIGITS[usize::from(bits.to_le_bytes()[0] % 16)]);
            bits >>= 4;
        }
        left = left.saturating_sub(16);
    }
}

/// Replaces `value` by random bytes.
fn bytes(random: &mut Random, length: usize, varies: bool, value: &mut Vec<u8>) {
    value.clear();
    let length = length_of(random, length, varies);
    while value.len() < length {
        let bits = random.bits().to_le_bytes();
        value.extend_from_slice(&bits[..bits.len().min(length - value.len())]);
    }
}
