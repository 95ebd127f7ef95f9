//! ⚠ The end of the process where no error can be returned: a page of a mapped file that is gone.
//!
//! A store into a page whose file was cut, or whose disk failed, is no error value but a SIGBUS. The
//! handler finds the file that the address belongs to, says which place of it is gone, and ends the
//! process with the exit code of I/O errors.
//!
//! Invariants
//! - The handler reads atomics, writes to standard error and exits: nothing else is allowed there.
//! - The table is the one `static` that changes outside of `metrics`: a handler reaches nothing else.

#![expect(unsafe_code, reason = "a signal handler")]

use std::io;
use std::mem::zeroed;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

/// Exit code of I/O errors.
const EXIT_IO: i32 = 5;

/// Mappings that are known: three segments for each of the most cores there can be.
const MAPPINGS_MAX: usize = 512;

/// Bytes of a path that are kept, its last ones.
const PATH_BYTES_MAX: usize = 240;

/// Marks an entry that is being filled; no mapping begins there.
const CLAIMED: usize = 1;

struct Entry {
    /// 0 while it is free.
    begin: AtomicUsize,
    end: AtomicUsize,
    path: [AtomicU8; PATH_BYTES_MAX],
    path_bytes: AtomicUsize,
}

static MAPPINGS: [Entry; MAPPINGS_MAX] = [const {
    Entry {
        begin: AtomicUsize::new(0),
        end: AtomicUsize::new(0),
        path: [const { AtomicU8::new(0) }; PATH_BYTES_MAX],
        path_bytes: AtomicUsize::new(0),
    }
}; MAPPINGS_MAX];

/// A range of addresses that is known to be a file's, until dropped.
#[derive(Debug)]
pub struct Mapping {
    entry: usize,
}

/// Notes that `length` bytes from `begin` are the mapped file `path`. Nothing where there are too many
/// mappings: a lost page then ends the process without a name.
pub fn watch_mapping(begin: usize, length: usize, path: &Path) -> Option<Mapping> {
    let claim = |entry: &Entry| {
        let free = entry.begin.compare_exchange(0, CLAIMED, Ordering::Acquire, Ordering::Relaxed);
        free.is_ok()
    };
    let number = MAPPINGS.iter().position(claim)?;
    let entry = &MAPPINGS[number];
    let path = path.as_os_str().as_bytes();
    let path = &path[path.len().saturating_sub(PATH_BYTES_MAX)..];
    for (kept, byte) in entry.path.iter().zip(path) {
        kept.store(*byte, Ordering::Relaxed);
    }
    entry.path_bytes.store(path.len(), Ordering::Relaxed);
    entry.end.store(begin + length, Ordering::Relaxed);
    entry.begin.store(begin, Ordering::Release);
    Some(Mapping { entry: number })
}

impl Drop for Mapping {
    fn drop(&mut self) {
        MAPPINGS[self.entry].begin.store(0, Ordering::Release);
    }
}

/// From now on a lost page ends the process with a message and exit code 5.
///
/// # Errors
/// The operating system's, when it takes no handler.
pub fn name_lost_pages() -> io::Result<()> {
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_bus_error;
    // SAFETY: all zeroes is a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { zeroed() };
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: the handler has the signature that SA_SIGINFO asks for; `action` lives through the call.
    let result = unsafe { libc::sigaction(libc::SIGBUS, &raw const action, null_mut()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

extern "C" fn on_bus_error(_: libc::c_int, info: *mut libc::siginfo_t, _: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid `siginfo_t` to a handler with SA_SIGINFO.
    let info = unsafe { &*info };
    // SAFETY: a SIGBUS has an address.
    let address = unsafe { info.si_addr() }.addr();
    let holds = |entry: &&Entry| {
        let begin = entry.begin.load(Ordering::Acquire);
        begin > CLAIMED && (begin..entry.end.load(Ordering::Relaxed)).contains(&address)
    };
    let Some(entry) = MAPPINGS.iter().find(holds) else {
        // Not ours: it happens again, and ends the process as it would have.
        // SAFETY: no memory is passed.
        unsafe { libc::signal(libc::SIGBUS, libc::SIG_DFL) };
        return;
    };
    let mut line = Line { bytes: [0; LINE_BYTES], length: 0 };
    line.push(b"error: ");
    let path_bytes = entry.path_bytes.load(Ordering::Relaxed).min(PATH_BYTES_MAX);
    entry.path[..path_bytes].iter().for_each(|byte| line.push(&[byte.load(Ordering::Relaxed)]));
    line.push(b": the page at offset ");
    line.push_number(address.saturating_sub(entry.begin.load(Ordering::Relaxed)));
    line.push(
        b" is gone: the file was cut or the disk failed; the process stops, and continues from the \
          last checkpoint when started again\n",
    );
    // SAFETY: the pointer and length are those of the line, which lives through the call.
    let _ = unsafe { libc::write(2, line.bytes.as_ptr().cast(), line.length) };
    // SAFETY: it does not return, and runs nothing of the process.
    unsafe { libc::_exit(EXIT_IO) }
}

/// Bytes of the longest line.
const LINE_BYTES: usize = PATH_BYTES_MAX + 200;

/// Text, without an allocation.
struct Line {
    bytes: [u8; LINE_BYTES],
    length: usize,
}

impl Line {
    fn push(&mut self, text: &[u8]) {
        for byte in text {
            if let Some(place) = self.bytes.get_mut(self.length) {
                *place = *byte;
                self.length += 1;
            }
        }
    }

    fn push_number(&mut self, mut number: usize) {
        let mut digits = [0; 20];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b"0123456789"[number % 10];
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.push(&digits[first..]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept_path(mapping: &Mapping) -> Vec<u8> {
        let entry = &MAPPINGS[mapping.entry];
        let length = entry.path_bytes.load(Ordering::Relaxed);
        entry.path[..length].iter().map(|byte| byte.load(Ordering::Relaxed)).collect()
    }

    #[test]
    fn mappings_are_known_until_dropped() {
        let first = watch_mapping(0x10_000, 0x1000, Path::new("a/first.seg")).unwrap();
        let second = watch_mapping(0x20_000, 0x1000, Path::new(&"x".repeat(500))).unwrap();
        assert_eq!(kept_path(&first), b"a/first.seg");
        assert_eq!(kept_path(&second), vec![b'x'; PATH_BYTES_MAX]);
        let entry = first.entry;
        assert_eq!(MAPPINGS[entry].begin.load(Ordering::Relaxed), 0x10_000);
        assert_ne!(entry, second.entry);
        drop(first);
        assert_ne!(MAPPINGS[entry].begin.load(Ordering::Relaxed), 0x10_000);
    }

    #[test]
    fn numbers_are_written_without_an_allocation() {
        for number in [0, 7, 10, 4096, usize::MAX] {
            let mut line = Line { bytes: [0; LINE_BYTES], length: 0 };
            line.push_number(number);
            assert_eq!(&line.bytes[..line.length], number.to_string().as_bytes());
        }
    }
}
