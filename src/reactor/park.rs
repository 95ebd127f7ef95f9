//! Parking: how a core sleeps without missing what others push to it, and how they wake it.
//!
//! Sleeper: store `parked`, SeqCst fence, look again at everything that could be work, sleep.
//! Waker:   push, SeqCst fence, load `parked`; if it is set, ring the doorbell.
//!
//! Invariant: of a push and an announcement, the later one (in the order of the fences) sees the
//! other: the sleeper finds the value, or the waker finds `parked`. Without the fences x86 may let
//! both loads overtake both stores, and the wake-up is lost.
//!
//! The algorithm is generic over its atomics, so that the model in the tests runs this very code.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering, fence};

use super::{Wake, sys};

/// The atomics parking needs; the standard library's in production, a model checker's in tests.
pub(super) trait Flag {
    /// A flag that is not set.
    fn clear_flag() -> Self;
    /// Relaxed load.
    fn load(&self) -> bool;
    /// Relaxed store.
    fn store(&self, value: bool);
    /// Sequentially consistent fence.
    fn fence();
}

impl Flag for AtomicBool {
    fn clear_flag() -> AtomicBool {
        AtomicBool::new(false)
    }

    fn load(&self) -> bool {
        AtomicBool::load(self, Ordering::Relaxed)
    }

    fn store(&self, value: bool) {
        AtomicBool::store(self, value, Ordering::Relaxed);
    }

    fn fence() {
        fence(Ordering::SeqCst);
    }
}

/// Whether one core sleeps. Shared with everybody who may wake it.
pub(super) struct ParkState<F> {
    parked: F,
}

impl<F: Flag> ParkState<F> {
    /// Of a core that is awake.
    pub(super) fn new() -> ParkState<F> {
        ParkState { parked: F::clear_flag() }
    }

    /// The sleeper's first half. After this it looks again at everything that could be work, and
    /// only if there is none it waits for the doorbell.
    pub(super) fn announce(&self) {
        self.parked.store(true);
        F::fence();
    }

    /// The sleeper is awake, or found something when it looked again.
    pub(super) fn retract(&self) {
        self.parked.store(false);
    }

    /// The waker's side, after its push.
    pub(super) fn wake(&self, ring_doorbell: impl FnOnce()) {
        F::fence();
        if self.parked.load() {
            ring_doorbell();
        }
    }
}

/// Where one core sleeps: the flag and the eventfd that is its doorbell.
pub(super) struct Parker {
    state: ParkState<AtomicBool>,
    doorbell: OwnedFd,
}

impl Parker {
    /// A parker of a core that is awake.
    pub(super) fn new() -> io::Result<Arc<Parker>> {
        Ok(Arc::new(Parker { state: ParkState::new(), doorbell: sys::eventfd()? }))
    }

    /// See [`ParkState::announce`].
    pub(super) fn announce(&self) {
        self.state.announce();
    }

    /// See [`ParkState::retract`].
    pub(super) fn retract(&self) {
        self.state.retract();
    }

    /// What to wait for a read of; completions of the core's own ring signal it too.
    pub(super) fn doorbell(&self) -> BorrowedFd<'_> {
        self.doorbell.as_fd()
    }
}

impl Wake for Parker {
    fn wake(&self) {
        self.state.wake(|| sys::ring_eventfd(self.doorbell.as_fd()));
    }
}

#[cfg(test)]
mod tests;
