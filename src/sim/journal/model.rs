//! What the journals must hold: everything that was appended, and which epochs exist.

use std::collections::BTreeMap;

use super::super::disk::SimFiles;
use crate::journal::{CommitRecord, JournalError, JournalId, Kind, Position, Recovered};

/// An entry that was appended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Written {
    pub(super) position: Position,
    pub(super) epoch: u64,
    pub(super) tag: u32,
    pub(super) payload: Vec<u8>,
}

/// Of one directory, over all runs.
#[derive(Clone, Default)]
pub(super) struct Model {
    /// What may be found, in order.
    pub(super) entries: BTreeMap<JournalId, Vec<Written>>,
    /// Epochs whose record was, or was about to be, appended.
    pub(super) commits: BTreeMap<u64, CommitRecord>,
    /// The newest epoch that was reported durable, or that a start went on from.
    pub(super) reported: u64,
    /// The newest epoch that was begun.
    pub(super) epoch_used: u64,
    pub(super) run: u32,
}

/// All entries of a journal that a start found.
pub(super) fn entries_of(
    recovered: &Recovered<SimFiles>,
    journal: JournalId,
) -> Result<Vec<Written>, JournalError> {
    let mut found = Vec::new();
    let mut entries = recovered.entries(journal).expect("the journal is in the record");
    while let Some(entry) = entries.next_entry()? {
        found.push(Written {
            position: entry.position,
            epoch: entry.epoch,
            tag: entry.tag,
            payload: entry.payload.to_vec(),
        });
    }
    Ok(found)
}

impl Model {
    /// A start has found what it must find. Damage is an error, anything else a failed assertion.
    pub(super) fn check(&self, recovered: &Recovered<SimFiles>) -> Result<(), JournalError> {
        let epoch = recovered.epoch();
        assert!(epoch >= self.reported, "epoch {epoch}, but {} was reported", self.reported);
        assert!(recovered.next_epoch() > self.epoch_used, "an epoch number is used twice");
        let known = self.commits.get(&epoch).map(|commit| &commit.ranges[..]).unwrap_or_default();
        for range in &recovered.commit().ranges {
            let is_new_source =
                range.journal.kind == Kind::Ingest && range.to == Position::BEGINNING;
            assert!(known.contains(range) || is_new_source, "epoch {epoch}: {range:?}, {known:?}");
        }
        for range in known {
            assert!(recovered.commit().range(range.journal).is_some(), "{range:?} is lost");
        }
        for range in &recovered.commit().ranges {
            let found = entries_of(recovered, range.journal)?;
            let none = Vec::new();
            let written = self.entries.get(&range.journal).unwrap_or(&none);
            let needed = written.iter().filter(|entry| entry.position >= range.from);
            let committed = needed.clone().take_while(|entry| entry.position < range.to).count();
            let is_exact = range.journal.kind != Kind::Ingest;
            assert!(found.len() >= committed, "{}: entries are missing", range.journal);
            assert!(!is_exact || found.len() == committed, "{}: too many", range.journal);
            assert!(
                needed.take(found.len()).eq(&found),
                "{}: other entries than were appended",
                range.journal
            );
        }
        Ok(())
    }

    /// The run goes on from what it found: all else never happened.
    pub(super) fn go_on(&mut self, recovered: &Recovered<SimFiles>) -> Result<(), JournalError> {
        let mut entries = BTreeMap::new();
        for range in &recovered.commit().ranges {
            entries.insert(range.journal, entries_of(recovered, range.journal)?);
        }
        self.entries = entries;
        self.reported = recovered.epoch();
        self.epoch_used = recovered.next_epoch() - 1;
        self.commits.retain(|epoch, _| *epoch <= recovered.epoch());
        Ok(())
    }
}
