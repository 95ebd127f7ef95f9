//! Failpoints: named places where a test ends the process at once, as `kill -9` would.
//!
//! They are compiled in with the feature `failpoints` alone. The variable `PELTON_FAILPOINT` names a point and a visit of
//! it: `capture:3` ends the process at the third visit of [`Failpoint::Capture`].

/// Environment variable that says where the process ends.
#[cfg(feature = "failpoints")]
const VARIABLE: &str = "PELTON_FAILPOINT";

/// A place where a process may end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failpoint {
    /// An epoch is about to begin; no barrier is out.
    Begin,
    /// A barrier is out behind a source, and not behind all.
    Barrier,
    /// A slice of state is appended; there may be more.
    Capture,
    /// A core's part is written and no sync has begun.
    Unsynced,
    /// A core's part is durable, and that of another may not be.
    Sealed,
    /// All parts are durable; there is no commit record.
    Collected,
    /// A commit record is written and not durable.
    CommitUnsynced,
    /// One copy of the commit record is durable.
    CommitWritten,
    /// Both copies are; nobody knows.
    Committed,
    /// The epoch exists; no sink of the core was told.
    Release,
    /// One sink was told.
    Released,
    /// All were; the core itself was not.
    Note,
    /// The epoch exists; no source of the core was told.
    Confirm,
    /// A segment that nobody needs is about to go.
    Recycle,
    /// A start has read what there is, and written nothing.
    Recover,
    /// A start has replaced the record, and removed nothing.
    Recovered,
}

impl Failpoint {
    /// All of them.
    pub const ALL: [Failpoint; 16] = [
        Failpoint::Begin,
        Failpoint::Barrier,
        Failpoint::Capture,
        Failpoint::Unsynced,
        Failpoint::Sealed,
        Failpoint::Collected,
        Failpoint::CommitUnsynced,
        Failpoint::CommitWritten,
        Failpoint::Committed,
        Failpoint::Release,
        Failpoint::Released,
        Failpoint::Note,
        Failpoint::Confirm,
        Failpoint::Recycle,
        Failpoint::Recover,
        Failpoint::Recovered,
    ];

    /// As the variable names it.
    pub const fn name(self) -> &'static str {
        match self {
            Failpoint::Begin => "begin",
            Failpoint::Barrier => "barrier",
            Failpoint::Capture => "capture",
            Failpoint::Unsynced => "unsynced",
            Failpoint::Sealed => "sealed",
            Failpoint::Collected => "collected",
            Failpoint::CommitUnsynced => "commit-unsynced",
            Failpoint::CommitWritten => "commit-written",
            Failpoint::Committed => "committed",
            Failpoint::Release => "release",
            Failpoint::Released => "released",
            Failpoint::Note => "note",
            Failpoint::Confirm => "confirm",
            Failpoint::Recycle => "recycle",
            Failpoint::Recover => "recover",
            Failpoint::Recovered => "recovered",
        }
    }

    /// The process has come here; the only thing done in a build without the feature is nothing.
    #[cfg(not(feature = "failpoints"))]
    #[inline(always)]
    pub fn pass(self) {}

    /// The process has come here, and may end.
    #[cfg(feature = "failpoints")]
    pub fn pass(self) {
        use std::sync::OnceLock;
        use std::sync::atomic::{AtomicU64, Ordering};

        static VISIT: OnceLock<Option<(String, u64)>> = OnceLock::new();
        static VISITS: AtomicU64 = AtomicU64::new(0);
        let parse = || {
            let text = std::env::var(VARIABLE).ok()?;
            let (name, visit) = text.split_once(':')?;
            Some((name.to_owned(), visit.parse().ok()?))
        };
        if let Some((name, visit)) = VISIT.get_or_init(parse)
            && name == self.name()
            && VISITS.fetch_add(1, Ordering::Relaxed) + 1 == *visit
        {
            std::process::abort();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_differ() {
        let mut names = Failpoint::ALL.map(Failpoint::name);
        names.sort_unstable();
        assert!(names.windows(2).all(|pair| pair[0] != pair[1]), "{names:?}");
    }
}
