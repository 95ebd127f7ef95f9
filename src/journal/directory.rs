//! The durability directory of a job: who holds it, whose it is, and how often it was started.
//!
//! Files
//! - `lock`: locked (flock) while a process runs on the directory; holds that process's id.
//! - `identity.json`: name and query of the job the directory belongs to, the number of the last run, and
//!   what state is kept by: the number of key groups, the secret of the key hash.
//! - `finished.json`: there once a bounded job has ended by itself.
//!
//! Invariants
//! - A file is replaced by writing beside it, syncing, renaming and syncing the directory, so that
//!   a crash leaves the old or the new one. Leftovers (`*.new`) are removed at the next start.
//! - A run number is durable before the run writes anything under it, and is never used twice.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use crate::limits::DIRECTORY_FILE_BYTES_MAX;
use crate::record::{KeyGroup, KeyHasher};

/// Version of the directory's files.
const VERSION: u32 = 1;

/// A directory held by this process until dropped.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Locked for as long as it is open.
    _lock: File,
    identity: Identity,
    starts_over: bool,
}

#[derive(Clone, Serialize, Deserialize, Debug)]
#[serde(deny_unknown_fields)]
struct Identity {
    /// Of this file and the journals.
    version: u32,
    job: String,
    /// The last run; 0 before the first.
    run: u32,
    key_groups: u16,
    key_seed: u64,
    /// Operators of the last run, one a line.
    query: Vec<String>,
}

