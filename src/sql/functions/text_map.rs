//! A MAP made of a text.

use arrow::array::{Array, ArrayBuilder, MapArray, StringBuilder, StructArray};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::DataType;
use datafusion_common::ScalarValue;
use std::collections::HashMap;
use std::sync::Arc;

use super::super::eval::{Kernel, Typed};
use super::super::types::map_of;
use super::kernel::{Strings, call, string_argument};
use super::regex::{Matcher, constant_matcher};
use super::{BindOptions, Scalar};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] =
    &[Scalar { name: "STR_TO_MAP", arguments: (1, 3), bind: str_to_map }];

/// `STR_TO_MAP(text, between pairs, between key and value)`; the delimiters are patterns, `,` and
/// `=` unless told. A pair without its delimiter is a key without a value; of equal keys the last
/// value counts.
fn str_to_map(mut arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    match arguments.len() {
        1 => arguments.extend([",", "="].map(|text| Typed::constant(ScalarValue::from(text)))),
        2 => return Err("both delimiters are given or none".into()),
        _ => {}
    }
    let delimiter = |position: usize| {
        let text = arguments[position].literal_text().ok_or("the delimiters must be literals")?;
        constant_matcher(text)
    };
    let (pairs, values) = (delimiter(1)?, delimiter(2)?);
    let map = map_of(DataType::Utf8, DataType::Utf8);
    let DataType::Map(entries, _) = &map else { unreachable!("it is a MAP") };
    let entries = Arc::clone(entries);
    let label = format!(
        "STR_TO_MAP({{}}, '{}', '{}')",
        arguments[1].literal_text().unwrap_or_default(),
        arguments[2].literal_text().unwrap_or_default()
    );
    let kernel: Kernel = Arc::new(move |columns, rows| {
        let texts = Strings::of(&columns[0]);
        let (mut keys, mut found) = (StringBuilder::new(), StringBuilder::new());
        let (mut lengths, mut valid) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        for row in 0..rows {
            let before = keys.len();
            let text = texts.get(row);
            for (key, value) in text.map_or_else(Vec::new, |text| parts(text, &pairs, &values)) {
                keys.append_value(key);
                found.append_option(value);
            }
            lengths.push(keys.len() - before);
            valid.push(text.is_some());
        }
        let DataType::Struct(fields) = entries.data_type() else {
            unreachable!("entries are rows")
        };
        let parts: Vec<Arc<dyn Array>> = vec![Arc::new(keys.finish()), Arc::new(found.finish())];
        let rows_of_entries = StructArray::try_new(fields.clone(), parts, None)?;
        let offsets = OffsetBuffer::from_lengths(lengths);
        let nulls = Some(NullBuffer::from(valid));
        let maps = MapArray::try_new(Arc::clone(&entries), offsets, rows_of_entries, nulls, false)?;
        Ok(Arc::new(maps))
    });
    Ok(call(&label, vec![string_argument(&arguments, 0)?], map, kernel))
}

fn parts<'t>(text: &'t str, pairs: &Matcher, values: &Matcher) -> Vec<(&'t str, Option<&'t str>)> {
    if text.is_empty() {
        return Vec::new();
    }
    let mut places = HashMap::new();
    let mut parts: Vec<(&str, Option<&str>)> = Vec::new();
    for pair in pairs.split(text, 0) {
        let (key, value) = match values.split(pair, 2)[..] {
            [key, value] => (key, Some(value)),
            _ => (pair, None),
        };
        match places.get(key) {
            Some(&place) => {
                let part: &mut (&str, Option<&str>) = &mut parts[place];
                part.1 = value;
            }
            None => {
                places.insert(key, parts.len());
                parts.push((key, value));
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_into_pairs() {
        let check = |text: &str, between: &str, within: &str, expected: &[(&str, Option<&str>)]| {
            let (pairs, values) =
                (constant_matcher(between).unwrap(), constant_matcher(within).unwrap());
            assert_eq!(parts(text, &pairs, &values), expected, "{text}");
        };
        check("k1=v1,k2=v2", ",", "=", &[("k1", Some("v1")), ("k2", Some("v2"))]);
        check("k1=v1$k2", r"\$", "=", &[("k1", Some("v1")), ("k2", None)]);
        check("k=v=w", ",", "=", &[("k", Some("v=w"))]);
        check("a=1,b=,a=2", ",", "=", &[("a", Some("2")), ("b", Some(""))]);
        check("", ",", "=", &[]);
    }
}
