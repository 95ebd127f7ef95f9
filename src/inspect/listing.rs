//! Entries of one operator, with keys and values in words.

use serde::Serialize;
use std::collections::BTreeMap;

use super::decoded::{KeyReader, values};
use super::live::LiveCore;
use super::opened::Opened;
use super::summary::operator_name;
use crate::checkpoint::{Definition, Manifest, OperatorDefinition, Restore};
use crate::state::PaneWords;
use crate::stdx::Failure;

/// Version of the document's form.
const SCHEMA: u32 = 1;

/// Which entries are wanted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListingRequest {
    /// Name of the operator's state, or a part of what it computes.
    pub operator: String,
    /// Only entries with this key: its columns in words, between them `, `.
    pub key: Option<String>,
    /// At most so many.
    pub limit: usize,
}

/// What was found.
#[derive(Serialize, Debug)]
pub(super) struct Listing {
    schema: u32,
    pub(super) epoch: u64,
    pub(super) operator: String,
    pub(super) purpose: String,
    /// What the operator keeps besides, by core.
    pub(super) notes: BTreeMap<u16, Vec<i64>>,
    /// Entries that fit, shown or not.
    pub(super) found: u64,
    pub(super) entries: Vec<ListedEntry>,
}

#[derive(Serialize, Debug)]
pub(super) struct ListedEntry {
    pub(super) core: u16,
    pub(super) pane: PaneWords,
    pub(super) table: String,
    pub(super) key: String,
    /// In a set.
    pub(super) member: Option<String>,
    pub(super) values: Vec<ListedValue>,
}

#[derive(Serialize, Debug)]
pub(super) struct ListedValue {
    pub(super) name: String,
    pub(super) value: String,
}

impl Listing {
    pub(super) fn of(opened: &Opened, request: &ListingRequest) -> Result<Listing, Failure> {
        let listing = opened.with_epoch(|restore| Listing::of_epoch(restore, request))?;
        listing.ok_or_else(|| {
            let path = opened.path.display();
            Failure::environment(format!("{path}: there is no epoch yet, so nothing is kept"))
        })
    }

    pub(super) fn of_epoch(
        restore: &Restore<'_>,
        request: &ListingRequest,
    ) -> Result<Listing, Failure> {
        let contents = restore.contents();
        let operator = find(contents.definition(), &request.operator)?;
        let mut listing = Listing {
            schema: SCHEMA,
            epoch: restore.epoch().number(),
            operator: operator_name(operator.key),
            purpose: operator.schema.purpose.clone(),
            notes: BTreeMap::new(),
            found: 0,
            entries: Vec::new(),
        };
        for manifest in contents.manifests() {
            let core = LiveCore::of(restore, manifest, Some(operator.key))?;
            listing.add(manifest, &core, operator, request);
        }
        Ok(listing)
    }

    fn add(
        &mut self,
        manifest: &Manifest,
        core: &LiveCore,
        operator: &OperatorDefinition,
        request: &ListingRequest,
    ) {
        let Some(live) = core.operators.get(&operator.key) else { return };
        let number = manifest.core.number();
        if !live.note.is_empty() {
            self.notes.insert(number, live.note.clone());
        }
        let tables = &operator.schema.tables;
        let groups = KeyReader::new(tables.first().map_or(&[], |table| &table.keys[..]));
        let members: Vec<KeyReader> =
            tables.iter().map(|table| KeyReader::new(&table.keys)).collect();
        for (pane, content) in &live.panes {
            for (key, entry) in &content.entries {
                let text = groups.read(&key.key);
                if request.key.as_ref().is_some_and(|wanted| *wanted != text) {
                    continue;
                }
                self.found += 1;
                if self.entries.len() >= request.limit {
                    continue;
                }
                let at = usize::from(key.table);
                let table = &tables[at];
                let values = values(table, entry.values.as_deref().unwrap_or_default());
                let values = values.into_iter().map(|(name, value)| ListedValue { name, value });
                self.entries.push(ListedEntry {
                    core: number,
                    pane: *pane,
                    table: table.name.clone(),
                    key: text,
                    member: table.is_set.then(|| members[at].read(&key.member)),
                    values: values.collect(),
                });
            }
        }
    }
}

/// The operator that `wanted` names: exactly, or as the only one.
fn find<'a>(definition: &'a Definition, wanted: &str) -> Result<&'a OperatorDefinition, Failure> {
    let operators = &definition.operators;
    if let Some(exact) = operators.iter().find(|it| operator_name(it.key) == wanted) {
        return Ok(exact);
    }
    let fitting: Vec<&OperatorDefinition> =
        operators.iter().filter(|it| it.schema.purpose.contains(wanted)).collect();
    if let [only] = fitting[..] {
        return Ok(only);
    }
    let (how_many, all) = match fitting.is_empty() {
        true => ("no operator", operators.iter().collect()),
        false => ("more than one operator", fitting),
    };
    let words =
        |it: &&OperatorDefinition| format!("{} {}", operator_name(it.key), it.schema.purpose);
    let all: Vec<String> = all.iter().map(words).collect();
    let what = match all.is_empty() {
        true => "the job has none that keeps anything".to_owned(),
        false => format!("name one of: {}", all.join("; ")),
    };
    Err(Failure::environment(format!("{how_many} is {wanted:?}; {what}")))
}
