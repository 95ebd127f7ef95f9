//! What stands behind a backslash.

use super::{Problem, Translator, unsupported};

/// An escape's meaning.
pub(super) enum Escaped {
    Character(char),
    /// A class in the notation that may stand anywhere.
    Set(String),
    /// Between `\Q` and `\E`.
    Quoted(String),
    /// Something else, by its letter.
    Other(char),
}

fn set(text: &str) -> Result<Escaped, Problem> {
    Ok(Escaped::Set(text.into()))
}

impl Translator<'_> {
    /// Outside of brackets.
    pub(super) fn escape(&mut self) -> Result<(), Problem> {
        match self.escaped()? {
            Escaped::Character(character) => self.literal(character),
            Escaped::Set(set) => self.out.push_str(&set),
            Escaped::Quoted(text) => {
                self.repeatable = !text.is_empty();
                text.chars().for_each(|character| self.literal(character));
            }
            Escaped::Other(letter) => match letter {
                'b' if self.input.peek() == Some('{') => return unsupported(r"\b{g}"),
                'b' => self.out.push_str(r"\b"),
                'B' => self.out.push_str(r"\B"),
                'A' => self.out.push_str(r"\A"),
                'z' => {
                    self.absolute_end = true;
                    self.out.push_str(r"\z");
                }
                'Z' => self.dollar(),
                'R' => self.out.push_str(r"(?:\r\n|[\n\x0B\f\r\x{85}\x{2028}\x{2029}])"),
                'G' => return unsupported(r"\G"),
                'X' => return unsupported(r"\X"),
                'k' | '1'..='9' => return unsupported("a back reference"),
                _ => return Err(Problem::Invalid("an unknown escape")),
            },
        }
        Ok(())
    }

    /// Behind `\`.
    pub(super) fn escaped(&mut self) -> Result<Escaped, Problem> {
        let letter = self.input.next().ok_or(Problem::Invalid("nothing behind a backslash"))?;
        match letter {
            'd' => set("[0-9]"),
            'D' => set("[^0-9]"),
            'w' => set("[a-zA-Z0-9_]"),
            'W' => set("[^a-zA-Z0-9_]"),
            's' => set(r"[\x20\t\n\x0B\f\r]"),
            'S' => set(r"[^\x20\t\n\x0B\f\r]"),
            'h' => set(r"[\x20\t\xA0\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]"),
            'H' => set(r"[^\x20\t\xA0\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}]"),
            'v' => set(r"[\n\x0B\f\r\x{85}\x{2028}\x{2029}]"),
            'V' => set(r"[^\n\x0B\f\r\x{85}\x{2028}\x{2029}]"),
            't' => Ok(Escaped::Character('\t')),
            'n' => Ok(Escaped::Character('\n')),
            'r' => Ok(Escaped::Character('\r')),
            'f' => Ok(Escaped::Character('\x0C')),
            'a' => Ok(Escaped::Character('\x07')),
            'e' => Ok(Escaped::Character('\x1B')),
            'c' => {
                let control = self.input.next().filter(char::is_ascii);
                let code = control.ok_or(Problem::Invalid(r"nothing behind \c"))?;
                let code = u8::try_from(code).expect("it is ASCII");
                Ok(Escaped::Character(char::from(code ^ 64)))
            }
            '0' => self.octal(),
            'x' => self.hexadecimal(),
            'u' => self.unicode(),
            'p' => self.property(false),
            'P' => self.property(true),
            'Q' => Ok(Escaped::Quoted(self.quoted())),
            'E' => Err(Problem::Invalid(r"\E without \Q")),
            other if other.is_ascii_alphanumeric() => Ok(Escaped::Other(other)),
            other => Ok(Escaped::Character(other)),
        }
    }

    fn quoted(&mut self) -> String {
        let mut text = String::new();
        while let Some(character) = self.input.next() {
            if character == '\\' && self.take('E') {
                break;
            }
            text.push(character);
        }
        text
    }

    fn digits(&mut self, radix: u32, count: usize) -> Option<u32> {
        let mut code = 0;
        for _ in 0..count {
            code = code * radix + self.input.next()?.to_digit(radix)?;
        }
        Some(code)
    }

    /// One to three digits, up to 377.
    fn octal(&mut self) -> Result<Escaped, Problem> {
        let mut code = self.digits(8, 1).ok_or(Problem::Invalid(r"no octal digit behind \0"))?;
        for _ in 0..2 {
            match self.input.peek().and_then(|next| next.to_digit(8)) {
                Some(digit) if code * 8 + digit <= 0o377 => {
                    code = code * 8 + digit;
                    self.input.next();
                }
                _ => break,
            }
        }
        character(Some(code))
    }

    fn hexadecimal(&mut self) -> Result<Escaped, Problem> {
        if !self.take('{') {
            return character(self.digits(16, 2));
        }
        let mut code = 0_u32;
        loop {
            match self.input.next() {
                Some('}') => return character(Some(code)),
                Some(next) => {
                    let digit = next.to_digit(16).filter(|_| code <= 0x10_ffff);
                    let digit = digit.ok_or(Problem::Invalid(r"the code behind \x"))?;
                    code = code * 16 + digit;
                }
                None => return Err(Problem::Invalid(r"an open \x{")),
            }
        }
    }

    /// Four digits; a pair of surrogates is one character.
    fn unicode(&mut self) -> Result<Escaped, Problem> {
        let first = self.digits(16, 4).ok_or(Problem::Invalid(r"four digits follow \u"))?;
        if !(0xd800..0xdc00).contains(&first) {
            return character(Some(first));
        }
        let second = match (self.take('\\'), self.take('u')) {
            (true, true) => self.digits(16, 4).filter(|code| (0xdc00..0xe000).contains(code)),
            _ => None,
        };
        match second {
            Some(second) => character(Some(0x1_0000 + ((first - 0xd800) << 10) + second - 0xdc00)),
            None => unsupported("half a pair of surrogates"),
        }
    }

    fn property(&mut self, negated: bool) -> Result<Escaped, Problem> {
        let mut name = String::new();
        if self.take('{') {
            loop {
                match self.input.next() {
                    Some('}') => break,
                    Some(letter) => name.push(letter),
                    None => return Err(Problem::Invalid(r"an open \p{")),
                }
            }
        } else {
            name.extend(self.input.next());
        }
        let class = property_class(&name)?;
        let cased = matches!(name.as_str(), "Lower" | "Upper" | "Lu" | "Ll" | "Lt");
        if cased && self.flags.ignores_case {
            return unsupported("a class of one case under (?i)");
        }
        Ok(Escaped::Set(if negated { format!("[^{class}]") } else { format!("[{class}]") }))
    }
}

