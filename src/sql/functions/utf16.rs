//! Texts counted as Java counts them: in UTF-16 units, two for a character beyond U+FFFF.
//!
//! A few of Flink's functions count so where the others count characters. Half a pair becomes a
//! question mark when Flink writes it as UTF-8.

/// True when characters and units are not the same.
pub(super) fn has_pairs(text: &str) -> bool {
    text.bytes().any(|byte| byte >= 0xf0)
}

/// Units of `text`.
pub(super) fn length(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().map(char::len_utf16).sum() }
}

/// Appends units as text.
pub(super) fn push(units: impl IntoIterator<Item = u16>, out: &mut String) {
    out.extend(char::decode_utf16(units).map(|result| result.unwrap_or('?')));
}

/// Appends the units `from..to` of `text`; both are at most its length.
pub(super) fn push_range(text: &str, from: usize, to: usize, out: &mut String) {
    if !has_pairs(text) {
        out.extend(text.chars().skip(from).take(to.saturating_sub(from)));
        return;
    }
    push(text.encode_utf16().skip(from).take(to.saturating_sub(from)), out);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_pair_is_a_question_mark() {
        let check = |text: &str, from, to, expected: &str| {
            let mut out = String::new();
            push_range(text, from, to, &mut out);
            assert_eq!(out, expected, "{text} {from}..{to}");
        };
        check("a😀b", 0, 2, "a?");
        check("a😀b", 1, 3, "😀");
        check("äöü", 1, 2, "ö");
        assert_eq!([length("a😀b"), length("äöü"), length("abc")], [4, 3, 3]);
    }
}
