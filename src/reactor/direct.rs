//! Files written past the page cache, given their blocks in advance, or renamed, by threads that are no
//! core.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::sys;

/// Addresses, offsets and lengths of direct writes are multiples of this on every disk there is.
pub const DIRECT_ALIGNMENT: usize = 4096;

/// Creates a file whose writes go past the page cache; it must not exist.
///
/// # Errors
/// The operating system's: `InvalidInput` where the file system knows no direct writes.
pub fn create_direct(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).custom_flags(libc::O_DIRECT).open(path)
}

/// Gives a new file `bytes` bytes of blocks, so that writing them later needs no space. Where the file
/// system cannot promise any, the file gets its length alone.
///
/// # Errors
/// The operating system's: `StorageFull` when there is not enough space.
pub fn preallocate(file: &File, bytes: u64) -> io::Result<()> {
    match sys::fallocate(file, bytes) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => file.set_len(bytes),
        done => done,
    }
}

/// Forgets what is cached of a file whose data is durable, so that it is read from the disk.
///
/// # Errors
/// The operating system's.
pub fn forget_cached(file: &File) -> io::Result<()> {
    sys::forget_cached(file)
}

/// Renames a file where nothing has the new name.
///
/// # Errors
/// The operating system's: `AlreadyExists` when something has.
pub fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    sys::rename_new(from, to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    #[test]
    fn only_aligned_bytes_are_written() {
        let directory = tempfile::tempdir_in(env!("CARGO_MANIFEST_DIR")).unwrap();
        let path = directory.path().join("direct");
        let file = match create_direct(&path) {
            Ok(file) => file,
            Err(error) => return assert_eq!(error.kind(), io::ErrorKind::InvalidInput),
        };
        assert!(file.write_at(&[0; 100], 0).is_err());
        let buffer = vec![7; 2 * DIRECT_ALIGNMENT];
        let begin = buffer.as_ptr().align_offset(DIRECT_ALIGNMENT);
        let aligned = &buffer[begin..begin + DIRECT_ALIGNMENT];
        assert_eq!(file.write_at(aligned, 0).unwrap(), DIRECT_ALIGNMENT);
        assert_eq!(std::fs::read(&path).unwrap(), aligned);
        assert_eq!(create_direct(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn a_rename_replaces_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let [one, other] = ["one", "other"].map(|name| directory.path().join(name));
        std::fs::write(&one, "1").unwrap();
        rename_new(&one, &other).unwrap();
        std::fs::write(&one, "2").unwrap();
        assert_eq!(rename_new(&one, &other).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(&other).unwrap(), b"1");
    }
}
