//! Where CSV records end when quoted fields may contain line ends.

use memchr::{memchr, memchr2};

use super::super::framing::Boundary;

/// Follows quotes as [`super::next_field`] reads them, whatever pieces the bytes come in.
#[derive(Clone, Debug)]
pub(in crate::format) struct QuotedLines {
    delimiter: u8,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    FieldStart,
    Plain,
    Quoted,
    /// Behind a quote that closes the field, unless another one follows.
    QuoteInQuoted,
}

impl QuotedLines {
    pub(in crate::format) fn new(delimiter: u8) -> QuotedLines {
        QuotedLines { delimiter, place: Place::FieldStart }
    }
}

impl Boundary for QuotedLines {
    fn find(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let ahead = match self.place {
                Place::Quoted => memchr(b'"', rest)?,
                Place::Plain => memchr2(self.delimiter, b'\n', rest)?,
                Place::FieldStart | Place::QuoteInQuoted => 0,
            };
            at += ahead;
            self.place = match (self.place, rest[ahead]) {
                (Place::Quoted, _) => Place::QuoteInQuoted,
                (Place::FieldStart | Place::QuoteInQuoted, b'"') => Place::Quoted,
                (_, b'\n') => {
                    self.reset();
                    return Some(at);
                }
                (_, other) if other == self.delimiter => Place::FieldStart,
                // Text behind closing quotes: the parser rejects it; the record ends at its line.
                _ => Place::Plain,
            };
            at += 1;
        }
        None
    }

    fn reset(&mut self) {
        self.place = Place::FieldStart;
    }
}
