//! Restore: an epoch that exists, read back on any number of cores.
//!
//! In:  the entries of every core's journal up to the epoch, in the order in which they were appended.
//! Out: operators with the state of their core's key groups; where sources go on; how the run's own
//!      entries follow.
//!
//! A core reads the journals of all cores that owned some of its key groups, one after the other, and
//! takes over what is in these groups. From each it needs the entries since the oldest of its newest
//! bases; reading slices in their order gives the state at the epoch (see `state/base`), whatever of
//! older bases and increments is among them.
//!
//! With another number of cores, or when operators have arranged what they read otherwise, the run's
//! increments cannot follow the old entries: a base is written first.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use super::log::{EntryTag, LogEntry};
use super::manifest::{Definition, Manifest};
use super::participant::ParticipantStart;
use crate::record::{Epoch, KeyGroup, KeyHasher};
use crate::state::{CorruptState, LoadOptions, Loaded, Record, Slice, StateKey, Stateful};
use crate::stdx::{CoreId, Failure};

/// The journals of a run that has ended, up to the last epoch that exists.
pub trait RecoveredLogs {
    /// The epoch.
    fn epoch(&self) -> Epoch;

    /// Cores that took part in it.
    fn core_count(&self) -> u16;

    /// The last entry of a core with this tag.
    ///
    /// # Errors
    /// When the journal cannot be read.
    fn last(&self, core: CoreId, tag: EntryTag) -> Result<Option<LogEntry>, RestoreError> {
        let mut last = None;
        self.each(core, Epoch::new(0), &mut |entry| {
            if entry.tag == tag.number() {
                let payload = entry.payload.to_vec();
                last = Some(LogEntry { epoch: entry.epoch, tag: entry.tag, payload });
            }
            Ok(())
        })?;
        Ok(last)
    }

    /// Every entry of a core that belongs to epoch `from` or a later one, in their order.
    ///
    /// # Errors
    /// When the journal cannot be read, and what `visit` says.
    fn each(
        &self,
        core: CoreId,
        from: Epoch,
        visit: &mut dyn FnMut(EntryRead<'_>) -> Result<(), RestoreError>,
    ) -> Result<(), RestoreError>;
}

/// An entry being read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EntryRead<'a> {
    /// The epoch in which it was appended.
    pub epoch: Epoch,
    /// What its payload is.
    pub tag: u32,
    /// Its bytes, checked.
    pub payload: &'a [u8],
}

/// Why an epoch cannot be restored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RestoreError {
    /// What, where and what to do.
    pub failure: Failure,
}

/// An epoch to be restored.
pub struct Restore<'a> {
    logs: &'a dyn RecoveredLogs,
    contents: Arc<EpochContents>,
}

/// What an epoch consists of, but for the state itself: read once, used by every core.
#[derive(Debug)]
pub struct EpochContents {
    /// Of every core that took part.
    manifests: Vec<Manifest>,
    definition: Definition,
}

/// Whose state is loaded, and how.
#[derive(Clone, Copy, Debug)]
pub struct RestoreOptions {
    /// This core.
    pub core: CoreId,
    /// Cores of the run that begins.
    pub core_count: u16,
    /// The job's key hash.
    pub hasher: KeyHasher,
}

