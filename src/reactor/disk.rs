//! The disk seam: files, polled. Every call begins an operation; its result is asked for later.
//!
//! Read: `files` (the real side, over the core's ring).

mod files;

pub(super) use files::Files;

use std::io;
use std::path::Path;

/// An open file of this core.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct FileId(pub u32);

/// An operation that was begun. Its result is taken exactly once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct OperationId(pub u64);

/// How a file is opened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OpenMode {
    /// Must exist.
    Read,
    /// Must exist; read and written.
    Write,
    /// As `Write`, past the page cache: addresses, offsets and lengths of writes are multiples of
    /// [`DIRECT_ALIGNMENT`](super::DIRECT_ALIGNMENT). `InvalidInput` where the file system knows no
    /// direct writes.
    Direct,
    /// Must not exist; mode 0644.
    CreateNew,
}

/// What `stat` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FileStatus {
    /// Length in bytes.
    pub bytes: u64,
    /// Device and inode: the identity that survives a rename.
    pub device: u64,
    /// See `device`.
    pub inode: u64,
}

/// What came of an operation.
#[derive(Debug)]
pub enum DiskResult {
    /// Of `open`.
    Opened(FileId),
    /// Of `read`: the buffer given, its length set to what was read; shorter than asked for only
    /// at the end of the file.
    Read(Vec<u8>),
    /// Of `write` and `write_from`: the buffer given, all of it written.
    Written(Vec<u8>),
    /// Of `write`: there is no room for them on the disk, or in a quota. The buffer given; what of it was
    /// written is to be written again.
    NoRoom(io::Error, Vec<u8>),
    /// Of `sync`, `sync_range`, `sync_directory`, `rename`, `close`, `remove`.
    Done,
    /// Of `stat_path` and `stat_file`.
    Status(FileStatus),
    /// The operation failed. What it would have returned is gone.
    Failed(io::Error),
}

/// Files, of one core. Operations on one file may complete in any order.
pub trait Disk {
    /// Opens a file.
    fn open(&mut self, path: &Path, mode: OpenMode) -> OperationId;
    /// Reads up to `length` bytes at `offset` into `buffer`, which is cleared first.
    fn read(&mut self, file: FileId, offset: u64, length: usize, buffer: Vec<u8>) -> OperationId;
    /// Writes all of `bytes` at `offset`.
    fn write(&mut self, file: FileId, offset: u64, bytes: Vec<u8>) -> OperationId;
    /// Writes `bytes[from..]` at `offset`: a buffer may begin with what aligns the rest of it.
    fn write_from(&mut self, file: FileId, offset: u64, bytes: Vec<u8>, from: usize)
    -> OperationId;
    /// Makes the file's data durable.
    fn sync(&mut self, file: FileId) -> OperationId;
    /// Makes `length` bytes at `offset` durable, whoever wrote or stored them before this call. Pages
    /// outside of the range are left alone. The length is positive and has 32 bits.
    fn sync_range(&mut self, file: FileId, offset: u64, length: u64) -> OperationId;
    /// Makes the names in a directory durable: what was created, renamed or removed in it.
    fn sync_directory(&mut self, path: &Path) -> OperationId;
    /// Renames; refuses to replace an existing file.
    fn rename(&mut self, from: &Path, to: &Path) -> OperationId;
    /// Removes a file.
    fn remove(&mut self, path: &Path) -> OperationId;
    /// Length and identity of what `path` names now.
    fn stat_path(&mut self, path: &Path) -> OperationId;
    /// Length and identity of an open file.
    fn stat_file(&mut self, file: FileId) -> OperationId;
    /// Closes.
    fn close(&mut self, file: FileId) -> OperationId;
    /// The process's standard output, for `write` alone. Writes go where it stands (`offset` has no
    /// meaning), and never block the core, be it a file, a pipe or a terminal. Never closed.
    fn standard_output(&mut self) -> FileId;
    /// The result, if there is one yet.
    fn take_result(&mut self, operation: OperationId) -> Option<DiskResult>;
}
