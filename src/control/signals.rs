//! Signals: SIGTERM and SIGINT ask the job to stop; a second one ends the process at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Exit code after a second signal, as a shell would report SIGTERM.
const EXIT_SECOND_SIGNAL: i32 = 143;

/// Set by the first signal.
#[derive(Debug)]
pub(super) struct StopRequest(Arc<AtomicBool>);

impl StopRequest {
    /// Installs the handlers.
    pub(super) fn install() -> io::Result<StopRequest> {
        let stop = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            // Handlers run in the order of registration: the flag is looked at before it is set.
            flag::register_conditional_shutdown(signal, EXIT_SECOND_SIGNAL, Arc::clone(&stop))?;
            flag::register(signal, Arc::clone(&stop))?;
        }
        Ok(StopRequest(stop))
    }

    pub(super) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
