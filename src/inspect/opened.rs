//! A durability directory, opened for reading alone, while a process may be changing it.

use std::path::{Path, PathBuf};

use crate::checkpoint::{RecoveredJournals, Restore};
use crate::journal::{DirectoryError, DirectoryFacts, Examined, Files, examine};
use crate::stdx::{Failure, FailureClass};

/// What a process changes meanwhile may look like damage: so often it is looked at again.
pub(super) const TRIES: u32 = 5;

/// What there is.
pub(super) struct Opened {
    pub(super) path: PathBuf,
    pub(super) facts: DirectoryFacts,
    /// `None` before the first run that keeps something.
    pub(super) examined: Option<Examined<Files>>,
}

impl Opened {
    fn open(path: &Path) -> Result<Opened, Failure> {
        let facts = facts(path)?;
        let examined = examine(&Files::new(path)).map_err(|error| error.failure())?;
        Ok(Opened { path: path.to_owned(), facts, examined })
    }

    /// Calls `read` with the newest epoch; `None` when there is none.
    pub(super) fn with_epoch<T>(
        &self,
        read: impl FnOnce(&Restore<'_>) -> Result<T, Failure>,
    ) -> Result<Option<T>, Failure> {
        let Some(examined) = &self.examined else { return Ok(None) };
        let Some(journals) = RecoveredJournals::new(examined.recovered()) else { return Ok(None) };
        read(&Restore::open(&journals)?).map(Some)
    }
}

/// What a directory says of itself.
pub(super) fn facts(path: &Path) -> Result<DirectoryFacts, Failure> {
    let facts = DirectoryFacts::read(path).map_err(|error| failure(&error))?;
    facts.ok_or_else(|| {
        let path = path.display();
        let what = "no identity.json is here; name the durability.dir of a job that was run";
        Failure::environment(format!("{path}: {what}"))
    })
}

/// Opens `path` and reads it. Tries again while a process runs on it.
pub(super) fn with_opened<T>(
    path: &Path,
    read: impl Fn(&Opened) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut tries = TRIES;
    loop {
        tries -= 1;
        match Opened::open(path).and_then(|opened| read(&opened)) {
            Err(failure) if tries > 0 && failure.class != FailureClass::Environment => {
                if facts(path)?.process.is_none() {
                    return Err(failure);
                }
            }
            result => return result,
        }
    }
}

fn failure(error: &DirectoryError) -> Failure {
    let class = match error {
        DirectoryError::Corrupt { .. } => FailureClass::Data,
        DirectoryError::Io { .. } => FailureClass::Io,
        _ => FailureClass::Environment,
    };
    Failure { class, message: error.to_string() }
}
