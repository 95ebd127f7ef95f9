//! What the TOML says: each value checked against its key, nothing computed.
//!
//! In:  the text of a job file.
//! Out: tables of known keys with values of the right kind, and where each stands.
//!
//! Invariant: a [`RawTable`] holds only keys of its section, with values of the key's kind.

use std::collections::BTreeMap;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Host;
use super::error::{Errors, Position};
use super::expand::expand;
use super::key::{self, Key, Kind, Section};
use super::locate::Locator;
use super::table::RawTable;
use super::value::{self, Given, GivenField, Value};
use crate::source::FieldOption;
use crate::sql::SqlText;
use crate::stdx::did_you_mean;

/// Syntax errors shown at most: one is often the cause of the others.
const SYNTAX_ERRORS_MAX: usize = 8;

/// Longest piece of a value that is repeated in an error line.
const WRITTEN_CHARS_MAX: usize = 60;

/// A job file as written.
#[derive(Debug)]
pub(super) struct RawJob {
    pub(super) top: RawTable,
    pub(super) reactor: RawTable,
    pub(super) durability: RawTable,
    pub(super) http: RawTable,
    pub(super) limits: RawTable,
    pub(super) query: RawTable,
    pub(super) sources: BTreeMap<String, RawTable>,
    pub(super) sinks: BTreeMap<String, RawTable>,
}

/// Reads a job file; `None` when it is not even TOML.
pub(super) fn read(
    path: &Path,
    text: &str,
    host: &Host<'_>,
    errors: &mut Errors,
) -> Option<RawJob> {
    let locator = Locator::new(text);
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    for error in syntax_errors.iter().take(SYNTAX_ERRORS_MAX) {
        let at = locator.position(error.span().map_or(0, |span| span.start));
        errors.add(at, "", format!("not valid TOML: {}", error.message()));
    }
    if !syntax_errors.is_empty() {
        return None;
    }
    let directory = path.parent().unwrap_or(Path::new(""));
    let mut reader = Reader { file: path, directory, locator, host, errors };
    Some(reader.job(document.get_ref()))
}

struct Reader<'a, 'h> {
    file: &'a Path,
    directory: &'a Path,
    locator: Locator<'a>,
    host: &'a Host<'h>,
    errors: &'a mut Errors,
}

impl Reader<'_, '_> {
    fn job(&mut self, document: &DeTable<'_>) -> RawJob {
        let mut names: Vec<&str> = key::TOP.key_names();
        names.extend(key::SECTIONS.iter().map(|section| section.name));
        let mut top = RawTable::new(&key::TOP, String::new(), Position { line: 1, column: 1 });
        for (name, value) in document {
            if let Some(known) = key::TOP.key(name.get_ref()) {
                self.value(known, value, &mut top);
            } else if !names.contains(&name.get_ref().as_ref()) {
                self.unknown(name, "", &names);
            }
        }
        RawJob {
            top,
            reactor: self.section(document, &key::REACTOR),
            durability: self.section(document, &key::DURABILITY),
            http: self.section(document, &key::HTTP),
            limits: self.section(document, &key::LIMITS),
            query: self.section(document, &key::QUERY),
            sources: self.named_tables(document, &key::SOURCES),
            sinks: self.named_tables(document, &key::SINKS),
        }
    }

    fn section(&mut self, document: &DeTable<'_>, section: &'static Section) -> RawTable {
        let nowhere = Position { line: 1, column: 1 };
        let Some(value) = document.get(section.name) else {
            return RawTable::new(section, section.name.to_owned(), nowhere);
        };
        self.table(section, section.name.to_owned(), value)
    }

    /// The tables a user has named, such as everything under `sources`.
    fn named_tables(
        &mut self,
        document: &DeTable<'_>,
        section: &'static Section,
    ) -> BTreeMap<String, RawTable> {
        let Some(value) = document.get(section.name) else { return BTreeMap::new() };
        let Some(tables) = self.expect_table(section.name, value) else { return BTreeMap::new() };
        let mut found = BTreeMap::new();
        for (name, table) in tables {
            let path = format!("{}.{}", section.name, name.get_ref());
            if !value::is_name(name.get_ref()) {
                let rule = "is no name; use 1 to 64 letters, digits, `_`, `-` or `.`";
                self.errors.add(self.locator.position(name.span().start), &path, rule);
            }
            if section.key(name.get_ref()).is_some() && !table.get_ref().is_table() {
                let example = format!("[{}.NAME]", section.name);
                let message = format!("stands outside a table; put it below {example}");
                self.errors.add(self.locator.position(name.span().start), &path, message);
                continue;
            }
            if self.expect_table(&path, table).is_none() {
                continue;
            }
            found.insert(name.get_ref().to_string(), self.table(section, path, table));
        }
        found
    }

