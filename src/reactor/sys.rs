//! ⚠ Every call into libc that std has no safe form of. Each function is the whole of one call, its
//! memory and its error.

#![expect(unsafe_code, reason = "system calls are made here and nowhere else")]

use std::ffi::{CString, c_int};
use std::fs::File;
use std::io;
use std::mem::{size_of, zeroed};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A file system, as far as anybody asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct FileSystemStatus {
    /// The number of its kind.
    pub(super) kind: u64,
    /// Bytes an ordinary user may still write.
    pub(super) free_bytes: u64,
}

/// The file system that `path` is on.
pub(super) fn file_system_status(path: &Path) -> io::Result<FileSystemStatus> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: all zeroes is a valid `statfs`.
    let mut raw: libc::statfs = unsafe { zeroed() };
    // SAFETY: the path ends with a zero, and `raw` is a valid statfs for the duration of the call.
    check(unsafe { libc::statfs(path.as_ptr(), &raw mut raw) })?;
    let block_bytes = u64::try_from(raw.f_bsize).unwrap_or(0);
    Ok(FileSystemStatus {
        kind: u64::try_from(raw.f_type).unwrap_or(0),
        free_bytes: raw.f_bavail.saturating_mul(block_bytes),
    })
}

/// Gives a file its first `bytes` bytes of blocks.
pub(super) fn fallocate(file: &File, bytes: u64) -> io::Result<()> {
    let length = libc::off_t::try_from(bytes).map_err(io::Error::other)?;
    // SAFETY: no memory is passed.
    check(unsafe { libc::fallocate(file.as_raw_fd(), 0, 0, length) }).map(drop)
}

/// Drops the pages of a file that are in the page cache and need not be written.
pub(super) fn forget_cached(file: &File) -> io::Result<()> {
    // SAFETY: no memory is passed.
    match unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Renames; fails where a file has the new name.
pub(super) fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    let from = CString::new(from.as_os_str().as_bytes())?;
    let to = CString::new(to.as_os_str().as_bytes())?;
    let (here, flags) = (libc::AT_FDCWD, libc::RENAME_NOREPLACE);
    // SAFETY: both paths end with a zero and live through the call.
    check(unsafe { libc::renameat2(here, from.as_ptr(), here, to.as_ptr(), flags) }).map(drop)
}

/// Connections the kernel completes before they are accepted.
const BACKLOG_MAX: c_int = 1024;

/// An idle connection is probed after this long, …
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
/// … then this often, …
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
/// … and given up after so many probes: 30 s until a peer that vanished is noticed.
const KEEPALIVE_PROBES: c_int = 3;

/// Sent bytes nobody acknowledges, or that wait for a closed window, end the connection after this.
const UNSENT_TIME_MAX: Duration = Duration::from_secs(30);

/// Nanoseconds of the monotonic clock: the same on all cores.
pub(super) fn monotonic_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// Nanoseconds of CPU the calling thread has used.
pub(super) fn thread_cpu_ns() -> u64 {
    clock_ns(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Nanoseconds of CPU all threads of this process have used, in user and system mode.
pub(super) fn process_cpu_ns() -> u64 {
    clock_ns(libc::CLOCK_PROCESS_CPUTIME_ID)
}

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a valid timespec for the duration of the call.
    let result = unsafe { libc::clock_gettime(clock, &raw mut time) };
    assert_eq!(result, 0, "these clocks exist on every kernel");
    let seconds = u64::try_from(time.tv_sec).expect("these clocks start at zero");
    let nanos = u64::try_from(time.tv_nsec).expect("nanoseconds are 0 to 999,999,999");
    seconds * 1_000_000_000 + nanos
}

/// Has the allocator return what has been free for a second: it looks by itself only when a thread
/// allocates much. Does nothing where another allocator serves the process.
pub(super) fn return_freed_memory() {
    // SAFETY: no memory is passed; the allocator may be asked by any thread, at any time.
    unsafe { libmimalloc_sys::mi_collect(false) }
}

/// A counter file descriptor: written by whoever wakes, read by the core that sleeps. Blocking, so
/// that a read in a ring waits.
pub(super) fn eventfd() -> io::Result<OwnedFd> {
    // SAFETY: no memory is passed.
    let fd = check(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC) })?;
    // SAFETY: the call succeeded, so `fd` is open and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Adds one to an eventfd. Cannot block before 2^64 − 2 wake-ups went unread.
pub(super) fn ring_eventfd(eventfd: BorrowedFd<'_>) {
    let one: u64 = 1;
    // SAFETY: the pointer and length are those of `one`, which lives through the call.
    let written =
        unsafe { libc::write(eventfd.as_raw_fd(), (&raw const one).cast(), size_of::<u64>()) };
    assert_eq!(written, 8, "an eventfd takes eight bytes or the descriptor is not one");
}

