//! CSV to columns: RFC 4180 by position, or by the names of a header.
//!
//! In:  a record without its line end, its bytes unchecked.
//! Out: one value per column, or the reason why the record is not a row.
//!
//! NULL is the empty field without quotes; `""` is the empty text. Quotes inside a field that does
//! not begin with one are ordinary characters. A record must have as many fields as the table has
//! columns (or the header names). Blank lines are no records, but in a table of one column an empty
//! line is NULL.
//!
//! Read: `quoted` (where records end when fields may contain line ends).

mod quoted;

use arrow::datatypes::SchemaRef;

use super::column::Column;
use super::reason::{describe, shown};
use super::records::{Parsed, RecordParser};
use super::scalar::Fault;
use super::{CsvOptions, DecoderOptions};
pub(super) use quoted::QuotedLines;

/// Parses records of one split.
pub(super) struct CsvParser {
    options: CsvOptions,
    schema: SchemaRef,
    projection: Vec<usize>,
    /// By position of a field in the record: the column it goes to, if it is wanted.
    targets: Result<Vec<Option<usize>>, NoTargets>,
    scratch: Vec<u8>,
}

/// Why fields cannot be assigned to columns.
enum NoTargets {
    HeaderToCome,
    HeaderUnusable(String),
}

/// One field of a record.
struct Field<'a> {
    /// What is between the quotes, or between the delimiters.
    raw: &'a [u8],
    is_quoted: bool,
}

impl CsvParser {
    pub(super) fn new(options: &DecoderOptions, csv: &CsvOptions) -> CsvParser {
        let mut parser = CsvParser {
            options: csv.clone(),
            schema: options.schema.clone(),
            projection: options.projection.clone(),
            targets: Err(NoTargets::HeaderToCome),
            scratch: Vec::new(),
        };
        if !csv.header {
            let columns = 0..options.schema.fields().len();
            parser.targets = Ok(columns.map(|column| parser.target_of(column)).collect());
        }
        parser
    }

    /// Position among the wanted columns.
    fn target_of(&self, column: usize) -> Option<usize> {
        self.projection.iter().position(|&wanted| wanted == column)
    }

    /// Assigns fields to columns by name. Fields that no column is named after are skipped.
    fn targets_by_name(&self, header: &[u8]) -> Result<Vec<Option<usize>>, String> {
        let names = names(header, self.options.delimiter)?;
        for field in self.schema.fields() {
            match names.iter().filter(|name| *name == field.name()).count() {
                1 => {}
                0 => return Err(format!("header: column \"{}\" is missing", field.name())),
                _ => return Err(format!("header: column \"{}\" occurs twice", field.name())),
            }
        }
        let column = |name: &String| self.schema.index_of(name).ok();
        Ok(names.iter().map(|name| self.target_of(column(name)?)).collect())
    }

    fn read_header(&mut self, line: &[u8]) -> Result<(), String> {
        match self.targets_by_name(line) {
            Ok(targets) => {
                self.targets = Ok(targets);
                Ok(())
            }
            Err(reason) => {
                self.targets = Err(NoTargets::HeaderUnusable(reason.clone()));
                Err(reason)
            }
        }
    }

    fn is_blank(&self, record: &[u8]) -> bool {
        record.is_empty() && self.schema.fields().len() != 1
    }
}

impl RecordParser for CsvParser {
    #[inline]
    fn parse(&mut self, record: &[u8], columns: &mut [Column]) -> Result<Parsed, String> {
        if self.is_blank(record) {
            return Ok(Parsed::Nothing);
        }
        match &self.targets {
            Ok(targets) => {
                parse_row(record, self.options.delimiter, targets, columns, &mut self.scratch)?;
                Ok(Parsed::Row)
            }
            Err(NoTargets::HeaderToCome) => {
                self.read_header(record)?;
                Ok(Parsed::Nothing)
            }
            Err(NoTargets::HeaderUnusable(reason)) => Err(reason.clone()),
        }
    }

    fn set_header(&mut self, line: &[u8]) {
        if self.options.header {
            // An unusable header is told with every record.
            let _told_later = self.read_header(line);
        }
    }
}

