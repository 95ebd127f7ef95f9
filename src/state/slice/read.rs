//! Reading a slice. The bytes come from a disk: every length is checked before it is used.

use std::fmt;

use super::{
    ENTRIES, HEADER_BYTES, OPERATOR_NOTE, PANE_DROPPED, PANE_NOTE, PaneWords, StateKey, VERSION,
};
use crate::state::schema::ValueKind;

/// Bytes that are no slice, or do not fit the operator they are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CorruptState {
    /// Bytes of the slice that had been read.
    pub offset: usize,
    /// What is wrong.
    pub reason: &'static str,
}

/// A slice whose header has been checked.
#[derive(Clone, Copy, Debug)]
pub struct Slice<'a> {
    /// Whose state.
    pub key: StateKey,
    /// The core that wrote it.
    pub core: u16,
    records: u32,
    rest: Reader<'a>,
}

/// One record of a slice.
#[derive(Clone, Debug)]
pub enum Record<'a> {
    /// The pane is gone, with everything in it.
    PaneDropped(PaneWords),
    /// Input rows that the writing core's part of the pane represents.
    PaneNote {
        /// The pane.
        pane: PaneWords,
        /// The rows.
        rows: u64,
    },
    /// What the writing core's operator keeps besides its tables.
    OperatorNote(Vec<i64>),
    /// Entries of a table.
    Entries(Section<'a>),
}

/// Entries of one table of one pane.
#[derive(Clone, Debug)]
pub struct Section<'a> {
    /// The pane.
    pub pane: PaneWords,
    /// Which table of the pane.
    pub table: u16,
    /// The table is a set: keys have members and no values.
    pub is_set: bool,
    /// Form of each value.
    pub kinds: Vec<ValueKind>,
    entries: u32,
    rest: Reader<'a>,
}

/// One entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SectionEntry<'a> {
    /// Hash of the key.
    pub hash: u64,
    /// The key's canonical bytes.
    pub key: &'a [u8],
    /// In a set: the member's.
    pub member: &'a [u8],
    /// Its values, as they lie in the slice: see [`Section::values`].
    pub encoded: &'a [u8],
}

/// One value of an entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Value<'a> {
    /// An integer, or the bits of a double.
    Word(u64),
    /// A decimal's halves, the upper first.
    Pair([u64; 2]),
    /// Bytes or text; `None` is NULL.
    Bytes(Option<&'a [u8]>),
}

impl<'a> Slice<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// When these are not the first bytes of a slice of a version this program knows.
    pub fn parse(bytes: &'a [u8]) -> Result<Slice<'a>, CorruptState> {
        let mut rest = Reader { bytes, at: 0 };
        if rest.u16()? != VERSION {
            return Err(rest.corrupt("a version of state that this program does not know"));
        }
        let (core, part) = (rest.u16()?, rest.u16()?);
        let zero = rest.u16()?;
        let key = StateKey { operator: rest.u64()?, part };
        let records = rest.u32()?;
        if zero != 0 || rest.u32()? != 0 {
            return Err(rest.corrupt("reserved bytes are not zero"));
        }
        assert_eq!(rest.at, HEADER_BYTES);
        Ok(Slice { key, core, records, rest })
    }

    /// The next record; `None` behind the last.
    ///
    /// # Errors
    /// When the bytes are no record, or bytes are left behind the last.
    pub fn next_record(&mut self) -> Result<Option<Record<'a>>, CorruptState> {
        if self.records == 0 {
            return match self.rest.is_empty() {
                true => Ok(None),
                false => Err(self.rest.corrupt("bytes behind the last record")),
            };
        }
        self.records -= 1;
        let rest = &mut self.rest;
        let record = match rest.u8()? {
            PANE_DROPPED => Record::PaneDropped(rest.pane()?),
            PANE_NOTE => Record::PaneNote { pane: rest.pane()?, rows: rest.u64()? },
            OPERATOR_NOTE => {
                let words = usize::from(rest.u8()?);
                let words: Result<Vec<i64>, _> = (0..words).map(|_| rest.i64()).collect();
                Record::OperatorNote(words?)
            }
            ENTRIES => Record::Entries(Section::parse(rest)?),
            _ => return Err(rest.corrupt("no record begins with this byte")),
        };
        Ok(Some(record))
    }
}

