//! Recovery: what a run that was cut off left of the parts of a sink, made what it must be.
//!
//! In:  what an epoch that exists says of the parts that had not been released; a directory.
//! Out: these parts, complete and under their names; nothing of epochs that do not exist.
//!
//! | of a part that the epoch names there is | it |
//! |---|---|
//! | the file with its name | was released |
//! | the hidden one | is cut to what belongs to the epoch, completed, synced and renamed |
//! | neither | was released, read and moved away by somebody |
//!
//! Hidden files of the same owner that the epoch does not name have only rows of epochs that do not
//! exist: they are removed. Those of others are not touched.
//!
//! Invariants
//! - Everything is looked at before anything is changed.
//! - Cut off at any step, it can be done again, and comes to the same end.
//! - What it has done is durable when it returns.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::names::{PartId, PartNames, owner_of};
use super::position::{PartPosition, Position};
use crate::reactor::{FileStatus, rename_new};
use crate::stdx::{CoreId, Failure};

/// Parts that are named in a note; the others are counted.
const NAMED_MAX: usize = 3;

/// Files, as a start sees them. Every call may wait for the disk.
pub trait PartFiles {
    /// Names of all files in a directory that are text, in no order; none when it is not there.
    ///
    /// # Errors
    /// The operating system's, as for all that follow.
    fn names(&self, directory: &Path) -> io::Result<Vec<String>>;
    /// Length and identity, if there is such a file.
    ///
    /// # Errors
    /// As [`PartFiles::names`].
    fn status(&self, path: &Path) -> io::Result<Option<FileStatus>>;
    /// Cuts a file to its first `bytes` bytes, writes `end` behind them, and makes all of it durable.
    ///
    /// # Errors
    /// As [`PartFiles::names`].
    fn complete(&self, path: &Path, bytes: u64, end: &[u8]) -> io::Result<()>;
    /// Renames; replaces nothing.
    ///
    /// # Errors
    /// As [`PartFiles::names`].
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// As [`PartFiles::names`].
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// As [`PartFiles::names`].
    fn sync_directory(&self, path: &Path) -> io::Result<()>;
}

/// The machine's.
#[derive(Clone, Copy, Debug)]
pub struct SystemFiles;

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RecoveredParts {
    /// The last run that the epoch names parts of; 0 for none. Those that follow have higher numbers.
    pub run_max: u32,
    /// For the user.
    pub notes: Vec<String>,
}

/// What has to be done.
#[derive(Default)]
struct Plan {
    directories: BTreeSet<PathBuf>,
    /// To be completed and renamed.
    complete: Vec<(PartNames, PartPosition)>,
    /// To be removed.
    remove: BTreeSet<PathBuf>,
    /// Neither open nor there.
    gone: Vec<PathBuf>,
}

/// Makes the parts of a sink what the epoch says that `positions` are from, core by core. Without any,
/// there is no such epoch. `directory` is where the sink writes now, and `owner` its number.
///
/// # Errors
/// Data: rows of the epoch are missing, or its parts cannot appear. Io: what the operating system refuses.
pub fn recover_parts(
    files: &dyn PartFiles,
    directory: &Path,
    owner: u64,
    positions: &[(CoreId, &[u8])],
) -> Result<RecoveredParts, Failure> {
    let mut plan = Plan::default();
    plan.directories.insert(directory.into());
    let mut run_max = 0;
    for (core, bytes) in positions {
        let position = Position::decode(bytes).map_err(|error| {
            let shown = directory.display();
            Failure::data(format!("{shown}: what core {core} noted of its open parts: {error}"))
        })?;
        run_max = run_max.max(position.run);
        plan.look_at(files, directory, (owner, *core), position)?;
    }
    plan.look_for_others(files, owner)?;
    plan.carry_out(files)?;
    Ok(RecoveredParts { run_max, notes: plan.notes() })
}

