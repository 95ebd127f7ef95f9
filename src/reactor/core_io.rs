//! The real [`Io`] of one core: its ring, and the sockets and files over it.
//!
//! In:  calls of [`Network`] and [`Disk`]; completions of the ring.
//! Out: operations on the ring, once per poll; events and results for those who ask.
//!
//! Invariants
//! - Used by the thread that created it alone.
//! - `poll` never waits.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;

use super::disk::Files;
use super::net::Sockets;
use super::ring::{Completion, Ring, Tag, Ticket};
use super::{
    Clock, ConnectionId, Disk, DiskResult, FileId, Io, ListenerId, NetEvent, Network, OpenMode,
    OperationId, OwnerId, Received, SystemClock,
};
use crate::limits::POLL_ROUNDS_MAX;

/// Network, disk and time of one core.
pub(crate) struct CoreIo {
    ring: Ring,
    sockets: Sockets,
    files: Files,
    clock: SystemClock,
    /// The timer the kernel has, and when it ends.
    timer: Option<(u64, Ticket)>,
    parked_ns: u64,
    round_ns: u64,
    wall: WallClock,
}

/// The wall clock counts milliseconds: it is not read more often than this.
const WALL_READ_NS: u64 = 100_000;

/// The wall clock, read now and then.
struct WallClock {
    ms: i64,
    read_ns: u64,
}

impl WallClock {
    fn read(clock: SystemClock, now_ns: u64) -> WallClock {
        WallClock { ms: clock.wall_ms(), read_ns: now_ns }
    }

    fn look(&mut self, clock: SystemClock, now_ns: u64) {
        if self.read_ns.saturating_add(WALL_READ_NS) <= now_ns {
            *self = WallClock::read(clock, now_ns);
        }
    }
}

impl CoreIo {
    /// The outside world of the calling thread. Completions signal `doorbell` while it is armed.
    ///
    /// # Errors
    /// The kernel's, when it gives no ring.
    pub(super) fn new(doorbell: BorrowedFd<'_>, helper_cpus: &[usize]) -> io::Result<CoreIo> {
        let now_ns = SystemClock.monotonic_ns();
        Ok(CoreIo {
            ring: Ring::new(doorbell, helper_cpus)?,
            sockets: Sockets::new(now_ns),
            files: Files::default(),
            clock: SystemClock,
            timer: None,
            parked_ns: 0,
            round_ns: now_ns,
            wall: WallClock::read(SystemClock, now_ns),
        })
    }

    /// Submits what was begun and takes what is complete. True when something was.
    ///
    /// # Errors
    /// The kernel's, when the ring is beyond use.
    pub(crate) fn poll(&mut self) -> io::Result<bool> {
        self.round_ns = self.clock.monotonic_ns();
        self.wall.look(self.clock, self.round_ns);
        self.sockets.on_time(&mut self.ring, self.round_ns);
        let mut found = false;
        for _ in 0..POLL_ROUNDS_MAX {
            self.sockets.flush(&mut self.ring);
            self.ring.submit()?;
            let mut found_now = false;
            while let Some(completion) = self.ring.next_completion() {
                self.dispatch(completion);
                found_now = true;
            }
            found |= found_now;
            // Another round only for operations that may complete as they are submitted.
            if !found_now || !self.ring.has_unsubmitted() {
                break;
            }
        }
        Ok(found)
    }

    fn dispatch(&mut self, completion: Completion) {
        let Completion { tag, outcome, is_last } = completion;
        let ring = &mut self.ring;
        match tag {
            Tag::Accept(id) => self.sockets.on_accept(ring, id, (outcome, is_last)),
            Tag::Connect(id) => self.sockets.on_connect(ring, id, outcome),
            Tag::Receive(id) => self.sockets.on_receive(ring, id, (outcome, is_last)),
            Tag::Fill(id) => self.sockets.on_fill(ring, id, outcome),
            Tag::Send(id) => self.sockets.on_send(ring, id, outcome),
            Tag::Disk(operation) => self.files.on_completion(ring, operation, outcome),
            Tag::Timer(at_ns) => self.timer = self.timer.take_if(|(set_ns, _)| *set_ns != at_ns),
            Tag::Nothing => {}
        }
    }

    /// The core has slept for so long.
    pub(super) fn note_parked(&mut self, parked_ns: u64) {
        self.parked_ns += parked_ns;
    }

