//! Directory: what a file sink's path must be, the number of the run that writes to it, and whose it is.
//!
//! Blocking calls, made once, before the reactors start.

use std::fmt;
use std::fs::{File, TryLockError};
use std::path::Path;

use super::names::{is_open, run_of};
use crate::stdx::Failure;

/// Ends of names that say the user means one file.
const FILE_EXTENSIONS: [&str; 6] = ["json", "jsonl", "ndjson", "csv", "txt", "log"];

/// Parts of an earlier run named in a note; the others are counted.
const LEFTOVERS_NAMED_MAX: usize = 3;

/// A directory that parts may be written to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreparedDirectory {
    /// Higher than that of every part in it.
    pub run: u32,
    /// For the user: parts that an earlier run left open, which are not touched.
    pub notes: Vec<String>,
}

/// Whose open parts are in a directory that epochs decide over. Held by this process alone until dropped.
#[derive(Debug)]
pub struct PartOwner {
    number: u64,
    /// Locked; `None` where the file system knows no locks.
    _directory: Option<File>,
}

/// Why a path cannot be written to, in words for the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DirectoryError {
    /// What, where and what to do.
    pub message: String,
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for DirectoryError {}

/// Says whether `path` can be a sink's directory; changes nothing.
///
/// # Errors
/// A file is there, or the path looks like one.
pub fn check_directory(path: &Path) -> Result<(), DirectoryError> {
    let shown = path.display();
    if path.is_dir() {
        return Ok(());
    }
    if path.exists() {
        let message = format!("{shown} is a file; a file sink writes parts into a directory");
        return Err(DirectoryError { message });
    }
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or("");
    if FILE_EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known)) {
        let directory = path.with_extension("");
        let message = format!(
            "{shown} looks like a file; a file sink writes parts named part-….{extension} into a \
             directory: use {}",
            directory.display()
        );
        return Err(DirectoryError { message });
    }
    Ok(())
}

impl PartOwner {
    /// Creates the directory if need be, and keeps other processes from holding it. `number` is one that no
    /// other sink has, and that this one has in every run.
    ///
    /// # Errors
    /// Environment: another process holds it. Io: as [`check_directory`], and what the operating system
    /// refuses.
    pub fn hold(path: &Path, number: u64) -> Result<PartOwner, Failure> {
        let failed = |error: DirectoryError| Failure::io(error.message);
        create(path).and_then(|()| sync_above(path)).map_err(failed)?;
        let opened = File::open(path).map_err(|error| refused("open", path, &error));
        let directory = opened.map_err(failed)?;
        match directory.try_lock() {
            Ok(()) => Ok(PartOwner { number, _directory: Some(directory) }),
            Err(TryLockError::WouldBlock) => {
                let shown = path.display();
                Err(Failure::environment(format!(
                    "{shown}: another job is running that writes to it; give each its own directory"
                )))
            }
            Err(TryLockError::Error(_)) => Ok(PartOwner { number, _directory: None }),
        }
    }

    /// The owner of parts in a directory that nobody else can see.
    #[cfg(test)]
    pub(crate) fn alone(number: u64) -> PartOwner {
        PartOwner { number, _directory: None }
    }

    /// What tells the owner from others.
    pub fn number(&self) -> u64 {
        self.number
    }
}

/// Creates the directory if need be and finds the run's number, which is higher than `run_min`.
///
/// # Errors
/// As [`check_directory`], and what the operating system refuses.
pub fn prepare_directory(path: &Path, run_min: u32) -> Result<PreparedDirectory, DirectoryError> {
    create(path)?;
    let fail = |verb: &str, error: std::io::Error| refused(verb, path, &error);
    let (mut run_max, mut leftovers) = (run_min, Vec::new());
    for entry in std::fs::read_dir(path).map_err(|error| fail("list", error))? {
        let name = entry.map_err(|error| fail("list", error))?.file_name();
        let Some(name) = name.to_str() else { continue };
        let Some(run) = run_of(name) else { continue };
        run_max = run_max.max(run);
        if is_open(name) {
            leftovers.push(name.to_string());
        }
    }
    let run = run_max.checked_add(1).ok_or_else(|| DirectoryError {
        message: format!("{} has no run number left; use another directory", path.display()),
    })?;
    Ok(PreparedDirectory { run, notes: note(path, leftovers).into_iter().collect() })
}

