//! Functions of MAP.

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use arrow::datatypes::{DataType, FieldRef};
use datafusion_common::{Result as PlanResult, exec_datafusion_err};
use std::sync::Arc;

use super::super::eval::{Call, Kernel, Typed};
use super::super::types::{list_of, map_of, map_parts, row_of};
use super::array_change::item_field;
use super::conditional::unified;
use super::kernel::call;
use super::lists::{Lists, Picks, check_distinguishable, element_type};
use super::{ANY, BindOptions, Scalar, wrong_argument};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "MAP", arguments: (2, ANY), bind: map },
    Scalar { name: "MAP_KEYS", arguments: (1, 1), bind: map_keys },
    Scalar { name: "MAP_VALUES", arguments: (1, 1), bind: map_values },
    Scalar { name: "MAP_ENTRIES", arguments: (1, 1), bind: map_entries },
    Scalar { name: "MAP_FROM_ARRAYS", arguments: (2, 2), bind: map_from_arrays },
    Scalar { name: "MAP_UNION", arguments: (1, ANY), bind: map_union },
];

fn entries_of(data_type: &DataType) -> FieldRef {
    match data_type {
        DataType::Map(entries, _) => Arc::clone(entries),
        other => unreachable!("{other} has been bound as a MAP"),
    }
}

/// `MAP[key, value, key, value]`.
fn map(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    if arguments.len() % 2 == 1 {
        return Err("a value for the last key is missing".into());
    }
    let (keys, values): (Vec<_>, Vec<_>) =
        arguments.into_iter().enumerate().partition(|(index, _)| index % 2 == 0);
    let parts = |side: Vec<(usize, Typed)>| {
        unified(side.into_iter().map(|(_, typed)| typed).collect(), options)
    };
    let ((keys, key), (values, value)) = (parts(keys)?, parts(values)?);
    if key == DataType::Null || value == DataType::Null {
        return Err("every key or every value is NULL; CAST one".into());
    }
    check_distinguishable(&key)?;
    let data_type = map_of(key, value);
    let (entries, count) = (entries_of(&data_type), keys.len());
    let kernel: Kernel = Arc::new(move |given, rows| {
        let arrays = given
            .iter()
            .map(|argument| argument.clone().into_array(rows))
            .collect::<PlanResult<Vec<ArrayRef>>>()?;
        let arrays: Vec<&ArrayRef> = arrays.iter().collect();
        let mut picks = Picks::with_capacity(rows);
        for row in 0..rows {
            for source in 0..count {
                picks.push(source, row);
            }
            picks.close(true);
        }
        let places: Vec<_> =
            (0..rows).flat_map(|row| (0..count).map(move |source| (source, row))).collect();
        picks.into_map(&arrays[..count], &arrays[count..], &places, &entries)
    });
    let expressions = keys.into_iter().chain(values).collect();
    let call = Call::new("MAP", expressions, data_type.clone(), kernel).fallible();
    Ok(Typed::new(Arc::new(call), data_type))
}

/// Key and value type of argument `position`.
fn parts_of(arguments: &[Typed], position: usize) -> Result<(DataType, DataType), String> {
    let given = &arguments[position].data_type;
    let (key, value) =
        map_parts(given).ok_or_else(|| wrong_argument(position + 1, "a MAP", given))?;
    Ok((key.data_type().clone(), value.data_type().clone()))
}

fn map_keys(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let (key, _) = parts_of(&arguments, 0)?;
    column_of_entries("MAP_KEYS", &arguments, &key, |entries| Arc::clone(entries.column(0)))
}

fn map_values(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let (_, value) = parts_of(&arguments, 0)?;
    column_of_entries("MAP_VALUES", &arguments, &value, |entries| Arc::clone(entries.column(1)))
}

