//! The seams in memory, for unit tests of every module: files, a clock that is set, no network.
//!
//! In:  what a test puts into [`TestFiles`]; operations as the code under test begins them.
//! Out: results after a pseudo-random number of questions, so that operations complete in every
//!      order; failures where the test planted them.
//!
//! Several [`TestIo`] over one [`TestFiles`] are the cores of one machine.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use super::{Clock, Disk, DiskResult, FileId, FileStatus, Io, Network, OpenMode, OperationId};

/// One core's view of the world.
pub(crate) struct TestIo {
    /// The clock; set it.
    pub(crate) clock: TestClock,
    /// The files.
    pub(crate) disk: TestDisk,
}

impl TestIo {
    /// A core on `files` whose operations take up to `delay_max` questions to complete.
    pub(crate) fn new(files: &TestFiles, seed: u64, delay_max: u32) -> TestIo {
        TestIo { clock: TestClock::default(), disk: TestDisk::new(files, seed, delay_max) }
    }
}

impl Io for TestIo {
    fn clock(&self) -> &dyn Clock {
        &self.clock
    }
    fn network(&mut self) -> &mut dyn Network {
        unreachable!("this core has no network")
    }
    fn disk(&mut self) -> &mut dyn Disk {
        &mut self.disk
    }
}

/// A clock that stands still until told otherwise.
#[derive(Clone, Default)]
pub(crate) struct TestClock {
    now_ns: Rc<Cell<u64>>,
}

impl TestClock {
    /// Moves time on.
    pub(crate) fn advance_ms(&self, ms: u64) {
        self.now_ns.set(self.now_ns.get() + ms * 1_000_000);
    }
}

impl Clock for TestClock {
    fn monotonic_ns(&self) -> u64 {
        self.now_ns.get()
    }
    fn wall_ms(&self) -> i64 {
        i64::try_from(self.now_ns.get() / 1_000_000).expect("tests do not last that long")
    }
}

/// Kind of operation, for planting failures.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Open,
    Read,
    Write,
    Sync,
    SyncDirectory,
    Rename,
    Remove,
    Stat,
    Close,
}

/// What an inode holds.
#[derive(Default)]
struct Inode {
    bytes: Vec<u8>,
    synced: bool,
}

#[derive(Default)]
struct FileSystem {
    inodes: Vec<Inode>,
    names: BTreeMap<PathBuf, usize>,
    standard_output: Vec<u8>,
    planted: Vec<(Kind, io::ErrorKind)>,
}

/// The files of one machine.
#[derive(Clone, Default)]
pub(crate) struct TestFiles {
    system: Rc<RefCell<FileSystem>>,
}

impl TestFiles {
    /// Makes `path` name a new file with these bytes; an older one of that name lives on for those
    /// who have it open.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        let system = &mut *self.system.borrow_mut();
        system.names.insert(path.into(), system.inodes.len());
        system.inodes.push(Inode { bytes: bytes.to_vec(), synced: false });
    }

    /// Appends to the file `path` names.
    pub(crate) fn append(&self, path: &str, bytes: &[u8]) {
        self.change(path, |old| old.extend_from_slice(bytes));
    }

    /// Changes the bytes of the file `path` names.
    pub(crate) fn change(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let system = &mut *self.system.borrow_mut();
        change(&mut system.inodes[system.names[Path::new(path)]].bytes);
    }

    /// Renames, replacing what was there.
    pub(crate) fn rename(&self, from: &str, to: &str) {
        let system = &mut *self.system.borrow_mut();
        let inode = system.names.remove(Path::new(from)).expect("the test put it there");
        system.names.insert(to.into(), inode);
    }

    /// Removes a name.
    pub(crate) fn remove(&self, path: &str) {
        self.system.borrow_mut().names.remove(Path::new(path));
    }

    /// All names, ordered.
    pub(crate) fn names(&self) -> Vec<String> {
        self.system.borrow().names.keys().map(|path| path.display().to_string()).collect()
    }

    /// The bytes of a file.
    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        let system = self.system.borrow();
        system.inodes[system.names[Path::new(path)]].bytes.clone()
    }

    /// True when the file was synced after it was last written.
    pub(crate) fn is_synced(&self, path: &str) -> bool {
        let system = self.system.borrow();
        system.inodes[system.names[Path::new(path)]].synced
    }

    /// What was written to standard output.
    pub(crate) fn standard_output(&self) -> String {
        String::from_utf8(self.system.borrow().standard_output.clone()).unwrap()
    }

    /// Identity and length of what `path` names.
    pub(crate) fn status(&self, path: &str) -> FileStatus {
        self.system.borrow().status(Path::new(path)).unwrap()
    }

    /// The next operation of this kind fails so, on whichever core.
    pub(crate) fn plant(&self, kind: Kind, error: io::ErrorKind) {
        self.system.borrow_mut().planted.push((kind, error));
    }
}

