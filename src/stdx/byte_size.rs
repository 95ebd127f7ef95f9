//! Byte sizes as text: `64MiB` is 64 × 1024², `1GB` is 10⁹.

use super::quantity::{self, QuantityError};

/// Largest last: formatting takes the largest unit that divides the size.
const UNITS: [(&str, u64); 9] = [
    ("B", 1),
    ("KB", 1_000),
    ("KiB", 1 << 10),
    ("MB", 1_000_000),
    ("MiB", 1 << 20),
    ("GB", 1_000_000_000),
    ("GiB", 1 << 30),
    ("TB", 1_000_000_000_000),
    ("TiB", 1 << 40),
];

/// Bytes named by `text`.
///
/// # Errors
/// When it is no whole number with one of the units B, KB, KiB, MB, MiB, GB, GiB, TB, TiB.
pub fn parse_byte_size(text: &str) -> Result<u64, QuantityError> {
    quantity::parse(text, &UNITS)
}

/// The shortest exact text; `parse_byte_size` reads it back.
pub fn format_byte_size(bytes: u64) -> String {
    let divides = |&&(_, factor): &&(&str, u64)| bytes >= factor && bytes.is_multiple_of(factor);
    let (unit, factor) = UNITS.iter().rev().find(divides).unwrap_or(&UNITS[0]);
    format!("{}{unit}", bytes / factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<u64, QuantityError>) {
        assert_eq!(parse_byte_size(text), expected, "{text}");
    }

    #[test]
    fn sizes_are_numbers_with_a_unit() {
        check("0B", Ok(0));
        check("64MiB", Ok(64 * 1024 * 1024));
        check(" 64 MiB ", Ok(64 * 1024 * 1024));
        check("1GB", Ok(1_000_000_000));
        check("8KB", Ok(8_000));
        check("3TiB", Ok(3 << 40));
        check("64", Err(QuantityError::NoUnit));
        check("", Err(QuantityError::NoNumber));
        check("MiB", Err(QuantityError::NoNumber));
        check("-1KiB", Err(QuantityError::NoNumber));
        check("1.5GiB", Err(QuantityError::Fraction));
        check("1mib", Err(QuantityError::UnknownUnit));
        check("1 KiB per core", Err(QuantityError::UnknownUnit));
        check("99999999999TiB", Err(QuantityError::TooLarge));
        check("99999999999999999999999B", Err(QuantityError::TooLarge));
    }

    #[test]
    fn what_is_printed_can_be_read_back() {
        for bytes in [0, 1, 999, 1_000, 1_024, 4_096, 1_000_000, 1 << 20, 3 << 30, u64::MAX] {
            assert_eq!(parse_byte_size(&format_byte_size(bytes)), Ok(bytes));
        }
        assert_eq!(format_byte_size(128 << 20), "128MiB");
        assert_eq!(format_byte_size(1_500), "1500B");
    }
}