fn character(code: Option<u32>) -> Result<Escaped, Problem> {
    let character = code.and_then(char::from_u32);
    character.map(Escaped::Character).ok_or(Problem::Invalid("the code of a character"))
}

/// What stands in brackets for a property.
fn property_class(name: &str) -> Result<String, Problem> {
    let posix = match name {
        "Lower" => "a-z",
        "Upper" => "A-Z",
        "ASCII" => r"\x00-\x7F",
        "Alpha" => "a-zA-Z",
        "Digit" => "0-9",
        "Alnum" => "a-zA-Z0-9",
        "Punct" => r"!-/:-@\[-`{-~",
        "Graph" => "!-~",
        "Print" => r"\x20-~",
        "Blank" => r"\x20\t",
        "Cntrl" => r"\x00-\x1F\x7F",
        "XDigit" => "0-9a-fA-F",
        "Space" => r"\x20\t\n\x0B\f\r",
        "LC" => r"\p{Lu}\p{Ll}\p{Lt}",
        "LD" => r"\p{L}\p{Nd}",
        "L1" => r"\x00-\xFF",
        _ => "",
    };
    if !posix.is_empty() {
        return Ok(posix.into());
    }
    if name.starts_with("java") || name.starts_with("In") || name.starts_with("bl") {
        return unsupported(&format!(r"\p{{{name}}}"));
    }
    let (script_or_category, binary) = match name.split_once('=') {
        Some(("sc" | "script", script)) => (format!("sc={script}"), ""),
        Some(("gc" | "general_category", category)) => (format!("gc={category}"), ""),
        Some(_) => return Err(Problem::Invalid("an unknown property")),
        None if name.len() <= 2 => (format!("gc={name}"), ""),
        None => (String::new(), name.strip_prefix("Is").unwrap_or_default()),
    };
    let known = match binary {
        "" => script_or_category,
        "Letter" => "L".into(),
        "Digit" => "Nd".into(),
        "Punctuation" => "P".into(),
        "Control" => "Cc".into(),
        other => other.into(),
    };
    let class = format!(r"\p{{{known}}}");
    // The engine knows all scripts, categories and binary properties.
    match regex::Regex::new(&class) {
        Ok(_) if !known.is_empty() => Ok(class),
        _ => Err(Problem::Invalid("an unknown property")),
    }
}
