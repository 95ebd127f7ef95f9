//! Functions that tell what a text consists of. Of NULL they are false.

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use regex::Regex;
use std::sync::Arc;

use super::super::cast::parse_float;
use super::super::eval::{Kernel, Typed};
use super::kernel::{Strings, call, string_argument};
use super::{BindOptions, Scalar};

type Bound = Result<Typed, String>;

pub(super) const SCALARS: &[Scalar] = &[
    Scalar { name: "IS_ALPHA", arguments: (1, 1), bind: is_alpha },
    Scalar { name: "IS_DECIMAL", arguments: (1, 1), bind: is_decimal },
    Scalar { name: "IS_DIGIT", arguments: (1, 1), bind: is_digit },
];

/// Letters of the basic plane: Java looks at UTF-16 code units.
fn is_alpha(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let letters = pattern(r"\p{L}");
    checked("IS_ALPHA", &arguments, move |text| letters.is_match(text))
}

fn is_digit(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    let digits = pattern(r"\p{Nd}");
    checked("IS_DIGIT", &arguments, move |text| digits.is_match(text))
}

/// What CAST reads as a DOUBLE.
fn is_decimal(arguments: Vec<Typed>, _: &BindOptions) -> Bound {
    checked("IS_DECIMAL", &arguments, |text| parse_float::<f64>(text.trim()).is_some())
}

fn pattern(class: &str) -> Regex {
    let whole = format!(r"\A[{class}&&[\x{{0}}-\x{{FFFF}}]]+\z");
    Regex::new(&whole).expect("the classes are those of this file")
}

fn checked(
    name: &str,
    arguments: &[Typed],
    holds: impl Fn(&str) -> bool + Send + Sync + 'static,
) -> Bound {
    let argument = string_argument(arguments, 0)?;
    let kernel: Kernel = Arc::new(move |values, rows| {
        let texts = Strings::of(&values[0]);
        let one = |row| Some(texts.get(row).is_some_and(&holds));
        Ok(Arc::new((0..rows).map(one).collect::<BooleanArray>()) as ArrayRef)
    });
    Ok(call(name, vec![argument], DataType::Boolean, kernel))
}