/// What a directory says of itself, to somebody who does not hold it.
pub struct DirectoryFacts {
    identity: Identity,
    /// There once a bounded job has ended by itself.
    pub finished: Option<Finished>,
    /// The process that holds the directory.
    pub process: Option<u32>,
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
    /// It was written by another version of the program.
    Version {
        /// The directory.
        path: PathBuf,
        /// In what it differs.
        reason: String,
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
            DirectoryError::Version { path, reason } => write!(
                formatter,
                "{}: {reason}; run the version of pelton that wrote it, or start over with --fresh",
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
    /// Creates the directory if need be, and locks it for `job`. With `fresh`, what it holds of a run
    /// before does not count. `key_seed` is the secret of the key hash where there is none yet.
    ///
    /// # Errors
    /// See [`DirectoryError`].
    pub fn open(
        path: &Path,
        job: &str,
        fresh: bool,
        key_seed: u64,
    ) -> Result<Directory, DirectoryError> {
        let mut builder = DirBuilder::new();
        builder.recursive(true).mode(0o700).create(path).map_err(io_error("create", path))?;
        let lock = lock(path)?;
        remove_leftovers(path)?;
        let known: Option<Identity> = match read_json(&path.join("identity.json")) {
            Err(DirectoryError::Corrupt { .. }) if fresh => None,
            known => known?,
        };
        let new = Identity {
            version: VERSION,
            job: job.to_owned(),
            run: 0,
            key_groups: KeyGroup::COUNT,
            key_seed,
            query: Vec::new(),
        };
        let identity = match known {
            Some(known) if known.job != job => {
                return Err(DirectoryError::Foreign { path: path.into(), job: known.job });
            }
            Some(known) if fresh => Identity { run: known.run, ..new },
            Some(known) => known.check(path)?,
            None => new,
        };
        Ok(Directory { path: path.into(), _lock: lock, identity, starts_over: fresh })
    }

    /// Begins a new run, of a job with this query. Its number is durable afterwards.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn begin_run(&mut self, query: Vec<String>) -> Result<(), DirectoryError> {
        let identity = &mut self.identity;
        identity.run = identity.run.checked_add(1).ok_or_else(|| DirectoryError::Corrupt {
            path: self.path.join("identity.json"),
            reason: "there were too many runs".into(),
        })?;
        identity.query = query;
        if self.starts_over {
            remove_if_there(&self.path.join("finished.json"))?;
        }
        self.write_json("identity.json", &self.identity)
    }

    /// Number of the last run: 1 for the first that was begun.
    pub fn run(&self) -> u32 {
        self.identity.run
    }

    /// Secret of the key hash: the same for all runs that go on from one another.
    pub fn key_seed(&self) -> u64 {
        self.identity.key_seed
    }

    /// The query of the last run; empty before the first.
    pub fn query(&self) -> &[String] {
        &self.identity.query
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is known of an earlier run that ended by itself.
    ///
    /// # Errors
    /// When the file cannot be read or is not what was written.
    pub fn finished(&self) -> Result<Option<Finished>, DirectoryError> {
        if self.starts_over {
            return Ok(None);
        }
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

impl DirectoryFacts {
    /// Reads a directory, held by another process or by none. `None` where there is none of a job.
    ///
    /// # Errors
    /// When a file cannot be read, is not what was written, or is another version's.
    pub fn read(path: &Path) -> Result<Option<DirectoryFacts>, DirectoryError> {
        let Some(identity) = read_json::<Identity>(&path.join("identity.json"))? else {
            return Ok(None);
        };
        let identity = identity.check(path)?;
        let finished = read_json(&path.join("finished.json"))?;
        Ok(Some(DirectoryFacts { identity, finished, process: holder(&path.join("lock")) }))
    }

    /// Name of the job.
    pub fn job(&self) -> &str {
        &self.identity.job
    }

    /// Number of the last run.
    pub fn run(&self) -> u32 {
        self.identity.run
    }

    /// Number of key groups.
    pub fn key_groups(&self) -> u16 {
        self.identity.key_groups
    }

    /// Operators of the last run, one a line.
    pub fn query(&self) -> &[String] {
        &self.identity.query
    }

    /// The job's key hash. Its seed is a secret.
    pub fn hasher(&self) -> KeyHasher {
        KeyHasher::new(self.identity.key_seed)
    }
}

impl Identity {
    /// What this program can go on with.
    fn check(self, path: &Path) -> Result<Identity, DirectoryError> {
        let reason = match (self.version, self.key_groups) {
            (VERSION, KeyGroup::COUNT) => return Ok(self),
            (VERSION, groups) => format!("state is kept in {groups} key groups"),
            (version, _) => format!("it has version {version} of the format"),
        };
        Err(DirectoryError::Version { path: path.into(), reason })
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

/// The process that has locked the file, as the kernel's list of locks knows it: trying the lock would
/// keep a process from starting for a moment.
fn holder(lock: &Path) -> Option<u32> {
    let named: u32 = fs::read_to_string(lock).ok()?.trim().parse().ok()?;
    let inode = fs::metadata(lock).ok()?.ino();
    let locks = fs::read_to_string("/proc/locks").ok()?;
    is_listed(&locks, named, inode).then_some(named)
}

/// `1: FLOCK  ADVISORY  WRITE 4711 08:01:1234 0 EOF`
fn is_listed(locks: &str, process: u32, inode: u64) -> bool {
    locks.lines().any(|line| {
        let mut words = line.split_whitespace().skip(1);
        let is_flock = words.next() == Some("FLOCK");
        let holder = words.nth(2).and_then(|word| word.parse().ok());
        let file = words.next().and_then(|word| word.rsplit(':').next()?.parse().ok());
        is_flock && holder == Some(process) && file == Some(inode)
    })
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
    let mut bytes = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(DIRECTORY_FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    match read {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", path)(error)),
    }
    if bytes.len() as u64 > DIRECTORY_FILE_BYTES_MAX {
        let reason = format!("has more than {DIRECTORY_FILE_BYTES_MAX} bytes");
        return Err(DirectoryError::Corrupt { path: path.into(), reason });
    }
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
        let first = begin(&path, false, 70);
        assert_eq!((first.run(), first.key_seed()), (1, 70));
        let refused = Directory::open(&path, "j", false, 71).unwrap_err();
        assert!(refused.to_string().contains(&std::process::id().to_string()), "{refused}");
        drop(first);
        // Looked at, and left alone.
        assert_eq!(Directory::open(&path, "j", false, 71).unwrap().run(), 1);
        let second = begin(&path, false, 71);
        assert_eq!((second.run(), second.key_seed()), (2, 70));
        assert_eq!(second.query(), ["q".to_owned()]);
        drop(second);
        let fresh = begin(&path, true, 72);
        assert_eq!((fresh.run(), fresh.key_seed()), (3, 72));
        drop(fresh);
        let foreign = Directory::open(&path, "k", false, 71).unwrap_err();
        assert!(matches!(foreign, DirectoryError::Foreign { .. }), "{foreign}");
    }

    fn begin(path: &Path, fresh: bool, key_seed: u64) -> Directory {
        let mut directory = Directory::open(path, "j", fresh, key_seed).unwrap();
        directory.begin_run(vec!["q".into()]).unwrap();
        directory
    }

    #[test]
    fn facts_are_read_without_holding_the_directory() {
        let parent = tempfile::tempdir().unwrap();
        assert!(DirectoryFacts::read(&parent.path().join("none")).unwrap().is_none());
        assert!(DirectoryFacts::read(parent.path()).unwrap().is_none());
        let held = begin(parent.path(), false, 70);
        let facts = DirectoryFacts::read(parent.path()).unwrap().unwrap();
        assert_eq!((facts.job(), facts.run(), facts.query()), ("j", 1, &["q".to_owned()][..]));
        assert_eq!(facts.process, Some(std::process::id()));
        assert_eq!(facts.hasher().hash(b"k"), KeyHasher::new(70).hash(b"k"));
        drop(held);
        assert_eq!(DirectoryFacts::read(parent.path()).unwrap().unwrap().process, None);
    }

    #[test]
    fn the_list_of_locks_is_read() {
        let locks = "1: POSIX  ADVISORY  WRITE 7 08:01:12 0 EOF\n\
                     2: FLOCK  ADVISORY  WRITE 7 00:2d:13 0 EOF\n2: -> FLOCK\n";
        assert!(is_listed(locks, 7, 13));
        assert!(!is_listed(locks, 7, 12) && !is_listed(locks, 8, 13) && !is_listed("", 7, 13));
    }

    #[test]
    fn a_file_that_is_too_long_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        drop(begin(parent.path(), false, 1));
        let file = OpenOptions::new().write(true).open(parent.path().join("identity.json"));
        file.unwrap().set_len(DIRECTORY_FILE_BYTES_MAX + 1).unwrap();
        let refused = Directory::open(parent.path(), "j", false, 1).unwrap_err();
        assert!(refused.to_string().contains("has more than"), "{refused}");
    }

    #[test]
    fn what_another_version_wrote_is_refused_unless_it_does_not_count() {
        let parent = tempfile::tempdir().unwrap();
        drop(begin(parent.path(), false, 1));
        let path = parent.path().join("identity.json");
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("\"version\":1", "\"version\":2")).unwrap();
        let refused = Directory::open(parent.path(), "j", false, 1).unwrap_err();
        assert!(matches!(refused, DirectoryError::Version { .. }), "{refused}");
        assert_eq!(begin(parent.path(), true, 2).run(), 2);
    }

    #[test]
    fn finished_is_remembered_until_a_fresh_start() {
        let parent = tempfile::tempdir().unwrap();
        let finished = Finished { definition: 7, run: 1, at: "now".into() };
        let directory = begin(parent.path(), false, 1);
        assert_eq!(directory.finished().unwrap(), None);
        directory.set_finished(&finished).unwrap();
        drop(directory);
        let again = begin(parent.path(), false, 1);
        assert_eq!(again.finished().unwrap(), Some(finished));
        drop(again);
        drop(begin(parent.path(), true, 1));
        let later = begin(parent.path(), false, 1);
        assert_eq!(later.finished().unwrap(), None);
    }

    #[test]
    fn what_is_not_json_is_named() {
        let parent = tempfile::tempdir().unwrap();
        fs::write(parent.path().join("identity.json"), b"{").unwrap();
        let refused = Directory::open(parent.path(), "j", false, 1).unwrap_err();
        assert!(refused.to_string().contains("identity.json"), "{refused}");
        assert_eq!(begin(parent.path(), true, 1).run(), 1);
    }
}
