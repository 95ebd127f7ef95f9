//! The simulated disk as one core sees it: operations that are begun, and complete in any order.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};

use super::SimDisk;
use super::state::{Captured, StepKind};
use crate::reactor::{Disk, DiskResult, FileId, FileStatus, OpenMode, OperationId};

/// Questions an operation takes to complete, at most.
const DELAY_MAX: u32 = 4;

enum Action {
    Open(PathBuf, OpenMode),
    Read(usize, u64, usize, Vec<u8>),
    Write(usize, u64, Vec<u8>, usize),
    Sync(usize, Captured),
    SyncDirectory,
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    StatPath(PathBuf),
    StatFile(usize),
    Close(FileId),
}

/// Operations of one core.
pub(crate) struct SimCore {
    disk: SimDisk,
    open: HashMap<FileId, (usize, OpenMode)>,
    pending: HashMap<OperationId, (u32, Action)>,
    rng: fastrand::Rng,
    next: u32,
    id: u64,
}

impl SimCore {
    /// A core of the machine that has this disk.
    pub(crate) fn new(disk: &SimDisk, seed: u64) -> SimCore {
        SimCore {
            disk: disk.clone(),
            open: HashMap::new(),
            pending: HashMap::new(),
            rng: fastrand::Rng::with_seed(seed),
            next: 0,
            id: seed << 32,
        }
    }

    /// Files open now.
    pub(crate) fn open_files(&self) -> usize {
        self.open.len()
    }

    fn begin(&mut self, action: Action) -> OperationId {
        self.next += 1;
        let operation = OperationId(self.id + u64::from(self.next));
        if let Action::Write(inode, offset, bytes, from) = &action {
            let state = &mut *self.disk.state.borrow_mut();
            state.in_flight.insert(operation.0, (*inode, *offset, bytes[*from..].to_vec()));
        }
        let delay = self.rng.u32(..=DELAY_MAX);
        self.pending.insert(operation, (delay, action));
        operation
    }

    fn inode(&self, file: FileId) -> usize {
        self.open.get(&file).expect("only open files are used").0
    }

    fn sync_of(&mut self, file: FileId, from: u64, to: u64) -> OperationId {
        let inode = self.inode(file);
        let captured = self.disk.state.borrow().capture(inode, from, to);
        self.begin(Action::Sync(inode, captured))
    }

    fn write_of(
        &mut self,
        file: FileId,
        offset: u64,
        (bytes, from): (Vec<u8>, usize),
    ) -> OperationId {
        let (inode, mode) = self.open[&file];
        if mode == OpenMode::Direct {
            let length = bytes.len() - from;
            assert!(offset.is_multiple_of(4096) && length.is_multiple_of(4096), "not aligned");
            assert_eq!(bytes[from..].as_ptr().align_offset(4096), 0, "not aligned");
        }
        self.begin(Action::Write(inode, offset, bytes, from))
    }

    fn act(&mut self, operation: OperationId, action: Action) -> io::Result<DiskResult> {
        let disk = self.disk.clone();
        let state = &mut *disk.state.borrow_mut();
        let text = |path: &Path| path.display().to_string();
        let status = |inode: usize, bytes: usize| {
            DiskResult::Status(FileStatus { bytes: bytes as u64, device: 1, inode: inode as u64 })
        };
        match action {
            Action::Open(path, mode) => {
                let inode = match mode {
                    OpenMode::CreateNew => state.create(&text(&path), 0)?,
                    _ => state.named(&text(&path))?,
                };
                self.next += 1;
                let file = FileId(self.next);
                self.open.insert(file, (inode, mode));
                return Ok(DiskResult::Opened(file));
            }
            Action::Read(inode, offset, length, mut buffer) => {
                buffer.resize(length, 0);
                let count = state.read(inode, offset, &mut buffer);
                buffer.truncate(count);
                return Ok(DiskResult::Read(buffer));
            }
            Action::Write(inode, offset, bytes, from) => {
                state.step(StepKind::Other)?;
                state.in_flight.remove(&operation.0);
                state.store(inode, offset, &bytes[from..]);
                return Ok(DiskResult::Written(bytes));
            }
            Action::Sync(inode, captured) => {
                let fault = state.step(StepKind::Sync)?;
                state.complete_sync(inode, captured, fault)?;
            }
            Action::SyncDirectory => state.sync_names()?,
            Action::Rename(_, to) if state.named(&text(&to)).is_ok() => {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            Action::Rename(from, to) => state.rename(&text(&from), &text(&to))?,
            Action::Remove(path) => state.remove(&text(&path))?,
            Action::StatPath(path) => {
                let inode = state.named(&text(&path))?;
                return Ok(status(inode, state.inodes[inode].cached.len()));
            }
            Action::StatFile(inode) => {
                return Ok(status(inode, state.inodes[inode].cached.len()));
            }
            Action::Close(file) => {
                self.open.remove(&file).expect("a file is closed once");
            }
        }
        Ok(DiskResult::Done)
    }
}

impl Disk for SimCore {
    fn open(&mut self, path: &Path, mode: OpenMode) -> OperationId {
        self.begin(Action::Open(path.into(), mode))
    }
    fn read(&mut self, file: FileId, offset: u64, length: usize, buffer: Vec<u8>) -> OperationId {
        self.begin(Action::Read(self.inode(file), offset, length, buffer))
    }
    fn write(&mut self, file: FileId, offset: u64, bytes: Vec<u8>) -> OperationId {
        self.write_of(file, offset, (bytes, 0))
    }
    fn write_from(
        &mut self,
        file: FileId,
        offset: u64,
        bytes: Vec<u8>,
        from: usize,
    ) -> OperationId {
        self.write_of(file, offset, (bytes, from))
    }
    fn sync(&mut self, file: FileId) -> OperationId {
        self.sync_of(file, 0, u64::MAX / 2)
    }
    fn sync_range(&mut self, file: FileId, offset: u64, length: u64) -> OperationId {
        self.sync_of(file, offset, offset + length)
    }
    fn sync_directory(&mut self, _path: &Path) -> OperationId {
        self.begin(Action::SyncDirectory)
    }
    fn rename(&mut self, from: &Path, to: &Path) -> OperationId {
        self.begin(Action::Rename(from.into(), to.into()))
    }
    fn remove(&mut self, path: &Path) -> OperationId {
        self.begin(Action::Remove(path.into()))
    }
    fn stat_path(&mut self, path: &Path) -> OperationId {
        self.begin(Action::StatPath(path.into()))
    }
    fn stat_file(&mut self, file: FileId) -> OperationId {
        self.begin(Action::StatFile(self.inode(file)))
    }
    fn close(&mut self, file: FileId) -> OperationId {
        self.begin(Action::Close(file))
    }
    fn standard_output(&mut self) -> FileId {
        unreachable!("this machine has no terminal")
    }
    fn take_result(&mut self, operation: OperationId) -> Option<DiskResult> {
        let (delay, _) = self.pending.get_mut(&operation).expect("a result is taken once");
        if *delay > 0 {
            *delay -= 1;
            return None;
        }
        let (_, action) = self.pending.remove(&operation).expect("found just now");
        Some(self.act(operation, action).unwrap_or_else(DiskResult::Failed))
    }
}
