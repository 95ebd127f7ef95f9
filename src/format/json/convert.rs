//! Converter: one token to one value of a column; arrays, rows and maps recursively.

use arrow::datatypes::DataType;

use super::super::column::{Column, Nested, Values, is_numeric, offset};
use super::super::scalar::Fault;
use super::super::types::map_parts;
use super::escape::unescape;
use super::object::ObjectReader;
use super::reader::{Kind, Reader, Token};

/// What converting to a column's type needs beside the column.
pub(super) enum Converter {
    /// The type has no parts.
    Scalar,
    /// ARRAY or MAP.
    Many(Box<Converter>),
    /// ROW.
    Row(Box<ObjectReader>, Vec<Converter>),
}

impl Converter {
    pub(super) fn new(data_type: &DataType) -> Converter {
        match data_type {
            DataType::List(item) => Converter::Many(Box::new(Converter::new(item.data_type()))),
            DataType::Map(entries, _) => {
                let (_, value) = map_parts(entries).expect("maps without values were refused");
                Converter::Many(Box::new(Converter::new(value.data_type())))
            }
            DataType::Struct(fields) => {
                let names = fields.iter().map(|field| field.name().as_str());
                let parts = fields.iter().map(|field| Converter::new(field.data_type())).collect();
                Converter::Row(Box::new(ObjectReader::new(names)), parts)
            }
            _ => Converter::Scalar,
        }
    }

    /// Appends the token's value. `scratch` is anybody's.
    #[inline]
    pub(super) fn convert(
        &mut self,
        token: &Token,
        line: &[u8],
        column: &mut Column,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        match token.kind {
            Kind::Integer => column.push_integer(token.integer, token.text(line)),
            Kind::Text => column.push_text(token.text(line)),
            _ => self.convert_rare(token, line, column, scratch),
        }
    }

    #[inline(never)]
    fn convert_rare(
        &mut self,
        token: &Token,
        line: &[u8],
        column: &mut Column,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let is_string = column.field().data_type() == &DataType::Utf8;
        match token.kind {
            Kind::Integer | Kind::Text => unreachable!("converted by the caller"),
            Kind::Missing => column.push_null(Fault::Missing),
            Kind::Null => column.push_null(Fault::Null),
            Kind::Number if is_string || is_numeric(column.field().data_type()) => {
                column.push_text(token.text(line))
            }
            Kind::True | Kind::False
                if is_string || column.field().data_type() == &DataType::Boolean =>
            {
                column.push_text(token.text(line))
            }
            Kind::Escaped => {
                scratch.clear();
                unescape(token.text(line), scratch);
                column.push_text(scratch)
            }
            Kind::Container if is_string => column.push_text(token.text(line)),
            Kind::Container => {
                let parts = self.convert_parts(token.text(line), column, scratch);
                parts.map_err(|fault| match fault {
                    Fault::Null | Fault::Missing => Fault::Because("lacks a part that is NOT NULL"),
                    other => other,
                })
            }
            Kind::Number | Kind::True | Kind::False => Err(Fault::Form),
        }
    }

    /// `text` is an object or array that has been read before, and is therefore well-formed.
    fn convert_parts(
        &mut self,
        text: &[u8],
        column: &mut Column,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let Values::Nested(nested) = &mut column.values else { return Err(Fault::Form) };
        match (&mut **nested, self) {
            (Nested::List { offsets, items }, Converter::Many(item)) if text[0] == b'[' => {
                item.convert_items(text, items, scratch)?;
                offsets.push(offset(items.len()));
            }
            (Nested::Map { offsets, keys, values }, Converter::Many(item)) if text[0] == b'{' => {
                item.convert_entries(text, keys, values, scratch)?;
                offsets.push(offset(keys.len()));
            }
            (Nested::Struct { columns, rows }, Converter::Row(object, parts))
                if text[0] == b'{' =>
            {
                object.read(&mut Reader::new(text), 1).expect("the text was read before");
                for ((part, inner), token) in parts.iter_mut().zip(columns).zip(object.tokens()) {
                    part.convert(token, text, inner, scratch)?;
                }
                *rows += 1;
            }
            _ => return Err(Fault::Form),
        }
        column.mark_valid();
        Ok(())
    }

    fn convert_items(
        &mut self,
        text: &[u8],
        items: &mut Column,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mut reader = Reader::new(text);
        while reader.next_item(0).expect("the text was read before") {
            let token = reader.value(1).expect("the text was read before");
            self.convert(&token, text, items, scratch)?;
        }
        Ok(())
    }

    /// Of duplicate keys, all entries are kept: an Arrow map is a list of pairs.
    fn convert_entries(
        &mut self,
        text: &[u8],
        keys: &mut Column,
        values: &mut Column,
        scratch: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mut reader = Reader::new(text);
        while let Some(key) = reader.next_key(0).expect("the text was read before") {
            Converter::Scalar.convert(&key, text, keys, scratch)?;
            let token = reader.value(1).expect("the text was read before");
            self.convert(&token, text, values, scratch)?;
        }
        Ok(())
    }
}
