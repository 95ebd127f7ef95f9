//! Writing: a batch's buffers, one behind the other, then the table of vectors, then the root.
//!
//! The bytes are what rkyv's own serializer would write, but for zeros before the table, which make
//! the length a multiple of 64. Values are copied once, column by column.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, downcast_primitive_array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;

use super::FRAME_ALIGNMENT;
use super::shape::{Holding, holding};

/// Bytes of an archived vector and of the root.
const VECTOR_BYTES: usize = 36;
const ROOT_BYTES: usize = 12;

/// Zeros between two buffers at most.
const PADDING_BYTES_MAX: usize = 16;

/// Writes batches as archives. Keeps its memory from batch to batch.
#[derive(Default, Debug)]
pub struct FrameWriter {
    vectors: Vec<Placed>,
}

/// Where a vector's parts lie in the archive.
#[derive(Clone, Copy, Default, Debug)]
struct Placed {
    validity: Span,
    offsets: Span,
    values: Span,
    bytes: Span,
    length: usize,
}

/// Position in the archive and number of elements.
#[derive(Clone, Copy, Default, Debug)]
struct Span {
    at: usize,
    count: usize,
}

/// The bytes being written.
struct Output<'a> {
    out: &'a mut Vec<u8>,
    /// Where the archive begins.
    start: usize,
    vectors: &'a mut Vec<Placed>,
}

impl FrameWriter {
    /// A writer for any schema.
    pub fn new() -> FrameWriter {
        FrameWriter::default()
    }

    /// Bytes that `rows` need at most.
    pub fn bytes_max(rows: &RecordBatch) -> usize {
        let columns: usize = rows.columns().iter().map(column_bytes_max).sum();
        columns + ROOT_BYTES + FRAME_ALIGNMENT
    }

    /// Appends `rows`, whose columns are of types that `check_frame_type` accepts, and which need
    /// less than 2 GiB.
    pub fn write(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
        self.vectors.clear();
        let start = out.len();
        let mut output = Output { out, start, vectors: &mut self.vectors };
        for column in rows.columns() {
            output.column(column);
        }
        output.table(rows.num_rows());
    }
}

fn column_bytes_max(column: &ArrayRef) -> usize {
    let length = column.len();
    let own = match holding(column.data_type()).expect("checked before anything is written") {
        Holding::Bits => length / 8,
        Holding::Fixed(width) => length * width,
        Holding::Text => 4 * (length + 1) + text_bytes(column.as_string::<i32>().value_offsets()),
        Holding::Bytes => 4 * (length + 1) + text_bytes(column.as_binary::<i32>().value_offsets()),
        Holding::Items => 4 * (length + 1),
        Holding::Row => 0,
    };
    let mut of_parts = 0;
    each_part(column, &mut |part| of_parts += column_bytes_max(part));
    own + length / 8 + VECTOR_BYTES + 4 * PADDING_BYTES_MAX + of_parts
}

/// Bytes between the first and the last offset.
fn text_bytes(offsets: &[i32]) -> usize {
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    usize::try_from(last - first).expect("offsets ascend")
}

/// The parts of a nested column, as far as its rows reach.
fn each_part(column: &ArrayRef, act: &mut dyn FnMut(&ArrayRef)) {
    let reach = |offsets: &[i32]| {
        let first = usize::try_from(offsets[0]).expect("offsets are positive");
        (first, text_bytes(offsets))
    };
    match column.data_type() {
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let (first, count) = reach(list.value_offsets());
            act(&list.values().slice(first, count));
        }
        DataType::Map(..) => {
            let map = column.as_map();
            let (first, count) = reach(map.value_offsets());
            act(&map.keys().slice(first, count));
            act(&map.values().slice(first, count));
        }
        DataType::Struct(_) => column.as_struct().columns().iter().for_each(act),
        _ => {}
    }
}

