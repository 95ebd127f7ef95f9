//! Names: what parts are called, and what a name says.
//!
//! | name | means |
//! |---|---|
//! | `part-<run>-<core>-<number>.<extension>` | complete, and never changed again |
//! | `.part-….<extension>.open` | being written; appears as soon as it is complete |
//! | `.part-….<extension>.<owner>.open` | the same; appears once the epochs of its rows exist |
//!
//! The owner is a number of the job's own (16 hexadecimal digits), so that a job that finds open parts in
//! a directory knows its own from those of others.

use std::path::{Path, PathBuf};

use crate::stdx::CoreId;

/// Ends of names of parts that are not complete.
const OPEN: &str = ".open";

/// Digits of an owner in a name.
const OWNER_DIGITS: usize = 16;

/// What one part is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct PartNames {
    pub(super) directory: PathBuf,
    /// While it is written.
    pub(super) hidden: PathBuf,
    /// When it is complete.
    pub(super) visible: PathBuf,
}

/// Which part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct PartId {
    pub(super) run: u32,
    pub(super) core: CoreId,
    /// From 0 in every run, core by core.
    pub(super) number: u32,
}

impl PartNames {
    /// Numbers are padded so that name order is the order of writing, core by core.
    pub(super) fn new(
        directory: &Path,
        part: PartId,
        extension: &str,
        owner: Option<u64>,
    ) -> PartNames {
        let PartId { run, core, number } = part;
        let name = format!("part-{run:04}-{:02}-{number:05}.{extension}", core.index());
        let hidden = match owner {
            Some(owner) => format!(".{name}.{owner:0OWNER_DIGITS$x}{OPEN}"),
            None => format!(".{name}{OPEN}"),
        };
        PartNames {
            directory: directory.into(),
            hidden: directory.join(hidden),
            visible: directory.join(name),
        }
    }
}

/// The run in a part's name, open or complete.
pub(super) fn run_of(name: &str) -> Option<u32> {
    let rest = name.strip_prefix('.').unwrap_or(name).strip_prefix("part-")?;
    let (run, _) = rest.split_once('-')?;
    run.parse().ok()
}

/// True of the name of a part that is not complete.
pub(super) fn is_open(name: &str) -> bool {
    name.ends_with(OPEN)
}

/// Whose part it is that is not complete, when the name says so.
pub(super) fn owner_of(name: &str) -> Option<u64> {
    run_of(name)?;
    let (_, owner) = name.strip_prefix('.')?.strip_suffix(OPEN)?.rsplit_once('.')?;
    if owner.len() != OWNER_DIGITS || owner.starts_with('+') {
        return None;
    }
    u64::from_str_radix(owner, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(owner: Option<u64>, expected: &str) {
        let part = PartId { run: 3, core: CoreId::new(1), number: 7 };
        let names = PartNames::new(Path::new("out"), part, "csv", owner);
        let shown = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(shown(&names.hidden), expected);
        assert_eq!(shown(&names.visible), "part-0003-01-00007.csv");
        assert!(is_open(expected) && !is_open("part-0003-01-00007.csv"));
        assert_eq!((owner_of(expected), run_of(expected)), (owner, Some(3)));
    }

    #[test]
    fn a_name_says_what_it_is_of() {
        check(None, ".part-0003-01-00007.csv.open");
        check(Some(0xab), ".part-0003-01-00007.csv.00000000000000ab.open");
        check(Some(u64::MAX), ".part-0003-01-00007.csv.ffffffffffffffff.open");
    }

    #[test]
    fn what_is_no_owner_is_none() {
        for name in [
            "part-0003-01-00007.00000000000000ab.open",
            ".other-0003-01.00000000000000ab.open",
            ".part-0003-01-00007.csv.00000000000000ab",
            ".part-0003-01-00007.csv.0000000000000ab.open",
            ".part-0003-01-00007.csv.+0000000000000ab.open",
            ".part-0003-01-00007.csv.größe0000000000.open",
        ] {
            assert_eq!(owner_of(name), None, "{name}");
        }
    }
}
