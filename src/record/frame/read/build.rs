//! Building: one array over one vector, after its offsets, texts and ranges have been checked.

use arrow::array::{
    Array, ArrayRef, ArrowPrimitiveType, AsArray, BinaryArray, BooleanArray, ListArray, MapArray,
    PrimitiveArray, StringArray, StructArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, Time32MillisecondType, Time32SecondType, Time64MicrosecondType,
    Time64NanosecondType, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType,
};
use rkyv::rend::i32_le;
use std::sync::Arc;

use super::super::archive::ArchivedFrameVector;
use super::{FrameFault, Node};

impl Node {
    /// The column's array. Sizes have been checked.
    pub(super) fn build(
        &self,
        vectors: &[ArchivedFrameVector],
        archive: &Buffer,
    ) -> Result<ArrayRef, FrameFault> {
        let over = Over { node: self, vector: &vectors[self.vector], archive };
        let length = over.vector.length.to_native() as usize;
        let nulls = over.nulls(length);
        Ok(match self.field.data_type() {
            DataType::Boolean => {
                let bits = over.slice(over.vector.values.as_slice());
                Arc::new(BooleanArray::new(BooleanBuffer::new(bits, 0, length), nulls))
            }
            DataType::Utf8 => {
                let text = over.slice(over.vector.bytes.as_slice());
                let array = StringArray::try_new(over.offsets()?, text, nulls);
                Arc::new(array.map_err(|_| FrameFault::Text { column: self.path.clone() })?)
            }
            DataType::Binary => {
                let bytes = over.slice(over.vector.bytes.as_slice());
                Arc::new(BinaryArray::new(over.offsets()?, bytes, nulls))
            }
            DataType::List(item) => {
                let offsets = over.offsets()?;
                let items = self.part(0, vectors, archive)?;
                Arc::new(ListArray::new(Arc::clone(item), offsets, items, nulls))
            }
            DataType::Map(entries, sorted) => {
                let offsets = over.offsets()?;
                let parts = self.all_parts(vectors, archive)?;
                let DataType::Struct(fields) = entries.data_type() else {
                    unreachable!("a map's entries are rows")
                };
                let rows = StructArray::new(fields.clone(), parts, None);
                Arc::new(MapArray::new(Arc::clone(entries), offsets, rows, nulls, *sorted))
            }
            DataType::Struct(fields) => {
                let parts = self.all_parts(vectors, archive)?;
                self.check_row_nulls(&parts, nulls.as_ref())?;
                Arc::new(StructArray::new(fields.clone(), parts, nulls))
            }
            _ => self.build_primitive(&over, nulls, length)?,
        })
    }

    /// A value where its row is NULL is not looked at.
    fn check_row_nulls(
        &self,
        parts: &[ArrayRef],
        nulls: Option<&NullBuffer>,
    ) -> Result<(), FrameFault> {
        for (node, part) in self.parts.iter().zip(parts) {
            let Some(of_part) = part.nulls().filter(|_| !node.field.is_nullable()) else {
                continue;
            };
            let is_masked = nulls.is_some_and(|nulls| nulls.contains(of_part));
            if of_part.null_count() > 0 && !is_masked {
                return Err(FrameFault::Null { column: node.path.clone() });
            }
        }
        Ok(())
    }

    fn all_parts(
        &self,
        vectors: &[ArchivedFrameVector],
        archive: &Buffer,
    ) -> Result<Vec<ArrayRef>, FrameFault> {
        let items = self.parts.iter().enumerate();
        let of_map = matches!(self.field.data_type(), DataType::Map(..));
        items
            .map(|(index, _)| match of_map {
                true => self.part(index, vectors, archive),
                false => self.parts[index].build(vectors, archive),
            })
            .collect()
    }

    /// An item of a list or map, which has no row above it that could be NULL.
    fn part(
        &self,
        index: usize,
        vectors: &[ArchivedFrameVector],
        archive: &Buffer,
    ) -> Result<ArrayRef, FrameFault> {
        let node = &self.parts[index];
        let array = node.build(vectors, archive)?;
        if array.null_count() > 0 && !node.field.is_nullable() {
            return Err(FrameFault::Null { column: node.path.clone() });
        }
        Ok(array)
    }

