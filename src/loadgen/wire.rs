//! Wire: records to bytes, and bytes to results. The seam behind which a format stands.
//!
//! In:  records that are due; pieces of what the job sends back, cut anywhere.
//! Out: bytes to send; the columns of each result that the generator knows.
//!
//! Read: `frames` (the same in frames).
//!
//! A record has the columns `id`, `k`, `seq`, `due_ns`, `amount` (BIGINT, in this order) and `pad`, a text
//! that makes it as long as was asked for. A result may have any columns; of JSON those five are
//! found by their names wherever they stand, of CSV the first five fields are taken for them.

mod frames;

use memchr::memchr2;

use super::script::Record;
use crate::format::{EveryLine, Framer};
pub(super) use frames::FrameRecords;
use frames::FrameResults;

/// Longest result that is read.
const RESULT_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Bytes of a result quoted in a message.
const QUOTED_BYTES_MAX: usize = 200;

/// How records are written and results are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WireFormat {
    /// One JSON object per line.
    Json,
    /// Comma-separated, one record per line.
    Csv,
    /// Frames of the native protocol.
    Rkyv,
}

impl WireFormat {
    /// Its name in job files and reports.
    pub fn name(self) -> &'static str {
        match self {
            WireFormat::Json => "json",
            WireFormat::Csv => "csv",
            WireFormat::Rkyv => "rkyv",
        }
    }

    /// The same, or lines where the way is one that passes on lines alone.
    pub(super) fn as_lines(self) -> WireFormat {
        match self {
            WireFormat::Rkyv => WireFormat::Json,
            lines => lines,
        }
    }
}

/// Writes records.
#[derive(Clone, Debug)]
pub(super) struct RecordWriter {
    format: WireFormat,
    /// Bytes of a line without its end.
    bytes: usize,
    padding: Vec<u8>,
}

impl RecordWriter {
    /// Lines of `bytes` bytes and a line end, if the numbers leave room; else longer.
    pub(super) fn new(format: WireFormat, bytes: usize) -> RecordWriter {
        let format = format.as_lines();
        let padding = (b'a'..=b'z').cycle().take(bytes).collect();
        RecordWriter { format, bytes, padding }
    }

    /// Appends a record to `out`.
    pub(super) fn write(&self, record: &Record, out: &mut Vec<u8>) {
        let (id, rest) = numbers(record);
        self.write_numbers(id, rest, out);
    }

    /// Appends a record whose negative number no record of the load has: a result of it shows that
    /// the way through the job is open.
    pub(super) fn write_probe(&self, number: u64, out: &mut Vec<u8>) {
        let (id, rest) = probe_numbers(number);
        self.write_numbers(id, rest, out);
    }

    fn write_numbers(&self, id: i64, rest: [u64; 4], out: &mut Vec<u8>) {
        let begin = out.len();
        let (names, last) = match self.format {
            WireFormat::Json => {
                ([b",\"k\":".as_slice(), b",\"seq\":", b",\"due_ns\":", b",\"amount\":"], 10)
            }
            WireFormat::Csv | WireFormat::Rkyv => ([b",".as_slice(); 4], 1),
        };
        if self.format == WireFormat::Json {
            out.extend_from_slice(b"{\"id\":");
        }
        let mut digits = itoa::Buffer::new();
        out.extend_from_slice(digits.format(id).as_bytes());
        for (name, number) in names.into_iter().zip(rest) {
            out.extend_from_slice(name);
            out.extend_from_slice(digits.format(number).as_bytes());
        }
        let used = out.len() - begin + last;
        let padding = &self.padding[..self.bytes.saturating_sub(used).min(self.padding.len())];
        match self.format {
            WireFormat::Json => {
                out.extend_from_slice(b",\"pad\":\"");
                out.extend_from_slice(padding);
                out.extend_from_slice(b"\"}\n");
            }
            WireFormat::Csv | WireFormat::Rkyv => {
                out.push(b',');
                out.extend_from_slice(padding);
                out.push(b'\n');
            }
        }
    }
}

impl FrameRecords {
    /// A record for the next frame.
    pub(super) fn add(&mut self, record: &Record) {
        let (id, rest) = numbers(record);
        self.add_numbers(id, rest);
    }

    /// A probe, as `RecordWriter::write_probe` writes it.
    pub(super) fn add_probe(&mut self, number: u64) {
        let (id, rest) = probe_numbers(number);
        self.add_numbers(id, rest);
    }

    fn add_numbers(&mut self, id: i64, rest: [u64; 4]) {
        let [key, sequence, due_ns, amount] = rest.map(signed);
        self.stage([id, key, sequence, due_ns, amount]);
    }
}

