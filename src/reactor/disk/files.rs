//! The real disk: every file of one core, over the core's ring.
//!
//! In:  calls of [`Disk`](super::Disk), with the ring; completions of file operations.
//! Out: operations on the ring, each a bounded step; results, kept until they are taken.
//!
//! Invariants
//! - An operation has exactly one result. It is in `pending`, then in `results`, then nowhere.
//! - A file is closed after the last step of the operations begun before.
//! - Writes to a stream (standard output) follow each other, in the order given.

use std::collections::{HashMap, VecDeque};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{DiskResult, FileId, OpenMode, OperationId};
use crate::reactor::DIRECT_ALIGNMENT;
use crate::reactor::ring::{Outcome, Ring, Tag};

/// An open file, or standard output.
struct File {
    fd: OwnedFd,
    /// Operations begun and not ended.
    operations: u32,
    /// Closes when the last operation has ended.
    closing: Option<OperationId>,
    stream: Option<Stream>,
    /// Writes are aligned.
    is_direct: bool,
}

/// Steps of a write in a row that moved nothing, after which it fails.
const STALLS_MAX: u32 = 16;

/// Written where it stands, one write after the other.
#[derive(Default)]
struct Stream {
    is_writing: bool,
    waiting: VecDeque<(OperationId, Vec<u8>)>,
}

/// What an operation is about to learn.
enum Step {
    Open {
        is_direct: bool,
    },
    Read {
        file: FileId,
        offset: u64,
        length: usize,
    },
    /// Of `bytes[from..]`, at `offset`.
    Write {
        file: FileId,
        offset: u64,
        from: usize,
        stalls: u32,
    },
    /// A stream that does not block is awaited.
    Writable {
        file: FileId,
        from: usize,
    },
    /// Of a file, or of none.
    Simple {
        file: Option<FileId>,
    },
    DirectoryOpen,
    DirectorySync {
        directory: OwnedFd,
    },
}

/// Files of one core.
#[derive(Default)]
pub(in crate::reactor) struct Files {
    open: HashMap<FileId, File>,
    pending: HashMap<OperationId, Step>,
    results: HashMap<OperationId, DiskResult>,
    /// A standard output that could not be had.
    missing_output: Option<FileId>,
    next: u64,
    next_file: u32,
}

impl Files {
    pub(in crate::reactor) fn open(
        &mut self,
        ring: &mut Ring,
        path: &Path,
        mode: OpenMode,
    ) -> OperationId {
        let flags = match mode {
            OpenMode::Read => libc::O_RDONLY,
            OpenMode::Write => libc::O_RDWR,
            OpenMode::Direct => libc::O_RDWR | libc::O_DIRECT,
            OpenMode::CreateNew => libc::O_RDWR | libc::O_CREAT | libc::O_EXCL,
        };
        let is_direct = mode == OpenMode::Direct;
        self.on_path(path, Step::Open { is_direct }, |path, tag| ring.open(path, flags, tag))
    }

    pub(in crate::reactor) fn sync_directory(
        &mut self,
        ring: &mut Ring,
        path: &Path,
    ) -> OperationId {
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        self.on_path(path, Step::DirectoryOpen, |path, tag| ring.open(path, flags, tag))
    }

    pub(in crate::reactor) fn remove(&mut self, ring: &mut Ring, path: &Path) -> OperationId {
        self.on_path(path, Step::Simple { file: None }, |path, tag| ring.remove(path, tag))
    }

    pub(in crate::reactor) fn stat_path(&mut self, ring: &mut Ring, path: &Path) -> OperationId {
        self.on_path(path, Step::Simple { file: None }, |path, tag| ring.stat_path(path, tag))
    }

    pub(in crate::reactor) fn rename(
        &mut self,
        ring: &mut Ring,
        from: &Path,
        to: &Path,
    ) -> OperationId {
        match c_string(to) {
            Ok(to) => self
                .on_path(from, Step::Simple { file: None }, |from, tag| ring.rename(from, to, tag)),
            Err(error) => self.begin_done(DiskResult::Failed(error)),
        }
    }

