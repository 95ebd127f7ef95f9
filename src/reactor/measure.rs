//! What this machine's parts take: waking a thread, a ring between two CPUs, loopback, a sync.
//!
//! For `pelton doctor`, on threads that are no core. Each measurement ends by itself after the time
//! it is given.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use super::{Clock, SystemClock, Wake, channel, sleep, spawn_thread, sys};
use crate::metrics::LatencyHistogram;

/// Bytes of one measured write.
const WRITE_BYTES: usize = 4096;

/// Bytes that a file of the journals' kind is given in advance.
const ALLOCATED_BYTES: u64 = 1024 * 1024;

/// Between two wake-ups: long enough for a thread to fall asleep.
const PAUSE: Duration = Duration::from_micros(200);

/// How long something took, over and over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Measured {
    /// Half of the times were no longer, ns.
    pub p50_ns: u64,
    /// 99 in 100 were no longer, ns.
    pub p99_ns: u64,
    /// So many times.
    pub count: u64,
}

impl Measured {
    fn of(times: &LatencyHistogram) -> Measured {
        Measured {
            p50_ns: times.quantile_ns(0.5),
            p99_ns: times.quantile_ns(0.99),
            count: times.count(),
        }
    }
}

/// From one thread's message to another's being awake.
///
/// # Errors
/// When there can be no thread.
pub fn measure_wake_up(time: Duration) -> io::Result<Measured> {
    let (sender, receiver) = mpsc::channel::<u64>();
    let woken = spawn_thread("woken", &[], move || {
        let mut times = LatencyHistogram::new();
        while let Ok(sent_ns) = receiver.recv() {
            times.record(SystemClock.monotonic_ns().saturating_sub(sent_ns), 1);
        }
        times
    })?;
    let until_ns = end_of(time);
    while SystemClock.monotonic_ns() < until_ns {
        sleep(PAUSE);
        if sender.send(SystemClock.monotonic_ns()).is_err() {
            break;
        }
    }
    drop(sender);
    let times = woken.join().map_err(|_| io::Error::other("the thread that is woken died"))?;
    Ok(Measured::of(&times))
}

/// Nobody sleeps here.
struct NoWake;

impl Wake for NoWake {
    fn wake(&self) {}
}

/// There and back over two rings, between threads that look all the time.
///
/// # Errors
/// When there can be no thread.
pub fn measure_ring(time: Duration) -> io::Result<Measured> {
    let (mut there, mut arrivals) = channel::<u64>(1, Arc::new(NoWake));
    let (mut back, mut answers) = channel::<u64>(1, Arc::new(NoWake));
    let echo = spawn_thread("echo", &[], move || {
        while !back.is_abandoned() {
            if let Some(value) = arrivals.pop() {
                // The other side takes each before it sends the next.
                let _ = back.push(value);
            }
            std::hint::spin_loop();
        }
    })?;
    let mut times = LatencyHistogram::new();
    let until_ns = end_of(time);
    let mut now_ns = SystemClock.monotonic_ns();
    while now_ns < until_ns {
        let began_ns = now_ns;
        let _ = there.push(began_ns);
        while answers.pop().is_none() && now_ns < until_ns {
            std::hint::spin_loop();
            now_ns = SystemClock.monotonic_ns();
        }
        now_ns = SystemClock.monotonic_ns();
        times.record(now_ns - began_ns, 1);
    }
    drop(answers);
    echo.join().map_err(|_| io::Error::other("the thread that answers died"))?;
    Ok(Measured::of(&times))
}

/// 64 bytes there and back over loopback, with threads that wait for them.
///
/// # Errors
/// When there are no sockets.
pub fn measure_loopback(time: Duration) -> io::Result<Measured> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let echo = spawn_thread("echo", &[], move || -> io::Result<()> {
        let (mut peer, _) = listener.accept()?;
        peer.set_nodelay(true)?;
        let mut bytes = [0; 64];
        while peer.read_exact(&mut bytes).is_ok() {
            peer.write_all(&bytes)?;
        }
        Ok(())
    })?;
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut times = LatencyHistogram::new();
    let mut bytes = [0; 64];
    let until_ns = end_of(time);
    while SystemClock.monotonic_ns() < until_ns {
        let began_ns = SystemClock.monotonic_ns();
        stream.write_all(&bytes)?;
        stream.read_exact(&mut bytes)?;
        times.record(SystemClock.monotonic_ns() - began_ns, 1);
    }
    drop(stream);
    echo.join().map_err(|_| io::Error::other("the thread that answers died"))??;
    Ok(Measured::of(&times))
}

