//! Commit: what this program was built from.
//!
//! Builds that go elsewhere are told (`PELTON_COMMIT`, a hash, with `-dirty` behind it where files were
//! changed). Others are looked up where they were built: nothing has changed there since when no source is
//! younger than the program. A build script would be the other way, and would build Pelton anew after each commit.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// What was said when it was built.
const TOLD: Option<&str> = option_env!("PELTON_COMMIT");

/// Where it was built.
const SOURCES: &str = env!("CARGO_MANIFEST_DIR");

/// What it is made of, in there.
const PARTS: [&str; 6] =
    ["src", "config", "bench/workloads", ".cargo/config.toml", "Cargo.toml", "Cargo.lock"];

/// Folders in folders that are looked into.
const DEPTH_MAX: u32 = 16;

/// A commit.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Commit {
    pub(super) hash: String,
    /// The program was built from more, or from something else.
    pub(super) is_dirty: bool,
}

impl Commit {
    /// `None` when it is not known.
    pub(super) fn of_this_program() -> Option<Commit> {
        match TOLD {
            Some(told) => Commit::told(told),
            None => Commit::of_checkout(Path::new(SOURCES), &std::env::current_exe().ok()?),
        }
    }

    fn told(told: &str) -> Option<Commit> {
        let (hash, is_dirty) = match told.strip_suffix("-dirty") {
            Some(hash) => (hash, true),
            None => (told, false),
        };
        let is_hash = !hash.is_empty() && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_hash.then(|| Commit { hash: hash.to_owned(), is_dirty })
    }

    /// Of a program that was built in this checkout.
    fn of_checkout(sources: &Path, program: &Path) -> Option<Commit> {
        // Else git would look further up, and find somebody else's repository.
        if !sources.join(".git").exists() {
            return None;
        }
        let head = git(sources, &["rev-parse", "HEAD"])?;
        let mut status = vec!["status", "--porcelain", "--"];
        status.extend(PARTS);
        let is_changed = !git(sources, &status)?.is_empty();
        let built = fs::metadata(program).and_then(|program| program.modified()).ok()?;
        let youngest =
            PARTS.iter().filter_map(|part| youngest(&sources.join(part), DEPTH_MAX)).max();
        let is_older = youngest.is_some_and(|youngest| youngest > built);
        Some(Commit { is_dirty: is_changed || is_older, ..Commit::told(&head)? })
    }
}

/// What git says; `None` when it is not there or fails.
fn git(directory: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(directory).args(arguments).stdin(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// When the youngest file was written.
fn youngest(path: &Path, depth: u32) -> Option<SystemTime> {
    let found = fs::symlink_metadata(path).ok()?;
    if !found.is_dir() {
        return found.modified().ok();
    }
    let inside = fs::read_dir(path).ok()?.flatten().map(|entry| entry.path());
    inside.filter_map(|entry| youngest(&entry, depth.checked_sub(1)?)).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_a_hash_and_perhaps_more() {
        let commit = |hash: &str, is_dirty| Some(Commit { hash: hash.to_owned(), is_dirty });
        assert_eq!(Commit::told("12ab"), commit("12ab", false));
        assert_eq!(Commit::told("12ab-dirty"), commit("12ab", true));
        for wrong in ["", "-dirty", "main", "12ab dirty"] {
            assert_eq!(Commit::told(wrong), None, "{wrong}");
        }
    }

    /// Commits what is in a checkout; the hash.
    fn commit_all(checkout: &Path) -> String {
        git(checkout, &["add", "-A"]).unwrap();
        let who = ["-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "x"];
        git(checkout, &who).unwrap();
        git(checkout, &["rev-parse", "HEAD"]).unwrap()
    }

    #[test]
    fn a_checkout_is_dirty_when_its_parts_changed_or_the_program_is_older() {
        let directory = tempfile::tempdir().unwrap();
        let checkout = directory.path().join("checkout");
        fs::create_dir_all(checkout.join("src/deep")).unwrap();
        let (source, program) = (checkout.join("src/deep/a.rs"), directory.path().join("program"));
        fs::write(&source, "a").unwrap();
        let look = || Commit::of_checkout(&checkout, &program);
        assert_eq!(look(), None, "no repository");
        git(&checkout, &["init", "-q"]).unwrap();
        let hash = commit_all(&checkout);
        assert_eq!(look(), None, "no program");
        fs::write(&program, "").unwrap();
        let clean = Some(Commit { hash: hash.clone(), is_dirty: false });
        let dirty = Some(Commit { hash, is_dirty: true });
        assert_eq!(look(), clean);
        // What is no part of the program changes nothing.
        fs::write(checkout.join("notes"), "").unwrap();
        assert_eq!(look(), clean);
        fs::write(checkout.join("src/new.rs"), "").unwrap();
        assert_eq!(look(), dirty, "a file more");
        fs::remove_file(checkout.join("src/new.rs")).unwrap();
        assert_eq!(look(), clean);
        // Written again after the program was built, as another checkout would.
        let later = fs::metadata(&program).unwrap().modified().unwrap();
        let file = fs::File::options().write(true).open(&source).unwrap();
        file.set_modified(later + std::time::Duration::from_secs(2)).unwrap();
        assert_eq!(look(), dirty, "younger than the program");
    }
}
