//! A JSON text parsed into a flat list of nodes, whose memory is used again for the next text.
//!
//! In:  a text, of which one value is read; what is behind it is not looked at, as in Flink.
//! Out: nodes in the order of the text, each with its place in it and the index of the one behind.
//!
//! Invariants
//! - An object's children are keys and values in turn.
//! - Nesting is at most `DEPTH_MAX`; nothing recurses deeper.

use std::borrow::Cow;
use std::collections::HashMap;

use super::text::{compare, push_number, push_quoted, unescaped};

/// Objects and arrays inside each other; Jackson's limit.
const DEPTH_MAX: usize = 1_000;

/// Characters of a number; Jackson's limit.
const NUMBER_BYTES_MAX: usize = 1_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Null,
    True,
    False,
    /// Without a fraction and without an exponent.
    Integer,
    Decimal,
    String,
    Array,
    Object,
}

#[derive(Clone, Copy, Debug)]
struct Node {
    kind: Kind,
    /// In the text; of a string between the quotes.
    start: u32,
    end: u32,
    /// Index of the node behind this one and what is in it.
    next: u32,
}

/// A parsed text.
#[derive(Default)]
pub(super) struct Tape {
    nodes: Vec<Node>,
    /// Containers that are open.
    open: Vec<u32>,
}

type Parsed<T> = Result<T, &'static str>;

impl Tape {
    /// Index of the whole value.
    pub(super) const ROOT: u32 = 0;

    /// Replaces what the tape holds.
    ///
    /// # Errors
    /// What is not JSON.
    pub(super) fn parse(&mut self, text: &str) -> Parsed<()> {
        self.nodes.clear();
        self.open.clear();
        let mut reader = Reader { bytes: text.as_bytes(), at: 0 };
        loop {
            self.value(&mut reader)?;
            // A value has ended, or a container has been opened that is not empty.
            if !self.ended(&mut reader)? {
                continue;
            }
            return Ok(());
        }
    }

    /// Reads a scalar, an empty container, or what comes before the first value of another one.
    fn value(&mut self, reader: &mut Reader<'_>) -> Parsed<()> {
        reader.skip_spaces();
        let kind = match reader.peek() {
            Some(b'{') => return self.enter(reader, Kind::Object),
            Some(b'[') => return self.enter(reader, Kind::Array),
            Some(b'"') => return self.string(reader),
            Some(b't') => reader.word("true").map(|()| Kind::True),
            Some(b'f') => reader.word("false").map(|()| Kind::False),
            Some(b'n') => reader.word("null").map(|()| Kind::Null),
            Some(b'-' | b'0'..=b'9') => return self.number(reader),
            Some(_) => Err("a value is expected"),
            None => Err("the JSON ends too early"),
        }?;
        let place = reader.at;
        self.push(kind, place, place)
    }

    fn push(&mut self, kind: Kind, start: usize, end: usize) -> Parsed<()> {
        let narrow = |wide: usize| u32::try_from(wide).map_err(|_| "the JSON is too long");
        let next = narrow(self.nodes.len() + 1)?;
        self.nodes.push(Node { kind, start: narrow(start)?, end: narrow(end)?, next });
        Ok(())
    }

    fn enter(&mut self, reader: &mut Reader<'_>, kind: Kind) -> Parsed<()> {
        if self.open.len() == DEPTH_MAX {
            return Err("the JSON is nested too deeply");
        }
        let index = u32::try_from(self.nodes.len()).map_err(|_| "the JSON is too long")?;
        self.push(kind, reader.at, reader.at)?;
        self.open.push(index);
        reader.at += 1;
        Ok(())
    }

    fn string(&mut self, reader: &mut Reader<'_>) -> Parsed<()> {
        let (start, end) = reader.string()?;
        self.push(Kind::String, start, end)
    }

    fn number(&mut self, reader: &mut Reader<'_>) -> Parsed<()> {
        let start = reader.at;
        let integer = reader.number()?;
        let alone = self.open.is_empty();
        if alone && !matches!(reader.peek(), None | Some(b' ' | b'\t' | b'\n' | b'\r')) {
            return Err("something stands right behind a number");
        }
        if reader.at - start > NUMBER_BYTES_MAX {
            return Err("a number is too long");
        }
        self.push(if integer { Kind::Integer } else { Kind::Decimal }, start, reader.at)
    }