/// A file for measuring, gone when dropped.
struct Scratch {
    path: PathBuf,
    file: File,
}

impl Scratch {
    fn new(directory: &Path, name: &str) -> io::Result<Scratch> {
        let path = directory.join(format!(".pelton-doctor-{}-{name}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
        Ok(Scratch { path, file })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left behind it is an empty name; nothing depends on it.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// 4 KiB into a file that has its blocks already, made durable.
///
/// # Errors
/// The operating system's.
pub fn measure_sync(directory: &Path, time: Duration) -> io::Result<Measured> {
    let scratch = Scratch::new(directory, "sync")?;
    // Where it is refused the file grows as it is written; another check says so.
    let _ = sys::fallocate(&scratch.file, ALLOCATED_BYTES);
    let bytes = [7; WRITE_BYTES];
    let mut times = LatencyHistogram::new();
    let mut offset = 0;
    let until_ns = end_of(time);
    while SystemClock.monotonic_ns() < until_ns {
        scratch.file.write_all_at(&bytes, offset)?;
        let began_ns = SystemClock.monotonic_ns();
        scratch.file.sync_data()?;
        times.record(SystemClock.monotonic_ns() - began_ns, 1);
        offset = (offset + WRITE_BYTES as u64) % ALLOCATED_BYTES;
    }
    Ok(Measured::of(&times))
}

/// What a directory's file system can do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileSystem {
    /// `ext4`; its number where it is not known here.
    pub kind: String,
    /// Every write goes to a new place: a preallocated file is none.
    pub copies_on_write: bool,
    /// Bytes an ordinary user may still write.
    pub free_bytes: u64,
    /// Blocks can be had before they are written.
    pub preallocates: bool,
    /// Files can be read and written beside the page cache.
    pub direct: bool,
}

/// Looks at the file system of an existing directory, with files that are removed again.
///
/// # Errors
/// When nothing can be written there.
pub fn file_system(directory: &Path) -> io::Result<FileSystem> {
    let status = sys::file_system_status(directory)?;
    let scratch = Scratch::new(directory, "file")?;
    let preallocates = sys::fallocate(&scratch.file, ALLOCATED_BYTES).is_ok();
    let direct = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(&scratch.path);
    let (kind, copies_on_write) = kind_of(status.kind);
    let free_bytes = status.free_bytes;
    Ok(FileSystem { kind, copies_on_write, free_bytes, preallocates, direct: direct.is_ok() })
}

/// Names of file systems by the number that statfs gives.
fn kind_of(number: u64) -> (String, bool) {
    let (name, copies_on_write) = match number {
        0xef53 => ("ext4", false),
        0x5846_5342 => ("xfs", false),
        0x9123_683e => ("btrfs", true),
        0x2fc1_2fc1 => ("zfs", true),
        0xf2f5_2010 => ("f2fs", true),
        0xca45_1a4e => ("bcachefs", true),
        0x0102_1994 => ("tmpfs", false),
        0x794c_7630 => ("overlayfs", false),
        0x6969 => ("nfs", false),
        other => return (format!("unknown (0x{other:x})"), false),
    };
    (name.to_owned(), copies_on_write)
}

fn end_of(time: Duration) -> u64 {
    let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    SystemClock.monotonic_ns().saturating_add(ns)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHORT: Duration = Duration::from_millis(20);

    #[track_caller]
    fn check(measured: io::Result<Measured>) {
        let Measured { p50_ns, p99_ns, count } = measured.unwrap();
        assert!(count > 0);
        assert!(0 < p50_ns && p50_ns <= p99_ns);
    }

    #[test]
    fn everything_is_measured_and_nothing_is_left() {
        let directory = tempfile::tempdir().unwrap();
        check(measure_wake_up(SHORT));
        check(measure_ring(SHORT));
        check(measure_loopback(SHORT));
        check(measure_sync(directory.path(), SHORT));
        assert!(file_system(directory.path()).unwrap().free_bytes > 0);
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error() {
        assert!(file_system(Path::new("/nowhere/at/all")).is_err());
        assert!(measure_sync(Path::new("/nowhere/at/all"), SHORT).is_err());
    }
}