    pub(in crate::reactor) fn read(
        &mut self,
        ring: &mut Ring,
        file: FileId,
        (offset, length): (u64, usize),
        mut buffer: Vec<u8>,
    ) -> OperationId {
        buffer.clear();
        if length == 0 {
            return self.begin_done(DiskResult::Read(buffer));
        }
        buffer.reserve_exact(length);
        let id = self.begin_on_file(file, Step::Read { file, offset, length });
        ring.read(self.open[&file].fd.as_fd(), offset, buffer, length, Tag::Disk(id));
        id
    }

    pub(in crate::reactor) fn write(
        &mut self,
        ring: &mut Ring,
        file: FileId,
        offset: u64,
        bytes: Vec<u8>,
    ) -> OperationId {
        self.write_from(ring, file, (offset, bytes, 0))
    }

    pub(in crate::reactor) fn write_from(
        &mut self,
        ring: &mut Ring,
        file: FileId,
        (offset, bytes, from): (u64, Vec<u8>, usize),
    ) -> OperationId {
        if bytes.len() <= from {
            return self.begin_done(DiskResult::Written(bytes));
        }
        if self.missing_output == Some(file) {
            let error = io::Error::from_raw_os_error(libc::EMFILE);
            return self.begin_done(DiskResult::Failed(error));
        }
        let id = self.begin_on_file(file, Step::Write { file, offset, from, stalls: 0 });
        let target = self.open.get_mut(&file).expect("checked when the operation began");
        match &mut target.stream {
            Some(stream) if stream.is_writing => stream.waiting.push_back((id, bytes)),
            Some(stream) => {
                stream.is_writing = true;
                ring.write(target.fd.as_fd(), None, bytes, 0, Tag::Disk(id));
            }
            None => {
                ring.write(target.fd.as_fd(), Some(offset), bytes, from, Tag::Disk(id));
            }
        }
        id
    }

    pub(in crate::reactor) fn sync(&mut self, ring: &mut Ring, file: FileId) -> OperationId {
        let id = self.begin_on_file(file, Step::Simple { file: Some(file) });
        ring.sync_data(self.open[&file].fd.as_fd(), Tag::Disk(id));
        id
    }

    pub(in crate::reactor) fn sync_range(
        &mut self,
        ring: &mut Ring,
        file: FileId,
        (offset, length): (u64, u64),
    ) -> OperationId {
        let length = u32::try_from(length).expect("ranges have lengths of 32 bits");
        assert!(length > 0, "the kernel takes an empty range for the whole file");
        let id = self.begin_on_file(file, Step::Simple { file: Some(file) });
        ring.sync_range(self.open[&file].fd.as_fd(), offset, length, Tag::Disk(id));
        id
    }

    pub(in crate::reactor) fn stat_file(&mut self, ring: &mut Ring, file: FileId) -> OperationId {
        let id = self.begin_on_file(file, Step::Simple { file: Some(file) });
        ring.stat_file(self.open[&file].fd.as_fd(), Tag::Disk(id));
        id
    }

    pub(in crate::reactor) fn close(&mut self, ring: &mut Ring, file: FileId) -> OperationId {
        let id = self.begin(Step::Simple { file: None });
        let closed = self.open.get_mut(&file).expect("a file is closed once");
        assert!(closed.closing.is_none(), "a file is closed once");
        closed.closing = Some(id);
        self.close_if_unused(ring, file);
        id
    }

    /// The process's standard output under a new id.
    pub(in crate::reactor) fn standard_output(&mut self) -> FileId {
        match std::io::stdout().as_fd().try_clone_to_owned() {
            Ok(fd) => self.add_stream(fd),
            // No descriptor is left: the first write says so.
            Err(_) => *self.missing_output.insert(FileId(0)),
        }
    }

    /// A file that is written where it stands.
    pub(in crate::reactor) fn add_stream(&mut self, fd: OwnedFd) -> FileId {
        let file = self.new_id();
        let stream = Some(Stream::default());
        self.open.insert(file, File { fd, operations: 0, closing: None, stream, is_direct: false });
        file
    }

