//! Java's six standard character sets.

/// A character set.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Charset {
    Ascii,
    Latin1,
    Utf8,
    Utf16BigEndian,
    Utf16LittleEndian,
    /// Big endian unless a byte order mark says otherwise; written with one.
    Utf16,
}

impl Charset {
    /// By one of the names Java knows it under, in any case.
    ///
    /// # Errors
    /// For every other name.
    pub(super) fn of(name: &str) -> Result<Charset, String> {
        Ok(match name.to_ascii_uppercase().as_str() {
            "US-ASCII" | "ASCII" | "ASCII7" | "ISO646-US" => Charset::Ascii,
            "ISO-8859-1" | "ISO8859_1" | "LATIN1" | "L1" | "ISO_8859-1" => Charset::Latin1,
            "UTF-8" | "UTF8" => Charset::Utf8,
            "UTF-16BE" | "UTF_16BE" | "ISO-10646-UCS-2" => Charset::Utf16BigEndian,
            "UTF-16LE" | "UTF_16LE" => Charset::Utf16LittleEndian,
            "UTF-16" | "UTF_16" | "UTF16" => Charset::Utf16,
            _ => {
                return Err(format!(
                    "the character set '{name}' is not supported; there are US-ASCII, ISO-8859-1, \
                     UTF-8, UTF-16BE, UTF-16LE and UTF-16"
                ));
            }
        })
    }

    /// Appends `text`; a character the set does not have is a question mark.
    pub(super) fn encode(self, text: &str, out: &mut Vec<u8>) {
        let narrow = |limit: u32| {
            move |character: char| {
                let code = u32::from(character);
                u8::try_from(code).ok().filter(|_| code < limit).unwrap_or(b'?')
            }
        };
        match self {
            Charset::Ascii => out.extend(text.chars().map(narrow(0x80))),
            Charset::Latin1 => out.extend(text.chars().map(narrow(0x100))),
            Charset::Utf8 => out.extend_from_slice(text.as_bytes()),
            Charset::Utf16LittleEndian => {
                out.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
            }
            Charset::Utf16BigEndian => out.extend(text.encode_utf16().flat_map(u16::to_be_bytes)),
            Charset::Utf16 => {
                if !text.is_empty() {
                    out.extend_from_slice(&[0xfe, 0xff]);
                }
                out.extend(text.encode_utf16().flat_map(u16::to_be_bytes));
            }
        }
    }

    /// Appends the text; what is not in the set is U+FFFD.
    pub(super) fn decode(self, bytes: &[u8], out: &mut String) {
        match self {
            Charset::Ascii => out.extend(bytes.iter().map(|&byte| match byte.is_ascii() {
                true => char::from(byte),
                false => char::REPLACEMENT_CHARACTER,
            })),
            Charset::Latin1 => out.extend(bytes.iter().map(|&byte| char::from(byte))),
            Charset::Utf8 => out.push_str(&String::from_utf8_lossy(bytes)),
            Charset::Utf16BigEndian => decode_utf16(bytes, u16::from_be_bytes, out),
            Charset::Utf16LittleEndian => decode_utf16(bytes, u16::from_le_bytes, out),
            Charset::Utf16 => match bytes {
                [0xff, 0xfe, rest @ ..] => decode_utf16(rest, u16::from_le_bytes, out),
                [0xfe, 0xff, rest @ ..] => decode_utf16(rest, u16::from_be_bytes, out),
                _ => decode_utf16(bytes, u16::from_be_bytes, out),
            },
        }
    }
}

fn decode_utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16, out: &mut String) {
    let pairs = bytes.chunks_exact(2);
    let odd = !pairs.remainder().is_empty();
    let units = pairs.map(|pair| unit([pair[0], pair[1]]));
    out.extend(
        char::decode_utf16(units).map(|result| result.unwrap_or(char::REPLACEMENT_CHARACTER)),
    );
    if odd {
        out.push(char::REPLACEMENT_CHARACTER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(name: &str, text: &str, bytes: &[u8]) {
        let charset = Charset::of(name).unwrap();
        let mut encoded = Vec::new();
        charset.encode(text, &mut encoded);
        assert_eq!(encoded, bytes, "{name}");
        let mut decoded = String::new();
        charset.decode(&encoded, &mut decoded);
        assert_eq!(decoded, text, "{name}");
    }

    #[test]
    fn what_is_encoded_is_decoded() {
        check("us-ascii", "az", b"az");
        check("ISO-8859-1", "é", &[0xe9]);
        check("utf8", "é😀", "é😀".as_bytes());
        check("UTF-16BE", "é", &[0, 0xe9]);
        check("UTF-16LE", "é", &[0xe9, 0]);
        check("UTF-16", "é", &[0xfe, 0xff, 0, 0xe9]);
        check("UTF-16", "", &[]);
        assert!(Charset::of("EBCDIC").is_err());
    }

    #[test]
    fn what_cannot_be_decoded_is_marked() {
        let mut out = String::new();
        Charset::Utf16BigEndian.decode(&[0xd8, 0x3d, 0x00, 0x41, 0x00], &mut out);
        Charset::Ascii.decode(&[0x80], &mut out);
        assert_eq!(out, "\u{fffd}A\u{fffd}\u{fffd}");
    }
}