    /// Goes on to where the next value begins; true when there is none.
    fn ended(&mut self, reader: &mut Reader<'_>) -> Parsed<bool> {
        loop {
            let Some(&top) = self.open.last() else { return Ok(true) };
            let container = self.nodes[top as usize];
            let first = container.next as usize == self.nodes.len();
            let object = container.kind == Kind::Object;
            reader.skip_spaces();
            match reader.peek() {
                Some(b'}') if object => self.leave(reader),
                Some(b']') if !object => self.leave(reader),
                Some(b',') if !first => {
                    reader.at += 1;
                    if object {
                        self.key(reader)?;
                    }
                    return Ok(false);
                }
                Some(_) if first => {
                    if object {
                        self.key(reader)?;
                    }
                    return Ok(false);
                }
                Some(_) => return Err("a comma or the end of a container is expected"),
                None => return Err("the JSON ends too early"),
            }
        }
    }

    fn leave(&mut self, reader: &mut Reader<'_>) {
        reader.at += 1;
        let next = u32::try_from(self.nodes.len()).expect("it was narrow when it was pushed");
        if let Some(top) = self.open.pop() {
            let node = &mut self.nodes[top as usize];
            node.next = next;
            node.end = u32::try_from(reader.at).unwrap_or(u32::MAX);
        }
    }

    fn key(&mut self, reader: &mut Reader<'_>) -> Parsed<()> {
        reader.skip_spaces();
        if reader.peek() != Some(b'"') {
            return Err("a key is expected");
        }
        self.string(reader)?;
        reader.skip_spaces();
        if reader.peek() != Some(b':') {
            return Err("a colon is expected");
        }
        reader.at += 1;
        Ok(())
    }

    pub(super) fn kind(&self, node: u32) -> Kind {
        self.nodes[node as usize].kind
    }

    pub(super) fn is_scalar(&self, node: u32) -> bool {
        !matches!(self.kind(node), Kind::Array | Kind::Object)
    }

    /// The text of a scalar, as it is written.
    pub(super) fn written<'t>(&self, text: &'t str, node: u32) -> &'t str {
        let Node { start, end, .. } = self.nodes[node as usize];
        &text[start as usize..end as usize]
    }

    /// Elements of an array, or keys and values of an object.
    pub(super) fn children(&self, node: u32) -> impl Iterator<Item = u32> {
        let end = self.nodes[node as usize].next;
        let mut child = node + 1;
        std::iter::from_fn(move || {
            let current = child;
            (current < end).then(|| {
                child = self.nodes[current as usize].next;
                current
            })
        })
    }

    /// The value of an object's last key of this name.
    pub(super) fn member(&self, text: &str, object: u32, name: &str) -> Option<u32> {
        let mut found = None;
        let mut children = self.children(object);
        while let (Some(key), Some(value)) = (children.next(), children.next()) {
            let written = self.written(text, key);
            if written == name || (written.contains('\\') && unescaped(written) == name) {
                found = Some(value);
            }
        }
        found
    }

    /// Members of an object in the order in which their keys first appear, each with its last value.
    pub(super) fn members<'t>(&self, text: &'t str, object: u32) -> Vec<(Cow<'t, str>, u32)> {
        let mut members: Vec<(Cow<'t, str>, u32)> = Vec::new();
        let mut places = HashMap::new();
        let mut children = self.children(object);
        while let (Some(key), Some(value)) = (children.next(), children.next()) {
            let name = unescaped(self.written(text, key));
            match places.get(&name) {
                Some(&place) => {
                    let member: &mut (Cow<'t, str>, u32) = &mut members[place];
                    member.1 = value;
                }
                None => {
                    places.insert(name.clone(), members.len());
                    members.push((name, value));
                }
            }
        }
        members
    }

    /// Appends a scalar as text: a string is what it means.
    pub(super) fn push_text(&self, text: &str, node: u32, out: &mut String) {
        match self.kind(node) {
            Kind::String => out.push_str(&unescaped(self.written(text, node))),
            _ => self.write(text, node, out),
        }
    }

    /// Appends a value as JSON, with sorted keys.
    pub(super) fn write(&self, text: &str, node: u32, out: &mut String) {
        match self.kind(node) {
            Kind::Null => out.push_str("null"),
            Kind::True => out.push_str("true"),
            Kind::False => out.push_str("false"),
            Kind::Integer | Kind::Decimal => push_number(self.written(text, node), out),
            Kind::String => push_quoted(&unescaped(self.written(text, node)), out),
            Kind::Array => {
                out.push('[');
                for (index, child) in self.children(node).enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    self.write(text, child, out);
                }
                out.push(']');
            }
            Kind::Object => {
                let mut members = self.members(text, node);
                members.sort_by(|left, right| compare(&left.0, &right.0));
                out.push('{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(',');
                    }
                    push_quoted(name, out);
                    out.push(':');
                    self.write(text, *value, out);
                }
                out.push('}');
            }
        }
    }
}

