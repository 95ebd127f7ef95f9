//! Look-up: where a followed file is now that an earlier run had begun to read, and what comes after it.
//!
//! In:  how far the file was read, and by what it is known; the files of its directory, as they are now.
//! Out: files to be read before the one that has the path, and a word to the user when something is gone.
//!
//! A file is the one that was read when it has its inode and its first bytes, and is not shorter than
//! what was read of it. (Not its device: numbers of devices change when a machine starts again.) Under the
//! path it goes on to grow; under another name it was rotated away, and what was rotated away after it
//! comes next: files whose names differ from its own in digits alone, in the order in which they were
//! created, as far as that was after it.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::position::{FilePosition, KnownFile};
use crate::limits::FILE_FINGERPRINT_BYTES;
use crate::reactor::FileStatus;
use crate::source::file::tail::TailStart;

/// Files, as a start sees them. Every call may wait for the disk.
pub trait FollowFiles {
    /// What is in a directory.
    ///
    /// # Errors
    /// The operating system's, as for all that follow.
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>>;
    /// A regular file, if there is one.
    ///
    /// # Errors
    /// As [`FollowFiles::list`].
    fn look_at(&self, path: &Path) -> io::Result<Option<FoundFile>>;
    /// The first `bytes` bytes of a file, or all of a shorter one.
    ///
    /// # Errors
    /// As [`FollowFiles::list`].
    fn start(&self, path: &Path, bytes: usize) -> io::Result<Vec<u8>>;
}

/// What is known of a file without reading it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FoundFile {
    /// Length and identity.
    pub status: FileStatus,
    /// When it was created: ns since 1970. Where the file system does not tell, when it was written to last.
    pub created_ns: i128,
}

/// The machine's files.
#[derive(Clone, Copy, Debug)]
pub struct RealFiles;

/// What is to be read.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Found {
    /// Before whatever else the path names, in this order.
    pub(super) files: Vec<TailStart>,
    /// The first of them is the one that was being read, from where it was read to.
    pub(super) goes_on: bool,
    /// Something that was not read is gone: one line.
    pub(super) lost: Option<String>,
}

/// Finds what follows `at` of the file at `path`.
pub(super) fn find(files: &dyn FollowFiles, path: &Path, at: &FilePosition) -> io::Result<Found> {
    let now = files.look_at(path)?;
    // One that was complete had lost the name: its inode may be used again.
    let kept_name = |it: &FoundFile| it.status.inode == at.file.inode && !at.is_complete;
    if let Some(now) = now.filter(kept_name) {
        if is_same(files, path, &now, at)? {
            return Ok(Found::on(start_of(path, &now, at.offset, false)));
        }
        return Ok(Found::cut_back(path, &now, at));
    }
    let now_inode = now.map(|now| now.status.inode);
    let (mut others, mut rotated) = (Vec::new(), None);
    for other in files.list(path.parent().unwrap_or(Path::new("")))? {
        // What cannot be looked at is nothing that was read.
        let Some(found) = files.look_at(&other).ok().flatten() else { continue };
        if now_inode == Some(found.status.inode) {
            continue;
        }
        if found.status.inode == at.file.inode && is_same(files, &other, &found, at)? {
            rotated = Some((other, found));
        } else {
            others.push((other, found));
        }
    }
    let Some((rotated_to, found)) = rotated else { return Ok(Found::gone(path, at)) };
    let shape = shape(&rotated_to);
    others.retain(|(other, it)| self::shape(other) == shape && it.created_ns > found.created_ns);
    // Of two that were created at once, the one with the higher number is the older one.
    others.sort_by_key(|(other, it)| (it.created_ns, Reverse(other.clone())));
    let mut all = Found::on(start_of(&rotated_to, &found, at.offset, true));
    all.files.extend(others.iter().map(|(other, it)| start_of(other, it, 0, true)));
    all.files.extend(now.map(|now| start_of(path, &now, 0, false)));
    Ok(all)
}

fn start_of(path: &Path, found: &FoundFile, offset: u64, is_rotated: bool) -> TailStart {
    TailStart { path: path.into(), inode: found.status.inode, offset, is_rotated }
}

fn is_same(
    files: &dyn FollowFiles,
    path: &Path,
    found: &FoundFile,
    at: &FilePosition,
) -> io::Result<bool> {
    let KnownFile { start, .. } = &at.file;
    Ok(found.status.bytes >= at.offset.max(u64::from(start.bytes))
        && start.is_of(&files.start(path, FILE_FINGERPRINT_BYTES)?))
}

/// A name with every number in it as one mark.
fn shape(path: &Path) -> Vec<u8> {
    let mut shape: Vec<u8> = Vec::new();
    for &byte in path.file_name().map_or(&b""[..], OsStr::as_bytes) {
        match byte.is_ascii_digit() {
            true if shape.last() == Some(&b'#') => {}
            true => shape.push(b'#'),
            false => shape.push(byte),
        }
    }
    shape
}

impl Found {
    fn on(first: TailStart) -> Found {
        Found { files: vec![first], goes_on: true, lost: None }
    }

    fn cut_back(path: &Path, now: &FoundFile, at: &FilePosition) -> Found {
        let (shown, offset) = (path.display(), at.offset);
        let lost = format!(
            "{shown} was truncated or replaced while the job did not run: {offset} bytes of it had been \
             read, what came behind them is lost, and it is read from its start"
        );
        Found { files: vec![start_of(path, now, 0, false)], goes_on: false, lost: Some(lost) }
    }

