//! Functions of ARRAY, and of what is in it by its place: `ARRAY[…]`, `array[1]`, CARDINALITY,
//! ELEMENT, ARRAY_JOIN.

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, ListArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{interleave, take};
use arrow::datatypes::{DataType, Field};
use datafusion_common::{Result as PlanResult, exec_datafusion_err};
use std::sync::Arc;

use super::super::eval::{Call, Kernel, Typed, equal};
use super::super::types::{is_integer, list_of, map_parts, type_name};
use super::conditional::unified;
use super::kernel::{
    Integers, Strings, build_text, call, integer_argument, integer_constant, string_argument,
    text_call,
};
use super::lists::{Lists, Rows, element_type, implicit_argument};
use super::{ANY, BindOptions, ITEM_FUNCTION, Scalar, wrong_argument};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "ARRAY", arguments: (1, ANY), bind: array },
    Scalar { name: ITEM_FUNCTION, arguments: (2, 2), bind: item },
    Scalar { name: "CARDINALITY", arguments: (1, 1), bind: cardinality },
    Scalar { name: "ELEMENT", arguments: (1, 1), bind: element },
    Scalar { name: "ARRAY_JOIN", arguments: (2, 3), bind: array_join },
    Scalar { name: "ARRAY_TO_STRING", arguments: (2, 3), bind: array_join },
];

/// `ARRAY[a, b]`.
fn array(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    let count = arguments.len();
    let (expressions, element) = unified(arguments, options)?;
    if element == DataType::Null {
        return Err("every element is NULL; CAST one".into());
    }
    let list = list_of(element.clone());
    let kernel: Kernel = Arc::new(move |values, rows| {
        let columns = values
            .iter()
            .map(|value| value.clone().into_array(rows))
            .collect::<PlanResult<Vec<ArrayRef>>>()?;
        let sources: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
        let order: Vec<(usize, usize)> =
            (0..rows).flat_map(|row| (0..count).map(move |column| (column, row))).collect();
        let elements = interleave(&sources, &order)?;
        let field = Arc::new(Field::new_list_field(element.clone(), true));
        let offsets = OffsetBuffer::from_repeated_length(count, rows);
        Ok(Arc::new(ListArray::try_new(field, offsets, elements, None)?))
    });
    Ok(call("ARRAY", expressions, list, kernel))
}

/// `array[1]` and `map['k']`; NULL where there is nothing.
fn item(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    match &arguments[0].data_type {
        DataType::List(_) => array_item(&arguments, options),
        DataType::Map(..) => map_item(&arguments, options),
        other => Err(format!("[ ] stands behind an ARRAY or a MAP, not {}", type_name(other))),
    }
}

/// Counts from 1.
fn array_item(arguments: &[Typed], options: &BindOptions) -> Bound {
    let element = element_type(arguments, 0)?;
    if !is_integer(&arguments[1].data_type) {
        let given = type_name(&arguments[1].data_type);
        return Err(format!("the index of an ARRAY is an integer, not {given}"));
    }
    if let Some(index @ ..=0) = integer_constant(&arguments[1]) {
        return Err(format!("the first element of an ARRAY is [1]; there is no [{index}]"));
    }
    let index = integer_argument(arguments, 1, options)?;
    let kernel: Kernel = Arc::new(|values, rows| {
        let lists = Lists::of(&values[0])?;
        let indices = Integers::of(&values[1])?;
        let place = |row: usize| {
            let elements = lists.get(row)?;
            let before = usize::try_from(indices.get(row)?).ok()?.checked_sub(1)?;
            (before < elements.len()).then(|| place_of(elements.start + before))
        };
        let places: UInt32Array = (0..rows).map(place).collect();
        Ok(take(lists.elements().as_ref(), &places, None)?)
    });
    Ok(call("{}[{}]", vec![Arc::clone(&arguments[0].expr), index], element, kernel))
}

/// An element's place as arrow takes it.
pub(super) fn place_of(element: usize) -> u32 {
    u32::try_from(element).expect("offsets of an array are below 2 G")
}

