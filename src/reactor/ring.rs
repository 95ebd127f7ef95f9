//! ⚠ One io_uring per core, ours: operations in, completions out, polled.
//!
//! In:  operations, each with a [`Tag`] that says whose it is.
//! Out: completions, in the order the kernel posts them.
//!
//! Read: `flights` (operations the kernel has, with their memory) · `buffers` ⚠ (receive pool).
//!
//! Invariants
//! - Memory the kernel reads or writes during an operation is owned by the ring until the
//!   operation's last completion. If the ring is dropped before, it cancels everything and waits;
//!   what still does not end is leaked, never freed.
//! - Descriptors are resolved when an operation is submitted, in order; a descriptor is closed by
//!   an operation of its own, which comes after all that use it.
//! - A ring is used by the thread that created it, and by no other (single issuer).
//!
//! Deliberately absent: what the operations mean; see `net` and `disk`.

#![expect(unsafe_code, reason = "memory shared with the kernel")]

mod buffers;
mod flights;

use std::collections::VecDeque;
use std::ffi::CString;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use io_uring::types::{CancelBuilder, Fd, FsyncFlags, SubmitArgs, TimeoutFlags, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};

use super::{ConnectionId, FileStatus, ListenerId, OperationId, Received, sys};
use crate::limits::{DISK_STEP_BYTES, RING_COMPLETIONS, RING_SUBMISSIONS};
use buffers::{BUFFER_GROUP, Buffers};
pub(super) use flights::Ticket;
use flights::{Flight, Flights, Memory, Yields};

/// How long a dropped ring waits for the kernel, in rounds of [`DRAIN_ROUND`].
const DRAIN_ROUNDS_MAX: u32 = 50;
const DRAIN_ROUND: Duration = Duration::from_millis(20);

/// Whose operation it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Tag {
    /// Connections accepted at a listener.
    Accept(ListenerId),
    /// A connection being made.
    Connect(ConnectionId),
    /// Bytes from a peer.
    Receive(ConnectionId),
    /// Bytes from a peer, into memory of its owner.
    Fill(ConnectionId),
    /// Bytes to a peer.
    Send(ConnectionId),
    /// A step of a file operation.
    Disk(OperationId),
    /// This time has come (monotonic ns).
    Timer(u64),
    /// Nobody waits for it: a cancel, a close.
    Nothing,
}

/// What an operation came to.
#[derive(Debug)]
pub(super) enum Outcome {
    /// It succeeded; of a receive, the end of the stream.
    Done,
    /// A new descriptor.
    Descriptor(OwnedFd),
    /// Bytes in a provided buffer.
    Received(Received),
    /// The bytes given back, and how many of them were moved.
    Moved(Vec<u8>, usize),
    /// What `stat` says.
    Status(FileStatus),
    /// It failed; the bytes given, if there were any.
    Failed(io::Error, Option<Vec<u8>>),
}

/// One completion.
#[derive(Debug)]
pub(super) struct Completion {
    /// Whose.
    pub(super) tag: Tag,
    /// What it came to.
    pub(super) outcome: Outcome,
    /// False while a multishot operation goes on.
    pub(super) is_last: bool,
}

/// The ring of one core.
pub(super) struct Ring {
    // Dropped first: the kernel forgets the buffers before they are freed.
    ring: IoUring,
    buffers: Buffers,
    flights: Flights,
    /// Entries the submission queue had no room for.
    backlog: VecDeque<squeue::Entry>,
}

/// A builder with the features the design stands on; shared with the probe.
pub(super) fn builder() -> io_uring::Builder {
    let mut builder = IoUring::builder();
    // Completions are worked off when this thread asks, not whenever an interrupt comes; a flag in
    // shared memory says that there are some, so that polling needs no system call.
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(RING_COMPLETIONS);
    builder
}

