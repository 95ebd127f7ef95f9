//! Programs started beside this one: on CPUs of their own, and never left behind.

use std::fs;
use std::io;
use std::process::{Child, Command};
use std::time::Duration;

use super::sys;
use super::usage::{ProcessUsage, memory_bytes};

/// Ticks of `/proc/PID/stat` per second: a constant of the kernel's interface.
const TICKS_PER_SECOND: u32 = 100;

/// Starts `command` so that it runs on `cpus` alone, gets no signal of the terminal, and is killed when
/// the calling thread ends, however it ends.
///
/// # Errors
/// The operating system's; what stops the program between its birth and its beginning is among them.
pub fn start_child(command: &mut Command, cpus: &[usize]) -> io::Result<Child> {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
    sys::confine_child(command, cpus);
    command.spawn()
}

/// Sends SIGTERM to a child that has not been waited for.
///
/// # Errors
/// The operating system's.
pub fn ask_to_end(child: &Child) -> io::Result<()> {
    sys::terminate(child.id())
}

/// What a child has used so far; `None` when it is gone. CPU is told in steps of 10 ms.
pub fn child_usage(child: &Child) -> Option<ProcessUsage> {
    let read = |name: &str| fs::read_to_string(format!("/proc/{}/{name}", child.id())).ok();
    let cpu = cpu_time(&read("stat")?)?;
    let status = read("status")?;
    let bytes = |field| memory_bytes(&status, field).unwrap_or(0);
    Some(ProcessUsage { cpu, memory_bytes: bytes("VmRSS:"), memory_peak_bytes: bytes("VmHWM:") })
}

/// User and system time. The name in parentheses may contain anything, parentheses too.
fn cpu_time(stat: &str) -> Option<Duration> {
    let behind_name = &stat[stat.rfind(')')? + 1..];
    let mut fields = behind_name.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    let (user, system) = (ticks()?, ticks()?);
    let time = |spent| Duration::from_secs(1) * spent / TICKS_PER_SECOND;
    Some(time(user) + time(system))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Stdio;

    #[test]
    fn cpu_time_is_found_behind_any_name() {
        let stat = "7 (a) b) (c) S 1 2 3 4 5 6 7 8 9 10 150 25 0 0 20 0 1";
        assert_eq!(cpu_time(stat), Some(Duration::from_millis(1_750)));
        assert_eq!(cpu_time("7 (a) S 1 2"), None);
        assert_eq!(cpu_time(""), None);
    }

    #[test]
    fn a_child_runs_where_it_was_put_and_ends_when_asked() {
        let last = *super::super::allowed_cpus().unwrap().last().unwrap();
        let mut command = Command::new("cat");
        command.stdin(Stdio::piped()).stdout(Stdio::null());
        let mut child = start_child(&mut command, &[last]).unwrap();
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        assert_eq!(allowed.map(str::trim), Some(last.to_string().as_str()));
        assert!(child_usage(&child).unwrap().memory_peak_bytes > 0);
        ask_to_end(&child).unwrap();
        let ended = child.wait().unwrap();
        assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(15));
        assert_eq!(child_usage(&child), None);
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        assert!(start_child(&mut Command::new("/nowhere/program"), &[0]).is_err());
    }
}
