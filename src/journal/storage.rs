//! The seam to the file system for what may block: starts, and the thread that supplies segments.
//!
//! Names are those of files in the job's directory. The other side of a segment, stores and syncs by
//! the core that owns it, is [`SegmentMemory`] and [`Disk`](crate::reactor::Disk).

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::mapped_file::{MappedFile, MappedPages};
use crate::reactor::{forget_cached, preallocate};

/// A file mapped for appending, as its core sees it.
pub trait SegmentMemory {
    /// Stores `bytes` at `offset` of the file. Never waits where pages were populated before.
    fn store(&mut self, offset: u64, bytes: &[u8]);
}

/// The same file, as the helper thread sees it.
pub trait SegmentPages {
    /// Makes the pages of `from..to` present and writable, so that a store does not wait for them.
    ///
    /// # Errors
    /// The operating system's: the disk failed, or has no space after all.
    fn populate(&self, from: u64, to: u64) -> io::Result<()>;
}

/// Files of one directory. Every call may wait for the disk.
pub trait Storage: Clone {
    /// A mapped file, to store into.
    type Memory: SegmentMemory;
    /// A mapped file, to populate.
    type Pages: SegmentPages;

    /// The path of a file, for messages and for [`Disk::open`](crate::reactor::Disk::open).
    fn path(&self, name: &str) -> PathBuf;
    /// Names of all files, in no order.
    ///
    /// # Errors
    /// The operating system's, as for all that follow.
    fn names(&self) -> io::Result<Vec<String>>;
    /// Length of a file in bytes.
    ///
    /// # Errors
    /// As [`Storage::names`].
    fn length(&self, name: &str) -> io::Result<u64>;
    /// Creates a file of `bytes` bytes whose blocks are there; it must not exist.
    ///
    /// # Errors
    /// As [`Storage::names`].
    fn create(&self, name: &str, bytes: u64) -> io::Result<()>;
    /// Writes within a file.
    ///
    /// # Errors
    /// As [`Storage::names`].
    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Fills `buffer` from `offset`; says how many bytes there were, fewer only at the file's end.
    ///
    /// # Errors
    /// As [`Storage::names`].
    fn read(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Makes all of a file durable, but for its name.
    ///
    /// # Errors
    /// As [`Storage::names`].
    fn sync(&self, name: &str) -> io::Result<()>;
    /// Makes all of a file durable, and forgets what is cached of it: what is read afterwards is what
    /// the disk has. After a sync that failed the cache holds what was lost, as if it were there.
    ///
    /// # Errors
    /// As [`Storage::names`].
    fn settle(&self, name: &str) -> io::Result<()>;
    /// Makes the names durable.
    ///
    /// # Errors
    /// As [`Storage::names`].
    fn sync_directory(&self) -> io::Result<()>;
    /// Renames; a file of the new name is replaced.
    ///
    /// # Errors
    /// As [`Storage::names`].
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// As [`Storage::names`].
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Maps a file whose length does not change any more.
    ///
    /// # Errors
    /// As [`Storage::names`].
    fn map(&self, name: &str) -> io::Result<(Self::Memory, Self::Pages)>;
}

/// The real files of a directory.
#[derive(Clone, Debug)]
pub struct Files {
    directory: PathBuf,
}

impl Files {
    /// The files of `directory`, which exists.
    pub fn new(directory: &Path) -> Files {
        Files { directory: directory.into() }
    }

    fn writable(&self, name: &str) -> io::Result<File> {
        OpenOptions::new().read(true).write(true).open(self.path(name))
    }
}

impl Storage for Files {
    type Memory = MappedFile;
    type Pages = MappedPages;

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            // What is no UTF-8 is not ours.
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn length(&self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.path(name))?.len())
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<()> {
        // Nobody else may cut a file that is mapped.
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(self.path(name))?;
        preallocate(&file, bytes)
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.writable(name)?.write_all_at(bytes, offset)
    }

    fn read(&self, name: &str, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let file = File::open(self.path(name))?;
        let mut read = 0;
        while read < buffer.len() {
            match file.read_at(&mut buffer[read..], offset + read as u64) {
                Ok(0) => break,
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        self.writable(name)?.sync_all()
    }

    fn settle(&self, name: &str) -> io::Result<()> {
        let file = self.writable(name)?;
        file.sync_all()?;
        forget_cached(&file)
    }

    fn sync_directory(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn map(&self, name: &str) -> io::Result<(MappedFile, MappedPages)> {
        MappedFile::map(&self.writable(name)?, &self.path(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_created_written_read_and_mapped() {
        let directory = tempfile::tempdir().unwrap();
        let files = Files::new(directory.path());
        files.create("a", 8192).unwrap();
        assert_eq!(files.create("a", 1).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(files.length("a").unwrap(), 8192);
        files.write("a", 4094, b"abcd").unwrap();
        let (mut memory, pages) = files.map("a").unwrap();
        pages.populate(0, 8192).unwrap();
        memory.store(4096, b"CD");
        files.sync("a").unwrap();
        let mut bytes = [0; 6];
        assert_eq!(files.read("a", 4093, &mut bytes).unwrap(), 6);
        assert_eq!(&bytes, b"\0abCD\0");
        assert_eq!(files.read("a", 8190, &mut bytes).unwrap(), 2);
        drop((memory, pages));
        files.settle("a").unwrap();
        assert_eq!(files.read("a", 4093, &mut bytes).unwrap(), 6);
        assert_eq!(&bytes, b"\0abCD\0");
        files.rename("a", "b").unwrap();
        files.sync_directory().unwrap();
        assert_eq!(files.names().unwrap(), ["b"]);
        files.remove("b").unwrap();
        assert_eq!(files.length("b").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
