//! Reader: the bytes of one line to tokens, checking everything it passes.

use super::super::swar;
use super::escape;

/// Arrays and objects inside one another, the line's own object included.
pub(super) const DEPTH_MAX: usize = 128;

/// What a line is not, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Broken {
    pub(super) at: usize,
    pub(super) what: &'static str,
}

/// One value: what it is and where it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Token {
    pub(super) kind: Kind,
    /// Of the value's text; of strings, what is between the quotes.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Value of `Kind::Integer`.
    pub(super) integer: i64,
}

/// What a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Missing,
    Null,
    True,
    False,
    /// A number without point and exponent that 18 digits hold, and not −0.
    Integer,
    /// Any other number.
    Number,
    /// A string without escapes; UTF-8.
    Text,
    /// A string with escapes, all of them valid; UTF-8.
    Escaped,
    /// An object or an array.
    Container,
}

impl Token {
    pub(super) const MISSING: Token = Token { kind: Kind::Missing, start: 0, end: 0, integer: 0 };

    /// The text, of strings what is between the quotes.
    #[inline]
    pub(super) fn text<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        &line[self.start..self.end]
    }

    /// The text as written, with quotes.
    pub(super) fn written<'a>(&self, line: &'a [u8]) -> &'a [u8] {
        match self.kind {
            Kind::Text | Kind::Escaped => &line[self.start - 1..self.end + 1],
            _ => self.text(line),
        }
    }
}

/// A place in a line.
pub(super) struct Reader<'a> {
    pub(super) line: &'a [u8],
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(line: &'a [u8]) -> Reader<'a> {
        Reader { line, at: 0 }
    }

    #[inline]
    pub(super) fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    #[inline]
    pub(super) fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.peek() {
            self.at += 1;
        }
    }

    /// Passes `byte`, or says `what` is wrong.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8, what: &'static str) -> Result<(), Broken> {
        if self.peek() != Some(byte) {
            return self.broken(what);
        }
        self.at += 1;
        Ok(())
    }

    pub(super) fn expect_end(&mut self) -> Result<(), Broken> {
        self.skip_blanks();
        if self.at == self.line.len() {
            Ok(())
        } else {
            self.broken("something follows the object")
        }
    }

    #[cold]
    pub(super) fn broken<T>(&self, what: &'static str) -> Result<T, Broken> {
        Err(Broken { at: self.at, what })
    }

    /// Reads the value that begins here or behind blanks. `depth` containers are open.
    #[inline(always)]
    pub(super) fn value(&mut self, depth: usize) -> Result<Token, Broken> {
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.other_value(depth),
        }
    }

    fn other_value(&mut self, depth: usize) -> Result<Token, Broken> {
        self.skip_blanks();
        match self.peek() {
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.literal(b"true", Kind::True),
            Some(b'f') => self.literal(b"false", Kind::False),
            Some(b'n') => self.literal(b"null", Kind::Null),
            Some(b'{' | b'[') => self.container(depth),
            _ => self.broken("a value is missing"),
        }
    }

    fn literal(&mut self, word: &'static [u8], kind: Kind) -> Result<Token, Broken> {
        let start = self.at;
        if !self.line[start..].starts_with(word) {
            return self.broken("a value is missing");
        }
        self.at += word.len();
        Ok(Token { kind, start, end: self.at, integer: 0 })
    }

    /// Reads a string; the quote is here.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Result<Token, Broken> {
        let start = self.at + 1;
        let mut kind = Kind::Text;
        let mut non_ascii = 0;
        let mut end = swar::plain_until(self.line, start, &mut non_ascii);
        while self.line.get(end) != Some(&b'"') {
            kind = Kind::Escaped;
            let (_, behind) = escape::decode(self.line, end)?;
            end = swar::plain_until(self.line, behind, &mut non_ascii);
        }
        if non_ascii != 0 {
            check_utf8(self.line, start, end)?;
        }
        self.at = end + 1;
        Ok(Token { kind, start, end, integer: 0 })
    }

    /// Reads a number; its sign or first digit is here.
    #[inline(always)]
    fn number(&mut self) -> Result<Token, Broken> {
        let start = self.at;
        let negative = self.line[start] == b'-';
        let first = start + usize::from(negative);
        let (value, end) = swar::digits(self.line, first);
        self.at = end;
        let count = end - first;
        if count == 0 || (count > 1 && self.line[first] == b'0') {
            return self.broken("a number is malformed");
        }
        if let Some(b'.' | b'e' | b'E') = self.peek() {
            self.fraction_and_exponent()?;
            return Ok(Token { kind: Kind::Number, start, end: self.at, integer: 0 });
        }
        // 18 digits are below 2^63. The sign of −0 matters to DOUBLE only, which reads the text.
        let kind =
            if count > 18 || (negative && value == 0) { Kind::Number } else { Kind::Integer };
        let magnitude = value.cast_signed();
        let integer = if negative { magnitude.wrapping_neg() } else { magnitude };
        Ok(Token { kind, start, end, integer })
    }

    fn fraction_and_exponent(&mut self) -> Result<(), Broken> {
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.some_digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Ok(())
    }

    fn some_digits(&mut self) -> Result<(), Broken> {
        let (_, end) = swar::digits(self.line, self.at);
        if end == self.at {
            return self.broken("a number is malformed");
        }
        self.at = end;
        Ok(())
    }

    /// Passes an object or array; its bracket is here.
    fn container(&mut self, depth: usize) -> Result<Token, Broken> {
        if depth == DEPTH_MAX {
            return self.broken("arrays and objects are nested too deep");
        }
        let start = self.at;
        if self.peek() == Some(b'[') {
            while self.next_item(start)? {
                self.value(depth + 1)?;
            }
        } else {
            while self.next_key(start)?.is_some() {
                self.value(depth + 1)?;
            }
        }
        Ok(Token { kind: Kind::Container, start, end: self.at, integer: 0 })
    }

    /// Inside the array that begins at `start`: passes what stands before the next item. False, and
    /// behind the array, when there is none.
    pub(super) fn next_item(&mut self, start: usize) -> Result<bool, Broken> {
        let is_first = self.at == start;
        if is_first {
            self.expect(b'[', "an array is missing")?;
        }
        self.skip_blanks();
        match self.peek() {
            Some(b']') => {
                self.at += 1;
                return Ok(false);
            }
            _ if is_first => {}
            _ => self.expect(b',', "a comma or ] is missing")?,
        }
        Ok(true)
    }

    /// Inside the object that begins at `start`: passes the next key and its colon. `None`, and
    /// behind the object, when there is none.
    pub(super) fn next_key(&mut self, start: usize) -> Result<Option<Token>, Broken> {
        let is_first = self.at == start;
        if is_first {
            self.expect(b'{', "an object is missing")?;
        }
        self.skip_blanks();
        match self.peek() {
            Some(b'}') => {
                self.at += 1;
                return Ok(None);
            }
            _ if is_first => {}
            _ => self.expect(b',', "a comma or } is missing")?,
        }
        self.skip_blanks();
        if self.peek() != Some(b'"') {
            return self.broken("a key is missing");
        }
        let key = self.string()?;
        self.skip_blanks();
        self.expect(b':', "a colon is missing")?;
        self.skip_blanks();
        Ok(Some(key))
    }
}

#[inline(never)]
fn check_utf8(line: &[u8], start: usize, end: usize) -> Result<(), Broken> {
    match std::str::from_utf8(&line[start..end]) {
        Ok(_) => Ok(()),
        Err(error) => Err(Broken { at: start + error.valid_up_to(), what: "invalid UTF-8" }),
    }
}