fn numbers(record: &Record) -> (i64, [u64; 4]) {
    let Record { id, key, sequence, due_ns, amount } = *record;
    (signed(id), [key, sequence, due_ns, amount])
}

fn probe_numbers(number: u64) -> (i64, [u64; 4]) {
    (-1 - signed(number), [0, 0, 0, 1])
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).expect("2^63 records are more than can be sent")
}

/// What is known of a result; a column that is not there is `None`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) struct ResultRow {
    pub(super) id: Option<i64>,
    pub(super) key: Option<i64>,
    pub(super) sequence: Option<i64>,
    pub(super) due_ns: Option<i64>,
    pub(super) amount: Option<i64>,
}

/// Cuts and reads results.
#[derive(Debug)]
pub(super) struct ResultReader {
    format: WireFormat,
    framer: Framer<EveryLine>,
    frames: Option<Box<FrameResults>>,
}

impl ResultReader {
    pub(super) fn new(format: WireFormat) -> ResultReader {
        let frames = (format == WireFormat::Rkyv).then(|| Box::new(FrameResults::new()));
        ResultReader { format, framer: Framer::new(EveryLine, RESULT_BYTES_MAX, 0), frames }
    }

    /// What the connection begins with.
    pub(super) fn begin(&mut self) -> Vec<u8> {
        self.frames.as_mut().map_or_else(Vec::new, |frames| frames.begin())
    }

    /// Hands every result that `bytes` complete to `emit`, or what is wrong with it.
    pub(super) fn feed(&mut self, bytes: &[u8], mut emit: impl FnMut(Result<ResultRow, String>)) {
        if let Some(frames) = &mut self.frames {
            return frames.feed(bytes, &mut emit);
        }
        let format = self.format;
        self.framer.feed(bytes, &mut |framed| {
            let row = match format {
                _ if framed.too_long => None,
                WireFormat::Json => read_json(framed.bytes),
                WireFormat::Csv | WireFormat::Rkyv => read_csv(framed.bytes),
            };
            emit(row.ok_or_else(|| unreadable(format, framed.bytes)));
        });
    }
}

fn unreadable(format: WireFormat, line: &[u8]) -> String {
    let quoted = String::from_utf8_lossy(&line[..line.len().min(QUOTED_BYTES_MAX)]);
    let ending = if line.len() > QUOTED_BYTES_MAX { "…" } else { "" };
    format!("a result is not {}: {quoted}{ending}", format.name())
}

fn read_csv(line: &[u8]) -> Option<ResultRow> {
    let mut fields = line.split(|byte| *byte == b',');
    let mut next = || match fields.next() {
        None | Some(b"") => Some(None),
        Some(field) => number(field).map(Some),
    };
    Some(ResultRow {
        id: next()?,
        key: next()?,
        sequence: next()?,
        due_ns: next()?,
        amount: next()?,
    })
}

/// The numbers of a flat or nested object. What it skips it does not check.
fn read_json(line: &[u8]) -> Option<ResultRow> {
    let mut row = ResultRow::default();
    let mut rest = trimmed(line).strip_prefix(b"{")?;
    loop {
        rest = trimmed(rest);
        if let Some(end) = rest.strip_prefix(b"}") {
            return trimmed(end).is_empty().then_some(row);
        }
        let behind_quote = rest.strip_prefix(b"\"")?;
        let name_bytes = string_bytes(behind_quote)?;
        let name = &behind_quote[..name_bytes];
        rest = trimmed(&behind_quote[name_bytes + 1..]).strip_prefix(b":")?;
        rest = trimmed(rest);
        let value_bytes = value_bytes(rest)?;
        let value = &rest[..value_bytes];
        let column = match name {
            b"id" => Some(&mut row.id),
            b"k" => Some(&mut row.key),
            b"seq" => Some(&mut row.sequence),
            b"due_ns" => Some(&mut row.due_ns),
            b"amount" => Some(&mut row.amount),
            _ => None,
        };
        if let Some(column) = column
            && value != b"null"
        {
            *column = Some(number(value)?);
        }
        rest = trimmed(&rest[value_bytes..]);
        rest = rest.strip_prefix(b",").unwrap_or(rest);
    }
}

fn trimmed(bytes: &[u8]) -> &[u8] {
    // Most often there is nothing to trim.
    if bytes.first().is_some_and(|byte| !byte.is_ascii_whitespace()) {
        return bytes;
    }
    bytes.trim_ascii_start()
}

