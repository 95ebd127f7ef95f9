//! Plan: which files a path names, and how their bytes are dealt to the cores.
//!
//! In:  a path, a directory or a pattern, looked up once, at start, with blocking calls.
//! Out: files in name order with their length and identity then, cut into numbered chunks.
//!
//! Invariants
//! - All cores share one plan, so they agree on every chunk without talking.
//! - Chunk numbers are dense and follow the order of the bytes.
//!
//! Deliberately absent: reading (see `chunk`), and any file that appears later.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::limits::FILE_FINGERPRINT_BYTES;
use crate::reactor::FileStatus;
use crate::record::KeyHasher;
use crate::stdx::ByteWriter;

/// Ends of names that say a file is compressed, which no decoder here undoes.
const COMPRESSED_EXTENSIONS: [&str; 8] = ["gz", "zst", "bz2", "xz", "lz4", "snappy", "zip", "7z"];

/// The files of one source and their chunks.
#[derive(Clone, Debug)]
pub struct FilePlan {
    files: Vec<PlannedFile>,
    chunk_count: u64,
    cut: bool,
    identity: u64,
}

/// One file as it was found at start.
#[derive(Clone, Debug)]
pub(super) struct PlannedFile {
    /// Where.
    pub(super) path: PathBuf,
    /// Length and identity at start; both must still hold when it is read.
    pub(super) status: FileStatus,
    /// When it was last written to, as found at start: ms since 1970.
    pub(super) modified_ms: i64,
    /// Hash of its first bytes; 0 where no later run goes on.
    start_hash: u64,
    first_chunk: u64,
    chunk_bytes: u64,
}

/// Some bytes of one file: the records that start in them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Chunk {
    /// Position in the whole sequence.
    pub(super) number: u64,
    /// Index of the file.
    pub(super) file: usize,
    /// First byte.
    pub(super) start: u64,
    /// Behind the last byte.
    pub(super) end: u64,
    /// Length of the file.
    pub(super) file_bytes: u64,
    /// False when the chunk is a whole file whose records may contain line ends.
    pub(super) lines: bool,
}

/// Why there is nothing to read, in words for the user.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlanError {
    /// What, where and what to do.
    pub message: String,
}

impl fmt::Display for PlanError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for PlanError {}

/// How the files are cut.
#[derive(Clone, Copy, Debug)]
pub struct CutOptions {
    /// Cores that share the work. One core reads whole files, unless `resumable`.
    pub core_count: u16,
    /// A later run, on any number of cores, may go on in the middle: files are always cut.
    pub resumable: bool,
    /// Bytes of a chunk: `limits::FILE_CHUNK_BYTES`.
    pub chunk_bytes: u64,
    /// True when every record is a line; otherwise a file is one chunk.
    pub lines: bool,
}

impl FilePlan {
    /// Looks the files up and plans their chunks.
    ///
    /// # Errors
    /// What [`expand`] says, and files that cannot be looked at.
    pub fn new(path: &Path, options: CutOptions) -> Result<FilePlan, PlanError> {
        let (mut files, mut seen) = (Vec::new(), Vec::new());
        for file in expand(path)? {
            let found = std::fs::metadata(&file).map_err(|error| PlanError {
                message: format!("cannot read {}: {error}", file.display()),
            })?;
            let (bytes, device, inode) = (found.len(), found.dev(), found.ino());
            let start_hash = if options.resumable { start_hash(&file)? } else { 0 };
            seen.push((found.mtime() * 1_000 + found.mtime_nsec() / 1_000_000, start_hash));
            files.push((file, FileStatus { bytes, device, inode }));
        }
        let mut plan = FilePlan::of(files, options);
        for (file, (modified_ms, start_hash)) in plan.files.iter_mut().zip(seen) {
            (file.modified_ms, file.start_hash) = (modified_ms, start_hash);
        }
        plan.identity = identity(&plan.files);
        Ok(plan)
    }

    /// Plans the chunks of these files, in this order.
    pub fn of(files: Vec<(PathBuf, FileStatus)>, options: CutOptions) -> FilePlan {
        assert!(options.core_count > 0);
        assert!(options.chunk_bytes > 0);
        let cut = options.lines && (options.core_count > 1 || options.resumable);
        let mut chunk_count = 0;
        let files = files.into_iter().map(|(path, status)| {
            let first_chunk = chunk_count;
            let chunk_bytes = if cut { options.chunk_bytes } else { status.bytes.max(1) };
            chunk_count += status.bytes.div_ceil(chunk_bytes);
            PlannedFile { path, status, modified_ms: 0, start_hash: 0, first_chunk, chunk_bytes }
        });
        let files: Vec<PlannedFile> = files.collect();
        FilePlan { identity: identity(&files), files, chunk_count, cut: options.lines }
    }

