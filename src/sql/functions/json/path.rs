//! JsonPath as Jayway's library reads it, without filters, functions and lists of names.

use super::tape::{Kind, Tape};

/// A compiled path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Path {
    steps: Vec<Step>,
    /// The path leads to one value at most.
    definite: bool,
    /// `lax`: what is missing is NULL, not an error.
    pub(super) lax: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Member(String),
    /// Negative ones count from the end.
    Elements(Vec<i64>),
    Slice(Option<i64>, Option<i64>),
    Wildcard,
    /// The next step anywhere below.
    Scan,
}

/// What a path leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Found {
    Value(u32),
    /// Of a path that is not definite.
    Values(Vec<u32>),
}

/// There is nothing where the path leads.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Missing;

impl Path {
    /// Compiles a path, with `lax` or `strict` before it or without.
    ///
    /// # Errors
    /// In words for the user.
    pub(super) fn compile(text: &str) -> Result<Path, String> {
        let (lax, path) = mode_of(text);
        let steps = Compiler { text, rest: path.trim() }.run()?;
        let definite = steps.iter().all(|step| match step {
            Step::Member(_) => true,
            Step::Elements(indices) => indices.len() == 1,
            Step::Slice(..) | Step::Wildcard | Step::Scan => false,
        });
        Ok(Path { steps, definite, lax })
    }

    /// What the path leads to; `None` when it is lax and there is nothing.
    pub(super) fn read(&self, tape: &Tape, text: &str) -> Result<Option<Found>, Missing> {
        let mut walk = Walk { tape, text, lax: self.lax, found: Vec::new() };
        let walked = walk.step(&self.steps, Tape::ROOT, true);
        let found = walk.found;
        match (self.definite, walked, self.lax) {
            (true, Ok(()), _) if let Some(&value) = found.last() => Ok(Some(Found::Value(value))),
            (true, _, true) => Ok(None),
            (false, Ok(()), _) => Ok(Some(Found::Values(found))),
            (false, Err(_), true) => Ok(Some(Found::Values(Vec::new()))),
            _ => Err(Missing),
        }
    }
}

/// `lax $.a` and `strict $.a`; without a word a path is strict.
fn mode_of(text: &str) -> (bool, &str) {
    let trimmed = text.trim_start();
    for (word, lax) in [("lax", true), ("strict", false)] {
        if let Some(start) = trimmed.get(..word.len())
            && start.eq_ignore_ascii_case(word)
            && let rest = &trimmed[word.len()..]
            && rest.starts_with(char::is_whitespace)
        {
            return (lax, rest.trim_start());
        }
    }
    (false, text)
}

struct Compiler<'t> {
    text: &'t str,
    rest: &'t str,
}

