//! Java's regular expressions in the syntax of the `regex` crate, which searches in linear time.
//!
//! What differs is spelt out: classes are ASCII, `.` stops at Java's line terminators, `(?i)` is
//! about ASCII letters. What such an engine cannot do (look-around, back references, possessive
//! quantifiers, atomic groups) is `Unsupported`; what Java refuses is `Invalid`.

mod class;
mod escape;

/// Why a pattern is not translated.
#[derive(PartialEq, Eq, Debug)]
pub(in crate::sql::functions) enum Problem {
    /// Java refuses it, too.
    Invalid(&'static str),
    /// The engine has no such thing.
    Unsupported(String),
}

fn unsupported<T>(what: &str) -> Result<T, Problem> {
    Err(Problem::Unsupported(what.to_string()))
}

/// A pattern of the `regex` crate.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Translated {
    pub(super) pattern: String,
    /// There is a `$` or `\Z`: the text also ends before its last line terminator.
    pub(super) ends_before_terminator: bool,
}

/// Flags in force.
#[derive(Clone, Copy, Default)]
struct Flags {
    ignores_case: bool,
    dot_matches_all: bool,
}

/// Classes in this notation stand for the same inside and outside of brackets.
const LINE_TERMINATORS: &str = r"\n\r\x{85}\x{2028}\x{2029}";

/// Translates `pattern`.
pub(super) fn translate(pattern: &str) -> Result<Translated, Problem> {
    let mut translator = Translator {
        input: Input { rest: pattern },
        out: String::with_capacity(pattern.len() + 8),
        flags: Flags::default(),
        open: Vec::new(),
        repeatable: false,
        dollar: false,
        absolute_end: false,
    };
    translator.run()?;
    if translator.dollar && translator.absolute_end {
        return unsupported(r"$ or \Z together with \z");
    }
    Ok(Translated { pattern: translator.out, ends_before_terminator: translator.dollar })
}

/// What has not been read of a pattern.
struct Input<'a> {
    rest: &'a str,
}

impl Input<'_> {
    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.rest = &self.rest[next.len_utf8()..];
        Some(next)
    }

    fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// The character behind the next one.
    fn peek_second(&self) -> Option<char> {
        self.rest.chars().nth(1)
    }
}

struct Translator<'a> {
    input: Input<'a>,
    out: String,
    flags: Flags,
    /// Flags to return to at the end of each open group.
    open: Vec<Flags>,
    /// A quantifier may follow.
    repeatable: bool,
    dollar: bool,
    absolute_end: bool,
}

impl Translator<'_> {
    fn run(&mut self) -> Result<(), Problem> {
        while let Some(character) = self.input.next() {
            let repeatable = std::mem::replace(&mut self.repeatable, true);
            match character {
                '\\' => self.escape()?,
                '[' => {
                    let class = self.class()?;
                    self.out.push_str(&class);
                }
                '(' => self.group()?,
                ')' => {
                    self.flags = self.open.pop().ok_or(Problem::Invalid("unmatched )"))?;
                    self.out.push(')');
                }
                '|' => {
                    self.repeatable = false;
                    self.out.push('|');
                }
                '*' | '+' | '?' | '{' => {
                    if !repeatable {
                        return Err(Problem::Invalid("a quantifier has nothing before it"));
                    }
                    self.quantifier(character)?;
                }
                '.' if self.flags.dot_matches_all => self.out.push_str("(?s:.)"),
                '.' => self.out.push_str(&format!("[^{LINE_TERMINATORS}]")),
                '^' => self.out.push('^'),
                '$' => self.dollar(),
                other => self.literal(other),
            }
        }
        match self.open.is_empty() {
            true => Ok(()),
            false => Err(Problem::Invalid("unclosed group")),
        }
    }

    fn dollar(&mut self) {
        self.dollar = true;
        self.out.push_str(r"\z");
    }

    fn literal(&mut self, character: char) {
        if self.flags.ignores_case && character.is_ascii_alphabetic() {
            self.out.push('[');
            self.out.push(character.to_ascii_lowercase());
            self.out.push(character.to_ascii_uppercase());
            self.out.push(']');
        } else {
            push_plain(character, &mut self.out);
        }
    }

    /// Takes the character if it comes next.
    fn take(&mut self, expected: char) -> bool {
        let found = self.input.peek() == Some(expected);
        if found {
            self.input.next();
        }
        found
    }

    /// Behind `(`.
    fn group(&mut self) -> Result<(), Problem> {
        self.repeatable = false;
        if !self.take('?') {
            self.open.push(self.flags);
            self.out.push('(');
            return Ok(());
        }
        match self.input.peek() {
            Some(':') => {
                self.input.next();
                self.open.push(self.flags);
                self.out.push_str("(?:");
                Ok(())
            }
            Some('=' | '!') => unsupported("look-ahead"),
            Some('>') => unsupported("an atomic group"),
            Some('<') => {
                self.input.next();
                self.named_group()
            }
            _ => self.inline_flags(),
        }
    }

    fn named_group(&mut self) -> Result<(), Problem> {
        if matches!(self.input.peek(), Some('=' | '!')) {
            return unsupported("look-behind");
        }
        let mut name = String::new();
        loop {
            match self.input.next() {
                Some('>') if !name.is_empty() => break,
                Some(letter) if letter.is_ascii_alphabetic() => name.push(letter),
                Some(digit) if digit.is_ascii_digit() && !name.is_empty() => name.push(digit),
                _ => return Err(Problem::Invalid("the name of a group")),
            }
        }
        self.open.push(self.flags);
        self.out.push_str(&format!("(?<{name}>"));
        Ok(())
    }

    /// `(?i)`, which holds up to the end of the group, and `(?i:…)`.
    fn inline_flags(&mut self) -> Result<(), Problem> {
        let outer = self.flags;
        let mut on = true;
        loop {
            match self.input.next() {
                Some('i') => self.flags.ignores_case = on,
                Some('s') => self.flags.dot_matches_all = on,
                Some('-') if on => on = false,
                // Switching off what is never on changes nothing.
                Some('d' | 'm' | 'u' | 'x' | 'U') if !on => {}
                Some(flag @ ('d' | 'm' | 'u' | 'x' | 'U')) => {
                    return unsupported(&format!("the flag (?{flag})"));
                }
                Some(')') => return Ok(()),
                Some(':') => {
                    self.open.push(outer);
                    self.out.push_str("(?:");
                    return Ok(());
                }
                _ => return Err(Problem::Invalid("an unknown flag behind (?")),
            }
        }
    }

    fn quantifier(&mut self, first: char) -> Result<(), Problem> {
        self.out.push(first);
        if first == '{' {
            self.bounds()?;
        }
        if self.take('?') {
            self.out.push('?');
        }
        self.repeatable = false;
        match self.input.peek() {
            Some('+') => unsupported("a possessive quantifier"),
            _ => Ok(()),
        }
    }

    /// `n}`, `n,}` or `n,m}`.
    fn bounds(&mut self) -> Result<(), Problem> {
        let mut digits = 0;
        let mut comma = false;
        loop {
            let next = self.input.next().ok_or(Problem::Invalid("an open {"))?;
            self.out.push(next);
            match next {
                '0'..='9' => digits += 1,
                ',' if digits > 0 && !comma => comma = true,
                '}' if digits > 0 => return Ok(()),
                _ => return Err(Problem::Invalid("the numbers in {}")),
            }
        }
    }
}