#[inline]
fn parse_row(
    record: &[u8],
    delimiter: u8,
    targets: &[Option<usize>],
    columns: &mut [Column],
    scratch: &mut Vec<u8>,
) -> Result<(), String> {
    if !record.is_ascii()
        && let Err(error) = std::str::from_utf8(record)
    {
        return Err(format!("invalid UTF-8 at byte {}", error.valid_up_to()));
    }
    let mut rest = Some(record);
    let mut count = 0;
    while let Some(bytes) = rest {
        let (field, behind) = next_field(bytes, delimiter)?;
        if let Some(&Some(target)) = targets.get(count) {
            let column = &mut columns[target];
            if let Err(fault) = push(&field, column, scratch) {
                return Err(describe(column.field(), field.written(bytes), fault));
            }
        }
        count += 1;
        rest = behind;
    }
    if count != targets.len() {
        return Err(format!("{count} fields where {} are expected", targets.len()));
    }
    Ok(())
}

/// The field that begins `bytes`, and what follows its delimiter; `None` when it is the last.
#[inline]
fn next_field(bytes: &[u8], delimiter: u8) -> Result<(Field<'_>, Option<&[u8]>), String> {
    if bytes.first() == Some(&b'"') {
        return next_quoted(bytes, delimiter);
    }
    Ok(match memchr::memchr(delimiter, bytes) {
        Some(end) => (Field { raw: &bytes[..end], is_quoted: false }, Some(&bytes[end + 1..])),
        None => (Field { raw: bytes, is_quoted: false }, None),
    })
}

fn next_quoted(bytes: &[u8], delimiter: u8) -> Result<(Field<'_>, Option<&[u8]>), String> {
    let mut end = 1;
    loop {
        let Some(length) = memchr::memchr(b'"', &bytes[end..]) else {
            return Err(format!("quotes are not closed: {}", shown(bytes)));
        };
        end += length;
        match bytes.get(end + 1) {
            Some(b'"') => end += 2,
            Some(&byte) if byte == delimiter => {
                return Ok((
                    Field { raw: &bytes[1..end], is_quoted: true },
                    Some(&bytes[end + 2..]),
                ));
            }
            None => return Ok((Field { raw: &bytes[1..end], is_quoted: true }, None)),
            Some(_) => return Err(format!("text follows closing quotes: {}", shown(bytes))),
        }
    }
}

impl Field<'_> {
    /// The field as written, where it begins `bytes`.
    fn written<'a>(&self, bytes: &'a [u8]) -> &'a [u8] {
        &bytes[..self.raw.len() + if self.is_quoted { 2 } else { 0 }]
    }

    /// Its text; doubled quotes are undone in `scratch`.
    #[inline]
    fn text<'a>(&'a self, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        if !self.is_quoted || memchr::memchr(b'"', self.raw).is_none() {
            return self.raw;
        }
        scratch.clear();
        let mut rest = self.raw;
        while let Some(at) = memchr::memchr(b'"', rest) {
            scratch.extend_from_slice(&rest[..=at]);
            rest = &rest[at + 2..];
        }
        scratch.extend_from_slice(rest);
        scratch
    }
}

#[inline]
fn push(field: &Field<'_>, column: &mut Column, scratch: &mut Vec<u8>) -> Result<(), Fault> {
    if field.raw.is_empty() && !field.is_quoted {
        return column.push_null(Fault::Null);
    }
    column.push_text(field.text(scratch))
}

fn names(header: &[u8], delimiter: u8) -> Result<Vec<String>, String> {
    let mut names = Vec::new();
    let mut scratch = Vec::new();
    let mut rest = Some(header.strip_prefix(super::BYTE_ORDER_MARK).unwrap_or(header));
    while let Some(bytes) = rest {
        let (field, behind) = next_field(bytes, delimiter)?;
        let name = std::str::from_utf8(field.text(&mut scratch).trim_ascii());
        names.push(name.map_err(|_| "header: invalid UTF-8")?.to_owned());
        rest = behind;
    }
    Ok(names)
}