    fn gone(path: &Path, at: &FilePosition) -> Found {
        let (shown, offset) = (path.display(), at.offset);
        let lost = format!(
            "the file that {shown} was is gone: {offset} bytes of it had been read, what came behind them \
             is lost, and the job goes on with the start of the file of that name"
        );
        let lost = (!at.is_complete).then_some(lost);
        Found { lost, ..Found::default() }
    }
}

impl FollowFiles for RealFiles {
    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let here = directory.as_os_str().is_empty();
        let entries = fs::read_dir(if here { Path::new(".") } else { directory })?;
        entries.map(|entry| Ok(directory.join(entry?.file_name()))).collect()
    }

    fn look_at(&self, path: &Path) -> io::Result<Option<FoundFile>> {
        let found = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            found => found?,
        };
        let status = FileStatus { bytes: found.len(), device: found.dev(), inode: found.ino() };
        let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok();
        let created = found.created().ok().and_then(since).map(|since| since.as_nanos());
        let created_ns = match created.and_then(|ns| i128::try_from(ns).ok()) {
            Some(created_ns) => created_ns,
            None => i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec()),
        };
        Ok(found.is_file().then_some(FoundFile { status, created_ns }))
    }

    fn start(&self, path: &Path, bytes: usize) -> io::Result<Vec<u8>> {
        let mut start = Vec::new();
        File::open(path)?.take(bytes as u64).read_to_end(&mut start)?;
        Ok(start)
    }
}

#[cfg(test)]
mod tests {
    use super::super::position::FileStart;
    use super::*;

    /// Where `log` had been read to `offset`, of what is in the file `name` now.
    fn at(directory: &Path, name: &str, offset: u64, is_complete: bool) -> FilePosition {
        let path = directory.join(name);
        let found = RealFiles.look_at(&path).unwrap().unwrap();
        let FileStatus { device, inode, .. } = found.status;
        let mut start = FileStart::default();
        start.take(0, &fs::read(&path).unwrap()[..usize::try_from(offset).unwrap()]);
        let file = KnownFile { device, inode, start: start.fingerprint() };
        FilePosition { file, offset, rows: 0, is_complete }
    }

    /// What is found, as `name@offset`.
    fn found(directory: &Path, at: &FilePosition) -> String {
        let found = find(&RealFiles, &directory.join("log"), at).unwrap();
        let file = |file: &TailStart| {
            let name = file.path.file_name().unwrap().to_str().unwrap();
            let mark = if file.is_rotated { "" } else { "!" };
            format!("{name}@{}{mark}", file.offset)
        };
        let files: Vec<String> = found.files.iter().map(file).collect();
        let lost = if found.lost.is_some() { " lost" } else { "" };
        format!("{}{lost}", files.join(" "))
    }

    /// Files that were created one after the other.
    fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(directory.path().join(name), text).unwrap();
            // Times of files go on in steps of some milliseconds.
            crate::reactor::sleep(std::time::Duration::from_millis(15));
        }
        directory
    }

    #[test]
    fn a_file_is_found_by_what_it_is() {
        let files = [("log.3", "zz"), ("log.2", "abcd"), ("log.1", "ef"), ("log", "gh")];
        let directory = directory(&files);
        let path = directory.path();
        assert_eq!(found(path, &at(path, "log.2", 3, false)), "log.2@3 log.1@0 log@0!");
        assert_eq!(found(path, &at(path, "log", 1, false)), "log@1!");
        assert_eq!(found(path, &at(path, "log", 0, false)), "log@0!");
        let before = at(path, "log.2", 3, false);
        fs::write(path.join("log.2"), "xbcd").unwrap();
        assert_eq!(found(path, &before), " lost");
        fs::remove_file(path.join("log.2")).unwrap();
        assert_eq!(found(path, &before), " lost");
        let complete = FilePosition { is_complete: true, ..before };
        assert_eq!(found(path, &complete), "");
    }

    #[test]
    fn other_files_are_not_successors() {
        let directory = directory(&[
            ("log-2024-05-01", "abcd"),
            ("other-2024-05-02", "x"),
            ("log-2024-05-02.gz", "x"),
            ("log-2024-05-02", "ef"),
            ("log.err", "x"),
            ("log", "gh"),
        ]);
        let path = directory.path();
        fs::create_dir(path.join("log-2024-05-03")).unwrap();
        std::os::unix::fs::symlink("nowhere", path.join("log-2024-05-04")).unwrap();
        let rotated = at(path, "log-2024-05-01", 2, false);
        assert_eq!(found(path, &rotated), "log-2024-05-01@2 log-2024-05-02@0 log@0!");
        fs::remove_file(path.join("log")).unwrap();
        assert_eq!(found(path, &rotated), "log-2024-05-01@2 log-2024-05-02@0");
    }

    #[test]
    fn a_file_that_was_cut_back_is_another_one() {
        let directory = directory(&[("log", "abcdef")]);
        let path = directory.path();
        let before = at(path, "log", 4, false);
        for text in ["abc", "", "abcx", "xbcdef"] {
            fs::write(path.join("log"), text).unwrap();
            assert_eq!(found(path, &before), "log@0! lost", "{text}");
        }
        fs::write(path.join("log"), "abcdxx").unwrap();
        assert_eq!(found(path, &before), "log@4!");
    }
}