    fn table(
        &mut self,
        section: &'static Section,
        path: String,
        value: &Spanned<DeValue<'_>>,
    ) -> RawTable {
        let mut table = RawTable::new(section, path, self.locator.position(value.span().start));
        let Some(entries) = self.expect_table(&table.path, value) else { return table };
        for (name, entry) in entries {
            match section.key(name.get_ref()) {
                Some(known) => self.value(known, entry, &mut table),
                None => self.unknown(name, &table.path, &section.key_names()),
            }
        }
        table
    }

    fn value(&mut self, key: &'static Key, value: &Spanned<DeValue<'_>>, table: &mut RawTable) {
        // As written: references such as `${env:PASSWORD}` are not replaced in messages.
        let written = shortened(self.locator.written(&value.span()));
        let at = self.locator.position(value.span().start);
        if let (Kind::Fields, DeValue::Table(fields)) = (&key.kind, value.get_ref()) {
            return self.fields(key, fields, table);
        }
        let read = match value.get_ref() {
            DeValue::String(text) if matches!(key.kind, Kind::Sql) => {
                Ok(Value::Sql(self.sql_text(text, value)))
            }
            DeValue::String(text) => match expand(text, self.directory, self.host) {
                Ok(text) => value::from_text(&key.kind, &text),
                Err(reason) => Err(format!("cannot be read: {reason}")),
            },
            other => value::from_toml(&key.kind, other),
        };
        match read {
            Ok(read) => table.insert(key, Given { value: read, at }),
            Err(reason) => {
                table.refuse(key);
                let path = table.key_path(key.name);
                self.errors.add(at, &path, format!("{written} {reason}"));
            }
        }
    }

    /// A table of options for each column.
    fn fields(&mut self, key: &'static Key, fields: &DeTable<'_>, table: &mut RawTable) {
        for (column, options) in fields {
            let path = format!("{}.{}", table.key_path(key.name), column.get_ref());
            let Some(options) = self.expect_table(&path, options) else {
                table.refuse(key);
                continue;
            };
            for (option, value) in options {
                let at = self.locator.position(value.span().start);
                let text = match value.get_ref() {
                    DeValue::String(text) => expand(text, self.directory, self.host),
                    DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) => {
                        Ok(self.locator.written(&value.span()).to_owned())
                    }
                    other => Err(format!("it is of type {}", other.type_str())),
                };
                match text {
                    Ok(text) => {
                        let field = FieldOption {
                            column: column.get_ref().to_string(),
                            option: option.get_ref().to_string(),
                            value: text,
                        };
                        table.insert_field(key, GivenField { field, at });
                    }
                    Err(reason) => {
                        table.refuse(key);
                        let path = format!("{path}.{}", option.get_ref());
                        self.errors.add(at, &path, format!("cannot be read: {reason}"));
                    }
                }
            }
        }
    }

    fn sql_text(&self, text: &str, value: &Spanned<DeValue<'_>>) -> SqlText {
        let at = self.locator.inside_string(&value.span());
        let (file, text) = (self.file.to_owned(), text.to_owned());
        SqlText { text, file, line: at.line, column: at.column }
    }

    fn expect_table<'v, 'i>(
        &mut self,
        path: &str,
        value: &'v Spanned<DeValue<'i>>,
    ) -> Option<&'v DeTable<'i>> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(table);
        }
        let at = self.locator.position(value.span().start);
        let found = value.get_ref().type_str();
        self.errors.add(at, path, format!("is a table, not of type {found}; write [{path}]"));
        None
    }

    fn unknown(&mut self, name: &Spanned<toml::de::DeString<'_>>, path: &str, known: &[&str]) {
        let at = self.locator.position(name.span().start);
        let given = name.get_ref();
        let full = if path.is_empty() { given.to_string() } else { format!("{path}.{given}") };
        let hint = did_you_mean(given, known);
        self.errors.add(at, &full, format!("unknown key; {hint}"));
    }
}

/// One line of at most [`WRITTEN_CHARS_MAX`] characters.
fn shortened(written: &str) -> String {
    let line = written.lines().next().unwrap_or("");
    if line.chars().count() <= WRITTEN_CHARS_MAX && line.len() == written.len() {
        return line.to_owned();
    }
    let cut: String = line.chars().take(WRITTEN_CHARS_MAX).collect();
    format!("{cut}…")
}
