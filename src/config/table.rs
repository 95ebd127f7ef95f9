//! One table as written: keys of its section with values of the right kind.
//!
//! The getters panic on a key that is not of the section or not of the kind: both are ours.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::error::Position;
use super::job::CoreChoice;
use super::key::{Key, Section};
use super::value::{Given, GivenField, Value};
use crate::sql::SqlText;

/// One table as written.
#[derive(Clone, Debug)]
pub(super) struct RawTable {
    section: &'static Section,
    /// Its name in full, such as `sources.bid`.
    pub(super) path: String,
    /// Where it is opened.
    pub(super) at: Position,
    values: BTreeMap<&'static str, Given>,
    /// Keys that are present with a value of the wrong kind: they are not missing.
    refused: Vec<&'static str>,
}

impl RawTable {
    pub(super) fn new(section: &'static Section, path: String, at: Position) -> RawTable {
        RawTable { section, path, at, values: BTreeMap::new(), refused: Vec::new() }
    }

    pub(super) fn insert(&mut self, key: &'static Key, given: Given) {
        self.values.insert(key.name, given);
    }

    /// Adds an option of a column to the key `fields`, whose place is that of the first one.
    pub(super) fn insert_field(&mut self, key: &'static Key, given: GivenField) {
        let at = given.at;
        let fields = || Given { value: Value::Fields(Vec::new()), at };
        match &mut self.values.entry(key.name).or_insert_with(fields).value {
            Value::Fields(fields) => fields.push(given),
            other => panic!("{} holds {other:?}, not options of columns", key.name),
        }
    }

    pub(super) fn refuse(&mut self, key: &'static Key) {
        self.refused.push(key.name);
    }

    /// `sources.bid.listen`, for errors.
    pub(super) fn key_path(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Keys with a value, and the value.
    pub(super) fn given(&self) -> impl Iterator<Item = (&'static Key, &Given)> {
        self.values.iter().map(|(name, given)| {
            (self.section.key(name).expect("only keys of the section are inserted"), given)
        })
    }

    /// The value of a key, if it was given one of the right kind.
    pub(super) fn get(&self, key: &str) -> Option<&Given> {
        assert!(self.section.key(key).is_some(), "{key} is a key of {}", self.section.name);
        self.values.get(key)
    }

    /// True when the file has the key, even with a wrong value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.get(key).is_some() || self.refused.contains(&key)
    }

    /// Where the key's value stands; the table when it has none.
    pub(super) fn at(&self, key: &str) -> Position {
        self.get(key).map_or(self.at, |given| given.at)
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match &self.get(key)?.value {
            Value::Text(text) => Some(text),
            other => panic!("{key} holds {other:?}, not a text"),
        }
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.get(key)?.value {
            Value::Flag(flag) => Some(flag),
            ref other => panic!("{key} holds {other:?}, not a flag"),
        }
    }

    pub(super) fn count(&self, key: &str) -> Option<u64> {
        match self.get(key)?.value {
            Value::Count(count) => Some(count),
            ref other => panic!("{key} holds {other:?}, not a count or size"),
        }
    }

    /// A duration; `Some(None)` when a word stands in its place.
    pub(super) fn time(&self, key: &str) -> Option<Option<Duration>> {
        match self.get(key)?.value {
            Value::Time(duration) => Some(Some(duration)),
            Value::Word(_) => Some(None),
            ref other => panic!("{key} holds {other:?}, not a duration"),
        }
    }

    pub(super) fn word(&self, key: &str) -> Option<&'static str> {
        match self.get(key)?.value {
            Value::Word(word) => Some(word),
            ref other => panic!("{key} holds {other:?}, not a choice"),
        }
    }

    /// The same, of a key that only some sections have.
    pub(super) fn word_if_any(&self, key: &str) -> Option<&'static str> {
        self.section.key(key).and_then(|key| self.word(key.name))
    }

    pub(super) fn character(&self, key: &str) -> Option<u8> {
        match self.get(key)?.value {
            Value::Character(byte) => Some(byte),
            ref other => panic!("{key} holds {other:?}, not a character"),
        }
    }

    pub(super) fn address(&self, key: &str) -> Option<SocketAddr> {
        match self.get(key)?.value {
            Value::Address(address) => Some(address),
            ref other => panic!("{key} holds {other:?}, not an address"),
        }
    }

    pub(super) fn sql(&self, key: &str) -> Option<&SqlText> {
        match &self.get(key)?.value {
            Value::Sql(text) => Some(text),
            other => panic!("{key} holds {other:?}, not SQL"),
        }
    }

    pub(super) fn fields(&self, key: &str) -> &[GivenField] {
        match self.get(key).map(|given| &given.value) {
            None => &[],
            Some(Value::Fields(fields)) => fields,
            Some(other) => panic!("{key} holds {other:?}, not options of columns"),
        }
    }

    pub(super) fn names(&self, key: &str) -> &[String] {
        match self.get(key).map(|given| &given.value) {
            None => &[],
            Some(Value::Names(names)) => names,
            Some(other) => panic!("{key} holds {other:?}, not a list of names"),
        }
    }

    pub(super) fn cores(&self, key: &str) -> Option<&CoreChoice> {
        match &self.get(key)?.value {
            Value::Cores(choice) => Some(choice),
            other => panic!("{key} holds {other:?}, not a choice of cores"),
        }
    }
}
