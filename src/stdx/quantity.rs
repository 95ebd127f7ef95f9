//! A whole number followed by a unit: `64MiB`, `100ms`.
//!
//! In:  text as the user wrote it, and the units allowed with the factor of each.
//! Out: the number in the smallest unit, or what is wrong with the text.

use std::fmt;

/// Why a text is no quantity.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum QuantityError {
    /// It does not begin with a whole number.
    NoNumber,
    /// The number stands alone.
    NoUnit,
    /// The unit is none of those allowed.
    UnknownUnit,
    /// The number has a fraction.
    Fraction,
    /// The product does not fit.
    TooLarge,
}

impl fmt::Display for QuantityError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            QuantityError::NoNumber => "does not begin with a whole number",
            QuantityError::NoUnit => "has no unit",
            QuantityError::UnknownUnit => "has an unknown unit",
            QuantityError::Fraction => "has a fraction; use a smaller unit",
            QuantityError::TooLarge => "is too large",
        })
    }
}

impl std::error::Error for QuantityError {}

/// The value of `text` in the unit whose factor is 1. One space between number and unit is allowed.
pub(super) fn parse(text: &str, units: &[(&str, u64)]) -> Result<u64, QuantityError> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return Err(QuantityError::NoNumber);
    }
    let (number, rest) = text.split_at(digits);
    if rest.starts_with(['.', ',']) {
        return Err(QuantityError::Fraction);
    }
    let unit = rest.strip_prefix(' ').unwrap_or(rest);
    if unit.is_empty() {
        return Err(QuantityError::NoUnit);
    }
    let factor = units.iter().find(|(name, _)| *name == unit);
    let (_, factor) = factor.ok_or(QuantityError::UnknownUnit)?;
    let number: u64 = number.parse().map_err(|_| QuantityError::TooLarge)?;
    number.checked_mul(*factor).ok_or(QuantityError::TooLarge)
}
