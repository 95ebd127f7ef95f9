//! Values with parts: each part has a generator of its own, drawn from that of the value around it.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, ListArray, MapArray, StructArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, SortField};

use super::Column;
use crate::record::Timestamp;
use crate::workload::Random;

/// Generators of rows and of their elements.
struct Elements {
    validity: NullBuffer,
    /// Elements of each row.
    lengths: Vec<usize>,
    generators: Vec<Option<Random>>,
}

impl Column {
    pub(super) fn arrays(
        &self,
        length: usize,
        element: &Column,
        rows: impl Iterator<Item = Option<Random>>,
        now: Timestamp,
    ) -> ArrayRef {
        let DataType::List(field) = &self.data_type else { unreachable!("it is an ARRAY") };
        let Elements { validity, lengths, generators } = elements(length, rows);
        let values = element.parts(generators, now);
        let offsets = OffsetBuffer::from_lengths(lengths);
        Arc::new(ListArray::new(Arc::clone(field), offsets, values, Some(validity)))
    }

    /// Of entries with equal keys the first is kept.
    pub(super) fn maps(
        &self,
        length: usize,
        key: &Column,
        value: &Column,
        rows: impl Iterator<Item = Option<Random>>,
        now: Timestamp,
    ) -> ArrayRef {
        let DataType::Map(entries, is_sorted) = &self.data_type else {
            unreachable!("it is a MAP")
        };
        let DataType::Struct(pair) = entries.data_type() else {
            unreachable!("entries of a MAP have two parts")
        };
        let Elements { validity, mut lengths, mut generators } = elements(length, rows);
        let of_values = generators.iter_mut().map(|random| part(random, 1)).collect();
        let keys = key.parts(generators, now);
        let values = value.parts(of_values, now);
        let kept = first_of_equals(&keys, &mut lengths);
        let chosen = |all: &ArrayRef| take(all, &kept, None).expect("the places are in the array");
        let pairs = StructArray::new(pair.clone(), vec![chosen(&keys), chosen(&values)], None);
        let offsets = OffsetBuffer::from_lengths(lengths);
        let (entries, is_sorted) = (Arc::clone(entries), *is_sorted);
        Arc::new(MapArray::new(entries, offsets, pairs, Some(validity), is_sorted))
    }

    pub(super) fn structs(
        &self,
        fields: &[Column],
        rows: impl Iterator<Item = Option<Random>>,
        now: Timestamp,
    ) -> ArrayRef {
        let DataType::Struct(types) = &self.data_type else { unreachable!("it is a ROW") };
        let mut rows: Vec<Option<Random>> = rows.collect();
        let validity: NullBuffer = rows.iter().map(Option::is_some).collect();
        let columns = fields.iter().enumerate().map(|(index, field)| {
            let generators = rows.iter_mut().map(|random| part(random, index as u64)).collect();
            field.parts(generators, now)
        });
        let columns = columns.collect();
        Arc::new(StructArray::new(types.clone(), columns, Some(validity)))
    }
}

/// `length` elements for each row that is there.
fn elements(length: usize, rows: impl Iterator<Item = Option<Random>>) -> Elements {
    let (mut present, mut lengths, mut generators) = (Vec::new(), Vec::new(), Vec::new());
    for mut row in rows {
        present.push(row.is_some());
        let length = if row.is_some() { length } else { 0 };
        lengths.push(length);
        generators.extend((0..length as u64).map(|index| part(&mut row, index)));
    }
    Elements { validity: present.into(), lengths, generators }
}

/// The generator of part `index` of a value.
fn part(random: &mut Option<Random>, index: u64) -> Option<Random> {
    random.as_mut().map(|random| Random::new(random.bits(), index))
}

/// Places of the keys that no earlier one of the same row equals; `lengths` become those of the rest.
fn first_of_equals(keys: &ArrayRef, lengths: &mut [usize]) -> UInt32Array {
    let form = vec![SortField::new(keys.data_type().clone())];
    let converter = RowConverter::new(form).expect("keys of a MAP can be compared");
    let compared = converter
        .convert_columns(std::slice::from_ref(keys))
        .expect("the column has the converter's type");
    let mut kept = Vec::with_capacity(keys.len());
    let mut start = 0;
    let mut seen = HashSet::new();
    for length in lengths {
        seen.clear();
        let before = kept.len();
        for place in start..start + *length {
            if seen.insert(compared.row(place)) {
                kept.push(u32::try_from(place).expect("a batch has fewer elements"));
            }
        }
        start += *length;
        *length = kept.len() - before;
    }
    UInt32Array::from(kept)
}
