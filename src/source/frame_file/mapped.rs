//! ⚠ A file mapped for reading: its bytes where the page cache has them.

#![expect(unsafe_code, reason = "mapping a file is unsafe: others may change it")]

use bytes::Bytes;
use memmap2::{Advice, Mmap};
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use crate::stdx::{Mapping, watch_mapping};

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct MappedFile {
    map: Arc<Mapped>,
    bytes: Bytes,
}

/// A page that is gone, of a file that was cut, becomes a message that names the file.
#[derive(Debug)]
struct Mapped {
    // Dropped first: while it is watched, the addresses are the file's.
    _watched: Option<Mapping>,
    map: Mmap,
}

/// The owner of bytes that point into a mapping.
struct Owner(Arc<Mapped>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0.map
    }
}

impl MappedFile {
    /// Maps all of a file as it is now.
    ///
    /// # Errors
    /// The operating system's; what is not a regular file.
    pub(super) fn open(path: &Path) -> io::Result<MappedFile> {
        let file = File::open(path)?;
        if !file.metadata()?.is_file() {
            return Err(io::Error::other("it is not a regular file"));
        }
        // SAFETY: the mapping is private to this process and never written. That nobody else changes
        // the file while a job reads it is what the job's author is told to see to: a part of a sink
        // is never changed once it has its name. Lengths, checksums, offsets and texts are checked
        // before anything is built over the bytes.
        let map = unsafe { Mmap::map(&file) }?;
        let watched = watch_mapping(map.as_ptr().addr(), map.len(), path);
        let map = Arc::new(Mapped { _watched: watched, map });
        let bytes = Bytes::from_owner(Owner(Arc::clone(&map)));
        Ok(MappedFile { map, bytes })
    }

    /// All of it.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.map.map
    }

    /// A part of it, to build arrays over.
    pub(super) fn slice(&self, range: Range<usize>) -> Bytes {
        self.bytes.slice(range)
    }

    /// The kernel may begin to read this part.
    pub(super) fn read_ahead(&self, range: Range<usize>) {
        // Advice: where it fails, reading takes as long as it takes.
        let _ = self.map.map.advise_range(Advice::WillNeed, range.start, range.len());
    }
}