/// glommio's view of a descriptor, so that a glommio task can wait in a read of it.
pub(super) fn glommio_file(fd: OwnedFd) -> glommio::io::BufferedFile {
    use std::os::fd::IntoRawFd;
    // SAFETY: `into_raw_fd` hands over the only owner; glommio closes it.
    unsafe { glommio::io::BufferedFile::from_raw_fd(fd.into_raw_fd()) }
}

/// A stream socket for `address`, not connected. Blocking: a ring waits for it, nobody else does.
pub(super) fn stream_socket(address: &SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { libc::AF_INET } else { libc::AF_INET6 };
    // SAFETY: no memory is passed.
    let fd = check(unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) })?;
    // SAFETY: the call succeeded, so `fd` is open and owned by nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A listening socket; an address left in TIME_WAIT by an earlier run is taken again.
pub(super) fn listen(address: &SocketAddr) -> io::Result<OwnedFd> {
    let socket = stream_socket(address)?;
    set_option(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
    let (storage, length) = socket_address(address);
    // SAFETY: `storage` is a socket address of `length` bytes that lives through the call.
    check(unsafe { libc::bind(socket.as_raw_fd(), (&raw const storage).cast(), length) })?;
    // SAFETY: no memory is passed.
    check(unsafe { libc::listen(socket.as_raw_fd(), BACKLOG_MAX) })?;
    Ok(socket)
}

/// No delay, and a dead peer is noticed. Errors are those of a socket that is already broken.
pub(super) fn prepare_connection(socket: &OwnedFd) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
    set_option(socket, libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)?;
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, seconds(KEEPALIVE_IDLE))?;
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_KEEPINTVL, seconds(KEEPALIVE_INTERVAL))?;
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_KEEPCNT, KEEPALIVE_PROBES)?;
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, millis(UNSENT_TIME_MAX))
}

/// Lets a peer keep its window closed for as long as it likes.
pub(super) fn wait_for_slow_peer(socket: &OwnedFd) -> io::Result<()> {
    set_option(socket, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, 0)
}

/// Ends the sending direction: the peer reads what was sent, then the end of the stream.
pub(super) fn shutdown_write(socket: &OwnedFd) -> io::Result<()> {
    // SAFETY: no memory is passed.
    check(unsafe { libc::shutdown(socket.as_raw_fd(), libc::SHUT_WR) }).map(drop)
}

/// True when a connection is gone in both directions, or reset.
pub(super) fn has_hung_up(socket: &OwnedFd) -> bool {
    let mut poll = libc::pollfd { fd: socket.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: `poll` is one valid entry for the duration of the call, which does not wait.
    let ready = unsafe { libc::poll(&raw mut poll, 1, 0) };
    ready > 0 && poll.revents & (libc::POLLHUP | libc::POLLERR) != 0
}

/// Closing discards what is unsent and resets the connection.
pub(super) fn reset_on_close(socket: &OwnedFd) -> io::Result<()> {
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    let length = libc::socklen_t::try_from(size_of::<libc::linger>()).expect("eight bytes");
    let (fd, pointer) = (socket.as_raw_fd(), (&raw const linger).cast());
    // SAFETY: the pointer and length are those of `linger`, which lives through the call.
    check(unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_LINGER, pointer, length) })
        .map(drop)
}

/// `address` as the kernel wants it, and how many of its bytes count.
pub(super) fn socket_address(address: &SocketAddr) -> (libc::sockaddr_storage, libc::socklen_t) {
    // SAFETY: all zeroes is a valid `sockaddr_storage`.
    let mut storage: libc::sockaddr_storage = unsafe { zeroed() };
    let length = match address {
        SocketAddr::V4(v4) => {
            let raw = libc::sockaddr_in {
                sin_family: family(libc::AF_INET),
                sin_port: v4.port().to_be(),
                sin_addr: libc::in_addr { s_addr: u32::from(*v4.ip()).to_be() },
                sin_zero: [0; 8],
            };
            // SAFETY: `sockaddr_storage` is at least as large and as aligned as `sockaddr_in`.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in>().write(raw) };
            size_of::<libc::sockaddr_in>()
        }
        SocketAddr::V6(v6) => {
            let raw = libc::sockaddr_in6 {
                sin6_family: family(libc::AF_INET6),
                sin6_port: v6.port().to_be(),
                sin6_flowinfo: v6.flowinfo(),
                sin6_addr: libc::in6_addr { s6_addr: v6.ip().octets() },
                sin6_scope_id: v6.scope_id(),
            };
            // SAFETY: `sockaddr_storage` is at least as large and as aligned as `sockaddr_in6`.
            unsafe { (&raw mut storage).cast::<libc::sockaddr_in6>().write(raw) };
            size_of::<libc::sockaddr_in6>()
        }
    };
    (storage, libc::socklen_t::try_from(length).expect("an address is a few bytes"))
}