/// Where a text is read.
struct Reader<'t> {
    bytes: &'t [u8],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn skip_spaces(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// A word that no letter or digit follows.
    fn word(&mut self, word: &str) -> Parsed<()> {
        if !self.bytes[self.at..].starts_with(word.as_bytes()) {
            return Err("an unknown word");
        }
        self.at += word.len();
        match self.peek() {
            Some(byte) if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..) => {
                Err("an unknown word")
            }
            _ => Ok(()),
        }
    }

    /// Start and end of what is between the quotes.
    fn string(&mut self) -> Parsed<(usize, usize)> {
        self.at += 1;
        let start = self.at;
        loop {
            match self.peek() {
                Some(b'"') => break,
                Some(b'\\') => self.escape()?,
                Some(0..0x20) => return Err("a control character in a string"),
                Some(_) => self.at += 1,
                None => return Err("a string is not closed"),
            }
        }
        self.at += 1;
        Ok((start, self.at - 1))
    }

    fn escape(&mut self) -> Parsed<()> {
        let digits = match self.bytes.get(self.at + 1) {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 0,
            Some(b'u') => 4,
            _ => return Err("an unknown escape"),
        };
        let hex = self.bytes.get(self.at + 2..self.at + 2 + digits);
        if !hex.is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit)) {
            return Err("four digits follow \\u");
        }
        self.at += 2 + digits;
        Ok(())
    }

    fn digits(&mut self) -> Parsed<usize> {
        let start = self.at;
        while let Some(b'0'..=b'9') = self.peek() {
            self.at += 1;
        }
        if self.at == start { Err("a digit is expected") } else { Ok(self.at - start) }
    }

    /// True when it is an integer.
    fn number(&mut self) -> Parsed<bool> {
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let zero = self.peek() == Some(b'0');
        if self.digits()? > 1 && zero {
            return Err("a number begins with 0");
        }
        let mut integer = true;
        if self.peek() == Some(b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            integer = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            // Java's exponents are INTs.
            if self.digits()? > 9 {
                return Err("an exponent is too large");
            }
        }
        Ok(integer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let mut tape = Tape::default();
        let written = tape.parse(text).ok().map(|()| {
            let mut out = String::new();
            tape.write(text, Tape::ROOT, &mut out);
            out
        });
        assert_eq!(written.as_deref(), expected, "{text}");
    }

    #[test]
    fn json_is_written_with_sorted_keys() {
        check(
            r#" {"b":{"d":1,"c":[]},"a":[1,{},"x"],"b":{}} "#,
            Some(r#"{"a":[1,{},"x"],"b":{}}"#),
        );
        check(r#"{"😀":1,"～":2}"#, Some(r#"{"😀":1,"～":2}"#));
        check(r#"{"a":1}"#, Some(r#"{"a":1}"#));
        check("[1e2,0.50,-0,true,null]", Some("[1E+2,0.50,0,true,null]"));
        check(r#""\ud83d\ude00\n""#, Some("\"😀\\n\""));
    }

    #[test]
    fn one_value_is_read() {
        for (text, expected) in
            [("1 2", "1"), ("1 abc", "1"), ("true abc", "true"), ("{}x", "{}"), ("\"a\"b", "\"a\"")]
        {
            check(text, Some(expected));
        }
        for wrong in [
            "",
            " ",
            "abc",
            "trueabc",
            "truе",
            "[1,]",
            "{\"a\":1,}",
            "[,1]",
            "{,}",
            "01",
            "-",
            "1.",
            ".5",
            "+1",
            "1e",
            "1x",
            "NaN",
            "'a'",
            "{a:1}",
            "\"a",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\n\"",
            "[1 2]",
            "[1}",
            "{\"a\" 1}",
            "{\"a\"}",
            "[",
            "{\"a\":",
            "1e9999999999",
            "// c",
        ] {
            check(wrong, None);
        }
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(Tape::default().parse(&deep(DEPTH_MAX)).is_ok());
        assert!(Tape::default().parse(&deep(DEPTH_MAX + 1)).is_err());
        assert!(Tape::default().parse(&"1".repeat(NUMBER_BYTES_MAX + 1)).is_err());
    }
}
