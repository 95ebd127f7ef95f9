//! Escapes in JSON strings, surrogate pairs included; a lone surrogate is no character.

use super::reader::Broken;

/// The character escaped at `at`, and the index behind the escape.
pub(super) fn decode(line: &[u8], at: usize) -> Result<(char, usize), Broken> {
    let broken = |what| Err(Broken { at, what });
    let character = match (line.get(at), line.get(at + 1)) {
        (None, _) => return broken("a string is not closed"),
        (Some(b'\\'), Some(letter)) => match letter {
            b'"' | b'\\' | b'/' => char::from(*letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return unicode(line, at),
            _ => return broken("an escape is unknown"),
        },
        (Some(b'\\'), None) => return broken("a string is not closed"),
        _ => return broken("a control character is not escaped"),
    };
    Ok((character, at + 2))
}

/// `\u00e4`, or a pair such as `\ud83d\ude00`.
fn unicode(line: &[u8], at: usize) -> Result<(char, usize), Broken> {
    let broken = |what| Broken { at, what };
    let first = hex(line, at + 2).ok_or(broken("an escape is malformed"))?;
    if let Some(character) = char::from_u32(first) {
        return Ok((character, at + 6));
    }
    let lone = broken("a surrogate has no partner");
    if !(0xd800..0xdc00).contains(&first) || line.get(at + 6..at + 8) != Some(b"\\u") {
        return Err(lone);
    }
    let second =
        hex(line, at + 8).filter(|second| (0xdc00..0xe000).contains(second)).ok_or(lone)?;
    let character = char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00));
    Ok((character.expect("a surrogate pair is always a character"), at + 12))
}

fn hex(line: &[u8], at: usize) -> Option<u32> {
    line.get(at..at + 4)?.iter().try_fold(0, |value, &byte| {
        let digit = char::from(byte).to_digit(16)?;
        Some(value * 16 + digit)
    })
}

/// Appends the text of a string whose escapes are known to be valid.
pub(super) fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let (character, behind) = decode(rest, at).expect("the reader has checked every escape");
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        rest = &rest[behind..];
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes() {
        let cases = [
            (r#"\"\\\/\b\f\n\r\t"#, Ok("\"\\/\u{8}\u{c}\n\r\t")),
            (r"\u00e4\u20AC\ud83d\ude00\u0000", Ok("ä€\u{1f600}\0")),
            (r"\ud83d", Err("a surrogate has no partner")),
            (r"\ud83dx\ude00", Err("a surrogate has no partner")),
            (r"\ud83d\ud83d", Err("a surrogate has no partner")),
            (r"\ude00", Err("a surrogate has no partner")),
            (r"\u12", Err("an escape is malformed")),
            (r"\u12g4", Err("an escape is malformed")),
            (r"\x", Err("an escape is unknown")),
            ("\\", Err("a string is not closed")),
            ("\n", Err("a control character is not escaped")),
        ];
        for (raw, expected) in cases {
            let mut at = 0;
            let mut text = String::new();
            let mut seen = Ok(());
            while at < raw.len() && seen.is_ok() {
                seen = decode(raw.as_bytes(), at).map(|(character, behind)| {
                    text.push(character);
                    at = behind;
                });
            }
            assert_eq!(
                seen.map(|()| text.as_str()).map_err(|broken| broken.what),
                expected,
                "{raw}"
            );
            if expected.is_ok() {
                let mut out = Vec::new();
                unescape(raw.as_bytes(), &mut out);
                assert_eq!(out, text.as_bytes());
            }
        }
    }
}
