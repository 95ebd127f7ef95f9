//! Progress: waits for a thread that measures, and says once a second how far it is.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use super::driver::Live;
use super::error::{BenchError, BenchErrorKind};
use crate::limits::PROGRESS_INTERVAL;
use crate::reactor::{Clock, SystemClock, spawn_pinned};

/// Exit code after a second signal, as a shell would report SIGINT.
const EXIT_SECOND_SIGNAL: i32 = 130;

/// Set by SIGINT or SIGTERM: what was measured until then is reported. A second one ends the process.
///
/// # Errors
/// When the handlers cannot be installed.
pub(super) fn stop_flag() -> Result<Arc<AtomicBool>, BenchError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Handlers run in the order of registration: the flag is looked at before it is set.
        flag::register_conditional_shutdown(signal, EXIT_SECOND_SIGNAL, Arc::clone(&stop))
            .and_then(|_| flag::register(signal, Arc::clone(&stop)))
            .map_err(|error| BenchError::environment(format!("watching for signals: {error}")))?;
    }
    Ok(stop)
}

/// Runs `body` on `cpu` and waits for it. `beat` is called once a second with the seconds that have
/// passed, and ends the wait with an error if it has one.
pub(super) fn on_cpu<T: Send + 'static>(
    cpu: usize,
    body: impl FnOnce() -> T + Send + 'static,
    mut beat: impl FnMut(f64) -> Result<(), BenchError>,
) -> Result<T, BenchError> {
    let (sender, done) = mpsc::channel();
    let measured = move || {
        // The receiver is gone when the wait ended with an error.
        let _ = sender.send(body());
    };
    let thread = spawn_pinned("bench", cpu, measured)
        .map_err(|error| BenchError::environment(format!("a thread on CPU {cpu}: {error}")))?;
    let began_ns = SystemClock.monotonic_ns();
    loop {
        match done.recv_timeout(PROGRESS_INTERVAL) {
            Ok(result) => return Ok(result),
            Err(RecvTimeoutError::Timeout) => {
                let passed = Duration::from_nanos(SystemClock.monotonic_ns() - began_ns);
                beat(passed.as_secs_f64())?;
            }
            Err(RecvTimeoutError::Disconnected) => {
                let pinned = thread.join().expect("a panic ends the process");
                let why = pinned.err().map_or("it ended".to_owned(), |error| error.to_string());
                let line = format!("a thread on CPU {cpu}: {why}");
                return Err(BenchError::new(BenchErrorKind::Environment, line));
            }
        }
    }
}

/// How far a load is.
pub(super) fn say_progress(label: &str, live: &Live, passed: f64, planned: f64) {
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let (sent, received) = (count(&live.sent), count(&live.received));
    let rate = sent as f64 / passed;
    let left = (planned - passed).max(0.0);
    say(&format!(
        "{label}: {passed:.0} s, {left:.0} s left, {sent} sent ({rate:.0}/s), {received} received"
    ));
}

/// A line on standard error. A closed one is no reason to stop measuring.
pub(super) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
