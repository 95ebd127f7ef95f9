//! ⚠ Files mapped for appending: plain stores, without a lock or a system call.
//!
//! One mapping has two handles. The core that owns the segment stores through [`MappedFile`]; the
//! helper thread makes pages present through [`MappedPages`]. The mapping ends when both are gone.
//!
//! Invariants
//! - Nobody reads through the mapping, so that no reference to its bytes exists; what is read is read
//!   through files. The bytes may therefore change under it.
//! - A page that is not there any more (the file was cut, the disk failed) is a SIGBUS, of which
//!   `stdx::fatal` makes a message with file and offset, and exit 5.

#![expect(unsafe_code, reason = "stores into a mapping")]

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use memmap2::{Advice, MmapOptions, MmapRaw};

use super::entry::index;
use super::storage::{SegmentMemory, SegmentPages};
use crate::stdx::{Mapping, watch_mapping};

struct Mapped {
    // Dropped first: while it is watched, the addresses are the file's.
    _watched: Option<Mapping>,
    pages: MmapRaw,
}

/// The side that stores.
pub struct MappedFile {
    mapped: Arc<Mapped>,
}

/// The side that makes pages present.
pub struct MappedPages {
    mapped: Arc<Mapped>,
}

impl MappedFile {
    /// Maps all of `file`, which is open for reading and writing. `path` is for messages.
    ///
    /// # Errors
    /// The operating system's.
    pub fn map(file: &File, path: &Path) -> io::Result<(MappedFile, MappedPages)> {
        let length = index(file.metadata()?.len());
        let pages = MmapOptions::new().len(length).map_raw(file)?;
        let watched = watch_mapping(pages.as_ptr().addr(), length, path);
        let mapped = Arc::new(Mapped { _watched: watched, pages });
        Ok((MappedFile { mapped: Arc::clone(&mapped) }, MappedPages { mapped }))
    }
}

impl SegmentMemory for MappedFile {
    fn store(&mut self, offset: u64, bytes: &[u8]) {
        let (pages, offset) = (&self.mapped.pages, index(offset));
        assert!(offset <= pages.len());
        assert!(bytes.len() <= pages.len() - offset);
        // SAFETY: `offset` lies within the mapping or at its end, asserted above.
        let target = unsafe { pages.as_mut_ptr().add(offset) };
        // SAFETY:
        // - `bytes.len()` bytes from `target` lie within the mapping, asserted above; it stays mapped
        //   as long as `mapped` lives.
        // - No reference into the mapping exists, here or elsewhere (nobody reads through it), so
        //   `bytes` cannot overlap it. There is one `MappedFile` of a mapping and it is borrowed
        //   mutably, so no other thread stores; `MappedPages` gives advice alone, which changes no
        //   bytes.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), target, bytes.len()) };
    }
}

impl SegmentPages for MappedPages {
    fn populate(&self, from: u64, to: u64) -> io::Result<()> {
        let (from, to) = (index(from), index(to));
        assert!(from <= to);
        assert!(to <= self.mapped.pages.len());
        if from == to {
            return Ok(());
        }
        match self.mapped.pages.advise_range(Advice::PopulateWrite, from, to - from) {
            // A kernel before 5.14: the core then waits for its pages.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(()),
            done => done,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    fn file(bytes: u64) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(bytes).unwrap();
        file
    }

    #[test]
    fn stores_are_seen_by_readers_of_the_file() {
        let file = file(3 * 4096);
        let (mut memory, pages) = MappedFile::map(&file, Path::new("f")).unwrap();
        pages.populate(4096, 3 * 4096).unwrap();
        memory.store(4095, b"xyz");
        memory.store(3 * 4096 - 1, b"e");
        memory.store(3 * 4096, b"");
        let mut bytes = [0; 3];
        file.read_exact_at(&mut bytes, 4095).unwrap();
        assert_eq!(&bytes, b"xyz");
        file.read_exact_at(&mut bytes, 3 * 4096 - 3).unwrap();
        assert_eq!(&bytes, b"\0\0e");
    }

    #[test]
    fn pages_are_populated_beside_stores() {
        let file = file(256 * 4096);
        let (mut memory, pages) = MappedFile::map(&file, Path::new("f")).unwrap();
        let helper = crate::reactor::spawn_thread("populate", &[], move || {
            for page in 0..256 {
                pages.populate(page * 4096, (page + 1) * 4096).unwrap();
            }
        });
        for page in 0..256_u64 {
            memory.store(page * 4096 + 7, &page.to_le_bytes());
        }
        helper.unwrap().join().unwrap();
        for page in 0..256_u64 {
            let mut bytes = [0; 8];
            file.read_exact_at(&mut bytes, page * 4096 + 7).unwrap();
            assert_eq!(u64::from_le_bytes(bytes), page);
        }
    }

    /// Set in a process that is to lose a page.
    const VICTIM: &str = "PELTON_TEST_LOSES_A_PAGE_OF";

    #[test]
    fn a_store_into_a_page_that_was_cut_off_names_file_and_offset() {
        if let Some(path) = std::env::var_os(VICTIM) {
            crate::stdx::name_lost_pages().unwrap();
            let file = File::options().read(true).write(true).open(&path).unwrap();
            let (mut memory, _pages) = MappedFile::map(&file, Path::new(&path)).unwrap();
            memory.store(4096, b"there");
            file.set_len(4096).unwrap();
            memory.store(2 * 4096 + 12, b"gone");
            unreachable!("the process has ended");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state-000-0000000001.seg");
        File::create_new(&path).unwrap().set_len(4 * 4096).unwrap();
        let name = std::thread::current().name().unwrap().to_owned();
        let ended = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--nocapture"])
            .env(VICTIM, &path)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(5), "{said}");
        let expected = format!("error: {}: the page at offset 8204 is gone", path.display());
        assert!(said.contains(&expected), "{said}");
    }

    #[test]
    #[should_panic(expected = "bytes.len()")]
    fn nothing_is_stored_behind_the_end() {
        let (mut memory, _pages) = MappedFile::map(&file(4096), Path::new("f")).unwrap();
        memory.store(4095, b"xy");
    }
}
