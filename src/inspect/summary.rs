//! What a directory holds, counted.

use serde::Serialize;
use std::collections::BTreeSet;

use super::live::LiveCore;
use super::opened::Opened;
use crate::checkpoint::{Manifest, NamedPosition, OperatorDefinition, Restore};
use crate::journal::{JournalRange, segment_name};
use crate::state::{PaneWords, StateKey};
use crate::stdx::Failure;

/// Version of the document's form.
const SCHEMA: u32 = 1;

/// A directory.
#[derive(Serialize, Debug)]
pub(super) struct Summary {
    schema: u32,
    pub(super) directory: String,
    pub(super) job: String,
    /// The process that runs on it.
    pub(super) process: Option<u32>,
    /// How often the job was started.
    pub(super) runs: u32,
    pub(super) key_groups: u16,
    /// When the job ended by itself.
    pub(super) finished_at: Option<String>,
    pub(super) query: Vec<String>,
    /// The newest epoch.
    pub(super) epoch: Option<u64>,
    pub(super) journals: Vec<Journal>,
    pub(super) cores: Vec<Core>,
    pub(super) operators: Vec<Operator>,
}

/// What the newest epoch keeps of one journal.
#[derive(Serialize, Debug)]
pub(super) struct Journal {
    pub(super) journal: &'static str,
    pub(super) core: u16,
    /// Segment and offset of the first entry that is needed.
    pub(super) from: String,
    /// Where the epoch ends.
    pub(super) to: String,
    pub(super) segments: Vec<Segment>,
}

#[derive(Serialize, Debug)]
pub(super) struct Segment {
    pub(super) file: String,
    pub(super) bytes: u64,
    /// The run that wrote it.
    pub(super) run: u32,
}

/// The epoch on one core.
#[derive(Serialize, Debug)]
pub(super) struct Core {
    pub(super) core: u16,
    /// The epoch in which something changed last.
    pub(super) epoch: u64,
    /// Epochs since this one are read at a start.
    pub(super) read_from: u64,
    /// And since this one are kept.
    pub(super) kept_from: u64,
    pub(super) sources: Vec<Position>,
    pub(super) sinks: Vec<Position>,
}

/// Where a source or sink stood, in its own words.
#[derive(Serialize, Debug)]
pub(super) struct Position {
    pub(super) name: String,
    /// Bytes of its position; `None` for one that has none.
    pub(super) bytes: Option<usize>,
}

/// An operator that keeps something.
#[derive(Serialize, Debug)]
pub(super) struct Operator {
    /// As `--operator` takes it.
    pub(super) operator: String,
    pub(super) purpose: String,
    pub(super) panes: usize,
    /// Input rows that these stand for.
    pub(super) rows: u64,
    pub(super) tables: Vec<Table>,
}

#[derive(Serialize, Debug)]
pub(super) struct Table {
    pub(super) table: String,
    pub(super) keys: Vec<String>,
    pub(super) values: Vec<String>,
    pub(super) entries: u64,
    /// Of keys, members of sets and values.
    pub(super) bytes: u64,
}

/// What an operator's state goes by, in words.
pub(super) fn operator_name(key: StateKey) -> String {
    match key.part {
        0 => format!("{:016x}", key.operator),
        part => format!("{:016x}.{part}", key.operator),
    }
}

impl Summary {
    pub(super) fn of(opened: &Opened) -> Result<Summary, Failure> {
        let facts = &opened.facts;
        let mut summary = Summary {
            schema: SCHEMA,
            directory: opened.path.display().to_string(),
            job: facts.job().to_owned(),
            process: facts.process,
            runs: facts.run(),
            key_groups: facts.key_groups(),
            finished_at: facts.finished.as_ref().map(|finished| finished.at.clone()),
            query: facts.query().to_vec(),
            epoch: None,
            journals: Vec::new(),
            cores: Vec::new(),
            operators: Vec::new(),
        };
        let Some(examined) = &opened.examined else { return Ok(summary) };
        for range in &examined.commit().ranges {
            let segments = examined.segments(range.journal).iter().map(|header| Segment {
                file: segment_name(header.journal, header.number),
                bytes: header.bytes,
                run: header.run,
            });
            summary.journals.push(Journal::of(range, segments.collect()));
        }
        let counted = opened.with_epoch(|restore| {
            let contents = restore.contents();
            let cores: Vec<Core> = contents.manifests().iter().map(Core::of).collect();
            Ok((restore.epoch().number(), cores, operators(restore)?))
        })?;
        if let Some((epoch, cores, operators)) = counted {
            (summary.epoch, summary.cores, summary.operators) = (Some(epoch), cores, operators);
        }
        Ok(summary)
    }
}

impl Journal {
    fn of(range: &JournalRange, segments: Vec<Segment>) -> Journal {
        Journal {
            journal: range.journal.kind.name(),
            core: range.journal.core.number(),
            from: range.from.to_string(),
            to: range.to.to_string(),
            segments,
        }
    }
}

impl Core {
    pub(super) fn of(manifest: &Manifest) -> Core {
        let positions = |all: &[NamedPosition]| {
            let position = |it: &NamedPosition| Position {
                name: it.name.clone(),
                bytes: it.position.as_ref().map(Vec::len),
            };
            all.iter().map(position).collect()
        };
        Core {
            core: manifest.core.number(),
            epoch: manifest.epoch.number(),
            read_from: manifest.replayed_from().number(),
            kept_from: manifest.kept_from().number(),
            sources: positions(&manifest.sources),
            sinks: positions(&manifest.sinks),
        }
    }
}

/// The operators of an epoch, with what they keep on all cores.
pub(super) fn operators(restore: &Restore<'_>) -> Result<Vec<Operator>, Failure> {
    let contents = restore.contents();
    let defined = &contents.definition().operators;
    let mut operators: Vec<Operator> = defined.iter().map(Operator::without_entries).collect();
    let mut panes: Vec<BTreeSet<PaneWords>> = vec![BTreeSet::new(); operators.len()];
    for manifest in contents.manifests() {
        let core = LiveCore::of(restore, manifest, None)?;
        for ((known, operator), names) in defined.iter().zip(&mut operators).zip(&mut panes) {
            let Some(live) = core.operators.get(&known.key) else { continue };
            for (name, pane) in &live.panes {
                names.insert(*name);
                operator.rows += pane.rows;
                for (key, entry) in &pane.entries {
                    let table = &mut operator.tables[usize::from(key.table)];
                    table.entries += 1;
                    table.bytes += key.bytes() + entry.value_bytes;
                }
            }
            operator.panes = names.len();
        }
    }
    Ok(operators)
}

impl Operator {
    fn without_entries(defined: &OperatorDefinition) -> Operator {
        let tables = defined.schema.tables.iter().map(|table| Table {
            table: table.name.clone(),
            keys: table.keys.clone(),
            values: table
                .values
                .iter()
                .map(|value| format!("{} ({})", value.name, value.kind))
                .collect(),
            entries: 0,
            bytes: 0,
        });
        Operator {
            operator: operator_name(defined.key),
            purpose: defined.schema.purpose.clone(),
            panes: 0,
            rows: 0,
            tables: tables.collect(),
        }
    }
}
