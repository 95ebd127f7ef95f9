//! Byte offsets of the TOML text to lines and columns.

use std::ops::Range;

use super::error::Position;

/// Knows where each line of a text begins.
pub(super) struct Locator<'a> {
    text: &'a str,
    line_starts: Vec<usize>,
}

impl<'a> Locator<'a> {
    pub(super) fn new(text: &'a str) -> Locator<'a> {
        let after_newlines = text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
        let line_starts = std::iter::once(0).chain(after_newlines.map(|(at, _)| at + 1)).collect();
        Locator { text, line_starts }
    }

    /// Where the byte at `offset` stands. Offsets past the end count as the end.
    pub(super) fn position(&self, offset: usize) -> Position {
        let offset = self.text.floor_char_boundary(offset.min(self.text.len()));
        let line = self.line_starts.partition_point(|&start| start <= offset);
        let start = self.line_starts[line - 1];
        let column = self.text[start..offset].chars().count() + 1;
        Position { line: narrow(line), column: narrow(column) }
    }

    /// Where the first character *inside* the TOML string at `span` stands: behind the quotes, and
    /// behind the line end right after `"""`, which TOML drops. Escapes in a basic string (and a
    /// `\` at a line's end) shift what follows them; literal strings (`'''`) have none.
    pub(super) fn inside_string(&self, span: &Range<usize>) -> Position {
        let written = self.text.get(span.clone()).unwrap_or("");
        let long = written.starts_with("\"\"\"") || written.starts_with("'''");
        let mut offset = span.start + if long { 3 } else { 1 };
        if long {
            let behind = self.text.get(offset..).unwrap_or("");
            if behind.starts_with("\r\n") {
                offset += 2;
            } else if behind.starts_with('\n') {
                offset += 1;
            }
        }
        self.position(offset)
    }

    /// The text as written between the offsets.
    pub(super) fn written(&self, span: &Range<usize>) -> &'a str {
        self.text.get(span.clone()).unwrap_or("")
    }
}

/// Job files are bounded far below 4 GiB.
fn narrow(number: usize) -> u32 {
    u32::try_from(number).expect("a job file is shorter than JOB_FILE_BYTES_MAX")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, offset: usize, line: u32, column: u32) {
        assert_eq!(Locator::new(text).position(offset), Position { line, column });
    }

    #[test]
    fn lines_and_columns_count_from_one() {
        check("", 0, 1, 1);
        check("ab\ncd", 0, 1, 1);
        check("ab\ncd", 2, 1, 3);
        check("ab\ncd", 3, 2, 1);
        check("ab\ncd", 99, 2, 3);
        check("aé\n", 3, 1, 3);
        check("a\r\nb", 3, 2, 1);
    }

    #[track_caller]
    fn check_inside(text: &str, line: u32, column: u32) {
        let start = text.find(['"', '\'']).unwrap();
        let found = Locator::new(text).inside_string(&(start..text.len()));
        assert_eq!(found, Position { line, column }, "{text:?}");
    }

    #[test]
    fn texts_begin_behind_their_quotes() {
        check_inside("sql = \"SELECT\"", 1, 8);
        check_inside("sql = 'SELECT'", 1, 8);
        check_inside("sql = \"\"\"SELECT\"\"\"", 1, 10);
        check_inside("sql = \"\"\"\nSELECT\"\"\"", 2, 1);
        check_inside("sql = \"\"\"\r\n  SELECT\"\"\"", 2, 1);
        check_inside("sql = '''\n\nSELECT'''", 2, 1);
    }
}
