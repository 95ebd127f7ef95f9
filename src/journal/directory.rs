//! The durability directory of a job: who holds it, whose it is, and how often it was started.
//!
//! Files
//! - `lock`: locked (flock) while a process runs on the directory; holds that process's id.
//! - `identity.json`: name of the job the directory belongs to, and the number of the last run.
//! - `finished.json`: there once a bounded job has ended by itself.
//!
//! Invariants
//! - A file is replaced by writing beside it, syncing, renaming and syncing the directory, so that
//!   a crash leaves the old or the new one. Leftovers (`*.new`) are removed at the next start.
//! - A run number is durable before the run writes anything under it, and is never used twice.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

/// A directory held by this process until dropped.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
    identity: Identity,
}

#[derive(Clone, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Identity {
    job: String,
    run: u32,
}

/// What is known of a job that has ended by itself.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
pub struct Finished {
    /// XXH3 of the job's definition, to tell an edited job.
    pub definition: u64,
    /// The run that ended.
    pub run: u32,
    /// When, in words.
    pub at: String,
}

/// Why a directory cannot be used.
#[derive(Debug)]
pub enum DirectoryError {
    /// Another process runs on it.
    Locked {
        /// The directory.
        path: PathBuf,
        /// What the lock file says of its holder.
        holder: String,
    },
    /// It belongs to another job.
    Foreign {
        /// The directory.
        path: PathBuf,
        /// The job it belongs to.
        job: String,
    },
    /// A file in it is not what was written.
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The operating system refused.
    Io {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl fmt::Display for DirectoryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DirectoryError::Locked { path, holder } => write!(
                formatter,
                "{}: in use by process {holder}; stop it, or give this job a durability.dir of its \
                 own",
                path.display()
            ),
            DirectoryError::Foreign { path, job } => write!(
                formatter,
                "{}: belongs to the job \"{job}\"; give this job a durability.dir of its own",
                path.display()
            ),
            DirectoryError::Corrupt { path, reason } => write!(
                formatter,
                "{}: {reason}; restore the file from a backup, or start over with --fresh",
                path.display()
            ),
            DirectoryError::Io { operation, path, source } => {
                write!(formatter, "{}: cannot {operation}: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for DirectoryError {}

impl Directory {
    /// Creates the directory if need be, locks it, and begins a new run of `job` on it.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub fn open(path: &Path, job: &str, fresh: bool) -> Result<Directory, DirectoryError> {
        fs::create_dir_all(path).map_err(io_error("create", path))?;
        let lock = lock(path)?;
        if fresh {
            remove_if_there(&path.join("finished.json"))?;
        }
        remove_leftovers(path)?;
        let known: Option<Identity> = read_json(&path.join("identity.json"))?;
        if let Some(known) = &known
            && known.job != job
        {
            return Err(DirectoryError::Foreign { path: path.into(), job: known.job.clone() });
        }
        let run = known.map_or(0, |known| known.run).saturating_add(1);
        let identity = Identity { job: job.to_owned(), run };
        let directory = Directory { path: path.into(), _lock: lock, identity };
        directory.write_json("identity.json", &directory.identity)?;
        Ok(directory)
    }

    /// Number of this run: 1 for the first.
    pub fn run(&self) -> u32 {
        self.identity.run
    }

    /// What is known of an earlier run that ended by itself.
    ///
    /// # Errors
    /// When the file cannot be read or is not what was written.
    pub fn finished(&self) -> Result<Option<Finished>, DirectoryError> {
        read_json(&self.path.join("finished.json"))
    }

    /// Notes that this run has ended by itself.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn set_finished(&self, finished: &Finished) -> Result<(), DirectoryError> {
        self.write_json("finished.json", finished)
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), DirectoryError> {
        let text = serde_json::to_vec(value).expect("plain data can be written as JSON");
        let path = self.path.join(name);
        replace_file(&path, &text).map_err(io_error("write", &path))
    }
}

/// Replaces (or creates) the file as a whole: after a crash it is the old one or the new one.
///
/// # Errors
/// The operating system's; the old file is then untouched.
pub fn replace_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let beside = path.with_file_name(name);
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    fs::rename(&beside, path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new(".")))?.sync_all()
}

fn lock(directory: &Path) -> Result<File, DirectoryError> {
    let path = directory.join("lock");
    let mut file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .map_err(io_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let known = (&file).take(32).read_to_string(&mut holder).is_ok() && !holder.is_empty();
            let holder = if known { holder.trim().to_owned() } else { "(unknown)".to_owned() };
            return Err(DirectoryError::Locked { path: directory.into(), holder });
        }
        Err(TryLockError::Error(source)) => return Err(io_error("lock", &path)(source)),
    }
    write_holder(&mut file).map_err(io_error("write", &path))?;
    Ok(file)
}

fn write_holder(lock: &mut File) -> io::Result<()> {
    lock.set_len(0)?;
    lock.rewind()?;
    writeln!(lock, "{}", std::process::id())
}

fn remove_leftovers(directory: &Path) -> Result<(), DirectoryError> {
    for name in ["identity.json.new", "finished.json.new"] {
        remove_if_there(&directory.join(name))?;
    }
    Ok(())
}

fn remove_if_there(path: &Path) -> Result<(), DirectoryError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(io_error("remove", path)(error))
        }
        _ => Ok(()),
    }
}

fn read_json<T: for<'a> Deserialize<'a>>(path: &Path) -> Result<Option<T>, DirectoryError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", path)(error)),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(|error| DirectoryError::Corrupt {
        path: path.into(),
        reason: format!("is not what was written: {error}"),
    })
}

fn io_error(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> DirectoryError {
    let path = path.to_path_buf();
    move |source| DirectoryError::Io { operation, path, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_numbered_and_one_process_at_a_time_holds_the_directory() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("a/b");
        let first = Directory::open(&path, "j", false).unwrap();
        assert_eq!(first.run(), 1);
        let refused = Directory::open(&path, "j", false).unwrap_err();
        assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
        drop(first);
        assert_eq!(Directory::open(&path, "j", true).unwrap().run(), 2);
        let foreign = Directory::open(&path, "k", false).unwrap_err();
        assert!(matches!(foreign, DirectoryError::Foreign { .. }), "{foreign}");
        assert_eq!(Directory::open(&path, "j", false).unwrap().run(), 3);
    }

    #[test]
    fn finished_is_remembered_until_a_fresh_start() {
        let parent = tempfile::tempdir().unwrap();
        let finished = Finished { definition: 7, run: 1, at: "now".into() };
        let directory = Directory::open(parent.path(), "j", false).unwrap();
        assert_eq!(directory.finished().unwrap(), None);
        directory.set_finished(&finished).unwrap();
        drop(directory);
        let again = Directory::open(parent.path(), "j", false).unwrap();
        assert_eq!(again.finished().unwrap(), Some(finished));
        drop(again);
        let fresh = Directory::open(parent.path(), "j", true).unwrap();
        assert_eq!(fresh.finished().unwrap(), None);
    }

    #[test]
    fn what_is_not_json_is_named() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("identity.json"), b"{").unwrap();
        let refused = Directory::open(parent.path(), "j", false).unwrap_err();
        assert!(refused.to_string().contains("identity.json"), "{refused}");
    }
}