impl Ring {
    /// A ring for the calling thread; completions signal `doorbell` while it is armed. Slow file
    /// operations run on `helper_cpus`, unless that is empty.
    ///
    /// # Errors
    /// The kernel's, when it has no such rings or not enough memory may be locked.
    pub(super) fn new(doorbell: BorrowedFd<'_>, helper_cpus: &[usize]) -> io::Result<Ring> {
        let ring = builder().build(RING_SUBMISSIONS)?;
        ring.submitter().register_eventfd(doorbell.as_raw_fd())?;
        if !helper_cpus.is_empty() {
            ring.submitter().register_iowq_aff(&sys::cpu_set(helper_cpus))?;
        }
        let buffers = Buffers::new(&ring)?;
        let mut ring =
            Ring { ring, buffers, flights: Flights::default(), backlog: VecDeque::new() };
        ring.arm_doorbell(false);
        Ok(ring)
    }

    /// Whether completions signal the doorbell.
    pub(super) fn arm_doorbell(&mut self, armed: bool) {
        let completions = self.ring.completion();
        if armed { completions.enable_eventfd() } else { completions.disable_eventfd() }
    }

    /// Hands new operations to the kernel and has it post what is complete; a system call only if
    /// there is something to hand over or to post. Never waits.
    ///
    /// # Errors
    /// The kernel's, when the ring is beyond use.
    pub(super) fn submit(&mut self) -> io::Result<()> {
        loop {
            self.refill();
            let queue = self.ring.submission();
            if queue.is_empty() && !queue.taskrun() && !queue.cq_overflow() {
                return Ok(());
            }
            drop(queue);
            match self.ring.submit() {
                Ok(_) if self.backlog.is_empty() => return Ok(()),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The kernel wants completions taken before it accepts more, or lacks memory for
                // the moment. What was not submitted stays queued for the next round.
                Err(error) if is_transient(&error) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    /// True when a submit or `next_completion` would find something.
    pub(super) fn has_work(&mut self) -> bool {
        let queue = self.ring.submission();
        let kernel_has_work = queue.taskrun() || queue.cq_overflow() || !queue.is_empty();
        drop(queue);
        kernel_has_work || !self.backlog.is_empty() || !self.ring.completion().is_empty()
    }

    /// Operations not yet handed to the kernel.
    pub(super) fn has_unsubmitted(&mut self) -> bool {
        !self.backlog.is_empty() || !self.ring.submission().is_empty()
    }

    /// The next thing that happened.
    pub(super) fn next_completion(&mut self) -> Option<Completion> {
        let entry = self.ring.completion().next()?;
        let ticket = Ticket(entry.user_data());
        if cqueue::more(entry.flags()) {
            let flight = self.flights.get(ticket);
            let (tag, yields) = (flight.tag, flight.yields);
            let outcome = self.outcome(&entry, yields, Memory::None);
            return Some(Completion { tag, outcome, is_last: false });
        }
        let flight = self.flights.land(ticket);
        let outcome = self.outcome(&entry, flight.yields, flight.memory);
        Some(Completion { tag: flight.tag, outcome, is_last: true })
    }

    fn outcome(&mut self, entry: &cqueue::Entry, yields: Yields, memory: Memory) -> Outcome {
        let buffer = cqueue::buffer_select(entry.flags());
        let Ok(count) = u32::try_from(entry.result()) else {
            if let Some(buffer) = buffer {
                self.buffers.recycle(buffer);
            }
            let error = io::Error::from_raw_os_error(-entry.result());
            return Outcome::Failed(error, memory.into_bytes());
        };
        match (yields, buffer) {
            (Yields::Buffer, Some(buffer)) if count > 0 => {
                return Outcome::Received(self.buffers.lend_out(buffer, count));
            }
            (_, Some(buffer)) => self.buffers.recycle(buffer),
            (Yields::Descriptor, None) => return Outcome::Descriptor(descriptor(count)),
            (_, None) => {}
        }
        match memory {
            Memory::Bytes(bytes) => moved(bytes, count, yields),
            Memory::Status(status, _) => Outcome::Status(file_status(&status)),
            _ => Outcome::Done,
        }
    }

    /// The bytes of a buffer that was received.
    pub(super) fn bytes(&self, received: &Received) -> &[u8] {
        self.buffers.bytes(received)
    }

    /// Gives a buffer back to the kernel.
    pub(super) fn release(&mut self, received: Received) {
        self.buffers.release(received);
    }

    /// Buffers the kernel may still receive into.
    pub(super) fn free_buffers(&self) -> u16 {
        self.buffers.free()
    }

    /// Accepts connections, one completion each, until it is cancelled or fails.
    pub(super) fn accept(&mut self, listener: BorrowedFd<'_>, tag: Tag) -> Ticket {
        let entry = opcode::AcceptMulti::new(raw(listener)).flags(libc::SOCK_CLOEXEC).build();
        self.push(entry, Flight { tag, yields: Yields::Descriptor, memory: Memory::None })
    }

    /// Receives into provided buffers, one completion each, until the end of the stream, an error,
    /// or no buffer is left (`ENOBUFS`).
    pub(super) fn receive(&mut self, socket: BorrowedFd<'_>, tag: Tag) -> Ticket {
        let entry = opcode::RecvMulti::new(raw(socket), BUFFER_GROUP).build();
        self.push(entry, Flight { tag, yields: Yields::Buffer, memory: Memory::None })
    }

    /// Receives once behind what `bytes` holds, at most `bytes_max` and at most up to its capacity.
    pub(super) fn receive_into(
        &mut self,
        socket: BorrowedFd<'_>,
        mut bytes: Vec<u8>,
        bytes_max: usize,
        tag: Tag,
    ) -> Ticket {
        let spare = bytes.spare_capacity_mut();
        let length = step_length(spare.len().min(bytes_max));
        // Of nothing the kernel would receive nothing, which is how it says that the stream has ended.
        assert!(length > 0, "there is room for what comes");
        let entry = opcode::Recv::new(raw(socket), spare.as_mut_ptr().cast(), length).build();
        self.push(entry, Flight { tag, yields: Yields::Appended, memory: Memory::Bytes(bytes) })
    }

    /// Connects.
    pub(super) fn connect(
        &mut self,
        socket: BorrowedFd<'_>,
        address: &SocketAddr,
        tag: Tag,
    ) -> Ticket {
        let (storage, length) = sys::socket_address(address);
        let storage = Box::new(storage);
        let entry = opcode::Connect::new(raw(socket), (&raw const *storage).cast(), length).build();
        self.push(entry, Flight { tag, yields: Yields::Count, memory: Memory::Address(storage) })
    }

    /// Sends `bytes[from..]`, or a part of it.
    pub(super) fn send(
        &mut self,
        socket: BorrowedFd<'_>,
        bytes: Vec<u8>,
        from: usize,
        tag: Tag,
    ) -> Ticket {
        let part = &bytes[from..];
        let entry = opcode::Send::new(raw(socket), part.as_ptr(), step_length(part.len()))
            .flags(libc::MSG_NOSIGNAL)
            .build();
        self.push(entry, Flight { tag, yields: Yields::Count, memory: Memory::Bytes(bytes) })
    }

    /// Completes when a descriptor that does not block can be written again.
    pub(super) fn await_writable(&mut self, file: BorrowedFd<'_>, bytes: Vec<u8>, tag: Tag) {
        let events = u32::try_from(libc::POLLOUT).expect("a small constant");
        let entry = opcode::PollAdd::new(raw(file), events).build();
        self.push(entry, Flight { tag, yields: Yields::Nothing, memory: Memory::Bytes(bytes) });
    }

    /// Reads at `offset` behind what `bytes` holds, at most [`DISK_STEP_BYTES`] and at most up to
    /// its capacity.
    pub(super) fn read(
        &mut self,
        file: BorrowedFd<'_>,
        offset: u64,
        mut bytes: Vec<u8>,
        length_max: usize,
        tag: Tag,
    ) -> Ticket {
        let spare = bytes.spare_capacity_mut();
        let length = step_length(spare.len().min(length_max));
        let entry =
            opcode::Read::new(raw(file), spare.as_mut_ptr().cast(), length).offset(offset).build();
        self.push(entry, Flight { tag, yields: Yields::Appended, memory: Memory::Bytes(bytes) })
    }

    /// Writes `bytes[from..]` at `offset` (`None`: where the file stands), at most
    /// [`DISK_STEP_BYTES`] of it.
    pub(super) fn write(
        &mut self,
        file: BorrowedFd<'_>,
        offset: Option<u64>,
        bytes: Vec<u8>,
        from: usize,
        tag: Tag,
    ) -> Ticket {
        let part = &bytes[from..];
        let entry = opcode::Write::new(raw(file), part.as_ptr(), step_length(part.len()))
            .offset(offset.unwrap_or(u64::MAX))
            .build();
        self.push(entry, Flight { tag, yields: Yields::Count, memory: Memory::Bytes(bytes) })
    }

    /// Makes a file's data, and what is needed to find it, durable.
    pub(super) fn sync_data(&mut self, file: BorrowedFd<'_>, tag: Tag) -> Ticket {
        let entry = opcode::Fsync::new(raw(file)).flags(FsyncFlags::DATASYNC).build();
        self.push(entry, Flight { tag, yields: Yields::Count, memory: Memory::None })
    }

    /// Makes `length` bytes at `offset`, and what is needed to find them, durable.
    pub(super) fn sync_range(
        &mut self,
        file: BorrowedFd<'_>,
        offset: u64,
        length: u32,
        tag: Tag,
    ) -> Ticket {
        let entry = opcode::Fsync::new(raw(file))
            .offset(offset)
            .len(length)
            .flags(FsyncFlags::DATASYNC)
            .build();
        self.push(entry, Flight { tag, yields: Yields::Count, memory: Memory::None })
    }

    /// Makes all of a file durable; of a directory, its names.
    pub(super) fn sync_all(&mut self, file: BorrowedFd<'_>, tag: Tag) -> Ticket {
        let entry = opcode::Fsync::new(raw(file)).build();
        self.push(entry, Flight { tag, yields: Yields::Count, memory: Memory::None })
    }

    /// Opens `path`.
    pub(super) fn open(&mut self, path: CString, flags: i32, tag: Tag) -> Ticket {
        let entry = opcode::OpenAt::new(Fd(libc::AT_FDCWD), path.as_ptr())
            .flags(flags | libc::O_CLOEXEC)
            .mode(0o644)
            .build();
        self.push(entry, Flight { tag, yields: Yields::Descriptor, memory: Memory::Path(path) })
    }

    /// Renames; an existing `to` is an error.
    pub(super) fn rename(&mut self, from: CString, to: CString, tag: Tag) -> Ticket {
        let (here, paths) = (Fd(libc::AT_FDCWD), Box::new((from, to)));
        let entry = opcode::RenameAt::new(here, paths.0.as_ptr(), here, paths.1.as_ptr())
            .flags(libc::RENAME_NOREPLACE)
            .build();
        self.push(entry, Flight { tag, yields: Yields::Count, memory: Memory::Paths(paths) })
    }

    /// Removes a file.
    pub(super) fn remove(&mut self, path: CString, tag: Tag) -> Ticket {
        let entry = opcode::UnlinkAt::new(Fd(libc::AT_FDCWD), path.as_ptr()).build();
        self.push(entry, Flight { tag, yields: Yields::Count, memory: Memory::Path(path) })
    }

    /// Status of what `path` names.
    pub(super) fn stat_path(&mut self, path: CString, tag: Tag) -> Ticket {
        self.stat(libc::AT_FDCWD, path, 0, tag)
    }

    /// Status of an open file.
    pub(super) fn stat_file(&mut self, file: BorrowedFd<'_>, tag: Tag) -> Ticket {
        self.stat(file.as_raw_fd(), CString::default(), libc::AT_EMPTY_PATH, tag)
    }

    fn stat(&mut self, directory: RawFd, path: CString, flags: i32, tag: Tag) -> Ticket {
        // SAFETY: all zeroes is a valid `statx`.
        let mut status: Box<libc::statx> = Box::new(unsafe { std::mem::zeroed() });
        let target = (&raw mut *status).cast();
        let entry = opcode::Statx::new(Fd(directory), path.as_ptr(), target)
            .flags(flags)
            .mask(libc::STATX_SIZE | libc::STATX_INO)
            .build();
        let memory = Memory::Status(status, path);
        self.push(entry, Flight { tag, yields: Yields::Count, memory })
    }

    /// Closes a descriptor, after everything submitted before.
    pub(super) fn close(&mut self, fd: OwnedFd, tag: Tag) -> Ticket {
        // The kernel closes it. Should the entry never be submitted, it is closed with the process.
        let entry = opcode::Close::new(Fd(fd.into_raw_fd())).build();
        self.push(entry, Flight { tag, yields: Yields::Count, memory: Memory::None })
    }

    /// Completes at `at_ns` of the monotonic clock.
    pub(super) fn timer(&mut self, at_ns: u64) -> Ticket {
        let time = Timespec::from(Duration::from_nanos(at_ns));
        let time = Box::new(time);
        let entry = opcode::Timeout::new(&raw const *time).flags(TimeoutFlags::ABS).build();
        let memory = Memory::Time(time);
        self.push(entry, Flight { tag: Tag::Timer(at_ns), yields: Yields::Count, memory })
    }

    /// Asks for an operation to end early. It completes all the same, perhaps successfully.
    pub(super) fn cancel(&mut self, ticket: Ticket) {
        let entry = opcode::AsyncCancel::new(ticket.0).build();
        let memory = Memory::None;
        self.push(entry, Flight { tag: Tag::Nothing, yields: Yields::Count, memory });
    }

    fn push(&mut self, entry: squeue::Entry, flight: Flight) -> Ticket {
        let ticket = self.flights.launch(flight);
        self.backlog.push_back(entry.user_data(ticket.0));
        if self.backlog.len() == 1 {
            self.refill();
        }
        ticket
    }

    /// Moves entries into the submission queue while there is room.
    fn refill(&mut self) {
        let mut queue = self.ring.submission();
        while let Some(entry) = self.backlog.front() {
            // SAFETY: all memory the entry points to is owned by its flight, which stays in
            // `flights` until the operation's last completion (or is leaked, see `drop`).
            if unsafe { queue.push(entry) }.is_err() {
                return;
            }
            self.backlog.pop_front();
        }
    }

    /// Cancels everything and waits; false when some operation does not end.
    fn drain(&mut self) -> bool {
        let entry = opcode::AsyncCancel2::new(CancelBuilder::any().all()).build();
        let memory = Memory::None;
        self.push(entry, Flight { tag: Tag::Nothing, yields: Yields::Count, memory });
        let round = Timespec::from(DRAIN_ROUND);
        for _ in 0..DRAIN_ROUNDS_MAX {
            while let Some(completion) = self.next_completion() {
                if let Outcome::Received(received) = completion.outcome {
                    self.release(received);
                }
            }
            if self.flights.len() == 0 {
                return true;
            }
            self.refill();
            // A failure here is a time-out, or shows as flights that do not land.
            let _ = self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&round));
        }
        false
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if !self.drain() {
            std::mem::forget(std::mem::take(&mut self.flights));
            self.buffers.leak();
        }
    }
}

fn raw(fd: BorrowedFd<'_>) -> Fd {
    Fd(fd.as_raw_fd())
}

/// One operation moves at most so much: a copy from the page cache happens while it is submitted.
fn step_length(bytes: usize) -> u32 {
    u32::try_from(bytes.min(DISK_STEP_BYTES)).expect("asserted in limits")
}

fn is_transient(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EBUSY | libc::EAGAIN))
}

fn descriptor(count: u32) -> OwnedFd {
    let fd = RawFd::try_from(count).expect("descriptors are small positive numbers");
    // SAFETY: an accept or open has just succeeded with this descriptor, and nobody else knows it.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

fn moved(mut bytes: Vec<u8>, count: u32, yields: Yields) -> Outcome {
    let count = match yields {
        Yields::Nothing => 0,
        _ => usize::try_from(count).expect("32 bits fit"),
    };
    if yields == Yields::Appended {
        let length = bytes.len() + count;
        assert!(length <= bytes.capacity(), "the kernel reads no more than it was asked for");
        // SAFETY: the kernel has written `count` bytes behind the first `len`, within the capacity.
        unsafe { bytes.set_len(length) };
    }
    Outcome::Moved(bytes, count)
}

fn file_status(status: &libc::statx) -> FileStatus {
    // As `stat` numbers devices, so that it compares with what std says of a file.
    let device = libc::makedev(status.stx_dev_major, status.stx_dev_minor);
    FileStatus { bytes: status.stx_size, device, inode: status.stx_ino }
}

impl Memory {
    fn into_bytes(self) -> Option<Vec<u8>> {
        match self {
            Memory::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }
}