fn map_entries(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let (key, value) = parts_of(&arguments, 0)?;
    let row = row_of(vec![("key".into(), key), ("value".into(), value)]);
    let DataType::Struct(fields) = row.clone() else { unreachable!("a ROW is a struct") };
    column_of_entries("MAP_ENTRIES", &arguments, &row, move |entries| {
        let columns = entries.columns().to_vec();
        let rows = StructArray::new(fields.clone(), columns, None);
        Arc::new(rows) as ArrayRef
    })
}

/// An ARRAY as long as the MAP, of something its entries have.
fn column_of_entries(
    name: &str,
    arguments: &[Typed],
    element: &DataType,
    column: impl Fn(&StructArray) -> ArrayRef + Send + Sync + 'static,
) -> Bound {
    let field = item_field(element);
    let kernel: Kernel = Arc::new(move |values, rows| {
        let array = values[0].clone().into_array(rows)?;
        let map = array.as_map();
        let elements = column(map.entries());
        let (offsets, nulls) = (map.offsets().clone(), map.nulls().cloned());
        Ok(Arc::new(ListArray::try_new(Arc::clone(&field), offsets, elements, nulls)?))
    });
    Ok(call(name, vec![Arc::clone(&arguments[0].expr)], list_of(element.clone()), kernel))
}

/// A MAP of an ARRAY of keys and an ARRAY of values.
fn map_from_arrays(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let (key, value) = (element_type(&arguments, 0)?, element_type(&arguments, 1)?);
    check_distinguishable(&key)?;
    let data_type = map_of(key, value);
    let entries = entries_of(&data_type);
    let kernel: Kernel = Arc::new(move |given, rows| {
        let (keys, values) = (Lists::of(&given[0])?, Lists::of(&given[1])?);
        let mut picks = Picks::with_capacity(rows);
        let mut places = Vec::new();
        for row in 0..rows {
            let both = keys.get(row).zip(values.get(row));
            let valid = both.is_some();
            if let Some((some_keys, some_values)) = both {
                if some_keys.len() != some_values.len() {
                    return Err(exec_datafusion_err!(
                        "MAP_FROM_ARRAYS of {} keys and {} values",
                        some_keys.len(),
                        some_values.len()
                    ));
                }
                picks.extend(0, some_keys);
                places.extend(some_values.map(|place| (0, place)));
            }
            picks.close(valid);
        }
        picks.into_map(&[keys.elements()], &[values.elements()], &places, &entries)
    });
    let expressions = arguments.iter().map(|argument| Arc::clone(&argument.expr)).collect();
    let call = Call::new("MAP_FROM_ARRAYS", expressions, data_type.clone(), kernel).fallible();
    Ok(Typed::new(Arc::new(call), data_type))
}

/// The entries of all MAPs; of equal keys the last one's value. NULL when one MAP is.
fn map_union(arguments: Vec<Typed>, options: &BindOptions) -> Bound {
    for position in 0..arguments.len() {
        let (key, _) = parts_of(&arguments, position)?;
        check_distinguishable(&key)?;
    }
    let (expressions, data_type) = unified(arguments, options)?;
    let entries = entries_of(&data_type);
    let kernel: Kernel = Arc::new(move |given, rows| {
        let maps = given.iter().map(Lists::of).collect::<PlanResult<Vec<_>>>()?;
        let mut picks = Picks::with_capacity(rows);
        let mut places = Vec::new();
        for row in 0..rows {
            let valid = maps.iter().all(|map| map.get(row).is_some());
            for (source, map) in maps.iter().enumerate().filter(|_| valid) {
                let found = map.get(row).into_iter().flatten();
                places.extend(found.clone().map(|entry| (source, entry)));
                picks.extend(source, found);
            }
            picks.close(valid);
        }
        let keys: Vec<_> = maps.iter().map(|map| map.map().keys()).collect();
        let values: Vec<_> = maps.iter().map(|map| map.map().values()).collect();
        picks.into_map(&keys, &values, &places, &entries)
    });
    Ok(call("MAP_UNION", expressions, data_type, kernel))
}