/// A character that stands for itself, inside and outside of brackets.
fn push_plain(character: char, out: &mut String) {
    if character.is_ascii_alphanumeric() || !character.is_ascii() {
        out.push(character);
    } else {
        out.push_str(&format!(r"\x{{{:x}}}", u32::from(character)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, text: &str, expected: Option<&str>) {
        let translated = translate(pattern).unwrap();
        let regex = regex::Regex::new(&translated.pattern).unwrap();
        assert_eq!(regex.find(text).map(|found| found.as_str()), expected, "{pattern}");
    }

    #[test]
    fn patterns_find_what_java_finds() {
        check(r"\d+\.\d", "٣ 12.5", Some("12.5"));
        check(r"[\w-]+", "é a-b_1", Some("a-b_1"));
        check(r"[^\W\d]+", "12ab", Some("ab"));
        check("a.c", "a\rc a\u{2028}c axc", Some("axc"));
        check("(?s)a.c", "a\nc", Some("a\nc"));
        check("(?i)stra(?-i)ß[a-c]", "STRAßB STRAßb", Some("STRAßb"));
        check("(?i)É", "é", None);
        check("(?i:x[b-dQ])y", "XqY XCy", Some("XCy"));
        check(r"\Qa.b[\E\.", "a.b[.", Some("a.b[."));
        check(r"[a-z&&[^c-x]]+", "cyab", Some("yab"));
        check(r"[]a]+", "x]a", Some("]a"));
        check("[a-]+", "b-a", Some("-a"));
        check("[+--]+", "a+,-", Some("+,-"));
        check(r"[\Q^-]\E]+", "a^-]", Some("^-]"));
        check(r"\p{Lu}\p{IsGreek}\p{Punct}", "Aα!", Some("Aα!"));
        check(r"\p{Alpha}+", "éab", Some("ab"));
        check(r"\P{L}\pL", "a1b", Some("1b"));
        check(r"\x41\u0042\x{43}\0104\cA\t", "ABCD\u{1}\t", Some("ABCD\u{1}\t"));
        check(r"\uD83D\uDE00", "😀", Some("😀"));
        check(r"\R\h", "\r\n\u{a0}", Some("\r\n\u{a0}"));
        check(r"x{2,3}?", "xxx", Some("xx"));
        check("a~b#c&d", "a~b#c&d", Some("a~b#c&d"));
        check("[a~~b&]+", "~&", Some("~&"));
        check("", "abc", Some(""));
        check("]}", "]}", Some("]}"));
    }

    #[test]
    fn what_java_refuses_is_invalid() {
        for pattern in [
            "(", ")", "a)", "*a", "a**", "(*)", "a{", "a{,3}", "a{x}", "[", "[a", "[z-a]", r"\",
            r"\y", r"\p{Foo}", r"\p{", "(?q)", "(?<1>a)", "(?<>a)", r"\x4", r"\u12", r"\0", r"\E",
            "(?", "(?i", "[a&&",
        ] {
            assert!(matches!(translate(pattern), Err(Problem::Invalid(_))), "{pattern}");
        }
    }

    #[test]
    fn what_needs_backtracking_is_unsupported() {
        for pattern in [
            "(?=a)",
            "(?!a)",
            "(?<=a)",
            "(?<!a)",
            "(?>a)",
            "a++",
            "a*+",
            "a{2}+",
            r"(a)\1",
            r"(?<n>a)\k<n>",
            r"\G",
            r"\b{g}",
            "(?m)^a",
            "(?x) a",
            "(?u)a",
            r"\p{InGreek}",
            r"\p{javaLowerCase}",
            r"a$|b\z",
            r"\X",
        ] {
            assert!(matches!(translate(pattern), Err(Problem::Unsupported(_))), "{pattern}");
        }
    }
}