    /// The result of an operation, once.
    pub(in crate::reactor) fn take_result(&mut self, id: OperationId) -> Option<DiskResult> {
        let result = self.results.remove(&id);
        assert!(result.is_some() || self.pending.contains_key(&id), "a result is taken once");
        result
    }

    /// A step of an operation is complete.
    pub(in crate::reactor) fn on_completion(
        &mut self,
        ring: &mut Ring,
        id: OperationId,
        outcome: Outcome,
    ) {
        let step = self.pending.remove(&id).expect("a step of a pending operation");
        let used = step.file();
        let result = match (step, outcome) {
            (Step::Read { file, offset, length }, moved) => {
                self.read_step(ring, id, (file, offset, length), moved)
            }
            (Step::Write { file, offset, from, stalls }, moved) => {
                self.write_step(ring, id, (file, offset, from, stalls), moved)
            }
            (Step::Writable { file, from }, Outcome::Moved(bytes, _)) => {
                self.pending.insert(id, Step::Write { file, offset: 0, from, stalls: 0 });
                ring.write(self.open[&file].fd.as_fd(), None, bytes, from, Tag::Disk(id));
                None
            }
            (_, Outcome::Failed(error, _)) => Some(DiskResult::Failed(error)),
            (Step::Open { is_direct }, Outcome::Descriptor(fd)) => {
                let opened = self.new_id();
                let file = File { fd, operations: 0, closing: None, stream: None, is_direct };
                self.open.insert(opened, file);
                Some(DiskResult::Opened(opened))
            }
            (Step::DirectoryOpen, Outcome::Descriptor(directory)) => {
                ring.sync_all(directory.as_fd(), Tag::Disk(id));
                self.pending.insert(id, Step::DirectorySync { directory });
                None
            }
            (Step::DirectorySync { directory }, _) => {
                ring.close(directory, Tag::Nothing);
                Some(DiskResult::Done)
            }
            (_, Outcome::Status(status)) => Some(DiskResult::Status(status)),
            _ => Some(DiskResult::Done),
        };
        if let Some(result) = result {
            self.results.insert(id, result);
            if let Some(file) = used {
                self.ended(ring, file);
            }
        }
    }

    /// The result, or another step.
    fn read_step(
        &mut self,
        ring: &mut Ring,
        id: OperationId,
        (file, offset, length): (FileId, u64, usize),
        outcome: Outcome,
    ) -> Option<DiskResult> {
        let bytes = match outcome {
            Outcome::Moved(bytes, count) if count == 0 || bytes.len() == length => {
                return Some(DiskResult::Read(bytes));
            }
            Outcome::Moved(bytes, _) => bytes,
            Outcome::Failed(error, Some(bytes)) if is_passing(&error) => bytes,
            Outcome::Failed(error, _) => return Some(DiskResult::Failed(error)),
            _ => unreachable!("a read moves bytes or fails"),
        };
        self.pending.insert(id, Step::Read { file, offset, length });
        let (at, left) = (offset + bytes.len() as u64, length - bytes.len());
        ring.read(self.open[&file].fd.as_fd(), at, bytes, left, Tag::Disk(id));
        None
    }

