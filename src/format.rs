//! Bytes to batches and back; no I/O.
//!
//! Read: `framing` (bytes to records) · `records` (what all decoders share) · `json` · `csv` · `raw` ·
//! `frames` (the native protocol) · `ipc` (Arrow's own) ·
//! `column` (columns under construction) · `scalar` (text to one value) · `encode` (batches to lines).
//! Beside them: `types` (names, what a format carries) · `reason` (rejections in words) · `swar`.

mod column;
mod csv;
mod encode;
pub mod frames;
mod framing;
mod ipc;
mod json;
mod raw;
mod reason;
mod records;
mod scalar;
mod swar;
mod types;

#[cfg(test)]
mod tests;

pub use frames::{
    Ack, Delivery, FRAME_HEADER_BYTES, FrameColumns, FrameEncoder, FrameHeader, FrameHello,
    FrameKind, FramePosition, FrameProducer, FrameRead, FrameReceiver, FrameRefusal, FrameRole,
    FrameStream, FrameSubscriber, LanePosition, Message, OutputPosition, ProtocolFault,
    ReceivedFrame, SubscriberOptions, each_frame, error_text, renumber_frames, write_ack,
    write_empty, write_end_of_epoch, write_error, write_frame_ack, write_gap,
};
pub use framing::{Boundary, EveryLine, Framed, Framer};

use arrow::array::RecordBatch;
use arrow::datatypes::{Schema, SchemaRef};
use std::fmt;

use crate::limits::LINE_BYTES_CEILING;
use crate::record::{Epoch, Provenance, check_frame_type};
use csv::{CsvParser, QuotedLines};
use encode::{CsvEncoder, JsonEncoder, PrintEncoder, RawEncoder};
use ipc::{IpcDecoder, IpcEncoder};
use json::JsonParser;
use raw::RawParser;
use records::RecordDecoder;

/// What some programs put at the beginning of a text file.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Who wrote a file of frames.
const FRAME_SINK_NAME: &str = "pelton";

/// How records are written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FormatOptions {
    /// One JSON object per line.
    Json(JsonOptions),
    /// RFC 4180, one record per line unless `multiline`.
    Csv(CsvOptions),
    /// The line is the one STRING column.
    Raw,
    /// Frames of the native protocol, which are no lines: sources read them without a [`Decoder`].
    Frames,
    /// Record batches of Arrow's IPC streams.
    Arrow,
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
///
/// Every record becomes one row or one rejection. Blank lines and a CSV header are no records.
pub trait Decoder {
    /// Takes the next bytes, cut anywhere. Complete records become rows; others become rejections.
    /// Memory follows what has been fed and not yet taken: feed a piece, then take.
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

    /// Tells the header line of a CSV file to a decoder that begins behind it (`start_offset` is
    /// not the file's beginning). Without it the first line is the header. Other formats have none.
    fn set_header(&mut self, _line: &[u8]) {}

    /// Why nothing more can be decoded, of a format whose records cannot be found again behind bytes
    /// that are wrong.
    fn fault(&self) -> Option<String> {
        None
    }
}

/// Rows of one split, in order.
#[derive(Debug)]
pub struct Decoded {
    /// Columns asked for.
    pub rows: RecordBatch,
    /// When the decoder was told to keep it.
    pub provenance: Option<Provenance>,
    /// Position in the split behind the last of them.
    pub end: u64,
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

    /// Appends what comes after the last record of a file or connection, if the last one so far was it.
    /// Changes nothing: more records may follow those before.
    fn end(&mut self, _out: &mut Vec<u8>) {}

    /// What is encoded from here on belongs to `epoch`, for a format that tells its readers. Says the number
    /// of the last frame of the epoch before; 0 when there was none.
    fn begin_epoch(&mut self, _epoch: Epoch) -> u64 {
        0
    }

    /// Why rows could not be written, after which the job cannot go on.
    fn take_failure(&mut self) -> Option<String> {
        None
    }
}

/// Why a format cannot carry a table, in words for the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FormatError(pub String);

