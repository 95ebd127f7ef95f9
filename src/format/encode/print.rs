//! Print encoder: rows as Flink's `print` connector shows them: `+I[1, foo, null]`.
//!
//! Timestamps and times as Java shows them: seconds only when there are some, fractions in groups of
//! three digits; TIMESTAMP_LTZ always with seconds and with `Z`. Text is not quoted: this is for eyes.

use arrow::array::RecordBatch;
use std::ops::Range;

use super::super::Encoder;
use super::text::{self, TimestampForm};
use super::view::{Values, View};

/// Writes one line per row.
#[derive(Debug)]
pub(in crate::format) struct PrintEncoder;

impl Encoder for PrintEncoder {
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
        let views: Vec<View<'_>> = rows.columns().iter().map(View::new).collect();
        for row in 0..rows.num_rows() {
            write_row(&views, row, out);
            out.push(b'\n');
        }
    }
}

fn write_row(columns: &[View<'_>], row: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(b"+I[");
    for (count, column) in columns.iter().enumerate() {
        write_comma(count, out);
        write_value(column, row, out);
    }
    out.push(b']');
}

fn write_value(view: &View<'_>, row: usize, out: &mut Vec<u8>) {
    if !view.is_valid(row) {
        return out.extend_from_slice(b"null");
    }
    match &view.values {
        Values::List(offsets, items) => {
            out.push(b'[');
            for (count, item) in range(offsets, row).enumerate() {
                write_comma(count, out);
                write_value(items, item, out);
            }
            out.push(b']');
        }
        Values::Map(offsets, parts) => {
            let [keys, values] = &**parts;
            out.push(b'{');
            for (count, entry) in range(offsets, row).enumerate() {
                write_comma(count, out);
                write_value(keys, entry, out);
                out.push(b'=');
                write_value(values, entry, out);
            }
            out.push(b'}');
        }
        Values::Struct(_, parts) => write_row(parts, row, out),
        Values::Bytes(column) => write_bytes(column.value(row), out),
        Values::Timestamp(_, _, zoned) => write_clock(view, row, *zoned, out),
        Values::Time32(..) | Values::Time64(..) => write_clock(view, row, false, out),
        _ => text::scalar(view, row, TimestampForm::Iso, out),
    }
}

/// Java's bytes have a sign.
fn write_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    out.push(b'[');
    for (count, byte) in bytes.iter().enumerate() {
        write_comma(count, out);
        out.extend_from_slice(byte.cast_signed().to_string().as_bytes());
    }
    out.push(b']');
}

/// A timestamp or time: what the text formats write, with Java's idea of seconds and fractions.
fn write_clock(view: &View<'_>, row: usize, zoned: bool, out: &mut Vec<u8>) {
    let start = out.len();
    text::scalar(view, row, TimestampForm::Iso, out);
    if zoned {
        assert_eq!(out.pop(), Some(b'Z'));
    }
    let point = out[start..].iter().rposition(|&byte| byte == b'.');
    if let Some(point) = point {
        let digits = out.len() - start - point - 1;
        out.resize(out.len() + digits.next_multiple_of(3) - digits, b'0');
    } else if !zoned && out.ends_with(b":00") {
        out.truncate(out.len() - b":00".len());
    }
    if zoned {
        out.push(b'Z');
    }
}

fn range(offsets: &[i32], row: usize) -> Range<usize> {
    let at = |index: usize| usize::try_from(offsets[index]).expect("offsets are lengths");
    at(row)..at(row + 1)
}

fn write_comma(count: usize, out: &mut Vec<u8>) {
    if count > 0 {
        out.extend_from_slice(b", ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{
        ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array,
        Int64Array, ListArray, StringArray, StructArray, Time32MillisecondArray,
        TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    };
    use arrow::datatypes::{DataType, Field, Int64Type};
    use std::sync::Arc;

    /// One column, its rows as lines.
    #[track_caller]
    fn check(column: impl arrow::array::Array + 'static, expected: &[&str]) {
        let column: ArrayRef = Arc::new(column);
        let rows = RecordBatch::try_from_iter([("c", column)]).unwrap();
        let mut out = Vec::new();
        PrintEncoder.encode(&rows, &mut out);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn rows_are_shown_in_brackets() {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
        let words: ArrayRef = Arc::new(StringArray::from(vec![Some("foo, \"bar\""), Some("")]));
        let rows = RecordBatch::try_from_iter([("a", numbers), ("b", words)]).unwrap();
        let mut out = Vec::new();
        PrintEncoder.encode(&rows, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), "+I[1, foo, \"bar\"]\n+I[null, ]\n");
    }

    #[test]
    fn scalars_are_shown_as_java_does() {
        check(BooleanArray::from(vec![true, false]), &["+I[true]", "+I[false]"]);
        check(Float64Array::from(vec![1.0, 1e10, -0.5]), &["+I[1.0]", "+I[1.0E10]", "+I[-0.5]"]);
        let decimals = Decimal128Array::from(vec![1010]).with_precision_and_scale(10, 2).unwrap();
        check(decimals, &["+I[10.10]"]);
        check(Date32Array::from(vec![0]), &["+I[1970-01-01]"]);
        check(BinaryArray::from(vec![&b"\x01\xff"[..], b""]), &["+I[[1, -1]]", "+I[[]]"]);
    }

    #[test]
    fn times_have_seconds_when_there_are_some_and_fractions_in_threes() {
        let millis = vec![0, 60_000, 1_000, 100, 120];
        let shown = ["00:00", "00:01", "00:00:01", "00:00:00.100", "00:00:00.120"];
        let lines: Vec<String> =
            shown.iter().map(|time| format!("+I[1970-01-01T{time}]")).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        check(TimestampMillisecondArray::from(millis), &lines);
        let micros = TimestampMicrosecondArray::from(vec![1, 100_000]);
        check(micros, &["+I[1970-01-01T00:00:00.000001]", "+I[1970-01-01T00:00:00.100]"]);
        let nanos = TimestampNanosecondArray::from(vec![1_000, 1]);
        check(nanos, &["+I[1970-01-01T00:00:00.000001]", "+I[1970-01-01T00:00:00.000000001]"]);
        check(Time32MillisecondArray::from(vec![0, 61_500]), &["+I[00:00]", "+I[00:01:01.500]"]);
        let zoned = TimestampMillisecondArray::from(vec![0, 1_500]).with_timezone("UTC");
        check(zoned, &["+I[1970-01-01T00:00:00Z]", "+I[1970-01-01T00:00:01.500Z]"]);
    }

    #[test]
    fn parts_are_shown_inside() {
        let lists = vec![Some(vec![Some(1), None]), None, Some(vec![])];
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>(lists);
        check(lists, &["+I[[1, null]]", "+I[null]", "+I[[]]"]);
        let number: ArrayRef = Arc::new(Int64Array::from(vec![7]));
        let rows =
            StructArray::from(vec![(Arc::new(Field::new("x", DataType::Int64, true)), number)]);
        check(rows, &["+I[+I[7]]"]);
    }
}
