//! Schema: what the entries of an operator's tables consist of.
//!
//! It decides how an entry is written (see `slice`), and says whether state that was kept by another
//! plan can be taken over: only when both are equal.

use std::fmt;

use crate::stdx::{ByteReader, ByteWriter, Malformed};

/// The tables an operator keeps in each pane. The first holds its groups.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StateSchema {
    /// What the operator computes, with everything that gives its state meaning, in words:
    /// `TUMBLE(ts, 10 s)`.
    pub purpose: String,
    /// The tables.
    pub tables: Vec<TableSchema>,
}

/// One table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TableSchema {
    /// What it holds: `groups`, `DISTINCT user`.
    pub name: String,
    /// Types of the key columns, as SQL names them.
    pub keys: Vec<String>,
    /// Values beside each key.
    pub values: Vec<ValueSchema>,
    /// The keys belong to entries of the first table, and are no more than members of a set.
    pub is_set: bool,
}

/// One value beside a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ValueSchema {
    /// What it is: `SUM(price)`.
    pub name: String,
    /// Its form.
    pub kind: ValueKind,
}

/// Form of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ValueKind {
    /// One word, an integer.
    Int,
    /// One word, an IEEE 754 double.
    Float,
    /// Two words, the upper half first: an unscaled decimal.
    Decimal,
    /// Bytes of any length, or NULL.
    Bytes,
    /// UTF-8 of any length, or NULL.
    Text,
}

impl ValueKind {
    /// Words it takes in a table's entry.
    pub const fn words(self) -> usize {
        match self {
            ValueKind::Int | ValueKind::Float => 1,
            ValueKind::Decimal | ValueKind::Bytes | ValueKind::Text => 2,
        }
    }

    /// True for what lies in the table's heap.
    pub const fn is_in_heap(self) -> bool {
        matches!(self, ValueKind::Bytes | ValueKind::Text)
    }

    /// The byte that stands for it. Never changes.
    pub(super) const fn code(self) -> u8 {
        match self {
            ValueKind::Int => 1,
            ValueKind::Float => 2,
            ValueKind::Decimal => 3,
            ValueKind::Bytes => 4,
            ValueKind::Text => 5,
        }
    }

    /// The kind of a byte, if there is one.
    pub(super) const fn from_code(code: u8) -> Option<ValueKind> {
        match code {
            1 => Some(ValueKind::Int),
            2 => Some(ValueKind::Float),
            3 => Some(ValueKind::Decimal),
            4 => Some(ValueKind::Bytes),
            5 => Some(ValueKind::Text),
            _ => None,
        }
    }
}

impl StateSchema {
    /// Writes it.
    pub fn encode(&self, out: &mut ByteWriter) {
        out.bytes(self.purpose.as_bytes());
        out.count(self.tables.len());
        for table in &self.tables {
            out.bytes(table.name.as_bytes());
            out.u8(u8::from(table.is_set));
            out.count(table.keys.len());
            table.keys.iter().for_each(|key| out.bytes(key.as_bytes()));
            out.count(table.values.len());
            for value in &table.values {
                out.u8(value.kind.code());
                out.bytes(value.name.as_bytes());
            }
        }
    }

    /// Reads what was written.
    ///
    /// # Errors
    /// When it is no schema.
    pub fn decode(from: &mut ByteReader<'_>) -> Result<StateSchema, Malformed> {
        let purpose = from.text()?.to_owned();
        let tables = from.count(13)?;
        let tables: Result<_, Malformed> = (0..tables).map(|_| TableSchema::decode(from)).collect();
        Ok(StateSchema { purpose, tables: tables? })
    }
}

impl TableSchema {
    fn decode(from: &mut ByteReader<'_>) -> Result<TableSchema, Malformed> {
        let name = from.text()?.to_owned();
        let is_set = from.u8()? != 0;
        let keys = from.count(4)?;
        let keys: Result<_, Malformed> = (0..keys).map(|_| Ok(from.text()?.to_owned())).collect();
        let keys = keys?;
        let values = from.count(5)?;
        let values: Result<_, Malformed> = (0..values)
            .map(|_| {
                let kind = ValueKind::from_code(from.u8()?);
                let kind = kind.ok_or(from.malformed("a value of no known kind"))?;
                Ok(ValueSchema { name: from.text()?.to_owned(), kind })
            })
            .collect();
        Ok(TableSchema { name, keys, values: values?, is_set })
    }

    /// Words of one entry.
    pub fn words(&self) -> usize {
        self.values.iter().map(|value| value.kind.words()).sum()
    }

    /// Kinds of the values.
    pub(super) fn kinds(&self) -> impl Iterator<Item = ValueKind> + '_ {
        self.values.iter().map(|value| value.kind)
    }
}

impl fmt::Display for ValueKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ValueKind::Int => "integer",
            ValueKind::Float => "double",
            ValueKind::Decimal => "decimal",
            ValueKind::Bytes => "bytes",
            ValueKind::Text => "text",
        })
    }
}
