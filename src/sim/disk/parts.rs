//! The simulated disk as the start of a file sink sees it.

use std::io;
use std::path::Path;

use super::SimDisk;
use super::state::StepKind;
use crate::reactor::FileStatus;
use crate::sink::PartFiles;

impl PartFiles for SimDisk {
    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        let state = self.state.borrow();
        let below = |path: &String| {
            let path = Path::new(path).strip_prefix(directory).ok()?;
            Some(path.display().to_string())
        };
        Ok(state.names.keys().filter_map(below).collect())
    }

    fn status(&self, path: &Path) -> io::Result<Option<FileStatus>> {
        let state = self.state.borrow();
        let Ok(inode) = state.named(&text(path)) else { return Ok(None) };
        let bytes = state.inodes[inode].cached.len() as u64;
        Ok(Some(FileStatus { bytes, device: 1, inode: inode as u64 }))
    }

    fn complete(&self, path: &Path, bytes: u64, end: &[u8]) -> io::Result<()> {
        let state = &mut *self.state.borrow_mut();
        let inode = state.named(&text(path))?;
        state.cut(inode, bytes)?;
        state.step(StepKind::Other)?;
        state.store(inode, bytes, end);
        let fault = state.step(StepKind::Sync)?;
        let captured = state.capture(inode, 0, state.inodes[inode].cached.len() as u64);
        state.complete_sync(inode, captured, fault)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let state = &mut *self.state.borrow_mut();
        if state.named(&text(to)).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.rename(&text(from), &text(to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.state.borrow_mut().remove(&text(path))
    }

    fn sync_directory(&self, _: &Path) -> io::Result<()> {
        self.state.borrow_mut().sync_names()
    }
}

fn text(path: &Path) -> String {
    path.display().to_string()
}
