//! JSON encoder: one object per line, every column in order, NULL as null.

use arrow::array::RecordBatch;
use arrow::datatypes::Schema;
use std::ops::Range;

use super::super::swar;
use super::super::{Encoder, JsonOptions};
use super::text::{self, Shape, TimestampForm};
use super::view::{Values, View, reuse};

/// Writes the rows of one schema.
pub(in crate::format) struct JsonEncoder {
    /// By column: `{"name":` or `,"name":`.
    leads: Vec<Vec<u8>>,
    form: TimestampForm,
    /// Always empty between calls; kept for its memory.
    views: Vec<View<'static>>,
}

impl JsonEncoder {
    pub(in crate::format) fn new(options: &JsonOptions, schema: &Schema) -> JsonEncoder {
        let lead = |(index, field): (usize, &std::sync::Arc<arrow::datatypes::Field>)| {
            let mut lead = vec![if index == 0 { b'{' } else { b',' }];
            write_key(field.name(), &mut lead);
            lead
        };
        let form = if options.iso_timestamps { TimestampForm::Iso } else { TimestampForm::Sql };
        let leads = schema.fields().iter().enumerate().map(lead).collect();
        JsonEncoder { leads, form, views: Vec::new() }
    }
}

impl Encoder for JsonEncoder {
    fn begin(&mut self, _out: &mut Vec<u8>) {}

    fn encode(&mut self, rows: &RecordBatch, out: &mut Vec<u8>) {
        assert_eq!(rows.num_columns(), self.leads.len());
        let mut views = reuse(std::mem::take(&mut self.views));
        views.extend(rows.columns().iter().map(View::new));
        for row in 0..rows.num_rows() {
            for (lead, view) in self.leads.iter().zip(&views) {
                out.extend_from_slice(lead);
                write_value(view, row, self.form, out);
            }
            if views.is_empty() {
                out.push(b'{');
            }
            out.extend_from_slice(b"}\n");
        }
        self.views = reuse(views);
    }
}

#[inline]
fn write_value(view: &View<'_>, row: usize, form: TimestampForm, out: &mut Vec<u8>) {
    if !view.is_valid(row) {
        return out.extend_from_slice(b"null");
    }
    match &view.values {
        Values::Text(column) => write_string(column.value(row), out),
        Values::List(..) | Values::Map(..) | Values::Struct(..) => {
            write_parts(view, row, form, out);
        }
        _ if text::shape(view, row) == Shape::Bare => text::scalar(view, row, form, out),
        _ => {
            out.push(b'"');
            text::scalar(view, row, form, out);
            out.push(b'"');
        }
    }
}

fn write_parts(view: &View<'_>, row: usize, form: TimestampForm, out: &mut Vec<u8>) {
    match &view.values {
        Values::List(offsets, items) => {
            out.push(b'[');
            for (count, item) in range(offsets, row).enumerate() {
                write_comma(count, out);
                write_value(items, item, form, out);
            }
            out.push(b']');
        }
        Values::Map(offsets, parts) => {
            let [keys, values] = &**parts;
            let Values::Text(names) = &keys.values else { unreachable!("map keys are text") };
            out.push(b'{');
            for (count, entry) in range(offsets, row).enumerate() {
                write_comma(count, out);
                write_key(names.value(entry), out);
                write_value(values, entry, form, out);
            }
            out.push(b'}');
        }
        Values::Struct(fields, parts) => {
            out.push(b'{');
            for (count, (field, part)) in fields.iter().zip(parts).enumerate() {
                write_comma(count, out);
                write_key(field.name(), out);
                write_value(part, row, form, out);
            }
            out.push(b'}');
        }
        _ => unreachable!("the caller has seen that the value has parts"),
    }
}

fn range(offsets: &[i32], row: usize) -> Range<usize> {
    let at = |index: usize| usize::try_from(offsets[index]).expect("offsets are lengths");
    at(row)..at(row + 1)
}

fn write_comma(count: usize, out: &mut Vec<u8>) {
    if count > 0 {
        out.push(b',');
    }
}

fn write_key(name: &str, out: &mut Vec<u8>) {
    write_string(name, out);
    out.push(b':');
}

/// Escapes what must be, as Jackson does; everything else stays as it is.
#[inline]
fn write_string(text: &str, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    out.push(b'"');
    let mut start = 0;
    loop {
        let end = swar::plain_until(bytes, start, &mut 0);
        out.extend_from_slice(&bytes[start..end]);
        match bytes.get(end) {
            None => break,
            Some(&byte) => write_escape(byte, out),
        }
        start = end + 1;
    }
    out.push(b'"');
}

#[cold]
fn write_escape(byte: u8, out: &mut Vec<u8>) {
    let letter = match byte {
        b'"' | b'\\' => byte,
        0x08 => b'b',
        0x0c => b'f',
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        control => {
            const HEX: &[u8; 16] = b"0123456789ABCDEF";
            let (high, low) = (HEX[usize::from(control >> 4)], HEX[usize::from(control & 15)]);
            return out.extend_from_slice(&[b'\\', b'u', b'0', b'0', high, low]);
        }
    };
    out.extend_from_slice(&[b'\\', letter]);
}