    /// Number of chunks of the whole sequence.
    pub fn chunk_count(&self) -> u64 {
        self.chunk_count
    }

    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.status.bytes).sum()
    }

    /// Equal for plans of the same files, of the same lengths, cut alike: their chunks are the same.
    pub(super) fn identity(&self) -> u64 {
        self.identity
    }

    /// The files, in the order in which they are read.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|file| file.path.as_path())
    }

    pub(super) fn file(&self, index: usize) -> &PlannedFile {
        &self.files[index]
    }

    /// The first line of a file, as a chunk of its own: what starts at its first byte.
    pub(super) fn first_line(&self, chunk: Chunk) -> Chunk {
        assert!(chunk.lines);
        Chunk { start: 0, end: 1, ..chunk }
    }

    pub(super) fn chunk(&self, number: u64) -> Chunk {
        assert!(number < self.chunk_count);
        let behind = self.files.partition_point(|file| file.first_chunk <= number);
        // Empty files have no chunk: the last file that starts at or before `number` is not one.
        let index = behind - 1;
        let file = &self.files[index];
        let start = (number - file.first_chunk) * file.chunk_bytes;
        let file_bytes = file.status.bytes;
        assert!(start < file_bytes);
        let end = start.saturating_add(file.chunk_bytes).min(file_bytes);
        Chunk { number, file: index, start, end, file_bytes, lines: self.cut }
    }
}

/// Hash of the first bytes of a file, by which one is noticed that was written anew in place.
fn start_hash(path: &Path) -> Result<u64, PlanError> {
    let mut start = Vec::new();
    let read = File::open(path)
        .and_then(|file| file.take(FILE_FINGERPRINT_BYTES as u64).read_to_end(&mut start));
    read.map_err(|error| PlanError {
        message: format!("cannot read {}: {error}", path.display()),
    })?;
    Ok(KeyHasher::new(0).hash(&start))
}

/// Without devices, whose numbers change when a machine starts again.
fn identity(files: &[PlannedFile]) -> u64 {
    let mut writer = ByteWriter::new();
    for PlannedFile { path, status, chunk_bytes, start_hash, .. } in files {
        writer.bytes(path.as_os_str().as_encoded_bytes());
        writer.u64(status.bytes);
        writer.u64(status.inode);
        writer.u64(*start_hash);
        writer.u64(*chunk_bytes);
    }
    KeyHasher::new(0).hash(&writer.finish())
}

/// The files a path names, in name order: itself, the files directly in a directory, or what
/// matches a pattern. Hidden files (`.name`, `_name`) take no part unless named in full.
///
/// # Errors
/// Nothing there, nothing that matches, something that is not a file, or a compressed file.
pub fn expand(path: &Path) -> Result<Vec<PathBuf>, PlanError> {
    let fail = |message: String| Err(PlanError { message });
    let mut files = match std::fs::metadata(path) {
        Ok(found) if found.is_file() => vec![path.to_path_buf()],
        Ok(found) if found.is_dir() => visible_files(path)?,
        Ok(_) => return fail(format!("{} is not a regular file", path.display())),
        Err(_) if is_pattern(path) => matches(path)?,
        Err(error) => return fail(format!("cannot read {}: {error}", path.display())),
    };
    if files.is_empty() {
        return fail(format!("no file matches {}", path.display()));
    }
    if let Some(file) = files.iter().find(|file| is_compressed(file)) {
        let file = file.display();
        return fail(format!("{file} is compressed, which is not supported: decompress it first"));
    }
    files.sort();
    Ok(files)
}

/// Says whether `path` can be followed as it grows.
///
/// # Errors
/// A pattern, nothing there, something that is not a file, or a compressed file.
pub fn check_follow(path: &Path) -> Result<(), PlanError> {
    let fail = |what: &str| Err(PlanError { message: format!("{} {what}", path.display()) });
    if path.is_dir() {
        return fail("is a directory; only one file can be followed: name it");
    }
    if is_pattern(path) && !path.exists() {
        return fail("is a pattern; only one file can be followed: name it");
    }
    expand(path).map(drop)
}

/// True when the path has a character that makes it a pattern.
fn is_pattern(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().iter().any(|byte| b"*?[".contains(byte))
}

fn visible_files(directory: &Path) -> Result<Vec<PathBuf>, PlanError> {
    let fail = |error: std::io::Error| PlanError {
        message: format!("cannot list {}: {error}", directory.display()),
    };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(fail)? {
        let path = entry.map_err(fail)?.path();
        if path.is_file() && !is_hidden(&path) {
            files.push(path);
        }
    }
    Ok(files)
}

fn matches(pattern: &Path) -> Result<Vec<PathBuf>, PlanError> {
    let shown = pattern.display();
    let fail = |message: String| PlanError { message };
    let text = pattern.to_str().ok_or_else(|| fail(format!("{shown} is not valid UTF-8")))?;
    let options =
        glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
    let found = glob::glob_with(text, options)
        .map_err(|error| fail(format!("{shown} is not a valid pattern: {}", error.msg)))?;
    let mut files = Vec::new();
    for entry in found {
        let path = entry.map_err(|error| fail(format!("cannot list {shown}: {error}")))?;
        if path.is_file() && !is_hidden(&path) {
            files.push(path);
        }
    }
    Ok(files)
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().map_or(&b""[..], |name| name.as_encoded_bytes());
    name.starts_with(b".") || name.starts_with(b"_")
}