fn create(path: &Path) -> Result<(), DirectoryError> {
    check_directory(path)?;
    std::fs::create_dir_all(path).map_err(|error| refused("create", path, &error))
}

/// Makes the name of a directory durable, which may be new, and those of the directories that it is in.
fn sync_above(path: &Path) -> Result<(), DirectoryError> {
    let path = path.canonicalize().map_err(|error| refused("open", path, &error))?;
    for above in path.ancestors().skip(1) {
        // Who may not read a directory has not created one in it.
        let Ok(directory) = File::open(above) else { continue };
        directory.sync_all().map_err(|error| refused("sync", above, &error))?;
    }
    Ok(())
}

fn refused(verb: &str, path: &Path, error: &std::io::Error) -> DirectoryError {
    DirectoryError { message: format!("cannot {verb} {}: {error}", path.display()) }
}

fn note(path: &Path, mut leftovers: Vec<String>) -> Option<String> {
    leftovers.sort();
    let more = leftovers.len().saturating_sub(LEFTOVERS_NAMED_MAX);
    leftovers.truncate(LEFTOVERS_NAMED_MAX);
    let named = leftovers.join(", ");
    if named.is_empty() {
        return None;
    }
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let shown = path.display();
    Some(format!("{shown} has parts that an earlier run did not complete: {named}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prepares a directory that holds `names`; shows the run and the notes.
    #[track_caller]
    fn check(names: &[&str], expected: &str) {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("out/hot");
        std::fs::create_dir_all(&directory).unwrap();
        for name in names {
            std::fs::write(directory.join(name), "x").unwrap();
        }
        let prepared = prepare_directory(&directory, 0).unwrap();
        let shown = format!("{} {}", prepared.run, prepared.notes.join(" "));
        let root = format!("{}/", root.path().display());
        assert_eq!(shown.trim().replace(&root, ""), expected);
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), names.len());
    }

    #[test]
    fn a_run_is_higher_than_all_before_it() {
        check(&[], "1");
        check(&["part-0001-00-00000.json", "part-0007-01-00002.csv", "other"], "8");
        check(&["part-x-1", "part-9", "part-0002-00-00000.json"], "3");
        check(&["part-12345-00-00000.json"], "12346");
    }

    #[test]
    fn open_parts_of_an_earlier_run_stay_and_are_named() {
        let told = "out/hot has parts that an earlier run did not complete:";
        let open = ".part-0003-00-00000.json.open";
        check(&[open], &format!("4 {told} {open}"));
        let names: Vec<String> =
            (0..5).map(|core| format!(".part-0001-0{core}-00000.json.open")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        check(&names, &format!("2 {told} {} and 2 more", names[..3].join(", ")));
    }

    #[test]
    fn a_path_that_is_not_a_directory_is_refused() {
        let root = tempfile::tempdir().unwrap();
        std::fs::write(root.path().join("file"), "x").unwrap();
        let refused =
            |name: &str| prepare_directory(&root.path().join(name), 0).unwrap_err().message;
        assert!(refused("file").ends_with("is a file; a file sink writes parts into a directory"));
        assert!(refused("hot.json").contains("looks like a file"));
        assert!(refused("file/below").contains("cannot create"));
        assert_eq!(std::fs::read_dir(root.path()).unwrap().count(), 1);
        std::fs::create_dir(root.path().join("dir.json")).unwrap();
        assert_eq!(prepare_directory(&root.path().join("dir.json"), 6).unwrap().run, 7);
    }

    #[test]
    fn one_owner_at_a_time_holds_a_directory() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("out/hot");
        let held = PartOwner::hold(&path, 7).unwrap();
        let refused = PartOwner::hold(&path, 8).unwrap_err().message;
        assert!(refused.ends_with("give each its own directory"), "{refused}");
        drop(held);
        assert_eq!(PartOwner::hold(&path, 8).unwrap().number(), 8);
    }
}