impl<'a> Restore<'a> {
    /// Reads what the epoch consists of.
    ///
    /// # Errors
    /// When a manifest is missing, or they contradict each other.
    pub fn open(logs: &'a dyn RecoveredLogs) -> Result<Restore<'a>, RestoreError> {
        let epoch = logs.epoch();
        let mut manifests = Vec::new();
        let mut definition = None;
        for core in CoreId::all(logs.core_count()) {
            let found = logs.last(core, EntryTag::Manifest)?;
            let found = found.ok_or_else(|| RestoreError::of(core, epoch, "it has no manifest"))?;
            let manifest = Manifest::decode(&found.payload)
                .map_err(|error| RestoreError::of(core, epoch, &format!("manifest: {error}")))?;
            let fits = manifest.core == core
                && manifest.core_count == logs.core_count()
                && manifest.epoch == found.epoch
                && manifest.epoch <= epoch;
            if !fits {
                return Err(RestoreError::of(core, epoch, "its manifest is of another epoch"));
            }
            let own = definition_of(logs, core, &manifest)?;
            if definition.get_or_insert_with(|| own.clone()) != &own {
                let what = "its operators are not those of the other cores";
                return Err(RestoreError::of(core, epoch, what));
            }
            manifests.push(manifest);
        }
        let definition = definition.unwrap_or_default();
        Ok(Restore { logs, contents: Arc::new(EpochContents { manifests, definition }) })
    }

    /// The same epoch, of which all but the state has been read before.
    pub fn of(logs: &'a dyn RecoveredLogs, contents: Arc<EpochContents>) -> Restore<'a> {
        Restore { logs, contents }
    }

    /// For [`Restore::of`].
    pub fn contents(&self) -> Arc<EpochContents> {
        Arc::clone(&self.contents)
    }

    /// The epoch.
    pub fn epoch(&self) -> Epoch {
        self.logs.epoch()
    }

    /// Where a source stood on every core; `None` when the epoch knows no position of it.
    pub fn positions(&self, source: &str) -> Option<Vec<&[u8]>> {
        let of_core = |manifest: &'_ Manifest| {
            let found = manifest.sources.iter().position(|known| known.name == source)?;
            manifest.sources[found].position.as_ref().map(|_| found)
        };
        let places: Option<Vec<usize>> = self.contents.manifests.iter().map(of_core).collect();
        let places = places?;
        let positions = self.contents.manifests.iter().zip(places).map(|(manifest, place)| {
            manifest.sources[place].position.as_deref().expect("looked at just now")
        });
        Some(positions.collect())
    }

    /// Compares the operators that keep something now with those of the epoch. New ones begin empty.
    ///
    /// # Errors
    /// Every operator whose state could not be taken over: it is gone, or keeps something else.
    pub fn check(&self, now: &Definition) -> Result<(), RestoreError> {
        let mut lines = Vec::new();
        for operator in &self.contents.definition.operators {
            let purpose = &operator.schema.purpose;
            match now.schema(operator.key) {
                Some(schema) if *schema == operator.schema => {}
                Some(schema) => lines.push(format!(
                    "{purpose}: keeps something else now ({}), so its state cannot be taken over",
                    schema.purpose
                )),
                None => lines.push(format!("{purpose}: the job has no such operator any more")),
            }
        }
        if lines.is_empty() {
            return Ok(());
        }
        let what = lines.join("; ");
        let hint = "put the query back, or start over with --fresh";
        Err(RestoreError { failure: Failure::data(format!("{what}; {hint}")) })
    }

    /// Gives operators what is kept of them for the key groups of one core. They must be told with
    /// `loaded` that this was all.
    ///
    /// # Errors
    /// When entries are not what these operators write.
    pub fn load(
        &self,
        options: RestoreOptions,
        operators: &mut [(StateKey, &mut dyn Stateful)],
    ) -> Result<(), RestoreError> {
        let own = KeyGroup::owned_by(options.core, options.core_count);
        for manifest in &self.contents.manifests {
            let theirs = KeyGroup::owned_by(manifest.core, manifest.core_count);
            if theirs.start.max(own.start) >= theirs.end.min(own.end) {
                continue;
            }
            let load = LoadOptions {
                groups: own.clone(),
                hasher: options.hasher,
                // Once over all cores.
                takes_notes: own.contains(&theirs.start),
            };
            self.load_core(manifest, &load, operators)?;
        }
        Ok(())
    }

    /// How the entries of a core's run follow, which took over what it `loaded`. `next` is the run's
    /// first epoch.
    pub fn start(&self, options: RestoreOptions, loaded: Loaded, next: Epoch) -> ParticipantStart {
        let is_same = options.core_count == self.logs.core_count();
        if !is_same || loaded == Loaded::Rearranged {
            return ParticipantStart::Rebased(next);
        }
        let bases = self.contents.manifests[options.core.index()].bases.clone();
        ParticipantStart::Resumed { next, bases }
    }

    /// Every record that one core's part of the epoch consists of, in the order in which it was written.
    ///
    /// # Errors
    /// When the journal cannot be read, and what `visit` finds wrong.
    pub fn records(
        &self,
        manifest: &Manifest,
        visit: &mut dyn FnMut(StateKey, Record<'_>) -> Result<(), CorruptState>,
    ) -> Result<(), RestoreError> {
        let core = manifest.core;
        let mut parts = Vec::new();
        self.logs.each(core, manifest.replayed_from(), &mut |entry: EntryRead<'_>| {
            match EntryTag::from_number(entry.tag) {
                Some(EntryTag::SlicePart) => {
                    parts.extend_from_slice(entry.payload);
                    return Ok(());
                }
                Some(EntryTag::Slice) if parts.is_empty() => {}
                Some(EntryTag::Slice) => parts.extend_from_slice(entry.payload),
                _ => return Ok(()),
            }
            let whole = std::mem::take(&mut parts);
            let bytes = if whole.is_empty() { entry.payload } else { &whole };
            let corrupt = |error: CorruptState| RestoreError::corrupt(core, entry.epoch, error);
            let mut slice = Slice::parse(bytes).map_err(corrupt)?;
            while let Some(record) = slice.next_record().map_err(corrupt)? {
                visit(slice.key, record).map_err(corrupt)?;
            }
            Ok(())
        })
    }

    fn load_core(
        &self,
        manifest: &Manifest,
        load: &LoadOptions,
        operators: &mut [(StateKey, &mut dyn Stateful)],
    ) -> Result<(), RestoreError> {
        self.records(manifest, &mut |key, record| {
            let found = operators.iter_mut().find(|(known, _)| *known == key);
            match found {
                Some((_, operator)) => operator.load(record, load),
                None => Err(CorruptState { offset: 0, reason: "an operator that there is not" }),
            }
        })?;
        for (_, operator) in operators {
            let corrupt = |error| RestoreError::corrupt(manifest.core, manifest.epoch, error);
            operator.end_of_core().map_err(corrupt)?;
        }
        Ok(())
    }
}

impl EpochContents {
    /// True when a source's positions are known.
    pub fn knows_source(&self, source: &str) -> bool {
        let mut all = self.manifests.iter().flat_map(|manifest| &manifest.sources);
        all.any(|known| known.name == source && known.position.is_some())
    }

