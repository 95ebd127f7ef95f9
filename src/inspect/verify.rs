//! Whether everything that the newest epoch keeps is as it was written, byte by byte, and fits together.

use serde::Serialize;
use std::collections::BTreeMap;
use std::path::Path;

use super::core_check::CoreCheck;
use super::document;
use super::live::LiveCore;
use super::opened::{TRIES, facts};
use crate::checkpoint::{RecoveredJournals, Restore};
use crate::journal::{
    Files, JournalError, JournalId, Kind, Met, Position, Storage, Verified, examine, segment_name,
    verify,
};
use crate::record::KeyHasher;
use crate::stdx::{CoreId, Failure};

/// Version of the document's form.
const SCHEMA: u32 = 1;

/// What was looked at, and what is wrong.
#[derive(Serialize, Debug)]
pub struct Verdict {
    schema: u32,
    /// The directory.
    directory: String,
    /// Nothing is wrong.
    is_whole: bool,
    /// The newest epoch; 0 for none.
    epoch: u64,
    /// Segments read.
    segments: u64,
    /// Entries read.
    entries: u64,
    /// Bytes checked.
    bytes: u64,
    damages: Vec<Damage>,
}

/// One thing that is wrong.
#[derive(Clone, PartialEq, Eq, Serialize, Debug)]
pub(super) struct Damage {
    pub(super) file: String,
    /// Where in the file; `None` where it is the file as a whole.
    pub(super) offset: Option<u64>,
    pub(super) reason: String,
}

impl Verdict {
    /// Looks at a directory, again while what a process changes in it may be why something seems wrong.
    pub(super) fn of(path: &Path) -> Result<Verdict, Failure> {
        let mut tries = TRIES;
        loop {
            tries -= 1;
            let known = facts(path)?;
            let looked = Verdict::of_files(&Files::new(path), known.hasher());
            let is_settled = looked.as_ref().is_ok_and(|verdict| verdict.is_whole);
            if is_settled || tries == 0 || known.process.is_none() {
                return looked.map_err(|error| error.failure());
            }
        }
    }

    /// The same of any files.
    pub(super) fn of_files<S: Storage>(
        files: &S,
        hasher: KeyHasher,
    ) -> Result<Verdict, JournalError> {
        let mut checks: BTreeMap<CoreId, CoreCheck> = BTreeMap::new();
        let verified = verify(files, &mut |journal: JournalId, met| {
            if journal.kind != Kind::State {
                return;
            }
            let new = || CoreCheck::new(journal.core, hasher);
            let check = checks.entry(journal.core).or_insert_with(new);
            match met {
                Met::Entry(entry) => check.entry(&entry),
                Met::Gap => check.gap(),
            }
        })?;
        let verified = verified.unwrap_or_default();
        let mut damages: Vec<Damage> = verified.damages.iter().map(Damage::of).collect();
        if verified.epoch > 0 {
            damages.extend(contradictions(files, &verified, &mut checks)?);
        }
        let path = files.path("").display().to_string();
        Ok(Verdict {
            schema: SCHEMA,
            directory: path.trim_end_matches('/').to_owned(),
            is_whole: damages.is_empty(),
            epoch: verified.epoch,
            segments: verified.segments,
            entries: verified.entries,
            bytes: verified.bytes,
            damages,
        })
    }

    /// What was looked at, in one line.
    pub fn to_text(&self) -> String {
        let Verdict { directory, epoch, segments, entries, bytes, damages, .. } = self;
        let what = match damages.len() {
            0 => "whole".to_owned(),
            1 => "damaged in 1 place".to_owned(),
            count => format!("damaged in {count} places"),
        };
        format!(
            "{directory}: {what}; epoch {epoch}, {entries} entries and {bytes} B in {segments} \
             segments checked\n"
        )
    }

    /// As a JSON document, with a line end.
    pub fn to_json(&self) -> String {
        document(self)
    }

    /// What is wrong, one line each: file, offset, what; then what to do.
    pub fn damage_lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.damages.iter().map(Damage::line).collect();
        if !lines.is_empty() {
            let directory = &self.directory;
            lines
                .push(format!("{directory}: restore it from a backup, or start over with --fresh"));
        }
        lines
    }

    #[cfg(test)]
    pub(super) fn damages(&self) -> &[Damage] {
        &self.damages
    }
}

/// What entries that are as they were written say that cannot be.
fn contradictions<S: Storage>(
    files: &S,
    verified: &Verified,
    checks: &mut BTreeMap<CoreId, CoreCheck>,
) -> Result<Vec<Damage>, JournalError> {
    let mut damages = Vec::new();
    // Without ranges there is nothing to compare with, and what keeps them from being known is listed.
    let examined = match examine(files) {
        Ok(examined) => examined,
        Err(error @ JournalError::Io { .. }) => return Err(error),
        Err(error) => {
            let damage = Damage::of(&error);
            let known = verified.damages.iter().map(Damage::of).any(|known| known == damage);
            damages.extend((!known).then_some(damage));
            None
        }
    };
    let ranges = examined.iter().flat_map(|examined| &examined.commit().ranges);
    let states: Vec<_> = ranges.filter(|range| range.journal.kind == Kind::State).collect();
    let first = states.first().and_then(|range| checks.get(&range.journal.core));
    let definition = first.and_then(|check| check.definition().cloned());
    for range in &states {
        let core = range.journal.core;
        if let Some(check) = checks.get_mut(&core) {
            check.end(verified.epoch, states.len(), range.to, definition.as_ref());
        }
    }
    for (core, check) in checks.iter() {
        let journal = JournalId { kind: Kind::State, core: *core };
        damages.extend(check.wrong.iter().map(|(at, what)| at_place(files, journal, *at, what)));
    }
    if verified.damages.is_empty() && damages.is_empty() {
        let journals = examined.as_ref().and_then(|it| RecoveredJournals::new(it.recovered()));
        let restored = journals.map_or(Ok(()), |journals| restore(&journals));
        damages.extend(restored.err().map(|failure| Damage {
            file: files.path("").display().to_string(),
            offset: None,
            reason: failure.message,
        }));
    }
    Ok(damages)
}

/// Reads the newest epoch as a start would.
fn restore<S: Storage>(journals: &RecoveredJournals<'_, S>) -> Result<(), Failure> {
    let restore = Restore::open(journals)?;
    for manifest in restore.contents().manifests() {
        LiveCore::of(&restore, manifest, None)?;
    }
    Ok(())
}

fn at_place<S: Storage>(files: &S, journal: JournalId, at: Position, what: &str) -> Damage {
    let file = files.path(&segment_name(journal, at.segment)).display().to_string();
    Damage { file, offset: Some(at.offset), reason: what.to_owned() }
}

impl Damage {
    fn of(error: &JournalError) -> Damage {
        match error {
            JournalError::Rot { file, offset, reason } => {
                Damage { file: file.clone(), offset: Some(*offset), reason: reason.to_string() }
            }
            JournalError::Inconsistent { file, reason } => {
                Damage { file: file.clone(), offset: None, reason: reason.clone() }
            }
            JournalError::Io { file, .. } => {
                Damage { file: file.clone(), offset: None, reason: error.to_string() }
            }
        }
    }

    fn line(&self) -> String {
        match self.offset {
            Some(offset) => format!("{}: damaged at offset {offset}: {}", self.file, self.reason),
            None => format!("{}: {}", self.file, self.reason),
        }
    }
}