    /// Completions signal the doorbell from now on, or no more.
    pub(super) fn arm_doorbell(&mut self, armed: bool) {
        self.ring.arm_doorbell(armed);
    }

    /// Has the ring complete something at `wakes_at_ns`, or when the sockets need it.
    pub(super) fn set_timer(&mut self, wakes_at_ns: Option<u64>) {
        let wanted = [wakes_at_ns, self.sockets.next_deadline_ns()].into_iter().flatten().min();
        let Some(at_ns) = wanted else { return };
        match self.timer {
            // Earlier than wanted costs one idle round.
            Some((set_ns, _)) if set_ns <= at_ns => return,
            Some((_, ticket)) => self.ring.cancel(ticket),
            None => {}
        }
        self.timer = Some((at_ns, self.ring.timer(at_ns)));
    }

    /// True when a poll would find something.
    pub(super) fn has_work(&mut self) -> bool {
        self.ring.has_work()
    }
}

impl Io for CoreIo {
    fn parked_ns(&self) -> u64 {
        self.parked_ns
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn round_ns(&self) -> u64 {
        self.round_ns
    }

    fn submit(&mut self) {
        self.sockets.flush(&mut self.ring);
        if self.ring.has_unsubmitted() {
            // An error is there again at the next poll, which reports it.
            let _ = self.ring.submit();
        }
    }

    fn round_ms(&self) -> i64 {
        self.wall.ms
    }

    fn network(&mut self) -> &mut dyn Network {
        self
    }

    fn disk(&mut self) -> &mut dyn Disk {
        self
    }
}

impl Network for CoreIo {
    fn register(&mut self) -> OwnerId {
        self.sockets.register()
    }

    fn listen(
        &mut self,
        owner: OwnerId,
        address: SocketAddr,
    ) -> io::Result<(ListenerId, SocketAddr)> {
        self.sockets.listen(&mut self.ring, owner, address)
    }

    fn close_listener(&mut self, listener: ListenerId) {
        self.sockets.close_listener(&mut self.ring, listener);
    }

    fn connect(&mut self, owner: OwnerId, address: SocketAddr) -> ConnectionId {
        self.sockets.connect(&mut self.ring, owner, address)
    }

    fn adopt(&mut self, owner: OwnerId, socket: OwnedFd) -> ConnectionId {
        self.sockets.adopt(&mut self.ring, owner, socket)
    }

    fn adopt_on_demand(&mut self, owner: OwnerId, socket: OwnedFd) -> ConnectionId {
        self.sockets.adopt_on_demand(owner, socket)
    }

    fn receive_into(&mut self, connection: ConnectionId, memory: Vec<u8>, bytes_max: usize) {
        self.sockets.receive_into(&mut self.ring, connection, memory, bytes_max);
    }

    fn detach(&mut self, connection: ConnectionId) -> Option<OwnedFd> {
        self.sockets.detach(connection)
    }

    fn next_event(&mut self, owner: OwnerId) -> Option<NetEvent> {
        self.sockets.next_event(owner)
    }

    fn bytes(&self, received: &Received) -> &[u8] {
        self.ring.bytes(received)
    }

    fn release(&mut self, received: Received) {
        self.ring.release(received);
    }

    fn write_only(&mut self, connection: ConnectionId) {
        self.sockets.write_only(connection);
    }

    fn pause(&mut self, connection: ConnectionId) {
        self.sockets.set_paused(&mut self.ring, connection, true);
    }

    fn resume(&mut self, connection: ConnectionId) {
        self.sockets.set_paused(&mut self.ring, connection, false);
    }

    fn send(&mut self, connection: ConnectionId, bytes: &[u8]) -> bool {
        self.sockets.send(connection, bytes)
    }

    fn unsent_bytes(&self, connection: ConnectionId) -> usize {
        self.sockets.unsent_bytes(connection)
    }

    fn close(&mut self, connection: ConnectionId) {
        self.sockets.close(&mut self.ring, connection);
    }

    fn abort(&mut self, connection: ConnectionId) {
        self.sockets.abort(&mut self.ring, connection);
    }
}

impl Disk for CoreIo {
    fn open(&mut self, path: &Path, mode: OpenMode) -> OperationId {
        self.files.open(&mut self.ring, path, mode)
    }

