//! Classes in brackets: unions, ranges, intersections, negation.

use super::escape::Escaped;
use super::{Problem, Translator, push_plain};

/// What one item of a class is.
enum Item {
    Character(char),
    /// A class in the notation that may stand anywhere.
    Set(String),
}

impl Translator<'_> {
    /// Behind `[`: the class with its brackets.
    pub(super) fn class(&mut self) -> Result<String, Problem> {
        let mut class = String::from("[");
        if self.take('^') {
            class.push('^');
        }
        let mut empty = true;
        loop {
            let first = self.input.next().ok_or(Problem::Invalid("an open ["))?;
            match first {
                ']' if !empty => break,
                '[' => {
                    let inner = self.class()?;
                    class.push_str(&inner);
                }
                '&' if self.take('&') => {
                    // Further ampersands say nothing.
                    while self.take('&') {}
                    class.push_str("&&");
                    if self.input.peek() == Some(']') {
                        return Err(Problem::Invalid("nothing behind &&"));
                    }
                }
                first => self.item(first, &mut class)?,
            }
            empty = false;
        }
        class.push(']');
        Ok(class)
    }

    /// A character, a set or a range that begins with `first`.
    fn item(&mut self, first: char, class: &mut String) -> Result<(), Problem> {
        let from = match self.one(first)? {
            Item::Set(set) => {
                class.push_str(&set);
                return Ok(());
            }
            Item::Character(from) => from,
        };
        let is_range = self.input.peek() == Some('-')
            && !matches!(self.input.peek_second(), Some(']' | '[') | None);
        if !is_range {
            self.push_range(from, from, class);
            return Ok(());
        }
        self.input.next();
        let next = self.input.next().ok_or(Problem::Invalid("an open range"))?;
        match self.one(next)? {
            Item::Character(to) if from <= to => self.push_range(from, to, class),
            Item::Character(_) => return Err(Problem::Invalid("a range runs backwards")),
            Item::Set(_) => return Err(Problem::Invalid("a range ends in a class")),
        }
        Ok(())
    }

    fn one(&mut self, first: char) -> Result<Item, Problem> {
        if first != '\\' {
            return Ok(Item::Character(first));
        }
        match self.escaped()? {
            Escaped::Character(character) => Ok(Item::Character(character)),
            Escaped::Set(set) => Ok(Item::Set(set)),
            Escaped::Quoted(text) => {
                let mut set = String::new();
                for character in text.chars() {
                    self.push_range(character, character, &mut set);
                }
                Ok(Item::Set(set))
            }
            Escaped::Other(_) => Err(Problem::Invalid("an escape has no place in []")),
        }
    }

    /// The range, and its ASCII letters in the other case where case is ignored.
    fn push_range(&self, from: char, to: char, class: &mut String) {
        let mut push = |first: char, last: char| {
            push_plain(first, class);
            if first != last {
                class.push('-');
                push_plain(last, class);
            }
        };
        push(from, to);
        if self.flags.ignores_case {
            let (low, high) = (from.max('a'), to.min('z'));
            if low <= high {
                push(low.to_ascii_uppercase(), high.to_ascii_uppercase());
            }
            let (first, last) = (from.max('A'), to.min('Z'));
            if first <= last {
                push(first.to_ascii_lowercase(), last.to_ascii_lowercase());
            }
        }
    }
}