impl fmt::Display for FormatError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for FormatError {}

/// A decoder for one split.
///
/// # Errors
/// When the format cannot carry a column's type or has no records to be decoded, or an option is out of
/// range.
pub fn decoder(options: &DecoderOptions) -> Result<Box<dyn Decoder>, FormatError> {
    check_decoder(options)?;
    let schema = &options.schema;
    Ok(match &options.format {
        FormatOptions::Json(_) => {
            let wanted = options.projection.iter().map(|&column| schema.field(column));
            Box::new(RecordDecoder::new(JsonParser::new(wanted), EveryLine, options))
        }
        FormatOptions::Csv(csv) => {
            let parser = CsvParser::new(options, csv);
            if csv.multiline {
                Box::new(RecordDecoder::new(parser, QuotedLines::new(csv.delimiter), options))
            } else {
                Box::new(RecordDecoder::new(parser, EveryLine, options))
            }
        }
        FormatOptions::Raw => {
            Box::new(RecordDecoder::new(RawParser::new(schema), EveryLine, options))
        }
        FormatOptions::Frames => {
            return Err(FormatError("frames are not decoded record by record".into()));
        }
        FormatOptions::Arrow => Box::new(IpcDecoder::new(options)),
    })
}

/// An encoder for one file or connection.
///
/// # Errors
/// When the format cannot carry a column's type, or an option is out of range.
pub fn encoder(
    options: &FormatOptions,
    schema: &SchemaRef,
) -> Result<Box<dyn Encoder>, FormatError> {
    check(options, schema)?;
    Ok(match options {
        FormatOptions::Json(json) => Box::new(JsonEncoder::new(json, schema)),
        FormatOptions::Csv(csv) => Box::new(CsvEncoder::new(csv, schema)),
        FormatOptions::Raw => Box::new(RawEncoder),
        FormatOptions::Frames => Box::new(FrameEncoder::for_files(FRAME_SINK_NAME, schema)),
        FormatOptions::Arrow => Box::new(IpcEncoder::new(schema)),
    })
}

/// An encoder for eyes: rows as Flink's `print` connector shows them, `+I[1, foo]`.
///
/// # Errors
/// When a column's type cannot be shown.
pub fn print_encoder(schema: &Schema) -> Result<Box<dyn Encoder>, FormatError> {
    types::check("print", schema, types::is_scalar_or_nested)?;
    Ok(Box::new(PrintEncoder))
}

/// Whether a table with these columns can be written and read.
///
/// # Errors
/// When the format cannot carry a column's type, or an option is out of range.
pub fn check(options: &FormatOptions, schema: &Schema) -> Result<(), FormatError> {
    match options {
        FormatOptions::Json(_) => types::check("json", schema, types::is_scalar_or_nested),
        FormatOptions::Csv(csv) if !is_delimiter(csv.delimiter) => Err(FormatError(format!(
            "delimiter {:?} is not one ASCII character that is neither a quote nor a line end",
            char::from(csv.delimiter)
        ))),
        FormatOptions::Csv(_) => types::check("csv", schema, types::is_scalar),
        FormatOptions::Raw => raw::check(schema),
        FormatOptions::Frames | FormatOptions::Arrow => {
            check_frame_type(schema).map_err(|error| FormatError(error.to_string()))
        }
    }
}

fn is_delimiter(byte: u8) -> bool {
    byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r' | 0)
}

fn check_decoder(options: &DecoderOptions) -> Result<(), FormatError> {
    check(&options.format, &options.schema)?;
    let columns = options.schema.fields().len();
    assert!(options.projection.is_sorted_by(|left, right| left < right));
    assert!(options.projection.iter().all(|&column| column < columns));
    if !(1..=LINE_BYTES_CEILING).contains(&options.line_bytes_max) {
        return Err(FormatError(format!(
            "line_max is {} bytes; it must be between 1 and {LINE_BYTES_CEILING}",
            options.line_bytes_max
        )));
    }
    Ok(())
}