/// Bytes up to the closing quote.
fn string_bytes(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// Bytes of the value at the beginning of `rest`; at least one.
fn value_bytes(rest: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_u32);
    loop {
        match rest.get(at)? {
            b'"' => at += 2 + string_bytes(&rest[at + 1..])?,
            b'{' | b'[' => {
                depth += 1;
                at += 1;
            }
            b'}' | b']' if depth > 0 => {
                depth -= 1;
                at += 1;
            }
            b',' | b'}' if depth == 0 => return None,
            _ if depth == 0 => {
                let ends = |byte: &u8| matches!(byte, b',' | b'}') || byte.is_ascii_whitespace();
                return rest[at..].iter().position(ends).map(|bytes| at + bytes);
            }
            _ => at += 1,
        }
        if depth == 0 {
            return Some(at);
        }
    }
}

/// A whole number.
fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Record = Record { id: 7, key: 3, sequence: 2, due_ns: 1_000_000, amount: 500 };

    fn read(format: WireFormat, bytes: &[u8]) -> Vec<Result<ResultRow, String>> {
        let mut found = Vec::new();
        ResultReader::new(format).feed(bytes, |row| found.push(row));
        found
    }

    fn row(id: i64, key: i64, sequence: i64, due_ns: i64, amount: i64) -> ResultRow {
        ResultRow {
            id: Some(id),
            key: Some(key),
            sequence: Some(sequence),
            due_ns: Some(due_ns),
            amount: Some(amount),
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_has_the_length_asked_for() {
        for format in [WireFormat::Json, WireFormat::Csv] {
            for bytes in [0, 70, 100, 5_000] {
                let writer = RecordWriter::new(format, bytes);
                let mut out = Vec::new();
                writer.write(&RECORD, &mut out);
                if bytes >= 70 {
                    assert_eq!(out.len(), bytes + 1, "{format:?}");
                }
                writer.write_probe(4, &mut out);
                let expected = [Ok(row(7, 3, 2, 1_000_000, 500)), Ok(row(-5, 0, 0, 0, 1))];
                assert_eq!(read(format, &out), expected);
            }
        }
        let mut out = Vec::new();
        RecordWriter::new(WireFormat::Json, 0).write(&RECORD, &mut out);
        let expected =
            "{\"id\":7,\"k\":3,\"seq\":2,\"due_ns\":1000000,\"amount\":500,\"pad\":\"\"}\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[track_caller]
    fn check_json(line: &str, expected: Option<ResultRow>) {
        let found = read(WireFormat::Json, format!("{line}\n").as_bytes());
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].as_ref().ok(), expected.as_ref(), "{line}");
    }

    #[test]
    fn columns_are_found_wherever_they_stand() {
        let none = ResultRow::default();
        check_json("{}", Some(none));
        check_json("{\"x\":1}", Some(none));
        let both = ResultRow { id: Some(1), amount: Some(-2), ..none };
        check_json("{\"amount\":-2,\"id\":1}", Some(both));
        check_json(" { \"amount\" : -2 , \"id\" : 1 } ", Some(both));
        check_json("{\"s\":\"a\\\"}{,\",\"id\":1,\"amount\":-2}", Some(both));
        check_json("{\"r\":{\"id\":9,\"l\":[1,\"]\"]},\"id\":1,\"amount\":-2}", Some(both));
        check_json("{\"id\":null,\"k\":5}", Some(ResultRow { key: Some(5), ..none }));
        for broken in [
            "",
            "x",
            "{",
            "{\"id\"",
            "{\"id\":",
            "{\"id\":}",
            "{\"id\":1",
            "{\"id\":\"1\"}",
            "{\"id\":1.5}",
            "{\"id\":1}x",
            "{\"s\":\"a}",
            "{\"s\":\"\\",
            "{\"id\":99999999999999999999}",
            "{id:1}",
        ] {
            check_json(broken, None);
        }
    }

    #[test]
    fn fields_are_taken_in_order() {
        let rows = read(WireFormat::Csv, b"1,2,3,4,5,abc\n,2\n1,x\n");
        assert_eq!(rows[0], Ok(row(1, 2, 3, 4, 5)));
        assert_eq!(rows[1], Ok(ResultRow { key: Some(2), ..ResultRow::default() }));
        assert_eq!(rows[2], Err("a result is not csv: 1,x".to_owned()));
    }

    #[test]
    fn pieces_are_put_together_however_they_are_cut() {
        let mut out = Vec::new();
        let writer = RecordWriter::new(WireFormat::Json, 90);
        (0..3).for_each(|id| writer.write(&Record { id, ..RECORD }, &mut out));
        let whole = read(WireFormat::Json, &out);
        assert_eq!(whole.len(), 3);
        for cut in 0..=out.len() {
            let mut reader = ResultReader::new(WireFormat::Json);
            let mut found = Vec::new();
            reader.feed(&out[..cut], |row| found.push(row));
            reader.feed(&out[cut..], |row| found.push(row));
            assert_eq!(found, whole, "cut at byte {cut}");
        }
    }
}