impl Plan {
    /// What has to be done about one core's parts.
    fn look_at(
        &mut self,
        files: &dyn PartFiles,
        directory: &Path,
        (owner, core): (u64, CoreId),
        position: Position,
    ) -> Result<(), Failure> {
        let Position { directory: written, extension, run, parts } = position;
        self.directories.insert(written.clone());
        for part in parts {
            let id = PartId { run, core, number: part.number };
            let mut names = PartNames::new(&written, id, &extension, Some(owner));
            let mut found = find(files, &names)?;
            if found == (None, None) {
                // The directory may have been moved.
                names = PartNames::new(directory, id, &extension, Some(owner));
                found = find(files, &names)?;
            }
            let (hidden, visible) = found;
            match (hidden, visible) {
                (None, Some(_)) => {}
                (None, None) => self.gone.push(names.visible),
                (Some(hidden), Some(visible)) => {
                    if (hidden.device, hidden.inode) != (visible.device, visible.inode) {
                        return Err(occupied(&names));
                    }
                    self.remove.insert(names.hidden);
                }
                (Some(hidden), None) if hidden.bytes < part.bytes => {
                    return Err(too_short(&names.hidden, hidden.bytes, part.bytes));
                }
                (Some(_), None) => self.complete.push((names, part)),
            }
        }
        Ok(())
    }

    /// Open parts of the owner that no epoch knows.
    fn look_for_others(&mut self, files: &dyn PartFiles, owner: u64) -> Result<(), Failure> {
        for directory in &self.directories {
            for name in asked("list", directory, files.names(directory))? {
                let path = directory.join(&name);
                let is_known = self.complete.iter().any(|(names, _)| names.hidden == path);
                if owner_of(&name) == Some(owner) && !is_known {
                    self.remove.insert(path);
                }
            }
        }
        Ok(())
    }

    fn carry_out(&self, files: &dyn PartFiles) -> Result<(), Failure> {
        for (names, part) in &self.complete {
            let completed = files.complete(&names.hidden, part.bytes, &part.end);
            asked("complete", &names.hidden, completed)?;
        }
        for (names, _) in &self.complete {
            asked("complete", &names.visible, files.rename(&names.hidden, &names.visible))?;
        }
        for path in &self.remove {
            match files.remove(path) {
                // Under another spelling of its directory.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                removed => asked("remove", path, removed)?,
            }
        }
        // Also when nothing was changed: an earlier start may have been cut off just here.
        for directory in &self.directories {
            match files.sync_directory(directory) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                synced => asked("sync", directory, synced)?,
            }
        }
        Ok(())
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if !self.complete.is_empty() {
            let parts = self.complete.iter().map(|(names, _)| &names.visible);
            notes.push(format!("completed what an earlier run left open: {}", named(parts)));
        }
        if !self.gone.is_empty() {
            notes.push(format!(
                "taken for read and moved away, because the files are gone: {}",
                named(self.gone.iter())
            ));
        }
        notes
    }
}

impl PartFiles for SystemFiles {
    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            // What is no UTF-8 is not ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn status(&self, path: &Path) -> io::Result<Option<FileStatus>> {
        match fs::symlink_metadata(path) {
            Ok(found) => {
                let (device, inode) = (found.dev(), found.ino());
                Ok(Some(FileStatus { bytes: found.len(), device, inode }))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn complete(&self, path: &Path, bytes: u64, end: &[u8]) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        file.set_len(bytes)?;
        file.write_all_at(end, bytes)?;
        file.sync_all()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        rename_new(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

/// What there is under the names of a part.
fn find(
    files: &dyn PartFiles,
    names: &PartNames,
) -> Result<(Option<FileStatus>, Option<FileStatus>), Failure> {
    let PartNames { hidden, visible, .. } = names;
    let look_at = |path: &Path| asked("look at", path, files.status(path));
    Ok((look_at(hidden)?, look_at(visible)?))
}

fn asked<T>(verb: &str, path: &Path, answer: io::Result<T>) -> Result<T, Failure> {
    answer.map_err(|error| {
        Failure::io(format!("cannot {verb} {}: {error}; then start again", path.display()))
    })
}

fn too_short(path: &Path, found: u64, expected: u64) -> Failure {
    Failure::data(format!(
        "{}: has {found} bytes, and {expected} were durable in the epoch that the job goes on from; rows \
         are lost: restore the file from a backup, or start over with --fresh",
        path.display()
    ))
}

fn occupied(names: &PartNames) -> Failure {
    Failure::data(format!(
        "{} is to become {}, and another file has that name; move that file away, then start again",
        names.hidden.display(),
        names.visible.display()
    ))
}

/// The first of some paths, and how many more there are.
fn named<'a>(mut paths: impl Iterator<Item = &'a PathBuf>) -> String {
    let first: Vec<String> =
        paths.by_ref().take(NAMED_MAX).map(|path| path.display().to_string()).collect();
    let more = paths.count();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}

#[cfg(test)]
mod tests;
