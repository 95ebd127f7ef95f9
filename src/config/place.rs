//! Where a table and its keys stand, for what is found wrong only after the file was read.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::error::{ConfigError, Position};
use super::table::RawTable;
use super::value::Value;

/// Where a table of the job file, or of CREATE TABLE, and its keys stand.
#[derive(Clone, Debug)]
pub struct Place {
    file: PathBuf,
    /// Its name in full, such as `sources.bid`.
    path: String,
    at: Position,
    /// Options of columns among them, as `fields.id.kind`.
    keys: BTreeMap<String, Position>,
}

/// Tables that say the same are the same, wherever they stand.
impl PartialEq for Place {
    fn eq(&self, _: &Place) -> bool {
        true
    }
}

impl Eq for Place {}

impl Place {
    pub(super) fn of(table: &RawTable, file: &Path) -> Place {
        let mut keys: BTreeMap<String, Position> =
            table.given().map(|(key, given)| (key.name.to_owned(), given.at)).collect();
        for (_, given) in table.given() {
            if let Value::Fields(fields) = &given.value {
                keys.extend(fields.iter().map(|field| (field.key(), field.at)));
            }
        }
        Place { file: file.to_owned(), path: table.path.clone(), at: table.at, keys }
    }

    /// What is wrong with `key`, as one line with file, line and column: those of the key, or of the
    /// table when it does not have it.
    pub fn error(&self, key: &str, message: impl Into<String>) -> String {
        let at = self.keys.get(key).copied().unwrap_or(self.at);
        let key =
            if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        let error =
            ConfigError { file: self.file.clone(), at: Some(at), key, message: message.into() };
        error.to_string()
    }

    /// True when the table has the key.
    pub fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// `bid.toml:3:1`, to point at the table from elsewhere.
    pub fn table(&self) -> String {
        format!("{}:{}:{}", self.file.display(), self.at.line, self.at.column)
    }
}
