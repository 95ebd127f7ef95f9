//! Casts of values with parts: each part as a value of its own, and their text.

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanBufferBuilder, ListArray, MapArray, StringArray,
    StringBuilder, StructArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{is_null, nullif, take};
use arrow::datatypes::{DataType, FieldRef};
use chrono_tz::Tz;
use datafusion_common::{Result as PlanResult, exec_datafusion_err};
use datafusion_expr::ColumnarValue;
use std::fmt::Write;
use std::sync::Arc;

use super::{Converter, bound_kernel, converter};
use crate::sql::eval::range;
use crate::sql::types::{SqlType, class_of, map_parts, without_bounds};

/// What converts between two types with parts of one kind, and whether it may fail. With `lenient`
/// a value is NULL when one of its parts cannot be converted.
pub(super) fn between(
    from: &DataType,
    to: &DataType,
    lenient: bool,
    zone: Tz,
) -> Option<(Converter, bool)> {
    match (from, to) {
        (DataType::List(a), DataType::List(b)) => {
            let (convert, fallible) = part(a, b, lenient, zone)?;
            let field = Arc::clone(b);
            Some((Box::new(move |array| lists(array, &convert, &field, lenient)), fallible))
        }
        (DataType::Struct(a), DataType::Struct(b)) if a.len() == b.len() => {
            if class_of(b).is_some() {
                return None;
            }
            let parts = a.iter().zip(b.iter()).map(|(a, b)| part(a, b, lenient, zone));
            let (parts, fallible): (Vec<_>, Vec<_>) =
                parts.collect::<Option<Vec<_>>>()?.into_iter().unzip();
            let fields = b.clone();
            let convert: Converter = Box::new(move |array| {
                let rows = array.as_struct();
                let mut nulls = rows.nulls().cloned();
                let mut columns = Vec::with_capacity(parts.len());
                for (column, convert) in rows.columns().iter().zip(&parts) {
                    let before = visible(column, rows)?;
                    let after = convert(&before)?;
                    if lenient {
                        nulls = without_failed(nulls, &failed(&before, &after), |row| row..row + 1);
                    }
                    columns.push(after);
                }
                let length = rows.len();
                let converted =
                    StructArray::try_new_with_length(fields.clone(), columns, nulls, length)?;
                Ok(Arc::new(converted))
            });
            Some((convert, fallible.contains(&true)))
        }
        (DataType::Map(..), DataType::Map(entries, _)) => {
            let ((key_a, value_a), (key_b, value_b)) = (map_parts(from)?, map_parts(to)?);
            let (keys, keys_fallible) = part(key_a, key_b, lenient, zone)?;
            let (values, values_fallible) = part(value_a, value_b, lenient, zone)?;
            let entries = Arc::clone(entries);
            let convert: Converter =
                Box::new(move |array| maps(array, (&keys, &values), &entries, lenient));
            Some((convert, keys_fallible || values_fallible || !lenient))
        }
        _ => None,
    }
}

fn part(from: &FieldRef, to: &FieldRef, lenient: bool, zone: Tz) -> Option<(Converter, bool)> {
    let (from, to) = (from.data_type(), to.data_type());
    match from == to {
        true => Some((Box::new(|array| Ok(Arc::clone(array))), false)),
        false => converter(from, to, lenient, zone),
    }
}

/// A column of rows, NULL where the row is.
fn visible(column: &ArrayRef, rows: &StructArray) -> PlanResult<ArrayRef> {
    match rows.null_count() {
        0 => Ok(Arc::clone(column)),
        _ => Ok(nullif(column, &is_null(rows)?)?),
    }
}

/// True for what was a value before and is NULL after.
fn failed(before: &ArrayRef, after: &ArrayRef) -> Vec<bool> {
    match after.null_count() == before.logical_null_count() {
        true => Vec::new(),
        false => (0..after.len()).map(|row| after.is_null(row) && before.is_valid(row)).collect(),
    }
}

/// `nulls`, with the rows that have a part which failed.
fn without_failed(
    nulls: Option<NullBuffer>,
    failed: &[bool],
    parts: impl Fn(usize) -> std::ops::Range<usize>,
) -> Option<NullBuffer> {
    let rows = match (&nulls, failed.is_empty()) {
        (_, true) => return nulls,
        (Some(nulls), false) => nulls.len(),
        (None, false) => failed.len(),
    };
    let mut valid = BooleanBufferBuilder::new(rows);
    for row in 0..rows {
        let was_valid = nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        valid.append(was_valid && !failed[parts(row)].contains(&true));
    }
    Some(NullBuffer::new(valid.finish()))
}

