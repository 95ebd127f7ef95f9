//! A disk whose power can be cut: files that readers see, and what of them is durable.
//!
//! In:  stores, writes, syncs, names, as the journals make them; faults, planned for a numbered step.
//! Out: what a program reads now, and what it finds after a cut.
//!
//! Read: `state` (files, sectors, names) · `core` (polled operations of one core) · `io` (a core's view of
//! the world) · `storage` and `parts` (blocking calls).
//!
//! A cut keeps any subset of the 512-byte sectors stored since the last completed sync that covered
//! them, and any of the names changed since the last sync of their directory. Before, the kernel may
//! write any sector whenever it likes. Everything depends on the seed alone.

mod core;
mod io;
mod parts;
mod state;
mod storage;

use std::cell::RefCell;
use std::rc::Rc;

pub(crate) use core::SimCore;
pub(crate) use io::SimIo;
pub(crate) use state::Fault;
use state::State;
pub(crate) use storage::{SimFiles, SimMemory};

/// The disk of one machine. Clones are the same disk.
#[derive(Clone)]
pub(crate) struct SimDisk {
    state: Rc<RefCell<State>>,
}

impl SimDisk {
    /// An empty disk.
    pub(crate) fn new(seed: u64) -> SimDisk {
        SimDisk { state: Rc::new(RefCell::new(State::new(seed))) }
    }

    /// The fault happens at the step of this number, counted from now; the first is 1.
    pub(crate) fn plan(&self, step: u64, fault: Fault) {
        let state = &mut *self.state.borrow_mut();
        state.plan.push((state.steps + step, fault));
    }

    /// No fault is planned any more.
    pub(crate) fn forget_plans(&self) {
        self.state.borrow_mut().plan.clear();
    }

    /// Steps so far: stores, writes, syncs, changes of names and lengths.
    pub(crate) fn steps(&self) -> u64 {
        self.state.borrow().steps
    }

    /// True after a cut, until the machine is started again.
    pub(crate) fn is_off(&self) -> bool {
        self.state.borrow().is_off
    }

    /// The power goes, and comes back: what was durable is there, and some of the rest.
    pub(crate) fn cut_power(&self) {
        self.state.borrow_mut().cut_power();
    }

    /// The process ends, the machine goes on: what was stored is there, what was on its way may be.
    pub(crate) fn kill(&self) {
        self.state.borrow_mut().kill();
    }

    /// Bytes of new files there is space for.
    pub(crate) fn set_free(&self, bytes: u64) {
        self.state.borrow_mut().free_bytes = bytes;
    }

    /// All paths.
    pub(crate) fn paths(&self) -> Vec<String> {
        self.state.borrow().names.keys().cloned().collect()
    }

    /// The bytes of a file, as readers see them.
    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        let state = self.state.borrow();
        state.inodes[state.names[path]].cached.clone()
    }

    /// Makes `path` a durable file of these bytes.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        self.state.borrow_mut().put(path, bytes);
    }

    /// Removes a file, durably.
    pub(crate) fn take(&self, path: &str) {
        self.state.borrow_mut().take(path);
    }

    /// Another disk with the same files, all durable.
    pub(crate) fn copy(&self, seed: u64) -> SimDisk {
        let copy = SimDisk::new(seed);
        for path in self.paths() {
            copy.put(&path, &self.bytes(&path));
        }
        copy
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{SegmentMemory, SegmentPages, Storage};
    use crate::reactor::{Disk, DiskResult, OpenMode, OperationId};

    fn take(core: &mut SimCore, operation: OperationId) -> DiskResult {
        loop {
            if let Some(result) = core.take_result(operation) {
                return result;
            }
        }
    }

    /// Stores two sectors, syncs the first, cuts; says which of them were found.
    fn found(seed: u64) -> (bool, bool) {
        let disk = SimDisk::new(seed);
        let files = SimFiles::new(&disk, "/d");
        files.create("a", 1024).unwrap();
        files.sync("a").unwrap();
        files.sync_directory().unwrap();
        let (mut memory, pages) = files.map("a").unwrap();
        pages.populate(0, 1024).unwrap();
        memory.store(0, &[1; 1024]);
        let mut core = SimCore::new(&disk, seed);
        let open = core.open(&files.path("a"), OpenMode::Write);
        let DiskResult::Opened(file) = take(&mut core, open) else { panic!("it is there") };
        let sync = core.sync_range(file, 0, 512);
        assert!(matches!(take(&mut core, sync), DiskResult::Done));
        disk.cut_power();
        let mut bytes = [0; 1024];
        assert_eq!(files.read("a", 0, &mut bytes).unwrap(), 1024);
        (bytes[..512] == [1; 512], bytes[512..] == [1; 512])
    }

    #[test]
    fn a_cut_keeps_what_was_synced_and_some_of_the_rest() {
        let all: Vec<_> = (0..64).map(found).collect();
        assert!(all.iter().all(|(synced, _)| *synced));
        assert!(all.iter().any(|(_, other)| *other));
        assert!(all.iter().any(|(_, other)| !*other));
    }

    #[test]
    fn names_need_a_sync_of_their_directory() {
        let survives = |seed, with_sync| {
            let disk = SimDisk::new(seed);
            let files = SimFiles::new(&disk, "/d");
            files.create("a", 512).unwrap();
            files.sync("a").unwrap();
            if with_sync {
                files.sync_directory().unwrap();
            }
            disk.cut_power();
            !disk.paths().is_empty()
        };
        assert!((0..32).all(|seed| survives(seed, true)));
        assert!((0..32).any(|seed| survives(seed, false)));
        assert!((0..32).any(|seed| !survives(seed, false)));
    }

    #[test]
    fn after_a_failed_sync_the_next_one_succeeds_and_lies() {
        let disk = SimDisk::new(7);
        let files = SimFiles::new(&disk, "/d");
        files.create("a", 512).unwrap();
        files.sync("a").unwrap();
        files.sync_directory().unwrap();
        files.write("a", 0, &[1; 512]).unwrap();
        disk.plan(1, Fault::FailedSync);
        files.sync("a").unwrap_err();
        files.sync("a").unwrap();
        assert_eq!(disk.bytes("/d/a"), [1; 512], "readers still see it");
        disk.cut_power();
        assert_eq!(disk.bytes("/d/a"), [0; 512]);
    }

    #[test]
    fn a_killed_process_leaves_what_it_stored() {
        let disk = SimDisk::new(7);
        let files = SimFiles::new(&disk, "/d");
        files.create("a", 512).unwrap();
        files.write("a", 0, &[1; 512]).unwrap();
        disk.kill();
        assert_eq!(disk.bytes("/d/a"), [1; 512]);
    }
}
