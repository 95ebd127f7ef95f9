//! Signals: SIGTERM and SIGINT ask the job to stop; a second one ends the process at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::reactor::spawn_thread;

/// Exit code after a second signal, as a shell would report SIGTERM.
const EXIT_SECOND_SIGNAL: i32 = 143;

/// Watches until dropped.
#[derive(Debug)]
pub(super) struct StopSignals {
    requested: Arc<AtomicBool>,
    watch: Handle,
}

impl StopSignals {
    /// From now on the first signal calls `stop`, on a thread of its own beside the cores.
    ///
    /// # Errors
    /// When the handlers cannot be installed or there can be no thread.
    pub(super) fn watch(
        core_cpus: &[usize],
        stop: impl FnOnce() + Send + 'static,
    ) -> io::Result<StopSignals> {
        let requested = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // Handlers run in the order of registration: the flag is looked at before it is set.
            flag::register_conditional_shutdown(
                signal,
                EXIT_SECOND_SIGNAL,
                Arc::clone(&requested),
            )?;
            flag::register(signal, Arc::clone(&requested))?;
        }
        let mut signals = Signals::new([SIGTERM, SIGINT])?;
        let watch = signals.handle();
        spawn_thread("signals", core_cpus, move || {
            if signals.forever().next().is_some() {
                stop();
            }
        })?;
        Ok(StopSignals { requested, watch })
    }

    /// True once there was a signal.
    pub(super) fn is_requested(&self) -> bool {
        self.requested.load(Ordering::Relaxed)
    }
}

impl Drop for StopSignals {
    fn drop(&mut self) {
        self.watch.close();
    }
}