impl FileSystem {
    fn named(&self, path: &Path) -> io::Result<usize> {
        self.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn inode_status(&self, inode: usize) -> FileStatus {
        let bytes = self.inodes[inode].bytes.len() as u64;
        FileStatus { bytes, device: 1, inode: inode as u64 }
    }

    fn status(&self, path: &Path) -> io::Result<FileStatus> {
        Ok(self.inode_status(self.named(path)?))
    }

    fn take_planted(&mut self, kind: Kind) -> Option<io::Error> {
        let at = self.planted.iter().position(|(planted, _)| *planted == kind)?;
        Some(self.planted.remove(at).1.into())
    }

    fn open(&mut self, path: &Path, mode: OpenMode) -> io::Result<usize> {
        match (mode, self.named(path)) {
            (OpenMode::Read | OpenMode::Write | OpenMode::Direct, found) => found,
            (OpenMode::CreateNew, Ok(_)) => Err(io::ErrorKind::AlreadyExists.into()),
            (OpenMode::CreateNew, Err(_)) => {
                self.names.insert(path.into(), self.inodes.len());
                self.inodes.push(Inode::default());
                Ok(self.inodes.len() - 1)
            }
        }
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let inode = self.named(from)?;
        if self.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.names.remove(from);
        self.names.insert(to.into(), inode);
        Ok(())
    }

    fn read(&self, inode: usize, offset: u64, length: usize, buffer: &mut Vec<u8>) {
        let bytes = &self.inodes[inode].bytes;
        let from = usize::try_from(offset).unwrap().min(bytes.len());
        let to = (from + length).min(bytes.len());
        buffer.clear();
        buffer.extend_from_slice(&bytes[from..to]);
    }

    fn write(&mut self, target: Target, offset: u64, bytes: &[u8]) {
        let Target::Inode(inode) = target else {
            self.standard_output.extend_from_slice(bytes);
            return;
        };
        let inode = &mut self.inodes[inode];
        let from = usize::try_from(offset).unwrap();
        inode.bytes.resize(inode.bytes.len().max(from + bytes.len()), 0);
        inode.bytes[from..from + bytes.len()].copy_from_slice(bytes);
        inode.synced = false;
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Inode(usize),
    StandardOutput,
}

enum Action {
    Open(PathBuf, OpenMode),
    Read(FileId, u64, usize, Vec<u8>),
    Write(FileId, u64, Vec<u8>),
    WriteFrom(FileId, u64, Vec<u8>, usize),
    Sync(FileId),
    SyncDirectory,
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    StatPath(PathBuf),
    StatFile(FileId),
    Close(FileId),
}

impl Action {
    fn kind(&self) -> Kind {
        match self {
            Action::Open(..) => Kind::Open,
            Action::Read(..) => Kind::Read,
            Action::Write(..) | Action::WriteFrom(..) => Kind::Write,
            Action::Sync(..) => Kind::Sync,
            Action::SyncDirectory => Kind::SyncDirectory,
            Action::Rename(..) => Kind::Rename,
            Action::Remove(..) => Kind::Remove,
            Action::StatPath(..) | Action::StatFile(..) => Kind::Stat,
            Action::Close(..) => Kind::Close,
        }
    }
}

/// One core's operations on [`TestFiles`]. An operation takes effect when its result is taken.
pub(crate) struct TestDisk {
    files: TestFiles,
    open: HashMap<u32, Target>,
    pending: HashMap<u64, (u32, Action)>,
    next: u32,
    rng: fastrand::Rng,
    delay_max: u32,
}

impl TestDisk {
    fn new(files: &TestFiles, seed: u64, delay_max: u32) -> TestDisk {
        TestDisk {
            files: files.clone(),
            open: HashMap::new(),
            pending: HashMap::new(),
            next: 0,
            rng: fastrand::Rng::with_seed(seed),
            delay_max,
        }
    }

    /// Files open now.
    pub(crate) fn open_files(&self) -> usize {
        self.open.values().filter(|target| **target != Target::StandardOutput).count()
    }

    /// Operations begun whose result was not taken.
    pub(crate) fn pending_operations(&self) -> usize {
        self.pending.len()
    }

    fn begin(&mut self, action: Action) -> OperationId {
        self.next += 1;
        let delay = self.rng.u32(0..=self.delay_max);
        self.pending.insert(u64::from(self.next), (delay, action));
        OperationId(u64::from(self.next))
    }

    fn new_file(&mut self, target: Target) -> FileId {
        self.next += 1;
        self.open.insert(self.next, target);
        FileId(self.next)
    }

    fn inode(&self, file: FileId) -> usize {
        match self.open[&file.0] {
            Target::Inode(inode) => inode,
            Target::StandardOutput => panic!("standard output is for writing"),
        }
    }

    fn act(&mut self, action: Action) -> io::Result<DiskResult> {
        let system = Rc::clone(&self.files.system);
        let system = &mut *system.borrow_mut();
        if let Some(error) = system.take_planted(action.kind()) {
            return match action {
                Action::Write(_, _, bytes) if error.kind() == io::ErrorKind::StorageFull => {
                    Ok(DiskResult::NoRoom(error, bytes))
                }
                _ => Err(error),
            };
        }
        match action {
            Action::Open(path, mode) => {
                let inode = system.open(&path, mode)?;
                return Ok(DiskResult::Opened(self.new_file(Target::Inode(inode))));
            }
            Action::Read(file, offset, length, mut buffer) => {
                system.read(self.inode(file), offset, length, &mut buffer);
                return Ok(DiskResult::Read(buffer));
            }
            Action::Write(file, offset, bytes) => {
                system.write(self.open[&file.0], offset, &bytes);
                return Ok(DiskResult::Written(bytes));
            }
            Action::WriteFrom(file, offset, bytes, from) => {
                system.write(self.open[&file.0], offset, &bytes[from..]);
                return Ok(DiskResult::Written(bytes));
            }
            Action::StatPath(path) => return Ok(DiskResult::Status(system.status(&path)?)),
            Action::StatFile(file) => {
                return Ok(DiskResult::Status(system.inode_status(self.inode(file))));
            }
            Action::Sync(file) => system.inodes[self.inode(file)].synced = true,
            Action::SyncDirectory => {}
            Action::Rename(from, to) => system.rename(&from, &to)?,
            Action::Remove(path) => {
                system.named(&path)?;
                system.names.remove(&path);
            }
            Action::Close(file) => {
                self.open.remove(&file.0).expect("a file is closed once");
            }
        }
        Ok(DiskResult::Done)
    }
}

impl Disk for TestDisk {
    fn open(&mut self, path: &Path, mode: OpenMode) -> OperationId {
        self.begin(Action::Open(path.into(), mode))
    }
    fn read(&mut self, file: FileId, offset: u64, length: usize, buffer: Vec<u8>) -> OperationId {
        self.begin(Action::Read(file, offset, length, buffer))
    }
    fn write(&mut self, file: FileId, offset: u64, bytes: Vec<u8>) -> OperationId {
        self.begin(Action::Write(file, offset, bytes))
    }
    fn write_from(
        &mut self,
        file: FileId,
        offset: u64,
        bytes: Vec<u8>,
        from: usize,
    ) -> OperationId {
        self.begin(Action::WriteFrom(file, offset, bytes, from))
    }
    fn sync(&mut self, file: FileId) -> OperationId {
        self.begin(Action::Sync(file))
    }
    fn sync_range(&mut self, file: FileId, _offset: u64, _length: u64) -> OperationId {
        self.begin(Action::Sync(file))
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
        self.begin(Action::StatFile(file))
    }
    fn close(&mut self, file: FileId) -> OperationId {
        self.begin(Action::Close(file))
    }
    fn standard_output(&mut self) -> FileId {
        self.new_file(Target::StandardOutput)
    }
    fn take_result(&mut self, operation: OperationId) -> Option<DiskResult> {
        let (delay, _) = self.pending.get_mut(&operation.0).expect("a result is taken once");
        if *delay > 0 {
            *delay -= 1;
            return None;
        }
        let (_, action) = self.pending.remove(&operation.0).expect("found just now");
        Some(self.act(action).unwrap_or_else(DiskResult::Failed))
    }
}
