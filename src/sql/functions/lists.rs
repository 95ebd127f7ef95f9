//! Access to arguments with parts, and results made of picked parts: whatever the type of an
//! element, it is moved by its place.

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, NullBufferBuilder, StructArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{interleave, take};
use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::{Result as PlanResult, exec_datafusion_err};
use datafusion_expr::ColumnarValue;
use hashbrown::HashTable;
use std::ops::Range;
use std::sync::Arc;

use super::super::cast::cast;
use super::super::eval::{Physical, Typed, range};
use super::super::types::{SqlType, converts_implicitly, type_name};
use super::{BindOptions, wrong_argument};
use crate::record::{EncodedKeys, KeyEncoder, KeyHasher};

/// An argument of any type; a constant is an array of one row.
pub(super) struct Rows {
    pub(super) array: ArrayRef,
    constant: bool,
}

impl Rows {
    pub(super) fn of(value: &ColumnarValue) -> PlanResult<Rows> {
        Ok(match value {
            ColumnarValue::Array(array) => Rows { array: Arc::clone(array), constant: false },
            ColumnarValue::Scalar(value) => Rows { array: value.to_array()?, constant: true },
        })
    }

    /// Place of the value of a row.
    #[inline]
    pub(super) fn at(&self, row: usize) -> usize {
        if self.constant { 0 } else { row }
    }

    #[inline]
    pub(super) fn is_null(&self, row: usize) -> bool {
        self.array.is_null(self.at(row))
    }
}

/// An ARRAY or MAP argument as places of elements.
pub(super) struct Lists {
    array: ArrayRef,
    offsets: OffsetBuffer<i32>,
    nulls: Option<NullBuffer>,
    constant: bool,
}

impl Lists {
    /// Of an argument bound as ARRAY or MAP.
    pub(super) fn of(value: &ColumnarValue) -> PlanResult<Lists> {
        let Rows { array, constant } = Rows::of(value)?;
        let offsets = match array.data_type() {
            DataType::Map(..) => array.as_map().offsets().clone(),
            _ => array.as_list::<i32>().offsets().clone(),
        };
        let nulls = array.nulls().cloned();
        Ok(Lists { array, offsets, nulls, constant })
    }

    /// Elements of a row; `None` for NULL.
    #[inline]
    pub(super) fn get(&self, row: usize) -> Option<Range<usize>> {
        let row = if self.constant { 0 } else { row };
        let valid = self.nulls.as_ref().is_none_or(|nulls| nulls.is_valid(row));
        valid.then(|| range(&self.offsets, row))
    }

    /// All elements of an ARRAY.
    pub(super) fn elements(&self) -> &ArrayRef {
        self.array.as_list::<i32>().values()
    }

    /// The MAPs.
    pub(super) fn map(&self) -> &MapArray {
        self.array.as_map()
    }
}

/// The element type of an ARRAY argument, from 0.
pub(super) fn element_type(arguments: &[Typed], position: usize) -> Result<DataType, String> {
    match &arguments[position].data_type {
        DataType::List(element) => Ok(element.data_type().clone()),
        other => Err(wrong_argument(position + 1, "an ARRAY", other)),
    }
}

/// Argument `position` (from 0) as `to`, if it may become that without being asked.
pub(super) fn implicit_argument(
    arguments: &[Typed],
    position: usize,
    to: &DataType,
    options: &BindOptions,
) -> Result<Physical, String> {
    let given = &arguments[position];
    if !converts_implicitly(&given.data_type, to) {
        return Err(wrong_argument(position + 1, &type_name(to), &given.data_type));
    }
    Ok(cast(given.clone(), &SqlType::plain(to.clone()), false, options)?.expr)
}

/// Places of elements, row after row: an ARRAY or MAP in the making.
pub(super) struct Picks {
    /// Which source, and which of its elements.
    places: Vec<(usize, usize)>,
    offsets: Vec<usize>,
    valid: NullBufferBuilder,
}

impl Picks {
    pub(super) fn with_capacity(rows: usize) -> Picks {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Picks { places: Vec::new(), offsets, valid: NullBufferBuilder::new(rows) }
    }

    /// Appends an element to the row that is being made.
    #[inline]
    pub(super) fn push(&mut self, source: usize, element: usize) {
        self.places.push((source, element));
    }

    pub(super) fn extend(&mut self, source: usize, elements: impl Iterator<Item = usize>) {
        self.places.extend(elements.map(|element| (source, element)));
    }

    /// Elements of the row that is being made.
    pub(super) fn row(&mut self) -> &mut [(usize, usize)] {
        let start = *self.offsets.last().expect("offsets begin with 0");
        &mut self.places[start..]
    }

    /// Ends a row; when not `valid` it is NULL.
    pub(super) fn close(&mut self, valid: bool) {
        if !valid {
            self.places.truncate(*self.offsets.last().expect("offsets begin with 0"));
        }
        self.offsets.push(self.places.len());
        self.valid.append(valid);
    }

    fn shape(&mut self) -> PlanResult<(OffsetBuffer<i32>, Option<NullBuffer>)> {
        let narrow = |&offset: &usize| {
            i32::try_from(offset)
                .map_err(|_| exec_datafusion_err!("the arrays of one batch exceed 2 G elements"))
        };
        let offsets = self.offsets.iter().map(narrow).collect::<PlanResult<Vec<_>>>()?;
        Ok((OffsetBuffer::new(offsets.into()), self.valid.finish()))
    }