    fn build_primitive(
        &self,
        over: &Over<'_>,
        nulls: Option<NullBuffer>,
        length: usize,
    ) -> Result<ArrayRef, FrameFault> {
        use TimeUnit::{Microsecond, Millisecond, Nanosecond, Second};
        Ok(match self.field.data_type() {
            DataType::Int8 => over.primitive::<Int8Type>(length, nulls),
            DataType::Int16 => over.primitive::<Int16Type>(length, nulls),
            DataType::Int32 => over.primitive::<Int32Type>(length, nulls),
            DataType::Int64 => over.primitive::<Int64Type>(length, nulls),
            DataType::Float32 => over.primitive::<Float32Type>(length, nulls),
            DataType::Float64 => over.primitive::<Float64Type>(length, nulls),
            DataType::Date32 => over.primitive::<Date32Type>(length, nulls),
            DataType::Decimal128(precision, _) => {
                let bound = 10_i128.pow(u32::from(*precision));
                let array = over.primitive::<Decimal128Type>(length, nulls);
                self.within::<Decimal128Type>(array, |value| -bound < value && value < bound)?
            }
            DataType::Time32(Second) => {
                let array = over.primitive::<Time32SecondType>(length, nulls);
                self.within::<Time32SecondType>(array, |time| (0..DAY_S).contains(&time))?
            }
            DataType::Time32(_) => {
                let array = over.primitive::<Time32MillisecondType>(length, nulls);
                let is_time = |time| (0..1_000 * DAY_S).contains(&time);
                self.within::<Time32MillisecondType>(array, is_time)?
            }
            DataType::Time64(Microsecond) => {
                let array = over.primitive::<Time64MicrosecondType>(length, nulls);
                let is_time = |time| (0..1_000_000 * i64::from(DAY_S)).contains(&time);
                self.within::<Time64MicrosecondType>(array, is_time)?
            }
            DataType::Time64(_) => {
                let array = over.primitive::<Time64NanosecondType>(length, nulls);
                let is_time = |time| (0..1_000_000_000 * i64::from(DAY_S)).contains(&time);
                self.within::<Time64NanosecondType>(array, is_time)?
            }
            DataType::Timestamp(Second, _) => over.primitive::<TimestampSecondType>(length, nulls),
            DataType::Timestamp(Millisecond, _) => {
                over.primitive::<TimestampMillisecondType>(length, nulls)
            }
            DataType::Timestamp(Microsecond, _) => {
                over.primitive::<TimestampMicrosecondType>(length, nulls)
            }
            DataType::Timestamp(Nanosecond, _) => {
                over.primitive::<TimestampNanosecondType>(length, nulls)
            }
            other => unreachable!("{other} was refused before"),
        })
    }

    /// Every value that is not NULL is one of the type's.
    fn within<T: ArrowPrimitiveType>(
        &self,
        array: ArrayRef,
        is_valid: impl Fn(T::Native) -> bool,
    ) -> Result<ArrayRef, FrameFault> {
        let values = array.as_primitive::<T>();
        let wrong = |(index, value): (usize, &T::Native)| {
            (!is_valid(*value) && values.is_valid(index)).then_some(index)
        };
        match values.values().iter().enumerate().find_map(wrong) {
            Some(index) => Err(FrameFault::Range { column: self.path.clone(), index }),
            None => Ok(array),
        }
    }
}

const DAY_S: i32 = 86_400;

/// A vector in its archive.
struct Over<'a> {
    node: &'a Node,
    vector: &'a ArchivedFrameVector,
    archive: &'a Buffer,
}

impl Over<'_> {
    /// The part of the archive that `elements` are.
    fn slice<T>(&self, elements: &[T]) -> Buffer {
        // An empty vector may point anywhere.
        if elements.is_empty() {
            return self.archive.slice_with_length(0, 0);
        }
        let at = elements.as_ptr().addr() - self.archive.as_ptr().addr();
        self.archive.slice_with_length(at, size_of_val(elements))
    }

    fn nulls(&self, length: usize) -> Option<NullBuffer> {
        let words = self.vector.validity.as_slice();
        if words.is_empty() {
            return None;
        }
        let nulls = NullBuffer::new(BooleanBuffer::new(self.slice(words), 0, length));
        (nulls.null_count() > 0).then_some(nulls)
    }

    fn primitive<T: ArrowPrimitiveType>(
        &self,
        length: usize,
        nulls: Option<NullBuffer>,
    ) -> ArrayRef {
        let values = ScalarBuffer::new(self.slice(self.vector.values.as_slice()), 0, length);
        let array = PrimitiveArray::<T>::new(values, nulls);
        Arc::new(array.with_data_type(self.node.field.data_type().clone()))
    }

    /// Offsets that begin at 0 and ascend. The last one has been checked.
    fn offsets(&self) -> Result<OffsetBuffer<i32>, FrameFault> {
        let offsets = self.vector.offsets.as_slice();
        if offsets[0] != 0 || !ascends(offsets) {
            let steps = offsets.windows(2);
            let descent = steps.into_iter().position(|pair| pair[1] < pair[0]);
            let index = if offsets[0] == 0 { descent.map_or(0, |at| at + 1) } else { 0 };
            return Err(FrameFault::Offsets { column: self.node.path.clone(), index });
        }
        Ok(OffsetBuffer::new(ScalarBuffer::new(self.slice(offsets), 0, offsets.len())))
    }
}

/// Hot: no branch per element.
fn ascends(offsets: &[i32_le]) -> bool {
    let pairs = offsets.iter().zip(&offsets[1..]);
    pairs.fold(true, |so_far, (left, right)| so_far & (left.to_native() <= right.to_native()))
}
