//! Functions of ROW and of structured types: `ROW(…)`, `row.field`, OBJECT_OF, OBJECT_UPDATE.

use arrow::array::{Array, ArrayRef, AsArray, StructArray};
use arrow::compute::{is_null, nullif};
use arrow::datatypes::DataType;
use datafusion_common::Result as PlanResult;
use std::sync::Arc;

use super::super::error::did_you_mean;
use super::super::eval::{Kernel, Physical, Typed};
use super::super::rewrite::UNNAMED_PREFIX;
use super::super::types::{class_of, row_of, structured_of, type_name};
use super::kernel::call;
use super::{ANY, BindOptions, FIELD_FUNCTION, Scalar};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "ROW", arguments: (1, ANY), bind: row },
    Scalar { name: FIELD_FUNCTION, arguments: (2, ANY), bind: field },
    Scalar { name: "OBJECT_OF", arguments: (1, ANY), bind: object_of },
    Scalar { name: "OBJECT_UPDATE", arguments: (3, ANY), bind: object_update },
];

/// `ROW(a, b)`; its fields are called `EXPR$0`, `EXPR$1`.
fn row(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let mut fields = Vec::with_capacity(arguments.len());
    for (index, argument) in arguments.iter().enumerate() {
        let name = format!("{UNNAMED_PREFIX}{index}");
        fields.push((name, known_type(argument, index + 1)?));
    }
    let expressions = arguments.into_iter().map(|argument| argument.expr).collect();
    Ok(constructed("ROW", row_of(fields), expressions))
}

fn known_type(argument: &Typed, position: usize) -> Result<DataType, String> {
    match &argument.data_type {
        DataType::Null => Err(format!("value {position} is NULL without a type; CAST it")),
        known => Ok(known.clone()),
    }
}

/// A ROW of one expression a field; `name` also tells what the kernel knows of the type.
fn constructed(name: &str, data_type: DataType, expressions: Vec<Physical>) -> Typed {
    let DataType::Struct(fields) = data_type.clone() else { unreachable!("a ROW is a struct") };
    let kernel: Kernel = Arc::new(move |values, rows| {
        let columns = values
            .iter()
            .map(|value| value.clone().into_array(rows))
            .collect::<PlanResult<Vec<ArrayRef>>>()?;
        Ok(Arc::new(StructArray::try_new_with_length(fields.clone(), columns, None, rows)?))
    });
    call(name, expressions, data_type, kernel)
}

/// A field of a ROW, by one or more names.
fn field(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let mut names = arguments.into_iter();
    let mut current = names.next().expect("the registry counted two");
    for name in names {
        let name = name.literal_text().ok_or("a field of a ROW is written row.field")?;
        current = one_field(current, name)?;
    }
    Ok(current)
}

fn one_field(row: Typed, name: &str) -> Bound {
    let DataType::Struct(fields) = &row.data_type else {
        return Err(format!("{} has no fields, so no `{name}`", type_name(&row.data_type)));
    };
    let Some((index, found)) = fields.find(name) else {
        let hint = did_you_mean(name, fields.iter().map(|field| field.name().as_str()));
        return Err(format!("the ROW has no field `{name}`{hint}"));
    };
    let data_type = found.data_type().clone();
    let kernel: Kernel = Arc::new(move |values, rows| {
        let array = values[0].clone().into_array(rows)?;
        let parts = array.as_struct();
        // A field of a NULL row is NULL.
        if parts.null_count() == 0 {
            return Ok(Arc::clone(parts.column(index)));
        }
        Ok(nullif(parts.column(index), &is_null(parts)?)?)
    });
    Ok(call(&format!("{{}}.{name}"), vec![row.expr], data_type, kernel))
}

/// Names and values behind the first argument, each name once.
fn named_values(arguments: Vec<Typed>) -> Result<Vec<(String, Typed)>, String> {
    let mut arguments = arguments.into_iter().skip(1);
    let mut named: Vec<(String, Typed)> = Vec::new();
    while let Some(written) = arguments.next() {
        let position = named.len() + 1;
        let name = written.literal_text();
        let name = name.ok_or_else(|| format!("name {position} is not a string constant"))?;
        let value = arguments.next().ok_or_else(|| format!("`{name}` has no value"))?;
        if named.iter().any(|(other, _)| other == name) {
            return Err(format!("`{name}` is given twice"));
        }
        known_type(&value, position)?;
        named.push((name.to_string(), value));
    }
    Ok(named)
}

/// `OBJECT_OF('class', 'name', value, …)`.
fn object_of(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let class = arguments[0].literal_text();
    let class = class.ok_or("argument 1 is the class, a string constant")?.to_string();
    let named = named_values(arguments)?;
    let types = named.iter().map(|(name, value)| (name.clone(), value.data_type.clone()));
    let data_type = structured_of(&class, types.collect());
    let expressions = named.into_iter().map(|(_, value)| value.expr).collect();
    Ok(constructed("OBJECT_OF", data_type, expressions))
}

/// The object with other values of some fields.
fn object_update(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let object = arguments[0].clone();
    let class = match &object.data_type {
        DataType::Struct(fields) => class_of(fields).map(|class| (class, fields)),
        _ => None,
    };
    let (class, fields) = class.ok_or_else(|| {
        format!("argument 1 is {}, not made by OBJECT_OF", type_name(&object.data_type))
    })?;
    let named = named_values(arguments)?;
    let mut types: Vec<(String, DataType)> =
        fields.iter().map(|field| (field.name().clone(), field.data_type().clone())).collect();
    let mut replaced = Vec::with_capacity(named.len());
    for (name, value) in &named {
        let names = types.iter().map(|(known, _)| known.as_str());
        let hint = did_you_mean(name, names);
        let index = types.iter().position(|(known, _)| known == name);
        let index = index.ok_or_else(|| format!("the object has no field `{name}`{hint}"))?;
        types[index].1 = value.data_type.clone();
        replaced.push(index);
    }
    let data_type = structured_of(class, types);
    let DataType::Struct(updated) = data_type.clone() else { unreachable!("made above") };
    let names: Vec<&str> = named.iter().map(|(name, _)| name.as_str()).collect();
    let name = format!("OBJECT_UPDATE[{}]", names.join(", "));
    let expressions =
        std::iter::once(object.expr).chain(named.into_iter().map(|(_, value)| value.expr));
    let expressions: Vec<Physical> = expressions.collect();
    let kernel: Kernel = Arc::new(move |values, rows| {
        let given = values[0].clone().into_array(rows)?;
        let mut columns = given.as_struct().columns().to_vec();
        for (&index, value) in replaced.iter().zip(&values[1..]) {
            columns[index] = value.clone().into_array(rows)?;
        }
        let nulls = given.nulls().cloned();
        Ok(Arc::new(StructArray::try_new_with_length(updated.clone(), columns, nulls, rows)?))
    });
    Ok(call(&name, expressions, data_type, kernel))
}
