//! The floor: one pinned executor and one io_uring of our own per core. The only folder that names
//! glommio and io-uring.
//!
//! Read: `clock` · `net` and `disk` (the seams: traits with a real and a simulated side) · `ring` ⚠
//! (own ring; `ring/buffers` ⚠, what is received into) · `core_io` (both over the ring) · `mesh`
//! (polled rings between cores) · `park` (sleep, wake) · `executor` (the loop around a [`Task`]) ·
//! `topology` (which CPUs) · `threads` (those that are no core) · `child` (programs beside this one) ·
//! `direct` (writes past the page cache, blocks in advance, renames) · `usage` · `probe` and `measure` (what this machine can do)
//! · `sys` ⚠ (every libc call) · `testing` (seams in memory, for unit tests of every module).
//!
//! To run: [`probe()`], [`resolve_cores`], [`Cores::prepare`], make the channels between cores with
//! [`channel`] and [`Cores::wakers`], [`Cores::start`] with a factory of each core's [`Task`],
//! [`RunningCores::join`].

mod child;
mod clock;
mod core_io;
mod direct;
mod disk;
mod executor;
mod measure;
mod mesh;
mod net;
mod park;
mod probe;
mod ring;
mod sys;
#[cfg(test)]
pub(crate) mod testing;
mod threads;
mod topology;
mod usage;

use std::os::fd::AsFd;

pub use child::{ask_to_end, child_usage, start_child};
pub use clock::{Clock, ManualClock, SystemClock};
#[cfg(test)]
pub(crate) use core_io::CoreIo;
pub use direct::{DIRECT_ALIGNMENT, create_direct, forget_cached, preallocate, rename_new};
pub use disk::{Disk, DiskResult, FileId, FileStatus, OpenMode, OperationId};
pub use executor::{CoreFailure, Cores, ReactorOptions, RunningCores, Spin, TaskFactory};
pub use measure::{
    FileSystem, Measured, file_system, measure_loopback, measure_ring, measure_sync,
    measure_wake_up,
};
pub use mesh::{MeshReceiver, MeshSender, Wake, channel};
pub use net::{
    ConnectionId, Dialer, ListenerId, NetEvent, Network, OwnerId, Received, TcpEndpoint,
};
pub use probe::{Obstacle, probe};
pub use threads::{ThreadBell, leave_core_cpus, sleep, spawn_pinned, spawn_thread};
pub use topology::{CoresError, CoresRequest, allowed_cpus, helper_cpus, resolve_cores};
pub use usage::{
    Descriptors, ProcessUsage, process_descriptors, process_usage, return_freed_memory, thread_cpu,
};

/// True when this process may change the terminal `terminal`: one in the background would be stopped.
pub fn is_in_foreground(terminal: &impl AsFd) -> bool {
    sys::is_in_foreground(terminal.as_fd())
}

/// What a core's task may use of the outside world during a turn.
pub trait Io {
    /// Time.
    fn clock(&self) -> &dyn Clock;
    /// When this round began: monotonic nanoseconds, read once a round. For whoever looks whether it
    /// is time for something; a core that polls would else spend a fifth of its time on reading clocks.
    fn round_ns(&self) -> u64 {
        self.clock().monotonic_ns()
    }
    /// The wall clock at `round_ns`, to a millisecond: milliseconds since the epoch.
    fn round_ms(&self) -> i64 {
        self.clock().wall_ms()
    }
    /// Sockets of this core.
    fn network(&mut self) -> &mut dyn Network;
    /// Files.
    fn disk(&mut self) -> &mut dyn Disk;
    /// Hands to the kernel what was begun so far, rather than at the end of the round.
    fn submit(&mut self) {}
    /// How long the core has slept so far.
    fn parked_ns(&self) -> u64 {
        0
    }
}

/// The dataflow of one core, as the executor sees it.
pub trait Task {
    /// One bounded round of work. Called again at once while it says [`Turn::Busy`]; otherwise
    /// again when a completion, another core or the time `wakes_at` asks for it.
    fn turn(&mut self, io: &mut dyn Io) -> Turn;
}

/// What a turn found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    /// Something was done.
    Busy,
    /// Nothing to do until a completion, a wake-up from another core, or this time (monotonic ns).
    Idle {
        /// When the clock alone makes work.
        wakes_at_ns: Option<u64>,
    },
    /// The task is complete; the core's executor ends.
    Finished,
}
