//! Reading: arrays built over an archive's bytes, after everything about them has been checked.
//!
//! In:  the columns a peer writes, the columns wanted; archives, each in one aligned buffer.
//! Out: the wanted columns, by name. Nothing is copied but what a missing column lacks.
//!
//! Invariants
//! - Sizes of all vectors are checked, wanted or not: an archive has no more rows than its bytes hold.
//! - Offsets, texts and ranges are checked of the wanted columns, whose arrays are then built.

mod build;

use arrow::array::{ArrayRef, new_null_array};
use arrow::buffer::Buffer;
use arrow::datatypes::{Field, FieldRef, Fields, Schema};
use rkyv::api::low;
use rkyv::rancor;
use std::fmt;

use super::archive::{ArchivedFrameRows, ArchivedFrameVector};
use super::shape::{Holding, holding, parts, vector_count};
use crate::limits::FRAME_ROWS_MAX;

/// Why bytes are no rows of the schema, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FrameFault {
    /// Pointers or lengths lead out of the archive, or it is not aligned.
    Archive {
        /// What the archive's checker says.
        reason: String,
    },
    /// The archive has another number of vectors than the schema.
    VectorCount {
        /// In the archive.
        found: usize,
        /// By the schema.
        expected: usize,
    },
    /// More rows than a frame may have.
    RowCount {
        /// In the archive.
        found: u32,
    },
    /// A part of a vector has another size than its number of values asks for.
    Size {
        /// The column, with its part: `bid.price`.
        column: String,
        /// Which part of the vector.
        part: &'static str,
        /// Elements in the archive.
        found: usize,
        /// Elements there must be.
        expected: usize,
    },
    /// Offsets do not begin at 0, or descend.
    Offsets {
        /// The column.
        column: String,
        /// The first offset that is wrong.
        index: usize,
    },
    /// Text that is not UTF-8, or is cut inside a character.
    Text {
        /// The column.
        column: String,
    },
    /// A value that its type does not have: a DECIMAL of too many digits, a TIME behind midnight.
    Range {
        /// The column.
        column: String,
        /// Which value.
        index: usize,
    },
    /// A part of a nested column that is declared NOT NULL has a NULL.
    Null {
        /// The column.
        column: String,
    },
}

impl fmt::Display for FrameFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FrameFault::Archive { reason } => write!(formatter, "is no archive: {reason}"),
            FrameFault::VectorCount { found, expected } => {
                write!(formatter, "has {found} vectors; the schema of hello has {expected}")
            }
            FrameFault::RowCount { found } => {
                write!(formatter, "has {found} rows; a frame has {FRAME_ROWS_MAX} at most")
            }
            FrameFault::Size { column, part, found, expected } => write!(
                formatter,
                "column \"{column}\": {part} has {found} elements, and must have {expected}"
            ),
            FrameFault::Offsets { column, index } => write!(
                formatter,
                "column \"{column}\": offset {index} is not the next one of an ascending list from 0"
            ),
            FrameFault::Text { column } => {
                write!(formatter, "column \"{column}\" has text that is not UTF-8")
            }
            FrameFault::Range { column, index } => {
                write!(formatter, "column \"{column}\": value {index} is out of range for its type")
            }
            FrameFault::Null { column } => {
                write!(formatter, "column \"{column}\" is NULL inside, but declared NOT NULL")
            }
        }
    }
}

impl std::error::Error for FrameFault {}

/// Reads the archives of one peer.
#[derive(Debug)]
pub struct FrameReader {
    /// All columns of the peer.
    written: Vec<Node>,
    vectors: usize,
    wanted: Vec<Wanted>,
}

/// One column to make.
#[derive(Debug)]
struct Wanted {
    field: FieldRef,
    /// Among `written`; `None` when the peer has no such column.
    written: Option<usize>,
}

/// A column or a part of one, of the type that is wanted.
#[derive(Debug)]
struct Node {
    /// With the names of what it is in.
    path: String,
    field: FieldRef,
    holding: Holding,
    /// Its vector.
    vector: usize,
    parts: Vec<Node>,
}

