//! Keys and values in words.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use crate::record::{KeyEncoder, key_type_of};
use crate::state::{TableSchema, Value, ValueKind, decode_values};

/// Reads the keys of a table.
pub(super) struct KeyReader {
    /// `None` where the types are none that this program knows.
    encoder: Option<KeyEncoder>,
}

impl KeyReader {
    /// Of columns written as `name TYPE`, or `TYPE` alone.
    pub(super) fn new(columns: &[String]) -> KeyReader {
        let types: Option<Vec<DataType>> =
            columns.iter().map(|column| type_of_column(column)).collect();
        KeyReader { encoder: types.and_then(|types| KeyEncoder::new(&types).ok()) }
    }

    /// A key's columns in words; in hexadecimal digits where they are not what they should be.
    pub(super) fn read(&self, key: &[u8]) -> String {
        self.try_read(key).unwrap_or_else(|| format!("0x{}", hex(key)))
    }

    fn try_read(&self, key: &[u8]) -> Option<String> {
        let columns = self.encoder.as_ref()?.decode(std::iter::once(key)).ok()?;
        let words: Option<Vec<String>> = columns.iter().map(word).collect();
        Some(words?.join(", "))
    }

    /// True unless the key is not what this program would have written.
    pub(super) fn is_key(&self, key: &[u8]) -> bool {
        let Some(encoder) = &self.encoder else { return true };
        encoder.decode(std::iter::once(key)).is_ok()
    }
}

/// The one value of a column.
fn word(column: &ArrayRef) -> Option<String> {
    let options = FormatOptions::new().with_null("NULL");
    let formatter = ArrayFormatter::try_new(column.as_ref(), &options).ok()?;
    Some(formatter.value(0).to_string())
}

/// Names may contain spaces: the type is the longest end that is the name of one.
fn type_of_column(column: &str) -> Option<DataType> {
    let begins = column.match_indices(' ').map(|(at, _)| at + 1);
    std::iter::once(0).chain(begins).find_map(|begin| key_type_of(&column[begin..]))
}

/// The values beside a key, with their names.
pub(super) fn values(schema: &TableSchema, encoded: &[u8]) -> Vec<(String, String)> {
    let kinds: Vec<ValueKind> = schema.values.iter().map(|value| value.kind).collect();
    let values = decode_values(&kinds, encoded).zip(&schema.values);
    let named = values.map(|(value, known)| {
        let text =
            value.map_or_else(|error| error.to_string(), |value| in_words(value, known.kind));
        (known.name.clone(), text)
    });
    named.collect()
}

fn in_words(value: Value<'_>, kind: ValueKind) -> String {
    match value {
        Value::Word(bits) if kind == ValueKind::Float => f64::from_bits(bits).to_string(),
        Value::Word(bits) => bits.cast_signed().to_string(),
        Value::Pair([upper, lower]) => {
            let unscaled = u128::from(upper) << 64 | u128::from(lower);
            unscaled.cast_signed().to_string()
        }
        Value::Bytes(None) => "NULL".to_owned(),
        Value::Bytes(Some(bytes)) if kind == ValueKind::Text => {
            String::from_utf8_lossy(bytes).into_owned()
        }
        Value::Bytes(Some(bytes)) => format!("0x{}", hex(bytes)),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{EncodedKeys, KeyHasher};
    use crate::state::ValueSchema;
    use arrow::array::{Int64Array, StringArray};
    use std::sync::Arc;

    #[test]
    fn keys_are_read_by_the_names_of_their_types() {
        let types = [DataType::Int64, DataType::Utf8];
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from(vec![Some(7), None])),
            Arc::new(StringArray::from(vec!["a, b", "ü"])),
        ];
        let mut keys = EncodedKeys::default();
        KeyEncoder::new(&types).unwrap().encode(&columns, 2, KeyHasher::new(0), &mut keys);
        let reader = KeyReader::new(&["a name BIGINT".into(), "s STRING".into()]);
        assert_eq!(reader.read(keys.key(0)), "7, a, b");
        assert_eq!(reader.read(keys.key(1)), "NULL, ü");
        assert!(reader.is_key(keys.key(0)) && !reader.is_key(b"x"));
        assert_eq!(reader.read(b"x"), "0x78");
        let unknown = KeyReader::new(&["k POINT".into()]);
        assert_eq!(unknown.read(&[1, 255]), "0x01ff");
        assert_eq!(KeyReader::new(&[]).read(b""), "");
    }

    #[test]
    fn values_are_told_by_their_kinds() {
        let kinds = [ValueKind::Int, ValueKind::Float, ValueKind::Decimal, ValueKind::Text];
        let value = |kind: ValueKind| ValueSchema { name: kind.to_string(), kind };
        let schema = TableSchema {
            name: "t".into(),
            keys: vec![],
            values: kinds.into_iter().chain([ValueKind::Bytes]).map(value).collect(),
            is_set: false,
        };
        let mut encoded = Vec::new();
        encoded.extend_from_slice(&(-5_i64).to_le_bytes());
        encoded.extend_from_slice(&1.5_f64.to_le_bytes());
        encoded.extend_from_slice(&u64::MAX.to_le_bytes());
        encoded.extend_from_slice(&(u64::MAX - 1).to_le_bytes());
        encoded.extend_from_slice(&[3, 0, 0, 0, b'h', b'i', 0, 0, 0, 0]);
        let texts: Vec<String> = values(&schema, &encoded).into_iter().map(|it| it.1).collect();
        assert_eq!(texts, ["-5", "1.5", "-2", "hi", "NULL"]);
        assert_eq!(values(&schema, &encoded[..4])[0].1, "byte 0: the slice ends too soon");
    }
}
