//! Bytes to batches and back; no I/O.
//!
//! Read: `framing` (bytes to lines) · `json` · `csv` · `raw` · `encode` (batches to lines).

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;

use crate::record::Provenance;

/// How records are written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FormatOptions {
    /// One JSON object per line.
    Json(JsonOptions),
    /// RFC 4180, one record per line unless `multiline`.
    Csv(CsvOptions),
    /// The line is the one STRING column.
    Raw,
}

/// Options of JSON lines. Timestamps are read in SQL and ISO-8601 form.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct JsonOptions {
    /// Written as `2020-01-01T00:00:00.1` (true) or `2020-01-01 00:00:00.1` (false, Flink's default).
    pub iso_timestamps: bool,
}

/// Options of CSV.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CsvOptions {
    /// Field separator.
    pub delimiter: u8,
    /// First line names the columns (read) or is written (write).
    pub header: bool,
    /// Quoted fields may contain line ends; such a file is not cut between cores.
    pub multiline: bool,
}

/// Cuts and decodes the bytes of one split. Owned by the split, reused for its life.
pub trait Decoder {
    /// Takes the next bytes, cut anywhere. Complete records become rows; others become rejections.
    fn feed(&mut self, bytes: &[u8]);

    /// The split has ended: a last line without its line end is a record.
    fn finish(&mut self);

    /// Rows decoded and not yet taken.
    fn rows(&self) -> usize;

    /// What has been decoded; `None` when there is no row.
    fn take(&mut self) -> Option<Decoded>;

    /// The next record that could not be decoded.
    fn take_rejected(&mut self) -> Option<RejectedRecord>;

    /// Records found so far, decodable or not.
    fn records(&self) -> u64;

    /// Position in the split behind the last complete record.
    fn offset(&self) -> u64;
}

/// Rows of one split, in order.
#[derive(Debug)]
pub struct Decoded {
    /// Columns asked for.
    pub rows: RecordBatch,
    /// When the decoder was told to keep it.
    pub provenance: Option<Provenance>,
}

/// A record that is not one, with what is wrong with it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RejectedRecord {
    /// Position of its first byte in the split.
    pub offset: u64,
    /// In words for the user.
    pub reason: String,
    /// Its bytes, without the line end, cut at `limits::REJECTED_RAW_BYTES_MAX`.
    pub raw: Vec<u8>,
}

/// Everything a decoder must know.
#[derive(Clone, Debug)]
pub struct DecoderOptions {
    /// How records are written.
    pub format: FormatOptions,
    /// All columns, by position for CSV, by name for JSON.
    pub schema: SchemaRef,
    /// Columns wanted, ascending; the others are skipped, not decoded.
    pub projection: Vec<usize>,
    /// Longest record; a longer one is rejected and the split goes on at the next line end.
    pub line_bytes_max: usize,
    /// Name for [`Provenance`], when offsets and raw bytes are to be kept.
    pub keep_provenance: Option<std::sync::Arc<str>>,
    /// Offset of the first byte that will be fed.
    pub start_offset: u64,
}

/// Writes batches as bytes.
pub trait Encoder {
    /// Appends what comes before the first record of a file or connection (a CSV header).
    fn begin(&mut self, out: &mut Vec<u8>);

    /// Appends all rows.
    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>);
}