impl FrameReader {
    /// Reads `wanted` columns out of what a peer writes; types of columns with the same name are equal
    /// but for NULL.
    pub fn new(written: &Schema, wanted: &Fields) -> FrameReader {
        let mut vectors = 0;
        let node = |field: &FieldRef| {
            let as_wanted = wanted.iter().find(|wanted| wanted.name() == field.name());
            let node = Node::new(as_wanted.unwrap_or(field), "", vectors);
            vectors += vector_count(field.data_type());
            node
        };
        let nodes = written.fields().iter().map(node).collect();
        let wanted = wanted
            .iter()
            .map(|field| Wanted {
                field: field.clone(),
                written: written.fields().iter().position(|other| other.name() == field.name()),
            })
            .collect();
        FrameReader { written: nodes, vectors, wanted }
    }

    /// The wanted columns of an archive, and its number of rows. A column that is declared NOT NULL
    /// may have NULLs: that is for the caller to look at.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub fn read(&self, archive: &Buffer) -> Result<(Vec<ArrayRef>, usize), FrameFault> {
        let rows =
            low::access::<ArchivedFrameRows, rancor::BoxedError>(archive).map_err(|error| {
                FrameFault::Archive { reason: error.to_string().replace('\n', " ") }
            })?;
        let row_count = rows.rows.to_native();
        if row_count > FRAME_ROWS_MAX {
            return Err(FrameFault::RowCount { found: row_count });
        }
        let row_count = row_count as usize;
        let vectors = rows.vectors.as_slice();
        if vectors.len() != self.vectors {
            return Err(FrameFault::VectorCount { found: vectors.len(), expected: self.vectors });
        }
        for node in &self.written {
            node.check_sizes(vectors, row_count)?;
        }
        let column = |wanted: &Wanted| match wanted.written {
            None => Ok(new_null_array(wanted.field.data_type(), row_count)),
            Some(index) => self.written[index].build(vectors, archive),
        };
        let columns = self.wanted.iter().map(column).collect::<Result<_, _>>()?;
        Ok((columns, row_count))
    }
}

impl Node {
    fn new(field: &FieldRef, above: &str, vector: usize) -> Node {
        let path = format!("{above}{}", field.name());
        let mut next = vector + 1;
        let part = |part: &Field| {
            let node = Node::new(&part.clone().into(), &format!("{path}."), next);
            next += vector_count(part.data_type());
            node
        };
        let parts = parts(field.data_type()).into_iter().map(part).collect();
        let holding = holding(field.data_type()).expect("types are checked before");
        Node { path, field: field.clone(), holding, vector, parts }
    }

    /// Checks how many elements every vector has; so far, offsets say nothing but the last one.
    fn check_sizes(
        &self,
        vectors: &[ArchivedFrameVector],
        length: usize,
    ) -> Result<(), FrameFault> {
        let vector = &vectors[self.vector];
        let has_nulls = !vector.validity.is_empty();
        let values = match self.holding {
            Holding::Bits => length.div_ceil(128),
            Holding::Fixed(width) => (length * width).div_ceil(16),
            Holding::Text | Holding::Bytes | Holding::Items | Holding::Row => 0,
        };
        let has_offsets = matches!(self.holding, Holding::Text | Holding::Bytes | Holding::Items);
        self.check_size("length", vector.length.to_native() as usize, length)?;
        let words = if has_nulls { length.div_ceil(64) } else { 0 };
        self.check_size("validity", vector.validity.len(), words)?;
        let offsets = if has_offsets { length + 1 } else { 0 };
        self.check_size("offsets", vector.offsets.len(), offsets)?;
        self.check_size("values", vector.values.len(), values)?;
        let end = match vector.offsets.last() {
            Some(last) => usize::try_from(last.to_native())
                .map_err(|_| FrameFault::Offsets { column: self.path.clone(), index: length })?,
            None => 0,
        };
        let bytes = if self.holding == Holding::Items { 0 } else { end };
        self.check_size("bytes", vector.bytes.len(), bytes)?;
        let of_parts = if self.holding == Holding::Items { end } else { length };
        self.parts.iter().try_for_each(|part| part.check_sizes(vectors, of_parts))
    }

    fn check_size(
        &self,
        part: &'static str,
        found: usize,
        expected: usize,
    ) -> Result<(), FrameFault> {
        if found == expected {
            return Ok(());
        }
        Err(FrameFault::Size { column: self.path.clone(), part, found, expected })
    }
}
