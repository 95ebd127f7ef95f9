//! The simulated disk as blocking code sees it: starts, and the supply of segments.

use std::io;
use std::path::PathBuf;

use super::SimDisk;
use super::state::StepKind;
use crate::journal::{SegmentMemory, SegmentPages, Storage};

/// The files of one directory.
#[derive(Clone)]
pub(crate) struct SimFiles {
    disk: SimDisk,
    directory: String,
}

impl SimFiles {
    /// The files of `directory`.
    pub(crate) fn new(disk: &SimDisk, directory: &str) -> SimFiles {
        SimFiles { disk: disk.clone(), directory: directory.into() }
    }

    fn full(&self, name: &str) -> String {
        format!("{}/{name}", self.directory)
    }
}

impl Storage for SimFiles {
    type Memory = SimMemory;
    type Pages = SimPages;

    fn path(&self, name: &str) -> PathBuf {
        self.full(name).into()
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let state = self.disk.state.borrow();
        let below = |path: &String| {
            path.strip_prefix(&self.directory)?.strip_prefix('/').map(str::to_owned)
        };
        Ok(state.names.keys().filter_map(below).collect())
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        let state = self.disk.state.borrow();
        Ok(state.inodes[state.named(&self.full(name))?].cached.len() as u64)
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<()> {
        self.disk.state.borrow_mut().create(&self.full(name), bytes).map(drop)
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let state = &mut *self.disk.state.borrow_mut();
        let inode = state.named(&self.full(name))?;
        state.step(StepKind::Other)?;
        state.store(inode, offset, bytes);
        Ok(())
    }

    fn read(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.state.borrow();
        let inode = state.named(&self.full(name))?;
        Ok(state.read(inode, offset, buffer))
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let state = &mut *self.disk.state.borrow_mut();
        let inode = state.named(&self.full(name))?;
        let fault = state.step(StepKind::Sync)?;
        let captured = state.capture(inode, 0, state.inodes[inode].cached.len() as u64);
        state.complete_sync(inode, captured, fault)
    }

    fn settle(&self, name: &str) -> io::Result<()> {
        self.sync(name)?;
        let state = &mut *self.disk.state.borrow_mut();
        let inode = state.named(&self.full(name))?;
        state.inodes[inode].forget_cached();
        Ok(())
    }

    fn sync_directory(&self) -> io::Result<()> {
        self.disk.state.borrow_mut().sync_names()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.disk.state.borrow_mut().rename(&self.full(from), &self.full(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.disk.state.borrow_mut().remove(&self.full(name))
    }

    fn map(&self, name: &str) -> io::Result<(SimMemory, SimPages)> {
        let state = self.disk.state.borrow();
        let inode = state.named(&self.full(name))?;
        let populated = std::rc::Rc::new(std::cell::Cell::new(0));
        let pages = SimPages { populated: populated.clone() };
        let (disk, boot) = (self.disk.clone(), state.boots);
        Ok((SimMemory { disk, inode, boot, populated }, pages))
    }
}

/// A mapped file, to store into.
pub(crate) struct SimMemory {
    disk: SimDisk,
    inode: usize,
    boot: u64,
    populated: std::rc::Rc<std::cell::Cell<u64>>,
}

impl SegmentMemory for SimMemory {
    fn store(&mut self, offset: u64, bytes: &[u8]) {
        let state = &mut *self.disk.state.borrow_mut();
        assert_eq!(self.boot, state.boots, "the process has ended");
        let end = offset + bytes.len() as u64;
        assert!(end <= self.populated.get(), "a store into a page that is not there");
        if !bytes.is_empty() && state.step(StepKind::Store).is_ok() {
            state.store(self.inode, offset, bytes);
        }
    }
}

/// A mapped file, to populate.
pub(crate) struct SimPages {
    populated: std::rc::Rc<std::cell::Cell<u64>>,
}

impl SegmentPages for SimPages {
    fn populate(&self, from: u64, to: u64) -> io::Result<()> {
        assert_eq!(from, self.populated.get(), "pages are populated in order");
        self.populated.set(to);
        Ok(())
    }
}