impl Compiler<'_> {
    fn fault<T>(&self, what: &str) -> Result<T, String> {
        Err(format!("the path '{}' is not supported: {what}", self.text))
    }

    fn take(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        if let Some(rest) = rest {
            self.rest = rest;
        }
        rest.is_some()
    }

    fn skip_spaces(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn run(mut self) -> Result<Vec<Step>, String> {
        let mut steps = Vec::new();
        if self.rest.is_empty() {
            return self.fault("it is empty");
        }
        if !self.take("$") && !self.take("@") {
            // Without its root a path begins with a name.
            steps.push(self.after_dot()?);
        }
        while !self.rest.is_empty() {
            let step = if self.take("..") {
                steps.push(Step::Scan);
                self.after_dot()?
            } else if self.take(".") {
                self.after_dot()?
            } else if self.take("[") {
                self.in_brackets()?
            } else {
                return self.fault("a . or [ is expected");
            };
            steps.push(step);
        }
        Ok(steps)
    }

    /// A name or `*`; brackets may follow a point, too.
    fn after_dot(&mut self) -> Result<Step, String> {
        if self.take("[") {
            return self.in_brackets();
        }
        if self.take("*") {
            return Ok(Step::Wildcard);
        }
        let end = self.rest.find(['.', '[', ' ', '(']).unwrap_or(self.rest.len());
        let (name, rest) = self.rest.split_at(end);
        if name.is_empty() {
            return self.fault("a name is expected behind a .");
        }
        match rest.chars().next() {
            Some(' ') => self.fault("a name with a space stands in [' ']"),
            Some('(') => self.fault("functions"),
            _ => {
                self.rest = rest;
                Ok(Step::Member(name.to_string()))
            }
        }
    }

    fn in_brackets(&mut self) -> Result<Step, String> {
        self.skip_spaces();
        let step = match self.rest.chars().next() {
            Some('*') => {
                self.rest = &self.rest[1..];
                Step::Wildcard
            }
            Some(quote @ ('\'' | '"')) => {
                self.rest = &self.rest[1..];
                Step::Member(self.quoted(quote)?)
            }
            Some('?') => return self.fault("filters"),
            _ => return self.numbers(),
        };
        self.skip_spaces();
        if self.rest.starts_with(',') {
            return self.fault("lists of names");
        }
        if !self.take("]") {
            return self.fault("a ] is expected");
        }
        Ok(step)
    }

    /// Up to the quote; a backslash takes what is behind it as it is.
    fn quoted(&mut self, quote: char) -> Result<String, String> {
        let mut name = String::new();
        let mut characters = self.rest.chars();
        loop {
            match characters.next() {
                Some('\\') => name.extend(characters.next()),
                Some(character) if character == quote => break,
                Some(character) => name.push(character),
                None => return self.fault("a quote is not closed"),
            }
        }
        self.rest = characters.as_str();
        Ok(name)
    }

    /// `n`, `n,m` or `n:m`.
    fn numbers(&mut self) -> Result<Step, String> {
        let Some((inside, rest)) = self.rest.split_once(']') else {
            return self.fault("a ] is expected");
        };
        let number = |text: &str| text.trim().parse::<i64>().ok();
        let step = match inside.split_once(':') {
            Some((from, to)) => {
                let bound = |text: &str| match text.trim().is_empty() {
                    true => Some(None),
                    false => number(text).map(Some),
                };
                match (bound(from), bound(to)) {
                    (Some(None), Some(None)) | (None, _) | (_, None) => None,
                    (Some(from), Some(to)) => Some(Step::Slice(from, to)),
                }
            }
            None => inside.split(',').map(number).collect::<Option<Vec<_>>>().map(Step::Elements),
        };
        let Some(step) = step else { return self.fault("a number is expected in []") };
        self.rest = rest;
        Ok(step)
    }
}

struct Walk<'a> {
    tape: &'a Tape,
    text: &'a str,
    lax: bool,
    found: Vec<u32>,
}