impl Output<'_> {
    fn position(&self) -> usize {
        self.out.len() - self.start
    }

    /// Zeros up to the next multiple of `alignment`.
    fn align(&mut self, alignment: usize) {
        let end = self.position().next_multiple_of(alignment);
        self.out.resize(self.start + end, 0);
    }

    fn column(&mut self, column: &ArrayRef) {
        let mut placed = Placed { length: column.len(), ..Placed::default() };
        placed.validity = self.validity(column);
        let offsets = offsets_of(column);
        placed.offsets = self.offsets(offsets);
        placed.values = self.values(column);
        placed.bytes = self.bytes(column, offsets);
        self.vectors.push(placed);
        each_part(column, &mut |part| self.column(part));
    }

    fn validity(&mut self, column: &ArrayRef) -> Span {
        self.align(8);
        let at = self.position();
        if let Some(nulls) = column.nulls().filter(|nulls| nulls.null_count() > 0) {
            self.bits(nulls.inner());
            self.align(8);
        }
        Span { at, count: (self.position() - at) / 8 }
    }

    fn offsets(&mut self, offsets: Option<&[i32]>) -> Span {
        self.align(4);
        let at = self.position();
        let Some(offsets) = offsets else { return Span { at, count: 0 } };
        let first = offsets[0];
        self.out.reserve(4 * offsets.len());
        self.out.extend(offsets.iter().flat_map(|offset| (offset - first).to_le_bytes()));
        Span { at, count: offsets.len() }
    }

    fn values(&mut self, column: &ArrayRef) -> Span {
        self.align(16);
        let at = self.position();
        match holding(column.data_type()) {
            Some(Holding::Bits) => self.bits(column.as_boolean().values()),
            Some(Holding::Fixed(_)) => {
                let column = column.as_ref();
                downcast_primitive_array!(
                    column => self.out.extend_from_slice(column.values().inner().as_slice()),
                    other => unreachable!("{other} has no values of fixed size")
                );
            }
            _ => {}
        }
        self.align(16);
        Span { at, count: (self.position() - at) / 16 }
    }

    fn bytes(&mut self, column: &ArrayRef, offsets: Option<&[i32]>) -> Span {
        let at = self.position();
        let bytes = match column.data_type() {
            DataType::Utf8 => column.as_string::<i32>().value_data(),
            DataType::Binary => column.as_binary::<i32>().value_data(),
            _ => return Span { at, count: 0 },
        };
        let offsets = offsets.expect("texts and bytes have offsets");
        let first = usize::try_from(offsets[0]).expect("offsets are positive");
        let count = text_bytes(offsets);
        self.out.extend_from_slice(&bytes[first..first + count]);
        Span { at, count }
    }

    /// Bits, the lowest first; those behind the last one are 0.
    fn bits(&mut self, bits: &BooleanBuffer) {
        if bits.is_empty() {
            return;
        }
        self.out.extend_from_slice(&bits.sliced()[..bits.len().div_ceil(8)]);
        let used = bits.len() % 8;
        if used > 0 {
            let last = self.out.last_mut().expect("there is at least one bit");
            *last &= (1 << used) - 1;
        }
    }

    /// The table of vectors and the root, which end at a multiple of 64.
    fn table(&mut self, rows: usize) {
        let tail_bytes = self.vectors.len() * VECTOR_BYTES + ROOT_BYTES;
        let end = (self.position() + tail_bytes).next_multiple_of(FRAME_ALIGNMENT);
        let table = end - tail_bytes;
        self.out.resize(self.start + table, 0);
        for index in 0..self.vectors.len() {
            let placed = self.vectors[index];
            for span in [placed.validity, placed.offsets, placed.values, placed.bytes] {
                self.archived_vec(span);
            }
            self.number(placed.length);
        }
        self.archived_vec(Span { at: table, count: (end - ROOT_BYTES - table) / VECTOR_BYTES });
        self.number(rows);
        assert_eq!(self.position(), end);
    }

    /// A pointer relative to its own place, and a length.
    fn archived_vec(&mut self, span: Span) {
        let here = i64::try_from(self.position()).expect("memory is smaller");
        let there = i64::try_from(span.at).expect("memory is smaller");
        let distance = i32::try_from(there - here).expect("archives are below 2 GiB");
        self.out.extend_from_slice(&distance.to_le_bytes());
        self.number(span.count);
    }

    fn number(&mut self, number: usize) {
        let number = u32::try_from(number).expect("archives are below 2 GiB");
        self.out.extend_from_slice(&number.to_le_bytes());
    }
}

fn offsets_of(column: &ArrayRef) -> Option<&[i32]> {
    match column.data_type() {
        DataType::Utf8 => Some(column.as_string::<i32>().value_offsets()),
        DataType::Binary => Some(column.as_binary::<i32>().value_offsets()),
        DataType::List(_) => Some(column.as_list::<i32>().value_offsets()),
        DataType::Map(..) => Some(column.as_map().value_offsets()),
        _ => None,
    }
}