    /// The result, or another step.
    fn write_step(
        &mut self,
        ring: &mut Ring,
        id: OperationId,
        (file, offset, from, stalls): (FileId, u64, usize, u32),
        outcome: Outcome,
    ) -> Option<DiskResult> {
        let target = &self.open[&file];
        let is_stream = target.stream.is_some();
        let (bytes, moved) = match outcome {
            Outcome::Moved(bytes, count) if from + count == bytes.len() => {
                return Some(DiskResult::Written(bytes));
            }
            Outcome::Moved(_, 0) => {
                return Some(DiskResult::Failed(io::ErrorKind::WriteZero.into()));
            }
            // What is left of a block would not be aligned: all of the block is written again.
            Outcome::Moved(bytes, count) if target.is_direct => {
                (bytes, count / DIRECT_ALIGNMENT * DIRECT_ALIGNMENT)
            }
            Outcome::Moved(bytes, count) => (bytes, count),
            Outcome::Failed(error, Some(bytes)) if is_passing(&error) && is_stream => {
                self.pending.insert(id, Step::Writable { file, from });
                ring.await_writable(target.fd.as_fd(), bytes, Tag::Disk(id));
                return None;
            }
            Outcome::Failed(error, Some(bytes)) if is_passing(&error) => (bytes, 0),
            Outcome::Failed(error, Some(bytes)) if has_no_room(&error) => {
                return Some(DiskResult::NoRoom(error, bytes));
            }
            Outcome::Failed(error, _) => return Some(DiskResult::Failed(error)),
            _ => unreachable!("a write moves bytes or fails"),
        };
        let stalls = if moved == 0 { stalls + 1 } else { 0 };
        if stalls > STALLS_MAX {
            return Some(DiskResult::Failed(io::ErrorKind::WriteZero.into()));
        }
        let (offset, from) = (offset + moved as u64, from + moved);
        self.pending.insert(id, Step::Write { file, offset, from, stalls });
        let at = if is_stream { None } else { Some(offset) };
        ring.write(self.open[&file].fd.as_fd(), at, bytes, from, Tag::Disk(id));
        None
    }

    /// An operation on `file` has ended: the next write of a stream, or the close that waited.
    fn ended(&mut self, ring: &mut Ring, file: FileId) {
        let Some(used) = self.open.get_mut(&file) else { return };
        used.operations -= 1;
        if let Some(stream) = &mut used.stream {
            stream.is_writing = false;
            if let Some((id, bytes)) = stream.waiting.pop_front() {
                stream.is_writing = true;
                ring.write(used.fd.as_fd(), None, bytes, 0, Tag::Disk(id));
            }
        }
        self.close_if_unused(ring, file);
    }

    fn close_if_unused(&mut self, ring: &mut Ring, file: FileId) {
        let used = &self.open[&file];
        if let (Some(id), 0) = (used.closing, used.operations) {
            let closed = self.open.remove(&file).expect("looked up just now");
            ring.close(closed.fd, Tag::Disk(id));
        }
    }

    fn on_path(
        &mut self,
        path: &Path,
        step: Step,
        submit: impl FnOnce(CString, Tag) -> crate::reactor::ring::Ticket,
    ) -> OperationId {
        match c_string(path) {
            Ok(path) => {
                let id = self.begin(step);
                submit(path, Tag::Disk(id));
                id
            }
            Err(error) => self.begin_done(DiskResult::Failed(error)),
        }
    }

    fn begin_on_file(&mut self, file: FileId, step: Step) -> OperationId {
        let used = self.open.get_mut(&file).expect("only open files are used");
        assert!(used.closing.is_none(), "only open files are used");
        used.operations += 1;
        self.begin(step)
    }

    fn begin(&mut self, step: Step) -> OperationId {
        self.next += 1;
        let id = OperationId(self.next);
        self.pending.insert(id, step);
        id
    }

    /// An operation that needs no kernel.
    fn begin_done(&mut self, result: DiskResult) -> OperationId {
        self.next += 1;
        let id = OperationId(self.next);
        self.results.insert(id, result);
        id
    }

    fn new_id(&mut self) -> FileId {
        self.next_file += 1;
        FileId(self.next_file)
    }
}

impl Step {
    /// The file whose operation it is a step of.
    fn file(&self) -> Option<FileId> {
        match self {
            Step::Read { file, .. } | Step::Write { file, .. } | Step::Writable { file, .. } => {
                Some(*file)
            }
            Step::Simple { file } => *file,
            Step::Open { .. } | Step::DirectoryOpen | Step::DirectorySync { .. } => None,
        }
    }
}

fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EAGAIN))
}

fn c_string(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// Room may come back.
fn has_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests;
