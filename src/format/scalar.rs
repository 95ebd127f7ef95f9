//! Scalars: the text of one value to the value, the same for JSON and CSV.
//!
//! In:  bytes of the text (trimmed here where Flink trims).
//! Out: the value exactly, or what is wrong with the text. Nothing is rounded silently but DECIMAL
//!      to its scale (half up, as Flink) and fractions of a second to their unit (cut).
//!
//! Read: `number` · `temporal`.

mod number;
mod temporal;

pub(super) use number::{decimal, double, float, integer};
pub(super) use temporal::{date, time_of_day, timestamp};

/// Why a text is not a value of the column's type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// It is something else.
    Form,
    /// It is one, but too large or too small for the type.
    Range,
    /// It is NULL and the column is NOT NULL.
    Null,
    /// It is not there and the column is NOT NULL.
    Missing,
    /// Something that deserves its own words: what follows "it ".
    Because(&'static str),
}

/// `true` or `false`, in any case.
pub(super) fn boolean(text: &[u8]) -> Result<bool, Fault> {
    let text = text.trim_ascii();
    if text.eq_ignore_ascii_case(b"true") {
        return Ok(true);
    }
    if text.eq_ignore_ascii_case(b"false") {
        return Ok(false);
    }
    Err(Fault::Form)
}

/// Base64 with padding, appended to `out`.
pub(super) fn base64(text: &[u8], out: &mut Vec<u8>) -> Result<(), Fault> {
    use base64::Engine as _;
    let engine = base64::engine::general_purpose::STANDARD;
    engine.decode_vec(text, out).map_err(|_| Fault::Because("is not base64"))
}