    /// The elements of `sources` at the places.
    fn gather(&self, sources: &[&ArrayRef]) -> PlanResult<ArrayRef> {
        if let [only] = sources {
            let places = self.places.iter().map(|&(_, place)| narrow_place(place));
            let places = places.collect::<PlanResult<Vec<u32>>>()?;
            return Ok(take(only.as_ref(), &UInt32Array::from(places), None)?);
        }
        let sources: Vec<&dyn Array> = sources.iter().map(|source| source.as_ref()).collect();
        Ok(interleave(&sources, &self.places)?)
    }

    /// An ARRAY of elements of `sources`.
    pub(super) fn into_list(
        mut self,
        sources: &[&ArrayRef],
        element: &FieldRef,
    ) -> PlanResult<ArrayRef> {
        let (offsets, nulls) = self.shape()?;
        let elements = self.gather(sources)?;
        Ok(Arc::new(ListArray::try_new(Arc::clone(element), offsets, elements, nulls)?))
    }

    /// A MAP whose keys are at these places of `keys`, and whose values at `value_places` of
    /// `values`, one each. A key that is there twice has its last value, at its first place.
    pub(super) fn into_map(
        mut self,
        keys: &[&ArrayRef],
        values: &[&ArrayRef],
        value_places: &[(usize, usize)],
        entries: &FieldRef,
    ) -> PlanResult<ArrayRef> {
        assert_eq!(self.places.len(), value_places.len());
        let all_keys = self.gather(keys)?;
        if all_keys.null_count() > 0 {
            return Err(exec_datafusion_err!("a key of a MAP is NULL"));
        }
        let kept = distinct_keys(&all_keys, &self.offsets)?;
        let new_keys = take(all_keys.as_ref(), &UInt32Array::from(kept.keys), None)?;
        self.offsets = kept.offsets;
        self.places = kept.values.iter().map(|&entry| value_places[entry]).collect();
        let new_values = self.gather(values)?;
        let (offsets, nulls) = self.shape()?;
        let DataType::Struct(fields) = entries.data_type() else {
            unreachable!("entries of a MAP are rows")
        };
        let parts = StructArray::try_new(fields.clone(), vec![new_keys, new_values], None)?;
        Ok(Arc::new(MapArray::try_new(Arc::clone(entries), offsets, parts, nulls, false)?))
    }
}

fn narrow_place(place: usize) -> PlanResult<u32> {
    u32::try_from(place)
        .map_err(|_| exec_datafusion_err!("the arrays of one batch exceed 4 G elements"))
}

/// Entries that are left when later ones replace earlier ones of the same key.
struct DistinctKeys {
    offsets: Vec<usize>,
    /// Where each key is.
    keys: Vec<u32>,
    /// Which entry has its value.
    values: Vec<usize>,
}

fn distinct_keys(keys: &ArrayRef, offsets: &[usize]) -> PlanResult<DistinctKeys> {
    let set_keys = ElementKeys::of(keys)?;
    let mut seen = ElementSet::default();
    let mut kept =
        DistinctKeys { offsets: vec![0], keys: Vec::new(), values: Vec::with_capacity(keys.len()) };
    for bounds in offsets.windows(2) {
        seen.clear();
        for entry in bounds[0]..bounds[1] {
            match seen.insert(&[&set_keys], (0, entry), kept.values.len()) {
                None => {
                    kept.keys.push(narrow_place(entry)?);
                    kept.values.push(entry);
                }
                Some(position) => kept.values[position] = entry,
            }
        }
        kept.offsets.push(kept.values.len());
    }
    Ok(kept)
}

/// Elements as bytes that are equal when the elements are: NULL equals NULL, and there is one zero
/// and one NaN.
pub(super) struct ElementKeys {
    keys: EncodedKeys,
}

impl ElementKeys {
    /// Of all elements of `array`.
    pub(super) fn of(array: &ArrayRef) -> PlanResult<ElementKeys> {
        let encoder = KeyEncoder::new(&[array.data_type().clone()])
            .map_err(|unsupported| exec_datafusion_err!("{unsupported}"))?;
        let mut keys = EncodedKeys::default();
        let columns = std::slice::from_ref(array);
        encoder.encode(columns, array.len(), KeyHasher::new(0), &mut keys);
        Ok(ElementKeys { keys })
    }
}

/// True for elements that can be told apart by [`ElementKeys`].
///
/// # Errors
/// In words for the user.
pub(super) fn check_distinguishable(data_type: &DataType) -> Result<(), String> {
    match KeyEncoder::new(std::slice::from_ref(data_type)) {
        Ok(_) => Ok(()),
        Err(_) => Err(format!("values of type {} cannot be compared", type_name(data_type))),
    }
}

/// Elements seen in one row. Kept from row to row for its memory.
#[derive(Default)]
pub(super) struct ElementSet {
    /// Hash, source, element, and what was said of it.
    table: HashTable<(u64, usize, usize, usize)>,
}

impl ElementSet {
    pub(super) fn clear(&mut self) {
        self.table.clear();
    }

    /// Adds an element of one of the sources `keys`, or gives what was said of the equal one.
    pub(super) fn insert(
        &mut self,
        keys: &[&ElementKeys],
        (source, element): (usize, usize),
        said: usize,
    ) -> Option<usize> {
        let hash = keys[source].keys.hashes[element];
        let found = self.find(keys, (source, element));
        if found.is_none() {
            self.table.insert_unique(hash, (hash, source, element, said), |entry| entry.0);
        }
        found
    }

    /// What was said of the equal element.
    pub(super) fn find(
        &self,
        keys: &[&ElementKeys],
        (source, element): (usize, usize),
    ) -> Option<usize> {
        let (hash, bytes) = (keys[source].keys.hashes[element], keys[source].keys.key(element));
        let same = |&(_, of, at, _): &(u64, usize, usize, usize)| keys[of].keys.key(at) == bytes;
        self.table.find(hash, same).map(|&(_, _, _, said)| said)
    }
}
