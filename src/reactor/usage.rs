//! What this process and its threads have used so far, and what they give back.

use std::fs;
use std::time::Duration;

use super::sys::{self, Resource};

/// CPU and memory of the whole process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProcessUsage {
    /// Of all threads, in user and system mode, since the process began.
    pub cpu: Duration,
    /// Resident memory now; 0 where the kernel does not tell.
    pub memory_bytes: u64,
    /// Highest resident memory so far; 0 where the kernel does not tell.
    pub memory_peak_bytes: u64,
}

/// Asks the kernel. For threads that are no core: it reads a file.
pub fn process_usage() -> ProcessUsage {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let cpu = Duration::from_nanos(sys::process_cpu_ns());
    let bytes = |field| memory_bytes(&status, field).unwrap_or(0);
    ProcessUsage { cpu, memory_bytes: bytes("VmRSS:"), memory_peak_bytes: bytes("VmHWM:") }
}

/// Descriptors of this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Descriptors {
    /// So many are open.
    pub open: u64,
    /// As many may be.
    pub max: u64,
}

/// Asks the kernel. For threads that are no core.
pub fn process_descriptors() -> Descriptors {
    let max = Resource::Descriptors.limit().map_or(0, |limit| limit.soft);
    // Who cannot open the list has none left. The list is in itself.
    let open = fs::read_dir("/proc/self/fd").map_or(max, |open| open.count() as u64 - 1);
    Descriptors { open, max }
}

/// CPU the calling thread has used.
pub fn thread_cpu() -> Duration {
    Duration::from_nanos(sys::thread_cpu_ns())
}

/// Returns memory that has been free for a while to the operating system. For threads that are no
/// core: unmapping 600 MiB takes 30 ms.
pub fn return_freed_memory() {
    sys::return_freed_memory();
}

/// `VmHWM:     1234 kB`.
pub(super) fn memory_bytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    kibibytes.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_tells_what_was_used() {
        let peak = |status| memory_bytes(status, "VmHWM:");
        assert_eq!(peak("Name:\tx\nVmHWM:\t    12 kB\n"), Some(12 * 1024));
        assert_eq!(peak("Name:\tx\n"), None);
        let usage = process_usage();
        assert!(usage.cpu > Duration::ZERO);
        assert!(usage.memory_bytes > 0);
        let descriptors = process_descriptors();
        assert!(descriptors.open >= 3 && descriptors.open <= descriptors.max);
        assert!(usage.memory_peak_bytes >= usage.memory_bytes);
    }
}