    /// Sinks of which something was to be known on some core.
    pub fn sinks(&self) -> BTreeSet<&str> {
        let all = self.manifests.iter().flat_map(|manifest| &manifest.sinks);
        all.filter(|known| known.position.is_some()).map(|known| known.name.as_str()).collect()
    }

    /// What the epoch is on every core that took part, in their order.
    pub fn manifests(&self) -> &[Manifest] {
        &self.manifests
    }

    /// The operators that kept something.
    pub fn definition(&self) -> &Definition {
        &self.definition
    }

    /// What was to be known of a sink, on every core that knew something.
    pub fn sink_positions(&self, sink: &str) -> Vec<(CoreId, &[u8])> {
        let mut found = Vec::new();
        for manifest in &self.manifests {
            let known = manifest.sinks.iter().find(|known| known.name == sink);
            if let Some(position) = known.and_then(|known| known.position.as_deref()) {
                found.push((manifest.core, position));
            }
        }
        found
    }
}

/// The definition that a manifest means: the last one before it.
fn definition_of(
    logs: &dyn RecoveredLogs,
    core: CoreId,
    manifest: &Manifest,
) -> Result<Definition, RestoreError> {
    let epoch = manifest.epoch;
    let found = logs.last(core, EntryTag::Definition)?;
    let found = found.ok_or_else(|| RestoreError::of(core, epoch, "its operators are missing"))?;
    let (definition, checksum) = Definition::decode(&found.payload)
        .map_err(|error| RestoreError::of(core, epoch, &format!("operators: {error}")))?;
    if checksum != manifest.definition_checksum {
        return Err(RestoreError::of(core, epoch, "its operators are those of another job"));
    }
    Ok(definition)
}

impl RestoreError {
    /// Something is wrong with a core's part of an epoch.
    pub fn of(core: CoreId, epoch: Epoch, what: &str) -> RestoreError {
        let epoch = epoch.number();
        let message = format!("state journal of core {core}, epoch {epoch}: {what}");
        RestoreError { failure: Failure::data(message) }
    }

    fn corrupt(core: CoreId, epoch: Epoch, error: CorruptState) -> RestoreError {
        RestoreError::of(core, epoch, &format!("captured state: {error}"))
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Failure {
        error.failure
    }
}

impl fmt::Display for RestoreError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.failure.message)
    }
}

impl std::error::Error for RestoreError {}