fn lists(
    array: &ArrayRef,
    convert: &Converter,
    field: &FieldRef,
    lenient: bool,
) -> PlanResult<ArrayRef> {
    let list = array.as_list::<i32>();
    let own = own_elements(list.offsets(), list.nulls());
    let before = own.of(list.values())?;
    let after = convert(&before)?;
    let nulls = own.nulls(list.nulls(), lenient, &[(&before, &after)]);
    Ok(Arc::new(ListArray::try_new(Arc::clone(field), own.offsets, after, nulls)?))
}

fn maps(
    array: &ArrayRef,
    (convert_keys, convert_values): (&Converter, &Converter),
    entries: &FieldRef,
    lenient: bool,
) -> PlanResult<ArrayRef> {
    let map = array.as_map();
    let own = own_elements(map.offsets(), map.nulls());
    let (keys, values) = (own.of(map.keys())?, own.of(map.values())?);
    let (new_keys, new_values) = (convert_keys(&keys)?, convert_values(&values)?);
    if new_keys.null_count() > 0 {
        return Err(exec_datafusion_err!("a key of the MAP cannot be converted"));
    }
    let nulls = own.nulls(map.nulls(), lenient, &[(&values, &new_values)]);
    let DataType::Struct(fields) = entries.data_type() else {
        unreachable!("entries of a MAP are rows")
    };
    let parts = StructArray::try_new(fields.clone(), vec![new_keys, new_values], None)?;
    Ok(Arc::new(MapArray::try_new(Arc::clone(entries), own.offsets, parts, nulls, false)?))
}

/// The elements that rows have: an array may hold more, of rows that have been cut off or are NULL.
/// What nobody sees must not fail.
struct OwnElements {
    offsets: OffsetBuffer<i32>,
    /// Where they are: one behind the other, or each at its place.
    first: usize,
    places: Option<UInt32Array>,
}

fn own_elements(offsets: &OffsetBuffer<i32>, nulls: Option<&NullBuffer>) -> OwnElements {
    let rows = offsets.len() - 1;
    let hidden = nulls.is_some_and(|nulls| {
        (0..rows).any(|row| nulls.is_null(row) && !range(offsets, row).is_empty())
    });
    if !hidden {
        let first = offsets[0];
        let moved: Vec<i32> = offsets.iter().map(|offset| offset - first).collect();
        let first = usize::try_from(first).expect("offsets are not negative");
        return OwnElements { offsets: OffsetBuffer::new(moved.into()), first, places: None };
    }
    let visible = |row: usize| match nulls {
        Some(nulls) if nulls.is_null(row) => 0..0,
        _ => range(offsets, row),
    };
    let place = |place: usize| u32::try_from(place).expect("offsets have 31 bits");
    let places = UInt32Array::from_iter_values((0..rows).flat_map(visible).map(place));
    let moved = OffsetBuffer::from_lengths((0..rows).map(|row| visible(row).len()));
    OwnElements { offsets: moved, first: 0, places: Some(places) }
}

impl OwnElements {
    fn of(&self, elements: &ArrayRef) -> PlanResult<ArrayRef> {
        match &self.places {
            Some(places) => Ok(take(elements.as_ref(), places, None)?),
            None => {
                let last = *self.offsets.last().expect("offsets are never empty");
                let length = usize::try_from(last).expect("offsets are not negative");
                Ok(elements.slice(self.first, length))
            }
        }
    }

    fn nulls(
        &self,
        nulls: Option<&NullBuffer>,
        lenient: bool,
        parts: &[(&ArrayRef, &ArrayRef)],
    ) -> Option<NullBuffer> {
        let rows = self.offsets.len() - 1;
        let mut nulls = nulls.cloned();
        for (before, after) in parts.iter().filter(|_| lenient) {
            let start = nulls.or_else(|| Some(NullBuffer::new_valid(rows)));
            nulls = without_failed(start, &failed(before, after), |row| range(&self.offsets, row));
        }
        nulls
    }
}

/// What cuts and pads the parts of a declared type; `None` when none is bounded.
pub(super) fn bounds(declared: &DataType) -> Option<Converter> {
    let of_field = |field: &FieldRef| -> Option<Converter> {
        let SqlType { data_type, bound } = SqlType::of_field(field);
        match bound {
            None => bounds(&data_type),
            Some(bound) => {
                let (_, kernel) = bound_kernel(&data_type, bound);
                let cut = move |array: &ArrayRef| {
                    kernel(&[ColumnarValue::Array(Arc::clone(array))], array.len())
                };
                Some(Box::new(cut))
            }
        }
    };
    let same = || -> Converter { Box::new(|array| Ok(Arc::clone(array))) };
    match declared {
        DataType::List(item) => {
            let cut = of_field(item)?;
            let DataType::List(field) = without_bounds(declared) else { return None };
            Some(Box::new(move |array| lists(array, &cut, &field, false)))
        }
        DataType::Struct(fields) => {
            let cuts: Vec<Option<Converter>> = fields.iter().map(of_field).collect();
            if cuts.iter().all(Option::is_none) {
                return None;
            }
            let DataType::Struct(plain) = without_bounds(declared) else { return None };
            Some(Box::new(move |array| {
                let rows = array.as_struct();
                let columns = rows.columns().iter().zip(&cuts);
                let columns = columns.map(|(column, cut)| match cut {
                    Some(cut) => cut(column),
                    None => Ok(Arc::clone(column)),
                });
                let columns = columns.collect::<PlanResult<Vec<_>>>()?;
                let nulls = rows.nulls().cloned();
                Ok(Arc::new(StructArray::try_new(plain.clone(), columns, nulls)?))
            }))
        }
        DataType::Map(..) => {
            let (key, value) = map_parts(declared)?;
            let (key, value) = (of_field(key), of_field(value));
            if key.is_none() && value.is_none() {
                return None;
            }
            let (key, value) = (key.unwrap_or_else(same), value.unwrap_or_else(same));
            let DataType::Map(entries, _) = without_bounds(declared) else { return None };
            Some(Box::new(move |array| maps(array, (&key, &value), &entries, false)))
        }
        _ => None,
    }
}

