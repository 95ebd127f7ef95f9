//! What JSON_ARRAYAGG and JSON_OBJECTAGG are made of: members as JSON before they are listed, and the
//! object of the members listed.

use arrow::array::{Array, AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion_common::{Result as PlanResult, exec_datafusion_err};
use std::sync::Arc;

use super::super::super::eval::{Kernel, Typed};
use super::super::kernel::{Strings, fallible_call, string_argument, text_call, try_build_text};
use super::super::{BindOptions, JSON_MEMBER_FUNCTION, JSON_OBJECT_OF_FUNCTION, Scalar};
use super::text::{compare, push_quoted};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: JSON_MEMBER_FUNCTION, arguments: (1, 1), bind: member },
    Scalar { name: JSON_OBJECT_OF_FUNCTION, arguments: (1, 1), bind: object_of },
];

/// What is between the brackets of a JSON array of one member; NULL when there is nothing.
fn member(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let array = string_argument(&arguments, 0)?;
    let kernel: Kernel = Arc::new(|values, rows| {
        let arrays = Strings::of(&values[0]);
        try_build_text(rows, 0, |row, out| {
            let inner = arrays.get(row).and_then(|text| text.strip_prefix('[')?.strip_suffix(']'));
            Ok(inner.filter(|inner| !inner.is_empty()).map(|inner| out.push_str(inner)))
        })
    });
    Ok(text_call("JSON_MEMBER({})", vec![array], kernel))
}

/// The object of a list of rows of key and member, by the order of keys; without a member, a key is left
/// out. Two equal keys are an error, as in Flink.
fn object_of(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let pairs = &arguments[0];
    let keys_are_texts = match &pairs.data_type {
        DataType::List(pair) => match pair.data_type() {
            DataType::Struct(parts) => *parts[0].data_type() == DataType::Utf8,
            _ => false,
        },
        _ => false,
    };
    if !keys_are_texts {
        return Err("JSON_OBJECTAGG: a key is a STRING; CAST it".into());
    }
    let kernel: Kernel = Arc::new(|values, rows| {
        let lists = values[0].clone().into_array(rows)?;
        let lists = lists.as_list::<i32>();
        try_build_text(rows, 0, |row, out| {
            out.push('{');
            if lists.is_valid(row) {
                let members = lists.value(row);
                let members = members.as_struct();
                push_members(members.column(0).as_string(), members.column(1).as_string(), out)?;
            }
            out.push('}');
            Ok(Some(()))
        })
    });
    let expressions = vec![Arc::clone(&pairs.expr)];
    Ok(fallible_call("JSON_OBJECT_OF({})", expressions, DataType::Utf8, kernel))
}

fn push_members(keys: &StringArray, members: &StringArray, out: &mut String) -> PlanResult<()> {
    if keys.null_count() > 0 {
        return Err(exec_datafusion_err!("JSON_OBJECTAGG: a key is NULL"));
    }
    let mut order: Vec<usize> = (0..keys.len()).collect();
    order.sort_by(|one, other| compare(keys.value(*one), keys.value(*other)));
    if let Some(same) = order.windows(2).find(|pair| keys.value(pair[0]) == keys.value(pair[1])) {
        let key = keys.value(same[0]);
        return Err(exec_datafusion_err!("JSON_OBJECTAGG: the key '{key}' is there twice"));
    }
    let mut separator = "";
    for row in order.into_iter().filter(|row| members.is_valid(*row)) {
        out.push_str(separator);
        push_quoted(keys.value(row), out);
        out.push(':');
        out.push_str(members.value(row));
        separator = ",";
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pairs: &[(Option<&str>, Option<&str>)], expected: Result<&str, &str>) {
        let keys: StringArray = pairs.iter().map(|(key, _)| *key).collect();
        let members: StringArray = pairs.iter().map(|(_, member)| *member).collect();
        let mut object = String::new();
        match (push_members(&keys, &members, &mut object), expected) {
            (Ok(()), Ok(expected)) => assert_eq!(object, expected),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (got, expected) => panic!("{got:?}, not {expected:?}"),
        }
    }

    #[test]
    fn members_are_sorted_and_keys_are_unique() {
        let pair = |key, member| (Some(key), Some(member));
        check(&[], Ok(""));
        check(
            &[pair("b", "1"), pair("a\"", "[2]"), pair("B", "null")],
            Ok(r#""B":null,"a\"":[2],"b":1"#),
        );
        check(&[(Some("a"), None), pair("b", "1")], Ok(r#""b":1"#));
        check(&[pair("a", "1"), pair("a", "1")], Err("'a' is there twice"));
        check(&[(None, Some("1"))], Err("a key is NULL"));
    }
}