    fn read(&mut self, file: FileId, offset: u64, length: usize, buffer: Vec<u8>) -> OperationId {
        self.files.read(&mut self.ring, file, (offset, length), buffer)
    }

    fn write(&mut self, file: FileId, offset: u64, bytes: Vec<u8>) -> OperationId {
        self.files.write(&mut self.ring, file, offset, bytes)
    }

    fn write_from(
        &mut self,
        file: FileId,
        offset: u64,
        bytes: Vec<u8>,
        from: usize,
    ) -> OperationId {
        self.files.write_from(&mut self.ring, file, (offset, bytes, from))
    }

    fn sync_range(&mut self, file: FileId, offset: u64, length: u64) -> OperationId {
        self.files.sync_range(&mut self.ring, file, (offset, length))
    }

    fn sync(&mut self, file: FileId) -> OperationId {
        self.files.sync(&mut self.ring, file)
    }

    fn sync_directory(&mut self, path: &Path) -> OperationId {
        self.files.sync_directory(&mut self.ring, path)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> OperationId {
        self.files.rename(&mut self.ring, from, to)
    }

    fn remove(&mut self, path: &Path) -> OperationId {
        self.files.remove(&mut self.ring, path)
    }

    fn stat_path(&mut self, path: &Path) -> OperationId {
        self.files.stat_path(&mut self.ring, path)
    }

    fn stat_file(&mut self, file: FileId) -> OperationId {
        self.files.stat_file(&mut self.ring, file)
    }

    fn close(&mut self, file: FileId) -> OperationId {
        self.files.close(&mut self.ring, file)
    }

    fn standard_output(&mut self) -> FileId {
        self.files.standard_output()
    }

    fn take_result(&mut self, operation: OperationId) -> Option<DiskResult> {
        self.files.take_result(operation)
    }
}

#[cfg(test)]
pub(super) mod testing {
    //! The real network and disk, driven by a test.

    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;
    use crate::reactor::ring::Outcome;
    use crate::reactor::sys;

    /// Whatever takes longer than this in a test never happens.
    const PATIENCE: Duration = Duration::from_secs(20);

    /// What steps of file operations need.
    pub(in crate::reactor) struct CoreParts<'a> {
        pub(in crate::reactor) files: &'a mut Files,
        pub(in crate::reactor) ring: &'a mut Ring,
    }

    fn nanos(time: Duration) -> u64 {
        u64::try_from(time.as_nanos()).unwrap()
    }

    impl CoreIo {
        /// For the calling thread, with a doorbell nobody listens to.
        pub(crate) fn for_test() -> CoreIo {
            let doorbell = sys::eventfd().unwrap();
            CoreIo::new(doorbell.as_fd(), &[]).unwrap()
        }

        /// Polls until `found` finds something.
        #[track_caller]
        pub(crate) fn until<T>(&mut self, mut found: impl FnMut(&mut CoreIo) -> Option<T>) -> T {
            let give_up_ns = self.clock.monotonic_ns() + nanos(PATIENCE);
            loop {
                self.poll().unwrap();
                if let Some(value) = found(self) {
                    return value;
                }
                assert!(self.clock.monotonic_ns() < give_up_ns, "it never happened");
                std::thread::yield_now();
            }
        }

        /// As if the kernel had ended accepting with `outcome`.
        pub(in crate::reactor) fn fail_accept_for_test(
            &mut self,
            listener: ListenerId,
            outcome: Outcome,
        ) {
            self.sockets.cancel_accept_for_test(&mut self.ring, listener);
            self.poll_for(Duration::from_millis(5));
            self.sockets.on_accept(&mut self.ring, listener, (outcome, true));
        }

        /// A stream in the place of standard output.
        pub(crate) fn add_stream_for_test(&mut self, stream: OwnedFd) -> FileId {
            self.files.add_stream(stream)
        }

        /// Files and ring, for tests of what the kernel seldom does.
        pub(in crate::reactor) fn parts_for_test(&mut self) -> CoreParts<'_> {
            CoreParts { files: &mut self.files, ring: &mut self.ring }
        }

        /// Polls for a while.
        pub(crate) fn poll_for(&mut self, time: Duration) {
            let until_ns = self.clock.monotonic_ns() + nanos(time);
            while self.clock.monotonic_ns() < until_ns {
                self.poll().unwrap();
                std::thread::yield_now();
            }
        }
    }
}
