//! Disk: small writes made durable one by one, and large ones past the page cache.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::super::error::BenchError;
use super::{Deadline, Sample, latency_samples};
use crate::metrics::LatencyHistogram;
use crate::reactor::{Clock, DIRECT_ALIGNMENT, SystemClock, create_direct};

/// Bytes of a file: synced ranges and direct writes go round in it.
const FILE_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of a range that is made durable.
const RANGE_BYTES: usize = 4096;

/// Bytes of a direct write.
const DIRECT_BYTES: usize = 1024 * 1024;

/// Bytes of one read of a bare reader.
const READ_BYTES: usize = 256 * 1024;

/// A file of ours that is removed at the end.
struct Temporary(PathBuf);

impl Temporary {
    fn new(directory: &Path, name: &str) -> Temporary {
        Temporary(directory.join(format!(".pelton-bench-{}-{name}", std::process::id())))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // It may never have been created.
        let _ = fs::remove_file(&self.0);
    }
}

/// 4 KiB written into a file that has its blocks, and made durable: what an epoch costs at least.
pub(super) fn range_sync(directory: &Path, time: Duration) -> Result<Vec<Sample>, BenchError> {
    let temporary = Temporary::new(directory, "sync");
    let failed = |error| BenchError::io(&temporary.0.display().to_string(), &error);
    let file = File::create_new(&temporary.0).map_err(failed)?;
    let blocks = vec![0; DIRECT_BYTES];
    for offset in (0..FILE_BYTES).step_by(DIRECT_BYTES) {
        file.write_all_at(&blocks, offset as u64).map_err(failed)?;
    }
    file.sync_all().map_err(failed)?;
    let mut latencies = LatencyHistogram::new();
    let deadline = Deadline::after(time);
    let mut offset = 0;
    while latencies.count() == 0 || !deadline.has_passed() {
        let began_ns = SystemClock.monotonic_ns();
        file.write_all_at(&blocks[..RANGE_BYTES], offset as u64).map_err(failed)?;
        file.sync_data().map_err(failed)?;
        latencies.record(SystemClock.monotonic_ns() - began_ns, 1);
        offset = (offset + RANGE_BYTES) % FILE_BYTES;
    }
    Ok(latency_samples(&latencies))
}

/// The files of a directory.
pub(crate) fn files_in(directory: &Path) -> Result<Vec<PathBuf>, BenchError> {
    let failed = |error| BenchError::io(&directory.display().to_string(), &error);
    let entries = fs::read_dir(directory).map_err(failed)?;
    entries.map(|entry| entry.map(|entry| entry.path()).map_err(failed)).collect()
}

/// Bytes per second of a bare read of files, one after the other and again; most often from the page
/// cache.
pub(crate) fn read_floor(files: &[PathBuf], time: Duration) -> Result<f64, BenchError> {
    let mut buffer = vec![0; READ_BYTES];
    let (mut bytes, deadline) = (0, Deadline::after(time));
    loop {
        let before = bytes;
        for path in files {
            let failed = |error| BenchError::io(&path.display().to_string(), &error);
            let mut file = File::open(path).map_err(failed)?;
            loop {
                match file.read(&mut buffer).map_err(failed)? {
                    0 => break,
                    count => bytes += count,
                }
                if deadline.has_passed() {
                    return Ok(bytes as f64 / deadline.elapsed());
                }
            }
        }
        if bytes == before {
            return Err(BenchError::environment("the files to read are empty"));
        }
    }
}

/// Sequential writes of 1 MiB past the page cache. Nothing where the file system knows none.
pub(super) fn direct_write(directory: &Path, time: Duration) -> Result<Vec<Sample>, BenchError> {
    let temporary = Temporary::new(directory, "direct");
    let failed = |error| BenchError::io(&temporary.0.display().to_string(), &error);
    let file = match create_direct(&temporary.0) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Ok(Vec::new()),
        created => created.map_err(failed)?,
    };
    let buffer = vec![7; DIRECT_BYTES + DIRECT_ALIGNMENT];
    let begin = buffer.as_ptr().align_offset(DIRECT_ALIGNMENT);
    let aligned = &buffer[begin..begin + DIRECT_BYTES];
    let (mut written, mut offset) = (0, 0);
    let deadline = Deadline::after(time);
    while written == 0 || !deadline.has_passed() {
        file.write_all_at(aligned, offset as u64).map_err(failed)?;
        written += DIRECT_BYTES;
        offset = (offset + DIRECT_BYTES) % FILE_BYTES;
    }
    Ok(vec![Sample::new("throughput", "MB/s", written as f64 / deadline.elapsed() / 1e6)])
}