impl Walk<'_> {
    /// Follows the steps from `node`; what comes before them is `definite` or not.
    fn step(&mut self, steps: &[Step], node: u32, definite: bool) -> Result<(), Missing> {
        let Some((first, rest)) = steps.split_first() else {
            self.found.push(node);
            return Ok(());
        };
        let kind = self.tape.kind(node);
        let absent = || if definite && !self.lax { Err(Missing) } else { Ok(()) };
        match first {
            Step::Member(_) if kind != Kind::Object => absent(),
            Step::Member(name) => match self.tape.member(self.text, node, name) {
                Some(value) => self.step(rest, value, definite),
                // At the end it is the caller who finds nothing.
                None if rest.is_empty() => Ok(()),
                None => absent(),
            },
            Step::Elements(_) | Step::Slice(..) if kind != Kind::Array => absent(),
            Step::Elements(indices) => {
                let elements: Vec<u32> = self.tape.children(node).collect();
                let one = indices.len() == 1;
                for &index in indices {
                    if let Some(element) = at(&elements, index) {
                        self.step(rest, element, definite && one)?;
                    }
                }
                Ok(())
            }
            Step::Slice(from, to) => {
                let elements: Vec<u32> = self.tape.children(node).collect();
                for index in slice(elements.len(), *from, *to) {
                    if let Some(element) = at(&elements, index) {
                        self.step(rest, element, false)?;
                    }
                }
                Ok(())
            }
            Step::Wildcard => {
                for value in self.values(node) {
                    self.step(rest, value, false)?;
                }
                Ok(())
            }
            Step::Scan => self.scan(rest, node),
        }
    }

    /// Elements of an array, values of an object.
    fn values(&self, node: u32) -> Vec<u32> {
        match self.tape.kind(node) {
            Kind::Array => self.tape.children(node).collect(),
            Kind::Object => {
                let members = self.tape.members(self.text, node);
                members.into_iter().map(|(_, value)| value).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The steps at `node` and at everything in it.
    fn scan(&mut self, steps: &[Step], node: u32) -> Result<(), Missing> {
        if !self.tape.is_scalar(node) {
            self.step(steps, node, false)?;
        }
        for value in self.values(node) {
            self.scan(steps, value)?;
        }
        Ok(())
    }
}

fn at(elements: &[u32], index: i64) -> Option<u32> {
    let length = i64::try_from(elements.len()).ok()?;
    let index = if index < 0 { index + length } else { index };
    elements.get(usize::try_from(index).ok()?).copied()
}

/// Indices of a slice; with both bounds negative ones stay negative.
fn slice(length: usize, from: Option<i64>, to: Option<i64>) -> std::ops::Range<i64> {
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    match (from, to) {
        (Some(from), Some(to)) => from.max(-length)..to.min(length),
        (Some(from), None) => (if from < 0 { from + length } else { from }).max(0)..length,
        (None, Some(to)) => 0..(if to < 0 { to + length } else { to }).min(length),
        (None, None) => 0..length,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"a":1,"b":{"c":[1,2,{"d":"x"}]},"a b":null,"q\u0022":[[3],4]}"#;

    #[track_caller]
    fn check(path: &str, expected: &str) {
        let mut tape = Tape::default();
        tape.parse(TEXT).unwrap();
        let shown = |node: u32| {
            let mut out = String::new();
            tape.write(TEXT, node, &mut out);
            out
        };
        let actual = match Path::compile(path).unwrap().read(&tape, TEXT) {
            Err(Missing) => "missing".to_string(),
            Ok(None) => "nothing".to_string(),
            Ok(Some(Found::Value(node))) => shown(node),
            Ok(Some(Found::Values(nodes))) => {
                format!("<{}>", nodes.into_iter().map(shown).collect::<Vec<_>>().join(" "))
            }
        };
        assert_eq!(actual, expected, "{path}");
    }

    #[test]
    fn paths_lead_where_jayway_leads() {
        check("$", r#"{"a":1,"a b":null,"b":{"c":[1,2,{"d":"x"}]},"q\"":[[3],4]}"#);
        check("$.b.c[2].d", "\"x\"");
        check("a", "1");
        check("$['a b']", "null");
        check("$.['a b']", "null");
        check(r#"$["q\""]"#, "[[3],4]");
        check("$.b.c[-1].d", "\"x\"");
        check("$.b.c[3]", "missing");
        check("lax $.b.c[3]", "nothing");
        check("$.x", "missing");
        check("$.x.y", "missing");
        check("LAX  $.a.y", "nothing");
        check("strict $.a[0]", "missing");
        check("$.b.c[0,1]", "<1 2>");
        check("$.b.c[-2:]", r#"<2 {"d":"x"}>"#);
        check("$.b.c[:1]", "<1>");
        check("$.b.c[:-1]", "<1 2>");
        check("$.b.c[1:9]", r#"<2 {"d":"x"}>"#);
        check("$.b.c[-2:1]", r#"<2 {"d":"x"} 1>"#);
        check("$.b[*]", r#"<[1,2,{"d":"x"}]>"#);
        check("$.b.*[2].d", "<\"x\">");
        check("$..d", "<\"x\">");
        check("$..[0]", "<1 [3] 3>");
        check("$.x[*].y", "missing");
        check("lax $.x[*].y", "<>");
        check("$.a[*]", "<>");
        check("$..x.y", "<>");
    }

    #[test]
    fn what_is_no_path_is_refused() {
        for path in [
            "",
            "$.",
            "$..",
            "$a",
            "$.a b",
            "$[",
            "$.[",
            "$['a",
            "$['a'",
            "$['a','b']",
            "$[x]",
            "$[:]",
            "$[?(@.a == 1)]",
            "$.a.length()",
            "lax ",
            "$.a..",
        ] {
            assert!(Path::compile(path).is_err(), "{path}");
        }
    }
}
