//! Records to rows: what all decoders share. One parser per format fills the columns of one record;
//! everything else (framing, taking back a failed row, cutting batches, provenance, counting) is here.
//!
//! Invariants
//! - Every record becomes one row or one rejection: `records` = rows + rejections, always.
//! - All columns have the same number of rows between two records.

use arrow::array::{ArrayRef, BinaryBuilder, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::datatypes::SchemaRef;
use std::collections::VecDeque;
use std::sync::Arc;

use super::column::Column;
use super::framing::{Boundary, Framed, Framer};
use super::{BYTE_ORDER_MARK, Decoded, Decoder, DecoderOptions, RejectedRecord};
use crate::limits::{BATCH_BYTES_MAX, BATCH_ROWS_MAX, REJECTED_RAW_BYTES_MAX};
use crate::record::Provenance;

/// Understands one record.
pub(super) trait RecordParser {
    /// Whether a byte order mark before the first record of a file is skipped.
    const SKIPS_MARK: bool = true;

    /// Appends the record's values, one to each column.
    ///
    /// # Errors
    /// The reason for the user. The columns may then have values too many.
    fn parse(&mut self, record: &[u8], columns: &mut [Column]) -> Result<Parsed, String>;

    /// The file's header, for a decoder whose bytes begin behind it.
    fn set_header(&mut self, _line: &[u8]) {}
}

/// What a well-formed line was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Parsed {
    /// A row, appended.
    Row,
    /// No record: a blank line, a header.
    Nothing,
}

/// The decoder of one split.
pub(super) struct RecordDecoder<P, B> {
    framer: Framer<B>,
    intake: Intake<P>,
}

/// Rows under construction and what waits to be taken.
struct Intake<P> {
    parser: P,
    schema: SchemaRef,
    columns: Vec<Column>,
    rows: usize,
    /// Bytes of the records behind `rows`.
    bytes: usize,
    /// Position behind the last of them.
    end: u64,
    provenance: Option<ProvenanceBuilder>,
    /// Full batches, oldest first, and the rows in them.
    ready: VecDeque<Decoded>,
    ready_rows: usize,
    rejected: VecDeque<RejectedRecord>,
    records: u64,
}

struct ProvenanceBuilder {
    origin: Arc<str>,
    offsets: Vec<u64>,
    raw: BinaryBuilder,
}

impl<P: RecordParser, B: Boundary> RecordDecoder<P, B> {
    /// `options` have been checked: every column's type is one that columns can hold.
    pub(super) fn new(parser: P, boundary: B, options: &DecoderOptions) -> RecordDecoder<P, B> {
        let schema = options.schema.project(&options.projection);
        let schema = Arc::new(schema.expect("projection was checked against the schema"));
        let columns = schema.fields().iter().cloned().map(Column::new).collect();
        let origin = options.keep_provenance.clone();
        let provenance = origin.map(|origin| ProvenanceBuilder {
            origin,
            offsets: Vec::new(),
            raw: BinaryBuilder::new(),
        });
        let intake = Intake {
            parser,
            schema,
            columns,
            rows: 0,
            bytes: 0,
            end: 0,
            provenance,
            ready: VecDeque::new(),
            ready_rows: 0,
            rejected: VecDeque::new(),
            records: 0,
        };
        let framer = Framer::new(boundary, options.line_bytes_max, options.start_offset);
        RecordDecoder { framer, intake }
    }
}

impl<P: RecordParser, B: Boundary> Decoder for RecordDecoder<P, B> {
    fn feed(&mut self, bytes: &[u8]) {
        let intake = &mut self.intake;
        self.framer.feed(bytes, &mut |framed| intake.accept(framed));
    }

    fn finish(&mut self) {
        let intake = &mut self.intake;
        self.framer.finish(&mut |framed| intake.accept(framed));
    }

    fn rows(&self) -> usize {
        self.intake.ready_rows + self.intake.rows
    }

    fn take(&mut self) -> Option<Decoded> {
        if self.intake.ready.is_empty() && self.intake.rows > 0 {
            self.intake.cut_batch();
        }
        let decoded = self.intake.ready.pop_front()?;
        self.intake.ready_rows -= decoded.rows.num_rows();
        Some(decoded)
    }

    fn take_rejected(&mut self) -> Option<RejectedRecord> {
        self.intake.rejected.pop_front()
    }

    fn records(&self) -> u64 {
        self.intake.records
    }

    fn offset(&self) -> u64 {
        self.framer.offset()
    }

    fn set_header(&mut self, line: &[u8]) {
        self.intake.parser.set_header(line);
    }
}

impl<P: RecordParser> Intake<P> {
    #[inline(always)]
    fn accept(&mut self, framed: Framed<'_>) {
        if framed.too_long {
            let reason = format!("longer than line_max ({} bytes)", framed.bytes.len());
            return self.reject(framed, reason);
        }
        let mut record = framed.bytes;
        if P::SKIPS_MARK && framed.offset == 0 {
            record = record.strip_prefix(BYTE_ORDER_MARK).unwrap_or(record);
        }
        match self.parser.parse(record, &mut self.columns) {
            Ok(Parsed::Row) => self.admit(framed),
            Ok(Parsed::Nothing) => {}
            Err(reason) => self.reject(framed, reason),
        }
    }

    /// The row has been appended to every column.
    #[inline]
    fn admit(&mut self, framed: Framed<'_>) {
        self.records += 1;
        self.rows += 1;
        self.bytes += framed.bytes.len();
        self.end = framed.end;
        if let Some(provenance) = &mut self.provenance {
            provenance.offsets.push(framed.offset);
            provenance.raw.append_value(framed.bytes);
        }
        if self.rows == BATCH_ROWS_MAX || self.bytes >= BATCH_BYTES_MAX {
            self.cut_batch();
        }
    }

    #[cold]
    fn reject(&mut self, framed: Framed<'_>, reason: String) {
        self.records += 1;
        self.columns.iter_mut().for_each(|column| column.truncate(self.rows));
        let raw = &framed.bytes[..framed.bytes.len().min(REJECTED_RAW_BYTES_MAX)];
        self.rejected.push_back(RejectedRecord { offset: framed.offset, reason, raw: raw.into() });
    }

    /// Moves the rows under construction to `ready`.
    fn cut_batch(&mut self) {
        let columns: Vec<ArrayRef> = self.columns.iter_mut().map(Column::take).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows));
        let schema = Arc::clone(&self.schema);
        let rows = RecordBatch::try_new_with_options(schema, columns, &options)
            .expect("columns are built from the schema's fields, with one value per row");
        let provenance = self.provenance.as_mut().map(ProvenanceBuilder::take);
        self.ready_rows += self.rows;
        self.ready.push_back(Decoded { rows, provenance, end: self.end });
        (self.rows, self.bytes) = (0, 0);
    }
}

impl ProvenanceBuilder {
    fn take(&mut self) -> Provenance {
        Provenance {
            origin: Arc::clone(&self.origin),
            offsets: UInt64Array::from(std::mem::take(&mut self.offsets)),
            raw: self.raw.finish(),
        }
    }
}
