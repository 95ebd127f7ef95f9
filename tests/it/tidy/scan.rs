//! Source files as the rules see them: text, and code without comments, strings and tests.

use std::path::{Path, PathBuf};

/// One Rust file.
pub(crate) struct SourceFile {
    /// From the repository's root, such as `src/sink/file.rs`.
    pub(crate) path: String,
    /// All of it.
    pub(crate) text: String,
    /// Comments, string contents and the test module at the end are blanked out; lines stay.
    code: String,
}

impl SourceFile {
    pub(crate) fn new(path: &str, text: &str) -> SourceFile {
        let code = blanked(text);
        let end = code.find("#[cfg(test)]\nmod tests").unwrap_or(code.len());
        SourceFile { path: path.to_owned(), text: text.to_owned(), code: code[..end].to_owned() }
    }

    /// The top-level module, `sink` for `src/sink.rs` and `src/sink/file.rs`.
    pub(crate) fn module(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        below.split(['/', '.']).next().unwrap_or("")
    }

    /// True for files of tests and their tools, which may use what they compare with.
    pub(crate) fn is_test(&self) -> bool {
        ["/tests.rs", "/testing.rs"].iter().any(|name| self.path.ends_with(name))
            || (self.path.starts_with("src/") && self.path.contains("/tests/"))
    }

    /// True when the file is `place` under `src`: that file, the folder's file, or in the folder.
    pub(crate) fn is_in(&self, place: &str) -> bool {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let stem = place.strip_suffix(".rs").unwrap_or(place);
        below == place
            || below.strip_suffix(".rs") == Some(stem)
            || below.strip_prefix(stem).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Numbers of the lines whose code satisfies `wanted`.
    pub(crate) fn code_lines_with(&self, wanted: impl Fn(&str) -> bool) -> Vec<usize> {
        let lines = self.code.lines().enumerate();
        lines.filter(|(_, line)| wanted(line)).map(|(index, _)| index + 1).collect()
    }

    /// Line and first segment of every path into this crate, groups in braces included.
    pub(crate) fn crate_paths(&self) -> Vec<(usize, String)> {
        let root = if self.module() == "main" { "pelton::" } else { "crate::" };
        let mut found = Vec::new();
        for (at, _) in self.code.match_indices(root) {
            // `pub(in crate::x)` names no dependency.
            if self.code[..at].ends_with("pub(in ") {
                continue;
            }
            let rest = &self.code[at + root.len()..];
            let line = self.code[..at].matches('\n').count() + 1;
            found.extend(first_segments(rest).into_iter().map(|segment| (line, segment)));
        }
        found
    }
}

/// `a::b` gives `a`; `{a, b::{c, d}}` gives `a` and `b`.
fn first_segments(path: &str) -> Vec<String> {
    let identifier = |text: &str| {
        text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    let Some(group) = path.strip_prefix('{') else { return vec![identifier(path)] };
    let mut segments = Vec::new();
    let (mut depth, mut item) = (0_u32, String::new());
    for c in group.chars() {
        match c {
            '}' if depth == 0 => break,
            ',' if depth == 0 => segments.push(std::mem::take(&mut item)),
            '{' => depth += 1,
            '}' => depth -= 1,
            _ if depth == 0 => item.push(c),
            _ => {}
        }
    }
    segments.push(item);
    let segments = segments.iter().map(|segment| identifier(segment.trim()));
    segments.filter(|segment| !segment.is_empty()).collect()
}

/// The text with comments and the contents of strings and characters replaced by spaces.
fn blanked(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let (kept, skipped) = token(rest, c);
        out.push_str(&rest[..kept]);
        let blank = |hidden: char| if hidden == '\n' { '\n' } else { ' ' };
        out.extend(rest[kept..kept + skipped].chars().map(blank));
        rest = &rest[kept + skipped..];
    }
    out
}

/// Bytes to keep and bytes to blank from the beginning of `rest`, which starts with `c`.
fn token(rest: &str, c: char) -> (usize, usize) {
    let until = |from: usize, end: &str| {
        rest[from..].find(end).map_or(rest.len(), |at| from + at + end.len())
    };
    if rest.starts_with("//") {
        return (0, rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (0, until(2, "*/"));
    }
    if c == '"' {
        return (0, quoted(rest));
    }
    if c == 'r' && (rest.starts_with("r\"") || rest.starts_with("r#")) {
        let hashes = rest[1..].bytes().take_while(|&byte| byte == b'#').count();
        if rest[1 + hashes..].starts_with('"') {
            return (0, until(2 + hashes, &format!("\"{}", "#".repeat(hashes))));
        }
    }
    if c == '\'' {
        // A lifetime's quote is kept.
        return match character(rest) {
            0 => (1, 0),
            skipped => (0, skipped),
        };
    }
    if c.is_alphanumeric() || c == '_' {
        // Whole words, so that the `r` of `for"` is no raw string.
        let word =
            rest.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(rest.len());
        return (word, 0);
    }
    (c.len_utf8(), 0)
}

fn quoted(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// `'x'` and `'\n'` are characters; `'a` alone is a lifetime, of which nothing is blanked.
fn character(rest: &str) -> usize {
    let mut chars = rest.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => rest.get(3..).and_then(|rest| rest.find('\'')).map_or(0, |at| at + 4),
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

/// All Rust files below `folder` of the repository, in the order of their names.
pub(crate) fn sources(folder: &str) -> Vec<SourceFile> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    collect(&root.join(folder), &mut paths);
    paths.sort();
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).expect("sources are readable UTF-8");
        let below = path.strip_prefix(root).expect("it was found below the root");
        SourceFile::new(below.to_str().expect("names are UTF-8"), &text)
    };
    paths.iter().map(read).collect()
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries {
        let path = entry.expect("the folder is readable").path();
        if path.is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            paths.push(path);
        }
    }
}

#[test]
fn code_is_what_is_left_without_comments_strings_and_tests() {
    let check = |text: &str, expected: &str| {
        assert_eq!(SourceFile::new("src/a.rs", text).code.trim_end(), expected, "{text}");
    };
    check("a // b", "a");
    check("a /* b */ c", "a         c");
    check("f(\"x \\\" y\", z)", "f(        , z)");
    check("f(r#\"x \" y\"#, z)", "f(          , z)");
    check("f('\"', '\\'', z)", "f(   ,     , z)");
    check("fn f<'a>(x: &'a str)", "fn f<'a>(x: &'a str)");
    check("a\n#[cfg(test)]\nmod tests {}", "a");
}