fn is_compressed(path: &Path) -> bool {
    let Some(extension) = path.extension().and_then(|extension| extension.to_str()) else {
        return false;
    };
    COMPRESSED_EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(bytes: &[u64], core_count: u16, lines: bool) -> FilePlan {
        let files = bytes
            .iter()
            .map(|&bytes| (PathBuf::from("f"), FileStatus { bytes, device: 1, inode: 1 }))
            .collect();
        FilePlan::of(files, CutOptions { core_count, resumable: false, chunk_bytes: 10, lines })
    }

    /// Chunks as `file:start-end`.
    #[track_caller]
    fn check(bytes: &[u64], core_count: u16, lines: bool, expected: &str) {
        let plan = plan(bytes, core_count, lines);
        let shown: Vec<String> = (0..plan.chunk_count())
            .map(|number| plan.chunk(number))
            .map(|chunk| format!("{}:{}-{}", chunk.file, chunk.start, chunk.end))
            .collect();
        assert_eq!(shown.join(" "), expected);
    }

    #[test]
    fn files_are_cut_into_chunks_in_order() {
        check(&[25, 0, 10, 1], 2, true, "0:0-10 0:10-20 0:20-25 2:0-10 3:0-1");
        check(&[0, 0, 11], 3, true, "2:0-10 2:10-11");
        check(&[0], 2, true, "");
    }

    #[test]
    fn a_lone_core_and_records_with_line_ends_take_whole_files() {
        check(&[25, 0, 10], 1, true, "0:0-25 2:0-10");
        check(&[25, 0, 10], 2, false, "0:0-25 2:0-10");
    }

    /// Makes `names` in a fresh directory and expands `pattern` there.
    #[track_caller]
    fn check_expand(names: &[&str], pattern: &str, expected: &str) {
        let directory = tempfile::tempdir().unwrap();
        for name in names {
            let path = directory.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        }
        let root = format!("{}/", directory.path().display());
        let shown = match expand(&directory.path().join(pattern)) {
            Ok(files) => {
                files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" ")
            }
            Err(error) => error.to_string(),
        };
        assert_eq!(shown.replace(&root, ""), expected);
    }

    #[test]
    fn a_path_names_a_file_a_directory_or_a_pattern() {
        let names = ["b.json", "a.json", ".hidden.json", "_note", "c.txt", "sub/d.json"];
        check_expand(&names, "a.json", "a.json");
        check_expand(&names, "*.json", "a.json b.json");
        check_expand(&names, "", "a.json b.json c.txt");
        check_expand(&names, "**/*.json", "a.json b.json sub/d.json");
        check_expand(&names, "sub", "sub/d.json");
        check_expand(&["a[1].json"], "a[1].json", "a[1].json");
    }

    #[test]
    fn one_file_can_be_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("a.log"), "").unwrap();
        std::fs::write(path("a.log.gz"), "").unwrap();
        assert_eq!(check_follow(&path("a.log")), Ok(()));
        for (name, reason) in [
            ("*.log", "is a pattern; only one"),
            ("", "is a directory; only one"),
            ("b.log", "No such file"),
            ("a.log.gz", "is compressed"),
        ] {
            let message = check_follow(&path(name)).unwrap_err().message;
            assert!(message.contains(reason), "{message}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_an_error_that_names_it() {
        check_expand(&[], "a.json", "cannot read a.json: No such file or directory (os error 2)");
        check_expand(&["a.txt"], "*.json", "no file matches *.json");
        let gz = "b.GZ is compressed, which is not supported: decompress it first";
        check_expand(&["a", "b.GZ"], "*", gz);
        check_expand(&[], "a[", "a[ is not a valid pattern: invalid range pattern");
    }

    #[test]
    fn files_that_changed_are_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("in.csv");
        let identity = || {
            let (chunk_bytes, lines) = (10, true);
            let cut = CutOptions { core_count: 1, resumable: true, chunk_bytes, lines };
            FilePlan::new(&path, cut).unwrap().identity()
        };
        std::fs::write(&path, "1\n2\n").unwrap();
        let first = identity();
        assert_eq!(identity(), first);
        // In place, and as long.
        std::fs::write(&path, "1\n3\n").unwrap();
        assert_ne!(identity(), first);
        std::fs::write(&path, "1\n2\n3\n").unwrap();
        assert_ne!(identity(), first);
        std::fs::write(&path, "1\n2\n").unwrap();
        assert_eq!(identity(), first);
        let copy = directory.path().join("copy");
        std::fs::copy(&path, &copy).unwrap();
        std::fs::rename(&copy, &path).unwrap();
        assert_ne!(identity(), first);
    }
}