impl<'a> Section<'a> {
    fn parse(rest: &mut Reader<'a>) -> Result<Section<'a>, CorruptState> {
        let (pane, table) = (rest.pane()?, rest.u16()?);
        let is_set = match rest.u8()? {
            0 => false,
            1 => true,
            _ => return Err(rest.corrupt("a table is a set or it is none")),
        };
        let kinds = usize::from(rest.u16()?);
        let kinds = rest.take(kinds)?.iter().map(|&code| ValueKind::from_code(code));
        let Some(kinds) = kinds.collect::<Option<Vec<ValueKind>>>() else {
            return Err(rest.corrupt("a value of no known kind"));
        };
        let (entries, bytes) = (rest.u32()?, rest.u32()?);
        let at = rest.at;
        rest.take(bytes as usize)?;
        let own = Reader { bytes: &rest.bytes[..rest.at], at };
        Ok(Section { pane, table, is_set, kinds, entries, rest: own })
    }

    /// The next entry; `None` behind the last.
    ///
    /// # Errors
    /// When the bytes are no entry, or bytes are left behind the last.
    pub fn next_entry(&mut self) -> Result<Option<SectionEntry<'a>>, CorruptState> {
        if self.entries == 0 {
            return match self.rest.is_empty() {
                true => Ok(None),
                false => Err(self.rest.corrupt("bytes behind the last entry")),
            };
        }
        self.entries -= 1;
        let hash = self.rest.u64()?;
        let key = self.rest.bytes()?;
        let member = if self.is_set { self.rest.bytes()? } else { &[] };
        let start = self.rest.at;
        for &kind in &self.kinds {
            self.rest.value(kind)?;
        }
        let encoded = &self.rest.bytes[start..self.rest.at];
        Ok(Some(SectionEntry { hash, key, member, encoded }))
    }

    /// The values of an entry of this section, one for each of its kinds.
    pub fn values(&self, entry: &SectionEntry<'a>) -> impl Iterator<Item = Value<'a>> {
        let values = decode_values(&self.kinds, entry.encoded);
        values.map(|value| value.expect("checked when the entry was read"))
    }

    /// An error at this place of the slice.
    pub(in crate::state) fn corrupt(&self, reason: &'static str) -> CorruptState {
        self.rest.corrupt(reason)
    }
}

/// The values of an entry of these kinds, as they lay in the slice: [`SectionEntry::encoded`].
pub fn decode_values<'a>(
    kinds: &[ValueKind],
    encoded: &'a [u8],
) -> impl Iterator<Item = Result<Value<'a>, CorruptState>> {
    let mut rest = Reader { bytes: encoded, at: 0 };
    kinds.iter().map(move |&kind| rest.value(kind))
}

/// Bytes being read.
#[derive(Clone, Copy, Debug)]
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn is_empty(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn corrupt(&self, reason: &'static str) -> CorruptState {
        CorruptState { offset: self.at, reason }
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], CorruptState> {
        let end = self.at.checked_add(count).filter(|&end| end <= self.bytes.len());
        let Some(end) = end else { return Err(self.corrupt("the slice ends too soon")) };
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], CorruptState> {
        Ok(self.take(N)?.try_into().expect("as many were taken"))
    }

    fn u8(&mut self) -> Result<u8, CorruptState> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn u16(&mut self) -> Result<u16, CorruptState> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    fn u32(&mut self) -> Result<u32, CorruptState> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64, CorruptState> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn i64(&mut self) -> Result<i64, CorruptState> {
        Ok(i64::from_le_bytes(self.array()?))
    }

    fn pane(&mut self) -> Result<PaneWords, CorruptState> {
        Ok([self.i64()?, self.i64()?])
    }

    /// A length of 32 bits, and as many bytes.
    fn bytes(&mut self) -> Result<&'a [u8], CorruptState> {
        let length = self.u32()? as usize;
        self.take(length)
    }

    fn value(&mut self, kind: ValueKind) -> Result<Value<'a>, CorruptState> {
        Ok(match kind {
            ValueKind::Int | ValueKind::Float => Value::Word(self.u64()?),
            ValueKind::Decimal => Value::Pair([self.u64()?, self.u64()?]),
            ValueKind::Bytes | ValueKind::Text => {
                let Some(length) = self.u32()?.checked_sub(1) else {
                    return Ok(Value::Bytes(None));
                };
                let bytes = self.take(length as usize)?;
                if kind == ValueKind::Text && std::str::from_utf8(bytes).is_err() {
                    return Err(self.corrupt("a text that is not UTF-8"));
                }
                Value::Bytes(Some(bytes))
            }
        })
    }
}

impl fmt::Display for CorruptState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "byte {}: {}", self.offset, self.reason)
    }
}

impl std::error::Error for CorruptState {}