/// Lets the calling thread run on `cpus` alone.
pub(super) fn set_affinity(cpus: &[usize]) -> io::Result<()> {
    let set = cpu_set(cpus);
    // SAFETY: the pointer and size are those of `set`, which lives through the call.
    check(unsafe { libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const set) })
        .map(drop)
}

/// Has the program that `command` starts run on `cpus` alone, and end with the thread that starts it.
pub(super) fn confine_child(command: &mut Command, cpus: &[usize]) {
    let set = cpu_set(cpus);
    let prepare = move || {
        let size = size_of::<libc::cpu_set_t>();
        // SAFETY: the pointer and size are those of `set`, which the closure owns.
        check(unsafe { libc::sched_setaffinity(0, size, &raw const set) })?;
        // SAFETY: no memory is passed.
        check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }).map(drop)
    };
    // SAFETY: between fork and exec the closure makes two system calls; it allocates and locks nothing.
    unsafe { command.pre_exec(prepare) };
}

/// True when this process may change the terminal that `terminal` is: one in the background would be
/// stopped.
pub(super) fn is_in_foreground(terminal: BorrowedFd<'_>) -> bool {
    // SAFETY: no memory is passed.
    let foreground = unsafe { libc::tcgetpgrp(terminal.as_raw_fd()) };
    // SAFETY: no memory is passed.
    foreground == unsafe { libc::getpgrp() }
}

/// Sends SIGTERM to a process.
pub(super) fn terminate(process: u32) -> io::Result<()> {
    let process = libc::pid_t::try_from(process).map_err(io::Error::other)?;
    // SAFETY: no memory is passed.
    check(unsafe { libc::kill(process, libc::SIGTERM) }).map(drop)
}

/// The set of `cpus`; numbers no kernel knows are left out.
pub(super) fn cpu_set(cpus: &[usize]) -> libc::cpu_set_t {
    // SAFETY: all zeroes is an empty `cpu_set_t`.
    let mut set: libc::cpu_set_t = unsafe { zeroed() };
    for cpu in cpus.iter().filter(|cpu| **cpu < cpu_set_size()) {
        // SAFETY: `cpu` is below the size of the set.
        unsafe { libc::CPU_SET(*cpu, &mut set) };
    }
    set
}

fn cpu_set_size() -> usize {
    usize::try_from(libc::CPU_SETSIZE).expect("a positive constant")
}

/// A limit of this process: what counts now, and up to where it may be raised without privilege.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct ResourceLimit {
    pub(super) soft: u64,
    pub(super) hard: u64,
}

/// Limits the reactor cares about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Resource {
    /// Bytes that may be locked or registered with a ring.
    LockedMemory,
    /// Open descriptors.
    Descriptors,
}

impl Resource {
    fn raw(self) -> libc::__rlimit_resource_t {
        match self {
            Resource::LockedMemory => libc::RLIMIT_MEMLOCK,
            Resource::Descriptors => libc::RLIMIT_NOFILE,
        }
    }

    /// The limit.
    pub(super) fn limit(self) -> io::Result<ResourceLimit> {
        let mut raw = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: `raw` is a valid rlimit for the duration of the call.
        check(unsafe { libc::getrlimit(self.raw(), &raw mut raw) })?;
        Ok(ResourceLimit { soft: raw.rlim_cur, hard: raw.rlim_max })
    }

    /// Changes the limit; only a privileged process can raise `hard`.
    pub(super) fn set_limit(self, limit: ResourceLimit) -> io::Result<()> {
        let raw = libc::rlimit { rlim_cur: limit.soft, rlim_max: limit.hard };
        // SAFETY: `raw` is a valid rlimit for the duration of the call.
        check(unsafe { libc::setrlimit(self.raw(), &raw const raw) }).map(drop)
    }
}

fn set_option(socket: &OwnedFd, level: c_int, name: c_int, value: c_int) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<c_int>()).expect("four bytes");
    let pointer = (&raw const value).cast();
    // SAFETY: the pointer and length are those of `value`, which lives through the call.
    check(unsafe { libc::setsockopt(socket.as_raw_fd(), level, name, pointer, length) }).map(drop)
}

fn family(family: c_int) -> libc::sa_family_t {
    libc::sa_family_t::try_from(family).expect("address families are small numbers")
}

fn seconds(time: Duration) -> c_int {
    c_int::try_from(time.as_secs()).expect("a constant of this file")
}

fn millis(time: Duration) -> c_int {
    c_int::try_from(time.as_millis()).expect("a constant of this file")
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
