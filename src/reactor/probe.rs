//! Can this machine run the reactor? Everything that is missing, each with its remedy.

use std::fmt;
use std::fs;
use std::io;

use io_uring::{Probe, opcode};

use super::ring;
use super::sys::{Resource, ResourceLimit};

/// Locked memory glommio insists on.
const LOCKED_MEMORY_BYTES_MIN: u64 = 512 * 1024;

/// What the build needs of the CPU, beyond the x86-64 of 2003, under the kernel's names.
const CPU_FLAGS: [&str; 6] = ["avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"];

/// Something this machine lacks: one line.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Obstacle {
    /// What does not work.
    pub what: String,
    /// What the machine said.
    pub why: String,
    /// What to do about it.
    pub remedy: String,
}

/// Everything that keeps this machine from running the reactor. Raises the limits of locked memory
/// and open files as far as it may.
pub fn probe() -> Vec<Obstacle> {
    let checks = [check_cpu(), raise_locked_memory(), check_ring()];
    raise_descriptors();
    checks.into_iter().flatten().collect()
}

fn check_cpu() -> Option<Obstacle> {
    if !cfg!(target_arch = "x86_64") {
        return None;
    }
    // Not `is_x86_feature_detected!`, which is constant for what the build already assumes.
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let missing = missing_cpu_flags(&text)?;
    Some(Obstacle {
        what: "this CPU is too old".into(),
        why: format!("it lacks {missing}"),
        remedy: "use an x86-64-v3 CPU (2013 and later), or build with target-cpu=native".into(),
    })
}

/// `None` when nothing is missing, or the text does not say.
fn missing_cpu_flags(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("flags"))?;
    let flags: Vec<&str> = line.split_ascii_whitespace().collect();
    let missing: Vec<&str> =
        CPU_FLAGS.iter().copied().filter(|flag| !flags.contains(flag)).collect();
    if missing.is_empty() { None } else { Some(missing.join(", ")) }
}

fn raise_locked_memory() -> Option<Obstacle> {
    let limit = Resource::LockedMemory.limit().ok()?;
    if limit.soft >= LOCKED_MEMORY_BYTES_MIN {
        return None;
    }
    let soft = LOCKED_MEMORY_BYTES_MIN;
    let raised = ResourceLimit { soft, hard: limit.hard.max(soft) };
    let error = Resource::LockedMemory.set_limit(raised).err()?;
    Some(Obstacle {
        what: format!("{soft} bytes of locked memory are needed, {} allowed", limit.soft),
        why: error.to_string(),
        remedy: "ulimit -l 8192, LimitMEMLOCK=infinity or docker --ulimit memlock=-1".into(),
    })
}

/// Connections need descriptors; fewer are no obstacle.
fn raise_descriptors() {
    if let Ok(limit) = Resource::Descriptors.limit() {
        // Refused only when the hard limit has just been lowered.
        let _ = Resource::Descriptors.set_limit(ResourceLimit { soft: limit.hard, ..limit });
    }
}

fn check_ring() -> Option<Obstacle> {
    let ring = match ring::builder().build(8) {
        Ok(ring) => ring,
        Err(error) => return Some(Obstacle::ring(&error)),
    };
    let mut probe = Probe::new();
    if let Err(error) = ring.submitter().register_probe(&mut probe) {
        return Some(Obstacle::ring(&error));
    }
    let needed = needed_operations();
    let missing: Vec<&str> = needed
        .iter()
        .filter(|(_, code)| !probe.is_supported(*code))
        .map(|(name, _)| *name)
        .collect();
    if missing.is_empty() {
        return None;
    }
    Some(Obstacle {
        what: "this kernel's io_uring is too old".into(),
        why: format!("it lacks {}", missing.join(", ")),
        remedy: "use Linux 6.1 or later".into(),
    })
}

fn needed_operations() -> [(&'static str, u8); 16] {
    [
        ("accept", opcode::AcceptMulti::CODE),
        ("connect", opcode::Connect::CODE),
        ("recv", opcode::RecvMulti::CODE),
        ("send", opcode::Send::CODE),
        ("poll", opcode::PollAdd::CODE),
        ("cancel", opcode::AsyncCancel2::CODE),
        ("timeout", opcode::Timeout::CODE),
        ("close", opcode::Close::CODE),
        ("openat", opcode::OpenAt::CODE),
        ("read", opcode::Read::CODE),
        ("write", opcode::Write::CODE),
        ("fsync", opcode::Fsync::CODE),
        ("statx", opcode::Statx::CODE),
        ("renameat", opcode::RenameAt::CODE),
        ("unlinkat", opcode::UnlinkAt::CODE),
        ("fallocate", opcode::Fallocate::CODE),
    ]
}

impl Obstacle {
    /// The kernel gives no ring.
    pub(super) fn ring(error: &io::Error) -> Obstacle {
        let remedy = match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => {
                "allow io_uring: sysctl kernel.io_uring_disabled=0; in a container, a seccomp \
                 profile with io_uring_setup, io_uring_enter and io_uring_register"
            }
            Some(libc::ENOSYS | libc::EINVAL) => {
                "use Linux 6.1 or later with io_uring (CONFIG_IO_URING)"
            }
            Some(libc::ENOMEM) => {
                "allow more locked memory: ulimit -l 8192, LimitMEMLOCK=infinity or docker \
                 --ulimit memlock=-1"
            }
            Some(libc::EMFILE | libc::ENFILE) => "allow more open files: ulimit -n 65536",
            _ => "see the kernel's log",
        };
        Obstacle {
            what: "io_uring is not available".into(),
            why: error.to_string(),
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}; {}", self.what, self.why, self.remedy)
    }
}

impl std::error::Error for Obstacle {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_will_do() {
        assert_eq!(probe(), []);
    }

    #[test]
    fn an_old_cpu_is_told_by_its_flags() {
        let all = format!("processor: 0\nflags\t\t: fpu {}\n", CPU_FLAGS.join(" "));
        assert_eq!(missing_cpu_flags(&all), None);
        assert_eq!(missing_cpu_flags(&all.replace(" fma", "")), Some("fma".into()));
        assert_eq!(missing_cpu_flags("processor: 0\n"), None);
    }

    #[track_caller]
    fn check(errno: i32, expected: &str) {
        let text = Obstacle::ring(&io::Error::from_raw_os_error(errno)).to_string();
        assert!(text.contains(expected), "{text}");
        assert_eq!(text.lines().count(), 1);
    }

    #[test]
    fn each_refusal_has_its_remedy() {
        check(libc::EPERM, "kernel.io_uring_disabled=0");
        check(libc::ENOSYS, "Linux 6.1");
        check(libc::ENOMEM, "ulimit -l");
        check(libc::EMFILE, "ulimit -n");
        check(libc::EIO, "kernel's log");
    }
}