/// What writes a type with parts: `[1, 2]`, `{a=1}`, `(1, x)`; NULL parts as `NULL`.
pub(super) fn to_text(from: &DataType, zone: Tz) -> Option<Converter> {
    let text = |part: &FieldRef| match part.data_type() {
        DataType::Utf8 => {
            let same: Converter = Box::new(|array| Ok(Arc::clone(array)));
            Some((same, false))
        }
        other => converter(other, &DataType::Utf8, false, zone),
    };
    match from {
        DataType::List(element) => {
            let (convert, _) = text(element)?;
            Some(Box::new(move |array| {
                let list = array.as_list::<i32>();
                let own = own_elements(list.offsets(), list.nulls());
                let texts = convert(&own.of(list.values())?)?;
                let texts = texts.as_string::<i32>();
                let write = |row: usize, out: &mut StringBuilder| {
                    let elements = range(&own.offsets, row).map(|place| (None, texts, place));
                    write_parts(out, ('[', ']'), elements);
                };
                Ok(written(list.len(), list.nulls(), write))
            }))
        }
        DataType::Struct(fields) => {
            let parts = fields.iter().map(text).collect::<Option<Vec<_>>>()?;
            Some(Box::new(move |array| {
                let rows = array.as_struct();
                let columns = rows.columns().iter().zip(&parts);
                let texts = columns
                    .map(|(column, (convert, _))| convert(&visible(column, rows)?))
                    .collect::<PlanResult<Vec<_>>>()?;
                let write = |row: usize, out: &mut StringBuilder| {
                    let shown = texts.iter().map(|column| (None, column.as_string(), row));
                    write_parts(out, ('(', ')'), shown);
                };
                Ok(written(rows.len(), rows.nulls(), write))
            }))
        }
        DataType::Map(..) => {
            let (key, value) = map_parts(from)?;
            let ((keys, _), (values, _)) = (text(key)?, text(value)?);
            Some(Box::new(move |array| {
                let map = array.as_map();
                let own = own_elements(map.offsets(), map.nulls());
                let (keys, values) = (keys(&own.of(map.keys())?)?, values(&own.of(map.values())?)?);
                let (keys, values) = (keys.as_string::<i32>(), values.as_string::<i32>());
                let write = |row: usize, out: &mut StringBuilder| {
                    let entries = range(&own.offsets, row);
                    let entries = entries.map(|place| (Some(keys.value(place)), values, place));
                    write_parts(out, ('{', '}'), entries);
                };
                Ok(written(map.len(), map.nulls(), write))
            }))
        }
        _ => None,
    }
}

/// A text per row that is not NULL.
fn written(
    rows: usize,
    nulls: Option<&NullBuffer>,
    write: impl Fn(usize, &mut StringBuilder),
) -> ArrayRef {
    let mut texts = StringBuilder::new();
    for row in 0..rows {
        if nulls.is_some_and(|nulls| nulls.is_null(row)) {
            texts.append_null();
        } else {
            write(row, &mut texts);
            texts.append_value("");
        }
    }
    Arc::new(texts.finish())
}

/// Parts between brackets, each with its key and at its place of an array.
fn write_parts<'a>(
    out: &mut StringBuilder,
    (open, close): (char, char),
    parts: impl Iterator<Item = (Option<&'a str>, &'a StringArray, usize)>,
) {
    let mut write = |text: &str| out.write_str(text).expect("a string grows");
    write(open.encode_utf8(&mut [0; 4]));
    for (index, (key, texts, place)) in parts.enumerate() {
        if index > 0 {
            write(", ");
        }
        if let Some(key) = key {
            write(key);
            write("=");
        }
        write(if texts.is_null(place) { "NULL" } else { texts.value(place) });
    }
    write(close.encode_utf8(&mut [0; 4]));
}
