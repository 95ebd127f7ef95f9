//! Signals: SIGTERM and SIGINT ask the job to stop; a second one ends the process at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::low_level::{self, pipe};
use signal_hook::{SigId, flag};
use std::io::{self, Read};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::reactor::spawn_thread;

/// Exit code after a second signal, as a shell would report SIGTERM.
const EXIT_SECOND_SIGNAL: i32 = 143;

/// Watches until dropped.
#[derive(Debug)]
pub(super) struct StopSignals {
    requested: Arc<AtomicBool>,
    watched: Vec<SigId>,
}

impl StopSignals {
    /// From now on the first signal calls `stop`, and the second one `before_end`, just before the
    /// process ends; on a thread of its own beside the cores. Should that thread be stuck, the third
    /// ends the process all the same.
    ///
    /// # Errors
    /// When the handlers cannot be installed or there can be no thread.
    pub(super) fn watch(
        core_cpus: &[usize],
        stop: impl FnOnce() + Send + 'static,
        before_end: impl FnOnce() + Send + 'static,
    ) -> io::Result<StopSignals> {
        let (requested, ending) = (Arc::new(AtomicBool::new(false)), Arc::new(false.into()));
        // A byte per signal: two in a row are two.
        let (mut coming, handler) = UnixStream::pair()?;
        let mut watched = Vec::new();
        for signal in [SIGTERM, SIGINT] {
            let (code, last) = (EXIT_SECOND_SIGNAL, Arc::clone(&ending));
            watched.push(flag::register_conditional_shutdown(signal, code, last)?);
            watched.push(flag::register(signal, Arc::clone(&requested))?);
            watched.push(pipe::register(signal, handler.try_clone()?)?);
        }
        spawn_thread("signals", core_cpus, move || {
            let mut one = [0];
            let mut next = || coming.read_exact(&mut one).is_ok();
            if next() {
                stop();
            } else {
                return;
            }
            if next() {
                ending.store(true, Ordering::Relaxed);
                before_end();
                low_level::exit(EXIT_SECOND_SIGNAL);
            }
        })?;
        Ok(StopSignals { requested, watched })
    }

    /// True once there was a signal.
    pub(super) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }
}

impl Drop for StopSignals {
    /// The handlers go, with their ends of the pipe: the thread reads its end.
    fn drop(&mut self) {
        for watched in self.watched.drain(..) {
            low_level::unregister(watched);
        }
    }
}
