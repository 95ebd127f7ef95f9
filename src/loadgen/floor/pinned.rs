//! A thread that polls on a CPU of its own until it is told to stop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::super::error::BenchError;
use crate::reactor::spawn_pinned;

/// Ends when dropped.
#[derive(Debug)]
pub(super) struct Pinned<T> {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<io::Result<T>>>,
}

impl<T: Send + 'static> Pinned<T> {
    /// `body` returns soon after its argument has become true.
    pub(super) fn start(
        name: &str,
        cpu: usize,
        body: impl FnOnce(&AtomicBool) -> T + Send + 'static,
    ) -> Result<Pinned<T>, BenchError> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = spawn_pinned(name, cpu, move || body(&stopped)).map_err(|error| {
            BenchError::environment(format!("a thread ({name}) on CPU {cpu}: {error}"))
        })?;
        Ok(Pinned { stop, thread: Some(thread) })
    }

    /// Ends it; what it returned.
    pub(super) fn stop(mut self) -> Result<T, BenchError> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("only this and the end take it");
        let ended = thread.join().expect("a panic ends the process");
        ended.map_err(|error| BenchError::environment(format!("pinning a thread: {error}")))
    }
}

impl<T> Drop for Pinned<T> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Whoever wants to know how it ended has asked.
            let _ = thread.join();
        }
    }
}