fn map_item(arguments: &[Typed], options: &BindOptions) -> Bound {
    let map_type = &arguments[0].data_type;
    let (key, value) = map_parts(map_type).ok_or("a MAP has keys and values")?;
    let value = value.data_type().clone();
    let key = implicit_argument(arguments, 1, key.data_type(), options)
        .map_err(|message| message.replace("argument 2", "the key"))?;
    let kernel: Kernel = Arc::new(|values, rows| {
        let maps = Lists::of(&values[0])?;
        let wanted = Rows::of(&values[1])?;
        let same = equal(maps.map().keys(), &wanted.array);
        let place = |row: usize| {
            let wanted_at = wanted.at(row);
            let mut entries = maps.get(row).filter(|_| !wanted.is_null(row))?;
            entries.find(|&entry| same(entry, wanted_at)).map(place_of)
        };
        let places: UInt32Array = (0..rows).map(place).collect();
        Ok(take(maps.map().values().as_ref(), &places, None)?)
    });
    Ok(call("{}[{}]", vec![Arc::clone(&arguments[0].expr), key], value, kernel))
}

/// Elements of an ARRAY, entries of a MAP.
fn cardinality(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let given = &arguments[0];
    if !matches!(given.data_type, DataType::List(_) | DataType::Map(..)) {
        return Err(wrong_argument(1, "an ARRAY or a MAP", &given.data_type));
    }
    let kernel: Kernel = Arc::new(|values, rows| {
        let lists = Lists::of(&values[0])?;
        let length = |row| {
            let elements = lists.get(row)?;
            Some(i32::try_from(elements.len()).expect("offsets have 32 bits"))
        };
        Ok(Arc::new((0..rows).map(length).collect::<Int32Array>()))
    });
    Ok(call("CARDINALITY", vec![Arc::clone(&given.expr)], DataType::Int32, kernel))
}

/// The only element; NULL of an empty ARRAY.
fn element(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let element = element_type(&arguments, 0)?;
    let kernel: Kernel = Arc::new(|values, rows| {
        let lists = Lists::of(&values[0])?;
        let place = |row: usize| match lists.get(row) {
            Some(elements) if elements.len() > 1 => Err(exec_datafusion_err!(
                "ELEMENT of an ARRAY with {} elements; it takes one",
                elements.len()
            )),
            Some(elements) => Ok((!elements.is_empty()).then(|| place_of(elements.start))),
            None => Ok(None),
        };
        let places = (0..rows).map(place).collect::<PlanResult<UInt32Array>>()?;
        Ok(take(lists.elements().as_ref(), &places, None)?)
    });
    let call = Call::new("ELEMENT", vec![Arc::clone(&arguments[0].expr)], element.clone(), kernel);
    Ok(Typed::new(Arc::new(call.fallible()), element))
}

/// The elements with a text between them; NULL elements are left out, or written as the third
/// argument.
fn array_join(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    if element_type(&arguments, 0)? != DataType::Utf8 {
        return Err(wrong_argument(1, "an ARRAY<STRING>", &arguments[0].data_type));
    }
    let mut expressions = vec![Arc::clone(&arguments[0].expr)];
    for position in 1..arguments.len() {
        expressions.push(string_argument(&arguments, position)?);
    }
    let kernel: Kernel = Arc::new(|values, rows| {
        let lists = Lists::of(&values[0])?;
        let texts = lists.elements().as_string::<i32>();
        let delimiters = Strings::of(&values[1]);
        let replacements = values.get(2).map(Strings::of);
        build_text(rows, texts.value_data().len(), |row, out| {
            let (elements, delimiter) = (lists.get(row)?, delimiters.get(row)?);
            let replacement = match &replacements {
                Some(replacements) => Some(replacements.get(row)?),
                None => None,
            };
            let mut first = true;
            for element in elements {
                let text =
                    if texts.is_null(element) { replacement } else { Some(texts.value(element)) };
                let Some(text) = text else { continue };
                if !std::mem::take(&mut first) {
                    out.push_str(delimiter);
                }
                out.push_str(text);
            }
            Some(())
        })
    });
    Ok(text_call("ARRAY_JOIN", expressions, kernel))
}
